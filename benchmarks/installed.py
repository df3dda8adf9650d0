"""Print, as Markdown, what install() costs programs that it is there for.

    python benchmarks/installed.py [--rounds N]

install() changes the stdlib's own class, so plain and installed cannot share a process, as the
contenders of ``compare`` do: each number comes from a process of its own, plain and installed in
turn, and only numbers of one round are compared. CPU time, so that neighbours do not count; but
for TLS, where the other end works, too, the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from types import ModuleType

import trustme

STRETCHES = 20  # the fastest counts
MESSAGE = bytes(64)
MODES = ("plain", "installed")


def ready() -> float:
    """Seconds for 64 bytes that are there already, as in the case ``ready``, 2,000 times."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        start = time.process_time()
        for _ in range(2000):
            client.send(MESSAGE)
            server.recv(64)
            server.send(MESSAGE)
            client.recv(64)
        return time.process_time() - start


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64):
        writer.write(data)
    writer.close()


async def _ask(address: tuple[str, int]) -> float:
    reader, writer = await asyncio.open_connection(*address)
    start = time.process_time()
    for _ in range(500):
        writer.write(MESSAGE)
        await reader.readexactly(64)
    spent = time.process_time() - start
    writer.close()
    return spent


async def _echo() -> float:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    async with server:
        return await _ask(server.sockets[0].getsockname())


def streams() -> float:
    """Seconds for 500 questions and answers of 64 bytes by asyncio's streams, both ends."""
    return asyncio.run(_echo())


@cache
def _tls_server() -> tuple[trustme.CA, tuple[str, int]]:
    """Start an echo process, which ends with this one; return whom to trust, and where it is."""
    authority, listener = trustme.CA(), socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as peer:
            while data := peer.recv(64):
                peer.sendall(data)
        os._exit(0)
    return authority, listener.getsockname()


@cache
def _tls_client() -> ssl.SSLSocket:
    """Return a TLS connection to the echo process."""
    authority, address = _tls_server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname="localhost")


def tls() -> float:
    """Seconds, of the clock, for 300 questions and answers of 64 bytes over TLS."""
    sock = _tls_client()
    start = time.perf_counter()
    for _ in range(300):
        sock.send(MESSAGE)
        sock.recv(64)
    return time.perf_counter() - start


def install_3000() -> float:
    """Seconds for install() in a process with 3,000 modules of 40 names each."""
    import safesocket

    for number in range(3000):
        module = ModuleType(f"synthetic{number}")
        vars(module).update({f"name{n}": n for n in range(40)})
        sys.modules[module.__name__] = module
    safesocket.install().uninstall()  # which loads wrapt
    start = time.process_time()
    installation = safesocket.install()
    spent = time.process_time() - start
    installation.uninstall()
    return spent


CASES: dict[str, tuple[str, Callable[[], float]]] = {
    "ready": ("send + recv, 64 B ready, TCP", ready),
    "streams": ("asyncio streams, 64 B echo", streams),
    "tls": ("TLS, 64 B to another process and back", tls),
}


def measure(mode: str, case: Callable[[], float]) -> float:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the echo process, too
    if case is tls:
        _tls_server()  # which is plain in both modes
    if mode == "installed":
        import safesocket

        safesocket.install()
    return min(case() for _ in range(STRETCHES))


def in_a_process(mode: str, name: str) -> float:
    command = [sys.executable, __file__, "--measure", mode, name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ratios(name: str, rounds: int) -> list[float]:
    """Installed against plain, round by round, sorted."""
    found = []
    for _ in range(rounds):
        spent = {mode: in_a_process(mode, name) for mode in random.sample(MODES, 2)}
        found.append(spent["installed"] / spent["plain"])
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--measure", nargs=2, metavar=("MODE", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        mode, name = options.measure
        print(measure(mode, CASES[name][1]))
        return
    print("| case | installed against plain, median (lowest … highest) |")
    print("|---|--:|")
    for name, (title, _) in CASES.items():
        low, *_, high = found = ratios(name, options.rounds)
        print(f"| {title} | {statistics.median(found):.2f} ({low:.2f} … {high:.2f}) |")
    took = sorted(install_3000() for _ in range(options.rounds))
    print(f"| install() with 3,000 modules | {statistics.median(took) * 1000:.1f} ms |")


if __name__ == "__main__":
    main()
