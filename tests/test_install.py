"""What install() reaches, and what it says of the rest.

The classes of the stdlib keep their identity, so whoever has one has the safe one: with
``from socket import ...`` done long before, in a subclass, or in a socket that is open already.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
import socket
import ssl
import sys
from functools import wraps
from textwrap import dedent
from types import ModuleType

import pytest

import safesocket
from safesocket import FOREVER, errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    connected,
    printed,
    python,
    still_waits,
    waits_for_ever,
    within,
)
from tests.helpers import calling as calling_in_a_thread

pytestmark = pytest.mark.usefixtures("as_before")

SocketBefore = socket.socket
create_connection_before = socket.create_connection
getaddrinfo_before = socket.getaddrinfo


class SubclassBefore(socket.socket):
    """As PySocks and pyroute2 have one."""


def times_out(call, *args, phase="read"):
    """Return the error of a call that ends at the limit."""
    with within(LIMIT), pytest.raises(errors.SocketTimeoutError) as it:
        call(*args)
    assert f"configured {phase} timeout {LIMIT} s" in str(it.value)
    return it.value


# Who is reached.


@pytest.mark.parametrize("kind", [SocketBefore, SubclassBefore], ids=["class", "subclass"])
def test_install_after_from_import_of_a_class(kind):
    """A class that was imported or derived before install() has limits and tells the peer."""
    with (
        safesocket.installed(),
        testing.never_answers() as address,
        kind() as sock,
    ):
        safesocket.configure(read=LIMIT)
        sock.connect(address)
        assert type(sock) is kind
        assert times_out(sock.recv, 1).port == address[1]


def test_install_after_from_import_of_functions():
    """Functions that a module took by from-import are replaced in it, and put back."""
    namespace = sys.modules[__name__]
    plain = getaddrinfo_before, create_connection_before
    with safesocket.installed() as installation:
        assert namespace.getaddrinfo_before is socket.getaddrinfo
        assert namespace.create_connection_before is socket.create_connection
        assert f"{__name__}.getaddrinfo_before" in installation.report().copies
        with pytest.raises(errors.HostNotFoundError):
            getaddrinfo_before("host.invalid", 80)
    assert (getaddrinfo_before, create_connection_before) == plain


def test_install_with_a_socket_open_before():
    """A socket that was open before install() is limited and its peer is named."""
    with connected(socket) as (sock, peer), safesocket.installed():
        safesocket.configure(read=LIMIT)
        assert times_out(sock.recv, 1).address == peer.getsockname()
    with connected(socket) as (sock, _):
        assert waits_for_ever(lambda: sock.recv(1), lambda: sock.shutdown(socket.SHUT_RD))


def test_install_before_a_subclass():
    """A class derived while installed is safe, and the plain stdlib's afterwards."""
    with safesocket.installed():

        class Later(socket.socket):
            """As a library loaded later has one."""

        with testing.never_answers() as address, Later() as sock:
            safesocket.configure(read=LIMIT)
            sock.connect(address)
            times_out(sock.recv, 1)
    with testing.refuses() as address, Later() as sock, pytest.raises(ConnectionError) as it:
        sock.connect(address)
    assert type(it.value) is ConnectionRefusedError


def test_install_keeps_identities():
    """No class is exchanged: isinstance and issubclass say what they said."""
    classes = socket.socket, socket.SocketType, ssl.SSLSocket, ssl.SSLContext
    with safesocket.installed():
        assert (socket.socket, socket.SocketType, ssl.SSLSocket, ssl.SSLContext) == classes
        assert issubclass(ssl.SSLSocket, socket.socket)
        assert issubclass(safesocket.socket, SocketBefore)
        with connected(socket) as (sock, peer):
            assert type(sock) is type(peer) is SocketBefore
    assert safesocket._GLOBAL_DEFAULT_TIMEOUT is socket._GLOBAL_DEFAULT_TIMEOUT


