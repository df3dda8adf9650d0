"""Look-ups on threads of their own: the C library cannot be told to stop, but nobody has to wait.

Only threads and answers live here: no limit is chosen, nothing is told of an error but the bare
fact. What is given up goes on until the C library gives up, too. So identical look-ups in flight
share one thread, and there are at most ``MOST_THREADS``: at that many, a new look-up waits for one
to be free, within its own time.
"""

from __future__ import annotations

import _thread
import os
from collections import deque
from contextvars import copy_context
from socket import EAI_AGAIN, AddressFamily, AddressInfo, SocketKind
from sys import is_finalizing
from time import sleep

from ._system import now
from ._translate import alike
from .errors import ResolveTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Key: TypeAlias = "tuple[Any, ...]"

#: more than healthy look-ups need at a time, few enough to leave behind when the resolver is dead
MOST_THREADS = 64

#: Seconds that a thread waits for the next look-up. Measured: a look-up on a new thread costs
#: 130 µs more than the plain call, on a waiting one 30 µs.
_LINGER = 0.1

#: Seconds after which a look-up is asked anew if somebody still wants it: this long the C library
#: does not try, not even with three servers, two attempts and 5 s for each (30 s; resolv.conf(5)).
#: The next time it is twice as long, or one name would take all threads.
_HOPELESS = 60.0

#: Where the classes live of what the look-up itself met, which is told to all who asked. Any
#: other failure is about one caller: its arguments, an audit hook.
_OF_LOOKUPS = ("builtins", "socket", "safesocket.errors")

#: Bytes of the stacks of threads in a child that was forked in the middle of look-ups; and how much
#: more in such a child of its own. glibc (seen with 2.36) hands the stacks of threads that are not
#: there any more to new ones, with the resolver's open socket, to which the parent listens, too:
#: one answer in twenty was lost. It hands out none that is smaller than what is asked for.
_CLEAN_STACK = 64 << 20
_MORE = 1 << 20

_new_lock = _thread.allocate_lock
_ident = _thread.get_ident
_start = _thread.start_new_thread


def answer(seconds: float, call: Callable[..., T], *args: Any) -> T:
    """Return ``call(*args)``, or raise what it raises; it is made on another thread.

    Where no thread can be had, it is made here.

    Raises:
        ResolveTimeoutError: no answer within *seconds*; it says nothing yet of what was asked.
    """
    end = now() + seconds
    question = None
    try:
        while (left := end - now()) > 0:
            try:
                question = _pool.ask(call, args)
            except RuntimeError:  # can't allocate lock
                question = None
            if question is None:
                return call(*args)
            if not question.answered(left):
                break
            if question.is_for_us():
                return question.outcome()  # type: ignore[no-any-return]
        raise _unanswered(question)
    finally:
        del question, args  # the traceback of a failure holds this frame


def is_asking() -> bool:
    """Tell whether this thread is one of those here: what it calls is not to ask another one."""
    return _ident() in _pool.threads


def _unanswered(asked: Asked | None) -> ResolveTimeoutError:
    # EAI_AGAIN is what the C library says when no server has answered; getaddrinfo(3).
    error = ResolveTimeoutError(EAI_AGAIN, "timed out")
    if asked is not None:
        error._stuck = _pool.stuck(asked)
    return error


class Lookup:
    """One call, queued, under way or over, and what wakes those who wait for it."""

    __slots__ = (
        *("args", "asked", "begun", "bells", "call", "context", "error"),
        *("found", "given_up", "key", "made", "over", "patience"),
    )

    def __init__(self, key: Key | None, call: Any, args: Any, patience: float) -> None:
        self.key = key
        self.call = call
        self.args = args
        self.context = copy_context()
        self.patience = patience  # seconds until it is hopeless
        self.begun: float | None = None
        self.bells: list[Any] = []
        self.given_up = False  # by somebody, while it was under way
        self.made = self.over = False
        self.found: Any = None
        self.error: BaseException | None = None

    def make(self) -> None:
        """Make the call, if it has not been made."""
        try:
            self.found = self.context.run(self.call, *self.args)
            self.made = True
        except BaseException as exc:
            self.error, self.made = exc, True  # what follows may find no memory
            # Without this frame, which is no concern of the caller's.
            self.error = exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next)
        finally:
            del self  # the traceback leads to this frame

    def is_hopeless(self) -> bool:
        """Tell whether the C library must have hung."""
        return self.begun is not None and now() - self.begun > self.patience


