"""From what was noted of sessions to Windows: a session in the hands of two at once, or in nobody's."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from autolock.database.sessions import (
    Misused,
    Outliving,
    Parallel,
    Provided,
    Sessions,
    Statement,
    Work,
    is_shared,
)
from autolock.program.linker import Ref
from autolock.program.trace import Frame, context_name
from autolock.program.values import FunctionValue, Location, Root
from autolock.program.windows import RaceWindow

if TYPE_CHECKING:
    from autolock.database.objects import Session
    from autolock.program.linker import Program
    from autolock.program.trace import Entry, Event

_P = TypeVar("_P", Provided, Misused)


@dataclass(slots=True)
class SessionWindow(RaceWindow):
    """A Window whose Location is a session.

    `kind` is session-shared, session-direct (shared, without a provider), session-parallel,
    session-outlives, provider-wrapped, provider-cached or provider-open. `session` is the session where
    one is concerned and `name` how the code calls it, `provider` the dependency, `works` what is run at
    once, `steps` what the two requests do, `carried` whether the provider gives an object that keeps the session
    and what it keeps `beside`.
    """

    name: str = "session"
    session: Session | None = None
    provider: FunctionValue | None = None
    call: ast.Call | None = None
    works: tuple[Work, ...] = ()
    task: Outliving | None = None
    statements: list[Statement] = field(default_factory=list)
    steps: list[Event] = field(default_factory=list)
    carried: bool = False
    beside: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether anything is written through the session."""
        return any(s.writes for s in self.statements) or any(w.writes for w in self.works)

    @property
    def shown(self) -> str:
        return self.name


