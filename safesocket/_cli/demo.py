"""``demo``: run each case with the stdlib and with safesocket, and show both side by side.

What there is to run, and what is promised of it, is in ``cases``. Here each program gets a process,
all of them at the same time, and what came of it gets its place on the screen.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import safesocket

from .cases import ADDRESS, CASES, PATIENCE, POST, SAFESOCKET, SNIPPETS, STDLIB, Case, Outcome
from .table import GAP, WIDTH, Line, side_by_side, styled, wrapped

_CHILD = Path(__file__).with_name("child.py")
_PATH = str(Path(safesocket.__file__).parents[1])  # where this very safesocket is found
_GUARD = 14.0  # seconds; each child has a watchdog of its own, so that this one never bites
_WIDTHS = (26, WIDTH - 26 - len(GAP))  # characters; the stdlib has little to say

#: The limits of the demo in seconds, unless the user has set others.
_LIMITS = {"SAFESOCKET_CONNECT": "1", "SAFESOCKET_READ": "1", "SAFESOCKET_WRITE": "1"}

#: So that a name server out of reach costs 1 s and not 10; resolv.conf(5), glibc only.
_LOOK_UPS = {"RES_OPTIONS": "timeout:1 attempts:1"}


class _Trial(NamedTuple):
    """A case under way: where its peer is, and the program's two runs."""

    case: Case
    place: str
    runs: tuple[subprocess.Popen[str], ...]
    problem: str = ""


class _Result(NamedTuple):
    """What came of a case; ``broken`` tells the promises that were not kept."""

    place: str
    stdlib: Outcome
    ours: Outcome
    broken: tuple[str, ...]


def main(*, programs: bool = False) -> int:
    """Show every case, with *programs* their texts too; return 0 if all is as promised, else 1."""
    _print(_introduction())
    results = []
    with ExitStack() as stack:
        with _uninterrupted():
            trials = [_begin(case, stack) for case in CASES]
        end = time.monotonic() + _GUARD
        for number, trial in enumerate(trials, 1):
            results.append(_end(trial, end))
            _print(_block(number, trial.case, results[-1], programs=programs))
    _print(_conclusion(results))
    return 1 if any(result.broken for result in results) else 0


def _print(lines: Iterable[str]) -> None:
    print("\n".join(lines), flush=True)


# What happens: the processes.


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off: it would lose sight of a process that is just being started."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(case: Case, stack: ExitStack) -> _Trial:
    """Start the peer and both runs; *stack* ends whatever is left of them."""
    try:
        host, port = stack.enter_context(case.peer())
    except OSError as exc:
        return _Trial(case, "", (), f"this system has no such peer: {exc}")
    program = case.program.replace(ADDRESS, repr((host, port)))
    stdlib = _started("socket", program, case, stack)
    ours = _started("safesocket", program.replace(STDLIB, SAFESOCKET), case, stack)
    return _Trial(case, f"{host}:{port}", (stdlib, ours))


def _started(module: str, program: str, case: Case, stack: ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603 (this package's own programs)
        [sys.executable, "-P", str(_CHILD), module, str(case.patience), program],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.wait)  # Popen's own exit does not, after Ctrl-C
    stack.callback(process.kill)
    return process


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (_PATH, os.environ.get("PYTHONPATH"))))
    return {**_LIMITS, **_LOOK_UPS, **os.environ, "PYTHONPATH": path}


def _end(trial: _Trial, end: float) -> _Result:
    if trial.problem:
        return _Result("", Outcome(), Outcome(), (trial.problem,))
    stdlib, ours = (_outcome(run, end) for run in trial.runs)
    broken = tuple(trial.case.broken(trial.place, stdlib, ours))
    return _Result(trial.place, stdlib, ours, broken)


def _outcome(run: subprocess.Popen[str], end: float) -> Outcome:
    try:
        report, complaints = run.communicate(timeout=max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Outcome(text="no report in time")
    if not report:
        return Outcome(text=complaints.strip().rpartition("\n")[2])
    return Outcome(**json.loads(report.partition("\n")[0]))


# What is shown.


def _introduction() -> Iterator[str]:
    yield from _paragraph(
        f"{len(CASES)} programs, each run twice against a real peer on this machine that "
        f"misbehaves; only the import differs. The first {len(SNIPPETS)} are those of the post "
        f'"{POST}", with the peer\'s address in place of {ADDRESS}. What does not end by itself '
        f"is cut off after {PATIENCE:g} s. This takes some seconds."
    )
    yield ""
    yield from _paragraph(f"safesocket's limits are short for this demo: {_limits()}.")
    yield ""
    yield from side_by_side([[Line(STDLIB, "bold")], [Line(SAFESOCKET, "bold")]], _WIDTHS)
    yield "-" * WIDTH


def _limits() -> str:
    usual = {f"SAFESOCKET_{k.upper()}": v for k, v in safesocket.Timeouts().to_dict().items()}
    here = {**_LIMITS, **os.environ}
    return ", ".join(f"{name}={here[name]} (default {usual[name]:g})" for name in _LIMITS)


def _block(number: int, case: Case, result: _Result, *, programs: bool) -> Iterator[str]:
    yield styled(Line(f"{number}. {case.title}", "bold"))
    if programs:
        yield indent(case.program.strip("\n") + "\n", "    ")
    stdlib = _side(result.stdlib, _WIDTHS[0], "bold")
    ours = _side(result.ours, _WIDTHS[1], "green")
    yield from side_by_side([stdlib, ours], _WIDTHS)
    for promise in result.broken:
        yield from _paragraph(f"Broken promise: {promise}", "red")
    yield ""


def _paragraph(text: str, style: str = "") -> list[str]:
    return [styled(line) for line in wrapped(text, WIDTH, style)]


def _side(outcome: Outcome, width: int, style: str) -> list[Line]:
    """Return what a user would see of *outcome*, and what the error knows besides."""
    time_taken = "" if outcome.elapsed is None else f"{outcome.elapsed:.1f} s"
    if outcome.waiting:  # two lines: one would break after the number
        return [Line(f"{outcome.end} after {time_taken}", "red"), Line("cut off", "red")]
    lines = wrapped(f"{time_taken}  {outcome.end}".lstrip(), width, style)
    for text in _said(outcome):
        lines += wrapped(text, width)
    return lines


def _said(outcome: Outcome) -> Iterator[str]:
    yield outcome.printed
    if not outcome.printed:
        yield outcome.text
    elif outcome.text not in outcome.printed:
        yield f"The error's text: {outcome.text}"
    if outcome.hint:
        yield f"Hint: {outcome.hint}"


def _conclusion(results: Sequence[_Result]) -> Iterator[str]:
    stdlib = _tally([(result.stdlib, result.place) for result in results])
    ours = _tally([(result.ours, result.place) for result in results])
    kept = sum(not result.broken for result in results)
    yield "-" * WIDTH
    yield from side_by_side([stdlib, ours], _WIDTHS)
    yield ""
    yield f"{kept} of {len(results)} cases came out as promised."


def _tally(side: Sequence[tuple[Outcome, str]]) -> list[Line]:
    hung = sum(outcome.waiting for outcome, _ in side)
    named = sum(bool(place) and place in outcome.text for outcome, place in side)
    return [
        Line(f"{hung} of {len(side)} hung", "red" if hung else "green"),
        Line(f"{named} of {len(side)} named host:port", "green" if named else "red"),
    ]
