"""``makefile``: the stdlib's streams over a socket, with one more error explained.

Reading and writing are the socket's own ``recv_into`` and ``send``, limits and errors included.
Nothing else lives here.
"""

from __future__ import annotations

import _socket
import io
import socket as stdlib

from ._failing import fail
from ._namespace import rehomed
from ._system import stdlib_class
from .errors import SafeSocketError, WriteTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket
    from typing import Any


class SocketIO(stdlib.SocketIO):
    """The raw stream of ``makefile``; after a timeout it cannot be read any more, as in the stdlib.

    What a buffer on top had half read by then is lost (CPython issue 76910), so the stdlib
    refuses to go on; here the refusal says so.
    """

    def readinto(self, b: Any) -> int | None:
        """Read into *b*; return the number of bytes, or None where a read would block.

        Raises:
            ReadTimeoutError: nothing came in time.
            TransferError: any other failure, and every read after a timeout.
        """
        try:
            return super().readinto(b)
        except SafeSocketError:
            raise
        except OSError as exc:
            fail(self._sock, exc, "read")  # type: ignore[attr-defined]


class BufferedSocketIO(SocketIO):
    """The raw stream below a buffer, which must be told how much of its data has gone.

    A limit that passes half-way is told in two steps: first the count, so that the buffer does
    not send those bytes again at the next flush, then, to the write that follows, the error.
    """

    _stuck: WriteTimeoutError | None = None

    def write(self, b: Any) -> int | None:
        """Write *b*; return how many bytes were taken, or None where a write would block.

        Raises:
            WriteTimeoutError: nothing more was taken in time.
            TransferError: any other failure.
        """
        stuck, self._stuck = self._stuck, None
        try:
            if stuck is not None:
                raise stuck
            return super().write(b)
        except WriteTimeoutError as error:
            if stuck is not None or not error.bytes_sent:
                raise
            self._stuck = error.with_traceback(None)
            return error.bytes_sent
        finally:
            del stuck  # its traceback holds this frame


_plain_makefile: Any = stdlib_class().makefile


def _made_with(raw: type[SocketIO]) -> Any:
    return rehomed(_plain_makefile, {**vars(stdlib), "SocketIO": raw})


_unbuffered, _buffered = _made_with(SocketIO), _made_with(BufferedSocketIO)


def makefile(
    self: Socket,
    mode: str = "r",
    buffering: int | None = None,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> Any:
    """Return a stream over the socket; limits and errors are those of ``recv_into`` and ``send``.

    After a timeout it cannot be read any more, as in the stdlib.

    Source: Python ``socket.makefile``, whose code this is.
    """
    if "b" not in set(mode):
        encoding = io.text_encoding(encoding)  # here, for its warning to name the caller's line
    make = _unbuffered if isinstance(buffering, int) and buffering == 0 else _buffered
    if not isinstance(self, _socket.socket):  # urllib3 borrows this for what it makes of pyOpenSSL
        make = _plain_makefile
    return make(self, mode, buffering, encoding=encoding, errors=errors, newline=newline)


makefile.__qualname__ = "socket.makefile"  # for what it says of bad arguments
