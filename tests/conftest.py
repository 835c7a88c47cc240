"""What every test may ask for: a PostgreSQL that this session started, and an empty database on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgres as server
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[server.Postgres]:
    """A PostgreSQL server, one for each worker of a session; without the wheel the test is skipped."""
    if not server.is_installed():
        pytest.skip(server.MISSING)
    with server.running() as running:
        yield running


@pytest.fixture
def database_url(postgres: server.Postgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own, for libpq, asyncpg and SQLAlchemy's make_url."""
    with postgres.database() as url:
        yield url
