"""AL203 check-then-insert."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import listed, row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class CheckThenInsert:
    """A query finds no row (or fewer than a limit), and a row is inserted on the strength of that.

    Two requests both find none and both insert. With a unique constraint one of them ends in an
    unexpected IntegrityError; without one there are two rows where one was meant.

    ## Racy

        tag = await session.scalar(select(Tag).where(Tag.name == name))
        if tag is None:
            tag = Tag(name=name)
            session.add(tag)
            await session.commit()

    ## Interleaving

        A finds none; B finds none; A inserts; B inserts: a duplicate, or an IntegrityError for B

    ## Fix

    Where a unique constraint covers the check: get-or-create inserts in a savepoint, and selects again
    when the constraint refuses; a check that the name is free gives its own answer then, too. Where
    there is none, the constraint is what is missing; until it is there, `--lock-backend postgres` takes an advisory
    lock on the table's name before the check, which others wait for in whatever process.

    ## Refused

    FOR UPDATE is never offered: it cannot lock a row that is not there. Without a constraint, with a
    limit or a maximum, the finding names the columns, or the parent row to lock.
    """

    id: ClassVar[str] = "AL203"
    name: ClassVar[str] = "check-then-insert"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = (
        "a row is inserted because a query found none, or not too many, and two requests can both find that"
    )
    codemods: ClassVar[tuple[str, ...]] = ("insert-or-reselect", "answer-conflict", "insert-before", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-insert")
        if found is None:
            return None
        model, function, both = found.model_name, found.seat.function.name, f"{who(found)} at once"
        if found.counted:
            return Match(
                Severity.MEDIUM,
                f"`{function}` counts rows of `{model}` and inserts one on the strength of it: {both} both see the "
                "same number, and the limit or sequence is broken.",
            )
        if found.model is not None and found.model.library == "redis":
            return Match(
                Severity.MEDIUM,
                f"`{function}` sets the key {model} because it was not there: {both} both find it missing and both "
                "go on, as if it had not been taken.",
            )
        if found.unique is not None and found.change.form != "insert":
            return Match(
                Severity.LOW,
                f"`{function}` changes {listed(found.unique)} of a row of `{model}` because no other was found to "
                f"have it: {both} both find it free, and the unique constraint makes one of them fail with an "
                "unhandled IntegrityError.",
            )
        if found.unique is not None:
            return Match(
                Severity.LOW,
                f"`{function}` inserts into `{model}` because it found none: {both} both find none, and the unique "
                f"constraint on {listed(found.unique)} makes one of them fail with an unhandled IntegrityError.",
            )
        if found.once:
            return Match(
                Severity.LOW,
                f"`{function}` inserts into `{model}` because there is no row yet: {both}, the first of all, both find "
                "none and both insert, and the second row stays.",
            )
        if not found.columns:
            return Match(
                Severity.MEDIUM,
                f"`{function}` inserts into `{model}` because it found none: {both} both find none and both insert, "
                "unless a unique constraint refuses the second.",
            )
        return Match(
            Severity.MEDIUM,
            f"`{function}` inserts into `{model}` because it found none: {both} both find none and both insert, "
            + (
                "and the code shows no unique constraint that stops the duplicate."
                if found.model is not None and found.model.library == "sql"
                else "and no unique constraint stops the duplicate."
            ),
        )
