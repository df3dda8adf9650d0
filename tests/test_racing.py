"""create_connection with several addresses: raced, or one after the other, within one budget.

What the names stand for, a look-up of the test says; in a network of its own /etc/hosts does.
Connecting to a single address is test_connecting's matter.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import warnings
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_STREAM, SOL_SOCKET

import pytest

import safesocket
from safesocket import _addresses, _attempts, _connect, _race, _timeouts, errors, testing
from safesocket.errors import Attempt
from tests.failures import give_up_early, go_deaf, no_descriptor_left
from tests.helpers import (
    GUARD,
    LIMIT,
    ROOT,
    alarms,
    as_the_stdlib,
    calling,
    counted_alarms,
    descriptors,
    every_stop,
    garbage,
    listening,
    loaded_again,
    mode_of,
    needs_alarm,
    needs_ipv6,
    python,
    skip_if_traced,
    still_waits,
    stopped_by,
    within,
)

pytestmark = pytest.mark.timeout(10, func_only=True)  # seconds; what hangs is cut off

ASKED = "db.internal", 5432
UNSET = socket._GLOBAL_DEFAULT_TIMEOUT
SOON = 0.005  # seconds; a stagger for tests in which the second address has its turn soon
WRONG = "fe80::1", 9, 0, 0  # on which link? connect(2) is EINVAL; ipv6(7)


def entry(address, family=None):
    """Return *address* as getaddrinfo has it."""
    family = family or (AF_INET6 if ":" in address[0] else AF_INET)
    return family, SOCK_STREAM, 6, "", address


def connect(
    *addresses, timeout=UNSET, source=None, all_errors=False, make=safesocket.socket, **options
):
    """Call create_connection for a name that stands for *addresses*."""
    found = [entry(address) for address in addresses]
    return _connect.create_connection(
        make, lambda *_: found, ASKED, timeout, source, all_errors, **options
    )


def failure(*addresses, **options):
    """Return what create_connection raises."""
    with pytest.raises((OSError, ExceptionGroup)) as it:
        connect(*addresses, **options)
    return it.value


@contextmanager
def dead(count=1, family=AF_INET):
    """Yield the addresses of so many servers that never answer."""
    with ExitStack() as stack:
        yield [stack.enter_context(testing.never_accepts(family)) for _ in range(count)]


@contextmanager
def alive(family=AF_INET):
    """Yield the address of a server that lets everybody in."""
    with listening(family, backlog=128) as listener:
        yield listener.getsockname()


@pytest.fixture
def soon(monkeypatch):
    """Let the next address have its turn after a few milliseconds."""
    monkeypatch.setattr(_race, "STAGGER", SOON)


# Who wins.


@needs_ipv6
def test_race_with_black_holed_ipv6():
    """A name whose IPv6 address never answers costs a quarter of a second."""
    with dead(1, AF_INET6) as [six], alive() as four, within(0.25, at_least=0.25):
        connect(six, four).close()


def test_race_first_address_answers():
    """An address that answers at once wins before the next one is tried."""
    with alive() as first, alive() as second, within(0), connect(first, second) as sock:
        assert sock.getpeername() == first


def test_race_refused_first():
    """Where one is refused the next one is tried at once."""
    with testing.refuses() as no, alive() as yes, within(0), connect(no, WRONG, yes) as sock:
        assert sock.getpeername() == yes
        assert type(sock) is safesocket.socket


def test_race_refused_while_another_waits(monkeypatch):
    """So it is while an earlier attempt is still under way."""
    turn = 0.3  # seconds; twice that is more than the slack
    monkeypatch.setattr(_race, "STAGGER", turn)
    with dead() as [one], testing.refuses() as no, alive() as yes, within(turn, at_least=turn):
        connect(one, no, yes).close()


def test_race_earlier_attempt_goes_on(soon):
    """The first address still wins if it answers after the second was tried."""
    with listening(backlog=0) as late, socket.socket() as filler, dead(2) as others:
        filler.connect(late.getsockname())
        with calling(connect, late.getsockname(), *others) as future:
            assert still_waits(future, LIMIT)
            late.accept()[0].close()  # room; the kernel asks again a second after the first time
            with future.result(GUARD) as sock:
                assert sock.getpeername() == late.getsockname()


def test_race_reaches_every_address_within_the_budget():
    """With many addresses and little time the turns are shorter, so that the last has one."""
    with dead(9) as addresses, alive() as last, within(5 * LIMIT, at_least=4 * LIMIT):
        connect(*addresses, last, timeout=5 * LIMIT).close()


def test_race_that_begins_when_the_time_is_over():
    """Without any time every address is tried, and what needs no wait connects."""
    with dead(2) as addresses, alive() as last, safesocket.timeouts(connect=0), within(0):
        connect(*addresses, last).close()
        assert isinstance(failure(*addresses), errors.ConnectTimeoutError)


def test_race_address_twice(soon):
    """An address that was found twice is tried once."""
    with dead() as [address]:
        error = failure(address, address, address, timeout=LIMIT)
    assert [attempt.address for attempt in error.attempts] == [address]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_race_leaks_no_descriptor(place, monkeypatch):
    """Of a thousand races no descriptor is left, whoever wins."""
    monkeypatch.setattr(_race, "STAGGER", 0.0002)
    with dead(3) as addresses, listening(backlog=128) as listener:
        addresses[place] = listener.getsockname()
        before = descriptors()
        for _ in range(334):
            connect(*addresses).close()
            listener.accept()[0].close()
        assert descriptors() == before


def test_race_lost_leaks_no_descriptor():
    """Nor is one left where nobody wins."""
    with dead(2) as addresses, testing.refuses() as no:
        before = descriptors()
        for _ in range(20):
            failure(*addresses, no, timeout=0.002)
        assert descriptors() == before


def test_race_closes_what_has_failed():
    """An attempt that failed gives its descriptor back at once, for the next one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with testing.refuses() as (_, port), alive() as yes:
        refusing = [(f"127.0.0.{number}", port) for number in range(1, 200)]
        with socket.socket() as highest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno() + 20, hard))
        try:
            connect(*refusing, yes).close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_race_of_equals(monkeypatch):
    """Where all answer at the same moment one has it, and the others are closed."""
    monkeypatch.setattr(_race, "STAGGER", 0)
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening(backlog=128)) for _ in range(5)]
        before = descriptors()
        for _ in range(20):
            connect(*(one.getsockname() for one in listeners)).close()
        assert descriptors() == before


