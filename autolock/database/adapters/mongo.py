"""pymongo and motor: collections of a database, each call of which is a transaction of its own."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver, first
from autolock.database.objects import Condition, Expression, Query, Result, Session
from autolock.database.rows import Rows
from autolock.program.values import NOTHING, Heap, Thing, Value

_CLIENTS = frozenset({"MongoClient", "AsyncMongoClient", "AsyncIOMotorClient"})
_DATABASES = frozenset({"Database", "AsyncDatabase", "AsyncIOMotorDatabase"})
_FINDS = {"find_one": "one", "find": "many", "count_documents": "count"}
_UPDATES = frozenset({"update_one", "update_many", "find_one_and_update"})
_DELETES = frozenset({"delete_one", "delete_many", "find_one_and_delete"})
#: Operators that come to the same whether they are applied once or twice.
_SETTLING = frozenset({"$pull", "$pullAll", "$addToSet", "$unset", "$setOnInsert", "$max", "$min", "$currentDate"})
_SETTLED, _COMPUTED = Value(None, made="settled"), Value(Expression(()))


@dataclass(slots=True, eq=False)
class Store(Thing):
    """A client, a database or a collection, by how many names lead to it."""

    library: str = "mongo"
    names: tuple[str, ...] = ()


class Mongo(Driver):
    """Documents are plain mappings; what is written is said in the call."""

    library: ClassVar[str] = "mongo"
    packages: ClassVar[tuple[str, ...]] = ("pymongo", "motor")

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.default: Session = self.session()

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return Value(Store(), made="new") if name.rpartition(".")[2] in _CLIENTS else None

    def thing_of_type(self, name: str) -> Thing | None:
        short = name.rpartition(".")[2]
        if short in _CLIENTS:
            return Store()
        return Store(names=("",)) if short in _DATABASES else None

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        if not isinstance(thing, Store) or id(node) in self.core.callees or len(thing.names) > 1:
            return None
        return self.inner(thing, name)

    def element(self, thing: Thing, key: Value) -> Value | None:
        quoted = key.term[:1] in ("'", '"')
        name = key.term[1:-1] if quoted else key.term.rpartition(".")[2]
        return self.inner(thing, name if key.made == "const" else "") if isinstance(thing, Store) else None

    @staticmethod
    def inner(store: Store, name: str) -> Value:
        """`client[name]` and `database[name]`; the same name means the same collection."""
        return Value(Store(names=(*store.names, name)), term=".".join((*store.names, name)))

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if not isinstance(thing, Store):
            return None
        if name in ("get_database", "get_default_database", "get_collection"):
            return self.element(thing, args[0]) if args else self.inner(thing, "")
        if len(thing.names) < 2 or not thing.names[-1]:
            return Value(None, made="call")
        return self.on_collection(thing.names[-1], name, args, kwargs, node)

    def on_collection(self, collection: str, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        model = self.rows.models.by_table(collection) or self.rows.models.unmapped(collection)
        query = self.where(Query("select", model, form="mongo"), first(args, kwargs, "filter"))
        if name in _FINDS:
            how = _FINDS[name]
            query = replace(query, entity="aggregate" if how == "count" else "row", spot=self.rows.spot(node))
            return self.given(self.result(query, node), how, node)
        if name in _UPDATES:
            return self.update(query, name, args, kwargs, node)
        if name in _DELETES:
            return self.given(self.result(replace(query, kind="delete"), node), "count", node)
        if name == "insert_one":
            values = self.statements.assigned(first(args, kwargs, "document"))
            values.pop("**", None)
            self.result(replace(query, kind="insert", conditions=(), values=values, unknown_values=not values), node)
        return Value(None, made="call")

    def update(self, query: Query, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        """`$set` writes what was computed; others compute in the database, or come to the same when done twice."""
        change = args[1] if len(args) > 1 else kwargs.get("update", NOTHING)
        values: dict[str, Value] = {}
        for operator, given in self.statements.assigned(change).items():
            for column, value in self.statements.assigned(given).items():
                values[column] = value if operator == "$set" else _SETTLED if operator in _SETTLING else _COMPUTED
        if kwargs.get("upsert", NOTHING).term != "True":
            self.result(replace(query, kind="update", values=values), node)
        return Value(None, term=f"rowcount{query.serial}", made="rowcount" if name != "find_one_and_update" else "call")

    def result(self, query: Query, node: ast.Call) -> Result:
        return Result(query, self.default, self.rows.run(self.default, query, node))

    def where(self, query: Query, given: Value) -> Query:
        """The query with what a filter asks."""
        items: list[Condition] = []
        for column, value in self.statements.assigned(given).items():
            operators = self.statements.assigned(value)
            if isinstance(value.obj, Heap) and operators:
                items += [Condition(query.model, column, operator, v) for operator, v in operators.items()]
            elif not column.startswith("$"):
                items.append(Condition(query.model, column, "==", value))
        return replace(query, conditions=tuple(items), exact=bool(items))
