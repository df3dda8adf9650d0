"""A thread that looks at other threads, again and again; what it makes of them, others say.

Imported only by who watches: it needs ``threading``.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from time import thread_time

from ._stacks import lookers
from ._waits import in_progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Of the time, what looking may take: with many threads, and short intervals, it is less often.
_SHARE = 0.005

#: seconds that a fork, or the end of the program, waits for a look under way
_PATIENCE = 0.1

_watchers: set[Watcher] = set()
#: held while one is started or stopped; a signal's handler may do so in the middle of it
_lock = _thread.RLock()


class Watcher:
    """Calls ``look(at())`` every *interval* seconds, from ``start`` to ``stop``.

    What is looked at is the waits in progress, if nothing else is said. It is looked more rarely if
    that would take more than a *share* of the time of a CPU.

    A daemon thread, which a fork's child has again, and which ends with the interpreter. What it
    waits for itself, in *look*, nobody looks at. The first exception of *look* is told as that of
    a thread is; it goes on after any.
    """

    def __init__(
        self,
        interval: float,
        look: Callable[[Any], None],
        at: Callable[[], Any] = in_progress,
        share: float = _SHARE,
    ) -> None:
        self.interval = interval
        self._look = look
        self._at = at
        self._share = share
        self._bell: Any = None  # rung to end the thread
        self._thread: threading.Thread | None = None
        self._has_failed = False

    def start(self) -> None:
        """Begin to look; the first time an interval from now.

        Raises:
            RuntimeError: no thread can be started.
        """
        with _lock:
            if self not in _watchers:
                self._begin()
                _watchers.add(self)

    def stop(self) -> None:
        """Look no more; on return no look is under way, but one that takes very long."""
        with _lock:
            _watchers.discard(self)
            thread = self._end()
        _join(thread)

    def _begin(self) -> None:
        bell = _thread.allocate_lock()
        bell.acquire()
        thread = threading.Thread(
            target=self._run, args=(bell,), name="safesocket-watch", daemon=True
        )
        thread.start()
        self._bell, self._thread = bell, thread

    def _end(self) -> threading.Thread | None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._bell.release()
        return thread

    def _run(self, bell: Any) -> None:
        lookers.add(_thread.get_ident())
        try:
            cost = usual = 0.0
            while not bell.acquire(True, max(self.interval, usual / self._share)):
                begun, before = thread_time(), cost
                self._look_once()
                cost = thread_time() - begun
                usual = min(cost, before)  # one that costs more, for once, may
        finally:
            lookers.discard(_thread.get_ident())

    def _look_once(self) -> None:
        try:
            self._look(self._at())
        except Exception:
            if not self._has_failed:  # or it would be told at every look
                self._has_failed = True
                args = threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()])
                threading.excepthook(args)


def _join(thread: threading.Thread | None) -> None:
    if thread is not None and thread is not threading.current_thread():
        thread.join(_PATIENCE)


def _pause() -> None:
    for thread in [watcher._end() for watcher in list(_watchers)]:
        _join(thread)


def _go_on() -> None:
    for watcher in list(_watchers):
        try:
            watcher._begin()
        except RuntimeError:  # no thread can be had, or the interpreter ends
            _watchers.discard(watcher)


def _before_a_fork() -> None:
    """End the threads of all watchers: a process with one thread forks best."""
    _lock.acquire()  # until it is over: none is started or stopped in between
    _pause()


def _in_the_parent() -> None:
    _go_on()
    _lock.release()


def _in_a_child() -> None:
    global _lock
    _lock = _thread.RLock()
    lookers.clear()
    _go_on()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_a_fork, after_in_parent=_in_the_parent, after_in_child=_in_a_child
    )
atexit.register(_pause)  # or a handler of logging may hold the lock of stderr at the very end
