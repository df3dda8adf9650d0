"""Other libraries in the same process: each works, or install() refuses and says what to do.

The real packages, as PyPI has them (the extra ``neighbours``), and real servers. A neighbour
comes before install() or after it; neither may break the other, or be without limits silently.
"""

from __future__ import annotations

import re
import ssl
from unittest.mock import patch

import pytest

import safesocket
from safesocket import _overtaken
from tests.neighbours import (
    INSTALL,
    NOBODY,
    REFUSAL,
    SILENCE,
    everybody,
    lines,
    needs,
)


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """The addresses of all servers, for the environment of a program."""
    with everybody(tmp_path_factory.mktemp("neighbours")) as environment:
        yield environment


before_and_after = pytest.mark.parametrize("order", ["before", "after"])


def in_order(order, theirs):
    """Return the code of both sides: theirs *before* install(), or *after* it."""
    return "\n".join([theirs, INSTALL] if order == "before" else [INSTALL, theirs])


#: A program that talks, and then meets who does not.
ALL_IS_SAFE = """
told(echo)
hurry()
told(silence)
told(connect, "NEVER_ACCEPTS")
told(connect, "REFUSES")
"""
SAFE = ["b'x'", SILENCE, NOBODY, REFUSAL]


def test_plain_program(peers):
    """What the other tests compare with: a program with nobody else in it."""
    assert lines(peers, INSTALL, ALL_IS_SAFE) == SAFE


# gevent and eventlet: their sockets are not the stdlib's.

GREEN = {
    "gevent": "import gevent as green; from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet as green; green.monkey_patch()",
}
SOCKETS = {"gevent": "gevent._socket3.socket", "eventlet": "eventlet.greenio.base.GreenSocket"}
TLS = {"gevent": "gevent.ssl.SSLSocket", "eventlet": "eventlet.green.ssl.GreenSSLSocket"}
green = pytest.mark.parametrize(
    "library", [pytest.param(name, marks=needs(name)) for name in GREEN]
)

#: Their own timeouts and TLS, which go on to work.
THEY_WORK = """
told(echo)
told(lambda: silence(lambda peer: socket.create_connection(peer, 0.05)))
import urllib.request
trust = ssl.create_default_context(cafile=os.environ["CA"])
told(lambda: urllib.request.urlopen(url("HTTPS", "https"), context=trust).read())
told(lambda: urllib.request.urlopen(url("HTTPS", "https", path="never"), None, 0.5, context=trust))
"""
WORKS = ["b'x'", "builtins.TimeoutError", "b'ok'", "builtins.TimeoutError"]


@green
def test_install_after_green_sockets(peers, library):
    """Where the sockets are theirs, install() refuses, says what to do, and changes nothing."""
    program = """
    before = dict(vars(socket)), dict(vars(ssl))
    try:
        safesocket.install()
    except safesocket.InstallError as error:
        print(error)
    print(safesocket.is_installed(), (vars(socket), vars(ssl)) == before)
    """
    refused, unchanged, *works = lines(peers, GREEN[library], *dedented(program), THEY_WORK)
    assert refused.startswith(f"socket.socket is {SOCKETS[library]}, which is not the stdlib's")
    assert f"{library}.Timeout" in refused
    assert unchanged == "False True"
    assert works == WORKS


@green
def test_green_sockets_after_install(peers, library):
    """Sockets that come after install() work as without it, and the report says whose they are."""
    program = """
    report = installation.report()
    print(*report.overlaid[:2], sep="; ")
    told(safesocket.install)
    installation.uninstall()
    print(safesocket.is_installed())
    """
    installing = "installation = safesocket.install()"
    code = (installing, GREEN[library], THEY_WORK, *dedented(program), THEY_WORK)
    told = lines(peers, *code)
    assert told[:4] == told[7:] == WORKS
    replaced = f"socket.socket is {SOCKETS[library]}; ssl.SSLSocket is {TLS[library]}"
    assert told[4:7] == [replaced, "safesocket._overtaken.InstallError", "False"]


@needs("gevent")
def test_gevent_after_install_is_warned_of(peers):
    """gevent does not take the sockets of an installed safesocket away silently."""
    program = """
    import gevent.monkey
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", RuntimeWarning)
        gevent.monkey.patch_all()
    texts = (str(one.message) for one in seen)
    print(*(text.partition(",")[0] for text in texts if text.startswith("safesocket")))
    """
    warned = ["safesocket is installed"]
    assert lines(peers, INSTALL, *dedented(program)) == warned
    assert lines(peers, *dedented(program)) == []


