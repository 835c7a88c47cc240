"""What runs by itself: routes, middleware, exception handlers, life-cycle hooks."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial

from autolock.program.facts import ClassFacts, ModuleFacts, RouteFacts
from autolock.program.giving_up import noted
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.route_dependencies import dependencies_of
from autolock.program.shared import shared_instance
from autolock.program.trace import Entry
from autolock.program.values import NOTHING, FunctionValue, Heap, Type, Value

_LIFECYCLE = frozenset({"on_event", "event_handler"})
_HANDLERS = frozenset({"middleware", "exception_handler"})
_JOB = "job"
#: Packages of which the decorators `get`, `post`, `route` are those of clients, commands or other frameworks.
_FOREIGN = frozenset(
    {
        *("requests", "httpx", "pytest", "responses", "respx", "click", "typer", "app_commands", "discord"),
        *("flask", "apiflask", "flask_openapi3", "flask_restx", "flask_smorest", "quart", "sanic", "bottle", "aiohttp"),
    }
)
#: Classes whose objects have such decorators, wherever they come from.
_OTHERS = frozenset({"Typer", "Group", "Client", "AsyncClient", "Celery", "Bot", "MockRouter"})


def follow_everything(machine: Machine) -> list[Entry]:
    """Run every entry point of the program through the machine; gives them back."""
    entries: list[Entry] = []
    for path, facts in sorted(machine.program.modules.items()):
        entries.extend(_bounded(machine, path, lambda p=path, f=facts: _startup(machine, p, f)))  # type: ignore[misc]
        if facts.module_refs & machine.lazy_makers:
            _bounded(machine, path, lambda p=path: _at_import(machine, p))  # type: ignore[misc]
    # Middleware first: what it has written is what the handlers find.
    for outer in (True, False):
        for path, facts in sorted(machine.program.modules.items()):
            for route in facts.routes:
                if (route.kind == "middleware") is not outer:
                    continue
                label = f"{path}:{route.function or route.target}"
                entries.extend(_bounded(machine, label, lambda p=path, f=facts, r=route: _route(machine, p, f, r)))  # type: ignore[misc]
            for name, cls in facts.classes.items():
                ref = Ref("class", path, name)
                if outer and _is_middleware(machine.program, ref, cls) and ref not in machine.middleware:
                    entries.extend(_bounded(machine, f"{path}:{name}", partial(_follow_middleware, machine, ref)))
    machine.run_spawned()
    return entries


def _is_middleware(program: Program, ref: Ref, facts: ClassFacts) -> bool:
    """Whether a class is an ASGI middleware by its looks: a library's is registered by its users."""
    if "dispatch" in facts.methods:
        return any(base.endswith("BaseHTTPMiddleware") for base in program.bases(ref))
    if not {"__init__", "__call__"} <= set(facts.methods):
        return False
    unit = program.unit(ref.path) if facts.qualname.endswith("Middleware") else None
    node = unit.functions.get(f"{ref.name}.__call__") if unit is not None else None
    return isinstance(node, ast.AsyncFunctionDef) and [a.arg for a in node.args.args] == [
        "self",
        "scope",
        "receive",
        "send",
    ]


def _bounded(machine: Machine, label: str, follow: Callable[[], Iterator[Entry]]) -> list[Entry]:
    """Follow something, and give up on it when it leads too far."""
    machine.reset()
    with noted(machine.trace.stopped, label):
        return list(follow())
    return []


# -- start-up ---------------------------------------------------------------------


def _startup(machine: Machine, path: str, facts: ModuleFacts) -> Iterator[Entry]:
    names = [r.function or r.target for r in facts.routes if r.kind in _LIFECYCLE]
    names.extend(name for name, _ in facts.lifespans)
    for name in dict.fromkeys(names):
        function = _function(machine, path, name)
        if function is None:
            continue
        entry = Entry(function.ref, "startup", "startup", (), False, f"{path}:{name}")
        machine.run(entry, partial(machine.activate, function, [NOTHING], {}, machine.yielded))
        yield entry


def _at_import(machine: Machine, path: str) -> Iterator[Entry]:
    """Run a module's own calls: what they create is there before the first request."""
    unit = machine.unit(path)
    if unit is None:
        return
    entry = Entry(Ref("module", path, ""), "startup", "startup", (), False, path)
    calls = [n.value for n in unit.tree.body if isinstance(n, ast.Expr | ast.Assign) and isinstance(n.value, ast.Call)]

    def action() -> None:
        for call in calls:
            machine.evaluate(call)

    machine.run(entry, action)
    yield entry


