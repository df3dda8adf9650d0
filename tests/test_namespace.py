"""Putting ``import safesocket as socket`` where ``import socket`` stood changes nothing else.

Every name is there, what is not made safer is the very same object, and what is has the same
signature, makes the same things and bears the same monkeypatching.
"""

from __future__ import annotations

import _socket
import asyncio
import copy
import inspect
import io
import os
import pickle
import re
import socket
import sys
from contextlib import ExitStack, closing
from functools import partial
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM
from types import FunctionType, ModuleType

import pytest

import safesocket
from safesocket import testing
from tests.helpers import GUARD, LIMIT, ROOT, needs_ipv6, printed, tcp_pair

#: What is not the stdlib's own object: look-ups, the class, and what makes sockets.
SAFER = {
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getfqdn",
    "getnameinfo",
    "socket",
    "SocketIO",
    "create_connection",
    "create_server",
    "dup",
    "fromfd",
    "fromshare",
    "has_dualstack_ipv6",
    "socketpair",
    "_fallback_socketpair",
}
OF_THE_MODULE = {name for name in vars(ModuleType("any")) if name != "__dict__"} | {
    "__all__",
    "__builtins__",
    "__cached__",
    "__file__",
}
NAMES = sorted(vars(socket).keys() - OF_THE_MODULE)

both = pytest.mark.parametrize("module", [socket, safesocket], ids=lambda module: module.__name__)


# Names.


def test_every_name_is_there():
    """Every name of the running stdlib's socket is one of ours, private names too."""
    of_python = {"__cached__", "__warningregistry__"}  # the latter once it has warned there
    assert vars(socket).keys() - of_python <= vars(safesocket).keys()


def test_same_objects():
    """What is not made safer is the very same object."""
    ours = {name for name in NAMES if getattr(safesocket, name) is not getattr(socket, name)}
    assert ours == SAFER & set(NAMES)


@pytest.mark.parametrize("name", sorted(SAFER & set(NAMES)))
def test_made_safer(name):
    """What is made safer is ours, and the stdlib's own is where it was."""
    ours = getattr(safesocket, name)
    assert ours is not getattr(socket, name)
    assert getattr(socket, name).__module__ in ("socket", "_socket")
    assert ours.__module__.partition(".")[0] == "safesocket"
    assert ours.__name__ == ours.__qualname__ == name


def test_sentinel():
    """The timeout that says "none was given" is the stdlib's: other modules compare it."""
    assert safesocket._GLOBAL_DEFAULT_TIMEOUT is socket._GLOBAL_DEFAULT_TIMEOUT


def test_star_import():
    """``from safesocket import *`` brings what the stdlib's brings, and what is only ours."""
    names = {}
    exec("from safesocket import *", names)
    brought = names.keys() - {"__builtins__"}
    assert brought == set(safesocket.__all__)
    assert brought - set(socket.__all__) == {
        "Exemption",
        "FOREVER",
        "InstallError",
        "Installation",
        "Report",
        "SocketIO",
        "Timeouts",
        "Wait",
        "configure",
        "deadline",
        "errors",
        "get_timeouts",
        "install",
        "installed",
        "is_installed",
        "profile",
        "remaining",
        "set_timeouts",
        "timeouts",
        "uninstall",
        "waiting",
    }
    assert len(safesocket.__all__) == len(brought)
    assert names["socket"] is safesocket.socket


def test_unknown_name():
    """A name that neither has is an AttributeError that names the module and it."""
    with pytest.raises(AttributeError, match="module 'safesocket' has no attribute 'no_such_name'"):
        safesocket.no_such_name  # noqa: B018
    assert not hasattr(safesocket, "__wrapped__")


# Signatures.


