"""Every failure becomes a documented error: by table for each errno, and by real failures."""

from __future__ import annotations

import errno
import gc
import io
import os
import re
import socket as stdlib
import traceback
from contextlib import contextmanager
from functools import partial
from types import FrameType, TracebackType

import pytest

import safesocket
from safesocket import _failing, _surroundings, errors, testing
from safesocket._timeouts import Limit
from tests.failures import SCENES, failing, looking_up, of_the_stdlib, raised_by
from tests.helpers import (
    LIMIT,
    UMBRELLAS,
    assert_documented,
    assert_travels,
    needs_ipv6,
    printed,
    python,
    seen_by_the_program,
    tcp_pair,
)

AF_INET, AF_UNIX = stdlib.AF_INET, stdlib.AF_UNIX
STREAM, DGRAM = stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM

CONNECTING = "connect connect_ex".split()
BINDING = "bind listen".split()
READING = "recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into read".split()
WRITING = "send sendall sendto sendmsg sendmsg_afalg sendfile".split()
RESOLVING = "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getnameinfo".split()

#: What happened, and the errnos that mean it whatever was being done: design, section 4.
ANYWHERE = {
    "ConnectRefusedError": "ECONNREFUSED",
    "UnreachableError": "EHOSTUNREACH ENETUNREACH EHOSTDOWN ENETDOWN",
    "PeerResetError": "ECONNRESET",
    "PeerClosedError": "EPIPE ESHUTDOWN",
    "PeerLostError": "ETIMEDOUT",
    "ConnectionAbortError": "ECONNABORTED",
    "MessageTooLargeError": "EMSGSIZE",
    "AddressInUseError": "EADDRINUSE",
    "AddressNotAvailableError": "EADDRNOTAVAIL",
    "NotConnectedError": "ENOTCONN EDESTADDRREQ",
    "AlreadyConnectedError": "EISCONN",
    "SocketClosedError": "EBADF",
    "ResourceError": "EMFILE ENFILE ENOBUFS ENOMEM",
    "OperationDeniedError": "EACCES EPERM",
}

#: What the same errnos mean where one of these operations met them.
ESPECIALLY = [
    (CONNECTING, {"ConnectTimeoutError": "ETIMEDOUT", "ConnectDeniedError": "EACCES EPERM"}),
    (BINDING, {"BindDeniedError": "EACCES EPERM"}),
    ([*CONNECTING, *BINDING, *WRITING], {"SocketPathError": "ENOENT"}),
]

#: What a limit that ran out is, by operation; for the others it is a SocketTimeoutError.
TIMED_OUT = {
    **dict.fromkeys(CONNECTING, "ConnectTimeoutError"),
    **dict.fromkeys(["accept"], "AcceptTimeoutError"),
    **dict.fromkeys(READING, "ReadTimeoutError"),
    **dict.fromkeys(WRITING, "WriteTimeoutError"),
    **dict.fromkeys(RESOLVING, "ResolveTimeoutError"),
}

ERRNOS = {**errno.errorcode, 9999: "of another system"}
EAIS = {name: value for name, value in vars(stdlib).items() if name.startswith("EAI_")}
NO_SUCH_NAME = {"EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY"}  # getaddrinfo(3)
EAI_IDN_ENCODE = -105  # <netdb.h>; Python has no name for it

every_operation = pytest.mark.parametrize("operation", UMBRELLAS)


def leaf(operation, errno_name):
    """Return the name of the class that *errno_name* out of *operation* is to be."""
    meanings = [table for operations, table in ESPECIALLY if operation in operations]
    for table in (*meanings, ANYWHERE):
        for name, errnos in table.items():
            if errno_name in errnos.split():
                return name
    return "SocketOperationError"


def os_error(number):
    return OSError(number, os.strerror(number))


@pytest.fixture
def sock():
    """A connected socket in blocking mode."""
    with tcp_pair() as (client, _):
        yield client


# --- Every operation, every errno --------------------------------------------------------------


def test_tables_name_errnos_that_exist():
    """The tables of this file are spelled right: a typo would test nothing."""
    tables = [ANYWHERE, *(table for _, table in ESPECIALLY)]
    names = {name for table in tables for names in table.values() for name in names.split()}
    assert names <= set(vars(errno))
    assert set(TIMED_OUT) | {name for names, _ in ESPECIALLY for name in names} <= set(UMBRELLAS)


@every_operation
def test_errno_becomes_a_documented_error(sock, operation):
    """Any errno out of any operation: the class of the table, the builtin, nothing changed."""
    for number, name in ERRNOS.items():
        original = os_error(number)
        error = seen_by_the_program(sock, original, operation, elapsed=0.02)
        if isinstance(original, (BlockingIOError, InterruptedError)):
            assert error is original, name
            continue
        assert (name, type(error).__name__) == (name, leaf(operation, name))
        assert_documented(error, operation, original)
        assert error.hint, f"nothing to look at next after {name}"
        assert_travels(error)


