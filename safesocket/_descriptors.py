"""No descriptor is left: how many there may be, what they are, and whom the sockets talk to.

Nothing here may need a descriptor, so neither can /proc be read nor a module be loaded: there is
what fstat(2) tells of each number, and what is remembered of sockets.
"""

from __future__ import annotations

import errno
import os
import sys
from stat import S_ISSOCK

from ._redaction import shown
from ._roles import ACCEPTED
from ._route import all_notes
from ._system import fileno
from ._wording import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._route import Note
    from ._surroundings import Look

#: descriptors that are looked at, evenly spread: each takes 0.5 µs
MOST = 4096

_ADVICE = "look for sockets that are never closed, or raise the limit (ulimit -n)"

_fstat = os.fstat
_sysconf = getattr(os, "sysconf", None)  # not on Windows


def used_up(look: Look) -> str | None:
    """Return what has used up the descriptors of this process, or of the system."""
    number = look.exc.errno
    if number == errno.ENFILE:
        return (
            "the whole system has as many open files as it may have (fs.file-max): some process "
            "here opens files or sockets and does not close them"
        )
    if number != errno.EMFILE or _sysconf is None:
        return None
    try:
        limit = _sysconf("SC_OPEN_MAX")  # RLIMIT_NOFILE, the soft limit; getconf(1)
    except (OSError, ValueError):
        return None
    if limit < 1:
        return None
    return f"{_counted(limit)}{_most_of_them(limit)}: {_ADVICE}{_hard(limit)}"


def _counted(limit: int) -> str:
    looked_at = range(0, limit, -(-limit // MOST))
    modes = [mode for mode in map(_mode, looked_at) if mode]
    sockets = sum(map(S_ISSOCK, modes))
    whole = f"{limit:,} descriptors that this process may have (RLIMIT_NOFILE)"
    if len(looked_at) < limit:
        return f"the {whole} are used up: of {len(modes):,} looked at, {sockets:,} are sockets"
    used = "all" if len(modes) == limit else f"{len(modes):,} of the"
    return f"{used} {whole} are open, {sockets:,} of them sockets"


def _mode(fd: int) -> int:
    try:
        return _fstat(fd).st_mode
    except OSError:
        return 0


def _hard(limit: int) -> str:
    """Return how far the limit may be raised, if that can be told without loading a module."""
    resource = sys.modules.get("resource")
    if resource is None:
        return ""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"; up to {hard:,} without a privilege" if hard > limit else ""


def _most_of_them(limit: int) -> str:
    """Return whom the most of the sockets talk to, where they are more than a few."""
    counts: dict[Any, int] = {}
    notes = all_notes()
    for note in notes[:MOST]:
        end = _other_end(note, limit)
        counts[end] = counts.get(end, 0) + 1
    counts.pop(None, None)
    end = max(counts, key=counts.__getitem__, default=None)
    if end is None or counts[end] < 3:
        return ""
    at_least = "at least " if len(notes) > MOST else ""
    accepted, name = end
    with_whom = f"{'accepted from' if accepted else 'to'} {place(shown(name))}"
    return f", {at_least}{counts[end]:,} of those {with_whom}"


def _other_end(note: Note, limit: int) -> Any:
    """Return whether the socket was accepted, and who is at its other end; None if nobody is."""
    sock, asked = note(), note.asked
    if sock is None or asked is None or not 0 <= fileno(sock) < limit:
        return None
    if note.role == ACCEPTED:
        return True, asked[0] if isinstance(asked, tuple) else asked  # each has a port of its own
    return False, asked
