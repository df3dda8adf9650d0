"""What a failure says: one sentence, one grammar, on one line, and where it is shown."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
import socket as stdlib
import traceback
from contextlib import contextmanager
from socket import AF_UNIX, SOCK_DGRAM

import pytest

import safesocket
from safesocket import _translate, testing
from safesocket.errors import (
    AddressInUseError,
    Attempt,
    ConnectRefusedError,
    ConnectTimeoutError,
    HostNotFoundError,
    PeerLostError,
    ReadTimeoutError,
    SocketOperationError,
)
from tests.failures import failing, looking_up, raised_by
from tests.helpers import LIMIT, tcp_pair, unix_pair

REFUSED = (111, "Connection refused")
DB = {"host": "db.internal", "port": 5432}
SERVICE = {"host": "db", "port": "postgresql"}
AT_7 = {"address": ("10.0.0.7", 5432)}
AT_HOME = {"address": ("fd00::7", 5432, 0, 0)}


def failure(kind, args, operation, _field="", **facts):
    """Return an error as it is raised, with *facts* known of it."""
    error = kind(*args) if isinstance(args, tuple) else kind(args)
    vars(error).update(operation=operation, _field=_field, **facts)
    return error


def refused(**facts):
    return failure(ConnectRefusedError, REFUSED, "connect", **facts)


def silent(operation="recv", **facts):
    return failure(ReadTimeoutError, "timed out", operation, **facts)


def met(operation, **facts):
    return failure(SocketOperationError, "it failed", operation, **facts)


def unknown(operation, **facts):
    return failure(HostNotFoundError, (-2, "Name or service not known"), operation, **facts)


# --- The grammar --------------------------------------------------------------------------------

OF_THE_DESIGN = [
    (
        refused(**DB, **AT_7, elapsed=0.004),
        "[Errno 111] Connection refused: connect to db.internal:5432 (10.0.0.7) after 0.004 s",
    ),
    (
        silent(
            host="api.example.com",
            port=443,
            address=("93.184.216.34", 443),
            elapsed=300.0,
            timeout=300.0,
            timeout_source="default",
            _field="read",
        ),
        "timed out: recv from api.example.com:443 (93.184.216.34) after 300.0 s"
        " (default read timeout 300 s)",
    ),
    (
        unknown("getaddrinfo", host="db.intrenal", elapsed=0.02),
        "[Errno -2] Name or service not known: look up db.intrenal after 0.02 s",
    ),
    (
        failure(
            *(AddressInUseError, (98, "Address already in use"), "bind"),
            host="0.0.0.0",
            port=8080,
            local=("0.0.0.0", 0),
            elapsed=0.0,
        ),
        "[Errno 98] Address already in use: bind to 0.0.0.0:8080",
    ),
]


@pytest.mark.parametrize(("error", "text"), OF_THE_DESIGN)
def test_sentence_of_the_design(error, text):
    """The four sentences that the design promises."""
    assert str(error) == text


#: What is known, and what is said of it behind the original text.
SENTENCES = [
    # to whom
    (refused(), "connect"),
    (refused(**DB), "connect to db.internal:5432"),
    (refused(**DB, **AT_7), "connect to db.internal:5432 (10.0.0.7)"),
    (refused(**DB, **AT_HOME), "connect to db.internal:5432 (fd00::7)"),
    (refused(**SERVICE, **AT_7), "connect to db:postgresql (10.0.0.7:5432)"),
    (refused(**SERVICE, **AT_HOME), "connect to db:postgresql ([fd00::7]:5432)"),
    (refused(**AT_7), "connect to 10.0.0.7:5432"),
    (refused(**AT_HOME), "connect to [fd00::7]:5432"),
    (refused(host="10.0.0.7", port=5432, **AT_7), "connect to 10.0.0.7:5432"),
    (refused(host="fd00::7", port=5432, **AT_HOME), "connect to [fd00::7]:5432"),
    (refused(host="127.1", port=80, address=("127.0.0.1", 80)), "connect to 127.1:80 (127.0.0.1)"),
    (refused(host=b"db.internal", port=80), "connect to db.internal:80"),
    (refused(host=bytearray(b"db\xff"), port=80), "connect to db\\xff:80"),
    (refused(host=2, port=1024, address=(2, 1024)), "connect to 2:1024"),  # AF_VSOCK
    (refused(host="/run/db.sock", address="/run/db.sock"), "connect to /run/db.sock"),
    (refused(host=b"/run/db.sock", address=b"/run/db.sock"), "connect to /run/db.sock"),
    (refused(host="\0db", address="\0db"), "connect to @db"),
    (refused(host=b"\0db", address=b"\0db"), "connect to @db"),
    (met("connect_ex", **DB), "connect_ex to db.internal:5432"),
    (met("sendall", **DB), "sendall to db.internal:5432"),
    (met("sendto", **DB), "sendto to db.internal:5432"),
    (met("shutdown", **DB), "shutdown on db.internal:5432"),
    (met("setsockopt", **DB), "setsockopt on db.internal:5432"),
    # from whom
    (silent(host="10.0.0.9", port=40001, _role="accepted"), "recv from 10.0.0.9:40001"),
    (silent(address=("10.0.0.7", 53), local=("10.0.0.1", 40000)), "recv from 10.0.0.7:53"),
    (silent(address="/run/db.sock"), "recv from /run/db.sock"),
    (silent("recv_into", **DB), "recv_into from db.internal:5432"),
    # where, when it is not known whom
    (silent("recvfrom", local=("0.0.0.0", 53)), "recvfrom on 0.0.0.0:53"),
    (silent(local="/run/db.sock"), "recv on /run/db.sock"),
    (silent(local=("0.0.0.0", 0)), "recv"),
    (silent(local=("::", 0, 0, 0)), "recv"),
    (silent(), "recv"),
    (met("shutdown"), "shutdown"),
    (met("socket"), "create a socket"),
    # of oneself
    (met("accept", local=("::", 80, 0, 0)), "accept on [::]:80"),
    (met("listen", local=("127.0.0.1", 80)), "listen on 127.0.0.1:80"),
    (met("listen"), "listen"),
    (met("getsockname"), "getsockname"),
    (met("bind", host="/run/db.sock"), "bind to /run/db.sock"),
    (met("bind", host="::1", port=80, local=("::", 0, 0, 0)), "bind to [::1]:80"),
    # look-ups
    (unknown("getaddrinfo", **DB), "look up db.internal:5432"),
    (unknown("getaddrinfo", host=None), "look up"),
    (unknown("gethostbyname", host="db"), "look up db"),
    (unknown("gethostbyaddr", host="::1"), "look up the name of ::1"),
    (unknown("getnameinfo", host="::1", port=80), "look up the name of [::1]:80"),
    (unknown("connect", host="db", port=80), "look up db for connect to db:80"),
    (unknown("bind", host="db", port=80), "look up db for bind to db:80"),
    (unknown("sendto", host="db", port=80), "look up db for sendto to db:80"),
    (unknown("connect"), "connect"),
    # how long
    (refused(elapsed=0.0), "connect after 0 s"),
    (refused(elapsed=0.00012), "connect after 0.0001 s"),
    (refused(elapsed=0.0042), "connect after 0.004 s"),
    (refused(elapsed=0.02), "connect after 0.02 s"),
    (refused(elapsed=0.9996), "connect after 1 s"),
    (refused(elapsed=1.0), "connect after 1.0 s"),
    (refused(elapsed=2.04), "connect after 2.0 s"),
    (refused(elapsed=4000.0), "connect after 4000.0 s"),
    (met("accept", elapsed=5.0), "accept after 5.0 s"),
    # nothing of that where it says nothing
    (met("shutdown", elapsed=0.0), "shutdown"),
    (met("bind", elapsed=0.0, host="db", port=80), "bind to db:80"),
]


@pytest.mark.parametrize(("error", "sentence"), SENTENCES, ids=[said for _, said in SENTENCES])
def test_sentence_says_what_is_known(error, sentence):
    """The operation, whom it was done to, and how long that took, each where it is known."""
    assert str(error) == f"{OSError.__str__(error)}: {sentence}"


@pytest.mark.parametrize(
    ("source", "field", "words"),
    [
        ("default", "connect", "default connect timeout 2.5 s"),
        ("environment", "connect", "connect timeout 2.5 s from the environment"),
        ("configure", "connect", "configured connect timeout 2.5 s"),
        ("timeouts", "connect", "connect timeout 2.5 s of timeouts()"),
        ("set_timeouts", "connect", "connect timeout 2.5 s of set_timeouts()"),
        ("exempt", "connect", "connect timeout 2.5 s of install(exempt=)"),
        ("settimeout", "", "settimeout 2.5 s"),
        ("create_connection", "", "create_connection timeout 2.5 s"),
        ("deadline", "", "deadline 2.5 s"),
        ("default", "serve", "default serve timeout 2.5 s"),
    ],
)
def test_sentence_says_whose_limit_it_was(source, field, words):
    """The limit that ended the call is named as the one who set it would name it."""
    facts = {"timeout": 2.5, "timeout_source": source, "elapsed": 2.5, "_field": field}
    error = failure(ConnectTimeoutError, "timed out", "connect", **DB, **facts)
    assert str(error) == f"timed out: connect to db.internal:5432 after 2.5 s ({words})"


def test_sentence_says_that_the_kernel_gave_up():
    """The kernel's own patience has no seconds that anybody set."""
    facts = {"timeout_source": "kernel", "elapsed": 127.0}
    error = failure(PeerLostError, (110, "Connection timed out"), "recv", **DB, **facts)
    said = "recv from db.internal:5432 after 127.0 s (the kernel gave up)"
    assert str(error) == f"[Errno 110] Connection timed out: {said}"


