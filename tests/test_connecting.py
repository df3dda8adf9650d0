"""Connecting: what the stdlib's sockets do, ours do, and the mode afterwards is what it was.

The oracle is the stdlib: most tests run once on its sockets and once on ours. That connecting ends
in time is test_hangs' matter.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from socket import AF_INET, AF_UNIX, SO_SNDTIMEO, SOCK_DGRAM

import pytest

import safesocket
from safesocket import _route, errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    alarms,
    as_the_stdlib,
    assert_bare,
    builtin_of,
    calling,
    counted_alarms,
    descriptors,
    every_family,
    every_mode,
    every_stop,
    garbage,
    later,
    listening,
    mode_of,
    needs_alarm,
    outcome,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    skip_if_traced,
    still_waits,
    stopped_at,
    stopped_by,
    tcp,
    within,
)

pytestmark = pytest.mark.timeout(10, func_only=True)  # seconds; what hangs is cut off

waiting_modes = pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
CONNECTS = {
    "connect": lambda sock, address: sock.connect(address),
    "connect_ex": lambda sock, address: sock.connect_ex(address),
}
every_connect = pytest.mark.parametrize("connect", CONNECTS.values(), ids=CONNECTS.keys())


def refused(number):
    """Return what the errno of a failed connect is to the program, from connect and connect_ex."""
    return number, (builtin_of(OSError(number, "")), number, (number, os.strerror(number)))


@contextmanager
def in_mode(lib, family, mode):
    with lib.socket(family) as sock:
        sock.settimeout(mode)
        yield sock


# It succeeds.


@as_the_stdlib
@every_connect
@waiting_modes
@every_family
def test_connect(lib, connect, mode, family):
    """A connection is made, and the mode of the socket is what it was before."""
    with listening(family) as listener, in_mode(lib, family, mode) as sock:
        assert connect(sock, listener.getsockname()) in (0, None)
        assert mode_of(sock) == (mode is not None, mode)
        peer, _ = listener.accept()
        with peer:
            sock.sendall(b"hello")
            assert peer.recv(9) == b"hello"


@as_the_stdlib
@every_connect
@tcp
def test_connect_nonblocking(lib, connect, family):
    """A non-blocking connection is begun: EINPROGRESS says so, in the words of the stdlib."""
    with listening(family) as listener, in_mode(lib, family, 0) as sock:
        begun = outcome(connect, sock, listener.getsockname())
        assert begun in refused(errno.EINPROGRESS)
        assert mode_of(sock) == (True, 0)
        listener.accept()[0].close()
        assert connect(sock, listener.getsockname()) in (0, None)


@as_the_stdlib
@tcp
def test_connect_nonblocking_error(lib, family):
    """The BlockingIOError of a non-blocking connect is bare: event loops live on it."""
    begun = pytest.raises(BlockingIOError)
    with listening(family) as listener, in_mode(lib, family, 0) as sock, begun as it:
        sock.connect(listener.getsockname())
    assert_bare(it.value, BlockingIOError, errno.EINPROGRESS)


@as_the_stdlib
@every_connect
@pytest.mark.parametrize("host", ["localhost", b"localhost", "127.1", ""])
@every_mode
def test_connect_to_name(lib, connect, host, mode):
    """Names are looked up, and all that the stdlib takes for a host is one."""
    with listening() as listener, in_mode(lib, AF_INET, mode) as sock:
        with suppress(BlockingIOError):
            connect(sock, (host, listener.getsockname()[1]))
        listener.accept()[0].close()
        assert sock.getpeername() == listener.getsockname()


@as_the_stdlib
@every_connect
@every_mode
def test_connect_datagrams(lib, connect, mode):
    """A datagram socket is connected at once, and to another address when asked again."""
    with lib.socket(AF_INET, SOCK_DGRAM) as sock:
        sock.settimeout(mode)
        for port in (1, 2):
            assert connect(sock, ("127.0.0.1", port)) in (0, None)
            assert sock.getpeername() == ("127.0.0.1", port)


@every_connect
@tcp
def test_connect_limit_of_nothing(connect, family):
    """Even with a limit of 0 a connection succeeds that needs no wait, as on loopback."""
    with (
        listening(family) as listener,
        safesocket.socket(family) as sock,
        safesocket.timeouts(connect=0),
    ):
        assert connect(sock, listener.getsockname()) in (0, None)
        assert mode_of(sock) == (False, None)


# It fails.


@as_the_stdlib
@every_connect
@every_mode
@every_family
def test_connect_refused(lib, connect, mode, family):
    """A refusal is ECONNREFUSED, and the mode is what it was."""
    with testing.refuses(family) as address, in_mode(lib, family, mode) as sock:
        first = outcome(connect, sock, address)
        if mode == 0 and family != AF_UNIX:
            assert first in refused(errno.EINPROGRESS)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        else:
            assert first in refused(errno.ECONNREFUSED)
        assert mode_of(sock) == (mode is not None, mode)


@as_the_stdlib
@every_connect
@tcp
def test_connect_again_after_refusal(lib, connect, family):
    """A socket that was refused may try again, and be refused once more, or succeed."""
    with (
        testing.refuses(family) as address,
        listening(family) as listener,
        lib.socket(family) as sock,
    ):
        for _ in range(3):
            assert outcome(connect, sock, address) in refused(errno.ECONNREFUSED)
        assert connect(sock, listener.getsockname()) in (0, None)


FAILURES = {
    "no-such-path": (AF_UNIX, "/nonexistent/socket", errno.ENOENT),
    "no-directory": (AF_UNIX, "/dev/null/socket", errno.ENOTDIR),
    "no-socket": (AF_UNIX, "/dev/null", errno.ECONNREFUSED),
    "unreachable": (AF_INET, ("127.255.255.255", 9), errno.ENETUNREACH),  # a broadcast address
}


@pytest.mark.parametrize(("family", "address"), [case[:2] for case in FAILURES.values()])
@every_connect
@waiting_modes
def test_connect_fails(family, address, connect, mode):
    """Any other failure is that of the stdlib."""

    def ends(lib):
        with in_mode(lib, family, mode) as sock:
            return outcome(connect, sock, address), mode_of(sock)

    assert ends(safesocket) == ends(socket)


WRONG = {
    "nothing": lambda sock, method: getattr(sock, method)(),
    "two": lambda sock, method: getattr(sock, method)("127.0.0.1", 1),
    "keyword": lambda sock, method: getattr(sock, method)(address=("127.0.0.1", 1)),
    **{
        repr(address): partial(lambda wrong, sock, method: getattr(sock, method)(wrong), address)
        for address in [
            None,
            (),
            ("127.0.0.1",),
            ("127.0.0.1", 1, 2),
            ("127.0.0.1", "1"),
            ("127.0.0.1", -1),
            ("127.0.0.1", 65536),
            ("127.0.0.1", 1.0),
            ["127.0.0.1", 1],
            (1, 1),
            (None, 1),
            ("a\0b", 1),
            ("a" * 64 + ".example", 1),
            ("\udcff", 1),
            "/a/path",
            b"/a/path",
            ("::1", 1),
            ("999.0.0.1.", 1),
        ]
    },
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
@every_mode
def test_connect_bad_address(call, method, mode):
    """What the stdlib finds wrong with an address is wrong here, in the same way."""

    def ends(lib):
        with in_mode(lib, AF_INET, mode) as sock:
            return outcome(call, sock, method), mode_of(sock)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_connect_bad_address_is_told_once(lib, method):
    """The text names the function that was called, and there is no other error behind it."""
    with lib.socket(AF_INET) as sock, pytest.raises(TypeError) as it:
        getattr(sock, method)(5)
    assert str(it.value) == f"{method}(): AF_INET address must be tuple, not int"
    assert it.value.__context__ is None


@pytest.mark.parametrize(
    "address", [None, 1, ("a", 1), "a" * 200, b"a" * 200, "a\0b", ""], ids=repr
)
@every_connect
@every_mode
def test_connect_bad_path(address, connect, mode):
    """So it is with a path."""

    def ends(lib):
        with in_mode(lib, AF_UNIX, mode) as sock:
            return outcome(connect, sock, address), mode_of(sock)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@every_connect
@every_mode
def test_connect_closed_socket(lib, connect, mode):
    """A closed socket is EBADF, and nothing else is behind it."""
    sock = lib.socket()
    sock.settimeout(mode)
    sock.close()
    assert outcome(connect, sock, ("127.0.0.1", 1)) in refused(errno.EBADF)
    with pytest.raises(OSError, match="Bad file descriptor") as it:
        sock.connect(("127.0.0.1", 1))
    assert it.value.__context__ is None


@as_the_stdlib
@every_connect
@every_mode
@every_family
def test_connect_connected_socket(lib, connect, mode, family):
    """A socket that is connected already is EISCONN."""
    with listening(family) as listener, lib.socket(family) as sock:
        sock.connect(listener.getsockname())
        sock.settimeout(mode)
        assert outcome(connect, sock, listener.getsockname()) in refused(errno.EISCONN)
        assert mode_of(sock) == (mode is not None, mode)


# A connection that the program has begun itself.


@contextmanager
def full_listener(family=AF_INET):
    """Yield a listener that has room for nobody more before it accepts somebody."""
    with listening(family, backlog=0) as listener, socket.socket(family) as filler:
        filler.connect(listener.getsockname())
        yield listener


def make_room(listener):
    """Accept the one that fills the backlog of a full listener."""
    listener.accept()[0].close()


@as_the_stdlib
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_connect_again_while_in_progress(lib, mode):
    """A blocking connect waits for the connection that a non-blocking one has begun.

    With a timeout the stdlib says EALREADY at once, and so do we.
    """
    with full_listener() as listener, in_mode(lib, AF_INET, 0) as sock:
        assert sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS
        sock.settimeout(mode)
        if mode is not None:
            assert outcome(sock.connect, listener.getsockname()) in refused(errno.EALREADY)
            return
        with calling(sock.connect, listener.getsockname()) as future:
            assert still_waits(future, LIMIT)
            make_room(listener)
            assert future.result(GUARD) is None
        assert sock.getpeername() == listener.getsockname()


def test_connect_limit_while_in_progress():
    """That wait is limited, too."""
    with testing.never_accepts() as address, in_mode(safesocket, AF_INET, 0) as sock:
        assert sock.connect_ex(address) == errno.EINPROGRESS
        sock.setblocking(True)
        safesocket.set_timeouts(sock, connect=LIMIT)
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.ConnectTimeoutError):
            sock.connect(address)
        assert mode_of(sock) == (False, None)


@as_the_stdlib
@waiting_modes
def test_connect_refused_while_in_progress(lib, mode):
    """The refusal of a connection begun without blocking is told by the next connect."""
    with testing.refuses() as address, in_mode(lib, AF_INET, 0) as sock:
        assert sock.connect_ex(address) == errno.EINPROGRESS
        sock.settimeout(mode)
        assert outcome(sock.connect, address) in refused(errno.ECONNREFUSED)


# An AF_UNIX backlog that is full, which cannot be waited for by poll().


@pytest.mark.parametrize(
    ("lib", "mode"),
    [(socket, None), (safesocket, None), (safesocket, GUARD)],
    ids=["stdlib", "safesocket", "safesocket-timeout"],
)
def test_connect_to_full_path_until_there_is_room(lib, mode):
    """A server at a path that is busy is waited for, and the connection is made.

    The stdlib with a timeout fails at once, which is CPython issue 117208.
    """
    with full_listener(AF_UNIX) as listener, in_mode(lib, AF_UNIX, mode) as sock:
        with calling(sock.connect, listener.getsockname()) as future:
            assert still_waits(future, LIMIT)
            make_room(listener)
            assert future.result(GUARD) is None
        assert mode_of(sock) == (mode is not None, mode)
        assert sock.getpeername() == listener.getsockname()


@as_the_stdlib
@every_connect
def test_connect_to_full_path_nonblocking(lib, connect):
    """Without blocking it is EAGAIN at once, and bare."""
    with testing.never_accepts(AF_UNIX) as address, in_mode(lib, AF_UNIX, 0) as sock:
        assert outcome(connect, sock, address) in refused(errno.EAGAIN)
        with pytest.raises(BlockingIOError) as it:
            sock.connect(address)
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


def test_connect_to_full_path_limit_has_no_context():
    """The EAGAIN that led to the time-out is nobody's business."""
    with (
        testing.never_accepts(AF_UNIX) as address,
        safesocket.socket(AF_UNIX) as sock,
        safesocket.timeouts(connect=LIMIT),
        pytest.raises(errors.ConnectTimeoutError) as it,
    ):
        sock.connect(address)
    assert (it.value.__context__, it.value.__cause__) == (None, None)


