"""Writing: a blocking send sends everything, nothing is lost or sent twice, bytes_sent is exact.

The oracle is the stdlib: most tests run once on its sockets and once on ours. That waits end in
time is test_hangs' matter.
"""

from __future__ import annotations

import array
import ctypes
import errno
import hashlib
import os
import random
import select
import socket
import struct
from contextlib import contextmanager, suppress
from functools import partial, reduce
from io import BytesIO
from itertools import chain, combinations, pairwise, repeat
from operator import or_
from socket import AF_INET, AF_UNIX, MSG_OOB, MSG_WAITALL, SO_SNDBUF, SOCK_SEQPACKET, SOL_SOCKET
from tempfile import TemporaryFile

import pytest

import safesocket
from safesocket import errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MODES,
    MUCH,
    as_the_stdlib,
    assert_bare,
    builtin_of,
    calling,
    connected,
    counted_alarms,
    datagrams,
    descriptors,
    every_mode,
    every_stop,
    everything,
    garbage,
    later,
    mode_of,
    needs_alarm,
    needs_dontwait,
    outcome,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    still_waits,
    stopped_by,
    tcp,
    within,
)

pytestmark = pytest.mark.timeout(10, func_only=True)  # seconds; what hangs is cut off

DONTWAIT = 0x40  # bytes may be sent so even where Python has no MSG_DONTWAIT
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
SOME = MUCH[:1_000_000]
waiting_modes = pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])


# The operations, each as a function that takes the data whole and returns the count.


def sendto(sock, data, *flags):
    return sock.sendto(data, *flags, sock.getpeername())


SENDS = {
    "send": lambda sock, data, *flags: sock.send(data, *flags),
    "sendto": sendto,
    "sendmsg": lambda sock, data, *flags: sock.sendmsg([data], [], *flags),
}
WRITES = {
    **SENDS,
    "sendall": lambda sock, data, *flags: sock.sendall(data, *flags) or memoryview(data).nbytes,
}

every_send = pytest.mark.parametrize("write", SENDS.values(), ids=SENDS.keys())
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def in_pieces(data):
    """Return a generator of *data* in pieces of odd sizes, some of them empty."""
    cuts = sorted(random.Random(1).choices(range(len(data)), k=30))
    return (data[start:end] for start, end in pairwise([0, 0, *cuts, len(data)]))


@contextmanager
def narrow(lib=safesocket, family=AF_INET, mode=None):
    """Yield both ends of a connection that takes little before somebody reads."""
    with connected(lib, family, mode=mode) as (sock, peer):
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 50_000)
        yield sock, peer


def fill(sock):
    """Send until there is no room left, and none comes of itself; return what was sent."""
    sent = bytearray()
    while select.select([], [sock], [], 0.005)[1]:
        with suppress(BlockingIOError, TimeoutError):
            while True:
                sent += MUCH[: socket.socket.send(sock, MUCH, DONTWAIT)]
    return bytes(sent)


def rest(sock, peer):
    """Return all that the peer can still read of what *sock* has sent."""
    sock.shutdown(socket.SHUT_WR)
    return everything(peer)


def assert_short(write, sock, peer, kind, *flags):
    """Check that *write* returns short counts, and is in the end an error of *kind*; return it."""
    counts = []
    with pytest.raises(kind) as it:
        counts.extend(write(sock, MUCH, *flags) for _ in repeat(None))
    assert 0 < counts[0] < len(MUCH)
    assert rest(sock, peer) == b"".join(MUCH[:count] for count in counts)
    return it.value


# A blocking send sends everything.


@as_the_stdlib
@every_write
@every_mode
@tcp
def test_write_where_there_is_room(lib, write, mode, family):
    """What there is room for is sent at once."""
    with connected(lib, family, mode=mode) as (sock, peer):
        assert (write(sock, b"hello"), write(sock, bytearray(b"world"))) == (5, 5)
        assert rest(sock, peer) == b"helloworld"


