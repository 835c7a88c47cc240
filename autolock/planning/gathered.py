"""What a gather is given by name: coroutines that do not run yet can be awaited one after the other as well."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence


def not_running(function: ast.AST, gather: ast.Call, works: Iterable[ast.Call]) -> list[str]:
    """The variables among a gather's arguments that hold nothing but coroutines, or a list of them, for this gather.

    `works` are the calls that are known to make what is gathered.
    """
    plain = [a.value if isinstance(a, ast.Starred) else a for a in gather.args]
    known = {id(call) for call in works}
    return [a.id for a in plain if isinstance(a, ast.Name) and _is_only_gathered(function, gather, a.id, known)]


def name_for_one(function: ast.AST, named: Sequence[str]) -> str:
    """A name for one of a list, of which the function does not use: `task` for `tasks`."""
    taken = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    taken |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    singular = [n[:-1] for n in named if n.endswith("s") and len(n) > 2]
    free = (n for n in (*singular, "each", "awaitable", "coroutine") if n not in taken)
    return next(free, "one_of_them")


def _is_only_gathered(function: ast.AST, gather: ast.Call, name: str, known: set[int]) -> bool:
    """Whether a variable is only filled with calls that are known, and gathered."""
    allowed = {id(n) for n in ast.walk(gather)}
    made: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and _is(node.targets[0], name):
            made.append(node.value)
            allowed.add(id(node.targets[0]))
        elif isinstance(node, ast.AnnAssign) and _is(node.target, name) and node.value is not None:
            made.append(node.value)
            allowed.add(id(node.target))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is(node.func.value, name):
            if node.func.attr != "append" or len(node.args) != 1:
                return False
            made.append(node.args[0])
            allowed.add(id(node.func.value))
        elif isinstance(node, ast.If):
            allowed.add(id(node.test))
    uses = (n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name)
    return all(id(n) in allowed for n in uses) and all(_makes_known(value, known) for value in made)


def _makes_known(value: ast.expr, known: set[int]) -> bool:
    """Whether an expression is one of the calls, or lists only such."""
    if isinstance(value, ast.ListComp):
        return _makes_known(value.elt, known)
    if isinstance(value, ast.List):
        return all(_makes_known(element, known) for element in value.elts)
    return isinstance(value, ast.Call) and id(value) in known


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
