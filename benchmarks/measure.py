"""How it is measured: fresh processes, short rounds, every contender once in every round.

Numbers leave this file as rounds, one number per contender, so that only numbers taken side
by side are ever compared. Nothing here knows what a case does or how a number is shown.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from contenders import REFERENCE, Address, Contender, plain_listener

if sys.platform != "win32":
    import resource

MAX_LOOPS = 1 << 24
PATIENCE = 60  # seconds for one step; a contender that hangs costs its process, not the run
CONNECTIONS = 500  # to divide the memory by
SPARE_FILES = 200  # descriptors besides those that were counted

T = TypeVar("T")
Run = Callable[[int], int]  # loops -> the nanoseconds they took
Sample = dict[str, float]  # one round: contender's name -> its number


@dataclass(frozen=True)
class Effort:
    rounds: int  # in each process
    processes: int  # one after the other: hash seed and memory layout differ between them
    stretches: int  # of a sample; the fastest counts: what interrupts it only ever adds time
    stretch_ns: int  # the least a stretch of the reference lasts
    apart: bool = True  # event loops in processes of their own; a smoke test saves the time


@dataclass
class Outcome:
    rounds: list[Sample] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # contender's name -> the reason

    @contextmanager
    def excusing(self, *names: str) -> Iterator[None]:
        """A peer that is not installed, or fails, is left out with the reason."""
        try:
            yield
        except Exception as exc:
            not_installed = isinstance(exc, ImportError)  # its text says it all
            reason = str(exc) if not_installed else f"{type(exc).__name__}: {exc}"
            self.missing = dict.fromkeys(names, reason) | self.missing

    def add(self, other: Outcome) -> None:
        self.rounds += other.rounds
        self.missing = other.missing | self.missing


Method = Callable[[Sequence[Contender], Effort], Outcome]


@dataclass(frozen=True)
class Scene:
    """One contender's part in a case; what it opens is closed with the stack."""

    contender: Contender
    rivals: int  # how many contenders share this process
    stack: ExitStack

    def keep(self, sock: Any) -> Any:
        return self.stack.enter_context(closing(sock))

    def client(self, address: Address) -> Any:
        return self.keep(self.contender.client(address))

    def pair(self, listener: Any) -> tuple[Any, Any]:
        """Both ends of one connection, both of the contender's class."""
        client = self.client(listener.getsockname())
        return client, self.keep(self.contender.accept(listener))


# Time: all contenders that can share a process, interleaved.


def timed(
    prepare: Callable[[Scene], Run], contenders: Sequence[Contender], effort: Effort
) -> Outcome:
    outcome = Outcome()
    for _ in range(effort.processes):
        for group in by_process(contenders) if effort.apart else [contenders]:
            with outcome.excusing(*(contender.name for contender in group)):
                outcome.add(in_fresh_process(interleave, prepare, [REFERENCE, *group], effort))
    return outcome


def by_process(contenders: Sequence[Contender]) -> list[list[Contender]]:
    groups: dict[str, list[Contender]] = {}
    for contender in contenders:
        groups.setdefault(contender.process, []).append(contender)
    return list(groups.values())


def interleave(
    prepare: Callable[[Scene], Run], contenders: Sequence[Contender], effort: Effort
) -> Outcome:
    outcome, runs = Outcome(), dict[str, Run]()
    expect_an_end()
    with ExitStack() as stack:
        for contender in contenders:
            with outcome.excusing(contender.name):
                runs[contender.name] = prepare(Scene(contender, len(contenders), stack))
        if REFERENCE.name in runs:
            loops = calibrate(runs[REFERENCE.name], effort.stretch_ns)
            # The first round warms up: caches, the specialising interpreter, event loops.
            for _ in range(effort.rounds + 1):
                outcome.rounds.append(one_round(runs, loops, effort.stretches, outcome))
            del outcome.rounds[0]
    return outcome


def calibrate(run: Run, least_ns: int) -> int:
    loops = 1
    while loops < MAX_LOOPS and run(loops) < least_ns:
        loops *= 2
    return loops


