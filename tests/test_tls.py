"""TLS: every wait is bounded, nothing is lost, and the program sees the mode that it has set.

Most tests run in the drop-in's form and under install; those that tell what TLS does in any case
run on the stdlib, too, which is the oracle. What errors say is in test_tls_errors.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
from contextlib import nullcontext, suppress

import pytest

import safesocket
from safesocket import errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    MUCH,
    SLACK,
    calling,
    mode_of,
    still_waits,
    within,
)
from tests.tls import (
    NAME,
    Rude,
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
    wrapped,
)

pytestmark = pytest.mark.timeout(20, func_only=True)  # seconds; what hangs is cut off

READS = {
    "read": lambda sock: sock.read(9),
    "recv": lambda sock: sock.recv(9),
    "recv_into": lambda sock: sock.recv_into(bytearray(9)),
    "makefile": lambda sock: sock.makefile("rb").read(9),
}
WRITES = {
    "write": lambda sock: sock.write(MUCH),
    "send": lambda sock: sock.send(MUCH),
    "sendall": lambda sock: sock.sendall(MUCH),
    "sendfile": lambda sock: sock.sendfile(io.BytesIO(MUCH)),
}


# Handshakes.


def says_nothing(far):
    return nullcontext()


def drips(far):
    """Send the head of a record that never ends, byte by byte, until the other side leaves."""

    def drip():
        with suppress(OSError):
            for byte in b"\x16\x03\x01\x3f\xff" + bytes(16_000):
                far.send(bytes([byte]))
                far.settimeout(LIMIT / 10)
                with suppress(TimeoutError):
                    if not far.recv(65536):
                        return

    return calling(drip)


@safe_forms
@sides
@every_way
@pytest.mark.parametrize("peer", [says_nothing, drips])
def test_handshake_beyond_its_limit(form, server_side, way, peer):
    """A peer that does not do its part of the handshake, or drips it, does not stall this side."""
    with form() as lib, tcp(lib, server_side) as (near, far):
        with (
            limit(way, near, handshake=LIMIT),
            peer(far),
            within(LIMIT),
            pytest.raises(errors.HandshakeTimeoutError) as it,
        ):
            wrapped(lib, near, server_side)
        error = it.value
        assert isinstance(error, TimeoutError)
        assert "timed out" in str(error)
        assert (error.operation, error.timeout, error.timeout_source) == (
            "do_handshake",
            LIMIT,
            way,
        )
        assert (error.address or (error.host, error.port)) == far.getsockname()


@safe_forms
def test_handshake_limit_is_for_the_whole_call(form):
    """Zero is a limit, too: what is not there at once has timed out."""
    with (
        form() as lib,
        tcp(lib) as (near, _),
        safesocket.timeouts(handshake=0),
        within(0),
        pytest.raises(errors.HandshakeTimeoutError),
    ):
        wrapped(lib, near, False)


@safe_forms
@pytest.mark.parametrize("never", [None, safesocket.FOREVER])
def test_handshake_without_limit(form, never):
    """Without a limit a handshake waits as long as it takes."""
    with (
        form() as lib,
        tcp(lib) as (near, far),
        safesocket.timeouts(handshake=never, read=LIMIT),
        calling(wrapped, lib, near, False) as shaken,
    ):
        assert still_waits(shaken)
        Rude(far).shake_hands()
        shaken.result(GUARD).close()


@safe_forms
def test_accept_loop_outlives_silent_client(form):
    """A listener under TLS gives a client that never speaks up, and takes the next one."""
    safesocket.configure(handshake=LIMIT)
    with (
        form() as lib,
        lib.socket.create_server(("127.0.0.1", 0)) as plain,
        server_context(lib.ssl).wrap_socket(plain, server_side=True) as listener,
    ):
        address = listener.getsockname()
        with socket.create_connection(address) as silent:
            with within(LIMIT), pytest.raises(errors.HandshakeTimeoutError) as it:
                listener.accept()
            assert (it.value.host, it.value.port) == silent.getsockname()
        safesocket.configure(handshake=GUARD)
        with (
            calling(listener.accept) as accepted,
            socket.create_connection(address) as raw,
            client_context().wrap_socket(raw, server_hostname=NAME) as client,
        ):
            server, _ = accepted.result(GUARD)
            with server:
                client.sendall(b"hello")
                assert server.recv(5) == b"hello"


@every_form
@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "later"])
def test_wrap_before_connect(form, connect, at_once):
    """A socket may be wrapped before it is connected; the handshake comes when asked for."""
    with form() as lib, lib.socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            conn, _ = listener.accept()
            with server_context(lib.ssl).wrap_socket(conn, server_side=True) as server:
                server.sendall(server.recv(5))

        with calling(serve) as served:
            context = client_context(lib.ssl)
            options = {"server_hostname": NAME, "do_handshake_on_connect": at_once}
            with context.wrap_socket(lib.socket.socket(), **options) as sock:
                assert not getattr(sock, connect)(listener.getsockname())
                if not at_once:
                    sock.do_handshake()
                sock.sendall(b"hello")
                assert sock.recv(5) == b"hello"
            served.result(GUARD)


@safe_forms
def test_connect_then_silence(form):
    """A server that accepts and never shakes hands does not stall connect()."""
    with (
        form() as lib,
        testing.never_answers() as address,
        safesocket.timeouts(handshake=LIMIT),
        client_context(lib.ssl).wrap_socket(lib.socket.socket(), server_hostname=NAME) as sock,
    ):
        with within(LIMIT), pytest.raises(errors.HandshakeTimeoutError) as it:
            sock.connect(address)
        assert it.value.address == address
        assert mode_of(sock) == (False, None)


@every_form
def test_do_handshake_block_on_nonblocking(form):
    """do_handshake(block=True) waits on a non-blocking socket, whose mode comes back."""
    with form() as lib, tcp(lib) as (near, far):
        near.setblocking(False)
        with wrapped(lib, near, False, do_handshake_on_connect=False) as sock:
            with calling(Rude(far).shake_hands) as shaken:
                sock.do_handshake(block=True)
                shaken.result(GUARD)
            assert mode_of(sock) == (True, 0.0)


@safe_forms
def test_do_handshake_block_on_nonblocking_has_a_limit(form):
    """And it waits within the limit."""
    with form() as lib, tcp(lib) as (near, _), safesocket.timeouts(handshake=LIMIT):
        near.setblocking(False)
        with wrapped(lib, near, False, do_handshake_on_connect=False) as sock:
            with within(LIMIT), pytest.raises(TimeoutError):
                sock.do_handshake(block=True)
            assert mode_of(sock) == (True, 0.0)


@every_form
def test_handshake_on_connect_of_nonblocking(form):
    """A non-blocking socket has to shake hands itself; what is refused is closed."""
    with form() as lib, tcp(lib) as (near, _):
        near.setblocking(False)
        with pytest.raises(ValueError, match="do_handshake_on_connect should not be"):
            wrapped(lib, near, False)


# Reads.


@safe_forms
@sides
@every_way
@pytest.mark.parametrize("half", [False, True], ids=["silent", "half-a-record"])
@pytest.mark.parametrize("name", READS)
def test_read_beyond_its_limit(form, server_side, way, half, name):
    """A peer that is silent, or stops in the middle of a record, does not stall a reader."""
    with form() as lib, rude_pair(lib, server_side) as (sock, peer):
        if half:
            peer.sock.sendall(peer.record(b"hello")[:-3])
        with (
            limit(way, sock, read=LIMIT, serve=LIMIT),
            within(LIMIT, LIMIT / 2),
            pytest.raises(errors.ReadTimeoutError) as it,
        ):
            READS[name](sock)
        error = it.value
        assert isinstance(error, TimeoutError)
        assert (error.operation, error.timeout, error.timeout_source) == ("read", LIMIT, way)
        assert "The read operation timed out" in str(error)


@safe_forms
def test_read_goes_on_after_its_limit(form):
    """A record that comes in halves, before and after a limit, is not lost."""
    with form() as lib, rude_pair(lib) as (sock, peer):
        record = peer.record(b"hello")
        peer.sock.sendall(record[:-3])
        with safesocket.timeouts(read=LIMIT), pytest.raises(errors.ReadTimeoutError):
            sock.recv(5)
        peer.sock.sendall(record[-3:])
        assert sock.recv(5) == b"hello"


@safe_forms
def test_read_limit_zero(form):
    """With a limit of 0 there is no wait; what is there is read."""
    with form() as lib, rude_pair(lib) as (sock, peer), safesocket.timeouts(read=0):
        with within(0), pytest.raises(errors.ReadTimeoutError):
            sock.recv(5)
        peer.sock.sendall(peer.record(b"hello"))
        assert sock.recv(5) == b"hello"


@safe_forms
def test_accepted_connection_may_be_quiet(form):
    """A quiet client of a TLS server is left in peace, unless ``serve`` says otherwise."""
    safesocket.configure(read=LIMIT)
    with (
        form() as lib,
        rude_pair(lib, server_side=True) as (sock, peer),
        calling(sock.recv, 5) as got,
    ):
        assert still_waits(got)
        peer.sock.sendall(peer.record(b"hello"))
        assert got.result(GUARD) == b"hello"


@safe_forms
@pytest.mark.parametrize("forever", ["settimeout", "set_timeouts", "timeouts", "configure"])
def test_read_for_ever(form, forever):
    """Who asks for no limit has none."""
    safesocket.configure(read=LIMIT)
    with form() as lib, rude_pair(lib) as (sock, peer):
        if forever == "settimeout":
            sock.settimeout(safesocket.FOREVER)
            block = nullcontext()
        else:
            block = limit(forever, sock, read=safesocket.FOREVER)
        with block, calling(sock.recv, 5) as got:
            assert still_waits(got)
            peer.sock.sendall(peer.record(b"hello"))
            assert got.result(GUARD) == b"hello"


@safe_forms
@pytest.mark.parametrize("was", [LIMIT / 4, 300], ids=["longer", "shorter"])
@pytest.mark.parametrize("way", ["configure", "timeouts", "set_timeouts"])
def test_limit_changed_in_the_middle(form, was, way):
    """A limit set in the middle of a connection's life is kept, be it longer or shorter."""
    safesocket.configure(read=was)
    with form() as lib, rude_pair(lib) as (sock, peer):
        peer.sock.sendall(peer.record(b"hello"))
        assert sock.recv(5) == b"hello"
        with (
            limit(way, sock, read=2 * LIMIT),
            within(2 * LIMIT, 2 * LIMIT),
            pytest.raises(errors.ReadTimeoutError) as it,
        ):
            sock.recv(5)
        assert it.value.timeout == 2 * LIMIT


