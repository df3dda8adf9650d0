"""A drop-in for the stdlib's socket module that does not hang and says what failed.

    import safesocket as socket

Every name of the running stdlib ``socket`` is here, the very same object but for what is made
safer: the class ``socket``, the functions that make sockets, and the look-ups. On top come
:class:`Timeouts`, :func:`configure`, :class:`timeouts`, :func:`set_timeouts`,
:func:`get_timeouts`, :class:`deadline`, :func:`remaining`, :data:`FOREVER`, :func:`waiting`,
:class:`profile`, :mod:`safesocket.errors`, and for old code :func:`install`, :func:`uninstall`,
:class:`installed`, :func:`is_installed` and :class:`Exemption`. Importing this package changes
nothing anywhere.

The map of the house; imports run downwards only:

    __main__, _cli/   the commands: run, probe, demo, errors
    _startup/         what a program goes through that ``run`` starts
    testing, _peers   real misbehaving peers (public), and what they are made of; they stand alone
    ssl               the drop-in for ssl (public)
    __init__          this façade
    _install          install() and uninstall(): who has asked for it
    _reach            what install() has reached, and what it cannot
    _layer            all that install() changes
    _wrapper          around a function; the only one that imports wrapt
    _replacements     what it puts in the place of what: tables
    _ledger           what has been changed where, and how it is put back
    _profile          profile(): what the program sees of one
    _profiling/       what a profile makes of waits and failures: sums, a timeline, a page
    _tls              the life of a TLS socket: made, hands shaken, goodbye said
    _tlsio            reading and writing over TLS
    _tlswait          the waits of TLS
    _lending          the mode of a TLS socket, lent: who keeps its limits, what the program sees
    _sockets          class socket
    _settings         configure, set_timeouts, get_timeouts
    _alarm            configure(warn_after=): waits that go on for too long
    _watch            a thread that looks at other threads, again and again
    _waits            the waits in progress, as values
    _sightings        from a stack that was seen to what is told of its wait
    _stacks           what the stacks of all threads tell of waits
    _stream           makefile
    _connect          create_connection: one budget for the look-up and all addresses
    _race             addresses raced against each other, RFC 8305
    _attempts         which of many failures is told, and how
    _budget           the time of one create_connection
    _sendfile         sendfile
    _reading _writing _connecting _operations     the operations, plain functions of a socket
    _waitall          MSG_WAITALL with a limit
    _wait             would block -> which limit -> poll: the only place that sleeps
    _resolve          look-ups, and names in addresses, within their limit
    _lookups          the threads that look up: the only other place that waits
    _failing          from a failure to what the program sees: the only place that raises
    _recorder         who is told of waits and failures, if anybody is
    _surroundings     a look around after a failure: which is worth which look, one table
    _ports            who holds a port, whether any is left, who listens elsewhere
    _networks         addresses, routes and name servers of this machine
    _paths            paths of AF_UNIX: what is missing, forbidden, dead or in use
    _descriptors      no descriptor is left: what has used them up
    _proc             what /proc shows: sockets, processes, users
    _exempt           which code and which peers are exempt from the limits
    _translate        (operation, OSError, route) -> documented error: one table, pure
    _hints            what to look at next
    _hostnames        what is odd about a host name that was not found
    _tlshints         what to look at next when TLS failed
    _tcphints         what to look at next by what the kernel knows of the connection
    _tlserrors        the errors that need ssl
    errors            the exception tree (public)
    _redaction        hosts as they may be shown
    _evidence         the class of what the kernel knows, when somebody asks for it
    _wording          the one sentence of an error
    _scope            which limit governs which socket: one table
    _route            whom a socket talks to: what is remembered
    _tcpinfo          what the kernel knows of a TCP connection
    _hosts            which hosts are numbers: what needs no look-up
    _plain            what the program passed, as C reads it
    _roles            how a socket came to be
    _addresses        which addresses are tried, in which order
    _timeouts         the limits of the process and of blocks, and who decides
    _deadline         one budget for everything in a block
    _limits           a limit as a value
    _system           the C methods, the clock, poll
    _overtaken        whether somebody else has replaced the stdlib's sockets
    _namespace        the stdlib's functions with our names
"""

from __future__ import annotations

import socket as _stdlib

from . import _alarm, _connect, errors
from ._deadline import deadline, remaining
from ._exempt import Exemption
from ._failing import plain_call as _plain_call
from ._failing import retell as _retell
from ._install import (
    Installation,
    install,
    installed,
    is_installed,
    uninstall,
)
from ._namespace import fill as _fill
from ._namespace import rehomed as _rehomed
from ._operations import pair as _pair
from ._overtaken import InstallError
from ._profile import profile
from ._reach import Report
from ._resolve import (  # noqa: F401 (in the stdlib's __all__)
    getaddrinfo,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    getnameinfo,
)
from ._settings import configure, get_timeouts, set_timeouts
from ._sockets import socket
from ._stream import SocketIO
from ._timeouts import FOREVER, Timeouts, timeouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._waits import Wait, waiting

