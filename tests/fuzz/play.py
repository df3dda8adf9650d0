"""A plan -> its record: the moves made one after the other, and what was seen of each.

A move may be ``["while", script, move]``: the peer makes the moves of *script* on a thread while
the move waits. ``["fork", move]`` makes the move in a child.
"""

from __future__ import annotations

import errno
import gc
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from socket import MSG_OOB, MSG_TRUNC, MSG_WAITALL, SOCK_STREAM, MsgFlag

from tests.fuzz import files, model, moves, tlsmoves, transfers
from tests.fuzz.outcomes import builtin_of, failure, plain_names, shown
from tests.fuzz.scene import GUARD, Scene
from tests.fuzz.watch import StillWaitsError, cut, was_cut

MOVES = {**transfers.MOVES, **moves.MOVES, **files.MOVES, **tlsmoves.MOVES}
_WAITS = ("waits",)
_ENDS_OF_TLS = ("SSLError", "SSLEOFError", "ConnectionResetError", "BrokenPipeError")


def play(world, plan, scale=1):
    """Return the record of *plan* in *world*; waits may take *scale* times as long."""
    world.set_limits(scale)
    if "tls" in plan:
        from tests.fuzz.tlsfar import prepare

        prepare(world, **plan["tls"])
    before = _census()
    with warnings.catch_warnings(record=True) as seen, _unraisable() as lost:
        warnings.simplefilter("always")
        scene = Scene(world, plan, scale)
        try:
            record = _play(scene)
        finally:
            scene.tear_down()
            scene.far = None
        left = _left(before)
        if any(left):
            gc.collect()
            left = [left, "and after collecting", _left(before)]
    texts = [_plain(str(one.message)) for one in seen if "multi-threaded" not in str(one.message)]
    rest = {"left behind": left, "warnings": texts, "unraisable": lost}
    return {**record, **rest, "complaints": scene.complaints}


@contextmanager
def _unraisable():
    """Yield the list of errors that nobody could be told of: of a stream that is forgotten."""
    lost = []
    sys.unraisablehook = lambda one: lost.append(builtin_of(one.exc_value).__name__)
    yield lost
    sys.unraisablehook = sys.__unraisablehook__


def _left(before):
    return [now - then for now, then in zip(_census(), before, strict=True)]


def _plain(text):
    return plain_names(text).split(" fd=")[0].replace("<ssl.", "<")


def _census():
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def _play(scene):
    start = _attempt(scene, scene.set_up, "handshake")
    if start[0] != "returns":
        scene.complaints.append(f"no scene: {start}")
        return {"moves": []}
    steps = [("start", scene.look())]
    for move in scene.plan["moves"]:
        steps.append((_make(scene, move), scene.look()))
        if scene.is_over:
            break
    return {"moves": steps, "end": _end(scene)}


#: how the peer may see that the connection is over, with nothing before it
_ENDS = (("returns", (0, "end")), ("returns", (0, errno.ECONNRESET)))


def _end(scene):
    """Close the socket and read what the peer still gets."""
    scene.fuzzy = scene.fuzzy or scene.is_over
    seen = [scene.fuzzy, _drained(scene)]
    for file in reversed(scene.files):
        with suppress(Exception):
            file.detach()  # what it holds back goes nowhere: a close would wait
    scene.files.clear()
    seen.append(_attempt(scene, scene.sock.close, None))
    last = _drained(scene)
    if scene.fuzzy and not scene.in_order and last in _ENDS:
        last = "over"  # an urgent byte that nobody has read makes a reset of a close; tcp(7)
    return [*seen, last, _checked(scene)]


def _drained(scene):
    if scene.far is None or not scene.far.is_open():
        return None
    return _attempt(scene, lambda: moves.far_drain(scene), None)


def _checked(scene):
    """Tell whether all bytes are the right ones, in order, in both directions."""
    if not scene.in_order or scene.far is None:
        return "not looked at"
    if scene.kind != SOCK_STREAM:
        return shown(scene.far.messages, scene)
    if not scene.far.sent.startswith(scene.received):
        scene.complaints.append("what was received was not sent so")
    return _arrived(scene)


def _arrived(scene):
    """Compare what the peer has got with what was sent to it; count it where that is exact."""
    got, place = bytes(scene.far.got), 0
    for data, taken in scene.offered:
        fit = _common(got[place:], data)
        if taken is not None and fit != taken and place + taken <= len(got):
            scene.complaints.append(f"of {len(data)} bytes {taken} were taken and {fit} came")
        place += fit
    if place != len(got):
        scene.complaints.append("what arrived was not sent so")
    return "some" if scene.fuzzy else shown(got, scene)


