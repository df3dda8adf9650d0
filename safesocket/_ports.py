"""Ports: who holds one, whether any is left, and on which other address somebody listens.

Read from the kernel's tables of sockets, which do not show one that is bound and neither listens
nor is connected: what is not shown is never said to be free.
"""

from __future__ import annotations

import _socket

from . import _networks, _proc
from ._proc import LISTEN, TIME_WAIT, Row, UnseenError
from ._redaction import shown
from ._system import getsockopt, now
from ._wording import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._surroundings import Look

#: seconds for which a port is taken to have no listener still: a client may try again all the time
STILL = 1.0

_RANGE = "net/ipv4/ip_local_port_range"  # for IPv6, too; ip(7)

_PROTOCOLS = {_socket.SOCK_STREAM: "tcp", _socket.SOCK_DGRAM: "udp"}

#: when it was read, and the ports on which somebody listened then
_listened: tuple[float, frozenset[int]] = (-STILL, frozenset())


# --- Bound, or to be ----------------------------------------------------------------------------


def in_use(look: Look) -> str | None:
    """Return who has the port that is to be bound or listened on."""
    host, port = _networks.end(look.route.address or look.route.local)
    if not port:
        return _none_is_free(look)
    protocol = _PROTOCOLS[look.route.kind]
    ours = _networks.packed(host, look.route.family)
    connections = []
    for row in _proc.sockets(protocol, port, look.until):
        if row.port != port or not _conflict(row.local, ours) or _is_ipv4_to_ipv6_alone(row, look):
            continue
        if row.state == LISTEN or protocol == "udp":
            verb = "listens on" if row.state == LISTEN else "has"
            doubt = ", unless that is for IPv6 alone" * (len(ours) == 4 and len(row.local) == 16)
            return f"{_who(row, look)} {verb} {_place(row.local, port)} already{doubt}"
        connections.append(row)
    return _connected(connections, look)


def _connected(rows: list[Row], look: Look) -> str | None:
    """Return what is to be said of a port that nobody listens on, but that connections have."""
    live = next((row for row in rows if row.inode), None)
    if live is not None:
        low, high = _proc.setting(_RANGE, look.until)
        clients = f", on one of the ports that clients are given ({low}-{high})" * (
            low <= live.port <= high
        )
        return (
            f"nobody listens there{clients}, but {_who(live, look)} has a connection from "
            f"{_place(live.local, live.port)} to {_place(live.peer, live.peer_port)}"
        )
    if not rows or _reuses_addresses(look):
        return None
    one = len(rows) == 1
    ended = "a connection that has ended holds" if one else f"{len(rows):,} that have ended hold"
    return (
        f"nobody listens there: {ended} it, for a minute or so (TIME_WAIT and the like); a server "
        "that sets SO_REUSEADDR before bind() has it at once after one that had set it, too"
    )


def _reuses_addresses(look: Look) -> bool:
    """Tell whether SO_REUSEADDR is set, or that is not known: then what has ended is no reason."""
    if look.sock is None:
        return True
    return bool(getsockopt(look.sock, _socket.SOL_SOCKET, _socket.SO_REUSEADDR))


def _none_is_free(look: Look) -> str:
    low, high = _proc.setting(_RANGE, look.until)
    return (
        f"no port is left to choose from: all {high - low + 1:,} that the system hands out are "
        f"taken ({low}-{high}, net.ipv4.ip_local_port_range)"
    )


def _conflict(one: bytes, other: bytes) -> bool:
    """Tell whether sockets cannot have both addresses on one port: ip(7), ipv6(7), IPV6_V6ONLY."""
    if one == other:
        return True
    long, short = (one, other) if len(one) > len(other) else (other, one)
    return not any(long) or (len(long) == len(short) and not any(short))


def _is_ipv4_to_ipv6_alone(row: Row, look: Look) -> bool:
    """Tell whether *row* is of IPv4, and the socket that is to be bound of IPv6 alone: ipv6(7)."""
    if look.sock is None or look.route.family != _socket.AF_INET6 or len(row.local) == 16:
        return False
    return bool(getsockopt(look.sock, _socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY))


