"""A flag that lets one run at a time through a stretch of a function: when it does, and when it does not."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

REFRESH = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()

class Cache:
    def __init__(self):
        self.busy = False
        self.count = 0

    async def refresh(self):
        if self.busy:
            return
        self.busy = True
        try:
            count = self.count
            await asyncio.sleep(0.01)
            self.count = count + 1
        finally:
            self.busy = False

cache = Cache()

@app.post("/")
async def refresh():
    await cache.refresh()
"""

RUN = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
state = {"status": "idle", "runs": 0}

async def work():
    runs = state["runs"]
    await asyncio.sleep(0.01)
    state["runs"] = runs + 1

@app.post("/")
async def run():
    if state["status"] == "running":
        raise HTTPException(409)
    state["status"] = "running"
    await work()
    state["status"] = "idle"
"""

RESET = """
@app.delete("/")
async def reset():
    cache.busy = False
"""

OTHER = """
@app.put("/")
async def other():
    count = cache.count
    await asyncio.sleep(0.01)
    cache.count = count + 1
"""

MANY = """
import asyncio
from fastapi import FastAPI

app = FastAPI()
total = 0

class Room:
    def __init__(self):
        self.busy = False

    async def clean(self):
        global total
        if self.busy:
            return
        self.busy = True
        seen = total
        await asyncio.sleep(0.01)
        total = seen + 1
        self.busy = False

rooms = {}

@app.put("/{name}")
async def make(name: str):
    rooms[name] = Room()

@app.post("/{name}")
async def clean(name: str):
    await rooms[name].clean()
"""


OF_EACH = (
    MANY.replace("        global total\n", "")
    .replace("self.busy = False\n\n    async", "self.busy = False\n        self.total = 0\n\n    async")
    .replace("seen = total", "seen = self.total")
    .replace("total = seen + 1", "self.total = seen + 1")
)


def races(folder: Path, program: str) -> set[str]:
    (folder / "main.py").write_text(textwrap.dedent(program), encoding="utf-8")
    found = autolock.check([folder], cache=False, certainty="race", select=["AL1"]).findings
    return {f"{f.rule} {f.place.function}" for f in found}


@pytest.mark.parametrize("program", [REFRESH, RUN, OF_EACH], ids=["attribute", "status", "of each object"])
def test_who_comes_meanwhile_leaves(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program) == set()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(REFRESH.replace("        self.busy = True\n", ""), id="never-set"),
        pytest.param(
            REFRESH.replace("self.busy = True", "await asyncio.sleep(0)\n        self.busy = True"), id="set-too-late"
        ),
        pytest.param(
            REFRESH.replace("await asyncio.sleep(0.01)", "self.busy = False\n            await asyncio.sleep(0.01)"),
            id="put-back-too-early",
        ),
        pytest.param(REFRESH + RESET, id="put-back-by-others"),
        pytest.param(REFRESH.replace("await cache.refresh()", "await Cache().refresh()") + OTHER, id="of-its-own"),
        pytest.param(REFRESH + OTHER, id="others-write-without-asking"),
        pytest.param(MANY, id="one-of-many"),
    ],
)
def test_a_flag_that_keeps_nobody_out(tmp_path: Path, program: str) -> None:
    assert any(found.startswith("AL101") for found in races(tmp_path, program))