@every_operation
def test_limit_becomes_a_documented_timeout(sock, operation):
    """A limit that ran out: the operation's timeout, without errno, that says whose it was."""
    original = TimeoutError("timed out")
    limit = Limit(5.0, "read", "default")
    error = seen_by_the_program(sock, original, operation, elapsed=5.0, limit=limit)
    assert type(error).__name__ == TIMED_OUT.get(operation, "SocketTimeoutError")
    assert_documented(error, operation, original)
    assert isinstance(error, errors.SocketTimeoutError)
    assert (error.timeout, error.timeout_source, error.elapsed) == (5.0, "default", 5.0)
    assert error.hint
    assert_travels(error)


@every_operation
def test_timeout_of_the_kernel_says_so(sock, operation):
    """ETIMEDOUT is the kernel's patience, even where a limit was in force."""
    limit = Limit(5.0, "read", "default")
    error = seen_by_the_program(sock, os_error(errno.ETIMEDOUT), operation, limit=limit)
    assert (error.timeout, error.timeout_source) == (None, "kernel")
    assert str(error).endswith("(the kernel gave up)")


@every_operation
def test_timeout_of_the_program_says_so(sock, operation):
    """A timeout on a socket with one of its own is that one."""
    sock.settimeout(LIMIT)
    error = seen_by_the_program(sock, TimeoutError("timed out"), operation)
    assert (error.timeout, error.timeout_source) == (LIMIT, "settimeout")


@every_operation
@pytest.mark.parametrize("text", ["AF_UNIX path too long", "cannot read from timed out object"])
def test_error_without_errno_becomes_a_documented_error(sock, operation, text):
    """Errors that Python makes up itself keep their one argument; no errno is invented."""
    error = seen_by_the_program(sock, OSError(text), operation)
    assert type(error).__name__ == "SocketOperationError"
    assert_documented(error, operation, OSError(text))
    assert (error.errno, error.code) == (None, "error")
    assert_travels(error)


def test_file_names_stay(sock):
    """An error with file names keeps them, and its text."""
    original = OSError(errno.ENOENT, "No such file or directory", "one", None, "two")
    error = seen_by_the_program(sock, original, "sendfile")
    assert_documented(error, "sendfile", original)
    assert (error.filename, error.filename2) == ("one", "two")
    assert_travels(error)


@pytest.mark.parametrize("args", [(5, "five", None), (5, "five", None, 10005), ("one", "two")])
def test_unusual_args_stay(sock, args):
    """Whatever the args are (on Windows there are four), they stay."""
    original = OSError(*args)
    error = seen_by_the_program(sock, original, "recv")
    assert_documented(error, "recv", original)
    assert_travels(error)


# --- Look-ups: every operation, every EAI_* ----------------------------------------------------


def looked_up(original, operation, asked=("db.internal", 5432)):
    """Return what the program sees when a look-up meets *original*."""

    def look_up():
        raise original

    return raised_by(_failing.plain_call, operation, asked, look_up)


@pytest.mark.parametrize("operation", RESOLVING)
def test_eai_of_a_lookup_becomes_a_documented_error(operation):
    """Only what getaddrinfo(3) says of the name is HostNotFoundError; the rest is trouble."""
    for name, number in {**EAIS, "EAI_IDN_ENCODE": EAI_IDN_ENCODE}.items():
        original = stdlib.gaierror(number, "it failed")
        error = looked_up(original, operation)
        expected = "HostNotFoundError" if name in NO_SUCH_NAME else "ResolverError"
        assert (name, type(error).__name__) == (name, expected)
        assert_documented(error, operation, original)
        assert error.hint
        assert_travels(error)


@pytest.mark.parametrize("operation", [*CONNECTING, "bind", "sendto"])
def test_eai_of_an_operation_becomes_a_documented_error(sock, operation):
    """An operation that is given a name fails as the look-up, and as itself."""
    for number in EAIS.values():
        original = stdlib.gaierror(number, "it failed")
        error = seen_by_the_program(sock, original, operation, target=("db.internal", 5432))
        assert isinstance(error, errors.ResolveError)
        assert_documented(error, operation, original)
        assert "look up db.internal for " in str(error)
        assert_travels(error)


@pytest.mark.parametrize("operation", RESOLVING)
def test_herror_becomes_a_documented_error(operation):
    """What gethostbyaddr(3) raises is documented, and is still an herror."""
    for number in (1, 2, 3, 4):  # <netdb.h>
        original = stdlib.herror(number, "it failed")
        error = looked_up(original, operation, ("10.0.0.7", None))
        assert_documented(error, operation, original)
        assert error.hint
        assert_travels(error)


