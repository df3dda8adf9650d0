"""What a hint says of this machine is so: each sentence by a real situation, and never a wrong one.

What no test can let the kernel say, a folder in the place of /proc does.
"""

from __future__ import annotations

import errno
import gc
import os
import pwd
import re
import resource
import shutil
import signal
import socket as stdlib
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET

import pytest

import safesocket
from safesocket import _descriptors, _hostnames, _ports, _proc, _route, _surroundings, errors
from safesocket._route import Route
from safesocket._system import now
from tests import nameserver, netns
from tests.failures import looking_up, raised_by
from tests.helpers import GUARD, assert_travels, descriptors, listening, needs_ipv6, printed, within

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's"),
    pytest.mark.timeout(30, func_only=True),
]

NOBODY = 65534
LATER = float("inf")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

#: What another process does: be called "holder", do what it is told, wait for the end of the test.
HOLDER = """
import os, socket, sys
with open("/proc/self/comm", "w") as file:
    file.write("holder")
{}
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Let a look take as long as a busy machine needs; nothing is known from other tests."""
    monkeypatch.setattr(_surroundings, "BUDGET", GUARD)
    monkeypatch.setattr(_ports, "_listened", (-1.0, frozenset()))


@contextmanager
def another_process(deed):
    """Run *deed* in another process that stays until the end of the block; yield its number."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(deed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.stdin.close()


@contextmanager
def somebody_listens(host="127.0.0.1", family=AF_INET, kind=SOCK_STREAM, then=""):
    """Let another process take a port; yield its number and the port."""
    with stdlib.socket(family, kind) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    deed = f"sock = socket.socket({int(family)}, {int(kind)}); sock.bind(({host!r}, {port}))"
    listen = "; sock.listen()" if kind == SOCK_STREAM else ""
    with another_process(deed + listen + then) as pid:
        yield pid, port


def name_of(uid):
    """Return the name of a user, by the stdlib."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


ME = name_of(os.geteuid())


def hint(call, *args):
    """Return the hint of what *call* raises, which travels with it."""
    error = raised_by(call, *args)
    assert isinstance(error, errors.SafeSocketError)
    assert_travels(error)
    assert error.hint.isprintable()
    return error.hint


def hint_of(operation, address, family=AF_INET, kind=SOCK_STREAM, **options):
    """Return the hint when *operation* with *address* fails on a new socket."""
    with safesocket.socket(family, kind) as sock:
        for option, value in options.items():
            sock.setsockopt(SOL_SOCKET, getattr(stdlib, option), value)
        return hint(getattr(sock, operation), address)


def plain(leaf):
    """Return the beginning of the hint that stands where nothing is to be seen."""
    return {
        errors.AddressInUseError: "another socket holds this local address",
        errors.AddressNotAvailableError: "this machine has no such local address",
        errors.ConnectRefusedError: "nothing is listening there",
    }[leaf]


# --- A port that somebody has -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", ""),
        ("0.0.0.0", "localhost"),
        pytest.param("::1", "::1", marks=needs_ipv6),
        pytest.param("::1", "::", marks=needs_ipv6),
        pytest.param("::", "127.0.0.1", marks=needs_ipv6),
        pytest.param("127.0.0.1", "::", marks=needs_ipv6),
    ],
)
@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM], ids=["tcp", "udp"])
def test_port_held_by_another_process(theirs, ours, kind):
    """The process that holds a port is named, also where one of both has all addresses."""
    family = AF_INET6 if ":" in theirs else AF_INET
    with somebody_listens(theirs, family, kind) as (pid, port):
        said = hint_of("bind", (ours, port), AF_INET6 if ":" in ours else AF_INET, kind)
    does = "listens on" if kind == SOCK_STREAM else "has"
    where = f"[{theirs}]:{port}" if ":" in theirs else f"{theirs}:{port}"
    doubt = ", unless that is for IPv6 alone" if (theirs, ours) == ("::", "127.0.0.1") else ""
    assert said == f"holder (pid {pid}, user {ME}) {does} {where} already{doubt}"


@needs_ipv6
@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM], ids=["tcp", "udp"])
def test_port_held_for_ipv6_alone(kind):
    """Who has the port for IPv4 is not in the way of a socket for IPv6 alone."""
    with somebody_listens("0.0.0.0", kind=kind) as (_, port), stdlib.socket(AF_INET6, kind) as six:
        six.setsockopt(stdlib.IPPROTO_IPV6, stdlib.IPV6_V6ONLY, 1)
        six.bind(("::", port))
        six.listen() if kind == SOCK_STREAM else None
        with safesocket.socket(AF_INET6, kind) as sock:
            sock.setsockopt(stdlib.IPPROTO_IPV6, stdlib.IPV6_V6ONLY, 1)
            said = hint(sock.bind, ("::", port))
    does = "listens on" if kind == SOCK_STREAM else "has"
    assert said == f"this process itself {does} [::]:{port} already"


def test_port_held_create_server():
    """create_server, which words its own error, says so, too."""
    with somebody_listens() as (pid, port):
        said = hint(safesocket.create_server, ("127.0.0.1", port))
    assert said.startswith(f"holder (pid {pid}, user {ME}) listens on")


def test_port_held_under_install():
    """So does the stdlib's own class under install()."""
    script = """
        import socket, safesocket
        safesocket.install()
        with socket.create_server(("127.0.0.1", 0)) as one, socket.socket() as two:
            try:
                two.bind(one.getsockname())
            except OSError as error:
                print(error.hint.partition(" on ")[0])
    """
    assert printed(script) == "this process itself listens"


def test_port_held_by_this_process():
    """This process itself is named as such."""
    with stdlib.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        said = hint_of("bind", (host, port))
    assert said == f"this process itself listens on {host}:{port} already"


def test_port_held_when_listening():
    """listen() can come too late as well; the address is the socket's own."""
    with safesocket.socket() as sock, stdlib.socket() as other:
        for one in (sock, other):
            one.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        other.bind(sock.getsockname())
        other.listen()
        assert hint(sock.listen).startswith("this process itself listens on 127.0.0.1:")


@needs_root
def test_port_held_by_another_user():
    """The user is the one that the process runs as now."""
    with somebody_listens(then=f"; os.setuid({NOBODY})") as (pid, port):
        said = hint_of("bind", ("127.0.0.1", port))
    assert said.startswith(f"holder (pid {pid}, user {name_of(NOBODY)}) listens on")


