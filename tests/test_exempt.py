"""install(exempt=...): code and peers that are left alone, or have limits of their own."""

from __future__ import annotations

import copy
import importlib
import pickle
import socket
import sys

import pytest

import safesocket
from safesocket import Exemption, Timeouts, deadline, errors, testing
from tests.helpers import GUARD, LIMIT, calling, garbage, still_waits, waits_for_ever, within

pytestmark = pytest.mark.usefixtures("as_before")

OWN = 2 * LIMIT

CLIENT = """
import socket
from socket import create_connection

def open_connection(address, **options):
    return create_connection(address, **options)

def ask(sock):
    return sock.recv(1)

def serve(address):
    return socket.create_server(address)

def limits_of(get_timeouts, sock):
    return get_timeouts(sock)

def look_up(host):
    return socket.getaddrinfo(host, 6379)

def connect(address):
    with socket.socket() as sock:
        sock.connect(address)

def call(function, *args):
    return function(*args)
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package somelib with a module client, as it might have been installed."""
    package = tmp_path / "somelib"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "client.py").write_text(CLIENT)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("somelib.client")
    for name in ("somelib", "somelib.client"):
        sys.modules.pop(name, None)


def times_out(call, *args, limit=LIMIT, source="configure", kind=errors.ReadTimeoutError):
    with within(limit, at_least=limit), pytest.raises(kind) as it:
        call(*args)
    assert (it.value.timeout, it.value.timeout_source) == (limit, source)


@pytest.mark.parametrize("rule", ["somelib", "somelib.*", "somelib.client", "some*"])
def test_exempt_module(library, rule):
    """The calls of a module wait as long as the stdlib's; those of others on its socket do not."""
    with testing.never_answers() as address, safesocket.installed(exempt=[rule]):
        safesocket.configure(read=LIMIT)
        with library.open_connection(address) as sock:
            times_out(sock.recv, 1)
            assert waits_for_ever(lambda: library.ask(sock), lambda: sock.shutdown(0))


@pytest.mark.parametrize("rule", ["other", "lib", "somelib.cl", "somelib.client.*.*", "omelib*"])
def test_exempt_another_module(library, rule):
    """A rule for something else is no rule for this."""
    with testing.never_answers() as address, safesocket.installed(exempt=[rule]):
        safesocket.configure(read=LIMIT)
        with library.open_connection(address) as sock:
            times_out(library.ask, sock)


def test_exempt_module_up_the_stack(library):
    """What an exempt module calls is exempt with it."""
    with testing.never_answers() as address, safesocket.installed(exempt=["somelib"]):
        safesocket.configure(read=LIMIT)
        with socket.create_connection(address) as sock:
            times_out(sock.recv, 1)
            assert waits_for_ever(
                lambda: library.call(sock.recv, 1), lambda: sock.shutdown(socket.SHUT_RD)
            )


def test_exempt_module_connects(library):
    """Connecting has no limit, either."""
    with (
        testing.never_accepts() as address,
        safesocket.installed(exempt=["somelib"]),
        socket.socket() as sock,
    ):
        safesocket.configure(connect=LIMIT)
        with calling(library.call, sock.connect_ex, address) as future:
            assert still_waits(future)
            sock.shutdown(socket.SHUT_RDWR)
            future.result(GUARD)


def test_exempt_with_a_caller_that_has_no_name():
    """Code may run in namespaces without a name, or with an odd one."""
    with testing.never_answers() as address, safesocket.installed(exempt=["somelib"]):
        safesocket.configure(read=LIMIT)
        with socket.create_connection(address) as sock:
            for namespace in ({"__name__": None}, {"__name__": 5}, {}):
                times_out(eval("lambda sock: sock.recv(1)", namespace), sock)


def test_exempt_module_sees_the_stdlibs_errors(library):
    """Errors of exempt code are the stdlib's, class and text."""
    with testing.refuses() as address, safesocket.installed(exempt=["somelib"]):
        for call in (library.connect, library.open_connection):
            with pytest.raises(OSError, match="refused") as it:
                call(address)
            assert type(it.value) is ConnectionRefusedError
        with pytest.raises(socket.gaierror) as it:
            library.look_up("host.invalid")
        assert type(it.value) is socket.gaierror
        with pytest.raises(OSError, match="while attempting to bind") as it:
            library.serve(address)
        assert type(it.value) is OSError
        with pytest.raises(errors.ConnectRefusedError):
            socket.create_connection(address)


