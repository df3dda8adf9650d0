"""Paths of AF_UNIX sockets: which part is missing, who may not, who has it, and what is dead.

Source: unix(7), path_resolution(7).
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISLNK, S_ISREG, S_ISSOCK, filemode

from . import _proc
from ._redaction import shown
from ._wording import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._surroundings import Look

_SORTS = ((S_ISREG, "a file"), (S_ISDIR, "a directory"), (S_ISLNK, "a symbolic link"))

_LISTENS = 0x10000  # __SO_ACCEPTCON, <linux/net.h>

# captured: pyfakefs and its like replace them
_access, _getcwd, _readlink, _stat, _lstat = os.access, os.getcwd, os.readlink, os.stat, os.lstat


def _path(look: Look) -> str:
    name = look.route.host or look.route.local
    return os.fsdecode(name)


def _shown(path: str) -> str:
    return clean(shown(path))


def _is_abstract(path: str) -> bool:
    return path.startswith("\0")


def _folders(path: str) -> Iterator[str]:
    """Yield the directories on the way to *path*, the outermost first."""
    at = path.find("/", 1)
    yield "/" if path.startswith("/") else "."
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


# --- Not there ----------------------------------------------------------------------------------


def missing(look: Look) -> str | None:
    """Return which part of a path is missing."""
    path = _path(look)
    if _is_abstract(path):
        return None
    for folder in _folders(path):
        if not _is_there(folder):
            return f"there is no directory {_shown(folder)}{_relative(path)}"
    if look.operation == "bind" or _is_there(path):
        return None
    folder, _, name = path.rpartition("/")
    where = f"the directory {_shown(folder or '/')}" if "/" in path else "the current directory"
    return (
        f"{where} is there, but has no {_shown(name)}{_link(path)}{_relative(path)}: check the "
        "name, and that the server which creates the socket file runs"
    )


def _is_there(path: str) -> bool:
    try:
        _stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _link(path: str) -> str:
    try:
        return f" but a symbolic link to {_shown(_readlink(path))}, which is not there"
    except OSError:
        return ""


def _relative(path: str) -> str:
    return "" if path.startswith("/") else f" (seen from {_shown(_getcwd())})"


# --- Not allowed --------------------------------------------------------------------------------


def denied(look: Look) -> str | None:
    """Return whose the thing is that this process may not use."""
    path = _path(look)
    if _is_abstract(path):
        return None
    last = "."
    for folder in _folders(path):
        if not _access(folder, os.X_OK, effective_ids=True):
            return f"this process may not enter the directory {_of_whom(folder, look)}"
        last = folder
    if look.operation == "bind":
        return _forbidden(last, "create files in the directory", look)
    return _forbidden(path, "write to the socket file", look)


def _forbidden(path: str, deed: str, look: Look) -> str | None:
    if _access(path, os.W_OK, effective_ids=True):
        return None  # something other than owner and mode forbids it
    return f"this process may not {deed} {_of_whom(path, look)}"


_effective_user: Callable[[], int] = getattr(os, "geteuid", int)  # not on Windows


def _of_whom(path: str, look: Look) -> str:
    """Return *path* with its owner, its group and its mode, and who asks."""
    known = _stat(path)
    owner, group = _proc.user(known.st_uid, look.until), _proc.group(known.st_gid, look.until)
    me = _proc.user(_effective_user(), look.until)
    return (
        f"{_shown(path)}: its owner is {owner}, its group {group}, its mode "
        f"{filemode(known.st_mode)}, and this process runs as {me}"
    )


# --- Dead, or in use ----------------------------------------------------------------------------


def refused(look: Look) -> str | None:
    """Return what is at a path that refuses connections: a dead socket file, or no socket."""
    path = _path(look)
    if _is_abstract(path):
        return None
    what = _what(_stat(path).st_mode)
    if what:
        return f"what is at that path is {what}, not a socket"
    return (
        "the socket file is there, but no program listens on it: its server has ended and left it "
        "behind, or does not listen yet"
    )


def _what(mode: int) -> str:
    """Return what a file is that is not a socket."""
    if S_ISSOCK(mode):
        return ""
    return next((name for is_one, name in _SORTS if is_one(mode)), "a special file")


def in_use(look: Look) -> str | None:
    """Return who has the path, or name, that is to be bound."""
    path = _path(look)
    if _is_abstract(path):
        who = next((_proc.holder(inode, look.until) for inode, _ in _bound_to(path, look)), None)
        return who and f"{who} has that name already"
    what = _what(_lstat(path).st_mode)
    if what:
        return f"the path is taken by {what}: bind() makes the socket file, and replaces nothing"
    sockets = list(_bound_to(path, look))
    if not sockets:
        return (
            "the socket file is there, and no program on this machine shows that it has it under "
            "that name: an earlier server left it behind, its server has renamed it, or it is a "
            "container's; remove it if nobody listens"
        )
    return next(filter(None, (_user_of(path, *one, look) for one in sockets)), None)


def _bound_to(path: str, look: Look) -> Iterator[tuple[int, str]]:
    """Yield inodes and names of the sockets that may be bound to *path*, listeners first.

    A path is shown as it was given to bind(): of a relative one only the last part is certain.
    """
    name = os.fsencode(path.rpartition("/")[2]).replace(b"\0", b"@")
    others = []
    shown = _proc.of_network("unix", look.until)
    next(shown, None)  # the heading
    for line in shown:
        fields = line.split(None, 7)
        if len(fields) < 8 or fields[7].rpartition(b"/")[2] != name:
            continue
        if int(fields[3], 16) & _LISTENS:
            yield int(fields[6]), os.fsdecode(fields[7])
        else:
            others.append((int(fields[6]), os.fsdecode(fields[7])))
    yield from others


def _user_of(path: str, inode: int, name: str, look: Look) -> str | None:
    """Return who has the socket *inode*, if it is surely the one at *path*."""
    pid = _proc.holding(inode, look.until)
    if pid is None or not _is_same_file(path, name, pid):
        return None
    who = "this process itself" if pid == "self" else _proc.process(pid, look.until)
    return f"{who} has a socket of that path already"


def _is_same_file(path: str, name: str, pid: str) -> bool:
    """Tell whether *name*, as process *pid* sees it, is what *path* is here."""
    theirs, ours = f"{_proc.ROOT}/{pid}", f"{_proc.ROOT}/self"
    for view in ("root", "ns/mnt"):
        if _readlink(f"{theirs}/{view}") != _readlink(f"{ours}/{view}"):
            return False
    if not name.startswith("/"):
        name = f"{_readlink(f'{theirs}/cwd')}/{name}"
    known, here = _stat(name), _stat(path)
    return (known.st_dev, known.st_ino) == (here.st_dev, here.st_ino)