@green
@before_and_after
def test_drop_in_and_green_sockets(peers, library, order):
    """The drop-in works; imported after them, what waits under a limit lets the others run."""
    program = """
    told(echo, safesocket.create_connection)
    hurry()
    turns = []
    def run():
        for _ in range(10):
            turns.append(green.sleep(0.001))
    green.spawn(run)
    told(silence, safesocket.create_connection)
    print(len(turns))
    with safesocket.create_connection(address("NEVER_ANSWERS"), 0.05) as sock:
        green.spawn(turns.clear)
        told(sock.recv, 1)
        print(len(turns))
    for end in safesocket.socketpair():
        end.close()
    """
    late = "for name in [name for name in sys.modules if name.startswith('safesocket')]:"
    late += " del sys.modules[name]\nimport safesocket"  # as if it had come after them
    code = [GREEN[library], late] if order == "before" else [GREEN[library]]
    told = lines(peers, *code, *dedented(program))
    ran = "10" if order == "before" else "0"
    own = SILENCE.replace("configured read timeout", "settimeout")
    assert told == ["b'x'", SILENCE, ran, own, ran]


@green
def test_drop_in_for_ssl_after_green_sockets(peers, library):
    """TLS of theirs cannot be made safe: the import of safesocket.ssl says so."""
    program = """
    try:
        import safesocket.ssl
    except ImportError as error:
        print(error)
    """
    (told,) = lines(peers, GREEN[library], *dedented(program))
    assert told.startswith(f"ssl.SSLSocket is {TLS[library]}, which is not the stdlib's class")


def dedented(code):
    """Return *code*, written with four spaces in front, as a list for ``lines``."""
    return ["\n".join(line[4:] for line in code.splitlines())]


# PySocks: a class of sockets that is built on the stdlib's.

SOCKS = """
import socks
socks.set_default_proxy(socks.SOCKS5, *address("SOCKS"))
socket.socket = socks.socksocket
"""


@needs("socks")
@before_and_after
def test_pysocks(peers, order):
    """Connections by way of a proxy work, and the limits hold to it and through it."""
    program = """
    import urllib.request
    told(echo)
    told(lambda: urllib.request.urlopen(url("HTTP")).read())
    hurry()
    told(silence)
    told(connect, "REFUSES")
    for proxy in ("NEVER_ANSWERS", "NEVER_ACCEPTS"):
        socks.set_default_proxy(socks.SOCKS5, *address(proxy))
        told(echo)
        told(connect, "ECHOES")
    safesocket.uninstall()
    socks.set_default_proxy(socks.SOCKS5, *address("SOCKS"))
    told(echo)
    print(socket.socket is socks.socksocket)
    """
    silent = "(configured read timeout 0.05 s)"
    share = "(settimeout SHARE s)"  # of the budget of create_connection; PySocks is told of it
    nobody = NOBODY.partition(": ")[2]
    told = lines(peers, in_order(order, SOCKS), *dedented(program))
    assert [re.sub(r"(?<=settimeout )0\.0\d+", "SHARE", line) for line in told] == [
        "b'x'",
        "b'ok'",
        f"safesocket.errors.ReadTimeoutError: timed out: recvfrom from SOCKS {silent}",
        "socks.GeneralProxyError",
        f"socks.GeneralProxyError < timed out: recv_into from NEVER_ANSWERS {share}",
        f"socks.GeneralProxyError < timed out: recv_into from NEVER_ANSWERS {silent}",
        f"socks.ProxyConnectionError < timed out: connect to NEVER_ACCEPTS {share}",
        f"socks.ProxyConnectionError < {nobody}",
        "b'x'",
        "True",
    ]


# pytest-socket: it replaces the class, one method and two look-ups, and puts back what it saw.