@contextmanager
def as_nobody():
    """Run the block as a user who may see nothing of root's."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_port_held_by_a_user_without_a_name(tmp_path, monkeypatch):
    """A container may have no list of users: then the number is told."""
    monkeypatch.setattr(_proc, "ETC", str(tmp_path))
    with somebody_listens() as (pid, port):
        said = hint_of("bind", ("127.0.0.1", port))
    assert said.startswith(f"holder (pid {pid}, user {os.geteuid()}) listens on")


@needs_root
def test_port_held_by_a_process_that_is_not_shown():
    """Where /proc does not show the process, the user and the address are told all the same."""
    with somebody_listens("0.0.0.0") as (_, port), as_nobody():
        said = hint_of("bind", ("127.0.0.1", port))
    assert said == (
        f"a process of user {ME} (as root, ss -tunap names it) listens on 0.0.0.0:{port} already"
    )


def test_port_bound_but_not_listened_on():
    """A socket that is bound and does not listen is shown nowhere: the plain hint stays."""
    with stdlib.socket() as other:
        other.bind(("127.0.0.1", 0))
        said = hint_of("bind", other.getsockname())
    assert said.startswith(plain(errors.AddressInUseError))


def test_port_with_a_listener_on_another_address():
    """A listener on another address is no reason, and is not named as one."""
    with stdlib.socket() as other:
        other.bind(("127.0.0.1", 0))
        with stdlib.create_server(("127.0.0.2", other.getsockname()[1])):
            said = hint_of("bind", other.getsockname())
    assert said.startswith(plain(errors.AddressInUseError))


@contextmanager
def connection():
    """Yield both ends of a connection, whose listener is closed."""
    with stdlib.create_server(("127.0.0.1", 0)) as server:
        client = stdlib.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        yield client, accepted


def test_port_held_by_a_connection():
    """A connection without a listener is named with both its ends."""
    with connection() as (client, _):
        said = hint_of("bind", client.getsockname())
        here, there = ("{}:{}".format(*end) for end in (client.getsockname(), client.getpeername()))
    assert said.startswith("nobody listens there, on one of the ports that clients are given (")
    assert said.endswith(f"this process itself has a connection from {here} to {there}")


def test_port_held_by_connections_that_have_ended():
    """Where only TIME_WAIT holds the port, SO_REUSEADDR is the advice."""
    for they_set_it in (False, True):
        address = just_ended(they_set_it)
        said = hint_of("bind", address)
        assert said == (
            "nobody listens there: a connection that has ended holds it, for a minute or so "
            "(TIME_WAIT and the like); a server that sets SO_REUSEADDR before bind() has it at "
            "once after one that had set it, too"
        )
        with stdlib.socket() as server:
            server.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            if they_set_it:
                server.bind(address)
            else:
                assert raised_by(server.bind, address).errno == errno.EADDRINUSE


def just_ended(sets_reuse):
    """Return the address of a server with a connection that it has ended first: TIME_WAIT."""
    with stdlib.socket() as server, stdlib.socket() as client:
        server.setsockopt(SOL_SOCKET, SO_REUSEADDR, sets_reuse)
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        server.accept()[0].close()
        assert client.recv(1) == b""
        return server.getsockname()


def test_port_held_by_something_else_than_what_has_ended():
    """With SO_REUSEADDR set, what has ended is not the reason, or not known to be."""
    with connection() as (client, accepted):
        address = client.getpeername()
        accepted.close()
        client.close()
    with stdlib.socket() as other:
        other.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        other.bind(address)
        other.setsockopt(SOL_SOCKET, SO_REUSEADDR, 0)
        said = hint_of("bind", address, SO_REUSEADDR=1)
    assert said.startswith(plain(errors.AddressInUseError))


def test_port_in_another_network():
    """A socket of another network namespace is not told of the ports of this one."""
    with netns.machine() as machine, stdlib.create_server(("127.0.0.1", 0)) as here:
        address = here.getsockname()
        with machine.run(stdlib.socket) as there, machine.run(safesocket.socket) as sock:
            there.bind(address)
            said = hint(sock.bind, address)
    assert said.startswith(plain(errors.AddressInUseError))


# --- No port is left ----------------------------------------------------------------------------


@pytest.fixture
def few_ports():
    """A machine that hands out the ports 40000 to 40009 only."""
    with netns.machine() as machine:
        machine.set("net/ipv4/ip_local_port_range", "40000 40009")
        yield machine


@contextmanager
def no_port_left(family=AF_INET, host="127.0.0.1"):
    """Yield a server to which there are as many connections as there are ports, and those."""
    with ExitStack() as stack:
        server = stack.enter_context(stdlib.create_server((host, 999), family=family))
        clients = []
        for _ in range(10):
            clients.append(stack.enter_context(stdlib.socket(family)))
            clients[-1].connect((host, 999))
        yield server, clients


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_no_local_port_left(few_ports, host):
    """Ephemeral ports that are used up are counted, and the range is named."""

    def failing():
        family = AF_INET6 if ":" in host else AF_INET
        with no_port_left(family, host) as (server, _):
            return hint_of("connect", server.getsockname(), family)

    assert few_ports.run(failing) == (
        "no local port is left for another connection to there: of 10 that the system hands out "
        "(40000-40009, net.ipv4.ip_local_port_range) 10 are taken by connections to there, 0 of "
        "them in TIME_WAIT: keep connections and use them again"
    )


def test_no_local_port_left_for_what_has_ended(few_ports):
    """Those that have ended are counted apart."""
    few_ports.set("net/ipv4/tcp_timestamps", 0)  # or the kernel lets new ones take their place

    def failing():
        with no_port_left() as (server, clients):
            for client in clients[:4]:
                client.close()
                server.accept()[0].close()
            return hint_of("connect", server.getsockname())

    assert "10 are taken by connections to there, 4 of them in TIME_WAIT" in few_ports.run(failing)


def test_no_local_port_left_among_very_many(few_ports, monkeypatch):
    """Where there are too many to read in time, the kernel's own count is told."""
    lines = _proc.lines

    def slow(path, until):
        return lines(path, 0.0 if path.endswith("tcp") else until)

    def failing():
        with no_port_left() as (server, _):
            monkeypatch.setattr(_proc, "lines", slow)
            return hint_of("connect", server.getsockname())

    said = few_ports.run(failing)
    assert "many are taken: 21 connections in all, 0 of them in TIME_WAIT" in said


def test_no_local_port_left_for_another_reason(few_ports):
    """Where the ports are not used up, nobody says so."""
    few_ports.set("net/ipv4/ip_local_reserved_ports", "40000-40009")

    def failing():
        with stdlib.create_server(("127.0.0.1", 999)) as server:
            return hint_of("connect", server.getsockname())

    assert few_ports.run(failing).startswith(plain(errors.AddressNotAvailableError))


