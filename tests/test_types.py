"""What users' type checkers make of the installed wheel: slow, and so only with ``-m types``.

Needs ``pip install 'safesocket[types]'`` from a wheel: an editable install hides stubs. The
checkers run in an empty folder, on files from ``tests/typing``; nothing of the checkout is near.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import safesocket
from tests.test_stubs import STUBS, generate

pytestmark = [pytest.mark.types, pytest.mark.timeout(300)]

HERE = Path(__file__).parent / "typing"
SITE = Path(sysconfig.get_path("purelib"))
INSTALLED = SITE / "safesocket-stubs"
PLATFORMS = ("linux", "darwin", "win32")
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
each_platform = pytest.mark.parametrize("platform", PLATFORMS)
each_version = pytest.mark.parametrize("version", VERSIONS)

_TOOL = Path(sys.executable).parent
#: checker -> its command; the file to check comes last
CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"],
    "pyright": [_TOOL / "pyright", "--pythonpath", sys.executable],
    "ty": [_TOOL / "ty", "check", "--python", sys.executable, "--output-format", "concise"],
    "pyrefly": [
        *(_TOOL / "pyrefly", "check", "--python-interpreter-path", sys.executable),
        *("--preset", "strict", "--output-format", "min-text"),
    ],
}
each_checker = pytest.mark.parametrize("checker", CHECKERS)

#: The line that makes pyright strict; the rest of it until safesocket.ssl has landed.
STRICT = "# pyright: strict, reportMissingModuleSource=false\n"


def lacking(what):
    """Skip a test for want of something; fail in CI, where nothing may be wanting."""
    (pytest.fail if "CI_TYPES" in os.environ else pytest.skip)(f"{what} is not installed here")


@pytest.fixture(autouse=True)
def wheel():
    """The stubs are those of an installed wheel, not of the checkout."""
    if not INSTALLED.is_dir() or Path(safesocket.__file__).parent.parent != SITE:
        lacking("a wheel of safesocket")
    if not importlib.util.find_spec("mypy"):
        lacking("mypy")


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """A folder for mypy's caches, one for each platform."""
    return tmp_path_factory.mktemp("caches")


