"""Containers that are emptied and filled again while others read them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import httpx
from fastapi import FastAPI

app = FastAPI()
prices = {}
lock = asyncio.Lock()

async def page(number):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"/{number}")).json()

@app.get("/price/{name}")
async def price(name: str):
    return prices.get(name)
"""

SEEN = {
    "page by page": """
        @app.post("/reload")
        async def reload():
            prices.clear()
            for number in range(3):
                prices.update(await page(number))
    """,
    "a key at a time": """
        @app.post("/reload")
        async def reload():
            prices.clear()
            for name in "abc":
                prices[name] = await page(name)
    """,
}

UNSEEN = {
    "filled aside": """
        @app.post("/reload")
        async def reload():
            found = {}
            for number in range(3):
                found.update(await page(number))
            prices.clear()
            prices.update(found)
    """,
    "put back when it could not be sent": """
        @app.post("/send")
        async def send():
            batch = dict(prices)
            prices.clear()
            try:
                await page(len(batch))
            except OSError:
                prices.update(batch)
    """,
    "what could not be sent goes before what has come since": """
        waiting = []

        @app.get("/waiting")
        async def seen():
            return list(waiting)

        async def flush():
            global waiting
            batch = waiting
            waiting = []
            if not await page(len(batch)):
                waiting = batch + waiting

        @app.post("/flush")
        async def send():
            await flush()
            await flush()
    """,
    "a list in it that is begun anew": """
        @app.post("/reload")
        async def reload():
            for name in "abc":
                prices[name] = []
                prices[name].extend(await page(name))
    """,
    "left empty where loading failed, and loaded by whoever comes next": """
        async def load():
            try:
                prices["base"] = await page(1)
                for name in "abc":
                    prices[name] = await page(name)
            except ValueError:
                prices.clear()

        @app.post("/reload")
        async def reload():
            await load()
            await page(2)
            await load()
    """,
    "emptied and filled at once, one after the other": """
        @app.post("/reload")
        async def reload():
            for number in range(3):
                found = await page(number)
                prices.clear()
                for name in found:
                    prices[name] = number
    """,
    "filled by the next call of the one that emptied it, where what comes in between may fail": """
        async def load(names):
            try:
                if names:
                    prices.clear()
                    prices.update(dict.fromkeys(names, 1))
                    return
                for name in await page(1):
                    prices[name] = 1
            except ValueError:
                pass

        @app.post("/reload")
        async def reload(names: str):
            await load(names)
            await page(2)
            await load("")
    """,
    "one thing put in afterwards": """
        @app.post("/reset")
        async def reset():
            prices.clear()
            await page(1)
            prices["base"] = 1
    """,
}

FILLED_BY_READERS = """
@app.get("/lazy/{name}")
async def lazy(name: str):
    if name not in lazily:
        lazily[name] = await page(name)
    return lazily[name]

@app.post("/reload")
async def reload():
    lazily.clear()
    for name in "abc":
        lazily[name] = await page(name)

lazily = {}
"""


def rules(folder: Path, program: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("program", SEEN.values(), ids=SEEN)
def test_half_a_container_is_seen(tmp_path: Path, program: str) -> None:
    assert rules(tmp_path, program) == ["AL105"]


@pytest.mark.parametrize("program", UNSEEN.values(), ids=UNSEEN)
def test_a_container_that_is_whole_again_at_once(tmp_path: Path, program: str) -> None:
    assert rules(tmp_path, program) == []


def test_who_finds_nothing_and_fills_it_does_not_mind(tmp_path: Path) -> None:
    assert "AL105" not in rules(tmp_path, FILLED_BY_READERS)


def test_readers_that_wait_for_the_lock_see_all_of_it(tmp_path: Path) -> None:
    reader = "async def price(name: str):\n    return prices.get(name)"
    guarded = "async def price(name: str):\n    async with lock:\n        return prices.get(name)"
    reload = """
@app.post("/reload")
async def reload():
    async with lock:
        prices.clear()
        for number in range(3):
            prices.update(await page(number))
"""
    (tmp_path / "main.py").write_text(HEAD.replace(reader, guarded) + reload, encoding="utf-8")
    assert autolock.check([tmp_path], cache=False, certainty="race").findings == ()
