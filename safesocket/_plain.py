"""What the program passed as C reads it: builtin values, whatever their classes say of themselves.

C looks at what a subclass of str, bytes, int or tuple holds and calls none of its methods. So
must what comes after C: an Enum's ``str()`` is not the host that was connected to, and a method
that raises must not get in the way of the failure that is being told. Pure; nothing here raises.
"""

from __future__ import annotations

from operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_AS_THEY_ARE = frozenset({str, bytes, bool, float, type(None)})
_BUILTIN = _AS_THEY_ARE | {int, tuple}  # looked up first: most of what connect has besides C
_join = b"".join
#: what JSON and C's numbers hold; a longer one may not even be printed: sys.set_int_max_str_digits
_NUMBERS = range(-(2**63), 2**64)

_FOREVER = float("inf")

_READ: tuple[tuple[type, Any], ...] = (
    (str, str.__str__),
    (bytes, lambda value: _join((value,))),
    (bytearray, lambda value: _join((value,))),
    (int, int.__index__),
    (float, float.__float__),
    (tuple, lambda value: tuple.__getitem__(value, slice(None))),
)


def builtin(value: Any) -> Any:
    """Return *value*, of a builtin class or of a subclass, as that class; all else as it is."""
    kind = type(value)
    if kind in _BUILTIN:
        return value
    for sort, read in _READ:
        if issubclass(kind, sort):
            return read(value)
    return value


def _is_plain_pair(value: Any) -> bool:
    """Tell whether *value* is a host and a port as nearly all are: asked first, as it is quick."""
    if type(value) is not tuple or len(value) != 2:
        return False
    host, port = value
    return type(host) is str and type(port) is int and 0 <= port < 65536


def plain(value: Any) -> Any:
    """Return *value* in terms of str, bytes, int, float, None and tuples of these.

    What is none of them, and no number to C either, is told by its class.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        return value if value in _NUMBERS else "<int>"
    if kind is tuple:
        return value if _is_plain_pair(value) else tuple(map(plain, value))
    read = builtin(value)
    if read is not value:
        return plain(read)
    try:
        return plain(index(value))
    except Exception:
        return f"<{kind.__name__}>"


def split(address: Any) -> tuple[Any, Any]:
    """Return host and port of *address*, as :func:`plain` values; a path has no port."""
    if _is_plain_pair(address):
        return address  # type: ignore[no-any-return]
    said = builtin(address)
    if type(said) is tuple:
        return (plain(said[0]), plain(said[1])) if len(said) >= 2 else (None, None)
    return (said, None) if isinstance(said, (str, bytes)) and said else (None, None)


def is_infinite(value: Any) -> bool:
    """Tell whether *value*, seconds, is FOREVER."""
    return issubclass(type(value), float) and float.__eq__(value, _FOREVER) is True
