"""What to look at next by what the kernel knows of the connection: why TCP failed, as tables.

Only text and the choice of it live here; ``_hints`` has what can be said without evidence. A hint
must never be wrong: where the evidence does not decide, the sentence names what it may be. It knows
what came up to now, so nobody is said to be alive, only when he was heard from last.
"""

from __future__ import annotations

import _socket
import errno as _errno

from . import errors as e
from ._roles import ACCEPTED
from ._tcpinfo import ENDED_HERE, taken
from ._wording import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from ._route import Route
    from ._tcpinfo import Facts

    #: (error, what is known) -> the sentence; None: the plain hint says it best
    Sentence: TypeAlias = Callable[[e.SafeSocketError, Facts], str | None]

_INTERNET = (_socket.AF_INET, _socket.AF_INET6)
_TICKS = 0.02  # seconds; the kernel's times are in ticks, of up to 10 ms
_MANY_PROBES = 3  # one may be under way, and one too soon for an answer: tcp_invalid_ratelimit
_LONG_IDLE = 30.0  # seconds; picked arbitrarily: what forgets idle connections takes longer

# Nothing of the connection is known yet, or any longer.

_REFUSED = (
    "the host is up and answers, nothing is listening on that port (or a firewall answers in its "
    "place): check host and port, and that the server runs"
)
_REFUSED_HERE = (
    "nothing is listening on that port, on this machine itself (in a container: the container), or "
    "a local firewall rejects it: check host and port, and that the server runs"
)
_HOST_UNREACHABLE = (
    "the host is down or the address is wrong, as nobody on its network answers for it; or a route "
    "of this machine, a router or a firewall rejects it: check the address and the routes"
)
_INVALID = (
    "a route of this machine discards what goes there (type blackhole: ip route get shows it), or "
    "the address does not suit the socket: a link-local one needs its interface (fe80::1%eth0), "
    "and from 127.0.0.1 only this machine can be reached"
)

# Connecting.

_NO_ANSWER = (
    "no answer to {syns}: the host is down, the address is wrong, a firewall drops the packets, "
    "or the server is too busy to accept (its backlog is full)"
)
_NO_ANSWER_HERE = (
    "no answer to {syns} on this machine itself: the server there is too busy to accept (its "
    "backlog is full), or a local firewall drops the packets"
)
_NOT_OUT = (
    "the SYN does not get out of this machine: nobody on the local network answers for that "
    "address (ARP, neighbour discovery), the interface is down, or there is no route"
)

#: the same where the host is this machine
_HERE = {_REFUSED: _REFUSED_HERE, _NO_ANSWER: _NO_ANSWER_HERE}

# What was sent is stuck: true of reading and writing alike.

_WINDOW_CLOSED = (
    "{they} takes no more, its receive window is closed: its program does not read, or too slowly "
    "({acked} acknowledged, {waiting} waiting; last heard from {heard} ago)"
)
_WINDOW_CLOSED_AND_SILENT = (
    _WINDOW_CLOSED + ", and by now {probes} are unanswered: host or path is down"
)
_NOTHING_BACK = (
    "nothing comes back: {waiting} not acknowledged after {timeouts}, last heard from {heard} "
    "ago: host or path is down, or loses packets"
)
_DEAF = (
    "{they} is heard ({heard} ago), but does not acknowledge {waiting} after {timeouts}: "
    "packets are lost on the way there, perhaps only large ones (MTU)"
)
_UNSENT = (
    "what is sent does not get out of this machine, {waiting} waiting: the interface is down, "
    "there is no route, or a local firewall drops it"
)
_UNSENT_OR_CLOSED = (
    "nothing is under way, {waiting} waiting: {they} does not read, or what is sent does not get "
    "out of this machine"
)
_ABOUT_TO_BE_SENT = "{waiting} about to be sent: too soon to tell more"
_UNDER_WAY = (
    "{waiting} not acknowledged yet: too soon to tell whether {they} or the path is slow, or down"
)

# All that was sent is acknowledged.

_SILENT = (
    "{they} received everything ({acked} acknowledged) and is silent{so_far}: its program is busy "
    "or stuck, or waits for more, unless it went down after that (last heard from {heard} ago)"
)
_SILENT_UNASKED = (
    "nothing has been sent on this connection, and {they} is silent{so_far}: its program is busy "
    "or stuck, or waits for this side (last heard from {heard} ago)"
)
_SILENT_AFTER_OUR_END = (
    "this side has ended its sending, {they} knows and has not ended its own{so_far}: its program "
    "is busy or stuck, or does not look for the end (last heard from {heard} ago)"
)
_NO_HELLO = (
    "{they} received everything ({acked} acknowledged) and answered nothing: it does not speak TLS "
    "on this port, or is busy or stuck"
)
_HALF_A_HANDSHAKE = (
    "{they} sent {received}, the last {since} ago, and then did not finish the TLS handshake: it "
    "is busy or stuck, or does not speak TLS on this port"
)
_CLIENT_WITHOUT_HELLO = (
    "a client connected and sent nothing: it does not speak TLS, or is a load balancer's probe or "
    "a port scan"
)
_CLIENT_WITH_HALF_A_HANDSHAKE = (
    "a client connected, sent {received}, the last {since} ago, and did not finish the TLS "
    "handshake: it is slow or stuck, or does not speak TLS"
)
_DRIPS = (
    "bytes came during this wait, the last {since} ago, but not enough of them: {they} or the path "
    "is slow, or another thread reads here, too"
)
_ONLY_TLS = (
    "bytes came during this wait, the last {since} ago, but no data in them: what TLS sends for "
    "itself (session tickets, after a handshake), or part of a record; since then {they} is silent"
)

