"""What the demo shows: the programs, the peers that they meet, and what is promised of each.

One table, the texts that it needs, and whether an outcome keeps a promise; nothing is run or
printed here. Every program is complete and imports the stdlib's socket. Before a run ADDRESS
becomes the peer's, and for safesocket's run the import line becomes safesocket's: nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

from safesocket import testing

POST = "Handling socket errors in Python"  # a blog post of 2023-10-13

ADDRESS = '("example.com", 80)'
STDLIB = "import socket"
SAFESOCKET = "import safesocket as socket"

#: The three programs of POST, to the letter.
SNIPPETS = (
    """\
import socket

try:
    # create a socket and connect to the remote server
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("example.com", 80))
except (ConnectionRefusedError, ConnectionResetError) as err:
    print(f"Connection error: {err}")
""",
    """\
import socket

try:
    # create a socket and set a timeout value
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(5)
    
    # perform some socket operation
    s.connect(("example.com", 80))
except socket.timeout:
    print("Connection timeout occurred")
""",  # noqa: W293
    """\
import socket

try:
    # create a socket and connect to the remote server
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("example.com", 80))
except socket.error as err:
    print(f"Network error: {err}")
""",
)

_DOWNLOAD = r"""
import socket

s = socket.create_connection(("example.com", 80))
s.sendall(b"GET / HTTP/1.0\r\n\r\n")
while s.recv(1024):
    pass
"""

_UPLOAD = """
import socket

s = socket.create_connection(("example.com", 80))
s.sendall(bytes(20_000_000))
"""

_SERVER = """
import socket

s = socket.socket()
s.bind(("example.com", 80))
s.listen()
"""

#: Seconds after which a program is cut off, where none of its waits ends by itself.
PATIENCE = 2.0

#: What is promised of the stdlib, where it is not a class.
WAITS = "still waiting"


class Outcome(NamedTuple):
    """What came of one run of a program, as ``child`` reports it; no ``elapsed``: it never ran."""

    waiting: bool = False
    elapsed: float | None = None
    printed: str = ""
    classes: tuple[str, ...] = ()
    text: str = ""
    hint: str = ""

    @property
    def end(self) -> str:
        """The class of the error, or what came instead of one."""
        if self.elapsed is None:
            return "did not run"
        if self.waiting:
            return WAITS
        return self.classes[0] if self.classes else "no error"


class Case(NamedTuple):
    """A program, a peer, and what comes of the two.

    ``stdlib`` is the class that the stdlib raises, or WAITS; ``safesocket`` is ours, or several
    where it depends on the network. ``says`` is a pattern, as for fnmatch, to be found in the
    text of our error. ``prints`` is what the program prints of an error that it catches, in both
    runs; empty where it catches none. It is cut off after ``patience`` seconds.
    """

    title: str
    program: str
    peer: Callable[[], AbstractContextManager[testing.Address]]
    stdlib: str
    safesocket: tuple[str, ...]
    says: str
    prints: str = ""
    patience: float = PATIENCE

    def broken(self, place: str, stdlib: Outcome, ours: Outcome) -> Iterator[str]:
        """Yield each promise that was not kept, and what came instead."""
        says = self.says.format(place=place)
        if stdlib.end != self.stdlib:
            yield f"the stdlib: {self.stdlib} was promised, it is: {stdlib.end}"
        elif not stdlib.waiting and not self._printed(stdlib):
            yield f'the stdlib: that it prints "{self.prints}" was promised, not "{stdlib.printed}"'
        if ours.end not in self.safesocket:
            yield f"safesocket: {' or '.join(self.safesocket)} was promised, it is: {ours.end}"
            return
        if self.stdlib not in (WAITS, *ours.classes):
            yield f"safesocket: {ours.end} is not a {self.stdlib}"
        if not fnmatchcase(ours.text, f"*{says}*"):
            yield f'safesocket: the text "{says}" was promised, it is "{ours.text}"'
        if not ours.hint:
            yield "safesocket: a hint was promised, there is none"
        if not self._printed(ours):
            yield f'safesocket: that it prints "{self.prints}" was promised, not "{ours.printed}"'

    def _printed(self, outcome: Outcome) -> bool:
        return outcome.printed == self.prints.format(text=outcome.text)


CASES = (
    Case(
        "Nobody listens on that port",
        SNIPPETS[0],
        testing.refuses,
        "ConnectionRefusedError",
        ("ConnectRefusedError",),
        ": connect to {place} after * s",
        prints="Connection error: {text}",
    ),
    Case(
        "A server too busy to accept; settimeout(5)",
        SNIPPETS[1],
        testing.never_accepts,
        "TimeoutError",
        ("ConnectTimeoutError",),
        ": connect to {place} after * s (settimeout 5 s)",
        prints="Connection timeout occurred",
        patience=8.0,
    ),
    Case(
        "A server too busy to accept; no timeout set",
        SNIPPETS[2],
        testing.never_accepts,
        WAITS,
        ("ConnectTimeoutError",),
        ": connect to {place} after * s (connect timeout * s",
        prints="Network error: {text}",
    ),
    Case(
        "A host name that does not exist",
        _DOWNLOAD,
        lambda: nullcontext(("no-such-host.invalid", 80)),
        "gaierror",
        ("HostNotFoundError", "ResolverError"),  # the latter without a network
        ": look up {place} after * s",
        patience=10.0,  # a name server that is out of reach takes its time
    ),
    Case(
        "A port that another server has taken",
        _SERVER,
        testing.never_answers,
        "OSError",
        ("AddressInUseError",),
        ": bind to {place}",
    ),
    Case(
        "A server that resets the connection half-way",
        _DOWNLOAD,
        partial(testing.resets, 5000, on_request=True),
        "ConnectionResetError",
        ("PeerResetError",),
        ": recv from {place} after * s",
    ),
    Case(
        "A server that stops reading what it is sent",
        _UPLOAD,
        testing.stops_reading,
        WAITS,
        ("WriteTimeoutError",),
        ": sendall to {place} after * s (write timeout * s",
    ),
    Case(
        "A server that accepts and never answers",
        _DOWNLOAD,
        testing.never_answers,
        WAITS,
        ("ReadTimeoutError",),
        ": recv from {place} after * s (read timeout * s",
    ),
)
