"""Does real code type-check as before with ``import safesocket as socket``? One command.

    python tests/typing/real_code.py                  # all packages, about a minute
    python tests/typing/real_code.py anyio urllib3    # some

Needs pip, and this Python to have mypy and the wheel of safesocket. Typed packages that use
sockets are fetched from PyPI, all their imports of ``socket`` (and of ``ssl``, for
``safesocket.ssl``) are rewritten, and ``mypy --strict`` looks at the whole before and after. Errors
that were not there before are printed; one that is not explained here makes the exit status 1.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

#: package -> the distribution that it is in; versions pinned, so that it can be repeated
PACKAGES = {
    "aiohappyeyeballs": "aiohappyeyeballs==2.6.1",
    "anyio": "anyio==4.12.0",
    "dns": "dnspython==2.8.0",
    "httpcore": "httpcore==1.0.9",
    "redis": "redis==7.1.0",
    "tornado": "tornado==6.5.2",
    "trio": "trio==0.32.0",
    "urllib3": "urllib3==2.6.2",
    "uvicorn": "uvicorn==0.38.0",
    "websockets": "websockets==15.0.1",
}
#: what these import and declare as an extra, or not at all
OTHERS = ["h2", "httptools", "socksio", "trio"]

_NOT_OURS = "a socket that the stdlib made, given to what is now annotated with our class"
#: The errors that are right, and why.
EXPLAINED = {
    "urllib3/connection.py:355": f"{_NOT_OURS}: http.client.HTTPConnection.sock",
    "websockets/asyncio/server.py:548": f"{_NOT_OURS}: asyncio.Server.sockets",
    "websockets/legacy/server.py:868": f"{_NOT_OURS}: asyncio.Server.sockets",
}

SAFER = {"socket": "safesocket", "ssl": "safesocket.ssl"}
ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)$")


def rewritten(source: str) -> tuple[str, int]:
    """Return *source* with its imports of socket and ssl rewritten, and how many there were."""
    lines = source.splitlines(keepends=True)
    count = 0
    for node in ast.walk(ast.parse(source)):
        line = node.lineno - 1 if isinstance(node, ast.Import | ast.ImportFrom) else 0
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} & SAFER.keys():
            names = ", ".join(_alias(alias) for alias in node.names)
            begin, end = node.col_offset, node.end_col_offset
            lines[line] = f"{lines[line][:begin]}import {names}{lines[line][end:]}"
            count += 1
        elif isinstance(node, ast.ImportFrom) and node.module in SAFER and not node.level:
            begin = node.col_offset
            rest = lines[line][begin:].replace(node.module, SAFER[node.module], 1)
            lines[line] = lines[line][:begin] + rest
            count += 1
    return "".join(lines), count


def _alias(alias: ast.alias) -> str:
    if alias.name in SAFER:
        return f"{SAFER[alias.name]} as {alias.asname or alias.name}"
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def rewrite(package: Path) -> int:
    """Rewrite a package; return how many imports were rewritten."""
    total = 0
    for path in package.rglob("*.py"):
        text, count = rewritten(path.read_text("utf-8"))
        path.write_text(text, "utf-8")
        total += count
    return total


def errors(folder: Path, packages: list[str]) -> Counter[tuple[str, str, str]]:
    """Return the errors that ``mypy --strict`` finds: file, line, text in the stdlib's names."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"]
    command += [part for name in packages for part in ("-p", name)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    found = [ERROR.match(line) for line in done.stdout.splitlines()]
    return Counter(
        (error["file"], error["line"], as_stdlib(error["text"])) for error in found if error
    )


def as_stdlib(text: str) -> str:
    """Return what mypy says of our classes as it would say it of the stdlib's."""
    return text.replace("safesocket.ssl.", "ssl.").replace("safesocket.", "socket.")


def fetch(folder: Path, packages: list[str]) -> None:
    """Put the packages and what they need into *folder*."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:"]
    wanted = [PACKAGES[name] for name in packages]
    others = [name for name in OTHERS if name not in packages]
    subprocess.run([*pip, "--target", str(folder), *wanted, *others], check=True)
    (folder / "typing_extensions.py").unlink(missing_ok=True)  # mypy has its own


def main(packages: list[str]) -> int:
    """Fetch, check, rewrite, check again, and tell."""
    with tempfile.TemporaryDirectory() as place:
        before, after = Path(place, "before"), Path(place, "after")
        fetch(before, packages)
        shutil.copytree(before, after)
        for name in packages:
            print(f"{PACKAGES[name]}: {rewrite(after / name)} imports rewritten")
        old, new = errors(before, packages), errors(after, packages)
    print(f"errors before: {old.total()}, after: {new.total()}")
    worse = [(f"{file}:{line}", text) for file, line, text in sorted((new - old).elements())]
    for where, text in worse:
        print(f"{where}: {text}\n    {EXPLAINED.get(where, 'NOT EXPLAINED')}")
    return any(where not in EXPLAINED for where, _ in worse)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PACKAGES)))
