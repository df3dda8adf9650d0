"""configure(warn_after=), and the thread that looks: what is logged, when, and what it disturbs."""

from __future__ import annotations

import errno
import logging
import logging.handlers
import os
import re
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import pairwise
from socket import SOCK_STREAM

import pytest

import safesocket
from safesocket import _alarm, _redaction, _stacks, _watch, testing
from tests.helpers import GUARD, LIMIT, ROOT, calling, connected, printed, python, tcp_pair
from tests.tls import safe_forms, tls_pair
from tests.waiters import HERE, WHOLE, a_wait, cut, lasts, until

pytestmark = pytest.mark.timeout(30, func_only=True)  # seconds; what hangs is cut off


# configure(warn_after=).


class Records(logging.Handler, list):
    emit = list.append
    __hash__ = logging.Handler.__hash__


@pytest.fixture
def log():
    """The records of the log, as they come."""
    records = Records()
    logging.getLogger("safesocket").addHandler(records)
    yield records
    logging.getLogger("safesocket").removeHandler(records)


def of_this_file(log):
    return [record for record in list(log) if record.safesocket_wait["filename"].startswith(HERE)]


def test_warning(log, lib):
    """A wait that goes on is told, and again at each doubling."""
    safesocket.configure(warn_after=LIMIT)
    with connected(lib) as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
        until(lambda: len(of_this_file(log)) >= 3)
    records = of_this_file(log)
    assert {(record.name, record.levelname) for record in records} == {("safesocket", "WARNING")}
    elapsed = [record.safesocket_wait["elapsed"] for record in records]
    assert all(later >= 2 * LIMIT * 2**n for n, later in enumerate(elapsed[1:]))
    assert elapsed[0] >= LIMIT
    assert len(records) <= 1 + (elapsed[-1] / LIMIT).__ceil__().bit_length()
    port = records[0].safesocket_wait["port"]
    assert records[0].getMessage().startswith(f"waiting: recv from 127.0.0.1:{port} for ")


def test_warning_of_a_wait_in_c(log):
    """A socket with a timeout of its own is watched, too."""
    safesocket.configure(warn_after=LIMIT)
    with connected(mode=WHOLE) as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
        until(lambda: of_this_file(log))


@safe_forms
def test_warning_over_tls(form, log):
    """And so is TLS."""
    safesocket.configure(warn_after=LIMIT)
    with (
        form() as lib,
        tls_pair(lib) as (sock, peer),
        a_wait(sock.recv, 1, end=partial(peer.sendall, b"x")),
    ):
        until(lambda: of_this_file(log))


def test_no_warning_of_short_waits(log):
    """Many short waits are not a long one, whatever the mode; healthy ones are not told."""
    safesocket.configure(warn_after=4 * LIMIT)
    over = threading.Event()

    def read(sock):
        while not over.is_set():
            sock.recv(1)

    with (
        connected(mode=WHOLE) as (one, far),
        tcp_pair() as (client, served),
        calling(read, one),
        calling(served.recv, 1),
        connected() as (late, last),
    ):
        # The wait of this one begins now, so that all were looked at for longer than it lasts.
        with a_wait(late.recv, 2, end=cut(last), operation="recv", port=last.getsockname()[1]):
            while not log:
                far.send(b"x")
                time.sleep(LIMIT / 4)
        over.set()
        far.send(b"x")
        client.send(b"x")
    assert {record.safesocket_wait["port"] for record in log} == {last_port(log)}


def last_port(log):
    return log[-1].safesocket_wait["port"]


def test_off_again(log):
    """None ends it."""
    safesocket.configure(warn_after=LIMIT)
    assert watches() == 1
    safesocket.configure(read=5)
    assert watches() == 1
    safesocket.configure(warn_after=None)
    assert watches() == 0


def watches():
    return sum(thread.name == "safesocket-watch" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), ("5", TypeError)],
)
def test_bad_warn_after(value, error):
    """What cannot be is refused, and all else stays as it was."""
    with pytest.raises(error, match="warn_after"):
        safesocket.configure(warn_after=value, redact=str)
    assert (_alarm.wished(), _redaction.wished()) == (None, None)


@pytest.mark.parametrize("value", [None, safesocket.FOREVER])
def test_warn_never(value):
    """None and FOREVER are never."""
    safesocket.configure(warn_after=value)
    assert (_alarm.wished(), watches()) == (None, 0)


