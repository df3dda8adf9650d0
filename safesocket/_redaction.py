"""Hosts and addresses as they may be shown: what ``configure(redact=)`` makes of them.

The one place that asks the program's callable. Whatever names a host on its way out of the house
(an error, a log line, a profile) goes through here once; what is remembered of sockets does not.
"""

from __future__ import annotations

from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: what is shown where the callable fails: never the host
FAILED = "<redacted>"

#: parts of an error that hold words of the system's or of OpenSSL's, which may name the host
_WORDS = ("strerror", "filename", "filename2", "verify_message")

_redact: Callable[[str], str] | None = None

#: whether this thread is in the callable: where that fails with an error of ours, it is not asked
#: again for its own peer, or it would be without end
_here = _local()


def checked(value: Any) -> Callable[[str], str] | None:
    """Return *value* if it is a wish of ``configure(redact=)``."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    wanted = "a callable that takes a host and returns what is shown for it, or None"
    raise TypeError(f"redact must be {wanted}, not {value!r}")


def wish(redact: Callable[[str], str] | None) -> None:
    """Put the callable *redact* in force; None: hosts are shown as they are."""
    global _redact
    _redact = redact


def wished() -> Callable[[str], str] | None:
    """Return what is in force."""
    return _redact


def shown(address: Any) -> Any:
    """Return *address*, a socket address or a host alone, as it may be shown.

    Only names are hidden: ports, and the numbers of AF_VSOCK and the like, stay.
    """
    if _redact is None:
        return address
    if isinstance(address, tuple):
        return (_hidden(address[0]), *address[1:]) if address else address
    return _hidden(address)


def _hidden(host: Any) -> Any:
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("utf-8", "backslashreplace")
    if not isinstance(host, str) or not host or _redact is None:
        return host
    if getattr(_here, "asks", False):
        return FAILED
    _here.asks = True
    try:
        said = _redact(host)
    except Exception:
        return FAILED  # the failure that is being told is worth more than this one
    finally:
        _here.asks = False
    return said if isinstance(said, str) else FAILED


def hide(error: OSError, *addresses: Any) -> None:
    """Let the text of *error*, the system's own, name none of *addresses* as they are."""
    hosts = list(_hosts(addresses)) if _redact is not None else []
    if not hosts:
        return
    words = {name: getattr(error, name, None) for name in _WORDS}
    error.args = tuple(without(part, *hosts) for part in error.args)
    for name, value in words.items():
        if isinstance(value, (str, bytes)):
            setattr(error, name, without(value, *hosts))


def _hosts(addresses: Iterable[Any]) -> Iterable[str]:
    for address in addresses:
        host = address[0] if isinstance(address, tuple) and address else address
        if isinstance(host, (bytes, bytearray)):
            host = host.decode("utf-8", "backslashreplace")
        if isinstance(host, str) and host:
            yield host


def without(text: Any, *addresses: Any) -> Any:
    """Return *text* with what is shown of *addresses* in their place."""
    if _redact is None or not isinstance(text, str):
        return text
    import re  # here: only who redacts pays for it

    for host in sorted(set(_hosts(addresses)), key=len, reverse=True):
        said = _hidden(host).replace("\\", "\\\\")  # re.sub reads backslashes
        text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", said, text)
    return text
