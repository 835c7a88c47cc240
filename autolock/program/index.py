"""From one file's source to its facts, in one pass over the standard library's `ast`.

This runs on every file of the project, so it is written for speed: an explicit stack, dispatch on
the node's class, and nothing computed that a later stage can compute for the few files it needs.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from autolock.program.facts import (
    Binding,
    ClassFacts,
    FunctionFacts,
    Import,
    Inclusion,
    ModuleFacts,
    RouteFacts,
)
from autolock.program.library import JOB_DECORATORS, MUTATORS, ON_CONTAINERS, PURE_BUILTINS, ROUTE_DECORATORS
from autolock.program.processes import processes_started
from autolock.program.tables import texts_of_tables
from codemods.parsing import parse as parsed_module

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CONTAINERS: dict[type, str] = {
    ast.Dict: "dict",
    ast.List: "list",
    ast.Set: "set",
    ast.DictComp: "dict",
    ast.ListComp: "list",
    ast.SetComp: "set",
    ast.Call: "call",
    ast.Constant: "const",
    ast.Tuple: "tuple",
    ast.Name: "alias",
    ast.Attribute: "alias",
}


def dotted(node: ast.AST | None) -> str:
    """`a.b.c` for a chain of attributes on a name, else the empty string."""
    parts: list[str] = []
    while node.__class__ is ast.Attribute:
        parts.append(node.attr)
        node = node.value
    if node.__class__ is ast.Name:
        parts.append(node.id)
        parts.reverse()
        return ".".join(parts)
    return ""


def bound_by(node: Any) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment with what each is given, those of `stock, sold = {}, {}` one by one."""
    targets = node.targets if node.__class__ is ast.Assign else [node.target]
    found: list[tuple[ast.expr, ast.expr]] = []
    for target in targets:
        if target.__class__ is ast.Tuple and node.value.__class__ is ast.Tuple:
            parts = (target.elts, node.value.elts)
            if len(parts[0]) == len(parts[1]) and not any(p.__class__ is ast.Starred for part in parts for p in part):
                found.extend(zip(*parts, strict=True))
        else:
            found.append((target, node.value))
    return found


def own_name(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The name by which a function is known in its block; `x.setter` for the setter of a property `x`."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter"):
            return f"{node.name}.{decorator.attr}"
    return node.name


def parse(source: bytes | str, path: str) -> ast.Module:
    """Parse a file's bytes (encoding cookie and BOM are honoured), in newer syntax than the interpreter's too.

    Raises SyntaxError, also for NUL bytes, undecodable text and nesting that is too deep.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return parsed_module(source, path)
        except (ValueError, RecursionError, MemoryError, UnicodeDecodeError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
            raise SyntaxError(reason) from error


def index(path: str, source: bytes | str) -> ModuleFacts:
    """The facts of one file; a file that does not parse has `error` set and nothing else."""
    return parsed_and_indexed(path, source)[0]


def parsed_and_indexed(path: str, source: bytes | str) -> tuple[ModuleFacts, ast.Module | None]:
    """The facts of one file, and the tree that they were taken from."""
    try:
        tree = parse(source, path)
        lines = source.count(b"\n" if isinstance(source, bytes) else "\n") + 1  # type: ignore[arg-type]
        facts = _Indexer(path, lines).run(tree)
        facts.tables = texts_of_tables(tree, source)
        facts.processes = processes_started(tree, source)
        return facts, tree
    except SyntaxError as error:
        line = error.lineno or 0
        return ModuleFacts(path=path, lines=0, error=_explain(error, source), error_line=line), None
    except RecursionError:
        return ModuleFacts(path=path, lines=0, error="nested too deeply to be analysed"), None


_NEWER = ("expected '('", "type parameter", "match", "except*", "parenthesized")


def _explain(error: SyntaxError, source: bytes | str) -> str:
    """A parse error in one line; says which Python would be needed where the text shows it."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = source if isinstance(source, bytes) else source.encode("utf-8", "replace")
    line = text.split(b"\n")[(error.lineno or 1) - 1 :][:1]
    needed = _needed_version(line[0] if line else b"", error.msg or "")
    if needed and tuple(map(int, needed.split("."))) > sys.version_info[:2]:
        return f"line {error.lineno}: needs Python {needed} to be parsed, this is {running}"
    return f"line {error.lineno}: {error.msg}" if error.lineno else f"{error.msg}"