# What the program set up behind Python's back.


@as_the_stdlib
@every_connect
@tcp
def test_connect_nonblocking_behind_python(lib, connect, family):
    """O_NONBLOCK, set by C code or inherited, is respected: Python believes that it blocks."""
    with testing.never_accepts(family) as address, lib.socket(family) as sock:
        set_nonblocking_behind_python(sock)
        assert outcome(connect, sock, address) in refused(errno.EINPROGRESS)
        assert mode_of(sock) == (True, None)


@as_the_stdlib
@every_connect
@pytest.mark.parametrize(
    ("family", "number"),
    [(AF_INET, errno.EINPROGRESS), (AF_UNIX, errno.EAGAIN)],
    ids=["ipv4", "unix"],
)
def test_connect_with_kernel_timeout(lib, connect, family, number):
    """SO_SNDTIMEO, the program's own limit, is respected: its time and its error."""
    with testing.never_accepts(family) as address, lib.socket(family) as sock:
        set_kernel_timeout(sock, SO_SNDTIMEO, LIMIT)
        with within(LIMIT, at_least=LIMIT / 2):
            assert outcome(connect, sock, address) in refused(number)


@pytest.mark.parametrize(
    ("connect", "family", "never"),
    [
        pytest.param(CONNECTS["connect"], AF_UNIX, None, id="connect-unix"),
        pytest.param(CONNECTS["connect_ex"], AF_UNIX, safesocket.FOREVER, id="connect_ex-unix"),
    ],
)
def test_connect_for_ever(connect, family, never):
    """Who asks to wait for ever does."""
    with (
        full_listener(family) as listener,
        safesocket.socket(family) as sock,
        safesocket.timeouts(connect=LIMIT),
    ):
        sock.settimeout(never)
        with calling(connect, sock, listener.getsockname()) as future:
            assert still_waits(future, 2 * LIMIT)
            make_room(listener)
            assert future.result(GUARD) in (0, None)


