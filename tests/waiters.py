"""What the tests of waits share: a wait in a thread of its own, and a look at it."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from functools import partial
from socket import SHUT_RDWR

import safesocket
from tests.helpers import GUARD, calling

HERE = os.path.dirname(__file__)
WHOLE = 30.0  # seconds; a limit that no test reaches
BRIEF = 0.3  # seconds; a limit by which a wait ends that nothing else can end


def until(condition, pause=0.001):
    """Return the first truth that *condition* tells."""
    end = time.monotonic() + GUARD / 2
    while not (found := condition()):
        assert time.monotonic() < end, "it has not come"
        time.sleep(pause)
    return found


def here(**wanted):
    """Return the one wait of this file's code that has these attributes; None without."""
    found = [
        wait
        for wait in safesocket.waiting()
        if wait.filename.startswith(HERE)
        and wanted.items() <= {n: getattr(wait, n) for n in wanted}.items()
    ]
    assert len(found) < 2
    return found[0] if found else None


def lasts(seconds):
    """Return the wait of this file's code, if it has lasted for so many seconds."""
    wait = here()
    return wait if wait and (wait.elapsed or 0.0) >= seconds else None


def another_than(*keys):
    """Return the wait of this file's code, if it is none of these."""
    wait = here()
    return wait if wait and wait.key not in keys else None


@contextmanager
def a_wait(call, *args, end=None, **wanted):
    """Yield the Wait that *call* is, in a thread of its own; *end* lets it return."""

    def run():
        with suppress(OSError):
            call(*args)

    with calling(run) as future:
        try:
            yield until(partial(here, **wanted))
        finally:
            (end or (lambda: None))()
            future.result(GUARD)


def cut(sock):
    """Return what ends every wait on *sock*."""
    return partial(sock.shutdown, SHUT_RDWR)


def assert_limited(wait, source="configure", limit=WHOLE):
    """Check that *wait* has begun just now, under this limit."""
    assert wait.timeout == limit
    assert wait.timeout_source == source
    assert 0 <= (wait.elapsed or 0.0) < GUARD
    assert limit - GUARD < wait.left <= limit
    assert not wait.healthy
