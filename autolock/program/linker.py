"""Names across files: which file an import means, and what a dotted name finally stands for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from autolock.program.facts import Binding, ClassFacts, FunctionFacts, Import, ModuleFacts
from autolock.program.index import bound_by, own_name, parse
from autolock.program.prefixes import Inclusions

Assigning = ast.Assign | ast.AnnAssign


class Ref(NamedTuple):
    """What a name stands for.

    `kind` is `module`, `function`, `class`, `variable` or `external`; `path` is the file (empty
    for external names) and `name` the qualified name in it, or the dotted name as imported.
    """

    kind: str
    path: str
    name: str


@dataclass(slots=True)
class Unit:
    """One file's syntax tree, with its functions and classes by qualified name."""

    tree: ast.Module
    text: str
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    classes: dict[str, ast.ClassDef]
    _lines: list[str] | None = None
    _assigned: dict[int, dict[str, Assigning]] = field(default_factory=dict)
    _calls: dict[int, list[ast.Call]] | None = None

    def assignment(self, body: list[ast.stmt], name: str) -> Assigning | None:
        """The statement of a module's or class's body that gives a name its first real value.

        `X = None` counts only when there is no other.
        """
        if id(body) not in self._assigned:
            self._assigned[id(body)] = _assignments(body)
        return self._assigned[id(body)].get(name)

    @property
    def calls(self) -> dict[int, list[ast.Call]]:
        """All calls by the line in which they begin."""
        if self._calls is None:
            self._calls = {}
            for node in ast.walk(self.tree):
                if isinstance(node, ast.Call):
                    self._calls.setdefault(node.lineno, []).append(node)
        return self._calls

    @property
    def lines(self) -> list[str]:
        """The text in lines, as `ast` counts them."""
        if self._lines is None:
            self._lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines


class Program:
    """All files' facts, and the answers that need more than one of them.

    `read` gives a file's bytes by its path; trees are parsed only for files that are asked for, and not again
    for those that are in `parsed`, with the bytes that they were made from.
    """

    def __init__(
        self,
        modules: Mapping[str, ModuleFacts],
        read: Callable[[str], bytes],
        parsed: dict[str, tuple[bytes, ast.Module]] | None = None,
    ) -> None:
        self._parsed = parsed if parsed is not None else {}
        self.modules = modules
        self._every: Collection[str] = modules
        self._read = read
        self._units: dict[str, Unit | None] = {}
        self._folders = {path.rpartition("/")[0] for path in modules}
        for folder in list(self._folders):
            while "/" in folder:
                folder = folder.rpartition("/")[0]
                self._folders.add(folder)
        self._found: dict[tuple[str, str, int], str] = {}
        self._suffixes: dict[str, list[str]] | None = None
        self._resolved: dict[tuple[str, str, str], tuple[Ref, tuple[str, ...]] | None] = {}
        self._remember()

    def _remember(self) -> None:
        """Answer what is asked again and again from memory."""
        self.mro = lru_cache(maxsize=None)(self._mro)
        self.method = lru_cache(maxsize=None)(self._method)
        self.bases = lru_cache(maxsize=None)(self._outer_bases)

    # -- files ---------------------------------------------------------------

    def with_changes(
        self, modules: Mapping[str, ModuleFacts], read: Callable[[str], bytes], changed: Collection[str]
    ) -> Program:
        """The program after some files changed; the trees of the others are not parsed again."""
        program = Program(modules, read)
        program._units = {path: unit for path, unit in self._units.items() if path not in changed}
        return program

    def part(self, modules: Mapping[str, ModuleFacts], *, keep: bool) -> Program:
        """The same program as seen from some of its files: `modules` lists those and answers for all.

        With `keep`, trees are kept for other parts and later programs; else they go with the part.
        """
        part = Program.__new__(Program)
        part.modules, part._every, part._read, part._parsed = modules, self._every, self._read, self._parsed
        part._units = self._units if keep else {}
        part._folders, part._found, part._suffixes = self._folders, self._found, self._suffixes_of_all()
        part._resolved = {}
        part._remember()
        return part

    def keep_trees_of(self, part: Program) -> None:
        """Keep the trees that a part has parsed for others, and for later programs."""
        self._units.update(part._units)

    @cached_property
    def inclusions(self) -> Inclusions:
        """Which router is included where."""
        return Inclusions(self)

    def unit(self, path: str) -> Unit | None:
        """The syntax tree of a file, or None where it can't be parsed."""
        if path not in self._units:
            self._units[path] = self._load(path)
        return self._units[path]

    def syntax_of(self, function: Ref | None) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The definition of a function, or None where its file can't be parsed or has none of that name."""
        unit = self.unit(function.path) if function is not None else None
        return unit.functions.get(function.name) if unit is not None and function is not None else None

    def may_say(self, path: str, word: str) -> bool:
        """Whether a word could be in a file at all: asked before the file is parsed to look for it."""
        if not word.isascii():
            return True  # it is written in other bytes in other encodings
        try:
            return word.encode() in self._read(path)
        except OSError:
            return False

    def _load(self, path: str) -> Unit | None:
        if path not in self.modules or self.modules[path].error:
            return None
        try:
            data = self._read(path)
            known, tree = self._parsed.pop(path, (None, None))
            if tree is None or known != data:
                tree = parse(data, path)
        except (SyntaxError, OSError):
            return None
        unit = Unit(tree, _decode(data), {}, {})
        _collect(tree.body, unit)
        return unit

    def find_module(self, importer: str, module: str, level: int = 0) -> str:
        """The path of the file or folder that an import means; empty when it is not in the project."""
        folder = importer.rpartition("/")[0]
        key = (folder, module, level)
        if key not in self._found:
            self._found[key] = self._find(importer, folder, module, level)
        return self._found[key]

    def _find(self, importer: str, folder: str, module: str, level: int) -> str:
        tail = module.replace(".", "/")
        if level:
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            return self._file(f"{folder}/{tail}".strip("/") if tail else folder)
        outer = ""
        base = folder
        while True:
            if f"{base}/__init__.py".lstrip("/") not in self.modules or not base:
                found = self._file(f"{base}/{tail}".lstrip("/"))
                if found:
                    return found
            else:
                outer = base
            if not base:
                break
            base = base.rpartition("/")[0]
        # The outermost package may be started as if it was none; a single name is that of a library.
        started = self._file(f"{outer}/{tail}") if outer and "/" in tail else ""
        return started if started.endswith(".py") else self._by_suffix(importer, tail)

    def _file(self, stem: str) -> str:
        for candidate in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")):
            if candidate in self.modules:
                return candidate
        return f"{stem}/" if stem in self._folders and stem else ""

    def _by_suffix(self, importer: str, tail: str) -> str:
        """`a/b` anywhere in the project: for source roots that are no ancestors of the importing file."""
        found = self._suffixes_of_all().get(tail, [])
        if not found:
            return ""
        return max(found, key=lambda path: (_shared_prefix(path, importer), -len(path)))

    def _suffixes_of_all(self) -> dict[str, list[str]]:
        if self._suffixes is None:
            self._suffixes = {}
            for path in self._every:
                stem = path.removesuffix(".py").removesuffix("/__init__")
                parts = stem.split("/")
                for start in range(1, len(parts)):
                    if f"{'/'.join(parts[:start])}/__init__.py" not in self._every:
                        self._suffixes.setdefault("/".join(parts[start:]), []).append(path)
        return self._suffixes

    # -- names ---------------------------------------------------------------

    def resolve(self, path: str, name: str, scope: str = "") -> tuple[Ref, tuple[str, ...]] | None:
        """What `name` (dotted) means in a file, and the attributes of it that are left over.

        `scope` is the function whose own imports are looked at first. None for names that are
        bound nowhere (built-ins, parameters).
        """
        key = (path, name, scope)
        if key not in self._resolved:
            self._resolved[key] = None
            self._resolved[key] = self._resolve(path, name, scope)
        return self._resolved[key]

    def _resolve(self, path: str, name: str, scope: str) -> tuple[Ref, tuple[str, ...]] | None:
        facts = self.modules.get(path)
        if facts is None:
            return None
        first, *rest = name.split(".")
        while scope:
            local = facts.local_imports.get(scope, {}).get(first)
            if local is not None:
                return self._follow(path, local, tuple(rest))
            scope = scope.rpartition(".")[0]
        rebound = facts.bindings.get(first)
        if first in facts.imports and (rebound is None or rebound.kind == "const"):
            return self._follow(path, facts.imports[first], tuple(rest))
        if first in facts.functions:
            return Ref("function", path, first), tuple(rest)
        if first in facts.classes:
            return self._inside_class(Ref("class", path, first), tuple(rest))
        if first in facts.bindings or first in facts.global_names:
            return Ref("variable", path, first), tuple(rest)
        for star in facts.stars:
            if star.name == "-":
                continue
            target = self.find_module(path, star.module, star.level)
            if target.endswith(".py") and not first.startswith("_"):
                found = self.resolve(target, name)
                if found is not None:
                    return found
        return None

    def _follow(self, path: str, imported: Import, rest: tuple[str, ...]) -> tuple[Ref, tuple[str, ...]]:
        module = self.find_module(path, imported.module, imported.level)
        if not module:
            dotted = ".".join(filter(None, ("." * imported.level + imported.module, imported.name)))
            return Ref("external", "", ".".join((dotted, *rest))), ()
        if not imported.name:
            return self._attributes(module, rest)
        return self._attributes(module, (imported.name, *rest))

    def _attributes(self, module: str, rest: tuple[str, ...]) -> tuple[Ref, tuple[str, ...]]:
        """Attributes of a module: its own names first, then its submodules."""
        if not rest:
            return Ref("module", module, ""), ()
        if module.endswith(".py"):
            found = self.resolve(module, ".".join(rest))
            if found is not None:
                return found
        folder = module.rpartition("/")[0] if module.endswith(("/__init__.py", "/")) else None
        if module == "__init__.py":
            folder = ""
        if folder is not None:
            submodule = self._file(f"{folder}/{rest[0]}".lstrip("/"))
            if submodule:
                return self._attributes(submodule, rest[1:])
        return Ref("module", module, ""), rest

    def _inside_class(self, ref: Ref, rest: tuple[str, ...]) -> tuple[Ref, tuple[str, ...]]:
        while rest and f"{ref.name}.{rest[0]}" in self.modules[ref.path].classes:
            ref, rest = Ref("class", ref.path, f"{ref.name}.{rest[0]}"), rest[1:]
        return ref, rest

    # -- functions and classes --------------------------------------------------

    def function(self, ref: Ref) -> FunctionFacts | None:
        facts = self.modules.get(ref.path)
        return facts.functions.get(ref.name) if facts else None

    def klass(self, ref: Ref) -> ClassFacts | None:
        facts = self.modules.get(ref.path)
        return facts.classes.get(ref.name) if facts else None

    def _mro(self, ref: Ref) -> tuple[Ref, ...]:
        """The class, then its bases depth-first; bases outside the project as external references."""
        order: list[Ref] = []
        self._bases(ref, order)
        return tuple(order)

    def _bases(self, ref: Ref, order: list[Ref]) -> None:
        if ref in order or len(order) > 60:
            return
        order.append(ref)
        facts = self.klass(ref) if ref.kind == "class" else None
        if facts is None:
            return
        scope = ref.name.rpartition(".")[0]
        for base in facts.bases:
            found = self.resolve(ref.path, base, scope)
            if found is None:
                order.append(Ref("external", "", base))
            elif found[0].kind in ("class", "external") and not found[1]:
                self._bases(found[0], order)

    def _method(self, ref: Ref, name: str) -> Ref | None:
        """The function that `name` means on an instance of a class of the project."""
        for cls in self.mro(ref):
            if cls.kind == "class":
                found = Ref("function", cls.path, f"{cls.name}.{name}")
                if self.function(found) is not None:
                    return found
        return None

    def class_binding(self, ref: Ref, name: str) -> tuple[Ref, Binding] | None:
        """The class that binds `name` in its body, with the binding."""
        for cls in self.mro(ref):
            facts = self.klass(cls) if cls.kind == "class" else None
            if facts is not None and name in facts.bindings:
                return cls, facts.bindings[name]
        return None

    def wants_annotations(self, ref: Ref) -> bool:
        """Whether a class is pydantic's, which refuses what its body binds without an annotation."""
        return not self.bases(ref).isdisjoint(_PYDANTIC)

    def is_generic(self, ref: Ref) -> bool:
        """Whether a class takes types in brackets: `Repository[Order]` is the class itself."""
        return not self.bases(ref).isdisjoint(_GENERIC)

    def _outer_bases(self, ref: Ref) -> frozenset[str]:
        """Dotted names of the bases outside the project."""
        return frozenset(r.name for r in self.mro(ref) if r.kind == "external")