@needs("pytest_socket")
@before_and_after
def test_pytest_socket(peers, order):
    """What it forbids is forbidden, what it allows is safe, and after it install() is renewed."""
    program = """
    pytest_socket.disable_socket()
    told(socket.socket)
    told(socket.getaddrinfo, "localhost", 1)
    pytest_socket._remove_restrictions()  # as after every test
    pytest_socket.socket_allow_hosts(["127.0.0.1"])
    told(echo)
    told(socket.socket().connect, ("10.0.0.1", 1))
    pytest_socket._remove_restrictions()
    safesocket.install()
    """
    finish = """
    print(safesocket.install().report().left)
    while safesocket.is_installed():
        safesocket.uninstall()
    told(echo)
    told(connect, "REFUSES")
    """
    theirs = in_order(order, "import pytest_socket")
    told = lines(peers, theirs, *dedented(program), ALL_IS_SAFE, *dedented(finish))
    assert told == [
        "pytest_socket.SocketBlockedError",
        "pytest_socket.SocketBlockedError",
        "b'x'",
        "pytest_socket.SocketConnectBlockedError",
        *SAFE,
        "()",
        "b'x'",
        "builtins.ConnectionRefusedError",
    ]


@needs("pytest_socket")
def test_install_while_pytest_socket_forbids(peers):
    """install() in a test that may not connect changes nothing of that; later all is safe."""
    program = """
    import pytest_socket
    pytest_socket.disable_socket()
    safesocket.install()
    told(socket.socket)
    told(socket.getaddrinfo, "localhost", 1)
    pytest_socket.enable_socket()
    safesocket.install()
    told(lambda: len(socket.getaddrinfo("127.0.0.1", 1, type=socket.SOCK_STREAM)))
    """
    told = lines(peers, *dedented(program), ALL_IS_SAFE)
    assert told == ["pytest_socket.SocketBlockedError"] * 2 + ["1", *SAFE]


@needs("pytest_socket")
def test_report_when_pytest_socket_has_put_the_plain_method_back(peers):
    """What its restore takes away from an install() that came after it, the report names."""
    program = """
    import pytest_socket
    installation = safesocket.install()
    pytest_socket._remove_restrictions()
    print(*installation.report().overlaid)
    safesocket.install()
    print(installation.report().overlaid)
    """
    assert lines(peers, *dedented(program)) == ["socket.socket.connect", "()"]


# Mocks: no sockets at all while they are active.

MOCKS = {
    "mocket": """
from mocket import Mocketizer
from mocket.mocks.mockhttp import Entry
mock = Mocketizer()
def register():
    Entry.single_register(Entry.GET, "http://testme.org/", body="mocked")
""",
    "httpretty": """
import httpretty
mock = httpretty.enabled()
def register():
    httpretty.register_uri(httpretty.GET, "http://testme.org/", body="mocked")
""",
}
mocks = pytest.mark.parametrize(
    "library", [pytest.param(name, marks=needs(name)) for name in MOCKS]
)


@mocks
def test_mock_after_install(peers, library):
    """A mock works under install(), and afterwards everything is safe again."""
    program = """
    import urllib.request
    with mock:
        register()
        told(lambda: urllib.request.urlopen("http://testme.org/").read())
    """
    told = lines(peers, INSTALL, MOCKS[library], *dedented(program), ALL_IS_SAFE)
    assert told == ["b'mocked'", *SAFE]


@mocks
def test_install_while_a_mock_is_active(peers, library):
    """install() refuses while a mock is active, and can be called when it is over."""
    program = """
    import urllib.request
    with mock:
        register()
        told(safesocket.install)
        told(lambda: urllib.request.urlopen("http://testme.org/").read())
    safesocket.install()
    """
    told = lines(peers, MOCKS[library], *dedented(program), ALL_IS_SAFE)
    assert told == ["safesocket._overtaken.InstallError", "b'mocked'", *SAFE]


def test_install_while_the_class_is_a_mock():
    """install() refuses where unittest.mock has replaced the class."""
    with patch("socket.socket"), pytest.raises(safesocket.InstallError, match=r"mock\.MagicMock"):
        safesocket.install()
    assert not safesocket.is_installed()


def test_install_while_the_class_of_tls_is_replaced(monkeypatch):
    """install() refuses, and so does the drop-in for ssl, where TLS is somebody else's."""
    theirs = type("Theirs", (ssl.SSLSocket,), {"__module__": "somebody"})
    monkeypatch.setattr(ssl, "SSLSocket", theirs)
    with pytest.raises(safesocket.InstallError, match=r"^ssl.SSLSocket is somebody.Theirs"):
        safesocket.install()
    assert not safesocket.is_installed()
    with pytest.raises(ImportError, match=r"^ssl.SSLSocket is somebody.Theirs"):
        _overtaken.plain_tls()


