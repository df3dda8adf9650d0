"""The rude scenarios of the soak: each ends as it should, in time, with what is documented."""

from __future__ import annotations

import _socket
import errno
import http.client
import smtplib
import struct
import threading
import urllib.error
from contextlib import closing, suppress
from functools import partial
from socket import AF_INET, AF_UNIX, SHUT_WR, SO_LINGER, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET

import safesocket
from safesocket import errors
from tests.soak.honest import (
    any_plain_reader,
    any_reader,
    any_writer,
    http_connection,
    mailer,
    opener,
    told,
    url,
)
from tests.soak.site import LIMIT, Site, Wrong
from tests.soak.transfers import read_all
from tests.soak.wire import Wish, report_of

MUCH = 3_000_000  # bytes; more than the buffers of a connection whose reader's is small
HTTP_ERRORS = (http.client.HTTPException, urllib.error.URLError)
_RESET = (ConnectionResetError, BrokenPipeError)
_OUR_RESET = (errors.PeerResetError, errors.PeerClosedError)


# Connecting.


def refused(site: Site) -> None:
    call = partial(site.connected, "refuses")
    site.fails(call, ConnectionRefusedError, errors.ConnectRefusedError)


def refused_ex(site: Site) -> None:
    with site.socket.socket() as sock:
        site.same(b"%d" % sock.connect_ex(site.place("refuses")), b"%d" % errno.ECONNREFUSED)


def never_accepts(site: Site) -> None:
    name, family = site.luck.choice(
        [("never_accepts", AF_INET)] + [("never_accepts_unix", AF_UNIX)] * site.world.is_safe
    )
    with site.socket.socket(family) as sock:
        site.hangs(sock, "connect", lambda sock: sock.connect(site.place(name)))


def never_accepts_anybody(site: Site) -> None:
    connect = partial(site.socket.create_connection, site.place("never_accepts"), LIMIT)
    site.times_out("connect", connect)


def missing_path(site: Site) -> None:
    with site.socket.socket(AF_UNIX) as sock:
        call = partial(sock.connect, "/nowhere/at/all")
        site.fails(call, FileNotFoundError, errors.SocketPathError)


def taken(site: Site) -> None:
    call = partial(site.socket.create_server, site.place("echo"))
    site.fails(call, OSError, errors.AddressInUseError)


# Reading and writing.


def silent(site: Site) -> None:
    with site.open("silent") as sock:
        site.hangs(sock, "read", lambda sock: any_reader(site)(sock, 9))


def silent_stream(site: Site) -> None:
    def read(sock):
        with sock.makefile("rb") as file:
            return file.readline()

    with site.open("silent") as sock:
        site.hangs(sock, "read", read)


def stops_reading(site: Site) -> None:
    with site.open("stops") as sock:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 65536)
        data, write = Wish(site.luck.getrandbits(20), MUCH // 2).data, any_writer(site)
        error = site.hangs(sock, "write", lambda sock: write(sock, data))
        sent = getattr(error, "bytes_sent", None)
        if sent is not None and not 0 <= sent < len(data):
            raise Wrong("bytes", f"bytes_sent {sent} of {len(data)}")


def drips(site: Site) -> None:
    """One byte after the other does not outlast a deadline; the stdlib has none."""
    if not site.world.is_safe:
        return closes(site)
    wish = site.wish(100_000)
    got = bytearray()

    def read(sock):
        reader = any_reader(site)
        while True:
            got.extend(reader(sock, 1))

    with site.open("drips", wish) as sock, safesocket.deadline(LIMIT):
        site.times_out("read", partial(read, sock))
    return site.starts(bytes(got), wish.data)


def resets(site: Site) -> None:
    """All that came before the reset is right."""
    size = site.luck.randrange(1, 100_000)
    wish = site.wish(size, site.luck.randrange(size))
    got = bytearray()

    def read(sock):
        reader = any_reader(site)
        while data := reader(sock, 4096):
            got.extend(data)

    def call():
        with site.open("resets", wish) as sock:
            read(sock)

    if site.world.is_tls:  # to older versions of Python a reset is an end: CPython issue 115627
        with suppress(*_RESET, errors.TLSError):
            call()
    else:
        site.fails(call, _RESET, _OUR_RESET)
    site.starts(bytes(got), wish.data[: wish.turn])


def resets_at_once(site: Site) -> None:
    """Whatever is under way then: connecting, shaking hands, writing, or reading."""

    def call():
        with site.open("resets_at_once") as sock:
            while any_reader(site)(sock, 100):
                any_writer(site)(sock, bytes(100))

    site.fails(call, OSError, errors.SafeSocketError)


def closes(site: Site) -> None:
    size = site.luck.randrange(1, 100_000)
    wish = site.wish(size, site.luck.randrange(size))
    with site.open(site.luck.choice(["closes", "halves"]), wish) as sock, site.patient(sock):
        site.same(read_all(any_reader(site), sock), wish.data[: wish.turn])


def writes_to_closed(site: Site) -> None:
    """The other side has gone; sooner or later that is said."""

    def call():
        with site.open("resets", site.wish()) as sock:
            while True:
                any_writer(site)(sock, bytes(10_000))

    # Or it is not connected any more: where sendto() is to send to. CPython issue 115627, TLS.
    site.fails(call, OSError, (*_OUR_RESET, errors.NotConnectedError, errors.TLSError))


def cut_off(site: Site) -> None:
    """What a write that is cut says of how far it came, the other side has seen."""
    wish = site.wish(1_500_000)
    with site.open("sink", wish) as sock:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 65536)
        with site.limited(site.total(), sock, "write"):
            error = site.fails(
                partial(sock.sendall, wish.data), TimeoutError, errors.WriteTimeoutError
            )
        sock.shutdown(SHUT_WR)
        sent, report = getattr(error, "bytes_sent", None), told(site, wish)
        if sent is not None:
            site.same(report, report_of(wish.data[:sent]))


