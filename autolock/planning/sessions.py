"""Plans for sessions in the wrong hands: providers that open one a request, awaits one after the other."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autolock.database.effect_windows import EffectWindow
from autolock.database.objects import Session
from autolock.database.session_windows import SessionWindow, hands_out
from autolock.database.sessions import Work
from autolock.edits import Edit
from autolock.findings import Safety
from autolock.planning.blocks import Refusal, Sources
from autolock.planning.gathered import name_for_one, not_running
from autolock.planning.homes import HomeFinder, frozen
from autolock.planning.names import written
from autolock.planning.own_sessions import body_of, only_started, refuse_pending, refuse_prepared, without
from autolock.planning.own_tasks import own_tasks
from autolock.planning.rowplan import RowPlan
from autolock.planning.task_groups import group_of_tasks
from autolock.program.index import dotted
from autolock.program.mentions import Mentions

if TYPE_CHECKING:
    from autolock.engine import Analysis
    from autolock.program.linker import Ref
    from autolock.program.values import Location

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_CLOSING = frozenset({"close", "aclose", "close_all"})
_MODULES = {True: "sqlalchemy.ext.asyncio", False: "sqlalchemy.orm"}
_MAKERS = {True: "async_sessionmaker", False: "sessionmaker"}
_ITERATORS = {True: "AsyncIterator", False: "Iterator"}


class SessionPlans:
    """Plans a fix for one session at a time."""

    def __init__(self, analysis: Analysis, sources: Sources) -> None:
        self.program = analysis.program
        self.trace = analysis.machine.database.rows.trace
        self.sessions = analysis.machine.database.sessions
        self.sources = sources
        self.homes = HomeFinder(analysis.program, sources)
        self.mentions = Mentions(analysis.program)

    def plan(self, window: SessionWindow) -> RowPlan:
        """The plan of a window; raises Refusal where no rewrite is known to be right."""
        if window.kind == "session-shared":
            return self.own_session(window)
        if window.kind == "session-parallel":
            return self.in_sequence(window)
        if window.kind == "provider-open":
            return self.closed(window)
        if window.kind in ("provider-wrapped", "provider-cached"):
            return self.undecorated(window)
        if isinstance(window, EffectWindow):
            return self.after_commit(window)
        if window.kind == "session-outlives":
            return self.own_session_of_task(window)
        raise Refusal(_DEFAULT if window.location.root.kind == "default" else _DIRECT)

    # -- a session for each request ----------------------------------------------------------

    def own_session(self, window: SessionWindow) -> RowPlan:
        """The provider opens a session for each request."""
        session, node = window.session, self.sources.node_of(window.function)
        assert session is not None
        self.refuse_direct_calls(window.function)
        self.refuse_foreign_commits(window)
        if window.beside:
            kept = ", ".join(f"`{name}`" for name in window.beside)
            raise Refusal(f"what `{window.function.name}` gives keeps {kept} for all requests as well: part the two")
        if window.carried:
            given = _carrying(session, node)
            edits = self.opening(window, session, node, "session", generator=False, given=given)
        else:
            name, generator = _handed_out(node)
            edits = self.dropped(window, session, node)
            edits += self.opening(window, session, node, name, generator)
        return RowPlan(
            edits,
            f"Let `{window.function.name}` open a session for each request",
            "Each request has a session of its own, which is closed when the request is over; what it has not "
            "committed is rolled back.",
        )

    def closed(self, window: SessionWindow) -> RowPlan:
        """The provider closes what it opens."""
        session, node = window.session, self.sources.node_of(window.function)
        assert session is not None
        self.refuse_direct_calls(window.function)
        edits = self.opening(window, session, node, "session", generator=False)
        return RowPlan(
            edits,
            f"Let `{window.function.name}` close the session that it opens",
            "A dependency that yields goes on after the request: the session is closed then, and its connection goes "
            "back to the pool.",
        )

    def opening(
        self, window: SessionWindow, session: Session, node: _Function, name: str, generator: bool, given: str = ""
    ) -> list[Edit]:
        """`with SessionLocal() as session: yield session`, or what is `given` instead of it."""
        function = window.function
        factory, edits = self.factory(function, session)
        if name == factory:
            name = "session"
        cached = [d for d in node.decorator_list if _short(d) in ("lru_cache", "cache")]
        if len(cached) < len(node.decorator_list):
            raise Refusal(f"`{function.name}` has decorators of its own: make it yield a session by hand")
        annotation = ""
        if node.returns is not None:
            annotation = ast.unparse(node.returns)
            if not generator:
                iterator, imports = self.iterator(function, session.is_async)
                annotation = f"{iterator}[{annotation}]"
                edits += imports
        at = self.sources.blocks(function.path).spot(node).path
        edits.append(
            Edit(
                function.path,
                "yield-session",
                frozen(
                    at=at,
                    factory=factory,
                    is_async=session.is_async,
                    name=name,
                    annotation=annotation,
                    given=given,
                    undecorate=",".join(_short(d) for d in cached),
                ),
            )
        )
        for decorator in cached:
            edits += self.unimported(function.path, decorator)
        return edits

    def factory(self, function: Ref, session: Session) -> tuple[str, list[Edit]]:
        """How the provider says the factory, with the edits by which it comes to be and is imported."""
        made = session.factory
        home = made.location if made is not None else None
        if home is not None and home.root.kind == "variable" and not home.fields:
            return self.homes.reach(function, home.root.path, home.root.name)
        kept = _kept_beside(session)
        if kept is not None and session.location is not None:
            name, edits = self.homes.reach(function, session.location.root.path, session.location.root.name)
            return f"{name}{kept}", edits
        engine = made.engine if made is not None else None
        place = engine.location if engine is not None else None
        if place is None or place.root.kind != "variable" or place.fields or session.opened is None:
            raise Refusal(
                "it is not known from which factory or engine the session is made: open one a request by hand"
            )
        return self.new_factory(function, session, place)

    def new_factory(self, function: Ref, session: Session, engine: Location) -> tuple[str, list[Edit]]:
        """`SessionLocal = sessionmaker(engine)` below the engine."""
        assert session.opened is not None
        call = session.opened.node
        if not isinstance(call, ast.Call) or _short(call) not in ("Session", "AsyncSession"):
            raise Refusal("the session is opened in a way that no factory repeats: make one a request by hand")
        path, is_async = engine.root.path, session.is_async
        if self.mentions.is_taken(path, "SessionLocal") or self.mentions.is_taken(function.path, "SessionLocal"):
            raise Refusal("the name `SessionLocal` is taken: make a factory from the engine by hand")
        options = [f"{k.arg}={ast.unparse(k.value)}" for k in call.keywords if k.arg != "bind"]
        if any(k.arg is None or not isinstance(k.value, ast.Constant) for k in call.keywords if k.arg != "bind"):
            raise Refusal("the session has options that cannot be moved: make a factory from the engine by hand")
        if is_async and not any(o.startswith("expire_on_commit=") for o in options):
            options.append("expire_on_commit=False")
        arguments = ", ".join([engine.root.name, *options])
        maker = _MAKERS[is_async]
        edits = [
            Edit(
                path,
                "insert-after",
                frozen(at=self.statement_of(path, engine.root.name), code=f"SessionLocal = {maker}({arguments})"),
            )
        ]
        bound = self.program.resolve(path, maker)
        if bound is None:
            edits.append(Edit(path, "import-name", frozen(module=_MODULES[is_async], name=maker)))
        name, imports = self.homes.reach(function, path, "SessionLocal")
        return name, [*edits, *imports]

    def iterator(self, function: Ref, is_async: bool) -> tuple[str, list[Edit]]:
        """`AsyncIterator`, imported where it is not."""
        name = _ITERATORS[is_async]
        found = self.program.resolve(function.path, name)
        if found is not None and found[0].kind == "external":
            return name, []
        if found is not None or self.mentions.is_taken(function.path, name):
            raise Refusal(f"{function.path} uses the name `{name}` for something else")
        return name, [Edit(function.path, "import-name", frozen(module="collections.abc", name=name))]

    # -- the session that is no longer needed --------------------------------------------------

    def dropped(self, window: SessionWindow, session: Session, node: _Function) -> list[Edit]:
        """Take the shared session away, with the statements that close it; raises Refusal when others use it."""
        location = session.location
        assert location is not None
        if location.root.kind == "cached":
            return []
        edits: list[Edit] = []
        for mention in self.mentions.of(location):
            if any(mention.node is n for n in ast.walk(node)):
                continue
            statement = mention.statement
            spot = self.sources.blocks(mention.path).spot(statement)
            if isinstance(statement, ast.Import | ast.ImportFrom):
                edits += self.import_dropped(mention.path, statement, spot.path)
            elif _binds(statement, mention.node) or _closes(statement, mention.node):
                edits.append(Edit(mention.path, "remove-statement", frozen(at=spot.path)))
            elif not isinstance(statement, ast.Global):
                where = mention.function or mention.path
                raise Refusal(
                    f"`{location}` is used elsewhere too, in `{where}`: give that a session of its own first, "
                    "`async with SessionLocal() as session:`"
                    if session.is_async
                    else f"`{location}` is used elsewhere too, in `{where}`: give that a session of its own first"
                )
        return edits

    def import_dropped(self, path: str, statement: ast.Import | ast.ImportFrom, at: str) -> list[Edit]:
        if len(statement.names) > 1:
            raise Refusal(f"{path} imports the session together with other names: take it out of the import first")
        return [Edit(path, "remove-statement", frozen(at=at))]

    def refuse_foreign_commits(self, window: SessionWindow) -> None:
        """What one request writes and only another commits would be lost."""
        used = {id(s.session) for s in window.statements} | {id(window.session)}
        for entry, write in self.trace.writes:
            if write.session is not None and id(write.session) in used and not write.commits:
                name = entry.function.name if entry.function is not None else entry.label
                raise Refusal(
                    f"`{name}` does not commit what it writes, and relies on another request to do so: commit there "
                    "first"
                )

    def refuse_direct_calls(self, provider: Ref) -> None:
        """A generator cannot be called for a session."""
        for path, call in self.mentions.calls(provider):
            raise Refusal(
                f"`{provider.name}` is called directly as well, at {path}:{call.lineno}, where a function that yields "
                "gives no session"
            )

    # -- decorators --------------------------------------------------------------------------------

    def undecorated(self, window: SessionWindow) -> RowPlan:
        """The plain function, without what makes it something else."""
        function, node = window.function, self.sources.node_of(window.function)
        names = (
            ("contextmanager", "asynccontextmanager") if window.kind == "provider-wrapped" else ("lru_cache", "cache")
        )
        decorators = [d for d in node.decorator_list if _short(d) in names]
        if len(decorators) != 1:
            raise Refusal(f"the decorator is not on `{function.name}` itself: take it away where it is applied")
        self.refuse_with(window)
        for path, call in self.mentions.calls(function):
            raise Refusal(
                f"`{function.name}` is used outside of Depends as well, at {path}:{call.lineno}: keep it for that, and "
                "depend on a second function that enters it and yields what it gives"
            )
        at = self.sources.blocks(function.path).spot(node).path
        edits = [Edit(function.path, "undecorate", frozen(at=at, decorator=ast.unparse(decorators[0])))]
        return RowPlan(
            edits + self.unimported(function.path, decorators[0]),
            f"Take `@{_short(decorators[0])}` from `{function.name}`",
            "FastAPI itself opens and closes what a plain function yields.",
        )

    def refuse_with(self, window: SessionWindow) -> None:
        """Handlers that enter the context manager that they are given would be given a session."""
        for user, parameter in self.sessions.dependants.get(window.function, ()):
            for inner in ast.walk(self.sources.node_of(user)):
                if isinstance(inner, ast.With | ast.AsyncWith) and any(
                    isinstance(i.context_expr, ast.Name) and i.context_expr.id == parameter for i in inner.items
                ):
                    raise Refusal(
                        f"`{user.name}` enters what it is given with `with {parameter}`: take that away together with "
                        "the decorator"
                    )

    def unimported(self, path: str, decorator: ast.expr, taken: int = 1) -> list[Edit]:
        """Remove the import of a decorator, or of what is called, that only the `taken` places of the file use."""
        name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator).partition(".")[0]
        blocks = self.sources.blocks(path)
        uses = sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(blocks.unit.tree))
        if uses > taken or f'"{name}"' in blocks.unit.text:
            return []
        for statement in blocks.unit.tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom) and len(statement.names) == 1:
                alias = statement.names[0]
                if (alias.asname or alias.name) == name:
                    return [Edit(path, "remove-statement", frozen(at=blocks.spot(statement).path))]
        return []

    # -- what goes on after the request ------------------------------------------------------------

    def own_session_of_task(self, window: SessionWindow) -> RowPlan:
        """The function that the task runs opens a session, and is given none."""
        session = window.session
        assert session is not None
        started = only_started(self.program, self.sources, window)
        refuse_pending(self.trace, window, session)
        refuse_prepared(self.sources, session)
        function, node = started.function, self.sources.node_of(started.function)
        assert isinstance(node, ast.AsyncFunctionDef)
        assert window.first is not None
        factory, edits = self.factory(function, session)
        blocks, body = self.sources.blocks(function.path), body_of(node)
        at, first = blocks.spot(node).path, blocks.spot(body[0]).path
        header = f"{factory}() as {started.parameter}"
        wrap = frozen(at=first, count=len(body), header=header, is_async=session.is_async)
        call = ast.unparse(without(started.call, started.given))
        edits += [
            Edit(function.path, "wrap-in-transaction", wrap),
            Edit(function.path, "remove-parameter", frozen(at=at, name=started.parameter)),
            self.put(window.function.path, window.first, started.call, call),
        ]
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        annotation = next((a.annotation for a in arguments if a.arg == started.parameter), None)
        edits += self.unimported(function.path, annotation) if annotation is not None else []
        return RowPlan(
            edits,
            f"Let `{function.name}` open a session of its own",
            "The task goes on when the request is over, and its session with it: with one of its own it neither shares "
            "that of the request nor keeps it.",
        )

    # -- one after the other ---------------------------------------------------------------------------

    def in_sequence(self, window: SessionWindow) -> RowPlan:
        """Await one after the other what was awaited at once."""
        call, function = window.call, self.sources.node_of(window.function)
        assert call is not None
        gathered = dotted(call.func).rpartition(".")[2] == "gather"
        if gathered and any(k.arg == "return_exceptions" for k in call.keywords):
            raise Refusal(
                "the gather goes on when one of them fails (`return_exceptions`): give each task a session of its own"
            )
        idle = next((w for w in window.works if not w.sessions), None)
        if idle is not None:
            raise Refusal(
                f"`{_text(idle)}` does not use the session, and would have to wait: give the others sessions of their "
                "own, or await them one after the other beside it"
            )
        waiting = next((w for w in window.works if w.waits), None)
        if waiting is not None:
            raise Refusal(
                f"`{_text(waiting)}` may wait for more than the session: give each task a session of its own, or "
                "gather what the others answer first, and use the session after that"
            )
        if not gathered and any(w.threaded for w in window.works):
            raise Refusal("the tasks run on threads of a pool: let each open a session of its own, and close it")
        if not gathered:
            started = dotted(call.func).partition(".")[0] in ("asyncio", "create_task", "ensure_future")
            return self.without_tasks(window, call) if started else self.without_group(window, call)
        if not any(isinstance(n, ast.Await) and n.value is call for n in ast.walk(function)):
            raise Refusal("the gather is not awaited where it is called: await one after the other by hand")
        statement = window.first
        assert statement is not None
        at = self.sources.blocks(window.function.path).spot(statement).path
        text = ast.unparse(call)
        same = [n for n in ast.walk(statement) if isinstance(n, ast.expr) and ast.unparse(n) == text]
        if len(same) > 1:
            raise Refusal("the same gather is in the statement twice: await one after the other by hand")
        named = not_running(function, call, [w.call for w in window.works])
        extra = {"named": ",".join(named), "each": name_for_one(function, named)} if named else {}
        edits = [Edit(window.function.path, "gather-in-sequence", frozen(at=at, expression=text, **extra))]
        return self.awaiting(window, [*edits, *self.unimported(window.function.path, call.func)])

    def without_tasks(self, window: SessionWindow, call: ast.Call) -> RowPlan:
        """Await what the tasks run where they were started."""
        path, function = window.function.path, self.sources.node_of(window.function)
        assert window.first is not None
        blocks = self.sources.blocks(path)
        tasks = own_tasks(function, blocks.spot(window.first).block, call, [w.call for w in window.works])
        edits = [
            self.put(path, s, start, f"await {written(self.sources, path, run)}") for s, start, run in tasks.started
        ]
        edits += [self.put(path, s, awaited, ast.unparse(awaited.value)) for s, awaited in tasks.awaited]
        edits += [self.put(path, s, awaited, f"[{', '.join(names)}]") for s, awaited, names in tasks.gathered]
        calls = len(tasks.started) + len(tasks.gathered)
        return self.awaiting(window, [*edits, *self.unimported(path, call.func, calls)])

    def put(self, path: str, statement: ast.stmt, old: ast.expr, new: str) -> Edit:
        """The edit that puts an expression of a statement in place of another."""
        same = [n for n in ast.walk(statement) if isinstance(n, ast.expr) and ast.unparse(n) == ast.unparse(old)]
        same.sort(key=lambda n: (n.lineno, n.col_offset))
        number = next(index for index, node in enumerate(same) if node is old)
        at = self.sources.blocks(path).spot(statement).path
        return Edit(path, "replace-expression", frozen(at=at, expression=ast.unparse(old), nth=number, replacement=new))

    def without_group(self, window: SessionWindow, call: ast.Call) -> RowPlan:
        """Await what the tasks of a group run, and take the group away."""
        path, function = window.function.path, self.sources.node_of(window.function)
        group, blocks = group_of_tasks(function, call, [w.call for w in window.works]), self.sources.blocks(path)
        edits = [
            self.put(path, s, start, f"await {written(self.sources, path, run)}") for s, start, run in group.started
        ]
        edits += [self.put(path, s, result, dotted(result.func).removesuffix(".result")) for s, result in group.results]
        taken = ast.unparse(group.block.items[0])
        at = blocks.spot(group.block).path
        edits.append(Edit(path, "unwrap-lock", frozen(at=at, lock=taken, is_async=True)))
        maker = group.block.items[0].context_expr
        assert isinstance(maker, ast.Call)
        return self.awaiting(window, [*edits, *self.unimported(path, maker.func)])

    @staticmethod
    def awaiting(window: SessionWindow, edits: list[Edit]) -> RowPlan:
        return RowPlan(
            edits,
            f"Let `{window.function.name}` await one after the other",
            "The session does one thing at a time anyway: the answers are the same, and none is refused.",
        )

    # -- after the commit -------------------------------------------------------------------------------

    def after_commit(self, window: EffectWindow) -> RowPlan:
        """What leaves the process leaves it when the row is committed."""
        if window.kind == "effect-answer":
            return self.sent_in_time(window)
        if window.kind == "effect-dependency":
            return self.committed_in_time(window)
        effect, commit = window.effect, window.commit
        assert effect is not None
        assert commit is not None
        statement, end = effect.stack[-1].statement, commit.stack[-1].statement
        if effect.function != window.function or commit.function != window.function:
            raise Refusal("the commit is in another function: call the one that starts it after the commit by hand")
        assert statement is not None
        assert end is not None
        blocks = self.sources.blocks(window.function.path)
        spot, last = blocks.spot(statement), blocks.spot(end)
        if spot.block is not last.block or not isinstance(end, ast.Expr | ast.Assign) or spot.index > last.index:
            raise Refusal("the commit is not in the same block: start it after the commit by hand")
        value = statement.value if isinstance(statement, ast.Expr) else None
        if (value.value if isinstance(value, ast.Await) else value) is not effect.node:
            raise Refusal("what the call gives is used: start it after the commit by hand")
        if window.session is not None and window.session.expires and window.session.is_async:
            raise Refusal(
                "the commit makes the session forget the row, which the call is about: keep what it needs in a "
                "variable, and start it after the commit"
            )
        code = ast.get_source_segment(blocks.unit.text, statement) or ""
        edits = [
            Edit(window.function.path, "remove-statement", frozen(at=spot.path)),
            Edit(
                window.function.path,
                "insert-after",
                frozen(at=last.path, code=code if "\n" not in code else ast.unparse(statement)),
            ),
        ]
        return RowPlan(
            edits,
            f"Commit the `{window.name}` before `{_call_text(effect.node)}`",
            "What is started finds the row. When it cannot be started, the row is there all the same: where both must "
            "be or neither, write the task into a table of the same transaction.",
            Safety.UNSAFE,
        )

    def sent_in_time(self, window: EffectWindow) -> RowPlan:
        """The rows are sent to the database before the response."""
        edits: dict[tuple[str, str], Edit] = {}
        for write in window.late:
            session, statement = write.session, write.stack[-1].statement
            name = session.names.get(write.function) if session is not None else None
            if session is None or name is None or not isinstance(statement, ast.Expr):
                raise Refusal("flush the session before the response, so that the database can refuse the row in time")
            path, flush = write.function.path, f"{'await ' if session.is_async else ''}{name}.flush()"
            at = self.sources.blocks(path).spot(statement).path
            edits[path, at] = Edit(path, "insert-after", frozen(at=at, code=flush))
        return RowPlan(
            list(edits.values()),
            f"Flush the `{window.name}` before the response",
            "A row that the database refuses is an error for the client, who was told before that it worked; whoever "
            "comes second waits until the first has committed.",
            Safety.UNSAFE,
        )

    def committed_in_time(self, window: EffectWindow) -> RowPlan:
        """The dependency ends, and commits, before the response is sent."""
        provider = window.provider
        assert provider is not None
        for user, _ in self.sessions.dependants.get(provider.ref, ()):
            facts = self.program.function(user)
            if facts is not None and facts.is_generator:
                raise Refusal(
                    f"`{user.name}` depends on it and ends after the response: commit in the handler, before the task "
                    "is added"
                )
        edits: list[Edit] = []
        for path, statement, call in self.mentions.depends(provider.ref):
            if call.keywords or len(call.args) != 1:
                raise Refusal("the dependency is declared in several ways: commit in the handler, before the task")
            text = ast.unparse(call)
            edits.append(
                Edit(
                    path,
                    "replace-expression",
                    frozen(
                        at=self.sources.blocks(path).spot(statement).path,
                        expression=text,
                        replacement=f'{text[:-1]}, scope="function")',
                        nth=_number(statement, call),
                    ),
                )
            )
        if not edits:
            raise Refusal("the dependency commits after the response: commit in the handler, before the task is added")
        return RowPlan(
            edits,
            f"End `{provider.ref.name}` before the response",
            "The commit comes before the background task, and a commit that fails is an error for the client. It needs "
            "FastAPI 0.121; a response that is streamed can no longer use the session.",
            Safety.UNSAFE,
        )

    # -- places -------------------------------------------------------------------------------------------

    def statement_of(self, path: str, variable: str) -> str:
        """The statement at the top level of a file that binds a name."""
        blocks = self.sources.blocks(path)
        for statement in blocks.unit.tree.body:
            if any(_binds(statement, n) for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == variable):
                return blocks.spot(statement).path
        raise Refusal(f"`{variable}` is not assigned at the top level of {path}")


def _kept_beside(session: Session) -> str | None:
    """The factory as an attribute of the shared object that has opened the session and keeps both: `.factory`."""
    opened, place = session.opened, session.location
    func = opened.node.func if opened is not None and isinstance(opened.node, ast.Call) else None
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name) or func.value.id != "self":
        return None
    shared = place is not None and place.root.kind == "variable" and all(f.startswith(".") for f in place.fields)
    return "".join([*place.fields[:-1], f".{func.attr}"]) if shared and place is not None and place.fields else None


def _handed_out(node: _Function) -> tuple[str, bool]:
    """How the provider names the session, and whether it yields it; raises Refusal when it does anything else."""
    given = hands_out(node)
    if given is not None:
        return (given.id if isinstance(given, ast.Name) else "session"), False
    kept = _opened_once(node.body)
    if kept is not None:
        return kept.lstrip("_"), False
    yielded = list(_yielded(node.body))
    if len(yielded) == 1:
        return (yielded[0].id if isinstance(yielded[0], ast.Name) else "session"), True
    raise Refusal(f"`{node.name}` does more than hand out the session: make it open one for each request by hand")


def _carrying(session: Session, node: _Function) -> str:
    """What a cached function gives that keeps the session, with `session` in its place; raises Refusal."""
    given, opened = hands_out(node), session.opened
    inside = [n for n in ast.walk(given) if opened is not None and n is opened.node] if given is not None else []
    cached = any(_short(d) in ("lru_cache", "cache") for d in node.decorator_list)
    if not cached or len(inside) != 1 or not isinstance(given, ast.Call) or given is inside[0]:
        raise Refusal(f"what `{node.name}` gives keeps the session: let it make one for each request by hand")
    if any(isinstance(n, ast.Name) and n.id == "session" for n in ast.walk(node)):
        raise Refusal(f"`{node.name}` uses the name `session` for something else")
    return ast.unparse(_Session(inside[0]).visit(copy.deepcopy(given, {id(inside[0]): inside[0]})))


class _Session(ast.NodeTransformer):
    """Puts `session` where one is opened."""

    def __init__(self, opened: ast.AST) -> None:
        self.opened = opened

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The name for the call that opens, any other call as it is."""
        return ast.Name("session", ast.Load()) if node is self.opened else self.generic_visit(node)


