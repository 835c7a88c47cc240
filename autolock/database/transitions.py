"""A state that is checked and then replaced by one that the request names: may the next request do that, too?"""

from __future__ import annotations

import ast

from autolock.database.trace import RowWrite
from autolock.program.decisions import effective, shape_of
from autolock.program.trace import Control

_LEAVING = ("raise", "return")
#: Columns whose new value does not make a check come out otherwise that anybody relies on.
_LOOSE = frozenset({"bool", "datetime", "json"})


def is_transition(control: Control, write: RowWrite, *, beside: bool) -> bool:
    """Whether a check of a column rejects what another request has put there, which a blind write then replaces.

    The new value is not a constant: another request puts another one there. Two requests that both pass the check
    both put theirs, and the first was told that it had won. `beside` tells whether other columns of the row are set
    on the strength of it: when something was last seen means little by itself.
    """
    column = write.model.columns.get(write.column)
    if write.value is None or not isinstance(control.node, ast.expr):
        return False
    loose = column is not None and column.kind in _LOOSE
    if _is_new_best(control.node, write) and (beside or not loose):
        return True
    if loose or write.made == "new":
        return False  # what a new row holds nobody else was asked about
    if control.exit not in _LEAVING:
        return False
    tests = [t for t in _parts(control.node) if _names_column(t, write.column)]
    return any(
        _weighs(t, write, _is_alone(t, control.node, write))
        or _asks_for_state(t, write.column, control.negated)
        or _moves_on(t, write, control.negated)
        for t in tests
    )


def asks_for_state(control: Control, column: str) -> bool:
    """Whether a run leaves where a column is not in one of some states that are named there."""
    if control.exit not in _LEAVING or not isinstance(control.node, ast.expr):
        return False
    return any(_asks_for_state(t, column, control.negated) for t in _parts(control.node) if _names_column(t, column))


def _parts(test: ast.expr) -> list[ast.expr]:
    """The tests that `and` and `or` put together."""
    return [p for v in test.values for p in _parts(v)] if isinstance(test, ast.BoolOp) else [test]


def _names_column(test: ast.expr, column: str) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr == column) or (isinstance(n, ast.Constant) and n.value == column)
        for n in ast.walk(test)
    )


def _is_alone(part: ast.expr, test: ast.expr, write: RowWrite) -> bool:
    """Whether no other part of a test is about the row: then to be the same as the new value is no change at all."""
    target = write.node.targets[0] if isinstance(write.node, ast.Assign) else None
    row = ast.unparse(target.value) if isinstance(target, ast.Attribute) else ""
    others = [p for p in _parts(test) if p is not part]
    return not any(isinstance(n, ast.Name) and n.id == row for p in others for n in ast.walk(p))


def _weighs(test: ast.expr, write: RowWrite, alone: bool) -> bool:
    """Whether the new value is checked against the old one: `new not in ALLOWED[row.status]`, `new <= row.best`."""
    new = _spellings(write)
    if not any(isinstance(n, ast.Name | ast.Attribute) and ast.unparse(n) in new for n in ast.walk(test)):
        return False
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    same = (ast.Eq, ast.Is, ast.NotEq, ast.IsNot) if alone else (ast.Eq, ast.Is)
    return not (isinstance(inner, ast.Compare) and isinstance(inner.ops[0], same))


def _spellings(write: RowWrite) -> set[str]:
    """How the code may say the new value: as it is assigned, or the member of an enumeration that it is of."""
    node = write.node.value if isinstance(write.node, ast.Assign | ast.AnnAssign) else None
    if not isinstance(node, ast.Name | ast.Attribute):
        return ({write.value.term} if write.value is not None else set()) - {""} | _given(write)
    member = isinstance(node, ast.Attribute) and node.attr in ("value", "name")
    return {ast.unparse(node)} | ({ast.unparse(node.value)} if member and isinstance(node, ast.Attribute) else set())


def _given(write: RowWrite) -> set[str]:
    """What a statement is given for the column: `values(best=score)`, `{"best": score}` beside SQL text."""
    found: set[str] = set()
    for node in ast.walk(write.node) if write.form == "update" else ():
        pairs = [(k.arg, k.value) for k in node.keywords] if isinstance(node, ast.Call) else []
        if isinstance(node, ast.Dict):
            pairs = [(getattr(k, "value", None), v) for k, v in zip(node.keys, node.values, strict=True)]
        found |= {ast.unparse(v) for k, v in pairs if k == write.column and isinstance(v, ast.Name | ast.Attribute)}
    return found


def _moves_on(test: ast.expr, write: RowWrite, negated: bool) -> bool:
    """Whether the new value follows the one that the client has named: `row.version = seen + 1` where that was `seen`.

    Whoever has named the same one passes the check too, and replaces what was written on the strength of it.
    """
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    if not isinstance(inner, ast.Compare) or effective(shape_of(test), negated) != "equal":
        return False
    assigned = write.node.value if isinstance(write.node, ast.Assign | ast.AnnAssign) else None
    node = assigned if assigned is not None else write.node
    followed = {ast.unparse(o) for n in ast.walk(node) if isinstance(n, ast.BinOp) for o in (n.left, n.right)}
    sides = (inner.left, inner.comparators[0])
    return write.request and any(
        _is_column(one, write.column) and ast.unparse(other) in followed for one, other in (sides, reversed(sides))
    )


def _asks_for_state(test: ast.expr, column: str, negated: bool) -> bool:
    """Whether the code goes on because the column was empty, or one of some states that are named there."""
    shape = effective(shape_of(test), negated)
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    if not isinstance(inner, ast.Compare):
        return shape == "falsy" and _is_column(inner, column)
    if not _is_column(inner.left, column) or len(inner.ops) != 1:
        return False
    other = inner.comparators[0]
    if isinstance(other, ast.Constant) and other.value is None:
        return shape == "missing"
    return shape in ("equal", "present", "missing") and _is_state(other)


def _is_column(node: ast.expr, column: str) -> bool:
    """`row.column`, `row["column"]`."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == column
    return isinstance(node, ast.Attribute) and node.attr == column


def _is_state(node: ast.expr) -> bool:
    """Whether an expression names states: `"draft"`, `Status.DRAFT`, `(Status.DRAFT, Status.OPEN)`, `EDITABLE`."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(_is_state(e) for e in node.elts)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | int)
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id[:1].isupper()


def _is_new_best(test: ast.expr, write: RowWrite) -> bool:
    """`if score > row.best: row.best = score`, in whatever form the two are compared."""
    if not isinstance(write.node, ast.Assign):
        return False
    sides = {_compared(write.node.targets[0]), _compared(write.node.value)}
    return any(
        isinstance(t, ast.Compare)
        and isinstance(t.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        and {_compared(t.left), _compared(t.comparators[0])} == sides
        for t in _parts(test)
    )


def _compared(node: ast.expr) -> str:
    """What is compared, without what is done to it for that: `row.seen.replace(tzinfo=UTC)`."""
    while (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and not isinstance(node.func.value, ast.Name)
    ):
        node = node.func.value
    return ast.unparse(node)