def attempts(*errors_of_each):
    return [
        Attempt((f"10.0.0.{number}", 80), error, 0.1)
        for number, error in enumerate(errors_of_each, start=1)
    ]


REFUSED_TOO = ConnectRefusedError(*REFUSED)


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        (attempts(REFUSED_TOO), ""),
        (
            attempts(ConnectTimeoutError("timed out"), REFUSED_TOO),
            "; also tried 10.0.0.1:80: timed out",
        ),
        (
            [Attempt(("::1", 80, 0, 0), REFUSED_TOO, 0.1), *attempts(REFUSED_TOO)],
            "; also tried [::1]:80: Connection refused",
        ),
        (attempts(OSError(), REFUSED_TOO), "; also tried 10.0.0.1:80: OSError"),
        (
            attempts(*[REFUSED_TOO] * 4),
            "; also tried 10.0.0.1:80: Connection refused, 10.0.0.2:80: Connection refused,"
            " 10.0.0.3:80: Connection refused",
        ),
        (
            attempts(*[REFUSED_TOO] * 9),
            "; also tried 10.0.0.1:80: Connection refused, 10.0.0.2:80: Connection refused,"
            " 10.0.0.3:80: Connection refused, 5 more",
        ),
    ],
)
def test_sentence_tells_of_the_other_addresses(tried, said):
    """What became of the addresses before the last is told, at most three of them."""
    error = refused(**DB, elapsed=0.1, attempts=tried)
    start = "[Errno 111] Connection refused: connect to db.internal:5432 after 0.1 s"
    assert str(error) == start + said


