"""Elements of lists that are chosen by where they stand, and containers that are made side by side."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

PARCELS = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
parcels = ["red", "blue", "green"]

async def weigh(*about):
    await asyncio.sleep(0)

def place_of(colour):
    for place, parcel in enumerate(parcels):
        if parcel == colour:
            return place
    raise HTTPException(404)

@app.post("/{colour}")
async def add(colour: str):
    parcels.append(colour)
"""


def found(folder: Path, text: str) -> list[tuple[str, str, str]]:
    """Rule, severity and function of every race."""
    (folder / "main.py").write_text(text, encoding="utf-8")
    races = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.severity.value, f.place.function) for f in races]


@pytest.mark.parametrize("look", ["place_of(colour)", "parcels.index(colour)"])
@pytest.mark.parametrize("removal", ["del parcels[place]", "parcels.pop(place)"])
def test_another_element_stands_by_then_at_a_place_that_was_looked_up(tmp_path: Path, look: str, removal: str) -> None:
    remove = f"""
@app.delete("/{{colour}}")
async def remove(colour: str):
    place = {look}
    await weigh(colour)
    {removal}
"""
    assert found(tmp_path, PARCELS + remove) == [("AL102", "high", "remove")]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text(encoding="utf-8")
    assert f"async with parcels_lock:\n        place = {look}\n" in after


@pytest.mark.parametrize(
    "work",
    ["place = parcels.index('red'); await weigh(place); del parcels[place]", "await weigh(1); del parcels[:2]"],
)
def test_who_alone_removes_finds_at_its_place_what_was_there(tmp_path: Path, work: str) -> None:
    sweep = f"""
async def sweep():
    while True:
        {work}
        await asyncio.sleep(1)

@app.on_event("startup")
async def start():
    asyncio.create_task(sweep())
"""
    assert found(tmp_path, PARCELS + sweep) == []


def test_a_place_that_is_looked_up_after_the_last_wait_is_right(tmp_path: Path) -> None:
    remove = """
@app.delete("/{colour}")
async def remove(colour: str):
    await weigh(colour)
    del parcels[place_of(colour)]
"""
    assert found(tmp_path, PARCELS + remove) == []


VANS = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
vans, tours = ["a", "b"], {}

@app.post("/tours")
async def drive():
    if not vans:
        raise HTTPException(503)
    van = vans[0]
    await asyncio.sleep(0)
    LEAVE
    await asyncio.sleep(0)
    vans.append(van)
"""


def test_a_second_look_that_stops_nobody_leaves_two_with_the_same(tmp_path: Path) -> None:
    text = VANS.replace("LEAVE", "if van in vans:\n        vans.remove(van)")
    assert found(tmp_path, text) == [("AL102", "high", "drive")]
    text = VANS.replace("LEAVE", "if van not in vans:\n        raise HTTPException(409)\n    vans.remove(van)")
    assert found(tmp_path, text) == []


def test_containers_that_are_made_in_one_statement_are_two(tmp_path: Path) -> None:
    count = """
@app.post("/{name}")
async def count(name: str):
    had = tours.get(name, 0)
    await asyncio.sleep(0)
    tours[name] = had + 1
"""
    assert found(tmp_path, VANS.replace("LEAVE", "vans.remove(van)") + count) == [
        ("AL101", "high", "count"),
        ("AL102", "low", "drive"),
    ]
    report = autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert len(report.rewrites) >= 1
    after = (tmp_path / "main.py").read_text(encoding="utf-8")
    assert "tours_lock = asyncio.Lock()" in after
    assert autolock.check([tmp_path], cache=False, certainty="race").findings == ()


@pytest.mark.parametrize("made", ["app = Flask(__name__)", "app = Pages('shop', __name__)"])
@pytest.mark.parametrize("factory", [False, True])
def test_routes_of_another_framework_are_not_followed(tmp_path: Path, made: str, factory: bool) -> None:
    route = """
    @app.post("/<name>")
    def sell(name):
        left = stock[name]
        time.sleep(1)
        stock[name] = left - 1
    """
    head = "import time\nfrom flask import Blueprint as Pages, Flask\nstock = {}\n"
    body = f"{made}\n{textwrap.dedent(route)}"
    text = f"def create_app():\n{textwrap.indent(body, '    ')}\n    return app\n" if factory else body
    assert found(tmp_path, head + text) == []
    ours = head.replace("from flask import Blueprint as Pages, Flask", "from fastapi import FastAPI")
    text = text.replace(made, "app = FastAPI()")
    assert [rule for rule, _, _ in found(tmp_path, ours + text)] == ["AL101"]
