"""The data of a PostgreSQL database, from autolock's side: the application may lack a driver of its own."""

from __future__ import annotations

from typing import Any

import psycopg

from autolock.prove.stage.postgres import PostgresData


class PostgresConnection:
    """A connection that commits by itself, and the data it reaches.

    Raises psycopg.Error where the server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.data = PostgresData(self._execute)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _execute(self, statements: str) -> list[tuple[Any, ...]] | None:
        # Encoded, because psycopg takes no text for a query that was put together at run time.
        cursor = self._connection.execute(statements.encode())
        return cursor.fetchall() if cursor.description else None
