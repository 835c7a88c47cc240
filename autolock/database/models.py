"""The tables of a program: its mapped classes and Core tables, with their columns and what is unique in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from autolock.database.document_members import document_members
from autolock.database.field_members import WORDS, field_members
from autolock.database.libraries import (
    bases_of,
    classes,
    is_base,
    is_known_base,
    known_columns,
    known_table,
    library_of,
    snake_case,
)
from autolock.database.migrations import NOTHING_MIGRATED, Migrated
from autolock.database.schema import Column as Column
from autolock.database.schema import Members
from autolock.database.schema import Model as Model
from autolock.database.schema import Relationship as Relationship
from autolock.database.sqlalchemy_members import SqlalchemyReader, constraint
from autolock.database.syntax import constant_in, is_true, last, returned, text
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

#: Libraries whose tables are called by the snake case of the class where nothing else is said.
_SNAKE = frozenset({"piccolo", "odmantic", "mongoengine"})
_SNAKE_MAKERS = ("snake", "underscore", "table_name", "sub(")
_DOCUMENTS = frozenset({"beanie", "odmantic"})


class Models:
    """Answers about models, each looked up when it is asked for.

    `migrations` tell of constraints that models do not mention.
    """

    def __init__(self, program: Program, migrations: Migrated = NOTHING_MIGRATED) -> None:
        self._program = program
        self._migrations = migrations
        self._models: dict[Ref, Model | None] = {}
        self._tables: dict[Ref, Model | None] = {}
        self._members: dict[tuple[Ref, str], Members] = {}
        self._by_table: dict[str, Model] | None = None
        self._named: dict[str, list[Ref]] | None = None

    def of(self, ref: Ref) -> Model | None:
        """The model that a class of the project is; None for other classes, bases and mixins."""
        if ref not in self._models:
            self._models[ref] = None
            self._models[ref] = self._of(ref)
        return self._models[ref]

    def table(self, ref: Ref) -> Model | None:
        """The Core table that a module-level variable of the project holds."""
        if ref not in self._tables:
            self._tables[ref] = None
            self._tables[ref] = self._core_table(ref)
        return self._tables[ref]

    def by_table(self, name: str) -> Model | None:
        """The model of a table; one that others inherit before those, else the one that knows most columns."""
        if self._by_table is None:
            self._by_table = {}
            for model in self.all():
                known = self._by_table.get(model.table)
                if known is None or self._inherits(known.ref, model.ref) or self._is_fuller(model, known):
                    self._by_table[model.table] = model
            for table, model in list(self._by_table.items()):
                self._by_table.setdefault(table.lower(), model)
        return self._by_table.get(name) or self._by_table.get(name.lower())

    def unmapped(self, table: str) -> Model:
        """A table of which the project has no class, with what the text that makes it says."""
        uniques = self._migrations.made.get(table.lower())
        model = Model(Ref("table", "", table), table, "sql")
        return replace(model, uniques=uniques, settled=True) if uniques is not None else model

    def all(self) -> tuple[Model, ...]:
        """Every model and Core table of the program, by file and name, without the copies that migrations keep."""
        return tuple(self._every())

    def _every(self) -> Iterator[Model]:
        for path in sorted(self._program.modules):
            if "/versions/" in path:
                continue
            facts = self._program.modules[path]
            for name in sorted(facts.classes):
                model = self.of(Ref("class", path, name))
                if model is not None:
                    yield model
            for name, binding in sorted(facts.bindings.items()):
                if binding.callee.rpartition(".")[2] == "Table":
                    model = self.table(Ref("variable", path, name))
                    if model is not None:
                        yield model

    def _is_fuller(self, model: Model, known: Model) -> bool:
        return len(model.columns) > len(known.columns) and not self._inherits(model.ref, known.ref)

    def _inherits(self, ref: Ref, other: Ref) -> bool:
        return ref != other and other in self._program.mro(ref)

    # -- classes -------------------------------------------------------------

    def _of(self, ref: Ref) -> Model | None:
        library = library_of(self._program, ref) if ref.kind == "class" else ""
        if not library or not self._is_mapped(ref, library):
            return None
        parts = [(cls, self._own(cls, library)) for cls in classes(self._program, ref)]
        merged = Members()
        for base in bases_of(self._program, ref):
            merged.columns.update(known_columns(base))
            merged.unclear |= not is_known_base(base)
        for cls, own in reversed([*parts, *self._of_base_variables(ref, library)]):
            merged.columns.update(own.columns)
            merged.relationships.update(own.relationships)
            merged.uniques += own.uniques
            merged.partial += own.partial
            merged.unclear |= own.unclear
            merged.keys = own.keys or merged.keys
            merged.version = own.version or merged.version
            if cls == ref:
                merged.table = own.table
        if library in WORDS or library == "beanie":
            _add_implicit_key(merged, library)
        return self._model(ref, merged.table or self._table_name(ref, library), library, merged)

    def _is_mapped(self, ref: Ref, library: str) -> bool:
        node = self._node(ref)
        if node is None:
            return False
        if library == "sqlmodel":
            return any(found.arg == "table" and is_true(found.value) for found in node.keywords)
        if self._own(ref, library).abstract:
            return False
        if library != "sqlalchemy":
            return True
        if is_base(self._program, ref):
            return False
        return (
            any(self._names_table(cls) or self._own(cls, library).table for cls in classes(self._program, ref))
            or any(known_table(base, ref.name) for base in bases_of(self._program, ref))
            or bool(self._own(ref, library).columns)
        )

    def _names_table(self, ref: Ref) -> bool:
        facts = self._program.klass(ref)
        return facts is not None and (
            not {"__tablename__", "__table__"}.isdisjoint(facts.bindings) or "__tablename__" in facts.methods
        )

    def _of_base_variables(self, ref: Ref, library: str) -> list[tuple[Ref, Members]]:
        """What `Base = declarative_base(cls=Mixin)` brings along."""
        found: list[tuple[Ref, Members]] = []
        for cls in classes(self._program, ref):
            facts = self._program.klass(cls)
            for base in facts.bases if facts else ():
                target = self._program.resolve(cls.path, base, cls.name.rpartition(".")[0])
                mixin = self._class_of_base(target[0]) if target is not None and not target[1] else None
                if mixin is not None:
                    found += [(other, self._own(other, library)) for other in classes(self._program, mixin)]
        return found

    def _class_of_base(self, ref: Ref) -> Ref | None:
        unit = self._program.unit(ref.path) if ref.kind == "variable" else None
        value = constant_in(unit.tree.body, ref.name) if unit else None
        if not isinstance(value, ast.Call):
            return None
        given = next((dotted(found.value) for found in value.keywords if found.arg == "cls"), "")
        found = self._program.resolve(ref.path, given) if given else None
        return found[0] if found is not None and found[0].kind == "class" and not found[1] else None

    def _own(self, ref: Ref, library: str) -> Members:
        key = (ref, library)
        if key not in self._members:
            self._members[key] = Members()
            node = self._node(ref)
            if node is not None:
                self._members[key] = self._read(ref, node, library)
        return self._members[key]

    def _read(self, ref: Ref, node: ast.ClassDef, library: str) -> Members:
        if library in WORDS:
            return field_members(self._program, ref.path, ref.name, node, library)
        if library in _DOCUMENTS:
            return document_members(self._program, ref.path, ref.name, node)
        members = self._reader(ref.path, ref.name, library).members(node)
        unit = self._program.unit(ref.path)
        for call in _module_indexes(unit.tree.body if unit else []):
            if any(dotted(argument).rpartition(".")[0] == ref.name for argument in call.args):
                constraint(members, call)
        return members

    def _reader(self, path: str, scope: str, library: str) -> SqlalchemyReader:
        return SqlalchemyReader(self._program, path, scope, self._any_table_name, fields=library == "sqlmodel")

    def _node(self, ref: Ref) -> ast.ClassDef | None:
        unit = self._program.unit(ref.path)
        return unit.classes.get(ref.name) if unit else None

    # -- tables --------------------------------------------------------------

    def _any_table_name(self, ref: Ref) -> str:
        """The table of a class or of a Core variable, for foreign keys; empty for what is neither."""
        if ref.kind == "variable":
            call = self._table_call(ref)
            return text(call.args[0]) if call is not None and call.args else ""
        library = library_of(self._program, ref) if ref.kind == "class" else ""
        return self._table_name(ref, library) if library else ""

    def _table_name(self, ref: Ref, library: str) -> str:
        """The name that is written, or that the library or a declared attribute makes of the class's name."""
        simple = ref.name.rpartition(".")[2]
        for cls in classes(self._program, ref):
            node = self._node(cls)
            value = constant_in(node.body, "__tablename__") if node else None
            if value is not None:
                return self._constant(cls, value) or simple.lower()
            unit = self._program.unit(cls.path)
            function = unit.functions.get(f"{cls.name}.__tablename__") if unit else None
            if function is not None:
                made = returned(function)
                written = ast.unparse(function).lower()
                snake = any(part in written for part in _SNAKE_MAKERS)
                return text(made) or (snake_case(simple) if snake else simple.lower())
            if cls != ref and self._is_own_table(cls, library):
                break
        for cls in classes(self._program, ref):
            if self._own(cls, library).table:
                return self._own(cls, library).table
        for base in bases_of(self._program, ref):
            if known_table(base, simple):
                return known_table(base, simple)
        if library == "beanie":
            return simple
        return snake_case(simple) if library in _SNAKE else simple.lower()

    def _is_own_table(self, ref: Ref, library: str) -> bool:
        return library == "sqlmodel" and self.of(ref) is not None

    def _constant(self, ref: Ref, value: ast.expr) -> str:
        """The text of a constant, also one that a module-level name holds."""
        if text(value) or not dotted(value):
            return text(value)
        found = self._program.resolve(ref.path, dotted(value), ref.name)
        if found is None or found[0].kind != "variable" or found[1]:
            return ""
        unit = self._program.unit(found[0].path)
        return text(constant_in(unit.tree.body, found[0].name)) if unit else ""

    def _core_table(self, ref: Ref) -> Model | None:
        call = self._table_call(ref)
        if call is None:
            return None
        members = Members()
        self._reader(ref.path, "", "sqlalchemy").table(members, call)
        return self._model(ref, members.table, "sqlalchemy", members) if members.table else None

    def _table_call(self, ref: Ref) -> ast.Call | None:
        facts = self._program.modules.get(ref.path)
        binding = facts.bindings.get(ref.name) if facts and ref.kind == "variable" else None
        if binding is None or binding.callee.rpartition(".")[2] != "Table":
            return None
        found = self._program.resolve(ref.path, binding.callee)
        if (
            found is None
            or found[0].kind != "external"
            or found[0].name.partition(".")[0] not in ("sqlalchemy", "sqlmodel")
        ):
            return None
        unit = self._program.unit(ref.path)
        value = constant_in(unit.tree.body, ref.name) if unit else None
        return value if isinstance(value, ast.Call) else None

    # -- putting together ----------------------------------------------------

    def _model(self, ref: Ref, table: str, library: str, said: Members) -> Model:
        keys = said.keys or frozenset(name for name, column in said.columns.items() if column.primary_key)
        attributes = {column.column: name for name, column in said.columns.items()}
        attributes.update({name: name for name in said.columns})
        attributes.update(
            {
                name: f"{name}_id"
                for name in said.relationships
                if f"{name}_id" in said.columns and name not in said.columns
            }
        )
        sets = [keys, *(frozenset({name}) for name, column in said.columns.items() if column.unique), *said.uniques]
        uniques = [frozenset(attributes.get(name, name) for name in names) for names in sets if names]
        partial = [frozenset(attributes[name] for name in names if name in attributes) for names in said.partial]
        wider = [*uniques[1:], *partial]
        for names in self._migrations.uniques.get(table, ()):
            made = frozenset(attributes.get(name, "") for name in names)
            # A wider set that the model mentions has taken the place of an older one.
            if "" not in made and not any(made < other for other in wider):
                uniques.append(made)
        columns = {
            name: replace(column, primary_key=True) if name in keys or column.column in keys else column
            for name, column in said.columns.items()
        }
        return Model(
            ref,
            table,
            library,
            columns,
            tuple(dict.fromkeys(uniques)),
            tuple(dict.fromkeys(filter(None, partial))),
            {name: self._with_target(found) for name, found in said.relationships.items()},
            attributes.get(said.version, said.version),
            not said.unclear and all(partial) and self._migrations.unclear.isdisjoint((table, "")),
        )

    def _with_target(self, relationship: Relationship) -> Relationship:
        """The relationship with the only model of the project that is called so, where no import says which it is."""
        if relationship.target is not None or not relationship.target_name:
            return relationship
        if self._named is None:
            self._named = {}
            for path, facts in self._program.modules.items():
                for name in facts.classes:
                    self._named.setdefault(name.rpartition(".")[2], []).append(Ref("class", path, name))
        refs = self._named.get(relationship.target_name.rpartition(".")[2], [])
        found = [ref for ref in refs if library_of(self._program, ref)]
        return replace(relationship, target=found[0]) if len(found) == 1 else relationship


def _add_implicit_key(members: Members, library: str) -> None:
    """The key that a library adds where a class names none."""
    if members.keys or any(column.primary_key for column in members.columns.values()):
        return
    name = WORDS[library].implicit_key if library in WORDS else "id"
    if name:
        column = members.columns.get(name) or Column(name, name, has_default=True)
        members.columns[name] = replace(column, primary_key=True)


def _module_indexes(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """`Index("name", Model.a, unique=True)` beside the classes."""
    for statement in body:
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if isinstance(value, ast.Call) and last(value) == "Index":
            yield value
