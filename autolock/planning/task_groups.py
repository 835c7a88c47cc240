"""Tasks of one `asyncio.TaskGroup` that can as well be awaited one after the other."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from autolock.planning.blocks import Refusal
from autolock.planning.statements import statements_of
from autolock.program.index import dotted

BY_HAND = "the tasks are started one by one: await each before the next, or give each its own session"


@dataclass(slots=True)
class GroupOfTasks:
    """The block, the calls that start its tasks with what each of them runs, and where a result is asked for."""

    block: ast.AsyncWith
    started: list[tuple[ast.stmt, ast.Call, ast.Call]] = field(default_factory=list)
    results: list[tuple[ast.stmt, ast.Call]] = field(default_factory=list)


def group_of_tasks(function: ast.AST, call: ast.Call, works: Sequence[ast.Call]) -> GroupOfTasks:
    """The group in which a call starts a task, where nothing else is done with it; raises Refusal.

    `works` are the calls that are known to make what the tasks run.
    """
    block = next((s for s in ast.walk(function) if isinstance(s, ast.AsyncWith) and _holds(s, call)), None)
    item = block.items[0] if block is not None and len(block.items) == 1 else None
    maker = item.context_expr if item is not None else None
    name = item.optional_vars.id if item is not None and isinstance(item.optional_vars, ast.Name) else ""
    if block is None or not isinstance(maker, ast.Call) or not name or not dotted(maker.func).endswith("TaskGroup"):
        raise Refusal(BY_HAND)
    found, known = GroupOfTasks(block), {id(work) for work in works}
    tasks: set[str] = set()
    for statement in block.body:
        started = _started(statement, name)
        if started is None or id(started.args[0]) not in known or not isinstance(started.args[0], ast.Call):
            raise Refusal(BY_HAND)
        found.started.append((statement, started, started.args[0]))
        tasks |= {t.id for t in getattr(statement, "targets", ()) if isinstance(t, ast.Name)}
    found.results = _results(function, tasks, block)
    mentions = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id in {name, *tasks}]
    if len(mentions) != 1 + len(found.started) + len(tasks) + len(found.results):
        raise Refusal(BY_HAND)  # a task is waited for, cancelled or handed on
    return found


def _holds(block: ast.AsyncWith, call: ast.Call) -> bool:
    return any(node is call for statement in block.body for node in ast.walk(statement))


def _started(statement: ast.stmt, group: str) -> ast.Call | None:
    """`group.create_task(work())` in a statement that does nothing else."""
    value = statement.value if isinstance(statement, ast.Assign | ast.Expr) else None
    plain = not isinstance(statement, ast.Assign) or (
        len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)
    )
    if not plain or not isinstance(value, ast.Call) or dotted(value.func) != f"{group}.create_task":
        return None
    return value if len(value.args) == 1 else None


def _results(function: ast.AST, tasks: set[str], block: ast.AsyncWith) -> list[tuple[ast.stmt, ast.Call]]:
    """The calls of `task.result()` after the block, each with its statement."""
    later = [s for s in statements_of(function) if s.lineno > (block.end_lineno or block.lineno)]
    found: dict[int, tuple[ast.stmt, ast.Call]] = {}
    for statement in later:
        for node in ast.walk(statement):
            asked = isinstance(node, ast.Call) and not node.args and dotted(node.func).endswith(".result")
            if asked and isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[0] in tasks:
                found[id(node)] = (statement, node)
    return list(found.values())
