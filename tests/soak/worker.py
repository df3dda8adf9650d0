"""One world of the soak, in this process: rounds of connections on some threads, gauges between.

    python -m tests.soak.worker WORLD CONNECTIONS THREADS SEED ADDRESSES CERTIFICATES

Prints what was measured as JSON. *ADDRESSES* are those of ``peers``, *CERTIFICATES* a folder.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import random
import resource
import socket
import sys
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import safesocket
from tests.soak import gauges, honest, rude
from tests.soak.site import PATIENT, Site, Wrong
from tests.soak.wire import WISH_SIZE
from tests.soak.worlds import WORLDS, World

ROUNDS = 24
HANGS = 120.0  # seconds; a round takes less, or the whole process is stuck and says where

SCENARIOS = {**honest.SCENARIOS, **rude.SCENARIOS}


def contexts(world: World, folder: Path) -> dict[str, object]:
    make = world.ssl.SSLContext
    client, strict = (make(world.ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    client.load_verify_locations(folder / "authority.pem")
    server = make(world.ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return {"client": client, "strict": strict, "server": server}


def echo_for_ever(world: World, listener, context) -> None:
    """Run a server as old programs do: accept in a loop, a thread for each connection."""

    def serve(conn) -> None:
        with contextlib.suppress(OSError), conn:
            if world.is_tls:
                conn = context.wrap_socket(conn, server_side=True)
            with conn:
                conn.recv(WISH_SIZE)
                while data := conn.recv(65536):
                    conn.sendall(data)

    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def play(make_site, gauge: gauges.Gauge, seed: int, index: int) -> None:
    """Play the scenario of one connection, and note what went wrong."""
    luck = random.Random(f"{seed} {index}")
    scenario = luck.choices([*SCENARIOS], [*SCENARIOS.values()])[0]
    with gauge.playing(scenario.__name__):
        try:
            scenario(make_site(luck))
        except Wrong as exc:
            gauge.note(exc.sort, f"connection {index}: {exc}")
        except Exception as exc:
            bare = isinstance(exc, OSError) and not isinstance(
                exc, safesocket.errors.SafeSocketError
            )
            sort = "untranslated" if bare else "outcomes"
            gauge.note(sort, f"connection {index}: {type(exc).__name__}: {exc}")


def soak(world: World, connections: int, threads: int, seed: int, places, folder: Path):
    """Play all scenarios; return the gauge and the readings of all rounds."""
    gauge = gauges.Gauge()
    warnings.simplefilter("always", ResourceWarning)
    warnings.showwarning = gauge.showwarning
    tls = contexts(world, folder)
    readings: list[gauges.Reading] = []
    with world.socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.settimeout(None)
        server = partial(echo_for_ever, world, listener, tls["server"])
        threading.Thread(target=server, daemon=True).start()
        places["own"] = listener.getsockname()
        make_site = partial(Site, world, gauge, places, tls=tls)
        one = partial(play, lambda luck: make_site(luck=luck), gauge, seed)
        tracemalloc.start()
        with gauge.clocked(), ThreadPoolExecutor(threads) as pool:
            for number in range(ROUNDS):
                faulthandler.dump_traceback_later(HANGS, exit=True)
                first, last = (connections * at // ROUNDS for at in (number, number + 1))
                list(pool.map(one, range(first, last)))
                wanted = readings[ROUNDS // 4] if number > ROUNDS // 4 else None
                readings.append(gauges.read(last, wanted))
            faulthandler.cancel_dump_traceback_later()
    return gauge, readings


def main(name: str, connections: int, threads: int, seed: int, places, folder: Path) -> None:
    world = WORLDS[name]
    if world.is_safe:
        names = ("resolve", "connect", "handshake", "read", "write", "serve")
        safesocket.configure(**dict.fromkeys(names, PATIENT))
    else:
        socket.setdefaulttimeout(PATIENT)
    started = time.monotonic()
    with world.entered():
        gauge, readings = soak(world, connections, threads, seed, places, folder)
    print(
        json.dumps(
            {
                "played": gauge.played,
                "wrong": gauge.wrong,
                "warned": gauge.warned,
                "longest": gauge.longest,
                "latest": gauge.latest,
                "took": time.monotonic() - started,
                "grown": gauges.grown(readings),
                "readings": readings,
            }
        )
    )


if __name__ == "__main__":
    faulthandler.enable()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    kind = "tls" if WORLDS[sys.argv[1]].is_tls else "plain"
    main(
        *(sys.argv[1], *map(int, sys.argv[2:5])),
        json.loads(sys.argv[5])[kind],
        Path(sys.argv[6]),
    )
