"""The system as it is: the C methods and functions of sockets, captured once, and MSG_DONTWAIT.

Everything above calls these, never an attribute of a class that somebody may patch. Windows has
no MSG_DONTWAIT: there the wait-free try is a look with ``select`` and then the call. No policy
lives here.
"""

from __future__ import annotations

import _socket
import errno
import math
import os
import select
import sys
import time
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _own(module: Any) -> Any:
    """Return another copy of a *module* in C, whose functions nobody else has."""
    loader = module.__spec__.loader
    made = loader.create_module(module.__spec__)
    loader.exec_module(made)
    return made


#: The clock. freezegun replaces ``time.monotonic``, in every module that has it, before or after.
now: Callable[[], float] = _own(time).monotonic

_C = _socket.socket


def stdlib_class() -> Any:
    """Return the stdlib's class of sockets, also where somebody has replaced its name."""
    for kind in _C.__subclasses__():
        if kind.__module__ == "socket":
            return kind
    raise ImportError("the class socket.socket of the stdlib has been replaced and thrown away")


accept: Callable[..., tuple[int, Any]] = vars(_C)["_accept"]
bind: Callable[..., None] = _C.bind
connect: Callable[..., None] = _C.connect
connect_ex: Callable[..., int] = _C.connect_ex
detach = _C.detach
fileno = _C.fileno
getpeername = _C.getpeername
getsockname = _C.getsockname
getsockopt: Callable[..., Any] = _C.getsockopt
gettimeout = _C.gettimeout
listen: Callable[..., None] = _C.listen
recv: Callable[..., bytes] = _C.recv
recv_into: Callable[..., int] = _C.recv_into
recvfrom: Callable[..., tuple[bytes, Any]] = _C.recvfrom
recvfrom_into: Callable[..., tuple[int, Any]] = _C.recvfrom_into
recvmsg: Any = getattr(_C, "recvmsg", None)
recvmsg_into: Any = getattr(_C, "recvmsg_into", None)
send: Callable[..., int] = _C.send
sendall: Callable[..., None] = _C.sendall
sendmsg: Any = getattr(_C, "sendmsg", None)
sendmsg_afalg: Any = getattr(_C, "sendmsg_afalg", None)
sendto: Callable[..., int] = _C.sendto
setblocking = _C.setblocking
setsockopt: Callable[..., None] = _C.setsockopt
settimeout = _C.settimeout
shutdown: Callable[..., None] = _C.shutdown

family: Callable[[Any], int] = vars(_C)["family"].__get__
kind: Callable[[Any], int] = vars(_C)["type"].__get__
proto: Callable[[Any], int] = vars(_C)["proto"].__get__

_MOST_MILLISECONDS = 2**31 - 1  # poll(2) takes an int


if sys.platform != "win32" and hasattr(select, "poll"):
    _poll = select.poll  # captured: gevent replaces it
    READABLE: int = select.POLLIN
    WRITABLE: int = select.POLLOUT

    def ready(fd: int, events: int, seconds: float) -> bool:
        """Wait until *fd* is ready, or in error, for at most *seconds*; EINTR is retried."""
        poller = _poll()
        poller.register(fd, events)
        return bool(poller.poll(min(seconds * 1000, _MOST_MILLISECONDS)))

    def which_ready(fds: list[int], events: int, seconds: float) -> set[int]:
        """Return which of *fds* are ready, or in error; wait for the first as ``ready`` does."""
        poller = _poll()
        for fd in fds:
            poller.register(fd, events)
        return {fd for fd, _ in poller.poll(min(seconds * 1000, _MOST_MILLISECONDS))}

    _END = select.POLLHUP | getattr(select, "POLLRDHUP", 0)

    def _events(fd: int) -> int:
        poller = _poll()
        poller.register(fd, _END)
        return sum(events for _, events in poller.poll(0))

    def has_failed(fd: int) -> bool:
        """Tell whether an error is pending on *fd*, without taking it.

        POLLERR alone may be a message in the error queue: ip(7), IP_RECVERR.
        """
        both = select.POLLERR | select.POLLHUP
        return fd < 0 or _events(fd) & both == both

    def has_ended(fd: int) -> bool:
        """Tell whether nothing more will come on *fd* than is there."""
        return fd < 0 or bool(_events(fd) & _END)

