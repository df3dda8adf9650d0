"""A drop-in for the stdlib's ssl module: TLS that does not hang and says what failed."""

import ssl as _stdlib
import sys
from _typeshed import ReadableBuffer, StrOrBytesPath, WriteableBuffer
from collections.abc import Callable
from socket import _Address, _RetAddress
from socket import socket as _socket
from typing import Never, TypeAlias, overload

from typing_extensions import deprecated

from . import socket as _safe_socket

# The stdlib's names, by stubs/generate.py, from the typeshed of mypy 2.4.1
# fmt: off
from ssl import (
    ALERT_DESCRIPTION_ACCESS_DENIED as ALERT_DESCRIPTION_ACCESS_DENIED,
    ALERT_DESCRIPTION_BAD_CERTIFICATE as ALERT_DESCRIPTION_BAD_CERTIFICATE,
    ALERT_DESCRIPTION_BAD_CERTIFICATE_HASH_VALUE as ALERT_DESCRIPTION_BAD_CERTIFICATE_HASH_VALUE,
    ALERT_DESCRIPTION_BAD_CERTIFICATE_STATUS_RESPONSE as ALERT_DESCRIPTION_BAD_CERTIFICATE_STATUS_RESPONSE,
    ALERT_DESCRIPTION_BAD_RECORD_MAC as ALERT_DESCRIPTION_BAD_RECORD_MAC,
    ALERT_DESCRIPTION_CERTIFICATE_EXPIRED as ALERT_DESCRIPTION_CERTIFICATE_EXPIRED,
    ALERT_DESCRIPTION_CERTIFICATE_REVOKED as ALERT_DESCRIPTION_CERTIFICATE_REVOKED,
    ALERT_DESCRIPTION_CERTIFICATE_UNKNOWN as ALERT_DESCRIPTION_CERTIFICATE_UNKNOWN,
    ALERT_DESCRIPTION_CERTIFICATE_UNOBTAINABLE as ALERT_DESCRIPTION_CERTIFICATE_UNOBTAINABLE,
    ALERT_DESCRIPTION_CLOSE_NOTIFY as ALERT_DESCRIPTION_CLOSE_NOTIFY,
    ALERT_DESCRIPTION_DECODE_ERROR as ALERT_DESCRIPTION_DECODE_ERROR,
    ALERT_DESCRIPTION_DECOMPRESSION_FAILURE as ALERT_DESCRIPTION_DECOMPRESSION_FAILURE,
    ALERT_DESCRIPTION_DECRYPT_ERROR as ALERT_DESCRIPTION_DECRYPT_ERROR,
    ALERT_DESCRIPTION_HANDSHAKE_FAILURE as ALERT_DESCRIPTION_HANDSHAKE_FAILURE,
    ALERT_DESCRIPTION_ILLEGAL_PARAMETER as ALERT_DESCRIPTION_ILLEGAL_PARAMETER,
    ALERT_DESCRIPTION_INSUFFICIENT_SECURITY as ALERT_DESCRIPTION_INSUFFICIENT_SECURITY,
    ALERT_DESCRIPTION_INTERNAL_ERROR as ALERT_DESCRIPTION_INTERNAL_ERROR,
    ALERT_DESCRIPTION_NO_RENEGOTIATION as ALERT_DESCRIPTION_NO_RENEGOTIATION,
    ALERT_DESCRIPTION_PROTOCOL_VERSION as ALERT_DESCRIPTION_PROTOCOL_VERSION,
    ALERT_DESCRIPTION_RECORD_OVERFLOW as ALERT_DESCRIPTION_RECORD_OVERFLOW,
    ALERT_DESCRIPTION_UNEXPECTED_MESSAGE as ALERT_DESCRIPTION_UNEXPECTED_MESSAGE,
    ALERT_DESCRIPTION_UNKNOWN_CA as ALERT_DESCRIPTION_UNKNOWN_CA,
    ALERT_DESCRIPTION_UNKNOWN_PSK_IDENTITY as ALERT_DESCRIPTION_UNKNOWN_PSK_IDENTITY,
    ALERT_DESCRIPTION_UNRECOGNIZED_NAME as ALERT_DESCRIPTION_UNRECOGNIZED_NAME,
    ALERT_DESCRIPTION_UNSUPPORTED_CERTIFICATE as ALERT_DESCRIPTION_UNSUPPORTED_CERTIFICATE,
    ALERT_DESCRIPTION_UNSUPPORTED_EXTENSION as ALERT_DESCRIPTION_UNSUPPORTED_EXTENSION,
    ALERT_DESCRIPTION_USER_CANCELLED as ALERT_DESCRIPTION_USER_CANCELLED,
    AlertDescription as AlertDescription, CERT_NONE as CERT_NONE, CERT_OPTIONAL as CERT_OPTIONAL,
    CERT_REQUIRED as CERT_REQUIRED, CHANNEL_BINDING_TYPES as CHANNEL_BINDING_TYPES,
    CertificateError as CertificateError, DER_cert_to_PEM_cert as DER_cert_to_PEM_cert,
    DefaultVerifyPaths as DefaultVerifyPaths, HAS_ALPN as HAS_ALPN, HAS_ECDH as HAS_ECDH,
    HAS_NEVER_CHECK_COMMON_NAME as HAS_NEVER_CHECK_COMMON_NAME, HAS_NPN as HAS_NPN,
    HAS_SNI as HAS_SNI, HAS_SSLv2 as HAS_SSLv2, HAS_SSLv3 as HAS_SSLv3, HAS_TLSv1 as HAS_TLSv1,
    HAS_TLSv1_1 as HAS_TLSv1_1, HAS_TLSv1_2 as HAS_TLSv1_2, HAS_TLSv1_3 as HAS_TLSv1_3,
    MemoryBIO as MemoryBIO, OPENSSL_VERSION as OPENSSL_VERSION,
    OPENSSL_VERSION_INFO as OPENSSL_VERSION_INFO, OPENSSL_VERSION_NUMBER as OPENSSL_VERSION_NUMBER,
    OP_ALL as OP_ALL, OP_CIPHER_SERVER_PREFERENCE as OP_CIPHER_SERVER_PREFERENCE,
    OP_ENABLE_MIDDLEBOX_COMPAT as OP_ENABLE_MIDDLEBOX_COMPAT,
    OP_NO_COMPRESSION as OP_NO_COMPRESSION, OP_NO_RENEGOTIATION as OP_NO_RENEGOTIATION,
    OP_NO_SSLv2 as OP_NO_SSLv2, OP_NO_SSLv3 as OP_NO_SSLv3, OP_NO_TICKET as OP_NO_TICKET,
    OP_NO_TLSv1 as OP_NO_TLSv1, OP_NO_TLSv1_1 as OP_NO_TLSv1_1, OP_NO_TLSv1_2 as OP_NO_TLSv1_2,
    OP_NO_TLSv1_3 as OP_NO_TLSv1_3, OP_SINGLE_DH_USE as OP_SINGLE_DH_USE,
    OP_SINGLE_ECDH_USE as OP_SINGLE_ECDH_USE, Options as Options, PEM_FOOTER as PEM_FOOTER,
    PEM_HEADER as PEM_HEADER, PEM_cert_to_DER_cert as PEM_cert_to_DER_cert,
    PROTOCOL_SSLv2 as PROTOCOL_SSLv2, PROTOCOL_SSLv23 as PROTOCOL_SSLv23,
    PROTOCOL_SSLv3 as PROTOCOL_SSLv3, PROTOCOL_TLS as PROTOCOL_TLS,
    PROTOCOL_TLS_CLIENT as PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER as PROTOCOL_TLS_SERVER,
    PROTOCOL_TLSv1 as PROTOCOL_TLSv1, PROTOCOL_TLSv1_1 as PROTOCOL_TLSv1_1,
    PROTOCOL_TLSv1_2 as PROTOCOL_TLSv1_2, Purpose as Purpose, RAND_add as RAND_add,
    RAND_bytes as RAND_bytes, RAND_status as RAND_status, SOCK_STREAM as SOCK_STREAM,
    SOL_SOCKET as SOL_SOCKET, SO_TYPE as SO_TYPE,
    SSLCertVerificationError as SSLCertVerificationError, SSLEOFError as SSLEOFError,
    SSLError as SSLError, SSLErrorNumber as SSLErrorNumber, SSLObject as SSLObject,
    SSLSession as SSLSession, SSLSyscallError as SSLSyscallError,
    SSLWantReadError as SSLWantReadError, SSLWantWriteError as SSLWantWriteError,
    SSLZeroReturnError as SSLZeroReturnError, SSL_ERROR_EOF as SSL_ERROR_EOF,
    SSL_ERROR_INVALID_ERROR_CODE as SSL_ERROR_INVALID_ERROR_CODE, SSL_ERROR_SSL as SSL_ERROR_SSL,
    SSL_ERROR_SYSCALL as SSL_ERROR_SYSCALL, SSL_ERROR_WANT_CONNECT as SSL_ERROR_WANT_CONNECT,
    SSL_ERROR_WANT_READ as SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE as SSL_ERROR_WANT_WRITE,
    SSL_ERROR_WANT_X509_LOOKUP as SSL_ERROR_WANT_X509_LOOKUP,
    SSL_ERROR_ZERO_RETURN as SSL_ERROR_ZERO_RETURN, TLSVersion as TLSVersion,
    VERIFY_ALLOW_PROXY_CERTS as VERIFY_ALLOW_PROXY_CERTS,
    VERIFY_CRL_CHECK_CHAIN as VERIFY_CRL_CHECK_CHAIN,
    VERIFY_CRL_CHECK_LEAF as VERIFY_CRL_CHECK_LEAF, VERIFY_DEFAULT as VERIFY_DEFAULT,
    VERIFY_X509_PARTIAL_CHAIN as VERIFY_X509_PARTIAL_CHAIN,
    VERIFY_X509_STRICT as VERIFY_X509_STRICT,
    VERIFY_X509_TRUSTED_FIRST as VERIFY_X509_TRUSTED_FIRST, VerifyFlags as VerifyFlags,
    VerifyMode as VerifyMode, _ASN1Object as _ASN1Object, _ASN1ObjectBase as _ASN1ObjectBase,
    _Cipher as _Cipher, _DEFAULT_CIPHERS as _DEFAULT_CIPHERS,
    _OPENSSL_API_VERSION as _OPENSSL_API_VERSION, _PCTRTT as _PCTRTT, _PCTRTTT as _PCTRTTT,
    _PasswordType as _PasswordType, _PeerCertRetDictType as _PeerCertRetDictType,
    _PeerCertRetType as _PeerCertRetType, _SSLMethod as _SSLMethod,
    cert_time_to_seconds as cert_time_to_seconds,
    get_default_verify_paths as get_default_verify_paths, get_protocol_name as get_protocol_name,
    get_server_certificate as get_server_certificate, socket_error as socket_error,
)
if sys.version_info >= (3, 13):
    from ssl import (
        HAS_PSK as HAS_PSK,
    )