# Signals.


@needs_alarm
@every_family
def test_connect_interrupted_to_the_limit(family):
    """Signals every few milliseconds neither end the wait nor put its limit off."""
    with (
        testing.never_accepts(family) as address,
        safesocket.socket(family) as sock,
        safesocket.timeouts(connect=LIMIT),
        counted_alarms() as seen,
    ):
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.ConnectTimeoutError):
            sock.connect(address)
        assert seen


@needs_alarm
@as_the_stdlib
def test_connect_to_full_path_interrupted(lib):
    """Nor does a connection fail for them that is made in the end."""
    with full_listener(AF_UNIX) as listener, lib.socket(AF_UNIX) as sock, counted_alarms() as seen:
        with later(LIMIT, make_room, listener):
            assert sock.connect(listener.getsockname()) is None
        assert seen


@needs_alarm
@every_connect
@waiting_modes
@every_family
@every_stop
def test_connect_stopped_by_handler(connect, mode, family, kind):
    """What a signal handler raises ends the wait, with no error of ours or the system's behind."""
    if mode is not None and family == AF_UNIX and connect is CONNECTS["connect_ex"]:
        return  # EAGAIN at once, as in the stdlib
    with testing.never_accepts(family) as address, in_mode(safesocket, family, mode) as sock:
        with stopped_by(kind):
            connect(sock, address)
        assert mode_of(sock) == (mode is not None, mode)


