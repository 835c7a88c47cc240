"""Whether a lock taken with `acquire()` is released when something goes wrong."""

from __future__ import annotations

import ast

from autolock.program.index import dotted
from autolock.program.linker import Program, blocks_in
from autolock.program.trace import LockUse

_LEAVING = (ast.Raise, ast.Return, ast.Continue)
#: Context managers that raise when their time is over.
_TIMEOUTS = frozenset({"timeout", "timeout_at", "fail_after"})


def is_leaked(program: Program, use: LockUse) -> bool:
    """Whether the `release()` of an `acquire()` in the same block is skipped by an exception in between."""
    place = leak(program, use)
    return place is not None


def leak(program: Program, use: LockUse) -> tuple[list[ast.stmt], int, int] | None:
    """The block, and the positions of `acquire()` and of the `release()` that an exception skips."""
    node = program.syntax_of(use.function)
    name = _called_on(use.node)
    if node is None or not name:
        return None
    for block in blocks_in(node):
        for start, statement in enumerate(block):
            if not any(n is use.node for n in ast.walk(_taking(statement))):
                continue
            if isinstance(statement, ast.If) and not _is_refusal(statement):
                held, first = statement.body, 0
            else:
                held, first = block, start + 1
            end = _release(held, first, name)
            if end is not None and any(_can_raise(s) for s in held[first:end]):
                return held, first - 1, end
    return None


def _taking(statement: ast.stmt) -> ast.AST:
    """The part of a statement that may take a lock for the statements after or in it."""
    if isinstance(statement, ast.If):
        return statement.test
    if isinstance(statement, ast.Try | ast.With | ast.AsyncWith):
        attempt = statement.body[0] if len(statement.body) == 1 and _gives_up(statement) else ast.Pass()
        return ast.Pass() if isinstance(attempt, ast.If) else _taking(attempt)
    return statement if isinstance(statement, ast.Expr | ast.Assign) else ast.Pass()


def _gives_up(statement: ast.Try | ast.With | ast.AsyncWith) -> bool:
    """Whether a block leaves where the lock is not to be had in time: a timeout, or a `try` of which all clauses leave.

    What comes after it has the lock.
    """
    if not isinstance(statement, ast.Try):
        managers = [item.context_expr for item in statement.items]
        return all(isinstance(m, ast.Call) and dotted(m.func).rpartition(".")[2] in _TIMEOUTS for m in managers)
    leaving = all(isinstance(handler.body[-1], _LEAVING) for handler in statement.handlers)
    return leaving and bool(statement.handlers) and not statement.orelse and not statement.finalbody


def _is_refusal(statement: ast.If) -> bool:
    """`if not lock.acquire(blocking=False): raise ...`: what follows has the lock."""
    negated = isinstance(statement.test, ast.UnaryOp) and isinstance(statement.test.op, ast.Not)
    return negated and isinstance(statement.body[-1], _LEAVING)


def waits(node: ast.AST) -> bool:
    """Whether a lock is waited for where it is taken: `with` waits, `acquire(blocking=False)` does not."""
    if not isinstance(node, ast.Call):
        return True
    first = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "blocking")]
    return not any(isinstance(value, ast.Constant) and value.value is False for value in first)


def asks_first(program: Program, use: LockUse) -> bool:
    """Whether a lock is taken where it is known to be free: nothing is awaited since it was asked whether it is held.

    `while lock.locked(): await asyncio.sleep(0.1)`, or `if lock.locked(): raise ...`, and then `with lock:`.
    """
    taken, node = use.stack[-1].statement, program.syntax_of(use.function)
    if not isinstance(taken, ast.With) or node is None:
        return False
    asked = {f"{ast.unparse(item.context_expr)}.locked()" for item in taken.items}
    for owner in ast.walk(node):
        if isinstance(owner, ast.While) and taken in owner.orelse and ast.unparse(owner.test) in asked:
            return not any(map(_awaits, owner.orelse[: owner.orelse.index(taken)]))
    for block in blocks_in(node):
        if taken not in block:
            continue
        for before in reversed(block[: block.index(taken)]):
            if isinstance(before, ast.If | ast.While) and ast.unparse(before.test) in asked:
                return isinstance(before, ast.While) or isinstance(before.body[-1], _LEAVING)
            if _awaits(before):
                return False
    return False


def _awaits(statement: ast.stmt) -> bool:
    return any(isinstance(n, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Yield) for n in ast.walk(statement))


def _called_on(node: ast.AST) -> str:
    return dotted(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _release(block: list[ast.stmt], start: int, name: str) -> int | None:
    """Where the block itself calls `NAME.release()`."""
    for index in range(start, len(block)):
        statement = block[index]
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Await):
            call = call.value
        if isinstance(call, ast.Call) and dotted(call.func) == f"{name}.release":
            return index
    return None


def _can_raise(statement: ast.stmt) -> bool:
    return any(
        isinstance(n, ast.Call | ast.Await | ast.Subscript | ast.Raise | ast.Return) for n in ast.walk(statement)
    )
