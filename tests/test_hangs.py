"""No wait is endless: every operation x every peer that would make it hang x every way to limit it.

Each cell of the matrix ends within its limit and a quarter of a second, with the documented class
that says whose limit it was, and leaves the socket in the mode that the stdlib would have left.
"""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_UNIX, MSG_PEEK, MSG_WAITALL, SOCK_DGRAM
from typing import NamedTuple

import pytest

import safesocket
from safesocket import errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    calling,
    every_family,
    mode_of,
    needs_dontwait,
    needs_error_queue,
    put_receipt,
    tcp,
    within,
)
from tests.waits import (
    FLAGS,
    RECEIVING,
    WRITING,
    again_and_again,
    reading_stream,
)

pytestmark = pytest.mark.timeout(3, func_only=True)  # seconds; what hangs is cut off


# The ways to limit a wait.


class Way(NamedTuple):
    """One way: what errors call it, and the mode in which it leaves the socket."""

    source: str
    impose: object  # (stack, sock, name of the limit): for the socket, or while the stack is open
    mode: tuple = (False, None)


WAYS = [
    Way("configure", lambda stack, sock, name: safesocket.configure(**{name: LIMIT})),
    Way("settimeout", lambda stack, sock, name: sock.settimeout(LIMIT), (True, LIMIT)),
    Way("set_timeouts", lambda stack, sock, name: safesocket.set_timeouts(sock, **{name: LIMIT})),
    Way(
        "timeouts",
        lambda stack, sock, name: stack.enter_context(safesocket.timeouts(**{name: LIMIT})),
    ),
]

BY_BLOCK = WAYS[-1]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.source)


@contextmanager
def limited(way, sock, name):
    """Limit the waits in the block; check afterwards that the mode is what *way* makes it."""
    with ExitStack() as stack:
        way.impose(stack, sock, name)
        yield
        assert mode_of(sock) == way.mode


def assert_times_out(call, sock, way, name, operation):
    """Check that *call* on *sock* ends in time, and says what timed out and whose limit it was."""
    kind = {
        "read": errors.ReadTimeoutError,
        "write": errors.WriteTimeoutError,
        "connect": errors.ConnectTimeoutError,
    }[name]
    raises = pytest.raises(TimeoutError, match=r"^timed out: ")
    with limited(way, sock, name), within(LIMIT, at_least=LIMIT), raises as it:
        call(sock)
    error = it.value
    assert type(error) is kind
    assert (error.operation, error.timeout) == (operation, LIMIT)
    assert error.timeout_source == way.source
    assert (error.errno, error.args) == (None, ("timed out",))
    assert (error.__context__, error.__cause__) == (None, None)
    assert LIMIT <= error.elapsed + 0.001 < LIMIT + 0.25


# The operations.


def receiving(*suffixes):
    """Return all receiving calls with the flags named."""
    return [
        pytest.param(name, partial(call, FLAGS[suffix]), id=name + suffix)
        for suffix in suffixes
        for name, call in RECEIVING.items()
    ]


#: the operation that the error names, and the call
READS = [
    *receiving(""),
    pytest.param("recv_into", reading_stream("read", 9), id="makefile-read"),
    pytest.param("recv_into", reading_stream("readline"), id="makefile-readline"),
]
READS_WITH_FLAGS = receiving("-waitall", "-peek", "-waitall-peek")

WRITES = [pytest.param(operation, call, id=name) for name, (operation, call) in WRITING.items()]


# Streams.


@every_way
@every_family
@pytest.mark.parametrize(("operation", "call"), READS)
def test_read_from_silence(operation, call, family, way):
    """A server that says nothing does not keep a reader waiting."""
    with testing.never_answers(family) as address, safesocket.socket(family) as sock:
        sock.connect(address)
        assert_times_out(call, sock, way, "read", operation)


@every_way
@pytest.mark.parametrize(("operation", "call"), READS_WITH_FLAGS)
def test_read_with_flags_from_silence(operation, call, way):
    """Nor one that asks for all, or only looks."""
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        assert_times_out(call, sock, way, "read", operation)


@every_way
def test_recv_fds_from_silence(way):
    """Nor one that waits for descriptors."""
    with testing.never_answers(AF_UNIX) as address, safesocket.socket(AF_UNIX) as sock:
        sock.connect(address)
        call = partial(safesocket.recv_fds, bufsize=9, maxfds=1)
        assert_times_out(call, sock, way, "read", "recvmsg")


