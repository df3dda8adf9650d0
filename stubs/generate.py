"""Write what the stubs take from elsewhere: names from typeshed, docstrings from the source.

    python stubs/generate.py            # rewrite the stubs
    python stubs/generate.py --check    # only tell whether they are out of date

typeshed is that of the installed mypy; which one, stands in the stubs, and has to be the one that
the extra "types" pins: so a new mypy changes nothing until somebody raises the pin and runs this.
Below that line a stub hands on every name of the stdlib's stub that it does not define itself,
under typeshed's own conditions. Docstrings are those of the running safesocket, wherever the stub
defines what safesocket defines. All else is written by hand; ``ruff format stubs`` afterwards.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import sysconfig
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
STUBS = HERE / "safesocket-stubs"
#: our stub -> the stdlib's module whose names it hands on
HANDED_ON = {"__init__.pyi": "socket", "ssl.pyi": "ssl"}

FIRST = "# The stdlib's names, by stubs/generate.py, from the typeshed of mypy"
BLOCK = re.compile(rf"{FIRST} (\S+)\n# fmt: off\n.*?# fmt: on\n", re.DOTALL)

Test = str  # a condition on sys.platform or sys.version_info, "" for none


class Name(NamedTuple):
    """A name that a stub exports, under which condition, and whether it is in ``__all__``."""

    name: str
    test: Test
    listed: bool = False


def typeshed(module: str) -> Path:
    """Return the installed mypy's stub of a module of the stdlib."""
    import mypy

    return Path(mypy.__file__).parent / "typeshed" / "stdlib" / f"{module}.pyi"


def exported(stub: str) -> list[Name]:
    """Return the names that the source of a stub exports, those of its ``__all__`` marked."""
    names, listed = [], []
    for node, test in _statements(ast.parse(stub).body, ""):
        in_all = _listed(node)
        if in_all is None:
            names += [Name(name, test) for name in _names(node)]
        else:
            listed += [Name(name, test) for name in in_all]
    alone = [name for name in listed if name.name not in {one.name for one in names}]
    if alone:
        raise ValueError(f"in __all__, and not defined: {alone}")
    return [*dict.fromkeys(names), *(Name(*name[:2], listed=True) for name in listed)]


def _statements(body: list[ast.stmt], test: Test) -> Iterator[tuple[ast.stmt, Test]]:
    """Yield the statements of *body*, with those under conditions, and the conditions."""
    for node in body:
        if isinstance(node, ast.If):
            inner = _in_words(node.test)
            yield from _statements(node.body, _both(test, inner))
            yield from _statements(node.orelse, _both(test, _opposite(inner)))
        else:
            yield node, test


def _opposite(test: Test) -> Test:
    """Return the opposite of a single comparison; typeshed has no other ``else``."""
    opposites = {" == ": " != ", " != ": " == ", " >= ": " < ", " < ": " >= "}
    for sign, opposite in opposites.items():
        if test.count(sign) == 1 and not re.search(" and | or ", test):
            return test.replace(sign, opposite)
    return f"not ({test})"


def _in_words(test: ast.expr) -> Test:
    """Return a condition as it is written in stubs, without the parentheses it does not need."""
    if isinstance(test, ast.BoolOp):
        joint = " and " if isinstance(test.op, ast.And) else " or "
        parts = [_in_words(part) for part in test.values]
        return joint.join(f"({part})" if " or " in part else part for part in parts)
    return ast.unparse(test).replace("'", '"')


def _both(one: Test, other: Test) -> Test:
    if not one:
        return other
    return " and ".join(f"({test})" if " or " in test else test for test in (one, other))


def _listed(node: ast.stmt) -> list[str] | None:
    """Return the names that a statement puts into ``__all__``, None if it does not."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return None
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if not isinstance(target, ast.Name) or target.id != "__all__":
        return None
    names: list[str] = ast.literal_eval(node.value)
    return names


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a stub exports: PEP 484, "Stub files"."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname for alias in node.names if alias.asname == alias.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def with_names(text: str, module: str) -> str:
    """Return the stub *text* handing on all names of *module*'s that it does not define."""
    by_hand = {name.name for name in exported(BLOCK.sub("", text))}
    imports: dict[Test, list[str]] = defaultdict(list)
    lists: dict[Test, list[str]] = defaultdict(list)
    for name in exported(typeshed(module).read_text("utf-8")):
        if name.listed:
            lists[name.test].append(f'"{name.name}"')
        elif name.name not in by_hand:
            imports[name.test].append(f"{name.name} as {name.name}")
    block = "".join(
        _under(test, module, imports[test], lists[test]) for test in {**imports, **lists}
    )
    first = f"{FIRST} {metadata.version('mypy')}"
    return BLOCK.sub(lambda _: f"{first}\n# fmt: off\n{block}# fmt: on\n", text)


