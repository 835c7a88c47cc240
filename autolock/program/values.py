"""Abstract values: what an expression may stand for while a request is followed through the program."""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.decisions import opposite

if TYPE_CHECKING:
    from autolock.program.linker import Ref
    from autolock.program.trace import Control, Read


class Root(NamedTuple):
    """Where shared state hangs: `kind` is variable, class, state, cell, cached, instance, default or file.

    `owner` tells the locks apart that one line makes for one function after the other.
    """

    kind: str
    path: str
    name: str
    owner: str = ""


class Location(NamedTuple):
    """A piece of shared state: a root and the fields that lead to it (`.attr`, `['key']`, `[*]`)."""

    root: Root
    fields: tuple[str, ...] = ()

    def child(self, field_: str) -> Location:
        """The location one field further."""
        return Location(self.root, (*self.fields, field_))

    @property
    def base(self) -> Location:
        """The location without trailing elements: the container or attribute that a lock guards."""
        fields = self.fields
        end = len(fields)
        while end and fields[end - 1].startswith("["):
            end -= 1
        if end == len(fields) and self.__class__ is Location:
            return self
        return Location(self.root, fields[:end])

    def __str__(self) -> str:
        return self.root.name + "".join(self.fields)


class Own(Location):
    """The location of an object that this very request has made: others reach it only by looking it up."""

    __slots__ = ()

    def child(self, field_: str) -> Location:
        """The location one field further, of what belongs to the same request."""
        return Own(self.root, (*self.fields, field_))


def overlaps(written: Location, read: Location) -> bool:
    """Whether a write to one location changes what a read of the other saw."""
    if written.root != read.root:
        return False
    outer, inner = written.fields, read.fields
    if outer == inner[: len(outer)]:
        return True
    return len(outer) <= len(inner) and all(
        w == r or (w.startswith("[") and r.startswith("[") and "[*]" in (w, r))
        for w, r in zip(outer, inner, strict=False)
    )


class Type(NamedTuple):
    """What an object is: a container, an instance of a project class, something external, or unknown."""

    kind: str
    ref: Ref | None = None
    name: str = ""


UNKNOWN = Type("unknown")


@dataclass(slots=True, eq=False)
class Heap:
    """A mutable object. `location` is None as long as no other request can reach it.

    `keywords` says that all of its keys are known: a function's `**kwargs` as they were given, or a few that are
    written down. `guessed` says that the type of its elements was found by looks, and what is really put there tells
    more.
    """

    type: Type
    location: Location | None = None
    fields: dict[str, Value] = field(default_factory=dict)
    element: Type | None = None
    node: ast.AST | None = None
    keywords: bool = False
    serial: int = field(default_factory=itertools.count(1).__next__)
    guessed: bool = False


@dataclass(slots=True, eq=False)
class Row(Heap):
    """An object that stands for one row of a table.

    `table` is the row's own Location, shared by definition, while `location` stays None: the object
    belongs to one session. `reads` has what is known of its columns, `origin` how it was loaded
    (None for one that the request makes), `session` what it was loaded through. A `copied` one is
    another object made from the row (`Model(**row)`): what is assigned to it stays in it. `instead` is
    the new object that stands for the row where none was loaded, `decided` what had led to a new one. `asked`
    has the columns by which one of several rows was chosen in Python.
    """

    table: Location | None = None
    origin: Read | None = None
    reads: dict[str, Read] = field(default_factory=dict)
    session: Thing | None = None
    term: str = ""
    copied: bool = False
    instead: Row | None = None
    decided: tuple[Control, ...] = ()
    asked: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Thing:
    """Something of a database library: a session, a factory, a statement that is being built, a result.

    `location` is where all requests share it, None as long as it is one request's own.
    """

    location: Location | None = field(default=None, kw_only=True)
    serial: int = field(default_factory=itertools.count(1).__next__, kw_only=True)


def clone(value: Value, depth: int = 4) -> Value:
    """The same value with objects of its own: what is done to them later is not done to the original."""
    heap = value.obj
    if not isinstance(heap, Heap) or isinstance(heap, Row) or heap.location is not None or depth == 0:
        return value
    fields = {name: clone(held, depth - 1) for name, held in heap.fields.items()}
    return Value(
        Heap(heap.type, None, fields, heap.element, heap.node, heap.keywords),
        value.reads,
        value.term,
        value.request,
        value.made,
    )


