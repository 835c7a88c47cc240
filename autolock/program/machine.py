"""Following one entry point after the other through the program, and noting the Windows that open and close."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter

from autolock.program.core import BUDGET, SCARCE, TOTAL, Activation, Spawn
from autolock.program.decisions import ABSENT, asked_of, effective
from autolock.program.giving_up import noted
from autolock.program.index import dotted
from autolock.program.injection import is_provider, provided, wired
from autolock.program.linker import Ref
from autolock.program.rebuilding import sources_of
from autolock.program.route_dependencies import Dependency
from autolock.program.state import State
from autolock.program.statements import Statements
from autolock.program.trace import (
    Candidate,
    Control,
    Entry,
    LateRead,
    Nearby,
    Pair,
    Reach,
    Read,
    Suspension,
    Write,
    is_empty_display,
    is_given,
    measures,
    origin,
    removed_end,
)
from autolock.program.values import (
    NO_READS,
    NOTHING,
    ClassValue,
    Coroutine,
    Env,
    External,
    FunctionValue,
    Heap,
    Location,
    Own,
    Root,
    Row,
    Type,
    Value,
    looked_up,
    overlaps,
)
from autolock.program.wholes import classes_in

_SERIAL = attrgetter("serial")
_DEPENDS = frozenset({"Depends", "Security"})
#: Roots whose scalar fields could hold what belongs to one request.
_LONG_LIVED = frozenset({"variable", "class", "state", "cell", "cached", "instance"})
#: Kinds of entries that matter to another one only by what they do to shared state.
_LEFT_OUT = frozenset({"route", "job", "function"})


class Machine(Statements):
    """The abstract interpreter, ready to follow entry points."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.prepare()
        self.warmed: set[Location] = set()
        self.middleware: set[Ref] = set()
        self.kept_by_middleware: list[Write] = []
        self.reach: dict[str, Reach] = {}
        #: What each entry point depends on, by its label, in the order in which it runs.
        self.depended: dict[str, dict[Ref, None]] = {}
        self.nearby: Nearby | None = None

    # -- accesses ----------------------------------------------------------------

    def write(
        self,
        location: Location,
        key: str,
        kind: str,
        value: Value,
        node: ast.AST,
        *,
        operand: str = "",
        own: frozenset[Read] = frozenset(),
        mine: bool = False,
    ) -> Write | None:
        if not self.recording or not self.frames or self.frame.ref is None:
            if self.entry.kind == "startup":
                self.warmed.add(location)
            return None
        state = self.state
        value_type = value.obj.type.kind if isinstance(value.obj, Heap) else ""
        if isinstance(value.obj, Heap) and value.obj.type.ref is not None:
            value_type = f"{value.obj.type.ref.path}:{value.obj.type.ref.name}"
        elif isinstance(value.obj, Heap) and value.obj.type.name:
            value_type = value.obj.type.name
        written = Write(
            node,
            self.stack(),
            self.context,
            location,
            key,
            kind,
            state.held,
            self.next_serial(),
            made=_same(value, location) or _single(value, location) or value.made or _known(value),
            request=value.request,
            operand=operand,
            mine=mine,
            value_type=value_type,
            text=value.term if value.made in ("const", "none") else "",
        )
        self.written(written, value.reads | own | _built_from(value, kind))
        return written

    def written(self, write: Write, data: frozenset[Read]) -> None:
        state = self.state
        stale = {m: state.stale[m] for m in self.markers if m in state.stale}
        switched = {m: state.switched[m] for m in self.markers if m in state.switched}
        self.log.append((write, stale, switched, state.control))
        self.trace.writes.append((self.entry, write))
        self.carry(write, data)
        self.close_windows(write, data)
        self.supersede(write)
        self.claim(write)
        self.refill(write, data)
        self.pair(write)
        self.remember_write(write)

    def carry(self, write: Write, data: frozenset[Read]) -> None:
        """Note what a function has looked at and puts into other shared state, itself or through what it calls."""
        if write.kind == "remove":
            return
        base = write.location.base
        foreign = [read for read in data if read.location.base != base]
        open_calls = {frame.serial for frame in write.stack} if foreign else ()
        for read in foreign:
            if read.stack[-1].serial in open_calls:
                self.trace.carried.setdefault(read.function, {})[read.node] = read.location

    def close_windows(self, write: Write, data: frozenset[Read]) -> None:
        """Every read of the same Location that this write depends on makes a candidate."""
        state = self.state
        if write.empties:
            data |= self.handed_on(write)
            ended = [r for r in state.ended if r.location.base == write.location.base]
            self.trace.drained.update(r.stack[-1].statement for r in ended)
        if write.kind == "assign" and write.made == "const" and write.text in ("0", "0.0"):
            data |= self.counted(write)
        data |= self.worked_on(write) | self.rebuilt(write)
        # What was found made the request put in what it takes out again now.
        claimed = state.claims.get((write.location.base, write.key), 0) if write.kind == "remove" else 0
        for read in in_order(data):
            if read.serial < claimed:
                continue
            if read not in state.fresh or read in state.confirmed or not overlaps(write.location, read.location):
                continue
            put_back = write.kind == "insert" or _adds_to_itself(write.node)
            taken_out = put_back and read in state.superseded
            if not taken_out and not _other_key(read.key, write.key):
                self.candidate(read, write, "data", self.check_of(read))
        checks = [(r, c) for c in state.control for r in in_order(self.touched(c.reads, write))]
        if checks and write.empties and self.takes_all(write):
            return
        for read, control in checks:
            if read.serial < claimed:
                continue
            if read in data or read not in state.fresh or read in state.superseded | state.confirmed:
                continue
            if _sets_a_flag_anew(write, read, control, state.control):
                continue
            if _asks_under_lock(write, read, control, state.control):
                continue
            if not any(_repeats(r, c, read, control, write, self.is_apart(read, r)) for r, c in checks):
                self.candidate(read, write, "control", control)

    def is_apart(self, older: Read, newer: Read) -> bool:
        """Whether something else may have run between two looks that are both over."""
        state = self.state
        if self.context == "thread" and state.switched.get(older) is not state.switched.get(newer):
            return True
        return state.stale.get(older) is not state.stale.get(newer)

    def handed_on(self, write: Write) -> frozenset[Read]:
        """Looks at all that is in a container, which this function made for something it then waited for.

        Whether there is anything in it at all, or how much, is no such look, and what was looked at before
        this function has changed it itself is another matter. A loop over a live list has met what was added to it.
        """
        state, here = self.state, self.frame.serial
        return frozenset(
            r
            for r in state.stale
            if r.how == "iterate"
            and r not in state.superseded
            and not measures(r.node)
            and state.ended.get(r) != "list"
            and r.location.base == write.location.base
            and any(f.serial == here for f in r.stack)
            and not any(r in c.reads for c in state.control)
        )

    def counted(self, write: Write) -> frozenset[Read]:
        """Looks at a number that this function gave to something it then waited for, before it sets it back to zero."""
        state, here = self.state, self.frame.serial
        looks = [
            r
            for r in state.stale
            if r.location == write.location and r.stack[-1].serial == here and r not in state.superseded
        ]
        unit = self.unit(write.function.path) if looks else None
        node = unit.functions.get(write.function.name) if unit is not None else None
        waits = [n for n in ast.walk(node) if isinstance(n, ast.Await)] if node is not None else []
        return frozenset(r for r in looks if any(is_given(r, wait) for wait in waits))

    def worked_on(self, write: Write) -> frozenset[Read]:
        """Looks at the end of a list from which this function takes away now what it has done something with."""
        end = removed_end(write)
        state, here = self.state, self.frame.serial
        return frozenset(
            r
            for r in state.stale
            if end
            and r.how == end
            and r not in state.superseded
            and r.location.base == write.location.base
            and r.stack[-1].serial == here
        )

    def rebuilt(self, write: Write) -> frozenset[Read]:
        """Looks of a loop, with waits in it, that has filled what takes the place of the container now."""
        state, here = self.state, self.frame.serial
        looks = [
            r
            for r in state.stale
            if r.how == "iterate"
            and write.kind == "assign"
            and r.location.base == write.location.base
            and r.stack[-1].serial == here
            and r not in state.superseded
        ]
        node = self.program.syntax_of(write.function) if looks else None
        sources = sources_of(node, write.node) if node is not None else frozenset()
        return frozenset(r for r in looks if r.node in sources)

    def takes_all(self, write: Write) -> bool:
        """Whether a container is emptied of what this function has just taken out of it, whatever was seen before."""
        state, here, base = self.state, self.frame.serial, write.location.base
        return any(
            r.how == "iterate"
            and r.location.base == base
            and r.stack[-1].serial == here
            and not measures(r.node)
            and r not in (state.switched if self.context == "thread" else state.stale)
            and not any(r in c.reads for c in state.control)
            for r in state.fresh
        )

    def check_of(self, read: Read) -> Control | None:
        """The decision that was made on a read, if any."""
        return next((c for c in self.state.control if read in c.reads), None)

    def candidate(self, read: Read, write: Write, dependence: str, control: Control | None) -> None:
        state = self.state
        if control is not None and read in self.filters:
            control = replace(control, shape=self.filters[read], negated=False)
        elif control is not None and read in self.measured and (write.kind == "augment" or write.made == "expression"):
            control = replace(control, shape="compare", negated=False)
        elif control is not None and isinstance(control.node, ast.BoolOp):
            control = replace(control, shape=asked_of(read.node, control.node) or control.shape)
        self.trace.candidates.append(
            Candidate(self.entry, read, write, dependence, control, state.stale.get(read), state.switched.get(read))
        )

    def supersede(self, write: Write) -> None:
        """After the request's own write its earlier reads decide nothing any more."""
        self.state.supersede(self.touched(self.state.fresh, write))

    @staticmethod
    def touched(reads: Iterable[Read], write: Write) -> list[Read]:
        """The reads of what a write changes. Each write asks this of all that was read, and most of it is elsewhere."""
        location, root, key = write.location, write.location.root, write.key
        return [
            r
            for r in reads
            if r.location.root == root and (not key or not r.key or r.key == key) and overlaps(location, r.location)
        ]

    def claim(self, write: Write) -> None:
        """Note what the request has put into a container, to know it again when it takes that out."""
        place = (write.location.base, write.key)
        if write.kind == "remove":
            self.state.claims.pop(place, None)
        elif write.key and write.kind in ("insert", "assign") and write.location.fields[-1:] != ():
            self.state.claims[place] = write.serial

    def refill(self, write: Write, data: frozenset[Read]) -> None:
        """Note where a container that the request has emptied is filled anew, with something in between."""
        base, emptied = write.location.base, self.state.emptied
        if write.empties:
            of_container = write.location.fields[:-1] if write.kind == "remove" else write.location.fields
            if of_container == base.fields:
                for earlier in [w for w in emptied if w.location.base == base]:
                    del emptied[earlier]
                emptied[write] = None
            return
        before = [(earlier, between) for earlier, between in emptied.items() if earlier.location.base == base]
        if not before or not self.fills(write):
            return
        put_back = any(r.location.base == base for r in data) or _adds_to_itself(write.node)
        for earlier, between in before:
            if between is not None and not put_back:
                self.trace.refills.append(Pair(self.entry, earlier, write, between))
            del emptied[earlier]

    def fills(self, write: Write) -> bool:
        """Whether a write puts in many elements: all at once, or one each turn of a loop."""
        call = write.node
        name = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
        whole = write.kind == "assign" and write.location.fields == write.location.base.fields
        if whole and _makes_empty(call):
            return False
        return name in ("update", "extend") or (self.loops > 0 and write.kind in ("insert", "assign")) or whole

    def remember_write(self, write: Write) -> None:
        """Writes that a later step may expect to find again, or that have a counterpart."""
        state = self.state
        for earlier in [w for w in state.pending if w.location == write.location and w.key == write.key]:
            del state.pending[earlier]
            state.jumped.pop(earlier, None)
        element = "[*]" if self.entry.kind == "middleware" else "["
        scalar = (
            write.kind == "assign" and write.request and not any(f.startswith(element) for f in write.location.fields)
        )
        if (scalar and write.location.root.kind in _LONG_LIVED) or (write.kind == "augment" and write.operand):
            state.pending[write] = None

    def pair(self, write: Write) -> None:
        """Two changes by the same amount belong together."""
        for earlier, between in self.state.pending.items():
            if _halves(earlier, write) and between is not None and earlier.stack[-1].serial == write.stack[-1].serial:
                self.trace.pairs.append(Pair(self.entry, earlier, write, between))
        if write.kind != "augment" or not write.operand or write.operand[:1].isdigit():
            return
        for earlier, between in self.state.pending.items():
            if earlier.kind != "augment" or earlier.operand != write.operand:
                continue
            if earlier.stack[-1].serial != write.stack[-1].serial or write.location.root.kind == "default":
                continue  # the same name in two calls is not the same amount
            if (earlier.location, earlier.key) != (write.location, write.key):
                self.trace.pairs.append(Pair(self.entry, earlier, write, between))

    def late_reads(self, read: Read) -> None:
        for write, between in self.state.pending.items():
            if write.kind == "assign" and write.location == read.location and (between or write in self.state.jumped):
                self.trace.late.append(LateRead(self.entry, write, read, between, self.state.jumped.get(write)))

    def suspend(self, node: ast.AST, what: str | ast.expr = "") -> None:
        if self.entry.kind == "middleware" and _goes_on(node):
            self.kept_by_middleware.extend(w for w in self.state.pending if w.kind == "assign")
        super().suspend(node, what)

    # -- entry points ------------------------------------------------------------

    def reset(self) -> None:
        """Forget where the last entry point was followed to."""
        self.spent += self.allowed - max(self.budget, 0)
        self.allowed = BUDGET if self.spent < TOTAL else SCARCE
        self.state, self.frames, self.loops, self.budget = State(), [], 0, self.allowed
        self.floor = 0
        self.context, self.entry = "startup", Entry(None, "startup", "import", (), False)

    def run(self, entry: Entry, action: Callable[[], object], allowed: int = BUDGET) -> None:
        """Follow one entry point from a clean state; `allowed` is how many statements it may execute at most."""
        if self.nearby is not None and entry.kind in _LEFT_OUT and entry.label not in self.nearby.labels:
            return
        self.reset()
        self.entered.clear()
        self.budget = self.allowed = min(self.allowed, allowed)
        self.entry, self.context = entry, entry.context
        self._reads.clear()
        self.log.clear()
        self.markers.clear()
        self.filters.clear()
        self.measured.clear()
        self.waited.clear()
        self.several.clear()
        self.database.reset()
        self.models.reset()
        path = entry.function.path if entry.function else ""
        self.frames.append(Activation(self.next_serial(), None, path, Env(None)))
        if entry.kind == "route":
            self.state.pending.update(dict.fromkeys(self.kept_by_middleware))
        with noted(self.trace.stopped, entry.label):
            action()
        self.frames.clear()
        if self.mending:
            first = origin(entry).label
            self.reach[first] = self.reach.get(first, Reach()).and_also(self.entered, self.allowed - self.budget)

    def run_spawned(self) -> None:
        """Follow what the entry points started, until nothing new turns up."""
        seen: set[object] = set()
        while self.spawned:
            spawn = self.spawned.pop()
            receiver = spawn.function.receiver
            where = tuple(
                str(v.obj.location) if isinstance(v.obj, Heap) and v.obj.location else ""
                for v in (*([receiver] if receiver else []), *spawn.args)
            )
            key = (spawn.function.ref, id(spawn.function.node), spawn.many, spawn.context, where)
            if key in seen or len(seen) > 5000:
                continue
            seen.add(key)
            self._run_spawn(spawn)

    def _run_spawn(self, spawn: Spawn) -> None:
        ref = spawn.function.ref
        label = f"{ref.path}:{ref.name}"
        entry = Entry(ref, spawn.context, spawn.kind, spawn.parent.routes, spawn.many, label, spawn.parent, spawn.stack)

        def action() -> None:
            self.state.held, self.state.bounds = spawn.held, spawn.bounds
            self.models.limited = spawn.limited
            args = [_handed_over(v) for v in spawn.args]
            kwargs = {k: _handed_over(v) for k, v in spawn.kwargs.items()}
            function = spawn.function
            if function.receiver is not None:
                function = replace(function, receiver=looked_up(function.receiver))
            self.activate(function, args, kwargs, None)

        self.run(entry, action)

    @contextmanager
    def in_context(self, context: str) -> Iterator[None]:
        outer, self.context = self.context, context
        try:
            yield
        finally:
            self.context = outer

    def context_of(self, function: FunctionValue) -> str:
        """Where FastAPI runs a callable: coroutines on the event loop, everything else on a worker thread."""
        facts = self.program.function(function.ref)
        return "loop" if facts is not None and facts.is_async else "thread"

    def run_endpoint(self, function: FunctionValue, dependencies: list[Dependency]) -> None:
        """A handler, after everything that it depends on."""
        context = self.context_of(function)
        cache: dict[Ref, Value] = {}

        def handler(values: dict[str, Value]) -> None:
            with self.in_context(context):
                answer = self.activate(function, [], values, None)
            self.trace.wholes.update(classes_in(answer))

        def after_extras(_: dict[str, Value]) -> None:
            self.resolve_parameters(function, cache, handler)

        self.resolve_extras(dependencies, cache, after_extras)

    def resolve_extras(
        self, extras: list[Dependency], cache: dict[Ref, Value], then: Callable[[dict[str, Value]], None]
    ) -> None:
        """`dependencies=[Depends(...), ...]` of a route or router, in order."""
        if not extras:
            then({})
            return
        scope, node = extras[0]
        call = node if isinstance(node, ast.Call) else None
        if call is None or not call.args:
            self.resolve_extras(extras[1:], cache, then)
            return
        provider = self.provider_value(scope, call.args[0], f"dependency@{call.lineno}")
        self.provide(provider, cache, lambda _: self.resolve_extras(extras[1:], cache, then))

    def resolve_parameters(
        self, function: FunctionValue, cache: dict[Ref, Value], then: Callable[[dict[str, Value]], None]
    ) -> None:
        """The values of a callable's parameters as FastAPI would supply them: a wrapper has those of what it wraps."""
        shown = function.signature
        arguments = shown.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if function.receiver is not None:
            every = every[1:]
        values: dict[str, Value] = {}
        self._next_parameter(shown, every, values, cache, then)

    def _next_parameter(
        self,
        function: FunctionValue,
        rest: list[ast.arg],
        values: dict[str, Value],
        cache: dict[Ref, Value],
        then: Callable[[dict[str, Value]], None],
    ) -> None:
        for index, argument in enumerate(rest):
            found = self.dependency_of(function, argument)
            if found is None:
                values[argument.arg] = self.request_value(function, argument)
                continue
            scope, provider_node = found

            def resume(value: Value, index: int = index, argument: ast.arg = argument) -> None:
                if value.obj is None or (isinstance(value.obj, Heap) and value.obj.type.kind == "unknown"):
                    value = self.as_annotated(value, function, argument)
                values[argument.arg] = (
                    value if value.term else Value(value.obj, value.reads, argument.arg, value.request, value.made)
                )
                self._next_parameter(function, rest[index + 1 :], values, cache, then)

            provider = (
                self.provider_value(scope, provider_node, argument.arg)
                if provider_node is not None
                else self.annotated_class(function, argument)
            )
            self.database.sessions.depends(provider, function.ref, argument.arg)
            self.provide(provider, cache, resume)
            return
        then(values)

    def as_annotated(self, value: Value, function: FunctionValue, argument: ast.arg) -> Value:
        """What a provider gave, as the parameter's annotation says what it is."""
        kind, element = self.type_of_annotation(function.ref.path, argument.annotation, function.ref.name)
        if kind.kind != "external":
            return value
        if isinstance(value.obj, Heap):
            value.obj.type = kind
            return value
        return Value(Heap(kind, element=element), value.reads, value.term, value.request, value.made)

    def dependency_of(self, function: FunctionValue, argument: ast.arg) -> tuple[Ref, ast.expr | None] | None:
        """The `Depends(...)` of a parameter: its default, its Annotated metadata, or an alias of that."""
        default = self.default_node(function, argument)
        if isinstance(default, ast.Call) and self.says_depends(function.ref, default):
            return function.ref, default.args[0] if default.args else _keyword(default, "dependency")
        return self.annotated_dependency(function.ref, argument.annotation, 0)

    def says_depends(self, scope: Ref, call: ast.Call) -> bool:
        """Whether a call is `Depends(...)` or `Security(...)`, by whatever name it was imported."""
        name = dotted(call.func)
        if name.rpartition(".")[2] in _DEPENDS:
            return True
        found = self.program.resolve(scope.path, name, scope.name) if name else None
        return found is not None and found[0].kind == "external" and found[0].name.rpartition(".")[2] in _DEPENDS

    def annotated_dependency(self, scope: Ref, node: ast.expr | None, depth: int) -> tuple[Ref, ast.expr | None] | None:
        if node is None or depth > 5:
            return None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except (SyntaxError, ValueError):
                return None
        if isinstance(node, ast.Subscript):
            if dotted(node.value).rpartition(".")[2] == "Annotated" and isinstance(node.slice, ast.Tuple):
                for extra in node.slice.elts[1:]:
                    if isinstance(extra, ast.Call) and self.says_depends(scope, extra):
                        return scope, extra.args[0] if extra.args else node.slice.elts[0]
                return self.annotated_dependency(scope, node.slice.elts[0], depth + 1)
            return None
        if isinstance(node, ast.BinOp):
            return self.annotated_dependency(scope, node.left, depth + 1)
        name = dotted(node)
        found = self.program.resolve(scope.path, name, scope.name) if name else None
        if found is None or found[1] or found[0].kind != "variable":
            return None
        unit = self.unit(found[0].path)
        if unit is None:
            return None
        statement = unit.assignment(unit.tree.body, found[0].name)
        return self.annotated_dependency(
            Ref("module", found[0].path, ""), statement.value if statement else None, depth + 1
        )

    def default_node(self, function: FunctionValue, argument: ast.arg) -> ast.expr | None:
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if argument in positional:
            index = positional.index(argument) - (len(positional) - len(arguments.defaults))
            return arguments.defaults[index] if index >= 0 else None
        return arguments.kw_defaults[arguments.kwonlyargs.index(argument)]

    def annotated_class(self, function: FunctionValue, argument: ast.arg) -> Value:
        """`x: Service = Depends()`."""
        kind, _ = self.type_of_annotation(function.ref.path, argument.annotation, function.ref.name)
        return Value(ClassValue(kind.ref)) if kind.kind == "instance" and kind.ref is not None else NOTHING

    def request_value(self, function: FunctionValue, argument: ast.arg) -> Value:
        """What the client sends, or one of FastAPI's own objects."""
        kind, element = self.type_of_annotation(function.ref.path, argument.annotation, function.ref.name)
        if kind.kind == "external" and kind.name.rpartition(".")[2] in _INJECTED:
            return Value(Heap(kind), term=argument.arg, request=kind.name.endswith(("Request", "WebSocket")))
        if kind.kind == "unknown" and argument.arg in ("request", "websocket") and argument.annotation is None:
            return Value(Heap(Type("external", name="starlette.requests.Request")), term=argument.arg, request=True)
        obj = Heap(kind, element=element) if kind.kind == "instance" else None
        return Value(obj, term=argument.arg, request=True)

    def provider_value(self, scope: Ref, node: ast.expr, name: str) -> Value:
        """The callable inside `Depends(...)`; an instance made there is one for all requests."""
        with self.startup():
            self.enter_module(scope.path)
            if scope.kind == "function":
                outer = scope.name.rpartition(".")[0]
                facts = self.program.modules[scope.path]
                if outer in facts.functions:
                    env = self.factory_env(Ref("function", scope.path, outer))
                    self.frames.append(Activation(self.next_serial(), env.function, scope.path, env))
            value = self.evaluate(wired(node) or node)
            called = f"{scope.name}({name})" if scope.name else name
            self.settle_closure(value, f"{scope.path}:{called}")
        self.settle(value, Location(Root("instance", scope.path, called)))
        return value

    def provide(self, provider: Value, cache: dict[Ref, Value], then: Callable[[Value], None]) -> None:
        """Run a dependency, once per request, then go on with its value."""
        self.models.provided(provider)
        if is_provider(provider):
            then(provided(self, provider))
            return
        obj = provider.obj
        if isinstance(obj, Heap) and obj.type.kind == "instance" and obj.type.ref is not None:
            method = self.program.method(obj.type.ref, "__call__")
            obj = self.bound(method, provider).obj if method is not None else None
        if isinstance(obj, ClassValue):
            self.provide_instance(obj, cache, then)
            return
        if not isinstance(obj, FunctionValue) or isinstance(obj.node, ast.Lambda):
            value = (
                Value(Heap(Type("external", name=obj.name)), request=True)
                if isinstance(obj, External)
                else Value(request=True)
            )
            then(value)
            return
        function, asked = obj, obj.signature.ref
        if asked in cache:
            then(cache[asked])
            return
        depth = sum(f.ref == function.ref for f in self.frames)
        if depth > 1:
            then(NOTHING)
            return

        def resume(value: Value) -> None:
            self.depended.setdefault(self.entry.label, {})[asked] = None
            cache[asked] = value
            self.boundary(function.node)
            then(value)

        self.resolve_parameters(function, cache, lambda values: self.run_provider(function, values, resume))

    def run_provider(self, function: FunctionValue, values: dict[str, Value], then: Callable[[Value], None]) -> None:
        facts = self.program.function(function.ref)
        context, outer_context, outer = self.context_of(function), self.context, list(self.frames)
        self.boundary(function.node)
        if facts is not None and facts.is_generator:
            ran = False

            def rest(value: Value) -> None:
                nonlocal ran
                if ran:
                    return
                ran = True
                self.database.sessions.provides(function, value, is_generator=True)
                inner, self.frames = self.frames, outer
                try:
                    with self.in_context(outer_context):
                        then(value)
                finally:
                    self.frames = inner
                self.state.alive = True

            with self.in_context(context):
                self.activate(function, [], values, rest)
            if not ran:
                then(NOTHING)
            return
        with self.in_context(context):
            if function.cached:
                result = self.cached_result(function, [], values, function.node)
            else:
                result = self.activate(function, [], values, None)
                if isinstance(result.obj, Coroutine):
                    result = self.run_coroutine(result.obj, function.node)
        self.state.alive = True
        self.database.sessions.provides(function, result, is_generator=False)
        then(result)

    def provide_instance(self, cls: ClassValue, cache: dict[Ref, Value], then: Callable[[Value], None]) -> None:
        """A class as a dependency: a new object for each request."""
        self.depended.setdefault(self.entry.label, {})[cls.ref] = None
        init = self.program.method(cls.ref, "__init__")
        call = ast.Call(ast.Name(cls.ref.name, ast.Load()), [], [])
        if init is None:
            with self.in_context("thread"):
                value = self.instantiate(cls, [], {}, call)
            then(Value(value.obj, request=True))
            return
        bound = self.bound(init, Value(Heap(Type("instance", cls.ref)))).obj
        assert isinstance(bound, FunctionValue)

        def construct(values: dict[str, Value]) -> None:
            with self.in_context("thread"):
                value = self.instantiate(cls, [], values, call)
            then(value)

        self.resolve_parameters(bound, cache, construct)

    def boundary(self, node: ast.AST) -> None:
        """Between a dependency and what depends on it, other requests run."""
        marker = Suspension(node, (), self.context, "the next dependency")
        self.state.suspend(marker)
        self.state.switch(node)