def test_methods_borrowed_from_the_class():
    """makefile serves what is no socket, as the stdlib's does: urllib3 borrows it."""

    class Borrower:
        _io_refs = 0
        makefile = vars(safesocket.socket)["makefile"]

        def recv_into(self, buffer):
            buffer[:2] = b"ok"
            return 2

        def _decref_socketios(self):
            self._io_refs -= 1

    borrower = Borrower()
    with borrower.makefile("rb") as stream:
        assert stream.read(2) == b"ok"
    with borrower.makefile("rb", buffering=0) as stream:
        assert stream.read(2) == b"ok"


# freezegun: it replaces the clock everywhere.


@needs("freezegun")
@pytest.mark.parametrize("options", ["", ", tick=True", ", auto_tick_seconds=3600"])
@pytest.mark.parametrize("imported", ["before", "while"])
def test_freezegun(peers, options, imported):
    """A limit ends although time stands still, or jumps, even if safesocket comes while it does."""
    program = f"""
    if "{imported}" == "while":
        for name in [name for name in sys.modules if name.startswith("safesocket")]:
            del sys.modules[name]
    import freezegun
    with freezegun.freeze_time("2020-01-01"{options}):
        import safesocket
        safesocket.install()
        told(echo)
        hurry()
        told(silence)
        told(connect, "NEVER_ACCEPTS")
        def handshake():
            with socket.create_connection(address("NEVER_ANSWERS")) as sock:
                ssl._create_unverified_context().wrap_socket(sock)
        told(handshake)
        try:
            silence()
        except TimeoutError as error:
            print(0.05 <= error.elapsed < 5)
    """
    handshake = "safesocket.errors.HandshakeTimeoutError: The handshake operation timed out: "
    handshake += "TLS handshake with NEVER_ANSWERS (configured handshake timeout 0.05 s)"
    assert lines(peers, *dedented(program)) == ["b'x'", SILENCE, NOBODY, handshake, "True"]


# truststore and pyOpenSSL: other ways to verify, other TLS.

GET = "urllib.request.urlopen(url('HTTPS', 'https')).read()"
NEVER = "urllib.request.urlopen(url('HTTPS', 'https', path='never'))"


@needs("truststore", "requests")
@before_and_after
def test_truststore(peers, order):
    """HTTPS by truststore works and has limits, contexts can be set up, both can be undone."""
    program = f"""
    import urllib.request, requests
    def set_up():
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return isinstance(context, truststore.SSLContext)
    told(set_up)
    told(lambda: {GET})
    told(lambda: requests.get(url("HTTPS", "https")).text)
    hurry()
    told(requests.get, url("NEVER_ANSWERS", "https"))
    safesocket.configure(handshake=10)  # seconds
    told(lambda: {NEVER})
    truststore.extract_from_ssl()
    safesocket.uninstall()
    told(lambda: {GET})
    """
    theirs = "import truststore\ntruststore.inject_into_ssl()"
    told = lines(peers, in_order(order, theirs), *dedented(program))
    assert told[:3] == ["True", "b'ok'", "ok"]
    assert told[4:] == [
        "safesocket.errors.ReadTimeoutError: The read operation timed out: "
        "read from HTTPS (127.0.0.1) (configured read timeout 0.05 s)",
        "b'ok'",
    ]
    assert told[3].startswith("requests.exceptions.ReadTimeout < ")
    assert told[3].endswith(
        "TLS handshake with NEVER_ANSWERS (127.0.0.1) (configured handshake timeout 0.05 s)"
    )


@needs("truststore")
@before_and_after
def test_drop_in_for_ssl_and_truststore(peers, order):
    """Contexts of safesocket.ssl make safe sockets wherever truststore comes, and verify."""
    program = """
    import safesocket.ssl
    def hello(context):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        with safesocket.create_connection(("localhost", address("HTTPS")[1])) as sock:
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                return type(tls)
    told(lambda: hello(safesocket.ssl.create_default_context(cafile=os.environ["CA"])))
    os.environ["SSL_CERT_FILE"] = os.devnull
    told(lambda: hello(safesocket.ssl.create_default_context()))
    """
    theirs = "import truststore; truststore.inject_into_ssl()"
    ours = "import safesocket.ssl"
    code = [theirs, ours] if order == "before" else [ours, theirs]
    safe, unverified = lines(peers, *code, *dedented(program))
    assert safe == "<class 'safesocket.ssl.SSLSocket'>"
    assert unverified.startswith("safesocket.errors.CertificateError: [SSL: CERTIFICATE_VERIFY_FAI")


