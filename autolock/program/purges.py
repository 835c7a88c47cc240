"""Removals that are decided on where they are made: a loop over the container has just chosen what goes."""

from __future__ import annotations

import ast


def chooses_itself(function: ast.AST, removal: ast.AST) -> bool:
    """Whether a function takes out of a container what it has found in it, without waiting in between.

    `for key in [k for k, v in self.jobs.items() if v.done]: del self.jobs[key]`. What somebody else
    has seen before has no say in what is taken.
    """
    container, key = _removed(removal)
    loop = next((n for n in ast.walk(function) if isinstance(n, ast.For) and _is_in(removal, n.body)), None)
    if container is None or loop is None or key not in {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}:
        return False
    chosen = _chosen(function, loop)
    if not any(ast.dump(n) == ast.dump(container) for source in chosen for n in ast.walk(source)):
        return False
    begun = min(source.lineno for source in chosen)
    waits = [n for n in ast.walk(function) if isinstance(n, ast.Await | ast.Yield | ast.AsyncFor | ast.AsyncWith)]
    return not any(begun <= wait.lineno <= (loop.end_lineno or loop.lineno) for wait in waits)


def _removed(removal: ast.AST) -> tuple[ast.expr | None, str]:
    """The container and the name of the key of `del d[key]`, `d.pop(key)`, `d.remove(key)`."""
    if isinstance(removal, ast.Delete) and isinstance(removal.targets[0], ast.Subscript):
        target = removal.targets[0]
        return target.value, target.slice.id if isinstance(target.slice, ast.Name) else ""
    if isinstance(removal, ast.Call) and isinstance(removal.func, ast.Attribute) and removal.args:
        key = removal.args[0]
        return removal.func.value, key.id if isinstance(key, ast.Name) else ""
    return None, ""


def _chosen(function: ast.AST, loop: ast.For) -> list[ast.expr]:
    """What a loop goes through, and where that is a name, what it is given before the loop."""
    if not isinstance(loop.iter, ast.Name):
        return [loop.iter]
    given = [
        n.value
        for n in ast.walk(function)
        if isinstance(n, ast.Assign)
        and n.lineno < loop.lineno
        and any(isinstance(t, ast.Name) and t.id == loop.iter.id for t in n.targets)
    ]
    return given or [loop.iter]


def _is_in(node: ast.AST, body: list[ast.stmt]) -> bool:
    return any(inner is node for statement in body for inner in ast.walk(statement))
