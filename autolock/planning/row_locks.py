"""Locks in the query that loads a row, in one order where there are several."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from autolock.database.harm import Harm
from autolock.database.objects import Query
from autolock.database.trace import RowRead
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.blocks import Refusal
from autolock.planning.homes import frozen
from autolock.planning.names import name_in, written
from autolock.planning.ordered import looped_lock
from autolock.planning.queries import lockable
from autolock.planning.rowplan import RowPlan
from autolock.planning.statements import (
    bound_in,
    loops_round,
    nth_of,
    text_of,
)
from autolock.planning.texts import ReadersToo, named_text, text_of_its_own
from autolock.planning.wrappers import without_wrappers
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.database.models import Model

from autolock.planning.row_refresh import RowRefresh, target_of

_NO_ROW_LOCKS = "SQLite has no row locks"


class RowLocks(RowRefresh):
    """Plans where to lock the rows that a request loads and changes."""

    def lock(self, window: RowWindow) -> RowPlan:
        atomic = self.sums.plan(window)
        if atomic is not None:
            return atomic
        if self.dialect == "sqlite":
            raise Refusal(
                f"{_NO_ROW_LOCKS}: make it one UPDATE whose WHERE repeats the check, and look at its rowcount"
            )
        if window.look.transaction != window.change.transaction:
            raise Refusal("the transaction ends between the look and the write: load the row again, locked, after it")
        if window.change.loops and not window.look.query.limited and self.changes_several(window):
            return RowPlan(
                self.in_loop(window),
                f"Lock the `{window.model_name}` rows that the loop changes",
                "The rows are locked in one order where they are loaded: the second request waits, and loads what the "
                "first has left.",
                holds="look",
            )
        several = self.several(window)
        if several:
            return self.ordered(window, several)
        self.refuse_unsent(window)
        query = window.look.query
        if query.form == "text" and (query.spot is None or query.spot.function is None):
            try:
                return self.lock_named_text(window, query)
            except Refusal as refusal:
                return self.lock_before(window, window.look, refusal)
        if self.is_locked_here(window):
            if _chooses_several(window) and not self.may_skip(window, window.look):
                return self.lock_chosen(window)
            return self.lock_picked(window)
        try:
            return self.refresh(window)
        except Refusal as refusal:
            self.refuse_pending(window, window.function, sorted({c.write.column for c in window.candidates}))
            look = window.look.row.origin if window.look.row is not None else window.look
            return self.lock_before(window, look, refusal)

    def lock_subquery(self, window: RowWindow) -> RowPlan:
        """FOR UPDATE in the SELECT by which an UPDATE chooses its rows."""
        query = window.look.query
        if query.form == "text" or not self.is_locked_here(window):
            raise Refusal(
                "the rows are chosen by a SELECT in the statement: let that one end in `FOR UPDATE SKIP LOCKED`, and "
                "each request gets rows of its own"
            )
        return self.lock_query(window, window.look, query)

    def lock_named_text(self, window: RowWindow, query: Query) -> RowPlan:
        """FOR UPDATE in the text that a module names, or after it where readers run it, too."""
        look, statement = window.look, window.look.stack[-1].statement
        try:
            spot = named_text(self.program, self.sources, self.trace, look)
        except ReadersToo as refusal:
            if look.function != window.function or statement is None:
                raise
            edit = text_of_its_own(self.sources, look, statement, refusal)
            return RowPlan(
                [edit],
                f"Lock the `{window.model_name}` row that `{look.function.name}` loads",
                self.lock_reason(skip=False),
                holds="look",
            )
        return self.lock_query(window, look, replace(query, spot=spot))

    def refuse_unsent(self, window: RowWindow) -> None:
        """Refuse to load rows again that the run has changed before, where the session does not flush by itself."""
        found = [(c.entry, c.write.found) for c in window.candidates if c.write.found is not None]
        waiting = [
            (look, write)
            for entry, look in found
            if not look.session.autoflush
            for other, write in self.trace.writes
            if other is entry and write.form == "attribute" and write.transaction == look.transaction
        ]
        if any(w.location.root == look.location.root and w.serial < look.serial for look, w in waiting):
            raise Refusal(
                "the session does not flush by itself: what has been changed before would be taken back when the row "
                "is loaded again, locked: flush after each change, then lock"
            )

    def lock_chosen(self, window: RowWindow) -> RowPlan:
        """Several rows that are looked at, and then changed by one UPDATE of those that fit."""
        query = window.look.query
        columns = query.model.columns if query.model is not None else {}
        if any(c.operator == "!=" and c.column in columns and columns[c.column].primary_key for c in query.conditions):
            raise Refusal(
                "it is about the other rows than the one at hand: lock all of them with one ordered SELECT, that one "
                "too, before it is changed, or two requests wait for each other"
            )
        return RowPlan(
            self.in_order(window, _LOOP),
            f"Lock the `{window.model_name}` rows that are looked at",
            "The rows are locked in one order where they are loaded: the second request waits, and finds what the "
            "first has left.",
            holds="look",
        )

    def lock_picked(self, window: RowWindow) -> RowPlan:
        """The look itself locks: in one order, where it loads several rows for Python to pick one of them."""
        look, row = window.look, window.change.row
        query = look.query
        picked = query.picked and row is not None and window.change.column in row.asked
        if not picked or query.ordered or query.limited or query.skips_locked:
            return self.lock_query(window, look, query)
        try:
            edits = self.in_order(window, _LOOP)
        except Refusal:
            return self.lock_query(window, look, query)
        title = f"Lock the `{window.model_name}` rows that `{window.function.name}` picks one of"
        return RowPlan(edits, title, self.lock_reason(skip=False), holds="look")

    def in_loop(self, window: RowWindow) -> list[Edit]:
        """The edits that lock all rows of a loop: where they are loaded at once, or else before their loop."""
        try:
            return self.in_order(window, _LOOP)
        except Refusal:
            row, function = window.look.row, window.function
            look = row.origin if row is not None and isinstance(row.origin, RowRead) else window.look
            if len({id(c.read.node) for c in window.candidates}) > 1 or not Harm.has_key(look):
                raise
            session = self.session_at(window, function)
            return looped_lock(self.program, self.sources, self.homes, look, session, function, _LOOP)

    def several(self, window: RowWindow) -> list[RowRead]:
        """The looks at several rows of one table that change together.

        Locked one after the other, in the order of the arguments, two requests would wait for each other.
        """
        changed = [c for c in window.candidates if c.read.what == "column" and c.read.row is not None]
        entry = window.entry
        looks = {c.read.row: c.read for c in changed if c.entry is entry}
        return list(looks.values()) if len({_way_to(r, window.function) for r in looks.values()}) > 1 else []

    def changes_several(self, window: RowWindow) -> bool:
        """Whether each turn of a loop may change another row: the row is not loaded before the loop and handed in."""
        for frame in without_wrappers(self.program, window.change.stack):  # one that tries again begins anew
            if frame.function is None or frame.statement is None:
                return True
            for loop in loops_round(self.sources.node_of(frame.function), frame.statement):
                row = _row_changed(window.change.node) if frame is window.change.stack[-1] else None
                if row is None or any(isinstance(n, ast.Name) and n.id == row for n in bound_in(loop)):
                    return True
        return False

    def ordered_looks(self, window: RowWindow) -> RowPlan:
        """For rows that are locked in the order of the arguments."""
        assert window.second is not None
        looks = [window.look, window.second]
        edits = self.locked_first(window, looks, self.looking_at_all(window, looks))
        return RowPlan(
            edits,
            f"Lock the `{window.model_name}` rows in one order first",
            "One SELECT locks both rows, always in the same order, and the later ones find them locked already.",
            holds="look",
        )

    def ordered(self, window: RowWindow, looks: Sequence[RowRead]) -> RowPlan:
        """One ordered lock before the first look."""
        origins = [r.row.origin for r in looks if r.row is not None and isinstance(r.row.origin, RowRead)]
        edits = self.locked_first(window, origins, self.looking_at_all(window, origins))
        return RowPlan(
            edits,
            f"Lock the `{window.model_name}` rows in one order before they are loaded",
            "One SELECT locks all the rows, always in the same order: two requests that name them the other way round "
            "wait, instead of ending in a deadlock.",
            holds="look",
        )

    @staticmethod
    def looking_at_all(window: RowWindow, looks: Sequence[RowRead]) -> Ref:
        """The function with all the looks, or the one that sees them through the calls of others."""
        apart = len({r.node for r in looks}) == len(looks) and len({r.function for r in looks}) == 1
        return looks[0].function if apart else window.function

    def is_locked_here(self, window: RowWindow) -> bool:
        """Whether the look itself can lock: it is there for the write, in everything that runs it."""
        query = window.look.query
        if (
            query.spot is None
            or query.spot.function is None
            or query.form in ("attribute", "relationship", "parameter")
        ):
            return False
        if query.grouped:
            return False
        if query.spot.function == window.function:
            return True
        columns = {c.write.column for c in window.candidates}
        writers = {
            id(c.entry)
            for c in self.trace.candidates
            if c.read.query.spot == query.spot
            and c.write.column in columns
            and c.write.location.root == window.location.root
        }
        return all(id(entry) in writers for entry, read in self.trace.reads if read.query.spot == query.spot)

    def lock_query(self, window: RowWindow, look: RowRead, query: Query) -> RowPlan:
        """FOR UPDATE on the query that loads the row."""
        function, statement, node = lockable(self.sources, look, query)
        skip = self.may_skip(window, look)
        model = query.model.ref.name if query.model is not None else window.model_name
        joined = query.joined or self.loads_joined(query)
        form = {"refresh": "refresh", "get": "get", "query": "query", "text": "text"}.get(query.form, "select")
        if form == "text" and not isinstance(node, ast.Constant):
            node = text_of(statement, joined)
        of: str = ""
        imports: list[Edit] = []
        if joined and form != "text":
            if query.model is None:
                raise Refusal("which table of the join to lock cannot be seen: add `with_for_update(of=...)` by hand")
            named = [name_in(self.program, self.homes, function, statement, m.ref) for m in self.changed_by(query)]
            imports = [edit for _, edits in named for edit in edits]
            of = named[0][0] if len(named) == 1 else f"({', '.join(name for name, _ in named)})"
        edit = Edit(
            function.path,
            "lock-rows",
            frozen(
                at=self.sources.blocks(function.path).spot(statement).path,
                expression=ast.unparse(node),
                nth=nth_of(statement, node),
                form=form,
                of=of,
                skip_locked=skip,
                populate=look.node is not window.change.node,
                lock=not query.locks,
            ),
        )
        title = f"Lock the `{model}` row that `{function.name}` loads"
        return RowPlan([*imports, edit], title, self.lock_reason(skip), holds="look")

    def changed_by(self, query: Query) -> list[Model]:
        """The models of which a query gives rows that are changed then: its own, and those in one tuple with it."""
        looked_at = (c.read.query for c in self.trace.candidates if c.read.location.root == c.write.location.root)
        models = {q.model.table: q.model for q in looked_at if q.spot == query.spot and q.model is not None}
        assert query.model is not None
        return [models[table] for table in sorted(models)] or [query.model]

    def may_skip(self, window: RowWindow, look: RowRead) -> bool:
        """Whether the next rows will do for a request where another has chosen the first ones."""
        chosen = look.query.limited and look.query.ordered
        return window.kind == "row-claim" and chosen and not self.is_asked_about(look)

    def is_asked_about(self, look: RowRead) -> bool:
        """Whether what a chosen row holds decides what becomes of it: then one is as good as another no more."""
        return any(
            c.dependence == "control" and c.read.what == "column" and c.read.query.spot == look.query.spot
            for c in self.trace.candidates
        )

    def lock_reason(self, skip: bool) -> str:
        reason = (
            "FOR UPDATE makes the second request wait until the first has committed, and populate_existing makes it "
            "see what the first has written, also where the session had the row already."
        )
        if skip:
            reason = (
                "FOR UPDATE SKIP LOCKED gives each request a row of its own: one that another has chosen is passed "
                "over instead of waited for."
            )
        return (
            reason if self.dialect else reason + " (SQLite ignores FOR UPDATE; the project does not say what it uses.)"
        )

    def keep_lock(self, window: RowWindow) -> RowPlan:
        """The commits between the lock and the write become flushes, or there is a transaction where there was none."""
        kept = self.opened.kept(window)
        if kept is not None:
            return kept
        assert window.first is not None
        assert window.last is not None
        edits = self.splits.flushes(window.function, window.look.session, window.first, window.last)
        return RowPlan(
            edits,
            f"Keep the lock on `{window.model_name}` until the write",
            "A flush sends what is pending and keeps the transaction, and with it the lock, until the last commit.",
            holds="look",
        )

    def in_order(self, window: RowWindow, otherwise: str) -> list[Edit]:
        """The edits by which a SELECT of several rows locks them in one order; raises Refusal with `otherwise`."""
        query, spot = window.look.query, window.look.query.spot
        plain = query.form == "select" and query.entity in ("row", "column") and not (query.grouped or query.joined)
        if not plain or spot is None or spot.function != window.function or spot.statement is None:
            raise Refusal(otherwise)
        frames = [(f.function, f.statement) for f in window.look.stack[:-1]] + [(spot.function, spot.statement)]
        for function, statement in frames:
            if function and statement and any(loops_round(self.sources.node_of(function), statement)):
                raise Refusal(otherwise)  # each turn would lock its rows after those of the last
        model = query.model
        keys = [c.name for c in model.columns.values() if c.primary_key] if model is not None else []
        if model is None or (not keys and not query.ordered):
            raise Refusal(otherwise)
        node = spot.node
        name, imports = name_in(self.program, self.homes, spot.function, node, model.ref)
        assert isinstance(node, ast.expr)
        order = "" if query.ordered else f".order_by({', '.join(f'{name}.{k}' for k in keys)})"
        edit = Edit(
            spot.function.path,
            "replace-expression",
            frozen(
                at=self.sources.blocks(spot.function.path).spot(spot.statement).path,
                expression=ast.unparse(node),
                nth=nth_of(spot.statement, spot.node),
                replacement=f"{written(self.sources, spot.function.path, node)}{order}{_LOCKING}",
            ),
        )
        return [*imports, edit]


_LOCKING = ".with_for_update().execution_options(populate_existing=True)"


_LOOP = (
    "rows are changed in a loop: lock them all with one ordered "
    "`select(...).where(...).order_by(id).with_for_update()` before it"
)


def _chooses_several(window: RowWindow) -> bool:
    """Whether one UPDATE changes those of the rows that a look has found fit."""
    change = window.change
    return change.form == "update" and any(c.operator == "in" for c in change.conditions)


def _way_to(look: RowRead, function: Ref) -> tuple[int, ...]:
    """By which statement of a function a look is reached, and where it is: who calls a helper twice looks twice.

    Rows that another one leads to are not looked for where they stand: `gift.giver` and `gift.taker` are two.
    """
    statement = next((f.statement for f in reversed(look.stack) if f.function == function), None)
    led_to = (id(look.row),) if look.query.form == "relationship" else ()
    return id(statement), id(look.node), *led_to


def _row_changed(node: ast.AST) -> str | None:
    """The plain name of the row in `row.column = ...` and in `setattr(row, ...)`."""
    node = node.value if isinstance(node, ast.Expr) else node
    target = target_of(node)
    holder = target.value if isinstance(target, ast.Attribute) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        holder = node.args[0]
    return holder.id if isinstance(holder, ast.Name) else None
