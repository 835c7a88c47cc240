"""Plans for windows on rows: where to lock, what the database should compute, how a conflict is answered."""

from __future__ import annotations

from autolock.database.windows import RowWindow
from autolock.planning.advice import by_hand
from autolock.planning.advisory import AdvisoryLocks
from autolock.planning.blocks import Refusal
from autolock.planning.holding import kept_by_scope, with_care
from autolock.planning.opened import OPENED
from autolock.planning.row_inserts import RowInserts
from autolock.planning.rowplan import RowPlan
from autolock.planning.single_inserts import CONFLICTS, SingleInserts


class RowPlans(RowInserts, SingleInserts, AdvisoryLocks):
    """Plans a fix for one window on rows at a time."""

    def plan(self, window: RowWindow) -> RowPlan:
        """The plan of a window; raises Refusal where no rewrite is known to be right."""
        return kept_by_scope(with_care(self.planned(window), window, self.trace), window, self.program)

    def planned(self, window: RowWindow) -> RowPlan:
        """What is best for a window; where that is nothing, the lock that was asked for may be."""
        try:
            return self.of_kind(window)
        except Refusal as refusal:
            if self.analysis.backend is None or window.kind not in ("row-insert", "row-skew"):
                raise
            return self.lock_table_name(window, refusal)

    def of_kind(self, window: RowWindow) -> RowPlan:
        library = window.look.session.library
        if window.kind == "row-claim" and window.look.node is window.change.node:
            return self.lock_subquery(window)
        if library in OPENED and self.dialect != "sqlite" and window.kind in ("row-update", "row-claim"):
            return self.opened.plan(window, by_hand(window, library, self.dialect))
        if library in CONFLICTS and window.kind == "row-insert":
            return self.insert_at_once(window, by_hand(window, library, self.dialect))
        if library != "sqlalchemy" and window.kind != "row-lock-lost":
            raise Refusal(by_hand(window, library, self.dialect))
        if window.kind == "row-insert":
            return self.insert(window)
        if window.kind == "row-order":
            return self.ordered_looks(window)
        if window.kind in ("row-update", "row-claim", "row-stale"):
            return self.lock(window)
        if window.kind == "row-lock-lost":
            return self.keep_lock(window)
        return self.lock_others(window)
