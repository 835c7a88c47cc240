"""AL201 split-transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SplitTransaction:
    """Writes that belong together are committed one by one.

    When the second fails, the first stays; and whoever looks in between sees half of the change.
    Statements up to one commit are one transaction already: only a second commit, or calls that
    commit by themselves, split them.

    ## Racy

        await database.execute("UPDATE accounts SET balance = balance - :n WHERE id = :a", ...)
        await database.execute("UPDATE accounts SET balance = balance + :n WHERE id = :b", ...)

    ## Interleaving

        A takes 40 from one account and fails, or B adds up the accounts: 40 are nowhere

    ## Fix

    All commits but the last become a flush, which sends the statements and keeps the transaction
    open. Where each call commits by itself, a transaction goes round them:
    `async with database.transaction():`, or a connection of the pool with a transaction of its own.
    When several rows of one table change, they are locked in one order first, so that two such
    transactions cannot wait for each other.

    ## Refused

    When something in between is meant to be kept or cannot be taken back: a raise or return, a
    loop, a call to another service, a task, another session, or a commit inside of a helper that
    others call, too.
    """

    id: ClassVar[str] = "AL201"
    name: ClassVar[str] = "split-transaction"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = "writes that belong together are committed apart, so that a failure leaves half of them"
    codemods: ClassVar[tuple[str, ...]] = ("flush-commit", "wrap-in-transaction", "replace-expression")

    def match(self, window: RaceWindow) -> Match | None:
        # Imported late: a run in which nothing has changed only asks rules for their names.
        from autolock.database.splits import SplitWindow

        if not isinstance(window, SplitWindow):
            return None
        earlier, later = window.pair
        one, other = earlier.model.ref.name, later.model.ref.name
        what = f"`{one}` and `{other}`" if one != other else f"two changes of `{one}`"
        return Match(
            Severity.MEDIUM,
            f"`{window.function.name}` commits {what} apart: when it fails in between, half of the change stays, and "
            f"of {who(window)} at once one can see the other's half.",
        )
