"""Streams over sockets: makefile, sendfile, and descriptors sent along with data.

The oracle is the stdlib: most tests run once on its sockets and once on ours.
"""

from __future__ import annotations

import errno
import io
import os
import socket
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from io import BytesIO
from itertools import repeat
from socket import (
    AF_INET,
    AF_UNIX,
    MSG_CTRUNC,
    MSG_WAITALL,
    SHUT_WR,
    SO_RCVTIMEO,
    SO_SNDBUF,
    SOL_SOCKET,
)
from tempfile import TemporaryFile

import pytest

import safesocket
from safesocket import errors
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    as_the_stdlib,
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
    outcome,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    stopped_by,
    within,
)

pytestmark = pytest.mark.timeout(10, func_only=True)  # seconds; what hangs is cut off

CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
SOME = MUCH[:1_000_000]
waiting_modes = pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])


@contextmanager
def narrow(lib=safesocket, family=AF_INET, mode=None):
    """Yield both ends of a connection that takes little before somebody reads."""
    with connected(lib, family, mode=mode) as (sock, peer):
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 50_000)
        yield sock, peer


@contextmanager
def file_of(sock, *args, **options):
    """Yield a file of *sock*; close it without sending what is left in it."""
    file = sock.makefile(*args, **options)
    try:
        yield file
    finally:
        with suppress(OSError):
            sock.shutdown(SHUT_WR)
        with suppress(OSError):
            file.close()


# makefile: reading.


@as_the_stdlib
@waiting_modes
@pytest.mark.parametrize("buffering", [None, 0, 1, 4], ids=lambda size: f"buffer-{size}")
def test_makefile_read(lib, mode, buffering):
    """Lines, bytes and the rest are read as from any file."""
    with connected(lib, mode=mode) as (sock, peer), sock.makefile("rb", buffering) as file:
        peer.sendall(b"first\nsecond\n12345rest")
        peer.shutdown(SHUT_WR)
        assert [file.readline(), file.readline()] == [b"first\n", b"second\n"]
        assert [file.read(5), file.read(), file.read()] == [b"12345", b"rest", b""]


@as_the_stdlib
@waiting_modes
@pytest.mark.parametrize("mode_of_file", ["r", "rw", "rb", "rwb"])
def test_makefile_iteration(lib, mode, mode_of_file):
    """A file is its lines, text or bytes, also where they come while it waits."""
    options = {} if "b" in mode_of_file else {"encoding": "utf-8", "newline": "\n"}
    with connected(lib, mode=mode) as (sock, peer):
        peer.sendall("gr\xfc\xdfe\n".encode())

        def finish():
            peer.sendall(b"end\nof")
            peer.shutdown(SHUT_WR)

        with later(LIMIT, finish), sock.makefile(mode_of_file, **options) as file:
            lines = list(file)
    lines = lines if options else [line.decode() for line in lines]
    assert lines == ["gr\xfc\xdfe\n", "end\n", "of"]


@as_the_stdlib
@waiting_modes
def test_makefile_readinto(lib, mode):
    """A raw read is one recv, a buffered one is whole."""
    buffer = bytearray(5)
    with connected(lib, mode=mode) as (sock, peer):
        peer.sendall(b"hell")
        with sock.makefile("rb", 0) as file:
            assert (file.readinto(buffer), buffer) == (4, b"hell\0")
        peer.sendall(b"he")
        with later(LIMIT, peer.sendall, b"llo"), sock.makefile("rb") as file:
            assert (file.readinto(buffer), buffer) == (5, b"hello")


@as_the_stdlib
@pytest.mark.parametrize("buffering", [None, 0], ids=["buffered", "raw"])
def test_makefile_after_timeout(lib, buffering):
    """After a time-out a file refuses to go on: what it had half read is lost."""
    with connected(lib, mode=LIMIT) as (sock, peer), sock.makefile("rb", buffering) as file:
        assert outcome(file.read, 5) == (TimeoutError, None, ("timed out",))
        peer.sendall(b"hello")
        refusal = (OSError, None, ("cannot read from timed out object",))
        assert [outcome(file.read, 5), outcome(file.readline)] == [refusal, refusal]