# What the winner is like.

MODES = [
    pytest.param(UNSET, None, None, id="omitted"),
    pytest.param(UNSET, 7, 7, id="setdefaulttimeout"),
    pytest.param(5, None, 5, id="number"),
    pytest.param(5, 7, 5, id="number over setdefaulttimeout"),
    pytest.param(None, None, None, id="None"),
    pytest.param(None, 7, None, id="None over setdefaulttimeout"),
]


@pytest.mark.parametrize("make", [safesocket.socket, socket.socket], ids=["ours", "stdlib"])
@pytest.mark.parametrize(("timeout", "default", "mode"), MODES)
def test_race_leaves_the_mode(timeout, default, mode, make, soon):
    """The winner is in the mode that the stdlib leaves, and connected as by a blocking call."""
    with dead() as [one], listening() as listener:
        safesocket.setdefaulttimeout(default)
        sock = connect(one, listener.getsockname(), timeout=timeout, make=make)
        safesocket.setdefaulttimeout(None)
        with sock, listener.accept()[0] as peer:
            assert mode_of(sock) == (mode is not None, mode)
            assert sock.connect_ex(listener.getsockname()) == errno.EISCONN
            assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == 0
            peer.sendall(b"hello")
            assert sock.recv(9) == b"hello"


def test_race_with_forever(soon):
    """FOREVER is what None is: blocking mode, and no limit."""
    with dead() as [one], alive() as yes, connect(one, yes, timeout=safesocket.FOREVER) as sock:
        assert mode_of(sock) == (False, None)
        assert safesocket.get_timeouts(sock).read is None


@pytest.mark.parametrize("happy", [True, False], ids=["raced", "one by one"])
@pytest.mark.parametrize("count", [1, 2])
def test_later_errors_name_the_host_asked_for(happy, count, soon):
    """Long after the look-up an error still tells the name, and the address that answered."""
    safesocket.configure(happy_eyeballs=happy)
    with (
        dead(count - 1) as others,
        testing.never_answers() as silent,
        connect(*others, silent, timeout=5 * LIMIT) as sock,
    ):
        sock.settimeout(LIMIT)
        with pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(1)
    assert (it.value.host, it.value.port, it.value.address) == (*ASKED, silent)
    assert f"recv from db.internal:5432 (127.0.0.1:{silent[1]}) after" in str(it.value)


def test_race_from_source_address(soon):
    """All attempts go out from the source address, if the port is the system's choice."""
    here = "127.0.0.2", 0
    with dead() as [one], alive() as yes, within(SOON), connect(one, yes, source=here) as sock:
        assert sock.getsockname()[0] == "127.0.0.2"


