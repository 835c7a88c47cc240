"""Locks for rows that others load: a refresh, or a SELECT of its own, before the row is used."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from autolock.database.harm import Harm
from autolock.database.trace import RowRead
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.findings import Safety
from autolock.planning.blocks import Refusal, Region
from autolock.planning.callers import (
    callers_with_row,
    first_with_session,
    uses_up_to,
)
from autolock.planning.homes import frozen
from autolock.planning.lock_methods import lock_method
from autolock.planning.looks import named_value
from autolock.planning.names import laid_out
from autolock.planning.ordered import ordered_lock
from autolock.planning.row_base import RowBase
from autolock.planning.rowplan import RowPlan
from autolock.planning.statements import (
    header_nodes,
    named_before,
    statements_of,
)
from autolock.planning.text_locks import text_lock
from autolock.program.linker import Ref

#: What sends a new row to the database.
_SENT = frozenset({"flush", "commit", "begin_nested"})


class RowRefresh(RowBase):
    """Plans a lock without an edit of the query that loads the row."""

    def refresh(self, window: RowWindow) -> RowPlan:
        """`session.refresh(row, with_for_update=True)` before the row is used, where its query is not to be touched."""
        function = window.function
        try:
            row, mentions = self.mentions(window)
            session = self.session_at(window, function)
        except Refusal as refusal:
            function, row, mentions, session = self.in_a_caller(window, refusal)
        region = self.sources.blocks(function.path).spanning(mentions, self.sources.node_of(function))
        columns = sorted(self.columns_of(window))
        self.refuse_pending(window, function, columns)
        stacks = (window.look.stack, window.change.stack)
        method = (
            lock_method(self.program, self.sources, window.look.session, session, function, stacks)
            if _reaches_in(session)
            else None
        )
        edit = self.refreshing(window, function, row, region, columns, session, method.call if method else "")
        plan = RowPlan(
            [edit, *(method.edits if method else ())],
            f"Lock `{row}` and read it again before it is used",
            "The row is loaded elsewhere, for readers too: the refresh locks it here and reads the columns again, so "
            "that the second request waits for the first and sees what it wrote.",
            holds="look",
            taken_at=(function, region.statements[0].lineno),
        )
        if _reaches_in(session) and method is None:
            plan.safety = Safety.UNSAFE
            plan.reason += f" But `{session}` is another object's own: give it a method that loads the row locked."
        return plan

    def lock_before(self, window: RowWindow, look: object, refusal: Refusal) -> RowPlan:
        """A SELECT that locks a row before the function is called that loads it; raises the refusal."""
        if isinstance(look, RowRead) and look.query.form == "text":
            return self.lock_text_before(window, look, refusal)
        if not isinstance(look, RowRead) or not Harm.has_key(look) or look.query.joined or look.query.grouped:
            raise refusal
        if self.loads_joined(look.query):
            raise refusal  # the rows of the outer join cannot be locked
        try:
            edits = self.locked_first(window, [look], window.function)
        except Refusal:
            raise refusal from None
        name = look.query.model.ref.name if look.query.model is not None else window.model_name
        return _before(edits, name)

    def lock_text_before(self, window: RowWindow, look: RowRead, refusal: Refusal) -> RowPlan:
        """The same for a look that is SQL text in a helper; raises the refusal."""
        try:
            session = self.session_at(window, window.function)
            if _reaches_in(session):
                raise refusal
            edits = text_lock(self.program, self.sources, look, window.change, session, window.function)
        except Refusal:
            raise refusal from None
        return _before(edits, window.model_name)

    def locked_first(self, window: RowWindow, looks: Sequence[RowRead], function: Ref) -> list[Edit]:
        """The edits by which a function that looks, or calls what does, locks the rows of some looks before."""
        session = self.session_at(window, function)
        if _reaches_in(session):
            raise Refusal(f"`{session}` is another object's own: give that a method that loads the rows locked")
        return ordered_lock(self.program, self.sources, self.homes, looks, session, function)

    def refreshing(
        self,
        window: RowWindow,
        function: Ref,
        row: str,
        region: Region,
        columns: Sequence[str],
        session: str = "",
        method: str = "",
    ) -> Edit:
        """The edit that refreshes columns of a row, locked, before a region; raises Refusal where there may be none.

        `method` is what does so for the object that keeps the session.
        """
        self.refuse_missing(function, row, region)
        self.refuse_unsent_new(window, function, row, region)
        session = session or self.session_at(window, function)
        session = named_before(self.sources.node_of(function), session, region.statements[0].lineno)
        names = ", ".join(f'"{c}"' for c in columns)
        await_ = "await " if window.look.session.is_async else ""
        refresh = f"{session}.refresh({row}, attribute_names=[{names}], with_for_update=True)"
        code = await_ + (f"{method}({row}, {names})" if method else refresh)
        code = laid_out(self.sources, function.path, code, region.statements[0].col_offset)
        return Edit(function.path, "insert-before", frozen(at=region.at, code=code))

    def refuse_missing(self, function: Ref, row: str, region: Region) -> None:
        """Refuse a refresh of what is asked for only there, or later: `if row is None or row.stock < n`."""
        start = region.statements[0].lineno
        asked = [
            s for s in statements_of(self.sources.node_of(function)) if any(_asks(n, row) for n in header_nodes(s))
        ]
        before = [s for s in asked if s.lineno < start]
        left = any(isinstance(s, ast.If) and isinstance(s.body[-1], ast.Raise | ast.Return) for s in before)
        if len(asked) > len(before) and not left:
            raise Refusal(
                f"`{row}` may be None where it would be locked: leave where it is, and lock it by hand after that"
            )

    def refuse_unsent_new(self, window: RowWindow, function: Ref, row: str, region: Region) -> None:
        """Refuse a refresh of what may be a new row that has not reached the database yet: it has nothing to read."""
        node, start = self.sources.node_of(function), region.statements[0].lineno
        made = [s for s in statements_of(node) if isinstance(s, ast.Assign) and s.lineno < start and _names(s, row)]
        made = [s for s in made if isinstance(s.value, ast.Call | ast.Await)]
        look = next((f.statement for f in reversed(window.look.stack) if f.function == function), None)
        for write in (w for entry, w in self.trace.writes if entry is window.entry and w.form == "insert"):
            own = next((f.statement for f in reversed(write.stack) if f.function == function), None)
            between = own is not None and own is not look and own.lineno < start and write.model is window.model
            if not between or own is None or not any(s.lineno <= own.lineno for s in made if s is not look):
                continue
            sent = [self.sources.node_of(f.function) for f in write.stack if f.function is not None]
            if not any(_sends(n, start if n is node else 0) for n in sent):
                raise Refusal(
                    f"`{row}` may be a new row, which is not in the database yet: flush it where it is added, then "
                    "lock and read it again"
                )

    def refuse_pending(self, window: RowWindow, function: Ref, columns: Sequence[str]) -> None:
        """Refuse a refresh that would take back what another function has assigned and nobody has flushed."""
        rows = {id(c.write.row) for c in window.candidates if c.write.row is not None}
        for entry, write in self.trace.writes:
            pending = write.form == "attribute" and write.transaction == window.change.transaction
            before = pending and entry is window.entry and write.serial < window.change.serial
            if before and id(write.row) in rows and write.column in columns and write.function != function:
                raise Refusal(
                    f"`{write.function.name}` has changed `{write.column}` before, which a refresh would take back: "
                    "flush, then lock and read the row again"
                )

    def columns_of(self, window: RowWindow) -> set[str]:
        """The columns to read again: what the write depends on, and what the run looks at and sets beside it.

        A day that is asked for and set before the count begins anew would be the old one under the lock.
        """
        rows = {id(c.write.row): c.write.row for c in window.candidates if c.write.row is not None}
        beside = {
            write.column
            for entry, write in self.trace.writes
            if entry is window.entry and write.function == window.change.function and id(write.row) in rows
        }
        looked_at = {column for row in rows.values() for column in row.reads}
        return {c.read.column for c in window.candidates if c.read.column} | ((beside & looked_at) - {""})

    def in_a_caller(self, window: RowWindow, refusal: Refusal) -> tuple[Ref, str, list[ast.stmt], str]:
        """The function, the row's name and uses, and the session, of a caller that can lock; raises Refusal."""
        target = target_of(window.change.node)
        holder = target.value if isinstance(target, ast.Attribute) else None
        if not isinstance(holder, ast.Name):
            raise refusal
        callings = callers_with_row(self.program, window, holder.id)
        calling, name = first_with_session(callings, lambda function: self.session_at(window, function))
        uses = uses_up_to(
            self.sources.node_of(calling.function), calling.row, self.columns_of(window), calling.statement
        )
        return calling.function, calling.row, uses, name

    def mentions(self, window: RowWindow) -> tuple[str, list[ast.stmt]]:
        """The name of the row in the function, and the statements that use its columns up to the write."""
        columns = self.columns_of(window)
        target = target_of(window.change.node)
        node = self.sources.node_of(window.function)
        name = ast.unparse(target.value) if isinstance(target, ast.Attribute) else ""
        end = getattr(window.change.node, "lineno", 0)
        changing: list[ast.stmt] = []
        if window.change.function != window.function or not _is_path(name):
            name, end = self.handed_on(window)
            changing = [window.last] if window.last is not None and _calls_method(window.last, name) else []
        found = [
            s
            for s in statements_of(node)
            for n in header_nodes(s)
            if isinstance(n, ast.Attribute) and n.attr in columns and ast.unparse(n.value) == name
            if s.lineno <= end
        ]
        found = found or changing
        if found:
            first, elsewhere = found[0].lineno, self.decides_elsewhere(window, node)
            asked = [s for s in statements_of(node) if s.lineno < first and _hands_on(s, name)]
            asked = [s for s in asked if elsewhere or isinstance(s, ast.If | ast.While | ast.Assert)]
            if elsewhere and not any(_hands_on(s, name) for s in (*asked, *found)):
                raise Refusal("the row is checked by what loads it: lock it by hand where it is loaded")
            found = [*asked, *found]
        if not found:
            raise Refusal("the columns are looked at through another name than the row is changed by: lock it by hand")
        return name, found

    @staticmethod
    def handed_on(window: RowWindow) -> tuple[str, int]:
        """The name of the row where it is loaded and handed to what changes it, and the line where that happens."""
        named, last = named_value(window.first), window.last
        if named is None or last is None or not _hands_on(last, named[0]):
            raise Refusal(
                "the row is changed in another function than the one that decides: lock it by hand where it is loaded"
            )
        return named[0], last.lineno

    @staticmethod
    def decides_elsewhere(window: RowWindow, node: ast.AST) -> bool:
        """Whether a function that is given the row checks it: `ensure_enough(account, amount)`."""
        own = {id(n) for n in ast.walk(node)}
        return any(c.control is not None and id(c.control.node) not in own for c in window.candidates)