class Failing(logging.Handler):
    def emit(self, record):
        raise OSError(errno.EIO, "no log")


def test_failing_handler(monkeypatch):
    """A log that fails is told once, as a thread's failure is; the watch goes on."""
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    handler = Failing()
    logging.getLogger("safesocket").addHandler(handler)
    try:
        safesocket.configure(warn_after=LIMIT)
        with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
            until(lambda: told)
            until(lambda: lasts(5 * LIMIT))
        assert watches() == 1
    finally:
        logging.getLogger("safesocket").removeHandler(handler)
    assert [str(one.exc_value) for one in told] == ["[Errno 5] no log"]


def test_handler_that_waits_itself(as_before):
    """A log on a socket that takes nothing: its wait is told neither by itself nor by others."""
    seen = []
    with safesocket.installed(), testing.stops_reading() as address:
        handler = logging.handlers.SysLogHandler(address, socktype=SOCK_STREAM)
        handler.setFormatter(logging.Formatter("%(message)s" + "x" * 10_000_000))
        logging.getLogger("safesocket").addHandler(handler)
        other = _watch.Watcher(0.005, seen.extend)
        other.start()
        try:
            safesocket.configure(warn_after=LIMIT)
            with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
                until(lambda: lasts(10 * LIMIT))
        finally:
            handler.socket.shutdown(socket.SHUT_RDWR)
            other.stop()
            safesocket.configure(warn_after=None)
            logging.getLogger("safesocket").removeHandler(handler)
            handler.close()
    assert {wait.operation for wait in seen} == {"recv"}


# The watch.


def test_watcher():
    """It looks until it is stopped, and not after that."""
    looks = []
    watcher = _watch.Watcher(0.001, looks.append)
    watcher.start()
    watcher.start()
    assert watches() == 1
    until(lambda: len(looks) > 3)
    watcher.stop()
    watcher.stop()
    count = len(looks)
    assert watches() == 0
    assert not _stacks.lookers
    time.sleep(0.01)
    assert len(looks) == count


def test_watcher_takes_little_time():
    """Where a look is dear, there are fewer."""
    moments = []

    def look(_):
        moments.append(time.monotonic())
        begun = time.thread_time()
        while time.thread_time() - begun < 0.0005:
            pass

    watcher = _watch.Watcher(0.001, look)
    watcher.start()
    until(lambda: len(moments) > 4)
    watcher.stop()
    pauses = [later - sooner for sooner, later in pairwise(moments[1:])]
    assert min(pauses) >= 0.0005 / _watch._SHARE


def test_watcher_stopped_by_its_own_look():
    """What looks may end the looking."""
    watcher = _watch.Watcher(0.001, lambda waits: watcher.stop())
    watcher.start()
    until(lambda: not watches())
    assert watcher not in _watch._watchers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork():
    """Parent and child both go on to be watched; at the fork itself nobody watches."""
    script = """
        import logging, os, threading
        threads = []
        os.register_at_fork(before=lambda: threads.append(threading.active_count()))  # runs last
        import safesocket
        from safesocket import testing

        class Log(logging.Handler):
            def emit(self, record):
                told.set()

        told = threading.Event()
        logging.getLogger("safesocket").addHandler(Log())
        safesocket.configure(warn_after=0.02)
        assert threading.active_count() == 2
        child = os.fork()
        with testing.never_answers() as address, safesocket.create_connection(address) as sock:
            with safesocket.timeouts(read=10):
                thread = threading.Thread(target=sock.recv, args=(1,))
                thread.start()
                warned = told.wait(10)
                sock.shutdown(safesocket.SHUT_RDWR)
                thread.join()
        if child == 0:
            os._exit(not warned)
        print(threads, warned, os.waitpid(child, 0)[1])
    """
    assert printed(script, "-W", "ignore::DeprecationWarning") == "[1] True 0"


def test_start_and_stop_wait_for_a_fork():
    """Another thread starts or stops a watch in the midst of a fork: it is as that has said."""
    stopped, started = (_watch.Watcher(0.001, lambda waits: None) for _ in range(2))
    stopped.start()
    _watch._before_a_fork()
    try:
        threads = [threading.Thread(target=stopped.stop), threading.Thread(target=started.start)]
        for thread in threads:
            thread.start()
        assert watches() == 0
    finally:
        _watch._in_the_parent()
    for thread in threads:
        thread.join(GUARD)
    assert {started} == _watch._watchers
    assert watches() == 1
    started.stop()
    until(lambda: watches() == 0)


