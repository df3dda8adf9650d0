"""The seed's three snippets, unchanged but for the import, catch what they catch today.

They are run as they stand in the blog post that the project began with, each in an interpreter of
its own: with the address of a real peer in place of example.com's, and, where this machine lets
us, in a network of their own in which example.com is a peer of ours and not one letter is changed.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from subprocess import PIPE, Popen
from typing import NamedTuple

import pytest

from safesocket import testing
from tests.helpers import GUARD, LIMIT, ROOT, python

SEED = Path(__file__).parents[2] / "shared" / "seed"

CONNECTION_ERRORS = """\
import socket

try:
    # create a socket and connect to the remote server
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("example.com", 80))
except (ConnectionRefusedError, ConnectionResetError) as err:
    print(f"Connection error: {err}")
"""

TIMEOUT_ERRORS = """\
import socket

try:
    # create a socket and set a timeout value
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(5)
    
    # perform some socket operation
    s.connect(("example.com", 80))
except socket.timeout:
    print("Connection timeout occurred")
"""  # noqa: W293

NETWORK_ERRORS = """\
import socket

try:
    # create a socket and connect to the remote server
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("example.com", 80))
except socket.error as err:
    print(f"Network error: {err}")
"""

SNIPPETS = {
    "connection errors": CONNECTION_ERRORS,
    "timeout errors": TIMEOUT_ERRORS,
    "network errors": NETWORK_ERRORS,
}
IN_TROUBLE = "Connection error: ", "Network error: "
ENOUGH = {"SAFESOCKET_CONNECT": str(LIMIT)}  # for the snippets that set no timeout


def test_snippets_are_the_seeds():
    """The snippets here are those of the seed, to the letter."""
    if not SEED.is_dir():
        pytest.skip("the seed is not in this checkout's neighbourhood")
    [post] = SEED.iterdir()
    found = re.findall(r"```python\n(.*?)```", post.read_text("utf-8"), re.DOTALL)
    assert found == list(SNIPPETS.values())


def ours(snippet):
    """The snippet with the import changed, and nothing else."""
    assert snippet.startswith("import socket\n")
    return snippet.replace("import socket\n", "import safesocket as socket\n", 1)


def at(address, snippet):
    """The snippet with the address of a peer in place of example.com's, and less patience."""
    assert snippet.count('("example.com", 80)') == 1
    moved = snippet.replace('("example.com", 80)', repr(address))
    return moved.replace("settimeout(5)", f"settimeout({LIMIT})")


class Seen(NamedTuple):
    """What a user sees of a program: its exit status, its output, the error that ended it."""

    status: int
    printed: str
    error: str


def seen(code, **environment):
    """What a user sees of a program with this *code*."""
    process = python(code, **environment)
    return Seen(process.returncode, process.stdout.strip(), last_error(process.stderr))


def last_error(stderr):
    """The line of a traceback that names the error; notes may follow it."""
    return ([line for line in stderr.splitlines() if re.match(r"[\w.]+[Ee]rror: ", line)] or [""])[
        -1
    ]


def told(place, limit=""):
    """A pattern for what follows the original text: operation, place, elapsed, and the limit."""
    return re.compile(rf": connect to {place} after \d+(\.\d+)? s" + (limit and rf" \({limit}\)"))


def class_called(name):
    """The class of which a traceback gives this *name*."""
    module, _, name = name.rpartition(".")
    return getattr(importlib.import_module(module or "builtins"), name)


def is_told(today, now, rest):
    """Tell whether *now* is *today* with *rest* behind the text of the error, and our class."""
    assert (now.status, bool(now.printed), bool(now.error)) == (
        today.status,
        bool(today.printed),
        bool(today.error),
    )
    if today.error:
        builtin, _, text = today.error.partition(": ")
        name, _, now_text = now.error.partition(": ")
        assert issubclass(class_called(name), class_called(builtin))
    elif today.printed.startswith(IN_TROUBLE):
        text, now_text = today.printed, now.printed
    else:
        return today == now
    return now_text.startswith(text) and rest.fullmatch(now_text.removeprefix(text))


