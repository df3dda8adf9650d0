"""Install safesocket as the environment says, and give the environment back.

``_cli.run`` writes what is read here. No option is known by another name than its variable's, so
that both are the same thing; the limits among them are read by safesocket itself.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, MutableMapping

import safesocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Before a variable's name: what it was before ``run`` set it, "=value", or "" if it was not set.
BEFORE = "SAFESOCKET_BEFORE_"

#: What these may be, the default first; empty is as good as not set.
CHOICES = {
    "SAFESOCKET_NONE": ("limit", "forever"),
    "SAFESOCKET_MESSAGE": ("append", "note", "off"),
    "SAFESOCKET_REPORT": ("0", "1"),
}


def main() -> None:
    """Install safesocket in this process.

    Raises:
        ValueError: a variable has a value that it may not have.
        InstallError: something else has replaced what would be patched.
    """
    none, message, report = chosen(os.environ)
    give_back(os.environ)
    safesocket.configure(message=message)
    installation = safesocket.install(none=none)
    if report == "1":
        atexit.register(_print_report, installation, os.getpid())


def chosen(environment: Mapping[str, str]) -> list[Any]:
    """Return what is chosen of each of CHOICES."""
    return [_checked(name, environment.get(name) or CHOICES[name][0]) for name in CHOICES]


def _checked(name: str, value: str) -> str:
    if value not in CHOICES[name]:
        allowed = " or ".join(map(repr, CHOICES[name]))
        raise ValueError(f"environment variable {name} must be {allowed}, not {value!r}")
    return value


def give_back(environment: MutableMapping[str, str]) -> None:
    """Make every variable that ``run`` has set what it was before."""
    for note in [name for name in environment if name.startswith(BEFORE)]:
        name, before = note.removeprefix(BEFORE), environment.pop(note)
        if before:
            environment[name] = before[1:]
        else:
            environment.pop(name, None)


def _print_report(installation: Any, process: int) -> None:
    """Print what was patched, but not once more in a fork of the process."""
    if os.getpid() == process and sys.__stderr__ is not None:
        print(f"safesocket in process {process}:\n{installation.report()}", file=sys.__stderr__)