class SessionFinder:
    """Turns what was noted of sessions into windows."""

    def __init__(self, program: Program, sessions: Sessions) -> None:
        self.program = program
        self.sessions = sessions

    def windows(self) -> list[RaceWindow]:
        """All windows, one for each function and session."""
        return [*self.shared(), *self.direct(), *self.parallel(), *self.outliving(), *self.misused(), *self.opened()]

    # -- one session for all ---------------------------------------------------------

    def shared(self) -> Iterator[SessionWindow]:
        """Providers that give everybody the same session."""
        for group in _by_provider(p for p in self.sessions.provided if is_shared(p.session)):
            first = group[0]
            location = first.session.location
            assert location is not None
            given = {id(p.session) for p in group}
            entries = [p.entry for p in group]
            known = {id(e) for e in entries}
            statements = [
                s for s in self.sessions.statements.values() if id(s.session) in given and id(s.entry) in known
            ]
            window = _provider_window("session-shared", first, first.provider, location, entries)
            window.session, window.name, window.statements = first.session, str(location), statements
            window.carried, window.beside = first.carried, first.beside
            window.steps = _two(statements) or [first, first]
            window.race = first.session.is_async or "thread" in {e.context for e in entries} | {
                s.context for s in statements
            }
            yield window

    def direct(self) -> Iterator[SessionWindow]:
        """Functions that use a shared session which no provider gave them."""
        provided = {(p.session, id(p.entry)) for p in self.sessions.provided}
        groups: dict[object, list[tuple[Statement, Frame]]] = defaultdict(list)
        for statement in self.sessions.statements.values():
            if (statement.session, id(statement.entry)) in provided:
                continue
            frame = self.naming(statement)
            groups[statement.session, frame.function].append((statement, frame))
        users: dict[Session, set[int]] = defaultdict(set)
        for statement in self.sessions.statements.values():
            users[statement.session] |= {id(statement.entry)} | ({0} if statement.entry.many else set())
        for group in groups.values():
            statement, frame = min(group, key=lambda pair: getattr(pair[1].statement, "lineno", 0))
            session = statement.session
            if len(users[session]) < 2:
                continue
            location = session.location
            assert location is not None
            assert frame.function is not None
            statements = [s for s, _ in group]
            yield SessionWindow(
                "session-direct",
                location,
                frame.function,
                frame.statement,
                frame.statement,
                statement.entry,
                session.is_async or any(s.context == "thread" for s in statements),
                context_name(statement.context),
                entries=_distinct(s.entry for s in statements),
                name=str(location),
                session=session,
                statements=statements,
                steps=_two(statements),
            )

    def naming(self, statement: Statement) -> Frame:
        """The call in which the session is named, not handed on: the outermost one that says its name.

        Of a default value, the function that it was made for.
        """
        location = statement.session.location
        assert location is not None
        if location.root.kind == "default":
            owner = Ref("function", location.root.path, location.root.name.partition("(")[0])
            return Frame(0, owner, self.node_of(owner))
        name = (location.fields[-1] if location.fields else location.root.name).strip("[].'\"()").rpartition(".")[2]
        for frame in statement.stack:
            node = self.node_of(frame.function)
            if node is not None and _mentions(node, name):
                return frame
        return statement.stack[-1]

    def node_of(self, ref: Ref | None) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        return self.program.syntax_of(ref)

    # -- one session for several tasks ---------------------------------------------------

    def parallel(self) -> Iterator[SessionWindow]:
        """Awaitables that run at once on one session."""
        groups: dict[object, list[Parallel]] = defaultdict(list)
        for found in self.sessions.parallel:
            statement = found.stack[-1].statement
            groups[found.function, id(statement)].append(found)
        for group in groups.values():
            # Tasks that are started one by one are known better with each: the last of them knows all.
            found = max(group, key=lambda p: len(p.works))
            window = _event_window("session-parallel", found, found.session, found.name, group)
            assert isinstance(found.node, ast.Call)
            window.call, window.works = found.node, found.works
            window.race = any(p.refused for p in group)
            users = [w.call for w in found.works if found.session in w.sessions]
            window.steps = [replace(found, node=users[0]), replace(found, node=users[-1])]
            yield window

    def outliving(self) -> Iterator[SessionWindow]:
        """Tasks that go on with the session of a request that is over."""
        groups: dict[object, list[Outliving]] = defaultdict(list)
        at_once = {id(p.stack[-1].statement) for p in self.sessions.parallel}
        for found in self.sessions.outliving:
            if id(found.stack[-1].statement) not in at_once:
                groups[found.function, id(found.stack[-1].statement)].append(found)
        for group in groups.values():
            window = _event_window("session-outlives", group[0], group[0].session, group[0].name, group)
            window.task, window.steps = group[0], [group[0], group[0]]
            yield window

    # -- providers --------------------------------------------------------------------------

    def misused(self) -> Iterator[SessionWindow]:
        """Providers that FastAPI cannot use as they are."""
        for group in _by_provider(self.sessions.misused):
            first = group[0]
            window = _provider_window(
                f"provider-{first.kind}", first, first.provider, _place(first.provider), [m.entry for m in group]
            )
            window.name, window.steps = first.provider.ref.name, [first, first]
            yield window

    def opened(self) -> Iterator[SessionWindow]:
        """Providers that open a session which nobody closes."""
        for group in _by_provider(p for p in self.sessions.provided if p.made and not is_shared(p.session)):
            first = group[0]
            node = first.provider.node
            if isinstance(node, ast.Lambda) or not hands_out(node) or first.session.library != "sqlalchemy":
                continue
            if any(p.session in self.sessions.closed for p in group) or self.is_closed_by_name(first.provider.ref):
                continue
            window = _provider_window(
                "provider-open", first, first.provider, _place(first.provider), [p.entry for p in group]
            )
            window.session, window.name = first.session, first.provider.ref.name
            window.steps = [first, first]
            yield window

    def is_closed_by_name(self, provider: Ref) -> bool:
        """Whether something that gets the session says `.close` of it, or enters it."""
        for function, parameter in self.sessions.dependants.get(provider, ()):
            node = self.node_of(function)
            if node is None or closes(node, parameter):
                return True
        return False