# With the address of a real peer in place of example.com's.

PEERS = {
    "answers": testing.echoes,
    "refuses": testing.refuses,
    "never accepts": testing.never_accepts,
}
REFUSED = "[Errno 111] Connection refused"
#: (peer, snippet) -> what a user sees today
TODAY = {
    ("answers", "connection errors"): Seen(0, "", ""),
    ("answers", "timeout errors"): Seen(0, "", ""),
    ("answers", "network errors"): Seen(0, "", ""),
    ("refuses", "connection errors"): Seen(0, f"Connection error: {REFUSED}", ""),
    ("refuses", "timeout errors"): Seen(1, "", f"ConnectionRefusedError: {REFUSED}"),
    ("refuses", "network errors"): Seen(0, f"Network error: {REFUSED}", ""),
    ("never accepts", "timeout errors"): Seen(0, "Connection timeout occurred", ""),
}
#: What is seen where the stdlib hangs.
TIMED_OUT = {
    "connection errors": Seen(1, "", "TimeoutError: timed out"),
    "network errors": Seen(0, "Network error: timed out", ""),
}
FROM_ENVIRONMENT = rf"connect timeout {LIMIT:g} s from the environment"


@pytest.mark.parametrize(("peer", "name"), TODAY, ids=[f"{peer}, {name}" for peer, name in TODAY])
def test_what_they_catch(peer, name):
    """They catch what they catch today; the text begins as today and goes on to tell the rest."""
    with PEERS[peer]() as address:
        snippet = at(address, SNIPPETS[name])
        today, now = seen(snippet), seen(ours(snippet))
    assert today == TODAY[peer, name]
    assert is_told(today, now, told(rf"127\.0\.0\.1:{address[1]}"))


@pytest.mark.parametrize("name", TIMED_OUT)
def test_what_hangs_today(name):
    """Where the stdlib hangs the limit ends the wait, and the text tells it with all the rest."""
    with testing.never_accepts() as address:
        now = seen(ours(at(address, SNIPPETS[name])), **ENOUGH)
    assert is_told(TIMED_OUT[name], now, told(rf"127\.0\.0\.1:{address[1]}", FROM_ENVIRONMENT))


def test_what_the_timeout_tells():
    """The timeout that the second snippet catches, but does not print, tells its limit, too."""
    listener = """
import sys

def print(text):
    sys.stdout.write(f"{text}: {sys.exc_info()[1]}")

"""
    with testing.never_accepts() as address:
        now = seen(listener + ours(at(address, TIMEOUT_ERRORS)))
    rest = told(rf"127\.0\.0\.1:{address[1]}", rf"settimeout {LIMIT:g} s")
    caught = "Connection timeout occurred: timed out"
    assert now.printed.startswith(caught)
    assert rest.fullmatch(now.printed.removeprefix(caught))


def test_a_name_in_the_text():
    """A host that was asked for by its name is told by name and address."""
    with testing.refuses() as (_, port):
        now = seen(ours(at(("localhost", port), NETWORK_ERRORS)))
    today = TODAY["refuses", "network errors"]
    assert is_told(today, now, told(rf"localhost:{port} \(127\.0\.0\.1\)"))


# In a network of their own, where example.com is ours: unchanged but for the import.

PRIVATE_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]

#: Runs there. Prints what becomes of each program when example.com is at that address.
DRIVER = """
import ctypes, fcntl, json, os, socket, struct, subprocess, sys, tempfile

address, peer, programs = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
with socket.socket() as sock, tempfile.NamedTemporaryFile("w") as hosts:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1))  # netdevice(7): lo is up
    print(f"{address} example.com" if address else "", file=hosts, flush=True)
    if libc.mount(hosts.name.encode(), b"/etc/hosts", None, 4096, None):  # mount(2): MS_BIND
        sys.exit("/etc/hosts: " + os.strerror(ctypes.get_errno()))
    server, fillers, hangs = socket.socket(), [], peer == "never accepts"
    if peer:
        server.bind((address, 80))
    if peer in ("answers", "never accepts"):
        server.listen(0 if hangs else 5)
    while hangs and (not fillers or not fillers[-1].connect_ex((address, 80))):
        fillers.append(socket.socket())
        fillers[-1].settimeout(0.02)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for code, variables in programs
    ]
    print(json.dumps([(*one.communicate(), one.returncode) for one in started]))
"""

