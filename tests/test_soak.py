"""The chaos soak in its short form, and the gauges by which the long one is judged."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import CHECKOUT
from tests.soak.gauges import Gauge, Reading, grown

CONNECTIONS = 300
SEED = 20


@pytest.mark.timeout(120)
@pytest.mark.parametrize("world", ["install", "tls"])
def test_soak(world):
    """Whatever the peers do: in time, documented, every byte right, and nothing left behind."""
    options = ["--connections", str(CONNECTIONS), "--seed", str(SEED), "--world", world]
    command = [sys.executable, "-m", "tests.soak", *options]
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def readings(**rises):
    """Return readings of 24 rounds of 1,000 connections in which each gauge rises by so much."""
    start = Reading(0, 5, 20, 300_000, 80_000_000)
    for number in range(24):
        risen = {name: int(getattr(start, name) + rise * number) for name, rise in rises.items()}
        yield start._replace(connections=1000 * number, **risen)


@pytest.mark.parametrize(
    "rises", [{}, {"traced": 10_000}, {"resident": 90_000}, {"traced": -9e3, "descriptors": -0.1}]
)
def test_flat(rises):
    """What only wavers has not grown."""
    assert grown([*readings(**rises)]) == []


@pytest.mark.parametrize(
    "rises", [{"descriptors": 0.1}, {"threads": 0.1}, {"traced": 40_000}, {"resident": 400_000}]
)
def test_growth(rises):
    """One descriptor in 10,000 connections is too many, and so are 40 bytes for each."""
    (found,) = grown([*readings(**rises)])
    assert next(iter(rises)) in found


def test_overshoot():
    """A wait is too long by what it outlasts its limit, unless no thread had any time."""
    gauge = Gauge()
    with gauge.clocked(), gauge.playing("one"), gauge.within(-1.0):
        pass
    assert 0.9 < gauge.longest["one"] < 1.5