def shape(function):
    """What a caller must know of a signature: kinds, defaults, and names that can be used."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C, and not described
        return None
    return [
        (p.kind, p.default, p.name if p.kind is not p.POSITIONAL_ONLY else "")
        for p in signature.parameters.values()
    ]


def described(holder):
    """The names of what can be called in *holder*, where the stdlib describes the signature."""
    names = [name for name in dir(holder) if callable(getattr(holder, name))]
    return [name for name in names if shape(getattr(holder, name)) is not None]


def test_signatures():
    """Functions and classes take what the stdlib's take."""
    names = set(described(socket)) & set(NAMES)
    assert {"create_connection", "create_server", "getaddrinfo", "socket", "SocketIO"} <= names
    for name in names:
        assert shape(getattr(safesocket, name)) == shape(getattr(socket, name)), name


def test_method_signatures():
    """Methods take what the stdlib's take."""
    names = described(socket.socket)
    assert {"__init__", "accept", "dup", "makefile", "sendfile", "detach"} <= set(names)
    for name in names:
        theirs = shape(getattr(socket.socket, name))
        assert shape(getattr(safesocket.socket, name)) == theirs, name


HERE = "127.0.0.1", 9
#: Arguments as they stand in a call; new ones for each.
CALLS = [
    *["", "0", "1", "-1", "1, 0", "1, 0, 0", "1, 0, 0, 0", "1, 0, 0, 0, 0", "1, 1, b'.'"],
    *["1, 1, value=0", "1, 1, 1, optlen=1", "1, 1, buflen=1"],
    *["None", "''", "'x'", "1.5", "True", "object()", "1, None", "1, 'x'", "1, 1.5", "2**100"],
    *["b'.'", "b'.', 0", "b'.', None", "b'.', 0, HERE", "b'.', HERE", "b'.', 0, HERE, 0"],
    *["HERE", "HERE[:1]", "[*HERE]", "HERE, 0", "('127.0.0.1', '9')", "('127.0.0.1', -1)"],
    *["('\\0', 9)", "(b'127.0.0.1', 9)", "(1, 9)", "('127.0.0.1', 9, 0)", "'é', HERE", "b'', HERE"],
    *["[]", "[b'.']", "[b'.'], []", "[b'.'], [], 0, HERE", "[b'.'], [], 0, HERE, 0", "[0]"],
    *["iter([b'.'])", "[b'.'], iter([])", "[b'.'], 0", "[b'.'], None", "'x', [(0, 0, b'')]"],
    *["bytearray(2)", "bytearray(2), 1, 0", "bytearray(2), 3", "bytearray(2), -1", "bytearray()"],
    *["[bytearray(2)]", "iter([bytearray(2)])", "[b'.', bytearray(2)]", "[bytearray(2)], 1, 0, 0"],
    *["memoryview(b'abc')[::2]", "memoryview(bytearray(8)).cast('I')", "memoryview(b'')"],
    *(
        f"{first}{keyword}={value}"
        for first in ("", "1, ", "b'.', ", "bytearray(2), ", "[b'.'], ", "HERE, ")
        for keyword in (
            *["bufsize", "nbytes", "flags", "ancbufsize", "buffer", "buffers", "data", "address"],
            *["ancdata", "backlog", "level", "optname", "value", "how", "flag", "timeout", "op"],
        )
        for value in ("0", "bytearray(1)")
    ),
]
IN_C = [
    name
    for name in dir(socket.socket)
    if getattr(safesocket.socket, name) is not getattr(socket.socket, name)
    and not isinstance(getattr(socket.socket, name), FunctionType)
    and not name.startswith("__")
    and name != "sendmsg_afalg"  # refuses any other family before it looks at its arguments
]


def outcome(call, names):
    """What *call* returns, or the class of what it raises, and its arguments if that is I/O."""
    try:
        return eval(call, {**names, "HERE": HERE})
    except OSError as exc:
        stdlib = next(kind for kind in type(exc).__mro__ if kind.__module__[:4] != "safe")
        return stdlib, exc.args
    except Exception as exc:
        return type(exc)


def outcomes(kind, name):
    """What becomes of each call of the method *name*."""
    found = {}
    for call in CALLS:
        with kind(AF_INET, SOCK_STREAM) as sock:
            sock.setblocking(False)
            found[call] = outcome(f"sock.{name}({call})", {"sock": sock})
    return found


