"""The operations that read: try first, wait only where the program would have waited for ever.

Plain functions of a socket: ``_sockets.socket`` takes them as its methods, and they serve any
other subclass of ``_socket.socket``. Between a call and its data stands one C call; all else is
elsewhere and runs only when that call fails.
"""

from __future__ import annotations

import _socket
from operator import index

from . import _system
from ._deadline import attend, running
from ._failing import must_wait, plainly
from ._scope import READ
from ._wait import in_time, outlasts, wait_to_read
from ._waitall import read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket as Socket
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    #: data, ancillary data, flags, address
    Message: TypeAlias = tuple[T, list[tuple[int, int, bytes]], int, Any]

_DONTWAIT = _system.DONTWAIT
_recv = _system.recv
_recv_into = _system.recv_into
_recvfrom = _system.recvfrom
_recvfrom_into = _system.recvfrom_into
_recvmsg: Callable[..., Message[bytes]] = _system.recvmsg
_recvmsg_into: Callable[..., Message[int]] = _system.recvmsg_into

_NONE = 0  # flags, by identity: what is not plainly 0 takes the longer way; measured, 25 ns
attend(globals())  # and everything does while a deadline runs
_WAITALL = int(getattr(_socket, "MSG_WAITALL", 0))
#: Flags that change what "would block" means: recv(2).
_UNUSUAL = _WAITALL | _DONTWAIT | _socket.MSG_OOB | int(getattr(_socket, "MSG_ERRQUEUE", 0))


def recv(self: Socket, bufsize: int, flags: int = 0, /) -> bytes:
    """Receive at most *bufsize* bytes; ``b""`` means that the other side has finished.

    Each wait is limited by the ``read`` timeout (seconds), where the socket is in blocking mode.

    Raises:
        ReadTimeoutError: nothing came in time.
        PeerResetError: the other side reset the connection.
        PeerLostError: the kernel gave the connection up.
        NotConnectedError: the socket is not connected.
        TransferError: any other failure.
    Platform: without MSG_DONTWAIT (Windows) the wait comes before the call.
    Source: recv(2); Python ``socket.recv``; PEP 475 (EINTR is retried).
    """
    if flags is not _NONE:
        return _with_flags(self, "recv", _recv, bufsize, flags)
    try:
        return _recv(self, bufsize, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recv")
    return wait_to_read(self, "recv", _recv, bufsize, flags)


def recv_into(self: Socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    """Receive at most *nbytes* bytes (0: as many as fit) into *buffer*; return how many.

    Limits and errors are those of :func:`recv`.
    Source: recv(2); Python ``socket.recv_into``.
    """
    if flags is not _NONE:
        return _with_flags(self, "recv_into", _recv_into, buffer, nbytes, flags)
    try:
        return _recv_into(self, buffer, nbytes, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recv_into")
    return wait_to_read(self, "recv_into", _recv_into, buffer, nbytes, flags)


def recvfrom(self: Socket, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
    """Receive at most *bufsize* bytes; return them and the address of the sender.

    Limits and errors are those of :func:`recv`; on a datagram socket that the program bound,
    a server's, there is no limit.
    Source: recvfrom(2); Python ``socket.recvfrom``.
    """
    if flags is not _NONE:
        return _with_flags(self, "recvfrom", _recvfrom, bufsize, flags)
    try:
        return _recvfrom(self, bufsize, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recvfrom")
    return wait_to_read(self, "recvfrom", _recvfrom, bufsize, flags)


def recvfrom_into(self: Socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
    """Receive at most *nbytes* bytes into *buffer*; return how many, and the sender's address.

    Limits and errors are those of :func:`recvfrom`.
    Source: recvfrom(2); Python ``socket.recvfrom_into``.
    """
    if flags is not _NONE:
        return _with_flags(self, "recvfrom_into", _recvfrom_into, buffer, nbytes, flags)
    try:
        return _recvfrom_into(self, buffer, nbytes, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recvfrom_into")
    return wait_to_read(self, "recvfrom_into", _recvfrom_into, buffer, nbytes, flags)


def recvmsg(self: Socket, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Message[bytes]:
    """Receive at most *bufsize* bytes and ancillary data of at most *ancbufsize* bytes.

    Limits and errors are those of :func:`recv`.
    Platform: not on Windows.
    Source: recvmsg(2); Python ``socket.recvmsg``.
    """
    if flags is not _NONE:
        return _with_flags(self, "recvmsg", _recvmsg, bufsize, ancbufsize, flags)
    try:
        return _recvmsg(self, bufsize, ancbufsize, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recvmsg")
    return wait_to_read(self, "recvmsg", _recvmsg, bufsize, ancbufsize, flags)


def recvmsg_into(
    self: Socket, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /
) -> Message[int]:
    """Receive into *buffers*, one after the other, as :func:`recvmsg` does.

    Limits and errors are those of :func:`recv`.
    Platform: not on Windows.
    Source: recvmsg(2), readv(2); Python ``socket.recvmsg_into``.
    """
    buffers = list(buffers)  # a generator would be empty at the second try
    if flags is not _NONE:
        return _with_flags(self, "recvmsg_into", _recvmsg_into, buffers, ancbufsize, flags)
    try:
        return _recvmsg_into(self, buffers, ancbufsize, _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "recvmsg_into")
    return wait_to_read(self, "recvmsg_into", _recvmsg_into, buffers, ancbufsize, flags)


def _with_flags(sock: Socket, operation: str, call: Callable[..., T], *args: Any) -> T:
    """Make the read *call* of *operation*, whose flags are the last of *args*."""
    *most, flags = args
    args = (*most, flags := index(flags))
    if running and outlasts(sock, operation, flags):
        return in_time(sock, operation, READ, call, *args)
    if flags & _UNUSUAL == _WAITALL:
        return read_whole(sock, operation, call, *args)
    if flags & _UNUSUAL:
        return plainly(sock, operation, call, *args)
    try:
        return call(sock, *most, flags | _DONTWAIT)
    except OSError as exc:
        must_wait(sock, exc, operation)
    return wait_to_read(sock, operation, call, *args)
