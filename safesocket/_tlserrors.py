"""What documented errors need of :mod:`ssl`: two classes and a choice; nothing else.

``safesocket.errors`` hands the classes on when they are asked for, so that importing safesocket
does not import ssl.
"""

from __future__ import annotations

import ssl

from .errors import ConnectError, SafeSocketError, TLSError


class HandshakeError(TLSError, ConnectError, ssl.SSLError):
    """The TLS handshake failed; ``reason`` and ``library`` are OpenSSL's."""


class CertificateError(HandshakeError, ssl.SSLCertVerificationError):
    """The other side's certificate was not accepted; ``verify_message`` says why."""


for _class in (HandshakeError, CertificateError):
    _class.__module__ = "safesocket.errors"  # where users, pickles and tracebacks find them


def leaf_of(exc: OSError, *, shaking_hands: bool) -> type[SafeSocketError]:
    """Return the class that says what *exc*, an error of ssl's, is."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return CertificateError
    return HandshakeError if shaking_hands else TLSError


def called(name: str) -> type[OSError]:
    """Return the class called *name*, of ours or of ssl's: pickles name it."""
    found: type[OSError] = globals().get(name) or getattr(ssl, name)
    return found
