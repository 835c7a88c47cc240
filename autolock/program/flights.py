"""Work of which only one run is started at a time: a flag or the task itself is asked before it is started."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def flies_alone(function: _Function, start: ast.AST) -> bool:
    """Whether a function leaves while what it starts with `start` runs.

    `if job.running: raise ...` and `job.running = True`, or `if self.task: return` and `self.task = create_task(...)`.
    """
    if isinstance(function, ast.Lambda):
        return False
    asked: set[str] = set()
    for statement in ast.walk(function):
        if isinstance(statement, ast.If) and statement.lineno < getattr(start, "lineno", 0):
            leaves = isinstance(statement.body[-1], ast.Raise | ast.Return)
            asked |= _asked(statement.test) if leaves else set()
    if not asked:
        return False
    shared = {name for n in ast.walk(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    return not asked.isdisjoint(_marked(function, start, shared))


def has_room(function: _Function, put: ast.Call, queue: str) -> bool:
    """Whether the statement before `await queue.put(x)` is `if queue.full():`, which takes one out or leaves."""
    for node in ast.walk(function):
        for body in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
            for before, after in pairwise(body) if isinstance(body, list) else ():
                waits = isinstance(after, ast.Expr) and isinstance(after.value, ast.Await) and after.value.value is put
                if waits and isinstance(before, ast.If) and ast.unparse(before.test) == f"{queue}.full()":
                    last = before.body[-1]
                    leaves = isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break)
                    return leaves or f"{queue}.get_nowait()" in ast.unparse(before)
    return False


def joins_flight(function: _Function, wait: ast.stmt) -> bool:
    """Whether a function, before it waits, finds what another run of it waits for already, and waits for that instead.

    `if key in running: return await running[key]`, or the same by `running.get(key)`, and then
    `running[key] = future` with no `await` of its own in between.
    """
    if isinstance(function, ast.Lambda):
        return False
    marks = [
        (n.lineno, t.value)
        for n in ast.walk(function)
        if isinstance(n, ast.Assign) and n.lineno < wait.lineno
        for t in n.targets
        if isinstance(t, ast.Subscript)
    ]
    return any(_joins(function, ast.unparse(table), line) for line, table in marks)


def _joins(function: ast.AST, table: str, marked: int) -> bool:
    """Whether a branch before a line waits for what is in the table and leaves, and nothing is awaited after it."""
    found = {
        t.id
        for n in ast.walk(function)
        if isinstance(n, ast.Assign) and table in ast.unparse(n.value)
        for t in n.targets
        if isinstance(t, ast.Name)
    }
    for branch in ast.walk(function):
        if not isinstance(branch, ast.If) or branch.lineno > marked:
            continue
        asked = {ast.unparse(n) for n in ast.walk(branch.test)}
        waits = any(isinstance(n, ast.Await) for s in branch.body for n in ast.walk(s))
        end = branch.body[-1].end_lineno or marked
        later = [n for n in ast.walk(function) if isinstance(n, ast.Await) and end < n.lineno <= marked]
        if waits and not later and asked & {table, *found} and _leaves(branch.body):
            return True
    return False


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether a block ends in a `return` or `raise`, in whatever way it is left."""
    last = body[-1]
    if isinstance(last, ast.Try):
        return _leaves(last.body) and all(_leaves(handler.body) for handler in last.handlers)
    return isinstance(last, ast.Return | ast.Raise)


def _marked(function: ast.AST, start: ast.AST, shared: set[str]) -> Iterator[str]:
    """What the function sets to True, or to what it starts, and others see."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        sets = isinstance(node.value, ast.Constant) and node.value.value is True
        if not sets and not any(inner is start for inner in ast.walk(node.value)):
            continue
        for target in node.targets:
            if isinstance(target, ast.Attribute | ast.Subscript) or (
                isinstance(target, ast.Name) and target.id in shared
            ):
                yield ast.unparse(target)


def _asked(test: ast.expr) -> set[str]:
    """What has to be true, or there, for a test to come out true."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return set().union(*map(_asked, test.values))
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot | ast.Is | ast.Eq):
        right = test.comparators[0]
        there = isinstance(right, ast.Constant) and (right.value is None) == isinstance(test.ops[0], ast.IsNot)
        return {ast.unparse(test.left)} if there else set()
    return {ast.unparse(test)} if isinstance(test, ast.Name | ast.Attribute | ast.Subscript) else set()
