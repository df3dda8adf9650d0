"""uninstall() puts back exactly what it took, whoever else has been at work meanwhile.

What somebody else has put on top stays, and what is ours below it is the plain stdlib again.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import wraps

import pytest
import wrapt

import safesocket
from safesocket import _ledger, _lending, errors, testing
from tests.helpers import (
    GUARD,
    LIMIT,
    connected,
    everything,
    garbage,
    mode_of,
    printed,
    waits_for_ever,
)

pytestmark = pytest.mark.usefixtures("as_before")


# Who has asked for it.


def test_uninstall_counts():
    """The changes last until every install() is taken back, in any order."""
    installations = [safesocket.install() for _ in range(5)]
    random.Random(1).shuffle(installations)
    for installation in installations:
        assert safesocket.is_installed()
        assert "recv" in vars(socket.socket)
        installation.uninstall()
    assert not safesocket.is_installed()


def test_uninstall_twice():
    """An Installation can be taken back once: it does not take that of somebody else."""
    first, second = safesocket.install(), safesocket.install()
    first.uninstall()
    first.uninstall()
    assert safesocket.is_installed()
    second.uninstall()


def test_uninstall_without_install():
    """uninstall() where nothing is installed does nothing; else it takes the latest back."""
    safesocket.uninstall()
    first, second = safesocket.install(), safesocket.install()
    safesocket.uninstall()
    second.uninstall()
    assert safesocket.is_installed()
    first.uninstall()


def test_installed_nested():
    """Blocks nest, with one object as well, and end with an exception, too."""
    block = safesocket.installed()
    with pytest.raises(ZeroDivisionError), block, block, safesocket.install():  # noqa: PT012
        assert vars(socket.socket)["recv"].__name__ == "recv"
        1 / 0  # noqa: B018
    assert not safesocket.is_installed()


def test_install_again_is_one_layer():
    """A second install() puts nothing on top of the first."""
    with safesocket.installed():
        once = dict(vars(socket)), dict(vars(socket.socket))
        with safesocket.installed():
            assert (dict(vars(socket)), dict(vars(socket.socket))) == once
        assert (dict(vars(socket)), dict(vars(socket.socket))) == once


def test_installed_in_eight_threads():
    """Overlapping blocks in many threads are never without, and end with nothing installed."""
    together = threading.Barrier(8)

    def overlap(seed):
        turns = random.Random(seed)
        together.wait(GUARD)
        for _ in range(20):
            with safesocket.installed():
                if turns.random() < 0.5:
                    with safesocket.installed():
                        assert "recv" in vars(socket.socket)
                assert socket.getaddrinfo("127.0.0.1", 1)[0][4] == ("127.0.0.1", 1)
                assert "recv" in vars(socket.socket)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(overlap, range(8)))


def test_install_while_sockets_are_in_use():
    """Calls that another thread makes meanwhile all succeed."""
    stop = threading.Event()

    def use():
        with connected(socket) as (sock, peer):
            while not stop.is_set():
                sock.send(b"question")
                assert peer.recv(8) == b"question"
                with sock.makefile("rb", buffering=0, newline=None) as _, peer.dup():
                    pass

    with ThreadPoolExecutor(1) as pool:
        using = pool.submit(use)
        for _ in range(50):
            safesocket.install().uninstall()
        stop.set()
        using.result(GUARD)


def test_uninstall_leaves_no_garbage():
    """Neither does install()."""
    safesocket.install().uninstall()
    assert garbage(lambda: safesocket.install().uninstall()) == 0


# Interruptions.


@pytest.mark.parametrize("at", [1, 10, 40])
def test_install_interrupted(monkeypatch, at):
    """An install() that is stopped half-way leaves nothing half-done."""
    put, left = _ledger.Ledger.put, iter(range(at))

    def stopping(*args):
        put(*args)
        if next(left, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(_ledger.Ledger, "put", stopping)
    with pytest.raises(KeyboardInterrupt):
        safesocket.install()
    assert "recv" not in vars(socket.socket)


@pytest.mark.parametrize("at", [1, 10, 40])
def test_uninstall_interrupted(monkeypatch, at):
    """An uninstall() that is stopped half-way can be called again, and so can install()."""
    back, left = _ledger.Change.take_back, iter(range(at))

    def stopping(self):
        if next(left, None) is None:
            raise KeyboardInterrupt
        back(self)

    installation = safesocket.install()
    monkeypatch.setattr(_ledger.Change, "take_back", stopping)
    with pytest.raises(KeyboardInterrupt):
        installation.uninstall()
    assert not safesocket.is_installed()
    monkeypatch.undo()
    safesocket.install(none="forever").uninstall()


FORK = """
    import os, socket, sys, threading
    import safesocket
    from safesocket import _ledger

    def state():
        return dict(vars(socket)), dict(vars(socket.socket))

    def forked(check):
        pid = os.fork()
        if not pid:
            try:
                check()
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def check():
        assert not safesocket.is_installed()
        assert state() == plain
        with safesocket.installed(none="forever"):
            assert "recv" in vars(socket.socket)
        assert state() == plain

    safesocket.install().uninstall()
    plain = state()
    reached, go_on, calls = threading.Event(), threading.Event(), iter(range(20))
    method = getattr(OWNER, NAME)

    def stopping(*args):
        if next(calls, None) is None:
            reached.set()
            go_on.wait(20)
        return method(*args)

    setattr(OWNER, NAME, stopping)
    thread = threading.Thread(target=lambda: safesocket.install().uninstall())
    thread.start()
    reached.wait(20)
    setattr(OWNER, NAME, method)
    print(forked(check))
    go_on.set()
    thread.join(20)
    print(state() == plain)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("place", ["_ledger.Ledger, 'put'", "_ledger.Change, 'take_back'"])
