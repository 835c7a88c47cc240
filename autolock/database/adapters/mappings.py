"""Rows as mappings, and the objects that programs make of them: `Model(**row)`, `dict(row)`, `row["x"]`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from autolock.database.rows import Rows
from autolock.database.trace import RowRead
from autolock.program.values import ClassValue, Heap, Row, Type, Value

#: Class methods by which pydantic makes an object of a mapping or of another object.
VALIDATORS = frozenset({"model_validate", "parse_obj", "from_orm", "model_construct"})
#: Functions whose result is the row again, in another wrapping.
COPYING = frozenset({"builtins.dict", "pydantic.parse_obj_as", "types.SimpleNamespace"})
DUMPS = frozenset({"model_dump", "dict"})
ROW_METHODS = frozenset({"_asdict", "_tuple", "model_dump", "dict", "model_copy", "copy", "get"})


def copy_of(cls: ClassValue, value: Value) -> Value | None:
    """An object of a class made from a row: it goes on to tell what the row told."""
    row = value.obj
    if not isinstance(row, Row) or (row.origin is None and row.type.kind == "instance"):
        return None
    made = Row(
        Type("instance", cls.ref),
        fields=dict(row.fields),
        table=row.table,
        origin=row.origin,
        reads=row.reads,
        session=row.session,
        term=row.term or f"row{row.serial}",
        copied=True,
    )
    return Value(made, value.reads, value.term, value.request, value.made)


def row_method(rows: Rows, row: Row, value: Value, name: str, args: Sequence[Value], node: ast.AST) -> Value:
    """`row._asdict()` and its like are the row; `row.get("x")` is a column."""
    if name == "get" and args:
        column = column_named(row, args[0])
        return rows.column_value(row, column, node) if column else value
    return value


def column_named(row: Row, key: Value) -> str:
    """The column that `row[key]` means: by name, or by its place among those that were selected."""
    if key.made != "const":
        return ""
    if key.term[:1] in "'\"":
        return key.term[1:-1]
    columns = row.origin.query.columns if isinstance(row.origin, RowRead) else ()
    place = int(key.term) if key.term.isdecimal() else len(columns)
    return columns[place].name if place < len(columns) else ""


def dumped(heap: Heap, value: Value) -> Value:
    """`model.model_dump()`: the fields that are known, and `**` where there are more."""
    fields = {f"['{name[1:]}']": held for name, held in heap.fields.items() if name.startswith(".")}
    return Value(Heap(Type("dict"), fields=fields), value.reads, "", value.request, "call")
