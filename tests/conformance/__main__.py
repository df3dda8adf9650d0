"""The command line: run the suites in pairs of processes, have them judged, and report.

What a run does is in ``_child``, what a difference is in ``_compare``; here is what lies
between them: which suites in which modes, the processes, and the words on the screen.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file, too

from tests.conformance import __doc__ as USAGE
from tests.conformance._child import LEFT_BEHIND, MODES
from tests.conformance._compare import (
    FAILED,
    RETRIED_AT_MOST,
    RETRIES,
    Difference,
    Event,
    Outcomes,
    Table,
    Verdict,
    judge,
    tabulate,
)
from tests.conformance._machine import unfit
from tests.conformance.set_apart import SET_APART

HERE = Path(__file__).resolve().parent

#: The suites of each mode, where none is named. Each mode is compared with plain.
SUITES = {
    "drop-in": ("test_socket", "test_timeout"),
    "install": (
        *("test_socket", "test_timeout", "test_ssl", "test_asyncio"),
        *("test_httplib", "test_ftplib", "test_smtplib", "test_poplib", "test_imaplib"),
        *("test_xmlrpc", "test_docxmlrpc", "test_httpservers", "test_wsgiref", "test_robotparser"),
        *("test_urllib", "test_urllib2", "test_urllib2_localnet", "test_socketserver"),
        *("test_selectors", "test_select", "test_poll", "test_epoll", "test_signal"),
        *("test_logging", "multiprocessing_fork", "multiprocessing_forkserver"),
        "multiprocessing_spawn",
    ),
}
EVERY_SUITE = sorted({suite for suites in SUITES.values() for suite in suites})

#: Seconds for one suite; the child's own watchdog, per test, comes long before.
CUT_OFF = 900.0
TRACEBACK_LINES = 8
LOG_LINES = 60
LISTED_AT_MOST = 30


class Run(NamedTuple):
    """What came of one child: its events, and how it ended if not well."""

    mode: str
    events: list[Event]
    log: list[str]
    broken: str = ""

    @property
    def table(self) -> Table:
        return tabulate(self.events)

    @property
    def standing_in(self) -> str:
        """What was run as socket, in the words of the child."""
        return f"{self.mode}: nothing" if self.broken else self.log[0]

    def why(self, test: str) -> list[str]:
        """Give the last lines of a test's last traceback, or what the log says was left."""
        texts = [text for name, _, text in self.events if name == test]
        lines = texts[-1].splitlines() if texts else []
        if test == LEFT_BEHIND:
            lines = [line for line in self.log if line.startswith("Warning -- ")]
        return lines[-TRACEBACK_LINES:]


def run(mode: str, suite: str, resources: str = "", *tests: str) -> Run:
    """Run a suite, or some *tests* of it, in one mode."""
    with tempfile.TemporaryDirectory() as folder:
        events, log, cwd = (Path(folder, name) for name in ("events", "log", "cwd"))
        events.touch()
        cwd.mkdir()
        arguments = [mode, suite, resources, json.dumps(unfit(suite)), str(events), *tests]
        child = [sys.executable, str(HERE / "_child.py"), *arguments]
        broken = call(child, environment(), log, CUT_OFF, cwd)
        return Run(mode, read_events(events), read_lines(log), broken)


def call(
    command: list[str], environ: dict[str, str], log: Path, cut_off: float, cwd: Path | None = None
) -> str:
    """Run a child, for *cut_off* seconds at most; say how it ended, "" if well.

    Its output goes to a file: a pipe would be held open by children that it leaves behind.
    """
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=cut_off,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return f"cut off after {cut_off:.0f} s"
    return f"exit status {done.returncode}" if done.returncode else ""


