"""What leaves the process on the strength of rows that nobody else can see yet."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.database.trace import Effect, RowRead, RowWrite
from autolock.program.index import dotted
from autolock.program.values import FunctionValue, Heap, Method, Row, Value

if TYPE_CHECKING:
    from autolock.program.core import Core

#: Methods that queue a task, whatever they are methods of.
_QUEUING = frozenset({"apply_async", "send_task", "enqueue_job", "kiq"})
#: Methods that do when what they are called on is a function.
_OF_FUNCTIONS = frozenset({"delay", "send"})
_PUTTING = frozenset({"put", "put_nowait"})
#: Arguments by which a task is made to wait.
_LATER = frozenset({"countdown", "eta", "_defer_by", "_defer_until"})


class SideEffects:
    """Notes tasks and messages while rows that they are about are pending."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def called(self, method: Method, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> None:
        """A method is called: perhaps it queues a task."""
        if self.core.recording and not _LATER & kwargs.keys() and self.queues(method):
            self.note(args, kwargs, node, "task")

    def queues(self, method: Method) -> bool:
        """Whether a method hands something to another process or task."""
        obj, name = method.receiver.obj, method.name
        if name in _PUTTING:
            return isinstance(obj, Heap) and obj.location is not None and obj.type.name.endswith("Queue")
        if name in _QUEUING:
            return True
        if name not in _OF_FUNCTIONS or not isinstance(obj, FunctionValue) or isinstance(obj.node, ast.Lambda):
            return False
        decorators = [dotted(d.func if isinstance(d, ast.Call) else d) for d in obj.node.decorator_list]
        return bool(decorators) and (name == "delay" or any(d.endswith("actor") for d in decorators))

    def note(self, args: list[Value], kwargs: dict[str, Value], node: ast.Call, kind: str) -> None:
        """Something is started with these arguments."""
        core = self.core
        if not core.frames or core.frame.ref is None:
            return
        rows = self.rows_in(node)
        terms = {v.term for v in (*args, *kwargs.values()) if v.term and v.made != "const"}
        for transaction in core.state.transactions.values():
            about = tuple(w for w in transaction.pending if not w.commits and (w.row in rows or terms & _keys(w)))
            if about and about[0].session is not None:
                effect = Effect(
                    node,
                    core.stack(),
                    core.context,
                    core.entry,
                    about[0].session,
                    kind,
                    transaction.serial,
                    about,
                )
                core.database.rows.trace.effects.append(effect)

    def rows_in(self, node: ast.Call) -> set[Row]:
        """The rows that the arguments of a call name."""
        variables = self.core.frame.env.vars
        found: set[Row] = set()
        for argument in (*node.args, *(k.value for k in node.keywords)):
            for name in ast.walk(argument):
                value = variables.get(name.id) if isinstance(name, ast.Name) else None
                if value is None:
                    continue
                if isinstance(value.obj, Row):
                    found.add(value.obj)
                found |= {r.row for r in value.reads if isinstance(r, RowRead) and r.row is not None}
        return found


def _keys(write: RowWrite) -> set[str]:
    """What the row that is written was found by."""
    conditions = list(write.conditions)
    if write.row is not None and isinstance(write.row.origin, RowRead):
        conditions += write.row.origin.query.conditions
    return {c.value.term for c in conditions if c.operator == "==" and c.value.term}
