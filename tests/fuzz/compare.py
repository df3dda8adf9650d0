"""One plan in both worlds: do the records agree, and does the stdlib agree with itself?

Records that differ are made again, slower, several times in each world. The plan has failed if
nothing that safesocket has done is anything that the stdlib has done, or if the stdlib does
always the same and safesocket does not.
"""

from __future__ import annotations

from collections import Counter

from tests.fuzz.plans import plans, tls_plans
from tests.fuzz.worlds import LostError, Process

#: what ``--world`` may be -> the world that plays against the stdlib, the plans that it plays
WORLDS = {
    "drop-in": ("drop-in", plans),
    "installed": ("installed", plans),
    "tls": ("drop-in", tls_plans),
    "tls-installed": ("installed", tls_plans),
}
_TRIES = 3
_SLOWER = 5


class Judge:
    """The stdlib and another world, side by side."""

    def __init__(self, world):
        self.plain, self.other = Process("stdlib"), Process(WORLDS[world][0])
        self.counts = Counter()
        self.doubtful = []

    def judge(self, plan):
        """Play *plan* in both; return None, or how they differ."""
        self.counts["sequences"] += 1
        self.counts["moves"] += len(plan["moves"])
        plain, other = self._both(plan)
        if plain == other and not plain["complaints"]:
            self.counts["waits"] += _waits(plain)
            return None
        self.counts["played again"] += 1
        return self._again(plan, plain, other)

    def _both(self, plan, scale=1):
        for process in (self.plain, self.other):
            process.ask(plan, scale)
        return [self._answer(process) for process in (self.plain, self.other)]

    def _answer(self, process):
        try:
            return process.answer()
        except LostError as exc:
            return {"lost": str(exc), "complaints": [str(exc)], "moves": []}

    def _again(self, plan, *first):
        plains, others = [], []
        for number in range(_TRIES):
            plain, other = self._both(plan, _SLOWER if number else 2)
            plains.append(plain)
            others.append(other)
            if plain == other and not plain["complaints"]:
                self.counts["differed once"] += 1
                self.doubtful.append((plan, *first))
                return None
        if any(plain != plains[0] for plain in plains):
            self.counts["the stdlib varies"] += 1
            return None if not others[-1]["complaints"] else difference(plains[-1], others[-1])
        return difference(plains[-1], others[-1])

    def close(self):
        """End both processes."""
        self.plain.close()
        self.other.close()


def _waits(record):
    return sum(outcome == ("waits",) for outcome, _ in record["moves"])


def difference(plain, other):
    """Return in words where two records differ first."""
    lines = []
    for number, (one, two) in enumerate(zip(plain["moves"], other["moves"], strict=False)):
        if one != two:
            lines.append(f"move {number}:\n  stdlib     {one}\n  safesocket {two}")
            break
    for name in sorted({*plain, *other} - {"moves"}):
        one, two = plain.get(name), other.get(name)
        if one != two or (name == "complaints" and one):
            lines.append(f"{name}:\n  stdlib     {one}\n  safesocket {two}")
    return "\n".join(lines) or f"{plain}\n{other}"
