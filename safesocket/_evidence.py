"""What the kernel knew of a TCP connection when an operation failed: the class, nothing else.

``safesocket.errors`` hands it on when it is asked for, so that importing safesocket does not
import dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPInfo:
    """What the kernel knew of a TCP connection when an operation on it failed.

    What this kernel does not tell, or has nothing to tell of, is ``None``. Bytes are those of the
    program, or over TLS of TLS: SYN and FIN, which TCP counts as one each, are not among them. What
    the kernel had taken is ``bytes_acked + bytes_in_flight + bytes_not_sent``.

    Attributes:
        state: ``"ESTABLISHED"``, ``"SYN_SENT"``, ``"CLOSE_WAIT"``, … as ss(8) and netstat(8) have
            them; ``"CLOSE"`` after a reset.
        bytes_acked: bytes that the system of the other side has acknowledged; whether its program
            has read them, nobody knows.
        bytes_in_flight: bytes that were sent and are not acknowledged.
        bytes_not_sent: bytes that were taken and could not be sent yet.
        bytes_received: bytes that came in order, read by the program or not; ``None`` also where
            the connection is over and the failure does not tell whether a FIN is among them.
        unacked_segments: segments that were sent and are not acknowledged; SYN and FIN are some.
        retransmits: retransmission timeouts in a row, since something new was acknowledged.
        total_retransmits: segments sent again, since the connection began.
        probes: probes in a row that were not answered: of a closed window, or keepalive.
        send_window: bytes that the other side has room for, by what it said last; 0: its
            program does not read. Linux 5.4.
        segment_size: bytes of the largest segment that is sent (MSS).
        rtt: seconds there and back, smoothed.
        rttvar: seconds by which that varies.
        since_data_sent: seconds since data was sent last, again or for the first time.
        since_data_received: seconds since data came last.
        since_ack_received: seconds since an acknowledgement came last, of something new or not.
    Platform: Linux; elsewhere errors have no ``tcp``.
    Source: tcp(7), TCP_INFO and SIOCOUTQ; <linux/tcp.h>.
    """

    state: str
    bytes_acked: int | None
    bytes_in_flight: int | None
    bytes_not_sent: int | None
    bytes_received: int | None
    unacked_segments: int | None
    retransmits: int | None
    total_retransmits: int | None
    probes: int | None
    send_window: int | None
    segment_size: int | None
    rtt: float | None
    rttvar: float | None
    since_data_sent: float | None
    since_data_received: float | None
    since_ack_received: float | None


TCPInfo.__module__ = "safesocket.errors"  # where users, pickles and tracebacks find it