@pytest.mark.parametrize("way", ["environment", "configure"])
def test_end_of_the_program(way):
    """A program ends as ever while it is watched, and while a line is being logged."""
    script = """
        import sys, threading
        import safesocket
        from safesocket import testing
        CONFIGURE
        with testing.never_answers() as address:
            for _ in range(20):
                sock = safesocket.create_connection(address)
                threading.Thread(target=sock.recv, args=(1,), daemon=True).start()
            threading.Event().wait(0.2)
    """
    configure = "safesocket.configure(warn_after=0.02)" if way == "configure" else ""
    variables = {"SAFESOCKET_WARN_AFTER": "0.02"} if way == "environment" else {}
    for _ in range(3):
        process = python(script.replace("CONFIGURE", configure), **variables)
        assert process.returncode == 0
        lines = process.stderr.splitlines()
        assert lines
        assert all(line.startswith("waiting: recv from 127.0.0.1:") for line in lines)


def test_watch_ends_before_the_interpreter():
    """Nobody looks, or logs, while the interpreter takes itself apart."""
    script = """
        import atexit, threading
        atexit.register(lambda: print(threading.active_count()))  # runs last
        import safesocket
        safesocket.configure(warn_after=1)
        print(threading.active_count())
    """
    assert printed(script) == "2\n1"


@pytest.mark.parametrize("way", ["option", "variable"])
def test_run(way):
    """A program that knows nothing of it is watched, its line is told, and it ends as ever."""
    program = "import socket, sys; socket.create_connection(('127.0.0.1', PORT)).recv(1)"
    options = ["--warn-after", "0.05"] if way == "option" else []
    variables = {"SAFESOCKET_WARN_AFTER": "0.05"} if way == "variable" else {}
    with testing.never_answers() as (_, port):
        process = subprocess.run(
            [
                *(sys.executable, "-m", "safesocket", "run", "--read", "0.5", *options),
                *("-c", program.replace("PORT", str(port))),
            ],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
        )
    assert process.returncode == 1
    warned = process.stderr.splitlines()[0]
    assert warned.startswith(f"waiting: recv from 127.0.0.1:{port} for 0.0")
    assert warned.endswith(", at <string>:1 in <module>, thread MainThread")
    assert "ReadTimeoutError" in process.stderr


@pytest.mark.parametrize("text", [str(LIMIT), f" {LIMIT} "])
def test_environment(text, log, monkeypatch):
    """The variable does what configure() does."""
    monkeypatch.setenv("SAFESOCKET_WARN_AFTER", text)
    _alarm.heed_environment()
    with connected() as (sock, peer), a_wait(sock.recv, 1, end=cut(peer)):
        until(lambda: of_this_file(log))


@pytest.mark.parametrize("text", [None, "None", " forever "])
def test_no_wish_of_the_environment(text, monkeypatch):
    """Nobody is watched where the variable is not set, or says so."""
    if text is not None:
        monkeypatch.setenv("SAFESOCKET_WARN_AFTER", text)
    before = threading.active_count()
    _alarm.heed_environment()
    assert (_alarm.wished(), threading.active_count()) == (None, before)


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan"])
def test_bad_environment(text, monkeypatch):
    """A variable that cannot be is named, and what it may be."""
    monkeypatch.setenv("SAFESOCKET_WARN_AFTER", text)
    wanted = "must be more than 0 seconds, such as 2.5, or 'forever'"
    text = f"environment variable SAFESOCKET_WARN_AFTER {wanted}, not {text!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        _alarm.heed_environment()


def test_bad_environment_stops_the_import():
    """Nobody goes on unwatched who has asked for it."""
    process = python("import safesocket", SAFESOCKET_WARN_AFTER="soon")
    assert process.returncode == 1
    assert "SAFESOCKET_WARN_AFTER must be" in process.stderr.splitlines()[-1]


def test_nothing_is_loaded_for_it():
    """Who does not watch pays neither for threads and logging nor for what looks."""
    script = """
        import sys, safesocket
        safesocket.configure(read=5)
        print(sorted({"threading", "logging", "safesocket._waits"} & set(sys.modules)))
    """
    assert printed(script, SAFESOCKET_WARN_AFTER="none") == "[]"
