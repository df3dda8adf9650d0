"""create_connection: one budget for the look-up and all addresses.

The addresses are tried one after the other, each with a fair share of what is left, so that a
dead one cannot use up the time of the living. What class of socket is made and which look-up
is used, the caller says.
"""

from __future__ import annotations

import _socket
import socket as stdlib

from ._exempt import over
from ._failing import throw
from ._roles import CONNECTED
from ._route import Route, note
from ._system import gettimeout, now
from ._system import settimeout as set_mode
from ._timeouts import FOREVER, Limit, limit
from ._translate import alike, leaf_of, tell, translate
from .errors import Attempt, ConnectError, SafeSocketError, combined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket as Socket
    from typing import Any, NoReturn

_SENTINEL = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
_SHORTEST = 0.001  # seconds; a share of 0 would mean non-blocking


class Budget:
    """The time of one call, and the mode that its socket has afterwards.

    ``limit`` is None where the call may take as long as the system lets it.
    """

    def __init__(self, timeout: Any, address: Any, *, none_is_forever: bool = True) -> None:
        self.started = now()
        self.asked = address
        self._none_is_forever = none_is_forever
        self.mode: float | None = stdlib.getdefaulttimeout() if timeout is _SENTINEL else timeout
        self.given = timeout is not _SENTINEL
        self.limit = self._chosen()

    def _chosen(self) -> Limit | None:
        none = self.mode is None and not self._none_is_forever
        if self.mode is not None or (self.given and not none):
            source = "create_connection" if self.given else "settimeout"
            return Limit(self.mode, "", source) if self.mode and self.mode != FOREVER else None
        found = limit("connect", over(None, self.asked))
        return None if found.seconds is None else found

    def elapsed(self) -> float:
        """Return the seconds since the start of the call."""
        return now() - self.started

    def share(self, addresses: int) -> float:
        """Return the seconds for the next of so many *addresses*."""
        left = (self.limit.seconds or 0) - self.elapsed() if self.limit else 0
        return max(left / addresses, _SHORTEST)


def create_connection(
    make: Callable[..., Socket],
    look_up: Callable[..., Any],
    address: tuple[Any, Any],
    timeout: Any,
    source_address: Any,
    all_errors: bool,
    *,
    none_is_forever: bool = True,
) -> Socket:
    """Return a socket, made by *make*, that is connected to *address*, found by *look_up*."""
    budget = Budget(timeout, address, none_is_forever=none_is_forever)
    host, port = address
    attempts: list[Attempt] = []
    found = look_up(host, port, 0, stdlib.SOCK_STREAM)
    try:
        for index, entry in enumerate(found):
            sock = _attempt(make, entry, budget, source_address, len(found) - index, attempts)
            if sock is not None:
                return sock
            _tell_last(attempts, budget, address)
        raise_for(attempts, budget, address, all_errors)
    finally:
        attempts.clear()  # the errors' tracebacks hold this frame


def _attempt(
    make: Callable[..., Socket],
    entry: Any,
    budget: Budget,
    source_address: Any,
    left: int,
    attempts: list[Attempt],
) -> Socket | None:
    """Return a connected socket; None, and one more of *attempts*, if there is none to be had."""
    family, kind, proto, _, address = entry
    started = now()
    sock = None
    try:
        sock = make(family, kind, proto)
        _connect(sock, address, budget, source_address, left)
        return sock
    except OSError as exc:
        attempts.append(Attempt(address, exc, now() - started))
        if sock is not None:
            sock.close()
        return None


def _connect(sock: Socket, address: Any, budget: Budget, source_address: Any, left: int) -> None:
    if budget.given:
        sock.settimeout(budget.mode)
    if source_address:
        sock.bind(source_address)
    if not isinstance(sock, _socket.socket):
        sock.connect(address)
        return
    note(sock).asked = budget.asked  # connect asks for an exemption by it
    if budget.limit is None:
        sock.connect(address)
    else:
        mode = gettimeout(sock)
        set_mode(sock, budget.share(left))
        sock.connect(address)
        set_mode(sock, mode)
    _remember(sock, budget.asked, address)


def _remember(sock: Socket, asked: Any, address: Any) -> None:
    """Note the host that *sock* is connected to by the name that the program asked for."""
    known = note(sock)
    if known.role == CONNECTED and asked[0]:
        known.asked, known.address = asked, address


def raise_for(
    attempts: list[Attempt], budget: Budget, address: tuple[Any, Any], all_errors: bool
) -> NoReturn:
    """Raise what came of *attempts*: the last error, or all of them."""
    if not attempts:
        exc = OSError("getaddrinfo returns an empty list")
        route = Route(asked=address)
        throw(exc, translate(exc, "connect", route, elapsed=budget.elapsed()))
    errors = [attempt.error for attempt in attempts]
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        raise _telling(attempts, budget, address)
    finally:
        errors.clear()


def _tell_last(attempts: list[Attempt], budget: Budget, address: tuple[Any, Any]) -> None:
    """Tell the last of *attempts* as a failure to connect to what was asked for."""
    last = attempts[-1]
    if isinstance(last.error, SafeSocketError):
        last.error = _as_connect_error(last.error)
        _tell(last.error, address, last.address, last.elapsed, budget)


def _telling(attempts: list[Attempt], budget: Budget, address: tuple[Any, Any]) -> OSError:
    """Return the last error, told as the failure of the whole call."""
    error = attempts[-1].error
    if isinstance(error, SafeSocketError):  # not BlockingIOError
        # Copies without tracebacks: those hold frames, and so the caller and this error.
        tried = [Attempt(a.address, alike(a.error, type(a.error)), a.elapsed) for a in attempts]
        _tell(error, address, attempts[-1].address, budget.elapsed(), budget, tried)
    return error


def _as_connect_error(error: SafeSocketError) -> SafeSocketError:
    """Return *error*, or one like it that is a ConnectError: no descriptor, no source address."""
    kind: type[SafeSocketError] = combined(type(error), ConnectError)  # type: ignore[arg-type]
    if kind is type(error):
        return error
    return alike(error, kind).with_traceback(error.__traceback__)


def _tell(
    error: SafeSocketError,
    asked: tuple[Any, Any],
    address: Any,
    elapsed: float,
    budget: Budget,
    tried: Sequence[Attempt] = (),
) -> None:
    """Tell *error* as a failure to connect to what was *asked*, at *address*."""
    if error.operation != "connect":  # it says what failed: bind to the source address, socket
        error.attempts = tried
        return
    family = _socket.AF_INET6 if len(address) > 2 else _socket.AF_INET
    route = Route(family, _socket.SOCK_STREAM, asked, address, error.local, CONNECTED)
    tell(error, leaf_of(error, "connect"), route, elapsed, budget.limit, tried)
