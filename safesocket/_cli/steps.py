"""What a probe asks, and in which order: look up, connect to each address, TLS, listen.

The answers go into ``Findings`` as they come, so that what is known is there whenever it ends. What
they mean is ``verdict``'s, how they are shown ``report``'s. Nothing is sent but what connecting
and TLS send.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NamedTuple

from safesocket.errors import (
    AddressNotAvailableError,
    SafeSocketError,
    SocketTimeoutError,
    TLSError,
    UnreachableError,
)

from .._addresses import NAMES, in_order, only
from .._deadline import deadline
from .._resolve import getaddrinfo
from .._sockets import socket as Socket
from .._timeouts import limit, timeouts
from .._wording import clean, place
from . import handshake
from .certificate import listed
from .findings import Connection, Findings, FirstByte, Lookup, escaped
from .progress import waiting
from .target import UNIX, Target

now = time.monotonic

_MOST = 256  # bytes of what a peer says first
_RTT = 68  # where tcpi_rtt is in struct tcp_info; linux/tcp.h


class Wishes(NamedTuple):
    """What is asked for; times in seconds, ``math.inf`` for no limit."""

    deadline: float
    timeout: float | None  # of each step; None: what is in force
    first_byte: float
    server_name: str
    context: ssl.SSLContext | None  # None: no TLS


def take(findings: Findings, target: Target, wishes: Wishes) -> None:
    """Put into *findings* what can be known of *target*, within the limits of *wishes*."""
    with deadline(wishes.deadline), _limits(wishes.timeout), ExitStack() as stack:
        sockets = []
        for family, address in _addresses(findings, target):
            connection = Connection(place(address), NAMES.get(family, "AF_UNIX"))
            sock: Any = _connect(connection, family, address)
            findings.connections.append(connection)
            if sock is not None and wishes.context is not None:
                connection.tls, sock = handshake.shake_hands(sock, family, address, wishes)
            if sock is not None:
                sockets.append((connection, stack.enter_context(sock)))
        _listen(sockets, wishes.first_byte)


def _limits(seconds: float | None) -> AbstractContextManager[None]:
    if seconds is None:
        return nullcontext()
    return timeouts(resolve=seconds, connect=seconds, handshake=seconds)


# Look up and connect.


def _addresses(findings: Findings, target: Target) -> Iterator[tuple[int, Any]]:
    """Yield family and address of each address that *target* has, in the order to try them."""
    if target.is_path and UNIX is not None:
        yield UNIX, target.host
        return
    began = now()
    try:
        with waiting(f"look up {clean(target.host)}", limit("resolve").seconds):
            found = getaddrinfo(target.host, target.port, only(), socket.SOCK_STREAM)
    except SafeSocketError as exc:
        findings.look_up = Lookup(now() - began, error=exc.with_traceback(None))
        return
    entries = in_order(found, racing=False)
    hosts = [clean(entry[4][0]) for entry in entries]
    findings.look_up = Lookup(now() - began, hosts)
    yield from ((entry[0], entry[4]) for entry in entries)


def _connect(connection: Connection, family: int, address: Any) -> Socket | None:
    began = now()
    try:
        with waiting(f"connect to {connection.address}", limit("connect").seconds):
            sock = handshake.connected(family, address)
        connection.rtt = _rtt(sock)
        return sock
    except SafeSocketError as exc:
        connection.error = exc.with_traceback(None)
        connection.routed = not _may_be_lost_here(exc) or _has_route(family, address)
        return None
    finally:
        connection.seconds = now() - began


def _may_be_lost_here(exc: SafeSocketError) -> bool:
    """Tell whether *exc* may mean that there is no way: no route, no address, no such family."""
    lost = isinstance(exc, (UnreachableError, AddressNotAvailableError))
    return lost or exc.errno == errno.EAFNOSUPPORT


def _has_route(family: int, address: Any) -> bool:
    """Tell whether this machine knows a way to *address*; nothing is sent to find out."""
    try:
        with Socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
    except SafeSocketError as exc:
        return not _may_be_lost_here(exc)
    return True


def _rtt(sock: Socket) -> float | None:
    """Return the round-trip time that the kernel has measured, in seconds: tcp(7), Linux."""
    if not hasattr(socket, "TCP_INFO") or sock.family not in NAMES:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT + 4)
    except SafeSocketError:
        return None
    return float(struct.unpack_from("I", info, _RTT)[0]) / 1e6 or None


# What the other side says first.


def _listen(sockets: list[tuple[Connection, Any]], seconds: float) -> None:
    """Wait for a greeting on all *sockets*, *seconds* together."""
    with timeouts(read=seconds):
        whole = limit("read").seconds  # a deadline may leave less
    addresses = listed([connection.address for connection, _ in sockets])
    with timeouts(read=0), waiting(f"wait for a greeting from {addresses}", whole):
        _hear({sock: connection for connection, sock in sockets}, whole)


def _hear(silent: dict[Any, Connection], whole: float | None) -> None:
    """Tell of each of those who are *silent* what it says first; of all others that they are."""
    began = now()
    ready = list(silent)  # TLS may have read more than the handshake
    while ready:
        for sock in ready:
            heard = _first_byte(sock, began)
            if heard.end != "silence":
                _tell(silent.pop(sock), heard)
        left = None if whole is None else max(began + whole - now(), 0.0)
        ready = select.select(list(silent), [], [], left)[0] if silent else []
    for connection in silent.values():
        connection.first_byte = FirstByte(now() - began, "silence")


def _tell(connection: Connection, heard: FirstByte) -> None:
    if connection.tls is not None and isinstance(heard.error, TLSError):
        connection.tls.error = heard.error  # TLS 1.3: the server may refuse afterwards
    else:
        connection.first_byte = heard


def _first_byte(sock: Any, began: float) -> FirstByte:
    """Return what there is to be read from *sock* now, at which one looks since it *began*."""
    try:
        data = sock.recv(_MOST)
    except SocketTimeoutError:
        return FirstByte(now() - began, "silence")
    except SafeSocketError as exc:
        return FirstByte(now() - began, "error", error=exc.with_traceback(None))
    end = "data" if data else "closed"
    return FirstByte(now() - began, end, len(data), escaped(data))
