"""Calls that may wait for ever, cut by a signal; nothing else.

A signal whose handler raises takes nothing off a socket and puts nothing there: the one way to
leave a wait of the stdlib's as if it had not begun.
"""

from __future__ import annotations

import signal


class StillWaitsError(BaseException):
    """What ends a call that has waited for too long."""


_armed = False
_rang = False


def _ring(*_):
    global _armed, _rang
    _rang = True
    if _armed:
        _armed = False
        raise StillWaitsError


def was_cut():
    """Tell whether the call that has just failed was cut: C may have an error for it."""
    return _rang


def prepare():
    """Let the signal end calls from now on."""
    signal.signal(signal.SIGALRM, _ring)


def cut(call, seconds):
    """Return what *call* returns; end it with StillWaitsError after *seconds*."""
    global _armed, _rang
    try:
        _armed, _rang = True, False
        # Again and again: the first one may end a write that has been taken in part, no more.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.02)
        return call()
    finally:
        _armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
