"""What type checkers know of safesocket: the whole public surface; read by them, never run.

Every line must be accepted, by each checker, in its strictest mode. What must be refused is in
``wrong.py``.
"""

import asyncio
import io
import socket as stdlib
import ssl as stdlib_ssl
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Self, assert_type

from typing_extensions import override

import safesocket
import safesocket as socket
from safesocket import errors, ssl, testing
from safesocket import socket as Socket

# The class, where the stdlib's stands.

sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, None)
assert_type(sock, safesocket.socket)
assert_type(socket.socket(), Socket)
as_stdlib: stdlib.socket = sock
with sock as entered:
    assert_type(entered, safesocket.socket)
assert_type(sock.accept(), tuple[safesocket.socket, Any])
assert_type(sock.dup(), safesocket.socket)
assert_type(socket.create_connection(("localhost", 80)), safesocket.socket)
assert_type(
    socket.create_connection(("localhost", "http"), 5.0, ("", 0), all_errors=True),
    safesocket.socket,
)
assert_type(socket.create_connection((None, None), timeout=None), safesocket.socket)
assert_type(
    socket.create_server(
        ("", 0), family=socket.AF_INET6, backlog=5, reuse_port=True, dualstack_ipv6=True
    ),
    safesocket.socket,
)
assert_type(socket.fromfd(3, socket.AF_INET, socket.SOCK_STREAM), safesocket.socket)
assert_type(socket.socketpair(), tuple[safesocket.socket, safesocket.socket])
if sys.platform == "win32":
    assert_type(socket.fromshare(sock.share(1)), safesocket.socket)


class Counting(socket.socket):
    """A subclass of a program's own."""

    @override
    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return super().recv(bufsize, flags)

    def itself(self) -> Self:
        return self


counting = Counting()
assert_type(counting.dup(), Counting)
assert_type(counting.accept(), tuple[safesocket.socket, Any])
with counting as entered_counting:
    assert_type(entered_counting, Counting)

# Its operations, as typeshed has them.

buffer = bytearray(10)
assert_type(sock.bind(("", 0)), None)
assert_type(sock.connect(("localhost", 80)), None)
assert_type(sock.connect(b"\0abstract"), None)
assert_type(sock.connect_ex("/run/some.sock"), int)
assert_type(sock.listen(), None)
assert_type(sock.listen(5), None)
assert_type(sock.getpeername(), Any)
assert_type(sock.getsockname(), Any)
assert_type(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), int)
assert_type(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8), bytes)
assert_type(sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True), None)
assert_type(sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8)), None)
assert_type(sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, None, 8), None)
assert_type(sock.recv(10), bytes)
assert_type(sock.recv(10, socket.MSG_PEEK), bytes)
assert_type(sock.recv_into(buffer), int)
assert_type(sock.recv_into(memoryview(buffer), nbytes=5, flags=0), int)
assert_type(sock.recvfrom(10), tuple[bytes, Any])
assert_type(sock.recvfrom_into(buffer), tuple[int, Any])
assert_type(sock.send(b"x"), int)
assert_type(sock.send(memoryview(b"x"), 0), int)
assert_type(sock.sendall(buffer), None)
assert_type(sock.sendto(b"x", ("localhost", 53)), int)
assert_type(sock.sendto(b"x", 0, ("localhost", 53)), int)
assert_type(sock.sendfile(io.BytesIO(b"x"), 0, None), int)
assert_type(sock.shutdown(socket.SHUT_RDWR), None)
assert_type(sock.setblocking(False), None)
assert_type(sock.settimeout(None), None)
assert_type(sock.settimeout(socket.FOREVER), None)
assert_type(sock.gettimeout(), float | None)
assert_type(sock.getblocking(), bool)
assert_type(sock.timeout, float | None)
assert_type(sock.family, socket.AddressFamily)
assert_type(sock.type, socket.SocketKind)
assert_type(sock.proto, int)
assert_type(sock.fileno(), int)
assert_type(sock.detach(), int)
assert_type(sock.close(), None)
assert_type(sock.get_inheritable(), bool)
if sys.platform != "win32":
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"1234")]
    assert_type(sock.recvmsg(10, 20), tuple[bytes, list[tuple[int, int, bytes]], int, Any])
    assert_type(sock.recvmsg_into([buffer]), tuple[int, list[tuple[int, int, bytes]], int, Any])
    assert_type(sock.sendmsg([b"x", buffer], ancillary, 0, None), int)
    assert_type(socket.send_fds(sock, [b"x"], [1]), int)
    assert_type(socket.recv_fds(sock, 10, 1), tuple[bytes, list[int], int, Any])
