"""A connection to PostgreSQL by whichever driver the application has."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .postgres import Execute


@dataclass(frozen=True)
class Connection:
    """Sends statements, and commits by itself."""

    execute: Execute
    close: Callable[[], object]


def connect_postgres(url: str) -> Connection:
    """Connect to a database. Raises ImportError where no driver is installed."""
    for name, opened in (("psycopg", _psycopg), ("psycopg2", _psycopg2), ("asyncpg", _asyncpg)):
        if importlib.util.find_spec(name) is not None:
            return opened(importlib.import_module(name), url)
    raise ImportError("none of psycopg, psycopg2 and asyncpg is installed")


def _psycopg(driver: Any, url: str) -> Connection:
    return _by_cursor(driver.connect(url, autocommit=True))


def _psycopg2(driver: Any, url: str) -> Connection:
    connection = driver.connect(url)
    connection.autocommit = True
    return _by_cursor(connection)


def _by_cursor(connection: Any) -> Connection:
    def execute(statements: str) -> list[tuple[Any, ...]] | None:
        with connection.cursor() as cursor:
            cursor.execute(statements)
            return list(cursor.fetchall()) if cursor.description else None

    return Connection(execute, connection.close)


def _asyncpg(driver: Any, url: str) -> Connection:
    """asyncpg on an event loop and a thread of its own: who asks may be on an event loop already."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def on_loop(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    connection = on_loop(driver.connect(url))

    def execute(statements: str) -> list[tuple[Any, ...]] | None:
        reads = statements.lstrip().upper().startswith("SELECT")
        answer = on_loop(connection.fetch(statements) if reads else connection.execute(statements))
        return [tuple(row) for row in answer] if reads else None

    def close() -> None:
        on_loop(connection.close())
        loop.call_soon_threadsafe(loop.stop)

    return Connection(execute, close)
