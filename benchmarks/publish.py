"""Write the chart and the tables of docs/performance.md from what ``compare`` measured.

    python benchmarks/compare.py --json results.json
    python benchmarks/publish.py results.json

Nothing is measured here. The page is written by hand but for what stands between its two marks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
CHART = "![Bars: time relative to the stdlib without a timeout](performance.svg)"

#: what is drawn, and in which colour: four that people tell apart, colour-blind ones too
DRAWN = {
    "stdlib, settimeout(30)": "#0072b2",
    "floor": "#999999",
    "safesocket": "#009e73",
    "PySocks": "#cc79a7",
    "gevent": "#e69f00",
}
CASES = ("ready", "ready-tcp", "recv-into", "round-trip", "bulk", "connect", "refused")


def chart(rows: list[dict[str, Any]]) -> Figure:
    """Bars: time relative to the stdlib without a timeout, a group for each case."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(DRAWN)
    for place, (name, colour) in enumerate(DRAWN.items()):
        for number, row in enumerate(rows):
            if found := row["results"].get(name):
                y = number + (place - len(DRAWN) / 2 + 0.5) * height
                errors = [[found["median"] - found["low"]], [found["high"] - found["median"]]]
                axes.barh(y, found["median"], height, color=colour, xerr=errors)
                axes.text(found["high"] + 0.03, y, f"{found['median']:.2f}", va="center", size=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["row"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time, relative to the stdlib without a timeout (median, quartiles)")
    axes.margins(x=0.06)
    axes.legend([Patch(color=colour) for colour in DRAWN.values()], DRAWN, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables."""
    names = list(dict.fromkeys(name for row in found["rows"] for name in row["results"]))
    yield found["setting"] + "."
    yield ""
    yield f"| case | {' | '.join(names)} |"
    yield f"|---{'|--:' * len(names)}|"
    for row in found["rows"]:
        cells = (shown(row["results"].get(name), row["unit"]) for name in names)
        yield f"| {row['row']} | {' | '.join(cells)} |"


def shown(spread: dict[str, Any] | None, unit: str) -> str:
    if spread is None:
        return "-"
    text = "{:.2f}" if not unit else "{:+.0f}" if "ms" not in unit else "{:+.1f}"
    low, median, high = (text.format(spread[name]) for name in ("low", "median", "high"))
    return f"{median} ({low} … {high}){unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="what compare.py --json wrote")
    found = json.loads(parser.parse_args().results.read_text())
    mpl.rcParams.update({"svg.hashsalt": "safesocket", "svg.fonttype": "none"})
    rows = {row["case"]: row for row in reversed(found["rows"])}
    drawn = [rows[case] for case in CASES if case in rows]
    chart(drawn).savefig(DOCS / "performance.svg", metadata={"Date": None})
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    lines = "\n".join(tables(found))
    page.write_text(f"{before}{BEGIN}\n{CHART}\n\n{lines}\n\n{END}{after}")


if __name__ == "__main__":
    main()
