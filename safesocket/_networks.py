"""The network as this machine sees it: its addresses, its routes, its name servers.

Whether a host can be reached nobody is asked here; only what this machine has not got is said.
"""

from __future__ import annotations

import _socket
import errno
import sys

from . import _proc
from ._hosts import is_number
from ._redaction import shown
from ._wording import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._surroundings import Look

_IPV4, _IPV6 = _socket.AF_INET, _socket.AF_INET6

_UP = 0x1  # flag of a route; <linux/route.h>
_TENTATIVE = 0x40  # flag of an address; <linux/if_addr.h>
_MOST = 4  # things named in a list

_NO_IPV6 = (
    "no interface of this machine has an IPv6 address: IPv6 is switched off, or not even the "
    "loopback is up"
)
_LOOPBACK = bytes(15) + b"\1"


def end(address: Any) -> tuple[str, int]:
    """Return host and port of the address of a socket."""
    host, port = address[:2]
    return host, port


def packed(host: str, family: int = _IPV4) -> bytes:
    """Return *host*, a number, as the kernel compares it; "" is every address of the *family*."""
    if not host:
        return bytes(16 if family == _IPV6 else 4)
    if ":" not in host:
        return _socket.inet_aton(host)
    raw = _socket.inet_pton(_IPV6, host.partition("%")[0])
    return raw[12:] if raw[:12] == _proc.MAPPED else raw


def text(address: bytes) -> str:
    """Return a packed address as people write it."""
    return _socket.inet_ntop(_IPV6 if len(address) == 16 else _IPV4, address)


# --- Addresses ----------------------------------------------------------------------------------


def _ipv6_addresses(until: float) -> list[tuple[bytes, int, int, str]]:
    """Return the IPv6 addresses of this machine, with scopes, flags and interfaces."""
    fields = map(bytes.split, _proc.of_network("if_inet6", until))
    return [
        (bytes.fromhex(f[0].decode()), int(f[3], 16), int(f[4], 16), clean(f[5])) for f in fields
    ]


def _ipv4_addresses(until: float) -> list[str]:
    """Return the IPv4 addresses of this machine: in the tree they precede "/32 host LOCAL"."""
    found: dict[str, None] = {}
    address = b""
    for line in _proc.of_network("fib_trie", until):
        branch, _, leaf = line.partition(b"-- ")
        if branch.endswith(b"|"):
            address = leaf
        elif line.endswith(b"/32 host LOCAL"):
            found[address.decode("ascii")] = None
    return list(found)


def not_here(look: Look) -> str | None:
    """Return which addresses this machine has in place of the one that was to be bound."""
    host, _ = end(look.route.address)
    wanted = packed(host, look.route.family)
    if not any(wanted):
        return None
    if len(wanted) == 4:
        known = _ipv4_addresses(look.until)
        return None if text(wanted) in known else _has_only(host, known)
    addresses = _ipv6_addresses(look.until)
    if not addresses:
        return _NO_IPV6
    for address, _, flags, interface in addresses:
        if address == wanted:
            return _not_yet(host, interface) if flags & _TENTATIVE else None
    return _has_only(host, [text(address) for address, *_ in addresses])


def _not_yet(host: str, interface: str) -> str:
    return (
        f"{interface} has {_host(host)}, but it is tentative still: it can be used a second or two "
        "after the interface has a link, if nobody else turns out to have it (RFC 4862)"
    )


def _has_only(host: str, known: list[str]) -> str | None:
    if not known:
        return None
    return (
        f"no interface of this machine has {_host(host)}; its addresses are "
        f'{_hosts(known)}, and the host "" stands for all of them'
    )


def no_source(look: Look) -> str | None:
    """Return that this machine has no address from which to talk to the IPv6 one asked for."""
    to, _ = end(look.route.address)
    return None if len(packed(to)) == 4 or _ipv6_addresses(look.until) else _NO_IPV6


def without_scope(look: Look) -> str | None:
    """Return that a link-local address was given without its interface: RFC 4007."""
    host, _ = end(look.route.address)
    scope = look.route.address[3:4]
    if look.exc.errno != errno.EINVAL or look.route.family != _IPV6 or "%" in host or any(scope):
        return None
    if packed(host)[:1] != b"\xfe" or packed(host)[1] & 0xC0 != 0x80:
        return None
    here = list(dict.fromkeys(name for *_, name in _ipv6_addresses(look.until) if name != "lo"))
    return (
        f"{_host(host)} is a link-local address, the same on every interface: name the interface, "
        f"as in '{_host(host)}%{here[0] if here else 'eth0'}'"
        + (f"; here there are {_listed(here)}" if len(here) > 1 else "")
    )


