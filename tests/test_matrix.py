"""The hang matrix: every wait x every world x every condition ends in time, as documented.

The waits are the table of ``waits``; the worlds are the drop-in and ``install()``, in plain text
and under TLS. The conditions: nothing else; under a deadline; with a signal every 5 ms; with
another thread that waits on the same socket, in the other direction; with the socket closed by
another thread, and the number of its descriptor given to somebody else.
"""

from __future__ import annotations

import errno
import platform
import socket
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest

import safesocket
from safesocket import errors
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    alarms,
    calling,
    connected,
    descriptors,
    needs_alarm,
    within,
)
from tests.nameserver import network, run_in, trouble_with_networks
from tests.tls import certificate, drop_in, safe_forms, under_install
from tests.waits import LOOK_UPS, PLAIN, TLS

pytestmark = pytest.mark.timeout(60, func_only=True)

SIGNALS = 0.005  # seconds from one to the next
AT_ONCE = 8  # cells; they wait for most of their time
FOREIGN = b"somebody else's"


@pytest.fixture(scope="module", autouse=True)
def one_authority():
    """Certificates are made before there are threads: each of those would have its own."""
    certificate()


#: the drop-in and install(), in plain text and under TLS
every_world = pytest.mark.parametrize("waits", [PLAIN, TLS], ids=["plain", "tls"])


# The conditions: each plays one wait, within its limit.


def limited(wait, sock):
    """Return the block that limits *wait*; what no limit governs has a timeout of its own."""
    if wait.phase == "accept":
        sock.settimeout(LIMIT)
        return nullcontext()
    return safesocket.timeouts(**{wait.phase: LIMIT})


def ends(wait, call, source=None):
    """Check that *call* ends at the limit as *wait* says, and whose limit it was."""
    source = source or ("settimeout" if wait.phase == "accept" else "timeouts")
    with within(LIMIT):
        if wait.gives is not None:
            assert call() == wait.gives
            return
        with pytest.raises(TimeoutError) as it:
            call()
    assert isinstance(it.value, wait.ends_with())
    assert (it.value.timeout_source, it.value.timeout) == (source, LIMIT)


def plain(wait, lib):
    with wait.scene(lib) as (sock, call), limited(wait, sock):
        ends(wait, call)


def under_deadline(wait, lib):
    with wait.scene(lib) as (_, call), safesocket.deadline(LIMIT):
        ends(wait, call, "deadline")


def with_signals(wait, lib):
    came = []
    with (
        wait.scene(lib) as (sock, call),
        limited(wait, sock),
        alarms(lambda *_: came.append(1), SIGNALS, SIGNALS),
    ):
        ends(wait, call)
    assert came


def with_two_threads(wait, lib):
    """Let another thread wait in the other direction; both end."""

    def other():
        with safesocket.timeouts(read=LIMIT, serve=LIMIT, write=LIMIT):
            opposite()

    with wait.scene(lib) as (sock, call):
        writes = wait.phase == "write"
        opposite = partial(sock.recv, 9) if writes else partial(sock.sendall, MUCH)
        kind = errors.ReadTimeoutError if writes else errors.WriteTimeoutError
        with calling(other) as opposed:
            with limited(wait, sock):
                ends(wait, call)
            assert type(opposed.exception(GUARD)) is kind


#: the system call in which a thread waits for another one, above all for the GIL
FUTEX = {"x86_64": "202", "aarch64": "98"}.get(platform.machine(), "")

needs_syscalls = pytest.mark.skipif(
    not (FUTEX and Path("/proc/self/syscall").exists()),
    reason="no telling which system call a thread is in",
)


def place_of(wait, thread):
    """Return where *thread* waits in *wait*, None if it does not.

    A writer waits only where safesocket does: what is being written goes on in C, under TLS, and
    by the number of the descriptor.
    """
    call = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text("ascii").split()[0]
    frame = sys._current_frames()[thread.ident]
    path, places = frame.f_code.co_filename, ("_system.py", "_wait.py")
    if call in ("running", FUTEX) or (wait.phase == "write" and not path.endswith(places)):
        return None
    return call, frame.f_code, frame.f_lasti


def until_stuck(wait, thread):
    """Return when *thread* waits: three looks, a millisecond apart, find it in one place."""
    seen, end = [], time.monotonic() + GUARD / 10
    while time.monotonic() < end and not (len(seen) == 3 and len({*seen}) == 1):
        place = place_of(wait, thread)
        seen = [*seen, place][-3:] if place else []
        time.sleep(LIMIT / 20)


def given_away(stack, sock):
    """Close *sock*; return what has the number of its descriptor then, and its other end."""
    number = sock.fileno()
    sock.close()
    while True:
        pair = [stack.enter_context(end) for end in socket.socketpair()]
        for theirs, other in (pair, pair[::-1]):
            if theirs.fileno() == number:
                other.sendall(FOREIGN)
                return theirs, other


@contextmanager
def closed_meanwhile(wait, sock):
    """Close *sock* from another thread, and let somebody else have the number of its descriptor."""
    waiting = threading.current_thread()
    with ExitStack() as stack:

        def close():
            until_stuck(wait, waiting)
            if wait.has_file():  # which keeps the descriptor
                return sock.close()
            return given_away(stack, sock)

        with calling(close) as foreign:
            yield
        if (ends := foreign.result(GUARD)) is not None:
            for end, there in zip(ends, (FOREIGN, b""), strict=True):
                end.setblocking(False)
                with suppress(BlockingIOError):
                    assert end.recv(99) == there, "somebody else's bytes were touched"