@pytest.fixture(scope="module")
def huge():
    """50 MB, and their digest."""
    data = MUCH * 5
    return data, hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("lib", "write"),
    [
        pytest.param(socket, SENDS["send"], id="stdlib-send"),
        pytest.param(safesocket, SENDS["send"], id="send"),
        pytest.param(safesocket, WRITES["sendall"], id="sendall"),
        pytest.param(safesocket, lambda sock, data: sock.sendmsg(in_pieces(data)), id="sendmsg"),
    ],
)
def test_write_50_megabytes_to_slow_reader(lib, write, huge):
    """All 50 MB are sent, and counted, and arrive: the limit is for waits, not for the whole."""
    data, expected = huge
    digest = hashlib.sha256()
    slow = testing.reads_slowly(0.003, chunk=1 << 18, on_data=digest.update)
    with slow as address, lib.socket() as sock, safesocket.timeouts(write=0.3):
        sock.connect(address)
        with within(GUARD, at_least=0.5):
            assert write(sock, data) == 50_000_000
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert digest.digest() == expected


BUFFERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": lambda data: memoryview(b"123" + data + b"456")[3:-3],
    "memoryview-2d": lambda data: memoryview(data).cast("B", [1000, len(data) // 1000]),
    "array": lambda data: array.array("i", data),
    "ctypes": lambda data: (ctypes.c_int32 * (len(data) // 4)).from_buffer_copy(data),
    "ctypes-struct": lambda data: (Pair * (len(data) // 8)).from_buffer_copy(data),
}
every_buffer = pytest.mark.parametrize("make", BUFFERS.values(), ids=BUFFERS.keys())


class Pair(ctypes.BigEndianStructure):
    """Items of a format that memoryview cannot cast."""

    _fields_ = (("first", ctypes.c_int32), ("second", ctypes.c_int32))


@as_the_stdlib
@every_write
@every_buffer
def test_write_whole_of_any_buffer(lib, write, make):
    """Bytes are counted and sent, whatever the items of a buffer are."""
    with narrow(lib) as (sock, peer), calling(everything, peer) as reader:
        assert write(sock, make(SOME)) == len(SOME)
        sock.shutdown(socket.SHUT_WR)
        assert reader.result(GUARD) == SOME


@as_the_stdlib
@pytest.mark.parametrize("family", [AF_INET, AF_UNIX], ids=["ipv4", "unix"])
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_sendmsg_generator(lib, family, full):
    """Pieces of any size are sent in order, though they come out of a generator."""
    with narrow(lib, family) as (sock, peer):
        before = fill(sock) if full else b""
        with calling(everything, peer) as reader:
            assert sock.sendmsg(in_pieces(SOME), (nothing for nothing in ())) == len(SOME)
            sock.shutdown(socket.SHUT_WR)
            assert reader.result(GUARD) == before + SOME


@as_the_stdlib
@every_send
def test_write_whole_where_nothing_was_taken_at_first(lib, write):
    """A send that finds no room at all waits, and then sends everything."""
    with narrow(lib) as (sock, peer):
        before = fill(sock)
        with calling(everything, peer) as reader:
            assert write(sock, SOME) == len(SOME)
            sock.shutdown(socket.SHUT_WR)
            assert reader.result(GUARD) == before + SOME


@as_the_stdlib
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_sendmsg_descriptors_with_much_data(lib, full):
    """Descriptors are sent once, however many pieces the data takes."""

    def receive(peer):
        data, received = bytearray(), []
        while len(data) < expected:
            more, fds, _, _ = socket.recv_fds(peer, 1 << 20, 9)
            data += more
            received += fds
        return data, received

    with narrow(lib, AF_UNIX) as (sock, peer):
        before = fill(sock) if full else b""
        expected = len(before) + len(SOME)
        rights = (SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [peer.fileno()]))
        with calling(receive, peer) as reader:
            assert sock.sendmsg([SOME], (right for right in [rights])) == len(SOME)
            data, (fd,) = reader.result(GUARD)
    with socket.socket(fileno=fd) as copy:
        assert copy.family == AF_UNIX
    assert data == before + SOME


@as_the_stdlib
def test_send_by_two_threads(lib):
    """Two threads that send at the same time both send everything."""
    with narrow(lib) as (sock, peer), calling(everything, peer) as reader:
        with calling(sock.send, SOME) as one, calling(sock.send, SOME) as other:
            assert one.result(GUARD) == other.result(GUARD) == len(SOME)
        sock.shutdown(socket.SHUT_WR)
        assert sorted(reader.result(GUARD)) == sorted(SOME + SOME)


@as_the_stdlib
@every_write
def test_write_buffer_without_length(lib, write):
    """A buffer need not have a length in items: a number has not."""
    with connected(lib) as (sock, peer):
        assert write(sock, ctypes.c_int32(-1)) == 4
        assert rest(sock, peer) == b"\xff" * 4


def test_send_counts_bytes_not_items():
    """That as many bytes were taken as there are items does not mean that all was."""
    with narrow(family=AF_UNIX, mode=0) as (sock, _):
        taken = sock.send(array.array("b", MUCH))
    items = array.array("i", MUCH[: 4 * taken])
    with narrow(family=AF_UNIX) as (sock, peer), calling(everything, peer) as reader:
        assert sock.send(items) == 4 * taken
        sock.shutdown(socket.SHUT_WR)
        assert reader.result(GUARD) == MUCH[: 4 * taken]


# Nothing to send is something, too.

EMPTY = {
    "send": lambda sock: sock.send(b""),
    "send-array": lambda sock: sock.send(array.array("i")),
    "send-memoryview": lambda sock: sock.send(memoryview(b"")),
    "sendall": lambda sock: sock.sendall(b"") or 0,
    "sendto": lambda sock: sendto(sock, b""),
    "sendmsg": lambda sock: sock.sendmsg([b""]),
    "sendmsg-nothing": lambda sock: sock.sendmsg([]),
    "sendmsg-generator": lambda sock: sock.sendmsg(b"" for _ in range(3)),
}
every_empty_write = pytest.mark.parametrize("write", EMPTY.values(), ids=EMPTY.keys())


@as_the_stdlib
@every_empty_write
@every_mode
def test_write_nothing(lib, write, mode):
    """Nothing is sent, and the count is 0."""
    with connected(lib, mode=mode) as (sock, peer):
        assert write(sock) == 0
        assert rest(sock, peer) == b""


@as_the_stdlib
@every_empty_write
@every_mode
def test_write_nothing_to_broken_connection(lib, write, mode):
    """That a connection is broken is seen by sending nothing."""
    with connected(lib, mode=mode) as (sock, _):
        sock.shutdown(socket.SHUT_WR)
        assert outcome(write, sock) == (BrokenPipeError, errno.EPIPE, (32, "Broken pipe"))


@as_the_stdlib
@every_empty_write
@every_mode
def test_write_empty_datagrams(lib, write, mode):
    """Empty datagrams are datagrams: they arrive."""
    with datagrams(lib, mode=mode) as (sock, peer):
        assert [write(sock), sock.send(b"end")] == [0, 3]
        assert [peer.recv(9), peer.recv(9)] == [b"", b"end"]


# A limit ends a send half-way.


@contextmanager
def temporary(data):
    """Yield a file that holds *data*."""
    with TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


ON_DISK = {}


@pytest.fixture(scope="module", autouse=True)
def much_on_disk():
    """MUCH is in a file already when a test begins to send it."""
    with temporary(MUCH) as file:
        file.flush()
        ON_DISK[MUCH] = file
        yield
    ON_DISK.clear()


def sendfile(sock, data):
    ON_DISK[data].seek(0)
    return sock.sendfile(ON_DISK[data])


def has_limit(name):
    """Tell whether a limit can be kept: with no MSG_DONTWAIT, as on Windows, sendmsg has none."""
    return hasattr(socket, "MSG_DONTWAIT") or "sendmsg" not in name


LIMITED_WRITES = {name: write for name, write in WRITES.items() if has_limit(name)}
STUCK_WRITES = {
    **LIMITED_WRITES,
    "send-array": lambda sock, data: sock.send(array.array("i", data)),
    "sendall-ctypes": lambda sock, data: sock.sendall(BUFFERS["ctypes"](data)),
    "sendfile": sendfile,
    "sendfile-bytesio": lambda sock, data: sock.sendfile(BytesIO(data)),
}
if has_limit("sendmsg"):
    STUCK_WRITES["sendmsg-generator"] = lambda sock, data: sock.sendmsg(in_pieces(data))
EVERYWHERE = [
    pytest.param(write, family, id=f"{name}-{where}")
    for name, write in STUCK_WRITES.items()
    for where, family in {"ipv4": AF_INET, "unix": AF_UNIX}.items()
    if (name, family) != ("sendto", AF_UNIX)  # EISCONN
]
every_stuck_write = pytest.mark.parametrize("write", STUCK_WRITES.values(), ids=STUCK_WRITES.keys())


@pytest.mark.parametrize(("write", "family"), EVERYWHERE)
@pytest.mark.parametrize(
    ("full", "taken"),
    [(False, 0), (False, 300_000), (True, 0)],
    ids=["room", "room-and-reader", "full"],
)
def test_bytes_sent_is_exact(write, family, taken, full):
    """``bytes_sent`` is what the other side can read: not a byte more, not a byte less."""
    with narrow(family=family) as (sock, peer), safesocket.timeouts(write=LIMIT):
        before = fill(sock) if full else b""
        with calling(peer.recv, taken, MSG_WAITALL) as reader:
            with pytest.raises(errors.WriteTimeoutError) as it:
                write(sock, MUCH)
            received = reader.result(GUARD) + rest(sock, peer)
    assert received == before + MUCH[: it.value.bytes_sent]
    assert len(received) > taken


@as_the_stdlib
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_sendall_bytes_sent_with_timeout(lib, full):
    """So it is where the limit is the socket's own; the stdlib does not say."""
    with narrow(lib, mode=LIMIT) as (sock, peer):
        before = fill(sock) if full else b""
        with pytest.raises(TimeoutError) as it:
            sock.sendall(MUCH)
        received = rest(sock, peer)
    sent = getattr(it.value, "bytes_sent", len(received) - len(before))
    assert received == before + MUCH[:sent]


@pytest.mark.parametrize("make", [BytesIO, temporary], ids=["bytesio", "file"])
def test_sendfile_position_after_limit(make):
    """The file stands where the sending stopped, so that one can go on from there."""
    with narrow() as (sock, peer), make(MUCH) as file:
        with safesocket.timeouts(write=LIMIT), pytest.raises(errors.WriteTimeoutError) as it:
            sock.sendfile(file)
        assert file.tell() == it.value.bytes_sent
        with calling(everything, peer) as reader:
            sock.sendall(file.read())
            sock.shutdown(socket.SHUT_WR)
            assert reader.result(GUARD) == MUCH


@every_stuck_write
@pytest.mark.parametrize("end", ["shutdown", "reset"])
def test_bytes_sent_when_the_connection_ends(write, end):
    """A connection that ends during the wait says how far the send came."""

    def reset(sock, peer):
        peer.setsockopt(SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.close()

    def shutdown(sock, peer):
        sock.shutdown(socket.SHUT_WR)

    ends = {"shutdown": shutdown, "reset": reset}[end]
    with narrow() as (sock, peer), later(LIMIT, ends, sock, peer):
        with pytest.raises((errors.PeerClosedError, errors.PeerResetError)) as it:
            write(sock, MUCH)
        assert it.value.bytes_sent is not None
        if end == "shutdown":
            assert everything(peer) == MUCH[: it.value.bytes_sent]


@every_write
def test_write_limit_of_nothing(write):
    """With a limit of 0 what finds no room at once has timed out, and what finds room has not."""
    with narrow() as (sock, peer), safesocket.timeouts(write=0):
        assert write(sock, b"hello") == 5
        before = fill(sock)
        with within(0), pytest.raises(errors.WriteTimeoutError) as it:
            write(sock, b"world")
        assert it.value.bytes_sent == 0
        assert rest(sock, peer) == b"hello" + before


@every_write
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_write_for_ever(write, full):
    """Who asks to wait for ever does, and everything is sent at last."""
    with narrow() as (sock, peer), safesocket.timeouts(write=LIMIT):
        before = fill(sock) if full else b""
        sock.settimeout(None)
        with calling(write, sock, SOME) as writer:
            assert still_waits(writer, 2 * LIMIT)
            with calling(everything, peer) as reader:
                assert writer.result(GUARD) == len(SOME)
                sock.shutdown(socket.SHUT_WR)
                assert reader.result(GUARD) == before + SOME


# A timeout of the socket's own: the stdlib's short counts, and its one total for sendall.


@as_the_stdlib
@every_send
def test_write_short_with_timeout(lib, write):
    """With a settimeout short counts are returned, as the stdlib does, until a wait is in vain."""
    with narrow(lib, mode=LIMIT) as (sock, peer):
        error = assert_short(write, sock, peer, TimeoutError)
    assert (error.args, error.errno) == (("timed out",), None)


@as_the_stdlib
def test_sendall_with_timeout_is_one_total(lib):
    """With a settimeout sendall has that time for everything, whatever the progress."""
    taken = []
    slow = testing.reads_slowly(0.005, chunk=16384, on_data=taken.append)
    with slow as address, lib.socket() as sock:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 20_000)
        sock.connect(address)
        sock.settimeout(5 * LIMIT)
        with within(5 * LIMIT, at_least=5 * LIMIT), pytest.raises(TimeoutError):
            sock.sendall(MUCH)
    assert len(taken) > 3


@as_the_stdlib
def test_sendall_with_timeout_counts_the_first_wait(lib):
    """Of that time the wait for the first byte is a part."""
    with narrow(lib, mode=0.4) as (sock, peer):
        fill(sock)
        in_time = within(0.4, at_least=0.4)
        with later(0.35, peer.recv, 1 << 20), in_time, pytest.raises(TimeoutError):
            sock.sendall(MUCH)


@as_the_stdlib
def test_sendall_with_timeout(lib):
    """And it sends everything where that is time enough."""
    with narrow(lib, mode=GUARD) as (sock, peer), calling(everything, peer) as reader:
        assert sock.sendall(MUCH) is None
        sock.shutdown(socket.SHUT_WR)
        assert reader.result(GUARD) == MUCH


# Non-blocking, whoever made it so.


@as_the_stdlib
@every_send
def test_write_nonblocking(lib, write):
    """A non-blocking socket takes what there is room for, and then is a bare BlockingIOError."""
    with narrow(lib, mode=0) as (sock, peer):
        error = assert_short(write, sock, peer, BlockingIOError)
    assert_bare(error, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@pytest.mark.parametrize("make", [bytes, bytearray])
def test_sendall_nonblocking(lib, make):
    """So it is for sendall, which has sent no one knows how much."""
    with narrow(lib, mode=0) as (sock, peer):
        with pytest.raises(BlockingIOError) as it:
            sock.sendall(make(MUCH))
        received = rest(sock, peer)
    assert received == MUCH[: len(received)] != b""
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_write
def test_write_nonblocking_to_broken_connection(lib, write):
    """Whatever else befalls a non-blocking socket is bare, too."""
    with connected(lib, mode=0) as (sock, _):
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError) as it:
            write(sock, b"hello")
    assert_bare(it.value, BrokenPipeError, errno.EPIPE)


@needs_dontwait
@as_the_stdlib
@every_send
def test_write_dontwait(lib, write):
    """MSG_DONTWAIT is the program's own word: a short count, and then BlockingIOError."""
    with narrow(lib) as (sock, peer):
        error = assert_short(write, sock, peer, BlockingIOError, DONTWAIT)
    assert_bare(error, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_send
def test_write_nonblocking_behind_python(lib, write):
    """O_NONBLOCK, set by C code or inherited, is respected: Python believes that it blocks."""
    with narrow(lib) as (sock, peer):
        set_nonblocking_behind_python(sock)
        error = assert_short(write, sock, peer, BlockingIOError)
        assert mode_of(sock) == (True, None)
    assert_bare(error, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_sendall_nonblocking_behind_python(lib, full):
    """sendall does not say that all is sent when it is not."""
    with narrow(lib) as (sock, _):
        set_nonblocking_behind_python(sock)
        if full:
            fill(sock)
        with pytest.raises(BlockingIOError) as it:
            sock.sendall(MUCH)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_send
def test_write_with_kernel_timeout(lib, write):
    """SO_SNDTIMEO, the program's own limit, is respected: its time, short count and error."""
    with narrow(lib) as (sock, peer):
        set_kernel_timeout(sock, socket.SO_SNDTIMEO, LIMIT)
        with within(2 * LIMIT, at_least=LIMIT):
            error = assert_short(write, sock, peer, BlockingIOError)
    assert_bare(error, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
def test_sendall_with_kernel_timeout(lib):
    """sendall does not say that all is sent when it is not."""
    with narrow(lib) as (sock, _):
        set_kernel_timeout(sock, socket.SO_SNDTIMEO, LIMIT)
        with within(2 * LIMIT, at_least=LIMIT / 2), pytest.raises(BlockingIOError) as it:
            sock.sendall(MUCH)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
@every_write
def test_write_within_kernel_timeout(lib, write):
    """What is taken in that time is sent whole."""
    with narrow(lib) as (sock, peer), calling(everything, peer) as reader:
        set_kernel_timeout(sock, socket.SO_SNDTIMEO, 0.9)
        assert write(sock, SOME) == len(SOME)
        sock.shutdown(socket.SHUT_WR)
        assert reader.result(GUARD) == SOME


# Flags, bad arguments, bad sockets.

FLAGS = [
    getattr(socket, name)
    for name in "MSG_DONTWAIT MSG_OOB MSG_MORE MSG_NOSIGNAL MSG_EOR".split()
    if hasattr(socket, name)
]
COMBINATIONS = [
    reduce(or_, chosen, 0)
    for chosen in chain.from_iterable(combinations(FLAGS, n) for n in range(len(FLAGS) + 1))
]


@every_write
@every_mode
@pytest.mark.parametrize("pair", [connected, datagrams])
def test_write_with_flags(pair, write, mode):
    """Whatever flags are given, the result is the stdlib's, and so is what arrives."""

    def ends(lib, flags):
        with pair(lib, mode=mode) as (sock, peer):
            result = outcome(write, sock, b"hello", flags)
            sock.shutdown(socket.SHUT_WR)
            return result, outcome(peer.recv, 9) if pair is connected else None

    for flags in COMBINATIONS:
        assert ends(safesocket, flags) == ends(socket, flags), flags


@as_the_stdlib
@every_mode
def test_send_out_of_band(lib, mode):
    """Urgent data is urgent data."""
    with connected(lib, mode=mode) as (sock, peer):
        assert sock.send(b"!", MSG_OOB) == 1
        assert select.select([], [], [peer], GUARD) == ([], [], [peer])
        assert peer.recv(1, MSG_OOB) == b"!"


WRONG = {
    "send-nothing": lambda sock: sock.send(),
    "send-text": lambda sock: sock.send("hello"),
    "send-none": lambda sock: sock.send(None),
    "send-split": lambda sock: sock.send(memoryview(b"hello")[::2]),
    "send-flags": lambda sock: sock.send(b"hello", None),
    "send-keyword": lambda sock: sock.send(data=b"hello"),
    "sendall-text": lambda sock: sock.sendall("hello"),
    "sendall-split": lambda sock: sock.sendall(memoryview(b"hello")[::2]),
    "sendto-nothing": lambda sock: sock.sendto(),
    "sendto-no-address": lambda sock: sock.sendto(b"hello"),
    "sendto-address": lambda sock: sock.sendto(b"hello", 1),
    "sendto-none": lambda sock: sock.sendto(b"hello", None),
    "sendto-port": lambda sock: sock.sendto(b"hello", ("127.0.0.1", 1 << 20)),
    "sendto-flags": lambda sock: sock.sendto(b"hello", None, ("127.0.0.1", 1)),
    "sendto-text": lambda sock: sock.sendto("hello", ("127.0.0.1", 1)),
    "sendto-too-much": lambda sock: sock.sendto(b"hello", 0, ("127.0.0.1", 1), 1),
    "sendmsg-nothing": lambda sock: sock.sendmsg(),
    "sendmsg-none": lambda sock: sock.sendmsg(None),
    "sendmsg-bytes": lambda sock: sock.sendmsg(b"hello"),
    "sendmsg-text": lambda sock: sock.sendmsg(["hello"]),
    "sendmsg-split": lambda sock: sock.sendmsg([memoryview(b"hello")[::2]]),
    "sendmsg-ancillary": lambda sock: sock.sendmsg([b"hello"], [b"no triple"]),
    "sendmsg-ancillary-none": lambda sock: sock.sendmsg([b"hello"], None),
    "sendmsg_afalg": lambda sock: sock.sendmsg_afalg([b"hello"], op=1),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG.keys())
@every_mode
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_write_bad_arguments(call, mode, full):
    """What the stdlib finds wrong with a call is wrong here, in the same way and as soon."""

    def ends(lib):
        with narrow(lib, mode=mode and LIMIT) as (sock, _):
            if full:
                fill(sock)
            return outcome(call, sock)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@every_mode
def test_sendmsg_of_too_many_buffers(lib, mode):
    """More buffers than the system takes at once are too many, not sent in turn."""
    with connected(lib, mode=mode) as (sock, peer):
        expected = (OSError, errno.EMSGSIZE, (90, "Message too long"))
        assert outcome(sock.sendmsg, [b"1"] * 2000) == expected
        assert rest(sock, peer) == b""


@as_the_stdlib
@every_mode
@pytest.mark.parametrize("name", ["send", "sendall", "sendmsg", "sendto"])
@pytest.mark.parametrize("number", [errno.EBADF, errno.EPIPE], ids=["closed", "unconnected"])
def test_write_on_useless_socket(lib, mode, name, number):
    """A closed socket is EBADF, one that was never connected EPIPE."""
    data = [b"hello"] if name == "sendmsg" else b"hello"
    address = [("127.0.0.1", 1)] if name == "sendto" else []
    with lib.socket() as sock:
        sock.settimeout(mode)
        if number == errno.EBADF:
            sock.close()
        expected = (builtin_of(OSError(number, "")), number, (number, os.strerror(number)))
        assert outcome(getattr(sock, name), data, *address) == expected


# Datagrams and messages.


@as_the_stdlib
@every_write
@every_mode
def test_write_datagram_too_large(lib, write, mode):
    """A datagram is sent whole or not at all."""
    with datagrams(lib, mode=mode) as (sock, peer):
        expected = (OSError, errno.EMSGSIZE, (90, "Message too long"))
        assert outcome(write, sock, bytes(100_000)) == expected
        assert write(sock, bytes(60_000)) == 60_000
        assert peer.recv(100_000) == bytes(60_000)


@as_the_stdlib
@every_write
@waiting_modes
def test_write_datagrams_to_slow_server(lib, write, mode):
    """A datagram for a busy server at a path waits until there is room, and is sent once."""
    messages = [b"%d" % number for number in range(50)]
    received = []

    def serve():
        received.extend(peer.recv(9) for _ in messages)

    with datagrams(lib, AF_UNIX, mode=mode) as (sock, peer), later(LIMIT, serve):
        assert [write(sock, message) for message in messages] == [1] * 10 + [2] * 40
    assert received == messages


@as_the_stdlib
@pytest.mark.parametrize("name", ["send", "sendall", "sendmsg"])
@waiting_modes
def test_write_messages_of_a_connection(lib, name, mode):
    """Messages keep their bounds where sending them has to wait."""
    messages = [bytes([number]) * 10_000 for number in range(50)]
    received = []

    def serve():
        received.extend(peer.recv(100_000) for _ in messages)

    with connected(lib, AF_UNIX, SOCK_SEQPACKET, mode) as (sock, peer), later(LIMIT, serve):
        assert [WRITES[name](sock, message) for message in messages] == [10_000] * 50
    assert received == messages


# Signals.


@needs_alarm
@as_the_stdlib
@every_write
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_write_interrupted(lib, write, full):
    """Signals every few milliseconds neither end a send nor lose any of it.

    The stdlib's send, in C, does return a short count when a signal comes: ours need not.
    """
    received = []
    with narrow(lib) as (sock, peer), counted_alarms() as seen:
        before = fill(sock) if full else b""
        with later(LIMIT, lambda: received.append(everything(peer))):
            sent = write(sock, SOME)
            sock.shutdown(socket.SHUT_WR)
        assert seen
    assert sent == len(SOME) or lib is socket
    assert received == [before + SOME[:sent]]


@needs_alarm
@every_stuck_write
def test_write_interrupted_to_the_limit(write):
    """Nor do they put its limit off."""
    with narrow() as (sock, peer), safesocket.timeouts(write=LIMIT), counted_alarms() as seen:
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.WriteTimeoutError) as it:
            write(sock, MUCH)
        assert seen
        assert rest(sock, peer) == MUCH[: it.value.bytes_sent]


@needs_alarm
@every_stuck_write
@every_stop
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
def test_write_stopped_by_handler(write, kind, full):
    """What a signal handler raises ends the wait, with no error of ours or the system's behind."""
    with narrow() as (sock, peer):
        before = fill(sock) if full else b""
        with stopped_by(kind):
            write(sock, MUCH)
        received = rest(sock, peer)
    assert received == before + MUCH[: len(received) - len(before)]


@needs_alarm
@every_stop
def test_sendall_with_timeout_stopped_by_handler(kind):
    """The same with a timeout of the socket's own."""
    with narrow(mode=GUARD) as (sock, _), stopped_by(kind):
        sock.sendall(MUCH)


# Other threads.


@as_the_stdlib
@waiting_modes
def test_sendall_shut_down_by_other_thread(lib, mode):
    """A shutdown by another thread ends the wait as a broken connection does."""
    with narrow(lib, mode=mode) as (sock, _), later(LIMIT, sock.shutdown, socket.SHUT_WR):
        assert outcome(sock.sendall, MUCH) == (BrokenPipeError, errno.EPIPE, (32, "Broken pipe"))


@every_stuck_write
def test_write_closed_by_other_thread(write):
    """A socket closed by another thread says so, at the latest when the limit ends."""
    closed = pytest.raises(errors.SocketClosedError, match="Bad file descriptor")
    with narrow() as (sock, peer):
        with safesocket.timeouts(write=2 * LIMIT), later(LIMIT, sock.close), closed as it:
            write(sock, MUCH)
        assert everything(peer) == MUCH[: it.value.bytes_sent]


# sendfile waits in the stdlib even where the program has said that nothing is to wait.


@pytest.mark.parametrize("kind", ["sendfile", "sendfile-bytesio"])
@pytest.mark.parametrize("how", ["O_NONBLOCK", "SO_SNDTIMEO"])
def test_sendfile_set_up_by_the_program(kind, how):
    """It waits for room as ever, and within the limit; in the stdlib it would wait for ever."""
    with narrow() as (sock, peer):
        if how == "O_NONBLOCK":
            set_nonblocking_behind_python(sock)
        else:
            set_kernel_timeout(sock, socket.SO_SNDTIMEO, LIMIT / 4)
        with within(LIMIT), pytest.raises(errors.WriteTimeoutError) as it:
            with safesocket.timeouts(write=LIMIT):
                STUCK_WRITES[kind](sock, MUCH)
        sock.shutdown(socket.SHUT_WR)
        assert everything(peer) == MUCH[: it.value.bytes_sent]


# Nothing is left behind.


@as_the_stdlib
@pytest.mark.parametrize("mode", [None, LIMIT, 0.0], ids=MODES)
@pytest.mark.parametrize("write", LIMITED_WRITES.values(), ids=LIMITED_WRITES.keys())
def test_write_gives_buffer_back(lib, mode, write):
    """When a call is over the buffer is the program's again, however it ended."""
    buffer, error = bytearray(SOME), None
    with narrow(lib, mode=mode) as (sock, _), safesocket.timeouts(write=LIMIT):
        if lib is socket and mode is None:
            set_kernel_timeout(sock, socket.SO_SNDTIMEO, LIMIT)
        while error is None:
            try:
                write(sock, buffer)
            except OSError as exc:
                error = exc  # with its traceback, and so the frames that had the buffer
            buffer.append(1)
    assert error.__traceback__ is not None


@as_the_stdlib
@every_write
def test_write_gives_buffer_back_when_sent(lib, write):
    """So it is when all has been sent."""
    buffer = bytearray(SOME)
    with narrow(lib) as (sock, peer), calling(everything, peer) as reader:
        write(sock, buffer)
        buffer.clear()
        sock.shutdown(socket.SHUT_WR)
        assert reader.result(GUARD) == SOME


@pytest.mark.parametrize("mode", [None, 0.001, 0.0], ids=["limit", "timeout", "nonblocking"])
@pytest.mark.parametrize(
    "write", [*LIMITED_WRITES.values(), sendfile], ids=[*LIMITED_WRITES, "sendfile"]
)
def test_write_leaves_no_garbage(mode, write):
    """A failed write leaves no reference cycle, so that nothing waits for the garbage collector."""
    with narrow(mode=mode) as (sock, _), safesocket.timeouts(write=0.001):
        assert garbage(partial(outcome, write, sock, MUCH), times=3) == 0


def test_write_leaves_no_descriptor():
    """Failing again and again takes no descriptor."""
    with narrow() as (sock, _), safesocket.timeouts(write=0):
        fill(sock)
        before = descriptors()
        for write in STUCK_WRITES.values():
            outcome(write, sock, MUCH)
        assert descriptors() == before