def test_no_port_left_to_bind_to(few_ports):
    """bind() to port 0 says EADDRINUSE where none is left."""

    def failing():
        with no_port_left():
            return hint_of("bind", ("127.0.0.1", 0))

    assert few_ports.run(failing) == (
        "no port is left to choose from: all 10 that the system hands out are taken (40000-40009, "
        "net.ipv4.ip_local_port_range)"
    )


@contextmanager
def twins():
    """Yield a plain socket and one of ours that are bound to the same port."""
    with stdlib.socket() as first, safesocket.socket() as second:
        for sock in (first, second):
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 40001))
        yield first, second


def test_connection_that_is_there_already(few_ports):
    """A bound socket that is to make a connection which is there already is told who has it."""

    def failing():
        with stdlib.create_server(("127.0.0.1", 999)) as server, twins() as (first, second):
            first.connect(server.getsockname())
            return hint(second.connect, server.getsockname())

    assert few_ports.run(failing) == (
        "this process itself has a connection from 127.0.0.1:40001 to 127.0.0.1:999 already"
    )


def test_connection_that_has_just_ended(few_ports):
    """So it is where the connection has ended."""

    def failing():
        with stdlib.create_server(("127.0.0.1", 999)) as server, twins() as (first, second):
            first.connect(server.getsockname())
            first.close()
            server.accept()[0].close()
            return hint(second.connect, server.getsockname())

    few_ports.set("net/ipv4/tcp_timestamps", 0)  # or the kernel lets a new one take its place
    assert few_ports.run(failing) == (
        "a connection from 127.0.0.1:40001 to 127.0.0.1:999 has ended, but holds both ends for a "
        "minute or so"
    )


# --- No descriptor is left ----------------------------------------------------------------------

EXHAUSTED = """
    import errno, resource, socket as plain, sys
    import safesocket as socket
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    if {without!r}:
        del sys.modules["resource"]
    server = socket.create_server(("127.0.0.1", 0), backlog=200)
    kept = []
    try:
        while True:
            kept.append({make})
    except OSError as error:
        kept.append(open)
        assert error.errno == errno.EMFILE, error
        print(server.getsockname()[1], error.hint)
"""


@pytest.mark.parametrize("without", [False, True], ids=["", "without resource"])
def test_descriptors_used_up(without):
    """EMFILE tells the limit, how many are sockets, and whom most of them talk to."""
    make = "socket.create_connection(server.getsockname())"
    port, said = printed(EXHAUSTED.format(make=make, without=without)).split(" ", 1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = "" if without else f"; up to {hard:,} without a privilege"
    assert said == (
        "all 200 descriptors that this process may have (RLIMIT_NOFILE) are open, 197 of them "
        f"sockets, 196 of those to 127.0.0.1:{port}: look for sockets that are never closed, or "
        f"raise the limit (ulimit -n){raised}"
    )


def test_descriptors_used_up_by_files():
    """What are no sockets are not counted as such."""
    make = "open('/dev/null') if len(kept) < 190 else socket.socket()"
    said = printed(EXHAUSTED.format(make=make, without=True))
    assert "are open, 7 of them sockets: look" in said


def test_descriptors_used_up_by_clients():
    """Accepted connections are counted by where they come from, not by port."""
    make = "server.accept() if len(kept) > 120 else plain.create_connection(server.getsockname())"
    said = printed(EXHAUSTED.format(make=make, without=True))
    assert "197 of them sockets, 75 of those accepted from 127.0.0.1: look" in said


def used_up(number):
    """Return what is said when a call that needs a descriptor fails with *number*."""
    exc = OSError(number, os.strerror(number))
    return _surroundings.finding(exc, errors.ResourceError, "dup", Route())


def test_descriptors_looked_at_are_a_sample(monkeypatch):
    """Of very many a part is looked at, and the hint says so."""
    monkeypatch.setattr(_descriptors, "MOST", 10)
    monkeypatch.setattr(_descriptors, "_sysconf", lambda _: 1_000_000)
    said = used_up(errno.EMFILE)
    assert "of 1 looked at, " in said


def test_descriptors_of_this_process(monkeypatch):
    """What is remembered of sockets is counted; where that is much, a part of it."""
    with stdlib.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        address = server.getsockname()
        kept = [stack.enter_context(safesocket.create_connection(address)) for _ in range(8)]
        for sock in kept[:3]:
            sock.close()
        monkeypatch.setattr(_descriptors, "_sysconf", lambda _: 1024)
        said = used_up(errno.EMFILE)
        assert re.match(r"\d+ of the 1,024 descriptors that this process may have", said)
        assert f", 5 of those to 127.0.0.1:{address[1]}: look for" in said
        monkeypatch.setattr(_descriptors, "MOST", len(_route.all_notes()) - 1)
        assert f", at least 4 of those to 127.0.0.1:{address[1]}: look" in used_up(errno.EMFILE)


def test_descriptors_of_the_whole_system():
    """ENFILE is about the system."""
    assert "the whole system" in used_up(errno.ENFILE)


@pytest.mark.parametrize("limit", [-1, OSError(errno.EINVAL, ""), ValueError()])
def test_descriptors_without_a_limit(monkeypatch, limit):
    """Where no limit is known nothing is said, and other errnos are not about descriptors."""

    def sysconf(_):
        if isinstance(limit, Exception):
            raise limit
        return limit

    monkeypatch.setattr(_descriptors, "_sysconf", sysconf)
    assert used_up(errno.EMFILE) is None
    assert used_up(errno.ENOBUFS) is None


def test_failures_of_another_sort_without_descriptors():
    """Where nothing can be opened, other failures keep their plain hints."""
    script = """
        import resource, socket as plain
        import safesocket as socket
        server = plain.create_server(("127.0.0.1", 0))
        sock = socket.socket()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        for _ in range(2):
            try:
                sock.bind(server.getsockname())
            except OSError as error:
                print(type(error).__name__, error.hint[:14])
    """
    assert printed(script).splitlines() == 2 * ["AddressInUseError another socket"]


# --- Nobody listens there, but elsewhere --------------------------------------------------------


@needs_ipv6
@pytest.mark.parametrize(
    ("listens", "asked"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("0.0.0.0", "::1")]
)
def test_refused_but_listened_on_elsewhere(listens, asked):
    """A listener on another address of this machine is pointed at."""
    family = AF_INET6 if ":" in listens else AF_INET
    with stdlib.create_server((listens, 0), family=family) as server:
        port = server.getsockname()[1]
        said = hint_of("connect", (asked, port), AF_INET6 if ":" in asked else AF_INET)
    there, here = (f"[{host}]" if ":" in host else host for host in (listens, asked))
    assert said == (
        f"a program listens on that port, but only on {there}:{port}: connect to that, or let it "
        f"listen on {here}:{port} as well"
    )


@needs_ipv6
def test_refused_but_listened_on_for_ipv6():
    """Of a listener on :: nobody can tell whether it is for IPv6 alone."""
    with stdlib.create_server(("::", 0), family=AF_INET6) as server:
        port = server.getsockname()[1]
        said = hint_of("connect", ("127.0.0.1", port))
    assert said == (
        f"a program listens on [::]:{port}, but not for IPv4, or it began after this attempt"
    )


def test_refused_create_connection():
    """create_connection tells it for each address that was tried, and for the whole."""
    with stdlib.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        with looking_up(("127.0.0.1", port), ("127.0.0.3", port)):
            error = raised_by(safesocket.create_connection, ("db.internal", port))
    for one in (error, *(attempt.error for attempt in error.attempts)):
        assert f"but only on 127.0.0.2:{port}" in one.hint


def test_refused_too_early():
    """A server that has begun to listen meanwhile is not said to be missing."""
    with stdlib.socket() as server, safesocket.socket() as sock:
        server.bind(("127.0.0.1", 0))
        with listening_after_the_refusal(server):
            said = hint(sock.connect, server.getsockname())
    assert said == (
        "a program listens there by now: this attempt came too early, or a firewall rejects it"
    )


@contextmanager
def listening_after_the_refusal(server):
    """Let *server* listen as soon as somebody looks who listens."""
    listeners = _proc.listeners

    def late(until):
        server.listen()
        return listeners(until)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_proc, "listeners", late)
        yield


