"""Windows that do no harm: what comes out is the same whoever is in them, or the check did not decide on the write."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import pairwise

from autolock.program.branches import Branches, meet_again, shared_frames
from autolock.program.clocks import asks_the_clock, reads_a_clock
from autolock.program.decisions import ABSENT, effective
from autolock.program.flights import joins_flight, started_for_itself
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref, blocks_in
from autolock.program.purges import chooses_itself
from autolock.program.spending import is_spent
from autolock.program.trace import Candidate, Frame, Pair, Trace, Write

#: Parts of names of calls that give another value each time.
_VARYING = ("uuid", "random", "secret", "token", "time", "now", "next", "count", "nonce", "id")
#: Methods that tell of what happens, or put it into another set: twice is as good as once.
_TELLING = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "add", "discard"})


class Vanity:
    """Judges windows of one program."""

    def __init__(self, program: Program, trace: Trace) -> None:
        self.program = program
        self.carried = trace.carried
        self.branches = Branches(program)
        self._handlers: dict[tuple[str, str], dict[int, ast.ExceptHandler]] = {}

    def is_vain(self, candidate: Candidate, rivals: Sequence[Write], same: Iterable[Candidate]) -> bool:
        """Whether nobody could tell that two were in the window.

        `rivals` are the writes that others may make meanwhile, `same` all candidates that end in the
        same write.
        """
        if asked_again(candidate) or any(_looks_anew(other, candidate) for other in same):
            return True
        write, control = candidate.write, candidate.control
        if write.kind == "remove" and self._chooses_itself(candidate):
            return True
        taken = self.is_carried(candidate)
        forgiven = not taken and (_forgives(write) or self._expects_to_miss(write))
        if candidate.read.how == "iterate" and (forgiven or self.branches.queues_again(candidate)):
            return True
        if self.branches.exclude(candidate):
            return True
        if _is_filter(write.node) and all(w.node is write.node for w in rivals):
            return True
        if candidate.between is None and _keeps_the_newest(write.node):
            return True
        if self._fills_its_own(candidate, rivals):
            return True
        if self._hands_on(candidate) and all(w.node is write.node for w in rivals):
            return True
        if candidate.dependence != "control":
            return write.made == "same" and all(w.kind != "assign" or w.made == "same" for w in rivals)
        if self._is_one_flight(candidate) or self._renews(candidate) or self._is_probe(write, rivals):
            return True
        emptied = write.made == "none" and not taken and not (_forgives(write) and is_spent(candidate))
        if write.mine or (emptied and all(w.made == "none" for w in rivals)):
            return True
        if self._tells_the_outcome(candidate) or self._is_permission(candidate) or self._only_notes(candidate):
            return True
        if (
            _keeps_what_was(candidate)
            or self._only_fills(candidate)
            or _makes_room(candidate)
            or _empties_what_is_empty(candidate)
            or _forgets_answers(candidate, rivals)
            or self._only_tells(candidate)
            or _settles_alike(candidate, rivals)
            or self._shares_a_task(candidate)
            or self._puts_back(candidate)
            or _takes_turns(candidate)
        ):
            return True
        element = write.location.fields[-1:] and write.location.fields[-1].startswith("[")
        if element or write.made != "const" or (control is not None and control.exit == "raise"):
            return False
        if candidate.between is not None and (self._hands_out(write) or self._says_who_was_first(candidate)):
            return False
        return all(w.kind == "assign" and w.made == "const" and w.text == write.text for w in rivals)

    def is_carried(self, candidate: Candidate) -> bool:
        """Whether what was there goes into other shared state: it is taken away as it was given to somebody.

        `other = self.waiting`, a wait, `self.waiting = None`, `self.matches.append(Match(other, player))`: who looks
        meanwhile takes the same. What is only closed and thrown away may be thrown away twice.
        """
        write = candidate.write
        gap = _line_of_gap(candidate)
        return any(
            node is not write.node and location.base == write.location.base and getattr(node, "lineno", gap) < gap
            for node, location in self.carried.get(write.function, {}).items()
        )

    def _chooses_itself(self, candidate: Candidate) -> bool:
        """Whether another call than the one that looked removes what it has found itself."""
        read, write = candidate.read, candidate.write
        if read.stack[-1].serial == write.stack[-1].serial:
            return False
        node = self.program.syntax_of(write.function)
        return node is not None and chooses_itself(node, write.node)

    def _fills_its_own(self, candidate: Candidate, rivals: Sequence[Write]) -> bool:
        """Whether a place is what the request has added itself, to a list from which nothing is taken away.

        `place = len(notes)`, `notes.append(None)`, a wait, `notes[place] = answer`.
        """
        target = candidate.write.node.targets[0] if isinstance(candidate.write.node, ast.Assign) else None
        node = self.program.syntax_of(candidate.write.function)
        if not isinstance(target, ast.Subscript) or not isinstance(target.slice, ast.Name) or node is None:
            return False
        if any(w.kind == "remove" or (w.kind == "assign" and w.location.fields[-1:] != ("[*]",)) for w in rivals):
            return False
        counted = f"{target.slice.id} = len({ast.unparse(target.value)})"
        return any(
            ast.unparse(before) == counted and ast.unparse(after).startswith(f"{ast.unparse(target.value)}.append(")
            for block in blocks_in(node)
            for before, after in pairwise(block)
            if not any(isinstance(n, ast.Await) for n in ast.walk(after))
        )

    def _hands_on(self, candidate: Candidate) -> bool:
        """Whether all is replaced by something new that is given parts of the old as they are: `port=config.port`."""
        node = self.program.syntax_of(candidate.read.function)
        if candidate.dependence != "data" or candidate.write.made != "new" or node is None:
            return False
        given = [n for n in ast.walk(node) if isinstance(n, ast.keyword) and isinstance(n.value, ast.Attribute)]
        return any(k.value.value is candidate.read.node and k.value.attr == k.arg for k in given)  # type: ignore[attr-defined]

    def _is_probe(self, write: Write, rivals: Sequence[Write]) -> bool:
        """Whether a function that is told nothing finds out which of some constants is so: twice it finds the same.

        `def probe(): ...; _available = True` in one branch of it, and `_available = False` in another.
        """
        written = [write, *rivals]
        if any(w.function != write.function or w.kind != "assign" or w.made != "const" for w in written):
            return False
        node = self.program.syntax_of(write.function)
        if node is None or any(field.startswith("[") for field in write.location.fields[-1:]):
            return False
        arguments = node.args
        told = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = {argument.arg for argument in told if argument is not None}
        values = {w.text for w in written}
        return names <= {"self", "cls"} and values == {"True", "False"} and not isinstance(node, ast.AsyncFunctionDef)

    def _puts_back(self, candidate: Candidate) -> bool:
        """Whether what was taken as a whole goes back to what has come since: `batch = rows`, `rows = batch + rows`."""
        write, function = candidate.write.node, self.program.syntax_of(candidate.write.function)
        if not isinstance(write, ast.Assign) or not isinstance(write.value, ast.BinOp) or function is None:
            return False
        targets = {dotted(t) for t in write.targets} - {""}
        parts = [dotted(write.value.left), dotted(write.value.right)]
        others = {part for part in parts if part and part not in targets}
        return bool(targets & set(parts)) and any(
            isinstance(s, ast.Assign) and dotted(s.value) in targets and any(dotted(t) in others for t in s.targets)
            for s in ast.walk(function)
        )

    def _shares_a_task(self, candidate: Candidate) -> bool:
        """Whether what is awaited in between is a task or future that was there before: all who wait get one result."""
        between, write = candidate.between, candidate.write
        if between is None or write.kind not in ("assign", "remove"):
            return False
        if write.made not in ("await", "display", "none", "") or not isinstance(between.node, ast.Await):
            return False
        here = bool(between.stack) and between.stack[-1].serial == write.stack[-1].serial
        task, node = between.node.value, self.program.syntax_of(write.function)
        return here and isinstance(task, ast.Name) and not (node is not None and started_for_itself(node, task.id))

    def is_a_fallback(self, write: Write) -> bool:
        """Whether a write is made only where some test comes out so, or something else has failed."""
        return self.branches.is_conditional(write) or self._handler(write.stack[-1]) is not None

    def _tells_the_outcome(self, candidate: Candidate) -> bool:
        """Whether the write is made in an `except` clause or by what makes an error: a failure decided on it."""
        control, read, write = candidate.control, candidate.read, candidate.write
        if control is None or isinstance(control.node, ast.Try) or write.kind not in ("assign", "insert"):
            return False
        depth = shared_frames(read.stack, write.stack)
        around = self._handler(read.stack[depth - 1]) if depth else None
        below = write.stack[max(depth - 1, 0) :]
        if any(isinstance(frame.statement, ast.Raise) for frame in below[:-1]):
            return True
        return any(handler is not None and handler is not around for handler in map(self._handler, below))

    def is_left_empty(self, refill: Pair) -> bool:
        """Whether a container is emptied because something failed: it is filled by whoever tries again later."""
        depth = shared_frames(refill.first.stack, refill.second.stack)
        around = self._handler(refill.second.stack[depth - 1]) if depth else None
        below = refill.first.stack[max(depth - 1, 0) :]
        return any(handler is not None and handler is not around for handler in map(self._handler, below))

    def _is_permission(self, candidate: Candidate) -> bool:
        """Whether a dependency compares state with what the request brings and refuses: who may, not what is there."""
        control, read = candidate.control, candidate.read
        if control is None or control.exit != "raise" or shared_frames(read.stack, candidate.write.stack) > 1:
            return False
        if control.shape not in ("equal", "different") or candidate.write.kind != "assign":
            return False
        return any(
            isinstance(n, ast.Compare) and not any(self._is_fixed(s, read.function) for s in (n.left, *n.comparators))
            for tree in (control.node, read.stack[-1].statement)
            if tree is not None
            for n in ast.walk(tree)
        )

    def _is_fixed(self, side: ast.expr, function: Ref) -> bool:
        """Whether an expression is one value for ever: a constant, or a member of a class, as of an enumeration."""
        found = self.program.resolve(function.path, dotted(side), function.name) if dotted(side) else None
        return isinstance(side, ast.Constant) or (found is not None and found[0].kind in ("class", "external"))

    def _handler(self, frame: Frame) -> ast.ExceptHandler | None:
        """The `except` clause of its function that a frame is in."""
        if frame.function is None or frame.statement is None:
            return None
        key = (frame.function.path, frame.function.name)
        if key not in self._handlers:
            self._handlers[key] = {}
            body = self.program.syntax_of(frame.function)
            for node in ast.walk(body) if body is not None else ():
                if isinstance(node, ast.ExceptHandler):
                    self._handlers[key].update(
                        {id(n): node for s in node.body for n in ast.walk(s) if isinstance(n, ast.stmt)}
                    )
        return self._handlers[key].get(id(frame.statement))

    def _expects_to_miss(self, write: Write) -> bool:
        """Whether a removal stands in a `try` that goes on when the element is gone already."""
        statement, function = write.stack[-1].statement, write.function
        node = self.program.syntax_of(function)
        if write.kind != "remove" or node is None:
            return False
        return any(
            statement in attempt.body and any(_forgiving(handler) for handler in attempt.handlers)
            for attempt in ast.walk(node)
            if isinstance(attempt, ast.Try)
        )

    def _only_notes(self, candidate: Candidate) -> bool:
        """Whether a key is put into a set of what was seen, and nothing else hangs on its having been new.

        A second `add` of the key changes nothing, and one that comes after a removal is as good as one before
        it; what could be done twice is a log message.
        """
        read, write, control = candidate.read, candidate.write, candidate.control
        if not _adds_to_a_set(write) or control is None or control.exit == "raise" or candidate.between is not None:
            return False
        if read.stack[-1].serial != write.stack[-1].serial:
            return False
        node = self.program.syntax_of(write.function)
        looked = getattr(read.node, "end_lineno", 0)
        calls = [n for s in (node.body if node else ()) for n in ast.walk(s) if isinstance(n, ast.Call)]
        later = [call for call in calls if call.lineno > looked and call is not write.node]
        return node is not None and all(self._is_quiet(call) for call in later)

    def _is_one_flight(self, candidate: Candidate) -> bool:
        """Whether those who come meanwhile wait for the one who is at it: a map says what is under way."""
        between, write = candidate.between, candidate.write
        waits = [f.statement for f in between.stack if f.function == write.function] if between is not None else []
        node = self.program.syntax_of(write.function)
        return node is not None and any(wait is not None and joins_flight(node, wait) for wait in waits)

    def notes_the_time(self, candidate: Candidate) -> bool:
        """Whether what is written is when something was done last, and the check asks how long ago that is."""
        control, node = candidate.control, self._reader(candidate)
        if control is None or control.exit == "raise" or node is None:
            return False
        return asks_the_clock(control.node, node) and self.is_stamp(candidate.write)

    def is_stamp(self, write: Write) -> bool:
        """Whether what is written is what time it is."""
        value, node = getattr(write.node, "value", None), self.program.syntax_of(write.function)
        return isinstance(value, ast.AST) and node is not None and asks_the_clock(value, node)

    def _only_tells(self, candidate: Candidate) -> bool:
        """Whether something is told of again because the last time is long ago: two who tell of it do no harm."""
        write, read, control = candidate.write, candidate.read, candidate.control
        node = self.program.syntax_of(write.function)
        if control is None or candidate.between is not None or read.stack[-1].serial != write.stack[-1].serial:
            return False
        block = (
            next((n.body for n in ast.walk(node) if isinstance(n, ast.If) and n.test is control.node), [])
            if node
            else []
        )
        inside = [n for s in block for n in ast.walk(s)]
        calls = [n for n in inside if isinstance(n, ast.Call)]
        marks = any(n is write.node for n in inside)
        return marks and self.notes_the_time(candidate) and all(self._is_quiet(c) or reads_a_clock(c) for c in calls)

    def asks_how_old(self, candidate: Candidate) -> bool:
        """Whether the check asks how old it is what is there, itself or by a method that answers it."""
        control, node = candidate.control, self._reader(candidate)
        if control is None or node is None:
            return False
        answer = candidate.read.stack[-1].statement
        return asks_the_clock(control.node, node) or (isinstance(answer, ast.Return) and asks_the_clock(answer, node))

    def _reader(self, candidate: Candidate) -> ast.AST | None:
        """The function in which the candidate reads."""
        function = candidate.read.function
        return self.program.syntax_of(function)

    def _renews(self, candidate: Candidate) -> bool:
        """Whether a constant is set because of the time that has gone by, and nobody is told whether it was."""
        write, control, read = candidate.write, candidate.control, candidate.read
        if control is None or write.kind != "assign" or write.made != "const" or control.exit == "raise":
            return False
        node = self._reader(candidate)
        asked = (control.node, getattr(read.stack[-1].statement, "test", control.node))
        return node is not None and any(asks_the_clock(test, node) for test in asked)

    def _only_fills(self, candidate: Candidate) -> bool:
        """Whether a test has nothing to decide but `d.setdefault(key, new())`, which looks by itself."""
        write, control = candidate.write, candidate.control
        if control is None or not isinstance(write.node, ast.Call) or len(write.node.args) != 2:
            return False
        method, value = write.node.func, write.node.args[1]
        waits = any(isinstance(n, ast.Await) for n in ast.walk(value)) or isinstance(value, ast.Name)
        if not isinstance(method, ast.Attribute) or method.attr != "setdefault" or waits:
            return False
        node = self.program.syntax_of(write.function)
        for inner in ast.walk(node) if node is not None else ():
            if isinstance(inner, ast.If) and inner.test is control.node:
                body = inner.body
                while len(body) == 1 and isinstance(body[0], ast.With | ast.AsyncWith):
                    body = body[0].body
                return len(body) == 1 and isinstance(body[0], ast.Expr) and body[0].value is write.node
        return False

    def _says_who_was_first(self, candidate: Candidate) -> bool:
        """Whether a function answers `False` to who finds it done, and something else to who has done it."""
        control, write = candidate.control, candidate.write
        node = self.program.syntax_of(write.function)
        line = getattr(write.node, "lineno", 0)
        if control is None or control.exit != "return" or node is None or candidate.read.function != write.function:
            return False
        refused = {
            ast.dump(last.value)
            for n in ast.walk(node)
            if isinstance(n, ast.If) and n.test is control.node
            for last in n.body[-1:]
            if isinstance(last, ast.Return) and isinstance(last.value, ast.Constant)
        }
        answers = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.lineno > line]
        return bool(refused) and any(a is not None and ast.dump(a) not in refused for a in answers)

    def _hands_out(self, write: Write) -> bool:
        """Whether what is marked is one of many and is returned: whoever asks is given something to work on."""
        target = next(iter(getattr(write.node, "targets", ())), None)
        if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
            return False
        node = self.program.syntax_of(write.function)
        returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return)] if node is not None else []
        chosen = any(f.startswith("[") for f in write.location.fields)
        return chosen and any(isinstance(value, ast.Name) and value.id == target.value.id for value in returned)

    @staticmethod
    def _is_quiet(call: ast.Call) -> bool:
        """Whether a call only writes to a log or makes plain values."""
        name = dotted(call.func)
        last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
        return (
            last in _TELLING
            or name.startswith("inspect.is")
            or (name in _PLAIN and not isinstance(call.func, ast.Attribute))
        )


_PLAIN = frozenset({"str", "repr", "len", "type", "isinstance", "id", "int", "hash", "tuple", "frozenset", "callable"})


def asked_again(candidate: Candidate) -> bool:
    """Whether read and write are two calls of one accessor: the second decides for itself whether it writes."""
    read, write = candidate.read, candidate.write
    if write.kind != "remove" and (candidate.dependence != "control" or write.kind != "assign"):
        return False
    if write.kind == "assign" and (write.request or write.made == "expression"):
        return False
    return meet_again(read.stack, write.stack)


def _line_of_gap(candidate: Candidate) -> int:
    """The line below which, in the function that writes, nothing else has run yet; 0 where nothing does."""
    write, between = candidate.write, candidate.between
    if between is None:
        return getattr(write.node, "lineno", 0) if candidate.switch is not None else 0
    statements = [f.statement for f in between.stack if f.serial == write.stack[-1].serial and f.statement is not None]
    return max((s.lineno + isinstance(s, ast.Expr | ast.Assign | ast.AnnAssign) for s in statements), default=0)


def _looks_anew(other: Candidate, candidate: Candidate) -> bool:
    """Whether a newer look decides on the write, so that what the older one saw is settled.

    What is put where nothing is replaces nothing, whatever was seen before; a file that is read
    again before it is written has been looked for again.
    """
    control, newer, older, write = other.control, other.read, candidate.read, candidate.write
    if write.kind != "assign" or newer.serial <= older.serial:
        return False
    if write.location.root.kind == "file":
        return other.dependence == "data" and candidate.dependence == "control"
    if control is None or other.dependence != "control" or newer.location != write.location:
        return False
    depth = shared_frames(older.stack, write.stack)
    return effective(control.shape, control.negated) in ABSENT and shared_frames(newer.stack, write.stack) > depth


def _keeps_what_was(candidate: Candidate) -> bool:
    """Whether the constant that is written is what the check found there: nothing was decided by it."""
    control, write, read = candidate.control, candidate.write, candidate.read
    if control is None or write.kind != "assign":
        return False
    found = effective(control.shape, control.negated)
    if write.made == "none":  # what is not there is still not there, and whoever needs it makes it
        return found in ABSENT and read.location == write.location and read.key == write.key
    return write.made == "const" and (found, write.text) in (("falsy", "False"), ("truth", "True"))


def _empties_what_is_empty(candidate: Candidate) -> bool:
    """Whether a container is cleared because it was found empty: what fills it next is what matters."""
    control, call = candidate.control, candidate.write.node
    if control is None or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    return call.func.attr == "clear" and effective(control.shape, control.negated) in ABSENT


def _forgets_answers(candidate: Candidate, rivals: Sequence[Write]) -> bool:
    """Whether a copy of what can be had again is given up because of one of its elements: the next look fetches it.

    Nobody puts anything into the copy, and whoever fetches it replaces it as a whole.
    """
    read, write = candidate.read, candidate.write
    depth = len(write.location.fields)
    if write.kind != "assign" or write.made != "none" or len(read.location.fields) <= depth:
        return False
    fills = [w for w in rivals if w.made != "none"]
    return bool(fills) and all(
        w.kind == "assign" and w.location == write.location and w.value_type in ("list", "dict", "set") for w in fills
    )


def _makes_room(candidate: Candidate) -> bool:
    """Whether something is thrown out of a container that has too many: one more is no loss.

    `while len(cache) > LIMIT: cache.popitem(last=False)`, where nobody takes what is thrown out.
    """
    control, call, statement = candidate.control, candidate.write.node, candidate.write.stack[-1].statement
    if control is None or candidate.write.kind != "remove":
        return False
    if isinstance(call, ast.Delete):
        return all(map(_is_surplus, call.targets))
    if not isinstance(call, ast.Call):
        return False
    if not isinstance(statement, ast.Expr) or statement.value is not call or not isinstance(control.node, ast.Compare):
        return False
    size, limit = control.node.left, control.node.comparators[0]
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return (
        method in ("popitem", "popleft", "pop")
        and isinstance(control.node.ops[0], ast.Gt | ast.GtE)
        and isinstance(size, ast.Call)
        and dotted(size.func) == "len"
        and not (isinstance(limit, ast.Constant) and limit.value in (0, 1))
    )


def _is_surplus(target: ast.expr) -> bool:
    """Whether `del` takes all but a fixed number: `del lines[:-100]`, `del lines[LIMIT:]`."""
    part = target.slice if isinstance(target, ast.Subscript) else None
    if not isinstance(part, ast.Slice) or part.step is not None or (part.lower is None) == (part.upper is None):
        return False
    bound = part.lower or part.upper
    negative = isinstance(bound, ast.UnaryOp) and isinstance(bound.op, ast.USub)
    number = bound.operand if isinstance(bound, ast.UnaryOp) and negative else bound
    fixed = isinstance(number, ast.Constant) or (dotted(number) if number else "").rpartition(".")[2].isupper()
    return fixed and negative == (part.lower is None)


def _forgives(write: Write) -> bool:
    """Whether a removal does not mind that the element is gone: `s.discard(x)`, `d.pop(k, None)`."""
    call = write.node
    if write.kind != "remove" or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    return call.func.attr == "discard" or (call.func.attr == "pop" and len(call.args) == 2)


def _forgiving(handler: ast.ExceptHandler) -> bool:
    """Whether an `except` clause catches that an element is not there, and raises nothing itself."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {dotted(kind) if kind is not None else "Exception" for kind in kinds}
    raises = any(isinstance(n, ast.Raise) for s in handler.body for n in ast.walk(s))
    return bool(names & {"ValueError", "KeyError", "IndexError", "LookupError", "Exception"}) and not raises