def test_source_address_with_a_port_is_not_raced():
    """Two sockets cannot have the same port: then one address is tried after the other."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        here = other.getsockname()
    with dead() as [one], alive() as yes, connect(one, yes, timeout=0.1, source=here) as sock:
        assert (sock.getsockname(), sock.getpeername()) == (here, yes)


@needs_ipv6
def test_source_address_of_the_other_family():
    """A source address serves the addresses of its own family, and the error tells of those."""
    here = "127.0.0.1", 0
    with testing.refuses(AF_INET6) as six, testing.refuses() as four, alive() as yes:
        with connect(six, yes, source=here) as sock:
            assert sock.getpeername() == yes
        error = failure(four, six, source=here)
    assert (type(error).__name__, error.address) == ("ConnectRefusedError", four)


# Nobody wins.


def test_all_addresses_dead():
    """The budget is spent once, and every address is named with the time that it had."""
    with dead(3) as addresses, within(0.1, at_least=0.1):
        error = failure(*addresses, timeout=0.1)
    assert isinstance(error, errors.ConnectTimeoutError)
    assert (error.timeout, error.timeout_source, error.host) == (0.1, "create_connection", ASKED[0])
    assert [attempt.address for attempt in error.attempts] == addresses
    assert {type(attempt.error) for attempt in error.attempts} == {errors.ConnectTimeoutError}
    first, second, third = (attempt.elapsed for attempt in error.attempts)
    assert error.elapsed > first > second > third > 0.02
    assert error.address == addresses[-1]
    assert all(f"127.0.0.1:{port}" in str(error) for _, port in addresses)


def test_all_addresses_fail_for_their_own_reasons(soon):
    """The most telling error is raised, the others are told of in the order of the trials."""
    with dead() as [one], testing.refuses() as no:
        error = failure(one, WRONG, no, one, timeout=LIMIT)
    assert [attempt.address for attempt in error.attempts] == [one, WRONG, no]
    numbers = [attempt.error.errno for attempt in error.attempts]
    assert numbers == [None, errno.EINVAL, errno.ECONNREFUSED]
    assert (type(error).__name__, error.address) == ("ConnectRefusedError", no)
    told = f"127.0.0.1:{one[1]}: timed out, [fe80::1]:9: {os.strerror(errno.EINVAL)}"
    assert str(error).endswith(f"; also tried {told}")


def test_all_errors(soon):
    """All errors come in a group in the order of the trials, each told as if it were alone."""
    with dead() as [one], testing.refuses() as no:
        group = failure(one, no, timeout=LIMIT, all_errors=True)
    assert type(group) is ExceptionGroup
    assert [error.address for error in group.exceptions] == [one, no]
    assert [error.host for error in group.exceptions] == [ASKED[0]] * 2
    assert group.exceptions[0].elapsed > group.exceptions[1].elapsed
    assert [error.attempts for error in group.exceptions] == [(), ()]


REFUSED = errors.ConnectRefusedError(errno.ECONNREFUSED, "refused")
RESET = errors.PeerResetError(errno.ECONNRESET, "reset")
DENIED = errors.ConnectDeniedError(errno.EACCES, "denied")
TIMED_OUT = errors.ConnectTimeoutError("timed out")
UNREACHABLE = errors.UnreachableError(errno.ENETUNREACH, "unreachable")
NO_DESCRIPTOR = errors.ResourceError(errno.EMFILE, "too many open files")
NO_ADDRESS = errors.AddressNotAvailableError(errno.EADDRNOTAVAIL, "not available")
FOREIGN = OSError("the proxy says no")


@pytest.mark.parametrize(
    ("tried", "place"),
    [
        ([REFUSED], 0),
        ([REFUSED, REFUSED], 1),
        ([TIMED_OUT, TIMED_OUT, TIMED_OUT], 2),
        ([REFUSED, RESET, DENIED, TIMED_OUT, UNREACHABLE, NO_DESCRIPTOR], 0),
        ([NO_DESCRIPTOR, UNREACHABLE, TIMED_OUT, DENIED, RESET], 4),
        ([DENIED, TIMED_OUT], 0),
        ([TIMED_OUT, UNREACHABLE], 0),
        ([UNREACHABLE, TIMED_OUT, UNREACHABLE], 1),
        ([UNREACHABLE, NO_ADDRESS], 0),
        ([NO_DESCRIPTOR, NO_ADDRESS], 1),
        ([REFUSED, FOREIGN], 1),
        ([FOREIGN, REFUSED], 1),
    ],
)
def test_most_telling_error(tried, place):
    """An answer tells more than silence, silence more than no way; of equals the last."""
    attempts = [Attempt(("127.0.0.1", 1), error, 0.1) for error in tried]
    assert _attempts.most_telling(attempts) == place


@pytest.mark.parametrize("source", ["configure", "timeouts", "settimeout"])
def test_race_limits(source):
    """Whoever has set the limit is named, by the error and by each attempt."""
    with dead(2) as addresses, ExitStack() as stack:
        if source == "configure":
            safesocket.configure(connect=LIMIT)
        elif source == "timeouts":
            stack.enter_context(safesocket.timeouts(connect=LIMIT))
        else:
            safesocket.setdefaulttimeout(LIMIT)
        with within(LIMIT, at_least=LIMIT):
            error = failure(*addresses)
        safesocket.setdefaulttimeout(None)
    assert {one.error.timeout_source for one in error.attempts} | {error.timeout_source} == {source}


def test_kernel_gives_up():
    """When the kernel ends the attempts before the limit, the error says that it was the kernel."""

    class Impatient(safesocket.socket):
        def __init__(self, *args):
            super().__init__(*args)
            give_up_early(self)

    with listening() as one, listening() as two:
        for listener in (one, two):
            go_deaf(listener)
        error = failure(one.getsockname(), two.getsockname(), make=Impatient)
    assert isinstance(error, errors.ConnectTimeoutError)
    assert (error.errno, error.timeout_source) == (errno.ETIMEDOUT, "kernel")
    assert [attempt.error.errno for attempt in error.attempts] == [errno.ETIMEDOUT] * 2


def test_race_for_ever():
    """A timeout of None is for ever: the race goes on beyond every limit."""
    with listening(backlog=0) as late, socket.socket() as filler, dead() as others:
        filler.connect(late.getsockname())
        safesocket.configure(connect=LIMIT)
        with calling(partial(connect, late.getsockname(), *others, timeout=None)) as future:
            assert still_waits(future)
            late.accept()[0].close()
            future.result(GUARD).close()


@pytest.mark.parametrize("count", [1, 2])
def test_none_that_is_not_for_ever(count):
    """The installer may say that None is no wish: the limit applies, the mode is blocking."""
    safesocket.configure(connect=LIMIT)
    with dead(count) as addresses, within(LIMIT, at_least=LIMIT):
        error = failure(*addresses, timeout=None, none_is_forever=False)
    assert (error.timeout, error.timeout_source) == (LIMIT, "configure")
    with alive() as yes:
        safesocket.setdefaulttimeout(GUARD)
        sock = connect(yes, timeout=None, none_is_forever=False)
        safesocket.setdefaulttimeout(None)
        with sock:
            assert mode_of(sock) == (False, None)


# Mistakes, and what the system runs out of.


@as_the_stdlib
@pytest.mark.parametrize("timeout", ["x", -1, float("nan"), 1e300, b"", object], ids=str)
def test_bad_timeout(lib, timeout, monkeypatch):
    """A timeout that is none is refused as settimeout() does it, at the first address."""
    made = []

    class Counted(lib.socket):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    with socket.socket() as sock, pytest.raises((TypeError, ValueError, OverflowError)) as right:
        sock.settimeout(timeout)
    with alive() as one, alive() as two:
        monkeypatch.setattr(lib, "socket", Counted)
        monkeypatch.setattr(lib, "getaddrinfo", lambda *_: [entry(one), entry(two)])
        with pytest.raises(type(right.value)) as it:
            lib.create_connection(ASKED, timeout)
    assert str(it.value) == str(right.value)
    assert len(made) == 1
    made[0].close()


@pytest.mark.parametrize("wrong", [("127.0.0.1", 70000), ("127.0.0.1", "http"), ("127.0.0.1",)])
@pytest.mark.parametrize("others", ["none", "refused", "dead", "alive"])
def test_wrong_address_among_those_found(others, wrong, soon):
    """What is wrong with an address is told when all before it have failed, as in the stdlib."""
    with socket.socket() as sock, pytest.raises((TypeError, OverflowError)) as right:
        sock.connect(wrong)
    with dead() as [one], testing.refuses() as no, alive() as yes:
        before = {"none": [], "refused": [no], "dead": [one], "alive": [yes]}[others]
        count = descriptors()
        if others == "alive":
            connect(*before, wrong).close()
        else:
            waits = LIMIT if others == "dead" else 0
            with within(waits, at_least=waits), pytest.raises(type(right.value)) as it:
                connect(*before, wrong, yes, timeout=LIMIT)
            assert str(it.value) == str(right.value)
        assert descriptors() == count


def test_address_of_another_family_than_it_says(soon):
    """An address that C cannot make sense of has failed as any other."""
    with testing.refuses() as no:
        found = [entry(("::1", 9), AF_INET), entry(no)]
        call = partial(_connect.create_connection, safesocket.socket, lambda *_: found, ASKED)
        with pytest.raises(errors.ConnectRefusedError) as it:
            call(LIMIT, None, False)
    assert isinstance(it.value.attempts[0].error, errors.HostNotFoundError)


def test_close_of_a_loser_fails(soon):
    """What the close of a loser says does not keep the winner from the program."""

    class Grumbling(safesocket.socket):
        def close(self):
            super().close()
            raise OSError(errno.EIO, "lost on the way")

    with dead() as [one], alive() as yes:
        sock = connect(one, yes, make=Grumbling)
        assert sock.getpeername() == yes
        socket.socket.close(sock)


def test_no_descriptor_for_the_second_attempt():
    """Without a descriptor for the next address the first attempt goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Last(safesocket.socket):
        def __init__(self, *args):
            super().__init__(*args)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))

    with dead(2) as addresses:
        try:
            with within(LIMIT, at_least=LIMIT):
                error = failure(*addresses, timeout=LIMIT, make=Last)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    first, second = error.attempts
    assert type(error) is errors.ConnectTimeoutError
    assert isinstance(second.error, errors.ResourceError)
    assert isinstance(second.error, errors.ConnectError)
    assert first.elapsed > second.elapsed