def _opened_once(body: list[ast.stmt]) -> str | None:
    """The name of the session in a function that opens it when there is none yet, keeps it and returns it."""
    plain = [
        s
        for s in body
        if not isinstance(s, ast.Global) and not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
    ]
    if len(plain) != 2 or not isinstance(plain[0], ast.If) or plain[0].orelse or not isinstance(plain[1], ast.Return):
        return None
    kept, opening = plain[1].value, plain[0].body
    if not isinstance(kept, ast.Name | ast.Attribute) or len(opening) != 1 or not _is_unset(plain[0].test, kept):
        return None
    if not isinstance(opening[0], ast.Assign) or [ast.unparse(t) for t in opening[0].targets] != [ast.unparse(kept)]:
        return None
    return kept.id if isinstance(kept, ast.Name) else kept.attr


def _is_unset(test: ast.expr, kept: ast.expr) -> bool:
    """`kept is None`, `not kept`."""
    return ast.unparse(test) in (f"{ast.unparse(kept)} is None", f"not {ast.unparse(kept)}")


def _yielded(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """What a function yields that does nothing else than to close it after; nothing for any other."""
    plain = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if len(plain) != 1:
        return
    only = plain[0]
    if isinstance(only, ast.Expr) and isinstance(only.value, ast.Yield) and only.value.value is not None:
        yield only.value.value
    elif isinstance(only, ast.Try) and not only.handlers and not only.orelse:
        if all(isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and _is_close(s.value)) for s in only.finalbody):
            yield from _yielded(only.body)
    elif isinstance(only, ast.With | ast.AsyncWith) and len(only.items) == 1:
        for _ in _yielded(only.body):
            yield only.items[0].context_expr