def hands_out(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    """What opens the session, where a function does nothing but open one and return it.

    Also when it closes the session before anybody has used it, which opens it again.
    """
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if len(body) == 1 and isinstance(body[0], ast.Try) and not body[0].handlers and not body[0].orelse:
        closing = [s.value for s in body[0].finalbody if isinstance(s, ast.Expr)]
        if len(closing) != len(body[0].finalbody) or not all(_is_close(c) for c in closing):
            return None
        body = body[0].body
    if len(body) == 2 and isinstance(body[0], ast.Assign | ast.AnnAssign) and isinstance(body[1], ast.Try):
        inner = body[1]
        closing = [s.value for s in inner.finalbody if isinstance(s, ast.Expr)]
        if not inner.handlers and len(closing) == len(inner.finalbody) and all(_is_close(c) for c in closing):
            body = [body[0], *inner.body]
    if len(body) == 1 and isinstance(body[0], ast.With | ast.AsyncWith) and len(body[0].items) == 1:
        item = body[0].items[0]
        if isinstance(item.optional_vars, ast.Name) and _returns(body[0].body, item.optional_vars.id):
            return item.context_expr
        return None
    if len(body) == 1 and isinstance(body[0], ast.Return):
        return body[0].value
    if len(body) == 2 and isinstance(body[0], ast.Assign | ast.AnnAssign):
        target = body[0].targets[0] if isinstance(body[0], ast.Assign) else body[0].target
        if isinstance(target, ast.Name) and _returns(body[1:], target.id):
            return body[0].value
    return None


def closes(node: ast.AST, name: str) -> bool:
    """Whether a function closes what it calls by a name, or hands on how to."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in ("close", "aclose") and ast.unparse(inner.value) == name:
            return True
        if isinstance(inner, ast.With | ast.AsyncWith) and any(
            _mentions(item.context_expr, name) and not isinstance(item.context_expr, ast.Attribute)
            for item in inner.items
            if isinstance(item.context_expr, ast.Name) or ast.unparse(item.context_expr).startswith("closing(")
        ):
            return True
    return False


def _returns(body: list[ast.stmt], name: str) -> bool:
    return (
        len(body) == 1
        and isinstance(body[0], ast.Return)
        and isinstance(body[0].value, ast.Name)
        and body[0].value.id == name
    )


def _is_close(node: ast.expr) -> bool:
    call = node.value if isinstance(node, ast.Await) else node
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ("close", "aclose")


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(n, ast.Name) and n.id == name) or (isinstance(n, ast.Attribute) and n.attr == name)
        for n in ast.walk(node)
    )


def _by_provider(found: Iterable[_P]) -> list[list[_P]]:
    groups: dict[Ref, list[_P]] = defaultdict(list)
    for one in found:
        groups[one.provider.ref].append(one)
    return list(groups.values())


def _provider_window(
    kind: str, event: Event, provider: FunctionValue, location: Location, entries: list[Entry]
) -> SessionWindow:
    node = provider.node
    assert not isinstance(node, ast.Lambda)
    context = context_name(entries[0].context)
    return SessionWindow(
        kind,
        location,
        provider.ref,
        node,
        node,
        entries[0],
        True,
        context,
        entries=_distinct(entries),
        provider=provider,
    )


def _event_window(
    kind: str, event: Parallel | Outliving, session: Session, name: str, group: Iterable[Parallel | Outliving]
) -> SessionWindow:
    statement = event.stack[-1].statement
    ref = event.function
    return SessionWindow(
        kind,
        Location(Root("session", ref.path, name)),
        ref,
        statement,
        statement,
        event.entry,
        True,
        context_name(event.context),
        entries=_distinct(e.entry for e in group),
        name=name,
        session=session,
    )


def _place(provider: FunctionValue) -> Location:
    return Location(Root("session", provider.ref.path, provider.ref.name))


def _two(statements: list[Statement]) -> list[Event]:
    """A statement for each of two requests: one that writes first, where there is one."""
    ordered = sorted(statements, key=lambda s: not s.writes)
    return [ordered[0], ordered[-1]] if ordered else []


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    return list({id(e): e for e in entries}.values())
