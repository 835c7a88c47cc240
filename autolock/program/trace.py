"""What happens while a request is followed: accesses, suspension points, guards, and Windows found."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.decisions import effective
from autolock.program.index import dotted
from autolock.program.library import ENDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from autolock.program.linker import Ref
    from autolock.program.values import Location, LockValue


#: Styles of LockUse that are acquisitions; the others tell what is wrong with one.
TAKING = ("with", "async with", "acquire")

#: Style of a LockUse by a library, which holds a limiter for as long as a function runs on a thread.
LIMITED = "limiter"


_CONTEXTS = {"loop": "event loop", "thread": "thread pool"}


def context_name(context: str) -> str:
    """A Context as a person is told of it."""
    return _CONTEXTS.get(context, context)


class Frame(NamedTuple):
    """One call on the way to an event: which function, at which of its statements."""

    serial: int
    function: Ref | None
    statement: ast.stmt | None


class Held(NamedTuple):
    """A lock that is held: the lock, and which acquisition of it (a released lock taken again is another)."""

    lock: LockValue
    acquisition: int
    node: ast.AST
    stack: tuple[Frame, ...]
    context: str


@dataclass(slots=True, frozen=True, eq=False)
class Event:
    """Something that happens at one place, reached through `stack`, in one Context."""

    node: ast.AST
    stack: tuple[Frame, ...]
    context: str

    @property
    def function(self) -> Ref:
        """The function whose code does it."""
        ref = self.stack[-1].function
        assert ref is not None
        return ref


@dataclass(slots=True, frozen=True, eq=False)
class Read(Event):
    """A read of shared state. `key` is the canonical text of the element's key, empty for the whole."""

    location: Location
    key: str
    how: str
    held: tuple[Held, ...]
    serial: int


@dataclass(slots=True, frozen=True, eq=False)
class Suspension(Event):
    """A point at which the event loop may run something else: `what` it waits for, in words or as an expression."""

    what: str | ast.expr

    @property
    def text(self) -> str:
        """What is waited for; written down for the few points that are told of."""
        return self.what if isinstance(self.what, str) else ast.unparse(self.what)


@dataclass(slots=True, frozen=True, eq=False)
class Write(Event):
    """A write to shared state.

    `kind` is assign, augment, insert, remove or mutate; `made` how the value came to be (`place` of a removal by an
    index that was looked up), `request` whether it comes from the client, `operand` the canonical text of what is added
    or subtracted, `mine` whether what is removed is an object of this request's own, `text` the constant written.
    """

    location: Location
    key: str
    kind: str
    held: tuple[Held, ...]
    serial: int
    made: str = ""
    request: bool = False
    operand: str = ""
    mine: bool = False
    text: str = ""
    value_type: str = ""

    @property
    def empties(self) -> bool:
        """Whether it leaves a container empty: `x.clear()`, or `x = []`."""
        node = self.node
        if self.kind == "remove":
            return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "clear"
        return isinstance(node, ast.Assign) and is_empty_display(node.value)


def is_empty_display(value: ast.expr | None) -> bool:
    """Whether an expression makes a list or a dictionary without anything in it."""
    return (isinstance(value, ast.Dict) and not value.keys) or (isinstance(value, ast.List) and not value.elts)


def removed_end(write: Write) -> str:
    """Which end of a list a removal takes away, `first` or `last`; empty for any other write."""
    node = write.node
    if write.kind != "remove":
        return ""
    if isinstance(node, ast.Delete):
        return ENDS.get(ast.unparse(node.targets[0].slice), "") if isinstance(node.targets[0], ast.Subscript) else ""
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "heappop":
        return "first"
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or len(node.args) > 1:
        return ""
    if node.func.attr == "popleft":
        return "first"
    index = ast.unparse(node.args[0]) if node.args else "-1"
    return ENDS.get(index, "") if node.func.attr == "pop" else ""


def is_added_at_end(write: Write) -> bool:
    """Whether a write adds after all that a list has."""
    call = write.node
    name = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
    return write.kind == "insert" and (name in ("append", "extend") or isinstance(call, ast.AugAssign))


def undoes(one: Write, other: Write) -> bool:
    """Whether one write takes back what the other has done: `busy += 1` and `busy -= 1`, put in and taken out."""
    first, second = one.node, other.node
    if isinstance(first, ast.AugAssign) and isinstance(second, ast.AugAssign):
        return {type(first.op), type(second.op)} == {ast.Add, ast.Sub}
    return {one.kind, other.kind} in ({"insert", "remove"}, {"assign", "remove"})


def measures(node: ast.AST) -> bool:
    """Whether a look only asks how many there are, or for one of them."""
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    return name in ("len", "bool", "any", "all", "min", "max", "isinstance", "str", "repr", "print")


