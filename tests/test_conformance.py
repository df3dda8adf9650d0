"""The judge of the conformance runs can find against us: it is fed hand-made outcomes.

Nothing of CPython's is run here; ``python -m tests.conformance`` does that.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.__main__ import Comparison, Run, report
from tests.conformance._compare import Again, Event, Outcomes, Table, judge, tabulate
from tests.conformance.set_apart import SET_APART

PLAIN: Table = {"a": ("ok",), "b": ("skip(no vsock)",), "c": ("ERROR",)}


def still(plain: str, other: str) -> Again:
    """Every run alone ends like this."""
    return lambda _: ((plain,), (other,))


def never(test: str) -> tuple[Outcomes, Outcomes]:
    raise AssertionError(f"{test} does not differ and was run again")


def test_equal_tables_pass() -> None:
    """Two runs that ended the same way are equal, failures and skips included."""
    verdict = judge(PLAIN, dict(PLAIN), never)
    assert verdict.equal == PLAIN
    assert (verdict.passed, verdict.failed, verdict.differed) == (3, 0, 0)


@pytest.mark.parametrize(
    ("test", "other"),
    [
        ("a", ("FAIL",)),
        ("a", ("ERROR",)),
        ("a", ("skip(no sockets)",)),
        ("a", ("unfinished",)),
        ("a", ("ok", "ok")),
        ("b", ("skip(no such attribute)",)),
        ("b", ("skip(no vsock here)",)),
        ("b", ("ok",)),
        ("c", ("FAIL",)),
        ("c", ("skip(no sockets)",)),
        ("new", ("ok",)),
    ],
)
def test_a_different_outcome_fails(test: str, other: Outcomes) -> None:
    """Whatever is not the same is a difference, and fails."""
    verdict = judge(PLAIN, {**PLAIN, test: other}, still("ok", "FAIL"))
    assert [one.test for one in verdict.different] == [test]
    assert verdict.failed == 1


def test_a_reason_to_skip_may_say_more() -> None:
    """Some quote an error: safesocket's goes on after the words of the stdlib's."""
    verdict = judge(PLAIN, {**PLAIN, "b": ("skip(no vsock: bind to port 1234)",)}, never)
    assert (verdict.passed, verdict.failed) == (3, 0)


def test_a_missing_test_fails() -> None:
    """A test that only the plain run has is a difference."""
    verdict = judge(PLAIN, {"a": ("ok",), "b": ("skip(no vsock)",)}, still("ERROR", "FAIL"))
    assert [(one.test, one.other) for one in verdict.different] == [("c", ())]


def test_better_is_reported_and_no_failure() -> None:
    """A test that fails plain and passes with the stand-in is told, not held against it."""
    verdict = judge(PLAIN, {**PLAIN, "c": ("ok",)}, still("ERROR", "ok"))
    assert [one.test for one in verdict.better] == ["c"]
    assert (verdict.passed, verdict.failed) == (3, 0)


@pytest.mark.parametrize(
    ("tries", "flaky"), [([1], True), ([0, 1], True), ([0, 0], False)], ids=str
)
def test_a_flaky_test_agrees_when_run_alone(
    tries: list[int], flaky: bool, alone: Callable[[list[int]], Again]
) -> None:
    """One try in which both agree clears a test; it is run again no more than twice."""
    verdict = judge(PLAIN, {**PLAIN, "a": ("FAIL",)}, alone(tries))
    assert [one.test for one in verdict.flaky] == ["a"] * flaky
    assert verdict.failed == (not flaky)
    assert tries == []


@pytest.fixture
def alone() -> Callable[[list[int]], Again]:
    """Runs alone that agree (1) or do not (0), in turn."""

    def alone_with(tries: list[int]) -> Again:
        return lambda _: (("ok",), ("ok",) if tries.pop(0) else ("FAIL",))

    return alone_with


def test_what_cannot_be_run_alone_is_not_cleared() -> None:
    """A class's set-up that failed runs in neither mode when asked for: that is no agreement."""
    other = {**PLAIN, "setUpClass (test.X)": ("ERROR",)}
    assert judge(PLAIN, other, lambda _: ((), ())).failed == 1


