"""What is to be probed: HOST:PORT, a URL or an AF_UNIX path, read from one word.

Nothing is looked up but the port of a service's name, in the tables of this machine.
"""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from .._hosts import is_number
from .._wording import clean, place

#: scheme -> port and whether TLS is spoken from the start, for machines without services(5)
_SCHEMES = {"http": (80, False), "https": (443, True), "ws": (80, False), "wss": (443, True)}

#: Ports on which TLS is spoken from the start: https, submissions, ldaps, domain-s (DNS), ftps,
#: imaps, pop3s, sips, amqps, syslog-tls, a second https, MQTT; IANA's registry.
TLS_PORTS = (443, 465, 636, 853, 990, 993, 995, 5061, 5671, 6514, 8443, 8883)

UNIX = getattr(socket, "AF_UNIX", None)  # Windows: None
_SCHEME_OF_PATHS = "unix:"


class Target(NamedTuple):
    """A peer to be probed: a host and a port, or a path; and whether its URL says TLS."""

    host: str
    port: int | None = None
    tls: bool | None = None

    @property
    def is_path(self) -> bool:
        """Whether it is AF_UNIX: ``host`` is the path then, or an abstract name behind a NUL."""
        return self.port is None

    @property
    def speaks_tls(self) -> bool:
        """Whether TLS is to be expected, by the URL or the port."""
        return self.port in TLS_PORTS if self.tls is None else self.tls

    def __str__(self) -> str:
        return clean(self.host) if self.port is None else place((self.host, self.port))


def read(word: str) -> Target:
    """Return what *word* stands for.

    Raises:
        ValueError: it stands for nothing, and why.
    """
    if word.startswith((_SCHEME_OF_PATHS, "/", "./", "../")):
        return _path(word.removeprefix(_SCHEME_OF_PATHS))
    if "://" in word:
        return _url(word)
    host, port = _split(word)
    return Target(host_name(host), _port(port, host))


def _path(path: str) -> Target:
    if UNIX is None:
        raise ValueError("this system has no AF_UNIX for Python")
    if not path.strip("@"):
        raise ValueError("which path? write unix:/run/server.sock, or unix:@name (abstract)")
    return Target("\0" + path[1:] if path.startswith("@") else path)


def _url(word: str) -> Target:
    parts = urlsplit(word)  # what it holds besides, a password perhaps, is nobody's business
    scheme = parts.scheme.lower()
    port, tls = _SCHEMES.get(scheme, (None, None))
    host = host_name(parts.hostname or "")
    return Target(host, parts.port or port or _port(scheme, host), tls)


def _split(word: str) -> tuple[str, str]:
    if word.startswith("["):
        host, closed, port = word[1:].partition("]")
        if closed and (not port or port.startswith(":")):
            return host, port[1:]
        raise ValueError(f"{clean(word)!r} is not [address]:port")
    if word.count(":") > 1:
        raise ValueError(f"where does the address end? write [{clean(word)}]:port with brackets")
    host, _, port = word.partition(":")
    return host, port


def host_name(host: str) -> str:
    """Return *host* if it can be one: an address, or a name that can be looked up.

    Raises:
        ValueError: it cannot.
    """
    if not host:
        raise ValueError("which host? write host:port, such as example.com:443")
    if is_number(host):
        return host
    try:
        host.encode("idna")  # as the look-up will
    except UnicodeError as exc:
        raise ValueError(f"{clean(host)!r} cannot be a host name: {exc}") from None
    return host


def _port(text: str, host: str) -> int:
    if not text:
        shown = f"[{clean(host)}]" if ":" in host else clean(host)
        raise ValueError(f"which port? write {shown}:443, for example, or https://{shown}")
    try:
        port = int(text) if text.isdecimal() else socket.getservbyname(text, "tcp")
    except OSError:
        raise ValueError(f"this machine knows no port for the service {clean(text)!r}") from None
    if not 0 < port < 65536:
        raise ValueError(f"a port is a number from 1 to 65535, not {text}")
    return port
