"""Look-ups of names and addresses: the stdlib's, with documented errors.

Functions of the façade, each with the signature of the stdlib's; no socket is touched here.
"""

from __future__ import annotations

import socket as stdlib

from ._failing import plain_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_getaddrinfo = stdlib.getaddrinfo
_gethostbyaddr = stdlib.gethostbyaddr
_gethostbyname = stdlib.gethostbyname
_gethostbyname_ex = stdlib.gethostbyname_ex
_getnameinfo = stdlib.getnameinfo


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
        ResolverError: the look-up itself failed; try again later.
    Source: getaddrinfo(3); Python ``socket.getaddrinfo``.
    """
    return plain_call(
        "getaddrinfo", (host, port), _getaddrinfo, host, port, family, type, proto, flags
    )


def gethostbyname(hostname: Any, /) -> str:
    """Return an IPv4 address of *hostname*.

    Raises:
        HostNotFoundError: there is no such name.
        ResolverError: the look-up itself failed; try again later.
    Source: Python ``socket.gethostbyname``.
    """
    return plain_call("gethostbyname", (hostname, None), _gethostbyname, hostname)


def gethostbyname_ex(hostname: Any, /) -> tuple[str, list[str], list[str]]:
    """Return the name, the aliases and the IPv4 addresses of *hostname*.

    Raises:
        HostNotFoundError: there is no such name.
        ResolverError: the look-up itself failed; try again later.
    Source: Python ``socket.gethostbyname_ex``.
    """
    return plain_call("gethostbyname_ex", (hostname, None), _gethostbyname_ex, hostname)


def gethostbyaddr(ip_address: Any, /) -> tuple[str, list[str], list[str]]:
    """Return the name, the aliases and the addresses that belong to *ip_address*.

    Raises:
        ReverseLookupError: the address has no name.
        HostNotFoundError: *ip_address* is a name, and there is none such.
        ResolverError: the look-up itself failed; try again later.
    Source: gethostbyaddr(3); Python ``socket.gethostbyaddr``.
    """
    return plain_call("gethostbyaddr", (ip_address, None), _gethostbyaddr, ip_address)


def getnameinfo(sockaddr: Any, flags: int, /) -> tuple[str, str]:
    """Return host and service names of *sockaddr*.

    Raises:
        HostNotFoundError: a name was required (NI_NAMEREQD) and there is none.
        ResolverError: the look-up itself failed; try again later.
    Source: getnameinfo(3); Python ``socket.getnameinfo``.
    """
    try:
        return plain_call("getnameinfo", sockaddr, _getnameinfo, sockaddr, flags)
    finally:
        del sockaddr  # a failure's traceback keeps nothing of the caller's alive, as in C
