"""What a request has made, claimed or worked on itself, and what it shares with others."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import enum
import httpx
from dataclasses import dataclass
from fastapi import BackgroundTasks, FastAPI, HTTPException

app = FastAPI()

class State(enum.Enum):
    NEW = 1
    SENT = 2

@dataclass
class Parcel:
    weight: int = 0
    state: State = State.NEW

parcels = {}
busy = set()
queue = []
places = ["a", "b", "c"]

async def ask(what):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"/{what}")).json()
"""

HARMLESS = {
    "an object of this request, filled after it was shared": """
        @app.post("/{name}")
        async def add(name: str):
            parcel = Parcel()
            parcels[name] = parcel
            for part in "ab":
                weight = parcel.weight
                parcel.weight = weight + await ask(part)
    """,
    "a key that this request has put in and takes out again": """
        @app.post("/")
        async def use():
            free = [place for place in places if place not in busy]
            if not free:
                raise HTTPException(503)
            place = free[0]
            busy.add(place)
            try:
                return await ask(place)
            finally:
                busy.discard(place)
    """,
    "the head of a queue to whose end others add": """
        @app.post("/{name}")
        async def add(name: str):
            queue.append(name)

        @app.on_event("startup")
        async def start():
            asyncio.create_task(work())

        async def work():
            while queue:
                await ask(queue[0])
                queue.pop(0)
    """,
}

RACES = {
    "an object that was looked up": """
        @app.post("/{name}")
        async def add(name: str):
            parcels[name] = Parcel()
            parcel = parcels[name]
            weight = parcel.weight
            parcel.weight = weight + await ask(name)
    """,
    "an object of this request that a job changes too": """
        @app.post("/{name}")
        async def add(name: str, jobs: BackgroundTasks):
            parcel = Parcel()
            parcels[name] = parcel
            asyncio.create_task(weigh(parcel))
            weight = parcel.weight
            parcel.weight = weight + await ask(name)

        async def weigh(parcel):
            parcel.weight += await ask("scale")
    """,
    "a key that is put in after an await": """
        @app.post("/")
        async def use():
            free = [place for place in places if place not in busy]
            if not free:
                raise HTTPException(503)
            await ask(free[0])
            busy.add(free[0])
    """,
    "a state compared with a member of an enumeration": """
        @app.post("/{name}/send")
        async def send(name: str):
            parcel = parcels[name]
            if parcel.state is not State.NEW:
                raise HTTPException(409)
            await ask(name)
            parcel.state = State.SENT

        @app.post("/{name}")
        async def add(name: str):
            parcels[name] = Parcel()
    """,
    "the head of a queue that others put things in front of": """
        @app.post("/{name}")
        async def add(name: str):
            queue.insert(0, name)

        @app.on_event("startup")
        async def start():
            asyncio.create_task(work())

        async def work():
            while queue:
                await ask(queue[0])
                queue.pop(0)
    """,
}


def races(folder: Path, program: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("program", HARMLESS.values(), ids=HARMLESS)
def test_what_is_a_requests_own_is_no_race(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program) == []


@pytest.mark.parametrize("program", RACES.values(), ids=RACES)
def test_what_others_reach_too_is_a_race(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program)


def test_a_sum_is_made_at_the_write_where_no_lock_may_be_held(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        HEAD
        + textwrap.dedent(
            """
            totals = {"seen": 0}

            @app.middleware("http")
            async def count(request, call_next):
                before = totals["seen"]
                response = await call_next(request)
                totals["seen"] = before + response.status_code
                return response
            """
        ),
        encoding="utf-8",
    )
    autolock.fix([tmp_path], apply=True, cache=False)
    after = main.read_text(encoding="utf-8").partition("async def count")[2]
    assert "before" not in after
    assert after.index("call_next(request)\n") < after.index("async with totals_lock:")
    assert 'totals["seen"] = totals["seen"] + response.status_code' in after


@pytest.mark.parametrize(
    "rest",
    ['if before > 9:\n        return response\n    totals["seen"] = before + 1', 'totals["seen"] = 2 * before + 1'],
    ids=["a decision hangs on what was read", "it is not just a sum"],
)
def test_a_write_that_needs_what_was_read_stays(tmp_path: Path, rest: str) -> None:
    main = tmp_path / "main.py"
    body = f'    before = totals["seen"]\n    response = await call_next(request)\n    {rest}\n    return response\n'
    text = f'{HEAD}\ntotals = {{"seen": 0}}\n\n@app.middleware("http")\nasync def count(request, call_next):\n{body}'
    main.write_text(text, encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert main.read_text(encoding="utf-8") == text
