"""Beanie: documents that are loaded, changed and saved as a whole, and updates with operators."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.documents import ObjectMapper, Pending
from autolock.database.models import Model
from autolock.database.objects import Expression, Query
from autolock.program.values import Heap, Row, Thing, Type, Value

_SELECTS = {"find_one": "one", "find": "many", "find_many": "many", "find_all": "many", "all": "many"}
_ENDS = {"first_or_none": "first", "to_list": "many", "count": "count", "exists": "exists", "__iter__": "many"}
_UPDATES = frozenset({"Set", "Inc", "Mul", "Min", "Max", "Push", "Pull", "AddToSet", "Pop", "CurrentDate"})
_OPERATORS = frozenset({"inc", "update", "update_one", "upsert", "set", "current_date"})


class Beanie(ObjectMapper):
    """Each call is a transaction of its own."""

    library: ClassVar[str] = "beanie"
    packages: ClassVar[tuple[str, ...]] = ("beanie",)

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        short = name.rpartition(".")[2]
        if ".operators." not in name or short not in _UPDATES or not args:
            return None
        return Value(Heap(Type("dict"), fields={f"['${short[:1].lower()}{short[1:]}']": args[0]})).also(args[0])

    def thing_of_type(self, name: str) -> Thing | None:
        return None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if not isinstance(thing, Pending):
            return self.statements.method(thing, name, args, kwargs, node)
        if name in _ENDS:
            return self.ran(replace(thing, how=_ENDS[name]), node)
        if name == "delete":
            self.rows.run(thing.session, replace(thing.query, kind="delete"), node)
            return Value(None, made="rowcount")
        if name in _OPERATORS:
            return self.operate(thing.query, name, args, node)
        query = thing.query
        if name in ("find", "find_one"):
            query = self.where(query, args, {})
        if name in ("sort", "limit"):
            query = replace(query, ordered=query.ordered or name == "sort", limited=query.limited or name == "limit")
        return Value(replace(thing, query=query))

    def operate(self, query: Query, name: str, args: Args, node: ast.AST) -> Value:
        """`query.inc({...})`, `query.set({...})`, `query.update({"$set": ...})`."""
        values = self.assigned(name, args)
        self.rows.run(self.default, replace(query, kind="update", values=values), node)
        return Value(None, made="call")

    def assigned(self, name: str, args: Args) -> dict[str, Value]:
        """What an update sets; operators other than `$set` compute in the database."""
        found: dict[str, Value] = {}
        for arg in args[:1]:
            for key, value in self.statements.assigned(arg).items():
                if key.startswith("$"):
                    inner = self.statements.assigned(value)
                    found.update(inner if key == "$set" else dict.fromkeys(inner, Value(Expression(()))))
                else:
                    found[key] = value if name == "set" else Value(Expression(()))
        return found

    def model_method(self, model: Model, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if name == "get" and args:
            key = {next((c.name for c in model.columns.values() if c.primary_key), "id"): args[0]}
            return Value(self.select(model, node, "one", [], key))
        if name in _SELECTS:
            return Value(self.select(model, node, _SELECTS[name], args, {}))
        if name == "count":
            return self.ran(self.select(model, node, "count", [], {}), node)
        if name == "insert_one" and args and isinstance(args[0].obj, Row):
            return self.insert(model, args[0].obj, node)
        return None

    def object_method(
        self, model: Model, row: Row, name: str, args: Args, kwargs: Kwargs, node: ast.Call
    ) -> Value | None:
        if name in ("insert", "create"):
            return self.insert(model, row, node)
        if name in ("save", "replace"):
            return self.save(model, row, node, True)
        if name == "save_changes":
            return self.save(model, row, node, False)
        if name == "delete":
            return self.remove(Value(row), node)
        if name in _OPERATORS and row.origin is not None:
            for column, value in self.assigned(name, args).items():
                self.rows.write(self.default, model, "update", "assign", node, value, column=column, row=row)
            self.rows.done(self.default, node)
            return Value(row)
        if name == "sync":
            return self.reload(row, Query("select", model, form="refresh", spot=self.rows.spot(node)), node)
        return None
