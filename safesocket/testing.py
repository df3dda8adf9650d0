"""Real misbehaving peers on loopback, to see how a program bears them.

Here live only peers that a test can start, connect to and leave; no mocks and no pytest. What they
are made of, ``_peers``, uses nothing else of safesocket: a peer is the same whatever that does.

Each peer is a context manager that yields an address for ``connect`` and ``create_connection``:
``(host, port)``, or for AF_UNIX a path in a private folder. It serves any number of clients at the
same time. At the end of the block its thread has ended, its sockets are closed, and whatever went
wrong inside it is raised; a client that leaves early is nothing wrong::

    with testing.drips(interval=0.01) as address, pytest.raises(MyDeadlineError):
        my_client(address, deadline=0.05)

Times are seconds and amounts are bytes. A bad argument is a TypeError or a ValueError that names
it, a family that this machine lacks an OSError.
"""

from __future__ import annotations

import math
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from itertools import chain, repeat
from socket import AF_INET, AF_INET6, SO_LINGER, SOL_SOCKET
from typing import TypeAlias

from ._peers import (
    AF_UNIX,
    CHUNK,
    END_OF_BLOCK,
    READABLE,
    Socket,
    Steps,
    Wait,
    bound,
    on_its_way,
    receive,
    send,
    serve,
)
from ._peers import Address as Address  # noqa: PLC0414 (handed on)

__all__ = [
    "closes",
    "drips",
    "echoes",
    "free_port",
    "never_accepts",
    "never_answers",
    "reads_slowly",
    "refuses",
    "resets",
    "silent_udp",
    "stops_reading",
]

Peer: TypeAlias = AbstractContextManager[Address]
OnData: TypeAlias = Callable[[bytes], object]

_RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger
_SMALL_BUFFER = 4096  # bytes; on Linux 50 MB/s still come through, with the smallest one 14
_HANG = 0.005  # seconds; on loopback a connect that does not hang takes microseconds
_GRACE = 0.005  # seconds; with none, up to 1 in 3 resets came before connect() had returned


# Peers that never accept, and so need no thread.


@contextmanager
def refuses(family: int = AF_INET) -> Iterator[Address]:
    """Refuse every connection.

    The address stays bound to the end of the block, so that nobody else can listen there::

        with testing.refuses() as address, pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    """
    with bound(family) as (_, address):
        yield address


@contextmanager
def never_accepts(family: int = AF_INET) -> Iterator[Address]:
    """Let every connect hang, because the backlog is full.

    Platform: on Linux a non-blocking connect to an AF_UNIX path gives EAGAIN at once. Where a full
    backlog refuses (Windows; macOS with AF_UNIX), entering raises ConnectionRefusedError::

        with testing.never_accepts() as address, pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.05)
    """
    with bound(family) as (listener, address), ExitStack() as fillers:
        listener.listen(0)
        with suppress(TimeoutError, BlockingIOError):
            # Every backlog has room for one, so the first may take its time.
            for patience in chain([1.0], repeat(_HANG)):
                filler = fillers.enter_context(closing(Socket(family)))
                filler.settimeout(patience)
                filler.connect(address)
        yield address


@contextmanager
def silent_udp(family: int = AF_INET) -> Iterator[Address]:
    """Take datagrams and never answer (AF_UNIX: a datagram socket at a path).

    Nothing is read: once full, UDP drops datagrams and AF_UNIX makes the sender wait::

        with testing.silent_udp() as address, pytest.raises(TimeoutError):
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.05)
                sock.sendto(b"anybody there?", address)
                sock.recv(1)
    """
    with bound(family, socket.SOCK_DGRAM) as (_, address):
        yield address


def free_port(family: int = AF_INET) -> int:
    """Return a TCP port number that was free on loopback a moment ago.

    It may be taken before you use it. Where you can, bind to port 0 instead; for a port that
    stays shut use :func:`refuses`::

        with socket.create_server(("127.0.0.1", testing.free_port())):
            pass
    """
    if family not in (AF_INET, AF_INET6):
        raise ValueError(f"family must be AF_INET or AF_INET6, not {family!r}")
    with bound(family) as (_, (_, port)):
        return int(port)


# Peers that accept: a thread, and in it a script for each client.


def never_answers(family: int = AF_INET) -> Peer:
    """Accept, then say nothing and read nothing, and keep the connection open.

    Only the end of the block closes it::

        with testing.never_answers() as address, pytest.raises(TimeoutError):
            with socket.create_connection(address, timeout=0.05) as sock:
                sock.recv(1)
    """

    def script(_: Socket) -> Steps:
        yield END_OF_BLOCK

    return serve(script, family)