def test_install_in_a_fork(place):
    """A child that was forked while another thread installs begins with nothing installed."""
    owner, name = place.split(", ")
    code = FORK.replace("OWNER", owner).replace("NAME", name)
    assert printed(code, "-W", "ignore::DeprecationWarning").split() == ["0", "True"]


# Somebody else on top.


def theirs_on_top(ours):
    """Return what another patcher makes of *ours*."""

    @wraps(ours)
    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    return theirs


def wrapt_on_top(ours):
    return wrapt.FunctionWrapper(
        ours, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs)
    )


every_patcher = pytest.mark.parametrize("patched", [theirs_on_top, wrapt_on_top])


@every_patcher
def test_uninstall_below_another_patcher_of_a_method(patched):
    """Theirs survives, and ours below it is the plain stdlib: waits, modes and errors."""
    installation = safesocket.install()
    ours = vars(socket.socket)["recv"]
    theirs = socket.socket.recv = patched(ours)
    installation.uninstall()
    try:
        assert vars(socket.socket)["recv"] is theirs
        assert installation.report().overlaid == ("socket.socket.recv",)
        assert "socket.socket.recv" in str(installation.report())
        safesocket.configure(read=LIMIT)
        with connected(socket) as (sock, peer):
            assert waits_for_ever(lambda: sock.recv(1), lambda: peer.send(b"."))
        with connected(socket, mode=LIMIT) as (sock, _), pytest.raises(TimeoutError) as it:
            sock.recv(1)
        assert (type(it.value), str(it.value)) == (TimeoutError, "timed out")
        with pytest.raises(TypeError):
            sock.recv(bufsize=1)
        with safesocket.installed() as again:  # theirs is not ours to patch
            assert vars(socket.socket)["recv"] is theirs
            assert again.report().left[0].startswith("socket.socket.recv: ")
    finally:
        del socket.socket.recv


@every_patcher
def test_uninstall_below_another_patcher_of_a_function(patched):
    """Theirs survives, and ours below it only passes calls on."""
    plain = socket.gethostbyname
    installation = safesocket.install()
    ours = socket.gethostbyname
    theirs = socket.gethostbyname = patched(ours)
    installation.uninstall()
    try:
        assert socket.gethostbyname is theirs
        assert installation.report().overlaid == ("socket.gethostbyname",)
        for call in (theirs, ours):
            with pytest.raises(socket.gaierror) as it:
                call("host.invalid")
            assert type(it.value) is socket.gaierror
        with safesocket.installed(), pytest.raises(errors.HostNotFoundError):
            socket.gethostbyname("host.invalid")
        assert socket.gethostbyname is theirs
    finally:
        socket.gethostbyname = plain


def test_uninstall_below_every_sort_of_method():
    """Whatever was saved while installed works as the stdlib's afterwards."""
    with safesocket.installed():
        saved = dict(vars(socket.socket))
        with safesocket.installed() as again:
            assert again.report().overlaid == ()
    with connected(socket) as (sock, peer):
        assert saved["send"](sock, b"sent") == 4
        saved["sendall"](sock, b"whole")
        saved["settimeout"](sock, None)
        saved["shutdown"](sock, socket.SHUT_WR)
        with saved["makefile"](peer, "rb", buffering=-1) as file:
            assert file.read() == b"sentwhole"
        with saved["dup"](peer) as double:
            assert everything(double) == b""
    sock = socket.socket.__new__(socket.socket)
    saved["__init__"](sock, socket.AF_INET, type=socket.SOCK_STREAM)
    with sock, testing.refuses() as address, pytest.raises(ConnectionRefusedError) as it:
        saved["connect"](sock, address)
    assert type(it.value) is ConnectionRefusedError


def test_uninstall_below_and_theirs_puts_ours_back():
    """They restore what they saved, which is dead; the next install() sees through it."""
    plain = socket.getaddrinfo, vars(socket.socket)["accept"]
    for _ in range(300):  # a chain would end in a RecursionError
        installation = safesocket.install()
        saved = socket.getaddrinfo, vars(socket.socket)["recv"], vars(socket.socket)["accept"]
        socket.getaddrinfo = theirs_on_top(saved[0])
        socket.socket.recv, socket.socket.accept = map(theirs_on_top, saved[1:])
        installation.uninstall()
        socket.getaddrinfo, socket.socket.recv, socket.socket.accept = saved
    assert socket.getaddrinfo("127.0.0.1", 1)[0][4] == ("127.0.0.1", 1)
    with connected(socket) as (sock, peer):
        peer.send(b".")
        assert sock.recv(1) == b"."
    with safesocket.installed(), connected(socket) as (sock, _):
        safesocket.configure(read=LIMIT)
        with pytest.raises(errors.ReadTimeoutError):
            sock.recv(1)
    assert (socket.getaddrinfo, vars(socket.socket)["accept"]) == plain
    assert "recv" not in vars(socket.socket)