def test_reverse_lookup_has_a_class_of_its_own():
    """An address without a name is a ReverseLookupError."""
    error = looked_up(stdlib.herror(1, "Unknown host"), "gethostbyaddr", ("10.0.0.7", None))
    assert type(error).__name__ == "ReverseLookupError"


# --- Hints --------------------------------------------------------------------------------------

ON = {
    "tcp": (AF_INET, STREAM, ("10.0.0.7", 9)),
    "loopback": (AF_INET, STREAM, ("127.0.0.1", 9)),
    "udp": (AF_INET, DGRAM, ("127.0.0.1", 9)),
    "path": (AF_UNIX, STREAM, "/run/db.sock"),
    "datagram path": (AF_UNIX, DGRAM, "/run/db.sock"),
    "abstract": (AF_UNIX, STREAM, "\0db"),
}

LIMITS = {
    "read": Limit(300.0, "read", "default"),
    "write": Limit(300.0, "write", "configure"),
    "connect": Limit(10.0, "connect", "default"),
    "own": Limit(5.0, "", "settimeout"),
    "exempt": Limit(5.0, "read", "exempt"),
    "handshake": Limit(10.0, "handshake", "default"),
}

#: An operation met this on such a socket: the hint speaks of this, and says nothing of that.
HINTS = [
    ("connect", "ECONNREFUSED", "tcp", "nothing is listening", "file|datagram|container"),
    ("connect", "ECONNREFUSED", "loopback", "nothing is listening.*container", "file|datagram"),
    ("connect", "ECONNREFUSED", "path", "no program listens.*socket file", "port|firewall"),
    ("connect", "ECONNREFUSED", "abstract", "listen", "file|path|port|firewall"),
    ("recv", "ECONNREFUSED", "udp", "datagram.*nothing is listening", "file"),
    ("recv", "ECONNREFUSED", "tcp", "nothing is listening", "datagram"),
    ("send", "ECONNREFUSED", "datagram path", "listen|server", "file is there|port|firewall"),
    ("connect", "own limit", "tcp", r"no answer.*settimeout\(\)", "set_timeouts"),
    (
        "connect",
        "connect limit",
        "tcp",
        r"no answer.*SAFESOCKET_CONNECT=.*timeouts\(connect=",
        "settimeout",
    ),
    ("connect", "connect limit", "path", "backlog is full", "firewall|host is down"),
    ("connect", "ETIMEDOUT", "tcp", "kernel", "raise|settimeout|limit"),
    ("connect", "ENOENT", "path", "no such path", "port|host"),
    ("connect", "EACCES", "tcp", "firewall.*sandbox", "file|owner|1024"),
    ("connect", "EACCES", "udp", "SO_BROADCAST", "file|owner|1024"),
    ("connect", "EACCES", "path", "owner and mode", "firewall|SO_BROADCAST"),
    ("connect", "EHOSTUNREACH", "tcp", "address.*routes", "listening"),
    ("connect", "EISCONN", "tcp", "connected already", "not connected"),
    ("connect", "EADDRNOTAVAIL", "tcp", "no local port is free", "listening"),
    ("bind", "EADDRINUSE", "tcp", "another socket.*SO_REUSEADDR", "path|remove"),
    ("bind", "EADDRINUSE", "path", "path exists.*remove", "SO_REUSEADDR|port"),
    ("bind", "EADDRINUSE", "abstract", "another", "path|remove|SO_REUSEADDR"),
    ("bind", "EACCES", "tcp", "1024", "SO_BROADCAST|firewall"),
    ("bind", "EACCES", "path", "writable director", "SO_BROADCAST|firewall"),
    ("bind", "ENOENT", "path", "director|folder", "server.*runs"),
    ("bind", "EADDRNOTAVAIL", "tcp", "no such local address.*interface", "listening|port"),
    ("accept", "own limit", "tcp", "no client", "other side"),
    ("accept", "EMFILE", "tcp", "descriptors", "privilege"),
    ("accept", "ECONNABORTED", "tcp", "client that left", "reset"),
    ("do_handshake", "ECONNRESET", "tcp", "in the TLS handshake", "unread data"),
    ("do_handshake", "handshake limit", "tcp", "not speak TLS on this port", "client"),
    ("unwrap", "handshake limit", "tcp", "goodbye of TLS", "silent"),
    ("recv", "exempt limit", "tcp", r"install\(exempt=", "timeouts"),
    (
        "recv",
        "read limit",
        "tcp",
        r"SAFESOCKET_READ=.*set_timeouts\(sock, read=",
        r"settimeout\(|datagram",
    ),
    ("recv", "own limit", "tcp", r"settimeout\(\)", "set_timeouts|datagram"),
    ("recv", "read limit", "udp", "no datagram came", "connection"),
    ("recv", "ETIMEDOUT", "tcp", "kernel", "raise|settimeout|limit"),
    ("recv", "ECONNRESET", "tcp", "other side cut", "this side"),
    ("recv", "ENOTCONN", "tcp", "no peer", "already"),
    ("recv", "EBADF", "tcp", "closed", "other side"),
    ("send", "write limit", "tcp", "does not read", "datagram|bytes_sent"),
    ("send", "EPIPE", "tcp", "closed for writing", "datagram"),
    ("send", "EDESTADDRREQ", "udp", "no peer", "already"),
    ("sendto", "EMSGSIZE", "udp", "datagram larger", "listening"),
    ("sendto", "EACCES", "udp", "SO_BROADCAST", "path|file|1024"),
    ("sendto", "EACCES", "datagram path", "file|mode|permission", "SO_BROADCAST|firewall"),
    ("sendto", "ENOENT", "datagram path", "no such path", "port"),
    ("setsockopt", "ENOENT", "tcp", "errno|option", "path|file"),
    ("setsockopt", "EPERM", "tcp", "privilege", "path|file"),
    ("setsockopt", "EADDRNOTAVAIL", "udp", "no such local address", "listening"),
    ("socket", "ENFILE", "tcp", "descriptors", "privilege"),
    ("getpeername", "ENOTCONN", "tcp", "no peer", "already"),
]


