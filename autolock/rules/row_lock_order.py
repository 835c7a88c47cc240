"""AL205 row-lock-order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class RowLockOrder:
    """Two rows of one table are locked one after the other, in the order in which the request names them.

    A transfer from 1 to 2 holds row 1 and wants row 2, one from 2 to 1 holds row 2 and wants row 1:
    the database ends one of them with a deadlock error.

    ## Racy

        source = await session.get(Account, source_id, with_for_update=True)
        target = await session.get(Account, target_id, with_for_update=True)

    ## Interleaving

        A locks 1; B locks 2; A waits for 2; B waits for 1: one of them is ended by the database

    ## Fix

    One SELECT that locks both rows in one order, before the first is loaded:

        await session.execute(
            select(Account).where(Account.id.in_([source_id, target_id])).order_by(Account.id).with_for_update()
        )

    ## Refused

    When the keys are not known before the first row is loaded.
    """

    id: ClassVar[str] = "AL205"
    name: ClassVar[str] = "row-lock-order"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = "rows of one table are locked in the order of the arguments, so that two requests deadlock"
    codemods: ClassVar[tuple[str, ...]] = ("insert-before",)

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-order")
        if found is None:
            return None
        return Match(
            Severity.LOW,
            f"`{found.function.name}` locks two rows of `{found.model_name}` in the order in which it is given them: "
            f"{who(found)} at once that name them the other way round wait for each other, and one is ended with a "
            "deadlock.",
        )