def test_uninstall_below_a_rebound_class():
    """A class that somebody has put in the place of ours stays; it is the stdlib's again."""
    plain = socket.socket

    class Sub(socket.socket):
        pass

    installation = safesocket.install()
    socket.socket = Sub
    installation.uninstall()
    try:
        assert socket.socket is Sub
        assert "recv" not in vars(plain)
        with testing.refuses() as address, pytest.raises(ConnectionRefusedError) as it:
            socket.create_connection(address)
        assert type(it.value) is ConnectionRefusedError
    finally:
        socket.socket = plain


def test_uninstall_after_they_restored_the_plain_one(monkeypatch):
    """Who came before and left meanwhile has put the stdlib's back: so it stays."""
    plain = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", theirs_on_top(plain))
    installation = safesocket.install()
    monkeypatch.undo()
    assert socket.getaddrinfo is plain
    assert safesocket.install().report().patched.count("socket.getaddrinfo") == 1
    safesocket.uninstall()
    installation.uninstall()
    assert socket.getaddrinfo is plain


# TLS.


def test_uninstall_gives_tls_sockets_their_mode_back():
    """An open TLS socket has the mode of the program again, on the descriptor, too."""
    context = ssl.create_default_context()
    options = {"server_hostname": "localhost", "do_handshake_on_connect": False}
    with (
        connected(socket) as (sock, _),
        safesocket.installed(),
        context.wrap_socket(sock, **options) as tls,
    ):
        _lending.poll(tls)
        assert mode_of(tls) == (True, None)
        safesocket.uninstall()
        assert mode_of(tls) == (False, None)


# Loading again.


def test_reload_of_socket():
    """New objects come with it, which the next install() reaches; nothing is wrapped twice."""
    assert printed("""
        import importlib, socket, safesocket
        from safesocket import errors, testing
        first = safesocket.install()
        old = socket.socket
        importlib.reload(socket)
        print(socket.socket is not old, "recv" in vars(socket.socket))
        plain = dict(vars(socket)), dict(vars(socket.socket))
        second = safesocket.install()
        safesocket.configure(read=0.02)
        with testing.never_answers() as address:
            for timeout in (socket._GLOBAL_DEFAULT_TIMEOUT, None):
                with socket.create_connection(address, timeout) as sock:
                    try:
                        sock.recv(1)
                    except errors.ReadTimeoutError as exc:
                        print(type(sock) is socket.socket, str(exc).count("timed out"))
        with testing.refuses() as address:
            try:
                socket.create_connection(address)
            except errors.ConnectRefusedError as exc:
                print(str(exc).count("connect to"), len(exc.attempts))
        second.uninstall(), first.uninstall()
        print((dict(vars(socket)), dict(vars(socket.socket))) == plain, "recv" in vars(old))
    """).splitlines() == ["True False", "True 1", "True 1", "1 1", "True False"]


def test_reload_of_safesocket():
    """The façade loaded again is the same house: one layer, and it can be taken back."""
    assert printed("""
        import importlib, socket
        plain = dict(vars(socket)), dict(vars(socket.socket))
        import safesocket
        first = safesocket.install()
        before = dict(vars(socket.socket))
        importlib.reload(safesocket)
        print(safesocket.is_installed(), dict(vars(socket.socket)) == before)
        with safesocket.install():
            print(dict(vars(socket.socket)) == before)
        for function in ("socketpair", "_fallback_socketpair"):
            for end in getattr(safesocket, function, safesocket.socketpair)():
                end.close()
        first.uninstall()
        print((dict(vars(socket)), dict(vars(socket.socket))) == plain)
    """).split() == ["True", "True", "True", "True"]


def test_reload_of_ssl():
    """The next install() reaches its new class."""
    assert printed("""
        import importlib, ssl, safesocket
        safesocket.install()
        old = ssl.SSLSocket
        importlib.reload(ssl)
        print(ssl.SSLSocket.read.__code__.co_filename == ssl.__file__)
        plain = dict(vars(ssl.SSLSocket))
        safesocket.install()
        print(ssl.SSLSocket.read.__code__.co_filename == ssl.__file__)
        safesocket.uninstall(), safesocket.uninstall()
        print(dict(vars(ssl.SSLSocket)) == plain, old.read.__code__.co_filename == ssl.__file__)
    """).splitlines() == ["True", "False", "True True"]


def test_install_refused_changes_nothing(monkeypatch):
    """Where the sockets in use are not the stdlib's, it is refused by name."""

    class Green:
        """As gevent's, which is not built on the stdlib's."""

    monkeypatch.setattr(socket, "socket", Green)
    with pytest.raises(safesocket.InstallError, match=r"Green.*nothing has been changed"):
        safesocket.install()
    monkeypatch.undo()
