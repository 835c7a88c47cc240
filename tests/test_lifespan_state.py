"""What the lifespan yields is there for every request, in a state that is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/shop"))

class Stock:
    def __init__(self):
        self.left = 9

class State(TypedDict):
    stock: Stock

@asynccontextmanager
async def lifespan(app):
    stock = Stock()
    YIELD

app = FastAPI(lifespan=lifespan)

BEFORE
@app.post("/take")
async def take(request: Request):
    stock = request.state.stock
    if stock.left > 0:
        await asyncio.sleep(0.01)
        stock.left -= 1
"""


def races(folder: Path, given: str = 'yield {"stock": stock}', before: str = "") -> list[tuple[str, str]]:
    (folder / "main.py").write_text(APP.replace("YIELD", given).replace("BEFORE", before))
    report = autolock.check([folder], cache=False)
    return [(f.rule, f.place.function) for f in report.findings if f.certainty.value == "race"]


@pytest.mark.parametrize("given", ['yield {"stock": stock}', "yield State(stock=stock)", 'yield {"stock": Stock()}'])
def test_what_is_yielded_is_shared(tmp_path: Path, given: str) -> None:
    assert races(tmp_path, given) == [("AL102", "take")]


def test_its_lock_stands_beside_what_is_changed_or_who_changes_it(tmp_path: Path) -> None:
    races(tmp_path)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text()
    assert after.count("async with ") == 1
    assert "asyncio.Lock()" in after
    assert autolock.check([tmp_path], cache=False).findings == ()


OWN = """
@app.middleware("http")
async def own(request: Request, call_next):
    request.state.stock = Stock()
    return await call_next(request)
"""


def test_what_a_request_puts_there_is_its_own(tmp_path: Path) -> None:
    assert races(tmp_path, before=OWN) == []


def test_a_lifespan_that_yields_nothing_gives_nothing(tmp_path: Path) -> None:
    assert races(tmp_path, given="yield") == []


ONE_SESSION = """
    async with Sessions() as session:
        yield {"stock": stock, "session": session}
"""
USER = """
@app.post("/notes")
async def note(request: Request):
    await request.state.session.execute(text("DELETE FROM notes"))
    await request.state.session.commit()
"""


def test_a_session_that_is_yielded_is_one_for_all(tmp_path: Path) -> None:
    assert ("AL301", "note") in races(tmp_path, given=ONE_SESSION.strip("\n").lstrip(), before=USER)
