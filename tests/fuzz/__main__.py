"""The campaign: many plans on several lanes, what failed shrunk and printed as a test.

    python -m tests.fuzz --sequences 100000 [--seed N] [--world NAME] [--lanes N]

A lane is a process that draws plans and has a stdlib and another world to play them. Plans come
in rounds, each with a seed of its own, and hypothesis shrinks what fails in a round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import pprint
import re
import sys
import time
from collections import Counter

from tests.fuzz.compare import WORLDS, difference
from tests.fuzz.search import play_round

_ROUND = 250  # sequences; as many as hypothesis may forget when it has found a failure
_MOST = 20  # failures that are told; what is broken so much needs no more


def _arguments():
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--sequences", type=int, default=1000, help="in each world")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--world", choices=WORLDS, action="append", help="default: all")
    parser.add_argument("--lanes", type=int, default=2 * multiprocessing.cpu_count())
    return parser.parse_args()


def _campaign(world, sequences, seed, lanes):
    rounds = -(-sequences // _ROUND)
    tasks = [(world, seed * 1_000_003 + number, _ROUND) for number in range(rounds)]
    counts, doubts, failures = Counter(), [], []
    with multiprocessing.get_context("spawn").Pool(lanes) as pool:
        for number, (more, doubtful, failed) in enumerate(pool.imap_unordered(play_round, tasks)):
            counts += more
            doubts += doubtful
            if failed:
                failures.append(failed)
                _tell(world, *failed)
            print(f"{world}: {number + 1}/{rounds} rounds, {dict(counts)}", flush=True)
            if len(failures) >= _MOST:
                break
    for plan, plain, other in doubts:
        print(f"{world}, once: {plan}\n{difference(plain, other)}\n")
    return failures


def _tell(world, plan, words):
    print(f'\n{world} failed:\n{words}\n\nFor FAILED in tests/fuzz/failed.py:\n    "":')
    lines = pprint.pformat(plan, sort_dicts=False)
    print(re.sub(r"<MsgFlag[^:]*: (\d+)>", r"MsgFlag(\1)", lines) + ",\n", flush=True)


def main():
    """Run it; return the exit status."""
    options = _arguments()
    print(f"Python {platform.python_version()}, seed {options.seed}")
    failures = []
    for world in options.world or WORLDS:
        failures += _campaign(world, options.sequences, options.seed, options.lanes)
    print(f"{len(failures)} failures")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
