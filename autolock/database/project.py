"""What is known of a project's databases as a whole: which one it is, and what its migrations have made unique."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autolock.database.ddl import tables_made
from autolock.database.dialect import dialect_of
from autolock.database.migrations import NOTHING_MIGRATED, Migrated, migrated, migration_files
from autolock.deployment.backend import LockBackend
from autolock.deployment.project import NO_DEPLOYMENTS, Deployments, deployments_of
from autolock.llm.project import NO_PROJECT, ModelProject, ModelSettings
from autolock.program.processes import Started

_LIBRARIES = frozenset(
    {
        *("sqlalchemy", "sqlmodel", "databases", "asyncpg", "psycopg", "psycopg2", "aiosqlite", "sqlite3"),
        *("tortoise", "piccolo", "beanie", "motor", "pymongo", "odmantic", "mongoengine", "ormar", "redis"),
        *("advanced_alchemy", "fastapi_users", "fastapi_users_db_sqlalchemy", "peewee"),
    }
)


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`dialect` is empty where it is not known; `migrated` is what migrations have made unique.

    `models` is what fixes of endpoints that call a language model go by, `deployments` says in how many processes
    applications run, `backend` is what fixes may lock with where rows cannot be locked.
    """

    dialect: str = ""
    migrated: Migrated = NOTHING_MIGRATED
    models: ModelProject = NO_PROJECT
    deployments: Deployments = NO_DEPLOYMENTS
    backend: LockBackend | None = None


NO_FACTS = DatabaseFacts()


def concerns_databases(modules: Iterable[str]) -> bool:
    """Whether any of the modules that are imported is of a library that talks to a database."""
    return any(module.lstrip(".").partition(".")[0] in _LIBRARIES for module in modules)


class ProjectDatabases:
    """The facts of one project, read when they are asked for.

    `imports` are the modules that each file, relative to `root`, imports at its top level, `tables` the SQL in the code
    that makes tables, `processes` the calls in it that start several processes, `settings` what the user wants of
    endpoints that call a model.
    """

    def __init__(
        self,
        imports: Mapping[str, Sequence[str]],
        tables: Sequence[str],
        processes: Sequence[tuple[str, Started]],
        root: Path,
        settings: ModelSettings,
        backend: LockBackend | None = None,
    ) -> None:
        self._backend = backend
        self._imports = imports
        self._tables = tables
        self._processes = processes
        self._root = root
        self._models = ModelProject(settings, root)

    @cached_property
    def concerned(self) -> bool:
        """Whether any file imports a library that talks to a database."""
        return concerns_databases(module for modules in self._imports.values() for module in modules)

    @cached_property
    def facts(self) -> DatabaseFacts:
        """What the project's migrations and settings say."""
        if not self.concerned:
            return DatabaseFacts(models=self._models, deployments=self._deployments)
        return DatabaseFacts(self._dialect, self.migrated, self._models, self._deployments, self._backend)

    @cached_property
    def migrated(self) -> Migrated:
        """What the migrations have made unique; whoever knows it from an earlier run may say so by setting it."""
        return migrated(self._migrations)._replace(made=tables_made(self._tables))

    @cached_property
    def _migrations(self) -> tuple[str, ...]:
        return tuple(migration_files(self._root))

    @cached_property
    def _dialect(self) -> str:
        return dialect_of(self._imports, self._root).name

    @cached_property
    def _deployments(self) -> Deployments:
        return deployments_of(self._root, self._imports, self._processes)

    @cached_property
    def signature(self) -> bytes:
        """Something that changes whenever the facts do, found without parsing the migrations."""
        wanted = f"{self._models.settings}{self._deployments}{self._backend}"
        if not self.concerned:
            return wanted.encode("utf-8", "surrogatepass")
        stamps = (stamp for path in self._migrations for stamp in _stamp(path))
        return "\0".join((wanted, self._dialect, *stamps, *self._tables)).encode("utf-8", "surrogatepass")


def _stamp(path: str) -> Iterator[str]:
    try:
        found = os.stat(path)
    except OSError:
        return
    yield f"{path}:{found.st_mtime_ns}:{found.st_size}"
