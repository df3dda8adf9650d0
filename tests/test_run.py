"""``python -m safesocket run``: a program runs as Python runs it, but for safesocket in it.

Python is the oracle: each program is run with and without, and what comes out is compared byte for
byte. What safesocket does in a program is tested against real peers.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipapp
from pathlib import Path
from textwrap import dedent

import pytest

import safesocket
from safesocket import _timeouts
from safesocket.__main__ import main
from safesocket._cli import run
from safesocket._startup import hook
from safesocket.testing import never_answers
from tests.helpers import GUARD, ROOT

STARTUP = Path(hook.__file__).parent
CHECKOUT = Path(__file__).parents[1]
PIPE = subprocess.PIPE


def environment(**changes):
    """The environment of a process: no settings of this one, None for what is not to be there."""
    names = re.compile(r"SAFESOCKET_.*|PYTHON(PATH|SAFEPATH|WARNINGS)|COV_.*|COVERAGE_.*")
    kept = {k: v for k, v in os.environ.items() if not names.fullmatch(k)}
    return {k: v for k, v in {**kept, **changes}.items() if v is not None}


def start(*words, flags=(), **changes):
    """Start Python with the command line *words*; safesocket is found in its folder."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), PIPE)
    return subprocess.Popen(
        [sys.executable, *flags, *words], cwd=ROOT, env=environment(**changes), **pipes
    )


def end(process, given=b""):
    """What came of *process*: status or signal, stdout, stderr."""
    with process:
        try:
            printed, complaints = process.communicate(given, timeout=GUARD)
        finally:
            process.kill()
    place = re.compile(rb"\bat 0x[0-9a-fA-F]+")  # of an object in memory
    return process.returncode, printed.decode(), place.sub(b"at 0x", complaints).decode()


def outcome(*words, **how):
    """What comes of ``python -m safesocket run`` and *words*."""
    return end(start("-m", "safesocket", "run", *words, **how))


def printed(*words, **how):
    """What is printed by a program that ends well and does not complain."""
    status, output, complaints = outcome(*words, **how)
    assert (status, complaints) == (0, "")
    return output.strip()


def assert_same(*words, given=b"", **how):
    """Check that a program does with ``run`` what it does without, and return what that is."""
    plain, ours = start(*words, **how), start("-m", "safesocket", "run", *words, **how)
    expected = end(plain, given)
    assert end(ours, given) == expected
    return expected


def prepared(*options, **before):
    """The environment of a program that is run with *options*, *before* being ours."""
    return run.prepared(run._parser().parse_args(options), before)


