"""The waits within one call in C: no hook sees them, so they are looked at from outside.

Those are of sockets with a timeout of their own, and of TLS under the kernel's limit: to time them
would cost every call that does not wait. Only the innermost frame of each thread is compared here;
whatever else waits is recorded by who waits, exactly.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from .. import _system
from .._recorder import named
from .._route import recall
from .._scope import READ, WRITE
from .._sightings import waits_in_c
from .._system import now
from .._watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType
    from typing import TypeAlias

    Frames: TypeAlias = "dict[int, FrameType]"

#: Seconds between two looks; a wait is known to half of that at either end, and a shorter one may
#: be missed. While there is nothing to see, looks are fewer: measured, one takes 70 µs from a
#: program that is busy, most of it for changing threads.
INTERVAL, AT_REST = 0.005, 0.02
#: of the time of a CPU, what looking may take where there are so many threads that it would be more
_SHARE = 0.02
_RESTED = 50  # looks without anything to see

#: functions that wait in C: their module, for what, also with no timeout of the socket's own, names
_PLACES = (
    ("_reading", READ, False, ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg")),
    ("_reading", READ, False, ("recvmsg_into", "_with_flags")),
    ("_writing", WRITE, False, ("send", "sendto", "sendmsg", "sendall")),
    ("_tlsio", READ, True, ("read",)),
    ("_tlsio", WRITE, True, ("send", "_write_at_once")),
)
_HOUSE = __name__.partition(".")[0]


@cache
def _places(with_tls: bool) -> dict[CodeType, tuple[str, bool]]:
    """Return those functions by their code, which install() copies; TLS only once it is there."""
    return {
        vars(sys.modules[f"{_HOUSE}.{module}"])[name].__code__: (phase, always)
        for module, phase, always, names in _PLACES
        for name in names
        if with_tls or module != "_tlsio"
    }


#: Where a frame remembers when it was first seen: the next call of a loop may look the same. No
#: variable has such a name.
_MARK = "(first seen by a profile)"


class _Seen:
    """A wait that has been seen: between two looks before *mark* it began, *last* it was there."""

    __slots__ = ("ended", "last", "mark", "peer", "phase", "started")

    def __init__(self, mark: float, peer: str, phase: str, started: float) -> None:
        self.mark = mark
        self.peer = peer
        self.phase = phase
        self.started = started
        self.last = mark
        self.ended: float | None = None  # once that is known


class Sampler:
    """Looks at the waits in C; hands each to *tell* when it is over: peer, phase, start, end.

    A thread calls *wake* with all frames again and again, and that is to ``look`` at them.
    """

    def __init__(
        self,
        wake: Callable[[Frames], None],
        tell: Callable[[str, str, float, float], None],
    ) -> None:
        self._tell = tell
        self._seen: dict[int, _Seen] = {}  # by thread, which waits for one thing at a time
        self._gone: dict[int, _Seen] = {}  # over since the last look, before an error tells of it
        self._before = 0.0  # when the look before was
        self._watcher = Watcher(INTERVAL, wake, at=sys._current_frames, share=_SHARE)
        self._in_vain = 0  # looks

    def start(self) -> None:
        """Begin to look.

        Raises:
            RuntimeError: no thread can be started.
        """
        self.clear()
        self._watcher.start()

    def stop(self) -> None:
        """Look no more."""
        self._watcher.stop()
        self.clear()

    def clear(self) -> None:
        """Forget all waits."""
        self._seen.clear()
        self._gone.clear()
        self._before = now()

    def look(self, frames: Frames) -> None:
        """Look once, at the innermost *frames* of all threads."""
        looked = now()
        waiting = dict(self._waiting(looked, frames))
        self._in_vain = 0 if waiting else self._in_vain + 1
        self._watcher.interval = INTERVAL if self._in_vain < _RESTED else AT_REST
        while self._gone:
            _, seen = self._gone.popitem()
            self._tell(seen.peer, seen.phase, seen.started, seen.ended or seen.last)
        for thread, seen in list(self._seen.items()):
            if waiting.get(thread) is not seen and thread in self._seen:
                del self._seen[thread]
                seen.ended = seen.ended or (seen.last + looked) / 2
                self._gone[thread] = seen
        self._seen.update(waiting)
        self._before = looked

    def known(self) -> list[tuple[str, str, float, float]]:
        """Return the waits that have not been told: they go on, or were over a moment ago."""
        return [
            (seen.peer, seen.phase, seen.started, seen.ended or seen.last)
            for seen in (*self._gone.copy().values(), *self._seen.copy().values())
        ]

    def threads(self) -> set[int]:
        """Return the threads that have been seen to wait."""
        return set(self._seen.copy())

    def ends(self, thread: int, started: float, ended: float) -> None:
        """Take note that *thread* has waited from *started* until it *ended*: an error says so."""
        seen = self._seen.get(thread) or self._gone.get(thread)
        if seen is not None and started <= seen.last:
            seen.started, seen.ended = started, ended

    def forget(self, thread: int, started: float) -> None:
        """Leave the wait of *thread* since *started* to who has recorded it."""
        for place in (self._seen, self._gone):
            seen = place.get(thread)
            if seen is not None and started <= seen.last:
                place.pop(thread, None)

    def _waiting(self, looked: float, frames: Frames) -> Iterator[tuple[int, _Seen]]:
        places = _places(f"{_HOUSE}._tlsio" in sys.modules)
        for thread, frame in frames.items():
            inner: FrameType | None = frame
            while inner is not None and inner.f_globals is _SYSTEM:
                inner = inner.f_back
            if inner is not None and inner.f_code in places:
                seen = self._look_at(thread, inner, looked, *places[inner.f_code])
                if seen is not None:
                    yield thread, seen

    def _look_at(
        self, thread: int, frame: FrameType, looked: float, phase: str, always: bool
    ) -> _Seen | None:
        variables = frame.f_locals
        seen = self._seen.get(thread)
        if seen is not None and variables.get(_MARK) == seen.mark:
            seen.last = looked
            return seen
        sock = variables["sock"] if "sock" in variables else variables["self"]
        if not waits_in_c(sock, phase, always):
            return None
        variables[_MARK] = looked
        known = recall(sock)
        peer = (known and known.peer) or named(sock)
        started = variables.get("started", (self._before + looked) / 2)
        return _Seen(looked, peer, phase, started)


_SYSTEM = vars(_system)
