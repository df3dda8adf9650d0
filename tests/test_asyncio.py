"""asyncio under install() behaves as without: non-blocking sockets are nobody's business.

The oracle is asyncio itself: each scenario runs twice, and what it returns has to be the same.
Under install() the limits are so tight that a wait of asyncio's would show if one were cut.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from socket import AF_UNIX, SOCK_DGRAM, SOCK_STREAM

import pytest

import safesocket
from safesocket import testing
from tests.helpers import GUARD, assert_bare, builtin_of
from tests.neighbours import certificates

QUIET = 0.05  # seconds; longer than any limit
TIGHT = safesocket.Timeouts(5, 0.01, 0.01, 0.01, 0.01, 0.01)  # seconds
SIZE = 3_000_000  # bytes; more than the buffers of a socket take

every_debug = pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])


def same(scenario, *args, debug=False):
    """Return what *scenario* returns under install(), which must be what it returns without."""
    plain = asyncio.run(scenario(*args), debug=debug)
    safesocket.configure(TIGHT)
    with safesocket.installed():
        under = asyncio.run(scenario(*args), debug=debug)
    assert under == plain
    return under


def seen(error):
    """Return what a program that was written for asyncio sees of *error*."""
    return builtin_of(error), error.errno, error.args, str(error)


async def failure(awaitable):
    """Return what is seen of the failure of *awaitable*."""
    try:
        await asyncio.wait_for(awaitable, GUARD)
    except OSError as error:
        return seen(error)


async def answer(reader, writer):
    """Serve a client: say back what it says, after a while."""
    while data := await reader.read(65536):
        await asyncio.sleep(QUIET)
        writer.write(data)
        await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ask(reader, writer, data=b"hello"):
    """Be a client: say *data*; return what comes back."""
    writer.write(data)
    await writer.drain()
    heard = await reader.readexactly(len(data))
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return heard


# Streams.


@every_debug
def test_streams(debug):
    """A client and a server of streams talk, however quiet the other is for a while."""

    async def scenario():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            several = [await asyncio.open_connection(*address) for _ in range(3)]
            return await asyncio.gather(*(ask(*streams) for streams in several))

    assert same(scenario, debug=debug) == [b"hello"] * 3


def test_streams_of_much_data():
    """A writer that must wait for its reader is not cut off."""

    async def scenario():
        async def swallow(reader, writer):
            await asyncio.sleep(QUIET)
            writer.write(str(len(await reader.read(-1))).encode())
            writer.close()

        async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(bytes(SIZE))
            await writer.drain()
            writer.write_eof()
            counted = await reader.read()
            writer.close()
            await writer.wait_closed()
            return int(counted)

    assert same(scenario) == SIZE


def test_unix_streams(tmp_path):
    """Streams over AF_UNIX talk."""

    async def scenario():
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            async with await asyncio.start_unix_server(answer, path):
                return await ask(*await asyncio.open_unix_connection(path))

    assert same(scenario) == b"hello"


@every_debug
def test_tls(tmp_path, debug):
    """Streams over TLS talk; a certificate that is not trusted is asyncio's own error."""

    async def scenario(tls, authority):
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
            port = server.sockets[0].getsockname()[1]
            trust = ssl.create_default_context(cafile=authority)
            said = await ask(*await asyncio.open_connection("localhost", port, ssl=trust))
            try:
                await asyncio.open_connection("localhost", port, ssl=ssl.create_default_context())
            except ssl.SSLCertVerificationError as error:
                return said, type(error), error.verify_code

    with certificates(tmp_path) as (tls, authority):
        said, kind, _ = same(scenario, tls, authority, debug=debug)
    assert (said, kind) == (b"hello", ssl.SSLCertVerificationError)


def test_start_tls(tmp_path):
    """A connection that becomes TLS later talks before and after."""

    async def scenario(tls, authority):
        async def upgrade(reader, writer):
            writer.write(await reader.readexactly(5))
            await writer.start_tls(tls)
            await answer(reader, writer)

        async with await asyncio.start_server(upgrade, "127.0.0.1", 0) as server:
            streams = await asyncio.open_connection(*server.sockets[0].getsockname())
            streams[1].write(b"first")
            first = await streams[0].readexactly(5)
            trust = ssl.create_default_context(cafile=authority)
            await streams[1].start_tls(trust, server_hostname="localhost")
            return first, await ask(*streams)

    with certificates(tmp_path) as (tls, authority):
        assert same(scenario, tls, authority) == (b"first", b"hello")


