"""The TLS operations: the stdlib's, with limits and documented errors.

Plain functions of an ``SSLSocket``: ``safesocket.ssl.SSLSocket`` takes them as its methods, and
they serve the stdlib's own class. A socket under a limit is lent (see ``_lending``): OpenSSL
tries, and waits are here. ``recv``, ``recv_into`` and ``makefile`` over TLS are the stdlib's, which
read by ``read`` and write by ``send``.
"""

from __future__ import annotations

import _socket
import math
import ssl
from contextlib import suppress

from . import _system, _timeouts
from ._deadline import cut, running
from ._failing import fail, mode_of
from ._lending import give_back, poll, poll_in_time, settle
from ._limits import Limit
from ._namespace import rehomed
from ._overtaken import plain_tls
from ._roles import ACCEPTED
from ._route import _notes, carry_over, is_numeric, note, recall
from ._scope import HANDSHAKE, READ, WRITE
from ._system import now
from ._translate import correct
from ._wait import check_deadline, governing, ready_before
from .errors import SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from ssl import SSLSocket as Plain
    from typing import Any

    from ._route import Note

if not TYPE_CHECKING:
    Plain = plain_tls()  # or the import ends here: gevent and eventlet replace the class

#: It looks the name up, and eventlet, which replaces that, puts it back only for what is ssl's.
_plain_create: Callable[..., Any] = rehomed(
    vars(Plain)["_create"].__func__, {**vars(ssl), "SSLSocket": Plain}
)
_plain_send = Plain.send
_plain_sendall = Plain.sendall
_plain_sendfile = Plain.sendfile
_plain_shutdown = Plain.shutdown
_plain_detach = Plain.detach
_plain_read = Plain.read
_plain_unwrap = Plain.unwrap
_plain_write = Plain.write

#: bytes; what OpenSSL sends at once, RFC 8446, 5.1. Of more nobody can tell how far it came.
_RECORD = 16_384

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

_blocks = _timeouts.blocks
_PEEK = _socket.MSG_PEEK | _system.DONTWAIT


def create(cls: type[ssl.SSLSocket], /, sock: Socket, **options: Any) -> ssl.SSLSocket:
    """Wrap *sock*, as ``SSLContext.wrap_socket`` asks for; shake hands if it is connected.

    The limits, the peer and the mode are those of *sock*.
    """
    shakes_hands = options.pop("do_handshake_on_connect", True)
    known = recall(sock)
    try:
        made: Any = _plain_create(cls, sock, do_handshake_on_connect=False, **options)
    except OSError as exc:
        fail(sock, exc, "do_handshake")
    made.do_handshake_on_connect = shakes_hands
    try:
        carry_over(sock, made)
        if known is None and made.server_side:
            note(made).role = ACCEPTED
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
    _remember_the_name(sock)
    shake = sock._sslobj.do_handshake  # type: ignore[attr-defined]
    if running:
        check_deadline(sock, "do_handshake")
    poll_in_time(sock, HANDSHAKE)
    try:
        _go_on(sock, "do_handshake", HANDSHAKE, now(), None, shake)
    finally:
        give_back(sock)


def _remember_the_name(sock: ssl.SSLSocket) -> None:
    """Note the host that the program wants, if it has connected to a number."""
    name: Any = sock.server_hostname
    known = note(sock)
    if name and (known.asked is None or is_numeric(known.asked)):
        address = known.asked or _peer(sock)
        if isinstance(address, tuple):  # a path says more than the name
            known.asked, known.address = (name, *address[1:2]), address


def _peer(sock: ssl.SSLSocket) -> Any:
    with suppress(OSError):  # gone again
        return _system.getpeername(sock)


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
    known = _notes.get(id(self))  # recall(), without the call
    if known is None or known.term is not _timeouts.epoch or running or _blocks():
        known = settle(self, "read")
    started = now()
    try:
        try:
            if known.polled:
                with known.lock:
                    return sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
            return sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
        except OSError as exc:
            wanted = _must_wait(self, exc, "read", started)
        args = (len,) if buffer is None else (len, buffer)
        return _go_on(self, "read", READ, started, wanted, sslobj.read, *args)
    except ssl.SSLError as exc:
        if exc.args[0] == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:  # type: ignore[attr-defined]
            return b"" if buffer is None else 0
        raise


def write(self: ssl.SSLSocket, data: Any) -> int:
    """Write *data*, all of it in blocking mode; return the number of bytes taken.

    Each wait in which the other side takes nothing is limited by the ``write`` timeout
    (seconds), where the socket is in blocking mode.

    Raises:
        WriteTimeoutError: nothing more was taken in time; ``bytes_sent`` counts what TLS has
            taken, in whole records.
        PeerResetError, PeerClosedError: the connection has ended.
        TLSError: TLS failed; ``reason`` is OpenSSL's.
        TransferError: all of these, and any other failure.
    Source: SSL_write(3); Python ``SSLSocket.write``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    if self._sslobj is None:  # type: ignore[attr-defined]
        return _plain_write(self, data)
    return _write(self, "write", data)


def send(self: ssl.SSLSocket, data: Any, flags: int = 0) -> int:
    """Send *data*; limits, errors and the result are those of :func:`write`.

    Source: Python ``SSLSocket.send``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    sslobj = self._sslobj  # type: ignore[attr-defined]
    if sslobj is None or flags != 0:
        return _plain_send(self, data, flags)
    known = _notes.get(id(self))
    if known is None or known.term is not _timeouts.epoch or known.polled or running or _blocks():
        return _write(self, "send", data)
    if type(data) is not bytes or len(data) > _RECORD:
        return _write(self, "send", data)
    started = now()
    try:
        return sslobj.write(data)  # type: ignore[no-any-return]
    except OSError as exc:
        wanted = _must_wait(self, exc, "send", started, 0)
    return _go_on(self, "send", WRITE, started, wanted, sslobj.write, data)  # type: ignore[no-any-return]