@safe_forms
def test_exempt_code_waits(form):
    """Code that is exempt has no limit, and other code that uses the same connection has."""
    if form.__name__ != "under_install":
        pytest.skip("exemptions are install()'s")
    safesocket.configure(read=LIMIT)
    with safesocket.installed(exempt=[safesocket.Exemption("exempted.module")]):
        scope = {"__name__": "exempted.module"}
        exec("def receive(sock): return sock.recv(5)\ndef wrap(call): return call()", scope)
        lib = type("lib", (), {"socket": socket, "ssl": ssl})
        with scope["wrap"](lambda: rude_pair(lib)) as (sock, peer):
            with calling(scope["receive"], sock) as got:
                assert still_waits(got)
                peer.sock.sendall(peer.record(b"hello"))
                assert got.result(GUARD) == b"hello"
            with within(LIMIT), pytest.raises(errors.ReadTimeoutError):
                sock.recv(5)


@every_form
@pytest.mark.parametrize("suppressed", [True, False])
def test_ragged_eof(form, suppressed):
    """An end without a goodbye of TLS is the end, or an error, as the program wants."""
    with form() as lib, rude_pair(lib, suppress_ragged_eofs=suppressed) as (sock, peer):
        peer.sock.close()
        if suppressed:
            assert sock.recv(5) == b""
            assert sock.recv_into(bytearray(5)) == 0
        else:
            with pytest.raises(ssl.SSLEOFError) as it:
                sock.recv(5)
            assert it.value.args[0] == ssl.SSL_ERROR_EOF