def looked_up(value: Value, depth: int = 4) -> Value:
    """The same value as others find it, where it is an object that this request has made and shared."""
    heap = value.obj
    if not isinstance(heap, Heap) or not isinstance(heap.location, Own) or depth == 0:
        return value
    fields = {name: looked_up(clone(held), depth - 1) for name, held in heap.fields.items()}
    shared = Heap(heap.type, Location(*heap.location), fields, heap.element, heap.node)
    return Value(shared, value.reads, value.term, value.request, value.made)


@dataclass(slots=True, eq=False)
class FunctionValue:
    """A function of the project, with what it is bound to and closes over.

    `block` is its body under the transaction that a decorator puts round it; `wraps` is the function
    that it stands for, whose parameters are the ones that a framework sees.
    """

    ref: Ref
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    receiver: Value | None = None
    env: Env | None = None
    manager: bool = False
    cached: bool = False
    is_property: bool = False
    is_static: bool = False
    is_class: bool = False
    block: ast.With | ast.AsyncWith | None = None
    wraps: FunctionValue | None = None

    @property
    def signature(self) -> FunctionValue:
        """The function whose parameters `inspect.signature` tells: the innermost of those that it wraps."""
        shown = self
        while shown.wraps is not None:
            shown = shown.wraps
        return shown


@dataclass(slots=True, eq=False)
class ClassValue:
    """A class of the project."""

    ref: Ref
    env: Env | None = None


@dataclass(slots=True, eq=False)
class ModuleValue:
    """A module of the project."""

    path: str


@dataclass(slots=True, eq=False)
class External:
    """Something imported from outside the project, by its dotted name."""

    name: str


@dataclass(slots=True, eq=False)
class Method:
    """A method of something that is no project class: a container's, a lock's, a library object's."""

    receiver: Value
    name: str


@dataclass(slots=True, eq=False)
class LockValue:
    """A lock. `fresh` means made by the request that takes it; such a lock guards nothing."""

    family: str
    reentrant: bool
    location: Location | None
    node: ast.AST | None
    fresh: bool = False
    unknown: bool = False
    keyed: bool = False
    capacity: int = 1
    path: str = ""


@dataclass(slots=True, eq=False)
class Coroutine:
    """A coroutine of the project that has been called but not awaited."""

    function: FunctionValue
    args: list[Value]
    kwargs: dict[str, Value]
    node: ast.AST


@dataclass(slots=True, eq=False)
class Partial:
    """functools.partial of something callable."""

    function: Value
    args: list[Value]
    kwargs: dict[str, Value]


@dataclass(slots=True, eq=False)
class Group:
    """Several values together: a tuple or list display, `*args`."""

    items: list[Value]


@dataclass(slots=True, eq=False)
class FileHandle:
    """An open file, or a path object: reading and writing go to a file Location."""

    location: Location
    mode: str


Object = (
    Heap
    | FunctionValue
    | ClassValue
    | ModuleValue
    | External
    | Method
    | LockValue
    | Coroutine
    | Partial
    | Group
    | FileHandle
    | Thing
)

NO_READS: frozenset[Read] = frozenset()


@dataclass(slots=True, eq=False)
class Value:
    """What an expression evaluates to. Never changed (a frozen class would be, at millions of them, twice as slow).

    `reads` are the reads of shared state that it was computed from, `term` a canonical text by
    which two equal keys are recognised, `request` whether it depends on what the client sent, and
    `made` how it came to be (`const`, `none`, `call`, `await`, `new`, `display`).
    """

    obj: Object | None = None
    reads: frozenset[Read] = NO_READS
    term: str = ""
    request: bool = False
    made: str = ""

    def also(self, *others: Value) -> Value:
        """This value, computed from the others as well."""
        reads = self.reads.union(*(o.reads for o in others))
        return Value(self.obj, reads, self.term, self.request or any(o.request for o in others), self.made)


NOTHING = Value()


def join(one: Value, other: Value) -> Value:
    """What a name holds after two branches that left it as `one` and as `other`."""
    if one is other:
        return one
    obj = one.obj if one.obj is not None else other.obj
    if isinstance(obj, Heap) and obj.type.kind == "unknown" and _is_computed(one if other.obj is obj else other):
        obj = None
    if isinstance(obj, Heap) and obj.location is None and isinstance(other.obj, Heap) and other.obj.location:
        obj = other.obj
    obj = _merged(one.obj, other.obj) or _loaded_or_new(one.obj, other.obj) or obj
    return Value(
        obj,
        one.reads | other.reads,
        one.term if one.term == other.term else "",
        one.request or other.request,
        one.made if one.made not in ("none", "") else other.made,
    )


