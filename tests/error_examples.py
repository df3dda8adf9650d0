"""docs/error-reference.md: each class in the situations that people meet, made to happen.

    python -m tests.error_examples          # writes the page; as root, on Linux

What is told of an example is what the real error says. What differs from run to run, as times and
ports, is put as it might have been; nothing else is worded here but the name of the situation.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest

import safesocket
import safesocket.ssl as safe_ssl
from safesocket import _surroundings, testing
from safesocket._cli.errors import in_markdown, rows
from tests import test_tls_errors as tls
from tests.failures import LIMIT, failing, raised_by
from tests.helpers import CHECKOUT, GUARD, printed, tcp_pair
from tests.nameserver import network, run_in, trouble_with_networks
from tests.netns import cable, machine
from tests.tls import client_context

PAGE = CHECKOUT / "docs" / "error-reference.md"
DROP_IN = SimpleNamespace(socket=safesocket, ssl=safe_ssl)

HEAD = """\
# Every error, as it looks

Each class that is raised: when, and what it says in the situations that people meet. The text is
what a log has; the hint below it says what is known and what to do. The classes above these, to
catch several of them, and what errors carry: [errors.md](errors.md). How to read a text:
[on-call.md](on-call.md).

`python -m tests.error_examples` makes this page by having each failure happen, and a test compares.
Ports, times, paths and process ids are examples. With another peer, limit or system the hint may be
another: [diagnosis.md](diagnosis.md).
"""

# An example is a function that makes a failure happen and returns its class, its text and its hint.


def of(setting, *args):
    """Return an example: what the call fails with that *setting*, a context manager, yields."""

    def example():
        with setting(*args) as call:
            error = raised_by(call)
        return type(error).__name__, str(error), error.hint

    return example


def of_a_scene(name):
    return of(failing, name)


def of_tls(setting):
    def example():
        if ssl.OPENSSL_VERSION_INFO[:2] != (3, 0):
            pytest.skip(f"{ssl.OPENSSL_VERSION} has other words")
        return of(setting, DROP_IN)()

    return example


def of_a_look_up(line):
    """Return an example: what *line* tells where a name server knows little."""

    def example():
        if trouble := trouble_with_networks():
            pytest.skip(f"no network of our own: {trouble}")
        with network() as name:
            done = run_in(name, f"{TELL}\n{line}")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return example


def of_a_process(line):
    """Return an example: what *line* tells in a process of its own."""
    return lambda: json.loads(printed(f"{TELL}\n{line}"))


TELL = """
import json, os, resource, subprocess, sys
import safesocket as socket
from safesocket import _surroundings
_surroundings.BUDGET = 5

def tell(call, *args):
    try:
        call(*args)
    except OSError as error:
        print(json.dumps([type(error).__name__, str(error), error.hint]))
"""

PORT_OF_ROOT = """
if os.geteuid() == 0:
    os.seteuid(65534)
tell(socket.socket().bind, ("127.0.0.1", 80))
"""

LEAK = """
with socket.create_server(("127.0.0.1", 0)) as server:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    leaked = []
    def leak():
        while True:
            leaked.append(socket.create_connection(server.getsockname()))
    tell(leak)
    for sock in leaked:
        sock.close()
"""

OTHER_SERVER = '''
code = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1])
    input()
"""
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
with subprocess.Popen([sys.executable, "-uc", code], **pipes) as other, socket.socket() as sock:
    tell(sock.bind, ("127.0.0.1", int(other.stdout.readline())))
    other.communicate(b"end")
