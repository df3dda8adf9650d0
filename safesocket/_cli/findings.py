"""What a probe has found out, as plain values: no sockets, no words about what they mean.

Times are seconds. The fields are the keys of ``--json``, and documented in docs/probe.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from safesocket.errors import SafeSocketError

from .certificate import Certificate


@dataclass
class Lookup:
    """What came of the look-up; ``addresses`` in the order in which they are tried."""

    seconds: float
    addresses: list[str] = field(default_factory=list)
    error: SafeSocketError | None = None


@dataclass
class Handshake:
    """What came of TLS on a connection.

    ``verified``: the certificate was accepted; ``flaws``: what is wrong with it, in words;
    ``answered``: what came instead of TLS, without its first five bytes.
    """

    seconds: float = 0.0
    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    verified: bool = False
    certificate: Certificate | None = None
    flaws: list[str] = field(default_factory=list)
    answered: str | None = None
    error: SafeSocketError | None = None


@dataclass
class FirstByte:
    """What the other side said first, if anything; ``end`` is data, silence, closed or error."""

    seconds: float
    end: str
    size: int = 0
    text: str = ""
    error: SafeSocketError | None = None


@dataclass
class Connection:
    """What came of one address; ``rtt`` by TCP, ``routed``: this machine has a way there."""

    address: str
    family: str
    seconds: float = 0.0
    rtt: float | None = None
    routed: bool = True
    error: SafeSocketError | None = None
    tls: Handshake | None = None
    first_byte: FirstByte | None = None


@dataclass
class Findings:
    """All that is known so far."""

    target: str
    host: str
    port: int | None
    server_name: str | None
    look_up: Lookup | None = None
    connections: list[Connection] = field(default_factory=list)
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return asdict(self, dict_factory=_plain)


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: value.to_dict() if isinstance(value, SafeSocketError) else value
        for name, value in items
    }


def escaped(data: bytes) -> str:
    """Return *data* on one line: it comes from strangers."""
    text = data.decode("utf-8", "backslashreplace").rstrip()
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
