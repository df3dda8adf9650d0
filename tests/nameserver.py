"""Run a script in a network of its own, whose name server is as bad as a test wants it to be."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from textwrap import dedent

from tests.helpers import CHECKOUT, GUARD, ROOT

#: One server, asked once, for longer than any test lasts: what waits for it waits for ever.
RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"
FILES = {"resolv.conf": RESOLV_CONF, "nsswitch.conf": "hosts: files dns\n"}

#: What scripts begin with. The server: names that begin with "fail" are SERVFAIL, those with "late"
#: too, but once answer_late() is called, so is the name of 10.0.0.9, names that begin with "there"
#: have one address, those with "gone" and the name of 10.0.0.8 do not exist; all else is not
#: answered. RFC 1035, section 4.1.
SERVER = '''
import json, os, socket as plain, struct, sys, threading, time
import safesocket as socket
from safesocket import _lookups, errors

server = plain.socket(plain.AF_INET, plain.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
queries, waiting, late = [], [], False


def answered(query, client, found=False, code=2):
    question = query[12:query.index(0, 12) + 5]
    answer = b""
    if found and question[-3] == 1:  # A
        answer = b"\\xc0\\x0c" + question[-4:] + struct.pack("!IH", 60, 4) + bytes([127, 0, 0, 9])
    head = query[:2] + bytes([0x81, 0x80 + (0 if found else code)])
    counts = struct.pack("!4H", 1, bool(answer), 0, 0)
    server.sendto(head + counts + question + answer, client)


def serve():
    while True:
        query, client = server.recvfrom(512)
        queries.append(query)
        if query[13:].startswith(b"late") and not late:
            waiting.append((query, client))
        elif query[13:].startswith((b"late", b"fail", b"9")):
            answered(query, client)
        elif query[13:].startswith((b"gone", b"8")):
            answered(query, client, code=3)
        elif query[13:].startswith(b"there"):
            answered(query, client, found=True)


def answer_late():
    global late
    late = True
    while waiting:
        answered(*waiting.pop())


def tasks():
    """How many threads of this process the kernel knows, but for the two that are ours."""
    return len(os.listdir("/proc/self/task")) - 2


threading.Thread(target=serve, daemon=True).start()
'''


def ip(*arguments):
    """Run ip(8); return the finished process."""
    command = ["ip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=GUARD, check=False)


@contextmanager
def network():
    """Yield the name of a network namespace that has loopback only, and its own resolv.conf."""
    name = f"safesocket-{os.getpid()}-{secrets.token_hex(3)}"
    folder = Path("/etc/netns", name)
    shared = folder.parent.exists()
    try:
        folder.mkdir(parents=True)
        for file, text in FILES.items():
            (folder / file).write_text(text)
        for command in (["netns", "add", name], ["-n", name, "link", "set", "lo", "up"]):
            done = ip(*command)
            if done.returncode:
                raise OSError(done.stderr.strip() or "refused")
        yield name
    finally:
        ip("netns", "delete", name)
        shutil.rmtree(folder, ignore_errors=True)
        if not shared:
            with suppress(OSError):  # somebody else has made one meanwhile
                folder.parent.rmdir()


@cache
def trouble_with_networks():
    """Why this machine does not let us have a network with a name server; empty if it does."""
    if not shutil.which("ip"):
        return "no ip(8) on this machine"
    try:
        with network() as name:
            run_in(name, "")
    except (OSError, AssertionError) as exc:
        return str(exc) or "refused"
    return ""


def run_in(name, script, *options):
    """Run *script* behind SERVER in the network; return the finished process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SAFESOCKET_")}
    process = subprocess.Popen(
        ["ip", "netns", "exec", name, sys.executable, *options, "-c", SERVER + dedent(script)],
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": str(CHECKOUT)},  # a script may need what is in tests
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, complaints = process.communicate(timeout=GUARD)
    finally:
        with suppress(ProcessLookupError):  # it has ended, and so have its children
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, output, complaints)
