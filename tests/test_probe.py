"""``python -m safesocket probe``: what it finds out about real peers, and what it says of it.

What a name with several addresses stands for, a look-up of the test says; in a network of its own
a name server and /etc/hosts do.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trustme

import safesocket
from safesocket import _timeouts, errors, testing
from safesocket.__main__ import main
from safesocket._cli import certificate, probe, progress, steps, target, verdict
from safesocket._cli.findings import Connection, escaped
from tests.helpers import CHECKOUT, GUARD, LIMIT, ROOT, descriptors, needs_ipv6, terminal
from tests.nameserver import network, run_in, trouble_with_networks
from tests.tls import NAME, authority, server_context

pytestmark = pytest.mark.timeout(20, func_only=True)  # seconds; what hangs is cut off

WELL, FLAWED, USAGE, NOT_FOUND, NOT_CONNECTED, NO_TLS = range(6)
SOON = "0.05"  # seconds
NOW = datetime.now(UTC)
LOOPBACK = "127.0.0.1"


@contextmanager
def serving(talk, host=LOOPBACK):
    """Yield the address of a server; *talk* is called with each client, which stays connected."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as listener,
        ExitStack() as clients,
        closing_after(listener, talk, clients),
    ):
        yield listener.getsockname()[:2]


@contextmanager
def closing_after(listener, talk, clients):
    """Serve *listener* in a thread while the block runs."""

    def serve():
        with suppress(OSError):  # the listener is shut down
            while True:
                sock = clients.enter_context(listener.accept()[0])
                sock.settimeout(GUARD)
                with suppress(OSError):  # the client does not like us
                    clients.enter_context(talk(sock) or sock)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(GUARD)


def says(text):
    """Return a way to talk: say *text* first."""
    return lambda sock: sock.sendall(text)


def answers(text):
    """Return a way to talk: wait for something, then say *text*."""

    def talk(sock):
        sock.recv(4096)
        sock.sendall(text)

    return talk


def tls(issued=None, greeting=b"", **settings):
    """Return a way to talk: TLS with the certificate *issued*."""
    context = server_context(issued=issued)
    for name, value in settings.items():
        setattr(context, name, value)
    if settings.get("verify_mode"):
        authority().configure_trust(context)

    def talk(sock):
        wrapped = context.wrap_socket(sock, server_side=True)
        if greeting:
            wrapped.sendall(greeting)
        with suppress(OSError):
            wrapped.read(1) if settings.get("verify_mode") else None
        return wrapped

    return talk


@pytest.fixture
def ca(tmp_path):
    """The file of the authority that the tests trust."""
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def entries(lines):
    """Return *lines* with what was wrapped made whole, and single spaces."""
    whole = []
    for line in lines:
        if line.startswith(" " * 13) and not re.match(ENTRY, line.strip()):
            whole[-1] += f" {line.strip()}"
        else:
            whole.append(" ".join(line.split()))
    return whole


#: What an entry begins with that has no label of its own.
ENTRY = r"127\.|\[|of |issued|valid|expired|not valid|signed|self"


@pytest.fixture
def seen(capsys):
    """Probe, and return the exit status, the entries that people see, and the verdict."""

    def probed(peer, *options):
        word = peer if isinstance(peer, str) else safesocket._wording.place(peer)
        status = main(["probe", word, *options])
        output, complaints = capsys.readouterr()
        assert complaints == ""
        *lines, empty, last = output.splitlines()
        assert empty == ""
        assert max(map(len, lines)) <= 80
        assert last.startswith("verdict: ")
        return status, entries(lines), last.removeprefix("verdict: ")

    return probed


@pytest.fixture
def known(capsys):
    """Probe with --json, and return the document."""

    def probed(peer, *options):
        word = peer if isinstance(peer, str) else safesocket._wording.place(peer)
        status = main(["probe", word, "--json", *options])
        document = json.loads(capsys.readouterr().out)
        assert document["status"] == status
        return document

    return probed


def with_tls(ca, *options, name=NAME):
    return ["--tls", "--ca", ca, "--server-name", name, "--first-byte", "0.2", *options]


def names_stand_for(monkeypatch, *addresses):
    """Let every name stand for *addresses*."""

    def found(*_):
        families = [socket.AF_INET6 if ":" in host else socket.AF_INET for host, _ in addresses]
        places = [(host, port, 0, 0) if ":" in host else (host, port) for host, port in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", place)
            for family, place in zip(families, places, strict=True)
        ]

    monkeypatch.setattr(steps, "getaddrinfo", found)


# What is to be probed.


