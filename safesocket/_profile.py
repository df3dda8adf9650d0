"""profile(): what was waited for, for whom, how long, while a block runs.

Only what the program sees of it; what it is made of is in ``_profiling``, imported when one begins.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from types import TracebackType
    from typing import Any, Self

    from ._profiling.session import Session
    from ._profiling.tally import Row as _ProfileRow
    from ._profiling.tally import Saved as _ProfileSaved


class profile:  # a context manager reads as a verb
    """What the process waits for in one block: ``with safesocket.profile() as p: ...``.

    All threads count, whatever socket of safesocket's they wait on; each profile sees its own
    span. It can be read inside the block and after it: ``print(p)`` is a table. The same object
    may not be entered twice.

    Each wait is timed exactly, but for those within one call in C: of sockets with a timeout of
    their own, and of TLS. They are looked at every 5 ms: each is known to ± 5 ms, and what is
    shorter may be missed; a timeout says itself how long it took. Not seen are the waits of
    non-blocking sockets, asyncio's among them, which wait elsewhere.

    A fork's child begins anew: its waits are its own.
    """

    def __init__(self) -> None:
        self._begun: Session | None = None

    def __enter__(self) -> Self:
        if self._begun is not None:
            raise RuntimeError("a profile is of one block: make another one")
        from ._profiling import table  # noqa: F401 (at its end no descriptor may be left)
        from ._profiling.session import Session

        begun = Session()
        begun.begin()
        self._begun = begun
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session().end()

    def _session(self) -> Session:
        if self._begun is None:
            raise RuntimeError("this profile has not begun: use it in a with statement")
        return self._begun

    @property
    def seconds(self) -> float:
        """How long the block has run, in seconds."""
        return self._session().seconds()

    def rows(self) -> list[_ProfileRow]:
        """Return what was waited for each peer in each phase, what took longest first.

        A row has ``peer``, ``phase``, ``waits``, ``waited`` and ``longest`` (seconds),
        ``timeouts``, and ``errors``, a dict of class names and how many. Look-ups are the phase
        ``"resolve"``. Waits that go on are counted as far as they have come.
        """
        return self._session().tally().rows()

    def saved(self) -> list[_ProfileSaved]:
        """Return the lines of the program that only a default has kept from waiting for ever.

        They have no timeout of their own. Each has ``filename``, ``lineno``, ``operation``,
        ``peer``, ``limit``, ``seconds``, ``source`` and ``times``; the most often first.
        """
        return self._session().tally().saved()

    def __str__(self) -> str:
        from ._profiling.table import table

        return table(self._session())

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known, ready for JSON: the rows, the saved lines, the timeline.

        Of the timeline the 20,000 longest waits and the first 2,000 failures; the sums are of all.
        """
        from ._profiling.plain import to_dict

        return to_dict(self._session())

    def to_html(self) -> str:
        """Return a page, complete in itself: the timeline, the table, the list to fix."""
        from ._profiling.page import page

        return page(self._session())

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the profile to the file *path*: JSON if that ends in .json, a page if in .html.

        Raises:
            ValueError: *path* ends in neither.
            OSError: the file cannot be written.
        """
        from ._profiling.files import write

        write(self._session(), path)
