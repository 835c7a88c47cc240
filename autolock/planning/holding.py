"""What a request would wait for with rows locked."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autolock.database.trace import DatabaseTrace, RowRead, Wait
from autolock.database.windows import RowWindow
from autolock.findings import Safety
from autolock.planning.rowplan import RowPlan
from autolock.program.index import dotted
from autolock.program.linker import Program


def with_care(plan: RowPlan, window: RowWindow, trace: DatabaseTrace) -> RowPlan:
    """The plan, `unsafe` where a lock that it takes would be kept while another service is waited for."""
    wait = next(_while_locked(plan, window, trace), None)
    if wait is not None:
        plan.safety = Safety.UNSAFE
        plan.reason += (
            f" But `{wait.function.name}` waits for `{wait.text}` before the commit: until that answers, the row "
            "stays locked, and everybody who wants it waits with a connection of the pool."
        )
    return plan


def kept_by_scope(plan: RowPlan, window: RowWindow, program: Program) -> RowPlan:
    """The plan, `unsafe` where a request that fails keeps its scoped session, and with it the lock."""
    factory = window.look.session.factory
    if plan.holds and factory is not None and factory.scoped and not _is_removed_always(program):
        plan.safety = Safety.UNSAFE
        plan.reason += (
            " But a request that ends in an error keeps its scoped session, and with it the lock: call `remove()` in a "
            "`finally` first."
        )
    return plan


def _is_removed_always(program: Program) -> bool:
    """Whether some `finally` gives a scoped session back: `await Session.remove()`, or a helper that does."""
    units = [program.unit(path) for path in program.modules]
    trees = [unit.tree for unit in units if unit is not None]
    functions = (n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    helpers = {f.name for f in functions if any(_is_removal(n) for n in ast.walk(f))}
    return any(
        _is_removal(call) or (isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] in helpers)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for statement in node.finalbody
        for call in ast.walk(statement)
    )


def _is_removal(node: ast.AST) -> bool:
    """`Session.remove()`: unlike a list's, it is told of nothing."""
    return isinstance(node, ast.Call) and dotted(node.func).endswith(".remove") and not node.args


def _while_locked(plan: RowPlan, window: RowWindow, trace: DatabaseTrace) -> Iterator[Wait]:
    """The waits between where the plan locks and where the transaction ends."""
    for candidate in window.candidates if plan.holds else ():
        write = candidate.write
        since = write.serial if plan.holds == "write" else _loaded(candidate.read).serial
        for wait in trace.waits:
            if wait.entry is not candidate.entry or wait.serial < since or _precedes(wait, plan):
                continue
            if wait.serial < write.serial or write.transaction in wait.transactions:
                yield wait


def _loaded(read: RowRead) -> RowRead:
    """The SELECT of the row, where a column of it is looked at later."""
    origin = read.row.origin if read.row is not None else None
    return origin if isinstance(origin, RowRead) and origin.serial < read.serial else read


def _precedes(wait: Wait, plan: RowPlan) -> bool:
    """Whether something is waited for before the line on which the plan takes its lock."""
    if plan.taken_at is None:
        return False
    function, line = plan.taken_at
    return any(f.function == function and f.statement is not None and f.statement.lineno < line for f in wait.stack)
