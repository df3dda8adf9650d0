"""The operations that write: try first, and in blocking mode send everything.

Plain functions of a socket: ``_sockets.socket`` takes them as its methods, and they serve any
other subclass of ``_socket.socket``.

A blocking ``send`` on a stream sleeps in the kernel until all bytes are taken, and programs
ignore what it returns. MSG_DONTWAIT makes it partial. So here a short count is never returned
in blocking mode: the rest is sent with bounded waits, and a failure half-way says how far it
came in ``bytes_sent``.
"""

from __future__ import annotations

import _socket
from functools import partial
from operator import index

from . import _system
from ._deadline import attend, running
from ._failing import fail, must_wait, plainly
from ._hosts import is_certain
from ._resolve import resolved
from ._scope import WRITE
from ._timeouts import Limit
from ._wait import Patience, in_time, outlasts, own_limit, plainly_in_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket as Socket
    from typing import Any, TypeAlias

#: sends from an offset on, with flags, and returns how many bytes were taken
Push: TypeAlias = "Callable[[int, int], int]"

_DONTWAIT = _system.DONTWAIT
_send = _system.send
_sendall = _system.sendall
_sendto = _system.sendto
_sendmsg: Callable[..., int] = _system.sendmsg
_sendmsg_afalg: Callable[..., int] = _system.sendmsg_afalg

#: Flags with which the call is the system's alone: send(2), tcp(7).
_UNUSUAL = _DONTWAIT | int(getattr(_socket, "MSG_FASTOPEN", 0))
_NONE = 0  # flags, by identity, which is measured to be cheaper than the test it saves
attend(globals())  # while a deadline runs, no flags are this
NOTHING_YET = -1  # the first try took nothing: not even an empty message


def send(self: Socket, data: Any, flags: int = 0, /) -> int:
    """Send *data*; return the number of bytes taken, in blocking mode all of them.

    Each wait in which the other side takes nothing is limited by the ``write`` timeout
    (seconds), where the socket is in blocking mode.

    Raises:
        WriteTimeoutError: nothing more was taken in time; ``bytes_sent`` says how far it came.
        PeerResetError: the other side reset the connection.
        PeerClosedError: the connection had been closed.
        PeerLostError: the kernel gave the connection up.
        MessageTooLargeError: a datagram was too large.
        NotConnectedError: the socket is not connected.
        TransferError: any other failure.
    Platform: without MSG_DONTWAIT (Windows) the wait comes before the call.
    Source: send(2); Python ``socket.send``; PEP 475 (EINTR is retried).
    """
    if flags is not _NONE:
        flags = index(flags)
        if running and outlasts(self, "send", flags, bytes_sent=0):
            return in_time(self, "send", WRITE, _send, data, flags)
        if flags & _UNUSUAL:
            return plainly(self, "send", _send, data, flags)
    try:
        sent = _send(self, data, flags | _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "send", bytes_sent=0)
        sent = NOTHING_YET
    if type(data) is bytes and sent == len(data):  # len() of other buffers counts items
        return sent
    with _Bytes(data) as view:
        if _is_final(self, len(view), sent):
            return sent
        return finish(self, "send", partial(_push, self, view), len(view), sent, flags)


def sendto(self: Socket, *args: Any) -> int:
    """Send data to an address: ``sendto(data[, flags], address)``; return the bytes taken.

    Limits and errors are those of :func:`send`; a host name in the address is looked up first.

    Raises:
        HostNotFoundError, ResolverError: the name was not found.
        ResolveTimeoutError: it was not found within the ``resolve`` timeout (seconds).
        SocketPathError: an AF_UNIX path is not there.
    Source: sendto(2); Python ``socket.sendto``.
    """
    if len(args) == 2:
        (data, address), flags = args, 0
    elif len(args) == 3:
        data, flags, address = args
    else:
        return _sendto(self, *args)  # the stdlib says what is missing
    found = address if is_certain(address) else resolved(self, "sendto", address)
    if flags is not _NONE:
        flags = index(flags)
        if running and outlasts(self, "sendto", flags, target=address, bytes_sent=0):
            return in_time(self, "sendto", WRITE, _sendto, data, flags, found, target=address)
        if flags & _UNUSUAL:
            return plainly(self, "sendto", _sendto, data, flags, found, target=address)
    try:
        sent = _sendto(self, data, flags | _DONTWAIT, found)
    except OSError as exc:
        must_wait(self, exc, "sendto", address, tried=found, bytes_sent=0)
        sent = NOTHING_YET
    if type(data) is bytes and sent == len(data):
        return sent
    with _Bytes(data) as view:
        if _is_final(self, len(view), sent):
            return sent
        push = partial(_push_to, self, view, found)
        return finish(self, "sendto", push, len(view), sent, flags, target=address)


