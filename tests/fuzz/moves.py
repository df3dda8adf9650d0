"""What can be done with a socket and by its peer, as a table of moves.

A move is a function of the scene; its other arguments are those of the plan, whose sorts stand
beside it in the table: ``plans`` knows what each sort may be.
"""

from __future__ import annotations

import array
import ctypes
import io
import mmap
import os
import re
import socket as stdlib
import struct
import tempfile
from contextlib import suppress
from fcntl import F_GETFL, F_SETFL, fcntl
from socket import MSG_OOB, MSG_PEEK, MSG_TRUNC, SOCK_STREAM, SOL_SOCKET

from tests.fuzz.outcomes import amount, digest, plain_names, shown

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


def got(scene, data, asked, flags, whole=None):
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
        else:
            taken = 0
        raise
    finally:
        scene.offered.append((data, taken))
    return amount(taken, len(data))


def _sent(scene, data, result):
    if result not in (None, "some") and result != len(data):
        scene.fuzzy = True
    return result


def _send_by(scene, data, call):
    result = sending(scene, data, call)
    if result == "some" or (result == 0 and flat(data)):
        scene.fuzzy = True
    return result


def send(scene, kind, size, flags):
    data = BUFFERS[kind](scene.payload(size))
    return _send_by(scene, data, lambda: scene.sock.send(data, flags))


def sendall(scene, kind, size, flags):
    data = BUFFERS[kind](scene.payload(size))

    def call():
        if scene.sock.sendall(data, flags) is not None:
            raise AssertionError("sendall returned something")
        return len(flat(data))

    return _send_by(scene, data, call)


def sendto(scene, kind, size, flags, has_address):
    data = BUFFERS[kind](scene.payload(size))
    address = ()
    if has_address and scene.far and scene.far.is_open():
        address = (scene.far.raw.getsockname(),)
    arguments = (flags, *address) if flags else address
    return _send_by(scene, data, lambda: scene.sock.sendto(data, *arguments))


def sendmsg(scene, kind, sizes, flags):
    parts = [BUFFERS[kind](scene.payload(size)) for size in sizes]
    data = b"".join(map(flat, parts))
    return _send_by(scene, data, lambda: scene.sock.sendmsg(iter(parts), (), flags))


def sendfile(scene, is_real, size, offset, count):
    if scene.fd() >= 0 and scene.sock.getsockopt(SOL_SOCKET, stdlib.SO_ACCEPTCONN):
        return "no"  # it is never ready to write, and never would be
    if scene.sock.gettimeout() and size > 5000:
        return "no"  # the stdlib waits between blocks of 8 kB, where larger ones are taken at once
    data = scene.payload(size)
    part = data[offset:][:count]
    with tempfile.TemporaryFile() if is_real else io.BytesIO() as file:
        file.write(data)
        file.seek(0)
        sent = _send_by(scene, part, lambda: scene.sock.sendfile(file, offset, count))
        return sent, amount(file.tell(), len(data))


# Everything else.


def settimeout(scene, mode):
    scene.sock.settimeout(scene.seconds(mode))
    _mark(scene)
    _limit_lowat(scene)


def setblocking(scene, flag):
    scene.sock.setblocking(flag)
    _mark(scene)
    _limit_lowat(scene)


def _mark(scene):
    scene.forever = scene.sock.gettimeout() is None and not scene.world.is_installed


def nonblock(scene, flag):
    """Set or clear O_NONBLOCK behind Python's back."""
    if scene.sock.gettimeout() is not None:
        return "no"  # a mode of Python's that is taken back so is nobody's
    fd = scene.fd()
    flags = fcntl(fd, F_GETFL)
    fcntl(fd, F_SETFL, flags | os.O_NONBLOCK if flag else flags & ~os.O_NONBLOCK)


def kernel_timeout(scene, option, mode):
    seconds = scene.seconds(mode) or 0
    value = struct.pack("ll", 0, int(seconds * 1e6))
    scene.sock.setsockopt(SOL_SOCKET, getattr(stdlib, option), value)


def lowat(scene, size):
    scene.sock.setsockopt(SOL_SOCKET, stdlib.SO_RCVLOWAT, size)
    _limit_lowat(scene)


def _limit_lowat(scene):
    """Let SO_RCVLOWAT be 1 in blocking mode: without MSG_DONTWAIT only, the kernel heeds it."""
    if scene.fd() >= 0 and scene.sock.gettimeout() is None:
        scene.sock.setsockopt(SOL_SOCKET, stdlib.SO_RCVLOWAT, 1)


def option(scene, name):
    return scene.sock.getsockopt(SOL_SOCKET, getattr(stdlib, name))


def dup(scene):
    """Go on with a duplicate; the original is closed."""
    with scene.sock:
        scene.adopt(scene.sock.dup(), keeps_role=True)
    return shown(scene.sock, scene)


