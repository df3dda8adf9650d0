"""What to look at next when TLS failed: by OpenSSL's reason or verification code, as tables.

Only text and the choice of it live here; ``_hints`` has all other errors'.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import SafeSocketError

_EOF = "UNEXPECTED_EOF_WHILE_READING"

_NOT_TLS = (
    "what came is not TLS: the other side speaks plain text (another port may speak TLS, or this "
    "one wants STARTTLS first), or a proxy answered in its place"
)
_NO_COMMON_VERSION = (
    "the two sides have no TLS version in common: one of them is too old, or configured so"
)
_NO_COMMON_CIPHER = (
    "the other side refused what was offered: no cipher, curve or version in common, or it "
    "wants a client certificate or another host name, or has no certificate itself"
)
_NOTHING_FOR_A_CLIENT = (
    "of what the client offers this side can use nothing: it has no certificate "
    "(load_cert_chain), or none of a kind that the client takes, or no cipher in common with it"
)
_OUR_CERTIFICATE = "the other side does not accept the certificate of this side"
_ENDS_EARLY = (
    "the other side closed the connection without ending TLS: it crashed, rejected this side, or "
    "something between cut the connection"
)
_ENDS_IN_HANDSHAKE = (
    "the other side closed the connection without finishing the TLS handshake: it does not speak "
    "TLS on this port, refuses this side or the host name asked for, crashed, or something "
    "between cut the connection; its log may tell"
)
_CLIENT_ENDS_IN_HANDSHAKE = (
    "a client closed the connection without finishing the TLS handshake: it does not accept this "
    "side's certificate, or is a load balancer's probe or a port scan"
)

#: reason of OpenSSL -> what it means for the one who reads it
_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": (
        "the other side speaks plain HTTP to a port where TLS is expected: it has to use https"
    ),
    "HTTPS_PROXY_REQUEST": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    _EOF: _ENDS_EARLY,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "NO_PROTOCOLS_AVAILABLE": _NO_COMMON_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "NO_SHARED_CIPHER": _NOTHING_FOR_A_CLIENT,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_COMMON_CIPHER,
    "SSL/TLS_ALERT_HANDSHAKE_FAILURE": _NO_COMMON_CIPHER,
    "TLSV1_UNRECOGNIZED_NAME": "the other side does not know the host name that was asked for",
    "TLSV1_ALERT_UNKNOWN_CA": (
        _OUR_CERTIFICATE + ": it does not trust who signed it, or this side does not send its "
        "intermediate certificates"
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OUR_CERTIFICATE + "; its log may say why",
    "SSLV3_ALERT_BAD_CERTIFICATE": (
        _OUR_CERTIFICATE + ": that may be for another host, or be broken"
    ),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OUR_CERTIFICATE + ": it has expired",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "the other side wants a certificate of this side: give it one with load_cert_chain()"
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the other side was asked for a certificate and has none",
    "TLSV1_ALERT_INTERNAL_ERROR": (
        "the other side failed, as some do that have no certificate for the host name asked for: "
        "see its log"
    ),
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": (
        "the other side is so old that OpenSSL 3 refuses it (no secure renegotiation, RFC 5746): "
        "it has to be updated"
    ),
    "DH_KEY_TOO_SMALL": "the other side's keys are too weak for this system's policy",
    "EE_KEY_TOO_SMALL": "a certificate's key is too small for this system's policy",
    "CA_MD_TOO_WEAK": "a certificate's signature is too weak for this system's policy",
}

_UNKNOWN_ISSUER = (
    "nobody whom this machine trusts has signed it: the certificate of a private authority, or of "
    "a proxy that inspects TLS, has to be given (cafile, SSL_CERT_FILE); or this machine has no "
    "CA certificates, or the other side does not send its intermediate ones"
)
_TOO_WEAK = "a key or a signature in the certificate is too weak for this system's policy"

#: verify_code -> what to do; openssl-verification-options(1), x509_vfy.h
_VERIFY_CODES = {
    9: "the certificate is not valid yet: is the clock of this machine right?",
    10: "the certificate has expired: it has to be renewed, or this machine's clock is wrong",
    18: "the certificate is signed by itself: give it as cafile if it is the right one",
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: "the certificate has been revoked: it has to be replaced",
    62: (
        "the certificate is another host's: connect by a name that is in it, or pass that "
        "name as server_hostname"
    ),
    64: "the certificate is not for this IP address: connect by a name that is in it",
    66: _TOO_WEAK,
    67: _TOO_WEAK,
    68: _TOO_WEAK,
}

_CERTIFICATE = "the other side's certificate was not accepted: see verify_message"
_ANYTHING = "OpenSSL's reason is all that is known on this side: see the log of the other side"


def hint_for(error: SafeSocketError, *, from_a_client: bool) -> str:
    """Return the hint for *error*, a failure of TLS that is no timeout."""
    code = getattr(error, "verify_code", None)
    if code is not None:
        return _VERIFY_CODES.get(code, _CERTIFICATE)
    reason = getattr(error, "reason", None) or ""
    if not reason and "EOF" in str(error.args[-1:]):  # OpenSSL 1.1.1 names no reason
        reason = _EOF
    if reason == _EOF and error.operation == "do_handshake":
        return _CLIENT_ENDS_IN_HANDSHAKE if from_a_client else _ENDS_IN_HANDSHAKE
    return _REASONS.get(reason, _ANYTHING)
