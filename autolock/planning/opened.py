"""A transaction round a look and a write that each commit by themselves, and FOR UPDATE on the look."""

from __future__ import annotations

import ast

from autolock.database.trace import DatabaseTrace, RowRead
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Region, Sources, check_span
from autolock.planning.homes import frozen
from autolock.planning.queries import lockable
from autolock.planning.rowplan import RowPlan
from autolock.planning.splits import SplitPlans
from autolock.planning.statements import nth_of, statements_of, text_of
from autolock.planning.texts import ReadersToo, named_text, text_of_its_own
from autolock.program.linker import Program, Ref

#: Libraries whose looks are locked here, and those of them whose calls are transactions of their own.
OPENED = frozenset({"databases", "asyncpg", "psycopg", "tortoise"})
_OPENING = frozenset({"databases", "asyncpg", "tortoise"})
_OPENER = "in_transaction"
_LOCKED = "FOR UPDATE makes the second request wait until the first has committed."


class OpenedPlans:
    """Plans for one window at a time."""

    def __init__(self, program: Program, sources: Sources, trace: DatabaseTrace, splits: SplitPlans) -> None:
        self.program = program
        self.sources = sources
        self.trace = trace
        self.splits = splits

    def plan(self, window: RowWindow, otherwise: str) -> RowPlan:
        """The plan; raises Refusal with the advice `otherwise` where the two are not in one function."""
        look, write, function = window.look, window.change, window.function
        first, last = look.stack[-1].statement, write.stack[-1].statement
        alone = look.function == function == write.function and not look.locks and write.form != "save"
        if not alone or first is None or last is None or look.query.joined or look.query.grouped or write.loops:
            raise Refusal(otherwise)
        lock = self.locking(look, first, otherwise)
        title = f"Look at `{window.shown}` and write it in one transaction, with the row locked"
        if look.transaction == write.transaction:
            return RowPlan([lock], f"Lock the row of `{window.shown}` that is looked at", _LOCKED, holds="look")
        wrap, *moved = self.wrapped(window, first, last, otherwise)
        reason = f"{_LOCKED} Outside of a transaction the lock would be given back at once."
        return RowPlan([wrap, lock, *moved], title, reason, holds="look")

    def kept(self, window: RowWindow) -> RowPlan | None:
        """A transaction round a look that locks and a write, each of which commits by itself; None for other looks.

        Raises Refusal.
        """
        look, write, function = window.look, window.change, window.function
        first, last = look.stack[-1].statement, write.stack[-1].statement
        alone = look.function == function == write.function
        if not look.session.autocommits or not alone or first is None or last is None:
            return None
        otherwise = "each statement is a transaction of its own: open one round both by hand"
        if write.loops:
            raise Refusal(otherwise)
        return RowPlan(
            self.wrapped(window, first, last, otherwise),
            f"Look at `{window.shown}` and write it in one transaction",
            "Outside of a transaction the lock is given back at once; inside, it is held until the write is committed.",
            holds="look",
        )

    def wrapped(self, window: RowWindow, first: ast.stmt, last: ast.stmt, otherwise: str) -> list[Edit]:
        """The edits that put a transaction round the statements from a look to a write; raises Refusal."""
        look, function = window.look, window.function
        if look.session.library not in _OPENING or not _ends_here(window):
            raise Refusal(otherwise)
        region = self.sources.blocks(function.path).spanning([first, last], self.sources.node_of(function))
        check_span(region, function.name)
        self.splits.refuse_between(function, first, last, last.end_lineno or last.lineno, look.session)
        header, edits = self.opening(look, function, region, otherwise)
        wrap = frozen(at=region.at, count=region.count, header=header, is_async=True)
        return [Edit(function.path, "wrap-in-transaction", wrap), *edits]

    def opening(self, look: RowRead, function: Ref, region: Region, otherwise: str) -> tuple[str, list[Edit]]:
        """What opens the transaction, and what else must be changed for it; raises Refusal."""
        if look.session.library == "tortoise":
            if _connections(self.program) > 1:
                raise Refusal(otherwise)  # which of the databases to begin it on has to be said
            return imported_opener(self.program, function)
        name = look.session.names.get(function)
        if name is None:
            raise Refusal(otherwise)
        header, receiver = self.splits.header(look.session, name)
        return header, self.splits.moved(function, region, name, receiver) if receiver != name else []

    def locking(self, look: RowRead, statement: ast.stmt, otherwise: str) -> Edit:
        """The edit that makes the look lock its row: in its text, or where its query is built; raises Refusal."""
        query, spot, form = look.query, look.query.spot, look.query.form
        if form == "text":
            try:
                path, holder, node = self.text(look, statement)
            except ReadersToo as refusal:
                return text_of_its_own(self.sources, look, statement, refusal)
        else:
            apart = form == "tortoise" and (spot is None or spot.statement is not statement or _is_joined(statement))
            if form not in ("select", "tortoise") or spot is None or spot.function != look.function or apart:
                raise Refusal(otherwise)
            ref, holder, found = lockable(self.sources, look, query)
            assert isinstance(found, ast.expr)
            path, node = ref.path, found
        arguments = frozen(
            at=self.sources.blocks(path).spot(holder).path,
            expression=ast.unparse(node),
            nth=nth_of(holder, node),
            form=form,
            populate=False,
        )
        return Edit(path, "lock-rows", arguments)

    def text(self, look: RowRead, statement: ast.stmt) -> tuple[str, ast.stmt, ast.expr]:
        """The SELECT's literal and the statement that holds it: the call's own, or the one that names it."""
        function, call = look.function, look.node
        given = call.args[0] if isinstance(call, ast.Call) and call.args else None
        if not isinstance(given, ast.Name | ast.Attribute):
            return function.path, statement, text_of(statement, joined=False)
        named = [
            s
            for s in statements_of(self.sources.node_of(function))
            if isinstance(s, ast.Assign) and any(ast.unparse(t) == ast.unparse(given) for t in s.targets)
        ]
        if len(named) == 1:
            return function.path, named[0], text_of(named[0], joined=False)
        spot = named_text(self.program, self.sources, self.trace, look)
        assert spot.function is not None
        assert spot.statement is not None
        assert isinstance(spot.node, ast.expr)
        return spot.function.path, spot.statement, spot.node


