"""The waits in progress, as values: whom each is for, how long, how long it may still take.

From what ``_stacks`` has read of a thread to a :class:`Wait`. Sockets are asked here, by calls that
change nothing, and none is kept.
"""

from __future__ import annotations

from contextvars import Context

from . import _system, _wording
from ._limits import Limit
from ._redaction import shown
from ._roles import FRESH
from ._route import Route, is_lent, is_numeric, recall, route_of
from ._scope import READ, WRITE
from ._stacks import ASLEEP, CALLING, LOOKING_UP, TRYING, Seen, blocked
from ._system import now
from ._translate import ACCEPT, CONNECT, PHASES, RESOLVE
from ._wait import EVENTS, OPTIONS, field_by_sort, governing
from .errors import _plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any

_FACTS = (
    *("operation", "phase", "host", "port", "address", "local", "elapsed", "left"),
    *("timeout", "timeout_source", "thread", "thread_id", "filename", "lineno", "function"),
    "healthy",
)

#: phase -> what is waited for, where that is not to read; connect(2), socket(7)
_SIDES = {WRITE: WRITE, CONNECT: WRITE}
_NAMES = {READ: "SO_RCVTIMEO", WRITE: "SO_SNDTIMEO"}


class Wait:
    """One wait in progress when it was looked at; immutable, and nothing in it is the socket's.

    Attributes:
        operation: name of the function or method that waits, as in errors (``"recv"``).
        phase: ``"resolve"``, ``"connect"``, ``"handshake"``, ``"read"``, ``"write"`` or
            ``"accept"``.
        host, port: as the program asked for them.
        address: the socket address that is tried or talked to; None while several are.
        local: the socket's own address.
        elapsed: seconds that it has lasted, since the last progress; None where that cannot be
            known: the wait of a socket with a timeout of its own, when it is first looked at.
            From then on it counts from that look.
        left: seconds that it may still take; None without a limit.
        timeout: seconds of that limit, of a deadline the whole budget; None without a limit.
        timeout_source: who set it, as in errors; None where that cannot be known.
        thread, thread_id: name and identifier of the thread.
        filename, lineno, function: the line of the program that waits: the innermost that is
            neither safesocket's nor the stdlib's nor below ``site-packages``.
        healthy: whether it is a server's wait for its clients, which may take as long as it likes.
    """

    __slots__ = (*_FACTS, "_field", "_role", "key")

    operation: str
    phase: str
    host: str | None
    port: int | str | None
    address: Any
    local: Any
    elapsed: float | None
    left: float | None
    timeout: float | None
    timeout_source: str | None
    thread: str
    thread_id: int
    filename: str
    lineno: int
    function: str
    healthy: bool
    key: tuple[Any, ...]  #: the same at every look at this very wait, and of no other
    _field: str  #: the name of the limit in Timeouts
    _role: str  #: how the socket came to be

    def __init__(self, **facts: Any) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, facts[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Wait is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Wait is immutable")

    @property
    def line(self) -> str:
        """The text of the program's line; empty where its file cannot be read."""
        from linecache import getline

        return getline(self.filename, self.lineno).strip()

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of this wait, ready for JSON."""
        return {name: _plain(getattr(self, name)) for name in _FACTS}

    def __str__(self) -> str:
        return _wording.waiting(self)

    def __repr__(self) -> str:
        return f"<Wait: {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, ({name: getattr(self, name) for name in self.__slots__},)


def _again(facts: dict[str, Any]) -> Wait:
    return Wait(**facts)


def waiting() -> list[Wait]:
    """Return the waits in progress in all other threads, the longest first.

    Whatever safesocket waits for is there: connections, data, handshakes, look-ups, clients; what
    waits elsewhere, such as an event loop in its ``select``, is not. The calls that are looked at
    do nothing for it; a look costs some 10 µs, and for each wait some 20 µs more.

    Not known is how long a socket with a timeout of its own (``settimeout``) waits, since C waits
    for it: its ``elapsed`` counts from the first look, here or with ``configure(warn_after=)``.
    """
    return sorted(in_progress(), key=_elapsed, reverse=True)


def _elapsed(wait: Wait) -> float:
    return -1.0 if wait.elapsed is None else wait.elapsed


def in_progress() -> list[Wait]:
    """Return the waits in progress in all threads but this one and safesocket's own."""
    names: dict[int | None, str] = {}
    waits = []
    for seen in blocked():
        facts = _facts(seen)
        if facts is not None:
            names = names or _names()
            name = names.get(seen.thread_id, f"thread {seen.thread_id}")
            waits.append(Wait(thread=name, **facts))
    return waits


def _names() -> dict[int | None, str]:
    import threading  # here: who never looks does without

    return {thread.ident: thread.name for thread in threading.enumerate()}


def _facts(seen: Seen) -> dict[str, Any] | None:
    """Return what a Wait is made of; None if this is none."""
    operation = _operation(seen)
    phase = RESOLVE if seen.how == LOOKING_UP else PHASES.get(operation, "")
    sock = None if seen.race else seen.facts.get("sock")
    try:
        if not _waits(seen, phase, sock):
            return None
        limit, end = _limit(seen, phase, sock)
        route = _route(seen, phase, sock)
        healthy = _is_healthy(phase, sock, limit)
    except OSError:  # closed meanwhile
        return None
    return {
        "operation": operation,
        "phase": phase,
        **{name: shown(getattr(route, name)) for name in ("host", "port", "address", "local")},
        **_times(seen, limit, end),
        **dict(zip(("filename", "lineno", "function"), seen.caller, strict=True)),
        "thread_id": seen.thread_id,
        "healthy": healthy,
        "_role": route.role,
    }


def _operation(seen: Seen) -> str:
    """Return the name by which an error would call it."""
    inner: str = seen.facts.get("operation") or ""
    if seen.how == LOOKING_UP:  # on behalf of another one, perhaps
        return inner or seen.operation or ""
    if seen.race:
        return "connect"
    return seen.operation or inner


def _waits(seen: Seen, phase: str, sock: Socket | None) -> bool:
    """Tell whether the thread really waits."""
    if seen.how == LOOKING_UP:
        return "asked" not in seen.facts or PHASES.get(_operation(seen)) == RESOLVE
    if seen.how == ASLEEP or sock is None:
        return seen.how == ASLEEP
    return _may_wait_in_c(seen, sock) and not _is_ready(sock, phase)


def _may_wait_in_c(seen: Seen, sock: Socket) -> bool:
    known = recall(sock)
    if known is not None and known.lent:
        return not known.polled
    own = _system.gettimeout(sock)
    if own is None:
        return seen.how == CALLING and not seen.facts.get("flags", 0) & _system.DONTWAIT
    return own > 0


def _is_ready(sock: Socket, phase: str) -> bool:
    fd = _system.fileno(sock)
    return fd < 0 or _system.ready(fd, EVENTS[_SIDES.get(phase, READ)], 0)


# --- How long -----------------------------------------------------------------------------------


def _limit(seen: Seen, phase: str, sock: Socket | None) -> tuple[Limit | None, float | None]:
    """Return the limit that ends the wait, and when; that is None where only C knows."""
    if seen.race:
        return seen.facts["budget"].limit, seen.race.end()
    if seen.how in (CALLING, TRYING) and sock is not None:
        return _limit_in_c(_SIDES.get(phase, READ), sock), None
    limit = seen.facts.get("limit") or (None if sock is None else _own_limit(sock))
    return limit, seen.facts.get("end")


def _own_limit(sock: Socket) -> Limit | None:
    own = _system.gettimeout(sock)
    return Limit(own, "", "settimeout") if own else None


def _limit_in_c(side: str, sock: Socket) -> Limit | None:
    """Return the limit of what C does: the socket's own timeout, or the kernel's."""
    own = _own_limit(sock)
    if own is not None:
        return own
    seconds = _system.timeout_of(sock, OPTIONS[side])
    if seconds is None:
        return None
    return _lent(sock, side, seconds) if is_lent(sock) else Limit(seconds, _NAMES[side], "")


def _lent(sock: Socket, side: str, seconds: float) -> Limit:
    """Return the limit that ``_lending`` has made the kernel keep."""
    if side == WRITE:
        seconds *= 2  # which is what _lending halves
    found = Context().run(governing, sock, side)  # a block of this thread's is not of that one's
    same = found is not None and abs((found.seconds or 0) - seconds) < 0.001
    return found if found is not None and same else Limit(seconds, side, "")


def _times(seen: Seen, limit: Limit | None, end: float | None) -> dict[str, Any]:
    clock = now()
    started = seen.race.started if seen.race else seen.facts.get("started")
    since = seen.mark if started is None else started
    elapsed = None if since is None or seen.is_new else max(clock - since, 0.0)
    left = None
    if limit is None or limit.seconds is None:
        limit = _UNLIMITED
    else:
        left = limit.seconds - (elapsed or 0.0) if end is None else end - clock
    return {
        "key": (seen.thread_id, since),
        "elapsed": elapsed,
        "left": None if left is None else max(left, 0.0),
        "timeout": limit.whole,
        "timeout_source": limit.source or None,
        "_field": limit.field,
    }


_UNLIMITED = Limit(None, "", "")


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


def _is_healthy(phase: str, sock: Socket | None, limit: Limit | None) -> bool:
    """Tell whether it is a wait for clients, or the program's for itself, that nobody limited.

    A timeout of the socket's own is how long a server keeps a quiet client.
    """
    if phase == ACCEPT:
        return True
    if phase != READ or sock is None or (limit is not None and limit.source not in _LAX):
        return False
    known = recall(sock)
    return field_by_sort(sock, READ, known.role if known else FRESH) in (None, "serve")


_LAX = ("", "settimeout")
