"""The peers of safesocket.testing misbehave as they promise, and leave nothing behind.

Only the stdlib's sockets are used here. A wait that must end well is given GUARD seconds, which no
run should ever see; a wait that must not end is given BRIEFLY.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import runpy
import select
import socket
import struct
import tempfile
import textwrap
import threading
import time
from functools import partial
from socket import AF_INET, AF_INET6, AF_UNIX

import pytest

from safesocket import testing

GUARD = 20.0  # seconds
BRIEFLY = 0.03  # seconds
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

ACCEPTING = "closes drips echoes never_answers reads_slowly resets stops_reading".split()
PEERS = ["never_accepts", "refuses", "silent_udp", *ACCEPTING]


def has_ipv6():
    try:
        with socket.socket(AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


no_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no ::1 on this machine")
TCP = [pytest.param(AF_INET, id="ipv4"), pytest.param(AF_INET6, id="ipv6", marks=no_ipv6)]

tcp = pytest.mark.parametrize("family", TCP)
every_family = pytest.mark.parametrize("family", [*TCP, pytest.param(AF_UNIX, id="unix")])
every_peer = pytest.mark.parametrize("peer", [getattr(testing, name) for name in PEERS])
accepting = pytest.mark.parametrize("peer", [getattr(testing, name) for name in ACCEPTING])


@contextlib.contextmanager
def connected(family, address, timeout=GUARD):
    """A client; it connects without a timeout, so that a quick reset cannot get in between."""
    with socket.socket(family) as sock:
        sock.connect(address)
        sock.settimeout(timeout)
        yield sock


def exactly(count, recv):
    """The next so many bytes, one recv at a time."""
    return b"".join(recv(1) for _ in range(count))


def received(sock):
    """All that comes up to the end, and what the end was: b"" or an exception's class."""
    data = bytearray()
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except OSError as exc:
        return bytes(data), type(exc)
    return bytes(data), b""


def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """No test here, whatever its peers go through, leaves a thread or a descriptor."""
    threads, files = set(threading.enumerate()), open_files()
    yield
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files


# Each peer, as promised.


@every_family
def test_refuses(family):
    """Every connect is refused, not only the first."""
    with testing.refuses(family) as address:
        for _ in range(3):
            with socket.socket(family) as sock, pytest.raises(ConnectionRefusedError):
                sock.connect(address)


@every_family
def test_refuses_holds_its_address(family):
    """Nobody else can begin to listen where connections must be refused."""
    in_use = os.strerror(errno.EADDRINUSE)
    with testing.refuses(family) as address, socket.socket(family) as sock:
        with pytest.raises(OSError, match=in_use):
            sock.bind(address)
        assert sock.connect_ex(address) == errno.ECONNREFUSED


@tcp
def test_never_accepts(family):
    """Every connect hangs, not only the first."""
    with testing.never_accepts(family) as address:
        for _ in range(2):
            with socket.socket(family) as sock:
                sock.settimeout(BRIEFLY)
                with pytest.raises(TimeoutError):
                    sock.connect(address)


def test_never_accepts_create_connection():
    """create_connection hangs too."""
    with testing.never_accepts() as address, pytest.raises(TimeoutError):
        socket.create_connection(address, timeout=BRIEFLY)


def test_never_accepts_unix_nonblocking():
    """A non-blocking connect to a full AF_UNIX backlog gives EAGAIN."""
    with testing.never_accepts(AF_UNIX) as address, socket.socket(AF_UNIX) as sock:
        sock.setblocking(False)
        assert sock.connect_ex(address) == errno.EAGAIN


def test_never_accepts_unix_blocking():
    """A blocking connect to a full AF_UNIX backlog hangs, here until the kernel's own timeout."""
    timeval = struct.pack("ll", 0, int(BRIEFLY * 1e6))
    with testing.never_accepts(AF_UNIX) as address, socket.socket(AF_UNIX) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        start = time.monotonic()
        assert sock.connect_ex(address) == errno.EAGAIN
        assert time.monotonic() - start > BRIEFLY / 2


