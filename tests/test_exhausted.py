"""What has run out: descriptors, threads, memory, the stack. Never worse than the stdlib.

Each in an interpreter of its own, where nothing has failed before: what is needed to tell of a
failure must not be fetched then.
"""

from __future__ import annotations

import errno
import socket as stdlib

import pytest

import safesocket
from safesocket import _lookups
from tests.helpers import GUARD, printed

LIBS = {
    "drop-in": "import socket as plain, safesocket as socket",
    "installed": "import socket as plain, socket, safesocket; safesocket.install()",
}
every_way = pytest.mark.parametrize("lib", LIBS.values(), ids=LIBS)

# --- Descriptors -------------------------------------------------------------------------------

#: what is there before the last descriptor is taken
BEFORE = """
import os, resource, sys
listener = plain.create_server(("127.0.0.1", 0))
client = plain.create_connection(listener.getsockname())
listener_of_ours = socket.create_server(("127.0.0.1", 0))
waiting = plain.create_connection(listener_of_ours.getsockname())
unconnected = socket.socket()

def exhaust():
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        return taken

resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
taken = exhaust()
"""
#: what is called -> the errno that comes out; the stdlib's is the same
WITHOUT_DESCRIPTORS = {
    "socket.socket()": errno.EMFILE,
    "socket.create_connection(listener.getsockname())": errno.EMFILE,
    "socket.create_connection(listener.getsockname(), 1)": errno.EMFILE,
    'socket.create_server(("127.0.0.1", 0))': errno.EMFILE,
    "socket.socketpair()": errno.EMFILE,
    "listener_of_ours.accept()": errno.EMFILE,
    "unconnected.dup()": errno.EMFILE,
    "socket.dup(0)": errno.EMFILE,
    "socket.fromfd(0, socket.AF_INET, socket.SOCK_STREAM)": errno.EMFILE,
    'unconnected.connect(("127.0.0.1", 1))': errno.ECONNREFUSED,
    "unconnected.recv(1)": errno.ENOTCONN,
    'socket.getaddrinfo("x", 1, 0, 0, 0, socket.AI_NUMERICHOST)': stdlib.EAI_NONAME,
}


@every_way
@pytest.mark.parametrize("call", WITHOUT_DESCRIPTORS)
def test_without_descriptors(lib, call):
    """With none left the first failure of the process is told whole, hint and all."""
    script = f"""
try:
    {call}
except OSError as exc:
    error = exc
said = str(error), error.fingerprint, error.to_dict()
for fd in taken:
    os.close(fd)
from safesocket.errors import SafeSocketError
print(isinstance(error, SafeSocketError), error.errno, bool(error.hint), error.strerror in said[0])
"""
    said = printed("\n".join((lib, BEFORE, script)))
    assert said == f"True {WITHOUT_DESCRIPTORS[call]} True True"


@every_way
def test_look_up_without_descriptors(lib):
    """The C library's own trouble: the same error as the stdlib's."""
    script = """
def seen(look_up):
    try:
        return bool(look_up("localhost", 1))
    except OSError as exc:
        return exc.args
ours = seen(socket.getaddrinfo)
if socket is plain:
    safesocket.uninstall()
theirs = seen(plain.getaddrinfo)
for fd in taken:
    os.close(fd)
print(ours == theirs)
"""
    assert printed("\n".join((lib, BEFORE, script))) == "True"


@pytest.mark.parametrize(
    "lib", ["safesocket.ssl as ssl", "ssl, safesocket; safesocket.install()"], ids=LIBS
)
def test_tls_without_descriptors(lib):
    """A handshake with who does not speak TLS: the error's classes are there already."""
    script = f"""
import socket as plain, socket
import {lib}
{BEFORE.replace("taken = exhaust()", "")}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
peer, _ = listener.accept()
peer.sendall(b"HTTP/1.1 400 Bad Request" * 10)
tls = context.wrap_socket(client, do_handshake_on_connect=False)
taken = exhaust()
try:
    tls.do_handshake()
except ssl.SSLError as exc:
    error = exc
for fd in taken:
    os.close(fd)
print(type(error).__name__, error.reason)
"""
    assert printed(script, "-W", "ignore") == "HandshakeError WRONG_VERSION_NUMBER"


# --- Threads -----------------------------------------------------------------------------------


@every_way
def test_without_threads(lib):
    """Where no thread can be had, look-ups are made on the caller's own."""
    script = """
import threading
threading.stack_size(1 << 46)  # bytes: more than there are addresses
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("no threads")
print(bool(socket.getaddrinfo("localhost", 1)), socket.gethostbyname("localhost"))
try:
    socket.create_connection(("localhost", 1))
except ConnectionRefusedError as exc:
    print(exc.host)
"""
    said = printed("\n".join((lib, script)))
    assert said.split() == ["no", "threads", "True", "127.0.0.1", "localhost"]


# --- The stack ---------------------------------------------------------------------------------


