"""The sums of a profile: exact, whatever the number of waits, and as large as its peers are many.

Numbers only; no clock is read and nothing waits. Not thread-safe: ``session`` has the lock.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from operator import sub
from typing import TYPE_CHECKING, Any, NamedTuple

from .timeline import Timeline

if TYPE_CHECKING:
    from ..errors import SafeSocketError

#: peers that have rows of their own; who talks to more, a crawler, gets one row for the rest
MOST_PEERS = 10_000
THE_REST = "(other peers)"

#: whose limits are not the call site's own: what is saved by one of these is to be fixed
_DEFAULTS = frozenset({"default", "environment", "configure", "exempt"})


class Row(NamedTuple):
    """What was waited for one peer in one phase.

    Attributes:
        peer: ``host:port`` as the program asked for it, or ``clients of host:port``.
        phase: ``"resolve"``, ``"connect"``, ``"handshake"``, ``"read"``, ``"write"``,
            ``"accept"``, or ``"bind"``, which cannot wait but fail.
        waits: how many.
        waited: seconds, together.
        longest: seconds of the longest.
        timeouts: how many waits a limit has ended, whosever.
        errors: class name of the error -> how many were raised, timeouts included.
    """

    peer: str
    phase: str
    waits: int
    waited: float
    longest: float
    timeouts: int
    errors: dict[str, int]


class Saved(NamedTuple):
    """A line of the program that would have waited for ever, or as long as the system lets it.

    Attributes:
        filename, lineno: where.
        operation: what it called, as in errors (``"recv"``).
        peer: whom it waited for the last time.
        limit: the name of the limit in ``Timeouts`` that ended the wait.
        seconds: that limit.
        source: who set it: ``"default"``, ``"environment"``, ``"configure"``, ``"exempt"``.
        times: how often.
    """

    filename: str
    lineno: int
    operation: str
    peer: str
    limit: str
    seconds: float
    source: str
    times: int


@dataclass(slots=True)
class _Sums:
    waits: int = 0
    waited: float = 0.0
    longest: float = 0.0
    timeouts: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, waits: int, waited: float, longest: float) -> None:
        self.waits += waits
        self.waited += waited
        self.longest = max(self.longest, longest)


class Tally:
    """The sums since *began*, seconds of safesocket's clock; what began earlier is cut there."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.timeline = Timeline()
        self._sums: dict[tuple[str, str], _Sums] = {}
        self._peers: set[str] = set()
        self._saved: dict[tuple[str, int, str, str], Saved] = {}

    def add(self, log: list[Any]) -> None:
        """Add waits: peer, phase, start and end of each, one after the other."""
        if not log or self._add_alike(log):
            return
        parts = iter(log)
        for peer, phase, started, ended in zip(parts, parts, parts, parts, strict=True):
            self.add_one(peer, phase, started, ended)

    def _add_alike(self, log: list[Any]) -> bool:
        """Add waits of one sort; tell whether they are. Measured: a third of the time."""
        peers, phases, started, ended = (log[part::4] for part in range(4))
        count = len(peers)
        if peers.count(peers[0]) != count or phases.count(phases[0]) != count:
            return False
        took = list(map(sub, ended, started))
        longest = max(took)
        if longest > ended[0] - self.began:
            return False  # one may have begun before the profile
        self._of(peers[0], phases[0]).add(count, sum(took), longest)
        self.timeline.add(log, took)
        return True

    def add_one(self, peer: str, phase: str, started: float, ended: float) -> None:
        """Add one wait."""
        started = max(started, self.began)
        took = max(ended - started, 0.0)
        self._of(peer, phase).add(1, took, took)
        self.timeline.add([peer, phase, started, ended], [took])

    def fail(self, peer: str, phase: str, error: SafeSocketError, when: float) -> None:
        """Add a failure."""
        sums, name = self._of(peer, phase), type(error).__name__
        sums.errors[name] = sums.errors.get(name, 0) + 1
        sums.timeouts += isinstance(error, TimeoutError)
        self.timeline.fail(peer, phase, when, error)

    def save(self, peer: str, error: SafeSocketError, where: tuple[str, int]) -> None:
        """Add the call site *where*, if no limit of its own has ended its wait in *error*."""
        if error.timeout_source not in _DEFAULTS:
            return
        key = (*where, error.operation or "", error._field)
        before = self._saved[key].times if key in self._saved else 0
        limit = error.timeout or 0.0, error.timeout_source or ""
        self._saved[key] = Saved(*where, key[2], peer, error._field, *limit, before + 1)

    def _of(self, peer: str, phase: str) -> _Sums:
        sums = self._sums.get((peer, phase))
        if sums is None:
            if len(self._peers) >= MOST_PEERS and peer not in self._peers:
                peer = THE_REST
            self._peers.add(peer)
            sums = self._sums.setdefault((peer, phase), _Sums())
        return sums

    def with_more(self, log: list[Any]) -> Tally:
        """Return a copy to which the waits in *log* are added."""
        copied = deepcopy(self)
        copied.add(log)
        return copied

    def rows(self) -> list[Row]:
        """Return the sums, the peers and their phases that were waited for longest first."""
        of_peer: dict[str, float] = {}
        for (peer, _), sums in self._sums.items():
            of_peer[peer] = of_peer.get(peer, 0.0) + sums.waited
        rows = [
            Row(peer, phase, s.waits, s.waited, s.longest, s.timeouts, dict(s.errors))
            for (peer, phase), s in self._sums.items()
        ]
        return sorted(rows, key=lambda row: (-of_peer[row.peer], row.peer, -row.waited, row.phase))

    def saved(self) -> list[Saved]:
        """Return the call sites that were saved, the most often first."""
        return sorted(self._saved.values(), key=lambda one: (-one.times, one.filename, one.lineno))
