"""Work of which only one run is started at a time: a flag or the task itself is asked before it is started."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator
from itertools import pairwise

from autolock.program.index import dotted
from autolock.program.linker import blocks_in, statements_in

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_STARTING = frozenset({"create_task", "ensure_future", "gather", "run_in_executor"})
_WAITING = frozenset({"wait_for", "shield", "gather", "timeout"})


_TAKES_LOCK = re.compile(r"(acquire|take|obtain|get)_\w*lock$")
_GIVES_LOCK = re.compile(r"(release|drop|free|give)_\w*lock$|^unlock$")

Flag = tuple[str, object]
"""What is asked and set, as it is written, and the value that says that something runs."""


def flies_alone(function: _Function, start: ast.AST, claims: Container[ast.AST] = ()) -> bool:
    """Whether a function leaves while what it starts with `start` runs.

    `if job.running: raise ...` and `job.running = True`, or `if self.task: return` and `self.task = create_task(...)`;
    or `if not await job.claim(): return`, where that call is one of `claims`, which do both.
    """
    if isinstance(function, ast.Lambda):
        return False
    wanted: set[Flag] = set()
    for statement in statements_in(function):
        if isinstance(statement, ast.If) and statement.lineno < getattr(start, "lineno", 0) and leaves(statement.body):
            wanted |= asked(statement.test)
            if isinstance(statement.test, ast.UnaryOp) and _is_told(function, statement.test, claims):
                return True
    if not wanted:
        return False
    shared = {name for n in ast.walk(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    return not wanted.isdisjoint(_marked(function, start, shared))


def started_for_itself(function: _Function, task: str) -> bool:
    """Whether a name only stands for tasks that the function starts and hands to nobody: none is waited for twice.

    `task = asyncio.create_task(work())`, then nothing but `await task`, `asyncio.wait_for(task, 5)`, `task.cancel()`.
    """
    started: list[ast.expr] = []
    for statement in statements_in(function):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.Assign) and any(isinstance(t, ast.Name) and t.id == task for t in targets):
            started.append(statement.value)
    if not started or not all(_last_name(value) in _STARTING for value in started):
        return False
    named = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == task and isinstance(n.ctx, ast.Load)]
    own: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Await | ast.Attribute):
            own.add(id(node.value))
        elif isinstance(node, ast.Call) and _last_name(node) in _WAITING:
            own.update(id(a) for a in node.args)
    return all(id(n) in own for n in named)


def _last_name(node: ast.expr) -> str:
    """`create_task` of `asyncio.create_task(...)`."""
    return dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def claims_first(function: _Function) -> bool:
    """Whether a function sets a flag and says so, or says that the flag was set already.

    `if self.busy: return False`, `self.busy = True`, `return True`, with no `await` after the look.
    """
    if isinstance(function, ast.Lambda):
        return False
    for block in blocks_in(function, ("body",)):
        for index, statement in enumerate(block):
            if not isinstance(statement, ast.If) or not _returns(statement.body[-1], value=False):
                continue
            after = block[index + 1 :]
            if not after or not _returns(after[-1], value=True):
                continue
            marks = {flag for s in after for flag in set_by(s)}
            if marks & asked(statement.test) and not any(isinstance(n, ast.Await) for s in after for n in ast.walk(s)):
                return True
    return False


def set_by(statement: ast.stmt) -> set[Flag]:
    """What an assignment sets, as it is written, and to which constant."""
    if not isinstance(statement, ast.Assign):
        return set()
    return {(ast.unparse(target), _value(statement.value)) for target in statement.targets}


def _returns(statement: ast.stmt, *, value: bool) -> bool:
    returned = statement.value if isinstance(statement, ast.Return) else None
    return isinstance(returned, ast.Constant) and returned.value is value


def _is_told(function: ast.AST, test: ast.UnaryOp, claims: Container[ast.AST]) -> bool:
    """Whether a test is that a claim has failed, which was made there or put under a name before."""
    if not isinstance(test.op, ast.Not):
        return False
    told = test.operand.value if isinstance(test.operand, ast.Await) else test.operand
    if not isinstance(told, ast.Name):
        return told in claims
    values = [
        n.value.value if isinstance(n.value, ast.Await) else n.value
        for n in ast.walk(function)
        if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == told.id for t in n.targets)
    ]
    return len(values) == 1 and values[0] in claims


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
        looked = {ast.unparse(n) for n in ast.walk(branch.test)}
        waits = any(isinstance(n, ast.Await) for s in branch.body for n in ast.walk(s))
        end = branch.body[-1].end_lineno or marked
        later = [n for n in ast.walk(function) if isinstance(n, ast.Await) and end < n.lineno <= marked]
        if waits and not later and looked & {table, *found} and leaves(branch.body):
            return True
    return False


def lock_taken(test: ast.If, before: list[ast.stmt]) -> ast.Call | None:
    """The call that tells whether a lock outside of the process was got, where a test leaves when it was not.

    `if not await acquire_lock(key): return`, or the same by a name that the statement before has given it.
    """
    if not isinstance(test.test, ast.UnaryOp) or not isinstance(test.test.op, ast.Not):
        return None
    told: ast.expr = test.test.operand
    last = before[-1] if before else None
    if isinstance(told, ast.Name) and isinstance(last, ast.Assign) and ast.unparse(last.targets[0]) == told.id:
        told = last.value
    call = told.value if isinstance(told, ast.Await) else told
    return call if isinstance(call, ast.Call) and _TAKES_LOCK.search(_called(call)) else None


def lock_given_back(function: ast.AST) -> int:
    """The last line at which a function gives such a lock back, by the name of what it calls; 0 where it does not."""
    calls = (n for n in ast.walk(function) if isinstance(n, ast.Call))
    return max((call.lineno for call in calls if _GIVES_LOCK.search(_called(call))), default=0)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def leaves(body: list[ast.stmt]) -> bool:
    """Whether a block ends in a `return` or `raise`, in whatever way it is left."""
    last = body[-1]
    if isinstance(last, ast.Try):
        return leaves(last.body) and all(leaves(handler.body) for handler in last.handlers)
    return isinstance(last, ast.Return | ast.Raise)


def _marked(function: ast.AST, start: ast.AST, shared: set[str]) -> Iterator[Flag]:
    """What the function sets to a constant, or to what it starts, and others see."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            table = ast.unparse(node.func.value)
            for given in node.args:
                if isinstance(given, ast.Dict):
                    pairs = zip(given.keys, given.values, strict=True)
                    yield from ((f"{table}[{ast.unparse(k)}]", _value(v)) for k, v in pairs if k is not None)
        if not isinstance(node, ast.Assign):
            continue
        value = True if any(inner is start for inner in ast.walk(node.value)) else _value(node.value)
        for target in node.targets:
            if isinstance(target, ast.Attribute | ast.Subscript) or (
                isinstance(target, ast.Name) and target.id in shared
            ):
                yield ast.unparse(target), value


def _value(node: ast.expr) -> object:
    """The value of a constant, or the name of a member of a class; of anything else None: nothing runs."""
    return node.value if isinstance(node, ast.Constant) else _member(node)


def _member(node: ast.expr) -> str | None:
    """`Status.RUNNING` of `models.Status.RUNNING`, which a class says, as of an enumeration; None of anything else."""
    owner, _, name = dotted(node).rpartition(".")
    last = owner.rpartition(".")[2]
    return f"{last}.{name}" if last[:1].isupper() else None


def asked(test: ast.expr) -> set[Flag]:
    """What has to be true, there, or a certain constant, for a test to come out true."""
    if isinstance(test, ast.BoolOp):
        return set().union(*map(asked, test.values))
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot | ast.Is | ast.Eq):
        right = test.comparators[0]
        if _member(right) is not None and not isinstance(test.ops[0], ast.IsNot):
            return {(ast.unparse(test.left), _member(right))}
        if not isinstance(right, ast.Constant) or (right.value is None) != isinstance(test.ops[0], ast.IsNot):
            return set()
        return {(ast.unparse(test.left), True if right.value is None else right.value)}
    return {(ast.unparse(test), True)} if isinstance(test, ast.Name | ast.Attribute | ast.Subscript) else set()