class Asked:
    """A look-up as one caller sees it."""

    __slots__ = ("_bell", "_own", "joined", "lookup")

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.joined = lookup.begun is not None
        self._own = not lookup.bells
        self._bell = _new_lock()
        self._bell.acquire()
        lookup.bells.append(self._bell)

    def answered(self, seconds: float) -> bool:
        """Wait for *seconds* at most, handling signals; tell whether there is an answer."""
        lookup = self.lookup
        try:
            return self._bell.acquire(True, min(seconds, _thread.TIMEOUT_MAX)) or lookup.over
        finally:
            lookup.given_up = not lookup.over
            lookup.bells.remove(self._bell)

    def is_for_us(self) -> bool:
        """Tell whether the answer is for this caller, too, and not only for the first."""
        error = self.lookup.error
        return self._own or error is None or _is_of_the_lookup(error)

    def outcome(self) -> Any:
        """Return the answer, or raise the error, as objects that nobody else has."""
        error: Any = self.lookup.error
        if error is None:
            return _copied(self.lookup.found)
        try:
            raise error if self._own else alike(error, type(error))
        finally:
            del self, error  # the traceback holds this frame


def _is_of_the_lookup(error: BaseException) -> bool:
    return isinstance(error, OSError) and type(error).__module__ in _OF_LOOKUPS


def _copied(found: Any) -> Any:
    """Return *found* with lists of its own."""
    if type(found) is tuple:
        return tuple(map(_copied, found))
    return found[:] if type(found) is list else found


def _key(call: Any, args: tuple[Any, ...]) -> Key | None:
    """Return what identical look-ups have in common; None where arguments may change.

    With the types of the arguments: 80 and 80.0 are equal, and only one of them is a port.
    """
    flat = (*args[0], *args) if args and type(args[0]) is tuple else args
    kinds = tuple(map(type, flat))
    if not _CONSTANT.issuperset(kinds):
        return None
    return call, kinds, *flat


#: types whose hash and equality are nobody's own
_CONSTANT = {str, bytes, tuple, type(None), int, bool, AddressFamily, SocketKind, AddressInfo}


class _Thread:
    """A thread that makes one look-up, and then others if they come at once."""

    __slots__ = ("gone", "lookup", "rests", "wake")

    def __init__(self, lookup: Lookup) -> None:
        self.lookup: Lookup | None = lookup
        self.rests = False  # it has been among the idle, and has to wait for its wake
        self.wake, self.gone = _new_lock(), _new_lock()
        self.wake.acquire()
        self.gone.acquire()

    def run(self, pool: _Pool) -> None:
        """Make look-ups until there are none; go on when memory is back, for somebody waits."""
        failed = False
        try:
            while True:
                try:
                    if failed:
                        sleep(_LINGER)
                    return self._run(pool)
                except MemoryError:
                    failed = True
        finally:
            self.gone.release()

    def _run(self, pool: _Pool) -> None:
        """Do what is left to do: every step may have been done, or cut short, before."""
        pool.threads.add(_ident())
        while self.lookup is not None or self.rests:
            if self.rests:  # lookup may be the next one already, and wake be released
                pool.linger(self)
            else:
                self._make(pool)
        pool.threads.discard(_ident())

    def _make(self, pool: _Pool) -> None:
        lookup: Any = self.lookup
        try:
            if not lookup.made:
                lookup.make()
            pool.finish(self, lookup)
        finally:
            del lookup


def _insist(call: Callable[..., None], *args: Any) -> None:
    """Make *call*, and again while there is no memory for it: somebody waits for what it does."""
    failed = False
    while True:
        try:
            if failed:
                sleep(_LINGER)
            return call(*args)
        except MemoryError:
            failed = True


def _in_main_interpreter() -> bool:
    if hasattr(_thread, "_is_main_interpreter"):  # from Python 3.12 on
        return bool(_thread._is_main_interpreter())
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except (ImportError, OSError):  # not built, or no descriptor is free
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