@pytest.mark.parametrize("name", IN_C)
def test_arguments(name):
    """Methods written in C, which describe no signature, take and refuse the same arguments."""
    theirs = outcomes(socket.socket, name)
    assert outcomes(safesocket.socket, name) == theirs
    assert TypeError in theirs.values()


def test_arguments_of_every_method():
    """Of the methods written in C, all that fail or wait are compared."""
    assert {"recv", "recv_into", "recvfrom", "recvmsg", "send", "sendto", "sendmsg"} < set(IN_C)
    assert {"bind", "connect", "getsockopt", "listen", "settimeout", "shutdown"} < set(IN_C)


@pytest.mark.parametrize(
    "name", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getaddrinfo"]
)
def test_arguments_of_look_ups(name):
    """Look-ups take and refuse the same arguments."""
    calls = [
        *["", "1", "[]", "HERE, 'x'", "('127.0.0.1', -1), 0", "hostname='x'", "ip_address='x'"],
        *["1, 2, 3, 4, 5, 6, 7", "'\\0'", "'\\0', 9", "'127.0.0.1', port=9", "HERE, flags=0"],
        f"HERE, {int(socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)}",
        *["'127.0.0.1', 9, socktype=1", "'127.0.0.1', 9, 0, 1, 0, 4", "b'127.0.0.1', b'9', type=1"],
    ]
    theirs, ours = (
        {call: outcome(f"module.{name}({call})", {"module": module}) for call in calls}
        for module in (socket, safesocket)
    )
    assert ours == theirs
    assert TypeError in theirs.values()


#: Spellings of a host that ask no name server.
HOSTS = [
    *["''", "'<broadcast>'", "'127.0.0.1'", "b'127.0.0.1'", "bytearray(b'127.0.0.1')", "'0'"],
    *["'127.1'", "'2130706433'", "'0x7f000001'", "'::1'", "b'::1'", "'::ffff:127.0.0.1'"],
    *["'a\\0b'", "'..'", "'a..b'", "'a' * 64", "'a' * 300", "'ö' * 64", "b'..'", "'é\\0'"],
    *["None", "5", "1.5", "()", "memoryview(b'127.0.0.1')", "type('S', (str,), {})('127.0.0.1')"],
]


@pytest.mark.parametrize("timeout", [None, GUARD])
@pytest.mark.parametrize("operation", ["connect", "connect_ex", "bind"])
def test_hosts(operation, timeout):
    """Every spelling of a host is understood, or refused, as the stdlib does."""

    def found(module, family, host, port):
        with module.socket(family) as sock:
            if timeout is not None:  # else it stays as it was made, under the limits
                sock.settimeout(timeout)
            return outcome(f"sock.{operation}(({host}, port))", {"sock": sock, "port": port})

    with testing.refuses() as (_, shut), testing.echoes() as (_, opened):
        ports = [0, -1, 70000, "'9'"] if operation == "bind" else [shut, opened, -1, "'9'"]
        cases = [(f, h, p) for f in (AF_INET, AF_INET6) for h in HOSTS for p in ports]
        cases += [
            (AF_INET, host, port) for host in ("'localhost'", "b'LOCALHOST'") for port in ports
        ]
        theirs, ours = (
            {case: found(module, *case) for case in cases} for module in (socket, safesocket)
        )
    assert ours == theirs


# The class.


def test_class():
    """Our sockets are the stdlib's, for isinstance and issubclass."""
    assert issubclass(safesocket.socket, socket.socket)
    assert issubclass(safesocket.socket, safesocket.SocketType)
    assert issubclass(safesocket.SocketIO, socket.SocketIO)
    with safesocket.socket() as sock:
        assert isinstance(sock, (socket.socket, _socket.socket))
        assert isinstance(sock.family, socket.AddressFamily)
        assert isinstance(sock.type, socket.SocketKind)
        assert not hasattr(sock, "__dict__")


