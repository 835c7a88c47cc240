"""redis: keys that are read and then set, counted up or taken away, and keys that are made because none was there."""

from __future__ import annotations

import ast
import re
from typing import ClassVar

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.adapters.drivers import Driver
from autolock.database.adapters.results import column, reads_of, selected
from autolock.database.models import Model
from autolock.database.objects import Condition, Expression, Query, Result, Session
from autolock.database.rows import Rows, table_of
from autolock.database.schema import Column
from autolock.program.linker import Ref
from autolock.program.values import NO_READS, NOTHING, Thing, Value

_CLIENTS = frozenset(
    {"Redis", "StrictRedis", "RedisCluster", "from_url", "FakeRedis", "FakeStrictRedis", "FakeAsyncRedis"}
)
_COUNTERS = frozenset({"incr", "incrby", "incrbyfloat", "decr", "decrby", "hincrby", "hincrbyfloat"})
#: A key is found by its name, and by nothing else.
_COLUMNS = {"key": Column("key", "key", primary_key=True)}
#: Functions that give a value in the form in which redis holds it.
_WRITTEN = re.compile(r"dumps\(|^(str|int|float)\(")


class Redis(Driver):
    """Each command is atomic by itself, and sent at once, or by a pipeline; scripts and locks are left alone."""

    library: ClassVar[str] = "redis"
    packages: ClassVar[tuple[str, ...]] = ("redis", "aioredis", "fakeredis")

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.default: Session = self.session()

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        return Value(self.default, made="new") if name.rpartition(".")[2] in _CLIENTS else None

    def thing_of_type(self, name: str) -> Thing | None:
        return self.default if name.rpartition(".")[2] in _CLIENTS else None

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if "lock" in name:
            return None
        if name == "from_url":
            return Value(thing)
        if name == "pipeline":
            return Value(self.session(node))
        if name in ("get", "exists", "hget", "hgetall") and args and thing is self.default:
            return self.get(name, args, node)
        if name in ("set", "setex", "psetex", "hset") and args:
            self.set(name, args, kwargs, node)
        elif name in _COUNTERS and args:
            self.count(name, args, node)
        elif name in ("delete", "unlink"):
            for key in args:
                self.remove(key, node)
        return Value(None, made="call")

    def get(self, name: str, args: Args, node: ast.Call) -> Value:
        """A look at a key: what it holds, or whether it is there."""
        query = self.at(args[0], node)
        if query is None:
            return Value(None, made="call")
        result = Result(query, self.default, self.rows.run(self.default, query, node))
        if name == "exists":
            return self.given(result, "count", node)
        if name == "hgetall":
            return Value(selected(self.rows, result), reads_of(result), "", False, "call")
        return column(self.rows, result, field(name, args))

    def set(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> None:
        """A key gets a value: a computed one, or one that only says that it is there."""
        place = {"set": 1, "hset": 2}.get(name, 2)
        value = args[place] if len(args) > place else kwargs.get("value", NOTHING)
        query = self.at(args[0], node)
        if query is None or query.model is None or kwargs.get("nx", NOTHING).term == "True":
            return
        if value.made == "const" and name != "hset":
            self.rows.write(self.default, query.model, "insert", "insert", node, Value(made="new"), query=query)
        elif self.is_changed(query.model, value, node):
            # Anything else is a cache: who fills it last has written what the first has written.
            self.rows.write(
                self.default, query.model, "update", "assign", node, value, column=field(name, args), query=query
            )
        self.rows.done(self.default, node)

    def count(self, name: str, args: Args, node: ast.Call) -> None:
        """A number goes up or down by itself, whatever somebody has seen it to be before."""
        query = self.at(args[0], node)
        if query is not None and query.model is not None:
            computed = Value(Expression((), operator="+"))
            self.rows.write(
                self.default, query.model, "update", "augment", node, computed, column=field(name, args), query=query
            )
            self.rows.done(self.default, node)

    def remove(self, key: Value, node: ast.Call) -> None:
        """A key is taken away."""
        query = self.at(key, node)
        if query is not None and query.model is not None:
            self.rows.write(self.default, query.model, "delete", "remove", node, NOTHING, query=query)
            self.rows.done(self.default, node)

    @staticmethod
    def is_changed(model: Model, value: Value, node: ast.Call) -> bool:
        """Whether what is set is what the key held, with a change: one more, or an object with other fields."""
        own = any(r.location.root == table_of(model).root for r in value.reads)
        given = (*node.args, *(k.value for k in node.keywords))
        return own and (value.made == "expression" or any(_WRITTEN.search(ast.unparse(g)) for g in given))

    def at(self, key: Value, node: ast.AST) -> Query | None:
        """The key, known by the text of its expression; None where that cannot be told."""
        if not key.term:
            return None
        name = _pattern(key.term)
        model = Model(Ref("table", "redis", name), name, "redis", _COLUMNS)
        condition = Condition(model, "key", "==", Value(None, NO_READS, key.term, key.request))
        return Query("select", model, conditions=(condition,), form="redis", spot=self.rows.spot(node))


def _pattern(term: str) -> str:
    """A key as people write it, `otp:{id}:{code}`, without the numbers by which the interpreter tells rows apart."""
    plain = re.sub(r"\brow\d+\.|@\d+", "", term)
    plain = re.sub(r"^(['\"])(.*)\1\.format\(.*\)$", r"\2", plain)
    if not plain.startswith("f'"):
        return plain
    return re.sub(r"\{'([^']*)'\}", r"\1", plain[2:].removesuffix("'"))


def field(name: str, args: Args) -> str:
    """The field of a hash, or the one value of a plain key."""
    return args[1].term.strip("'") if name.startswith("h") and len(args) > 1 else "value"