@pytest.mark.parametrize(("operation", "what", "on", "speaks_of", "silent_about"), HINTS)
def test_hint_is_right(operation, what, on, speaks_of, silent_about, monkeypatch):
    """A hint says what can have happened on this sort of socket, and nothing that cannot."""
    monkeypatch.setattr(_surroundings, "finding", lambda *_: None)  # nothing is to be seen
    family, kind, target = ON[on]
    known = {"target": target, "elapsed": 0.02}
    if what.endswith(" limit"):
        original = TimeoutError("timed out")
        known["limit"] = LIMITS[what.removesuffix(" limit")]
    else:
        original = os_error(getattr(errno, what))
    with safesocket.socket(family, kind) as sock:
        hint = seen_by_the_program(sock, original, operation, **known).hint
    assert re.search(speaks_of, hint)
    assert not re.search(silent_about, hint)


LOOKUP_HINTS = [
    ("getaddrinfo", "EAI_NONAME", "spelling", "try again|network"),
    ("getaddrinfo", "EAI_AGAIN", "try again", "spelling|knows no"),
    ("getaddrinfo", "EAI_FAIL", "says nothing about the name", "spelling|knows no"),
    ("getaddrinfo", "EAI_SERVICE", "service name", "spelling|name servers"),
    ("getaddrinfo", "EAI_FAMILY", "family", "spelling|name servers"),
    ("getaddrinfo", "EAI_ADDRFAMILY", "family", "spelling|knows no"),
    ("getaddrinfo", "EAI_MEMORY", "memory", "spelling|name servers"),
    ("getnameinfo", "EAI_NONAME", "no.*name", "spelling"),
    ("getnameinfo", "EAI_OVERFLOW", "", "spelling|knows no"),
    ("gethostbyaddr", "HOST_NOT_FOUND", "no host name is registered", "spelling"),
    ("gethostbyaddr", "TRY_AGAIN", "again", "no host name is registered"),
]


@pytest.mark.parametrize(("operation", "what", "speaks_of", "silent_about"), LOOKUP_HINTS)
def test_hint_of_a_lookup_is_right(operation, what, speaks_of, silent_about):
    """A hint blames the name, the question or the name service: the one that was at fault."""
    if what in EAIS:
        original = stdlib.gaierror(EAIS[what], "it failed")
    else:
        original = stdlib.herror({"HOST_NOT_FOUND": 1, "TRY_AGAIN": 2}[what], "it failed")
    hint = looked_up(original, operation).hint
    assert re.search(speaks_of, hint)
    assert not re.search(silent_about, hint)


# --- What passes untouched ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "original",
    [
        BlockingIOError(errno.EAGAIN, "try again"),
        BlockingIOError(errno.EINPROGRESS, "under way"),
        InterruptedError(errno.EINTR, "interrupted"),
        errors.PeerResetError(errno.ECONNRESET, "told already"),
        errors.ReadTimeoutError("timed out"),
        errors.combined(errors.SocketClosedError, errors.TransferError)(errno.EBADF, "closed"),
    ],
)
def test_untouched_error_is_the_very_object(sock, original):
    """Control flow and errors that are documented already pass as they are."""
    before = str(original), dict(vars(original))
    assert seen_by_the_program(sock, original, "connect", target=("elsewhere", 1)) is original
    assert (str(original), dict(vars(original))) == before