@needs_alarm
@every_connect
@every_family
@every_stop
def test_connect_closed_and_stopped_by_handler(connect, family, kind):
    """So it does if the handler has closed the socket, as one that cleans up does."""
    skip_if_traced()

    def clean_up(*_):
        sock.close()
        raise kind

    with (
        testing.never_accepts(family) as address,
        safesocket.socket(family) as sock,
        within(LIMIT),
        pytest.raises(kind),
        alarms(clean_up, LIMIT),
    ):
        connect(sock, address)


@as_the_stdlib
@every_connect
@pytest.mark.parametrize("name", ["IPPROTO_TCP", "IPPROTO_MPTCP", "IPPROTO_SCTP"])
def test_connect_by_protocol(lib, connect, name):
    """Other streams than TCP connect as well, and are refused as well."""
    kind = AF_INET, socket.SOCK_STREAM, getattr(socket, name, -1)
    try:
        listener = socket.socket(*kind)
    except OSError as exc:
        pytest.skip(f"no {name} here: {exc}")
    with listener, lib.socket(*kind) as sock, lib.socket(*kind) as late:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not connect(sock, listener.getsockname())
        address = listener.getsockname()
        listener.close()
        assert outcome(connect, late, address) in refused(errno.ECONNREFUSED)


@waiting_modes
@every_connect
def test_connect_stopped_at_any_moment(connect, mode):
    """Whenever a handler raises, the mode is the program's."""
    with safesocket.create_server(("127.0.0.1", 0), backlog=400) as listener:
        for moment in count(1):
            with in_mode(safesocket, AF_INET, mode) as sock, safesocket.deadline(GUARD / 2):
                more = stopped_at(moment, partial(connect, sock, listener.getsockname()))
                assert mode_of(sock) == (mode is not None, mode), moment
            if not more:
                break
    assert moment > 30


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of what C has to close then
# CPython swallows what is raised as a weak reference's callback begins; one in C would cost each
# socket 64 bytes more
@pytest.mark.filterwarnings("ignore:.*_forget:pytest.PytestUnraisableExceptionWarning")
def test_create_connection_stopped_at_any_moment():
    """Whenever a handler raises, the limit of its look-up is in force no more."""
    with safesocket.create_server(("127.0.0.1", 0), backlog=400) as listener:
        address = "localhost", listener.getsockname()[1]
        for moment in count(1):
            more = stopped_at(moment, lambda: safesocket.create_connection(address, 5).close())
            assert safesocket.get_timeouts() == safesocket.Timeouts(), moment
            if not more:
                break
    assert moment > 30


