"""What one file says, before anything is known of the other files.

Facts are a pure function of a file's bytes: they are computed in worker processes, cached by
content hash, and hold only plain data.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Import:
    """A local name bound by an import: `from module import name as local` or `import module as local`."""

    module: str
    level: int = 0
    name: str = ""


@dataclass(slots=True)
class FunctionFacts:
    """A function or method as written.

    `refs` are the dotted names it loads (`store.stock`, `self._seats`, `audit`), those of earlier
    functions of the same name in the same place among them, `mutates` those
    that it stores into, deletes from or calls a mutating method on (through local aliases too),
    `rebinds` the names it declares `global` or `nonlocal`, `gives` those that it returns or yields.
    """

    qualname: str
    line: int
    is_async: bool
    is_generator: bool
    owner: str
    parent: str
    decorators: tuple[str, ...]
    refs: frozenset[str]
    mutates: frozenset[str]
    rebinds: frozenset[str]
    suspends: bool
    gives: frozenset[str]


@dataclass(slots=True)
class Binding:
    """A module- or class-level name: the line that binds it and what its value refers to."""

    line: int
    kind: str
    callee: str
    refs: frozenset[str]
    count: int = 1


@dataclass(slots=True)
class ClassFacts:
    """A class as written: dotted bases, names bound in its body, methods by simple name."""

    qualname: str
    line: int
    bases: tuple[str, ...]
    decorators: tuple[str, ...]
    bindings: dict[str, Binding]
    methods: tuple[str, ...]
    parent: str = ""
    metaclass: str = ""


@dataclass(slots=True)
class RouteFacts:
    """A route as registered: by a decorator on `function`, or by a call that names `target`.

    The `path` of an exception handler is the name of the exception.
    """

    base: str
    kind: str
    methods: tuple[str, ...]
    path: str
    function: str
    target: str
    line: int
    scope: str = ""


@dataclass(slots=True)
class Inclusion:
    """`parent.include_router(child, prefix=...)` or `parent.mount(prefix, child)`."""

    parent: str
    child: str
    prefix: str
    line: int
    scope: str = ""


@dataclass(slots=True)
class ModuleFacts:
    """Everything that later stages need of one file."""

    path: str
    lines: int
    imports: dict[str, Import] = field(default_factory=dict)
    stars: list[Import] = field(default_factory=list)
    local_imports: dict[str, dict[str, Import]] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)
    functions: dict[str, FunctionFacts] = field(default_factory=dict)
    classes: dict[str, ClassFacts] = field(default_factory=dict)
    routes: list[RouteFacts] = field(default_factory=list)
    inclusions: list[Inclusion] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    lifespans: list[tuple[str, str]] = field(default_factory=list)
    module_refs: frozenset[str] = frozenset()
    module_mutates: frozenset[str] = frozenset()
    global_names: frozenset[str] = frozenset()
    handed: frozenset[str] = frozenset()
    tables: tuple[str, ...] = ()
    processes: tuple[tuple[int, int, str, str], ...] = ()
    error: str = ""
    error_line: int = 0
