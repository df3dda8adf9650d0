"""What the three suites of multiprocessing have in common: the tests that are about connections."""

from __future__ import annotations

import importlib
from typing import Any

#: parts of the names of CPython's test classes that listen, connect, send sockets, or serve
ABOUT_CONNECTIONS = ("Connection", "Listener", "Poll", "Manager", "Wait", "Heap")

#: what the module of tests must bring besides: they are set up by it
BY_NAME = ("setUpModule", "tearDownModule")


def connection_tests(start_method: str, module: str) -> dict[str, Any]:
    """Return the names of a *module* of these tests."""
    names: dict[str, Any] = {"__name__": module}
    every: Any = importlib.import_module("test._test_multiprocessing")
    every.install_tests_in_module_dict(names, start_method)
    return {name: value for name, value in names.items() if _is_wanted(name, value)}


def _is_wanted(name: str, value: Any) -> bool:
    if name in BY_NAME:
        return True
    return isinstance(value, type) and any(part in name for part in ABOUT_CONNECTIONS)
