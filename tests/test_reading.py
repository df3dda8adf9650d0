"""Reading: what the stdlib's sockets give, ours give, in all three modes; and no wait breaks.

The oracle is the stdlib: most tests run once on its sockets and once on ours. What only ours do
(limits, documented errors) comes after. That waits end in time is test_hangs' matter.
"""

from __future__ import annotations

import array
import ctypes
import errno
import inspect
import os
import socket
import struct
import sys
from contextlib import ExitStack
from functools import partial, reduce
from itertools import chain, combinations
from operator import or_
from socket import AF_INET, AF_UNIX, MSG_OOB, MSG_PEEK, MSG_WAITALL, SOCK_SEQPACKET

import pytest

import safesocket
from safesocket import _route, errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MODES,
    as_the_stdlib,
    assert_bare,
    calling,
    connected,
    counted_alarms,
    datagrams,
    descriptors,
    every_family,
    every_mode,
    every_stop,
    garbage,
    later,
    mode_of,
    needs_alarm,
    needs_dontwait,
    needs_error_queue,
    outcome,
    put_receipt,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    skip_if_traced,
    still_waits,
    stopped_by,
    tcp,
    within,
)

pytestmark = pytest.mark.timeout(5, func_only=True)  # seconds; what hangs is cut off

MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0)
WAITALL_PEEK = MSG_WAITALL | MSG_PEEK
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


# The operations, each as a function that returns the data alone.


def recv_into(sock, size, flags=0):
    buffer = bytearray(size)
    return bytes(buffer[: sock.recv_into(buffer, size, flags)])


def recvfrom_into(sock, size, flags=0):
    buffer = bytearray(size)
    return bytes(buffer[: sock.recvfrom_into(buffer, size, flags)[0]])


def recvmsg_into(sock, size, flags=0):
    buffers = [bytearray(size // 2), bytearray(size - size // 2)]
    count, *_ = sock.recvmsg_into(buffers, 0, flags)
    return b"".join(buffers)[:count]


READS = {
    "recv": lambda sock, size, flags=0: sock.recv(size, flags),
    "recv_into": recv_into,
    "recvfrom": lambda sock, size, flags=0: sock.recvfrom(size, flags)[0],
    "recvfrom_into": recvfrom_into,
    "recvmsg": lambda sock, size, flags=0: sock.recvmsg(size, 0, flags)[0],
    "recvmsg_into": recvmsg_into,
}

#: The same with all that they return, to compare.
RAW = {
    "recv": lambda sock, size, flags: sock.recv(size, flags),
    "recv_into": lambda sock, size, flags: sock.recv_into(bytearray(size), 0, flags),
    "recvfrom": lambda sock, size, flags: sock.recvfrom(size, flags),
    "recvfrom_into": lambda sock, size, flags: sock.recvfrom_into(bytearray(size), 0, flags),
    "recvmsg": lambda sock, size, flags: sock.recvmsg(size, 100, flags),
    "recvmsg_into": lambda sock, size, flags: sock.recvmsg_into([bytearray(size)], 100, flags),
}

every_read = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
every_raw_read = pytest.mark.parametrize("read", RAW.values(), ids=RAW.keys())
every_wait = pytest.mark.parametrize(
    "flags",
    [0, MSG_WAITALL, MSG_PEEK, WAITALL_PEEK],
    ids=["plain", "waitall", "peek", "waitall-peek"],
)
waiting_modes = pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])


# Data there, data coming, no more data.


@as_the_stdlib
@every_read
@every_mode
@every_family
def test_read_what_is_there(lib, read, mode, family):
    """What has arrived is read at once, in pieces as large as asked for."""
    with connected(lib, family, mode=mode) as (sock, peer):
        peer.sendall(b"hello")
        assert [read(sock, 2), read(sock, 2, MSG_PEEK), read(sock, 9)] == [b"he", b"ll", b"llo"]


@as_the_stdlib
@every_read
@every_wait
@waiting_modes
def test_read_what_is_coming(lib, read, flags, mode):
    """What arrives during the wait is read."""
    with connected(lib, mode=mode) as (sock, peer):
        with later(LIMIT, peer.sendall, b"hello"):
            assert read(sock, 5, flags) == b"hello"
        assert mode_of(sock) == (mode is not None, mode)