def resets(after: int = 0, family: int = AF_INET, *, on_request: bool = False) -> Peer:
    """Send *after* bytes, then reset the connection (RST).

    It begins 5 ms after the accept, because a reset that is quicker than the client's ``connect``
    makes that fail instead. Only with *on_request* is it certain that it does not: then the peer
    begins when the client has sent something, which it leaves unread.

    Platform: AF_UNIX has no RST, but on Linux closing with data unread gives the client the same
    ConnectionResetError; so there *on_request* is always on. Elsewhere than on Linux a reset may
    destroy bytes that a client is slow to read::

        with testing.resets(after=3, on_request=True) as address:
            with socket.create_connection(address) as sock:
                sock.sendall(b"a request")
                assert sock.recv(3) == b"..."
                with pytest.raises(ConnectionResetError):
                    sock.recv(3)
    """
    _check("after", after, int)
    body = b"." * after
    cue = READABLE if on_request or family == AF_UNIX else Wait(seconds=_GRACE)

    def script(conn: Socket) -> Steps:
        conn.setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
        yield cue
        yield from send(conn, body)
        while family != AF_UNIX and on_its_way(conn):
            conn.send(b"")  # raises if the client has left
            yield Wait(seconds=0.001)

    return serve(script, family)


def closes(after: int = 0, family: int = AF_INET) -> Peer:
    """Send *after* bytes, then close in an orderly way (FIN).

    What the client still sends is read and dropped, so that no reset follows::

        with testing.closes(after=3) as address, socket.create_connection(address) as sock:
            assert sock.recv(3) == b"..."
            assert sock.recv(3) == b""
    """
    _check("after", after, int)
    body = b"." * after

    def script(conn: Socket) -> Steps:
        yield from send(conn, body)
        with suppress(OSError):  # ENOTCONN: the client has reset the connection
            conn.shutdown(socket.SHUT_WR)
        while (yield from receive(conn)):
            pass

    return serve(script, family)


def drips(interval: float = 0.05, family: int = AF_INET) -> Peer:
    """Send one byte at once and another every *interval* seconds, until the client leaves.

    With an *interval* of 0 there is always something to read::

        with testing.drips(0.01) as address, socket.create_connection(address) as sock:
            assert sock.recv(1) == sock.recv(1) == b"."
    """
    _check("interval", interval, float)

    def script(conn: Socket) -> Steps:
        while True:
            yield from send(conn, b".")
            yield Wait(seconds=interval)

    return serve(script, family)


def stops_reading(after: int = 0, family: int = AF_INET, *, on_data: OnData | None = None) -> Peer:
    """Read exactly *after* bytes, then nothing more, and keep the connection open.

    *on_data*, here and in :func:`reads_slowly`, is called in the peer's thread with what was read.
    The receive buffer is small, yet on Linux the sender's own kernel takes some 2 MB (AF_UNIX: up
    to 0.2 MB) before the sender is stuck, unless it sets SO_SNDBUF::

        with testing.stops_reading() as address, pytest.raises(TimeoutError):
            with socket.create_connection(address, timeout=0.05) as sock:
                sock.sendall(bytes(10_000_000))
    """
    _check("after", after, int)
    tell = _callback(on_data)

    def script(conn: Socket) -> Steps:
        left = after
        while left and (data := (yield from receive(conn, min(left, CHUNK)))):
            left -= len(data)
            tell(data)
        yield END_OF_BLOCK

    return serve(script, family, receive_buffer=_SMALL_BUFFER)


def reads_slowly(
    pause: float = 0.001,
    chunk: int = 65536,
    family: int = AF_INET,
    *,
    on_data: OnData | None = None,
) -> Peer:
    """Read everything, *chunk* bytes or fewer at a time, resting *pause* seconds after each.

    It closes when it has read all that a client sent before ``shutdown``: then *on_data* has it::

        digest = hashlib.sha256()
        with testing.reads_slowly(on_data=digest.update) as address:
            with socket.create_connection(address) as sock:
                sock.sendall(bytes(1_000_000))
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""
        assert digest.digest() == hashlib.sha256(bytes(1_000_000)).digest()
    """
    _check("pause", pause, float)
    _check("chunk", chunk, int, least=1)
    tell = _callback(on_data)

    def script(conn: Socket) -> Steps:
        while data := (yield from receive(conn, chunk)):
            tell(data)
            yield Wait(seconds=pause)

    return serve(script, family)


def echoes(family: int = AF_INET) -> Peer:
    """Send back whatever comes.

    This peer behaves well, for the test that must not fail::

        with testing.echoes() as address, socket.create_connection(address) as sock:
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"
    """

    def script(conn: Socket) -> Steps:
        while data := (yield from receive(conn)):
            yield from send(conn, data)

    return serve(script, family)


def _check(name: str, value: float, kind: type[float], least: int = 0) -> None:
    wrong = f"{name} must be a finite {kind.__name__} of {least} or more, not {value!r}"
    if not isinstance(value, (int, kind)):
        raise TypeError(wrong)
    if not least <= value < math.inf:
        raise ValueError(wrong)


def _callback(on_data: OnData | None) -> OnData:
    if on_data is None:
        return lambda _: None
    if not callable(on_data):
        raise TypeError(f"on_data must be callable with bytes, or None, not {on_data!r}")
    return on_data
