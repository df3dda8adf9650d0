"""profile(): what it says was waited for, against a clock of the test's own; what it is made of.

Peers are real. A wait of a socket with a timeout of its own, and of TLS, is looked at from outside
every few milliseconds; all others are timed exactly.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from html.parser import HTMLParser

import pytest

import safesocket
import safesocket.ssl as safe_ssl
from safesocket import _recorder, errors
from safesocket._peers import Wait, serve
from safesocket._profiling import tally, timeline
from safesocket.testing import drips, echoes, never_accepts, never_answers, refuses, stops_reading
from tests.helpers import GUARD, LIMIT, calling, tcp_pair
from tests.tls import NAME, client_context, drop_in, server_context, under_install

PAUSE = 0.05  # seconds that the slow peer takes for each answer
FORMS = [pytest.param(drop_in, id="drop-in"), pytest.param(under_install, id="installed")]
every_form = pytest.mark.parametrize("form", FORMS)


class Clock:
    """Seconds that the test has seen pass for each peer and phase."""

    def __init__(self):
        self.spent = {}

    @contextmanager
    def timed(self, address, phase):
        """Count how long the block takes; what a peer does to it is the profile's business."""
        started = time.perf_counter()
        with suppress(OSError):
            yield
        key = "{}:{}".format(*address), phase
        self.spent[key] = self.spent.get(key, 0.0) + time.perf_counter() - started

    def about(self):
        """What a profile has to say: ± 5 %, and a millisecond for the clocks."""
        return {key: pytest.approx(spent, rel=0.05, abs=0.001) for key, spent in self.spent.items()}

    def said_by(self, found):
        """What a profile says of what the test has timed."""
        said = {(row.peer, row.phase): row.waited for row in found.rows()}
        return {key: said.get(key) for key in self.spent}


def resets_late():
    """A peer that resets each connection after a while."""

    def script(conn):
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield Wait(seconds=PAUSE)

    return serve(script, socket.AF_INET)


def row_of(found, address, phase):
    name = address if isinstance(address, str) else "{}:{}".format(*address)
    return next(row for row in found.rows() if (row.peer, row.phase) == (name, phase))


def visit_slow(make, address, clock, timeout):
    with make.create_connection(address, *timeout) as sock:
        for _ in range(10):
            with clock.timed(address, "read"):
                sock.recv(1)


def visit_flaky(make, address, clock, timeout):
    for _ in range(5):
        with make.create_connection(address, *timeout) as sock, clock.timed(address, "read"):
            sock.recv(1)


def visit_dead(make, address, clock, timeout):
    for _ in range(3):
        with clock.timed(address, "connect"):
            make.create_connection(address, *timeout)


def agreed(attempts, visit):
    """Return a profile, made by *visit*, that agrees with the test's clock at one of *attempts*.

    What looks at waits from outside comes late on a machine that is busy with other things.
    """
    for left in reversed(range(attempts)):
        clock = Clock()
        found = visit(clock)
        if not left or clock.said_by(found) == clock.about():
            break
    assert clock.said_by(found) == clock.about()
    return found


@every_form
@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own timeouts"])
def test_profile_of_three_peers(form, own, as_before):
    """One peer slow, one flaky, one dead: the profile says what was really waited for each."""
    safesocket.configure(connect=0.1)
    usual, short = ((5.0,), (0.1,)) if own else ((), ())
    with drips(PAUSE) as slow, resets_late() as flaky, never_accepts() as dead, form() as made:

        def visited(clock):
            with safesocket.profile() as found:
                visit_slow(made.socket, slow, clock, usual)
                visit_flaky(made.socket, flaky, clock, usual)
                visit_dead(made.socket, dead, clock, short)
            return found

        found = agreed(3 if own else 1, visited)
    assert row_of(found, flaky, "read").errors == {"PeerResetError": 5}
    assert row_of(found, dead, "connect")[-2:] == (3, {"ConnectTimeoutError": 3})
    assert row_of(found, dead, "connect").waits == 3
    assert row_of(found, slow, "read").timeouts == 0
    assert [one.operation for one in found.saved()] == ([] if own else ["connect"])


