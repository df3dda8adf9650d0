"""From a stack that was seen to what is told of its wait: whom for, since when, under which limit.

Sockets are asked here, by calls that change nothing; what is gathered are values.
"""

from __future__ import annotations

from contextvars import Context

from . import _system
from ._limits import Limit
from ._redaction import shown, wished
from ._roles import FRESH
from ._route import POLLED, Route, is_lent, is_numeric, recall, route_of
from ._scope import READ, WRITE
from ._stacks import ASLEEP, CALLING, LOOKING_UP, TRYING, Seen
from ._timeouts import FOREVER
from ._translate import ACCEPT, CONNECT, PHASES, RESOLVE
from ._wait import EVENTS, OPTIONS, field_by_sort, governing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any

#: phase -> what is waited for, where that is not to read; connect(2), socket(7)
_SIDES = {WRITE: WRITE, CONNECT: WRITE}
_NAMES = {READ: "SO_RCVTIMEO", WRITE: "SO_SNDTIMEO"}

_UNLIMITED = Limit(None, "", "")
#: whose limits leave a server's wait for a client healthy: the socket's own, or not known whose
_LAX = ("", "settimeout")


class Told:
    """What is told of a wait and stays the same as long as it lasts.

    It ends at ``end``, or so many ``seconds`` after it began where only C knows when that was.
    """

    __slots__ = ("end", "facts", "redact", "seconds", "started")

    def __init__(
        self, facts: dict[str, Any], started: float | None, limit: Limit, end: float | None
    ) -> None:
        self.facts = facts
        self.started = started
        self.end = FOREVER if end is None or limit.seconds is None else end
        self.seconds = limit.seconds if end is None else None
        self.redact = wished()

    def is_endless(self) -> bool:
        """Tell whether there is no limit."""
        return self.seconds is None and self.end == FOREVER


def is_waiting(seen: Seen) -> bool:
    """Tell whether the thread really waits."""
    if seen.how == ASLEEP:
        return True
    if seen.how == LOOKING_UP:
        return "asked" not in seen.facts or PHASES.get(_operation(seen)) == RESOLVE
    sock = seen.facts.get("sock")
    unlimited = seen.how == CALLING and not seen.facts.get("flags", 0) & _system.DONTWAIT
    return sock is not None and waits_in_c(sock, _side(seen), unlimited)


def waits_in_c(sock: Socket, side: str, unlimited: bool) -> bool:
    """Tell whether the call in C that *sock* is in waits for *side*.

    With no timeout of the socket's own it may do so if *unlimited*.
    """
    known = recall(sock)
    if known is not None and known.lent:
        may = known.lent is not POLLED
    else:
        own = _system.gettimeout(sock)
        may = unlimited if own is None else own > 0
    if not may:
        return False
    fd = _system.fileno(sock)
    return fd >= 0 and not _system.ready(fd, EVENTS[side], 0)


def gathered(seen: Seen) -> Told:
    """Return what is told of the wait that *seen* is."""
    sock = None if seen.race else seen.facts.get("sock")
    phase = _phase(seen)
    limit, end = _limit(seen, sock)
    started = seen.race.started if seen.race else seen.facts.get("started")
    route = _route(seen, phase, sock)
    facts = {
        "operation": _operation(seen),
        "phase": phase,
        **dict(zip(("host", "port"), shown((route.host, route.port)), strict=True)),
        "address": shown(route.address),
        "local": shown(route.local),
        "timeout": limit.whole,
        "timeout_source": limit.source or None,
        "thread": _name_of(seen.thread_id),
        "thread_id": seen.thread_id,
        **dict(zip(("filename", "lineno", "function"), seen.caller, strict=True)),
        "healthy": _is_healthy(phase, sock, limit),
        "key": (seen.thread_id, seen.since if started is None else started),
        "_field": limit.field,
        "_role": route.role,
    }
    return Told(facts, started, limit, end)


def _operation(seen: Seen) -> str:
    """Return the name by which an error would call it."""
    inner: str = seen.facts.get("operation") or ""
    if seen.how == LOOKING_UP:  # on behalf of another one, perhaps
        return inner or seen.operation or ""
    if seen.race:
        return "connect"
    return seen.operation or inner


def _phase(seen: Seen) -> str:
    return RESOLVE if seen.how == LOOKING_UP else PHASES.get(_operation(seen), "")


def _side(seen: Seen) -> str:
    return _SIDES.get(_phase(seen), READ)


def _name_of(thread_id: int) -> str:
    import threading  # here: who never looks does without

    # enumerate() would make a list of all threads for each of them.
    thread = threading._active.get(thread_id)  # type: ignore[attr-defined]
    return thread.name if thread is not None else f"thread {thread_id}"  # of _thread, or of C's


# --- Under which limit --------------------------------------------------------------------------


def _limit(seen: Seen, sock: Socket | None) -> tuple[Limit, float | None]:
    """Return the limit that ends the wait, and when; that is None where only C knows."""
    if seen.race:
        return seen.facts["budget"].limit or _UNLIMITED, seen.race.end()
    if seen.how in (CALLING, TRYING) and sock is not None:
        return _limit_in_c(_side(seen), sock), None
    limit = seen.facts.get("limit") or (None if sock is None else _own_limit(sock))
    return limit or _UNLIMITED, seen.facts.get("end")


def _own_limit(sock: Socket) -> Limit | None:
    own = _system.gettimeout(sock)
    return Limit(own, "", "settimeout") if own else None


def _limit_in_c(side: str, sock: Socket) -> Limit:
    """Return the limit of what C does: the socket's own timeout, or the kernel's."""
    own = _own_limit(sock)
    if own is not None:
        return own
    seconds = _system.timeout_of(sock, OPTIONS[side])
    if seconds is None:
        return _UNLIMITED
    return _lent(sock, side, seconds) if is_lent(sock) else Limit(seconds, _NAMES[side], "")


def _lent(sock: Socket, side: str, seconds: float) -> Limit:
    """Return the limit that ``_lending`` has made the kernel keep."""
    if side == WRITE:
        seconds *= 2  # which is what _lending halves
    found = Context().run(governing, sock, side)  # a block of this thread's is not of that one's
    same = found is not None and abs((found.seconds or 0) - seconds) < 0.001
    return found if found is not None and same else Limit(seconds, side, "")


# --- Whom for -----------------------------------------------------------------------------------


def _route(seen: Seen, phase: str, sock: Socket | None) -> Route:
    facts = seen.facts
    if phase == RESOLVE:
        return Route(asked=facts.get("asked") or facts.get("address"))
    budget = facts.get("budget")
    asked = seen.asked_for if budget is None else budget.asked
    if sock is None:
        under_way = seen.race.addresses() if seen.race else []
        return Route(asked=asked, address=under_way[0] if len(under_way) == 1 else None)
    tried = facts.get("found") or facts.get("address")
    return route_of(sock, facts.get("target") or asked, tried if is_numeric(tried) else None)


def _is_healthy(phase: str, sock: Socket | None, limit: Limit) -> bool:
    """Tell whether it is a wait for clients, or the program's for itself, that nobody limited.

    A timeout of the socket's own is how long a server keeps a quiet client.
    """
    if phase == ACCEPT:
        return True
    if phase != READ or sock is None or limit.source not in _LAX:
        return False
    known = recall(sock)
    return field_by_sort(sock, READ, known.role if known else FRESH) in (None, "serve")
