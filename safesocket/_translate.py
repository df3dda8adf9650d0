"""(operation, OSError, route) -> the documented error: one table, pure.

Nothing is read from sockets or clocks here, so that every row can be tested as a row. A
documented error is three things at once: what happened (the leaf, from the table), what was
being done (the operation's umbrella) and the builtin class of the original.
"""

from __future__ import annotations

import errno as _errno
import socket as stdlib
from socket import gaierror, herror

from . import _redaction, _tcpinfo
from . import errors as e
from ._hints import hint_for
from ._roles import ACCEPTED, BOUND
from ._timeouts import Limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final, TypeVar

    from ._route import Route

    T = TypeVar("T", bound=OSError)

CONNECT: Final = "connect"
ACCEPT: Final = "accept"
BIND: Final = "bind"
READ: Final = "read"
WRITE: Final = "write"
RESOLVE: Final = "resolve"
HANDSHAKE: Final = "handshake"

#: operation -> what is being done; operations not named are of no phase.
PHASES = {
    **dict.fromkeys(("connect", "connect_ex"), CONNECT),
    **dict.fromkeys(("accept",), ACCEPT),
    **dict.fromkeys(("bind", "listen"), BIND),
    **dict.fromkeys(("recv", "recv_into", "recvfrom", "recvfrom_into"), READ),
    **dict.fromkeys(("recvmsg", "recvmsg_into", "read", "unwrap"), READ),
    **dict.fromkeys(("send", "sendall", "sendto", "sendmsg", "sendmsg_afalg", "sendfile"), WRITE),
    **dict.fromkeys(("write",), WRITE),
    **dict.fromkeys(("do_handshake",), HANDSHAKE),
    **dict.fromkeys(("getaddrinfo", "gethostbyname", "gethostbyname_ex"), RESOLVE),
    **dict.fromkeys(("gethostbyaddr", "getnameinfo"), RESOLVE),
}

_UMBRELLAS: dict[str, tuple[type[e.SafeSocketError], ...]] = {
    CONNECT: (e.ConnectError,),
    BIND: (e.BindError,),
    READ: (e.TransferError,),
    WRITE: (e.TransferError,),
    RESOLVE: (e.ResolveError,),
    HANDSHAKE: (e.TLSError, e.ConnectError),
}

_TIMEOUTS: dict[str, type[e.SafeSocketError]] = {
    CONNECT: e.ConnectTimeoutError,
    ACCEPT: e.AcceptTimeoutError,
    READ: e.ReadTimeoutError,
    WRITE: e.WriteTimeoutError,
    RESOLVE: e.ResolveTimeoutError,
    HANDSHAKE: e.HandshakeTimeoutError,
}

_ANY = ""

#: what happened, in which phase, under which errno names (a system need not have them all)
_ROWS: tuple[tuple[type[e.SafeSocketError], str, tuple[str, ...]], ...] = (
    (e.ConnectRefusedError, _ANY, ("ECONNREFUSED",)),
    (e.ConnectTimeoutError, CONNECT, ("ETIMEDOUT",)),
    (e.UnreachableError, _ANY, ("EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN")),
    (e.ConnectDeniedError, CONNECT, ("EACCES", "EPERM", "WSAEACCES")),
    (e.SocketPathError, CONNECT, ("ENOENT",)),
    (e.SocketPathError, BIND, ("ENOENT",)),
    (e.SocketPathError, WRITE, ("ENOENT",)),
    (e.PeerResetError, _ANY, ("ECONNRESET",)),
    (e.PeerClosedError, _ANY, ("EPIPE", "ESHUTDOWN")),
    (e.PeerLostError, _ANY, ("ETIMEDOUT",)),
    (e.ConnectionAbortError, _ANY, ("ECONNABORTED",)),
    (e.MessageTooLargeError, _ANY, ("EMSGSIZE",)),
    (e.AddressInUseError, _ANY, ("EADDRINUSE",)),
    (e.BindDeniedError, BIND, ("EACCES", "EPERM", "WSAEACCES")),
    (e.AddressNotAvailableError, _ANY, ("EADDRNOTAVAIL",)),
    (e.NotConnectedError, _ANY, ("ENOTCONN", "EDESTADDRREQ")),
    (e.AlreadyConnectedError, _ANY, ("EISCONN",)),
    (e.SocketClosedError, _ANY, ("EBADF", "WSAEBADF", "WSAENOTSOCK")),
    (e.ResourceError, _ANY, ("EMFILE", "WSAEMFILE", "ENFILE", "ENOBUFS", "ENOMEM")),
    (e.OperationDeniedError, _ANY, ("EACCES", "EPERM", "WSAEACCES")),
)

