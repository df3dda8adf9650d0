"""Networks of a test's own, in this process: two machines with a cable between them.

A thread may be in another network namespace than its process (setns(2)), and a socket stays in the
one that it was made in, whatever thread uses it. So a machine is a thread: what it makes is there,
and the test uses it here. Nothing has a name, and nothing is left behind.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.helpers import GUARD

_CLONE_NEWNET = 0x40000000  # <linux/sched.h>


class Machine:
    """A network namespace: its loopback is up; of a pair, ``hosts`` are its addresses."""

    def __init__(self):
        self._thread = ThreadPoolExecutor(1, "machine")
        self.hosts = ()

    def __enter__(self):
        try:
            self.run(_leave_the_network)
            self.ip("link set lo up")
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    def __exit__(self, *exc_info):
        self._thread.shutdown()

    def run(self, call, *args, **options):
        """Return what *call* returns, made on this machine: sockets and processes stay there."""
        return self._thread.submit(call, *args, **options).result(GUARD)

    def command(self, *args, **options):
        """Run a command there, as ``subprocess.run`` does; return the finished process."""
        plain = {"capture_output": True, "text": True, "timeout": GUARD, "check": False}
        return self.run(subprocess.run, args, **{**plain, **options})

    def ip(self, arguments):
        """Run ip(8) there; an OSError if it complains."""
        done = self.command("ip", *arguments.split())
        if done.returncode:
            raise OSError(f"ip {arguments}: {done.stderr.strip() or 'refused'}")

    def set(self, name, value):
        """Set a sysctl of that network, such as ``net/ipv4/ip_local_port_range``."""

        def write():
            with open(f"/proc/sys/{name}", "w") as file:
                file.write(str(value))

        self.run(write)

    def number(self):
        """Return the number by which ip(8) finds this network."""
        return self.run(threading.get_native_id)


@contextmanager
def machine():
    """Yield a machine that has nothing but loopback."""
    with ExitStack() as stack:
        yield _made(stack)


@contextmanager
def cable():
    """Yield two machines with a cable between them: ``link set wire down`` pulls it out.

    Their addresses are 10.77.0.1 and 10.77.0.2, fd77::1 and fd77::2.
    """
    with ExitStack() as stack:
        here, there = _made(stack), _made(stack)
        here.ip(f"link add wire type veth peer name wire netns {there.number()}")
        for last, made in enumerate((here, there), 1):
            made.hosts = f"10.77.0.{last}", f"fd77::{last}"
            made.ip(f"addr add {made.hosts[0]}/24 dev wire")
            made.ip(f"addr add {made.hosts[1]}/64 dev wire nodad")
            made.ip("link set wire up")
        yield here, there


def _made(stack):
    """Return a machine that lasts as long as *stack*; skip the test where there cannot be one."""
    if sys.platform != "linux":
        pytest.skip("network namespaces are Linux's")
    if not shutil.which("ip"):
        pytest.skip("no ip(8) on this machine")
    try:
        return stack.enter_context(Machine())
    except OSError as exc:
        pytest.skip(f"no network of our own: {exc}")


def _leave_the_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