else:  # pragma: no cover (Windows)
    _select = select.select
    READABLE, WRITABLE = 1, 4

    def ready(fd: int, events: int, seconds: float) -> bool:
        """Wait until *fd* is ready, or in error, for at most *seconds*."""
        return bool(which_ready([fd], events, seconds))

    def which_ready(fds: list[int], events: int, seconds: float) -> set[int]:
        """Return which of *fds* are ready, or in error; wait for the first as ``ready`` does."""
        reading = fds if events & READABLE else []
        writing = fds if events & WRITABLE else []
        # A connection that failed shows up as exceptional on Windows; MSDN, select function.
        return set().union(*_select(reading, writing, writing, min(seconds, 86_400.0)))

    def has_failed(fd: int) -> bool:  # noqa: ARG001
        """Tell whether an error is pending on *fd*; select cannot."""
        return False

    has_ended = has_failed


if hasattr(_socket, "MSG_DONTWAIT"):
    DONTWAIT = int(_socket.MSG_DONTWAIT)
else:  # pragma: no cover (tests/test_hangs.py runs it in processes that have no MSG_DONTWAIT)
    DONTWAIT = 1 << 30  # never reaches the system

    #: bytes; a blocking send of more may sleep although the socket is writable
    _MOST_AT_ONCE = 65_536

    #: a socket on which every call fails once its arguments have been looked at
    _NO_SOCKET = _C()
    _NO_SOCKET.close()

    def _reads(call: Callable[..., Any]) -> Callable[..., Any]:
        def read(sock: Any, *args: Any) -> Any:
            *most, flags = args
            _look(sock, READABLE, flags, call, *most)
            return call(sock, *most, flags & ~DONTWAIT)

        return read

    def _writes(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(sock: Any, data: Any, flags: int, *address: Any) -> Any:
            _look(sock, WRITABLE, flags, call, data, 0, *address)
            if flags & DONTWAIT and gettimeout(sock) is None:
                data = _first_part(sock, data)
            return call(sock, data, flags & ~DONTWAIT, *address)

        return write

    def _first_part(sock: Any, data: Any) -> Any:
        view = memoryview(data)
        if kind(sock) != _socket.SOCK_STREAM or view.nbytes <= _MOST_AT_ONCE:
            return data
        return (
            memoryview(view.tobytes())[:_MOST_AT_ONCE]
            if view.format != "B"
            else view[:_MOST_AT_ONCE]
        )

    def _look(sock: Any, events: int, flags: int, call: Callable[..., Any], *args: Any) -> None:
        """Raise BlockingIOError if *call* would sleep, and what it says of bad arguments."""
        if not flags & DONTWAIT or gettimeout(sock) is not None or fileno(sock) < 0:
            return
        if not ready(fileno(sock), events, 0):
            try:
                call(_NO_SOCKET, *args)
            except OSError:
                raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK)) from None

    recv, recv_into = _reads(recv), _reads(recv_into)
    recvfrom, recvfrom_into = _reads(recvfrom), _reads(recvfrom_into)
    send, sendto = _writes(send), _writes(sendto)
    if recvmsg is not None and recvmsg_into is not None and sendmsg is not None:
        # Only where a test hides MSG_DONTWAIT: Windows has none of the three.
        recvmsg, recvmsg_into = _reads(recvmsg), _reads(recvmsg_into)
        _whole_sendmsg = sendmsg

        def _sendmsg(sock: Any, buffers: Any, ancdata: Any, flags: int, address: Any) -> Any:
            _look(sock, WRITABLE, flags, _whole_sendmsg, buffers, ancdata, 0, address)
            return _whole_sendmsg(sock, buffers, ancdata, flags & ~DONTWAIT, address)

        sendmsg = _sendmsg


def os_error(number: int) -> OSError:
    """Return the exception for an errno, as C makes it."""
    if sys.platform == "win32":
        import ctypes

        return OSError(None, ctypes.FormatError(number).strip(), None, number)
    return OSError(number, os.strerror(number))


def timeout_of(sock: Any, option: int) -> float | None:
    """Return the timeout of the system's that the program gave *sock*: SO_RCVTIMEO …; seconds."""
    try:
        value = getsockopt(sock, _socket.SOL_SOCKET, option, _SIZE_OF_TIMEOUT)
    except OSError:  # closed: the plain call says so best, and at once
        return 0.0
    return _seconds(value) if value.strip(b"\0") else None  # any() takes 0.2 µs longer


