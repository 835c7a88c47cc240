"""Statements of a function and the expressions in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autolock.planning.blocks import Refusal
from autolock.program.index import dotted


def nth_of(statement: ast.stmt, node: ast.AST) -> int:
    """Which of the equal expressions of a statement this one is."""
    text = ast.unparse(node)
    same = [n for n in header_nodes(statement) if isinstance(n, ast.expr) and ast.unparse(n) == text]
    same.sort(key=lambda n: (n.lineno, n.col_offset))
    return next((i for i, n in enumerate(same) if n is node), 0)


def text_of(statement: ast.stmt, joined: bool) -> ast.expr:
    """The literal of the one SELECT in a statement; raises Refusal where there is none, or a join."""
    if joined:
        raise Refusal("the SQL text joins tables: add FOR UPDATE OF the table to it by hand")
    found = [
        n
        for n in header_nodes(statement)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.lstrip()[:6].upper() == "SELECT"
    ]
    if len(found) != 1:
        raise Refusal("the SQL text is not written where it is run: add FOR UPDATE to it by hand")
    return found[0]


def statements_of(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a function, in order, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from statements_of(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from statements_of(child)


def header_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without those of the statements inside it."""
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(
            c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.stmt | ast.ExceptHandler | ast.match_case)
        )


def loops_round(function: ast.AST, statement: ast.stmt) -> Iterator[ast.For | ast.AsyncFor | ast.While]:
    """The loops of a function in whose bodies a statement is."""
    every = (n for n in ast.walk(function) if isinstance(n, ast.For | ast.AsyncFor | ast.While))
    for loop in every:
        if loop is not statement and any(inner is statement for inner in ast.walk(loop)):
            yield loop


def nothing_sent(function: ast.AST, changed: ast.stmt, sent: ast.stmt, is_async: bool) -> bool:
    """Whether what one statement of a function changes surely waits in the session for a later one.

    Only what is awaited sends something on an async session; on another one any call may.
    """
    if any(loops_round(function, changed)):
        return False
    for node in ast.walk(function):
        if not changed.lineno <= getattr(node, "lineno", 0) < sent.lineno:
            continue
        if isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor):
            return False
        adds = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add"
        if isinstance(node, ast.Call) and not is_async and not adds:
            return False
    return True


def bound_in(node: ast.AST) -> Iterator[ast.Name]:
    """The names that a statement, or what is inside it, binds."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner


def named_before(function: ast.AST, name: str, line: int) -> str:
    """How a function can say, before one of its lines, what `name` stands for: as it is, or as it is made later on.

    Raises Refusal where the name is bound only from that line on, to what cannot be said twice.
    """
    root, dot, rest = name.partition(".")
    bindings = [s for s in statements_of(function) if any(n.id == root for n in _bound_by(s))]
    if not bindings or bindings[0].lineno < line:
        return name
    value = getattr(bindings[0], "value", None)
    if isinstance(value, ast.Call) and dotted(value.func) and not value.args and not value.keywords:
        return f"{ast.unparse(value)}{dot}{rest}"
    raise Refusal(f"`{root}` is not there yet where the row would be locked")


def _bound_by(statement: ast.stmt) -> Iterator[ast.Name]:
    """The names that a statement itself binds, without those inside it."""
    return (n for n in header_nodes(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def is_kept(statement: ast.stmt, row: str) -> bool:
    """Whether a statement only hands the row to the session: `session.add(row)`, `session.refresh(row)`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("add", "refresh")
        and all(ast.unparse(a) == row for a in value.args[:1])
    )