def environment() -> dict[str, str]:
    """Give the child ours, less what configures safesocket; PYTHONPATH goes before the checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFESOCKET_")}
    path = [kept.get("PYTHONPATH", ""), str(HERE.parents[1])]
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def read_events(path: Path) -> list[Event]:
    lines = map(json.loads, read_lines(path))
    return [(test, mark, text) for test, mark, text in lines]


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


class Comparison(NamedTuple):
    """One suite, compared."""

    suite: str
    plain: Run
    other: Run
    verdict: Verdict

    @property
    def tests(self) -> set[str]:
        return self.plain.table.keys() | self.other.table.keys()

    @property
    def broken(self) -> list[Run]:
        return [one for one in (self.plain, self.other) if one.broken]

    @property
    def failed(self) -> int:
        return self.verdict.failed + len(self.broken)


def compare(suite: str, mode: str, resources: str = "") -> Comparison:
    """Run a suite plain and in *mode*, both at once: most of its time it only waits."""

    def again(test: str) -> tuple[Outcomes, Outcomes]:
        """One after the other, so that they cannot meet on a fixed port."""
        plain, other = (run(each, suite, resources, test) for each in ("plain", mode))
        return plain.table.get(test, ()), other.table.get(test, ())

    with ThreadPoolExecutor() as pool:
        plain, other = pool.map(run, ("plain", mode), repeat(suite), repeat(resources))
    apart = [test for test in SET_APART if test.startswith(f"test.{suite}.")]
    return Comparison(suite, plain, other, judge(plain.table, other.table, again, apart))


def report(found: Comparison) -> Iterator[str]:
    """Say what a comparison found, the summary first."""
    verdict = found.verdict
    yield summary(found)
    for one in found.broken:
        yield from last_words(one)
    yield from retries(verdict)
    for word in ("different", "better", "flaky", "apart"):
        yield from listing(word, getattr(verdict, word), found)
    if len(verdict.ending("skip")) == len(found.tests):
        yield "  nothing of it ran: every test is skipped in both runs"
    yield from (f"  set apart, but does not differ: {test}" for test in verdict.stale)
    yield from (f"  fails in both runs: {test}" for test in verdict.ending(*FAILED))


def summary(found: Comparison) -> str:
    """Count: ``test_socket: 717 tests, 717 equal, 0 different``, and what else there is."""
    verdict = found.verdict
    counts = {
        "tests": len(found.tests),
        "equal": len(verdict.equal),
        "different": len(verdict.different),
    }
    others = {
        "better": len(verdict.better),
        "flaky": len(verdict.flaky),
        "set apart": len(verdict.apart),
        "skipped in both": len(verdict.ending("skip")),
    }
    told = [*counts.items(), *((name, number) for name, number in others.items() if number)]
    return f"{found.suite}: " + ", ".join(f"{number} {name}" for name, number in told)


def last_words(one: Run) -> Iterator[str]:
    """Say how a run ended badly; after a hang the log ends with where every thread was."""
    yield f"  the {one.mode} run did not come to its end ({one.broken}); its last words:"
    yield from (f"    | {line}" for line in one.log[-LOG_LINES:])


def retries(verdict: Verdict) -> Iterator[str]:
    if verdict.differed > RETRIED_AT_MOST:
        yield f"  {verdict.differed} differed: too many to run again"
    elif verdict.differed:
        yield f"  {verdict.differed} differed: each was run again alone, up to {RETRIES} times"


def listing(word: str, ones: list[Difference], found: Comparison) -> Iterator[str]:
    """List differences; not, one by one, the tests that a run did not come to."""
    reached = [one for one in ones if (one.plain and one.other) or not found.broken]
    listed = reached[:LISTED_AT_MOST]
    for one in listed:
        yield from detail(word, one, found.other)
    if len(listed) < len(ones):
        yield f"  {word}: and {len(ones) - len(listed)} more"


def detail(word: str, one: Difference, other: Run) -> Iterator[str]:
    yield f"  {word}: {one.test}"
    yield f"    plain: {words(one.plain)}; {other.mode}: {words(one.other)}"
    yield from (f"    | {line}" for line in other.why(one.test))


def words(outcomes: Outcomes) -> str:
    return ", ".join(outcomes) or "not there"


def heading(mode: str, resources: str) -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}: {mode} against plain" + (f", with {resources}" if resources else "")


def compare_all(asked: argparse.Namespace) -> tuple[int, int]:
    """Compare and report what was asked for; return how many tests passed and failed."""
    passed = failed = 0
    for mode in [asked.mode] if asked.mode else list(SUITES):
        print(heading(mode, asked.use), flush=True)
        for suite in asked.suites or SUITES.get(mode, EVERY_SUITE):
            found = compare(suite, mode, asked.use)
            print(*report(found), sep="\n", flush=True)
            passed += found.verdict.passed
            failed += found.failed
        print(found.other.standing_in)
    return passed, failed


def main() -> int:
    options = argparse.ArgumentParser("python -m tests.conformance", description=USAGE)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("suites", nargs="*", metavar="SUITE", help="such as test_socket")
    options.add_argument("--mode", choices=MODES, help="compare this one with plain")
    options.add_argument("-u", "--use", default="", help="resources, as for python -m test")
    passed, failed = compare_all(options.parse_args())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
