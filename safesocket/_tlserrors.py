"""The two documented errors whose builtin parents live in :mod:`ssl`; nothing else.

``safesocket.errors`` hands them on when they are asked for, so that importing safesocket does
not import ssl.
"""

from __future__ import annotations

import ssl

from .errors import ConnectError, TLSError


class HandshakeError(TLSError, ConnectError, ssl.SSLError):
    """The TLS handshake failed; ``reason`` and ``library`` are OpenSSL's."""


class CertificateError(HandshakeError, ssl.SSLCertVerificationError):
    """The other side's certificate was not accepted; ``verify_message`` says why."""


for _class in (HandshakeError, CertificateError):
    _class.__module__ = "safesocket.errors"  # where users, pickles and tracebacks find them