def test_install_with_the_drop_in_class():
    """The drop-in's sockets are told about once, not once for each of the two."""
    with safesocket.installed(), testing.refuses() as address:
        for call in (safesocket.create_connection, socket.create_connection):
            with pytest.raises(errors.ConnectRefusedError) as it:
                call(address)
            assert str(it.value).count("connect to") == 1
            assert it.value.__context__ is None


def test_install_with_a_rebound_class():
    """Where somebody has put a subclass in the place of socket.socket, it is reached below."""
    socket.socket = SubclassBefore
    try:
        with safesocket.installed(), testing.never_answers() as address:
            safesocket.configure(read=LIMIT)
            with socket.create_connection(address) as sock:
                assert type(sock) is SubclassBefore
                times_out(sock.recv, 1)
        assert socket.socket is SubclassBefore
    finally:
        socket.socket = SocketBefore


# What can be seen of it.


def specification(function):
    """Return what inspect tells of *function*, but names by which nobody can give an argument."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    bare = [(one.kind, one.default) for one in signature.parameters.values()]
    names = [name for name, one in signature.parameters.items() if one.kind != one.POSITIONAL_ONLY]
    full = inspect.getfullargspec(function) if len(names) == len(bare) else None
    return bare, names, signature.return_annotation, full


def specifications():
    """Return what inspect tells of everything public."""
    places = {"": socket, "socket.": socket.socket, "SSLSocket.": ssl.SSLSocket}
    return {
        prefix + name: (specification(value), value.__name__)
        for prefix, owner in places.items()
        for name, value in inspect.getmembers(owner, callable)
        if not name.startswith("_") or name == "__init__"
    }


def test_install_keeps_signatures():
    """Every public callable has the signature and the name that it had, where it had one."""
    before = specifications()
    with safesocket.installed():
        now = specifications()
    assert now.keys() == before.keys()
    for name, (told, called) in before.items():
        assert now[name][1] == called, name
        assert told is None or told == now[name][0], name


@pytest.mark.parametrize("name", ["getaddrinfo", "gethostbyname", "create_connection"])
def test_install_keeps_functions_picklable(name):
    """ProcessPoolExecutor().map(socket.gethostbyname, hosts) goes on to work."""
    with safesocket.installed():
        function = getattr(socket, name)
        sent = pickle.dumps(function)
        assert pickle.loads(sent) is copy.copy(function) is copy.deepcopy(function) is function
    assert b"safesocket" not in sent
    assert pickle.loads(sent) is getattr(socket, name)


@pytest.mark.parametrize("name", ["__init__", "accept", "connect", "settimeout"])
def test_install_keeps_methods_picklable(name):
    """A method is found by the name that it says of itself."""
    with safesocket.installed():
        method = getattr(socket.socket, name)
        assert pickle.loads(pickle.dumps(method)) is method


def test_install_names_the_host_given_by_keyword():
    """Arguments by name, in any order, are told as they are meant."""
    with safesocket.installed(), pytest.raises(errors.HostNotFoundError) as it:
        socket.getaddrinfo(port=80, host="host.invalid")
    assert (it.value.host, it.value.port) == ("host.invalid", 80)


def test_install_with_bad_arguments_to_the_stdlib():
    """Bad arguments get the stdlib's own words."""
    calls = (
        (lambda: socket.socket, (1, 2, 3, 4, 5)),
        (lambda: socket.create_connection, ()),
        (lambda: socket.getaddrinfo, ()),
        (lambda: socket.gethostbyname, ()),
    )

    def words():
        for function, args in calls:
            with pytest.raises(TypeError) as it:
                function()(*args)
            yield str(it.value)

    before = list(words())
    with safesocket.installed():
        assert list(words()) == before


# The report.


