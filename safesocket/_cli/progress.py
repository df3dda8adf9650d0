"""What a command waits for, on one line of the terminal that is gone when the wait is over.

Only where stderr is a terminal; elsewhere nothing is ever written.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .table import WIDTH

_PATIENCE = 1.0  # seconds; who sees an answer within that misses nothing


@contextmanager
def waiting(what: str, limit: float | None) -> Iterator[None]:
    """Tell, while the block takes its time, that it waits for *what*, *limit* seconds at most."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(done, what, limit), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(done: threading.Event, what: str, limit: float | None) -> None:
    began = time.monotonic()
    whole = "" if limit is None else f" of {round(limit, 1):g} s"
    line = ""
    while not done.wait(_PATIENCE):
        line = f"{what} … {int(time.monotonic() - began)} s{whole}"[: WIDTH - 1].ljust(len(line))
        _write(f"\r{line}")
    if line:
        _write(f"\r{' ' * len(line)}\r")


def _write(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
