"""Hostile input: nonsense ends as the stdlib lets it end, and nothing raw is said of it.

The stdlib is the oracle: every value goes to the same call of ``socket``, of the drop-in, and of
``socket`` under ``install()``. Values that are none of any sort, huge, empty, with NUL, newline,
terminal and bidi controls; subclasses whose methods lie; objects whose methods raise or recurse.
"""

from __future__ import annotations

import ctypes
import enum
import fcntl
import json
import socket
import struct
from contextlib import closing, contextmanager
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM

import pytest

import safesocket
from safesocket import _lookups, errors
from safesocket._plain import plain, split
from tests.helpers import builtin_of, copies, needs_ipv6

pytestmark = [
    pytest.mark.usefixtures("as_before", "no_name_server"),
    # The stdlib's own create_connection leaves a socket behind that settimeout() has refused.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HUGE = 70_000  # characters
LONGEST_SAID = 2_000  # characters of a message: twelve names, cut, and escaped in the worst way


CLONE_NEWNET = 0x40000000  # unshare(2), setns(2)
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)


@pytest.fixture(scope="module")
def no_name_server():
    """Let this thread be in a network where no name server can be reached, if it may.

    Hostile names go to the real one otherwise, and not every question comes back.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        if libc.unshare(CLONE_NEWNET):
            yield
            return
        _lookups._pool.dismiss()  # its threads are still in the other one
        with socket.socket() as sock:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        yield
        _lookups._pool.dismiss()
        assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


class MineError(Exception):
    """What methods of hostile classes raise."""


def _refuses(*_):
    raise MineError


class Lying:
    """C looks at what a subclass holds; who calls its methods learns nothing good."""

    __str__ = __repr__ = __format__ = __eq__ = __hash__ = _refuses
    isprintable = isascii = startswith = strip = partition = decode = __bool__ = _refuses
    __and__ = __rand__ = __or__ = __ror__ = __lt__ = __gt__ = _refuses


class LyingStr(Lying, str):
    __slots__ = ()


class LyingBytes(Lying, bytes):
    pass


class LyingInt(Lying, int):
    __index__ = __int__ = _refuses


class LyingFloat(Lying, float):
    __float__ = _refuses


class LyingTuple(Lying, tuple):
    __slots__ = ()
    __getitem__ = __len__ = __iter__ = _refuses


class Raising(Lying):
    """An object that is nothing, and does not like to be asked."""

    __index__ = __int__ = __float__ = __iter__ = __len__ = _refuses


class Recursing:
    def __index__(self):
        return self.__index__()

    __iter__ = __index__

    def __str__(self):
        return str(self)

    __repr__ = __str__

    def __hash__(self):
        return hash(self)

    def __eq__(self, other):
        return self == other


class Nonsense:
    __index__ = __str__ = __repr__ = __len__ = __iter__ = __hash__ = lambda _: 1.5


class Number:
    """What C takes for an int."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        return self.number


class Named(str, enum.Enum):  # noqa: UP042 (StrEnum is no trap)
    """An Enum's str() is its name, of some kinds, in some Pythons; C reads the value."""

    HOST = "127.0.0.1"


def itself():
    ring = []
    ring.append(ring)
    return ring


