"""The mode of a TLS socket, lent to safesocket while the program's is blocking.

MSG_DONTWAIT does not reach through TLS: a read that has half a record would sleep in C for
ever. So the descriptor of a TLS socket under a limit is non-blocking, ``_tls`` polls, and the
program is shown the mode that it has set itself. Only the mode is here; the operations are
``_tls``'s.

OpenSSL keeps what a call that would block wants in the connection, not in the call. A thread
that reads and one that writes overwrite it for each other, and a wait for data then looks like
the end of the stream: measured, once in some 10,000 reads. The stdlib with a ``settimeout`` has
this fault, without one it has not; so a lent socket has a lock, which is held during a try and
never during a wait.
"""

from __future__ import annotations

import _socket
import os
from _thread import RLock

from . import _exempt, _timeouts
from ._failing import mode_of
from ._route import all_notes, note, recall
from ._scope import READ, WRITE
from ._system import fileno, has_timeout, waits_by_itself
from ._system import settimeout as _set_timeout_in_c
from ._wait import governing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from ssl import SSLSocket
    from typing import Any

    from ._route import Note


def settle(sock: SSLSocket) -> Note:
    """Lend the mode of *sock*, if a limit may have to be kept now; return what is known of it."""
    known = note(sock)
    if known.lent or (known.term is _timeouts.epoch and not _timeouts.blocks()):
        return known
    known.term = None if _exempt.in_force() else _timeouts.epoch  # others' code may not be exempt
    if may_be_lent(sock) and any(governing(sock, phase) for phase in (READ, WRITE)):
        lend(sock)
    return known


def may_be_lent(sock: SSLSocket) -> bool:
    """Tell whether *sock* is in blocking mode, and the program has not set up its waits itself."""
    if mode_of(sock) is not None:
        return False
    return is_lent(sock) or not (
        waits_by_itself(sock, _socket.SO_RCVTIMEO) or has_timeout(sock, _socket.SO_SNDTIMEO)
    )


def is_lent(sock: SSLSocket) -> bool:
    """Tell whether the descriptor is non-blocking, and the program does not see it."""
    known = recall(sock)
    return known is not None and known.lent


def lend(sock: SSLSocket) -> None:
    """Let C never wait."""
    known = note(sock)
    if not known.lent:
        known.lock = known.lock or RLock()  # a signal handler may use the socket meanwhile
        known.lent = True  # first: what asks for the mode meanwhile must not see that of C
        _set_timeout_in_c(sock, 0)


def give_back(sock: Socket) -> None:
    """Let the descriptor have the mode that the program has set."""
    known = recall(sock)
    if known is None or not known.lent:
        return
    known.lent = False
    known.term = None
    if fileno(sock) >= 0:
        _set_timeout_in_c(sock, None)


def give_all_back(but: type[Socket]) -> None:
    """Let all descriptors have their modes, those of sockets of the class *but* excepted."""
    for known in all_notes():
        sock = known()
        if sock is not None and known.lent and not isinstance(sock, but):
            give_back(sock)


def _in_a_child() -> None:
    """Let nobody wait for a lock that a thread of the parent held at the fork."""
    for known in all_notes():
        known.lock = known.lock and RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


def gettimeout(self: SSLSocket) -> float | None:
    """Return the timeout that the program has set, in seconds; None in blocking mode.

    Source: Python ``socket.gettimeout``.
    """
    return mode_of(self)


def getblocking(self: SSLSocket) -> bool:
    """Tell whether the socket is in blocking mode, or has a timeout.

    Source: Python ``socket.getblocking``.
    """
    return mode_of(self) != 0


timeout: Any = property(gettimeout, doc="The timeout that the program has set, in seconds.")
