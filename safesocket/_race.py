"""Happy Eyeballs: addresses raced against each other, in one thread; RFC 8305, section 5.

Attempts are begun, waited for together, won and closed here. In which order the addresses come
is ``_addresses``', and what is made of the failures ``_attempts``'.
"""

from __future__ import annotations

from ._connecting import UNDER_WAY, begin, outcome
from ._exempt import is_left_alone
from ._failing import is_cut_by_deadline, told
from ._recorder import recorded_to, recording
from ._route import route_of
from ._scope import WRITE
from ._system import gettimeout, now, os_error, settimeout
from ._timeouts import FOREVER
from ._translate import CONNECT
from ._wait import which_ready_before
from .errors import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket
    from typing import Any

    from ._budget import Budget

#: seconds before the next address is tried as well; RFC 8305, "Connection Attempt Delay"
STAGGER = 0.25


class _Runner:
    """One attempt: an address, and its socket with the mode that the program is to find."""

    __slots__ = ("address", "elapsed", "error", "mode", "sock", "started")

    error: OSError
    elapsed: float
    mode: float | None

    def __init__(self, address: Any) -> None:
        self.address = address
        self.sock: Socket | None = None
        self.started = now()


class Race:
    """One race: *entries*, of a look-up, whose sockets *prepare* makes, within *budget*.

    A new attempt begins every STAGGER seconds, or sooner where the budget would not reach all
    addresses otherwise, and at once when one has failed. The earlier ones go on.
    """

    def __init__(self, prepare: Callable[[Any], Socket], entries: list[Any], budget: Budget):
        self._prepare = prepare
        self.started = now()
        self._budget = budget
        self._left = entries[::-1]  # the next one last
        self._next = budget.started  # when that is to begin
        self._begun: list[_Runner] = []
        self._under_way: list[_Runner] = []

    def run(self) -> tuple[Socket, Any] | None:
        """Return the first socket that is connected, and to what; None if none was.

        All others are closed, and all if a signal handler raises something.
        """
        try:
            won = self._first()
            self._close_all_but(won)
        except BaseException:
            self._close_all_but(None)
            raise
        finally:
            if recording:
                recorded_to(self._budget.asked, CONNECT, self.started)
        return won and (won.sock, won.address)  # type: ignore[return-value]

    def attempts(self) -> list[Attempt]:
        """Return what became of each address of a race that nobody won, in the order begun."""
        return [Attempt(runner.address, runner.error, runner.elapsed) for runner in self._begun]

    def end(self) -> float:
        """Return when the race is over."""
        return self._budget.end

    def addresses(self) -> list[Any]:
        """Return the addresses under way."""
        return [runner.address for runner in self._under_way]

    def _first(self) -> _Runner | None:
        won = None
        while won is None and (self._left or self._under_way):
            won = self._begin() if self._is_time_to_begin() else self._wait()
        return won

    def _is_time_to_begin(self) -> bool:
        return bool(self._left) and (not self._under_way or now() >= self._next)

    def _begin(self) -> _Runner | None:
        """Begin with the next address; return the runner if it is connected at once."""
        entry = self._left.pop()
        runner = _Runner(entry[4])
        self._next = runner.started + self._delay(runner.started)
        self._begun.append(runner)
        self._under_way.append(runner)
        try:
            runner.sock = sock = self._prepare(entry)
            runner.mode = gettimeout(sock)
            settimeout(sock, 0)
            return self._judged(runner, begin)
        except OSError as exc:  # no descriptor, no source address: told already
            self._drop(runner, exc.with_traceback(None))  # which holds this frame
        except Exception:
            if self._under_way == [runner]:
                raise
            self._put_off(entry, runner)
        return None

    def _delay(self, started: float) -> float:
        share = (self._budget.end - started) / (len(self._left) + 1)
        return min(max(share, 0.0), STAGGER)

    def _put_off(self, entry: Any, runner: _Runner) -> None:
        """Come back to *entry*, a wrong address, when those before it have all failed.

        Only then the stdlib comes to it and raises what is wrong.
        """
        self._begun.remove(runner)
        self._under_way.remove(runner)
        _close(runner)
        self._left = [entry]
        self._next = FOREVER

    def _wait(self) -> _Runner | None:
        """Wait for those under way until the next one is to begin; return a winner."""
        end = self._budget.end
        until = min(self._next, end) if self._left else end
        socks = [runner.sock for runner in self._under_way]
        ready = which_ready_before(until, socks, WRITE)
        for runner in [self._under_way[index] for index in ready]:
            if self._judged(runner, outcome):
                return runner
        if not ready and now() >= end:
            for runner in list(self._under_way):
                self._fail(runner, TimeoutError("timed out"))
        return None

    def _judged(self, runner: _Runner, step: Callable[[Any, Any], int]) -> _Runner | None:
        """Take a *step* of connecting; return *runner* if it is connected."""
        try:
            number = step(runner.sock, runner.address)
        except OSError as exc:
            self._fail(runner, exc)
            return None
        if number in UNDER_WAY:
            return None
        if number:
            self._fail(runner, os_error(number))
            return None
        settimeout(runner.sock, runner.mode)  # type: ignore[arg-type]
        return runner

    def _fail(self, runner: _Runner, exc: OSError) -> None:
        elapsed, limit = now() - runner.started, self._budget.limit
        if is_left_alone(self._budget.asked, runner.address) and not is_cut_by_deadline(exc, limit):
            self._drop(runner, exc.with_traceback(None))  # which holds this frame
            return
        route = route_of(runner.sock, runner.address)  # type: ignore[arg-type]
        self._drop(runner, told(exc, "connect", route, runner.sock, elapsed=elapsed, limit=limit))

    def _drop(self, runner: _Runner, error: OSError) -> None:
        """Take *runner* out of the race; the next one is to begin at once."""
        runner.error = error
        runner.elapsed = now() - runner.started
        self._under_way.remove(runner)
        self._next = self._budget.started
        _close(runner)

    def _close_all_but(self, won: _Runner | None) -> None:
        for runner in self._begun:
            if runner is not won:
                _close(runner)


def _close(runner: _Runner) -> None:
    if runner.sock is None:
        return
    try:
        runner.sock.close()
    except OSError:
        return  # the descriptor is gone even so; close(2)
