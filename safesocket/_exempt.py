"""Exemptions from the limits of the process: which code, and which peers; nothing else.

``install(exempt=...)`` puts them in force. A match is looked for when a call is about to wait or
has failed, never before.
"""

from __future__ import annotations

import sys

from ._plain import split
from ._timeouts import FIELDS, Limit, Timeouts, begin_epoch, limits_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ._timeouts import Limits


class Exemption:
    """Sockets that are left alone under ``install()``, or have limits of their own.

    All that is given has to match.

    Args:
        module: the calling code, anywhere up the stack: a module or package, with all that is
            below it (``"redis"``, or ``"redis.*"``, which is the same), or a pattern as in
            :mod:`fnmatch`.
        host: the host as the program asked for it, or its address; or a pattern.
        port: the port that is connected to.
        limits: these instead; None leaves alone: no limits but a deadline's, and the
            stdlib's own errors.

    Raises:
        TypeError: an argument is of another type.
        ValueError: neither module, host nor port is given.
    """

    __slots__ = ("_limits", "host", "limits", "module", "port")

    def __init__(
        self,
        module: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        limits: Timeouts | None = None,
    ) -> None:
        _check("module", module, str)
        _check("host", host, str)
        _check("port", port, int)
        _check("limits", limits, Timeouts)
        if module is None and host is None and port is None:
            raise ValueError("an Exemption needs a module, a host or a port")
        self.module, self.host, self.port, self.limits = module, host, port, limits
        self._limits: Limits = (
            limits_from("exempt", limits, {}) if limits is not None else _UNLIMITED
        )

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in ("module", "host", "port", "limits")}
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items() if v is not None)
        return f"Exemption({shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exemption) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


_UNLIMITED: Limits = {name: Limit(None, name, "exempt") for name in FIELDS}

_in_force: tuple[Exemption, ...] = ()


def _check(name: str, value: Any, kind: type) -> None:
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise TypeError(f"{name} must be {kind.__name__} or None, not {value!r}")


def checked(exempt: Iterable[str | Exemption]) -> tuple[Exemption, ...]:
    """Return *exempt* as exemptions: a string is a module."""
    if isinstance(exempt, str) or not hasattr(exempt, "__iter__"):
        raise TypeError(f"exempt must be a list of modules or Exemptions, not {exempt!r}")
    return tuple(one if isinstance(one, Exemption) else Exemption(one) for one in exempt)


def put_in_force(exemptions: tuple[Exemption, ...]) -> None:
    """Let these, and no others, be exempt."""
    global _in_force
    _in_force = exemptions
    begin_epoch()


def in_force() -> tuple[Exemption, ...]:
    """Return the exemptions."""
    return _in_force


def over(own: Limits | None, *addresses: Any) -> Limits | None:
    """Return the limits of a socket's *own*, before those of an exemption for *addresses*."""
    found = _matching(addresses) if _in_force else None
    return own if found is None else {**found._limits, **(own or {})}


def is_left_alone(*addresses: Any) -> bool:
    """Tell whether this code, or a peer at one of *addresses*, is to see the stdlib's errors."""
    found = _matching(addresses) if _in_force else None
    return found is not None and found.limits is None


def _matching(addresses: Iterable[Any]) -> Exemption | None:
    return next((one for one in _in_force if _matches(one, addresses)), None)


def _matches(one: Exemption, addresses: Iterable[Any]) -> bool:
    anywhere = one.host is None and one.port is None
    if not (anywhere or any(_is_at(one, address) for address in addresses)):
        return False
    return one.module is None or any(_is_in(one.module, name) for name in _callers())


def _is_at(one: Exemption, address: Any) -> bool:
    host, port = split(address)
    if isinstance(host, bytes):
        host = host.decode("utf-8", "replace")
    if one.host is not None and not (isinstance(host, str) and _is_named(host, one.host)):
        return False
    return one.port is None or one.port == port


def _callers() -> Iterator[str]:
    """Yield the names of the modules up the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if isinstance(name, str):
            yield name
        frame = frame.f_back  # type: ignore[assignment]


def _is_in(pattern: str, module: str) -> bool:
    base = pattern.removesuffix(".*")
    return module == base or module.startswith(f"{base}.") or _fits(module, pattern)


def _is_named(host: str, pattern: str) -> bool:
    return _fits(host.lower(), pattern.lower())  # RFC 4343: capitals do not count


def _fits(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
