"""What to look at next: one hint for each thing that can have happened, as a table.

A hint must never be wrong about what happened: it says what the errno means in this phase on
this sort of socket, and where there are several causes it names them as alternatives. Only text
and the choice of it live here.
"""

from __future__ import annotations

import _socket

from . import _tcphints, _tlshints
from . import errors as e
from ._addresses import NAMES
from ._hostnames import oddity
from ._roles import ACCEPTED, BOUND, FRESH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._route import Route

_UNIX = getattr(_socket, "AF_UNIX", None)

_SPELLING = (
    ": check its spelling, and for an internal name which name servers this machine asks (VPN, "
    "resolv.conf)"
)
_NONE_OF_A_FAMILY = (
    "no {family} address is known for this host name, which may have others" + _SPELLING
)

_HINTS: dict[type[e.SafeSocketError], str] = {
    e.HostNotFoundError: "no address is known for this host name" + _SPELLING,
    e.ResolverError: (
        "the name service could not answer, which says nothing about the name: check the "
        "network and the name servers of this machine, then try again"
    ),
    e.ResolveTimeoutError: (
        "the name service did not answer in time: check the network and the name servers of "
        "this machine"
    ),
    e.ReverseLookupError: (
        "no host name is registered for this address; most programs can do without"
    ),
    e.ConnectRefusedError: (
        "nothing is listening there, or a firewall rejects it: check host and port, and that "
        "the server runs"
    ),
    e.ConnectTimeoutError: (
        "no answer: the host is down, the address is wrong, a firewall drops the packets, or "
        "the server is too busy to accept"
    ),
    e.UnreachableError: (
        "there is no way to that address from here: check the address, this machine's network"
        " and routes; a firewall may say so, too"
    ),
    e.ConnectDeniedError: (
        "this machine forbids the connection: a local firewall, a route of type prohibit, a "
        "sandbox, or a broadcast address without SO_BROADCAST"
    ),
    e.SocketPathError: (
        "there is no such path: check it, and that the server which creates the socket file runs"
    ),
    e.HandshakeTimeoutError: (
        "the connection is there, and the other side did not finish the TLS handshake: it does "
        "not speak TLS on this port, or is stuck or overloaded"
    ),
    e.ReadTimeoutError: ("nothing came from the other side: it is silent, stuck or gone"),
    e.WriteTimeoutError: (
        "the other side takes no more data: its program does not read, or the path is down"
    ),
    e.AcceptTimeoutError: (
        "no client came in time; a server that waits as long as it takes sets no timeout"
    ),
    e.SocketTimeoutError: (
        "the limit was too short for this operation, or the other side is stuck"
    ),
    e.PeerResetError: (
        "the other side cut the connection: it crashed, was restarted, closed with unread "
        "data, or something between rejected it"
    ),
    e.PeerClosedError: (
        "the connection had been closed for writing before this: by the other side, or here "
        "with shutdown(); what is still to be sent needs a new connection"
    ),
    e.PeerLostError: (
        "nothing came back from the other side for so long that the kernel gave the "
        "connection up: host or path is down"
    ),
    e.ConnectionAbortError: (
        "the connection was given up on this side: by a client that left before it was "
        "accepted, or by this system's network stack"
    ),
    e.MessageTooLargeError: (
        "too much at once: a datagram larger than the network takes, or more buffers than one"
        " sendmsg takes"
    ),
    e.AddressInUseError: (
        "another socket holds this local address: of a second instance of this program, of "
        "another process (ss -ltunp or lsof -i tell), or of a connection that has just ended; "
        "SO_REUSEADDR helps with the latter (on Linux, if that had set it, too)"
    ),
    e.BindDeniedError: (
        "this process may not take that address: ports below 1024 need a privilege, a path "
        "needs a writable directory"
    ),
    e.AddressNotAvailableError: (
        "this machine has no such local address, or no local port is free for another connection"
    ),
    e.NotConnectedError: (
        "the socket has no peer: connect() was not called, has failed, or the connection has ended"
    ),
    e.AlreadyConnectedError: (
        "the socket is connected already: use a new socket for another connection"
    ),
    e.SocketClosedError: (
        "the descriptor is not open: the socket had been closed or detached, here or in "
        "another thread"
    ),
    e.ResourceError: (
        "the process or the system has run out of descriptors, buffers or memory for sockets:"
        " look for sockets that are never closed, or slow down"
    ),
    e.OperationDeniedError: (
        "the system does not permit this: it needs a privilege or an option such as "
        "SO_BROADCAST, or a sandbox or firewall forbids it"
    ),
    e.SocketOperationError: (
        "only the errno tells more: its meaning is in the manual page of the system call (man 2 "
        "connect, for one)"
    ),
}