def one_round(runs: dict[str, Run], loops: int, stretches: int, outcome: Outcome) -> Sample:
    """Each contender once, in an order of its own so that nobody always follows the same one."""
    sample: Sample = {}
    for name in random.sample(list(runs), len(runs)):
        expect_an_end()
        if name not in outcome.missing:
            with outcome.excusing(name), no_collector():
                sample[name] = min(runs[name](loops) for _ in range(stretches)) / loops
    return sample


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# Memory: each contender alone in a new process, where nothing has been freed that it could use.


def memory(
    measure: Callable[[Scene], float], contenders: Sequence[Contender], effort: Effort
) -> Outcome:
    outcome = Outcome()
    for _ in range(effort.processes):
        sample: Sample = {}
        for contender in (REFERENCE, *contenders):
            with outcome.excusing(contender.name):
                sample[contender.name] = in_fresh_process(alone, measure, contender)
        outcome.rounds.append(sample)
    return outcome


def alone(measure: Callable[[Scene], float], contender: Contender) -> float:
    expect_an_end()
    allow_open_files(4 * CONNECTIONS)
    with ExitStack() as stack:
        return measure(Scene(contender, 1, stack))


def traced_bytes(scene: Scene) -> float:
    """What Python's allocators gave: exact, and traced from the start, so that a table that
    grows is counted once."""
    tracemalloc.start()
    growth(scene, traced_size, 10)  # what is made once, at first use, is not counted
    return growth(scene, traced_size, CONNECTIONS)


def resident_bytes(scene: Scene) -> float:
    """What the system gave: coarse; the first half fills what the imports have freed."""
    growth(scene, resident_size, CONNECTIONS)
    return growth(scene, resident_size, CONNECTIONS)


def growth(scene: Scene, size: Callable[[], int], count: int) -> float:
    """Bytes per connection, the plain accepted end included: it is the same for all."""
    with closing(plain_listener()) as listener:
        host, port = listener.getsockname()
        gc.collect()
        before = size()
        for _ in range(count):
            # A new tuple of the same two objects, as in most programs: it may be remembered.
            scene.client((host, port))
            scene.keep(listener.accept()[0])
        gc.collect()
        return (size() - before) / count


def traced_size() -> int:
    return tracemalloc.get_traced_memory()[0]


def resident_size() -> int:
    if sys.platform != "linux":
        raise RuntimeError("the resident size is read from /proc")
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


# Import: a new interpreter for every number.


def import_time(contenders: Sequence[Contender], effort: Effort) -> Outcome:
    return in_fresh_process(import_rounds, contenders, effort)


def import_rounds(contenders: Sequence[Contender], effort: Effort) -> Outcome:
    outcome, attempts = Outcome(), range(effort.processes)
    with tempfile.TemporaryDirectory() as cache:
        # Every module from a .pyc file, whatever this machine's habits are: the first round
        # writes them, and is dropped.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(effort.rounds + 1):
            sample: Sample = {}
            for contender in random.sample([REFERENCE, *contenders], len(contenders) + 1):
                if contender.name not in outcome.missing:
                    with outcome.excusing(contender.name):
                        times = (import_once(contender.module, environment) for _ in attempts)
                        sample[contender.name] = min(times)
            outcome.rounds.append(sample)
    del outcome.rounds[0]
    return outcome


def import_once(module: str, environment: dict[str, str]) -> float:
    """Milliseconds for ``import module``, the start of the interpreter left out.

    CPU time: the result is a difference in milliseconds, which a busy machine would stretch.
    """
    code = (
        "from time import process_time_ns as now; start = now()\n"
        f"import {module}\n"
        "print(now() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", code],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        last_line = done.stderr.strip().rpartition("\n")[2]
        raise ImportError(last_line.partition(": ")[2])
    return int(done.stdout) / 1e6


# Processes.


def in_fresh_process(function: Callable[..., T], *args: object) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=settle) as pool:
        return pool.submit(function, *args).result()


def settle() -> None:
    """Keep this process, and those it starts, on one CPU; end it when its parent is killed."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # 0 serves most interrupts
    Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    wait_for_parent()
    os._exit(1)


def wait_for_parent() -> None:
    if parent := parent_process():
        parent.join()


def expect_an_end() -> None:
    """From now on; called again, from then on."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)


def allow_open_files(count: int) -> None:
    needed = count + SPARE_FILES
    if sys.platform != "win32":  # no limit there that could be raised
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < needed:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            except (ValueError, OSError):
                raise RuntimeError(f"{needed} open files needed, {hard} allowed") from None