def test_refused_again_and_again(monkeypatch):
    """That nobody listens is read once a second; that somebody does, each time anew."""
    moments, read = count(), []
    clock = iter(0.3 * moment for moment in moments)
    listeners = _proc.listeners
    monkeypatch.setattr(_ports, "now", clock.__next__)
    monkeypatch.setattr(_proc, "listeners", lambda until: read.append(1) or listeners(until))
    with stdlib.socket() as nobody, stdlib.create_server(("127.0.0.2", 0)) as server:
        nobody.bind(("127.0.0.1", 0))
        for _ in range(4):  # the clock is asked once a time, and once more when it is read
            assert hint_of("connect", nobody.getsockname()).startswith("nothing is listening")
        assert len(read) == 1
        for _ in range(3):
            hint_of("connect", ("127.0.0.1", server.getsockname()[1]))
        assert len(read) == 4


def test_refused_elsewhere_than_on_loopback():
    """Of other machines' ports this one knows nothing."""
    with netns.cable() as (here, there), here.run(stdlib.socket) as other:
        other.bind(("", 0))
        other.listen()
        said = here.run(hint_of, "connect", (there.hosts[0], other.getsockname()[1]))
    assert said.startswith("the host is up and answers, nothing is listening on that port")


# --- Addresses and routes -----------------------------------------------------------------------


def test_bind_to_an_address_of_others():
    """An address that this machine has not got: those that it has are named."""
    with netns.cable() as (here, _):
        four = here.run(hint_of, "bind", ("192.0.2.1", 0))
        six = here.run(hint_of, "bind", ("2001:db8::1", 0), AF_INET6)
    assert four == (
        "no interface of this machine has 192.0.2.1; its addresses are 10.77.0.1, 127.0.0.1, and "
        'the host "" stands for all of them'
    )
    assert six.startswith("no interface of this machine has 2001:db8::1; its addresses are ")
    assert "fd77::1" in six
    assert "::1," in six


def test_bind_to_an_address_that_is_not_ready():
    """An IPv6 address is not there before it is certain that nobody else has it."""
    with netns.cable() as (here, _):
        here.set("net/ipv6/conf/wire/dad_transmits", 100)
        here.ip("addr add fd77::9/64 dev wire")
        said = here.run(hint_of, "bind", ("fd77::9", 0), AF_INET6)
    assert said.startswith("wire has fd77::9, but it is tentative still")
    assert "after the interface has a link" in said  # without one it stays so


@needs_ipv6
def test_bind_to_an_address_that_is_there():
    """Where this machine has the address by now, it is not said to be missing."""
    for family, host in ((AF_INET, "127.0.0.1"), (AF_INET6, "::1")):
        route = Route(family, SOCK_STREAM, (host, 0), (host, 0))
        error = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        leaf = errors.AddressNotAvailableError
        assert _surroundings.finding(error, leaf, "bind", route) is None


@pytest.fixture
def without_ipv6():
    """A machine on which IPv6 is switched off, as in many containers."""
    with netns.machine() as machine:
        machine.set("net/ipv6/conf/all/disable_ipv6", 1)
        yield machine


@needs_ipv6
def test_ipv6_switched_off(without_ipv6):
    """Neither bind() nor connect() to ::1 can work, and the hint says why."""
    for operation in ("bind", "connect"):
        said = without_ipv6.run(hint_of, operation, ("::1", 80), AF_INET6)
        assert said == (
            "no interface of this machine has an IPv6 address: IPv6 is switched off, or not even "
            "the loopback is up"
        )


@needs_ipv6
def test_ipv6_without_loopback():
    """So where only the loopback interface has none."""
    with netns.cable() as (here, _):
        here.set("net/ipv6/conf/lo/disable_ipv6", 1)
        said = here.run(hint_of, "connect", ("::1", 80), AF_INET6)
    assert said == "the loopback interface has no ::1: IPv6 is switched off on it, or it is down"


def test_no_route():
    """A machine without a route says so, by family."""
    with netns.machine() as lonely:
        four = lonely.run(hint_of, "connect", ("192.0.2.1", 80))
        datagram = lonely.run(hint_of, "connect", ("192.0.2.1", 80), AF_INET, SOCK_DGRAM)
    with netns.cable() as (here, _):
        other = here.run(hint_of, "connect", ("192.0.2.1", 80))
        six = here.run(hint_of, "connect", ("2001:db8::1", 80), AF_INET6)
    assert (
        four
        == datagram
        == (
            "this machine has no IPv4 route to there, nor a default route: no interface is up and "
            "has an IPv4 address, except the loopback at most"
        )
    )
    assert other == "this machine has no IPv4 route to there, nor a default route"
    assert six == (
        "this machine has no IPv6 route to there, nor a default route: it may have no IPv6 at all; "
        "an IPv4 address of the host may be reached"
    )


