"""All that may block, as one table: each operation, and the peer that makes it wait for ever.

Here live the operations, the sockets that they wait on, and what each wait ends with at its
limit. What else happens meanwhile is ``test_matrix``'s. A call that reads asks for 9 bytes.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from itertools import count
from socket import AF_INET, AF_UNIX, MSG_PEEK, MSG_WAITALL, SOCK_DGRAM
from tempfile import TemporaryFile
from typing import NamedTuple

import safesocket
from safesocket import errors, testing
from tests.helpers import GUARD, MUCH, calling, free_address
from tests.tls import NAME, client_context, rude_pair, server_context, tcp

FLAGS = {
    "": 0,
    "-waitall": MSG_WAITALL,
    "-peek": MSG_PEEK,
    "-waitall-peek": MSG_WAITALL | MSG_PEEK,
}

RECEIVING = {
    "recv": lambda flags, sock: sock.recv(9, flags),
    "recv_into": lambda flags, sock: sock.recv_into(bytearray(9), 9, flags),
    "recvfrom": lambda flags, sock: sock.recvfrom(9, flags)[0],
    "recvfrom_into": lambda flags, sock: sock.recvfrom_into(bytearray(9), 9, flags)[0],
    "recvmsg": lambda flags, sock: sock.recvmsg(9, 0, flags)[0],
    "recvmsg_into": lambda flags, sock: sock.recvmsg_into([bytearray(9)], 0, flags)[0],
}


def reading_stream(method, *args, buffering=-1):
    """Return a call of a method of a makefile() reader."""

    def call(sock):
        with sock.makefile("rb", buffering=buffering) as file:
            return getattr(file, method)(*args)

    return call


def writing_stream(sock):
    """Write to a makefile() writer, and flush."""
    file = sock.makefile("wb", buffering=len(MUCH) + 1)
    try:
        file.write(MUCH)
        file.flush()
    finally:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)  # or close() would try, and wait, again
        with suppress(OSError):
            file.close()


def sending_regular_file(sock):
    with TemporaryFile() as file:
        file.truncate(len(MUCH))
        sock.sendfile(file)


def again_and_again(call):
    """Return *call* made over and over: with a settimeout, short counts are no failure."""

    def insist(sock):
        for _ in count():
            call(sock)

    return insist


#: name -> the operation that the error names, and the call
WRITING = {
    "send": ("send", again_and_again(lambda sock: sock.send(MUCH))),
    "sendall": ("sendall", lambda sock: sock.sendall(MUCH)),
    "sendmsg": ("sendmsg", again_and_again(lambda sock: sock.sendmsg([MUCH]))),
    "sendfile": ("sendfile", sending_regular_file),
    "sendfile-bytesio": ("sendfile", lambda sock: sock.sendfile(BytesIO(MUCH))),
    "makefile-write": ("send", writing_stream),
}

STREAMS = {
    "makefile-read": reading_stream("read", 9),
    "makefile-readline": reading_stream("readline"),
    "makefile-unbuffered": reading_stream("read", 9, buffering=0),
}


# The sockets, each with a peer that makes it wait.


def connected_to(peer, family=AF_INET):
    """Return how to make a socket that is connected to a *peer* of ``testing``."""

    @contextmanager
    def make(lib):
        with peer(family=family) as address, lib.socket.socket(family) as sock:
            sock.connect(address)
            yield sock

    return make


silent = connected_to(testing.never_answers)
silent_unix = connected_to(testing.never_answers, AF_UNIX)
stuck = connected_to(testing.stops_reading)
stuck_unix = connected_to(testing.stops_reading, AF_UNIX)
drip = connected_to(partial(testing.drips, GUARD))  # one byte, and no more


@contextmanager
def dripped(lib):
    """As ``drip``, and the byte is there."""
    with drip(lib) as sock:
        sock.recv(1, MSG_PEEK)
        yield sock


dripping = connected_to(partial(testing.drips, 0.002))
slow = connected_to(partial(testing.reads_slowly, 0.002, 1000))


@contextmanager
def accepted(lib):
    """Yield a connection of a server's, whose client says nothing."""
    with tcp(lib, server_side=True) as (near, _):
        yield near


