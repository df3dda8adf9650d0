"""Look-ups end in time, and are the stdlib's in all else.

The name servers are real: each script runs in a network of its own in which nobody answers, or
somebody answers too late or with SERVFAIL. What is about threads and not about names is tested
with calls that wait here.
"""

from __future__ import annotations

import _thread
import json
import os
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from itertools import count
from threading import get_ident
from types import SimpleNamespace

import pytest

import safesocket
from safesocket import _hosts, _lookups, _resolve, errors
from tests.helpers import (
    GUARD,
    LIMIT,
    SLACK,
    alarms,
    as_the_stdlib,
    assert_travels,
    calling,
    every_stop,
    garbage,
    needs_alarm,
    printed,
    skip_if_traced,
    stopped_by,
    within,
)
from tests.nameserver import network, run_in, trouble_with_networks

pytestmark = pytest.mark.timeout(30, func_only=True)


@pytest.fixture(scope="module")
def net():
    """A network in which names are looked up as badly as a test wants."""
    if trouble := trouble_with_networks():
        pytest.skip(f"no network of our own: {trouble}")
    with network() as name:
        yield name


def said(net, script, *options):
    """Return what *script* prints, line by line from JSON; it must not complain."""
    process = run_in(net, script, *options)
    assert (process.returncode, process.stderr) == (0, ""), process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


def start_traced(function, args):
    """Start a thread as ``_thread`` does, under the tracer that threading's have."""

    def run():
        sys.settrace(threading.gettrace())
        function(*args)

    return _thread.start_new_thread(run, ())


@pytest.fixture(autouse=True)
def threads_of_this_test(monkeypatch):
    """Each test has threads of its own, and leaves none that wait for work."""
    pool = _lookups._Pool()
    monkeypatch.setattr(_lookups, "_pool", pool)
    if threading.gettrace():  # coverage sees threads of threading's only
        monkeypatch.setattr(_lookups, "_start", start_traced)
    yield pool
    pool.dismiss()


# Every way to look something up, with a name that is put in.

PATHS = {
    "getaddrinfo": "socket.getaddrinfo(NAME, 80)",
    "gethostbyname": "socket.gethostbyname(NAME)",
    "gethostbyname_ex": "socket.gethostbyname_ex(NAME)",
    "gethostbyaddr": "socket.gethostbyaddr(NAME)",
    "gethostbyaddr of an address": "socket.gethostbyaddr(ADDRESS)",
    "getnameinfo": "socket.getnameinfo((ADDRESS, 80), socket.NI_NAMEREQD)",
    "getfqdn": "socket.getfqdn(NAME)",
    "connect": "tcp().connect((NAME, 80))",
    "connect with a timeout": "tcp(20).connect((NAME, 80))",
    "connect of bytes": "tcp().connect((NAME.encode(), 80))",
    "connect of a bytearray": "tcp().connect((bytearray(NAME.encode()), 80))",
    "connect beyond ASCII": 'tcp().connect((NAME + "ö", 80))',
    "connect to a number like an int": "tcp().connect((NAME, True))",
    "connect of IPv6": "socket.socket(socket.AF_INET6).connect((NAME, 80, 0, 0))",
    "connect of a datagram socket": "udp().connect((NAME, 80))",
    "connect_ex": "tcp().connect_ex((NAME, 80))",
    "connect_ex with a timeout": "tcp(20).connect_ex((NAME, 80))",
    "bind": "tcp().bind((NAME, 0))",
    "sendto": 'udp().sendto(b"x", (NAME, 80))',
    "sendto with flags": 'udp().sendto(b"x", socket.MSG_DONTWAIT, (NAME, 80))',
    "sendto with a timeout": 'udp(20).sendto(b"x", (NAME, 80))',
    "sendmsg": 'udp().sendmsg([b"x"], (), 0, (NAME, 80))',
    "create_connection": "socket.create_connection((NAME, 80))",
    "create_connection with a timeout": "socket.create_connection((NAME, 80), 20)",
    "create_server": "socket.create_server((NAME, 80))",
}

ALL_PATHS = f"""
    def tcp(timeout=None, kind=socket.SOCK_STREAM):
        sock = socket.socket(type=kind)
        if timeout:
            sock.settimeout(timeout)
        made.append(sock)
        return sock

    def udp(timeout=None):
        return tcp(timeout, socket.SOCK_DGRAM)

    def tell(title, call, NAME, ADDRESS):
        started = time.monotonic()
        try:
            error, value = None, eval(call)
        except OSError as exc:
            error, value = exc, None
        return title, dict(
            took=time.monotonic() - started,
            kinds=[kind.__name__ for kind in type(error).__mro__],
            text=str(error),
            value=value,
            **(error.to_dict() if error else dict()),
        )

    made = []
    socket.configure(resolve=0.1)
    paths = {PATHS!r}
    found = dict(
        tell(title, call, f"{{KIND}}{{index}}.example", ADDRESS)
        for index, (title, call) in enumerate(paths.items())
    )
    print(json.dumps(found))
"""

