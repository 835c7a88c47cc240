"""AL206 stale-read-under-lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class StaleReadUnderLock:
    """A row is locked, and what is written under the lock is old all the same.

    `with_for_update()` locks the row in the database, but an object that is in the session is not
    loaded again: what is checked and written is what was read before the lock. And a lock of the process
    that ends before the commit lets the next request read what is not committed yet.

    ## Racy

        user = await get_current_user(session)
        locked = await session.scalar(select(User).where(User.id == user.id).with_for_update())
        locked.credits -= price

    ## Interleaving

        A reads 10; B reads 10; A locks, writes 7, commits; B locks, still sees 10, writes 6

    ## Fix

    `.execution_options(populate_existing=True)` on the locking query.

    ## Refused

    When the query cannot be found in the code.
    """

    id: ClassVar[str] = "AL206"
    name: ClassVar[str] = "stale-read-under-lock"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = "a row is locked, but the session keeps the values that it loaded before the lock"
    codemods: ClassVar[tuple[str, ...]] = ("lock-rows",)

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-stale")
        if found is None:
            return None
        function = found.seat.function.name
        if found.relation == "early":
            return Match(
                Severity.HIGH,
                f"`{function}` gives its lock back before it commits `{found.shown}`: {who(found)} at once, "
                "one reads what the other has not committed yet, and overwrites it.",
            )
        return Match(
            Severity.HIGH,
            f"`{function}` locks a row of `{found.model_name}` that the session has loaded before, without "
            f"populate_existing: of {who(found)} at once, one still computes `{found.shown}` from before the lock.",
        )