def detach(scene):
    """Go on with another object on the same descriptor."""
    fd = scene.sock.detach()
    _leave_tls(scene)
    scene.adopt(scene.world.socket.socket(fileno=fd))
    return shown(scene.sock, scene), type(scene.sock) is scene.world.socket.socket


def fromfd(scene):
    if scene.fd() < 0:
        return "no"  # it knows no mode, and so not whether its error may say more
    with scene.sock as sock:
        make = scene.world.socket.fromfd
        scene.adopt(make(scene.fd(), sock.family, sock.type, sock.proto))
    _leave_tls(scene)
    return shown(scene.sock, scene)


def _leave_tls(scene):
    """End the plan of a TLS socket whose descriptor goes on without TLS."""
    scene.is_over = scene.is_over or scene.tls
    scene.tls = False


def drop(scene):
    """Forget the socket without closing it: a ResourceWarning, and the peer sees the end."""
    stand_in = scene.world.socket.socket(scene.family, scene.kind)
    stand_in.close()
    scene.files.clear()
    scene.adopt(stand_in)
    _leave_tls(scene)


def close(scene):
    return scene.sock.close()


def leave(scene):
    """Leave a block: with."""
    with scene.sock as same:
        return same is scene.sock


def shutdown(scene, how):
    return scene.sock.shutdown(how)


def names(scene):
    return scene.shown(scene.sock.getsockname())


def peer_name(scene):
    return scene.shown(scene.sock.getpeername())


def inheritable(scene, flag):
    return scene.sock.set_inheritable(flag), scene.sock.get_inheritable()


def words(scene):
    """Return what repr() says, without what is different each time."""
    return re.sub(r"\d{3,}|fd=\d+", "N", plain_names(repr(scene.sock)))


def connect(scene, where, how):
    """Connect; the listener's side of it becomes the peer."""
    result = getattr(scene.sock, how)(_place(scene, where))
    if not result:
        scene.role = "connected"
    if where == "listener" and scene.far is None:
        scene.take_client()
    return result


def _place(scene, where):
    if where == "listener":
        return scene.listening()
    if where == "nobody":
        address = scene.free_address()
        return (address[0], 1) if isinstance(address, tuple) else address
    return {"wrong": 5, "short": ("127.0.0.1",), "path": "/nowhere/at/all"}[where]


def bind(scene):
    scene.bind(scene.free_address())


def listen(scene, backlog):
    return scene.sock.listen(backlog)


def client_comes(scene):
    """Let somebody connect to the socket under test, which listens."""
    if scene.far is not None:
        return "no"
    from tests.fuzz.far import Far, plain

    far = plain(scene.family, scene.kind)
    far.setblocking(False)
    scene.far = Far(far, scene)
    return far.connect_ex(scene.sock.getsockname())


def accept(scene):
    """Go on with the connection that was accepted; the listener is closed."""
    sock, address = scene.sock.accept()
    with scene.sock:
        scene.adopt(sock)
    scene.role = "accepted"
    return shown(sock, scene), scene.shown(address), scene.sock.get_inheritable()


# The peer.


def _far(name, *arguments):
    def move(scene, *more):
        if scene.far is None:
            return "nobody"
        return getattr(scene.far, name)(*arguments, *more)

    return move


def far_take(scene, size):
    if scene.far is None:
        return "nobody"
    return _seen(scene, *scene.far.take(size))


def far_drain(scene):
    if scene.far is None:
        return "nobody"
    return _seen(scene, *scene.far.drain())


def _seen(scene, count, how):
    return ("some" if scene.fuzzy and count else count), how


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
    "sendfile": (sendfile, "flag size offset count", "write"),
    "settimeout": (settimeout, "mode", None),
    "setblocking": (setblocking, "flag", None),
    "nonblock": (nonblock, "flag", None),
    "kernel_timeout": (kernel_timeout, "timeo mode_of_kernel", None),
    "lowat": (lowat, "low", None),
    "option": (option, "option", None),
    "dup": (dup, "", None),
    "detach": (detach, "", None),
    "fromfd": (fromfd, "", None),
    "drop": (drop, "", None),
    "close": (close, "", None),
    "leave": (leave, "", None),
    "shutdown": (shutdown, "how", None),
    "names": (names, "", None),
    "peer_name": (peer_name, "", None),
    "inheritable": (inheritable, "flag", None),
    "words": (words, "", None),
    "connect": (connect, "where connecting", "connect"),
    "bind": (bind, "", None),
    "listen": (listen, "backlog", None),
    "client_comes": (client_comes, "", None),
    "accept": (accept, "", "accept"),
    "far.send": (_far("send"), "size", None),
    "far.send_urgent": (_far("send_urgent"), "", None),
    "far.take": (far_take, "size", None),
    "far.drain": (far_drain, "", None),
    "far.shutdown": (_far("shutdown"), "how", None),
    "far.close": (_far("close"), "", None),
    "far.reset": (_far("reset"), "", None),
}
