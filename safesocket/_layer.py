"""All that ``install()`` changes, as one layer: put on, added to, taken off.

Classes keep their identity: their methods are assigned. Module functions are wrapped, and so are
the copies that ``from socket import ...`` has made. What somebody else had replaced before stays
theirs.
"""

from __future__ import annotations

import _socket
import socket as stdlib
import sys
from types import MethodDescriptorType

from . import _sockets
from ._ledger import MISSING, Ledger, function_of, holders, seen_through
from ._lending import give_all_back
from ._overtaken import built_on
from ._replacements import WRAPPERS, is_of, is_own, methods, operations_of

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

    def patch_ssl(self) -> None:
        """Change the class of TLS sockets."""
        import ssl

        from . import ssl as ours

        self._patch(ssl.SSLSocket, operations_of(ours.SSLSocket))

    def _patch(self, owner: type, methods: Iterable[tuple[str, Any]]) -> None:
        for name, method in methods:
            before = seen_through(vars(owner).get(name, MISSING))
            if self.ledger.has(before):
                continue
            if before is not MISSING and not _is_stdlib(before, owner):
                self.left[f"{owner.__module__}.{owner.__qualname__}.{name}"] = before
                continue
            self.ledger.put(owner, name, self._copied(method, (owner, name), before), before)

    def _copied(self, method: Any, place: tuple[type, str], before: Any) -> Any:
        below = function_of(_inherited(*place) if before is MISSING else before)
        if isinstance(method, property):
            copied = self.ledger.copy(method.fget, place, before, below.__get__)  # type: ignore[arg-type]
            return property(copied, doc=method.__doc__)
        copied = self.ledger.copy(function_of(method), place, before, below)
        return classmethod(copied) if isinstance(method, classmethod) else copied

    def _wrap_functions(self) -> None:
        from ._wrapper import unwrapped

        known = {one.name for one in self.ledger.changes if one.owner is stdlib}
        for name, around in WRAPPERS.items():
            function = unwrapped(vars(stdlib)[name])
            if name in known and not is_own(function):
                continue
            self.ledger.put(stdlib, name, self._wrapped(function, around, name), function)
        for module, name, value in list(holders(self.plain)):
            self.ledger.put(module, name, self._wrappers[id(value)], value)

    def _wrapped(self, function: Any, around: Any, name: str) -> Any:
        from ._wrapper import Wrapper

        key = id(function)
        if key not in self.plain:
            self.plain[key] = function
            self._wrappers[key] = Wrapper(function, around, self.is_on, name)
        return self._wrappers[key]

    def take_back(self) -> tuple[str, ...]:
        """Undo what is still ours; let the rest pass calls on; return the names of the rest."""
        self._is_on = False
        overlaid = self.ledger.take_back()
        plain = {id(self._wrappers[key]): function for key, function in self.plain.items()}
        for module, name, value in list(holders(plain)):  # imported from us meanwhile
            vars(module)[name] = plain[id(value)]
        self._wrappers.clear()  # they hold this layer
        give_all_back(but=_sockets.socket)  # TLS: nobody polls any more
        return tuple(map(str, overlaid))


def _is_stdlib(value: Any, owner: type) -> bool:
    """Tell whether *value* does what the stdlib's *owner* has done from the start."""
    function = function_of(value)
    if type(function) is MethodDescriptorType:  # pytest-socket puts what was inherited back
        return function.__objclass__ is _socket.socket
    return is_of(sys.modules.get(owner.__module__), function)


def _inherited(owner: type, name: str) -> Any:
    """Return what *owner* would call under *name* if it did not have the name itself."""
    return next(vars(kind)[name] for kind in owner.__mro__[1:] if name in vars(kind))
