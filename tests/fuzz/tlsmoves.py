"""Moves with a TLS socket, and what only a peer over TLS can do."""

from __future__ import annotations

import ssl

from tests.fuzz.moves import far_does
from tests.fuzz.transfers import BUFFERS, count_got, flat, got, write_by


def read(scene, size, buffer):
    """read(), with a buffer or without."""
    if buffer == "bytes":
        return got(scene, scene.sock.read(size), size, 0)
    into = BUFFERS[buffer](bytes(size))
    return count_got(scene, scene.sock.read(size, into), flat(into), size, 0)


def write(scene, kind, size):
    data = BUFFERS[kind](scene.payload(size))
    return write_by(scene, data, lambda: scene.sock.write(data))


def pending(scene):
    return scene.sock.pending()


def unwrap(scene):
    """Say goodbye; the plan ends with that."""
    if scene.is_half_written:
        return "no"  # docs/proof.md, "What stays"
    same = scene.sock.unwrap()
    scene.is_over, scene.tls = True, False
    return same is scene.sock


def shake_again(scene):
    return scene.sock.do_handshake()


def facts(scene):
    sock = scene.sock
    certificate = sock.getpeercert(True)
    binding = sock.get_channel_binding()
    return (
        (sock.version(), sock.cipher(), sock.compression(), sock.selected_alpn_protocol()),
        (sock.server_side, sock.server_hostname, sock.session_reused, bool(certificate)),
        (type(sock.context).__name__, isinstance(sock, ssl.SSLSocket), bool(binding)),
    )


#: as in ``transfers``
MOVES = {
    "tls.read": (read, "size kind", "read"),
    "tls.write": (write, "kind size", "write"),
    "tls.pending": (pending, "", None),
    "tls.unwrap": (unwrap, "", "handshake"),
    "tls.shake_again": (shake_again, "", "handshake"),
    "tls.facts": (facts, "", None),
    "far.notify": (far_does("notify"), "", None),
    "far.send_half": (far_does("send_half"), "size", None),
    "far.send_rest": (far_does("send_rest"), "", None),
    "far.send_garbage": (far_does("send_garbage"), "", None),
}