if sys.platform == "linux":
    assert_type(sock.sendmsg_afalg([b"x"], op=socket.ALG_OP_ENCRYPT), int)

assert_type(sock.makefile(), io.TextIOWrapper)
assert_type(sock.makefile("rb", buffering=0), socket.SocketIO)
assert_type(sock.makefile("rb").readline(), bytes)
assert_type(sock.makefile("w", encoding="utf-8", newline="\r\n"), io.TextIOWrapper)
raw = sock.makefile("rwb", buffering=0)
assert_type(raw.readinto(buffer), int | None)
assert_type(raw.write(b"x"), int | None)
assert_type(raw.mode, Literal["rb", "wb", "rwb"])
socket.SocketIO(sock, "r")

# Module functions and constants.

for found in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM):
    found_family, found_kind, found_proto, found_name, found_address = found
    assert_type(found_proto, int)
    assert_type(found_name, str)
    socket.socket(found_family, found_kind, found_proto).connect(found_address)
assert_type(socket.gethostbyname("localhost"), str)
assert_type(socket.gethostbyname_ex("localhost"), tuple[str, list[str], list[str]])
assert_type(socket.gethostbyaddr("127.0.0.1"), tuple[str, list[str], list[str]])
assert_type(socket.getnameinfo(("127.0.0.1", 80), 0), tuple[str, str])
assert_type(socket.getfqdn(), str)
assert_type(socket.gethostname(), str)
assert_type(socket.dup(3), int)
assert_type(socket.inet_aton("127.0.0.1"), bytes)
assert_type(socket.htons(1), int)
assert_type(socket.getdefaulttimeout(), float | None)
assert_type(socket.has_dualstack_ipv6(), bool)
assert_type(socket.AF_INET, Literal[stdlib.AddressFamily.AF_INET])
assert_type(socket.SOCK_STREAM, Literal[stdlib.SocketKind.SOCK_STREAM])
assert_type(socket.SO_REUSEADDR, int)
if sys.platform == "linux":
    assert_type(socket.SO_BINDTODEVICE, int)
    assert_type(socket.AF_VSOCK, Literal[stdlib.AddressFamily.AF_VSOCK])
    if sys.version_info >= (3, 12):
        assert_type(socket.SO_INCOMING_CPU, int)
if sys.platform == "win32":
    assert_type(socket.SIO_KEEPALIVE_VALS, int)
    assert_type(socket.SO_EXCLUSIVEADDRUSE, int)
if sys.platform == "darwin":
    assert_type(socket.PF_SYSTEM, int)

try:
    sock.recv(1)
except socket.timeout as error:
    assert_type(error, TimeoutError)
except socket.gaierror as error:
    assert_type(error, stdlib.gaierror)
except socket.herror as error:
    assert_type(error, stdlib.herror)
except socket.error as error:
    assert_type(error, OSError)


def annotated(one: socket.socket, kind: socket.SocketKind, *, peer: "socket.socket") -> None:
    """Annotations of old code go on meaning the same."""


annotated(sock, socket.SOCK_DGRAM, peer=counting)


async def in_asyncio() -> None:
    loop = asyncio.get_running_loop()
    assert_type(await loop.sock_recv(sock, 10), bytes)
    await loop.create_connection(asyncio.Protocol, sock=sock)


# Limits.

limits = socket.Timeouts(resolve=1, connect=2.5, handshake=None, read=socket.FOREVER)
assert_type(limits, safesocket.Timeouts)
assert_type(limits.resolve, float | None)
assert_type(limits.connect, float | None)
assert_type(limits.handshake, float | None)
assert_type(limits.read, float | None)
assert_type(limits.write, float | None)
assert_type(limits.serve, float | None)
assert_type(limits.replace(read=5), safesocket.Timeouts)
assert_type(limits.to_dict(), dict[str, float | None])
assert_type(hash(limits), int)
socket.Timeouts(10, 10, 10, 300, 300, None)
match limits:
    case socket.Timeouts(lookup, connecting):
        assert_type(lookup, float | None)
        assert_type(connecting, float | None)
assert_type(socket.FOREVER, float)

socket.configure()
socket.configure(limits)
socket.configure(limits, message="note")
socket.configure(message="append", family="prefer-ipv4", happy_eyeballs=False)
socket.configure(resolve=1, connect=2, handshake=3, read=4, write=None, serve=socket.FOREVER)
assert_type(socket.set_timeouts(sock, limits), None)
socket.set_timeouts(as_stdlib)
socket.set_timeouts(counting, read=5, write=5)
assert_type(socket.get_timeouts(), safesocket.Timeouts)
assert_type(socket.get_timeouts(sock), safesocket.Timeouts)
with socket.timeouts(read=5) as nothing:
    assert_type(nothing, None)
