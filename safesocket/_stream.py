"""``makefile``: the stdlib's streams over a socket, with one more error explained.

Reading and writing are the socket's own ``recv_into`` and ``send``, limits and errors included.
Nothing else lives here.
"""

from __future__ import annotations

import socket as stdlib

from ._failing import fail
from ._namespace import rehomed
from .errors import SafeSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
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


_stdlib_makefile: Any = stdlib.socket.makefile
makefile = rehomed(_stdlib_makefile, {**vars(stdlib), "SocketIO": SocketIO})