# Signals, and what is left behind.


@needs_alarm
@every_stop
def test_race_stopped_by_a_signal(kind):
    """What a signal handler raises ends the race, and all its sockets are closed."""
    with dead(3) as addresses:
        before = descriptors()
        with stopped_by(kind):
            connect(*addresses, timeout=GUARD)
        assert descriptors() == before


@needs_alarm
def test_race_stopped_anywhere(soon):
    """Nor is anything left of races that are stopped at any moment of theirs."""
    skip_if_traced()

    def stop(*_):
        raise KeyboardInterrupt

    chance = random.Random(8305)
    with dead(2) as others, listening(backlog=128) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # stopped just behind socket()
        before = descriptors()
        for _ in range(100):
            with suppress(KeyboardInterrupt), alarms(stop, chance.uniform(1e-5, 3 * SOON)):
                connect(*others, listener.getsockname()).close()
        assert descriptors() == before


@needs_alarm
def test_race_interrupted():
    """Signals whose handlers return neither end a race nor put its end off."""
    with counted_alarms() as seen, dead(3) as addresses, within(0.1, at_least=0.1):
        assert isinstance(failure(*addresses, timeout=0.1), TimeoutError)
    assert len(seen) > 10


@pytest.mark.parametrize("happy", [True, False], ids=["raced", "one by one"])
@pytest.mark.parametrize("all_errors", [True, False], ids=["all_errors", "one"])
@pytest.mark.parametrize("last", [testing.refuses, testing.never_accepts, testing.echoes])
def test_leaves_no_garbage(last, all_errors, happy):
    """No reference cycle is left of a call, whatever comes of it."""

    def attempt():
        with suppress(OSError, ExceptionGroup):
            connect(*others, address, timeout=LIMIT / 2, all_errors=all_errors).close()

    safesocket.configure(happy_eyeballs=happy)
    with last() as address, dead() as others:
        assert garbage(attempt, times=3) == 0


