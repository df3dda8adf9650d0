"""The command line: run each project's suite in its two modes, have them judged, and report.

What a difference is, and how it is told, is ``tests.conformance``'s.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conformance.__main__ import Comparison, Run, call, read_events, read_lines, report
from tests.conformance._compare import OK, Outcomes, judge
from tests.ecosystem import __doc__ as USAGE
from tests.ecosystem._venvs import Place, interpreter_of
from tests.ecosystem.projects import PROJECTS

HERE = Path(__file__).resolve().parent
#: Seconds for one suite.
CUT_OFF = 1800.0

COLUMNS = ("project", "version", "tests", "passed plain", "passed installed", "different")


def run(place: Place, mode: str, *tests: str) -> Run:
    """Run a project's suite, or some *tests* of it, in one mode."""
    log = place.log_of(f"{mode} again" if tests else mode)
    with place.laid_out() as (folder, source):
        events = folder / "events"
        events.touch()
        arguments = [place.project.name, str(place.python), str(source), str(folder), *tests]
        inside = [sys.executable, "-m", "tests.ecosystem._inside", *arguments]
        command, environ = [*private_network(), *inside], environment(place, mode, folder)
        broken = call(command, environ, log, CUT_OFF)
        return Run(mode, read_events(events), read_lines(log), broken)


def private_network() -> list[str]:
    mapped = [] if os.getuid() == 0 else ["--map-root-user"]
    return ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", *mapped, "--"]


def environment(place: Place, mode: str, folder: Path) -> dict[str, str]:
    """Give a run ours, less what configures safesocket; its venv comes first on the path."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFESOCKET_")}
    return kept | {
        "ECOSYSTEM_MODE": mode,
        "ECOSYSTEM_EVENTS": str(folder / "events"),
        "ECOSYSTEM_PATH": str(folder / "path"),
        "PATH": os.pathsep.join((str(place.python.parent), kept["PATH"])),
        "PYTHONPATH": str(HERE.parents[1]),
        **dict(place.project.environ),
    }


def compare(place: Place, modes: Sequence[str]) -> Comparison:
    """Run a project's suite in two modes, one after the other: its servers' load is its own."""

    def again(test: str) -> tuple[Outcomes, Outcomes]:
        plain, other = (run(place, mode, test).table.get(test, ()) for mode in modes)
        return plain, other

    plain, other = (run(place, mode) for mode in modes)
    apart = [test for test, _ in place.project.set_apart if "install" in modes]
    return Comparison(
        place.project.name, plain, other, judge(plain.table, other.table, again, apart)
    )


def row(found: Comparison) -> tuple[str, ...]:
    """Return what the table says of one project."""
    passed = [sum(set(ends) == {OK} for ends in one.table.values()) for one in found[1:3]]
    different = ", ".join(f"`{one.test}`" for one in found.verdict.different) or "none"
    version = PROJECTS[found.suite].version
    return (found.suite, version, str(len(found.tests)), *map(str, passed), different)


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Write rows as Markdown."""
    for line in (COLUMNS, ("---",) * len(COLUMNS), *rows):
        yield f"| {' | '.join(line)} |"


def main() -> int:
    options = argparse.ArgumentParser("python -m tests.ecosystem", description=USAGE)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("projects", nargs="*", choices=[*PROJECTS, []], metavar="PROJECT")
    options.add_argument("--python", default="", metavar="3.12", help="by default this one")
    options.add_argument("--against", default="install", choices=("install", "plain"))
    options.add_argument("--folder", type=Path, help="where venvs and sources are kept")
    asked = options.parse_args()
    interpreter = interpreter_of(asked.python)
    kept = asked.folder or Path(tempfile.gettempdir(), f"safesocket-ecosystem-{asked.python}")
    rows, failed = [], 0
    for name in asked.projects or PROJECTS:
        place = Place(PROJECTS[name], kept)
        place.prepare(interpreter)
        found = compare(place, ("plain", asked.against))
        print(*report(found), sep="\n", flush=True)
        rows.append(row(found))
        failed += found.failed
    print(*table(rows), f"the runs' logs: {kept}/*/*.log", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
