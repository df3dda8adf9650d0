"""deadline(): everything in the block ends with it, whatever the operation, the socket, the peer.

First the value and whose it is: blocks, threads, tasks, copies of contexts. Then every operation
that can wait, on every sort of socket, against silence, against drips, and with data always
ready; at last what a deadline leaves alone.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import math
import os
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from contextvars import Context, copy_context
from decimal import Decimal
from functools import partial
from io import BytesIO
from itertools import count
from socket import (
    AF_INET,
    AF_UNIX,
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_WAITALL,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOCK_DGRAM,
)

import pytest

import safesocket
from safesocket import (
    _deadline,
    _reading,
    _timeouts,
    _writing,
    deadline,
    errors,
    remaining,
    testing,
)
from tests.helpers import (
    GUARD,
    MUCH,
    assert_bare,
    assert_travels,
    calling,
    connected,
    counted_alarms,
    datagrams,
    descriptors,
    every_family,
    every_stop,
    everything,
    garbage,
    listening,
    mode_of,
    needs_alarm,
    needs_error_queue,
    printed,
    put_receipt,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    stopped_at,
    stopped_by,
    tcp_pair,
    within,
)
from tests.test_hangs import READS, READS_WITH_FLAGS, RECEIVING, WRITES, again_and_again

pytestmark = pytest.mark.timeout(5, func_only=True)  # seconds; what hangs is cut off

BUDGET = 0.05  # seconds


def nothing_runs():
    """Tell whether no context holds a deadline any more: operations are as fast as ever."""
    gc.collect()
    return not _deadline.running and _reading._NONE == _writing._NONE == 0


# The value, and how long it holds.


@pytest.mark.parametrize("value", ["5", b"5", True, [5], 5j, Decimal(5), Decimal(-5), object()])
def test_deadline_of_other_type(value):
    """What is not a number is refused when the deadline is made, with what it may be."""
    with pytest.raises(TypeError, match=r"^deadline must be seconds \(int or float\), FOREVER"):
        deadline(value)


def test_deadline_of_nan():
    """Not a number is no budget."""
    with pytest.raises(ValueError, match=r"^deadline must be .* not nan$"):
        deadline(math.nan)


@pytest.mark.parametrize("value", [None, safesocket.FOREVER, 10**400])
def test_deadline_without_budget(value):
    """None and FOREVER set no deadline, and leave the one around them in force."""
    with deadline(value):
        assert remaining() is None
    with deadline(GUARD), deadline(value):
        assert GUARD - 1 < remaining() <= GUARD
    assert nothing_runs()


@pytest.mark.parametrize("value", [0, -0.0, -1, -1e9, -math.inf, -(10**400)])
def test_deadline_over_already(value):
    """A budget of 0 or less is over at once; nothing is left, not less than nothing."""
    with deadline(value):
        assert remaining() == 0.0


def test_remaining():
    """Without a deadline nothing is said; with one, less and less."""
    assert remaining() is None
    with deadline(5):
        left = [remaining() for _ in range(100)]
        assert type(left[0]) is float
        assert left == sorted(left, reverse=True)
        assert 4.9 < left[-1] < left[0] <= 5
    assert remaining() is None


def test_clock_starts_at_with():
    """Making the object costs no time of the budget; using it again gives all of it again."""
    late = deadline(BUDGET)
    threading.Event().wait(2 * BUDGET)
    for _ in range(2):
        with late:
            assert 0 < remaining() <= BUDGET
            threading.Event().wait(2 * BUDGET)
            assert remaining() == 0.0


def test_nested_deadlines_only_shorten():
    """The deadline that is over first counts; leaving the inner block brings the outer one back."""
    with deadline(5):
        with deadline(1), deadline(9):
            assert remaining() <= 1
        assert 4 < remaining() <= 5


def test_deadline_in_itself():
    """One object may be used in its own block: each use has a clock of its own."""
    same = deadline(5)
    with same, deadline(1):
        with same:
            assert remaining() <= 1
        assert remaining() <= 1
    assert remaining() is None


def test_deadlines_left_in_other_order():
    """Blocks left in another order than nested take with them what is theirs, no more."""
    outer, inner = deadline(1), deadline(5)
    with ExitStack() as stack:
        outer.__enter__()
        stack.enter_context(inner)
        outer.__exit__(None, None, None)
        assert 4 < remaining() <= 5
    assert remaining() is None
    outer.__exit__(None, None, None)  # once too often
    assert remaining() is None


def test_deadline_left_by_exception():
    """An exception ends the block, and is not swallowed."""
    with pytest.raises(ZeroDivisionError), deadline(5):
        raise ZeroDivisionError
    assert remaining() is None
    assert nothing_runs()


def in_generator():
    with deadline(5):
        yield remaining()
        yield remaining()


def test_deadline_in_abandoned_generator():
    """A generator that is closed in another context disturbs nobody, and leaves nothing running."""
    generator, context = in_generator(), copy_context()
    assert context.run(next, generator) <= 5
    assert remaining() is None
    with deadline(1):
        generator.close()
        assert remaining() <= 1
    assert remaining() is None
    del context
    assert nothing_runs()


def test_deadline_in_generators_taking_turns():
    """Generators that leave their blocks in turns leave only their own."""
    first, second = in_generator(), in_generator()
    for generator in (first, second, first, second):
        next(generator)
    first.close()
    assert remaining() <= 5
    second.close()
    assert remaining() is None


# Whose it is.


def test_threads_begin_without():
    """A thread does not inherit the deadline of the one that starts it."""
    seen = []
    with deadline(5):
        thread = threading.Thread(target=lambda: seen.append(remaining()))
        thread.start()
        thread.join(GUARD)
    assert seen == [None]


def test_thread_with_copied_context():
    """A thread that runs in a copy of the context has the deadline, even when the block is left."""
    with connected() as (sock, peer):
        peer.sendall(b"always")
        with deadline(0):
            context = copy_context()
        with calling(context.run, sock.recv, 1) as future:
            assert type(future.exception(GUARD)) is errors.ReadTimeoutError
        assert sock.recv(9) == b"always"
    del context, future
    assert nothing_runs()


def test_one_object_in_many_threads():
    """One object in many threads at once: each has its own clock."""
    same, all_in = deadline(GUARD), threading.Barrier(8)

    def use():
        with same:
            all_in.wait(GUARD)
            return remaining()

    with ExitStack() as stack:
        futures = [stack.enter_context(calling(use)) for _ in range(8)]
        assert all(0 < future.result(GUARD) <= GUARD for future in futures)
    assert nothing_runs()


def test_thread_that_never_leaves_its_block():
    """A block that a thread never left ends with the thread."""
    thread = threading.Thread(target=deadline(5).__enter__)
    thread.start()
    thread.join(GUARD)
    assert nothing_runs()


def test_deadlines_that_come_and_go_in_many_threads():
    """Each thread's deadline holds from its first operation on, whatever others begin and end."""

    def use():
        with connected() as (sock, peer):
            peer.sendall(b"always")
            for _ in range(300):
                with deadline(0), suppress(errors.ReadTimeoutError):
                    return sock.recv(1)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ExitStack() as stack:
            futures = [stack.enter_context(calling(use)) for _ in range(4)]
            assert [future.result(GUARD) for future in futures] == [None] * 4
    finally:
        sys.setswitchinterval(switch)
    assert nothing_runs()


