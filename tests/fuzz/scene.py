"""The socket that plays, made as a plan says, and all that is known of it.

A scene is a dict: ``family`` (a key of ``FAMILIES``), ``role`` (how the socket came to be),
``mode`` (what settimeout is given at the start), ``small`` (buffers), ``tls`` (absent, or version
and side).
"""

from __future__ import annotations

import _socket
import fcntl
import itertools
import os
import random
import socket as stdlib
from contextlib import suppress
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    SO_OOBINLINE,
    SO_RCVBUF,
    SO_SNDBUF,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)

from tests.fuzz.far import Far, plain

FAMILIES = {
    "tcp4": (AF_INET, SOCK_STREAM),
    "tcp6": (AF_INET6, SOCK_STREAM),
    "unix": (AF_UNIX, SOCK_STREAM),
    "pair": (AF_UNIX, SOCK_STREAM),
    "seqpacket": (AF_UNIX, SOCK_SEQPACKET),
    "pairseq": (AF_UNIX, SOCK_SEQPACKET),
    "udp4": (AF_INET, SOCK_DGRAM),
    "udp6": (AF_INET6, SOCK_DGRAM),
    "unixgram": (AF_UNIX, SOCK_DGRAM),
    "pairgram": (AF_UNIX, SOCK_DGRAM),
}
ROLES = {
    SOCK_STREAM: ["connected", "accepted", "created", "fresh"],
    SOCK_SEQPACKET: ["connected", "accepted", "fresh"],
    SOCK_DGRAM: ["connected", "open", "bound"],
}

#: seconds, at a scale of 1
LIMIT = 0.02  # of safesocket's
PATIENCE = 0.04  # until a wait of the stdlib's counts as one without an end
SHORT = 0.01  # a timeout of the program's own
GUARD = 3.0  # nothing takes that long: a hang

_HOSTS = {AF_INET: "127.0.0.1", AF_INET6: "::1"}
_NOISE = random.Random(7).randbytes(1 << 20)
_numbers = itertools.count()


def _noise(start, size):
    return _NOISE[start : start + size]


