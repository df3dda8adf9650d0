"""One suite of CPython's in one mode: run as a script, in a process of its own.

    python _child.py MODE SUITE RESOURCES UNFIT EVENTS [TEST]

Here live the modes, and what it takes to run a suite as ``python -m test SUITE`` does: quietly,
in an empty directory, with no resource enabled but those named in RESOURCES (``-u`` there:
network, cpu and so on; "" is its default too). UNFIT is JSON: what this machine cannot run.
Nothing is compared here and nothing of ``test`` is imported at the top. EVENTS gets one line of
JSON per event, at once, so that a crash or a hang loses none; TEST is the id of the only test to
run. The exit status tells no more than whether the run came to its end.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import random
import sys
import unittest
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, TextIO, TypeAlias

#: Entered before anything of ``test`` is imported, and left when the suite has been: there a
#: mode makes sure that it took. Gives the words for what stands in.
Mode: TypeAlias = Callable[[], AbstractContextManager[str]]

#: Seconds one test may take before the process is cut off; the slowest of test_socket takes 3.
WATCHDOG = 60.0

#: The name under which a run as a whole fails.
LEFT_BEHIND = "(left something behind)"

#: The descriptor: tests put other things in the place of sys.stderr.
STDERR = 2

#: Seconds: safesocket's default limit for reads. If this one is in force, all defaults are.
DEFAULT_READ = 300


@contextmanager
def plain() -> Iterator[str]:
    """The stdlib as it is."""
    yield "the stdlib's socket"
    require("safesocket" not in sys.modules, "safesocket was imported in a plain run")


@contextmanager
def drop_in() -> Iterator[str]:
    """``import socket`` means safesocket, with its default timeouts."""
    stdlib = importlib.import_module("socket")
    safesocket = importlib.import_module("safesocket")
    sys.modules["socket"] = safesocket
    yield f"safesocket of {safesocket.__file__}"
    require_in_place(stdlib, safesocket)
    require_default_timeouts(safesocket)


@contextmanager
def install() -> Iterator[str]:
    """The stdlib's own socket and ssl, made safe in place, with the default timeouts."""
    safesocket = importlib.import_module("safesocket")
    socket = importlib.import_module("socket")
    safesocket.install()  # for good: the tests are run when this is left
    yield f"the stdlib's socket with install() of {safesocket.__file__}"
    module = socket.socket.recv.__globals__["__name__"]
    require(module.startswith("safesocket."), f"socket.socket.recv is {module}'s")
    require_default_timeouts(safesocket)


#: A further mode is one more function here, and its suites in __main__.
MODES: dict[str, Mode] = {"plain": plain, "drop-in": drop_in, "install": install}


def require(truth: object, otherwise: str) -> None:
    if not truth:
        raise RuntimeError(f"this run would prove nothing: {otherwise}")


def require_in_place(stdlib: ModuleType, standing_in: ModuleType) -> None:
    """Nobody but the stand-in itself may still hold the stdlib's module or its class."""
    helper = importlib.import_module("test.support.socket_helper")
    require(helper.socket is standing_in, "the stand-in did not reach test.support.socket_helper")
    for name, module in list(sys.modules.items()):
        if module is standing_in or name.startswith(f"{standing_in.__name__}."):
            continue
        for key, value in list(getattr(module, "__dict__", {}).items()):
            held = value is stdlib or value is stdlib.socket
            require(not held, f"{name}.{key} is still the stdlib's")


def require_default_timeouts(safesocket: ModuleType) -> None:
    exists = hasattr(safesocket, "get_timeouts")
    require(exists, "safesocket.get_timeouts() is not there to tell the limits in force")
    read = safesocket.get_timeouts().read
    require(read == DEFAULT_READ, f"not the default read timeout is in force, but {read}")


