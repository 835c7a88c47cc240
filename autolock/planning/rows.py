"""Plans for windows on rows: where to lock, what the database should compute, how a conflict is answered."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from autolock.database.harm import Harm
from autolock.database.objects import Condition, Query, Session
from autolock.database.trace import RowRead
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.findings import Safety
from autolock.planning.advice import by_hand, missing_constraint
from autolock.planning.answered import other_conflict, refuse_forgotten
from autolock.planning.blocks import Refusal, Region, Sources
from autolock.planning.callers import (
    callers_with_row,
    first_with_session,
    session_of_object,
    session_through_calls,
    uses_up_to,
)
from autolock.planning.holding import with_care
from autolock.planning.homes import HomeFinder, frozen
from autolock.planning.looks import row_looked_for
from autolock.planning.names import laid_out, name_in, written
from autolock.planning.opened import TEXTUAL, OpenedPlans
from autolock.planning.ordered import ordered_lock
from autolock.planning.parents import refers_to
from autolock.planning.queries import lockable
from autolock.planning.rowplan import RowPlan
from autolock.planning.splits import SplitPlans
from autolock.planning.statements import (
    bound_in,
    header_nodes,
    loops_round,
    nothing_sent,
    nth_of,
    statements_of,
    text_of,
)
from autolock.planning.stored import refuse_undone, stored_answer
from autolock.planning.sums import SumPlans
from autolock.planning.texts import named_text
from autolock.planning.upserts import changes_of_found, is_used_after, locking, refuse_followed, refuse_unfinished
from autolock.program.index import dotted
from autolock.program.linker import Ref

if TYPE_CHECKING:
    from autolock.engine import Analysis

_NO_ROW_LOCKS = "SQLite has no row locks"
_SESSIONS = frozenset({"Session", "AsyncSession", "AsyncConnection", "Connection"})


class RowPlans:
    """Plans a fix for one window on rows at a time."""

    def __init__(self, analysis: Analysis, sources: Sources) -> None:
        self.analysis = analysis
        self.program = analysis.program
        self.machine = analysis.machine
        self.trace = analysis.machine.database.rows.trace
        self.sources = sources
        self.homes = HomeFinder(analysis.program, sources)
        self.splits = SplitPlans(analysis, sources)
        self.sums = SumPlans(analysis.program, sources, self.homes)
        self.opened = OpenedPlans(analysis.program, sources, self.trace, self.splits)

    def plan(self, window: RowWindow) -> RowPlan:
        """The plan of a window; raises Refusal where no rewrite is known to be right."""
        return with_care(self.planned(window), window, self.trace)

    def planned(self, window: RowWindow) -> RowPlan:
        library = window.look.session.library
        if library in TEXTUAL and self.dialect != "sqlite" and window.kind in ("row-update", "row-claim"):
            return self.opened.plan(window, by_hand(window, library, self.dialect))
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

    # -- locks ---------------------------------------------------------------------------

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
                self.in_order(window, _LOOP),
                f"Lock the `{window.model_name}` rows that the loop changes",
                "The rows are locked in one order where they are loaded: the second request waits, and loads what the "
                "first has left.",
                holds="look",
            )
        several = self.several(window)
        if several:
            return self.ordered(window, several)
        query = window.look.query
        if query.form == "text" and (query.spot is None or query.spot.function is None):
            spot = named_text(self.program, self.sources, self.trace, window.look)
            return self.lock_query(window, window.look, replace(query, spot=spot))
        if self.is_locked_here(window):
            return self.lock_query(window, window.look, query)
        try:
            return self.refresh(window)
        except Refusal as refusal:
            self.refuse_pending(window, window.function, sorted({c.write.column for c in window.candidates}))
            look = window.look.row.origin if window.look.row is not None else window.look
            return self.lock_before(window, look, refusal)

    @property
    def dialect(self) -> str:
        return self.machine.database.dialect

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
        for frame in window.change.stack:
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

    def locked_first(self, window: RowWindow, looks: Sequence[RowRead], function: Ref) -> list[Edit]:
        """The edits by which a function that looks, or calls what does, locks the rows of some looks before."""
        session = self.session_at(window, function)
        return ordered_lock(self.program, self.sources, self.homes, looks, session, function)

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
        writers = {id(c.entry) for c in self.trace.candidates if c.read.query.spot == query.spot}
        return all(id(entry) in writers for entry, read in self.trace.reads if read.query.spot == query.spot)

    def lock_query(self, window: RowWindow, look: RowRead, query: Query) -> RowPlan:
        """FOR UPDATE on the query that loads the row."""
        function, statement, node = lockable(self.sources, look, query)
        skip = window.kind == "row-claim" and query.limited and query.ordered
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
            of, imports = name_in(self.program, self.homes, function, statement, query.model.ref)
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
                populate=True,
                lock=not query.locks,
            ),
        )
        title = f"Lock the `{model}` row that `{function.name}` loads"
        return RowPlan([*imports, edit], title, self.lock_reason(skip), holds="look")

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
        """The commits between the lock and the write become flushes."""
        assert window.first is not None
        assert window.last is not None
        edits = self.splits.flushes(window.function, window.look.session, window.first, window.last)
        return RowPlan(
            edits,
            f"Keep the lock on `{window.model_name}` until the write",
            "A flush sends what is pending and keeps the transaction, and with it the lock, until the last commit.",
            holds="look",
        )

    def lock_others(self, window: RowWindow) -> RowPlan:
        """The rows that a check looks at, locked in one order: nobody changes one of them before the commit."""
        if window.change.form == "insert":
            return self.lock_parent(window, _SKEW)
        if self.dialect == "sqlite":
            raise Refusal(_SKEW)
        return RowPlan(
            self.in_order(window, _SKEW),
            f"Lock the `{window.model_name}` rows that the check looks at",
            "The rows are locked in one order before they are counted: the second request looks when the first has "
            "committed what it decided.",
            holds="look",
        )

    def in_order(self, window: RowWindow, otherwise: str) -> list[Edit]:
        """The edits by which a SELECT of several rows locks them in one order; raises Refusal with `otherwise`."""
        query, spot = window.look.query, window.look.query.spot
        plain = query.form == "select" and query.entity == "row" and not (query.grouped or query.joined)
        if not plain or spot is None or spot.function != window.function or spot.statement is None:
            raise Refusal(otherwise)
        if any(loops_round(self.sources.node_of(spot.function), spot.statement)):
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

    @staticmethod
    def loads_joined(query: Query) -> bool:
        """Whether a query reads other tables' rows beside its own."""
        text = ast.unparse(query.spot.node) if query.spot is not None else ""
        eager = query.model is not None and any(
            r.lazy in ("joined", "immediate_joined") for r in query.model.relationships.values()
        )
        return "joinedload" in text or "outerjoin" in text or eager

    def refresh(self, window: RowWindow) -> RowPlan:
        """`session.refresh(row, with_for_update=True)` before the row is used, where its query is not to be touched."""
        function = window.function
        try:
            row, mentions = self.mentions(window)
            session = self.session_at(window, function)
        except Refusal as refusal:
            function, row, mentions, session = self.in_a_caller(window, refusal)
        region = self.sources.blocks(function.path).spanning(mentions, self.sources.node_of(function))
        columns = sorted({c.read.column for c in window.candidates if c.read.column})
        self.refuse_pending(window, function, columns)
        edit = self.refreshing(window, function, row, region, columns, session)
        return RowPlan(
            [edit],
            f"Lock `{row}` and read it again before it is used",
            "The row is loaded elsewhere, for readers too: the refresh locks it here and reads the columns again, so "
            "that the second request waits for the first and sees what it wrote.",
            holds="look",
            taken_at=(function, region.statements[0].lineno),
        )

    def lock_before(self, window: RowWindow, look: object, refusal: Refusal) -> RowPlan:
        """A SELECT that locks a row before the function is called that loads it; raises the refusal."""
        if not isinstance(look, RowRead) or not Harm.has_key(look) or look.query.joined or look.query.grouped:
            raise refusal
        if self.loads_joined(look.query):
            raise refusal  # the rows of the outer join cannot be locked
        try:
            edits = self.locked_first(window, [look], window.function)
        except Refusal:
            raise refusal from None
        name = look.query.model.ref.name if look.query.model is not None else window.model_name
        return RowPlan(
            edits,
            f"Lock the `{name}` row before it is loaded",
            "The row is loaded elsewhere, for readers too: a SELECT of its own locks it first, so that the second "
            "request loads what the first has left.",
            holds="look",
        )

    def refreshing(
        self, window: RowWindow, function: Ref, row: str, region: Region, columns: Sequence[str], session: str = ""
    ) -> Edit:
        """The edit that refreshes columns of a row, locked, before a region."""
        session = session or self.session_at(window, function)
        names = ", ".join(f'"{c}"' for c in columns)
        await_ = "await " if window.look.session.is_async else ""
        code = f"{await_}{session}.refresh({row}, attribute_names=[{names}], with_for_update=True)"
        code = laid_out(self.sources, function.path, code, region.statements[0].col_offset)
        return Edit(function.path, "insert-before", frozen(at=region.at, code=code))

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

    def in_a_caller(self, window: RowWindow, refusal: Refusal) -> tuple[Ref, str, list[ast.stmt], str]:
        """The function, the row's name and uses, and the session, of a caller that can lock; raises Refusal."""
        target = _target(window.change.node)
        holder = target.value if isinstance(target, ast.Attribute) else None
        if not isinstance(holder, ast.Name):
            raise refusal
        callings = callers_with_row(self.program, window, holder.id)
        calling, name = first_with_session(callings, lambda function: self.session_at(window, function))
        columns = {c.read.column for c in window.candidates if c.read.column}
        uses = uses_up_to(self.sources.node_of(calling.function), calling.row, columns, calling.statement)
        return calling.function, calling.row, uses, name

    def mentions(self, window: RowWindow) -> tuple[str, list[ast.stmt]]:
        """The name of the row in the function, and the statements that use its columns up to the write."""
        columns = {c.read.column for c in window.candidates if c.read.column}
        target = _target(window.change.node)
        node = self.sources.node_of(window.function)
        name = ast.unparse(target.value) if isinstance(target, ast.Attribute) else ""
        end = getattr(window.change.node, "lineno", 0)
        if window.change.function != window.function or not name.isidentifier():
            name, end = self.handed_on(window)
        found = [
            s
            for s in statements_of(node)
            for n in header_nodes(s)
            if isinstance(n, ast.Attribute) and n.attr in columns and ast.unparse(n.value) == name
            if s.lineno <= end
        ]
        if found and self.decides_elsewhere(window, node):
            first = found[0].lineno
            found = [*(s for s in statements_of(node) if s.lineno < first and _hands_on(s, name)), *found]
        if not found:
            raise Refusal("the columns are looked at through another name than the row is changed by: lock it by hand")
        return name, found

    @staticmethod
    def handed_on(window: RowWindow) -> tuple[str, int]:
        """The name of the row where it is loaded and handed to what changes it, and the line where that happens."""
        first, last = window.first, window.last
        target = first.targets[0] if isinstance(first, ast.Assign) and len(first.targets) == 1 else None
        if not isinstance(target, ast.Name) or last is None or not _hands_on(last, target.id):
            raise Refusal(
                "the row is changed in another function than the one that decides: lock it by hand where it is loaded"
            )
        return target.id, last.lineno

    @staticmethod
    def decides_elsewhere(window: RowWindow, node: ast.AST) -> bool:
        """Whether a function that is given the row checks it: `ensure_enough(account, amount)`."""
        own = {id(n) for n in ast.walk(node)}
        return any(c.control is not None and id(c.control.node) not in own for c in window.candidates)

    def session_at(self, window: RowWindow, function: Ref) -> str:
        """The session as a function on the way can write it, through what it calls where it has none itself."""
        look = window.look
        try:
            return self.session_name(function, look.session)
        except Refusal:
            name = session_of_object(function, look.session)
            name = name or session_through_calls(function, look.session, look.stack, window.change.stack)
            if name is None:
                raise
            return name

    def session_name(self, function: Ref, session: Session) -> str:
        """The session, as the function can write it."""
        spoken = session.names.get(function)
        if spoken:
            return spoken
        node = self.sources.node_of(function)
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            kind, _ = self.machine.type_of_annotation(function.path, argument.annotation, function.name)
            if kind.kind == "external" and kind.name.rpartition(".")[2] in _SESSIONS:
                return argument.arg
        raise Refusal("the function has no session at hand: lock the row where it is loaded")

    # -- inserts ------------------------------------------------------------------------------

    def insert(self, window: RowWindow) -> RowPlan:
        if window.counted:
            return self.lock_parent(window, _COUNTED)
        if window.unique is None:
            raise Refusal(missing_constraint(window.model, window.columns))
        control = window.control
        if control is None or window.first is None or window.last is None:
            raise Refusal("the check and the insert meet in no function that could answer the conflict")
        if window.exit == "raise":
            return self.answer(window)
        if window.change.form != "insert":
            raise Refusal("what the loser is to be told is not written here: catch the IntegrityError of the commit")
        try:
            return self.reselect(window)
        except Refusal as refusal:
            if window.exit not in ("return", "cached"):
                raise
            return self.answer_stored(window, refusal)

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

    def answer(self, window: RowWindow) -> RowPlan:
        """The answer that a failed check gives, given when the constraint refuses, too."""
        function, node = window.function, self.sources.node_of(window.function)
        test = window.control.node if window.control is not None else None
        check = next((s for s in statements_of(node) if isinstance(s, ast.If) and s.test is test), None)
        if check is None or not isinstance(check.body[-1], ast.Raise) or len(check.body) != 1:
            raise Refusal("the answer of the failed check is not in this function: catch the IntegrityError by hand")
        statements = self.saving(window)
        if _session_of(window).is_async:
            refuse_forgotten(self.program, self.analysis.machine.database.models, function, node, check.body[-1])
        region = self.sources.blocks(function.path).spanning(statements, node)
        made = RowPlan(
            self.answering(window, region, written(self.sources, function.path, check.body[-1])),
            f"Answer a conflict on `{window.model_name}` like a failed check",
            "The unique constraint lets one request through; the other gets the answer that the check would have "
            "given, instead of a 500.",
        )
        other = other_conflict(self.trace, window)
        if other:
            made.safety = Safety.UNSAFE
            made.reason += f" But so does one that {other} refuses, of which the answer does not tell."
        return made

    def answer_stored(self, window: RowWindow, refusal: Refusal) -> RowPlan:
        """The answer of a check that found the row, for who was not first to insert it; raises the refusal."""
        function, node, session = window.function, self.sources.node_of(window.function), _session_of(window)
        try:
            name, look, answer = stored_answer(window, node)
            refuse_undone(window, self.trace)
            if session.is_async:
                models = self.analysis.machine.database.models
                refuse_forgotten(self.program, models, function, node, ast.Expr(look))
            region = self.sources.blocks(function.path).spanning(self.saving(window), node)
            again = f"{name} = {_found_now(self.looking(function.path, window.first, look))}"
            again = laid_out(self.sources, function.path, again, region.statements[0].col_offset + 4)
            edits = self.answering(window, region, f"{again}\n{written(self.sources, function.path, answer)}")
        except Refusal:
            raise refusal from None
        return RowPlan(
            edits,
            f"Answer with the `{window.model_name}` that another request was first to insert",
            "The unique constraint lets one request through; the other takes back what it has done, and answers as it "
            "would have a moment later.",
        )

    def answering(self, window: RowWindow, region: Region, answer: str) -> list[Edit]:
        """The edits that give an answer where the constraint refuses what a region sends."""
        function, session = window.function, _session_of(window)
        said = self.session_name(function, session)
        error, imports = self.error_name(function)
        arguments = frozen(
            at=region.at, count=region.count, session=said, is_async=session.is_async, answer=answer, error=error
        )
        return [*imports, Edit(function.path, "answer-conflict", arguments)]

    def saving(self, window: RowWindow) -> list[ast.stmt]:
        """The statements of the function from the insert to where it reaches the database."""
        write = window.change
        found: list[ast.stmt] = []
        stacks = [write.stack, *(c.stack for c in write.commits[:1])]
        for stack in stacks:
            for frame in stack:
                if frame.function == window.function and frame.statement is not None:
                    found.append(frame.statement)
        if not write.commits or len(found) < 2:
            raise Refusal("where the row reaches the database cannot be seen here: catch the IntegrityError by hand")
        changed, sent = found[0], found[-1]
        node, is_async = self.sources.node_of(window.function), _session_of(window).is_async
        beside = sent in self.sources.blocks(window.function.path).spot(changed).block
        if len(found) == 2 and not beside and nothing_sent(node, changed, sent, is_async):
            return [sent]
        return found

    def error_name(self, function: Ref) -> tuple[str, list[Edit]]:
        """`IntegrityError` in the function's file, imported where it is not."""
        found = self.program.resolve(function.path, "IntegrityError", function.name)
        if found is not None and found[0].kind == "external" and found[0].name.startswith("sqlalchemy"):
            return "IntegrityError", []
        if found is not None:
            raise Refusal("the name IntegrityError is taken here")
        return "IntegrityError", [
            Edit(function.path, "import-name", frozen(module="sqlalchemy.exc", name="IntegrityError", alias=""))
        ]

    def reselect(self, window: RowWindow) -> RowPlan:
        """Insert in a savepoint, and select again where the constraint refuses."""
        function, node, write = window.function, self.sources.node_of(window.function), window.change
        if write.function != function:
            return self.reselect_through_calls(window)
        if window.look.function != function:
            raise Refusal(_CALLED)
        add = window.last
        test = window.control.node if window.control is not None else None
        name, found = row_looked_for(node, window.first, test)
        added = _added(add)
        if added is None or not isinstance(add, ast.stmt):
            raise Refusal("the insert is no plain `session.add(...)`: insert in a savepoint by hand")
        refuse_unfinished(node, test, window.first, add, name, added)
        refuse_followed(node, test, add, added)
        session = self.session_name(function, _session_of(window))
        error, imports = self.error_name(function)
        changes = changes_of_found(node, test, add, name)
        value = ast.unparse(locking(found)) if changes else self.looking(function.path, window.first, found)
        again = laid_out(self.sources, function.path, f"{added} = {_found_now(value)}", add.col_offset + 4)
        if added != name and not _returns(node, added):
            raise Refusal(
                "the new row has another name than the one that was looked for: insert in a savepoint by hand"
            )
        if not changes and not is_used_after(node, add, added):
            again = "pass  # another request was first"
        return self.reselecting(window, add, session, "\n".join([again, *map(ast.unparse, changes)]), error, imports)

    def looking(self, path: str, look: ast.stmt | None, found: ast.expr) -> str:
        """The source of a look: as it is written where it is in one place."""
        return written(self.sources, path, found) if getattr(look, "value", None) is found else ast.unparse(found)

    def reselect_through_calls(self, window: RowWindow) -> RowPlan:
        """The same where functions look and insert: `cart = await self.carts.create(customer)`."""
        function, look, add, write = window.function, window.first, window.last, window.change
        names = [
            s.targets[0].id
            for s in (look, add)
            if isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name)
        ]
        apart = (
            any(f.statement is add for c in write.commits for f in c.stack) or window.look.session is not write.session
        )
        if len(names) != 2 or names[0] != names[1] or apart or not write.flushes:
            raise Refusal(_CALLED)
        assert isinstance(look, ast.Assign)
        assert add is not None
        test = window.control.node if window.control is not None else None
        node = self.sources.node_of(function)
        if changes_of_found(node, test, add, names[0]):
            raise Refusal(_CALLED)
        refuse_unfinished(node, test, look, add, names[0], names[0])
        refuse_followed(node, test, add, names[0])
        session = self.session_at(window, function)
        error, imports = self.error_name(function)
        again = f"{names[0]} = {written(self.sources, function.path, look.value)}"
        again = laid_out(self.sources, function.path, again, add.col_offset + 4)
        return self.reselecting(window, add, session, again, error, imports)

    def reselecting(
        self, window: RowWindow, add: ast.stmt, session: str, again: str, error: str, imports: list[Edit]
    ) -> RowPlan:
        """The savepoint round the statement that inserts, and what is done where the constraint refuses."""
        path = window.function.path
        edit = Edit(
            path,
            "insert-or-reselect",
            frozen(
                at=self.sources.blocks(path).spot(add).path,
                count=1,
                session=session,
                is_async=_session_of(window).is_async,
                reselect=again,
                error=error,
            ),
        )
        return RowPlan(
            [*imports, edit],
            f"Insert the `{window.model_name}` in a savepoint, and select it where another request was first",
            "The unique constraint lets one request through; the other rolls back to its savepoint and goes on with "
            "the row that is there now.",
            holds="write",
        )


