"""What the errors of TLS are and say: the stdlib's class and facts, and whom it happened with.

Each failure happens three times: with the stdlib, which is the oracle, with the drop-in, and
under install. How long things wait is in test_tls.
"""

from __future__ import annotations

import gc
import re
import socket
import ssl
import struct
import time
from contextlib import contextmanager, suppress

import pytest

import safesocket
from safesocket import errors
from tests.helpers import GUARD, LIMIT, MUCH, assert_travels, calling, still_waits
from tests.tls import (
    NAME,
    authority,
    certificate,
    client_context,
    drop_in,
    rude_pair,
    safe_forms,
    server_context,
    tcp,
    the_stdlib,
    tls_pair,
    under_install,
)

pytestmark = pytest.mark.timeout(20, func_only=True)  # seconds; what hangs is cut off

FACTS = ["reason", "library", "verify_code", "verify_message"]


def reset(sock):
    """Close *sock* so that the other side gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def shake(near, context, **options):
    options.setdefault("server_hostname", NAME)
    context.wrap_socket(near, **options)


def answer(far, context):
    """Shake hands as a server does, whatever comes of it."""
    with suppress(OSError), context.wrap_socket(far, server_side=True) as sock:
        sock.recv(1)


# A scene is a context manager of a form; it yields the call that fails.


@contextmanager
def handshake_with(lib, client, server, **options):
    with tcp(lib) as (near, far), calling(answer, far, server):
        yield lambda: shake(near, client, **options)


@contextmanager
def expired(lib):
    server = server_context(issued=certificate(expired=True))
    with handshake_with(lib, client_context(lib.ssl), server) as call:
        yield call


@contextmanager
def self_signed(lib):
    alone = client_context(lib.ssl, trusts=False)
    alone.load_verify_locations(cadata=authority().cert_pem.bytes().decode())
    alone.verify_flags |= ssl.VERIFY_X509_STRICT
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority().private_key_pem.tempfile() as key, authority().cert_pem.tempfile() as pem:
        own.load_cert_chain(pem, key)
    with handshake_with(lib, client_context(lib.ssl, trusts=False), own) as call:
        yield call


@contextmanager
def unknown_authority(lib):
    with handshake_with(lib, client_context(lib.ssl, trusts=False), server_context()) as call:
        yield call


@contextmanager
def another_host(lib):
    other = {"server_hostname": "other.test"}
    with handshake_with(lib, client_context(lib.ssl), server_context(), **other) as call:
        yield call


@contextmanager
def another_address(lib):
    other = {"server_hostname": "127.0.0.9"}
    with handshake_with(lib, client_context(lib.ssl), server_context(), **other) as call:
        yield call


@contextmanager
def no_common_version(lib):
    client = client_context(lib.ssl, minimum_version=ssl.TLSVersion.TLSv1_3)
    server = server_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with handshake_with(lib, client, server) as call:
        yield call


@contextmanager
def plain_text(lib):
    with tcp(lib) as (near, far):
        far.sendall(b"220 welcome to a server that speaks plain text\r\n")
        yield lambda: shake(near, client_context(lib.ssl))


@contextmanager
def plain_http_client(lib):
    with tcp(lib, server_side=True) as (near, far):
        far.sendall(b"GET / HTTP/1.1\r\n\r\n")
        context = server_context(lib.ssl)
        yield lambda: context.wrap_socket(near, server_side=True)


@contextmanager
def server_without_certificate(lib):
    with tcp(lib) as (near, far), calling(answer, far, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        yield lambda: shake(near, client_context(lib.ssl))


@contextmanager
def no_certificate(lib):
    server = lib.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tcp(lib, server_side=True) as (near, far), calling(far.sendall, hello()):
        yield lambda: server.wrap_socket(near, server_side=True)


def hello():
    """Return what a client says first."""
    said = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname=NAME).do_handshake()
    return said.read()


@contextmanager
def closed_in_handshake(lib):
    with tcp(lib) as (near, far), calling(lambda: (far.recv(65536), far.close())):
        yield lambda: shake(near, client_context(lib.ssl))


@contextmanager
def reset_in_handshake(lib):
    with tcp(lib) as (near, far), calling(lambda: (far.recv(65536), reset(far))):
        yield lambda: shake(near, client_context(lib.ssl))


@contextmanager
def client_without_certificate(lib):
    server = server_context(
        lib.ssl, verify_mode=ssl.CERT_REQUIRED, maximum_version=ssl.TLSVersion.TLSv1_2
    )
    authority().configure_trust(server)
    with tcp(lib, server_side=True) as (near, far):

        def come():
            with suppress(OSError):
                shake(far, client_context())

        with calling(come):
            yield lambda: server.wrap_socket(near, server_side=True)


@contextmanager
def certificate_required(lib):
    server = server_context(verify_mode=ssl.CERT_REQUIRED)
    authority().configure_trust(server)
    with tcp(lib) as (near, far), calling(answer, far, server):
        sock = client_context(lib.ssl).wrap_socket(near, server_hostname=NAME)
        with sock:
            yield lambda: sock.recv(1)  # in TLS 1.3 the client's handshake is over by then


@contextmanager
def reset_in_read(lib):
    with rude_pair(lib, suppress_ragged_eofs=False) as (sock, peer):
        reset(peer.sock)
        yield lambda: sock.recv(1)


@contextmanager
def reset_in_write(lib):
    with rude_pair(lib) as (sock, peer):
        sock.send(b"never read")
        reset(peer.sock)

        def write():
            for _ in range(10):
                sock.sendall(MUCH)

        yield write


@contextmanager
def ragged_end(lib):
    with rude_pair(lib, suppress_ragged_eofs=False) as (sock, peer):
        peer.sock.close()
        yield lambda: sock.recv(1)


@contextmanager
def broken_record(lib):
    with rude_pair(lib) as (sock, peer):
        *most, last = peer.record(b"hello")
        peer.sock.sendall(bytes([*most, last ^ 1]))
        yield lambda: sock.recv(5)


@contextmanager
def data_in_place_of_goodbye(lib):
    with rude_pair(lib) as (sock, peer):
        peer.sock.sendall(peer.record(b"hello"))
        yield sock.unwrap


#: scene -> class, operation, what the hint is about
SCENES = {
    expired: ("CertificateError", "do_handshake", "expired"),
    self_signed: ("CertificateError", "do_handshake", "signed by itself|whom this machine trusts"),
    unknown_authority: ("CertificateError", "do_handshake", "whom this machine trusts"),
    another_host: ("CertificateError", "do_handshake", "another host's"),
    another_address: ("CertificateError", "do_handshake", "not for this IP address"),
    no_common_version: ("HandshakeError", "do_handshake", "no TLS version in common"),
    plain_text: ("HandshakeError", "do_handshake", "speaks plain text"),
    plain_http_client: ("HandshakeError", "do_handshake", "speaks plain HTTP"),
    server_without_certificate: ("HandshakeError", "do_handshake", "or has no certificate itself"),
    no_certificate: ("HandshakeError", "do_handshake", "this side .* has no certificate"),
    closed_in_handshake: ("HandshakeError", "do_handshake", "closed the connection without"),
    reset_in_handshake: ("PeerResetError", "do_handshake", "cut the connection"),
    client_without_certificate: ("HandshakeError", "do_handshake", "has none"),
    certificate_required: ("TLSError", "read", "wants a certificate of this side"),
    # To older versions of Python a reset is a ragged end: CPython issue 115627.
    reset_in_read: ("PeerResetError|TLSError", "read", "cut the connection|closed the connection"),
    reset_in_write: (
        "PeerResetError|PeerClosedError|TLSError",
        "sendall",
        "cut the connection|closed the connection|closed for writing",
    ),
    ragged_end: ("TLSError", "read", "closed the connection without"),
    broken_record: ("TLSError", "read", "OpenSSL"),
    data_in_place_of_goodbye: ("TLSError", "unwrap", "OpenSSL"),
}
every_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


def failure(form, scene):
    """Return the error that *scene* ends in."""
    with form() as lib, scene(lib) as call:
        try:
            call()
        except OSError as exc:
            return exc
        pytest.fail("nothing failed")


def facts(exc):
    text = str(exc.args[-1]).partition(" (_ssl.c")[0]  # that line is another for each call
    return exc.errno, exc.args[:-1], text, [getattr(exc, name, None) for name in FACTS]


@safe_forms
@every_scene
def test_error_is_the_stdlibs(form, scene):
    """What the stdlib's error is and knows, ours is and knows, and more."""
    original, error = failure(the_stdlib, scene), failure(form, scene)
    kind, operation, hint = SCENES[scene]
    assert type(error).__name__ in kind.split("|")
    assert isinstance(error, getattr(errors, type(error).__name__))
    assert set(type(original).__mro__) <= set(type(error).__mro__)
    assert facts(error) == facts(original)
    assert error.operation == operation
    assert error.elapsed < GUARD
    assert re.search(hint, error.hint), error.hint
    assert str(error).startswith(str(original).partition(" (_ssl.c")[0])


