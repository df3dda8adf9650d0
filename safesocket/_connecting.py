"""connect and connect_ex of one socket: within the limit, the mode afterwards as it was.

Connecting is the one wait that cannot be tried first, so the socket gets a timeout for the
time of the call; nothing else can be in flight on it. Several addresses are ``_connect``'s.
"""

from __future__ import annotations

import _socket
import errno
import sys

from . import _system
from ._deadline import DEADLINE, cut, running, what_is_left
from ._exempt import over
from ._failing import fail
from ._hosts import is_certain
from ._limits import Limit
from ._plain import split
from ._recorder import recorded_to, recording
from ._resolve import resolved
from ._roles import CONNECTED
from ._route import is_numeric, note, recall
from ._scope import WRITE, talks_to_others
from ._system import now
from ._timeouts import limit as limit_of
from ._translate import CONNECT
from ._wait import backoff, check_deadline, ours_to_keep, ready_before, rest_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

_UNIX = getattr(_socket, "AF_UNIX", None)
_INTERNET = (_socket.AF_INET, _socket.AF_INET6)
#: of streams, as they were asked for; SCTP says EISCONN where these say that it is done
_TCP = (0, _socket.IPPROTO_TCP, getattr(_socket, "IPPROTO_MPTCP", 0))
#: what connect says in non-blocking mode when it has begun; connect(2), and MSDN for Windows
UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", -1))
_UNFINISHED = (*UNDER_WAY, errno.EAGAIN)


def connect(self: Socket, address: Any, /) -> None:
    """Connect to *address*; give up after the ``connect`` timeout (seconds, the whole call).

    Raises:
        ConnectTimeoutError: no answer in time; ``timeout_source`` says whose limit it was.
        ConnectRefusedError: nothing is listening there.
        UnreachableError: no route to the address.
        ConnectDeniedError: this machine forbids it.
        HostNotFoundError, ResolverError: the name in *address* was not found.
        ResolveTimeoutError: it was not found within the ``resolve`` timeout.
        SocketPathError: an AF_UNIX path is not there.
        ConnectError: any other failure.
    Platform: on Linux a full backlog of an AF_UNIX server is tried again until the limit; the
        stdlib with a timeout fails at once (cpython issue 117208).
    Source: connect(2), unix(7); Python ``socket.connect``; PEP 475 (EINTR is retried).
    """
    started = now()
    limit = None
    found = address
    try:
        if running:
            check_deadline(self, "connect", target=address)
        found = address if is_certain(address) else resolved(self, "connect", address)
        limit = _limit(self, address)
        number = _connect_under(limit, self, found, address)
    except OSError as exc:
        if isinstance(exc, BlockingIOError) and _is_limited(self, address):
            remember(self, address, address)  # under way, in non-blocking mode
        took = now() - started
        fail(self, exc, "connect", target=address, tried=found, elapsed=took, limit=limit)
    if number:
        known: Any = {"tried": found, "elapsed": now() - started, "limit": limit}
        # Not named here: exempt code gets this very error, whose traceback holds this frame.
        fail(self, _system.os_error(number), "connect", target=address, **known)
    if _is_limited(self, address):
        remember(self, address, found)


def connect_in_time(limit: Limit, sock: Socket, address: Any) -> None:
    """Connect *sock* to a numeric *address*, as :func:`connect` does, under *limit* alone.

    One attempt of several: what becomes of all is told by who makes them.
    """
    started = now()
    try:
        if running:
            check_deadline(sock, "connect", target=address)
        number = _connect_under(limit, sock, address, note(sock).asked)
        if number:
            raise _system.os_error(number)
    except OSError as exc:
        took = now() - started
        fail(sock, exc, "connect", target=address, elapsed=took, limit=limit, is_attempt=True)
    remember(sock, address, address)


def connect_ex(self: Socket, address: Any, /) -> int:
    """Connect to *address* and return 0, or the errno of what the system refused.

    A limit of safesocket's that runs out, or a deadline, is ETIMEDOUT; the socket's own timeout
    is EAGAIN, as in the stdlib.

    Raises:
        HostNotFoundError, ResolverError: the name in *address* was not found.
        ResolveTimeoutError: it was not found within the ``resolve`` timeout.
    Source: Python ``socket.connect_ex``.
    """
    started = now()
    try:
        if running:
            check_deadline(self, "connect_ex", target=address)
        found = address if is_certain(address) else resolved(self, "connect_ex", address)
        limit = _limit(self, address)
        if limit is None:
            return _connect_ex_as_set_up(self, address, found)
        number = _connect_under(limit, self, found, address, _system.connect_ex)
    except _socket.gaierror as exc:
        fail(self, exc, "connect_ex", target=address, elapsed=now() - started)
    except OSError as exc:
        if exc.errno is None and not isinstance(exc, TimeoutError):  # a path that is too long
            fail(self, exc, "connect_ex", target=address, elapsed=now() - started)
        return exc.errno or errno.ETIMEDOUT
    if not number and _is_limited(self, address):
        remember(self, address, found)
    return number


def _limit(sock: Socket, address: Any) -> Limit | None:
    """Return the limit that we have to keep when *sock* connects to *address*, if any."""
    own = _system.gettimeout(sock)
    if own == 0 or _system.kind(sock) == _socket.SOCK_DGRAM:
        return None
    if own is not None:
        left = what_is_left()
        return left if left is not None and (left.seconds or 0) < own else None
    limit = _limit_of_blocking(sock, address)
    return None if limit.seconds is None else ours_to_keep(limit, sock, WRITE)


