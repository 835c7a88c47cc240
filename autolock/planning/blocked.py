"""What is waited for while a lock is held: threads and tasks that may need the lock before they let it go on."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence

from autolock.planning.blocks import last_name, own_nodes
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

#: Calls that hand a function to another thread and come back at once.
_STARTING = frozenset({"submit", "Thread", "Timer", "start_new_thread", "add_task"})
#: Calls that wait until what was handed over is done.
_WAITING = frozenset({"result", "exception", "join", "wait", "as_completed", "shutdown"})
_TASKS = frozenset({"create_task", "ensure_future"})
_PASSING = frozenset({"gather", "wait", "wait_for", "shield", "as_completed"})
_QUEUE = re.compile(r"queue|inbox|mailbox|channel|_q$", re.IGNORECASE)

#: Which function of the project is meant where a name of it is given to something.
Meant = Callable[[Ref, ast.expr], "Ref | None"]


def waits_for_threads(program: Program, function: Ref, statements: Sequence[ast.stmt]) -> str:
    """What some statements of a thread wait for until others bring it about: an event, a thread, a full queue."""
    for node in own_nodes(statements):
        method = node.func if isinstance(node, ast.Call) and _says_nothing(node) else None
        if not isinstance(method, ast.Attribute):
            continue
        taken = method.attr == "get" and _is_queue(program, function, dotted(method.value))
        if taken or method.attr in ("wait", "join"):
            return ast.unparse(method)
    return ""


def _is_queue(program: Program, function: Ref, name: str) -> bool:
    """Whether a name is that of a queue, or called like one."""
    found = program.resolve(function.path, name, function.name) if name else None
    variable = found[0] if found is not None and found[0].kind == "variable" and not found[1] else None
    binding = program.modules[variable.path].bindings.get(variable.name) if variable is not None else None
    made = binding.callee.endswith("Queue") if binding is not None else False
    return made or _QUEUE.search(name.rpartition(".")[2]) is not None


def handed_over(function: Ref, statements: Sequence[ast.stmt], meant: Meant) -> Iterator[Ref]:
    """The functions that some statements have another thread run, and wait for."""
    nodes = list(own_nodes(statements))
    calls = [n for n in nodes if isinstance(n, ast.Call)]
    waits = any(last_name(call) in _WAITING for call in calls) or any(
        isinstance(n, ast.With) and any(last_name(i.context_expr).endswith("Executor") for i in n.items) for n in nodes
    )
    for call in calls:
        if last_name(call) in _STARTING and not waits:
            continue
        for given in (*call.args, *(keyword.value for keyword in call.keywords)):
            found = meant(function, given) if isinstance(given, ast.Name | ast.Attribute) else None
            if found is not None:
                yield found


def started(function: Ref, statements: Sequence[ast.stmt], meant: Meant) -> Iterator[Ref]:
    """The coroutines that some statements start as tasks, where they also wait for tasks by name."""
    nodes = list(own_nodes(statements))
    if not any(isinstance(n, ast.Await) and _is_for_tasks(n.value) for n in nodes):
        return
    for call in nodes:
        given = call.args[0] if isinstance(call, ast.Call) and last_name(call) in _TASKS and call.args else None
        found = meant(function, given.func) if isinstance(given, ast.Call) else None
        if found is not None:
            yield found


def _is_for_tasks(awaited: ast.expr) -> bool:
    """Whether something that was started before is awaited: `await task`, `await asyncio.gather(*tasks)`."""
    if isinstance(awaited, ast.Call):
        return last_name(awaited) in _PASSING and any(_is_for_tasks(a) for a in awaited.args)
    return isinstance(awaited, ast.Name | ast.Starred)


def _says_nothing(call: ast.Call) -> bool:
    """Whether a call gives nothing but how long to wait."""
    timed = all(isinstance(a, ast.Constant) and isinstance(a.value, int | float) for a in call.args)
    return timed and len(call.args) < 2 and all(k.arg in ("timeout", "block") for k in call.keywords)
