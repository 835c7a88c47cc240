"""AL204 lock-lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LockLost:
    """A row is locked, and a commit or rollback gives the lock back before the row is written.

    What was read under the lock is old by then, and the write replaces what others wrote since.

    ## Racy

        account = await session.scalar(select(Account).where(...).with_for_update())
        await session.commit()
        account.balance -= amount
        await session.commit()

    ## Interleaving

        A locks and reads 100, commits; B locks, writes 70, commits; A writes 90: B's change is lost

    ## Fix

    The commit in between becomes a flush, which sends what is pending and keeps the lock.

    ## Refused

    When the commit is meant to last: the function can leave between it and the write, or calls another
    service, or the commit is made by a helper.
    """

    id: ClassVar[str] = "AL204"
    name: ClassVar[str] = "lock-lost"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = "a row is locked with FOR UPDATE, and the lock is gone before the row is written"
    codemods: ClassVar[tuple[str, ...]] = ("flush-commit",)

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-lock-lost")
        if found is None:
            return None
        return Match(
            Severity.HIGH,
            f"`{found.seat.function.name}` locks a row of `{found.model_name}`, ends the transaction, and then writes "
            f"`{found.shown}`: of {who(found)} at once, one overwrites what the other wrote after the lock was gone.",
        )