@pytest.mark.parametrize("state", ["fresh", "bound", "listening", "connected", "closed"])
def test_repr(state):
    """A socket prints as the stdlib's does, but for the name of the module."""

    def printed_by(module):
        with tcp_pair(make=module) as (client, _), module.socket() as sock:
            if state in ("bound", "listening"):
                sock.bind(("127.0.0.1", 0))
            if state == "listening":
                sock.listen()
            if state == "closed":
                sock.close()
            return re.sub(r"fd=\d+|\d{4,}", "N", repr(client if state == "connected" else sock))

    assert printed_by(safesocket) == printed_by(socket).replace("<socket.", "<safesocket.")


@pytest.mark.parametrize(
    "travel", [pickle.dumps, partial(pickle.dumps, protocol=0), copy.copy, copy.deepcopy]
)
def test_no_pickling(travel):
    """A socket cannot be pickled or copied, and says so as the stdlib's does."""

    def refusal(kind):
        with kind() as sock, pytest.raises(TypeError) as caught:
            travel(sock)
        return str(caught.value)

    assert refusal(safesocket.socket) == refusal(socket.socket)


@pytest.mark.parametrize("name", sorted(SAFER & set(NAMES)))
def test_pickled_by_name(name):
    """Functions and classes travel by their names."""
    ours = getattr(safesocket, name)
    assert pickle.loads(pickle.dumps(ours)) is ours


def test_subclass():
    """A subclass duplicates as itself and accepts as the stdlib's does: as the class socket."""

    class Mine(safesocket.socket):
        pass

    with Mine() as listener, safesocket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        with listener.dup() as again, again.accept()[0] as accepted:
            assert (type(again), type(accepted)) == (Mine, safesocket.socket)


# What makes sockets.


def talks(one, other):
    """Tell whether what one end sends, the other receives, and that both are ours."""
    one.sendall(b"ping")
    other.sendall(b"pong")
    same = (one.recv(9), other.recv(9)) == (b"pong", b"ping")
    return same and {type(one), type(other)} == {safesocket.socket}


@pytest.mark.parametrize("lib", [socket, safesocket])
def test_subclass_with_modes_of_its_own(lib):
    """A duplicate is told of the mode by the methods of the class, as PySocks' is."""

    class Mine(lib.socket):
        def settimeout(self, value):
            self.told = value
            super().settimeout(value)

        def gettimeout(self):
            return 2 * super().gettimeout()

    with Mine() as sock:
        sock.settimeout(2.0)
        with sock.dup() as copied:
            assert copied.told == 4.0


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET])
def test_socketpair(kind):
    """socketpair makes two of ours, of the family and type that the stdlib makes."""
    one, other = safesocket.socketpair(type=kind)
    with one, other:
        assert talks(one, other)
        assert (one.family, one.type, one.proto) == (AF_UNIX, kind, 0)


def test_fallback_socketpair():
    """Where pairs are made of TCP connections, they are ours as well."""
    if not hasattr(socket, "_fallback_socketpair"):
        pytest.skip("this Python has it on Windows only")
    one, other = safesocket._fallback_socketpair()
    with one, other:
        assert talks(one, other)


@pytest.mark.parametrize(
    "family", [pytest.param(AF_INET), pytest.param(AF_INET6, marks=needs_ipv6)]
)
def test_server_and_connection(family):
    """create_server, create_connection and accept make ours, in blocking mode."""
    host = {AF_INET: "127.0.0.1", AF_INET6: "::1"}[family]
    with ExitStack() as stack:
        enter = stack.enter_context
        listener = enter(safesocket.create_server((host, 0), family=family, backlog=1))
        client = enter(safesocket.create_connection(listener.getsockname()[:2]))
        accepted = enter(listener.accept()[0])
        assert talks(client, accepted)
        assert type(listener) is safesocket.socket
        assert [sock.gettimeout() for sock in (listener, client, accepted)] == [None] * 3
        assert not any(sock.get_inheritable() for sock in (listener, client, accepted))


@needs_ipv6
def test_dualstack_server():
    """create_server serves both families where the system can."""
    assert safesocket.has_dualstack_ipv6() is socket.has_dualstack_ipv6()
    if not safesocket.has_dualstack_ipv6():
        pytest.skip("no dual stack on this machine")
    with ExitStack() as stack:
        enter = stack.enter_context
        listener = enter(safesocket.create_server(("", 0), family=AF_INET6, dualstack_ipv6=True))
        for host in ("127.0.0.1", "::1"):
            client = enter(safesocket.create_connection((host, listener.getsockname()[1])))
            assert talks(client, enter(listener.accept()[0]))


