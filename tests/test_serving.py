"""Serving: what the stdlib's listeners and servers do, ours do, and nobody hurries them.

Also here: descriptors from elsewhere, pairs, copies, and the modes and options of sockets. The
oracle is the stdlib: most tests run once on its sockets and once on ours.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import ExitStack, contextmanager
from functools import partial
from socket import (
    AF_INET,
    AF_UNIX,
    SHUT_RDWR,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_TYPE,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)

import pytest

import safesocket
from safesocket import errors
from tests.helpers import (
    GUARD,
    HOSTS,
    LIMIT,
    MUCH,
    as_the_stdlib,
    assert_bare,
    builtin_of,
    calling,
    connected,
    counted_alarms,
    descriptors,
    every_family,
    every_mode,
    every_stop,
    free_address,
    garbage,
    later,
    mode_of,
    needs_alarm,
    outcome,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    still_waits,
    stopped_by,
    tcp,
    waits_for_ever,
    within,
)

pytestmark = pytest.mark.timeout(10, func_only=True)  # seconds; what hangs is cut off

#: Every limit there is, as tight as can be.
TIGHT = safesocket.Timeouts(0, 0, 0, 0, 0)


def failure(number):
    """Return what an errno is to the program."""
    return builtin_of(OSError(number, "")), number, (number, os.strerror(number))


@contextmanager
def server(lib=safesocket, family=AF_INET, mode=None):
    """Yield a listener of *lib* and a function that connects a plain client to it."""
    with ExitStack() as stack:
        listener = stack.enter_context(lib.socket(family))
        listener.bind(stack.enter_context(free_address(family)))
        listener.listen()
        listener.settimeout(mode)

        def come():
            client = stack.enter_context(socket.socket(family))
            client.connect(listener.getsockname())
            return client

        yield listener, come


def accept_and_leave(listener):
    listener.accept()[0].close()


# Accepting.


@as_the_stdlib
@every_mode
@every_family
def test_accept(lib, mode, family):
    """A client that is there is accepted, as a socket of the module's own class."""
    with server(lib, family, mode) as (listener, come):
        client = come()
        sock, address = listener.accept()
        with sock:
            assert type(sock) is lib.socket
            assert (sock.family, sock.type, sock.proto) == (family, SOCK_STREAM, listener.proto)
            assert address == client.getsockname()
            assert sock.getpeername() == client.getsockname()
            assert not sock.get_inheritable()
            client.sendall(b"hello")
            assert sock.recv(9) == b"hello"


@as_the_stdlib
@every_mode
@pytest.mark.parametrize("default", [None, 0.0, GUARD], ids=["None", "0", "seconds"])
def test_accepted_mode(lib, mode, default):
    """An accepted socket has the default mode, not its listener's."""
    with server(lib, mode=mode) as (listener, come):
        come()
        lib.setdefaulttimeout(default)
        with listener.accept()[0] as sock:
            assert mode_of(sock) == (default is not None, default)


@as_the_stdlib
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_accept_late_client(lib, mode):
    """A client that comes during the wait is accepted."""
    with server(lib, mode=mode) as (listener, come), later(LIMIT, come):
        accept_and_leave(listener)


def test_accept_waits_for_ever():
    """No limit of ours ends the wait for a client: an idle server is healthy."""
    safesocket.configure(TIGHT)
    with server() as (listener, come), safesocket.timeouts(TIGHT):
        safesocket.set_timeouts(listener, TIGHT)
        assert waits_for_ever(partial(accept_and_leave, listener), come)


@as_the_stdlib
def test_accept_nonblocking(lib):
    """Without blocking and without a client it is the bare BlockingIOError of the stdlib."""
    with server(lib, mode=0) as (listener, _), pytest.raises(BlockingIOError) as it:
        listener.accept()
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
def test_accept_with_timeout(lib):
    """A settimeout of the program's own ends the wait, and says so."""
    with server(lib, mode=LIMIT) as (listener, _), within(LIMIT, at_least=LIMIT):
        assert outcome(listener.accept) == (TimeoutError, None, ("timed out",))


