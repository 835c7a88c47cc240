"""`databases`: one object for the application, which commits every statement that is in no transaction."""

from __future__ import annotations

import ast
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver, first
from autolock.database.objects import Block, Session
from autolock.program.values import Thing, Value

_RUNNING = {
    "fetch_one": "one",
    "fetch_all": "many",
    "iterate": "many",
    "fetch_val": "value",
    "execute": "value",
    "execute_many": "count",
}


class Databases(Driver):
    """`Database(url)`, its transactions, and its connections, which are those of the task."""

    library: ClassVar[str] = "databases"
    packages: ClassVar[tuple[str, ...]] = ("databases",)

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return Value(self.session(node), made="new") if name.endswith(".Database") else None

    def thing_of_type(self, name: str) -> Thing | None:
        return self.session(known=False) if name.endswith((".Database", ".Connection")) else None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Block):
            return self.block_method(thing, name, node)
        if not isinstance(thing, Session):
            return self.statements.method(thing, name, args, kwargs, node)
        self.rows.named(thing, node)
        if name in _RUNNING:
            values = args[1] if len(args) > 1 else kwargs.get("values")
            result = self.run(thing, first(args, kwargs, "query"), node, values, [])
            if name == "execute" and result.query.kind == "insert":
                result.query.returning = True  # the key of the new row comes back, asked for or not
            return self.given(result, _RUNNING[name], node)
        if name == "transaction":
            return Value(Block(thing), made="new")
        return Value(thing if name == "connection" else None, made="call")
