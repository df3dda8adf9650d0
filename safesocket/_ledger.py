"""What has been changed where, so that it can be put back: the mechanism, without a policy.

``_layer`` decides what is changed; it does so here and nowhere else. Nothing is put back that
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
_BEFORE = "before"  # of a copy: what was in its place

#: their copies are theirs: what they hold is the way to the system, not a user of it
_UNTOUCHED = ("safesocket", "_socket", "gevent", "eventlet", "wrapt")
#: a module's dictionary, and nothing of the module's own: of some, to look at it loads them
_dictionary: Callable[[Any], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__


class Change:
    """One name of a class or module, what it was before (or MISSING), and what it is now."""

    __slots__ = ("before", "name", "now", "owner")

    def __init__(self, owner: Any, name: str, before: Any, now: Any) -> None:
        self.owner = owner
        self.name = name
        self.before = before
        self.now = now

    def __str__(self) -> str:
        return f"{self.place()}.{self.name}"

    def place(self) -> str:
        """Return the name of the class or module."""
        if _is_class(self.owner):
            return f"{self.owner.__module__}.{self.owner.__qualname__}"
        return str(_namespace(self.owner).get("__name__"))

    def is_ours(self) -> bool:
        """Tell whether nobody has changed the name since."""
        return _namespace(self.owner).get(self.name, MISSING) is self.now

    def is_there(self) -> bool:
        """Tell whether the name is not what it was before."""
        return _namespace(self.owner).get(self.name, MISSING) is not self.before

    def take_back(self) -> None:
        """Let the name be what it was before."""
        _assign(self.owner, self.name, self.before)


class Ledger:
    """The changes that are in force, in their order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._copies: list[tuple[FunctionType, Callable[..., Any]]] = []

    def put(self, owner: Any, name: str, value: Any, before: Any) -> None:
        """Let *owner*, a class or a module, have *value* under *name*, instead of *before*."""
        self.changes.append(Change(owner, name, before, value))
        _assign(owner, name, value)

    def copy(
        self, function: FunctionType, place: tuple[type, str], before: Any, below: Any
    ) -> FunctionType:
        """Return a copy of *function* for a *place*: a class and a name, where *before* has been.

        It can be made to pass every call on to *below*. It has the name that belongs to the
        place, by which a pickle finds it, and no annotations, as the stdlib's have none.
        """
        owner, name = place
        copied = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
        copied.__kwdefaults__ = function.__kwdefaults__
        copied.__doc__ = function.__doc__
        copied.__module__, copied.__qualname__ = owner.__module__, f"{owner.__qualname__}.{name}"
        vars(copied)[_BEFORE] = before
        self._copies.append((copied, below))
        return copied

    def has(self, value: Any) -> bool:
        """Tell whether *value* is one of these copies."""
        return any(function_of(value) is copied for copied, _ in self._copies)

    def take_back(self) -> list[Change]:
        """Take back what is still ours; return what is not."""
        overlaid = []
        while self.changes:  # removed when it is done: whoever is interrupted can go on
            change = self.changes[-1]
            if change.is_ours():
                change.take_back()
            elif change.is_there():
                overlaid.append(change)
            self.changes.pop()
        while self._copies:
            _let_pass(*self._copies[-1])
            self._copies.pop()
        return overlaid


def _passing_on(self: Any, /, *args: Any, _below: Callable[..., Any], **kwargs: Any) -> Any:
    return _below(self, *args, **kwargs)


def _let_pass(copied: FunctionType, below: Callable[..., Any]) -> None:
    """Exchange the code of *copied*: whoever still holds it calls *below*.

    A test at the head of each function would do as well, and cost every call 4 %. In this order:
    at each step a call from another thread finds what it needs.
    """
    copied.__kwdefaults__ = {**(copied.__kwdefaults__ or {}), "_below": below}
    copied.__code__ = _passing_on.__code__
    copied.__defaults__ = None


def function_of(value: Any) -> Any:
    """Return the function in *value*, an entry of a class."""
    if type(value) is classmethod:
        return value.__func__
    return value.fget if type(value) is property else value


def seen_through(value: Any) -> Any:
    """Return *value*, an entry of a class; where it is a copy that passes on, what it replaced.

    Somebody else may put such a copy back; without this, chains of them would grow.
    """
    while _only_passes_on(function := function_of(value)):
        value = vars(function)[_BEFORE]
    return value


def _only_passes_on(function: Any) -> bool:
    return type(function) is FunctionType and function.__code__ is _passing_on.__code__


def holders(of: Mapping[int, Any]) -> Iterator[tuple[ModuleType, str, Any]]:
    """Yield the loaded modules that hold one of these objects: module, name and object.

    *of* has the objects by their ids. Modules are looked into by their dictionaries alone: lazy
    ones stay asleep.
    """
    wanted = of.keys()
    modules = {id(module): (name, module) for name, module in list(sys.modules.items())}
    for name, module in modules.values():
        if not issubclass(type(module), ModuleType) or name.partition(".")[0] in _UNTOUCHED:
            continue
        namespace = _namespace(module)
        if wanted.isdisjoint(map(id, list(namespace.values()))):
            continue
        yield from ((module, k, v) for k, v in list(namespace.items()) if id(v) in of)


def _is_class(owner: Any) -> bool:
    return issubclass(type(owner), type)  # isinstance asks the object, and so may load it


def _namespace(owner: Any) -> Any:
    return vars(owner) if _is_class(owner) else _dictionary(owner)


def _assign(owner: Any, name: str, value: Any) -> None:
    if not _is_class(owner):
        _namespace(owner)[name] = value
    elif value is MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
