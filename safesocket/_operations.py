"""The operations that neither read, write nor connect: accept, bind, options, modes, sendfile.

Plain functions of a socket, like those of ``_reading`` and ``_writing``.
"""

from __future__ import annotations

import socket as stdlib

from . import _system
from ._failing import fail, plainly
from ._plain import is_infinite
from ._resolve import resolved
from ._roles import ACCEPTED, ADOPTED, BOUND, CONNECTED, PAIRED
from ._route import carry_over, note, recall
from ._scope import READ
from ._wait import plainly_in_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

_dup = stdlib.dup


def accept_as(kind: type[Socket], self: Socket) -> tuple[Socket, Any]:
    """Accept a connection as a socket of *kind*."""
    fd, address = plainly_in_time(self, "accept", READ, _system.accept)
    sock = kind(_system.family(self), _system.kind(self), self.proto, fileno=fd)
    known = note(sock)
    known.role = ACCEPTED
    known.asked = address or None
    # CPython issue 7995: no flags inherited from a listener with a timeout.
    if stdlib.getdefaulttimeout() is None and _system.gettimeout(self):
        _system.setblocking(sock, True)
    return sock, address


def dup(self: Socket) -> Socket:
    """Return a new socket object on the same connection; the new descriptor is not inheritable.

    Limits, peer and mode are those of the original.

    Raises:
        ResourceError: no descriptor is free.
        SocketClosedError: the socket is closed.
    Source: dup(2); Python ``socket.dup``.
    """
    fd = plainly(self, "dup", _new_descriptor)
    sock = type(self)(_system.family(self), _system.kind(self), self.proto, fileno=fd)
    sock.settimeout(self.gettimeout())  # by the methods of a subclass, if it has them
    carry_over(self, sock)
    return sock


def _new_descriptor(sock: Socket) -> int:
    return _dup(_system.fileno(sock))


def adopt(sock: Socket) -> None:
    """Note that the descriptor of *sock* comes from elsewhere."""
    note(sock).role = ADOPTED


def pair(*ends: Socket) -> None:
    """Note that the sockets talk to each other."""
    for sock in ends:
        note(sock).role = PAIRED


def bind(self: Socket, address: Any, /) -> None:
    """Bind the socket to a local *address*.

    Raises:
        AddressInUseError: somebody has it.
        BindDeniedError: this process may not have it.
        AddressNotAvailableError: this machine has no such address.
        SocketPathError: the directory of an AF_UNIX path is not there.
        HostNotFoundError, ResolverError: a host name in *address* was not found.
        ResolveTimeoutError: it was not found within the ``resolve`` timeout (seconds).
        BindError: any other failure.
    Source: bind(2); Python ``socket.bind``.
    """
    found = resolved(self, "bind", address)
    try:
        _system.bind(self, found)
    except OSError as exc:
        fail(self, exc, "bind", target=address, tried=found)
    known = note(self)
    if known.role not in (CONNECTED, PAIRED):  # on AF_UNIX these may be bound, too
        known.role, known.peer = BOUND, None


def listen(self: Socket, *backlog: int) -> None:
    """Let the socket accept connections: ``listen([backlog])``, in connections.

    Raises:
        AddressInUseError: another socket listens there already.
        BindError: any other failure.
    Source: listen(2); Python ``socket.listen``.
    """
    try:
        return _system.listen(self, *backlog)
    except OSError as exc:
        fail(self, exc, "listen")


def shutdown(self: Socket, how: int, /) -> None:
    """Shut down one half of the connection or both.

    Raises:
        NotConnectedError: the socket is not connected.
        SafeSocketError: any other failure.
    Source: shutdown(2); Python ``socket.shutdown``.
    """
    try:
        return _system.shutdown(self, how)
    except OSError as exc:
        fail(self, exc, "shutdown")


def getpeername(self: Socket, /) -> Any:
    """Return the address of the other side.

    Raises:
        NotConnectedError: the socket is not connected, or no longer.
        SafeSocketError: any other failure.
    Source: getpeername(2); Python ``socket.getpeername``.
    """
    try:
        return _system.getpeername(self)
    except OSError as exc:
        fail(self, exc, "getpeername")