@every_family
def test_never_answers(family):
    """A request is taken and nothing comes back."""
    with testing.never_answers(family) as address, connected(family, address, BRIEFLY) as sock:
        sock.sendall(b"hello?")
        with pytest.raises(TimeoutError):
            sock.recv(1)


@every_family
def test_never_answers_until_the_block_ends(family):
    """Connections stay open to the end of the block, and are closed by it."""
    with contextlib.ExitStack() as clients:
        with testing.never_answers(family) as address:
            socks = [clients.enter_context(connected(family, address)) for _ in range(5)]
            assert select.select(socks, [], [], BRIEFLY)[0] == []
        assert [received(sock)[0] for sock in socks] == [b""] * 5


@every_family
@pytest.mark.parametrize("after", [0, 1, 1_000_000])
def test_resets_on_request(family, after):
    """After the request come exactly so many bytes, and then a reset."""
    peer = testing.resets(after, family, on_request=True)
    with peer as address, connected(family, address) as sock:
        sock.sendall(b"request")
        assert received(sock) == (b"." * after, ConnectionResetError)


@tcp
@pytest.mark.parametrize("after", [0, 1, 1_000_000])
def test_resets_unasked(family, after):
    """A client that sends nothing gets exactly so many bytes, and then a reset."""
    with testing.resets(after, family) as address, connected(family, address) as sock:
        assert received(sock) == (b"." * after, ConnectionResetError)


@every_family
def test_resets_waits_for_the_request(family):
    """On request, as it always is for AF_UNIX, means not before the client has sent something."""
    peer = testing.resets(1, family, on_request=family != AF_UNIX)
    waits = pytest.raises(TimeoutError)
    with peer as address, connected(family, address, BRIEFLY) as sock, waits:
        sock.recv(1)


@every_family
@pytest.mark.parametrize("after", [0, 1, 1_000_000])
def test_closes(family, after):
    """Exactly so many bytes, and then the end."""
    with testing.closes(after, family) as address, connected(family, address) as sock:
        assert received(sock) == (b"." * after, b"")


@every_family
def test_closes_without_reset(family):
    """A request that nobody wants does not turn the end into a reset."""
    with testing.closes(3, family) as address, connected(family, address) as sock:
        sock.sendall(bytes(1_000_000))
        assert received(sock) == (b"...", b"")
        sock.sendall(bytes(1_000_000))
        assert received(sock) == (b"", b"")


@every_family
def test_drips(family):
    """Bytes keep coming, and never faster than the interval allows."""
    interval = 0.01
    with testing.drips(interval, family) as address:
        start = time.monotonic()
        with connected(family, address) as sock:
            count = sum(len(sock.recv(100)) for _ in range(5))
            assert count <= (time.monotonic() - start) / interval + 1


@every_family
def test_drips_without_interval(family):
    """With an interval of 0 there is always more to read."""
    with testing.drips(0, family) as address, connected(family, address) as sock:
        assert exactly(500, sock.recv) == b"." * 500


@every_family
def test_drips_to_who_is_left(family):
    """A client that leaves does not disturb the others."""
    with testing.drips(0.001, family) as address, connected(family, address) as sock:
        with connected(family, address) as other:
            other.recv(1)
        assert exactly(10, sock.recv) == b"." * 10


@every_family
@pytest.mark.parametrize("after", [0, 1, 100_000])
def test_stops_reading(family, after):
    """Exactly so many bytes are read, and the sender gets stuck."""
    chunks = queue.SimpleQueue()
    peer = testing.stops_reading(after, family, on_data=chunks.put)
    with peer as address, connected(family, address) as sock:
        sock.sendall(bytes(after))
        left = after
        while left:
            left -= len(chunks.get(timeout=GUARD))
        sock.settimeout(BRIEFLY)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(20_000_000))
    assert left == 0
    assert chunks.empty()