def test_accept_timeout_error():
    """The error of such a wait names the listener's own address."""
    with server(mode=LIMIT) as (listener, _):
        with pytest.raises(errors.AcceptTimeoutError) as it:
            listener.accept()
        assert (it.value.operation, it.value.local) == ("accept", listener.getsockname())
        assert (it.value.timeout, it.value.timeout_source) == (LIMIT, "settimeout")


@as_the_stdlib
def test_accept_nonblocking_behind_python(lib):
    """O_NONBLOCK, set by C code or inherited, is respected."""
    with server(lib) as (listener, _):
        set_nonblocking_behind_python(listener)
        with pytest.raises(BlockingIOError) as it:
            listener.accept()
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
def test_accept_with_kernel_timeout(lib):
    """So is SO_RCVTIMEO."""
    with server(lib) as (listener, _):
        set_kernel_timeout(listener, SO_RCVTIMEO, LIMIT)
        with within(LIMIT, at_least=LIMIT / 2), pytest.raises(BlockingIOError) as it:
            listener.accept()
    assert_bare(it.value, BlockingIOError, errno.EAGAIN)


@as_the_stdlib
def test_accept_shut_down_by_other_thread(lib):
    """A shutdown by another thread ends the wait with EINVAL, as servers stop themselves."""
    with server(lib) as (listener, _), later(LIMIT, listener.shutdown, SHUT_RDWR):
        assert outcome(listener.accept) == failure(errno.EINVAL)


@as_the_stdlib
@every_mode
@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.EOPNOTSUPP])
def test_accept_without_listener(lib, mode, number):
    """A closed socket, one that does not listen and one that cannot are what they always were."""
    kind = SOCK_DGRAM if number == errno.EOPNOTSUPP else SOCK_STREAM
    with lib.socket(AF_INET, kind) as sock:
        sock.settimeout(mode and LIMIT)
        if number == errno.EBADF:
            sock.close()
        assert outcome(sock.accept) in (failure(number), (TimeoutError, None, ("timed out",)))


@needs_alarm
@as_the_stdlib
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_accept_interrupted(lib, mode):
    """Signals every few milliseconds do not end the wait."""
    with server(lib, mode=mode) as (listener, come), counted_alarms() as seen:
        with later(LIMIT, come):
            listener.accept()[0].close()
        assert seen


@needs_alarm
@every_stop
def test_accept_stopped_by_handler(kind):
    """What a signal handler raises ends it."""
    with server() as (listener, _), stopped_by(kind):
        listener.accept()


@as_the_stdlib
def test_accept_without_descriptors(lib):
    """That no descriptor is left is EMFILE, and the client still waits to be accepted."""
    with server(lib) as (listener, come):
        come()
        with no_more_descriptors():
            assert outcome(listener.accept) == failure(errno.EMFILE)
            assert outcome(lib.socket) == failure(errno.EMFILE)
            assert outcome(listener.dup) == failure(errno.EMFILE)
        listener.accept()[0].close()


