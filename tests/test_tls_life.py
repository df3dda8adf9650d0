"""TLS beside limits: the mode that the program sees, threads, signals, fork, families, mixtures.

What ends when is in test_tls, what errors say in test_tls_errors. Most tests run in the drop-in's
form and under install; those of what TLS does in any case run on the stdlib, the oracle, too.
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import socket
import ssl
import threading
from contextlib import closing, nullcontext, suppress
from functools import partial
from itertools import count

import pytest

import safesocket
import safesocket.ssl as safe_ssl
from safesocket import _lending, errors
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    calling,
    counted_alarms,
    descriptors,
    garbage,
    mode_of,
    needs_alarm,
    set_kernel_timeout,
    still_waits,
    stopped_at,
    within,
)
from tests.tls import (
    NAME,
    Rude,
    certificate,
    client_context,
    every_form,
    every_way,
    limit,
    rude_pair,
    safe_forms,
    server_context,
    sides,
    tcp,
    tls_pair,
    under_install,
    wrapped,
)

pytestmark = pytest.mark.timeout(20, func_only=True)  # seconds; what hangs is cut off


# The mode that the program sees.

MODES = [None, 5.0, 0.0]


def seen(sock):
    return sock.gettimeout(), sock.timeout, sock.getblocking()


def expected(mode):
    return mode, mode, mode != 0


@every_form
@pytest.mark.parametrize("before", MODES)
@pytest.mark.parametrize("after", MODES)
def test_mode_is_the_programs(form, before, after):
    """The mode is what the program has set, before a read, during it and after it."""
    with form() as lib, tls_pair(lib) as (sock, peer):
        sock.settimeout(before)
        assert seen(sock) == expected(before)
        peer.sendall(b"x")
        while True:
            with suppress(ssl.SSLWantReadError):
                assert sock.recv(1) == b"x"
                break
        assert seen(sock) == expected(before)
        sock.settimeout(after)
        assert seen(sock) == expected(after)
        sock.setblocking(True)
        assert seen(sock) == expected(None)
        sock.setblocking(False)
        assert seen(sock) == expected(0.0)


@safe_forms
def test_mode_during_a_wait(form):
    """While a read waits, other threads see the program's mode."""
    with form() as lib, tls_pair(lib) as (sock, peer), calling(sock.recv, 1) as got:
        assert still_waits(got)
        assert seen(sock) == expected(None)
        peer.sendall(b"x")
        assert got.result(GUARD) == b"x"


@safe_forms
def test_timeout_set_during_a_wait(form):
    """A timeout that another thread sets while one reads holds for that read, too."""
    with form() as lib, tls_pair(lib) as (sock, accepted):
        safesocket.configure(read=2 * LIMIT)
        with calling(sock.recv, 9) as reading:
            assert still_waits(reading, LIMIT)
            sock.settimeout(GUARD)
            waited = still_waits(reading)
            accepted.sendall(b"late")
            assert waited
            assert reading.result(GUARD) == b"late"


@safe_forms
def test_mode_given_back_is_stopped_at_any_moment(form):
    """Whenever a signal's handler raises, as at the end of a handshake, the mode is back."""
    with form() as lib, tls_pair(lib) as (sock, _):
        for moment in count(1):
            _lending.poll(sock)
            more = stopped_at(moment, partial(_lending.give_back, sock))
            assert seen(sock) == expected(None), moment
            if not more:
                break
    assert moment > 2


def test_uninstall_during_a_wait():
    """A read that is under way keeps its limit."""
    with under_install() as lib, tls_pair(lib) as (sock, _):
        safesocket.configure(read=2 * LIMIT)
        with calling(sock.recv, 9) as reading:
            assert still_waits(reading, LIMIT)
            safesocket.uninstall()
            assert isinstance(reading.exception(GUARD), errors.ReadTimeoutError)


@every_form
@pytest.mark.parametrize("limited", [False, True], ids=["default", "polled"])
@pytest.mark.parametrize("mode", MODES)
def test_descriptor_as_the_stdlib_has_it(form, limited, mode):
    """detach(), unwrap() and shutdown() leave the descriptor as the stdlib would."""
    ways = {
        "detach": lambda sock: socket.socket(fileno=sock.detach()),
        "shutdown": lambda sock: sock.shutdown(socket.SHUT_WR) or sock,
    }
    for way in ways.values():
        with form() as lib, tls_pair(lib, mode=mode) as (sock, _):
            if limited and mode is None and lib.is_safe:
                with safesocket.timeouts(read=LIMIT), pytest.raises(TimeoutError):
                    sock.recv(1)
            with way(sock) as left:
                assert os.get_blocking(left.fileno()) == (mode is None)
                for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                    assert left.getsockopt(socket.SOL_SOCKET, option, 16) == bytes(16)