class Scene:
    """The socket under test, its peer, and what both have done."""

    def __init__(self, world, plan, scale):
        self.world, self.plan, self.scale = world, plan, scale
        self.family, self.kind = FAMILIES[plan["family"]]
        self.is_tcp = self.family in _HOSTS and self.kind == SOCK_STREAM
        self.role = plan["role"]
        self.is_named = not plan["family"].startswith("pair")
        self.forever = False
        self.tls = False
        self.is_half_written = False  #: OpenSSL still has some of a TLS write, and wants the rest
        self.fuzzy = False  #: counts depend on the kernel's whim from now on
        self.in_order = True  #: the bytes of both directions can be checked
        self.is_over = False  #: no more moves: what has happened leaves different things behind
        self.sock = self.far = self.listener = None
        self.files = []
        self.offered = []  #: what was sent: (bytes, how many of them were taken, None: unknown)
        self.received = bytearray()
        self.complaints = []
        self._place = self._far_place = 0

    # What it is made of.

    def set_up(self):
        """Make the socket and its peer."""
        if self.plan["family"].startswith("pair"):
            self._make_pair()
        elif self.kind == SOCK_DGRAM:
            self._make_datagrams()
        else:
            self._make_connection()
        if self.far and self.is_tcp:
            self._set_up_tcp()
        if self.plan.get("small"):
            self._make_small()
        if self.plan.get("tls"):
            from tests.fuzz.tlsfar import wrap

            wrap(self, **self.plan["tls"])
        if self.plan["mode"] is not None:
            self.sock.settimeout(self.seconds(self.plan["mode"]))

    def _set_up_tcp(self):
        for sock in (self.sock, self.far.raw):
            _socket.socket.setsockopt(sock, stdlib.IPPROTO_TCP, stdlib.TCP_NODELAY, 1)
        self.far.raw.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)

    def _make_small(self):
        for sock in (self.sock, self.far and self.far.raw):
            # Small windows of TCP move a few bytes each 0.2 s: tcp(7), silly window avoidance.
            for option in (SO_SNDBUF,) if self.is_tcp else (SO_RCVBUF, SO_SNDBUF):
                if sock is not None:
                    _socket.socket.setsockopt(sock, SOL_SOCKET, option, 4096)

    def _make_pair(self):
        self.role = "paired"
        self.sock, other = self.world.socket.socketpair(self.family, self.kind)
        self.far = Far(_socket.socket(self.family, self.kind, 0, other.detach()), self)

    def _make_datagrams(self):
        far = plain(self.family, SOCK_DGRAM)
        far.bind(self.free_address())
        self.far = Far(far, self)
        self.sock = self.world.socket.socket(self.family, SOCK_DGRAM)
        if self.role == "bound" or self.family == AF_UNIX:
            self.bind(self.free_address())
        if self.role == "connected":
            self.sock.connect(far.getsockname())

    def _make_connection(self):
        make = {
            "fresh": self._make_fresh,
            "accepted": self._make_accepted,
            "created": self._make_created,
            "connected": self._make_connected,
        }
        make[self.role]()

    def _make_fresh(self):
        self.sock = self.world.socket.socket(self.family, self.kind)

    def _make_connected(self):
        self._make_fresh()
        self.sock.connect(self.listening())
        self.take_client()

    def _make_created(self):
        if self.family not in _HOSTS:
            return self._make_connected()
        self.sock = self.world.socket.create_connection(self.listening()[:2])
        self.role = "connected"
        self.take_client()

    def _make_accepted(self):
        with self.world.socket.socket(self.family, self.kind) as listener:
            listener.bind(self.free_address())
            listener.listen(1)
            far = plain(self.family, self.kind)
            far.connect(_socket.socket.getsockname(listener))
            self.sock, _ = listener.accept()
        self.far = Far(far, self)

    def listening(self):
        """Return the address of a plain listener."""
        if self.listener is None:
            self.listener = plain(self.family, self.kind)
            self.listener.bind(self.free_address())
            self.listener.listen(1)
            self.listener.setblocking(False)
        return self.listener.getsockname()

    def take_client(self):
        """Let the peer be who has just connected to the listener."""
        with suppress(OSError):
            fd, _ = self.listener._accept()
            self.far = Far(_socket.socket(self.family, self.kind, 0, fd), self)

    def free_address(self):
        if self.family in _HOSTS:
            return _HOSTS[self.family], 0
        return f"\0fuzz-{os.getpid()}-{next(_numbers)}"

    def bind(self, address):
        self.sock.bind(address)
        self.is_named = True
        if self.role not in ("connected", "paired"):
            self.role = "bound"

    def adopt(self, sock, keeps_role=False):
        """Let *sock*, another object, be the one that plays."""
        self.sock = sock
        if not keeps_role:
            self.role, self.forever = "adopted", False

    def tear_down(self):
        """Close what is open."""
        for file in self.files:
            with suppress(Exception):
                file.close()
        for sock in (self.sock, self.far and self.far.raw, self.listener):
            if sock is not None:
                with suppress(OSError):
                    sock.close()
        self.files.clear()
        self.sock = None

    # What is known of it.

    def fd(self):
        return self.sock.fileno()

    def has_left(self):
        return self.fd() < 0 and self.kind != SOCK_DGRAM

    def payload(self, size):
        """Return so many bytes; no two payloads are alike."""
        self._place += 1
        return _noise(self._place * 7919 % 65521, size)

    def far_payload(self, size):
        """Return so many bytes for the peer to send."""
        self._far_place += 1
        return _noise(400_000 + self._far_place * 7907 % 65521, size)

    def seconds(self, mode):
        return SHORT * self.scale if mode == "short" else mode

    def limit(self):
        """Return how long a wait under a limit takes at least."""
        return 0.9 * LIMIT * self.scale

    def mode(self):
        """Return the mode that the program sees, in the words of a plan."""
        mode = self.sock.gettimeout()
        return "short" if mode == SHORT * self.scale else mode

    def address_for_far(self):
        """Return where the peer has to send to; None where that is clear."""
        if self.kind != SOCK_DGRAM or self.plan["family"] == "pairgram":
            return None
        return _socket.socket.getsockname(self.sock)

    def shown(self, address):
        """Return *address* without what is different each time."""
        if isinstance(address, tuple):
            known = self.far and self.far.is_open() and address == self.far.raw.getsockname()
            return (address[0], "far" if known else bool(address[1]), *address[2:])
        return bool(address)

    def look(self):
        """Return what can be seen of the socket after a move."""
        sock, fd = self.sock, self.fd()
        mode = (self.mode(), sock.timeout == sock.gettimeout(), sock.getblocking())
        if fd < 0:
            return (fd, *mode)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL) if not self.tls else 0
        inheritable = fcntl.fcntl(fd, fcntl.F_GETFD)
        return ("open", *mode, bool(flags & os.O_NONBLOCK), inheritable, sock.type, sock.proto)