# The connection is over.

_UNACKNOWLEDGED = (
    "the kernel gave the connection up: {waiting} never acknowledged, last heard from {heard} "
    "ago: host or path is down"
)
_WINDOW_STAYED_CLOSED = (
    "the kernel gave the connection up (TCP_USER_TIMEOUT): the receive window of {they} stayed "
    "closed, its program does not read ({acked} acknowledged, {waiting} waiting; last heard from "
    "{heard} ago), unless host or path went down after that"
)
_KEEPALIVE = (
    "the kernel gave the connection up: its keepalive probes were not answered, last heard from "
    "{heard} ago: host or path is down, or something between has forgotten the connection"
)
_ENDED_BEFORE = "this side had ended its sending before this: with shutdown()"
_NUMBERS = "; before that, {taken} had been sent, {acked} acknowledged"
_CAME = ", {received} received"
_IDLE = (
    ", the last {since} ago: something between (NAT, firewall, load balancer) may have dropped an "
    "idle connection"
)


def with_evidence(
    plain: str, leaf: type[e.SafeSocketError], error: e.SafeSocketError, route: Route
) -> str:
    """Return the hint for *error*, a *leaf* on *route*: what the evidence says, or *plain*."""
    if route.kind != _socket.SOCK_STREAM or route.family not in _INTERNET:
        return plain
    here = is_loopback(route.address)
    tcp = error._tcp
    if tcp is None:
        return _on_this_machine(_without_connection(leaf, error), here=here) or plain
    if taken(tcp) is None:  # Linux before 4.6
        return plain
    words = _in_words(tcp, error._role)
    if error.timeout_source == "deadline":
        return f"{plain}; {_so_far(tcp).format_map(words)}"
    sentence = _SENTENCES.get(leaf)
    template = _on_this_machine(sentence and sentence(error, tcp), here=here)
    if template:
        return template.format_map(words)
    return plain + _numbers(tcp).format_map(words) if leaf in _OVER else plain


def _without_connection(leaf: type[e.SafeSocketError], error: e.SafeSocketError) -> str | None:
    if error.operation not in ("connect", "connect_ex"):
        return None
    if leaf is e.ConnectRefusedError:
        return _REFUSED
    if leaf is e.UnreachableError and error.errno == _errno.EHOSTUNREACH:
        return _HOST_UNREACHABLE
    return _INVALID if error.errno == _errno.EINVAL else None


def _on_this_machine(sentence: str | None, *, here: bool) -> str | None:
    return _HERE.get(sentence, sentence) if here and sentence else sentence


def is_loopback(address: object) -> bool:
    """Tell whether *address*, of a socket, is this machine's own: RFC 1122, RFC 4291."""
    host = address[0] if isinstance(address, tuple) and address else ""
    return isinstance(host, str) and (host == "::1" or host.startswith("127."))


# What a timeout means.


def _no_answer(error: e.SafeSocketError, tcp: Facts) -> str | None:  # noqa: ARG001
    if tcp["state"] != "SYN_SENT":
        return None
    if tcp["retransmits"] and not tcp["total_retransmits"]:
        return _NOT_OUT
    return _NO_ANSWER


def _nothing_came(error: e.SafeSocketError, tcp: Facts) -> str | None:
    if error.operation == "unwrap":
        return None
    stuck = _dripping(error, tcp) or _stuck(tcp)
    if stuck:
        return stuck
    if tcp["state"] in ENDED_HERE:
        return _SILENT_AFTER_OUR_END
    return _SILENT if tcp["bytes_acked"] else _SILENT_UNASKED


def _no_handshake(error: e.SafeSocketError, tcp: Facts) -> str | None:
    if error._role == ACCEPTED and not tcp["bytes_received"]:
        return _CLIENT_WITHOUT_HELLO
    stuck = _dripping(error, tcp) or _stuck(tcp)
    if stuck:
        return None if stuck is _UNDER_WAY else stuck  # the plain hint says more
    if tcp["bytes_received"]:
        return _CLIENT_WITH_HALF_A_HANDSHAKE if error._role == ACCEPTED else _HALF_A_HANDSHAKE
    return _NO_HELLO if tcp["bytes_acked"] else _SILENT_UNASKED


def _nothing_taken(error: e.SafeSocketError, tcp: Facts) -> str | None:  # noqa: ARG001
    return _stuck(tcp)