_LEAVES: dict[tuple[str, int], type[e.SafeSocketError]] = {
    (phase, getattr(_errno, name)): leaf
    for leaf, phase, names in _ROWS
    for name in names
    if hasattr(_errno, name)
}

#: What says that the name is not there; all else is the resolver's trouble: getaddrinfo(3).
_NO_SUCH_NAME = {
    getattr(stdlib, f"EAI_{name}", None) for name in ("NONAME", "NODATA", "ADDRFAMILY")
}

_KERNEL = Limit(None, "", "kernel")

_mode = "append"


def checked_mode(mode: str) -> str:
    """Return *mode* if it is a wish of ``configure(message=)``."""
    if mode not in ("append", "note", "off"):
        raise ValueError(f"message must be 'append', 'note' or 'off', not {mode!r}")
    return mode


def set_mode(mode: str) -> None:
    """Say where the sentence goes: "append" to the text, into a "note", or nowhere ("off").

    An error keeps to what was said when it was raised.
    """
    global _mode
    _mode = mode


def leaf_of(exc: OSError, operation: str) -> type[e.SafeSocketError]:
    """Return the class that says what happened."""
    if isinstance(exc, (gaierror, herror)):
        return _leaf_of_a_lookup(exc)
    phase = PHASES.get(operation, _ANY)
    if type(exc).__module__ == "ssl":
        from . import _tlserrors  # here: whoever raised it has imported ssl

        return _tlserrors.leaf_of(exc, shaking_hands=phase == HANDSHAKE)
    if exc.errno is None:
        timed_out = isinstance(exc, TimeoutError)
        return _TIMEOUTS.get(phase, e.SocketTimeoutError) if timed_out else e.SocketOperationError
    return _LEAVES.get((phase, exc.errno)) or _LEAVES.get((_ANY, exc.errno), e.SocketOperationError)


def _leaf_of_a_lookup(exc: OSError) -> type[e.SafeSocketError]:
    if isinstance(exc, herror):
        return e.ReverseLookupError
    if isinstance(exc, e.ResolveTimeoutError):
        return e.ResolveTimeoutError
    return e.HostNotFoundError if exc.errno in _NO_SUCH_NAME else e.ResolverError


def translate(
    exc: OSError,
    operation: str,
    route: Route,
    leaf: type[e.SafeSocketError] | None = None,
    elapsed: float | None = None,
    limit: Limit | None = None,
    bytes_sent: int | None = None,
) -> e.SafeSocketError:
    """Return the documented error for *exc*, a *leaf*, which *operation* met on *route*."""
    leaf = leaf or leaf_of(exc, operation)
    umbrella = _UMBRELLAS.get(PHASES.get(operation, _ANY), ())
    kind: type[e.SafeSocketError] = e.combined(leaf, *umbrella, type(exc))  # type: ignore[arg-type]
    error = _like(exc, kind)
    _redaction.hide(error, route.host, route.address, route.local, route.server_name)
    error.operation = operation
    if isinstance(exc, e.ResolveTimeoutError):
        error._stuck = exc._stuck
    if bytes_sent is not None:
        error.bytes_sent = bytes_sent
    tell(error, leaf, route, elapsed, limit)
    return error


