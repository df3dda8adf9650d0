"""What runs inside pytest: install() before anything else, and a record of what happened.

Loaded by ``-p`` before the project's own code. The record is what ``tests.conformance`` calls
events: the test's id, what happened to it, why. The runs differ in one environment variable.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

INSTALLED = os.environ["ECOSYSTEM_MODE"] == "install"
NOT_IN_FORCE = 70  # exit status: somebody has taken safesocket away

if INSTALLED:
    import safesocket

    safesocket.install()
    _stdlib_class = socket.socket  # PySocks' own tests put another there

_record = open(os.environ["ECOSYSTEM_EVENTS"], "a", buffering=1, encoding="utf-8")  # noqa: SIM115
_process = os.getpid()


def _note(test: str, mark: str, text: str = "") -> None:
    if os.getpid() == _process:  # a forked test is told of by its parent
        _record.write(json.dumps((test, mark, text)) + "\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    _note(nodeid, "started")


def pytest_runtest_logreport(report: Any) -> None:
    if report.skipped:
        xfailed = hasattr(report, "wasxfail")
        _note(report.nodeid, "expectedFailure" if xfailed else f"skip({_reason(report)})")
    elif report.failed:
        _note(report.nodeid, "FAIL" if report.when == "call" else "ERROR", report.longreprtext)
    elif report.when == "call":
        _note(report.nodeid, "ok")


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        _note(report.nodeid, "ERROR", report.longreprtext)


def _reason(report: Any) -> str:
    *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longrepr,)
    return str(reason).removeprefix("Skipped: ")


def pytest_sessionfinish(session: Any) -> None:
    if INSTALLED and not _in_force():
        session.exitstatus = NOT_IN_FORCE


def pytest_unconfigure() -> None:
    _record.close()


def _in_force() -> bool:
    return safesocket.is_installed() and "recv" in vars(_stdlib_class)
