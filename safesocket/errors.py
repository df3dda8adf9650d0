"""The documented errors: the tree, what each error carries, how it prints and travels.

Only the classes live here. Which class a failure becomes is decided in ``_translate``, its
sentence is worded in ``_wording``, its hint in ``_hints``. Nothing here touches a socket.

Every class is a :class:`SafeSocketError` and the builtin class that the stdlib would have
raised, so ``except ConnectionRefusedError``, ``except TimeoutError`` and ``except OSError``
written for the stdlib go on working. ``errno``, ``strerror`` and ``args`` are the original's.

Catch by what happened (the leaves) or by what was being done (the umbrellas):
:class:`ResolveError`, :class:`ConnectError`, :class:`TLSError`, :class:`TransferError`,
:class:`BindError`, and :class:`SocketTimeoutError` for every timeout of safesocket's.
An error raised by connecting is a :class:`ConnectError` whatever its leaf is, one raised by
reading or writing a :class:`TransferError`, and so on: see :func:`combined`.
"""

from __future__ import annotations

import builtins
import errno as _errno
import socket as _socket
from functools import cache
from socket import gaierror, herror

from . import _wording

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more to import than all of safesocket
    from collections.abc import Callable, Sequence
    from typing import Any

    from ._evidence import TCPInfo
    from ._tcpinfo import Facts
    from ._tlserrors import CertificateError, HandshakeError

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


class Attempt:
    """One address that ``create_connection`` tried: where, what came of it, how long it took.

    Attributes:
        address: the sockaddr tried.
        error: the documented error of this attempt.
        elapsed: seconds that it took.
    """

    __slots__ = ("address", "elapsed", "error")

    def __init__(self, address: Any, error: OSError, elapsed: float) -> None:
        self.address = address
        self.error = error
        self.elapsed = elapsed

    def __repr__(self) -> str:
        return f"Attempt({self.address!r}, {self.error!r}, elapsed={self.elapsed:.3f})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Attempt):
            return NotImplemented
        return self is other or self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Attempt, (self.address, self.error, self.elapsed)

    def _facts(self) -> tuple[Any, ...]:
        return self.address, type(self.error), self.error.args, self.elapsed


class _Worded:
    """A part of an error that is put into words when somebody asks, and then stays as it is.

    Most errors are caught and never read, and words were a fifth of what a refusal costs.
    """

    __slots__ = ("_name", "_word")

    def __init__(self, word: Callable[[SafeSocketError], Any]) -> None:
        self._word = word

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, error: SafeSocketError | None, owner: type | None = None) -> Any:
        if error is None:
            return self._word(SafeSocketError())  # the class has what an untold error has
        return error.__dict__.setdefault(self._name, self._word(error))


def _hint(error: SafeSocketError) -> str | None:
    if not error._hinted:
        return None
    word, leaf, route = error._hinted
    return word(error, leaf, route)  # type: ignore[no-any-return]