with socket.timeouts(limits, serve=None), socket.deadline(5) as no_value:
    assert_type(no_value, None)
with socket.deadline(None):
    assert_type(socket.remaining(), float | None)
    with socket.profile() as spent:
        assert_type(spent, socket.profile)
    assert_type([row.waited for row in spent.rows()], list[float])
    assert_type([line.lineno for line in spent.saved()], list[int])
    assert_type(spent.to_dict(), dict[str, Any])
    spent.write("profile.html")

# Installing.

installation = safesocket.install()
assert_type(installation, safesocket.Installation)
assert_type(installation.uninstall(), None)
report = installation.report()
assert_type(report, safesocket.Report)
assert_type(report.patched, tuple[str, ...])
assert_type(report.copies, tuple[str, ...])
assert_type(report.left, tuple[str, ...])
assert_type(report.unreached, tuple[str, ...])
assert_type(report.overlaid, tuple[str, ...])
assert_type(str(report), str)
exemption = safesocket.Exemption("kombu", host="db.internal", port=5432, limits=limits)
safesocket.install(none="forever", exempt=["kombu.transport", exemption])
with safesocket.installed(none="limit", exempt=(exemption,)) as inside:
    assert_type(inside, safesocket.Installation)
with safesocket.install():
    assert_type(safesocket.is_installed(), bool)
assert_type(safesocket.uninstall(), None)
refused_to_install: RuntimeError = safesocket.InstallError("gevent was here first")
assert_type(safesocket.__version__, str)

# Errors: what they are, and what they carry.

operations = Literal["connect", "recv"]
try:
    sock.recv(10)
except socket.errors.SafeSocketError as error:
    assert_type(error, errors.SafeSocketError)
    if error.operation == "connect":
        assert_type(error.operation, Literal["connect"])
    if error.timeout_source in ("default", "deadline", "kernel"):
        print(error.timeout_source)
    assert_type(error.host, str | None)
    assert_type(error.port, int | str | None)
    assert_type(error.address, Any)
    assert_type(error.local, Any)
    assert_type(error.elapsed, float | None)
    assert_type(error.timeout, float | None)
    assert_type(error.bytes_sent, int | None)
    assert_type(error.attempts, Sequence[errors.Attempt])
    assert_type(error.bytes_received, int | None)
    assert_type(error.tcp, errors.TCPInfo | None)
    if error.tcp is not None:
        assert_type(error.tcp.rtt, float | None)
    for attempt in error.attempts:
        assert_type(attempt.address, Any)
        assert_type(attempt.error, OSError)
        assert_type(attempt.elapsed, float)
    assert_type(error.hint, str | None)
    assert_type(error.errno, int | None)
    assert_type(error.code, str)
    assert_type(error.fingerprint, str)
    facts: dict[str, Any] = error.to_dict()
errors.Attempt(("127.0.0.1", 80), ConnectionRefusedError(), 0.5)

umbrellas: list[type[errors.SafeSocketError]] = [
    errors.BindError,
    errors.ConnectError,
    errors.ResolveError,
    errors.SocketTimeoutError,
    errors.TLSError,
    errors.TransferError,
]
timeouts_of_ours: list[type[errors.SocketTimeoutError]] = [
    errors.AcceptTimeoutError,
    errors.ConnectTimeoutError,
    errors.HandshakeTimeoutError,
    errors.ReadTimeoutError,
    errors.ResolveTimeoutError,
    errors.WriteTimeoutError,
]
builtin_timeouts: list[type[TimeoutError]] = [*timeouts_of_ours, errors.PeerLostError]
of_resolving: list[type[errors.ResolveError]] = [
    errors.HostNotFoundError,
    errors.ResolverError,
    errors.ResolveTimeoutError,
    errors.ReverseLookupError,
]
gaierrors: list[type[stdlib.gaierror]] = [
    errors.HostNotFoundError,
    errors.ResolverError,
    errors.ResolveTimeoutError,
]
a_herror: type[stdlib.herror] = errors.ReverseLookupError
of_connecting: list[type[errors.ConnectError]] = [
    *of_resolving,
    errors.AddressNotAvailableError,
    errors.AlreadyConnectedError,
    errors.CertificateError,
    errors.ConnectDeniedError,
    errors.ConnectRefusedError,
    errors.ConnectTimeoutError,
    errors.HandshakeError,
    errors.HandshakeTimeoutError,
    errors.SocketPathError,
    errors.UnreachableError,
]
of_tls: list[type[errors.TLSError]] = [
    errors.CertificateError,
    errors.HandshakeError,
    errors.HandshakeTimeoutError,
]
of_transfers: list[type[errors.TransferError]] = [
    errors.ConnectionAbortError,
    errors.MessageTooLargeError,
    errors.NotConnectedError,
    errors.PeerClosedError,
    errors.PeerLostError,
    errors.PeerResetError,
    errors.ReadTimeoutError,
    errors.WriteTimeoutError,
]
of_binding: list[type[errors.BindError]] = [
    errors.AddressInUseError,
    errors.AddressNotAvailableError,
    errors.BindDeniedError,
]
of_anything: list[type[errors.SafeSocketError]] = [
    errors.OperationDeniedError,
    errors.ResourceError,
    errors.SocketClosedError,
    errors.SocketOperationError,
]
refused: type[ConnectionRefusedError] = errors.ConnectRefusedError
reset: type[ConnectionResetError] = errors.PeerResetError
broken: type[BrokenPipeError] = errors.PeerClosedError
aborted: type[ConnectionAbortedError] = errors.ConnectionAbortError
missing: type[FileNotFoundError] = errors.SocketPathError
denied: list[type[PermissionError]] = [
    errors.BindDeniedError,
    errors.ConnectDeniedError,
    errors.OperationDeniedError,
]
try:
    sock.connect(("localhost", 443))
