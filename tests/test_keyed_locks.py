"""Tables of locks, one for each key."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
import httpx
from contextlib import asynccontextmanager
from fastapi import FastAPI

app = FastAPI()
cards = dict()
locks = dict()

async def pay(cents):
    async with httpx.AsyncClient() as client:
        await client.post("/pay", json=cents)

{lock}

@app.post("/{{card}}")
async def spend(card: str, cents: int):
    async with card_lock(card):
        left = cards[card]
        await pay(cents)
        cards[card] = left - cents
"""

DROPPED = {
    "under the lock": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            async with lock:
                yield
                locks.pop(card, None)
    """,
    "after it": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            try:
                async with lock:
                    yield
            finally:
                del locks[card]
    """,
}

KEPT = {
    "kept": """
        @asynccontextmanager
        async def card_lock(card):
            async with locks.setdefault(card, asyncio.Lock()):
                yield
    """,
    "dropped when nobody waits": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            async with lock:
                yield
            if not lock.locked():
                locks.pop(card, None)
    """,
}


def rules(folder: Path, lock: str) -> list[str]:
    (folder / "main.py").write_text(APP.format(lock=textwrap.dedent(lock)), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("lock", DROPPED.values(), ids=DROPPED)
def test_a_lock_that_is_dropped_while_others_wait_guards_nothing(tmp_path: Path, lock: str) -> None:
    assert rules(tmp_path, lock) == ["AL501"]


@pytest.mark.parametrize("lock", KEPT.values(), ids=KEPT)
def test_a_lock_that_stays_guards(tmp_path: Path, lock: str) -> None:
    assert rules(tmp_path, lock) == []
