"""install(): the stdlib's own classes and functions made safe in place, and put back.

The only file that decides about other modules, and the only one that imports wrapt (when it is
called). Classes keep their identity: their methods are assigned, so sockets that are open, names
imported earlier and subclasses of other libraries are covered. Module functions are wrapped, and
so are the copies that ``from socket import ...`` has made. What somebody else had replaced
before stays theirs.
"""

from __future__ import annotations

import _thread
import os
import socket as stdlib
import sys
from functools import partial
from types import FunctionType

from . import _connect, _exempt, _operations, _sockets
from ._failing import fail, plain_call, retell
from ._ledger import MISSING, Ledger, holders
from ._system import stdlib_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from socket import socket as Socket
    from types import ModuleType, TracebackType
    from typing import Any, Literal, TypeAlias

    from ._exempt import Exemption
    from ._reach import Report

    NoneMeans: TypeAlias = Literal["limit", "forever"]

_SENTINEL: Any = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
_plain_init: Callable[..., None] = vars(stdlib_class())["__init__"]
_plain_create_connection = stdlib.create_connection


class InstallError(RuntimeError):
    """``install()`` is not possible and has changed nothing; the text says what to do."""


# --- What takes the place of the stdlib's methods, where the drop-in's would not do -----------


def _init(
    self: Socket,
    family: int = -1,
    type: int = -1,  # noqa: A002 (the stdlib's name)
    proto: int = -1,
    fileno: int | None = None,
) -> None:
    try:
        _plain_init(self, family, type, proto, fileno)
    except OSError as exc:
        fail(self, exc, "socket")
    if fileno is not None:
        _operations.adopt(self)


def _accept(self: Socket) -> tuple[Socket, Any]:
    """Wait for a client, as long as it takes; return the connection and its address."""
    return _operations.accept_as(stdlib.socket, self)


_METHODS = {"__init__": _init, "accept": _accept}
_MODES: dict[str, dict[str, Any]] = {
    "limit": {
        "settimeout": _operations.settimeout_as_mode,
        "setblocking": _operations.setblocking_as_mode,
    },
    "forever": {},
}


# --- What is wrapped around the stdlib's functions --------------------------------------------


