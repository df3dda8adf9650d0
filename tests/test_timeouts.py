"""Limits: what may be said, where it is said, who decides, and what for ever means.

Who decides is observed on real peers that never answer: what a socket's wait ended by is read off
the error, its class, attributes and text.
"""

from __future__ import annotations

import asyncio
import copy
import decimal
import errno
import itertools
import json
import math
import pickle
import re
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager
from contextvars import Context, copy_context
from functools import partial
from socket import AF_UNIX, MSG_DONTWAIT
from unittest import mock

import pytest

import safesocket
from safesocket import FOREVER, Timeouts, _timeouts, configure, get_timeouts, testing
from safesocket.errors import ConnectTimeoutError, ReadTimeoutError, WriteTimeoutError
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    calling,
    loaded_again,
    printed,
    python,
    set_kernel_timeout,
    set_nonblocking_behind_python,
    still_waits,
    tcp_pair,
    waits_for_ever,
)

DEFAULTS = {
    "resolve": 10.0,
    "connect": 10.0,
    "handshake": 10.0,
    "read": 300.0,
    "write": 300.0,
    "serve": None,
}
FIELDS = list(DEFAULTS)
#: What unlimited is called; the last is no float, and counts as for ever.
ENDLESS = [None, FOREVER, math.inf, 10**400]

each_field = pytest.mark.parametrize("field", FIELDS)


@pytest.fixture
def unused():
    """A socket that is not connected."""
    with safesocket.socket() as sock:
        yield sock


@pytest.fixture
def silent():
    """A connected socket whose peer never answers."""
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        yield sock


def in_force():
    """The limits in force here, by name."""
    return get_timeouts().to_dict()


# The value.


def test_defaults():
    """The limits nobody set are those of the documentation."""
    assert Timeouts().to_dict() == DEFAULTS
    assert Timeouts() == Timeouts(**DEFAULTS)


def test_fields_by_position():
    """The limits can be given by position, in the documented order."""
    given = Timeouts(1, 2, 3, 4, 5, 6)
    assert given.to_dict() == dict(zip(FIELDS, [1, 2, 3, 4, 5, 6], strict=True))


@each_field
def test_fields_are_attributes(field):
    """Each limit is an attribute in float seconds."""
    value = getattr(Timeouts(**{field: 7}), field)
    assert (value, type(value)) == (7.0, float)


@pytest.mark.parametrize("endless", ENDLESS, ids="None FOREVER inf 10**400".split())
@each_field
def test_endless_is_none(field, endless):
    """However no limit is spelled, it reads None."""
    assert getattr(Timeouts(**{field: endless}), field) is None


@pytest.mark.parametrize(
    "value", [0, -0.0, 5e-324, 1, sys.float_info.max, 10**300], ids="{:g}".format
)
@each_field
def test_every_number_of_seconds(field, value):
    """Any finite number of seconds from 0 on is a limit."""
    assert getattr(Timeouts(**{field: value}), field) == float(value)


@pytest.mark.parametrize("name", [*FIELDS, "other"])
def test_immutable(name):
    """No attribute can be set or deleted."""
    limits = Timeouts()
    with pytest.raises(AttributeError, match="immutable"):
        setattr(limits, name, 1)
    with pytest.raises(AttributeError):
        delattr(limits, name)
    assert limits == Timeouts()
    assert not hasattr(limits, "__dict__")


def test_replace():
    """A copy differs in what is named, and the original stays."""
    limits = Timeouts(read=1)
    assert limits.replace(write=2, serve=3) == Timeouts(read=1, write=2, serve=3)
    assert limits.replace() == limits == Timeouts(read=1)


def test_equality_and_hash():
    """Equal limits are equal and hash alike, however they were written."""
    same = {Timeouts(read=5), Timeouts(read=5.0), Timeouts().replace(read=5)}
    assert len(same) == 1
    assert Timeouts(read=FOREVER) == Timeouts(read=None) != Timeouts(read=0)
    assert Timeouts() != tuple(DEFAULTS.values())


def test_equality_lets_others_speak():
    """What knows how to compare itself with limits is asked."""
    assert Timeouts() == mock.ANY


def test_repr_is_code():
    """What is printed makes the same limits again."""
    limits = Timeouts(read=0.5, write=FOREVER)
    assert eval(repr(limits), {"Timeouts": Timeouts}) == limits


