"""ACME1 computed-twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class ComputedTwice:
    """Worker threads that miss a cache at the same time all compute what is missing.

    autolock itself keeps silent where all of them compute the same. Here it takes minutes.

    ## Racy

        if number not in factors:
            factors[number] = factorise(number)

    ## Interleaving

        A misses, computes; B misses, computes the same

    ## Fix

    A lock, as for check-then-act.

    ## Refused

    As for check-then-act.
    """

    id: ClassVar[str] = "ACME1"
    name: ClassVar[str] = "computed-twice"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "worker threads compute the same missing value at the same time"
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        """A key that is missing is computed and stored on a worker thread."""
        write = window.write
        if write is None or window.relation != "unguarded" or window.context != "thread pool":
            return None
        if window.dependence != "control" or window.shape != "missing" or write.kind != "assign":
            return None
        message = f"`{window.function.name}` computes `{window.shown}` in every thread that misses it at the same time."
        return Match(Severity.LOW, message)
