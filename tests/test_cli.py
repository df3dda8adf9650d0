"""``python -m safesocket``: the demo shows what it says and can fail; the table of errors is whole.

The demo runs once for real, in a process; the tests that break something run one case of it here.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import safesocket
from safesocket import errors
from safesocket.__main__ import main
from safesocket._cli import cases, child, demo
from safesocket._cli.cases import CASES, SNIPPETS
from tests.helpers import terminal

GUARD = 30.0  # seconds
SEED = Path(__file__).resolve().parents[2] / "shared" / "seed"
ERRORS = sorted({*errors.__all__} - {"Attempt", "TCPInfo"})  # which are no errors


def environment(**extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SAFESOCKET_")}
    kept.pop("NO_COLOR", None)
    return {**kept, "PYTHONPATH": str(Path(safesocket.__file__).parents[1]), "TERM": "x", **extra}


def run(*words, **extra):
    command = [sys.executable, "-m", "safesocket", *words]
    how = {"env": environment(**extra), "text": True, "timeout": GUARD}
    return subprocess.run(command, check=False, capture_output=True, **how)


def start(*words, **how):
    command = [sys.executable, "-m", "safesocket", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True, **how)


@pytest.fixture(scope="session")
def shown():
    """The demo as a user runs it, and the seconds that it took."""
    began = time.monotonic()
    return run("demo"), time.monotonic() - began


@pytest.fixture
def one_case(monkeypatch):
    """Only the case of a server that never answers."""
    monkeypatch.setattr(demo, "CASES", CASES[-1:])


def halves(output, case):
    """What the demo shows of a case: the stdlib's column and safesocket's."""
    block = output.partition(f"{case.title}\n")[2].partition("\n\n")[0].splitlines()
    left = " ".join(line[:26].strip() for line in block)
    right = " ".join(line[26:].strip() for line in block)
    return left.strip(), right.strip()


# The demo, once for real.


def test_demo_comes_out_as_promised(shown):
    """Every case keeps its promise: exit status 0, and the last line says so."""
    process, _ = shown
    assert (
        f"{len(CASES)} of {len(CASES)} cases came out as promised."
        == (process.stdout.splitlines()[-1])
    )
    assert "Broken promise" not in process.stdout
    assert (process.returncode, process.stderr) == (0, "")


def test_demo_is_quick(shown):
    """It takes less than 15 s."""
    assert shown[1] < 15


def test_demo_fits_a_terminal(shown):
    """No line has more than 80 characters, and there are no codes where there is no terminal."""
    output = shown[0].stdout
    assert max(map(len, output.splitlines())) <= 80
    assert "\x1b" not in output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_demo_shows_both_halves(shown, case):
    """Left what the stdlib does, right what safesocket says: class, host:port, limit and hint."""
    left, right = halves(shown[0].stdout, case)
    assert case.stdlib in left
    assert re.match(r"\d+\.\d s  (\w+)", right).group(1) in case.safesocket
    assert re.search(r"(127\.0\.0\.1|no-such-host\.invalid):\d+", right)
    assert "Hint: " in right


def test_demo_cuts_off_what_hangs(shown):
    """The stdlib hangs in some cases, which are cut off after 2 s; safesocket in none."""
    hanging = [case for case in CASES if case.stdlib == cases.WAITS]
    output = shown[0].stdout
    assert len(hanging) >= 3
    assert len(hanging) == len(re.findall(r"(?m)^still waiting after [2-4]\.\d s", output))
    tally = f"{len(hanging)} of {len(CASES)} hung 0 of {len(CASES)} hung"
    assert tally in " ".join(output.split())


def test_demo_says_what_is_not_as_usual(shown):
    """The address that was replaced and the limits of the demo are said first."""
    head = " ".join(shown[0].stdout.partition("---")[0].split())
    assert cases.ADDRESS in head
    assert "SAFESOCKET_READ=1 (default 300)" in head


# What it is made of.


@pytest.mark.skipif(not SEED.exists(), reason="the seed is not at hand")
def test_snippets_are_the_seed():
    """The post's three programs are there to the letter."""
    post = "".join(path.read_text() for path in sorted(SEED.glob("*.txt")))
    assert re.findall(r"```python\n(.*?)```", post, re.DOTALL) == list(SNIPPETS)
    assert f'title: "{cases.POST}"' in post


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_programs_have_one_import_and_one_address(case):
    """What is replaced in a program is there once, so that nothing else is."""
    assert case.program.count(cases.ADDRESS) == 1
    assert case.program.count(cases.STDLIB) == 1