def test_at_the_end_of_the_stack():
    """A call that fails with RecursionError leaves the socket as it was, and nothing behind."""
    script = """
import collections, gc, os, sys
import safesocket

def deep(left, call):
    return call() if left == 0 else deep(left - 1, call)

def depth():
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count

def open_files():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

def ends(call):
    seen = collections.Counter()
    for left in range(3, 80):
        with safesocket.socket() as sock:
            try:
                deep(sys.getrecursionlimit() - depth() - left, lambda: call(sock))
                seen["returned"] += 1
            except (RecursionError, ConnectionRefusedError, TimeoutError) as exc:
                seen["deep" if isinstance(exc, RecursionError) else "told"] += 1
            assert sock.gettimeout() is None, left
    return seen

def read(sock):
    safesocket.set_timeouts(sock, read=0.001)
    sock.connect(listener.getsockname())
    sock.recv(1)

listener = safesocket.create_server(("127.0.0.1", 0), backlog=200)
before = open_files()
for call in (
    lambda sock: sock.connect(("127.0.0.1", 1)),
    lambda sock: sock.connect(("localhost", 1)),
    lambda _: safesocket.create_connection(("127.0.0.1", 1)),
    lambda _: safesocket.create_connection(("localhost", 1), 1),
    read,
):
    seen = ends(call)
    assert seen["deep"] and seen["told"] and not seen["returned"], seen
print(open_files() - before)
"""
    assert printed(script) == "0"


# --- Memory ------------------------------------------------------------------------------------


@every_way
def test_more_than_there_is_memory_for(lib):
    """A buffer that cannot be had is MemoryError, as of the stdlib; what had come stays."""
    script = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
TOO_MUCH = 1 << 40
listener = plain.create_server(("127.0.0.1", 0))
for net in (plain, socket):
    sock = net.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    peer.sendall(b"data")
    for read in (sock.recv, sock.recvfrom, sock.recvmsg):
        try:
            read(TOO_MUCH)
        except MemoryError:
            print(read.__name__, end=" ")
    print(sock.gettimeout(), sock.recv(4), end="; ")
"""
    once = "recv recvfrom recvmsg None b'data'"
    assert printed("\n".join((lib, script)), "-W", "ignore") == f"{once}; {once};"


@pytest.mark.parametrize("place", ["_translate._like", "_translate.tell", "_failing.route_of"])
def test_no_memory_to_tell_of_a_failure(monkeypatch, place):
    """MemoryError comes, behind it the failure; the socket is as it was."""

    def fail(*_, **__):
        raise MemoryError

    with safesocket.socket() as sock:
        monkeypatch.setattr(f"safesocket.{place}", fail)
        with pytest.raises(MemoryError) as it:
            sock.connect(("127.0.0.1", 1))
        monkeypatch.undo()
        assert isinstance(it.value.__context__, ConnectionRefusedError)
        assert sock.gettimeout() is None
        with pytest.raises(ConnectionRefusedError):
            sock.connect(("127.0.0.1", 1))


def test_no_memory_to_word_a_hint(monkeypatch):
    """The failure is told without words; who asks for them gets MemoryError, and them later."""

    def fail(*_):
        raise MemoryError

    with safesocket.socket() as sock:
        monkeypatch.setattr("safesocket._hints._by_kind", fail)
        with pytest.raises(ConnectionRefusedError) as it:
            sock.connect(("127.0.0.1", 1))
        with pytest.raises(MemoryError):
            str(it.value.__notes__)
        monkeypatch.undo()
        assert it.value.__notes__ == [f"Hint: {it.value.hint}"]


def test_a_look_up_waits_for_memory(monkeypatch):
    """A thread that finds no memory to hand the answer over does so when there is some."""
    pool = _lookups._pool
    finish, failures = pool.finish, [MemoryError, MemoryError]

    def fail_first(*args):
        if failures:
            raise failures.pop()
        finish(*args)

    monkeypatch.setattr(_lookups, "_LINGER", 0.001)
    monkeypatch.setattr(pool, "finish", fail_first)
    assert _lookups.answer(GUARD, str, 5) == "5"
    assert failures == []


# --- Time: no thread of the look-ups' is lost ----------------------------------------------------


class Bell:
    """Rings in the moment in which somebody asks the next thing."""

    def __init__(self, call):
        self.release = call

    def locked(self):
        return True


def test_a_question_in_the_last_moment_loses_no_thread():
    """Who asks as soon as an answer is there may be given the thread that still hands it over."""
    pool = _lookups._Pool()
    asked = []

    def ask_again():
        asked.append(pool.ask(str, (2,)))

    begin = _lookups._new_lock()
    begin.acquire()
    first = pool.ask(begin.acquire, ())
    first.lookup.bells.append(Bell(ask_again))
    begin.release()
    assert first.answered(GUARD)
    assert asked[0].answered(GUARD)
    third = pool.ask(str, (3,))
    assert third.answered(GUARD)
    assert third.outcome() == "3"
