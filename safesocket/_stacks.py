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
    from types import CodeType, FrameType
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
        "_tlswait": "go_on on_open",
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
_NAMES = frozenset(
    {"sock", "operation", "started", "end", "limit", "flags", "self", "patience"}
) | {*("budget", "asked", "address", "found", "target")}
_MISSING: Any = object()

#: Where a frame remembers what was seen of it. So the next look need not read the whole stack
#: (measured, a tenth of the time), and a wait in C's first call, which has no ``started``, is not
#: taken for the next one of a loop, whose frame may be at the same place in memory. No variable has
#: such a name.
_MARK = "(seen waiting)"

#: threads of safesocket's that look: what they call is not looked at
lookers: set[int] = set()


class Seen:
    """A thread that may wait: what it does, what is known of that, and the program's line.

    ``facts`` are values of local variables, the innermost frame's first; ``asked_for`` is the
    address that the operation was called with. It lives as long as the frame that it was seen in.
    """

    __slots__ = (
        *("asked_for", "caller", "facts", "how", "operation"),
        *("race", "since", "thread_id", "told"),
    )

    def __init__(self, thread_id: int, how: str) -> None:
        self.thread_id = thread_id
        self.how = how
        self.since = now()  # when it was seen first
        self.facts: dict[str, Any] = {}
        self.operation: str | None = None  # as errors have it
        self.asked_for: Any = None
        self.race: Race | None = None
        self.caller: tuple[str, int, str] = ("", 0, "")
        self.told: Any = None  #: what is made of it

    def read(self, frame: FrameType) -> None:
        """Read a *frame* of safesocket's."""
        variables, code = frame.f_locals, frame.f_code
        found = {name: variables.get(name, _MISSING) for name in _names_in(code)}
        this = found.pop("self", None)
        patience = found.pop("patience", this)
        if isinstance(this, _socket.socket):
            found.setdefault("sock", this)
            if code.co_name in PHASES:
                self.operation = code.co_name
        elif isinstance(this, Race):
            self.race = this
        if isinstance(patience, Patience):
            found = {**patience.facts(), **found}
        self.asked_for = found.get("address", self.asked_for)
        for name, value in found.items():
            if value is not _MISSING:
                self.facts.setdefault(name, value)


@lru_cache(maxsize=256)
def _names_in(code: CodeType) -> list[str]:
    return [name for name in code.co_varnames if name in _NAMES]


def blocked() -> list[Seen]:
    """Return the threads that may wait in safesocket, the lookers excepted.

    This one is among them if a handler of a signal looks, and has interrupted its wait.
    """
    frames = sys._current_frames()
    for thread_id in (get_ident(), *lookers):  # this function's own frame would be a cycle
        frames.pop(thread_id, None)
    below = _interrupted(sys._getframe())
    if below is not None and get_ident() not in lookers:
        frames[get_ident()] = below
    found = []
    while frames:
        seen = _seen(*frames.popitem())
        if seen is not None:
            found.append(seen)
    return found


def _interrupted(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of a call of safesocket's below the one that *frame* is of."""
    while frame is not None and _part(frame):
        frame = frame.f_back
    while frame is not None and _part(frame) != _OURS:
        frame = frame.f_back
    return frame


def _seen(thread_id: int, frame: FrameType | None) -> Seen | None:
    while frame is not None and frame.f_globals.get("__name__") in _BELOW:
        frame = frame.f_back
    if frame is None:
        return None
    how = _PLACES.get((frame.f_globals.get("__name__", ""), frame.f_code.co_qualname))
    if how is None:
        return None
    variables = frame.f_locals
    seen: Seen | None = variables.get(_MARK)
    if seen is None:
        seen = variables[_MARK] = Seen(thread_id, how)
        _read(seen, frame)
    return seen


def _read(seen: Seen, frame: FrameType | None) -> None:
    while frame is not None and (part := _part(frame)):
        if part == _OURS:
            seen.read(frame)
        frame = frame.f_back
    seen.caller = caller(frame)


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