except errors.CertificateError as error:
    assert_type(error.verify_code, int)
    assert_type(error.verify_message, str)
    assert_type(error.operation == "do_handshake", bool)
    as_stdlib_error: stdlib_ssl.SSLCertVerificationError = error
except (errors.HandshakeError, errors.HandshakeTimeoutError) as error:
    assert_type(error.host, str | None)
except stdlib_ssl.SSLError as error:
    assert_type(error.reason, str)

# TLS.

context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile="ca.pem")
assert_type(context, ssl.SSLContext)
assert_type(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext)
as_stdlib_context: stdlib_ssl.SSLContext = context
tls = context.wrap_socket(sock, server_hostname="localhost")
assert_type(tls, ssl.SSLSocket)
assert_type(context.wrap_socket(as_stdlib, server_side=True), ssl.SSLSocket)
as_stdlib_tls: stdlib_ssl.SSLSocket = tls
as_ours: safesocket.socket = tls
assert_type(tls.context, ssl.SSLContext)
assert_type(tls.accept(), tuple[ssl.SSLSocket, Any])
assert_type(tls.unwrap(), safesocket.socket)
assert_type(tls.recv(), bytes)
assert_type(tls.recv_into(buffer, None), int)
assert_type(tls.send(b"x"), int)
assert_type(tls.sendall(b"x"), None)
assert_type(tls.do_handshake(), None)
assert_type(tls.version(), str | None)
assert_type(tls.getpeercert(True), bytes | None)
assert_type(tls.session, ssl.SSLSession | None)
with tls as entered_tls:
    assert_type(entered_tls, ssl.SSLSocket)
assert_type(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()), ssl.SSLObject)
assert_type(context.verify_mode, ssl.VerifyMode)
assert_type(context.minimum_version, ssl.TLSVersion)
assert_type(ssl.CERT_REQUIRED, Literal[stdlib_ssl.VerifyMode.CERT_REQUIRED])
assert_type(ssl.OPENSSL_VERSION, str)
assert_type(ssl.HAS_SNI, bool)
assert_type(ssl.get_server_certificate(("localhost", 443), timeout=5), str)
assert_type(ssl.DER_cert_to_PEM_cert(b"x"), str)


def by_name(conn: ssl.SSLObject, name: str, ctx: ssl.SSLContext) -> None:
    """A server's choice of certificate, annotated with our context."""


context.sni_callback = by_name
context.sslsocket_class = ssl.SSLSocket
try:
    tls.do_handshake()
except ssl.SSLCertVerificationError as error:
    assert_type(error, stdlib_ssl.SSLCertVerificationError)
except ssl.SSLWantReadError as error:
    assert_type(error, stdlib_ssl.SSLWantReadError)

# Peers for tests.

with testing.refuses() as address:
    assert_type(address, Any)
peers: list[AbstractContextManager[Any]] = [
    testing.closes(after=3),
    testing.drips(0.01, socket.AF_INET6),
    testing.echoes(family=socket.AF_INET),
    testing.never_accepts(),
    testing.never_answers(),
    testing.reads_slowly(0.001, 10, on_data=print),
    testing.refuses(),
    testing.resets(after=3, on_request=True),
    testing.silent_udp(),
    testing.stops_reading(after=10, on_data=buffer.extend),
]
assert_type(testing.free_port(socket.AF_INET6), int)