def _before(edits: list[Edit], name: str) -> RowPlan:
    return RowPlan(
        edits,
        f"Lock the `{name}` row before it is loaded",
        "The row is loaded elsewhere, for readers too: a SELECT of its own locks it first, so that the second "
        "request loads what the first has left.",
        holds="look",
    )


def _names(statement: ast.Assign, name: str) -> bool:
    return any(isinstance(t, ast.Name) and t.id == name for t in statement.targets)


def _sends(function: ast.AST, until: int) -> bool:
    """Whether a function flushes or commits, up to a line where one is given."""
    return any(
        isinstance(n, ast.Attribute) and n.attr in _SENT and (not until or n.lineno < until) for n in ast.walk(function)
    )


def _is_path(name: str) -> bool:
    """Whether an expression names a row, by itself or through the row that it belongs to: `order.customer`."""
    return all(part.isidentifier() for part in name.split("."))


def _asks(node: ast.AST, row: str) -> bool:
    """Whether a part of a test asks if there is a row: `row is None`, `not row`, `row and ...`."""
    if isinstance(node, ast.Compare):
        right = node.comparators[0]
        named = ast.unparse(node.left) == row
        return named and isinstance(right, ast.Constant) and right.value is None
    parts = node.values if isinstance(node, ast.BoolOp) else []
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        parts = [node.test]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        parts = [node.operand]
    return any(ast.unparse(p) == row for p in parts)


def target_of(node: ast.AST) -> ast.expr | None:
    """What a change is made to: `row.column`, also where it is made inside of it."""
    target: ast.expr | None = None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        target = node.target
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value
    while isinstance(target, ast.Subscript):
        target = target.value
    return target


def _hands_on(statement: ast.stmt, name: str) -> bool:
    """Whether a statement gives something of that name to a function, or calls a method of it."""
    return any(
        isinstance(n, ast.Call)
        and any(
            isinstance(a, ast.Name) and a.id == name
            for a in (*n.args, *(k.value for k in n.keywords), getattr(n.func, "value", None))
        )
        for n in header_nodes(statement)
    )


def _calls_method(statement: ast.stmt, name: str) -> bool:
    """Whether a statement has something of that name change itself: `account.withdraw(amount)`."""
    called = [n.func for n in header_nodes(statement) if isinstance(n, ast.Call)]
    return any(isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id == name for f in called)


def _reaches_in(name: str) -> bool:
    """Whether an expression takes what an object keeps for itself: `self.orders._session`, and not `self._session`."""
    holder, *fields = name.split(".")
    own = fields[1:] if holder in ("self", "cls") else fields
    return any(field.startswith("_") for field in own)
