"""The many ways to move bytes through a socket, as tables; all of one kind do the same.

A reader returns at most so many bytes of a connection, a writer sends all that it is given.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from io import BytesIO
from socket import MSG_WAITALL
from tempfile import TemporaryFile


def recv_into(sock, count: int) -> bytes:
    buffer = bytearray(count)
    return bytes(buffer[: sock.recv_into(buffer)])


def recvfrom_into(sock, count: int) -> bytes:
    buffer = bytearray(count)
    return bytes(buffer[: sock.recvfrom_into(buffer)[0]])


def recvmsg_into(sock, count: int) -> bytes:
    first, second = bytearray(count // 2), bytearray(count - count // 2)
    got = sock.recvmsg_into([first, second])[0]
    return bytes((first + second)[:got])


READERS = {
    "recv": lambda sock, count: sock.recv(count),
    "recv_into": recv_into,
}
READERS_OF_TLS = {**READERS, "read": lambda sock, count: sock.read(count)}
READERS_OF_PLAIN = {
    **READERS,
    "recvfrom": lambda sock, count: sock.recvfrom(count)[0],
    "recvfrom_into": recvfrom_into,
    "recvmsg": lambda sock, count: sock.recvmsg(count)[0],
    "recvmsg_into": recvmsg_into,
    "recv-waitall": lambda sock, count: sock.recv(count, MSG_WAITALL),
}


def send(sock, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[sock.send(left) :]


def sendmsg(sock, data: bytes) -> None:
    left = memoryview(data)
    while left:
        middle = len(left) // 2
        left = left[sock.sendmsg([left[:middle], left[middle:]]) :]


def sendto(sock, data: bytes) -> None:
    left, address = memoryview(data), sock.getpeername()
    while left:
        left = left[sock.sendto(left, address) :]


def sendfile(sock, data: bytes) -> None:
    with TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        sock.sendfile(file)


def makefile(sock, data: bytes) -> None:
    file = sock.makefile("wb")
    try:
        file.write(data)
        file.flush()
    except OSError:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # or close() would try again, and wait
        with suppress(OSError):
            file.close()
        raise
    file.close()


WRITERS_OF_TLS = {
    "send": send,
    "sendall": lambda sock, data: sock.sendall(data),
    "sendfile": sendfile,
    "sendfile-stream": lambda sock, data: sock.sendfile(BytesIO(data)),
    "makefile": makefile,
}
WRITERS_OF_PLAIN = {**WRITERS_OF_TLS, "sendmsg": sendmsg, "sendto": sendto}


def read_exactly(reader, sock, count: int) -> bytes:
    """Return so many bytes, or fewer if the connection ends."""
    got = bytearray()
    while len(got) < count and (data := reader(sock, min(count - len(got), 65536))):
        got += data
    return bytes(got)


def read_all(reader, sock, at_once: int = 65536) -> bytes:
    return b"".join(iter(lambda: reader(sock, at_once), b""))