def test_lack_of_descriptors_leaves_no_garbage():
    """Nor of one that could not even make its sockets."""

    def attempt():
        with no_descriptor_left(), suppress(errors.ResourceError):
            connect(*addresses)

    with dead(2) as addresses:
        assert garbage(attempt, times=3) == 0


# Not raced.


class Proxied(safesocket.socket):
    """A class that connects in a way of its own, and sets its timeout as PySocks does."""

    log = []  # noqa: RUF012 (each test has its own)
    wish = None

    def settimeout(self, value):
        self.wish = value
        with suppress(OSError):
            self.getpeername()
            super().settimeout(value)

    def gettimeout(self):
        return self.wish

    def connect(self, address):
        self.log.append(("begins", address))
        super().settimeout(self.wish)
        try:
            super().connect(address)
        finally:
            self.log.append(("ends", address))


@pytest.fixture
def log(monkeypatch):
    """What the class Proxied has done."""
    monkeypatch.setattr(Proxied, "log", [])
    return Proxied.log


def test_connect_of_a_subclass_is_called(log):
    """A class that connects in a way of its own is asked to, one address after the other."""
    both = partial(connect, make=Proxied, timeout=2 * LIMIT)
    with dead() as [one], alive() as yes, within(LIMIT, at_least=LIMIT), both(one, yes) as sock:
        assert sock.getpeername() == yes
        assert (sock.gettimeout(), socket.socket.gettimeout(sock)) == (2 * LIMIT, 2 * LIMIT)
    assert log == [("begins", one), ("ends", one), ("begins", yes), ("ends", yes)]


def test_connect_of_a_subclass_has_the_budget(log):
    """Its addresses share the budget, and the connection's limits are those of any other."""
    limit = 3 * LIMIT
    with dead(3) as dull, safesocket.timeouts(connect=limit), within(limit, at_least=limit):
        failure(*dull, make=Proxied)
    with testing.never_answers() as silent, connect(silent, make=Proxied) as sock:
        assert (sock.gettimeout(), socket.socket.gettimeout(sock)) == (None, None)
        with safesocket.timeouts(read=LIMIT), pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)


@pytest.mark.parametrize("make", [Proxied, partial(Proxied)], ids=["class", "function"])
def test_guard_over_connect_is_asked(make, monkeypatch):
    """What a program has put over connect is not passed by."""
    asked = []

    def guarded(_, address):
        asked.append(address)
        raise PermissionError(errno.EACCES, "not in tests")

    monkeypatch.setattr(Proxied, "connect", guarded)
    with alive() as one, alive() as two:
        assert type(failure(one, two, make=make)) is PermissionError
    assert asked == [one, two]


