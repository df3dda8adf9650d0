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
            return _reach.report(_layer)


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
    if none not in ("limit", "forever"):
        raise ValueError(f"none must be 'limit' or 'forever', not {none!r}")
    exemptions = _exempt.checked(exempt)
    refuse_if_replaced()
    _prepare()
    with _lock:
        if _layer is None:
            _begin(none, exemptions)
        _check_options(none, exemptions)
        _apply()
        _installations.append(Installation())
        return _installations[-1]


def _begin(none: NoneMeans, exemptions: tuple[Exemption, ...]) -> None:
    global _layer, _none
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
    import wrapt

    if "ssl" in sys.modules:
        from . import ssl  # noqa: F401
    if not _waits_for_modules:
        _waits_for_modules = True
        wrapt.register_post_import_hook(_ssl_has_come, "ssl")
        wrapt.register_post_import_hook(
            partial(warn_of, is_installed=is_installed), "gevent.events"
        )


def _ssl_has_come(module: ModuleType) -> None:  # noqa: ARG001
    if _layer is None:
        return
    from . import ssl  # noqa: F401 (before the lock: whoever holds it must not wait for us)

    with _lock:
        if _layer is not None:
            _layer.patch_ssl()


def _take_back() -> None:
    global _layer
    layer, _layer = _layer, None
    _exempt.put_in_force(())
    if layer is not None:
        layer.take_back()


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
    return _layer is not None


class installed:  # a context manager reads as a verb
    """``install()`` for one block: ``with safesocket.installed(): ...``; for all threads.

    Takes the arguments of :func:`install` and raises what it raises, on entering.
    """

    def __init__(
        self, *, none: NoneMeans = "limit", exempt: Iterable[str | Exemption] = ()
    ) -> None:
        self._install = partial(install, none=none, exempt=tuple(exempt))
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


def _renew_lock() -> None:
    global _lock
    _lock = _thread.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
