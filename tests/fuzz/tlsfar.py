"""The peer over TLS: a plain socket, and an SSLObject whose bytes go where the plan says."""

from __future__ import annotations

import select
import signal
import ssl
import threading
import time
from contextlib import suppress
from functools import cache

from tests import tls as certificates
from tests.fuzz.far import Far, ready

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_GARBAGE = b"\x17\x03\x03\x00\x05hello"
_LONG = 2.0  # seconds for a handshake


@cache
def context(module, is_server, version):
    """Return a context of *module*, for one version of TLS."""
    make = certificates.server_context if is_server else certificates.client_context
    limits = {"minimum_version": _VERSIONS[version], "maximum_version": _VERSIONS[version]}
    return make(module, **limits)


class _PlainSsl:
    """What contexts of the peer's are made by: the class that no world changes."""

    SSLContext = ssl.SSLContext


class TlsFar(Far):
    """The peer of a TLS socket."""

    def __init__(self, far, scene, is_server, version):
        super().__init__(far.raw, scene)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if is_server else certificates.NAME
        made = context(_PlainSsl, is_server, version)
        self._tls = made.wrap_bio(self._in, self._out, is_server, name)
        self._waiting = b""  #: bytes that the wire has not taken yet
        self._holds = False  #: they go when the plan says so

    def shake_hands(self):
        """Do this end's part of the handshake, and wait for the other's."""
        end = time.monotonic() + _LONG
        while time.monotonic() < end:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                ready(self.raw.fileno(), select.POLLIN, 0.1)
                self._receive()
            else:
                return self._flush()

    def _flush(self):
        self._waiting += self._out.read()
        with suppress(BlockingIOError):
            while self._waiting and not self._holds:
                self._waiting = self._waiting[self.raw.send(self._waiting) :]

    def _receive(self):
        with suppress(BlockingIOError):
            data = self.raw.recv(1 << 18)
            self._in.write(data) if data else self._in.write_eof()

    def send(self, size):
        data = self._scene.far_payload(size)
        if not size:  # OpenSSL makes a record of it, and Python's read an end of the stream
            return True
        self._tls.write(data)
        self.sent += data
        self._flush()
        self._scene.fuzzy = self._scene.fuzzy or bool(self._waiting)
        return not self._waiting or "some"

    def send_half(self, size):
        """Send a record up to its middle."""
        data = self._scene.far_payload(size)[:16000] or b"."
        self._flush()
        self._tls.write(data)
        self.sent += data
        record = self._out.read()
        if not self._waiting:
            self.raw.send(record[: len(record) // 2])
            record = record[len(record) // 2 :]
        self._waiting += record
        self._holds = True

    def send_rest(self):
        """Send what was held back."""
        self._holds = False
        self._flush()

    def send_garbage(self):
        """Send what is no record."""
        self._waiting += _GARBAGE
        self._flush()

    def notify(self):
        """Say goodbye, as TLS does; do not wait for the answer."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()

    def _get(self, size):
        self._flush()
        self._receive()
        try:
            data = self._tls.read(size)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        if not data:
            raise EOFError
        self.got += data
        return len(data)


def prepare(world, version, is_server, ragged):
    """Make what takes long before it is timed."""
    context(world.ssl, is_server, version)
    context(_PlainSsl, not is_server, version)


def wrap(scene, version, is_server, ragged):
    """Let the socket of *scene* and its peer go on over TLS."""
    scene.far = TlsFar(scene.far, scene, not is_server, version)
    name = {} if is_server else {"server_hostname": certificates.NAME}
    thread = threading.Thread(target=_shake_hands, args=(scene.far,))
    thread.start()
    try:
        scene.sock = context(scene.world.ssl, is_server, version).wrap_socket(
            scene.sock, server_side=is_server, suppress_ragged_eofs=ragged, **name
        )
        scene.tls = True
    finally:
        thread.join()


def _shake_hands(far):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    far.shake_hands()