@pytest.mark.parametrize("timeout", [0, 0.0])
def test_non_blocking_is_not_raced(timeout):
    """In non-blocking mode each address is tried and says so, as in the stdlib."""
    with alive() as one, alive() as two:
        assert type(failure(one, two, timeout=timeout)) is BlockingIOError


def test_happy_eyeballs_switched_off():
    """Without the race one address is tried after the other, in the order found, in fair shares."""
    safesocket.configure(happy_eyeballs=False)
    with dead() as [one], alive() as yes, within(LIMIT, at_least=LIMIT):
        connect(one, yes, timeout=2 * LIMIT).close()
    with dead(2) as addresses, within(LIMIT, at_least=LIMIT):
        error = failure(*addresses, timeout=LIMIT)
    assert [attempt.address for attempt in error.attempts] == addresses
    assert sum(attempt.elapsed for attempt in error.attempts) < error.elapsed


# Which addresses, in which order.

A, B, C = (entry((f"10.0.0.{number}", 80)) for number in (1, 2, 3))
X, Y, Z = (entry((f"2001:db8::{number}", 80, 0, 0)) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("family", "found", "raced", "one_by_one"),
    [
        (None, [], [], []),
        (None, [A], [A], [A]),
        (None, [A, B, C], [A, B, C], [A, B, C]),
        (None, [X, Y, Z, A], [X, A, Y, Z], [X, Y, Z, A]),
        (None, [A, X, Y, B, Z], [A, X, B, Y, Z], [A, X, Y, B, Z]),
        (None, [X, A, X, A, X], [X, A], [X, A]),
        ("prefer-ipv4", [X, Y, A, B], [A, X, B, Y], [A, B, X, Y]),
        ("prefer-ipv4", [X, Y], [X, Y], [X, Y]),
        ("prefer-ipv6", [A, B, X], [X, A, B], [X, A, B]),
        ("ipv6", [X, Y], [X, Y], [X, Y]),
    ],
)
def test_order_of_addresses(family, found, raced, one_by_one):
    """The families take turns in a race, the preferred or the resolver's first one first."""
    safesocket.configure(family=family)
    assert _addresses.in_order(found, racing=True) == raced
    assert _addresses.in_order(found, racing=False) == one_by_one


def test_order_of_odd_addresses():
    """A look-up of the program's own may have lists for tuples."""
    odd = [[*A], [*X], [*X]]
    assert _addresses.in_order(odd, racing=False) == odd


@needs_ipv6
@pytest.mark.parametrize("happy", [True, False], ids=["raced", "one by one"])
@pytest.mark.parametrize("family", ["prefer-ipv4", "ipv4"])
def test_family_wished_for(family, happy):
    """The family that the process wishes for is tried first, or alone."""
    safesocket.configure(family=family, happy_eyeballs=happy)
    with dead(1, AF_INET6) as [six], alive() as four, within(0), connect(six, four) as sock:
        assert sock.getpeername() == four


@pytest.mark.parametrize(
    ("family", "wanted"),
    [(None, 0), ("prefer-ipv4", 0), ("prefer-ipv6", 0), ("ipv4", AF_INET), ("ipv6", AF_INET6)],
)
def test_only_the_family_wanted_is_looked_up(family, wanted, monkeypatch):
    """A family that is not to be tried is not asked for either: its name server may be slow."""
    asked = []
    safesocket.configure(family=family)
    monkeypatch.setattr(safesocket, "getaddrinfo", lambda *args: asked.append(args) or [])
    with pytest.raises(errors.ConnectError, match="getaddrinfo returns an empty list"):
        safesocket.create_connection(ASKED)
    assert asked == [(*ASKED, wanted, SOCK_STREAM)]


@pytest.mark.parametrize("host", ["127.0.0.1", "of.another.family"])
def test_no_address_of_the_family(host, monkeypatch):
    """A host without address of the only family is not found, and the hint names the setting."""
    safesocket.configure(family="ipv6")
    if host != "127.0.0.1":
        monkeypatch.setattr(safesocket, "getaddrinfo", lambda *_: [A])
    with pytest.raises(errors.HostNotFoundError) as it:
        safesocket.create_connection((host, 80))
    assert isinstance(it.value, errors.ConnectError)
    assert it.value.host == host
    assert "IPv6 alone is asked for: see configure(family=)" in it.value.hint
    assert it.value.__notes__ == [f"Hint: {it.value.hint}"]