# Other threads.


@every_family
def test_connect_closed_by_other_thread(family):
    """A socket closed by another thread says so, at the latest when the limit ends."""
    with (
        testing.never_accepts(family) as address,
        safesocket.socket(family) as sock,
        safesocket.timeouts(connect=2 * LIMIT),
        later(LIMIT, sock.close),
        within(2 * LIMIT),
        pytest.raises(errors.SocketClosedError, match="Bad file descriptor") as it,
    ):
        sock.connect(address)
    assert it.value.__context__ is None


# create_connection.


@as_the_stdlib
@tcp
@pytest.mark.parametrize("timeout", [(), (None,), (GUARD,)], ids=["default", "None", "seconds"])
def test_create_connection(lib, family, timeout):
    """A connection is made, of the module's own class, and the timeout is the socket's."""
    with (
        listening(family) as listener,
        lib.create_connection(listener.getsockname()[:2], *timeout) as sock,
    ):
        assert type(sock) is lib.socket
        assert sock.gettimeout() == (timeout[0] if timeout else None)
        assert sock.getpeername() == listener.getsockname()


@as_the_stdlib
def test_create_connection_default_timeout(lib):
    """The default timeout of the process is the socket's."""
    lib.setdefaulttimeout(GUARD)
    with listening() as listener, lib.create_connection(listener.getsockname()) as sock:
        assert mode_of(sock) == (True, GUARD)