def _needed_version(line: bytes, message: str) -> str:
    stripped = line.strip()
    if stripped.startswith(b"except ") and b"," in stripped and b"(" not in stripped:
        return "3.14"
    if b'= t"' in stripped or b'(t"' in stripped:
        return "3.14"
    if stripped.startswith(b"type ") or (
        stripped.startswith((b"def ", b"class ", b"async def ")) and b"[" in stripped.split(b"(")[0]
    ):
        return "3.12"
    if b'f"' in stripped or b"f'" in stripped or "f-string" in message:
        return "3.12"
    if stripped.startswith(b"except*"):
        return "3.11"
    return ""


#: What is given to these is looked at, and neither kept nor changed; the others hand on what is in it.
_ONLY_LOOKING = PURE_BUILTINS - {"getattr", "map", "filter", "next"}


class _Scope:
    """What is collected while one function's (or the module's) own statements are walked."""

    __slots__ = ("aliases", "bound", "generator", "gives", "mutates", "rebinds", "refs", "suspends")

    def __init__(self) -> None:
        self.refs: set[str] = set()
        self.mutates: set[str] = set()
        self.bound: set[str] = set()
        self.rebinds: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.gives: set[str] = set()
        self.suspends = False
        self.generator = False


class _Indexer:
    def __init__(self, path: str, lines: int) -> None:
        self.facts = ModuleFacts(path=path, lines=lines)
        self.handed: set[str] = set()

    def run(self, tree: ast.Module) -> ModuleFacts:
        scope = _Scope()
        self.block(tree.body, scope, "", "", "")
        known = self.facts
        self.facts.handed = frozenset(
            n.lstrip(".") for n in self.handed if n[0] == "." or n in known.bindings or n in known.imports
        )
        self.facts.module_refs = frozenset(scope.refs)
        self.facts.module_mutates = frozenset(scope.mutates)
        return self.facts

    def block(self, body: Iterable[ast.AST], scope: _Scope, prefix: str, owner: str, parent: str) -> None:
        """Walk statements of one scope; nested functions and classes get scopes of their own."""
        stack: list[Any] = list(body)
        stack.reverse()
        facts, refs = self.facts, scope.refs
        pop, push = stack.pop, stack.append
        while stack:
            node = pop()
            cls = node.__class__
            if cls is ast.Name:
                if node.ctx.__class__ is ast.Load:
                    refs.add(node.id)
                else:
                    scope.bound.add(node.id)
            elif cls is ast.Attribute:
                name = dotted(node)
                if name:
                    refs.add(name)
                    if node.ctx.__class__ is not ast.Load:
                        scope.mutates.add(name)
                else:
                    if node.ctx.__class__ is not ast.Load:
                        scope.mutates.add(f"?.{node.attr}")
                    push(node.value)
            elif cls is ast.Constant:
                continue
            elif cls is ast.Call:
                self.call(node, scope, prefix)
                given = [*node.args, *[k.value for k in node.keywords]]
                if getattr(node.func, "id", "") not in _ONLY_LOOKING:
                    self.hand(given)
                stack += given
                push(node.func)
            elif cls is ast.Subscript:
                if node.ctx.__class__ is not ast.Load:
                    scope.mutates.add(_named(_base(node)))
                push(node.slice)
                push(node.value)
            elif cls is ast.AugAssign:
                target = node.target
                scope.mutates.add(_named(target if target.__class__ is not ast.Subscript else _base(target)))
                if target.__class__ is ast.Name:
                    refs.add(target.id)
                push(node.value)
                push(target)
            elif cls is ast.Assign or cls is ast.AnnAssign:
                if not parent and node.value is not None:
                    self.binding(node, owner)
                elif node.value is not None and node.value.__class__ is ast.Call:
                    self.prefix(node, prefix)
                if cls is ast.Assign:
                    stack.extend(node.targets)
                    if parent and node.targets[0].__class__ is ast.Name:
                        scope.aliases[node.targets[0].id] = _origin(node.value)
                else:
                    push(node.annotation)
                    push(node.target)
                if node.value is not None:
                    self.hand((node.value,))
                    push(node.value)
            elif cls is ast.FunctionDef or cls is ast.AsyncFunctionDef:
                scope.bound.add(node.name)
                self.function(node, scope, prefix, owner, parent)
            elif cls is ast.ClassDef:
                scope.bound.add(node.name)
                self.klass(node, scope, prefix, parent)
            elif cls is ast.NamedExpr:
                scope.aliases[node.target.id] = _origin(node.value)
                scope.bound.add(node.target.id)
                push(node.value)
            elif cls is ast.Lambda:
                self.hand((node.body,))
                push(node.body)
                scope.bound.update(_parameters(node.args))
            elif cls is ast.Dict:
                self.hand(node.values)
                stack += [k for k in node.keys if k is not None]
                stack += node.values
            elif cls is ast.Import or cls is ast.ImportFrom:
                self.imports(node, parent and prefix.rstrip("."))
                scope.bound.update((a.asname or a.name.partition(".")[0]) for a in node.names)
            elif cls is ast.Global or cls is ast.Nonlocal:
                scope.rebinds.update(node.names)
                if cls is ast.Global:
                    facts.global_names |= frozenset(node.names)
            elif cls is ast.Await:
                scope.suspends = True
                push(node.value)
            elif cls is ast.Yield or cls is ast.YieldFrom or cls is ast.Return:
                scope.generator |= cls is not ast.Return
                if node.value is not None:
                    scope.gives.add(_origin(node.value))
                    push(node.value)
            else:
                if cls is ast.AsyncWith or cls is ast.AsyncFor:
                    scope.suspends = True
                for name in _CHILDREN.get(cls) or _fields_of(cls):
                    child = getattr(node, name)
                    if child.__class__ is list:
                        stack += child[::-1]
                    elif child is not None:
                        push(child)
        if not parent and not owner:
            facts.module_refs = frozenset(refs)

    def hand(self, given: Iterable[ast.AST]) -> None:
        """Note what has a name and goes elsewhere, where it may be changed under another name."""
        for node in given:
            cls = node.__class__
            if cls is ast.Name:
                self.handed.add(node.id)  # type: ignore[attr-defined]
            elif cls is ast.Attribute:
                self.handed.add(f".{node.attr}")  # type: ignore[attr-defined]

    def function(self, node: Any, outer: _Scope, prefix: str, owner: str, parent: str) -> None:
        qualname = prefix + own_name(node)
        scope = _Scope()
        scope.bound.update(_parameters(node.args))
        decorators = tuple(filter(None, (self.decorator(d, qualname, prefix) for d in node.decorator_list)))
        self.block(node.body, scope, qualname + ".", "", qualname)
        signature = _Scope()
        self.block(
            [*node.args.defaults, *(d for d in node.args.kw_defaults if d), *_annotations(node), *node.decorator_list],
            signature,
            prefix,
            owner or "-",
            parent or "-",
        )
        local = scope.bound - scope.rebinds
        refs = {r for r in scope.refs if "." in r or r not in local}
        before = self.facts.functions.get(qualname)  # handlers are often all called `_`
        self.facts.functions[qualname] = FunctionFacts(
            qualname=qualname,
            line=node.lineno,
            is_async=node.__class__ is ast.AsyncFunctionDef,
            is_generator=scope.generator,
            owner=owner,
            parent=parent,
            decorators=decorators,
            refs=frozenset(refs | signature.refs | (before.refs if before is not None else frozenset())),
            mutates=frozenset(scope.mutates | _through(scope.aliases, scope.mutates)),
            rebinds=frozenset(scope.rebinds),
            suspends=scope.suspends or (scope.generator and node.__class__ is ast.AsyncFunctionDef),
            gives=frozenset(scope.gives | _through(scope.aliases, scope.gives)),
        )
        outer.refs.update(signature.refs)

    def klass(self, node: ast.ClassDef, outer: _Scope, prefix: str, parent: str) -> None:
        qualname = prefix + node.name
        facts = ClassFacts(
            qualname=qualname,
            line=node.lineno,
            bases=tuple(filter(None, (dotted(_base(b)) for b in node.bases))),
            decorators=tuple(
                filter(None, (dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list))
            ),
            bindings={},
            methods=tuple(n.name for n in node.body if isinstance(n, _FUNCTIONS)),
            parent=parent,
            metaclass=next((dotted(k.value) for k in node.keywords if k.arg == "metaclass"), ""),
        )
        self.facts.classes[qualname] = facts
        for decorator in node.decorator_list:
            self.decorator(decorator, qualname, prefix)
        scope = _Scope()
        self.block(node.body, scope, qualname + ".", qualname, parent)
        outer.refs.update(scope.refs)
        outer.refs.update(facts.bases)

    def decorator(self, node: ast.expr, qualname: str, prefix: str) -> str:
        """A decorator's dotted name; a route decorator is recorded as well."""
        call = node if isinstance(node, ast.Call) else None
        name = dotted(call.func if call else node)
        base, _, verb = name.rpartition(".")
        if call and base and verb in ROUTE_DECORATORS:
            self.facts.routes.append(
                RouteFacts(
                    base=base,
                    kind=verb,
                    methods=_methods(call, verb),
                    path=_handled(call) if verb == "exception_handler" else _text(_argument(call, 0, "path")),
                    function=qualname,
                    target="",
                    line=call.lineno,
                    scope=prefix.rstrip("."),
                )
            )
        elif call and (verb in JOB_DECORATORS or name in JOB_DECORATORS):
            self.facts.routes.append(RouteFacts(base, "job", (), "", qualname, "", call.lineno, prefix.rstrip(".")))
        return name

    def binding(self, node: Any, owner: str) -> None:
        """Record a module- or class-level assignment."""
        for target, value in bound_by(node):
            if target.__class__ is not ast.Name:
                continue
            scope = _Scope()
            self.block([value], scope, "", owner or "-", "-")
            kind = _CONTAINERS.get(value.__class__, "other")
            if value.__class__ is ast.Await:
                value, kind = value.value, "call"
            callee = dotted(value.func) if value.__class__ is ast.Call else dotted(value) if kind == "alias" else ""
            table = self.facts.classes[owner].bindings if owner and owner in self.facts.classes else self.facts.bindings
            if owner == "-":
                return
            known = table.get(target.id)
            count = known.count + 1 if known else 1
            refs = frozenset(scope.refs) | (known.refs if known else frozenset())
            table[target.id] = Binding(line=node.lineno, kind=kind, callee=callee, refs=refs, count=count)
            if not owner and value.__class__ is ast.Call:
                self.prefix(node, "")

    def prefix(self, node: Any, scope: str) -> None:
        """Remember `NAME = APIRouter(prefix="/x")`."""
        targets = node.targets if node.__class__ is ast.Assign else [node.target]
        if node.value.__class__ is not ast.Call:
            return
        prefix = _text(_keyword(node.value, "prefix"))
        if prefix and targets[0].__class__ in (ast.Name, ast.Attribute):
            self.facts.prefixes[scope + dotted(targets[0])] = prefix

    def call(self, node: ast.Call, scope: _Scope, prefix: str) -> None:
        """Record what a call registers, and that it may mutate its receiver."""
        func = node.func
        for keyword in node.keywords:
            if keyword.arg == "lifespan":
                self.facts.lifespans.append((dotted(keyword.value), prefix.rstrip(".")))
            elif keyword.value.__class__ is ast.Dict:
                given = keyword.value if keyword.arg == "exception_handlers" else _entry(keyword.value)
                if given is not None:
                    self.exception_handlers(given, prefix.rstrip("."))
        called = getattr(func, "attr", getattr(func, "id", ""))
        if node.args and called in _CHANGING:
            scope.mutates.add(_named(_base(node.args[0])))
        if called in _SETTING and len(node.args) == 3 and _text(node.args[1]):
            scope.mutates.add(f"{dotted(node.args[0]) or '?'}.{_text(node.args[1])}")
        if func.__class__ is not ast.Attribute:
            if func.__class__ is ast.Name and func.id in _ROUTE_CLASSES:
                self.route_object(node, func.id, prefix)
            elif func.__class__ is ast.Call and len(node.args) == 1:
                self.route_by_hand(func, node.args[0], prefix)
            return
        name: str = func.attr
        if name in MUTATORS:
            scope.mutates.add(_named(_base(func.value)))
        elif name == "add_job" and not prefix and dotted(_argument(node, 0, "func")):
            job = dotted(_argument(node, 0, "func"))
            self.facts.routes.append(RouteFacts(dotted(func.value), "job", (), "", "", job, node.lineno))
        elif name in _REGISTERING:
            self.registration(node, name, dotted(func.value), prefix)

    def exception_handlers(self, node: ast.Dict, scope: str) -> None:
        """`exception_handlers={Exception: handler}`, given to the application or to what makes it."""
        for key, value in zip(node.keys, node.values, strict=True):
            if dotted(value):
                caught = dotted(key) if key is not None else ""
                self.facts.routes.append(
                    RouteFacts("app", "exception_handler", (), caught, "", dotted(value), node.lineno, scope)
                )

    def route_object(self, node: ast.Call, name: str, prefix: str) -> None:
        """Starlette's `Route("/x", endpoint)`."""
        if name == "Middleware":
            target = dotted(_argument(node, 0, "cls"))
            if target:
                self.facts.routes.append(
                    RouteFacts("app", "middleware", (), "", "", target, node.lineno, prefix.rstrip("."))
                )
            return
        target = dotted(_argument(node, 1, "endpoint"))
        path = _argument(node, 0, "path")
        if target and _text(path):
            kind = "route" if name == "Route" else "websocket"
            self.facts.routes.append(
                RouteFacts("app", kind, _methods(node, kind), _text(path), "", target, node.lineno, prefix.rstrip("."))
            )

    def route_by_hand(self, decorator: ast.Call, endpoint: ast.expr, prefix: str) -> None:
        """A route decorator that is called: `app.post("/x")(serve)`."""
        base, _, verb = dotted(decorator.func).rpartition(".")
        target = dotted(endpoint)
        if base and target and verb in ROUTE_DECORATORS and verb != "exception_handler":
            path, methods = _text(_argument(decorator, 0, "path")), _methods(decorator, verb)
            self.facts.routes.append(
                RouteFacts(base, verb, methods, path, "", target, decorator.lineno, prefix.rstrip("."))
            )

    def registration(self, node: ast.Call, name: str, base: str, prefix: str) -> None:
        scope = prefix.rstrip(".")
        if name in ("include_router", "mount"):
            child = _argument(
                node, 0 if name == "include_router" else 1, "router" if name == "include_router" else "app"
            )
            text = _text(_keyword(node, "prefix") if name == "include_router" else _argument(node, 0, "path"))
            self.facts.inclusions.append(Inclusion(base, dotted(child), text, node.lineno, scope))
            return
        path = _text(_argument(node, 0, "path"))
        endpoint = _argument(node, 1, "endpoint")
        if isinstance(endpoint, ast.Call) and endpoint.args and dotted(endpoint.func).endswith("partial"):
            endpoint = endpoint.args[0]
        target = dotted(endpoint)
        if name in ("add_exception_handler", "add_event_handler"):
            path, target = "", dotted(_argument(node, 1, "handler" if name == "add_exception_handler" else "func"))
            if name == "add_exception_handler":
                path = _handled(node)
            if name == "add_event_handler":
                path = _text(_argument(node, 0, "event_type"))
        elif name == "add_middleware":
            path, target = "", dotted(_argument(node, 0, "middleware_class"))
        if target:
            verb = {"add_api_route": "api_route", "add_route": "route"}.get(name, name.removeprefix("add_"))
            self.facts.routes.append(RouteFacts(base, verb, _methods(node, verb), path, "", target, node.lineno, scope))

    def imports(self, node: Any, function: str) -> None:
        facts = self.facts
        table = facts.local_imports.setdefault(function, {}) if function else facts.imports
        if node.__class__ is ast.Import:
            for alias in node.names:
                if alias.asname:
                    table[alias.asname] = Import(alias.name)
                else:
                    table[alias.name.partition(".")[0]] = Import(alias.name.partition(".")[0])
                    if "." in alias.name:
                        facts.stars.append(Import(alias.name, 0, "-"))
            return
        for alias in node.names:
            if alias.name == "*":
                facts.stars.append(Import(node.module or "", node.level))
            else:
                table[alias.asname or alias.name] = Import(node.module or "", node.level, alias.name)


