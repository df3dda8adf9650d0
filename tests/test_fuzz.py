"""Differential fuzzing, a little of it: the campaign is ``python -m tests.fuzz``.

The same plans each time, in every world, and every plan that has ever failed.
"""

from __future__ import annotations

import sys

import pytest

from tests.fuzz.compare import WORLDS, Judge, difference
from tests.fuzz.failed import FAILED
from tests.fuzz.search import first_failure

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux's sockets and /proc"),
]
SEED = 7
SECONDS = 5  # in each world; a machine that is busy plays fewer
SEQUENCES = {"drop-in": 100, "installed": 100, "tls": 50, "tls-installed": 50}


@pytest.fixture(scope="module")
def judges():
    """Both worlds of each name, kept for all tests."""
    made = {}

    def judge(world):
        if world not in made:
            made[world] = Judge(world)
        return made[world]

    yield judge
    for one in made.values():
        one.close()


@pytest.mark.parametrize("world", WORLDS)
def test_plans_agree(world, judges):
    """Random plans have the same record in the stdlib and in safesocket."""
    judge = judges(world)
    failed = first_failure(judge, WORLDS[world][1](), SEED, SEQUENCES[world], SECONDS)
    assert failed is None, "\n".join(map(str, failed))
    assert judge.counts["the stdlib varies"] <= judge.counts["sequences"] / 10


@pytest.mark.parametrize("world", ["drop-in", "installed"])
@pytest.mark.parametrize("plan", FAILED.values(), ids=FAILED)
def test_what_failed_once_agrees(plan, world, judges):
    """Every plan that has ever failed."""
    words = judges(world).judge(plan)
    assert words is None, words


def test_a_difference_is_seen(judges):
    """The judge can find against us: a limit that is not there is a wait without an end."""
    judge = judges("drop-in")
    plan = dict(FAILED["a datagram socket that was shut down waited"], moves=[["recv", 9, 0]])
    judge.other.ask({**plan, "moves": [["settimeout", 0], *plan["moves"]]})
    judge.plain.ask(plan)
    plain, other = judge.plain.answer(), judge.other.answer()
    assert plain != other
    assert "move 1" in difference(plain, other)


def test_how_far_a_send_came_is_compared(judges):
    """Of a connection that ends half-way the record has the count, too, and not the error alone."""
    judge = judges("drop-in")
    plan = FAILED["the model took a short count for all that a connection that ends has to tell"]
    for process in (judge.plain, judge.other):
        process.ask(plan)
        _, _, (outcome, _), _ = process.answer()["moves"]
        assert outcome[:2] == ("raises", "BrokenPipeError")
        assert 0 < outcome[4]["half_way"] < 70_000