def _function(machine: Machine, path: str, name: str) -> FunctionValue | None:
    facts = machine.program.modules[path]
    if name in facts.functions:
        return own_function(machine, path, name)
    found = machine.program.resolve(path, name)
    if found is None or found[1] or found[0].kind != "function":
        return None
    value = machine.function_value(found[0], None).obj
    return value if isinstance(value, FunctionValue) else None


def own_function(machine: Machine, path: str, name: str) -> FunctionValue | None:
    """A function by its qualified name: nested in a factory, a method, or at the top level."""
    facts = machine.program.modules[path]
    outer = name.rpartition(".")[0]
    ref = Ref("function", path, name)
    if outer in facts.functions:
        env = machine.factory_env(Ref("function", path, outer))
        value = env.vars.get(name.rpartition(".")[2])
        if value is not None and isinstance(value.obj, FunctionValue):
            return value.obj
        value = machine.function_value(ref, env)
        return value.obj if isinstance(value.obj, FunctionValue) else None
    if outer in facts.classes:
        receiver = Value(Heap(Type("instance", Ref("class", path, outer))))
        value = machine.bound(ref, receiver)
    else:
        value = machine.function_value(ref, None)
    return value.obj if isinstance(value.obj, FunctionValue) else None


# -- routes -------------------------------------------------------------------------


def _route(machine: Machine, path: str, facts: ModuleFacts, route: RouteFacts) -> Iterator[Entry]:
    if route.kind in _LIFECYCLE or not _is_router(machine.program, path, route):
        return
    if route.kind == "middleware" and route.target:
        yield from _middleware_class(machine, path, route)
        return
    endpoint_class = _endpoint_class(machine.program, path, route)
    if endpoint_class is not None:
        yield from _class_endpoint(machine, path, facts, route, endpoint_class)
        return
    function = _endpoint(machine, path, route)
    if function is None:
        return
    if route.kind == _JOB:
        name = f"{function.ref.path}:{function.ref.name}"
        entry = Entry(function.ref, machine.context_of(function), _JOB, (), False, name)
        machine.run(entry, partial(machine.activate, function, [], {}, None))
        yield entry
        return
    labels = labels_of(machine.program, path, facts, route)
    context = machine.context_of(function)
    kind = route.kind if route.kind in _HANDLERS else "route"
    entry = Entry(function.ref, context, kind, labels, True, f"{function.ref.path}:{function.ref.name}")
    extras = [] if kind in _HANDLERS else dependencies_of(machine.program, path, route)
    machine.run(entry, lambda: machine.run_endpoint(function, extras))
    yield entry


def _endpoint_class(program: Program, path: str, route: RouteFacts) -> Ref | None:
    """Starlette's class-based endpoints: `HTTPEndpoint`, `WebSocketEndpoint`."""
    name = route.function or route.target
    found = program.resolve(path, name, route.scope) if name else None
    return found[0] if found is not None and found[0].kind == "class" and not found[1] else None


def _class_endpoint(machine: Machine, path: str, facts: ModuleFacts, route: RouteFacts, cls: Ref) -> Iterator[Entry]:
    """Each method that Starlette calls, on an object made for the request or connection."""
    for name in ("get", "post", "put", "patch", "delete", "on_connect", "on_receive", "on_disconnect"):
        method = machine.program.method(cls, name)
        if method is None:
            continue
        function = machine.bound(method, Value(Heap(Type("instance", cls)))).obj
        if not isinstance(function, FunctionValue):
            continue
        context = machine.context_of(function)
        entry = Entry(
            method,
            context,
            "route",
            labels_of(machine.program, path, facts, route),
            True,
            f"{method.path}:{method.name}",
        )
        arguments = function.node.args.args[1:]
        args = [machine.request_value(function, a) for a in arguments]
        machine.run(entry, partial(machine.activate, function, args, {}, None))
        yield entry


def _is_router(program: Program, path: str, route: RouteFacts) -> bool:
    """Whether what a route is registered on can be an application or a router of FastAPI or Starlette."""
    found = program.resolve(path, route.base, route.scope)
    if found is None:
        return not _is_foreign(program, path, _made_by(program, path, route))
    ref, rest = found
    if ref.kind == "external":
        return ref.name.partition(".")[0] not in _FOREIGN
    if ref.kind == "variable" and not rest:
        binding = program.modules[ref.path].bindings.get(ref.name)
        return binding is None or not _is_foreign(program, ref.path, binding.callee)
    return True


