"""AL508 lock-order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LockOrder:
    """Two locks are taken in one order in one place and in the other order in another.

    Two requests that hold one lock each wait for the other's for ever.

    ## Racy

        async with stock_lock:                  async with orders_lock:
            async with orders_lock:                 async with stock_lock:
                ...                                     ...

    ## Interleaving

        A takes stock_lock; B takes orders_lock; A waits for orders_lock; B waits for stock_lock

    ## Fix

    None is offered: take the two locks in the same order everywhere, or use one lock for both.
    """

    id: ClassVar[str] = "AL508"
    name: ClassVar[str] = "lock-order"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "two locks are taken in opposite orders in different places"
    codemods: ClassVar[tuple[str, ...]] = ()

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "lock" or window.relation != "opposite-order" or window.rival_use is None:
            return None
        other = window.rival_use.function.name
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` takes `{window.other}` and then `{window.location}`, "
            f"`{other}` the other way round: "
            f"two requests at once wait for each other for ever.",
        )
