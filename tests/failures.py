"""Failures that really happen, of the stdlib's sockets and of ours alike.

A scene brings one about with real sockets and real peers, on loopback: nothing is mocked.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import resource
import socket as stdlib
import struct
from contextlib import contextmanager
from functools import partial
from socket import AF_INET, AF_UNIX
from socket import SOCK_DGRAM as DGRAM
from socket import SOCK_STREAM as STREAM
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import pytest

import safesocket
from safesocket import testing
from tests.helpers import LIMIT, tcp_pair

SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>; Python has no name for it
NOWHERE = "no such host"  # the resolver takes no name with a blank to the network
OF_OTHERS = ("192.0.2.1", 0)  # RFC 5737: documentation


class Scene(NamedTuple):
    """A failure that really happens: what it is to be, and how it comes about.

    ``setting`` is a context manager of a module, the stdlib's or ours; it yields the call that
    fails. ``hangs``: the stdlib's would not. ``slow``: the kernel takes its time for ETIMEDOUT.
    """

    error: str
    operation: str
    setting: Any
    hangs: bool
    slow: bool


SCENES = {}


def scene(error, operation, *, hangs=False, slow=False):
    """Register the generator below as a scene."""

    def register(setting):
        name = setting.__name__.replace("_", " ")
        SCENES[name] = Scene(error, operation, contextmanager(setting), hangs, slow)
        return setting

    return register


def on_a_new_socket(net, operation, sort, args):
    """Yield the call of a method of a socket that has just been made."""
    with net.socket(*sort) as sock:
        yield partial(getattr(sock, operation), *args)


def of_the_module(net, operation, args):
    """Yield the call of a function."""
    yield partial(getattr(net, operation), *args)


TCP, UDP = (AF_INET, STREAM), (AF_INET, DGRAM)
PATH, DATAGRAM_PATH = (AF_UNIX, STREAM), (AF_UNIX, DGRAM)
BROADCAST = ("127.255.255.255", 9)
PORT_9 = ("127.0.0.1", 9)
NO_PATH, LONG_PATH = "/nowhere/db.sock", "/" + 300 * "x"
THROUGH_A_FILE = "/dev/null/db.sock"

#: What a new socket cannot do: the error, the method, the sort of socket, the arguments.
ON_A_NEW_SOCKET = {
    "broadcast": ("ConnectDeniedError", "connect", UDP, (BROADCAST,)),
    "broadcast datagram": ("OperationDeniedError", "sendto", UDP, (b"hello", BROADCAST)),
    "no path": ("SocketPathError", "connect", PATH, (NO_PATH,)),
    "no path for a datagram": ("SocketPathError", "sendto", DATAGRAM_PATH, (b"", NO_PATH)),
    "no folder": ("SocketPathError", "bind", PATH, (NO_PATH,)),
    "path through a file": ("SocketOperationError", "connect", PATH, (THROUGH_A_FILE,)),
    "long path": ("SocketOperationError", "connect", PATH, (LONG_PATH,)),
    "long path for connect_ex": ("SocketOperationError", "connect_ex", PATH, (LONG_PATH,)),
    "long path to bind to": ("SocketOperationError", "bind", PATH, (LONG_PATH,)),
    "no name": ("HostNotFoundError", "connect", TCP, ((NOWHERE, 80),)),
    "no name for connect_ex": ("HostNotFoundError", "connect_ex", TCP, ((NOWHERE, 80),)),
    "no name for a datagram": ("HostNotFoundError", "sendto", UDP, (b"", (NOWHERE, 80))),
    "no name to bind to": ("HostNotFoundError", "bind", TCP, ((NOWHERE, 80),)),
    "address of others": ("AddressNotAvailableError", "bind", TCP, (OF_OTHERS,)),
    "listen on datagrams": ("SocketOperationError", "listen", UDP, ()),
    "accept before listen": ("SocketOperationError", "accept", TCP, ()),
    "recv before connect": ("NotConnectedError", "recv", TCP, (1,)),
    "send before connect": ("PeerClosedError", "send", TCP, (b"too early",)),
    "datagram to nobody": ("NotConnectedError", "send", UDP, (b"to whom?",)),
    "large datagram": ("MessageTooLargeError", "sendto", UDP, (bytes(70_000), PORT_9)),
    "large message at once": (
        *("MessageTooLargeError", "sendmsg", UDP),
        ([bytes(70_000)], [], stdlib.MSG_DONTWAIT, PORT_9),
    ),
    "no option": ("SocketOperationError", "setsockopt", TCP, (stdlib.IPPROTO_TCP, 9999, 1)),
    "no option to get": ("SocketOperationError", "getsockopt", TCP, (stdlib.IPPROTO_TCP, 9999)),
    "no congestion control": (
        *("SocketOperationError", "setsockopt", TCP),
        (stdlib.IPPROTO_TCP, stdlib.TCP_CONGESTION, b"nonesuch"),
    ),
    "shutdown before connect": ("NotConnectedError", "shutdown", TCP, (stdlib.SHUT_RDWR,)),
    "no peer to name": ("NotConnectedError", "getpeername", TCP, ()),
}

#: What a function cannot do: the error, the operation that it names, the function, the arguments.
OF_THE_MODULE = {
    "no name to look up": ("HostNotFoundError", "getaddrinfo", "getaddrinfo", (NOWHERE, 80)),
    "no name to be connected to": (
        *("HostNotFoundError", "getaddrinfo"),
        *("create_connection", ((NOWHERE, 80),)),
    ),
    "gethostbyname": ("HostNotFoundError", "gethostbyname", "gethostbyname", (NOWHERE,)),
    "gethostbyname_ex": ("HostNotFoundError", "gethostbyname_ex", "gethostbyname_ex", (NOWHERE,)),
    "gethostbyaddr": ("HostNotFoundError", "gethostbyaddr", "gethostbyaddr", (NOWHERE,)),
    "getnameinfo": ("HostNotFoundError", "getnameinfo", "getnameinfo", ((NOWHERE, 80), 0)),
    "no service": ("ResolverError", "getaddrinfo", "getaddrinfo", ("127.0.0.1", "nonesuch")),
    "no family to look up": ("ResolverError", "getaddrinfo", "getaddrinfo", ("::1", 80, 999)),
    "no family": ("SocketOperationError", "socket", "socket", (999,)),
    "no protocol": ("SocketOperationError", "socket", "socket", (*TCP, stdlib.IPPROTO_UDP)),
    "no descriptor": ("SocketClosedError", "socket", "socket", (*TCP, 0, 999_999)),
}

for name, (error, method, *rest) in ON_A_NEW_SOCKET.items():
    setting = contextmanager(partial(on_a_new_socket, operation=method, sort=rest[0], args=rest[1]))
    SCENES[name] = Scene(error, method, setting, hangs=False, slow=False)

for name, (error, method, *rest) in OF_THE_MODULE.items():
    setting = contextmanager(partial(of_the_module, operation=rest[0], args=rest[1]))
    SCENES[name] = Scene(error, method, setting, hangs=False, slow=False)


def failing(name):
    """Return the setting of a scene with sockets of ours."""
    return SCENES[name].setting(safesocket)


def raised_by(call, *args):
    """Return what *call* raises."""
    try:
        call(*args)
    except OSError as error:
        return error
    pytest.fail("nothing failed")


def of_the_stdlib(name):
    """Return what the stdlib raises in a scene."""
    scene = SCENES[name]
    if scene.hangs:
        return TimeoutError("timed out")
    if scene.slow:
        return OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    with scene.setting(stdlib) as call:
        return raised_by(call)


@contextmanager
def no_descriptor_left():
    """Let the process have no more descriptors than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # poll(2) needs room for its list
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def go_deaf(sock):
    """Let the kernel drop whatever comes to *sock*: socket(7), SO_ATTACH_FILTER."""
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    program = struct.pack("HL", 1, ctypes.addressof(drop))
    sock.setsockopt(stdlib.SOL_SOCKET, SO_ATTACH_FILTER, program)