each_path = pytest.mark.parametrize("path", PATHS)


def all_paths(net, kind, address):
    return said(net, f"\n    KIND, ADDRESS = {kind!r}, {address!r}\n{ALL_PATHS}")[0]


@pytest.fixture(scope="module")
def unanswered(net):
    """What becomes of each path when nobody answers."""
    return all_paths(net, "stuck", "10.0.0.1")


@pytest.fixture(scope="module")
def refused(net):
    """What becomes of each path when the answer is SERVFAIL."""
    return all_paths(net, "fail", "10.0.0.9")


@each_path
def test_look_up_that_nobody_answers(path, unanswered):
    """It ends at the limit, which is named, as does the operation that wanted the name."""
    told = unanswered[path]
    assert 0.09 <= told["took"] <= 0.1 + SLACK
    if path == "getfqdn":
        assert told["value"].startswith("stuck")  # it has always returned what it was given
        return
    assert told["type"] == "ResolveTimeoutError"
    assert {"gaierror", "TimeoutError", "ConnectError"} <= set(told["kinds"])
    assert (told["errno"], told["code"]) == (socket.EAI_AGAIN, "timeout")
    assert (told["timeout"], told["timeout_source"]) == (0.1, "configure")
    expected = path.split()[0]
    expected = {"create_connection": "getaddrinfo", "create_server": "bind"}.get(expected, expected)
    assert told["operation"] == expected
    assert "timed out" in told["text"]
    assert "look up " in told["text"]
    assert "(configured resolve timeout 0.1 s)" in told["text"]


@each_path
def test_look_up_that_the_server_fails(path, refused):
    """SERVFAIL is a ResolverError, and it comes at once."""
    told = refused[path]
    assert told["took"] <= 0.1
    if path == "getfqdn":
        assert told["value"].startswith("fail")
    elif path == "gethostbyaddr of an address":
        assert told["type"] == "ReverseLookupError"  # as the stdlib: herror
    elif path == "getnameinfo":
        assert told["type"] in ("ResolverError", "HostNotFoundError")
    else:
        assert told["type"] == "ResolverError"
        assert told["errno"] == socket.EAI_AGAIN


def test_look_up_that_is_answered(net):
    """Names that are there are found by every path, with the values and types of the stdlib's."""
    script = """
        for call in (
            "getaddrinfo('there', 80)", "getaddrinfo(b'there', 'http', type=1)",
            "getaddrinfo('there', 80, lib.AF_INET, lib.SOCK_DGRAM, 17)", "gethostbyname('there')",
            "gethostbyname_ex('there')", "gethostbyaddr('localhost')",
            "getnameinfo(('127.0.0.1', 80), 0)", "getfqdn('localhost')",
        ):
            theirs, ours = (eval(f"lib.{call}") for lib in (plain, socket))
            print(json.dumps([call, repr(theirs) == repr(ours), repr(theirs)]))
        with socket.create_server(("127.0.0.9", 0)) as listener:
            port = listener.getsockname()[1]
            socket.create_connection(("there", port)).close()
            for timeout in (None, 5):
                with socket.socket() as sock:
                    sock.settimeout(timeout)
                    assert sock.connect_ex(("there", port)) == 0
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=2) as two:
            one.bind(("there", 0))
            two.sendto(b"hello", ("there", one.getsockname()[1]))
            two.sendmsg([b"hello"], (), 0, ("there", one.getsockname()[1]))
            assert one.recv(9) + one.recv(9) == b"hellohello"
    """
    for call, same, value in said(net, script):
        assert same, call
        assert "127.0.0." in value or "localhost" in value


# One thread for one question.


def test_stuck_name_that_many_ask_for(net):
    """A thousand look-ups of one name that nobody answers are one thread."""
    script = """
        socket.configure(resolve=0.05)
        most, texts = [0], []

        def ask():
            for _ in range(20):
                try:
                    socket.getaddrinfo("stuck.example", 80)
                except errors.ResolveTimeoutError as error:
                    texts.append(str(error))
                    most[0] = max(most[0], len(_lookups._pool.threads))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        while tasks() > 1: time.sleep(0.001)  # what has been joined may not have gone yet
        print(json.dumps([len(texts), most[0], tasks(), len(queries), texts[-1]]))
    """
    [[asked, most, left, queries, text]] = said(net, script)
    assert (asked, most, left) == (1000, 1, 1)
    assert queries <= 2  # A and AAAA
    assert "; 1 look-up stuck for " in text