@every_operation
def test_nonblocking_socket_gets_the_very_object(sock, operation):
    """In non-blocking mode the program sees what the stdlib raised: loops compare identities."""
    sock.setblocking(False)
    for number in ERRNOS:
        original = os_error(number)
        assert seen_by_the_program(sock, original, operation) is original
        assert not vars(original)


def test_socket_with_timeout_is_not_nonblocking(sock):
    """The shortest timeout is a timeout: its errors are documented."""
    sock.settimeout(1e-9)
    error = seen_by_the_program(sock, os_error(errno.EPIPE), "send")
    assert isinstance(error, errors.PeerClosedError)


# --- Real failures ------------------------------------------------------------------------------

every_scene = pytest.mark.parametrize("name", SCENES)
QUICK = [name for name, scene in SCENES.items() if not scene.slow]
every_quick_scene = pytest.mark.parametrize("name", QUICK)


@every_scene
def test_failure_is_the_stdlibs_and_documented(name):
    """What fails in the stdlib fails here alike, as a documented error that travels whole."""
    with failing(name) as call:
        error = raised_by(call)
    assert type(error).__name__ == SCENES[name].error
    assert_documented(error, SCENES[name].operation, of_the_stdlib(name))
    assert_travels(error)


GIVES_UP_FIRST = "sendfile of no file beyond its timeout"  # in the stdlib, too, that is context
every_plain_scene = pytest.mark.parametrize(
    "name", [name for name in QUICK if name != GIVES_UP_FIRST]
)


@every_plain_scene
def test_failure_keeps_the_context_of_the_program(name):
    """What the program was handling is the context; the stdlib's raw error is not between."""
    with failing(name) as call:
        handled = KeyError("the program's own")
        try:
            raise handled
        except KeyError:
            error = raised_by(call)
    assert error.__context__ is handled
    assert error.__cause__ is None


@every_plain_scene
def test_failure_has_no_context_of_its_own(name):
    """Where the program handles nothing, a traceback shows one error."""
    with failing(name) as call:
        error = raised_by(call)
    assert error.__context__ is None
    assert not error.__suppress_context__


@contextmanager
def no_cycles():
    """Check that nothing of the block's failures is left for the garbage collector."""
    gc.disable()
    gc.freeze()  # what was there before is not looked at
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        left_over = [thing for thing in gc.garbage if isinstance(thing, OF_A_FAILURE)]
        assert left_over == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


OF_A_FAILURE = (BaseException, FrameType, TracebackType)


@every_quick_scene
def test_failure_leaves_no_cycle(name):
    """A failure is freed, with all that its traceback holds, as soon as it is handled."""
    with failing(name) as call, no_cycles():
        raised_by(call)


def test_success_after_a_failure_leaves_no_cycle():
    """Nor does an address that failed before the next one worked."""
    with (
        testing.refuses() as dead,
        testing.never_answers() as alive,
        looking_up(dead, alive),
        no_cycles(),
    ):
        sock = safesocket.create_connection(("db.internal", 5432))
        sock.close()


def test_group_of_failures_leaves_no_cycle():
    """Nor does the group that all_errors asks for."""
    seen = 0
    with testing.refuses() as one, testing.refuses() as two, looking_up(one, two), no_cycles():
        try:
            safesocket.create_connection(("db.internal", 5432), all_errors=True)
        except ExceptionGroup as group:
            seen = len(group.exceptions)
    assert seen == 2


# --- In other modes, and elsewhere --------------------------------------------------------------


NONBLOCKING = [
    "refused at a path",
    "connect beyond its limit",
    "full backlog at a path",
    "bind where somebody is",
    "accept beyond its timeout",
    "recv beyond its limit",
    "recv before connect",
    "recv from a pair after a reset",
    "send after shutdown",
    "sendall beyond its limit",
    "large datagram",
    "shutdown before connect",
]


@contextmanager
def nonblocking(name):
    """Yield the call of a scene whose socket has been set non-blocking."""
    with failing(name) as call:
        sock = getattr(call, "func", call).__self__
        sock.setblocking(False)
        yield call


@pytest.mark.parametrize("name", NONBLOCKING)
def test_nonblocking_failure_is_the_stdlibs_own(name):
    """A real failure in non-blocking mode is the builtin class, with no note and no fact."""
    with nonblocking(name) as call:
        error = raised_by(call)
    assert type(error) is type(os_error(error.errno))
    assert not vars(error)
    assert error.__context__ is None


