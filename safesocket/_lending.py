"""The timeout in C of a TLS socket, lent to safesocket while the program's mode is blocking.

MSG_DONTWAIT does not reach through TLS: a read that has half a record would sleep in C for
ever. So a TLS socket under a limit gets a timeout in C, and the program is shown the mode that
it has set itself. What is kept here:

* The timeout in C is a slice of a wait, never the limit: each operation keeps its own limit by
  the clock, so two threads in the two directions cannot spoil each other's.
* A slice is only ever made shorter, down to 0: then OpenSSL never sleeps and ``_tls`` polls.
  Inside ``with timeouts(...)`` or after a slice has run out it is 0.

Only this is here; the operations are ``_tls``'s.
"""

from __future__ import annotations

import _socket
from ssl import SSLSocket

from . import _system, _timeouts
from ._failing import mode_of
from ._route import note, noted, recall
from ._scope import READ, WRITE
from ._wait import governing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def settle(sock: SSLSocket) -> None:
    """Choose the timeout in C for the limits of now, if *sock* is in blocking mode."""
    known = note(sock)
    known.term = _timeouts.epoch
    if not may_be_lent(sock):
        return
    if _timeouts.blocks():
        lend(sock, 0.0)
        return
    limits = (governing(sock, READ), governing(sock, WRITE))
    slices = [limit.seconds for limit in limits if limit is not None and limit.seconds is not None]
    if slices:
        lend(sock, min(slices))


def may_be_lent(sock: SSLSocket) -> bool:
    """Tell whether *sock* is in blocking mode, and the program has not set up its waits itself."""
    if mode_of(sock) is not None:
        return False
    known = recall(sock)
    if known is not None and known.lent:
        return True
    return not (
        _system.waits_by_itself(sock, _socket.SO_RCVTIMEO)
        or _system.timeout_of(sock, _socket.SO_SNDTIMEO) is not None
    )


def lend(sock: SSLSocket, seconds: float) -> None:
    """Let C give up after *seconds*, or sooner, if that has been said before."""
    known = note(sock)
    now = _system.gettimeout(sock)
    if not known.lent or now is None or seconds < now:
        known.lent = True  # first: what asks for the mode meanwhile must not see the slice
        _system.settimeout(sock, seconds)


def poll_from_now_on(sock: SSLSocket) -> None:
    """Let C not wait at all, unless the program has taken the timeout back meanwhile."""
    known = recall(sock)
    if known is not None and known.lent:
        lend(sock, 0.0)


def give_back(sock: SSLSocket) -> None:
    """Let the descriptor have the mode that the program has set."""
    known = recall(sock)
    if known is None or not known.lent:
        return
    known.lent = False
    known.term = None
    if _system.fileno(sock) >= 0:
        _system.settimeout(sock, None)


def give_all_back() -> None:
    """Let every socket of the stdlib's own class have the mode that the program has set."""
    for sock, known in noted():
        if known.lent and type(sock).read is SSLSocket.read:  # type: ignore[attr-defined]
            give_back(sock)  # type: ignore[arg-type]


def gettimeout(self: SSLSocket, /) -> float | None:
    """Return the timeout that the program has set, in seconds; None in blocking mode.

    Source: Python ``socket.gettimeout``.
    """
    return mode_of(self)


def getblocking(self: SSLSocket, /) -> bool:
    """Tell whether the socket is in blocking mode, or has a timeout.

    Source: Python ``socket.getblocking``.
    """
    return mode_of(self) != 0


timeout: Any = property(gettimeout, doc="The timeout that the program has set, in seconds.")
