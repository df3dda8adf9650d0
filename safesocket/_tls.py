"""The TLS operations: the stdlib's, with limits and documented errors.

Plain functions of an ``SSLSocket``: ``safesocket.ssl.SSLSocket`` takes them as its methods, and
they serve the stdlib's own class. OpenSSL does the first try and, up to a slice of time, the
wait (see ``_lending``); what is longer is polled here. ``recv``, ``recv_into``, ``makefile`` and
``sendfile`` over TLS are the stdlib's, which read by ``read`` and write by ``send``.
"""

from __future__ import annotations

import math
import ssl
from contextlib import suppress

from . import _lending, _system, _timeouts
from ._failing import fail, mode_of
from ._lending import give_back, lend, may_be_lent, settle
from ._roles import ACCEPTED
from ._route import carry_over, note, recall
from ._scope import HANDSHAKE, READ, WRITE
from ._wait import governing, ready_before
from .errors import SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any, TypeVar

    T = TypeVar("T")

_Plain = ssl.SSLSocket
_plain_create: Callable[..., Any] = vars(_Plain)["_create"].__func__
_plain_send = _Plain.send
_plain_sendall = _Plain.sendall
_plain_shutdown = _Plain.shutdown
_plain_detach = _Plain.detach
_plain_read = _Plain.read
_plain_unwrap = _Plain.unwrap
_plain_write = _Plain.write

_SHORTEST = 0.001  # seconds; a timeout of 0 in C would mean non-blocking

#: operation -> its name in what the stdlib says of a timeout
_WORDS = {"send": "write", "unwrap": "shutdown"}

#: what OpenSSL wants to go on -> what to wait for
_WANTS: dict[type[BaseException], str] = {
    ssl.SSLWantReadError: READ,
    ssl.SSLWantWriteError: WRITE,
}


def create(cls: type[ssl.SSLSocket], /, sock: Socket, **options: Any) -> ssl.SSLSocket:
    """Wrap *sock*, as ``SSLContext.wrap_socket`` asks for; shake hands if it is connected.

    The limits, the peer and the mode are those of *sock*.
    """
    shakes_hands = options.pop("do_handshake_on_connect", True)
    known = recall(sock)
    made: Any = _plain_create(cls, sock, do_handshake_on_connect=False, **options)
    made.do_handshake_on_connect = shakes_hands
    try:
        carry_over(sock, made)
        _remember(made, new=known is None)
        if shakes_hands and made._connected:
            if made.gettimeout() == 0:
                raise ValueError(
                    "do_handshake_on_connect should not be specified for non-blocking sockets"
                )
            made.do_handshake()
    except BaseException:
        _close(made)
        raise
    return made  # type: ignore[no-any-return]


def _remember(made: Any, *, new: bool) -> None:
    """Note about *made* what the socket below it did not know."""
    known = note(made)
    if new and made.server_side:
        known.role = ACCEPTED
    if known.asked is None and made.server_hostname and made._connected:
        known.asked = (made.server_hostname, *_peer(made)[1:2])


def _peer(sock: ssl.SSLSocket) -> tuple[Any, ...]:
    try:
        peer = _system.getpeername(sock)
    except OSError:  # gone again
        return ()
    return peer if isinstance(peer, tuple) else ()


def _close(sock: ssl.SSLSocket) -> None:
    with suppress(OSError):
        sock.close()


def do_handshake(self: ssl.SSLSocket, block: bool = False) -> None:
    """Shake hands; give up after the ``handshake`` timeout (seconds, the whole call).

    Raises:
        HandshakeTimeoutError: the other side did not do its part in time.
        CertificateError: its certificate was not accepted; ``verify_message`` says why.
        HandshakeError: any other failure of TLS; ``reason`` is OpenSSL's.
        PeerResetError: the other side reset the connection.
        TLSError: all of these.
    Source: Python ``SSLSocket.do_handshake``.
    """
    self._check_connected()  # type: ignore[attr-defined]
    own = mode_of(self)
    if own == 0 and block:
        _system.settimeout(self, None)
    try:
        _shake_hands(self)
    finally:
        if own == 0 and block:
            self.settimeout(0)


def _shake_hands(sock: ssl.SSLSocket) -> None:
    handshake = sock._sslobj.do_handshake  # type: ignore[attr-defined]
    limit = governing(sock, HANDSHAKE) if mode_of(sock) is None else None
    started = _system.now()
    try:
        if limit is not None and limit.seconds is not None and may_be_lent(sock):
            lend(sock, max(limit.seconds, _SHORTEST))
        handshake()
    except OSError as exc:
        fail(sock, exc, "do_handshake", elapsed=_system.now() - started, limit=limit)
    finally:
        give_back(sock)
    settle(sock)