def _who(row: Row, look: Look) -> str:
    """Return who has the socket of *row*: the process, or only the user where none is shown."""
    try:
        known = _proc.holder(row.inode, look.until)
    except UnseenError:
        known = None
    if known:
        return known
    return f"a process of user {_proc.user(row.uid, look.until)} (as root, ss -tunap names it)"


# --- Connecting ---------------------------------------------------------------------------------


def exhausted(look: Look) -> str | None:
    """Return that no local port is left for a connection, or what else is wrong with this end."""
    local = look.route.local
    if isinstance(local, tuple) and local[1]:
        return _there_is_one_already(look)
    return _networks.no_source(look) or _no_port_left(look)


def _no_port_left(look: Look) -> str | None:
    low, high = _proc.setting(_RANGE, look.until)
    handed_out = high - low + 1
    to = _networks.packed(*_networks.end(look.route.address)[:1])
    try:
        taken, waiting = _connections_to(to, look, range(low, high + 1))
        of_these = f"{taken:,} are taken by connections to there, {waiting:,} of them in TIME_WAIT"
    except UnseenError:  # there are many
        taken, waiting = _connections_of_all(_proc.with_grace(look.until))
        of_these = f"many are taken: {taken:,} connections in all, {waiting:,} of them in TIME_WAIT"
    if taken < handed_out / 2:
        return None
    return (
        f"no local port is left for another connection to there: of {handed_out:,} that the "
        f"system hands out ({low}-{high}, net.ipv4.ip_local_port_range) {of_these}: "
        "keep connections and use them again"
    )


def _connections_to(address: bytes, look: Look, ports: range) -> tuple[int, int]:
    """Return how many of *ports* have connections to the address tried, and how many ended ones."""
    port = look.route.address[1]
    states: dict[int, int] = {}
    for row in _proc.sockets("tcp", port, look.until):
        if row.peer == address and row.peer_port == port and row.port in ports:
            states[row.port] = row.state
    return len(states), sum(state == TIME_WAIT for state in states.values())


def _connections_of_all(until: float) -> tuple[int, int]:
    """Return how many connections, and how many ended ones, this network has in all."""
    for line in _proc.of_network("sockstat", until):
        name, *words = line.split()
        if name == b"TCP:":
            counts = dict(zip(words[::2], map(int, words[1::2]), strict=False))
            return counts[b"inuse"] + counts[b"tw"], counts[b"tw"]
    raise UnseenError("sockstat")


def _there_is_one_already(look: Look) -> str | None:
    """Return who has the very connection that a bound socket was to make."""
    here, port = _networks.end(look.route.local)
    there, peer_port = _networks.end(look.route.address)
    peer = _networks.packed(there)
    for row in _proc.sockets("tcp", port, look.until):
        if (row.port, row.peer, row.peer_port) == (port, peer, peer_port):
            ends = f"from {place(shown((here, port)))} to {place(shown((there, peer_port)))}"
            if row.inode:
                return f"{_who(row, look)} has a connection {ends} already"
            return f"a connection {ends} has ended, but holds both ends for a minute or so"
    return None


def elsewhere(look: Look) -> str | None:
    """Return where somebody listens on the port at which loopback has refused a connection."""
    global _listened
    host, port = _networks.end(look.route.address)
    read, ports = _listened
    if now() - read < STILL and port not in ports:
        return None
    everybody = _proc.listeners(look.until)
    _listened = now(), frozenset(port for _, port in everybody)
    found = sorted(address for address, theirs in everybody if theirs == port)
    return _listening(_networks.packed(host), found, port)


def _listening(ours: bytes, found: list[bytes], port: int) -> str | None:
    if not found:
        return None
    if any(theirs == ours or (not any(theirs) and len(theirs) == len(ours)) for theirs in found):
        return (
            "a program listens there by now: this attempt came too early, or a firewall rejects it"
        )
    places = ", ".join(_place(address, port) for address in found[:3])
    if len(ours) == 4 and bytes(16) in found:  # for IPv6 alone, which is not shown
        return f"a program listens on {places}, but not for IPv4, or it began after this attempt"
    return (
        f"a program listens on that port, but only on {places}: connect to that, or let it listen "
        f"on {_place(ours, port)} as well"
    )


def _place(address: bytes, port: Any) -> str:
    return place(shown((_networks.text(address), port)))
