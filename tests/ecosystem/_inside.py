"""One run of a project's suite, within a network of its own: what ``unshare --net`` starts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.ecosystem import _network
from tests.ecosystem.projects import PROJECTS
from tests.ecosystem.servers import running

#: No test of a healthy suite takes as long; seconds.
TEST_TIMEOUT = 120
OPTIONS = (
    *("-p", "_ecosystem_plugin", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("-q", "-o", "addopts=", f"--timeout={TEST_TIMEOUT}", "--continue-on-collection-errors"),
)
#: Of pytest's, besides 0: tests failed, or none was left to run again.
HEALTHY = (0, 1)


def main() -> int:
    name, python, source, data, *tests = sys.argv[1:]
    project = PROJECTS[name]
    _network.begin(Path(data))
    with contextlib.ExitStack() as servers:
        for server in project.servers:
            servers.enter_context(running(server, Path(data, server), source))
        suite = [python, "-m", "pytest", *OPTIONS, *(tests or project.run)]
        status = subprocess.run(suite, cwd=source, env=environment(), check=False).returncode
    return 0 if status in HEALTHY else status


def environment() -> dict[str, str]:
    """Let the suite find safesocket and the plugin, and not our tests."""
    return os.environ | {"PYTHONPATH": os.environ["ECOSYSTEM_PATH"]}


if __name__ == "__main__":
    sys.exit(main())
