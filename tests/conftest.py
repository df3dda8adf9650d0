"""What holds for every test."""

from __future__ import annotations

import signal
import socket
import ssl

import pytest

import safesocket
from safesocket import _addresses, _alarm, _redaction, _timeouts, _translate


def pytest_configure():
    """Let Ctrl-C reach the processes of tests: a shell's background jobs are told to ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """What a test sets for the whole process, ``configure`` above all, ends with the test."""
    limits, mode = dict(_timeouts._process), _translate._mode
    (family, racing), redact = _addresses.wishes(), _redaction.wished()
    default, warn_after = socket.getdefaulttimeout(), _alarm.wished()
    yield
    _timeouts._process.clear()
    _timeouts._process.update(limits)
    _translate._mode = mode
    _addresses.set_family(family)
    _addresses.set_racing(racing)
    _redaction.wish(redact)
    _alarm.wish(warn_after)
    socket.setdefaulttimeout(default)


@pytest.fixture(params=["drop-in", "installed"])
def lib(request):
    """The module whose sockets are safe: ours, or the stdlib's under install()."""
    if request.param == "drop-in":
        yield safesocket
    else:
        with safesocket.installed():
            yield socket


@pytest.fixture
def as_before():
    """After the test every name that install() may change is the object that it was before."""
    owners = (socket, socket.socket, ssl, ssl.SSLSocket, ssl.SSLContext)
    names = [_names_of(owner) for owner in owners]
    yield
    was_installed = safesocket.is_installed()
    while safesocket.is_installed():  # or every test after this one would fail, too
        safesocket.uninstall()
    assert not was_installed
    for owner, before in zip(owners, names, strict=True):
        now = _names_of(owner)
        assert now.keys() == before.keys()
        assert [name for name in before if now[name] is not before[name]] == []


def _names_of(owner):
    """Return the names of *owner*, but not what Python notes there when it warns."""
    return {name: value for name, value in vars(owner).items() if name != "__warningregistry__"}
