"""The worlds of the soak: which ``socket`` and ``ssl`` a program has, and whether it talks TLS."""

from __future__ import annotations

import socket
import ssl
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import NamedTuple

import safesocket
import safesocket.ssl as safe_ssl


class World(NamedTuple):
    """One world; *reference* names the one that has all that it has, but for safesocket."""

    socket: ModuleType
    ssl: ModuleType
    is_tls: bool
    is_safe: bool
    reference: str
    entered: type[AbstractContextManager[object]] = nullcontext


WORLDS = {
    "stdlib": World(socket, ssl, False, False, ""),
    "plain": World(safesocket, safe_ssl, False, True, "stdlib"),
    "install": World(socket, ssl, False, True, "stdlib", safesocket.installed),
    "stdlib-tls": World(socket, ssl, True, False, ""),
    "tls": World(safesocket, safe_ssl, True, True, "stdlib-tls"),
    "install-tls": World(socket, ssl, True, True, "stdlib-tls", safesocket.installed),
}
SAFE = [name for name, world in WORLDS.items() if world.is_safe]