@pytest.mark.parametrize("name", NONBLOCKING)
def test_nonblocking_failure_leaves_no_cycle(name):
    """An event loop gets EAGAIN all day: nothing of it waits for the garbage collector."""
    with nonblocking(name) as call, no_cycles():
        raised_by(call)


CLOSED = {
    "recv": lambda sock: sock.recv(1),
    "recv_into": lambda sock: sock.recv_into(bytearray(1)),
    "recvfrom": lambda sock: sock.recvfrom(1),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(1)),
    "recvmsg": lambda sock: sock.recvmsg(1),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(1)]),
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "sendto": lambda sock: sock.sendto(b"x", ("127.0.0.1", 9)),
    "sendmsg": lambda sock: sock.sendmsg([b"x"]),
    "connect": lambda sock: sock.connect(("127.0.0.1", 9)),
    "accept": lambda sock: sock.accept(),
    "bind": lambda sock: sock.bind(("127.0.0.1", 0)),
    "listen": lambda sock: sock.listen(),
    "shutdown": lambda sock: sock.shutdown(stdlib.SHUT_RDWR),
    "dup": lambda sock: sock.dup(),
    "getpeername": lambda sock: sock.getpeername(),
    "getsockname": lambda sock: sock.getsockname(),
    "getsockopt": lambda sock: sock.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_TYPE),
    "setsockopt": lambda sock: sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_KEEPALIVE, 1),
    "settimeout": lambda sock: sock.settimeout(1),
    "setblocking": lambda sock: sock.setblocking(True),
}


@pytest.mark.parametrize("operation", CLOSED)
@pytest.mark.parametrize("timeout", [None, 1.0])
def test_operation_on_a_closed_socket_says_so(operation, timeout):
    """Any operation on a closed socket is a SocketClosedError that names the operation."""
    seen = []
    for net in (stdlib, safesocket):
        sock = net.socket()
        sock.settimeout(timeout)
        sock.close()
        seen.append(raised_by(CLOSED[operation], sock))
    original, error = seen
    assert type(error).__name__ == "SocketClosedError"
    assert_documented(error, operation, original)


def test_detached_socket_is_closed():
    """A socket whose descriptor was taken away says so as a closed one does."""
    sock = safesocket.socket()
    stdlib.close(sock.detach())
    assert type(raised_by(sock.recv, 1)).__name__ == "SocketClosedError"


@needs_ipv6
def test_refused_ipv6_is_documented():
    """IPv6 fails as IPv4 does, and its address is told whole."""
    with testing.refuses(stdlib.AF_INET6) as address, safesocket.socket(stdlib.AF_INET6) as sock:
        error = raised_by(sock.connect, address)
    assert isinstance(error, errors.ConnectRefusedError)
    assert (error.host, error.port, error.address) == (*address, address)


def test_create_server_where_somebody_is():
    """create_server, which words its own error, raises a documented one with that text."""
    with safesocket.create_server(("127.0.0.1", 0)) as server:
        original = raised_by(stdlib.create_server, server.getsockname())
        error = raised_by(safesocket.create_server, server.getsockname())
        host, port = server.getsockname()
    assert type(error).__name__ == "AddressInUseError"
    assert_documented(error, "bind", original)
    assert str(error).endswith(f": bind to {host}:{port}")
    assert "During handling" not in "".join(traceback.format_exception(error))


def test_create_server_with_no_such_name():
    """A name that is not there is a HostNotFoundError also where create_server words it."""
    error = raised_by(safesocket.create_server, ("no such host", 80))
    assert isinstance(error, errors.HostNotFoundError)
    assert isinstance(error, errors.BindError)
    assert error.code == "EAI_NONAME"


@pytest.mark.parametrize(
    ("host", "flags"), [(None, 0), ("localhost", stdlib.AI_NUMERICHOST)], ids=["none", "numeric"]
)
def test_hint_of_a_look_up_does_not_blame_a_name_that_nobody_looked_up(host, flags):
    """Where no name service was asked, the hint does not say what it knows."""
    error = raised_by(partial(safesocket.getaddrinfo, host, None, flags=flags))
    assert "name service knows no address" not in error.hint


def test_all_errors_say_whose_limit_it_was():
    """Each error of a group tells the limit that the program set, not how it was shared out."""
    with (
        testing.never_accepts() as one,
        testing.never_accepts() as two,
        looking_up(one, two),
        pytest.raises(ExceptionGroup) as group,
    ):
        safesocket.create_connection(("db.internal", 5432), LIMIT, all_errors=True)
    sources = [error.timeout_source for error in group.value.exceptions]
    assert sources == ["create_connection", "create_connection"]


def test_attempts_say_whose_limit_it_was():
    """So does each of the attempts."""
    with testing.never_accepts() as one, testing.never_accepts() as two, looking_up(one, two):
        error = raised_by(safesocket.create_connection, ("db.internal", 5432), LIMIT)
    sources = [attempt.error.timeout_source for attempt in error.attempts]
    assert sources == ["create_connection", "create_connection"]