def test_create_connection_source_address():
    """create_connection binds to the source address that it is given."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener, safesocket.socket() as other:
        other.bind(("127.0.0.1", 0))
        source = "127.0.0.1", other.getsockname()[1]
        other.close()
        with safesocket.create_connection(listener.getsockname(), GUARD, source) as client:
            accepted, address = listener.accept()
            accepted.close()
            assert address == client.getsockname() == source
            assert client.gettimeout() == GUARD


def test_duplicates():
    """fromfd, dup and fileno= make ours of descriptors, and detach lets go of one."""
    one, other = safesocket.socketpair()
    with one, other, one.dup() as duplicate:
        assert talks(duplicate, other)
        with safesocket.fromfd(one.fileno(), AF_UNIX, SOCK_STREAM) as adopted:
            assert talks(adopted, other)
        with safesocket.socket(fileno=safesocket.dup(one.fileno())) as adopted:
            assert talks(adopted, other)
            assert (adopted.family, adopted.type) == (AF_UNIX, SOCK_STREAM)
        with safesocket.socket(fileno=duplicate.detach()) as adopted:
            assert talks(adopted, other)
        assert duplicate.fileno() == -1


def test_descriptors_sent():
    """send_fds and recv_fds carry descriptors over our sockets."""
    one, other = safesocket.socketpair()
    reader, writer = os.pipe()
    with one, other, open(reader, "rb", 0) as pipe:
        safesocket.send_fds(one, [b"here"], [writer])
        os.close(writer)
        data, [received], _, _ = safesocket.recv_fds(other, 100, 1)
        with open(received, "wb", 0) as again:
            again.write(b"through")
        assert (data, pipe.read()) == (b"here", b"through")


def test_makefile():
    """makefile's streams are the stdlib's, over our raw stream."""
    one, other = safesocket.socketpair()
    with one, other, one.makefile("rw", encoding="utf-8") as lines, other.makefile("rb") as data:
        assert isinstance(lines, io.TextIOWrapper)
        assert isinstance(data.raw, safesocket.SocketIO)
        lines.write("grüße\n")
        lines.flush()
        assert data.readline() == "grüße\n".encode()


def test_constructor():
    """The constructor refuses with the stdlib's error what the stdlib's refuses."""
    calls = ["fileno='x'", "fileno=1.5", "fileno=-1", "family='x'", "type=2**40", "1, 2, 3, 4, 5"]
    theirs, ours = (
        {call: outcome(f"socket({call})", vars(module)) for call in calls}
        for module in (socket, safesocket)
    )
    assert ours == theirs
    assert not any(isinstance(result, socket.socket) for result in theirs.values())


# Monkeypatching.


@both
def test_patched_getaddrinfo(module, monkeypatch):
    """create_connection looks up with the module's getaddrinfo, whatever that is now."""
    asked = []
    with module.create_server(("127.0.0.1", 0)) as listener:
        entry = AF_INET, SOCK_STREAM, 6, "", listener.getsockname()
        monkeypatch.setattr(module, "getaddrinfo", lambda *args: asked.append(args) or [entry])
        with module.create_connection(("no.such.host", 5)) as client:
            assert client.getpeername() == listener.getsockname()
    assert asked == [("no.such.host", 5, 0, SOCK_STREAM)]


@both
def test_patched_getaddrinfo_fails(module, monkeypatch):
    """What a patched getaddrinfo raises reaches the caller as it is."""
    error = LookupError("no names today")

    def fail(*args):
        raise error

    monkeypatch.setattr(module, "getaddrinfo", fail)
    with pytest.raises(LookupError) as caught:
        module.create_connection(("127.0.0.1", 5))
    assert caught.value is error


