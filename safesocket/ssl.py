"""A drop-in for the stdlib's ssl module: contexts made here make safe sockets.

    import safesocket.ssl as ssl

Every name of the running stdlib ``ssl`` is here, the very same object but for what is made
safer: the classes ``SSLSocket`` and ``SSLContext``, and the functions that make contexts. TLS
sockets have limits (``handshake``, ``read``, ``write``) and documented errors, whatever socket
they are made of, and show the program the mode that it has set.
"""

from __future__ import annotations

import ssl as _stdlib

from . import (
    _lending,
    _tls,
    create_connection,  # noqa: F401 (get_server_certificate looks it up here)
)
from ._namespace import fill as _fill
from ._sockets import socket


class SSLSocket(_stdlib.SSLSocket, socket):  # type: ignore[misc]
    """A TLS socket that does not hang silently and says what failed; in all else the stdlib's.

    Made by :meth:`SSLContext.wrap_socket`.
    Source: Python ``ssl.SSLSocket``.
    """

    _create = classmethod(_tls.create)
    detach = _tls.detach
    do_handshake = _tls.do_handshake
    getblocking = _lending.getblocking
    gettimeout = _lending.gettimeout
    read = _tls.read
    send = _tls.send
    sendall = _tls.sendall
    sendfile = _tls.sendfile
    shutdown = _tls.shutdown
    timeout = _lending.timeout
    unwrap = _tls.unwrap
    write = _tls.write


class SSLContext(_stdlib.SSLContext):
    """The stdlib's context, but for the class of the sockets that it makes.

    Source: Python ``ssl.SSLContext``.
    """

    sslsocket_class = SSLSocket


_fill(globals(), _stdlib)

__all__ = [name for name in vars(_stdlib) if not name.startswith("_")]
