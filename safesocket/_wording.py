"""The one sentence of an error, its target and its fingerprint's place: words, nothing else.

    connect to db.internal:5432 (10.0.0.7) after 0.004 s
    recv from api.example.com:443 (93.184.216.34) after 300.0 s (default read timeout 300 s)

One line, whatever the host name holds. No descriptor, no object address, no payload.
"""

from __future__ import annotations

from socket import gaierror, herror

from ._roles import ACCEPTED, BOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .errors import Attempt, SafeSocketError

_LONGEST_NAME = 255  # characters; RFC 1035, section 2.3.4, for host names
_IPV6_CHARACTERS = frozenset("0123456789abcdefABCDEF:.")

#: operation -> verb and preposition, where they are not its own name and "on"
_PHRASES = {
    **{name: (name, "to") for name in ("bind", "connect", "connect_ex")},
    **{name: (name, "to") for name in ("send", "sendall", "sendfile", "sendmsg", "sendto")},
    **{name: (name, "from") for name in ("recv", "recv_into", "recvfrom", "recvfrom_into")},
    **{name: (name, "from") for name in ("read", "recvmsg", "recvmsg_into")},
    **dict.fromkeys(("getaddrinfo", "gethostbyname", "gethostbyname_ex"), ("look up", "")),
    **dict.fromkeys(("gethostbyaddr", "getnameinfo"), ("look up the name", "of")),
    "socket": ("create a socket", "on"),
    "write": ("write", "to"),
    "do_handshake": ("TLS handshake", "with"),
    "unwrap": ("end TLS", "with"),
}

#: Operations whose target is the socket's own address.
_LOCAL = frozenset({"bind", "listen", "accept", "getsockname"})

#: Operations that fail at once: how long that took tells nothing.
_WAITLESS = _LOCAL - {"accept"} | {
    "socket",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "getpeername",
    "setblocking",
    "settimeout",
}

_SOURCES = {
    "default": "default {field} timeout {seconds:g} s",
    "environment": "{field} timeout {seconds:g} s from the environment",
    "configure": "configured {field} timeout {seconds:g} s",
    "timeouts": "{field} timeout {seconds:g} s of timeouts()",
    "set_timeouts": "{field} timeout {seconds:g} s of set_timeouts()",
    "settimeout": "settimeout {seconds:g} s",
    "create_connection": "create_connection timeout {seconds:g} s",
    "exempt": "{field} timeout {seconds:g} s of install(exempt=)",
    "deadline": "deadline {seconds:g} s",
    "kernel": "the kernel gave up",
}


def sentence(error: SafeSocketError) -> str:
    """Return what was done, to whom, how long it took and which limit ended it."""
    operation = error.operation or ""
    words = _deed(operation, error)
    named = isinstance(error, (gaierror, herror)) and error.host is not None
    if named and not words.startswith("look up"):
        words = f"look up {clean(error.host)} for {words}"
    if error.elapsed is not None and (named or operation not in _WAITLESS):
        words += f" after {duration(error.elapsed)}"
    if error.timeout_source is not None:
        words += f" ({limit_in_words(error)})"
    return words + stuck(error._stuck) + others(error.attempts, error._attempt)


def _deed(operation: str, error: SafeSocketError) -> str:
    """Return the operation and its target; without a target, where it was done."""
    verb, preposition = _PHRASES.get(operation, (operation, "on"))
    target = _target(operation, error)
    if target:
        return " ".join(filter(None, (verb, preposition, target)))
    return f"{verb} on {place(error.local)}" if _is_bound(error.local) else verb


def _target(operation: str, error: SafeSocketError) -> str:
    asked, tried = _asked(error), _tried(error)
    if operation in _LOCAL:
        return asked or place(error.local)
    if not asked:
        return place(error.address)
    return f"{asked} ({tried})" if tried else asked


def _is_bound(local: Any) -> bool:
    return bool(local[1:2] != (0,) if isinstance(local, tuple) else local)


def limit_in_words(error: SafeSocketError) -> str:
    """Return who set the limit that ended the call, and how long it is."""
    words = _SOURCES.get(error.timeout_source or "", "{field} timeout {seconds:g} s")
    return words.format(field=error._field, seconds=error.timeout or 0)


def stuck(lookups: tuple[int, float, bool] | None) -> str:
    """Return how many look-ups are stuck, and that all threads are where one could not begin."""
    if lookups is None:
        return ""
    count, oldest, begun = lookups
    if not begun:
        return f"; not begun: all {count} look-ups stuck, the oldest for {duration(oldest)}"
    if count == 1:
        return f"; 1 look-up stuck for {duration(oldest)}"
    return f"; {count} look-ups stuck, the oldest for {duration(oldest)}"


def others(attempts: Sequence[Attempt], told: int) -> str:
    """Return what became of the addresses besides the one at *told*, at most three of them."""
    rest = list(attempts)
    del rest[told : told + 1 or None]
    if not rest:
        return ""
    tried = [f"{place(attempt.address)}: {_cause(attempt.error)}" for attempt in rest[:3]]
    more = [f"{len(rest) - 3} more"] if len(rest) > 3 else []
    return f"; also tried {', '.join(tried + more)}"


def _cause(error: OSError) -> str:
    return clean(error.strerror or (error.args[0] if error.args else type(error).__name__))


def duration(seconds: float) -> str:
    """Return *seconds* as people read them: 300.0 s, 0.02 s, 0.004 s."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{round(seconds, 3 if seconds >= 0.001 else 4):g} s"


def target(error: SafeSocketError) -> str:
    """Return the stable name of the far end, for fingerprints.

    An accepted connection's far end is a client with a port of its own, new each time: the
    server's address names the place.
    """
    if error._role == ACCEPTED:
        return f"clients of {place(error.local)}" if error.local else ""
    local = error.local if error._role == BOUND or error.operation in _LOCAL else None
    return _asked(error) or place(error.address or local)


def _asked(error: SafeSocketError) -> str:
    return place(error.host if error.port is None else (error.host or "", error.port))


def _tried(error: SafeSocketError) -> str:
    """Return the address that a name stood for; empty where that tells nothing new."""
    address = error.address
    if not isinstance(address, tuple) or address[:1] == (error.host,):
        return ""
    return clean(address[0]) if address[1:2] == (error.port,) else place(address)


def place(address: Any) -> str:
    """Return a socket address in words: host:port, [::1]:80, a path, @abstract."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = clean(address[0]), clean(address[1])
        return f"[{host}]:{port}" if _is_ipv6(host) else f"{host}:{port}"
    return "" if address is None else clean(address)


def _is_ipv6(host: str) -> bool:
    return host.count(":") >= 2 and set(host.partition("%")[0]) <= _IPV6_CHARACTERS


def clean(value: Any) -> str:
    """Return *value* on one line, escaped and cut: host names come from strangers."""
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8", "backslashreplace")
    text = value if isinstance(value, str) else str(value)
    if text.startswith("\0"):  # AF_UNIX, Linux: an abstract name; unix(7)
        text = "@" + text[1:]
    if not text.isprintable():
        start = text[: _LONGEST_NAME + 1]
        text = "".join([c if c.isprintable() else ascii(c)[1:-1] for c in start])
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"