def test_deadlines_of_other_threads():
    """A deadline in one thread cuts nothing in another, whose operations now look at the clock."""
    with connected() as (sock, peer), calling(sock.recv, 9) as future:
        context = Context()
        context.run(deadline(0).__enter__)
        assert _deadline.running
        peer.sendall(b"late")
        assert future.result(GUARD) == b"late"
        assert sock.send(b"answer") == 6
        sock.settimeout(GUARD)
        peer.sendall(b"more")
        assert sock.recv(9) == b"more"


def test_tasks():
    """A task has the deadline of the block it was begun in, not those of other tasks."""

    async def main():
        async def left(seconds=None):
            with deadline(seconds):
                await asyncio.sleep(0)
                return remaining()

        with deadline(5):
            inherits = asyncio.create_task(left())
        results = await asyncio.gather(inherits, left(), left(1), left(3))
        assert remaining() is None
        return results

    inherited, none, one, three = asyncio.run(main())
    assert 4 < inherited <= 5
    assert none is None
    assert 0 < one <= 1 < 2 < three <= 3
    assert nothing_runs()


def test_fork():
    """A child of fork() goes on under the deadline, and its operations end with it."""
    code = """
        import os, safesocket
        one, other = safesocket.socketpair()
        with safesocket.deadline(0.1):
            child = os.fork()
            try:
                one.recv(1)
            except safesocket.errors.ReadTimeoutError as error:
                if not child:
                    os._exit(7 if error.timeout_source == "deadline" else 8)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert printed(code, "-W", "ignore") == "7"


@pytest.mark.parametrize("field", _timeouts.FIELDS)
def test_no_limit_outlasts_the_deadline(field):
    """Whoever asks for a limit gets none that is longer; what is set stays as it was set."""
    of_socket = {field: _timeouts.Limit(None, field, "set_timeouts")}
    with safesocket.timeouts(**{field: 1}), deadline(5):
        assert (_timeouts.limit(field).seconds, _timeouts.limit(field).source) == (1, "timeouts")
        cut = _timeouts.limit(field, of_socket)
        assert (cut.source, cut.whole, cut.field) == ("deadline", 5.0, "")
        assert 4 < cut.seconds <= 5
        with deadline(0.5):
            assert _timeouts.limit(field).whole == 0.5
        assert getattr(safesocket.get_timeouts(), field) == 1


# Sorts of sockets. Each yields a socket of ours and the plain one at the other end.


@contextmanager
def with_kernel_timeout():
    with connected() as (sock, peer):
        set_kernel_timeout(sock, SO_RCVTIMEO, 0.9)
        set_kernel_timeout(sock, SO_SNDTIMEO, 0.9)
        yield sock, peer


@contextmanager
def accepted():
    with tcp_pair() as (client, sock):
        yield sock, client


@contextmanager
def paired():
    one, other = safesocket.socketpair()
    with one, other:
        yield one, other


@contextmanager
def for_ever():
    with connected() as (sock, peer):
        sock.settimeout(None)
        yield sock, peer


STREAMS = {
    "blocking": connected,
    "timeout": partial(connected, mode=GUARD),
    "unix": partial(connected, family=AF_UNIX),
    "unix-timeout": partial(connected, family=AF_UNIX, mode=GUARD),
    "forever": for_ever,
    "kernel": with_kernel_timeout,
    "accepted": accepted,
    "paired": paired,
}
DATAGRAMS = {"datagram": datagrams, "datagram-timeout": partial(datagrams, mode=GUARD)}
every_stream = pytest.mark.parametrize("sort", STREAMS.values(), ids=STREAMS.keys())
every_datagram = pytest.mark.parametrize("sort", DATAGRAMS.values(), ids=DATAGRAMS.keys())
every_read = pytest.mark.parametrize(("operation", "call"), READS + READS_WITH_FLAGS)
every_write = pytest.mark.parametrize(
    ("operation", "call"),
    [
        *WRITES,
        pytest.param("sendto", again_and_again(lambda sock: sock.sendto(MUCH, ("", 0))), id="to"),
    ],
)


@contextmanager
def ends_by_deadline(operation, kind, budget=BUDGET):
    """Check that the block, which *budget* limits, ends in time with the error that says so."""
    with within(budget, at_least=budget), pytest.raises(TimeoutError) as it, deadline(budget):
        yield
    error = it.value
    assert type(error) is kind
    assert (error.operation, error.timeout_source, error.timeout) == (operation, "deadline", budget)
    assert (error.errno, error.args) == (None, ("timed out",))
    assert (error.__context__, error.__cause__) == (None, None)
    assert 0 <= error.elapsed < budget + 0.25
    assert str(error).endswith(f" (deadline {budget:g} s)")


@contextmanager
def fails_at_once(operation, kind, budget):
    """Check that the block, whose *budget* is none, fails before it has done anything."""
    with within(0), pytest.raises(kind) as it, deadline(budget):
        yield
    error = it.value
    assert str(error).endswith(f" (deadline {budget:g} s)")
    assert (error.operation, error.timeout_source, error.timeout) == (operation, "deadline", budget)
    assert (error.args, error.__context__, error.__cause__) == (("timed out",), None, None)
    assert error.elapsed < BUDGET


no_time = pytest.mark.parametrize("budget", [0.0, -1.0])


@contextmanager
def feeding(peer, data=b".", pause=0.005):
    """Let *peer* send *data* again and again while the block runs."""
    over = threading.Event()

    def feed():
        with suppress(OSError):
            while not over.wait(pause):
                peer.send(data)

    with calling(feed):
        try:
            yield
        finally:
            over.set()


@contextmanager
def emptying(peer, pause=0.002):
    """Let *peer* read slowly while the block runs."""
    over = threading.Event()

    def empty():
        while not over.wait(pause):
            with suppress(BlockingIOError):
                peer.recv(65536, MSG_DONTWAIT)

    with calling(empty):
        try:
            yield
        finally:
            over.set()


# Reading.


@every_stream
@every_read
def test_read_from_silence(operation, call, sort):
    """A read for which nothing comes ends with the deadline, and leaves the mode alone."""
    with sort() as (sock, _peer):
        mode = mode_of(sock)
        with ends_by_deadline(operation, errors.ReadTimeoutError):
            call(sock)
        assert mode_of(sock) == mode


@every_datagram
@every_read
def test_read_from_silent_datagrams(operation, call, sort):
    """So does one on a bound datagram socket, a server's."""
    with sort() as (sock, _peer), ends_by_deadline(operation, errors.ReadTimeoutError):
        call(sock)