@both
def test_patched_getaddrinfo_finds_nothing(module, monkeypatch):
    """A look-up that finds no address is the stdlib's OSError."""
    monkeypatch.setattr(module, "getaddrinfo", lambda *args: [])
    with pytest.raises(OSError, match=r"^getaddrinfo returns an empty list"):
        module.create_connection(("127.0.0.1", 5))


@both
def test_patched_class(module, monkeypatch):
    """Whatever makes sockets makes them of the module's class, whatever that is now."""

    class Patched(module.socket):
        pass

    monkeypatch.setattr(module, "socket", Patched)
    with ExitStack() as stack:
        enter = stack.enter_context
        listener = enter(module.create_server(("127.0.0.1", 0)))
        client = enter(module.create_connection(listener.getsockname()))
        pair = [enter(sock) for sock in module.socketpair()]
        adopted = enter(module.fromfd(client.fileno(), AF_INET, SOCK_STREAM))
        assert {type(sock) for sock in (listener, client, adopted, *pair)} == {Patched}


class StandIn:
    """Something with the methods of a socket, as tests of other people's programs use it."""

    def __init__(self, *args):
        self.calls = [args]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args: self.calls.append((name, *args))


@pytest.mark.parametrize("timeout", [(), (None,), (5,), (0,)], ids=str)
@both
def test_patched_class_is_no_socket(module, timeout, monkeypatch):
    """create_connection treats a stand-in for the class as the stdlib does."""
    monkeypatch.setattr(module, "socket", StandIn)
    made = module.create_connection(HERE, *timeout)
    assert isinstance(made, StandIn)
    assert [call for call in made.calls if call[0] in ("connect", "close")] == [("connect", HERE)]


@both
def test_patched_look_up_of_names(module, monkeypatch):
    """getfqdn asks the module's gethostbyaddr, whatever that is now."""
    monkeypatch.setattr(module, "gethostbyaddr", lambda name: (f"{name}.example", [], []))
    assert module.getfqdn("db") == "db.example"


# Importing changes nothing.

WORLD = """
    import _socket, asyncio, contextlib, gc, importlib, os, select, selectors, signal, socket
    import ssl, sys, threading, time, warnings

    def world():
        names = {
            (module, name): value
            for module, loaded in list(sys.modules.items())
            if loaded is not None and not module.startswith("safesocket")
            for name, value in vars(loaded).items()
            if (module, name) != ("__main__", "before")
        }
        classes = (_socket.socket, socket.socket, socket.SocketIO, ssl.SSLSocket, ssl.SSLContext)
        for kind in (*classes, OSError, TimeoutError, socket.gaierror, socket.herror):
            names |= {(kind, name): value for name, value in vars(kind).items()}
        lists = sys.meta_path, sys.path_hooks, sys.path, warnings.filters, gc.callbacks
        counts = len(threading.enumerate()), len(os.listdir("/proc/self/fd"))
        return names, [list(one) for one in lists], dict(os.environ), counts, [
            socket.getdefaulttimeout(), sys.getrecursionlimit(), sys.excepthook,
            threading.excepthook, sys.unraisablehook, warnings.showwarning, sys.gettrace(),
            *map(signal.getsignal, signal.valid_signals()),
        ]

    def differences(before, after):
        known = {module for module, _ in before[0]}
        for module, name in before[0].keys() | after[0].keys():
            changed = before[0].get((module, name)) is not after[0].get((module, name))
            if changed and module in known:
                yield f"{module}.{name}"
        yield from (f"{one} became {two}" for one, two in zip(before[1:], after[1:]) if one != two)
"""


def test_import_changes_nothing():
    """Not a name in any module, not a class, hook, filter, thread, descriptor or signal."""
    changes = """
    before = world()
    __import__("safesocket.errors")
    print(*differences(before, world()), sep="\\n")
    """
    assert printed(WORLD + changes).split() == []


def test_a_change_would_be_seen():
    """The comparison finds what it is there to find."""
    changes = """
    before = world()
    socket.socket.recv = socket.socket.recv
    socket.getaddrinfo = ssl.create_connection = len
    socket.setdefaulttimeout(5)
    print(*differences(before, world()), sep="\\n")
    """
    found = printed(WORLD + changes)
    for change in ("socket.getaddrinfo", "ssl.create_connection", ".recv", "became"):
        assert change in found


