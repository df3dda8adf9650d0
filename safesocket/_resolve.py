"""Look-ups of names and addresses: the stdlib's, within the ``resolve`` limit, errors documented.

The functions of the façade, each with the signature of the stdlib's, and what an operation does
with a host name in an address. Here the limit is chosen; the waiting is ``_lookups``'.
"""

from __future__ import annotations

import _socket
import socket as stdlib

from . import _lookups, _system
from ._deadline import what_is_left
from ._exempt import is_left_alone, over
from ._failing import plain_call, throw, told
from ._hosts import is_at_hand
from ._plain import builtin
from ._recorder import recorded_to, recording
from ._route import is_numeric, recall, route_of
from ._timeouts import limit as limit_of
from ._translate import RESOLVE
from .errors import ResolveTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any, TypeVar

    from ._timeouts import Limit, Limits

    T = TypeVar("T")

_getaddrinfo = stdlib.getaddrinfo
_gethostbyaddr = stdlib.gethostbyaddr
_gethostbyname = stdlib.gethostbyname
_gethostbyname_ex = stdlib.gethostbyname_ex
_getnameinfo = stdlib.getnameinfo

#: hosts that connect(), sendto() and bind() understand without a look-up; Python ``socket``
_OF_C = (b"", b"<broadcast>")
#: family -> the lengths that its addresses may have
_LENGTHS = {_socket.AF_INET: (2,), _socket.AF_INET6: (2, 3, 4)}


def bounded(
    operation: str,
    asked: Any,
    call: Callable[..., T],
    *args: Any,
    limits: Limits | None = None,
) -> T:
    """Return ``call(*args)``, a look-up, made within the ``resolve`` limit; translate its errors.

    Args:
        operation: the name of the look-up, for errors and to know what *args* mean.
        asked: the host, or a tuple of host and port, that errors name.
        call: what looks up; the stdlib's function or what stands in its place.
        args: its arguments, positional, in the stdlib's order.
        limits: of a socket; they go first.
    """
    timed = _system.now() if recording and not is_at_hand(operation, args) else None
    try:
        limit = None if is_at_hand(operation, args) else _in_force(over(limits, asked))
        if limit is None:
            return plain_call(operation, asked, call, *args, question=args)
        within: Callable[..., T] = _lookups.answer
        return plain_call(
            operation, asked, within, limit.seconds, call, *args, limit=limit, question=args
        )
    finally:
        if timed is not None and not _lookups.is_asking():
            recorded_to(asked, RESOLVE, timed)
        del asked, args  # a failure's traceback keeps nothing of the caller's alive, as in C


def _in_force(limits: Limits | None) -> Limit | None:
    """Return the limit of a look-up that is made here and now, None where there is none."""
    limit = limit_of("resolve", limits)
    return None if limit.seconds is None or _lookups.is_asking() else limit


