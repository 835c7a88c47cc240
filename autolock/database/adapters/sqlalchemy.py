"""SQLAlchemy, ORM and Core, sync and async, and SQLModel on top of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.results import results
from autolock.database.adapters.statements import Statements
from autolock.database.objects import Block, Condition, Engine, Factory, Query, Result, Session
from autolock.database.rows import Rows
from autolock.program.trace import Read
from autolock.program.values import NO_READS, NOTHING, ClassValue, External, FunctionValue, Row, Thing, Value

_SESSIONS = {"Session": False, "AsyncSession": True, "Connection": False, "AsyncConnection": True}
_CONNECTIONS = frozenset({"Connection", "AsyncConnection"})
_RUNNING = frozenset({"execute", "exec", "scalars", "scalar", "stream", "stream_scalars"})
_BULK = frozenset({"bulk_save_objects", "bulk_insert_mappings", "add_all"})


class SqlAlchemy:
    """Engines, factories, sessions and connections; statements are in `statements`, results in `results`."""

    library: ClassVar[str] = "sqlalchemy"
    packages: ClassVar[tuple[str, ...]] = ("sqlalchemy", "sqlmodel")

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.core = rows.core
        self.statements = Statements(rows)
        self.scopes: dict[object, Session] = {}

    # -- what is imported ------------------------------------------------------------

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        package, _, short = name.rpartition(".")
        if not package.startswith(self.packages):
            return None
        if short in ("create_engine", "create_async_engine"):
            level = kwargs.get("isolation_level", NOTHING).term.strip("'\"")
            return Value(Engine(isolation=level, is_async="async" in short, node=node), made="new")
        if short in ("sessionmaker", "async_sessionmaker"):
            return Value(self.factory(short, args, kwargs, node), made="new")
        if short in ("scoped_session", "async_scoped_session"):
            made = (args[0] if args else kwargs.get("session_factory", NOTHING)).obj
            base = made if isinstance(made, Factory) else Factory(is_async=short.startswith("async"))
            return Value(replace(base, scoped=True, node=node, serial=Factory().serial), made="new")
        if short in _SESSIONS:
            engine = self.engine_of(args, kwargs)
            made_here = self.opened(Factory(engine=engine, is_async=_SESSIONS[short]), kwargs, node)
            made_here.flushes = short not in _CONNECTIONS
            return Value(made_here, made="new")
        if short == "flag_modified" and len(args) >= 2 and isinstance(args[0].obj, Row):
            column = args[1].term.strip("'\"")
            if f".{column}" in args[0].obj.fields:
                return NOTHING  # what was assigned before is the change
            held = self.rows.column_value(args[0].obj, column, node)
            self.rows.assign(args[0].obj, column, held, node, "assign", held.reads)
            return NOTHING
        return self.statements.construct(package, short, args, kwargs, node)

    @staticmethod
    def engine_of(args: Args, kwargs: Kwargs) -> Engine | None:
        given = args[0] if args else kwargs.get("bind")
        return given.obj if given is not None and isinstance(given.obj, Engine) else None

    def factory(self, short: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Factory:
        cls = kwargs.get("class_")
        named = cls.obj.name if cls is not None and isinstance(cls.obj, External) else ""
        if cls is not None and isinstance(cls.obj, ClassValue):
            named = "AsyncSession" if any("Async" in b for b in self.core.program.bases(cls.obj.ref)) else ""
        return Factory(
            engine=self.engine_of(args, kwargs),
            is_async=short.startswith("async_") or named.endswith("AsyncSession"),
            expires=kwargs.get("expire_on_commit", NOTHING).term != "False",
            autoflush=kwargs.get("autoflush", NOTHING).term != "False",
            autocommits=kwargs.get("autocommit", NOTHING).term == "True",
            node=node,
        )

    def opened(self, factory: Factory, kwargs: Kwargs, node: ast.AST) -> Session:
        """A new session of a factory."""
        expires = kwargs["expire_on_commit"].term != "False" if "expire_on_commit" in kwargs else factory.expires
        autoflush = kwargs["autoflush"].term != "False" if "autoflush" in kwargs else factory.autoflush
        return Session(
            is_async=factory.is_async,
            expires=expires,
            autoflush=autoflush,
            autocommits=factory.autocommits,
            isolation=factory.engine.isolation if factory.engine is not None else "",
            opened=self.rows.spot(node),
            factory=factory,
        )

    def thing_of_type(self, name: str) -> Thing | None:
        package, _, short = name.rpartition(".")
        if not package.startswith(self.packages):
            return None
        is_async = short.startswith(("Async", "async"))
        if short in (*_SESSIONS, "async_scoped_session", "scoped_session"):
            return Session(is_async=is_async, known=False, flushes=short not in _CONNECTIONS)
        if short in ("sessionmaker", "async_sessionmaker"):
            return Factory(is_async=is_async)
        return Engine(is_async=is_async) if short in ("Engine", "AsyncEngine") else None

    # -- things ------------------------------------------------------------------------

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Session):
            self.rows.named(thing, node)
            return self.session_method(thing, name, args, kwargs, node)
        if isinstance(thing, Factory):
            return self.factory_method(thing, name, args, kwargs, node)
        if isinstance(thing, Engine):
            return self.engine_method(thing, name, node)
        if isinstance(thing, Result):
            return results(self.rows, thing, name, args, node)
        if isinstance(thing, Query) and thing.session is not None:
            done = self.legacy(thing, thing.session, name, args, node)
            if done is not None:
                return done
        return self.statements.method(thing, name, args, kwargs, node)

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        if isinstance(thing, Result) and name == "rowcount":
            self.rows.trace.counted.add(thing.query.serial)
            return Value(None, term=f"rowcount{thing.serial}", made="rowcount")
        if isinstance(thing, Factory) and name == "session":
            return Value(thing)
        if isinstance(thing, Session) and name == "no_autoflush":
            return Value(Block(thing, quiet=True))
        if isinstance(thing, Session) and name in ("sync_session", "session"):
            return Value(thing)
        return self.statements.attribute(thing, name, node)

    def class_method(self, cls: ClassValue, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return None

    def factory_method(self, factory: Factory, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if name == "__call__":
            if factory.scoped:
                return Value(self.scope(factory, node), made="call")
            return Value(self.opened(factory, kwargs, node), made="new")
        if name == "begin":
            session = self.opened(factory, kwargs, node)
            return Value(Block(session, gives=session), made="new")
        if name == "remove":
            self.rows.rollback(self.scope(factory, node))
            return NOTHING
        if factory.scoped:
            session = self.scope(factory, node)
            self.rows.named(session, node)
            return self.session_method(session, name, args, kwargs, node)
        return None

    def scope(self, factory: Factory, node: ast.AST) -> Session:
        """The one session that a scoped factory has for what is running now."""
        key = (factory.serial, id(self.core.entry))
        if key not in self.scopes:
            self.scopes[key] = self.opened(factory, {}, node)
        return self.scopes[key]

    def engine_method(self, engine: Engine, name: str, node: ast.Call) -> Value | None:
        if name not in ("begin", "connect"):
            return Value(None, made="call")
        connection = self.opened(Factory(engine=engine, is_async=engine.is_async, expires=False), {}, node)
        connection.flushes = False
        return Value(Block(connection, gives=connection) if name == "begin" else connection, made="new")

    def session_method(self, session: Session, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if name in _RUNNING:
            return self.run(session, name, args, kwargs, node)
        if name in ("get", "get_one"):
            return self.get(session, args, kwargs, node)
        if name == "query":
            return self.queried(session, args, node)
        handler = _SESSION_METHODS.get(name)
        if handler is not None:
            return handler(self, session, args, kwargs, node)
        if name in ("begin", "begin_nested"):
            return Value(Block(session, nested=name == "begin_nested"), made="new")
        if name in _BULK:
            for value in args[:1]:
                self.rows.insert(session, value, node)
            return NOTHING
        if name == "run_sync" and args and isinstance(args[0].obj, FunctionValue):
            return self.core.call(args[0], [Value(session), *args[1:]], kwargs, node)
        return Value(None, made="call")

    def queried(self, session: Session, args: Args, node: ast.AST) -> Value:
        """`session.query(...)`."""
        return Value(replace(self.statements.select(args, node), form="query", session=session))

    def run(self, session: Session, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """`execute`, `scalars`, `scalar`, `exec` of a statement."""
        query = self.statements.of(args[0] if args else kwargs.get("statement", NOTHING), node)
        if query is None:
            self.rows.use(session)
            return Value(None, args[0].reads if args else NOTHING.reads, made="call")
        given = args[1] if len(args) > 1 else kwargs.get("params")
        query = self.statements.bound(query, given, {})
        read = self.rows.run(session, query, node)
        result = Result(query, session, read, scalars=name in ("scalars", "stream_scalars", "exec"))
        if name == "scalar":
            return results(self.rows, result, "scalar", [], node)
        return Value(result, read_of(read), made="call")

    def get(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """`session.get(Model, key)`."""
        model = self.statements.model_of(args[0]) if args else None
        if model is None:
            return Value(None, made="call")
        key = args[1] if len(args) > 1 else kwargs.get("ident", NOTHING)
        locked = kwargs.get("with_for_update", NOTHING)
        query = Query(
            "select",
            model,
            conditions=self.statements.key_conditions(model, key),
            locks=locked.made != "" and locked.term not in ("False", "None"),
            populates=kwargs.get("populate_existing", NOTHING).term == "True",
            form="get",
            spot=self.rows.spot(node),
        )
        read = self.rows.select(session, query, node)
        return self.rows.row_value(read, query, session)

    def refresh(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        """`session.refresh(row)`: what is known of the row is read again."""
        row = args[0].obj if args else None
        if not isinstance(row, Row):
            return NOTHING
        model = self.rows.model_of(row)
        if model is None:
            return NOTHING
        locked = kwargs.get("with_for_update", NOTHING)
        query = Query(
            "select",
            model,
            locks=locked.made != "" and locked.term not in ("False", "None"),
            populates=True,
            form="refresh",
            spot=self.rows.spot(node),
        )
        self.rows.flush(session)
        read = self.rows.select(session, query, node)
        if row.origin is not None and read is not None:
            row.origin = read
            row.reads.clear()
            row.fields.clear()
        return NOTHING

    def add(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        for value in [*args, *kwargs.values()][:1]:
            self.rows.insert(session, value, node)
        return NOTHING

    def delete(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        for value in [*args, *kwargs.values()][:1]:
            self.rows.remove(session, value, node)
        return NOTHING

    def merge(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        """`session.merge(row)` of an object that was made here: it writes over the row of its key, or adds one."""
        given = args[0] if args else NOTHING
        made = given.obj
        model = self.rows.model_of(made) if isinstance(made, Row) else None
        if not isinstance(made, Row) or model is None or made.origin is not None or made.session is not None:
            return given
        keys = {c.name: made.fields.get(f".{c.name}") for c in model.columns.values() if c.primary_key}
        known = {name: value for name, value in keys.items() if value is not None}
        if not keys or len(known) < len(keys):
            self.rows.insert(session, given, node)
            return given
        values = {c: made.fields[f".{c}"] for c in model.columns if c not in keys and f".{c}" in made.fields}
        conditions = tuple(Condition(model, name, "==", value) for name, value in known.items())
        query = Query("update", model, conditions=conditions, values=values, form="merge", spot=self.rows.spot(node))
        self.rows.update(session, query, model, node)
        return given

    def commit(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        self.rows.commit(session, node)
        return Value(None, made="call")

    def flush(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        self.rows.flush(session)
        return Value(None, made="call")

    def rollback(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        self.rows.rollback(session)
        return Value(None, made="call")

    def close(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        self.rows.let_go(session)
        return Value(None, made="call")

    def expunge(self, session: Session, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        """`session.expunge(row)`, `session.expunge_all()`: what was changed and not sent is not written."""
        given = [*args, *kwargs.values()]
        self.rows.forget(session, [v.obj for v in given if isinstance(v.obj, Row)] if given else None)
        return NOTHING

    # -- the legacy Query ------------------------------------------------------------------

    def legacy(self, query: Query, session: Session, name: str, args: Args, node: ast.Call) -> Value | None:
        """The methods of `session.query(...)` that run it."""
        if name in ("first", "one", "one_or_none", "scalar", "all", "get", "__iter__"):
            if name == "get" and query.model is not None and args:
                query = replace(query, conditions=self.statements.key_conditions(query.model, args[0]))
            if name == "first" and query.ordered:
                query = replace(query, limited=True)
            read = self.rows.select(session, query, node)
            return results(self.rows, Result(query, session, read, scalars=True), name, [], node)
        if name == "count":
            read = self.rows.select(session, replace(query, entity="aggregate"), node)
            return Value(None, read_of(read), "", False, "call")
        if name in ("update", "delete"):
            values = self.statements.assigned(args[0]) if name == "update" and args else {}
            self.rows.run(session, replace(query, kind=name, values=values), node)
            return Value(None, term=f"rowcount{query.serial}", made="rowcount")
        return None

    # -- with ---------------------------------------------------------------------------------

    def awaited(self, thing: Thing, node: ast.AST) -> Value | None:
        return None

    def enter(self, thing: Thing, node: ast.AST) -> Value | None:
        if isinstance(thing, Block):
            if thing.quiet:
                thing.session.autoflush = False  # also for the plans that are made when the run is over
            elif not thing.nested:
                if thing.gives is None and self.has_begun(thing.session):
                    self.core.fail()
                else:
                    self.rows.enter_block(thing.session)
            return Value(thing.gives if thing.gives is not None else thing.session)
        if isinstance(thing, Factory) and thing.scoped:
            return Value(self.scope(thing, node))
        if isinstance(thing, Session):
            return Value(thing)
        return None

    def has_begun(self, session: Session) -> bool:
        """Whether `begin()` raises, as a statement that was run in the session before has begun its transaction."""
        mapping = session.maps and session.flushes and session.known and not session.autocommits
        return mapping and self.rows.transaction(session).connected

    def leave(self, thing: Thing, node: ast.AST) -> None:
        if isinstance(thing, Block) and thing.quiet:
            return
        if isinstance(thing, Block) and not thing.nested:
            self.rows.leave_block(thing.session, node)
        elif isinstance(thing, Block):
            self.rows.flush(thing.session)
        elif isinstance(thing, Session) and not self.rows.transaction(thing).blocks:
            self.rows.let_go(thing)


def read_of(read: Read | None) -> frozenset[Read]:
    """The reads that a result carries."""
    return frozenset((read,)) if read is not None else NO_READS


_SESSION_METHODS: dict[str, Callable[[SqlAlchemy, Session, Args, Kwargs, ast.Call], Value]] = {
    "refresh": SqlAlchemy.refresh,
    "add": SqlAlchemy.add,
    "delete": SqlAlchemy.delete,
    "merge": SqlAlchemy.merge,
    "commit": SqlAlchemy.commit,
    "flush": SqlAlchemy.flush,
    "rollback": SqlAlchemy.rollback,
    "close": SqlAlchemy.close,
    "aclose": SqlAlchemy.close,
    "expunge": SqlAlchemy.expunge,
    "expunge_all": SqlAlchemy.expunge,
}
