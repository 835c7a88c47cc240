"""Where the interpreter asks whether something concerns a database."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from autolock.database.adapters.base import Adapter
from autolock.database.adapters.dbapi import Cursor
from autolock.database.adapters.documents import ObjectMapper, Pending
from autolock.database.adapters.mappings import (
    COPYING,
    DUMPS,
    ROW_METHODS,
    VALIDATORS,
    column_named,
    copy_of,
    dumped,
    row_method,
)
from autolock.database.adapters.mongo import Mongo, Store
from autolock.database.adapters.properties import sessions_of
from autolock.database.adapters.results import many, one
from autolock.database.adapters.sqlalchemy import SqlAlchemy
from autolock.database.adapters.statements import Statements
from autolock.database.models import Models
from autolock.database.objects import (
    Block,
    Column,
    Condition,
    Conditions,
    Expression,
    Query,
    Result,
    Session,
    TableThing,
)
from autolock.database.outside import Outside
from autolock.database.rows import Rows, table_of
from autolock.database.sessions import Sessions
from autolock.database.side_effects import SideEffects
from autolock.database.sqlpieces import SqlText, is_sql, named_in, put_together
from autolock.database.trace import Caught, RowRead
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.trace import Read
from autolock.program.values import (
    NOTHING,
    ClassValue,
    External,
    FunctionValue,
    Heap,
    Method,
    Row,
    Thing,
    Type,
    Value,
)

if TYPE_CHECKING:
    from autolock.database.models import Model, Relationship
    from autolock.program.core import Core

_ALL = ast.Call(ast.Name("all", ast.Load()), [], [])
#: Methods by which a session is known although nobody says what the object is.
_TELLING = frozenset({"execute", "exec", "scalars", "scalar", "get", "add", "query", "delete", "refresh", "add_all"})
_LATER = frozenset({"commit", "flush", "rollback", "close", "begin", "begin_nested"})
#: Methods that change what a column of JSON holds, and keep the rest of it.
_INSIDE = frozenset(
    {"update", "setdefault", "pop", "popitem", "append", "extend", "insert", "remove", "add", "discard"}
)
#: Exceptions that say that a constraint is violated, and more general ones that it also arrives as.
VIOLATIONS = frozenset({"IntegrityError", "UniqueViolationError", "UniqueViolation", "DuplicateKeyError"})
CONFLICTS = VIOLATIONS | frozenset(
    {
        "SQLAlchemyError",
        "DBAPIError",
        "DatabaseError",
        "StatementError",
        "Error",
        "PostgresError",
        "OperationalError",
        "RevisionIdWasChanged",
        "Exception",
        "BaseException",
    }
)


class Databases:
    """What the interpreter knows of databases; one for each interpreter."""

    def __init__(self, core: Core, models: Models, adapters: Iterable[type[Adapter]], dialect: str = "") -> None:
        self.core = core
        self.models = models
        self.rows = Rows(core, models)
        self.sessions = Sessions(core, self)
        self.effects = SideEffects(core)
        self.outside = Outside(core)
        made = [adapter(self.rows) for adapter in adapters]
        self.by_library = {adapter.library: adapter for adapter in made}
        self.by_package = {package: adapter for adapter in made for package in adapter.packages}
        self.statements = Statements(self.rows)
        self.guessed: dict[str, Session] = {}
        self.texts: dict[str, SqlText | None] = {}
        self._libraries: dict[Type, list[tuple[Adapter, str]]] = {}
        self.dialect = dialect

    def reset(self) -> None:
        """Another entry point is followed from here on."""
        self.guessed.clear()
        self.rows.reset()
        self.sessions.reset()

    # -- calls -----------------------------------------------------------------------

    def call(self, callee: Value, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value | None:
        """The value of a call that concerns a database; None for any other."""
        obj = callee.obj
        if isinstance(obj, External):
            if obj.name in COPYING and args and isinstance(args[-1].obj, Row) and not kwargs:
                return args[-1]
            adapter = self.by_package.get(obj.name.partition(".")[0])
            return adapter.construct(obj.name, args, kwargs, node) if adapter is not None else None
        if isinstance(obj, Method):
            return self.call_method(obj, args, kwargs, node)
        thing = self.thing(callee)
        if thing is not None:
            adapter = self.adapter_of(thing)
            return adapter.method(thing, "__call__", args, kwargs, node) if adapter is not None else None
        if isinstance(obj, ClassValue):
            return self.construct(obj, args, kwargs, node)
        return None

    def call_method(self, method: Method, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value | None:
        receiver, name = method.receiver, method.name
        if isinstance(receiver.obj, Row) and name == "sqlmodel_update":
            for value in args[:1]:
                self.rows.assign_some(receiver.obj, value, node)
            return receiver
        if isinstance(receiver.obj, ClassValue) and name in VALIDATORS and self.models.of(receiver.obj.ref) is not None:
            return self.construct(receiver.obj, [], {**kwargs, "**": args[0] if args else NOTHING}, node)
        self.effects.called(method, args, kwargs, node)
        if isinstance(receiver.obj, ClassValue):
            if name in VALIDATORS:
                return copy_of(receiver.obj, args[0]) if args else None
            adapter = self.adapter_of_class(receiver.obj)
            return adapter.class_method(receiver.obj, name, args, kwargs, node) if adapter is not None else None
        if isinstance(receiver.obj, Heap):
            if name in _INSIDE:
                receiver.obj.keywords = False
                self.rows.change_inside(receiver.obj, Value(None).also(*args, *kwargs.values()), node)
            if name in ("append", "add") and args:
                self.rows.add_related(receiver.obj, args[0], node)
            dumped = self.heap_method(receiver.obj, receiver, name, args, kwargs, node)
            if dumped is not None:
                return dumped
        thing = self.thing(receiver) or self.guess(receiver, name, args, node)
        if thing is not None:
            if isinstance(thing, Session):
                self.sessions.called(thing, name, node)
            adapter = self.adapter_of(thing)
            return adapter.method(thing, name, args, kwargs, node) if adapter is not None else None
        return None

    def heap_method(
        self, heap: Heap, receiver: Value, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.Call
    ) -> Value | None:
        """A method of a row, or of an object that can be turned into a mapping."""
        if isinstance(heap, Row):
            if name in ROW_METHODS:
                return row_method(self.rows, heap, receiver, name, args, node)
            cls = ClassValue(heap.type.ref) if heap.type.ref is not None and heap.type.kind == "instance" else None
            adapter = self.adapter_of_class(cls) if cls is not None and not heap.copied else None
            if cls is None or adapter is None:
                return None
            return adapter.class_method(cls, name, [receiver, *args], kwargs, node)
        if name in DUMPS and self.is_pydantic(heap.type.ref):
            return dumped(heap, receiver)
        return None

    def is_dump(self, heap: Heap, name: str, node: ast.AST) -> bool:
        """Whether `name` turns an object that the program has made, so that its fields are known, into a mapping."""
        made = heap.location is None and heap.fields and name in DUMPS and id(node) in self.core.callees
        ref = heap.type.ref
        return bool(made and ref and self.is_pydantic(ref) and self.core.program.method(ref, name) is None)

    def is_pydantic(self, ref: Ref | None) -> bool:
        """Whether a class of the project is one whose objects are made from mappings."""
        return ref is not None and any(
            base.partition(".")[0] in ("pydantic", "sqlmodel") for base in self.core.program.bases(ref)
        )

    def adapter_of_class(self, cls: ClassValue) -> Adapter | None:
        """The adapter of the library by which a class is mapped."""
        model = self.models.of(cls.ref)
        return self.by_library.get(model.library) if model is not None else None

    def adapter_of(self, thing: Thing) -> Adapter | None:
        owner = thing.session if isinstance(thing, Block | Query) and thing.session is not None else thing
        return self.by_library.get(getattr(owner, "library", "") or SqlAlchemy.library)

    def thing(self, value: Value) -> Thing | None:
        """The database object that a value is, made up from its type where only that is known."""
        obj = value.obj
        if isinstance(obj, Thing):
            return obj
        if not isinstance(obj, Heap) or isinstance(obj, Row):
            return None
        held = obj.fields.get("(thing)")
        if held is not None:
            return held.obj if isinstance(held.obj, Thing) else None
        for adapter, name in self.libraries_of(obj.type):
            found = adapter.thing_of_type(name)
            if found is not None:
                if isinstance(found, Session):
                    found.term = value.term
                found.location = obj.location
                obj.fields["(thing)"] = Value(found)
                return found
        return None

    def libraries_of(self, kind: Type) -> list[tuple[Adapter, str]]:
        """The libraries that an object of a type may come from, with the names that it has there."""
        if kind not in self._libraries:
            names = [kind.name] if kind.kind == "external" else []
            if kind.kind == "instance" and kind.ref is not None:
                names = sorted(self.core.program.bases(kind.ref))
            adapters = [(self.by_package.get(name.partition(".")[0]), name) for name in names]
            self._libraries[kind] = [(adapter, name) for adapter, name in adapters if adapter is not None]
        return self._libraries[kind]

    def guess(self, receiver: Value, name: str, args: list[Value], node: ast.AST) -> Session | None:
        """A session of which nothing is known but that it is given statements or mapped objects.

        It is an asynchronous one when one of its calls is awaited.
        """
        if isinstance(receiver.obj, ClassValue | External) or not receiver.term:
            return None
        known = self.guessed.get(receiver.term)
        awaited = self.core.awaiting is node
        if known is not None and (name in _TELLING or name in _LATER):
            known.is_async = known.is_async or awaited
            return known
        if name not in _TELLING or not args or not self.tells(name, args[0]):
            return None
        made = Session(known=False, term=receiver.term, is_async=awaited)
        if isinstance(receiver.obj, Heap):
            made.location = receiver.obj.location
        self.guessed[receiver.term] = made
        return made

    def tells(self, name: str, first: Value) -> bool:
        """Whether only a session would be given this."""
        obj = first.obj
        if name in ("get", "query"):
            return self.statements.model_of(first) is not None or (name == "query" and isinstance(obj, Column))
        if name in ("add", "delete", "refresh"):
            return isinstance(obj, Row)
        if name == "add_all":
            return isinstance(obj, Heap) and isinstance(obj.fields.get("[*]", NOTHING).obj, Row)
        return isinstance(obj, Query)

    def construct(self, cls: ClassValue, args: list[Value], kwargs: dict[str, Value], node: ast.Call) -> Value | None:
        """`Model(...)`: an object that is no row yet."""
        model = self.models.of(cls.ref)
        if model is None:
            return copy_of(cls, kwargs["**"]) if "**" in kwargs else None
        row = Row(Type("instance", cls.ref), node=node, table=table_of(model), decided=self.core.state.control)
        for name, value in kwargs.items():
            row.fields[f".{name}"] = value
        every = [*args, *kwargs.values()]
        return Value(row, frozenset().union(*(v.reads for v in every)), "", any(v.request for v in every), "new")

    # -- texts and tables --------------------------------------------------------------------

    def sql_text(self, text: str) -> SqlText | None:
        """The SQL that a constant is; the same object for the same text."""
        if text not in self.texts:
            self.texts[text] = SqlText(text) if is_sql(text) else None
        return self.texts[text]

    def formatted_sql(self, parts: list[Value], written: Sequence[ast.expr] = ()) -> SqlText | None:
        """The SQL that an f-string, or a sum of strings, is; `written` are the expressions of an f-string."""
        made = put_together(parts, [named_in(node) for node in written])
        if made is None:
            return None
        return self.texts.setdefault(f"{made.exact}:{made.text}", made)

    @staticmethod
    def column_name(value: Value) -> str:
        """The name of the column that a key of a dict display is; empty for any other key."""
        return value.obj.name if isinstance(value.obj, Column) else ""

    def table_variable(self, path: str, name: str) -> Value | None:
        """`users = Table("users", ...)` of a module."""
        model = self.models.table(Ref("variable", path, name))
        return Value(TableThing(model), term=f"{path}:{name}") if model is not None else None

    def awaited(self, thing: Thing, node: ast.AST) -> Value | None:
        """`await thing`: a transaction is begun by that, a query is run."""
        adapter = self.adapter_of(thing)
        if adapter is None or isinstance(thing, Session | Query | Result):
            return None
        if isinstance(thing, Block):
            adapter.enter(thing, node)
            return None
        return adapter.awaited(thing, node)

    def adopted(self, value: Value, node: ast.arg, beside: list[Value]) -> Value:
        """A parameter of a mapped class of which nothing else is known: a row that somebody has loaded."""
        obj = value.obj
        if not isinstance(obj, Heap) or isinstance(obj, Row) or value.request or obj.location is not None:
            return value
        model = self.models.of(obj.type.ref) if obj.type.kind == "instance" and obj.type.ref is not None else None
        if model is None:
            return value
        session = next((t for t in map(self.thing, beside) if isinstance(t, Session)), None)
        mapper = self.by_library.get(model.library)
        if isinstance(mapper, ObjectMapper):
            session = mapper.default  # nothing is written before `save()`
        session = session or Session(known=False, term=node.arg)
        query = Query("select", model, exact=False, form="parameter", spot=self.rows.spot(node))
        read = self.rows.select(session, query, node)
        row = self.rows.make_row(query, session, read)
        row.term = value.term
        return Value(row, value.reads, value.term, value.request, value.made)

    def returned(self, function: FunctionValue, value: Value) -> Value:
        """What a function gives of which only its annotation says that it is a session: one for a request."""
        node = function.node
        if isinstance(node, ast.Lambda) or node.returns is None or not self.core.recording:
            return value
        arguments = node.args
        if arguments.posonlyargs or arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
            return value
        kind, _ = self.core.type_of_annotation(function.ref.path, node.returns, function.ref.name)
        key = f"{function.ref.path}:{function.ref.name}()"
        if key not in self.guessed:
            found = self.thing(Value(Heap(kind), term=key))
            if not isinstance(found, Session):
                return value
            self.guessed[key] = found
        self.rows.trace.clock += 1
        return Value(self.guessed[key], value.reads, key, value.request, value.made)

    # -- attributes and elements -----------------------------------------------------------

    def attribute(self, value: Value, name: str, node: ast.AST) -> Value | None:
        """`value.name` where that concerns a database."""
        obj = value.obj
        if isinstance(obj, Row):
            return self.row_attribute(obj, value, name, node)
        if isinstance(obj, ClassValue):
            return self.class_attribute(obj, name, node)
        if isinstance(obj, Heap) and self.is_dump(obj, name, node):
            return Value(Method(value, name), value.reads, "", value.request)
        thing = self.thing(value)
        if thing is None:
            return None
        adapter = self.adapter_of(thing)
        found = adapter.attribute(thing, name, node) if adapter is not None else None
        if found is not None:
            return found.also(value)
        return Value(Method(value, name), value.reads, "", value.request) if isinstance(obj, Thing) else None

    def class_attribute(self, cls: ClassValue, name: str, node: ast.AST) -> Value | None:
        model = self.models.of(cls.ref)
        if model is None:
            own = name not in VALIDATORS or self.core.program.method(cls.ref, name) is not None
            return None if own or not self.is_pydantic(cls.ref) else Value(Method(Value(cls), name))
        if name in model.columns:
            return Value(Column(model, name), term=f"{cls.ref.name}.{name}")
        if name == "__table__":
            return Value(TableThing(model))
        if name == "query" and model.library == SqlAlchemy.library:
            return self.query_of(cls, node)
        if name in VALIDATORS and self.core.program.method(cls.ref, name) is None:
            return Value(Method(Value(cls), name))
        if model.library in self.by_library and model.library != SqlAlchemy.library:
            return Value(Method(Value(cls), name)) if self.core.program.method(cls.ref, name) is None else None
        return None

    def query_of(self, cls: ClassValue, node: ast.AST) -> Value | None:
        """`Model.query` of `scoped_session.query_property()`: a query of the session that the request has."""
        adapter, factory = self.by_library.get(SqlAlchemy.library), sessions_of(self.core, cls.ref)
        if not isinstance(adapter, SqlAlchemy) or factory is None:
            return None
        return adapter.queried(adapter.scope(factory, node), [Value(cls)], node)

    def row_attribute(self, row: Row, value: Value, name: str, node: ast.AST) -> Value | None:
        model = self.rows.model_of(row)
        if name in ("_mapping", "_fields"):
            return value
        own = row.type.ref is not None and self.core.program.method(row.type.ref, name) is not None
        if (name in ROW_METHODS or name == "sqlmodel_update") and id(node) in self.core.callees and not own:
            return Value(Method(value, name), value.reads)
        if row.copied:
            return None if own else self.rows.column_value(row, name, node)
        if model is None:
            if row.origin is not None and not name.startswith("_"):
                return self.rows.column_value(row, name, node)
            return None
        if name in model.columns or (row.type.ref is None and not name.startswith("_")):
            return self.rows.column_value(row, name, node)
        related = model.relationships.get(name)
        if related is not None and f".{name}" not in row.fields:
            return self.related(row, related, value)
        if model.library in self.by_library and model.library != SqlAlchemy.library and not own:
            return Value(Method(value, name), value.reads) if id(node) in self.core.callees else None
        return None

    def related(self, row: Row, related: Relationship, value: Value) -> Value | None:
        """`order.lines`: rows that a relationship leads to."""
        model = self.models.of(related.target) if related.target is not None else None
        origin, session = row.origin, row.session
        if model is None or not isinstance(origin, RowRead) or not isinstance(session, Session):
            return None
        key = self.key_of_owner(row, model) if related.uselist else ""
        asked = (Condition(model, key, "==", NOTHING),) if key else ()
        query = replace(origin.query, model=model, form="relationship", conditions=asked, exact=False, limited=False)
        read = replace(
            origin, query=query, location=table_of(model), what="row", how="row", key=f"?{query.serial}", earlier=None
        )
        element = self.rows.row_value(read, query, session)
        row.fields[f".{related.name}"] = element
        if related.uselist:
            listed = Heap(Type("list"), fields={"[*]": element, "(of)": Value(row, term=related.name)})
            many_ = Value(listed, element.reads, "", False, "call")
            row.fields[f".{related.name}"] = many_
            return many_
        return element

    def key_of_owner(self, row: Row, model: Model) -> str:
        """The column by which rows of another table say that they are this one's; empty where there is not one."""
        owner = self.rows.model_of(row)
        keys = [c.name for c in model.columns.values() if c.foreign_key]
        own = [k for k in keys if owner and model.columns[k].foreign_key.partition(".")[0] == owner.table]
        return own[0] if len(own) == 1 else ""

    def element(self, value: Value, key: Value, node: ast.AST) -> Value | None:
        """`value[key]`."""
        obj = value.obj
        if isinstance(obj, Row):
            name = column_named(obj, key)
            return self.rows.column_value(obj, name, node) if name else value
        if isinstance(obj, Store):
            adapter = self.adapter_of(obj)
            return adapter.element(obj, key) if isinstance(adapter, Mongo) else None
        if isinstance(obj, Result):
            return one(self.rows, obj, node, obj.scalars)
        if isinstance(obj, TableThing):
            name = key.term.strip("'\"")
            return Value(Column(obj.model, name)) if name in obj.model.columns else NOTHING
        return None

    def iterated(self, value: Value, node: ast.AST) -> Value | None:
        """What a loop over a result yields."""
        obj = value.obj
        if isinstance(obj, Query) and obj.session is not None:
            adapter = self.adapter_of(obj)
            value = (adapter.method(obj, "all", [], {}, _ALL) if adapter is not None else None) or value
            return value.obj.fields["[*]"] if isinstance(value.obj, Heap) else NOTHING
        if isinstance(obj, Cursor | Pending):
            adapter = self.adapter_of(obj)
            fetched = adapter.method(obj, "__iter__", [], {}, _ALL) if adapter is not None else None
            rows = fetched.obj if fetched is not None else None
            return rows.fields["[*]"].also(value) if isinstance(rows, Heap) else None
        if isinstance(obj, Result):
            listed = many(self.rows, obj, node).obj
            return listed.fields["[*]"].also(value) if isinstance(listed, Heap) else None
        return value if isinstance(obj, Row) else None

    @staticmethod
    def taken_first(value: Value) -> None:
        """One of the rows of an ordered list is chosen: its first or its last, or what a test finds first."""
        origin = value.obj.origin if isinstance(value.obj, Row) else None
        if isinstance(origin, RowRead):
            origin.query.topmost |= origin.query.ordered
            origin.query.picked = True

    def asked_of_each(self, value: Value, *, taken: bool) -> None:
        """A test is made of one row after the other: what it asks is what it chooses by.

        `taken` where the first that fits ends the search.
        """
        for read in value.reads:
            if isinstance(read, RowRead) and read.what == "column" and read.row is not None:
                read.row.asked.add(read.column)
                if taken:
                    self.taken_first(Value(read.row))

    # -- operators ---------------------------------------------------------------------------

    def compared(self, left: Value, operator: ast.cmpop, right: Value) -> Value | None:
        if not isinstance(left.obj, Column | Expression) and not isinstance(right.obj, Column | Expression):
            self.rows.weigh(left, operator, right)
            return None
        return self.statements.compared(left, operator, right)

    def combined(self, left: Value, operator: ast.operator, right: Value) -> Value | None:
        kinds = (Column, Expression, Conditions)
        if isinstance(operator, ast.Add) and isinstance(left.obj, SqlText):
            text = self.formatted_sql([left, right])
            return Value(text).also(left, right) if text is not None else None
        if not isinstance(left.obj, kinds) and not isinstance(right.obj, kinds):
            return None
        return self.statements.combined(left, operator, right)

    def all_of(self, parts: list[Value]) -> Value:
        """What is known of conditions that a comprehension has made, one for each name: all of them together."""
        if not all(isinstance(part.obj, Conditions) for part in parts):
            return parts[-1]
        return Value(self.statements.together(parts, True)).also(*parts)

    @staticmethod
    def whether_found(reads: frozenset[Read]) -> frozenset[Read]:
        """Reads by which it is known whether a row is there, instead of what it says."""
        rows = {r: r.row.origin for r in reads if isinstance(r, RowRead) and r.what == "column" and r.row is not None}
        return reads - rows.keys() | {origin for origin in rows.values() if isinstance(origin, RowRead)}

    # -- with, try ------------------------------------------------------------------------------

    def enter(self, value: Value, node: ast.AST) -> tuple[Thing, Value] | None:
        """`with value as entered:`."""
        thing = self.thing(value)
        adapter = self.adapter_of(thing) if thing is not None else None
        entered = adapter.enter(thing, node) if adapter is not None and thing is not None else None
        return (thing, entered) if thing is not None and entered is not None else None

    def leave(self, thing: Thing, node: ast.AST) -> None:
        if isinstance(thing, Session):
            self.sessions.closed.add(thing)
        adapter = self.adapter_of(thing)
        if adapter is not None:
            adapter.leave(thing, node)


