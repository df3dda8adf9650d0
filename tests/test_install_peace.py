"""What install() leaves in peace: servers, a program that talks to itself, descriptors, modes.

Every limit is short here, and none of these waits may end at it.
"""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import select
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from fcntl import F_GETFL, fcntl
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pickle import loads

import pytest

import safesocket
from safesocket import Timeouts, errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    calling,
    connected,
    everything,
    garbage,
    listening,
    mode_of,
    printed,
    set_nonblocking_behind_python,
    still_waits,
    waits_for_ever,
    within,
)


@pytest.fixture(autouse=True)
def installed(as_before):
    """The installer is on, with short limits."""
    with safesocket.installed():
        safesocket.configure(Timeouts(*[LIMIT] * 5))
        yield


# Servers.


def test_accept_idle():
    """A server waits for its clients as long as it likes."""
    with listening() as listener, socket.socket() as client:

        def accept():
            listener.accept()[0].close()

        assert waits_for_ever(accept, lambda: client.connect(listener.getsockname()))


def test_recv_on_an_accepted_connection():
    """A quiet client is healthy."""
    with connected(socket) as (client, accepted):
        assert waits_for_ever(lambda: accepted.recv(1), lambda: client.send(b"."))


def test_recv_on_an_accepted_connection_with_serve():
    """With serve= it is not, and the client is named."""
    safesocket.configure(serve=LIMIT)
    with connected(socket) as (client, accepted), within(LIMIT):
        with pytest.raises(errors.ReadTimeoutError) as it:
            accepted.recv(1)
        assert (it.value.host, it.value.port) == client.getsockname()


@pytest.mark.parametrize("adopt", [socket.fromfd, None], ids=["fromfd", "fileno"])
def test_recv_on_an_adopted_descriptor(adopt):
    """A descriptor that came from elsewhere may be a server's."""
    with connected(socket) as (client, accepted):
        if adopt is None:
            adopted = socket.socket(fileno=accepted.detach())
        else:
            adopted = adopt(accepted.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with adopted:
            assert waits_for_ever(lambda: adopted.recv(1), lambda: client.send(b"."))


def test_recvfrom_on_a_udp_server():
    """A datagram server waits for its clients, too."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as server,
        socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
        assert waits_for_ever(lambda: server.recvfrom(9), lambda: client.sendto(b".", address))


def test_recv_on_a_socketpair():
    """A program that talks to itself."""
    here, there = socket.socketpair()
    with here, there:
        assert waits_for_ever(lambda: here.recv(1), lambda: there.send(b"."))


def test_select_blocked():
    """select() is not a socket's wait."""
    with connected(socket) as (sock, peer):
        assert waits_for_ever(lambda: select.select([sock], [], []), lambda: peer.send(b"."))


class Echo(socketserver.StreamRequestHandler):
    """Answers each line with itself."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


def test_socketserver_idle_and_quiet():
    """A server of the stdlib's outlasts every limit before and within a connection."""
    with (
        socketserver.TCPServer(("127.0.0.1", 0), Echo) as server,
        calling(server.handle_request) as served,
    ):
        assert still_waits(served)
        with socket.create_connection(server.server_address) as client:
            assert still_waits(served)
            client.sendall(b"line\n")
            assert client.recv(5) == b"line\n"
        served.result(GUARD)


def test_socketserver_with_a_timeout_of_its_own():
    """handle_request() with a timeout ends by handle_timeout(), as ever."""
    with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
        server.timeout = LIMIT
        called = []
        server.handle_timeout = partial(called.append, 1)
        with within(LIMIT, at_least=LIMIT):
            server.handle_request()
    assert called == [1]


class Records(socketserver.StreamRequestHandler):
    """The receiver of the logging cookbook, a quiet client for most of its time."""

    def handle(self):
        while header := self.connection.recv(4):
            size = int.from_bytes(header, "big")
            self.server.records.append(loads(self.connection.recv(size)))


def test_logging_socket_handler():
    """A SocketHandler and its receiver talk, with pauses as long as they like."""
    with socketserver.TCPServer(("127.0.0.1", 0), Records) as server:
        server.records = []
        handler = logging.handlers.SocketHandler(*server.server_address)
        with calling(server.handle_request) as served, closing(handler):
            for text in ("first", "second"):
                handler.emit(logging.makeLogRecord({"msg": text}))
                assert still_waits(served)
        assert [record["msg"] for record in server.records] == ["first", "second"]


MANAGER = """
    import multiprocessing, safesocket, socket

    def main():
        with safesocket.installed():
            safesocket.configure(safesocket.Timeouts(*[0.02] * 5))
            context = multiprocessing.get_context("METHOD")
            with context.Manager() as manager:
                event = manager.Event()
                print(event.wait(0.1))  # in the manager, whose client is quiet meanwhile
                numbers = manager.list(range(3))
                print(sum(numbers), safesocket.is_installed())

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_manager(method, tmp_path):
    """A Manager, forked or spawned, is served as long as it likes."""
    script = tmp_path / "program.py"
    script.write_text("\n".join(line[4:] for line in MANAGER.replace("METHOD", method).split("\n")))
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    options = ["-W", "ignore::DeprecationWarning"]
    if method == "spawn":
        done = subprocess.run(
            [sys.executable, *options, script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == ["False", "3", "True"]
    else:
        assert printed(code, *options).split() == ["False", "3", "True"]


@pytest.mark.parametrize("lib", [socket, safesocket])
def test_multiprocessing_sends_a_socket(lib):
    """A socket sent to another process is a working one; here both ends are this process."""
    with connected(lib) as (sock, peer):
        received = loads(ForkingPickler.dumps(sock))
        with received:
            assert type(received) is lib.socket
            peer.send(b"to both")
            assert received.recv(7) == b"to both"
    multiprocessing.resource_sharer.stop(timeout=GUARD)


# Two directions.


def test_both_directions_at_once():
    """A reader and a writer on one socket have each the limit of its own."""
    safesocket.configure(write=GUARD)
    with testing.stops_reading() as address, socket.create_connection(address) as sock:

        def write():
            with suppress(ConnectionError):
                sock.sendall(MUCH)

        with calling(write) as writing:
            for _ in range(3):
                with within(LIMIT), pytest.raises(errors.ReadTimeoutError):
                    sock.recv(1)
            assert still_waits(writing)
            sock.shutdown(socket.SHUT_RDWR)


# Modes and descriptors.


@contextmanager
def exercised():
    """Yield a socket under install() that has waited in vain, and its peer."""
    with connected(socket) as (sock, peer):
        with pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)
        with pytest.raises(errors.WriteTimeoutError):
            sock.sendall(MUCH)
        yield sock, peer


def test_mode_after_waits():
    """No O_NONBLOCK, and gettimeout() is None, after waits that timed out."""
    with exercised() as (sock, _):
        assert mode_of(sock) == (False, None)
        assert sock.getblocking()
        assert sock.timeout is None


@pytest.mark.parametrize("connect", ["create_connection", "connect"])
def test_mode_after_connecting(connect):
    """None after connecting within a limit, by name or by number."""
    with listening() as listener:
        address = ("localhost", listener.getsockname()[1])
        if connect == "connect":
            sock = socket.socket()
            sock.connect(address)
        else:
            sock = socket.create_connection(address)
        with sock:
            assert mode_of(sock) == (False, None)


def test_detach():
    """A detached descriptor is a blocking one: os.read waits."""
    with connected(socket) as (sock, peer):
        with pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)
        fd = sock.detach()
        try:
            assert not fcntl(fd, F_GETFL) & os.O_NONBLOCK
            assert waits_for_ever(lambda: os.read(fd, 1), lambda: peer.send(b"."))
        finally:
            os.close(fd)


def test_descriptor_in_a_child_process():
    """A socket as the standard input of a child is one that it can wait on."""
    with connected(socket) as (sock, peer):
        with pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)
        with (
            subprocess.Popen(["cat"], stdin=sock, stdout=subprocess.PIPE) as child,
            calling(child.stdout.read) as future,
        ):
            assert still_waits(future)
            peer.send(b"for the child")
            peer.shutdown(socket.SHUT_WR)
            assert future.result(GUARD) == b"for the child"


def test_descriptor_in_a_file():
    """os.fdopen() of a socket's descriptor waits as the descriptor does."""
    with connected(socket) as (sock, peer):
        with pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)
        with os.fdopen(os.dup(sock.fileno()), "rb") as file:
            assert waits_for_ever(lambda: file.read(1), lambda: peer.send(b"."))


