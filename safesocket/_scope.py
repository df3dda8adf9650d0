"""Which limit governs a wait: the one table of sockets and limits, as a pure function.

Nothing else lives here; ``docs/timeouts.md`` shows the same table to users and a test walks it
row by row. Limits are for a socket that talks to somebody else. Left in peace are the waits
that are healthy however long they last: a server's for its clients, a program's for itself.
"""

from __future__ import annotations

import _socket

from ._roles import ACCEPTED, ADOPTED, BOUND, CONNECTED, FRESH, PAIRED

READ = "read"
WRITE = "write"
HANDSHAKE = "handshake"

_STREAMS = {int(_socket.SOCK_STREAM), int(getattr(_socket, "SOCK_SEQPACKET", _socket.SOCK_STREAM))}
_DATAGRAM = int(_socket.SOCK_DGRAM)
_UNIX = getattr(_socket, "AF_UNIX", None)
_INTERNET = {
    int(getattr(_socket, name))
    for name in ("AF_INET", "AF_INET6", "AF_VSOCK")
    if hasattr(_socket, name)
}

#: (role, is a datagram socket) -> the limits of its reads and of its writes; None: unlimited.
_TABLE: dict[tuple[str, bool], dict[str, str | None]] = {
    (CONNECTED, False): {READ: "read", WRITE: "write"},
    (CONNECTED, True): {READ: "read", WRITE: "write"},
    (ACCEPTED, False): {READ: "serve", WRITE: "write"},
    # An adopted descriptor may be a server's, handed over by inetd, systemd or a parent.
    (ADOPTED, False): {READ: "serve", WRITE: "write"},
    (ADOPTED, True): {READ: None, WRITE: None},
    (PAIRED, False): {READ: None, WRITE: None},  # of TCP, where there is nothing better
    (PAIRED, True): {READ: None, WRITE: None},
    (BOUND, False): {READ: "read", WRITE: "write"},  # a client that chose its own port
    (BOUND, True): {READ: None, WRITE: None},  # a datagram server
    (FRESH, False): {READ: "read", WRITE: "write"},
    (FRESH, True): {READ: "read", WRITE: "write"},  # a datagram client
}


def governs(phase: str, role: str, family: int, kind: int, named: bool) -> str | None:
    """Return the name of the limit for *phase* (READ, WRITE, HANDSHAKE), None for unlimited.

    *kind* is the socket's type; *named* tells whether an AF_UNIX socket has a path at either
    end: without one it is half of a ``socketpair``, the program talking to itself.
    """
    if not talks_to_others(family, kind, named):
        return None
    if phase == HANDSHAKE:  # a server's, too: a client that never speaks would stall its loop
        return None if role == PAIRED else HANDSHAKE
    return _TABLE[role, kind == _DATAGRAM][phase]


def talks_to_others(family: int, kind: int, named: bool) -> bool:
    """Tell whether sockets of this sort have limits at all: not raw, netlink, packet, CAN, …"""
    if kind not in _STREAMS and kind != _DATAGRAM:
        return False
    return family in _INTERNET or (family == _UNIX and named)
