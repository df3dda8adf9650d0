"""The end of a program: what fails or waits while the interpreter goes down ends as in the stdlib.

The oracle is the stdlib: the same script in a new interpreter, with its sockets, with the drop-in,
and under ``install()``: the same exit status, the same output, nothing more on stderr.
"""

from __future__ import annotations

import pytest

from tests.helpers import python

LIBS = {
    "stdlib": "import socket",
    "drop-in": "import safesocket as socket",
    "installed": "import safesocket, socket; safesocket.install()",
}

#: what scripts begin with; *said* prints what every library says
COMMON = """
import atexit, sys, threading

REFUSED = ("127.0.0.1", 1)

def said(call, *args, builtins=(TimeoutError, ConnectionRefusedError, OSError), show=print):
    try:
        show("returned", call(*args))
    except builtins as exc:
        show(*[kind.__name__ for kind in builtins if isinstance(exc, kind)], exc.errno, *exc.args)

def refused():
    with socket.socket() as sock:
        sock.connect(REFUSED)

def timed_out(pair=socket.socketpair()):
    pair[0].settimeout(0.02)
    pair[0].recv(1)

class Late:
    def __init__(self, *calls):
        self.calls = calls
        self.said = said

    def __del__(self):
        for call in self.calls:
            self.said(call)
"""

SCRIPTS = {
    "an exit handler": "atexit.register(said, refused); atexit.register(said, timed_out)",
    "an exit handler that raises": "atexit.register(refused)",
    "a finalizer of a global": "late = Late(refused, timed_out)",
    "a finalizer of a module": "sys.modules['late'] = Late(refused, timed_out)",
    "a finalizer in a cycle": "late = Late(refused, timed_out); late.itself = late",
    "an exit handler that looks up": """
atexit.register(said, socket.getaddrinfo, "x", 1, 0, 0, 0, socket.AI_NUMERICHOST)
atexit.register(said, lambda: len(socket.getaddrinfo("127.0.0.1", 1)))
""",
    "a look-up in a finalizer": """
class Looking(Late):
    pass
late = Looking(lambda look_up=socket.gethostbyname: look_up("127.0.0.1"))
""",
    "a name looked up in an exit handler": """
atexit.register(lambda: said(lambda: bool(socket.getaddrinfo("localhost", 1))))
""",
    "an error kept": """
try:
    refused()
except OSError as exc:
    kept = exc
class Telling:
    def __del__(self, error=kept):
        print("Connection refused" in str(error), error.errno)
telling = Telling()
""",
    "an error that nobody catches": "refused()",
    "an error in a thread": """
threading.excepthook = lambda args: print(args.exc_type.__mro__[-4:-3], file=sys.stderr)
thread = threading.Thread(target=said, args=[refused])
thread.start()
""",
    "a daemon that reads": """
listener = socket.create_server(("127.0.0.1", 0))
sock = socket.create_connection(listener.getsockname())
threading.Thread(target=said, args=[sock.recv, 1], daemon=True).start()
""",
    "a daemon that accepts": """
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=said, args=[listener.accept], daemon=True).start()
""",
    "a daemon that sends": """
listener = socket.create_server(("127.0.0.1", 0))
sock = socket.create_connection(listener.getsockname())
threading.Thread(target=said, args=[sock.sendall, bytes(10_000_000)], daemon=True).start()
""",
    "a status": "atexit.register(said, refused); sys.exit(3)",
    "a socket left open": "sock = socket.socket()",
}


def end_of(lib, script):
    process = python("\n".join((LIBS[lib], COMMON, script)), "-X", "dev")
    return process.returncode, process.stdout, summary(process.stderr)


def summary(stderr):
    """Return what stands on stderr, less what may differ: frames, and what ours say besides."""
    lines = [line for line in stderr.splitlines() if line[:1] != " " and line.strip()]
    kinds = [line.partition(":")[0].rpartition(".")[2] for line in lines]
    kinds = [kind.partition(" at 0x")[0] for kind in kinds if not kind.startswith("Hint")]
    return [KINDS.get(kind, kind) for kind in kinds]


#: a class of ours -> the builtin in its place
KINDS = {"ConnectRefusedError": "ConnectionRefusedError"}


@pytest.mark.parametrize("lib", ["drop-in", "installed"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_end(name, lib):
    """Exit status, output and complaints are those of the stdlib."""
    assert end_of(lib, SCRIPTS[name]) == end_of("stdlib", SCRIPTS[name])


def test_the_scripts_say_something():
    """Their finalizers and handlers do run, or there would be nothing to compare."""
    _, output, _ = end_of("drop-in", SCRIPTS["a finalizer of a global"])
    assert output.splitlines() == [
        "ConnectionRefusedError OSError 111 111 Connection refused",
        "TimeoutError OSError None timed out",
    ]
