"""Unique constraints that only Alembic migrations make.

Migrations are not analysed, as nothing in them races. Their text is looked at for the constraints
that the models do not mention.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from autolock.database.syntax import elements, is_true, keyword, last, names_in, text
from autolock.program.index import parse

_LARGEST = 2_000_000
_NO_FOLDERS = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"})


_Name = tuple[str, str]
"""A constraint: its table, empty where an index is dropped without naming one, and its own name."""


class Migrated(NamedTuple):
    """The unique sets of columns by table, and the tables of which something else may be unique.

    A table without a name among those stands for all tables. `made` has the same of tables that SQL text makes.
    """

    uniques: Mapping[str, tuple[frozenset[str], ...]]
    unclear: frozenset[str]
    made: Mapping[str, tuple[frozenset[str], ...]] = {}


NOTHING_MIGRATED = Migrated({}, frozenset())


@dataclass(slots=True)
class _Made:
    """What all migrations make, and what they take away.

    A constraint has several names where the database chooses one. `unsure` are tables of which it cannot be said
    which constraint goes, `unclear` those of which something is unique that cannot be told, the empty one
    standing for all.
    """

    sets: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = field(default_factory=dict)
    made: Counter[_Name] = field(default_factory=Counter)
    dropped: Counter[_Name] = field(default_factory=Counter)
    unsure: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)

    def add(self, table: str, name: str, columns: Sequence[ast.expr]) -> None:
        """A constraint on some columns of a table, which stay unknown where they are not written as names."""
        named = names_in(columns)
        if not table or not named:
            self.unclear.add(table)
            return
        written = [text(column) for column in columns]
        names = (name,) if name else (f"{table}_{'_'.join(written)}_key", f"uq_{table}_{written[0]}", written[0])
        self.sets.setdefault(table, []).append((names, named))
        self.made.update((table, name) for name in names)

    def drop(self, table: str, name: str) -> None:
        if name:
            self.dropped[table, name] += 1
        else:
            self.unsure.add(table)

    def left(self) -> Migrated:
        """What stays."""
        stays = {
            table: tuple(dict.fromkeys(named for names, named in sets if all(self._stays(table, n) for n in names)))
            for table, sets in self.sets.items()
            if self.unsure.isdisjoint((table, ""))
        }
        return Migrated(stays, frozenset(self.unclear | self.unsure))

    def _stays(self, table: str, name: str) -> bool:
        drops = self.dropped[table, name] + self.dropped["", name]
        # A constraint that SQL text drops is called by its full name there; a mere column's name says nothing.
        return self.made[table, name] > drops and not ("_" in name and any(name in said for said in self.texts))


def migrated(migrations: Iterable[str]) -> Migrated:
    """The unique sets of columns by table that migrations leave behind; given are their files, in their order.

    A constraint that is dropped as often as it is made does not count, nor does a partial index. Where it
    cannot be said which constraint of a table is dropped, none of them counts. Files that cannot be read or
    parsed are left out.
    """
    made = _Made()
    for path in migrations:
        tree = _tree(path)
        for statement in tree.body if tree else ():
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                _text(statement, made)
            if isinstance(statement, ast.FunctionDef) and not statement.name.startswith("downgrade"):
                _block(statement.body, "", "", made)
    return made.left()


def migration_files(root: Path) -> Iterator[str]:
    """The migrations below a folder: files of folders called `versions`, in the order of their names."""
    return _files_below(str(root), among=False)


def _files_below(folder: str, *, among: bool) -> Iterator[str]:
    """The same below one folder; `among` tells whether it is, or is in, one of those."""
    # Every run does this for every folder of the project, and `os.walk` takes three times as long.
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    if among:
        yield from (entry.path for entry in entries if entry.name.endswith(".py") and not entry.is_dir())
    for entry in entries:
        wanted = entry.name not in _NO_FOLDERS and not entry.name.startswith(".")
        if wanted and entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, among=among or entry.name == "versions")


def _tree(path: str) -> ast.Module | None:
    """The tree of a migration that says something of uniqueness or takes it away; None for other files."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST)
        wanted = b"op." in data and (b"unique" in data.lower() or b"op.drop_" in data)
        return parse(data, path) if wanted and b"down_revision" in data else None
    except (OSError, SyntaxError):
        return None


