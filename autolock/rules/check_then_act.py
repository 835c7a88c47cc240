"""AL102 check-then-act."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.program.trace import removed_end
from autolock.rules.base import Match
from autolock.rules.severity import severity_of_act
from autolock.rules.shapes import (
    function_name,
    gap,
    is_cache_fill,
    is_counting,
    is_creation,
    is_file,
    rivals_of,
    routes_of,
)

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class CheckThenAct:
    """Shared state is checked, something else may run, and the state is changed on the strength of the check.

    By then the check may be wrong: the last item is sold twice, a name is taken twice, a coupon is
    redeemed more often than allowed, at the place in a list that was looked up stands another element.

    ## Racy

        if stock[sku] < quantity:
            raise HTTPException(409)
        await payments.charge(card)
        stock[sku] -= quantity

    ## Interleaving

        A sees 1 in stock, awaits; B sees 1 in stock, awaits; A takes it; B takes it: stock is -1

    ## Fix

    One lock beside the state, held from the check to the change by every function that changes it.

        async with stock_lock:
            if stock[sku] < quantity:
                raise HTTPException(409)
            await payments.charge(card)
            stock[sku] -= quantity

    ## Refused

    As for lost-update. Without a suspension point the finding is `latent`.
    """

    id: ClassVar[str] = "AL102"
    name: ClassVar[str] = "check-then-act"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = (
        "shared state is checked, something else may run, and it is changed on the strength of the check"
    )
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or window.relation != "unguarded" or is_file(window):
            return None
        if is_creation(window) or is_cache_fill(window):
            return None
        write = window.write
        assert write is not None
        if window.dependence == "data" and write.kind not in ("insert", "remove"):
            return None
        end = window.read.how if window.read is not None else ""
        if window.race and removed_end(write) == end != "":
            return Match(
                Severity.MEDIUM,
                f"`{function_name(window)}` works on the {end} element of `{window.shown}`, {gap(window)}, then "
                f"removes the one that is {end} by then: one is lost, and the one that was worked on comes again.",
            )
        if window.race and write.made == "place":
            return Match(
                Severity.MEDIUM if window.fleeting else Severity.HIGH,
                f"`{function_name(window)}` looks up a place in `{window.shown}`, {gap(window)}, then removes what "
                f"stands there by then: another element, when one before it has been removed meanwhile.",
            )
        if window.race and window.control is None and write.kind == "augment":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` looks at `{window.shown}` to know how much to take, {gap(window)}, then "
                f"takes it away: {routes_of(window)} at once both take what is there once.",
            )
        if not window.race:
            return self.latent(window) if window.dependence == "control" and is_counting(window) else None
        return Match(
            severity_of_act(window),
            f"`{function_name(window)}` checks `{window.shown}`, {gap(window)}, then {_ACTS[write.kind]} it: "
            f"{self.harm(window)}",
        )

    @staticmethod
    def harm(window: RaceWindow) -> str:
        """What goes wrong: two do the same, or, where only one of its kind runs, another one comes in between."""
        rivals = rivals_of(window)
        if not rivals or (any(entry.many for entry in window.entries) and not window.is_beside_threads):
            at_once = routes_of(window)
            if window.taken:
                return f"{at_once} at once both take the same, before either of them has taken it away."
            return f"{at_once} at once both pass the check before either of them has changed `{window.shown}`."
        return f"{rivals} may change it in between, and the check is no longer true."

    def latent(self, window: RaceWindow) -> Match:
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` checks and changes `{window.shown}` without a lock: atomic "
            f"today because nothing awaits "
            f"in between, and oversold as soon as something does.",
        )


_ACTS = {"assign": "sets", "augment": "changes", "insert": "adds to", "remove": "removes from", "mutate": "changes"}