@pytest.mark.parametrize(
    ("word", "host", "port", "speaks_tls"),
    [
        ("example.com:80", "example.com", 80, False),
        ("example.com:443", "example.com", 443, True),
        ("example.com:https", "example.com", 443, True),
        ("[::1]:993", "::1", 993, True),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80, False),
        ("127.1:80", "127.1", 80, False),
        ("https://user:secret@example.com/path?query", "example.com", 443, True),
        ("http://example.com", "example.com", 80, False),
        ("http://example.com:443/", "example.com", 443, False),
        ("https://[::1]:8000", "::1", 8000, True),
        ("/run/x.sock", "/run/x.sock", None, False),
        ("./x.sock", "./x.sock", None, False),
        ("unix:/run/x.sock", "/run/x.sock", None, False),
        ("unix:x.sock", "x.sock", None, False),
        ("unix:@name", "\0name", None, False),
    ],
)
def test_target(word, host, port, speaks_tls):
    """Hosts and ports, URLs and paths are understood, and whether TLS is spoken there."""
    read = target.read(word)
    assert (read.host, read.port, read.speaks_tls) == (host, port, speaks_tls)
    assert "secret" not in str(read)


@pytest.mark.parametrize(
    ("word", "missing"),
    [
        ("example.com", "which port? write example.com:443, for example, or https://example.com"),
        ("example.com:", "which port?"),
        ("[::1]", "which port? write [::1]:443, for example, or https://[::1]"),
        ("::1", "where does the address end? write [::1]:port"),
        ("::1:443", "where does the address end?"),
        ("[::1", "is not [address]:port"),
        ("[::1]443", "is not [address]:port"),
        (":80", "which host?"),
        ("", "which host?"),
        ("https:///path", "which host?"),
        ("https://example.com:port", "could not be cast"),
        ("example.com:0", "from 1 to 65535, not 0"),
        ("example.com:65536", "from 1 to 65535"),
        ("example.com:-1", "'-1'"),
        ("example.com:no-such-service", "no port for the service"),
        ("no-such-scheme://example.com", "no port for the service"),
        ("a..b:80", "cannot be a host name"),
        ("unix:", "which path?"),
        ("unix:@", "which path?"),
    ],
)
def test_target_that_is_none(word, missing, capsys):
    """Status 2, and what is missing is named."""
    with pytest.raises(SystemExit) as it:
        main(["probe", word])
    assert it.value.code == USAGE
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (["--timeout", "soon"], "0 or more seconds, such as 2.5, or 'forever', not 'soon'"),
        (["--deadline", "-1"], "0 or more seconds"),
        (["--tls", "--ca", "/no/such/file"], "--ca /no/such/file: No such file"),
        (["--tls", "--ca", __file__], f"--ca {__file__}: "),
        (["--tls", "--server-name", "a..b"], "cannot be a host name"),
        (["--tls", "--alpn", ""], "--alpn"),
        (["--http"], "unrecognized arguments"),
    ],
)
def test_wrong_usage(options, missing, capsys):
    """So with options: status 2, nothing is connected to."""
    with testing.closes() as (host, port), pytest.raises(SystemExit) as it:
        main(["probe", f"{host}:{port}", *options])
    assert it.value.code == USAGE
    assert missing in capsys.readouterr().err


def test_tls_to_a_path_needs_a_name(capsys):
    """A path has no host name that a certificate could be for."""
    with pytest.raises(SystemExit) as it:
        main(["probe", "/run/x.sock", "--tls"])
    assert it.value.code == USAGE
    assert "--server-name" in capsys.readouterr().err


# Without TLS.


def test_peer_that_is_well(seen):
    """Status 0: the look-up, the connection with its round trip, and silence, which is normal."""
    with testing.echoes() as peer:
        status, lines, said = seen(peer, "--first-byte", SOON)
    assert status == WELL
    place = rf"{LOOPBACK}:{peer[1]}"
    rtt = r", rtt [\d.e-]+ ms" if hasattr(socket, "TCP_INFO") else ""
    assert re.fullmatch(rf"connect {place}: connected, [\d.]+ s{rtt}", lines[0])
    assert re.match(rf"first byte {place}: silence for 0\.\d+ s: normal where", lines[1])
    assert said == "reachable: 1 address answers"


@needs_ipv6
def test_ipv6(seen):
    """IPv6 addresses stand in brackets, as they are written."""
    with serving(says(b""), "::1") as peer:
        status, lines, _ = seen(peer, "--first-byte", SOON)
    assert status == WELL
    assert lines[0].startswith(f"connect [::1]:{peer[1]}: connected")