def _notes(error: SafeSocketError) -> list[str]:
    if error._hinted is None:  # nobody has told it: like any exception without notes
        raise AttributeError("__notes__", name="__notes__", obj=error)
    said = [_wording.sentence(error)] if error._message == "note" else []
    return said + [f"Hint: {hint}" for hint in (error.hint,) if hint and error._message != "off"]


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

    operation: str | None = None
    host: str | None = None
    port: int | str | None = None
    address: Any = None
    local: Any = None
    elapsed: float | None = None
    timeout: float | None = None
    timeout_source: str | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    attempts: Sequence[Attempt] = ()
    hint: str | None = _Worded(_hint)  # type: ignore[assignment]
    __notes__ = _Worded(_notes)
    _hinted: tuple[Any, ...] | None = None  # what words the hint, and of what
    _field: str = ""  # the name of the limit in Timeouts
    _attempt: int = -1  # which of the attempts it tells of
    #: of look-ups: how many are stuck, seconds of the oldest, and whether this one had begun
    _stuck: tuple[int, float, bool] | None = None
    _tcp: Facts | None = None  # what the kernel knew
    _finding: str | None = None  # what a look around has shown of the cause
    _role: str = ""  # how the socket came to be, where that tells who is at the other end
    _recorded: bool = False  # by a profile; what is told anew is not another failure
    _message: str = "append"  # configure(message=) when it was raised

    def __str__(self) -> str:
        original = super().__str__()
        if self.operation is None or self._message != "append":
            return original
        return f"{original}: {_wording.sentence(self)}"

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: Any = super().__reduce__()
        if self._hinted is not None:
            state = {**self.__dict__, "hint": self.hint, "__notes__": self.__notes__}
            del state["_hinted"]
            reduced = (*reduced[:2], state)
        parts = _PARTS.get(type(self))
        if parts is None:
            return reduced  # type: ignore[no-any-return]
        # By name: pickle protocols before 3 turn NotADirectoryError and its like into OSError.
        names = tuple(part.__name__ for part in parts)
        return _rebuilt, (names, reduced[1]), *reduced[2:]

    @property
    def tcp(self) -> TCPInfo | None:
        """What the kernel knew of the TCP connection; None where it tells nothing (not Linux).

        Also None where there was no connection, as after a refusal.
        """
        if self._tcp is None:
            return None
        from ._evidence import TCPInfo

        return TCPInfo(**self._tcp)

    @property
    def code(self) -> str:
        """Name of the cause: ``"ECONNREFUSED"``, ``"EAI_NONAME"``, ``"timeout"`` or ``"error"``."""
        if isinstance(self, ResolveTimeoutError):
            return "timeout"
        if self.errno is None:
            return "timeout" if isinstance(self, TimeoutError) else "error"
        if isinstance(self, TLSError):  # its errno is a number of OpenSSL's
            return str(getattr(self, "reason", None) or "error")
        for kind, names in _CODES:
            if isinstance(self, kind):
                return names.get(self.errno, str(self.errno))
        return _errno.errorcode.get(self.errno, str(self.errno))

    @property
    def fingerprint(self) -> str:
        """A name of this failure that is stable from run to run, to group by in error trackers.

        ``"connect:ECONNREFUSED:db.internal:5432"``: no times, descriptors or ephemeral ports.
        """
        return ":".join(filter(None, (self.operation, self.code, _wording.target(self))))

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known of this failure, ready for JSON."""
        facts: dict[str, Any] = {
            name: _plain(getattr(self, name)) for name in _FACTS if name not in ("hint", "attempts")
        }
        return {
            "type": type(self).__name__,
            "message": str(self),
            "errno": self.errno,
            "code": self.code,
            "fingerprint": self.fingerprint,
            **facts,
            "hint": self.hint,
            "tcp": self._tcp and dict(self._tcp),
            "attempts": [
                {
                    "address": _plain(attempt.address),
                    "error": str(attempt.error),
                    "type": type(attempt.error).__name__,
                    "elapsed": attempt.elapsed,
                }
                for attempt in self.attempts
            ],
        }


_FACTS = tuple(name for name in SafeSocketError.__annotations__ if not name.startswith("_"))


_EAI_CODES = {value: name for name, value in vars(_socket).items() if name.startswith("EAI_")}

_HOST_CODES = {1: "HOST_NOT_FOUND", 2: "TRY_AGAIN", 3: "NO_RECOVERY", 4: "NO_DATA"}  # netdb.h
#: builtin class -> the names of its numbers, which are no errnos
_CODES: tuple[tuple[type[OSError], dict[int, str]], ...] = (
    (gaierror, _EAI_CODES),
    (herror, _HOST_CODES),
)


def _plain(value: Any) -> Any:
    """Return *value* in terms of JSON: addresses hold tuples, bytes and odd numbers."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not value < float("inf"):
        return "forever" if value > 0 else str(value)
    return value if isinstance(value, (int, float, type(None))) else _wording.clean(value)


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


# --- How a leaf takes on more ---------------------------------------------------------------


@cache
def combined(leaf: type[SafeSocketError], *others: type[OSError]) -> type[SafeSocketError]:
    """Return *leaf*, or a class of its name and module that is each of *others* as well.

    So ENOBUFS out of ``connect`` is a :class:`ResourceError` and a :class:`ConnectError`, out
    of ``send`` a :class:`ResourceError` and a :class:`TransferError`; and an errno that Python
    gives a builtin class (ENOTDIR) is that class, whatever its leaf.
    """
    missing = [other for other in others if not issubclass(leaf, other)]
    if not missing:
        return leaf
    return _made(*_PARTS.get(leaf, (leaf,)), *missing)  # type: ignore[arg-type]


@cache
def _made(*parts: type[OSError]) -> type[SafeSocketError]:
    leaf = parts[0]
    body = {"__module__": leaf.__module__, "__doc__": leaf.__doc__}
    made: type[SafeSocketError] = type(leaf.__name__, parts, body)
    _PARTS[made] = parts
    return made


_PARTS: dict[type, tuple[Any, ...]] = {}


def _rebuilt(parts: tuple[str, ...], args: tuple[Any, ...]) -> SafeSocketError:
    classes = [_class_called(name) for name in parts]
    return _made(*classes)(*args)  # type: ignore[arg-type]


def _class_called(name: str) -> type[OSError]:
    found = globals().get(name) or getattr(builtins, name, None)
    if found is None:
        from . import _tlserrors

        found = _tlserrors.called(name)
    return found


def __getattr__(name: str) -> Any:
    if name == "TCPInfo":
        from . import _evidence

        return _evidence.TCPInfo
    if name in ("HandshakeError", "CertificateError"):  # their builtin parents live in ssl
        from . import _tlserrors

        return getattr(_tlserrors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