def test_error_of_the_program_says_what_the_program_said():
    """An error that a program raises itself has no sentence."""
    assert str(ConnectRefusedError("the server said no")) == "the server said no"


# --- The grammar, of real failures --------------------------------------------------------------


def shown(error):
    """Return the text of *error* with times and ephemeral ports left out."""
    text = re.sub(r"after [\d.]+ s", "after T s", str(error))
    return re.sub(r":\d{4,5}\b", ":PORT", text)


def test_real_sentence_of_a_name():
    """A name and the address that it stood for."""
    with testing.refuses() as address, looking_up(address):
        error = raised_by(safesocket.create_connection, ("db.internal", 5432))
    said = "connect to db.internal:PORT (127.0.0.1:PORT) after T s"
    assert shown(error) == f"[Errno 111] Connection refused: {said}"


def test_real_sentence_of_several_addresses():
    """A name that stands for several addresses."""
    with testing.refuses() as one, testing.refuses() as two, looking_up(one, two):
        error = raised_by(safesocket.create_connection, ("db.internal", 5432))
    said = (
        "connect to db.internal:PORT (127.0.0.1:PORT) after T s;"
        " also tried 127.0.0.1:PORT: Connection refused"
    )
    assert shown(error) == f"[Errno 111] Connection refused: {said}"


