"""Calls that may wait for ever, cut by a signal; nothing else.

A signal whose handler raises takes nothing off a socket and puts nothing there: the one way to
leave a wait of the stdlib's as if it had not begun.
"""

from __future__ import annotations

import signal


class StillWaitsError(BaseException):
    """What ends a call that has waited for too long."""


_armed = False


def _ring(*_):
    if _armed:
        raise StillWaitsError


def prepare():
    """Let the signal end calls from now on."""
    signal.signal(signal.SIGALRM, _ring)


def cut(call, seconds):
    """Return what *call* returns; end it with StillWaitsError after *seconds*."""
    global _armed
    try:
        _armed = True
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return call()
    finally:
        _armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
