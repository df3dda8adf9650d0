"""class socket: the stdlib's, with the operations of this house; nothing else.

What an operation does is in ``_reading``, ``_writing``, ``_connecting``, ``_operations`` and
``_sendfile``. The class has no state of its own.
"""

from __future__ import annotations

import sys

from . import _connecting, _operations, _reading, _sendfile, _system, _writing
from ._failing import fail
from ._stream import makefile as _makefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as _Plain
    from typing import Any


if not TYPE_CHECKING:
    _Plain = _system.stdlib_class()  # gevent and others replace the name


class socket(_Plain):
    """A socket that does not hang silently and says what failed; in all else the stdlib's.

    Raises:
        ResourceError: no descriptor is free (EMFILE, ENFILE).
        OperationDeniedError: this process may not create such a socket.
        SocketOperationError: the system has no such family, type or protocol.
    Source: socket(2); Python ``socket.socket``.
    """

    __slots__ = ()
    __module__ = "safesocket"

    def __init__(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002 (the stdlib's name)
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        try:
            super().__init__(family, type, proto, fileno)
        except OSError as exc:
            fail(self, exc, "socket")
        if fileno is not None:
            _operations.adopt(self)

    def accept(self) -> tuple[socket, Any]:
        """Wait for a client, as long as it takes; return the connection and its address.

        Reads on the connection are limited by the ``serve`` timeout (seconds), which is off
        unless asked for, writes by ``write``.

        Raises:
            AcceptTimeoutError: nobody came within the ``settimeout`` of this socket, or a deadline.
            ResourceError: no descriptor is free.
            ConnectionAbortError: the client left before it was accepted.
            SocketClosedError: the socket is closed.
        Source: accept(2); Python ``socket.accept``.
        """
        return _operations.accept_as(socket, self)  # type: ignore[return-value]

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        # multiprocessing has an entry for socket.socket alone, and loads it when it is imported.
        caller = sys._getframe(1).f_globals
        if caller.get("__name__") == "multiprocessing.reduction" and type(self) is socket:
            return _received, caller["_reduce_socket"](self)[1]
        return super().__reduce_ex__(protocol)

    bind = _operations.bind
    connect = _connecting.connect
    connect_ex = _connecting.connect_ex
    dup = _operations.dup  # type: ignore[assignment]
    getpeername = _operations.getpeername
    getsockname = _operations.getsockname
    getsockopt = _operations.getsockopt
    listen = _operations.listen
    makefile = _makefile
    recv = _reading.recv
    recv_into = _reading.recv_into
    recvfrom = _reading.recvfrom
    recvfrom_into = _reading.recvfrom_into
    send = _writing.send
    sendall = _writing.sendall
    sendfile = _sendfile.sendfile
    sendto = _writing.sendto
    setblocking = _operations.setblocking
    setsockopt = _operations.setsockopt
    settimeout = _operations.settimeout
    shutdown = _operations.shutdown
    if _system.recvmsg is not None:
        recvmsg = _reading.recvmsg
        recvmsg_into = _reading.recvmsg_into
        sendmsg = _writing.sendmsg
    if _system.sendmsg_afalg is not None:
        sendmsg_afalg = _writing.sendmsg_afalg


def _received(*sent: Any) -> socket:
    """Return what ``multiprocessing`` has sent, as a socket of ours."""
    from multiprocessing.reduction import _rebuild_socket  # type: ignore[attr-defined]

    plain = _rebuild_socket(*sent)
    return socket(plain.family, plain.type, plain.proto, plain.detach())