@contextmanager
def tls_server(pause=PAUSE):
    """A peer that takes a while for the handshake and for each byte; yields its address."""

    def answer():
        conn, _ = listener.accept()
        time.sleep(PAUSE)  # this is what the client waits for
        with context.wrap_socket(conn, server_side=True) as tls:
            with suppress(OSError):  # the client may have enough
                for _ in range(10):
                    time.sleep(pause)
                    tls.sendall(b".")

    context = server_context()
    with socket.create_server(("127.0.0.1", 0)) as listener, calling(answer) as future:
        yield listener.getsockname()
        future.result(GUARD)


@every_form
@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own timeouts"])
def test_profile_of_tls(form, own, as_before):
    """The same over TLS: the handshake and the reads, of the host that was asked for."""

    def visited(clock):
        with tls_server() as address, form() as made, safesocket.profile() as found:
            peer = NAME, address[1]
            with made.socket.create_connection(address, *((5.0,) if own else ())) as sock:
                context = client_context(made.ssl)
                with clock.timed(peer, "handshake"):
                    tls = context.wrap_socket(sock, server_hostname=NAME)
                for _ in range(10):
                    with clock.timed(peer, "read"):
                        assert tls.recv(1) == b"."
                tls.close()
        return found

    found = agreed(3, visited)
    waits = {row.phase: row.waits for row in found.rows() if row.peer.startswith(NAME)}
    assert waits == {"handshake": 1, "read": pytest.approx(10, abs=1)}


def test_profile_counts_each_wait_in_c_once():
    """Waits one after the other of a socket with a timeout of its own are not taken for one."""
    with drips(0.03) as address, safesocket.create_connection(address, 5) as sock:
        sock.recv(1)
        with safesocket.profile() as found:
            for _ in range(10):
                sock.recv(1)
    row = row_of(found, address, "read")
    assert row.waits == pytest.approx(10, abs=1)
    assert row.longest < row.waited / 2


def test_profile_takes_a_timeout_s_word():
    """A wait in C that has timed out lasted as long as its error says."""
    with never_answers() as address, safesocket.create_connection(address, 0.15) as sock:
        with safesocket.profile() as found, pytest.raises(errors.ReadTimeoutError) as caught:
            sock.recv(1)
    row = row_of(found, address, "read")
    assert row.waited == pytest.approx(caught.value.elapsed, abs=1e-6)
    assert (row.waits, row.timeouts) == (1, 1)


def test_profile_of_a_tls_timeout_counts_it_once():
    """A wait under the kernel's limit, seen from outside and told by the operation, is one."""
    with tls_server(0.3) as address, safesocket.create_connection(address) as sock:
        tls = client_context(safe_ssl).wrap_socket(sock, server_hostname=NAME)
        safesocket.set_timeouts(tls, read=0.03)
        with safesocket.profile() as found, pytest.raises(errors.ReadTimeoutError):
            tls.recv(1)
        tls.close()
    (row,) = found.rows()
    assert row.waits == 1
    assert 0.03 <= row.waited <= found.seconds


def test_profile_of_writes():
    """Waits for room are waits, and a limit that ends one is a timeout."""
    safesocket.configure(write=0.1)
    clock = Clock()
    with stops_reading() as address, safesocket.create_connection(address) as sock:
        with safesocket.profile() as found, clock.timed(address, "write"):
            sock.sendall(bytes(50_000_000))
    row = row_of(found, address, "write")
    assert 0.1 <= row.longest <= row.waited <= sum(clock.spent.values())
    assert row.errors == {"WriteTimeoutError": 1}
    assert found.saved()[0][2:] == (
        ("sendall", "{}:{}".format(*address), "write", 0.1, "configure", 1)
    )