def test_real_sentence_of_an_accepted_connection():
    """The client's address, and for the fingerprint the server's."""
    with tcp_pair() as (client, accepted):
        safesocket.set_timeouts(accepted, read=LIMIT)
        error = raised_by(accepted.recv, 1)
        host, port = accepted.getsockname()
        assert shown(error) == (
            "timed out: recv from 127.0.0.1:PORT after T s"
            f" (read timeout {LIMIT} s of set_timeouts())".replace("read", "serve", 1)
        )
        assert error.address == client.getsockname()
        assert error.fingerprint == f"recv:timeout:clients of {host}:{port}"


def test_real_sentence_at_a_path(tmp_path):
    """The client knows the path of its server; the server has no name for its client."""
    path = str(tmp_path / "db.sock")
    with unix_pair(path) as (client, accepted):
        for sock in (client, accepted):
            safesocket.set_timeouts(sock, read=LIMIT)
        limit = f"timeout {LIMIT} s of set_timeouts())"
        said = shown(raised_by(client.recv, 1))
        assert said == f"timed out: recv from {path} after T s (read {limit}"
        said = shown(raised_by(accepted.recv, 1))
        assert said == f"timed out: recv on {path} after T s (serve {limit}"


def test_real_sentence_of_a_pair():
    """Where neither end has a name, no name is made up."""
    one, two = safesocket.socketpair()
    with one:
        one.send(b"never read")
        two.close()
        assert shown(raised_by(one.recv, 1)) == (
            "[Errno 104] Connection reset by peer: recv after T s"
        )


def test_real_sentence_of_an_adopted_descriptor():
    """A connection that came as a descriptor is asked for its peer."""
    with tcp_pair(make=stdlib) as (client, accepted):
        with safesocket.socket(fileno=client.detach()) as sock:
            safesocket.set_timeouts(sock, read=LIMIT)
            error = raised_by(sock.recv, 1)
        host, port = accepted.getsockname()
    assert f"recv from {host}:{port} after " in str(error)
    assert error.address == (host, port)


def test_real_sentence_of_a_closed_socket():
    """A closed socket still knows whom it talked to."""
    with testing.never_answers() as address:
        sock = safesocket.create_connection(address)
        sock.close()
        assert shown(raised_by(sock.send, b"x")) == (
            "[Errno 9] Bad file descriptor: send to 127.0.0.1:PORT after T s"
        )


def test_real_sentence_after_a_reset():
    """After a reset, when getpeername() fails, the peer is still named."""
    with failing("recv after a reset") as call:
        assert shown(raised_by(call)) == (
            "[Errno 104] Connection reset by peer: recv from 127.0.0.1:PORT after T s"
        )


def test_real_sentence_of_a_name_given_to_connect():
    """A name that connect() looked up itself is named, and what failed was not the look-up."""
    with testing.refuses() as (_, port), safesocket.socket() as sock:
        error = raised_by(sock.connect, ("localhost", port))
    assert shown(error).startswith("[Errno 111] Connection refused: connect to localhost:PORT ")


@pytest.mark.parametrize("flags", [0, stdlib.MSG_DONTWAIT])
def test_real_sentence_of_a_message_to_an_address(flags):
    """A datagram to an address names that address, with any flags."""
    large, address = bytes(70_000), ("127.0.0.1", 9)
    with safesocket.socket(type=SOCK_DGRAM) as sock:
        error = raised_by(sock.sendto, large, flags, address)
        assert "sendto to 127.0.0.1:9" in str(error)
        error = raised_by(sock.sendmsg, [large], [], flags, address)
        assert "sendmsg to 127.0.0.1:9" in str(error)


def test_real_address_of_a_name_in_bytes():
    """A name given as bytes is a name: it is not told as the address that was tried."""
    with testing.refuses() as (_, port), safesocket.socket() as sock:
        error = raised_by(sock.connect, (b"localhost", port))
    assert error.address in (None, ("127.0.0.1", port))