# Writes.


@safe_forms
@sides
@every_way
@pytest.mark.parametrize("name", WRITES)
def test_write_beyond_its_limit(form, server_side, way, name):
    """A peer that has stopped reading does not stall a writer."""
    with form() as lib, rude_pair(lib, server_side) as (sock, _):
        with (
            limit(way, sock, write=LIMIT),
            within(LIMIT + 1),
            pytest.raises(errors.WriteTimeoutError) as it,
        ):
            WRITES[name](sock)
        error = it.value
        assert isinstance(error, TimeoutError)
        assert error.operation == name
        assert (error.timeout, error.timeout_source) == (LIMIT, way)
        assert "The write operation timed out" in str(error)


def received(peer):
    """Return what the rude *peer* gets, up to the end."""
    data = b""
    with suppress(ssl.SSLWantReadError, OSError):
        while chunk := peer.sock.recv(1 << 20):
            peer._in.write(chunk)
    with suppress(ssl.SSLWantReadError, ssl.SSLEOFError):
        while part := peer.tls.read(1 << 20):
            data += part
    return data


@safe_forms
@pytest.mark.parametrize("way", ["configure", "timeouts", "set_timeouts"])
@pytest.mark.parametrize("name", ["write", "send", "sendall"])
def test_bytes_sent_of_a_write_that_is_stuck(form, way, name):
    """``bytes_sent`` counts whole records, and a program can go on from there."""
    with form() as lib, rude_pair(lib) as (sock, peer):
        with limit(way, sock, write=LIMIT), pytest.raises(errors.WriteTimeoutError) as it:
            WRITES[name](sock)
        sent = it.value.bytes_sent
        assert 0 < sent < len(MUCH)
        assert sent % 16_384 == 0
        safesocket.configure(write=GUARD)
        safesocket.set_timeouts(sock)
        with calling(received, peer) as got:
            sock.sendall(MUCH[sent:])
            sock.shutdown(socket.SHUT_WR)
            assert got.result(GUARD) == MUCH