def test_profile_of_a_server():
    """What a server waits for is its clients: accept and reads, whoever they are."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        def be_served():
            accepts.wait(GUARD)
            time.sleep(PAUSE)
            with socket.create_connection(address) as client:
                reads.wait(GUARD)
                time.sleep(PAUSE)
                client.sendall(b".")

        accepts, reads, clock = threading.Event(), threading.Event(), Clock()
        with calling(be_served), safesocket.profile() as found:
            with clock.timed(address, "accept"):
                accepts.set()
                accepted, _ = listener.accept()
            with accepted:
                reads.set()
                accepted.recv(1)
    name = "clients of {}:{}".format(*address)
    assert {(row.peer, row.phase, row.waits) for row in found.rows()} == {
        (name, "accept", 1),
        (name, "read", 1),
    }
    assert row_of(found, name, "accept").waited == pytest.approx(
        sum(clock.spent.values()), rel=0.05
    )


def test_profile_of_look_ups():
    """A look-up is a phase of the host that was asked for, and its failure an error of it."""
    with safesocket.profile() as found:
        with echoes() as (_, port):
            safesocket.create_connection(("localhost", port)).close()
        with pytest.raises(errors.HostNotFoundError):
            safesocket.gethostbyname("no.such.name.invalid")
    assert row_of(found, f"localhost:{port}", "resolve").waits == 1
    assert row_of(found, f"localhost:{port}", "connect").waits == 1
    assert sum(row_of(found, "no.such.name.invalid", "resolve").errors.values()) == 1
    assert found.to_dict()["looked_up"] > 0


def test_profile_counts_a_call_that_fails_once():
    """create_connection fails once, however many addresses it has tried, raced or in turn."""
    with refuses() as (_, port):
        for racing in (True, False):
            safesocket.configure(happy_eyeballs=racing)
            with safesocket.profile() as found, pytest.raises(errors.ConnectRefusedError):
                safesocket.create_connection(("localhost", port))
            assert row_of(found, f"localhost:{port}", "connect").errors == {
                "ConnectRefusedError": 1
            }


def test_profile_counts_what_is_told_twice_once():
    """An error that the stdlib's own code makes another one of, here create_server's, is one."""
    with refuses() as address, safesocket.profile() as found:
        with pytest.raises(errors.AddressInUseError):
            safesocket.create_server(address)
    assert [row.errors for row in found.rows()] == [{"AddressInUseError": 1}]


def test_profile_has_the_line_to_fix():
    """Saved by a default is who has no timeout of his own; his line is told, and how often."""
    safesocket.configure(read=LIMIT)
    with never_answers() as address, safesocket.profile() as found:
        with safesocket.create_connection(address) as sock:
            for _ in range(3):
                with suppress(TimeoutError):
                    sock.recv(1)
            here = inspect.currentframe().f_lineno - 1
            sock.settimeout(LIMIT)
            with suppress(TimeoutError):
                sock.recv(1)
            sock.settimeout(None)
            safesocket.set_timeouts(sock, read=LIMIT)
            with suppress(TimeoutError):
                sock.recv(1)
            with safesocket.deadline(LIMIT), suppress(TimeoutError):
                sock.recv(1)
    (saved,) = found.saved()
    assert saved == (
        *(__file__, here, "recv", "{}:{}".format(*address)),
        *("read", LIMIT, "configure", 3),
    )
    assert row_of(found, address, "read").timeouts == 6


def test_profiles_see_their_own_span():
    """Of nested profiles each has what happened in its block; a wait is cut at both ends."""
    with drips(PAUSE) as address, safesocket.create_connection(address) as sock:
        sock.recv(1)
        with safesocket.profile() as outer:
            sock.recv(1)
            with safesocket.profile() as inner:
                sock.recv(1)
            sock.recv(1)
    assert row_of(outer, address, "read").waits == 3
    assert row_of(inner, address, "read").waits == 1
    with tcp_pair() as (client, accepted), calling(client.recv, 1):
        time.sleep(PAUSE)
        with safesocket.profile() as found:
            time.sleep(PAUSE)
            (row,) = found.rows()
            assert row.waited == pytest.approx(found.seconds, rel=0.1)
        accepted.sendall(b".")
    (row,) = found.rows()
    assert (row.waits, row.phase) == (1, "read")
    assert row.waited == pytest.approx(found.seconds, rel=0.05)


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_profile_can_be_read_while_it_runs(timeout):
    """What goes on is counted as far as it has come, and once when it is over."""
    with tcp_pair() as (client, accepted):
        client.settimeout(timeout)
        with safesocket.profile() as found, calling(client.recv, 1) as future:
            before = 0.0
            for _ in range(3):
                time.sleep(PAUSE)
                (row,) = found.rows()
                assert row.waited > before
                before = row.waited
            accepted.sendall(b".")
            future.result(GUARD)
    assert row.waited <= found.rows()[0].waited <= found.seconds
    assert found.rows()[0].waits == 1


def test_profile_of_many_threads():
    """No wait is lost where threads wait at once."""
    with echoes() as address, safesocket.profile() as found:

        def ask():
            with safesocket.create_connection(address) as sock:
                for _ in range(200):
                    sock.sendall(b".")
                    sock.recv(1)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= row_of(found, address, "read").waits <= 1600
    assert row_of(found, address, "connect").waits == 8


def test_profiles_of_many_threads():
    """Profiles that begin while others end are not left without who looks."""

    def profiled():
        for _ in range(10):
            with safesocket.profile():
                pass

    threads = [threading.Thread(target=profiled) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _recorder.recording == []
    test_profile_takes_a_timeout_s_word()


def test_fork_s_child_begins_anew():
    """In a fork's child a profile has what the child waits for, and the parent's has not."""
    with drips(PAUSE) as address, safesocket.profile() as found:
        with safesocket.create_connection(address) as sock:
            sock.recv(1)
            sock.recv(1)
        before = found.rows()
        readable, writable = os.pipe()
        child = os.fork()
        if not child:
            try:
                assert found.rows() == []
                with safesocket.create_connection(address, 5) as sock:
                    sock.recv(1)
                    sock.recv(1)
                os.write(writable, b"%f" % row_of(found, address, "read").waited)
            finally:
                os._exit(0)
        os.close(writable)
        with open(readable) as said:
            assert float(said.read()) == pytest.approx(PAUSE, rel=0.5)
        os.waitpid(child, 0)
        assert found.rows() == before


def test_profile_keeps_nothing_alive():
    """Neither a socket nor an error is held, and outside a profile nothing is recorded."""
    with never_answers() as address, safesocket.profile() as found:
        sock = safesocket.create_connection(address)
        sock.settimeout(LIMIT)
        with pytest.raises(TimeoutError) as caught:
            sock.recv(1)
        gone = weakref.ref(sock), weakref.ref(caught.value)
        sock.close()
        del sock, caught
        gc.collect()
        assert [one() for one in gone] == [None, None]
    assert (_recorder.recording, _recorder.log) == ([], [])
    with drips(0.001) as address, safesocket.create_connection(address) as sock:
        sock.recv(1)
        sock.recv(1)
    assert _recorder.log == []
    assert found.rows()


def test_profile_is_of_one_block():
    """It cannot be read before it has begun, nor begun twice."""
    found = safesocket.profile()
    with pytest.raises(RuntimeError, match="has not begun"):
        found.rows()
    with found:
        pass
    with pytest.raises(RuntimeError, match="one block"), found:
        pass


def test_names_are_redacted():
    """A profile shows of hosts what configure(redact=) makes of them, in every form."""
    safesocket.configure(redact=lambda host: "hidden")
    with refuses() as address, safesocket.profile() as found:
        with pytest.raises(errors.ConnectRefusedError):
            safesocket.create_connection(address)
    assert [row.peer for row in found.rows()] == [f"hidden:{address[1]}"]
    for text in (str(found), found.to_html(), json.dumps(found.to_dict())):
        assert "127.0.0.1" not in text


def test_names_follow_configure():
    """A name that a profile has seen is hidden from the moment at which it is to be."""
    with drips(0.01) as address, safesocket.create_connection(address) as sock:
        with safesocket.profile() as found:
            sock.recv(1)
            sock.recv(1)
            safesocket.configure(redact=lambda host: "hidden")
            sock.recv(1)
    assert {row.peer for row in found.rows()} == {f"127.0.0.1:{address[1]}", f"hidden:{address[1]}"}


# --- What it is made of -------------------------------------------------------------------------


def waits(count, peer="a:1", phase="read", took=1.0):
    return [part for n in range(count) for part in (peer, phase, 10.0 + n, 10.0 + n + took)]


def test_sums_are_exact_whatever_is_left_out():
    """The timeline keeps the longest waits, also of a clock with few values; the sums keep all."""
    sums = tally.Tally(0.0)
    for _ in range(60):
        sums.add(waits(1000))
    sums.add(waits(10, took=2.0))
    sums.add([*waits(5, took=3.0), *waits(1, "b:1", "write", 4.0)])
    assert sums.rows()[0][:5] == ("a:1", "read", 60_015, 60_035.0, 3.0)
    kept = sums.timeline.waits()
    assert len(kept) == timeline.MOST_WAITS
    assert sorted(wait.ended - wait.started for wait in kept)[-16:] == [2.0] * 10 + [3.0] * 5 + [
        4.0
    ]
    assert sums.timeline.count == 60_016


def test_waits_before_the_beginning_are_cut():
    """A wait that began before the profile counts from there."""
    sums = tally.Tally(100.0)
    sums.add(["a:1", "read", 50.0, 101.0, "a:1", "read", 101.0, 102.0])
    sums.add(["a:1", "read", 99.0, 102.0])
    assert sums.rows()[0][2:5] == (3, 4.0, 2.0)


def test_peers_are_bounded(monkeypatch):
    """Who talks to very many peers has a row for the rest of them."""
    monkeypatch.setattr(tally, "MOST_PEERS", 3)
    sums = tally.Tally(0.0)
    for n in range(5):
        sums.add(waits(1, f"host{n}:1"))
    sums.add(waits(1, "host0:1", "write"))
    assert {row.peer for row in sums.rows()} == {"host0:1", "host1:1", "host2:1", tally.THE_REST}
    assert sum(row.waits for row in sums.rows()) == 6


# --- How it is shown ----------------------------------------------------------------------------


@contextmanager
def profile_of(log, error=None, name="a", filename="/srv/app.py"):
    """A profile with the waits in *log*, and an *error*'s failure, for *name*."""
    with safesocket.profile() as found:
        pass
    sums = found._session().tally()
    sums.add([part + sums.began if isinstance(part, float) else part for part in log])
    if error is not None:
        sums.fail(f"{name}:1", "read", error, sums.began + 1)
        sums.save(f"{name}:1", error, (filename, 7))
    yield found


