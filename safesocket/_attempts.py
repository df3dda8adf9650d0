"""What comes of the failed attempts of one call: which error tells most, and how it is told.

Nothing is connected here.
"""

from __future__ import annotations

import _socket

from . import errors as e
from ._failing import throw
from ._redaction import shown
from ._roles import CONNECTED
from ._route import Route
from ._translate import alike, leaf_of, tell, translate
from .errors import Attempt, SafeSocketError, combined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from ._budget import Budget

#: what tells most about why there is no connection comes first
_MOST_TELLING: tuple[type[SafeSocketError], ...] = (
    e.ConnectRefusedError,  # the host is there: only the server is not
    e.PeerResetError,
    e.ConnectDeniedError,  # this machine forbids it, whatever is there
    e.ConnectTimeoutError,  # the packets went out, at least
    e.UnreachableError,  # mostly of the family that this machine has no network for
)  # and last what did not come as far: no descriptor, no source address, no local address


def raise_for(
    attempts: list[Attempt], budget: Budget, asked: tuple[Any, Any], all_errors: bool
) -> NoReturn:
    """Raise what came of *attempts* to connect to what was *asked* for: one error, or all."""
    if not attempts:
        exc = OSError("getaddrinfo returns an empty list")
        throw(exc, translate(exc, "connect", Route(asked=asked), elapsed=budget.elapsed()))
    errors = [_told_alone(attempt, budget, asked) for attempt in attempts]
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        raise _told_for_all(attempts, budget, asked)
    finally:
        errors.clear()


def most_telling(attempts: Sequence[Any]) -> int:
    """Return which of *attempts* has the error to raise: of equals the last, as in the stdlib."""
    last = len(attempts) - 1
    if [one for one in attempts if not isinstance(one.error, SafeSocketError)]:
        return last  # BlockingIOError, or what a subclass of the program's raised
    return min(range(last, -1, -1), key=lambda place: _rank(attempts[place].error))


def _rank(error: OSError) -> int:
    for rank, kind in enumerate(_MOST_TELLING):
        if isinstance(error, kind):
            return rank
    return len(_MOST_TELLING)


def _told_alone(attempt: Attempt, budget: Budget, asked: tuple[Any, Any]) -> OSError:
    """Return the error of *attempt*, told as a failure to connect to what was *asked* for."""
    if isinstance(attempt.error, SafeSocketError):
        attempt.error = _as_connect_error(attempt.error)
        _tell(attempt.error, asked, attempt.address, attempt.elapsed, budget)
    return attempt.error


def _told_for_all(attempts: list[Attempt], budget: Budget, asked: tuple[Any, Any]) -> OSError:
    """Return the most telling error, told as the failure of the whole call."""
    place = most_telling(attempts)
    error = attempts[place].error
    if isinstance(error, SafeSocketError):
        # Copies without tracebacks: those hold frames, and so the caller and this error.
        tried = [_told_of(attempt) for attempt in attempts]
        error._attempt = place
        _tell(error, asked, attempts[place].address, budget.elapsed(), budget, tried)
    return error


def _told_of(attempt: Attempt) -> Attempt:
    error = alike(attempt.error, type(attempt.error))
    return Attempt(shown(attempt.address), error, attempt.elapsed)


def _as_connect_error(error: SafeSocketError) -> SafeSocketError:
    """Return *error*, or one like it that is a ConnectError: no descriptor, no source address."""
    kind: type[SafeSocketError] = combined(type(error), e.ConnectError)  # type: ignore[arg-type]
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
    route = Route(family, _socket.SOCK_STREAM, asked, address, role=CONNECTED, tcp=error._tcp)
    route.finding = error._finding
    tell(error, leaf_of(error, "connect"), route, elapsed, budget.limit, tried)
