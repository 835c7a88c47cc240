"""Who gets which session, and what runs on it at once: noted while requests are followed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from autolock.database.objects import Session
from autolock.program.index import dotted
from autolock.program.shapes import shape_of, terms_of
from autolock.program.trace import Entry, Event, Frame
from autolock.program.values import (
    NOTHING,
    Coroutine,
    Env,
    FunctionValue,
    Group,
    Heap,
    Location,
    LockValue,
    Partial,
    Value,
)

if TYPE_CHECKING:
    from autolock.database.hooks import Databases
    from autolock.program.core import Core
    from autolock.program.linker import Ref

#: What starts or wraps one awaitable, which is its first argument.
_WRAPPERS = frozenset({"create_task", "ensure_future", "wait_for", "shield", "start_soon"})
_GATHERING = frozenset({"asyncio.gather", "asyncio.wait"})
#: Methods of a session that run one statement.
_RUNNING = frozenset({"execute", "exec", "scalar", "scalars", "stream", "stream_scalars", "get", "get_one"})
_CACHES = frozenset({"lru_cache", "cache"})
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)
#: Pools of threads, by the last name of what makes them.
_POOLS = ("ThreadPoolExecutor", "ThreadPool")
_DEPTH = 3
#: Statements of a task that are looked at for the sessions that it uses.
REHEARSAL = 600


@dataclass(slots=True, frozen=True, eq=False)
class Provided(Event):
    """A session that a dependency gave to a request; `made` when the provider itself has opened it.

    `carried` when it gave an object that keeps the session, `beside` the other state that this object keeps.
    """

    entry: Entry
    provider: FunctionValue
    session: Session
    made: bool
    carried: bool = False
    beside: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True, eq=False)
class Misused(Event):
    """A provider that FastAPI cannot use: `kind` is wrapped (by contextmanager) or cached (a generator)."""

    entry: Entry
    provider: FunctionValue
    kind: str


@dataclass(slots=True, frozen=True, eq=False)
class Statement(Event):
    """A statement that is run on a session which all requests share."""

    entry: Entry
    session: Session
    writes: bool


class Work(NamedTuple):
    """What one awaitable does: its call, which sessions of the caller it uses, and whether it writes or commits.

    `many` when there is one for each turn of a loop, `waits` when it may wait for something besides its sessions,
    `threaded` when it is a plain function that a worker thread runs.
    """

    call: ast.Call
    sessions: tuple[Session, ...]
    writes: bool
    many: bool
    waits: bool = False
    threaded: bool = False


@dataclass(slots=True, frozen=True, eq=False)
class Parallel(Event):
    """Several awaitables that run at once; two of them, or all turns of a loop, use `session`. `node` starts them.

    `refused` when one may be an error, and not only wait for the others.
    """

    entry: Entry
    session: Session
    name: str
    works: tuple[Work, ...]
    refused: bool


@dataclass(slots=True, frozen=True, eq=False)
class Outliving(Event):
    """Something that goes on after the request and uses its session: `kind` is background task, task or stream."""

    entry: Entry
    session: Session
    name: str
    kind: str
    task: Ref


class Sessions:
    """What happens to sessions, recorded. One for a run of the interpreter."""

    def __init__(self, core: Core, database: Databases) -> None:
        self.core = core
        self.database = database
        self.provided: list[Provided] = []
        self.misused: list[Misused] = []
        self.statements: dict[object, Statement] = {}
        self.parallel: list[Parallel] = []
        self.outliving: list[Outliving] = []
        self.closed: set[Session] = set()
        self.dependants: dict[Ref, set[tuple[Ref, str]]] = {}
        #: Dependencies that go on after their `yield`.
        self.generators: dict[Ref, FunctionValue] = {}
        self.calls: dict[int, Session] = {}
        #: Calls of a session that may have no connection yet, or that do more than run a statement.
        self.unsettled: set[int] = set()
        self.coroutines: dict[int, Coroutine] = {}
        #: Calls that hand a function to a worker thread, with what it is given there.
        self.threads: dict[int, tuple[Value, list[Value], dict[str, Value]]] = {}
        self.started: dict[object, list[Work]] = {}
        self.used: list[tuple[Session, bool]] | None = None
        #: Of the last task that was rehearsed: whose transactions it ends, and whether it waits for anything else.
        self.ended: set[Session] = set()
        self.waits = False
        #: Tasks that use no session of who starts them, and whether they run statements at all.
        self.alone: dict[object, bool] = {}

    def reset(self) -> None:
        """Another entry point is followed from here on."""
        self.calls.clear()
        self.unsettled.clear()
        self.coroutines.clear()
        self.threads.clear()
        self.started.clear()

    # -- providers -----------------------------------------------------------------

    def depends(self, provider: Value, function: Ref, parameter: str) -> None:
        """A parameter that a dependency fills."""
        if isinstance(provider.obj, FunctionValue):
            self.dependants.setdefault(provider.obj.ref, set()).add((function, parameter))

    def provides(self, function: FunctionValue, value: Value, is_generator: bool) -> None:
        """A dependency has given a value to the request that is followed."""
        core = self.core
        if not core.recording or isinstance(function.node, ast.Lambda):
            return
        if is_generator:
            self.generators[function.ref] = function
        stack = (Frame(0, function.ref, function.node),)
        kind = _misuse(function, is_generator)
        if kind:
            self.misused.append(Misused(function.node, stack, core.context, core.entry, function, kind))
        session = self.database.thing(value)
        if isinstance(session, Session):
            spot = session.opened
            made = not is_generator and spot is not None and spot.function == function.ref
            self.closed.discard(session)
            self.provided.append(Provided(function.node, stack, core.context, core.entry, function, session, made))
        elif isinstance(value.obj, Heap) and value.obj.location is not None:
            beside = state_of(value.obj)
            for kept in kept_in(value.obj, value.obj.location):
                place = (function.node, stack, core.context, core.entry, function, kept)
                given = Provided(*place, made=False, carried=True, beside=beside)
                self.provided.append(given)

    # -- statements ------------------------------------------------------------------

    def runs(self, session: Session, writes: bool) -> None:
        """A statement is run through the session."""
        core = self.core
        if self.used is not None:
            if not core.state.held:
                self.used.append((session, writes))
            return
        if not is_shared(session) or not core.recording or not core.frames or core.frame.ref is None:
            return
        if core.entry.kind == "function":
            return  # nothing was seen to run it, so who shares the session is not known
        key = session, core.entry.function, core.entry.context, core.frame.ref, writes
        if key not in self.statements:
            node = core.frame.statement or ast.Pass()
            self.statements[key] = Statement(node, core.stack(), core.context, core.entry, session, writes)

    def called(self, session: Session, name: str, node: ast.Call) -> None:
        """A method of the session is called; whether it is awaited is another matter."""
        self.calls[id(node)] = session
        if name not in _RUNNING or not self.database.rows.transaction(session).connected:
            self.unsettled.add(id(node))
        if name in ("close", "aclose", "remove"):
            self.closed.add(session)
        if self.used is not None and name in ("commit", "rollback", "close", "aclose"):
            self.ended.add(session)
        if self.used is not None and name in ("commit", "flush") and not self.core.state.held:
            self.used.append((session, True))  # it sends what was changed of the rows at hand

    def makes(self, coroutine: Coroutine) -> None:
        """A coroutine has been called and may be awaited later."""
        if isinstance(coroutine.node, ast.Call):
            self.coroutines[id(coroutine.node)] = coroutine

    def hands_over(self, function: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> None:
        """A worker thread is given a function to run, which may be awaited later."""
        self.threads[id(node)] = function, args, kwargs

    # -- at once -----------------------------------------------------------------------

    def gathers(self, name: str, node: ast.Call) -> None:
        """`asyncio.gather(...)`."""
        if name not in _GATHERING or not self.core.recording or self.used is not None:
            return
        works = [self.work(call, many) for argument in node.args for call, many in self.awaitables(argument, 0)]
        self.meet(node, works)

    def spawns(self, value: Value, rest: list[Value], kwargs: dict[str, Value], node: ast.AST, kind: str) -> None:
        """Something is started that runs by itself."""
        if not isinstance(node, ast.Call) or not self.core.recording or self.used is not None or not self.core.frames:
            return
        if kind in ("background task", "stream"):
            self.outlives(value, rest, kwargs, node, kind)
            return
        call = node.args[0] if node.args else None
        if kind != "task" or not isinstance(call, ast.Call):
            return
        function = self.function_node()
        if function is None or _is_awaited(node, function):
            return
        work = self.work(call, self.core.loops > 0)
        if _is_dropped(node, function):
            self.outlives(value, rest, kwargs, node, kind)
        self.starts(node, work)

    def starts(self, node: ast.Call, work: Work) -> None:
        """A function has started something, beside what it had started before."""
        works = self.started.setdefault(self.core.frame.serial, [])
        works.append(work)
        self.meet(node, works)

    def submits(self, pool: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> None:
        """A pool of threads is given something to run: `pool.map(load, ids)`; others' methods may be called like it."""
        function = self.function_node()
        known = isinstance(pool.obj, Heap) and pool.obj.type.name.endswith(_POOLS)
        if not known or function is None or not self.core.recording or self.used is not None:
            return
        self.hands_over(args[0], args[1:], kwargs, node)
        one = isinstance(node.func, ast.Attribute) and node.func.attr == "submit"
        if not _is_waited_for(node, function):
            self.starts(node, self.work(node, not one or bool(_loops_round(node, function))))

    def meet(self, node: ast.Call, works: list[Work]) -> None:
        """Whether two of the awaitables use one session."""
        counted: dict[Session, int] = {}
        for work in works:
            for session in work.sessions:
                counted[session] = counted.get(session, 0) + (2 if work.many else 1)
        core = self.core
        for session, count in counted.items():
            users = [w for w in works if session in w.sessions]
            if count > 1 and session.library == "sqlalchemy" and self.is_asynchronous(session, users):
                name, refused = self.name_of(session, node), self.may_refuse(session, users)
                self.parallel.append(
                    Parallel(node, core.stack(), core.context, core.entry, session, name, tuple(works), refused)
                )

    def is_asynchronous(self, session: Session, users: list[Work]) -> bool:
        """Whether tasks let others go on in the middle of what they do with the session."""
        return session.is_async or any(w.threaded or id(w.call) in self.calls for w in users)

    def may_refuse(self, session: Session, users: list[Work]) -> bool:
        """Whether a session refuses one of its tasks: those that only read wait for the connection that it has.

        Of a connection that is used by itself it is the driver that tells.
        """
        if not session.flushes or any(w.threaded for w in users):
            return True
        transaction = self.database.rows.transaction(session)
        waiting = any(w not in transaction.sent and w.form in ("attribute", "insert") for w in transaction.pending)
        settled = transaction.connected and not any(w.writes or id(w.call) in self.unsettled for w in users)
        return waiting or not settled

    def awaitables(self, node: ast.expr, depth: int, many: bool = False) -> Iterator[tuple[ast.Call, bool]]:
        """The calls that make what is awaited, and whether each stands for several."""
        if depth > _DEPTH:
            return
        if isinstance(node, ast.Starred):
            yield from self.awaitables(node.value, depth, many)
        elif isinstance(node, ast.Call):
            if dotted(node.func).rpartition(".")[2] in _WRAPPERS and node.args:
                yield from self.awaitables(node.args[0], depth, many)
            else:
                yield node, many
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            for element in node.elts:
                yield from self.awaitables(element, depth, many)
        elif isinstance(node, _COMPREHENSIONS):
            yield from self.awaitables(node.elt, depth, True)
        elif isinstance(node, ast.Name):
            for value, repeated in self.assigned(node.id):
                yield from self.awaitables(value, depth + 1, many or repeated)

    def assigned(self, name: str) -> Iterator[tuple[ast.expr, bool]]:
        """What a local name, or a list of that name, is given in the function that runs; whether in a loop."""
        function = self.function_node()
        if function is None:
            return
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                yield node.value, False
            elif isinstance(node, ast.Call) and dotted(node.func) == f"{name}.append" and node.args:
                yield node.args[0], bool(_loops_round(node, function))

    def work(self, call: ast.Call, many: bool) -> Work:
        """What an awaitable does with the sessions that it has from its caller."""
        session = self.calls.get(id(call))
        if session is not None:
            own = many and self.is_of_loop(session, call)
            return Work(call, () if own else (session,), False, many)
        coroutine, thread = self.coroutines.get(id(call)), self.threads.get(id(call))
        if coroutine is not None:
            function, args, kwargs = coroutine.function, coroutine.args, coroutine.kwargs
        elif thread is not None and isinstance(thread[0].obj, FunctionValue):
            function, args, kwargs = thread[0].obj, thread[1], thread[2]
        else:
            return Work(call, (), False, many)
        used = self.rehearsed(function, args, kwargs, [*args, *kwargs.values(), Value(function)])
        if many:
            used = {s: w for s, w in used.items() if not self.is_of_loop(s, call)}
        writes = any(used.values()) or not self.ended.isdisjoint(used)
        return Work(call, tuple(used), writes, many, self.waits, threaded=thread is not None)

    def rehearsed(
        self,
        function: FunctionValue,
        args: list[Value],
        kwargs: dict[str, Value],
        given: list[Value],
        used: list[tuple[Session, bool]] | None = None,
    ) -> dict[Session, bool]:
        """The sessions among what a function is given that it runs statements on, and whether it writes.

        `used` is what came of a rehearsal of it, where there was one.
        """
        reached = set().union(*(self.reached(v, 0) for v in given))
        # Of what nothing is known, the term tells it again; a row is known, and no session.
        terms = {v.term for v in given if v.term and v.obj is None}
        if not reached and not terms:
            return {}
        if used is None:
            used = self.rehearsal(function, args, kwargs)
        found: dict[Session, bool] = {}
        for session, writes in used:
            if session in reached or (not session.known and session.term in terms):
                found[session] = found.get(session, False) or writes
        return found

    def reached(self, value: Value, depth: int) -> set[Session]:
        """The sessions that a function can get at through a value."""
        obj = value.obj
        if depth > _DEPTH or obj is None:
            return set()
        thing = self.database.thing(value)
        if isinstance(thing, Session):
            return {thing}
        inner: list[Value] = []
        if isinstance(obj, Heap):
            inner = list(obj.fields.values())
        elif isinstance(obj, Group):
            inner = obj.items
        elif isinstance(obj, Partial):
            inner = [obj.function, *obj.args, *obj.kwargs.values()]
        elif isinstance(obj, FunctionValue):
            inner = [*([obj.receiver] if obj.receiver is not None else []), *_cells(obj.env)]
        return set().union(*(self.reached(v, depth + 1) for v in inner))

    def is_of_loop(self, session: Session, call: ast.Call) -> bool:
        """Whether each turn of the loop round a call has a session of its own."""
        function = self.function_node()
        if function is None:
            return True
        variables = self.core.frame.env.vars
        for loop in _loops_round(call, function):
            if session.opened is not None and _holds(loop, session.opened.node):
                return True
            names = [n.id for t in _targets(loop) for n in ast.walk(t) if isinstance(n, ast.Name)]
            if any(session in self.reached(variables.get(name, NOTHING), 0) for name in names):
                return True
        return False

    # -- after the request -----------------------------------------------------------------

    def outlives(self, value: Value, rest: list[Value], kwargs: dict[str, Value], node: ast.Call, kind: str) -> None:
        """A task that goes on when the request is over."""
        core, function = self.core, value.obj
        if isinstance(function, Partial) and isinstance(function.function.obj, FunctionValue):
            rest, kwargs = [*function.args, *rest], {**function.kwargs, **kwargs}
            function = function.function.obj
        if isinstance(function, Coroutine):
            rest, kwargs, function = function.args, function.kwargs, function.function
        if not isinstance(function, FunctionValue) or isinstance(function.node, ast.Lambda):
            return
        given = [*rest, *kwargs.values(), Value(function)]
        key = self.task_key(function, rest, kwargs)
        if kind == "background task" and key in self.alone:
            if self.alone[key]:
                self.database.effects.note(rest, kwargs, node, kind)
            return
        used = self.rehearsal(function, rest, kwargs) if kind == "background task" else None
        if used:
            self.database.effects.note(rest, kwargs, node, kind)
        found = self.rehearsed(function, rest, kwargs, given, used)
        if used is not None and key is not None and not found:
            self.alone[key] = bool(used)
        for session in found:
            if is_shared(session) or session.library != "sqlalchemy":
                continue
            if kind == "stream" and not self.ends_here(session):
                continue
            name = self.name_of(session, node)
            self.outliving.append(
                Outliving(node, core.stack(), core.context, core.entry, session, name, kind, function.ref)
            )

    def task_key(self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value]) -> object | None:
        """What a task depends on that is rehearsed to its end; None for one of which that is not known.

        Which constants it is given is nothing that a session is recognised by.
        """
        if function.env is not None or self.core.budget - self.core.floor < REHEARSAL:
            return None
        values = [*([function.receiver] if function.receiver is not None else []), *args, *kwargs.values()]
        terms = terms_of(v for v in values if v.made != "const")
        return function.ref, tuple(kwargs), terms, tuple(map(shape_of, values))

    def rehearsal(
        self, function: FunctionValue, args: list[Value], kwargs: dict[str, Value]
    ) -> list[tuple[Session, bool]]:
        """The statements that a function runs, each by its session and whether it writes."""
        used: list[tuple[Session, bool]] = []
        outside = self.database.outside
        self.used, self.ended, before = used, set(), outside.count
        try:
            ended = self.core.rehearse(function, args, kwargs)
        finally:
            self.used = None
        self.waits = not ended or outside.count > before
        return used

    def ends_here(self, session: Session) -> bool:
        """Whether a `with` block of the function that runs closes the session when the function returns."""
        spot = session.opened
        return (
            spot is not None
            and spot.function == self.core.frame.ref
            and isinstance(spot.statement, ast.With | ast.AsyncWith)
        )

    # -- names -------------------------------------------------------------------------------

    def function_node(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function that runs now."""
        ref = self.core.frame.ref
        unit = self.core.unit(ref.path) if ref is not None else None
        return unit.functions.get(ref.name) if unit is not None and ref is not None else None

    def name_of(self, session: Session, call: ast.Call) -> str:
        """How the function that runs names the session, or what it has it from."""
        variables = {n: v for n, v in self.core.frame.env.vars.items() if n not in ("self", "cls")}
        for depth in (_DEPTH, 0):
            for node in ast.walk(call):
                value = variables.get(node.id) if isinstance(node, ast.Name) else None
                if value is None or isinstance(value.obj, FunctionValue):
                    continue
                if session in self.reached(value, depth):
                    return node.id if isinstance(node, ast.Name) else ""
        for name, value in variables.items():
            if session in self.reached(value, _DEPTH):
                return name
        ref = self.core.frame.ref
        return (session.names.get(ref, "") if ref is not None else "") or "session"


def kept_in(holder: Heap, location: Location) -> list[Session]:
    """The sessions that an object which all requests share keeps in its attributes."""
    found = [(name, v.obj) for name, v in holder.fields.items() if name.startswith(".") and isinstance(v.obj, Session)]
    for name, session in found:
        if session.location is None:
            session.location = location.child(name)
    return [session for _, session in found if is_shared(session)]


def state_of(holder: Heap) -> tuple[str, ...]:
    """What else an object keeps that may change: containers, locks, and what begins as a constant."""
    return tuple(
        name[1:]
        for name, v in sorted(holder.fields.items())
        if name.startswith(".")
        and (isinstance(v.obj, LockValue) or v.made == "const" or (isinstance(v.obj, Heap) and v.obj.type.ref is None))
    )


def is_shared(session: Session) -> bool:
    """Whether all requests have this one session; a pool that gives each statement its own connection is none."""
    return (
        session.location is not None and session.known and not session.autocommits and (session.library == "sqlalchemy")
    )


def _misuse(function: FunctionValue, is_generator: bool) -> str:
    if function.manager:
        return "wrapped"
    names = {dotted(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in _decorators(function)}
    return "cached" if is_generator and function.cached and names & _CACHES else ""


def _decorators(function: FunctionValue) -> list[ast.expr]:
    return [] if isinstance(function.node, ast.Lambda) else function.node.decorator_list


def _cells(env: Env | None) -> list[Value]:
    """What a nested function sees of the functions round it."""
    found: list[Value] = []
    while env is not None:
        found.extend(env.vars.values())
        env = env.parent
    return found


def _is_awaited(node: ast.Call, function: ast.AST) -> bool:
    """`await create_task(...)`: nothing else runs meanwhile in this function."""
    return any(isinstance(n, ast.Await) and n.value is node for n in ast.walk(function))


def _is_dropped(node: ast.Call, function: ast.AST) -> bool:
    """Whether nobody in the function waits for the task."""
    for statement in ast.walk(function):
        if isinstance(statement, ast.Expr) and statement.value is node:
            return isinstance(node.func, ast.Attribute) and dotted(node.func) in (
                "asyncio.create_task",
                "asyncio.ensure_future",
            )
        if isinstance(statement, ast.Assign) and statement.value is node:
            names = {n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            waits = [n for n in ast.walk(function) if isinstance(n, ast.Await | ast.Return)]
            mentioned = {n.id for w in waits for n in ast.walk(w) if isinstance(n, ast.Name)}
            return bool(names) and not names & mentioned
    return False


def _is_waited_for(node: ast.Call, function: ast.AST) -> bool:
    """`pool.submit(...).result()`: nothing else is started meanwhile."""
    return any(isinstance(n, ast.Attribute) and n.value is node and n.attr == "result" for n in ast.walk(function))


def _loops_round(node: ast.AST, function: ast.AST) -> list[ast.AST]:
    """The loops and comprehensions of a function in which a node is."""
    loops = (n for n in ast.walk(function) if isinstance(n, (*_LOOPS, *_COMPREHENSIONS)))
    return [loop for loop in loops if _holds(loop, node)]


def _holds(outer: ast.AST, node: ast.AST) -> bool:
    return any(n is node for n in ast.walk(outer))


def _targets(loop: ast.AST) -> list[ast.expr]:
    if isinstance(loop, ast.For | ast.AsyncFor):
        return [loop.target]
    return [g.target for g in loop.generators] if isinstance(loop, _COMPREHENSIONS) else []
