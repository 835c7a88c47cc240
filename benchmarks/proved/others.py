"""Asks another tool about one route of the service: `others.py frontrun|detangle "POST /path"`; prints its verdict.

The requests go to the application as ASGI, without a client, and what is left must be two less than before.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import psycopg
import service
from sqlalchemy import update

START = 10


async def request(path: str) -> None:
    """One POST request. Raises AssertionError where it does not succeed."""
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "server": ("test", 80), "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await service.app(scope, receive, send)
    assert statuses == [200], statuses


async def reset(path: str) -> None:
    """The start of a run. The tools make a loop for each, to which a lock would stay bound: they get a new one."""
    service.stock["left"] = START
    service.stock_lock = asyncio.Lock()
    if path.startswith("/rows"):
        await service.make_tables()
        async with service.sessions() as session:
            await session.execute(update(service.Item).values(left_on_shelf=START))
            await session.commit()


async def left(path: str) -> int:
    if not path.startswith("/rows"):
        return service.stock["left"]
    async with service.sessions() as session:
        item = await session.get(service.Item, 1)
        assert item is not None
        return item.left_on_shelf


def frontrun(path: str) -> str:
    """Its DPOR over asynchronous workers."""
    import frontrun as tool

    rows = path.startswith("/rows")

    def start() -> None:
        service.stock["left"] = START
        service.stock_lock = asyncio.Lock()
        if rows:
            at_once(f"UPDATE items SET left_on_shelf = {START}")

    async def worker(state: Any) -> None:
        await request(path)

    def is_right(state: Any) -> bool:
        found = at_once("SELECT left_on_shelf FROM items") if rows else service.stock["left"]
        return found == START - 2

    async def explored() -> Any:
        await reset(path)
        await service.engine.dispose()
        return await tool.explore(
            start, worker, is_right, count=2, detect_io=rows, timeout_per_run=5.0, total_timeout=60.0
        )

    result = asyncio.run(explored())
    if not result.property_holds:
        return f"witnessed {result.num_explored:10}"
    open_end = result.exhausted is False or result.inconclusive_reason
    return f"{'inconclusive' if open_end else 'held'} {result.num_explored:10}"


def at_once(statement: str) -> int | None:
    """Run a statement on a connection of its own; the first value of what it gives."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def detangle(path: str) -> str:
    """Its exhaustive search within three delays."""
    import detangle as tool

    async def both() -> None:
        await reset(path)
        await asyncio.gather(request(path), request(path))
        assert await left(path) == START - 2

    try:
        stats = tool.explore(both, strategy=tool.DFS(max_delays=3), runs=20_000)
    except tool.BugFound as bug:
        return f"{'witnessed' if 'Assertion' in str(bug) else 'failed:'} {_last(str(bug))}"
    return f"{'held' if stats.exhausted else 'inconclusive'} {stats.runs:10}"


def _last(text: str) -> str:
    return next((line.strip()[:60] for line in text.splitlines() if "Error" in line or "error" in line), "")


if __name__ == "__main__":
    tool, route = sys.argv[1:]
    began = time.perf_counter()
    told = {"frontrun": frontrun, "detangle": detangle}[tool](route.removeprefix("POST "))
    print(f"{told} {time.perf_counter() - began:8.2f} s")