_GENERIC = frozenset(
    f"{module}.{name}" for module in ("typing", "typing_extensions") for name in ("Generic", "Protocol")
)
_PYDANTIC = frozenset(
    {"pydantic.BaseModel", "pydantic_settings.BaseSettings", "pydantic.BaseSettings", "sqlmodel.SQLModel"}
    | {"pydantic.generics.GenericModel", "beanie.Document"}
)


def _decode(data: bytes) -> str:
    import io
    import tokenize

    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return data.decode("utf-8", "replace")


_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
#: What holds statements, and the fields that hold them, in the order in which they are written.
_BLOCKS = frozenset(
    getattr(ast, name)
    for name in (
        *(
            "If",
            "For",
            "AsyncFor",
            "While",
            "With",
            "AsyncWith",
            "Try",
            "TryStar",
            "Match",
            "ExceptHandler",
            "match_case",
        ),
        *("FunctionDef", "AsyncFunctionDef", "ClassDef"),
    )
    if hasattr(ast, name)
)
_FIELDS = ("body", "handlers", "orelse", "finalbody", "cases")


def blocks_in(node: ast.AST, fields: Collection[str] = ("body", "orelse", "finalbody")) -> list[list[ast.stmt]]:
    """The blocks of statements in a definition, the outer ones first. Expressions hold none, and are passed over."""
    found: list[list[ast.stmt]] = []
    todo = [node]
    for holder in todo:
        for name in _FIELDS:
            inner = getattr(holder, name, None)
            if inner.__class__ is list and inner:
                todo.extend([n for n in inner if n.__class__ in _BLOCKS])
                if name in fields:
                    found.append(inner)
    return found


