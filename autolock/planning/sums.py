"""`row.n = Model.n + 1`: what the database can compute, where nothing else depends on the old value."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import NamedTuple

from autolock.database.schema import Model
from autolock.database.trace import DatabaseTrace, RowRead, RowWrite
from autolock.database.windows import RowWindow
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.homes import HomeFinder, frozen
from autolock.planning.names import name_of
from autolock.planning.repeats import Repeats
from autolock.planning.rowplan import RowPlan
from autolock.planning.statements import header_nodes, is_kept, statements_of
from autolock.program.linker import Program, Ref

_NUMBERS = ("int", "float", "decimal")


class Sum(NamedTuple):
    """`target = target + value`, however it is written."""

    target: ast.Attribute
    sign: str
    value: ast.expr


class SumPlans:
    """Plans an UPDATE that computes, for one window at a time."""

    def __init__(self, program: Program, sources: Sources, homes: HomeFinder, trace: DatabaseTrace) -> None:
        self.program = program
        self.sources = sources
        self.homes = homes
        self.repeats = Repeats(sources, trace)

    def plan(self, window: RowWindow) -> RowPlan | None:
        """The plan; None where something else depends on the old value, or looks at the new one."""
        write, model = window.change, window.model
        if model is None or window.dependence != "data" or window.kind != "row-update":
            return None
        sums = {id(c.write.node): c.write for c in window.candidates if c.write.function == write.function}
        columns = {w.column for w in sums.values()}
        if any(c.read.column in columns and c.dependence != "data" for c in window.candidates):
            return None
        others = [c for c in window.candidates if id(c.write.node) not in sums or c.read.column != c.write.column]
        if write.column not in columns or any(c.read.column in columns for c in others):
            return None
        if any(self.repeats.is_set_twice(c.entry, c.write) for c in window.candidates):
            return None
        added = [self.added(one, model, columns, list(sums.values())) for one in sums.values()]
        try:
            name, edits = name_of(self.program, self.homes, write.function, model.ref)
        except Refusal:
            return None
        for one, found in zip(sums.values(), added, strict=True):
            if found is None:
                return None
            target = ast.unparse(found.target)
            code = f"{target} = {name}.{found.target.attr} {found.sign} {_operand(found.value)}"
            assert isinstance(one.node, ast.stmt)
            at = self.sources.blocks(write.function.path).spot(one.node).path
            edits.append(Edit(write.function.path, "update-in-sql", frozen(at=at, code=code)))
        return RowPlan(
            edits,
            f"Let the database add to {' and '.join(f'`{model.ref.name}.{c}`' for c in sorted(columns))}",
            "The UPDATE computes from what the row holds then, not from what was read before: no request's change is "
            "lost, and nobody waits.",
        )

    def added(self, write: RowWrite, model: Model, columns: set[str], sums: Sequence[RowWrite]) -> Sum | None:
        """What one assignment adds, where nobody needs the sum; None where the database cannot do it."""
        found, column = _sum(write.node), model.columns.get(write.column)
        if found is None or column is None or column.kind not in _NUMBERS or write.value is None:
            return None
        if not isinstance(found.target.value, ast.Name):
            return None
        if not _adds_what_is_known(write, isinstance(write.node, ast.AugAssign)):
            return None
        assert isinstance(write.node, ast.stmt)
        if self.may_be_new(write.function, write.node, found.target.value.id):
            return None
        known = frozenset(model.columns) - columns
        own = {id(w.node) for w in sums}
        return None if self.is_used_after(write.function, write.node, found.target.value.id, known, own) else found

    def may_be_new(self, function: Ref, statement: ast.stmt, row: str) -> bool:
        """Whether the name may stand for a row that the function has just made: an INSERT cannot add to what was."""
        node = self.sources.node_of(function)
        stores = [
            s
            for s in statements_of(node)
            if any(isinstance(n, ast.Name) and n.id == row and isinstance(n.ctx, ast.Store) for n in header_nodes(s))
        ]
        return len([s for s in stores if not _are_alternatives(node, s, statement)]) > 1

    def is_used_after(
        self, function: Ref, statement: ast.stmt, row: str, known: frozenset[str], sums: Collection[int]
    ) -> bool:
        """Whether the row is looked at again after the assignment, before it has been refreshed.

        The columns `known`, which the assignments leave alone, may be. `sums` are the ids of the assignments.
        """
        node = self.sources.node_of(function)
        refreshed = False
        for after in (s for s in statements_of(node) if s.lineno > statement.lineno and id(s) not in sums):
            refreshed = refreshed or _refreshes(after, row)
            if not refreshed and not is_kept(after, row) and _mentions(after, row, known):
                return True
        given = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        return row in given and not refreshed


def _are_alternatives(function: ast.AST, one: ast.stmt, other: ast.stmt) -> bool:
    """Whether one of two statements is in the `if`, the other in its `else`."""
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            sides = [{id(n) for s in side for n in ast.walk(s)} for side in (node.body, node.orelse)]
            if any(id(one) in a and id(other) in b for a, b in (sides, reversed(sides))):
                return True
    return False


def _adds_what_is_known(write: RowWrite, augmented: bool) -> bool:
    """Whether what is added was read from no row: the database would add something out of date."""
    assert write.value is not None
    reads = [r for r in write.value.reads if isinstance(r, RowRead)]
    if augmented:
        return not reads
    return all(r.column == write.column for r in reads) and len({id(r.row) for r in reads}) < 2


def _sum(node: ast.AST) -> Sum | None:
    """`x.n += v`, `x.n = x.n + v`."""
    if isinstance(node, ast.AugAssign):
        target, operator, value = node.target, node.op, node.value
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.BinOp):
        target, operator, value = node.targets[0], node.value.op, node.value.right  # type: ignore[assignment]
        if ast.unparse(node.value.left) != ast.unparse(target) or ast.unparse(target) in ast.unparse(value):
            return None
    else:
        return None
    if not isinstance(target, ast.Attribute) or not isinstance(operator, ast.Add | ast.Sub):
        return None
    return Sum(target, "+" if isinstance(operator, ast.Add) else "-", value)


def _operand(value: ast.expr) -> str:
    plain = isinstance(value, ast.Constant | ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return ast.unparse(value) if plain else f"({ast.unparse(value)})"


def _refreshes(statement: ast.stmt, row: str) -> bool:
    """Whether a statement reads the row again: `session.refresh(row)`."""
    return any(
        isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr == "refresh"
        and any(ast.unparse(a) == row for a in n.args)
        for n in header_nodes(statement)
    )


def _mentions(statement: ast.stmt, row: str, known: frozenset[str]) -> bool:
    """Whether a statement names the row otherwise than to look at one of the columns."""
    nodes = list(header_nodes(statement))
    plain = {id(n.value) for n in nodes if isinstance(n, ast.Attribute) and n.attr in known}
    return any(isinstance(n, ast.Name) and n.id == row and id(n) not in plain for n in nodes)
