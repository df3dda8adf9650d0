"""The peer: a socket of C's own class, which install() does not touch, and never waits long.

It does at once what it is told. What it has sent and what it has got is kept, for the bytes of
both directions to be checked.
"""

from __future__ import annotations

import _socket
import fcntl
import select
import struct
import time
from contextlib import suppress
from socket import MSG_OOB, SO_LINGER, SOCK_STREAM, SOL_SOCKET

_UNSENT = 0x894B  # SIOCOUTQNSD: bytes that have not been on the wire yet
_LONG = 0.4  # seconds that the peer waits for what must come
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def ready(fd, events, seconds):
    """Wait until *fd* is ready for *events*; tell whether it is."""
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(seconds * 1000))


def unsent(fd):
    """Return how many bytes of a TCP socket wait for the peer to take more."""
    with suppress(OSError):
        return struct.unpack("i", fcntl.ioctl(fd, _UNSENT, b"\0" * 4))[0]
    return 0


class Far:
    """The peer over a plain socket."""

    def __init__(self, raw, scene):
        raw.setblocking(False)
        self.raw = raw
        self._scene = scene
        self._streams = raw.type == SOCK_STREAM
        self.sent = bytearray()
        self.got = bytearray()
        self.messages = []

    def send(self, size):
        """Send so many bytes, as far as there is room; tell whether it was all."""
        data = self._scene.far_payload(size)
        taken = 0
        with suppress(BlockingIOError):
            while True:
                taken += self._put(data[taken:])
                if taken >= size or not self._streams:
                    break
        self.sent += data[:taken]
        if taken < size:
            self._scene.fuzzy = True
        return taken == size or "some"

    def _put(self, data):
        address = self._scene.address_for_far()
        return self.raw.send(data) if address is None else self.raw.sendto(data, address)

    def send_urgent(self):
        """Send one byte out of band."""
        self._scene.in_order = False
        return self.raw.send(b"!", MSG_OOB)

    def take(self, size, until=None):
        """Read so many bytes, or all that comes; with *until*, an event, what comes up to then."""
        left, end, how = size, time.monotonic() + _LONG, ""
        while left > 0 and time.monotonic() < end:
            more = self._more_to_come(until)
            try:
                left -= self._get(min(left, 1 << 20))
            except BlockingIOError:
                if not more:
                    break
                ready(self.raw.fileno(), select.POLLIN, 0.001)
            except EOFError:
                how = "end"
                break
            except OSError as exc:
                how = exc.errno
                break
        return (size - left if self._streams else "", how)

    def _get(self, size):
        data = self.raw.recv(size)
        if self._streams and not data:
            raise EOFError
        self.got += data
        self.messages.append(data)
        if not data and self.raw.type != SOCK_STREAM and self._has_ended():
            raise EOFError
        return len(data) or 1

    def _has_ended(self):
        return ready(self.raw.fileno(), _GONE, 0)

    def _more_to_come(self, until):
        if until is not None and not until.is_set():
            return True
        fd = self._scene.fd()
        return fd >= 0 and self._scene.is_tcp and unsent(fd) > 0

    def drain(self):
        """Read all that has come, or will; of a closed socket up to the end."""
        return self.take(1 << 30, _NEVER if self._scene.has_left() else None)

    def shutdown(self, how):
        """Shut down a half."""
        if self._streams and how != 1:
            self._scene.fuzzy = True  # what is on its way still is the kernel's whim
        self.raw.shutdown(how)
        self._await_effect(how != 0)

    def close(self):
        """Go; what was not read makes it a reset."""
        self.raw.close()
        self._await_effect(True)

    def reset(self):
        """Go with a reset."""
        with suppress(OSError):
            self.raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _await_effect(self, is_seen):
        fd = self._scene.fd()
        if is_seen and fd >= 0 and self._scene.is_tcp:
            ready(fd, _GONE, 0.002)

    def is_open(self):
        return self.raw.fileno() >= 0


class _Never:
    def is_set(self):
        return False


_NEVER = _Never()


def plain(family, kind):
    """Return a new socket of C's own class."""
    return _socket.socket(family, kind)