@every_family
def test_reads_slowly(family):
    """Everything is read, in the order sent, and then the connection is closed."""
    data = os.urandom(1_000_000)
    got = bytearray()
    peer = testing.reads_slowly(family=family, on_data=got.extend)
    with peer as address, connected(family, address) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert received(sock) == (b"", b"")
    assert got == data


@every_family
def test_reads_slowly_in_chunks(family):
    """No read takes more than a chunk, and each is followed by the pause."""
    pause, chunk, chunks = 0.005, 7, []
    peer = testing.reads_slowly(pause, chunk, family, on_data=chunks.append)
    with peer as address, connected(family, address) as sock:
        start = time.monotonic()
        sock.sendall(bytes(40))
        sock.shutdown(socket.SHUT_WR)
        assert received(sock) == (b"", b"")
        assert time.monotonic() - start >= len(chunks) * pause
    assert max(map(len, chunks)) <= chunk
    assert b"".join(chunks) == bytes(40)


@every_family
def test_echoes(family):
    """Many clients at the same time each get back their own."""
    words = [b"client %02d" % number for number in range(50)]
    with testing.echoes(family) as address, contextlib.ExitStack() as clients:
        socks = [clients.enter_context(connected(family, address)) for _ in words]
        for sock, word in zip(socks, words, strict=True):
            sock.sendall(word)
        assert [exactly(9, sock.recv) for sock in reversed(socks)] == words[::-1]


@every_family
def test_echoes_much(family):
    """More than all buffers hold comes back whole, when the client reads while it sends."""
    data = os.urandom(8_000_000)
    with testing.echoes(family) as address, connected(family, address) as sock:
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(1)))
        sender.start()
        got, end = received(sock)
        sender.join()
    assert (hashlib.sha256(got).digest(), end) == (hashlib.sha256(data).digest(), b"")


@every_family
def test_silent_udp(family):
    """A datagram is taken and nothing comes back, neither an answer nor an error."""
    with testing.silent_udp(family) as address, socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(BRIEFLY)
        sock.connect(address)
        sock.send(b"hello?")
        with pytest.raises(TimeoutError):
            sock.recv(1)


@tcp
def test_free_port(family):
    """Nobody listens on a free port, and one may."""
    address = {AF_INET: "127.0.0.1", AF_INET6: "::1"}[family], testing.free_port(family)
    with socket.socket(family) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(address)
    with socket.create_server(address, family=family):
        pass


# What all peers have in common.


@tcp
@every_peer
def test_address(peer, family):
    """What a peer yields is a pair of host and port."""
    with peer(family=family) as address:
        assert [type(part) for part in address] == [str, int]


@every_peer
def test_address_unix(peer):
    """For AF_UNIX it is a path, in a folder that nobody else may enter and that goes away."""
    with peer(family=AF_UNIX) as address:
        folder = os.path.dirname(address)
        assert os.path.exists(address)
        assert os.stat(folder).st_mode & 0o77 == 0
    assert not os.path.exists(folder)


@every_family
@every_peer
def test_without_client(peer, family):
    """A peer that no client comes to can be entered and left within 10 ms: it waits for nothing."""

    def is_quick():
        start = time.perf_counter()
        with peer(family=family):
            pass
        return time.perf_counter() - start < limit

    limit = 0.01
    assert any(is_quick() for _ in range(100))  # a busy machine may be slow, but not always


@every_family
@accepting
def test_clients_that_stay(peer, family):
    """The block ends, whatever its peer is doing and waiting for."""
    clients = contextlib.ExitStack()
    with clients, peer(family=family) as address:
        for _ in range(5):
            sock = clients.enter_context(connected(family, address))
            with contextlib.suppress(ConnectionError):
                sock.sendall(b"hello?")


