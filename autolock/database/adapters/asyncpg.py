"""asyncpg: pools and connections, which commit every statement that is in no `transaction()`."""

from __future__ import annotations

import ast
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver, first, spread_first
from autolock.database.objects import Block, Session
from autolock.program.values import Thing, Value

_RUNNING = {
    "fetchrow": "one",
    "fetch": "many",
    "cursor": "many",
    "fetchval": "value",
    "execute": "count",
}


class Asyncpg(Driver):
    """Each call through a pool may take another connection; one that was acquired stays the same."""

    library: ClassVar[str] = "asyncpg"
    packages: ClassVar[tuple[str, ...]] = ("asyncpg",)

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        short = name.rpartition(".")[2]
        if short not in ("create_pool", "connect", "Pool"):
            return None
        return Value(self.session(node, pooled=short != "connect"), made="new")

    def thing_of_type(self, name: str) -> Thing | None:
        short = name.rpartition(".")[2]
        known = short in ("Pool", "Connection", "PoolConnectionProxy")
        return self.session(known=False, pooled=short == "Pool") if known else None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Block):
            return self.block_method(thing, name, node)
        if not isinstance(thing, Session):
            return None
        self.rows.named(thing, node)
        if name in _RUNNING:
            return self.given(self.run(thing, first(args, kwargs, "query"), node, None, args[1:]), _RUNNING[name], node)
        if name == "executemany":
            self.run(thing, first(args, kwargs, "command"), node, None, spread_first(args[1:]))
            return Value(None, made="call")
        if name == "acquire":
            return Value(self.session(node), made="new")
        if name == "transaction":
            return Value(Block(thing), made="new")
        return Value(None, made="call")
