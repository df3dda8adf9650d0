"""The stubs say what the source says: annotations, docstrings, operations; no type checker here.

stubtest compares names and parameters (``test_types``); what it does not look at is here.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import safesocket
from safesocket import _wording

CHECKOUT = Path(__file__).parents[1]
STUBS = CHECKOUT / "stubs" / "safesocket-stubs"
MODULES = {
    path.stem: "safesocket" if path.stem == "__init__" else f"safesocket.{path.stem}"
    for path in sorted(STUBS.glob("*.pyi"))
}
TREES = {stem: ast.parse((STUBS / f"{stem}.pyi").read_text("utf-8")) for stem in MODULES}

#: Two spellings of one type, or a stub's narrower one: what the stub says -> the source.
SPELLINGS = {
    "AddressFamily": "int",
    "Peer": "Iterator[Address]",  # a generator function, made a context manager
    "SocketKind": "int",
    "SupportsIndex": "int",
    "Self": "Socket",  # of dup: a socket of the class it is called on
    "_Operation": "str",
    "_TimeoutSource": "str",
    "_stdlib.socket": "Socket",
    "tuple[bytes, list[tuple[int, int, bytes]], int, Any]": "Message[bytes]",
    "tuple[int, list[tuple[int, int, bytes]], int, Any]": "Message[int]",
}

#: What the source calls a choice of words -> the words; the stubs write them out.
ALIASES = {
    node.target.id: ast.unparse(node.value)
    for path in Path(safesocket.__file__).parent.glob("_*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
    if ast.unparse(node.value).startswith("Literal[")
}


def generate():
    """Return the module that writes the stubs."""
    spec = importlib.util.spec_from_file_location("generate", STUBS.parent / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def says_the_same(stub, source):
    """Tell whether an annotation of a stub is that of the source, or narrower than its Any."""
    if ast.unparse(source) == "Any":
        return True
    text = ast.unparse(stub)
    if ast.unparse(source) in (text, SPELLINGS.get(text)):
        return True
    parts, others = list(ast.iter_child_nodes(stub)), list(ast.iter_child_nodes(source))
    return (
        type(stub) is type(source)
        and not isinstance(stub, (ast.Name, ast.Constant, ast.Attribute))
        and len(parts) == len(others)
        and all(says_the_same(*pair) for pair in zip(parts, others, strict=True))
    )


def takes_no_more(stub, source):
    """Tell whether a parameter of a stub takes what the source's takes, or less."""
    return says_the_same(stub, source) or all(
        any(is_part(one, other) for other in members(source)) for one in members(stub)
    )


def is_part(one, other):
    """Tell whether *one* is *other*, or a single value of that type."""
    if says_the_same(one, other):
        return True
    is_value = isinstance(one, (ast.Constant, ast.UnaryOp))
    return is_value and type(ast.literal_eval(one)).__name__ == ast.unparse(other)


def members(annotation):
    """Return the members of a union, and in place of a Literal its values."""
    if isinstance(annotation, ast.BinOp):
        return members(annotation.left) + members(annotation.right)
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        return getattr(annotation.slice, "elts", [annotation.slice])
    return [annotation]


def parsed(annotation):
    """Return an annotation of the source, which is text, as a tree, its aliases written out."""
    for name, meaning in ALIASES.items():
        annotation = re.sub(rf"\b{name}\b", meaning, annotation)
    return ast.parse(annotation, mode="eval").body


def definitions(body, owner, prefix=""):
    """Yield place, node and runtime object of what a stub defines and the source has."""
    for node in body:
        if isinstance(node, ast.If):
            yield from definitions([*node.body, *node.orelse], owner, prefix)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            what = vars(owner).get(node.name, getattr(owner, node.name, None))
            if what is None:
                continue  # stubtest tells what is missing
            yield prefix + node.name, node, what
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, what, f"{node.name}.")


def contradictions(tree, module):
    """Yield each place where a stub and its module give different types."""
    for where, node, what in definitions(tree.body, module):
        if isinstance(node, ast.ClassDef):
            yield from of_attributes(where, node, what)
        elif isinstance(what, property) or not callable(what):
            yield from of_property(where, node, what)
        else:
            yield from of_function(where, node, inspect.unwrap(what))


def of_function(where, node, function):
    """Yield where a function of a stub contradicts the source's *function*."""
    annotations = getattr(function, "__annotations__", {})
    if not annotations or not function.__module__.startswith("safesocket"):
        return
    if not says_the_same(node.returns, parsed(annotations["return"])):
        yield f"{where} -> {ast.unparse(node.returns)}, source {annotations['return']}"
    rest = next((p.name for p in parameters(function) if p.kind is p.VAR_KEYWORD), None)
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        text = annotations.get(argument.arg, annotations.get(rest))
        if text is None:
            continue
        if argument.annotation and not takes_no_more(argument.annotation, parsed(text)):
            yield f"{where}({argument.arg}: {ast.unparse(argument.annotation)}), source {text}"


def parameters(function):
    """Return the parameters of *function*."""
    return inspect.signature(function).parameters.values()


def of_attributes(where, node, owner):
    """Yield where the annotated attributes of a class contradict the source's class *owner*."""
    annotations = vars(owner).get("__annotations__", {})
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and item.target.id in annotations:
            text = annotations[item.target.id]
            if not says_the_same(item.annotation, parsed(text)):
                yield f"{where}.{item.target.id}: {ast.unparse(item.annotation)}, source {text}"