def test_connect_elsewhere_is_refused():
    """A connected socket cannot be connected to somebody else: the stdlib says so, and so do we."""
    with testing.never_answers() as one, testing.never_answers() as two:
        for net in (stdlib, safesocket):
            with net.socket() as sock:
                sock.connect(one)
                assert raised_by(sock.connect, two).errno == errno.EISCONN
                assert sock.getpeername() == one


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", b"localhost"])
def test_connect_after_a_refusal_is_refused_again(host):
    """A program that waits for its server calls connect again and again on one socket."""
    with testing.refuses() as (_, port):
        for net in (stdlib, safesocket):
            with net.socket() as sock:
                seen = [raised_by(sock.connect, (host, port)).errno for _ in range(3)]
            assert seen == [errno.ECONNREFUSED] * 3


def test_connect_after_a_refusal_finds_the_server():
    """And when the server is there at last, it is connected."""
    with testing.refuses() as address, safesocket.socket() as sock:
        assert raised_by(sock.connect, address).errno == errno.ECONNREFUSED
        with testing.echoes() as alive:
            sock.connect(alive)
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"


class OwnError(OSError):
    """What a program's own subclass of socket raises: its arguments are its own affair."""

    def __init__(self, text, *, detail):
        super().__init__(text)
        self.detail = detail


class OwnSocket(safesocket.socket):
    """A socket of the program's, such as one that speaks with a proxy."""

    def recv_into(self, *_):
        raise OwnError("the proxy said no", detail=403)

    def send(self, *_):
        raise OwnError("the proxy said no", detail=403)


def test_error_of_the_programs_own_passes_untouched():
    """An OSError of the program's own class comes out of makefile() and sendfile() as it went."""
    with OwnSocket() as sock, sock.makefile("rb") as file:
        for call in (file.read, partial(sock.sendfile, io.BytesIO(b"x"))):
            error = raised_by(call)
            assert type(error) is OwnError
            assert vars(error) == {"detail": 403}


def test_attempts_are_told_of_every_address():
    """Each address that was tried is there, with its error, in the order of the trials."""
    with testing.refuses() as one, testing.refuses() as two, looking_up(one, two):
        error = raised_by(safesocket.create_connection, ("db.internal", 5432))
    assert [attempt.address for attempt in error.attempts] == [one, two]
    kinds = [type(attempt.error) for attempt in error.attempts]
    assert kinds == [errors.ConnectRefusedError] * 2
    assert all(0 <= attempt.elapsed <= error.elapsed for attempt in error.attempts)
    assert (error.host, error.port, error.address) == ("db.internal", 5432, two)


@pytest.mark.parametrize(
    "name",
    [
        "source address where somebody is",
        "source address of others",
        "create connection without descriptors",
        "no name to be connected to",
        "refused at every address",
        "connect beyond its budget",
    ],
)
def test_create_connection_raises_nothing_but_connect_errors(name):
    """``except ConnectError`` catches all that may come out of create_connection."""
    with failing(name) as call:
        assert isinstance(raised_by(call), errors.ConnectError)


def test_source_address_is_what_could_not_be_bound():
    """Where the source address cannot be bound, the sentence names it, not the far end."""
    with failing("source address of others") as call:
        assert "bind to 192.0.2.1:0" in str(raised_by(call))


def test_hint_of_a_send_before_connecting_does_not_speak_of_a_connection():
    """EPIPE on a socket that never was connected: no connection had been closed."""
    with failing("send before connect") as call:
        assert re.search(r"not connected|connect\(\)|no peer", raised_by(call).hint)