@every_family
@accepting
def test_clients_that_leave_early(peer, family):
    """A client that resets the connection at any moment is no error."""
    with peer(family=family) as address:
        for number in range(20):
            with connected(family, address) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                with contextlib.suppress(ConnectionError):
                    sock.sendall(bytes(number * 1000))


@tcp
def test_client_that_leaves_before_the_reset(family):
    """A peer that waits until all has arrived does not wait for a client that has left."""
    with testing.resets(10_000_000, family) as address, connected(family, address) as sock:
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


@every_family
@every_peer
def test_body_that_raises(peer, family):
    """An exception in the block comes out as it is, and the peer is put away."""
    with pytest.raises(ZeroDivisionError), peer(family=family):
        raise ZeroDivisionError


@pytest.mark.parametrize("serve", [testing.reads_slowly, partial(testing.stops_reading, 5)])
def test_callback_that_raises(serve):
    """What goes wrong inside a peer cuts its clients off and is raised at the end of the block."""

    def fail(data):
        raise ZeroDivisionError(data)

    def say_hello():
        with serve(on_data=fail) as address, connected(AF_INET, address) as sock:
            sock.sendall(b"hello")
            assert received(sock) == (b"", b"")

    with pytest.raises(ZeroDivisionError, match="hello"):
        say_hello()


def test_whatever_happens_to_the_stdlib(monkeypatch):
    """Peers do not notice what is done to socket.socket and to the clock."""

    def fail(*args):
        raise AssertionError(args)

    with testing.drips(0.001) as address, connected(AF_INET, address) as sock:
        recv = sock.recv
        for name in ("accept", "bind", "listen", "recv", "send", "setblocking", "settimeout"):
            monkeypatch.setattr(socket.socket, name, fail)
        monkeypatch.setattr(time, "monotonic", fail)
        assert exactly(9, recv) == b"." * 9
        with testing.never_accepts(), testing.echoes():
            pass


@pytest.mark.parametrize(
    ("peer", "argument", "value", "error"),
    [
        (testing.resets, "after", -1, ValueError),
        (testing.resets, "after", 1.5, TypeError),
        (testing.closes, "after", -1, ValueError),
        (testing.closes, "after", "1", TypeError),
        (testing.stops_reading, "after", -1, ValueError),
        (testing.stops_reading, "after", None, TypeError),
        (testing.stops_reading, "on_data", 1, TypeError),
        (testing.drips, "interval", -0.1, ValueError),
        (testing.drips, "interval", float("inf"), ValueError),
        (testing.drips, "interval", float("nan"), ValueError),
        (testing.drips, "interval", "1", TypeError),
        (testing.reads_slowly, "pause", -0.1, ValueError),
        (testing.reads_slowly, "pause", None, TypeError),
        (testing.reads_slowly, "chunk", 0, ValueError),
        (testing.reads_slowly, "chunk", 0.5, TypeError),
        (testing.reads_slowly, "on_data", bytearray(), TypeError),
        *[(getattr(testing, name), "family", 12345, ValueError) for name in PEERS],
    ],
)
def test_bad_argument(peer, argument, value, error):
    """A bad argument is refused by its name, at the latest when the block is entered."""
    wanted = rf"^{argument} must be .*, not "
    with pytest.raises(error, match=wanted), peer(**{argument: value}):
        pass


def test_free_port_bad_family():
    """Only a family that has ports has a free one."""
    with pytest.raises(ValueError, match=r"^family must be AF_INET or AF_INET6, not "):
        testing.free_port(AF_UNIX)


@pytest.mark.parametrize("name", testing.__all__)
def test_example(name):
    """The example in every docstring runs, and is true."""
    example = textwrap.dedent(getattr(testing, name).__doc__.partition("::\n")[2])
    assert f"testing.{name}(" in example
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write("import hashlib, socket, pytest\nfrom safesocket import testing\n" + example)
        script.flush()
        runpy.run_path(script.name)


def test_all():
    """Every public name is among those tested above."""
    assert sorted([*PEERS, "free_port"]) == testing.__all__
