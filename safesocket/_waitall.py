"""MSG_WAITALL with a limit: read until the request is whole, each wait bounded.

Only that. recv(2) lets a call with MSG_WAITALL return less "if a signal is caught, an error or
disconnect occurs"; so does this one when the limit passes half-way, because what has been taken
off the socket must not be lost. A limit that passes before the first byte is a timeout.
"""

from __future__ import annotations

import _socket

from . import _system
from ._failing import fail, plainly
from ._scope import READ
from ._wait import Patience, backoff, own_limit, wait_to_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any, TypeVar

    T = TypeVar("T")

_WAITALL = int(getattr(_socket, "MSG_WAITALL", 0))
_NOT_YET = -1  # nothing was there after all


def read_whole(sock: Socket, operation: str, call: Callable[..., T], *args: Any) -> T:
    """Make the read *call* on a stream; its flags, the last of *args*, have MSG_WAITALL."""
    *most, flags = args
    limit = own_limit(sock, READ) if _system.gettimeout(sock) is None else None
    if limit is None or not _is_sound(sock, operation, call, most):
        return plainly(sock, operation, call, *args)
    if not _wanted(operation, most):
        return wait_to_read(sock, operation, call, *args)  # as the kernel does: until there is some
    patience = Patience(sock, operation, READ, limit)
    if flags & _socket.MSG_PEEK:
        return _peek_whole(sock, operation, patience, call, *most, flags & ~_WAITALL)
    shaped: T = _SHAPES[operation](_Filling(sock, patience, flags & ~_WAITALL), *most)
    return shaped


def _is_sound(sock: Socket, operation: str, call: Callable[..., Any], most: list[Any]) -> bool:
    """Tell whether C accepts the arguments *most* and there is something to wait for."""
    if operation.startswith("recvmsg") and type(most[1]) is int and most[1] > 0:
        most = [most[0], 0]  # a look would make new descriptors of those that were sent
    try:
        call(sock, *most, _socket.MSG_PEEK | _system.DONTWAIT)
    except BlockingIOError:
        return True
    except OSError as exc:
        fail(sock, exc, operation)
    except (TypeError, ValueError, OverflowError):
        return False  # the plain call says it
    return _wanted(operation, most) > 0


