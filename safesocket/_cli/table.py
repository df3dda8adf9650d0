"""Text for a terminal of 80 columns: wrapped, side by side, coloured where that is wanted.

Only words on a screen: what they say is the commands'.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

WIDTH = 80  # characters; a terminal as it is opened

GAP = "  "

_CODES = {"bold": "1", "red": "31", "green": "32"}  # ECMA-48, SGR


class Line(NamedTuple):
    """A line that fits its column, and the style to show it in."""

    text: str
    style: str = ""


def wrapped(text: str, width: int = WIDTH, style: str = "") -> list[Line]:
    """Return *text* as lines of at most *width*."""
    return [Line(line, style) for line in textwrap.wrap(text, width, break_on_hyphens=False)]


def side_by_side(columns: Sequence[Sequence[Line]], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of *columns*, each padded to its width, as lines of one text."""
    for lines in zip_longest(*columns, fillvalue=Line("")):
        cells = (styled(line, width) for line, width in zip(lines, widths, strict=True))
        yield GAP.join(cells).rstrip()


def styled(line: Line, width: int = 0) -> str:
    """Return *line* as it is printed, padded to *width*."""
    text = line.text.ljust(width)
    if not (line.text and line.style and _coloured()):
        return text
    return f"\x1b[{_CODES[line.style]}m{text}\x1b[0m"


def _coloured() -> bool:
    """Whether codes would be shown as colours; see no-color.org."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or sys.platform == "win32":
        return False
    return sys.stdout is not None and sys.stdout.isatty()