@pytest.mark.parametrize(
    ("greeting", "shown"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", '"SSH-2.0-OpenSSH_9.2"'),
        (b"220 mail ESMTP\r\n", '"220 mail ESMTP"'),
        (b"J\0\0\0\n8.0.33\0", r'"J\x00\x00\x00\n8.0.33\x00"'),
        (b"\x1b[31mred\xff\xe2\x80\xae", r'"\x1b[31mred\xff\u202e"'),
        (b"x" * 100, f'"{"x" * 60}…"'),
    ],
)
def test_greeting(seen, greeting, shown):
    """What the other side says first is shown on one line, escaped and cut."""
    with serving(says(greeting)) as peer:
        status, lines, _ = seen(peer)
    assert status == WELL
    assert f": {shown}, " in " ".join(line.strip() for line in lines)


def test_nothing_is_sent():
    """What the other side gets is a connection, and nothing on it."""
    got = []
    with serving(lambda sock: got.append(sock.recv(1))) as (host, port):
        assert main(["probe", f"{host}:{port}", "--first-byte", SOON]) == WELL
    assert got == [b""]


@pytest.mark.parametrize("make", [testing.closes, testing.resets], ids=["closed", "reset"])
def test_peer_that_ends_at_once(seen, make):
    """Status 1: it can be reached, and leaves at once."""
    with make() as peer:
        status, lines, said = seen(peer)
    assert status == FLAWED
    assert "the connection" in lines[-1]
    assert "at once" in lines[-1]
    assert said.startswith("reachable, but the ")


def test_peer_that_refuses(seen):
    """Status 4, and the verdict says what that means."""
    with testing.refuses() as peer:
        status, lines, said = seen(peer)
    assert status == NOT_CONNECTED
    assert lines[-1].startswith(f"connect {LOOPBACK}:{peer[1]}: Connection refused, ")
    assert said.startswith(f"{LOOPBACK}:{peer[1]} cannot be reached: nothing is listening ")


def test_black_hole(seen):
    """Status 4 after --timeout, which is named; nothing is said about Python code."""
    with testing.never_accepts() as peer:
        status, lines, said = seen(peer, "--timeout", SOON)
    assert status == NOT_CONNECTED
    assert "timed out (--timeout 0.05), 0." in lines[-1]
    assert "cannot be reached: no answer" in said
    assert "safesocket" not in said


def test_limit_of_the_environment(seen):
    """Without --timeout the limits in force hold."""
    limits = _timeouts.limits_from("environment", None, {"connect": float(SOON)})
    _timeouts.configure_limits(limits)
    with testing.never_accepts() as peer:
        status, lines, _ = seen(peer)
    assert status == NOT_CONNECTED
    assert "timed out (connect timeout 0.05 s from the environment)" in " ".join(lines)


def test_deadline(seen, monkeypatch):
    """All of it together ends with --deadline, however many addresses there are."""
    began = time.monotonic()
    with testing.never_accepts() as peer:
        names_stand_for(monkeypatch, *[peer, ("127.0.0.2", peer[1])] * 5)
        status, lines, _ = seen("db.test:80", "--deadline", "0.1")
    assert status == NOT_CONNECTED
    assert time.monotonic() - began < 5
    assert "timed out (--deadline 0.1)" in lines[1]


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_unix(seen, known, abstract):
    """AF_UNIX is connected to and listened to; there is nothing to look up."""
    with testing.echoes(socket.AF_UNIX) as path, ExitStack() as stack:
        word = path
        if abstract:
            word = f"unix:@probe-{os.getpid()}"
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(f"\0{word[6:]}")
            listener.listen()
        status, lines, said = seen(word, "--first-byte", SOON)
        document = known(word, "--first-byte", SOON)
    assert status == WELL
    assert [line.split()[0] for line in lines] == ["connect", "first"]
    assert f"{word.removeprefix('unix:')}: silence for 0." in lines[1]
    assert said == "reachable: a server listens there"
    assert document["look_up"] is None
    assert document["connections"][0]["family"] == "AF_UNIX"


def test_unix_path_that_is_not_there(seen, tmp_path):
    """Status 4, and that there is no such path."""
    status, _, said = seen(str(tmp_path / "none"))
    assert status == NOT_CONNECTED
    assert "has no none" in said


# Names with several addresses.


def test_every_address_is_tried(seen, known, monkeypatch):
    """One that refuses among those that answer: status 1, and it is named."""
    with testing.echoes() as one, testing.refuses() as dead, testing.echoes() as other:
        names_stand_for(monkeypatch, one, dead, other)
        status, lines, said = seen("db.test:80", "--first-byte", SOON)
        document = known("db.test:80", "--first-byte", SOON)
    assert status == FLAWED
    assert lines[0].startswith("look up db.test: 3 addresses, ")
    assert sum("connected" in line for line in lines) == 2
    assert said == (
        f"reachable, but an address does not answer: Connection refused ({LOOPBACK}:{dead[1]})"
    )
    ends = [one["error"] and one["error"]["type"] for one in document["connections"]]
    assert ends == [None, "ConnectRefusedError", None]