def timed_out(source="default"):
    error = errors.ReadTimeoutError("timed out")
    error.operation, error._field, error.timeout, error.timeout_source = (
        "recv",
        "read",
        300.0,
        source,
    )
    return error


def test_table():
    """One table of peers and phases, then the list to fix and what to do."""
    log = [*waits(2, "b:2", "connect"), *waits(1, took=5.0), *waits(3, "b:2", took=0.0001)]
    with profile_of(log, timed_out()) as found:
        said = str(found)
    assert [re.split(r"\s{2,}", line) for line in said.splitlines()[2:6]] == [
        ["peer", "phase", "waits", "waited s", "longest", "timeouts", "errors"],
        ["a:1", "read", "1", "5.000", "5.000", "1", "1 ReadTimeoutError"],
        ["b:2", "connect", "2", "2.000", "1.000"],
        ["", "read", "3", "<0.001", "<0.001"],
    ]
    assert said.startswith("7.000 s waited for 2 peers, in ")
    assert "To fix: 1 line saved by a default\n" in said
    assert re.search(r"\n +1  /srv/app.py:7 +recv a:1 +read 300 s \(default\)$", said)


def test_table_is_narrow_and_short():
    """Whatever the names are, no line is longer than 100 columns; of very many rows it says so."""
    log = [
        part for n in range(100) for part in waits(1, f"{'long-name.' * 20}{n}:443", took=n + 1.0)
    ]
    with profile_of(log, timed_out(), "x" * 200, f"/{'deep/' * 50}app.py") as found:
        lines = str(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert "and 41 more" in lines
    assert re.search(r" /deep/[dep/]+…[dep/]+app\.py:7  recv x+…x+:1  ", lines[-1])


class Page(HTMLParser):
    """The parts of a page that matter to a test."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.words = [], [], []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words.append(data)


EVIL = "</script><script>alert(1)</script><!--data--><img src=x onerror=alert(1)>&amp;"


def test_page_is_complete_in_itself():
    """Nothing on it comes from elsewhere, its policy allows nothing, its data are those of JSON."""
    with profile_of(waits(3), timed_out()) as found:
        text = found.to_html()
    page = Page(text)
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & attrs.keys()]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    policies = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
    assert policies[0].startswith("default-src 'none'; ")
    data = json.loads(page.scripts[0])
    assert [peer["name"] for peer in data["peers"]] == ["a:1"]
    assert data["waits"] == [[0, 4, 10.0, 1.0], [0, 4, 11.0, 1.0], [0, 4, 12.0, 1.0]]
    assert data["failures"] == [[0, 4, 1.0, "ReadTimeoutError", str(timed_out())]]
    assert "To fix: 1 line saved by a default" in "".join(page.words)


def test_page_escapes_names():
    """Host names come from strangers: none of them becomes a tag, or a script."""
    with profile_of(waits(1, f"{EVIL}:1"), timed_out(), EVIL, f"/srv/{EVIL}.py") as found:
        page = Page(found.to_html())
    assert len(page.scripts) == 2
    assert "img" not in [tag for tag, _ in page.tags]
    assert json.loads(page.scripts[0])["peers"][0]["name"] == f"{EVIL}:1"
    assert f"{EVIL}:1" in page.words
    assert not re.search("[<>&]", page.scripts[0])


@pytest.mark.parametrize("count", [0, 1, 30_000])
def test_page_of_any_size(count):
    """A page of nothing, and one of more than can be drawn."""
    with profile_of(waits(count, took=0.5)) as found:
        page = Page(found.to_html())
    data = json.loads(page.scripts[0])
    assert len(data["waits"]) == min(count, timeline.MOST_WAITS)
    said = "".join(page.words)
    assert ("Nothing was waited for." in said) == (count == 0)
    assert ("10,000 short waits left out here" in said) == (count == 30_000)


def test_profile_is_written(tmp_path):
    """The end of the name says what is written; anything else is refused before a file is made."""
    with profile_of(waits(1), timed_out()) as found:
        found.write(tmp_path / "profile.html")
        found.write(str(tmp_path / "profile.JSON"))
        with pytest.raises(ValueError, match=r"ends in \.json or \.html"):
            found.write(tmp_path / "profile.txt")
    assert (tmp_path / "profile.html").read_text("utf-8").startswith("<!doctype html>")
    written = json.loads((tmp_path / "profile.JSON").read_text("utf-8"))
    assert written == json.loads(json.dumps(found.to_dict()))
    assert written["rows"][0]["waited"] == 1.0
    assert written["saved"][0]["lineno"] == 7
    assert sorted(os.listdir(tmp_path)) == ["profile.JSON", "profile.html"]


def test_what_never_waits_is_no_wait():
    """A duplicate is made within a profile as without, and is no wait."""
    with echoes() as address, safesocket.create_connection(address) as sock:
        with safesocket.profile() as found, sock.dup() as twin:
            twin.sendall(b"x")
    assert "dup" not in str(found)


def test_page_of_many_peers_takes_its_share():
    """What is made of each peer does not depend on how many others there are: a crawler's page."""

    def cost(count):
        with safesocket.profile() as p:
            for number in range(count):
                _recorder.recorded_to((f"{number}.example", 80), "read", 0.0)
        p.to_dict()
        begun = time.thread_time()
        p.to_html()
        return time.thread_time() - begun

    cost(10)
    assert cost(6000) < 30 * cost(500)  # 12 times as many; the square of that would be 144


def test_table_needs_no_descriptor():
    """The table can be had when no descriptor is left, which is when it is wanted most."""
    code = """if True:
        import resource, safesocket
        profile = safesocket.profile()
        with profile:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        print(profile)
    """
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "0 peers" in done.stdout
