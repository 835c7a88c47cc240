"""What endpoints keep in shared state while a model works: conversations, streams, budgets."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autolock.program.trace import Suspension, context_name
from autolock.program.values import Own
from autolock.program.windows import RaceWindow, meeting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from autolock.llm.trace import ModelCall
    from autolock.program.linker import Program
    from autolock.program.trace import Entry, Trace, Write

#: Where things live that outlast a request.
_LASTING = frozenset({"variable", "class", "state", "cell", "cached", "instance", "default"})
#: What says how much a model gave, and nothing of it.
_MEASURES = frozenset({"len", "int", "float", "bool", "sum", "count", "isinstance", "usage", "time"})


@dataclass(slots=True)
class ExchangeWindow(RaceWindow):
    """A Window over what all requests put into one place while a model works.

    `kind` is conversation-shared (a turn is put in, the model is given all of it, another turn is put in),
    turns-mixed (the same, but what is put there is of one conversation) or stream-shared (a stream's parts are put
    in, those of others between them).
    """


def mark(windows: Iterable[RaceWindow], calls: Sequence[ModelCall]) -> None:
    """Note in each window the call of a model that lies between its ends."""
    by_node = {id(call.node): call for call in calls}
    in_order = sorted(calls, key=lambda call: call.serial)
    for window in windows:
        read, write, between = window.read, window.write, window.between
        if read is None or write is None or not window.race or window.relation != "unguarded":
            continue
        if window.kind == "late-read":
            window.exchange = next((call for call in in_order if read in call.reads), None)
            window.handed = window.exchange is not None
            continue
        first, last = sorted((read.serial, write.serial))
        inside = [call for call in in_order if first < call.serial < last and call.entry is window.entry]
        awaited = getattr(between.node, "value", None) if between is not None else None
        if not inside and id(awaited) in by_node:
            inside = [by_node[id(awaited)]]
        given = [c for c in inside if any(r.location.base == window.location.base for r in c.reads)]
        if given or inside:
            window.exchange = (given or inside)[0]
            window.handed = bool(given)


class ExchangeFinder:
    """Finds what no read-write window tells: things are only ever added, and still get mixed up."""

    def __init__(self, program: Program, trace: Trace, calls: Sequence[ModelCall]) -> None:
        self.program = program
        self.trace = trace
        self.calls = calls

    def windows(self, known: Sequence[RaceWindow]) -> list[RaceWindow]:
        """The known windows, and in the place of those that tell less of the same state these."""
        told = {(w.location.base, w.function) for w in known if w.is_stored_back or w.kind == "late-read"}
        found: list[RaceWindow] = []
        for entry, writes in self._by_entry().items():
            calls = [c for c in self.calls if c.entry is entry]
            shared = [w for w in writes if _is_one_for_all(w)]
            kept = [w for w in writes if _is_one_of_many(w)]
            for window in (
                *self.conversations("conversation-shared", entry, shared, calls),
                *self.conversations("turns-mixed", entry, kept, calls),
                *self.streams(entry, shared, calls),
            ):
                key = (window.location.base, window.function)
                if key not in told:
                    told.add(key)
                    found.append(window)
        better = {(w.location.base, w.function) for w in found}
        return [*(w for w in known if (w.location.base, w.function) not in better), *found]

    def _by_entry(self) -> dict[Entry, list[Write]]:
        found: dict[Entry, list[Write]] = defaultdict(list)
        entries = {id(c.entry) for c in self.calls}
        for entry, write in self.trace.writes:
            if id(entry) in entries and entry.many and not write.held:
                found[entry].append(write)
        return found

    def conversations(
        self, kind: str, entry: Entry, writes: Sequence[Write], calls: Sequence[ModelCall]
    ) -> Iterator[ExchangeWindow]:
        """A turn of this request, the model with all turns, another turn."""
        for call in calls:
            given = {r.location.base for r in call.reads}
            for write in writes:
                if not _adds(write) or not write.request or write.location.base not in given:
                    continue
                if write.serial > call.serial:
                    continue
                answer = next(
                    (w for w in writes if w.serial > call.serial and w.location.base == write.location.base), None
                )
                if answer is not None:
                    yield self.window(kind, entry, write, answer, call)

    def streams(self, entry: Entry, writes: Sequence[Write], calls: Sequence[ModelCall]) -> Iterator[ExchangeWindow]:
        """A loop over what a model says puts each part into one place."""
        for write in writes:
            function = write.stack[-1].function
            node = self.program.syntax_of(function)
            statement = write.stack[-1].statement
            if node is None or statement is None or not (_adds(write) or write.kind in ("augment", "assign")):
                continue
            for loop in ast.walk(node):
                if not isinstance(loop, ast.AsyncFor) or not any(s is statement for s in ast.walk(loop)):
                    continue
                call = next((c for c in calls if c.serial < write.serial and _feeds(c, loop, node)), None)
                if call is not None and _accumulates(write, loop):
                    yield self.window("stream-shared", entry, write, write, call, loop)
                    break

    def window(
        self, kind: str, entry: Entry, first: Write, last: Write, call: ModelCall, loop: ast.AsyncFor | None = None
    ) -> ExchangeWindow:
        function, start, end = meeting(first.stack, last.stack)
        between = Suspension(loop or call.node, call.stack, call.context, call.text)
        found = ExchangeWindow(
            kind,
            first.location.base,
            function,
            start,
            end,
            entry,
            True,
            context_name(first.context),
            write=last,
            between=between,
            rivals=[(entry, first)],
            entries=[entry],
        )
        found.exchange = call
        return found


def _is_one_for_all(write: Write) -> bool:
    """Whether a write goes to a place that is not chosen by what the request says."""
    fields = write.location.fields
    own = any(f == "[*]" for f in fields[:-1])
    keyed = bool(fields) and fields[-1] == "[*]" and write.kind != "insert"
    return write.location.root.kind in _LASTING and not own and not keyed


def _is_one_of_many(write: Write) -> bool:
    """Whether a write adds to a list that is kept under a key, or by an object that is, and that others can look up."""
    within = any(f.startswith("[") for f in write.location.fields[:-1])
    kept = write.location.root.kind in _LASTING and not isinstance(write.location, Own)
    return kept and within and _adds(write)


def _adds(write: Write) -> bool:
    node = write.node
    name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return write.kind == "insert" and name in ("append", "extend", "appendleft", "insert")


def _feeds(call: ModelCall, loop: ast.AsyncFor, function: ast.AST) -> bool:
    """Whether a loop is over what a call of a model gives, there or under a name that it was given before."""
    if any(n is call.node for n in ast.walk(loop.iter)):
        return True
    names = {n.id for n in ast.walk(loop.iter) if isinstance(n, ast.Name)}
    for node in ast.walk(function):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign) and any(n is call.node for n in ast.walk(node.value)):
            targets = node.targets
        elif isinstance(node, ast.AsyncWith):
            targets = [
                i.optional_vars
                for i in node.items
                if i.optional_vars is not None and any(n is call.node for n in ast.walk(i.context_expr))
            ]
        if names & {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}:
            return True
    # A generator of the project that gives on what the model says.
    return isinstance(loop.iter, ast.Call) and len(call.stack) > 1 and not names.isdisjoint(_called(call))


def _called(call: ModelCall) -> set[str]:
    return {frame.function.name.rpartition(".")[2] for frame in call.stack if frame.function is not None}


def _accumulates(write: Write, loop: ast.AsyncFor) -> bool:
    """Whether what is put there is, or is made of, what the loop is at, not only how much that is."""
    node = write.node
    names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    for statement in ast.walk(loop):
        if isinstance(statement, ast.Assign) and names & _names(statement.value):
            names |= {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    if isinstance(node, ast.Call):
        values: list[ast.expr] = list(node.args)
    elif isinstance(node, ast.AugAssign) or (
        isinstance(node, ast.Assign)
        and any(ast.unparse(t) in {ast.unparse(n) for n in ast.walk(node.value)} for t in node.targets)
    ):
        values = [node.value]
    else:
        return False
    return any(names & _names(v) and not _measured(v) for v in values)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _measured(node: ast.AST) -> bool:
    said = {
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)
    }
    return bool(said & _MEASURES) or any("token" in s and "usage" in s for s in said)