@every_form
@pytest.mark.parametrize("mode", [None, 5.0])
def test_unwrap_and_go_on_in_plain_text(form, mode):
    """After unwrap() both sides speak plain text in the mode of before."""
    with form() as lib, tls_pair(lib, mode=mode) as (sock, peer):
        with calling(peer.unwrap) as unwrapped:
            assert sock.unwrap() is sock
            unwrapped.result(GUARD)
        assert mode_of(sock) == (mode is not None, mode)
        peer.send(b"plain")
        assert sock.recv(5) == b"plain"


@safe_forms
@sides
@every_way
def test_unwrap_beyond_its_limit(form, server_side, way):
    """A peer that never says goodbye does not stall unwrap()."""
    with form() as lib, rude_pair(lib, server_side) as (sock, _):
        with (
            limit(way, sock, handshake=LIMIT),
            within(LIMIT),
            pytest.raises(errors.ReadTimeoutError) as it,
        ):
            sock.unwrap()
        assert (it.value.operation, it.value.timeout) == ("unwrap", LIMIT)


@safe_forms
def test_descriptor_blocks_while_in_use(form):
    """As in the stdlib, the descriptor of a socket in blocking mode does block."""
    with form() as lib, tls_pair(lib) as (sock, peer):
        peer.sendall(b"x")
        assert sock.recv(1) == b"x"
        assert mode_of(sock) == (False, None)


@every_form
def test_nonblocking_gets_bare_errors(form):
    """A non-blocking socket gets the very error that OpenSSL's caller made: nothing is added."""
    with form() as lib, tls_pair(lib, mode=0.0) as (sock, _):
        with pytest.raises(ssl.SSLWantReadError) as it:
            sock.recv(1)
        assert type(it.value) is ssl.SSLWantReadError
        assert set(vars(it.value)) <= {"reason", "library"}
        assert (it.value.__context__, it.value.__cause__) == (None, None)
        with pytest.raises(ssl.SSLWantWriteError):
            any(sock.send(bytes(16_384)) < 0 for _ in range(10_000))


@safe_forms
def test_timeouts_set_up_behind_pythons_back(form):
    """Who has set SO_RCVTIMEO or O_NONBLOCK itself is left alone."""
    with form() as lib, tcp(lib) as (near, far), safesocket.timeouts(read=LIMIT):
        set_kernel_timeout(near, socket.SO_RCVTIMEO, 0.5)
        with calling(Rude(far).shake_hands):
            sock = wrapped(lib, near, False)
        with sock:
            before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
            sock.send(b"x")
            assert any(before)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == before


@safe_forms
def test_mode_after_uninstall(form):
    """What was open under install() is the stdlib's again, mode and all, after uninstall()."""
    if form.__name__ != "under_install":
        pytest.skip("of install()")
    lib = type("lib", (), {"socket": socket, "ssl": ssl})
    installation = safesocket.install()
    with tls_pair(lib) as (sock, peer):
        with safesocket.timeouts(read=LIMIT), pytest.raises(TimeoutError):
            sock.recv(1)
        installation.uninstall()
        assert mode_of(sock) == (False, None)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
        with calling(sock.recv, 1) as got:
            assert still_waits(got)
            peer.sendall(b"x")
            assert got.result(GUARD) == b"x"


# Threads, signals, fork.


@safe_forms
@pytest.mark.parametrize("limited", [False, True], ids=["plain", "one-thread-limited"])
def test_two_threads_on_two_directions(form, limited):
    """One thread writes and one reads, and no byte is lost or seen twice."""
    total = 600_000
    with form() as lib, tls_pair(lib) as (sock, peer):

        def echo():
            while data := peer.recv(97):
                peer.sendall(data)

        def write():
            for start in range(0, total, 97):
                sock.sendall(MUCH[start : min(start + 97, total)])

        def read():
            got = bytearray()
            while len(got) < total:
                with suppress(errors.ReadTimeoutError):
                    data = sock.recv(97)
                    assert data, "not the end"
                    got += data
            return bytes(got)

        with calling(echo), calling(write) as written:
            with safesocket.timeouts(read=0.0001) if limited else nullcontext():
                assert read() == MUCH[:total]
            written.result(GUARD)
            sock.shutdown(socket.SHUT_RDWR)