def datagrams(family=AF_INET):
    """Return how to make a datagram socket that is connected to one who never answers."""

    @contextmanager
    def make(lib):
        with testing.silent_udp(family) as address, lib.socket.socket(family, SOCK_DGRAM) as sock:
            sock.connect(address)
            yield sock

    return make


@contextmanager
def unconnected_datagrams(lib):
    """Yield a datagram socket that has sent to one who never answers."""
    with testing.silent_udp() as address, lib.socket.socket(type=SOCK_DGRAM) as sock:
        sock.sendto(b"anybody there?", address)
        yield sock


@contextmanager
def tls(lib):
    """Yield a client's socket under TLS, whose peer neither reads nor writes any more."""
    with rude_pair(lib) as (sock, _):
        yield sock


@contextmanager
def tls_accepted(lib):
    with rude_pair(lib, server_side=True) as (sock, _):
        yield sock


@contextmanager
def tls_half(lib):
    """Yield one to which the first half of a record has been sent."""
    with rude_pair(lib) as (sock, peer):
        peer.sock.sendall(peer.record(bytes(100))[:50])
        yield sock


@contextmanager
def tls_dripping(lib):
    """Yield one to which a record is being sent byte by byte."""
    left = threading.Event()
    with rude_pair(lib) as (sock, peer):

        def drip(record):
            with suppress(OSError):
                while record and not left.wait(0.002):
                    peer.sock.sendall(record[:1])
                    record = record[1:]

        with calling(drip, peer.record(bytes(16_000))):
            try:
                yield sock
            finally:
                left.set()


# The scenes: a socket, and the call on it that waits.


def scene(made, call):
    """Return the scene of a *call* on a socket as *made*."""

    @contextmanager
    def play(lib):
        with made(lib) as sock:
            yield sock, partial(call, sock)

    return play


def connecting(method, family=AF_INET):
    @contextmanager
    def play(lib):
        with testing.never_accepts(family) as address, lib.socket.socket(family) as sock:
            yield sock, partial(getattr(sock, method), address)

    return play


@contextmanager
def creating_connection(lib):
    with testing.never_accepts() as address:
        yield None, partial(lib.socket.create_connection, address)


def accepting(family=AF_INET):
    """Return the scene of a server for which nobody comes; only its own timeout limits it."""

    @contextmanager
    def play(lib):
        with free_address(family) as address, lib.socket.socket(family) as listener:
            listener.bind(address)
            listener.listen()
            yield listener, listener.accept

    return play


@contextmanager
def sending_datagrams_to(lib):
    """The scene of a logger that never connects to the AF_UNIX path, whose queue is full."""
    with testing.silent_udp(AF_UNIX) as address, lib.socket.socket(AF_UNIX, SOCK_DGRAM) as sock:
        yield sock, partial(again_and_again(lambda sock: sock.sendto(b"x", address)), sock)


def shaking_hands(server_side, beginning=b""):
    """Return the scene of a handshake with one who says the *beginning* only."""

    @contextmanager
    def play(lib):
        with tcp(lib, server_side) as (near, far):
            far.sendall(beginning)
            context = server_context(lib.ssl) if server_side else client_context(lib.ssl)
            name = None if server_side else NAME
            with context.wrap_socket(
                near, server_side, do_handshake_on_connect=False, server_hostname=name
            ) as sock:
                yield sock, sock.do_handshake

    return play


@contextmanager
def accepting_tls(lib):
    """The scene of a listener under TLS whose client does not shake hands."""
    with (
        lib.socket.create_server(("127.0.0.1", 0)) as plain,
        server_context(lib.ssl).wrap_socket(plain, server_side=True) as listener,
        lib.socket.create_connection(listener.getsockname()),
    ):
        yield listener, listener.accept