def test_makefile_after_limit():
    """After a limit of ours, too, and it is the documented error that says so."""
    with connected() as (sock, peer), sock.makefile("rb") as file:
        with safesocket.timeouts(read=LIMIT), pytest.raises(errors.ReadTimeoutError):
            file.read(5)
        peer.sendall(b"hello")
        with pytest.raises(errors.TransferError, match=r"^cannot read from timed out object: "):
            file.read(5)


@pytest.mark.parametrize("prepare", ["nonblocking", "behind", "SO_RCVTIMEO"])
@pytest.mark.parametrize("buffering", [-1, 0], ids=["buffered", "raw"])
@pytest.mark.parametrize("read", ["read", "readline", "readinto"])
def test_makefile_read_would_block(prepare, buffering, read):
    """Where a read would block a file says None, or whatever the stdlib's says."""

    def ends(lib):
        with connected(lib) as (sock, peer), sock.makefile("rb", buffering) as file:
            if prepare == "nonblocking":
                sock.settimeout(0)
            elif prepare == "behind":
                set_nonblocking_behind_python(sock)
            else:
                set_kernel_timeout(sock, SO_RCVTIMEO, LIMIT)
            peer.sendall(b"he")
            args = (bytearray(5),) if read == "readinto" else (5,)
            return [outcome(getattr(file, read), *args) for _ in range(2)]

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@pytest.mark.parametrize("mode", [None, GUARD, 0.0])
def test_makefile_reset(lib, mode):
    """A reset is the ConnectionResetError that it was."""
    with connected(lib, mode=mode) as (sock, peer), sock.makefile("rb") as file:
        sock.sendall(b"unread")
        peer.close()
        assert outcome(file.read, 5)[:2] == (ConnectionResetError, errno.ECONNRESET)


# makefile: writing.


@as_the_stdlib
@waiting_modes
@pytest.mark.parametrize("buffering", [None, 0, 10, 100_000], ids=lambda size: f"buffer-{size}")
def test_makefile_write(lib, mode, buffering):
    """Everything that is written and flushed arrives, however much it is."""
    with narrow(lib, mode=mode) as (sock, peer), calling(everything, peer) as reader:
        with sock.makefile("wb", buffering) as file:
            for start in range(0, len(SOME), 99_999):
                part = SOME[start : start + 99_999]
                while part:
                    part = part[file.write(part) :]
            file.flush()
        sock.shutdown(SHUT_WR)
        assert reader.result(GUARD) == SOME


@as_the_stdlib
def test_makefile_raw_write_is_whole(lib):
    """A raw write to a blocking socket takes everything, as many programs rely on."""
    with narrow(lib) as (sock, peer), calling(everything, peer) as reader:
        with sock.makefile("wb", 0) as file:
            assert file.write(SOME) == len(SOME)
        sock.shutdown(SHUT_WR)
        assert reader.result(GUARD) == SOME


@as_the_stdlib
@waiting_modes
def test_makefile_text(lib, mode):
    """Text is encoded, and its line ends are translated."""
    with connected(lib, mode=mode) as (sock, peer):
        with sock.makefile("w", encoding="utf-8", newline="\r\n") as file:
            print("gr\xfc\xdfe", file=file)
        sock.shutdown(SHUT_WR)
        assert everything(peer) == "gr\xfc\xdfe\r\n".encode()


