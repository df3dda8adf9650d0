"""A project's venv and its source, made once and kept in a folder of the machine's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.ecosystem.projects import Project

#: In every venv: wrapt is all that safesocket needs.
COMMON = ("pytest", "pytest-timeout", "wrapt", "setuptools", "wheel")
PACKAGE = Path(__file__).resolve().parents[2] / "safesocket"


class Place:
    """Where one project's things are."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder / project.name
        self.python = self.folder / "venv" / "bin" / "python"

    def prepare(self, interpreter: str) -> None:
        """Make the venv, fetch the source; not again what is there."""
        made = self.folder / "made.json"
        wanted = json.dumps([interpreter, self.project, COMMON])
        if made.exists() and made.read_text() == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        subprocess.run([interpreter, "-m", "venv", self.folder / "venv"], check=True)
        self._pip("install", *COMMON, *self.project.requires)
        only_source = ("--no-binary", self.project.name, "--no-deps")
        self._pip("download", *only_source, "-d", str(self.folder), self.project.pinned)
        self._pip("install", str(self._archive()))
        made.write_text(wanted)

    def _pip(self, *arguments: str) -> None:
        quiet = ("-qq", "--disable-pip-version-check")
        subprocess.run([self.python, "-m", "pip", *arguments, *quiet], check=True)

    def _archive(self) -> Path:
        (archive,) = self.folder.glob("*.tar.gz")
        return archive

    @contextlib.contextmanager
    def laid_out(self) -> Iterator[tuple[Path, Path]]:
        """Yield the folder of a run, the same for every run, and the source, unpacked afresh."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(self._archive()) as archive:
            archive.extractall(folder / "source", filter="data")
        self._make_path(folder / "path")
        (source,) = (folder / "source").iterdir()
        yield folder, source
        shutil.rmtree(folder, ignore_errors=True)

    def _make_path(self, target: Path) -> None:
        """Make *target*, to go on sys.path: safesocket as it is now, and not its ``tests``.

        Projects have a ``tests`` of their own.
        """
        shutil.copytree(PACKAGE, target / PACKAGE.name)
        for name, file in (("_ecosystem_plugin", "_plugin"), *self.project.stand_ins):
            shutil.copy(Path(__file__).with_name(f"{file}.py"), target / f"{name}.py")

    def log_of(self, mode: str) -> Path:
        return self.folder / f"{mode}.log"


def interpreter_of(version: str) -> str:
    """Return the Python of a version such as 3.12, from PATH or from pyenv, or this one."""
    if not version:
        return sys.executable
    found = shutil.which(f"python{version}")
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python3"))
    if not found and not pyenv:
        raise SystemExit(f"no Python {version} on this machine")
    return found or str(pyenv[-1])