def _under(test: Test, module: str, imports: list[str], listed: list[str]) -> str:
    """Return the lines that import and list names under the condition *test*."""
    lines = [f"if {test}:"] if test else []
    indent = "    " if test else ""
    if imports:
        lines += [f"{indent}from {module} import (", *_filled(imports, indent), f"{indent})"]
    if listed:
        sign = "+=" if test else "="
        lines += [f"{indent}__all__ {sign} [", *_filled(listed, indent), f"{indent}]"]
    return "\n".join(lines) + "\n"


def _filled(items: list[str], indent: str) -> list[str]:
    glued = ", ".join(item.replace(" ", "\0") for item in sorted(items))
    indent += "    "
    wrapped = textwrap.wrap(
        glued,
        width=99,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in (*wrapped[:-1], f"{wrapped[-1]},")]


def with_docstrings(text: str, module: str) -> str:
    """Return the stub *text* with the docstrings that its functions and classes really have."""
    lines = text.splitlines(keepends=True)
    changes = list(_docstrings(ast.parse(text).body, importlib.import_module(module)))
    for node, docstring in reversed(changes):
        lines[node.lineno - 1 : node.end_lineno] = _documented(lines, node, docstring)
    return "".join(lines)


class _Span(NamedTuple):
    lineno: int  # where the text to replace begins, from 1
    end_lineno: int
    column: int  # where its last part, the old body, begins in the first line, from 0
    indent: str


def _docstrings(body: list[ast.stmt], owner: object) -> Iterator[tuple[_Span, str]]:
    """Yield the place and the text of each docstring of *owner*'s that is ours to write."""
    seen = set()
    for node, test in _statements(body, ""):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or (node.name, test) in seen:
            continue  # the first of several overloads has the docstring
        seen.add((node.name, test))
        what = vars(owner).get(node.name, None) or getattr(owner, node.name, None)
        docstring = own_docstring(what)
        if docstring is not None:
            yield _span(node), docstring
        if isinstance(node, ast.ClassDef) and what is not None:
            yield from _docstrings(node.body, what)


def own_docstring(what: object) -> str | None:
    """Return the docstring of *what*, if it is one of safesocket's functions or classes."""
    what = what.fget if isinstance(what, property) else inspect.unwrap(what)  # type: ignore[arg-type]
    if not (getattr(what, "__module__", None) or "").startswith("safesocket"):
        return None
    code = getattr(what, "__code__", None)
    if code is not None and Path(code.co_filename).parent == Path(sysconfig.get_path("stdlib")):
        return None  # the stdlib's code, and text
    text = vars(what).get("__doc__") if isinstance(what, type) else getattr(what, "__doc__", None)
    return None if text is None else inspect.cleandoc(text)


def _span(node: ast.FunctionDef | ast.ClassDef) -> _Span:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(
        getattr(first.value, "value", None), str
    )
    is_empty = isinstance(first, ast.Expr) and getattr(first.value, "value", None) is ...
    decorators = getattr(first, "decorator_list", [])
    start = min([first.lineno, *(decorator.lineno for decorator in decorators)])
    end = first.end_lineno if is_docstring or is_empty else None
    return _Span(start, end or start - 1, first.col_offset, " " * (node.col_offset + 4))


def _documented(lines: list[str], span: _Span, docstring: str) -> list[str]:
    """Return what replaces the lines of *span*: *docstring*, and what stood before the body."""
    before = lines[span.lineno - 1][: span.column].rstrip()
    text = docstring.replace("\\", "\\\\")
    several = "\n" in text or text.endswith('"')
    quoted = f'"""{text}\n"""' if several else f'"""{text}"""'
    written = textwrap.indent(quoted, span.indent) + "\n"
    return [f"{before}\n", written] if before else [written]


def generated(path: Path) -> str:
    """Return what the stub at *path* should be."""
    text = path.read_text("utf-8")
    if path.name in HANDED_ON:
        text = with_names(text, HANDED_ON[path.name])
    module = "safesocket" if path.stem == "__init__" else f"safesocket.{path.stem}"
    if not importlib.util.find_spec(module):
        return text
    return with_docstrings(text, module)


def main() -> int:
    """Rewrite the stubs, or with ``--check`` name those that are out of date."""
    sys.path.insert(0, str(HERE.parent))
    outdated = {
        path: text
        for path in sorted(STUBS.glob("*.pyi"))
        if (text := generated(path)) != path.read_text("utf-8")
    }
    for path, text in outdated.items():
        print(f"out of date: {path.relative_to(HERE)}")
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
    return bool(outdated) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