def sendmsg(
    self: Socket,
    buffers: Iterable[Any],
    ancdata: Iterable[Any] = (),
    flags: int = 0,
    address: Any = None,
    /,
) -> int:
    """Send *buffers*, joined, and *ancdata*; return the number of bytes taken.

    Limits and errors are those of :func:`send`.
    Platform: not on Windows.
    Source: sendmsg(2); Python ``socket.sendmsg``.
    """
    buffers, ancdata = list(buffers), list(ancdata)  # generators are empty at the second try
    found = address if is_certain(address) else resolved(self, "sendmsg", address)
    if flags is not _NONE:
        flags = index(flags)
        message = buffers, ancdata, flags, found
        if running and outlasts(self, "sendmsg", flags, target=address, bytes_sent=0):
            return in_time(self, "sendmsg", WRITE, _sendmsg, *message, target=address)
        if flags & _UNUSUAL:
            return plainly(self, "sendmsg", _sendmsg, *message, target=address)
    try:
        sent = _sendmsg(self, buffers, ancdata, flags | _DONTWAIT, found)
    except OSError as exc:
        must_wait(self, exc, "sendmsg", address, tried=found, bytes_sent=0)
        sent = NOTHING_YET
    size = sum(memoryview(buffer).nbytes for buffer in buffers)
    if _is_final(self, size, sent):
        return sent
    push = partial(_push_message, self, buffers, ancdata, found)
    return finish(self, "sendmsg", push, size, sent, flags, target=address)


def sendall(self: Socket, data: Any, flags: int = 0, /) -> None:
    """Send all of *data*.

    In blocking mode each wait in which the other side takes nothing is limited by the ``write``
    timeout; with a timeout of its own (``settimeout``) that is the total, as in the stdlib.
    Limits and errors are those of :func:`send`: ``bytes_sent`` of any of them is exact.
    Source: Python ``socket.sendall``.
    """
    started = _system.now()
    if flags is not _NONE:
        flags = index(flags)
        if running and outlasts(self, "sendall", flags, bytes_sent=0):
            _send_all_in_time(self, data, flags, started)
            return
        if flags & _UNUSUAL:
            plainly(self, "sendall", _sendall, data, flags)
            return
    try:
        sent = _send(self, data, flags | _DONTWAIT)
    except OSError as exc:
        must_wait(self, exc, "sendall", bytes_sent=0)
        sent = NOTHING_YET
    if type(data) is bytes and sent == len(data):
        return
    with _Bytes(data) as view:
        push = partial(_push, self, view)
        own = _system.gettimeout(self)
        if sent == len(view):
            return
        if own is None:
            finish(self, "sendall", push, len(view), sent, flags)
        else:
            _finish_in(own, self, push, len(view), sent, flags, started)


def _send_all_in_time(sock: Socket, data: Any, flags: int, started: float) -> None:
    """Send all of *data* on a socket whose own timeout outlasts the deadline."""
    with _Bytes(data) as view:
        push = partial(_push_at_once, sock, view)
        own = _system.gettimeout(sock) or 0
        _finish_in(own, sock, push, len(view), NOTHING_YET, flags, started)


def sendmsg_afalg(self: Socket, msg: Iterable[Any] = (), **options: Any) -> int:
    """Set mode, IV, AEAD data length and flags of an AF_ALG socket, and send *msg*.

    Raises:
        TransferError: the system call failed.
    Platform: Linux.
    Source: Python ``socket.sendmsg_afalg``.
    """
    call: Callable[..., int] = partial(_sendmsg_afalg, **options)
    return plainly_in_time(self, "sendmsg_afalg", WRITE, call, msg)


def _is_final(sock: Socket, size: int, sent: int) -> bool:
    """Tell whether *sent* of *size* is what the stdlib would return, too."""
    if sent == size:
        return True
    if sent == NOTHING_YET:
        return False
    return _system.gettimeout(sock) is not None or _system.kind(sock) != _socket.SOCK_STREAM


def finish(
    sock: Socket,
    operation: str,
    push: Push,
    size: int,
    sent: int,
    flags: int,
    target: Any = None,
) -> int:
    """Send what is left of *size* bytes behind *sent*, in blocking mode; return *size*."""
    limit = own_limit(sock, WRITE)
    if limit is not None:
        patience = Patience(sock, operation, WRITE, limit, target=target)
        return finish_patiently(patience, push, size, sent, flags)
    if _system.waits_by_itself(sock, _socket.SO_SNDTIMEO):
        return _finish_as_set_up(sock, operation, push, size, sent, flags, target)
    return _finish_whatever_it_takes(sock, operation, push, size, sent, flags, target)