def _adds_to_itself(node: ast.AST) -> bool:
    """Whether what is assigned contains what was there: `batch = unsent + batch`."""
    if not isinstance(node, ast.Assign):
        return False
    kinds = {target.__class__ for target in node.targets}
    again = [n for n in ast.walk(node.value) if isinstance(n, ast.expr) and n.__class__ in kinds]
    targets = {ast.unparse(target) for target in node.targets} if again else set()
    return any(ast.unparse(n) in targets for n in again)


def _makes_empty(node: ast.AST) -> bool:
    """Whether an assignment puts a new container there that nothing is in yet: `self.seen: set[str] = set()`."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Call):
        return dotted(value.func) in ("set", "dict", "list") and not value.args and not value.keywords
    return is_empty_display(value)


def _halves(one: Write, other: Write) -> bool:
    """Whether two assignments from one request set two attributes of one object."""
    if one.kind != "assign" or other.kind != "assign" or one.location == other.location:
        return False
    plain = len(one.location.fields) == len(other.location.fields) > 0
    return (
        plain
        and one.location.root == other.location.root
        and one.location.fields[:-1] == other.location.fields[:-1]
        and one.request
        and (other.request or other.made == "await")
        and other.made not in ("const", "none")
        and not one.location.fields[-1].startswith("[")
    )


def _repeats(
    newer: Read, newer_check: Control, older: Read, older_check: Control, write: Write, is_apart: bool
) -> bool:
    """Whether a check looks again at what an older one looked at: asking for the value also asks whether it is there.

    Something that is put where nothing was has been decided by the look that found nothing, and what is taken
    away by the look that found it. Two comparisons between which nothing can run are two parts of one decision.
    """
    if newer.serial <= older.serial or newer is older:
        return False
    if older.how == "iterate" and len(newer.location.fields) > len(older.location.fields):
        return False  # what each of them is says nothing of which ones there are
    element = older.location.fields[-1:] != () and older.location.fields[-1].startswith("[")
    if (
        element
        and newer_check is older_check
        and newer.how == "iterate"
        and newer.location == older.location.child("[*]")
    ):
        return False  # whether there is anything in what was found says nothing of whether it is still there
    found = effective(newer_check.shape, newer_check.negated) == "present" and newer.how == "contains"
    if write.kind == "remove" and found:
        return True
    if write.kind == "assign" and effective(newer_check.shape, newer_check.negated) in ABSENT:
        return True
    if older_check.shape not in _ASKING_VALUE:
        return True
    return newer_check.shape in _ASKING_VALUE and (is_apart or newer_check is older_check)


def _built_from(value: Value, kind: str) -> frozenset[Read]:
    """What went into a new object that takes the place of another: `plan = Plan([*plan.steps, one])`."""
    obj = value.obj
    if kind != "assign" or value.made != "new" or not isinstance(obj, Heap) or isinstance(obj, Row):
        return NO_READS
    return NO_READS.union(*(part.reads for part in obj.fields.values()))


def _sets_a_flag_anew(write: Write, read: Read, control: Control, decisions: tuple[Control, ...]) -> bool:
    """Whether a flag is set on a newer look at what the same test had asked: the test is repeated, if only in part."""
    if write.kind != "assign" or write.made != "const":
        return False
    asked = {r.location for r in control.reads}
    return any(
        later is not control and any(r.serial > read.serial and r.location in asked for r in later.reads)
        for later in decisions
    )


def _asks_under_lock(write: Write, read: Read, control: Control, decisions: tuple[Control, ...]) -> bool:
    """Whether a part of what a test had asked is asked again under a lock that is still held for the write."""
    held = {h.acquisition for h in write.held} - {h.acquisition for h in read.held}
    asked = {r.location for r in control.reads}
    return bool(held) and any(
        r.serial > read.serial and r.location in asked and any(h.acquisition in held for h in r.held)
        for later in decisions
        if later is not control
        for r in later.reads
    )


_ASKING_VALUE = frozenset({"compare", "equal", "different"})


def _goes_on(node: ast.AST) -> bool:
    """Whether an `await` of a middleware is for all that comes after it: `call_next(request)`, `app(scope, ...)`."""
    call = node.value if isinstance(node, ast.Await) else None
    if not isinstance(call, ast.Call):
        return False
    first = call.args[0] if call.args else None
    asgi = len(call.args) == 3 and isinstance(first, ast.Name) and first.id == "scope"
    return asgi or dotted(call.func).rpartition(".")[2] == "call_next"


def _handed_over(value: Value) -> Value:
    """What is given to something that runs by itself: beside the one who gave it."""
    given = looked_up(value)
    return Value(given.obj, frozenset(), given.term, given.request, given.made)


def in_order(reads: Iterable[Read]) -> list[Read]:
    """Reads in the order in which they happened: sets of them have no order that lasts."""
    return sorted(reads, key=_SERIAL)


def _known(value: Value) -> str:
    """How an object came to be that is shared under a name of its own: it was there before."""
    return "shared" if isinstance(value.obj, Heap) and value.obj.location is not None else ""


def _single(value: Value, location: Location) -> str:
    """`shared` for what a call gave out that is kept, and was looked up there: all who ask get the one object.

    Where it becomes one of many, it is the asking that counts.
    """
    heap = value.obj
    if value.made not in ("call", "await", "new") or not isinstance(heap, Heap):
        return ""
    if heap.type.kind not in ("instance", "external", "unknown"):
        return ""
    place = heap.location
    if place is None or isinstance(place, Own) or place.root.kind not in ("variable", "cached", "class"):
        return ""
    one_of_many = location.fields[-1:] and location.fields[-1].startswith("[")
    found = not one_of_many and any(read.location == place for read in value.reads)
    return "shared" if not place.fields or found else ""


def _same(value: Value, location: Location) -> str:
    """Whether an object is put where it is already, after something was changed in it."""
    if location.fields[-1:] and location.fields[-1].startswith("["):
        return ""
    return "same" if isinstance(value.obj, Heap) and value.obj.location == location else ""


def _other_key(one: str, other: str) -> bool:
    """Whether two keys are two texts that begin differently, whatever is put into them."""
    starts = [re.match(r"f?'(?:\{'([^']*)'\})?", key) for key in (one, other)]
    if not all(m is not None and m.group(1) for m in starts):
        return False
    first, second = (str(m.group(1)) for m in starts if m is not None)
    return not first.startswith(second) and not second.startswith(first)


def same_key(read: Read, write: Write) -> bool:
    """Whether a read and a write may mean the same element."""
    return not read.key or not write.key or read.key == write.key


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


_INJECTED = frozenset(
    {"Request", "WebSocket", "HTTPConnection", "BackgroundTasks", "Response", "SecurityScopes", "FastAPI"}
)
