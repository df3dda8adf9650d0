"""Which hosts are numbers, and which look-ups ask no name server: pure, nothing is looked up.

What can be answered without waiting for anybody needs no limit and no thread. In doubt the answer
here is no: then a limit applies to what would not have needed it.
"""

from __future__ import annotations

import _socket

from ._plain import builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_inet_aton = _socket.inet_aton
_inet_pton = _socket.inet_pton

_NUMERALS = "0123456789abcdefABCDEFxX."
_DECIMALS = "0123456789."
_BROADCAST = "<broadcast>"  # a name of CPython's, not of the C library's

_MOST_NUMBERS = 1024
#: numbers seen before: is_number takes 0.5 µs, which is much beside a sendto
_numbers: set[str] = set()


def is_certain(address: Any) -> bool:
    """Tell, at once, whether *address* is one in which surely no name is to be looked up."""
    try:
        return not isinstance(address, tuple) or address[0] in _numbers
    except Exception:  # an empty tuple, or a class with a say of its own
        return False


def is_number(host: Any) -> bool:
    """Tell whether *host* is an address as getaddrinfo(3) reads it, not a name to look up.

    That is IPv4 in all forms of inet_aton(3) (127.1, 0x7f000001) but with nothing behind it,
    and IPv6, with or without a scope.
    """
    if type(host) is str and host in _numbers:
        return True
    host = _as_text(host)
    if not isinstance(host, str) or not _parses(host):
        return False
    if len(_numbers) >= _MOST_NUMBERS:
        _numbers.clear()
    _numbers.add(host)
    return True


def _as_text(host: Any) -> Any:
    return host.decode("latin-1") if isinstance(host, (bytes, bytearray)) else host


def _parses(host: str) -> bool:
    try:
        if ":" in host:
            return bool(_inet_pton(_socket.AF_INET6, host.partition("%")[0]))
        return not host.strip(_NUMERALS) and bool(_inet_aton(host))
    except (OSError, ValueError):
        return False


def is_at_hand(operation: str, args: tuple[Any, ...]) -> bool:
    """Tell whether the look-up *operation* answers *args* without asking a name server."""
    at_hand = _AT_HAND.get(operation)
    return at_hand is not None and at_hand(*map(builtin, args))


def _addresses(host: Any = None, _port: Any = None, *rest: Any) -> bool:
    """Answer for getaddrinfo; family, type, proto and flags are the rest."""
    if not isinstance(host, (str, bytes)) or not host or is_number(host):
        return True
    flags = rest[3] if len(rest) > 3 else 0
    return isinstance(flags, int) and bool(flags & _socket.AI_NUMERICHOST)


def _address(host: Any = None, *_: Any) -> bool:
    if not isinstance(host, (str, bytes, bytearray)):
        return True
    return not host or _as_text(host) == _BROADCAST or is_number(host)


def _address_ex(host: Any = None, *_: Any) -> bool:
    # gethostbyname(3) reads fewer forms than getaddrinfo(3): 0x7f.1 is a name to it.
    text = _as_text(host)
    return not isinstance(text, str) or (not text.strip(_DECIMALS) and is_number(text))


def _names(address: Any = None, flags: Any = 0, *_: Any) -> bool:
    if not isinstance(address, tuple) or not isinstance(flags, int):
        return True
    return bool(flags & _socket.NI_NUMERICHOST)


#: look-up -> what answers for it; those not here always ask
_AT_HAND: dict[str, Callable[..., bool]] = {
    "getaddrinfo": _addresses,
    "gethostbyname": _address,
    "gethostbyname_ex": _address_ex,
    "getnameinfo": _names,
}


def family_of(operation: str, args: tuple[Any, ...]) -> int:
    """Return the family of the addresses that the look-up *operation* finds; 0: of any."""
    if operation in ("gethostbyname", "gethostbyname_ex"):
        return _socket.AF_INET
    family = args[2] if operation == "getaddrinfo" and len(args) > 2 else 0
    return family if isinstance(family, int) else 0