@as_the_stdlib
@every_read
@every_wait
@every_mode
def test_read_at_the_end(lib, read, flags, mode):
    """The end of the connection is b"", over and over."""
    with connected(lib, mode=mode) as (sock, peer):
        peer.shutdown(socket.SHUT_WR)
        assert [read(sock, 5, flags) for _ in range(3)] == [b""] * 3


@as_the_stdlib
@every_read
@every_wait
@waiting_modes
def test_read_to_the_end(lib, read, flags, mode):
    """What came before the end is not lost, though it is less than asked for."""
    with connected(lib, mode=mode) as (sock, peer):
        peer.sendall(b"hell")
        peer.shutdown(socket.SHUT_WR)
        assert read(sock, 5, flags) == b"hell"


@as_the_stdlib
@every_raw_read
@every_mode
def test_read_after_reset(lib, read, mode):
    """A reset is the ConnectionResetError that it was, and after it comes the end."""
    with connected(lib, mode=mode) as (sock, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.close()
        reset = (ConnectionResetError, errno.ECONNRESET, (104, "Connection reset by peer"))
        assert outcome(read, sock, 5, 0) == reset
        assert sock.recv(5) == b""


@as_the_stdlib
@every_read
@every_mode
def test_read_datagrams(lib, read, mode):
    """Datagrams come one by one, empty ones too, and are cut where they do not fit."""
    with datagrams(lib, mode=mode) as (sock, peer):
        for message in (b"first", b"", b"second", b"third"):
            peer.send(message)
        assert [read(sock, 9), read(sock, 9)] == [b"first", b""]
        assert [read(sock, 3), read(sock, 9, MSG_WAITALL)] == [b"sec", b"third"]


@as_the_stdlib
@every_read
@pytest.mark.parametrize("flags", [0, MSG_WAITALL], ids=["plain", "waitall"])
def test_read_datagram_that_is_coming(lib, read, flags):
    """A datagram ends a wait, whole or not."""
    with datagrams(lib) as (sock, peer), later(LIMIT, peer.send, b"hello"):
        assert read(sock, 9, flags) == b"hello"


@as_the_stdlib
@every_read
@every_mode
def test_read_messages_of_a_connection(lib, read, mode):
    """SOCK_SEQPACKET keeps the bounds of messages."""
    with connected(lib, AF_UNIX, SOCK_SEQPACKET, mode) as (sock, peer):
        peer.send(b"first")
        peer.send(b"second")
        assert [read(sock, 9, MSG_WAITALL), read(sock, 9)] == [b"first", b"second"]


# Every flag, and everything that is returned.

FLAGS = [
    getattr(socket, name)
    for name in "MSG_DONTWAIT MSG_PEEK MSG_WAITALL MSG_OOB MSG_ERRQUEUE MSG_TRUNC".split()
    if hasattr(socket, name)
]
COMBINATIONS = [
    reduce(or_, chosen, 0)
    for chosen in chain.from_iterable(combinations(FLAGS, n) for n in range(len(FLAGS) + 1))
]


def comparable(result, sender):
    """Return *result* without ports, and without bytes that MSG_TRUNC leaves unwritten."""
    if result == sender:
        return "the sender"
    if isinstance(result, bytes):
        return len(result)
    return [comparable(part, sender) for part in result] if type(result) is tuple else result


def with_every_flag(lib, pair, read, mode):
    """Return what all combinations of flags make of five bytes, of which four are asked for."""
    found = {}
    for flags in COMBINATIONS:
        if mode and flags & MSG_ERRQUEUE:  # poll() says ready, and the wait is for ever
            continue
        with pair(lib, mode=mode) as (sock, peer):
            peer.send(b"hello")
            first = outcome(read, sock, 4, flags)
            sock.settimeout(0)
            left = outcome(sock.recv, 9)
            found[flags] = comparable((first, left), peer.getsockname())
    return found


@every_raw_read
@every_mode
@pytest.mark.parametrize("pair", [connected, datagrams])
def test_read_with_flags(pair, read, mode):
    """Whatever flags are given, the result is the stdlib's, and so is what is left to read."""
    theirs = with_every_flag(socket, pair, read, mode)
    assert with_every_flag(safesocket, pair, read, mode) == theirs


@as_the_stdlib
@every_read
@every_mode
def test_read_out_of_band(lib, read, mode):
    """Urgent data is read by MSG_OOB, and is not in the way of the rest."""
    with connected(lib, mode=mode) as (sock, peer):
        peer.sendall(b"before")
        peer.send(b"!", MSG_OOB)
        peer.sendall(b"after")
        assert [read(sock, 9), read(sock, 1, MSG_OOB), read(sock, 9)] == [b"before", b"!", b"after"]


@as_the_stdlib
@every_mode
@pytest.mark.parametrize("family", [AF_INET, AF_UNIX], ids=["ipv4", "unix"])
def test_recvfrom_address(lib, mode, family):
    """The address of a datagram's sender is returned, and filled in whatever the way to read it."""
    with datagrams(lib, family, mode=mode) as (sock, peer):
        for _ in range(4):
            peer.send(b"hello")
        sender = peer.getsockname()
        assert sock.recvfrom(9) == (b"hello", sender)
        assert sock.recvfrom_into(bytearray(9)) == (5, sender)
        assert sock.recvmsg(9)[3] == sock.recvmsg_into([bytearray(9)])[3] == sender


@as_the_stdlib
@waiting_modes
@every_wait
def test_recvmsg_descriptors(lib, mode, flags):
    """Descriptors come with the bytes that they were sent with, and end a MSG_WAITALL."""
    with connected(lib, AF_UNIX, mode=mode) as (sock, peer):
        socket.send_fds(peer, [b"abc"], [peer.fileno()])
        peer.send(b"def")
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, [(level, kind, payload)], _, _ = sock.recvmsg(3 if flags else 6, room, flags)
        with socket.socket(fileno=array.array("i", payload)[0]) as copy:
            assert copy.getsockname() == peer.getsockname()
        assert (data, level, kind) == (b"abc", socket.SOL_SOCKET, socket.SCM_RIGHTS)
        if flags & MSG_PEEK:
            safesocket.recv_fds(sock, 3, 0)
        assert sock.recv(9) == b"def"


@as_the_stdlib
@waiting_modes
@every_wait
def test_recvmsg_into_generator(lib, mode, flags):
    """Buffers may come out of a generator, though the first try finds nothing."""
    buffers = [bytearray(2), bytearray(0), bytearray(3)]
    with connected(lib, mode=mode) as (sock, peer), later(LIMIT, peer.sendall, b"hello"):
        count, *_ = sock.recvmsg_into((buffer for buffer in buffers), 0, flags)
    assert (count, buffers) == (5, [b"he", b"", b"llo"])


@as_the_stdlib
@every_mode
@every_wait
@pytest.mark.parametrize("method", ["recv_into", "recvfrom_into"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(8),
        lambda: array.array("i", [0, 0]),
        ctypes.c_int32 * 2,
        lambda: memoryview(bytearray(12))[2:10],
    ],
    ids=["bytearray", "array", "ctypes", "memoryview"],
)
def test_recv_into_any_buffer(lib, mode, flags, method, make):
    """Any writable buffer will do, whatever its items are; a part of it if so asked."""
    buffer = make()
    with connected(lib, mode=mode) as (sock, peer):
        peer.sendall(b"12345678")
        assert getattr(sock, method)(buffer, 0, flags) in (8, (8, None))
        assert bytes(buffer) == b"12345678"
        peer.sendall(b"12345678")
        assert getattr(sock, method)(buffer, nbytes=3, flags=flags) in (3, (3, None))


# Bad arguments, bad sockets.

WRONG = {
    "recv-nothing": lambda sock: sock.recv(),
    "recv-text": lambda sock: sock.recv("1"),
    "recv-float": lambda sock: sock.recv(1.0),
    "recv-huge": lambda sock: sock.recv(1 << 70),
    "recv-keyword": lambda sock: sock.recv(bufsize=1),
    "recv-flags": lambda sock: sock.recv(1, None),
    "recv_into-text": lambda sock: sock.recv_into("1"),
    "recv_into-split": lambda sock: sock.recv_into(memoryview(bytearray(8))[::2]),
    "recv_into-nothing": lambda sock: sock.recv_into(),
    "recvfrom-nothing": lambda sock: sock.recvfrom(),
    "recvmsg-ancillary": lambda sock: sock.recvmsg(1, -1),
    "recvmsg-ancillary-huge": lambda sock: sock.recvmsg(1, 1 << 40),
    "recvmsg_into-none": lambda sock: sock.recvmsg_into(None),
    "recvmsg_into-bytes": lambda sock: sock.recvmsg_into(b"12"),
    **(
        {"recvmsg_into-too-many": lambda sock: sock.recvmsg_into([bytearray(1)] * 2000)}
        if hasattr(socket, "MSG_DONTWAIT")
        else {}  # the wait comes before the call
    ),
}
#: Those that a flag might lead another way.
WRONG_WITH_FLAGS = {
    "recv-zero": lambda sock, flags: sock.recv(0, flags),
    "recv-negative": lambda sock, flags: sock.recv(-1, flags),
    "recvfrom-negative": lambda sock, flags: sock.recvfrom(-1, flags),
    "recv_into-empty": lambda sock, flags: sock.recv_into(bytearray(), 0, flags),
    "recv_into-negative": lambda sock, flags: sock.recv_into(bytearray(1), -1, flags),
    "recv_into-too-many": lambda sock, flags: sock.recv_into(bytearray(1), 2, flags),
    "recv_into-bytes": lambda sock, flags: sock.recv_into(b"12", 0, flags),
    "recvfrom_into-too-many": lambda sock, flags: sock.recvfrom_into(bytearray(1), 2, flags),
    "recvmsg-negative": lambda sock, flags: sock.recvmsg(-1, 0, flags),
    "recvmsg_into-bytes": lambda sock, flags: sock.recvmsg_into([b"12"], 0, flags),
}
WRONG_CALLS = [
    *[pytest.param(call, id=name) for name, call in WRONG.items()],
    *[
        pytest.param(partial(lambda call, flags, sock: call(sock, flags), call, flags), id=name)
        for name, call in WRONG_WITH_FLAGS.items()
        for flags, name in [(0, name), (MSG_WAITALL, f"{name}-waitall"), (MSG_PEEK, f"{name}-peek")]
    ],
]


@pytest.mark.parametrize("call", WRONG_CALLS)
@pytest.mark.parametrize("mode", [None, LIMIT, 0.0], ids=MODES)
def test_read_bad_arguments(call, mode):
    """What the stdlib finds wrong with a call is wrong here, in the same way and as soon."""

    def ends(lib):
        with connected(lib, mode=mode) as (sock, _):
            return outcome(call, sock)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@every_raw_read
@every_wait
@every_mode
def test_read_on_closed_socket(lib, read, flags, mode):
    """A closed socket is EBADF."""
    with connected(lib, mode=mode) as (sock, _):
        sock.close()
        assert outcome(read, sock, 5, flags) == (OSError, errno.EBADF, (9, "Bad file descriptor"))


@as_the_stdlib
@every_raw_read
@every_wait
@every_mode
def test_read_unconnected(lib, read, flags, mode):
    """A stream that is not connected is ENOTCONN, at once."""
    with lib.socket() as sock:
        sock.settimeout(mode)
        assert outcome(read, sock, 5, flags)[:2] == (OSError, errno.ENOTCONN)


# Non-blocking, whoever made it so.


@as_the_stdlib
@every_raw_read
@every_wait
def test_read_nonblocking(lib, read, flags):
    """A non-blocking socket with nothing to read gives the bare BlockingIOError of the stdlib."""
    with connected(lib, mode=0) as (sock, _), pytest.raises(BlockingIOError) as it:
        read(sock, 5, flags)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_raw_read
def test_read_nonblocking_reset(lib, read):
    """Whatever else befalls a non-blocking socket is bare, too: event loops compare texts."""
    with connected(lib, mode=0) as (sock, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.close()
        with pytest.raises(ConnectionResetError) as it:
            read(sock, 5, 0)
    assert_bare(it.value, ConnectionResetError, errno.ECONNRESET)


@needs_dontwait
@as_the_stdlib
@every_raw_read
@waiting_modes
def test_read_dontwait(lib, read, mode):
    """MSG_DONTWAIT is the program's own word, and BlockingIOError its answer."""
    with connected(lib) as (sock, _), pytest.raises(BlockingIOError) as it:
        read(sock, 5, socket.MSG_DONTWAIT)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_raw_read
@every_wait
def test_read_nonblocking_behind_python(lib, read, flags):
    """O_NONBLOCK, set by C code or inherited, is respected: Python believes that it blocks."""
    with connected(lib) as (sock, _):
        set_nonblocking_behind_python(sock)
        with pytest.raises(BlockingIOError) as it:
            read(sock, 5, flags)
        assert mode_of(sock) == (True, None)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_raw_read
@every_wait
def test_read_with_kernel_timeout(lib, read, flags):
    """SO_RCVTIMEO, the program's own limit, is respected: its time and its BlockingIOError."""
    with connected(lib) as (sock, _):
        set_kernel_timeout(sock, socket.SO_RCVTIMEO, LIMIT)
        with within(LIMIT, at_least=LIMIT / 2), pytest.raises(BlockingIOError) as it:
            read(sock, 5, flags)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_read
@every_wait
def test_read_within_kernel_timeout(lib, read, flags):
    """And what comes in that time is read."""
    with connected(lib) as (sock, peer):
        set_kernel_timeout(sock, socket.SO_RCVTIMEO, 0.9)
        with later(LIMIT, peer.sendall, b"hello"):
            assert read(sock, 5, flags) == b"hello"


# MSG_WAITALL, which needs a loop of its own.


@every_read
def test_waitall_in_pieces(read):
    """What comes in pieces is one read, of all."""
    with testing.drips(0.001) as address, safesocket.create_connection(address) as sock:
        assert read(sock, 10, MSG_WAITALL) == b"." * 10


@pytest.mark.parametrize("flags", [MSG_WAITALL, WAITALL_PEEK], ids=["read", "peek"])
def test_waitall_longer_than_limit(flags):
    """The limit is for each wait, not for all: while something comes the read goes on."""
    with testing.drips(0.03) as address, safesocket.create_connection(address) as sock:
        with safesocket.timeouts(read=0.25), within(GUARD, at_least=0.27):
            assert sock.recv(11, flags) == b"." * 11
        if flags & MSG_PEEK:
            assert sock.recv(11) == b"." * 11


@as_the_stdlib
@every_read
def test_waitall_reset_half_way(lib, read):
    """What came before a reset is not lost: the reset is the next read's."""
    with testing.resets(3, on_request=True) as address, lib.socket() as sock:
        sock.connect(address)
        sock.send(b"a request")
        assert read(sock, 9, MSG_WAITALL) == b"..."
        with pytest.raises(ConnectionResetError):
            read(sock, 9, MSG_WAITALL)


@every_read
def test_waitall_late_reset(read):
    """Nor is it if the reset comes during the wait."""
    with connected() as (sock, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.sendall(b"hello")
        with later(LIMIT, peer.close):
            assert read(sock, 9, MSG_WAITALL) == b"hello"


def test_waitall_by_two_threads():
    """Of two threads that read one socket, neither loses what it has when the other is faster."""

    def read(sock):
        with safesocket.timeouts(read=0.1):
            return b"".join(iter(lambda: quietly(sock.recv, 1000, MSG_WAITALL), b""))

    def quietly(call, *args):
        try:
            return call(*args)
        except TimeoutError:
            return b""

    data = bytes(range(200))
    with connected() as (sock, peer), calling(read, sock) as one, calling(read, sock) as other:
        for number in data:
            peer.send(bytes([number]))
        assert sorted(one.result(GUARD) + other.result(GUARD)) == sorted(data)


@needs_error_queue
@as_the_stdlib
@every_wait
def test_recv_beside_receipt(lib, flags):
    """Receipts in the error queue, which poll() takes for news, do not cut a read short."""
    with connected(lib) as (sock, peer):
        put_receipt(sock)
        if not flags & MSG_WAITALL:
            with later(LIMIT, peer.sendall, b"he"):
                assert sock.recv(5, flags) == b"he"
            return
        peer.sendall(b"he")
        with later(LIMIT, peer.sendall, b"llo"):
            assert sock.recv(5, flags) == b"hello"


@needs_error_queue
def test_waitall_beside_receipt_needs_no_stack():
    """Nor does a long wait beside them pile up calls."""
    limit, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    with connected() as (sock, _), safesocket.timeouts(read=0.15):
        put_receipt(sock)
        sys.setrecursionlimit(depth + 50)
        try:
            assert outcome(sock.recv, 5, MSG_WAITALL) == (TimeoutError, None, ("timed out",))
        finally:
            sys.setrecursionlimit(limit)


@as_the_stdlib
@pytest.mark.parametrize("flags", [0, MSG_WAITALL], ids=["plain", "waitall"])
def test_read_of_nothing_does_not_wait(lib, flags):
    """No bytes asked for, no wait: C does not even ask the system."""
    with datagrams(lib) as (sock, _), within(0), safesocket.timeouts(read=GUARD):
        assert sock.recv(0, flags) == b""


@as_the_stdlib
@pytest.mark.parametrize("flags", [0, MSG_WAITALL], ids=["plain", "waitall"])
def test_recvfrom_of_nothing_waits(lib, flags):
    """recvfrom, which C hands on, waits on a stream until there is something to take nothing of."""
    with connected(lib) as (sock, peer), calling(sock.recvfrom, 0, flags) as reader:
        assert still_waits(reader)
        peer.send(b".")
        assert reader.result(GUARD)[0] == b""


@as_the_stdlib
@pytest.mark.parametrize("flags", [0, MSG_PEEK, MSG_WAITALL], ids=["plain", "peek", "waitall"])
def test_datagrams_shut_down(lib, flags):
    """A datagram socket whose reading half is shut down reads b"": threads are woken so."""
    with datagrams(lib) as (sock, _), safesocket.timeouts(read=GUARD):
        safesocket.set_timeouts(sock, read=GUARD) if lib is safesocket else None
        with calling(sock.recv, 9, flags) as reader:
            assert still_waits(reader)
            sock.shutdown(socket.SHUT_RD)
            assert reader.result(GUARD) == b""
        with within(0):
            assert sock.recv(9, flags) == b""


def test_urgent_flag_of_datagrams_is_limited():
    """MSG_OOB means nothing there, so such a read waits like any other, and no longer."""
    with safesocket.socket(AF_INET, socket.SOCK_DGRAM) as sock, safesocket.timeouts(read=LIMIT):
        sock.connect(("127.0.0.1", 9))
        with within(LIMIT), pytest.raises(errors.ReadTimeoutError):
            sock.recv(9, MSG_OOB)


def test_waitall_gives_buffer_back():
    """After a time-out the buffer is the program's again, though the error is kept."""
    buffer = bytearray(9)
    late = pytest.raises(errors.ReadTimeoutError)
    with connected() as (sock, _), safesocket.timeouts(read=LIMIT), late as it:
        sock.recv_into(buffer, 0, MSG_WAITALL)
    buffer.clear()
    assert it.value.__traceback__ is not None


# Limits.


@every_read
@every_wait
def test_read_limit_of_nothing(read, flags):
    """With a limit of 0 what is not there at once has timed out, and what is there has not."""
    with connected() as (sock, peer), safesocket.timeouts(read=0):
        with within(0), pytest.raises(errors.ReadTimeoutError):
            read(sock, 5, flags)
        peer.sendall(b"hello")
        assert read(sock, 5, flags) == b"hello"


@every_wait
@pytest.mark.parametrize(
    "forever",
    [
        lambda sock: sock.settimeout(None),
        lambda sock: sock.settimeout(safesocket.FOREVER),
        lambda sock: sock.setblocking(True),
        lambda sock: safesocket.set_timeouts(sock, read=None),
    ],
    ids=["settimeout-None", "settimeout-FOREVER", "setblocking", "set_timeouts"],
)
def test_recv_for_ever(flags, forever):
    """Who asks to wait for ever does, and gets what comes at last."""
    with connected() as (sock, peer), safesocket.timeouts(read=LIMIT):
        forever(sock)
        with calling(sock.recv, 5, flags) as future:
            assert still_waits(future, 2 * LIMIT)
            peer.sendall(b"hello")
            assert future.result(GUARD) == b"hello"


@tcp
def test_recv_limit_names_both_ends(family):
    """The error of a read that timed out names both ends of the connection."""
    with connected(family=family) as (sock, _), safesocket.timeouts(read=LIMIT):
        with pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(5)
        ends = it.value.address, it.value.local
        assert ends == (sock.getpeername(), sock.getsockname())
        assert (it.value.host, it.value.port) == ends[0][:2]


# Signals.

WAITS = [
    *[
        pytest.param(partial(lambda read, flags, sock: read(sock, 5, flags), read, flags), id=name)
        for base, read in READS.items()
        for flags, name in [(0, base), (MSG_WAITALL, f"{base}-waitall")]
    ],
    pytest.param(lambda sock: sock.recv(5, WAITALL_PEEK), id="recv-waitall-peek"),
]
every_waiting_read = pytest.mark.parametrize("read", WAITS)


@needs_alarm
@as_the_stdlib
@every_waiting_read
@waiting_modes
def test_read_interrupted(lib, read, mode):
    """Signals every few milliseconds do not end a wait."""
    with connected(lib, mode=mode) as (sock, peer), counted_alarms() as seen:
        with later(LIMIT, peer.sendall, b"hello"):
            assert read(sock) == b"hello"
        assert seen


@needs_alarm
@every_waiting_read
def test_read_interrupted_to_the_limit(read):
    """Nor do they put its limit off."""
    with connected() as (sock, _), safesocket.timeouts(read=LIMIT), counted_alarms() as seen:
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.ReadTimeoutError):
            read(sock)
        assert seen


@needs_alarm
@every_waiting_read
@waiting_modes
@every_stop
def test_read_stopped_by_handler(read, mode, kind):
    """What a signal handler raises ends the wait, with no error of ours or the system's behind."""

    with connected(mode=mode) as (sock, peer):
        with stopped_by(kind):
            read(sock)
        peer.sendall(b"hello")
        assert read(sock) == b"hello"


@needs_alarm
@needs_error_queue
@every_waiting_read
@every_stop
def test_read_beside_receipt_stopped_by_handler(read, kind):
    """And what a signal handler raises has nothing behind it there either."""
    with connected() as (sock, _):
        put_receipt(sock)
        with stopped_by(kind):
            read(sock)


# Threads and forks.


@as_the_stdlib
@every_waiting_read
def test_read_shut_down_by_other_thread(lib, read):
    """A shutdown by another thread ends the wait as the end of the connection does."""
    with connected(lib) as (sock, _), later(LIMIT, sock.shutdown, socket.SHUT_RDWR):
        assert read(sock) == b""


@every_waiting_read
def test_read_closed_by_other_thread(read):
    """A socket closed by another thread says so, at the latest when the limit ends."""
    closed = pytest.raises(errors.SocketClosedError, match="Bad file descriptor")
    with (
        connected() as (sock, _),
        safesocket.timeouts(read=2 * LIMIT),
        later(LIMIT, sock.close),
        within(2 * LIMIT),
        closed,
    ):
        read(sock)


def test_read_and_write_at_the_same_time():
    """Each direction of a socket keeps its own limit, whatever thread is in the other."""
    with connected() as (sock, peer):
        safesocket.set_timeouts(sock, read=GUARD, write=LIMIT)
        with calling(sock.recv, 5) as reader:
            with pytest.raises(errors.WriteTimeoutError):
                sock.sendall(bytes(10_000_000))
            assert still_waits(reader, LIMIT)
            peer.sendall(b"hello")
            assert reader.result(GUARD) == b"hello"
        safesocket.set_timeouts(sock, read=LIMIT, write=GUARD)
        with calling(sock.sendall, bytes(10_000_000)) as writer:
            with pytest.raises(errors.ReadTimeoutError):
                sock.recv(5)
            assert still_waits(writer, LIMIT)
            sock.shutdown(socket.SHUT_RDWR)
            assert isinstance(writer.exception(GUARD), BrokenPipeError)


def test_recv_after_fork():
    """A child goes on with the sockets of its parent, limits included."""
    with connected() as (sock, peer), safesocket.timeouts(read=LIMIT):
        child = os.fork()
        if not child:
            timed_out = outcome(sock.recv, 5) == (TimeoutError, None, ("timed out",))
            os._exit(0 if timed_out and peer.send(b"hello") == 5 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sock.recv(5) == b"hello"


# Subclasses.


class Slotted(safesocket.socket):
    """A subclass with room for one attribute."""

    __slots__ = ("purpose",)


class Unhashable(safesocket.socket):
    """A subclass that compares by what it is connected to, and so cannot be hashed."""

    def __eq__(self, other):
        return self.getpeername() == other.getpeername()

    __hash__ = None


class Counting(safesocket.socket):
    """A subclass that overrides the operations, and calls them with super()."""

    def recv(self, *args):
        return b"<" + super().recv(*args) + b">"

    def gettimeout(self):
        raise AssertionError("the socket's mode is asked of C")

    def fileno(self):
        raise AssertionError("the descriptor is asked of C")


@pytest.mark.parametrize("kind", [Slotted, Unhashable, Counting])
def test_read_subclass(kind):
    """A subclass of ours is limited and named as any other socket."""
    with testing.drips(GUARD) as address, kind() as sock:
        sock.connect(address)
        safesocket.set_timeouts(sock, read=LIMIT)
        assert sock.recv(9) in (b".", b"<.>")
        with pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(9)
        assert (it.value.host, it.value.port) == address
        assert it.value.timeout_source == "set_timeouts"


# Nothing is left behind.


@every_raw_read
@every_wait
@pytest.mark.parametrize("mode", [None, 0.001, 0.0], ids=["limit", "timeout", "nonblocking"])
def test_read_leaves_no_garbage(read, flags, mode):
    """A failed read leaves no reference cycle, so that nothing waits for the garbage collector."""
    with connected(mode=mode) as (sock, _), safesocket.timeouts(read=0.001):
        assert garbage(partial(outcome, read, sock, 5, flags), times=3) == 0


def test_notes_go_with_their_sockets():
    """What is remembered of a socket goes with it."""
    before = set(_route._notes)
    with connected() as (sock, peer), ExitStack() as stack:
        safesocket.set_timeouts(sock, read=LIMIT)
        copies = [stack.enter_context(sock.dup()) for _ in range(3)]
        assert len(_route._notes) == len(before) + 4
    del sock, peer, copies, stack
    assert set(_route._notes) == before


def test_descriptors_go_with_their_sockets():
    """Failing again and again takes no descriptor."""
    with connected() as (sock, _), safesocket.timeouts(read=0):
        before = descriptors()
        for _ in range(100):
            outcome(sock.recv, 1)
        assert descriptors() == before


def test_note_that_is_made_twice_at_once():
    """What another thread, or a signal's handler, notes meanwhile is noted in the same place."""
    skip_if_traced()

    def profiler(_frame, event, arg):
        if event == "c_return" and arg.__name__ == "get":
            sys.setprofile(None)
            notes.append(_route.note(sock))

    notes = []
    with safesocket.socket() as sock:
        sys.setprofile(profiler)
        try:
            notes.append(_route.note(sock))
        finally:
            sys.setprofile(None)
        assert notes[0] is notes[1] is _route.recall(sock)


def test_note_of_a_socket_that_is_no_more():
    """What a signal's handler that raises keeps from being forgotten is not the next socket's."""
    with safesocket.socket() as sock:
        left = _route.note(sock)
    del sock
    with safesocket.socket() as sock:
        _route._notes[id(sock)] = left
        assert _route.recall(sock) is None
        made = _route.note(sock)
        assert made() is sock
        assert _route.recall(sock) is made