def test_report_of_default_arguments():
    """Functions that were bound early, where no module's names lead to, are listed."""

    def positional(host, look_up=socket.getaddrinfo):
        return look_up(host, 80)

    def by_keyword(host, *, look_up=socket.gethostbyname):
        return look_up(host)

    class Attribute:
        look_up = socket.gethostbyname_ex

    with safesocket.installed() as installation:
        unreached = "\n".join(installation.report().unreached)
    for function, name in (
        (positional, "socket.getaddrinfo is a default argument"),
        (by_keyword, "socket.gethostbyname is a default argument"),
        (Attribute, "socket.gethostbyname_ex is an attribute of the class"),
    ):
        assert f"{__name__}.{function.__qualname__}: {name}" in unreached


def test_report_in_words():
    """The report is text that names what is safe."""
    with safesocket.installed() as installation:
        report = installation.report()
        assert {"socket.socket.recv", "socket.getaddrinfo", "ssl.SSLSocket.read"} <= {
            *report.patched
        }
        assert str(report).startswith("safesocket is installed")
    assert str(installation.report()) == "safesocket is not installed"
    assert installation.report().patched == ()


def test_report_of_what_somebody_else_had_put_before(monkeypatch):
    """A method that somebody else had replaced stays theirs, and is named."""
    plain = socket.socket.makefile

    @wraps(plain)  # which says that it is the stdlib's
    def theirs(self, *args, **kwargs):
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "makefile", theirs)
    with safesocket.installed() as installation:
        assert socket.socket.makefile is theirs
        (left,) = installation.report().left
        assert left.startswith("socket.socket.makefile: ")
    assert socket.socket.makefile is theirs
    monkeypatch.undo()


def test_install_around_somebody_elses_function(monkeypatch):
    """A function that somebody else had put in place is called, whatever sort of thing it is."""

    class Theirs:
        def __call__(self, *args):
            raise socket.gaierror(socket.EAI_AGAIN, "theirs")

    theirs = Theirs()
    monkeypatch.setattr(socket, "getaddrinfo", theirs)
    with safesocket.installed(), pytest.raises(errors.ResolverError) as it:
        socket.getaddrinfo("a.example", 80)
    assert (it.value.operation, it.value.host) == ("getaddrinfo", "a.example")
    assert socket.getaddrinfo is theirs
    monkeypatch.undo()


# None, and for ever.


def connect_without(timeout, address):
    return socket.create_connection(address, timeout=timeout)


def set_afterwards(timeout, address):
    sock = socket.create_connection(address)
    sock.settimeout(timeout)
    return sock


def set_blocking(_, address):
    sock = socket.create_connection(address)
    sock.setblocking(True)
    return sock


every_way = pytest.mark.parametrize("open_", [connect_without, set_afterwards, set_blocking])


@every_way
def test_install_none_means_the_limit(open_):
    """settimeout(None) and timeout=None, passed without a thought, leave the limits in force."""
    with safesocket.installed(), testing.never_answers() as address:
        safesocket.configure(read=LIMIT)
        with open_(None, address) as sock:
            assert sock.gettimeout() is None
            times_out(sock.recv, 1)


@every_way
def test_install_none_means_for_ever(open_):
    """With none="forever" it is honoured."""
    with safesocket.installed(none="forever"), testing.never_answers() as address:
        safesocket.configure(read=LIMIT)
        with open_(None, address) as sock:
            assert waits_for_ever(lambda: sock.recv(1), lambda: sock.shutdown(socket.SHUT_RD))


@pytest.mark.parametrize("open_", [connect_without, set_afterwards])
@pytest.mark.parametrize("none", ["limit", "forever"])
def test_install_forever(open_, none):
    """FOREVER always means for ever."""
    with safesocket.installed(none=none), testing.never_answers() as address:
        safesocket.configure(read=LIMIT)
        with open_(FOREVER, address) as sock:
            assert waits_for_ever(lambda: sock.recv(1), lambda: sock.shutdown(socket.SHUT_RD))


