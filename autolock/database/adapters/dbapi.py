"""Drivers with connections and cursors: psycopg, sqlite3, aiosqlite and their like."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver, first, spread, spread_first
from autolock.database.objects import Block, Result, Session
from autolock.program.values import NOTHING, Thing, Value

_FETCHING = {
    "fetchone": "one",
    "fetchall": "many",
    "fetchmany": "many",
    "__iter__": "many",
    "execute_fetchall": "many",
}
_RUNNING = frozenset({"execute", "execute_fetchall", "execute_insert"})


@dataclass(slots=True, eq=False)
class Cursor(Thing):
    """A cursor of a connection, and what its last statement gave."""

    session: Session
    library: str
    result: Result | None = None


@dataclass(slots=True, eq=False)
class Pool(Thing):
    """Gives connections that commit when their block ends."""

    library: str


class DbApi(Driver):
    """What these drivers have in common; `commits_block` when the end of `with connection:` commits."""

    commits_block: ClassVar[bool] = True
    connecting: ClassVar[tuple[str, ...]] = ("connect",)
    connections: ClassVar[tuple[str, ...]] = ("Connection",)
    pools: ClassVar[tuple[str, ...]] = ()

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        short = name.rpartition(".")[2]
        if short in self.pools:
            return Value(Pool(self.library), made="new")
        if short not in self.connecting:
            return None
        alone = (
            kwargs.get("autocommit", NOTHING).term == "True" or kwargs.get("isolation_level", NOTHING).made == "none"
        )
        return Value(self.session(node, autocommits=alone), made="new")

    def thing_of_type(self, name: str) -> Thing | None:
        short = name.rpartition(".")[2]
        if short in self.pools:
            return Pool(self.library)
        if short.endswith("Cursor"):
            return Cursor(self.session(autocommits=False, known=False), self.library)
        return self.session(autocommits=False, known=False) if short in self.connections else None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if isinstance(thing, Pool):
            return Value(self.session(node, autocommits=False), made="new") if name == "connection" else None
        if isinstance(thing, Block):
            return self.block_method(thing, name, node)
        if isinstance(thing, Cursor):
            return self.cursor_method(thing, name, args, kwargs, node)
        if isinstance(thing, Session):
            self.rows.named(thing, node)
            return self.connection_method(thing, name, args, kwargs, node)
        return None

    def connection_method(self, session: Session, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        if name == "cursor":
            return Value(Cursor(session, self.library), made="new")
        if name in _RUNNING or name == "executemany":
            cursor = Cursor(session, self.library)
            made = self.cursor_method(cursor, name, args, kwargs, node)
            return made if name == "execute_fetchall" else Value(cursor, made.reads, made="call")
        if name == "commit":
            self.rows.commit(session, node)
        elif name in ("rollback", "close"):
            self.rows.rollback(session)
        elif name in ("transaction", "begin"):
            return Value(Block(session), made="new")
        return Value(None, made="call")

    def cursor_method(self, cursor: Cursor, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value:
        if name in _RUNNING or name == "executemany":
            values = args[1] if len(args) > 1 else kwargs.get("params") or kwargs.get("parameters")
            if self.begins(cursor.session, first(args, kwargs, "query", "sql"), node):
                return Value(cursor, made="call")
            several = name == "executemany" and values is not None
            positional = spread_first([values]) if several and values is not None else spread(values)
            cursor.result = self.run(cursor.session, first(args, kwargs, "query", "sql"), node, values, positional)
            read = cursor.result.read
            made = Value(cursor, frozenset((read,)) if read is not None else frozenset(), made="call")
            return made if name != "execute_fetchall" else self.given(cursor.result, "many", node)
        if name in _FETCHING and cursor.result is not None:
            return self.given(cursor.result, _FETCHING[name], node)
        return Value(None, made="call")

    def begins(self, session: Session, text: Value, node: ast.AST) -> bool:
        """`BEGIN`, `COMMIT` and `ROLLBACK` as statements.

        SQLite refuses a write to a transaction that has read what another has changed since.
        """
        words = self.statements.words(text)
        open_block = session.autocommits and self.rows.transaction(session).blocks > 0
        if words[:1] == ["BEGIN"]:
            if session.autocommits:
                self.rows.enter_block(session)
            self.rows.use(session)
            if session.library in ("sqlite", "aiosqlite"):
                self.rows.lock(session, "advisory", None, node)
        elif words[:1] in (["COMMIT"], ["END"]):
            (self.rows.leave_block if open_block else self.rows.commit)(session, node)
        elif words[:1] == ["ROLLBACK"]:
            (self.rows.abandon_block if open_block else self.rows.rollback)(session)
        else:
            return False
        return True

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        if isinstance(thing, Cursor) and name == "rowcount":
            return Value(None, term=f"rowcount{thing.serial}", made="rowcount")
        return Value(thing.session) if isinstance(thing, Cursor) and name == "connection" else None

    def enter(self, thing: Thing, node: ast.AST) -> Value | None:
        return Value(thing) if isinstance(thing, Cursor | Pool) else super().enter(thing, node)

    def leave(self, thing: Thing, node: ast.AST) -> None:
        if isinstance(thing, Session):
            if self.commits_block and self.rows.transaction(thing).pending:
                self.rows.commit(thing, node)
            else:
                self.rows.rollback(thing)
        else:
            super().leave(thing, node)


class Psycopg(DbApi):
    """psycopg 3 and its pools, and psycopg2."""

    library: ClassVar[str] = "psycopg"
    packages: ClassVar[tuple[str, ...]] = ("psycopg", "psycopg_pool", "psycopg2")
    connections: ClassVar[tuple[str, ...]] = ("Connection", "AsyncConnection", "connection")
    pools: ClassVar[tuple[str, ...]] = ("ConnectionPool", "AsyncConnectionPool")


class Sqlite(DbApi):
    """sqlite3, whose `with connection:` commits."""

    library: ClassVar[str] = "sqlite"
    packages: ClassVar[tuple[str, ...]] = ("sqlite3",)
    is_async: ClassVar[bool] = False


class AioSqlite(DbApi):
    """aiosqlite, whose `async with connection:` closes it without a commit."""

    library: ClassVar[str] = "aiosqlite"
    packages: ClassVar[tuple[str, ...]] = ("aiosqlite",)
    commits_block: ClassVar[bool] = False