def from_loopback(look: Look) -> str | None:
    """Return that the socket is bound to the loopback, and the address is another machine's."""
    route = look.route
    if look.exc.errno != errno.EINVAL or not isinstance(route.local, tuple):
        return None
    (here, _), (there, _) = end(route.local), end(route.address)
    if not here.startswith("127.") or there.startswith("127."):
        return None
    return (
        f"this socket is bound to {_host(here)}, from where only this machine can be reached: bind "
        "it to another address (source_address), or to none"
    )


# --- Routes -------------------------------------------------------------------------------------


def no_route(look: Look) -> str | None:
    """Return that this machine has no route to the address, where its tables have none."""
    to = packed(end(look.route.address)[0])
    if look.exc.errno != errno.ENETUNREACH:
        return None  # there is a route, and somebody on it says that it does not lead there
    routes = list((_ipv4_routes if len(to) == 4 else _ipv6_routes)(look.until))
    if any(mask & _as_number(to) == net for net, mask in routes):
        return None
    if to == _LOOPBACK:
        return "the loopback interface has no ::1: IPv6 is switched off on it, or it is down"
    if len(to) == 4:
        without = "" if routes else _without_addresses(_ipv4_addresses(look.until))
        return f"this machine has no IPv4 route to there, nor a default route{without}"
    return (
        "this machine has no IPv6 route to there, nor a default route: it may have no IPv6 at all; "
        "an IPv4 address of the host may be reached"
    )


def _without_addresses(known: list[str]) -> str:
    """Return that no interface has an IPv4 address; one without routes may, as of a tunnel."""
    if not all(address.startswith("127.") for address in known):
        return ""
    return ": no interface is up and has an IPv4 address, except the loopback at most"


def _as_number(address: bytes) -> int:
    return int.from_bytes(address, sys.byteorder if len(address) == 4 else "big")


def _ipv4_routes(until: float) -> Iterator[tuple[int, int]]:
    """Yield networks and masks of the routes in use, in this machine's byte order."""
    shown = _proc.of_network("route", until)
    next(shown, None)  # the heading
    for fields in map(bytes.split, shown):
        if int(fields[3], 16) & _UP:
            yield int(fields[1], 16), int(fields[7], 16)


def _ipv6_routes(until: float) -> Iterator[tuple[int, int]]:
    """Yield networks and masks of the routes in use."""
    for fields in map(bytes.split, _proc.of_network("ipv6_route", until)):
        if int(fields[8], 16) & _UP:
            hosts = (1 << 128 - int(fields[1], 16)) - 1
            yield int(fields[0], 16), ~hosts & (1 << 128) - 1


# --- Name servers -------------------------------------------------------------------------------


def name_servers(look: Look) -> str | None:
    """Return whom this machine asks for names: resolv.conf(5)."""
    host = look.route.host
    if look.operation == "getnameinfo" or not host or is_number(host):
        return None
    if sys.platform in ("darwin", "win32"):
        return None  # they ask others than that file names
    servers, domains = _configured(look.until)
    if not servers:
        return "no name server is configured in /etc/resolv.conf"
    stub = " (systemd-resolved, which asks others: resolvectl status)" * (servers == ["127.0.0.53"])
    one = "name server is" if len(servers) == 1 else "name servers are"
    return f"this machine's {one} {_hosts(servers)}{stub}{_completed(host, domains)}"


def _configured(until: float) -> tuple[list[str], list[str]]:
    servers: list[str] = []
    domains: list[str] = []
    try:
        for words in map(bytes.split, _proc.lines(f"{_proc.ETC}/resolv.conf", until)):
            if words[:1] == [b"nameserver"]:
                servers += map(clean, words[1:2])
            elif words[:1] in ([b"search"], [b"domain"]):
                domains = list(map(clean, words[1:]))  # the last one counts
    except FileNotFoundError:
        pass
    return servers, domains


def _completed(host: Any, domains: list[str]) -> str:
    dot: Any = b"." if isinstance(host, (bytes, bytearray)) else "."
    if dot in host:
        return ""
    if not domains:
        return ", with no search domain to complete a name without dots"
    return f", and a name without dots is completed with {_hosts(domains)}"


def _host(name: str) -> str:
    return clean(shown(name))


def _hosts(names: list[str]) -> str:
    return _listed(list(map(_host, names)))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
