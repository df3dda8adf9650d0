"""Real misbehaving peers on loopback, to see how a program bears them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from socket import _RetAddress
from typing import TypeAlias

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

Address: TypeAlias = _RetAddress
Peer: TypeAlias = AbstractContextManager[Address]
OnData: TypeAlias = Callable[[bytes], object]

def refuses(family: int = ...) -> Peer:
    """Refuse every connection.

    The address stays bound to the end of the block, so that nobody else can listen there::

        with testing.refuses() as address, pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    """

def never_accepts(family: int = ...) -> Peer:
    """Let every connect hang, because the backlog is full.

    Platform: on Linux a non-blocking connect to an AF_UNIX path gives EAGAIN at once. Where a full
    backlog refuses (Windows; macOS with AF_UNIX), entering raises ConnectionRefusedError::

        with testing.never_accepts() as address, pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.05)
    """

def silent_udp(family: int = ...) -> Peer:
    """Take datagrams and never answer (AF_UNIX: a datagram socket at a path).

    Nothing is read: once full, UDP drops datagrams and AF_UNIX makes the sender wait::

        with testing.silent_udp() as address, pytest.raises(TimeoutError):
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.05)
                sock.sendto(b"anybody there?", address)
                sock.recv(1)
    """

def free_port(family: int = ...) -> int:
    """Return a TCP port number that was free on loopback a moment ago.

    It may be taken before you use it. Where you can, bind to port 0 instead; for a port that
    stays shut use :func:`refuses`::

        with socket.create_server(("127.0.0.1", testing.free_port())):
            pass
    """

def never_answers(family: int = ...) -> Peer:
    """Accept, then say nothing and read nothing, and keep the connection open.

    Only the end of the block closes it::

        with testing.never_answers() as address, pytest.raises(TimeoutError):
            with socket.create_connection(address, timeout=0.05) as sock:
                sock.recv(1)
    """

def resets(after: int = 0, family: int = ..., *, on_request: bool = False) -> Peer:
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

def closes(after: int = 0, family: int = ...) -> Peer:
    """Send *after* bytes, then close in an orderly way (FIN).

    What the client still sends is read and dropped, so that no reset follows::

        with testing.closes(after=3) as address, socket.create_connection(address) as sock:
            assert sock.recv(3) == b"..."
            assert sock.recv(3) == b""
    """

def drips(interval: float = 0.05, family: int = ...) -> Peer:
    """Send one byte at once and another every *interval* seconds, until the client leaves.

    With an *interval* of 0 there is always something to read::

        with testing.drips(0.01) as address, socket.create_connection(address) as sock:
            assert sock.recv(1) == sock.recv(1) == b"."
    """

def stops_reading(after: int = 0, family: int = ..., *, on_data: OnData | None = None) -> Peer:
    """Read exactly *after* bytes, then nothing more, and keep the connection open.

    *on_data*, here and in :func:`reads_slowly`, is called in the peer's thread with what was read.
    The receive buffer is small, yet on Linux the sender's own kernel takes some 2 MB (AF_UNIX: up
    to 0.2 MB) before the sender is stuck, unless it sets SO_SNDBUF::

        with testing.stops_reading() as address, pytest.raises(TimeoutError):
            with socket.create_connection(address, timeout=0.05) as sock:
                sock.sendall(bytes(10_000_000))
    """

def reads_slowly(
    pause: float = 0.001,
    chunk: int = 65536,
    family: int = ...,
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

def echoes(family: int = ...) -> Peer:
    """Send back whatever comes.

    This peer behaves well, for the test that must not fail::

        with testing.echoes() as address, socket.create_connection(address) as sock:
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"
    """
