"""waiting(): what waits, whom for, how long, under which limit, and which line of the program.

Every wait is a real one, in a thread of its own, on a real peer.
"""

from __future__ import annotations

import gc
import http.client
import importlib
import json
import pickle
import signal
import socket
import threading
import time
import weakref
from contextlib import suppress
from functools import partial, reduce
from io import BytesIO
from socket import AF_INET, AF_UNIX, MSG_WAITALL, SOCK_DGRAM, SOCK_STREAM
from types import CodeType

import pytest

import safesocket
from safesocket import _connect, _resolve, _stacks, _wording, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    calling,
    connected,
    listening,
    set_kernel_timeout,
    tcp_pair,
)
from tests.nameserver import network, run_in, trouble_with_networks
from tests.tls import rude_pair, safe_forms, tcp, tls_pair, wrapped
from tests.waiters import (
    BRIEF,
    WHOLE,
    a_wait,
    another_than,
    assert_limited,
    cut,
    here,
    lasts,
    until,
)

pytestmark = pytest.mark.timeout(30, func_only=True)  # seconds; what hangs is cut off


# Every operation, where safesocket keeps the limit.

READS = {
    "recv": lambda sock: sock.recv(64),
    "recv_into": lambda sock: sock.recv_into(bytearray(64)),
    "recvfrom": lambda sock: sock.recvfrom(64),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(64)),
    "recvmsg": lambda sock: sock.recvmsg(64),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(64)]),
}
WRITES = {
    "send": lambda sock: sock.send(MUCH),
    "sendall": lambda sock: sock.sendall(MUCH),
    "sendmsg": lambda sock: sock.sendmsg([MUCH]),
    "sendfile": lambda sock: sock.sendfile(BytesIO(MUCH)),
}
each_read = pytest.mark.parametrize("operation", READS)
each_write = pytest.mark.parametrize("operation", WRITES)


@each_read
def test_wait_to_read(operation, lib):
    """A wait for data tells whom it is for, how long it may last, and which line waits."""
    safesocket.configure(read=WHOLE)
    with connected(lib) as (sock, peer), a_wait(READS[operation], sock, end=cut(peer)) as wait:
        assert (wait.operation, wait.phase) == (operation, "read")
        assert (wait.host, wait.port) == peer.getsockname() == wait.address
        assert wait.local == sock.getsockname()
        assert_limited(wait)
        assert wait.function == "<lambda>"
        assert f"sock.{operation}(" in wait.line


@each_write
def test_wait_to_write(operation, lib):
    """A wait until the other side takes more is told as that, also half-way."""
    safesocket.configure(write=WHOLE)
    with connected(lib) as (sock, peer), a_wait(WRITES[operation], sock, end=cut(sock)) as wait:
        assert (wait.operation, wait.phase) == (operation, "write")
        assert wait.address == peer.getsockname()
        assert_limited(wait)


def test_wait_that_makes_progress(lib):
    """What is sent bit by bit waits since the last bit; a deadline may come first from then on."""
    safesocket.configure(write=WHOLE)

    def send():
        with safesocket.deadline(WHOLE + LIMIT):
            sock.sendall(MUCH)

    with connected(lib) as (sock, peer), a_wait(send, end=cut(sock)) as first:
        assert_limited(first)
        until(lambda: lasts(2 * LIMIT))
        later = until(lambda: peer.recv(1 << 16) and another_than(first.key))
        assert later.key[1] >= first.key[1] + 2 * LIMIT
        assert_limited(later, "deadline", WHOLE + LIMIT)


@pytest.mark.parametrize("flag", [MSG_WAITALL, MSG_WAITALL | socket.MSG_PEEK])
def test_wait_for_the_whole(flag, lib):
    """A read with MSG_WAITALL waits for what is missing."""
    safesocket.configure(read=WHOLE)
    with connected(lib) as (sock, peer):
        peer.send(b"half")
        with a_wait(sock.recv, 8, flag, end=cut(peer), operation="recv") as wait:
            assert wait.phase == "read"
            assert_limited(wait)


def test_wait_of_makefile(lib):
    """A stream waits in the operation that errors name, at the program's line."""
    with (
        connected(lib) as (sock, peer),
        sock.makefile("rb") as stream,
        a_wait(stream.readline, end=cut(peer)) as wait,
    ):
        assert (wait.operation, wait.function) == ("recv_into", "run")
        assert wait.address == peer.getsockname()


