"""Advisory locks of PostgreSQL, for checks about rows that nobody can lock: those that are not there, or their count.

`pg_advisory_xact_lock` is held until the transaction ends, so that the next one looks when the row is committed:
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
"""

from __future__ import annotations

from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.findings import Safety
from autolock.planning.blocks import Refusal
from autolock.planning.homes import frozen
from autolock.planning.row_base import MAPPERS, RowBase
from autolock.planning.rowplan import RowPlan

_DIALECTS = ("postgresql", "")


class AdvisoryLocks(RowBase):
    """Plans a lock on the name of a table, taken before the check."""

    def lock_table_name(self, window: RowWindow, otherwise: Refusal) -> RowPlan:
        """The lock; raises `otherwise` where the database has none, and Refusal where it would be given back early."""
        model, look, change = window.model, window.look, window.change
        if model is None or look.session.library != "sqlalchemy" or self.dialect not in _DIALECTS:
            raise otherwise
        if look.transaction != change.transaction:
            raise Refusal("the transaction ends between the check and the insert, and an advisory lock with it")
        if look.isolated:
            raise Refusal("at this isolation level the check sees what was there before it waited for the lock")
        if window.first is None:
            raise otherwise
        function, node = window.function, self.sources.node_of(window.function)
        region = self.sources.blocks(function.path).spanning([window.first], node)
        imports = [edit for name in ("select", "func") for edit in self.imported(function, "sqlalchemy", name, MAPPERS)]
        await_ = "await " if look.session.is_async else ""
        code = (
            f"{await_}{self.session_at(window, function)}.execute("
            f'select(func.pg_advisory_xact_lock(func.hashtext("{model.table}"))))'
        )
        return RowPlan(
            [*imports, Edit(function.path, "insert-before", frozen(at=region.at, code=code))],
            f"Take an advisory lock on `{model.table}` before the check",
            "All that take it wait for each other until the commit, in whatever process: the second request looks when "
            f"the row of the first is there. Other code that adds rows to `{model.table}` has to take it, too. "
            f"{otherwise.reason[:1].upper()}{otherwise.reason[1:]}: that is better where it can be done.",
            self._safety(window),
        )

    def _safety(self, window: RowWindow) -> Safety:
        """Safe where the lock is the first that the transaction takes: nobody who has it waits for another one."""
        before = [
            write
            for entry, write in self.trace.writes
            if entry is window.entry
            and write.transaction == window.look.transaction
            and write.serial < window.look.serial
        ]
        return Safety.SAFE if self.dialect and not before and not window.look.locks else Safety.UNSAFE
