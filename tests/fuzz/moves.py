"""Moves that neither read nor write, and those of the peer; tables as in ``transfers``."""

from __future__ import annotations

import os
import re
import socket as stdlib
import struct
from fcntl import F_GETFL, F_SETFL, fcntl
from socket import SOL_SOCKET

from tests.fuzz.far import Far, plain
from tests.fuzz.outcomes import plain_names, shown


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
    if scene.fd() < 0 or scene.tls or scene.files:
        return (
            "no"  # closed, no mode is known; over TLS it is safesocket's; a file keeps its limits
        )
    with scene.sock as sock:
        make = scene.world.socket.fromfd
        scene.adopt(make(scene.fd(), sock.family, sock.type, sock.proto))
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
    scene.in_order = scene.in_order and not scene.tls  # what comes then are records
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
        scene.role, scene.is_named = "connected", True
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


def far_does(name, *arguments):
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


#: as in ``transfers``
MOVES = {
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
    "far.send": (far_does("send"), "size", None),
    "far.send_urgent": (far_does("send_urgent"), "", None),
    "far.take": (far_take, "size", None),
    "far.drain": (far_drain, "", None),
    "far.shutdown": (far_does("shutdown"), "how", None),
    "far.close": (far_does("close"), "", None),
    "far.reset": (far_does("reset"), "", None),
}