if sys.version_info >= (3, 15):
    from ssl import (
        HAS_PSK_TLS13 as HAS_PSK_TLS13, get_sigalgs as get_sigalgs,
    )
if sys.version_info >= (3, 14):
    from ssl import (
        HAS_PHA as HAS_PHA,
    )
if sys.version_info < (3, 12):
    from ssl import (
        RAND_pseudo_bytes as RAND_pseudo_bytes, match_hostname as match_hostname,
    )
if sys.platform == "win32":
    from ssl import (
        enum_certificates as enum_certificates, enum_crls as enum_crls,
    )
if sys.version_info >= (3, 12):
    from ssl import (
        OP_ENABLE_KTLS as OP_ENABLE_KTLS, OP_LEGACY_SERVER_CONNECT as OP_LEGACY_SERVER_CONNECT,
    )
if sys.version_info >= (3, 11) or sys.platform == "linux":
    from ssl import (
        OP_IGNORE_UNEXPECTED_EOF as OP_IGNORE_UNEXPECTED_EOF,
    )
# fmt: on

_SrvnmeCbType: TypeAlias = Callable[[SSLSocket | SSLObject, str | None, SSLSocket], int | None]

class SSLSocket(_stdlib.SSLSocket, _safe_socket):
    """A TLS socket that does not hang silently and says what failed; in all else the stdlib's.

    Made by :meth:`SSLContext.wrap_socket`.
    Source: Python ``ssl.SSLSocket``.
    """

    context: SSLContext
    def connect(self, addr: _Address) -> None:
        """Connect, and do the TLS handshake."""
    def connect_ex(self, addr: _Address) -> int:
        """Connect and do the TLS handshake; return 0 or the errno."""
    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive at most *buflen* bytes; ``b""`` means that the other side has finished."""
    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive at most *nbytes* bytes into *buffer*; return how many."""

    def recvfrom(self, buflen: int = 1024, flags: int = 0) -> tuple[bytes, _RetAddress]:
        """Not for TLS: raise ValueError once it is on."""
    def recvfrom_into(
        self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0
    ) -> tuple[int, _RetAddress]:
        """Not for TLS: raise ValueError once it is on."""

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send *data*; limits, errors and the result are those of :func:`write`.

        Source: Python ``SSLSocket.send``.
        """
    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send all of *data*; ``bytes_sent`` of a failure counts what TLS has taken.

        Limits and errors are those of :func:`write`; a timeout of the socket's own is for each part.
        Source: Python ``SSLSocket.sendall``.
        """
    @overload
    def sendto(self, data: ReadableBuffer, flags_or_addr: _Address, addr: None = None) -> int:
        """Not for TLS: raise ValueError once it is on."""
    @overload
    def sendto(self, data: ReadableBuffer, flags_or_addr: int, addr: _Address) -> int: ...
    def shutdown(self, how: int) -> None:
        """Shut down one half of the connection or both, without a goodbye of TLS.

        Raises:
            NotConnectedError: the socket is not connected.
            SafeSocketError: any other failure.
        Source: shutdown(2); Python ``SSLSocket.shutdown``.
        """
    def accept(self) -> tuple[SSLSocket, _RetAddress]:
        """Wait for a client; return the connection, which speaks TLS, and its address."""
    def unwrap(self) -> _safe_socket:
        """End TLS, not the connection; return the socket, whose mode is the program's again.

        The other side's goodbye is awaited for the ``handshake`` timeout (seconds) at most.

        Raises:
            ReadTimeoutError: no goodbye (close_notify) came in time.
            TLSError: data came instead, or TLS failed otherwise.
            ValueError: there is no TLS on this socket.
        Source: SSL_shutdown(3); Python ``SSLSocket.unwrap``.
        """
    def recvmsg(self, *args: Never, **kwargs: Never) -> Never:  # type: ignore[override, unused-ignore]
        """Not for TLS: raise NotImplementedError."""

    def recvmsg_into(self, *args: Never, **kwargs: Never) -> Never:  # type: ignore[override, unused-ignore]
        """Not for TLS: raise NotImplementedError."""

    def sendmsg(self, *args: Never, **kwargs: Never) -> Never:  # type: ignore[override, unused-ignore]
        """Not for TLS: raise NotImplementedError."""

