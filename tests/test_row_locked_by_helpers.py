"""Rows that helpers lock: in the order of the arguments, or outside of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

ORM = """
from fastapi import FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/harbour"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Berth(Base):
    __tablename__ = "berths"
    id: Mapped[int] = mapped_column(primary_key=True)
    boat: Mapped[str]

def locked(db, number):
    return db.scalars(select(Berth).where(Berth.id == number).with_for_update()).one()

"""
SWAP = """
def swap(db: Session, one: int, other: int):
    first = locked(db, one)
    second = locked(db, other)
    first.boat, second.boat = second.boat, first.boat

@app.post("/swap")
def change_places(one: int, other: int):
    with Sessions.begin() as db:
        swap(db, one, other)
"""
EACH = """
@app.post("/clear")
def clear(numbers: list[int]):
    with Sessions.begin() as db:
        for number in sorted(numbers):
            locked(db, number).boat = ""
"""


def check(folder: Path, text: str) -> tuple[autolock.findings.Finding, ...]:
    (folder / "main.py").write_text(text, encoding="utf-8")
    return autolock.check([folder], cache=False).findings


def test_a_helper_that_is_called_twice_locks_in_the_order_of_the_arguments(tmp_path: Path) -> None:
    assert [(f.rule, f.place.function) for f in check(tmp_path, ORM + SWAP)] == [("AL205", "swap")]
    autolock.fix([tmp_path], cache=False, apply=True)
    assert ".in_([one, other]))" in (tmp_path / "main.py").read_text(encoding="utf-8")
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_the_turns_of_a_loop_have_one_order(tmp_path: Path) -> None:
    assert check(tmp_path, ORM + EACH) == ()


POOL = """
import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request

app = FastAPI()

class Tanks:
    def __init__(self, connection: asyncpg.Connection):
        self.connection = connection

    async def draw(self, number: int, litres: int):
        tank = await self.connection.fetchrow("SELECT level FROM tanks WHERE id = $1 FOR UPDATE", number)
        if tank["level"] < litres:
            raise HTTPException(409)
        level = tank["level"] - litres
        await self.connection.execute("UPDATE tanks SET level = $2 WHERE id = $1", number, level)
        return level

async def tanks(request: Request):
    async with request.app.state.pool.acquire() as connection:
        yield Tanks(connection)

@app.post("/tanks/{number}")
async def draw(number: int, litres: int, store: Tanks = Depends(tanks)):
    return await store.draw(number, litres)

@app.on_event("startup")
async def start():
    app.state.pool = await asyncpg.create_pool("postgresql://db/farm")
"""


def test_a_lock_outside_of_a_transaction_gets_one(tmp_path: Path) -> None:
    """What leaves before the write has changed nothing, so that nothing of it is taken back."""
    assert [f.rule for f in check(tmp_path, POOL)] == ["AL204"]
    autolock.fix([tmp_path], cache=False, apply=True)
    fixed = (tmp_path / "main.py").read_text(encoding="utf-8")
    head, _, block = fixed.partition("async with self.connection.transaction():\n")
    assert "FOR UPDATE" in block
    assert "UPDATE tanks" in block
    assert "FOR UPDATE" not in head
    assert autolock.check([tmp_path], cache=False).findings == ()
