"""What has been changed where, so that it can be put back: the mechanism, without a policy.

``_install`` decides what is changed; it does so here and nowhere else. Nothing is put back that
somebody else has changed meanwhile: theirs stays, and what is ours below it passes every call on.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

MISSING: Any = object()

#: their copies are theirs: what they hold is the way to the system, not a user of it
_UNTOUCHED = ("safesocket", "_socket", "gevent", "eventlet", "wrapt")


class Change:
    """One name of a class or module, what it was before (or MISSING), and what it is now."""

    __slots__ = ("before", "name", "now", "owner")

    def __init__(self, owner: Any, name: str, before: Any, now: Any) -> None:
        self.owner = owner
        self.name = name
        self.before = before
        self.now = now

    def __str__(self) -> str:
        owner = self.owner
        place = owner.__name__ if isinstance(owner, ModuleType) else _class_name(owner)
        return f"{place}.{self.name}"

    def is_ours(self) -> bool:
        """Tell whether nobody has changed the name since."""
        return _namespace(self.owner).get(self.name, MISSING) is self.now

    def take_back(self) -> None:
        """Let the name be what it was before."""
        _assign(self.owner, self.name, self.before)


class Ledger:
    """The changes that are in force, in their order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._copies: list[tuple[FunctionType, Callable[..., Any]]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Let *owner*, a class or a module, have *value* under *name*."""
        before = _namespace(owner).get(name, MISSING)
        self.changes.append(Change(owner, name, before, value))
        _assign(owner, name, value)

    def copy(self, function: FunctionType, below: Callable[..., Any]) -> FunctionType:
        """Return a copy of *function* that can be made to pass every call on to *below*."""
        copied = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__
        )
        copied.__kwdefaults__ = function.__kwdefaults__
        copied.__doc__, copied.__qualname__ = function.__doc__, function.__qualname__
        copied.__annotations__ = dict(function.__annotations__)
        self._copies.append((copied, below))
        return copied

    def has(self, value: Any) -> bool:
        """Tell whether *value* is one of these copies."""
        return any(function_of(value) is copied for copied, _ in self._copies)

    def take_back(self) -> list[Change]:
        """Take back what is still ours; return what is not."""
        overlaid = []
        while self.changes:
            change = self.changes.pop()
            if change.is_ours():
                change.take_back()
            else:
                overlaid.append(change)
        while self._copies:
            _let_pass(*self._copies.pop())
        return overlaid


def _passing_on(self: Any, /, *args: Any, _below: Callable[..., Any], **kwargs: Any) -> Any:
    return _below(self, *args, **kwargs)


def _let_pass(copied: FunctionType, below: Callable[..., Any]) -> None:
    """Exchange the code of *copied*: whoever still holds it calls *below*.

    A test at the head of each function would do as well, and cost every call 4 %.
    """
    copied.__kwdefaults__ = {"_below": below}
    copied.__code__ = _passing_on.__code__
    copied.__defaults__ = None


def function_of(value: Any) -> Any:
    """Return the function in *value*, an entry of a class."""
    if type(value) is classmethod:
        return value.__func__
    return value.fget if type(value) is property else value


def only_passes_on(function: FunctionType) -> bool:
    """Tell whether *function* is a copy that has been taken back."""
    return function.__code__ is _passing_on.__code__


def holders(of: Mapping[int, Any]) -> Iterator[tuple[ModuleType, str, Any]]:
    """Yield the loaded modules that hold one of these objects: module, name and object.

    *of* has the objects by their ids. Modules are looked into by their dictionaries alone: lazy
    ones stay asleep.
    """
    wanted = of.keys()
    for name, module in list(sys.modules.items()):
        if not issubclass(type(module), ModuleType) or name.partition(".")[0] in _UNTOUCHED:
            continue
        namespace = _namespace(module)
        if wanted.isdisjoint(map(id, list(namespace.values()))):
            continue
        yield from ((module, k, v) for k, v in list(namespace.items()) if id(v) in of)


def _namespace(owner: Any) -> Any:
    if isinstance(owner, type):
        return vars(owner)
    return object.__getattribute__(owner, "__dict__")


def _assign(owner: Any, name: str, value: Any) -> None:
    if not isinstance(owner, type):
        namespace = _namespace(owner)
        if value is MISSING:
            namespace.pop(name, None)
        else:
            namespace[name] = value
    elif value is MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)


def _class_name(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"