def statements_in(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements in a definition, those of an outer block before those of the blocks in it."""
    return (statement for block in blocks_in(node) for statement in block)


def _collect(body: list[ast.stmt], unit: Unit) -> None:
    """Functions and classes by qualified name, wherever they are nested."""
    stack: list[tuple[Any, str]] = [(n, "") for n in reversed(body) if n.__class__ in _BLOCKS]
    while stack:
        node, prefix = stack.pop()
        cls = node.__class__
        if cls in _FUNCTIONS:
            name = prefix + own_name(node)
            unit.functions[name] = node
            inner, prefix = node.body, f"{name}."
        elif cls is ast.ClassDef:
            unit.classes[prefix + node.name] = node
            inner, prefix = node.body, f"{prefix}{node.name}."
        else:
            inner = [n for field in _FIELDS for n in getattr(node, field, ())]
        stack.extend([(n, prefix) for n in reversed(inner) if n.__class__ in _BLOCKS])


def _assignments(body: list[ast.stmt]) -> dict[str, Assigning]:
    """The statement that gives each name its first value that is not None."""
    found: dict[str, Assigning] = {}
    stack: list[ast.stmt] = list(reversed(body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If | ast.Try | ast.With):
            for attribute in ("finalbody", "orelse", "body"):
                stack.extend(reversed(getattr(node, attribute, [])))
        if not isinstance(node, Assigning):
            continue
        for target, value in bound_by(node):
            if isinstance(target, ast.Name):
                best = found.get(target.id)
                if best is None or (isinstance(best.value, ast.Constant) and best.value.value is None):
                    found[target.id] = node if value is node.value else _alone(target, value, node)
    return found


def _alone(target: ast.Name, value: ast.expr, node: ast.stmt) -> ast.Assign:
    """What an assignment of several values at once gives to one of the names, as a statement of its own."""
    return ast.copy_location(ast.Assign([target], value), node)


def _shared_prefix(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one.split("/"), other.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count