'''


@contextmanager
def refused_elsewhere():
    with cable() as (here, there), here.run(safesocket.socket) as sock:
        yield partial(sock.connect, (there.hosts[0], 5432))


@contextmanager
def nobody_there():
    with cable() as (here, _), here.run(safesocket.socket) as sock:
        here.ip("neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev wire")
        safesocket.set_timeouts(sock, connect=LIMIT)
        yield partial(sock.connect, ("10.77.0.9", 5432))


@contextmanager
def no_route():
    with machine() as island, island.run(safesocket.socket) as sock:
        yield partial(island.run, sock.connect, ("10.77.0.9", 5432))


@contextmanager
def rejected_by_a_route():
    with machine() as island, island.run(safesocket.socket) as sock:
        island.ip("route add unreachable 10.77.0.9")
        yield partial(island.run, sock.connect, ("10.77.0.9", 5432))


@contextmanager
def address_of_others():
    with machine() as island, island.run(safesocket.socket) as sock:
        yield partial(island.run, sock.bind, ("192.0.2.1", 8000))


@contextmanager
def aborted():
    if not shutil.which("ss") or os.geteuid():
        pytest.skip("ss -K, which aborts connections, is root's")
    with tcp_pair() as (client, _):
        port = client.getsockname()[1]
        command = ["ss", "-K", "src", "127.0.0.1", "sport", "=", str(port)]
        subprocess.run(command, capture_output=True, timeout=GUARD, check=False)
        client.settimeout(LIMIT)
        yield partial(client.recv, 1)


@contextmanager
def silence():
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        safesocket.set_timeouts(sock, read=LIMIT)
        sock.sendall(b"PING\r\n")
        yield partial(sock.recv, 1)


@contextmanager
def closed_window():
    with testing.stops_reading() as address, safesocket.create_connection(address) as sock:
        safesocket.set_timeouts(sock, write=0.5)  # seconds; until the kernel has asked for room
        yield partial(sock.sendall, bytes(100_000_000))


@contextmanager
def silent_handshake(_):
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        safesocket.set_timeouts(sock, handshake=LIMIT)
        yield partial(tls.shake, sock, client_context(safe_ssl))


@contextmanager
def closed_by_us():
    with testing.never_answers() as address:
        sock = safesocket.create_connection(address)
        sock.close()
        yield partial(sock.send, b"x")


#: class -> situation -> example
EXAMPLES = {
    "AcceptTimeoutError": {"No client came": of_a_scene("accept beyond its timeout")},
    "HostNotFoundError": {
        "The name servers know no such name": of_a_look_up(
            'tell(socket.create_connection, ("gone.internal", 5432))'
        ),
        "A URL in the place of a host": of_a_look_up(
            'tell(socket.create_connection, ("http://db.internal/", 80))'
        ),
    },
    "ResolverError": {
        "The name server failed": of_a_look_up('tell(socket.getaddrinfo, "fail.internal", 5432)')
    },
    "ResolveTimeoutError": {
        "The name server is silent": of_a_look_up(
            f'socket.configure(resolve={LIMIT}); tell(socket.getaddrinfo, "db.internal", 5432)'
        )
    },
    "ReverseLookupError": {
        "An address without a name": of_a_look_up('tell(socket.gethostbyaddr, "10.0.0.8")')
    },
    "ConnectRefusedError": {
        "By another machine": of(refused_elsewhere),
        "By this machine": of_a_scene("refused"),
        "At an AF_UNIX path": of_a_scene("refused at a path"),
        "A datagram": of_a_scene("refused datagram"),
    },
    "ConnectTimeoutError": {
        "Another machine is silent": of(nobody_there),
        "A server here has a full backlog": of_a_scene("connect beyond its limit"),
        "The same at an AF_UNIX path": of_a_scene("full backlog at a path"),
        "The kernel gave up first": of_a_scene("connect beyond the kernels patience"),
    },
    "UnreachableError": {
        "A machine without a network": of(no_route),
        "A route that rejects": of(rejected_by_a_route),
    },
    "ConnectDeniedError": {"A broadcast address": of_a_scene("broadcast")},
    "SocketPathError": {"There is no such path": of_a_scene("no path")},
    "AddressNotAvailableError": {"Bound to another machine's address": of(address_of_others)},
    "AlreadyConnectedError": {"Connected twice": of_a_scene("connect again")},
    "TLSError": {
        "The other side was gone without a goodbye": of_tls(tls.ragged_end),
        "The server wants a certificate of the client": of_tls(tls.certificate_required),
    },
    "HandshakeTimeoutError": {"The server is silent": of_tls(silent_handshake)},
    "HandshakeError": {
        "The server speaks plain text": of_tls(tls.plain_text),
        "The server closed the connection": of_tls(tls.closed_in_handshake),
        "No common version": of_tls(tls.no_common_version),
        "A server's client speaks plain HTTP": of_tls(tls.plain_http_client),
    },
    "CertificateError": {
        "Expired": of_tls(tls.expired),
        "Signed by itself": of_tls(tls.self_signed),
        "Signed by nobody whom this machine trusts": of_tls(tls.unknown_authority),
        "Another host's": of_tls(tls.another_host),
        "Not for this address": of_tls(tls.another_address),
    },
    "ReadTimeoutError": {
        "The server took the request and is silent": of(silence),
        "Nothing was sent": of_a_scene("recv beyond its limit"),
        "A datagram": of_a_scene("datagram that never comes"),
    },
    "WriteTimeoutError": {"The other side does not read": of(closed_window)},
    "PeerResetError": {"Reset after a request": of_a_scene("recv after a reset")},
    "PeerClosedError": {
        "The other side had closed": of_a_scene("sendall to a pair that is closed"),
        "This side had": of_a_scene("send after shutdown"),
    },
    "PeerLostError": {"Nothing came back": of_a_scene("recv when nothing comes back")},
    "ConnectionAbortError": {"An administrator's `ss -K`": of(aborted)},
    "MessageTooLargeError": {"70000 bytes at once": of_a_scene("large datagram")},
    "NotConnectedError": {"Not connected yet": of_a_scene("recv before connect")},
    "AddressInUseError": {
        "A port that another process has": of_a_process(OTHER_SERVER),
        "An AF_UNIX path": of_a_scene("bind where a path is"),
    },
    "BindDeniedError": {"A port below 1024": of_a_process(PORT_OF_ROOT)},
    "SocketClosedError": {"Written to after `close()`": of(closed_by_us)},
    "ResourceError": {"Connections that are never closed": of_a_process(LEAK)},
    "OperationDeniedError": {"A broadcast": of_a_scene("broadcast datagram")},
    "SocketOperationError": {"A path through a file": of_a_scene("path through a file")},
}

#: what differs from run to run -> what the page has in its place; one after the other
VARYING = {
    r"(?<=[\d.]:)\d{4,5}\b|(?<=server\.test:)\d+|(?<=other\.test:)\d+": "5432",
    r"/tmp/safesocket-\w+/peer": "/run/db.sock",
    r"after [\d.]+ s(?= \(the kernel gave up\))": "after 130.0 s",
    r"after [\d.]+ s(?= \([^)]*?([\d.]+) s\b)": r"after \1 s",
    r"after [\d.]+ s(?! \()": "after 0.001 s",
    r"[\d.]+ s ago": "0.02 s ago",
    r"\d{4,} bytes acknowledged": "65536 bytes acknowledged",
    r"\d{4,} bytes waiting": "2621440 bytes waiting",
    r"_ssl\.c:\d+": "_ssl.c:1000",
    r"python[\d.]* \(pid \d+, user \w+\)": "python (pid 4711, user app)",
}


def as_on_the_page(example):
    """Make *example* happen; return its class, and its block of text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_surroundings, "BUDGET", GUARD)  # seconds; however busy this machine is
        kind, text, hint = example()
    shown = f"{text}\nHint: {hint}"
    for varying, instead in VARYING.items():
        shown = re.sub(varying, instead, shown)
    return kind, shown


def raised():
    """Yield name and docstring of each class that is raised: the leaves, and some above them."""
    above = {umbrella for row in rows() for umbrella in row.umbrellas}
    for row in rows():
        if row.name not in above or row.name in EXAMPLES:
            yield row.name, in_markdown(row.when)


def page(block):
    """Return the page, each example made by *block* of its class, its situation and itself."""
    parts = [HEAD]
    for name, when in raised():
        parts.append(f"## {name}\n\n{when}\n")
        for words, example in EXAMPLES[name].items():
            parts.append(f"{words}:\n\n```text\n{block(name, words, example)}\n```\n")
    return "\n".join(parts)


def _that_happens(name, words, example):
    kind, shown = as_on_the_page(example)
    assert kind == name, words
    return shown


if __name__ == "__main__":
    PAGE.write_text(page(_that_happens))