def test_most_telling_error_of_all(seen, monkeypatch):
    """Where no address answers, the verdict is about the error that tells most."""
    with testing.refuses() as refusing, testing.never_accepts() as silent:
        names_stand_for(monkeypatch, refusing, silent)
        status, _, said = seen("db.test:80", "--timeout", SOON)
    assert status == NOT_CONNECTED
    assert said.startswith("db.test:80 cannot be reached: none of its 2 addresses answers: nothing")


def test_all_are_listened_to_at_the_same_time(seen, monkeypatch):
    """Several silent addresses cost the time of one, and a greeting is not missed behind them."""
    with ExitStack() as stack:
        peers = [stack.enter_context(testing.never_answers()) for _ in range(3)]
        names_stand_for(monkeypatch, *peers, stack.enter_context(serving(says(b"hello"))))
        began = time.monotonic()
        _, lines, _ = seen("db.test:80", "--first-byte", "0.5")
    assert time.monotonic() - began < 1.4
    assert '"hello"' in lines[-1]


def test_each_is_timed_by_itself(known, monkeypatch):
    """Who comes second has waited as long as who comes first, and its greeting came when it did."""

    def late(sock):
        time.sleep(0.1)
        sock.sendall(b"hello")

    with ExitStack() as stack:
        first, last = (stack.enter_context(testing.never_answers()) for _ in range(2))
        names_stand_for(monkeypatch, first, stack.enter_context(serving(late)), last)
        document = known("db.test:80", "--first-byte", "0.4")
    ends = [one["first_byte"]["end"] for one in document["connections"]]
    times = [one["first_byte"]["seconds"] for one in document["connections"]]
    assert ends == ["silence", "data", "silence"]
    assert times[0] >= 0.4
    assert times[2] >= 0.4
    assert 0.05 < times[1] < 0.4


# The look-up.

needs_network = pytest.mark.skipif(bool(trouble_with_networks()), reason="no network of our own")


@pytest.fixture(scope="module")
def seen_there():
    """What a probe sees in a network with loopback only: name -> status, JSON document."""
    script = """
        import io, contextlib
        from safesocket.__main__ import main
        listener = plain.create_server(("127.0.0.9", 80))
        words = ["there.test:80", "two.test:80", "fail.test:80", "quiet.test:80", "192.0.2.1:80"]
        def probe(word):
            with contextlib.redirect_stdout(io.StringIO()) as output:
                options = ["--json", "--timeout", "1", "--first-byte", "0.02"]
                main(["probe", word, *options])
            return json.loads(output.getvalue())

        told = {word: probe(word) for word in words}
        with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as file:
            file.write("1")
        told["two.test:80 without IPv6"] = probe("two.test:80")
        print(json.dumps(told))
    """
    with network() as name:
        Path("/etc/netns", name, "hosts").write_text("127.0.0.9 two.test\n2001:db8::1 two.test\n")
        process = run_in(name, script)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@needs_network
def test_name_that_is_found(seen_there):
    """A name server's answer is what is tried."""
    document = seen_there["there.test:80"]
    assert document["status"] == WELL
    assert document["look_up"]["addresses"] == ["127.0.0.9"]
    assert document["verdict"] == "reachable: 1 address answers"


@needs_network
@pytest.mark.parametrize(
    ("name", "error"), [("fail", "ResolverError"), ("quiet", "ResolveTimeoutError")]
)
def test_name_that_is_not_found(seen_there, name, error):
    """Status 3, whether the name server fails or does not answer; and nothing is connected to."""
    document = seen_there[f"{name}.test:80"]
    assert document["status"] == NOT_FOUND
    assert document["look_up"]["error"]["type"] == error
    assert document["connections"] == []
    assert document["verdict"].startswith(f"{name}.test cannot be looked up: the name service")


@needs_network
@pytest.mark.parametrize("word", ["two.test:80", "two.test:80 without IPv6"])
def test_address_without_a_way_there(seen_there, word):
    """A family that this machine has no network for is no fault of the peer's: status 0."""
    document = seen_there[word]
    assert document["status"] == WELL
    assert [one["routed"] for one in document["connections"]].count(False) == 1
    said = "reachable: 1 of 2 addresses answers, and to IPv6 there is no way from here"
    assert document["verdict"] == said


def test_family_that_this_machine_does_not_have():
    """So it is with a kernel that does not know the family at all: EAFNOSUPPORT."""
    connection = Connection("somewhere", "IPv6")
    assert steps._connect(connection, 255, ("::1", 80)) is None
    assert connection.error.errno == errno.EAFNOSUPPORT
    assert connection.routed is False