def tell(
    error: e.SafeSocketError,
    leaf: type[e.SafeSocketError],
    route: Route,
    elapsed: float | None,
    limit: Limit | None,
    attempts: Sequence[e.Attempt] = (),
) -> None:
    """Set what is known about *error*, and its hint; what an earlier telling said is replaced."""
    facts = error.__dict__
    facts["host"], facts["port"] = _redaction.shown((route.host, route.port))
    facts["address"] = _redaction.shown(route.address)
    if route.local is not None:  # or an earlier telling's stays
        facts["local"] = _redaction.shown(route.local)
    facts["elapsed"] = elapsed
    if attempts:
        facts["attempts"] = attempts
    if route.role in (ACCEPTED, BOUND):
        facts["_role"] = route.role
    if route.tcp is not None:
        _add_evidence(error, route.tcp)
    if isinstance(error, TimeoutError):
        _name_limit(error, limit if error.errno is None or isinstance(error, gaierror) else _KERNEL)
    facts["_finding"] = route.finding
    facts.pop("hint", None)
    facts.pop("__notes__", None)
    facts["_hinted"] = hint_for, leaf, route
    if _mode != "append":
        facts["_message"] = _mode
    if _redaction.wished() is not None:  # worded as is wished now; the route holds the hosts
        facts["hint"], facts["_hinted"] = error.hint, ()


def add_to_hint(error: e.SafeSocketError, words: str) -> None:
    """Add *words* to the hint of *error*."""
    error.hint = f"{error.hint}; {words}" if error.hint else words
    error.__dict__.pop("__notes__", None)


def correct(
    error: e.SafeSocketError, operation: str, bytes_sent: int | None, elapsed: float
) -> None:
    """Let *error* tell of *operation*, of which that which failed was a part."""
    facts = {"hint": error.hint, "bytes_sent": bytes_sent, "elapsed": elapsed}
    error.__dict__.update(facts, operation=operation)  # the hint is that of the part
    error.__dict__.pop("__notes__", None)


def _add_evidence(error: e.SafeSocketError, tcp: _tcpinfo.Facts) -> None:
    phase = PHASES.get(error.operation or "", _ANY)
    if phase == CONNECT and tcp["state"] == _tcpinfo.CLOSE:
        return  # there never was a connection; with a settimeout, the kernel keeps the attempt
    # Neither finds more than the end of what came: tcp_reset() and tcp_recvmsg() of Linux.
    if phase != READ and error.errno != _errno.ECONNRESET:
        tcp = _tcpinfo.without_doubt(tcp)
    error._tcp = tcp
    error.bytes_received = tcp["bytes_received"]
    if phase != WRITE:
        error.bytes_sent = _tcpinfo.taken(tcp)


def _name_limit(error: e.SafeSocketError, limit: Limit | None) -> None:
    if limit is not None:
        error.timeout = limit.whole
        error.timeout_source = limit.source
        error._field = limit.field


def told_by(knows: BaseException | None, error: e.SafeSocketError) -> e.SafeSocketError:
    """Return *error*, or, if *knows* is one of ours, one with its args that is what *knows* is."""
    if not isinstance(knows, e.SafeSocketError):
        return error
    umbrella = _UMBRELLAS.get(PHASES.get(error.operation or "", _ANY), ())
    kind: type[e.SafeSocketError] = e.combined(type(knows), *umbrella)  # type: ignore[arg-type]
    told = kind(*error.args)
    told.__dict__.update(knows.__dict__)
    return told


def alike(error: OSError, kind: type[T]) -> T:
    """Return an error of *kind* that knows what *error* knows, but not where it was raised."""
    copied = _like(error, kind)
    copied.__dict__.update(error.__dict__)
    return copied


def _like(exc: OSError, kind: type[T]) -> T:
    """Return an error of *kind* with the facts of *exc* as they were."""
    if exc.filename is None:
        made = kind(*exc.args)  # on Windows they hold winerror
        made.__dict__.update(exc.__dict__)  # what TLS says: reason, library, verify_code, …
        return made
    facts: tuple[Any, ...] = (exc.errno, exc.strerror, exc.filename)
    return kind(*facts, getattr(exc, "winerror", None), exc.filename2)
