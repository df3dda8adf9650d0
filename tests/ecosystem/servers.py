"""The table of servers: how one is started on loopback, and when it is ready.

They run with temporary folders and on their usual ports: the network is the run's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

READY_WITHIN = 60.0  # seconds; mariadbd makes its files first
ENDS_WITHIN = 20.0


class Server(NamedTuple):
    """One server: its commands know the folder that holds its data."""

    port: int
    command: Callable[[Path], Sequence[str]]
    before: Callable[[Path], list[list[str]]] = lambda _: []  # what makes its data
    after: Callable[[Path], list[list[str]]] = lambda _: []  # what is done once it listens
    user: str = ""  #: root cannot run it: who can


def _redis(data: Path) -> list[str]:
    quiet = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
    return ["redis-server", "--port", "6379", "--dir", str(data), *quiet]


def _memcached(data: Path) -> list[str]:
    return ["memcached", "-u", "root", "-l", "127.0.0.1,::1", "-p", "11211"]


def _mariadb_files(data: Path) -> list[list[str]]:
    plain = "--auth-root-authentication-method=normal"
    make = ["mariadb-install-db", "--no-defaults", f"--datadir={data}/db", "--user=root", plain]
    return [[*make, "--skip-test-db"]]


def _mariadb(data: Path) -> list[str]:
    files = [f"--datadir={data}/db", f"--socket={data}/socket", f"--pid-file={data}/pid"]
    text = ["--character-set-server=utf8mb4", "--local-infile=1"]
    return ["mariadbd", "--no-defaults", "--user=root", "--port=3306", *files, *text]


def _mariadb_databases(data: Path) -> list[list[str]]:
    client = ["mariadb", "--no-defaults", f"--socket={data}/socket", "--user=root"]
    return [[*client, "-e", f"create database {name}"] for name in ("test1", "test2")]


def _postgresql_bin(name: str) -> str:
    """Debian keeps them beside the path: /usr/lib/postgresql/15/bin/postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else name


def _postgresql_files(data: Path) -> list[list[str]]:
    (data / "password").write_text("pw")
    make = [_postgresql_bin("initdb"), "-D", f"{data}/db", "-U", "postgres", "--auth=md5"]
    return [[*make, f"--pwfile={data}/password", "--no-sync"]]


def _postgresql(data: Path) -> list[str]:
    return [_postgresql_bin("postgres"), "-D", f"{data}/db", "-k", str(data), "-p", "5432"]


def _websocket_echo(_: Path) -> list[str]:
    return ["python", "websocket/tests/echo-server.py"]  # the project's own


SERVERS = {
    "redis": Server(6379, _redis),
    "memcached": Server(11211, _memcached),
    "mariadb": Server(3306, _mariadb, _mariadb_files, _mariadb_databases),
    "websocket-echo": Server(8765, _websocket_echo),
    "postgresql": Server(5432, _postgresql, _postgresql_files, user="postgres"),
}


@contextlib.contextmanager
def running(name: str, data: Path, source: str) -> Iterator[None]:
    """Run a server with its *data* in that folder until the block is left."""
    server = SERVERS[name]
    data.mkdir()
    as_user = _as_user(server.user, data)
    with (data / "log").open("wb") as log:
        common: Any = {"stdout": log, "stderr": log, "cwd": source}
        for command in server.before(data):
            subprocess.run([*as_user, *command], check=True, **common)
        process = subprocess.Popen([*as_user, *server.command(data)], **common)
        try:
            _wait_for(name, server.port, process)
            for command in server.after(data):
                subprocess.run(command, check=True, **common)
            yield
        finally:
            _end(process)


def _as_user(user: str, data: Path) -> list[str]:
    """Return what lets a command run as *user*, to whom *data* is given."""
    if not user or os.getuid() != 0:
        return []
    shutil.chown(data, user)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]


def _wait_for(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{name} does not listen on port {port}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