def test_hint_of_a_send_on_a_listener():
    """Who sends on the listening socket is told so: nobody has closed a connection."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener:
        said = raised_by(listener.send, b"answer").hint
    assert said.startswith("the socket has no peer")
    assert said.endswith("a server talks on the sockets that accept() returns")


def test_hint_of_a_stream_that_timed_out_says_so():
    """What can be done after a timeout in makefile() is said by the hint."""
    with failing("file read after a timeout") as call:
        assert re.search("timed out before.*new connection", raised_by(call).hint)


@pytest.mark.parametrize("name", ["sendall beyond its timeout", "sendfile beyond its timeout"])
def test_hint_names_bytes_sent_only_where_it_is_known(name):
    """A hint that points at bytes_sent points at a number."""
    with failing(name) as call:
        error = raised_by(call)
    assert isinstance(error.bytes_sent, int) or "bytes_sent" not in error.hint


def test_failure_needs_no_import():
    """An error is told without a descriptor to read a module with."""
    said = printed("""
        import resource
        import safesocket
        safesocket.getaddrinfo = lambda *_: [(2, 1, 6, "", ("127.0.0.1", 9))]
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        try:
            safesocket.create_connection(("db.internal", 5432))
        except OSError as error:
            print(type(error).__name__, error.errno)
    """)
    assert said == f"ResourceError {errno.EMFILE}"


DENIED = """
    import os, tempfile
    import safesocket
    from safesocket import AF_INET, AF_UNIX, SOCK_RAW, SOL_SOCKET, socket

    SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
    folder = tempfile.mkdtemp()
    server = socket(AF_UNIX)
    server.bind(f"{folder}/db.sock")
    server.listen()
    os.chmod(f"{folder}/db.sock", 0)
    os.chmod(folder, 0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    cases = {
        "connect": lambda: socket(AF_UNIX).connect(f"{folder}/db.sock"),
        "bind": lambda: socket(AF_UNIX).bind(f"{folder}/other.sock"),
        "bind to a port": lambda: socket().bind(("127.0.0.1", 80)),
        "socket": lambda: socket(AF_INET, SOCK_RAW, 1),
        "setsockopt": lambda: socket().setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, 4096),
    }
    for name, call in cases.items():
        try:
            call()
        except OSError as error:
            kind = type(error)
            print(name, kind.__name__, error.code, isinstance(error, PermissionError), sep="; ")
    os.seteuid(user)
    os.chmod(folder, 0o700)
    os.unlink(f"{folder}/db.sock")
    os.rmdir(folder)
"""


@pytest.fixture(scope="module")
def denied():
    """What a process without privileges gets, by operation."""
    lines = printed(DENIED, "-W", "ignore::ResourceWarning").splitlines()
    return {line.split("; ")[0]: line.split("; ")[1:] for line in lines}


def lowest_free_port():
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            return int(file.read())
    except OSError:
        return 1024


@pytest.mark.parametrize(
    ("case", "kind", "code"),
    [
        ("connect", "ConnectDeniedError", "EACCES"),
        ("bind", "BindDeniedError", "EACCES"),
        pytest.param(
            *("bind to a port", "BindDeniedError", "EACCES"),
            marks=pytest.mark.skipif(lowest_free_port() <= 80, reason="port 80 is free for all"),
        ),
        ("socket", "OperationDeniedError", "EPERM"),
        ("setsockopt", "OperationDeniedError", "EPERM"),
    ],
)
def test_denied_operation_says_what_was_denied(denied, case, kind, code):
    """Without privileges: the class of the operation, and PermissionError as ever."""
    assert denied[case] == [kind, code, "True"]


ISLAND = """
    import ctypes, os, subprocess, sys
    from safesocket import SOCK_DGRAM, socket

    CLONE_NEWNET = 0x40000000  # <linux/sched.h>
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit(f"skip: unshare: {os.strerror(ctypes.get_errno())}")
    try:
        for words in ("link set lo up", "route add unreachable 10.0.0.1",
                      "route add prohibit 10.0.0.2"):
            subprocess.run(["ip", *words.split()], check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        sys.exit(f"skip: {exc}")
    cases = {
        "no network": lambda: socket().connect(("10.0.0.3", 80)),
        "no network for datagrams": lambda: socket(type=SOCK_DGRAM).sendto(b"", ("10.0.0.3", 9)),
        "no host": lambda: socket().connect(("10.0.0.1", 80)),
        "no permission": lambda: socket().connect(("10.0.0.2", 80)),
    }
    for name, call in cases.items():
        try:
            call()
        except OSError as error:
            print(name, type(error).__name__, error.code, error, sep="; ")
"""


@pytest.fixture(scope="module")
def island():
    """What a process in a network of its own gets, by case."""
    process = python(ISLAND, "-W", "ignore::ResourceWarning")
    if process.stderr.startswith("skip: "):
        pytest.skip(process.stderr)
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    return {line.split("; ")[0]: line.split("; ")[1:] for line in lines}


@pytest.mark.parametrize(
    ("case", "kind", "code", "sentence"),
    [
        ("no network", "UnreachableError", "ENETUNREACH", "connect to 10.0.0.3:80"),
        ("no network for datagrams", "UnreachableError", "ENETUNREACH", "sendto to 10.0.0.3:9"),
        ("no host", "UnreachableError", "EHOSTUNREACH", "connect to 10.0.0.1:80"),
        ("no permission", "ConnectDeniedError", "EACCES", "connect to 10.0.0.2:80"),
    ],
)
def test_unreachable_address_is_documented(island, case, kind, code, sentence):
    """In a network without routes: the class says that there is no way, the text to where."""
    assert island[case][:2] == [kind, code]
    assert f": {sentence} after " in island[case][2]