@every_stream
@every_read
def test_reads_from_drip(operation, call, sort):
    """One byte now and then keeps no reader longer, however often it comes."""
    with (
        sort() as (sock, peer),
        feeding(peer),
        ends_by_deadline(operation, errors.ReadTimeoutError),
    ):
        again_and_again(call)(sock)


@every_stream
def test_read_whole_from_drip(sort):
    """Bytes taken off the socket are handed over; the next read says that the time is over."""
    with sort() as (sock, peer), feeding(peer), ends_by_deadline("recv", errors.ReadTimeoutError):
        got = sock.recv(10_000, MSG_WAITALL)
        assert 0 < len(got) < 100
        while True:
            sock.recv(10_000, MSG_WAITALL)


@every_stream
@pytest.mark.parametrize("method", ["read", "readline"])
def test_stream_from_drip(method, sort):
    """makefile().read() and readline(), which read until the end, end with the deadline."""
    with (
        sort() as (sock, peer),
        feeding(peer),
        sock.makefile("rb") as file,
        ends_by_deadline("recv_into", errors.ReadTimeoutError),
    ):
        getattr(file, method)()


@every_stream
@pytest.mark.parametrize("name", RECEIVING)
def test_reads_with_data_always_ready(name, sort):
    """Reads that never wait end with the deadline, too."""
    with sort() as (sock, peer):
        peer.sendall(b"always there")
        with ends_by_deadline(name, errors.ReadTimeoutError):
            again_and_again(partial(RECEIVING[name], MSG_PEEK))(sock)


