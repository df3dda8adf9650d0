"""Reading and writing over TLS: the stdlib's operations, with limits and documented errors.

Plain functions of an ``SSLSocket``, as in ``_tls``. A socket under a limit is lent (see
``_lending``): OpenSSL makes the first try, what is longer is ``_tlswait``'s. ``recv``,
``recv_into`` and ``makefile`` over TLS are the stdlib's, which read by ``read`` and write by
``send``.
"""

from __future__ import annotations

import ssl

from . import _timeouts
from ._deadline import running
from ._lending import settle
from ._overtaken import plain_tls
from ._route import POLLED, _notes, recall
from ._scope import READ, WRITE
from ._system import now
from ._tlswait import go_on, must_wait
from ._translate import correct
from .errors import SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLSocket as Plain
    from typing import Any

    from ._route import Note

if not TYPE_CHECKING:
    Plain = plain_tls()  # or the import ends here: gevent and eventlet replace the class

_plain_send = Plain.send
_plain_sendall = Plain.sendall
_plain_sendfile = Plain.sendfile
_plain_read = Plain.read
_plain_write = Plain.write

#: bytes; what OpenSSL sends at once, RFC 8446, 5.1. Of more nobody can tell how far it came.
_RECORD = 16_384

_blocks = _timeouts.blocks


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
    known = _notes.get(id(self))  # recall(), without the call; _tls has left no other socket's
    if known is None or known.term is not _timeouts.epoch or running or _blocks():
        known = settle(self, "read")
    started = now()
    try:
        try:
            if known.lent is POLLED:
                with known.lock:
                    return sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
            return sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
        except OSError as exc:
            wanted = must_wait(self, exc, "read", started)
        args = (len,) if buffer is None else (len, buffer)
        return go_on(self, "read", READ, started, wanted, sslobj.read, *args)
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
    if known is None or known.term is not _timeouts.epoch or running or _blocks():
        return _write(self, "send", data)
    if known.lent is POLLED or type(data) is not bytes or len(data) > _RECORD:
        return _write(self, "send", data)
    started = now()
    try:
        return sslobj.write(data)  # type: ignore[no-any-return]
    except OSError as exc:
        wanted = must_wait(self, exc, "send", started, 0)
    return go_on(self, "send", WRITE, started, wanted, sslobj.write, data)  # type: ignore[no-any-return]


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
        if known.lent is POLLED:
            with known.lock:
                return put(data)
        return put(data)
    except OSError as exc:
        wanted = must_wait(sock, exc, operation, started, _nothing(data))
    return go_on(sock, operation, WRITE, started, wanted, put, data)  # type: ignore[no-any-return]


def _nothing(data: Any) -> int | None:
    """Return the count of *data* that were not taken; None: they may have been, in part."""
    return 0 if memoryview(data).nbytes <= _RECORD else None


def _write_records(
    sock: ssl.SSLSocket, known: Note, operation: str, put: Callable[[Any], int], data: Any
) -> int:
    """Write *data*, record by record: a limit counts from the last progress."""
    if not _is_flat(data):
        return put(data)  # it says best what is wrong with them
    sent, started = 0, now()
    with _flat(data) as flat:
        while True:
            with flat[sent : sent + _RECORD] as part:
                try:
                    sent += _write_at_once(sock, known, operation, put, part)
                except SafeSocketError as error:
                    correct(error, operation, sent, now() - started)
                    raise
            if sent >= len(flat):
                return sent


def _is_flat(data: Any) -> bool:
    try:
        _flat(data).release()
    except TypeError:
        return False
    return True


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
