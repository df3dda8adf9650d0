"""sendfile with a limit; nothing else.

os.sendfile on a blocking descriptor sleeps in the kernel until everything is sent, and no flag
makes it return. So a blocking socket under a limit reads the file in blocks and sends those
with bounded waits. A socket with a timeout of its own has a non-blocking descriptor and gets
os.sendfile; one without any limit gets the stdlib's own method.
"""

from __future__ import annotations

import _socket
import io
import os
import sys
from functools import partial

from . import _system
from ._deadline import running
from ._failing import fail
from ._recorder import recorded_call, recording
from ._scope import WRITE
from ._timeouts import Limit
from ._translate import correct
from ._wait import Patience, governing
from ._writing import NOTHING_YET, finish_patiently, send
from .errors import SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

_plain_sendfile: Callable[..., int] = _system.stdlib_class().sendfile
_BLOCK = 262_144  # bytes; picked arbitrarily: many pages, few beside a socket's buffer


def sendfile(self: Socket, file: Any, offset: int = 0, count: int | None = None) -> int:
    """Send *file* from *offset*, *count* bytes or to its end; return the number of bytes sent.

    The file position is updated on return and on failure, as in the stdlib. Each wait in which
    the other side takes nothing is limited by the ``write`` timeout (seconds).

    Raises:
        WriteTimeoutError: nothing more was taken in time; ``bytes_sent`` says how far it came.
        TransferError: any other failure of the connection.
        ValueError: the socket is non-blocking or no stream, or the file is in text mode.
    Platform: with the limit of a blocking socket, files are read with pread(2) and not sent with
        sendfile(2), which cannot be limited.
    Source: sendfile(2); Python ``socket.sendfile``.
    """
    limit = _limit(self)
    if limit is None or _system.fileno(self) < 0 or _system.kind(self) != _socket.SOCK_STREAM:
        return _send_as_stdlib(self, file, offset, count)
    self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
    part = _part(self, file, offset, count)
    if isinstance(part, _Stream) and not _is_ours(type(self).send):
        return _send_as_stdlib(self, file, offset, count)  # by the subclass's own send
    if part.is_empty():
        return 0
    patience = Patience(self, "sendfile", WRITE, limit)
    try:
        return finish_patiently(patience, part.push, part.size, _tried(self, part, patience), 0)
    except EOFError:
        return part.sent
    finally:
        if part.sent > 0 and hasattr(file, "seek"):
            file.seek(offset + part.sent)


def _limit(sock: Socket) -> Limit | None:
    own = _system.gettimeout(sock)
    if own is None:  # the stdlib's method waits, for ever, even with O_NONBLOCK or SO_SNDTIMEO
        return governing(sock, WRITE)
    return Limit(own, "", "settimeout") if own else None


def _tried(sock: Socket, part: _Regular | _Stream, patience: Patience) -> int:
    """Send what goes at once, as the stdlib's method does for a blocking socket.

    AF_UNIX has room for more when it is not yet said to be ready.
    """
    if running or _system.gettimeout(sock) is not None:
        return NOTHING_YET
    try:
        return part.push(0, _system.DONTWAIT)
    except BlockingIOError:
        return NOTHING_YET
    except OSError as exc:
        patience.give_up(exc, bytes_sent=0)


def _send_as_stdlib(sock: Socket, file: Any, offset: int, count: int | None) -> int:
    started = _system.now()
    try:
        return _plain_sendfile(sock, file, offset, count)
    except SafeSocketError as error:  # of one block; how many went before is not known
        correct(error, "sendfile", None, _system.now() - started)
        raise
    except OSError as exc:
        fail(sock, exc, "sendfile", elapsed=_system.now() - started)
    finally:
        if recording:
            recorded_call(sock, WRITE, started)


def _is_ours(method: Any) -> bool:
    """Tell whether *method* is :func:`send`, or the copy that ``install()`` has made of it."""
    return getattr(method, "__code__", None) is send.__code__


def _part(sock: Socket, file: Any, offset: int, count: int | None) -> _Regular | _Stream:
    """Return what is to be sent of *file*."""
    most = sys.maxsize if count is None else count
    try:
        fd = int(file.fileno())
        os.fstat(fd)
    except (AttributeError, io.UnsupportedOperation, OSError):
        if offset:
            file.seek(offset)
        return _Stream(sock, file, most)
    return _Regular(sock, fd, offset, most)


def _sender(sock: Socket) -> Callable[..., int]:
    """Return how to send to *sock*; with a timeout of its own C waits, perhaps past a deadline."""
    if running and _system.gettimeout(sock) is not None:
        return partial(_system.without_waiting, _system.send)
    return _system.send


class _Regular:
    """A part of a regular file; at most *size* bytes of it, and what it grows by meanwhile."""

    def __init__(self, sock: Socket, fd: int, offset: int, size: int) -> None:
        self.size = size
        self.sent = 0
        self._sock = sock
        self._fd = fd
        self._offset = offset
        self._write = _sender(sock)
        self._zero_copy = _system.gettimeout(sock) is not None

    def is_empty(self) -> bool:
        """Tell whether nothing is left to send."""
        there = os.fstat(self._fd).st_size  # of what is no file with a size it is 0
        return not there or min(there - self._offset, self.size) <= self.sent

    def push(self, offset: int, flags: int) -> int:
        """Send from *offset* of the part on; return how much was taken."""
        length = min(self.size - offset, _BLOCK)
        sent = self._send(length, self._offset + offset, flags) if length > 0 else 0
        if not sent:
            raise EOFError  # or the file was cut meanwhile
        self.sent += sent
        if self.is_empty():  # asked now: the socket may never be ready for more
            raise EOFError
        return sent

    def _send(self, length: int, offset: int, flags: int) -> int:
        if sys.platform != "win32" and self._zero_copy:
            try:
                return os.sendfile(_system.fileno(self._sock), self._fd, offset, length)
            except BlockingIOError:
                raise
            except OSError:
                if self.sent:
                    raise
                self._zero_copy = False  # not every file can; sendfile(2)
        block = _read_at(self._fd, length, offset)
        return self._write(self._sock, block, flags) if block else 0


class _Stream:
    """What can only be read on and on; at most *size* bytes of it."""

    def __init__(self, sock: Socket, file: Any, size: int) -> None:
        self.size = size
        self.sent = 0
        self._sock = sock
        self._file = file
        self._write = _sender(sock)
        self._block = memoryview(b"")

    def is_empty(self) -> bool:
        """Tell whether nothing is left to send."""
        if not self._block:
            self._block = memoryview(self._file.read(min(self.size - self.sent, _BLOCK)))
        return not self._block

    def push(self, offset: int, flags: int) -> int:  # noqa: ARG002 (always the next)
        """Send the next bytes; return how much was taken."""
        sent = self._write(self._sock, self._block, flags)
        self._block = self._block[sent:]
        self.sent += sent
        if self.is_empty():  # asked now: the socket may never be ready for more
            raise EOFError
        return sent


if sys.platform != "win32":
    _read_at = os.pread
else:  # pragma: no cover (Windows)

    def _read_at(fd: int, length: int, offset: int, /) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, length)