def test_answer_for_everybody(net):
    """All who asked the same have the answer, each a list of his own, and an error of his own."""
    script = """
        def ask(name, got):
            try:
                got.append(socket.getaddrinfo(name, 80, type=1))
            except errors.ResolverError as error:
                got.append(error)

        for name in ("late", "later.example"):
            got, late = [], False
            threads = [threading.Thread(target=ask, args=(name, got)) for _ in range(20)]
            for thread in threads: thread.start()
            while sum(len(one.bells) for one in list(_lookups._pool._running)) < 20 or not waiting:
                time.sleep(0.001)
            one = len(_lookups._pool.threads)
            answer_late()
            for thread in threads: thread.join()
            print(json.dumps([one, len(got), len(set(map(id, got))), len(set(map(str, got))) > 0,
                len({id(error.__traceback__) for error in got}),
                [type(error).__name__ for error in got][0]]))
    """
    for threads, answers, objects, _, tracebacks, kind in said(net, script):
        assert (threads, answers, objects, tracebacks) == (1, 20, 20, 20)
        assert kind == "ResolverError"


def test_stuck_look_ups_are_counted(net):
    """An error says how many look-ups are stuck besides, and since when."""
    script = """
        socket.configure(resolve=0.05)
        for name in ("one", "two", "three"):
            try:
                socket.gethostbyname("stuck-" + name)
            except errors.ResolveTimeoutError as error:
                print(json.dumps(str(error)))
    """
    one, two, three = said(net, script)
    assert one.endswith("(configured resolve timeout 0.05 s)")
    assert "s); 2 look-ups stuck, the oldest for 0.1" in two
    assert "s); 3 look-ups stuck, the oldest for 0.1" in three


def test_all_threads_are_stuck(net):
    """No more than so many threads; then a look-up waits for one, and says so if none comes."""
    script = """
        socket.configure(resolve=0.02)

        def ask(name, limit=0.02):
            try:
                with socket.timeouts(resolve=limit):
                    return socket.gethostbyname(name)
            except OSError as error:
                return str(error)

        for index in range(_lookups.MOST_THREADS): ask(f"late{index}")
        started = time.monotonic()
        over = ask("over"), ask("over2")
        took = time.monotonic() - started
        most = tasks()
        timer = threading.Timer(0.05, answer_late)
        timer.start()
        found = ask("there", 10)  # queued, and then begun by the first thread that is free
        timer.join()
        print(json.dumps([over[0], took, most, found, len(_lookups._pool._flying)]))
    """
    [[text, took, most, found, _]] = said(net, script)
    assert "(resolve timeout 0.02 s of timeouts())" in text
    assert "; not begun: all 64 look-ups stuck, the oldest for " in text
    assert 0.04 <= took <= 0.04 + SLACK
    assert most == _lookups.MOST_THREADS == 64
    assert found == "127.0.0.9"


# Straight through.

NUMBERS = [
    *["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0", "::1", "::ffff:1.2.3.4"],
    *["fe80::1%lo", "fe80::1%nonesuch", "::", b"127.0.0.1", b"::1", "255.255.255.255"],
]
NAMES = [
    *["1.2.3.4.5", "999999999999", "256.1.1.1", "127.0.0.1.", "deadbeef", "0x", "08", "1."],
    *[
        "localhost",
        "db",
        "foo:80",
        "1:2",
        "1.2.3.4 foo",
        "..",
        "é",
        "\uff11\uff12\uff17.0.0.1",
        "::g",
        "%lo",
    ],
]


def test_numbers_need_no_name_server(net):
    """Numbers in all their forms are not looked up by anybody, nor is what C understands itself."""
    script = f"""
        hosts = {[*NUMBERS, "", "<broadcast>"]!r}
        calls = [(plain.getaddrinfo, socket.getaddrinfo, host, 80) for host in hosts]
        calls += [(plain.gethostbyname, socket.gethostbyname, host) for host in hosts]
        calls += [(plain.gethostbyname_ex, socket.gethostbyname_ex, "10.0.0.7")]
        calls += [
            (plain.getaddrinfo, socket.getaddrinfo, "db", 80, 0, 0, 0, socket.AI_NUMERICHOST),
            (plain.getaddrinfo, socket.getaddrinfo, None, 80),
            (plain.getnameinfo, socket.getnameinfo, ("10.0.0.1", 80), socket.NI_NUMERICHOST),
        ]

        def outcome(call, args):
            try:
                return repr(call(*args))
            except OSError as exc:
                return exc.args

        for theirs, ours, *args in calls:
            if theirs is plain.getaddrinfo and args[0] == "<broadcast>":
                continue
            before = len(queries)
            pair = outcome(theirs, args), outcome(ours, args)
            asked = len(queries) - before
            print(json.dumps([repr(args), pair[0] == pair[1], asked, tasks()]))
    """
    told = said(net, script)
    assert len(told) > 30
    for args, same, queries, threads in told:
        assert (same, queries, threads) == (True, 0, 0), args