@needs_network
def test_no_way_to_any_address(seen_there):
    """Where that is all there is, it cannot be reached: status 4."""
    document = seen_there["192.0.2.1:80"]
    assert document["status"] == NOT_CONNECTED
    assert "this machine has no IPv4 route to there" in document["verdict"]


# TLS.


def test_tls_that_is_well(seen, ca):
    """Status 0: version, cipher, names, issuer and days of the certificate, greeting behind it."""
    issued = authority().issue_cert(NAME, "*.b.test", not_after=NOW + timedelta(days=63.5))
    with serving(tls(issued, b"* OK IMAP4rev1\r\n")) as peer:
        status, lines, said = seen(peer, *with_tls(ca))
    assert status == WELL
    text = "\n".join(lines)
    assert re.search(rf"TLS {LOOPBACK}:{peer[1]}: TLSv1\.3, TLS_\w+, [\d.]+ s", text)
    assert f"certificate for {NAME}, *.b.test\n" in text
    assert "issued by trustme" in text
    assert re.search(r"valid from 2000-01-01 to 20\d\d-\d\d-\d\d, 63 more days", text)
    assert '"* OK IMAP4rev1"' in lines[-1]
    assert said == (
        "reachable: 1 address answers; TLS is fine, the certificate is good for 63 more days"
    )


def test_alpn(known, ca):
    """What was agreed on of --alpn."""
    context = server_context()
    context.set_alpn_protocols(["h2"])
    with serving(partial(context.wrap_socket, server_side=True)) as peer:
        document = known(peer, *with_tls(ca, "--alpn", "h2,http/1.1"))
    assert document["connections"][0]["tls"]["alpn"] == "h2"


def test_certificate_that_expires_soon(seen, ca):
    """Status 1 within --warn-days."""
    issued = authority().issue_cert(NAME, not_after=NOW + timedelta(days=9.5))
    with serving(tls(issued)) as peer:
        assert seen(peer, *with_tls(ca, "--warn-days", "9"))[0] == WELL
        status, _, said = seen(peer, *with_tls(ca))
    assert status == FLAWED
    assert said == "reachable, but the certificate expires in 9 days"


def expired():
    return authority().issue_cert(NAME, not_after=NOW - timedelta(days=12.5))


def expired_and_of_another():
    return authority().issue_cert("a.test", "b.test", not_after=NOW - timedelta(hours=1))


def not_yet_valid():
    return authority().issue_cert(NAME, not_before=NOW + timedelta(days=2))


def of_another():
    return authority().issue_cert(*[f"{letter}.test" for letter in "abcdef"])


def of_nobody_known():
    return trustme.CA(organization_name="Nobody").issue_cert(NAME)


class SelfSigned:
    """A certificate that has signed itself, as trustme's."""

    @staticmethod
    def configure_cert(context):
        signer = trustme.CA()
        with signer.private_key_pem.tempfile() as key, signer.cert_pem.tempfile() as pem:
            context.load_cert_chain(pem, key)


@pytest.mark.parametrize(
    ("make", "flaws"),
    [
        (expired, [r"expired since [\d-]{10}, 12 days ago"]),
        (
            expired_and_of_another,
            [
                r"expired since [\d-]{10}, less than a day ago",
                r"not valid for server\.test: it is for a\.test, b\.test",
            ],
        ),
        (not_yet_valid, [r"not valid before [\d-]{10}"]),
        (
            of_another,
            [r"not valid for server\.test: it is for a\.test, b\.test, c\.test, d\.test, 2 more"],
        ),
        (of_nobody_known, [r"signed by Nobody, whom this machine does not trust; or its server.*"]),
        (
            SelfSigned,
            ["self-signed: .*", r"not valid for server\.test: it names no host at all"],
        ),
    ],
    ids=["expired", "expired, another's", "not yet", "another's", "unknown CA", "self-signed"],
)
def test_certificate_that_is_refused(seen, known, ca, make, flaws):
    """Status 1: all that is wrong with it in words, and what it says although it was refused."""
    with serving(tls(make())) as peer:
        status, lines, said = seen(peer, *with_tls(ca))
        document = known(peer, *with_tls(ca))
    handshake = document["connections"][0]["tls"]
    assert status == FLAWED
    assert len(handshake["flaws"]) == len(flaws)
    for flaw, pattern in zip(handshake["flaws"], flaws, strict=True):
        assert re.fullmatch(pattern, flaw)
        assert f"the certificate is {flaw}" in said
    assert handshake["version"] == "TLSv1.3"
    assert handshake["verified"] is False
    assert len(handshake["certificate"]["sha256"]) == 64
    assert handshake["error"]["type"] == "CertificateError"
    assert "certificate refused" in " ".join(lines)


