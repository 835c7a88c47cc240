"""Where a new lock lives, what it is called, and how each function that needs it can say its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from autolock.edits import Edit
from autolock.planning.blocks import Blocks, Refusal, Sources, own_nodes
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.objects import STATE
from autolock.program.values import Location


@dataclass(slots=True, frozen=True)
class Use:
    """A function that needs the lock, with the source nodes by which it reaches the state.

    `receiver` is how it names the object whose methods reach the state for it, empty where it does so itself;
    `inner` is the function that reaches it in the end.
    """

    function: Ref
    nodes: tuple[ast.AST, ...]
    body: ast.AST | None = None
    receiver: str = ""
    inner: Ref | None = None


@dataclass(slots=True, frozen=True)
class Home:
    """A new lock: the edits that make it and bring it where it is needed, and its name in each function."""

    name: str
    edits: tuple[Edit, ...]
    names: dict[Ref, str]
    beside: str


class CircularImport(Refusal):
    """The file of the state imports the one that needs the lock."""


class _Made(NamedTuple):
    """The statement of a class that sets an attribute, and what stands before the name of one that is set beside it."""

    owner: Ref
    statement: str
    holder: str

    @property
    def path(self) -> str:
        return self.owner.path


def lock_name(state: str) -> str:
    """`stock` -> `stock_lock`, `SEATS` -> `SEATS_LOCK`, `_stock` -> `_stock_lock`."""
    return f"{state}_LOCK" if state.isupper() else f"{state}_lock"


class HomeFinder:
    """Finds a home for the lock of a Location."""

    def __init__(self, program: Program, sources: Sources, serving: Set[Ref] = frozenset()) -> None:
        """`serving` are the functions that requests run: what they set is not there before the first of them."""
        self.program = program
        self.sources = sources
        self.serving = serving

    def home(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """The home of a new lock for `owner`. Raises Refusal where there is none that all uses can reach."""
        root = owner.root
        if root.kind == "file":
            return self.for_file(owner, kind, uses)
        if (root.kind == "cell" and owner.fields) or (root.kind == "state" and len(owner.fields) > 1):
            attribute = self.on_instance(owner, kind, uses)
            if attribute is not None:
                return attribute
        if root.kind == "cell":
            return self.in_factory(owner, kind, uses)
        if root.kind == "state":
            return self.on_app_state(owner, kind, uses)
        if root.kind == "class" and len(owner.fields) == 1:
            return self.in_class(owner, kind, uses)
        if owner.fields:
            attribute = self.on_instance(owner, kind, uses)
            if attribute is not None:
                return attribute
        if root.kind == "variable":
            try:
                return self.beside_variable(root.path, root.name, kind, uses)
            except CircularImport:
                if len({use.function.path for use in uses}) > 1:
                    raise
                return self.at_head(root.name, lock_name(root.name), kind, uses)
        if root.kind == "default":
            return self.beside_function(owner, kind, uses)
        raise Refusal(f"there is no name by which every writer of `{owner}` can reach one lock")

    # -- module level --------------------------------------------------------------

    def beside_variable(self, path: str, variable: str, kind: str, uses: Sequence[Use], name: str = "") -> Home:
        """`stock_lock = asyncio.Lock()` below `stock = {}`."""
        after = self._module_statement(path, variable)
        return self._at_module_level(path, after, name or lock_name(variable), kind, uses, variable)

    def _at_module_level(self, path: str, after: str, name: str, kind: str, uses: Sequence[Use], beside: str) -> Home:
        name = self._free_name(name, path, uses)
        edits = [self._define(path, after, name, kind)]
        names: dict[Ref, str] = {}
        for use in uses:
            names[use.function], extra = self.reach(use.function, path, name)
            edits.extend(extra)
        return Home(name, tuple(dict.fromkeys(edits)), names, beside)

    def _module_statement(self, path: str, variable: str) -> str:
        """The top-level statement that binds a name."""
        blocks = self.sources.blocks(path)
        for index, statement in enumerate(blocks.unit.tree.body):
            targets = _targets(statement)
            if variable in targets:
                return f"body[{index}]"
        for index, statement in enumerate(blocks.unit.tree.body):
            if isinstance(statement, ast.If | ast.Try | ast.With) and any(
                variable in _targets(n) for n in ast.walk(statement)
            ):
                return f"body[{index}]"
        raise Refusal(f"`{variable}` is not assigned at the top level of {path}")

    def reach(self, function: Ref, path: str, name: str) -> tuple[str, list[Edit]]:
        """How a function in any file says the name of something in the file `path`."""
        if function.path == path:
            return name, []
        facts = self.program.modules[function.path]
        for local in facts.imports:
            found = self.program.resolve(function.path, local)
            if found is not None and found[0] == Ref("module", path, "") and not found[1]:
                return f"{local}.{name}", []
        module = next(
            (
                "." * i.level + i.module
                for i in facts.imports.values()
                if i.name and self.program.find_module(function.path, i.module, i.level) == path
            ),
            "",
        ) or self._module_of(function.path, path)
        bound = self.program.resolve(function.path, name)
        if bound is not None and bound[1] == () and (bound[0].path, bound[0].name) == (path, name):
            return name, []
        alias = (
            "" if bound is None and not self.is_taken(function.path, name) else self._alias(function.path, module, name)
        )
        return alias or name, [Edit(function.path, "import-name", _frozen(module=module, name=name, alias=alias))]

    def _alias(self, path: str, module: str, name: str) -> str:
        """Another name for what is imported, where its own is taken."""
        alias = f"{module.rpartition('.')[2]}_{name.lstrip('_')}"
        if self.is_taken(path, alias):
            raise Refusal(f"{path} uses the names `{name}` and `{alias}` already")
        return alias

    def _module_of(self, importer: str, path: str) -> str:
        """A module path by which one file can import another without a cycle."""
        if self._imports(path, importer, set()):
            raise CircularImport(f"{importer} cannot import the lock from {path} without a circular import")
        for other, facts in self.program.modules.items():
            for imported in facts.imports.values():
                if imported.level == 0 and self.program.find_module(other, imported.module) == path:
                    if self.program.find_module(importer, imported.module) == path:
                        return imported.module
                elif imported.level == 0 and imported.name:
                    module = f"{imported.module}.{imported.name}"
                    if (
                        self.program.find_module(other, module) == path
                        and self.program.find_module(importer, module) == path
                    ):
                        return module
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        for start in range(len(parts)):
            module = ".".join(parts[start:])
            if self.program.find_module(importer, module) == path:
                return module
        raise Refusal(f"it is not known under which name {importer} can import {path}")

    def _imports(self, start: str, target: str, seen: set[str]) -> bool:
        """Whether a file imports another, directly or through others."""
        if start == target:
            return True
        if start in seen or start not in self.program.modules:
            return False
        seen.add(start)
        facts = self.program.modules[start]
        for imported in facts.imports.values():
            found = self.program.find_module(start, imported.module, imported.level)
            if found and self._imports(found, target, seen):
                return True
            if imported.name:
                inner = self.program.find_module(start, f"{imported.module}.{imported.name}".strip("."), imported.level)
                if inner and self._imports(inner, target, seen):
                    return True
        return False

    def beside_function(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """A module-level lock below the function whose default argument is the state."""
        function, _, parameter = owner.root.name.partition("(")
        blocks = self.sources.blocks(owner.root.path)
        node = blocks.unit.functions.get(function)
        if (
            node is None
            or "." in function
            or any(u.function != Ref("function", owner.root.path, function) for u in uses)
        ):
            raise Refusal("the state is a mutable default argument: make it `None` and create it in the function")
        name = self._free_name(lock_name(f"{function}_{parameter.strip(')').strip('_')}"), owner.root.path, uses)
        edit = self._define(owner.root.path, blocks.spot(node).path, name, kind)
        return Home(name, (edit,), {u.function: name for u in uses}, function)

    # -- other homes --------------------------------------------------------------------

    def in_factory(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """A local of the application factory, beside the closure variable."""
        function, _, variable = owner.root.name.rpartition(".")
        blocks = self.sources.blocks(owner.root.path)
        node = blocks.unit.functions.get(function)
        if node is None:
            raise Refusal(f"the factory `{function}` was not found")
        after = _first_assignment(node, variable)
        if after is None:
            raise Refusal(f"`{variable}` is a parameter of `{function}`: there is no place beside it for a lock")
        if any(isinstance(n, ast.Return) for n in own_nodes([after])):
            raise Refusal(f"`{function}` is left where it sets `{variable}`: no place for a lock is common to all ways")
        for use in uses:
            if not use.function.name.startswith(f"{function}.") or use.function.path != owner.root.path:
                raise Refusal(f"`{use.function.name}` is outside the factory `{function}` and cannot see a lock there")
        name = self._free_name(lock_name(variable), owner.root.path, uses)
        edit = self._define(owner.root.path, blocks.spot(after).path, name, kind)
        return Home(name, (edit,), {u.function: name for u in uses}, variable)

    def in_class(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """A class attribute beside the class attribute."""
        root, attribute = owner.root, owner.fields[0][1:]
        blocks = self.sources.blocks(root.path)
        node = blocks.unit.classes.get(root.name)
        statement = next((s for s in node.body if attribute in _targets(s)), None) if node is not None else None
        if statement is None:
            raise Refusal(f"`{attribute}` is not assigned in the body of `{root.name}`")
        if self.program.wants_annotations(Ref("class", root.path, root.name)):
            return self._below_class(root.path, root.name, attribute, kind, uses)
        name = lock_name(attribute)
        if self.is_taken(root.path, name):
            raise Refusal(f"`{root.name}` has something called `{name}` already")
        names = {u.function: self._through_class(u, root.name, attribute, name) for u in uses}
        edits = [self._define(root.path, blocks.spot(statement).path, name, kind)]
        for use in uses:
            if use.function.path != root.path and names[use.function].startswith(f"{root.name}."):
                edits.extend(self.reach(use.function, root.path, root.name.partition(".")[0])[1])
        return Home(name, tuple(dict.fromkeys(edits)), names, str(owner))

    def _below_class(self, path: str, cls: str, attribute: str, kind: str, uses: Sequence[Use]) -> Home:
        """At module level: a class that takes what its body binds for fields would not be made with a lock in it."""
        body = self.sources.blocks(path).unit.tree.body
        outer = cls.partition(".")[0]
        after = next((n for n, s in enumerate(body) if isinstance(s, ast.ClassDef) and s.name == outer), None)
        if after is None:
            raise Refusal(f"`{cls}` is not at the top level of {path}, so no lock can stand below it")
        return self._at_module_level(path, f"body[{after}]", lock_name(attribute), kind, uses, f"{cls}.{attribute}")

    def _through_class(self, use: Use, cls: str, attribute: str, name: str) -> str:
        holder = _holder(use, attribute)
        return f"{holder}.{name}" if holder else f"{cls}.{name}"

    def on_instance(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home | None:
        """`self._stock_lock = ...` in `__init__`, when every use reaches the attribute through a name."""
        attribute = owner.fields[-1][1:]
        made = self._initialised(uses, attribute)
        if made is None:
            return None
        holders = {
            u.function: _holder(u, attribute)
            or self._receiver(u, made.owner)
            or _object(u, owner)
            or self._self(u, attribute)
            for u in uses
        }
        if not all(holders.values()):
            return None
        name = lock_name(attribute)
        if all(h == "self" for h in holders.values()):
            name = f"_{name.lstrip('_')}"
        elif any(u.receiver for u in uses):
            name = name.lstrip("_")
        if self.is_taken(made.path, name):
            raise Refusal(f"{made.path} uses the name `{name}` already")
        edit = self._define(made.path, made.statement, f"{made.holder}{name}", kind)
        return Home(name, (edit,), {f: f"{h}.{name}" for f, h in holders.items()}, str(owner))

    def _receiver(self, use: Use, owner: Ref) -> str:
        """How a use names the object whose methods it goes through, where that is one of the class `owner`."""
        inner = use.inner
        cls = Ref("class", inner.path, inner.name.rpartition(".")[0]) if inner is not None else None
        known = cls is not None and self.program.klass(cls) is not None
        return use.receiver if known and cls is not None and owner in self.program.mro(cls) else ""

    def _self(self, use: Use, attribute: str) -> str:
        """`self`, in a method of the class that sets the attribute, which another method of it reaches."""
        owner = Ref("class", use.function.path, use.function.name.rpartition(".")[0])
        facts = self.program.klass(owner)
        init = self.program.modules[owner.path].functions.get(f"{owner.name}.__init__") if facts is not None else None
        own = init is not None and f"self.{attribute}" in init.mutates
        first = use.body.args.args[:1] if isinstance(use.body, ast.FunctionDef | ast.AsyncFunctionDef) else []
        return "self" if own and [a.arg for a in first] == ["self"] else ""

    def _initialised(self, uses: Sequence[Use], attribute: str) -> _Made | None:
        """Where the class of the methods that use an attribute sets it: in its `__init__`, or in its body."""
        for use in uses:
            cls = Ref("class", use.function.path, use.function.name.rpartition(".")[0])
            if self.program.klass(cls) is None:
                continue
            bases = [base for base in self.program.mro(cls) if base.kind == "class"]
            for base in bases:
                blocks = self.sources.blocks(base.path)
                node = blocks.unit.functions.get(f"{base.name}.__init__")
                for statement in node.body if node is not None else []:
                    if f"self.{attribute}" in _dotted_targets(statement):
                        return _Made(base, blocks.spot(statement).path, "self.")
            for base in bases:
                body = self._plain_body(base)
                for statement in body if len(bases) == len(self.program.mro(cls)) else []:
                    if attribute in _targets(statement):
                        return _Made(base, self.sources.blocks(base.path).spot(statement).path, "")
        return None

    def _plain_body(self, cls: Ref) -> Sequence[ast.stmt]:
        """The body of a class that nothing but `dataclass` makes into something else."""
        node = self.sources.blocks(cls.path).unit.classes.get(cls.name)
        if node is None or node.keywords:
            return ()
        decorators = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
        return node.body if all(dotted(d).rpartition(".")[2] == "dataclass" for d in decorators) else ()

    def on_app_state(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """`app.state.hits_lock = ...` where `app.state.hits` is set, or a name of the module where requests set it."""
        if not owner.fields:
            raise Refusal("the state object as a whole has no lock beside it")
        attribute = owner.fields[0][1:]
        place = self._state_assignment(attribute) if owner.root == STATE else None
        if place is None:
            return self.at_head(f"{owner.root.name}.{attribute}", lock_name(attribute), kind, uses)
        path, statement, holder = place
        name = lock_name(attribute)
        holders = {use.function: _holder(use, attribute) for use in uses}
        unnamed = next((function.name for function, reached in holders.items() if not reached), "")
        if unnamed:
            return self._beside_provider(attribute, unnamed, kind, uses)
        names = {function: f"{reached}.{name}" for function, reached in holders.items()}
        return Home(name, (self._define(path, statement, f"{holder}.{name}", kind),), names, f"app.state.{attribute}")

    def _beside_provider(self, attribute: str, unnamed: str, kind: str, uses: Sequence[Use]) -> Home:
        """A module-level lock for functions that get the object from another: in their file, or in that one's."""
        shown, name = f"app.state.{attribute}", lock_name(attribute)
        paths = {use.function.path for use in uses}
        if len(paths) == 1:
            return self.at_head(shown, name, kind, uses)
        imported = [
            {self.program.find_module(path, i.module, i.level) for i in self.program.modules[path].imports.values()}
            for path in paths
        ]
        for path in sorted(p for p in set.intersection(*imported) if p in self.program.modules and p not in paths):
            if self.is_taken(path, f"state.{attribute}"):
                return self._at_module_level(path, head_of(self.sources, path), name, kind, uses, shown)
        raise Refusal(f"`{unnamed}` does not reach `{shown}` by name")

    def at_head(self, shown: str, name: str, kind: str, uses: Sequence[Use]) -> Home:
        """A module-level lock of the one file whose functions use it, for what has no statement beside it."""
        paths = {use.function.path for use in uses}
        if len(paths) != 1:
            raise Refusal(f"no statement was found that sets `{shown}` at start-up, and several files need the lock")
        path = paths.pop()
        name = self._free_name(name, path, uses)
        edit = self._define(path, head_of(self.sources, path), name, kind)
        return Home(name, (edit,), {use.function: name for use in uses}, shown)

    def _state_assignment(self, attribute: str) -> tuple[str, str, str] | None:
        suffix = f"state.{attribute}"
        for path, facts in self.program.modules.items():
            scopes = [facts.module_mutates, *(f.mutates for f in facts.functions.values())]
            if not any(m.endswith(suffix) for scope in scopes for m in scope):
                continue
            blocks = self.sources.blocks(path)
            served = self._served(path)
            for node in ast.walk(blocks.unit.tree):
                if isinstance(node, ast.Assign | ast.AnnAssign) and id(node) not in served:
                    for target in _dotted_targets(node):
                        holder = target.rpartition(".")[0]
                        if (target.endswith(f".{suffix}") or target == suffix) and not _through_request(holder):
                            if self._is_one_of_two(blocks, node, target):
                                raise Refusal(f"`{target}` is set in one branch or the other")
                            return path, blocks.spot(node).path, holder
        return None

    def _served(self, path: str) -> set[int]:
        """The statements of a file that requests run."""
        functions = self.sources.blocks(path).unit.functions
        nodes = [functions[f.name] for f in self.serving if f.path == path and f.name in functions]
        return {id(n) for node in nodes for n in own_nodes(node.body)}

    @staticmethod
    def _is_one_of_two(blocks: Blocks, node: ast.stmt, target: str) -> bool:
        """Whether the statement around an assignment makes the same one on another way."""
        around = blocks.owner_of(blocks.spot(node))
        if not isinstance(around, ast.If | ast.Try):
            return False
        others = [n for n in own_nodes([around]) if isinstance(n, ast.Assign | ast.AnnAssign) and n is not node]
        return any(target in _dotted_targets(other) for other in others)

    def for_file(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home:
        """Beside the constant that names the file, or at the top of the one module that uses it."""
        path, _, variable = owner.root.name.partition(":")
        if path in self.program.modules and variable.isidentifier():
            return self.beside_variable(path, variable, kind, uses)
        attribute = self.of_object(owner, kind, uses)
        if attribute is not None:
            return attribute
        paths = {u.function.path for u in uses}
        if len(paths) != 1:
            raise Refusal("the file is written in several modules under no common name")
        raise Refusal("the path of the file is not a module-level name beside which a lock could live")

    def of_object(self, owner: Location, kind: str, uses: Sequence[Use]) -> Home | None:
        """In the `__init__` of the class whose objects keep the file's path, where all uses go through its methods."""
        holders = {u.function: u.receiver or ("self" if u.inner == u.function else "") for u in uses}
        classes = {(u.inner.path, u.inner.name.rpartition(".")[0]) for u in uses if u.inner is not None}
        if len(classes) != 1 or not all(holders.values()):
            return None
        path, name = classes.pop()
        blocks = self.sources.blocks(path)
        init = blocks.unit.functions.get(f"{name}.__init__")
        for statement in init.body if init is not None else []:
            targets = [t for t in _dotted_targets(statement) if t.startswith("self.")]
            value = getattr(statement, "value", None)
            named = (targets[0][5:], dotted(value) if value is not None else "") if targets else ()
            if owner.root.name.rpartition(".")[2] in named:
                lock = lock_name(targets[0][5:].lstrip("_"))
                if self.is_taken(path, lock):
                    return None
                edit = self._define(path, blocks.spot(statement).path, f"self.{lock}", kind)
                return Home(lock, (edit,), {f: f"{h}.{lock}" for f, h in holders.items()}, str(owner))
        return None

    # -- names ---------------------------------------------------------------------------

    def _free_name(self, name: str, path: str, uses: Sequence[Use]) -> str:
        """The name, or one like it that no file involved uses yet."""
        paths = {path, *(u.function.path for u in uses)}
        guard = re.sub("lock$", "guard", re.sub("LOCK$", "GUARD", name))
        for candidate in (name, guard, f"{guard}_"):
            if not any(self.is_taken(p, candidate) for p in paths):
                return candidate
        raise Refusal(f"the name `{name}` is taken")

    def is_taken(self, path: str, name: str) -> bool:
        """Whether a file says a name at all, in code: sentences in texts and comments do not count."""
        unit = self.program.unit(path)
        if unit is None or re.search(rf"\b{re.escape(name)}\b", unit.text) is None:
            return False
        return not name.isidentifier() or any(name in _said_by(node) for node in ast.walk(unit.tree))

    @staticmethod
    def _define(path: str, after: str, target: str, kind: str) -> Edit:
        return Edit(path, "define-lock", _frozen(after=after, target=target, kind=kind))


def _said_by(node: ast.AST) -> set[str]:
    """The names that one node of a tree says: those of variables, parameters, attributes, definitions and imports."""
    if isinstance(node, ast.alias):
        return {*node.name.split("."), node.asname or ""}
    said = (getattr(node, field, None) for field in ("id", "arg", "attr", "name", "names", "value", "rest"))
    return {n for s in said for n in (s if isinstance(s, list) else [s]) if isinstance(n, str)}


def head_of(sources: Sources, path: str) -> str:
    """The statement of a file after which something new at module level goes: the last import at its head.

    Raises Refusal where the file has none.
    """
    body = sources.blocks(path).unit.tree.body
    for index, statement in enumerate(body):
        value = statement.value if isinstance(statement, ast.Assign) else None
        if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in ("FastAPI", "APIRouter"):
            return f"body[{index}]"
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            break
    imports = [n for n, s in enumerate(body) if isinstance(s, ast.Import | ast.ImportFrom)]
    first = next((n for n, s in enumerate(body) if hasattr(s, "decorator_list")), len(body))
    head = [n for n in imports if n < first]
    if not head:
        raise Refusal(f"{path} begins without an import, so there is no place for a name of its own")
    return f"body[{head[-1]}]"


def _through_request(holder: str) -> bool:
    """Whether state is reached through a request (`request.app.state`): what is set there is not set at start-up."""
    first, *rest = holder.split(".")
    return rest == ["app", "state"] and first != "self"


class _Frozen(dict[str, str | int | bool]):
    """Arguments of an edit that can be compared and put into sets."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


def _frozen(**arguments: str | int | bool) -> _Frozen:
    return _Frozen(arguments)


frozen = _frozen


def _targets(statement: ast.AST) -> set[str]:
    """Plain names that a statement binds."""
    if isinstance(statement, ast.Assign):
        return {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return {statement.target.id}
    return set()


def _dotted_targets(statement: ast.stmt) -> set[str]:
    targets = (
        statement.targets
        if isinstance(statement, ast.Assign)
        else [statement.target]
        if isinstance(statement, ast.AnnAssign)
        else []
    )
    return {dotted(t) for t in targets}


def _first_assignment(node: ast.AST, variable: str) -> ast.stmt | None:
    """The first statement of a function, not of functions in it, that binds a local name, or the branch that does."""
    stack: list[ast.AST] = list(reversed(getattr(node, "body", [])))
    while stack:
        statement = stack.pop()
        if isinstance(statement, ast.stmt) and variable in _targets(statement):
            return statement
        if isinstance(statement, ast.With | ast.AsyncWith):
            stack.extend(reversed(statement.body))
        if isinstance(statement, ast.If | ast.Try) and any(variable in _targets(n) for n in own_nodes([statement])):
            return statement
    return None


def _holder(use: Use, attribute: str = "") -> str:
    """The expression in front of `.attribute` where a function reaches the state: `self`, `request.app.state`."""
    for node in (*use.nodes, *((use.body,) if attribute and use.body is not None else ())):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and (not attribute or inner.attr == attribute):
                text = dotted(inner.value)
                if text:
                    return text
    return ""


def _object(use: Use, owner: Location) -> str:
    """How a function names the object that has the attribute, where it names that only: `app.state.desk`."""
    if len(owner.fields) < 2:
        return ""
    name = owner.fields[-2][1:]
    outer = _holder(use, name)
    return f"{outer}.{name}" if outer else ""
