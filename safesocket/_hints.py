"""What to look at next: one hint for each thing that can have happened, as a table.

A hint must never be wrong about what happened: it says what the errno means in this phase on
this sort of socket, and where there are several causes it names them as alternatives. Only text
and the choice of it live here.
"""

from __future__ import annotations

import _socket

from . import errors as e

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._route import Route

_UNIX = getattr(_socket, "AF_UNIX", None)

_ALL = {
    e.HostNotFoundError: (
        "check the spelling of the host name; the name service answered that it knows no "
        "address for it"
    ),
    e.ResolverError: (
        "the name service could not answer, which says nothing about the name; check the "
        "network and the name servers of this machine, then try again"
    ),
    e.ResolveTimeoutError: (
        "the name service did not answer in time; check the network and the name servers of "
        "this machine"
    ),
    e.ReverseLookupError: (
        "no host name is registered for this address; most programs can do without"
    ),
    e.ConnectRefusedError: (
        "nothing is listening there, or a firewall rejects it; check host and port, and that "
        "the server runs"
    ),
    e.ConnectTimeoutError: (
        "no answer at all: the host is down, the address is wrong, a firewall drops the "
        "packets, or the server is too busy to accept"
    ),
    e.UnreachableError: (
        "there is no way to that address from here: check the address, this machine's network"
        " and routes, or whether a firewall says so"
    ),
    e.ConnectDeniedError: (
        "this machine forbids the connection: a local firewall, a sandbox, or a broadcast or "
        "reserved address"
    ),
    e.SocketPathError: (
        "there is no such path: check it, and that the server which creates the socket file runs"
    ),
    e.HandshakeTimeoutError: (
        "the other side accepted the connection and did not finish the TLS handshake: does it"
        " speak TLS on this port?"
    ),
    e.ReadTimeoutError: (
        "the connection stands and the other side is silent; if such silence is normal here, "
        "raise the limit for this socket: safesocket.set_timeouts(sock, read=seconds or "
        "FOREVER)"
    ),
    e.WriteTimeoutError: (
        "the other side takes no more data: its program is not reading, or the path is down; "
        "bytes_sent says how much the kernel had taken"
    ),
    e.PeerResetError: (
        "the other side cut the connection: it crashed, was restarted, closed with unread "
        "data, or something between rejected it"
    ),
    e.PeerClosedError: (
        "the connection was closed before this write: read what the other side said last, "
        "then connect again"
    ),
    e.PeerLostError: (
        "nothing came back from the other side for so long that the kernel gave the "
        "connection up: host or path is down"
    ),
    e.ConnectionAbortError: (
        "the connection was given up on this side before it was used: a client that left, or "
        "this system's network stack"
    ),
    e.MessageTooLargeError: (
        "one datagram cannot be this large: send smaller ones, or use a stream socket"
    ),
    e.AcceptTimeoutError: (
        "no client came in the time that settimeout() gave; a server that waits as long as it"
        " takes sets no timeout"
    ),
    e.AddressInUseError: (
        "another socket holds this address, perhaps of another process, or of a connection "
        "that has just ended; SO_REUSEADDR helps with the latter"
    ),
    e.BindDeniedError: (
        "this process may not take that address: ports below 1024 need a privilege, a path "
        "needs a writable directory"
    ),
    e.AddressNotAvailableError: (
        "this machine has no such local address, or no local port is free for another connection"
    ),
    e.NotConnectedError: (
        "the socket is not connected: connect() was not called, has failed, or the connection"
        " has ended"
    ),
    e.AlreadyConnectedError: (
        "the socket is connected already: use a new socket for another connection"
    ),
    e.SocketClosedError: (
        "the socket had been closed or detached, here or in another thread; create a new one"
    ),
    e.ResourceError: (
        "the process or the system has run out of descriptors, ports or memory for sockets: "
        "look for sockets that are never closed, or raise the limit"
    ),
    e.OperationDeniedError: (
        "the system does not permit this operation: it needs a privilege, or a sandbox or "
        "firewall forbids it"
    ),
    e.SocketOperationError: "see the errno in the manual page of this operation",
}

_UNIX_HINTS = {
    e.ConnectRefusedError: (
        "the socket file is there and no program listens on it: the server has died or was "
        "restarted"
    ),
    e.ConnectTimeoutError: (
        "the server exists and accepts no one: its backlog is full; it is stuck or overloaded"
    ),
    e.ConnectDeniedError: (
        "this process may not write to that socket file: check its owner and mode"
    ),
    e.AddressInUseError: (
        "the path exists already: another server uses it, or an earlier one left it behind; "
        "remove it if nobody listens there"
    ),
}

_KERNEL_TIMEOUT = (
    "the kernel sent its attempts and nothing came back: the host is down, the address is "
    "wrong, or a firewall drops the packets"
)

_DATAGRAM_REFUSED = "an earlier datagram was rejected: nothing is listening on that port"

_BAD_LOOKUP = (
    "the look-up was asked in a way it cannot be answered: check the port or service name and"
    " the family, type and flags"
)
_BAD_LOOKUPS = {
    getattr(_socket, name, None)
    for name in ("EAI_SERVICE", "EAI_FAMILY", "EAI_SOCKTYPE", "EAI_BADFLAGS")
} - {None}


def hint_for(
    leaf: type[e.SafeSocketError], errno: int | None, route: Route, connecting: bool, kernel: bool
) -> str | None:
    """Return the hint for *leaf* on *route*; *kernel*: its timeout is the kernel's own."""
    if leaf is e.ResolverError and errno in _BAD_LOOKUPS:
        return _BAD_LOOKUP
    if leaf is e.SocketOperationError and errno is None:
        return None
    if leaf is e.ConnectTimeoutError and kernel:
        return _KERNEL_TIMEOUT
    if route.family == _UNIX and leaf in _UNIX_HINTS:
        return _UNIX_HINTS[leaf]
    if leaf is e.ConnectRefusedError and not connecting:
        return _DATAGRAM_REFUSED
    return _ALL.get(leaf)