@contextmanager
def no_more_descriptors():
    """Take all descriptors that this process may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
    taken = []
    try:
        while (fd := outcome(os.open, "/dev/null", os.O_RDONLY)) and isinstance(fd, int):
            taken.append(fd)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


# Clients of ours.


@contextmanager
def accepted(family=AF_INET):
    """Yield a connection that was accepted, and the client at its other end."""
    with server(family=family) as (listener, come):
        client = come()
        with listener.accept()[0] as sock:
            yield sock, client


@every_family
def test_read_from_client_waits_for_ever(family):
    """A client may be quiet for as long as it likes, whatever the limit of other reads."""
    safesocket.configure(read=0)
    with accepted(family) as (sock, client), safesocket.timeouts(read=0):
        assert waits_for_ever(partial(sock.recv, 1), partial(client.send, b"."))


@every_family
@pytest.mark.parametrize("by", ["serve", "set_timeouts"])
def test_read_from_client_with_limit(family, by):
    """Unless the server asks for a limit."""
    with accepted(family) as (sock, _):
        if by == "serve":
            safesocket.configure(serve=LIMIT)
        else:
            safesocket.set_timeouts(sock, read=LIMIT)
        with within(LIMIT, at_least=LIMIT), pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(1)
        assert it.value.timeout == LIMIT


@every_family
def test_write_to_client_has_limit(family):
    """A client that does not read what it asked for is not waited for."""
    too_long = pytest.raises(errors.WriteTimeoutError)
    with accepted(family) as (sock, _), safesocket.timeouts(write=LIMIT), within(LIMIT), too_long:
        sock.sendall(MUCH)


@tcp
def test_udp_server_waits_for_ever(family):
    """Nor is a datagram server hurried that waits for its clients."""
    with (
        safesocket.socket(family, SOCK_DGRAM) as sock,
        socket.socket(family, SOCK_DGRAM) as client,
        safesocket.timeouts(TIGHT),
    ):
        sock.bind((HOSTS[family], 0))
        ask = partial(client.sendto, b"hello", sock.getsockname())
        assert waits_for_ever(partial(sock.recvfrom, 9), ask)
        assert waits_for_ever(partial(sock.recv_into, bytearray(9)), ask)


@as_the_stdlib
@every_mode
def test_udp_server_answers(lib, mode):
    """A datagram server gets the address of each client, and answers it."""
    with lib.socket(AF_INET, SOCK_DGRAM) as sock, socket.socket(AF_INET, SOCK_DGRAM) as client:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(mode)
        client.sendto(b"hello", sock.getsockname())
        data, address = sock.recvfrom(9)
        assert sock.sendto(data.upper(), address) == 5
        assert client.recvfrom(9) == (b"HELLO", sock.getsockname())


# Binding and listening.


@pytest.mark.parametrize("mode", [None, 0.0, GUARD])
@pytest.mark.parametrize(
    ("family", "address"),
    [
        pytest.param(AF_INET, ("192.0.2.1", 0), id="not-ours"),
        pytest.param(AF_INET, ("127.0.0.1", -1), id="port-negative"),
        pytest.param(AF_INET, ("127.0.0.1", 65536), id="port-large"),
        pytest.param(AF_INET, ("127.0.0.1", "80"), id="port-text"),
        pytest.param(AF_INET, ("::1", 0), id="other-family"),
        pytest.param(AF_INET, "127.0.0.1", id="no-pair"),
        pytest.param(AF_INET, None, id="none"),
        pytest.param(AF_UNIX, "/nonexistent/socket", id="no-folder"),
        pytest.param(AF_UNIX, "/dev/null", id="path-in-use"),
        pytest.param(AF_UNIX, "a" * 200, id="path-long"),
        pytest.param(AF_UNIX, ("a", 1), id="path-pair"),
    ],
)
def test_bind_fails(mode, family, address):
    """What the stdlib says of an address that cannot be had, is said here."""

    def ends(lib):
        with lib.socket(family) as sock:
            sock.settimeout(mode)
            return outcome(sock.bind, address)

    assert ends(safesocket) == ends(socket)


@as_the_stdlib
@every_family
def test_bind_address_in_use(lib, family):
    """An address that somebody has is EADDRINUSE."""
    with server(lib, family) as (listener, _), lib.socket(family) as sock:
        assert outcome(sock.bind, listener.getsockname()) == failure(errno.EADDRINUSE)


@as_the_stdlib
@tcp
def test_bind_twice(lib, family):
    """A socket is bound once."""
    with server(lib, family) as (listener, _):
        assert outcome(listener.bind, (HOSTS[family], 0)) == failure(errno.EINVAL)


@as_the_stdlib
@tcp
def test_listen_address_in_use(lib, family):
    """So it is where only one of those who share an address may listen."""
    with lib.socket(family) as one, lib.socket(family) as other:
        for sock in (one, other):
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            sock.bind((HOSTS[family], 0) if sock is one else one.getsockname())
        assert one.listen(1) is None
        assert outcome(other.listen) == failure(errno.EADDRINUSE)


@as_the_stdlib
@every_mode
def test_listen_on_datagrams(lib, mode):
    """A datagram socket cannot listen."""
    with lib.socket(AF_INET, SOCK_DGRAM) as sock:
        sock.settimeout(mode)
        assert outcome(sock.listen) == failure(errno.EOPNOTSUPP)


@as_the_stdlib
@tcp
def test_create_server(lib, family):
    """create_server makes a listener of the module's own class."""
    with lib.create_server((HOSTS[family], 0), family=family, backlog=1) as listener:
        assert type(listener) is lib.socket
        address = listener.getsockname()[:2]
        with lib.create_connection(address) as sock, listener.accept()[0] as peer:
            peer.sendall(b"hello")
            assert sock.recv(9) == b"hello"


