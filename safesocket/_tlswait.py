"""The waits of TLS: OpenSSL tries, and what it wants to go on is waited for here.

Only that; which calls these are is ``_tlsio``'s and ``_tls``', the mode of the socket
``_lending``'s.
"""

from __future__ import annotations

import _socket
import errno
import math
import ssl

from . import _system
from ._deadline import cut
from ._failing import fail, mode_of
from ._lending import poll
from ._limits import Limit
from ._recorder import recorded_from_c_on, recording
from ._route import POLLED, note, recall
from ._scope import READ, WRITE
from ._system import now
from ._wait import governing, ready_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: operation -> its name in what the stdlib says of a timeout
_WORDS = {"do_handshake": "handshake", "send": "write", "unwrap": "shutdown"}

#: what OpenSSL wants to go on -> what to wait for
_WANTS: dict[type[BaseException], str] = {
    ssl.SSLWantReadError: READ,
    ssl.SSLWantWriteError: WRITE,
}

#: operation -> what to wait for, where OpenSSL cannot tell
_BY_NAME = {"send": WRITE, "write": WRITE}
#: what a wait looks like when another thread has overwritten that it was one; see ``_lending``
_DOUBTFUL = (ssl.SSLEOFError, BlockingIOError)
_MOST_DOUBTS = 3  # in one call: OpenSSL says the same of a connection that it has given up

_PEEK = _socket.MSG_PEEK | _system.DONTWAIT


def must_wait(
    sock: ssl.SSLSocket,
    exc: OSError,
    operation: str,
    started: float,
    sent: int | None = None,
    doubts: int = 1,
) -> str:
    """Return what to wait for, if *exc* only says that C has not waited; raise it if not.

    With *doubts* an end of the stream has to be one of the connection, too.
    """
    try:
        # No matter whether still lent: a settimeout meanwhile, or uninstall, has ended that.
        if type(exc) in _WANTS and mode_of(sock) != 0:
            return _WANTS[type(exc)]
        known = recall(sock)
        may_doubt = doubts > 0 and known is not None and known.lent is not None
        if may_doubt and isinstance(exc, _DOUBTFUL) and _is_open(sock):
            return _BY_NAME.get(operation, READ)  # what was wanted, another thread overwrote
        fail(sock, exc, operation, elapsed=now() - started, bytes_sent=sent)
    finally:
        del exc  # its traceback holds this frame


def _is_open(sock: ssl.SSLSocket) -> bool:
    """Tell whether more may come."""
    try:
        return bool(_system.recv(sock, 1, _PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def go_on(
    sock: ssl.SSLSocket,
    operation: str,
    phase: str,
    started: float,
    wanted: str | None,
    call: Callable[..., Any],
    *args: Any,
) -> Any:
    """Make *call*, which was *started* then and needs what is *wanted*, within the limit."""
    known, limit = note(sock), _limit(sock, phase)
    nothing, doubts = (0 if phase == WRITE else None), _MOST_DOUBTS
    if known.lent:
        poll(sock)
    end = math.inf if limit is None or limit.seconds is None else started + limit.seconds
    try:
        while wanted is None or ready_before(end, sock, wanted):
            try:
                if known.lent is not POLLED:  # or no longer: C waits
                    return on_open(sock, call, *args)
                with known.lock:
                    return on_open(sock, call, *args)
            except OSError as exc:
                wanted = must_wait(sock, exc, operation, started, nothing, doubts)
                doubts -= type(exc) not in _WANTS
        timed_out = TimeoutError(f"The {_WORDS.get(operation, operation)} operation timed out")
        elapsed = now() - started
        fail(sock, timed_out, operation, elapsed=elapsed, limit=limit, bytes_sent=nothing)
    finally:
        if recording:
            recorded_from_c_on(sock, phase, started)


def on_open(sock: ssl.SSLSocket, call: Callable[..., Any], *args: Any) -> Any:
    """Make *call*, unless another thread has closed *sock* while this one waited.

    OpenSSL knows only the number of the descriptor, which may be somebody else's by now: it would
    take their bytes, or wait for them.
    """
    if _system.fileno(sock) < 0:
        raise _system.os_error(errno.EBADF)
    return call(*args)


def _limit(sock: ssl.SSLSocket, phase: str) -> Limit | None:
    own = mode_of(sock)
    return governing(sock, phase) if own is None else cut(Limit(own, "", "settimeout"))
