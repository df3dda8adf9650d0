"""What is measured: one table of cases, and the plain other ends they talk to.

A case prepares sockets for one contender and returns a function that repeats the measured
calls and says how many nanoseconds they took. Sockets are used as a program uses them (no
method bound beforehand). Nothing here knows about rounds, ratios or how a number is shown.
"""

from __future__ import annotations

import functools
import importlib
import math
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from operator import sub, truediv
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter_ns as now

from contenders import LOOPBACK, Address, plain_listener
from measure import (
    Method,
    Run,
    Scene,
    allow_open_files,
    import_time,
    memory,
    resident_bytes,
    timed,
    traced_bytes,
    wait_for_parent,
)

# One buffer for all contenders: where a buffer lies in memory decides how fast it is copied.
MESSAGE = bytes(64)
BLOCK = b"." * (64 * 1024)
BUFFER = bytearray(len(BLOCK))
BULK_SIZE = 16 * 1024 * 1024
BATCH = 100  # connections not yet accepted: below the smallest usual limit of a backlog (128)
MAX_CLIENTS = 1_000_000  # of one plain server


def ready(scene: Scene, address: Callable[[Scene], Address], others: int = 0) -> Run:
    """The kernel delivers within send(), so recv() finds its data; each end does both."""
    allow_open_files(others)
    listener = scene.keep(scene.contender.listen(address(scene)))
    for _ in range(math.ceil(others / 2 / scene.rivals)):
        scene.pair(listener)
    client, server = scene.pair(listener)

    def run(loops: int) -> int:
        start = now()
        for _ in range(loops):
            client.send(MESSAGE)
            server.recv(64)
            server.send(MESSAGE)
            client.recv(64)
        return now() - start

    return run


def unix(scene: Scene) -> Address:
    """A path: the family in which the kernel does least, so the class weighs most."""
    # From inside its folder, as the length of such a path is limited (104 bytes on macOS).
    scene.stack.enter_context(chdir(scene.stack.enter_context(TemporaryDirectory())))
    return "socket"


def tcp(_scene: Scene) -> Address:
    return LOOPBACK


def ready_block(scene: Scene) -> Run:
    """Only recv_into() is on the clock; a plain socket refills in between."""
    listener = scene.keep(plain_listener(unix(scene)))
    sock = scene.client(listener.getsockname())
    feeder = scene.keep(listener.accept()[0])

    def run(loops: int) -> int:
        spent = 0
        for _ in range(loops):
            feeder.sendall(BLOCK)
            start = now()
            got = sock.recv_into(BUFFER)
            spent += now() - start
            if got != len(BLOCK):
                raise RuntimeError(f"only {got} of {len(BLOCK)} bytes were ready")
        return spent

    return run


def round_trip(scene: Scene) -> Run:
    """The answer is never there at the first try: this is the path that waits."""
    sock = scene.client(plain_server(echo))

    def run(loops: int) -> int:
        start = now()
        for _ in range(loops):
            sock.send(MESSAGE)
            sock.recv(64)
        return now() - start

    return run


def bulk(scene: Scene) -> Run:
    """The reader confirms each transfer, so none of it is left for the next contender."""
    address, data = plain_server(sink), bulk_data()

    def run(loops: int) -> int:
        # Linux tunes the buffers of each connection as it goes: all begin alike.
        with closing(scene.contender.client(address)) as sock:
            start = now()
            for _ in range(loops):
                sock.sendall(data)
                sock.recv(1)
            return now() - start

    return run


@functools.cache
def bulk_data() -> bytes:
    return bytes(BULK_SIZE)


def connect_close(scene: Scene) -> Run:
    """The kernel completes a connection into the backlog; it is emptied off the clock."""
    listener = scene.keep(plain_listener(backlog=BATCH))
    address = listener.getsockname()
    contender = scene.contender

    def run(loops: int) -> int:
        spent = 0
        for batch in batches(loops):
            start = now()
            for _ in range(batch):
                sock = contender.open()
                sock.connect(address)
                sock.close()
            spent += now() - start
            for _ in range(batch):
                listener.accept()[0].close()
        return spent

    return run