def getsockname(self: Socket, /) -> Any:
    """Return the socket's own address.

    Raises:
        SocketClosedError: the socket is closed.
        SafeSocketError: any other failure.
    Source: getsockname(2); Python ``socket.getsockname``.
    """
    try:
        return _system.getsockname(self)
    except OSError as exc:
        fail(self, exc, "getsockname")


def getsockopt(self: Socket, level: int, optname: int, /, *buflen: int) -> Any:
    """Return a socket option: ``getsockopt(level, optname[, buflen])``.

    Raises:
        SocketOperationError: the option is not there.
        SafeSocketError: any other failure.
    Source: getsockopt(2); Python ``socket.getsockopt``.
    """
    try:
        return _system.getsockopt(self, level, optname, *buflen)
    except OSError as exc:
        fail(self, exc, "getsockopt")


def setsockopt(self: Socket, level: int, optname: int, value: Any, /, *optlen: int) -> None:
    """Set a socket option: ``setsockopt(level, optname, value[, optlen])``.

    Raises:
        OperationDeniedError: this process may not set it.
        SocketOperationError: the option is not there, or the value is none for it.
        SafeSocketError: any other failure.
    Source: setsockopt(2); Python ``socket.setsockopt``.
    """
    try:
        return _system.setsockopt(self, level, optname, value, *optlen)
    except OSError as exc:
        fail(self, exc, "setsockopt")


def settimeout(self: Socket, value: float | None, /) -> None:
    """Set the socket's own timeout: seconds, 0 for non-blocking, None or FOREVER for ever.

    None, said by the program itself, is honoured: safesocket's limits no longer apply to this
    socket, until it gets a timeout or ``set_timeouts`` again.

    Raises:
        ValueError: the value is negative.
        TypeError: the value is not a number.
        SocketClosedError: the socket is closed.
    Source: Python ``socket.settimeout``.
    """
    _set_mode(self, "settimeout", _system.settimeout, None if is_infinite(value) else value)
    _mark_forever(self, _system.gettimeout(self) is None)


def settimeout_as_mode(self: Socket, value: float | None, /) -> None:
    """Set the socket's own timeout: seconds, 0 for non-blocking, FOREVER for ever, None for none.

    None only sets blocking mode: programs pass it without a thought, and safesocket's limits go
    on to apply.

    Raises:
        ValueError: the value is negative.
        TypeError: the value is not a number.
        SocketClosedError: the socket is closed.
    Source: Python ``socket.settimeout``.
    """
    _set_mode(self, "settimeout", _system.settimeout, None if is_infinite(value) else value)
    _mark_forever(self, is_infinite(value))


def setblocking(self: Socket, flag: bool, /) -> None:
    """Set blocking mode, which is ``settimeout(None)``, or non-blocking mode, ``settimeout(0)``.

    Raises:
        SocketClosedError: the socket is closed.
    Source: Python ``socket.setblocking``.
    """
    _set_mode(self, "setblocking", _system.setblocking, flag)
    _mark_forever(self, _system.gettimeout(self) is None)


def setblocking_as_mode(self: Socket, flag: bool, /) -> None:
    """Set blocking mode or non-blocking mode; safesocket's limits apply to the former.

    Raises:
        SocketClosedError: the socket is closed.
    Source: Python ``socket.setblocking``.
    """
    _set_mode(self, "setblocking", _system.setblocking, flag)
    _mark_forever(self, False)


def _set_mode(sock: Socket, operation: str, call: Callable[..., None], value: Any) -> None:
    try:
        call(sock, value)
    except OSError as exc:
        if (known := recall(sock)) is not None:
            known.lent = None  # closed; the mode is set even so
        fail(sock, exc, operation)


def _mark_forever(sock: Socket, forever: bool) -> None:
    known = note(sock) if forever else recall(sock)
    if known is not None:
        known.forever = forever
        if known.lent:  # the timeout in C is the program's again
            _system.clear_timeouts(sock)
        known.lent = known.own = known.term = None