def closed_by_another_thread(site: Site) -> None:
    """The wait ends with its limit, or sooner.

    Not where the wait is C's, under TLS: the stdlib goes on with whoever has the number of the
    descriptor by then, and so takes bytes away from other connections of the soak.
    """
    way = site.way()
    if way == "settimeout" and site.world.is_tls:
        return silent(site)
    with site.open("silent") as sock:
        other = threading.Timer(LIMIT / 2, sock.close)
        other.start()
        try:
            with site.limited(way, sock, "read"), site.gauge.within(LIMIT):
                return site.fails(
                    partial(any_reader(site), sock, 9), OSError, errors.SafeSocketError
                )
        finally:
            other.join()


# Datagrams and AF_UNIX.


def silent_datagrams(site: Site) -> None:
    with site.socket.socket(AF_INET, SOCK_DGRAM) as sock:
        sock.connect(site.place("silent_udp"))
        sock.send(b"anybody there?")
        site.hangs(sock, "read", lambda sock: any_plain_reader(site)(sock, 9))


def refused_datagrams(site: Site) -> None:
    with site.socket.socket(AF_INET, SOCK_DGRAM) as sock:
        sock.connect(("127.9.9.9", 9))
        sock.send(b"anybody there?")
        site.fails(partial(sock.recv, 9), ConnectionRefusedError, errors.ConnectRefusedError)


def full_datagrams(site: Site) -> None:
    def send(sock):
        while True:
            sock.send(b"message")

    with site.socket.socket(AF_UNIX, SOCK_DGRAM) as sock:
        sock.connect(site.place("silent_udp_unix"))
        site.hangs(sock, "write", send)


def silent_unix(site: Site) -> None:
    with site.connected("silent_unix", AF_UNIX) as sock:
        site.hangs(sock, "read", lambda sock: any_plain_reader(site)(sock, 9))


# Through the stdlib's clients.


def rude_http(site: Site) -> None:
    """A server that is rude to http.client or urllib; truncated data are no whole data."""
    wish = site.wish(site.luck.randrange(100, 50_000))
    manners = ["silent", "truncated", "reset", "junk", *["drip"] * site.world.is_safe]
    manner = site.luck.choice(manners)
    by_url = site.luck.random() < 0.5
    with site.budget(2 * LIMIT):
        try:
            got = fetched_by_url(site, wish, manner) if by_url else fetched(site, wish, manner)
        except (OSError, *HTTP_ERRORS) as exc:
            return site.documented(exc)
    raise Wrong("outcomes", f"{manner}: {got!r:.60}")


def fetched_by_url(site: Site, wish, manner: str) -> bytes:
    with opener(site).open(url(site, wish, manner), timeout=LIMIT) as response:
        return response.read()