@as_the_stdlib
def test_create_connection_source_address(lib):
    """The address that the program gives is the one that it connects from."""
    here = ("127.0.0.2", 0)
    with listening() as at, lib.create_connection(at.getsockname(), GUARD, here) as sock:
        assert sock.getsockname()[0] == "127.0.0.2"


@as_the_stdlib
@tcp
def test_create_connection_refused(lib, family):
    """A refusal of the only address is a refusal."""
    with testing.refuses(family) as address:
        assert outcome(lib.create_connection, address) in refused(errno.ECONNREFUSED)


@as_the_stdlib
def test_create_connection_all_errors(lib):
    """All errors come in a group, if so asked."""
    with testing.refuses() as address, pytest.raises(ExceptionGroup) as it:
        lib.create_connection(address, all_errors=True)
    assert [builtin_of(error) for error in it.value.exceptions] == [ConnectionRefusedError]


# Subclasses, and what is left behind.


class Strict(safesocket.socket):
    """A subclass with slots, not hashable, that overrides what connecting must not ask."""

    __slots__ = ("purpose",)
    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("nobody compares sockets")

    def settimeout(self, value):
        raise AssertionError("the mode is the program's")

    gettimeout = setblocking = fileno = settimeout


@every_family
def test_connect_subclass(family):
    """A subclass of ours is limited and named as any other socket."""
    with testing.never_accepts(family) as address, Strict(family) as sock:
        safesocket.set_timeouts(sock, connect=LIMIT)
        with pytest.raises(errors.ConnectTimeoutError) as it:
            sock.connect(address)
        expected = (address, None) if family == AF_UNIX else tuple(address)
        assert (it.value.host, it.value.port) == expected


@pytest.mark.parametrize("mode", [None, LIMIT, 0.0], ids=["limit", "timeout", "nonblocking"])
@pytest.mark.parametrize("peer", [testing.refuses, testing.never_accepts])
@every_connect
@every_family
def test_connect_leaves_no_garbage(mode, peer, connect, family):
    """A failed connect leaves no reference cycle, so that sockets are closed when they go."""

    def attempt():
        with safesocket.socket(family) as sock:
            sock.settimeout(mode) if mode is not None else None
            outcome(connect, sock, address)

    with peer(family) as address, safesocket.timeouts(connect=0.001):
        assert garbage(attempt, times=3) == 0


@pytest.mark.parametrize("timeout", [(), (LIMIT,)], ids=["limit", "timeout"])
@pytest.mark.parametrize("peer", [testing.refuses, testing.never_accepts, testing.echoes])
def test_create_connection_leaves_no_garbage(peer, timeout):
    """Nor does create_connection, whether it fails or not."""

    def attempt():
        with suppress(OSError):
            safesocket.create_connection(address, *timeout).close()

    with peer() as address, safesocket.timeouts(connect=0.001):
        assert garbage(attempt, times=3) == 0


def test_connect_leaves_nothing():
    """Failing again and again takes no descriptor and no memory."""
    with testing.refuses() as address:
        before = descriptors(), set(_route._notes)
        for _ in range(100):
            outcome(safesocket.create_connection, address)
        assert (descriptors(), set(_route._notes)) == before


#: the stdlib's socket is left half-way by C after a timeout, and says so the second time only
CONNECTED_FOR_GOOD = {
    "stdlib": (socket, {}),
    "safesocket": (safesocket, {}),
    "safesocket-timeout": (safesocket, {"timeout": GUARD}),
}


@pytest.mark.parametrize(
    ("lib", "options"), CONNECTED_FOR_GOOD.values(), ids=CONNECTED_FOR_GOOD.keys()
)
def test_connect_after_create_connection(lib, options):
    """A socket of create_connection is connected for good: a second connect says so."""
    with listening() as listener:
        address = listener.getsockname()
        with lib.create_connection(address, **options) as sock:
            assert outcome(sock.connect, address)[1] == errno.EISCONN