TEXTS = {
    "empty": "",
    "NUL": "\0",
    "NUL inside": "127.0.0.1\0x",
    "newline": "db\n.invalid",
    "terminal": "\x1b[31mdb\x07.invalid",
    "surrogate": "\udc80.invalid",
    "bidi": "\u202edb.invalid",
    "invisible": "\u200bdb.invalid",
    "huge": "a" * HUGE,
    "label too long": "é" * 300,
    "dots": "a..b",
    "space": " ",
    "percent": "%s%n",
    "full width": "\uff11.invalid",
    "brackets": "[::1]",
    "scope": "::1%\n",
}
#: hosts, ports, addresses, sizes, flags, buffers, timeouts: none is of any use anywhere
NOTHINGS = {
    "None": lambda: None,
    "Ellipsis": lambda: ...,
    "a complex number": lambda: 1j,
    "nan": lambda: float("nan"),
    "a class": lambda: int,
    "an object": object,
    "a list": list,
    "a dict": dict,
    "a list of itself": itself,
    "an empty tuple": lambda: (),
    "no bytes": lambda: b"",
    "bytes": lambda: b"x",
    "an array": lambda: bytearray(b"x"),
    "a view": lambda: memoryview(b"x"),
    "a view of nothing": lambda: memoryview(bytearray()),
    "raises": Raising,
    "recurses": Recursing,
    "nonsense": Nonsense,
    "lying bytes": lambda: LyingBytes(b"x"),
    "lying tuple": lambda: LyingTuple(("127.0.0.1", 1)),
}
NUMBERS = {
    "-1": lambda: -1,
    "2**16": lambda: 2**16,
    "2**31": lambda: 2**31,
    "2**64": lambda: 2**64,
    "10**30": lambda: 10**30,
    "10**5000": lambda: 10**5000,
    "0.5": lambda: 0.5,
    "True": lambda: True,
    "a number": lambda: Number(0),
    "a negative number": lambda: Number(-1),
    "a number too large": lambda: Number(2**80),
    "a lying int": lambda: LyingInt(0),
    "a lying float": lambda: LyingFloat(0.5),
}
ODDITIES = {**NOTHINGS, **NUMBERS}
HOSTS = {
    **ODDITIES,
    **{name: lambda text=text: text for name, text in TEXTS.items()},
    **{
        f"{name} in bytes": lambda text=text: text.encode("utf-8", "surrogatepass")
        for name, text in TEXTS.items()
    },
    "lying str": lambda: LyingStr("127.0.0.1"),
    "lying host in bytes": lambda: LyingBytes(b"127.0.0.1"),
    "lying number in bytes": lambda: LyingBytes(b"0x7f.1"),
    "array": lambda: bytearray(b"127.0.0.1"),
    "enum": lambda: Named.HOST,
}
PORTS = {
    **ODDITIES,
    "text": lambda: "1",
    "service": lambda: "x\n",
    "lying text": lambda: LyingStr("1"),
}
ADDRESSES = {
    **ODDITIES,
    **{name: lambda text=text: text for name, text in TEXTS.items()},
    **{f"host: {name}": lambda make=make: (make(), 1) for name, make in HOSTS.items()},
    **{f"port: {name}": lambda make=make: ("127.0.0.1", make()) for name, make in PORTS.items()},
    **{f"flow: {name}": lambda make=make: ("::1", 1, make()) for name, make in NUMBERS.items()},
    **{f"scope: {name}": lambda make=make: ("::1", 1, 0, make()) for name, make in NUMBERS.items()},
    "one": lambda: ("127.0.0.1",),
    "three": lambda: ("127.0.0.1", 1, 2),
    "five": lambda: ("::1", 1, 0, 0, 0),
    "a list of two": lambda: ["127.0.0.1", 1],
    "host:port": lambda: "127.0.0.1:1",
    "two in one": lambda: (("127.0.0.1", 1), 1),
    "a lying path": lambda: LyingStr("/nowhere/a\nb"),
    "a lying path in bytes": lambda: LyingBytes(b"/nowhere/a\nb"),
    "a path too long": lambda: "/nowhere/" + "x" * 200,
    "an odd path": lambda: "/nowhere/a\n\x1b[31m\udc80\u202e",
    "an odd abstract name": lambda: b"\0\xff\n\x1b[31m" + b"x" * 90,
}

