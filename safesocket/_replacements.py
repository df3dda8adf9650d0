"""What ``install()`` puts in the place of the stdlib's methods, and around its functions: tables.

Methods are the drop-in's but for those that name a class; functions are wrappers in the manner of
wrapt: of what they wrap, which may be somebody else's, of the arguments, and of nothing else.
Nothing is changed here.
"""

from __future__ import annotations

import socket as stdlib
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType

from . import _connect, _operations, _sockets
from ._failing import fail, plain_call, retell
from ._resolve import bounded
from ._system import stdlib_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from socket import socket as Socket
    from typing import Any

_SENTINEL: Any = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
_plain_init: Callable[..., None] = vars(stdlib_class())["__init__"]

#: what ``timeout=None`` means: "limit" or "forever"
_none_means = "limit"


def let_none_mean(meaning: str) -> None:
    """Say what ``timeout=None`` and ``settimeout(None)`` mean: "limit" or "forever"."""
    global _none_means
    _none_means = meaning


# --- In the place of methods, where the drop-in's would not do --------------------------------


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


def methods() -> Iterable[tuple[str, Any]]:
    """Return what is put into ``socket.socket``: names and functions."""
    chosen = {**_METHODS, **_MODES[_none_means]}
    return {**dict(operations_of(_sockets.socket)), **chosen}.items()


def operations_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class of the drop-in has in place of the stdlib's, as far as it is no object's.

    How an object is made and pickled is about its own class.
    """
    sorts = (FunctionType, classmethod, property)
    for name, value in vars(kind).items():
        if isinstance(value, sorts) and name not in vars(object):
            yield name, value


# --- Around functions -------------------------------------------------------------------------


def _getaddrinfo(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        question = _in_order(*args, **kwargs)
    except TypeError:
        return wrapped(*args, **kwargs)  # which says what is wrong with them
    return _looked_up("getaddrinfo", wrapped, question[:2], *question)


def _in_order(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002 (the stdlib's name)
    proto: int = 0,
    flags: int = 0,
) -> tuple[Any, ...]:
    return host, port, family, type, proto, flags


def _about_a_host(operation: str, wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    if len(args) != 1 or kwargs:
        return wrapped(*args, **kwargs)
    return _looked_up(operation, wrapped, (args[0], None), *args)


def _getnameinfo(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    try:
        if len(args) != 2 or kwargs:
            return wrapped(*args, **kwargs)
        return _looked_up("getnameinfo", wrapped, args[0], *args)
    finally:
        del args  # a failure's traceback keeps nothing of the caller's alive, as in C


def _looked_up(operation: str, wrapped: Any, asked: Any, *args: Any) -> Any:
    """Make a look-up of the stdlib's within the limit; somebody else's stays on this thread."""
    make = bounded if is_own(wrapped) else plain_call
    try:
        return make(operation, asked, wrapped, *args)
    finally:
        del asked, args  # see _getnameinfo


def is_own(function: Any) -> bool:
    """Tell whether *function* is the stdlib's own, not somebody's that stands in its place."""
    if type(function) is BuiltinFunctionType:
        return function.__module__ == "_socket"
    return is_of(stdlib, function)


def is_of(module: ModuleType | None, function: Any) -> bool:
    """Tell whether *function* was written in *module*; functools.wraps only says that it was."""
    if type(function) is not FunctionType or module is None:
        return False
    return function.__globals__ is vars(module)


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
    if getattr(wrapped, "__globals__", None) is not vars(stdlib):
        return wrapped(*args, **kwargs)  # somebody else's: its sockets are safe anyway
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
        _SENTINEL if timeout is stdlib._GLOBAL_DEFAULT_TIMEOUT else timeout,  # type: ignore[attr-defined]
        source_address,
        all_errors,
        none_is_forever=_none_means == "forever",
    )


WRAPPERS: dict[str, Callable[..., Any]] = {
    "create_connection": _create_connection,
    "create_server": _create_server,
    "dup": _dup,
    "getaddrinfo": _getaddrinfo,
    "gethostbyaddr": partial(_about_a_host, "gethostbyaddr"),
    "gethostbyname": partial(_about_a_host, "gethostbyname"),
    "gethostbyname_ex": partial(_about_a_host, "gethostbyname_ex"),
    "getnameinfo": _getnameinfo,
    "socketpair": _socketpair,
}