def test_no_route_for_want_of_an_address():
    """An interface that is up may lack an address, or have one and no route, as of a tunnel."""
    no_route = "this machine has no IPv4 route to there, nor a default route"
    nobody = "no interface is up and has an IPv4 address"
    with netns.cable() as (here, _):
        for change, why in (
            ("addr flush dev wire", f": {nobody}, except the loopback at most"),
            ("addr add 10.77.0.1/32 dev wire", ""),
        ):
            here.ip(change)
            assert here.run(hint_of, "connect", ("192.0.2.1", 80)) == no_route + why


def test_route_that_leads_nowhere():
    """Where there is a route, the routing table is not blamed."""
    with netns.cable() as (here, there):
        here.ip(f"route add default via {there.hosts[0]}")
        here.ip(f"-6 route add default via {there.hosts[1]}")
        there.set("net/ipv4/ip_forward", 1)
        there.set("net/ipv6/conf/all/forwarding", 1)
        for family, host in ((AF_INET, "192.0.2.1"), (AF_INET6, "2001:db8::1")):
            said = here.run(hint_of, "connect", (host, 80), family)
            assert said.startswith("there is no way to that address from here"), host


def test_route_that_forbids():
    """Routes that reject on purpose are not taken for missing ones."""
    with netns.cable() as (here, _):
        said = {}
        for sort in ("unreachable", "blackhole"):
            here.ip(f"route add {sort} 192.0.2.0/24")
            said[sort] = here.run(hint_of, "connect", ("192.0.2.1", 80))
            here.ip(f"route delete {sort} 192.0.2.0/24")
    assert "a route of this machine" in said["unreachable"]
    assert said["blackhole"].startswith("a route of this machine discards what goes there")


def test_socket_that_is_bound_to_the_loopback():
    """Who is bound to 127.0.0.1 cannot talk to others, and the routes are not to blame."""
    with netns.cable() as (here, there):
        said = []
        for kind in (SOCK_STREAM, SOCK_DGRAM):
            with here.run(safesocket.socket, AF_INET, kind) as sock:
                sock.bind(("127.0.0.1", 0))
                said.append(here.run(hint, sock.connect, (there.hosts[0], 80)))
        source = {"timeout": GUARD, "source_address": ("127.0.0.1", 0)}
        connect = partial(safesocket.create_connection, (there.hosts[0], 80), **source)
        said.append(here.run(hint, connect))
    assert set(said) == {
        "this socket is bound to 127.0.0.1, from where only this machine can be reached: bind it "
        "to another address (source_address), or to none"
    }


@needs_ipv6
@pytest.mark.parametrize("address", [("fd77::2", 80), ("fe80::1%wire", 80), ("fe80::1", 80, 0, 9)])
def test_address_that_has_its_interface(address):
    """Only a link-local address that has none is told that it needs one."""
    error = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    route = Route(AF_INET6, SOCK_STREAM, address, address)
    leaf = errors.SocketOperationError
    assert _surroundings.finding(error, leaf, "connect", route) is None


@needs_ipv6
def test_link_local_address_without_its_interface():
    """fe80:: is on every interface: which is meant has to be said."""
    with netns.cable() as (here, _):
        said = here.run(hint_of, "connect", ("fe80::1", 80), AF_INET6)
    assert said == (
        "fe80::1 is a link-local address, the same on every interface: name the interface, as in "
        "'fe80::1%wire'"
    )


# --- Paths --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


unix = partial(hint_of, family=AF_UNIX)


def test_path_whose_directory_is_missing(folder):
    """The outermost directory that is missing is named."""
    assert unix("connect", f"{folder}/run/app/db.sock") == f"there is no directory {folder}/run"
    assert unix("bind", b"run/db.sock") == f"there is no directory run (seen from {folder})"


def test_path_whose_last_part_is_missing(folder):
    """The directory is there: the server may not be."""
    rest = ": check the name, and that the server which creates the socket file runs"
    said = unix("connect", f"{folder}/db.sock")
    assert said == f"the directory {folder} is there, but has no db.sock{rest}"
    said = unix("connect", "db.sock")
    here = f"(seen from {folder})"
    assert said == f"the current directory is there, but has no db.sock {here}{rest}"
    said = hint_of("connect", f"{folder}/db.sock", AF_UNIX, SOCK_DGRAM)
    assert said.startswith(f"the directory {folder} is there")


def test_path_that_is_a_link_to_nothing(folder):
    """A symbolic link that leads nowhere is told apart."""
    Path("link").symlink_to("gone")
    said = unix("connect", f"{folder}/link")
    assert "has no link but a symbolic link to gone, which is not there" in said


def test_path_with_characters_that_move_the_cursor(folder):
    """Names are printed escaped."""
    assert "\\x1b[2J" in unix("connect", "\x1b[2J/db.sock")


@contextmanager
def bound(path, listen=False, kind=SOCK_STREAM):
    """Yield a plain socket bound to *path*."""
    with stdlib.socket(AF_UNIX, kind) as sock:
        sock.bind(path)
        if listen:
            sock.listen()
        yield sock


def test_path_of_a_dead_server(folder):
    """A socket file without a server is told as such, also to a server that wants its place."""
    with bound("db.sock"):
        pass
    assert unix("connect", f"{folder}/db.sock") == (
        "the socket file is there, but no program listens on it: its server has ended and left it "
        "behind, or does not listen yet"
    )
    said = unix("bind", f"{folder}/db.sock")
    assert said.startswith("the socket file is there, and no program on this machine shows")


def test_path_of_no_socket(folder):
    """A file or a directory is not a socket, and is not replaced by one."""
    Path("file").touch()
    Path("dir").mkdir()
    Path("link").symlink_to("file")
    os.mkfifo("fifo")
    assert unix("connect", "file") == "what is at that path is a file, not a socket"
    assert unix("connect", "dir") == "what is at that path is a directory, not a socket"
    assert unix("connect", "fifo") == "what is at that path is a special file, not a socket"
    assert unix("bind", "link").startswith("the path is taken by a symbolic link: bind() makes")


@pytest.mark.parametrize("relative", [False, True])
def test_path_of_a_living_server(folder, relative):
    """The process that has the path is named, however it calls the path."""
    name = "db.sock" if relative else f"{folder}/db.sock"
    deed = f"""os.chdir({str(folder)!r})
sock = socket.socket(socket.AF_UNIX); sock.bind({name!r}); sock.listen()"""
    with another_process(deed) as pid:
        said = unix("bind", f"{folder}/db.sock")
    assert said == f"holder (pid {pid}, user {ME}) has a socket of that path already"


