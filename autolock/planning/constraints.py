"""Which constraint would cover a check that none covers: its columns, and the rows that it is about."""

from __future__ import annotations

import ast
from typing import NamedTuple

from autolock.database.harm import is_fixed
from autolock.database.objects import Condition
from autolock.database.windows import RowWindow
from autolock.planning.blocks import Sources
from autolock.planning.statements import header_nodes


class Asked(NamedTuple):
    """The columns that may not be there twice together, and what is true of the rows where that is so, as expressions.

    `columns` is empty where it cannot be seen in full.
    """

    columns: tuple[str, ...]
    where: tuple[str, ...] = ()


_UNSEEN = Asked(())


def missing_constraint(window: RowWindow, sources: Sources) -> str:
    """What constraint to add where none covers a check."""
    model = window.model
    table, asked = model.table if model is not None else "", asked_of(window, sources)
    names = list(asked.columns)
    if model is not None and window.once and not names:
        return (
            f"all requests look for the same row of {table}: put it there with a migration or when the application "
            "starts, or give it a fixed primary key and handle the IntegrityError"
        )
    if model is None or not names:
        return (
            f"what was asked cannot be seen in full: let a unique constraint on {table} say which two rows may not be "
            "there together, and handle the IntegrityError"
        )
    if asked.where:
        name = model.ref.name
        index = f"Index('uq_{table}_{'_'.join(names)}', {', '.join(f'{name}.{n}' for n in names)}, unique=True, "
        where = " & ".join(f"({w})" for w in asked.where) if len(asked.where) > 1 else asked.where[0]
        return (
            f"no unique constraint covers the check, which is about some rows of {table}: add a partial one with a "
            f"migration (`{index}postgresql_where={where})`), then handle the IntegrityError"
        )
    return (
        f"no unique constraint covers the check: add one on {table} ({', '.join(names)}) with a migration "
        f"(`op.create_unique_constraint(None, {table!r}, {names!r})`), then handle the IntegrityError"
    )


def asked_of(window: RowWindow, sources: Sources) -> Asked:
    """What the look of an insert asks for: all of it, or nothing."""
    model, columns = window.model, list(window.columns)
    if model is None or not columns or any(name not in model.columns for name in columns):
        return _UNSEEN
    where: list[str] = []
    for condition in window.look.query.conditions:
        column = f"{model.ref.name}.{condition.column}"
        if is_fixed(condition.value) and condition.operator in ("==", "is"):
            where.append(f"{column} == {condition.value.term}")
            columns = [name for name in columns if name != condition.column]
        elif condition.operator == "is null":
            where.append(f"{column}.is_(None)")
        elif not _is_key(condition, window):
            return _UNSEEN
    guard = _guard(window, sources)
    for name in columns if guard else ():
        if model.columns[name].kind in ("str", "") and _is_about(guard, name, window):
            return Asked(tuple(columns), (*where, f"{model.ref.name}.{name} != ''"))
    return _UNSEEN if guard and len(columns) > 1 else Asked(tuple(columns), tuple(where))


def _is_key(condition: Condition, window: RowWindow) -> bool:
    """Whether a condition is about a column that the new row has the same in."""
    known = window.model.relationships if window.model is not None else {}
    named = condition.column in window.columns or condition.column in known
    row, value = window.change.row, condition.value
    given = row.fields.get(f".{condition.column}") if row is not None else None
    made_anew = given is not None and given.made in ("call", "await") and given.term != value.term
    return condition.operator == "==" and named and not made_anew


def _guard(window: RowWindow, sources: Sources) -> str:
    """`code` in `if code:` round the look, where the insert is not under it; empty for none."""
    writing = {frame.serial: frame.statement for frame in window.change.stack}
    for frame in window.look.stack:
        if frame.function is None or frame.statement is None:
            continue
        own = {ast.unparse(n) for n in header_nodes(frame.statement) if isinstance(n, ast.Name | ast.Attribute)}
        for branch in ast.walk(sources.node_of(frame.function)):
            if not isinstance(branch, ast.If) or not isinstance(branch.test, ast.Name | ast.Attribute):
                continue
            inside = {id(n) for s in branch.body for n in ast.walk(s)}
            text = ast.unparse(branch.test)
            if id(frame.statement) in inside and id(writing.get(frame.serial)) not in inside and text in own:
                return text
    return ""


def _is_about(guard: str, column: str, window: RowWindow) -> bool:
    """Whether a guard asks for the value that a column is compared with."""
    values = [c.value for c in window.look.query.conditions if c.column == column]
    return len(window.columns) == 1 or any(guard in (v.term, v.term.rpartition(":")[2]) for v in values)
