"""A look around after a failure: what this machine shows of its cause, in a sentence or not at all.

The entrance, its promises and one table live here: which failure is worth which look. A look is
bounded in time, raises nothing of its own, and where nothing certain is to be seen it says
nothing. All that it needs is loaded with the package: a module that is loaded at a failure needs a
descriptor, and in a child that was forked while another thread loaded it, it never comes.
"""

from __future__ import annotations

import _socket

from . import _descriptors, _networks, _paths, _ports
from . import errors as e
from ._system import family, getsockopt, now
from ._tcphints import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any, TypeAlias

    from ._route import Route

    Row: TypeAlias = "tuple[type[e.SafeSocketError], Callable[[Look], bool], Sight]"
    Sight: TypeAlias = "Callable[[Look], str | None]"

#: seconds after which a look begins nothing more; a large table takes one more to be read
BUDGET = 0.004

_UNIX = getattr(_socket, "AF_UNIX", None)
_INTERNET = (_socket.AF_INET, _socket.AF_INET6)
_NETWORK = 71  # SO_NETNS_COOKIE, <asm-generic/socket.h>, Linux 5.14; Python has no name for it


class Look:
    """What a look is about: the failure, whom it concerned, and until when to look."""

    __slots__ = ("exc", "operation", "route", "sock", "until")

    def __init__(self, exc: OSError, operation: str, route: Route, sock: Socket | None) -> None:
        self.exc = exc
        self.operation = operation
        self.route = route
        self.sock = sock
        self.until = now() + BUDGET


def finding(
    exc: OSError,
    leaf: type[e.SafeSocketError],
    operation: str,
    route: Route,
    sock: Socket | None = None,
) -> str | None:
    """Return what is to be seen of the cause of *exc*, which is a *leaf*; None if nothing is."""
    rows = _ROWS.get(leaf)
    if rows is None:
        return None
    try:
        look = Look(exc, operation, route, sock)
        for applies, sight in rows:
            if applies(look):
                found = sight(look)
                return found if found and _is_of_this_network(sock) else None
    except Exception as failed:
        if not _is_ours(failed):
            raise  # by a handler of a signal: the program's
    return None


def _is_ours(exc: Exception) -> bool:
    """Tell whether *exc* was raised in this package; all that it calls elsewhere is in C."""
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    name = last.tb_frame.f_globals.get("__name__", "") if last else ""
    return str(name).startswith(f"{__package__}.")


def _is_of_this_network(sock: Socket | None) -> bool:
    """Tell whether *sock* is of the network that /proc shows to this thread: setns(2)."""
    if sock is None or family(sock) not in _INTERNET:
        return True
    here = None
    try:
        here = _socket.socket(family(sock), _socket.SOCK_DGRAM)
        return _network_of(here) == _network_of(sock)
    except OSError:  # an older kernel does not tell, or there is no descriptor for a question
        return True
    finally:
        if here is not None:
            here.close()


def _network_of(sock: Any) -> bytes:
    number: bytes = getsockopt(sock, _socket.SOL_SOCKET, _NETWORK, 8)
    return number


# --- The table ----------------------------------------------------------------------------------


def _is_local(look: Look) -> bool:
    route = look.route
    return route.family == _UNIX and isinstance(route.host or route.local, (str, bytes))


def _is_binding(look: Look) -> bool:
    return look.operation in ("bind", "listen") and _is_of_the_internet(look)


def _is_connecting(look: Look) -> bool:
    return look.operation == "connect" and _is_of_tcp(look)


def _is_on_loopback(look: Look) -> bool:
    route = look.route
    return route.kind == _socket.SOCK_STREAM and is_loopback(route.address)


def _is_of_tcp(look: Look) -> bool:
    return look.route.kind == _socket.SOCK_STREAM and _has_address(look)


def _has_address(look: Look) -> bool:
    return isinstance(look.route.address, tuple) and _is_of_the_internet(look)


def _is_of_ipv4(look: Look) -> bool:
    return look.route.family == _socket.AF_INET and _has_address(look)


def _is_of_the_internet(look: Look) -> bool:
    return look.route.family in _INTERNET


def _is_named(look: Look) -> bool:
    return look.route.host is not None


def _always(_: Look) -> bool:
    return True


#: what happened, under which condition, which look; the first that applies is taken
_TABLE: tuple[Row, ...] = (
    (e.AddressInUseError, _is_local, _paths.in_use),
    (e.AddressInUseError, _is_binding, _ports.in_use),
    (e.AddressNotAvailableError, _is_binding, _networks.not_here),
    (e.AddressNotAvailableError, _is_connecting, _ports.exhausted),
    (e.BindDeniedError, _is_local, _paths.denied),
    (e.ConnectDeniedError, _is_local, _paths.denied),
    (e.ConnectRefusedError, _is_on_loopback, _ports.elsewhere),
    (e.ConnectRefusedError, _is_local, _paths.refused),
    (e.HostNotFoundError, _is_named, _networks.name_servers),
    (e.OperationDeniedError, _is_local, _paths.denied),
    (e.ResolverError, _is_named, _networks.name_servers),
    (e.ResolveTimeoutError, _is_named, _networks.name_servers),
    (e.ResourceError, _always, _descriptors.used_up),
    (e.SocketOperationError, _is_of_ipv4, _networks.from_loopback),
    (e.SocketOperationError, _has_address, _networks.without_scope),
    (e.SocketPathError, _is_local, _paths.missing),
    (e.UnreachableError, _has_address, _networks.no_route),
)
_ROWS = {
    leaf: tuple((applies, sight) for one, applies, sight in _TABLE if one is leaf)
    for leaf, *_ in _TABLE
}
