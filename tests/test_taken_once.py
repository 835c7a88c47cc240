"""What may be taken once: numbers that go down by what was there, and elements that are used and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
vouchers = {"a": 5}
left = {"beans": 40}

async def roast(*about):
    await asyncio.sleep(0)

@app.post("/vouchers/{name}")
async def issue(name: str):
    vouchers[name] = 5
"""


def found(folder: Path, text: str) -> list[tuple[str, str, str]]:
    """Rule, severity and function of every race."""
    (folder / "main.py").write_text(HEAD + text, encoding="utf-8")
    races = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.severity.value, f.place.function) for f in races]


SACK = """
@app.post("/sacks/{kind}")
async def fill(kind: str, wanted: int):
    BODY
"""

FILLINGS = {
    "as much as there is": ("part = min(wanted, left[kind]); await roast(part); left[kind] -= part", True),
    "chosen by a test": (
        "part = wanted if wanted < left[kind] else left[kind]; await roast(part); left[kind] -= part",
        True,
    ),
    "looked at after the wait": ("await roast(wanted); part = min(wanted, left[kind]); left[kind] -= part", False),
    "what was there goes elsewhere": ("had = left[kind]; await roast(had); left[kind] -= wanted", False),
}


@pytest.mark.parametrize(("body", "races"), FILLINGS.values(), ids=FILLINGS)
def test_a_number_that_goes_down_by_what_was_in_it(tmp_path: Path, body: str, races: bool) -> None:
    text = SACK.replace("BODY", body.replace("; ", "\n    "))
    assert found(tmp_path, text) == ([("AL102", "high", "fill")] if races else [])
    if races:
        autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
        assert autolock.check([tmp_path], cache=False).findings == ()


def test_what_one_task_alone_takes_away_others_may_add_to(tmp_path: Path) -> None:
    text = """
async def grind():
    while True:
        part = left["beans"]
        await roast(part)
        left["beans"] -= part

@app.post("/beans")
async def deliver():
    left["beans"] += 10

@app.on_event("startup")
async def start():
    asyncio.create_task(grind())
"""
    assert found(tmp_path, text) == []


REDEEM = """
@app.METHOD("/carts/{name}")
async def NAME(name: str):
    worth = vouchers.get(name)
    if worth is None:
        raise HTTPException(404)
    await WAIT
    vouchers.pop(name, None)
    return worth
"""


def redeemed(method: str = "post", name: str = "redeem", wait: str = "roast(worth)") -> str:
    return REDEEM.replace("METHOD", method).replace("NAME", name).replace("WAIT", wait)


def test_a_voucher_that_is_popped_after_it_was_used_is_used_twice(tmp_path: Path) -> None:
    assert found(tmp_path, redeemed()) == [("AL102", "medium", "redeem")]


@pytest.mark.parametrize(
    "text",
    [redeemed("delete"), redeemed(name="close_cart"), redeemed(wait="cancel_order(worth)")],
    ids=["deleted", "closed", "cancelled"],
)
def test_what_is_ended_twice_is_as_ended_as_before(tmp_path: Path, text: str) -> None:
    text += "\nasync def cancel_order(worth):\n    await asyncio.sleep(0)\n"
    assert found(tmp_path, text) == []


ROOMS = """
rooms = {}

class Room:
    def __init__(self, key):
        self.key = key
        self.guests = []

async def cut_key(name):
    await asyncio.sleep(0)
    return name

@app.post("/rooms/{name}")
async def enter(name: str, guest: str):
    room = rooms.get(name)
    if room is None:
        room = rooms[name] = Room(await cut_key(name))
    USE
"""


@pytest.mark.parametrize(("use", "severity"), [("room.guests.append(guest)", "medium"), ("return room.key", "low")])
def test_what_is_put_into_one_of_two_that_are_made_is_lost(tmp_path: Path, use: str, severity: str) -> None:
    assert found(tmp_path, ROOMS.replace("USE", use)) == [("AL104", severity, "enter")]
