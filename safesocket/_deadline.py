"""One budget for everything in a block: which deadlines run here, and what they leave of a limit.

Nothing waits and no socket is touched here. ``_timeouts.limit`` hands out no limit that
outlasts the deadline, so whoever asks for a limit before a wait keeps the deadline, too. What is
ready at once asks for no limit: while a deadline runs anywhere, the operations look at the clock
first.
"""

from __future__ import annotations

from contextvars import ContextVar
from weakref import ref

from ._limits import Limit, checked
from ._system import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any, TypeVar

    T = TypeVar("T")

DEADLINE = "deadline"


class Running:
    """A deadline whose clock runs: when it is over, its whole budget, and the block's object."""

    __slots__ = ("__weakref__", "end", "owner", "seconds")

    def __init__(self, owner: deadline, seconds: float) -> None:
        self.owner = owner
        self.seconds = seconds
        self.end = now() + seconds

    def limit(self) -> Limit:
        """Return what is left, as a limit."""
        return Limit(max(self.end - now(), 0.0), "", DEADLINE, self.seconds)


#: Those that any context holds: while there are any, the operations look at the clock. Weak
#: references, not a count of blocks entered and left: a task or a ``copy_context()`` keeps a
#: deadline that the block which began it has left, and a block that is never left ends with its
#: context, or else the operations are slower, never wrong.
running: set[ref[Running]] = set()

#: The globals of the operations. They take the longer way with flags that are not their ``_NONE``,
#: which is 0, and while a deadline runs like no flags at all. So without one there is nothing to
#: test: one more test, of ``running``, was measured to cost 1.6 % of a send and recv of 64 bytes.
_operations: list[dict[str, Any]] = []
_UNLIKE_ALL = object()


def attend(names: dict[str, Any]) -> None:
    """Let the operations whose globals are *names* take the longer way while a deadline runs."""
    _operations.append(names)


def _begin(one: Running) -> None:
    running.add(ref(one, _forget))
    for names in _operations:
        names["_NONE"] = _UNLIKE_ALL


def _forget(dead: ref[Running]) -> None:
    # No lock: this may run wherever something is freed, so nobody may have to wait for it. Between
    # a test and the line below it CPython changes no thread; where there is no GIL, the second
    # test sees what another thread has begun meanwhile.
    running.discard(dead)
    for names in _operations:
        if not running:
            names["_NONE"] = 0
        if running:
            names["_NONE"] = _UNLIKE_ALL


#: those that this context is in, the innermost last
_here: ContextVar[tuple[Running, ...]] = ContextVar("safesocket.deadline", default=())


def nearest() -> Running | None:
    """Return the deadline of this context that is over first."""
    return min(_here.get(), key=_end, default=None)


def _end(one: Running) -> float:
    return one.end


def what_is_left() -> Limit | None:
    """Return the limit that the deadline of this context is; None without one."""
    first = nearest() if running else None
    return None if first is None else first.limit()


def cut(limit: Limit) -> Limit:
    """Return *limit*, or that of the deadline of this context if it is shorter."""
    left = what_is_left()
    if left is None or left.seconds is None:
        return limit
    return left if limit.seconds is None or left.seconds < limit.seconds else limit


def without_last(entered: tuple[T, ...], owners: Sequence[object], left: object) -> tuple[T, ...]:
    """Return the blocks that a context is in after one of *left*, of their *owners*, has ended.

    No token of the ContextVar's: one object may be in use in several threads at once, and a
    generator may leave its block inside another, or in another context.
    """
    for index in reversed(range(len(entered))):
        if owners[index] is left:
            return entered[:index] + entered[index + 1 :]
    return entered


class deadline:  # a context manager reads as a verb
    """One budget for everything in a block: ``with safesocket.deadline(5): ...``.

    Look-ups, connects, handshakes, reads, writes, ``accept``: each waits for what is left of the
    budget at most, also on sockets with a timeout of their own or with none, however little comes
    at a time. What begins after the deadline fails at once. Non-blocking sockets, whose waits are
    the program's own, are left alone.

    It holds in this thread or asyncio task, and in tasks begun inside. The clock starts at
    ``with``; of nested ones the first to be over counts. The object may be used again.

    Args:
        seconds: the budget; 0 or less is over already, None and ``FOREVER`` are none.

    Raises:
        TypeError: *seconds* is not a number.
        ValueError: *seconds* is not a number (NaN).
    Inside the block: the timeout error of the operation, such as ``ReadTimeoutError``, whose
    ``timeout_source`` is ``"deadline"`` and whose ``timeout`` is *seconds*.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = _budget(seconds)

    def __enter__(self) -> None:
        if self.seconds is None:
            return
        begun = Running(self, self.seconds)
        _begin(begun)
        _here.set((*_here.get(), begun))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        here = _here.get()
        _here.set(without_last(here, [one.owner for one in here], self))


def remaining() -> float | None:
    """Return the seconds left of the deadline in force here; 0.0 if it is over, None without."""
    left = what_is_left()
    return None if left is None else left.seconds


def _budget(seconds: float | None) -> float | None:
    if isinstance(seconds, (int, float)) and seconds < 0:
        return 0.0 - (checked("deadline", -seconds) or 0.0)  # -FOREVER is no number to tell
    return checked("deadline", seconds)