def is_given(read: Read, wait: ast.Await) -> bool:
    """Whether what was read is an argument of what is awaited, by itself or under the name that it was given."""
    statement = read.stack[-1].statement
    targets = statement.targets if isinstance(statement, ast.Assign) and statement.value is read.node else []
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    line = getattr(statement, "lineno", 0)
    call = wait.value
    given = [*call.args, *(k.value for k in call.keywords)] if isinstance(call, ast.Call) else []
    return any(
        node is read.node or (isinstance(node, ast.Name) and node.id in names and node.lineno > line)
        for argument in given
        for node in ast.walk(argument)
    )


@dataclass(slots=True, frozen=True, eq=False)
class Control:
    """A decision that the code after it depends on.

    `shape` is compare, missing, present, equal or truth; `negated` when the code runs because the
    test was false; `exit` how the other side left (raise, return, cached, loop, wait), empty for a branch. `let_go`
    is the lock that was given away in a `wait()` after the test, which is not asked again.
    """

    reads: frozenset[Read]
    node: ast.AST
    shape: str
    negated: bool
    exit: str
    frame: int
    let_go: LockValue | None = None


def sense_of(decided: Sequence[Control]) -> str:
    """What is known to be true where several decisions have led; `equal`, which may be anything, of more than one."""
    (first, *others) = decided
    return "equal" if others else effective(first.shape, first.negated)


@dataclass(slots=True, frozen=True, eq=False)
class Candidate:
    """A read and a dependent write of one Location, as one entry point runs them.

    `dependence` is data or control; `between` the suspension point in between, `switch` a call in
    between at which a thread may be switched.
    """

    entry: Entry
    read: Read
    write: Write
    dependence: str
    control: Control | None
    between: Suspension | None
    switch: ast.AST | None


@dataclass(slots=True, frozen=True, eq=False)
class LateRead:
    """A write of one request's data to shared state, a suspension, and a read that expects it back."""

    entry: Entry
    write: Write
    read: Read
    between: Suspension | None
    switch: ast.AST | None


@dataclass(slots=True, frozen=True, eq=False)
class Pair:
    """Two writes that belong together, with something that may run in between."""

    entry: Entry
    first: Write
    second: Write
    between: Suspension | None


@dataclass(slots=True, frozen=True, eq=False)
class Iteration(Event):
    """A loop over a shared container in whose body something else may run."""

    entry: Entry
    location: Location
    held: tuple[Held, ...]
    between: Suspension | None
    container: str


@dataclass(slots=True, frozen=True, eq=False)
class LockUse(Event):
    """A lock being taken: how, and what is wrong with that on the face of it.

    `outer` is how it was taken before, where the request holds it already.
    """

    entry: Entry
    lock: LockValue
    style: str
    between: Suspension | None = None
    outer: LockUse | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """Something that runs by itself: a route's handler, a middleware, a task, a background job.

    `many` when several of it may run at once; `context` is loop, thread or startup. What another entry has
    started has that one as its `parent`, and the calls that led to its `start`.
    """

    function: Ref | None
    context: str
    kind: str
    routes: tuple[str, ...]
    many: bool
    label: str = ""
    parent: Entry | None = None
    start: tuple[Frame, ...] = ()


def origin(entry: Entry) -> Entry:
    """The entry point that started an entry, or what started that; itself where nothing did."""
    while entry.parent is not None:
        entry = entry.parent
    return entry


class Reach(NamedTuple):
    """The functions that an entry point and what it starts lead to, and how many statements that took."""

    functions: frozenset[Ref] = frozenset()
    statements: int = 0

    def and_also(self, functions: Iterable[Ref], statements: int) -> Reach:
        """The same with more of both."""
        return Reach(self.functions.union(functions), self.statements + statements)


class Nearby(NamedTuple):
    """Labels of the entry points that are to be followed, and the functions that all of them are known to reach."""

    labels: frozenset[str]
    reached: frozenset[Ref]


@dataclass(slots=True)
class Trace:
    """Everything that was recorded, over all entry points.

    `looked` has the first read of a place and Location, `drained` the loops after which at once all is thrown away that
    the container holds, `carried` for each function the looks of which what they saw went into other shared state,
    `wholes` the classes of objects of which all attributes are shown or copied at once.
    """

    looked: dict[object, tuple[Entry, Read]] = field(default_factory=dict)
    writes: list[tuple[Entry, Write]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    late: list[LateRead] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    refills: list[Pair] = field(default_factory=list)
    iterations: list[Iteration] = field(default_factory=list)
    drained: set[ast.stmt | None] = field(default_factory=set)
    carried: dict[Ref, dict[ast.AST, Location]] = field(default_factory=dict)
    wholes: set[Ref] = field(default_factory=set)
    locks: list[LockUse] = field(default_factory=list)
    orders: dict[tuple[Location, Location], LockUse] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)

    @property
    def looks(self) -> Iterator[Read]:
        """The first read of each place and Location."""
        return (read for _, read in self.looked.values())