@every_way
@every_family
@pytest.mark.parametrize("method", ["read", "readline"])
def test_read_stream_from_drip(method, family, way):
    """A server that goes silent in the middle of a line does not keep its reader waiting."""
    with testing.drips(GUARD, family) as address, safesocket.socket(family) as sock:
        sock.connect(address)
        assert sock.recv(9, MSG_PEEK) == b"."
        assert_times_out(reading_stream(method, 9), sock, way, "read", "recv_into")


@every_way
@pytest.mark.parametrize("flags", [MSG_WAITALL, MSG_WAITALL | MSG_PEEK], ids=["read", "peek"])
@pytest.mark.parametrize("name", RECEIVING)
def test_read_whole_from_drip(name, flags, way):
    """MSG_WAITALL gives up on the rest in time, and hands over what has come."""
    with testing.drips(GUARD) as address, safesocket.create_connection(address) as sock:
        assert sock.recv(9, MSG_PEEK) == b"."
        with limited(way, sock, "read"), within(LIMIT):
            assert RECEIVING[name](flags, sock) in (1, b".")


@every_way
@every_family
@pytest.mark.parametrize(("operation", "call"), WRITES)
def test_write_to_stuck_reader(operation, call, family, way):
    """A server that has stopped reading does not keep a writer waiting."""
    with testing.stops_reading(1000, family) as address, safesocket.socket(family) as sock:
        sock.connect(address)
        assert_times_out(call, sock, way, "write", operation)


@every_way
@tcp
def test_sendto_stuck_reader(family, way):
    """Nor does it with sendto on a stream, where the address means nothing."""
    with testing.stops_reading(family=family) as address, safesocket.socket(family) as sock:
        sock.connect(address)
        call = again_and_again(lambda sock: sock.sendto(MUCH, address))
        assert_times_out(call, sock, way, "write", "sendto")


@every_way
def test_send_fds_to_stuck_reader(way):
    """Nor does it with descriptors."""
    with testing.stops_reading(family=AF_UNIX) as address, safesocket.socket(AF_UNIX) as sock:
        sock.connect(address)
        call = again_and_again(lambda sock: safesocket.send_fds(sock, [MUCH], [sock.fileno()]))
        assert_times_out(call, sock, way, "write", "sendmsg")


# Datagrams.


@every_way
@every_family
@pytest.mark.parametrize(("operation", "call"), receiving("", "-waitall"))
def test_read_from_silent_udp(operation, call, family, way):
    """A datagram that gets no answer does not keep a client waiting."""
    with testing.silent_udp(family) as address, safesocket.socket(family, SOCK_DGRAM) as sock:
        sock.connect(address)
        sock.send(b"anybody there?")
        assert_times_out(call, sock, way, "read", operation)


@every_way
@tcp
@pytest.mark.parametrize("name", ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"])
def test_read_from_silent_udp_unconnected(name, family, way):
    """Nor if the client never connected."""
    with testing.silent_udp(family) as address, safesocket.socket(family, SOCK_DGRAM) as sock:
        sock.sendto(b"anybody there?", address)
        assert_times_out(partial(RECEIVING[name], 0), sock, way, "read", name)


@every_way
@pytest.mark.parametrize("name", ["send", "sendall", "sendmsg"])
def test_write_to_full_unix_datagram_server(name, way):
    """A datagram server at a path that reads nothing does not keep its clients waiting."""
    message = [b"message"] if name == "sendmsg" else b"message"
    with testing.silent_udp(AF_UNIX) as address, safesocket.socket(AF_UNIX, SOCK_DGRAM) as sock:
        sock.connect(address)
        call = again_and_again(lambda sock: getattr(sock, name)(message))
        assert_times_out(call, sock, way, "write", name)


@every_way
@pytest.mark.parametrize(
    ("name", "args"), [("sendto", (b"message",)), ("sendmsg", ([b"message"], (), 0))]
)
def test_write_to_full_unix_datagram_server_unconnected(name, args, way):
    """Nor those that never connected, as a logger does."""
    with testing.silent_udp(AF_UNIX) as address, safesocket.socket(AF_UNIX, SOCK_DGRAM) as sock:
        call = again_and_again(lambda sock: getattr(sock, name)(*args, address))
        assert_times_out(call, sock, way, "write", name)


# Connecting.


@every_way
@every_family
def test_connect_to_full_backlog(family, way):
    """A server that accepts nobody does not keep its clients waiting."""
    with testing.never_accepts(family) as address, safesocket.socket(family) as sock:
        assert_times_out(lambda sock: sock.connect(address), sock, way, "connect", "connect")


@every_way
@every_family
def test_connect_ex_to_full_backlog(family, way):
    """connect_ex says ETIMEDOUT of our limits; of a settimeout EAGAIN, as the stdlib does."""
    with testing.never_accepts(family) as address, safesocket.socket(family) as sock:
        expected = errno.EAGAIN if way.source == "settimeout" else errno.ETIMEDOUT
        with limited(way, sock, "connect"), within(LIMIT):
            assert sock.connect_ex(address) == expected


@tcp
@pytest.mark.parametrize("source", ["configure", "timeouts", "create_connection", "settimeout"])
def test_create_connection_to_full_backlog(source, family):
    """create_connection gives up in time, whoever has set the limit."""
    with testing.never_accepts(family) as address, ExitStack() as stack:
        connect = partial(safesocket.create_connection, address)
        if source == "configure":
            safesocket.configure(connect=LIMIT)
        elif source == "timeouts":
            stack.enter_context(safesocket.timeouts(connect=LIMIT))
        elif source == "create_connection":
            connect = partial(connect, timeout=LIMIT)
        else:
            socket.setdefaulttimeout(LIMIT)
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.ConnectTimeoutError) as it:
            connect()
    assert (it.value.operation, it.value.timeout) == ("connect", LIMIT)
    assert it.value.timeout_source == source