#: case -> the address of example.com, the peer there, and the place that the text names
EXAMPLE_COM = {
    "answers": ("127.0.0.1", "answers", ""),
    "refuses": ("127.0.0.1", "refuses", r"example\.com:80 \(127\.0\.0\.1\)"),
    "unreachable": ("192.0.2.1", None, r"example\.com:80 \(192\.0\.2\.1\)"),
    "unknown": (None, None, r"example\.com:80"),
    "never accepts": ("127.0.0.1", "never accepts", r"example\.com:80 \(127\.0\.0\.1\)"),
}


def programs_for(case):
    """The programs to run in a case by snippet and import, each with its environment."""
    programs = {}
    for name, snippet in SNIPPETS.items():
        hangs = case == "never accepts" and name in TIMED_OUT
        programs[name, "ours"] = ours(snippet), ENOUGH if hangs else {}
        if not hangs:
            programs[name, "plain"] = snippet, {}
    return programs


@pytest.fixture(scope="module", autouse=True)
def in_private():
    """Ask what became of a snippet in a case; all run from the first test of this file on.

    The second snippet waits five seconds: its own, and not one letter is to be changed.
    """
    running, done = {}, {}
    if trouble_with_private_networks():
        yield lambda *case: pytest.skip(trouble_with_private_networks())
        return
    for case, (address, peer, _) in EXAMPLE_COM.items():
        task = json.dumps([address, peer, list(programs_for(case).values())])
        running[case] = Popen(
            [*PRIVATE_NETWORK, sys.executable, "-c", DRIVER, task],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=PIPE,
            stderr=PIPE,
            text=True,
        )

    def ask(case, *program):
        if case not in done:
            out, err = running[case].communicate(timeout=GUARD)
            assert (running[case].returncode, err) == (0, "")
            done[case] = dict(zip(programs_for(case), json.loads(out), strict=True))
        out, err, status = done[case][program]
        return Seen(status, out.strip(), last_error(err))

    yield ask
    for process in running.values():
        process.kill()
        process.communicate()


@cache
def trouble_with_private_networks():
    """Why this machine does not let us have a network of our own; empty if it does."""
    if not shutil.which(PRIVATE_NETWORK[0]):
        return "no unshare(1) on this machine"
    nothing_to_run = [*PRIVATE_NETWORK, sys.executable, "-c", DRIVER, "[null, null, []]"]
    attempt = subprocess.run(nothing_to_run, capture_output=True, text=True, check=False)
    return attempt.stderr.strip() or "refused" if attempt.returncode else ""


@pytest.mark.parametrize("name", SNIPPETS)
@pytest.mark.parametrize("case", EXAMPLE_COM)
def test_unchanged_but_for_the_import(case, name, in_private):
    """Really unchanged, they catch what they catch today, and the text tells the rest."""
    now, limit = in_private(case, name, "ours"), ""
    if case == "never accepts" and name in TIMED_OUT:
        today, limit = TIMED_OUT[name], FROM_ENVIRONMENT
    else:
        today = in_private(case, name, "plain")
    rest = told(EXAMPLE_COM[case][2], limit)
    if case == "unknown":
        rest = re.compile(r": look up example\.com for" + rest.pattern.removeprefix(":"))
    assert is_told(today, now, rest)


def test_the_stdlib_there(in_private):
    """In that network the snippets catch what they catch anywhere, so there is a thing to keep."""
    for (case, name), today in TODAY.items():
        assert in_private(case, name, "plain") == today
    assert in_private("unreachable", "network errors", "plain").printed.endswith("is unreachable")
    assert in_private("unknown", "timeout errors", "plain").error.startswith("socket.gaierror: ")