PYOPENSSL = "import urllib3.contrib.pyopenssl as theirs\ntheirs.inject_into_urllib3()"


@needs("OpenSSL", "urllib3")
@before_and_after
def test_pyopenssl(peers, order):
    """HTTPS by pyOpenSSL works on a descriptor without O_NONBLOCK; its own timeouts hold."""
    program = """
    import urllib3
    pool = urllib3.PoolManager(ca_certs=os.environ["CA"], retries=False)
    def get():
        answer = pool.request("GET", url("HTTPS", "https"), timeout=None, preload_content=False)
        sock = answer.connection.sock
        return type(sock).__name__, os.get_blocking(sock.fileno()), answer.read()
    told(get)
    print(installation.report().unreached)
    told(pool.request, "GET", url("NEVER_ANSWERS", "https"), timeout=0.05)
    told(pool.request, "GET", url("HTTPS", "https", path="never"), timeout=0.5)
    hurry()
    told(pool.request, "GET", url("NEVER_ACCEPTS", "https", "127.0.0.1"), timeout=None)
    theirs.extract_from_urllib3()
    told(pool.request, "GET", url("NEVER_ANSWERS", "https"), timeout=None)
    """
    install = "installation = safesocket.install()"
    code = in_order(order, PYOPENSSL).replace(INSTALL, install)
    told = lines(peers, code, *dedented(program))
    assert told[0] == "('WrappedSocket', True, b'ok')"
    assert "pyOpenSSL waits in OpenSSL" in told[1]
    assert told[2:4] == ["urllib3.exceptions.ReadTimeoutError"] * 2
    assert told[4] == f"urllib3.exceptions.ConnectTimeoutError < {NOBODY.partition(': ')[2]}"
    assert told[5].endswith(
        "TLS handshake with NEVER_ANSWERS (127.0.0.1) (configured handshake timeout 0.05 s)"
    )


# Clients that pass no timeout, or None: the error that is theirs has ours behind it.

READ = "timed out: recv_into from NEVER_ANSWERS (configured read timeout 0.05 s)"
CONNECT = "timed out: connect to NEVER_ACCEPTS (configured connect timeout 0.05 s)"
REFUSED = "[Errno 111] Connection refused: connect to REFUSES"
HANDSHAKE = "TLS handshake with NEVER_ANSWERS (configured handshake timeout 0.05 s)"
ENDS = {"NEVER_ANSWERS": READ, "NEVER_ACCEPTS": CONNECT, "REFUSES": REFUSED}


def ends(told, *expected):
    """Tell whether each line ends as expected: who raises is theirs, what happened is ours."""
    return [line.endswith(end) for line, end in zip(told, expected, strict=True)]


@needs("requests")
@pytest.mark.parametrize("imported", ["before", "after"])
@pytest.mark.parametrize("get", ["requests.get", "requests.Session().get"])
def test_requests_without_a_timeout(peers, get, imported):
    """requests.get(url) ends at the limit; behind its error are host, port, phase and limit."""
    program = f"""
    told(lambda: {get}(url("HTTP")).text)
    told(lambda: {get}(url("HTTPS", "https")).text)
    hurry()
    for scheme in ("http", "https"):
        for peer in ("NEVER_ANSWERS", "NEVER_ACCEPTS", "REFUSES"):
            told({get}, url(peer, scheme, "127.0.0.1"))
    safesocket.configure(handshake=10)  # seconds
    told({get}, url("HTTPS", "https", path="never"))
    """
    told = lines(peers, in_order(imported, "import requests"), *dedented(program))
    https = [HANDSHAKE, CONNECT, REFUSED]
    silent = "read from HTTPS (127.0.0.1) (configured read timeout 0.05 s)"
    assert all(ends(told, "ok", "ok", *ENDS.values(), *https, silent))
    assert [line.partition(" < ")[0].rpartition(".")[2] for line in told[2:]] == [
        *["ReadTimeout", "ConnectTimeout", "ConnectionError"] * 2,
        "ReadTimeout",
    ]


@needs("requests")
def test_traceback_of_what_requests_raises(peers):
    """The traceback of a program that has only ``requests.get(url)`` in it names everything."""
    program = """
    import requests, traceback
    hurry()
    try:
        requests.get(url("NEVER_ANSWERS", host="127.0.0.1"))
    except requests.ReadTimeout:
        text = traceback.format_exc()
    print("recv_into from {}:{} after".format(*address("NEVER_ANSWERS")) in text)
    print("(configured read timeout 0.05 s)" in text)
    """
    assert lines(peers, INSTALL, *dedented(program)) == ["True", "True"]