def test_many_differences_are_not_run_again() -> None:
    """A stand-in that breaks everything is told so at once."""
    other = {str(number): ("FAIL",) for number in range(21)}
    assert judge({}, other, never).failed == 21


def test_a_test_set_apart_may_differ() -> None:
    """It counts as neither passed nor failed."""
    verdict = judge(PLAIN, {**PLAIN, "a": ("FAIL",)}, still("ok", "FAIL"), ["a"])
    assert [one.test for one in verdict.apart] == ["a"]
    assert (verdict.passed, verdict.failed) == (2, 0)


@pytest.mark.parametrize("other", ["ok", "FAIL"])
def test_a_stale_entry_fails(other: str) -> None:
    """What is set apart must differ, and not only once."""
    verdict = judge(PLAIN, {**PLAIN, "a": (other,)}, still("ok", "ok"), ["a", "gone"])
    assert verdict.stale == ["a", "gone"]
    assert verdict.failed == 2


def test_events_become_outcomes() -> None:
    """Subtests count to their test, an id may occur twice, a test cut off has no outcome."""
    events: list[Event] = [
        ("twice", "started", ""),
        ("twice", "ok", ""),
        ("subtests", "started", ""),
        ("subtests", "FAIL", "first"),
        ("subtests", "FAIL", "second"),
        ("twice", "started", ""),
        ("twice", "ERROR", "in tearDown"),
        ("twice", "FAIL", "in the test"),
        ("setUpClass (test.X)", "skip(no X)", ""),
        ("hung", "started", ""),
    ]
    assert tabulate(events) == {
        "twice": ("ERROR and FAIL", "ok"),
        "subtests": ("FAIL",),
        "setUpClass (test.X)": ("skip(no X)",),
        "hung": ("unfinished",),
    }


def test_a_run_that_broke_off_fails() -> None:
    """Even where every test that was reached agrees: the report says so, and the last words."""
    plain = Run("plain", [("a", "started", ""), ("a", "ok", "")], [])
    other = Run("drop-in", plain.events, ["Timeout (0:01:00)!"], "exit status 1")
    found = Comparison("test_x", plain, other, judge(plain.table, other.table, never))
    assert found.failed == 1
    assert list(report(found)) == [
        "test_x: 1 tests, 1 equal, 0 different",
        "  the drop-in run did not come to its end (exit status 1); its last words:",
        "    | Timeout (0:01:00)!",
    ]


def test_a_difference_is_reported_with_its_traceback() -> None:
    """The report gives both outcomes, that the test was run again, and why it failed."""
    plain = Run("plain", [("a", "started", ""), ("a", "ok", "")], [])
    other = Run("drop-in", [("a", "started", ""), ("a", "FAIL", "Traceback:\nAssertionError")], [])
    verdict = judge(plain.table, other.table, still("ok", "FAIL"))
    assert list(report(Comparison("test_x", plain, other, verdict))) == [
        "test_x: 1 tests, 0 equal, 1 different",
        "  1 differed: each was run again alone, up to 2 times",
        "  different: a",
        "    plain: ok; drop-in: FAIL",
        "    | Traceback:",
        "    | AssertionError",
    ]


def test_a_suite_that_is_skipped_whole_is_told() -> None:
    """It is equal and proves nothing; the report says so, as of tests that fail in both runs."""
    run = Run("plain", [("setUpModule (test.x)", "skip(no network)", "")], [])
    assert list(report(Comparison("test_x", run, run, judge(run.table, run.table, never)))) == [
        "test_x: 1 tests, 1 equal, 0 different, 1 skipped in both",
        "  nothing of it ran: every test is skipped in both runs",
    ]


def test_every_test_set_apart_has_a_reason() -> None:
    """And is a test of CPython's."""
    assert all(test.startswith("test.") and reason for test, reason in SET_APART.items())
