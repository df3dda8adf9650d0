"""The documented errors; each is also the builtin class that the stdlib would have raised."""

from collections.abc import Sequence
from dataclasses import dataclass
from socket import _RetAddress, gaierror, herror
from ssl import SSLCertVerificationError, SSLError
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "AcceptTimeoutError",
    "AddressInUseError",
    "AddressNotAvailableError",
    "AlreadyConnectedError",
    "Attempt",
    "BindDeniedError",
    "BindError",
    "CertificateError",
    "ConnectDeniedError",
    "ConnectError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "ConnectionAbortError",
    "HandshakeError",
    "HandshakeTimeoutError",
    "HostNotFoundError",
    "MessageTooLargeError",
    "NotConnectedError",
    "OperationDeniedError",
    "PeerClosedError",
    "PeerLostError",
    "PeerResetError",
    "ReadTimeoutError",
    "ResolveError",
    "ResolveTimeoutError",
    "ResolverError",
    "ResourceError",
    "ReverseLookupError",
    "SafeSocketError",
    "SocketClosedError",
    "SocketOperationError",
    "SocketPathError",
    "SocketTimeoutError",
    "TCPInfo",
    "TLSError",
    "TransferError",
    "UnreachableError",
    "WriteTimeoutError",
]

_Operation: TypeAlias = Literal[
    "accept",
    "bind",
    "connect",
    "connect_ex",
    "do_handshake",
    "dup",
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "read",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "send",
    "sendall",
    "sendfile",
    "sendmsg",
    "sendmsg_afalg",
    "sendto",
    "setblocking",
    "setsockopt",
    "settimeout",
    "shutdown",
    "socket",
    "socketpair",
    "unwrap",
    "write",
]
_TimeoutSource: TypeAlias = Literal[
    "configure",
    "create_connection",
    "deadline",
    "default",
    "environment",
    "exempt",
    "kernel",
    "set_timeouts",
    "settimeout",
    "timeouts",
]
_JSON: TypeAlias = str | float | bool | list[_JSON] | dict[str, _JSON] | None

class Attempt:
    """One address that ``create_connection`` tried: where, what came of it, how long it took.

    Attributes:
        address: the sockaddr tried.
        error: the documented error of this attempt.
        elapsed: seconds that it took.
    """

    address: _RetAddress
    error: OSError
    elapsed: float
    def __init__(self, address: _RetAddress, error: OSError, elapsed: float) -> None: ...
    def __eq__(self, other: object) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

class SafeSocketError(OSError):
    """A socket operation failed; the base of every error that safesocket raises.

    Every attribute is there on every class, ``None`` where it is not known.

    Attributes:
        operation: name of the function or method that failed (``"connect"``).
        host: host, or AF_UNIX path, as the program asked for it.
        port: port as the program asked for it.
        address: the socket address that was really tried or talked to.
        local: the socket's own address.
        elapsed: seconds from the start of the call, or of its wait, to the failure.
        timeout: seconds of the limit that ended the call, of a deadline the whole budget; None
            when no limit did.
        timeout_source: who set that limit: ``"default"``, ``"environment"``, ``"configure"``,
            ``"timeouts"``, ``"set_timeouts"``, ``"settimeout"``, ``"create_connection"``,
            ``"exempt"``, ``"deadline"``, or ``"kernel"``.
        bytes_sent: bytes that the kernel had taken, exactly. Of an operation that writes: those
            of this call, over TLS in whole records. Of any other: all since the connection
            began, over TLS those of TLS, where the system tells (TCP on Linux).
        bytes_received: bytes that had come since the connection began, read or not, over TLS
            those of TLS, where the system tells (TCP on Linux).
        attempts: what ``create_connection`` tried, an :class:`Attempt` for each address, in the
            order in which they were begun.
        hint: what to look at next, in a sentence; also a PEP 678 note of the traceback.
    """

    operation: _Operation | None
    host: str | None
    port: int | str | None
    address: _RetAddress
    local: _RetAddress
    elapsed: float | None
    timeout: float | None
    timeout_source: _TimeoutSource | None
    bytes_sent: int | None
    bytes_received: int | None
    attempts: Sequence[Attempt]
    hint: str | None
    @property
    def tcp(self) -> TCPInfo | None:
        """What the kernel knew of the TCP connection; None where it tells nothing (not Linux).

        Also None where there was no connection, as after a refusal.
        """
    @property
    def code(self) -> str:
        """Name of the cause: ``"ECONNREFUSED"``, ``"EAI_NONAME"``, ``"timeout"`` or ``"error"``."""
    @property
    def fingerprint(self) -> str:
        """A name of this failure that is stable from run to run, to group by in error trackers.

        ``"connect:ECONNREFUSED:db.internal:5432"``: no times, descriptors or ephemeral ports.
        """
    def to_dict(self) -> dict[str, _JSON]:
        """Return all that is known of this failure, ready for JSON."""

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

# --- Umbrellas: what was being done -------------------------------------------------------

class SocketTimeoutError(SafeSocketError, TimeoutError):
    """A limit ran out: safesocket's, the caller's ``settimeout``, or a deadline."""