def test_what_may_ask_a_name_server_has_a_limit(net):
    """Whatever makes the C library ask is made on a thread: none slips through."""
    script = f"""
        asking = []
        sys.addaudithook(lambda event, args: event.startswith("socket.get") and asking.append(
            threading.get_ident() in _lookups._pool.threads))
        socket.configure(resolve=0.05)
        for name in {NAMES!r}:
            for call in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
                started = time.monotonic()
                try:
                    getattr(socket, call)(name, *[80] * (call == "getaddrinfo"))
                except (OSError, UnicodeError):
                    pass
                print(json.dumps([call, name, time.monotonic() - started, asking]))
                asking.clear()
    """
    for call, name, took, asking in said(net, script):
        assert took < 0.05 + SLACK, (call, name)
        if name != "\uff11\uff12\uff17.0.0.1" or call != "gethostbyname":
            assert asking in ([True], []), (call, name)


@pytest.mark.parametrize("host", NUMBERS)
def test_number(host):
    """A number is one in str, bytes and bytearray."""
    spelled = host.encode() if isinstance(host, str) else host
    assert _hosts.is_number(host)
    assert _hosts.is_number(spelled)
    assert _hosts.is_number(bytearray(spelled))
    assert _hosts.is_certain((spelled.decode(), 80))


@pytest.mark.parametrize("host", [*NAMES, "", "a\0b", None, 5, (), b"\xff", "\udc80"])
def test_no_number(host):
    """What only looks like a number is a name."""
    assert not _hosts.is_number(host)
    assert not _hosts.is_certain((host, 80))


def test_numbers_seen_before_are_few():
    """What is remembered of numbers does not grow with the peers of a server."""
    for number in range(3000):
        assert _hosts.is_number(f"10.0.{number // 256}.{number % 256}")
    assert len(_hosts._numbers) <= _hosts._MOST_NUMBERS


@pytest.mark.parametrize("seconds", [None, safesocket.FOREVER])
def test_no_limit_in_force(seconds):
    """Without a limit the look-up is made on the thread that asks."""
    with safesocket.timeouts(resolve=seconds):
        assert asked(_thread.get_ident) == _thread.get_ident()


def test_limit_in_force():
    """With one it is made on another."""
    assert asked(_thread.get_ident) != _thread.get_ident()


def test_look_up_within_a_look_up():
    """What is asked on a thread for look-ups is asked there: one thread is enough."""

    def outer():
        return _thread.get_ident(), asked(_thread.get_ident)

    one, two = asked(outer)
    assert one == two != _thread.get_ident()


def test_limit_of_nothing():
    """A limit of 0 s has passed before anything is asked."""
    calls = []
    with safesocket.timeouts(resolve=0), pytest.raises(errors.ResolveTimeoutError) as caught:
        asked(partial(calls.append, 1))
    assert calls == []
    assert re.search(
        r"look up db after \S+ s \(resolve timeout 0 s of timeouts\(\)\)$", str(caught.value)
    )


# What a caller sees: as if the call had been made here.


def asked(call, name="db", **options):
    """Return what a look-up of *name*, which is *call*, gives under the limits in force."""
    return _resolve.bounded("gethostbyname", (name, None), lambda _: call(), name, **options)


def held(started, release):
    """A look-up that says when it is under way, and lasts until it is released."""
    started.set()
    assert release.wait(GUARD)
    return ["10.0.0.7"]


@pytest.fixture
def slow():
    """A look-up that lasts until the test is over, or lets it go."""
    started, release = threading.Event(), threading.Event()

    def call(_=None):
        return held(started, release)

    yield SimpleNamespace(call=call, started=started, release=release)
    release.set()


def ask_slow(slow, name="db"):
    return _resolve.bounded("gethostbyname", (name, None), slow.call, name)