@no_time
@pytest.mark.parametrize(
    "sort", [*STREAMS.values(), *DATAGRAMS.values()], ids=[*STREAMS, *DATAGRAMS]
)
@every_read
def test_read_without_time(operation, call, sort, budget):
    """A read that begins after the deadline fails at once and takes nothing of what is there."""
    with sort() as (sock, peer):
        peer.send(b"there\n-already")
        with fails_at_once(operation, errors.ReadTimeoutError, budget):
            call(sock)
        assert sock.recv(99) == b"there\n-already"


# Writing.


@every_stream
@every_write
def test_write_to_stuck_reader(operation, call, sort):
    """A write that nobody takes ends with the deadline, and leaves the mode alone."""
    if operation == "sendto" and sort in (STREAMS["unix"], STREAMS["unix-timeout"], paired):
        pytest.skip("AF_UNIX takes a path")
    with sort() as (sock, _peer):
        mode = mode_of(sock)
        with ends_by_deadline(operation, errors.WriteTimeoutError):
            call(sock)
        assert mode_of(sock) == mode


@every_stream
@every_write
def test_write_to_slow_reader(operation, call, sort):
    """A reader that goes on taking a little keeps no writer longer."""
    if operation == "sendto" and sort in (STREAMS["unix"], STREAMS["unix-timeout"], paired):
        pytest.skip("AF_UNIX takes a path")
    with (
        sort() as (sock, peer),
        emptying(peer),
        ends_by_deadline(operation, errors.WriteTimeoutError),
    ):
        again_and_again(call)(sock)


@no_time
@every_stream
@every_write
def test_write_without_time(operation, call, sort, budget):
    """A write that begins after the deadline fails at once and sends nothing."""
    with sort() as (sock, peer):
        with fails_at_once(operation, errors.WriteTimeoutError, budget):
            call(sock)
        peer.setblocking(False)
        with suppress(BlockingIOError):
            assert peer.recv(1) == b""


