"""Tables of locks that go by one key, while what they are to guard goes by another."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autolock.program.branches import names_in
from autolock.program.linker import Program
from autolock.program.trace import Entry, Held, Write

#: Methods of text that make one of several spellings.
_COMMON = frozenset({"lower", "upper", "casefold", "title", "capitalize", "strip", "lstrip", "rstrip"})


class LockKeys:
    """Knows by which parameters the functions of one program choose locks and elements."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def differ(self, held: Held, write: Write, entry: Entry) -> bool:
        """Whether a lock is one of a table, chosen by another parameter than the element that is written under it.

        `async with locks[user]: stock[article] -= 1`: two users hold two locks. What has a place below the other in the
        address, as `/projects/{project}/files/{file}`, and what is compared with something may belong together. Two
        spellings of one name are two locks, too, where only the element goes by what they have in common.
        """
        function, lock = write.function, held.lock.location
        if lock is None or "[*]" not in lock.fields or held.stack[-1].serial != write.stack[-1].serial:
            return False
        node = self.program.syntax_of(function)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        parameters = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        parameters -= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        found = _lock_expression(held.node, node)
        chosen, element = names_in([found] if found is not None else []) & parameters, _key(write)
        if len(chosen) != 1 or found is None:
            return False
        (key,) = chosen
        if _is_spelled(element, key, node):
            return _goes_by(found, key)
        if not isinstance(element, ast.Name) or element.id not in parameters - chosen:
            return False
        return not any(f"{{{key}" in route for route in entry.routes) and not _is_compared(key, node)


def _lock_expression(taking: ast.AST, function: ast.AST) -> ast.AST | None:
    """How the lock of a `with` is found: what the name that it has there was given, if it has one."""
    if not isinstance(taking, ast.With | ast.AsyncWith) or len(taking.items) != 1:
        return None
    expression = taking.items[0].context_expr
    if not isinstance(expression, ast.Name):
        return expression
    given = [v for name, v in _assigned(function) if name == expression.id]
    return given[0] if len(given) == 1 else None


def _assigned(function: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))


def _key(write: Write) -> ast.expr | None:
    """The expression by which an assignment chooses the only element that it is about."""
    node = write.node
    target = node.target if isinstance(node, ast.AugAssign) else next(iter(getattr(node, "targets", ())), None)
    keys = [n.slice for n in ast.walk(target) if isinstance(n, ast.Subscript)] if target is not None else []
    deep = sum(field.startswith("[") for field in write.location.fields)
    return keys[0] if len(keys) == deep == 1 else None


def _goes_by(lock: ast.AST, name: str) -> bool:
    """Whether a lock is looked up in its table by a name as it is: `locks[name]`, `locks.setdefault(name, Lock())`."""
    if isinstance(lock, ast.Subscript):
        return isinstance(lock.slice, ast.Name) and lock.slice.id == name
    looked = (
        isinstance(lock, ast.Call) and isinstance(lock.func, ast.Attribute) and lock.func.attr in ("get", "setdefault")
    )
    first = lock.args[0] if looked and isinstance(lock, ast.Call) and lock.args else None
    return isinstance(first, ast.Name) and first.id == name


def _is_spelled(expression: ast.expr | None, name: str, function: ast.AST) -> bool:
    """Whether an expression is what several spellings of a parameter have in common: `name.lower()`, or its name."""
    if isinstance(expression, ast.Name):
        given = [v for local, v in _assigned(function) if local == expression.id]
        expression = given[0] if len(given) == 1 else None
    return expression is not None and any(
        isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr in _COMMON
        and name in names_in([n.func.value])
        for n in ast.walk(expression)
    )


def _is_compared(name: str, function: ast.AST) -> bool:
    """Whether something is compared with a parameter: whose it is, most of the time."""
    return any(name in names_in([n]) for n in ast.walk(function) if isinstance(n, ast.Compare))