class ConnectError(SafeSocketError):
    """Connecting failed, the look-up of the name included: nothing has been sent."""

class ResolveError(ConnectError):
    """A look-up of a name or an address failed."""

class TLSError(SafeSocketError):
    """TLS failed: in the handshake (:class:`HandshakeError`), or later, reading or writing."""

class TransferError(SafeSocketError):
    """Reading or writing failed."""

class BindError(SafeSocketError):
    """A local address could not be taken: ``bind``, ``listen``, ``create_server``."""

# --- Look-ups -----------------------------------------------------------------------------

class HostNotFoundError(ResolveError, gaierror):
    """There is no such host name, or it has no address of the family asked for.

    Raised by every look-up, and by ``connect``, ``sendto`` and ``bind`` given a name. Asking
    again will not help: check the spelling of the name.
    """

class ResolverError(ResolveError, gaierror):
    """The look-up itself failed (EAI_AGAIN, EAI_FAIL, EAI_SYSTEM, …): the name may well exist."""

class ResolveTimeoutError(ResolveError, SocketTimeoutError, gaierror):
    """No answer from the name service in time.

    ``errno`` is EAI_AGAIN, as of the C library's own error when no name server has answered:
    what tries again after that one tries again after this. ``strerror`` is ``"timed out"``.
    The look-up itself goes on, on a thread of its own, until the C library gives up.
    """

class ReverseLookupError(ResolveError, herror):
    """``gethostbyaddr`` found no name for an address."""

# --- Connecting ---------------------------------------------------------------------------

class ConnectRefusedError(ConnectError, ConnectionRefusedError):
    """The other side refused (ECONNREFUSED): nothing listens there, or a firewall rejects.

    On a datagram socket it comes out of the next ``send`` or ``recv``, as in the stdlib.
    """

class ConnectTimeoutError(ConnectError, SocketTimeoutError):
    """No answer to the connection attempt; :attr:`timeout_source` says whose patience ended."""

class UnreachableError(ConnectError):
    """No route (EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN)."""

class ConnectDeniedError(ConnectError, PermissionError):
    """This machine does not allow the connection (EACCES, EPERM): local firewall or sandbox."""

class SocketPathError(ConnectError, FileNotFoundError):
    """The AF_UNIX path is not there (ENOENT)."""

# --- TLS ----------------------------------------------------------------------------------

class HandshakeTimeoutError(TLSError, ConnectError, SocketTimeoutError):
    """The TLS handshake did not end in time."""

class HandshakeError(TLSError, ConnectError, SSLError):
    """The TLS handshake failed; ``reason`` and ``library`` are OpenSSL's."""

class CertificateError(HandshakeError, SSLCertVerificationError):
    """The other side's certificate was not accepted; ``verify_message`` says why."""

# --- Reading and writing ------------------------------------------------------------------

class ReadTimeoutError(TransferError, SocketTimeoutError):
    """Nothing came in time."""

class WriteTimeoutError(TransferError, SocketTimeoutError):
    """The other side took nothing more in time; :attr:`bytes_sent` says how far it came."""

class PeerResetError(TransferError, ConnectionResetError):
    """The other side reset the connection (ECONNRESET): it crashed, or closed early."""

class PeerClosedError(TransferError, BrokenPipeError):
    """The connection had been closed before this write (EPIPE, ESHUTDOWN)."""

class PeerLostError(TransferError, TimeoutError):
    """The kernel gave the connection up (ETIMEDOUT): retransmissions or keepalives unanswered."""

class ConnectionAbortError(TransferError, ConnectionAbortedError):
    """The connection was aborted on this side (ECONNABORTED)."""

class MessageTooLargeError(TransferError):
    """A datagram was larger than the network or the socket takes (EMSGSIZE)."""

# --- Serving ------------------------------------------------------------------------------

class AcceptTimeoutError(SocketTimeoutError):
    """No client came within the caller's own timeout or deadline; ``accept`` has no other limit."""

class AddressInUseError(BindError):
    """Somebody has that local address already (EADDRINUSE)."""

class BindDeniedError(BindError, PermissionError):
    """This process may not take that address (EACCES, EPERM), such as a port below 1024."""

# --- Anywhere -----------------------------------------------------------------------------

class AddressNotAvailableError(ConnectError, BindError):
    """No such local address, or no free local port (EADDRNOTAVAIL)."""

class NotConnectedError(TransferError):
    """The socket is not connected (ENOTCONN, EDESTADDRREQ)."""

class AlreadyConnectedError(ConnectError):
    """The socket is connected already (EISCONN)."""

class SocketClosedError(SafeSocketError):
    """The socket had been closed (EBADF), perhaps by another thread."""

class ResourceError(SafeSocketError):
    """The process or the system ran out (EMFILE, ENFILE, ENOBUFS, ENOMEM)."""

class OperationDeniedError(SafeSocketError, PermissionError):
    """The operation is not permitted (EACCES, EPERM)."""

class SocketOperationError(SafeSocketError):
    """The operation failed for a reason that has no class of its own; :attr:`errno` tells it."""