def fetched(site: Site, wish, manner: str) -> bytes:
    with closing(http_connection(site, timeout=LIMIT)) as connection:
        connection.request("GET", f"/{wish.number}/{wish.size}/{manner}")
        with connection.getresponse() as response:
            return response.read()


def rude_mail(site: Site) -> None:
    wish = site.wish(100, site.luck.randrange(1, 5))
    if wish.number % 4 == 1 and not site.world.is_safe:  # a drip
        return refused(site)
    with site.budget(2 * LIMIT):
        try:
            with mailer(site, wish)("localhost", 25, "localhost", timeout=LIMIT) as client:
                client.sendmail("a@localhost", ["b@localhost"], "Hello\r\n")
        except (OSError, smtplib.SMTPException) as exc:
            return site.documented(exc)
    raise Wrong("outcomes", "sent")


# Handshakes; in worlds without TLS these are the same connections, read in plain.


def rude_handshake(site: Site) -> None:
    name = site.luck.choice(["mute", "dripping", "junk", "leaves"])
    if not site.world.is_tls:
        return silent(site)
    sock = site.connected(name)
    if name in ("mute", "dripping"):
        return site.hangs(sock, "handshake", site.shaken)
    expected = errors.TLSError, errors.TransferError
    return site.fails(partial(site.shaken, sock), OSError, expected)


def unknown_authority(site: Site) -> None:
    if not site.world.is_tls:
        return refused(site)
    call = partial(site.shaken, site.connected("echo"), "strict")
    return site.fails(call, OSError, errors.CertificateError)


def no_goodbye(site: Site) -> None:
    if not site.world.is_tls:
        return silent(site)
    with site.open("stops") as sock, site.limited(site.total(), sock, "handshake"):
        return site.times_out("read", sock.unwrap)


# This process as a server, of clients that are rude.


def rude_client(site: Site) -> None:
    """Clients that say nothing, leave, reset, or say the beginning only."""
    manner = site.luck.choice(["silent", "leaves", "resets", "half"])
    with (
        site.socket.create_server((site.luck.choice(["127.0.0.1", "127.0.0.9"]), 0)) as listener,
        closing(_socket.socket()) as client,
    ):
        client.connect(listener.getsockname())
        conn, _ = listener.accept()
        with conn:
            if manner == "half":
                client.send(b"\x16\x03\x01")
            elif manner != "silent":
                if manner == "resets":
                    client.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            serve_rudely(site, conn, manner)


def serve_rudely(site: Site, conn, manner: str) -> None:
    hangs = manner in ("silent", "half")
    if site.world.is_tls:
        wrap = partial(site.contexts["server"].wrap_socket, conn, server_side=True)
        with site.limited(site.way(), conn, "handshake"):
            if hangs:
                site.times_out("handshake", wrap)
            else:
                site.fails(wrap, OSError, (errors.TLSError, errors.TransferError))
        return
    if manner == "half":
        conn.recv(3)
    if hangs:
        with site.limited(site.way(), conn, "serve"):
            site.times_out("read", partial(conn.recv, 9))
    elif manner == "leaves":
        site.same(conn.recv(9), b"")
    else:
        site.fails(partial(conn.recv, 9), ConnectionResetError, errors.PeerResetError)


def no_client(site: Site) -> None:
    with (
        site.socket.create_server(("127.0.0.1", 0)) as listener,
        site.limited(site.total(), listener, "read"),
        site.gauge.within(LIMIT),
    ):
        site.fails(listener.accept, TimeoutError, errors.AcceptTimeoutError)


SCENARIOS = {
    refused: 2,
    refused_ex: 1,
    never_accepts: 2,
    never_accepts_anybody: 1,
    missing_path: 1,
    taken: 1,
    silent: 5,
    silent_stream: 2,
    stops_reading: 4,
    drips: 3,
    resets: 4,
    resets_at_once: 2,
    closes: 3,
    writes_to_closed: 2,
    cut_off: 2,
    closed_by_another_thread: 2,
    silent_datagrams: 2,
    refused_datagrams: 1,
    full_datagrams: 1,
    silent_unix: 1,
    rude_http: 4,
    rude_mail: 3,
    rude_handshake: 4,
    unknown_authority: 1,
    no_goodbye: 1,
    rude_client: 4,
    no_client: 1,
}