@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda limits, protocol=protocol: pickle.loads(pickle.dumps(limits, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_copies(travel):
    """Copies and pickles are equal, and as immutable."""
    limits = Timeouts(1, 2, 3, 4, 5, 6)
    arrived = travel(limits)
    assert arrived == limits
    with pytest.raises(AttributeError):
        arrived.read = 1


def test_match_statement():
    """Limits can be matched by name and by position."""
    match Timeouts(read=5, serve=None):
        case Timeouts(_, _, _, 5.0, write=write, serve=None):
            assert write == 300
        case _:
            pytest.fail("no match")


# Bad values, everywhere a limit can be said.


class Hostile:
    """An object that is no number, and says it is larger than any."""

    def __ge__(self, other):
        return True

    def __float__(self):
        return 1.0


BAD = {
    "negative": (-1, ValueError),
    "negative float": (-1e-9, ValueError),
    "negative infinity": (-math.inf, ValueError),
    "negative huge": (-(10**400), ValueError),
    "NaN": (math.nan, ValueError),
    "string": ("5", TypeError),
    "empty string": ("", TypeError),
    "bytes": (b"5", TypeError),
    "True": (True, TypeError),
    "False": (False, TypeError),
    "complex": (5j, TypeError),
    "Decimal": (decimal.Decimal(5), TypeError),
    "Timeouts": (Timeouts(), TypeError),
    "list": ([5], TypeError),
    "sentinel": (socket._GLOBAL_DEFAULT_TIMEOUT, TypeError),
    "object": (Hostile(), TypeError),
    "class": (float, TypeError),
}

#: Where limits can be said: takes a socket and the limits by name.
PLACES = {
    "Timeouts": lambda sock, **limits: Timeouts(**limits),
    "replace": lambda sock, **limits: Timeouts().replace(**limits),
    "configure": lambda sock, **limits: configure(**limits),
    "timeouts": lambda sock, **limits: safesocket.timeouts(**limits).__enter__(),
    "set_timeouts": safesocket.set_timeouts,
}

bad_value = pytest.mark.parametrize(("value", "kind"), BAD.values(), ids=BAD)
each_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


@bad_value
@each_place
def test_bad_value(place, value, kind, unused):
    """A limit that is none is refused: the error names it and says what it may be."""
    before = get_timeouts(), get_timeouts(unused)
    for field in FIELDS:
        with pytest.raises(kind, match=rf"^{field} must be .*seconds.*FOREVER or None, not "):
            place(unused, **{field: value})
    assert (get_timeouts(), get_timeouts(unused)) == before


@bad_value
@each_place
def test_one_bad_value_spoils_all(place, value, kind, unused):
    """Where one of several limits is bad, none is set."""
    before = get_timeouts(), get_timeouts(unused)
    for names in itertools.permutations(("connect", "read", "serve")):
        with pytest.raises(kind, match=r"^read must be"):
            place(unused, **{name: value if name == "read" else 1 for name in names})
    assert (get_timeouts(), get_timeouts(unused)) == before


def test_bad_value_that_cannot_be_printed():
    """A number with more digits than Python prints is refused by the name of the limit, too."""
    with pytest.raises(ValueError, match=r"^read must be"):
        Timeouts(read=-(10**5000))


@pytest.mark.parametrize("name", ["reed", "READ", "timeout", "", "limits", "_process"])
@each_place
def test_unknown_name(place, name, unused):
    """A limit that does not exist is refused by its name, and nothing else is set."""
    before = get_timeouts(), get_timeouts(unused)
    with pytest.raises(TypeError, match=f"'{name}'"):
        place(unused, read=1, **{name: 1})
    assert (get_timeouts(), get_timeouts(unused)) == before


@pytest.mark.parametrize("place", PLACES.keys() - {"Timeouts"})
def test_unknown_name_tells_the_known_ones(place, unused):
    """Whoever misspells a limit is told which there are; Timeouts has them in its signature."""
    with pytest.raises(TypeError, match=", ".join(FIELDS)):
        PLACES[place](unused, reed=1)


@pytest.mark.parametrize("whole", [5, 0, "read", {"read": 5}, (1, 2), Timeouts, False])
@pytest.mark.parametrize(
    "place", [configure, safesocket.timeouts, lambda w: safesocket.set_timeouts(socket.socket, w)]
)
def test_whole_is_timeouts(place, whole):
    """All limits at once are a Timeouts, and nothing that merely looks like limits."""
    before = in_force()
    with pytest.raises(TypeError, match=r"must be a Timeouts or keywords such as read=5, not"):
        place(whole)
    assert in_force() == before


@pytest.mark.parametrize("sock", [None, 5, "sock", socket.socket, Timeouts()])
def test_set_timeouts_wants_a_socket(sock):
    """Limits of a socket are set on a socket."""
    with pytest.raises(TypeError, match="sock must be a socket, not"):
        safesocket.set_timeouts(sock, read=1)


@pytest.mark.parametrize("sock", [5, "sock", socket.socket, Timeouts()])
def test_get_timeouts_wants_a_socket(sock):
    """Limits are asked of a socket, or of nothing."""
    with pytest.raises(TypeError, match="sock must be a socket, not"):
        get_timeouts(sock)


@pytest.mark.parametrize("message", ["", "APPEND", "none", 1, True, ["append"]])
def test_bad_message(message):
    """A style of messages that does not exist is refused by name, and no limit is set."""
    before = in_force()
    with pytest.raises(ValueError, match="message must be 'append', 'note' or 'off', not "):
        configure(message=message, read=1)
    assert in_force() == before


def test_a_bad_limit_leaves_the_message():
    """Where a limit is bad, the style of messages stays as well."""
    with pytest.raises(ValueError, match=r"^read must be"):
        configure(message="off", read=-1)
    with testing.refuses() as address, pytest.raises(ConnectionRefusedError, match="connect to"):
        safesocket.create_connection(address)


def outcome(call, *args):
    """The class of what *call* raises, or what it returns."""
    try:
        return call(*args)
    except Exception as exc:
        return type(exc)


@bad_value
def test_settimeout_refuses_what_the_stdlib_refuses(value, kind):
    """settimeout, setblocking and create_connection take and refuse what the stdlib's do."""
    with testing.echoes() as address, socket.socket() as plain, safesocket.socket() as ours:
        for name in ("settimeout", "setblocking"):
            theirs = outcome(getattr(plain, name), value)
            assert outcome(getattr(ours, name), value) == theirs
            assert ours.gettimeout() == plain.gettimeout()
        assert connected_with(safesocket, address, value) == connected_with(socket, address, value)


def connected_with(module, address, timeout):
    """The mode of a connection made with *timeout*, or the class of what it raises."""
    made = []

    class Made(module.socket):  # what the stdlib does not close, it leaves to the collector
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    with mock.patch.object(module, "socket", Made), ExitStack() as stack:
        try:
            return module.create_connection(address, timeout).gettimeout()
        except Exception as exc:
            return type(exc)
        finally:
            for sock in made:
                stack.enter_context(sock)


# The environment.

IMPORT_WITH = """
    import json, os, sys
    for variables in json.loads(sys.argv[1]):
        os.environ.update(variables)
        try:
            import safesocket
            print(json.dumps(safesocket.get_timeouts().to_dict()))
        except ValueError as exc:
            print(json.dumps(str(exc)))
        for name in variables:
            del os.environ[name]
        for name in [name for name in sys.modules if name.startswith("safesocket")]:
            del sys.modules[name]
"""


def imported_with(*environments):
    """What each of *environments* makes of the limits, or the text of the ValueError."""
    script = IMPORT_WITH.replace("sys.argv[1]", repr(json.dumps(environments)))
    return [json.loads(line) for line in printed(script).splitlines()]


def test_environment():
    """Each limit has its variable, in seconds or as a word."""
    texts = {"2.5": 2.5, " 3 ": 3, "0": 0, "1e3": 1000, "forever": None, "None": None, "inf": None}
    found = imported_with(*({"SAFESOCKET_READ": text} for text in texts))
    assert found == [{**DEFAULTS, "read": seconds} for seconds in texts.values()]
    found = imported_with(*({f"SAFESOCKET_{field.upper()}": "7"} for field in FIELDS))
    assert found == [{**DEFAULTS, field: 7} for field in FIELDS]


def test_environment_together():
    """Several variables hold together, and variables of other purposes are left alone."""
    [found] = imported_with(
        {"SAFESOCKET_READ": "1", "SAFESOCKET_SERVE": "2", "SAFESOCKET_INSTALL": "children"}
    )
    assert found == {**DEFAULTS, "read": 1, "serve": 2}


def test_environment_malformed(monkeypatch):
    """A malformed variable is a ValueError at import that names it and what it may be."""
    texts = ["", " ", "5s", "5 s", "-1", "-inf", "nan", "True", "0x10", "1,5", "5\n6", "never"]
    wanted = "0 or more seconds, such as 2.5, or 'forever'"
    for name, text in [("WRITE", text) for text in texts] + [(one.upper(), "-1") for one in FIELDS]:
        says = f"environment variable SAFESOCKET_{name} must be {wanted}, not {text!r}"
        with monkeypatch.context() as patch:
            patch.setenv(f"SAFESOCKET_{name}", text)
            with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
                loaded_again("safesocket._timeouts")


def test_environment_malformed_ends_the_program():
    """A program whose environment is malformed does not begin, and says why in its last line."""
    process = python("import safesocket", SAFESOCKET_CONNECT="5s")
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ValueError: environment variable SAFESOCKET_CONNECT must be")


def test_environment_is_read_once():
    """What the program does to its environment later changes no limit."""
    script = """
        import os, safesocket
        os.environ["SAFESOCKET_READ"] = "5"
        print(safesocket.get_timeouts().read, safesocket.get_timeouts().write)
    """
    assert printed(script, SAFESOCKET_WRITE="7") == "300.0 7.0"


# Whole and parts.


@pytest.mark.parametrize("setting", [configure, safesocket.timeouts])
def test_whole_and_parts(setting):
    """All limits at once, named limits that go before them, and none at all."""
    with ExitStack() as stack:

        def sets(*args, **named):
            if block := setting(*args, **named):
                stack.enter_context(block)
            return get_timeouts()

        whole = Timeouts(1, 2, 3, 4, 5, 6)
        assert sets() == Timeouts()
        assert sets(read=9) == Timeouts(read=9)
        assert sets(whole) == whole
        assert sets(Timeouts(), read=7) == Timeouts(read=7)
        assert sets(None) == Timeouts(read=7)
        assert sets(write=None, serve=1) == Timeouts(read=7, write=None, serve=1)


def test_configure_is_for_all_threads():
    """What one thread configures holds in all."""
    configure(read=7)
    with calling(lambda: copy_context().run(get_timeouts)) as found:
        assert found.result(GUARD).read == 7
    with calling(configure, Timeouts(write=8)) as done:
        done.result(GUARD)
    assert get_timeouts() == Timeouts(write=8)


def test_configure_reaches_open_sockets(silent):
    """A limit configured after a socket was made is that socket's limit."""
    configure(read=LIMIT)
    with pytest.raises(ReadTimeoutError):
        silent.recv(1)


def test_set_timeouts_replaces(silent):
    """The limits of a socket are what was said last; nothing said, nothing set."""
    safesocket.set_timeouts(silent, read=1, connect=2)
    assert get_timeouts(silent) == Timeouts(connect=2, read=1, serve=1)
    safesocket.set_timeouts(silent, write=3)
    assert get_timeouts(silent) == Timeouts(write=3)
    safesocket.set_timeouts(silent, Timeouts(read=4), write=5)
    assert get_timeouts(silent) == Timeouts(read=4, write=5)
    safesocket.set_timeouts(silent)
    assert get_timeouts(silent) == get_timeouts() == Timeouts()


def test_set_timeouts_is_for_one_socket(silent):
    """Another socket, even on the same connection's address, is not concerned."""
    safesocket.set_timeouts(silent, read=1)
    with safesocket.create_connection(silent.getpeername()) as other:
        assert get_timeouts(other) == Timeouts()


def test_get_timeouts_of_a_socket(silent):
    """A socket's own limits go before those of the block, and those before the process's."""
    configure(read=1, write=1, connect=1)
    safesocket.set_timeouts(silent, read=3)
    with safesocket.timeouts(read=2, write=2):
        assert get_timeouts() == Timeouts(connect=1, read=2, write=2)
        assert get_timeouts(silent) == Timeouts(connect=1, read=3, write=2, serve=3)
    assert get_timeouts(silent) == Timeouts(connect=1, read=3, write=1, serve=3)


def test_get_timeouts_of_a_plain_socket():
    """The stdlib's own sockets have the limits in force."""
    with socket.socket() as plain:
        assert get_timeouts(plain) == Timeouts()


# Blocks.


def test_blocks_nest():
    """An inner block adds to the outer one, and what it changed ends with it."""
    with safesocket.timeouts(read=1, write=1):
        with safesocket.timeouts(read=2):
            assert get_timeouts() == Timeouts(read=2, write=1)
        assert get_timeouts() == Timeouts(read=1, write=1)
    assert get_timeouts() == Timeouts()


def test_block_ends_with_an_error():
    """An exception leaves the block, and the limits, as it leaves any other."""
    with pytest.raises(KeyError), safesocket.timeouts(read=1):
        raise KeyError
    assert get_timeouts() == Timeouts()


def test_block_again():
    """One object may be entered again, after the block and inside it."""
    patience = safesocket.timeouts(read=1)
    for _ in range(2):
        with patience, safesocket.timeouts(read=2), patience:
            assert get_timeouts().read == 1
        assert get_timeouts() == Timeouts()


def test_block_does_not_hide_configure():
    """Inside a block, what it does not name follows the process."""
    with safesocket.timeouts(read=1):
        configure(read=2, write=2)
        assert get_timeouts() == Timeouts(read=1, write=2)


def test_block_is_for_its_thread():
    """A thread begun inside a block, or before it, is not in it."""
    inside, seen = threading.Event(), []

    def look():
        inside.wait(GUARD)
        seen.append(get_timeouts())

    before = threading.Thread(target=look)
    before.start()
    with safesocket.timeouts(read=1):
        inside.set()
        after = threading.Thread(target=look)
        after.start()
        before.join(GUARD)
        after.join(GUARD)
    assert seen == [Timeouts()] * 2


def test_block_object_shared_by_threads():
    """One object serves several threads whose blocks overlap in any order."""
    patience = safesocket.timeouts(read=1)
    entered, left = threading.Event(), threading.Event()

    def overlaps():
        with patience:
            entered.set()
            left.wait(GUARD)
            inside = get_timeouts()
        return inside, get_timeouts()

    with calling(overlaps) as other:
        with patience:
            entered.wait(GUARD)
            ours = get_timeouts()
        ours = ours, get_timeouts()
        left.set()
        assert ours == other.result(GUARD) == (Timeouts(read=1), Timeouts())


@pytest.mark.parametrize("shared", [False, True], ids=["own object", "shared object"])
def test_block_is_for_its_task(shared):
    """Tasks whose blocks overlap do not see each other's, though they share the object."""
    patience = safesocket.timeouts(read=1)

    async def overlaps(entered, leaves):
        assert get_timeouts() == Timeouts(write=9)
        with patience if shared else safesocket.timeouts(read=1):
            entered.set()
            await leaves.wait()
            inside = get_timeouts()
        return inside, get_timeouts()

    async def main():
        one, two = asyncio.Event(), asyncio.Event()
        with safesocket.timeouts(write=9):
            return await asyncio.gather(overlaps(one, two), overlaps(two, one))

    inside, outside = Timeouts(read=1, write=9), Timeouts(write=9)
    assert asyncio.run(main()) == [(inside, outside)] * 2
    assert get_timeouts() == Timeouts()


def test_block_in_a_copied_context():
    """A copy of the context is in the block that it was copied in, and keeps its own to itself."""
    with safesocket.timeouts(read=1):
        copied = copy_context()
    assert get_timeouts() == Timeouts()
    assert copied.run(get_timeouts) == Timeouts(read=1)
    copied.run(safesocket.timeouts(write=2).__enter__)
    assert copied.run(get_timeouts) == Timeouts(read=1, write=2)
    assert get_timeouts() == Timeouts()


def in_a_block():
    """A generator that is suspended inside a block."""
    with safesocket.timeouts(read=1):
        yield get_timeouts()
        yield get_timeouts()


@pytest.mark.parametrize("end", [list, lambda generator: generator.close()])
def test_block_in_a_generator(end):
    """A generator that ends, or is closed, leaves its block."""
    generator = in_a_block()
    assert next(generator) == Timeouts(read=1)
    end(generator)
    assert get_timeouts() == Timeouts()


def test_block_left_in_another_context():
    """A generator may be finished elsewhere than it began, as thread pools do, without an error."""
    generator = in_a_block()

    def step():
        return next(generator, None), get_timeouts()

    inside = Timeouts(read=1)
    found = [Context().run(step) for _ in range(3)]
    assert found == [(inside, inside), (Timeouts(), Timeouts()), (None, Timeouts())]


def test_blocks_of_generators_may_overlap():
    """Blocks that end in the order they began leave nothing behind."""
    one, other = in_a_block(), in_a_block()
    for generator in (one, other):
        next(generator)
    for generator in (one, other):
        generator.close()
    assert get_timeouts() == Timeouts()


@pytest.mark.parametrize("begun", [Context().run, lambda call, *args: call(*args)])
def test_block_left_inside_another(begun):
    """A generator that is closed inside another block leaves its own block, not that one."""
    generator = in_a_block()
    begun(next, generator)
    with safesocket.timeouts(read=9):
        generator.close()
        inside = get_timeouts()
    assert (inside, get_timeouts()) == (Timeouts(read=9), Timeouts())


def test_block_holds_where_it_is_entered(silent):
    """A wait is limited by the block it is in, not by that of the thread that reads elsewhere."""
    with tcp_pair() as (client, server), calling(client.recv, 1) as other:
        with safesocket.timeouts(read=LIMIT), pytest.raises(ReadTimeoutError):
            silent.recv(1)
        assert still_waits(other)
        server.send(b".")
        assert other.result(GUARD) == b"."


# Who decides.


@contextmanager
def reading():
    """A socket, a read of it that nobody answers, and the class of the timeout."""
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        yield sock, partial(sock.recv, 1), ReadTimeoutError


@contextmanager
def writing():
    """A socket, a write to it that nobody takes, and the class of the timeout."""
    with testing.stops_reading() as address, safesocket.create_connection(address) as sock:
        yield sock, partial(sock.sendall, MUCH), WriteTimeoutError


@contextmanager
def connecting():
    """A socket, a connect to where nobody accepts, and the class of the timeout."""
    with testing.never_accepts() as address, safesocket.socket() as sock:
        yield sock, partial(sock.connect, address), ConnectTimeoutError


WAITS = {"read": reading, "write": writing, "connect": connecting}


def set_default(**limits):
    _timeouts.configure_limits(_timeouts.limits_from("default", None, limits))


#: Who decides, first match wins: the source, how it is set, and how the error words it.
DECIDERS = {
    "settimeout": (
        lambda stack, sock, field, seconds: sock.settimeout(seconds),
        "settimeout {seconds:g} s",
    ),
    "set_timeouts": (
        lambda stack, sock, field, seconds: safesocket.set_timeouts(sock, **{field: seconds}),
        "{field} timeout {seconds:g} s of set_timeouts()",
    ),
    "timeouts": (
        lambda stack, sock, field, seconds: stack.enter_context(
            safesocket.timeouts(**{field: seconds})
        ),
        "{field} timeout {seconds:g} s of timeouts()",
    ),
    "configure": (
        lambda stack, sock, field, seconds: configure(**{field: seconds}),
        "configured {field} timeout {seconds:g} s",
    ),
    "default": (
        lambda stack, sock, field, seconds: set_default(**{field: seconds}),
        "default {field} timeout {seconds:g} s",
    ),
}

each_wait = pytest.mark.parametrize("field", WAITS)


@pytest.mark.parametrize("order", [1, -1], ids=["set upwards", "set downwards"])
@pytest.mark.parametrize(("seconds", "others"), [(0.02, 0.03), (0.03, 0.02)], ids=str)
@pytest.mark.parametrize("source", DECIDERS)
@each_wait
def test_who_decides(field, source, seconds, others, order):
    """The first who has set a limit decides, be it longer or shorter than what the others say."""
    *deciders, default = list(DECIDERS)[list(DECIDERS).index(source) :]
    with WAITS[field]() as (sock, call, error), ExitStack() as stack:
        for decider in [default, *deciders[::-order]]:  # the defaults have always been there
            DECIDERS[decider][0](stack, sock, field, seconds if decider == source else others)
        with pytest.raises(error) as caught:
            call()
    found = caught.value
    assert (found.timeout_source, found.timeout) == (source, seconds)
    assert seconds <= found.elapsed < seconds + 1
    assert str(found).endswith(f"({DECIDERS[source][1].format(field=field, seconds=seconds)})")


def test_who_decides_the_environment():
    """The environment goes before the defaults, and configure before the environment."""
    script = """
        import safesocket
        from safesocket import testing

        def told(call, *args):
            try:
                call(*args)
            except TimeoutError as exc:
                print(exc.timeout_source, exc.timeout, "|", str(exc).partition(" s (")[2])

        with testing.never_answers() as address, safesocket.create_connection(address) as sock:
            told(sock.recv, 1)
            safesocket.configure(read=0.02)
            told(sock.recv, 1)
        with testing.stops_reading() as address, safesocket.create_connection(address) as sock:
            told(sock.sendall, bytes(10_000_000))
        with testing.never_accepts() as address:
            told(safesocket.create_connection, address)
    """
    variables = dict.fromkeys(["SAFESOCKET_READ", "SAFESOCKET_WRITE", "SAFESOCKET_CONNECT"], "0.03")
    assert printed(script, **variables).splitlines() == [
        "environment 0.03 | read timeout 0.03 s from the environment)",
        "configure 0.02 | configured read timeout 0.02 s)",
        "environment 0.03 | write timeout 0.03 s from the environment)",
        "environment 0.03 | connect timeout 0.03 s from the environment)",
    ]


@pytest.mark.parametrize(
    ("field", "mode"),
    [
        *itertools.product(WAITS, ["setblocking", "settimeout"]),
        *itertools.product(["read", "write"], ["MSG_DONTWAIT"]),  # connect has no flags
    ],
)
def test_who_decides_first_is_the_program(field, mode):
    """Non-blocking sockets and MSG_DONTWAIT wait for nothing, whatever limits are set."""
    with WAITS[field]() as (sock, call, _), safesocket.timeouts(**{field: GUARD}):
        safesocket.set_timeouts(sock, **{field: GUARD})
        if mode != "MSG_DONTWAIT":
            getattr(sock, mode)(False)
        flags = [MSG_DONTWAIT] * (mode == "MSG_DONTWAIT")
        with pytest.raises(BlockingIOError) as caught:
            all(call(*flags) is None for _ in range(100))  # some of the writes may find room
    assert type(caught.value) is BlockingIOError


#: What a program can do to a socket's waits behind Python's back, and which of them it concerns.
BEHIND = {
    "O_NONBLOCK": (set_nonblocking_behind_python, {"read", "write", "connect"}),
    "SO_RCVTIMEO": (lambda s: set_kernel_timeout(s, socket.SO_RCVTIMEO, LIMIT), {"read"}),
    "SO_SNDTIMEO": (
        lambda s: set_kernel_timeout(s, socket.SO_SNDTIMEO, LIMIT),
        {"write", "connect"},
    ),
}


@pytest.mark.parametrize(("behind", "concerned"), BEHIND.values(), ids=BEHIND)
@each_wait
def test_who_decides_behind_python(field, behind, concerned):
    """What the program told the system itself goes before the limits, and ends in its own error."""
    with WAITS[field]() as (sock, call, error), safesocket.timeouts(**{field: 2 * LIMIT}):
        safesocket.set_timeouts(sock, **{field: 2 * LIMIT})
        behind(sock)
        with pytest.raises(BlockingIOError if field in concerned else error) as caught:
            call()
    assert (type(caught.value) is BlockingIOError) == (field in concerned)


def test_who_decides_accept():
    """No limit ends accept but the socket's own timeout."""
    configure(**dict.fromkeys(FIELDS, LIMIT))
    with safesocket.create_server(("127.0.0.1", 0)) as listener:
        safesocket.set_timeouts(listener, Timeouts(*[LIMIT] * 6))
        with calling(listener.accept) as accepted:
            assert still_waits(accepted)
            with safesocket.create_connection(listener.getsockname(), None):
                accepted.result(GUARD)[0].close()
        listener.settimeout(LIMIT)
        with pytest.raises(TimeoutError, match=rf"\(settimeout {LIMIT:g} s\)"):
            listener.accept()


def test_limits_end_nothing_that_is_ready():
    """A limit of 0 ends what would have to wait, and nothing else."""
    configure(**dict.fromkeys(FIELDS, 0))
    with testing.echoes() as address, safesocket.create_connection(address) as sock:
        sock.sendall(b"..")
        sock.settimeout(GUARD)
        assert sock.recv(1) == b"."
        sock.settimeout(None)
        safesocket.set_timeouts(sock)
        assert sock.recv(1) == b"."
        with pytest.raises(ReadTimeoutError, match="configured read timeout 0 s") as caught:
            sock.recv(1)
    assert (caught.value.timeout, caught.value.timeout_source) == (0, "configure")


@each_wait
def test_limit_of_zero(field):
    """A limit of 0 ends a wait at once, and the error says so."""
    silence, blocks = WAITS[field](), safesocket.timeouts(**{field: 0})
    with silence as (_, call, error), blocks, pytest.raises(error) as caught:
        call()
    assert caught.value.timeout == 0
    assert str(caught.value).endswith(f"({field} timeout 0 s of timeouts())")


@pytest.mark.parametrize("seconds", [1e9, 1e10, 1e300, sys.float_info.max, 10**308])
def test_limits_that_no_clock_reaches(seconds):
    """A limit may be longer than any system call can be told."""
    configure(read=seconds, write=seconds, connect=seconds)
    with tcp_pair() as (client, server):
        with calling(client.recv, 1) as received:
            assert still_waits(received, LIMIT)
            server.send(b".")
            assert received.result(GUARD) == b"."
        with calling(client.sendall, MUCH):
            drain(server)


# For ever.


def drain(sock):
    """Read so much."""
    left = len(MUCH)
    while left:
        left -= len(sock.recv(left))


#: Ways to say for ever on one socket.
ENDLESS_MODES = {
    "settimeout(None)": lambda sock: sock.settimeout(None),
    "settimeout(FOREVER)": lambda sock: sock.settimeout(FOREVER),
    "setblocking(True)": lambda sock: sock.setblocking(True),
    "setblocking(1)": lambda sock: sock.setblocking(1),
    "a timeout, then None": lambda sock: (sock.settimeout(1), sock.settimeout(None)),
    "0, then True": lambda sock: (sock.settimeout(0), sock.setblocking(True)),
    "after set_timeouts": lambda sock: (
        safesocket.set_timeouts(sock, read=LIMIT, write=LIMIT, connect=LIMIT),
        sock.settimeout(None),
    ),
    "set_timeouts(FOREVER)": lambda sock: safesocket.set_timeouts(
        sock, read=FOREVER, write=FOREVER, connect=FOREVER
    ),
    "set_timeouts(None)": lambda sock: safesocket.set_timeouts(
        sock, read=None, write=None, connect=None
    ),
}

for_ever = pytest.mark.parametrize("for_ever", ENDLESS_MODES.values(), ids=ENDLESS_MODES)


@pytest.fixture
def brief():
    """Limits that end each wait at once, for the process and the block."""
    configure(**dict.fromkeys(FIELDS, LIMIT))
    with safesocket.timeouts(**dict.fromkeys(FIELDS, LIMIT)):
        yield


@for_ever
def test_for_ever_reads(for_ever, brief):
    """A socket told to wait for ever reads for ever, and stays in blocking mode."""
    with tcp_pair() as (client, server):
        for_ever(client)
        assert client.gettimeout() is None
        assert waits_for_ever(partial(client.recv, 1), partial(server.send, b"."))


@for_ever
def test_for_ever_writes(for_ever, brief):
    """A socket told to wait for ever writes for ever."""
    with tcp_pair() as (client, server):
        for_ever(client)
        safesocket.set_timeouts(server, read=None)
        assert waits_for_ever(partial(client.sendall, MUCH), partial(drain, server))


@for_ever
def test_for_ever_connects(for_ever, brief, tmp_path):
    """A socket told to wait for ever connects for ever: here, until the backlog has room."""
    path = str(tmp_path / "full")
    with safesocket.socket(AF_UNIX) as listener, ExitStack() as clients:
        listener.bind(path)
        listener.listen(0)
        listener.setblocking(False)
        refused = 0
        while not refused:
            filler = clients.enter_context(safesocket.socket(AF_UNIX))
            filler.setblocking(False)
            refused = filler.connect_ex(path)
        assert refused == errno.EAGAIN

        def make_room():
            while clients:
                try:
                    clients.enter_context(listener.accept()[0])
                except BlockingIOError:
                    return

        sock = clients.enter_context(safesocket.socket(AF_UNIX))
        for_ever(sock)
        assert waits_for_ever(partial(sock.connect, path), make_room)


@pytest.mark.parametrize(
    ("undo", "source"),
    [
        (lambda sock: sock.settimeout(LIMIT), "settimeout"),
        (lambda sock: safesocket.set_timeouts(sock, read=LIMIT), "set_timeouts"),
        (lambda sock: safesocket.set_timeouts(sock, write=1), "timeouts"),
        (safesocket.set_timeouts, "timeouts"),
    ],
)
def test_for_ever_is_undone(undo, source, silent, brief):
    """A timeout, or set_timeouts, ends for ever; what then decides is who comes next."""
    silent.settimeout(None)
    undo(silent)
    with pytest.raises(ReadTimeoutError) as caught:
        silent.recv(1)
    assert caught.value.timeout_source == source


def test_for_ever_again(silent, brief):
    """For ever is honoured as often as it is said."""
    with tcp_pair() as (client, server):
        for _ in range(2):
            client.settimeout(LIMIT)
            with pytest.raises(ReadTimeoutError):
                client.recv(1)
            client.settimeout(None)
            assert waits_for_ever(partial(client.recv, 1), partial(server.send, b"."))


#: Ways to say for ever for a block or the process.
ENDLESS_SETTINGS = {
    f"{place} {endless}": (setting, endless)
    for place, setting in {
        "configure": lambda endless: configure(read=endless),
        "configure whole": lambda endless: configure(Timeouts(read=endless)),
        "timeouts": lambda endless: safesocket.timeouts(read=endless),
        "timeouts whole": lambda endless: safesocket.timeouts(Timeouts(read=endless)),
    }.items()
    for endless in (None, FOREVER)
}


@pytest.mark.parametrize(("setting", "endless"), ENDLESS_SETTINGS.values(), ids=ENDLESS_SETTINGS)
def test_for_ever_in_settings(setting, endless):
    """Blocks and processes may wait for ever as well."""
    set_default(read=LIMIT)
    with tcp_pair() as (client, server), ExitStack() as stack:
        if block := setting(endless):
            stack.enter_context(block)
        assert waits_for_ever(partial(client.recv, 1), partial(server.send, b"."))


# create_connection.

OMITTED = object()


def connect_with(address, timeout=OMITTED, **options):
    """create_connection with *timeout*, or without it."""
    if timeout is not OMITTED:
        options["timeout"] = timeout
    return safesocket.create_connection(address, **options)


@pytest.mark.parametrize("all_errors", [False, True], ids=["", "all_errors"])
@pytest.mark.parametrize(
    ("timeout", "default", "source"),
    [
        pytest.param(OMITTED, None, "configure", id="omitted"),
        pytest.param(socket._GLOBAL_DEFAULT_TIMEOUT, None, "configure", id="sentinel"),
        pytest.param(OMITTED, LIMIT, "settimeout", id="setdefaulttimeout"),
        pytest.param(LIMIT, None, "create_connection", id="number"),
        pytest.param(LIMIT, GUARD, "create_connection", id="number over setdefaulttimeout"),
        pytest.param(LIMIT, 0, "create_connection", id="number over non-blocking"),
    ],
)
def test_create_connection_timeout(timeout, default, source, all_errors):
    """The caller's timeout goes first, then setdefaulttimeout, then the connect limit."""
    configure(connect=GUARD if source != "configure" else LIMIT)
    with testing.never_accepts() as address:
        safesocket.setdefaulttimeout(default)
        with pytest.raises((TimeoutError, ExceptionGroup)) as caught:
            connect_with(address, timeout, all_errors=all_errors)
        safesocket.setdefaulttimeout(None)
    error = caught.value.exceptions[0] if all_errors else caught.value
    words = {
        "configure": f"configured connect timeout {LIMIT:g} s",
        "settimeout": f"settimeout {LIMIT:g} s",
        "create_connection": f"create_connection timeout {LIMIT:g} s",
    }
    assert (error.timeout_source, error.timeout) == (source, LIMIT)
    assert str(error).endswith(f"({words[source]})")
    assert LIMIT * 0.9 <= error.elapsed < LIMIT + 1


@pytest.mark.parametrize(
    ("timeout", "default"), [(0, None), (0, GUARD), (0.0, None), (OMITTED, 0)], ids=str
)
def test_create_connection_non_blocking(timeout, default):
    """A timeout of 0 is non-blocking mode, in which the stdlib's own error says so."""
    with testing.never_accepts() as address:
        safesocket.setdefaulttimeout(default)
        with pytest.raises(BlockingIOError) as caught:
            connect_with(address, timeout)
        safesocket.setdefaulttimeout(None)
    assert type(caught.value) is BlockingIOError
    assert caught.value.errno == errno.EINPROGRESS


@pytest.mark.parametrize("endless", ["None", "safesocket.FOREVER"])
def test_create_connection_for_ever(endless):
    """A timeout of None or FOREVER is for ever, whatever the limits are."""
    script = f"""
        import safesocket, threading
        from safesocket import testing
        safesocket.setdefaulttimeout({LIMIT})
        with testing.never_accepts() as address:
            thread = threading.Thread(
                target=safesocket.create_connection, args=(address, {endless}), daemon=True
            )
            thread.start()
            thread.join({3 * LIMIT})
            print("still waits" if thread.is_alive() else "ended")
    """
    assert printed(script, SAFESOCKET_CONNECT=str(LIMIT)) == "still waits"


@pytest.mark.parametrize(
    ("timeout", "default", "mode", "limited"),
    [
        pytest.param(OMITTED, None, None, True, id="omitted"),
        pytest.param(OMITTED, 7, 7, False, id="setdefaulttimeout"),
        pytest.param(5, None, 5, False, id="number"),
        pytest.param(5, 7, 5, False, id="number over setdefaulttimeout"),
        pytest.param(None, None, None, False, id="None"),
        pytest.param(None, 7, None, False, id="None over setdefaulttimeout"),
        pytest.param(FOREVER, None, None, False, id="FOREVER"),
        pytest.param(FOREVER, 7, None, False, id="FOREVER over setdefaulttimeout"),
    ],
)
def test_create_connection_leaves_the_mode(timeout, default, mode, limited, brief):
    """Afterwards the socket has the caller's timeout; only without one do limits go on."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        safesocket.setdefaulttimeout(default)
        sock = stack.enter_context(connect_with(listener.getsockname(), timeout))
        safesocket.setdefaulttimeout(None)
        server = stack.enter_context(listener.accept()[0])
        assert sock.gettimeout() == mode
        if limited:
            with pytest.raises(ReadTimeoutError):
                sock.recv(1)
        else:
            assert waits_for_ever(partial(sock.recv, 1), partial(server.send, b"."))
