"""What holds for every test."""

from __future__ import annotations

import socket

import pytest

from safesocket import _addresses, _timeouts, _translate


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """What a test sets for the whole process, ``configure`` above all, ends with the test."""
    limits, mode = dict(_timeouts._process), _translate._mode
    wishes = _addresses.wishes()
    default = socket.getdefaulttimeout()
    yield
    _timeouts._process.clear()
    _timeouts._process.update(limits)
    _translate._mode = mode
    _addresses.wish(*wishes)
    socket.setdefaulttimeout(default)