@pytest.mark.parametrize("timeout", [None, FOREVER])
def test_install_create_connection_in_vain(timeout):
    """timeout=None has the connect limit; FOREVER has none."""
    with safesocket.installed(), testing.never_accepts() as address:
        safesocket.configure(connect=LIMIT)
        if timeout is None:
            times_out(connect_without, None, address, phase="connect")
        else:
            sock = socket.socket()
            sock.settimeout(timeout)
            with calling_in_a_thread(sock.connect_ex, address) as future:
                assert still_waits(future)
                sock.shutdown(socket.SHUT_RDWR)
                future.exception(GUARD)
            sock.close()


def test_install_settimeout_wins():
    """A number of the program's own always wins, and is what gettimeout() says."""
    with safesocket.installed(), testing.never_answers() as address:
        with socket.create_connection(address, timeout=LIMIT) as sock, within(LIMIT):
            assert sock.gettimeout() == LIMIT
            with pytest.raises(errors.ReadTimeoutError) as it:
                sock.recv(1)
        assert it.value.timeout_source == "settimeout"


# Bad arguments.


@pytest.mark.parametrize("call", [safesocket.install, safesocket.installed])
@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"none": None}, ValueError, "none must be 'limit' or 'forever'"),
        ({"none": "never"}, ValueError, "none must be 'limit' or 'forever'"),
        ({"exempt": "redis.*"}, TypeError, "exempt must be a list"),
        ({"exempt": None}, TypeError, "exempt must be a list"),
        ({"exempt": safesocket.Exemption("redis")}, TypeError, "exempt must be a list"),
        ({"exempt": [5]}, TypeError, "module must be str"),
        ({"exempt": [None]}, ValueError, "needs a module, a host or a port"),
        ({"nonsense": 1}, TypeError, "nonsense"),
    ],
)
def test_install_with_bad_arguments(call, options, kind, named):
    """What cannot be is refused at once, by name, and nothing is changed."""
    with pytest.raises(kind, match=named):
        call(**options)


@pytest.mark.parametrize("options", [{"none": "forever"}, {"exempt": ["redis"]}])
def test_install_again_with_other_options(options):
    """A second install() may not change the options of the first, and does not undo it."""
    with safesocket.installed() as first:
        with pytest.raises(safesocket.InstallError, match="with other options"):
            safesocket.install(**options)
        assert safesocket.is_installed()
        first.uninstall()
        with safesocket.installed(**options):
            assert safesocket.is_installed()


# Modules.


def test_install_again_reaches_what_came_meanwhile():
    """A module that got hold of a plain function meanwhile is reached by the next install()."""
    plain, module = socket.gethostbyname, ModuleType("came_meanwhile")
    sys.modules["came_meanwhile"] = sys.modules["also_known_as"] = module
    try:
        with safesocket.installed():
            module.look_up = plain
            with safesocket.installed() as again:
                assert module.look_up is socket.gethostbyname is not plain
                assert again.report().copies.count("came_meanwhile.look_up") == 1
            module.imported_later = socket.gethostbyname
        assert module.look_up is module.imported_later is plain
    finally:
        del sys.modules["came_meanwhile"], sys.modules["also_known_as"]


