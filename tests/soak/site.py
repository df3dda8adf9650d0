"""What a scenario of the soak is given: a world, the peers' addresses, luck, and what is expected.

Here live the steps that scenarios share. A failed expectation is a ``Wrong``.
"""

from __future__ import annotations

import random
import socket as stdlib
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial

import safesocket
from safesocket import errors
from tests.soak.gauges import Gauge
from tests.soak.wire import NAME, Wish
from tests.soak.worlds import World

LIMIT = 0.1  # seconds for what hangs
PATIENT = 30.0  # seconds for what does not

#: the stdlib's classes of socket errors, of which none is to come out of ours
_BARE = ("builtins", "socket", "ssl")
_TIMEOUTS = {
    "connect": errors.ConnectTimeoutError,
    "handshake": errors.HandshakeTimeoutError,
    "read": errors.ReadTimeoutError,
    "write": errors.WriteTimeoutError,
}


class Wrong(AssertionError):
    """An outcome that is not the expected one; *sort* is the row of the table."""

    def __init__(self, sort: str, text: str) -> None:
        super().__init__(text)
        self.sort = sort


class Site:
    """What one connection has to do with."""

    def __init__(self, world: World, gauge: Gauge, places: dict, luck: random.Random, tls) -> None:
        self.world = world
        self.socket = world.socket
        self.gauge = gauge
        self.places = places
        self.luck = luck
        self.contexts = tls

    # Connections.

    def place(self, name: str):
        """Return the address of the peer *name*."""
        found = self.places[name]
        return tuple(found) if isinstance(found, list) else found

    def wish(self, size: int = 0, turn: int = 0) -> Wish:
        return Wish(self.luck.getrandbits(63), size, turn)

    def connected(self, name: str, family: int = stdlib.AF_INET):
        """Return a socket that is connected to the peer *name*, not yet under TLS."""
        address = self.place(name)
        if family == stdlib.AF_INET and self.luck.random() < 0.7:
            return self.socket.create_connection(address)
        sock = self.socket.socket(family)
        try:
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def wrapped(self, sock):
        """Return *sock* under TLS, if this world has it."""
        return self.shaken(sock) if self.world.is_tls else sock

    def shaken(self, sock, context: str = "client"):
        try:
            return self.contexts[context].wrap_socket(sock, server_hostname=NAME)
        except BaseException:
            sock.close()
            raise

    def open(self, name: str, wish: Wish | None = None):
        """Return a connection, under TLS where the world has it, on which a wish has been sent."""
        sock = self.wrapped(self.connected(name))
        try:
            sock.sendall((wish or self.wish()).packed())
        except BaseException:
            sock.close()
            raise
        return sock

    # Limits.

    @contextmanager
    def limited(self, way: str, sock, phase: str, seconds: float = LIMIT):
        """Limit the waits of *sock* for *phase*, in one *way*, in the block."""
        if way == "settimeout":
            sock.settimeout(seconds)
        elif way == "set_timeouts":
            safesocket.set_timeouts(sock, **{phase: seconds})
        block: AbstractContextManager[None] = nullcontext()
        if way == "timeouts":
            block = safesocket.timeouts(**{phase: seconds})
        elif way == "deadline":
            block = safesocket.deadline(seconds)
        with block:
            yield
        if way == "settimeout":
            with suppress(OSError):  # closed meanwhile
                sock.settimeout(PATIENT)

    @contextmanager
    def budget(self, seconds: float):
        """Measure the block, and let a deadline end it where there are any."""
        block = safesocket.deadline(seconds) if self.world.is_safe else nullcontext()
        with self.gauge.within(seconds), block:
            yield

    def way(self) -> str:
        ways = ["timeouts", "set_timeouts", "settimeout", "deadline"]
        return self.luck.choice(ways) if self.world.is_safe else "settimeout"

    def total(self) -> str:
        """Return a way to limit a whole call."""
        return self.luck.choice(["deadline", "settimeout"]) if self.world.is_safe else "settimeout"

    def patient(self, sock):
        """Return a block with limits, or none, that an honest peer keeps."""
        if self.world.is_safe and self.luck.random() < 0.5:
            return nullcontext()
        return self.limited(self.way(), sock, self.luck.choice(["read", "write"]), PATIENT)

    # Expectations.

    def hangs(self, sock, phase: str, call) -> BaseException:
        """Check that *call* on *sock* times out when it should; return the error."""
        with self.limited(self.way(), sock, phase):
            return self.times_out(phase, partial(call, sock))

    def times_out(self, phase: str, call) -> BaseException:
        with self.gauge.within(LIMIT):
            return self.fails(call, TimeoutError, _TIMEOUTS[phase])

    def fails(self, call, plain, ours=None) -> BaseException:
        """Check that *call* fails with one of the classes *plain*; in our worlds, with *ours*."""
        try:
            result = call()
        except OSError as exc:
            self.documented(exc)
            expected = ours if ours and self.world.is_safe else plain
            if not isinstance(exc, expected):
                raise Wrong("outcomes", f"{exc!r}, not {expected}") from exc
            return exc.with_traceback(None)
        raise Wrong("outcomes", f"{result!r:.80}, not {plain}")

    def documented(self, exc: BaseException) -> None:
        """Check that an error of a socket is one of ours, in our worlds; libraries have theirs."""
        reason = getattr(exc, "reason", None)  # of urllib's
        for error in (exc, reason):
            bare = isinstance(error, OSError) and type(error).__module__ in _BARE
            if bare and self.world.is_safe:
                raise Wrong("untranslated", repr(exc)) from exc

    def same(self, got: bytes, expected: bytes) -> None:
        if got != expected:
            place = next(
                (
                    at
                    for at, pair in enumerate(zip(got, expected, strict=False))
                    if len({*pair}) > 1
                ),
                min(len(got), len(expected)),
            )
            raise Wrong("bytes", f"{len(got)} bytes, not {len(expected)}; differ from {place} on")

    def starts(self, got: bytes, expected: bytes) -> None:
        """Check that *got* is where *expected* begins."""
        self.same(got, expected[: len(got)])