_CALLED = "the look and the insert are in different functions: insert in a savepoint by hand"
_COUNTED = (
    "a count or maximum cannot be locked: lock the parent row first "
    "(`select(Parent).where(...).with_for_update()`), or let a constraint decide"
)
_LOCKING = ".with_for_update().execution_options(populate_existing=True)"
_LOOP = (
    "rows are changed in a loop: lock them all with one ordered "
    "`select(...).where(...).order_by(id).with_for_update()` before it"
)
_PARENT_REASON = (
    "Whoever counts the rows holds the lock on the row that they belong to: the second request counts when the first "
    "has committed."
)
_SKEW = (
    "lock the rows that the check reads, in one order, or the row that they belong to; for ranges let an exclusion "
    "constraint decide"
)


def _way_to(look: RowRead, function: Ref) -> tuple[int, int]:
    """By which statement of a function a look is reached, and where it is: who calls a helper twice looks twice."""
    statement = next((f.statement for f in reversed(look.stack) if f.function == function), None)
    return id(statement), id(look.node)


def _session_of(window: RowWindow) -> Session:
    session = window.change.session
    assert session is not None
    return session


def _target(node: ast.AST) -> ast.expr | None:
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


def _row_changed(node: ast.AST) -> str | None:
    """The plain name of the row in `row.column = ...` and in `setattr(row, ...)`."""
    target = _target(node)
    holder = target.value if isinstance(target, ast.Attribute) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        holder = node.args[0]
    return holder.id if isinstance(holder, ast.Name) else None


def _added(statement: ast.stmt | None) -> str | None:
    """The name in `session.add(name)`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.func.attr != "add":
        return None
    return value.args[0].id if len(value.args) == 1 and isinstance(value.args[0], ast.Name) else None


def _hands_on(statement: ast.stmt, name: str) -> bool:
    """Whether a statement gives something of that name to a function."""
    return any(
        isinstance(n, ast.Call)
        and any(isinstance(a, ast.Name) and a.id == name for a in (*n.args, *(k.value for k in n.keywords)))
        for n in header_nodes(statement)
    )


def _returns(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(s, ast.Return) and isinstance(s.value, ast.Name) and s.value.id == name for s in statements_of(node)
    )


def _found_now(source: str) -> str:
    """The look again, when the row is known to be there."""
    return source.replace(".scalar_one_or_none()", ".scalar_one()").replace(".one_or_none()", ".one()")
