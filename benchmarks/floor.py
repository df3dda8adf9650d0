"""The least that a drop-in written in Python can cost: a class that only passes calls on.

Nothing is limited, waited for or translated here. What this class costs more than the stdlib's is
the price of one Python function around C's method, which no library written in Python can go below;
what safesocket costs more than this class is safesocket's own.
"""

from __future__ import annotations

import _socket
import socket as stdlib

_recv, _send = _socket.socket.recv, _socket.socket.send
_DONTWAIT = _socket.MSG_DONTWAIT


class socket(stdlib.socket):
    """A socket whose reads and writes are C's, called from Python."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        try:
            return _recv(self, bufsize, flags | _DONTWAIT)
        except BlockingIOError:
            return _recv(self, bufsize, flags)

    def send(self, data: bytes, flags: int = 0, /) -> int:
        return _send(self, data, flags | _DONTWAIT)
