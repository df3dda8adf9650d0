"""One program of the demo in a process of its own: what it printed, what it met, how long it took.

    python -P child.py MODULE PATIENCE PROGRAM

Run as a script and never imported from the package, so that a run with the stdlib has nothing of
safesocket in it. MODULE is imported before the clock starts: an import is not what is measured.
The program runs as it is, under its own name; the error is noted where it reaches the program's
lines, whether those catch it or not. Nothing is judged here: one line of JSON says it all.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import threading
import time
from contextlib import redirect_stdout, suppress
from types import FrameType
from typing import Any

_PROGRAM = "<program>"
_STDOUT = 1


class Run:
    """A program, and what can be said of it so far."""

    def __init__(self, program: str) -> None:
        self._code = compile(program, _PROGRAM, "exec")
        self._printed = io.StringIO()
        self._error: BaseException | None = None
        self._began = time.monotonic()

    def to_its_end(self) -> None:
        """Run the program until it ends, one way or the other."""
        other = sys.gettrace()  # a debugger's, or coverage's
        sys.settrace(self._trace)
        with redirect_stdout(self._printed), suppress(Exception):
            exec(self._code, {"__name__": "__main__"})  # noqa: S102 (what this is for)
        sys.settrace(other)

    def _trace(  # pragma: no cover (coverage is a trace function itself)
        self, frame: FrameType, event: str, arg: Any
    ) -> Any:
        if frame.f_code.co_filename != _PROGRAM:
            return None
        if event == "exception":
            self._error = arg[1]
        return self._trace

    def facts(self, *, waiting: bool) -> dict[str, Any]:
        """Return all that is known; *waiting*: the program has not come to its end."""
        error = self._error
        return {
            "waiting": waiting,
            "elapsed": time.monotonic() - self._began,
            "printed": self._printed.getvalue().strip(),
            "classes": [] if error is None else [cls.__name__ for cls in type(error).__mro__],
            "text": "" if error is None else str(error),
            "hint": getattr(error, "hint", None) or "",
        }


def main(module: str, patience: str, program: str) -> None:
    """Run *program*, for *patience* seconds at most, and report."""
    importlib.import_module(module)
    run = Run(program)
    watchdog = threading.Timer(float(patience), _cut_off, [run])
    watchdog.daemon = True
    watchdog.start()
    run.to_its_end()
    watchdog.cancel()
    _report(run.facts(waiting=False))


def _cut_off(run: Run) -> None:
    _report(run.facts(waiting=True))
    os._exit(0)  # the main thread is in a system call that may never return


def _report(facts: dict[str, Any]) -> None:
    os.write(_STDOUT, f"{json.dumps(facts)}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
