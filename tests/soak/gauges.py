"""What is measured in the soak, and when a measurement is a failure.

Growth: all gauges are read between two rounds, when nothing is under way. Descriptors and
threads have to be as many as after the first quarter, exactly. Memory, traced (tracemalloc) and
resident, has to be flat over the second half: the straight line through its readings there
(least squares) may rise by so many bytes for each connection, and by a little for the noise.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import threading
import time
import tracemalloc
from collections import Counter, defaultdict
from contextlib import contextmanager
from typing import NamedTuple

SLACK = 0.25  # seconds that a wait may outlast its limit
#: bytes that memory may rise for each connection, and in all: whatever leaks weighs more
TRACED = (16, 100_000)
RESIDENT = (100, 2_000_000)
_SETTLED = 5.0  # seconds; what is still there then has been left behind
_TICK = 0.01  # seconds


class Reading(NamedTuple):
    """All gauges at one time."""

    connections: int
    descriptors: int
    threads: int
    traced: int
    resident: int


def tasks() -> int:
    """Return how many threads this process has, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Let the C library give back what it only keeps: it has an arena for each thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)


def read(connections: int, wanted: Reading | None) -> Reading:
    """Return what the gauges show once they show what is *wanted*, or will not."""
    end = time.monotonic() + _SETTLED
    gc.collect()
    while True:
        shown = descriptors(), tasks()
        settled = wanted is None or shown == (wanted.descriptors, wanted.threads)
        if settled or time.monotonic() > end:
            gc.collect()
            trim()
            return Reading(connections, *shown, tracemalloc.get_traced_memory()[0], resident())
        time.sleep(_TICK)


def growth(readings: list[Reading], name: str) -> tuple[float, int]:
    """Return by how many bytes the gauge *name* rises over the second half, and connections."""
    half = readings[len(readings) // 2 :]
    places = [reading.connections for reading in half]
    slope = statistics.linear_regression(places, [getattr(one, name) for one in half]).slope
    connections = places[-1] - places[0]
    return slope * connections, connections


def is_flat(readings: list[Reading], name: str, allowed: tuple[int, int]) -> bool:
    each, in_all = allowed
    rise, connections = growth(readings, name)
    return rise <= each * connections + in_all


def grown(readings: list[Reading]) -> list[str]:
    """Return what has grown, in words."""
    found = []
    base = readings[len(readings) // 4]
    for name in ("descriptors", "threads"):
        most = max(getattr(one, name) for one in readings[len(readings) // 4 :])
        if most > getattr(base, name):
            found.append(f"{name}: from {getattr(base, name)} to {most}")
    for name, allowed in (("traced", TRACED), ("resident", RESIDENT)):
        if not is_flat(readings, name, allowed):
            rise, connections = growth(readings, name)
            found.append(f"memory {name}: {rise:+,.0f} bytes over {connections} connections")
    return found


class Gauge:
    """What all threads write down: waits, what went wrong, warnings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self.played: Counter[str] = Counter()
        self.wrong: defaultdict[str, list[str]] = defaultdict(list)
        self.warned: Counter[str] = Counter()
        self.longest: defaultdict[str, float] = defaultdict(float)
        self.latest = 0.0
        self._late = 0.0  # in all

    @contextmanager
    def playing(self, name: str):
        """Note that this thread plays the scenario *name*."""
        self._here.name = name
        with self._lock:
            self.played[name] += 1
        yield
        self._here.name = "afterwards"

    def now_playing(self) -> str:
        return getattr(self._here, "name", "elsewhere")

    def note(self, sort: str, text: str) -> None:
        """Note that something of the *sort* went wrong."""
        with self._lock:
            self.wrong[sort].append(f"{self.now_playing()}: {text}")

    def showwarning(self, message, category, filename, lineno, file=None, line=None) -> None:
        """Take the place of ``warnings.showwarning``."""
        with self._lock:
            self.warned[self.now_playing()] += 1

    @contextmanager
    def within(self, limit: float):
        """Measure by how much the block outlasts *limit*, seconds, and a sleep meanwhile."""
        started, late = time.monotonic(), self._late
        try:
            yield
        finally:
            over = time.monotonic() - started - limit - (self._late - late)
            with self._lock:
                name = self.now_playing()
                self.longest[name] = max(self.longest[name], over)

    @contextmanager
    def clocked(self):
        """Measure by how much a plain sleep is late meanwhile, whatever the reason."""
        stop = threading.Event()

        def tick() -> None:
            while not stop.is_set():
                started = time.monotonic()
                time.sleep(_TICK)
                late = time.monotonic() - started - _TICK
                self.latest = max(self.latest, late)
                self._late += late

        clock = threading.Thread(target=tick)
        clock.start()
        try:
            yield
        finally:
            stop.set()
            clock.join()
