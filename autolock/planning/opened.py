"""A transaction round a look and a write that each commit by themselves, and FOR UPDATE on the look."""

from __future__ import annotations

import ast

from autolock.database.trace import DatabaseTrace, RowRead
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources, check_span
from autolock.planning.homes import frozen
from autolock.planning.rowplan import RowPlan
from autolock.planning.splits import SplitPlans
from autolock.planning.statements import nth_of, statements_of, text_of
from autolock.planning.texts import named_text
from autolock.program.linker import Program

#: Libraries to which a SELECT is given as text, and those of them whose calls are transactions of their own.
TEXTUAL = frozenset({"databases", "asyncpg", "psycopg"})
_OPENING = frozenset({"databases", "asyncpg"})
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
        name = look.session.names.get(function)
        first, last = look.stack[-1].statement, write.stack[-1].statement
        alone = look.function == function == write.function and look.query.form == "text" and not look.locks
        if not alone or name is None or first is None or last is None or look.query.joined or write.loops:
            raise Refusal(otherwise)
        path, holder, literal = self.text(look, first)
        lock = Edit(
            path,
            "lock-rows",
            frozen(
                at=self.sources.blocks(path).spot(holder).path,
                expression=ast.unparse(literal),
                nth=nth_of(holder, literal),
                form="text",
            ),
        )
        title = f"Look at `{window.shown}` and write it in one transaction, with the row locked"
        if look.transaction == write.transaction:
            return RowPlan([lock], f"Lock the row of `{window.shown}` that is looked at", _LOCKED, holds="look")
        if look.session.library not in _OPENING or not write.commits or not write.commits[0].automatic:
            raise Refusal(otherwise)
        region = self.sources.blocks(function.path).spanning([first, last], self.sources.node_of(function))
        check_span(region, function.name)
        self.splits.refuse_between(function, first, last, last.end_lineno or last.lineno, look.session)
        header, receiver = self.splits.header(look.session, name)
        wrap = frozen(at=region.at, count=region.count, header=header, is_async=True)
        edits = [Edit(function.path, "wrap-in-transaction", wrap), lock]
        if receiver != name:
            edits += self.splits.moved(function, region, name, receiver)
        reason = f"{_LOCKED} Outside of a transaction the lock would be given back at once."
        return RowPlan(edits, title, reason, holds="look")

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