@pytest.mark.parametrize("name", ["127.0.0.1", "127.1", "::1"])
def test_certificate_of_an_address(name):
    """A certificate is for an address however that is written."""
    issued = certificate.Certificate("", ["127.0.0.1", "0:0:0:0:0:0:0:1"], "", 0, 9e9, 9, "")
    assert list(certificate._own_flaws(issued, name, 1)) == []
    issued.names = ["*.0.0.1", "10.0.0.1"]
    assert len(list(certificate._own_flaws(issued, name, 1))) == 1


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("a.test", "A.test", True),
        ("a.test", "*.test", True),
        ("a.b.test", "*.test", False),
        ("b.test", "*.b.test", False),
        ("A.TEST.", "a.test", True),
        ("bücher.test", "xn--bcher-kva.test", True),
        ("a.test", "10.0.0.1", False),
    ],
)
def test_names_of_certificates(name, pattern, fits):
    """A wildcard stands for one label on the left: RFC 9525."""
    assert certificate._is_for(name, pattern) is fits


def test_certificate_of_the_chain_that_is_wrong():
    """A code that the certificate's own fields do not explain is about what signed it."""
    issued = certificate.Certificate("", [NAME], "Root", 0, 9e9, 9, "")
    error = ssl.SSLCertVerificationError()
    for code, text in [(10, "vouches for it has expired"), (19, "signed by Root"), (23, "revoked")]:
        error.verify_code, error.verify_message = code, "revoked\n"
        assert text in certificate.flaws(issued, error, NAME, 1)[0]
        assert len(certificate.flaws(issued, error, NAME, 1)) == 1
    assert certificate.flaws(None, error, NAME, 1) == [r"revoked\n"]


def test_certificate_that_cannot_be_read(seen, known, ca):
    """Where the other connections fail, OpenSSL's word for what is wrong is all there is."""

    def once():
        talks = iter([tls(expired())])

        def talk(sock):
            return next(talks, socket.socket.close)(sock)

        return talk

    with serving(once()) as one, serving(once()) as other:
        status, lines, said = seen(one, *with_tls(ca))
        document = known(other, *with_tls(ca))
    assert status == FLAWED
    assert "certificate certificate has expired" in lines
    assert said == "reachable, but certificate has expired"
    assert document["connections"][0]["tls"]["certificate"] is None


def test_tls_on_some_addresses(seen, ca, monkeypatch):
    """One machine of many that does not speak TLS is named: status 1."""
    with serving(tls()) as one, serving(says(b"220 mail.test ESMTP\r\n")) as other:
        names_stand_for(monkeypatch, one, other)
        status, _, said = seen("mail.test:80", *with_tls(ca))
    assert status == FLAWED
    assert said.startswith("reachable, but TLS fails: this port does not speak TLS")
    assert said.endswith(f" ({LOOPBACK}:{other[1]})")


def test_several_certificates(seen, ca, monkeypatch):
    """One machine of many with an old certificate is found, and named."""
    good, old = authority().issue_cert(NAME), expired()
    with serving(tls(good)) as one, serving(tls(good)) as two, serving(tls(old)) as three:
        names_stand_for(monkeypatch, one, two, three)
        status, lines, said = seen("web.test:80", *with_tls(ca))
    assert status == FLAWED
    text = "\n".join(lines)
    assert f"of {LOOPBACK}:{one[1]}, {LOOPBACK}:{two[1]}:" in text
    assert f"of {LOOPBACK}:{three[1]}:" in text
    assert re.fullmatch(rf"reachable, but the certificate is expired .* \({LOOPBACK}:\d+\)", said)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_server_that_wants_a_certificate(seen, ca, version):
    """Status 5: TLS 1.2 refuses in the handshake, 1.3 after it."""
    settings = {"verify_mode": ssl.CERT_REQUIRED, "maximum_version": version}
    with serving(tls(**settings)) as peer:
        status, _, said = seen(peer, *with_tls(ca, "--first-byte", "5"))
    assert status == NO_TLS
    assert "is reachable, but TLS fails: " in said
    wanted = "wants a client certificate" if version == ssl.TLSVersion.TLSv1_2 else "wants a cert"
    assert wanted in said
    assert "load_cert_chain" not in said


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (answers(b"HTTP/1.1 400 Bad Request\r\n"), "this port does not speak TLS but plain HTTP"),
        (says(b"220 mail.test ESMTP\r\n"), "this port does not speak TLS, or only after a request"),
        (lambda sock: sock.close(), "the other side"),
    ],
    ids=["HTTP", "SMTP", "closes"],
)
def test_port_without_tls(seen, ca, talk, why):
    """Status 5, and what it speaks instead as far as that can be known."""
    with serving(talk) as peer:
        status, lines, said = seen(peer, *with_tls(ca))
    assert status == NO_TLS
    assert f"is reachable, but TLS fails: {why}" in said
    assert not any("first byte" in line for line in lines)


