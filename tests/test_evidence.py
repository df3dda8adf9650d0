"""What the kernel knew of a connection: it is in every error of TCP, and the hint says why.

Real situations: misbehaving peers on loopback, and two machines with a cable between them that can
be pulled out in mid-connection.
"""

from __future__ import annotations

import errno
import json
import re
import select
import socket as stdlib
import struct
import sys
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, asdict, fields
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_LINGER, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import safesocket
from safesocket import _tcphints, _tcpinfo, errors, testing
from safesocket._roles import ACCEPTED
from safesocket._route import Route
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    assert_travels,
    calling,
    connected,
    copies,
    datagrams,
    later,
    printed,
    tcp_pair,
    within,
)
from tests.netns import cable, road
from tests.tls import (
    NAME,
    Rude,
    client_context,
    drop_in,
    rude_pair,
    safe_forms,
    server_context,
    tcp,
    tls_pair,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is read on Linux only")

#: seconds; the first retransmission comes after 0.2 s, RFC 6298 as Linux has it (TCP_RTO_MIN)
RESENT = 0.7
#: seconds; the second SYN comes after 1 s (TCP_TIMEOUT_INIT)
SYN_RESENT = 1.1
USER_TIMEOUT = 18  # TCP_USER_TIMEOUT; the socket module has the name, but not everywhere

every_family = pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["ipv4", "ipv6"])


def failure(call, *args, **options):
    """Return the documented error that a call raises."""
    with pytest.raises(errors.SafeSocketError) as it:
        call(*args, **options)
    return it.value


def silence(sock, seconds=LIMIT):
    """Return the error of reading from *sock* for so many seconds."""
    safesocket.set_timeouts(sock, read=seconds, serve=seconds)
    return failure(sock.recv, 100)


def known(sock, *, accepted=False):
    """Return what the kernel knows of *sock* now."""
    return _tcpinfo.evidence(sock, accepted=accepted)


def exchanged(error):
    """Return how many bytes *error* says were sent, acknowledged and received."""
    return error.bytes_sent, error.tcp.bytes_acked, error.bytes_received


def reset(peer):
    """Reset the connection from the side of *peer*."""
    peer.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@contextmanager
def connection(here, there):
    """Yield a socket of the machine *here*, and the plain one that it is connected to *there*."""
    with there.run(stdlib.create_server, (there.hosts[0], 0)) as listener:
        sock = here.run(safesocket.create_connection, listener.getsockname())
        peer, _ = listener.accept()
    with sock, peer:
        sock.sendall(b"x" * 10)
        assert peer.recv(10)
        peer.sendall(b"y" * 3)
        assert sock.recv(3)
        yield sock, peer


@contextmanager
def between_machines():
    """Yield two machines with a cable between them, and both ends of a connection."""
    with cable() as (here, there), connection(here, there) as (sock, peer):
        yield here, there, sock, peer


@contextmanager
def black_hole():
    """Yield both ends of a connection whose packets are lost on the way."""
    with road() as (here, router, there), connection(here, there) as (sock, peer):
        router.ip("link set wire2 down")
        yield sock, peer


# Everything is acknowledged.


def test_silent_program():
    """Who has received everything and says nothing is busy or stuck, or waits for more."""
    with tcp_pair() as (sock, peer):
        sock.sendall(b"a request")
        assert peer.recv(100) == b"a request"
        peer.sendall(b"half of")
        assert sock.recv(7) == b"half of"
        error = silence(sock)
    assert "the other side received everything (9 bytes acknowledged) and is silent" in error.hint
    assert "the last of 7 bytes came" in error.hint
    assert "its program is busy or stuck" in error.hint
    assert "SAFESOCKET_READ" not in error.hint
    assert "safesocket.set_timeouts(sock, read=seconds)" in error.hint
    assert exchanged(error) == (9, 9, 7)
    assert error.tcp.state == "ESTABLISHED"


def test_program_that_has_not_accepted_yet():
    """A peer that says nothing at all may not have accepted: nothing is said of bytes."""
    with testing.never_answers() as address, safesocket.create_connection(address) as sock:
        error = silence(sock)
    assert "nothing has been sent on this connection" in error.hint
    assert "not one byte has come" in error.hint
    assert exchanged(error) == (0, 0, 0)


def test_silent_client():
    """A server's silent client is called a client."""
    with tcp_pair() as (client, accepted):
        client.sendall(b"x" * 10)
        accepted.sendall(b"y" * 1000)
        assert client.recv(1000, stdlib.MSG_WAITALL)
        assert accepted.recv(10)
        error = silence(accepted)
    assert error.hint.startswith("the client received everything (1000 bytes acknowledged)")
    assert exchanged(error) == (1000, 1000, 10)