@as_the_stdlib
def test_create_server_address_in_use(lib):
    """And says which address it could not have."""
    with server(lib) as (listener, _):
        with pytest.raises(OSError, match="in use") as it:
            lib.create_server(listener.getsockname())
        assert it.value.errno == errno.EADDRINUSE


# Copies and descriptors from elsewhere.


@as_the_stdlib
@every_mode
def test_dup(lib, mode):
    """A copy is of the same class and mode, on the same connection, and not inheritable."""
    with connected(lib, mode=mode) as (sock, peer), sock.dup() as copy:
        assert type(copy) is lib.socket
        assert (copy.family, copy.type, copy.proto) == (sock.family, sock.type, sock.proto)
        assert mode_of(copy) == mode_of(sock)
        assert copy.fileno() != sock.fileno()
        assert not copy.get_inheritable()
        sock.close()
        peer.sendall(b"hello")
        assert copy.recv(9) == b"hello"


@as_the_stdlib
def test_dup_of_closed_nonblocking(lib):
    """A non-blocking socket gets what C raised, nothing added."""
    with lib.socket() as sock:
        sock.setblocking(False)
    with pytest.raises(OSError) as it:  # noqa: PT011 (compared below)
        sock.dup()
    assert_bare(it.value, OSError, errno.EBADF)


def test_dup_of_subclass():
    """A copy of a subclass is of that subclass."""

    class Special(safesocket.socket):
        __slots__ = ()

    with Special() as sock, sock.dup() as copy:
        assert type(copy) is Special


def test_dup_keeps_limits():
    """A copy has the limits of the original, and knows the same peer."""
    with connected() as (sock, _):
        safesocket.set_timeouts(sock, read=LIMIT)
        with sock.dup() as copy, pytest.raises(errors.ReadTimeoutError) as it:
            copy.recv(1)
        assert (it.value.timeout_source, it.value.address) == ("set_timeouts", sock.getpeername())
        sock.settimeout(None)
        with sock.dup() as copy, safesocket.timeouts(read=0):
            assert waits_for_ever(partial(copy.recv, 1), partial(copy.shutdown, SHUT_RDWR))


def test_dup_of_accepted_is_accepted():
    """A copy of a quiet client's connection may stay as quiet."""
    with accepted() as (sock, client), sock.dup() as copy, safesocket.timeouts(read=0):
        assert waits_for_ever(partial(copy.recv, 1), partial(client.send, b"."))


@as_the_stdlib
@every_mode
@pytest.mark.parametrize("operation", ["dup", "getpeername", "getsockname", "listen", "accept"])
def test_use_of_closed_socket(lib, mode, operation):
    """A closed socket is EBADF, whatever is asked of it."""
    with connected(lib, mode=mode) as (sock, _):
        sock.close()
        assert outcome(getattr(sock, operation)) == failure(errno.EBADF)
        assert sock.fileno() == -1


@as_the_stdlib
@every_mode
def test_detach(lib, mode):
    """A detached descriptor is open, and in the mode that the program has set."""
    with connected(lib, mode=mode) as (sock, peer):
        fd = sock.detach()
        with socket.socket(fileno=fd) as adopter:
            assert bool(not os.get_blocking(fd)) == (mode is not None)
            adopter.setblocking(True)
            peer.sendall(b"hello")
            assert adopter.recv(9) == b"hello"
        assert (sock.fileno(), outcome(sock.recv, 1)) == (-1, failure(errno.EBADF))


