"""AL208 write-skew."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.rows import loaded_at, row_window, who

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class WriteSkew:
    """Rows are looked at (is there another admin, does a booking overlap) and then one row is changed.

    Two transactions each look at what the other is about to change, both decide that it is fine, and
    together they break the rule. Or both change a row and write a total of all of them, which leaves the
    other's out.

    ## Racy

        admins = await session.scalar(select(func.count()).where(User.role == "admin"))
        if admins <= 1:
            raise HTTPException(409, "the last admin stays")
        user.role = "member"

    ## Interleaving

        A counts 2 admins; B counts 2; A steps down; B steps down: no admin is left

    ## Fix

    The rows that the check fetches are locked, in one order, before they are looked at:

        select(User).where(User.role == "admin").order_by(User.id).with_for_update()

    For a total, the row that gets it is locked where it is loaded, before a row that it is made of changes.

    ## Refused

    A count in the database cannot be locked, nor can rows that are not there yet: lock the row that
    they belong to, or let a constraint decide (an exclusion constraint for ranges).
    """

    id: ClassVar[str] = "AL208"
    name: ClassVar[str] = "write-skew"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = (
        "other rows are looked at to decide on a change, and another transaction can change them meanwhile"
    )
    codemods: ClassVar[tuple[str, ...]] = ("replace-expression",)

    def match(self, window: RaceWindow) -> Match | None:
        found = row_window(window, "row-skew")
        if found is None:
            return None
        if found.dependence == "data":
            return Match(
                Severity.HIGH,
                f"`{found.function.name}` works out `{found.shown}` from other rows, of which it has changed one: of "
                f"{who(found)} at once, each leaves out what the other has changed, and the later value stays.",
            )
        done = {"insert": "adds one", "remove": "deletes one"}.get(found.change.kind, "changes one")
        entry, other = found.rivals[0]
        if other.node is found.change.node:
            why = f"{who(found)} at once both decide on what the other is about to change."
        else:
            change = {"insert": "add one", "remove": "delete one"}.get(other.kind, "change one")
            name = entry.routes[0] if entry.routes else other.function.name
            why = f"`{name}` can {change} in between, and what was decided no longer holds."
        return Match(
            Severity.MEDIUM,
            f"`{found.seat.function.name}` decides by other rows of `{found.model_name}`{loaded_at(found)} and then "
            f"{done}: {why}",
        )