def test_demo_shows_the_programs(one_case, capsys):
    """With --programs each program can be read."""
    assert main(["demo", "--programs"]) == 0
    assert '    s = socket.create_connection(("example.com", 80))\n' in capsys.readouterr().out


# The demo can fail.


def test_demo_fails_if_a_limit_is_missing(one_case, capsys, monkeypatch):
    """A safesocket that waits for ever breaks its promise: exit status 1, and it says which."""
    monkeypatch.setenv("SAFESOCKET_READ", "forever")
    assert main(["demo"]) == 1
    lines = capsys.readouterr().out.splitlines()
    promise = "ReadTimeoutError was promised, it is: still waiting"
    assert f"Broken promise: safesocket: {promise}" in lines
    assert lines[-1] == "0 of 1 cases came out as promised."


@pytest.mark.parametrize(
    ("stub", "complaint"),
    [
        ("from socket import *", "ConnectRefusedError was promised, it is: ConnectionRefusedError"),
        (
            "raise ImportError('out of order')",
            "ConnectRefusedError was promised, it is: did not run",
        ),
    ],
    ids=["the stdlib", "broken"],
)
def test_demo_fails_if_safesocket_is_not_itself(capsys, monkeypatch, tmp_path, stub, complaint):
    """Another module by the name of safesocket does not pass for it."""
    (tmp_path / "safesocket.py").write_text(stub)
    monkeypatch.setattr(demo, "_PATH", str(tmp_path))
    monkeypatch.setattr(demo, "CASES", CASES[:1])
    assert main(["demo"]) == 1
    assert complaint in " ".join(capsys.readouterr().out.split())


def test_demo_fails_if_a_peer_cannot_be_had(capsys, monkeypatch):
    """A case that this system cannot show has not come out as promised, and it says why."""

    def lacking():
        raise ConnectionRefusedError("a full backlog refuses here")

    monkeypatch.setattr(demo, "CASES", [CASES[0]._replace(peer=lacking)])
    assert main(["demo"]) == 1
    assert "no such peer: a full backlog refuses here" in capsys.readouterr().out


def test_demo_fails_if_a_run_does_not_report(one_case, capsys, monkeypatch):
    """A process that is stuck in spite of its watchdog does not make the demo wait for ever."""
    monkeypatch.setattr(demo, "_GUARD", 0.0)
    assert main(["demo"]) == 1
    assert "no report in time" in capsys.readouterr().out


TEXT = "[Errno 111] Connection refused: connect to host:80 after 0.1 s"
OURS = cases.Outcome(
    elapsed=0.1,
    printed=f"Connection error: {TEXT}",
    classes=("ConnectRefusedError", "ConnectionRefusedError"),
    text=TEXT,
    hint="start it",
)
STDLIB = OURS._replace(classes=("ConnectionRefusedError", "OSError"), hint="")


@pytest.mark.parametrize(
    ("instead", "complaint"),
    [
        ({}, None),
        ({"waiting": True}, "it is: still waiting"),
        ({"elapsed": None}, "it is: did not run"),
        ({"classes": ()}, "it is: no error"),
        ({"classes": ("ConnectionRefusedError",)}, "it is: ConnectionRefusedError"),
        ({"classes": ("ConnectRefusedError",)}, "is not a ConnectionRefusedError"),
        ({"text": "connect to host:81 after 0.1 s"}, '"connect to host:81 after 0.1 s"'),
        ({"hint": ""}, "a hint was promised"),
        ({"printed": ""}, "that it prints"),
    ],
    ids=str,
)
def test_each_promise_is_checked(instead, complaint):
    """Whatever safesocket does not do as promised is named."""
    broken = list(CASES[0].broken("host:80", STDLIB, OURS._replace(**instead)))
    assert bool(broken) == (complaint is not None)
    assert all(line.startswith("safesocket: ") for line in broken)
    assert (complaint or "") in "".join(broken)


@pytest.mark.parametrize(
    ("instead", "complaint"),
    [({"waiting": True}, "it is: still waiting"), ({"printed": ""}, "that it prints")],
)
def test_the_stdlib_is_checked_too(instead, complaint):
    """A stdlib that does not do what the demo says of it is named as well."""
    (broken,) = CASES[0].broken("host:80", STDLIB._replace(**instead), OURS)
    assert broken.startswith("the stdlib: ")
    assert complaint in broken


# A run of a program.


