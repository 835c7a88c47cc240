"""The state of the abstract interpreter, and what all its parts need of one another."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from autolock.database.adapters import adapters
from autolock.database.hooks import Databases
from autolock.database.models import Models
from autolock.database.project import NO_FACTS, DatabaseFacts
from autolock.llm.hooks import ModelCalls
from autolock.program.implementations import Implementations
from autolock.program.linker import Program, Ref, Unit
from autolock.program.state import State
from autolock.program.trace import Control, Entry, Event, Frame, Held, LockUse, Read, Suspension, Trace, Write
from autolock.program.unwaited import UnwaitedLocks
from autolock.program.values import (
    NOTHING,
    Coroutine,
    Env,
    FunctionValue,
    Heap,
    Location,
    LockValue,
    Thing,
    Type,
    Value,
)

#: Statements that one entry point may execute before the analysis gives up on it.
BUDGET = 3_000
#: Statements for a whole program, and what each entry point may still execute when they are spent.
TOTAL = 250_000
SCARCE = 400
DEPTH = 40


class OutOfBudget(Exception):
    """An entry point leads to more code than is worth following."""


@dataclass(slots=True)
class Activation:
    """A function that is running: where it is, and the ways in which it has been left so far."""

    serial: int
    ref: Ref | None
    path: str
    env: Env
    statement: ast.stmt | None = None
    exits: list[tuple[Value, State]] = field(default_factory=list)
    jumps: list[list[tuple[State, dict[str, Value]]]] = field(default_factory=list)
    continues: list[list[tuple[State, dict[str, Value]]]] = field(default_factory=list)
    on_yield: Callable[[Value], None] | None = None
    caught: list[list[State]] = field(default_factory=list)
    is_async: bool = False
    shown: Frame | None = None

    def place(self) -> Frame:
        """Where it is, as events tell of it; the same object until it goes on to another statement."""
        self.shown = Frame(self.serial, self.ref, self.statement)
        return self.shown


@dataclass(slots=True)
class Spawn:
    """Something that was started to run by itself."""

    function: FunctionValue
    args: list[Value]
    kwargs: dict[str, Value]
    context: str
    kind: str
    many: bool
    parent: Entry
    held: tuple[Held, ...] = ()
    bounds: tuple[object, ...] = ()
    limited: bool = False
    stack: tuple[Frame, ...] = ()


class Core(ABC):
    """Common state and the small operations on it."""

    def __init__(
        self, program: Program, lock_names: frozenset[str] = frozenset(), databases: DatabaseFacts = NO_FACTS
    ) -> None:
        self.program = program
        self.lock_names = lock_names
        self.trace = Trace()
        self.state = State()
        self.frames: list[Activation] = []
        self.entry = Entry(None, "startup", "import", (), False)
        self.context = "startup"
        self.loops = 0
        self.shaped: list[Heap] = []
        self.log: list[tuple[Read | Write, dict[Read, Suspension], dict[Read, ast.AST], tuple[Control, ...]]] = []
        self.markers: list[Read] = []
        self.filters: dict[Read, str] = {}
        self.measured: set[Read] = set()
        self.waited: list[LockValue] = []
        self.told = 0
        self.several: set[str] = set()
        self.dumped: frozenset[Read] = frozenset()
        self.budget = BUDGET
        self.floor = 0
        self.given_up = 0
        self.allowed = BUDGET
        self.spent = 0
        self.callees: set[int] = set()
        self.awaiting: ast.AST | None = None
        self.claims: set[ast.AST] = set()
        self.claiming: dict[Ref, bool] = {}
        self.spawned: list[Spawn] = []
        self.reached: set[Ref] = set()
        self.mending = False
        self.entered: list[Ref] = []
        self._serial = 0
        self.implementations = Implementations(program)
        self.unwaited = UnwaitedLocks(program)
        self.database = Databases(self, Models(program, databases.migrated), adapters(), databases.dialect)
        self.models = ModelCalls(self, databases.models)
        self._reads: dict[object, Read] = {}
        self._texts: dict[ast.AST, str] = {}
        self._constants: dict[ast.Constant, tuple[Thing | None, str, str]] = {}
        self._builtins: dict[str, Value] = {}
        self._defaults: dict[ast.Call, Value] = {}
        self._parameters: dict[ast.AST, tuple[ast.arg, ...]] = {}

    # -- what the parts offer each other ----------------------------------------

    @abstractmethod
    def evaluate(self, node: ast.expr) -> Value:
        """The value of an expression; accesses, calls and suspension points are recorded on the way."""

    @abstractmethod
    def execute(self, body: list[ast.stmt]) -> None:
        """Run statements in order, as far as they are reached."""

    @abstractmethod
    def fail(self) -> None:
        """Nothing after this is run, but for the handlers round it."""

    @abstractmethod
    def invoke(self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        """Run a function of the project and give what it returns."""

    @abstractmethod
    def bound(self, ref: Ref, receiver: Value) -> Value:
        """A method of a class of the project, bound to an object."""

    @abstractmethod
    def call(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value:
        """Call anything."""

    @abstractmethod
    def all_contents(self, values: list[Value], node: ast.AST) -> frozenset[Read]:
        """Passing a shared container to something reads what is in it."""

    @abstractmethod
    def rehearse(self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value]) -> bool:
        """Run a function to see which sessions it uses: nothing is recorded, and nothing that it starts is followed.

        Whether it was followed to its end.
        """

    @abstractmethod
    def attribute(self, value: Value, name: str, node: ast.AST) -> Value:
        """`value.name`, read."""

    @abstractmethod
    def store_attribute(
        self, target: Value, name: str, value: Value, node: ast.AST, kind: str, operand: str = ""
    ) -> None:
        """`value.name = ...`."""

    @abstractmethod
    def module_variable(self, path: str, name: str) -> Value:
        """What a module-level name holds after import."""

    @abstractmethod
    def reference(self, ref: Ref, rest: tuple[str, ...], node: ast.AST) -> Value:
        """The value of something found by name resolution."""

    @abstractmethod
    def type_of_annotation(self, path: str, node: ast.expr | None, scope: str) -> tuple[Type, Type | None]:
        """The type that an annotation names, and that of the elements."""

    @abstractmethod
    def run_coroutine(self, coroutine: Coroutine, node: ast.AST) -> Value:
        """Await a coroutine of the project."""

    @abstractmethod
    def child(self, heap: Heap, field_: str, name: str = "") -> Value:
        """What a field of an object holds, made up from its type where it is not known."""

    # -- frames ------------------------------------------------------------------

    @property
    def frame(self) -> Activation:
        """The function that is running."""
        return self.frames[-1]

    @property
    def recording(self) -> bool:
        """Whether what happens now can meet another request."""
        return self.context != "startup"

    def next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def unit(self, path: str) -> Unit | None:
        return self.program.unit(path)

    def stack(self) -> tuple[Frame, ...]:
        """The calls that are open, outermost first."""
        return tuple(
            [
                f.shown if f.shown is not None and f.shown.statement is f.statement else f.place()
                for f in self.frames
                if f.ref is not None
            ]
        )

    def depth(self) -> int:
        """How many calls are open."""
        return len([f for f in self.frames if f.ref is not None])

    @contextmanager
    def startup(self) -> Iterator[None]:
        """Run something as if at import: nothing is recorded, and the current run is left as it was."""
        saved = (self.state, self.frames, self.context, self.loops, self.entry)
        self.state, self.frames, self.context, self.loops = State(), [], "startup", 0
        try:
            yield
        finally:
            self.state, self.frames, self.context, self.loops, self.entry = saved

    # -- events ------------------------------------------------------------------

    def text_of(self, node: ast.AST) -> str:
        """Code as text; written once, however often it is met."""
        if node not in self._texts:
            self._texts[node] = ast.unparse(node)
        return self._texts[node]

    def suspend(self, node: ast.AST, what: str | ast.expr = "") -> None:
        """A suspension point: on the event loop, anything else may run here."""
        if self.context == "loop" and self.frames:
            event = Suspension(node, self.stack(), self.context, what)
            self.state.suspend(event)
            self.models.suspends(what)
            for held in self.state.held:
                if held.lock.family == "threading" and held.context == "loop":
                    self.trace.locks.append(
                        LockUse(held.node, held.stack, self.context, self.entry, held.lock, "held across await", event)
                    )
        elif self.context == "thread":
            self.state.switch(node)

    def switch(self, node: ast.AST) -> None:
        """A point at which the interpreter may switch threads."""
        if self.recording:
            self.state.switch(node)

    def read(self, location: Location, key: str, how: str, node: ast.AST) -> frozenset[Read]:
        """Record a read of shared state; the result is what a value computed from it carries."""
        if (
            location.fields
            and location.fields[-1].startswith("[")
            and not self.may_change(location._replace(fields=location.fields[:-1]))
        ):
            return frozenset()
        if not self.recording or not self.frames or self.frame.ref is None:
            return frozenset()
        state = self.state
        stack = self.stack()
        where = tuple((f.serial, id(f.statement)) for f in stack)
        identity = (id(node), location, where, tuple(h.acquisition for h in state.held))
        read = self._reads.get(identity)
        if read is None:
            read = Read(node, stack, self.context, location, key, how, state.held, self.next_serial())
            self._reads[identity] = read
        self.trace.looked.setdefault((id(node), location), (self.entry, read))
        state.saw(read)
        self.log.append((read, {}, {}, ()))
        self.late_reads(read)
        return frozenset((read,))

    @abstractmethod
    def may_change(self, location: Location) -> bool:
        """Whether anything may change what is in a container."""

    @abstractmethod
    def late_reads(self, read: Read) -> None:
        """Look whether this read expects back what the request itself wrote."""

    @abstractmethod
    def written(self, write: Write, data: frozenset[Read]) -> None:
        """Note a write that has happened now, and the windows that it closes."""

    @abstractmethod
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
        """Record a write to shared state, and the Windows that it closes."""

    # -- decisions ---------------------------------------------------------------

    def deciding(self, control: Control | None) -> AbstractContextManager[None]:
        """Code that runs because of a decision."""
        return _UNDECIDED if control is None else _Deciding(self, control)

    def hold(self, held: Held) -> None:
        self.state.held = (*self.state.held, held)

    def unknown(self, *parts: Value) -> Value:
        """A value of which only its origins are known."""
        return NOTHING.also(*parts) if parts else NOTHING


class _Deciding:
    """A decision in force. A class, as there is one for each branch, and a generator takes three times as long."""

    __slots__ = ("_control", "_core")

    def __init__(self, core: Core, control: Control) -> None:
        self._core, self._control = core, control

    def __enter__(self) -> None:
        state = self._core.state
        state.control = (*state.control, self._control)

    def __exit__(self, *raised: object) -> None:
        state = self._core.state
        state.control = tuple([c for c in state.control if c is not self._control])


_UNDECIDED: AbstractContextManager[None] = nullcontext()


def at(event: Event) -> tuple[str, int]:
    """File and line of an event."""
    return event.function.path, getattr(event.node, "lineno", 0)