def test_real_fingerprint_is_the_same_again():
    """Two clients without a server's name fail alike: no ephemeral port tells them apart."""
    seen = set()
    with testing.silent_udp() as address:
        for _ in range(2):
            with safesocket.socket(type=SOCK_DGRAM) as sock:
                sock.settimeout(0.001)
                sock.sendto(b"anybody there?", address)
                seen.add(raised_by(sock.recv, 1).fingerprint)
    assert len(seen) == 1


# --- Names from strangers -----------------------------------------------------------------------

HOSTILE = {
    "a newline": ("db\r\nX-Header: 1", "db\\r\\nX-Header: 1"),
    "a colour": ("\x1b[31mdb", "\\x1b[31mdb"),
    "a bell": ("db\a\b\x7f", "db\\x07\\x08\\x7f"),
    "a null": ("db\0.example.com", "db\\x00.example.com"),
    "bidi": ("db\u202egnp.exe\u2066", "db\\u202egnp.exe\\u2066"),
    "line separators": ("db\u2028\u2029\x85", "db\\u2028\\u2029\\x85"),
    "zero width": ("d\u200bb\ufeff", "d\\u200bb\\ufeff"),
    "a surrogate": ("db\udcff", "db\\udcff"),
    "a tag": ("db\U000e0041", "db\\U000e0041"),
    "bytes": (b"db\n\xff", "db\\n\\xff"),
    "letters of the world": ("münchen.例え.jp", "münchen.例え.jp"),
    "format": ("{0}%s{seconds}", "{0}%s{seconds}"),
    "300 characters": (300 * "x", 255 * "x" + "…"),
    "255 characters": (255 * "x", 255 * "x"),
}