def load(suite: str, resources: str) -> unittest.TestSuite:
    """Import a suite as ``python -m test`` does; decorators ask for resources at import."""
    enabled = resources.split(",")
    vars(importlib.import_module("test.support")).update(use_resources=enabled, verbose=0)
    listen()
    try:
        package = "test" if suite.startswith("test_") else "tests.conformance.suites"
        module = importlib.import_module(f"{package}.{suite}")
    except unittest.SkipTest as skip:
        return unittest.TestSuite([skipped(str(skip))])
    return unittest.TestLoader().loadTestsFromModule(module)


def skipped(reason: str) -> unittest.TestCase:
    """A suite that cannot be run here, as its one test."""

    def whole_suite() -> None:
        raise unittest.SkipTest(reason)

    return unittest.FunctionTestCase(whole_suite)


def listen() -> None:
    """Have errors that nobody sees, in threads and finalizers, count as left behind."""
    hooks = importlib.import_module("test.libregrtest.utils")
    hooks.setup_unraisable_hook()
    hooks.setup_threading_excepthook()


def altered() -> bool:
    """Tell whether threads, processes or unseen errors were left behind; the log says which."""
    support = importlib.import_module("test.support")
    support.gc_collect()
    support.reap_children()
    return bool(support.environment_altered)


def flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


class Recorder(unittest.TestResult):
    """Writes down every event at once, and arms the watchdog anew for every test."""

    def __init__(self, events: TextIO) -> None:
        super().__init__()
        self._events = events

    def record(self, test: Any, mark: str, text: str = "") -> None:
        """A subtest speaks for its test."""
        self.write(getattr(test, "test_case", test).id(), mark, text)

    def write(self, name: str, mark: str, text: str = "") -> None:
        print(json.dumps([name, mark, text]), file=self._events, flush=True)

    def startTest(self, test: unittest.TestCase) -> None:
        watch()
        self.record(test, "started")
        super().startTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.record(test, "ok")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.record(test, f"skip({reason})")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.record(test, "FAIL", self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.record(test, "ERROR", self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is None:
            return
        failed = issubclass(err[0], test.failureException)
        (self.addFailure if failed else self.addError)(subtest, err)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.record(test, "expectedFailure")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.record(test, "unexpectedSuccess")


def watch() -> None:
    """Give whatever comes now WATCHDOG seconds; then say where every thread is, and die."""
    faulthandler.dump_traceback_later(WATCHDOG, exit=True, file=STDERR)


def run(
    mode: str,
    suite: str,
    resources: str,
    unfit: dict[str, str],
    chosen: Collection[str],
    events: TextIO,
) -> None:
    """Run the tests of a suite, or only the *chosen*, in their order."""
    with MODES[mode]() as standing_in:
        every = flatten(load(suite, resources))
        tests = unittest.TestSuite(test for test in every if is_chosen(test, chosen))
    require(tests.countTestCases(), f"{suite} has no test {' '.join(chosen)}")
    print(f"{mode}: {standing_in}", flush=True)
    random.seed(0)  # the same "random" test data in both runs
    skip(tests, unfit)
    recorder = Recorder(events)
    tests.run(recorder)
    if altered():
        recorder.write(LEFT_BEHIND, "ERROR")


def skip(tests: unittest.TestSuite, unfit: dict[str, str]) -> None:
    """Skip the *unfit* (start of an id -> reason) as CPython's own decorators do."""
    for test in tests:
        for start, reason in unfit.items():
            if test.id().startswith(start):
                unittest.skip(reason)(type(test))


def is_chosen(test: unittest.TestCase, chosen: Collection[str]) -> bool:
    return not chosen or test.id() in chosen


def main(mode: str, suite: str, resources: str, unfit: str, path: str, *chosen: str) -> None:
    del sys.path[0]  # this directory
    faulthandler.enable()
    watch()
    with open(path, "w", encoding="utf-8") as events:
        run(mode, suite, resources, json.loads(unfit), chosen, events)
    watch()  # for the exit: a thread left behind would hold it up


if __name__ == "__main__":
    main(*sys.argv[1:])
