"""The network of one run: loopback, a black hole, and a name server that knows no name.

The run is in a network namespace and a mount namespace of its own when it comes here.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from pathlib import Path

#: No host there answers or refuses, as behind many firewalls: to time out against.
BLACK_HOLE = "10.0.0.0/8"

COMMANDS = (
    ("ip", "link", "set", "lo", "up"),
    ("ip", "route", "add", BLACK_HOLE, "dev", "lo"),
)
#: resolv.conf(5), nsswitch.conf(5): tests that need the internet do not have to wait for it.
FILES = {"resolv.conf": "nameserver 127.0.0.1\n", "nsswitch.conf": "hosts: files dns\n"}


def begin(folder: Path) -> None:
    """Make the network; *folder* holds what stands in for files of /etc."""
    for command in COMMANDS:
        subprocess.run(command, check=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", folder / name, Path("/etc", name)], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=_deny, args=[server], daemon=True).start()


def _deny(server: socket.socket) -> None:
    """Answer that there is no such name, NXDOMAIN: RFC 1035, section 4.1."""
    while True:
        query, client = server.recvfrom(512)
        question = query[12 : query.index(0, 12) + 5]
        server.sendto(query[:2] + struct.pack("!5H", 0x8183, 1, 0, 0, 0) + question, client)