def test_wait_below_the_stdlib(as_before):
    """The line is the program's, however much of the stdlib is between."""
    with safesocket.installed(), testing.never_answers() as address:
        client = http.client.HTTPConnection(*address)
        client.request("GET", "/")
        with a_wait(client.getresponse, end=cut(client.sock)) as wait:
            assert (wait.operation, wait.function) == ("recv_into", "run")
            assert (wait.host, wait.port) == address
        client.close()


@pytest.mark.parametrize("source", ["set_timeouts", "timeouts", "deadline", "default"])
def test_whose_limit(source):
    """The limit is the one that ends the wait, and it is told who set it."""
    with connected() as (sock, peer):
        blocks = {
            "timeouts": lambda: safesocket.timeouts(read=WHOLE),
            "deadline": lambda: safesocket.deadline(WHOLE),
        }
        if source == "set_timeouts":
            safesocket.set_timeouts(sock, read=WHOLE)

        def read():
            with blocks.get(source, safesocket.timeouts)():
                sock.recv(1)

        with a_wait(read, end=cut(peer)) as wait:
            assert_limited(wait, source, 300.0 if source == "default" else WHOLE)


@pytest.mark.parametrize("operation", ["sendall", "recv"])
def test_deadline_before_the_limit(operation):
    """Under a deadline the time left is the deadline's, also while data is on its way."""
    safesocket.configure(write=300, read=300)

    def run():
        with safesocket.deadline(WHOLE):
            {**READS, **WRITES}[operation](sock)

    with connected() as (sock, _), a_wait(run, end=cut(sock)) as wait:
        assert_limited(wait, "deadline")


@pytest.mark.parametrize("operation", ["recv", "sendall"])
def test_wait_without_limit(operation):
    """A wait for ever has nothing left to tell, and is none that is healthy."""
    with connected() as (sock, peer):
        sock.settimeout(None)
        with a_wait({**READS, **WRITES}[operation], sock, end=cut(sock)) as wait:
            assert (wait.left, wait.timeout, wait.timeout_source) == (None, None, None)
            assert wait.elapsed is not None
            assert wait.address == peer.getsockname()
            assert not wait.healthy
            assert ", without limit, at " in str(wait)


# Waits in C.


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_wait_of_a_socket_with_a_timeout(operation, lib):
    """C waits for a socket with a timeout of its own; that is seen all the same."""
    call = {**READS, **WRITES}[operation]
    with connected(lib) as (sock, peer):
        while operation in WRITES:  # until no more is taken, and the very first try waits
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.send(MUCH)
                continue
            break
        sock.settimeout(WHOLE)
        with a_wait(call, sock, end=cut(sock), operation=operation) as wait:
            assert_limited(wait, "settimeout")
            assert wait.address == peer.getsockname()
            assert "settimeout 30 s" in str(wait)


def test_elapsed_of_a_wait_in_c():
    """How long C waits is known from the first look on, and never more than it is."""
    with connected(mode=WHOLE) as (sock, peer):
        started = time.monotonic()
        with a_wait(sock.recv, 1, end=cut(peer)) as first:
            assert first.elapsed is None
            assert " for " not in str(first)
            later = until(lambda: lasts(LIMIT))
            assert later.key == first.key
            assert later.elapsed <= time.monotonic() - started
            assert later.left + later.elapsed == pytest.approx(WHOLE)


def test_two_waits_of_a_loop_are_two():
    """A read that follows another in the same line is a new wait, with a time of its own."""
    with connected(mode=WHOLE) as (sock, peer):

        def read():
            while sock.recv(1):
                pass

        with a_wait(read, end=cut(peer)) as first:
            keys = {first.key}
            for _ in range(5):
                before = until(here)
                peer.send(b"x")
                after = until(lambda: another_than(*keys))  # noqa: B023
                keys |= {before.key, after.key}
            assert len(keys) == 6


def test_timeout_of_the_kernel():
    """A timeout that the program gave the kernel is told, too."""
    with connected() as (sock, peer):
        set_kernel_timeout(sock, socket.SO_RCVTIMEO, 0.9)
        with a_wait(sock.recv, 1, end=cut(peer)) as wait:
            assert (wait.timeout, wait.timeout_source) == (pytest.approx(0.9), None)
            assert "(SO_RCVTIMEO timeout 0.9 s)" in str(wait)


