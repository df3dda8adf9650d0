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
    _tlsio,
    create_connection,  # noqa: F401 (get_server_certificate looks it up here)
)
from ._namespace import fill as _fill
from ._namespace import rehomed as _rehomed
from ._overtaken import built_on as _built_on
from ._sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext as _PlainContext
    from ssl import SSLSocket as _PlainSocket
    from typing import Any
else:  # truststore and others replace the name
    _PlainContext, _PlainSocket = _built_on(_stdlib.SSLContext, "ssl"), _tls.Plain


class SSLSocket(_PlainSocket, socket):  # type: ignore[misc]
    """A TLS socket that does not hang silently and says what failed; in all else the stdlib's.

    Made by :meth:`SSLContext.wrap_socket`.
    Source: Python ``ssl.SSLSocket``.
    """

    _create = classmethod(_tls.create)
    detach = _tls.detach
    do_handshake = _tls.do_handshake
    getblocking = _lending.getblocking
    gettimeout = _lending.gettimeout
    read = _tlsio.read
    send = _tlsio.send
    sendall = _tlsio.sendall
    sendfile = _tlsio.sendfile
    shutdown = _tls.shutdown
    timeout = _lending.timeout
    unwrap = _tls.unwrap
    write = _tlsio.write


def _firm_properties() -> Iterator[tuple[str, property]]:
    """Yield the properties of a context, set whatever ``ssl.SSLContext`` is by then.

    The stdlib's setters look that name up; where truststore has replaced it, they would call
    themselves for ever.
    """
    names: dict[str, Any] = {**vars(_stdlib), "SSLContext": _PlainContext}
    for name, value in vars(_PlainContext).items():
        if isinstance(value, property) and value.fset is not None:
            setter = _rehomed(value.fset, names)  # type: ignore[arg-type]
            yield name, property(value.fget, setter, doc=value.__doc__)


class SSLContext(_PlainContext):
    """The stdlib's context, but for the class of the sockets that it makes.

    It is built on the stdlib's own class also where truststore has replaced that, and so
    verifies certificates as OpenSSL does.

    Source: Python ``ssl.SSLContext``.
    """

    sslsocket_class = SSLSocket


for _name, _property in _firm_properties():
    setattr(SSLContext, _name, _property)
del _name, _property


_fill(globals(), _stdlib)
