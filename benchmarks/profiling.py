"""Print, as Markdown, what a profile costs the program that it watches, and what it costs when off.

    python benchmarks/profiling.py [--rounds N] [--before FOLDER]

On against off: in one process, in turn, the profile's thread included. Off against the code
*before*, a checkout in FOLDER: in processes of their own, in turn. CPU time, both ends of a
connection on one CPU; only numbers of one round are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import safesocket

STRETCHES = 6  # the fastest counts
MESSAGE = bytes(64)
HERE = Path(__file__).resolve()


def ready() -> Callable[[], None]:
    """64 bytes that are there already, sent and received."""
    with safesocket.create_server(("127.0.0.1", 0)) as listener:
        client = safesocket.create_connection(listener.getsockname())
        server, _ = listener.accept()

    def run() -> None:
        for _ in range(20_000):
            client.send(MESSAGE)
            server.recv(64)

    return run


def _echo(listener: socket.socket) -> None:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := accepted.recv(64):
        accepted.sendall(data)


def round_trip(*timeout: float) -> Callable[[], None]:
    """64 bytes to another process and back: each answer is waited for."""
    listener = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        _echo(listener)
        os._exit(0)
    client = safesocket.create_connection(listener.getsockname(), *timeout)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run() -> None:
        for _ in range(10_000):
            client.send(MESSAGE)
            client.recv(64)

    return run


CASES: dict[str, Callable[[], Callable[[], None]]] = {
    "send + recv, 64 B ready, TCP": ready,
    "64 B to another process and back": round_trip,
    "the same, with a timeout of its own": lambda: round_trip(30.0),
}


def cost(run: Callable[[], None]) -> float:
    """Seconds of CPU that this process, all of its threads, takes to *run*."""
    start = time.process_time()
    run()
    return time.process_time() - start


def on_against_off(run: Callable[[], None], rounds: int, whole: float) -> list[float]:
    """What a profile adds, as a share of the *whole* that the case takes, sorted."""
    found = []
    for _ in range(rounds):
        spent = {}
        for on in random.sample((True, False), 2):
            with safesocket.profile() if on else nullcontext():
                spent[on] = min(cost(run) for _ in range(STRETCHES))
        found.append(1 + (spent[True] - spent[False]) / whole)
    return sorted(found)


def clock_time(run: Callable[[], None]) -> float:
    """Seconds of the clock: with the other end's."""
    times = []
    for _ in range(STRETCHES):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def off_against(before: str, name: str, rounds: int) -> list[float]:
    """This code with no profile against the code in the folder *before*, round by round."""
    found = []
    for _ in range(rounds):
        folders = random.sample((before, str(HERE.parents[1])), 2)
        spent = {folder: in_a_process(folder, name) for folder in folders}
        found.append(spent[str(HERE.parents[1])] / spent[before])
    return sorted(found)


def in_a_process(folder: str, name: str) -> float:
    command = [sys.executable, str(HERE), "--measure", name]
    environment = {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def row(title: str, found: list[float]) -> str:
    return f"| {title} | {statistics.median(found):.3f} ({found[0]:.3f} … {found[-1]:.3f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--before", metavar="FOLDER")
    parser.add_argument("--measure", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the echo process, too
    if options.measure:
        run = CASES[options.measure]()
        print(min(cost(run) for _ in range(STRETCHES)))
        return
    print("| profile on against off | median (lowest … highest) |\n|---|--:|")
    for title, prepare in CASES.items():
        run = prepare()
        print(row(title, on_against_off(run, options.rounds, clock_time(run))))
    if options.before:
        print("\n| off against before | median (lowest … highest) |\n|---|--:|")
        for title in CASES:
            print(row(title, off_against(options.before, title, options.rounds)))


if __name__ == "__main__":
    main()
