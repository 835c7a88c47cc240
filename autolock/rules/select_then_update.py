"""AL202 select-then-update."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import loaded_at, row_window, who

if TYPE_CHECKING:
    from autolock.database.windows import RowWindow
    from autolock.program.windows import RaceWindow


class SelectThenUpdate:
    """A row is loaded, decided or computed upon, and written, and nothing stops another transaction in between.

    Both read the same balance, both find it large enough, and the second write replaces the first. A
    transaction alone does not help: under READ COMMITTED both may read before either writes.

    ## Racy

        wallet = await session.scalar(select(Wallet).where(Wallet.id == wallet_id))
        if wallet.balance < amount:
            raise HTTPException(402, "insufficient funds")
        wallet.balance -= amount
        await session.commit()

    ## Interleaving

        A reads 100; B reads 100; A writes 40, commits; B writes 70, commits: A's debit is lost

    ## Fix

    The row is locked when it is loaded. `populate_existing` makes the lock worth something when the
    session has the row already:

        select(Wallet).where(Wallet.id == wallet_id).with_for_update().execution_options(populate_existing=True)

    Where nothing but the new value depends on the old one, the database adds: `post.likes = Post.likes + 1`.
    A row that a dependency has loaded is locked and read again before the check:

        await session.refresh(user, attribute_names=["credits"], with_for_update=True)

    ## Refused

    When a commit comes between the look and the write, when the row is loaded where many read-only
    handlers load it too and cannot be locked after, or when the session is not known.
    On SQLite a row lock does nothing: only the atomic UPDATE is offered.
    """

    id: ClassVar[str] = "AL202"
    name: ClassVar[str] = "select-then-update"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = (
        "a row is loaded, and a value that depends on what was loaded is written without a lock on the row"
    )
    codemods: ClassVar[tuple[str, ...]] = ("lock-rows", "insert-before", "add-method", "update-in-sql")

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-update")
        if found is None:
            return None
        function = found.seat.function.name
        what = found.shown
        if found.change.form == "save":
            return Match(
                Severity.HIGH,
                f"`{found.function.name}` loads a row of `{found.model_name}`{loaded_at(found)} and saves all of its "
                f"columns: of {who(found)} at once, or of one and whatever else sets `{what}`, the later one sets the "
                "other's change back.",
            )
        if found.dependence == "data":
            return Match(
                Severity.HIGH,
                f"`{function}` {_loads(found)}{loaded_at(found)} and writes back "
                f"a `{what}` computed from it: of {who(found)} at once, one overwrites what the other wrote.",
            )
        if not found.follows:
            return Match(
                Severity.LOW,
                f"`{function}` checks `{what}`{loaded_at(found)} and then sets it: {who(found)} at once, or of one and "
                "whatever else sets it, both pass the check, and the second replaces what the first has set.",
            )
        adds = found.change.kind == "augment" or found.change.made == "atomic"
        return Match(
            Severity.HIGH if adds and not found.counts_up else Severity.MEDIUM,
            f"`{function}` checks `{what}`{loaded_at(found)} and then changes it: {who(found)} at once both "
            f"pass the check, and the second acts on what is no longer true.",
        )


def _loads(window: RowWindow) -> str:
    """What is loaded, as people say it of a table, and of a store of keys."""
    model = window.look.query.model
    if model is not None and model.library == "redis":
        return f"reads the key `{window.model_name}`"
    return f"loads a row of `{window.model_name}`"