def test_connect_in_c():
    """connect of a socket with a timeout of its own waits in C."""
    with testing.never_accepts() as address, safesocket.socket() as sock:
        sock.settimeout(BRIEF)
        with a_wait(sock.connect, address) as wait:
            assert (wait.operation, wait.phase) == ("connect", "connect")
            assert (wait.host, wait.port) == address
            assert_limited(wait, "settimeout", BRIEF)


def test_connect_under_a_timeout_of_the_kernel():
    """So is that of connect, which is the one of writes."""
    with testing.never_accepts() as address, safesocket.socket() as sock:
        set_kernel_timeout(sock, socket.SO_SNDTIMEO, BRIEF)
        with a_wait(sock.connect, address) as wait:
            assert (wait.timeout, wait.timeout_source) == (pytest.approx(BRIEF), None)
            assert "(SO_SNDTIMEO timeout 0.3 s)" in str(wait)


# Servers.


def test_accept(lib):
    """A server that waits for clients is told, and is healthy."""
    with lib.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with a_wait(accept_one, server, end=partial(visit, address)) as wait:
            assert (wait.operation, wait.phase, wait.local) == ("accept", "accept", address)
            assert (wait.left, wait.healthy) == (None, True)
            assert str(wait).startswith(f"accept on 127.0.0.1:{address[1]} for ")


def accept_one(server):
    server.accept()[0].close()


def visit(address):
    socket.create_connection(address).close()


@pytest.mark.parametrize("mode", [None, WHOLE])
def test_quiet_client(mode):
    """A server may wait for a client's next request; with a serve limit it may not."""
    with tcp_pair() as (client, accepted):
        accepted.settimeout(mode) if mode else None
        with a_wait(accepted.recv, 1, end=cut(client)) as wait:
            assert wait.healthy
            assert wait.address == client.getsockname()
    safesocket.configure(serve=WHOLE)
    with tcp_pair() as (client, accepted), a_wait(accepted.recv, 1, end=cut(client)) as wait:
        assert_limited(wait)


