"""Print, as Markdown, how long create_connection takes when some addresses of a name are dead.

    python benchmarks/racing.py [--timeout SECONDS] [--rounds N]

The stdlib and safesocket side by side, in turns, in one process. The dead addresses are listeners
on loopback whose backlog is full: to a client they are hosts that never answer.
"""

from __future__ import annotations

import argparse
import socket
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from socket import AF_INET, AF_INET6
from time import perf_counter
from typing import Any

from contenders import plain_listener

import safesocket
from safesocket import testing

MODULES: dict[str, Any] = {"stdlib": socket, "safesocket": safesocket}

ALIVE = "alive"
CASES: dict[str, Sequence[int | str]] = {  # case -> the addresses, a family standing for a dead one
    "the only address answers": (ALIVE,),
    "the first of two answers": (ALIVE, ALIVE),
    "IPv6 never answers, IPv4 does": (AF_INET6, ALIVE),
    "two addresses never answer, the third does": (AF_INET, AF_INET, ALIVE),
}


@contextmanager
def entries(peers: Sequence[int | str]) -> Iterator[list[Any]]:
    """Yield what a look-up finds for a name with these *peers*."""
    with ExitStack() as stack:
        yield [stack.enter_context(entry(peer)) for peer in peers]


@contextmanager
def entry(peer: int | str) -> Iterator[Any]:
    if isinstance(peer, int):
        with testing.never_accepts(peer) as address:
            yield peer, socket.SOCK_STREAM, 6, "", address
    else:
        with plain_listener(backlog=1024) as listener:
            yield AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname()


@contextmanager
def looking_up(found: list[Any]) -> Iterator[None]:
    """Let every name stand for what is *found*, for both modules."""
    kept = {module: module.getaddrinfo for module in MODULES.values()}
    try:
        for module in kept:
            module.getaddrinfo = lambda *_: found
        yield
    finally:
        for module, original in kept.items():
            module.getaddrinfo = original


def seconds(create_connection: Callable[..., Any], timeout: float) -> float:
    started = perf_counter()
    create_connection(("db.internal", 5432), timeout).close()
    return perf_counter() - started


def measured(timeout: float, rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    for case, peers in CASES.items():
        hangs = any(peer != ALIVE for peer in peers)
        with entries(peers) as found, looking_up(found):
            runs = [
                {
                    name: seconds(module.create_connection, timeout)
                    for name, module in MODULES.items()
                }
                for _ in range(rounds if hangs else 100 * rounds)
            ]
        yield case, {name: statistics.median(run[name] for run in runs) for name in MODULES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds, for both")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"create_connection(…, timeout={options.timeout:g}), median of {options.rounds} rounds\n")
    print("| case | stdlib | safesocket | stdlib / safesocket |\n|---|--:|--:|--:|")
    for case, times in measured(options.timeout, options.rounds):
        plain, ours = times["stdlib"], times["safesocket"]
        print(f"| {case} | {plain * 1000:.2f} ms | {ours * 1000:.2f} ms | {plain / ours:.2f} |")


if __name__ == "__main__":
    main()
