"""Print, as Markdown, how safesocket compares with the stdlib and with its peers.

    python benchmarks/compare.py [--quick] [--rounds N] [--case NAME]... [--json FILE]

Only the command line, the tables and the targets live here: numbers come in as rounds from
``measure`` and leave as ratios within a round, never as seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cases import CASES, View
from contenders import CONTENDERS, REFERENCE, SAFE, TIMED, Contender
from measure import Effort, Outcome

FULL = Effort(rounds=10, processes=3, stretches=10, stretch_ns=2_000_000)
QUICK = Effort(rounds=2, processes=1, stretches=2, stretch_ns=1_000_000, apart=False)


@dataclass(frozen=True)
class Target:
    """What safesocket's median may be at most."""

    case: str
    view: int  # which row of the case
    against: Contender
    limit: float


TARGETS = (
    Target("ready", 0, REFERENCE, 1.10),
    Target("ready", 0, TIMED, 0.70),
    Target("ready-tcp", 0, REFERENCE, 1.10),
    Target("round-trip", 0, TIMED, 1.04),
    Target("connect", 0, REFERENCE, 1.15),
    Target("refused", 0, REFERENCE, 2.00),
    Target("refused-str", 0, REFERENCE, 2.00),
    Target("memory", 0, REFERENCE, 300),
    Target("import", 1, REFERENCE, 15),
)


@dataclass(frozen=True)
class Spread:
    """What was compared round by round: quartiles and how many rounds."""

    low: float
    median: float
    high: float
    rounds: int

    def show(self, view: View) -> str:
        low, median, high = (view.text.format(x) for x in (self.low, self.median, self.high))
        return f"{median} ({low} … {high}){view.unit}"


def spread(outcome: Outcome, view: View, name: str, against: str) -> Spread | None:
    values = sorted(
        view.compare(sample[name], sample[against])
        for sample in outcome.rounds
        if name in sample and against in sample
    )
    if not values or name in outcome.missing:
        return None
    low, median, high = (at_share(values, share) for share in (0.25, 0.5, 0.75))
    return Spread(low, median, high, len(values))


def at_share(values: Sequence[float], share: float) -> float:
    """The value this far up the sorted list, interpolated."""
    place = share * (len(values) - 1)
    below, above = values[math.floor(place)], values[math.ceil(place)]
    return below + (above - below) * (place % 1)


class Footnotes:
    """Each reason once, numbered by first use."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return f"- [{self.texts.index(text) + 1}]"

    def lines(self) -> Iterator[str]:
        for number, text in enumerate(self.texts, start=1):
            yield f"[{number}] {text}  "


def report(outcomes: dict[str, Outcome], effort: Effort) -> Iterator[str]:
    notes = Footnotes()
    yield f"{setting(effort)}. Median of the rounds (quartiles); times relative to the stdlib's."
    yield ""
    yield from results(outcomes, notes)
    yield ""
    if judged := [target for target in TARGETS if target.case in outcomes]:
        yield from verdicts(judged, outcomes, notes)
        yield ""
    yield from notes.lines()


def setting(effort: Effort) -> str:
    pinned = "pinned to one CPU" if sys.platform == "linux" else "not pinned"
    return (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, "
        f"{effort.rounds} rounds in each of {effort.processes} process(es), {pinned}; "
        f"{', '.join(versions())}"
    )


def versions() -> Iterator[str]:
    # Here, since every measuring process imports this file and can do without these 50 ms.
    from importlib.metadata import packages_distributions, version

    installed = packages_distributions()
    for module in dict.fromkeys(contender.module.partition(".")[0] for contender in CONTENDERS):
        for distribution in installed.get(module, [])[:1]:
            yield f"{distribution} {version(distribution)}"


def results(outcomes: dict[str, Outcome], notes: Footnotes) -> Iterator[str]:
    yield from heading("case", *(contender.name for contender in CONTENDERS))
    for name, outcome in outcomes.items():
        for view in CASES[name].views:
            cells = (cell(outcome, view, contender, notes) for contender in CONTENDERS)
            yield row(view.title, *cells)


def verdicts(
    judged: Sequence[Target], outcomes: dict[str, Outcome], notes: Footnotes
) -> Iterator[str]:
    yield from heading("safesocket's targets", "against", "target", "measured", "")
    for target in judged:
        outcome, view = outcomes[target.case], CASES[target.case].views[target.view]
        yield row(
            view.title,
            target.against.name,
            f"≤ {view.text.format(target.limit)}{view.unit}",
            cell(outcome, view, SAFE, notes, target.against),
            verdict(target, outcomes),
        )


def verdict(target: Target, outcomes: dict[str, Outcome]) -> str:
    view = CASES[target.case].views[target.view]
    found = spread(outcomes[target.case], view, SAFE.name, target.against.name)
    if found is None:
        return "-"
    return "ok" if found.median <= target.limit else "MISS"


def cell(
    outcome: Outcome,
    view: View,
    contender: Contender,
    notes: Footnotes,
    against: Contender = REFERENCE,
) -> str:
    found = spread(outcome, view, contender.name, against.name)
    if found is None:
        return notes.mark(outcome.missing.get(contender.name, "no round was completed"))
    return found.show(view)


def heading(*cells: str) -> Iterator[str]:
    yield row(*cells)
    yield f"|---{'|--:' * (len(cells) - 1)}|"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(outcomes: dict[str, Outcome], effort: Effort) -> dict[str, Any]:
    return {
        "setting": setting(effort),
        "rows": [
            {"case": name, "row": view.title, "unit": view.unit, "results": spreads(outcome, view)}
            for name, outcome in outcomes.items()
            for view in CASES[name].views
        ],
        "missing": {name: outcome.missing for name, outcome in outcomes.items()},
        "targets": [
            {
                "case": target.case,
                "against": target.against.name,
                "limit": target.limit,
                "verdict": verdict(target, outcomes),
            }
            for target in TARGETS
            if target.case in outcomes
        ],
    }


def spreads(outcome: Outcome, view: View) -> dict[str, Any]:
    found = {
        contender.name: spread(outcome, view, contender.name, REFERENCE.name)
        for contender in CONTENDERS
    }
    return {name: asdict(value) for name, value in found.items() if value}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    parser.add_argument("--rounds", type=positive, metavar="N", help="rounds in each process")
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME", dest="cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here as well")
    parser.epilog = f"cases: {', '.join(CASES)}"
    return parser.parse_args()


def chosen(quick: bool) -> list[str]:
    return [name for name, case in CASES.items() if not (quick and case.twin)]


def positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value


def main() -> None:
    options = arguments()
    effort = QUICK if options.quick else FULL
    effort = replace(effort, rounds=options.rounds or effort.rounds)
    outcomes = {}
    for name in options.cases or chosen(options.quick):
        print(f"{name} …", file=sys.stderr)
        outcomes[name] = CASES[name].method(CONTENDERS, effort)
    print("\n".join(report(outcomes, effort)))
    if options.json:
        options.json.write_text(json.dumps(as_json(outcomes, effort), indent=2) + "\n")


if __name__ == "__main__":
    main()
