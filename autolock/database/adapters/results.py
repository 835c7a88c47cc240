"""What a statement gave: one row, many, a number, or whether there is any."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from autolock.database.objects import Query, Result
from autolock.database.rows import Rows
from autolock.database.trace import RowRead
from autolock.program.trace import Read
from autolock.program.values import NO_READS, NOTHING, Group, Heap, Row, Type, Value

_ONE = frozenset(
    {"first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "fetchone", "get", "fetchval"}
)
#: Those that raise where there is no row, or where there are several.
_DEMANDING = frozenset({"one", "scalar_one"})
_SINGLE = frozenset({*_DEMANDING, "one_or_none", "scalar_one_or_none"})
_MANY = frozenset({"all", "fetchall", "fetchmany", "partitions", "__iter__", "to_list"})
_SAME = frozenset({"scalars", "unique", "tuples", "mappings", "columns", "freeze", "yield_per", "execution_options"})


def results(rows: Rows, result: Result, name: str, args: Sequence[Value], node: ast.AST) -> Value | None:
    """The value of a method of a result."""
    if name in _SAME:
        return Value(replace(result, scalars=result.scalars or name == "scalars"), reads_of(result))
    if name in _ONE:
        result.query.topmost |= name in ("first", "scalar") and result.query.ordered
        scalar = result.scalars or name.startswith("scalar") or name == "fetchval"
        if result.read is not None and name in _SINGLE:
            rows.demand(result.read, missing=name not in _DEMANDING)
        return one(rows, result, node, scalar)
    if name in _MANY:
        return many(rows, result, node)
    return Value(None, reads_of(result), made="call")


def reads_of(result: Result) -> frozenset[Read]:
    return frozenset((result.read,)) if result.read is not None else NO_READS


def one(rows: Rows, result: Result, node: ast.AST, scalar: bool) -> Value:
    """One element of a result."""
    query, read = result.query, result.read
    if query.kind != "select":
        return written(rows, result)
    if query.entity == "row":
        if scalar and query.text and query.columns:
            return column(rows, result, query.columns[0].name)
        row = rows.row_value(read, query, result.session)
        if scalar or read is None or not query.beside:
            return row
        others = [rows.row_beside(read, query, model, result.session) for model in query.beside]
        return Value(Group([row, *others]), frozenset().union(*(v.reads for v in (row, *others))), made="call")
    if query.entity == "column":
        if len(query.columns) > 1 and not scalar and all(c.model is query.model for c in query.columns):
            return Value(selected(rows, result), reads_of(result), "", False, "call")
        values = [column(rows, result, c.name) for c in query.columns]
        if scalar or len(values) == 1:
            return values[0] if values else NOTHING
        return Value(Group(values), frozenset().union(*(v.reads for v in values)), made="call")
    return Value(None, reads_of(result), "", False, "call")


def selected(rows: Rows, result: Result) -> Row | None:
    """Some columns of a row, by name; nothing that is done to it is done to the table."""
    model, read = result.query.model, result.read
    if model is None or read is None:
        return None
    kind = Type("unknown", name=model.table)
    return Row(kind, table=read.location, origin=read, session=result.session, term=read.key, copied=True)


def column(rows: Rows, result: Result, name: str) -> Value:
    """The value of one selected column, which also says whether there is a row."""
    read = result.read
    if read is None:
        return Value(None, made="call")
    seen: RowRead = replace(
        read, what="column", how="column", column=name, location=read.location.child(f".{name}"), key=read.key
    )
    return Value(None, frozenset((read, seen)), f"{read.key}.{name}", False, "call")


def many(rows: Rows, result: Result, node: ast.AST) -> Value:
    """All elements, as a list."""
    element = one(rows, result, node, result.scalars)
    return Value(Heap(Type("list"), fields={"[*]": element}), reads_of(result), "", False, "call")


def written(rows: Rows, result: Result) -> Value:
    """What a RETURNING gives: rows that this statement has changed, as they are now."""
    query: Query = result.query
    if query.model is None or not query.returning:
        return Value(None, made="call")
    row = rows.make_row(query, result.session, None)
    rows.trace.returned.setdefault(query.serial, set()).add(f"row{row.serial}")
    return Value(row, NO_READS, f"returned{result.serial}", False, "call")