@pytest.mark.parametrize(("host", "printed"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_name_stays_on_the_line(host, printed):
    """A name is printed escaped and cut, in the text and in the fingerprint."""
    error = refused(host=host, port=80, elapsed=0.1)
    assert str(error) == f"[Errno 111] Connection refused: connect to {printed}:80 after 0.1 s"
    assert error.fingerprint == f"connect:ECONNREFUSED:{printed}:80"
    unknown_to_it = unknown("connect", host=host, port=80)
    assert str(unknown_to_it).endswith(f": look up {printed} for connect to {printed}:80")


@pytest.mark.parametrize(("host", "printed"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_path_stays_on_the_line(host, printed):
    """So is a path, and the name behind a colon or in an attempt."""
    error = refused(host=host, attempts=[Attempt(host, OSError(host), 0.1)] * 2)
    assert str(error).isprintable()
    assert error.fingerprint.isprintable()
    str(error).encode()


@pytest.mark.parametrize("host", [300 * "\n", 300 * "\U000e0041", b"\xff" * 300])
def test_hostile_name_is_not_longer_for_being_escaped(host):
    """What is printed of a name is 255 characters, whatever is in it."""
    printed = str(refused(host=host)).removeprefix("[Errno 111] Connection refused: connect to ")
    assert len(printed) <= 255 + len("…")


@pytest.mark.parametrize("name", ["db\n.sock", "db\x1b[31m.sock", "db\udcff.sock", "d\u202eb"])
def test_hostile_real_path_stays_on_the_line(tmp_path, name):
    """A real failure at a path that holds such characters says so on one line."""
    with safesocket.socket(AF_UNIX) as sock:
        error = raised_by(sock.connect, f"{tmp_path}/{name}")
    assert str(error).isprintable()
    assert error.host == f"{tmp_path}/{name}"
    json.dumps(error.to_dict())


def test_hostile_real_name_stays_on_the_line():
    """So does a look-up of a name with a newline in it."""
    error = raised_by(safesocket.getaddrinfo, "no such\nhost", 80)
    assert str(error).isprintable()
    assert "look up no such\\nhost:80" in str(error)


def test_look_up_without_a_host_names_none():
    """getaddrinfo(None, service) asks for this machine's own addresses: no host is made up."""
    error = raised_by(safesocket.getaddrinfo, None, "nonesuch")
    assert "None" not in str(error) + error.fingerprint
    assert ":nonesuch" in str(error)


def test_nothing_of_the_data_is_told():
    """Neither what was sent nor a descriptor nor an address in memory is in what is told."""
    with testing.stops_reading() as address, safesocket.create_connection(address) as sock:
        safesocket.set_timeouts(sock, write=LIMIT)
        error = raised_by(sock.sendall, b"secret " * 1_000_000)
        descriptor = sock.fileno()
    told = json.dumps(error.to_dict()) + "".join(traceback.format_exception_only(error))
    assert "secret" not in told
    assert not re.search(rf"0x[0-9a-f]+|\bfd\b|fd={descriptor}", told)


# --- Where it is shown --------------------------------------------------------------------------


@contextmanager
def refused_for_real():
    """Yield a call that is refused, and the sentence about it."""
    with testing.refuses() as address, safesocket.socket() as sock:
        yield lambda: sock.connect(address), f"connect to {address[0]}:{address[1]} after "


MODES = {
    "append": ("[Errno 111] Connection refused: SENTENCE", ["Hint: "]),
    "note": ("[Errno 111] Connection refused", ["SENTENCE", "Hint: "]),
    "off": ("[Errno 111] Connection refused", []),
}


@pytest.mark.parametrize("mode", MODES)
def test_mode_decides_where_the_sentence_is(mode):
    """configure(message=) puts the sentence behind the text, into a note, or nowhere."""
    safesocket.configure(message=mode)
    with refused_for_real() as (call, sentence):
        error = raised_by(call)
    text, notes = MODES[mode]
    assert str(error).startswith(text.replace("SENTENCE", sentence))
    assert ("connect to" in str(error)) == (mode == "append")
    assert len(error.__notes__) == len(notes)
    for note, start in zip(error.__notes__, notes, strict=True):
        assert note.startswith(start.replace("SENTENCE", sentence))
    assert error.hint
    assert error.fingerprint.startswith("connect:ECONNREFUSED:127.0.0.1:")


@pytest.mark.parametrize("mode", MODES)
def test_mode_is_shown_by_tracebacks(mode):
    """A traceback shows the text and then the notes, each on a line."""
    safesocket.configure(message=mode)
    with refused_for_real() as (call, sentence):
        error = raised_by(call)
    lines = "".join(traceback.format_exception_only(error)).splitlines()
    text, notes = MODES[mode]
    assert len(lines) == 1 + len(notes)
    lines[0] = lines[0].removeprefix("safesocket.errors.ConnectRefusedError: ")
    for line, start in zip(lines, [text, *notes], strict=True):
        assert line.startswith(start.replace("SENTENCE", sentence))


@pytest.mark.parametrize("mode", ["note", "off"])
def test_mode_leaves_the_text_to_the_stdlib(mode):
    """Programs that compare texts for equality find the stdlib's."""
    safesocket.configure(message=mode)
    with failing("recv beyond its timeout") as call:
        assert str(raised_by(call)) == "timed out"


def test_mode_holds_for_create_connection():
    """So they do where the last error is told anew, as the failure of the whole call."""
    safesocket.configure(message="note")
    with testing.refuses() as one, testing.refuses() as two, looking_up(one, two):
        error = raised_by(safesocket.create_connection, ("db.internal", 5432))
    assert str(error) == "[Errno 111] Connection refused"
    sentence, hint = error.__notes__
    assert "; also tried " in sentence
    assert hint.startswith("Hint: ")


def test_words_are_made_for_who_asks(monkeypatch):
    """An error that nobody reads has no words; they are made once, and a copy has them."""
    asked = []
    hint_for = _translate.hint_for
    monkeypatch.setattr(_translate, "hint_for", lambda *a: asked.append(a) or hint_for(*a))
    with refused_for_real() as (call, _):
        error = raised_by(call)
    assert asked == []
    assert error.hint is error.hint
    assert error.__notes__ == copy.copy(error).__notes__ == [f"Hint: {error.hint}"]
    assert len(asked) == 1


def test_notes_of_the_program_come_after_the_hint():
    """add_note() before anybody has asked for a note: none is lost."""
    with refused_for_real() as (call, _):
        error = raised_by(call)
    error.add_note("the program's own")
    assert error.__notes__ == [f"Hint: {error.hint}", "the program's own"]
    assert pickle.loads(pickle.dumps(error)).__notes__ == error.__notes__


def test_who_made_an_error_has_the_words():
    """What nobody has raised for a failure has no notes but its maker's, like any exception."""
    error = safesocket.errors.PeerResetError(104, "by a test")
    assert error.hint is None
    assert not hasattr(error, "__notes__")
    error.add_note("the test's own")
    error.hint = "the test's own"
    assert error.__notes__ == ["the test's own"]
    assert pickle.loads(pickle.dumps(error)).hint == "the test's own"


def test_mode_stays_with_the_error():
    """An error says what it said when it was raised, whatever the mode is later."""
    with refused_for_real() as (call, sentence):
        error = raised_by(call)
    safesocket.configure(message="off")
    assert sentence in str(error)
    with refused_for_real() as (call, _):
        quiet = raised_by(call)
    safesocket.configure(message="append")
    assert str(quiet) == "[Errno 111] Connection refused"


@pytest.mark.parametrize("wrong", ["Append", "", "none", "all", b"off", 0, True])
def test_mode_must_be_one_of_three(wrong):
    """Another mode is a ValueError that names the three, and changes nothing."""
    with pytest.raises(ValueError, match="'append', 'note' or 'off'"):
        safesocket.configure(message=wrong)
    with refused_for_real() as (call, sentence):
        assert sentence in str(raised_by(call))


def test_mode_is_not_set_by_a_configure_that_fails():
    """A wrong limit beside a right mode changes neither."""
    with pytest.raises(ValueError, match="read"):
        safesocket.configure(message="off", read=-1)
    with refused_for_real() as (call, sentence):
        assert sentence in str(raised_by(call))


# --- In a traceback -----------------------------------------------------------------------------


def whole_traceback(error):
    return "".join(traceback.format_exception(error))


def test_traceback_tells_one_failure_once():
    """The stdlib's raw error is not shown before ours."""
    with refused_for_real() as (call, _):
        said = whole_traceback(raised_by(call))
    assert said.count("Connection refused") == 1
    assert "During handling" not in said
    assert "direct cause" not in said


def test_traceback_shows_what_the_program_was_handling():
    """Raised in an except block, the error shows what was being handled, and itself, once."""
    with refused_for_real() as (call, _):
        try:
            raise KeyError("no such user")
        except KeyError:
            said = whole_traceback(raised_by(call))
    assert said.index("no such user") < said.index("During handling") < said.index("refused")
    assert said.count("Connection refused") == 1
    assert said.count("During handling") == 1


def test_traceback_shows_what_a_finally_interrupted():
    """Raised in a finally block, the error has the interrupted one as its context."""
    interrupted = KeyError("no such user")

    def clean_up(call):
        try:
            raise interrupted
        finally:
            call()

    with refused_for_real() as (call, _):
        error = raised_by(clean_up, call)
    assert error.__context__ is interrupted
    assert whole_traceback(error).count("Connection refused") == 1


def test_traceback_of_a_handled_failure_of_ours():
    """A failure met while another of ours is handled shows both, each once."""
    with refused_for_real() as (call, _), safesocket.socket() as sock:
        try:
            call()
        except ConnectRefusedError:
            error = raised_by(sock.recv, 1)
    said = whole_traceback(error)
    assert said.count("Connection refused") == 1
    assert said.count("not connected: recv") == 1


def test_notes_of_the_program_are_kept():
    """A note that a program adds stands behind the hint, and the text stays."""
    with refused_for_real() as (call, _):
        error = raised_by(call)
    before = str(error)
    error.add_note("while the nightly job ran")
    assert str(error) == before
    lines = "".join(traceback.format_exception_only(error)).splitlines()
    assert lines[1].startswith("Hint: ")
    assert lines[2] == "while the nightly job ran"


def test_text_is_all_that_print_and_logging_show():
    """print(error) shows the sentence and no hint."""
    output = io.StringIO()
    with refused_for_real() as (call, sentence):
        print(raised_by(call), file=output)
    assert output.getvalue().startswith(f"[Errno 111] Connection refused: {sentence}")
    assert output.getvalue().count("\n") == 1
