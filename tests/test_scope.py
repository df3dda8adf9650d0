"""Which limit governs whose waits: the table of sockets and limits, row by row.

First the table itself, as the pure function it is; then every row on real sockets. There a wait
that has a limit is seen to end by that one, and a wait that has none to outlast them all and end
well as soon as the other side does something.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    MSG_DONTWAIT,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_SEQPACKET,
    SOCK_STREAM,
)
from typing import Any, NamedTuple

import pytest

import safesocket
from safesocket import _reading
from safesocket._roles import ACCEPTED, ADOPTED, BOUND, CONNECTED, FRESH
from safesocket._scope import READ, WRITE, governs, talks_to_others
from safesocket.errors import ReadTimeoutError, WriteTimeoutError
from tests.helpers import (
    GUARD,
    HOSTS,
    LIMIT,
    MUCH,
    calling,
    needs_ipv6,
    still_waits,
    tcp_pair,
    unix_pair,
)

FIELDS = "resolve connect handshake read write serve".split()

# The table, purely.

ROLES = FRESH, CONNECTED, ACCEPTED, ADOPTED, BOUND
#: (role, type) -> the limits of reads and of writes, for sockets that talk to somebody else
TABLE = {
    (FRESH, "stream"): ("read", "write"),
    (FRESH, "datagram"): ("read", "write"),
    (CONNECTED, "stream"): ("read", "write"),
    (CONNECTED, "datagram"): ("read", "write"),
    (ACCEPTED, "stream"): ("serve", "write"),
    (ADOPTED, "stream"): ("serve", "write"),
    (ADOPTED, "datagram"): (None, None),
    (BOUND, "stream"): ("read", "write"),
    (BOUND, "datagram"): (None, None),
}
KINDS = {"stream": (SOCK_STREAM, SOCK_SEQPACKET), "datagram": (SOCK_DGRAM,)}
FAMILIES = {
    value: name
    for name, value in vars(socket).items()
    if name.startswith("AF_") and isinstance(value, int)
}
INTERNET = AF_INET, AF_INET6, socket.AF_VSOCK


@pytest.mark.parametrize(("row", "limits"), TABLE.items(), ids=["-".join(row) for row in TABLE])
def test_table(row, limits):
    """A socket that talks to somebody else has the limits of its row."""
    role, kind = row
    for number in KINDS[kind]:
        sorts = [(family, number, named) for family in INTERNET for named in (False, True)]
        for sort in [*sorts, (AF_UNIX, number, True)]:
            assert (governs(READ, role, *sort), governs(WRITE, role, *sort)) == limits


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILIES.values())
def test_table_leaves_others_alone(family):
    """Unnamed AF_UNIX, raw sockets and every other family have no limits, whatever they are."""
    kinds = [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW, socket.SOCK_RDM, 6, 10]
    for kind, named in itertools.product(kinds, (False, True)):
        known = kind in (SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM)
        if known and (family in INTERNET or (family == AF_UNIX and named)):
            continue
        assert not talks_to_others(family, kind, named)
        for phase, role in itertools.product((READ, WRITE), ROLES):
            assert governs(phase, role, family, kind, named) is None


# The same on real sockets.

PATIENCE = 2.0  # seconds; a wait that has a limit takes nearly nothing of it


class Subject(NamedTuple):
    """A socket, and what the other side can do for it; None where there is nothing to do."""

    sock: Any
    feed: Any  #: gives it something to read
    drain: Any = None  #: takes what it wrote
    target: tuple[Any, ...] = ()  #: where it sends to, if it is not connected


def to_peer(sock, peer, *target):
    """The Subject *sock* whose other side is *peer*."""
    return Subject(sock, partial(peer.send, b"."), partial(take_all, peer), target)


def take_all(peer):
    """Read what fills the buffers, and on a stream all the rest."""
    safesocket.set_timeouts(peer, read=None)
    if peer.type == SOCK_STREAM:
        left = len(MUCH)
        while left:
            left -= len(peer.recv(left))
    else:
        with suppress(BlockingIOError):
            while True:
                peer.recv(1, MSG_DONTWAIT)


def stuck_write(subject):
    """Fill the buffers on the way out; return a write that has to wait."""
    sock = subject.sock
    if sock.type == SOCK_STREAM:
        return partial(sock.sendall, MUCH)
    write = partial(sock.sendto if subject.target else sock.send, b".")
    with suppress(BlockingIOError):
        while True:
            write(MSG_DONTWAIT, *subject.target)
    return partial(write, *subject.target)


def own(*sort):
    """A socket of ours, closed at the end of a block."""
    return safesocket.socket(*sort)


@contextmanager
def connected(folder, family):
    with tcp_pair(family) as (client, accepted):
        yield to_peer(client, accepted)


@contextmanager
def connected_by_create_connection(folder):
    with safesocket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        client = stack.enter_context(safesocket.create_connection(listener.getsockname()))
        yield to_peer(client, stack.enter_context(listener.accept()[0]))


@contextmanager
def accepted(folder, family):
    with tcp_pair(family) as (client, accepted):
        yield to_peer(accepted, client)


@contextmanager
def accepted_with_timeout(folder):
    with safesocket.create_server(("127.0.0.1", 0)) as listener, own() as client:
        listener.settimeout(GUARD)
        client.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            yield to_peer(accepted, client)


@contextmanager
def connected_unix(folder, kind, name="/path"):
    with unix_pair(named(folder, name), kind) as (client, accepted):
        yield to_peer(client, accepted)


@contextmanager
def accepted_unix(folder, kind, name="/path"):
    with unix_pair(named(folder, name), kind) as (client, accepted):
        yield to_peer(accepted, client)


def named(folder, name):
    """An AF_UNIX address; one that begins with NUL is abstract."""
    return f"{name}{os.getpid()}" if name.startswith("\0") else f"{folder}{name}"


@contextmanager
def bound_then_connected(folder, bound_to, family=AF_INET):
    with safesocket.socket(family) as listener, safesocket.socket(family) as client:
        listener.bind(("127.0.0.1", 0) if family == AF_INET else f"{folder}/listener")
        listener.listen()
        client.bind(bound_to if family == AF_INET else f"{folder}/client")
        client.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            yield to_peer(client, accepted)


@contextmanager
def udp_pair(family=AF_INET):
    """A socket that has done nothing yet, and a server's."""
    with own(family, SOCK_DGRAM) as sock, own(family, SOCK_DGRAM) as server:
        server.bind((HOSTS[family], 0))
        yield sock, server, server.getsockname()


