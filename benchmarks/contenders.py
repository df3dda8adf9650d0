"""Who is compared: one table.

Only what differs between contenders lives here: which class, where it is imported from, how
it gets its timeout, which process it shares. Nothing here reads a clock or knows a case.
A class is imported when it is first used, in the process that measures it.
"""

from __future__ import annotations

import importlib
import socket
import struct
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Address = tuple[str, int] | str  # TCP, or the path of a Unix socket

LOOPBACK = ("127.0.0.1", 0)


@dataclass(frozen=True)
class Contender:
    """A drop-in: a class that is used in the place of ``socket.socket``."""

    name: str
    module: str
    attribute: str
    timeout: float | None = None  # seconds, given to settimeout(); None: left as it comes
    process: str = "shared"  # contenders with the same word are measured in the same process

    @cached_property
    def factory(self) -> Any:
        with warnings.catch_warnings():
            # eventlet announces its retirement at import: no news for this table.
            warnings.simplefilter("ignore")
            return getattr(importlib.import_module(self.module), self.attribute)

    def open(self, family: int = socket.AF_INET) -> Any:
        """A new socket, not connected, as its user would make it."""
        return self._with_timeout(self.factory(family, socket.SOCK_STREAM))

    def client(self, address: Address) -> Any:
        sock = self.open(family_of(address))
        sock.connect(address)
        return _undelayed(sock)

    def listen(self, address: Address) -> Any:
        return _listening(self.factory(family_of(address), socket.SOCK_STREAM), address)

    def accept(self, listener: Any) -> Any:
        sock, _ = listener.accept()
        if not isinstance(sock, self.factory):  # PySocks accepts a plain socket
            sock = self.factory(listener.family, socket.SOCK_STREAM, fileno=sock.detach())
        return self._with_timeout(_undelayed(sock))

    def _with_timeout(self, sock: Any) -> Any:
        if self.timeout is not None:
            sock.settimeout(self.timeout)
        return sock


@dataclass(frozen=True)
class Wrapper(Contender):
    """A wrapper: it is put round a stdlib socket that somebody else has connected."""

    def open(self, family: int = socket.AF_INET) -> Any:
        return self.factory(socket.socket(family))

    def client(self, address: Address) -> Any:
        sock = socket.socket(family_of(address))
        sock.connect(address)
        return self.factory(_undelayed(sock))

    def listen(self, address: Address) -> Any:
        return plain_listener(address)

    def accept(self, listener: Any) -> Any:
        return self.factory(_undelayed(listener.accept()[0]))


def plain_listener(address: Address = LOOPBACK, backlog: int = 128) -> socket.socket:
    listener = socket.socket(family_of(address))
    _listening(listener, address, backlog)
    return listener


def family_of(address: Address) -> int:
    if sys.platform != "win32" and isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET


def _listening(sock: Any, address: Address, backlog: int = 128) -> Any:
    # Accepted sockets inherit this: closed with a reset, neither end stays in TIME_WAIT, and
    # tens of thousands of connections do not use up the ephemeral ports.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.bind(address)
    sock.listen(backlog)
    return sock


def _undelayed(sock: Any) -> Any:
    # Nagle's algorithm would hold back the second small segment until the first is
    # acknowledged (40 ms on Linux): then the data is not ready, and nothing else is measured.
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


# What all ratios refer to. It is not a column: the column "stdlib" is the same thing measured
# once more, so what it shows besides 1.00 is the noise of the run.
REFERENCE = Contender("stdlib (reference)", "socket", "socket")
TIMED = Contender("stdlib, settimeout(30)", "socket", "socket", timeout=30)
SAFE = Contender("safesocket", "safesocket", "socket")
SAFE_TIMED = Contender("safesocket, settimeout(30)", "safesocket", "socket", timeout=30)

CONTENDERS = (
    Contender("stdlib", "socket", "socket"),
    TIMED,
    SAFE,
    SAFE_TIMED,
    Contender("floor", "floor", "socket"),
    Contender("PySocks", "socks", "socksocket"),
    # An event loop that is running may disturb its neighbours: a process of its own, with a
    # reference of its own. The calls are made in the main greenlet; the loop starts at the
    # first wait, in the warm-up.
    Contender("gevent", "gevent.socket", "socket", process="gevent"),
    Contender("eventlet", "eventlet.green.socket", "socket", process="eventlet"),
    Wrapper("boltons", "boltons.socketutils", "BufferedSocket"),
    Wrapper("wrapt proxy", "wrapt", "ObjectProxy"),
)