# Failures of connecting.


@every_debug
@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.05}, {"all_errors": True}])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refusal(host, options, debug):
    """A refusal, of one address or of all that a name has, is the error that asyncio makes."""

    async def scenario(port):
        if "all_errors" not in options:
            return await failure(asyncio.open_connection(host, port, **options))
        try:
            await asyncio.open_connection(host, port, **options)
        except ExceptionGroup as group:
            return [seen(error) for error in group.exceptions]

    if "all_errors" in options and sys.version_info < (3, 12):
        pytest.skip("all_errors came with Python 3.12")
    with testing.refuses() as (_, port):
        refused = same(scenario, port, debug=debug)
    first = refused[0] if "all_errors" in options else refused
    assert first[:2] == (ConnectionRefusedError, errno.ECONNREFUSED)


def test_unknown_name():
    """A name that is not found is a gaierror with the number and the words of the system."""

    async def scenario():
        try:
            await asyncio.open_connection("name.invalid", 1)
        except socket.gaierror as error:
            return error.errno, error.args

    assert same(scenario)[0] in (socket.EAI_NONAME, socket.EAI_AGAIN)


def test_timeout_of_the_program():
    """asyncio's own timeouts end what safesocket leaves alone."""

    async def scenario(answers_never, accepts_never):
        ended = []
        for address in (answers_never, accepts_never):
            try:
                async with asyncio.timeout(0.05):
                    reader, writer = await asyncio.open_connection(*address)
                    try:
                        await reader.read(1)
                    finally:
                        writer.close()
            except TimeoutError as error:
                ended.append((type(error), error.args))
        return ended

    with testing.never_answers() as never, testing.never_accepts() as nobody:
        assert same(scenario, never, nobody) == [(TimeoutError, ())] * 2


# Sockets of the program's own: loop.sock_*.


@contextmanager
def nonblocking(*args):
    """Yield a new socket in non-blocking mode."""
    with socket.socket(*args) as sock:
        sock.setblocking(False)
        yield sock


@every_debug
def test_socket_operations(tmp_path, debug):
    """Every operation of the loop on a socket does what it does without install()."""
    (tmp_path / "file").write_bytes(b"from a file")

    async def scenario():
        loop, told = asyncio.get_running_loop(), []
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.setblocking(False)
            client = stack.enter_context(nonblocking())
            accepting = asyncio.create_task(loop.sock_accept(listener))
            await asyncio.sleep(QUIET)
            await loop.sock_connect(client, listener.getsockname())
            server, _ = await accepting
            stack.enter_context(server)
            reading = asyncio.create_task(loop.sock_recv(server, 100))
            await asyncio.sleep(QUIET)
            await loop.sock_sendall(client, b"first")
            told.append(await reading)
            buffer = bytearray(4)
            await loop.sock_sendall(server, b"then")
            told.append((await loop.sock_recv_into(client, buffer), bytes(buffer)))
            with open(tmp_path / "file", "rb") as file:
                told.append(await loop.sock_sendfile(client, file))
            told.append(await loop.sock_recv(server, 100))
            sending = asyncio.create_task(loop.sock_sendall(client, bytes(SIZE)))
            await asyncio.sleep(QUIET)
            got = 0
            while got < SIZE:
                got += len(await loop.sock_recv(server, 1 << 20))
            await sending
            told.append((client.gettimeout(), server.gettimeout()))
        return told

    expected = [b"first", (4, b"then"), 11, b"from a file", (0.0, 0.0)]
    assert same(scenario, debug=debug) == expected


