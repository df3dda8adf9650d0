"""The honest scenarios of the soak: nothing may fail, and every byte is checked."""

from __future__ import annotations

import http.client
import select
import smtplib
import ssl
import threading
import urllib.request
from contextlib import closing, nullcontext
from email.utils import formatdate
from functools import partial
from socket import AF_INET, AF_UNIX, SHUT_WR, SOCK_DGRAM, SOCK_STREAM

import safesocket
from tests.soak.site import PATIENT, Site, Wrong
from tests.soak.transfers import (
    READERS_OF_PLAIN,
    READERS_OF_TLS,
    WRITERS_OF_PLAIN,
    WRITERS_OF_TLS,
    read_all,
    read_exactly,
)
from tests.soak.wire import REPORT_SIZE, checksum, report_of


def any_reader(site: Site):
    return site.luck.choice([*(READERS_OF_TLS if site.world.is_tls else READERS_OF_PLAIN).values()])


def any_writer(site: Site):
    return site.luck.choice([*(WRITERS_OF_TLS if site.world.is_tls else WRITERS_OF_PLAIN).values()])


def to_and_fro(site: Site, sock, data: bytes) -> None:
    """Send *data* in pieces, each in some way, and read each again in some way."""
    place = 0
    while place < len(data):
        piece = data[place : place + site.luck.randrange(1, 20_000)]
        any_writer(site)(sock, piece)
        site.same(read_exactly(any_reader(site), sock, len(piece)), piece)
        place += len(piece)


def echo(site: Site) -> None:
    wish = site.wish(site.luck.randrange(1, 60_000))
    with site.open("echo", wish) as sock, site.patient(sock):
        to_and_fro(site, sock, wish.data)


def slow_echo(site: Site) -> None:
    wish = site.wish(site.luck.randrange(1, 8_000))
    with site.open("slow", wish) as sock, site.patient(sock):
        any_writer(site)(sock, wish.data)
        site.same(read_exactly(any_reader(site), sock, wish.size), wish.data)


def download(site: Site) -> None:
    wish = site.wish(site.luck.randrange(200_000))
    with site.open("source", wish) as sock, site.patient(sock):
        site.same(read_all(any_reader(site), sock, site.luck.randrange(1_000, 65_536)), wish.data)


def download_stream(site: Site) -> None:
    wish = site.wish(site.luck.randrange(200_000))
    buffering = site.luck.choice([0, -1, 100])
    with (
        site.open("source", wish) as sock,
        site.patient(sock),
        sock.makefile("rb", buffering=buffering) as file,
    ):
        got = b"".join(iter(partial(file.read, site.luck.randrange(1_000, 65_536)), b""))
    site.same(got, wish.data)


def upload(site: Site) -> None:
    """Send to one who reads slowly; another connection tells what has come."""
    wish = site.wish(site.luck.randrange(1, 100_000))
    with site.open("sink", wish) as sock, site.patient(sock):
        any_writer(site)(sock, wish.data)
        sock.shutdown(SHUT_WR)
        site.same(told(site, wish), report_of(wish.data))


def told(site: Site, wish) -> bytes:
    with site.connected("told") as sock:
        sock.sendall(wish.packed())
        return read_exactly(READERS_OF_PLAIN["recv"], sock, REPORT_SIZE)


def two_directions(site: Site) -> None:
    """One thread writes and this one reads.

    Not before the session tickets of TLS 1.3 have been read: in the midst of that a thread that
    writes is OpenSSL's end, in the stdlib, too (seen with 3.12.1: a segmentation fault).
    """
    wish = site.wish(site.luck.randrange(50_000, 300_000))
    with site.open("echo", wish) as sock:
        sock.sendall(b"!")
        site.same(sock.recv(1), b"!")
        writer = threading.Thread(target=any_writer(site), args=(sock, wish.data))
        writer.start()
        try:
            site.same(read_exactly(any_reader(site), sock, wish.size), wish.data)
        finally:
            writer.join()


def own_server(site: Site) -> None:
    """Talk to the server that this very process runs in the same world."""
    wish = site.wish(site.luck.randrange(1, 30_000))
    with site.open("own", wish) as sock, site.patient(sock):
        to_and_fro(site, sock, wish.data)


def nonblocking(site: Site) -> None:
    """Wait as event loops do; a socket that would wait says so, as it does in the stdlib."""
    wish = site.wish(site.luck.randrange(1, 20_000))
    with site.open("slow", wish) as sock:
        any_writer(site)(sock, wish.data)
        sock.setblocking(False)
        got = bytearray()
        while len(got) < wish.size:
            try:
                got += sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError) as exc:
                if type(exc) not in (BlockingIOError, ssl.SSLWantReadError):
                    raise Wrong("outcomes", f"{exc!r} is not bare") from exc
                if not select.select([sock], [], [], PATIENT)[0]:
                    raise Wrong("outcomes", "nothing came") from None
        site.same(bytes(got), wish.data)


def goodbye(site: Site) -> None:
    """End TLS, and the connection after it."""
    wish = site.wish(site.luck.randrange(1, 5_000))
    with site.open("echo", wish) as sock:
        to_and_fro(site, sock, wish.data)
        if site.world.is_tls:
            sock.unwrap().close()


def forgotten(site: Site) -> None:
    """Never close: a ResourceWarning, no more."""
    site.open("echo")