@safe_forms
@every_scene
def test_error_names_the_peer(form, scene):
    """Each error names host and port, on one line."""
    error = failure(form, scene)
    assert error.port
    assert f":{error.port}" in str(error)
    assert str(error).isprintable()
    if error.host not in ("127.0.0.1", "127.0.0.9", "other.test"):
        assert error.host == NAME


@safe_forms
@every_scene
def test_error_travels(form, scene):
    """pickle, copy and deepcopy keep all that an error of TLS says."""
    assert_travels(failure(form, scene))


@safe_forms
def test_timeouts_travel(form):
    """So they do with a handshake that timed out."""
    with (
        form() as lib,
        tcp(lib) as (near, _),
        safesocket.timeouts(handshake=0),
        pytest.raises(errors.HandshakeTimeoutError) as it,
    ):
        shake(near, client_context(lib.ssl))
    assert_travels(it.value)
    assert isinstance(it.value, errors.TLSError)
    assert isinstance(it.value, errors.ConnectError)
    assert it.value.fingerprint.startswith("do_handshake:timeout:")
    assert "speak TLS on this port" in it.value.hint


@pytest.mark.parametrize("form", [drop_in, under_install], ids=["drop-in", "installed"])
@pytest.mark.parametrize("wanted", [OSError, ssl.SSLError, ssl.CertificateError, ValueError])
def test_certificate_errors_are_caught_as_ever(form, wanted):
    """Every except clause for a certificate that was not accepted goes on to work."""
    with form() as lib, another_host(lib) as call, pytest.raises(wanted):
        call()


