"""What several test files use: limits, calls that wait, Python in a process of its own."""

from __future__ import annotations

import _socket
import copy
import gc
import importlib.util
import os
import pickle
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM
from tempfile import TemporaryDirectory

import pytest

import safesocket
from safesocket import _failing, errors

GUARD = 20.0  # seconds; no wait that has to end takes nearly as long
LIMIT = 0.02  # seconds
ROOT = Path(safesocket.__file__).parents[1]  # where safesocket is: the checkout, or site-packages
CHECKOUT = Path(__file__).parents[1]  # where tests and docs are


def has_ipv6():
    """Tell whether this machine has ::1."""
    try:
        with safesocket.socket(AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no ::1 on this machine")


@contextmanager
def calling(function, *args):
    """Call *function* in a thread of its own and this context; yield the Future of its result."""
    future = Future()

    def run():
        try:
            future.set_result(function(*args))
        except BaseException as exc:
            future.set_exception(exc)

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
    thread.start()
    yield future
    thread.join(GUARD)
    assert not thread.is_alive(), "the call still waits"


def still_waits(future, seconds=3 * LIMIT):
    """Tell whether the call behind *future* goes on for so many seconds."""
    return not wait([future], seconds).done


def waits_for_ever(call, unblock):
    """Tell whether *call* outlasts every limit of a test; *unblock* then lets it end well."""
    with calling(call) as future:
        waiting = still_waits(future)
        unblock()
        future.exception(GUARD)
    return waiting and not future.exception()


@contextmanager
def tcp_pair(family=AF_INET, make=safesocket):
    """Yield both ends of a connection over loopback: the client, and what accept() returned."""
    host = {AF_INET: "127.0.0.1", AF_INET6: "::1"}[family]
    with make.create_server((host, 0), family=family) as listener, make.socket(family) as client:
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


@contextmanager
def unix_pair(path, kind=SOCK_STREAM):
    """Yield both ends of a connection to the AF_UNIX *path*, as ``tcp_pair`` does."""
    with safesocket.socket(AF_UNIX, kind) as listener, safesocket.socket(AF_UNIX, kind) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


def python(code, *options, **environment):
    """Run *code* in a new interpreter; return the finished process, its output as text."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SAFESOCKET_")}
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


@contextmanager
def terminal(interrupt_at=None):
    """Yield a file that is a terminal, and a list, which has all that it showed after the block.

    Ctrl-C comes to this process once *interrupt_at* is shown.
    """
    ours, theirs = os.openpty()
    shown = []

    def watch():
        seen, wanted = b"", interrupt_at and interrupt_at.encode()
        with open(ours, "rb", buffering=0) as screen, suppress(OSError):  # EIO: end of file
            while more := screen.read(65536):
                seen += more
                if wanted and wanted in seen:
                    wanted = None
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        shown.append(seen.decode())

    with calling(watch), open(theirs, "w", encoding="utf-8") as file:
        yield file, shown


def loaded_again(name):
    """Return the module *name*, loaded once more beside the one in use, with its environment."""
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed(code, *options, **environment):
    """Return what *code* prints in a new interpreter, which must not complain."""
    process = python(code, *options, **environment)
    assert (process.returncode, process.stderr) == (0, ""), process.stderr
    return process.stdout.strip()


#: operation -> what everything that comes out of it is, whatever happened
UMBRELLAS = {
    **dict.fromkeys("connect connect_ex".split(), errors.ConnectError),
    **dict.fromkeys("bind listen".split(), errors.BindError),
    **dict.fromkeys("recv recv_into recvfrom recvfrom_into".split(), errors.TransferError),
    **dict.fromkeys("recvmsg recvmsg_into read".split(), errors.TransferError),
    **dict.fromkeys("send sendall sendto sendmsg sendmsg_afalg".split(), errors.TransferError),
    **dict.fromkeys(["sendfile"], errors.TransferError),
    **dict.fromkeys("getaddrinfo gethostbyname gethostbyname_ex".split(), errors.ResolveError),
    **dict.fromkeys("gethostbyaddr getnameinfo".split(), errors.ResolveError),
    **dict.fromkeys("socket accept dup shutdown".split(), errors.SafeSocketError),
    **dict.fromkeys("getpeername getsockname".split(), errors.SafeSocketError),
    **dict.fromkeys("getsockopt setsockopt".split(), errors.SafeSocketError),
}


def seen_by_the_program(sock, exc, operation, **known):
    """Return what the program sees when *operation* on *sock* has met *exc*."""
    try:
        _failing.fail(sock, exc, operation, **known)
    except OSError as error:
        return error


def copies(error):
    """Yield *error* as pickle, copy and deepcopy give it back."""
    for protocol in range(3, pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.loads(pickle.dumps(error, protocol))
    yield copy.copy(error)
    yield copy.deepcopy(error)


def told(error):
    """Return everything that *error* says."""
    worded = {"hint": error.hint, "__notes__": getattr(error, "__notes__", None)}
    facts = {k: v for k, v in vars(error).items() if k not in ("attempts", "_hinted", *worded)}
    names = (error.errno, error.strerror, error.filename, error.filename2)
    tried = [(attempt.address, told(attempt.error), attempt.elapsed) for attempt in error.attempts]
    return type(error), error.args, names, str(error), facts, worded, tried


def assert_travels(error):
    """Check that *error* says all that it said after pickle, copy and deepcopy."""
    for copied in copies(error):
        assert told(copied) == told(error)


def assert_documented(error, operation, original):
    """Check that *error* is what *operation* promises to make of *original*."""
    text = str(error)
    assert type(error).__name__ in errors.__all__
    assert type(error).__module__ == "safesocket.errors"
    assert issubclass(getattr(errors, type(error).__name__), errors.SafeSocketError)
    assert isinstance(error, UMBRELLAS.get(operation, errors.SafeSocketError))
    foreign = {kind for kind in type(error).__mro__ if kind.__module__ != "safesocket.errors"}
    lookup_of_ours = {socket.gaierror} if isinstance(error, errors.ResolveTimeoutError) else set()
    assert foreign == {*type(original).__mro__, *lookup_of_ours}
    assert error.operation == operation
    assert (error.errno, error.strerror, error.args) == (
        original.errno,
        original.strerror,
        original.args,
    )
    assert text.startswith(f"{original}: ")
    assert text.isprintable(), "one line, nothing that moves a terminal's cursor"


# What the tests of the operations share.

HOSTS = {AF_INET: "127.0.0.1", AF_INET6: "::1"}
SLACK = 0.25  # seconds that a wait may last longer than its limit
MUCH = random.Random(2).randbytes(10_000_000)  # no socket takes that much at once; no repetitions

TCP = [pytest.param(AF_INET, id="ipv4"), pytest.param(AF_INET6, id="ipv6", marks=needs_ipv6)]
tcp = pytest.mark.parametrize("family", TCP)
every_family = pytest.mark.parametrize("family", [*TCP, pytest.param(AF_UNIX, id="unix")])

#: The oracle: the same test on the stdlib's sockets and on ours.
as_the_stdlib = pytest.mark.parametrize("lib", [socket, safesocket], ids=["stdlib", "safesocket"])

#: What settimeout() is given.
MODES = {"blocking": None, "timeout": GUARD, "nonblocking": 0.0}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())

needs_dontwait = pytest.mark.skipif(
    not hasattr(_socket, "MSG_DONTWAIT"), reason="no MSG_DONTWAIT on this system"
)

#: For tests that need SIGALRM, which is pytest-timeout's own otherwise.
needs_alarm = pytest.mark.timeout(GUARD, method="thread")


@contextmanager
def free_address(family):
    """Yield a local address to bind to: a port that the system chooses, or a path."""
    if family in HOSTS:
        yield HOSTS[family], 0
    else:
        with TemporaryDirectory() as folder:
            yield f"{folder}/socket"


@contextmanager
def listening(family=AF_INET, kind=SOCK_STREAM, backlog=5):
    """Yield a plain listener of the stdlib's, on loopback or in a folder of its own."""
    with socket.socket(family, kind) as listener, free_address(family) as address:
        listener.bind(address)
        listener.listen(backlog)
        yield listener


@contextmanager
def connected(lib=safesocket, family=AF_INET, kind=SOCK_STREAM, mode=None):
    """Yield a socket of *lib*, and the plain one of the stdlib's that it is connected to."""
    with listening(family, kind) as listener, lib.socket(family, kind) as sock:
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            if mode is not None:
                sock.settimeout(mode)
            yield sock, peer


@contextmanager
def datagrams(lib=safesocket, family=AF_INET, mode=None):
    """Yield two bound datagram sockets, one of *lib*, one plain, connected to each other."""
    with (
        lib.socket(family, SOCK_DGRAM) as sock,
        socket.socket(family, SOCK_DGRAM) as peer,
        free_address(family) as here,
        free_address(family) as there,
    ):
        sock.bind(here)
        peer.bind(there)
        sock.connect(peer.getsockname())
        peer.connect(sock.getsockname())
        if mode is not None:
            sock.settimeout(mode)
        yield sock, peer


needs_error_queue = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(_socket, "MSG_DONTWAIT"),
    reason="error queues are Linux's",
)