def test_failures_of_socket_operations():
    """What fails on a non-blocking socket fails with the very error of the stdlib."""

    async def scenario(refuses):
        loop = asyncio.get_running_loop()
        with nonblocking() as sock, nonblocking() as other:
            refused = await failure(loop.sock_connect(sock, refuses))
            unconnected = await failure(loop.sock_sendall(other, b"x"))
        return refused, unconnected, await failure(loop.sock_recv(other, 1))

    with testing.refuses() as refuses:
        kinds = [kind for kind, *_ in same(scenario, refuses)]
    assert kinds == [ConnectionRefusedError, BrokenPipeError, OSError]


def test_errors_of_nonblocking_sockets_are_those_of_c():
    """BlockingIOError, and what becomes of a connection, are the objects that C has raised."""
    with safesocket.installed(), testing.refuses() as refuses, nonblocking() as sock:
        with pytest.raises(BlockingIOError) as it:
            sock.connect(refuses)
        assert_bare(it.value, BlockingIOError, errno.EINPROGRESS)
        with testing.never_answers() as address, socket.create_connection(address) as connected:
            connected.setblocking(False)
            calls = [lambda: connected.recv(1), lambda: connected.recv_into(bytearray(1))]
            calls += [lambda: connected.recvfrom(1), lambda: connected.recvmsg(1)]
            for call in calls:
                with pytest.raises(BlockingIOError) as it:
                    call()
                assert_bare(it.value, BlockingIOError, errno.EAGAIN)
        with pytest.raises(ConnectionError) as it:
            sock.recv(1)
        assert_bare(it.value, ConnectionRefusedError, errno.ECONNREFUSED)


# Datagrams, processes, pipes.


class Talk(asyncio.DatagramProtocol):
    """Note what comes, datagrams and errors."""

    def __init__(self):
        self.heard = asyncio.Queue()

    def datagram_received(self, data, address):
        self.heard.put_nowait(data)

    def error_received(self, error):
        self.heard.put_nowait((type(error), error.args))


@every_debug
def test_datagram_endpoints(debug):
    """Datagrams come and go; a port where nobody listens any more is reported as without."""

    async def scenario():
        loop = asyncio.get_running_loop()
        here, mine = await loop.create_datagram_endpoint(Talk, local_addr=("127.0.0.1", 0))
        name = here.get_extra_info("sockname")
        there, theirs = await loop.create_datagram_endpoint(Talk, remote_addr=name)
        await asyncio.sleep(QUIET)
        there.sendto(b"ping")
        heard = [await mine.heard.get()]
        here.sendto(b"pong", there.get_extra_info("sockname"))
        heard.append(await theirs.heard.get())
        here.close()
        await asyncio.sleep(0)
        there.sendto(b"anybody?")
        heard.append(await asyncio.wait_for(theirs.heard.get(), GUARD))
        there.close()
        return heard

    refused = ConnectionRefusedError, (errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    assert same(scenario, debug=debug) == [b"ping", b"pong", refused]


def test_socketpair_of_datagrams():
    """Sockets of the program's own pair are left in peace."""

    async def scenario():
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair(AF_UNIX, SOCK_DGRAM)
        with one, other:
            for end in (one, other):
                end.setblocking(False)
            waiting = asyncio.create_task(loop.sock_recv(other, 10))
            await asyncio.sleep(QUIET)
            one.send(b"ping")
            return await waiting

    assert same(scenario) == b"ping"


@every_debug
def test_subprocess(debug):
    """A child process whose streams are pipes, quiet for a while, is waited for."""
    code = "import sys, time; said = sys.stdin.read(); time.sleep(0.1); print(said, end='')"

    async def scenario():
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, **pipes)
        out, _ = await child.communicate(b"said")
        return out, child.returncode

    assert same(scenario, debug=debug) == (b"said", 0)


def test_socket_handed_to_a_subprocess():
    """A socket that a child has as its stdin is in blocking mode there, as without."""
    code = "import os, sys; print(os.get_blocking(0), os.read(0, 5).decode())"

    async def scenario():
        one, other = socket.socketpair(AF_UNIX, SOCK_STREAM)
        with one, other:
            options = {"stdin": other, "stdout": asyncio.subprocess.PIPE}
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, **options)
            one.send(b"hello")
            return (await child.communicate())[0]

    assert same(scenario) == b"True hello\n"