def _limit_of_blocking(sock: Socket, address: Any) -> Limit:
    known = recall(sock)
    if not _is_limited(sock, address) or (known is not None and known.forever):
        return cut(Limit(None, "", ""))
    asked = known and known.asked
    return limit_of("connect", over(known.limits if known else None, address, asked))


def begin(sock: Socket, address: Any) -> int:
    """Begin to connect *sock*, which is in non-blocking mode; return the errno, 0 for success."""
    try:
        return _system.connect_ex(sock, address)
    except (TypeError, ValueError, OverflowError):
        pass
    _system.connect(sock, address)  # says the same, as of the function that was called
    return 0


def _connect_under(
    limit: Limit | None,
    sock: Socket,
    address: Any,
    asked: Any,
    first: Callable[..., int] = begin,
) -> int:
    """Connect to *address*, *asked* for so, within *limit* or as the program set it up.

    Return the errno, 0 for success: to raise it only to raise ours instead was measured to take 5 %
    of a refused connect.
    """
    started = now()
    try:
        if limit is None:
            return _connect_as_set_up(sock, address)
        return _connect_within(limit, sock, address, first)
    finally:
        if recording and _waits(sock):
            recorded_to(asked or address, CONNECT, started)


def _waits(sock: Socket) -> bool:
    return _system.gettimeout(sock) != 0 and _system.kind(sock) != _socket.SOCK_DGRAM


def _connect_within(
    limit: Limit, sock: Socket, address: Any, first: Callable[..., int] = begin
) -> int:
    """Connect in at most the seconds of *limit*; the mode is the same before and after.

    Return the errno, 0 for success.
    """
    end = now() + (limit.seconds or 0)
    if limit.source == DEADLINE and not limit.seconds:
        raise TimeoutError("timed out")
    mode = _system.gettimeout(sock)
    try:
        _system.settimeout(sock, 0)
        number = first(sock, address)
        if number in UNDER_WAY and _tells_when_asked_again(sock):
            number = _system.connect_ex(sock, address)  # this machine has answered by now
        if number in _UNFINISHED:
            number = _wait_for_outcome(number, end, sock, address)
    finally:
        try:  # by C alone: a signal's handler may raise where a function in Python begins
            _system.settimeout(sock, mode)
        except OSError:
            if _system.fileno(sock) >= 0:  # not closed by another thread, or by such a handler
                raise
    return number


def _connect_as_set_up(sock: Socket, address: Any) -> int:
    """Connect with the timeout that the program gave; a full AF_UNIX backlog has it, too.

    Return the errno of that backlog, 0 for success.
    """
    end = now() + (_system.gettimeout(sock) or 0)
    try:
        _system.connect(sock, address)
        return 0
    except BlockingIOError as exc:
        if not (_system.gettimeout(sock) and _system.family(sock) == _UNIX):
            raise
        number = exc.errno or 0
    return _wait_for_outcome(number, end, sock, address)


def _wait_for_outcome(number: int, end: float, sock: Socket, address: Any) -> int:
    """Return the errno of connecting after a first step that returned *number*, 0 for success."""
    pauses = backoff()
    while True:
        if number in UNDER_WAY:
            in_time = ready_before(end, sock, WRITE)
        elif number == errno.EAGAIN and _system.family(sock) == _UNIX:
            in_time = rest_before(end, next(pauses))  # a full backlog, which cannot be polled
        else:
            return number
        if not in_time:
            raise TimeoutError("timed out")
        number = outcome(sock, address)


def _tells_when_asked_again(sock: Socket) -> bool:
    if sys.platform != "linux" or _system.proto(sock) not in _TCP:
        return False
    return _system.family(sock) in _INTERNET


def outcome(sock: Socket, address: Any) -> int:
    """Return what became of a connection that was under way.

    On Linux by asking connect() again: it tells, and leaves the socket as a blocking connect
    does. SO_ERROR tells, too, but afterwards the next connect() of the program would be
    answered for this one (ECONNABORTED after a refusal).
    """
    if _system.family(sock) == _UNIX or _tells_when_asked_again(sock):
        return _system.connect_ex(sock, address)
    return int(_system.getsockopt(sock, _socket.SOL_SOCKET, _socket.SO_ERROR))


def _connect_ex_as_set_up(sock: Socket, address: Any, found: Any) -> int:
    started = now()
    number = _system.connect_ex(sock, found)
    if recording and _waits(sock):
        recorded_to(address, CONNECT, started)
    if number in (0, errno.EINPROGRESS) and _is_limited(sock, address):
        remember(sock, address, found)
    return number


def _is_limited(sock: Socket, address: Any) -> bool:
    family = _system.family(sock)
    named = family == _UNIX and split(address)[0] is not None
    return talks_to_others(family, _system.kind(sock), named)


def remember(sock: Socket, address: Any, found: Any) -> None:
    """Note whom *sock* talks to, asked for as *address*: after a reset nobody can ask."""
    known = note(sock)
    known.role = CONNECTED
    known.asked = address
    known.peer = None
    if found is not address:
        known.address = found
    else:
        known.address = None if is_numeric(address) else _peer(sock)


def _peer(sock: Socket) -> Any:
    try:
        return _system.getpeername(sock)
    except OSError:  # still under way, or gone again
        return None