def _dripping(error: e.SafeSocketError, tcp: Facts) -> str | None:
    since = tcp["since_data_received"]
    waited = min(error.elapsed or 0.0, error.timeout or 0.0)
    if since is None or since + _TICKS >= waited:
        return None
    return _ONLY_TLS if error.operation == "read" else _DRIPS  # recv() of TLS is a read()


def _stuck(tcp: Facts) -> str | None:
    """Return what holds up what was sent; None if all is acknowledged."""
    if tcp["state"] == "SYN_SENT":
        return _NO_ANSWER
    if _is_closed(tcp):
        many = tcp["probes"] >= _MANY_PROBES
        return _WINDOW_CLOSED_AND_SILENT if many else _WINDOW_CLOSED
    if tcp["unacked_segments"]:
        return _unacknowledged(tcp)
    return _unsent(tcp) if _waiting(tcp) else None


def _is_closed(tcp: Facts) -> bool:
    """Tell whether the other side has no room, or less than it takes for anything to be sent."""
    window = tcp["send_window"]
    if window is None or not _waiting(tcp):
        return False
    too_small = not tcp["unacked_segments"] and window < tcp["segment_size"]
    return window == 0 or bool(too_small)


def _unacknowledged(tcp: Facts) -> str:
    if not tcp["retransmits"]:
        return _UNDER_WAY
    return _DEAF if _is_heard(tcp) else _NOTHING_BACK


def _unsent(tcp: Facts) -> str:
    if tcp["send_window"] is None:  # Linux before 5.4
        return _UNSENT_OR_CLOSED
    return _UNSENT if tcp["probes"] else _ABOUT_TO_BE_SENT


def _is_heard(tcp: Facts) -> bool:
    """Tell whether something came after the last time that data was sent."""
    sent, heard = tcp["since_data_sent"], _since_heard(tcp)
    return sent is not None and heard is not None and heard + _TICKS < sent


def _so_far(tcp: Facts) -> str:
    """Return what is certain whoever was slow: of a deadline."""
    if tcp["state"] == "SYN_SENT":
        return "there was no answer to {syns} yet"
    return _stuck(tcp) or "{acked} sent and acknowledged on this connection{so_far}"


# What the end of a connection means.


def _lost(error: e.SafeSocketError, tcp: Facts) -> str:  # noqa: ARG001
    if _is_closed(tcp) and tcp["probes"] < _MANY_PROBES:
        return _WINDOW_STAYED_CLOSED
    return _UNACKNOWLEDGED if _waiting(tcp) or tcp["retransmits"] else _KEEPALIVE


def _closed_before(error: e.SafeSocketError, tcp: Facts) -> str | None:  # noqa: ARG001
    return _ENDED_BEFORE if tcp["state"] in ENDED_HERE else None


def _numbers(tcp: Facts) -> str:
    came, since = tcp["bytes_received"], tcp["since_data_received"]
    words = _NUMBERS if came is None else _NUMBERS + _CAME
    return words + _IDLE if came and since is not None and since >= _LONG_IDLE else words


_SENTENCES: dict[type[e.SafeSocketError], Sentence] = {
    e.ConnectTimeoutError: _no_answer,
    e.HandshakeTimeoutError: _no_handshake,
    e.ReadTimeoutError: _nothing_came,
    e.WriteTimeoutError: _nothing_taken,
    e.PeerClosedError: _closed_before,
    e.PeerLostError: _lost,
}
#: what ends a connection: how far it had come says more than the reason
_OVER = (e.PeerResetError, e.PeerClosedError, e.ConnectionAbortError, e.UnreachableError)


# In words.


def _in_words(tcp: Facts, role: str) -> Mapping[str, str]:
    waiting, came, since = _waiting(tcp), tcp["bytes_received"], tcp["since_data_received"]
    last = "" if since is None else f", the last of {_bytes(came)} came {duration(since)} ago"
    return {
        "they": "the client" if role == ACCEPTED else "the other side",
        "acked": _bytes(tcp["bytes_acked"]),
        "heard": duration(_since_heard(tcp) or 0.0),
        "probes": _count(tcp["probes"], "probe"),
        "received": _bytes(came),
        "since": duration(since or 0.0),
        "so_far": last or ", not one byte has come",
        "syns": _count(tcp["total_retransmits"] + 1, "SYN"),
        "taken": _bytes(taken(tcp) or 0),
        "timeouts": _count(tcp["retransmits"], "retransmission timeout"),
        "waiting": _bytes(waiting) if waiting else "the end of this side's sending",
    }


def _waiting(tcp: Facts) -> int:
    """Return how many bytes were taken and are not acknowledged."""
    waiting: int = tcp["bytes_in_flight"] + tcp["bytes_not_sent"]
    return waiting


def _since_heard(tcp: Facts) -> float | None:
    """Return how many seconds ago the other side was heard from."""
    times = tcp["since_ack_received"], tcp["since_data_received"]
    return min([time for time in times if time is not None], default=None)


def _bytes(count: int | None) -> str:
    return _count(count or 0, "byte")


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
