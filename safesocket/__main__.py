"""``python -m safesocket``: the command line, and nothing but choosing the command.

A command is a module in ``_cli`` with a ``main``, imported when it has been chosen. How the
process ends lives here too: the exit status, Ctrl-C, and a reader that has had enough.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence

INTERRUPTED = 130  # as the shell has it: 128 + SIGINT
CLOSED_EARLY = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* names and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["run"], ["probe"]):  # they have parsers of their own
        return _run(argparse.Namespace(command=words[0], words=words[1:]))
    parser = _parser()
    options = parser.parse_args(words)
    if options.version:
        print(f"safesocket {_version()}")
        return 0
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m safesocket",
        description="A drop-in for the socket module that does not hang and says what failed.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="command")
    commands.add_parser("run", help="run a program, unchanged, with safesocket installed")
    commands.add_parser("probe", help="look at a peer: name, addresses, TLS, certificate, greeting")
    demo = commands.add_parser(
        "demo",
        help="see the stdlib hang where safesocket answers",
        description="Run small programs against servers that misbehave, on this machine: with "
        "the stdlib and with safesocket, side by side. Takes some seconds.",
    )
    demo.add_argument("--programs", action="store_true", help="print the programs, too")
    errors = commands.add_parser(
        "errors",
        help="print the table of errors",
        description="Print each error: its class, the builtin class that it is as well, the "
        "umbrella (a class to catch several by), and when it is raised.",
    )
    errors.add_argument("--markdown", action="store_true", help="as in docs/errors.md")
    return parser


def _run(options: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _COMMANDS[options.command](options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more as it ends, and would complain; see the note on
        # SIGPIPE in the documentation of the signal module.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return CLOSED_EARLY
    return status


def _program(options: argparse.Namespace) -> int:
    from ._cli import run

    return run.main(options.words)


def _probe(options: argparse.Namespace) -> int:
    from ._cli import probe

    return probe.main(options.words)


def _demo(options: argparse.Namespace) -> int:
    from ._cli import demo

    return demo.main(programs=options.programs)


def _errors(options: argparse.Namespace) -> int:
    from ._cli import errors

    return errors.main(markdown=options.markdown)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _program,
    "probe": _probe,
    "demo": _demo,
    "errors": _errors,
}


def _version() -> str:
    import safesocket

    return getattr(safesocket, "__version__", "(not installed)")


if __name__ == "__main__":
    sys.exit(main())
