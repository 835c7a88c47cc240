"""A lock that a request takes again while it holds it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

SHELF = """
import asyncio
from fastapi import FastAPI

app = FastAPI()
shelf_lock = asyncio.Lock()
shelf = {}

async def label(jar):
    await asyncio.sleep(0)

async def put(jar, grams):
    async with shelf_lock:
        before = shelf.get(jar, 0)
        await label(jar)
        shelf[jar] = before + grams

@app.post("/jars/{jar}")
async def add(jar: str, grams: int):
    await put(jar, grams)
"""

DECANT = """
@app.post("/jars/{jar}/decant")
async def decant(jar: str, grams: int):
    async with shelf_lock:
        left = shelf[jar] - grams
        await put("small", grams)
        shelf[jar] = left
"""

NESTED = """
@app.post("/jars/{jar}/empty")
async def empty(jar: str):
    async with shelf_lock:
        async with shelf_lock:
            shelf.pop(jar)
"""


def findings(folder: Path, source: str) -> list[autolock.Finding]:
    (folder / "main.py").write_text(textwrap.dedent(source))
    return list(autolock.check([folder]).findings)


def test_the_finding_is_in_the_function_that_holds_the_lock(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, SHELF + DECANT)
    assert (finding.rule, finding.place.function) == ("AL507", "decant")
    lines = (SHELF + DECANT).splitlines()
    assert "async with shelf_lock" in lines[finding.place.line - 1]
    assert "await put(" in lines[finding.place.end_line - 1]
    assert "`put`, which takes it again" in finding.message


def test_the_picture_shows_both_acquisitions_of_one_request(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, SHELF + DECANT)
    assert [(step.request, step.place.function, step.lost) for step in finding.window.steps] == [
        ("A", "decant", False),
        ("A", "put", True),
    ]


def test_a_block_in_a_block_is_one_function(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, SHELF + NESTED)
    assert (finding.rule, finding.place.function) == ("AL507", "empty")
    assert "which the request holds already" in finding.message


def test_a_helper_that_is_called_after_the_block_is_fine(tmp_path: Path) -> None:
    held = DECANT.replace('        await put("small", grams)\n', "")
    after = f"{held}    await put('small', grams)\n"
    assert not findings(tmp_path, SHELF + after)
