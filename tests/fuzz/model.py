"""Which waits have a limit: docs/timeouts.md once more, in other words; nothing else.

What decides is how the socket came to be and what the program has said since; ``scene`` keeps it.
"""

from __future__ import annotations

import os
import socket
from socket import (
    AF_UNIX,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)

from tests.fuzz.scene import GUARD, PATIENCE

_OPTIONS = {"read": SO_RCVTIMEO, "write": SO_SNDTIMEO}


def patience(scene, phase, flags=0):
    """Return after how many seconds a wait is cut, and whether a limit should have ended it."""
    if phase is None or scene.sock.gettimeout() is not None:
        return GUARD, False
    if phase == "sendfile":  # which waits whatever the program has set up behind Python's back
        is_limited = scene.kind == SOCK_STREAM and _is_limited(scene, "write")
        limited = scene.world.is_safe and is_limited
        return (GUARD, True) if limited else (PATIENCE * scene.scale, False)
    if _waits_by_itself(scene, phase):
        return GUARD, False
    # Nothing looks at an error queue on AF_UNIX, where the flag means nothing: not modelled.
    is_odd = scene.family == AF_UNIX and flags & MSG_ERRQUEUE
    if scene.world.is_safe and _is_limited(scene, phase) and not is_odd:
        return GUARD, True
    return PATIENCE * scene.scale, False


def takes_all(scene, flags):
    """Tell whether a send waits until all of it is taken, or for SO_SNDTIMEO."""
    if scene.kind != SOCK_STREAM or scene.tls or scene.sock.gettimeout() is not None:
        return False
    return scene.fd() >= 0 and os.get_blocking(scene.fd()) and not flags & MSG_DONTWAIT


def _waits_by_itself(scene, phase):
    """Tell whether the program has set up the wait behind Python's back."""
    fd = scene.fd()
    if fd < 0:
        return True
    if scene.tls:
        return False
    option = _OPTIONS.get(phase)
    timeout = option and socket.socket.getsockopt(scene.sock, SOL_SOCKET, option, 16)
    return not os.get_blocking(fd) or any(timeout or b"")


def _is_limited(scene, phase):
    if scene.forever or not scene.is_named or phase == "accept" or scene.role == "paired":
        return False
    if phase in ("handshake", "connect"):
        return True
    if scene.kind == SOCK_DGRAM:
        return scene.role in ("connected", "open")
    return phase == "write" or scene.role not in ("accepted", "adopted")