@needs_root
def test_path_of_a_server_that_sees_other_files(folder):
    """What a process with a file system of its own calls so need not be what is here."""
    deed = f"""import ctypes
assert ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS
sock = socket.socket(socket.AF_UNIX); sock.bind({str(folder / "db.sock")!r}); sock.listen()"""
    with another_process(deed):
        assert unix("bind", f"{folder}/db.sock").startswith("the path exists already")


def test_path_that_has_been_renamed(folder):
    """A server may make its socket file under another name: nobody says that it is dead."""
    with bound("db.new", listen=True):
        os.rename("db.new", "db.sock")
        said = unix("bind", "db.sock")
    assert "its server has renamed it" in said


def test_path_of_this_process(folder):
    """So is this process itself."""
    with bound("db.sock", listen=True):
        assert unix("bind", "db.sock") == "this process itself has a socket of that path already"


def test_path_of_a_server_that_lives_elsewhere(folder):
    """A server that calls another file so is not taken for the one that is here."""
    (folder / "other").mkdir()
    with bound("db.sock"):
        pass
    with bound("other/db.sock"):
        assert unix("bind", f"{folder}/db.sock").startswith("the path exists already")


def test_abstract_name_that_nobody_has():
    """Nor has a name that is no path any directories."""
    assert unix("connect", "\0safesocket-nobody").startswith("no program listens under that name")


def test_abstract_name_in_use():
    """Of a name that is no path the process is named, too."""
    name = f"\0safesocket-{os.getpid()}"
    with bound(name):
        assert unix("bind", name) == "this process itself has that name already"


@needs_root
def test_path_that_is_not_permitted(folder):
    """EACCES names owner, group and mode of what forbids it."""
    folder.chmod(0o755)
    for above in folder.parents[:-2]:
        above.chmod(above.stat().st_mode | 0o011)
    with bound("db.sock", listen=True):
        Path("db.sock").chmod(0o700)
        whose = "its owner is root, its group root, its mode srwx------, and this process runs as "
        with as_nobody():
            said = unix("connect", f"{folder}/db.sock")
        what = f"this process may not write to the socket file {folder}/db.sock"
        assert said == f"{what}: {whose}{name_of(NOBODY)}"
        with as_nobody():
            said = unix("bind", f"{folder}/new.sock")
        assert said.startswith(f"this process may not create files in the directory {folder}: its")
        folder.chmod(0o700)
        with as_nobody():
            said = unix("connect", f"{folder}/db.sock")
        assert said.startswith(f"this process may not enter the directory {folder}: its owner is")


# --- Names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://example.com/x", "that is a URL, not a host name: the host alone is 'example.com'"),
        (
            "https://user:secret@example.com:8443/x?y#z",
            "that is a URL, not a host name: the host alone is 'example.com' and the port 8443",
        ),
        (
            "http://[::1]:80/",
            "that is a URL, not a host name: the host alone is '::1' and the port 80",
        ),
        (
            "example.com/x",
            "that is part of a URL, not a host name: the host alone is 'example.com'",
        ),
        (
            "me@example.com",
            "that is part of a URL, not a host name: the host alone is 'example.com'",
        ),
        ("example.com:80", "the port is glued on: pass it by itself, ('example.com', 80)"),
        (b"example.com:80", "the port is glued on: pass it by itself, ('example.com', 80)"),
        ("10.0.0.1:80", "the port is glued on: pass it by itself, ('10.0.0.1', 80)"),
        ("[::1]:80", "the port is glued on: pass it by itself, ('::1', 80)"),
        ("[::1]", "an IPv6 address stands here without brackets: '::1'"),
        ("1::2::3", "a host name has no colons, and as an IPv6 address it is not well-formed"),
        ("fe80::1%no", "the part behind the % has to be an interface of this machine: 'no'"),
        (
            "example.com\n",
            "there are blanks or line ends around the host name: it is 'example.com'",
        ),
        ("exa mple.com", "a host name cannot have the character ' ' (U+0020) in it"),
        ("exa\x1bmple", "a host name cannot have the character '\\x1b' (U+001B) in it"),
        ("one,two", "that is several host names: they are looked up one at a time"),
        (
            "/run/db.sock",
            "that is a path, not a host name: a socket file needs a socket of the family AF_UNIX",
        ),
        ("300.0.0.1", "that is no IPv4 address: it takes four numbers from 0 to 255"),
        (64 * "x" + ".com", "the host name is too long: 63 characters a part, 253 in all"),
        ("ex\u0430mple.com", "check the spelling: '\u0430' (U+0430) in the host name is not ASCII"),
    ],
)
def test_name_that_is_odd(name, said):
    """What cannot be a host name is told as what it is. (The look-up asks nobody: numbers only.)"""
    with pytest.raises((errors.HostNotFoundError, UnicodeError)) as it:
        safesocket.getaddrinfo(name, 80, flags=stdlib.AI_NUMERICHOST)
    if isinstance(it.value, OSError):
        assert it.value.hint == said
    assert _hostnames.oddity(name, is_unknown=True) == said  # some names C never sees


@pytest.mark.parametrize(
    "name",
    ["example.com", "example.com.", "localhost", "a-b_c.internal", "127.1", "::1", None, 5, ""],
)
def test_name_that_is_not_odd(name):
    """Nothing is said against a name that may be one."""
    assert _hostnames.oddity(name, is_unknown=True) is None


def test_name_with_an_empty_part():
    """A name with an empty part gets as far as the look-up in connect()."""
    assert hint_of("connect", ("a..internal", 80)).startswith("a part of the host name is empty")


def test_spelling_is_no_matter_where_the_name_is_not_unknown():
    """Letters that are not ASCII are not blamed for a dead name server."""
    assert _hostnames.oddity("ex\u00e4mple.com", is_unknown=False) is None


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        (
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch corp.example lab.example\n",
            "this machine's name servers are 192.0.2.1, 192.0.2.2, and a name without dots is "
            "completed with corp.example, lab.example",
        ),
        (
            "# by hand\ndomain x\nnameserver 127.0.0.53\n",
            "this machine's name server is 127.0.0.53 (systemd-resolved, which asks others: "
            "resolvectl status), and a name without dots is completed with x",
        ),
        (
            "nameserver \x1b[2J\nnameserver\n",
            "this machine's name server is \\x1b[2J, with no search domain to complete a name "
            "without dots",
        ),
        ("", "no name server is configured in /etc/resolv.conf"),
        (None, "no name server is configured in /etc/resolv.conf"),
    ],
)
def test_name_servers(configured, said, tmp_path, monkeypatch):
    """A name that is not found: which name servers are asked, and how it is completed."""
    if configured is not None:
        (tmp_path / "resolv.conf").write_text(configured)
    monkeypatch.setattr(_proc, "ETC", str(tmp_path))
    find = partial(safesocket.getaddrinfo, "database", 80, flags=stdlib.AI_NUMERICHOST)
    assert hint(find).endswith(f"(VPN, resolv.conf); {said}")