def test_recv_nonblocking():
    """A non-blocking socket gets the very exception of the stdlib, however it became so."""
    with connected(socket) as (sock, _):
        sock.setblocking(False)
        with pytest.raises(BlockingIOError) as it:
            sock.recv(1)
        assert vars(it.value) == {}
        sock.setblocking(True)
        set_nonblocking_behind_python(sock)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_send_is_whole():
    """A blocking send() takes everything, as the stdlib's does."""
    safesocket.configure(write=GUARD)
    with connected(socket) as (sock, peer), calling(everything, peer) as received:
        assert sock.send(MUCH) == len(MUCH)
        sock.shutdown(socket.SHUT_WR)
        assert received.result(GUARD) == MUCH


def test_failures_leave_no_garbage():
    """Errors of an installed socket are in no reference cycle."""
    with testing.refuses() as address:

        def fail():
            with suppress(ConnectionRefusedError):
                socket.create_connection(address)
            with suppress(socket.gaierror):
                socket.getaddrinfo("host.invalid", 80)
            with suppress(socket.gaierror):
                socket.gethostbyname("host.invalid")

        fail()
        assert garbage(fail) == 0


def test_fork_in_the_middle_of_a_look_up():
    """A child forked while another thread looks a name up looks up its own."""
    assert (
        printed(
            """
        import os, socket, threading, safesocket
        inside, go_on = threading.Event(), threading.Event()
        plain = socket.getaddrinfo

        def slow(*args):
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                go_on.wait(20)
            return plain(*args)

        socket.getaddrinfo = slow
        safesocket.install()
        thread = threading.Thread(target=socket.getaddrinfo, args=("127.0.0.1", 1))
        thread.start()
        inside.wait(20)
        pid = os.fork()
        if not pid:
            ok = socket.getaddrinfo("127.0.0.1", 1)[0][4] == ("127.0.0.1", 1)
            safesocket.uninstall()
            os._exit(not (ok and socket.getaddrinfo is slow))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        go_on.set()
        thread.join()
        """,
            "-W",
            "ignore::DeprecationWarning",
        )
        == "0"
    )


def test_threads_many():
    """Sockets of many threads at once do not mix their limits or peers up."""

    def ask():
        with testing.never_answers() as address, socket.create_connection(address) as sock:
            with pytest.raises(errors.ReadTimeoutError) as it:
                sock.recv(1)
            assert (it.value.host, it.value.port) == address

    failed = []

    def run():
        try:
            ask()
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD)
    assert failed == []
