"""Print, as Markdown, what it adds to an error that it says why: evidence, reckoning and hint.

    python benchmarks/diagnosis.py [--rounds N]

Each case fails on purpose, with what looks for reasons and without it, in turns, in one process. A
column "without" is the same call of safesocket's, which finds nothing to look at.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from contenders import plain_listener

import safesocket
from safesocket import _tcpinfo, _translate, testing

MOST = 200  # microseconds that evidence may add to an error

Failing = Callable[[], int]  # one failure -> the nanoseconds that it took


@dataclass(frozen=True)
class Case:
    prepare: Callable[[], AbstractContextManager[Failing]]
    module: Any  # where the look is taken
    look: str  # the function that is left out "without"
    most: int  # microseconds that it may add


def timed(call: Callable[..., Any], *args: Any) -> int:
    started = perf_counter_ns()
    try:
        call(*args)
    except safesocket.errors.SafeSocketError as exc:
        str(exc.hint)  # which is worded for who asks
        return perf_counter_ns() - started
    raise AssertionError("it did not fail")


@contextmanager
def refused() -> Iterator[Failing]:
    """A new socket, off the clock, and a refused connect."""

    def fail() -> int:
        with closing(safesocket.socket()) as sock:
            return timed(sock.connect, address)

    with testing.refuses() as address:
        yield fail


@contextmanager
def read_timeout() -> Iterator[Failing]:
    """A read with a limit of 0 s, on a connection that has sent and received."""
    with plain_listener() as listener, safesocket.create_connection(listener.getsockname()) as sock:
        peer, _ = listener.accept()
        with peer:
            sock.sendall(b"x" * 1000)
            peer.recv(1000)
            peer.sendall(b"y" * 300)
            sock.recv(300)
            safesocket.set_timeouts(sock, read=0)
            yield lambda: timed(sock.recv, 1)


@contextmanager
def reset() -> Iterator[Failing]:
    """A connection, off the clock, and a read of what has been reset."""

    def fail() -> int:
        with safesocket.create_connection(listener.getsockname()) as sock:
            peer, _ = listener.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            return timed(sock.recv, 1)

    with plain_listener() as listener:
        yield fail


CASES = {
    "refused connect": Case(refused, _translate, "hint_for", MOST),
    "read timeout": Case(read_timeout, _tcpinfo, "read", MOST),
    "reset": Case(reset, _tcpinfo, "read", MOST),
}


@contextmanager
def without(case: Case) -> Iterator[None]:
    """Let the look of *case* find nothing."""
    original = getattr(case.module, case.look)
    setattr(case.module, case.look, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(case.module, case.look, original)


def measured(case: Case, rounds: int) -> tuple[float, float]:
    """Return the median microseconds of a failure, with the look of *case* and without it."""
    with_look, without_look = [], []
    with case.prepare() as fail:
        fail()  # what is imported at the first failure is not counted
        for _ in range(rounds):
            with_look.append(fail())
            with without(case):
                without_look.append(fail())
    return statistics.median(with_look) / 1000, statistics.median(without_look) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    print(f"An error with what tells why, and without; median of {options.rounds}\n")
    print("| case | with | without | with / without | added | at most |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, case in CASES.items():
        ours, plain = measured(case, options.rounds)
        times = f"{ours:.1f} µs | {plain:.1f} µs | {ours / plain:.2f} | {ours - plain:.1f} µs"
        print(f"| {name} | {times} | {case.most} µs |")


if __name__ == "__main__":
    main()
