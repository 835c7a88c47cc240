"""Locks for checks over other rows: these rows themselves, or the row that they belong to."""

from __future__ import annotations

import ast

from autolock.database.derived import changed_before
from autolock.database.objects import Condition
from autolock.database.parents import refers_to
from autolock.database.trace import RowRead
from autolock.database.windows import RowWindow
from autolock.planning.blocks import Refusal
from autolock.planning.row_locks import RowLocks
from autolock.planning.rowplan import RowPlan
from autolock.planning.statements import (
    header_nodes,
)
from autolock.program.index import dotted


class ParentLocks(RowLocks):
    """Plans a lock for what is counted or compared before a write."""

    def lock_others(self, window: RowWindow) -> RowPlan:
        """The rows that a check looks at, locked in one order: nobody changes one of them before the commit."""
        if window.change.form == "insert":
            return self.lock_parent(window, _SKEW)
        if window.dependence == "data":
            return self.lock_first(window)
        if self.dialect == "sqlite":
            raise Refusal(_SKEW)
        return RowPlan(
            self.in_order(window, _SKEW),
            f"Lock the `{window.model_name}` rows that the check looks at",
            "The rows are locked in one order before they are counted: the second request looks when the first has "
            "committed what it decided.",
            holds="look",
        )

    def lock_first(self, window: RowWindow) -> RowPlan:
        """A lock on the row that gets the value, where it is loaded before any row that the value is made of changes.

        A new row that refers to it holds a share lock on it: who has that and asks for more waits for another who has.
        """
        write = window.change
        origin = write.row.origin if write.row is not None else None
        changed = changed_before(self.trace, window.entry, window.look)
        refusal = Refusal(_FIRST.format(window.model_name))
        if not isinstance(origin, RowRead) or changed is None or origin.serial > changed.serial:
            raise refusal
        kept = origin.transaction == write.transaction and origin.session is write.session
        here = origin.query.spot is not None and origin.query.spot.function == window.function
        joined = window.look.query.form == "relationship" and self.loads_joined(origin.query)
        if not kept or not here or joined or self.dialect == "sqlite":
            raise refusal  # what is joined is read as it was before the lock
        made = self.lock_query(window, origin, origin.query)
        made.reason = (
            "Whoever changes such rows this way holds the lock on the row that they belong to: the second request "
            "adds up what the first has committed."
        )
        return made

    def lock_parent(self, window: RowWindow, otherwise: str) -> RowPlan:
        """A lock on the row that the counted ones belong to, where it is loaded before they are counted.

        Raises Refusal with `otherwise` where none is loaded.
        """
        read = window.look
        owner = self.owner_look(window) if self.dialect != "sqlite" else None
        if owner is not None:
            made = self.lock_query(window, owner, owner.query)
            made.reason = _PARENT_REASON
            return made
        for condition in read.query.conditions:
            parent = self.parent_look(window, condition)
            if parent is None or condition.operator != "==":
                continue
            if self.dialect == "sqlite":
                break
            if parent.query.spot is None or parent.query.spot.function != window.function:
                return self.lock_shared_parent(window, parent, condition)
            made = self.lock_query(window, parent, parent.query)
            made.reason = _PARENT_REASON
            return made
        raise Refusal(otherwise)

    def lock_shared_parent(self, window: RowWindow, parent: RowRead, condition: Condition) -> RowPlan:
        """The same where a function that others call, too, loads the row."""
        try:
            return self.refresh_parent(window, parent, condition)
        except Refusal as refusal:
            made = self.lock_before(window, parent, refusal)
            made.reason = _PARENT_REASON
            return made

    def owner_look(self, window: RowWindow) -> RowRead | None:
        """The look in this function at the row whose collection is counted: `len(order.lines)`."""
        read = window.look
        if read.query.form != "relationship":
            return None
        looks = (r for e, r in self.trace.reads if e is window.entry and r.node is read.node and r.what == "row")
        found = next(looks, None)
        spot = found.query.spot if found is not None else None
        if found is None or spot is None or spot.function != window.function or self.loads_joined(found.query):
            return None  # what is joined is read as it was before the lock
        return found

    def refresh_parent(self, window: RowWindow, parent: RowRead, condition: Condition) -> RowPlan:
        """The same lock by a refresh before the count, where the row is loaded for others, too."""
        model, spot = parent.query.model, window.look.query.spot
        name = model.ref.name if model is not None else "parent"
        refusal = Refusal(
            f"lock the `{name}` row where it is loaded, before the rows are counted: others load it there, too"
        )
        if spot is None or spot.statement is None or spot.function != window.function:
            raise refusal
        keys = {r.column for r in condition.value.reads if isinstance(r, RowRead) and r.query is parent.query}
        row = next(
            (
                dotted(n.value)
                for n in header_nodes(spot.statement)
                if isinstance(n, ast.Attribute) and n.attr in keys and dotted(n.value)
            ),
            None,
        )
        if row is None:
            raise refusal
        asked = {r for c in window.candidates if c.control is not None for r in c.control.reads}
        limits = {r.column for r in asked if isinstance(r, RowRead) and r.query is parent.query and r.column}
        region = self.sources.blocks(window.function.path).spanning(
            [spot.statement], self.sources.node_of(window.function)
        )
        edit = self.refreshing(window, window.function, row, region, sorted(limits or keys))
        title = f"Lock the `{name}` row before the `{window.model_name}` rows are counted"
        return RowPlan([edit], title, _PARENT_REASON, holds="look", taken_at=(window.function, spot.statement.lineno))

    def parent_look(self, window: RowWindow, condition: Condition) -> RowRead | None:
        """The look in this run that has loaded the row to which the counted rows belong."""
        read = window.look
        for entry, other in self.trace.reads:
            model = other.query.model
            same = entry is window.entry and other.session is read.session and other.transaction == read.transaction
            if not same or model is None or other.serial > read.serial or other.what != "row":
                continue
            if not refers_to(window.model, condition.column, model):
                continue
            terms = {c.value.term for c in other.query.conditions}
            if condition.value.term in terms or any(
                isinstance(r, RowRead) and r.query is other.query for r in condition.value.reads
            ):
                return other
        return None


_PARENT_REASON = (
    "Whoever counts the rows holds the lock on the row that they belong to: the second request counts when the first "
    "has committed."
)


_FIRST = (
    "load the `{}` row with a lock (`with_for_update()`) before any of the rows that the value is worked out from is "
    "added or changed, and keep the lock until the commit"
)
_SKEW = (
    "lock the rows that the check reads, in one order, or the row that they belong to; for ranges let an exclusion "
    "constraint decide"
)