def is_place(container: Heap, key: Value) -> bool:
    """Whether an element is chosen by where it stands, which somebody has looked up: `tasks[index]`."""
    return container.type.kind in ("list", "deque") and bool(key.reads)


#: Under which name a container remembers what was looked at when it was decided to put something in.
DECIDED = "(decided)"


def answered(value: Value, decided: frozenset[Read], sense: str) -> Value:
    """What a function gives back after decisions on what it has looked at: those say as much as the value.

    A plain True or False tells how they came out, and so does each of several values that are given back together.
    `sense` is what is known to be true there.
    """
    obj = value.obj
    if isinstance(obj, Group) and value.made == "display":
        obj = Group([answered(item, decided, sense) for item in obj.items])
    made = value.made
    if made == "const" and value.term in ("True", "False"):
        made = sense if value.term == "True" else opposite(sense)
    return Value(obj, value.reads | decided, value.term, value.request, made)


def note_answers(one: dict[str, Value], other: dict[str, Value], decided: frozenset[Read], sense: str) -> None:
    """Note of each name that two branches leave as True and as False what was decided between them.

    `sense` is what is true in the first.
    """
    for name in one.keys() & other.keys():
        mine, yours = one[name], other[name]
        if mine is not yours and truth(mine) is not None and truth(yours) is not None:
            one[name] = answered(mine, decided, sense)
            other[name] = answered(yours, decided, opposite(sense))


def is_told_apart(heap: Heap, field_: str) -> bool:
    """Whether what a dictionary of this request's own holds under a constant key is known by itself."""
    return heap.location is None and field_ != "[*]" and field_ in heap.fields and not isinstance(heap, Row)


def _merged(one: Object | None, other: Object | None) -> Heap | Group | None:
    """What two branches have made, with all that either may hold: dictionaries, or as many values; else None."""
    if isinstance(one, Group) and isinstance(other, Group) and one is not other and len(one.items) == len(other.items):
        return Group([join(mine, yours) for mine, yours in zip(one.items, other.items, strict=True)])
    if one is other or not isinstance(one, Heap) or not isinstance(other, Heap):
        return None
    if not all(h.type.kind == "dict" and h.location is None and isinstance(h.node, ast.Dict) for h in (one, other)):
        return None
    fields = {
        name: join(one.fields[name], other.fields[name]) if name in one.fields and name in other.fields else held
        for name, held in {**one.fields, **other.fields}.items()
    }
    return Heap(one.type, None, fields, one.element or other.element, one.node)


def _loaded_or_new(one: Object | None, other: Object | None) -> Row | None:
    """The row that one of two branches has loaded, where the other one has made a new one instead."""
    if not isinstance(one, Row) or not isinstance(other, Row) or one.table != other.table:
        return None
    loaded, made = (one, other) if other.origin is None else (other, one)
    if loaded.origin is None or made.origin is not None or made.session is not None or loaded.copied or made.copied:
        return None
    loaded.instead = made
    return loaded


def truth(value: Value) -> bool | None:
    """What a value that is the constant True or False is, or None, which is false; None for any other."""
    if is_none(value):
        return False
    return {"True": True, "False": False}.get(value.term) if value.made == "const" else None


def is_switch(value: Value) -> bool:
    """Whether a value says in so many words what it is: True, False, None, or a text."""
    return truth(value) is not None or (value.made == "const" and value.term[:1] in ("'", '"'))


def is_none(value: Value) -> bool:
    """Whether a value is None itself, whichever way led here."""
    return value.made == "none" and value.term == "None"


def _is_computed(value: Value) -> bool:
    """Whether a value without an object is a new one, not just one of which nothing is known."""
    return value.obj is None and value.made in ("expression", "await", "call", "const")


class Env:
    """Local names of one running function. `shared` when every request sees the same ones (a factory's).

    `switches` are the parameters of which this call says in so many words that they are True, False, None or a text;
    `tests` the comparisons that were given a name: `enough = stock >= wanted`.
    """

    __slots__ = ("function", "nonlocals", "parent", "shared", "switches", "tests", "vars")

    def __init__(self, function: Ref | None, parent: Env | None = None, shared: bool = False) -> None:
        self.function = function
        self.parent = parent
        self.shared = shared
        self.vars: dict[str, Value] = {}
        self.nonlocals: set[str] = set()
        self.switches: frozenset[str] = frozenset()
        self.tests: dict[str, ast.expr] = {}
