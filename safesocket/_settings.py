"""What a user calls to set limits and the style of messages, and to ask what is in force.

The values are ``_timeouts``', the memory of each socket ``_route``'s; here they meet.
"""

from __future__ import annotations

import _socket

from . import _addresses, _alarm, _redaction, _timeouts, _translate
from ._exempt import over
from ._recorder import forget_names
from ._route import note, recall
from ._timeouts import Timeouts, limits_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from types import EllipsisType
    from typing import Any, Literal

    from ._addresses import Family


def _redact(wish: Callable[[str], str] | None) -> None:
    _redaction.wish(wish)
    forget_names()


#: what configure() sets besides limits -> what leaves it unchanged, how a value is checked, and
#: how it is put in force
_WISHES: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], None]]] = {
    "message": (None, _translate.checked_mode, _translate.set_mode),
    "happy_eyeballs": (None, _addresses.checked_switch, _addresses.set_racing),
    "family": (..., _addresses.checked_family, _addresses.set_family),
    "redact": (..., _redaction.checked, _redact),
    "warn_after": (..., _alarm.checked, _alarm.wish),
}


def configure(
    limits: Timeouts | None = None,
    /,
    *,
    message: Literal["append", "note", "off"] | None = None,
    family: Family | EllipsisType | None = ...,
    happy_eyeballs: bool | None = None,
    redact: Callable[[str], str] | EllipsisType | None = ...,
    warn_after: float | EllipsisType | None = ...,
    **named: float | None,
) -> None:
    """Set the limits of this process, where errors say what they know, and how to connect.

    What is not named stays as it is. To be called by applications at start-up, not by libraries.

    Args:
        limits: all limits at once.
        message: "append" (the default) adds the sentence to ``str(error)``; "note" puts it into a
            PEP 678 note, for programs that compare texts; "off" adds nothing anywhere.
        family: which addresses ``create_connection`` looks up and tries: "ipv4" or "ipv6" alone,
            "prefer-ipv4" or "prefer-ipv6" first, None for all in the resolver's order.
        happy_eyeballs: whether it races the addresses of a host (the default).
        redact: a callable that gets a host name, IP address or AF_UNIX path and returns what
            errors, logs and profiles show in its place; None shows it as it is.
        warn_after: seconds after which a wait is logged, and again at each doubling; None: never.
        resolve, connect, handshake, read, write, serve: seconds; as for :class:`Timeouts`.

    Raises:
        TypeError: an unknown name, or a value of another type.
        ValueError: a limit is negative or NaN, *warn_after* is 0, or a word is none of those named.
    """
    chosen = limits_from("configure", limits, named)
    asked: Any = {"message": message, "happy_eyeballs": happy_eyeballs, "family": family}
    _wish(**asked, redact=redact, warn_after=warn_after)
    _timeouts.configure_limits(chosen)


def _wish(**asked: Any) -> None:
    """Put what is *asked* in force: all of it, or nothing if a part is wrong."""
    wishes = [
        (put, check(asked[name]))
        for name, (unchanged, check, put) in _WISHES.items()
        if asked[name] is not unchanged
    ]
    for put, value in wishes:
        put(value)


def set_timeouts(sock: Socket, limits: Timeouts | None = None, /, **named: float | None) -> None:
    """Set the limits of one socket; with nothing to set, remove them again.

    They apply to this socket whatever its sort, and go before those of ``timeouts`` and
    ``configure``; what is not named is decided there. The ``read`` limit of an accepted
    connection is ``serve``; given by keyword, ``read`` sets it as well. A ``settimeout`` of the
    socket goes first.

    Args:
        sock: the socket; in blocking mode for the limits to matter.
        limits: all of them at once.
        resolve, connect, handshake, read, write, serve: seconds; as for :class:`Timeouts`.

    Raises:
        TypeError: not a socket, an unknown name, or a limit that is not a number.
        ValueError: a limit is negative or not a number.
    """
    if "read" in named:
        named.setdefault("serve", named["read"])
    chosen = limits_from("set_timeouts", limits, named)
    known = note(_checked(sock))
    known.limits = chosen or None
    known.forever = False
    known.term = None


def get_timeouts(sock: Socket | None = None) -> Timeouts:
    """Return the limits in force here, or for *sock*: none after ``sock.settimeout(None)``.

    Those of an exemption (``install(exempt=...)``) for the calling code, too.

    Raises:
        TypeError: *sock* is not a socket.
    """
    if sock is None:
        return _timeouts.in_force(over(None))
    known = recall(_checked(sock))
    if known is not None and known.forever:
        return Timeouts(**dict.fromkeys(_timeouts.FIELDS))
    if known is None:
        return _timeouts.in_force(over(None))
    return _timeouts.in_force(over(known.limits, known.asked, known.address))


def _checked(sock: Socket) -> Socket:
    if not isinstance(sock, _socket.socket):
        raise TypeError(f"sock must be a socket, not {sock!r}")
    return sock
