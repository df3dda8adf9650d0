"""TLS with one address: the handshake, and what a certificate says although it was refused.

The verification is that of any client. What does without it only reads the certificate, and is
closed at once.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from safesocket import ssl as safe_ssl
from safesocket.errors import CertificateError, SafeSocketError

from .._sockets import socket as Socket
from .._timeouts import limit, timeouts
from .._wording import place
from .certificate import Certificate, flaws, read
from .findings import Handshake, escaped
from .progress import waiting

if TYPE_CHECKING:
    from .steps import Wishes

now = time.monotonic

_MOST = 256  # bytes of what came instead of TLS
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; x509_vfy.h

#: OpenSSL's reasons where the first bytes of an answer are no TLS; the rest can still be read
_NOT_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def connected(family: int, address: Any) -> Socket:
    """Return a socket that is connected to *address*."""
    sock = Socket(family, socket.SOCK_STREAM)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def shake_hands(sock: Socket, family: int, address: Any, wishes: Wishes) -> tuple[Handshake, Any]:
    """Return what came of TLS on *sock*, and the TLS socket; None if there is none."""
    known = Handshake()
    began = now()
    tls: Any = sock
    try:
        with waiting(f"TLS handshake with {place(address)}", limit("handshake").seconds):
            tls = _wrapped(sock, wishes.context, wishes.server_name)
            tls.do_handshake()
    except SafeSocketError as exc:
        known.seconds = now() - began
        known.error = exc.with_traceback(None)
        known.answered = _plain_answer(tls, exc)
        _look_closer(known, family, address, wishes.server_name)
        return known, None
    except BaseException:
        tls.close()
        raise
    known.seconds = now() - began
    known.verified = True
    _describe(known, tls)
    known.certificate = _certificate(tls)
    return known, tls


def _wrapped(sock: Any, context: Any, name: str) -> Any:
    return context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)


def _describe(known: Handshake, tls: Any) -> None:
    known.version = tls.version()
    known.cipher = tls.cipher()[0]
    known.alpn = tls.selected_alpn_protocol()


def _certificate(tls: Any) -> Certificate:
    return read(tls.getpeercert(), tls.getpeercert(True), time.time())


def _plain_answer(tls: Any, error: SafeSocketError) -> str | None:
    """Return what came if it was no TLS, but for the five bytes that OpenSSL read. Close *tls*."""
    if tls.fileno() < 0:
        return None
    with Socket(fileno=tls.detach()) as sock, timeouts(read=0):
        if getattr(error, "reason", None) not in _NOT_TLS:
            return None
        try:
            return escaped(sock.recv(_MOST))
        except SafeSocketError:
            return None


# What a certificate says that was refused.


def _look_closer(known: Handshake, family: int, address: Any, name: str) -> None:
    """Find out what is wrong with the certificate, if it was refused."""
    error = known.error
    if isinstance(error, CertificateError):
        with suppress(OSError, ValueError):  # that it was refused, and why, is known already
            _read_unverified(known, family, address, name)
        known.flaws = flaws(known.certificate, error, name, time.time())


def _read_unverified(known: Handshake, family: int, address: Any, name: str) -> None:
    """Fill in what the handshake did not tell: two more connections.

    One without verification gives the certificate's bytes. As ``getpeercert`` has no fields where
    nothing was verified, the other takes these bytes for the authority to trust, at any time.
    """
    blind, trusting = _context(ssl.CERT_NONE), _context(ssl.CERT_REQUIRED)
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    with _shaken(blind, family, address, name) as tls:
        _describe(known, tls)
        trusting.load_verify_locations(cadata=tls.getpeercert(True))
    with _shaken(trusting, family, address, name) as tls:
        known.certificate = _certificate(tls)


def _context(verify_mode: ssl.VerifyMode) -> Any:
    context = safe_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = verify_mode
    return context


def _shaken(context: Any, family: int, address: Any, name: str) -> Any:
    with connected(family, address) as sock:
        return context.wrap_socket(sock, server_hostname=name)