def run(command, place):
    """Return what *command* prints in the folder *place*."""
    environment = {**os.environ, "PYTHONPATH": "", "MYPYPATH": "", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.stdout or not done.returncode, command
    return done.stdout


def complaints(checker, file, place):
    """Return what *checker* says about *file*: line -> what it says."""
    (place / file).write_text(STRICT + (HERE / file).read_text("utf-8"), "utf-8")
    if not Path(CHECKERS[checker][0]).exists():
        lacking(checker)
    output = run([*CHECKERS[checker], file], place)
    found: dict[int, str] = {}
    for line in output.splitlines():
        if at := re.search(rf"{re.escape(file)}:(\d+)", line):
            number = int(at[1]) - STRICT.count("\n")
            found[number] = f"{found.get(number, '')}{line}\n"
    assert found or re.search(r"^$|0 errors|All checks passed", output), output
    return found


@each_checker
def test_right_uses_are_accepted(checker, tmp_path):
    """Every checker knows the whole public surface as precisely as ``api.py`` says."""
    assert complaints(checker, "api.py", tmp_path) == {}


@each_checker
def test_wrong_uses_are_refused(checker, tmp_path):
    """Every checker refuses each wrong use, and nothing else."""
    expected = dict(wrong_uses(checker))
    found = complaints(checker, "wrong.py", tmp_path)
    assert found.keys() == expected.keys()
    if checker == "mypy":
        assert {line for line, code in expected.items() if f"[{code}]" not in found[line]} == set()


def wrong_uses(checker):
    """Yield line and code of each use that *checker* must refuse."""
    for number, line in enumerate((HERE / "wrong.py").read_text("utf-8").splitlines(), 1):
        mark = re.search(r"# wrong: ([\w-]+)(?: \((.*)\))?$", line)
        if mark and checker in (mark[2] or checker).split(", "):
            yield number, mark[1]


def test_wrong_uses_are_many():
    """The file of wrong uses is read."""
    assert len(dict(wrong_uses("mypy"))) > 70
    assert len(dict(wrong_uses("ty"))) > 70


# The stdlib's names, and what they are.


class Names(NamedTuple):
    """What a stub of typeshed's exports on one platform and version."""

    module: list[str]
    classes: dict[str, list[str]]


#: Asking for these is an error, and the class itself, which is asked for, has them in its type.
_SKIPPED = ("__init__", "__new__", "__slots__")

OURS = {
    "socket": {"socket": ["socket", "_socket:socket"], "SocketIO": ["SocketIO"]},
    "ssl": {"SSLSocket": ["SSLSocket"], "SSLContext": ["SSLContext", "_ssl:_SSLContext"]},
}


def names_of(module, platform, version):
    """Return what typeshed lists for *module*, and for those of its classes that are ours."""
    major, minor = version.split(".")
    system = SimpleNamespace(platform=platform, version_info=(int(major), int(minor)))

    def there(names):
        return sorted({n.name for n in names if not n.test or eval(n.test, {"sys": system})})

    write = generate()
    return Names(
        there(write.exported(write.typeshed(module).read_text("utf-8"))),
        {
            ours: there(name for place in places for name in members(write, module, place))
            for ours, places in OURS[module].items()
        },
    )


def members(write, module, place):
    """Return the members that a class of typeshed's defines: ``class`` or ``module:class``."""
    elsewhere, _, name = place.rpartition(":")
    tree = ast.parse(write.typeshed(elsewhere or module).read_text("utf-8"))
    [found] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    return [
        n for n in write.exported(ast.unparse(ast.Module(found.body, []))) if n.name not in _SKIPPED
    ]


def questions(platform, version):
    """Yield pairs of expressions, the stdlib's and ours, and whether they name our class."""
    for module, ours in (("socket", "safesocket"), ("ssl", "safesocket.ssl")):
        names = names_of(module, platform, version)
        yield from ((f"{module}.{name}", f"{ours}.{name}") for name in names.module)
        for kind, attributes in names.classes.items():
            for name in attributes:
                yield f"a_{kind}.{name}", f"our_{kind}.{name}"


def file_of(pairs):
    """Return the text of a file that asks mypy for the type of each expression."""
    heading = ["import socket, ssl, safesocket, safesocket.ssl"]
    for module, ours in (("socket", "safesocket"), ("ssl", "safesocket.ssl")):
        for kind in OURS[module]:
            heading += [f"a_{kind}: {module}.{kind}", f"our_{kind}: {ours}.{kind}"]
    return "\n".join([*heading, *(f"reveal_type({one})" for pair in pairs for one in pair), ""])


def of_the_stdlib(text):
    """Return a type with the stdlib's class where ours stands."""
    text = re.sub(r"\bsafesocket\.ssl\.(?=SSL(Socket|Context)\b)", "ssl.", text)
    return re.sub(r"\bsafesocket\.(?=(socket|SocketIO)\b)", "socket.", text)


@each_version
@each_platform
def test_names(platform, version, tmp_path, caches):
    """Each name that typeshed lists is there, with the same type but for our classes."""
    pairs = list(questions(platform, version))
    assert len(pairs) > 450
    (tmp_path / "names.py").write_text(file_of(pairs), "utf-8")
    shutil.copy(HERE / "api.py", tmp_path)
    system = ["--platform", platform, "--python-version", version]
    command = [*CHECKERS["mypy"], "--cache-dir", caches / platform, *system]
    answers = run([*command, "names.py", "api.py"], tmp_path).splitlines()
    assert [line for line in answers if "note: Revealed type is" not in line] == []
    types = [line.partition("Revealed type is ")[2] for line in answers]
    assert len(types) == 2 * len(pairs)
    told = dict(zip(pairs, zip(types[::2], types[1::2], strict=True), strict=True))
    assert {pair: both for pair, both in told.items() if both[0] != of_the_stdlib(both[1])} == {}
    ours = {pair[1] for pair, both in told.items() if both[0] != both[1]}
    assert {"safesocket.create_connection", "our_socket.accept", "our_SSLSocket.accept"} <= ours


@each_platform
def test_stubs_themselves(platform, tmp_path, caches):
    """The stubs are right in themselves: mypy looks at them as at source."""
    shutil.copytree(INSTALLED, tmp_path / "safesocket")
    system = ["--platform", platform, "--python-version", "3.14"]
    command = [*CHECKERS["mypy"], "--cache-dir", caches / f"source-{platform}", *system]
    assert run([*command, "-p", "safesocket"], tmp_path) == ""


@pytest.mark.stubtest
def test_stubtest(tmp_path):
    """The stubs and the installed package agree, but for what the allowlist gives a reason for."""
    lists = [HERE / "allowlist.txt", *HERE.glob("pending.txt")]
    allowed = [part for file in lists for part in ("--allowlist", file)]
    command = [sys.executable, "-m", "mypy.stubtest", "safesocket", "--concise", *allowed]
    assert run(command, tmp_path) == ""


def test_allowlist_has_reasons():
    """Every entry of the allowlist stands below a comment that says why."""
    paragraphs = (HERE / "allowlist.txt").read_text("utf-8").strip().split("\n\n")
    assert all(paragraph.startswith("#") for paragraph in paragraphs)
    assert len(paragraphs) > 2


@pytest.mark.stubtest
def test_all():
    """``__all__`` of the stub is the stdlib's, as typeshed has it, and ours as it really is."""
    import socket

    write = generate()
    ours, theirs = (
        {name.name for name in write.exported(path.read_text("utf-8")) if name.listed}
        for path in (STUBS / "__init__.pyi", write.typeshed("socket"))
    )
    pending = "pending.txt" in os.listdir(HERE)
    really = set(safesocket.__all__) - set(socket.__all__)
    assert really <= ours - theirs
    assert pending or really == ours - theirs


def test_generated():
    """The stubs are up to date with the typeshed of the pinned mypy."""
    write = generate()
    pinned = re.search(r"^    mypy==(\S+)$", (HERE.parents[1] / "setup.cfg").read_text(), re.M)[1]
    for path in sorted(STUBS.glob("*.pyi")):
        block = write.BLOCK.search(path.read_text("utf-8"))
        assert (block[1] if block else pinned) == pinned
        if metadata.version("mypy") == pinned:
            assert write.generated(path) == path.read_text("utf-8")


@pytest.mark.stubtest
def test_installed_stubs():
    """The wheel has the stubs of the checkout, all of them."""
    for path in sorted(STUBS.iterdir()):
        assert (INSTALLED / path.name).read_bytes() == path.read_bytes()
