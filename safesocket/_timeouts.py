"""Limits as values, and who decides: Timeouts, the process's limits, those of a block.

No socket is touched here and nothing waits. Which limit a socket's wait is under, is
``_scope``'s table; who decides about that limit, first match wins, is ``limit``, which lets none
outlast the deadline that is in force.
"""

from __future__ import annotations

import os
from contextvars import ContextVar

from ._deadline import cut, without_last
from ._limits import FOREVER as FOREVER  # noqa: PLC0414 (handed on)
from ._limits import Limit as Limit  # noqa: PLC0414 (handed on)
from ._limits import checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, TypeAlias

FIELDS = ("resolve", "connect", "handshake", "read", "write", "serve")


Limits: TypeAlias = "Mapping[str, Limit]"


class Timeouts:
    """How long a socket may wait: one limit for each kind of wait, in seconds; immutable.

    ``None`` and :data:`FOREVER` mean no limit; 0 means that what is not ready at once has
    timed out.

    Args:
        resolve: a look-up of a name or an address, the whole call.
        connect: ``connect`` and ``create_connection``, the whole call with all its addresses.
        handshake: the TLS handshake, the whole call.
        read: each wait for data.
        write: each wait in which the other side takes nothing.
        serve: ``read`` for connections that came out of ``accept``; none unless asked for,
            since a quiet client is healthy.

    Raises:
        TypeError: a limit is not a number.
        ValueError: a limit is negative or not a number.
    """

    __slots__ = FIELDS
    __match_args__ = ("resolve", "connect", "handshake", "read", "write", "serve")

    resolve: float | None
    connect: float | None
    handshake: float | None
    read: float | None
    write: float | None
    serve: float | None

    def __init__(
        self,
        resolve: float | None = 10,
        connect: float | None = 10,
        handshake: float | None = 10,
        read: float | None = 300,
        write: float | None = 300,
        serve: float | None = None,
    ) -> None:
        given = (resolve, connect, handshake, read, write, serve)
        for name, value in zip(FIELDS, given, strict=True):
            object.__setattr__(self, name, checked(name, value))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Timeouts is immutable; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Timeouts is immutable")

    def replace(self, **limits: float | None) -> Timeouts:
        """Return a copy in which the named limits are changed."""
        return Timeouts(**{**self.to_dict(), **_known(limits)})

    def to_dict(self) -> dict[str, float | None]:
        """Return the limits by name."""
        return {name: getattr(self, name) for name in FIELDS}

    def __repr__(self) -> str:
        return f"Timeouts({', '.join(f'{k}={v!r}' for k, v in self.to_dict().items())})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeouts):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Timeouts, tuple(self.to_dict().values())


def _known(limits: Iterable[str] | Mapping[str, Any]) -> Any:
    """Return *limits* if every name in it is one of Timeouts'."""
    for name in limits:
        if name not in FIELDS:
            raise TypeError(f"{name!r} is not a limit; the limits are {', '.join(FIELDS)}")
    return limits


def limits_from(source: str, whole: Timeouts | None, parts: Mapping[str, Any]) -> dict[str, Limit]:
    """Return the limits that *whole* and *parts*, which go first, set; *source* is who."""
    if whole is not None and not isinstance(whole, Timeouts):
        raise TypeError(f"limits must be a Timeouts or keywords such as read=5, not {whole!r}")
    values = {**(whole.to_dict() if whole else {}), **_known(parts)}
    return {name: Limit(checked(name, value), name, source) for name, value in values.items()}


def _from_environment() -> dict[str, Limit]:
    return {
        name: Limit(_parsed(variable, os.environ[variable]), name, "environment")
        for name in FIELDS
        if (variable := f"SAFESOCKET_{name.upper()}") in os.environ
    }


def _parsed(variable: str, text: str) -> float | None:
    if text.strip().lower() in ("none", "forever"):
        return None
    try:
        return checked(variable, float(text))
    except ValueError:
        wanted = "0 or more seconds, such as 2.5, or 'forever'"
        raise ValueError(
            f"environment variable {variable} must be {wanted}, not {text!r}"
        ) from None


_process: dict[str, Limit] = {**limits_from("default", Timeouts(), {}), **_from_environment()}
#: the blocks that this context is in, the innermost last
_blocks: ContextVar[tuple[timeouts, ...]] = ContextVar("safesocket.timeouts", default=())


#: the blocks of this context, if any; called by what cannot ask for its limit at every turn
blocks = _blocks.get
#: another object whenever the process's limits have changed: who remembers it sees the change
epoch = object()


def configure_limits(limits: dict[str, Limit]) -> None:
    """Put *limits* in force for the process."""
    _process.update(limits)  # one step, also for threads that read meanwhile
    begin_epoch()


def begin_epoch() -> None:
    """Let whoever remembers what was decided by the limits decide again."""
    global epoch
    epoch = object()


class timeouts:  # a context manager reads as a verb
    """Limits for one block: ``with safesocket.timeouts(read=5): ...``.

    They hold for the operations called inside, in this thread or asyncio task, whatever socket
    they are called on; a socket's own ``settimeout`` and ``set_timeouts`` go first. Limits not
    named stay as they are; nested blocks add to the outer ones. The object may be used again.

    Args:
        limits: all of them at once.
        resolve, connect, handshake, read, write, serve: seconds; as for :class:`Timeouts`.

    Raises:
        TypeError: an unknown name, or a limit that is not a number.
        ValueError: a limit is negative or not a number.
    """

    def __init__(self, limits: Timeouts | None = None, /, **named: float | None) -> None:
        self.limits: Limits = limits_from("timeouts", limits, named)

    def __enter__(self) -> None:
        _blocks.set((*_blocks.get(), self))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        blocks = _blocks.get()
        _blocks.set(without_last(blocks, blocks, self))


def limit(field: str, of_socket: Limits | None = None) -> Limit:
    """Return the limit called *field*, cut by the deadline of this context."""
    return cut(_chosen(field, of_socket))


def _chosen(field: str, of_socket: Limits | None) -> Limit:
    """Return the limit called *field*: the socket's own, the block's, or the process's."""
    if of_socket is not None and field in of_socket:
        return of_socket[field]
    for block in reversed(_blocks.get()):
        if field in block.limits:
            return block.limits[field]
    return _process[field]


def in_force(of_socket: Limits | None = None) -> Timeouts:
    """Return the limits in force now, as set: a deadline is no part of them."""
    return Timeouts(**{name: _chosen(name, of_socket).seconds for name in FIELDS})