def test_name_server_that_fails():
    """A real name server that fails is named."""
    if nameserver.trouble_with_networks():
        pytest.skip(nameserver.trouble_with_networks())
    with nameserver.network() as name:
        process = nameserver.run_in(
            name,
            """
            for look_up in (socket.gethostbyname, lambda host: socket.socket().connect((host, 1))):
                try:
                    look_up("fail.example")
                except errors.ResolverError as error:
                    print(error.hint.partition("; ")[2])
            """,
        )
    said = "this machine's name server is 127.0.0.1\n"
    assert (process.stdout, process.stderr) == (2 * said, "")


def test_name_that_has_addresses_of_another_family_only():
    """A name that is there is not said to have no address: it has none of the family asked for."""
    if nameserver.trouble_with_networks():
        pytest.skip(nameserver.trouble_with_networks())
    with nameserver.network() as name:
        process = nameserver.run_in(
            name,
            """
            for look_up, host in (
                (lambda host: socket.getaddrinfo(host, 1, socket.AF_INET6), "there.test"),
                (lambda host: socket.socket(socket.AF_INET6).connect((host, 1)), "there.test"),
                (lambda host: socket.socket().connect((host, 1)), "gone.test"),
                (socket.gethostbyname, "gone.test"),
                (lambda host: socket.getaddrinfo(host, 1), "gone.test"),
            ):
                try:
                    look_up(host)
                except errors.HostNotFoundError as error:
                    print(error.hint.partition(":")[0])
            """,
        )
    none = "no {}address is known for this host name"
    others = f"{none}, which may have others"
    said = [*2 * [others.format("IPv6 ")], *2 * [others.format("IPv4 ")], none.format("")]
    assert (process.stdout.splitlines(), process.stderr) == (said, "")


# --- Hosts that may not be shown ----------------------------------------------------------------

HIDDEN = """
    import os, socket as plain, tempfile
    import safesocket as socket
    socket.configure(redact=lambda host: f"<{len(host)}>")

    def show(call, *args):
        try:
            call(*args)
        except OSError as error:
            print(error.hint)

    server = plain.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    show(socket.create_server, ("127.0.0.1", port))
    show(socket.create_connection, ("127.0.0.2", port))
    show(socket.socket().bind, ("192.0.2.1", 0))
    show(socket.socket(socket.AF_INET6).connect, ("fe80::1", 80))
    show(socket.getaddrinfo, "http://database.internal/", 80, 0, 0, 0, socket.AI_NUMERICHOST)
    show(socket.getaddrinfo, "database.internal", 80, 0, 0, 0, socket.AI_NUMERICHOST)
    os.chdir(tempfile.mkdtemp(suffix="database.internal"))
    for path in (os.path.abspath("database.internal"), "database.internal/x", "database.internal"):
        show(socket.socket(socket.AF_UNIX).connect, path)
    os.rmdir(os.getcwd())
    show(socket.socket(socket.AF_UNIX).connect, "database.internal")
    kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(9)]
    import resource
    most = 1 + max(sock.fileno() for sock in kept)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    while True:
        try:
            os.dup(0)
        except OSError:
            break
    show(socket.socket)
"""


def test_hosts_are_shown_as_they_may_be():
    """What configure(redact=) makes of hosts is all that a hint says of them."""
    said = printed(HIDDEN)
    assert len(said.splitlines()) == 11
    assert not re.search(r"127\.0|192\.0|fe80|database|::", said), said
    assert "<9>" in said


# --- Never wrong, never long, never a failure ---------------------------------------------------