def _settles_alike(candidate: Candidate, rivals: Sequence[Write]) -> bool:
    """Whether threads fill an empty slot with what each would compute alike: a setting, an object known before."""
    write, control = candidate.write, candidate.control
    if control is None or write.kind != "assign" or write.request:
        return False
    if candidate.between is not None and write.made != "shared":
        return False
    if effective(control.shape, control.negated) not in ABSENT or control.exit == "raise":
        return False
    if write.made == "shared" and all(w.kind == "assign" and w.made == "shared" for w in rivals):
        return True  # whoever asks is given the one object that there is
    if any(w.function != write.function or w.kind != "assign" for w in rivals):
        return False
    if write.made == "const":  # an answer that is remembered: found out twice, it is the same
        return control.shape in ("missing", "present") and len({w.text for w in rivals if w.made == "const"}) > 1
    return write.made == "shared" or (write.made == "expression" and not _varies(write.node))


def _is_filter(node: ast.AST) -> bool:
    """Whether an assignment keeps some of the elements of what it had: done twice, it comes out the same."""
    value = getattr(node, "value", None)
    if not isinstance(value, ast.ListComp | ast.SetComp) or len(value.generators) != 1:
        return False
    kept, source = value.generators[0].target, value.generators[0].iter
    targets = [ast.dump(t) for t in getattr(node, "targets", ())]
    same = [t.replace("Store()", "Load()") for t in targets] == [ast.dump(source)]
    return same and ast.unparse(kept) == ast.unparse(value.elt)


