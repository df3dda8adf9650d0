"""Print, as Markdown, what it adds to an error that it looks around on this machine.

    python benchmarks/surroundings.py [--rounds N]

Each case fails on purpose, with the look and without it, in turns, in one process; Linux only. In
the last cases this process has 2,000 connections, and 300 other processes run, one of which holds
the port. What is over the budget is not looked at, so each has a most.
"""

from __future__ import annotations

import argparse
import resource
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import safesocket
from safesocket import _ports, _surroundings, testing

MOST = 0.2, 5.0  # milliseconds that a look may add, and where it reads /proc
SOCKETS, PROCESSES = 2000, 300
WAITS = "import sys; sys.stdin.read()"
HOLDS = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""

Call = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    setting: Callable[[], AbstractContextManager[Call]]
    reads_proc: bool = True


CASES: dict[str, Case] = {}


def case(name: str, *, reads_proc: bool = True) -> Callable[..., Any]:
    """Register the generator below, which yields a call that fails, as a case."""

    def register(setting: Callable[[], Iterator[Call]]) -> Callable[[], Iterator[Call]]:
        CASES[name] = Case(contextmanager(setting), reads_proc)
        return setting

    return register


def on_a_new_socket(operation: str, address: Any, family: int = socket.AF_INET) -> None:
    with safesocket.socket(family) as sock:
        getattr(sock, operation)(address)


@case("refused on loopback, again and again", reads_proc=False)
def refused() -> Iterator[Call]:
    with testing.refuses() as address:
        yield partial(on_a_new_socket, "connect", address)


@case("refused on loopback, the first time in a second")
def refused_first() -> Iterator[Call]:
    def call() -> None:
        _ports._listened = (-1.0, frozenset())
        on_a_new_socket("connect", address)

    with testing.refuses() as address:
        yield call


@case("no such host name (numbers only, nobody is asked)", reads_proc=False)
def no_name() -> Iterator[Call]:
    yield partial(safesocket.getaddrinfo, "database", 80, flags=socket.AI_NUMERICHOST)


@case("AF_UNIX path that is not there", reads_proc=False)
def no_path() -> Iterator[Call]:
    yield partial(on_a_new_socket, "connect", "/nowhere/db.sock", socket.AF_UNIX)


@case("AF_UNIX path of a dead server", reads_proc=False)
def dead_path() -> Iterator[Call]:
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "db.sock"))
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        yield partial(on_a_new_socket, "connect", path, socket.AF_UNIX)


@case("AF_UNIX path, bound, of a living server")
def living_path() -> Iterator[Call]:
    with testing.never_answers(socket.AF_UNIX) as path:
        yield partial(on_a_new_socket, "bind", path, socket.AF_UNIX)


@case("address of others, bound")
def no_address() -> Iterator[Call]:
    yield partial(on_a_new_socket, "bind", ("192.0.2.1", 0))


@case("port held by this process")
def own_port() -> Iterator[Call]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield partial(on_a_new_socket, "bind", server.getsockname())


@case("port held by another process")
def port_of_another() -> Iterator[Call]:
    with processes(HOLDS) as [holder]:
        yield partial(on_a_new_socket, "bind", ("127.0.0.1", port_of(holder)))


@case("port bound by somebody who does not listen: all is read")
def port_of_nobody() -> Iterator[Call]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        yield partial(on_a_new_socket, "bind", other.getsockname())


@case("no descriptor left of 1,024")
def no_descriptor() -> Iterator[Call]:
    with limit(1024), ExitStack() as stack:
        try:
            while True:
                stack.enter_context(safesocket.socket())
        except OSError:
            yield safesocket.socket


@case("2,000 connections: refused, the first time in a second")
def refused_among_many() -> Iterator[Call]:
    with connections(), contextmanager(refused_first)() as call:
        yield call


@case("2,000 connections, 300 processes: port held by the first of them")
def port_among_many() -> Iterator[Call]:
    with connections(), processes(HOLDS) as [holder], processes(*[WAITS] * PROCESSES):
        yield partial(on_a_new_socket, "bind", ("127.0.0.1", port_of(holder)))


@case("2,000 connections, 300 processes: all is read")
def port_of_nobody_among_many() -> Iterator[Call]:
    with connections(), processes(*[WAITS] * PROCESSES), contextmanager(port_of_nobody)() as call:
        yield call


@contextmanager
def limit(most: int) -> Iterator[None]:
    """Let this process have at most so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def connections() -> Iterator[None]:
    """Have many connections to this process itself."""
    with limit(2 * SOCKETS + 100), ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=SOCKETS))
        for _ in range(SOCKETS // 2):
            stack.enter_context(safesocket.create_connection(server.getsockname()))
            stack.enter_context(server.accept()[0])
        yield


@contextmanager
def processes(*programs: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield processes that run *programs*, which end with their input."""
    with ExitStack() as stack:
        yield [stack.enter_context(process(program)) for program in programs]


@contextmanager
def process(program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-S", "-E", "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as started:
        yield started


def port_of(holder: subprocess.Popen[str]) -> int:
    assert holder.stdout is not None
    return int(holder.stdout.readline())


def milliseconds(call: Call) -> tuple[float, str]:
    """Return how long a failing *call* takes, and its hint."""
    started = perf_counter()
    try:
        call()
    except safesocket.errors.SafeSocketError as error:
        return (perf_counter() - started) * 1000, error.hint or ""
    raise AssertionError("nothing failed")


def measured(setting: Case, rounds: int) -> tuple[float, float, str]:
    """Return the medians with the look and without it, and what the look has shown."""
    look = _surroundings.finding
    with setting.setting() as call:
        runs = []
        for _ in range(rounds):
            runs.append((milliseconds(call), without(call, look)))
    seen, unseen = ([time for time, _ in column] for column in zip(*runs, strict=True))
    return statistics.median(seen), statistics.median(unseen), runs[-1][0][1]


def without(call: Call, look: Any) -> tuple[float, str]:
    """Return how long *call* takes where nobody looks."""
    _surroundings.finding = lambda *_: None
    try:
        return milliseconds(call)
    finally:
        _surroundings.finding = look


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    print("| case | with the look | without | added | may be | |\n|---|--:|--:|--:|--:|---|")
    for name, setting in CASES.items():
        looking, plain, _ = measured(setting, options.rounds)
        most = MOST[setting.reads_proc]
        verdict = "" if looking - plain <= most else "**over**"
        times = " | ".join(f"{time:.3f} ms" for time in (looking, plain, looking - plain))
        print(f"| {name} | {times} | {most:g} ms | {verdict} |")


if __name__ == "__main__":
    main()