class _Filling:
    """Buffers being filled from a stream, until they are full or nothing more is to come."""

    def __init__(self, sock: Socket, patience: Patience, flags: int) -> None:
        self._sock = sock
        self._patience = patience
        self._flags = flags | _system.DONTWAIT
        self._stumbled = False
        self.ancillary: list[Any] = []
        self.msg_flags = 0
        self.address: Any = None

    def fill(self, buffers: list[Any], ancbufsize: int = 0) -> int:
        """Fill *buffers*; return the number of bytes."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        try:
            return self._fill(views, ancbufsize)
        finally:
            for view in views:
                view.release()

    def _fill(self, views: list[memoryview], ancbufsize: int) -> int:
        count, size = 0, sum(map(len, views))
        while count < size and self._more(count):
            got = self._read(views, count, ancbufsize)
            if got == _NOT_YET:
                continue
            if not got:
                break
            count += got
            if self.ancillary:
                break  # as the kernel does: unix(7), "ancillary data forms a barrier"
        return count

    def _more(self, count: int) -> bool:
        """Wait for more than *count* bytes; what is there already must not be lost."""
        try:
            if self._stumbled:
                self._patience.stumbled()
            self._patience.pause()
        except TimeoutError:
            if not count:
                raise
            return False
        # The error is the next read's, as in the kernel; asking for it now would take it away.
        return not (count and _system.has_failed(_system.fileno(self._sock)))

    def _read(self, views: list[memoryview], count: int, ancbufsize: int) -> int:
        """Return how many bytes were read behind the first *count*; 0 for no more, or _NOT_YET."""
        left = _behind(views, count)
        try:
            got, *rest = _read_message(self._sock, left, ancbufsize, self._flags)
        except BlockingIOError:
            rest = []
        except OSError as exc:
            if count:
                return 0
            self._patience.give_up(exc)
        finally:
            for view in left:
                view.release()
        self._stumbled = not rest
        if not rest:
            return _NOT_YET
        self.ancillary, self.msg_flags, self.address = rest
        self._patience.made_progress()
        return int(got)


def _read_message(sock: Socket, views: list[Any], ancbufsize: int, flags: int) -> Any:
    if _system.recvmsg_into is not None:
        return _system.recvmsg_into(sock, views, ancbufsize, flags)
    count, address = _system.recvfrom_into(sock, views[0], 0, flags)
    return count, [], 0, address


def _behind(views: list[memoryview], count: int) -> list[memoryview]:
    """Return what is left of *views* behind *count* bytes."""
    left = []
    for view in views:
        if count < len(view):
            left.append(view[count:])
        count = max(count - len(view), 0)
    return left


def _peek_whole(
    sock: Socket, operation: str, patience: Patience, call: Callable[..., T], *args: Any
) -> T:
    *most, flags = args
    while True:
        _await_bytes(sock, _wanted(operation, most), patience)
        try:
            return call(sock, *most, flags | _system.DONTWAIT)
        except BlockingIOError:  # another thread has taken it
            pass
        except OSError as exc:
            patience.give_up(exc)
        patience.stumbled()


def _await_bytes(sock: Socket, wanted: int, patience: Patience) -> None:
    """Wait until a look would show *wanted* bytes, or no more will come in time."""
    patience.pause()
    seen = 0
    for pause in backoff():
        there = _peek(sock, wanted, patience)
        if there >= wanted or _system.has_ended(_system.fileno(sock)):
            return
        if there > seen:
            seen = there
            patience.made_progress()
        if not patience.rest(pause):
            return


def _peek(sock: Socket, wanted: int, patience: Patience) -> int:
    try:
        return len(_system.recv(sock, wanted, _socket.MSG_PEEK | _system.DONTWAIT))
    except BlockingIOError:  # the call that follows tells
        return wanted
    except OSError as exc:  # which the kernel tells but once
        patience.give_up(exc)


def _recv(filling: _Filling, bufsize: int) -> bytes:
    buffer = bytearray(bufsize)
    return bytes(memoryview(buffer)[: filling.fill([buffer])])


def _recv_into(filling: _Filling, buffer: Any, nbytes: int = 0) -> int:
    with memoryview(buffer) as view, view.cast("B") as flat, flat[: nbytes or None] as part:
        return filling.fill([part])


def _recvmsg(filling: _Filling, bufsize: int, ancbufsize: int) -> Any:
    buffer = bytearray(bufsize)
    count = filling.fill([buffer], ancbufsize)
    data = bytes(memoryview(buffer)[:count])
    return data, filling.ancillary, filling.msg_flags, filling.address


def _recvmsg_into(filling: _Filling, buffers: list[Any], ancbufsize: int) -> Any:
    return filling.fill(buffers, ancbufsize), filling.ancillary, filling.msg_flags, filling.address


#: operation -> how its arguments become buffers, and what was read its result
_SHAPES: dict[str, Callable[..., Any]] = {
    "recv": _recv,
    "recv_into": _recv_into,
    "recvfrom": lambda filling, bufsize: (_recv(filling, bufsize), filling.address),
    "recvfrom_into": lambda filling, *into: (_recv_into(filling, *into), filling.address),
    "recvmsg": _recvmsg,
    "recvmsg_into": _recvmsg_into,
}


def _wanted(operation: str, most: list[Any]) -> int:
    """Return how many bytes the arguments *most* of *operation* ask for."""
    if operation == "recvmsg_into":
        return sum(memoryview(buffer).nbytes for buffer in most[0])
    if operation.endswith("_into"):
        return int(most[1]) or memoryview(most[0]).nbytes
    return int(most[0])