_ON_ABSTRACT: dict[type[e.SafeSocketError], str] = {
    e.ConnectRefusedError: "no program listens under that name: check it, and that the server runs",
    e.ConnectTimeoutError: (
        "the server is there and accepts no one, its backlog is full: it is stuck or overloaded"
    ),
    e.AddressInUseError: "another program uses that name",
}

_ON_PATHS: dict[type[e.SafeSocketError], str] = {
    e.ConnectRefusedError: (
        "no program listens on that socket file: its server has died or was restarted"
    ),
    e.ConnectTimeoutError: _ON_ABSTRACT[e.ConnectTimeoutError],
    e.ConnectDeniedError: (
        "this process may not write to that socket file: check its owner and mode"
    ),
    e.OperationDeniedError: (
        "this process may not write to that socket file: check its owner and mode"
    ),
    e.AddressInUseError: (
        "the path exists already: another server uses it, or an earlier one left it behind; "
        "remove it if nobody listens there"
    ),
}

_ON_DATAGRAMS: dict[type[e.SafeSocketError], str] = {
    e.ConnectRefusedError: ("an earlier datagram was rejected: nothing is listening on that port"),
    e.ReadTimeoutError: (
        "no datagram came: the request or the answer was lost, or nobody answers there"
    ),
}

_BY_THE_KERNEL: dict[type[e.SafeSocketError], str] = {
    e.ConnectTimeoutError: (
        "the kernel sent its attempts and nothing came back: the host is down, the address is"
        " wrong, or a firewall drops the packets"
    ),
}

#: Timeouts that say whose patience ended, not who was slow: earlier steps may have used it up.
_BY_A_DEADLINE: dict[type[e.SafeSocketError], str] = dict.fromkeys(
    (
        e.ResolveTimeoutError,
        e.ConnectTimeoutError,
        e.HandshakeTimeoutError,
        e.ReadTimeoutError,
        e.WriteTimeoutError,
        e.AcceptTimeoutError,
        e.SocketTimeoutError,
    ),
    "the deadline of the whole block passed: the other side is slow or silent, or what came before "
    "took too long",
)

_BEFORE_CONNECTING: dict[type[e.SafeSocketError], str] = {
    e.PeerClosedError: (
        "the socket has no peer: connect() was not called, or has failed; a server talks on the "
        "sockets that accept() returns"
    ),
}

_FOR_A_BIND: dict[type[e.SafeSocketError], str] = {
    e.SocketPathError: "there is no such directory for the socket file",
    e.AddressNotAvailableError: (
        "this machine has no such local address: check it, and that its interface is up; the "
        'host "" stands for all addresses'
    ),
}

_IN_A_HANDSHAKE: dict[type[e.SafeSocketError], str] = {
    e.PeerResetError: (
        "the other side cut the connection in the TLS handshake: it does not speak TLS on this "
        "port, refuses this side or the host name asked for, crashed, or something between "
        "rejected it"
    ),
}

_AT_THE_GOODBYE: dict[type[e.SafeSocketError], str] = {
    e.ReadTimeoutError: (
        "the other side did not answer the goodbye of TLS (close_notify), as many programs never "
        "do: to end the connection, close() is enough"
    ),
}

_BY_OPERATION = {
    "bind": _FOR_A_BIND,
    "do_handshake": _IN_A_HANDSHAKE,
    "unwrap": _AT_THE_GOODBYE,
}

_OF_A_CLIENT: dict[type[e.SafeSocketError], str] = {
    e.HandshakeTimeoutError: (
        "a client connected and did not finish the TLS handshake: it does not speak TLS, or is a "
        "load balancer's probe or a port scan"
    ),
}

_BAD_QUESTION = (
    "the look-up cannot be answered as it was asked: check the port or service name, the family, "
    "type and flags"
)

#: code of a look-up's error -> what else it can mean: getaddrinfo(3), gethostbyname(3)
_LOOKUPS: dict[str, str] = {
    "EAI_ADDRFAMILY": "the host has no address of the family asked for",
    "EAI_BADFLAGS": _BAD_QUESTION,
    "EAI_FAMILY": _BAD_QUESTION,
    "EAI_MEMORY": "the system has run out of memory for the look-up",
    "EAI_OVERFLOW": "the answer is longer than there is room for",
    "EAI_SERVICE": _BAD_QUESTION,
    "EAI_SOCKTYPE": _BAD_QUESTION,
    "NO_RECOVERY": "the name service failed; check the name servers of this machine",
    "TRY_AGAIN": "the name service could not answer; try again",
}

_DEAD_STREAM = (
    "this stream timed out before, and what it had half read then is lost: open a new connection"
)

