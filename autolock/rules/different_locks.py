"""AL504 different-locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class DifferentLocks:
    """Two functions guard the same state with two locks, so that each excludes only itself.

    ## Racy

        async with deposit_lock:            async with withdraw_lock:
            balance = balances[kid]             balance = balances[kid]
            await journal.write(...)            await journal.write(...)
            balances[kid] = balance + 1         balances[kid] = balance - 1

    ## Interleaving

        A reads 5 under one lock; B reads 5 under the other; A writes 6; B writes 4

    ## Fix

    One of the locks, the one that is used most, takes the place of the others.

    ## Refused

    Where the locks guard other state as well, or are of different kinds.
    """

    id: ClassVar[str] = "AL504"
    name: ClassVar[str] = "different-locks"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "the same state is guarded by different locks in different places"
    codemods: ClassVar[tuple[str, ...]] = ("replace-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or window.relation != "different-locks" or not window.race:
            return None
        others = sorted({f"`{w.function.name}`" for _, w in window.rivals})
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` and {' and '.join(others[:2])} guard `{window.shown}` with different locks: "
            f"they do not wait for each other, and one overwrites what the other wrote.",
        )
