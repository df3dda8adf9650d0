"""A profile as a table of at most 100 columns, for people who look for what is slow."""

from __future__ import annotations

import textwrap
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from .._wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .session import Session
    from .tally import Row, Saved

WIDTH = 100  # characters
_GAP = "  "
_WIDEST = {"what": 36}  # characters of a column
_MOST_LINES = 60  # of either table: all are in the file

_HEADINGS = ("peer", "phase", "waits", "waited s", "longest", "timeouts", "errors")
#: columns of numbers
_RIGHT = {2, 3, 4, 5}

ADVICE = (
    "Each line below waited with no timeout of its own, and would wait for as long as the other"
    " side likes; a default limit ended it. Give it one that fits: create_connection(…, timeout=5),"
    " sock.settimeout(5), or whatever the library calls it, such as timeout=5 of requests."
)


def table(session: Session) -> str:
    """Return what *session* has found, in words and columns."""
    tally = session.tally()
    rows, saved = tally.rows(), tally.saved()
    parts = [headline(rows, session)]
    if rows:
        parts.append("\n".join(_columns(_HEADINGS, list(_lines(rows)), _RIGHT, 0)))
    if saved:
        heading = f"To fix: {count(len(saved), 'line')} saved by a default"
        lines = [_line_of(one) for one in saved]
        below = "\n".join(_columns(("times", "where", "what", "ended by"), lines, {0}, 1))
        parts.append(f"{heading}\n{textwrap.fill(ADVICE, WIDTH)}\n\n{below}")
    return "\n\n".join(parts)


def headline(rows: Sequence[Row], session: Session) -> str:
    """Return all of it in a sentence."""
    peers = len({row.peer for row in rows})
    looked_up = sum(row.waited for row in rows if row.phase == "resolve")
    words = f"{seconds(sum(row.waited for row in rows))} s waited for {count(peers, 'peer')}"
    if looked_up:
        words += f", {seconds(looked_up)} s of it for look-ups"
    return f"{words}, in {seconds(session.seconds())} s"


def count(number: int, noun: str) -> str:
    """Return *number* of what *noun* is the singular of."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds(value: float) -> str:
    """Return *value* in seconds, to the millisecond."""
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def _lines(rows: Sequence[Row]) -> Iterator[list[str]]:
    for peer, of_peer in groupby(rows, lambda row: row.peer):
        name = clean(peer)
        for row in of_peer:
            errors = [f"{number} {kind}" for kind, number in row.errors.items()]
            numbers = [f"{row.waits:,}", seconds(row.waited), seconds(row.longest)]
            if not row.waits:
                numbers = ["", "", ""]
            timeouts = f"{row.timeouts:,}" if row.timeouts else ""
            yield [name, row.phase, *numbers, timeouts, *errors[:1]]
            yield from ([*[""] * 6, error] for error in errors[1:])
            name = ""


def _line_of(saved: Saved) -> list[str]:
    where = f"{clean(_within(WIDTH, saved.filename))}:{saved.lineno}"
    limit = f"{saved.limit} {saved.seconds:g} s ({saved.source})"
    return [f"{saved.times:,}", where, f"{saved.operation} {clean(saved.peer)}", limit]


def _columns(
    headings: Sequence[str], lines: Sequence[Sequence[str]], right: set[int], wide: int
) -> Iterator[str]:
    """Yield *lines* under *headings*; the column *wide* has what the others leave of the width."""
    shown = [list(map(_cut, headings, line)) for line in lines[:_MOST_LINES]]
    widths = [max(map(len, column)) for column in zip_longest(headings, *shown, fillvalue="")]
    most = WIDTH - sum(widths) + widths[wide] - len(_GAP) * (len(widths) - 1)
    widths[wide] = min(widths[wide], most)
    for line in (headings, *shown):
        cells = [
            cell.rjust(width) if place in right else _within(width, cell).ljust(width)
            for place, (width, cell) in enumerate(zip(widths, line, strict=False))
        ]
        yield _GAP.join(cells).rstrip()
    if len(lines) > _MOST_LINES:
        yield f"and {len(lines) - _MOST_LINES:,} more"


def _cut(heading: str, cell: str) -> str:
    return _within(_WIDEST.get(heading, WIDTH), cell)


def _within(most: int, cell: str) -> str:
    """Return *cell* in *most* characters: of a host and of a path both ends tell."""
    if len(cell) <= most:
        return cell
    head = (most - 1) // 3
    return f"{cell[:head]}…{cell[head + 1 - most :]}"
