"""install() and uninstall(): who has asked for it, with which options, and one lock.

What is changed is ``_layer``'s. The classes and functions here are what a user calls.
"""

from __future__ import annotations

import _thread
import os
import sys
from functools import partial

from . import _exempt
from ._layer import Layer
from ._overtaken import InstallError, refuse_if_replaced, warn_of
from ._replacements import let_none_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType, TracebackType
    from typing import Literal, Self, TypeAlias

    from ._exempt import Exemption
    from ._reach import Report

    NoneMeans: TypeAlias = Literal["limit", "forever"]

_lock = _thread.RLock()
_layer: Layer | None = None
_installations: list[Installation] = []
_none: NoneMeans = "limit"
_waits_for_modules = False
_overlaid: tuple[str, ...] = ()  #: what the last uninstall had to leave to somebody else


class Installation:
    """One call of ``install()``; the changes last until every one of them is taken back.

    A context manager, too: leaving the block is :meth:`uninstall`.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

    def uninstall(self) -> None:
        """Take this call of ``install()`` back; a second time nothing happens."""
        with _lock:
            if self in _installations:
                _installations.remove(self)
            if not _installations:
                _take_back()

    def report(self) -> Report:
        """Return what is changed, and what could not be reached and why."""
        from . import _reach

        with _lock:
            return _reach.report(_layer, _overlaid)


def install(*, none: NoneMeans = "limit", exempt: Iterable[str | Exemption] = ()) -> Installation:
    """Make the stdlib's sockets, and those of everybody who uses them, safe in this process.

    For applications, at start-up; never for libraries. It can be called again, also to reach
    names that were imported meanwhile; as often as that it has to be taken back.

    Args:
        none: what ``settimeout(None)`` and ``timeout=None`` mean, which many libraries pass
            without a thought: "limit", the limits of safesocket apply; "forever", as it says.
        exempt: code to be left alone: names of modules, such as "redis.*", or
            :class:`Exemption` for a host, a port, or other limits.

    Raises:
        InstallError: the sockets in use are not the stdlib's (gevent, eventlet), or safesocket
            is installed with other options; nothing has been changed.
        TypeError, ValueError: an argument is not what it may be.
    """
    _checked(none)
    exemptions = _exempt.checked(exempt)
    refuse_if_replaced()
    _prepare()
    installation = Installation()
    with _lock:
        if not _installations:
            _begin(none, exemptions)
        _check_options(none, exemptions)
        _apply()
        _installations.append(installation)
    try:
        _reach_ssl()
    except BaseException:
        installation.uninstall()
        raise
    return installation


def _checked(none: NoneMeans) -> NoneMeans:
    if none not in ("limit", "forever"):
        raise ValueError(f"none must be 'limit' or 'forever', not {none!r}")
    return none


def _begin(none: NoneMeans, exemptions: tuple[Exemption, ...]) -> None:
    global _layer, _none
    _take_back()  # what is left of a call that was interrupted
    _none = none
    let_none_mean(none)
    _exempt.put_in_force(exemptions)
    _layer = Layer()


def _check_options(none: NoneMeans, exemptions: tuple[Exemption, ...]) -> None:
    if (none, exemptions) != (_none, _exempt.in_force()):
        raise InstallError(
            "safesocket is installed already, with other options: "
            f"none={_none!r}, exempt={list(_exempt.in_force())!r}"
        )


def _apply() -> None:
    try:
        if _layer is not None:
            _layer.apply()
    except BaseException:
        if not _installations:
            _take_back()
        raise


def _prepare() -> None:
    """Import what will be needed, and wait for modules to come, without holding the lock."""
    global _waits_for_modules
    from . import _wrapper

    if not _waits_for_modules:
        _waits_for_modules = True
        warn = partial(warn_of, is_installed=is_installed)
        _wrapper.register_post_import_hook(_reach_ssl, "ssl")
        _wrapper.register_post_import_hook(warn, "gevent.events")


def _reach_ssl(module: ModuleType | None = None) -> None:  # noqa: ARG001
    """Change ssl if it is there.

    It is imported before the lock is taken: another thread may be importing it now, and come
    here, too, before it is through.
    """
    if _layer is None or "ssl" not in sys.modules:
        return
    from . import ssl  # noqa: F401

    with _lock:
        if _layer is not None:
            _layer.patch_ssl()


def _take_back() -> None:
    global _layer, _overlaid
    if _layer is not None:
        _overlaid = _layer.take_back()
        _layer = None
        _exempt.put_in_force(())


def uninstall() -> None:
    """Take the latest ``install()`` back; without one, nothing happens.

    When every call of ``install()`` is taken back, all is as it was. What somebody else has put
    on top of ours stays, and what is ours below it only passes calls on.
    """
    with _lock:
        if _installations:
            _installations[-1].uninstall()


def is_installed() -> bool:
    """Tell whether ``install()`` is in force."""
    return bool(_installations)


class installed:  # a context manager reads as a verb
    """``install()`` for one block: ``with safesocket.installed(): ...``; for all threads.

    Takes the arguments of :func:`install` and raises what it raises, InstallError on entering.
    """

    def __init__(
        self, *, none: NoneMeans = "limit", exempt: Iterable[str | Exemption] = ()
    ) -> None:
        self._install = partial(install, none=_checked(none), exempt=_exempt.checked(exempt))
        self._entered: list[Installation] = []

    def __enter__(self) -> Installation:
        self._entered.append(self._install())
        return self._entered[-1]

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.pop().uninstall()


def _begin_anew() -> None:
    """In a forked child: whoever held the lock, and was at work, is not here."""
    global _lock
    _lock = _thread.RLock()
    if not _installations:
        _take_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