@every_stream
@pytest.mark.parametrize("name", ["sendall", "sendfile"])
def test_bytes_sent(name, sort):
    """bytes_sent is exact: so much arrives, and no more."""
    with sort() as (sock, peer):
        with pytest.raises(errors.WriteTimeoutError) as it, deadline(BUDGET):
            getattr(sock, name)(BytesIO(MUCH) if name == "sendfile" else MUCH)
        sock.close()
        assert everything(peer) == MUCH[: it.value.bytes_sent]


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@pytest.mark.parametrize(
    "data", [b"", b"hello", memoryview(b"hello")], ids=["none", "bytes", "view"]
)
def test_writes_in_time(data, mode):
    """What is in time is done, with the result that it has without a deadline."""
    size = len(data)
    with connected(mode=mode) as (sock, peer), deadline(GUARD / 2):
        assert (sock.send(data), sock.sendmsg([data, data])) == (size, 2 * size)
        assert (sock.sendall(data), sock.sendfile(BytesIO(data))) == (None, size)
        sock.shutdown(socket.SHUT_WR)
        assert everything(peer) == bytes(data) * 5


def test_sendall_in_time():
    """So is what needs many waits."""
    with connected(mode=GUARD) as (sock, peer), calling(everything, peer) as future:
        with deadline(GUARD / 2):
            sock.sendall(MUCH)
        sock.shutdown(socket.SHUT_WR)
        assert future.result(GUARD) == MUCH


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@pytest.mark.parametrize("name", ["send", "sendall", "sendmsg", "sendto"])
def test_write_to_full_unix_datagram_server(name, mode):
    """A socket that looks ready and takes nothing, as AF_UNIX datagrams do, changes nothing."""
    message = [b"message"] if name == "sendmsg" else b"message"
    with testing.silent_udp(AF_UNIX) as address, safesocket.socket(AF_UNIX, SOCK_DGRAM) as sock:
        sock.settimeout(mode)
        to = (address,) if name == "sendto" else ()
        if not to:
            sock.connect(address)
        with ends_by_deadline(name, errors.WriteTimeoutError):
            again_and_again(lambda sock: getattr(sock, name)(message, *to))(sock)


# Readiness that is none.


@needs_error_queue
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@every_read
def test_read_beside_receipt(operation, call, mode):
    """What waits in the error queue looks like data to poll(): the wait ends all the same."""
    with connected(mode=mode) as (sock, _peer):
        put_receipt(sock)
        with ends_by_deadline(operation, errors.ReadTimeoutError):
            call(sock)


@needs_error_queue
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@every_write
def test_write_beside_receipt(operation, call, mode):
    """It looks like room, too."""
    with connected(mode=mode) as (sock, _peer):
        put_receipt(sock)
        with ends_by_deadline(operation, errors.WriteTimeoutError):
            call(sock)


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_datagram_for_one_of_two(mode):
    """Of two threads that wait for one datagram one gets it; the other ends with the deadline."""
    with datagrams(mode=mode) as (sock, peer), ExitStack() as stack:

        def read():
            with deadline(4 * BUDGET):
                return sock.recv(9)

        futures = [stack.enter_context(calling(read)) for _ in range(2)]
        threading.Event().wait(BUDGET)
        with within(3 * BUDGET):
            peer.send(b"one")
            failures = [future.exception(GUARD) for future in futures]
    assert sorted(map(type, failures), key=str) == [type(None), errors.ReadTimeoutError]


# Serving.


LISTENERS = {"blocking": None, "timeout": GUARD}
every_listener = pytest.mark.parametrize("mode", LISTENERS.values(), ids=LISTENERS.keys())


@contextmanager
def our_listener(mode=None, family=AF_INET):
    with listening(family) as plain, safesocket.socket(family, fileno=plain.detach()) as listener:
        listener.settimeout(mode)
        yield listener


@every_listener
@every_family
def test_accept_without_client(mode, family):
    """accept() waits no longer than the deadline, whatever the mode, and leaves it alone."""
    with our_listener(mode, family) as listener:
        before = mode_of(listener)
        with ends_by_deadline("accept", errors.AcceptTimeoutError):
            listener.accept()
        assert mode_of(listener) == before


def test_accept_with_kernel_timeout():
    """Nor with SO_RCVTIMEO, if that is longer; a shorter one is the program's own."""
    with our_listener() as listener:
        set_kernel_timeout(listener, SO_RCVTIMEO, 0.9)
        with ends_by_deadline("accept", errors.AcceptTimeoutError):
            listener.accept()
        set_kernel_timeout(listener, SO_RCVTIMEO, BUDGET)
        with within(BUDGET, at_least=BUDGET), pytest.raises(BlockingIOError), deadline(GUARD):
            listener.accept()


@no_time
@every_listener
def test_accept_without_time(mode, budget):
    """accept() after the deadline fails at once; the client stays in the queue."""
    with our_listener(mode) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        with fails_at_once("accept", errors.AcceptTimeoutError, budget):
            listener.accept()
        sock, address = listener.accept()
        with sock:
            assert address == client.getsockname()


