"""The command line of the soak: the peers, a process for each world, and one table."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import trustme

from tests.soak import __doc__ as USAGE
from tests.soak.gauges import SLACK, Reading
from tests.soak.wire import HOSTS, NAME
from tests.soak.worlds import SAFE, WORLDS

ROOT = Path(__file__).parents[2]
SHOWN = 10  # examples of what went wrong


def certificates(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(NAME, "localhost", *HOSTS)
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


@contextlib.contextmanager
def peers(seed: int, folder: Path):
    """Run the far ends; yield their addresses as JSON."""
    command = [sys.executable, "-m", "tests.soak.peers", str(seed), str(folder / "server.pem")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline()
        process.stdin.close()


def run(world: str, connections: int, threads: int, seed: int, folder: Path) -> dict:
    """Return what a process measures that plays all scenarios in *world*."""
    with peers(seed, folder) as places:
        numbers = map(str, (connections, threads, seed))
        command = [sys.executable, "-m", "tests.soak.worker", world, *numbers, places, str(folder)]
        # In glibc each thread has an arena else, and what those keep free is no leak.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        process = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
    if process.returncode:
        raise SystemExit(f"{world}: stuck, or broken (exit status {process.returncode}); see above")
    return json.loads(process.stdout)


def verdict(found: dict, reference: dict) -> list[str]:
    """Return what is wrong with what was *found*, in words."""
    complaints = [f"{sort}: {text}" for sort, texts in found["wrong"].items() for text in texts]
    complaints += [
        f"a wait of {scenario} lasted {over:.3f} s too long"
        for scenario, over in found["longest"].items()
        if over > SLACK
    ]
    complaints += [f"grown: {text}" for text in found["grown"]]
    for scenario, count in found["warned"].items():
        usual = reference["warned"].get(scenario, 0)
        if count > 2 * usual + 3:  # some depend on which side is faster
            complaints.append(f"ResourceWarning: {count} in {scenario}, the stdlib has {usual}")
    return complaints


def columns(found: dict, reference: dict) -> list[str]:
    first, last = (Reading(*found["readings"][at]) for at in (len(found["readings"]) // 2, -1))
    return [
        f"{sum(found['played'].values())}",
        f"{max(found['longest'].values()):+.3f} s",
        f"{found['latest']:.3f} s",
        *(str(len(found["wrong"].get(sort, ()))) for sort in ("untranslated", "bytes", "outcomes")),
        f"{first.descriptors} -> {last.descriptors}",
        f"{first.threads} -> {last.threads}",
        f"{(last.traced - first.traced) / 1000:+,.0f} kB",
        f"{(last.resident - first.resident) / 1000:+,.0f} kB",
        f"{sum(found['warned'].values())} ({sum(reference['warned'].values())})",
    ]


TITLES = (
    *("connections", "longest overshoot", "a plain sleep late by", "untranslated errors"),
    *("wrong bytes", "wrong outcomes", "descriptors, 2nd half", "threads, 2nd half"),
    *("traced memory, 2nd half", "resident, 2nd half", "ResourceWarnings (stdlib)"),
)


def show(worlds: list[str], table: list[list[str]]) -> None:
    print(f"{'':26}" + "".join(f"{world:>18}" for world in worlds))
    for row, title in enumerate(TITLES):
        print(f"{title:26}" + "".join(f"{column[row]:>18}" for column in table))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--world", choices=[*SAFE, "all"], default="all")
    given = parser.parse_args()
    worlds = SAFE if given.world == "all" else [given.world]
    print(f"Python {platform.python_version()}, seed {given.seed}, {given.threads} threads")
    table, complaints = [], []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        certificates(Path(folder))
        numbers = given.connections, given.threads, given.seed, Path(folder)
        references: dict[str, dict] = {}
        for world in worlds:
            name = WORLDS[world].reference
            if name not in references:
                references[name] = run(name, *numbers)
            found = run(world, *numbers)
            table.append(columns(found, references[name]))
            complaints += [f"{world}: {text}" for text in verdict(found, references[name])]
    show(worlds, table)
    for text in complaints[:SHOWN]:
        print(text)
    if len(complaints) > SHOWN:
        print(f"and {len(complaints) - SHOWN} more")
    return bool(complaints)


if __name__ == "__main__":
    raise SystemExit(main())
