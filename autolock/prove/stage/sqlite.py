"""SQLite databases of the application: found when they are opened, put back with SQLite's own backup.

https://docs.python.org/3/library/sqlite3.html#sqlite3.Connection.backup
"""

from __future__ import annotations

import functools
import os
import sqlite3
from typing import Any

from .lanes import LANE


class SqliteData:
    """All SQLite databases that the application has opened, as they are when `remember` is called."""

    def __init__(self) -> None:
        self._memory: list[sqlite3.Connection] = []
        self._files: dict[str, sqlite3.Connection] = {}
        self._starts: list[list[tuple[sqlite3.Connection, sqlite3.Connection]]] = []

    def follow(self) -> None:
        """Hear of every connection that is opened from now on."""
        connect = sqlite3.connect

        @functools.wraps(connect)
        def open_and_tell(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
            name = os.fspath(database)
            private = ":memory:" in str(name) or "mode=memory" in str(name) or name == ""
            if private:
                options["check_same_thread"] = False
            connection: sqlite3.Connection = connect(database, *args, **options)
            self._heard(str(name), private, connection)
            return connection

        sqlite3.connect = open_and_tell  # type: ignore[assignment]
        sqlite3.dbapi2.connect = open_and_tell  # type: ignore[assignment]

    def _heard(self, name: str, private: bool, connection: sqlite3.Connection) -> None:
        if private:
            self._memory.append(connection)
        else:
            path = os.path.realpath(name.removeprefix("file:").split("?")[0])
            if path not in self._files and LANE.get() is None:
                self._files[path] = sqlite3.Connection(path, check_same_thread=False, timeout=5)

    def remember(self) -> None:
        """Take what the databases hold now as the start of every run."""
        start = []
        for connection in [*self._memory, *self._files.values()]:
            copy = sqlite3.Connection(":memory:", check_same_thread=False)
            connection.backup(copy)
            start.append((connection, copy))
        self._starts.append(start)

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self._starts.pop()
        self.restore()

    def restore(self) -> None:
        """Put back what the databases held."""
        for connection, copy in self._starts[-1]:
            if connection.in_transaction:
                connection.rollback()
            copy.backup(connection)

    def is_locked(self) -> bool:
        """Whether somebody could not write to one of the files now: a connection of a request holds it."""
        return any(map(_is_taken, self._files))

    def picture(self) -> dict[str, Any]:
        """The rows of every table, in the order of their keys."""
        tables: dict[str, Any] = {}
        for connection, _ in self._starts[-1]:
            for (name,) in _rows(
                connection, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ):
                cursor = connection.execute(f'SELECT * FROM "{name}"')
                columns = [column[0] for column in cursor.description]
                rows = sorted(map(tuple, cursor.fetchall()), key=repr)
                tables[f"table {name}"] = [dict(zip(columns, row, strict=True)) for row in rows]
        return tables


def _is_taken(path: str) -> bool:
    probe = sqlite3.Connection(path, timeout=0, isolation_level=None)
    try:
        probe.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return True
    finally:
        probe.close()
    return False


def _rows(connection: sqlite3.Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()
