"""Piccolo: queries of tables that run when awaited, `save()` of whole rows, transactions of an engine."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.documents import ObjectMapper, Pending
from autolock.database.models import Model
from autolock.database.objects import Block, Query, Session
from autolock.program.values import Group, Row, Thing, Value

_SELECTS = {"select": "many", "objects": "many", "exists": "exists", "count": "count"}
_ENGINES = frozenset({"PostgresEngine", "SQLiteEngine", "CockroachEngine", "engine_finder"})


class Piccolo(ObjectMapper):
    """One connection for what runs now: a transaction of the engine holds for every query inside it."""

    library: ClassVar[str] = "piccolo"
    packages: ClassVar[tuple[str, ...]] = ("piccolo",)

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return Value(self.default, made="new") if name.rpartition(".")[2] in _ENGINES else None

    def thing_of_type(self, name: str) -> Thing | None:
        return self.default if name.rpartition(".")[2] in _ENGINES else None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Session):
            return Value(Block(thing) if name in ("transaction", "atomic") else None, made="new")
        if isinstance(thing, Block):
            return self.block_method(thing, name, node)
        if not isinstance(thing, Pending):
            return self.statements.method(thing, name, args, kwargs, node)
        if name in ("__iter__", "run", "run_sync"):
            return self.ran(thing, node)
        query, how = thing.query, thing.how
        if name in ("where", "get"):
            query = self.where(query, args, {})
        if name == "lock_rows":
            query = replace(query, locks=True, skips_locked=kwargs.get("skip_locked", Value()).term == "True")
        if name in ("order_by", "limit"):
            query = replace(
                query, ordered=query.ordered or name == "order_by", limited=query.limited or name == "limit"
            )
        if name in ("first", "get"):
            how = "first" if name == "first" else "one"
        if name == "get_or_create":
            return Value(replace(thing, query=self.where(query, args[:1], {}), how="one"))
        return Value(replace(thing, query=query, how=how))

    def model_method(self, model: Model, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if name in _SELECTS:
            return Value(self.select(model, node, _SELECTS[name], [], {}))
        if name in ("update", "delete"):
            pending = self.select(model, node, "count", [], {})
            values = self.statements.assigned(args[0]) if args else dict(kwargs)
            return Value(replace(pending, query=replace(pending.query, kind=name, values=values)))
        if name == "insert":
            for item in args:
                if isinstance(item.obj, Row) and item.obj.origin is None:
                    self.insert(model, item.obj, node)
            return Value(Group([]), made="call")
        return None

    takes_object: ClassVar[frozenset[str]] = frozenset({"insert"})

    def object_method(
        self, model: Model, row: Row, name: str, args: Args, kwargs: Kwargs, node: ast.Call
    ) -> Value | None:
        if name == "save":
            return self.save(model, row, node, not args and "columns" not in kwargs)
        if name == "remove":
            return self.remove(Value(row), node)
        if name == "refresh":
            return self.reload(row, Query("select", model, form="refresh", spot=self.rows.spot(node)), node)
        return None