@needs_alarm
@safe_forms
@pytest.mark.parametrize("way", ["configure", "timeouts"])
def test_signals_do_not_prolong_a_wait(form, way):
    """A signal every 2 ms neither ends a handshake or a read, nor prolongs it."""
    with form() as lib, tcp(lib) as (near, _), limit(way, handshake=2 * LIMIT):
        with (
            counted_alarms() as came,
            within(2 * LIMIT, 2 * LIMIT),
            pytest.raises(errors.HandshakeTimeoutError),
        ):
            wrapped(lib, near, False)
        assert len(came) > 5
    safesocket.configure(handshake=GUARD)
    with form() as lib, rude_pair(lib) as (sock, _), limit(way, read=2 * LIMIT):
        with (
            counted_alarms() as came,
            within(2 * LIMIT, 2 * LIMIT),
            pytest.raises(errors.ReadTimeoutError),
        ):
            sock.recv(1)
        assert len(came) > 5


@safe_forms
def test_close_in_a_handler_or_thread_is_seen(form):
    """A connection that another thread shuts down ends a read that waits."""
    with form() as lib, tls_pair(lib) as (sock, _), calling(sock.recv, 1) as got:
        assert still_waits(got)
        sock.shutdown(socket.SHUT_RDWR)
        got.exception(GUARD)


@safe_forms
def test_fork_while_a_thread_reads(form):
    """A child goes on with a connection in the midst of whose use it was forked."""
    with form() as lib, tls_pair(lib) as (sock, peer):
        with safesocket.timeouts(read=0), pytest.raises(TimeoutError):
            sock.recv(1)  # polled from now on
        known = safesocket._route.recall(sock)
        with known.lock:  # as a thread of the parent's may hold it
            pid = os.fork()
        if not pid:
            with suppress(BaseException):
                threading.Thread(target=sock.sendall, args=(b"child",)).start()
                threading.enumerate()[-1].join(GUARD)
            os._exit(0)
        assert peer.recv(5) == b"child"
        os.waitpid(pid, 0)


# Nothing is left behind.


@safe_forms
@sides
def test_failed_handshake_leaves_nothing(form, server_side):
    """A handshake that fails leaves neither descriptors nor reference cycles."""
    safesocket.configure(handshake=0.001)
    with form() as lib, lib.socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        context = server_context(lib.ssl) if server_side else client_context(lib.ssl)
        name = {} if server_side else {"server_hostname": NAME}

        def fail():
            with socket.create_connection(address) if server_side else nullcontext():
                near = None if server_side else lib.socket.create_connection(address)
                other, _ = listener.accept()
                with other, pytest.raises(TimeoutError):
                    context.wrap_socket(near or other, server_side=server_side, **name)

        fail()
        before = descriptors()
        assert garbage(fail) == 0
        assert descriptors() == before


@safe_forms
def test_timeouts_leave_nothing(form):
    """Nor does a read or a write that fails."""
    with form() as lib, tls_pair(lib) as (sock, _), safesocket.timeouts(read=0, write=0):

        def fail():
            with suppress(errors.ReadTimeoutError):
                sock.recv(1)
            with suppress(errors.WriteTimeoutError):
                sock.sendall(MUCH)

        fail()
        assert garbage(fail) == 0


# Families and mixtures.


@safe_forms
@pytest.mark.parametrize("family", ["AF_INET6", "AF_UNIX"])
def test_other_families(form, family, tmp_path):
    """TLS has its limits over IPv6 and AF_UNIX paths."""
    family = getattr(socket, family)
    address = ("::1", 0) if family == socket.AF_INET6 else str(tmp_path / "socket")
    with form() as lib, lib.socket.socket(family) as listener, lib.socket.socket(family) as near:
        try:
            listener.bind(address)
        except OSError:
            pytest.skip("no ::1 on this machine")
        listener.listen()
        near.connect(listener.getsockname())
        with (
            listener.accept()[0],
            safesocket.timeouts(handshake=LIMIT),
            within(LIMIT),
            pytest.raises(errors.HandshakeTimeoutError) as it,
        ):
            wrapped(lib, near, False)
        assert it.value.address == listener.getsockname() or it.value.host == address


@safe_forms
def test_socketpair_is_left_in_peace(form):
    """A program that speaks TLS with itself has no limits."""
    safesocket.configure(handshake=LIMIT, read=LIMIT, serve=LIMIT, write=LIMIT)
    with form() as lib:
        one, two = lib.socket.socketpair()
        with one, two, calling(wrapped, lib, one, False) as shaken:
            assert still_waits(shaken)
            peer = Rude(two)
            peer.shake_hands()
            with shaken.result(GUARD) as sock, calling(sock.recv, 5) as got:
                assert still_waits(got)
                two.sendall(peer.record(b"hello"))
                assert got.result(GUARD) == b"hello"


