"""One file a database library: its calls, translated into reads, writes and transactions."""

from __future__ import annotations

from autolock.database.adapters.base import Adapter


def adapters() -> list[type[Adapter]]:
    """The adapters that are installed."""
    from autolock.database.adapters.sqlalchemy import SqlAlchemy

    return [SqlAlchemy]