UNWANTED = {"ssl", "_ssl", "wrapt", "typing", "dataclasses", "asyncio", "inspect", "logging"}


def test_import_is_light():
    """Importing loads neither wrapt nor ssl, nor what costs much more than ourselves."""
    script = f"""
        import sys
        sys.path.insert(0, {str(os.path.dirname(os.path.dirname(safesocket.__file__)))!r})
        import socket
        before = set(sys.modules)
        import safesocket
        print(*(name for name in set(sys.modules) - before))
    """
    loaded = set(printed(script, "-S", "-E").split())
    assert "safesocket._sockets" in loaded
    assert not loaded & UNWANTED
    assert {name.partition(".")[0] for name in loaded - set(sys.stdlib_module_names)} == {
        "safesocket"
    }


USE = """
    import safesocket
    one, other = safesocket.socketpair()
    with one, other:
        one.sendall(b"fine")
        print(other.recv(9).decode(), flush=True)
    try:
        safesocket.create_connection(("127.0.0.1", 1), timeout=None).close()
    except ConnectionRefusedError as exc:
        assert "connect to 127.0.0.1:1 after" in str(exc)
    for host in ("localhost", b"localhost", "<broadcast>", b"<broadcast>"):
        safesocket.gethostbyname(host)
"""


@pytest.mark.parametrize(
    "options",
    [["-O"], ["-OO"], ["-W", "error"], ["-X", "dev", "-W", "error"], ["-bb"], ["-X", "utf8=0"]],
    ids=" ".join,
)
def test_interpreter_options(options):
    """It imports and works, without a warning, however Python is started."""
    assert printed(USE, *options) == "fine"


@pytest.mark.parametrize("isolated", [True, False])
def test_subinterpreter(isolated):
    """It imports and works in an interpreter inside the interpreter, which ends as any other."""
    script = f"""
        try:
            import _interpreters as interpreters
            inner = interpreters.create("isolated" if {isolated} else "legacy")
        except ImportError:
            import _xxsubinterpreters as interpreters
            inner = interpreters.create(isolated={isolated})
        import safesocket, textwrap
        failure = interpreters.run_string(inner, textwrap.dedent({USE!r}))
        assert not failure, failure
        interpreters.destroy(inner)
    """
    assert printed(script, PYTHONPATH=str(ROOT)) == "fine"


def test_after_fork():
    """A forked child goes on with what its parent imported and configured, and may change it."""
    script = """
        import os, safesocket
        safesocket.configure(read=0.02)
        one, other = safesocket.socketpair()
        listener = safesocket.create_server(("127.0.0.1", 0))
        with safesocket.timeouts(connect=7), one, other, listener:
            if not (child := os.fork()):
                print(safesocket.get_timeouts().read, safesocket.get_timeouts().connect, flush=True)
                safesocket.configure(read=0.03)
                with safesocket.create_connection(listener.getsockname()) as client:
                    try:
                        client.recv(1)
                    except TimeoutError as exc:
                        other.send(str(exc.timeout).encode())
                os._exit(0)
            os.waitpid(child, 0)
            print(one.recv(99).decode(), safesocket.get_timeouts().read)
    """
    assert printed(script, "-W", "error").splitlines() == ["0.02 7.0", "0.03 0.02"]


def test_reload():
    """Reloading the package neither wraps anything twice nor makes a second class."""
    script = """
        import importlib, safesocket
        kind, names = safesocket.socket, set(vars(safesocket))
        safesocket.configure(read=7)
        importlib.reload(safesocket)
        assert safesocket.socket is kind and set(vars(safesocket)) == names
        with safesocket.create_server(("127.0.0.1", 0)) as listener:
            assert type(listener) is kind
        print(safesocket.get_timeouts().read)
    """
    assert printed(script) == "7.0"


# Under other people's code.


async def answer(reader, writer):
    """An asyncio server that answers each line."""
    while line := await reader.readline():
        writer.write(line.upper())
    writer.close()