def test_exempt_module_races(library, monkeypatch):
    """So are they where several addresses are tried at the same time."""
    with testing.refuses() as (_, port):
        hosts = ("127.0.0.1", "127.0.0.2")
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in hosts]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        with safesocket.installed(exempt=["somelib"]):
            with pytest.raises(ConnectionRefusedError) as it:
                library.open_connection(("two.test", port))
            assert type(it.value) is ConnectionRefusedError
            with pytest.raises(errors.ConnectRefusedError):
                socket.create_connection(("two.test", port))


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (errors.ReadTimeoutError, lambda library, address, sock: library.ask(sock)),
        (errors.ResolveTimeoutError, lambda library, *_: library.look_up("host.invalid")),
        (errors.ConnectTimeoutError, lambda library, address, _: library.open_connection(address)),
    ],
    ids=["read", "look-up", "connect"],
)
def test_exempt_module_within_a_deadline(library, kind, call):
    """A deadline, which the program has asked for, cuts exempt code, too, and says so."""
    with (
        testing.never_answers() as address,
        safesocket.installed(exempt=["somelib"]),
        socket.create_connection(address) as sock,
        deadline(0),
        pytest.raises(kind) as it,
    ):
        call(library, address, sock)
    assert (it.value.timeout_source, it.value.timeout) == ("deadline", 0.0)


def test_exempt_module_with_limits_of_its_own(library):
    """With limits, they apply in place of the process's, and errors are safesocket's."""
    rule = Exemption("somelib", limits=Timeouts(read=OWN))
    with testing.never_answers() as address, safesocket.installed(exempt=[rule]):
        safesocket.configure(read=LIMIT)
        with library.open_connection(address) as sock:
            times_out(library.ask, sock, limit=OWN, source="exempt")
            times_out(sock.recv, 1)
            assert library.limits_of(safesocket.get_timeouts, sock).read == OWN
            assert safesocket.get_timeouts(sock).read == LIMIT


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "local*", "127.0.0.1", "127.*"])
def test_exempt_host(host):
    """A host, by the name that was asked for or by its address, by whoever connects to it."""
    rules = [Exemption(host=host)]
    with testing.never_answers() as (_, port), safesocket.installed(exempt=rules):
        safesocket.configure(read=LIMIT)
        with socket.create_connection(("localhost", port)) as sock, socket.socket() as other:
            other.connect(("localhost", port))
            for one in (sock, other):
                assert waits_for_ever(lambda one=one: one.recv(1), lambda one=one: one.shutdown(0))


def test_exempt_host_that_never_accepts():
    """Connecting to an exempt host by its name has the limit of the rule."""
    rules = [Exemption(host="localhost", limits=Timeouts(connect=OWN))]
    with testing.never_accepts() as (_, port), safesocket.installed(exempt=rules):
        safesocket.configure(connect=LIMIT)
        with socket.socket() as sock:
            for call in (socket.create_connection, sock.connect):
                times_out(
                    call,
                    ("localhost", port),
                    limit=OWN,
                    source="exempt",
                    kind=errors.ConnectTimeoutError,
                )


def test_exempt_host_left_alone_by_create_connection(monkeypatch):
    """Connecting to an exempt host by its name has no limit, at none of its addresses."""
    made = []

    class Seen(socket.socket):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(socket, "socket", Seen)
    rules = [Exemption(host="localhost")]
    with testing.never_accepts() as (_, port), safesocket.installed(exempt=rules):
        safesocket.configure(connect=LIMIT)
        made.clear()
        with calling(socket.create_connection, ("localhost", port)) as future:
            assert still_waits(future)
            made[-1].shutdown(socket.SHUT_RDWR)
            assert not isinstance(future.exception(GUARD), errors.SafeSocketError)
    monkeypatch.undo()


def test_exempt_another_host():
    """A rule for another host is no rule for this."""
    rules = [Exemption(host="db.internal"), Exemption(host="10.*"), Exemption(host="localhos")]
    with testing.never_answers() as (_, port), safesocket.installed(exempt=rules):
        safesocket.configure(read=LIMIT)
        with socket.create_connection(("localhost", port)) as sock:
            times_out(sock.recv, 1)