@every_form
def test_session_and_alpn(form):
    """What is agreed upon in a handshake is there: ALPN, version, cipher, a session used again."""
    with form() as lib:
        client, server = client_context(lib.ssl), server_context(lib.ssl)
        client.maximum_version = ssl.TLSVersion.TLSv1_2  # its sessions are there at once
        client.set_alpn_protocols(["h2", "http/1.1"])
        server.set_alpn_protocols(["http/1.1"])
        with tls_pair(lib, client, server) as (sock, _):
            session = sock.session
            assert (sock.version(), sock.session_reused) == ("TLSv1.2", False)
            assert sock.selected_alpn_protocol() == "http/1.1"
            assert sock.getpeercert()["subjectAltName"] == (("DNS", NAME),)
        with tls_pair(lib, client, server, session=session) as (sock, _):
            assert sock.session_reused


@pytest.mark.parametrize("make", [ssl, safe_ssl], ids=["stdlib-context", "drop-in-context"])
@pytest.mark.parametrize("lib", [socket, safesocket], ids=["stdlib-socket", "drop-in-socket"])
def test_contexts_and_sockets_mixed(make, lib):
    """Contexts of either module wrap sockets of either; those of the drop-in's are safe."""
    mixture = type("lib", (), {"socket": lib, "ssl": make})
    with tls_pair(mixture) as (sock, peer):
        assert type(sock) is make.SSLSocket
        peer.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        if make is safe_ssl:
            with (
                safesocket.timeouts(read=LIMIT),
                within(LIMIT),
                pytest.raises(errors.ReadTimeoutError),
            ):
                sock.recv(5)


@every_form
def test_asyncio_with_our_context(form):
    """asyncio's streams use a context of ours as any other."""

    async def run(lib):
        async def answer(reader, writer):
            writer.write(await reader.readexactly(5))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(lib.ssl))
        async with server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(
                host, port, ssl=client_context(lib.ssl), server_hostname=NAME
            )
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    with form() as lib:
        asyncio.run(run(lib))


@safe_forms
def test_http_client_with_our_context(form):
    """An HTTPS client with a context of ours gives up on a server that does not answer."""
    with form() as lib, lib.socket.create_server(("127.0.0.1", 0)) as listener:
        for_localhost = server_context(lib.ssl, certificate("localhost"))
        with for_localhost.wrap_socket(listener, server_side=True) as server:
            port = server.getsockname()[1]
            context = client_context(lib.ssl)
            client = http.client.HTTPSConnection("localhost", port, context=context)
            with closing(client), calling(server.accept) as accepted:
                client.connect()
                with accepted.result(GUARD)[0], safesocket.timeouts(read=LIMIT):
                    client.request("GET", "/")
                    with within(LIMIT), pytest.raises(errors.ReadTimeoutError) as it:
                        client.getresponse()
            assert it.value.host == "localhost"
            assert it.value.port == port


@safe_forms
def test_name_asked_for_is_shown(form):
    """Who connects to a number and asks for a name reads both in an error."""
    with form() as lib, rude_pair(lib) as (sock, peer), safesocket.timeouts(read=LIMIT):
        host, port = peer.sock.getsockname()
        with pytest.raises(errors.ReadTimeoutError) as it:
            sock.recv(1)
        assert (it.value.host, it.value.port) == (NAME, port)
        assert it.value.address == (host, port)
        assert f"read from {NAME}:{port} ({host})" in str(it.value)


@pytest.mark.parametrize("name", ["create_default_context", "_create_unverified_context"])
def test_contexts_of_the_drop_in(name):
    """Every function of the drop-in that makes contexts makes those of safe sockets."""
    context = getattr(safe_ssl, name)()
    assert type(context) is safe_ssl.SSLContext
    assert context.sslsocket_class is safe_ssl.SSLSocket


@every_form
def test_handshake_on_a_closed_socket(form):
    """It is told as an OSError, which is what a thread expects whose socket another one closes."""
    with form() as lib, tls_pair(lib) as (sock, _):
        sock.close()
        with pytest.raises(OSError) as it:  # noqa: PT011 (compared below)
            sock.do_handshake()
        assert it.value.errno == errno.EBADF


@every_form
@pytest.mark.parametrize("last", ["setblocking", "detach"])
def test_mode_of_a_closed_socket(form, last):
    """It is what the program has set last, as of any closed socket."""
    with form() as lib, tls_pair(lib) as (sock, peer):
        peer.sendall(b".")
        assert sock.recv(1) == b"."
        sock.close()
        with suppress(OSError):
            sock.setblocking(False) if last == "setblocking" else sock.detach()
        assert sock.gettimeout() == (0.0 if last == "setblocking" else None)
