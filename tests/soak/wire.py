"""What both ends of a connection of the soak know: what is sent, and how a client asks for it.

A client begins with a wish: three numbers. The first is the place in one block of random bytes
at which its data begin, so that bytes that are lost, doubled, or somebody else's do not go
unseen; the data are compared by themselves or by their checksum.
"""

from __future__ import annotations

import hashlib
import random
import struct
from typing import NamedTuple

NAME = "server.test"
HOSTS = [f"127.0.0.{last}" for last in range(1, 9)]  # each has ephemeral ports of its own

_BLOCK = random.Random(7).randbytes(4 << 20)
_PLACES = 2 << 20  # and so no data are longer than that
_FORM = struct.Struct("!QII")
_REPORT = struct.Struct("!Q32s")


class Wish(NamedTuple):
    """What a client wants: *size* bytes of its own, and that something happens after *turn*."""

    number: int
    size: int = 0
    turn: int = 0

    @property
    def data(self) -> bytes:
        place = self.number % _PLACES
        return _BLOCK[place : place + self.size]

    def packed(self) -> bytes:
        return _FORM.pack(*self)


WISH_SIZE = _FORM.size
REPORT_SIZE = _REPORT.size


def unpacked(data: bytes) -> Wish:
    return Wish(*_FORM.unpack(data))


def checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def report(count: int, digest: bytes) -> bytes:
    """Return what a peer tells of the data that it has got."""
    return _REPORT.pack(count, digest)


def report_of(data: bytes) -> bytes:
    """Return what a peer tells that has got *data*."""
    return report(len(data), checksum(data))
