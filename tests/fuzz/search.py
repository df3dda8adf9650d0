"""Plans drawn by hypothesis until one fails, and that one made as small as it gets."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import FlakyFailure


class _DisagreementError(AssertionError):
    """What hypothesis looks for."""


def first_failure(judge, strategy, seed, sequences):
    """Play so many plans; return None, or a failing plan, as small as can be, and how it fails."""
    found = []

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
        words = judge.judge(plan)
        if words:
            found.append((plan, words))
            raise _DisagreementError

    try:
        search()
    except (_DisagreementError, FlakyFailure):  # the last is the smallest
        return found[-1]
    return None
