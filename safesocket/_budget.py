"""The time of one create_connection: how long the whole call may take, and who says so.

Values only: the clock is read, nothing waits, no socket is touched.
"""

from __future__ import annotations

import socket as stdlib

from ._exempt import over
from ._plain import builtin
from ._system import now
from ._timeouts import FOREVER, Limit, limit, timeouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SENTINEL = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
_SHORTEST = 0.001  # seconds; a share of 0 would mean non-blocking


class Budget:
    """The time of one call, and the mode that its socket has afterwards.

    ``limit`` is None where the call may take as long as the system lets it, ``end`` is then
    infinite. *none_is_forever* tells whether a *timeout* of None is for ever or stands for the
    ``connect`` limit, the socket being in blocking mode afterwards in either case.
    """

    __slots__ = ("_own", "asked", "end", "given", "limit", "mode", "started")

    def __init__(self, timeout: Any, address: Any = None, *, none_is_forever: bool = True) -> None:
        self.started = now()
        self.asked = address
        self.given = timeout is not _SENTINEL
        self.mode: float | None = builtin(timeout) if self.given else stdlib.getdefaulttimeout()
        self._own = self._of_the_caller(none_is_forever)
        found = limit("connect", {"connect": self._own} if self._own else over(None, address))
        bounded = found.seconds is not None and self.mode != 0  # 0 does not wait at all
        self.limit = found if bounded else None
        self.end = self.started + (found.seconds or 0) if bounded else FOREVER

    def _of_the_caller(self, none_is_forever: bool) -> Limit | None:
        """Return the limit that the program has named; None if it has not."""
        if self.mode is None and not (self.given and none_is_forever):
            return None
        return Limit(_seconds(self.mode), "", "create_connection" if self.given else "settimeout")

    def elapsed(self) -> float:
        """Return the seconds since the start of the call."""
        return now() - self.started

    def share(self, addresses: int) -> float:
        """Return the seconds for the next of so many *addresses*."""
        return max((self.end - now()) / addresses, _SHORTEST)

    def over_look_ups(self) -> timeouts:
        """Return a block in which a look-up takes no longer than the call may."""
        block = timeouts()
        bound = self.limit or (self._own if self.mode != 0 else None)
        usual = limit("resolve").seconds or FOREVER
        if bound is not None and (bound.seconds is None or bound.seconds < usual):
            block.limits = {"resolve": bound}
        return block


def _seconds(timeout: Any) -> float | None:
    """Return *timeout* in seconds; None for none at all, and for what settimeout() will refuse."""
    try:
        seconds = float(timeout)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < FOREVER else None