# Readiness that is none.


def refused_before(sock):
    """Make *sock* one whose error queue holds a refused datagram, so that poll() always returns."""
    with socket.socket(type=SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        sock.connect(nobody.getsockname())
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR, ip(7)
    sock.send(b"anybody there?")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(9)


@needs_error_queue
@pytest.mark.parametrize("name", RECEIVING)
def test_read_beside_error_queue(name):
    """What waits in the error queue looks like data to poll(): the wait ends all the same."""
    with safesocket.socket(AF_INET, SOCK_DGRAM) as sock:
        refused_before(sock)
        assert_times_out(partial(RECEIVING[name], 0), sock, BY_BLOCK, "read", name)


@needs_error_queue
@pytest.mark.parametrize(("operation", "call"), READS + READS_WITH_FLAGS)
def test_read_beside_receipt(operation, call):
    """The same on a stream, whose error queue holds the receipt of a zero-copy send."""
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        put_receipt(sock)
        assert_times_out(call, sock, BY_BLOCK, "read", operation)


@needs_error_queue
@pytest.mark.parametrize(("operation", "call"), WRITES)
def test_write_beside_receipt(operation, call):
    """The same for writes."""
    with testing.stops_reading(1000) as address, safesocket.create_connection(address) as sock:
        put_receipt(sock)
        assert_times_out(call, sock, BY_BLOCK, "write", operation)


@pytest.mark.parametrize("threads", [3])
def test_recv_waitall_peek_in_busy_process(threads):
    """Threads that leave the waiting one no time do not make it miss the end of its limit."""
    idle = threading.Event()

    def spin():
        while not idle.is_set():
            pass

    with testing.drips(GUARD) as address, ExitStack() as stack:
        sock = stack.enter_context(safesocket.create_connection(address))
        assert sock.recv(9, MSG_PEEK) == b"."
        for _ in range(threads):
            stack.enter_context(calling(spin))
        stack.callback(idle.set)
        safesocket.set_timeouts(sock, read=LIMIT)
        assert [sock.recv(9, MSG_WAITALL | MSG_PEEK) for _ in range(10)] == [b"."] * 10


# Systems without MSG_DONTWAIT.

CHECKOUT = Path(__file__).parents[1]
OPERATIONS = "reading writing connecting serving stream".split()
# Windows has no sendmsg either, and what it finds wrong with arguments it finds itself.
CHOSEN = "not stdlib and not bad_arguments and not sendmsg and not waitall"
OPTIONS = ["-q", "-p", "no:cacheprovider", "-k", CHOSEN]
WITHOUT_DONTWAIT = """
import _socket, socket, sys
del _socket.MSG_DONTWAIT, socket.MSG_DONTWAIT
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@needs_dontwait
@pytest.mark.timeout(120, func_only=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_without_dontwait(name):
    """Where there is no MSG_DONTWAIT, as on Windows, the operations hold what they promise."""
    command = [sys.executable, "-c", WITHOUT_DONTWAIT, *OPTIONS, f"tests/test_{name}.py"]
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