@pytest.fixture
def own_proc(tmp_path, monkeypatch):
    """A folder in the place of /proc, with tables as the kernel writes them."""
    shutil.copytree(
        "/proc/thread-self/net",
        tmp_path / "thread-self/net",
        symlinks=True,
        ignore=lambda _, names: set(names) - {"tcp", "tcp6", "unix", "route"},
    )
    monkeypatch.setattr(_proc, "ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("table", ["tcp", "unix"])
@pytest.mark.parametrize(
    "garbage", [b"\0\xff" * 5000, b"\n\n\n", b"0: zz:00 :\n", b"1 2 3 4 5 6 7 8 9 10\n", b""]
)
def test_garbage_in_proc(own_proc, table, garbage, folder):
    """Whatever the tables hold, the error is what it is, with a plain hint."""
    with bound("db.sock"), stdlib.create_server(("127.0.0.1", 0)) as server:
        for name in ("tcp", "tcp6", "unix"):
            (own_proc / "thread-self/net" / name).write_bytes(b"heading\n" + garbage)
        port = server.getsockname()[1]
        (own_proc / "thread-self/net" / table).write_bytes(garbage + b" 0: 1:%04X 2\n" % port)
        assert hint_of("bind", ("127.0.0.1", port)).startswith(plain(errors.AddressInUseError))
        assert hint_of("connect", ("127.0.0.2", port)).startswith("nothing is listening")
        assert unix("bind", "db.sock").startswith(("the path exists", "the socket file"))


def test_without_proc(monkeypatch, folder):
    """Where there is no /proc, as on other systems, every hint is the plain one."""
    monkeypatch.setattr(_proc, "ROOT", "/nowhere")
    with bound("db.sock"), stdlib.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hint_of("bind", ("127.0.0.1", port)).startswith(plain(errors.AddressInUseError))
        assert hint_of("connect", ("127.0.0.2", port)).startswith("nothing is listening")
        assert unix("bind", "db.sock").startswith("the path exists already")
    with netns.machine() as machine:
        said = machine.run(hint_of, "connect", ("192.0.2.1", 80))
        assert said.startswith("there is no way to that address")


def test_holder_that_vanishes(own_proc):
    """Processes and descriptors that end while they are looked through are passed over."""
    shutil.copy("/proc/thread-self/net/tcp", own_proc / "thread-self/net/tcp")
    with stdlib.create_server(("127.0.0.1", 0)) as server:
        shutil.copy("/proc/thread-self/net/tcp", own_proc / "thread-self/net/tcp")
        inode = os.fstat(server.fileno()).st_ino
        (own_proc / "11/fd").mkdir(parents=True)
        (own_proc / "11/fd/0").touch()  # no link
        (own_proc / "12").mkdir()  # no descriptors
        (own_proc / "13/fd").mkdir(parents=True)
        (own_proc / "13/fd/5").symlink_to(f"socket:[{inode}]")
        (own_proc / "13/status").write_text("Name:\tgone\x1b\nUid:\t0\t4711\t0\t0\n")
        said = hint_of("bind", server.getsockname())
    assert said.startswith("gone\\x1b (pid 13, user 4711) listens on 127.0.0.1:")


@pytest.mark.parametrize("status", [None, b"", b"Name:\nUid:\n", b"\xff" * 9000])
def test_holder_without_a_name(own_proc, status):
    """A process of which nothing is shown does no harm."""
    with stdlib.create_server(("127.0.0.1", 0)) as server:
        shutil.copy("/proc/thread-self/net/tcp", own_proc / "thread-self/net/tcp")
        inode = os.fstat(server.fileno()).st_ino
        (own_proc / "13/fd").mkdir(parents=True)
        (own_proc / "13/fd/5").symlink_to(f"socket:[{inode}]")
        if status is not None:
            (own_proc / "13/status").write_bytes(status)
        said = hint_of("bind", server.getsockname())
    assert said.startswith(plain(errors.AddressInUseError))


MANY = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
null = os.open("/dev/null", os.O_RDONLY)
for _ in range({0} - 100):
    os.dup(null)
sock = socket.create_server(("127.0.0.1", {1}))
"""


def most_descriptors():
    """Return how many descriptors a process may have here, 20,000 at most."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20_000)


def test_look_ends_in_time(monkeypatch):
    """Where the holder is among very many descriptors, the look ends before it is found."""
    most = most_descriptors()
    with stdlib.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    with another_process(MANY.format(most, address[1])) as pid:
        monkeypatch.setattr(_surroundings, "BUDGET", 0.005)
        with within(0.005):
            said = hint_of("bind", address)
        assert said.startswith((f"a process of user {ME} (as", "another socket holds"))
        monkeypatch.setattr(_surroundings, "BUDGET", GUARD)
        assert f"pid {pid}" in hint_of("bind", address)


def test_look_is_not_as_long_as_a_list_of_descriptors():
    """Of very many descriptors only as many are listed as there is time for."""

    def took(call, *args):
        started = time.perf_counter()
        call(*args)
        return time.perf_counter() - started

    def looked():
        with pytest.raises(_proc.UnseenError):
            _proc.holder(1, now() + listing / 20)

    with another_process(MANY.format(most_descriptors(), 0)) as pid:
        listing = min(took(os.listdir, f"/proc/{pid}/fd") for _ in range(3))
        assert min(took(looked) for _ in range(5)) < listing / 2


def test_no_time_at_all(monkeypatch, folder):
    """Without any time nothing is said that is not so."""
    monkeypatch.setattr(_surroundings, "BUDGET", 0.0)
    with bound("db.sock"), stdlib.create_server(("127.0.0.1", 0)) as server:
        assert hint_of("bind", server.getsockname()).startswith(plain(errors.AddressInUseError))
        assert unix("bind", "db.sock").startswith("the path exists already")


@pytest.mark.parametrize("most", range(30))
def test_tables_are_read_to_their_end(most):
    """However many rows there are, the last one is seen; the end is known without asking."""

    def shown():
        with ExitStack() as stack:
            ports = {stack.enter_context(listening()).getsockname()[1] for _ in range(most)}
            with open("/proc/thread-self/net/tcp", "rb") as table:
                whole = table.read().splitlines()
            lines = list(_proc.of_network("tcp", LATER))
            return len(whole), len(lines), {port for _, port in _proc.listeners(LATER)} == ports

    with netns.machine() as machine:
        assert machine.run(shown) == (most + 1, most + 1, True)


def test_long_table_is_read_to_its_end():
    """So it is with a table of many pages."""
    with netns.machine() as machine:

        def shown():
            with ExitStack() as stack:
                for number in range(400):
                    bound_to = (f"127.0.0.{number % 250 + 1}", 5000 + number)
                    stack.enter_context(stdlib.create_server(bound_to))
                return len(_proc.listeners(LATER)), len(list(_proc.of_network("tcp", LATER)))

        assert machine.run(shown) == (400, 401)


def test_looks_leak_nothing():
    """Neither descriptors nor cycles are left of looks."""
    with stdlib.create_server(("127.0.0.1", 0)) as server, safesocket.socket() as sock:
        port = server.getsockname()[1]
        raised_by(sock.bind, server.getsockname())
        before = descriptors()
        gc.disable()
        try:
            gc.collect()
            for _ in range(20):
                raised_by(sock.bind, ("127.0.0.1", port))
            assert gc.collect() == 0
        finally:
            gc.enable()
        assert descriptors() == before


class Stop(Exception):
    """What a handler of a signal raises."""


@pytest.mark.parametrize("kind", [Stop, TimeoutError, KeyboardInterrupt])
def test_signal_during_a_look(kind, monkeypatch):
    """What a handler of a signal raises in the middle of a look is not taken for the look's."""

    def handler(*_):
        raise kind("the program's")

    def read(*args):
        signal.raise_signal(signal.SIGUSR1)
        return os.read(*args)

    previous = signal.signal(signal.SIGUSR1, handler)
    monkeypatch.setattr(_proc, "_read", read)
    try:
        with stdlib.create_server(("127.0.0.1", 0)) as server, safesocket.socket() as sock:
            before = descriptors()
            with pytest.raises(kind, match="the program's"):
                sock.bind(server.getsockname())
            assert descriptors() == before
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_audit_hook_that_forbids_files():
    """A hook that lets nobody open files does not come in the place of the error."""
    script = """
        import sys
        import safesocket as socket
        server = socket.create_server(("127.0.0.1", 0))
        sock, again = socket.socket(), socket.socket()
        def hook(event, args):
            if event in ("open", "os.scandir", "import"):
                raise forbidden("no files")
        sys.addaudithook(hook)
        for forbidden in (RuntimeError, PermissionError, FileNotFoundError):
            try:
                sock.bind(server.getsockname())
            except OSError as error:
                print(type(error).__name__, error.hint[:14])
    """
    assert printed(script).splitlines() == 3 * ["AddressInUseError another socket"]
