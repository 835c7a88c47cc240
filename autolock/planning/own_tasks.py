"""Tasks that a function starts one by one and awaits itself: what they run can as well be awaited where they start."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from autolock.planning.blocks import Refusal
from autolock.planning.statements import statements_of
from autolock.planning.task_groups import BY_HAND
from autolock.program.index import dotted

_STARTING = frozenset({"create_task", "ensure_future"})


@dataclass(slots=True)
class OwnTasks:
    """The calls that start tasks with what each runs, where one is awaited, and where all of some are gathered."""

    started: list[tuple[ast.stmt, ast.Call, ast.Call]] = field(default_factory=list)
    awaited: list[tuple[ast.stmt, ast.Await]] = field(default_factory=list)
    gathered: list[tuple[ast.stmt, ast.Await, tuple[str, ...]]] = field(default_factory=list)


def own_tasks(function: ast.AST, block: Sequence[ast.stmt], call: ast.Call, works: Sequence[ast.Call]) -> OwnTasks:
    """The tasks of a block that are started in a row, one of them by a call, and awaited from the next statement on.

    `works` are the calls that are known to make what the tasks run. Raises Refusal where anything else is done with a
    task, or something else before the first is waited for: it would come after what the tasks do.
    """
    starts = [_started(statement) for statement in block]
    place = next((n for n, start in enumerate(starts) if start is call), None)
    if place is None:
        raise Refusal(BY_HAND)
    first = last = place
    while first > 0 and starts[first - 1] is not None:
        first -= 1
    while last + 1 < len(block) and starts[last + 1] is not None:
        last += 1
    found, known, names = OwnTasks(), {id(work) for work in works}, set[str]()
    for statement, start in zip(block[first : last + 1], starts[first : last + 1], strict=True):
        if start is None or not isinstance(start.args[0], ast.Call) or id(start.args[0]) not in known:
            raise Refusal(BY_HAND)
        found.started.append((statement, start, start.args[0]))
        names |= {t.id for t in getattr(statement, "targets", ()) if isinstance(t, ast.Name)}
    for statement in statements_of(function):
        if statement.lineno > block[last].lineno:
            _note(found, statement, names)
    asked = [s for s, *_ in (*found.awaited, *found.gathered)]
    said = len(found.started) + len(found.awaited) + sum(len(g) for _, _, g in found.gathered)
    mentions = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id in names]
    following = block[last + 1] if last + 1 < len(block) else None
    if len(names) != len(found.started) or len(mentions) != said or following not in asked:
        raise Refusal(BY_HAND)
    return found


def _started(statement: ast.stmt) -> ast.Call | None:
    """`task = asyncio.create_task(work())`."""
    value = statement.value if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not isinstance(value, ast.Call) or not isinstance(getattr(statement, "targets", [None])[0], ast.Name):
        return None
    owner, _, name = dotted(value.func).rpartition(".")
    return value if name in _STARTING and owner in ("", "asyncio") and len(value.args) == 1 else None


def _note(found: OwnTasks, statement: ast.stmt, names: set[str]) -> None:
    """What the header of a statement awaits of the tasks."""
    for node in _header(statement):
        if not isinstance(node, ast.Await):
            continue
        value = node.value
        if isinstance(value, ast.Name) and value.id in names:
            found.awaited.append((statement, node))
        elif isinstance(value, ast.Call) and dotted(value.func) in ("asyncio.gather", "gather"):
            given = tuple(a.id for a in value.args if isinstance(a, ast.Name) and a.id in names)
            if given and len(given) == len(value.args) and not value.keywords:
                found.gathered.append((statement, node, given))


def _header(statement: ast.stmt) -> list[ast.AST]:
    """What a statement evaluates at once: not what is inside it, nor what a function in it does later on."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        found.append(node)
        later = ast.stmt | ast.ExceptHandler | ast.match_case | ast.Lambda | ast.GeneratorExp
        stack.extend(c for c in ast.iter_child_nodes(node) if not isinstance(c, later))
    return found