def put_receipt(sock):
    """Put the receipt of a zero-copy send into the error queue of *sock*: poll() returns always."""
    sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    assert sock.send(bytes(1000), 0x4000000) == 1000  # MSG_ZEROCOPY
    receipt = select.poll()
    receipt.register(sock, 0)
    assert receipt.poll(GUARD * 1000) == [(sock.fileno(), select.POLLERR)]


@contextmanager
def within(limit, at_least=0.0):
    """Check that the block takes *at_least* so many seconds, and *limit* seconds at most."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert at_least * 0.9 <= took <= limit + SLACK, f"took {took:.3f} s"


@contextmanager
def later(seconds, call, *args):
    """Make a call from another thread while the block, which is to wait, runs."""
    timer = threading.Timer(seconds, call, args)
    timer.start()
    try:
        yield
    finally:
        timer.join(GUARD)


@contextmanager
def alarms(handler, first, every=0.0):
    """Let a signal call *handler* after *first* seconds, and again *every* so many."""
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, first, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextmanager
def counted_alarms():
    """Let a signal come every 2 ms; yield the list of those that came."""
    seen = []
    with alarms(lambda *_: seen.append(1), 0.002, 0.002):
        yield seen


def mode_of(sock):
    """Return what can be seen of a socket's mode: is it non-blocking, and its timeout."""
    return bool(fcntl(sock, F_GETFL) & os.O_NONBLOCK), sock.gettimeout()