def read(self: ssl.SSLSocket, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
    """Read at most *len* bytes, or into *buffer*; b"" or 0 means that the other side has finished.

    Each wait is limited by the ``read`` timeout (seconds), where the socket is in blocking mode.

    Raises:
        ReadTimeoutError: nothing came in time.
        PeerResetError: the other side reset the connection.
        TLSError: TLS failed; ``reason`` is OpenSSL's.
        TransferError: all of these, and any other failure.
    Source: Python ``SSLSocket.read``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    sslobj = self._sslobj  # type: ignore[attr-defined]
    if sslobj is None:
        return _plain_read(self, len, buffer)
    known = recall(self)
    if known is None or known.term is not _timeouts.epoch or _timeouts.blocks():
        settle(self)
    args = (len,) if buffer is None else (len, buffer)
    started = _system.now()
    try:
        try:
            return sslobj.read(*args)
        except OSError as exc:
            _must_go_on(self, exc, "read")
        return _go_on(self, "read", READ, started, sslobj.read, *args)
    except ssl.SSLError as exc:
        if exc.args[0] == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:  # type: ignore[attr-defined]
            return b"" if buffer is None else 0
        raise


def write(self: ssl.SSLSocket, data: Any) -> int:
    """Write *data*; return the number of bytes taken, which may be fewer.

    Each wait in which the other side takes nothing is limited by the ``write`` timeout
    (seconds), where the socket is in blocking mode.

    Raises:
        WriteTimeoutError: nothing was taken in time.
        PeerResetError, PeerClosedError: the connection has ended.
        TLSError: TLS failed; ``reason`` is OpenSSL's.
        TransferError: all of these, and any other failure.
    Source: Python ``SSLSocket.write``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    if self._sslobj is None:  # type: ignore[attr-defined]
        return _plain_write(self, data)
    return _write(self, "write", data)


def send(self: ssl.SSLSocket, data: Any, flags: int = 0) -> int:
    """Send *data*; return the number of bytes taken, which over TLS may be fewer.

    Limits and errors are those of :func:`write`.
    Source: Python ``SSLSocket.send``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    if self._sslobj is None or flags != 0:  # type: ignore[attr-defined]
        return _plain_send(self, data, flags)
    return _write(self, "send", data)


def sendall(self: ssl.SSLSocket, data: Any, flags: int = 0) -> None:
    """Send all of *data*; ``bytes_sent`` of a failure counts what TLS has taken.

    Limits and errors are those of :func:`write`; a timeout of the socket's own is for each part.
    Source: Python ``SSLSocket.sendall``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    if self._sslobj is None or flags != 0:  # type: ignore[attr-defined]
        return _plain_sendall(self, data, flags)
    sent = 0
    with memoryview(data) as view, view.cast("B") as flat:
        size = len(flat)
        try:
            while sent < size:
                with flat[sent:] as rest:
                    sent += self.send(rest)
        except SafeSocketError as error:
            error.operation, error.bytes_sent = "sendall", sent
            raise


def _write(sock: ssl.SSLSocket, operation: str, data: Any) -> int:
    known = recall(sock)
    if known is None or known.term is not _timeouts.epoch or _timeouts.blocks():
        settle(sock)
    put = sock._sslobj.write  # type: ignore[attr-defined]
    started = _system.now()
    try:
        return put(data)  # type: ignore[no-any-return]
    except OSError as exc:
        _must_go_on(sock, exc, operation, bytes_sent=0)
    return _go_on(sock, operation, WRITE, started, put, data)  # type: ignore[no-any-return]


def _must_go_on(
    sock: ssl.SSLSocket, exc: OSError, operation: str, bytes_sent: int | None = None
) -> None:
    """Return if *exc* only says that a slice of the wait is over; raise it if not."""
    try:
        known = recall(sock)
        if known is None or not known.lent or not _is_a_slice(exc):
            fail(sock, exc, operation, bytes_sent=bytes_sent)
    finally:
        del exc  # its traceback holds this frame


def _is_a_slice(exc: OSError) -> bool:
    return type(exc) in _WANTS or (isinstance(exc, TimeoutError) and exc.errno is None)


def _go_on(
    sock: ssl.SSLSocket, operation: str, phase: str, started: float, call: Any, *args: Any
) -> Any:
    """Make *call*, which was *started* then and could not be ended, within the limit."""
    _lending.poll_from_now_on(sock)
    limit = governing(sock, phase)
    end = math.inf if limit is None or limit.seconds is None else started + limit.seconds
    while True:
        try:
            return call(*args)
        except tuple(_WANTS) as exc:
            wanted = _WANTS[type(exc)]
        except OSError as exc:
            fail(sock, exc, operation, elapsed=_system.now() - started)
        if not ready_before(end, sock, wanted):
            break
    sent = 0 if phase == WRITE else None
    timed_out = TimeoutError(f"The {_WORDS.get(operation, operation)} operation timed out")
    elapsed = _system.now() - started
    fail(sock, timed_out, operation, elapsed=elapsed, limit=limit, bytes_sent=sent)


def unwrap(self: ssl.SSLSocket) -> Any:
    """End TLS, not the connection; return the socket, whose mode is the program's again.

    The other side's goodbye is awaited for the ``handshake`` timeout (seconds) at most.

    Raises:
        ReadTimeoutError: no goodbye (close_notify) came in time.
        TLSError: data came instead, or TLS failed otherwise.
        ValueError: there is no TLS on this socket.
    Source: SSL_shutdown(3); Python ``SSLSocket.unwrap``.
    """
    sslobj = self._sslobj  # type: ignore[attr-defined]
    if not sslobj:
        return _plain_unwrap(self)
    started = _system.now()
    if governing(self, HANDSHAKE) is not None and may_be_lent(self):
        lend(self, 0.0)
    below = _go_on(self, "unwrap", HANDSHAKE, started, sslobj.shutdown)
    self._sslobj = None  # type: ignore[attr-defined]
    give_back(self)
    return below


def shutdown(self: ssl.SSLSocket, how: int) -> None:
    """Shut down one half of the connection or both, without a goodbye of TLS.

    Raises:
        NotConnectedError: the socket is not connected.
        SafeSocketError: any other failure.
    Source: shutdown(2); Python ``SSLSocket.shutdown``.
    """
    try:
        _plain_shutdown(self, how)
    finally:
        give_back(self)


def detach(self: ssl.SSLSocket) -> int:
    """Give up the descriptor and return it, in the mode that the program has set.

    Source: Python ``socket.detach``.
    """
    give_back(self)
    return _plain_detach(self)
