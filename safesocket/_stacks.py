"""What the stacks of all threads tell of waits: the only place that reads other threads' frames.

The operations report nothing to anybody, so whoever looks pays, and they do not. A wait is a stack
whose innermost frame is at one of PLACES; what it waits for is in the local variables below, which
the house calls by the same names everywhere. Whether C really sleeps there, ``_waits`` asks the
system. A frame is held for no longer than it is read: it keeps buffers and sockets alive.
"""

from __future__ import annotations

import _socket
import os
import sys
from _thread import get_ident
from functools import lru_cache

from ._race import Race
from ._system import now
from ._translate import PHASES
from ._wait import Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

ASLEEP = "asleep"  # on poll, a clock or a lock of safesocket's: there is no doubt
LOOKING_UP = "looking up"  # here or by another thread
TRYING = "trying"  # not to wait: C waits only if the socket has a timeout of its own
CALLING = "calling"  # C, which waits if the mode of the socket says so

#: what a thread does -> by its innermost frame: module, qualified names
PLACES = {
    ASLEEP: {"_wait": "ready_before which_ready_before rest_before"},
    LOOKING_UP: {
        "_failing": "plain_call",
        "_lookups": "Asked.answered answer",
        "_resolve": "_answered",
    },
    TRYING: {
        "_reading": "recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into _with_flags",
        "_writing": "send sendall sendmsg sendto",
    },
    CALLING: {
        "_connecting": "_connect_as_set_up _connect_ex_as_set_up",
        "_failing": "plainly",
        "_sendfile": "_send_as_stdlib",
        "_tlsio": "read send _write_at_once",
        "_tlswait": "go_on",
        "_writing": "_push _push_message _push_to",
    },
}

_OURS = "safesocket"
#: the stdlib's own code between ours and C
_BELOW = frozenset({"socket", "ssl", f"{_OURS}._system"})
_PLACES = {
    (f"{_OURS}.{module}", name): how
    for how, modules in PLACES.items()
    for module, names in modules.items()
    for name in names.split()
}

#: the local variables that are read
_NAMES = (
    *("sock", "operation", "started", "end", "limit", "flags"),
    *("budget", "asked", "address", "found", "target"),
)
_MISSING: Any = object()

#: Where a frame remembers when it was first seen: a wait in C's first call has no ``started``, and
#: the next one of a loop may have the very same frame. No variable has such a name.
_MARK = "(seen waiting)"

#: threads of safesocket's that look: what they call is not looked at
lookers: set[int] = set()


class Seen:
    """A thread that may wait: what it does, what is known of that, and the program's line.

    ``facts`` are values of local variables, the innermost frame's first; ``asked_for`` is the
    address that the operation was called with.
    """

    __slots__ = (
        *("asked_for", "caller", "facts", "how", "is_new"),
        *("mark", "operation", "race", "thread_id"),
    )

    def __init__(self, thread_id: int, how: str) -> None:
        self.thread_id = thread_id
        self.how = how
        self.facts: dict[str, Any] = {}
        self.operation: str | None = None  # as errors have it
        self.asked_for: Any = None
        self.race: Race | None = None
        self.mark: float | None = None  # when it was first seen, where nothing else tells
        self.is_new = False  # seen for the first time
        self.caller: tuple[str, int, str] = ("", 0, "")

    def read(self, frame: FrameType) -> None:
        """Read a *frame* of safesocket's."""
        variables = frame.f_locals
        for name in _NAMES:
            value = variables.get(name, _MISSING)
            if value is not _MISSING:
                self.facts.setdefault(name, value)
        self.asked_for = variables.get("address", self.asked_for)
        this = variables.get("self")
        if isinstance(this, _socket.socket):
            self.facts.setdefault("sock", this)
            name = frame.f_code.co_name
            self.operation = name if name in PHASES else self.operation
        patience = variables.get("patience", this)
        if isinstance(patience, Patience):
            self.facts = {**patience.facts(), **self.facts}
        if isinstance(this, Race):
            self.race = this

    def remember(self, frame: FrameType) -> None:
        """Note in *frame* when it was first seen, unless that is noted."""
        moment = now()
        self.mark = frame.f_locals.setdefault(_MARK, moment)
        self.is_new = self.mark is moment


def blocked() -> list[Seen]:
    """Return the threads that may wait in safesocket, this one and the lookers excepted."""
    frames = sys._current_frames()
    for thread_id in (get_ident(), *lookers):  # this function's own frame would be a cycle
        frames.pop(thread_id, None)
    found = []
    while frames:
        seen = _seen(*frames.popitem())
        if seen is not None:
            found.append(seen)
    return found


def _seen(thread_id: int, frame: FrameType | None) -> Seen | None:
    while frame is not None and frame.f_globals.get("__name__") in _BELOW:
        frame = frame.f_back
    if frame is None:
        return None
    how = _PLACES.get((frame.f_globals.get("__name__", ""), frame.f_code.co_qualname))
    return None if how is None else _read(Seen(thread_id, how), frame)


def _read(seen: Seen, innermost: FrameType) -> Seen:
    frame: FrameType | None = innermost
    while frame is not None and (part := _part(frame)):
        if part == _OURS:
            seen.read(frame)
        frame = frame.f_back
    if "started" not in seen.facts:
        seen.remember(innermost)
    seen.caller = caller(frame)
    return seen


def _part(frame: FrameType) -> str:
    """Return whose *frame* it is: safesocket's, or of what may stand between its frames."""
    name = frame.f_globals.get("__name__")
    if not isinstance(name, str):
        return ""
    package = name.partition(".")[0]
    return package if package in (_OURS, "socket", "ssl", "wrapt") else ""


def caller(frame: FrameType | None) -> tuple[str, int, str]:
    """Return file, line and function of the program; of a library, if that is all there is."""
    nearest = None
    for outer in _outwards(frame):
        code = outer.f_code
        here = code.co_filename, outer.f_lineno or 0, code.co_name
        if not _is_library(code.co_filename):
            return here
        nearest = nearest or here
    return nearest or ("", 0, "")


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


_STDLIB = os.path.dirname(os.__file__) + os.sep
_HOUSE = os.path.dirname(__file__) + os.sep


@lru_cache(maxsize=4096)
def _is_library(filename: str) -> bool:
    """Tell whether *filename* is of the stdlib, installed, or safesocket's."""
    if filename.startswith(("<frozen", _STDLIB, _HOUSE)):
        return True
    return f"{os.sep}site-packages{os.sep}" in filename or "dist-packages" in filename