def expected(program: Program, ref: Ref | None, handlers: list[ast.ExceptHandler]) -> frozenset[Caught]:
    """The exceptions that handlers in a function answer: those that they only pass on do not count."""
    caught: set[Caught] = set()
    for handler in handlers:
        last = handler.body[-1]
        passed = isinstance(last, ast.Raise) and _is_passed(last, handler)
        if passed and not any(_answers(n, handler) for s in handler.body for n in ast.walk(s)):
            continue
        types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = (_imported(program, ref, node) if node is not None else "BaseException" for node in types)
        caught.update(Caught(name, _only_fails(handler)) for name in names)
    return frozenset(caught)


def _only_fails(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does nothing but raise, and always the same: `raise HTTPException(500)`."""
    ways = [n for s in handler.body for n in ast.walk(s) if isinstance(n, ast.Raise | ast.Return | ast.Continue)]
    return len(ways) == 1 and ways[0] is handler.body[-1] and isinstance(ways[0], ast.Raise)


def _imported(program: Program, ref: Ref | None, node: ast.expr) -> str:
    """What an exception is called where it comes from: `from sqlalchemy.exc import IntegrityError as Taken`."""
    name = dotted(node)
    found = program.resolve(ref.path, name, ref.name) if ref is not None and name else None
    if found is not None and found[0].kind == "external":
        name = ".".join((found[0].name, *found[1]))
    return name.rpartition(".")[2]


def _answers(node: ast.AST, handler: ast.ExceptHandler) -> bool:
    """Whether a statement of a handler leaves with something else than the exception that was caught."""
    if isinstance(node, ast.Raise):
        return not _is_passed(node, handler)
    return isinstance(node, ast.Return | ast.Continue)


def _is_passed(node: ast.Raise, handler: ast.ExceptHandler) -> bool:
    return node.exc is None or _is_same(node.exc, handler.name)


def _is_same(raised: ast.expr, name: str | None) -> bool:
    return isinstance(raised, ast.Name) and raised.id == name
