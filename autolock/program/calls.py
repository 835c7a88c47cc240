"""Calling: functions of the project are run, what is known of libraries is applied, the rest is unknown."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from autolock.database.adapters.mappings import DUMPS
from autolock.database.sessions import REHEARSAL
from autolock.llm.hooks import WAITING
from autolock.program.allowance import afforded
from autolock.program.containers import Containers
from autolock.program.core import DEPTH, Activation, OutOfBudget, Spawn
from autolock.program.decisions import tests_given
from autolock.program.effects import Again, Effect, Recorder
from autolock.program.files import Files
from autolock.program.flights import claims_first, flies_alone, has_room
from autolock.program.index import dotted
from autolock.program.injection import is_provider, provided, wired
from autolock.program.library import (
    AWAITING,
    CONTAINER_TYPES,
    MANNERS,
    ON_CONTAINERS,
    PURE_BUILTINS,
    SPAWN,
    SPAWN_METHODS,
    TO_THREAD,
    TO_THREAD_METHODS,
)
from autolock.program.linker import Ref, statements_in
from autolock.program.release import waits
from autolock.program.shapes import shape_of, terms_of
from autolock.program.singletons import fields_given, kept_instance
from autolock.program.trace import LIMITED, Control, Held, LockUse, Read
from autolock.program.values import (
    NO_READS,
    NOTHING,
    ClassValue,
    Coroutine,
    Env,
    External,
    FunctionValue,
    Group,
    Heap,
    Location,
    LockValue,
    Method,
    Partial,
    Root,
    Row,
    Thing,
    Type,
    Value,
    clone,
    is_switch,
    join,
    truth,
)
from autolock.program.wholes import TAKING_ALL, classes_in

_INSTANCE_NAMES = frozenset({"_instance", "instance", "__instance", "_inst", "_singleton", "_instances"})
_STREAMS = ("StreamingResponse", "EventSourceResponse", "ContentStream")


#: What an attempt to take a lock is called, followed by the acquisition that it was.
TRIED = "acquired"
#: Functions that wait for one task.
_WAITING_FOR_ONE = frozenset({"wait_for", "shield"})


#: What gives a variable of the environment, or what it is given.
_ENVIRONMENT = frozenset({"os.getenv", "os.environ.get"})

#: How an attribute is reached past what the class has to say of it, and the built-in function that does the same.
_ACCESS = {
    f"{prefix}object.__{method}__": function
    for prefix in ("", "builtins.")
    for method, function in (("getattribute", "getattr"), ("setattr", "setattr"))
}


#: What only tells a type checker something.
_CASTS = frozenset({"typing.cast", "typing_extensions.cast"})
#: How often a function is followed within itself.
_RECURSION = 2
#: How many wrappers that one decorator has made are followed one within the other.
_WRAPPED = 8


class Calls(Containers, Files):
    """The part of the interpreter that calls things."""

    def call(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        obj = callee.obj
        self.switch(node)
        self.models.called(callee, args, kwargs, node)
        if isinstance(obj, FunctionValue):
            return self.call_function(obj, args, kwargs, node)
        known = self.database.call(callee, args, kwargs, node)
        if known is not None:
            self.database.outside.answered.add(id(node))
            return known
        self.database.outside.called(callee, node)
        if isinstance(obj, ClassValue):
            return self.instantiate(obj, args, kwargs, node)
        if isinstance(obj, External):
            return self.call_external(obj.name, callee, args, kwargs, node)
        if isinstance(obj, Method):
            return self.call_method(obj, args, kwargs, node)
        if isinstance(obj, Partial):
            return self.call(obj.function, [*obj.args, *args], {**obj.kwargs, **kwargs}, node)
        if isinstance(obj, Heap) and obj.type.kind == "instance" and obj.type.ref is not None:
            method = self.program.method(obj.type.ref, "__call__")
            if method is not None:
                bound = self.bound(method, callee)
                return self.call(bound, args, kwargs, node)
        if is_provider(callee):
            return provided(self, callee)
        self.spawn_callbacks(args, kwargs, node)
        return Value(
            None, _reads(callee, *args, *_given(kwargs)), "", _request(callee, *args, *kwargs.values()), "call"
        )

    # -- functions of the project ---------------------------------------------------

    def call_function(
        self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value], node: ast.AST
    ) -> Value:
        facts = self.program.function(function.ref) if not isinstance(function.node, ast.Lambda) else None
        if function.cached:
            return self.cached_result(function, args, kwargs, node)
        if facts is not None and (facts.is_async or facts.is_generator):
            coroutine = Coroutine(function, args, kwargs, node)
            self.database.sessions.makes(coroutine)
            return Value(coroutine, made="call")
        return self.invoke(function, args, kwargs, node)

    def cached_result(
        self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value], node: ast.AST
    ) -> Value:
        """The result of a memoised provider: made once, the same for every request."""
        location = Location(Root("cached", function.ref.path, f"{function.ref.name}()"))
        key = (function.ref.path, f"{function.ref.name}()")
        if key not in self._variables:
            self._variables[key] = NOTHING
            bare = FunctionValue(function.ref, function.node, function.receiver, function.env)
            with self.startup():
                self.enter_module(function.ref.path)
                result = self.invoke(bare, args, kwargs, node)
            if isinstance(result.obj, Heap | LockValue | Thing):
                self.settle(result, location)
            self._variables[key] = Value(result.obj, term=str(location), made="call")
        return self._variables[key]

    def rehearse(self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value]) -> bool:
        spawned, budget, floor, ended = len(self.spawned), self.budget, self.floor, False
        self.budget, self.floor = min(budget - floor, REHEARSAL), 0
        with self.startup():
            self.enter_module(function.ref.path)
            with suppress(OutOfBudget):  # what was seen so far is true
                self.activate(function, args, kwargs, None)
                ended = True
        self.budget, self.floor = budget, floor
        del self.spawned[spawned:]
        return ended

    def run_coroutine(self, coroutine: Coroutine, node: ast.AST) -> Value:
        self.all_contents([*coroutine.args, *coroutine.kwargs.values()], coroutine.node)
        return self.invoke(coroutine.function, coroutine.args, coroutine.kwargs, coroutine.node)

    def invoke(self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        if function.ref not in self.claiming:
            self.claiming[function.ref] = claims_first(function.node)
        if self.claiming[function.ref]:
            self.claims.add(node)
        named = self.frame.env.tests if self.frames else {}
        asked = tests_given(function.node, function.receiver is not None, node, named)
        return self.activate(function, args, kwargs, None, _gives_all(node, kwargs), asked)

    def activate(
        self,
        function: FunctionValue,
        args: list[Value],
        kwargs: dict[str, Value],
        on_yield: Callable[[Value], None] | None,
        complete: bool = False,
        asked: Mapping[str, ast.expr] = MappingProxyType({}),
    ) -> Value:
        """Run a function's body in the current state.

        `on_yield` is what happens at its `yield`; where the arguments are `complete`, what is left out has its default.
        `asked` are the comparisons that the call hands to parameters.
        """
        again = [f.ref for f in self.frames].count(function.ref)
        if len(self.frames) > DEPTH or (again >= _RECURSION and self.turns_in_circles(function)):
            return self.unknown(*args, *kwargs.values())
        key = self.signature(function, args, kwargs, complete, asked) if on_yield is None else None
        memo = self.remembered(key, args, kwargs)
        if memo is not None:
            return self.replay(memo, function, args, kwargs)
        if on_yield is not None:
            return self.run_body(function, args, kwargs, on_yield, complete, asked)
        given_up = self.given_up
        recorder = Recorder.start(self) if key is not None else None
        if function.ref == self.entry.function:
            result: Value | None = self.run_body(function, args, kwargs, None, complete, asked)
        else:
            result = afforded(self, lambda: self.run_body(function, args, kwargs, None, complete, asked))
        if result is None:
            result = self.unknown(*args, *kwargs.values())
        effect = recorder.finish(self, function, result) if recorder is not None else None
        if effect is not None and given_up == self.given_up:
            own = bool(effect.reads or effect.writes or effect.told)
            self._effects[(key, terms_of([*args, *kwargs.values()])) if own else key] = effect
        return result

    def turns_in_circles(self, function: FunctionValue) -> bool:
        """Whether a function has called itself; one decorator's wrappers of several functions are not one function."""
        active = [f.env.parent for f in self.frames if f.ref == function.ref]
        return sum(parent is function.env for parent in active) >= _RECURSION or len(active) >= _WRAPPED

    def remembered(self, key: object | None, args: list[Value], kwargs: dict[str, Value]) -> Effect | None:
        """What is known of a call like this one: of any arguments of these types, or of these very arguments."""
        if key is None:
            return None
        return self._effects.get(key) or self._effects.get((key, terms_of([*args, *kwargs.values()])))

    def replay(self, effect: Effect, function: FunctionValue, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Do to the state what the same call has done before, without going through the function again."""
        self.budget -= 1 + len(effect.writes)
        self.entered += effect.entered
        self.told += effect.told
        again = Again(self, effect, self.stack())
        again.candidates()
        for write in effect.writes:
            again.write(write)
        for read in effect.reads:
            if read.early:
                again.read(read.event)
        if effect.suspends is not None:
            self.suspend(effect.suspends.node, effect.suspends.what)
        for read in effect.reads:
            if not read.early:
                again.read(read.event)
        if effect.outside is not None:
            self.database.outside.note(effect.outside)
        for call in effect.models:
            self.models.again(call, again.stack(call))
        self.models.limited = self.models.limited or effect.limited
        if self.state.pending:
            for peek in effect.peeks:
                self.late_reads(again.moved_read(peek))
        if effect.switches is not None:
            self.switch(effect.switches)
        receiver = function.receiver.obj if function.receiver is not None else None
        if isinstance(receiver, Heap) and effect.own:
            receiver.fields.update({n: clone(v) for n, v in effect.own.items()})
            self.shaped.append(receiver)
        self.state.control += tuple(again.control(c) for c in effect.controls)
        values = [*args, *kwargs.values()]
        made = frozenset(again.seen[r] for r in effect.result.reads if r in again.seen)
        return Value(clone(effect.result).obj, _reads(*values) | made, "", _request(*values), effect.result.made)

    def signature(
        self,
        function: FunctionValue,
        args: list[Value],
        kwargs: dict[str, Value],
        complete: bool,
        asked: Mapping[str, ast.expr],
    ) -> object | None:
        """All that could make one call of a function differ from another; None when that is not known."""
        if isinstance(function.node, ast.Lambda) or function.env is not None or not self.recording:
            return None
        values = [*([function.receiver] if function.receiver is not None else []), *args, *kwargs.values()]
        if any(v.reads for v in values):
            # What is written may depend on what the caller read: such a call is followed itself, but
            # from one place of the code only twice (a loop's first and second turn).
            site = (function.ref, self.context, id(self.frame.statement) if self.frames else 0)
            self._sites[site] = self._sites.get(site, 0) + 1
            if self._sites[site] <= 2:
                return None
        parts: list[object] = [function.ref, self.context, tuple(kwargs), complete]
        parts.extend(h.lock.location for h in self.state.held)
        parts.append(self.models.bounded)
        parts.extend((name, id(test)) for name, test in asked.items())
        parts.extend(shape_of(value) for value in values)
        return tuple(parts)

    def run_body(
        self,
        function: FunctionValue,
        args: list[Value],
        kwargs: dict[str, Value],
        on_yield: Callable[[Value], None] | None,
        complete: bool,
        asked: Mapping[str, ast.expr],
    ) -> Value:
        env = Env(function.ref, function.env)
        env.tests.update(asked)
        if not isinstance(function.node, ast.Lambda):
            env.nonlocals = set(self.program.modules[function.ref.path].functions[function.ref.name].rebinds)
        self.bind_arguments(function, args, kwargs, env, complete)
        frame = Activation(self.next_serial(), function.ref, function.ref.path, env, on_yield=on_yield)
        frame.is_async = isinstance(function.node, ast.AsyncFunctionDef)
        control = self.state.control
        if isinstance(function.node, ast.Lambda):
            frame.statement = self.frame.statement if self.frames else None
            self.frames.append(frame)
            try:
                return self.evaluate(function.node.body)
            finally:
                self.frames.pop()
        self.frames.append(frame)
        if self.recording:
            if self.mending:
                self.entered.append(function.ref)
            self.adopt(function, env, frame)
        since, shaped = frame.serial, len(self.shaped)
        wrapper = self.models.entered(function)
        try:
            self.execute([function.block] if function.block is not None else function.node.body)
        finally:
            self.frames.pop()
        if self.recording:
            self.reached.add(function.ref)
        self.models.left(wrapper)
        result = self.returned(frame, control)
        if on_yield is None:
            self.forget(since, result, shaped)
        return result if result.obj is not None else self.database.returned(function, result)

    def parameters_of(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> tuple[ast.arg, ...]:
        """The parameters that are named, those that can only be given by name last; put together once."""
        if node not in self._parameters:
            arguments = node.args
            self._parameters[node] = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        return self._parameters[node]

    def adopt(self, function: FunctionValue, env: Env, frame: Activation) -> None:
        """Arguments of which only the annotation says that they are rows."""
        assert not isinstance(function.node, ast.Lambda)
        frame.statement = function.node.body[0]
        for argument in self.parameters_of(function.node):
            held = env.vars.get(argument.arg)
            if held is not None and isinstance(held.obj, Heap) and argument.annotation is not None:
                env.vars[argument.arg] = self.database.adopted(held, argument, list(env.vars.values()))

    def forget(self, since: int, result: Value, shaped: int) -> None:
        """Of what a function read, only what it gives back, stored or decided for its caller matters from here on."""
        made = [r for r in self.state.fresh if r.serial > since]
        if not made:
            return
        kept = set(result.reads).union(*(c.reads for c in self.state.control), self.markers)
        for heap in self.shaped[shaped:]:
            for held in heap.fields.values():
                kept |= held.reads
        self.state.forget(set(made) - kept)

    def returned(self, frame: Activation, control: tuple[Control, ...]) -> Value:
        """Join the ways in which a function was left."""
        value = NOTHING
        for index, (result, state) in enumerate(frame.exits):
            value = result if index == 0 else join(value, result)
            self.state.merge(state)
        if frame.exits and not self.state.alive:
            self.state.alive = any(s.alive for _, s in frame.exits)
        # A helper that raised instead of returning has decided for its caller, and one that went on until a test came
        # out otherwise; one that returned has not. What a block under its `with` has decided is the caller's own.
        if self.state.control != control:
            self.state.control = tuple(
                [
                    c
                    for c in self.state.control
                    if c.exit in ("raise", "loop")
                    or c in control
                    or (frame.on_yield is not None and c.frame != frame.serial)
                ]
            )
        return value

    def bind_arguments(
        self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value], env: Env, complete: bool
    ) -> None:
        """Give parameters their values, from arguments, defaults or annotations."""
        arguments = function.node.args
        parameters = self.parameters_of(function.node)
        names = [a.arg for a in parameters[: len(parameters) - len(arguments.kwonlyargs)]]
        given = list(args)
        if function.receiver is not None and (names or arguments.vararg is not None):
            given.insert(0, function.receiver)
        for name, value in zip(names, given, strict=False):
            env.vars[name] = value
        if arguments.vararg is not None:
            env.vars[arguments.vararg.arg] = Value(Group(given[len(names) :])).also(*given[len(names) :])
        if arguments.kwarg is not None:
            rest = self.unknown(*kwargs.values())
            own = {*names, *(a.arg for a in arguments.kwonlyargs)}
            fields = {f"['{k}']": v for k, v in kwargs.items() if k not in own} if "**" not in kwargs else {}
            named = Heap(Type("dict"), fields=fields, keywords=bool(fields))
            env.vars[arguments.kwarg.arg] = Value(named, rest.reads, "", rest.request, "display")
        for argument in parameters:
            if argument.arg in kwargs:
                env.vars[argument.arg] = kwargs[argument.arg]
            said = argument.arg in env.vars
            if not said:
                spread = kwargs.get("**")
                left_out = self.default_of(function, argument)
                env.vars[argument.arg] = left_out if spread is None else _named_in(spread, argument.arg, left_out)
            chosen = env.vars[argument.arg].term not in self.several and is_switch(env.vars[argument.arg])
            if (said or complete) and (chosen or truth(env.vars[argument.arg]) is not None):
                env.switches |= {argument.arg}
            held = env.vars[argument.arg]
            if isinstance(held.obj, Heap) and held.obj.location is not None:
                self.watched.add(held.obj.location)
            if held.obj is None and argument.annotation is not None:
                env.vars[argument.arg] = self.with_annotation(held, function, argument)

    def with_annotation(self, value: Value, function: FunctionValue, argument: ast.arg) -> Value:
        kind, element = self.type_of_annotation(function.ref.path, argument.annotation, function.ref.name)
        if kind.kind in ("instance", "external"):
            return Value(
                Heap(kind, element=element), value.reads, value.term or argument.arg, value.request, value.made
            )
        return value if value.term else Value(None, value.reads, argument.arg, value.request, value.made)

    def default_of(self, function: FunctionValue, argument: ast.arg) -> Value:
        """A default value; a mutable one is shared by all calls, of a nested function only by those of one request."""
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        node: ast.expr | None = None
        if argument in positional:
            index = positional.index(argument) - (len(positional) - len(arguments.defaults))
            node = arguments.defaults[index] if index >= 0 else None
        elif argument in arguments.kwonlyargs:
            node = arguments.kw_defaults[arguments.kwonlyargs.index(argument)]
        if isinstance(node, ast.Dict | ast.List | ast.Set) or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONTAINER_TYPES
        ):
            own = function.env is not None and not function.env.shared
            name = f"{function.ref.name}({argument.arg})"
            location = None if own else Location(Root("default", function.ref.path, name))
            kind = "dict" if isinstance(node, ast.Dict) else "set" if isinstance(node, ast.Set) else "list"
            return Value(Heap(Type(kind), location))
        if isinstance(node, ast.Constant):
            return Value(None, term=repr(node.value), made="none" if node.value is None else "const")
        injected = wired(node) if node is not None else None
        if injected is not None:
            with self.startup():
                self.enter_module(function.ref.path)
                provider = self.evaluate(injected)
            return provided(self, provider) if is_provider(provider) else Value(None, term=argument.arg)
        if isinstance(node, ast.Call):
            return self.made_default(function, argument, node)
        named = self.named_default(function, node) if isinstance(node, ast.Name) else NOTHING
        return named if named.obj is not None else Value(None, term=argument.arg)

    def made_default(self, function: FunctionValue, argument: ast.arg, node: ast.Call) -> Value:
        """What a factory of the project has made for a default, once for all calls: `session=SessionLocal()`."""
        known = self._defaults.get(node)
        if known is not None:
            return known
        found = self.program.resolve(function.ref.path, dotted(node.func)) if dotted(node.func) else None
        value = Value(None, term=argument.arg)
        if found is not None and found[0].kind == "variable" and not found[1] and function.env is None:
            with self.startup():
                self.enter_module(function.ref.path)
                made = self.evaluate(node)
            if isinstance(made.obj, Thing):
                name = f"{function.ref.name}({argument.arg})"
                self.settle(made, Location(Root("default", function.ref.path, name)))
                value = made
        self._defaults[node] = value
        return value

    def named_default(self, function: FunctionValue, node: ast.Name) -> Value:
        """What a module names, given as a default: `factory=SessionLocal`."""
        found = self.program.resolve(function.ref.path, node.id)
        if found is None or found[1]:
            return NOTHING
        ref, _ = found
        if ref.kind == "variable":
            return NOTHING if ref.name in self.rebound_names(ref.path) else self.module_variable(ref.path, ref.name)
        return self.reference(ref, (), node)

    def instantiate(self, cls: ClassValue, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        """`Class(...)`: a new object, its constructor run."""
        maker = self.metaclass_call(cls.ref)
        if maker is not None and maker.ref not in [f.ref for f in self.frames]:
            self.invoke(maker, args, kwargs, node)
            return self.module_singleton(cls.ref)
        if self.is_singleton(cls.ref) and not self.is_making(cls.ref):
            self.make_singleton(cls, args, kwargs, node)
            return self.module_singleton(cls.ref)
        heap = Heap(Type("instance", cls.ref), node=node)
        made = Value(heap, _reads(*args, *kwargs.values()), "", _request(*args, *kwargs.values()), "new")
        init = self.program.method(cls.ref, "__init__")
        if init is not None:
            bound = self.bound(init, Value(heap)).obj
            held = self.state.held
            if self.is_making(cls.ref):  # Python runs it after `__new__` has come back, with its locks
                self.state.held = ()
            if isinstance(bound, FunctionValue):
                self.invoke(bound, args, kwargs, node)
            self.state.held = held
            return Value(heap, NOTHING.reads, "", made.request, "new")
        for name, value in kwargs.items():
            heap.fields[f".{name}"] = value
        self.positional_fields(heap, cls.ref, args)
        self.make_fields(heap, cls.ref)
        return made

    def make_fields(self, heap: Heap, ref: Ref) -> None:
        """What a dataclass makes for each of its objects: `lock: Lock = field(default_factory=Lock)`."""
        for owner in self.program.mro(ref):
            unit = self.unit(owner.path) if owner.kind == "class" else None
            body = unit.classes[owner.name].body if unit is not None and owner.name in unit.classes else []
            for statement in body:
                factory = _factory_of(statement)
                if factory is None or not isinstance(statement, ast.AnnAssign):
                    continue
                assert isinstance(statement.target, ast.Name)
                name = f".{statement.target.id}"
                if name not in heap.fields:
                    made = self.made_field(owner, statement, factory)
                    heap.fields.update({name: made} if made.obj is not None else {})

    def made_field(self, owner: Ref, statement: ast.AnnAssign, factory: ast.expr) -> Value:
        """What a field's factory makes where its annotation does not tell it: a lock, or what a lambda gives."""
        found = self.program.resolve(owner.path, dotted(factory)) if dotted(factory) else None
        name = found[0].name if found is not None and found[0].kind == "external" else ""
        lock = self.lock_from_call(name, [], {}, factory)
        if lock is not None:
            return Value(lock, made="new")
        kind, element = self.type_of_annotation(owner.path, statement.annotation, owner.name)
        if kind.kind not in ("unknown", "external") and not isinstance(factory, ast.Lambda):
            return NOTHING
        made = (
            factory.body if isinstance(factory, ast.Lambda) else ast.copy_location(ast.Call(factory, [], []), factory)
        )
        with self.startup():
            self.enter_module(owner.path)
            value = self.evaluate(made)
        if isinstance(value.obj, Heap) and value.obj.element is None:
            value.obj.element = element
        return value

    def metaclass_call(self, ref: Ref) -> FunctionValue | None:
        """The `__call__` of a metaclass of the project that keeps instances, bound to the class."""
        for metaclass in self.metaclasses(ref):
            method = self.program.method(metaclass, "__call__")
            made = self.program.function(method) if method is not None else None
            if (
                method is not None
                and made is not None
                and any(_INSTANCE_NAMES & set(m.split(".")) for m in made.mutates)
            ):
                bound = self.bound(method, Value(ClassValue(ref))).obj
                return bound if isinstance(bound, FunctionValue) else None
        return None

    def is_singleton(self, ref: Ref) -> bool:
        """Whether `__new__` keeps the one instance and gives it to everybody."""
        new = self.program.method(ref, "__new__")
        facts = self.program.function(new) if new is not None else None
        if facts is None or not facts.mutates:
            return False
        node = self.program.syntax_of(new)
        named = any(m.rpartition(".")[2] in _INSTANCE_NAMES for m in facts.mutates)
        return named or (node is not None and kept_instance(node) != "")

    def is_making(self, ref: Ref) -> bool:
        """Whether the class's own `__new__` is running, which makes the object by way of its base."""
        return any(f.ref is not None and f.ref == self.program.method(ref, "__new__") for f in self.frames)

    def make_singleton(self, cls: ClassValue, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> None:
        """Run `__new__`: it looks whether the instance is there, and makes it."""
        new = self.program.method(cls.ref, "__new__")
        bound = self.bound(new, Value(cls)).obj if new is not None else None
        if isinstance(bound, FunctionValue):
            self.invoke(bound, args, kwargs, node)

    def module_singleton(self, ref: Ref) -> Value:
        """The one instance of such a class."""
        key = (ref.path, f"{ref.name}()")
        if key not in self._variables:
            new = self.program.syntax_of(self.program.method(ref, "__new__"))
            name = (kept_instance(new) if new is not None else "") or "_instance"
            heap = Heap(Type("instance", ref), Location(Root("class", ref.path, ref.name), (f".{name}",)))
            self._variables[key] = Value(heap, term=f"{ref.name}()")
            if new is not None:
                self.fill_singleton(heap, ref, fields_given(new, name))
            init = self.program.method(ref, "__init__")
            bound = self.bound(init, Value(heap)).obj if init is not None else None
            if isinstance(bound, FunctionValue):
                with self.startup():
                    self.enter_module(ref.path)
                    self.activate(bound, [], {}, None)
        return self._variables[key]

    def fill_singleton(self, heap: Heap, ref: Ref, given: dict[str, ast.expr]) -> None:
        """Put into the one instance what `__new__` puts there."""
        with self.startup():
            self.enter_module(ref.path)
            for name, value in given.items():
                held = self.evaluate(value)
                heap.fields[f".{name}"] = held
                if heap.location is not None:
                    self.settle(held, heap.location.child(f".{name}"))

    def positional_fields(self, heap: Heap, ref: Ref, args: list[Value]) -> None:
        """Fields of a dataclass, in the order in which its body declares them."""
        unit = self.unit(ref.path)
        node = unit.classes.get(ref.name) if unit else None
        if node is None or not args:
            return
        names = [s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
        for name, value in zip(names, args, strict=False):
            heap.fields[f".{name}"] = value

    # -- things from outside ----------------------------------------------------------

    def call_external(
        self, name: str, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value:
        lock = self.lock_from_call(name, args, kwargs, node)
        if lock is not None:
            return Value(lock, made="new")
        short = name.rpartition(".")[2]
        bare = name.removeprefix("builtins.")
        if name in TO_THREAD:
            if name.startswith("anyio."):
                self.limited(kwargs, node)
            return self.on_thread(args, kwargs, TO_THREAD[name], node)
        if name in SPAWN:
            return self.start_task(args, kwargs, node)
        if name in AWAITING:
            self.database.sessions.gathers(name, node)
            return Value(Group([a for a in args if isinstance(a.obj, Coroutine | Group)]), _reads(*args), made="call")
        if bare in CONTAINER_TYPES or name in CONTAINER_TYPES:
            return self.make_container(CONTAINER_TYPES.get(bare) or CONTAINER_TYPES[name], name, args, kwargs, node)
        if name in _CASTS and len(args) == 2:
            return self.cast(args[1], node)
        if name in TAKING_ALL:
            self.trace.wholes.update(*map(classes_in, args[:1]))
        if name in ("functools.partial", "functools.partialmethod") and args:
            return Value(Partial(args[0], args[1:], kwargs))
        if short in _STREAMS:
            self.spawn_streams([*args, *kwargs.values()], node)
        if short == "Thread" or short == "Timer":
            self.spawn_thread(args, kwargs, short, node)
        handled = self.file_call(name, args, kwargs, node)
        if handled is None and name in ON_CONTAINERS and args:
            handled = self.changed_by(ON_CONTAINERS[name], args, node)
        if handled is not None:
            return handled
        if name == "sys.getsizeof":
            return Value(None, made="call")  # says nothing of what the object holds
        reads = self.reads_of_call(callee, args, kwargs, node)
        if name in _ENVIRONMENT:
            reads = frozenset()  # what is kept where a variable is not set is the same for all
        if reads:
            self.switch(node)
        request = _request(*args, *kwargs.values())
        access = _ACCESS.get(name, bare)
        named = len(args) >= 2 and args[1].made == "const" and args[1].term[:1] in "'\""
        if access in ("getattr", "setattr") and named:
            attribute = args[1].term[1:-1]
            if access == "getattr":
                return self.attribute(args[0], attribute, node).also(*args[2:])
            if len(args) == 3 and self.frame.statement is not None:
                self.store_attribute(args[0], attribute, args[2], self.frame.statement, "assign")
            return NOTHING
        if bare == "hasattr" and len(args) == 2 and args[1].term[:1] in ("'", '"'):
            return self.has_attribute(args[0], args[1].term[1:-1], node)
        if bare == "setattr" and len(args) == 3 and isinstance(args[0].obj, Row):
            value = self.mapping_of(node) or Value(None, args[2].reads, "", args[2].request)
            self.database.rows.assign_some(args[0].obj, value, node)
            return NOTHING
        if name in ("types.SimpleNamespace", "argparse.Namespace"):
            return Value(
                Heap(Type("unknown"), None, {f".{k}": v for k, v in kwargs.items()}), reads, "", request, "new"
            )
        if bare in PURE_BUILTINS:
            return self.builtin(bare, args, reads, request, node)
        self.spawn_callbacks(args, kwargs, node)
        if short[:1].isupper() and "." in name:
            return Value(Heap(Type("external", name=name), node=node), reads, "", request, "new")
        return Value(None, reads, "", request, "call")

    def cast(self, value: Value, node: ast.Call) -> Value:
        """`cast(Store, value)`: the value, which is of that type where nothing else is known of it."""
        if value.obj is not None:
            return value
        scope = self.frame.ref.name if self.frame.ref is not None else ""
        kind, element = self.type_of_annotation(self.frame.path, node.args[0] if node.args else None, scope)
        known = Heap(kind, element=element) if kind.kind not in ("unknown", "lock") else None
        return Value(known, value.reads, value.term, value.request, value.made)

    def has_attribute(self, value: Value, name: str, node: ast.AST) -> Value:
        """`hasattr(value, name)`: of what requests share, a look at whether it is there."""
        obj = value.obj
        shared = isinstance(obj, ClassValue) or (isinstance(obj, Heap) and obj.location is not None)
        found = self.attribute(value, name, node) if shared else NOTHING
        return Value(None, value.reads | found.reads, made="present" if found.reads else "expression")

    def builtin(self, name: str, args: list[Value], reads: frozenset[Read], request: bool, node: ast.Call) -> Value:
        """A built-in function: what it gives depends on its arguments and on nothing else."""
        term = f"{name}({','.join(a.term for a in args)})" if args and all(a.term for a in args) else ""
        obj: Group | None = None
        if name == "type" and args and isinstance(args[0].obj, Heap) and args[0].obj.type.kind == "instance":
            return Value(ClassValue(args[0].obj.type.ref), reads) if args[0].obj.type.ref is not None else NOTHING
        if name in ("iter", "reversed", "enumerate", "next") and args:
            first = args[0].obj
            obj = first if isinstance(first, Group) else None
        if name in ("next", "min", "max") and args and isinstance(args[0].obj, Heap):
            item = self.iterated(args[0], node)
            self.database.taken_first(item)
            return Value(item.obj, reads | item.reads, "", request, "expression")
        return Value(obj, reads, term, request, "expression")

    def mapping_of(self, node: ast.Call) -> Value | None:
        """The mapping whose known items a `setattr(row, key, ...)` puts into a row, each under its own name."""
        source = self.source_of_items(node.args[1], node.args[2], node)
        dump = isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute) and source.func.attr in DUMPS
        given = self.evaluate(source) if source is not None and (dump or dotted(source)) else None
        known = isinstance(given.obj, Heap) and any(n.startswith("['") for n in given.obj.fields) if given else False
        return given if known else None

    def source_of_items(self, key: ast.expr, value: ast.expr, node: ast.Call) -> ast.expr | None:
        """`data` in `setattr(row, key, data[key])`, and where `for key, value in data.items()` is round it."""
        if isinstance(value, ast.Subscript):
            return value.value if ast.unparse(value.slice) == ast.unparse(key) else None
        unit, ref = self.unit(self.frame.path), self.frame.ref
        function = unit.functions.get(ref.name) if unit is not None and ref is not None else None
        for loop in statements_in(function) if function is not None else ():
            items = loop.iter.func if isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call) else None
            if not isinstance(loop, ast.For) or not isinstance(items, ast.Attribute) or items.attr != "items":
                continue
            names = ast.unparse(loop.target).strip("()")
            if names == f"{ast.unparse(key)}, {ast.unparse(value)}" and any(n is node for n in ast.walk(loop)):
                return items.value
        return None

    def reads_of_call(
        self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST
    ) -> frozenset[Read]:
        """What the answer of something unknown may be computed from; what says how it is asked is read, and no more."""
        self.all_contents([v for k, v in kwargs.items() if k in MANNERS], node)
        given = [*args, *_given(kwargs)]
        return _reads(callee, *given) | self.all_contents(given, node)

    def all_contents(self, values: list[Value], node: ast.AST) -> frozenset[Read]:
        """Passing a shared container to something reads what is in it."""
        found: frozenset[Read] = frozenset()
        for value in values:
            found |= self.contents(value, node)
        return found

    def on_thread(self, args: list[Value], kwargs: dict[str, Value], position: int, node: ast.Call) -> Value:
        """Run a function on a worker thread and wait for it (when the result is awaited)."""
        if len(args) <= position:
            return NOTHING
        target, rest = args[position], [*args[:position][1:], *args[position + 1 :]]
        self.database.sessions.hands_over(target, rest, kwargs, node)
        self.suspend(node, node.func)
        outer, self.context = self.context, "thread" if self.recording else self.context
        try:
            result = self.call(target, rest, kwargs, node)
            if isinstance(result.obj, Coroutine):
                result = self.unknown(result)
        finally:
            self.context = outer
        self.suspend(node, node.func)
        return Value(
            External("autolock.acquired") if result.obj is None else result.obj,
            result.reads,
            "",
            result.request,
            "await",
        )

    def limited(self, kwargs: dict[str, Value], node: ast.Call) -> None:
        """Note the limiter that a call waits for before it runs a function on a thread."""
        limiter = kwargs["limiter"].obj if "limiter" in kwargs else None
        if self.recording and isinstance(limiter, LockValue):
            self.trace.locks.append(LockUse(node, self.stack(), self.context, self.entry, limiter, LIMITED))

    # -- methods of things that are no project classes ------------------------------------

    def call_method(self, method: Method, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        receiver, name = method.receiver, method.name
        obj = receiver.obj
        if isinstance(obj, LockValue):
            return self.call_lock(obj, name, node)
        if name in TO_THREAD_METHODS and not isinstance(obj, FunctionValue):
            position = TO_THREAD_METHODS[name]
            if len(args) > position and self.is_callable(args[position]):
                if name in ("submit", "map"):
                    self.database.sessions.submits(receiver, args[position:], kwargs, node)
                    self.spawn(
                        [args[position], *args[position + 1 :]], {}, node, "job", many=True if name == "map" else None
                    )
                    return NOTHING
                return self.on_thread(args, kwargs, position, node)
        if name in SPAWN_METHODS and args:
            return self.start_task(args, kwargs, node)
        if name == "add_task" and args:
            self.spawn(args, kwargs, node, "background task")
            return NOTHING
        if name == "add_job" and args:
            self.spawn(args[:1], {}, node, "job", many=False)
            return NOTHING
        if name in ("enter_context", "enter_async_context") and args and isinstance(args[0].obj, LockValue):
            self.acquire(args[0].obj, node, "with" if name == "enter_context" else "async with")
            return Value(External("autolock.acquired"))
        if isinstance(obj, FunctionValue):
            return NOTHING
        if name == "put" and (_is_unbounded_queue(obj) or self.made_room(node)):
            return Value(External("autolock.acquired"))
        handled = self.file_method(receiver, name, args, kwargs, node)
        if handled is not None:
            return handled
        if isinstance(obj, Heap):
            found = self.container_method(obj, receiver, name, args, kwargs, node)
            if found is not None:
                return found
        self.spawn_callbacks(args, kwargs, node)
        reads = self.reads_of_call(receiver, args, kwargs, node)
        if "lock" in name.lower() and name not in ("unlock", "locked", "block", "clock"):
            return Value(LockValue("both", True, None, node, unknown=True), reads)
        term = ""
        if obj is None and receiver.term and all(a.term for a in args):
            term = f"{receiver.term}.{name}({','.join(a.term for a in args)})"
        return Value(None, reads, term, receiver.request or _request(*args, *kwargs.values()), "call")

    @staticmethod
    def is_callable(value: Value) -> bool:
        return isinstance(value.obj, FunctionValue | Partial | Method | ClassValue)

    # -- locks ---------------------------------------------------------------------------

    def call_lock(self, lock: LockValue, name: str, node: ast.AST) -> Value:
        if name in ("acquire", "acquire_on_behalf_of", "acquire_lock"):
            if not waits(node) and self.is_unasked(node):
                return NOTHING  # nobody knows whether it was free
            self.acquire(lock, node, "acquire")
            conditional = isinstance(node, ast.Call) and bool(node.args or node.keywords) and bool(self.state.held)
            term = f"{TRIED}@{self.state.held[-1].acquisition}" if conditional else ""
            return Value(External("autolock.acquired"), term=term)
        if name in ("release", "release_lock"):
            self.release(lock)
        if name == "wait" and any(same_lock(h.lock, lock) for h in self.state.held):
            self.waited.append(lock)
        if name in ("wait", "wait_for"):
            # A condition gives its lock away while it waits and has it again afterwards: whatever was seen may be old.
            self.suspend(node, f"{lock.location}.{name}" if lock.location else name)
        return Value(None, made="call")

    def is_unasked(self, call: ast.AST) -> bool:
        """Whether the answer of a call is thrown away."""
        statement = self.frame.statement
        return isinstance(statement, ast.Expr) and statement.value is call

    def acquire(self, lock: LockValue, node: ast.AST, style: str) -> None:
        if lock.family == "asyncio" and self.context == "loop" and not self.unwaited.has(lock):
            self.suspend(node, WAITING)
        self.switch(node)
        self.note_order(lock, node)
        held = Held(lock, self.next_serial(), node, self.stack(), self.context)
        if self.recording:
            self.trace.locks.append(LockUse(node, self.stack(), self.context, self.entry, lock, style))
        if lock.capacity == 1:
            self.hold(held)
        elif not lock.fresh:
            self.state.bounds = (*self.state.bounds, lock)

    def note_order(self, lock: LockValue, node: ast.AST) -> None:
        """A lock that is wanted while others are held: the same one again, or one after the other."""
        if not self.recording or not _is_plain(lock) or not isinstance(node, ast.With | ast.AsyncWith):
            return
        for held in self.state.held:
            if not _is_plain(held.lock) or not isinstance(held.node, ast.With | ast.AsyncWith):
                continue
            again = same_lock(held.lock, lock)
            if again and not lock.reentrant:
                outer = LockUse(held.node, held.stack, held.context, self.entry, held.lock, "held")
                use = LockUse(node, self.stack(), self.context, self.entry, lock, "re-entered", outer=outer)
                self.trace.locks.append(use)
            elif not again and held.lock.location is not None and lock.location is not None:
                use = LockUse(node, self.stack(), self.context, self.entry, lock, "second")
                self.trace.orders.setdefault((held.lock.location, lock.location), use)

    def release(self, lock: LockValue) -> None:
        held = list(self.state.held)
        for index in range(len(held) - 1, -1, -1):
            if same_lock(held[index].lock, lock):
                del held[index]
                break
        self.state.held = tuple(held)
        self.state.bounds = tuple(
            [b for b in self.state.bounds if not isinstance(b, LockValue) or not same_lock(b, lock)]
        )

    # -- what runs by itself ----------------------------------------------------------------

    def start_task(self, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        """`create_task(f())`: runs by itself, unless it is waited for where it is started, which is a call of `f`."""
        waited_for = self.awaiting
        while isinstance(waited_for, ast.Call) and waited_for is not node and waited_for.args:
            wrapped = dotted(waited_for.func).rpartition(".")[2] in _WAITING_FOR_ONE
            waited_for = waited_for.args[0] if wrapped else None
        if waited_for is node and args and isinstance(args[0].obj, Coroutine):
            return Value(Group(args[:1]), made="call")
        self.spawn(args, kwargs, node, "task")
        return NOTHING

    def spawn(
        self, args: list[Value], kwargs: dict[str, Value], node: ast.AST, kind: str, many: bool | None = None
    ) -> None:
        """Something is started that runs by itself from here on."""
        if not args:
            return
        target = args[0]
        obj = target.obj
        self.database.sessions.spawns(target, args[1:], kwargs, node, kind)
        function, rest, keywords = None, args[1:], kwargs
        if isinstance(obj, Coroutine):
            function, rest, keywords = obj.function, obj.args, obj.kwargs
        elif isinstance(obj, FunctionValue):
            function = obj
        elif isinstance(obj, Partial) and isinstance(obj.function.obj, FunctionValue):
            function, rest, keywords = obj.function.obj, [*obj.args, *args[1:]], {**obj.kwargs, **kwargs}
        if function is None:
            return
        facts = self.program.function(function.ref)
        asynchronous = facts is not None and facts.is_async
        repeated = (self.loops > 0 or (self.recording and self.entry.many)) and not self.starts_one(obj, node)
        self.spawned.append(
            Spawn(
                function,
                rest,
                keywords,
                "loop" if asynchronous else "thread",
                kind,
                repeated if many is None else many,
                self.entry,
                self.held_for_children(),
                self.state.bounds if self.waits_for_children() else (),
                self.models.limited,
                self.stack(),
            )
        )

    def made_room(self, put: ast.Call) -> bool:
        """Whether a queue was seen just before not to be full, or something was thrown out of it."""
        frame = self.frame
        unit = self.unit(frame.path) if frame.ref is not None else None
        function = unit.functions.get(frame.ref.name) if unit is not None and frame.ref is not None else None
        queue = ast.unparse(put.func.value) if isinstance(put.func, ast.Attribute) else ""
        return function is not None and has_room(function, put, queue)

    def starts_one(self, target: object, node: ast.AST) -> bool:
        """Whether what is started here runs once at a time, or once for each object that starts it."""
        frame = self.frame
        unit = self.unit(frame.path) if frame.ref is not None else None
        function = unit.functions.get(frame.ref.name) if unit is not None and frame.ref is not None else None
        if function is None:
            return False
        method = target if isinstance(target, FunctionValue) else getattr(target, "function", None)
        receiver = method.receiver.obj if isinstance(method, FunctionValue) and method.receiver is not None else None
        own = frame.env.vars.get("self", NOTHING).obj
        in_maker = frame.ref is not None and frame.ref.name.endswith("__init__") and receiver is not None
        return flies_alone(function, node, self.claims) or (in_maker and receiver is own)

    def held_for_children(self) -> tuple[Held, ...]:
        """Locks that are still held while the children run, because the parent waits for them under the lock."""
        return self.state.held if self.state.held and self.waits_for_children() else ()

    def waits_for_children(self) -> bool:
        """Whether the function that is running waits for what it starts."""
        if not self.frames or self.frame.ref is None:
            return False
        facts = self.program.function(self.frame.ref)
        return facts is not None and any(
            r.rpartition(".")[2] in ("gather", "wait", "TaskGroup", "create_task_group") for r in facts.refs
        )

    def spawn_streams(self, values: list[Value], node: ast.AST) -> None:
        for value in values:
            if isinstance(value.obj, Coroutine):
                self.spawn([value], {}, node, "stream")

    def spawn_thread(self, args: list[Value], kwargs: dict[str, Value], kind: str, node: ast.AST) -> None:
        target = kwargs.get("target") or (args[1] if kind == "Timer" and len(args) > 1 else None)
        if target is not None:
            self.spawn([target], {}, ast.Pass(), "thread", False if self.starts_one(target.obj, node) else None)

    def spawn_callbacks(self, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> None:
        """A function handed to unknown code may be called there and then; it is followed once, in place."""
        for value in (*args, *kwargs.values()):
            if isinstance(value.obj, FunctionValue) and isinstance(value.obj.node, ast.Lambda):
                before = self.state.copy()
                self.activate(value.obj, [], {}, None)
                self.state.merge(before)
            elif isinstance(value.obj, FunctionValue) and node is self.awaiting and self.state.pending:
                self.call_back(value.obj, node)

    def call_back(self, function: FunctionValue, node: ast.AST) -> None:
        """A function handed to something that is awaited: it finds on shared objects what is there by then."""
        before = self.state.copy()
        self.suspend(node, "the callback")
        self.state.control = ()
        self.activate(function, [], {}, None)
        self.state = before

    @property
    def _sites(self) -> dict[object, int]:
        counts: dict[object, int] = self.__dict__.setdefault("_site_counts", {})
        return counts

    @property
    def _effects(self) -> dict[object, Effect]:
        cache: dict[object, Effect] = self.__dict__.setdefault("_effect_cache", {})
        return cache


def _factory_of(statement: ast.stmt) -> ast.expr | None:
    """The `default_factory` of a field that the body of a class declares."""
    made = statement.value if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) else None
    keywords = made.keywords if isinstance(made, ast.Call) else []
    return next((k.value for k in keywords if k.arg in ("default_factory", "factory")), None)


def _gives_all(node: ast.AST, kwargs: dict[str, Value]) -> bool:
    """Whether a call shows all arguments that it gives."""
    return isinstance(node, ast.Call) and "**" not in kwargs and not any(isinstance(a, ast.Starred) for a in node.args)


def _is_plain(lock: LockValue) -> bool:
    """Whether a lock is one that is known, and one for all keys."""
    return lock.location is not None and not (lock.unknown or lock.keyed or lock.fresh) and lock.capacity == 1


def _is_unbounded_queue(obj: object) -> bool:
    """`asyncio.Queue()`: putting into it never has to wait."""
    if not isinstance(obj, Heap) or not obj.type.name.startswith("asyncio.") or not obj.type.name.endswith("Queue"):
        return False
    return isinstance(obj.node, ast.Call) and not obj.node.args and not obj.node.keywords


def same_lock(one: LockValue, other: LockValue) -> bool:
    """Whether two expressions mean one lock, as far as can be told."""
    if one is other:
        return True
    if one.location is not None and other.location is not None:
        return one.location == other.location
    return one.node is other.node and one.node is not None


def _reads(*values: Value) -> frozenset[Read]:
    return NO_READS.union(*[v.reads for v in values if v.reads])


def _given(kwargs: dict[str, Value]) -> list[Value]:
    """What is given by keyword to be worked on."""
    return [value for name, value in kwargs.items() if name not in MANNERS]


def _request(*values: Value) -> bool:
    return any(v.request for v in values)


def _named_in(spread: Value, name: str, left_out: Value) -> Value:
    """What `**spread` gives a parameter: only of a mapping that is written out is it known what it leaves out."""
    mapping = spread.obj
    if isinstance(mapping, Heap) and mapping.fields:
        return mapping.fields.get(f"['{name}']", left_out)
    return Value(left_out.obj, spread.reads, name, spread.request)