def test_port_where_tls_comes_later(seen, ca, monkeypatch):
    """On a port known for STARTTLS, that is what is said."""
    monkeypatch.setattr(verdict, "_TLS_LATER", {80: "STARTTLS"})
    with serving(says(b"220 mail.test ESMTP\r\n")) as peer:
        names_stand_for(monkeypatch, peer)
        status, lines, said = seen("mail.test:80", *with_tls(ca))
    assert status == NO_TLS
    assert said.endswith("this port begins in plain text, and TLS comes after STARTTLS")
    assert 'it says "…ail.test ESMTP"' in " ".join(" ".join(lines).split())


def test_handshake_that_hangs(seen, ca):
    """Status 5 after --timeout."""
    with testing.never_answers() as peer:
        status, lines, said = seen(peer, *with_tls(ca, "--timeout", SOON))
    assert status == NO_TLS
    assert "timed out (--timeout 0.05)" in " ".join(lines)
    assert "does not speak TLS on this port" in said


def test_tls_by_itself(monkeypatch):
    """TLS is spoken on ports known for it, and with https; --no-tls and http say no."""
    asked = []
    monkeypatch.setattr(steps, "take", lambda *args: asked.append(args[2]))
    words = ["x.test:443", "https://x.test:80", "x.test:80", "http://x.test:443"]
    for word in [*words, "x.test:443 --no-tls"]:
        with suppress(AttributeError):
            main(["probe", *word.split()])
    assert [bool(one.context) for one in asked] == [True, True, False, False, False]
    assert asked[0].server_name == "x.test"


# The document.

CONNECTION = {"address", "family", "seconds", "rtt", "routed", "error", "tls", "first_byte"}
HANDSHAKE = set("seconds version cipher alpn verified certificate flaws answered error".split())
CERTIFICATE = set("subject names issuer not_before not_after days_left sha256".split())
FINDINGS = {"target", "host", "port", "server_name", "look_up", "connections", "interrupted"}


def test_document(known, ca):
    """The keys are always the same ones, and documented."""
    with serving(tls()) as peer:
        document = known(peer, *with_tls(ca))
    assert set(document) == FINDINGS | {"problems", "verdict", "status"}
    (connection,) = document["connections"]
    assert set(document["look_up"]) == {"seconds", "addresses", "error"}
    assert set(connection) == CONNECTION
    assert set(connection["tls"]) == HANDSHAKE
    assert set(connection["tls"]["certificate"]) == CERTIFICATE
    assert set(connection["first_byte"]) == {"seconds", "end", "size", "text", "error"}
    page = (CHECKOUT / "docs" / "probe.md").read_text()
    every = {*document, *connection, *HANDSHAKE, *CERTIFICATE, *connection["first_byte"]}
    assert [key for key in every if f"`{key}`" not in page] == []


def test_document_of_a_failure(known):
    """Errors are what to_dict() says of them."""
    with testing.refuses() as peer:
        document = known(peer)
    told = document["connections"][0]["error"]
    assert told["code"] == "ECONNREFUSED"
    assert told["address"] == list(peer)
    assert document["problems"] == [document["verdict"].partition("reached: ")[2]]


def test_document_without_addresses(known):
    """Where the look-up fails, its error is told, and nothing is tried."""
    safesocket.configure(family="ipv6")
    document = known((LOOPBACK, 80))
    assert document["status"] == NOT_FOUND
    assert document["look_up"]["error"]["operation"] == "getaddrinfo"
    assert (document["look_up"]["addresses"], document["connections"]) == ([], [])
    assert document["verdict"].startswith(f"{LOOPBACK} cannot be looked up")


def test_nothing_is_left_behind(ca):
    """Every socket of a probe is closed, whatever came of it."""
    before = descriptors()
    talks = [tls(), tls(expired()), says(b"220 mail.test ESMTP\r\n"), lambda sock: sock.close()]
    for talk in talks:
        with serving(talk) as (host, port):
            main(["probe", f"{host}:{port}", *with_tls(ca)])
    with testing.refuses() as (host, port):
        main(["probe", f"{host}:{port}"])
    assert descriptors() == before


# As a process.


def command(*words):
    return [sys.executable, "-m", "safesocket", "probe", *words]


def environment():
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SAFESOCKET_")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "x"}