def closed_by_another_thread(wait, lib, impose=limited):
    """The limit ends it, or it is said that the socket is closed; nobody else's is touched."""
    expected = pytest.raises((wait.ends_with(), errors.SocketClosedError))
    if wait.gives is not None:
        expected = nullcontext()
    with (
        wait.scene(lib) as (sock, call),
        impose(wait, sock),
        closed_meanwhile(wait, sock),
        within(LIMIT),
        expected,
    ):
        assert call() in (wait.gives, errno.EBADF)


# The watchdog.


def all_end(condition, waits, lib, at_once=AT_ONCE):
    """Play the *condition* with all *waits*, so many at once; name those that hang or fail."""
    left, under_way, failed = deque(waits), {}, []

    def work():
        while left:
            with suppress(IndexError):
                wait = under_way[threading.get_ident()] = left.popleft()
                try:
                    condition(wait, lib)
                except BaseException:
                    failed.append(f"{wait.name}: {traceback.format_exc(limit=-2)}")
                del under_way[threading.get_ident()]

    opened = descriptors()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(at_once)]
    end = time.monotonic() + GUARD
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    hanging = [wait.name for wait in under_way.values()]
    assert not hanging
    assert not failed, "\n".join(failed)
    assert waits is LOOK_UPS or descriptors() == opened  # the C library has its own, still at work


# The matrix.


@safe_forms
@every_world
def test_plain(form, waits):
    """Each wait ends at its limit."""
    with form() as lib:
        all_end(plain, [wait for wait in waits if not wait.by_deadline], lib)


@safe_forms
@every_world
def test_under_deadline(form, waits):
    """Each ends with the deadline, also where the peer goes on and on."""
    with form() as lib:
        all_end(under_deadline, waits, lib)


@needs_alarm
@safe_forms
@every_world
def test_with_signals(form, waits):
    """Signals neither end a wait nor prolong it."""
    with form() as lib:
        for wait in waits:
            if not wait.by_deadline:
                with_signals(wait, lib)


@safe_forms
@every_world
def test_with_two_threads(form, waits):
    """Two threads that wait in the two directions both end."""
    streams = [wait for wait in waits if wait.has_two_directions()]
    with form() as lib:
        all_end(with_two_threads, streams, lib)


def closable(waits):
    """Return those of *waits* in which it is certain what a closed socket does.

    Not those in the midst of a record: OpenSSL itself may be reading just then, by the number, as
    it does in the stdlib.
    """
    return [
        wait for wait in waits if not wait.by_deadline and "a record that drips" not in wait.name
    ]


@needs_syscalls
@safe_forms
@every_world
def test_closed_by_another_thread(form, waits):
    """A socket that is closed meanwhile is not waited for beyond the limit."""
    with form() as lib:
        on_sockets = [wait for wait in closable(waits) if wait.has_socket]
        all_end(closed_by_another_thread, on_sockets, lib, at_once=1)


@needs_syscalls
@safe_forms
@every_world
def test_closed_under_a_limit_of_its_own(form, waits):
    """Nor is it where the kernel keeps the limit, as it does for a socket under TLS."""

    def set_timeouts(wait, sock):
        safesocket.set_timeouts(sock, **{wait.phase: LIMIT})
        return nullcontext()

    reads = [wait for wait in closable(waits) if wait.phase in ("read", "serve")]
    with form() as lib:
        closed = partial(closed_by_another_thread, impose=set_timeouts)
        all_end(closed, reads, lib, at_once=1)


@pytest.mark.parametrize("call", ["recv", "sendall"])
def test_number_given_away_in_the_worst_moment(call):
    """Where a descriptor is duplicated, it is the socket's own, also if another thread closes it.

    Under a deadline, that is, for a socket with a timeout of its own.
    """

    def profiler(frame, event, arg):
        if event == "c_call" and arg is next:  # which duplicates it, all in C
            sys.setprofile(None)
            foreign.extend(given_away(stack, sock))

    foreign = []
    with ExitStack() as stack, connected(mode=GUARD) as (sock, _), safesocket.deadline(GUARD / 2):
        stack.callback(sys.setprofile, sys.getprofile())
        sys.setprofile(profiler)
        with pytest.raises(errors.SocketClosedError):
            sock.recv(9) if call == "recv" else sock.sendall(b"not for you")
        theirs, other = foreign
        other.setblocking(False)
        assert theirs.recv(99) == FOREIGN
        with pytest.raises(BlockingIOError):
            other.recv(1)


# Look-ups, in a network of their own in which nobody answers.


@pytest.mark.parametrize("world", [drop_in, under_install], ids=lambda form: form.__name__)
def test_look_ups(world):
    """Each look-up ends at its limit, with the deadline, and among signals."""
    if trouble := trouble_with_networks():
        pytest.skip(f"no network of our own: {trouble}")
    with network() as name:
        process = run_in(name, f"from tests import test_matrix as m; m.look_up(m.{world.__name__})")
    assert (process.returncode, process.stderr) == (0, ""), process.stderr


def look_up(form):
    """Play all look-ups; what ``test_look_ups`` has a process do."""
    with form() as lib:
        all_end(plain, LOOK_UPS, lib)
        all_end(under_deadline, LOOK_UPS, lib)
        for wait in LOOK_UPS:
            with_signals(wait, lib)
