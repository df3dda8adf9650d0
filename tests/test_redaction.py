"""configure(redact=): no host, address or path leaves the house as it is, and each is hidden once.

Every failure here is a real one. What is looked through is all that an error shows: its text, its
representation, notes, attributes, ``to_dict()``, fingerprint, attempts and pickle.
"""

from __future__ import annotations

import json
import pickle
import socket as stdlib
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

import safesocket
import safesocket.ssl
from safesocket import _redaction, configure, testing, timeouts
from safesocket._route import Route
from safesocket.errors import (
    AddressInUseError,
    CertificateError,
    ConnectRefusedError,
    HostNotFoundError,
    ReadTimeoutError,
    ResolverError,
    SocketPathError,
)
from tests.helpers import listening
from tests.tls import certificate, client_context, server_context

SECRET = "127.0.0.1"


def initials(host):
    """What a program may wish to see: enough to tell hosts apart. Not the same if done twice."""
    return f"<{len(host)}>"


@pytest.fixture(autouse=True)
def redacted():
    """Hosts are hidden in all tests here."""
    configure(redact=initials)


def shown_by(error):
    """Everything that *error* shows, as one text."""
    parts = [str(error), repr(error), *getattr(error, "__notes__", ()), repr(vars(error))]
    parts += [
        json.dumps(error.to_dict()),
        error.fingerprint,
        repr(pickle.loads(pickle.dumps(error))),
    ]
    parts += [repr(error.args), str(error.strerror), str(error.filename)]
    routes = [part for part in error._hinted or () if isinstance(part, Route)]
    parts += [repr([getattr(route, name) for name in Route.__slots__]) for route in routes]
    for attempt in error.attempts:
        parts += [repr(attempt), shown_by(attempt.error)]
    return "\n".join(parts)


def assert_hidden(error, *secrets):
    """No secret is shown, and what stands in its place was made of it once."""
    for secret in secrets:
        assert secret not in shown_by(error)
    assert "<3>" not in shown_by(error)  # what initials() makes of what it has made


def refused(connect):
    """Return the error of connecting to a port where nobody listens, and the port."""
    with testing.refuses() as address, pytest.raises(ConnectRefusedError) as caught:
        connect(address)
    return caught.value, address[1]


def connect_one(address):
    """Connect a socket."""
    with safesocket.socket() as sock:
        sock.connect(address)


@pytest.mark.parametrize(
    "connect", [connect_one, safesocket.create_connection], ids=["connect", "create_connection"]
)
def test_connect(connect):
    """The address that was tried is hidden, the port is not."""
    error, port = refused(connect)
    assert_hidden(error, SECRET)
    assert (error.host, error.port) == ("<9>", port)
    assert error.address == ("<9>", port)
    assert f"connect to <9>:{port} after" in str(error)
    assert error.fingerprint == f"connect:ECONNREFUSED:<9>:{port}"
    assert "on this machine itself" in error.hint  # hints are chosen by what is true


def test_attempts():
    """All addresses of a name are hidden, in the attempts, too."""
    error, port = refused(lambda address: safesocket.create_connection(("localhost", address[1])))
    assert_hidden(error, SECRET, "localhost", "::1")
    assert (error.host, error.port) == ("<9>", port)
    assert {attempt.address[1] for attempt in error.attempts} == {port}


def test_all_errors():
    """So are those of a group."""
    with testing.refuses() as address, pytest.raises(ExceptionGroup) as caught:
        safesocket.create_connection(address, all_errors=True)
    for error in caught.value.exceptions:
        assert_hidden(error, SECRET)


def test_look_up():
    """A name that is not found is hidden, whoever asked."""
    name = "no-such-host.invalid"
    asked = (
        lambda: safesocket.getaddrinfo(name, 80),
        lambda: safesocket.create_connection((name, 80)),
        lambda: connect_one((name.encode(), 80)),
    )
    for ask in asked:
        with pytest.raises((HostNotFoundError, ResolverError)) as caught:
            ask()
        assert_hidden(caught.value, name)
        assert caught.value.host == initials(name)


def test_name_of_a_port():
    """A port that is the name of a service is shown, and nobody is asked about it."""
    asked = []
    configure(redact=lambda host: asked.append(host) or "<host>")
    with pytest.raises((HostNotFoundError, ResolverError)) as caught:
        safesocket.getaddrinfo("no-such-host.invalid", "https")
    assert (caught.value.host, caught.value.port) == ("<host>", "https")
    assert "<host>:https" in str(caught.value)
    assert "https" not in asked


