"""Unique constraints of tables that SQL text in the code makes: `CREATE TABLE teams (name text UNIQUE)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

#: What is changed later may have lost what it was made with.
_CHANGES = re.compile(r"(?i)\b(?:ALTER\s+TABLE|DROP\s+INDEX)\b")

Uniques = Mapping[str, tuple[frozenset[str], ...]]


def tables_made(texts: Iterable[str]) -> Uniques:
    """The unique sets of columns of each table that some SQL makes, its primary key among them.

    Nothing is said of a table that is made in different ways, and of none where text changes tables later.
    """
    found: dict[str, tuple[frozenset[str], ...]] = {}
    indexes: list[tuple[str, frozenset[str]]] = []
    unsure: set[str] = set()
    for said in texts:
        if _CHANGES.search(said):
            return {}
        for table, made in _made_by(said):
            if made is None:
                unsure.add(table)
            elif isinstance(made, frozenset):
                indexes.append((table, made))
            elif found.setdefault(table, made) != made:
                unsure.add(table)
    for table, columns in indexes:
        if table in found:
            found[table] = tuple(dict.fromkeys((*found[table], columns)))
    return {table: uniques for table, uniques in found.items() if table not in unsure}


def _made_by(text: str) -> Iterator[tuple[str, tuple[frozenset[str], ...] | frozenset[str] | None]]:
    """Each table of some text with what is unique in it, each unique index alone, and None for what is unclear."""
    # Imported late: sqlglot costs a tenth of a second, and many programs hold no SQL text.
    import sqlglot
    from sqlglot import exp

    from autolock.database.sqltree import quiet

    try:
        with quiet():
            statements = sqlglot.parse(text, dialect="postgres")
    except Exception:  # any text comes here, and sqlglot's own checks do not catch all that is wrong
        return
    for statement in statements:
        if not isinstance(statement, exp.Create):
            continue
        schema = statement.this
        if statement.kind == "TABLE" and isinstance(schema, exp.Schema):
            yield schema.this.name.lower(), tuple(dict.fromkeys(_uniques(schema)))
        elif isinstance(schema, exp.Index) and statement.args.get("unique"):
            table, parameters = schema.args.get("table"), schema.args.get("params")
            columns = _names(parameters.args.get("columns") or []) if parameters is not None else frozenset()
            partial = parameters is None or parameters.args.get("where") is not None
            if table is not None:
                yield table.name.lower(), None if partial or not columns else columns


def _uniques(schema: exp.Expression) -> Iterator[frozenset[str]]:
    """What is unique by a table's columns and by its constraints."""
    from sqlglot import exp

    for part in schema.expressions:
        if isinstance(part, exp.ColumnDef):
            kinds = [constraint.kind for constraint in part.constraints]
            if any(isinstance(k, exp.UniqueColumnConstraint | exp.PrimaryKeyColumnConstraint) for k in kinds):
                yield frozenset({part.name})
            continue
        for constraint in part.expressions if isinstance(part, exp.Constraint) else (part,):
            if isinstance(constraint, exp.PrimaryKey):
                yield _names(constraint.expressions)
            elif isinstance(constraint, exp.UniqueColumnConstraint) and isinstance(constraint.this, exp.Schema):
                yield _names(constraint.this.expressions)


def _names(columns: Iterable[exp.Expression]) -> frozenset[str]:
    """The columns' names; none where one of them is no plain column."""
    from sqlglot import exp

    found: list[str] = []
    for column in columns:
        plain = column.this if isinstance(column, exp.Ordered) else column
        if not isinstance(plain, exp.Identifier | exp.Column):
            return frozenset()
        found.append(plain.name)
    return frozenset(found)
