"""Who is told what was waited for and what has failed, if anybody is: the profiles that run.

Below everything that waits. While no profile runs ``recording`` is empty, and that test is all
that a wait pays; a call that does not wait never comes here. What becomes of the records is
``_profile``'s.
"""

from __future__ import annotations

from contextlib import suppress

from . import _system
from ._redaction import shown
from ._roles import ACCEPTED, BOUND, PAIRED
from ._route import all_notes, name_by, recall
from ._wording import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any, Protocol

    from .errors import SafeSocketError

    class Recorder(Protocol):
        """A profile that runs."""

        def add(self, batch: list[Any]) -> None: ...
        def failed(self, error: SafeSocketError) -> None: ...
        def superseded(self, started: float) -> None: ...


#: the profiles that run
recording: list[Recorder] = []

#: Of each wait: peer, phase, start and end (seconds of ``_system.now``), one after the other. Flat,
#: since 1,000 tuples would call the garbage collector, and added at once, so that no two threads
#: mix theirs.
log: list[Any] = []
_add = log.extend

_now = _system.now

#: seconds; what takes less has not slept: falling asleep and waking up take as long
_INSTANT = 10e-6

NOBODY = "(not connected)"
ITSELF = "(socket pairs)"


def recorded(sock: Socket, phase: str, started: float) -> None:
    """Record that *sock* has waited for *phase* since *started*."""
    known = recall(sock)
    _add(((known and known.peer) or named(sock), phase, started, _now()))


def recorded_to(address: Any, phase: str, started: float) -> None:
    """Record a wait for *address*, as the program has asked for it."""
    _add((called(address), phase, started, _now()))


def recorded_call(sock: Socket, phase: str, started: float, target: Any = None) -> None:
    """Record what may have waited since it was *started*, for *target* if that is not the peer."""
    if _now() - started < _INSTANT or _system.gettimeout(sock) == 0:
        return
    if target is None:
        recorded(sock, phase, started)
    else:
        recorded_to(target, phase, started)


def recorded_from_c_on(sock: Socket, phase: str, started: float) -> None:
    """Record a wait that began within a call in C, and so may have been seen from outside, too."""
    recorded(sock, phase, started)
    for one in tuple(recording):
        one.superseded(started)


def recorded_failure(error: SafeSocketError) -> None:
    """Record that *error* is told to the program, unless that is on record."""
    if error._recorded:
        return
    error._recorded = True
    with suppress(Exception):  # the failure that is being told is worth more than this one
        for one in tuple(recording):
            one.failed(error)


# --- Names --------------------------------------------------------------------------------------


def named(sock: Socket) -> str:
    """Return what the peer of *sock* is called; remember it if anything is of that socket."""
    known = recall(sock)
    if known is None:
        return called(name_by(_system.getpeername, sock))
    if known.role in (ACCEPTED, BOUND):
        known.peer = clients_of(shown(name_by(_system.getsockname, sock)))
    elif known.role == PAIRED:
        known.peer = ITSELF
    else:
        known.peer = called(known.asked or known.address or name_by(_system.getpeername, sock))
    return known.peer


def called(address: Any) -> str:
    """Return what the peer at *address* is called: ``host:port``, as the program asked for it."""
    address = shown(address)
    if isinstance(address, tuple) and len(address) == 2 and address[1] is None:
        address = address[0]  # a look-up of a host alone
    try:
        return place(address or None) or NOBODY
    except Exception:  # of what the program took for an address; C has said what is wrong with it
        return NOBODY


def clients_of(local: Any) -> str:
    """Return what those are called who connect to *local*, which may be shown."""
    return f"clients of {place(local)}" if local else "clients"


def forget_names() -> None:
    """Let every peer be named anew: what may be shown of hosts has changed."""
    for known in all_notes():
        known.peer = None
