"""Objects: what module-level names, attributes and elements hold, and what their types are."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property, partial

from autolock.database.project import concerns_databases
from autolock.program.core import Core
from autolock.program.elements import Elements
from autolock.program.index import dotted
from autolock.program.lacking import LACKING, lacks
from autolock.program.library import (
    BY_PATH,
    CACHES,
    CONTAINER_ANNOTATIONS,
    CONTAINER_TYPES,
    LOCKS,
    SEMAPHORES,
)
from autolock.program.linker import Ref
from autolock.program.shared import owner_of_handlers
from autolock.program.values import (
    NOTHING,
    UNKNOWN,
    ClassValue,
    Env,
    External,
    FunctionValue,
    Heap,
    Location,
    LockValue,
    Method,
    ModuleValue,
    Own,
    Root,
    Row,
    Thing,
    Type,
    Value,
    looked_up,
)
from autolock.program.wholes import classes_in

#: Kinds of containers that a program puts elements into one by one.
_CONTAINERS = frozenset({"dict", "list", "set", "deque"})

#: The one object that `request.app.state` and `app.state` mean.
STATE = Root("state", "", "app.state")
_REQUEST_STATE = "request.state"
#: What the lifespan yields: each request has a state of its own in which it finds these objects.
YIELDED = Root("state", "", _REQUEST_STATE)
#: What attributes of may concern a database.
_KNOWN_TO_DATABASES = (Thing, Heap, ClassValue)


class Objects(Core):
    """The part of the interpreter that knows what lives where."""

    def prepare(self) -> None:
        """Make room for what is computed once per program."""
        self._variables: dict[tuple[str, str], Value] = {}
        self.singletons: dict[tuple[str, str], Value] = {}
        self._functions: dict[Ref, Value] = {}
        self._factories: dict[Ref, Env] = {}
        self._module_frames: dict[str, Env] = {}
        self._rebound: dict[str, frozenset[str]] = {}
        self._writers: dict[str, list[frozenset[str]]] = {}
        self._declared: dict[tuple[Ref, str], tuple[Type, Type | None] | None] = {}
        self._set_later: dict[tuple[int, str], Value] = {}
        self.watched: set[Location] = set()
        self._state = Heap(Type("external", name="state"), Location(STATE))
        self._yielded: dict[str, Value] = {}

    # -- modules -----------------------------------------------------------------

    def module_variable(self, path: str, name: str) -> Value:
        key = (path, name)
        if key not in self._variables:
            self._variables[key] = NOTHING
            self._variables[key] = self._variable(path, name)
        return self._variables[key]

    def _variable(self, path: str, name: str) -> Value:
        unit = self.unit(path)
        if unit is None:
            return NOTHING
        table = self.database.table_variable(path, name)
        if table is not None:
            return table
        location = Location(Root("variable", path, name))
        node = unit.assignment(unit.tree.body, name)
        value = NOTHING
        element: Type | None = None
        if node is not None and node.value is not None:
            with self.startup():
                self.enter_module(path)
                value = self.evaluate(node.value)
                self.settle_closure(value, f"{path}:{name}")
        if isinstance(node, ast.AnnAssign):
            declared, element = self.type_of_annotation(path, node.annotation, "")
            if (
                not isinstance(value.obj, Heap | LockValue | Thing)
                and declared.kind != "unknown"
                and not _is_scalar(value)
            ):
                value = Value(Heap(declared, location))
        if value.obj is None and name in self.rebound_names(path):
            guessed = self._guess(path, name)
            value = guessed if guessed is not None else value
        self.settle(value, location, element)
        self.guess_elements(value.obj, partial(Elements.of_variable, variable=Ref("variable", path, name)))
        named = isinstance(value.obj, Heap) and value.obj.type.name != "path"
        if value.made == "const" and value.term.startswith(("'", '"')):
            return Value(value.obj, term=value.term, made="const")
        return Value(value.obj, term=str(location) if named else f"{path}:{name}", made=value.made)

    def enter_module(self, path: str) -> None:
        """Run as if at the top level of a module."""
        from autolock.program.core import Activation

        env = self._module_frames.setdefault(path, Env(None))
        self.frames.append(Activation(self.next_serial(), None, path, env))

    def settle(self, value: Value, location: Location, element: Type | None = None) -> None:
        """An object has come to rest at a place that requests share."""
        obj = value.obj
        if isinstance(obj, Heap):
            if obj.location is None:
                obj.location = location
            if element is not None and obj.element is None:
                obj.element = element
        elif isinstance(obj, LockValue) and obj.location is None:
            obj.location, obj.fresh = location, False
        elif isinstance(obj, Thing) and obj.location is None:
            obj.location = location

    def guess_elements(self, obj: object, guess: Callable[[Elements], Type | None]) -> None:
        """Give a container that is still empty the type of what functions put into it."""
        if isinstance(obj, Heap) and obj.type.kind in _CONTAINERS and obj.element is None and "[*]" not in obj.fields:
            obj.element = guess(self.elements)
            obj.guessed = obj.element is not None

    @cached_property
    def elements(self) -> Elements:
        """What is put into containers."""
        return Elements(self)

    def share(self, value: Value, location: Location) -> Value:
        """Put an object where other requests find it; what they find there is the result."""
        obj = value.obj
        made_here = self.recording and isinstance(obj, Heap) and not isinstance(obj, Row) and obj.location is None
        self.settle(value, Own(*location) if made_here else location)
        return looked_up(value)

    def _guess(self, path: str, name: str) -> Value | None:
        """The type that a function gives to a global that starts as None."""
        unit = self.unit(path)
        if unit is None:
            return None
        for qualname, facts in self.program.modules[path].functions.items():
            if name not in facts.rebinds or qualname not in unit.functions:
                continue
            for node in ast.walk(unit.functions[qualname]):
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                    guessed = self.constructed(path, node.value, qualname)
                    opened = self._opened(path, node.value, qualname)
                    if opened is not None:
                        return opened
                    if guessed.kind not in ("unknown", "lock"):
                        return Value(Heap(guessed))
        return None

    def _opened(self, path: str, node: ast.expr, scope: str) -> Value | None:
        """A session, pool, engine or factory that a function makes when the application starts, to keep it in a global.

        It is made by a library, or from a factory of the module.
        """
        node = node.value if isinstance(node, ast.Await) else node
        found = self.program.resolve(path, dotted(node.func), scope) if isinstance(node, ast.Call) else None
        made_outside = found is not None and found[0].kind == "external" and concerns_databases([found[0].name])
        if found is None or found[1] or (found[0].kind != "variable" and not made_outside):
            return None
        with self.startup():
            self.enter_module(path)
            value = self.evaluate(node)
        return value if isinstance(value.obj, Thing) else None

    def constructed(self, path: str, node: ast.expr, scope: str) -> Type:
        """The type of `Class(...)`, `{}` or `await Class.make(...)`, by looks alone."""
        if isinstance(node, ast.Await):
            node = node.value
        if isinstance(node, ast.Dict | ast.DictComp):
            return Type("dict")
        if isinstance(node, ast.List | ast.ListComp):
            return Type("list")
        if isinstance(node, ast.Set | ast.SetComp):
            return Type("set")
        made = node.func if isinstance(node, ast.Call) else None
        name = dotted(made.value if isinstance(made, ast.Subscript) else made) if made is not None else ""
        if not name:
            return UNKNOWN
        found = self.program.resolve(path, name, scope)
        if found is None:
            return Type(CONTAINER_TYPES[name]) if name in CONTAINER_TYPES else UNKNOWN
        ref, rest = found
        if ref.kind == "class":
            return Type("instance", ref)
        if ref.kind == "external" and not rest:
            if ref.name in CONTAINER_TYPES:
                return Type(CONTAINER_TYPES[ref.name])
            if ref.name in LOCKS:
                return Type("lock", name=ref.name)
            return Type("external", name=ref.name)
        return UNKNOWN

    @cached_property
    def mutable_names(self) -> frozenset[str]:
        """Last components of all names whose contents something changes, or hands on: other containers never change."""
        names: set[str] = set()
        for facts in self.program.modules.values():
            names.update(m.rpartition(".")[2] for m in facts.module_mutates)
            names.update(facts.handed)
            for function in facts.functions.values():
                names.update(m.rpartition(".")[2] for m in function.mutates)
                names.update(m.rpartition(".")[2] for m in function.gives)
        return frozenset(names)

    def may_change(self, location: Location) -> bool:
        """Whether the contents of a container are worth watching."""
        if location in self.watched:
            return True
        named = next((f for f in reversed(location.fields) if f.startswith(".")), "")
        if location.fields and location.fields[-1].startswith("["):
            return True
        name = named[1:] if named else location.root.name.rpartition(".")[2].removesuffix("()")
        return location.root.kind not in ("variable", "class") or name in self.mutable_names

    @cached_property
    def mutated_attributes(self) -> frozenset[str]:
        """Attribute names that any function of the project assigns: others need no watching."""
        names: set[str] = set()
        for facts in self.program.modules.values():
            for function in facts.functions.values():
                making = function.qualname.rpartition(".")[2] in _CONSTRUCTORS
                names.update(
                    m.rpartition(".")[2]
                    for m in function.mutates
                    if "." in m and not (making and m.startswith("self.") and m.count(".") == 1)
                )
        return frozenset(names)

    @cached_property
    def lazy_makers(self) -> frozenset[str]:
        """Simple names of functions that fill a module-level name on first use."""
        return frozenset(
            f.qualname
            for facts in self.program.modules.values()
            for f in facts.functions.values()
            if f.rebinds and "." not in f.qualname
        )

    def rebound_names(self, path: str) -> frozenset[str]:
        """Module-level names that functions of the project assign anew."""
        if path not in self._rebound:
            facts = self.program.modules[path]
            names = {
                n for f in facts.functions.values() for n in f.rebinds if n in facts.bindings or n not in facts.imports
            }
            self._rebound[path] = frozenset(names | self._assigned_from_outside.get(path, set()))
        return self._rebound[path]

    @property
    def _assigned_from_outside(self) -> dict[str, set[str]]:
        """`module.name = ...` in other files, as far as a dotted name shows it."""
        cached = getattr(self, "_outside", None)
        if cached is None:
            cached = {}
            for path, facts in self.program.modules.items():
                for function in facts.functions.values():
                    for name in function.mutates:
                        if name.count(".") == 1 and name.partition(".")[0] in facts.imports:
                            found = self.program.resolve(path, name)
                            if found and found[0].kind == "variable" and not found[1] and found[0].path != path:
                                cached.setdefault(found[0].path, set()).add(found[0].name)
            self._outside = cached
        return cached

    def reference(self, ref: Ref, rest: tuple[str, ...], node: ast.AST) -> Value:
        if ref.kind == "external":
            return self._attributes(Value(External(ref.name), term=ref.name), rest, node)
        if ref.kind == "module":
            value = Value(ModuleValue(ref.path))
            return value if not rest else NOTHING
        if ref.kind == "class":
            return self._attributes(Value(ClassValue(ref)), rest, node)
        if ref.kind == "function":
            return self._attributes(self.function_value(ref, None), rest, node)
        value = self.module_variable(ref.path, ref.name)
        if ref.name in self.rebound_names(ref.path):
            location = Location(Root("variable", ref.path, ref.name))
            reads = self.read(location, "", "load", node)
            obj = value.obj
            if obj is None and not (value.made == "const" and value.term[:1] in "'\""):
                obj = Heap(UNKNOWN, location)
            value = Value(obj, reads, str(location))
        return self._attributes(value, rest, node)

    def _attributes(self, value: Value, names: tuple[str, ...], node: ast.AST) -> Value:
        for name in names:
            value = self.attribute(value, name, node)
        return value

    # -- functions ---------------------------------------------------------------

    def function_value(self, ref: Ref, env: Env | None) -> Value:
        """A function with its decorators applied."""
        if env is None and ref in self._functions:
            return self._functions[ref]
        unit = self.unit(ref.path)
        node = unit.functions.get(ref.name) if unit else None
        if node is None:
            return NOTHING
        if env is None:
            self._functions[ref] = Value(FunctionValue(ref, node))
        value = self.decorated(Value(FunctionValue(ref, node, env=env)), ref, node, env)
        if env is None:
            self._functions[ref] = value
        return value

    def decorated(self, value: Value, ref: Ref, node: ast.FunctionDef | ast.AsyncFunctionDef, env: Env | None) -> Value:
        """Apply decorators: those of the project are run, known ones are understood, others are looked through."""
        function = value.obj
        assert isinstance(function, FunctionValue)
        for decorator in reversed(node.decorator_list):
            name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
            found = self.program.resolve(ref.path, name, ref.name.rpartition(".")[0]) if name else None
            target = found[0] if found else None
            full = target.name if target and target.kind == "external" else name if target is None else ""
            short = full.rpartition(".")[2]
            if short in ("contextmanager", "asynccontextmanager"):
                function.manager = True
            elif short == "cached_property":
                function.is_property = function.cached = True
            elif full in CACHES or short in ("lru_cache", "cache", "alru_cache"):
                function.cached = True
            elif short in ("property", "setter", "getter"):
                function.is_property = True
            elif short == "staticmethod":
                function.is_static = True
            elif short == "classmethod":
                function.is_class = True
            elif (
                name.rpartition(".")[2] in ("transaction", "atomic", "in_transaction")
                and isinstance(decorator, ast.Call)
                and target is not None
                and (target.kind == "external" or self._is_route(target, found))
            ):
                kind = ast.AsyncWith if isinstance(node, ast.AsyncFunctionDef) else ast.With
                function.block = ast.copy_location(kind([ast.withitem(decorator, None)], node.body), node)
            elif (
                target is not None
                and target.kind in ("function", "class", "variable")
                and not self._is_route(target, found)
            ):
                wrapped = self.apply_decorator(decorator, value, ref, env)
                if isinstance(wrapped.obj, FunctionValue) and wrapped.obj is not function:
                    inner = wrapped.obj
                    if inner.node.args.kwarg is not None or _says_what_it_wraps(inner.node):
                        inner.wraps = function
                    inner.manager |= function.manager
                    inner.cached |= function.cached
                    value, function = wrapped, inner
        return value

    def _is_route(self, target: Ref, found: tuple[Ref, tuple[str, ...]] | None) -> bool:
        """`@router.get(...)`: a variable with an attribute left over."""
        return target.kind == "variable" and bool(found and found[1])

    def apply_decorator(self, decorator: ast.expr, value: Value, ref: Ref, env: Env | None) -> Value:
        from autolock.program.core import Activation

        with self.startup():
            self.enter_module(ref.path)
            if env is not None:
                self.frames.append(Activation(self.next_serial(), env.function, ref.path, env))
            callee = self.evaluate(decorator)
            call = ast.copy_location(ast.Call(decorator, [], []), decorator)
            wrapped = self.call(callee, [value], {}, call)
        if env is None or env.shared:
            self.settle_closure(wrapped, f"{ref.path}:{ref.name}")
        return wrapped

    def settle_closure(self, value: Value, owner: str) -> None:
        """What a function that was made at import closes over is there for every request.

        `owner` says for what it was made: each function that a decorator wraps has a lock of its own.
        """
        env = value.obj.env if isinstance(value.obj, FunctionValue) else None
        while env is not None and env.function is not None and not env.shared:
            env.shared = True
            self.settle_locals(env, env.function, owner)
            env = env.parent

    def settle_locals(self, env: Env, factory: Ref, owner: str = "") -> None:
        """The locals of a function are there for all whom it has made."""
        for name, value in env.vars.items():
            whose = owner if isinstance(value.obj, LockValue) else ""
            self.settle(value, Location(Root("cell", factory.path, f"{factory.name}.{name}", whose)))
            self.guess_elements(value.obj, partial(Elements.of_local, factory=factory, name=name))

    def factory_env(self, ref: Ref) -> Env:
        """The local names of a factory, run once as at start-up: what its nested handlers share."""
        if ref not in self._factories:
            parent = None
            outer = ref.name.rpartition(".")[0]
            facts = self.program.modules[ref.path]
            if outer and outer in facts.functions:
                parent = self.factory_env(Ref("function", ref.path, outer))
            env = Env(ref, parent, shared=True)
            self._factories[ref] = env
            self._run_factory(ref, env)
        return self._factories[ref]

    def _run_factory(self, ref: Ref, env: Env) -> None:
        from autolock.program.core import Activation

        unit = self.unit(ref.path)
        node = unit.functions.get(ref.name) if unit else None
        if node is None:
            return
        with self.startup():
            self.enter_module(ref.path)
            frame = Activation(self.next_serial(), ref, ref.path, env)
            self.frames.append(frame)
            self.declare_parameters(FunctionValue(ref, node), env)
            owner = owner_of_handlers(self, ref)
            if owner is not None:
                env.vars[node.args.args[0].arg] = Value(owner)
            self.execute(node.body)
        self.settle_locals(env, ref)

    def declare_parameters(self, function: FunctionValue, env: Env) -> None:
        """Bind parameters of which only the annotation is known."""
        arguments = function.node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            kind, element = self.type_of_annotation(function.ref.path, argument.annotation, function.ref.name)
            env.vars[argument.arg] = self.made_up(kind, element, argument.arg)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                env.vars[extra.arg] = NOTHING

    def made_up(self, kind: Type, element: Type | None, term: str) -> Value:
        """A value of a known type and no known origin."""
        if kind.kind in ("instance", "external"):
            return Value(Heap(kind, element=element), term=term)
        return Value(None, term=term)

    # -- attributes --------------------------------------------------------------

    def attribute(self, value: Value, name: str, node: ast.AST) -> Value:
        obj = value.obj
        if isinstance(obj, _KNOWN_TO_DATABASES):
            known = self.database.attribute(value, name, node)
            if known is not None:
                return known
        if isinstance(obj, ModuleValue):
            found = self.program._attributes(obj.path, (name,))
            return self.reference(found[0], found[1], node) if not (found[0].kind == "module" and found[1]) else NOTHING
        if isinstance(obj, External):
            return Value(External(f"{obj.name}.{name}"), value.reads, f"{value.term}.{name}" if value.term else "")
        if isinstance(obj, ClassValue):
            return self.class_attribute(obj, name, node).also(value)
        if isinstance(obj, Method) and obj.name.startswith("super:"):
            return self.super_attribute(obj, name)
        if isinstance(obj, Heap):
            return self.heap_attribute(obj, value, name, node)
        if obj is not None:
            return Value(Method(value, name), value.reads)
        term = f"{value.term}.{name}" if value.term else ""
        return Value(
            Method(value, name) if name.islower() or "_" in name else None,
            value.reads,
            term,
            value.request,
            "expression",
        )

    def super_attribute(self, method: Method, name: str) -> Value:
        receiver = method.receiver
        if isinstance(receiver.obj, ClassValue):
            # `super().__call__()` of a metaclass and `super().__new__(cls)` make the object itself.
            return receiver if name in ("__call__", "__new__") else Value(External("autolock.unknown"))
        assert isinstance(receiver.obj, Heap)
        assert receiver.obj.type.ref is not None
        owner = method.name.partition(":")[2]
        order = [r for r in self.program.mro(receiver.obj.type.ref) if r.kind == "class"]
        names = [r.name for r in order]
        after = order[names.index(owner) + 1 :] if owner in names else order[1:]
        for cls in after:
            ref = Ref("function", cls.path, f"{cls.name}.{name}")
            if self.program.function(ref) is not None:
                return self.bound(ref, receiver)
        return Value(External("autolock.unknown"))

    def bound(self, ref: Ref, receiver: Value) -> Value:
        """A method bound to its receiver."""
        value = self.function_value(ref, None)
        function = value.obj
        if not isinstance(function, FunctionValue):
            return NOTHING
        if function.is_static:
            return value
        return Value(replace(function, receiver=receiver, is_static=False))

    def class_attribute(self, cls: ClassValue, name: str, node: ast.AST) -> Value:
        method = self.program.method(cls.ref, name)
        if method is not None:
            value = self.function_value(method, None)
            if isinstance(value.obj, FunctionValue) and value.obj.is_class:
                return self.bound(method, Value(cls))
            return value
        return self.class_slot(cls.ref, name, node)

    def class_slot(self, ref: Ref, name: str, node: ast.AST) -> Value:
        """A name bound in a class body, shared by all instances."""
        owner = self.slot_owner(ref, name)
        cls = owner or ref
        if f"{cls.name}.{name}" in self.program.modules[cls.path].classes:
            return Value(ClassValue(Ref("class", cls.path, f"{cls.name}.{name}")))
        location = Location(Root("class", cls.path, cls.name), (f".{name}",))
        value = self.class_value(cls, name) if owner else NOTHING
        if name not in self.mutated_attributes or (self.is_model(cls) and not self.is_class_state(cls, name)):
            return Value(value.obj, term=str(location), made=value.made)
        reads = self.read(location, "", "load", node)
        obj = value.obj if value.obj is not None else Heap(UNKNOWN, location)
        return Value(obj, reads, str(location), made=value.made)

    def slot_owner(self, ref: Ref, name: str) -> Ref | None:
        """The class, base or metaclass that binds what a class calls `name`: one place for all of them."""
        for cls in (ref, *self.metaclasses(ref)):
            found = self.program.class_binding(cls, name)
            if found is not None:
                return found[0]
        return None

    def metaclasses(self, ref: Ref) -> list[Ref]:
        """The metaclasses of the project that a class and its bases name."""
        named: list[Ref] = []
        for cls in self.program.mro(ref):
            facts = self.program.klass(cls) if cls.kind == "class" else None
            found = self.program.resolve(cls.path, facts.metaclass) if facts is not None and facts.metaclass else None
            if found is not None and found[0].kind == "class" and not found[1]:
                named.append(found[0])
        return named

    def class_value(self, cls: Ref, name: str) -> Value:
        key = (cls.path, f"{cls.name}.{name}")
        if key not in self._variables:
            self._variables[key] = NOTHING
            unit = self.unit(cls.path)
            node = unit.assignment(unit.classes[cls.name].body, name) if unit and cls.name in unit.classes else None
            value, element = NOTHING, None
            if node is not None and node.value is not None:
                with self.startup():
                    self.enter_module(cls.path)
                    value = self.evaluate(node.value)
            if isinstance(node, ast.AnnAssign):
                declared, element = self.type_of_annotation(cls.path, node.annotation, cls.name)
                if value.obj is None and declared.kind != "unknown" and not _is_scalar(value):
                    value = Value(Heap(declared))
            self.settle(value, Location(Root("class", cls.path, cls.name), (f".{name}",)), element)
            self.guess_elements(value.obj, partial(Elements.of_attribute, cls=cls, name=name))
            self._variables[key] = value
        return self._variables[key]

    def heap_attribute(self, obj: Heap, value: Value, name: str, node: ast.AST) -> Value:
        kind = obj.type.kind
        if name == "__dict__":
            self.trace.wholes.update(classes_in(value))
        if kind == "external":
            return self.external_attribute(obj, value, name, node)
        if kind == "instance":
            return self.instance_attribute(obj, value, name, node)
        if kind == "unknown" and obj.location is not None and not self.is_called(node):
            field = f".{name}"
            reads = self.read(obj.location.child(field), "", "load", node)
            child = self.child(obj, field)
            return Value(child.obj, value.reads | reads, f"{obj.location}.{name}")
        return Value(Method(value, name), value.reads, f"{value.term}.{name}" if value.term else "", value.request)

    def is_called(self, node: ast.AST) -> bool:
        """Whether an attribute is only looked up to be called."""
        return id(node) in self.callees

    def external_attribute(self, obj: Heap, value: Value, name: str, node: ast.AST) -> Value:
        library = obj.type.name
        if name == "app" and _is_connection(library):
            return Value(Heap(Type("external", name="fastapi.FastAPI")))
        if name == "state" and library.rpartition(".")[2] in ("FastAPI", "Starlette"):
            return Value(self._state)
        if name == "state" and _is_connection(library) and self._yielded:
            given = {f".{n}": v for n, v in self._yielded.items()}
            return Value(Heap(Type("external", name=_REQUEST_STATE), fields=given), value.reads, "", True)
        if library == "state":
            location = Location(STATE, (f".{name}",))
            held = obj.fields.get(f".{name}") or self.state_attribute(name)
            reads = self.read(location, "", "load", node)
            self.settle(held, location)
            self.guess_elements(held.obj, partial(Elements.of_state, name=name))
            return Value(
                held.obj if held.obj is not None else Heap(UNKNOWN, location), reads, str(location), made=held.made
            )
        field = obj.fields.get(f".{name}")
        if field is not None:
            return field if library == _REQUEST_STATE else field.also(value)
        term = f"{value.term}.{name}" if value.term else ""
        return Value(Method(value, name), value.reads, term, value.request or _is_connection(library), "expression")

    def yielded(self, value: Value) -> None:
        """What the lifespan yields: every request finds it in its state, unless requests put something else there."""
        fields = value.obj.fields if isinstance(value.obj, Heap) else {}
        for field, held in fields.items():
            name = field[2:-2] if field.startswith("['") else field[1:]
            if name.isidentifier() and not self._is_set_by_requests(name):
                self.settle(held, Location(YIELDED, (f".{name}",)))
                self._yielded[name] = looked_up(held)

    def _is_set_by_requests(self, name: str) -> bool:
        """Whether something sets `request.state.NAME`, and not only changes what is there."""
        return any(
            _sets_attribute(self.program.syntax_of(Ref("function", path, function.qualname)), name)
            for path, facts in self.program.modules.items()
            for function in facts.functions.values()
            if any(m.endswith(f"state.{name}") and not m.endswith(f"app.state.{name}") for m in function.mutates)
        )

    def state_attribute(self, name: str) -> Value:
        """What the application puts into `app.state.NAME`, wherever it does."""
        key = ("", f"app.state.{name}")
        if key not in self._variables:
            self._variables[key] = NOTHING
            for path, facts in self.program.modules.items():
                if not self._mentions_state(facts, name):
                    continue
                found = self._state_assignment(path, name)
                if found is not None:
                    self._variables[key] = found
                    break
        return self._variables[key]

    @staticmethod
    def _mentions_state(facts: object, name: str) -> bool:
        suffix = f"state.{name}"
        functions = facts.functions.values()  # type: ignore[attr-defined]
        return any(m.endswith(suffix) for f in functions for m in f.mutates) or any(
            m.endswith(suffix)
            for m in facts.module_mutates  # type: ignore[attr-defined]
        )

    def _state_assignment(self, path: str, name: str) -> Value | None:
        unit = self.unit(path)
        if unit is None:
            return None
        for node in ast.walk(unit.tree):
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == name and dotted(target.value).endswith("state"):
                    if value is None or (isinstance(value, ast.Constant) and value.value is None):
                        continue
                    with self.startup():
                        self.enter_module(path)
                        return self.evaluate(value)
        return None

    def instance_attribute(self, obj: Heap, value: Value, name: str, node: ast.AST) -> Value:
        ref = obj.type.ref
        assert ref is not None
        if name == "__class__":
            return Value(ClassValue(ref))
        field = f".{name}"
        if field not in obj.fields:
            method = self.program.method(ref, name)
            if method is not None:
                found = self.bound(method, Value(obj, value.reads, value.term, value.request))
                if isinstance(found.obj, FunctionValue) and found.obj.is_property:
                    return self.property_value(obj, found.obj, name, node)
                return Value(found.obj, value.reads)
            binding = self.program.class_binding(ref, name)
            own = binding is not None and (
                self.is_instance_field(binding[0], name) or self.is_default(obj, binding[0], name)
            )
            if binding is not None and not own:
                return self.class_slot(ref, name, node)
            keeper = self.kept_elsewhere(value, "__getattr__") if binding is None else None
            if keeper is not None:
                return self.invoke(keeper, [Value(None, term=repr(name), made="const")], {}, node)
            if binding is None and "lock" in name.lower() and lacks(self.program, ref, name):
                return Value(External(LACKING), value.reads)
        child = self.child(obj, field, name)
        if obj.location is not None:
            child = self.set_later(obj, ref, name) if child.obj is None and child.made == "none" else child
            self.guess_elements(child.obj, partial(Elements.of_attribute, cls=ref, name=name))
        if obj.location is None:
            return (
                child.also(value)
                if child.term
                else Value(
                    child.obj,
                    child.reads | value.reads,
                    f"{value.term}.{name}" if value.term else "",
                    child.request or value.request,
                    child.made,
                )
            )
        location = obj.location.child(field)
        reads = self.read(location, "", "load", node) if name in self.mutated_attributes else NOTHING.reads
        return Value(child.obj, value.reads | reads, child.term or str(location), made=child.made)

    def set_later(self, obj: Heap, ref: Ref, name: str) -> Value:
        """What a method puts where the constructor has left None: another entry point may have called it before."""
        field = f".{name}"
        key = (obj.serial, name)
        if key not in self._set_later:
            assert obj.location is not None
            guessed = self.declared_attribute(ref, name, obj.location.child(field)).obj
            known = isinstance(guessed, Heap) and guessed.type.kind == "instance"
            self._set_later[key] = Value(guessed) if known else obj.fields[field]
        return self._set_later[key]

    def kept_elsewhere(self, holder: Value, name: str) -> FunctionValue | None:
        """The method by which an object sets or reads its attributes itself: in a context variable, say."""
        ref = holder.obj.type.ref if isinstance(holder.obj, Heap) and not isinstance(holder.obj, Row) else None
        getter = self.program.method(ref, "__getattr__") if ref is not None else None
        setter = self.program.method(ref, "__setattr__") if ref is not None else None
        if getter is None or setter is None or self.frame.ref in (getter, setter):
            return None
        found = self.bound(getter if name == "__getattr__" else setter, holder).obj
        return found if isinstance(found, FunctionValue) else None

    def property_value(self, obj: Heap, function: FunctionValue, name: str, node: ast.AST) -> Value:
        """What a property gives; one that is kept is made once, for all who share its object."""
        if not function.cached:
            return self.invoke(function, [], {}, node)
        bare = FunctionValue(function.ref, function.node, function.receiver, function.env)
        if obj.location is None:
            obj.fields[f".{name}"] = self.invoke(bare, [], {}, node)
            return obj.fields[f".{name}"]
        location = obj.location.child(f".{name}")
        obj.fields[f".{name}"] = NOTHING  # what it asks for while it is made
        with self.startup():
            self.enter_module(function.ref.path)
            made = self.invoke(bare, [], {}, node)
        if isinstance(made.obj, Heap | LockValue | Thing):
            self.settle(made, location)
        obj.fields[f".{name}"] = Value(made.obj, term=str(location), made="call")
        return obj.fields[f".{name}"]

    def is_model(self, ref: Ref) -> bool:
        """Whether a class describes a table: its attributes are columns, not state."""
        return self.program.class_binding(ref, "__tablename__") is not None or bool(
            self.program.bases(ref) & _MODEL_BASES
        )

    def is_class_state(self, ref: Ref, name: str) -> bool:
        """Whether the body of a class that declares fields says of a name that it is the class's own: a ClassVar."""
        unit = self.unit(ref.path)
        node = unit.assignment(unit.classes[ref.name].body, name) if unit and ref.name in unit.classes else None
        annotation: ast.expr | None = node.annotation if isinstance(node, ast.AnnAssign) else None
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = _quoted(annotation.value)
        annotation = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return annotation is not None and dotted(annotation).rpartition(".")[2] == "ClassVar"

    def is_instance_field(self, ref: Ref, name: str) -> bool:
        """Whether a class-level name only declares a field of each instance (dataclass, model, set in __init__)."""
        facts = self.program.klass(ref)
        if facts is None:
            return False
        if any(
            d.rpartition(".")[2] in ("dataclass", "define", "attrs", "s", "mutable", "frozen") for d in facts.decorators
        ):
            return not self.is_class_state(ref, name)
        if self.program.bases(ref) & _MODEL_BASES:
            return not self.is_class_state(ref, name)
        init = self.program.function(Ref("function", ref.path, f"{ref.name}.__init__"))
        return init is not None and f"self.{name}" in init.mutates

    def is_default(self, obj: Heap, cls: Ref, name: str) -> bool:
        """Whether a class binds only the first value of what is set on its objects: `rejected = False`."""
        if obj.location is None or name not in self.mutated_attributes or self.is_model(cls):
            return False
        if self.class_value(cls, name).made not in ("const", "none"):
            return False
        return not {f"cls.{name}", f"{cls.name}.{name}", f"?.{name}"} & self.set_on_classes

    @cached_property
    def set_on_classes(self) -> frozenset[str]:
        """What functions assign to attributes of what has the name of a class, or none: `cls.x`, `Store.x`, `?.x`."""
        return frozenset(
            mutated
            for facts in self.program.modules.values()
            for function in facts.functions.values()
            for mutated in function.mutates
            if "." in mutated and (mutated.startswith(("cls.", "?.")) or mutated[:1].isupper())
        )

    def child(self, heap: Heap, field_: str, name: str = "") -> Value:
        held = heap.fields.get(field_)
        if held is None and field_.startswith("["):
            held = heap.fields.get("[*]")
        if held is not None:
            if heap.location is not None:
                self.settle(held, heap.location.child("[*]" if field_.startswith("[") else field_))
            return held
        location = heap.location.child(field_) if heap.location is not None else None
        if field_.startswith("["):
            value = self.of_type(heap.element or UNKNOWN, location, keyed=True)
        elif heap.type.ref is not None and heap.type.kind == "instance":
            value = self.declared_attribute(heap.type.ref, name or field_[1:], location)
        else:
            value = self.of_type(UNKNOWN, location)
        if location is not None:
            heap.fields[field_] = value
        return value

    def of_type(
        self, kind: Type, location: Location | None, *, keyed: bool = False, element: Type | None = None
    ) -> Value:
        """A made-up object of a type."""
        if kind.kind == "lock":
            family, reentrant = LOCKS.get(kind.name, ("asyncio", False))
            return Value(LockValue(family, reentrant, location, None, keyed=keyed))
        if location is None and kind.kind == "unknown":
            return NOTHING
        return Value(Heap(kind, location, element=element))

    def declared_attribute(self, ref: Ref, name: str, location: Location | None) -> Value:
        """An attribute that no constructor run has set: from annotations and assignments in the class."""
        for cls in self.program.mro(ref):
            if cls.kind != "class":
                continue
            found = self._search_class(cls, name)
            if found is not None:
                kind, element = found
                return self.of_type(kind, location, element=element)
        return self.of_type(UNKNOWN, location)

    def _search_class(self, cls: Ref, name: str) -> tuple[Type, Type | None] | None:
        key = (cls, name)
        if key not in self._declared:
            self._declared[key] = None
            self._declared[key] = self._declaration(cls, name)
        return self._declared[key]

    def _declaration(self, cls: Ref, name: str) -> tuple[Type, Type | None] | None:
        unit = self.unit(cls.path)
        node = unit.classes.get(cls.name) if unit else None
        if unit is None or node is None:
            return None
        own = unit.assignment(node.body, name)
        if isinstance(own, ast.AnnAssign):
            declared = self.type_of_annotation(cls.path, own.annotation, cls.name)
            if declared[0].kind != "unknown":
                return declared
        for method in node.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            facts = self.program.modules[cls.path].functions.get(f"{cls.name}.{method.name}")
            if facts is None or f"self.{name}" not in facts.mutates:
                continue
            for statement in ast.walk(method):
                if not isinstance(statement, ast.Assign | ast.AnnAssign):
                    continue
                target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
                if not (isinstance(target, ast.Attribute) and target.attr == name and dotted(target) == f"self.{name}"):
                    continue
                if isinstance(statement, ast.AnnAssign):
                    declared = self.type_of_annotation(cls.path, statement.annotation, f"{cls.name}.{method.name}")
                    if declared[0].kind != "unknown":
                        return declared
                if statement.value is not None:
                    scope = f"{cls.name}.{method.name}"
                    given = self._given(cls.path, statement.value, method, scope)
                    if given[0].kind == "unknown":
                        given = self.constructed(cls.path, statement.value, scope), None
                    if given[0].kind != "unknown":
                        return given
        return None

    def _given(
        self, path: str, value: ast.expr, method: ast.FunctionDef | ast.AsyncFunctionDef, scope: str
    ) -> tuple[Type, Type | None]:
        """The type of what a parameter of a method hands on, by its annotation: `self.store = store`."""
        name = value.id if isinstance(value, ast.Name) else ""
        arguments = (*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs)
        annotation = next((a.annotation for a in arguments if a.arg == name), None)
        return self.type_of_annotation(path, annotation, scope)

    # -- types -------------------------------------------------------------------

    def type_of_annotation(self, path: str, node: ast.expr | None, scope: str) -> tuple[Type, Type | None]:
        if node is None:
            return UNKNOWN, None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = _quoted(node.value)
            if node is None:
                return UNKNOWN, None
        if isinstance(node, ast.BinOp):
            left = self.type_of_annotation(path, node.left, scope)
            return left if left[0].kind != "unknown" else self.type_of_annotation(path, node.right, scope)
        if isinstance(node, ast.Subscript):
            return self._generic(path, node, scope)
        name = dotted(node)
        if not name:
            return UNKNOWN, None
        return self._named_type(path, name, scope)

    def _generic(self, path: str, node: ast.Subscript, scope: str) -> tuple[Type, Type | None]:
        short = dotted(node.value).rpartition(".")[2]
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if short in ("Optional", "Annotated", "Final", "ClassVar", "Required", "Mapped"):
            return self.type_of_annotation(path, parts[0], scope)
        if short == "Union":
            for part in parts:
                found = self.type_of_annotation(path, part, scope)
                if found[0].kind != "unknown":
                    return found
            return UNKNOWN, None
        if short in CONTAINER_ANNOTATIONS:
            element = self.type_of_annotation(path, parts[-1], scope)[0]
            return Type(CONTAINER_ANNOTATIONS[short]), element if element.kind != "unknown" else None
        return self.type_of_annotation(path, node.value, scope)

    def _named_type(self, path: str, name: str, scope: str) -> tuple[Type, Type | None]:
        found = self.program.resolve(path, name, scope)
        if found is None or found[0].kind == "external":
            full = found[0].name if found else name
            short = full.rpartition(".")[2]
            if short in CONTAINER_ANNOTATIONS and (found is None or full.startswith(("typing.", "collections"))):
                return Type(CONTAINER_ANNOTATIONS[short]), None
            if full in LOCKS:
                return Type("lock", name=full), None
            told = found is not None and short != "Any"
            return (Type("external", name=full), None) if told else (UNKNOWN, None)
        ref, rest = found
        if ref.kind == "class" and not rest:
            return Type("instance", self.implementations.of(ref)), None
        if ref.kind == "variable" and not rest:
            unit = self.unit(ref.path)
            node = unit.assignment(unit.tree.body, ref.name) if unit else None
            if node is not None and node.value is not None and not isinstance(node.value, ast.Call):
                return self.type_of_annotation(ref.path, node.value, "") if node.value is not None else (UNKNOWN, None)
        return UNKNOWN, None

    def runs_alone(self) -> bool:
        """Whether this is a run of which there is one at a time: those that it starts share a lock that it makes."""
        entry = self.entry
        return not entry.many and entry.parent is not None and entry.parent.many

    def lock_from_call(self, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> LockValue | None:
        """A lock, when `name` makes one."""
        fresh = self.recording and not self.runs_alone()
        path = self.frame.path if self.frames else ""
        if name in LOCKS:
            family, reentrant = LOCKS[name]
            if name in BY_PATH:
                return LockValue(family, reentrant, None, node, unknown=True)
            return LockValue(family, reentrant, None, node, fresh=fresh, path=path)
        if name in SEMAPHORES:
            size = args[0] if args else next(iter(kwargs.values()), None)
            one = (size is None and "Limiter" not in name) or (size is not None and size.term == "1")
            return LockValue(SEMAPHORES[name], False, None, node, fresh=fresh, capacity=1 if one else 0, path=path)
        if name in self.lock_names:
            return LockValue("both", True, None, node, unknown=True)
        return None


def _says_what_it_wraps(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """Whether a function stands below `@functools.wraps(...)`, which hands on the signature."""
    return not isinstance(node, ast.Lambda) and any(
        isinstance(d, ast.Call) and dotted(d.func).rpartition(".")[2] == "wraps" for d in node.decorator_list
    )


@cache
def _quoted(text: str) -> ast.expr | None:
    """An annotation that is written as a string; None when it is no expression."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


_MODEL_BASES = frozenset(
    {
        "pydantic.BaseModel",
        "pydantic_settings.BaseSettings",
        "sqlmodel.SQLModel",
        "typing.NamedTuple",
        "sqlalchemy.orm.DeclarativeBase",
        "msgspec.Struct",
        "typing.TypedDict",
    }
)


_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__attrs_post_init__"})


def _sets_attribute(function: ast.AST | None, name: str) -> bool:
    """Whether a function gives an attribute of that name another value."""
    return function is not None and any(
        isinstance(n, ast.Attribute) and n.attr == name and isinstance(n.ctx, ast.Store) for n in ast.walk(function)
    )


def _is_connection(name: str) -> bool:
    return name.rpartition(".")[2] in ("Request", "WebSocket", "HTTPConnection")


def _is_scalar(value: Value) -> bool:
    return value.made == "const" and value.obj is None