#: what a value is passed as -> the values, and a call of a module with one of them
CALLS = {
    "getaddrinfo: host": (HOSTS, lambda lib, value: lib.getaddrinfo(value, 1)),
    "getaddrinfo: port": (PORTS, lambda lib, value: lib.getaddrinfo("127.0.0.1", value)),
    "getaddrinfo: family": (ODDITIES, lambda lib, value: lib.getaddrinfo("localhost", 1, value)),
    "getaddrinfo: flags": (
        ODDITIES,
        lambda lib, value: lib.getaddrinfo("localhost", 1, 0, 0, 0, value),
    ),
    "gethostbyname": (HOSTS, lambda lib, value: lib.gethostbyname(value)),
    "gethostbyname_ex": (HOSTS, lambda lib, value: lib.gethostbyname_ex(value)),
    "gethostbyaddr": (HOSTS, lambda lib, value: lib.gethostbyaddr(value)),
    "getfqdn": (HOSTS, lambda lib, value: lib.getfqdn(value)),
    "getnameinfo": (ADDRESSES, lambda lib, value: lib.getnameinfo(value, socket.NI_NUMERICHOST)),
    "getnameinfo: flags": (ODDITIES, lambda lib, value: lib.getnameinfo(("127.0.0.1", 1), value)),
    "create_connection": (ADDRESSES, lambda lib, value: lib.create_connection(value, 1)),
    "create_connection: timeout": (
        ODDITIES,
        lambda lib, value: lib.create_connection(("127.0.0.1", 1), value),
    ),
    "create_connection: source": (
        ODDITIES,
        lambda lib, value: lib.create_connection(("127.0.0.1", 1), 1, value),
    ),
    "create_server: family": (
        ODDITIES,
        lambda lib, value: lib.create_server(("127.0.0.1", 0), family=value),
    ),
    "create_server: backlog": (
        ODDITIES,
        lambda lib, value: lib.create_server(("127.0.0.1", 0), backlog=value),
    ),
    "socket: family": (ODDITIES, lambda lib, value: lib.socket(value)),
    "socket: type": (ODDITIES, lambda lib, value: lib.socket(AF_INET, value)),
    "socket: proto": (ODDITIES, lambda lib, value: lib.socket(AF_INET, SOCK_STREAM, value)),
    "socket: fileno": (NOTHINGS, lambda lib, value: lib.socket(fileno=value)),
    "fromfd": (NOTHINGS, lambda lib, value: lib.fromfd(value, AF_INET, SOCK_STREAM)),
    "dup": (NOTHINGS, lambda lib, value: lib.dup(value)),
    "socketpair": (ODDITIES, lambda lib, value: lib.socketpair(value)),
    "setdefaulttimeout": (ODDITIES, lambda lib, value: lib.setdefaulttimeout(value)),
}

SORTS = {
    "ipv4": (AF_INET, SOCK_STREAM),
    "ipv6": (AF_INET6, SOCK_STREAM),
    "unix": (AF_UNIX, SOCK_STREAM),
    "udp": (AF_INET, SOCK_DGRAM),
}
MODES = {"blocking": None, "timeout": 1.0, "nonblocking": 0.0}

#: method of a new socket -> the same with the address as an argument
ADDRESSED = {
    "connect": lambda sock, value: sock.connect(value),
    "connect_ex": lambda sock, value: sock.connect_ex(value),
    "sendto": lambda sock, value: sock.sendto(b"x", value),
    "sendto with flags": lambda sock, value: sock.sendto(b"x", 0, value),
    "sendmsg": lambda sock, value: sock.sendmsg([b"x"], [], 0, value),
}

