"""sendfile with a limit; nothing else.

os.sendfile on a blocking descriptor sleeps in the kernel until everything is sent, and no flag
makes it return. So a blocking socket under a limit reads the file in blocks and sends those
with bounded waits; every other socket gets os.sendfile, by the stdlib's own method.
"""

from __future__ import annotations

import io
import os
import socket as stdlib
import sys

from . import _system
from ._failing import fail
from ._scope import WRITE
from ._wait import own_limit
from ._writing import NOTHING_YET, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any

_BLOCK = 262_144  # bytes; measured: larger blocks are no faster on loopback


def sendfile(self: Socket, file: Any, offset: int = 0, count: int | None = None) -> int:
    """Send *file* from *offset*, *count* bytes or to its end; return the number of bytes sent.

    The file position is updated on return and on failure, as in the stdlib. Each wait in which
    the other side takes nothing is limited by the ``write`` timeout (seconds).

    Raises:
        WriteTimeoutError: nothing more was taken in time; ``bytes_sent`` says how far it came.
        TransferError: any other failure of the connection.
        ValueError: the socket is non-blocking or no stream, or the file is in text mode.
    Platform: regular files under a limit are read with pread(2), not sent with sendfile(2),
        which cannot be limited.
    Source: sendfile(2); Python ``socket.sendfile``.
    """
    if _system.gettimeout(self) is None and own_limit(self, WRITE) is not None:
        self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
        blocks = _Blocks(self, file, offset, count)
        if blocks.size > 0:
            return _send_blocks(blocks, file)
    return _send_as_stdlib(self, file, offset, count)


def _send_as_stdlib(sock: Socket, file: Any, offset: int, count: int | None) -> int:
    started = _system.now()
    try:
        return stdlib.socket.sendfile(sock, file, offset, count)
    except OSError as exc:
        fail(sock, exc, "sendfile", elapsed=_system.now() - started)


def _send_blocks(blocks: _Blocks, file: Any) -> int:
    try:
        return finish(blocks.sock, "sendfile", blocks.push, blocks.size, NOTHING_YET, 0)
    except EOFError:  # the file was cut while it was read
        return blocks.sent
    finally:
        if blocks.sent > 0 and hasattr(file, "seek"):
            file.seek(blocks.offset + blocks.sent)


class _Blocks:
    """A regular file, from *offset* on, sent block by block; ``size`` 0 if it is none."""

    def __init__(self, sock: Socket, file: Any, offset: int, count: int | None) -> None:
        self.sock = sock
        self.offset = offset
        self.sent = 0
        self.size = 0
        try:
            self._fd = int(file.fileno())
            there = os.fstat(self._fd).st_size - offset
        except (AttributeError, io.UnsupportedOperation, OSError):
            return  # no regular file
        self.size = there if count is None else min(there, count)

    def push(self, offset: int, flags: int) -> int:
        """Send from *offset* of the part to be sent on; return how much was taken."""
        block = _read_at(self._fd, min(self.size - offset, _BLOCK), self.offset + offset)
        if not block:
            raise EOFError
        sent = _system.send(self.sock, block, flags)
        self.sent += sent
        return sent


if sys.platform != "win32":
    _read_at = os.pread
else:  # the stdlib reads with read() there, and never calls os.sendfile

    def _read_at(fd: int, length: int, offset: int, /) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, length)
