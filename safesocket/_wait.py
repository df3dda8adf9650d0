"""Would block -> which limit applies -> poll: the only place that sleeps.

A socket's mode is never changed here. Everything above tries first; only a call that would
sleep in the stdlib too comes here.
"""

from __future__ import annotations

import _socket
from time import sleep

from . import _system
from ._exempt import over
from ._failing import fail, plainly
from ._roles import ACCEPTED, ADOPTED, CONNECTED, FRESH
from ._route import recall
from ._scope import READ, WRITE, governs
from ._timeouts import limit as limit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket as Socket
    from typing import Any, NoReturn, TypeVar

    from ._route import Note
    from ._timeouts import Limit

    T = TypeVar("T")

_UNIX = getattr(_socket, "AF_UNIX", None)

_REST = 0.001  # seconds; short beside any limit, long beside a system call
_EVENTS = {READ: _system.READABLE, WRITE: _system.WRITABLE}
#: the socket option by which a program limits its waits itself
_OPTIONS = {READ: _socket.SO_RCVTIMEO, WRITE: _socket.SO_SNDTIMEO}


def governing(sock: Socket, phase: str) -> Limit | None:
    """Return the limit on a wait of *sock* for *phase*; None: as long as the stdlib waits."""
    known = recall(sock)
    if known is None:
        field, own = _field_by_sort(sock, phase, FRESH), over(None)
    elif known.forever:
        return None
    else:
        field, own = _field(sock, phase, known), over(known.limits, known.asked, known.address)
    if field is None:
        return None
    limit = limit_of(field, own)
    return None if limit.seconds is None else limit


def _field(sock: Socket, phase: str, known: Note) -> str | None:
    if known.role == CONNECTED:
        return phase
    if known.limits is not None:  # set_timeouts names this socket, whatever its sort
        field = "serve" if phase == READ and known.role in (ACCEPTED, ADOPTED) else phase
        if field in known.limits:
            return field
    return _field_by_sort(sock, phase, known.role)


def _field_by_sort(sock: Socket, phase: str, role: str) -> str | None:
    family = _system.family(sock)
    named = family == _UNIX and not _talks_to_itself(sock)
    return governs(phase, role, family, _system.kind(sock), named)


def _talks_to_itself(sock: Socket) -> bool:
    """Tell whether *sock* is connected and has no name at either end: an AF_UNIX pair."""
    try:
        return not (_system.getpeername(sock) or _system.getsockname(sock))
    except OSError:  # closed, or not connected
        return False


def own_limit(sock: Socket, phase: str) -> Limit | None:
    """Return the limit that we have to keep for *sock*; None: make the plain call."""
    found = governing(sock, phase)
    if found is None or _system.waits_by_itself(sock, _OPTIONS[phase]):
        return None
    return found


def ready_before(end: float, sock: Socket, phase: str) -> bool:
    """Sleep until *sock* is ready for *phase*, or until *end*; tell whether it is ready.

    A socket closed by another thread is ready: the next try says so.
    """
    while (fd := _system.fileno(sock)) >= 0:
        remaining = end - _system.now()
        if _system.ready(fd, _EVENTS[phase], remaining if remaining > 0 else 0):
            return True
        if _system.now() >= end:
            return _system.fileno(sock) < 0
    return True


def which_ready_before(end: float, socks: list[Any], phase: str) -> list[int]:
    """Sleep until some of *socks* are ready for *phase*, or until *end*; return their places.

    For sockets that nobody else knows: one that is closed is not ready but a mistake.
    """
    fds = [_system.fileno(sock) for sock in socks]
    while True:
        remaining = end - _system.now()
        ready = _system.which_ready(fds, _EVENTS[phase], remaining if remaining > 0 else 0)
        if ready or _system.now() >= end:
            return [place for place, fd in enumerate(fds) if fd in ready]


def rest_before(end: float, seconds: float = _REST) -> bool:
    """Sleep for *seconds* where poll is of no use; tell whether it is before *end* still."""
    remaining = end - _system.now()
    if remaining > 0:
        sleep(min(remaining, seconds))
    return remaining > 0


def wait_to_read(sock: Socket, operation: str, call: Callable[..., T], *args: Any) -> T:
    """Make *call* once there is something to read; its flags are the last of *args*."""
    limit = own_limit(sock, READ)
    if limit is None or limit.seconds is None:
        return plainly(sock, operation, call, *args)
    started = _system.now()
    end = started + limit.seconds
    *most, flags = args
    while ready_before(end, sock, READ):
        try:
            return call(sock, *most, flags | _system.DONTWAIT)
        except BlockingIOError:  # somebody else was faster, or the checksum was wrong; select(2)
            pass  # and rest out of here, or what a signal raises then would have this behind it
        except OSError as exc:
            fail(sock, exc, operation, elapsed=_system.now() - started)
        if not rest_before(end):
            break
    timed_out = TimeoutError("timed out")
    fail(sock, timed_out, operation, elapsed=_system.now() - started, limit=limit)


class Patience:
    """The waits of one operation that makes progress, under one limit.

    The limit counts from the last progress: ``made_progress`` starts it anew.
    """

    __slots__ = ("_limit", "_operation", "_phase", "_since", "_sock", "_started", "_target")

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
        self._phase = phase
        self._limit = limit
        self._target = target
        self._started = self._since = _system.now() if started is None else started

    def made_progress(self) -> None:
        """Start the limit anew."""
        self._since = _system.now()

    def end(self) -> float:
        """Return when the limit is over."""
        return self._since + (self._limit.seconds or 0)

    def pause(self, bytes_sent: int | None = None) -> None:
        """Sleep until the socket is ready; raise the timeout when the limit is over."""
        if not ready_before(self.end(), self._sock, self._phase):
            self.give_up(TimeoutError("timed out"), bytes_sent)

    def stumbled(self, bytes_sent: int | None = None) -> None:
        """Rest after a socket that was ready would have slept; raise the timeout at the limit.

        Another thread took the room; or an AF_UNIX datagram socket is ready although the queue
        of the one that it sends to is full: unix(7).
        """
        if not rest_before(self.end()):
            self.give_up(TimeoutError("timed out"), bytes_sent)

    def give_up(self, exc: OSError, bytes_sent: int | None = None) -> NoReturn:
        """Raise what *exc* is to the program."""
        try:
            fail(
                self._sock,
                exc,
                self._operation,
                target=self._target,
                elapsed=_system.now() - self._started,
                limit=self._limit,
                bytes_sent=bytes_sent,
            )
        finally:
            del exc  # its traceback holds this frame


def backoff() -> Iterator[float]:
    """Yield growing pauses, in seconds, for what cannot be polled."""
    pause = 0.001  # a server with a full backlog takes the next client within milliseconds
    while True:
        yield pause
        pause = min(pause * 1.5, 0.05)
