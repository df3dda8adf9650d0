"""What is odd about a host name that was not found: pure, by its look alone.

Each is something that a host name cannot have, so the hint names it and nothing else.
"""

from __future__ import annotations

from ._hosts import is_number
from ._redaction import shown
from ._wording import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_LABEL, _LONGEST_NAME = 63, 253  # octets; RFC 1035, section 2.3.4, but for its own lengths


def oddity(host: object, *, is_unknown: bool) -> str | None:
    """Return, in a sentence, what is odd about the name *host*; None if it looks like a name.

    Of one that *is_unknown* to the name service it may be the spelling, too.
    """
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("utf-8", "backslashreplace")
    if not isinstance(host, str) or not host or _is_plain_number(host):
        return None
    odd = next(filter(None, (odd(host) for odd in _ODDITIES)), None)
    return odd or (_foreign_letter(host) if is_unknown else None)


def _is_plain_number(host: str) -> bool:
    return is_number(host) and "%" not in host


def _is_url(host: str) -> str | None:
    if "://" not in host and "@" not in host and "/" not in host[1:]:
        return None
    name, port = _without_port(_authority(host))
    what = "a URL" if "://" in host else "part of a URL"
    rest = f" and the port {port}" if port else ""
    return f"that is {what}, not a host name: the host alone is {_quoted(name)}{rest}" * bool(name)


def _authority(url: str) -> str:
    """Return host and port of a *url*, or of what is left of one: RFC 3986, section 3.2."""
    rest = url.strip().rpartition("://")[2]
    for end in "/?#":
        rest = rest.partition(end)[0]
    return rest.rpartition("@")[2]


def _is_path(host: str) -> str | None:
    if not host.startswith("/"):
        return None
    return "that is a path, not a host name: a socket file needs a socket of the family AF_UNIX"


def _has_blanks(host: str) -> str | None:
    if host != host.strip() and not any(map(str.isspace, host.strip())):
        return f"there are blanks or line ends around the host name: it is {_quoted(host.strip())}"
    odd = next((c for c in host if c.isspace() or not c.isprintable()), None)
    return odd and f"a host name cannot have the character {_named(odd)} in it"


def _is_list(host: str) -> str | None:
    return "that is several host names: they are looked up one at a time" if "," in host else None


def _has_port(host: str) -> str | None:
    name, port = _without_port(host)
    if name == host:
        return None
    if not port:
        return f"an IPv6 address stands here without brackets: {_quoted(name)}"
    return f"the port is glued on: pass it by itself, ({_quoted(name)}, {port})"


def _without_port(text: str) -> tuple[str, str]:
    """Return the host and the port, if there is one, of host:port or [address]:port."""
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return name, rest[1:] if rest[1:].isdecimal() else ""
    name, colon, port = text.rpartition(":")
    return (name, port) if colon and port.isdecimal() and ":" not in name else (text, "")


def _has_scope(host: str) -> str | None:
    address, percent, scope = host.partition("%")
    if not percent or ":" not in address or not is_number(address):
        return None
    return f"the part behind the % has to be an interface of this machine: {_quoted(scope)}"


def _has_colons(host: str) -> str | None:
    if ":" not in host:
        return None
    return "a host name has no colons, and as an IPv6 address it is not well-formed"


def _is_wrong_number(host: str) -> str | None:
    if host.strip("0123456789."):
        return None
    return "that is no IPv4 address: it takes four numbers from 0 to 255"


def _has_wrong_labels(host: str) -> str | None:
    labels = host.removesuffix(".").split(".")
    if "" in labels:
        return "a part of the host name is empty: it begins with a dot, or two are in a row"
    if max(map(len, labels)) > _LONGEST_LABEL or len(host) > _LONGEST_NAME:
        return "the host name is too long: 63 characters a part, 253 in all"
    return None


def _foreign_letter(host: str) -> str | None:
    odd = next((c for c in host if not c.isascii()), None)
    return odd and f"check the spelling: {_named(odd)} in the host name is not ASCII"


def _quoted(text: str) -> str:
    return f"'{clean(shown(text))}'"


def _named(character: str) -> str:
    return f"'{clean(character)}' (U+{ord(character):04X})"


#: the first that applies is told
_ODDITIES: tuple[Callable[[str], str | None], ...] = (
    _is_path,
    _is_url,
    _has_blanks,
    _is_list,
    _has_scope,
    _has_port,
    _has_colons,
    _is_wrong_number,
    _has_wrong_labels,
)