def test_detach_after_limit():
    """A limit leaves no trace in the descriptor."""
    with connected() as (sock, _), safesocket.timeouts(read=LIMIT, write=LIMIT):
        assert outcome(sock.recv, 1)[0] is outcome(sock.sendall, MUCH)[0] is TimeoutError
        fd = sock.detach()
        assert os.get_blocking(fd)
        os.close(fd)


ADOPTIONS = {
    "fileno": lambda lib, fd: lib.socket(fileno=os.dup(fd)),
    "fromfd": lambda lib, fd: lib.fromfd(fd, AF_INET, SOCK_STREAM),
}
every_adoption = pytest.mark.parametrize("adopt", ADOPTIONS.values(), ids=ADOPTIONS.keys())


@as_the_stdlib
@every_adoption
def test_adopt(lib, adopt):
    """A descriptor from elsewhere becomes a socket of the module's own class."""
    with connected(socket) as (theirs, peer), adopt(lib, theirs.fileno()) as sock:
        assert type(sock) is lib.socket
        assert (sock.family, sock.type) == (AF_INET, SOCK_STREAM)
        assert mode_of(sock) == (False, None)
        peer.sendall(b"hello")
        assert sock.recv(9) == b"hello"


@as_the_stdlib
@every_adoption
def test_adopt_nonblocking_descriptor(lib, adopt):
    """One that is non-blocking, as a server's may be, stays so: Python believes that it blocks."""
    with connected(socket, mode=0) as (theirs, _), adopt(lib, theirs.fileno()) as sock:
        assert mode_of(sock) == (True, None)
        with pytest.raises(BlockingIOError) as it:
            sock.recv(1)
        assert_bare(it.value, BlockingIOError, errno.EAGAIN)
        with pytest.raises(BlockingIOError) as it:
            sock.sendall(MUCH)
        assert_bare(it.value, BlockingIOError, errno.EAGAIN)
        assert mode_of(sock) == (True, None)


@every_adoption
def test_adopted_waits_for_ever(adopt):
    """A descriptor from inetd or a parent may be a server's: its reads are not hurried."""
    with (
        connected(socket) as (theirs, peer),
        adopt(safesocket, theirs.fileno()) as sock,
        safesocket.timeouts(read=0),
    ):
        assert waits_for_ever(partial(sock.recv, 1), partial(peer.send, b"."))


@as_the_stdlib
@pytest.mark.parametrize("fileno", [-1, 1 << 20, 1 << 40, "1", 1.0])
def test_adopt_what_is_none(lib, fileno):
    """What is not a descriptor is refused in the same way."""
    assert outcome(partial(lib.socket, fileno=fileno)) == outcome(
        partial(socket.socket, fileno=fileno)
    )


@as_the_stdlib
def test_adopt_no_socket(lib):
    """A file is not a socket."""
    with open(os.devnull) as file:
        assert outcome(partial(lib.socket, fileno=file.fileno())) == failure(errno.ENOTSOCK)


@as_the_stdlib
@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM])
def test_socketpair(lib, kind):
    """A pair is of the module's own class, and each end reads what the other sends."""
    one, other = lib.socketpair(AF_UNIX, kind)
    with one, other:
        assert type(one) is type(other) is lib.socket
        assert mode_of(one) == mode_of(other) == (False, None)
        one.sendall(b"hello")
        assert other.recv(9) == b"hello"


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM])
def test_socketpair_waits_for_ever(kind):
    """A program that talks to itself is not hurried, neither reading nor writing."""
    one, other = safesocket.socketpair(AF_UNIX, kind)
    with one, other, safesocket.timeouts(TIGHT):
        assert waits_for_ever(partial(one.recv, 9), partial(other.send, b"."))

        def write():
            for _ in range(1000):
                one.send(bytes(1000))

        with calling(write) as writer:
            assert still_waits(writer)
            for _ in range(1000):
                other.recv(1000)
            assert writer.result(GUARD) is None


# Modes and options.


