"""What the kernel knows of a TCP connection: TCP_INFO, read after a failure and made plain.

Only reading and reckoning live here; what the facts mean is ``_tcphints``', and what users see of
them ``_evidence``'s. Linux only: elsewhere there is no evidence.

The struct of <linux/tcp.h> only ever grows: what the returned length does not cover, an older
kernel does not tell. It counts sequence numbers, in which SYN and FIN take one each; here they
are taken off again, so that bytes are the program's.
"""

from __future__ import annotations

import _socket
import sys

from . import _system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket as Socket
    from typing import Any, TypeAlias

#: what TCPInfo has, by name
Facts: TypeAlias = "dict[str, Any]"

_OPTION = getattr(_socket, "TCP_INFO", None) if sys.platform == "linux" else None
_ROOM = 512  # bytes; Linux 6.18 has 280
_INTERNET = (_socket.AF_INET, _socket.AF_INET6)
_PROTOCOLS = (0, _socket.IPPROTO_TCP)  # MPTCP answers, too, for one of its connections

#: member of struct tcp_info -> its offset and size in bytes
_MEMBERS = {
    "state": (0, 1),
    "retransmits": (2, 1),
    "probes": (3, 1),
    "snd_mss": (16, 4),
    "unacked": (24, 4),
    "last_data_sent": (44, 4),
    "last_data_recv": (52, 4),
    "last_ack_recv": (56, 4),
    "rtt": (68, 4),
    "rttvar": (72, 4),
    "total_retrans": (100, 4),
    "bytes_acked": (120, 8),  # Linux 4.1
    "bytes_received": (128, 8),
    "segs_out": (136, 4),  # 4.2
    "segs_in": (140, 4),
    "notsent_bytes": (144, 4),  # 4.6
    "data_segs_in": (152, 4),
    "data_segs_out": (156, 4),
    "bytes_sent": (200, 8),  # 4.19
    "bytes_retrans": (208, 8),
    "snd_wnd": (228, 4),  # 5.4
}

