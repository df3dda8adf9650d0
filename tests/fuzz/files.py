"""Moves with the streams of makefile."""

from __future__ import annotations

from io import RawIOBase

from tests.fuzz.outcomes import digest
from tests.fuzz.transfers import to_the_end


def _file(scene):
    if not scene.files:
        raise LookupError("no file")
    return scene.files[-1]


def open_one(scene, mode, buffering):
    texts = {} if "b" in mode else {"encoding": "latin-1", "newline": ""}
    file = scene.sock.makefile(mode, buffering, **texts)
    scene.files.append(file)
    return type(file).__name__, file.readable(), file.writable(), file.mode


def _seen(scene, data):
    scene.in_order = False
    if isinstance(data, str):
        data = data.encode("latin-1")
    if data is None or isinstance(data, int):
        return data
    return bool(data) if scene.fuzzy else digest(data)


def read(scene, size):
    return _seen(scene, _file(scene).read(size))


def read1(scene, size):
    return _seen(scene, _file(scene).read1(size))


def readinto(scene, size):
    buffer = bytearray(size)
    return _seen(scene, _file(scene).readinto(buffer)), _seen(scene, buffer)


def readline(scene, size):
    return _seen(scene, _file(scene).readline(size))


def write(scene, size):
    file = _file(scene)
    data = scene.payload(size)
    texts = hasattr(file, "encoding")
    scene.in_order = False
    if isinstance(file, RawIOBase):
        count = to_the_end(scene, data, 0, lambda: file.write(data))
    else:
        count = file.write(data.decode("latin-1") if texts else data)
    scene.fuzzy = scene.fuzzy or count != size
    return count if count in (None, 0, size) else "some"


def flush(scene):
    return _file(scene).flush()


def close(scene):
    file = _file(scene)
    try:
        return file.close()
    finally:
        scene.files.pop()


#: as in ``transfers``
MOVES = {
    "file": (open_one, "filemode buffering", None),
    "file.read": (read, "asked", "read"),
    "file.read1": (read1, "asked", "read"),
    "file.readinto": (readinto, "size", "read"),
    "file.readline": (readline, "asked", "read"),
    "file.write": (write, "size", "write"),
    "file.flush": (flush, "", "write"),
    "file.close": (close, "", "write"),
}