def getaddrinfo(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002 (the stdlib's name)
    proto: int = 0,
    flags: int = 0,
) -> list[Any]:
    """Return the addresses of *host* and *port*, a list of (family, type, proto, name, sockaddr).

    Raises:
        HostNotFoundError: there is no such name.
        ResolveTimeoutError: no answer within the ``resolve`` timeout (seconds, the whole call).
        ResolverError: the look-up itself failed; try again later.
    Source: getaddrinfo(3); Python ``socket.getaddrinfo``.
    """
    return bounded(
        "getaddrinfo", (host, port), _getaddrinfo, host, port, family, type, proto, flags
    )


def gethostbyname(hostname: Any, /) -> str:
    """Return an IPv4 address of *hostname*.

    Raises:
        HostNotFoundError: there is no such name.
        ResolveTimeoutError: no answer within the ``resolve`` timeout (seconds, the whole call).
        ResolverError: the look-up itself failed; try again later.
    Source: Python ``socket.gethostbyname``.
    """
    return bounded("gethostbyname", (hostname, None), _gethostbyname, hostname)


def gethostbyname_ex(hostname: Any, /) -> tuple[str, list[str], list[str]]:
    """Return the name, the aliases and the IPv4 addresses of *hostname*.

    Raises:
        HostNotFoundError: there is no such name.
        ResolveTimeoutError: no answer within the ``resolve`` timeout (seconds, the whole call).
        ResolverError: the look-up itself failed; try again later.
    Source: Python ``socket.gethostbyname_ex``.
    """
    return bounded("gethostbyname_ex", (hostname, None), _gethostbyname_ex, hostname)


def gethostbyaddr(ip_address: Any, /) -> tuple[str, list[str], list[str]]:
    """Return the name, the aliases and the addresses that belong to *ip_address*.

    Raises:
        ReverseLookupError: the address has no name.
        HostNotFoundError: *ip_address* is a name, and there is none such.
        ResolveTimeoutError: no answer within the ``resolve`` timeout (seconds, the whole call).
        ResolverError: the look-up itself failed; try again later.
    Source: gethostbyaddr(3); Python ``socket.gethostbyaddr``.
    """
    return bounded("gethostbyaddr", (ip_address, None), _gethostbyaddr, ip_address)


def getnameinfo(sockaddr: Any, flags: int, /) -> tuple[str, str]:
    """Return host and service names of *sockaddr*.

    Raises:
        HostNotFoundError: a name was required (NI_NAMEREQD) and there is none.
        ResolveTimeoutError: no answer within the ``resolve`` timeout (seconds, the whole call).
        ResolverError: the look-up itself failed; try again later.
    Source: getnameinfo(3); Python ``socket.getnameinfo``.
    """
    try:
        return bounded("getnameinfo", sockaddr, _getnameinfo, sockaddr, flags)
    finally:
        del sockaddr  # a failure's traceback keeps nothing of the caller's alive, as in C


# --- Host names in addresses --------------------------------------------------------------------


def resolved(sock: Socket, operation: str, address: Any) -> Any:
    """Return *address* with its host name looked up, as C does it within the *operation*.

    So the look-up has a limit, and the address tried is known when the operation fails. What
    needs no look-up, what C will refuse, and what a non-blocking socket is given, is returned as
    it is.

    Raises:
        HostNotFoundError, ResolveTimeoutError, ResolverError: as *operation*'s.
    """
    name = None if is_numeric(address) else _name_in(sock, builtin(address))
    if name is None:
        return address
    known = recall(sock)
    if known is not None and known.forever:
        limit = what_is_left()
    else:
        limit = _in_force(over(known.limits if known else None, address))
    question = name, None, _system.family(sock), _socket.SOCK_STREAM
    started = _system.now()
    try:
        found: Any = _answered(limit, *question)
    except OSError as exc:
        if is_left_alone(address) and not isinstance(exc, ResolveTimeoutError):
            raise
        elapsed, route = _system.now() - started, route_of(sock, address)
        throw(exc, told(exc, operation, route, elapsed=elapsed, limit=limit))
    finally:
        if recording:
            recorded_to(address, RESOLVE, started)
    return (found[0][4][0], *builtin(address)[1:])


def _answered(limit: Limit | None, *question: Any) -> Any:
    if limit is None or limit.seconds is None:
        return _getaddrinfo(*question)
    return _lookups.answer(limit.seconds, _getaddrinfo, *question)


def _name_in(sock: Socket, address: Any) -> bytes | None:
    """Return the host name in *address* as C will look it up; None where C will not."""
    if _system.gettimeout(sock) == 0 or not isinstance(address, tuple):
        return None
    if len(address) not in _LENGTHS.get(_system.family(sock), ()):
        return None
    host, *numbers = address
    name = _encoded(builtin(host))
    if name is None or name in _OF_C or b"\0" in name:
        return None
    for number in numbers:
        if not hasattr(type(number), "__index__"):
            return None
    return name


def _encoded(host: Any) -> bytes | None:
    """Return *host* as C spells it: ASCII as it is, and all else in IDNA (RFC 3490)."""
    if isinstance(host, bytes):
        return host
    if not isinstance(host, str):
        return None
    try:
        return host.encode() if host.isascii() else host.encode("idna")
    except UnicodeError:
        return None
