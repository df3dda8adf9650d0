"""What /proc and /etc show of this machine: sockets, processes, names of users.

Only reading lives here, each up to a moment; what the readings mean, others say. Nothing is
asked of anybody: ``pwd`` may ask a server, sock_diag(7) loads modules into the kernel, and both
take the time that they take. What is not shown, or not in time, is ``UnseenError`` or an OSError.
Source: proc(5).
"""

from __future__ import annotations

import os
import sys
from stat import S_ISSOCK

from ._system import now
from ._wording import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")

ROOT = "/proc"
ETC = "/etc"

#: states of TCP, <net/tcp_states.h>
LISTEN, TIME_WAIT = 0x0A, 0x06

#: what an IPv4 address begins with in the dress of an IPv6 one; RFC 4291
MAPPED = bytes(10) + b"\xff\xff"
#: Bytes read at first and at most, and what is more than the longest line. The kernel fills what it
#: is given, and after TCP's listeners, which come first, it looks through its whole hash table for
#: more: 0.5 ms for 262,144 buckets. At the end it does so again if it is asked for more, so that a
#: read that is not full has to be taken for the end; fs/seq_file.c, where a page is the most.
_FIRST, _MOST, _LINE = 1024, 4096, 512

# captured: pyfakefs and its like replace them
_open, _read, _close = os.open, os.read, os.close
_fstat, _readlink, _scandir, _stat = os.fstat, os.readlink, os.scandir, os.stat
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # a FIFO would block


class UnseenError(Exception):
    """What was looked for is not shown, or not in time."""


class Row:
    """One socket in a table of the kernel's."""

    __slots__ = ("inode", "local", "peer", "peer_port", "port", "state", "uid")

    def __init__(self, line: bytes) -> None:
        fields = line.split(None, 10)
        self.local, self.port = _end(fields[1])
        self.peer, self.peer_port = _end(fields[2])
        self.state = int(fields[3], 16)
        self.uid, self.inode = int(fields[7]), int(fields[9])


def _end(text: bytes) -> tuple[bytes, int]:
    address, _, port = text.decode("ascii").partition(":")
    return packed(address), int(port, 16)


def packed(digits: str) -> bytes:
    """Return the address that the kernel shows as *digits*, 32-bit words of this machine's order.

    An IPv4 address in the dress of an IPv6 one is undressed.
    """
    raw = bytes.fromhex(digits)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(raw) not in (4, 16):
        raise UnseenError(digits)
    return raw[12:] if raw[:12] == MAPPED else raw


def with_grace(until: float) -> float:
    """Return until when to read what is short, and makes a sentence of what has been seen."""
    return max(until, now() + 0.0005)


def _unhooked(call: Callable[..., T], *args: Any) -> T:
    """Make a *call* that audit hooks hear of: what one of them raises is as if we had."""
    try:
        return call(*args)
    except Exception as exc:
        raise exc.with_traceback(None) from None


def lines(path: str, until: float) -> Iterator[bytes]:
    """Yield the lines of the file *path*; whoever stops early has not read much more."""
    fd = _unhooked(_open, path, _FLAGS)
    size, rest = _FIRST, b""
    try:
        while chunk := _read(fd, size):
            if now() > until:
                raise UnseenError(path)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(chunk) < min(size, _MOST - _LINE):
                break
            size = min(2 * size, _MOST)
        if rest:
            yield rest
    finally:
        _close(fd)


def of_network(name: str, until: float) -> Iterator[bytes]:
    """Yield the lines of a table of the network that this thread is in.

    One that is not there, such as a table of IPv6 where there is no IPv6, is empty.
    """
    folder = f"{ROOT}/thread-self/net"
    try:
        yield from lines(f"{folder}/{name}", until)
    except FileNotFoundError:
        _stat(folder)


def sockets(protocol: str, port: int, until: float) -> Iterator[Row]:
    """Yield the sockets of *protocol*, "tcp" or "udp", that have *port* at one end or the other."""
    needle = b":%04X " % port
    for table in (protocol, protocol + "6"):
        for line in of_network(table, until):
            if needle in line:
                yield Row(line)


def listeners(until: float) -> set[tuple[bytes, int]]:
    """Return the addresses and ports on which programs listen, TCP."""
    found = set()
    for table in ("tcp", "tcp6"):
        shown = of_network(table, until)
        next(shown, None)  # the heading
        for row in map(Row, shown):
            if row.state != LISTEN:
                break
            found.add((row.local, row.port))
    return found


def setting(name: str, until: float) -> list[int]:
    """Return the numbers of a setting of the kernel's, such as "net/ipv4/ip_local_port_range"."""
    return [int(part) for line in lines(f"{ROOT}/sys/{name}", until) for part in line.split()]


# --- Processes ----------------------------------------------------------------------------------


def holder(inode: int, until: float) -> str | None:
    """Return, in words, the process that has the socket *inode* open, if it is shown."""
    pid = holding(inode, until)
    if pid is None:
        return None
    return "this process itself" if pid == "self" else process(pid, until)


def holding(inode: int, until: float) -> str | None:
    """Return the number of a process that has the socket *inode* open: "self", or the youngest."""
    if inode in _own_inodes(until):
        return "self"
    link = f"socket:[{inode}]"
    for pid in sorted(map(int, filter(str.isdigit, _names(ROOT, until))), reverse=True):
        folder = f"{ROOT}/{pid}/fd"
        for fd in _names(folder, until):
            if _linked(f"{folder}/{fd}") == link:
                return str(pid)
    return None


def _own_inodes(until: float) -> Iterator[int]:
    """Yield the inodes of the sockets of this process: fstat(2) is quicker than /proc."""
    for fd in map(int, _names(f"{ROOT}/self/fd", until)):
        try:
            known = _fstat(fd)
        except OSError:  # closed meanwhile
            continue
        if S_ISSOCK(known.st_mode):
            yield known.st_ino


def _names(folder: str, until: float) -> Iterator[str]:
    """Yield the names in *folder*: a list of 100,000 descriptors would take 0.1 s to be made."""
    try:
        with _unhooked(_scandir, folder) as entries:
            for entry in entries:
                yield entry.name
                if now() > until:
                    raise UnseenError(folder)
    except OSError:  # another user's, or it has ended
        return


def _linked(path: str) -> str:
    try:
        return _readlink(path)
    except OSError:  # closed meanwhile
        return ""


def process(pid: str, until: float) -> str:
    """Return name, number and user of a process; not its arguments, which hold secrets."""
    known = {}
    for line in lines(f"{ROOT}/{pid}/status", until):
        name, _, value = line.partition(b":")
        known[name] = value.strip()
    uid = int(known[b"Uid"].split()[1])  # the effective one
    return f"{clean(known[b'Name'])} (pid {pid}, user {user(uid, until)})"


def user(uid: int, until: float) -> str:
    """Return the name of a user of this machine, or the number."""
    return _named("passwd", uid, until)


def group(gid: int, until: float) -> str:
    """Return the name of a group of this machine, or the number."""
    return _named("group", gid, until)


def _named(file: str, number: int, until: float) -> str:
    try:
        for line in lines(f"{ETC}/{file}", with_grace(until)):
            fields = line.split(b":")
            if fields[2:3] == [b"%d" % number]:
                return clean(fields[0])
    except (OSError, UnseenError):  # a container may have none, a company's is long
        pass
    return str(number)
