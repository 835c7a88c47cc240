"""What class bodies say in the words of libraries whose columns are calls: Tortoise, Piccolo, MongoEngine, ormar."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from autolock.database.kinds import kind_of
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
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref


@dataclass(frozen=True, slots=True)
class Words:
    """What a library calls things. `links` are fields that hold another row's key, in a column named with `suffix`."""

    null: str = "null"
    nullable: bool = False
    key: tuple[str, ...] = ("primary_key",)
    column: tuple[str, ...] = ("db_column_name",)
    links: tuple[str, ...] = ("ForeignKey",)
    suffix: str = ""
    many: tuple[str, ...] = ("ManyToManyField", "ManyToMany", "M2M")
    implicit_key: str = "id"


WORDS = {
    "tortoise": Words(
        key=("pk", "primary_key"),
        column=("source_field",),
        links=("ForeignKeyField", "OneToOneField"),
        suffix="_id",
    ),
    "piccolo": Words(),
    "mongoengine": Words(
        nullable=True, column=("db_field",), links=("ReferenceField", "LazyReferenceField"), many=("ListField",)
    ),
    "ormar": Words(null="nullable", column=("name",), many=("ManyToMany",), implicit_key=""),
}


def field_members(program: Program, path: str, scope: str, node: ast.ClassDef, library: str) -> Members:
    """Columns, links and constraints of one class body."""
    words = WORDS[library]
    members = Members()
    for name, _, value in assignments(node.body):
        if isinstance(value, ast.Call) and not name.startswith("_"):
            _field(program, path, scope, members, name, value, words)
    members.table = text(next((k.value for k in node.keywords if k.arg == "tablename"), None))
    _meta(members, node.body)
    return members


def _field(program: Program, path: str, scope: str, members: Members, name: str, call: ast.Call, words: Words) -> None:
    maker = last(call)
    if maker in words.many:
        members.relationships[name] = _link(program, path, scope, name, call, many=True)
        return
    link = maker in words.links
    kind = kind_of(maker)
    if not (link or kind or maker.endswith("Field") or any(k.arg in words.key for k in call.keywords)):
        return
    attribute = f"{name}{words.suffix}" if link else name
    column = Column(
        attribute,
        text(keyword(call, *words.column)) or attribute,
        kind,
        primary_key=is_true(keyword(call, *words.key)) or maker in ("Serial", "BigSerial"),
        unique=is_true(keyword(call, "unique")) or maker == "OneToOneField",
        nullable=is_true(keyword(call, words.null)) or (words.nullable and not is_true(keyword(call, "required"))),
        has_default=keyword(call, "default", "server_default", "auto_now", "auto_now_add") is not None,
    )
    if link:
        found = _link(program, path, scope, name, call, many=False)
        members.relationships[name] = found
        if found.target_name:
            column = replace(column, foreign_key=f"{found.target_name.rpartition('.')[2].lower()}.id")
    members.columns[attribute] = column
    others = keyword(call, "unique_with")
    if others is not None:
        named = names_in(elements(others) or [others])
        if named:
            members.uniques.append(named | {attribute})


def _link(program: Program, path: str, scope: str, name: str, call: ast.Call, *, many: bool) -> Relationship:
    first = call.args[0] if call.args else keyword(call, "references", "to", "model_name")
    if isinstance(first, ast.Call) and first.args:  # ListField(ReferenceField(User))
        first = first.args[0]
    target_name = text(first).rpartition(".")[2] or dotted(first)
    found = program.resolve(path, target_name, scope) if target_name else None
    target: Ref | None = found[0] if found is not None and found[0].kind == "class" and not found[1] else None
    return Relationship(name, target, target_name, uselist=many)


def _meta(members: Members, body: list[ast.stmt]) -> None:
    """`class Meta` of Tortoise and ormar, `meta = {...}` of MongoEngine, `ormar_config`."""
    said = {name: value for name, _, value in assignments(inner_class(body, "Meta")) if value is not None}
    said.update(pairs(constant_in(body, "meta")))
    config = constant_in(body, "ormar_config")
    if isinstance(config, ast.Call):
        said.update({found.arg: found.value for found in config.keywords if found.arg})
    members.table = next(
        (text(said[key]) for key in ("table", "tablename", "collection") if text(said.get(key))), ""
    ) or (members.table)
    members.abstract = is_true(said.get("abstract"))
    together = said.get("unique_together")
    groups = elements(together)
    for group in groups if any(map(elements, groups)) else [together]:
        named = names_in(elements(group))
        if named:
            members.uniques.append(named)
    for index in (*elements(said.get("indexes")), *elements(said.get("constraints"))):
        _index(members, index)


def _index(members: Members, node: ast.expr) -> None:
    """`{"fields": [...], "unique": True}` of MongoEngine, `ormar.UniqueColumns("a", "b")`."""
    parts = dict(pairs(node))
    if is_true(parts.get("unique")):
        named = names_in(elements(parts.get("fields")))
        if named:
            members.uniques.append(frozenset(name.lstrip("-+#") for name in named))
    elif isinstance(node, ast.Call) and last(node) == "UniqueColumns":
        members.uniques += filter(None, [names_in(node.args)])
