"""Tortoise ORM: queries of classes, `save()` of whole rows, and transactions of the running task."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.documents import ObjectMapper, Pending
from autolock.database.models import Model
from autolock.database.objects import Block, Conditions, Expression, Query
from autolock.program.values import NOTHING, Group, Row, Thing, Value

_SELECTS = {
    "get": "one",
    "get_or_none": "one",
    "first": "first",
    "last": "first",
    "filter": "many",
    "exclude": "many",
    "all": "many",
    "select_for_update": "many",
    "exists": "exists",
    "count": "count",
}


class Tortoise(ObjectMapper):
    """One connection for what runs now: `in_transaction()` holds for every query inside it."""

    library: ClassVar[str] = "tortoise"
    packages: ClassVar[tuple[str, ...]] = ("tortoise",)

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        short = name.rpartition(".")[2]
        if short in ("in_transaction", "atomic"):
            return Value(Block(self.default), made="new")
        if name.startswith("tortoise.expressions.") and short in ("F", "RawSQL", "Subquery"):
            return Value(Expression(()), made="new")
        if name.startswith("tortoise.expressions.") and short == "Q":
            all_of = kwargs.pop("join_type", NOTHING).term in ("", "'AND'")
            asked = self.where(Query("select", None), args, kwargs)
            return Value(Conditions(asked.conditions, asked.exact and all_of), made="new")
        return None

    def thing_of_type(self, name: str) -> Thing | None:
        return None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Block):
            return self.block_method(thing, name, node)
        if not isinstance(thing, Pending):
            return None
        query = thing.query
        if name == "__iter__":
            return self.ran(thing, node)
        if name in ("update", "delete"):
            self.rows.run(thing.session, replace(query, kind=name, values=dict(kwargs)), node)
            return Value(None, term=f"rowcount{query.serial}", made="rowcount")
        if name == "select_for_update":
            query = replace(query, locks=True, skips_locked=kwargs.get("skip_locked", Value()).term == "True")
        elif name in ("filter", "get", "get_or_none"):
            query = self.where(query, args, kwargs)
        elif name == "exclude":
            query = replace(query, exact=False)
        elif name in ("order_by", "limit"):
            query = replace(
                query, ordered=query.ordered or name == "order_by", limited=query.limited or name == "limit"
            )
        how = (
            _SELECTS.get(name, thing.how)
            if name not in ("filter", "exclude", "all", "select_for_update")
            else thing.how
        )
        return Value(replace(thing, query=query, how=how))

    def model_method(self, model: Model, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if name in _SELECTS:
            pending = self.select(model, node, _SELECTS[name], args, {} if name == "select_for_update" else kwargs)
            return Value(replace(pending, query=replace(pending.query, locks=name == "select_for_update")))
        if name == "create":
            return self.added(model, kwargs, node)
        if name in ("get_or_create", "update_or_create"):
            asked = {k: v for k, v in kwargs.items() if k not in ("defaults", "using_db")}
            return Value(Group([self.ran(self.select(model, node, "one", args, asked), node), Value(made="call")]))
        return None

    def object_method(
        self, model: Model, row: Row, name: str, args: Args, kwargs: Kwargs, node: ast.Call
    ) -> Value | None:
        if name == "save":
            return self.save(model, row, node, "update_fields" not in kwargs and not args)
        if name == "delete":
            return self.remove(Value(row), node)
        if name == "refresh_from_db":
            return self.reload(row, Query("select", model, form="refresh", spot=self.rows.spot(node)), node)
        return None
