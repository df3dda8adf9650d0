"""Old clients under install(): none hangs, each says host, port, phase and limit.

The stdlib's own clients, without a timeout, against a server that never answers and one that
never accepts.
"""

from __future__ import annotations

import asyncio
import ftplib
import http.client
import imaplib
import inspect
import poplib
import smtplib
import socket
import urllib.request
import xmlrpc.client

import pytest

import safesocket
from safesocket import testing
from tests.helpers import LIMIT, within

pytestmark = [
    # What the stdlib's clients leave open when they fail.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def installed(as_before, monkeypatch):
    """The installer is on, no proxy is in the way."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with safesocket.installed():
        yield


def by_http(host, port):
    connection = http.client.HTTPConnection(host, port)
    connection.request("GET", "/")
    connection.getresponse()


def by_hand(host, port):
    """As PyMySQL does it."""
    with socket.create_connection((host, port)) as sock:
        sock.settimeout(None)
        sock.sendall(b"question")
        sock.makefile("rb").read(4)


CLIENTS = {
    "http.client": by_http,
    "urllib": lambda host, port: urllib.request.urlopen(f"http://{host}:{port}/"),
    "smtplib": smtplib.SMTP,
    "ftplib": lambda host, port: ftplib.FTP().connect(host, port),
    "imaplib": imaplib.IMAP4,
    "poplib": poplib.POP3,
    "xmlrpc": lambda host, port: xmlrpc.client.ServerProxy(f"http://{host}:{port}/").ask(),
    "by hand": by_hand,
}

every_client = pytest.mark.parametrize("call", CLIENTS.values(), ids=CLIENTS.keys())


def assert_ends(call, address, phase):
    """Check that *call* ends at the limit of *phase*, and that its text says all."""
    host, port = "localhost", address[1]
    with within(LIMIT), pytest.raises(OSError, match="timed out: ") as it:
        call(host, port)
    assert f"{host}:{port} (127.0.0.1)" in str(it.value)
    assert f"configured {phase} timeout {LIMIT} s" in str(it.value)


@every_client
def test_client_whose_server_never_answers(call):
    """The wait for the answer ends at the read timeout."""
    safesocket.configure(read=LIMIT)
    with testing.never_answers() as address:
        assert_ends(call, address, "read")


@every_client
def test_client_whose_server_never_accepts(call):
    """The wait for the connection ends at the connect timeout."""
    safesocket.configure(connect=LIMIT)
    with testing.never_accepts() as address:
        assert_ends(call, address, "connect")


@pytest.mark.parametrize("module", [ftplib, http.client, poplib, smtplib])
def test_client_keeps_the_stdlibs_sentinel(module):
    """The default of timeout=, bound when these modules were loaded, is understood."""
    kind = {"ftplib": "FTP", "http.client": "HTTPConnection", "poplib": "POP3", "smtplib": "SMTP"}
    default = inspect.signature(getattr(module, kind[module.__name__])).parameters["timeout"]
    assert default.default is socket._GLOBAL_DEFAULT_TIMEOUT
    assert default.default is safesocket._GLOBAL_DEFAULT_TIMEOUT


# asyncio.


def refusal(port):
    """Return what asyncio says of a host that refuses."""

    async def connect():
        await asyncio.open_connection("localhost", port)

    try:
        asyncio.run(connect())
    except OSError as exc:
        return type(exc), exc.errno, str(exc)


def test_asyncio_refused():
    """asyncio's own errors are the stdlib's, class and text, also for several addresses."""
    with testing.refuses() as (_, port):
        ours = refusal(port)
        safesocket.uninstall()
        assert ours == refusal(port)


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_asyncio_streams():
    """Client and server, and a wait that is longer than every limit, are as without."""
    safesocket.configure(safesocket.Timeouts(*[LIMIT] * 6))

    async def talk():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(1), 2 * LIMIT)
            writer.write(b"question")
            assert await reader.readexactly(8) == b"question"
            writer.close()
            await writer.wait_closed()

    asyncio.run(talk())


def test_asyncio_datagrams():
    """A datagram endpoint is as without."""

    async def talk():
        loop, received = asyncio.get_running_loop(), asyncio.Queue()

        class Receiver(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                received.put_nowait(data)

        here, _ = await loop.create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
        address = here.get_extra_info("sockname")
        there, _ = await loop.create_datagram_endpoint(Receiver, remote_addr=address)
        there.sendto(b"question")
        assert await received.get() == b"question"
        here.close(), there.close()

    asyncio.run(talk())


def test_asyncio_subprocess():
    """A subprocess with pipes is as without."""

    async def talk():
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return await process.communicate(b"question")

    assert asyncio.run(talk())[0] == b"question"
