"""SQL text as a `Query`."""

from __future__ import annotations

from dataclasses import replace

from autolock.database.models import Model, Models
from autolock.database.objects import Column, Condition, Expression, Query
from autolock.database.sqlpieces import UNKNOWN
from autolock.database.sqltext import Assigned, Sql, parse
from autolock.database.sqltext import Condition as Compared
from autolock.program.values import Value

_KINDS = frozenset({"select", "insert", "update", "delete"})
_OPERATORS = {"=": "=="}


def query_of_text(text: str, models: Models, exact: bool = True) -> Query | None:
    """The statement that a text is; None when it is none that matters. `exact` when all of the text is known."""
    sql = parse(text)
    if sql is None or sql.kind not in _KINDS:
        return None
    return _query(sql, models, text, exact)


def _query(sql: Sql, models: Models, text: str, exact: bool) -> Query:
    model = (models.by_table(sql.table) or models.unmapped(sql.table)) if sql.table else None
    return Query(
        sql.kind,
        model,
        entity=_entity(sql),
        columns=tuple(Column(model, named(model, c)) for c in sql.columns if c not in ("*", UNKNOWN))
        if model is not None
        else (),
        conditions=tuple(
            Condition(
                model, named(model, c.column), _OPERATORS.get(c.operator, c.operator), _compared(c, sql, models, text)
            )
            for c in sql.conditions
            if UNKNOWN not in (c.column, c.value) and c.table in ("", sql.table)
        ),
        exact=sql.exact and exact and all(c.table in ("", sql.table) for c in sql.conditions),
        locks=sql.lock == "update",
        skips_locked=sql.skip_locked,
        limited=sql.limited,
        ordered=sql.ordered,
        joined=sql.joined,
        grouped=sql.grouped or sql.distinct,
        values=_values(sql, model) if model is not None else {},
        unknown_values=sql.from_select or any(UNKNOWN in pair for pair in sql.inserted),
        guarded=sql.on_conflict or (sql.from_select and sql.kind == "insert"),
        returning=sql.returning,
        advisory=sql.advisory,
        form="text",
        text=text,
    )


def _entity(sql: Sql) -> str:
    if sql.aggregates == {"exists"}:
        return "exists"
    if sql.aggregates and not sql.grouped:
        return "aggregate"
    return "row"


def named(model: Model | None, column: str) -> str:
    """The attribute that stands for a column."""
    if model is None:
        return column
    return next((c.name for c in model.columns.values() if c.column == column), column)


def _value(text: str, kind: str) -> Value:
    return Value(None, term=text, made={"literal": "const", "placeholder": "placeholder"}.get(kind, ""))


def _compared(condition: Compared, sql: Sql, models: Models, text: str) -> Value:
    """What a column is compared with."""
    value = _value(condition.value, condition.kind)
    if sql.chosen is None or condition.kind not in ("expression", "column") or sql.chosen[0] != condition.column:
        return value
    locked = replace(sql.chosen[1], lock=sql.lock, skip_locked=sql.skip_locked)
    return replace(value, obj=_query(locked, models, text, True))


def _values(sql: Sql, model: Model) -> dict[str, Value]:
    found = {named(model, a.column): _assigned(a, model) for a in sql.sets}
    for column, text in sql.inserted:
        made = "placeholder" if text[:1] in (":", "$", "?") or text.startswith("%s#") else ""
        found[named(model, column)] = Value(None, term=text, made=made)
    return found


def _assigned(assigned: Assigned, model: Model) -> Value:
    if assigned.columns:
        columns = tuple(Column(model, named(model, c)) for c in sorted(assigned.columns))
        return Value(Expression(columns), term=" ".join(assigned.placeholders))
    if len(assigned.placeholders) == 1:
        return Value(None, term=assigned.placeholders[0], made="placeholder")
    return Value(None, term=assigned.text, made="" if assigned.placeholders else "const")
