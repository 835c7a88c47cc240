"""What is known of a project's databases as a whole: which one it is, and what its migrations have made unique."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autolock.database.dialect import dialect_of
from autolock.database.migrations import migration_uniques

_LIBRARIES = frozenset(
    {
        *("sqlalchemy", "sqlmodel", "databases", "asyncpg", "psycopg", "psycopg2", "aiosqlite", "sqlite3"),
        *("tortoise", "piccolo", "beanie", "motor", "pymongo", "odmantic", "mongoengine", "ormar", "redis"),
        *("advanced_alchemy", "fastapi_users", "fastapi_users_db_sqlalchemy", "peewee"),
    }
)
_SETTINGS = (".toml", ".ini", ".cfg", ".yml", ".yaml", ".txt", ".env", ".example", "Pipfile", ".in")
_NO_FOLDERS = frozenset({"node_modules", "site-packages", "venv", "__pycache__"})
_DEEP = 2


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`dialect` is empty where it is not known; `uniques` are unique sets of columns by table, from migrations."""

    dialect: str = ""
    uniques: Mapping[str, tuple[frozenset[str], ...]] = field(default_factory=dict)


NO_FACTS = DatabaseFacts()


def concerns_databases(modules: Iterable[str]) -> bool:
    """Whether any of the modules that are imported is of a library that talks to a database."""
    return any(module.lstrip(".").partition(".")[0] in _LIBRARIES for module in modules)


class ProjectDatabases:
    """The facts of one project, read when they are asked for.

    `imports` are the modules that each file, relative to `root`, imports at its top level.
    """

    def __init__(self, imports: Mapping[str, Sequence[str]], root: Path) -> None:
        self._imports = imports
        self._root = root

    @cached_property
    def concerned(self) -> bool:
        """Whether any file imports a library that talks to a database."""
        return concerns_databases(module for modules in self._imports.values() for module in modules)

    @cached_property
    def facts(self) -> DatabaseFacts:
        """What the project's migrations and settings say."""
        if not self.concerned or not self._root.is_dir():
            return NO_FACTS
        return DatabaseFacts(dialect_of(self._imports, self._root).name, migration_uniques(self._root))

    @cached_property
    def signature(self) -> bytes:
        """Something that changes whenever a file changes that the facts are read from."""
        if not self.concerned:
            return b""
        return "\0".join(self._stamps()).encode("utf-8", "surrogatepass")

    def _stamps(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(n for n in folders if n not in _NO_FOLDERS and not n.startswith("."))
            parts = folder.removeprefix(str(self._root)).split(os.sep)[1:]
            migrations = "versions" in parts
            for name in sorted(files):
                if (migrations and name.endswith(".py")) or (len(parts) <= _DEEP and name.endswith(_SETTINGS)):
                    yield from _stamp(os.path.join(folder, name))


def _stamp(path: str) -> Iterator[str]:
    try:
        found = os.stat(path)
    except OSError:
        return
    yield f"{path}:{found.st_mtime_ns}:{found.st_size}"
