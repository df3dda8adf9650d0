"""From a failure to what the program sees: the only place that raises documented errors.

Everything here runs after something has failed; it gathers what is known, looks around, asks
``_translate`` and raises. No waiting, no table.
"""

from __future__ import annotations

from . import _surroundings, _system, _tcpinfo
from ._deadline import DEADLINE
from ._exempt import in_force, is_left_alone
from ._hosts import family_of
from ._recorder import recorded_call, recorded_failure, recording
from ._roles import ACCEPTED
from ._route import Route, recall, route_of
from ._timeouts import Limit
from ._translate import PHASES, leaf_of, told_by, translate
from .errors import ConnectRefusedError, SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")

#: Control flow that event loops live on, and what has been told already.
_UNTOUCHED = (BlockingIOError, InterruptedError, SafeSocketError)
#: where the classes of the stdlib's errors live; what a subclass of the program's raises is its own
_STDLIB = ("builtins", "socket", "ssl")


def must_wait(
    sock: Socket,
    exc: OSError,
    operation: str,
    target: Any = None,
    *,
    tried: Any = None,
    bytes_sent: int | None = None,
) -> None:
    """Return if the plain stdlib would sleep now; raise what the program has to see if not."""
    try:
        if not (isinstance(exc, BlockingIOError) and _system.gettimeout(sock) is None):
            fail(sock, exc, operation, target=target, tried=tried, bytes_sent=bytes_sent)
    finally:
        del exc  # its traceback holds this frame


def fail(
    sock: Socket,
    exc: OSError,
    operation: str,
    *,
    target: Any = None,
    tried: Any = None,
    elapsed: float | None = None,
    limit: Limit | None = None,
    bytes_sent: int | None = None,
    is_attempt: bool = False,
) -> NoReturn:
    """Raise what *exc*, met by *operation*, is to the program; or an attempt of several's.

    A socket in non-blocking mode gets *exc* itself: event loops compare texts and identities.
    """
    own = mode_of(sock)
    left_alone = _is_left_alone(sock, target) and not is_cut_by_deadline(exc, limit)
    if own == 0 or left_alone or _is_nobodys_business(exc):
        try:
            raise exc
        finally:
            del exc  # its traceback holds this frame
    if own is None:
        elapsed = elapsed or 0.0  # the first try does not wait
    elif isinstance(exc, TimeoutError) and exc.errno is None:
        limit = limit or Limit(own, "", "settimeout")
        elapsed = own if elapsed is None else elapsed
    known = elapsed, limit, bytes_sent
    throw(exc, _told_of(sock, exc, operation, target, tried, *known), is_attempt=is_attempt)


def _told_of(
    sock: Socket, exc: OSError, operation: str, target: Any, tried: Any, *known: Any
) -> SafeSocketError:
    try:
        return told(exc, operation, route_of(sock, target, tried), sock, *known)
    except BaseException as worse:  # no memory to tell, or a signal's handler has raised
        worse.__context__ = worse.__context__ or exc  # which may be made of an errno, not raised
        raise


def told(
    exc: OSError,
    operation: str,
    route: Route,
    sock: Socket | None = None,
    elapsed: float | None = None,
    limit: Limit | None = None,
    bytes_sent: int | None = None,
) -> SafeSocketError:
    """Return the documented error for *exc*, and what this machine shows of its cause."""
    leaf = leaf_of(exc, operation)
    if sock is not None and leaf is not ConnectRefusedError:  # there was no connection
        route.tcp = _tcpinfo.evidence(sock, accepted=route.role == ACCEPTED)
    route.finding = _surroundings.finding(exc, leaf, operation, route, sock)
    return translate(exc, operation, route, leaf, elapsed, limit, bytes_sent)


def _is_nobodys_business(exc: OSError) -> bool:
    return isinstance(exc, _UNTOUCHED) or type(exc).__module__ not in _STDLIB


def _is_left_alone(sock: Socket, target: Any) -> bool:
    if not in_force():
        return False
    known = recall(sock)
    return is_left_alone(target, known and known.asked, known and known.address)


def is_cut_by_deadline(exc: OSError, limit: Limit | None) -> bool:
    """Tell whether *exc* is the end of a deadline, of which exempt code is told, too."""
    timed_out = isinstance(exc, TimeoutError) and exc.errno is None
    return timed_out and limit is not None and limit.source == DEADLINE


def mode_of(sock: Socket) -> float | None:
    """Return the timeout that the program gave *sock*: None in blocking mode."""
    known = recall(sock)
    return known.own if known is not None and known.lent else _system.gettimeout(sock)


def throw(exc: OSError, error: SafeSocketError, *, is_attempt: bool = False) -> NoReturn:
    """Raise *error* as if it had been raised where *exc* was: in the same context.

    ``from None`` would also hide what the program was handling; without it every traceback
    would be told twice.
    """
    if recording and not is_attempt:
        recorded_failure(error)
    try:
        if exc.__traceback__ is None:
            raise error  # for an errno: nothing was raised that could be its context
        try:
            raise error
        except SafeSocketError:
            if error.__context__ is exc:
                error.__context__ = exc.__context__
                error.__suppress_context__ = exc.__suppress_context__
            raise
    finally:
        del error  # its traceback holds this frame


def plainly(
    sock: Socket, operation: str, call: Callable[..., T], *args: Any, target: Any = None
) -> T:
    """Make the stdlib's own call, wait and all; translate what it raises."""
    started = _system.now()
    try:
        return call(sock, *args)
    except OSError as exc:
        fail(sock, exc, operation, target=target, elapsed=_system.now() - started)
    finally:
        if recording and operation in PHASES:  # what has no phase does not wait: dup
            recorded_call(sock, PHASES[operation], started, target)


def plain_call(
    operation: str,
    asked: Any,
    call: Callable[..., T],
    *args: Any,
    limit: Limit | None = None,
    question: tuple[Any, ...] = (),
) -> T:
    """Make a call of the stdlib's that needs no socket; translate what it raises.

    *question* is what a look-up asks: the arguments of the stdlib's function.
    """
    started = _system.now()
    try:
        return call(*args)
    except OSError as exc:
        untold = isinstance(exc, SafeSocketError) and exc.operation is None  # of _lookups
        if not untold and (_is_nobodys_business(exc) or is_left_alone(asked)):
            raise
        elapsed, route = _system.now() - started, Route(family_of(operation, question), asked=asked)
        throw(exc, told(exc, operation, route, elapsed=elapsed, limit=limit))
    finally:
        del asked, args, question  # see getnameinfo


def retell(exc: OSError, operation: str, asked: Any) -> NoReturn:
    """Raise what *exc*, made by the stdlib's own code of an error of ours, is to the program."""
    try:
        if isinstance(exc, _UNTOUCHED) or is_left_alone(asked):
            raise exc
        throw(exc, told_by(exc.__context__, told(exc, operation, Route(asked=asked))))
    finally:
        del exc  # its traceback holds this frame
