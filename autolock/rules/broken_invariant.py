"""AL105 broken-invariant."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class BrokenInvariant:
    """Two pieces of state are changed by the same amount, and something else may run between the two changes.

    Whoever looks in between sees money that has left one account and not arrived at the other. A container that
    is emptied and filled again with an `await` in between is found empty, or half full, by those who read it.

    ## Racy

        balances[source] -= amount
        await ledger.write(source, target, amount)
        balances[target] += amount

    ## Interleaving

        A takes 10 from one account, awaits; B reads a total that is 10 short; A adds 10 to the other

    ## Fix

    One lock beside the state, held over both changes by every function that changes either.

    ## Refused

    As for lost-update. A container that is filled again: build the new one aside, and put it in the place of the
    old one when it is complete.
    """

    id: ClassVar[str] = "AL105"
    name: ClassVar[str] = "broken-invariant"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "two locations are changed together, with a suspension point between the changes"
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "pair":
            return None
        if window.relation == "refilled" and window.read is not None:
            return Match(
                Severity.MEDIUM,
                f"`{function_name(window)}` empties `{window.location.base}`, {gap(window)}, then fills it again: "
                f"`{window.read.function.name}` finds nothing, or half of it, in between.",
            )
        how = "by the same amount" if window.rivals[0][1].kind == "augment" else "to match"
        return Match(
            Severity.MEDIUM,
            f"`{function_name(window)}` changes `{window.other}`, {gap(window)}, then changes `{window.shown}` {how}: "
            f"of {routes_of(window)} at once, one sees the first change without the second.",
        )
