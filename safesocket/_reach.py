"""What ``install()`` has reached and what it cannot: looked for when a report is asked for.

Nothing is changed here.
"""

from __future__ import annotations

import gc
import sys
from types import FunctionType

from ._overtaken import replaced, words_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._layer import Layer

#: modules that do their own waiting in C
_IN_C = {
    "_psycopg": "psycopg2 waits in libpq",
    "psycopg_c": "psycopg waits in libpq",
    "psycopg_binary": "psycopg waits in libpq",
    "OpenSSL": "pyOpenSSL waits in OpenSSL where a socket has no timeout of its own",
    "MySQLdb": "mysqlclient waits in libmysqlclient",
    "confluent_kafka": "librdkafka has its own threads",
    "grpc": "gRPC has its own event loop in C",
    "pycurl": "libcurl has its own sockets",
    "pymssql": "FreeTDS has its own sockets",
    "uvloop": "uvloop's sockets are libuv's",
    "zmq": "libzmq has its own threads",
}


class Report:
    """What ``install()`` did, each as names in words.

    Attributes:
        patched: the names of socket and ssl that are changed.
        copies: names in other modules, by ``from socket import ...``, that are changed.
        left: names that somebody else had replaced before; theirs stays.
        overlaid: names of ours that somebody else has replaced since; after ``uninstall`` theirs
            stays, and what they may hold of ours only passes calls on.
        unreached: where a call goes past safesocket, and why.
    """

    __slots__ = ("copies", "left", "overlaid", "patched", "unreached")

    def __init__(
        self,
        patched: tuple[str, ...] = (),
        copies: tuple[str, ...] = (),
        left: tuple[str, ...] = (),
        overlaid: tuple[str, ...] = (),
        unreached: tuple[str, ...] = (),
    ) -> None:
        self.patched = patched
        self.copies = copies
        self.left = left
        self.overlaid = overlaid
        self.unreached = unreached

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(report: Report) -> Iterator[str]:
    if report.patched:
        yield "safesocket is installed"
    else:
        yield "safesocket is not installed"
    yield from _by_owner(report.patched)
    parts = {
        "copies in other modules, safe as well": report.copies,
        "left as somebody else had put them": report.left,
        "replaced by somebody else since": report.overlaid,
        "not reached": report.unreached,
    }
    for title, names in parts.items():
        if names:
            yield f"{title}:"
            yield from (f"  {name}" for name in names)


def _by_owner(names: tuple[str, ...]) -> Iterator[str]:
    """Yield what is safe of each class and module, wrapped."""
    import textwrap

    owners: dict[str, list[str]] = {}
    for name in sorted(names):
        owner, _, last = name.rpartition(".")
        owners.setdefault(owner, []).append(last)
    for owner, members in owners.items():
        yield f"safe in {owner}:"
        yield textwrap.fill(", ".join(members), 96, initial_indent="  ", subsequent_indent="  ")


def report(layer: Layer | None, overlaid_before: tuple[str, ...] = ()) -> Report:
    """Return what *layer* has changed, as it is now; without one, what could not be put back."""
    if layer is None:
        return Report(overlaid=overlaid_before)
    named = {True: [], False: []}  # type: dict[bool, list[str]]
    overlaid = []
    for change in layer.ledger.changes:
        if change.is_ours():
            own = isinstance(change.owner, type) or change.place() == "socket"
            named[own].append(str(change))
        elif change.is_there():
            overlaid.append(str(change))
    left = tuple(f"{name}: {words_for(value)}" for name, value in layer.left.items())
    unreached = (*_modules_in_c(), *sorted(set(_bound_early(layer))))
    overlaid = [*replaced(), *(name for name in overlaid if name not in named[True])]
    return Report(tuple(named[True]), tuple(named[False]), left, tuple(overlaid), unreached)


def _modules_in_c() -> Iterator[str]:
    return (f"{name}: {why}" for name, why in _IN_C.items() if name in sys.modules)


def _bound_early(layer: Layer) -> Iterator[str]:
    """Yield who holds a function of the stdlib's where no module's names lead to it."""
    for function in layer.plain.values():
        for holder in gc.get_referrers(function):
            yield from _described(holder, function)


def _described(holder: Any, function: Any) -> Iterator[str]:
    what = f"socket.{function.__name__}"
    if not isinstance(holder, (tuple, dict)):
        return
    for user in gc.get_referrers(holder):
        if isinstance(user, FunctionType):
            if holder is user.__defaults__ or holder is user.__kwdefaults__:
                yield f"{user.__module__}.{user.__qualname__}: {what} is a default argument"
        elif isinstance(user, type) and isinstance(holder, dict):
            yield f"{user.__module__}.{user.__qualname__}: {what} is an attribute of the class"