@as_the_stdlib
@pytest.mark.parametrize("buffering", [-1, 20_000_000], ids=["small", "large"])
def test_makefile_flush_again_after_timeout(lib, buffering):
    """A flush that timed out half-way goes on where it stopped, and sends nothing twice."""
    with narrow(lib) as (sock, peer), file_of(sock, "wb", buffering) as file:
        if lib is socket:
            sock.settimeout(LIMIT)
        chunk = MUCH if buffering > 0 else MUCH[:8000]

        def write_on():
            for _ in repeat(None):
                file.write(chunk)
                file.flush()

        with safesocket.timeouts(write=LIMIT), pytest.raises(TimeoutError):
            write_on()
        sock.settimeout(None)
        with calling(everything, peer) as reader:
            file.flush()
            sock.shutdown(SHUT_WR)
            received = reader.result(GUARD)
    assert len(received) % len(chunk) == 0
    assert received == chunk * (len(received) // len(chunk))


def test_makefile_close_after_limit():
    """Nor does the close that a with-block makes."""
    with narrow() as (sock, peer):
        late = pytest.raises(errors.WriteTimeoutError)
        with safesocket.timeouts(write=LIMIT), late, sock.makefile("wb", 20_000_000) as file:
            file.write(MUCH)
            file.flush()
        sock.shutdown(SHUT_WR)
        received = everything(peer)
    assert received == MUCH[: len(received)]


@as_the_stdlib
def test_makefile_write_nonblocking(lib):
    """A raw write to a non-blocking socket is short, and None where nothing is taken."""
    with narrow(lib, mode=0) as (sock, _), file_of(sock, "wb", 0) as file:
        counts = list(iter(partial(file.write, MUCH), None))
        assert 0 < counts[0] < len(MUCH)


@as_the_stdlib
def test_makefile_write_to_broken_connection(lib):
    """A broken connection is a BrokenPipeError, from write, flush or close."""
    with connected(lib) as (sock, _), file_of(sock, "wb") as file:
        sock.shutdown(SHUT_WR)
        file.write(b"hello")
        for call in (file.flush, partial(file.write, MUCH), file.close):
            assert outcome(call) == (BrokenPipeError, errno.EPIPE, (32, "Broken pipe"))


# makefile: the file itself.


@as_the_stdlib
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"mode": "rb"}, io.BufferedReader),
        ({"mode": "wb"}, io.BufferedWriter),
        ({"mode": "rwb"}, io.BufferedRWPair),
        ({"mode": "r", "encoding": "ascii"}, io.TextIOWrapper),
        ({"mode": "rb", "buffering": 0}, socket.SocketIO),
    ],
    ids=str,
)
def test_makefile_kind(lib, options, kind):
    """A file is of the class that the stdlib has for it."""
    with connected(lib) as (sock, _), sock.makefile(**options) as file:
        assert isinstance(file, kind)
        if kind is socket.SocketIO:
            assert (file.mode, file.name, file.fileno()) == ("rb", sock.fileno(), sock.fileno())


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "x"},
        {"mode": "rt"},
        {"mode": "r", "buffering": 0},
        {"mode": "rb", "buffering": -2},
        {"mode": "r", "encoding": "no such encoding"},
        {"mode": 1},
        {"mode": "rb", "unknown": 1},
    ],
    ids=str,
)
def test_makefile_bad_arguments(options):
    """What the stdlib finds wrong with the arguments is wrong here."""

    def ends(lib):
        with connected(lib) as (sock, _):
            try:
                sock.makefile(**options).close()
            except (ValueError, TypeError, LookupError) as exc:
                return type(exc), str(exc)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
def test_makefile_outlives_socket(lib):
    """A socket is closed when it and the last of its files are."""
    with connected(lib) as (sock, peer):
        with sock.makefile("rb") as file:
            sock.close()
            peer.sendall(b"hello")
            assert file.read(5) == b"hello"
            assert sock.fileno() != -1
        assert sock.fileno() == -1
        assert everything(peer) == b""


@pytest.mark.parametrize("method", ["recv_into", "send"])
def test_makefile_of_subclass(method):
    """What a subclass makes of recv_into and send, its files do."""
    calls = []

    class Telling(safesocket.socket):
        def recv_into(self, *args):
            calls.append("recv_into")
            return super().recv_into(*args)

        def send(self, *args):
            calls.append("send")
            return super().send(*args)

    with connected() as (sock, peer), Telling(fileno=sock.detach()) as telling:
        peer.sendall(b"hello\n")
        with telling.makefile("rb") as reader, telling.makefile("wb") as writer:
            assert reader.readline() == b"hello\n"
            writer.write(b"hello")
        assert calls == ["recv_into", "send"]


@needs_alarm
@as_the_stdlib
@waiting_modes
def test_makefile_interrupted(lib, mode):
    """Signals every few milliseconds do not end a line."""
    with connected(lib, mode=mode) as (sock, peer), sock.makefile("rb") as file:
        with counted_alarms() as seen, later(LIMIT, peer.sendall, b"hello\n"):
            assert file.readline() == b"hello\n"
        assert seen


@needs_alarm
@every_stop
@pytest.mark.parametrize("method", ["read", "readline"])
def test_makefile_stopped_by_handler(method, kind):
    """What a signal handler raises ends the wait, with no error behind."""
    with connected() as (sock, _), sock.makefile("rb") as file, stopped_by(kind):
        getattr(file, method)(5)


