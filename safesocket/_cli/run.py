"""``run``: start a program that knows nothing of safesocket with safesocket installed.

The program gets an interpreter of its own, in the place of this one (execve(2)): whatever it sees
and however it ends is Python's doing and not a copy of it. What is done before its first line is in
``_startup``; here is how the interpreter is made to go there, and what it is told: both through its
environment.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence

from .._limits import checked
from .._startup import __file__ as _startup
from .._startup.hook import BEFORE, CHOICES, ON
from .._timeouts import FIELDS

_FOLDER = os.path.dirname(os.path.abspath(_startup))

_USAGE = "python -m safesocket run [options] (script.py | -m module | -c code | -) [args ...]"

#: Options that have a value. All others have none.
_VALUED = (*(f"--{name}" for name in FIELDS), "--none", "--message", "--warn-after")

#: A group of Python's own options: flags, then perhaps one that has a value.
_GROUP = re.compile(r"(-[^cmWX]*)([cmWX]?)(.*)", re.DOTALL)

#: What Python sets LC_CTYPE to if the locale is C (PEP 538).
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def main(words: Sequence[str]) -> int:
    """Run the program that *words*, the command line behind ``run``, names; do not return.

    On Windows, where a process cannot be replaced, return the program's exit status.
    """
    ours, program = split(words)
    parser = _parser()
    options, unknown = parser.parse_known_args(ours)
    if unknown:
        parser.error(f"unknown option {unknown[0]}; Python's own go before -m safesocket")
    if not program or program == ["--"]:
        parser.error("which program?")
    try:
        environment = prepared(options, os.environ)
        return _become([*interpreter(sys.orig_argv), *program], environment)
    except (OSError, ValueError) as exc:
        parser.exit(2, f"{parser.prog}: error: {exc}\n")


def split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return which of *words* are options of ``run``, and which are the program and all of its."""
    index = 0
    while index < len(words) and _is_option(words[index]):
        index += 2 if words[index] in _VALUED else 1
    return words[:index], words[index:]


def _is_option(word: str) -> bool:
    return word.startswith("-") and word not in ("-", "--") and word[:2] not in ("-m", "-c")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m safesocket run",
        usage=_USAGE,
        description="Run a program, unchanged, with safesocket installed in its process.",
        epilog="SAFESOCKET_READ=60 and the like in the environment do the same; an option goes "
        "before its variable. SECONDS may be 'forever'. See docs/run.md and docs/timeouts.md.",
        allow_abbrev=False,
    )
    for field in FIELDS:
        parser.add_argument(f"--{field}", type=_seconds, metavar="SECONDS", help=_HELP[field])
    for name in ("none", "message"):
        parser.add_argument(f"--{name}", choices=CHOICES[_variable(name)], help=_HELP[name])
    parser.add_argument("--warn-after", type=_seconds, metavar="SECONDS", help=_HELP["warn-after"])
    for name in ("children", "report"):
        parser.add_argument(f"--{name}", action="store_true", help=_HELP[name])
    parser.add_argument(
        "--profile", nargs="?", const=ON, type=_profile, metavar="=FILE", help=_HELP["profile"]
    )
    return parser


_HELP = {
    "resolve": "limit of a look-up",
    "connect": "limit of connecting",
    "handshake": "limit of a TLS handshake",
    "read": "limit of each wait for data",
    "write": "limit of each wait in which the other side takes nothing",
    "serve": "the read limit of connections that came from accept()",
    "none": "what settimeout(None) means: the limits (the default), or for ever",
    "message": "where errors name host, time and limit: in their text (the default), in a note "
    "of the traceback, or nowhere",
    "warn-after": "log each wait that goes on for longer (logger 'safesocket')",
    "children": "install in Python processes that the program starts, too",
    "report": "at the end, say on stderr what was patched and what could not be",
    "profile": "at the end, say on stderr what was waited for, whom for and how long; or write it"
    " to FILE, which ends in .json or in .html, a page to look at",
}


def _variable(option: str) -> str:
    return f"SAFESOCKET_{option.upper()}"


def _seconds(text: str) -> str:
    """Return *text* if the environment variable of a limit may be that."""
    try:
        if text.strip().lower() not in ("none", "forever"):
            checked("it", float(text))
    except ValueError:
        wanted = "0 or more seconds, such as 2.5, or 'forever'"
        raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}") from None
    return text


