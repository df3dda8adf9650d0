"""The waits in progress, as values: what :func:`waiting` returns, and what is watched.

Nothing of a socket is in a :class:`Wait`. What is told of one, ``_sightings`` gathers.
"""

from __future__ import annotations

from . import _wording
from ._redaction import wished
from ._sightings import gathered, is_waiting
from ._stacks import Seen, blocked
from ._system import now
from .errors import _plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FACTS = (
    *("operation", "phase", "host", "port", "address", "local", "elapsed", "left"),
    *("timeout", "timeout_source", "thread", "thread_id", "filename", "lineno", "function"),
    "healthy",
)


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

    __slots__ = ("_facts", "elapsed", "left")

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
    key: tuple[int, float]  #: the same at every look at this very wait, and of no other
    _field: str  #: the name of the limit in Timeouts
    _role: str  #: how the socket came to be
    _facts: dict[str, Any]  #: all that stays the same, shared by the looks at one wait

    def __init__(self, facts: dict[str, Any], elapsed: float | None, left: float | None) -> None:
        object.__setattr__(self, "_facts", facts)
        object.__setattr__(self, "elapsed", elapsed)
        object.__setattr__(self, "left", left)

    def __getattr__(self, name: str) -> Any:
        if name in _CONSTANT:
            return self._facts[name]
        raise AttributeError(f"a Wait has no attribute {name!r}")

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
        return Wait, (self._facts, self.elapsed, self.left)


_CONSTANT = {*_FACTS, "key", "_field", "_role"} - {"elapsed", "left"}


def waiting() -> list[Wait]:
    """Return the waits in progress in all threads, the longest first.

    Whatever safesocket waits for is there: connections, data, handshakes, look-ups, clients; what
    waits elsewhere, such as an event loop in its ``select``, is not. A handler of a signal sees
    the wait that it has interrupted, too. It costs the calls that are looked at nothing.

    Not known is how long a socket with a timeout of its own (``settimeout``) waits, since C waits
    for it: its ``elapsed`` counts from the first look, here or with ``configure(warn_after=)``.
    """
    return sorted(in_progress(), key=_elapsed, reverse=True)


def _elapsed(wait: Wait) -> float:
    return -1.0 if wait.elapsed is None else wait.elapsed


def in_progress() -> list[Wait]:
    """Return the waits in progress in all threads but safesocket's own."""
    waits = []
    for seen in blocked():
        try:
            if is_waiting(seen):
                waits.append(_wait(seen))
        except OSError:  # closed meanwhile
            continue
    return waits


def _wait(seen: Seen) -> Wait:
    told = seen.told
    is_new = told is None or told.redact is not wished()
    if is_new:
        seen.told = told = gathered(seen)
    clock = now()
    since: float | None = told.started
    if since is None and not is_new:
        since = seen.since
    elapsed = None if since is None else max(clock - since, 0.0)
    left = told.end - clock if told.seconds is None else told.seconds - (elapsed or 0.0)
    return Wait(told.facts, elapsed, None if told.is_endless() else max(left, 0.0))