_GLOBAL_DEFAULT_TIMEOUT: Any = _stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


def create_connection(
    address: tuple[Any, Any],
    timeout: float | None = _GLOBAL_DEFAULT_TIMEOUT,
    source_address: Any = None,
    *,
    all_errors: bool = False,
) -> socket:
    """Connect to *address*, a host and a port, and return the socket.

    The ``connect`` timeout, or *timeout*, both in seconds, is one budget for the whole call: the
    look-up and all addresses of the host. *timeout*, if given, is the socket's timeout
    afterwards; without it, or ``setdefaulttimeout``, the socket is in blocking mode. None, said
    by the program, means for ever, the look-up included.

    The addresses are raced: the next one is tried after 0.25 s, or at once when one has failed,
    while the earlier attempts go on; the first to connect wins. Where that cannot be, as with a
    port in *source_address*, each address in turn gets a share of the time. What
    ``configure(family=, happy_eyeballs=)`` says is respected.

    Raises:
        ConnectTimeoutError, ConnectRefusedError, UnreachableError, HostNotFoundError, …: as
            :meth:`socket.connect`; the most telling of them is raised, and its ``attempts``
            tell what became of each address.
        ConnectError: all of these.
        ExceptionGroup: of these errors, with *all_errors*.
    Source: Python ``socket.create_connection``; RFC 8305.
    """
    made: Any = _connect.create_connection(
        socket, getaddrinfo, address, timeout, source_address, all_errors
    )
    return made  # type: ignore[no-any-return]


def create_server(
    address: Any,
    *,
    family: int = _stdlib.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """Return a TCP socket that is bound to *address*, a host and a port, and listens.

    Raises:
        AddressInUseError, BindDeniedError, AddressNotAvailableError: as :meth:`socket.bind`.
        BindError: any other failure to bind.
        ValueError: this system has not what was asked for.
    Source: Python ``socket.create_server``, whose code this is.
    """
    try:
        made: Any = _create_server(
            address,
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
            dualstack_ipv6=dualstack_ipv6,
        )
    except OSError as exc:
        _retell(exc, "bind", address)
    return made  # type: ignore[no-any-return]


def dup(fd: int, /) -> int:
    """Return a duplicate of the descriptor *fd*; it is not inheritable.

    Raises:
        ResourceError: no descriptor is free.
        SocketClosedError: *fd* is not open.
    Source: dup(2); Python ``socket.dup``.
    """
    return _plain_call("dup", None, _stdlib.dup, fd)


def socketpair(
    family: int | None = None,
    type: int = _stdlib.SOCK_STREAM,  # noqa: A002 (the stdlib's name)
    proto: int = 0,
) -> tuple[socket, socket]:
    """Return a pair of connected sockets; no limits apply: the program talks to itself.

    Raises:
        ResourceError: no descriptors are free.
        SocketOperationError: the system has no such pairs.
    Source: socketpair(2); Python ``socket.socketpair``, whose code this is.
    """
    try:
        ends: Any = _socketpair(family, type, proto)
    except OSError as exc:
        _retell(exc, "socketpair", None)
    _pair(*ends)
    return ends  # type: ignore[no-any-return]


_fill(globals())
_alarm.heed_environment()
if hasattr(_stdlib, "_fallback_socketpair"):  # from Python 3.13 on, everywhere
    _tcp_pair: Any = _rehomed(_stdlib._fallback_socketpair, globals())

    def _fallback_socketpair(
        family: int = _stdlib.AF_INET,
        type: int = _stdlib.SOCK_STREAM,  # noqa: A002 (the stdlib's name)
        proto: int = 0,
    ) -> tuple[socket, socket]:
        """Return a pair of TCP sockets that are connected to each other."""
        ends: tuple[socket, socket] = _tcp_pair(family, type, proto)
        _pair(*ends)
        return ends


_socketpair: Any = _rehomed(_stdlib.socketpair, globals())  # type: ignore[arg-type]
_create_server: Any = _rehomed(_stdlib.create_server, globals())  # type: ignore[arg-type]

__all__ = [  # noqa: PLE0604 (the stdlib's are strings)
    *_stdlib.__all__,
    "Exemption",
    "FOREVER",
    "InstallError",
    "Installation",
    "Report",
    "SocketIO",
    "Timeouts",
    "Wait",
    "configure",
    "deadline",
    "errors",
    "get_timeouts",
    "install",
    "installed",
    "is_installed",
    "profile",
    "remaining",
    "set_timeouts",
    "timeouts",
    "uninstall",
    "waiting",
]


def __getattr__(name: str) -> Any:
    if name in ("Wait", "waiting"):  # for those who look; they load a fifth as much again
        from . import _waits

        globals().update(Wait=_waits.Wait, waiting=_waits.waiting)
        return globals()[name]
    if name == "__version__":  # importlib.metadata costs more to import than safesocket
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("safesocket")
        except PackageNotFoundError:  # a copy in somebody's folder
            pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