def _is_close(node: ast.expr) -> bool:
    call = node.value if isinstance(node, ast.Await) else node
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _CLOSING


def _closes(statement: ast.stmt, node: ast.AST) -> bool:
    """`await session.close()`, of this very mention."""
    if not isinstance(statement, ast.Expr) or not _is_close(statement.value):
        return False
    call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.value is node


def _binds(statement: ast.stmt, node: ast.AST) -> bool:
    """Whether a statement does nothing but assign to this mention."""
    if isinstance(statement, ast.Assign):
        return len(statement.targets) == 1 and statement.targets[0] is node
    return isinstance(statement, ast.AnnAssign) and statement.target is node


def _short(node: ast.expr) -> str:
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _number(statement: ast.stmt, call: ast.Call) -> int:
    """Which of the equal calls of a statement it is."""
    text = ast.unparse(call)
    same = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and ast.unparse(n) == text]
    same.sort(key=lambda n: (n.lineno, n.col_offset))
    return next(index for index, node in enumerate(same) if node is call)


def _call_text(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ast.unparse(node)


def _text(work: Work) -> str:
    return f"{ast.unparse(work.call.func)}(...)"


_DIRECT = (
    "open a session in the handler, `with SessionLocal() as session:`, or depend on one that is opened for each request"
)
_DEFAULT = (
    "a default value is made once, when the function is defined: leave the default out, and have whoever calls this "
    "hand in a session that is opened for each request"
)