def test_context_of_the_caller():
    """The look-up sees the caller's context variables."""
    variable = ContextVar("variable")
    variable.set("mine")
    assert asked(variable.get) == "mine"


def test_error_of_the_caller():
    """What is no OSError is raised as it is, with the traceback of where it came from."""
    error = LookupError("no names today")

    def look_up_badly():
        raise error

    with pytest.raises(LookupError) as caught:
        asked(look_up_badly)
    assert caught.value is error
    assert caught.traceback[-1].name == "look_up_badly"
    assert "make" not in [entry.name for entry in caught.traceback]
    assert error.__context__ is None


def test_error_within_the_caller_s_handler():
    """The context of an error is what the caller was handling."""

    def look_up_badly():
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    def look_up_while_handling():
        try:
            raise handled
        except KeyError:
            asked(look_up_badly)

    handled = KeyError("mine")
    with pytest.raises(errors.HostNotFoundError) as caught:
        look_up_while_handling()
    assert caught.value.__context__ is handled


@pytest.mark.parametrize("kind", [socket.gaierror, LookupError, TypeError])
def test_failures_are_no_garbage(kind):
    """No failure of a look-up leaves a reference cycle behind."""

    def look_up_badly():
        raise kind(-2, "unknown")

    def fail():
        with suppress(kind):
            asked(look_up_badly)

    fail()
    assert garbage(fail) == 0


def test_timeouts_are_no_garbage(slow):
    """Nor does one that was not answered."""

    def time_out():
        with safesocket.timeouts(resolve=0.001), suppress(errors.ResolveTimeoutError):
            ask_slow(slow)

    time_out()
    assert garbage(time_out) == 0


def test_timeout_travels(slow):
    """The error pickles and copies with all that it says."""
    for name in ("one", "two"):
        with safesocket.timeouts(resolve=LIMIT), pytest.raises(errors.ResolveTimeoutError) as it:
            ask_slow(slow, name)
        assert_travels(it.value)
    assert it.value.fingerprint == "gethostbyname:timeout:two"
    assert "2 look-ups stuck" in str(it.value)
    assert "safesocket.timeouts(resolve=seconds)" in it.value.hint


def test_deadline_that_is_over_is_no_fault_of_the_name_service():
    """A look-up whose deadline has passed does not blame the name service for it."""
    with pytest.raises(errors.ResolveTimeoutError) as it, safesocket.deadline(0):
        safesocket.getaddrinfo("db.internal", 5432)
    assert "deadline of the whole block" in it.value.hint
    assert "name service" not in it.value.hint


@as_the_stdlib
@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("getaddrinfo('a' * 64 + '.example', 80)", UnicodeError),
        ("getaddrinfo('ö' * 64, 80)", UnicodeError),
        ("getaddrinfo('..', 80)", UnicodeError),
        ("getaddrinfo('localhost', 80.0)", OSError),
        ("getaddrinfo('localhost', 80, 'x')", TypeError),
        ("getaddrinfo('localhost', 2**80)", OverflowError),
        ("getaddrinfo('a\\0b', 80)", ValueError),
        ("gethostbyname('a\\0b')", ValueError),
        ("gethostbyname('ö' * 64)", UnicodeError),
        ("gethostbyname_ex('a' * 64 + 'ö')", UnicodeError),
        ("getnameinfo(('localhost', 'x'), 0)", TypeError),
        ("getnameinfo(('localhost',), 0)", TypeError),
        ("gethostbyaddr('ö' * 64)", UnicodeError),
        ("gethostbyaddr(5)", TypeError),
    ],
)
def test_bad_arguments(lib, call, kind):
    """They are refused as the stdlib refuses them."""
    with pytest.raises((kind, OSError, TypeError, ValueError)) as ours:
        eval(f"lib.{call}")
    with pytest.raises(type(ours.value) if lib is socket else Exception) as theirs:
        eval(f"socket.{call}")
    assert ours.value.args == theirs.value.args


AUDITED = """
    import sys, threading
    import safesocket
    from safesocket import _lookups

    seen = []

    def hook(event, args):
        if event.startswith("socket."):
            seen.append((event, args, threading.get_ident() in _lookups._pool.threads))
            if "forbidden" in args:
                raise PermissionError("not that one")

    sys.addaudithook(hook)
    safesocket.getaddrinfo("localhost", 80, type=1)
    safesocket.gethostbyname("localhost")
    try:
        safesocket.getaddrinfo("forbidden", 80)
    except PermissionError as exc:
        print(type(exc).__name__, str(exc).partition(":")[0])
    print(*seen, sep="\\n")
"""


