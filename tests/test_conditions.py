"""Conditions: what was asked before a wait is asked again after it, or it is no answer."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio, threading
from fastapi import FastAPI, HTTPException

app = FastAPI()
orders = []
ordered = asyncio.Condition()

@app.put("/{dish}")
async def order(dish: str):
    async with ordered:
        orders.append(dish)
        ordered.notify_all()

@app.get("/")
async def cook(fast: bool = False):
    async with ordered:
"""

ONCE = {
    "for as long as it takes": """
        if not orders:
            await ordered.wait()
    """,
    "with a time limit": """
        if len(orders) == 0:
            await asyncio.wait_for(ordered.wait(), 5)
    """,
}

AGAIN = {
    "in a loop": """
        while not orders:
            await ordered.wait()
    """,
    "in a loop that is left": """
        while True:
            if orders:
                break
            await ordered.wait()
    """,
    "by the condition": """
        await ordered.wait_for(lambda: orders)
    """,
    "by the condition, where there is nothing": """
        if not orders:
            await ordered.wait_for(lambda: orders)
    """,
    "before it goes on": """
        if not orders:
            await ordered.wait()
        if not orders:
            raise HTTPException(404)
    """,
}


def written(folder: Path, asking: str) -> Path:
    body = textwrap.indent(textwrap.dedent(asking), "        ") + "        return orders.pop()\n"
    path = folder / "main.py"
    path.write_text(APP + body, encoding="utf-8")
    return path


def rules(folder: Path) -> list[str]:
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("asking", ONCE.values(), ids=ONCE)
def test_who_asks_once_and_waits_asks_again_after_the_fix(tmp_path: Path, asking: str) -> None:
    path = written(tmp_path, asking)
    assert rules(tmp_path) == ["AL502"]
    before = path.read_text(encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert path.read_text(encoding="utf-8") == before.replace("        if ", "        while ")
    assert rules(tmp_path) == []


@pytest.mark.parametrize("asking", AGAIN.values(), ids=AGAIN)
def test_who_asks_again_after_a_wait_knows(tmp_path: Path, asking: str) -> None:
    written(tmp_path, asking)
    assert rules(tmp_path) == []


def test_a_wait_in_one_of_two_branches_is_left_to_a_person(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        if not orders:
            await ordered.wait()
        else:
            print("at once")
        """,
    )
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert (finding.rule, finding.fix.safety.value) == ("AL502", "none")
    before = path.read_text(encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert path.read_text(encoding="utf-8") == before


def test_threads_that_wait_once_take_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, ONCE["for as long as it takes"])
    threaded = path.read_text(encoding="utf-8").replace("asyncio.C", "threading.C").replace("async ", "")
    path.write_text(threaded.replace("await ", ""), encoding="utf-8")
    assert rules(tmp_path) == ["AL502"]
    autolock.fix([tmp_path], apply=True, cache=False)
    assert "        while not orders:\n            ordered.wait()\n" in path.read_text(encoding="utf-8")