#: what is passed to a method of a connected socket, at which there are four bytes to read
METHODS = {
    **{
        name: lambda sock, value, name=name: getattr(sock, name)(value)
        for name in (
            *("recv", "recvfrom", "recvmsg", "recv_into", "recvfrom_into", "recvmsg_into"),
            *("send", "sendall", "sendmsg", "sendfile", "settimeout", "setblocking", "listen"),
            *("shutdown", "makefile", "bind"),
        )
    },
    **{
        f"{name}: flags": lambda sock, value, name=name: getattr(sock, name)(4, value)
        for name in ("recv", "recvfrom")
    },
    **{
        f"{name}: flags": lambda sock, value, name=name: getattr(sock, name)(b"x", value)
        for name in ("send", "sendall")
    },
    "recv_into: size": lambda sock, value: sock.recv_into(bytearray(4), value),
    "recv_into: flags": lambda sock, value: sock.recv_into(bytearray(4), 4, value),
    "recvfrom_into: size": lambda sock, value: sock.recvfrom_into(bytearray(4), value),
    "recvfrom_into: flags": lambda sock, value: sock.recvfrom_into(bytearray(4), 4, value),
    "recvmsg: ancillary": lambda sock, value: sock.recvmsg(4, value),
    "recvmsg: flags": lambda sock, value: sock.recvmsg(4, 0, value),
    "recvmsg_into: buffer": lambda sock, value: sock.recvmsg_into([value]),
    "recvmsg_into: flags": lambda sock, value: sock.recvmsg_into([bytearray(4)], 0, value),
    "sendmsg: buffer": lambda sock, value: sock.sendmsg([value]),
    "sendmsg: ancillary": lambda sock, value: sock.sendmsg([b"x"], value),
    "sendmsg: one ancillary": lambda sock, value: sock.sendmsg([b"x"], [value]),
    "sendmsg: level": lambda sock, value: sock.sendmsg([b"x"], [(value, 1, b"")]),
    "sendmsg: flags": lambda sock, value: sock.sendmsg([b"x"], [], value),
    "sendto": lambda sock, value: sock.sendto(b"x", value),
    "getsockopt: level": lambda sock, value: sock.getsockopt(value, socket.SO_TYPE),
    "getsockopt: option": lambda sock, value: sock.getsockopt(socket.SOL_SOCKET, value),
    "getsockopt: size": lambda sock, value: sock.getsockopt(socket.SOL_SOCKET, 3, value),
    "setsockopt: level": lambda sock, value: sock.setsockopt(value, socket.SO_REUSEADDR, 1),
    "setsockopt: value": lambda sock, value: sock.setsockopt(1, socket.SO_REUSEADDR, value),
    "setsockopt: length": lambda sock, value: sock.setsockopt(1, 2, None, value),
    "makefile: buffering": lambda sock, value: sock.makefile("rb", value),
}


@contextmanager
def drop_in():
    yield safesocket


@contextmanager
def in_place():
    with safesocket.installed():
        yield socket


every_way = pytest.mark.parametrize("way", [drop_in, in_place])


def seen(call, lib, make):
    """Return what a program sees of *call*, and what is said of it."""
    value = make()
    try:
        return result(call(lib, value))
    except OSError as exc:
        if isinstance(exc, errors.SafeSocketError):
            assert_says_nothing_raw(exc)
        return builtin_of(exc).__mro__, exc.errno, exc.args
    except (Exception, RecursionError) as exc:
        return type(exc)
    finally:
        socket.setdefaulttimeout(None)


def result(value):
    """Return what can be compared of a result: the sort of objects, and plain values."""
    if isinstance(value, tuple) and value and hasattr(value[0], "close"):
        return [result(each) for each in value]
    if hasattr(value, "close"):
        with closing(value):
            return "something to close"
    return value


def assert_says_nothing_raw(error):
    """Check that *error* has one line for everybody, whoever wrote the names in it."""
    whole = json.dumps(error.to_dict(), ensure_ascii=False, allow_nan=False)
    notes = "".join(getattr(error, "__notes__", ()))
    for said in (str(error), repr(error), error.hint or "", notes, error.fingerprint, whole):
        assert said.isprintable(), said
        assert " object at 0x" not in said
        said.encode()  # no surrogates
    from_stdlib = len(str(error.args))  # create_server's own text quotes the address
    assert len(str(error)) <= LONGEST_SAID + from_stdlib
    assert len(error.fingerprint) <= LONGEST_SAID
    assert len(whole) <= 10 * LONGEST_SAID + 8 * from_stdlib
    for copied in copies(error):
        assert str(copied) == str(error)


