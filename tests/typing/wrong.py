"""Wrong uses of safesocket, one a line; read by type checkers, never run.

Each checker must refuse exactly the lines marked so, mypy with the code that stands there; a
checker that does not look for such an error is not in the list behind the code.
"""

import socket as stdlib
from collections.abc import Hashable

import safesocket as socket
from safesocket import errors, ssl, testing

sock = socket.socket()
limits = socket.Timeouts()
context = ssl.create_default_context()
tls = context.wrap_socket(sock)

# The stdlib's names.

socket.AF_INTE  # wrong: attr-defined
socket.errno  # wrong: attr-defined
socket.create_connection("localhost:80")  # wrong: arg-type
socket.create_connection(("localhost", 80), timeout="5")  # wrong: arg-type
socket.create_connection(("localhost", 80), 5, None, True)  # wrong: call-arg
socket.socket(family="inet")  # wrong: arg-type
socket.socket(fileno=b"3")  # wrong: arg-type
socket.gethostbyname(5)  # wrong: arg-type
socket.getaddrinfo(5, 80)  # wrong: arg-type
socket.socketpair()[0].send("text")  # wrong: arg-type
sock.recv()  # wrong: call-arg
sock.recv(bufsize=10)  # wrong: call-arg
sock.recv_into("text")  # wrong: arg-type
sock.send("text")  # wrong: arg-type
sock.sendall(5)  # wrong: arg-type
sock.sendto(b"x")  # wrong: call-overload
sock.setsockopt(1, 2, None)  # wrong: call-overload
sock.settimeout("5")  # wrong: arg-type
sock.makefile("x")  # wrong: call-overload
sock.connect(80)  # wrong: arg-type
a_text: str = sock.recv(10)  # wrong: assignment
a_socket: socket.socket = stdlib.socket()  # wrong: assignment
from_stdlib: socket.socket = stdlib.create_connection(("localhost", 80))  # wrong: assignment

# Limits.

socket.Timeouts(raed=5)  # wrong: call-arg
socket.Timeouts(read="5")  # wrong: arg-type
limits.read = 5  # wrong: misc
limits.raed  # wrong: attr-defined
limits.replace(5)  # wrong: call-arg
limits.replace(timeout=5)  # wrong: call-arg
socket.configure(5)  # wrong: arg-type
socket.configure(limits=limits)  # wrong: call-arg
socket.configure(raed=5)  # wrong: call-arg
socket.configure(message="loud")  # wrong: arg-type
socket.configure(family="ipv5")  # wrong: arg-type
socket.configure(happy_eyeballs="no")  # wrong: arg-type
socket.set_timeouts(limits)  # wrong: arg-type
socket.set_timeouts(sock, 5)  # wrong: arg-type
socket.set_timeouts(sock=sock)  # wrong: call-arg
socket.get_timeouts(5)  # wrong: arg-type
socket.timeouts(5)  # wrong: arg-type
socket.timeouts(raed=5)  # wrong: call-arg
socket.deadline()  # wrong: call-arg
socket.deadline("5")  # wrong: arg-type
socket.remaining(5)  # wrong: call-arg
left: float = socket.remaining()  # wrong: assignment
socket.FOREVER = 5.0  # wrong: misc (mypy)

# Installing.

socket.install("forever")  # wrong: call-arg
socket.install(none="never")  # wrong: arg-type
socket.install(exempt=[5])  # wrong: list-item
socket.installed(none=None)  # wrong: arg-type
socket.install().report().ptached  # wrong: attr-defined
socket.Exemption(port="https")  # wrong: arg-type
socket.Exemption(limits=5)  # wrong: arg-type

# Errors.

try:
    sock.recv(10)
except errors.SafeSocketError as error:
    if error.operation == "conect":  # wrong: comparison-overlap (mypy, pyright)
        pass
    if error.timeout_source == "defualt":  # wrong: comparison-overlap (mypy, pyright)
        pass
    error.hosts  # wrong: attr-defined
    a_host: str = error.host  # wrong: assignment
    error.fingerprint = "x"  # wrong: misc
    error.attempts[0].tries  # wrong: attr-defined
    error.to_dict().fingerprint  # wrong: attr-defined
errors.ConnectionRefused  # wrong: attr-defined
errors.Attempt("127.0.0.1")  # wrong: call-arg
a_key: Hashable = errors.Attempt(None, OSError(), 0.0)  # wrong: assignment
not_this: type[TimeoutError] = errors.ConnectRefusedError  # wrong: assignment

# TLS.

ssl.create_default_context("ca.pem")  # wrong: arg-type
ssl.SSLContext.wrap_socket(sock)  # wrong: call-arg
context.wrap_socket("sock")  # wrong: arg-type
context.sslsocket_class = stdlib.socket  # wrong: assignment
tls.send("text")  # wrong: arg-type
tls.recv("10")  # wrong: arg-type
ssl.PROTOCOL_TLSv9  # wrong: attr-defined

# Peers for tests.

testing.refuses("inet")  # wrong: arg-type
testing.resets(3, 2, True)  # wrong: call-arg
testing.drips(interval="1")  # wrong: arg-type
testing.reads_slowly(on_data=5)  # wrong: arg-type
testing.refuse  # wrong: attr-defined
testing.free_port().real.nothing  # wrong: attr-defined
