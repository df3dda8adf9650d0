"""The tree of errors: what each class is, what every error carries, and how it travels."""

from __future__ import annotations

import builtins
import errno
import json
import pickle
import socket as stdlib
import ssl
import threading
from ipaddress import IPv4Address

import pytest

from safesocket import errors
from safesocket.errors import (
    Attempt,
    BindError,
    CertificateError,
    ConnectError,
    ConnectRefusedError,
    HandshakeError,
    HostNotFoundError,
    PeerResetError,
    ReadTimeoutError,
    ResolveError,
    ResolverError,
    ResolveTimeoutError,
    ResourceError,
    ReverseLookupError,
    SafeSocketError,
    SocketClosedError,
    SocketOperationError,
    SocketTimeoutError,
    TLSError,
    TransferError,
    WriteTimeoutError,
    combined,
)
from tests.helpers import copies, printed, told

#: class -> the documented classes above it, and the builtin ones: design, section 4
TREE = {
    "SafeSocketError": [(), OSError],
    "SocketTimeoutError": [(SafeSocketError,), TimeoutError],
    "ConnectError": [(SafeSocketError,), OSError],
    "ResolveError": [(ConnectError,), OSError],
    "TLSError": [(SafeSocketError,), OSError],
    "TransferError": [(SafeSocketError,), OSError],
    "BindError": [(SafeSocketError,), OSError],
    "HostNotFoundError": [(ResolveError,), stdlib.gaierror],
    "ResolverError": [(ResolveError,), stdlib.gaierror],
    "ResolveTimeoutError": [(ResolveError, SocketTimeoutError), stdlib.gaierror, TimeoutError],
    "ReverseLookupError": [(ResolveError,), stdlib.herror],
    "ConnectRefusedError": [(ConnectError,), ConnectionRefusedError],
    "ConnectTimeoutError": [(ConnectError, SocketTimeoutError), TimeoutError],
    "UnreachableError": [(ConnectError,), OSError],
    "ConnectDeniedError": [(ConnectError,), PermissionError],
    "SocketPathError": [(ConnectError,), FileNotFoundError],
    "HandshakeError": [(TLSError, ConnectError), ssl.SSLError],
    "CertificateError": [(HandshakeError,), ssl.SSLCertVerificationError],
    "HandshakeTimeoutError": [(TLSError, ConnectError, SocketTimeoutError), TimeoutError],
    "ReadTimeoutError": [(TransferError, SocketTimeoutError), TimeoutError],
    "WriteTimeoutError": [(TransferError, SocketTimeoutError), TimeoutError],
    "PeerResetError": [(TransferError,), ConnectionResetError],
    "PeerClosedError": [(TransferError,), BrokenPipeError],
    "PeerLostError": [(TransferError,), TimeoutError],
    "ConnectionAbortError": [(TransferError,), ConnectionAbortedError],
    "MessageTooLargeError": [(TransferError,), OSError],
    "AcceptTimeoutError": [(SocketTimeoutError,), TimeoutError],
    "AddressInUseError": [(BindError,), OSError],
    "BindDeniedError": [(BindError,), PermissionError],
    "AddressNotAvailableError": [(ConnectError, BindError), OSError],
    "NotConnectedError": [(TransferError,), OSError],
    "AlreadyConnectedError": [(ConnectError,), OSError],
    "SocketClosedError": [(SafeSocketError,), OSError],
    "ResourceError": [(SafeSocketError,), OSError],
    "OperationDeniedError": [(SafeSocketError,), PermissionError],
    "SocketOperationError": [(SafeSocketError,), OSError],
}

ATTRIBUTES = {
    "operation": "connect",
    "host": "db.internal",
    "port": 5432,
    "address": ("10.0.0.7", 5432),
    "local": ("10.0.0.1", 40000),
    "elapsed": 0.25,
    "timeout": 0.5,
    "timeout_source": "settimeout",
    "bytes_sent": 3,
    "bytes_received": 4,
    "attempts": [Attempt(("10.0.0.7", 5432), ConnectRefusedError(111, "refused"), 0.2)],
    "hint": "look here next",
}