def looking_up(name):
    """Return the scene of a function that looks up a name, which nobody answers."""

    @contextmanager
    def play(lib):
        with lib.socket.socket() as tcp, lib.socket.socket(type=SOCK_DGRAM) as udp:
            calls = {
                "getaddrinfo": lambda: lib.socket.getaddrinfo("stuck", 80),
                "gethostbyname": lambda: lib.socket.gethostbyname("stuck"),
                "gethostbyname_ex": lambda: lib.socket.gethostbyname_ex("stuck"),
                "gethostbyaddr": lambda: lib.socket.gethostbyaddr("10.0.0.1"),
                "getnameinfo": lambda: lib.socket.getnameinfo(("10.0.0.1", 80), socket.NI_NAMEREQD),
                "connect": lambda: tcp.connect(("stuck", 80)),
                "connect_ex": lambda: tcp.connect_ex(("stuck", 80)),
                "bind": lambda: tcp.bind(("stuck", 80)),
                "sendto": lambda: udp.sendto(b"x", ("stuck", 80)),
                "create_connection": lambda: lib.socket.create_connection(("stuck", 80)),
            }
            yield None, calls[name]

    return play


# The table.

_ENDS = {
    "read": errors.ReadTimeoutError,
    "write": errors.WriteTimeoutError,
    "connect": errors.ConnectTimeoutError,
    "handshake": errors.HandshakeTimeoutError,
    "accept": errors.AcceptTimeoutError,
    "serve": errors.ReadTimeoutError,
    "resolve": errors.ResolveTimeoutError,
}


class Wait(NamedTuple):
    """One row: what waits, for what, and how that ends at the limit."""

    name: str
    scene: Callable  # (lib) -> a block with a socket, or None, and the call that waits
    phase: str
    ends: type[OSError] | None = None  #: where that does not follow from the phase
    gives: object = None  #: what the call returns at the limit, instead of an error
    by_deadline: bool = False  #: the peer goes on and on, so that only a deadline ends it

    is_stream: bool = True
    has_socket: bool = True  #: the program can close what is waited for

    def has_two_directions(self):
        """Tell whether another thread can wait in the other direction, for as long."""
        return self.phase in ("read", "write", "serve") and self.is_stream and not self.by_deadline

    def has_file(self):
        """Tell whether a makefile() waits, which outlives the socket's close()."""
        return self.name.startswith("makefile")

    def ends_with(self):
        """Return the class of the error at the limit."""
        return self.ends or _ENDS[self.phase]


