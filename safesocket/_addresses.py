"""Which addresses create_connection tries, and in which order: RFC 8305, section 4.

What the process wishes lives here, and functions of what a look-up has found. No socket is
touched, no name looked up.
"""

from __future__ import annotations

import _socket
import os
from itertools import zip_longest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal, TypeAlias, TypeVar

    T = TypeVar("T")
    Family: TypeAlias = Literal["prefer-ipv4", "prefer-ipv6", "ipv4", "ipv6"]

#: what configure(family=) may say -> the family it is about, and whether the others are left out
_FAMILIES: dict[str | None, tuple[int, bool]] = {
    None: (0, False),
    "prefer-ipv4": (_socket.AF_INET, False),
    "prefer-ipv6": (_socket.AF_INET6, False),
    "ipv4": (_socket.AF_INET, True),
    "ipv6": (_socket.AF_INET6, True),
}
NAMES = {int(_socket.AF_INET): "IPv4", int(_socket.AF_INET6): "IPv6"}
_SWITCH = {"0": False, "1": True}

_family: str | None = None
_happy = True


def checked_family(value: Any) -> Any:
    """Return *value* if it is a wish of ``configure(family=)``."""
    names = [name for name in _FAMILIES if name]
    if value is not None and value not in names:
        raise ValueError(f"family must be {_listed(names)} or None, not {value!r}")
    return value


def checked_switch(value: Any) -> bool:
    """Return *value* if it is a wish of ``configure(happy_eyeballs=)``."""
    if not isinstance(value, bool):
        raise TypeError(f"happy_eyeballs must be True or False, not {value!r}")
    return value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def set_family(family: str | None) -> None:
    """Put the wish of ``configure(family=)`` in force."""
    global _family
    _family = family


def set_racing(racing: bool) -> None:
    """Put the wish of ``configure(happy_eyeballs=)`` in force."""
    global _happy
    _happy = racing


def wishes() -> tuple[str | None, bool]:
    """Return the family wished for, and whether addresses are raced against each other."""
    return _family, _happy


def _from_environment(variable: str, meanings: Mapping[Any, T], usual: T) -> T:
    text = os.environ.get(variable)
    if text is None:
        return usual
    known = [name for name in meanings if name]
    if text.strip().lower() not in known:
        raise ValueError(
            f"environment variable {variable} must be one of {_listed(known)}, not {text!r}"
        )
    return meanings[text.strip().lower()]


set_family(_from_environment("SAFESOCKET_FAMILY", {name: name for name in _FAMILIES}, None))
set_racing(_from_environment("SAFESOCKET_HAPPY_EYEBALLS", _SWITCH, True))


def only() -> int:
    """Return the one family that the process wants, 0 for any."""
    family, alone = _FAMILIES[_family]
    return family if alone else 0


def of_family(family: int, found: list[Any]) -> list[Any]:
    """Return the entries of *found* that are of *family*: some look-ups find others, too."""
    return [entry for entry in found if entry[0] == family]


def in_order(found: list[Any], *, racing: bool) -> list[Any]:
    """Return the entries of *found*, a look-up's, in the order in which to try them, each once.

    The preferred family comes first. In a race the families take turns.
    """
    if len(found) < 2:
        return found
    family, _ = _FAMILIES[_family]
    entries = _unique(found)
    if family:
        entries.sort(key=lambda entry: entry[0] != family)  # stable
    return _interleaved(entries) if racing else entries


def _interleaved(entries: list[Any]) -> list[Any]:
    first = of_family(entries[0][0], entries)
    others = [entry for entry in entries if entry[0] != entries[0][0]]
    return [entry for turn in zip_longest(first, others) for entry in turn if entry]


def _unique(entries: list[Any]) -> list[Any]:
    try:
        return list(dict.fromkeys(entries))
    except TypeError:  # a look-up of the program's own, with lists for tuples
        return list(entries)
