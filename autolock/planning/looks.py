"""How a function has come by the row that it looked for: one expression that looks again."""

from __future__ import annotations

import ast
import copy

from autolock.planning.blocks import Refusal
from autolock.planning.statements import header_nodes, statements_of

#: What gives one row, or none; anything else gives rows, a result, or what is computed from them.
_ONE = frozenset({"scalar_one_or_none", "one_or_none", "first", "scalar", "get", "scalar_one", "one"})
_NAMELESS = "what the look found has no name: insert in a savepoint by hand"


def row_looked_for(function: ast.AST, look: ast.stmt | None, test: ast.AST | None) -> tuple[str, ast.expr]:
    """The name that the check has for the row, and the look as one expression.

    `look` is the statement that runs the query, `test` the check. A result that has a name of its own is put in
    where it is used. Raises Refusal where the check is about something else than one row.
    """
    name, value = _assigned(look)
    renamed = any(isinstance(n, ast.NamedExpr) and _is_named(n.value, name) for n in ast.walk(test or value))
    if test is not None and (renamed or not _is_named(test, name)):
        name, value = _unpacked(function, look, test, name, value)
    end = value.value if isinstance(value, ast.Await) else value
    called = end.func if isinstance(end, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr not in _ONE:
        raise Refusal("the look gives something else than the row: insert in a savepoint by hand")
    return name, value


def row_asked_for(function: ast.AST, look: ast.stmt | None, test: ast.AST | None) -> tuple[str, ast.expr]:
    """The same where a helper looks: `row = await self.find(name)`; a second call asks again.

    Raises Refusal where the check is about something else than what the helper has given.
    """
    name, value = _assigned(look)
    called = value.value if isinstance(value, ast.Await) else value
    if test is None or not _is_named(test, name) or not isinstance(called, ast.Call):
        raise Refusal(_NAMELESS)
    return name, value


def only_looks(helper: ast.AST) -> bool:
    """Whether a function does nothing but run one query and return the one row that it finds."""
    body = getattr(helper, "body", [])
    said = body[1:] if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else body
    if not all(isinstance(s, ast.Assign) for s in said[:-1]) or not isinstance(said[-1], ast.Return):
        return False
    value = said[-1].value
    end = value.value if isinstance(value, ast.Await) else value
    return isinstance(end, ast.Call) and isinstance(end.func, ast.Attribute) and end.func.attr in _ONE


def _unpacked(
    function: ast.AST, look: ast.stmt | None, test: ast.AST, result: str, value: ast.expr
) -> tuple[str, ast.expr]:
    """The row that is taken out of a result before the check: `row = result.scalar_one_or_none()`."""
    assert look is not None
    for statement in statements_of(function):
        if named_value(statement) is None or not look.lineno < statement.lineno <= getattr(test, "lineno", 0):
            continue
        if not any(isinstance(n, ast.Name) and n.id == result for n in header_nodes(statement)):
            continue
        name, taken = _assigned(statement)
        uses = [n for n in ast.walk(taken) if isinstance(n, ast.Name) and n.id == result]
        if _is_named(test, name) and len(uses) == 1:
            return name, _Putting(result, value).visit(copy.deepcopy(taken))
    raise Refusal(_NAMELESS)


class _Putting(ast.NodeTransformer):
    """Puts an expression in the place of a variable."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name = name
        self.value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.value) if node.id == self.name else node


def _assigned(statement: ast.stmt | None) -> tuple[str, ast.expr]:
    """The name and value of a plain assignment; raises Refusal for anything else."""
    found = named_value(statement)
    if found is None:
        raise Refusal(_NAMELESS)
    return found


def named_value(statement: ast.stmt | None) -> tuple[str, ast.expr] | None:
    """What a statement gives a name: `x = v`, `x: T = v`, `if (x := v) is None`; None for anything else."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    elif isinstance(statement, ast.If):
        named = [n for n in ast.walk(statement.test) if isinstance(n, ast.NamedExpr)]
        if len(named) != 1:
            return None
        target, value = named[0].target, named[0].value
    else:
        return None
    return (target.id, value) if isinstance(target, ast.Name) else None


def _is_named(test: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(test))
