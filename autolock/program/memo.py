"""Functions that keep their answers: what is kept under a key is given back, and what is not is found out and kept."""

from __future__ import annotations

import ast

from autolock.program.branches import names_in
from autolock.program.linker import statements_in


def keeps_answers(function: ast.AST, store: ast.stmt) -> bool:
    """Whether a function gives back what a container has, and puts it there with `store` where it has nothing.

    `if key in cache: ... return cache[key]` or `found = cache.get(key)`, `if found is not None: return found`, and then
    `cache[key] = ask(key)`.
    """
    target = store.targets[0] if isinstance(store, ast.Assign) else None
    if not isinstance(target, ast.Subscript):
        return False
    container = ast.unparse(target.value)
    found: set[str] = set()
    for statement in statements_in(function):
        if statement.lineno >= store.lineno:
            continue
        if isinstance(statement, ast.Assign) and _mentions(statement.value, container):
            found |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
        asks = isinstance(statement, ast.If) and (
            _mentions(statement.test, container) or not found.isdisjoint(names_in([statement.test]))
        )
        if asks and isinstance(statement, ast.If) and any(map(_gives_back, statement.body)):
            return True
    return False


def _mentions(node: ast.expr, text: str) -> bool:
    return any(isinstance(n, ast.Name | ast.Attribute) and ast.unparse(n) == text for n in ast.walk(node))


def _gives_back(statement: ast.stmt) -> bool:
    """Whether a value is returned in a statement."""
    return any(
        isinstance(n, ast.Return) and n.value is not None and not isinstance(n.value, ast.Constant | ast.Dict)
        for n in ast.walk(statement)
    )
