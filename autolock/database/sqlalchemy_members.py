"""What a class body, or a Core `Table`, says in SQLAlchemy's and SQLModel's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace

from autolock.database.annotations import Annotation, read_annotation
from autolock.database.kinds import kind_of
from autolock.database.schema import Column, Members, Relationship
from autolock.database.syntax import (
    assignments,
    elements,
    is_false,
    is_true,
    keyword,
    last,
    names_in,
    pairs,
    returned,
    text,
)
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

COLUMN_MAKERS = frozenset({"Column", "mapped_column"})
_RELATIONSHIPS = frozenset({"relationship", "Relationship", "dynamic_loader"})
_DEFAULTS = ("default", "server_default", "default_factory", "insert_default", "server_onupdate")
#: Calls that make a column of the one that they are given.
_ROUND_COLUMNS = frozenset({"deferred", "column_property"})
_DECLARED = ("declared_attr", "directive", "cascading")
#: Attributes of a SQLModel class that are no fields.
_NO_FIELDS = frozenset({"model_config", "metadata", "Config"})

_CONSTRAINTS = frozenset(
    {"UniqueConstraint", "PrimaryKeyConstraint", "ForeignKeyConstraint", "CheckConstraint", "ExcludeConstraint"}
) | {"Index"}

TableName = Callable[[Ref], str]
"""The table of a class of the project; empty for what is no model."""


class SqlalchemyReader:
    """Reads class bodies of one file; `fields` says that annotations alone make columns (SQLModel)."""

    def __init__(self, program: Program, path: str, scope: str, table_name: TableName, *, fields: bool) -> None:
        self._program = program
        self._path = path
        self._scope = scope
        self._table_name = table_name
        self._fields = fields

    # -- classes -------------------------------------------------------------

    def members(self, node: ast.ClassDef) -> Members:
        """Columns, relationships and constraints of one class body."""
        members = Members()
        for name, annotation, value in assignments(node.body):
            self._attribute(members, name, annotation, value)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef) and _is_declared(statement):
                self._attribute(members, statement.name, statement.returns, returned(statement))
        return members

    def _attribute(self, members: Members, name: str, annotation: ast.expr | None, value: ast.expr | None) -> None:
        if name == "__table_args__":
            _constraints(members, value)
            parts = value.elts if isinstance(value, ast.Tuple) else [value]
            members.unclear |= not all(isinstance(p, ast.Dict) or last(p) in _CONSTRAINTS for p in parts)
        elif name == "__mapper_args__":
            options = dict(pairs(value))
            members.version = _named(options["version_id_col"]) if "version_id_col" in options else ""
            members.keys = names_in(elements(options.get("primary_key"))) or members.keys
        elif name == "__abstract__":
            members.abstract = is_true(value)
        elif name == "__table__" and isinstance(value, ast.Call) and last(value) == "Table":
            self.table(members, value)
        elif not name.startswith("__"):
            self._member(members, name, annotation, value)

    def _member(self, members: Members, name: str, annotation: ast.expr | None, value: ast.expr | None) -> None:
        call = self._call(value)
        maker = last(call)
        if call is not None and maker in _RELATIONSHIPS:
            members.relationships[name] = self._relationship(name, annotation, call)
        elif call is not None and maker in COLUMN_MAKERS:
            members.columns[name] = self._column(name, self._annotation(annotation), call)
        elif annotation is not None:
            said = self._plain(name, annotation, value)
            if said is not None and self._fields:
                members.columns[name] = self._sqlmodel_column(name, said, value, call)
            elif said is not None:
                members.columns[name] = self._column(name, said, None)

    def _annotation(self, annotation: ast.expr | None) -> Annotation:
        return read_annotation(self._program, self._path, self._scope, annotation)

    def _plain(self, name: str, annotation: ast.expr, value: ast.expr | None) -> Annotation | None:
        """The annotation that makes a column by itself or with a Field; None where none does."""
        if self._fields:
            if name.startswith("_") or name in _NO_FIELDS or last(annotation) == "ClassVar":
                return None
            return self._annotation(annotation)
        if value is not None:
            return None
        said = self._annotation(annotation)
        return said if said.mapped else None

    def _call(self, value: ast.expr | None) -> ast.Call | None:
        """The call that makes the attribute: inside `deferred(...)`, and in a helper of the project."""
        if not isinstance(value, ast.Call):
            return None
        if last(value) in _ROUND_COLUMNS and value.args:
            inner = value.args[0]
            return inner if isinstance(inner, ast.Call) and last(inner) in COLUMN_MAKERS else None
        if last(value) in COLUMN_MAKERS | _RELATIONSHIPS:
            return value
        found = self._program.resolve(self._path, dotted(value.func), self._scope) if dotted(value.func) else None
        if found is not None and found[0].kind == "function":
            unit = self._program.unit(found[0].path)
            function = unit.functions.get(found[0].name) if unit else None
            made = returned(function) if function else None
            if isinstance(made, ast.Call) and last(made) in COLUMN_MAKERS:
                return made
        return value

    # -- columns -------------------------------------------------------------

    def _column(self, name: str, said: Annotation, call: ast.Call | None) -> Column:
        column = Column(name, name, said.kind, nullable=said.optional or not said.mapped)
        for extra in said.extras:
            if isinstance(extra, ast.Call) and last(extra) in COLUMN_MAKERS:
                column = self._with_arguments(column, extra)
        return self._with_arguments(column, call) if call is not None else column

    def _sqlmodel_column(self, name: str, said: Annotation, value: ast.expr | None, call: ast.Call | None) -> Column:
        column = Column(name, name, said.kind, nullable=said.optional)
        for extra in said.extras:
            if isinstance(extra, ast.Call) and last(extra) in (*COLUMN_MAKERS, "Field"):
                column = self._with_arguments(column, extra)
        if call is not None and last(call) == "Field":
            column = self._with_arguments(column, call)
            own = keyword(call, "sa_column")
            if isinstance(own, ast.Call) and last(own) in COLUMN_MAKERS:
                column = self._with_arguments(replace(column, nullable=True), own)
            for key, argument in pairs(keyword(call, "sa_column_kwargs")):
                column = _with_flag(column, key, argument)
            if call.args and not _is_ellipsis(call.args[0]):
                column = replace(column, has_default=True)
            return column
        return replace(column, has_default=value is not None)

    def _with_arguments(self, column: Column, call: ast.Call) -> Column:
        """The column with what the arguments of `Column`, `mapped_column` or `Field` say of it."""
        explicit = keyword(call, "nullable")
        arguments = call.args if last(call) != "Field" else []
        for place, argument in enumerate(arguments):
            if place == 0 and text(argument):
                column = replace(column, column=text(argument))
            elif isinstance(argument, ast.Call) and last(argument) == "ForeignKey":
                column = replace(column, foreign_key=self._foreign_key(argument.args[0] if argument.args else None))
            elif isinstance(argument, ast.Call | ast.Name | ast.Attribute):
                column = replace(column, kind=self._kind(argument) or column.kind, mutable=_is_mutable(argument))
        for found in call.keywords:
            column = _with_flag(column, found.arg or "", found.value)
            if found.arg == "foreign_key":
                column = replace(column, foreign_key=self._foreign_key(found.value))
            elif found.arg in ("type_", "sa_type"):
                column = replace(column, kind=self._kind(found.value) or column.kind, mutable=_is_mutable(found.value))
        if column.primary_key and explicit is None:
            column = replace(column, nullable=False)
        return column

    def _kind(self, node: ast.expr) -> str:
        """The kind of a type as it is given to a column; a wrapped type counts (`MutableDict.as_mutable(JSONB)`)."""
        name = last(node)
        if name in ("as_mutable", "with_variant") or (name and not kind_of(name) and isinstance(node, ast.Call)):
            return next((kind for argument in _inner_types(node, name) if (kind := self._kind(argument))), "")
        return kind_of(name)

    def _foreign_key(self, node: ast.expr | None) -> str:
        """`table.column` of a ForeignKey, given as text or as an attribute of a model."""
        if text(node):
            return ".".join(text(node).split(".")[-2:])
        name = dotted(node).replace(".__table__", "").replace(".c.", ".").replace(".columns.", ".")
        owner, _, attribute = name.rpartition(".")
        if not owner:
            return ""
        found = self._program.resolve(self._path, owner, self._scope)
        table = self._table_name(found[0]) if found is not None and not found[1] else ""
        return f"{table}.{attribute}" if table else ""

    # -- relationships -------------------------------------------------------

    def _relationship(self, name: str, annotation: ast.expr | None, call: ast.Call) -> Relationship:
        said = self._annotation(annotation)
        first = call.args[0] if call.args else keyword(call, "argument")
        if isinstance(first, ast.Lambda):
            first = first.body
        target_name = text(first).rpartition(".")[2] or dotted(first) or said.name
        arguments = {found.arg: found.value for found in call.keywords if found.arg}
        arguments.update(pairs(keyword(call, "sa_relationship_kwargs")))
        uselist = arguments.get("uselist")
        if uselist is not None:
            many: bool | None = False if is_false(uselist) else True if is_true(uselist) else None
        else:
            many = said.many if annotation is not None and said.name else None
        return Relationship(name, self._class(target_name), target_name, text(arguments.get("lazy")), many)

    def _class(self, name: str) -> Ref | None:
        """The class that a name means here."""
        found = self._program.resolve(self._path, name, self._scope) if name else None
        if found is not None and found[0].kind == "class" and not found[1]:
            return found[0]
        return None

    # -- Core ----------------------------------------------------------------

    def table(self, members: Members, call: ast.Call) -> None:
        """Add what a call of `Table` says."""
        members.table = text(call.args[0] if call.args else keyword(call, "name"))
        for argument in call.args[1:]:
            if isinstance(argument, ast.Call) and last(argument) in COLUMN_MAKERS:
                column = self._column("", Annotation(), argument)
                name = text(keyword(argument, "key")) or column.column
                members.columns[name] = replace(column, name=name)
            else:
                _constraints(members, argument)


def _with_flag(column: Column, name: str, value: ast.expr) -> Column:
    if name == "primary_key":
        return replace(column, primary_key=is_true(value))
    if name == "unique":
        return replace(column, unique=is_true(value))
    if name == "nullable":
        return replace(column, nullable=is_true(value))
    if name == "name" and text(value):
        return replace(column, column=text(value))
    return replace(column, has_default=True) if name in _DEFAULTS and not _is_ellipsis(value) else column


def _is_mutable(node: ast.expr) -> bool:
    """Whether a type tells the session of changes inside of its values."""
    return any(last(n) == "as_mutable" for n in ast.walk(node) if isinstance(n, ast.Call))


def _inner_types(node: ast.expr, name: str) -> list[ast.expr]:
    """The types that a type is made of: `X().with_variant(...)`, `MutableDict.as_mutable(X)`, `Encrypted(X)`."""
    if not isinstance(node, ast.Call):
        return []
    if name == "with_variant" and isinstance(node.func, ast.Attribute):
        return [node.func.value]
    return [argument for argument in node.args if isinstance(argument, ast.Call | ast.Name | ast.Attribute)]


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_declared(function: ast.FunctionDef) -> bool:
    return any(last(decorator) in _DECLARED for decorator in function.decorator_list)


def _named(node: ast.AST) -> str:
    return text(node) or last(node)


def _constraints(members: Members, node: ast.AST | None) -> None:
    """Add the constraints that stand anywhere in an expression (`__table_args__`, an argument of `Table`)."""
    for call in ast.walk(node) if node is not None else ():
        if isinstance(call, ast.Call):
            constraint(members, call)


def constraint(members: Members, call: ast.Call) -> None:
    """Add what a call of UniqueConstraint, PrimaryKeyConstraint, Index or ExcludeConstraint says."""
    name = last(call)
    if name == "UniqueConstraint":
        columns = names_in(call.args)
        members.unclear |= not columns
        if columns:
            members.uniques.append(columns)
    elif name == "PrimaryKeyConstraint":
        members.keys = names_in(call.args) or members.keys
    elif name == "ExcludeConstraint":
        parts = [argument.elts[0] for argument in call.args if isinstance(argument, ast.Tuple) and argument.elts]
        columns = frozenset(filter(None, map(_named, parts)))
        if columns:
            members.partial.append(columns)
    elif name == "Index" and is_true(keyword(call, "unique")):
        _unique_index(members, call)


def _unique_index(members: Members, call: ast.Call) -> None:
    columns = names_in(call.args[1:])
    where = any(found.arg and found.arg.endswith("_where") for found in call.keywords)
    if columns and not where:
        members.uniques.append(columns)
        return
    said = {_named(node) for argument in call.args[1:] for node in ast.walk(argument) if _may_name(node)}
    named = {word for name in said for word in re.findall(r"\w+", name)}  # text("lower(name)")
    named -= {"func", "lower", "upper", "coalesce", "text", "trim", "op", "desc", "asc"}
    members.unclear |= not named
    if named:
        members.partial.append(frozenset(named))


def _may_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant | ast.Attribute) or (isinstance(node, ast.Name) and node.id[:1].islower())
