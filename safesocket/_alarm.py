"""``configure(warn_after=)``: a line in the log for each wait that goes on for too long.

Which waits there are, and how long, is ``_waits``'; who looks, ``_watch``'s.
"""

from __future__ import annotations

import os

from ._limits import checked as _checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._waits import Wait
    from ._watch import Watcher

#: of warn_after, the time between two looks, and its bounds in seconds: what is told may be so
#: much late
_SHARE, _SHORTEST, _LONGEST = 0.1, 0.02, 1.0


def checked(value: Any) -> float | None:
    """Return *value* if it is a wish of ``configure(warn_after=)``."""
    seconds = _checked("warn_after", value)
    if seconds == 0:
        raise ValueError("warn_after must be more than 0 seconds; None is for no warnings")
    return seconds


class Alarm:
    """Tells of waits that have lasted *seconds*, and again after twice, four times that, …"""

    def __init__(self, seconds: float) -> None:
        from logging import getLogger

        self._seconds = seconds
        self._log = getLogger("safesocket")
        self._next: dict[Any, float] = {}  # key of a wait -> seconds at which it is told again

    def look(self, waits: list[Wait]) -> None:
        """Tell of those among *waits* whose time has come."""
        pending = {wait.key: wait for wait in waits if not wait.healthy}
        self._next = {key: self._next.get(key, self._seconds) for key in pending}
        for key, wait in pending.items():
            if (wait.elapsed or 0.0) >= self._next[key]:
                while self._next[key] <= (wait.elapsed or 0.0):
                    self._next[key] *= 2
                extra = {"safesocket_wait": wait.to_dict()}
                self._log.warning("waiting: %s", str(wait), extra=extra)


_watcher: Watcher | None = None
_seconds: float | None = None


def wish(seconds: float | None) -> None:
    """Put what is wished in force: a warning after so many *seconds*; None: none."""
    global _watcher, _seconds
    before, _watcher, _seconds = _watcher, _started(seconds), seconds
    if before is not None:
        before.stop()


def _started(seconds: float | None) -> Watcher | None:
    if seconds is None:
        return None
    from ._watch import Watcher

    watcher = Watcher(min(max(seconds * _SHARE, _SHORTEST), _LONGEST), Alarm(seconds).look)
    watcher.start()
    return watcher


def wished() -> float | None:
    """Return what is in force."""
    return _seconds


def heed_environment() -> None:
    """Put in force what SAFESOCKET_WARN_AFTER says, if anything."""
    text = os.environ.get("SAFESOCKET_WARN_AFTER")
    if text is None or text.strip().lower() in ("none", "forever"):
        return
    try:
        wish(checked(float(text)))
    except ValueError:
        wanted = "more than 0 seconds, such as 2.5, or 'forever'"
        raise ValueError(
            f"environment variable SAFESOCKET_WARN_AFTER must be {wanted}, not {text!r}"
        ) from None
