"""Containers that are built anew from what another one holds, a turn of a loop at a time."""

from __future__ import annotations

import ast

_FILLING = frozenset({"append", "add", "appendleft", "extend", "update"})


def sources_of(function: ast.AST, assignment: ast.AST) -> frozenset[ast.AST]:
    """What the loops of a function go through that fill what is assigned: `for ...: alive.append(m)`, `x.m = alive`."""
    value = assignment.value if isinstance(assignment, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Name):
        return frozenset()
    loops = [n for n in ast.walk(function) if isinstance(n, ast.For | ast.AsyncFor)]
    return frozenset(n for loop in loops if _fills(loop, value.id) for n in ast.walk(loop.iter))


def _fills(loop: ast.For | ast.AsyncFor, name: str) -> bool:
    """Whether a loop puts something into the container of this name."""
    for node in (n for statement in loop.body for n in ast.walk(statement)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            filled: ast.AST = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FILLING:
            filled = node.func.value
        else:
            continue
        if isinstance(filled, ast.Name) and filled.id == name:
            return True
    return False
