"""The answer that a check gives where the row is there, given again when another request was first to insert it."""

from __future__ import annotations

import ast

from autolock.database.trace import DatabaseTrace
from autolock.database.windows import RowWindow
from autolock.planning.answered import Function
from autolock.planning.blocks import Refusal
from autolock.planning.looks import row_looked_for
from autolock.planning.statements import statements_of

_BY_HAND = "roll back on IntegrityError, look again and answer with the row that is there by hand"


def stored_answer(window: RowWindow, node: Function) -> tuple[str, ast.expr, ast.Return]:
    """The name that the check has for the row, the look for it, and what is returned where it is there.

    Raises Refusal where anything else than that row is needed for the answer.
    """
    test = window.control.node if window.control is not None else None
    check = next((s for s in statements_of(node) if isinstance(s, ast.If) and s.test is test), None)
    if window.change.function != window.function or window.look.function != window.function:
        raise Refusal(_BY_HAND)
    if check is None or check.orelse or len(check.body) != 1 or not isinstance(check.body[0], ast.Return):
        raise Refusal(_BY_HAND)
    name, look = row_looked_for(node, window.first, test)
    answer = check.body[0]
    if answer.value is None or _names(answer.value) != {name} or _loaded(node, look):
        raise Refusal(_BY_HAND)
    return name, look, answer


def refuse_undone(window: RowWindow, trace: DatabaseTrace) -> None:
    """Refuse a rollback that would take back what was written before the look."""
    for entry, write in trace.writes:
        before = entry is window.entry and write.serial < window.look.serial
        if before and write.session is window.change.session and write.transaction == window.change.transaction:
            raise Refusal(
                f"a rollback would take back the `{write.model.ref.name}` that was written before: {_BY_HAND}"
            )


def _names(value: ast.expr) -> set[str]:
    """The names of an expression, without those of what it calls."""
    called = {id(n) for call in ast.walk(value) if isinstance(call, ast.Call) for n in ast.walk(call.func)}
    return {n.id for n in ast.walk(value) if isinstance(n, ast.Name) and id(n) not in called}


def _loaded(node: Function, look: ast.expr) -> bool:
    """Whether a look asks by an attribute of something the function was not given, which a rollback may forget."""
    arguments = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return any(
        isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in bound - arguments
        for n in ast.walk(look)
    )
