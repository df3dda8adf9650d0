"""The life of a TLS socket: made, hands shaken, goodbye said, the mode given back.

Plain functions of an ``SSLSocket``: ``safesocket.ssl.SSLSocket`` takes them as its methods, with
those of ``_tlsio``, and they serve the stdlib's own class. Who waits is ``_tlswait``.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

from . import (
    _system,
    _tlserrors,  # noqa: F401 (needed at a failure: to load it then takes a descriptor)
)
from ._deadline import running
from ._failing import fail, mode_of
from ._lending import give_back, poll_in_time
from ._namespace import rehomed
from ._overtaken import plain_tls
from ._roles import ACCEPTED
from ._route import carry_over, is_numeric, note, recall
from ._scope import HANDSHAKE
from ._system import now
from ._tlswait import go_on
from ._wait import check_deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from ssl import SSLSocket as Plain
    from typing import Any

if not TYPE_CHECKING:
    Plain = plain_tls()  # or the import ends here: gevent and eventlet replace the class

#: It looks the name up, and eventlet, which replaces that, puts it back only for what is ssl's.
_plain_create: Callable[..., Any] = rehomed(
    vars(Plain)["_create"].__func__, {**vars(ssl), "SSLSocket": Plain}
)
_plain_do_handshake = Plain.do_handshake
_plain_shutdown = Plain.shutdown
_plain_detach = Plain.detach
_plain_unwrap = Plain.unwrap


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
    if self._sslobj is None:  # type: ignore[attr-defined]
        return _plain_do_handshake(self, block)  # closed, or TLS has ended: it says so
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
    try:
        _in_time(sock, "do_handshake", shake)
    finally:
        give_back(sock)


def _in_time(sock: ssl.SSLSocket, operation: str, call: Callable[[], Any]) -> Any:
    """Make *call* within the ``handshake`` limit."""
    if running:
        check_deadline(sock, operation)
    poll_in_time(sock, HANDSHAKE)
    return go_on(sock, operation, HANDSHAKE, now(), None, call)


def _remember_the_name(sock: ssl.SSLSocket) -> None:
    """Note the host that the program wants, if it has connected to a number."""
    name: Any = sock.server_hostname
    known = note(sock)
    if name and (known.asked is None or is_numeric(known.asked)):
        address = known.asked or _peer(sock)
        if isinstance(address, tuple):  # a path says more than the name
            known.asked, known.address = (name, *address[1:2]), address
            known.peer = None


def _peer(sock: ssl.SSLSocket) -> Any:
    with suppress(OSError):  # gone again
        return _system.getpeername(sock)


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
    below = _in_time(self, "unwrap", sslobj.shutdown)
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
