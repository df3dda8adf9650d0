"""What the peers of ``testing`` are made of: one thread that runs a script for each client.

A script is a generator that yields what it waits for. Here live the waits, the steps that scripts
share and the thread that runs them; what a peer does to its clients is in ``testing``. Nothing
else of safesocket is used, so that a peer is the same whatever safesocket does.
"""

from __future__ import annotations

import _socket
import math
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from socket import AF_INET, AF_INET6, SO_RCVBUF, SOCK_STREAM, SOL_SOCKET
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

if sys.platform == "linux":
    import fcntl
    import termios

Address: TypeAlias = Any  # as typeshed has it

# install() changes socket.socket in place, but not the C class underneath.
Socket: TypeAlias = _socket.socket

AF_UNIX: int | None = getattr(socket, "AF_UNIX", None)  # Windows: Python names none
HOSTS: dict[int, str] = {AF_INET: "127.0.0.1", AF_INET6: "::1"}
CHUNK = 65536  # bytes; picked arbitrarily


class Wait(NamedTuple):
    """What a script waits for: until its connection is ready, or until a time has passed."""

    events: int = 0
    seconds: float = math.inf


READABLE = Wait(selectors.EVENT_READ)
WRITABLE = Wait(selectors.EVENT_WRITE)
END_OF_BLOCK = Wait()

Steps: TypeAlias = Generator[Wait, None, None]
Script: TypeAlias = Callable[[Socket], Steps]


# What scripts are made of.


def receive(conn: Socket, limit: int = CHUNK) -> Generator[Wait, None, bytes]:
    """Wait for data; return at most *limit* bytes of it, none at the end."""
    yield READABLE
    return conn.recv(limit)


def send(conn: Socket, data: bytes) -> Steps:
    """Send all of *data*, waiting where the client does not read."""
    left = memoryview(data)
    while left:
        yield WRITABLE
        left = left[conn.send(left) :]


def on_its_way(conn: Socket) -> bool:
    """Whether the client's kernel lacks bytes that were sent: a reset would destroy them."""
    return sys.platform == "linux" and fcntl.ioctl(conn, termios.TIOCOUTQ, bytes(4)) != bytes(4)


# The thread that runs them.


@contextmanager
def serve(script: Script, family: int, *, receive_buffer: int = 0) -> Iterator[Address]:
    """Run *script* for each client, in a thread, to the end of the block; yield the address."""
    with bound(family) as (listener, address):
        if receive_buffer:
            listener.setsockopt(SOL_SOCKET, SO_RCVBUF, receive_buffer)
        listener.listen(128)
        listener.setblocking(False)
        loop = _Loop(listener, script)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            thread = threading.Thread(target=loop.run, args=(theirs,), name=__name__, daemon=True)
            thread.start()
            try:
                yield address
            finally:
                # Closing would not do: a forked child may hold a copy of our end.
                Socket.send(ours, b".")
                thread.join()
                if loop.failure is not None:
                    raise loop.failure


class _Loop:
    """Accepts clients and runs a script for each, all in one thread."""

    _now = staticmethod(time.monotonic)  # not a global, where freezegun would replace it

    def __init__(self, listener: Socket, script: Script) -> None:
        self.failure: BaseException | None = None
        self._listener = listener
        self._script = script
        self._selector = selectors.DefaultSelector()
        self._scripts: dict[Socket, Steps] = {}
        self._alarms: dict[Socket, float] = {}

    def run(self, end: Socket) -> None:
        """Serve until *end* can be read, then close everything."""
        try:
            self._selector.register(end, selectors.EVENT_READ, None)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._serve()
        except BaseException as exc:
            self.failure = exc  # raised again at the end of the block
        finally:
            self._selector.close()
            for sock in (self._listener, *self._scripts):
                sock.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._idle()):
                if key.data is None:
                    return
                key.data(key.fileobj)
            now = self._now()
            for conn in [conn for conn, alarm in self._alarms.items() if alarm <= now]:
                self._advance(conn)

    def _idle(self) -> float | None:
        """How long nothing will happen unless a socket becomes ready."""
        alarm = min(self._alarms.values(), default=math.inf)
        return None if alarm == math.inf else max(0.0, alarm - self._now())

    def _accept(self, listener: Any) -> None:  # typeshed leaves _accept() out
        with suppress(BlockingIOError, ConnectionAbortedError):  # the client has left
            descriptor, _ = listener._accept()
            conn = Socket(fileno=descriptor)
            conn.setblocking(False)
            self._scripts[conn] = self._script(conn)
            self._alarms[conn] = self._now()

    def _advance(self, conn: Socket) -> None:
        """Run a client's script up to its next wait, or to its end."""
        with suppress(KeyError):
            self._selector.unregister(conn)
        del self._alarms[conn]
        try:
            wait = next(self._scripts[conn])
        except (StopIteration, ConnectionError):  # the end, or the client has left
            del self._scripts[conn]
            conn.close()
            return
        self._alarms[conn] = self._now() + wait.seconds
        if wait.events:
            self._selector.register(conn, wait.events, self._advance)


# What all share.


@contextmanager
def bound(family: int, kind: int = SOCK_STREAM) -> Iterator[tuple[Socket, Address]]:
    """Yield a socket that is bound to an address of its own on loopback, and the address."""
    if family not in (AF_INET, AF_INET6, AF_UNIX):
        raise ValueError(f"family must be AF_INET, AF_INET6 or AF_UNIX, not {family!r}")
    with closing(Socket(family, kind)) as sock:
        if family in HOSTS:
            sock.bind((HOSTS[family], 0))
            yield sock, sock.getsockname()[:2]
        else:
            with TemporaryDirectory(prefix="safesocket-") as folder:
                path = os.path.join(folder, "peer")
                sock.bind(path)
                yield sock, path