every_class = pytest.mark.parametrize("name", TREE)


def with_facts(error, **facts):
    """Return *error* as it is raised, with *facts* known of it."""
    vars(error).update(facts)
    return error


def with_all_facts(kind):
    """Return an error of *kind* of which everything is known."""
    error = with_facts(kind(111, "Connection refused"), **ATTRIBUTES)
    error.add_note("Hint: look here next")
    return error


def test_table_has_every_class():
    """The table of this file is the whole tree, so that no class is left untested."""
    assert sorted([*TREE, "Attempt", "TCPInfo"]) == sorted(errors.__all__)


@every_class
def test_class_is_what_the_design_says(name):
    """A class has its umbrellas above it, and the builtin class that the stdlib raises."""
    kind = getattr(errors, name)
    umbrellas, *builtin = TREE[name]
    expected = {base for top in (*umbrellas, *builtin) for base in top.__mro__}
    assert set(kind.__mro__) == {kind, *expected}


@every_class
def test_class_is_found_where_it_says(name):
    """A class says its own name and the public module, and has one sentence on top."""
    kind = getattr(errors, name)
    assert (kind.__name__, kind.__module__) == (name, "safesocket.errors")
    assert kind.__doc__.splitlines()[0].endswith((".", "):"))


def test_names_are_nobody_elses():
    """No class takes a builtin's name: ``from safesocket.errors import *`` hides nothing."""
    assert not set(errors.__all__) & {*vars(builtins), *vars(stdlib)}


@every_class
def test_bare_error_knows_nothing(name):
    """An error raised by a program has every attribute, unset, and the builtin's text."""
    kind = getattr(errors, name)
    error = kind(111, "Connection refused")
    assert {fact: getattr(error, fact) for fact in ATTRIBUTES} == {
        **dict.fromkeys(ATTRIBUTES),
        "attempts": (),
    }
    assert (error.errno, error.strerror) == (111, "Connection refused")
    assert str(error) in ("[Errno 111] Connection refused", "Connection refused")  # ssl's
    assert str(kind("just text")) in ("just text", "('just text',)")


def test_class_has_what_an_untold_error_has():
    """Who asks the class, as stubtest and help() do, finds no words and no notes."""
    assert errors.SafeSocketError.hint is None
    assert not hasattr(errors.SafeSocketError, "__notes__")


@every_class
def test_error_travels_whole(name):
    """Pickled, copied or deep-copied, an error says all that it said."""
    error = with_all_facts(getattr(errors, name))
    for copied in copies(error):
        assert told(copied) == told(error)
        assert copied.to_dict() == error.to_dict()
        assert copied.__notes__ == ["Hint: look here next"]


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("facts", [ATTRIBUTES, {"attempts": ()}], ids=["attempts", "alone"])
def test_error_travels_by_old_protocols(protocol, facts):
    """The old pickle protocols will do, as for any OSError: logging's SocketHandler uses 1."""
    kind = combined(SocketOperationError, ConnectError, NotADirectoryError)
    error = with_facts(kind(20, "Not a directory"), **facts)
    assert told(pickle.loads(pickle.dumps(error, protocol))) == told(error)


def test_file_names_travel():
    """Both file names of an OSError survive."""
    error = SocketOperationError(2, "No such file or directory", "one", None, "two")
    for copied in copies(error):
        assert (copied.filename, copied.filename2) == ("one", "two")
        assert str(copied) == "[Errno 2] No such file or directory: 'one' -> 'two'"


@pytest.mark.parametrize("kind", [HandshakeError, CertificateError])
def test_facts_of_openssl_travel(kind):
    """reason, library and verify_code of a TLS error survive."""
    error = with_facts(kind(1, "failed"), reason="BAD", library="SSL", verify_code=20)
    for copied in copies(error):
        assert (copied.reason, copied.library, copied.verify_code) == ("BAD", "SSL", 20)