class _Pool:
    """The threads, and the look-ups that they make.

    The lock may be taken again by the thread that holds it: a signal's handler or a finalizer
    that looks something up may run at any moment.
    """

    def __init__(self) -> None:
        self._stack = 0  # bytes; 0: as the program has it
        self._begin_anew()

    def fresh(self) -> None:
        """Begin anew: in the child of a fork there are no threads, and locks may be held."""
        if self._running:
            self._stack = self._stack + _MORE if self._stack else _CLEAN_STACK
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.threads: set[int] = set()
        self._lock = _thread.RLock()
        self._flying: dict[Key, Lookup] = {}
        self._running: set[Lookup] = set()
        self._queue: deque[Lookup] = deque()
        self._idle: list[_Thread] = []

    def ask(self, call: Any, args: tuple[Any, ...]) -> Asked | None:
        """Ask what *call* answers; None if there is no thread to ask and none can be started.

        Nor is one asked by a signal's handler that has come while this thread holds the lock: the
        answer would need it, too. Nor when the interpreter ends: only this thread still runs.
        """
        if is_finalizing() or self._lock._is_owned():  # type: ignore[attr-defined]
            return None
        key = _key(call, args)
        with self._lock:
            known = None if key is None else self._flying.get(key)
            if known is not None and not known.is_hopeless():
                return Asked(known)
            lookup = Lookup(key, call, args, known.patience * 2 if known else _HOPELESS)
            asked = Asked(lookup)
            if not self._has_begun(lookup):
                return None
            if key is not None:
                self._flying[key] = lookup
            return asked

    def _has_begun(self, lookup: Lookup) -> bool:
        try:
            self._begin(lookup)
        except BaseException as exc:
            self._running.discard(lookup)
            if isinstance(exc, Exception):  # can't start new thread, or an audit hook objects
                return False
            raise
        return True

    def _begin(self, lookup: Lookup) -> None:
        if len(self._running) >= MOST_THREADS:
            self._queue.append(lookup)
            return
        self._count(lookup)
        if self._idle:
            thread = self._idle.pop()
            thread.lookup = lookup
            thread.wake.release()
        else:
            self._start(_Thread(lookup))

    def _start(self, thread: _Thread) -> None:
        if not _in_main_interpreter():  # one below it may not end before its threads: a fatal error
            raise RuntimeError("threads outlive a sub-interpreter")
        if not self._stack:
            _start(thread.run, (self,))
            return
        as_it_was = _thread.stack_size(self._stack)
        try:
            _start(thread.run, (self,))
        finally:
            _thread.stack_size(as_it_was)

    def _count(self, lookup: Lookup) -> None:
        lookup.begun = now()
        self._running.add(lookup)

    def finish(self, thread: _Thread, lookup: Lookup) -> None:
        """Give everybody the answer to *lookup*, and *thread* its next one; once, if called again.

        The thread is idle before anybody has the answer: who has it may fork.
        """
        with self._lock:
            lookup.over = True
            self._running.discard(lookup)
            self._forget(lookup)
            if thread.lookup is lookup:
                following = self._next()
                if following is None:
                    self._idle.append(thread)
                    thread.rests = True
                thread.lookup = following
        for bell in list(lookup.bells):
            if bell.locked():
                bell.release()

    def _forget(self, lookup: Lookup) -> None:
        if lookup.key is not None and self._flying.get(lookup.key) is lookup:
            del self._flying[lookup.key]

    def _next(self) -> Lookup | None:
        while self._queue:
            lookup = self._queue[0]
            if lookup.bells:
                self._count(lookup)
                return self._queue.popleft()
            self._forget(self._queue.popleft())  # nobody waits for it any more
        return None

    def linger(self, thread: _Thread) -> None:
        """Wait until *thread* is given a look-up; not for long."""
        if not thread.wake.acquire(True, _LINGER):
            with self._lock:
                left = thread in self._idle
                if left:
                    self._idle.remove(thread)
            if not left:
                thread.wake.acquire()  # in the last moment
        thread.rests = False

    def dismiss(self) -> None:
        """Send away the threads that have nothing to do; a process with one thread forks best."""
        with self._lock:
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.wake.release()
        for thread in idle:
            thread.gone.acquire(True, _LINGER)

    def stuck(self, asked: Asked) -> tuple[int, float, bool] | None:
        """Return how many look-ups are stuck, the seconds of the oldest, and if *asked* began.

        None where there is only the one that *asked* began.
        """
        begun = asked.lookup.begun is not None
        with self._lock:
            running = [one for one in self._running if one.given_up or not begun]
        if begun and not asked.joined and len(running) < 2:
            return None
        ages = [now() - (one.begun or 0) for one in running]
        return len(ages), max(ages, default=0.0), begun


_pool = _Pool()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_pool.dismiss, after_in_child=_pool.fresh)
