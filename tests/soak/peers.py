"""The far ends of the soak, in a process of their own, with the stdlib's sockets.

    python -m tests.soak.peers SEED CERTIFICATE

Here live only the peers: what each does to a client, and the servers that run them, once in
plain text and once under TLS. Their addresses are printed as JSON; they end with standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import resource
import socket
import ssl
import struct
import sys
import threading
import time
from functools import partial
from itertools import cycle
from socket import AF_UNIX, SO_LINGER, SO_RCVBUF, SOL_SOCKET
from tempfile import TemporaryDirectory

from safesocket import testing
from tests.soak.wire import HOSTS, WISH_SIZE, Wish, checksum, report, unpacked

HOLD = 3.0  # seconds that a peer keeps what its client may have left long ago
DRIP = 0.01  # seconds
SLOWLY = 0.02  # seconds; well within the limits of the honest
BACKLOG = 1024


def reset(writer) -> None:
    with contextlib.suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def until_gone(reader) -> None:
    while await reader.read(65536):
        pass


async def drip(reader, writer, data: bytes) -> None:
    for place in range(len(data)):
        if writer.is_closing() or reader.at_eof():
            return
        writer.write(data[place : place + 1])
        await asyncio.sleep(DRIP)


# Peers that are told what to do by a wish.


async def source(reader, writer, wish: Wish) -> None:
    """Send all, and finish."""
    writer.write(wish.data)
    await writer.drain()


async def echo(reader, writer, wish: Wish) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def slow(reader, writer, wish: Wish) -> None:
    """Echo, in its own time."""
    while data := await reader.read(4096):
        await asyncio.sleep(SLOWLY)
        writer.write(data)
        await writer.drain()


async def silent(reader, writer, wish: Wish) -> None:
    await until_gone(reader)


async def drips(reader, writer, wish: Wish) -> None:
    await drip(reader, writer, wish.data)
    await until_gone(reader)


async def closes(reader, writer, wish: Wish) -> None:
    """Finish too early."""
    writer.write(wish.data[: wish.turn])
    await writer.drain()


async def halves(reader, writer, wish: Wish) -> None:
    """Finish too early, and listen on; TLS has no halves here."""
    await closes(reader, writer, wish)
    if writer.can_write_eof():
        writer.write_eof()
        await until_gone(reader)


async def resets(reader, writer, wish: Wish) -> None:
    await closes(reader, writer, wish)
    reset(writer)


async def told(reports: dict[int, bytes], reader, writer, wish: Wish) -> None:
    """Tell what a sink has got from another client, of the same number."""
    while wish.number not in reports:
        await asyncio.sleep(DRIP)
    writer.write(reports.pop(wish.number))


async def lines(reader, writer, wish: Wish) -> None:
    """Speak some SMTP; misbehave, in one of four manners, at the step that the wish names."""
    writer.write(b"220 peer\r\n")
    for step in range(1, 50):
        line = await reader.readline()
        if step == wish.turn or not line:
            return await misbehave(reader, writer, wish.number % 4)
        word = line[:4].upper()
        writer.write({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))
        if word == b"QUIT":
            return None
        if word == b"DATA":
            body = await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 " + checksum(body[:-3]).hex().encode() + b"\r\n")


async def misbehave(reader, writer, manner: int) -> None:
    if manner == 0:
        await until_gone(reader)
    elif manner == 1:
        await drip(reader, writer, bytes(10_000))
    elif manner == 2:
        reset(writer)


async def http(reader, writer) -> None:
    """Answer GET /number/size/manner with data, POST with the checksum of what was posted."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, path, *_ = head.decode("latin-1").split()
    if method == "POST":
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        data, manner = checksum(await reader.readexactly(length)).hex().encode(), "good"
    else:
        number, size, manner = path.strip("/").split("/")
        data = Wish(int(number), int(size)).data
    start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(data)
    if manner == "good":
        writer.write(start + b"Connection: close\r\n\r\n" + data)
        await writer.drain()
    elif manner == "chunked":
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for place in range(0, len(data), 1000):
            piece = data[place : place + 1000]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    elif manner == "silent":
        await until_gone(reader)
    elif manner == "truncated":
        writer.write(start + b"\r\n" + data[: len(data) // 2])
    elif manner == "reset":
        writer.write(start + b"\r\n" + data[: len(data) // 2])
        reset(writer)
    elif manner == "drip":
        await drip(reader, writer, start + b"X: " + bytes(10_000))
    elif manner == "junk":
        writer.write(data + b"\r\n\r\n")


# Peers that know nothing of TLS, for clients that expect it.


async def mute(luck: random.Random, reader, writer) -> None:
    await until_gone(reader)


async def junk(luck: random.Random, reader, writer) -> None:
    await reader.read(luck.randrange(1, 100))
    writer.write(luck.randbytes(200))
    await until_gone(reader)


async def leaves(luck: random.Random, reader, writer) -> None:
    """Close or reset in the midst of the handshake."""
    await reader.read(luck.randrange(1, 600))
    writer.write(b"\x16\x03\x03\x00\x7a\x02"[: luck.randrange(6)])
    if luck.random() < 0.5:
        reset(writer)


async def dripping(luck: random.Random, reader, writer) -> None:
    """Begin with a ServerHello that does not end."""
    await drip(reader, writer, b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xf0\x03\x03" + bytes(10_000))


BY_WISH = [source, echo, slow, silent, drips, closes, halves, resets, lines]
WITHOUT_TLS = [mute, junk, leaves, dripping]


# The servers.

_GONE = (OSError, EOFError, asyncio.LimitOverrunError, ValueError)


def handling(script, *, by_wish):
    """Return what asyncio calls for each client."""

    async def serve(reader, writer) -> None:
        with contextlib.suppress(*_GONE):  # the client has left
            known = (unpacked(await reader.readexactly(WISH_SIZE)),) if by_wish else ()
            await script(reader, writer, *known)
        writer.close()
        with contextlib.suppress(*_GONE):
            await writer.wait_closed()

    return serve


def listener(host: str, *, small: bool = False) -> socket.socket:
    sock = socket.socket()
    if small:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    sock.bind((host, 0))
    sock.listen(BACKLOG)
    return sock


def stops(conn: socket.socket, wish: Wish, reports: dict[int, bytes]) -> None:
    """Read no more, and say no goodbye."""
    time.sleep(HOLD)


def sink(conn: socket.socket, wish: Wish, reports: dict[int, bytes]) -> None:
    """Take in, slowly, all that is sent, and have it reported."""
    count, digest = 0, hashlib.sha256()
    with contextlib.suppress(OSError):
        while data := conn.recv(16_384):
            count += len(data)
            digest.update(data)
            time.sleep(DRIP / 4)
    reports[wish.number] = report(count, digest.digest())


ON_THREADS = [stops, sink]


def on_threads(sock: socket.socket, script, context: ssl.SSLContext | None) -> None:
    """Serve each client of *sock* on a thread, for ever."""

    def serve(conn: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), contextlib.ExitStack() as stack:
            stack.enter_context(conn)
            if context is not None:
                conn = stack.enter_context(context.wrap_socket(conn, server_side=True))
            script(conn, unpacked(conn.recv(WISH_SIZE)))

    while True:
        conn, _ = sock.accept()
        conn.settimeout(30)
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        self.transport.sendto(data, addr)


class Town:
    """All peers, and where they are."""

    def __init__(self, stack, seed: int, certificate: str) -> None:
        self.stack = stack
        self.luck = random.Random(seed)
        self.folder = stack.enter_context(TemporaryDirectory(prefix="soak-"))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.hosts = cycle(HOSTS)
        self.addresses: dict[str, dict] = {"plain": {}, "tls": {}}

    async def build(self) -> None:
        reports: dict[int, bytes] = {}
        self._misbehaving_from_the_start()
        for script in BY_WISH:
            await self._serve(script.__name__, handling(script, by_wish=True))
        await self._serve("http", handling(http, by_wish=False))
        for script in WITHOUT_TLS:
            found = handling(partial(script, self.luck), by_wish=False)
            await self._listen(script.__name__, found, None)
        await self._listen("told", handling(partial(told, reports), by_wish=True), None)
        for script in ON_THREADS:
            for name, context in (("plain", None), ("tls", self.context)):
                sock = listener(next(self.hosts), small=True)
                self.addresses[name][script.__name__] = sock.getsockname()
                run = sock, partial(script, reports=reports), context
                threading.Thread(target=on_threads, args=run, daemon=True).start()
        await self._others()

    def _misbehaving_from_the_start(self) -> None:
        enter = self.stack.enter_context
        found = {
            "refuses": testing.refuses(),
            "never_accepts": testing.never_accepts(),
            "never_accepts_unix": testing.never_accepts(AF_UNIX),
            "resets_at_once": testing.resets(),
            "local": testing.echoes(),
            "silent_udp": testing.silent_udp(),
            "silent_udp_unix": testing.silent_udp(AF_UNIX),
        }
        for name, peer in found.items():
            self.addresses["plain"][name] = self.addresses["tls"][name] = enter(peer)

    async def _serve(self, name: str, found) -> None:
        await self._listen(name, found, None)
        await self._listen(name, found, self.context)

    async def _listen(self, name: str, found, context) -> None:
        sock = listener(next(self.hosts))
        options = {"ssl": context, "ssl_shutdown_timeout": 1.0} if context else {}
        await asyncio.start_server(found, sock=sock, backlog=BACKLOG, limit=65536, **options)
        self.addresses["tls" if context else "plain"][name] = sock.getsockname()

    async def _others(self) -> None:
        plain = self.addresses["plain"]
        for script in (echo, silent):
            path = plain[f"{script.__name__}_unix"] = f"{self.folder}/{script.__name__}"
            await asyncio.start_unix_server(handling(script, by_wish=True), path, backlog=BACKLOG)
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(_Echo, (next(self.hosts), 0))
        plain["echo_udp"] = datagrams.get_extra_info("sockname")
        for name, address in plain.items():
            self.addresses["tls"].setdefault(name, address)


async def main(seed: int, certificate: str) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # clients leave as they like
    with contextlib.ExitStack() as stack:
        town = Town(stack, seed, certificate)
        await town.build()
        print(json.dumps(town.addresses), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