def test_install_leaves_lazy_modules_asleep(tmp_path, monkeypatch):
    """Modules are looked into by their dictionaries alone: what loads itself stays asleep."""
    (tmp_path / "sleeper.py").write_text("raise AssertionError('awake')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("sleeper")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)

    class Loading(ModuleType):
        """As apipkg's: to look at its dictionary loads it."""

        def __getattribute__(self, name):
            raise AssertionError(name)

        @property
        def __dict__(self):
            raise AssertionError("__dict__")

    monkeypatch.setitem(sys.modules, "sleeper", lazy)
    monkeypatch.setitem(sys.modules, "loading", Loading("loading"))
    with safesocket.installed() as installation:
        assert installation.report().patched
    assert type(lazy).__name__ == "_LazyModule"


def test_install_with_odd_modules(monkeypatch):
    """sys.modules may hold None, instances, and modules that refuse to be asked."""
    odd = ModuleType("odd")
    odd.__getattr__ = lambda name: 1 / 0
    nameless = ModuleType("nameless")
    vars(nameless).clear()
    nameless.look_up = socket.gethostbyname
    things = {"nothing": None, "instance": object(), "text": "text", "odd": odd}
    for name, thing in {**things, "nameless": nameless}.items():
        monkeypatch.setitem(sys.modules, name, thing)
    with safesocket.installed() as installation:
        assert nameless.look_up is socket.gethostbyname
        assert str(installation.report())
    assert nameless.look_up is socket.gethostbyname


def test_install_with_thousands_of_modules(monkeypatch):
    """So many modules do not make install() a thing to wait for."""
    plain = socket.getaddrinfo
    for number in range(3000):
        module = ModuleType(f"synthetic{number}")
        vars(module).update({f"name{n}": n for n in range(40)}, look_up=plain)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with within(2), safesocket.installed():
        assert module.look_up is socket.getaddrinfo is not plain
    assert module.look_up is plain


# ssl.


WITHOUT_SSL = """
    import sys, wrapt
    sys.modules.pop("ssl", None)  # which wrapt may have brought, by way of asyncio
    import safesocket
"""


def test_install_before_ssl_is_imported():
    """TLS sockets are reached when ssl comes, and install() does not bring it."""
    assert printed(
        dedent(WITHOUT_SSL)
        + dedent("""
        installation = safesocket.install()
        print("ssl" in sys.modules)
        import ssl
        print("ssl.SSLSocket.do_handshake" in installation.report().patched)
        installation.uninstall()
        print(ssl.SSLSocket.do_handshake.__code__.co_filename == ssl.__file__)
    """)
    ).split() == ["False", "True", "True"]


def test_uninstall_before_ssl_is_imported():
    """After uninstall() ssl comes as it is, and the next install() reaches it."""
    assert printed(
        dedent(WITHOUT_SSL)
        + dedent("""
        safesocket.install().uninstall()
        import ssl
        print(ssl.SSLSocket.do_handshake.__code__.co_filename == ssl.__file__)
        print("ssl.SSLSocket.do_handshake" in safesocket.install().report().patched)
    """)
    ).split() == ["True", "True"]


def test_install_while_another_thread_imports_ssl():
    """Neither waits for the other for ever."""
    assert printed(
        dedent(WITHOUT_SSL)
        + dedent("""
        import threading
        del sys.modules["_ssl"]
        entered, go_on = threading.Event(), threading.Event()

        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "_ssl":
                    entered.set()
                    go_on.wait(10)

        sys.meta_path.insert(0, Slow())
        importer = threading.Thread(target=lambda: __import__("ssl"))
        importer.start()
        entered.wait(10)
        installer = threading.Thread(target=safesocket.install)
        installer.start()
        go_on.set()
        importer.join(10), installer.join(10)
        print(importer.is_alive(), installer.is_alive(), safesocket.is_installed())
        import ssl
        print(ssl.SSLSocket.read.__code__.co_filename == ssl.__file__)
    """)
    ).split() == ["False", "False", "True", "False"]


def test_import_changes_nothing():
    """import safesocket changes no name of socket."""
    assert (
        printed("""
        import socket
        before = dict(vars(socket)), dict(vars(socket.socket))
        import safesocket
        print(before == (dict(vars(socket)), dict(vars(socket.socket))), safesocket.is_installed())
    """)
        == "True False"
    )


def test_install_at_exit():
    """install() and uninstall() work while the interpreter shuts down."""
    process = python("""
        import atexit, safesocket, socket

        def at_exit():
            with safesocket.installed():
                print(socket.getaddrinfo("127.0.0.1", 1)[0][4])

        atexit.register(at_exit)
        class Last:
            def __init__(self):
                self.installation = safesocket.install()
            def __del__(self):
                self.installation.uninstall()
        last = Last()
    """)
    assert (process.stdout.strip(), process.stderr) == ("('127.0.0.1', 1)", "")