@safe_forms
@pytest.mark.parametrize("message", ["append", "note", "off"])
def test_message_of_a_part(form, message):
    """An error of sendall tells of sendall, in every style of messages."""
    safesocket.configure(message=message)
    with (
        form() as lib,
        tls_pair(lib) as (sock, _),
        safesocket.timeouts(write=0),
        pytest.raises(errors.WriteTimeoutError) as it,
    ):
        sock.sendall(MUCH)
    told = {"append": str(it.value), "note": it.value.__notes__[0] if message == "note" else ""}
    assert "sendall to" in told.get(message, "sendall to")
    assert (str(it.value) == "The write operation timed out") == (message != "append")


@safe_forms
def test_server_is_told_of_its_client(form):
    """A server whose client does not shake hands to the end reads of a client, not of a port."""
    with (
        form() as lib,
        tcp(lib, server_side=True) as (near, _),
        safesocket.timeouts(handshake=0),
        pytest.raises(errors.HandshakeTimeoutError) as silent,
    ):
        server_context(lib.ssl).wrap_socket(near, server_side=True)
    with form() as lib, tcp(lib, server_side=True) as (near, far):
        far.close()
        with pytest.raises(errors.HandshakeError) as gone:
            server_context(lib.ssl).wrap_socket(near, server_side=True)
    assert silent.value.hint.startswith("a client connected")
    assert gone.value.hint.startswith("a client closed the connection")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_server_whose_client_is_gone_before_the_handshake():
    """A client that resets at once is named to a server that wraps what it has accepted."""
    with drop_in() as lib, tcp(lib, server_side=True) as (near, far):
        address = far.getsockname()
        reset(far)
        with pytest.raises(ConnectionResetError) as it:
            server_context(lib.ssl).wrap_socket(near, server_side=True)
        assert isinstance(it.value, errors.PeerResetError)
        assert (it.value.host, it.value.port) == address
        del it
        gc.collect()  # the stdlib's code leaves the socket that it is making to the collector


@safe_forms
def test_elapsed_of_sendall(form):
    """What an error tells is the time of the whole call, not that since the last progress."""

    def send():
        began = time.monotonic()
        with pytest.raises(errors.WriteTimeoutError) as it:
            sock.sendall(MUCH)
        return it.value.elapsed, time.monotonic() - began

    with form() as lib, tls_pair(lib) as (sock, peer):
        safesocket.configure(write=4 * LIMIT)
        with calling(send) as sending:
            assert still_waits(sending, 2 * LIMIT)
            taken = 0
            while taken < 1_000_000:
                taken += len(peer.recv(65_536))
            told, took = sending.result(GUARD)
    assert took - LIMIT < told <= took
