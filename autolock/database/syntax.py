"""Questions about expressions as they are written in class bodies and migrations."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from autolock.program.index import dotted


def last(node: ast.AST | None) -> str:
    """The last part of a dotted name, or of the name of what is called or subscripted."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first keyword argument that has one of the names."""
    return next((found.value for found in call.keywords if found.arg in names), None)


def text(node: ast.AST | None) -> str:
    """The value of a string constant, also inside `op.f("...")`; empty for anything else."""
    if isinstance(node, ast.Call) and last(node) == "f" and len(node.args) == 1:
        node = node.args[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_true(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def is_false(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def is_none(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def names_in(nodes: Sequence[ast.AST]) -> frozenset[str] | None:
    """Columns named by strings, names or attributes; None where one of them is something else."""
    found: set[str] = set()
    for node in nodes:
        name = text(node) or (last(node) if isinstance(node, ast.Name | ast.Attribute) else "")
        if not name:
            return None
        found.add(name)
    return frozenset(found) or None


def elements(node: ast.AST | None) -> list[ast.expr]:
    """What a tuple, list or set display holds."""
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List | ast.Set) else []


def pairs(node: ast.AST | None) -> Iterator[tuple[str, ast.expr]]:
    """The items of a dictionary with constant keys, or of a call of `dict`."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if text(key):
                yield text(key), value
    elif isinstance(node, ast.Call) and dotted(node.func) == "dict":
        for found in node.keywords:
            if found.arg:
                yield found.arg, found.value


def returned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    """What the last `return` statement of a function's own block gives."""
    for statement in reversed(function.body):
        if isinstance(statement, ast.Return):
            return statement.value
    return None


def assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Names bound by plain and annotated assignments of a block: name, annotation, value."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, None, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.annotation, statement.value


def constant_in(body: Sequence[ast.stmt], name: str) -> ast.expr | None:
    """The value that a block assigns to a name; the last one."""
    found: ast.expr | None = None
    for bound, _, value in assignments(body):
        if bound == name and value is not None:
            found = value
    return found


def inner_class(body: Sequence[ast.stmt], name: str) -> list[ast.stmt]:
    """The body of a class inside a block; empty where there is none."""
    for statement in body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return statement.body
    return []
