"""A PostgreSQL database as a run finds it: remembered once, looked at and put back after every run.

The copy of the data stays on the server, in a schema of its own, and foreign keys and triggers are asleep
while it is copied
back. Locks are asked for in `pg_stat_activity` (https://www.postgresql.org/docs/current/monitoring-stats.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

_COPY = "autolock_start_"


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"table {self.name}" if self.schema == "public" else f"table {self.schema}.{self.name}"

    @property
    def here(self) -> sql.Composable:
        return sql.Identifier(self.schema, self.name)

    def kept(self, copy: str) -> sql.Composable:
        return sql.Identifier(copy, f"{self.schema}_{self.name}")


@dataclass(frozen=True)
class _Start:
    schema: str
    tables: tuple[_Table, ...]
    rows: str
    sequences: dict[str, Any]


class PostgresData:
    """The data of one database. Raises psycopg.Error where the server cannot be reached."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._starts: list[_Start] = []

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def remember(self) -> None:
        """Take what the database holds now as the start of every run."""
        run = self._connection.execute
        schema = f"{_COPY}{len(self._starts)}"
        run(sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(sql.Identifier(schema)))
        tables = tuple(self._find_tables())
        for table in tables:
            run(sql.SQL("CREATE TABLE {} AS TABLE {}").format(table.kept(schema), table.here))
        self._starts.append(_Start(schema, tables, _read_all(self._connection, tables), self._read_sequences()))

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self._starts.pop()
        self.restore()

    def restore(self) -> None:
        """Put back every table and sequence that is not as it was."""
        start = self._starts[-1]
        now, before = json.loads(_read_all(self._connection, start.tables)), json.loads(start.rows)
        changed = [table for table in start.tables if now[table.title] != before[table.title]]
        with self._connection.transaction():
            if changed:
                self._connection.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                self._refill(table, start.schema)
            for name, value in self._read_sequences().items():
                if name in start.sequences and value != start.sequences[name]:
                    self._reset(name, start.sequences[name])

    def picture(self) -> dict[str, Any]:
        """The rows of every table, in the order of their text."""
        found: dict[str, Any] = json.loads(_read_all(self._connection, self._starts[-1].tables))
        return found

    def waiting(self) -> int:
        """How many connections wait for a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _find_tables(self) -> Iterable[_Table]:
        rows = self._connection.execute(
            """
            SELECT t.table_schema, t.table_name,
                   (SELECT array_agg(c.column_name::text ORDER BY c.ordinal_position) FROM information_schema.columns c
                    WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.is_generated = 'NEVER')
            FROM information_schema.tables t
            WHERE t.table_type = 'BASE TABLE' AND t.table_schema NOT IN ('pg_catalog', 'information_schema')
                  AND t.table_schema NOT LIKE %s
            ORDER BY 1, 2
            """,
            [_COPY + "%"],
        )
        return (_Table(schema, name, tuple(columns)) for schema, name, columns in rows)

    def _refill(self, table: _Table, copy: str) -> None:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        self._connection.execute(
            sql.SQL("DELETE FROM {0}; INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM {2}").format(
                table.here, columns, table.kept(copy)
            )
        )

    def _read_sequences(self) -> dict[str, Any]:
        query = "SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences"
        return {name: (last, start) for name, last, start in self._connection.execute(query)}

    def _reset(self, name: str, value: tuple[Any, Any]) -> None:
        last, start = value
        self._connection.execute("SELECT setval(%s, %s, %s)", [name, start if last is None else last, last is not None])


def _read_all(connection: psycopg.Connection[Any], tables: tuple[_Table, ...]) -> str:
    """All rows of all tables as one JSON text, in one round trip."""
    if not tables:
        return "{}"
    parts = [
        sql.SQL("{}, (SELECT coalesce(json_agg(r ORDER BY r::text), '[]') FROM {} r)").format(
            sql.Literal(table.title), table.here
        )
        for table in tables
    ]
    row = connection.execute(sql.SQL("SELECT json_build_object({})::text").format(sql.SQL(", ").join(parts))).fetchone()
    return str(row[0]) if row else "{}"