def reports(capfd):
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print('well')", {"printed": "well", "classes": []}),
        ("try: {}['a']\nexcept KeyError as err: print(err)", {"printed": "'a'", "text": "'a'"}),
        ("int('x')", {"printed": "", "text": "invalid literal for int() with base 10: 'x'"}),
    ],
)
def test_run_is_reported(capfd, program, expected):
    """What a program prints is reported, and its error, whether caught or not."""
    child.main("time", str(GUARD), program)
    (report,) = reports(capfd)
    assert not report["waiting"]
    assert {**report, **expected} == report


def test_run_is_cut_off(capfd, monkeypatch):
    """A program that outlives its time is reported as waiting, and its process ended."""
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    child.main("time", "0.02", "import threading\nthreading.enumerate()[-1].join()")
    assert ended == [0]
    assert reports(capfd)[0]["waiting"]


# How it ends, and how it looks.


def test_interrupted_demo_leaves_nothing_behind():
    """Ctrl-C ends the demo quietly, and every process that it had started."""
    process = start("demo", start_new_session=True)
    with process:
        assert any(line.startswith("1. ") for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=GUARD)
    assert (process.returncode, complaints) == (130, "")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_demo_bears_a_reader_that_leaves():
    """``demo | head -1`` ends quietly, long before the demo would."""
    with start("demo") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_only_where_wanted(monkeypatch, variables, coloured):
    """A terminal gets colours, but not one that says NO_COLOR or is dumb."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "x", **variables}.items():
        monkeypatch.setenv(name, value)
    with terminal() as (stdout, shown), monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert main(["errors"]) == 0
    assert ("\x1b[" in shown[0]) == coloured


def test_table_bears_a_reader_that_leaves(monkeypatch):
    """``errors | head -1`` ends with a status, and nothing is left that could not be written."""
    reading, writing = os.pipe()
    os.close(reading)
    real = os.dup(1)
    try:
        os.dup2(writing, 1)
        os.close(writing)
        with open(1, "w", closefd=False) as stdout, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            assert main(["errors"]) == 1
    finally:
        os.dup2(real, 1)
        os.close(real)


def test_no_stdout(monkeypatch):
    """Without a stdout, as under pythonw, a command ends well."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["errors"]) == 0


def test_as_a_module(monkeypatch, capsys):
    """Run as a module it is the command line's, and its status is the process's."""
    monkeypatch.setattr(sys, "argv", ["safesocket", "--version"])
    with pytest.raises(SystemExit) as it:
        runpy.run_path(sys.modules[main.__module__].__file__, run_name="__main__")
    assert it.value.code == 0
    assert capsys.readouterr().out.startswith("safesocket ")


# The table of errors.


def markdown(capsys):
    assert main(["errors", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return lines[:2], {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_errors_are_all_listed(capsys):
    """Every class is in the table once, in both forms, and the one for terminals fits them."""
    _, rows = markdown(capsys)
    assert sorted(rows) == sorted(ERRORS)
    assert main(["errors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(ERRORS) == sorted(
        {line.split()[0] for line in lines if line[:1].isupper()} - {"Class"}
    )
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", ERRORS)
def test_errors_tell_the_truth(capsys, name):
    """A row's builtin classes and umbrellas are what the class is."""
    head, rows = markdown(capsys)
    assert head == ["| Class | also a | umbrella | when |", "|---|---|---|---|"]
    also, umbrellas, when = rows[name]
    cls = getattr(errors, name)
    mro = {base.__name__ for base in cls.__mro__}
    assert mro.issuperset(re.findall(r"`(\w+)`", also + umbrellas))
    assert issubclass(cls, OSError)
    assert re.findall(r"\w+", when)[0] in cls.__doc__.splitlines()[0]


# The command line.


def test_no_command_shows_the_commands(capsys):
    """Without a command the short usage names them all, as an error."""
    assert main([]) == 2
    assert {"demo", "errors"} <= set(capsys.readouterr().err.split())


def test_unknown_command_is_a_usage_error():
    """A command that does not exist is named, with those that do."""
    process = run("dmeo")
    assert process.returncode == 2
    assert "dmeo" in process.stderr


def test_version_is_printed(capsys):
    """--version prints one line."""
    assert main(["--version"]) == 0
    assert re.fullmatch(r"safesocket \S.*\n", capsys.readouterr().out)


def test_import_does_without_the_commands():
    """``import safesocket`` loads nothing of the command line."""
    program = "import safesocket, sys; print(*sys.modules)"
    names = subprocess.check_output([sys.executable, "-c", program], env=environment(), text=True)
    assert not {"argparse", "subprocess", "safesocket._cli", "safesocket.testing"} & {
        *names.split()
    }
