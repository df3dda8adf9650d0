"""What replaces the stdlib's sockets after ``install()``: whether that is so, and gevent's warning.

Sockets of gevent and eventlet are not the stdlib's, so from then on nothing of ours is in use.
gevent tells when it patches; eventlet does not: there the report has to be asked.
"""

from __future__ import annotations

import socket as stdlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any


class InstallError(RuntimeError):
    """``install()`` is not possible and has changed nothing; the text says what to do."""


_WHY = (
    "which is not the stdlib's class: its waits are its own, and safesocket cannot reach "
    "them. Where that is gevent or eventlet, use the timeouts that they have (gevent.Timeout, "
    "eventlet.Timeout, settimeout); where it is a mock, come before it or after"
)


def built_on(theirs: Any, module: str) -> Any:
    """Return the class of *module*, of the stdlib's, that *theirs* is or is built on, or None."""
    mro = getattr(theirs, "__mro__", ())
    return next((kind for kind in mro if kind.__module__ == module), None)


def replaced() -> Iterator[str]:
    """Yield, in words, which of the program's classes of sockets are out of reach."""
    if built_on(stdlib.socket, "socket") is None:
        yield f"socket.socket is {words_for(stdlib.socket)}"
    yield from _replaced_tls()


def _replaced_tls() -> Iterator[str]:
    theirs = getattr(sys.modules.get("ssl"), "SSLSocket", None)
    if theirs is not None and theirs.__module__ != "ssl":  # eventlet builds on it, and waits itself
        yield f"ssl.SSLSocket is {words_for(theirs)}"


def refuse_if_replaced() -> None:
    """Raise InstallError where the program's sockets are out of reach."""
    for what in replaced():
        raise InstallError(f"{what}, {_WHY}; nothing has been changed")


def plain_tls() -> Any:
    """Return the stdlib's class of TLS sockets; raise ImportError where it is out of reach."""
    import ssl

    for what in _replaced_tls():
        raise ImportError(f"{what}, {_WHY}")
    return ssl.SSLSocket


def words_for(value: Any) -> str:
    """Return the full name of *value*, a class or a function, or that of its class."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', None) or '?'}.{named.__qualname__}"


def warn_of(events: ModuleType, is_installed: Callable[[], bool]) -> None:
    """Have gevent's *events* call us when it has patched ``socket``."""

    def has_happened(event: Any) -> None:
        if getattr(event, "module_name", "") != "socket" or not is_installed():
            return
        for what in replaced():
            import warnings

            warnings.warn(f"safesocket is installed, but {what}, {_WHY}", RuntimeWarning, 2)

    events.subscribers.append(has_happened)
