"""create_connection: one budget for the look-up and all addresses.

Here the call is put together: the addresses are raced against each other, or, where the program
connects in a way of its own, tried one after the other. What class of socket is made and which
look-up is used, the caller says.
"""

from __future__ import annotations

import _socket
import socket as stdlib
from contextvars import copy_context
from functools import partial
from socket import gaierror
from types import FunctionType

from . import _addresses, _connecting, _operations, _system
from ._attempts import raise_for
from ._budget import Budget
from ._limits import Limit
from ._plain import split
from ._race import Race
from ._route import Route, is_numeric, note
from ._system import now
from ._translate import add_to_hint, translate
from .errors import Attempt, HostNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

    from ._timeouts import timeouts

_WRONG_FAMILY = getattr(_socket, "EAI_ADDRFAMILY", _socket.EAI_NONAME)
_INTERNET = (_socket.AF_INET, _socket.AF_INET6)
#: the methods that are nobody's own: C's, and ours, of which ``install()`` makes copies
_USUAL: tuple[Any, ...] = (_system.connect, _connecting.connect.__code__)
_USUAL_SETTIMEOUT: tuple[Any, ...] = (
    _system.settimeout,
    _operations.settimeout.__code__,
    _operations.settimeout_as_mode.__code__,
)


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
    """Return a socket, made by *make*, that is connected to *address*, found by *look_up*.

    With *none_is_forever* False a *timeout* of None leaves the socket in blocking mode, but the
    call is under the ``connect`` limit as if no timeout were given.
    """
    budget = Budget(timeout, address, none_is_forever=none_is_forever)
    host, port = address
    named = not is_numeric((host, 0))
    found = _found(look_up, host, port, budget.over_look_ups() if named else None)
    usual = (named or len(found) > 1) and _connects_as_usual(make)
    racing = usual and _can_race(found, budget, source_address)
    attempts: list[Attempt] = []
    try:
        attempt = _raced if racing else _one_by_one
        prepare = partial(_prepared, make, budget, source_address)
        entries = _addresses.in_order(found, racing=racing)
        connected = attempt(prepare, entries, budget, attempts)
        if connected is None:
            raise_for(attempts, budget, address, all_errors)
        if usual and host:
            _connecting.remember(connected[0], (host, port), connected[1])
        return connected[0]
    finally:
        attempts.clear()  # the errors' tracebacks hold this frame


def _found(look_up: Callable[..., Any], host: Any, port: Any, block: timeouts | None) -> list[Any]:
    """Return what *look_up* finds, within the limits of *block*, of the family that is wanted."""
    family = _addresses.only()
    try:
        call = partial(look_up, host, port, family, stdlib.SOCK_STREAM)
        # In a copy: a signal's handler that raises as the block ends cannot leave it in force here.
        found = call() if block is None else copy_context().run(_within, block, call)
        return _wanted(found, family, (host, port)) if family else list(found)
    except HostNotFoundError as error:
        if family:
            add_to_hint(
                error, f"{_addresses.NAMES[family]} alone is asked for: see configure(family=)"
            )
        raise


def _within(block: timeouts, call: Callable[[], Any]) -> Any:
    with block:
        return call()


def _wanted(found: list[Any], family: int, asked: tuple[Any, Any]) -> list[Any]:
    entries = _addresses.of_family(family, found)
    if found and not entries:
        exc = gaierror(_WRONG_FAMILY, f"no {_addresses.NAMES[family]} address among those found")
        raise translate(exc, "getaddrinfo", Route(asked=asked))
    return entries


def _connects_as_usual(make: Callable[..., Socket]) -> bool:
    """Tell whether the sockets of *make* connect as ours do, not in a way of the program's own.

    A subclass that speaks with a proxy, a guard that a test has put over ``connect``, or another
    library's class (gevent's is no subclass of C's) has to be asked to connect.
    """
    return (
        isinstance(make, type)
        and issubclass(make, _socket.socket)
        and _code(make.connect) in _USUAL
    )


def _code(method: Any) -> Any:
    return method.__code__ if type(method) is FunctionType else method  # not a proxy's


def _can_race(found: list[Any], budget: Budget, source_address: Any) -> bool:
    """Tell whether the addresses *found* may be under way at the same time."""
    return (
        len(found) > 1
        and _addresses.wishes()[1]
        and budget.mode != 0  # there is nothing to wait for
        and all(_is_tcp(entry) for entry in found)
        and not _is_one_port(source_address)
    )


def _is_tcp(entry: Any) -> bool:
    return entry[0] in _INTERNET and entry[1] == stdlib.SOCK_STREAM


def _is_one_port(source_address: Any) -> bool:
    """Tell whether only one socket at a time can be bound to *source_address*."""
    return bool(source_address) and split(source_address)[1] != 0


def _prepared(
    make: Callable[..., Socket], budget: Budget, source_address: Any, entry: Any
) -> Socket:
    """Return a socket for *entry*, all but connected."""
    family, kind, proto, _, _ = entry
    sock = make(family, kind, proto)
    try:
        if budget.given:
            sock.settimeout(budget.mode)
        if source_address:
            sock.bind(source_address)
    except BaseException:
        sock.close()
        raise
    return sock


def _raced(
    prepare: Callable[[Any], Socket], entries: list[Any], budget: Budget, attempts: list[Attempt]
) -> tuple[Socket, Any] | None:
    """Return the first socket that connects, and to what; or None, and *attempts*."""
    race = Race(prepare, entries, budget)
    connected = race.run()
    if connected is None:
        attempts += race.attempts()
    return connected


def _one_by_one(
    prepare: Callable[[Any], Socket], entries: list[Any], budget: Budget, attempts: list[Attempt]
) -> tuple[Socket, Any] | None:
    """Return a connected socket, and to what; or None, and *attempts*.

    Each address gets a fair share of the time that is left, so that a dead one cannot use up
    that of the living.
    """
    for index, entry in enumerate(entries):
        started = now()
        try:
            sock = prepare(entry)
            _connect(sock, entry[4], budget, len(entries) - index)
            return sock, entry[4]
        except OSError as exc:
            attempts.append(Attempt(entry[4], exc, now() - started))
    return None


def _connect(sock: Socket, address: Any, budget: Budget, left: int) -> None:
    """Connect *sock* within its share of *budget*, *left* addresses having to share it."""
    try:
        if isinstance(sock, _socket.socket):
            note(sock).asked = budget.asked  # by which connect finds an exemption
        if budget.limit is None or not isinstance(sock, stdlib.socket):
            sock.connect(address)
        elif _connects_as_usual(type(sock)):
            share = Limit(budget.share(left), budget.limit.field, budget.limit.source)
            _connecting.connect_in_time(share, sock, address)
        else:
            _connect_within(budget.share(left), sock, address)
    except BaseException:
        sock.close()
        raise


def _connect_within(seconds: float, sock: Socket, address: Any) -> None:
    """Connect *sock*, which does so in its own way, in at most so many *seconds*.

    The mode afterwards is what it was. PySocks and its like set the timeout that they know of
    while they connect, so they are told of this one in their own way; C's would be overwritten.
    """
    if _code(type(sock).settimeout) in _USUAL_SETTIMEOUT:
        mode = _system.gettimeout(sock)
        _system.settimeout(sock, seconds)
        sock.connect(address)
        _system.settimeout(sock, mode)
        return
    mode, forever = sock.gettimeout(), note(sock).forever
    sock.settimeout(seconds)
    sock.connect(address)
    sock.settimeout(mode)
    note(sock).forever = forever  # None was not said by the program
