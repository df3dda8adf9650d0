"""What to look at next when TLS failed: by OpenSSL's reason or verification code, as tables.

Only text and the choice of it live here; ``_hints`` has all other errors'.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import SafeSocketError

_NOT_TLS = (
    "what came back is not TLS: the port speaks plain text (or wants STARTTLS first), or a "
    "proxy answered in its place"
)
_NO_COMMON_VERSION = (
    "the two sides have no TLS version in common: one of them is too old, or configured so"
)
_NO_COMMON_CIPHER = (
    "the other side refused what was offered: no cipher, curve or version in common, or it "
    "wants a client certificate or another host name"
)
_OUR_CERTIFICATE = "the other side does not accept the certificate of this side"

#: reason of OpenSSL -> what it means for the one who reads it
_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": "the other side speaks plain HTTP to a port where TLS is expected",
    "HTTPS_PROXY_REQUEST": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "UNEXPECTED_EOF_WHILE_READING": (
        "the other side closed the connection without ending TLS: it crashed, rejected this "
        "side, or something between cut the connection"
    ),
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "NO_PROTOCOLS_AVAILABLE": _NO_COMMON_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "NO_SHARED_CIPHER": _NO_COMMON_CIPHER,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_COMMON_CIPHER,
    "SSL/TLS_ALERT_HANDSHAKE_FAILURE": _NO_COMMON_CIPHER,
    "TLSV1_UNRECOGNIZED_NAME": "the other side does not know the host name that was asked for",
    "TLSV1_ALERT_UNKNOWN_CA": _OUR_CERTIFICATE + ": it does not know who signed it",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OUR_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OUR_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OUR_CERTIFICATE + ": it has expired",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a certificate of this side",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the other side was asked for a certificate and has none",
    "DH_KEY_TOO_SMALL": "the other side's keys are too weak for this system's policy",
    "EE_KEY_TOO_SMALL": "a certificate's key is too small for this system's policy",
    "CA_MD_TOO_WEAK": "a certificate's signature is too weak for this system's policy",
}

_UNKNOWN_ISSUER = (
    "nobody whom this machine trusts has signed it: a private authority's certificate has to "
    "be given with cafile, or the server does not send its intermediate certificates"
)

#: verify_code -> what to do; openssl-verification-options(1), x509_vfy.h
_VERIFY_CODES = {
    9: "the certificate is not valid yet: is the clock of this machine right?",
    10: "the certificate has expired: it has to be renewed, or this machine's clock is wrong",
    18: "the certificate is signed by itself: give it as cafile if it is the right one",
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    62: (
        "the certificate is another host's: connect by a name that is in it, or pass that "
        "name as server_hostname"
    ),
    64: "the certificate is not for this IP address: connect by a name that is in it",
}

_CERTIFICATE = "the other side's certificate was not accepted: see verify_message"
_ANYTHING = "TLS ended the connection; the reason is OpenSSL's, with both sides' logs it tells more"


def hint_for(error: SafeSocketError) -> str:
    """Return the hint for *error*, a failure of TLS that is no timeout."""
    code = getattr(error, "verify_code", None)
    if code is not None:
        return _VERIFY_CODES.get(code, _CERTIFICATE)
    reason = getattr(error, "reason", None) or ""
    if not reason and "EOF" in str(error.args[-1:]):  # OpenSSL 1.1.1 names no reason
        reason = "UNEXPECTED_EOF_WHILE_READING"
    return _REASONS.get(reason, _ANYTHING)