def test_audit_events():
    """The events are the stdlib's, with its arguments; a hook that objects is heard."""
    raised, *seen = printed(AUDITED).splitlines()
    assert raised == "SocketOperationError not that one"  # and a PermissionError: it was caught
    assert [line[:-7] for line in seen] == [
        "('socket.getaddrinfo', ('localhost', 80, 0, 1, 0)",
        "('socket.gethostbyname', ('localhost',)",
        "('socket.getaddrinfo', ('forbidden', 80, 0, 0, 0)",
    ]
    assert {line[-5:-1] for line in seen} == {"True"}


# Whose limit.


def test_limit_of_the_socket_goes_first(net):
    """set_timeouts decides about the names given to that socket; settimeout(None) is for ever."""
    script = """
        socket.configure(resolve=20)
        with socket.socket() as sock:
            socket.set_timeouts(sock, resolve=0.05)
            try:
                sock.connect(("stuck", 80))
            except OSError as error:
                print(json.dumps([error.timeout_source, error.timeout, error.host, error.port]))
            sock.settimeout(None)
            socket.configure(resolve=0.05)
            timer = threading.Timer(0.3, answer_late)
            timer.start()
            started = time.monotonic()
            try:
                sock.connect(("late", 80))
            except OSError as error:
                print(json.dumps([type(error).__name__, time.monotonic() - started]))
            timer.join()
    """
    own, (kind, took) = said(net, script)
    assert own == ["set_timeouts", 0.05, "stuck", 80]
    assert kind == "ResolverError"
    assert took >= 0.29


def test_budget_of_create_connection(net):
    """A look-up has no more time than the whole call, whoever set it; for ever is for ever."""
    script = """
        def ask(*timeout, name="stuck"):
            started = time.monotonic()
            try:
                socket.create_connection((name, 80), *timeout)
            except OSError as error:
                print(json.dumps([type(error).__name__, error.timeout_source, error._field,
                    error.timeout, time.monotonic() - started]))

        ask(0.05)
        with socket.timeouts(connect=0.06):
            ask()
        with socket.timeouts(resolve=0.07):
            ask()
            ask(20)
        with socket.timeouts(connect=0.08, resolve=None):
            ask()
        socket.setdefaulttimeout(0.09)
        ask()
        socket.setdefaulttimeout(None)
        with socket.timeouts(resolve=0.1):
            ask(0)
        timer = threading.Timer(0.3, answer_late)
        timer.start()
        with socket.timeouts(resolve=0.05):
            ask(None, name="late")
        timer.join()
    """
    told = said(net, script)
    for index, seconds in enumerate([0.05, 0.06, 0.07, 0.07, 0.08, 0.09, 0.1]):
        kind, _, _, timeout, took = told[index]
        assert (kind, timeout) == ("ResolveTimeoutError", seconds)
        assert seconds * 0.9 <= took <= seconds + SLACK
    assert [one[1] for one in told[:7]] == [
        *["create_connection", "timeouts", "timeouts", "timeouts", "timeouts"],
        *["settimeout", "timeouts"],
    ]
    assert told[7][0] == "ResolverError"
    assert told[7][4] >= 0.29


@pytest.mark.parametrize("operation", ["connect", "connect_ex", "bind", "sendto"])
def test_non_blocking_socket(operation):
    """A non-blocking socket's names are C's own matter."""
    with safesocket.socket() as sock:
        sock.settimeout(0)
        address = "db.internal", 80
        assert _resolve.resolved(sock, operation, address) is address


@pytest.mark.parametrize(
    "address",
    [
        *[("db", "80"), ("db", 80.0), ("db",), (), ("db", 80, 0), ["db", 80], "db", b"db", None],
        *[("", 80), ("<broadcast>", 80), (b"", 80), ("a\0b", 80), (5, 80), ("ö" * 64, 80)],
    ],
)
def test_what_c_refuses_or_understands(address):
    """What is no name, or will be refused, is left to C: same error, same moment."""
    with safesocket.socket() as sock:
        assert _resolve.resolved(sock, "connect", address) is address


# Signals, forks, the end.


@needs_alarm
@every_stop
def test_signal_handler_that_raises(kind, slow):
    """What a handler raises ends the wait."""
    with stopped_by(kind):
        ask_slow(slow)


@needs_alarm
def test_signal_handler_that_looks_up(slow):
    """A handler may look something up while its thread waits for a look-up, which goes on."""
    found = []

    def handler(*_):
        found.append(asked(lambda: "10.0.0.9", name="other"))
        slow.release.set()

    with alarms(handler, LIMIT):
        assert ask_slow(slow) == ["10.0.0.7"]
    assert found == ["10.0.0.9"]


