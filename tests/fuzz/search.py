"""Plans drawn by hypothesis until one fails, and that one made as small as it gets."""

from __future__ import annotations

import math
import time
from collections import Counter
from functools import cache

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import FlakyFailure

from tests.fuzz.compare import WORLDS, Judge


class _DisagreementError(AssertionError):
    """What hypothesis looks for."""


def first_failure(judge, strategy, seed, sequences, seconds=math.inf):
    """Play so many plans; return None, or a failing plan, as small as can be, and how it fails.

    After *seconds* no more are begun, unless one has failed.
    """
    found = []
    end = time.monotonic() + seconds

    @seeded(seed)
    @settings(
        max_examples=sequences,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(strategy)
    def search(plan):
        if time.monotonic() > end and not found:
            return
        words = judge.judge(plan)
        if words:
            found.append((plan, words))
            raise _DisagreementError

    try:
        search()
    except (_DisagreementError, FlakyFailure):  # the last is the smallest
        return found[-1]
    return None


_judge = cache(Judge)  # a lane keeps its worlds from round to round


def play_round(task):
    """Play one round of a lane; return what was counted, what was doubtful, the first failure."""
    world, seed, sequences = task
    judge = _judge(world)
    judge.counts, judge.doubtful = Counter(), []
    failed = first_failure(judge, WORLDS[world][1](), seed, sequences)
    return judge.counts, judge.doubtful, failed
