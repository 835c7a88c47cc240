"""AL503 check-outside-lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.severity import severity_of_window
from autolock.rules.shapes import function_name, is_cache_fill, is_creation, is_harmless

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class CheckOutsideLock:
    """The state is checked before the lock is taken, and changed under the lock without looking again.

    ## Racy

        if stock[sku] < quantity:
            raise HTTPException(409)
        async with stock_lock:
            await payments.charge(card)
            stock[sku] -= quantity

    ## Interleaving

        A and B both see 1 in stock; A takes the lock and the item; B gets the lock after it and takes it again

    ## Fix

    The locked block is extended to the check.

    ## Refused

    Where the check and the change are not in one block. Not reported where threads compute equal plain values, of
    which one replaces the other.
    """

    id: ClassVar[str] = "AL503"
    name: ClassVar[str] = "check-outside-lock"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "the check is made before the lock is taken and not repeated under it"
    codemods: ClassVar[tuple[str, ...]] = ("extend-lock",)

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or window.relation != "check-outside" or not window.race:
            return None
        if is_harmless(window):
            return None
        if is_cache_fill(window) or is_creation(window):
            return Match(
                Severity.LOW if is_cache_fill(window) else Severity.MEDIUM,
                f"`{function_name(window)}` looks at `{window.shown}` before it takes the lock and does not look "
                f"again under it: whoever waited for the lock makes it once more.",
            )
        return Match(
            severity_of_window(window),
            f"`{function_name(window)}` looks at `{window.shown}` before it takes the lock and does "
            f"not look again under it: "
            f"several requests pass the check, then change `{window.shown}` one after the other.",
        )