@needs("requests")
@pytest.mark.parametrize("timeout", [None, 20], ids=["no-timeout", "timeout"])
def test_deadline_around_requests(peers, timeout):
    """A deadline ends requests.get of a server that drips, in time, and says in which phase."""
    program = f"""
    import requests, time
    from safesocket import errors, testing
    started = time.monotonic()
    with testing.drips(0.02) as (host, port):
        try:
            with safesocket.deadline(0.3):
                requests.get(f"http://{{host}}:{{port}}/", timeout={timeout})
        except requests.RequestException as error:
            while not isinstance(error, errors.SafeSocketError):
                error = error.__cause__ or error.__context__
            print(type(error).__name__, error.operation, error.timeout_source, error.timeout)
    print(time.monotonic() - started < 0.3 + 0.25)
    """
    assert lines(peers, INSTALL, *dedented(program)) == [
        "ReadTimeoutError recv_into deadline 0.3",
        "True",
    ]


#: client -> how it is called without a timeout, and what is read
CLIENTS = {
    "urllib3": (
        "urllib3.PoolManager(retries=False, timeout=None).request('GET', {url})",
        "recv_into",
    ),
    "httpx": ("httpx.get({url}, timeout=None)", "recv"),
    "pymysql": ("pymysql.connect(host={host}, port={port}, connect_timeout=1)", "recv_into"),
    "redis": (
        "redis.Redis({host}, {port}, socket_timeout=None, socket_connect_timeout=None, retry=None)"
        ".ping()",
        "recv",
    ),
}


@pytest.mark.parametrize("client", [pytest.param(name, marks=needs(name)) for name in CLIENTS])
@before_and_after
def test_client_without_a_timeout(peers, client, order):
    """A client that passes None, or settimeout(None), ends at the limit and says whose it was."""
    call, reads = CLIENTS[client]
    filled = call.format(
        url="url(peer, host='127.0.0.1')", host="address(peer)[0]", port="address(peer)[1]"
    )
    program = f"""
    hurry()
    for peer in ("NEVER_ANSWERS", "NEVER_ACCEPTS", "REFUSES"):
        told(lambda: {filled})
    """
    told = lines(peers, in_order(order, f"import {client}"), *dedented(program))
    own = "timed out: connect to NEVER_ACCEPTS (create_connection timeout 1 s)"
    nobody = own if client == "pymysql" else CONNECT  # None is a TypeError to it
    assert all(line.startswith(f"{client}.") for line in told)
    assert ends(told, READ.replace("recv_into", reads), nobody, REFUSED) == [True] * 3, told


@needs("paramiko")
def test_paramiko(peers):
    """paramiko's transport works under install(): a connection, and one that is not accepted."""
    program = """
    import logging, paramiko, threading
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # of whose end is first
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(threading.Event(), paramiko.ServerInterface())
    client = paramiko.Transport(here)
    client.start_client(timeout=10)
    print(client.is_active())
    client.close()
    server.close()
    hurry()
    try:
        paramiko.Transport(address("NEVER_ACCEPTS"))
    except paramiko.SSHException as error:
        print("Unable to connect" in str(error), "(configured connect timeout" in str(error))
    """
    active, nobody = lines(peers, INSTALL, *dedented(program))
    assert active == "True"
    assert nobody == "True True"


# Asynchronous libraries: their sockets are non-blocking, and nothing is theirs to notice.


def same_without(peers, order, imports, *code):
    """Return what a program prints under install() and tight limits; check it against without."""
    limits = "safesocket.configure(connect=0.02, handshake=0.02, read=0.02, write=0.02, serve=0.02)"
    under = lines(peers, limits, in_order(order, imports), *code)
    assert under == lines(peers, imports, *code)
    return under


