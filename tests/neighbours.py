"""What the tests of the neighbours share: servers to talk to, and how a program tells what it saw.

A neighbour patches the process that it is in, so each program runs in one of its own; the servers
stay here.
"""

from __future__ import annotations

import http.server
import socketserver
import ssl
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from socket import SHUT_WR, create_connection, inet_ntoa

import pytest
import trustme

from safesocket import testing
from tests.helpers import GUARD, printed

INSTALL = "safesocket.install()"

#: What every program begins with.
PRELUDE = """
import os, re, socket, ssl, sys, warnings
warnings.simplefilter("ignore")  # of other libraries about themselves
import safesocket

PEERS = {name: value for name, value in os.environ.items() if name.startswith("PEER_")}

def address(name):
    host, _, port = PEERS["PEER_" + name].rpartition(":")
    return host, int(port)

def url(name, scheme="http", host="localhost", path=""):
    return f"{scheme}://{host}:{address(name)[1]}/{path}"

def behind(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

def words(error):
    theirs = f"{type(error).__module__}.{type(error).__qualname__}"
    ours = [e for e in behind(error) if isinstance(e, safesocket.errors.SafeSocketError)]
    if not ours:
        return theirs
    text = re.sub(r" after [\\d.e-]+ s", "", str(ours[0]))
    for name, peer in PEERS.items():
        text = re.sub(f"(localhost|127.0.0.1):{peer.partition(':')[2]}", name[5:], text)
    return f"{theirs}{': ' if ours[0] is error else ' < '}{text}"

def told(call, *args, **options):
    try:
        result = call(*args, **options)
    except BaseException as error:
        result = words(error)
    print(result)

def echo(connect=None):
    with (connect or socket.create_connection)(address("ECHOES")) as sock:
        sock.sendall(b"x")
        return sock.recv(1)

def silence(connect=None, peer="NEVER_ANSWERS"):
    with (connect or socket.create_connection)(address(peer)) as sock:
        sock.recv(1)

def connect(peer):
    with socket.socket() as sock:
        sock.connect(address(peer))

def hurry():
    safesocket.configure(resolve=5, connect=0.05, handshake=0.05, read=0.05, write=0.05)
"""

#: What a program that is safe says of ``silence()``, ``connect("NEVER_ACCEPTS")`` and of a refusal.
SILENCE = (
    "safesocket.errors.ReadTimeoutError: "
    "timed out: recv from NEVER_ANSWERS (configured read timeout 0.05 s)"
)
NOBODY = (
    "safesocket.errors.ConnectTimeoutError: "
    "timed out: connect to NEVER_ACCEPTS (configured connect timeout 0.05 s)"
)
REFUSAL = (
    "safesocket.errors.ConnectRefusedError: [Errno 111] Connection refused: connect to REFUSES"
)


def needs(*packages):
    """Skip where one of these is missing; they are looked for and not imported: they patch."""
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def lines(peers, *code):
    """Return the lines that a program prints."""
    return printed("\n".join([PRELUDE, *code]), **peers).splitlines()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answer "ok" at once, and /never when all is over."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/never":
            self.server.over.wait(GUARD)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        """Be quiet."""


class Web(http.server.ThreadingHTTPServer):
    """A web server that does not mind who leaves."""

    daemon_threads = True

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Answers)
        self.over = threading.Event()
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, *args):
        """Be quiet."""

    def shutdown_request(self, request):
        with suppress(OSError):
            super().shutdown_request(request)


class Socks(socketserver.StreamRequestHandler):
    """A SOCKS5 proxy without authentication, for CONNECT: RFC 1928."""

    def handle(self):
        self.rfile.read(self.rfile.read(2)[1])
        self.wfile.write(b"\5\0")
        *_, kind = self.rfile.read(4)
        host = inet_ntoa(self.rfile.read(4)) if kind == 1 else self.rfile.read(*self.rfile.read(1))
        (port,) = struct.unpack(">H", self.rfile.read(2))
        try:
            upstream = create_connection((host, port), GUARD)
        except OSError:
            self.wfile.write(b"\5\5\0\1" + bytes(6))
            return
        with upstream:
            self.wfile.write(b"\5\0\0\1" + bytes(6))
            back = threading.Thread(target=self.pump, args=(upstream, self.connection))
            back.start()
            self.pump(self.connection, upstream)
            back.join(GUARD)

    def pump(self, source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(SHUT_WR)


@contextmanager
def serving(server):
    """Let *server* serve in a thread; yield its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    with server:
        thread.start()
        try:
            yield server.server_address
        finally:
            getattr(server, "over", threading.Event()).set()
            server.shutdown()
            thread.join(GUARD)


@contextmanager
def certificates(folder):
    """Yield a context of a server on localhost, and the path of who has signed for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    yield context, str(folder / "ca.pem")


@contextmanager
def everybody(folder):
    """Yield the environment of a program that may meet every peer: ``PEER_...``, and ``CA``."""
    names = ("echoes", "refuses", "never_answers", "never_accepts")
    with ExitStack() as stack:
        tls, authority = stack.enter_context(certificates(folder))
        socks = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socks)
        socks.daemon_threads = True
        peers = {name: stack.enter_context(getattr(testing, name)()) for name in names}
        servers = {"http": Web(), "https": Web(tls), "socks": socks}
        peers.update({name: stack.enter_context(serving(one)) for name, one in servers.items()})
        addresses = {f"PEER_{name.upper()}": f"{h}:{p}" for name, (h, p) in peers.items()}
        trust = dict.fromkeys(["CA", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"], authority)
        yield {**addresses, **trust}