@pytest.mark.parametrize(
    "kind",
    [
        ConnectRefusedError,
        combined(ResourceError, TransferError),
        combined(SocketOperationError, ConnectError, NotADirectoryError),
        combined(HostNotFoundError, BindError),
        HandshakeError,
    ],
)
def test_error_arrives_in_a_process_that_has_seen_none(kind):
    """A pickled error is the same error in a new interpreter: worker pools send them."""
    error = with_all_facts(kind)
    arrived = printed(f"""
        import pickle
        error = pickle.loads({pickle.dumps(error)!r})
        print(type(error).__mro__, error, error.attempts, error.__notes__)
    """)
    assert arrived == f"{kind.__mro__} {error} {error.attempts} {error.__notes__}"


# --- Leaves that take on more -----------------------------------------------------------------


def test_combined_adds_nothing_that_is_there():
    """A leaf that is already all of that stays the very class."""
    assert combined(PeerResetError, TransferError, ConnectionResetError) is PeerResetError


def test_combined_is_the_leaf_and_each_other():
    """A combined class goes by the leaf's name and is caught by each of its parts."""
    kind = combined(SocketOperationError, TransferError, FileExistsError)
    assert (kind.__name__, kind.__module__) == ("SocketOperationError", "safesocket.errors")
    assert kind.__doc__ == SocketOperationError.__doc__
    assert issubclass(kind, SocketOperationError)
    assert issubclass(kind, TransferError)
    assert issubclass(kind, FileExistsError)
    assert not issubclass(kind, ConnectError)


def test_combined_is_made_once():
    """The same parts give the same class, so that classes of errors can be compared."""
    first = combined(SocketClosedError, TransferError)
    assert combined(SocketClosedError, TransferError) is first
    assert all(type(copied) is first for copied in copies(first(9, "Bad file descriptor")))


def test_combined_is_made_once_by_many_threads():
    """Threads that fail alike at the same time raise the same class."""
    made, start = [], threading.Barrier(8)

    class Unseen(OSError):
        """Nothing has been combined with it."""

    def work():
        start.wait()
        made.append(combined(ResourceError, Unseen))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    "kind",
    [
        combined(SocketOperationError, ConnectError, NotADirectoryError),
        combined(combined(SocketOperationError, BindError, FileExistsError), ConnectError),
    ],
)
def test_combined_errors_travel_whole(kind):
    """A combined error, too, says after pickle, copy and deepcopy what it said."""
    error = with_all_facts(kind)
    for copied in copies(error):
        assert told(copied) == told(error)


# --- Attempts ---------------------------------------------------------------------------------


def attempt(address=("::1", 80), error=None, elapsed=0.25):
    return Attempt(address, error or ConnectRefusedError(111, "Connection refused"), elapsed)


def test_attempt_shows_what_it_holds():
    """The repr of an attempt has address, error and time."""
    shown = "Attempt(('::1', 80), ConnectRefusedError(111, 'Connection refused'), elapsed=0.250)"
    assert repr(attempt()) == shown


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (attempt(), True),
        (attempt(address=("::1", 81)), False),
        (attempt(error=ConnectRefusedError(111, "refused")), False),
        (attempt(error=PeerResetError(111, "Connection refused")), False),
        (attempt(elapsed=0.5), False),
        ("an attempt", False),
    ],
)
def test_attempts_compare_by_what_they_hold(other, same):
    """Two attempts are equal if address, class and args of the error, and time are."""
    assert (attempt() == other) is same
    assert (attempt() != other) is not same