def _common(one, other):
    """Return how long the beginning is that *one* and *other* share."""
    if one.startswith(other):
        return len(other)
    if other.startswith(one):
        return len(one)
    return next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


# One move.


def _make(scene, move):
    name, *arguments = move
    if name == "while":
        return _make_meanwhile(scene, *arguments)
    if name == "fork":
        return _make_in_a_child(scene, *arguments)
    function, _, phase = MOVES[name]
    if name.startswith(("recv", "send")) and _flags(move) & (MSG_TRUNC | MSG_OOB):
        scene.in_order = False
    outcome = _attempt(scene, lambda: function(scene, *arguments), phase, move)
    if outcome == _WAITS:
        _go_on_after_a_wait(scene, move)
    elif scene.tls and outcome[1] in _ENDS_OF_TLS:
        scene.is_over = True  # the errors from then on are made of an errno that C left there
    return outcome


def _attempt(scene, call, phase, move=()):
    seconds, is_limited = GUARD, False
    if scene.sock is not None:
        seconds, is_limited = model.patience(scene, phase, _flags(move))
    started = time.monotonic()
    try:
        result = cut(call, seconds)
    except StillWaitsError:
        if seconds == GUARD:
            scene.complaints.append(f"a hang: {move or call}")
        return _WAITS
    except Exception as exc:
        return _WAITS if was_cut() else _failed(scene, exc, is_limited)
    if is_limited and _fell_short(scene, move, started):
        return _WAITS
    return ("returns", shown(result, scene))


def _failed(scene, exc, is_limited):
    try:
        if getattr(exc, "timeout_source", None) in ("configure", "timeouts"):
            if not is_limited:
                scene.complaints.append(f"a limit where there is none: {exc}")
            return _WAITS
        return failure(exc, scene)
    finally:
        del exc


def _flags(move):
    return next((one for one in reversed(move) if isinstance(one, MsgFlag)), 0)


def _fell_short(scene, move, started):
    """Tell whether MSG_WAITALL has come to the end of its limit."""
    took = time.monotonic() - started
    return bool(_flags(move) & MSG_WAITALL) and took >= scene.limit()


def _go_on_after_a_wait(scene, move):
    """End the plan where the wait has left something behind that depends on how it ended."""
    name = move[0]
    if name.startswith("recv"):
        scene.is_over = scene.is_over or bool(_flags(move) & MSG_WAITALL)
    elif name.startswith("send") and not scene.tls:
        scene.fuzzy = scene.fuzzy or scene.kind == SOCK_STREAM
    elif name not in ("accept", "tls.read"):
        scene.is_over = True


# Moves at the same time.


def _make_meanwhile(scene, script, move):
    if ["far.reset"] in script and _reads_nothing(*move):
        return "no"  # woken by a reset, the kernel returns nothing; a call after it tells
    if scene.kind == SOCK_STREAM:
        scene.fuzzy = True  # how much of it a call meets is a race
    done = threading.Event()
    seen = []
    thread = threading.Thread(target=_follow, args=(scene, script, done, seen))
    thread.start()
    try:
        outcome = _make(scene, move)
    finally:
        done.set()
        thread.join()
    return outcome, seen


def _reads_nothing(name, *arguments):
    if not name.startswith("recv"):
        return False
    sizes = arguments[1] if name.endswith("_into") else arguments[0]
    return not (sum(sizes) if isinstance(sizes, list) else sizes)


def _follow(scene, script, done, seen):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(0.002 * scene.scale)  # the other thread is waiting by then
    for number, (name, *arguments) in enumerate(script):
        if number and name == "far.send" and scene.kind != SOCK_STREAM:
            done.wait(0.002 * scene.scale)  # or it is a race whether there is room for a message
        try:
            if scene.far is None:
                seen.append("nobody")
            elif name == "far.take":
                scene.far.take(*arguments, until=done)
            else:
                MOVES[name][0](scene, *arguments)
        except OSError as exc:
            seen.append(exc.errno)


def _make_in_a_child(scene, move):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_the_child(scene, move, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        written = pipe.read()
    os.waitpid(child, 0)
    outcome, scene.fuzzy, scene.is_over, offered, complaints = pickle.loads(written)
    scene.in_order = False
    scene.offered += offered
    scene.complaints += complaints
    return outcome


def _be_the_child(scene, move, writing):
    known = len(scene.offered), len(scene.complaints)
    try:
        outcome = (_make(scene, move), scene.look())
        told = (outcome, scene.fuzzy, scene.is_over)
        rest = (scene.offered[known[0] :], scene.complaints[known[1] :])
        with open(writing, "wb") as pipe:
            pickle.dump((*told, *rest), pipe)
    finally:
        os._exit(0)
