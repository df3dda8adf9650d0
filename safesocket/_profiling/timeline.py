"""The timeline of a profile: the longest waits and the first failures, each by itself."""

from __future__ import annotations

from itertools import compress
from operator import sub
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..errors import SafeSocketError

MOST_WAITS = 20_000  # 2 MB; more than a screen can show
MOST_FAILURES = 2_000
_LONGEST_TEXT = 300  # characters


class Waited(NamedTuple):
    """One wait; *started* and *ended* are seconds of safesocket's clock."""

    peer: str
    phase: str
    started: float
    ended: float


class Failed(NamedTuple):
    """One failure: *kind* is the name of its class, *text* what it says."""

    peer: str
    phase: str
    when: float
    kind: str
    text: str


class Timeline:
    """The MOST_WAITS longest waits, and the first MOST_FAILURES failures."""

    def __init__(self) -> None:
        self.failures: list[Failed] = []
        self.count = 0  # of waits, those left out included
        self._waits: list[Any] = []  # peer, phase, start, end of each, one after the other
        self._least = -1.0  # seconds; what has not taken longer is left out

    def add(self, log: list[Any], took: list[float]) -> None:
        """Add the waits in *log*, of which each *took* so many seconds."""
        self.count += len(took)
        self._waits += log if self._least < 0 else _chosen(log, took, self._least.__lt__)
        if len(self._waits) >= 8 * MOST_WAITS:  # twice as many
            self._shorten()

    def fail(self, peer: str, phase: str, when: float, error: SafeSocketError) -> None:
        """Add a failure."""
        if len(self.failures) < MOST_FAILURES:
            text = str(error)[:_LONGEST_TEXT]
            self.failures.append(Failed(peer, phase, when, type(error).__name__, text))

    def waits(self) -> list[Waited]:
        """Return the waits that are left, in the order in which they began."""
        self._shorten()
        return sorted(_each(self._waits), key=lambda wait: wait.started)

    def _shorten(self) -> None:
        took = list(map(sub, self._waits[3::4], self._waits[2::4]))
        if len(took) <= MOST_WAITS:
            return
        least = self._least = sorted(took)[-MOST_WAITS - 1]
        longer = _chosen(self._waits, took, least.__lt__)
        room = 4 * MOST_WAITS - len(longer)
        as_long = _chosen(self._waits, took, least.__eq__) if room else []  # a coarse clock's
        self._waits = longer + as_long[:room]


def _chosen(log: list[Any], took: list[float], choose: Callable[[float], bool]) -> list[Any]:
    """Return the waits in *log* that *choose* wants by what each *took*."""
    places = compress(range(0, len(log), 4), map(choose, took))
    return [part for place in places for part in log[place : place + 4]]


def _each(log: list[Any]) -> Iterator[Waited]:
    parts = iter(log)
    return map(Waited, parts, parts, parts, parts)
