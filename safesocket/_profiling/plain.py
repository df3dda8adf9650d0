"""A profile as plain values, ready for JSON, and as a file."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session
    from .tally import Tally

#: raised when a reader of the files would have to change
VERSION = 1


def to_dict(session: Session) -> dict[str, Any]:
    """Return all that *session* knows."""
    tally = session.tally()
    rows = tally.rows()
    return {
        "version": VERSION,
        "program": os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else "",
        "process": session.process,
        "python": platform.python_version(),
        "began": datetime.fromtimestamp(session.date, UTC).isoformat(timespec="milliseconds"),
        "seconds": _rounded(session.seconds()),
        "waited": _rounded(sum(row.waited for row in rows)),
        "looked_up": _rounded(sum(row.waited for row in rows if row.phase == "resolve")),
        "rows": [
            {**row._asdict(), "waited": _rounded(row.waited), "longest": _rounded(row.longest)}
            for row in rows
        ],
        "saved": [one._asdict() for one in tally.saved()],
        "timeline": _timeline(tally),
    }


def _timeline(tally: Tally) -> dict[str, Any]:
    waits, began = tally.timeline.waits(), tally.began
    return {
        "waits": [
            {
                "peer": wait.peer,
                "phase": wait.phase,
                "start": _rounded(max(wait.started - began, 0.0)),
                "seconds": _rounded(wait.ended - max(wait.started, began)),
            }
            for wait in waits
        ],
        "waits_left_out": tally.timeline.count - len(waits),
        "failures": [
            {
                "peer": failure.peer,
                "phase": failure.phase,
                "at": _rounded(max(failure.when - began, 0.0)),
                "error": failure.kind,
                "text": failure.text,
            }
            for failure in tally.timeline.failures
        ],
    }


def _rounded(seconds: float) -> float:
    return round(seconds, 6)


def as_json(session: Session) -> str:
    """Return all that *session* knows, as JSON."""
    return json.dumps(to_dict(session), indent=1) + "\n"
