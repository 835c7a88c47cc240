"""What is kept under a name, decided on the spot or guarded further in: each beside one that races."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, threading, time
import httpx
from fastapi import FastAPI, HTTPException

app = FastAPI()

async def fetch(*about):
    async with httpx.AsyncClient() as client:
        return (await client.get("/", params=about)).json()
"""

LOCK_OF_AN_OBJECT = """
class Journal:
    def __init__(self):
        self.lines = []

    @property
    def lock(self):
        {}

    async def add(self, line):
        async with self.lock:
            lines = self.lines
            await fetch(line)
            self.lines = lines + [line]

journal = Journal()

@app.post("/")
async def add(line: str):
    await journal.add(line)
"""

KEPT_PAST_THE_CLASS = """try:
            return object.__getattribute__(self, "_lock")
        except AttributeError:
            lock = asyncio.Lock()
            object.__setattr__(self, "_lock", lock)
            return lock"""

TWO_LOCKS = """
class Usage:
    turn = asyncio.Lock()
    lock = threading.Lock()
    seen = []

    def send(self):
        if not self.seen:
            return
        {}:
            time.sleep(0.01)
            self.seen = []

usage = Usage()

@app.post("/")
async def send():
    async with usage.turn:
        usage.send()

@app.post("/thread")
def send_on_a_thread():
    usage.send()

@app.put("/{{line}}")
def add(line: str):
    with usage.lock:
        usage.seen = [*usage.seen, line]
"""

JOBS = """
jobs = {{}}
lock = asyncio.Lock()

def drop(name):
    {}

async def running():
    async with lock:
        return [name for name, job in jobs.items() if job["running"]]

@app.post("/{{name}}")
async def start(name: str):
    if name in await running():
        raise HTTPException(409)
    await fetch(name)
    async with lock:
        drop(name)
        return len(jobs)

@app.put("/{{name}}")
async def put(name: str):
    async with lock:
        jobs[name] = {{"running": True}}
"""

POOL = """
class Pool:
    clients = {{1: httpx.AsyncClient()}}

    @classmethod
    async def get(cls, number):
        await fetch(number)
        {}

class Store:
    client = None

store = Store()

@app.get("/")
async def ask():
    if store.client is None:
        store.client = await Pool.get(1)
    return await store.client.get("/")

@app.put("/")
async def renew():
    Pool.clients[1] = httpx.AsyncClient()
"""

RECORDS = """
class Records:
    def __init__(self):
        self.changed = set()

    def prepare(self):
        {}

    def save(self):
        self.changed.clear()

every = [Records(), Records()]

@app.post("/save")
async def save():
    for records in every:
        records.save()
        await fetch()
        records.prepare()

@app.get("/{{name}}")
async def changed(name: str):
    return [name in records.changed for records in every]
"""

PAIRS = {
    "a lock that is kept past the class": (
        LOCK_OF_AN_OBJECT.format(KEPT_PAST_THE_CLASS),
        LOCK_OF_AN_OBJECT.format("return asyncio.Lock()"),
    ),
    "a lock that is kept among the attributes": (
        LOCK_OF_AN_OBJECT.format("return self.__dict__.setdefault('_lock', asyncio.Lock())"),
        LOCK_OF_AN_OBJECT.format("return asyncio.Lock()"),
    ),
    "what a loop has just chosen is removed": (
        JOBS.format("for gone in [n for n, j in jobs.items() if not j['running']]:\n        del jobs[gone]"),
        JOBS.format("del jobs[name]"),
    ),
    "who gives it out keeps it": (
        POOL.format("return cls.clients[number]"),
        POOL.format("return httpx.AsyncClient(params=number)"),
    ),
    "emptied twice": (
        RECORDS.format("self.changed: set[str] = set()"),
        RECORDS.format("self.changed = {'one', 'two'}"),
    ),
}


def races(folder: Path, program: str) -> list[str]:
    folder.mkdir()
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    checked = autolock.check([folder], cache=False, certainty="race", select=["AL1", "AL5"])
    return sorted({f"{f.rule} {f.place.function}" for f in checked.findings})


@pytest.mark.parametrize(("harmless", "harmful"), PAIRS.values(), ids=PAIRS)
def test_only_the_harmful_one_is_found(tmp_path: Path, harmless: str, harmful: str) -> None:
    assert races(tmp_path / "harmful", harmful)
    assert races(tmp_path / "harmless", harmless) == []


def test_a_thread_lock_keeps_threads_out_whatever_asyncio_lock_is_round_it(tmp_path: Path) -> None:
    assert races(tmp_path / "within", TWO_LOCKS.format("with self.lock")) == ["AL503 Usage.send"]