def test_attempt_is_no_key():
    """An attempt can be changed, so it has no hash."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(attempt())


# --- Names for grouping -----------------------------------------------------------------------

EAI_AGAIN, EAI_NONAME = stdlib.EAI_AGAIN, stdlib.EAI_NONAME
HERE = {"operation": "connect", "host": "db.internal", "port": 5432}
ACCEPTED = {"_role": "accepted", "host": "10.0.0.9", "port": 40001, "address": ("10.0.0.9", 40001)}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectRefusedError(111, "refused"), "ECONNREFUSED"),
        (PeerResetError(104, "reset"), "ECONNRESET"),
        (SocketOperationError(9999, "of another system"), "9999"),
        (SocketOperationError("AF_UNIX path too long"), "error"),
        (ReadTimeoutError("timed out"), "timeout"),
        (HostNotFoundError(EAI_NONAME, "unknown"), "EAI_NONAME"),
        (ResolverError(EAI_AGAIN, "later"), "EAI_AGAIN"),
        (ResolveTimeoutError("timed out"), "timeout"),
        (with_facts(ResolveTimeoutError("timed out"), timeout=10.0), "timeout"),
        (with_facts(ResolveTimeoutError("timed out"), timeout=0.0), "timeout"),
    ],
)
def test_code_names_the_cause(error, code):
    """code is the name of the cause, or says whether a limit was."""
    assert error.code == code


@pytest.mark.parametrize(
    "error",
    [
        ReverseLookupError(1, "Unknown host"),  # <netdb.h>: HOST_NOT_FOUND
        ReverseLookupError(2, "Host name lookup failure"),  # TRY_AGAIN
        HandshakeError(1, "[SSL] unknown error"),  # <openssl/ssl.h>: SSL_ERROR_SSL
        CertificateError(1, "certificate verify failed"),
    ],
)
def test_code_reads_numbers_in_their_own_table(error):
    """The numbers of OpenSSL and of herror are no errnos: 1 is not EPERM there."""
    assert error.code not in errno.errorcode.values()


@pytest.mark.parametrize(
    ("error", "facts", "fingerprint"),
    [
        (ConnectRefusedError(111, ""), HERE, "connect:ECONNREFUSED:db.internal:5432"),
        (
            ConnectRefusedError(111, ""),
            {**HERE, "address": ("10.0.0.7", 5432), "local": ("10.0.0.1", 40000), "elapsed": 0.1},
            "connect:ECONNREFUSED:db.internal:5432",
        ),
        (
            ConnectRefusedError(111, ""),
            {**HERE, "host": "::1"},
            "connect:ECONNREFUSED:[::1]:5432",
        ),
        (
            ConnectRefusedError(111, ""),
            {"operation": "connect", "host": "/run/db.sock"},
            "connect:ECONNREFUSED:/run/db.sock",
        ),
        (
            ReadTimeoutError("timed out"),
            {"operation": "recv", **ACCEPTED, "local": ("10.0.0.1", 80)},
            "recv:timeout:clients of 10.0.0.1:80",
        ),
        (
            ReadTimeoutError("timed out"),
            {"operation": "recv", "address": ("10.0.0.7", 53), "local": ("10.0.0.1", 40000)},
            "recv:timeout:10.0.0.7:53",
        ),
        (ResourceError(24, ""), {"operation": "socket"}, "socket:EMFILE"),
        (SocketClosedError(9, ""), {}, "EBADF"),
    ],
)
def test_fingerprint_names_the_failure(error, facts, fingerprint):
    """A fingerprint is operation, cause and far end: no times, no ephemeral ports."""
    assert with_facts(error, **facts).fingerprint == fingerprint


def test_fingerprint_has_no_holes():
    """Where a closed socket no longer knows whose client it served, nothing dangles."""
    error = with_facts(SocketClosedError(9, ""), operation="recv", **ACCEPTED)
    assert not error.fingerprint.endswith((" ", ":", "of"))


# --- As data ----------------------------------------------------------------------------------


def test_dict_has_all_there_is_to_know():
    """to_dict() has every attribute, as JSON can hold it."""
    error = with_all_facts(ConnectRefusedError)
    assert json.loads(json.dumps(error.to_dict())) == {
        "type": "ConnectRefusedError",
        "message": str(error),
        "errno": 111,
        "code": "ECONNREFUSED",
        "fingerprint": "connect:ECONNREFUSED:db.internal:5432",
        **ATTRIBUTES,
        "address": ["10.0.0.7", 5432],
        "local": ["10.0.0.1", 40000],
        "tcp": None,
        "attempts": [
            {
                "address": ["10.0.0.7", 5432],
                "error": "[Errno 111] refused",
                "type": "ConnectRefusedError",
                "elapsed": 0.2,
            }
        ],
    }


@pytest.mark.parametrize(
    ("fact", "value", "shown"),
    [
        ("host", b"db.internal", "db.internal"),
        ("host", b"\xff", "\\xff"),
        ("host", "\udcff", "\\udcff"),
        ("host", "a\nb", "a\\nb"),
        ("address", b"\0abstract", "@abstract"),
        ("address", ("eth0", 3, b"\1\2"), ["eth0", 3, "\\x01\\x02"]),
        ("address", IPv4Address("10.0.0.7"), "10.0.0.7"),
        ("local", (), []),
        ("port", stdlib.AF_INET, 2),
        ("timeout", float("inf"), "forever"),
        ("port", float("nan"), "nan"),
        ("elapsed", 0.0, 0.0),
        ("host", None, None),
    ],
)
def test_dict_is_ready_for_json(fact, value, shown):
    """Bytes, tuples, enumerations and endless limits come out as JSON has them, hosts escaped."""
    error = with_facts(SocketClosedError(9, "Bad file descriptor"), **{fact: value})
    assert json.loads(json.dumps(error.to_dict(), allow_nan=False))[fact] == shown


def test_dict_of_any_class_is_ready_for_json():
    """to_dict() never fails, whatever the class, even when nothing is known."""
    for name in TREE:
        bare = getattr(errors, name)("just text")
        assert json.loads(json.dumps(bare.to_dict()))["type"] == name


# --- Catching ---------------------------------------------------------------------------------


def test_groups_are_split_by_umbrella():
    """except* takes errors out of a group by what was being done."""
    group = ExceptionGroup("both", [ConnectRefusedError(111, ""), WriteTimeoutError("timed out")])
    connecting, rest = group.split(ConnectError)
    assert [type(error) for error in connecting.exceptions] == [ConnectRefusedError]
    assert [type(error) for error in rest.exceptions] == [WriteTimeoutError]


# --- Importing --------------------------------------------------------------------------------


def test_import_brings_neither_ssl_nor_wrapt():
    """Importing safesocket and raising and copying an error imports neither ssl nor wrapt."""
    printed_names = printed("""
        import copy, pickle, sys
        import safesocket
        from safesocket import errors
        try:
            safesocket.socket(safesocket.AF_UNIX).connect("/nowhere/at/all")
        except errors.ConnectError as error:
            pickle.loads(pickle.dumps(copy.copy(error))).to_dict()
        print(sorted({"ssl", "_ssl", "wrapt"} & set(sys.modules)))
    """)
    assert printed_names == "[]"


def test_tls_classes_come_when_asked_for():
    """The TLS classes, whose parents live in ssl, are there at the first look."""
    printed_names = printed("""
        from safesocket import errors
        asked = [errors.HandshakeError, errors.CertificateError]
        import ssl
        print([kind.__name__ for kind in asked if issubclass(kind, ssl.SSLError)])
    """)
    assert printed_names == "['HandshakeError', 'CertificateError']"


def test_star_import_has_every_class():
    """``from safesocket.errors import *`` gives all classes, the TLS ones included."""
    namespace = {}
    exec("from safesocket.errors import *", namespace)
    assert set(errors.__all__) <= set(namespace)


def test_missing_name_is_an_attribute_error():
    """A name that is not there is said to be missing, as of any module."""
    with pytest.raises(AttributeError, match=r"'safesocket\.errors' has no attribute 'Nonsense'"):
        _ = errors.Nonsense
