"""A session of its own for what goes on when the request is over, where it is a function for nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

from autolock.database.objects import Session
from autolock.database.session_windows import SessionWindow
from autolock.database.trace import DatabaseTrace
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.statements import bound_in
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.mentions import Mentions

_BY_HAND = "let the task open a session of its own, and give it the ids of the rows instead of the rows"
_ENDING = frozenset({"begin", "commit", "rollback", "close", "aclose"})
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_STARTING = frozenset({"create_task", "ensure_future"})


class Started(NamedTuple):
    """A function that is only started: the call that does, its parameter for the session, and what it is given."""

    function: Ref
    call: ast.Call
    parameter: str
    given: ast.expr


def only_started(program: Program, sources: Sources, window: SessionWindow) -> Started:
    """The function that a task runs, where one `asyncio.create_task` starts it and nothing else says its name.

    Raises Refusal where it serves others, too, or is given more than plain values beside the session.
    """
    task = window.task
    start = task.node if task is not None else None
    call = start.args[0] if isinstance(start, ast.Call) and start.args else None
    if task is None or task.kind != "task" or not isinstance(start, ast.Call) or not isinstance(call, ast.Call):
        raise Refusal(_BY_HAND)
    node, function = sources.node_of(task.task), task.task
    calls = [found for _, found in Mentions(program).calls(function)]
    if dotted(start.func).rpartition(".")[2] not in _STARTING or calls != [call] or "." in function.name:
        raise Refusal(_BY_HAND)
    if not isinstance(node, ast.AsyncFunctionDef) or node.decorator_list or _named(program, function) != 1:
        raise Refusal(_BY_HAND)
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    given = {**dict(zip(names, call.args, strict=False)), **{k.arg: k.value for k in call.keywords if k.arg}}
    sessions = [name for name, value in given.items() if ast.unparse(value) == window.name]
    starred = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
    if len(sessions) != 1 or starred or any(n.id == sessions[0] for n in bound_in(node)):
        raise Refusal(_BY_HAND)
    others = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)} - {sessions[0]}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in others:
            raise Refusal(f"`{inner.value.id}` may be a row of the request's session: give the task its id instead")
    return Started(function, call, sessions[0], given[sessions[0]])


def refuse_pending(trace: DatabaseTrace, window: SessionWindow, session: Session) -> None:
    """Refuse where the task may be about rows that the request has not committed when it starts the task."""
    start = window.first.lineno if window.first is not None else 0
    for entry, write in trace.writes:
        if entry is not window.entry or write.session is not session:
            continue
        lines = [f.statement.lineno for f in write.stack if f.function == window.function and f.statement]
        ends = [
            f.statement.lineno for c in write.commits for f in c.stack if f.function == window.function and f.statement
        ]
        if (not lines or lines[0] < start) and not any(line < start for line in ends):
            raise Refusal("the request has not committed what it writes when it starts the task: start it after that")


def refuse_prepared(sources: Sources, session: Session) -> None:
    """Refuse where who opens the session for a request does more than that: sets the tenant, say."""
    opener = session.opened.function if session.opened is not None else None
    node = sources.node_of(opener) if opener is not None and opener.kind == "function" else None
    name = session.names.get(opener) if opener is not None else None
    for inner in ast.walk(node) if node is not None else ():
        called = dotted(inner.func) if isinstance(inner, ast.Call) else ""
        given = isinstance(inner, ast.Call) and any(isinstance(a, ast.Name) and a.id == name for a in inner.args)
        if given or (name and called.startswith(f"{name}.") and called.rpartition(".")[2] not in _ENDING):
            raise Refusal(f"`{node.name if isinstance(node, _FUNCTION) else name}` prepares the session that it gives")


def without(call: ast.Call, given: ast.expr) -> ast.Call:
    """The call without one of its arguments."""
    return ast.Call(
        call.func, [a for a in call.args if a is not given], [k for k in call.keywords if k.value is not given]
    )


def body_of(node: ast.AsyncFunctionDef) -> list[ast.stmt]:
    """The statements of a function below its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def _named(program: Program, function: Ref) -> int:
    """How often the program says the name of a function, but to import it."""
    units: Iterable[ast.AST] = (u.tree for u in map(program.unit, program.modules) if u is not None)
    return sum(
        (isinstance(n, ast.Name) and n.id == function.name)
        or (isinstance(n, ast.Attribute) and n.attr == function.name)
        for tree in units
        for n in ast.walk(tree)
    )