@every_listener
def test_accept_in_time(mode):
    """A client that comes in time is accepted, in the mode that it has without a deadline."""
    with our_listener(mode) as listener, socket.socket() as client:
        with deadline(GUARD / 2), calling(client.connect, listener.getsockname()):
            sock, address = listener.accept()
        with sock:
            assert (address, mode_of(sock)) == (client.getsockname(), (False, None))


def test_client_for_one_of_two():
    """Of two threads that wait for one client one gets it; the other ends with the deadline."""
    with our_listener(GUARD) as listener, socket.socket() as client, ExitStack() as stack:

        def accept():
            with deadline(4 * BUDGET):
                listener.accept()[0].close()

        futures = [stack.enter_context(calling(accept)) for _ in range(2)]
        threading.Event().wait(BUDGET)
        with within(3 * BUDGET):
            client.connect(listener.getsockname())
            failures = [future.exception(GUARD) for future in futures]
    assert sorted(map(type, failures), key=str) == [type(None), errors.AcceptTimeoutError]


# Connecting.


def prepared(way, sock):
    """Set up the mode of *sock*."""
    if way == "kernel":
        set_kernel_timeout(sock, SO_SNDTIMEO, 0.9)
    elif way == "forever":
        sock.settimeout(None)
    elif way == "timeout":
        sock.settimeout(GUARD)
    return sock


every_way = pytest.mark.parametrize("way", ["blocking", "timeout", "forever", "kernel"])


@every_way
@every_family
def test_connect_to_full_backlog(family, way):
    """connect() waits no longer than the deadline, whatever the mode, and leaves it alone."""
    with testing.never_accepts(family) as address, safesocket.socket(family) as sock:
        mode = mode_of(prepared(way, sock))
        with ends_by_deadline("connect", errors.ConnectTimeoutError):
            sock.connect(address)
        assert mode_of(sock) == mode


@every_way
@every_family
def test_connect_ex_to_full_backlog(family, way):
    """connect_ex() says ETIMEDOUT of a deadline, as of any limit of ours."""
    with testing.never_accepts(family) as address, safesocket.socket(family) as sock:
        prepared(way, sock)
        with within(BUDGET, at_least=BUDGET), deadline(BUDGET):
            assert sock.connect_ex(address) == errno.ETIMEDOUT


@no_time
@every_way
@every_family
def test_connect_without_time(family, way, budget):
    """connect() after the deadline fails at once; nobody hears of it."""
    with listening(family) as listener, safesocket.socket(family) as sock:
        prepared(way, sock)
        with fails_at_once("connect", errors.ConnectTimeoutError, budget):
            sock.connect(listener.getsockname())
        with deadline(budget):
            assert sock.connect_ex(listener.getsockname()) == errno.ETIMEDOUT
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@no_time
def test_connect_datagrams_without_time(budget):
    """Nor does one that would not wait do anything then: the socket has no peer."""
    with datagrams(socket) as (plain, _), safesocket.socket(AF_INET, SOCK_DGRAM) as sock:
        with fails_at_once("connect", errors.ConnectTimeoutError, budget):
            sock.connect(plain.getsockname())
        with pytest.raises(errors.NotConnectedError):
            sock.getpeername()


@every_way
@every_family
def test_connect_in_time(family, way):
    """What is in time is connected, and both ends work."""
    with listening(family) as listener, safesocket.socket(family) as sock:
        mode = mode_of(prepared(way, sock))
        with deadline(0.5):
            sock.connect(listener.getsockname())
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"hello")
                assert sock.recv(9) == b"hello"
        assert mode_of(sock) == mode


@pytest.mark.parametrize("timeout", [{}, {"timeout": GUARD}, {"timeout": None}], ids=str)
@pytest.mark.parametrize("default", [None, GUARD])
def test_create_connection_to_full_backlog(timeout, default):
    """create_connection() waits no longer than the deadline, whatever its timeout."""
    socket.setdefaulttimeout(default)
    with (
        testing.never_accepts() as address,
        ends_by_deadline("connect", errors.ConnectTimeoutError),
    ):
        safesocket.create_connection(address, **timeout)


