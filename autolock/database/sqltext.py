"""SQL text, reduced to what matters for races: what is read under which conditions, written, and locked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: The words that statements begin with; other text is no SQL and costs no parsing.
_FIRST_WORDS = frozenset(
    (
        *("abort", "alter", "analyze", "begin", "call", "comment", "commit", "create", "declare", "delete", "do"),
        *("drop", "end", "exec", "execute", "explain", "grant", "insert", "lock", "merge", "notify", "pragma"),
        *("refresh", "release", "replace", "reset", "revoke", "rollback", "savepoint", "select", "set", "show"),
        *("start", "truncate", "update", "use", "vacuum", "values", "with"),
    )
)
_FIRST_WORD = re.compile(r"(?:[\s(;]|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)\b", re.DOTALL)
#: Longer text is generated data.
_LONGEST = 50_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a WHERE that is a conjunction: `column operator value`.

    `kind` says what `value` is: a `placeholder` (`:amount`, `$1`, `%s#0`), a `literal` as SQL writes
    it, a `column` (`name`, or `table.name` of another table) or the text of any other `expression`.
    Where a function of the column is compared (`lower(email) = :email`), the kind is `expression` and
    the value the whole comparison. `table` is empty where several tables may have the column.
    """

    column: str
    operator: str
    value: str
    table: str
    kind: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """`column = expression` of an UPDATE, or of the update that an INSERT turns into on a conflict.

    `columns` are those of the same row that the expression reads.
    """

    column: str
    columns: frozenset[str]
    placeholders: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement.

    `kind` is `select`, `insert`, `update`, `delete`, `begin`, `commit`, `rollback`, `set isolation`,
    `ddl` or `other`; a SELECT round a single INSERT, UPDATE or DELETE has that one's kind. Tables are
    named without their schema; `table` is the main one, seen through subqueries, `tables` are all.

    `exact` says that `conditions` are all of WHERE. `columns` are those selected, `*` for all.
    `inserted` pairs columns with a placeholder, a literal or an expression, whose text is empty where
    several rows are inserted. `lock` is about the rows of the main table, also where a subquery takes
    it, or, of a LOCK TABLE, about the table. `aggregates` are those of the SELECT itself, with window
    functions, and with `exists` and `union`, as neither can be locked. `advisory` is how long an exclusive
    advisory lock is held, `unlock` where one is given back. `isolation` is a level in lower case. `chosen` is the
    SELECT of its own by which an UPDATE finds its rows, with the column that it compares with it.
    """

    kind: str
    table: str = ""
    tables: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    exact: bool = True
    columns: tuple[str, ...] = ()
    sets: tuple[Assigned, ...] = ()
    inserted: tuple[tuple[str, str], ...] = ()
    lock: str = ""
    skip_locked: bool = False
    limited: bool = False
    ordered: bool = False
    aggregates: frozenset[str] = frozenset()
    distinct: bool = False
    grouped: bool = False
    joined: bool = False
    outer_joined: bool = False
    on_conflict: bool = False
    from_select: bool = False
    returning: bool = False
    advisory: str = ""
    isolation: str = ""
    chosen: tuple[str, Sql] | None = None


@lru_cache(maxsize=4096)
def parse(text: str, dialect: str = "postgres") -> Sql | None:
    """Read one statement, in the dialect that is named first and then in the others.

    None for what is not SQL, does not parse, or holds several statements.
    """
    first = _FIRST_WORD.match(text)
    if first is None or first[1].lower() not in _FIRST_WORDS or len(text) > _LONGEST:
        return None
    # Imported late: sqlglot costs a tenth of a second, and many programs hold no SQL text.
    from autolock.database.sqltree import read

    return read(text, first[1].lower(), dialect)