@contextmanager
def udp_client(folder, family=AF_INET):
    with udp_pair(family) as (sock, server, address):
        sock.sendto(b".", address)
        yield Subject(sock, partial(server.sendto, b".", server.recvfrom(1)[1]))


@contextmanager
def udp_client_that_could_not_bind(folder):
    with udp_pair() as (sock, server, address):
        with pytest.raises(OSError, match="Address already in use"):
            sock.bind(address)
        sock.sendto(b".", address)
        yield Subject(sock, partial(server.sendto, b".", server.recvfrom(1)[1]))


@contextmanager
def udp_connected(folder, family=AF_INET):
    with udp_pair(family) as (sock, server, address):
        sock.connect(address)
        yield Subject(sock, partial(server.sendto, b".", sock.getsockname()))


@contextmanager
def udp_bound(folder, family=AF_INET):
    with udp_pair(family) as (client, server, address):
        yield Subject(server, partial(client.sendto, b".", address))


@contextmanager
def udp_bound_then_connected(folder):
    with udp_pair() as (client, server, address):
        client.bind(("127.0.0.1", 0))
        server.connect(client.getsockname())
        yield Subject(server, partial(client.sendto, b".", address))


@contextmanager
def udp_bound_that_could_not_connect(folder):
    with udp_pair() as (client, server, address):
        with pytest.raises(OSError, match=r"not known|not supported"):
            server.connect(("::1", 1))
        yield Subject(server, partial(client.sendto, b".", address))


@contextmanager
def unix_datagrams(folder, *, client_bound=False):
    """A client's socket and a server's, which is bound."""
    with own(AF_UNIX, SOCK_DGRAM) as client, own(AF_UNIX, SOCK_DGRAM) as server:
        server.bind(f"{folder}/server")
        if client_bound:
            client.bind(f"{folder}/client")
        yield client, server, f"{folder}/server"


@contextmanager
def unix_datagram_client(folder):
    with unix_datagrams(folder) as (client, server, path):
        yield Subject(client, None, partial(take_all, server), (path,))


@contextmanager
def unix_datagram_connected(folder):
    with unix_datagrams(folder) as (client, server, path):
        client.connect(path)
        yield Subject(client, server.close, partial(take_all, server))


