"""A PostgreSQL database as a run finds it: remembered once, looked at and put back after every run.

The copy of the data stays on the server, in a schema of its own, and foreign keys and triggers are asleep while it is
copied back. Locks are asked for in `pg_stat_activity` (https://www.postgresql.org/docs/current/monitoring-stats.html).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

_COPY = "autolock_start_"

#: Sends statements without parameters; returns the rows of the last one, None where it gives none.
Execute = Callable[[str], "list[tuple[Any, ...]] | None"]


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"table {self.name}" if self.schema == "public" else f"table {self.schema}.{self.name}"

    @property
    def here(self) -> str:
        return f"{_quoted(self.schema)}.{_quoted(self.name)}"

    def kept(self, copy: str) -> str:
        return f"{_quoted(copy)}.{_quoted(f'{self.schema}_{self.name}')}"


@dataclass(frozen=True)
class _Start:
    schema: str
    tables: tuple[_Table, ...]
    rows: str
    sequences: dict[str, Any]
    logged: bool


@dataclass
class PostgresData:
    """The data of one database, reached by `execute` over a connection that commits by itself."""

    execute: Execute
    _starts: list[_Start] = field(default_factory=list)
    _clean: str = ""
    _seen: tuple[str, str] = ("", "")

    def remember(self) -> None:
        """Take what the database holds now as the start of every run."""
        schema = f"{_COPY}{len(self._starts)}"
        self.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
        tables = tuple(self._find_tables())
        for table in tables:
            self.execute(f"CREATE TABLE {table.kept(schema)} AS TABLE {table.here}")
        logged = not self._rows("SELECT 1 FROM pg_class WHERE relpersistence = 'u' LIMIT 1")
        self._starts.append(_Start(schema, tables, self._read_all(tables), self._read_sequences(), logged))
        self._clean = self._mark()

    def forget(self) -> None:
        """Go back to the start before the last one."""
        self._starts.pop()
        self._clean = ""
        self.restore()

    def restore(self) -> None:
        """Put back every table and sequence that is not as it was."""
        start, mark = self._starts[-1], self._mark()
        if mark and mark == self._clean:
            return
        now, before = json.loads(self._read_now(mark)), json.loads(start.rows)
        changed = [table for table in start.tables if now[table.title] != before[table.title]]
        statements = ["SET LOCAL session_replication_role = replica"] if changed else []
        statements += [_refill_table(table, start.schema) for table in changed]
        statements += [
            _set_sequence(name, start.sequences[name])
            for name, value in self._read_sequences().items()
            if name in start.sequences and value != start.sequences[name]
        ]
        if statements:
            self.execute("; ".join(["BEGIN", *statements, "COMMIT"]))
        self._clean = self._mark()

    def picture(self) -> dict[str, Any]:
        """The rows of every table, in the order of their text."""
        mark = self._mark()
        rows = self._starts[-1].rows if mark and mark == self._clean else self._read_now(mark)
        found: dict[str, Any] = json.loads(rows)
        return found

    def _mark(self) -> str:
        """Something that is another one after every change, and costs less to ask for than the rows; empty for unknown.

        Every change of a table is written to the log of the server; what is drawn from a sequence is not always.
        """
        if not self._starts or not self._starts[-1].logged:
            return ""
        query = (
            "SELECT pg_current_wal_insert_lsn()::text || coalesce((SELECT json_agg(s)::text FROM pg_sequences s), '')"
        )
        return str(self._rows(query)[0][0])

    def _read_now(self, mark: str) -> str:
        """All rows as they are, which are those that were last seen where the mark is the same."""
        if not mark or self._seen[0] != mark:
            self._seen = (mark, self._read_all(self._starts[-1].tables))
        return self._seen[1]

    def waiting(self) -> int:
        """How many connections wait for a lock."""
        rows = self._rows(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(rows[0][0])

    def all_wait(self, requests: int) -> bool:
        """Whether as many connections wait for locks as requests are inside their driver."""
        return self.waiting() >= requests

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.execute(query) or []

    def _find_tables(self) -> Iterable[_Table]:
        rows = self._rows(
            f"""
            SELECT t.table_schema::text, t.table_name::text,
                   (SELECT array_agg(c.column_name::text ORDER BY c.ordinal_position) FROM information_schema.columns c
                    WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.is_generated = 'NEVER')
            FROM information_schema.tables t
            WHERE t.table_type = 'BASE TABLE' AND t.table_schema NOT IN ('pg_catalog', 'information_schema')
                  AND t.table_schema NOT LIKE '{_COPY}%'
            ORDER BY 1, 2
            """
        )
        return (_Table(schema, name, tuple(columns)) for schema, name, columns in rows)

    def _read_all(self, tables: tuple[_Table, ...]) -> str:
        """All rows of all tables as one JSON text, in one round trip."""
        if not tables:
            return "{}"
        parts = [
            f"{_literal(table.title)}, (SELECT coalesce(json_agg(r ORDER BY r::text), '[]') FROM {table.here} r)"
            for table in tables
        ]
        return str(self._rows(f"SELECT json_build_object({', '.join(parts)})::text")[0][0])

    def _read_sequences(self) -> dict[str, Any]:
        query = "SELECT format('%I.%I', schemaname, sequencename), last_value, start_value FROM pg_sequences"
        return {name: (last, start) for name, last, start in self._rows(query)}


def _refill_table(table: _Table, copy: str) -> str:
    columns = ", ".join(map(_quoted, table.columns))
    return (
        f"DELETE FROM {table.here}; "
        f"INSERT INTO {table.here} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {table.kept(copy)}"
    )


def _set_sequence(name: str, value: tuple[Any, Any]) -> str:
    last, start = value
    return f"SELECT setval({_literal(name)}, {start if last is None else last}, {str(last is not None).lower()})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
