"""A limit as a value: how long, for what, whose; and which numbers can be one.

Nothing of time or of sockets is known here. Who decides is ``_timeouts``', what a deadline
leaves of a limit ``_deadline``'s.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Wait for ever, on purpose: in Timeouts, ``settimeout``, anywhere a limit may stand.
FOREVER = math.inf


class Limit:
    """One limit in force: how long, for what, and who set it.

    ``seconds`` is how long the wait may be, None where there is no limit; ``field`` is a name of
    Timeouts, or "" for a limit on everything; ``source`` is the ``timeout_source`` of errors,
    and ``whole`` their ``timeout``: of a deadline the whole budget, of which ``seconds`` are left.
    """

    __slots__ = ("field", "seconds", "source", "whole")

    def __init__(
        self, seconds: float | None, field: str, source: str, whole: float | None = None
    ) -> None:
        self.seconds = seconds
        self.field = field
        self.source = source
        self.whole = seconds if whole is None else whole


def checked(name: str, value: Any) -> float | None:
    """Return the limit *value* in seconds, None for none; *name* is for the complaint."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{name} must be seconds (int or float), FOREVER or None, not {_shown(value)}"
        )
    if not value >= 0:  # negative, or not a number
        raise ValueError(f"{name} must be 0 or more seconds, FOREVER or None, not {_shown(value)}")
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return None if seconds == FOREVER else seconds


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # an int of more digits than sys.set_int_max_str_digits allows
        return f"that {type(value).__name__}"