def interrupted(line, call, handler):
    """Return what *call* returns, *handler* having been called before a *line* of ``_lookups``.

    None if it has not so many lines.
    """
    left = line

    def trace(frame, event, arg):
        nonlocal left
        if frame.f_globals.get("__name__") != _lookups.__name__:
            return None
        left -= event == "line"
        if not left:
            sys.settrace(None)
            handler()
        return trace if left else None

    sys.settrace(trace)
    try:
        found = call()
    finally:
        sys.settrace(None)
    return None if left > 0 else found


def test_handler_at_any_moment():
    """A handler that looks up may run between any two lines of a look-up, which has its thread."""
    skip_if_traced()

    def look_up(name):
        return _resolve.bounded("gethostbyname", (name, None), lambda _: get_ident(), name)

    for line in count(1):
        look_up("first")  # whose thread waits for the next one
        maker = interrupted(line, lambda: look_up("one"), lambda: look_up("other"))
        if maker is None:
            break
        assert maker != get_ident(), line
    assert line > 30


def test_identical_look_ups(slow, threads_of_this_test):
    """Who asks what is being asked waits for that answer, and has a list of his own."""
    with calling(ask_slow, slow) as first, calling(ask_slow, slow) as second:
        assert slow.started.wait(GUARD)
        while sum(len(one.bells) for one in list(threads_of_this_test._running)) < 2:
            time.sleep(0.001)
        assert len(threads_of_this_test.threads) == 1
        slow.release.set()
        one, two = first.result(GUARD), second.result(GUARD)
    assert one == two == ["10.0.0.7"]
    assert one is not two


def test_look_ups_that_only_look_identical(threads_of_this_test):
    """Equal arguments of other types, and arguments that may change, are questions of their own."""
    call = len
    assert _lookups._key(call, ("a", 80)) == _lookups._key(call, ("a", 80))
    keys = [_lookups._key(call, args) for args in [("a", 80), (b"a", 80), ("a", True), ("a", 1)]]
    keys += [_lookups._key(call, ("a", socket.AF_UNIX)), _lookups._key(len, (("a", 80),))]
    assert len(set(keys)) == 6
    assert _lookups._key(call, (bytearray(b"a"), 80)) is None
    assert _lookups._key(call, ("a", 80.0)) is None


def test_failure_of_one_is_not_told_to_others(slow):
    """An error that is no OSError is about one caller: the others ask themselves."""
    calls = []

    def call(_):
        calls.append(1)
        if len(calls) == 1:
            held(slow.started, slow.release)
            raise LookupError("not for you")
        return "10.0.0.7"

    def ask():
        return _resolve.bounded("gethostbyname", ("db", None), call, "db")

    with calling(ask) as first:
        assert slow.started.wait(GUARD)
        with calling(ask) as second:
            [lookup] = _lookups._pool._running
            while len(lookup.bells) < 2:
                time.sleep(0.001)
            slow.release.set()
            assert second.result(GUARD) == "10.0.0.7"
    assert isinstance(first.exception(), LookupError)


def test_look_up_that_is_hopeless(slow, monkeypatch):
    """A name that the C library hangs on is asked for anew after a time, and then more rarely."""
    monkeypatch.setattr(_lookups, "_HOPELESS", LIMIT / 2)
    with safesocket.timeouts(resolve=LIMIT), pytest.raises(errors.ResolveTimeoutError):
        ask_slow(slow)
    [first] = _lookups._pool._running
    with calling(ask_slow, slow) as second:
        while len(_lookups._pool._running) < 2:
            time.sleep(0.001)
        [anew] = _lookups._pool._running - {first}
        assert anew.patience == 2 * first.patience
        slow.release.set()
        assert second.result(GUARD) == ["10.0.0.7"]
    assert _lookups._pool._flying == {}


