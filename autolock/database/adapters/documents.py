"""What object mappers have in common that write with `save()`: queries that run when awaited, whole objects written."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver
from autolock.database.adapters.results import many, one, reads_of
from autolock.database.models import Model
from autolock.database.objects import Condition, Query, Result, Session
from autolock.database.rows import Rows, table_of
from autolock.program.values import NO_READS, NOTHING, ClassValue, Row, Thing, Type, Value

#: `balance__gte=10`: how the comparison of a keyword is called.
_SUFFIXES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in", "not": "!=", "range": "between"}


@dataclass(slots=True, eq=False)
class Pending(Thing):
    """A query that has not run yet, and what it will give: one, many, count or exists."""

    library: str
    session: Session
    query: Query
    how: str = "many"


class ObjectMapper(Driver):
    """The part of an adapter that knows queries of classes, and objects that are saved as a whole."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.default = self.session()

    # -- queries -------------------------------------------------------------------------

    def select(self, model: Model, node: ast.AST, how: str, args: Args, kwargs: Kwargs) -> Pending:
        query = Query("select", model, form=self.library, session=self.default, spot=self.rows.spot(node))
        return Pending(self.library, self.default, self.where(query, args, kwargs), how)

    def where(self, query: Query, args: Args, kwargs: Kwargs) -> Query:
        """The query with conditions: `name=value`, comparisons of columns, `{"name": value}`."""
        items, exact = [], True
        for name, value in kwargs.items():
            column, _, suffix = name.partition("__")
            exact = exact and name != "**"
            items.append(Condition(query.model, column, _SUFFIXES.get(suffix, suffix) or "==", value))
        plain: Args = []
        for arg in args:
            named = self.statements.assigned(arg)
            items += [Condition(query.model, k, "==" if v.obj is None else "?", v) for k, v in named.items()]
            if not named:
                plain.append(arg)
        query = self.statements.where(query, plain)
        return replace(query, conditions=(*query.conditions, *items), exact=query.exact and exact)

    def ran(self, pending: Pending, node: ast.AST) -> Value:
        """What an awaited query gives."""
        entity = {"count": "aggregate", "exists": "exists"}.get(pending.how, pending.query.entity)
        query = replace(pending.query, entity=entity, limited=pending.query.limited or pending.how == "first")
        result = Result(query, pending.session, self.rows.run(pending.session, query, node))
        if pending.how == "many":
            return many(self.rows, result, node)
        if pending.query.kind != "select":
            return Value(None, made="rowcount")
        if pending.how in ("count", "exists"):
            return Value(None, reads_of(result), made="call")
        return one(self.rows, result, node, False)

    def awaited(self, thing: Thing, node: ast.AST) -> Value | None:
        return self.ran(thing, node) if isinstance(thing, Pending) else None

    # -- objects ---------------------------------------------------------------------------

    def added(self, model: Model, fields: dict[str, Value], node: ast.AST) -> Value:
        """A new row."""
        row = Row(Type("instance", model.ref), node=node, table=table_of(model))
        row.fields.update({f".{name}": value for name, value in fields.items()})
        return self.insert(model, row, node)

    def insert(self, model: Model, row: Row, node: ast.AST) -> Value:
        reads = NO_READS.union(*(v.reads for v in row.fields.values()))
        row.session = self.default
        self.rows.write(self.default, model, "insert", "insert", node, Value(row, reads, made="new"), row=row)
        self.rows.done(self.default, node)
        return Value(row, made="new")

    def save(self, model: Model, row: Row, node: ast.AST, whole: bool) -> Value:
        """Write what was assigned, and, `whole`, all other columns as they were loaded."""
        if row.origin is None:
            return self.insert(model, row, node) if row.session is None else Value(row)
        changes = self.rows.unsaved.pop(row, {})
        for name, change in changes.items():
            self.rows.write(
                self.default,
                model,
                "attribute",
                change.kind,
                change.node,
                change.value,
                column=name,
                row=row,
                own=change.own,
            )
        for name, column in model.columns.items() if whole else ():
            if name not in changes and not column.primary_key:
                value = self.rows.column_value(row, name, node)
                self.rows.write(self.default, model, "save", "assign", node, value, column=name, row=row)
        self.rows.done(self.default, node)
        return Value(row)

    def remove(self, row: Value, node: ast.AST) -> Value:
        self.rows.remove(self.default, row, node)
        self.rows.done(self.default, node)
        return NOTHING

    def reload(self, row: Row, query: Query, node: ast.AST) -> Value:
        """The object is read again."""
        read = self.rows.select(self.default, query, node)
        if row.origin is not None and read is not None:
            row.origin = read
            row.reads.clear()
            row.fields.clear()
        return NOTHING

    def class_method(self, cls: ClassValue, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        model = self.rows.models.of(cls.ref)
        if model is None:
            return None
        first = args[0].obj if args else None
        if isinstance(first, Row) and first.type.ref == cls.ref and name not in self.takes_object:
            return self.object_method(model, first, name, args[1:], kwargs, node)
        return self.model_method(model, name, args, kwargs, node)

    #: Class methods that are given an object of the class.
    takes_object: ClassVar[frozenset[str]] = frozenset({"insert_one", "bulk_create", "insert_many"})

    def object_method(
        self, model: Model, row: Row, name: str, args: Args, kwargs: Kwargs, node: ast.Call
    ) -> Value | None:
        """A method of an object."""
        raise NotImplementedError

    def model_method(self, model: Model, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """A method of a class."""
        raise NotImplementedError