@pytest.fixture
def script(tmp_path):
    """A function that writes a program to a file and returns its name."""

    def written(code, name="script.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(code), "utf-8")
        return str(path)

    return written


# As Python runs it.

#: All that a program may look at to find out how it was started.
LOOK_AROUND = """
    import locale, os, re, signal, sys, threading, warnings
    def show(*seen): print(re.sub("0x[0-9a-f]+", "0x", repr(seen)))
    show(__name__, __builtins__, __doc__, globals().get("__file__"), __spec__, sorted(globals()))
    show(sys.argv, sys.orig_argv, sys.path, sys.executable, sys.prefix, sys.flags)
    show(sys.warnoptions, warnings.filters, sys._xoptions, sys.getrecursionlimit())
    show(list(os.environ.items()), os.getcwd(), os.listdir("/proc/self/fd"))
    show(sys.stdin, sys.stdout, sys.stderr, locale.getencoding(), sys.getfilesystemencoding())
    show(sys.stdin.errors, sys.stdout.errors, sys.stdout.write_through, sys.getswitchinterval())
    show([(number, signal.getsignal(number)) for number in sorted(signal.valid_signals())])
    show([one.name for one in threading.enumerate()], signal.pthread_sigmask(signal.SIG_BLOCK, []))
    show(sys.excepthook, sys.modules.get("sitecustomize"), sys.gettrace(), sys.getprofile())
"""

PROGRAMS = {
    "nothing": "",
    "looks around": LOOK_AROUND,
    "prints": "import sys; print('gr\\xfc\\xdfe'); print('\\udc80', file=sys.stderr)",
    "reads": "import sys; print(sys.stdin.read(), input)",
    "exits with a number": "raise SystemExit(3)",
    "exits with a large number": "raise SystemExit(1027)",
    "exits with a text": "import sys; sys.exit('no such thing')",
    "exits with nothing": "import sys; sys.exit()",
    "exits at once": "import os; print('unflushed'); os._exit(7)",
    "fails": "def f(): 1/0\n\nf()",
    "fails with a cause": "try:\n 1/0\nexcept Exception as e:\n raise OSError(5, 'x') from e",
    "fails with a note": "e = ValueError('text'); e.add_note('a note'); raise e",
    "fails with a group": "raise ExceptionGroup('all', [OSError('one'), ValueError('two')])",
    "does not compile": "print('never'\nx = (1,",
    "does not decode": "# coding: ascii\nprint('\xe4')",
    "warns": "import warnings; warnings.warn('careful', DeprecationWarning)",
    "fails in a thread": "import threading; t = threading.Thread(target=int, args='x'); t.start()",
    "fails in a finalizer": "class C:\n def __del__(self): 1/0\nC()",
    "fails at exit": "import atexit; atexit.register(lambda: 1/0); atexit.register(print, 'first')",
    "has a hook": "import sys; sys.excepthook = lambda *e: print('hook', e[0]); 1/0",
    "is interrupted": "raise KeyboardInterrupt",
    "interrupts itself": "import signal; signal.raise_signal(signal.SIGINT)",
    "terminates itself": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "kills itself": "import os, signal; print('x', flush=True); os.kill(os.getpid(), 9)",
    "has a broken pipe": "import os; r, w = os.pipe(); os.close(r); os.write(w, b'x')",
    "changes its environment": """
        import os, subprocess, sys
        os.environ.clear()
        os.environ["NEW"] = "1"
        print(subprocess.check_output([sys.executable, "-c", "import os; print(os.environ)"]))
    """,
    "has children": """
        import os, subprocess, sys
        child = "import os, sys; print(os.environ, sys.path, 'safesocket' in sys.modules)"
        print(subprocess.check_output([sys.executable, "-c", child]))
        os.execl(sys.executable, sys.executable, "-c", child)
    """,
    "spawns": """
        import multiprocessing, sys
        def work(n): return n * 2, __name__, sys.argv, "safesocket" in sys.modules
        if __name__ == "__main__":
            for method in "spawn", "forkserver":
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(pool.map(work, [1, 2]))
    """,
    "forks": """
        import os, sys
        if os.fork() == 0: sys.exit("the child")
        print(os.wait()[1])
    """,
    "runs a loop": "import asyncio; asyncio.run(asyncio.sleep(0, print('in it')))",
}


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
def test_script_runs_as_with_python(script, code):
    """Output, complaints, status and signal are the same, to the byte, and so is what it sees."""
    assert_same(script(code), "--read", "-x", "", "a b", given=b"some text")


def test_the_oracle_looks_closely(script):
    """The comparison is about something: the programs end in many ways, and see a lot."""
    assert len(assert_same(script(LOOK_AROUND))[1]) > 2000
    assert assert_same(script(PROGRAMS["terminates itself"]))[0] == -signal.SIGTERM
    assert assert_same(script(PROGRAMS["is interrupted"]))[0] == -signal.SIGINT
    assert "ZeroDivisionError" in assert_same(script(PROGRAMS["fails"]))[2]
    with pytest.raises(AssertionError):
        assert_same("-c", "import sys; print('safesocket' in sys.modules)")


@pytest.mark.parametrize(
    "words",
    [
        ["-c", dedent(LOOK_AROUND), "-m"],
        ["-cimport sys; print(sys.argv)", "--read", "5", "-m"],
        ["-", "--report", "-c"],
        ["-m", "package", "--children", "--", "-h"],
        ["-mpackage.part", "run"],
        ["-m", "package.fails"],
        ["-m", "zipfile"],
        ["-m", "no_such_module"],
        ["-m", "package.no_such_part"],
        ["-m"],
        ["-c"],
        ["no such file.py", "--read", "5"],
        ["--", "-c", "--"],
        ["/"],
    ],
    ids=lambda words: " ".join(words)[:20],
)
def test_program_is_named_as_for_python(script, tmp_path, words):
    """A module, code, stdin, what does not exist: Python's meaning, words and status."""
    for name in ("package/__init__.py", "package/__main__.py", "package/part.py"):
        script(LOOK_AROUND, name)
    script("import no_such_module", "package/fails.py")
    code = dedent(LOOK_AROUND).encode()
    assert_same(*words, given=code, PYTHONPATH=str(tmp_path))
    if words[0] == "-m":
        assert_same(*words, given=code, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}", flags=["-P"])


def test_folder_and_archive_run_as_with_python(script, tmp_path):
    """A folder and a zip archive with a __main__ are programs."""
    script(LOOK_AROUND, "folder/__main__.py")
    zipapp.create_archive(tmp_path / "folder", tmp_path / "app.pyz")
    assert_same(str(tmp_path / "folder"), "x")
    assert_same(str(tmp_path / "app.pyz"), "x")
    script("", "empty/nothing.py")
    assert "__main__" in assert_same(str(tmp_path / "empty"))[2]


@pytest.mark.parametrize(
    "flags",
    [
        "-u",
        "-Wdefault",
        "-W error -X dev",
        "-OOB",
        "-bbqs",
        "-Xutf8=0 -X int_max_str_digits=0",
        "-X faulthandler -Xtracemalloc=2",
        "--check-hash-based-pycs never -u",
        "-R -d",
        "-x",
        "-i",
    ],
)
def test_options_of_python_reach_the_program(script, flags):
    """What stands before -m safesocket holds for the program as it does before a script."""
    name = script("# the first line\n" + dedent(LOOK_AROUND))
    plain = end(start(name, flags=flags.split()))
    ours = flags.split()
    assert end(start("-m", "safesocket", "run", name, flags=ours)) == plain
    together = re.fullmatch("-[BOibdqsux]+", ours[-1])
    ours[-1] += "m" if together else ""
    rest = [] if together else ["-m"]
    assert end(start(*rest, "safesocket", "run", name, flags=ours)) == plain


SETTINGS = {
    "no path": {},
    "an empty path": {"PYTHONPATH": ""},
    "a path": {"PYTHONPATH": "/tmp"},
    "odd paths": {"PYTHONPATH": ":/tmp/a b::/no-such-place:.:relative:/tmp/a b:"},
    "undecodable": {"PYTHONPATH": os.fsdecode(b"/tmp/\xff"), "SAFESOCKET_READ": "5"},
    "only separators": {"PYTHONPATH": ":"},
    "line ends": {"PYTHONPATH": "/tmp/a\nb=c", "OTHER": "=\n"},
    "our variables": {"SAFESOCKET_READ": "7.5", "SAFESOCKET_NONE": "forever"},
    "our variables, empty": {"SAFESOCKET_NONE": "", "SAFESOCKET_REPORT": "", "SAFESOCKET_X": ""},
    "the locale C": {"LANG": "C", "LC_ALL": None},
    "no locale": {"LANG": None, "LC_ALL": None, "LC_CTYPE": None},
    "LC_CTYPE C": {"LANG": "C.UTF-8", "LC_ALL": None, "LC_CTYPE": "C"},
    "LC_CTYPE C.UTF-8": {"LANG": "C", "LC_ALL": None, "LC_CTYPE": "C.UTF-8"},
    "LC_ALL C": {"LANG": "C.UTF-8", "LC_ALL": "C", "LC_CTYPE": "C.UTF-8"},
    "no coercion": {"LANG": "C", "LC_ALL": None, "PYTHONCOERCECLOCALE": "0"},
    "UTF-8 mode": {"PYTHONUTF8": "1", "LC_CTYPE": "C.UTF-8"},
    "Python's variables": {
        "PYTHONWARNINGS": "error",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "3",
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_environment_is_as_with_python(script, settings):
    """A program sees the environment and the sys.path that it would see without ``run``."""
    options = [] if "SAFESOCKET_X" in settings else ["--read", "60", "--message", "off"]
    name = script(LOOK_AROUND)
    plain = end(start(name, **settings))
    assert end(start("-m", "safesocket", "run", *options, name, **settings)) == plain


def test_process_is_the_same(script):
    """The program is the process that was started: signals from outside reach it as ever."""
    name = script("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ends = []
        for words in ([name], ["-m", "safesocket", "run", name]):
            process = start(*words)
            assert int(process.stdout.readline()) == process.pid
            process.send_signal(number)
            status, output, complaints = end(process)
            ends.append((status, output, complaints.splitlines()[-1:]))  # where it was may differ
        assert ends[0] == ends[1]
        assert ends[0][0] == -number


CUSTOMIZATIONS = {
    "prints": "import sys; print('customized', __name__, __file__, sys.path)",
    "fails": "1/0",
    "lacks something": "import no_such_module",
    "lacks itself": "raise ImportError('text', name='sitecustomize')",
    "does not compile": "(",
    "exits": "raise SystemExit(5)",
}


@pytest.mark.parametrize("code", CUSTOMIZATIONS.values(), ids=CUSTOMIZATIONS)
def test_sitecustomize_is_met(script, tmp_path, code):
    """The sitecustomize that ours stands in front of runs, and fails, as if ours were not there."""
    script(code, "site/sitecustomize.py")
    name = script("import sys; print(sys.modules.get('sitecustomize'), sys.path)")
    settings = {"PYTHONPATH": str(tmp_path / "site")}
    plain = end(start(name, **settings))
    ours = end(start(name, **prepared(**settings)))
    if code == CUSTOMIZATIONS["exits"]:  # Python prints the way to it
        plain, ours = (
            (status, text, tail.splitlines()[-1]) for status, text, tail in (plain, ours)
        )
    assert ours == plain
    assert "".join(ours[1:])


def test_module_of_the_stdlib_stays_hidden_by_none(script, tmp_path):
    """What lies beside safesocket, wherever it was found, does not hide the stdlib from it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "safesocket").symlink_to(Path(safesocket.__file__).parent)
    script("raise SystemExit('a wrong module')", "lib/selectors.py")
    folder = str(tmp_path / "lib" / "safesocket" / "_startup")
    code = "import safesocket as s; print(s.is_installed(), s.__file__)"
    status, output, complaints = end(start("-c", code, **{**prepared(), "PYTHONPATH": folder}))
    assert (status, complaints) == (0, "")
    assert output.split() == ["True", str(tmp_path / "lib" / "safesocket" / "__init__.py")]


# But for safesocket.

CLIENT = """
    import signal, socket, sys
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
        sock.settimeout(eval(sys.argv[2]))
        signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))
        signal.signal(signal.SIGALRM, lambda *_: sys.exit("waits for ever"))
        try:
            sock.recv(1)
        except OSError as error:
            print(type(error).__name__, error)
"""
FRESH = CLIENT.replace("        sock.settimeout(eval(sys.argv[2]))\n", "")


def client(script, *options, code=FRESH, timeout="None", patience=GUARD, **settings):
    """What a program prints, or complains of, that reads from a peer that never answers."""
    with never_answers() as (_, port):
        _, *said = outcome(*options, script(code), str(port), timeout, str(patience), **settings)
    return "".join(said).strip()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--read", "0.05"], {}),
        (["--read=0.05"], {}),
        ([], {"SAFESOCKET_READ": "0.05"}),
        (["--read", "0.05"], {"SAFESOCKET_READ": "60"}),
    ],
)
def test_read_ends_at_the_limit(script, options, settings):
    """A program that would hang for ever gets a timeout, by option or by environment."""
    said = client(script, *options, **settings)
    assert re.match(r"ReadTimeoutError timed out: recv from 127\.0\.0\.1:\d+ after 0\.\d+ s", said)
    assert "read timeout 0.05 s" in said


def test_limit_may_be_forever(script):
    """A limit can be taken away, by option in spite of the environment."""
    settings = {"SAFESOCKET_READ": "0.05", "patience": 0.2}
    assert client(script, "--read", "forever", **settings) == "waits for ever"


@pytest.mark.parametrize("option", [False, True])
def test_none_says_what_settimeout_none_means(script, option):
    """settimeout(None) is limited, or, with --none forever, for ever."""

    def said(none, patience):
        options = ["--none", none] if option else []
        settings = {} if option else {"SAFESOCKET_NONE": none}
        settings["patience"] = patience
        return client(script, "--read", "0.05", *options, code=CLIENT, **settings)

    assert said("limit", GUARD).startswith("ReadTimeoutError ")
    assert said("forever", 0.2) == "waits for ever"


def test_timeout_of_the_program_goes_first(script):
    """What the program sets itself is what it gets."""
    assert "0.02 s" in client(script, "--read", "60", code=CLIENT, timeout="0.02")


@pytest.mark.parametrize("option", [False, True])
def test_message_says_where_errors_speak(script, option):
    """With --message off the text is the stdlib's."""
    options = ["--message", "off"] if option else []
    settings = {} if option else {"SAFESOCKET_MESSAGE": "off"}
    said = client(script, "--read", "0.05", *options, **settings)
    assert said == "ReadTimeoutError timed out"


def test_page_shows_what_happens(script):
    """The program in docs/run.md does what is shown behind it."""
    page = (CHECKOUT / "docs" / "run.md").read_text("utf-8")
    block = re.search(r"```console\n\$ cat old.py\n(.*?)\$ python (.*?)\n(.*?)```", page, re.DOTALL)
    code, command, shown = block.groups()
    with never_answers() as (_, port):
        words = [{"old.py": script(code), "8000": str(port)}.get(w, w) for w in command.split()]
        status, output, complaints = end(start(*words))
    assert (status, output) == (1, "")
    first, rest = shown.replace("127.0.0.1:8000", f"127.0.0.1:{port}").split("  …\n")
    assert complaints.startswith(first)
    assert re.sub(r"(after|from) [\d.]+ s", r"\1 0.5 s", complaints).endswith(rest)


def test_page_names_every_option():
    """docs/run.md has all options and all variables."""
    page = (CHECKOUT / "docs" / "run.md").read_text("utf-8")
    options = set(run._parser()._option_string_actions) - {"-h", "--help"}
    assert {option for option in options if f"`{option}" not in page} == set()
    assert {name for name in hook.CHOICES if f"`{name}" not in page} == set()


ASK = "import safesocket; print(safesocket.is_installed())"


def test_program_may_install_too(script):
    """An install() of the program's own counts on top: its uninstall() leaves that of ``run``."""
    code = """
        import socket, safesocket
        with safesocket.installed():
            print(safesocket.is_installed(), end=" ")
        safesocket.install().uninstall()
        print(safesocket.is_installed())
    """
    assert printed(script(code)) == "True True"


@pytest.mark.parametrize("option", [False, True])
def test_report_is_the_last_word(script, option):
    """--report says at the end what was patched, once, on stderr, and of this process."""
    options = ["--report"] if option else []
    settings = {} if option else {"SAFESOCKET_REPORT": "1"}
    code = """
        import atexit, os, sys
        atexit.register(print, "the program's last word", file=sys.stderr, flush=True)
        if os.fork() == 0: sys.exit()
        os.wait()
        print(os.getpid())
    """
    status, pid, complaints = outcome(*options, script(code), **settings)
    words = "the program's last word\n"
    head, tail = complaints.split(f"{words}safesocket in process {pid.strip()}:\n")
    assert (status, head) == (0, words)  # the fork's
    assert "socket.socket" in tail
    assert "safesocket in process" not in tail


# Where the time went.

WAITS = """
    import os, socket, sys
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
        if os.fork() == 0:
            sys.exit()
        os.wait()
        try:
            sock.recv(1)
        except TimeoutError as error:
            print(error.elapsed)
    os.chdir("/")
"""
FORKS = ["-W", "ignore::DeprecationWarning"]  # Python 3.12: in a process with threads
ENDS = {"ends": "", "fails": "1/0", "exits": "sys.exit(3)"}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("option", [True, False])
def test_profile_is_the_last_word(script, how, option):
    """--profile says at the end, however that comes, what was waited for, once, on stderr."""
    options = ["--read", "0.1", *(["--profile"] if option else [])]
    settings = {} if option else {"SAFESOCKET_PROFILE": "1"}
    with never_answers() as (_, port):
        code = script(f"{dedent(WAITS)}{ENDS[how]}")
        status, _, complaints = outcome(*options, code, str(port), flags=FORKS, **settings)
    assert status == {"ends": 0, "fails": 1, "exits": 3}[how]
    before, said = re.split(r"safesocket in process \d+: ", complaints)
    assert ("ZeroDivisionError" in before) == (how == "fails")
    assert re.search(
        rf"\n127.0.0.1:{port} +read +1 +0.1\d\d +0.1\d\d +1  1 ReadTimeoutError\n", said
    )
    where = r" 1  \S+/script\.py:8  "
    assert re.search(rf"{where}recv 127.0.0.1:{port}  read 0.1 s \(environment\)\n", said)


@pytest.mark.parametrize("kind", ["json", "html"])
@pytest.mark.parametrize("option", [True, False])
def test_profile_is_written(script, tmp_path, kind, option):
    """--profile=FILE writes a file, in the folder in which ``run`` was called, and says nothing."""
    file = os.path.relpath(tmp_path / f"profile.{kind}", ROOT)  # where the tests start programs
    options = ["--read", "0.1", *([f"--profile={file}"] if option else [])]
    settings = {} if option else {"SAFESOCKET_PROFILE": file}
    with never_answers() as (_, port):
        elapsed = printed(*options, script(WAITS), str(port), flags=FORKS, **settings)
    written = (tmp_path / f"profile.{kind}").read_text("utf-8")
    if kind == "html":
        assert f"127.0.0.1:{port}" in written
        return
    rows = {row["phase"]: row for row in json.loads(written)["rows"]}
    assert rows["read"]["waited"] == pytest.approx(float(elapsed), rel=0.05)
    assert rows["read"]["errors"] == {"ReadTimeoutError": 1}


def test_profile_that_cannot_be_written(script, tmp_path):
    """That is said, the profile goes to stderr, and the program ends as it does."""
    file = tmp_path / "missing" / "profile.json"
    status, output, complaints = outcome(f"--profile={file}", script("print('done')"))
    assert (status, output) == (0, "done\n")
    said, table = complaints.split("\n", 1)
    assert re.fullmatch(r"safesocket: the profile cannot be written: .*missing.*", said)
    assert re.match(r"safesocket in process \d+: ", table)


@pytest.mark.parametrize("file", ["profile.txt", "json", ""])
def test_profile_of_no_kind(script, file):
    """A file that is neither JSON nor a page is refused before the program starts."""
    status, output, complaints = outcome(f"--profile={file}", script("print('started')"))
    assert (status, output) == (2, "")
    assert "ends in .json or .html" in complaints
    if file:
        status, output, complaints = outcome(script("print('started')"), SAFESOCKET_PROFILE=file)
        assert (status, output) == (2, "")
        assert "SAFESOCKET_PROFILE: a profile is a file that ends in" in complaints


def test_profile_is_of_the_first_process(script, tmp_path):
    """With --children it is the program's own: no child writes over the file, or to stderr."""
    code = """
        import subprocess, sys
        child = "import os, safesocket, safesocket._recorder as r"
        child += "; print(os.environ.get('SAFESOCKET_PROFILE'), r.recording)"
        subprocess.run([sys.executable, "-c", child])
    """
    file = tmp_path / "profile.json"
    assert printed("--children", f"--profile={file}", script(code), flags=["-u"]) == "None []"
    assert json.loads(file.read_text("utf-8"))["rows"] == []
    status, output, complaints = outcome("--children", "--profile", script(code), flags=["-u"])
    assert (status, output) == (0, "None []\n")
    assert complaints.count("safesocket in process") == 1


# Child processes.

GENERATIONS = """
    import multiprocessing, subprocess, sys
    ask = "import sys; print(sys.modules.keys() >= {'safesocket'})"
    tell = f"import subprocess, sys; {ask}; subprocess.run([sys.executable, '-c', {ask!r}])"

    def work():
        import socket, sys
        return "safesocket" in sys.modules and sys.modules["safesocket"].is_installed()

    if __name__ == "__main__":
        for method in "spawn", "forkserver", "fork":
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(pool.apply(work))
        subprocess.run([sys.executable, "-u", "-c", tell])
"""


@pytest.mark.parametrize(
    ("options", "settings", "expected"),
    [
        ([], {}, "False False True False False"),
        (["--children"], {}, "True True True True True"),
        ([], {"SAFESOCKET_INSTALL": "children"}, "True True True True True"),
        (["--children"], {"SAFESOCKET_INSTALL": "off"}, "False False False False False"),
    ],
)
def test_children_are_reached_if_asked_for(script, options, settings, expected):
    """Python child processes of every sort, and theirs, have safesocket only with --children."""
    said = printed(*options, script(GENERATIONS), flags=["-u"], **settings)
    assert said.split() == expected.split()


def test_children_have_the_options(script, tmp_path):
    """With --children a child has the limits, and a sys.path in which there is nothing of ours."""
    code = """
        import subprocess, sys
        child = "import safesocket, sys; print(sys.path[1:], safesocket.get_timeouts().read)"
        subprocess.run([sys.executable, "-c", child])
        print(sys.path[1:])
    """
    how = {"PYTHONPATH": str(tmp_path), "flags": ["-u"]}
    child, program = printed("--children", "--read", "7", script(code), **how).splitlines()
    assert child == f"{program} 7.0"
    assert str(STARTUP) not in child


def test_run_inside_run(script):
    """A program that ``run`` starts may start ``run``: limits add up, the path does not grow."""
    words = "--children", "--read", "7", "-m", "safesocket", "run", "--write", "8"
    code = """
        import os, safesocket
        print(safesocket.get_timeouts().read, safesocket.get_timeouts().write)
        print(os.environ["PYTHONPATH"])
    """
    assert printed(*words, script(code)).splitlines() == ["7.0 8.0", str(STARTUP)]
    assert printed(*words[1:], "-c", ASK) == "True"


def test_child_is_left_alone_if_told(script):
    """A program that ``run --children`` starts can spare a child of its by the environment."""
    code = """
        import os, subprocess, sys
        child = [sys.executable, "-c", "import sys; print('safesocket' in sys.modules)"]
        for value in "off", "":
            subprocess.run(child, env={**os.environ, "SAFESOCKET_INSTALL": value})
        os.environ.clear()
        subprocess.run(child)
    """
    assert printed("--children", script(code), flags=["-u"]).split() == ["False"] * 3


def test_other_pythons_are_left_alone(script, tmp_path):
    """A child of another environment, where safesocket is a stranger, runs as it always did."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    other = str(tmp_path / "venv" / "bin" / "python")
    code = f"""
        import subprocess
        child = "import sys; print('safesocket' in sys.modules, sys.path[1:])"
        subprocess.run([{other!r}, "-c", child])
    """
    said = printed("--children", script(code))
    assert said.startswith("False ")
    assert str(STARTUP) not in said


def test_hook_is_for_every_python():
    """The file that other Pythons may meet has neither functions nor syntax that is young."""
    source = (STARTUP / "sitecustomize.py").read_text("ascii")
    tree = ast.parse(source, feature_version=(3, 0))
    young = (ast.FunctionDef, ast.Lambda, ast.AnnAssign, ast.NamedExpr, ast.JoinedStr)
    assert [node for node in ast.walk(tree) if isinstance(node, young)] == []


# What cannot be done is not done silently.


def ended(*words):
    """The status with which ``run`` ends here, before any program."""
    with pytest.raises(SystemExit) as it:
        main(["run", *words])
    return it.value.code


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "which program?"),
        (["--read", "5"], "which program?"),
        (["--"], "which program?"),
        (["--read"], "argument --read: expected one argument"),
        (["--read", "soon", "x.py"], "argument --read: must be 0 or more seconds, such as 2.5"),
        (["--write", "-1", "x.py"], "argument --write: must be 0 or more seconds"),
        (["--connect=nan", "x.py"], "argument --connect: must be 0 or more seconds"),
        (["--resolve", "", "x.py"], "argument --resolve: must be 0 or more seconds"),
        (["--none", "never", "x.py"], "argument --none: invalid choice: 'never'"),
        (["--message", "loud", "x.py"], "argument --message: invalid choice: 'loud'"),
        (["--rea", "5", "x.py"], "unknown option --rea"),
        (["-u", "x.py"], "unknown option -u; Python's own go before -m safesocket"),
        (["--profile=x.txt", "x.py"], "argument --profile: a profile is a file that ends in"),
        (["--warn-after", "now", "x.py"], "argument --warn-after: must be 0 or more seconds"),
        (["--children=1", "x.py"], "argument --children: ignored explicit argument"),
    ],
)
def test_bad_option_is_named(capsys, words, complaint):
    """A bad command line is a usage error, and nothing is run."""
    assert ended(*words) == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: python -m safesocket run [options] ")
    assert error.startswith(f"python -m safesocket run: error: {complaint}")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("NONE", "never", "'limit' or 'forever', not 'never'"),
        ("MESSAGE", "loud", "'append' or 'note' or 'off', not 'loud'"),
        ("REPORT", "yes", "'0' or '1', not 'yes'"),
        ("INSTALL", "yes", "'children' or 'off', not 'yes'"),
        ("READ", "soon", "0 or more seconds, such as 2.5, or 'forever', not 'soon'"),
    ],
)
def test_bad_variable_is_named(name, value, allowed):
    """A bad variable in the environment ends it before the program starts."""
    settings = {f"SAFESOCKET_{name}": value}
    status, output, complaints = outcome("-c", "print('started')", **settings)
    assert status == (1 if name == "READ" else 2)  # READ: import safesocket itself fails
    assert output == ""
    assert f"environment variable SAFESOCKET_{name} must be {allowed}\n" in complaints
    assert "Traceback" not in complaints or name == "READ"


def test_bad_variable_of_a_child_is_named(script):
    """Nor does a child with a bad variable run without limits."""
    code = """
        import os, subprocess, sys
        child = [sys.executable, "-c", "print('started')"]
        print(subprocess.run(child, env={**os.environ, "SAFESOCKET_READ": "soon"}).returncode)
    """
    status, output, complaints = outcome("--children", script(code))
    assert (status, output) == (0, "2\n")
    assert complaints == (
        "safesocket: the program was not started: ValueError: environment variable SAFESOCKET_READ"
        " must be 0 or more seconds, such as 2.5, or 'forever', not 'soon'\n"
    )


@pytest.mark.parametrize("flag", ["-I", "-E", "-S", "-IS"])
def test_interpreter_that_cannot_be_reached_is_refused(flag):
    """Under -I, -E and -S a program would run without safesocket: it is not run."""
    code = f"""
        import sys
        sys.path.append({str(ROOT)!r})
        from safesocket.__main__ import main
        sys.exit(main(["run", "-c", "print('started')"]))
    """
    status, output, complaints = end(start("-c", dedent(code), flags=[flag]))
    assert (status, output) == (2, "")
    assert "under python -I, -E and -S" in complaints
    assert "safesocket.install()" in complaints


def test_failed_install_ends_it(script, tmp_path):
    """Where safesocket cannot be installed, the program is not run without limits."""
    script("import socket; socket.socket = type('socket', (), {})", "early.py")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import early, sitecustomize; print('started')"
    )
    how = {**prepared(), "PYTHONPATH": str(tmp_path)}
    status, output, complaints = end(start("-c", code, str(STARTUP), **how))
    assert (status, output) == (2, "")
    assert re.fullmatch(r"safesocket: the program was not started: \w+Error: .*\n", complaints)


def test_interpreter_that_cannot_start_is_named(monkeypatch, capsys):
    """What the system says to the interpreter is passed on."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert ended("x.py") == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_path_that_cannot_be_passed_on_is_refused(monkeypatch, capsys):
    """A folder that PYTHONPATH cannot name, and a Python without a path, are refused."""
    monkeypatch.setattr(run, "_FOLDER", "/with:colon")
    assert ended("x.py") == 2
    assert "'/with:colon'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "executable", "")
    assert ended("x.py") == 2
    assert "sys.executable" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    """--help is ours if it stands before the program."""
    for option in ("--help", "-h"):
        assert ended(option) == 0
        shown = capsys.readouterr().out
        limits = {f"--{field}" for field in _timeouts.FIELDS}
        others = {"--none", "--message", "--children", "--report"}
        assert limits | others <= set(shown.split())
        assert max(map(len, shown.splitlines())) <= 80 + len(run._USAGE)


# What it is made of.


@pytest.mark.parametrize("text", ["5", "0", " 2.5 ", "inf", "forever", "None", "1e3", "1_0"])
def test_limits_are_those_of_the_environment(text):
    """What an option may be, its variable may be."""
    assert run._seconds(text) == text
    _timeouts._parsed("SAFESOCKET_READ", text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python -m safesocket run x", "python"),
        ("python -msafesocket run x", "python"),
        ("./python -um safesocket run -u", "./python -u"),
        ("python -uBX dev -W error -msafesocket run", "python -uBX dev -W error"),
        ("python -Xdev -OOWmodule -m safesocket", "python -Xdev -OOWmodule"),
        ("python --check-hash-based-pycs never -c code -u", "python --check-hash-based-pycs never"),
        ("python -i script.py -u -m safesocket", "python -i"),
        ("python - -u", "python"),
        ("python -q -- -u", "python -q"),
        ("python", "python"),
    ],
)
def test_options_of_python_are_found(line, expected):
    """The options are read as CPython reads its command line."""
    assert run.interpreter(line.split()) == expected.split()


def test_environment_is_given_back():
    """Whatever was added or changed is as it was, in the same order."""
    before = {"A": "1", "PYTHONPATH": "x", "SAFESOCKET_READ": "", "Z": "="}
    changed = prepared("--read", "5", "--none", "forever", "--report", **before)
    assert changed["PYTHONPATH"] == f"{STARTUP}{os.pathsep}x"
    assert (changed["SAFESOCKET_READ"], changed["SAFESOCKET_REPORT"]) == ("5", "1")
    hook.give_back(changed)
    assert list(changed.items()) == list(before.items())


@pytest.mark.parametrize("kind", ["json", "html"])
def test_file_of_the_profile_is_passed_on_whole(kind, monkeypatch, tmp_path):
    """The program may go elsewhere; the profile is written where ``run`` was called."""
    monkeypatch.chdir(tmp_path)
    changed = prepared(f"--profile=p.{kind}")
    assert changed["SAFESOCKET_PROFILE"] == str(tmp_path / f"p.{kind}")
    assert prepared("--profile")["SAFESOCKET_PROFILE"] == "1"


def test_environment_of_children_stays():
    """With --children there is nothing to be given back, and once is enough."""
    once = prepared("--children", PYTHONPATH="x")
    assert [name for name in once if name.startswith(hook.BEFORE)] == []
    assert prepared(**once) == once
    assert prepared("--children", SAFESOCKET_INSTALL="off") == {"SAFESOCKET_INSTALL": "off"}
    with pytest.raises(ValueError, match="SAFESOCKET_INSTALL must be 'children' or 'off', not 'x'"):
        prepared(SAFESOCKET_INSTALL="x")


@pytest.fixture
def begun(monkeypatch):
    """Do what is done before a program's first line; return how to do what is done at its end."""
    registered = []
    monkeypatch.setattr(hook.atexit, "register", lambda *call: registered.append(call))

    def end():
        for function, *args in reversed(registered):
            function(*args)

    def begin():
        monkeypatch.setattr(sys, "__stderr__", sys.stderr)
        assert not safesocket.is_installed()
        hook.main()
        return end

    yield begin
    while safesocket.is_installed():
        safesocket.uninstall()


@pytest.mark.parametrize("file", ["p.json", "missing/p.json", ""])
def test_hook_profiles(monkeypatch, begun, tmp_path, capfd, file):
    """In a process: the profile is in its file, or, where that cannot be or is none, on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFESOCKET_PROFILE", file or "1")
    monkeypatch.setenv("SAFESOCKET_INSTALL", "children")
    end_program = begun()
    assert "SAFESOCKET_PROFILE" not in os.environ  # of a child
    with never_answers() as (_, port), safesocket.timeouts(read=0.02):
        with socket.create_connection(("127.0.0.1", port)) as sock, pytest.raises(TimeoutError):
            sock.recv(1)
    end_program()
    said = capfd.readouterr().err
    if file == "p.json":
        rows = json.loads((tmp_path / file).read_text("utf-8"))["rows"]
        assert (f"127.0.0.1:{port}", "read") in [(row["peer"], row["phase"]) for row in rows]
        assert said == ""
    else:
        assert said.count("the profile cannot be written") == (file != "")
        assert f"\n127.0.0.1:{port} " in said


@pytest.mark.parametrize("variable", ["NONE", "MESSAGE", "REPORT", "PROFILE"])
def test_hook_refuses_what_is_no_choice(monkeypatch, begun, variable):
    """In a process: nothing is installed where a variable is not understood."""
    monkeypatch.setenv(f"SAFESOCKET_{variable}", "x")
    with pytest.raises(ValueError, match=f"^environment variable SAFESOCKET_{variable}"):
        begun()
    assert not safesocket.is_installed()


def test_hook_installs_and_reports(monkeypatch, begun, capfd):
    """In a process: safesocket is installed, and what is to be said at the end is said, once."""
    monkeypatch.setenv("SAFESOCKET_REPORT", "1")
    end_program = begun()
    assert safesocket.is_installed()
    assert "safesocket in process" not in capfd.readouterr().err
    end_program()
    monkeypatch.setattr(os, "getpid", lambda: 0)  # a fork
    end_program()
    assert capfd.readouterr().err.count("safesocket in process") == 1


def test_hook_makes_way(monkeypatch):
    """Where it is not wanted the hook is as good as not there; where it fails it says so."""
    path = STARTUP / "sitecustomize.py"
    code = compile(path.read_text("utf-8"), path, "exec")
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(sys, "path", [str(STARTUP), *sys.path])
    for settings, status in (({}, []), ({"SAFESOCKET_NONE": "never"}, [2])):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
            monkeypatch.setenv("SAFESOCKET_INSTALL", "program")
        with pytest.raises(ImportError, match="sitecustomize"):
            exec(code, {"__file__": str(path), "__name__": "sitecustomize"})
        assert exits == status
    assert str(STARTUP) not in sys.path