def differences(way, call, values):
    """Return what is seen differently: value -> (of the stdlib, of safesocket)."""
    theirs = {name: seen(call, socket, make) for name, make in values.items()}
    with way() as lib:
        ours = {name: seen(call, lib, make) for name, make in values.items()}
    return {
        name: (theirs[name], ours[name])
        for name in values
        if not as_good_as(ours[name], theirs[name])
    }


def as_good_as(ours, theirs):
    """Tell whether who expects *theirs* is served by *ours*: classes may have more parents."""
    if is_failure(ours) and is_failure(theirs):
        return set(theirs[0]) <= set(ours[0]) and ours[1:] == theirs[1:]
    return ours == theirs


def is_failure(outcome):
    return isinstance(outcome, tuple) and len(outcome) == 3 and type(outcome[0]) is tuple


@every_way
@pytest.mark.parametrize("name", CALLS)
def test_module_functions(way, name):
    """A function of the module given nonsense ends as the stdlib's does."""
    values, call = CALLS[name]
    assert differences(way, call, values) == {}


@every_way
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "sort", [pytest.param(s, marks=needs_ipv6 if s == "ipv6" else ()) for s in SORTS]
)
@pytest.mark.parametrize("method", ADDRESSED)
def test_addresses(way, method, sort, mode):
    """A socket given an address of the wrong shape or type ends as the stdlib's does."""

    def call(lib, value):
        with lib.socket(*SORTS[sort]) as sock:
            sock.settimeout(MODES[mode])
            return ADDRESSED[method](sock, value)

    assert differences(way, call, ADDRESSES) == {}


@every_way
@pytest.mark.parametrize("sort", ["ipv4", "ipv6", "udp"])
def test_bind(way, sort):
    """So does bind; a path would be made, on AF_UNIX."""

    def call(lib, value):
        with lib.socket(*SORTS[sort]) as sock:
            return sock.bind(value)

    assert differences(way, call, ADDRESSES) == {}


@every_way
@pytest.mark.parametrize("method", METHODS)
def test_methods(way, method):
    """A method of a connected socket given nonsense ends as the stdlib's does."""

    def call(lib, value):
        with (
            lib.create_server(("127.0.0.1", 0)) as listener,
            lib.create_connection(listener.getsockname()) as sock,
            listener.accept()[0] as peer,
        ):
            peer.sendall(b"data")
            return result(METHODS[method](sock, value))

    assert differences(way, call, ODDITIES) == {}


@pytest.mark.parametrize(
    ("host", "port"),
    [
        (Named.HOST, 1),
        (Named.HOST, Number(1)),
        (LyingBytes(b"127.0.0.1"), LyingInt(1)),
        (bytearray(b"127.0.0.1"), True),
    ],
    ids=["enum", "number", "lying", "array"],
)
def test_what_c_has_read_is_what_is_told(host, port):
    """Errors hold and tell the values that C has used, not what their classes make of them."""
    with safesocket.socket() as sock, pytest.raises(ConnectionRefusedError) as it:
        sock.connect((host, port))
    told = it.value.host.decode() if isinstance(it.value.host, bytes) else it.value.host
    assert (type(told), told, it.value.port) == (str, "127.0.0.1", 1)
    assert "connect to 127.0.0.1:" in str(it.value)
    assert len(list(copies(it.value))) > 2  # whatever cannot be pickled is not in there


def test_plain_never_raises():
    """Whatever is passed, something can be told of it, in builtin terms."""
    for make in {**ADDRESSES, "deep": lambda: ((((Raising(),),),),)}.values():
        repr(plain(make()))
        assert len(split(make())) == 2