if sys.platform == "win32":
    _SIZE_OF_TIMEOUT = 4  # bytes of a DWORD

    def set_timeout(sock: Any, option: int, seconds: float | None) -> bool:  # noqa: ARG001
        """Give *sock* a timeout of the system's, None for none; tell whether it has it now.

        Windows cuts the connection when it is over: SO_RCVTIMEO, MSDN.
        """
        return seconds is None

    def set_blocking(fd: int) -> None:
        """Leave *fd* as it is: nothing here has a timeout of the system's."""

    def is_nonblocking(sock: Any) -> bool:  # noqa: ARG001
        """Tell whether *sock* was made non-blocking behind Python's back; Windows cannot tell."""
        return False

    def _seconds(value: bytes) -> float:
        return int.from_bytes(value, sys.byteorder) / 1e3

else:
    _SIZE_OF_TIMEOUT = 16  # bytes of a struct timeval; on 32-bit systems 8, and 8 are returned
    _LONG = 8 if sys.maxsize > 2**32 else 4  # bytes of each of its members

    def set_timeout(sock: Any, option: int, seconds: float | None) -> bool:
        """Give *sock* a timeout of the system's, None for none; tell whether it has it now."""
        if seconds is not None and not seconds > 0:
            return False  # 0 would be none; socket(7)
        microseconds = math.ceil(min(seconds or 0, _LONGEST) * 1_000_000)
        members = (part.to_bytes(_LONG, sys.byteorder) for part in divmod(microseconds, 1_000_000))
        try:
            setsockopt(sock, _socket.SOL_SOCKET, option, b"".join(members))
        except OSError:  # closed, or another struct
            return False
        return True

    def set_blocking(fd: int) -> None:
        """Let *fd* block, whatever C takes it for."""
        os.set_blocking(fd, True)

    _LONGEST = 1_000_000  # seconds; what is longer goes on after that, polled
    _get_blocking = os.get_blocking

    def is_nonblocking(sock: Any) -> bool:
        """Tell whether *sock* is non-blocking behind Python's back: fcntl, or inherited so."""
        try:
            return not _get_blocking(fileno(sock))
        except OSError:  # closed: the plain call says so best
            return True

    def _seconds(value: bytes) -> float:
        half = len(value) // 2
        seconds, rest = (
            int.from_bytes(part, sys.byteorder) for part in (value[:half], value[half:])
        )
        return seconds + (rest & 0xFFFFFFFF) / 1e6  # macOS: 4 bytes, and 4 to fill up


def clear_timeouts(sock: Any) -> None:
    """Take back the timeouts of the system's that ``set_timeout`` has given *sock*."""
    for option in (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO):
        set_timeout(sock, option, None)


def waits_by_itself(sock: Any, option: int) -> bool:
    """Tell whether the program set up the waits of *sock* itself, behind Python's back.

    Asked before each wait, which costs two system calls. A short wait first, and the questions
    only if nothing has come, was measured to be slower: a near timer is dearer than they are.
    """
    return is_nonblocking(sock) or timeout_of(sock, option) is not None


def set_mode(sock: Any, seconds: float | None) -> None:
    """Give *sock* a timeout; if somebody has closed it meanwhile, only the object has it."""
    try:
        settimeout(sock, seconds)
    except OSError:
        if fileno(sock) >= 0:
            raise


_NONBLOCKING = int(getattr(_socket, "SOCK_NONBLOCK", 0))


def without_waiting(call: Callable[..., Any], sock: Any, *args: Any) -> Any:
    """Make *call* on *sock*, which has a timeout of its own, but not its wait.

    Its descriptor is non-blocking already, only C waits on its behalf, and cannot be told not
    to. So the call is made on another object with the same socket behind it.
    """
    adopt = partial(_C, family(sock), kind(sock) | _NONBLOCKING, proto(sock))
    try:  # both steps in C: a signal's handler that raises in between would leave a descriptor
        twin = next(map(adopt, map(_socket.dup, (fileno(sock),))))
    except OSError:  # closed, or no descriptor is free: then its own timeout has to do
        return call(sock, *args)
    try:
        if fileno(sock) < 0:  # closed meanwhile: the number may have been somebody else's by then
            return call(sock, *args)
        if not _NONBLOCKING:
            settimeout(twin, 0)
        return call(twin, *args)
    finally:
        twin.close()