def of_property(where, node, what):
    """Yield where a property of a stub contradicts a property, or a slot of the source."""
    getter = what.fget if isinstance(what, property) else None
    owner = getattr(what, "__objclass__", None)
    annotations = getter.__annotations__ if getter else vars(owner).get("__annotations__", {})
    text = annotations["return" if getter else node.name]
    if not says_the_same(node.returns, parsed(text)):
        yield f"{where}: {ast.unparse(node.returns)}, source {text}"


# The comparison.


@pytest.mark.parametrize("stem", sorted(MODULES))
def test_annotations(stem):
    """No annotation of a stub contradicts the source's."""
    module = importlib.import_module(MODULES[stem])
    assert list(contradictions(TREES[stem], module)) == []


def test_annotations_are_compared():
    """The comparison is about something: most of what the stubs define has a type to compare."""
    compared = [
        where
        for stem in ("__init__", "errors", "testing")
        for where, node, what in definitions(
            TREES[stem].body, importlib.import_module(MODULES[stem])
        )
        if isinstance(node, ast.FunctionDef)
        and getattr(inspect.unwrap(what), "__annotations__", None)
    ]
    assert {"socket.recv", "create_connection", "configure", "refuses"} <= set(compared)
    assert len(compared) > 50


@pytest.mark.parametrize(
    "wrong",
    [
        "def get_timeouts(sock: _stdlib.socket | None = None) -> socket: ...",
        "def get_timeouts(sock: _stdlib.socket | None = None) -> Timeouts | None: ...",
        "def get_timeouts(sock: int | None = None) -> Timeouts: ...",
        "def configure(*, read: int) -> None: ...",
        "def configure(*, message: int | None) -> None: ...",
        "def configure(*, message: Literal['append', 'loud'] | None) -> None: ...",
        "def create_connection(address: tuple[Any, Any], timeout: str) -> socket: ...",
        "class socket:\n    def recv(self, bufsize: int, flags: int = 0, /) -> str: ...",
        "class socket:\n    def recvmsg(self) -> tuple[bytes, list[int], int, Any]: ...",
        "class Timeouts:\n    @property\n    def read(self) -> float: ...",
    ],
)
def test_wrong_annotation(wrong):
    """A wrong type in a stub is found, a return type too."""
    assert list(contradictions(ast.parse(wrong), safesocket))


def test_wrong_attribute():
    """A wrong type of an error's attribute is found."""
    wrong = ast.parse("class SafeSocketError:\n    host: str")
    assert list(contradictions(wrong, safesocket.errors))


def test_bases():
    """Every error is in the stub what it really is: the same parents, in the same order."""
    classes = [node for node in TREES["errors"].body if isinstance(node, ast.ClassDef)]
    assert len(classes) == len(safesocket.errors.__all__)
    for node in classes:
        parents = getattr(safesocket.errors, node.name).__bases__
        names = [parent.__name__ for parent in parents if parent is not object]
        assert [ast.unparse(base) for base in node.bases] == names


@pytest.mark.parametrize("stem", sorted(MODULES))
def test_docstrings(stem):
    """Editors show what the source says: the docstrings are the same."""
    text = (STUBS / f"{stem}.pyi").read_text("utf-8")
    assert generate().with_docstrings(text, MODULES[stem]) == text


def test_every_definition_has_a_docstring():
    """Whatever a stub defines says what it is; of several overloads, the first."""
    assert [where for stem in MODULES for where in bare(TREES[stem].body, stem)] == []


def bare(body, prefix, documented=("__init__", "__enter__", "__exit__", "__eq__", "__hash__")):
    """Yield the place of each definition that has no docstring."""
    documented = set(documented)
    for node in body:
        if isinstance(node, ast.If):
            yield from bare(node.body, prefix, documented)
            yield from bare(node.orelse, prefix, documented)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if not ast.get_docstring(node) and node.name not in documented:
                yield f"{prefix}.{node.name}"
            documented.add(node.name)
        if isinstance(node, ast.ClassDef):
            yield from bare(node.body, f"{prefix}.{node.name}")


# The words that errors carry.

#: What takes the name of an operation: the first text among its arguments.
TELLERS = {"Patience", "fail", "finish", "must_wait", "plain_call", "plainly", "retell"} | {
    *("_in_time", "go_on", "must_wait", "_retell", "_set_mode", "_with_flags", "_write", "bounded"),
    *("check_deadline", "in_time", "outlasts", "plainly_in_time", "resolved", "wait_to_read"),
}


def words(alias):
    """Return the words that an alias of ``errors.pyi`` allows."""
    [literal] = [
        node.value
        for node in TREES["errors"].body
        if isinstance(node, ast.AnnAssign) and node.target.id == alias
    ]
    return set(ast.literal_eval(literal.slice))


def operations():
    """Yield the operations that the source names in its failures."""
    for path in Path(safesocket.__file__).parent.glob("_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TELLERS:
                yield from [a.value for a in node.args if isinstance(a, ast.Constant)][:1]


def test_operations():
    """``error.operation`` is one of the words that the stub allows, and each of them occurs."""
    named = {name for name in operations() if isinstance(name, str)}
    assert named <= words("_Operation")
    assert words("_Operation") - named == set()
    assert len(named) > 20


def test_timeout_sources():
    """``error.timeout_source`` is one of the words that the stub allows, and each occurs."""
    assert set(_wording._SOURCES) == words("_TimeoutSource")
