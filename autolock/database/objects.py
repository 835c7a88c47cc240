"""The objects of database libraries, as the interpreter passes them about."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.values import Thing, Value

if TYPE_CHECKING:
    from autolock.database.models import Model
    from autolock.database.trace import RowRead
    from autolock.program.linker import Ref

_RANGES = frozenset({"<", "<=", ">", ">=", "between", "$lt", "$lte", "$gt", "$gte"})


class Spot(NamedTuple):
    """Where an expression is written: the function and the statement that hold it."""

    function: Ref | None
    statement: ast.stmt | None
    node: ast.AST


@dataclass(slots=True, eq=False)
class Engine(Thing):
    """A connection pool. `isolation` is the isolation level that it was made with, empty for the default."""

    library: str = "sqlalchemy"
    isolation: str = ""
    is_async: bool = False
    node: ast.AST | None = None


@dataclass(slots=True, eq=False)
class Factory(Thing):
    """Makes sessions. `scoped` when calling it gives the same session to the whole request.

    `autocommits` is the mode of SQLAlchemy 1, in which statements are transactions of their own until `begin()`.
    """

    library: str = "sqlalchemy"
    engine: Engine | None = None
    is_async: bool = False
    expires: bool = True
    autoflush: bool = True
    autocommits: bool = False
    scoped: bool = False
    scope: Session | None = None
    node: ast.AST | None = None


@dataclass(slots=True, eq=False)
class Session(Thing):
    """What statements are run through: a session, a connection, or a pool that commits each statement by itself.

    `maps` when what is assigned to a row's attribute is written by the next flush, and a row that is
    loaded again is the same object. `autocommits` when a statement outside of a transaction is
    committed at once, `flushes` when it keeps changes until they are flushed, `pooled` when each
    statement may run on another connection, `opened` where it was made, `known` whether that was seen.
    `used` counts the statements run through it, `names` are the expressions by which functions have
    named it.
    """

    library: str = "sqlalchemy"
    is_async: bool = False
    autocommits: bool = False
    pooled: bool = False
    maps: bool = True
    flushes: bool = True
    expires: bool = True
    autoflush: bool = True
    isolation: str = ""
    opened: Spot | None = None
    known: bool = True
    factory: Factory | None = None
    term: str = ""
    used: int = 0
    names: dict[Ref, str] = field(default_factory=dict)
    rows: dict[object, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Block(Thing):
    """`session.begin()` and its like: entered with `with`, committed at the end. `nested` for a savepoint.

    A `quiet` one is no transaction: nothing is flushed by itself inside.
    """

    session: Session
    nested: bool = False
    gives: Session | None = None
    quiet: bool = False


@dataclass(slots=True, eq=False)
class TableThing(Thing):
    """A table that is no class: `users = Table("users", ...)`, and its `.c`."""

    model: Model


@dataclass(slots=True, eq=False)
class Column(Thing):
    """A column as it is named in a statement."""

    model: Model
    name: str


@dataclass(slots=True, eq=False)
class Expression(Thing):
    """Something that the database computes: from which columns, and by which function.

    `query` is the SELECT that it is part of another statement as: a subquery, or one under a name.
    """

    columns: tuple[Column, ...]
    function: str = ""
    operator: str = ""
    query: Query | None = None


class Condition(NamedTuple):
    """One comparison of a WHERE: the column, the operator (`==`, `in`, `is null`, ...) and what it is compared with."""

    model: Model | None
    column: str
    operator: str
    value: Value

    @property
    def ranged(self) -> bool:
        """Whether it is true of more than one value: `seats < 10`."""
        return self.operator in _RANGES


@dataclass(slots=True, eq=False)
class Conditions(Thing):
    """Comparisons that are true together; `exact` when that is all that is asked."""

    items: tuple[Condition, ...]
    exact: bool = True


@dataclass(slots=True, eq=False)
class Query(Thing):
    """A statement: what it reads or writes, of which rows.

    `kind` is select, insert, update, delete or other; `entity` what a select gives: row, column,
    aggregate or exists. `form` is how it is written: select, query, get, refresh, text, attribute, or a
    library's own. `spot` is where the expression that builds it is, as far as it has been built.
    `topmost` when the first row is taken of all that an ordered select gives, `picked` when one is, ordered or
    not. `inner` is the SELECT whose rows this one takes.
    `beside` are other tables of which it gives a row each, in one tuple with its own;
    `of` those that it locks where it says which. `advisory` is how long it takes an advisory lock for, or `unlock`.
    """

    kind: str
    model: Model | None
    entity: str = "row"
    columns: tuple[Column, ...] = ()
    conditions: tuple[Condition, ...] = ()
    exact: bool = True
    locks: bool = False
    skips_locked: bool = False
    populates: bool = False
    of: tuple[Model, ...] = ()
    limited: bool = False
    topmost: bool = False
    picked: bool = False
    ordered: bool = False
    joined: bool = False
    grouped: bool = False
    values: dict[str, Value] = field(default_factory=dict)
    unknown_values: bool = False
    guarded: bool = False
    returning: bool = False
    advisory: str = ""
    form: str = "select"
    spot: Spot | None = None
    session: Session | None = None
    text: str = ""
    inner: Query | None = None
    beside: tuple[Model, ...] = ()


@dataclass(slots=True, eq=False)
class Result(Thing):
    """What a statement gave: `read` is the look at the table, None for a statement that only writes."""

    query: Query
    session: Session
    read: RowRead | None
    scalars: bool = False