@no_time
def test_create_connection_without_time(budget):
    """Nor does it begin to connect when the time is over; no descriptor is left open."""
    with listening() as listener:
        before = descriptors()
        with fails_at_once("connect", errors.ConnectTimeoutError, budget):
            safesocket.create_connection(listener.getsockname(), timeout=GUARD)
        assert descriptors() == before
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_shorter_timeout_of_create_connection():
    """A timeout shorter than the deadline is what ends it, and what the error names."""
    with (
        testing.never_accepts() as address,
        deadline(GUARD),
        within(BUDGET),
        pytest.raises(errors.ConnectTimeoutError) as it,
    ):
        safesocket.create_connection(address, timeout=BUDGET)
    assert (it.value.timeout, it.value.timeout_source) == (BUDGET, "create_connection")


# The error.


def test_error():
    """The error says whose budget it was, all of it, and what to do; copies of it say it, too."""
    with connected() as (sock, _peer), pytest.raises(errors.ReadTimeoutError) as it, deadline(0):
        sock.recv(1)
    assert_travels(it.value)
    assert it.value.to_dict()["timeout_source"] == "deadline"
    assert "what came before took too long" in it.value.hint
    assert it.value.hint.endswith("raise it with safesocket.deadline(seconds)")


def test_error_of_each_operation():
    """The time that the error names is that of the operation, not of the block."""
    with (
        connected() as (sock, peer),
        feeding(peer),
        pytest.raises(errors.ReadTimeoutError) as it,
        deadline(BUDGET),
    ):
        again_and_again(lambda sock: sock.recv(1))(sock)
    assert 0 <= it.value.elapsed < BUDGET / 2


def test_error_of_nested_deadlines():
    """Of nested deadlines the error names the one that was over."""
    with (
        connected() as (sock, _peer),
        deadline(GUARD),
        ends_by_deadline("recv", errors.ReadTimeoutError),
        deadline(GUARD),
    ):
        sock.recv(1)


@pytest.mark.parametrize("impose", ["timeouts", "settimeout", "set_timeouts"])
def test_shorter_limit(impose):
    """A limit that is over before the deadline is what ends the wait, and what the error names."""
    with connected() as (sock, _peer), deadline(GUARD / 2), ExitStack() as stack:
        if impose == "timeouts":
            stack.enter_context(safesocket.timeouts(read=BUDGET))
        elif impose == "settimeout":
            sock.settimeout(BUDGET)
        else:
            safesocket.set_timeouts(sock, read=BUDGET)
        with within(BUDGET, at_least=BUDGET), pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(1)
    assert (it.value.timeout, it.value.timeout_source) == (BUDGET, impose)


def test_limit_of_each_wait_goes_on():
    """Within a deadline the write limit still counts from the last progress."""
    with connected() as (sock, peer), safesocket.timeouts(write=4 * BUDGET):
        with emptying(peer), ends_by_deadline("sendall", errors.WriteTimeoutError, 8 * BUDGET):
            again_and_again(lambda sock: sock.sendall(MUCH))(sock)
        with deadline(GUARD / 2), pytest.raises(errors.WriteTimeoutError) as it:
            sock.sendall(MUCH)
    assert (it.value.timeout, it.value.timeout_source) == (4 * BUDGET, "timeouts")


def test_no_garbage():
    """Neither errors nor blocks leave reference cycles or descriptors behind."""
    with connected(mode=GUARD) as (sock, _peer), connected() as (other, _):
        before = descriptors()

        def fail():
            for each in (sock, other):
                for budget in (0, 0.001):
                    with suppress(TimeoutError), deadline(budget):
                        each.recv(1)

        fail()
        assert garbage(fail) == 0
        assert descriptors() == before


# What a deadline leaves alone.


@pytest.mark.parametrize("how", ["nonblocking", "behind", "flag"])
def test_nonblocking(how):
    """A socket in non-blocking mode, and MSG_DONTWAIT: no deadline, the stdlib's very error."""
    with connected() as (sock, peer), deadline(0):
        flags = MSG_DONTWAIT if how == "flag" else 0
        if how == "nonblocking":
            sock.settimeout(0)
        elif how == "behind":
            set_nonblocking_behind_python(sock)
        with pytest.raises(BlockingIOError) as it:
            sock.recv(9, flags)
        assert_bare(it.value, BlockingIOError, errno.EAGAIN)
        assert sock.send(b"hello", flags) == 5
        assert sock.sendall(b"hello", flags) is None
        peer.sendall(b"answer")
        assert sock.recv(9, flags) == b"answer"


def test_nonblocking_connect_and_accept():
    """Event loops connect and accept as ever."""
    with our_listener(0) as listener, safesocket.socket() as sock, deadline(0):
        with pytest.raises(BlockingIOError):
            listener.accept()
        sock.setblocking(False)
        with suppress(BlockingIOError):
            sock.connect(listener.getsockname())
        for _ in count():
            with suppress(BlockingIOError):
                listener.accept()[0].close()
                break


