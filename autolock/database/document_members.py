"""What class bodies say in the words of Beanie and ODMantic, whose columns are annotations."""

from __future__ import annotations

import ast
from dataclasses import replace

from autolock.database.annotations import read_annotation
from autolock.database.schema import Column, Members, Relationship
from autolock.database.syntax import (
    assignments,
    constant_in,
    elements,
    inner_class,
    is_true,
    keyword,
    last,
    names_in,
    pairs,
    text,
)
from autolock.program.linker import Program

_NO_FIELDS = frozenset({"model_config", "Config", "Settings"})


def document_members(program: Program, path: str, scope: str, node: ast.ClassDef) -> Members:
    """Fields and unique indexes of one class body."""
    members = Members()
    for name, annotation, value in assignments(node.body):
        if annotation is not None and not name.startswith("_") and name not in _NO_FIELDS:
            _field(program, path, scope, members, name, annotation, value)
    settings = inner_class(node.body, "Settings")
    config = dict(pairs(constant_in(node.body, "model_config")))
    members.table = text(constant_in(settings, "name")) or text(config.get("collection"))
    for index in elements(constant_in(settings, "indexes")):
        if isinstance(index, ast.Call):
            _index(members, index)
    return members


def _field(
    program: Program,
    path: str,
    scope: str,
    members: Members,
    name: str,
    annotation: ast.expr,
    value: ast.expr | None,
) -> None:
    if last(annotation) == "ClassVar":
        return
    said = read_annotation(program, path, scope, annotation)
    if last(annotation) in ("Link", "BackLink") or last(value) == "Reference":
        found = program.resolve(path, said.name, scope) if said.name else None
        target = found[0] if found is not None and found[0].kind == "class" and not found[1] else None
        members.relationships[name] = Relationship(name, target, said.name, uselist=said.many)
        return
    column = Column(name, name, said.kind, nullable=said.optional, has_default=value is not None)
    calls = [extra for extra in said.extras if isinstance(extra, ast.Call)]
    if isinstance(value, ast.Call) and last(value) == "Field":
        calls.append(value)
        required = not value.args and keyword(value, "default", "default_factory") is None
        column = replace(column, has_default=not required)
    for call in calls:
        column = replace(
            column,
            column=text(keyword(call, "alias", "key_name")) or column.column,
            unique=column.unique or is_true(keyword(call, "unique")),
            primary_key=column.primary_key or is_true(keyword(call, "primary_field")),
        )
    members.columns[name] = column


def _index(members: Members, call: ast.Call) -> None:
    """`IndexModel([("a", ASCENDING), ("b", ASCENDING)], unique=True)`; a partial one guards some documents only."""
    if last(call) != "IndexModel" or not is_true(keyword(call, "unique")):
        return
    keys = call.args[0] if call.args else keyword(call, "keys")
    parts = elements(keys) or ([keys] if keys is not None else [])
    named = names_in([(elements(part) or [part])[0] for part in parts])
    if named:
        partial = keyword(call, "partialFilterExpression", "sparse") is not None
        (members.partial if partial else members.uniques).append(named)