@as_the_stdlib
@pytest.mark.parametrize("value", [None, 0, 0.0, 1, 0.5, GUARD, True, 1e-12, 1e9, -0.0])
def test_settimeout(lib, value):
    """The mode is the one that was set, in Python and in the descriptor."""
    with lib.socket() as sock, socket.socket() as theirs:
        sock.settimeout(value)
        theirs.settimeout(value)
        assert mode_of(sock) == mode_of(theirs)
        assert sock.getblocking() == theirs.getblocking()


@pytest.mark.parametrize("value", [-1, -1e-9, float("nan"), "1", b"1", 1j, [], 1e30])
def test_settimeout_bad_value(value):
    """A bad timeout is refused in the same way, and leaves the mode as it was."""

    def ends(lib):
        with lib.socket() as sock:
            sock.settimeout(5)
            return outcome(sock.settimeout, value), mode_of(sock)

    assert ends(safesocket) == ends(socket)


def test_settimeout_forever():
    """FOREVER is blocking mode, to the program and to the kernel."""
    with safesocket.socket() as sock:
        sock.settimeout(1)
        sock.settimeout(safesocket.FOREVER)
        assert mode_of(sock) == (False, None)


@as_the_stdlib
@pytest.mark.parametrize("flag", [True, False, 1, 0])
def test_setblocking(lib, flag):
    """Blocking or not is what was set."""
    with lib.socket() as sock:
        sock.setblocking(flag)
        assert mode_of(sock) == (not flag, None if flag else 0.0)


@as_the_stdlib
@every_mode
def test_options(lib, mode):
    """Options are set and read as ever, whatever their form."""
    with lib.socket() as sock:
        sock.settimeout(mode)
        assert sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1) is None
        assert sock.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 1
        assert sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, struct.pack("i", 0)) is None
        assert sock.getsockopt(SOL_SOCKET, SO_REUSEADDR, 4) == bytes(4)
        assert sock.getsockopt(SOL_SOCKET, SO_TYPE) == SOCK_STREAM
        assert outcome(sock.getsockopt, SOL_SOCKET, 9999) == failure(errno.ENOPROTOOPT)
        assert outcome(sock.setsockopt, SOL_SOCKET, 9999, 1) == failure(errno.ENOPROTOOPT)
        assert outcome(sock.setsockopt, SOL_SOCKET, SO_REUSEADDR, "1") is TypeError
        assert outcome(sock.getsockopt, SOL_SOCKET) is TypeError
        assert outcome(sock.getpeername) == failure(errno.ENOTCONN)
        assert outcome(sock.shutdown, SHUT_RDWR) == failure(errno.ENOTCONN)
        assert sock.getsockname() == ("0.0.0.0", 0)


@as_the_stdlib
@pytest.mark.parametrize("args", [(12345,), (AF_INET, 99), (AF_INET, SOCK_STREAM, 99)])
def test_socket_that_is_not_there(lib, args):
    """A family, type or protocol that the system lacks is refused in the same way."""
    assert outcome(lib.socket, *args) == outcome(socket.socket, *args)


# Nothing is left behind.


@as_the_stdlib
def test_unclosed_socket_warns(lib):
    """A socket that is forgotten is closed, with the warning of the stdlib."""
    before = descriptors()
    with pytest.warns(ResourceWarning, match="unclosed"):
        lib.socket()
    assert descriptors() == before


@pytest.mark.parametrize("mode", [0.001, 0.0], ids=["timeout", "nonblocking"])
def test_accept_leaves_no_garbage(mode):
    """A failed accept leaves no reference cycle."""
    with server(mode=mode) as (listener, _):
        assert garbage(partial(outcome, listener.accept)) == 0


def test_serving_leaves_no_descriptor():
    """Clients that come and go take no descriptor."""
    with server() as (listener, _):
        before = descriptors()
        for _ in range(20):
            with safesocket.create_connection(listener.getsockname()) as sock:
                peer, _ = listener.accept()
                with peer, peer.dup():
                    sock.sendall(b".")
                    assert peer.recv(1) == b"."
        assert descriptors() == before
