"""The worlds that play plans, each in a process of its own: the stdlib, drop-in, installed.

    python -m tests.fuzz.worlds NAME

reads plans from its standard input and writes records to its standard output, pickled.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import subprocess
import sys
from pathlib import Path

from tests.fuzz.scene import LIMIT

_ROOT = Path(__file__).parents[2]
_TOO_LONG = 8.0  # seconds for one plan, whatever it is


class World:
    """What a plan is played with: a module ``socket``, a module ``ssl``."""

    def __init__(self, name):
        import socket
        import ssl

        self.name = name
        self.is_safe = name != "stdlib"
        self.is_installed = name == "installed"
        self.socket, self.ssl = socket, ssl
        self._scale = None
        if self.is_installed:
            import safesocket

            safesocket.install()
        elif self.is_safe:
            import safesocket
            import safesocket.ssl as safe_ssl

            self.socket, self.ssl = safesocket, safe_ssl

    def set_limits(self, scale):
        """Give safesocket limits that waits reach within a test."""
        if self.is_safe and scale != self._scale:
            import safesocket

            limit = LIMIT * scale
            safesocket.configure(read=limit, write=limit, connect=limit, handshake=1.0)
            self._scale = scale


class LostError(Exception):
    """A world's process has died, or does not answer."""


class Process:
    """A world in a process of its own."""

    def __init__(self, name):
        self.name = name
        self._start()

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "default", "-m", "tests.fuzz.worlds", self.name],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, plan, scale=1):
        """Let it play *plan*; its record is for :meth:`answer`."""
        pickle.dump((plan, scale), self._process.stdin)
        self._process.stdin.flush()

    def answer(self):
        """Return the record of the plan that was asked for."""
        output = self._process.stdout
        if not select.select([output], [], [], 2 * _TOO_LONG)[0]:
            self.close()
            self._start()
            raise LostError(f"{self.name} hangs")
        try:
            return pickle.load(output)
        except EOFError:
            self.close()
            self._start()
            raise LostError(f"{self.name} has died") from None

    def close(self):
        """End it."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def main(name):
    """Play what is asked for until nothing more is."""
    from tests.fuzz import watch
    from tests.fuzz.play import play

    watch.prepare()
    world = World(name)
    with os.fdopen(os.dup(1), "wb") as records:
        os.dup2(2, 1)
        for plan, scale in _plans():
            faulthandler.dump_traceback_later(_TOO_LONG, exit=True)
            pickle.dump(play(world, plan, scale), records)
            records.flush()
            faulthandler.cancel_dump_traceback_later()


def _plans():
    while True:
        try:
            yield pickle.load(sys.stdin.buffer)
        except EOFError:
            return


if __name__ == "__main__":
    main(sys.argv[1])
