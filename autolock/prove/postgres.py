"""The data of a PostgreSQL database, from autolock's side: the application may lack a driver of its own."""

from __future__ import annotations

from typing import Any

import psycopg

from autolock.prove.actors import PlayFailed
from autolock.prove.stage.postgres import PostgresData

#: Seconds for which rows are waited for that a request has left locked when it was over.
_LONGEST_LOCK = 5


class PostgresConnection:
    """A connection that commits by itself, and the data it reaches.

    Raises psycopg.Error where the server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, options=f"-c lock_timeout={_LONGEST_LOCK}s")
        self.data = PostgresData(self._execute)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _execute(self, statements: str) -> list[tuple[Any, ...]] | None:
        # Encoded, because psycopg takes no text for a query that was put together at run time.
        try:
            cursor = self._connection.execute(statements.encode())
        except psycopg.errors.LockNotAvailable as error:
            raise PlayFailed("a request keeps rows locked when it is over, so they can't be put back") from error
        return cursor.fetchall() if cursor.description else None