def _block(body: list[ast.stmt], table: str, alias: str, made: _Made) -> None:
    """The operations of a block; `alias` stands for `op` inside `with op.batch_alter_table(table) as alias`."""
    for statement in body:
        if isinstance(statement, ast.With):
            call = statement.items[0].context_expr
            inner = statement.items[0].optional_vars
            if isinstance(call, ast.Call) and last(call) == "batch_alter_table" and isinstance(inner, ast.Name):
                _block(statement.body, text(_argument(call, 0, "table_name")), inner.id, made)
                continue
        for name in ("body", "orelse", "handlers", "finalbody"):
            inside = getattr(statement, name, [])
            if inside and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                blocks = [part.body if isinstance(part, ast.ExceptHandler) else [part] for part in inside]
                _block([part for block in blocks for part in block], table, alias, made)
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            _operation(value, table if last(value.func.value) == alias else "", made)
        elif isinstance(value, ast.Call):  # a helper of the project
            _text(value, made)


def _operation(call: ast.Call, batch: str, made: _Made) -> None:
    """One call on `op`, or on a batch, whose operations do not name the table that it is for."""
    operation = last(call)
    name = text(_argument(call, 0, "constraint_name", "index_name"))
    table = batch or text(_argument(call, 1, "table_name", "source"))
    after = 1 if batch else 2
    if operation in ("drop_constraint", "drop_index"):
        if text(keyword(call, "type_")) not in ("foreignkey", "check", "primary"):
            made.drop(table, name)
    elif operation == "drop_table":
        made.unsure.add(text(_argument(call, 0, "table_name")) or "?")
    elif operation == "execute":
        _text(call, made)
    elif operation == "create_unique_constraint":
        made.add(table, name, elements(_argument(call, after, "columns", "local_cols")))
    elif operation == "create_index" and is_true(keyword(call, "unique")):
        if any(found.arg and found.arg.endswith("_where") for found in call.keywords):
            made.unclear.add(table)
        else:
            made.add(table, name, elements(_argument(call, after, "columns")))
    elif operation == "create_table" and call.args:
        for argument in call.args[1:]:
            _part(argument, text(call.args[0]), made)
    elif operation == "add_column":
        _part(_argument(call, 0 if batch else 1, "column"), batch or text(_argument(call, 0, "table_name")), made)


def _text(node: ast.AST, made: _Made) -> None:
    """What an expression says in text, as SQL or as names: of no table in particular where it is put together."""
    parts = list(ast.walk(node))
    said = " ".join(filter(None, map(text, parts)))
    if isinstance(node, ast.Call) and "drop" in said.lower():
        made.texts.append(said)
    if "unique" in said.lower() or "exclude" in said.lower() or any("unique" in _named(n).lower() for n in parts):
        together = any(isinstance(n, ast.JoinedStr) for n in parts)
        made.unclear.update(("",) if together or not said else re.findall(r"\w+", said))


def _named(node: ast.AST) -> str:
    """The name that a part of an expression consists of; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.arg or "" if isinstance(node, ast.keyword) else ""


def _part(node: ast.expr | None, table: str, made: _Made) -> None:
    """A column or a constraint of a table that is made."""
    if not isinstance(node, ast.Call):
        return
    if last(node) == "UniqueConstraint":
        made.add(table, text(keyword(node, "name")), node.args)
    elif last(node) == "Column" and is_true(keyword(node, "unique")):
        made.add(table, "", node.args[:1])


def _argument(call: ast.Call, place: int, *names: str) -> ast.expr | None:
    return call.args[place] if place < len(call.args) else keyword(call, *names)