@every_form
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        bytearray(b"hello"),
        memoryview(b"hello"),
        MUCH[:100_000],
        memoryview(MUCH)[:99_999],
    ],
    ids=["nothing", "bytes", "bytearray", "memoryview", "records", "part"],
)
@pytest.mark.parametrize("name", ["write", "send", "sendall"])
def test_write_everything(form, data, name):
    """In blocking mode everything is written, whatever holds it, and the count is right."""
    with form() as lib, rude_pair(lib) as (sock, peer), calling(received, peer) as got:
        assert getattr(sock, name)(data) == (None if name == "sendall" else len(data))
        sock.shutdown(socket.SHUT_WR)
        assert got.result(GUARD) == data


@every_form
@pytest.mark.parametrize("name", ["write", "send", "sendall"])
@pytest.mark.parametrize("bad", ["text", None, 5, memoryview(b"hello")[::2]])
def test_write_what_cannot_be(form, name, bad):
    """What cannot be written is refused as by the stdlib."""
    with form() as lib, tls_pair(lib) as (sock, _):
        with pytest.raises((TypeError, BufferError)) as it:
            getattr(sock, name)(bad)
        expected = BufferError if bad.__class__ is memoryview and name != "sendall" else TypeError
        assert it.type is expected


@safe_forms
def test_write_limit_counts_from_progress(form):
    """A reader that is slow and goes on does not end a long write."""
    with form() as lib, rude_pair(lib) as (sock, peer), safesocket.timeouts(write=5 * LIMIT):
        rest = threading.Event()

        def read_slowly():
            total = 0
            while chunk := peer.sock.recv(100_000):
                total += len(chunk)
                rest.wait(LIMIT / 10)
            return total

        with calling(read_slowly) as read:
            sock.sendall(MUCH)
            sock.shutdown(socket.SHUT_WR)
            assert read.result(GUARD) > len(MUCH)


@every_form
def test_sendfile(form):
    """A file goes through TLS."""
    with form() as lib, rude_pair(lib) as (sock, peer), calling(received, peer) as got:
        assert sock.sendfile(io.BytesIO(MUCH[:50_000]), 10, 40_000) == 40_000
        sock.shutdown(socket.SHUT_WR)
        assert got.result(GUARD) == MUCH[10:40_010]


@safe_forms
def test_record_that_is_taken_in_part(form):
    """A write that gets rid of a part of its record ends at the limit, not at twice the limit."""
    seconds = 0.4  # more than the slack
    with form() as lib, tls_pair(lib) as (sock, _):
        safesocket.set_timeouts(sock, write=seconds)
        with pytest.raises(errors.WriteTimeoutError) as it:
            fill(sock)
    assert seconds <= it.value.elapsed <= seconds + SLACK


def fill(sock):
    """Send records until no more are taken."""
    while True:
        sock.send(bytes(16_000))


@every_form
@pytest.mark.parametrize("data", [None, "text"], ids=repr)
@pytest.mark.parametrize("write", ["send", "write"])
def test_what_is_not_bytes_is_told_once(form, data, write):
    """No other error is behind the one that says it."""
    with form() as lib, tls_pair(lib) as (sock, _), pytest.raises(TypeError) as it:
        getattr(sock, write)(data)
    assert it.value.__context__ is None
