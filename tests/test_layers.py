"""The house is as its map says, and as its rules say: read from the source, nothing is run.

The map is in the docstring of the package, lowest module last.
"""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

import safesocket
from tests.helpers import printed

HOUSE = Path(safesocket.__file__).parent
CHECKOUT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(HOUSE).with_suffix("").parts): path for path in HOUSE.rglob("*.py")
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
#: Modules whose floor is that of their folder.
FLOORS = {name: name.partition(".")[0] for name in MODULES}

#: Imports that run upwards: only when a name is asked for, and what is there imports us.
UPWARDS = {
    ("errors", "_tlserrors"),  # two classes whose builtin parents live in ssl
    ("_install", "ssl"),  # when the program has imported ssl
    ("_layer", "ssl"),  # the same
}

each_module = pytest.mark.parametrize("name", sorted(MODULES))
functions = (ast.FunctionDef, ast.AsyncFunctionDef)
documented = (*functions, ast.ClassDef)


def floors():
    """The map, in reading order: the number of each module, the higher the lower in the house."""
    drawing = safesocket.__doc__.partition("The map of the house")[2]
    lines = [line for line in drawing.splitlines() if re.match(r"    \S", line)]
    modules = " ".join(re.split(r"\s{2,}", line.strip())[0] for line in lines)
    return {name: floor for floor, name in enumerate(re.findall(r"\w+", modules))}


def is_type_checking(node):
    """Tell whether *node* is ``if TYPE_CHECKING:``, whose body is never run."""
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def run(node, *, loading):
    """Yield what is below *node* and ever run; *loading*: while the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if loading and isinstance(child, functions):
            continue
        yield child
        below = ast.Module(child.orelse, []) if is_type_checking(child) else child
        yield from run(below, loading=loading)


def imports(name, *, loading=False):
    """Yield the full names of what the module *name* imports, and from where."""
    package = ["safesocket", *name.split(".")][: None if MODULES[name].stem == "__init__" else -1]
    if name == "__init__":
        package = ["safesocket"]
    for node in run(TREES[name], loading=loading):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def ours(name, *, loading=False):
    """The modules of the house that the module *name* imports."""
    every = (one.partition("safesocket.") for one in imports(name, loading=loading))
    return {rest for before, own, rest in every if own and not before} & MODULES.keys()


# The map.


def test_every_module_is_on_the_map():
    """The map shows every module, and none that is not there."""
    assert set(floors()) == set(FLOORS.values())


@each_module
def test_imports_run_downwards(name):
    """A module imports only what is below it on the map."""
    height, here = floors(), FLOORS[name]
    assert {
        there
        for there in {FLOORS[other] for other in ours(name)} - {here}
        if (here, there) not in UPWARDS and height.get(there, 0) <= height.get(here, 0)
    } == set()


def test_imports_are_found():
    """The comparison is about something: imports are seen, and those never run are not."""
    assert {"_timeouts", "_sockets", "_settings", "errors"} <= ours("__init__")
    assert "_tlserrors" in ours("errors") - ours("errors", loading=True)
    assert "_timeouts" not in ours("_route")
    assert "select" in set(imports("_system", loading=True))


def test_upward_imports_are_needed():
    """No exception stays on the list that nobody uses."""
    height = floors()
    for name, other in UPWARDS:
        assert other in ours(name) - ours(name, loading=True)
        assert height[other] < height[name]


def test_peers_stand_alone():
    """The misbehaving peers know nothing of what they are there to test."""
    assert ours("testing") | ours("_peers") == {"_peers"}


@each_module
def test_third_parties(name):
    """The package needs nothing but the stdlib; only the installer may import wrapt."""
    tops = {one.partition(".")[0] for one in imports(name)}
    allowed = {"wrapt"} if name == "_wrapper" else set()
    allowed.add("_xxsubinterpreters")  # is CPython's own, though it does not name it
    assert tops - sys.stdlib_module_names - {"safesocket"} <= allowed


def test_what_import_safesocket_loads():
    """Neither the façade nor anything that it loads imports wrapt, ssl or typing for it."""
    loaded, left = set(), {"__init__"}
    while left:
        name = left.pop()
        loaded.add(name)
        left |= ours(name, loading=True) - loaded
        tops = {one.partition(".")[0] for one in imports(name, loading=True)}
        assert not tops & {"wrapt", "ssl", "_ssl", "typing", "dataclasses", "asyncio"}, name
    assert {"_sockets", "_connect", "_resolve", "errors"} <= loaded


def test_no_module_hides_a_public_name():
    """No module bears the name of a public function or class, which importing it would replace."""
    assert not set(MODULES) & (set(safesocket.__all__) - {"errors"})


# The rules.


@each_module
def test_docstring_of_the_module(name):
    """Every module opens with a docstring whose first line is one sentence."""
    assert is_sentence(ast.get_docstring(TREES[name]))


@each_module
def test_docstrings(name):
    """Every public function, class and method has a docstring whose first line is one sentence."""
    assert [where for where, text in public(TREES[name]) if not is_sentence(text)] == []


def public(node, prefix=""):
    """Yield the place and the docstring of everything public below *node*."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, documented) and not child.name.startswith("_"):
            yield prefix + child.name, ast.get_docstring(child)
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.If, ast.Try)) and not is_type_checking(child):
            yield from public(child, prefix)


def is_sentence(text):
    """Tell whether the first line of *text* is one sentence, and stands alone."""
    first, *rest = (text or "").splitlines() or [""]
    whole = first.endswith((".", "…")) and not re.search(r"[.?!] [A-Z]", first)
    return whole and not any(rest[:1])


@each_module
def test_no_long_functions(name):
    """No function is longer than 40 lines, docstring and signature included."""
    lengths = {
        f"{node.name}, line {node.lineno}": node.end_lineno - node.lineno + 1
        for node in ast.walk(TREES[name])
        if isinstance(node, functions)
    }
    assert {where: lines for where, lines in lengths.items() if lines > 40} == {}


@each_module
def test_nothing_left_to_do(name):
    """No module puts off work."""
    assert re.findall(r"TODO|FIXME|XXX|HACK", MODULES[name].read_text("utf-8")) == []


# The version.


def test_version():
    """The version is written once, in setup.cfg."""
    try:
        metadata.version("safesocket")
    except metadata.PackageNotFoundError:
        pytest.skip("safesocket is not installed")
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg", "utf-8")
    assert safesocket.__version__ == setup["metadata"]["version"]


def test_version_where_it_is_not_installed(tmp_path):
    """A copy in somebody's folder has no version: an attribute that is not there."""
    shutil.copytree(HOUSE, tmp_path / "safesocket", ignore=shutil.ignore_patterns("__pycache__"))
    script = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import safesocket
        print(hasattr(safesocket, "__version__"))
    """
    assert printed(script, "-I", "-S") == "False"