def test_silence_after_this_side_has_ended():
    """After shutdown() the other side is said to know that, and its FIN is no byte."""
    with tcp_pair() as (sock, _):
        sock.sendall(b"x" * 5)
        sock.shutdown(stdlib.SHUT_WR)
        error = silence(sock, 0.1)  # longer than any acknowledgement is put off
    assert "this side has ended its sending, the other side knows" in error.hint
    assert exchanged(error) == (5, 5, 0)
    assert error.tcp.state == "FIN_WAIT2"


# Nothing more is taken.


def test_stopped_reader():
    """A peer that does not read has closed its window, however healthy its machine is."""
    with testing.stops_reading(after=1000) as address, connected_to(address) as sock:
        safesocket.set_timeouts(sock, write=0.3)
        error = failure(sock.sendall, MUCH)
    assert "its receive window is closed: its program does not read" in error.hint
    assert "unanswered" not in error.hint
    assert "bytes_sent says" in error.hint
    assert error.tcp.send_window == 0
    tcp_info = error.tcp
    waiting = tcp_info.bytes_in_flight + tcp_info.bytes_not_sent
    assert tcp_info.bytes_acked + waiting == error.bytes_sent
    assert f"({tcp_info.bytes_acked} bytes acknowledged, {waiting} bytes waiting" in error.hint


def test_both_wait_for_the_other_to_read():
    """Who waits for an answer while what it has sent is not read is told of that."""
    with testing.stops_reading() as address, connected_to(address) as sock:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 200_000)
        sock.settimeout(0.3)
        failure(sock.sendall, MUCH)
        error = silence(sock)
    assert "its program does not read" in error.hint


@contextmanager
def connected_to(address):
    with safesocket.create_connection(address) as sock:
        yield sock


# The connection ends.


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_reset_after_some_bytes(count):
    """How much had been acknowledged and received is told of a connection that was reset."""
    with testing.resets(after=count, on_request=True) as address, connected_to(address) as sock:
        sock.sendall(b"a request")
        error = failure(lambda: [sock.recv(10_000) for _ in range(count + 1)])
    came = "1 byte" if count == 1 else f"{count} bytes"
    assert f"9 bytes had been sent, 9 bytes acknowledged, {came} received" in error.hint
    assert error.hint.startswith("the other side cut the connection")
    assert exchanged(error) == (9, 9, count)
    assert error.tcp.state == "CLOSE"


def test_write_after_a_reset():
    """Of a write, bytes_sent is what it took itself; what had come by a FIN is not guessed."""
    with tcp_pair() as (sock, peer):
        sock.sendall(b"x" * 7)
        peer.sendall(b"y" * 3)
        assert sock.recv(3)
        reset(peer)
        assert isinstance(failure(sock.recv, 1), errors.PeerResetError)
        error = failure(sock.send, b"z")
    assert isinstance(error, errors.PeerClosedError)
    assert (error.bytes_sent, error.bytes_received) == (0, None)
    assert error.hint.endswith("; before that, 7 bytes had been sent, 7 bytes acknowledged")


def test_write_after_shutdown():
    """Who has called shutdown() itself is told that, and nobody else is blamed."""
    with tcp_pair() as (sock, _):
        sock.shutdown(stdlib.SHUT_WR)
        error = failure(sock.send, b"x")
    assert error.hint == "this side had ended its sending before this: with shutdown()"


def test_idle_connection_that_was_cut():
    """After long silence the hint knows who cuts idle connections."""
    with tcp_pair() as (sock, peer):
        peer.sendall(b"x")
        assert sock.recv(1)
        route = Route(AF_INET, stdlib.SOCK_STREAM, tcp={**known(sock), "since_data_received": 300})
    error = errors.PeerResetError(errno.ECONNRESET, "reset")
    error.operation, error._tcp = "recv", route.tcp
    hint = _tcphints.with_evidence("cut", errors.PeerResetError, error, route)
    assert "1 byte received, the last 300.0 s ago: something between (NAT, firewall," in hint


# No connection.


@pytest.mark.parametrize("timeout", [None, GUARD], ids=["limit", "settimeout"])
def test_refused_on_this_machine(timeout):
    """A refusal by this machine itself says so; there is no evidence of what never was."""
    with testing.refuses() as address, safesocket.socket() as sock:
        if timeout:
            sock.settimeout(timeout)
        error = failure(sock.connect, address)
    assert "nothing is listening on that port, on this machine itself" in error.hint
    assert (error.tcp, error.bytes_sent, error.bytes_received) == (None, None, None)


@pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["ipv4", "ipv6"])
def test_full_backlog(family):
    """A server on this machine that does not accept has a full backlog."""
    with testing.never_accepts(family) as address, safesocket.socket(family) as sock:
        safesocket.set_timeouts(sock, connect=LIMIT)
        error = failure(sock.connect, address)
    assert error.hint.startswith("no answer to 1 SYN on this machine itself")
    assert "its backlog is full" in error.hint
    assert exchanged(error) == (0, 0, 0)
    assert (error.tcp.state, error.tcp.unacked_segments) == ("SYN_SENT", 1)


def test_race_tells_of_its_attempts():
    """The evidence of each attempt of create_connection is in its error, and in the one raised."""
    with testing.never_accepts() as address, testing.never_accepts(AF_INET6) as other:
        found = [
            (AF_INET6, stdlib.SOCK_STREAM, 6, "", other),
            (AF_INET, stdlib.SOCK_STREAM, 6, "", address),
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(safesocket, "getaddrinfo", lambda *_: found)
            error = failure(safesocket.create_connection, ("two.test", 80), 2 * LIMIT)
    assert len(error.attempts) == 2
    assert {attempt.error.tcp.state for attempt in error.attempts} == {"SYN_SENT"}
    assert error.tcp.state == "SYN_SENT"
    assert "no answer to 1 SYN" in error.hint


# Two machines, and what is between them.


@every_family
def test_refused_by_the_host(family):
    """A host that refuses is up."""
    with cable() as (here, there):
        error = failure(
            here.run, safesocket.create_connection, (there.hosts[family == AF_INET6], 9)
        )
    assert isinstance(error, errors.ConnectRefusedError)
    assert error.hint.startswith("the host is up and answers, nothing is listening on that port")
    assert "firewall" in error.hint


def test_routes_that_reject():
    """What this machine's own routes reject is said to be rejected, as far as that can be known."""
    rejected = {
        "prohibit": (errors.ConnectDeniedError, errno.EACCES, "this machine forbids.*prohibit"),
        "unreachable": (errors.UnreachableError, errno.EHOSTUNREACH, "a route of this machine"),
        "blackhole": (errors.SocketOperationError, errno.EINVAL, "blackhole"),
        "throw": (errors.UnreachableError, errno.ENETUNREACH, "routes"),
    }
    with cable() as (here, _):
        for last, (route, (kind, number, words)) in enumerate(rejected.items()):
            here.ip(f"route add {route} 10.99.0.{last}")
            with here.run(safesocket.socket) as sock:
                error = failure(sock.connect, (f"10.99.0.{last}", 9))
            assert isinstance(error, kind), route
            assert error.errno == number
            assert re.search(words, error.hint)


def test_router_that_rejects():
    """What a router rejects may be the host or a firewall: the hint names both."""
    with cable() as (here, there):
        there.set("net/ipv4/ip_forward", 1)
        there.ip("route add prohibit 10.98.0.1")
        here.ip(f"route add 10.98.0.0/24 via {there.hosts[0]}")
        error = failure(here.run, safesocket.create_connection, ("10.98.0.1", 9))
    assert isinstance(error, errors.UnreachableError)
    assert "the host is down" in error.hint
    assert "firewall" in error.hint


def test_packets_that_are_dropped():
    """SYNs that nobody answers are counted; who may have dropped them is named."""
    with cable() as (here, there):
        there.ip("route add blackhole 10.98.0.0/24")
        here.ip(f"route add 10.98.0.0/24 via {there.hosts[0]}")
        safesocket.configure(connect=SYN_RESENT)
        with here.run(safesocket.socket) as sock, here.run(safesocket.socket) as nobody:
            with calling(failure, nobody.connect, ("10.77.0.9", 9)) as other:
                slow = failure(sock.connect, ("10.98.0.1", 9))
            unheard = other.result()
    assert slow.hint.startswith("no answer to 2 SYNs: the host is down, the address is wrong")
    assert unheard.hint.startswith("the SYN does not get out of this machine: nobody on the local")


#: what is done to the router
BREAKS = ["link set wire2 down", "route del 10.77.2.0/24", "route add blackhole 10.77.2.1"]


@pytest.mark.parametrize("broken", BREAKS)
def test_path_that_breaks_in_mid_connection(broken):
    """What is not acknowledged, after retransmissions, says that host or path is down."""
    with road() as (here, router, there), connection(here, there) as (sock, _):
        router.ip(broken)
        sock.sendall(b"z" * 1000)
        error = silence(sock, RESENT)
    assert error.hint.startswith("nothing comes back: 1000 bytes not acknowledged after ")
    assert " retransmission timeout" in error.hint
    assert ", last heard from 0." in error.hint
    assert "host or path is down" in error.hint
    assert exchanged(error) == (1010, 10, 3)
    assert error.tcp.retransmits in (1, 2)
    assert error.tcp.bytes_in_flight == 1000


@pytest.mark.parametrize("end", ["here", "there"])
def test_cable_that_is_pulled_out(end):
    """What cannot leave this machine is told so, once the machine has noticed."""
    with between_machines() as (here, there, sock, _):
        {"here": here, "there": there}[end].ip("link set wire down")
        sock.sendall(b"z" * 1000)
        error = silence(sock, RESENT)
    noticed = error.hint.startswith("what is sent does not get out of this machine, 1000 bytes")
    assert noticed or (end == "there" and error.hint.startswith("nothing comes back: 1000 bytes"))
    assert exchanged(error) == (1010, 10, 3)


def test_path_that_breaks_is_told_of_writing_too():
    """A write that goes nowhere says the same, and blames no program."""
    with black_hole() as (sock, _):
        safesocket.set_timeouts(sock, write=RESENT)
        error = failure(sock.sendall, MUCH)
    assert error.hint.startswith("nothing comes back: ")
    assert "its program does not read" not in error.hint


def test_too_soon_to_tell():
    """Before the first retransmission nobody can tell whether the path is down."""
    with black_hole() as (sock, _):
        sock.sendall(b"x" * 1000)
        error = silence(sock)
    assert error.hint.startswith("1000 bytes not acknowledged yet: too soon to tell")


def test_path_that_loses_packets_one_way():
    """Who is heard and acknowledges nothing may not get what was sent."""
    with between_machines() as (here, there, sock, peer):
        there.set("net/ipv4/tcp_early_demux", 0)  # or what is connected needs no route
        there.ip(f"rule add from {here.hosts[0]} iif wire blackhole")
        there.ip("rule del pref 0")
        there.ip("rule add pref 40000 lookup local")
        sock.sendall(b"x" * 1000)
        assert silence(sock, RESENT).hint.startswith("nothing comes back: 1000 bytes")
        peer.sendall(b"y")
        assert sock.recv(1) == b"y"
        error = silence(sock, 0.05)
    assert error.hint.startswith("the other side is heard (0.")
    assert "does not acknowledge 1000 bytes after" in error.hint


def test_stopped_reader_that_is_cut_off():
    """A closed window whose probes are not answered any more is told with that."""
    with road() as (here, router, there), connection(here, there) as (sock, _):
        safesocket.set_timeouts(sock, write=0.3)
        failure(sock.sendall, MUCH)
        router.ip("link set wire2 down")
        error = silence(sock, 3.5)  # probes come after 0.2, 0.4, 0.8 and 1.6 s
    assert "its program does not read" in error.hint
    assert "and by now 3 probes are unanswered: host or path is down" in error.hint


def test_kernel_gives_up_what_is_not_acknowledged():
    """What was never acknowledged is counted when the kernel gives the connection up."""
    with between_machines() as (_, there, sock, _peer):
        there.ip("route add blackhole 10.77.0.1")
        sock.setsockopt(IPPROTO_TCP, USER_TIMEOUT, 300)
        sock.sendall(b"x" * 1000)
        error = silence(sock, GUARD)
    assert isinstance(error, errors.PeerLostError)
    assert "the kernel gave the connection up: 1000 bytes never acknowledged" in error.hint
    assert exchanged(error) == (1010, 10, 3)


def test_kernel_gives_up_on_a_stopped_reader():
    """A peer that answers each probe of its closed window is not down when the kernel gives up."""
    with testing.stops_reading(after=1000) as address, connected_to(address) as sock:
        sock.setsockopt(IPPROTO_TCP, USER_TIMEOUT, 300)
        safesocket.set_timeouts(sock, write=GUARD)
        error = failure(sock.sendall, MUCH)
    assert isinstance(error, errors.PeerLostError)
    assert "the receive window of the other side stayed closed, its program does not" in error.hint
    assert f"({error.tcp.bytes_acked} bytes acknowledged, " in error.hint


def test_router_that_says_why():
    """A connection that a router has declared dead had been there: how far it came is told."""
    with road() as (here, router, there), connection(here, there) as (sock, _):
        router.ip("route add unreachable 10.77.2.1")
        sock.setsockopt(IPPROTO_TCP, USER_TIMEOUT, 300)
        sock.sendall(b"x" * 1000)
        error = silence(sock, GUARD)
    assert isinstance(error, errors.UnreachableError)
    assert "before that, 1010 bytes had been sent, 10 bytes acknowledged" in error.hint


def test_keepalive_is_not_answered():
    """A connection that is lost at rest is lost to keepalive."""
    with black_hole() as (sock, _):
        sock.setsockopt(SOL_SOCKET, stdlib.SO_KEEPALIVE, 1)
        for option in (stdlib.TCP_KEEPIDLE, stdlib.TCP_KEEPINTVL, stdlib.TCP_KEEPCNT):
            sock.setsockopt(IPPROTO_TCP, option, 1)
        error = silence(sock, GUARD)
    assert isinstance(error, errors.PeerLostError)
    assert "keepalive probes were not answered" in error.hint


# Deadlines say whose patience ended, not who was slow.


def test_deadline_adds_what_is_certain():
    """A deadline blames nobody; what the kernel knows stands beside it."""
    with tcp_pair() as (sock, peer):
        sock.sendall(b"x" * 9)
        peer.sendall(b"y")
        assert sock.recv(1)
        with safesocket.deadline(LIMIT):
            error = failure(sock.recv, 1)
    assert error.hint.startswith("the deadline of the whole block passed")
    assert "; 9 bytes sent and acknowledged on this connection, the last of 1 byte" in error.hint
    assert "is silent:" not in error.hint.partition(";")[2]


def test_deadline_of_a_connect():
    """So it is with a connection attempt."""
    with (
        testing.never_accepts() as address,
        safesocket.socket() as sock,
        safesocket.deadline(LIMIT),
    ):
        error = failure(sock.connect, address)
    assert "; there was no answer to 1 SYN yet" in error.hint


# TLS over TCP.


@safe_forms
def test_handshake_that_nobody_answers(form):
    """The ClientHello arrived, and nothing came: no TLS on this port, or busy or stuck."""
    with form() as lib, tcp(lib) as (near, far):
        safesocket.set_timeouts(near, handshake=0.1)
        error = failure(client_context(lib.ssl).wrap_socket, near, server_hostname="server.test")
        assert len(far.recv(65536)) == error.bytes_sent == error.tcp.bytes_acked
    assert "and answered nothing: it does not speak TLS on this port" in error.hint
    assert error.bytes_received == 0


@safe_forms
def test_handshake_that_is_half_answered(form):
    """Who has begun to answer is told with how much came."""
    with form() as lib, tcp(lib) as (near, far):
        far.sendall(b"\x16\x03\x03")
        near.recv(3, stdlib.MSG_PEEK)
        safesocket.set_timeouts(near, handshake=0.1)
        error = failure(client_context(lib.ssl).wrap_socket, near, server_hostname="server.test")
    assert error.hint.startswith("the other side sent 3 bytes, the last 0.")
    assert error.bytes_received == 3


@safe_forms
@pytest.mark.parametrize(("hello", "words"), [(b"", "sent nothing"), (b"\x16", "sent 1 byte,")])
def test_client_that_does_not_shake_hands(form, hello, words):
    """A server is told how much its client has sent of a handshake."""
    with form() as lib, tcp(lib, server_side=True) as (near, far):
        far.sendall(hello)
        near.setblocking(True)
        safesocket.set_timeouts(near, handshake=0.1)
        error = failure(server_context(lib.ssl).wrap_socket, near, server_side=True)
    assert error.hint.startswith("a client connected")
    assert words in error.hint
    assert error.bytes_received == len(hello)


def test_handshake_that_drips():
    """Bytes that come too slowly are no silence."""
    with drop_in() as lib, tcp(lib) as (near, far):
        far.sendall(b"\x16\x03\x03\x40\x00")
        near.recv(5, stdlib.MSG_PEEK | stdlib.MSG_WAITALL)
        safesocket.set_timeouts(near, handshake=0.2)
        with later(0.12, far.sendall, b"x"):
            error = failure(
                client_context(lib.ssl).wrap_socket, near, server_hostname="server.test"
            )
    assert error.hint.startswith("bytes came during this wait")


@safe_forms
def test_read_over_tls(form):
    """Reading over TLS has the evidence of the connection below."""
    with form() as lib, tls_pair(lib) as (sock, _):
        sock.sendall(b"x")
        safesocket.set_timeouts(sock, read=0.1)
        error = failure(sock.recv, 1)
    assert error.hint.startswith("the other side received everything (")
    assert error.bytes_sent == error.tcp.bytes_acked > 100
    assert error.bytes_received > 1000  # the server's certificate


@safe_forms
def test_read_over_tls_that_session_tickets_do_not_answer(form):
    """What TLS 1.3 sends after a handshake comes when the client reads, and is no slow answer."""
    with form() as lib, tcp(lib) as (near, far):
        peer = Rude(far)
        with calling(peer.shake_hands_but_for_tickets):
            sock = client_context(lib.ssl).wrap_socket(near, server_hostname=NAME)
        with sock, later(0.06, peer.flush):
            sock.settimeout(0.15)
            error = failure(sock.recv, 1)
    assert error.hint.startswith("bytes came during this wait")
    assert "no data in them: what TLS sends for itself (session tickets" in error.hint
    assert "slow" not in error.hint


@safe_forms
def test_reset_under_tls(form):
    """So has a reset."""
    with form() as lib, rude_pair(lib, suppress_ragged_eofs=False) as (sock, peer):
        reset(peer.sock)
        error = failure(sock.recv, 1)
    assert error.tcp.state == "CLOSE"
    assert error.bytes_received > 1000
    if isinstance(error, errors.PeerResetError):  # OpenSSL may see the end only
        assert error.hint.endswith(f"acknowledged, {error.bytes_received} bytes received")


def test_goodbye_that_is_not_answered():
    """What is known of unwrap() stays: many programs never answer it."""
    with drop_in() as lib, tls_pair(lib) as (sock, _):
        safesocket.set_timeouts(sock, handshake=LIMIT)
        error = failure(sock.unwrap)
    assert "goodbye" in error.hint
    assert error.tcp.state == "ESTABLISHED"


# Who else gets it, and who does not.


def test_old_code_gets_it():
    """Under install() the stdlib's sockets have it, too."""
    with safesocket.installed(), connected(stdlib) as (sock, _):
        sock.settimeout(LIMIT)
        error = failure(sock.recv, 1)
    assert error.tcp.state == "ESTABLISHED"
    assert "nothing has been sent on this connection" in error.hint


def test_nonblocking_sockets_do_not():
    """A non-blocking socket gets the stdlib's own exception, with nothing added."""
    with connected(mode=0) as (sock, peer):
        reset(peer)
        select.select([sock], [], [], GUARD)
        with pytest.raises(ConnectionResetError) as it:
            sock.recv(1)
    assert type(it.value) is ConnectionResetError
    assert vars(it.value) == {}


def test_datagrams_and_paths_have_none(tmp_path):
    """There is no TCP below datagrams and AF_UNIX."""
    with datagrams(mode=LIMIT) as (sock, _):
        datagram = failure(sock.recv, 1)
    with connected(family=stdlib.AF_UNIX, mode=LIMIT) as (sock, _):
        path = failure(sock.recv, 1)
    with safesocket.socket(type=SOCK_DGRAM) as sock:
        assert _tcpinfo.read(sock) is None
    for error in (datagram, path):
        assert (error.tcp, error.bytes_sent, error.bytes_received) == (None, None, None)


def test_listener_and_fresh_and_closed_sockets_have_none():
    """Where there is no connection there is no evidence, and no trouble."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener, safesocket.socket() as fresh:
        listener.settimeout(LIMIT)
        assert failure(listener.accept).tcp is None
        assert failure(fresh.send, b"x").tcp is None
    assert failure(fresh.recv, 1).tcp is None


# The numbers.


def test_bytes_are_the_programs_own():
    """SYN and FIN, which TCP counts, are taken off: on both sides, at every stage."""
    with tcp_pair() as (client, accepted):
        seen = []

        def look():
            here, there = known(client), known(accepted, accepted=True)
            seen.append(
                [
                    (tcp["bytes_acked"], _tcpinfo.taken(tcp), tcp["bytes_received"])
                    for tcp in (here, there)
                ]
            )

        look()
        client.sendall(b"x" * 10)
        assert accepted.recv(10)
        look()
        accepted.sendall(b"y" * 4)
        assert client.recv(4)
        look()
        client.shutdown(stdlib.SHUT_WR)
        assert accepted.recv(1) == b""
        look()
        accepted.sendall(b"y" * 2)
        assert client.recv(2)
        look()
        accepted.shutdown(stdlib.SHUT_WR)
        assert client.recv(1) == b""
        look()
    assert seen[:5] == [
        [(0, 0, 0), (0, 0, 0)],
        [(10, 10, 0), (0, 0, 10)],
        [(10, 10, 4), (4, 4, 10)],
        [(10, 10, 4), (4, 4, 10)],
        [(10, 10, 6), (6, 6, 10)],
    ]
    assert [counts[:2] for counts in seen[5]] == [(10, 10), (6, 6)]


def test_bytes_in_flight_and_not_sent():
    """What was taken is acknowledged, in flight or not sent: together it is exact, always."""
    with road() as (here, router, there), connection(here, there) as (sock, _):
        router.ip("link set wire2 down")
        safesocket.set_timeouts(sock, write=RESENT)
        error = failure(sock.sendall, MUCH)
        assert _tcpinfo.taken(error._tcp) == 10 + error.bytes_sent
        assert error.tcp.bytes_acked == 10
        assert error.tcp.bytes_in_flight > 0
        assert error.tcp.bytes_not_sent > 0
        sock.shutdown(stdlib.SHUT_WR)
        assert silence(sock).bytes_sent == 10 + error.bytes_sent  # the FIN is no byte
        here.ip("link set wire1 down")  # what cannot leave is tried again, and not counted again
        assert silence(sock, RESENT).bytes_sent == 10 + error.bytes_sent


def test_end_in_flight_is_no_byte():
    """A FIN that is under way with the data is not counted, before and after a reset."""
    with between_machines() as (_, there, sock, peer):
        there.ip("route add blackhole 10.77.0.1")
        sock.sendall(b"x" * 1000)
        sock.shutdown(stdlib.SHUT_WR)
        under_way = known(sock)
        there.ip("route del blackhole 10.77.0.1")
        peer.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        over = silence(sock, GUARD)
    assert under_way["state"] == "FIN_WAIT1"
    assert (under_way["bytes_acked"], under_way["bytes_in_flight"]) == (10, 1000)
    assert isinstance(over, errors.PeerResetError)
    assert over.bytes_sent == 1010


def test_times_are_seconds():
    """Times are seconds since something happened; what never did has none."""
    with tcp_pair() as (sock, peer):
        assert known(sock)["since_data_sent"] is None
        assert known(sock)["since_data_received"] is None
        sock.sendall(b"x")
        peer.sendall(b"y")
        assert sock.recv(1)
        with within(0.2):
            info = silence(sock, 0.2).tcp
    for seconds in (info.since_data_sent, info.since_data_received, info.since_ack_received):
        assert 0.15 < seconds < 1
    assert 0 < info.rtt < 0.1
    assert 0 < info.rttvar < 0.1


# What the class is.


def test_evidence_is_frozen():
    """What the kernel said is a value: equal to itself, not to be changed, one field a fact."""
    with tcp_pair() as (sock, _):
        error = silence(sock)
    assert error.tcp == error.tcp
    assert type(error.tcp) is errors.TCPInfo
    with pytest.raises(FrozenInstanceError):
        error.tcp.state = "CLOSE"
    for field in fields(errors.TCPInfo):
        assert f"    {field.name}: " in errors.TCPInfo.__doc__


def test_evidence_travels():
    """pickle, copy, deepcopy and JSON keep it."""
    with tcp_pair() as (sock, _):
        error = silence(sock)
    assert_travels(error)
    for copied in [*copies(error), *copies(error.tcp)]:
        assert getattr(copied, "tcp", copied) == error.tcp
    record = json.loads(json.dumps(error.to_dict()))
    assert record["tcp"] == asdict(error.tcp)
    assert record["bytes_received"] == 0


def test_evidence_costs_nothing_until_it_is_asked_for():
    """Neither importing safesocket nor failing imports dataclasses."""
    script = """
        import sys
        import safesocket
        from safesocket import errors, testing
        with testing.never_answers() as address, safesocket.create_connection(address) as sock:
            sock.settimeout(0.01)
            try:
                sock.recv(1)
            except errors.ReadTimeoutError as error:
                print("dataclasses" in sys.modules, error.tcp.state)
    """
    assert printed(script) == "False ESTABLISHED"


# Other kernels.


@pytest.fixture(scope="module")
def struct_of_this_kernel():
    """The struct tcp_info of a connection that has sent 10 bytes and received 3."""
    with tcp_pair() as (sock, peer):
        sock.sendall(b"x" * 10)
        assert peer.recv(10)
        peer.sendall(b"y" * 3)
        assert sock.recv(3)
        return _tcpinfo.read(sock)


def test_older_kernels_tell_less(struct_of_this_kernel):
    """Only what the returned length covers is taken; all else is unknown, and nothing fails."""
    known_at = {
        length: _tcpinfo.facts(struct_of_this_kernel[:length], 0, accepted=False)
        for length in range(1, len(struct_of_this_kernel) + 1)
    }
    assert known_at[104]["bytes_acked"] is None  # Linux 3.10
    assert known_at[104]["retransmits"] == 0
    assert known_at[192]["bytes_acked"] == 10  # 4.9
    assert known_at[192]["bytes_received"] == 3
    assert known_at[224]["send_window"] is None  # 5.3
    assert known_at[232]["send_window"] > 0
    assert {len(facts) for facts in known_at.values()} == {len(fields(errors.TCPInfo))}
    assert _tcpinfo.facts(b"", 0, accepted=False)["state"] == ""


def test_systems_that_count_nothing(struct_of_this_kernel):
    """Where no segment is said to have gone either way, nothing else that is said is believed."""
    assert _tcpinfo._has_spoken(struct_of_this_kernel)
    assert not _tcpinfo._has_spoken(b"\1" + bytes(279))  # gVisor: connected, and all else is 0
    assert not _tcpinfo._has_spoken(b"\7" + bytes(103))  # Linux 3.10: over, or never begun
    assert not _tcpinfo._has_spoken(b"\12" + bytes(103))  # a listener
    assert _tcpinfo._has_spoken(b"\1" + bytes(103))


def test_hints_of_older_kernels(struct_of_this_kernel):
    """A hint is never made of numbers that are not there."""
    for length in range(len(struct_of_this_kernel) + 1):
        facts = _tcpinfo.facts(struct_of_this_kernel[:length], 0, accepted=False)
        hint = hint_of(errors.ReadTimeoutError, "recv", facts)
        assert "None" not in hint
        assert hint == "plain" or "(10 bytes acknowledged)" in hint
    assert hint != "plain"


def hint_of(kind, operation, facts, source="default", role=""):
    """Return the hint for an error of which *facts* are known."""
    error = kind("timed out")
    error.operation, error._tcp, error.timeout_source, error._role = operation, facts, source, role
    error.elapsed = error.timeout = LIMIT
    route = Route(AF_INET, stdlib.SOCK_STREAM, tcp=facts)
    return _tcphints.with_evidence("plain", kind, error, route)


@given(
    raw=st.binary(max_size=300),
    queued=st.none() | st.integers(0, 2**31),
    accepted=st.booleans(),
    source=st.sampled_from(["default", "deadline", "kernel"]),
)
@example(b"\xff" * 300, 2**31, False, "default")
def test_whatever_the_kernel_says(raw, queued, accepted, source):
    """Whatever comes out of the kernel, there are facts or none, and a hint in one line."""
    facts = _tcpinfo.facts(raw, queued, accepted=accepted)
    assert all(value >= 0 for value in facts.values() if isinstance(value, (int, float)))
    for kind in [*_tcphints._SENTENCES, *_tcphints._OVER]:
        for operation in ("connect", "recv", "send", "do_handshake", "unwrap"):
            hint = hint_of(kind, operation, facts, source, ACCEPTED if accepted else "")
            assert hint.isprintable()
            assert "None" not in hint
            assert "{" not in hint


def test_systems_without_evidence(monkeypatch):
    """Where there is no TCP_INFO the plain hints are there, and the attributes are None."""
    monkeypatch.setattr(_tcpinfo, "_OPTION", None)
    with tcp_pair() as (sock, _):
        error = silence(sock)
        assert error.hint.startswith("nothing came from the other side")
    assert (error.tcp, error.bytes_sent, error.bytes_received) == (None, None, None)
    assert error.to_dict()["tcp"] is None


def test_sandbox_without_the_option(monkeypatch):
    """A system that does not know the option has no evidence."""
    monkeypatch.setattr(_tcpinfo, "_OPTION", 9999)
    with tcp_pair() as (sock, _):
        assert silence(sock).tcp is None


def test_multipath_tcp_is_not_read():
    """MPTCP has many connections, and answers for one: that would be half the truth."""
    try:
        with safesocket.socket(AF_INET, stdlib.SOCK_STREAM, 262) as sock:  # IPPROTO_MPTCP
            assert _tcpinfo.read(sock) is None
    except OSError as exc:
        pytest.skip(f"no MPTCP on this machine: {exc}")
