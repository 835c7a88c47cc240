"""Compare and set: what was looked at before a wait is looked at again, and compared, before it is gone by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

PAGES = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
editions = {}
prints = 0

async def proofread(*about):
    await asyncio.sleep(0)

@app.put("/{page}")
async def publish(page: str, other: str, known: int):
    global prints
    BODY
"""

LOOK = "seen = editions.get(page, 0)\nawait proofread(page)\n"
REFUSE = "\n    raise HTTPException(409)\n"
SET = "editions[page] = seen + 1"
SET_AGAIN = {
    "or refused": LOOK + "if editions.get(page, 0) != seen:" + REFUSE + SET,
    "where it is alike": LOOK + "if editions.get(page, 0) == seen:\n    " + SET,
    "after a first check": "seen = editions.get(page, 0)\nif seen != known:"
    + REFUSE
    + "await proofread(page)\nif editions.get(page, 0) != seen:"
    + REFUSE
    + SET,
    "in a loop": "while True:\n    seen = editions[page]\n    await proofread(page)\n    if editions[page] != seen:\n"
    "        continue\n    " + SET + "\n    return",
    "a plain number": "seen = prints\nawait proofread(page)\nif prints != seen:" + REFUSE + "prints = seen + 1",
}
SET_BLINDLY = {
    "another page": LOOK + "if editions.get(other, 0) != seen:" + REFUSE + SET,
    "a wait after it": LOOK + "if editions.get(page, 0) != seen:" + REFUSE + "await proofread(page)\n" + SET,
    "the wrong way round": LOOK + "if editions.get(page, 0) == seen:" + REFUSE + SET,
}


def races(folder: Path, body: str) -> list[str]:
    text = PAGES.replace("BODY", body.replace("\n", "\n    "))
    (folder / "main.py").write_text(text, encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("body", SET_AGAIN.values(), ids=SET_AGAIN)
def test_what_was_compared_again_is_as_it_was(tmp_path: Path, body: str) -> None:
    assert races(tmp_path, body) == []


@pytest.mark.parametrize("body", SET_BLINDLY.values(), ids=SET_BLINDLY)
def test_a_comparison_that_says_something_else_closes_nothing(tmp_path: Path, body: str) -> None:
    assert races(tmp_path, body) == ["AL101"]