def refused(scene: Scene, look: Callable[[OSError], object]) -> Run:
    """Nobody listens at a port that is only bound, and nobody else can take it."""
    bound = scene.keep(socket.socket())
    bound.bind(LOOPBACK)
    address = bound.getsockname()
    contender = scene.contender

    def run(loops: int) -> int:
        start = now()
        for _ in range(loops):
            sock = contender.open()
            try:
                sock.connect(address)
            except OSError as exc:
                look(exc)
            sock.close()
        return now() - start

    return run


def look_up(scene: Scene) -> Run:
    """A name in /etc/hosts: no server is asked, so what is left is the way there and back."""
    module = importlib.import_module(scene.contender.module)
    find = vars(module)["getaddrinfo"]  # not every module has one of its own

    def run(loops: int) -> int:
        start = now()
        for _ in range(loops):
            find("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)
        return now() - start

    return run


def microseconds_more(value: float, reference: float) -> float:
    return (value - reference) / 1000


def batches(loops: int) -> Iterator[int]:
    for done in range(0, loops, BATCH):
        yield min(BATCH, loops - done)


# The plain other ends. Each is a process of its own, so that it does not share the
# interpreter lock with the contender, and stdlib without a timeout for every contender.


@functools.cache
def plain_server(serve: Callable[[socket.socket], None]) -> Address:
    """Start the server once in this process; it ends when this process does."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    spawn.Process(target=run_server, args=(serve, theirs), daemon=True).start()
    with ours, theirs:
        address: Address = ours.recv()
        return address


def run_server(serve: Callable[[socket.socket], None], control: Connection) -> None:
    if sys.platform == "linux":
        # A batch process does not interrupt the sender when data arrives, so the sender
        # gets as far as its recv() before there is an answer.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with plain_listener() as listener, control:
        control.send(listener.getsockname())
        Thread(target=accept_all, args=(listener, serve), daemon=True).start()
        wait_for_parent()


def accept_all(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    for _ in range(MAX_CLIENTS):
        Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def echo(conn: socket.socket) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := conn.recv(64):
        conn.sendall(data)


def sink(conn: socket.socket) -> None:
    """One byte back for each BULK_SIZE bytes received."""
    buffer, received = bytearray(4 * len(BLOCK)), 0
    while got := conn.recv_into(buffer):
        received += got
        if received == BULK_SIZE:
            conn.sendall(b".")
            received = 0


@dataclass(frozen=True)
class View:
    """A row of the table: two numbers of one round compared."""

    title: str
    compare: Callable[[float, float], float] = truediv
    text: str = "{:.2f}"
    unit: str = ""


@dataclass(frozen=True)
class Case:
    method: Method
    views: tuple[View, ...]
    twin: bool = False  # the same code as another case: left out of a smoke test


def timing(prepare: Callable[[Scene], Run], title: str, twin: bool = False) -> Case:
    return Case(partial(timed, prepare), (View(title),), twin)


def bytes_more(measure: Callable[[Scene], float], title: str, twin: bool = False) -> Case:
    return Case(partial(memory, measure), (View(title, sub, "{:+.0f}", " B"),), twin)


CASES: dict[str, Case] = {
    "ready": timing(partial(ready, address=unix), "send + recv, 64 B ready"),
    "ready-10": timing(partial(ready, address=unix, others=10), "the same, 10 other sockets open"),
    "ready-10000": timing(
        partial(ready, address=unix, others=10_000),
        "the same, 10,000 other sockets open",
        twin=True,
    ),
    "ready-tcp": timing(partial(ready, address=tcp), "send + recv, 64 B ready, TCP", twin=True),
    "recv-into": timing(ready_block, "recv_into, 64 KiB ready"),
    "round-trip": timing(round_trip, "request and answer, 64 B, waits"),
    "bulk": timing(bulk, "sendall, 16 MiB"),
    "connect": timing(connect_close, "connect + close"),
    "refused": timing(partial(refused, look=id), "connect, refused", twin=True),
    "refused-str": timing(partial(refused, look=str), "connect, refused, str(error)"),
    "look-up": Case(
        partial(timed, look_up),
        (View("look-up of localhost"), View("the same, more", microseconds_more, "{:+.0f}", " µs")),
    ),
    "memory": bytes_more(traced_bytes, "memory per connection, Python's"),
    "rss": bytes_more(resident_bytes, "memory per connection, resident", twin=True),
    "import": Case(
        import_time, (View("import"), View("import, more than socket's", sub, "{:+.1f}", " ms"))
    ),
}