# sendfile.


@contextmanager
def regular(data):
    """Yield a file that holds *data*."""
    with TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


@contextmanager
def unbuffered(data):
    """Yield the same without a buffer."""
    with regular(data) as file:
        yield file.raw


class Endless:
    """Something to read from that has neither descriptor nor position."""

    def __init__(self, data):
        self._data = data

    def read(self, size):
        data, self._data = self._data[:size], self._data[size:]
        return data


@contextmanager
def endless(data):
    yield Endless(data)


FILES = {"regular": regular, "unbuffered": unbuffered, "bytesio": BytesIO, "endless": endless}
every_file = pytest.mark.parametrize("make", FILES.values(), ids=FILES.keys())


@as_the_stdlib
@every_file
@waiting_modes
def test_sendfile(lib, make, mode):
    """A file is sent whole, the bytes are counted, and the file stands at its end."""
    with narrow(lib, mode=mode) as (sock, peer), calling(everything, peer) as reader:
        with make(SOME) as file:
            assert sock.sendfile(file) == len(SOME)
            assert file.read(1) == b""
        sock.shutdown(SHUT_WR)
        assert reader.result(GUARD) == SOME
        assert mode_of(sock) == (mode is not None, mode)


@pytest.mark.parametrize("make", [regular, unbuffered, BytesIO])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("offset", [0, 3, 10, 99])
@pytest.mark.parametrize("count", [None, 1, 7, 99])
@waiting_modes
def test_sendfile_part(make, start, offset, count, mode):
    """Of any part of a file as much is sent as the stdlib sends, and the file stands as there."""

    def ends(lib):
        with connected(lib, mode=mode) as (sock, peer), make(b"0123456789") as file:
            file.seek(start)
            sent = sock.sendfile(file, offset, count)
            sock.shutdown(SHUT_WR)
            return sent, file.tell(), everything(peer)

    assert ends(safesocket) == ends(socket)


BAD_SENDFILES = {
    "nothing": lambda sock, file: sock.sendfile(),
    "none": lambda sock, file: sock.sendfile(None),
    "path": lambda sock, file: sock.sendfile("/dev/null"),
    "text": lambda sock, file: sock.sendfile(io.StringIO("hello")),
    "count-zero": lambda sock, file: sock.sendfile(file, 0, 0),
    "count-negative": lambda sock, file: sock.sendfile(file, 0, -1),
    "count-float": lambda sock, file: sock.sendfile(file, 0, 1.0),
    "offset-negative": lambda sock, file: sock.sendfile(file, -1),
    "offset-float": lambda sock, file: sock.sendfile(file, 1.0),
    "offset-text": lambda sock, file: sock.sendfile(file, "1"),
    "file-closed": lambda sock, file: sock.sendfile(file.close() or file),
}


@pytest.mark.parametrize("call", BAD_SENDFILES.values(), ids=BAD_SENDFILES.keys())
@pytest.mark.parametrize("make", [regular, BytesIO])
@every_mode
def test_sendfile_bad_arguments(call, make, mode):
    """What the stdlib finds wrong with a call is wrong here, and nothing more is sent."""

    def ends(lib):
        with connected(lib, mode=mode) as (sock, peer), make(b"hello") as file:
            seen = outcome(call, sock, file)
            sock.shutdown(SHUT_WR)
            return seen, everything(peer)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@pytest.mark.parametrize("make", [regular, BytesIO])
def test_sendfile_on_datagrams(lib, make):
    """Only streams take files."""
    refused = pytest.raises(ValueError, match="only SOCK_STREAM")
    with datagrams(lib) as (sock, _), make(b"hello") as file, refused:
        sock.sendfile(file)


@as_the_stdlib
@pytest.mark.parametrize("make", [regular, BytesIO])
def test_sendfile_nonblocking(lib, make):
    """A non-blocking socket takes none."""
    refused = pytest.raises(ValueError, match="non-blocking sockets are not supported")
    with connected(lib, mode=0) as (sock, _), make(b"hello") as file, refused:
        sock.sendfile(file)


