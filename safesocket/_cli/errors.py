"""``errors``: the table of errors, read off the classes; nothing of it is typed here.

A row says which class it is, which builtin classes it is as well, the umbrellas to catch it by,
and when it is raised: the first line of its docstring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from safesocket import errors

from .table import WIDTH, side_by_side, wrapped

_HEAD = ("Class", "also a", "umbrella", "when")
_WIDTHS = (24, 24, 28)  # characters; "when" goes below them
_INDENT = "    "
_ROLE = re.compile(r"(?::\w+:`|``)([^`]+)`+")


class _Row(NamedTuple):
    """What the table says of one class."""

    name: str
    also: tuple[str, ...]
    umbrellas: tuple[str, ...]
    when: str


def main(*, markdown: bool = False) -> int:
    """Print the table; with *markdown* as docs/errors.md has it."""
    print("\n".join(_markdown() if markdown else _plain()))
    return 0


# What the classes say.


def rows() -> Iterator[_Row]:
    """Yield what the table says of each class, the umbrellas before what is below them."""
    for cls in _tree(errors.SafeSocketError):
        bases = (base for base in cls.__bases__ if issubclass(base, errors.SafeSocketError))
        umbrellas = tuple(base.__name__ for base in bases)
        yield _Row(cls.__name__, _also(cls), umbrellas, (cls.__doc__ or "").splitlines()[0])


def _tree(cls: type[OSError]) -> Iterator[type[OSError]]:
    """Yield *cls* and what is below it; an error with two umbrellas stands below its first."""
    public = {getattr(errors, name) for name in errors.__all__}
    yield cls
    for child in cls.__subclasses__():
        if child in public and child.__bases__[0] is cls:
            yield from _tree(child)


def _also(cls: type[OSError]) -> tuple[str, ...]:
    """Return the names of the closest classes of *cls* that are not safesocket's."""
    others = [base for base in cls.__mro__ if not issubclass(base, errors.SafeSocketError)]
    implied = {base for other in others for base in other.__mro__[1:]}
    return tuple(other.__name__ for other in others if other not in implied)


# What is printed.


def _plain() -> Iterator[str]:
    yield from _entry(*_HEAD)
    yield "-" * WIDTH
    for row in rows():
        also, umbrellas = ", ".join(row.also), ", ".join(row.umbrellas)
        yield from _entry(row.name, also, umbrellas, _ROLE.sub(r"\1", row.when))
        yield ""


def _entry(name: str, also: str, umbrellas: str, when: str) -> Iterator[str]:
    cells = zip((name, also, umbrellas), _WIDTHS, ("bold", "", ""), strict=True)
    yield from side_by_side([wrapped(*cell) for cell in cells], _WIDTHS)
    for line in wrapped(when, WIDTH - len(_INDENT)):
        yield _INDENT + line.text


def _markdown() -> Iterator[str]:
    yield f"| {' | '.join(_HEAD)} |"
    yield "|---|---|---|---|"
    for row in rows():
        names = ([row.name], row.also, row.umbrellas)
        cells = [", ".join(f"`{name}`" for name in cell) for cell in names]
        when = in_markdown(row.when).replace("|", r"\|")
        yield f"| {' | '.join([*cells, when])} |"


def in_markdown(docstring: str) -> str:
    """Return *docstring* with its names as code."""
    return _ROLE.sub(r"`\1`", docstring)