@pytest.mark.parametrize(
    ("wish", "kind", "text"),
    [
        ({"family": "v4"}, ValueError, "family must be 'prefer-ipv4', .*'ipv6' or None, not 'v4'"),
        ({"family": 4}, ValueError, "family must be .*, not 4"),
        ({"family": ["ipv4"]}, ValueError, "family must be .*"),
        ({"happy_eyeballs": "no"}, TypeError, "happy_eyeballs must be True or False, not 'no'"),
        ({"happy_eyeballs": 0}, TypeError, "happy_eyeballs must be True or False, not 0"),
    ],
)
def test_configure_bad_wish(wish, kind, text):
    """A wish that is none is refused, and nothing else of the call is done."""
    before = _addresses.wishes(), safesocket.get_timeouts()
    with pytest.raises(kind, match=f"^{text}$"):
        safesocket.configure(connect=1, **wish)
    assert (_addresses.wishes(), safesocket.get_timeouts()) == before


def test_configure_leaves_what_is_not_named():
    """What is not named stays; None takes the wish for a family back."""
    safesocket.configure(family="ipv4", happy_eyeballs=False)
    safesocket.configure(connect=5)
    assert _addresses.wishes() == ("ipv4", False)
    safesocket.configure(family=None)
    assert _addresses.wishes() == (None, False)
    safesocket.configure(happy_eyeballs=True)
    assert _addresses.wishes() == (None, True)


@pytest.mark.parametrize(
    ("environment", "wishes"),
    [
        ({}, (None, True)),
        ({"SAFESOCKET_FAMILY": "prefer-ipv4"}, ("prefer-ipv4", True)),
        ({"SAFESOCKET_FAMILY": " IPv6 "}, ("ipv6", True)),
        ({"SAFESOCKET_HAPPY_EYEBALLS": "0"}, (None, False)),
        ({"SAFESOCKET_HAPPY_EYEBALLS": "1"}, (None, True)),
    ],
    ids=str,
)
def test_wishes_from_the_environment(environment, wishes, monkeypatch):
    """The environment may wish, too."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert loaded_again("safesocket._addresses").wishes() == wishes


@pytest.mark.parametrize(
    ("variable", "known"),
    [
        ("SAFESOCKET_FAMILY", "'prefer-ipv4', 'prefer-ipv6', 'ipv4', 'ipv6'"),
        ("SAFESOCKET_HAPPY_EYEBALLS", "'0', '1'"),
    ],
)
@pytest.mark.parametrize("value", ["", "maybe"])
def test_bad_wish_from_the_environment(variable, known, value, monkeypatch):
    """A wish of the environment that is none is named, and what it may be."""
    monkeypatch.setenv(variable, value)
    text = f"environment variable {variable} must be one of {known}, not {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        loaded_again("safesocket._addresses")


def test_bad_wish_stops_the_import():
    """Nobody goes on with a wish that nobody has understood."""
    process = python("import safesocket", SAFESOCKET_FAMILY="maybe")
    assert process.stderr.splitlines()[-1].startswith(
        "ValueError: environment variable SAFESOCKET_"
    )


# The look-up.


@pytest.mark.parametrize(
    ("limits", "timeout", "seconds", "source"),
    [
        ({"connect": 5, "resolve": 3}, UNSET, 3, "configure"),
        ({"connect": 2, "resolve": 3}, UNSET, 2, "configure"),
        ({"connect": 5, "resolve": 3}, 1, 1, "create_connection"),
        ({"connect": 1, "resolve": 3}, 7, 3, "configure"),
        ({"connect": 1, "resolve": None}, 7, 7, "create_connection"),
        ({"connect": 1, "resolve": 3}, None, None, "create_connection"),
        ({"connect": None, "resolve": 3}, UNSET, 3, "configure"),
        ({"connect": 5, "resolve": 3}, 0, 3, "configure"),
    ],
)
def test_look_up_has_the_budget(limits, timeout, seconds, source):
    """A look-up has its own limit, and no more than the call has; for ever if the call has."""
    seen = []

    def look_up(*_):
        seen.append(_timeouts.limit("resolve"))
        return []

    safesocket.configure(**limits)
    with pytest.raises(errors.ConnectError, match="empty list"):
        _connect.create_connection(safesocket.socket, look_up, ASKED, timeout, None, False)
    assert [(limit.seconds, limit.source) for limit in seen] == [(seconds, source)]
    assert _timeouts.limit("resolve").source == "configure"


# In a network of their own, where names are found in /etc/hosts.

PRIVATE_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]

#: Runs there. Prints, as JSON, what becomes of connecting to names with several addresses.
THERE = """
import ctypes, fcntl, json, os, socket, struct, subprocess, sys, tempfile, time
import safesocket
from contextlib import ExitStack

HOSTS = '''
127.0.0.2 all.dead two.dead no.network
127.0.0.3 all.dead two.dead
127.0.0.4 all.dead two.dead
::1 black.hole
127.0.0.5 black.hole
192.0.2.1 no.network
'''
libc = ctypes.CDLL(None, use_errno=True)

