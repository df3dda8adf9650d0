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
import time
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
    """Yield two machines with a cable between them; the interface ``wire`` is its end on either.

    Their addresses are 10.77.0.1 and 10.77.0.2, fd77::1 and fd77::2. When one end is set down, the
    other has no carrier: both machines know at once.
    """
    with ExitStack() as stack:
        here, there = _made(stack), _made(stack)
        _plug(here, there, "wire", 0)
        here.hosts, there.hosts = (tuple(_hosts(0, last)) for last in (1, 2))
        yield here, there


@contextmanager
def road():
    """Yield two machines and the router between them: what breaks there, they are not told.

    Their addresses are 10.77.1.1 and 10.77.2.1; the router's interfaces are ``wire1`` and
    ``wire2``.
    """
    with ExitStack() as stack:
        here, router, there = (_made(stack) for _ in range(3))
        router.set("net/ipv4/ip_forward", 1)
        for number, made in enumerate((here, there), 1):
            _plug(made, router, f"wire{number}", number)
            made.hosts = tuple(_hosts(number, 1))
            made.ip(f"route add default via 10.77.{number}.2")
        yield here, router, there


def _plug(one, other, name, number):
    one.ip(f"link add {name} type veth peer name {name} netns {other.number()}")
    for last, made in enumerate((one, other), 1):
        ipv4, ipv6 = _hosts(number, last)
        made.ip(f"addr add {ipv4}/24 dev {name}")
        made.ip(f"addr add {ipv6}/64 dev {name} nodad")
        made.ip(f"link set {name} up")
    for made in (one, other):  # until then the first packets are lost, and come again after 1 s
        deadline = time.monotonic() + GUARD
        while "state UP" not in made.command("ip", "link", "show", name).stdout:
            assert time.monotonic() < deadline, f"{name} does not come up"


def _hosts(number, last):
    yield f"10.77.{number}.{last}"
    yield f"fd77::{last}" if not number else f"fd77:{number}::{last}"


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
