"""Tests that hang on this machine with any socket module: a table of probes, nothing else.

CPython skips what a system does not have. This is for what it has and what does not work: there
a test waits until the watchdog ends the run, whatever stands in for socket. Such a test is
skipped in both runs, for a reason that the report counts.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Callable
from functools import cache

PATIENCE = 2.0  # seconds; a connection within one machine takes less than a millisecond


@cache
def vsock_reaches_itself() -> bool:
    """Tell whether this guest can connect to its own context id: not every hypervisor lets it."""
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
            listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            listener.listen()
            with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
                client.settimeout(PATIENCE)
                client.connect((_own_cid(), listener.getsockname()[1]))
    except OSError:
        return False
    return True


def _own_cid() -> int:
    with open("/dev/vsock", "rb") as device:
        answer = fcntl.ioctl(device, socket.IOCTL_VM_SOCKETS_GET_LOCAL_CID, "    ")
    return int(struct.unpack("I", answer)[0])


#: start of a test's id -> what it needs, and the words for its not being there
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "test.test_socket.ThreadedVSOCKSocketStreamTest.": (
        vsock_reaches_itself,
        "VSOCK does not connect this machine to itself",
    ),
}


def unfit(suite: str) -> dict[str, str]:
    """Return what this machine cannot run of *suite*: start of an id -> the reason."""
    return {
        start: why
        for start, (works, why) in NEEDS.items()
        if start.startswith(f"test.{suite}.") and not works()
    }
