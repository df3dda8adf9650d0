"""Whom a socket talks to: what is remembered of each socket, and the route read after a failure.

Only memory and reading live here: no limit is chosen, nothing waits, nothing is raised.

After a reset ``getpeername()`` fails and nobody can tell an accepted connection from one that
was made, so ``connect``, ``accept`` and ``bind`` leave a note. Plain ``socket.socket`` objects
have neither ``__dict__`` nor room for attributes, so the notes hang in one map by identity: a
subclass may define ``__eq__`` or be unhashable, which a WeakKeyDictionary would trip over.
"""

from __future__ import annotations

import _socket
from weakref import ref

from ._hosts import is_number
from ._plain import plain, split
from ._roles import FRESH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

    from ._tcpinfo import Facts
    from ._timeouts import Limits

_getpeername = _socket.socket.getpeername
_getsockname = _socket.socket.getsockname
_family: Callable[[Socket], int] = vars(_socket.socket)["family"].__get__
_kind: Callable[[Socket], int] = vars(_socket.socket)["type"].__get__


#: how the mode of a TLS socket is lent (``_lending``): the kernel keeps the limits, or a poll does
LENT, POLLED = "lent", "polled"


class Note(ref["Socket"]):
    """What is remembered of one socket; the weak reference that removes it, too.

    One object for both: measured, a socket's note costs half the memory of an entry of a
    WeakKeyDictionary with a separate value.
    """

    __slots__ = (
        "address",
        "asked",
        "forever",
        "key",
        "lent",
        "limits",
        "lock",
        "own",
        "peer",
        "role",
        "term",
    )

    key: int
    role: str
    asked: Any  #: the address as the program gave it
    address: Any  #: the sockaddr of the peer, where it differs from *asked*
    limits: Limits | None  #: of set_timeouts()
    forever: bool  #: settimeout(None) or settimeout(FOREVER) was called by the program
    lent: str | None  #: TLS: the mode in C is safesocket's, LENT or POLLED
    own: float | None  #: TLS: the timeout that the program has set, while *lent*
    peer: str | None  #: what a profile calls the other side, once one has asked
    lock: Any  #: TLS: held during a try, while it is POLLED
    term: object  #: TLS: the epoch of the limits by which it was decided whether to lend


_notes: dict[int, Note] = {}


def _forget(note: Note, notes: dict[int, Note] = _notes) -> None:
    # Runs before the socket's memory is freed, so the key cannot be somebody else's yet.
    notes.pop(note.key, None)


def recall(sock: Socket) -> Note | None:
    """Return the note about *sock*, if there is one."""
    found = _notes.get(id(sock))
    if found is None or found() is None:  # a signal's handler has raised where _forget begins
        return None
    return found


def note(sock: Socket) -> Note:
    """Return the note about *sock*; make it if there is none."""
    found = recall(sock)
    if found is None:
        found = Note(sock, _forget)
        found.key = id(sock)
        found.role = FRESH
        found.asked = found.address = found.limits = None
        found.forever = False
        found.lent = found.lock = found.own = found.peer = found.term = None
        found = _entered(found)
    return found


def _entered(made: Note) -> Note:
    """Return *made*, or what another thread or a signal's handler has noted meanwhile."""
    found = _notes.setdefault(made.key, made)
    if found() is None:
        found = _notes[made.key] = made
    return found


def is_lent(sock: Socket) -> bool:
    """Tell whether the mode of *sock* is not the one that the program has set: TLS."""
    known = recall(sock)
    return known is not None and known.lent is not None


def all_notes() -> list[Note]:
    """Return the notes about all sockets."""
    return list(_notes.values())


def carry_over(source: Socket, target: Socket) -> None:
    """Let *target*, a duplicate of *source*, be remembered as *source* is."""
    known = recall(source)
    if known is None:
        _notes.pop(id(target), None)
        return
    copied = note(target)
    for name in ("role", "asked", "address", "limits", "forever"):
        setattr(copied, name, getattr(known, name))


class Route:
    """The two ends of a failed operation, and what is known of them: plain values.

    *asked* and *address* may be the program's; *local* is C's, which has no others.
    """

    __slots__ = (
        "address",
        "family",
        "finding",
        "host",
        "kind",
        "local",
        "port",
        "role",
        "server_name",
        "tcp",
    )

    finding: str | None  #: what a look around has shown of the cause

    def __init__(
        self,
        family: int = 0,
        kind: int = 0,
        asked: Any = None,
        address: Any = None,
        local: Any = None,
        role: str = FRESH,
        server_name: str | None = None,
        tcp: Facts | None = None,
    ) -> None:
        self.family = family
        self.kind = kind
        self.address = plain(address)
        self.local = local
        self.role = role
        self.server_name = server_name  # that TLS asks for
        self.tcp = tcp
        self.finding = None
        self.host, self.port = split(asked)


def is_numeric(address: Any) -> bool:
    """Tell whether *address* is a socket address that needs no look-up."""
    host, port = split(address)
    if port is None or isinstance(host, int):
        return host is not None  # a path; the numbers of AF_VSOCK
    return is_number(host)


def route_of(sock: Socket, target: Any = None, tried: Any = None) -> Route:
    """Return the route of *sock*, or to *target* where the operation names one itself.

    *tried* is the address that a name in *target* stood for.
    """
    known = recall(sock)
    role = known.role if known else FRESH
    asked = target if target is not None else known and known.asked
    address = asked if is_numeric(asked) else tried
    if target is None and address is None:
        address = (known and known.address) or name_by(_getpeername, sock)
    local, server_name = name_by(_getsockname, sock), getattr(sock, "server_hostname", None)
    return Route(_family(sock), _kind(sock), asked, address, local, role, server_name)


def name_by(read: Any, sock: Socket) -> Any:
    """Return the address that *read*, getsockname or getpeername, has for *sock*; None if none."""
    try:
        return read(sock) or None
    except OSError:  # closed, not connected, or no longer connected
        return None