@contextmanager
def unix_datagram_bound_then_connected(folder):
    with unix_datagrams(folder, client_bound=True) as (client, server, path):
        client.connect(path)
        server.connect(client.getsockname())
        yield to_peer(client, server)


@contextmanager
def unix_datagram_connected_then_bound(folder):
    with unix_datagrams(folder) as (client, server, path):
        client.connect(path)
        client.bind(f"{folder}/client")
        server.connect(client.getsockname())
        yield to_peer(client, server)


@contextmanager
def unix_datagram_bound(folder):
    with unix_datagrams(folder, client_bound=True) as (client, server, path):
        client.connect(path)
        yield to_peer(server, client, client.getsockname())


@contextmanager
def pair(folder, kind):
    ours, theirs = safesocket.socketpair(AF_UNIX, kind)
    with ours, theirs:
        yield to_peer(ours, theirs)


@contextmanager
def bound_pair(folder):
    with pair(folder, SOCK_STREAM) as subject:
        subject.sock.bind(f"{folder}/pair")
        yield subject


@contextmanager
def fallback_pair(folder):
    ours, theirs = safesocket._fallback_socketpair()
    with ours, theirs:
        yield to_peer(ours, theirs)


@contextmanager
def adopted(folder, make, how):
    """The Subject of *make*, adopted under a second descriptor or the same one."""
    with make(folder) as subject, ExitStack() as stack:
        sock = subject.sock
        if how == "fromfd":
            again = safesocket.fromfd(sock.fileno(), sock.family, sock.type)
        else:
            again = safesocket.socket(fileno=os.dup(sock.fileno()))
        yield subject._replace(sock=stack.enter_context(again))


@contextmanager
def adopted_then_connected(folder):
    with own(AF_INET, SOCK_DGRAM) as server, socket.socket(AF_INET, SOCK_DGRAM) as plain:
        server.bind(("127.0.0.1", 0))
        with safesocket.socket(fileno=plain.detach()) as sock:
            sock.connect(server.getsockname())
            yield Subject(sock, partial(server.sendto, b".", sock.getsockname()))


@contextmanager
def raw(folder):
    protocol = 143 + os.getpid() % 100  # nobody's: IANA, Assigned Internet Protocol Numbers
    with own(AF_INET, SOCK_RAW, protocol) as sock:
        yield Subject(sock, partial(sock.sendto, b".", ("127.0.0.1", 0)))


@contextmanager
def packet(folder):
    nobodys = 0x88B5  # IEEE 802: for local experiments
    with own(socket.AF_PACKET, SOCK_RAW, socket.htons(nobodys)) as sock:
        sock.bind(("lo", nobodys))
        yield Subject(sock, partial(sock.send, bytes(12) + struct.pack("!H", nobodys) + b"."))


