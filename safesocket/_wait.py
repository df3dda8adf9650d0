"""Would block -> which limit applies -> poll: the only place that sleeps.

A socket's mode is never changed here. Everything above tries first; only a call that would
sleep in the stdlib too comes here.
"""

from __future__ import annotations

import _socket
from time import sleep

from . import _system
from ._deadline import DEADLINE, cut, nearest, running, what_is_left
from ._exempt import over
from ._failing import fail, mode_of, plainly
from ._limits import Limit
from ._recorder import recorded, recorded_call, recording
from ._roles import ACCEPTED, ADOPTED, CONNECTED, FRESH
from ._route import is_lent, recall
from ._scope import READ, WRITE, governs
from ._timeouts import limit as limit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket as Socket
    from typing import Any, NoReturn, TypeVar

    from ._route import Note

    T = TypeVar("T")

_UNIX = getattr(_socket, "AF_UNIX", None)

_REST = 0.001  # seconds; short beside any limit, long beside a system call
EVENTS = {READ: _system.READABLE, WRITE: _system.WRITABLE}
#: the socket option by which a program limits its waits itself
OPTIONS = {READ: _socket.SO_RCVTIMEO, WRITE: _socket.SO_SNDTIMEO}


def governing(sock: Socket, phase: str) -> Limit | None:
    """Return the limit on a wait of *sock* for *phase*; None: as long as the stdlib waits."""
    known = recall(sock)
    if known is None:
        field, own = field_by_sort(sock, phase, FRESH), over(None)
    elif known.forever:
        field, own = None, None
    else:
        field, own = _field(sock, phase, known), over(known.limits, known.asked, known.address)
    if field is None:
        return what_is_left()
    limit = limit_of(field, own)
    return None if limit.seconds is None else limit


def _field(sock: Socket, phase: str, known: Note) -> str | None:
    if known.role == CONNECTED:
        return phase
    if known.limits is not None:  # set_timeouts names this socket, whatever its sort
        field = "serve" if phase == READ and known.role in (ACCEPTED, ADOPTED) else phase
        if field in known.limits:
            return field
    return field_by_sort(sock, phase, known.role)


def field_by_sort(sock: Socket, phase: str, role: str) -> str | None:
    """Return the name of the limit for sockets like *sock*, which came to be by *role*."""
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
    return None if found is None else ours_to_keep(found, sock, phase)


def ours_to_keep(limit: Limit, sock: Socket, phase: str) -> Limit | None:
    """Return *limit* unless the program set up the waits of *sock*, in blocking mode, itself.

    A deadline cuts even those, if it is over before they are.
    """
    if not _system.waits_by_itself(sock, OPTIONS[phase]):
        return limit
    left = what_is_left()
    if left is None or _system.is_nonblocking(sock):
        return None
    own = _system.timeout_of(sock, OPTIONS[phase])
    return left if own is None or own > (left.seconds or 0) else None


def ready_before(end: float, sock: Socket, phase: str) -> bool:
    """Sleep until *sock* is ready for *phase*, or until *end*; tell whether it is ready.

    A socket closed by another thread is ready: the next try says so.
    """
    while (fd := _system.fileno(sock)) >= 0:
        remaining = end - _system.now()
        if _system.ready(fd, EVENTS[phase], remaining if remaining > 0 else 0):
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
        ready = _system.which_ready(fds, EVENTS[phase], remaining if remaining > 0 else 0)
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
    try:
        while ready_before(end, sock, READ):
            try:
                return call(sock, *most, flags | _system.DONTWAIT)
            except BlockingIOError:  # somebody was faster, or the checksum was wrong; select(2)
                pass  # and rest out of here, or what a signal raises then had this behind it
            except OSError as exc:
                fail(sock, exc, operation, elapsed=_system.now() - started)
            if _system.has_ended(_system.fileno(sock)):
                return plainly(sock, operation, call, *args)  # of datagrams no other call says it
            if not rest_before(end):
                break
        timed_out = TimeoutError("timed out")
        fail(sock, timed_out, operation, elapsed=_system.now() - started, limit=limit)
    finally:
        if recording:
            recorded(sock, READ, started)


def check_deadline(sock: Socket, operation: str, flags: int = 0, **known: Any) -> Limit | None:
    """Return what the deadline of this context leaves, if *operation* can wait; raise if nothing.

    What every operation does first while a deadline runs anywhere: only the clock can end one
    for which something is always ready. *known* is more for the error.
    """
    left = what_is_left()
    if left is None or flags & _system.DONTWAIT:
        return None
    own = mode_of(sock)
    if own == 0:
        return None
    if left.seconds:
        return left
    if own is None and not is_lent(sock) and _system.is_nonblocking(sock):
        return None
    fail(sock, TimeoutError("timed out"), operation, elapsed=0.0, limit=left, **known)


