"""The PostgreSQL of the tests: every test finds an empty database, and one still in use can be dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postgres import Postgres


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_database_is_a_test_s_own(name: str, database_url: str) -> None:
    import psycopg

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute(f"CREATE TABLE {name} (id int)")


def test_a_database_goes_although_somebody_is_connected(postgres: Postgres) -> None:
    import psycopg

    with postgres.database() as url:
        connection = psycopg.connect(url)
        connection.execute("CREATE TABLE locked (id int)")
    with pytest.raises(psycopg.OperationalError, match="terminating connection"):
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