def _about_a_host(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    """Make a look-up of a host, or of a host and a port."""
    given = (*args, *kwargs.values(), None)
    asked = (given[0], given[1] if len(given) > 2 else None)
    return plain_call(wrapped.__name__, asked, partial(wrapped, **kwargs), *args)


def _about_an_address(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        return plain_call(wrapped.__name__, args[:1] and args[0], partial(wrapped, **kwargs), *args)
    finally:
        del args  # a failure's traceback keeps nothing of the caller's alive, as in C


def _dup(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    return plain_call("dup", None, partial(wrapped, *args, **kwargs))


def _create_server(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except OSError as exc:
        retell(exc, "bind", args[0] if args else kwargs.get("address"))


def _socketpair(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        ends = wrapped(*args, **kwargs)
    except OSError as exc:
        retell(exc, "socketpair", None)
    _operations.pair(*ends)
    return ends


def _create_connection(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    if wrapped is not _plain_create_connection:  # somebody else's: its sockets are safe anyway
        return wrapped(*args, **kwargs)
    return create_connection(*args, **kwargs)


def create_connection(
    address: tuple[Any, Any],
    timeout: float | None = _SENTINEL,
    source_address: Any = None,
    *,
    all_errors: bool = False,
) -> Socket:
    """Connect to *address* by the class and the look-up that ``socket`` has now."""
    return _connect.create_connection(
        stdlib.socket,
        stdlib.getaddrinfo,
        address,
        timeout,
        source_address,
        all_errors,
        none_is_forever=_none_means == "forever",
    )


_WRAPPERS: dict[str, Callable[..., Any]] = {
    "create_connection": _create_connection,
    "create_server": _create_server,
    "dup": _dup,
    "getaddrinfo": _about_a_host,
    "gethostbyaddr": _about_a_host,
    "gethostbyname": _about_a_host,
    "gethostbyname_ex": _about_a_host,
    "getnameinfo": _about_an_address,
    "socketpair": _socketpair,
}


# --- One layer of changes, however often it is asked for --------------------------------------


class _Layer:
    """What ``install()`` has changed."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.left: dict[str, Any] = {}  #: name -> what somebody else had put there before
        self.plain: dict[int, Any] = {}  #: id -> function of the stdlib's that has a wrapper
        self._wrappers: dict[int, Any] = {}  #: id of a function -> its wrapper
        self._is_on = True

    def is_on(self) -> bool:
        """Tell whether the wrappers do more than pass calls on."""
        return self._is_on

    def apply(self) -> None:
        """Change what is not changed yet: the first time everything, later what has come."""
        self._patch(_built_on(), _methods())
        self._wrap_functions()
        if "ssl" in sys.modules:
            self.patch_ssl()

    def patch_ssl(self) -> None:
        """Change the class of TLS sockets."""
        import ssl

        from . import ssl as ours

        self._patch(ssl.SSLSocket, _operations_of(ours.SSLSocket))

    def _patch(self, owner: type, methods: Iterable[tuple[str, Any]]) -> None:
        for name, method in methods:
            before = vars(owner).get(name, MISSING)
            if _is_ours(before):
                continue
            if before is not MISSING and not _is_stdlib(before, owner):
                self.left[f"{owner.__module__}.{owner.__qualname__}.{name}"] = before
                continue
            self.ledger.put(owner, name, self._copied(method, _below(owner, name)))

    def _copied(self, method: Any, below: Any) -> Any:
        if isinstance(method, classmethod):
            function: Any = method.__func__
            return classmethod(self.ledger.copy(function, below))
        if isinstance(method, property):
            return property(self.ledger.copy(method.fget, below.__get__), doc=method.__doc__)  # type: ignore[arg-type]
        return self.ledger.copy(method, below)

    def _wrap_functions(self) -> None:
        import wrapt

        for name, wrapper in _WRAPPERS.items():
            function = vars(stdlib)[name]
            if id(function) in {id(one) for one in self._wrappers.values()}:
                continue
            wrapped = wrapt.FunctionWrapper(function, wrapper, self.is_on)
            self.plain[id(function)] = function
            self._wrappers[id(function)] = wrapped
            self.ledger.put(stdlib, name, wrapped)
        for module, name, value in list(holders(self.plain)):
            self.ledger.put(module, name, self._wrappers[id(value)])

    def take_back(self) -> None:
        """Undo what is still ours; let the rest pass calls on."""
        self._is_on = False
        self.ledger.take_back()
        plain = {id(self._wrappers[key]): function for key, function in self.plain.items()}
        for module, name, value in list(holders(plain)):  # imported from us meanwhile
            vars(module)[name] = plain[id(value)]


def _methods() -> Iterable[tuple[str, Any]]:
    chosen = {**_METHODS, **_MODES[_none_means]}
    return {**dict(_operations_of(_sockets.socket)), **chosen}.items()


def _operations_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class of the drop-in has in place of the stdlib's."""
    sorts = (FunctionType, classmethod, property)
    return ((name, value) for name, value in vars(kind).items() if isinstance(value, sorts))


def _built_on() -> type[Socket]:
    """Return the stdlib's class that is in use; there is none where somebody does without it."""
    for kind in stdlib.socket.__mro__:
        if kind.__module__ == "socket":
            return kind
    theirs = stdlib.socket
    raise InstallError(
        f"socket.socket is {theirs.__module__}.{theirs.__qualname__}, which is not built on the "
        "stdlib's class: its waits are its own, and safesocket cannot reach them. Install "
        "safesocket before it, or use the timeouts that it has; nothing has been changed"
    )


def _is_stdlib(value: Any, owner: type) -> bool:
    """Tell whether *value* is what the stdlib's *owner* has had from the start."""
    function = value.__func__ if type(value) is classmethod else value
    return type(function) is FunctionType and function.__module__ == owner.__module__


def _is_ours(value: Any) -> bool:
    function = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return type(function) is FunctionType and function.__module__.partition(".")[0] == "safesocket"


def _below(owner: type, name: str) -> Any:
    """Return what *owner* calls under *name* now."""
    for kind in owner.__mro__:
        if name in vars(kind):
            found = vars(kind)[name]
            return found.__func__ if isinstance(found, classmethod) else found
    raise AttributeError(name)


# --- What a user calls ------------------------------------------------------------------------

_lock = _thread.RLock()
_layer: _Layer | None = None
_installations: list[Installation] = []
_none_means: NoneMeans = "limit"
_waits_for_ssl = False


class Installation:
    """One call of ``install()``; the changes last until every one of them is taken back.

    A context manager, too: leaving the block is :meth:`uninstall`.
    """

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

    def uninstall(self) -> None:
        """Take this call of ``install()`` back; a second time nothing happens."""
        with _lock:
            if self in _installations:
                _installations.remove(self)
                if not _installations:
                    _take_back()

    def report(self) -> Report:
        """Return what is changed, and what could not be reached and why."""
        from . import _reach

        with _lock:
            return _reach.report(_layer)


def install(*, none: NoneMeans = "limit", exempt: Iterable[str | Exemption] = ()) -> Installation:
    """Make the stdlib's sockets, and those of everybody who uses them, safe in this process.

    For applications, at start-up; never for libraries. It can be called again, also to reach
    names that were imported meanwhile; as often as that it has to be taken back.

    Args:
        none: what ``settimeout(None)`` and ``timeout=None`` mean, which many libraries pass
            without a thought: "limit", the limits of safesocket apply; "forever", as it says.
        exempt: code to be left alone: names of modules, such as "redis.*", or
            :class:`Exemption` for a host, a port, or other limits.

    Raises:
        InstallError: the sockets in use are not the stdlib's (gevent, eventlet), or safesocket
            is installed with other options; nothing has been changed.
        TypeError, ValueError: an argument is not what it may be.
    """
    if none not in ("limit", "forever"):
        raise ValueError(f"none must be 'limit' or 'forever', not {none!r}")
    exemptions = _exempt.checked(exempt)
    _prepare()
    with _lock:
        if _layer is None:
            _begin(none, exemptions)
        _check_options(none, exemptions)
        _apply()
        _installations.append(Installation())
        return _installations[-1]


def _begin(none: NoneMeans, exemptions: tuple[Exemption, ...]) -> None:
    global _layer, _none_means
    _built_on()  # or it is refused before anything is changed
    _none_means = none
    _exempt.put_in_force(exemptions)
    _layer = _Layer()


def _check_options(none: NoneMeans, exemptions: tuple[Exemption, ...]) -> None:
    if (none, exemptions) != (_none_means, _exempt.in_force()):
        raise InstallError(
            "safesocket is installed already, with other options: "
            f"none={_none_means!r}, exempt={list(_exempt.in_force())!r}"
        )


def _apply() -> None:
    try:
        if _layer is not None:
            _layer.apply()
    except BaseException:
        if not _installations:
            _take_back()
        raise


def _prepare() -> None:
    """Import what will be needed, and have ssl changed when it comes, without holding the lock."""
    global _waits_for_ssl
    import wrapt

    if "ssl" in sys.modules:
        from . import ssl  # noqa: F401
    if not _waits_for_ssl:
        _waits_for_ssl = True
        wrapt.register_post_import_hook(_ssl_has_come, "ssl")


def _ssl_has_come(module: ModuleType) -> None:  # noqa: ARG001
    if _layer is None:
        return
    from . import ssl  # noqa: F401 (before the lock: whoever holds it must not wait for us)

    with _lock:
        if _layer is not None:
            _layer.patch_ssl()


def _take_back() -> None:
    global _layer
    layer, _layer = _layer, None
    _exempt.put_in_force(())
    if layer is not None:
        layer.take_back()


def uninstall() -> None:
    """Take the latest ``install()`` back; without one, nothing happens.

    When every call of ``install()`` is taken back, all is as it was. What somebody else has put
    on top of ours stays, and what is ours below it only passes calls on.
    """
    with _lock:
        if _installations:
            _installations[-1].uninstall()


def is_installed() -> bool:
    """Tell whether ``install()`` is in force."""
    return _layer is not None


class installed:  # a context manager reads as a verb
    """``install()`` for one block: ``with safesocket.installed(): ...``; for all threads.

    Takes the arguments of :func:`install` and raises what it raises, on entering.
    """

    def __init__(
        self, *, none: NoneMeans = "limit", exempt: Iterable[str | Exemption] = ()
    ) -> None:
        self._install = partial(install, none=none, exempt=tuple(exempt))
        self._entered: list[Installation] = []

    def __enter__(self) -> Installation:
        self._entered.append(self._install())
        return self._entered[-1]

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.pop().uninstall()


def _renew_lock() -> None:
    global _lock
    _lock = _thread.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
