"""What the tests of TLS share: certificates, contexts, both ends of a connection, rude peers.

Certificates are made once per process. A peer that misbehaves under TLS is a raw socket and an
``SSLObject`` over ``MemoryBIO``s: the test decides which bytes reach the wire.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace

import pytest
import trustme

import safesocket
import safesocket.ssl as safe_ssl
from tests.helpers import GUARD, calling

NAME = "server.test"


@cache
def authority():
    return trustme.CA()


@cache
def certificate(name=NAME, expired=False):
    past = datetime.now(UTC) - timedelta(days=1)
    options = {"not_after": past} if expired else {}
    return authority().issue_cert(name, **options)


def server_context(make=ssl, issued=None, **settings):
    """Return a context of a server's, made by the module *make*."""
    context = make.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (issued or certificate()).configure_cert(context)
    return configured(context, settings)


def client_context(make=ssl, trusts=True, **settings):
    """Return a context of a client's, made by the module *make*."""
    context = make.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusts:
        authority().configure_trust(context)
    return configured(context, settings)


def configured(context, settings):
    for name, value in settings.items():
        setattr(context, name, value)
    return context


@contextmanager
def the_stdlib():
    yield SimpleNamespace(name="stdlib", socket=socket, ssl=ssl, is_safe=False)


@contextmanager
def drop_in():
    yield SimpleNamespace(name="drop-in", socket=safesocket, ssl=safe_ssl, is_safe=True)


@contextmanager
def under_install():
    with safesocket.installed():
        yield SimpleNamespace(name="installed", socket=socket, ssl=ssl, is_safe=True)


def _forms(*forms):
    names = {the_stdlib: "stdlib", drop_in: "drop-in", under_install: "installed"}
    return pytest.mark.parametrize("form", [pytest.param(one, id=names[one]) for one in forms])


#: the stdlib is the oracle: what holds for it holds for both of ours
every_form = _forms(the_stdlib, drop_in, under_install)
safe_forms = _forms(drop_in, under_install)


sides = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])

WAYS = ["configure", "timeouts", "set_timeouts", "settimeout"]
every_way = pytest.mark.parametrize("way", WAYS)


def limit(way, *socks, **limits):
    """Set *limits* in one of the ways; return the block in which they hold."""
    if way == "timeouts":
        return safesocket.timeouts(**limits)
    for sock in socks:
        if way == "set_timeouts":
            safesocket.set_timeouts(sock, **limits)
        elif way == "settimeout":
            sock.settimeout(min(limits.values()))
    if way == "configure":
        safesocket.configure(**limits)
    return nullcontext()


def wrapped(lib, raw, server_side, **options):
    make = server_context if server_side else client_context
    name = {} if server_side else {"server_hostname": NAME}
    return make(lib.ssl).wrap_socket(raw, server_side=server_side, **name, **options)


@contextmanager
def tcp(lib, server_side=False):
    """Yield a socket of *lib*, not wrapped yet, and the plain one at the far end."""
    with lib.socket.create_server(("127.0.0.1", 0)) as listener:
        if server_side:
            far = socket.create_connection(listener.getsockname())
            near, _ = listener.accept()
        else:
            near = lib.socket.create_connection(listener.getsockname())
            fd, _ = listener._accept()
            far = socket.socket(fileno=fd)
        with near, far:
            yield near, far


@contextmanager
def tls_pair(lib, client=None, server=None, mode=None, **options):
    """Yield both ends of a TLS connection of *lib*: the client, and what was accepted."""
    client = client or client_context(lib.ssl)
    server = server or server_context(lib.ssl)
    with lib.socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def accept():
            accepted, _ = listener.accept()
            return server.wrap_socket(accepted, server_side=True)

        with calling(accept) as accepted:
            raw = lib.socket.create_connection(listener.getsockname())
            options.setdefault("server_hostname", NAME)
            ours = stack.enter_context(client.wrap_socket(raw, **options))
        theirs = stack.enter_context(accepted.result(GUARD))
        for sock in (ours, theirs):  # session tickets are read; no thread meets them later
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        theirs.sendall(b"!")
        assert ours.recv(1) == b"!"
        if mode is not None:
            ours.settimeout(mode)
            theirs.settimeout(mode)
        yield ours, theirs


class Rude:
    """One end of a TLS connection that does only what it is told to: raw socket and MemoryBIO."""

    def __init__(self, sock, server_side=True, context=None):
        self.sock = sock
        if sock.family != socket.AF_UNIX:  # or a record waits for the receipt of the one before
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or (server_context() if server_side else client_context())
        name = None if server_side else NAME
        self.tls = context.wrap_bio(self._in, self._out, server_side, name)

    def flush(self):
        self.sock.sendall(self._out.read())

    def shake_hands(self):
        """Do the whole handshake, as this end."""
        self.shake_hands_but_for_tickets()
        self.flush()

    def shake_hands_but_for_tickets(self):
        """Do the handshake, but for what is sent at its end: flush() sends it."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._in.write(self.sock.recv(65536))
            else:
                return

    def record(self, data):
        """Return the bytes of a record that holds *data*."""
        self.tls.write(data)
        return self._out.read()


@contextmanager
def rude_pair(lib, server_side=False, **options):
    """Yield a TLS socket of *lib*, *server_side* or a client's, and the rude peer it talks to."""
    with tcp(lib, server_side) as (near, far):
        peer = Rude(far, server_side=not server_side)
        context = server_context(lib.ssl) if server_side else client_context(lib.ssl)
        name = {} if server_side else {"server_hostname": NAME}
        with calling(peer.shake_hands) as shaken:
            sock = context.wrap_socket(near, server_side=server_side, **name, **options)
            shaken.result(GUARD)
        with sock:
            yield sock, peer