def give_up_early(sock):
    """Let the kernel give up at the first retransmission: tcp(7), TCP_USER_TIMEOUT."""
    sock.setsockopt(stdlib.IPPROTO_TCP, stdlib.TCP_USER_TIMEOUT, 20)


@contextmanager
def looking_up(*addresses):
    """Let every name stand for *addresses*, for create_connection of ours and the stdlib's."""
    found = [(AF_INET, STREAM, 6, "", address) for address in addresses]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(safesocket, "getaddrinfo", lambda *_: found)
        patch.setattr(stdlib, "getaddrinfo", lambda *_: found)
        yield


@scene("ConnectRefusedError", "connect")
def refused(net):
    with testing.refuses() as address, net.socket() as sock:
        yield partial(sock.connect, address)


@scene("ConnectRefusedError", "connect")
def refused_with_timeout(net):
    with testing.refuses() as address, net.socket() as sock:
        sock.settimeout(1)
        yield partial(sock.connect, address)


@scene("ConnectRefusedError", "connect")
def refused_at_a_path(net):
    with testing.refuses(AF_UNIX) as path, net.socket(AF_UNIX) as sock:
        yield partial(sock.connect, path)


@scene("ConnectRefusedError", "connect")
def refused_at_every_address(net):
    with testing.refuses() as one, testing.refuses() as two, looking_up(one, two):
        yield partial(net.create_connection, ("db.internal", 5432))


