"""Makes the tables of an application that leaves them to its migrations or to a start script."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import ModuleType
from typing import Any

from .loop import GatedLoop
from .sessions import instances_of


def make_missing_tables(loop: GatedLoop, modules: Collection[ModuleType]) -> None:
    """Make the tables that the project's SQLAlchemy models name, in each database that has no table at all.

    Tables that cannot be made are left out: requests then say what is missing.
    """
    library = sys.modules.get("sqlalchemy")
    known = [] if library is None else _metadata_of(modules, library)
    if library is None or not known:
        return
    over_async = {id(one.sync_engine): one for one in instances_of("sqlalchemy.ext.asyncio", "AsyncEngine")}
    for engine in instances_of("sqlalchemy.engine", "Engine"):
        other = over_async.get(id(engine))
        try:
            if other is not None:
                loop.run_until_complete(_make_over_async(other, library, known))
            else:
                with engine.begin() as connection:
                    _make(connection, library, known)
        except (library.exc.SQLAlchemyError, OSError):
            continue


async def _make_over_async(engine: Any, library: Any, known: list[Any]) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda inside: _make(inside, library, known))


def _make(connection: Any, library: Any, known: list[Any]) -> None:
    if not library.inspect(connection).get_table_names():
        for metadata in known:
            metadata.create_all(connection)


def _metadata_of(modules: Collection[ModuleType], library: Any) -> list[Any]:
    """The collections of tables which the project's modules name, or on which their models are."""
    found: dict[int, Any] = {}
    for module in modules:
        for value in vars(module).values():
            metadata = value if isinstance(value, library.MetaData) else getattr(value, "metadata", None)
            if isinstance(metadata, library.MetaData) and metadata.tables:
                found[id(metadata)] = metadata
    return list(found.values())
