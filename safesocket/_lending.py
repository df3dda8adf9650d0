"""The mode of a TLS socket, lent to safesocket while it keeps a limit.

MSG_DONTWAIT does not reach through TLS: a read that has half a record would sleep in C for
ever. So a TLS socket under a limit has a mode of safesocket's, and the program is shown the one
that it has set itself. There are two; the operations that bear with them are ``_tlsio``'s.

* The kernel's: the descriptor blocks, SO_RCVTIMEO and SO_SNDTIMEO are the limits, and C is told
  not to wait on top of that. It costs no system call: a socket that does not block needs two or
  three to wait, measured as 15 to 60 % of a round trip of 64 bytes.
* Polled: the descriptor does not block, and ``_tlswait`` polls. For what the kernel cannot know: a
  limit on a whole call, one of this thread only, and all that comes after a limit has run out.

OpenSSL keeps what a call that would block wants in the connection, not in the call. A thread
that reads and one that writes overwrite it for each other, and a wait for data then looks like
the end of the stream: measured, once in some 10,000 reads, of the stdlib with a ``settimeout``,
too. So a polled socket has a lock, which is held during a try and never during a wait.
"""

from __future__ import annotations

import _socket
import os
from _thread import RLock

from . import _exempt, _timeouts
from ._deadline import running, what_is_left
from ._failing import mode_of
from ._route import LENT, POLLED, all_notes, note, recall
from ._scope import READ, WRITE
from ._system import (
    clear_timeouts,
    fileno,
    is_nonblocking,
    set_blocking,
    set_mode,
    set_timeout,
    timeout_of,
)
from ._system import gettimeout as gettimeout_in_c
from ._system import settimeout as settimeout_in_c
from ._wait import check_deadline, governing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from ssl import SSLSocket
    from typing import Any

    from ._route import Note
    from ._timeouts import Limit

_OPTIONS = (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO)
#: held while a mode is lent: two threads that begin at once, one to read and one to write, would
#: leave a descriptor that blocks to one that polls, or two locks to one connection
_turn = RLock()


def settle(sock: SSLSocket, operation: str, bytes_sent: int | None = None) -> Note:
    """Lend the mode of *sock*, if a limit may have to be kept now; return what is known of it.

    Raises the timeout of *operation* if the deadline is over.
    """
    known = note(sock)
    if running and check_deadline(sock, operation, bytes_sent=bytes_sent) is not None:
        poll_in_time(sock, READ)
    if known.lent is POLLED or (known.term is _timeouts.epoch and not _timeouts.blocks()):
        return known
    known.term = None if _exempt.in_force() else _timeouts.epoch  # others' code may not be exempt
    if may_be_lent(sock):
        limits = [governing(sock, phase) for phase in (READ, WRITE)]
        if _timeouts.blocks() or not _leave_it_to_the_kernel(sock, known, limits):
            poll(sock)
    return known


def _leave_it_to_the_kernel(sock: SSLSocket, known: Note, limits: list[Limit | None]) -> bool:
    """Let the kernel keep *limits*; return False if it cannot."""
    if not any(limits) and not known.lent:
        return True
    for option, limit in zip(_OPTIONS, limits, strict=True):
        seconds = limit.seconds if limit else None
        if option == _socket.SO_SNDTIMEO and seconds is not None:
            seconds /= 2  # it returns what it took of a record, and OpenSSL tries once more
        if not set_timeout(sock, option, seconds):
            return False
    with _turn:
        if not known.lent:
            known.lent = LENT  # first: what asks for the mode meanwhile must not see that of C
            set_mode(sock, 0)
            set_blocking(fileno(sock))
    return True


def may_be_lent(sock: SSLSocket) -> bool:
    """Tell whether *sock* is in blocking mode, and the program has not set up its waits itself."""
    if mode_of(sock) is not None:
        return False
    known = recall(sock)
    return (known is not None and known.lent is not None) or not (
        is_nonblocking(sock) or any(timeout_of(sock, option) is not None for option in _OPTIONS)
    )


def poll_in_time(sock: SSLSocket, phase: str) -> None:
    """Let neither C nor the kernel wait, if *sock* has a limit for *phase* that is ours to keep."""
    own = mode_of(sock)
    if own is None:
        if governing(sock, phase) is not None and may_be_lent(sock):
            poll(sock)
    elif own and what_is_left() is not None:
        poll(sock)


def poll(sock: SSLSocket) -> None:
    """Let neither C nor the kernel wait, from now on."""
    known = note(sock)
    if known.lent is POLLED:
        return
    with _turn:
        if not known.lent:
            known.own = gettimeout_in_c(sock)
        known.lock = known.lock or RLock()  # a signal handler may use the socket meanwhile
        known.lent = known.lent or LENT
        set_mode(sock, 0)
        known.lent = POLLED  # last: who sees this makes a try, with the lock, that must not wait


def give_back(sock: Socket) -> None:
    """Let the descriptor have the mode that the program has set."""
    known = recall(sock)
    if known is None or not known.lent:
        return
    known.lent = known.term = None
    try:  # by C alone: a signal's handler may raise where a function in Python begins
        settimeout_in_c(sock, known.own)
        clear_timeouts(sock)
    except OSError:  # closed; the mode is set even so
        if fileno(sock) >= 0:
            raise
    known.own = None


def give_all_back(but: type[Socket]) -> None:
    """Let all descriptors have their modes, those of sockets of the class *but* excepted."""
    for known in all_notes():
        sock = known()
        if sock is not None and known.lent and not isinstance(sock, but):
            give_back(sock)


def _in_a_child() -> None:
    """Let nobody wait for a lock that a thread of the parent held at the fork."""
    global _turn
    _turn = RLock()
    for known in all_notes():
        known.lock = known.lock and RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


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
