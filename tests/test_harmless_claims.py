"""Work that is claimed before it is done, and locks of whoever is in it: each beside one that races."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, fcntl, json, threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import httpx
from fastapi import FastAPI, HTTPException

app = FastAPI()

async def fetch(*about):
    async with httpx.AsyncClient() as client:
        return (await client.get("/", params=about)).json()
"""

LOCK_OF_A_FILE = """
class Store:
    def __init__(self):
        self.own = threading.Lock()

    @contextmanager
    def turn(self):
        with self.own:
            with open("rates.lock", "a") as file:
                {wait}
                yield

first = Store()
second = Store()

@app.post("/first")
def change(name: str, rate: float):
    with first.turn():
        with open("rates.json") as file:
            rates = json.load(file)
        rates[name] = rate
        with open("rates.json", "w") as file:
            json.dump(rates, file)

@app.post("/second")
def change_too(name: str, rate: float):
    with second.turn():
        with open("rates.json") as file:
            rates = json.load(file)
        rates[name] = rate
        with open("rates.json", "w") as file:
            json.dump(rates, file)
"""


def rules(folder: Path, text: str) -> set[str]:
    """The rules of the races in an application."""
    (folder / "main.py").write_text(textwrap.dedent(HEAD) + text, encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return {f.rule for f in found if f.certainty.value == "race"}


@pytest.mark.parametrize(
    ("wait", "expected"), [("fcntl.flock(file.fileno(), fcntl.LOCK_EX)", set()), ("file.write('x')", {"AL504"})]
)
def test_two_who_lock_the_same_file_have_one_lock(wait: str, expected: set[str], tmp_path: Path) -> None:
    assert rules(tmp_path, LOCK_OF_A_FILE.format(wait=wait)) == expected