def _write(sock: ssl.SSLSocket, operation: str, data: Any) -> int:
    known = recall(sock)
    if known is None or known.term is not _timeouts.epoch or running or _blocks():
        known = settle(sock, operation, 0)
    put: Callable[[Any], int] = sock._sslobj.write  # type: ignore[attr-defined]
    if known.lent and (type(data) is not bytes or len(data) > _RECORD):
        return _write_records(sock, known, operation, put, data)
    return _write_at_once(sock, known, operation, put, data)


def _write_at_once(
    sock: ssl.SSLSocket, known: Note, operation: str, put: Callable[[Any], int], data: Any
) -> int:
    started = now()
    try:
        if known.polled:
            with known.lock:
                return put(data)
        return put(data)
    except OSError as exc:
        wanted = _must_wait(sock, exc, operation, started, _nothing(data))
    return _go_on(sock, operation, WRITE, started, wanted, put, data)  # type: ignore[no-any-return]


def _nothing(data: Any) -> int | None:
    """Return the count of *data* that were not taken; None: they may have been, in part."""
    return 0 if memoryview(data).nbytes <= _RECORD else None


def _write_records(
    sock: ssl.SSLSocket, known: Note, operation: str, put: Callable[[Any], int], data: Any
) -> int:
    """Write *data*, record by record: a limit counts from the last progress."""
    sent, started = 0, now()
    try:
        flat = _flat(data)
    except TypeError:
        return put(data)  # it says best what is wrong with them
    with flat:
        while True:
            with flat[sent : sent + _RECORD] as part:
                try:
                    sent += _write_at_once(sock, known, operation, put, part)
                except SafeSocketError as error:
                    correct(error, operation, sent, now() - started)
                    raise
            if sent >= len(flat):
                return sent


def _flat(data: Any) -> memoryview:
    with memoryview(data) as view:
        return view.cast("B")


def sendall(self: ssl.SSLSocket, data: Any, flags: int = 0) -> None:
    """Send all of *data*; ``bytes_sent`` of a failure counts what TLS has taken.

    Limits and errors are those of :func:`write`; a timeout of the socket's own is for each part.
    Source: Python ``SSLSocket.sendall``.
    """
    self._checkClosed()  # type: ignore[attr-defined]
    if self._sslobj is None or flags != 0:  # type: ignore[attr-defined]
        return _plain_sendall(self, data, flags)
    sent, started = 0, now()
    with _flat(data) as flat:
        try:
            while sent < len(flat):
                with flat[sent:] as rest:
                    sent += self.send(rest)
        except SafeSocketError as error:
            total = None if error.bytes_sent is None else sent + error.bytes_sent
            correct(error, "sendall", total, now() - started)
            raise


def sendfile(self: ssl.SSLSocket, file: Any, offset: int = 0, count: int | None = None) -> int:
    """Send *file* from *offset*, *count* bytes or to its end; return the number of bytes sent.

    Limits and errors are those of :func:`write`. The file position is updated on return and on
    failure, as in the stdlib.
    Source: Python ``SSLSocket.sendfile``.
    """
    started = now()
    try:
        return _plain_sendfile(self, file, offset, count)
    except SafeSocketError as error:
        if self._sslobj is not None:  # type: ignore[attr-defined]
            correct(error, "sendfile", None, now() - started)
        raise


def _must_wait(
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
        may_doubt = doubts > 0 and known is not None and known.lent
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


def _go_on(
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
    while wanted is None or ready_before(end, sock, wanted):
        try:
            if not known.polled:  # or no longer: C waits
                return call(*args)
            with known.lock:
                return call(*args)
        except OSError as exc:
            wanted = _must_wait(sock, exc, operation, started, nothing, doubts)
            doubts -= type(exc) not in _WANTS
    timed_out = TimeoutError(f"The {_WORDS.get(operation, operation)} operation timed out")
    elapsed = now() - started
    fail(sock, timed_out, operation, elapsed=elapsed, limit=limit, bytes_sent=nothing)


def _limit(sock: ssl.SSLSocket, phase: str) -> Limit | None:
    own = mode_of(sock)
    return governing(sock, phase) if own is None else cut(Limit(own, "", "settimeout"))


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
    if running:
        check_deadline(self, "unwrap")
    poll_in_time(self, HANDSHAKE)
    below = _go_on(self, "unwrap", HANDSHAKE, now(), None, sslobj.shutdown)
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