#: timeout_source -> how to wait longer
_LONGER = {
    "default": (
        "SAFESOCKET_{variable}=seconds in the environment raises it, or "
        "set_timeouts(sock, {field}=seconds) for this socket"
    ),
    "environment": "raise SAFESOCKET_{variable}",
    "configure": "raise it with safesocket.configure({field}=seconds)",
    "timeouts": "raise it with safesocket.timeouts({field}=seconds)",
    "set_timeouts": "raise it with safesocket.set_timeouts(sock, {field}=seconds)",
    "settimeout": "raise it where the program says settimeout(), or timeout= to a library",
    "create_connection": "raise the timeout= that create_connection() was given",
    "exempt": "raise it in the Exemption that install(exempt=) was given",
    "deadline": "raise it with safesocket.deadline(seconds)",
}
#: the same for limits on what no socket was there for, or none of the program's
_FOR_A_BLOCK = {
    ("default", field): (
        "SAFESOCKET_{variable}=seconds in the environment raises it, or "
        "safesocket.timeouts({field}=seconds) for a block"
    )
    for field in ("connect", "resolve")
}


def hint_for(error: e.SafeSocketError, leaf: type[e.SafeSocketError], route: Route) -> str | None:
    """Return the hint for *error*, which is a *leaf* and happened on *route*."""
    if leaf is e.SocketOperationError and error.errno is None:
        return _DEAD_STREAM if error.operation == "read" else None  # the text says it all
    if issubclass(leaf, e.ResolveError):
        return _of_a_lookup(error, leaf, route)
    if issubclass(leaf, e.TLSError) and leaf not in _HINTS:
        return _tlshints.hint_for(error, from_a_client=route.role == ACCEPTED)
    text = route.finding or _by_kind(leaf, error, route)
    if error.bytes_sent is not None and leaf is e.WriteTimeoutError:
        text += "; bytes_sent says how much had been taken"
    return text + _how_to_wait_longer(error)


def _by_kind(leaf: type[e.SafeSocketError], error: e.SafeSocketError, route: Route) -> str:
    text = _HINTS[leaf]
    for table in _tables(error, route):
        if leaf in table:
            text = table[leaf]
            break
    return _tcphints.with_evidence(text, leaf, error, route)


def _of_a_lookup(error: e.SafeSocketError, leaf: type[e.SafeSocketError], route: Route) -> str:
    if error.host is None:
        return _BAD_QUESTION
    if error.operation == "getnameinfo" and leaf is e.HostNotFoundError:
        return _HINTS[e.ReverseLookupError]
    if error.timeout_source == "deadline":
        return _BY_A_DEADLINE[leaf] + _how_to_wait_longer(error)
    if error.code in _LOOKUPS:
        return _LOOKUPS[error.code]
    odd = oddity(route.host, is_unknown=leaf is e.HostNotFoundError)
    text = _HINTS[leaf]
    if leaf is e.HostNotFoundError and route.family in NAMES:
        text = _NONE_OF_A_FAMILY.format(family=NAMES[route.family])
    return odd or "; ".join(filter(None, (text + _how_to_wait_longer(error), route.finding)))


def _tables(error: e.SafeSocketError, route: Route) -> list[dict[type[e.SafeSocketError], str]]:
    """Return what is special about *error*, the most special first.

    A list: out of memory, CPython crashes where it cannot make a generator (seen with 3.11-3.13).
    """
    tables = (
        (error.timeout_source == "kernel", _BY_THE_KERNEL),
        (error.timeout_source == "deadline", _BY_A_DEADLINE),
        (error.operation in _BY_OPERATION, _BY_OPERATION.get(error.operation or "")),
        (route.role == ACCEPTED, _OF_A_CLIENT),
        (route.role in (FRESH, BOUND) and route.host is None, _BEFORE_CONNECTING),
        (route.family == _UNIX, _ON_ABSTRACT if _is_abstract(route.host) else _ON_PATHS),
        (route.kind == _socket.SOCK_DGRAM, _ON_DATAGRAMS),
    )
    return [table for applies, table in tables if applies and table]


def _is_abstract(name: object) -> bool:
    """Tell whether an AF_UNIX *name* is none in the file system: Linux, unix(7)."""
    if isinstance(name, str):
        return name.startswith("\0")
    return isinstance(name, bytes) and name.startswith(b"\0")


def _how_to_wait_longer(error: e.SafeSocketError) -> str:
    source, field = error.timeout_source or "", error._field
    if not isinstance(error, e.SocketTimeoutError) or source not in _LONGER:
        return ""
    how = _FOR_A_BLOCK.get((source, field)) or _LONGER[source]
    how = how.format(field=field, variable=field.upper())
    return f"; if the limit is too short for this, {how}"
