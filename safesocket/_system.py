"""The system as it is: the C methods and functions of sockets, captured once, and MSG_DONTWAIT.

Everything above calls these, never an attribute of a class that somebody may patch. Windows has
no MSG_DONTWAIT: there the wait-free try is a look with ``select`` and then the call. No policy
lives here.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
from time import monotonic as now  # captured: freezegun replaces time.monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["DONTWAIT", "now"]

_C = _socket.socket

accept = _C._accept  # type: ignore[attr-defined]
bind = _C.bind
connect = _C.connect
connect_ex = _C.connect_ex
detach = _C.detach
fileno = _C.fileno
getpeername = _C.getpeername
getsockname = _C.getsockname
getsockopt = _C.getsockopt
gettimeout = _C.gettimeout
listen = _C.listen
recv = _C.recv
recv_into = _C.recv_into
recvfrom = _C.recvfrom
recvfrom_into = _C.recvfrom_into
recvmsg = getattr(_C, "recvmsg", None)
recvmsg_into = getattr(_C, "recvmsg_into", None)
send = _C.send
sendall = _C.sendall
sendmsg = getattr(_C, "sendmsg", None)
sendmsg_afalg = getattr(_C, "sendmsg_afalg", None)
sendto = _C.sendto
setblocking = _C.setblocking
setsockopt = _C.setsockopt
settimeout = _C.settimeout
shutdown = _C.shutdown

family = _C.family.__get__  # type: ignore[attr-defined]
kind = _C.type.__get__  # type: ignore[attr-defined]

_MOST_MILLISECONDS = 2**31 - 1  # poll(2) takes an int


if hasattr(select, "poll"):
    _poll = select.poll  # captured: gevent replaces it
    READABLE: int = select.POLLIN
    WRITABLE: int = select.POLLOUT

    def ready(fd: int, events: int, seconds: float) -> bool:
        """Wait until *fd* is ready, or in error, for at most *seconds*; EINTR is retried."""
        poller = _poll()
        poller.register(fd, events)
        return bool(poller.poll(min(-(-seconds * 1000 // 1), _MOST_MILLISECONDS)))

else:
    _select = select.select
    READABLE, WRITABLE = 1, 4

    def ready(fd: int, events: int, seconds: float) -> bool:
        """Wait until *fd* is ready, or in error, for at most *seconds*."""
        reading = [fd] if events & READABLE else []
        writing = [fd] if events & WRITABLE else []
        # A connection that failed shows up as exceptional on Windows; MSDN, select function.
        return any(_select(reading, writing, writing, min(seconds, 86_400.0)))


if hasattr(_socket, "MSG_DONTWAIT"):
    DONTWAIT = int(_socket.MSG_DONTWAIT)
else:
    DONTWAIT = 1 << 30  # never reaches the system

    #: bytes; a blocking send of more may sleep although the socket is writable
    _MOST_AT_ONCE = 65_536

    def _reads(call: Callable[..., Any]) -> Callable[..., Any]:
        def read(sock: Any, *args: Any) -> Any:
            *most, flags = args
            _look(sock, READABLE, flags)
            return call(sock, *most, flags & ~DONTWAIT)

        return read

    def _writes(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(sock: Any, data: Any, flags: int, *address: Any) -> Any:
            _look(sock, WRITABLE, flags)
            if flags & DONTWAIT and kind(sock) == _socket.SOCK_STREAM:
                data = memoryview(data).cast("B")[:_MOST_AT_ONCE]
            return call(sock, data, flags & ~DONTWAIT, *address)

        return write

    def _look(sock: Any, events: int, flags: int) -> None:
        if not flags & DONTWAIT or gettimeout(sock) is not None or fileno(sock) < 0:
            return
        if not ready(fileno(sock), events, 0):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))

    recv, recv_into = _reads(recv), _reads(recv_into)
    recvfrom, recvfrom_into = _reads(recvfrom), _reads(recvfrom_into)
    send, sendto = _writes(send), _writes(sendto)
    if recvmsg is not None and recvmsg_into is not None and sendmsg is not None:
        # Only where a test hides MSG_DONTWAIT: Windows has none of the three.
        recvmsg, recvmsg_into = _reads(recvmsg), _reads(recvmsg_into)
        _sendmsg = sendmsg

        def sendmsg(sock: Any, buffers: Any, ancdata: Any, flags: int, address: Any) -> Any:
            _look(sock, WRITABLE, flags)
            return _sendmsg(sock, buffers, ancdata, flags & ~DONTWAIT, address)


if os.name == "nt":

    def waits_by_itself(sock: Any, option: int) -> bool:
        """Tell whether the program gave *sock* a timeout of the system's (*option*)."""
        return any(getsockopt(sock, _socket.SOL_SOCKET, option, 4))

else:
    from fcntl import F_GETFL, fcntl

    _SIZE_OF_TIMEVAL = 16  # bytes; 8 on 32-bit systems, which then return 8

    def waits_by_itself(sock: Any, option: int) -> bool:
        """Tell whether the program set up the waits of *sock* behind Python's back.

        That is O_NONBLOCK by fcntl or inherited with the descriptor, or SO_RCVTIMEO or
        SO_SNDTIMEO (*option*). Also where the socket is closed: the plain call says so best.
        """
        try:
            flags = fcntl(fileno(sock), F_GETFL)
            return bool(flags & os.O_NONBLOCK) or any(
                getsockopt(sock, _socket.SOL_SOCKET, option, _SIZE_OF_TIMEVAL)
            )
        except (OSError, ValueError):
            return True