def outlasts(sock: Socket, operation: str, flags: int = 0, **known: Any) -> bool:
    """Tell whether *sock* has a timeout of its own that ends after the deadline.

    Then C would wait too long: make the call with :func:`in_time`. Raises if the deadline is over.
    """
    left = check_deadline(sock, operation, flags, **known)
    if left is None or left.seconds is None:
        return False
    own = _system.gettimeout(sock)
    return own is not None and own > left.seconds


def in_time(
    sock: Socket, operation: str, phase: str, call: Callable[..., T], *args: Any, **known: Any
) -> T:
    """Make *call* on a socket that :func:`outlasts` the deadline; wait until that at most."""
    patience = Patience(sock, operation, phase, cut(Limit(None, "", "")), **known)
    sent = 0 if phase == WRITE else None
    waited = False
    while True:
        try:
            return _system.without_waiting(call, sock, *args)  # type: ignore[no-any-return]
        except BlockingIOError:
            pass
        except OSError as exc:
            patience.give_up(exc, sent)
        if waited:
            patience.stumbled(sent)
        patience.pause(sent)
        waited = True


def plainly_in_time(
    sock: Socket, operation: str, phase: str, call: Callable[..., T], *args: Any
) -> T:
    """Make a call that cannot be told not to wait: by itself, or after a wait to the deadline.

    If somebody else is faster after that wait, a socket in blocking mode waits for the next
    chance, as in the stdlib: a mode is never changed here.
    """
    if running:
        if outlasts(sock, operation):
            return in_time(sock, operation, phase, call, *args)
        _await_deadline(sock, operation, phase)
    return plainly(sock, operation, call, *args)


def _await_deadline(sock: Socket, operation: str, phase: str) -> None:
    left = what_is_left()
    if left is not None and _system.gettimeout(sock) is None:
        limit = ours_to_keep(left, sock, phase)
        if limit is not None:
            Patience(sock, operation, phase, limit).pause()


class Patience:
    """The waits of one operation that makes progress, under one limit, and one deadline.

    The limit counts from the last progress: ``made_progress`` starts it anew. The deadline stays
    where it is, and ends the operation also when the socket is always ready.
    """

    __slots__ = (
        "_deadline",
        "_limit",
        "_operation",
        "_phase",
        "_since",
        "_sock",
        "_started",
        "_target",
    )

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
        self._deadline = nearest() if running else None

    def made_progress(self) -> None:
        """Start the limit anew."""
        self._since = _system.now()

    def end(self) -> float:
        """Return when the limit or the deadline is over."""
        if self._deadline is not None and self._limit.source == DEADLINE:
            return self._deadline.end
        end = self._since + (self._limit.seconds or 0)
        return end if self._deadline is None else min(end, self._deadline.end)

    def facts(self) -> dict[str, Any]:
        """Return what a look from another thread may tell: ``started`` is the last progress."""
        deadline = self._deadline
        cut_short = deadline is not None and deadline.end <= self.end()
        return {
            "sock": self._sock,
            "operation": self._operation,
            "started": self._since,
            "limit": deadline.limit() if deadline and cut_short else self._limit,
            "target": self._target,
        }

    def _is_late(self) -> bool:
        return self._deadline is not None and _system.now() >= self._deadline.end

    def pause(self, bytes_sent: int | None = None) -> None:
        """Sleep until the socket is ready; raise the timeout when the limit is over."""
        if self._is_late():
            self.give_up(TimeoutError("timed out"), bytes_sent)
        timed = _system.now() if recording else 0.0
        try:
            if not ready_before(self.end(), self._sock, self._phase):
                self.give_up(TimeoutError("timed out"), bytes_sent)
        finally:
            if timed:
                recorded_call(self._sock, self._phase, timed, self._target)

    def stumbled(self, bytes_sent: int | None = None) -> None:
        """Rest after a socket that was ready would have slept; raise the timeout at the limit.

        Another thread took the room; or an AF_UNIX datagram socket is ready although the queue
        of the one that it sends to is full: unix(7).
        """
        if not self.rest(_REST):
            self.give_up(TimeoutError("timed out"), bytes_sent)

    def rest(self, seconds: float) -> bool:
        """Sleep for *seconds* where poll is of no use; tell whether the limit is not over."""
        timed = _system.now() if recording else 0.0
        in_time = rest_before(self.end(), seconds)
        if timed:
            recorded_call(self._sock, self._phase, timed, self._target)
        return in_time

    def give_up(self, exc: OSError, bytes_sent: int | None = None) -> NoReturn:
        """Raise what *exc* is to the program."""
        try:
            fail(
                self._sock,
                exc,
                self._operation,
                target=self._target,
                elapsed=_system.now() - self._started,
                limit=self._deadline.limit() if self._deadline and self._is_late() else self._limit,
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