@scene("ConnectRefusedError", "recv")
def refused_in_the_background(net):
    with testing.refuses() as address, net.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(address)
        sock.setblocking(True)
        yield partial(sock.recv, 1)


@scene("ConnectRefusedError", "recv")
def refused_datagram(net):
    with testing.refuses() as address, net.socket(type=DGRAM) as sock:
        sock.connect(address)
        sock.send(b"anybody there?")
        yield partial(sock.recv, 1)


@scene("ConnectTimeoutError", "connect", hangs=True)
def connect_beyond_its_limit(net):
    with testing.never_accepts() as address, net.socket() as sock:
        net.set_timeouts(sock, connect=LIMIT)
        yield partial(sock.connect, address)


@scene("ConnectTimeoutError", "connect")
def connect_beyond_its_timeout(net):
    with testing.never_accepts() as address, net.socket() as sock:
        sock.settimeout(LIMIT)
        yield partial(sock.connect, address)


@scene("ConnectTimeoutError", "connect")
def connect_beyond_its_budget(net):
    with testing.never_accepts() as one, testing.never_accepts() as two, looking_up(one, two):
        yield partial(net.create_connection, ("db.internal", 5432), LIMIT)


@scene("ConnectTimeoutError", "connect", hangs=True)
def full_backlog_at_a_path(net):
    with testing.never_accepts(AF_UNIX) as path, net.socket(AF_UNIX) as sock:
        net.set_timeouts(sock, connect=LIMIT)
        yield partial(sock.connect, path)


@scene("ConnectTimeoutError", "connect", hangs=True)
def full_backlog_at_a_path_with_timeout(net):
    with testing.never_accepts(AF_UNIX) as path, net.socket(AF_UNIX) as sock:
        sock.settimeout(LIMIT)  # the stdlib fails at once; cpython 117208
        yield partial(sock.connect, path)


@scene("ConnectTimeoutError", "connect", slow=True)
def connect_beyond_the_kernels_patience(net):
    with net.create_server(("127.0.0.1", 0)) as server, net.socket() as sock:
        go_deaf(server)
        give_up_early(sock)
        yield partial(sock.connect, server.getsockname())


@scene("SocketOperationError", "connect")
def path_of_another_type(net):
    with testing.silent_udp(AF_UNIX) as path, net.socket(AF_UNIX) as sock:
        yield partial(sock.connect, path)


@scene("AlreadyConnectedError", "connect")
def connect_again(net):
    with testing.never_answers() as address, net.socket() as sock:
        sock.connect(address)
        yield partial(sock.connect, address)


@scene("AddressInUseError", "bind")
def bind_where_somebody_is(net):
    with net.create_server(("127.0.0.1", 0)) as server, net.socket() as sock:
        yield partial(sock.bind, server.getsockname())


@scene("AddressInUseError", "bind")
def bind_where_a_path_is(net):
    with testing.refuses(AF_UNIX) as path, net.socket(AF_UNIX) as sock:
        yield partial(sock.bind, path)


@scene("AddressInUseError", "listen")
def listen_where_somebody_does(net):
    with net.socket() as one, net.socket() as two:
        for sock in (one, two):
            sock.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        two.bind(one.getsockname())
        one.listen()
        yield two.listen


@scene("AddressInUseError", "bind")
def source_address_where_somebody_is(net):
    with net.create_server(("127.0.0.1", 0)) as server, testing.refuses() as address:
        yield partial(net.create_connection, address, source_address=server.getsockname())


@scene("AddressNotAvailableError", "bind")
def source_address_of_others(net):
    with testing.refuses() as address:
        yield partial(net.create_connection, address, source_address=OF_OTHERS)


@scene("SocketOperationError", "bind")
def bind_again(net):
    with net.create_server(("127.0.0.1", 0)) as server:
        yield partial(server.bind, ("127.0.0.1", 0))


@scene("AcceptTimeoutError", "accept")
def accept_beyond_its_timeout(net):
    with net.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        yield server.accept


@scene("ResourceError", "accept")
def accept_without_descriptors(net):
    with (
        net.create_server(("127.0.0.1", 0)) as server,
        stdlib.create_connection(server.getsockname()),
        no_descriptor_left(),
    ):
        yield server.accept


@scene("ResourceError", "socket")
def socket_without_descriptors(net):
    with no_descriptor_left():
        yield net.socket


@scene("ResourceError", "socket")
def create_connection_without_descriptors(net):
    with testing.refuses() as address, looking_up(address), no_descriptor_left():
        yield partial(net.create_connection, ("db.internal", 5432))


@scene("ResourceError", "dup")
def dup_without_descriptors(net):
    with net.socket() as sock, no_descriptor_left():
        yield sock.dup