async def converse(server, client):
    """Ask a server, be silent for longer than any limit, and ask again."""
    reader, writer = client
    async with server:
        for pause in (0, 3 * LIMIT):
            await asyncio.sleep(pause)
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("ours", [False, True], ids=["its own sockets", "our sockets"])
def test_asyncio(ours):
    """asyncio's streams know no limit of ours, neither on its own sockets nor on ours."""
    safesocket.configure(**dict.fromkeys(safesocket.Timeouts.__match_args__, LIMIT))

    async def main():
        if not ours:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            client = await asyncio.open_connection(*address)
        else:
            listener = safesocket.create_server(("127.0.0.1", 0))
            server = await asyncio.start_server(answer, sock=listener)
            sock = safesocket.create_connection(listener.getsockname())
            client = await asyncio.open_connection(sock=sock)
            assert sock.gettimeout() == 0
        await converse(server, client)

    asyncio.run(main())


def test_asyncio_errors():
    """A loop's own calls on our sockets raise what they raise on the stdlib's."""

    async def told(kind, address):
        with closing(kind()) as sock:
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, address)
            except OSError as exc:
                return type(exc), exc.args

    with testing.refuses() as address:
        ours, theirs = (
            asyncio.run(told(kind, address)) for kind in (safesocket.socket, socket.socket)
        )
    assert ours == theirs
    assert ours[0] is ConnectionRefusedError


def test_asyncio_subprocess():
    """asyncio's subprocesses, whose pipes are socket pairs, go on as before."""
    safesocket.configure(read=LIMIT)

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(input())", stdin=-1, stdout=-1
        )
        return await process.communicate(b"through\n")

    assert asyncio.run(main()) == (b"through\n", None)


STANDS_IN = """
    import sys, threading, safesocket
    sys.modules["socket"] = safesocket
    safesocket.configure(read=20)

    import asyncio, http.client, http.server, selectors, smtplib, socketserver, ssl, urllib.error
    import urllib.request
    from safesocket import testing

    assert issubclass(ssl.SSLSocket, safesocket.socket)

    class Web(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            assert type(self.connection) is safesocket.socket
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args):
            pass

    class Mail(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\\r\\n")
            for line in self.rfile:
                answer = b"221 bye" if line[:4].lower() == b"quit" else b"250 ok"
                self.wfile.write(answer + b"\\r\\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def __enter__(self):
            assert type(self.socket) is safesocket.socket
            self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
            self.thread.start()
            return self.server_address

        def __exit__(self, *exc_info):
            self.shutdown()
            self.thread.join()
            self.server_close()

    fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    with Server(("127.0.0.1", 0), Web) as (host, port):
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/")
        assert type(connection.sock) is safesocket.socket
        print(connection.getresponse().read().decode())
        connection.close()
        with fetch(f"http://{host}:{port}/", timeout=20) as response:
            print(response.read().decode())

    with Server(("127.0.0.1", 0), Mail) as (host, port), smtplib.SMTP(host, port) as mail:
        print(mail.mail("me@example.org"), type(mail.sock).__module__)

    async def converse():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()

    asyncio.run(converse())

    with testing.refuses() as (host, port):
        try:
            fetch(f"http://{host}:{port}/")
        except urllib.error.URLError as exc:
            assert isinstance(exc.reason, ConnectionRefusedError)
            print(str(exc.reason).partition(" after ")[0].replace(str(port), "PORT"))

    with testing.never_answers() as (host, port):
        safesocket.configure(read=0.02)
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/")
        try:
            connection.getresponse()
        except TimeoutError as exc:
            print(str(exc).partition("(")[2])
        connection.close()
"""


def test_stands_in_for_the_stdlib():
    """http, urllib, smtplib, ssl and asyncio work on top of ours in the place of socket."""
    assert printed(STANDS_IN, "-W", "error").splitlines() == [
        "hello",
        "hello",
        "(250, b'ok') safesocket",
        "[Errno 111] Connection refused: connect to 127.0.0.1:PORT",
        "configured read timeout 0.02 s)",
    ]