PLAIN = [
    *(
        Wait(f"{name}{suffix} of silence", scene(silent, partial(call, flags)), "read")
        for suffix, flags in FLAGS.items()
        for name, call in RECEIVING.items()
    ),
    *(Wait(f"{name} of silence", scene(silent, call), "read") for name, call in STREAMS.items()),
    *(
        Wait(f"{name} of silence, AF_UNIX", scene(silent_unix, partial(call, 0)), "read")
        for name, call in RECEIVING.items()
    ),
    Wait(
        "recv_fds of silence",
        scene(silent_unix, partial(safesocket.recv_fds, bufsize=9, maxfds=1)),
        "read",
    ),
    Wait("recv of an accepted connection", scene(accepted, lambda sock: sock.recv(9)), "serve"),
    *(
        Wait(f"{name} of a drip", scene(drip, STREAMS[name]), "read")
        for name in ("makefile-read", "makefile-readline")
    ),
    Wait(
        "recv-waitall of a drip",
        scene(dripped, lambda sock: sock.recv(9, MSG_WAITALL)),
        "read",
        gives=b".",
    ),
    *(
        Wait(f"{name} of datagrams{suffix}", scene(made, partial(call, 0)), "read", is_stream=False)
        for suffix, made in (("", datagrams()), (", unconnected", unconnected_datagrams))
        for name, call in RECEIVING.items()
    ),
    *(
        Wait(f"{name} to one who is stuck{suffix}", scene(made, call), "write")
        for suffix, made in (("", stuck), (", AF_UNIX", stuck_unix))
        for name, (_, call) in WRITING.items()
    ),
    Wait(
        "sendto one who is stuck",
        scene(stuck, again_and_again(lambda sock: sock.sendto(MUCH, sock.getpeername()))),
        "write",
    ),
    Wait(
        "send_fds to one who is stuck",
        scene(
            stuck_unix,
            again_and_again(lambda sock: safesocket.send_fds(sock, [MUCH], [sock.fileno()])),
        ),
        "write",
    ),
    *(
        Wait(
            f"{name} to a full queue",
            scene(datagrams(AF_UNIX), again_and_again(call)),
            "write",
            is_stream=False,
        )
        for name, call in (
            ("send", lambda sock: sock.send(b"x")),
            ("sendall", lambda sock: sock.sendall(b"x")),
            ("sendmsg", lambda sock: sock.sendmsg([b"x"])),
        )
    ),
    Wait("sendto a full queue", sending_datagrams_to, "write", is_stream=False),
    Wait("connect", connecting("connect"), "connect"),
    Wait("connect, AF_UNIX", connecting("connect", AF_UNIX), "connect"),
    Wait("connect_ex", connecting("connect_ex"), "connect", gives=errno.ETIMEDOUT),
    Wait("create_connection", creating_connection, "connect", has_socket=False),
    Wait("accept", accepting(), "accept"),
    Wait("accept, AF_UNIX", accepting(AF_UNIX), "accept"),
    *(
        Wait(f"{name} of drips", scene(dripping, STREAMS[name]), "read", by_deadline=True)
        for name in ("makefile-readline",)
    ),
    *(
        Wait(
            f"{name} of drips", scene(dripping, again_and_again(partial(call, 0))), "read"
        )._replace(by_deadline=True)
        for name, call in RECEIVING.items()
    ),
    *(
        Wait(f"{name} to one who is slow", scene(slow, call), "write", by_deadline=True)
        for name, (_, call) in WRITING.items()
    ),
]

_TLS_READS = {
    "recv": lambda sock: sock.recv(9),
    "recv_into": lambda sock: sock.recv_into(bytearray(9)),
    "read": lambda sock: sock.read(9),
    "read into": lambda sock: sock.read(9, bytearray(9)),
    "makefile-read": STREAMS["makefile-read"],
    "makefile-readline": STREAMS["makefile-readline"],
}
_TLS_WRITES = {
    **{name: call for name, (_, call) in WRITING.items() if name != "sendmsg"},
    "write": lambda sock: sock.write(MUCH),
}
_HELLO = b"\x16\x03\x03\x00\x7a\x02"  # where a ServerHello begins

TLS = [
    *(
        Wait(f"{name} of {what}", scene(made, call), phase)
        for what, made, phase in (
            ("silence", tls, "read"),
            ("half a record", tls_half, "read"),
            ("a record that drips", tls_dripping, "read"),
            ("an accepted connection", tls_accepted, "serve"),
        )
        for name, call in _TLS_READS.items()
    ),
    *(
        Wait(f"{name} to one who is stuck", scene(tls, call), "write")
        for name, call in _TLS_WRITES.items()
    ),
    Wait("unwrap", scene(tls, lambda sock: sock.unwrap()), "handshake", errors.ReadTimeoutError),
    *(
        Wait(f"handshake of a {side}, {what}", shaking_hands(server_side, beginning), "handshake")
        for side, server_side in (("client", False), ("server", True))
        for what, beginning in (("silence", b""), ("half a hello", _HELLO))
    ),
    Wait("accept with a handshake", accepting_tls, "handshake"),
]

LOOK_UPS = [
    *(
        Wait(f"{name} of a name", looking_up(name), "resolve")
        for name in (
            *("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"),
            *("connect", "connect_ex", "bind", "sendto", "create_connection"),
        )
    ),
]
