"""Moves that read and write, by every method and with every sort of buffer.

A move is a function of the scene; its other arguments are those of the plan, whose sorts stand
beside it in the table: ``plans`` knows what each sort may be.
"""

from __future__ import annotations

import array
import ctypes
import io
import mmap
import socket as stdlib
import tempfile
from contextlib import suppress
from socket import MSG_OOB, MSG_PEEK, MSG_TRUNC, SOCK_STREAM, SOL_SOCKET

from tests.fuzz import model
from tests.fuzz.outcomes import amount, digest

# Buffers.


def _ctypes(data):
    return (ctypes.c_char * len(data)).from_buffer(bytearray(data)) if data else bytearray()


def _numbers(data):
    return array.array("H", data[: len(data) // 2 * 2])


def _mapped(data):
    if not data:
        return bytearray()
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


#: how the bytes of a plan become what the program passes
BUFFERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": lambda data: memoryview(bytearray(data)),
    "readonly": lambda data: memoryview(bytes(data)),
    "array": _numbers,
    "ctypes": _ctypes,
    "mmap": _mapped,
    "table": lambda data: (
        memoryview(bytearray(data[: len(data) // 4 * 4])).cast("B", (len(data) // 4, 4))
        if len(data) >= 4
        else b""
    ),
    "holes": lambda data: memoryview(bytearray(data))[::2],
    "str": lambda data: "x" * min(len(data), 9),
    "nothing": lambda data: None,
}


def flat(data):
    """Return *data* as bytes, b"" for what is none."""
    with suppress(TypeError):
        return memoryview(data).tobytes()
    return b""


# Reading.


def got(scene, data, asked, flags):
    """Return *data*, read with *flags*, as they are compared, and keep them."""
    if flags & (MSG_TRUNC | MSG_OOB):
        return len(data) if not flags & MSG_OOB else digest(data)
    if not flags & MSG_PEEK:
        scene.received += data
    if scene.fuzzy and scene.kind == SOCK_STREAM:
        return amount(len(data), asked)
    return digest(data)


def recv(scene, size, flags):
    return got(scene, scene.sock.recv(size, flags), size, flags)


def recvfrom(scene, size, flags):
    data, address = scene.sock.recvfrom(size, flags)
    return got(scene, data, size, flags), scene.shown(address)


def recvmsg(scene, size, room, flags):
    data, ancillary, shown_flags, address = scene.sock.recvmsg(size, room, flags)
    return got(scene, data, size, flags), len(ancillary), shown_flags, scene.shown(address)


def recv_into(scene, kind, size, asked, flags):
    buffer = BUFFERS[kind](bytes(size))
    count = scene.sock.recv_into(buffer, asked, flags)
    return count_got(scene, count, flat(buffer), asked or size, flags)


def recvfrom_into(scene, kind, size, asked, flags):
    buffer = BUFFERS[kind](bytes(size))
    count, address = scene.sock.recvfrom_into(buffer, asked, flags)
    return count_got(scene, count, flat(buffer), asked or size, flags), scene.shown(address)


def recvmsg_into(scene, kind, sizes, room, flags):
    buffers = [BUFFERS[kind](bytes(size)) for size in sizes]
    result = scene.sock.recvmsg_into(iter(buffers), room, flags)
    count, ancillary, shown_flags, address = result
    data = b"".join(map(flat, buffers))
    seen = count_got(scene, count, data, sum(sizes), flags)
    return seen, len(ancillary), shown_flags, scene.shown(address)


def count_got(scene, count, data, asked, flags):
    """Return what is seen of *count* bytes read into a buffer, which is *data* now."""
    if isinstance(count, bytes):  # over TLS None is no buffer: the bytes are returned
        return got(scene, count, asked, flags)
    if count > len(data):  # MSG_TRUNC
        return count
    return got(scene, data[:count], asked, flags), not any(data[count:])


# Writing.


def sending(scene, data, call):
    """Return what *call*, which sends *data*, returns; keep how many bytes were taken."""
    data, taken = flat(data), None
    try:
        taken = call()
    except BaseException as exc:
        taken = getattr(exc, "bytes_sent", None)
        if not isinstance(exc, (TypeError, BufferError, ValueError)):
            scene.fuzzy = scene.fuzzy or scene.kind == SOCK_STREAM
            scene.is_half_written = scene.is_half_written or scene.tls
        else:
            taken = 0
        raise
    finally:
        scene.offered.append((data, taken))
    return amount(taken, len(data))


def write_by(scene, data, call):
    """Return what is seen of *call*, which sends *data*."""
    result = sending(scene, data, call)
    if result == "some" or (result == 0 and flat(data)):
        scene.fuzzy = True
    return result


def send_by(scene, data, flags, call):
    """Return what is seen of *call*, which sends *data* and returns a count."""
    return write_by(scene, data, lambda: to_the_end(scene, flat(data), flags, call))


def to_the_end(scene, data, flags, call):
    """Return what *call* takes of *data*; raise where the connection has ended half-way.

    There a blocking send of the stdlib's returns how far it came, and the next call raises.
    safesocket's raises at once and has that count in ``bytes_sent``. So the stdlib makes the next
    call here, of nothing, and the record has the error with the count: both must be the same.
    """
    is_whole = model.takes_all(scene, flags)
    taken = 0
    try:
        taken = call()
        if is_whole and taken and taken < len(data) and not scene.world.is_safe:
            scene.sock.send(b"")
        return taken
    except OSError as exc:
        if is_whole:
            exc.half_way = taken or getattr(exc, "bytes_sent", None) or None
        raise


def send(scene, kind, size, flags):
    data = BUFFERS[kind](scene.payload(size))
    return send_by(scene, data, flags, lambda: scene.sock.send(data, flags))


def sendall(scene, kind, size, flags):
    data = BUFFERS[kind](scene.payload(size))

    def call():
        if scene.sock.sendall(data, flags) is not None:
            raise AssertionError("sendall returned something")
        return len(flat(data))

    return write_by(scene, data, call)


def sendto(scene, kind, size, flags, has_address):
    data = BUFFERS[kind](scene.payload(size))
    address = ()
    if has_address and scene.far and scene.far.is_open():
        address = (scene.far.raw.getsockname(),)
    arguments = (flags, *address) if flags else address
    return send_by(scene, data, flags, lambda: scene.sock.sendto(data, *arguments))


def sendmsg(scene, kind, sizes, flags):
    parts = [BUFFERS[kind](scene.payload(size)) for size in sizes]
    data = b"".join(map(flat, parts))
    return send_by(scene, data, flags, lambda: scene.sock.sendmsg(iter(parts), (), flags))


def sendfile(scene, is_real, size, offset, count):
    if scene.fd() >= 0 and scene.sock.getsockopt(SOL_SOCKET, stdlib.SO_ACCEPTCONN):
        return "no"  # it is never ready to write, and never would be
    if scene.plan.get("small") or (scene.sock.gettimeout() and size > 5000):
        return "no"  # the stdlib waits between blocks of 8 kB, where larger ones are taken at once
    if scene.fuzzy and scene.is_tcp and size > 5000:
        return "no"  # whether an end is noticed between those blocks is the kernel's whim
    data = scene.payload(size)
    part = data[offset:][:count]
    with tempfile.TemporaryFile() if is_real else io.BytesIO() as file:
        file.write(data)
        file.seek(0)
        try:
            sent = write_by(scene, part, lambda: scene.sock.sendfile(file, offset, count))
        except (ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
            scene.is_over = scene.is_over or scene.tls
            return "gone"  # the stdlib tries twice, and tells of the second time
        return sent, amount(file.tell(), len(data))


#: name -> the function, the sorts of its arguments, what it waits for
MOVES = {
    "recv": (recv, "asked rflags", "read"),
    "recvfrom": (recvfrom, "asked rflags", "read"),
    "recvmsg": (recvmsg, "asked room rflags", "read"),
    "recv_into": (recv_into, "kind size asked rflags", "read"),
    "recvfrom_into": (recvfrom_into, "kind size asked rflags", "read"),
    "recvmsg_into": (recvmsg_into, "kind sizes room rflags", "read"),
    "send": (send, "kind size wflags", "write"),
    "sendall": (sendall, "kind size wflags", "write"),
    "sendto": (sendto, "kind size wflags flag", "write"),
    "sendmsg": (sendmsg, "kind sizes wflags", "write"),
    "sendfile": (sendfile, "flag size offset count", "sendfile"),
}