def datagrams(site: Site) -> None:
    data, there = site.wish(site.luck.randrange(1, 9_000)).data, site.place("echo_udp")
    with site.socket.socket(AF_INET, SOCK_DGRAM) as sock, site.patient(sock):
        if site.luck.random() < 0.5:
            sock.connect(there)
            sock.send(data)
            site.same(any_plain_reader(site)(sock, 65536), data)
        else:
            sock.sendto(data, there)
            got, address = sock.recvfrom(65536)
            site.same(got, data)
            site.same(repr(address).encode(), repr(there).encode())


def any_plain_reader(site: Site):
    return site.luck.choice([*READERS_OF_PLAIN.values()])


def unix(site: Site) -> None:
    wish = site.wish(site.luck.randrange(1, 60_000))
    with site.connected("echo_unix", AF_UNIX) as sock, site.patient(sock):
        sock.sendall(wish.packed())
        writer = site.luck.choice(
            [WRITERS_OF_PLAIN[name] for name in ("send", "sendall", "sendmsg")]
        )
        for place in range(0, wish.size, 10_000):
            piece = wish.data[place : place + 10_000]
            writer(sock, piece)
            site.same(read_exactly(any_plain_reader(site), sock, len(piece)), piece)


def pair(site: Site) -> None:
    data = site.wish(site.luck.randrange(1, 9_000)).data
    ours, theirs = site.socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        site.same(read_exactly(any_plain_reader(site), theirs, len(data)), data)


def lookups(site: Site) -> None:
    """Names that this machine knows by itself, all at once."""
    found = site.socket.getaddrinfo("localhost", 80, type=SOCK_STREAM)
    if not any(entry[4][0] in ("127.0.0.1", "::1") for entry in found):
        raise Wrong("outcomes", repr(found))
    host = site.socket.gethostbyname("localhost")
    service = site.socket.getnameinfo(("127.0.0.1", 1), 3)  # NI_NUMERICHOST | NI_NUMERICSERV
    site.same(f"{host} {service}".encode(), b"127.0.0.1 ('127.0.0.1', '1')")
    with site.socket.create_connection(("localhost", site.place("local")[1])) as sock:
        sock.sendall(b"hello")
        site.same(read_exactly(READERS_OF_PLAIN["recv"], sock, 5), b"hello")


# The stdlib's clients; in the drop-in's worlds they connect with its functions.


def http_connection(site: Site, host: str = "", **options):
    host = host or ":".join(map(str, site.place("http")))
    if site.world.is_tls:
        made = http.client.HTTPSConnection(host, context=site.contexts["client"], **options)
    else:
        made = http.client.HTTPConnection(host, **options)
    made._create_connection = site.socket.create_connection
    return made


def http_get(site: Site) -> None:
    wish = site.wish(site.luck.randrange(50_000))
    manner = site.luck.choice(["good", "chunked"])
    with closing(http_connection(site)) as connection:
        connection.request("GET", f"/{wish.number}/{wish.size}/{manner}")
        with connection.getresponse() as response:
            site.same(response.read(), wish.data)


def http_post(site: Site) -> None:
    data = site.wish(site.luck.randrange(1, 50_000)).data
    with closing(http_connection(site)) as connection:
        connection.request("POST", "/", data)
        with connection.getresponse() as response:
            site.same(response.read(), checksum(data).hex().encode())


def opener(site: Site) -> urllib.request.OpenerDirector:
    class Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
        def http_open(self, request):
            return self.do_open(partial(http_connection, site), request)

        https_open = http_open

    return urllib.request.build_opener(urllib.request.ProxyHandler({}), Handler)


def url(site: Site, wish, manner: str) -> str:
    host, port = site.place("http")
    scheme = "https" if site.world.is_tls else "http"
    return f"{scheme}://{host}:{port}/{wish.number}/{wish.size}/{manner}"


def urlopen(site: Site) -> None:
    wish = site.wish(site.luck.randrange(50_000))
    manner = site.luck.choice(["good", "chunked"])
    with opener(site).open(url(site, wish, manner)) as response:
        site.same(response.read(), wish.data)


def mailer(site: Site, wish):
    """Return a class of SMTP clients that make their wish as soon as they are connected."""

    class Mailer(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            sock = site.open("lines", wish)
            if isinstance(timeout, float):
                sock.settimeout(timeout)
            return sock

    return Mailer


def mail(site: Site) -> None:
    wish = site.wish(site.luck.randrange(1, 20_000))
    text = b"Date: %s\r\n\r\n" % formatdate().encode() + wish.data.hex().encode() + b"\r\n"
    with mailer(site, wish)("localhost", 25, "localhost") as client:
        client.ehlo()
        client.mail("a@localhost")
        client.rcpt("b@localhost")
        site.same(client.data(text)[1], checksum(text).hex().encode())


def in_a_deadline(site: Site) -> None:
    """All of it within one budget that suffices."""
    with safesocket.deadline(PATIENT) if site.world.is_safe else nullcontext():
        echo(site)


#: how often: the most of what fails silently
SCENARIOS = {
    echo: 6,
    slow_echo: 2,
    download: 4,
    download_stream: 2,
    upload: 2,
    two_directions: 2,
    own_server: 4,
    nonblocking: 2,
    goodbye: 2,
    forgotten: 1,
    datagrams: 3,
    unix: 3,
    pair: 1,
    lookups: 1,
    http_get: 3,
    http_post: 1,
    urlopen: 2,
    mail: 2,
    in_a_deadline: 2,
}