#: For each class of nodes the fields in which there may be others that say something.
_CHILDREN: dict[type, tuple[str, ...]] = {type(None): (), str: ()}
_SILENT = frozenset({"ctx", "op", "ops", "type_comment", "type_ignores", "conversion", "kind", "is_async", "simple"})


def _fields_of(cls: type) -> tuple[str, ...]:
    found = _CHILDREN[cls] = tuple(name for name in getattr(cls, "_fields", ()) if name not in _SILENT)
    return found


_ROUTE_CLASSES = ("Route", "APIRoute", "WebSocketRoute", "Middleware")
#: Last names of functions that change their first argument.
_CHANGING = frozenset(name.rpartition(".")[2] for name in ON_CONTAINERS)
#: Functions that assign the attribute that their second argument names.
_SETTING = frozenset({"setattr", "__setattr__"})
_REGISTERING = frozenset(
    {
        "include_router",
        "mount",
        "add_api_route",
        "add_route",
        "add_api_websocket_route",
        "add_websocket_route",
        "add_exception_handler",
        "add_event_handler",
        "add_middleware",
    }
)


def _named(node: ast.AST) -> str:
    """The dotted name of what is changed; for an attribute of something nameless at least the attribute's."""
    return dotted(node) or (f"?.{node.attr}" if node.__class__ is ast.Attribute else "")