@contextmanager
def netlink(folder, kind):
    list_of_links = struct.pack("=IHHIIB3x", 20, 18, 0x301, 1, 0, 0)  # rtnetlink(7): RTM_GETLINK
    with own(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as sock:
        yield Subject(sock, partial(sock.send, list_of_links))


CLIENT = "read", "write"
SERVED = "serve", "write"
UNLIMITED = None, None

#: what the socket is -> how it comes about, and the limits of its reads and of its writes
ROWS = {
    "TCP client": (partial(connected, family=AF_INET), *CLIENT),
    "TCP client, IPv6": (partial(connected, family=AF_INET6), *CLIENT),
    "TCP client of create_connection": (connected_by_create_connection, *CLIENT),
    "TCP client, bound": (partial(bound_then_connected, bound_to=("127.0.0.1", 0)), *CLIENT),
    "TCP accepted": (partial(accepted, family=AF_INET), *SERVED),
    "TCP accepted, IPv6": (partial(accepted, family=AF_INET6), *SERVED),
    "TCP accepted by a listener with a timeout": (accepted_with_timeout, *SERVED),
    "UNIX client": (partial(connected_unix, kind=SOCK_STREAM), *CLIENT),
    "UNIX client, abstract": (partial(connected_unix, kind=SOCK_STREAM, name="\0t"), *CLIENT),
    "UNIX client, bound": (partial(bound_then_connected, bound_to=0, family=AF_UNIX), *CLIENT),
    "UNIX client, packets": (partial(connected_unix, kind=SOCK_SEQPACKET), *CLIENT),
    "UNIX accepted": (partial(accepted_unix, kind=SOCK_STREAM), *SERVED),
    "UNIX accepted, abstract": (partial(accepted_unix, kind=SOCK_STREAM, name="\0t"), *SERVED),
    "UNIX accepted, packets": (partial(accepted_unix, kind=SOCK_SEQPACKET), *SERVED),
    "UDP client": (udp_client, *CLIENT),
    "UDP client, IPv6": (partial(udp_client, family=AF_INET6), *CLIENT),
    "UDP client that could not bind": (udp_client_that_could_not_bind, *CLIENT),
    "UDP connected": (udp_connected, *CLIENT),
    "UDP connected, IPv6": (partial(udp_connected, family=AF_INET6), *CLIENT),
    "UDP bound, then connected": (udp_bound_then_connected, *CLIENT),
    "UDP bound": (udp_bound, *UNLIMITED),
    "UDP bound, IPv6": (partial(udp_bound, family=AF_INET6), *UNLIMITED),
    "UDP bound that could not connect": (udp_bound_that_could_not_connect, *UNLIMITED),
    "UNIX datagrams, client": (unix_datagram_client, None, "write"),
    "UNIX datagrams, connected": (unix_datagram_connected, *CLIENT),
    "UNIX datagrams, bound, then connected": (unix_datagram_bound_then_connected, *CLIENT),
    "UNIX datagrams, connected, then bound": (unix_datagram_connected_then_bound, *CLIENT),
    "UNIX datagrams, bound": (unix_datagram_bound, *UNLIMITED),
    "socketpair": (partial(pair, kind=SOCK_STREAM), *UNLIMITED),
    "socketpair of datagrams": (partial(pair, kind=SOCK_DGRAM), *UNLIMITED),
    "socketpair of packets": (partial(pair, kind=SOCK_SEQPACKET), *UNLIMITED),
    "socketpair, bound": (bound_pair, *UNLIMITED),
    "adopted, then connected": (adopted_then_connected, *CLIENT),
    "raw": (raw, *UNLIMITED),
    "packet": (packet, *UNLIMITED),
    "netlink": (partial(netlink, kind=SOCK_RAW), *UNLIMITED),
    "netlink datagrams": (partial(netlink, kind=SOCK_DGRAM), *UNLIMITED),
}
if hasattr(safesocket, "_fallback_socketpair"):  # from 3.13 on, not only on Windows
    ROWS["socketpair where there is only TCP"] = fallback_pair, *UNLIMITED
ADOPTABLE = {
    "TCP client": SERVED,
    "TCP accepted": SERVED,
    "UNIX client": SERVED,
    "UNIX client, packets": SERVED,
    "UDP client": UNLIMITED,
    "UDP connected": UNLIMITED,
    "UDP bound": UNLIMITED,
    "UNIX datagrams, bound, then connected": UNLIMITED,
    "socketpair": UNLIMITED,
}
ROWS |= {
    f"{name}, adopted by {how}": (partial(adopted, make=ROWS[name][0], how=how), *limits)
    for name, limits in ADOPTABLE.items()
    for how in ("fromfd", "fileno")
}


def rows(*names):
    """Parametrise by the rows so named."""
    marks = {name: [needs_ipv6] for name in names if "IPv6" in name}
    return pytest.mark.parametrize(
        ("make", "reads", "writes"),
        [pytest.param(*ROWS[name], id=name, marks=marks.get(name, [])) for name in names],
    )


@pytest.fixture
def enter():
    """Enter what makes a Subject, if this machine lets us; leave it after the test."""
    with ExitStack() as stack:

        def made(make, folder):
            try:
                return stack.enter_context(make(folder))
            except PermissionError as exc:
                pytest.skip(str(exc))

        yield made


@pytest.fixture(autouse=True)
def limits(settings_of_the_process):
    """Every limit is in force."""
    safesocket.configure(**dict.fromkeys(FIELDS, LIMIT))


def limit_on(call, unblock, error, expected):
    """The limit that ends *call*; None if it outlasts them all, and ends well once unblocked."""
    with calling(call) as future:
        waiting = still_waits(future, PATIENCE if expected else 3 * LIMIT)
        if waiting:
            unblock()
        failure = future.exception(GUARD)
    if waiting:
        assert failure is None
        return None
    assert isinstance(failure, error)
    return re.search(r"\(configured (\w+) timeout", str(failure))[1]


#: On loopback there is always room for these.
WRITES_NEVER_WAIT = "UDP", "raw", "packet", "netlink", "adopted"


@pytest.mark.parametrize("dup", [False, True], ids=["", "dup"])
@rows(*(name for name, (*_, reads, _) in ROWS.items() if name != "UNIX datagrams, client"))
def test_reads(make, reads, writes, dup, enter, tmp_path):
    """The limit on a socket's reads is that of its row, and a duplicate's is the same."""
    subject = enter(make, tmp_path)
    with subject.sock.dup() if dup else subject.sock as sock:
        read = partial(sock.recv, 65536)
        assert limit_on(read, subject.feed, ReadTimeoutError, reads) == reads


@rows(*(name for name in ROWS if not name.startswith(WRITES_NEVER_WAIT)))
def test_writes(make, reads, writes, enter, tmp_path):
    """The limit on a socket's writes is that of its row."""
    subject = enter(make, tmp_path)
    write = stuck_write(subject)
    assert limit_on(write, subject.drain, WriteTimeoutError, writes) == writes


@rows(*(name for name, (_, reads, _) in ROWS.items() if reads == "serve"))
def test_reads_of_servers(make, reads, writes, enter, tmp_path):
    """Unless serve is asked for, connections that somebody else made are read for ever."""
    safesocket.configure(serve=None)
    subject = enter(make, tmp_path)
    read = partial(subject.sock.recv, 1)
    assert limit_on(read, subject.feed, ReadTimeoutError, None) is None


@rows(*(name for name, (_, reads, _) in ROWS.items() if reads is None))
def test_set_timeouts_names_any_socket(make, reads, writes, enter, tmp_path):
    """A socket of any sort has the read limit that set_timeouts gives it by name."""
    safesocket.configure(**dict.fromkeys(FIELDS))
    sock = enter(make, tmp_path).sock
    safesocket.set_timeouts(sock, read=LIMIT)
    with pytest.raises(ReadTimeoutError, match=r"of set_timeouts\(\)\)"):
        sock.recv(1)


@rows("UDP bound", "socketpair", "netlink", "raw")
def test_set_timeouts_of_something_else(make, reads, writes, enter, tmp_path):
    """A limit on something else does not limit the reads of a socket that have none."""
    subject = enter(make, tmp_path)
    safesocket.set_timeouts(subject.sock, write=GUARD)
    read = partial(subject.sock.recv, 65536)
    assert limit_on(read, subject.feed, ReadTimeoutError, None) is None


@pytest.mark.parametrize(
    ("family", "kind"),
    [(AF_INET, SOCK_STREAM), (AF_UNIX, SOCK_STREAM), (AF_UNIX, SOCK_SEQPACKET)],
)
def test_accept(family, kind, tmp_path):
    """A server waits for its clients as long as it takes."""
    with own(family, kind) as listener, own(family, kind) as client:
        listener.bind(("127.0.0.1", 0) if family == AF_INET else str(tmp_path / "path"))
        listener.listen()
        with calling(listener.accept) as future:
            assert still_waits(future)
            client.connect(listener.getsockname())
            with closing(future.result(GUARD)[0]) as conn:
                assert conn.gettimeout() is None


def test_sockets_of_another_class():
    """The operations, which serve any class, know the sort of a socket they see first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        feed = partial(theirs.send, b".")
        assert limit_on(partial(_reading.recv, ours, 1), feed, ReadTimeoutError, None) is None
    with tcp_pair(make=socket) as (client, server):
        feed = partial(server.send, b".")
        read = partial(_reading.recv, client, 1)
        assert limit_on(read, feed, ReadTimeoutError, "read") == "read"


def test_connect_has_its_limit_whatever_the_socket(tmp_path):
    """A bound, duplicated or adopted socket's connect is limited like any other."""
    path = str(tmp_path / "full")
    with ExitStack() as stack:
        listener = stack.enter_context(own(AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        stack.enter_context(own(AF_UNIX)).connect(path)
        fresh, bound, plain = (stack.enter_context(own(AF_UNIX)) for _ in range(3))
        bound.bind(str(tmp_path / "client"))
        adopted = stack.enter_context(own(AF_UNIX, SOCK_STREAM, 0, plain.detach()))
        duplicate = stack.enter_context(bound.dup())
        for sock in (fresh, bound, adopted, duplicate):
            with pytest.raises(TimeoutError, match="configured connect timeout"):
                sock.connect(path)