class SSLContext(_stdlib.SSLContext):
    """The stdlib's context, but for the class of the sockets that it makes.

    It is built on the stdlib's own class also where truststore has replaced that, and so
    verifies certificates as OpenSSL does.

    Source: Python ``ssl.SSLContext``.
    """

    sslsocket_class: type[SSLSocket]
    # Called with this very context: what is a narrower class for the base is the truth here.
    sni_callback: Callable[[SSLObject, str, SSLContext], None | int] | None  # type: ignore[assignment]
    def set_servername_callback(self, server_name_callback: _SrvnmeCbType | None) -> None:
        """Set what is called with the host name that a client asks for."""
    def wrap_socket(
        self,
        sock: _socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: SSLSession | None = None,
    ) -> SSLSocket:
        """Return a TLS socket in place of *sock*, which is detached; shake hands if connected."""

def create_default_context(
    purpose: Purpose = Purpose.SERVER_AUTH,
    *,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | ReadableBuffer | None = None,
) -> SSLContext:
    """Return a context with safe settings: the stdlib's, which wraps in our class."""

def _create_unverified_context(
    protocol: int | None = None,
    *,
    cert_reqs: int = VerifyMode.CERT_NONE,
    check_hostname: bool = False,
    purpose: Purpose = Purpose.SERVER_AUTH,
    certfile: StrOrBytesPath | None = None,
    keyfile: StrOrBytesPath | None = None,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | ReadableBuffer | None = None,
) -> SSLContext:
    """Return a context that checks nothing, unless told to."""

_create_default_https_context = create_default_context

if sys.version_info < (3, 12):
    @deprecated(
        "Deprecated since Python 3.7; removed in Python 3.12. Use `SSLContext.wrap_socket()` instead."
    )
    def wrap_socket(
        sock: _socket,
        keyfile: StrOrBytesPath | None = None,
        certfile: StrOrBytesPath | None = None,
        server_side: bool = False,
        cert_reqs: int = VerifyMode.CERT_NONE,
        ssl_version: int = _SSLMethod.PROTOCOL_TLS,
        ca_certs: str | None = None,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        ciphers: str | None = None,
    ) -> SSLSocket:
        """Return a TLS socket in place of *sock*, which is detached."""
