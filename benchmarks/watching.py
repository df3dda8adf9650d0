"""Print, as Markdown, what it costs to be watched while one waits.

    python benchmarks/watching.py [--rounds N]

The calls do nothing for who looks, so a program pays only for the thread that does. It is switched
on and off in one process, in random order, and only numbers of one round are compared. ``ready``
is CPU time of the whole process, the watch's included; ``round trip`` the clock, since the other
end works, too.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import safesocket
from safesocket._waits import in_progress
from safesocket._watch import Watcher

MESSAGE = bytes(64)
STRETCHES = 2  # of each way in a round, taken in turn
LOOPS = {"ready": 150_000, "round trip": 20_000}  # about 1 s each: several looks in most of them
WAITING = (0, 1, 16, 200)  # threads


def ready(stack: ExitStack) -> Callable[[int], float]:
    """Seconds for 64 bytes that are there already."""
    listener = stack.enter_context(safesocket.create_server(("127.0.0.1", 0)))
    client = stack.enter_context(safesocket.create_connection(listener.getsockname()))
    server = stack.enter_context(listener.accept()[0])

    def run(loops: int) -> float:
        start = time.process_time()
        for _ in range(loops):
            client.send(MESSAGE)
            server.recv(64)
        return time.process_time() - start

    return run


def round_trip(stack: ExitStack) -> Callable[[int], float]:
    """Seconds for 64 bytes to a plain process and back; each answer is waited for."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    if os.fork() == 0:
        echo(listener)
    client = stack.enter_context(safesocket.create_connection(listener.getsockname()))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            client.send(MESSAGE)
            client.recv(64)
        return time.perf_counter() - start

    return run


def echo(listener: socket.socket) -> None:
    if hasattr(os, "SCHED_BATCH"):  # or it answers before the client waits
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    peer, _ = listener.accept()
    while data := peer.recv(64):
        peer.send(data)
    os._exit(0)


CASES = {"ready": ready, "round trip": round_trip}


class Sampled:
    """Looked at every 5 ms, as by a profiler."""

    def __enter__(self) -> None:
        self.watcher = Watcher(0.005, id)
        self.watcher.start()

    def __exit__(self, *exc_info: object) -> None:
        self.watcher.stop()


class Threaded:
    """With one more thread that never does anything."""

    def __enter__(self) -> None:
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.over.wait)
        self.thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self.over.set()
        self.thread.join()


class Warned:
    """Under configure(warn_after=)."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        safesocket.configure(warn_after=self.seconds)

    def __exit__(self, *exc_info: object) -> None:
        safesocket.configure(warn_after=None)


OFF = "off"
WAYS = {
    OFF: Warned(None),
    "off, again": Warned(None),
    "an idle thread": Threaded(),
    "warn_after=5": Warned(5),
    "warn_after=0.1": Warned(0.1),
    "every 5 ms": Sampled(),
}


def one_round(run: Callable[[int], float], loops: int) -> dict[str, float]:
    spent = dict.fromkeys(WAYS, 0.0)
    for _ in range(STRETCHES):
        for name in random.sample(list(WAYS), len(WAYS)):
            with WAYS[name]:
                spent[name] += run(loops)
    return {name: seconds / spent[OFF] for name, seconds in spent.items()}


def ratios(name: str, waiting: int, rounds: int) -> dict[str, str]:
    with ExitStack() as stack:
        run = CASES[name](stack)
        threads(waiting, stack)
        run(LOOPS[name])
        found = [one_round(run, LOOPS[name]) for _ in range(rounds)]
    return {way: shown([one[way] for one in found]) for way in WAYS}


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} … {max(values):.3f})"


def threads(count: int, stack: ExitStack) -> None:
    """Let so many threads wait for data, to the end of *stack*; healthily, so nothing is logged."""
    listener = stack.enter_context(safesocket.create_server(("127.0.0.1", 0)))
    for _ in range(count):
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        sock = stack.enter_context(listener.accept()[0])
        thread = threading.Thread(target=sock.recv, args=(1,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(client.shutdown, socket.SHUT_RDWR)
    while len(in_progress()) < count:
        time.sleep(0.001)


def look(waiting: int) -> float:
    """Return what a look costs, in pairs of send and recv."""
    with ExitStack() as stack:
        run = ready(stack)
        unit = min(run(1000) for _ in range(20)) / 1000
        threads(waiting, stack)
        took = []
        for _ in range(200):
            start = time.perf_counter()
            in_progress()
            took.append(time.perf_counter() - start)
    return statistics.median(took) / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME", dest="cases")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the echo process, too
    print("Against `off`, median of the rounds (lowest … highest).\n")
    print(f"| case, other threads that wait | {' | '.join(list(WAYS)[1:])} |")
    print(f"|---|{'--:|' * (len(WAYS) - 1)}")
    for name in options.cases or CASES:
        for waiting in WAITING:
            found = ratios(name, waiting, options.rounds)
            print(f"| {name}, {waiting} | {' | '.join(list(found.values())[1:])} |")
    print("\nOne look, in pairs of a send and a recv of 64 bytes that are there already:\n")
    print("| threads that wait | cost |\n|--:|--:|")
    for waiting in WAITING:
        print(f"| {waiting} | {look(waiting):.1f} |")


if __name__ == "__main__":
    main()