def test_event_loop():
    """asyncio works with our sockets inside a deadline that is over: its waits are its own."""

    async def answer(loop, listener):
        accepted, _ = await loop.sock_accept(listener)
        with accepted:
            await loop.sock_sendall(accepted, await loop.sock_recv(accepted, 9))

    async def main():
        loop = asyncio.get_running_loop()
        with our_listener(0) as listener, safesocket.socket() as sock, deadline(0):
            sock.setblocking(False)
            answering = asyncio.create_task(answer(loop, listener))
            await loop.sock_connect(sock, listener.getsockname())
            await loop.sock_sendall(sock, b"hello")
            assert await loop.sock_recv(sock, 9) == b"hello"
            await answering

    asyncio.run(main())


def test_shorter_kernel_timeout():
    """SO_RCVTIMEO that is over before the deadline is the program's own: its time, its error."""
    with connected() as (sock, _peer), deadline(GUARD):
        set_kernel_timeout(sock, SO_RCVTIMEO, BUDGET)
        with within(BUDGET, at_least=BUDGET), pytest.raises(BlockingIOError):
            sock.recv(1)


def test_sendall_with_short_kernel_timeout():
    """sendall() that makes progress within SO_SNDTIMEO again and again ends with the deadline."""
    with connected() as (sock, peer), emptying(peer):
        set_kernel_timeout(sock, SO_SNDTIMEO, 0.1)
        with ends_by_deadline("sendall", errors.WriteTimeoutError, 0.3):
            again_and_again(lambda sock: sock.sendall(MUCH))(sock)


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@pytest.mark.parametrize("args", [(-1,), ("9",), (), (9, "flags"), (9, None)], ids=str)
def test_bad_arguments(args, mode):
    """What the stdlib refuses at once is refused at once, with the stdlib's class."""
    with connected(mode=mode) as (sock, _peer), connected(socket) as (plain, _):
        with pytest.raises((TypeError, ValueError)) as expected:
            plain.recv(*args)
        with within(0), deadline(GUARD), pytest.raises(expected.type):
            sock.recv(*args)


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_end_of_connection(mode):
    """The end of the connection, and a socket that is closed, are what they are without it."""
    with connected(mode=mode) as (sock, peer), deadline(GUARD / 2):
        with calling(peer.close):
            assert sock.recv(1) == b""
        sock.close()
        with pytest.raises(errors.SocketClosedError):
            sock.recv(1)


@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
@pytest.mark.parametrize("left", [0, 1])
def test_no_descriptor_free(mode, left):
    """With no descriptor free what is ready can still be read and written."""
    code = f"""
        import resource, safesocket, os
        one, other = safesocket.socketpair()
        one.settimeout({mode})
        other.send(b"hello")
        highest = os.dup(0)
        os.close(highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + {left}, highest + {left}))
        with safesocket.deadline(5):
            print(one.recv(9), one.send(b"answer"))
    """
    assert printed(code, "-W", "ignore") == "b'hello' 6"


# Signals.


@needs_alarm
@every_stream
@pytest.mark.parametrize("name", ["recv", "sendall"])
def test_waits_among_signals(name, sort):
    """Signals that come all the time neither end the wait nor make it longer."""
    kind = errors.ReadTimeoutError if name == "recv" else errors.WriteTimeoutError
    with sort() as (sock, _peer), counted_alarms() as seen, ends_by_deadline(name, kind):
        getattr(sock, name)(9 if name == "recv" else MUCH)
    assert len(seen) > 5


@needs_alarm
@every_stop
@pytest.mark.parametrize("mode", [None, GUARD], ids=["blocking", "timeout"])
def test_wait_ended_by_signal_handler(mode, kind):
    """What a signal handler raises ends the wait, and the block is left."""
    with connected(mode=mode) as (sock, _peer), stopped_by(kind), deadline(GUARD / 2):
        sock.recv(1)
    assert remaining() is None


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of what C has to close then
def test_read_stopped_at_any_moment():
    """Whenever a handler raises, no descriptor is left."""
    with connected(mode=GUARD) as (sock, peer), deadline(GUARD / 2):
        peer.send(b"x")
        before = os.listdir("/dev/fd")
        for moment in count(1):
            if not stopped_at(moment, lambda: sock.recv(1, MSG_PEEK)):
                break
            assert os.listdir("/dev/fd") == before, moment
    assert moment > 10