def _origin(node: ast.AST) -> str:
    """The dotted name that a value is, or is an element of."""
    while True:
        cls = node.__class__
        if cls is ast.Subscript or cls is ast.Await or cls is ast.Starred:
            node = node.value  # type: ignore[attr-defined]
        elif cls is ast.Call and node.func.__class__ is ast.Attribute and node.func.attr in _ELEMENTS:  # type: ignore[attr-defined]
            node = node.func.value  # type: ignore[attr-defined]
        elif cls is ast.BoolOp:
            node = node.values[0]  # type: ignore[attr-defined]
        else:
            return dotted(node)


_ELEMENTS = frozenset({"get", "setdefault", "values", "items"})


def _through(aliases: dict[str, str], names: set[str]) -> set[str]:
    """What local names among `names` stand for, as far as one assignment tells."""
    found: set[str] = set()
    for name in names:
        first, _, rest = name.partition(".")
        for _ in range(3):
            first = aliases.get(first, "")
            if not first:
                break
            found.add(f"{first}.{rest}" if rest else first)
            first = first.partition(".")[0]
    return found


def _base(node: ast.AST) -> ast.AST:
    """What a chain of subscripts starts from."""
    while node.__class__ is ast.Subscript:
        node = node.value
    return node


def _parameters(args: ast.arguments) -> list[str]:
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    names.extend(a.arg for a in (args.vararg, args.kwarg) if a)
    return names


def _annotations(node: Any) -> list[ast.expr]:
    args = node.args
    found = [a.annotation for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.annotation]
    if node.returns is not None:
        found.append(node.returns)
    return found


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _handled(call: ast.Call) -> str:
    """The name of the exception that a handler is registered for."""
    return dotted(_argument(call, 0, "exc_class_or_status_code"))


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return _keyword(call, name)


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _methods(call: ast.Call, verb: str) -> tuple[str, ...]:
    given = _keyword(call, "methods")
    if isinstance(given, ast.List | ast.Tuple | ast.Set):
        return tuple(_text(e).upper() for e in given.elts)
    if verb in ("get", "post", "put", "patch", "delete", "head", "options", "trace"):
        return (verb.upper(),)
    return ("GET",) if verb in ("api_route", "route") else ()


def _entry(node: ast.Dict) -> ast.Dict | None:
    """The dict that another one holds under "exception_handlers"."""
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "exception_handlers" and isinstance(value, ast.Dict):
            return value
    return None