def seen(call, *args, **options):
    started = time.monotonic()
    try:
        call(*args, **options).close()
    except OSError as exc:
        return time.monotonic() - started, type(exc).__name__, str(exc)
    return time.monotonic() - started, "connected", ""

def serve(address, family, full):
    listener = stack.enter_context(socket.socket(family))
    listener.bind((address, 80))
    listener.listen(0 if full else 5)
    while full:
        filler = stack.enter_context(socket.socket(family))
        filler.settimeout(0.02)
        if filler.connect_ex((address, 80)):
            break
    return listener

def addresses(name):
    return [found[4][0] for found in socket.getaddrinfo(name, 80, 0, socket.SOCK_STREAM)]

def by_scope():
    link = "ip -6 address add fe80::1/64 dev lo nodad"
    if subprocess.run(link.split(), check=False).returncode:
        return None
    index = socket.if_nametoindex("lo")
    listener = stack.enter_context(socket.socket(socket.AF_INET6))
    listener.bind(("fe80::1", 80, 0, index))
    listener.listen()
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (two[0], 80))
    scoped = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 80, 0, index))
    safesocket.getaddrinfo = lambda *_: [dead, scoped]
    with safesocket.create_connection(("by.scope", 80)) as sock:
        return sock.getpeername()[3] == index

with socket.socket() as sock, tempfile.NamedTemporaryFile("w") as hosts, ExitStack() as stack:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1))  # netdevice(7): lo is up
    print(HOSTS, file=hosts, flush=True)
    if libc.mount(hosts.name.encode(), b"/etc/hosts", None, 4096, None):  # mount(2): MS_BIND
        sys.exit("/etc/hosts: " + os.strerror(ctypes.get_errno()))
    if "check" in sys.argv:
        sys.exit()
    *two, last = addresses("two.dead")
    for address in two:
        serve(address, socket.AF_INET, full=True)
    serve("::1", socket.AF_INET6, full=True)
    serve("127.0.0.5", socket.AF_INET, full=False)
    with serve(last, socket.AF_INET, full=False):
        told = {
            "first": addresses("black.hole")[0],
            "stdlib": seen(socket.create_connection, ("two.dead", 80), 0.3),
            "two dead": seen(safesocket.create_connection, ("two.dead", 80)),
            "black hole": seen(safesocket.create_connection, ("black.hole", 80)),
        }
    serve(last, socket.AF_INET, full=True)
    told["all dead"] = seen(safesocket.create_connection, ("all.dead", 80), timeout=0.8)
    told["no network"] = seen(safesocket.create_connection, ("no.network", 80), timeout=0.1)
    told["by scope"] = by_scope()
    print(json.dumps(told))
"""


def there(*args):
    return subprocess.run(
        [*PRIVATE_NETWORK, sys.executable, "-c", THERE, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


@cache
def trouble_with_private_networks():
    """Why this machine does not let us have a network of our own; empty if it does."""
    if not shutil.which(PRIVATE_NETWORK[0]):
        return "no unshare(1) on this machine"
    attempt = there("check")
    return attempt.stderr.strip() or "refused" if attempt.returncode else ""


@pytest.fixture(scope="module")
def seen_there():
    """What became of each name: after how many seconds, and the class and text of the error."""
    if trouble := trouble_with_private_networks():
        pytest.skip(trouble)
    process = there()
    assert (process.returncode, process.stderr) == (0, "")
    return json.loads(process.stdout)


def assert_took(seen, seconds, ended="connected"):
    took, kind, _ = seen
    assert seconds * 0.98 <= took <= seconds + 0.25
    assert kind == ended


def test_name_with_two_dead_addresses(seen_there):
    """The third address is connected to after half a second; the stdlib takes its timeout twice."""
    assert_took(seen_there["stdlib"], 0.6)
    assert_took(seen_there["two dead"], 0.5)


def test_name_with_black_holed_ipv6(seen_there):
    """A name whose IPv6 never answers is connected to after a quarter of a second."""
    assert seen_there["first"] == "::1"
    assert_took(seen_there["black hole"], 0.25)


def test_name_with_dead_addresses_only(seen_there):
    """Three dead addresses take the timeout once, and all are named."""
    assert_took(seen_there["all dead"], 0.8, ended="ConnectTimeoutError")
    names = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "all.dead")
    assert all(name in seen_there["all dead"][2] for name in names)


def test_name_with_an_address_that_this_machine_has_no_network_for(seen_there):
    """Silence tells more than that, wherever it stands; both are told."""
    assert_took(seen_there["no network"], 0.1, ended="ConnectTimeoutError")
    assert "192.0.2.1:80: Network is unreachable" in seen_there["no network"][2]


def test_address_with_a_scope(seen_there):
    """The scope id of an IPv6 address that was found arrives."""
    if seen_there["by scope"] is None:
        pytest.skip("no link-local address on this machine")
    assert seen_there["by scope"]
