"""What a program sees of a call, as data: results without what is different each time, errors."""

from __future__ import annotations

import hashlib
import socket

_FACTS = ("filename", "filename2", "reason", "library", "verify_code", "half_way")
_HOMES = ("builtins", "socket", "ssl", "io", "_io")


def digest(data):
    """Return *data*, or what stands for it."""
    data = bytes(data)
    return data if len(data) <= 16 else (len(data), hashlib.sha1(data).hexdigest()[:10])


def amount(count, asked):
    """Return what a count is that depends on the kernel's whim."""
    return count if count in (0, asked) else "some"


def failure(exc, scene):
    """Return what an ``except`` clause that was written for the stdlib sees of *exc*."""
    kind = builtin_of(exc)
    complain_of(exc, kind, scene)
    facts = {name: getattr(exc, name) for name in _FACTS if getattr(exc, name, None) is not None}
    context = exc.__context__ and builtin_of(exc.__context__).__name__
    if context == "_GiveupOnSendfile":  # how the stdlib's method goes on without sendfile(2)
        context = None
    args = tuple(plain_names(one) if isinstance(one, str) else one for one in exc.args)
    return ("raises", kind.__name__, getattr(exc, "errno", None), args, facts, context)


def plain_names(text):
    """Return *text* with the names of the stdlib's classes in the place of ours."""
    return text.replace("safesocket.ssl.", "ssl.").replace("safesocket.", "socket.")


def complain_of(exc, kind, scene):
    """Note what is wrong with *exc* whatever the stdlib raises."""
    if not isinstance(exc, OSError):
        return
    text, plain = str(exc), _plain_text(exc, kind)
    is_ours = type(exc).__module__ == "safesocket.errors"
    if text != plain and not (is_ours and text.startswith(f"{plain}: ")):
        scene.complaints.append(f"{text!r} is not {plain!r}")
    if is_ours and scene.sock.gettimeout() == 0:
        scene.complaints.append(f"a non-blocking socket got {exc!r}")
    if exc.__cause__ is not None:
        scene.complaints.append(f"{exc!r} has a cause")


def _plain_text(exc, kind):
    plain = kind(*exc.args)
    if exc.filename is not None:
        plain.filename = exc.filename
    return str(plain) if not hasattr(exc, "verify_code") else str(exc)


def builtin_of(exc):
    """Return the class by which a program that was written for the stdlib knows *exc*."""
    return next(kind for kind in type(exc).__mro__ if kind.__module__ in _HOMES)


def shown(value, scene):
    """Return *value*, a result, as data that can be compared."""
    if isinstance(value, (bytes, bytearray)):
        return digest(value)
    if isinstance(value, socket.socket):
        return ("socket", value.family, value.type, value.proto, value.gettimeout())
    if isinstance(value, (tuple, list)):
        return type(value)(shown(one, scene) for one in value)
    return value