def imported_opener(program: Program, function: Ref) -> tuple[str, list[Edit]]:
    """Tortoise's `in_transaction()` as a function's file can write it, imported where it is not; raises Refusal."""
    found = program.resolve(function.path, _OPENER, function.name)
    if found is not None and found[0].kind == "external" and found[0].name.startswith("tortoise"):
        return f"{_OPENER}()", []
    if found is not None:
        raise Refusal(f"the name {_OPENER} is taken here")
    return f"{_OPENER}()", [
        Edit(function.path, "import-name", frozen(module="tortoise.transactions", name=_OPENER, alias=""))
    ]


def _connections(program: Program) -> int:
    """How many databases the settings of the project name: `"connections": {...}`."""
    units = (program.unit(path) for path in program.modules)
    return max(
        (
            len(value.keys)
            for unit in units
            if unit is not None
            for node in ast.walk(unit.tree)
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value == "connections" and isinstance(value, ast.Dict)
        ),
        default=0,
    )


def _is_joined(statement: ast.stmt) -> bool:
    """Whether a query reads other tables' rows too, or is sent to a connection of its own."""
    named = {n.attr for n in ast.walk(statement) if isinstance(n, ast.Attribute)}
    named |= {n.arg for n in ast.walk(statement) if isinstance(n, ast.keyword) and n.arg}
    return bool(named & {"select_related", "only", "annotate", "group_by", "using_db"})


def _ends_here(window: RowWindow) -> bool:
    """Whether the write commits by itself, or at the end of a block that the function with the look has opened.

    Inside of another transaction such a block is a savepoint.
    """
    commit = next(iter(window.change.commits), None)
    if commit is None or commit.automatic:
        return commit is not None
    same = window.look.session is window.change.session and commit.function == window.function
    return same and isinstance(commit.stack[-1].statement, ast.AsyncWith)