def finish_patiently(
    patience: Patience, push: Push, size: int, sent: int, flags: int, *, total: bool = False
) -> int:
    """Push until *size* bytes are taken; *total*: one limit for all, not for each wait."""
    sent = max(sent, 0)
    while True:
        patience.pause(bytes_sent=sent)
        try:
            taken = push(sent, flags | _DONTWAIT)
        except BlockingIOError:
            taken = NOTHING_YET
        except OSError as exc:
            patience.give_up(exc, bytes_sent=sent)
        if taken == NOTHING_YET:
            patience.stumbled(bytes_sent=sent)
            continue
        sent += taken
        if sent >= size:
            return sent
        if not total:
            patience.made_progress()


def _finish_in(
    own: float, sock: Socket, push: Push, size: int, sent: int, flags: int, started: float
) -> None:
    """Send the rest for a socket with a timeout of its own: 0, or a total in seconds."""
    if own == 0:
        while sent < size:
            sent += push(sent, flags)  # until BlockingIOError, as the stdlib does
        return
    limit = Limit(own, "", "settimeout")
    patience = Patience(sock, "sendall", WRITE, limit, started=started)
    finish_patiently(patience, push, size, sent, flags, total=True)


def _finish_as_set_up(
    sock: Socket, operation: str, push: Push, size: int, sent: int, flags: int, target: Any
) -> int:
    """Send the rest as the program's own O_NONBLOCK or SO_SNDTIMEO has it, short counts too."""
    started = _system.now()
    sent = max(sent, 0)
    try:
        sent += push(sent, flags)
        while operation == "sendall" and sent < size:
            if running and (limit := own_limit(sock, WRITE)) is not None:
                patience = Patience(sock, operation, WRITE, limit, started=started)
                return finish_patiently(patience, push, size, sent, flags)
            sent += push(sent, flags)
    except BlockingIOError:
        if operation == "sendall" or not sent:
            raise
    except OSError as exc:
        elapsed = _system.now() - started
        fail(sock, exc, operation, target=target, elapsed=elapsed, bytes_sent=sent)
    return sent


def _finish_whatever_it_takes(
    sock: Socket, operation: str, push: Push, size: int, sent: int, flags: int, target: Any
) -> int:
    """Send the rest on a socket without limit; the kernel waits."""
    started = _system.now()
    sent = max(sent, 0)
    while True:
        try:
            sent += push(sent, flags)
        except OSError as exc:
            elapsed = _system.now() - started
            fail(sock, exc, operation, target=target, elapsed=elapsed, bytes_sent=sent)
        if sent >= size:
            return sent


class _Bytes:
    """*data* as a flat view of bytes, for one block; the buffer is free again after it."""

    __slots__ = ("_views",)

    def __init__(self, data: Any) -> None:
        self._views = [memoryview(data)]

    def __enter__(self) -> memoryview:
        self._views.append(_flat(self._views[0]))
        return self._views[1]

    def __exit__(self, *exc_info: object) -> None:
        for view in reversed(self._views):
            view.release()


def _flat(view: memoryview) -> memoryview:
    try:
        return view.cast("B")
    except (TypeError, ValueError):  # formats that memoryview cannot read, such as ctypes'
        return memoryview(view.tobytes())


def _push(sock: Socket, view: memoryview, offset: int, flags: int) -> int:
    with view[offset:] as rest:
        return _send(sock, rest, flags)


def _push_at_once(sock: Socket, view: memoryview, offset: int, flags: int) -> int:
    with view[offset:] as rest:
        sent: int = _system.without_waiting(_send, sock, rest, flags)
        return sent


def _push_to(sock: Socket, view: memoryview, address: Any, offset: int, flags: int) -> int:
    with view[offset:] as rest:
        return _sendto(sock, rest, flags, address)


def _push_message(
    sock: Socket, buffers: list[Any], ancdata: list[Any], address: Any, offset: int, flags: int
) -> int:
    if offset == 0:
        return _sendmsg(sock, buffers, ancdata, flags, address)
    return _sendmsg(sock, _behind(buffers, offset), [], flags, address)


def _behind(buffers: list[Any], offset: int) -> list[memoryview]:
    """Return what is left of *buffers* behind *offset* bytes."""
    left = []
    for buffer in buffers:
        view = _flat(memoryview(buffer))
        if offset < len(view):
            left.append(view[offset:])
        offset = max(offset - len(view), 0)
    return left
