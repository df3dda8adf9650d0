"""One run of a profile, from its beginning to its end: what is recorded comes together here.

The hooks of the operations append to one log for the process; here it is emptied into the sums of
all profiles that run, by whoever reads one and by the sampler. A fork's child begins anew.
"""

from __future__ import annotations

import os
import time
from _thread import RLock, get_ident
from contextlib import suppress
from sys import _getframe
from typing import TYPE_CHECKING, Any

from .. import _wording
from .._recorder import NOBODY, clients_of, forget_names, log, recording
from .._roles import ACCEPTED, BOUND
from .._stacks import caller
from .._system import now
from .._translate import BIND, PHASES
from .._waits import in_progress
from .sampler import Sampler
from .tally import Tally

if TYPE_CHECKING:
    from types import FrameType

    from .._waits import Wait
    from ..errors import SafeSocketError

#: the phase of errors whose operation has none
_OTHER = "other"

#: held while sums change; a signal's handler may read a profile in the middle of that
_lock = RLock()


class Session:
    """What was waited for between ``begin`` and ``end``."""

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.date = time.time()
        self.ended: float | None = None
        self.process = os.getpid()
        self._tally = Tally(now())

    @property
    def began(self) -> float:
        """When it has begun, in seconds of safesocket's clock."""
        return self._tally.began

    def seconds(self) -> float:
        """Return how long it has lasted."""
        return (now() if self.ended is None else self.ended) - self.began

    def begin(self) -> None:
        """Let the operations record their waits.

        Raises:
            RuntimeError: the sampler's thread cannot be started.
        """
        with _lock:
            empty_log()
            if not recording:
                forget_names()
                _sampler.start()
            self._begin_anew()
            recording.append(self)

    def end(self) -> None:
        """Record no more; what is waited for at this moment counts as far as it has come."""
        with _lock:
            empty_log()
            self._tally.add(_going_on())
            self.ended = now()
            recording.remove(self)
            last = not recording
        if last:
            _sampler.stop()
            with _lock, suppress(RuntimeError):  # no thread can be had
                if recording:  # one has begun meanwhile
                    _sampler.start()

    def tally(self) -> Tally:
        """Return the sums as they are now, with the waits that go on."""
        with _lock:
            if self.ended is not None:
                return self._tally
            empty_log()
            return self._tally.with_more(_going_on())

    def add(self, batch: list[Any]) -> None:
        """Add waits: peer, phase, start and end of each, one after the other."""
        self._tally.add(batch)

    def failed(self, error: SafeSocketError) -> None:
        """Add *error*, which is being told to the program in this thread."""
        clock, peer = now(), peer_of(error)
        phase = PHASES.get(error.operation or "", _OTHER)
        if isinstance(error, TimeoutError) and error.elapsed is not None:
            _sampler.ends(get_ident(), clock - error.elapsed, clock)
        filename, lineno, _ = caller(_getframe(1))
        with _lock:
            self._tally.fail(peer, phase, error, clock)
            self._tally.save(peer, error, (filename, lineno))

    def superseded(self, started: float) -> None:
        """Forget what has been seen of this thread's wait since *started*: it is recorded."""
        _sampler.forget(get_ident(), started)


def peer_of(one: SafeSocketError | Wait) -> str:
    """Return what the profile calls the other side; hosts are as they may be shown already."""
    is_to_clients = one.host is None and PHASES.get(one.operation or "") != BIND
    if one._role == ACCEPTED or (one._role == BOUND and is_to_clients):
        return clients_of(one.local)
    return _wording.target(one) or NOBODY  # type: ignore[arg-type]


def empty_log() -> None:
    """Add the waits in the log to the sums of all profiles that run."""
    with _lock:
        count = len(log)
        batch = log[:count]
        del log[:count]
        for one in recording:
            one.add(batch)


def _going_on() -> list[Any]:
    """Return the waits that go on in other threads, as if they ended now."""
    clock, seen = now(), _sampler.threads()
    found = _sampler.known()
    for wait in in_progress():
        if wait.thread_id not in seen and wait.elapsed is not None:
            found.append((peer_of(wait), wait.phase, clock - wait.elapsed, clock))
    return [part for wait in found for part in wait]


def _look(frames: dict[int, FrameType]) -> None:
    with _lock:
        empty_log()
        _sampler.look(frames)


def _add(*wait: Any) -> None:
    for one in recording:
        one.add(list(wait))


_sampler = Sampler(_look, _add)


def _in_a_child() -> None:
    global _lock
    _lock = RLock()
    log.clear()
    _sampler.clear()
    for one in recording:
        one._begin_anew()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_a_child)
