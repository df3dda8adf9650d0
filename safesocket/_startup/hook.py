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

OFF, ON = "0", "1"
_PROFILE = "SAFESOCKET_PROFILE"  # one of these, or a file

#: What these may be, the default first; empty is as good as not set.
CHOICES = {
    "SAFESOCKET_NONE": ("limit", "forever"),
    "SAFESOCKET_MESSAGE": ("append", "note", "off"),
    "SAFESOCKET_REPORT": (OFF, ON),
}


def main() -> None:
    """Install safesocket in this process.

    Raises:
        ValueError: a variable has a value that it may not have.
        InstallError: something else has replaced what would be patched.
    """
    none, message, report = chosen(os.environ)
    profile = _file_of_profile(os.environ.get(_PROFILE) or OFF)
    if os.environ.get("SAFESOCKET_INSTALL") == "children":
        os.environ.pop(_PROFILE, None)  # or each child would write over the file
    give_back(os.environ)
    safesocket.configure(message=message)
    installation = safesocket.install(none=none)
    if report == ON:
        atexit.register(_print_report, installation, os.getpid())
    if profile is not None:
        _begin_profile(profile)


def chosen(environment: Mapping[str, str]) -> list[Any]:
    """Return what is chosen of each of CHOICES."""
    return [_checked(name, environment.get(name) or CHOICES[name][0]) for name in CHOICES]


def _checked(name: str, value: str) -> str:
    if value not in CHOICES[name]:
        allowed = " or ".join(map(repr, CHOICES[name]))
        raise ValueError(f"environment variable {name} must be {allowed}, not {value!r}")
    return value


def _file_of_profile(value: str) -> str | None:
    """Return the file that a profile is to be written to, "" for stderr; None: no profile."""
    if value in (OFF, ON):
        return None if value == OFF else ""
    from safesocket._profiling.files import checked

    try:
        return os.path.abspath(checked(value))
    except ValueError as exc:
        raise ValueError(f"environment variable {_PROFILE}: {exc}") from None


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


def _begin_profile(file: str) -> None:
    profile = safesocket.profile()
    profile.__enter__()  # first, so that what it registers with atexit is called last
    atexit.register(_end_profile, profile, file, os.getpid())


def _end_profile(profile: safesocket.profile, file: str, process: int) -> None:
    """Write what was waited for to *file* or to stderr, but not once more in a fork."""
    if os.getpid() != process:
        return
    profile.__exit__(None, None, None)
    try:
        if file:
            profile.write(file)
            return
        said = ""
    except OSError as exc:  # not to lose it
        said = f"safesocket: the profile cannot be written: {exc}\n"
    if sys.__stderr__ is not None:
        print(f"{said}safesocket in process {process}: {profile}", file=sys.__stderr__)
