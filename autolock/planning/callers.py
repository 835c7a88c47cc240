"""The caller that has both the row and the session, where the function that changes the row has no session."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from autolock.database.objects import Session
from autolock.database.windows import RowWindow
from autolock.planning.blocks import Refusal
from autolock.planning.statements import header_nodes, statements_of
from autolock.planning.wrappers import without_wrappers
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.trace import Frame


class Calling(NamedTuple):
    """A function on the way to the change: the name that it has for the row, and its statement that hands it on."""

    function: Ref
    row: str
    statement: ast.stmt


def callers_with_row(program: Program, window: RowWindow, row: str) -> Iterator[Calling]:
    """The callers of the function that changes the row, innermost first, as long as they hand the row on by name."""
    stack = without_wrappers(program, window.change.stack)
    for outer, inner in zip(reversed(stack[:-1]), reversed(stack), strict=False):
        if outer.function is None or inner.function is None or outer.statement is None:
            return
        given = _given(program, inner.function, outer.statement, row)
        if given is None:
            return
        row = given
        yield Calling(outer.function, row, outer.statement)


def session_of_object(function: Ref, session: Session) -> str | None:
    """The session as another method of the same class says it: `self.session`."""
    owner = function.name.rpartition(".")[0]
    said = (
        name
        for other, name in session.names.items()
        if owner and other.path == function.path and other.name.rpartition(".")[0] == owner
    )
    return next((name for name in said if name.startswith("self.")), None)


def session_through_calls(function: Ref, session: Session, *stacks: Sequence[Frame]) -> str | None:
    """The session as a function can write it that runs its queries through others: `self.orders.session`."""
    for stack in stacks:
        for place, frame in enumerate(stack[:-1]):
            if frame.function == function:
                found = _said_in(stack[place:], session)
                if found is not None:
                    return found
    return None


def _said_in(stack: Sequence[Frame], session: Session) -> str | None:
    """The session's name in the outermost of some calls."""
    outer = stack[0]
    said = session.names.get(outer.function) if outer.function is not None else None
    if said is not None or len(stack) < 2:
        return said
    callee, inner = stack[1].function, _said_in(stack[1:], session)
    if callee is None or outer.statement is None or inner is None:
        return None
    root, dot, rest = inner.partition(".")
    short = callee.name.rpartition(".")[2]
    calls = [n for n in header_nodes(outer.statement) if isinstance(n, ast.Call) and _called(n) == short]
    if root != "self" or not dot or len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return None
    receiver = dotted(calls[0].func.value)
    return f"{receiver}.{rest}" if receiver else None


def argument_of(program: Program, callee: Ref, statement: ast.stmt, parameter: str) -> ast.expr | None:
    """What the one call of a function in a statement gives to a parameter; None where that is not written there."""
    node = program.syntax_of(callee)
    if node is None:
        return None
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    short = callee.name.rpartition(".")[2]
    calls = [n for n in header_nodes(statement) if isinstance(n, ast.Call) and _called(n) == short]
    if len(calls) != 1 or parameter not in (*names, *(a.arg for a in node.args.kwonlyargs)):
        return None
    call = calls[0]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    by_name = next((k.value for k in call.keywords if k.arg == parameter), None)
    place = names.index(parameter) if parameter in names else len(call.args)
    value = by_name if by_name is not None else call.args[place] if place < len(call.args) else None
    return None if isinstance(value, ast.Starred) else value


def _given(program: Program, callee: Ref, statement: ast.stmt, parameter: str) -> str | None:
    """The plain name that a statement hands to a parameter of a function; None for anything else."""
    value = argument_of(program, callee, statement, parameter)
    return value.id if isinstance(value, ast.Name) else None


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def first_with_session(callings: Iterator[Calling], session_name: Callable[[Ref], str]) -> tuple[Calling, str]:
    """The innermost of them that has a session at hand, and its name there; raises Refusal."""
    for calling in callings:
        try:
            return calling, session_name(calling.function)
        except Refusal:
            continue
    raise Refusal("no function on the way has both the row and a session at hand: lock the row where it is loaded")


def uses_up_to(node: ast.AST, row: str, columns: set[str], last: ast.stmt) -> list[ast.stmt]:
    """The statements of a function that look at columns of the row, up to one that hands it on, and that one."""
    before = [
        s
        for s in statements_of(node)
        for n in header_nodes(s)
        if isinstance(n, ast.Attribute) and n.attr in columns and ast.unparse(n.value) == row
        if s.lineno <= last.lineno
    ]
    return [*before, last]
