"""A deadline reaches through TLS: handshake, reads, writes and goodbye, whatever the socket."""

from __future__ import annotations

import threading

import pytest

import safesocket
import safesocket.ssl as ssl
from safesocket import deadline, errors, testing
from tests.helpers import GUARD, LIMIT, MUCH, calling, within
from tests.tls import NAME, safe_forms, server_context, sides, tcp, tls_pair, wrapped

BUDGET = 3 * LIMIT

#: what a program may have said of its own timeout; a deadline cuts them all
OWN = {"blocking": None, "timeout": GUARD, "forever": safesocket.FOREVER}
every_own = pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())

WAITS = {
    "read": lambda sock: sock.read(9),
    "recv": lambda sock: sock.recv(9),
    "recv_into": lambda sock: sock.recv_into(bytearray(9)),
    "makefile": lambda sock: sock.makefile("rb").read(9),
    "sendall": lambda sock: sock.sendall(MUCH),
    "send": lambda sock: sock.send(MUCH),
    "unwrap": lambda sock: sock.unwrap(),
}
every_wait = pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())


def cut_by_the_deadline(error):
    return (error.timeout_source, error.timeout) == ("deadline", BUDGET)


@safe_forms
@sides
@every_own
def test_handshake(form, server_side, own):
    """A handshake with somebody who says nothing ends with the deadline."""
    with form() as lib, tcp(lib, server_side) as (near, _):
        near.settimeout(own)
        with within(BUDGET), pytest.raises(errors.HandshakeTimeoutError) as it, deadline(BUDGET):
            wrapped(lib, near, server_side)
    assert cut_by_the_deadline(it.value)


@safe_forms
@every_wait
@every_own
def test_wait(form, wait, own):
    """So does every other wait, and the mode that the program has set is the same after it."""
    with form() as lib, tls_pair(lib) as (sock, _):
        sock.settimeout(own)
        shown = sock.gettimeout()
        with within(BUDGET), pytest.raises(errors.SocketTimeoutError) as it, deadline(BUDGET):
            wait(sock)
        assert sock.gettimeout() == shown
    assert cut_by_the_deadline(it.value)


@safe_forms
@every_own
def test_wait_of_accepted(form, own):
    """A server's connection, whose reads have no limit, is cut as well."""
    with form() as lib, tls_pair(lib) as (_, accepted):
        accepted.settimeout(own)
        with within(BUDGET), pytest.raises(errors.ReadTimeoutError) as it, deadline(BUDGET):
            accepted.recv(9)
    assert cut_by_the_deadline(it.value)


@safe_forms
@every_own
def test_drip(form, own):
    """One byte at a time does not outlast the deadline."""
    stop = threading.Event()

    def drip(sock):
        while not stop.wait(LIMIT / 2):
            sock.send(b".")

    with form() as lib, tls_pair(lib) as (sock, accepted), calling(drip, accepted):
        sock.settimeout(own)
        try:
            with within(BUDGET), pytest.raises(errors.ReadTimeoutError) as it, deadline(BUDGET):
                sock.makefile("rb").read(10_000)
        finally:
            stop.set()
    assert cut_by_the_deadline(it.value)


@safe_forms
@every_wait
@every_own
def test_over_already(form, wait, own):
    """What begins after the deadline fails at once, also where data is ready."""
    with form() as lib, tls_pair(lib) as (sock, accepted):
        accepted.sendall(b"here already")
        sock.settimeout(own)
        with within(0), deadline(0), pytest.raises(errors.SocketTimeoutError) as it:
            wait(sock)
        assert it.value.timeout_source == "deadline"
        assert sock.recv(9) == b"here alre"


@safe_forms
@every_own
def test_life_goes_on(form, own):
    """A connection that has met a deadline is as good as before."""
    with form() as lib, tls_pair(lib) as (sock, accepted):
        sock.settimeout(own)
        with deadline(GUARD):
            sock.sendall(b"request")
            assert accepted.recv(9) == b"request"
        accepted.sendall(b"answer")
        assert sock.recv(9) == b"answer"


@safe_forms
def test_nonblocking_is_left_alone(form):
    """A socket whose waits are the program's own sees no deadline."""
    with form() as lib, tls_pair(lib) as (sock, _):
        sock.settimeout(0)
        with deadline(0), pytest.raises(lib.ssl.SSLWantReadError):
            sock.recv(9)


@safe_forms
def test_loop_of_a_server(form):
    """``accept`` of a wrapped listener, handshake included, ends with the deadline."""
    with (
        form() as lib,
        lib.socket.create_server(("127.0.0.1", 0)) as plain,
        server_context(lib.ssl).wrap_socket(plain, server_side=True) as listener,
        lib.socket.create_connection(listener.getsockname()),
        within(BUDGET),
        pytest.raises(errors.HandshakeTimeoutError) as it,
        deadline(BUDGET),
    ):
        listener.accept()
    assert cut_by_the_deadline(it.value)


def test_connect_and_handshake_share_it():
    """One budget covers connecting and the handshake behind it."""

    def connect(address):
        with deadline(BUDGET), safesocket.create_connection(address) as sock:
            ssl.create_default_context().wrap_socket(sock, server_hostname=NAME)

    silent, ends = testing.never_answers(), pytest.raises(errors.HandshakeTimeoutError)
    with silent as address, within(BUDGET), ends as it:
        connect(address)
    assert cut_by_the_deadline(it.value)