def _keeps_the_newest(node: ast.AST) -> bool:
    """Whether an assignment shortens a list to its last elements: `seen = seen[-100:]`, `h[k] = [h[k][0]] + h[k][-9:]`.

    What threads add in the instant of it is missed in a record of what was, and nowhere else.
    """
    target = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
    parts: list[ast.expr] = []
    rest = [node.value] if isinstance(node, ast.Assign) else []
    while rest:
        part = rest.pop()
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            rest += [part.left, part.right]
        elif isinstance(part, ast.List):
            rest += part.elts
        else:
            parts.append(part)
    taken = [p.slice for p in parts if isinstance(p, ast.Subscript) and ast.unparse(p.value) == target]
    ends = [p for p in taken if isinstance(p, ast.Slice)]
    newest = all(
        isinstance(p.lower, ast.UnaryOp) and isinstance(p.lower.op, ast.USub) and not p.upper and not p.step
        for p in ends
    )
    return bool(ends) and newest and len(taken) == len(parts)


def _varies(node: ast.AST) -> bool:
    """Whether the value of an assignment may be another one each time it is computed."""
    value = getattr(node, "value", None)
    if not isinstance(value, ast.AST):
        return True
    for inner in ast.walk(value):
        if isinstance(inner, ast.Await | ast.Yield | ast.YieldFrom):
            return True
        if isinstance(inner, ast.Call):
            name = (dotted(inner.func) or getattr(inner.func, "attr", "?")).lower()
            if any(word in name for word in _VARYING):
                return True
    return False


def _takes_turns(candidate: Candidate) -> bool:
    """Whether an index goes round (`i = (i + 1) % n`), by a look of its own: whose turn it was before is no matter."""
    value = getattr(candidate.write.node, "value", None)
    return candidate.write.kind == "assign" and isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod)


def _adds_to_a_set(write: Write) -> bool:
    call = write.node
    return (
        write.kind == "insert"
        and isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add"
    )