def test_read():
    """An established connection's ends are hidden."""
    with (
        testing.never_answers() as address,
        safesocket.create_connection(address) as sock,
        timeouts(read=0.02),
        pytest.raises(ReadTimeoutError) as caught,
    ):
        sock.recv(1)
    assert_hidden(caught.value, SECRET)
    assert caught.value.local[0] == "<9>"


def test_text_of_the_stdlib():
    """create_server writes the address into the text itself."""
    with listening() as server, pytest.raises(AddressInUseError) as caught:
        safesocket.create_server(server.getsockname())
    assert "while attempting to bind on address ('<9>'" in str(caught.value)
    assert_hidden(caught.value, SECRET)


@pytest.mark.skipif(not hasattr(stdlib, "AF_UNIX"), reason="no AF_UNIX")
def test_path(tmp_path):
    """A path is a host's name, too."""
    path = str(tmp_path / "customer.sock")
    for asked in (path, path.encode()):
        with safesocket.socket(stdlib.AF_UNIX) as sock, pytest.raises(SocketPathError) as caught:
            sock.connect(asked)
        assert_hidden(caught.value, path, "customer")
        assert caught.value.host == initials(path)


def test_certificate():
    """What OpenSSL says of a certificate names the host that was asked for."""
    ends = safesocket.socketpair()
    contexts = client_context(safesocket.ssl), server_context(safesocket.ssl, certificate())
    with ends[0], ends[1]:
        error = mismatch(ends, *contexts)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "not valid for '<14>'" in str(error)
    assert "not valid for '<14>'" in error.verify_message
    assert_hidden(error, "wrong.internal")


def mismatch(ends, client, server):
    """Shake hands for a name that is not in the certificate; return the client's error."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(server.wrap_socket, ends[1], server_side=True)
        with pytest.raises(CertificateError) as caught:
            client.wrap_socket(ends[0], server_hostname="wrong.internal")
        ends[0].close()
        assert other.exception() is not None
    return caught.value


@pytest.mark.parametrize(
    "redact", [lambda host: 1 / 0, lambda host: None, lambda host: host.encode()]
)
def test_callable_that_fails(redact):
    """A callable that fails shows nothing, and changes nothing of what is raised."""
    configure(redact=redact)
    error, port = refused(connect_one)
    assert error.host == "<redacted>"
    assert f"connect to <redacted>:{port} after" in str(error)
    assert SECRET not in shown_by(error)


def test_hint_that_is_thrown_away_is_gone():
    """What it was made of has not been kept: it held the host."""
    with testing.refuses() as address, pytest.raises(ConnectRefusedError) as it:
        safesocket.create_connection(address)
    assert it.value.hint
    del it.value.hint
    assert it.value.hint is None


def test_message_note():
    """With the sentence in a note the host is hidden there."""
    configure(message="note")
    error, port = refused(connect_one)
    assert str(error) == "[Errno 111] Connection refused"
    assert f"connect to <9>:{port}" in error.__notes__[0]
    assert_hidden(error, SECRET)


def test_whole_words_only():
    """A host that is part of another word leaves that alone."""
    configure(redact=lambda host: "X")
    text = "db: nodb, db.x, db-1, db"
    assert _redaction.without(text, "db") == "X: nodb, X.x, db-1, X"


def test_off_and_unchanged():
    """None shows hosts again; a call that does not name it leaves it as it is."""
    configure(read=5)
    assert refused(connect_one)[0].host == "<9>"
    configure(redact=None)
    assert refused(connect_one)[0].host == SECRET


def test_what_it_may_be():
    """Anything that cannot be called is refused, and nothing is changed."""
    with pytest.raises(TypeError, match=r"^redact must be a callable .* not 'hosts'$"):
        configure(redact="hosts", read=5)
    assert safesocket.get_timeouts().read == 300
    assert refused(connect_one)[0].host == "<9>"


def test_callable_that_fails_with_our_errors(as_before):
    """A callable that connects somewhere itself, in vain, is not asked about that again."""
    asked = []

    def look_up_in_a_service(host):
        asked.append(host)
        assert len(asked) < 10, "it is asked about what it asks"
        with pytest.raises(ConnectRefusedError) as caught:
            connect_one(address)
        assert caught.value.host == _redaction.FAILED
        return f"<{len(host)}>"

    with testing.refuses() as address:
        configure(redact=look_up_in_a_service)
        with pytest.raises(ConnectRefusedError) as caught:
            connect_one(address)
    assert_hidden(caught.value, SECRET)
    assert caught.value.host == "<9>"
