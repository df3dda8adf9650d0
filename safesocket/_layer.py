"""All that ``install()`` changes, as one layer: put on, added to, taken off.

The only file that imports wrapt (when a layer is put on). Classes keep their identity: their
methods are assigned. Module functions are wrapped, and so are the copies that
``from socket import ...`` has made. What somebody else had replaced before stays theirs.
"""

from __future__ import annotations

import _socket
import socket as stdlib
import sys
from types import FunctionType

from . import _sockets
from ._ledger import MISSING, Ledger, function_of, holders, only_passes_on
from ._lending import give_all_back
from ._overtaken import built_on
from ._replacements import WRAPPERS, is_own, methods, operations_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Layer:
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
        self.left.clear()
        self._patch(built_on(stdlib.socket, "socket"), methods())
        self._wrap_functions()
        if "ssl" in sys.modules:
            self.patch_ssl()

    def patch_ssl(self) -> None:
        """Change the class of TLS sockets."""
        import ssl

        from . import ssl as ours

        self._patch(ssl.SSLSocket, operations_of(ours.SSLSocket))

    def _patch(self, owner: type, methods: Iterable[tuple[str, Any]]) -> None:
        for name, method in methods:
            before = vars(owner).get(name, MISSING)
            if self.ledger.has(before):
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

        known = {one.name for one in self.ledger.changes if one.owner is stdlib}
        for name, wrapper in WRAPPERS.items():
            function = vars(stdlib)[name]
            if name in known and not is_own(function):
                continue
            if id(function) not in self.plain:
                self.plain[id(function)] = function
                self._wrappers[id(function)] = wrapt.FunctionWrapper(function, wrapper, self.is_on)
            self.ledger.put(stdlib, name, self._wrappers[id(function)])
        for module, name, value in list(holders(self.plain)):
            self.ledger.put(module, name, self._wrappers[id(value)])

    def take_back(self) -> None:
        """Undo what is still ours; let the rest pass calls on."""
        self._is_on = False
        self.ledger.take_back()
        give_all_back(but=_sockets.socket)  # TLS: nobody polls any more
        plain = {id(self._wrappers[key]): function for key, function in self.plain.items()}
        for module, name, value in list(holders(plain)):  # imported from us meanwhile
            vars(module)[name] = plain[id(value)]


def _is_stdlib(value: Any, owner: type) -> bool:
    """Tell whether *value* does what the stdlib's *owner* has done from the start."""
    function = function_of(value)
    if type(function) is not FunctionType:  # in C: pytest-socket puts what was inherited back
        return getattr(function, "__objclass__", None) is _socket.socket
    return function.__module__ == owner.__module__ or only_passes_on(function)


def _below(owner: type, name: str) -> Any:
    """Return what *owner* calls under *name* now."""
    for kind in owner.__mro__:
        if name in vars(kind):
            found = vars(kind)[name]
            return found.__func__ if isinstance(found, classmethod) else found
    raise AttributeError(name)