def test_exempt_port():
    """A port; a rule with limits of its own for one that never accepts."""
    with testing.never_accepts() as address:
        rules = [
            Exemption(port=address[1], limits=Timeouts(connect=OWN)),
            Exemption(port=address[1] ^ 1),
        ]
        with safesocket.installed(exempt=rules):
            safesocket.configure(connect=LIMIT)
            with socket.socket() as sock:
                times_out(
                    sock.connect,
                    address,
                    limit=OWN,
                    source="exempt",
                    kind=errors.ConnectTimeoutError,
                )
            times_out(
                socket.create_connection,
                address,
                limit=OWN,
                source="exempt",
                kind=errors.ConnectTimeoutError,
            )


def test_exempt_all_that_is_given_must_match(library):
    """Module, host and port of one rule are together; the first rule that matches counts."""
    with testing.never_answers() as address:
        rules = [
            Exemption("somelib", host="elsewhere"),
            Exemption("somelib", port=address[1], limits=Timeouts(read=OWN)),
            Exemption("somelib"),
        ]
        with safesocket.installed(exempt=rules), library.open_connection(address) as sock:
            safesocket.configure(read=LIMIT)
            times_out(library.ask, sock, limit=OWN, source="exempt")
            times_out(sock.recv, 1)


def assert_bare_timeout(call, *args):
    with within(LIMIT, at_least=LIMIT), pytest.raises(TimeoutError) as it:
        call(*args)
    assert (type(it.value), str(it.value)) == (TimeoutError, "timed out")


def test_exempt_and_the_limits_of_a_socket(library):
    """settimeout and set_timeouts, said of one socket, go first."""
    with testing.never_answers() as address, safesocket.installed(exempt=["somelib"]):
        with library.open_connection(address) as sock:
            safesocket.set_timeouts(sock, read=LIMIT)
            assert_bare_timeout(library.ask, sock)
        with library.open_connection(address, timeout=LIMIT) as sock:
            assert_bare_timeout(library.ask, sock)


def test_exempt_ends_with_uninstall(library):
    """After uninstall() nothing is exempt any more, for the drop-in neither."""
    with safesocket.installed(exempt=["somelib"]):
        pass
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        safesocket.configure(read=LIMIT)
        times_out(library.ask, sock)


def test_exempt_drop_in(library):
    """The drop-in's sockets in exempt code are exempt as well."""
    with testing.never_answers() as address, safesocket.installed(exempt=["somelib"]):
        safesocket.configure(read=LIMIT)
        with safesocket.create_connection(address) as sock, calling(library.ask, sock) as future:
            assert still_waits(future)
            sock.shutdown(socket.SHUT_RD)
            future.result(GUARD)


# The values.


@pytest.mark.parametrize(
    ("args", "options", "kind", "named"),
    [
        ((), {}, ValueError, "an Exemption needs a module, a host or a port"),
        ((), {"limits": Timeouts()}, ValueError, "an Exemption needs"),
        ((5,), {}, TypeError, "module must be str"),
        ((b"redis",), {}, TypeError, "module must be str"),
        ((), {"host": 5}, TypeError, "host must be str"),
        ((), {"port": "6379"}, TypeError, "port must be int"),
        ((), {"port": True}, TypeError, "port must be int"),
        (("redis",), {"limits": 5}, TypeError, "limits must be Timeouts"),
        (("redis", "host"), {}, TypeError, "positional"),
    ],
)
def test_exemption_with_bad_arguments(args, options, kind, named):
    """What cannot be is refused by name."""
    with pytest.raises(kind, match=named):
        Exemption(*args, **options)


def test_exemption_compares_and_shows():
    """Exemptions are values."""
    one = Exemption("redis.*", port=6379, limits=Timeouts(read=5))
    assert one == Exemption("redis.*", port=6379, limits=Timeouts(read=5))
    assert one != Exemption("redis.*", port=6379)
    assert one != "redis.*"
    assert len({one, Exemption("redis.*", port=6379, limits=Timeouts(read=5))}) == 1
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert repr(Exemption("redis", host="db")) == "Exemption(module='redis', host='db')"


def test_exempt_refusal_leaves_no_garbage(library):
    """What exempt code is refused within a deadline is the stdlib's error, and in no cycle."""

    def fail():
        try:
            with deadline(GUARD):
                library.connect(address)
        except ConnectionRefusedError as exc:  # pytest.raises() would be a cycle itself
            kinds.add(type(exc))

    kinds = set()
    with testing.refuses() as address, safesocket.installed(exempt=["somelib"]):
        fail()
        assert garbage(fail) == 0
    assert kinds == {ConnectionRefusedError}
