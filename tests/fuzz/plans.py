"""Plans for hypothesis to draw."""

from __future__ import annotations

import socket

from hypothesis import strategies as st

from tests.fuzz.play import MOVES
from tests.fuzz.scene import FAMILIES, ROLES
from tests.fuzz.tlsmoves import MOVES as TLS_MOVES

_SIZES = [0, 1, 2, 9, 100, 1000, 5000, 70_000, 300_000]
PEEK, WAITALL = socket.MSG_PEEK, socket.MSG_WAITALL
TRUNC, OOB, DONTWAIT = socket.MSG_TRUNC, socket.MSG_OOB, socket.MSG_DONTWAIT
_READ_FLAGS = [PEEK, WAITALL, DONTWAIT, OOB, TRUNC, PEEK | WAITALL, PEEK | DONTWAIT, PEEK | TRUNC]
_READ_FLAGS += [WAITALL | DONTWAIT, WAITALL | TRUNC, socket.MSG_ERRQUEUE, PEEK | OOB]
_KINDS = "bytearray memoryview array ctypes mmap table readonly holes str nothing".split()
_OPTIONS = "SO_ERROR SO_TYPE SO_RCVTIMEO SO_SNDTIMEO SO_RCVLOWAT SO_ACCEPTCONN SO_KEEPALIVE".split()


def _often(value, *others):
    return st.one_of(st.just(value), st.sampled_from(others))


#: sort of argument -> what it may be
_ARGUMENTS = {
    "size": st.sampled_from(_SIZES),
    "asked": st.sampled_from([*_SIZES, -1]),
    "sizes": st.lists(st.sampled_from(_SIZES[:-1]), max_size=3),
    "rflags": _often(0, *_READ_FLAGS),
    "wflags": _often(0, DONTWAIT, OOB, socket.MSG_NOSIGNAL, socket.MSG_EOR),
    "kind": _often("bytes", *_KINDS),
    "room": st.sampled_from([0, 100, -1]),
    "flag": st.booleans(),
    "offset": st.sampled_from([0, 1, 50]),
    "count": st.sampled_from([None, 1, 80, 100_000]),
    "mode": st.sampled_from([None, 0, "short", -1]),
    "mode_of_kernel": st.sampled_from(["short", None]),
    "timeo": st.sampled_from(["SO_RCVTIMEO", "SO_SNDTIMEO"]),
    "low": st.sampled_from([1, 10, 3000]),
    "option": st.sampled_from(_OPTIONS),
    "how": st.sampled_from([0, 1, 2, 7]),
    "where": st.sampled_from(["listener", "listener", "nobody", "wrong", "short", "path"]),
    "connecting": st.sampled_from(["connect", "connect_ex"]),
    "backlog": st.sampled_from([0, 1]),
    "filemode": st.sampled_from(["r", "w", "rw", "rb", "wb", "rwb", "x"]),
    "buffering": st.sampled_from([None, 0, 1, 16, 100_000]),
}
_RARE = (
    "tls.facts tls.shake_again tls.pending drop close leave bind listen accept client_comes"
    " connect words inheritable option"
).split()


def _move(name):
    sorts = MOVES[name][1].split()
    return st.tuples(st.just(name), *(_ARGUMENTS[sort] for sort in sorts)).map(list)


def _strategies(names):
    one = {name: _move(name) for name in names}
    deeds = [name for name in names if name.startswith("far.")]
    far = st.one_of([one[name] for name in deeds])
    # An urgent byte ends waits of the kernel's, but none of poll's: settimeout has the same effect.
    script = st.one_of([one[name] for name in deeds if name != "far.send_urgent"])
    waiting = [one[name] for name in names if MOVES[name][2] not in (None, "connect")]
    most = [one[name] for name in names if name not in _RARE]
    meanwhile = st.tuples(
        st.just("while"), st.lists(script, min_size=1, max_size=3), st.one_of(waiting)
    )
    # The two ends of a fork cannot share a connection of TLS: each counts its records.
    in_child = st.tuples(st.just("fork"), st.one_of(waiting)).map(list)
    fork = far if "tls.read" in names else in_child
    rare = st.one_of([one[name] for name in names if name in _RARE])
    return st.one_of(*most, far, far, rare, meanwhile.map(list), fork)


_PLAIN = [name for name in MOVES if name not in TLS_MOVES]
#: what a TLS socket's plan leaves out: what changes the descriptor behind TLS, and connecting
_NOT_OVER_TLS = (
    "nonblock kernel_timeout lowat connect bind listen client_comes accept far.send_urgent"
).split()
_OVER_TLS = [name for name in MOVES if name not in _NOT_OVER_TLS]


@st.composite
def plans(draw, families=tuple(FAMILIES)):
    """Draw a plan for plain sockets."""
    family = draw(st.sampled_from(families))
    roles = ["paired"] if family.startswith("pair") else ROLES[FAMILIES[family][1]]
    role = draw(st.sampled_from(roles))
    return {
        "family": family,
        "role": role,
        "mode": draw(st.sampled_from([None, None, 0, "short"])),
        "small": draw(st.booleans()),
        "moves": draw(st.lists(_strategies(_PLAIN), min_size=1, max_size=12)),
    }


@st.composite
def tls_plans(draw):
    """Draw a plan for TLS sockets."""
    family, role = draw(
        st.sampled_from(
            [("tcp4", "connected"), ("tcp4", "accepted"), ("tcp6", "created"), ("pair", "paired")]
        )
    )
    tls = {
        "version": draw(st.sampled_from(["1.2", "1.3"])),
        "is_server": draw(st.booleans()),
        "ragged": draw(st.booleans()),
    }
    return {
        "family": family,
        "role": role,
        "mode": draw(st.sampled_from([None, None, 0, "short"])),
        "small": draw(st.booleans()),
        "tls": tls,
        "moves": draw(st.lists(_strategies(_OVER_TLS), min_size=1, max_size=12)),
    }
