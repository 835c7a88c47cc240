"""AL207 claim-twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class ClaimTwice:
    """The next job, a voucher, a one-time token: a row is found by its state and then changes that state.

    Two requests find the same row before either has changed it, and both go on with it. So they do where one UPDATE
    does both, and chooses its rows in a SELECT that locks nothing.

    ## Racy

        job = await session.scalar(select(Job).where(Job.status == "pending").order_by(Job.id).limit(1))
        job.status = "running"
        await session.commit()

    ## Interleaving

        A finds job 7; B finds job 7; A marks it; B marks it: the job runs twice

    ## Fix

    The query locks what it finds. In a queue `skip_locked=True` lets others take the next one:

        select(Job).where(...).order_by(Job.id).limit(1).with_for_update(skip_locked=True)

    ## Refused

    When the transaction ends between the look and the change.
    """

    id: ClassVar[str] = "AL207"
    name: ClassVar[str] = "claim-twice"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = (
        "a row is chosen by its state and then marked, taken or deleted, and two requests can choose the same one"
    )
    codemods: ClassVar[tuple[str, ...]] = ("lock-rows",)

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-claim")
        if found is None:
            return None
        if found.change.kind == "remove":
            told = "deletes it, and what follows from it happens twice"
        else:
            told = f"changes `{found.shown}`, and both go on with it"
        return Match(
            Severity.HIGH,
            f"`{found.seat.function.name}` finds a row of `{found.model_name}` by what it is and then {told}: "
            f"{who(found)} at once can find the same row.",
        )
