"""What the libraries that only run statements have in common: a statement goes in, plain rows come out."""

from __future__ import annotations

import ast
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.results import many, one, reads_of
from autolock.database.adapters.statements import Statements
from autolock.database.objects import Block, Query, Result, Session
from autolock.database.rows import Rows
from autolock.program.values import NOTHING, ClassValue, Group, Heap, Thing, Value


class Driver:
    """The part of an adapter that runs statements and knows blocks; rows are no objects that a flush would write."""

    library: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    is_async: ClassVar[bool] = True

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.core = rows.core
        self.statements = Statements(rows)

    # -- sessions -------------------------------------------------------------------

    def session(
        self, node: ast.AST | None = None, *, autocommits: bool = True, known: bool = True, pooled: bool = False
    ) -> Session:
        """A pool or a connection."""
        return Session(
            library=self.library,
            is_async=self.is_async,
            autocommits=autocommits,
            pooled=pooled,
            maps=False,
            expires=False,
            autoflush=False,
            opened=self.rows.spot(node) if node is not None else None,
            known=known,
        )

    # -- statements -----------------------------------------------------------------

    def run(self, session: Session, given: Value, node: ast.Call, values: Value | None, positional: Args) -> Result:
        """Run a statement with its parameters."""
        query = self.statements.of(given, node)
        if query is None:
            self.rows.use(session)
            return Result(Query("other", None), session, None)
        named = {f"{mark}{index + first}": v for mark, first in _MARKS for index, v in enumerate(positional)}
        query = self.statements.bound(query, values, named)
        return Result(query, session, self.rows.run(session, query, node))

    def given(self, result: Result, how: str, node: ast.AST) -> Value:
        """What a library's method makes of a result: `one`, `value`, `many` or `count`."""
        if result.query.kind == "other" or how == "count":
            return Value(None, reads_of(result), made="call")
        if how == "many":
            return many(self.rows, result, node)
        return one(self.rows, result, node, how == "value")

    # -- the rest of an adapter -----------------------------------------------------------

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        return None

    def class_method(self, cls: ClassValue, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return None

    def awaited(self, thing: Thing, node: ast.AST) -> Value | None:
        return None

    def enter(self, thing: Thing, node: ast.AST) -> Value | None:
        if isinstance(thing, Block):
            self.rows.enter_block(thing.session)
            return Value(thing.gives or thing.session)
        return Value(thing) if isinstance(thing, Session) else None

    def leave(self, thing: Thing, node: ast.AST) -> None:
        if isinstance(thing, Block):
            self.rows.leave_block(thing.session, node)

    def block_method(self, block: Block, name: str, node: ast.AST) -> Value | None:
        """`begin`, `commit` and `rollback` of a transaction that is an object."""
        if name in ("start", "begin"):
            self.rows.enter_block(block.session)
        elif name == "commit":
            self.rows.leave_block(block.session, node)
        elif name == "rollback":
            self.rows.abandon_block(block.session)
        return Value(None, made="call")


_MARKS = (("$", 1), ("%s#", 0), ("?#", 0))


def spread(value: Value | None) -> Args:
    """Parameters that are given as one tuple or list."""
    if value is None:
        return []
    if isinstance(value.obj, Group):
        return list(value.obj.items)
    return []


def spread_first(rows: Args) -> Args:
    """The parameters of the first of several runs of one statement."""
    listed = rows[0].obj if rows else None
    return spread(listed.fields.get("[*]")) if isinstance(listed, Heap) else []


def first(args: Args, kwargs: Kwargs, *names: str) -> Value:
    """The first argument, by place or by name."""
    if args:
        return args[0]
    return next((kwargs[name] for name in names if name in kwargs), NOTHING)