@needs("aiohttp", "httpx", "uvicorn")
@before_and_after
def test_aiohttp_httpx_and_uvicorn(peers, order):
    """Servers and clients on asyncio do under install() what they do without."""
    program = """
    async def slowly(request):
        await asyncio.sleep(0.1)
        return aiohttp.web.Response(text="slowly")
    async def app(scope, receive, send):
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"slowly, too"})
    async def with_aiohttp():
        served = aiohttp.web.Application()
        served.router.add_get("/", slowly)
        runner = aiohttp.web.AppRunner(served)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        trust = ssl.create_default_context(cafile=os.environ["CA"])
        async with aiohttp.ClientSession() as session:
            for one in (f"http://127.0.0.1:{port}/", url("HTTPS", "https")):
                async with session.get(one, ssl=trust) as answer:
                    print(await answer.text())
            for host in ("127.0.0.1", "localhost"):
                try:
                    await session.get(url("REFUSES", host=host))
                except OSError as error:
                    print(type(error).__name__, error.errno, type(error.os_error).__name__)
        await runner.cleanup()
    async def with_uvicorn():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
            task = asyncio.create_task(server.serve([listener]))
            async with httpx.AsyncClient() as client:
                print((await client.get("http://{}:{}/".format(*listener.getsockname()))).text)
            server.should_exit = True
            await task
    asyncio.run(with_aiohttp())
    asyncio.run(with_uvicorn())
    """
    imports = "import asyncio, aiohttp, aiohttp.web, httpx, uvicorn"
    told = same_without(peers, order, imports, *dedented(program))
    refused = "ClientConnectorError 111 ConnectionRefusedError"
    assert told == ["slowly", "ok", refused, refused, "slowly, too"]


@needs("trio", "anyio")
@before_and_after
def test_trio_and_anyio(peers, order):
    """Streams of trio and anyio do under install() what they do without."""
    program = """
    async def with_trio():
        stream = await trio.open_tcp_stream(*address("ECHOES"))
        await stream.send_all(b"trio")
        print(await stream.receive_some(4))
        await stream.aclose()
        try:
            await trio.open_tcp_stream("localhost", address("REFUSES")[1])
        except OSError as error:
            print(type(error), [type(one) for one in (error, *behind(error))][-1])
    async def with_anyio():
        async with await anyio.connect_tcp(*address("ECHOES")) as stream:
            await stream.send(b"anyio")
            print(await stream.receive())
        try:
            await anyio.connect_tcp("localhost", address("REFUSES")[1])
        except OSError as error:
            print(type(error))
    trio.run(with_trio)
    anyio.run(with_anyio, backend="asyncio")
    anyio.run(with_anyio, backend="trio")
    """
    told = same_without(peers, order, "import anyio, trio", *dedented(program))
    assert [line for line in told if line.startswith("b")] == ["b'trio'"] + ["b'anyio'"] * 2


# multiprocessing.


def test_multiprocessing(peers, tmp_path):
    """Managers, listeners, pools and sockets sent to others work; quiet ones are left in peace."""
    (tmp_path / "program.py").write_text(
        """
import multiprocessing, socket, sys, threading
from multiprocessing.connection import Client, Listener
import safesocket

def installed(queue):
    queue.put(safesocket.is_installed())

def talk(address, quiet):
    with Client(address, authkey=b"key") as client:
        client.send("first")
        quiet.wait(20)
        client.send("then")

def main(port):
    safesocket.configure(connect=5, read=0.05, write=0.05)
    safesocket.install()
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        process = context.Process(target=installed, args=(queue,))
        process.start()
        print(method, queue.get(timeout=20))
        process.join()
    with multiprocessing.Manager() as manager, Listener(("127.0.0.1", 0), authkey=b"key") as here:
        shared, quiet = manager.dict(), threading.Event()
        thread = threading.Thread(target=talk, args=(here.address, quiet))
        thread.start()
        with here.accept() as connection:
            print(connection.recv())
            print(connection.poll(0.2))  # longer than any limit
            quiet.set()
            print(connection.recv())
        thread.join()
        shared["a"] = 1
        print(dict(shared))
    one, other = multiprocessing.Pipe()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        one.send(sock)
        with other.recv() as received:
            received.sendall(b"x")
            print(received.recv(1))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(abs, [-1, 2]))

if __name__ == "__main__":
    main(int(sys.argv[1]))
"""
    )
    port = peers["PEER_ECHOES"].rpartition(":")[2]
    run = f"import sys, runpy; sys.argv = ['x', {port!r}]; sys.path.insert(0, {str(tmp_path)!r})\n"
    run += f"runpy.run_path({str(tmp_path / 'program.py')!r}, run_name='__main__')"
    told = ["fork True", "spawn False", "forkserver False", "first", "False", "then", "{'a': 1}"]
    assert lines({}, run) == [*told, "b'x'", "[1, 2]"]