def _made_by(program: Program, path: str, route: RouteFacts) -> str:
    """What a factory calls to make what it registers a route on: `app = Flask(__name__)`."""
    unit = program.unit(path) if route.scope else None
    node = unit.functions.get(route.scope) if unit is not None else None
    made = unit.assignment(node.body, route.base) if unit is not None and node is not None else None
    return dotted(made.value.func) if made is not None and isinstance(made.value, ast.Call) else ""


def _is_foreign(program: Program, path: str, callee: str) -> bool:
    """Whether what a call makes has decorators of the same names for something else, or serves requests its own way."""
    if callee.rpartition(".")[2] in _OTHERS:
        return True
    found = program.resolve(path, callee) if callee else None
    return found is not None and found[0].kind == "external" and found[0].name.partition(".")[0] in _FOREIGN


def _endpoint(machine: Machine, path: str, route: RouteFacts) -> FunctionValue | None:
    if route.function:
        return own_function(machine, path, route.function)
    target = route.target
    first, _, rest = target.partition(".")
    if first == "self" and rest and "." not in rest:
        owner = route.scope.rpartition(".")[0]
        return _shared_method(machine, path, owner, rest)
    if route.scope:
        env = (
            machine.factory_env(Ref("function", path, route.scope))
            if route.scope in machine.program.modules[path].functions
            else None
        )
        if env is not None and first in env.vars:
            value = env.vars[first]
            for name in filter(None, rest.split(".")):
                value = machine.attribute(value, name, ast.Pass())
            return value.obj if isinstance(value.obj, FunctionValue) else None
    found = machine.program.resolve(path, target, route.scope)
    if found is None:
        return None
    with machine.startup():
        machine.enter_module(path)
        value = machine.reference(found[0], found[1], ast.Pass())
    return value.obj if isinstance(value.obj, FunctionValue) else None


def _shared_method(machine: Machine, path: str, owner: str, name: str) -> FunctionValue | None:
    """A method registered as an endpoint: its object lives as long as the application."""
    cls = Ref("class", path, owner)
    method = machine.program.method(cls, name)
    if method is None:
        return None
    value = machine.bound(method, Value(shared_instance(machine, cls)))
    return value.obj if isinstance(value.obj, FunctionValue) else None


def _middleware_class(machine: Machine, path: str, route: RouteFacts) -> Iterator[Entry]:
    found = machine.program.resolve(path, route.target, route.scope)
    if found is not None and found[0].kind == "class":
        yield from _follow_middleware(machine, found[0])


def _follow_middleware(machine: Machine, cls: Ref) -> Iterator[Entry]:
    """The one object of a middleware class that all requests go through."""
    machine.middleware.add(cls)
    heap = shared_instance(machine, cls)
    for name in ("dispatch", "__call__"):
        method = machine.program.method(cls, name)
        if method is None:
            continue
        function = machine.bound(method, Value(heap)).obj
        if not isinstance(function, FunctionValue):
            continue
        entry = Entry(method, "loop", "middleware", (), True, f"{method.path}:{method.name}")
        request = Value(Heap(Type("external", name="starlette.requests.Request")), term="request", request=True)
        args = (
            [request, Value(request=True, term="call_next")]
            if name == "dispatch"
            else [Value(request=True, term=n) for n in ("scope", "receive", "send")]
        )
        machine.run(entry, partial(machine.activate, function, args, {}, None))
        yield entry
        return


# -- labels ---------------------------------------------------------------------------


def labels_of(program: Program, path: str, facts: ModuleFacts, route: RouteFacts) -> tuple[str, ...]:
    """`POST /purchase`, with the prefixes of routers as far as they are written down."""
    if route.kind in _HANDLERS:
        return ()
    prefix = facts.prefixes.get(f"{route.scope}.{route.base}" if route.scope else route.base, "") or facts.prefixes.get(
        route.base, ""
    )
    outer = _outer_prefix(program, path, route.base, route.scope, 0)
    full = f"{outer}{prefix}{route.path}" or "/"
    if route.kind in ("websocket", "websocket_route", "api_websocket_route"):
        return (f"WEBSOCKET {full}",)
    return tuple(f"{method} {full}" for method in route.methods or ("ANY",))


def _outer_prefix(program: Program, path: str, base: str, scope: str, depth: int) -> str:
    """What `include_router` puts before a router's own prefix."""
    found = program.inclusions.of(path, base, scope) if depth <= 5 else None
    if found is None:
        return ""
    other, inclusion = found
    parent = program.modules[other].prefixes.get(inclusion.parent, "")
    return _outer_prefix(program, other, inclusion.parent, inclusion.scope, depth + 1) + parent + inclusion.prefix