def _profile(text: str) -> str:
    """Return *text* if a profile may be written to the file that it names."""
    from .._profiling.files import checked

    try:
        return text if text == ON else os.path.abspath(checked(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


# What the interpreter is told.


def prepared(options: argparse.Namespace, before: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, *before* being ours, in which a program is run with *options*.

    Raises:
        ValueError: no environment would do.
    """
    install = before.get("SAFESOCKET_INSTALL", "")
    if install == "off":
        return _with_locale(before)
    if install not in ("", "children"):
        wanted = "'children' or 'off'"
        raise ValueError(
            f"environment variable SAFESOCKET_INSTALL must be {wanted}, not {install!r}"
        )
    _check_interpreter()
    children = options.children or install == "children"
    ours = {
        **_carried(options),
        "PYTHONPATH": _in_front(before.get("PYTHONPATH", "")),
        "SAFESOCKET_INSTALL": "children" if children else "program",
        "SAFESOCKET_PYTHON": f"{sys.version.split()[0]} {sys.prefix}",  # not for any other
    }
    notes = {} if children else _notes(ours, before)
    return {**_with_locale(before), **ours, **notes}


def _carried(options: argparse.Namespace) -> dict[str, str]:
    given = {name: getattr(options, name) for name in (*FIELDS, "none", "message", "warn_after")}
    given["report"] = ON if options.report else None
    given["profile"] = options.profile
    return {_variable(name): value for name, value in given.items() if value is not None}


def _notes(ours: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    return {f"{BEFORE}{name}": f"={before[name]}" if name in before else "" for name in ours}


def _in_front(path: str) -> str:
    if not path:  # an empty entry would be the current folder
        return _FOLDER
    if path.split(os.pathsep, maxsplit=1)[0] == _FOLDER:  # by run --children, further up
        return path
    return f"{_FOLDER}{os.pathsep}{path}"


def _check_interpreter() -> None:
    """Refuse what would leave the program without safesocket, and not say so."""
    if sys.flags.ignore_environment or sys.flags.no_site:  # -I is both of -E and -s
        raise ValueError(
            "under python -I, -E and -S a program cannot be reached from outside;"
            " leave these out, or have the program call safesocket.install()"
        )
    if not sys.executable:
        raise ValueError("this Python does not know its own path (sys.executable)")
    if os.pathsep in _FOLDER:
        raise ValueError(f"PYTHONPATH cannot hold {_FOLDER!r}: it has a {os.pathsep!r} in its name")


def _with_locale(before: Mapping[str, str]) -> dict[str, str]:
    """Return *before* as it was before Python, finding the locale C, set LC_CTYPE in it.

    The next interpreter does so again. With LC_CTYPE set it would not be in UTF-8 mode, which
    comes with the locale C (PEP 540).
    """
    asked_for = "utf8" in sys._xoptions or "PYTHONUTF8" in before
    if not sys.flags.utf8_mode or asked_for or before.get("LC_ALL"):
        return dict(before)
    coerced = before.get("LC_CTYPE") in _COERCED
    return {**before, "LC_CTYPE": "C"} if coerced else dict(before)


# The interpreter.


def interpreter(argv: Sequence[str]) -> list[str]:
    """Return the interpreter of the command line *argv*, as it was called, and its options.

    As they were typed: those of subprocess._args_from_interpreter_flags() are not all. What ends
    them is the grammar of CPython's getopt: -c, -m, a lone dash, or a word without.
    """
    found = [argv[0]]
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            break
        flags, valued, value = _GROUP.fullmatch(word).groups()  # type: ignore[union-attr]
        if word.startswith("--"):  # the only one that runs programs: --check-hash-based-pycs MODE
            found += [word, next(words)]
        elif valued in ("c", "m"):
            found += [flags] if flags != "-" else []
            break
        else:
            found += [word] if value or not valued else [word, next(words)]
    return found


def _become(command: list[str], environment: Mapping[str, str]) -> int:
    """Put the program in the place of this process."""
    if sys.platform == "win32":
        import signal
        import subprocess

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
        return subprocess.call([sys.executable, *command[1:]], env=environment)  # noqa: S603
    os.execve(sys.executable, command, environment)  # noqa: S606 (what this is for)