@as_the_stdlib
@pytest.mark.parametrize("make", [regular, BytesIO])
@waiting_modes
def test_sendfile_to_broken_connection(lib, make, mode):
    """A broken connection is a BrokenPipeError, and the file stays where it was."""
    with connected(lib, mode=mode) as (sock, _), make(b"hello") as file:
        sock.shutdown(SHUT_WR)
        assert outcome(sock.sendfile, file) == (BrokenPipeError, errno.EPIPE, (32, "Broken pipe"))
        assert file.tell() in (0, 5)


@as_the_stdlib
@waiting_modes
def test_sendfile_empty_file(lib, mode):
    """Of an empty file nothing is sent."""
    with connected(lib, mode=mode) as (sock, peer), regular(b"") as file:
        assert sock.sendfile(file) == 0
        sock.shutdown(SHUT_WR)
        assert everything(peer) == b""


@as_the_stdlib
def test_sendfile_from_pipe(lib):
    """A pipe has a descriptor and no size: the stdlib finds it empty."""
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    os.close(writing)
    with connected(lib) as (sock, peer), open(reading, "rb") as file:
        assert sock.sendfile(file) == 0
        sock.shutdown(SHUT_WR)
        assert everything(peer) == b""


@as_the_stdlib
@waiting_modes
def test_sendfile_of_shrinking_file(lib, mode):
    """A file that is cut while it is sent is sent as far as it goes."""
    with narrow(lib, mode=mode) as (sock, peer), regular(MUCH) as file:
        with calling(sock.sendfile, file) as sender:
            received = peer.recv(50_000, MSG_WAITALL)
            file.truncate(5_000_000)
            with calling(everything, peer) as reader:
                sent = sender.result(GUARD)
                sock.shutdown(SHUT_WR)
                received += reader.result(GUARD)
        assert (sent, file.tell()) == (5_000_000, 5_000_000)
    assert received == MUCH[:5_000_000]


@as_the_stdlib
@waiting_modes
def test_sendfile_of_growing_file(lib, mode):
    """A file that grows while it is sent is sent to its end, as a log is."""
    with narrow(lib, mode=mode) as (sock, peer), regular(MUCH) as file:
        with calling(sock.sendfile, file) as sender:
            received = peer.recv(50_000, MSG_WAITALL)
            os.pwrite(file.fileno(), b"more", len(MUCH))
            with calling(everything, peer) as reader:
                sent = sender.result(GUARD)
                sock.shutdown(SHUT_WR)
                received += reader.result(GUARD)
        assert (sent, file.tell()) == (len(MUCH) + 4, len(MUCH) + 4)
    assert received == MUCH + b"more"


@needs_alarm
@as_the_stdlib
@pytest.mark.parametrize("make", [regular, BytesIO])
@waiting_modes
def test_sendfile_interrupted(lib, make, mode):
    """Signals every few milliseconds neither end it nor lose any of it."""
    with narrow(lib, mode=mode) as (sock, peer), make(SOME) as file, counted_alarms() as seen:
        received = []
        with later(LIMIT, lambda: received.append(everything(peer))):
            assert sock.sendfile(file) == len(SOME)
            sock.shutdown(SHUT_WR)
        assert seen
    assert received == [SOME]


@needs_alarm
@pytest.mark.parametrize("make", [regular, BytesIO])
@every_stop
def test_sendfile_stopped_by_handler(make, kind):
    """When a signal handler ends it the file stands where the sending stopped."""
    with narrow() as (sock, peer), make(MUCH) as file:
        with stopped_by(kind):
            sock.sendfile(file)
        sock.shutdown(SHUT_WR)
        assert everything(peer) == MUCH[: file.tell()]


@pytest.mark.parametrize("make", [regular, BytesIO])
def test_sendfile_error_names_it(make):
    """The error of a file that was not taken is one of sendfile, and counts all of it."""
    with narrow() as (sock, peer), make(MUCH) as file, safesocket.timeouts(write=LIMIT):
        with pytest.raises(errors.WriteTimeoutError) as it:
            sock.sendfile(file, 1000)
        sock.shutdown(SHUT_WR)
        sent = len(everything(peer))
    assert (it.value.operation, it.value.bytes_sent) == ("sendfile", sent)
    assert file.closed or file.tell() == 1000 + sent


# Descriptors sent along with data.