def on_terminal(*words, until=""):
    """Run the command, with a terminal for stderr; stop it once *until* is shown there.

    Return its exit status, what it wrote to stdout, which is a pipe, and to the terminal.
    """
    ours, theirs = pty.openpty()
    how = {"env": environment(), "stdout": subprocess.PIPE, "stderr": theirs}
    with subprocess.Popen(command(*words), **how) as process:
        os.close(theirs)
        shown = ""
        with open(ours, "rb", buffering=0) as screen, suppress(OSError):  # EIO: end of file
            while more := screen.read(65536):
                shown += more.decode()
                if until and until in shown:
                    process.send_signal(signal.SIGINT)
                    until = ""
        output, _ = process.communicate(timeout=GUARD)
    return process.returncode, output.decode(), shown


def is_one_line(shown, line):
    """Tell whether *line* is all that a terminal showed, and is gone; N are whole seconds."""
    *told, gone, rest = shown.removeprefix("\r").split("\r")
    return {re.sub(r"… \d+ s", "… N s", one) for one in told} == {line} and not (
        gone + rest
    ).strip()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_interrupted(options):
    """Ctrl-C ends it quietly, with status 130 and what is known so far."""
    with testing.never_answers() as (host, port):
        words = [f"{host}:{port}", "--first-byte", "forever", *options]
        status, output, shown = on_terminal(*words, until="… ")
    assert status == 130
    assert is_one_line(shown, f"wait for a greeting from {host}:{port} … N s of 30 s")
    if options:
        document = json.loads(output)
        assert (document["interrupted"], document["status"]) == (True, 130)
        assert document["connections"][0]["first_byte"] is None
    else:
        assert output.startswith(f"connect      {host}:{port}: connected, ")
        assert output.endswith("\nverdict: interrupted: what is known so far is above\n")


@pytest.fixture
def at_terminal(monkeypatch, capsys):
    """Probe with a terminal for stderr, and little patience; Ctrl-C comes once *until* is shown.

    Return the exit status, what went to stdout, and what the terminal showed.
    """
    monkeypatch.setattr(progress, "_PATIENCE", LIMIT)

    def probed(*words, until=None):
        with terminal(until) as (stderr, shown), monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            status = main(["probe", *words])
        return status, capsys.readouterr().out, shown[0]

    return probed


def test_interrupted_while_it_connects(at_terminal):
    """What was not known yet is not told."""
    with testing.never_accepts() as (host, port):
        status, output, shown = at_terminal(f"{host}:{port}", "--json", until="… ")
    assert status == 130
    assert is_one_line(shown, f"connect to {host}:{port} … N s of 10 s")
    assert json.loads(output)["connections"] == []


def test_interrupted_while_it_shakes_hands(at_terminal):
    """What is known is told: there is a connection, and nothing of TLS."""
    with testing.never_answers() as (host, port):
        status, output, shown = at_terminal(f"https://{host}:{port}", "--json", until="… ")
    assert status == 130
    assert is_one_line(shown, f"TLS handshake with {host}:{port} … N s of 10 s")
    (connection,) = json.loads(output)["connections"]
    assert (connection["error"], connection["tls"]) == (None, None)


def test_progress(at_terminal):
    """Who waits for more than a second at a terminal sees for what; then the line is gone."""
    with testing.never_answers() as (host, port):
        status, output, shown = at_terminal(f"{host}:{port}", "--first-byte", "0.2")
    assert status == WELL
    assert is_one_line(shown, f"wait for a greeting from {host}:{port} … N s of 0.2 s")
    assert "\r" not in output


def test_no_progress_without_a_wait(at_terminal, monkeypatch):
    """Who does not wait sees nothing of it."""
    monkeypatch.setattr(progress, "_PATIENCE", GUARD)
    with serving(says(b"hello")) as (host, port):
        assert at_terminal(f"{host}:{port}")[2] == ""


def test_probe_does_not_install(seen):
    """The stdlib's sockets stay what they are."""
    with testing.closes() as peer:
        seen(peer)
    assert not safesocket.is_installed()
    assert errors.SafeSocketError.__name__ not in repr(socket.socket.__mro__)


def test_help_has_the_statuses(capsys):
    """--help documents the exit statuses and the ports."""
    with pytest.raises(SystemExit):
        probe.main(["--help"])
    text = capsys.readouterr().out
    assert re.findall(r"(?m)^  (\d+) ", text) == ["0", "1", "2", "3", "4", "5", "130"]
    assert str(max(target.TLS_PORTS)) in text
    assert max(map(len, text.splitlines())) <= 80


def test_escaped():
    """Whatever strangers say is one line."""
    assert escaped(b"a\r\nb\x9b\r\n") == r"a\r\nb\x9b"
