"""Would block -> which limit applies -> poll: the only place that sleeps.

A socket's mode is never changed here. Everything above tries first; only a call that would
sleep in the stdlib too comes here.
"""

from __future__ import annotations

import _socket

from . import _system
from ._failing import fail, plainly
from ._route import ACCEPTED, ADOPTED, CONNECTED, FRESH, recall
from ._scope import READ, WRITE, governs
from ._timeouts import Limit, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket as Socket
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")

_UNIX = getattr(_socket, "AF_UNIX", None)

#: phase -> what to poll for, and the socket option by which a program limits it itself
_SIDES = {
    READ: (_system.READABLE, _socket.SO_RCVTIMEO),
    WRITE: (_system.WRITABLE, _socket.SO_SNDTIMEO),
}


def governing(sock: Socket, phase: str) -> Limit | None:
    """Return the limit on a wait of *sock* for *phase*; None: as long as the stdlib waits."""
    known = recall(sock)
    field: str | None = phase
    if known is None:
        field = _field_by_sort(sock, phase, FRESH)
    elif known.forever:
        return None
    elif known.limits is not None:  # set_timeouts names this socket, whatever its sort
        field = "serve" if phase == READ and known.role in (ACCEPTED, ADOPTED) else phase
    elif known.role != CONNECTED:
        field = _field_by_sort(sock, phase, known.role)
    if field is None:
        return None
    found = limit(field, known.limits if known else None)
    return None if found.seconds is None else found


def _field_by_sort(sock: Socket, phase: str, role: str) -> str | None:
    family = _system.family(sock)
    named = family == _UNIX and is_named(sock)
    return governs(phase, role, family, _system.kind(sock), named)


def is_named(sock: Socket) -> bool:
    """Tell whether *sock* has a name or talks to one: an AF_UNIX pair has none."""
    for name in (_system.getsockname, _system.getpeername):
        try:
            if name(sock):
                return True
        except OSError:  # closed, or not connected
            continue
    return False


def own_limit(sock: Socket, phase: str) -> Limit | None:
    """Return the limit that we have to keep for *sock*; None: make the plain call."""
    found = governing(sock, phase)
    if found is None or _system.waits_by_itself(sock, _SIDES[phase][1]):
        return None
    return found


class Patience:
    """The waits of one operation on one socket under one limit.

    The limit counts from the last progress: ``made_progress`` starts it anew.
    """

    __slots__ = ("_events", "_limit", "_operation", "_since", "_sock", "_started", "_target")

    def __init__(
        self,
        sock: Socket,
        operation: str,
        phase: str,
        limit: Limit,
        *,
        started: float | None = None,
        target: Any = None,
    ) -> None:
        self._sock = sock
        self._operation = operation
        self._events = _SIDES[phase][0]
        self._limit = limit
        self._target = target
        self._started = self._since = _system.now() if started is None else started

    def made_progress(self) -> None:
        """Start the limit anew."""
        self._since = _system.now()

    def remaining(self) -> float:
        """Return the seconds left of the limit; 0 or less: it is over."""
        return self._since + (self._limit.seconds or 0) - _system.now()

    def pause(self, bytes_sent: int | None = None) -> None:
        """Sleep until the socket is ready; raise the timeout when the limit is over."""
        while not self._ready(max(self.remaining(), 0)):
            if self.remaining() <= 0:
                self.give_up(TimeoutError("timed out"), bytes_sent)

    def _ready(self, seconds: float) -> bool:
        # A socket closed by another thread is ready: the next try says so.
        fd = _system.fileno(self._sock)
        return fd < 0 or _system.ready(fd, self._events, seconds) or _system.fileno(self._sock) < 0

    def give_up(self, exc: OSError, bytes_sent: int | None = None) -> NoReturn:
        """Raise what *exc* is to the program."""
        fail(
            self._sock,
            exc,
            self._operation,
            target=self._target,
            elapsed=_system.now() - self._started,
            limit=self._limit,
            bytes_sent=bytes_sent,
        )


def wait_to_read(sock: Socket, operation: str, call: Callable[..., T], *args: Any) -> T:
    """Make *call* once there is something to read; its flags are the last of *args*."""
    found = own_limit(sock, READ)
    if found is None:
        return plainly(sock, operation, call, *args)
    *most, flags = args
    patience = Patience(sock, operation, READ, found)
    while True:
        patience.pause()
        try:
            return call(sock, *most, flags | _system.DONTWAIT)
        except BlockingIOError:  # somebody else was faster, or the checksum was wrong; select(2)
            continue
        except OSError as exc:
            patience.give_up(exc)


def backoff() -> Iterator[float]:
    """Yield growing pauses, in seconds, for what cannot be polled."""
    pause = 0.001  # a server with a full backlog takes the next client within milliseconds
    while True:
        yield pause
        pause = min(pause * 1.5, 0.05)
