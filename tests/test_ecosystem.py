"""The runner of other people's suites: what it records of a suite, and what its tables say.

Nothing of other people's is run here; ``python -m tests.ecosystem`` does that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.__main__ import read_events
from tests.conformance._compare import tabulate
from tests.ecosystem.projects import TABLE
from tests.ecosystem.servers import SERVERS
from tests.helpers import GUARD

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "tests" / "ecosystem" / "_plugin.py"
SUITE = """
import socket
import pytest

def test_good(): pass
def test_bad(): assert False
def test_skipped(): pytest.skip("no reason")

@pytest.fixture
def broken(): raise OSError

def test_error(broken): pass

@pytest.mark.xfail
def test_expected(): assert False

def test_installed(): assert "recv" in vars(socket.socket)
"""
COMMON = {
    "test_suite.py::test_bad": ("FAIL",),
    "test_suite.py::test_error": ("ERROR",),
    "test_suite.py::test_expected": ("expectedFailure",),
    "test_suite.py::test_good": ("ok",),
    "test_suite.py::test_skipped": ("skip(no reason)",),
}


def recorded(folder, mode, suite):
    """Run *suite* as a project's is run; return pytest's exit status and the record."""
    (folder / "test_suite.py").write_text(suite)
    shutil.copy(PLUGIN, folder / "_ecosystem_plugin.py")
    (folder / "events").touch()
    paths = os.pathsep.join((str(folder), str(ROOT)))
    environ = {"ECOSYSTEM_MODE": mode, "ECOSYSTEM_EVENTS": str(folder / "events")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "_ecosystem_plugin", "-q", "test_suite.py"],
        cwd=folder,
        env={**os.environ, **environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        timeout=GUARD,
        check=False,
    )
    return done.returncode, tabulate(read_events(folder / "events"))


@pytest.mark.parametrize(("mode", "installed"), [("plain", "FAIL"), ("install", "ok")])
def test_a_suite_is_recorded(tmp_path, mode, installed):
    """Every test has its outcome; in one mode install() is in force."""
    status, table = recorded(tmp_path, mode, SUITE)
    assert status == 1
    assert table == {**COMMON, "test_suite.py::test_installed": (installed,)}


def test_a_suite_that_takes_safesocket_away_proves_nothing(tmp_path):
    """Its run counts as broken."""
    suite = "import safesocket\ndef test_undo(): safesocket.uninstall()"
    assert recorded(tmp_path, "install", suite) == (70, {"test_suite.py::test_undo": ("ok",)})


def test_the_projects_are_pinned_and_explained():
    """Each has a version and servers that there are; what is set apart has a reason."""
    for project in TABLE:
        assert re.fullmatch(r"\d+(\.\d+)+", project.version)
        assert set(project.servers) <= set(SERVERS)
        assert all("::" in test and reason for test, reason in project.set_apart)


def test_the_page_is_about_these_versions():
    """docs/compatibility.md has a row for each project, of the version in the table."""
    page = (ROOT / "docs" / "compatibility.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \| (\d[\d.]+) \| \d+ \|", page, re.MULTILINE)
    assert rows == [(project.name, project.version) for project in TABLE]
