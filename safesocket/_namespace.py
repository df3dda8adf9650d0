"""A namespace of the stdlib's, ``socket`` or ``ssl``, with our names in it; nothing else.

Functions of the stdlib that make sockets (``create_server``, ``socketpair``, ``fromfd``, …) look
their names up in the module they were written in. Here the same code gets another module to
look in: nothing is copied, so signatures, texts and fixes are always those of the running Python.
"""

from __future__ import annotations

import socket as stdlib
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STDLIB = ("socket", "ssl")
#: What belongs to a module itself, not to its users.
_OF_THE_MODULE = frozenset({"__all__", "__builtins__", "__cached__", "__doc__", "__file__"}) | {
    "__loader__",
    "__name__",
    "__package__",
    "__path__",
    "__spec__",
}


def rehomed(function: FunctionType, namespace: dict[str, Any]) -> Any:
    """Return the stdlib's *function* looking its globals up in *namespace*.

    What gevent or eventlet have put in its place is theirs, and returned as it is.
    """
    if function.__module__ not in _STDLIB:
        return function
    made = FunctionType(
        function.__code__,
        namespace,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__annotations__ = dict(function.__annotations__)
    return made


def fill(namespace: dict[str, Any], module: ModuleType = stdlib) -> None:
    """Give the module *namespace* every name of the stdlib's *module* that it does not define.

    What *module* has under two names is one object under both here, too.
    """
    safer = (vars(module).keys() & namespace.keys()) - _OF_THE_MODULE
    made: dict[int, Any] = {}
    for name, value in vars(module).items():
        if name in _OF_THE_MODULE or name in namespace:
            continue
        if _uses(value, safer, module) and id(value) not in made:
            made[id(value)] = rehomed(value, namespace)
        namespace[name] = made.get(id(value), value)


def _uses(value: Any, names: set[str], module: ModuleType) -> bool:
    """Tell whether *value* is a function of the stdlib's module that looks up one of *names*."""
    if not isinstance(value, FunctionType) or value.__module__ != module.__name__:
        return False
    return not names.isdisjoint(value.__code__.co_names)