def test_no_thread_to_be_had(monkeypatch, threads_of_this_test):
    """Where no thread can be started the look-up is made here, as in the stdlib."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_lookups, "_start", refuse)
    assert asked(_thread.get_ident) == _thread.get_ident()
    assert threads_of_this_test._running == set()
    assert threads_of_this_test._flying == {}


def test_threads_go_when_there_is_nothing_to_do(threads_of_this_test):
    """A thread does a few look-ups in a row and is not kept."""
    one, two = (asked(_thread.get_ident) for _ in range(2))
    assert one == two
    deadline = time.monotonic() + GUARD
    while threads_of_this_test.threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads_of_this_test.threads == set()
    assert threads_of_this_test._idle == []
    assert asked(lambda: "10.0.0.7") == "10.0.0.7"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_after_a_look_up():
    """A process that has looked something up has one thread when it forks: no warning."""
    script = """
        import os, safesocket
        for _ in range(20):
            safesocket.getaddrinfo("localhost", 80)
            child = os.fork()
            if child == 0:
                os._exit(0 if safesocket.getaddrinfo("localhost", 80) else 1)
            assert os.waitpid(child, 0)[1] == 0
        print("fine")
    """
    assert printed(script, "-W", "error") == "fine"


def test_fork_in_the_middle_of_a_look_up(net):
    """The child of a process with stuck look-ups can look up, and its look-ups end in time.

    Twenty times: what glibc leaves of threads that are not there shows one time in ten.
    """
    script = """
        socket.configure(resolve=0.1)

        def ask(name):
            try:
                return socket.gethostbyname(name)
            except errors.ResolveTimeoutError as error:
                return str(error)

        for index in range(_lookups.MOST_THREADS):
            threading.Thread(target=ask, args=(f"stuck{index}",)).start()
        while len(queries) < _lookups.MOST_THREADS:  # the C library's own locks are not our matter
            time.sleep(0.001)
        children = []
        for _ in range(20):
            children.append(os.fork())
            if children[-1] == 0:
                with socket.timeouts(resolve=5):
                    there = ask("there")
                told = json.dumps([there, ask("stuck1"), len(_lookups._pool.threads)])
                os.write(1, f"{told}\\n".encode())
                os._exit(0)
        assert not any(os.waitpid(child, 0)[1] for child in children)
    """
    told = said(net, script, "-W", "ignore::DeprecationWarning")
    assert len(told) == 20
    for there, stuck, threads in told:
        assert there == "127.0.0.9"
        assert stuck.endswith("(configured resolve timeout 0.1 s)")  # none is stuck but this one
        assert threads <= 2


@pytest.mark.parametrize("way", ["", "sys.exit(0)", "import atexit; atexit.register(ask)"])
def test_exit_while_look_ups_are_stuck(way, net):
    """A process ends at once and quietly, whatever is stuck."""
    script = f"""
        socket.configure(resolve=0.05)

        def ask():
            for name in ("stuck1", "stuck2", "localhost"):
                try:
                    print(json.dumps(socket.gethostbyname(name)))
                except errors.ResolveTimeoutError:
                    pass

        ask()
        {way}
    """
    with within(3):
        assert set(said(net, script)) == {"127.0.0.1"}


@pytest.mark.parametrize("waits", [False, True], ids=["thread gone", "thread waits for more"])
def test_look_up_while_the_interpreter_ends(waits):
    """It is made at once: no other thread runs any more, though it can be started, or is there."""
    script = f"""
        import safesocket

        class Last:
            def __del__(self, look_up=safesocket.gethostbyname, print=print):
                print(look_up(b"localhost"), flush=True)

        last = Last()
        if {waits}:
            safesocket.gethostbyname(b"localhost")
    """
    with within(3):
        assert set(printed(script).split()) == {"127.0.0.1"}


# Where there are too many.


def test_look_up_for_which_no_thread_is_free(slow, monkeypatch):
    """It waits for one within its limit, says so if none comes, and is not made afterwards."""
    monkeypatch.setattr(_lookups, "MOST_THREADS", 1)
    made = []
    with calling(ask_slow, slow) as first:
        assert slow.started.wait(GUARD)
        with safesocket.timeouts(resolve=LIMIT), pytest.raises(errors.ResolveTimeoutError) as it:
            asked(partial(made.append, "given up"), name="two")
        assert "; not begun: all 1 look-ups stuck, the oldest for " in str(it.value)
        with calling(asked, partial(made.append, "waited for")) as third:
            while len(_lookups._pool._queue) < 2:
                time.sleep(0.001)
            slow.release.set()
            assert third.result(GUARD) is None
        assert first.result(GUARD) == ["10.0.0.7"]
    assert made == ["waited for"]
    assert _lookups._pool._flying == {}


def test_threads_of_a_forked_child(slow, threads_of_this_test):
    """The child of a fork in the middle of look-ups begins anew, on stacks that nobody used."""
    before = _thread.stack_size()
    with calling(ask_slow, slow):
        assert slow.started.wait(GUARD)
        for _ in range(2):
            threads_of_this_test.fresh()
            assert threads_of_this_test._running == set()
            assert asked(lambda: "10.0.0.9") == "10.0.0.9"
            assert threads_of_this_test._stack == _lookups._CLEAN_STACK
            threads_of_this_test.dismiss()
        slow.release.set()
    assert _thread.stack_size() == before
