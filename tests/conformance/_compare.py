"""Two tables of outcomes -> a verdict. Pure: no process, no file and no clock lives here.

A test is known by its id. One id may occur more than once in a suite, so a table holds the
outcomes of all its occurrences, sorted: that is a multiset. An id that is not in a table has
the outcomes ``()``, and so a test that is missing, or new, is a difference like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

#: What a child says: the test's id, what happened to it, a traceback where there is one.
Event: TypeAlias = tuple[str, str, str]
Outcomes: TypeAlias = tuple[str, ...]
Table: TypeAlias = Mapping[str, Outcomes]
#: Runs one test alone in both modes.
Again: TypeAlias = Callable[[str], tuple[Outcomes, Outcomes]]

STARTED = "started"
OK = "ok"
UNFINISHED = "unfinished"
#: How an outcome of a failed test begins: of several marks these sort first.
FAILED = ("ERROR", "FAIL", "unexpectedSuccess", UNFINISHED)

RETRIES = 2
#: Above this many differences nothing is run again: so many tests are broken, not flaky.
RETRIED_AT_MOST = 20


def tabulate(events: Iterable[Event]) -> Table:
    """Fold the events of a run, in their order, into its table."""
    runs: dict[str, list[list[str]]] = {}
    for test, mark, _ in events:
        occurrences = runs.setdefault(test, [])
        # A class or a module whose set-up fails is never started.
        if mark == STARTED or not occurrences:
            occurrences.append([])
        occurrences[-1].append(mark)
    return {test: tuple(sorted(map(_outcome, marks))) for test, marks in runs.items()}


def _outcome(marks: list[str]) -> str:
    """Name what became of one occurrence: a failed subtest is a failure of its test."""
    return " and ".join(sorted(set(marks) - {STARTED})) or UNFINISHED


class Difference(NamedTuple):
    """One test that did not end the same way."""

    test: str
    plain: Outcomes
    other: Outcomes

    @property
    def better(self) -> bool:
        """It failed plain, and passes with the stand-in."""
        return set(self.other) == {OK} and any(end.startswith(FAILED) for end in self.plain)


@dataclass(frozen=True)
class Verdict:
    """What the comparison of two runs of one suite found; every test is in one list only."""

    equal: Table
    different: list[Difference]
    better: list[Difference]
    flaky: list[Difference]
    apart: list[Difference]
    stale: list[str]  # set apart, and does not differ

    @property
    def passed(self) -> int:
        return len(self.equal) + len(self.flaky) + len(self.better)

    @property
    def failed(self) -> int:
        return len(self.different) + len(self.stale)

    @property
    def differed(self) -> int:
        return sum(map(len, (self.different, self.better, self.flaky, self.apart)))

    def ending(self, *marks: str) -> list[str]:
        """List the tests that ended so in both runs: they prove nothing."""
        return [test for test, ends in self.equal.items() if ends[0].startswith(marks)]


def judge(plain: Table, other: Table, again: Again, set_apart: Collection[str] = ()) -> Verdict:
    """Compare two runs; the tests *set_apart* may, and therefore must, differ."""
    found = differences(plain, other)
    few = len(found) <= RETRIED_AT_MOST
    agreed = {one.test for one in found if few and is_flaky(one.test, again)}
    lasting = [one for one in found if one.test not in agreed]
    counted = [one for one in lasting if one.test not in set_apart]
    return Verdict(
        equal={test: ends for test, ends in plain.items() if agree(ends, other.get(test, ()))},
        different=[one for one in counted if not one.better],
        better=[one for one in counted if one.better],
        flaky=[one for one in found if one.test in agreed],
        apart=[one for one in lasting if one.test in set_apart],
        stale=sorted(set(set_apart) - {one.test for one in lasting}),
    )


def differences(plain: Table, other: Table) -> list[Difference]:
    """List the tests, by id, whose outcomes are not the same."""
    tests = sorted(plain.keys() | other.keys())
    pairs = (Difference(test, plain.get(test, ()), other.get(test, ())) for test in tests)
    return [pair for pair in pairs if not agree(pair.plain, pair.other)]


def agree(plain: Outcomes, other: Outcomes) -> bool:
    return len(plain) == len(other) and all(map(_alike, plain, other))


def _alike(plain: str, other: str) -> bool:
    """The same; but a reason to skip may quote an error, and ours goes on after its words."""
    return plain == other or (plain.startswith("skip(") and other.startswith(f"{plain[:-1]}: "))


def is_flaky(test: str, again: Again) -> bool:
    """Run a test again that differed: it is flaky if it agrees in one of the tries.

    To have run in neither mode (a class's set-up cannot be run alone) is not to agree.
    """
    tries = (again(test) for _ in range(RETRIES))
    return any(plain and agree(plain, other) for plain, other in tries)
