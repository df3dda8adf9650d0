"""Plans that have failed once, with what was wrong: they must agree for ever. Data, no code."""

from __future__ import annotations

from socket import MSG_OOB, MSG_PEEK, MSG_WAITALL, MsgFlag


def _plain(family, role, mode, *moves, small=False):
    """Return the plan of a plain socket."""
    return {
        "family": family,
        "role": role,
        "mode": mode,
        "small": small,
        "moves": [list(move) for move in moves],
    }


def _over_tls(family, role, mode, *moves, version="1.3", is_server=False, ragged=True):
    """Return the plan of a TLS socket."""
    tls = {"version": version, "is_server": is_server, "ragged": ragged}
    return {**_plain(family, role, mode, *moves), "tls": tls}


_WHOLE = MsgFlag(MSG_WAITALL)

#: what was wrong -> the plan
FAILED = {
    "a bad address had a second error behind it": _plain(
        "tcp4", "connected", None, ("connect", "wrong", "connect")
    ),
    "connect_ex spoke of connect": _plain(
        "tcp6", "fresh", None, ("connect", "path", "connect_ex"), ("connect", "short", "connect_ex")
    ),
    "MSG_WAITALL of nothing waited where messages stay apart": _plain(
        "udp4", "open", None, ("recv", 0, _WHOLE)
    ),
    "MSG_WAITALL of nothing did not wait where the kernel does": _plain(
        "tcp4", "connected", None, ("recvfrom", 0, _WHOLE)
    ),
    "a short count of a descriptor that does not block was made longer": _plain(
        "tcp4", "connected", None, ("nonblock", True), ("send", "bytes", 70_000, 0), small=True
    ),
    "MSG_OOB of a datagram waited for ever": _plain(
        "udp4", "connected", None, ("recv", 9, MsgFlag(MSG_OOB | MSG_PEEK))
    ),
    "a pair that was bound had limits": _plain(
        "pair", "paired", None, ("bind",), ("recv", 9, MsgFlag(0))
    ),
    "dup of a non-blocking socket that was closed had words added": _plain(
        "tcp4", "connected", 0, ("close",), ("dup",)
    ),
    "sendfile on a closed socket raised another class": _plain(
        "tcp4", "connected", "short", ("close",), ("sendfile", True, 100, 1, None)
    ),
    "sendfile of a stream waited before it saw that all was sent": _plain(
        "unix", "connected", None, ("sendfile", False, 1000, 50, 100_000), small=True
    ),
    "sendfile broke messages elsewhere": _plain(
        "seqpacket", "accepted", "short", ("sendfile", False, 70_000, 0, 100_000)
    ),
    "sendfile of a stream, installed, counted one block": _plain(
        "unix", "connected", None, ("sendfile", False, 300_000, 0, None)
    ),
    "sendfile of what does not block, or has SO_SNDTIMEO, waited for ever": _plain(
        "tcp4", "connected", None, ("nonblock", True), ("sendfile", False, 300_000, 0, None)
    ),
    "sendfile waited where there was room for what it had": _plain(
        "unix", "connected", None, ("send", "bytes", 70_000, 0), ("sendfile", False, 1, 0, None)
    ),
    "a datagram socket that was shut down waited": _plain(
        "udp6", "connected", None, ("shutdown", 0), ("recvmsg_into", "bytearray", [9], 100, 0)
    ),
    "do_handshake on a closed socket raised AttributeError": _over_tls(
        "tcp4", "connected", "short", ("close",), ("tls.shake_again",)
    ),
    "the mode of a closed TLS socket was not the one that was set": _over_tls(
        "tcp4", "connected", None, ("recv", 0, 0), ("close",), ("setblocking", False)
    ),
    "detach of a closed TLS socket left it non-blocking": _over_tls(
        "tcp4", "connected", None, ("recv", 0, 0), ("close",), ("detach",)
    ),
    "a reset during a look with MSG_WAITALL was an end of the stream": _plain(
        "tcp4",
        "connected",
        None,
        ("while", [["far.reset"]], ["recv", 1, MsgFlag(MSG_PEEK | MSG_WAITALL)]),
    ),
    "the model took a pair that has connected to a name for one without": _plain(
        "pairgram",
        "paired",
        None,
        ("connect", "listener", "connect"),
        ("connect", "listener", "connect"),
        ("recv", 1, 0),
    ),
    "the model raced sendfile for the moment in which an end is noticed": _plain(
        "tcp4", "connected", None, ("far.shutdown", 2), ("sendfile", False, 70_000, 0, None)
    ),
    "the model took a refusal for another end of sendfile": _plain(
        "tcp4",
        "fresh",
        0,
        ("detach",),
        ("connect", "nobody", "connect"),
        ("sendfile", True, 1, 0, None),
    ),
    "the model asked how far a send over TLS came, which the stdlib cannot tell": _over_tls(
        "tcp4", "connected", None, ("far.close",), ("send", "bytes", 70_000, 0), version="1.2"
    ),
    "the model said goodbye in the midst of a write": _over_tls(
        "pair",
        "paired",
        0,
        ("tls.write", "bytes", 300_000),
        ("settimeout", None),
        ("tls.unwrap",),
        version="1.2",
    ),
    "the model took the reset of an urgent byte for another end": _plain(
        "tcp4", "connected", None, ("far.send_urgent",), ("recv", 1, _WHOLE)
    ),
    "the model took a short count for all that a connection that ends has to tell": _plain(
        "tcp4",
        "connected",
        None,
        ("far.shutdown", 2),
        ("send", "bytes", 70_000, 0),
        ("send", "bytes", 9, 0),
        small=True,
    ),
    "the model took a short count of a stream without a buffer so, too": _plain(
        "tcp6",
        "accepted",
        None,
        ("far.shutdown", 2),
        ("file", "wb", 0),
        ("file.write", 70_000),
        ("file.close",),
        small=True,
    ),
    "the model raced a reader for the room that a second message needs": _plain(
        "seqpacket",
        "connected",
        None,
        ("while", [["far.send", 5000], ["far.send", 5000]], ["recv", 1, 0]),
        small=True,
    ),
    "the model took None for a buffer, which over TLS is none": _over_tls(
        "tcp4",
        "connected",
        None,
        ("far.send", 100),
        ("tls.read", 1, "nothing"),
        ("recv_into", "nothing", 9, 9, 0),
        ("recv", 1000, 0),
    ),
    "what is not bytes had a second error behind it": _over_tls(
        "tcp4", "connected", None, ("send", "nothing", 9, 0), ("tls.write", "str", 9)
    ),
}
