"""What a certificate says, and what is wrong with it: values and words, nothing is connected.

The fields are those of ``SSLSocket.getpeercert()``. All of them come from strangers: escaped, cut.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .._hosts import is_number
from .._wording import clean

DAY = 86400  # seconds

#: What a name is called by, the most telling first; RFC 5280, section 4.1.2.4.
_CALLED = ("commonName", "organizationName")

# Of X509_verify_cert; x509_vfy.h
_NOT_YET, _EXPIRED = 9, 10
_NO_ISSUER, _NO_LOCAL_ISSUER, _UNVERIFIABLE = 2, 20, 21
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_OTHER_HOST, _OTHER_ADDRESS = 62, 64

_UNKNOWN_ISSUER = (
    "signed by {issuer}, whom this machine does not trust; or its server does not send the"
    " certificates between"
)
#: verify_code -> what is wrong with a certificate, where its own fields do not show it
_WRONG = {
    _NOT_YET: "a certificate that vouches for it is not valid yet",
    _EXPIRED: "a certificate that vouches for it has expired",
    _NO_ISSUER: _UNKNOWN_ISSUER,
    _NO_LOCAL_ISSUER: _UNKNOWN_ISSUER,
    _UNVERIFIABLE: _UNKNOWN_ISSUER,
    _SELF_SIGNED: "self-signed: nobody else vouches for it",
    _SELF_SIGNED_IN_CHAIN: "signed by {issuer}, whom this machine does not trust",
}


@dataclass
class Certificate:
    """What a certificate says; times are seconds since the epoch, ``days_left`` whole days."""

    subject: str
    names: list[str]
    issuer: str
    not_before: float
    not_after: float
    days_left: int
    sha256: str


def read(fields: Mapping[str, Any], der: bytes, now: float) -> Certificate:
    """Return what *fields* say, *now*, of the certificate whose bytes are *der*."""
    kinds = ("DNS", "IP Address")
    ends = ssl.cert_time_to_seconds(fields["notAfter"])
    return Certificate(
        subject=_called(fields.get("subject", ())),
        names=[clean(text) for kind, text in fields.get("subjectAltName", ()) if kind in kinds],
        issuer=_called(fields.get("issuer", ())),
        not_before=ssl.cert_time_to_seconds(fields["notBefore"]),
        not_after=ends,
        days_left=int((ends - now) // DAY),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _called(name: Any) -> str:
    """Return a distinguished name as people call it."""
    parts = [part for group in name for part in group]
    called = [value for wanted in _CALLED for key, value in parts if key == wanted]
    return clean(", ".join(called or [value for _, value in parts])) or "(no name)"


# What is wrong.


def flaws(
    certificate: Certificate | None, error: ssl.SSLCertVerificationError, name: str, now: float
) -> list[str]:
    """Return all that is known to be wrong with the certificate of *name*, refused with *error*.

    OpenSSL names one thing only; what else can be read off the certificate is told behind it.
    """
    code = error.verify_code
    if certificate is None:
        return [_refused(error)]
    own = list(_own_flaws(certificate, name, now))
    texts = [text for _, text in own]
    if any(code in codes for codes, _ in own):
        return texts
    wrong = _WRONG.get(code, "").format(issuer=certificate.issuer)
    return [wrong or _refused(error), *texts]


def _refused(error: ssl.SSLCertVerificationError) -> str:
    return clean(error.verify_message)


def _own_flaws(
    certificate: Certificate, name: str, now: float
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield what the fields show, and the codes by which OpenSSL says the same."""
    if now > certificate.not_after:
        yield (_EXPIRED,), f"expired since {day(certificate.not_after)}, {_ago(certificate)}"
    if now < certificate.not_before:
        yield (_NOT_YET,), f"not valid before {day(certificate.not_before)}"
    if not any(_is_for(name, pattern) for pattern in certificate.names):
        names = listed(certificate.names)
        what = f"it is for {names}" if names else "it names no host at all"
        yield (_OTHER_HOST, _OTHER_ADDRESS), f"not valid for {clean(name)}: {what}"


def _ago(certificate: Certificate) -> str:
    days = -certificate.days_left - 1
    return f"{counted(days, 'day')} ago" if days else "less than a day ago"


def _is_for(name: str, pattern: str) -> bool:
    """Tell whether *name* is what a certificate means by *pattern*: RFC 9525, section 6.3."""
    if is_number(name):
        return is_number(pattern) and _packed(name) == _packed(pattern)
    name, pattern = name.encode("idna").decode().lower().rstrip("."), pattern.lower()
    _, _, parent = name.partition(".")
    return pattern in (name, f"*.{parent}")


def _packed(number: str) -> bytes:
    if ":" in number:
        return socket.inet_pton(socket.AF_INET6, number.partition("%")[0])
    return socket.inet_aton(number)


# In words.


def day(seconds: float) -> str:
    """Return the day, in UTC, of a time in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def listed(names: list[str], most: int = 4) -> str:
    """Return *names*, but *most* of them at most."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def counted(number: int, what: str) -> str:
    """Return how many of *what* there are: 1 day, 2 days, 2 addresses."""
    plural = "es" if what.endswith("s") else "s"
    return f"{number} {what}" if number == 1 else f"{number} {what}{plural}"
