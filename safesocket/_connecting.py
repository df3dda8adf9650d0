"""connect and connect_ex of one socket: within the limit, the mode afterwards as it was.

Connecting is the one wait that cannot be tried first, so the socket gets a timeout for the
time of the call; nothing else can be in flight on it. Several addresses are ``_connect``'s.
"""

from __future__ import annotations

import _socket
import errno
from contextlib import suppress
from time import sleep

from . import _system
from ._failing import fail
from ._route import CONNECTED, is_numeric, note, recall
from ._scope import talks_to_others
from ._system import now
from ._timeouts import Limit, limit
from ._wait import backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any

_UNIX = getattr(_socket, "AF_UNIX", None)
_SHORTEST = 0.001  # seconds; settimeout(0) would mean non-blocking
_LONGEST = 1e9  # seconds; settimeout() overflows at 9.2e9


def connect(self: Socket, address: Any, /) -> None:
    """Connect to *address*; give up after the ``connect`` timeout (seconds, the whole call).

    Raises:
        ConnectTimeoutError: no answer in time; ``timeout_source`` says whose limit it was.
        ConnectRefusedError: nothing is listening there.
        UnreachableError: no route to the address.
        ConnectDeniedError: this machine forbids it.
        HostNotFoundError, ResolverError: the name in *address* was not found.
        SocketPathError: an AF_UNIX path is not there.
        ConnectError: any other failure.
    Platform: on Linux a full backlog of an AF_UNIX server is tried again until the limit; the
        stdlib with a timeout fails at once (cpython issue 117208).
    Source: connect(2), unix(7); Python ``socket.connect``; PEP 475 (EINTR is retried).
    """
    started = now()
    found = _prepare(self, address)
    try:
        _connect_in_time(self, address, found)
    except OSError as exc:
        fail(self, exc, "connect", target=address, elapsed=now() - started, limit=found)
    _remember_peer(self, address)


def connect_ex(self: Socket, address: Any, /) -> int:
    """Connect to *address* and return 0, or the errno of what the system refused.

    A limit of safesocket's that runs out is ETIMEDOUT; the socket's own timeout is EAGAIN, as
    in the stdlib.

    Raises:
        HostNotFoundError, ResolverError: the name in *address* was not found.
    Source: Python ``socket.connect_ex``.
    """
    started = now()
    found = _prepare(self, address)
    try:
        if found is None:
            return _system.connect_ex(self, address)
        _connect_in_time(self, address, found)
    except _socket.gaierror as exc:
        fail(self, exc, "connect_ex", target=address, elapsed=now() - started)
    except OSError as exc:
        if exc.errno is None and not isinstance(exc, TimeoutError):
            raise  # no system call failed: a path that is too long
        return exc.errno or errno.ETIMEDOUT
    _remember_peer(self, address)
    return 0


def _prepare(sock: Socket, address: Any) -> Limit | None:
    """Note whom *sock* is to talk to; return the limit that we have to keep, if any."""
    family, kind = _system.family(sock), _system.kind(sock)
    if not talks_to_others(family, kind, bool(address)):
        return None
    known = note(sock)
    known.role = CONNECTED
    known.asked = address
    known.address = None
    if kind == _socket.SOCK_DGRAM or known.forever or _system.gettimeout(sock) is not None:
        return None
    found = limit("connect", known.limits)
    if found.seconds is None or _system.waits_by_itself(sock, _socket.SO_SNDTIMEO):
        return None
    return found


def _connect_in_time(sock: Socket, address: Any, found: Limit | None) -> None:
    if found is None or found.seconds is None:
        _connect_as_set_up(sock, address)
        return
    end = now() + found.seconds
    try:
        _try_until(end, sock, address, temporary=True)
    finally:
        with suppress(OSError):  # closed by another thread
            _system.settimeout(sock, None)


def _connect_as_set_up(sock: Socket, address: Any) -> None:
    """Connect with the timeout that the program gave; a full AF_UNIX backlog has it, too."""
    own = _system.gettimeout(sock)
    if own and _system.family(sock) == _UNIX:
        _try_until(now() + own, sock, address, temporary=False)
    else:
        _system.connect(sock, address)


def _try_until(end: float, sock: Socket, address: Any, *, temporary: bool) -> None:
    """Connect; try again what cannot be polled, until *end*."""
    for pause in backoff():
        remaining = end - now()
        if temporary:
            _system.settimeout(sock, min(max(remaining, _SHORTEST), _LONGEST))
        try:
            return _system.connect(sock, address)
        except BlockingIOError as exc:
            left = end - now()
            if left <= 0:
                raise TimeoutError("timed out") from None
            _await_next_try(sock, exc, min(pause, left))


def _await_next_try(sock: Socket, exc: OSError, pause: float) -> None:
    if exc.errno == errno.EAGAIN and _system.family(sock) == _UNIX:
        sleep(pause)  # the backlog is full; unix(7)
    elif exc.errno in (errno.EALREADY, errno.EINPROGRESS):
        _system.ready(_system.fileno(sock), _system.WRITABLE, pause)
    else:
        raise exc


def _remember_peer(sock: Socket, address: Any) -> None:
    """Keep the address that a name stood for: after a reset nobody can ask."""
    known = recall(sock)
    if known is not None and not is_numeric(address):
        with suppress(OSError):
            known.address = _system.getpeername(sock)