CLOSE = "CLOSE"
_LISTEN = "LISTEN"
#: by number; <net/tcp_states.h>
_STATES = (
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    CLOSE,
    "CLOSE_WAIT",
    "LAST_ACK",
    _LISTEN,
    "CLOSING",
    "NEW_SYN_RECV",
)
#: this side has ended its sending, with a FIN
ENDED_HERE = ("FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "TIME_WAIT")
_ENDED_THERE = ("CLOSE_WAIT", "LAST_ACK", "CLOSING", "TIME_WAIT")


def evidence(sock: Socket, *, accepted: bool) -> Facts | None:
    """Return what the kernel knows of the connection of *sock*, if it has or had one; no errors."""
    raw = read(sock)
    if raw is None or not _has_spoken(raw):
        return None
    return facts(raw, _queued(sock), accepted=accepted)


def read(sock: Socket) -> bytes | None:
    """Return the struct tcp_info of *sock*, as much of it as this kernel has."""
    is_tcp = _system.kind(sock) == _socket.SOCK_STREAM and _system.family(sock) in _INTERNET
    if _OPTION is None or not is_tcp or _system.proto(sock) not in _PROTOCOLS:
        return None
    try:
        raw: bytes = _system.getsockopt(sock, _socket.IPPROTO_TCP, _OPTION, _ROOM)
    except OSError:  # closed; or a sandbox has no such option
        return None
    return raw


def _queued(sock: Socket) -> int | None:
    """Return how far the acknowledgements are behind what was taken: tcp(7), SIOCOUTQ.

    ``bytes_sent`` of the struct cannot tell: it counts what could not leave this machine again
    with each try.
    """
    if sys.platform != "win32":
        try:  # here: only a failure needs them
            from fcntl import ioctl
            from termios import TIOCOUTQ

            return int.from_bytes(ioctl(_system.fileno(sock), TIOCOUTQ, bytes(4)), sys.byteorder)
        except (ImportError, OSError, ValueError):  # a Python without them, or at its end; closed
            pass
    return None


def _has_spoken(raw: bytes) -> bool:
    """Tell whether a segment has gone either way.

    None has on a fresh socket, and, as Linux forgets it, after connect() has failed. A system
    that does not count them (gVisor) does not count the rest either.
    """
    out, came = _member(raw, "segs_out"), _member(raw, "segs_in")
    return _state(raw) not in (CLOSE, _LISTEN) if out is None else bool(out or came)


def facts(raw: bytes, queued: int | None, *, accepted: bool) -> Facts:
    """Return what *raw*, a struct tcp_info, says; *queued* is the answer to SIOCOUTQ."""
    tcp = {name: _member(raw, name) for name in _MEMBERS}
    state = _state(raw)
    received = tcp["bytes_received"]
    acked, in_flight, not_sent = _outgoing(tcp, state, queued, accepted=accepted)
    return {
        "state": state,
        "bytes_acked": acked,
        "bytes_in_flight": in_flight,
        "bytes_not_sent": not_sent,
        "bytes_received": received and received - (state in _ENDED_THERE),
        "unacked_segments": tcp["unacked"],
        "retransmits": tcp["retransmits"],
        "total_retransmits": tcp["total_retrans"],
        "probes": tcp["probes"],
        "send_window": tcp["snd_wnd"],
        "segment_size": tcp["snd_mss"],
        "rtt": _seconds(tcp["rtt"], 1_000_000, known=tcp["rtt"]),
        "rttvar": _seconds(tcp["rttvar"], 1_000_000, known=tcp["rtt"]),
        "since_data_sent": _seconds(tcp["last_data_sent"], 1000, known=tcp["data_segs_out"]),
        "since_data_received": _seconds(tcp["last_data_recv"], 1000, known=tcp["data_segs_in"]),
        "since_ack_received": _seconds(tcp["last_ack_recv"], 1000, known=tcp["segs_in"]),
    }


def _member(raw: bytes, name: str) -> Any:
    offset, size = _MEMBERS[name]
    end = offset + size
    return int.from_bytes(raw[offset:end], sys.byteorder) if end <= len(raw) else None


def _state(raw: bytes) -> str:
    number = raw[0] if raw else 0
    return _STATES[number] if number < len(_STATES) else ""


def _outgoing(
    tcp: Facts, state: str, queued: int | None, *, accepted: bool
) -> Sequence[int | None]:
    """Return how many bytes are acknowledged, are in flight, and are still to be sent."""
    acked, not_sent = tcp["bytes_acked"], tcp["notsent_bytes"]
    if acked is None or not_sent is None or queued is None:
        return None, None, None
    acked = max(acked - (not accepted), 0)  # the SYN, which accept() does not count
    not_sent = min(not_sent, queued)
    counts = [acked, queued - not_sent, not_sent]
    if state in ENDED_HERE or (state == CLOSE and _ended_before(tcp, sum(counts))):
        last = max((place for place, count in enumerate(counts) if count), default=0)
        counts[last] = max(counts[last] - 1, 0)  # the FIN
    return counts


def _ended_before(tcp: Facts, taken: int) -> bool:
    """Tell whether a FIN is among what was *taken* from a connection that is over."""
    sent, again = tcp["bytes_sent"], tcp["bytes_retrans"]
    return sent is not None and taken > sent - again + tcp["notsent_bytes"]


def _seconds(value: int | None, scale: int, *, known: Any) -> float | None:
    return value / scale if known and value is not None else None


def taken(tcp: Facts) -> int | None:
    """Return how many bytes the kernel has taken from the program for this connection."""
    counts = tcp["bytes_acked"], tcp["bytes_in_flight"], tcp["bytes_not_sent"]
    return None if None in counts else sum(counts)


def without_doubt(tcp: Facts) -> Facts:
    """Return *tcp* of an operation that does not tell whether the other side had sent a FIN.

    A connection that is over does not, and its FIN would count as a byte received.
    """
    if tcp["state"] != CLOSE or not tcp["bytes_received"]:
        return tcp
    return {**tcp, "bytes_received": None}