def set_nonblocking_behind_python(sock):
    """Set O_NONBLOCK as C code or another process does."""
    fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) | os.O_NONBLOCK)


def set_kernel_timeout(sock, option, seconds):
    """Set SO_RCVTIMEO or SO_SNDTIMEO."""
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, int(seconds * 1e6)))


class Stop(Exception):
    """What a signal handler of a program raises."""


every_stop = pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt])


def skip_if_traced():
    """Skip a test whose signal handler raises: it may end coverage, too, with its lock held."""
    if sys.gettrace() is not None:
        pytest.skip("a tracer runs, and would be stopped like the test")


@contextmanager
def stopped_by(kind):
    """Check that what a signal handler raises ends the wait in the block, as if nothing were."""
    skip_if_traced()

    def handler(*_):
        raise kind

    with within(LIMIT), pytest.raises(kind) as it, alarms(handler, LIMIT):
        yield
    assert (it.value.__context__, it.value.__cause__) == (None, None)


def stopped_at(moment, call):
    """Make *call*, and stop it at a *moment*; tell whether it has so many.

    They are those at which Python calls the handlers of signals, in the end: as a function in
    Python begins, and as one in C has returned.
    """
    skip_if_traced()
    left = moment

    def profiler(_frame, event, _arg):
        nonlocal left
        left -= event in ("call", "c_return")
        if not left:
            sys.setprofile(None)
            raise Stop

    with suppress(Stop, OSError):
        sys.setprofile(profiler)
        try:
            call()
        finally:
            sys.setprofile(None)
    return left <= 0


def builtin_of(exc):
    """Return the class by which a program that was written for the stdlib knows *exc*."""
    return next(kind for kind in type(exc).__mro__ if kind.__module__ in ("builtins", "socket"))


def assert_bare(error, kind, number):
    """Check that *error* is what C code raised: nothing added, nothing behind it."""
    assert type(error) is kind
    assert str(error) == f"[Errno {number}] {os.strerror(number)}"
    assert vars(error) == {}
    assert (error.__context__, error.__cause__) == (None, None)


def outcome(call, *args):
    """Return what a program sees of a call: its result, or class, errno and args of its error."""
    try:
        return call(*args)
    except OSError as exc:
        return builtin_of(exc), exc.errno, exc.args
    except (AttributeError, BufferError, OverflowError, TypeError, ValueError) as exc:
        return type(exc)


def everything(sock):
    """Return all that comes out of *sock* up to the end."""
    sock.settimeout(GUARD)
    return b"".join(iter(lambda: sock.recv(1 << 20), b""))


def descriptors():
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def garbage(call, times=10):
    """Return how many objects in reference cycles so many calls leave behind."""
    gc.disable()
    gc.freeze()  # what is there already is not looked at
    try:
        for _ in range(times):
            call()
        return gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