def test_datagram_server():
    """A bound datagram socket waits for whoever comes."""
    with safesocket.socket(type=SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with a_wait(sock.recvfrom, 1, end=partial(datagram_to, sock)) as wait:
            assert (wait.healthy, wait.left) == (True, None)
            assert str(wait).startswith(f"recvfrom on 127.0.0.1:{sock.getsockname()[1]} for ")


def datagram_to(sock):
    with socket.socket(sock.family, SOCK_DGRAM) as other:
        other.sendto(b"!", sock.getsockname())


def test_program_that_waits_for_itself():
    """A wait on a socketpair is the program's own business."""
    ours, other = safesocket.socketpair()
    with ours, other, a_wait(ours.recv, 1, end=partial(other.send, b"x")) as wait:
        assert wait.healthy


# Connecting and looking up.


def test_connect(lib):
    """connect tells the address, and the limit on the call."""
    safesocket.configure(connect=BRIEF)
    with (
        testing.never_accepts() as address,
        lib.socket() as sock,
        a_wait(sock.connect, address) as wait,
    ):
        assert (wait.operation, wait.phase, wait.address) == ("connect", "connect", address)
        assert_limited(wait, limit=BRIEF)


def test_connect_to_a_name(monkeypatch):
    """connect to a name tells the name, and the address that it stood for."""
    safesocket.configure(connect=BRIEF)
    with testing.never_accepts() as address, safesocket.socket() as sock:
        found = [(AF_INET, SOCK_STREAM, 6, "", address)]
        monkeypatch.setattr(_resolve, "_getaddrinfo", lambda *_: found)
        with a_wait(sock.connect, ("db.internal", address[1]), phase="connect") as wait:
            assert (wait.host, wait.port, wait.address) == ("db.internal", address[1], address)
            assert str(wait).startswith(f"connect to db.internal:{address[1]} (127.0.0.1) for ")


def test_connect_to_a_full_backlog():
    """An AF_UNIX server with a full backlog is waited for, too."""
    safesocket.configure(connect=BRIEF)
    with (
        testing.never_accepts(AF_UNIX) as path,
        safesocket.socket(AF_UNIX) as sock,
        a_wait(sock.connect, path) as wait,
    ):
        assert (wait.operation, wait.host) == ("connect", path)
        assert wait.left <= BRIEF


@pytest.mark.parametrize("count", [1, 2])
def test_create_connection(count):
    """A connection to a name tells the name, and the address if there is only one under way."""

    def connect(*addresses):
        found = [(AF_INET, SOCK_STREAM, 6, "", address) for address in addresses]
        _connect.create_connection(
            safesocket.socket, lambda *_: found, ("db.internal", 5432), 0.6, None, False
        )

    with (
        testing.never_accepts() as one,
        testing.never_accepts() as two,
        a_wait(connect, one, two) as wait,
    ):
        assert (wait.operation, wait.phase) == ("connect", "connect")
        assert (wait.host, wait.port) == ("db.internal", 5432)
        assert (wait.timeout, wait.timeout_source) == (0.6, "create_connection")
        assert wait.left <= 0.6
        if count == 1:
            assert wait.address == one
        else:
            until(lambda: another_than() and here().address is None)


@pytest.fixture
def slow_look_up(monkeypatch):
    """Let look-ups wait until the event that this yields is set."""
    over = threading.Event()

    def getaddrinfo(*_):
        over.wait(GUARD)
        return [(AF_INET, SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(_resolve, "_getaddrinfo", getaddrinfo)
    yield over
    over.set()


def test_look_up(slow_look_up):
    """A look-up tells the name and its limit."""
    safesocket.configure(resolve=WHOLE)
    call = partial(safesocket.getaddrinfo, "db.internal", 5432)
    with a_wait(call, end=slow_look_up.set) as wait:
        assert (wait.operation, wait.phase) == ("getaddrinfo", "resolve")
        assert (wait.host, wait.port, wait.address) == ("db.internal", 5432, None)
        assert_limited(wait)
        assert str(wait).startswith("look up db.internal:5432 for ")


def test_look_up_for_connect(slow_look_up):
    """A look-up within another operation names that, too."""
    safesocket.configure(resolve=WHOLE)
    with (
        safesocket.socket() as sock,
        a_wait(sock.connect, ("db.internal", 5432), end=slow_look_up.set) as wait,
    ):
        assert (wait.operation, wait.phase) == ("connect", "resolve")
        assert str(wait).startswith("look up db.internal for connect to db.internal:5432 for ")
        assert_limited(wait)


@pytest.fixture(scope="module")
def net():
    """A network whose name server never answers."""
    if trouble := trouble_with_networks():
        pytest.skip(f"no network of its own: {trouble}")
    with network() as name:
        yield name


@pytest.mark.parametrize("limit", [None, 20])
def test_look_up_that_hangs(limit, net):
    """The C library's own wait is seen, on a thread for it and on the program's."""
    script = f"""
        socket.configure(resolve={limit})
        calls = {{
            "getaddrinfo": lambda: socket.getaddrinfo("stuck.example", 80),
            "gethostbyname": lambda: socket.gethostbyname("stuck.example"),
            "gethostbyaddr": lambda: socket.gethostbyaddr("10.0.0.1"),
            "connect": lambda: socket.socket().connect(("stuck.example", 80)),
        }}
        for name, call in calls.items():
            threading.Thread(target=call, name=name, daemon=True).start()
        while len(waits := socket.waiting()) < len(calls):
            time.sleep(0.001)
        print(json.dumps([wait.to_dict() for wait in waits]))
        sys.stdout.flush()
        os._exit(0)
    """
    process = run_in(net, script)
    assert process.stderr == ""
    waits = json.loads(process.stdout)
    assert {wait["thread"]: wait["operation"] for wait in waits} == {
        name: name for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr", "connect")
    }
    assert {wait["phase"] for wait in waits} == {"resolve"}
    assert {wait["host"] for wait in waits} == {"stuck.example", "10.0.0.1"}
    assert {wait["timeout"] for wait in waits} == {limit}


# TLS.


@safe_forms
@pytest.mark.parametrize("way", ["configure", "timeouts", "settimeout", "set_timeouts"])
def test_tls_read(form, way):
    """A read over TLS tells its limit, whoever keeps it: the kernel, poll, or C."""
    with form() as lib, tls_pair(lib) as (sock, peer):

        def read():
            with safesocket.timeouts(read=WHOLE) if way == "timeouts" else safesocket.timeouts():
                sock.recv(1)

        if way == "configure":
            safesocket.configure(read=WHOLE)
        elif way == "settimeout":
            sock.settimeout(WHOLE)
        elif way == "set_timeouts":
            safesocket.set_timeouts(sock, read=WHOLE)
        with a_wait(read, end=partial(peer.sendall, b"x")) as wait:
            assert (wait.operation, wait.phase, wait.port) == (
                "read",
                "read",
                peer.getsockname()[1],
            )
            assert_limited(wait, way)


@safe_forms
def test_block_of_who_looks(form):
    """A block around the look is not one around the wait."""
    safesocket.configure(read=WHOLE)
    with form() as lib, tls_pair(lib) as (sock, peer), calling(sock.recv, 1):
        with safesocket.timeouts(read=7), safesocket.deadline(8):
            assert_limited(until(here))
        peer.sendall(b"x")


@safe_forms
@pytest.mark.parametrize("mode", [None, WHOLE])
def test_tls_write(form, mode):
    """A write over TLS waits since the last record was taken."""
    safesocket.configure(write=WHOLE)
    with (
        form() as lib,
        tls_pair(lib, mode=mode) as (sock, _),
        a_wait(sock.sendall, MUCH, end=cut(sock)) as wait,
    ):
        assert (wait.operation, wait.phase) == ("sendall", "write")
        assert_limited(wait, "settimeout" if mode else "configure")


@safe_forms
def test_tls_server_waits_for_its_client(form):
    """Over TLS, too, a quiet client is healthy."""
    with (
        form() as lib,
        tls_pair(lib) as (sock, peer),
        a_wait(peer.recv, 1, end=partial(sock.sendall, b"x")) as wait,
    ):
        assert (wait.healthy, wait.left) == (True, None)


@safe_forms
@pytest.mark.parametrize("mode", [None, WHOLE])
def test_handshake(form, mode):
    """A handshake tells the name that the program wants."""
    safesocket.configure(handshake=WHOLE)
    with form() as lib, tcp(lib) as (near, far):
        if mode:
            near.settimeout(mode)
        with a_wait(wrapped, lib, near, False, end=cut(far)) as wait:
            assert (wait.operation, wait.phase) == ("do_handshake", "handshake")
            assert (wait.host, wait.address) == ("server.test", far.getsockname())
            assert_limited(wait, "settimeout" if mode else "configure")


@safe_forms
def test_unwrap(form):
    """A wait for the other side's goodbye."""
    safesocket.configure(handshake=WHOLE)
    with (
        form() as lib,
        rude_pair(lib) as (sock, peer),
        a_wait(sock.unwrap, end=cut(peer.sock)) as wait,
    ):
        assert (wait.operation, wait.phase) == ("unwrap", "read")
        assert_limited(wait)


# What is no wait.


@pytest.mark.parametrize("mode", [None, WHOLE])
def test_no_wait_where_data_is_ready(mode):
    """What is ready is not waited for, however often it is looked at.

    Of a call that C makes in any case nobody can tell that it has just ended, and in its next
    nobody takes it for the same.
    """
    with connected(mode=mode) as (sock, peer):
        over = threading.Event()

        def work():
            while not over.is_set():
                peer.send(b"x")
                sock.recv(1)

        with calling(work):
            found = [wait for _ in range(300) if (wait := here())]
            over.set()
    assert mode or not found
    # on a busy machine a thread may have to wait for its turn
    assert [wait for wait in found if (wait.elapsed or 0.0) > 10 * LIMIT] == []


@pytest.mark.parametrize("how", ["mode", "flag"])
def test_no_wait_of_what_does_not_block(how):
    """Neither a non-blocking socket nor MSG_DONTWAIT is waiting."""
    with connected(mode=0.0 if how == "mode" else None) as (sock, _):
        over = threading.Event()
        flags = socket.MSG_DONTWAIT if how == "flag" else 0

        def work():
            while not over.is_set():
                with suppress(BlockingIOError):
                    sock.recv(1, flags)

        with calling(work):
            found = [here() for _ in range(300)]
            over.set()
    assert found == [None] * 300


def test_socket_closed_meanwhile():
    """A socket that another thread closes in the middle of a wait makes no trouble."""
    with connected(mode=0.2) as (sock, _), a_wait(sock.recv, 1):
        sock.close()
        assert here() is None


# What looking leaves behind.


def test_nothing_is_kept():
    """After the wait, socket and buffer are free, however often it was looked at."""

    class Buffer(bytearray):
        pass

    def run(sock):
        buffer = Buffer(10)
        seen.append(weakref.ref(buffer))
        sock.recv_into(buffer)
        buffer.append(1)  # no view is left
        seen.append(weakref.ref(sock))

    seen = []
    with listening() as listener:
        sock = safesocket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        with peer, calling(run, sock) as future:
            waits = [until(here) for _ in range(10)]
            peer.send(b"x")
            future.result(GUARD)
            sock.close()
            del sock, future
    gc.collect()
    assert [one() for one in seen] == [None, None]
    assert len({wait.key for wait in waits}) == 1


def test_no_garbage(monkeypatch):
    """A look leaves nothing for the collector."""
    with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
        safesocket.waiting()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                safesocket.waiting()
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_look_at_many_threads():
    """All threads that wait are there, the longest wait first."""
    with testing.echoes() as address:
        socks = [safesocket.create_connection(address) for _ in range(50)]
        threads = [threading.Thread(target=sock.recv, args=(1,)) for sock in socks]
        for thread in threads:
            thread.start()
        until(lambda: len(safesocket.waiting()) == 50)
        waits = safesocket.waiting()
        for sock in socks:
            sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(GUARD)
        for sock in socks:
            sock.close()
    assert {wait.thread for wait in waits} == {thread.name for thread in threads}
    elapsed = [wait.elapsed for wait in waits]
    assert elapsed == sorted(elapsed, reverse=True)


def test_every_place_is_there():
    """What the table of places names is in the house."""
    for modules in _stacks.PLACES.values():
        for module, names in modules.items():
            there = importlib.import_module(f"safesocket.{module}")
            for name in names.split():
                function = reduce(getattr, name.split("."), there)
                assert isinstance(function.__code__, CodeType)
                assert (function.__module__, function.__qualname__) == (there.__name__, name)


@pytest.mark.parametrize("own", [None, BRIEF], ids=["safesocket waits", "C waits"])
def test_handler_of_a_signal(own, lib):
    """A handler sees the wait that it has interrupted: docs/on-call.md tells people to write one.

    That is the only wait of a program with one thread.
    """
    found = []

    def show_waits(signum, frame):
        found.extend(safesocket.waiting())

    def send_it():
        until(here)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, show_waits)
    try:
        with connected(lib) as (sock, _), suppress(TimeoutError), calling(send_it):
            safesocket.set_timeouts(sock, read=BRIEF)
            if own:
                sock.settimeout(own)
            sock.recv(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    [wait] = found
    assert (wait.operation, wait.phase) == ("recv", "read")
    assert wait.thread_id == threading.main_thread().ident
    assert "sock.recv(1)" in wait.line
    assert wait.timeout == BRIEF


def test_no_wait_below_who_looks():
    """Who calls waiting() does not wait; what safesocket calls may look, too."""
    found = []
    safesocket.configure(redact=lambda host: found.append(safesocket.waiting()) or host)
    with connected() as (sock, _), suppress(OSError):
        sock.setsockopt(-1, -1, 1)
        safesocket.set_timeouts(sock, read=LIMIT)
        sock.recv(1)
    assert not safesocket.waiting()
    assert not any(found)


# The Wait itself.


@pytest.fixture
def one():
    """A wait of a client."""
    with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)) as wait:
        pass
    return wait


def test_wait_is_a_value(one):
    """It is immutable, and travels."""
    with pytest.raises(AttributeError, match="immutable"):
        one.elapsed = 0
    with pytest.raises(AttributeError, match="immutable"):
        del one.elapsed
    again = pickle.loads(pickle.dumps(one))
    assert (str(again), again.key) == (str(one), one.key)
    assert repr(one) == f"<Wait: {one}>"
    facts = json.loads(json.dumps(one.to_dict()))
    assert facts["operation"] == "recv"
    assert facts["address"] == list(one.address)


def test_wait_in_words(one):
    """It is one sentence."""
    place = f"127.0.0.1:{one.port}"
    where = f"{one.filename}:{one.lineno} in run, thread {one.thread}"
    assert str(one) == (
        f"recv from {place} for {words(one.elapsed)}, {words(one.left)} more at most"
        f" (default read timeout 300 s), at {where}"
    )


def words(seconds):
    return _wording.duration(seconds)


@pytest.mark.parametrize("seen_before", [False, True])
def test_redacted(seen_before):
    """Hosts are shown as configure(redact=) has it when they are asked for."""
    redact = {"redact": lambda host: "somebody"}
    safesocket.configure(**({} if seen_before else redact))
    with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
        safesocket.configure(**redact)
        wait = here()
        assert (wait.host, wait.address[0], wait.local[0]) == ("somebody",) * 3
        assert "127.0.0.1" not in f"{wait} {wait.to_dict()}"