@scene("ResourceError", "socketpair")
def socketpair_without_descriptors(net):
    with no_descriptor_left():
        yield net.socketpair


@scene("SocketOperationError", "socket")
def socket_of_a_file(net):
    with open(os.devnull) as file:
        yield partial(net.socket, fileno=file.fileno())


@scene("ReadTimeoutError", "recv", hangs=True)
def recv_beyond_its_limit(net):
    with testing.never_answers() as address, net.create_connection(address) as sock:
        net.set_timeouts(sock, read=LIMIT)
        yield partial(sock.recv, 1)


@scene("ReadTimeoutError", "recv")
def recv_beyond_its_timeout(net):
    with testing.never_answers() as address, net.create_connection(address, LIMIT) as sock:
        yield partial(sock.recv, 1)


@scene("ReadTimeoutError", "recv", hangs=True)
def waitall_beyond_its_limit(net):
    with testing.never_answers() as address, net.create_connection(address) as sock:
        net.set_timeouts(sock, read=LIMIT)
        yield partial(sock.recv, 3, stdlib.MSG_WAITALL)


@scene("ReadTimeoutError", "recvfrom", hangs=True)
def datagram_that_never_comes(net):
    with testing.silent_udp() as address, net.socket(type=DGRAM) as sock:
        net.set_timeouts(sock, read=LIMIT)
        sock.sendto(b"anybody there?", address)
        yield partial(sock.recvfrom, 1)


@scene("ReadTimeoutError", "recv_into")
def file_read_beyond_its_timeout(net):
    with (
        testing.never_answers() as address,
        net.create_connection(address, LIMIT) as sock,
        sock.makefile("rb") as file,
    ):
        yield partial(file.read, 1)


@scene("SocketOperationError", "read")
def file_read_after_a_timeout(net):
    with (
        testing.never_answers() as address,
        net.create_connection(address, LIMIT) as sock,
        sock.makefile("rb") as file,
    ):
        with pytest.raises(TimeoutError):
            file.read(1)
        yield partial(file.read, 1)


@scene("PeerResetError", "recv")
def recv_after_a_reset(net):
    with testing.resets(on_request=True) as address, net.create_connection(address) as sock:
        sock.sendall(b"a request")
        yield partial(sock.recv, 1)


@scene("PeerResetError", "recv")
def recv_after_a_reset_with_timeout(net):
    with testing.resets(on_request=True) as address, net.create_connection(address, 1) as sock:
        sock.sendall(b"a request")
        yield partial(sock.recv, 1)


@scene("PeerResetError", "recv")
def recv_from_a_pair_after_a_reset(net):
    one, two = net.socketpair()
    with one:
        one.send(b"never read")
        two.close()
        yield partial(one.recv, 1)


@scene("PeerLostError", "recv", slow=True)
def recv_when_nothing_comes_back(net):
    with tcp_pair(make=net) as (client, accepted):
        go_deaf(accepted)
        give_up_early(client)
        client.send(b"lost")
        yield partial(client.recv, 1)


@scene("PeerClosedError", "send")
def send_after_shutdown(net):
    with tcp_pair(make=net) as (client, _):
        client.shutdown(stdlib.SHUT_WR)
        yield partial(client.send, b"too late")


@scene("PeerClosedError", "sendall")
def sendall_to_a_pair_that_is_closed(net):
    one, two = net.socketpair()
    with one:
        two.close()
        yield partial(one.sendall, b"too late")


@scene("WriteTimeoutError", "sendall", hangs=True)
def sendall_beyond_its_limit(net):
    with testing.stops_reading() as address, net.create_connection(address) as sock:
        net.set_timeouts(sock, write=LIMIT)
        yield partial(sock.sendall, bytes(10_000_000))


@scene("WriteTimeoutError", "sendall")
def sendall_beyond_its_timeout(net):
    with testing.stops_reading() as address, net.create_connection(address, LIMIT) as sock:
        yield partial(sock.sendall, bytes(10_000_000))


@scene("WriteTimeoutError", "sendfile")
def sendfile_beyond_its_timeout(net):
    with (
        testing.stops_reading() as address,
        net.create_connection(address, LIMIT) as sock,
        TemporaryFile() as file,
    ):
        file.truncate(10_000_000)
        yield partial(sock.sendfile, file)


@scene("WriteTimeoutError", "sendfile")
def sendfile_of_no_file_beyond_its_timeout(net):
    with testing.stops_reading() as address, net.create_connection(address, LIMIT) as sock:
        yield partial(sock.sendfile, io.BytesIO(bytes(10_000_000)))


@scene("SocketOperationError", "sendmsg_afalg")
def algorithm_on_another_family(net):
    with net.socket() as sock:
        yield partial(sock.sendmsg_afalg, op=0)