@as_the_stdlib
@waiting_modes
def test_send_fds(lib, mode):
    """Descriptors arrive as descriptors of the same files."""
    with connected(lib, AF_UNIX, mode=mode) as (sock, peer), regular(b"hello") as file:
        assert lib.send_fds(sock, [b"with", b"data"], [file.fileno()] * 2) == 8
        data, fds, flags, _ = socket.recv_fds(peer, 99, 9)
        assert (data, len(fds), flags & ~CLOSE_ON_EXEC) == (b"withdata", 2, 0)
        for fd in fds:
            assert os.pread(fd, 9, 0) == b"hello"
            os.close(fd)


@as_the_stdlib
@waiting_modes
@pytest.mark.parametrize("room", [0, 1, 2, 9])
def test_recv_fds(lib, mode, room):
    """As many are received as there is room for, during a wait as well."""
    with connected(lib, AF_UNIX, mode=mode) as (sock, peer), regular(b"hello") as file:
        fds = [file.fileno()] * 2
        with later(LIMIT, socket.send_fds, peer, [b"data"], fds):
            data, received, flags, _ = lib.recv_fds(sock, 99, room)
        for fd in received:
            assert os.pread(fd, 9, 0) == b"hello"
            os.close(fd)
        assert (data, bool(flags & MSG_CTRUNC)) == (b"data", room < 2)
        assert room == 1 or len(received) == min(room, 2)


# Nothing is left behind.


@pytest.mark.parametrize("mode", [None, 0.001, 0.0], ids=["limit", "timeout", "nonblocking"])
@pytest.mark.parametrize("method", ["read", "readline", "write"])
def test_makefile_leaves_no_garbage(mode, method):
    """A file whose wait has failed leaves no reference cycle."""

    def attempt():
        with file_of(sock, "rwb", 0) as file:
            outcome(getattr(file, method), *([MUCH] if method == "write" else []))

    with narrow(mode=mode) as (sock, _), safesocket.timeouts(read=0.001, write=0.001):
        assert garbage(attempt, times=1) == 0


def test_stream_leaves_no_descriptor():
    """Files and descriptors that come and go leave none behind."""
    with connected(family=AF_UNIX) as (sock, peer), regular(SOME) as file:
        before = descriptors()
        for _ in range(10):
            with sock.makefile("rb"), sock.makefile("wb"), safesocket.timeouts(write=0):
                outcome(sock.sendfile, file)
                outcome(safesocket.send_fds, sock, [b"."], [file.fileno()])
        assert (descriptors(), peer.fileno() >= 0) == (before, True)


def test_sendfile_that_ends_in_a_full_socket():
    """When the last byte is taken it is done, however full the socket is then."""
    with connected(safesocket, AF_UNIX) as (sock, _), safesocket.timeouts(write=LIMIT):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is
        with within(0):
            assert sock.sendfile(BytesIO(bytes(1000)), 50, 100_000) == 950


@as_the_stdlib
@every_mode
def test_sendfile_on_closed_socket(lib, mode):
    """The error is that of the stdlib's own method."""
    with connected(lib, mode=mode) as (sock, _), regular(b"hello") as file:
        sock.close()
        with pytest.raises(ValueError):  # noqa: PT011 (the text is Python's)
            sock.sendfile(file)


@as_the_stdlib
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_sendfile_in_messages(lib, mode):
    """Where messages stay apart they are those that the stdlib sends."""
    with connected(lib, AF_UNIX, socket.SOCK_SEQPACKET, mode) as (sock, peer):
        assert sock.sendfile(BytesIO(bytes(20_000))) == 20_000
        assert [len(peer.recv(30_000)) for _ in range(3)] == [8192, 8192, 3616]


@pytest.mark.parametrize("block", [nullcontext, safesocket.installed], ids=["drop-in", "installed"])
def test_sendfile_counts_the_whole_of_a_stream(block):
    """bytes_sent of a failure is of the whole call, and so is the operation."""
    lib = safesocket if block is nullcontext else socket
    with block(), connected(lib, mode=LIMIT) as (sock, peer):
        with pytest.raises(errors.WriteTimeoutError) as it:
            sock.sendfile(BytesIO(MUCH))
        sock.close()
        assert (it.value.operation, it.value.bytes_sent) == ("sendfile", len(everything(peer)))
