"""Under which name a lock reaches the session, and the text of a constant, where it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

MAPPED = """
from contextvars import ContextVar
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/fair"))
app = FastAPI()
_session = ContextVar("session")

class Base(DeclarativeBase):
    pass

class Prize(Base):
    __tablename__ = "prizes"
    id: Mapped[int] = mapped_column(primary_key=True)
    left: Mapped[int]
    won: Mapped[int]

@app.middleware("http")
async def sessions(request, call_next):
    async with Sessions() as session:
        _session.set(session)
        return await call_next(request)

def current() -> AsyncSession:
    return _session.get()

async def find(number):
    return await current().get_one(Prize, number)

@app.get("/prizes/{number}")
async def show(number: int):
    return (await find(number)).left

@app.post("/prizes/{number}")
async def draw(number: int):
    prize = await find(number)
    if prize.left < 1:
        return None
    prize.left -= 1
    session = current()
    await session.execute(update(Prize).where(Prize.id == number).values(won=Prize.won + 1))
    await session.commit()
    return prize.left
"""


def fixed(folder: Path, text: str) -> str:
    main = folder / "main.py"
    main.write_text(text)
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    return main.read_text()


def test_a_session_that_is_named_later_is_asked_for_again(tmp_path: Path) -> None:
    after = fixed(tmp_path, MAPPED)
    assert after.index("await current().refresh(prize,") < after.index("if prize.left < 1")


def test_no_lock_is_taken_by_a_name_that_is_not_there_yet(tmp_path: Path) -> None:
    after = fixed(tmp_path, MAPPED.replace("session = current()", "session = [current()][0]"))
    assert "refresh" not in after


TEXTS = """
import os
from databases import Database
from fastapi import FastAPI

app = FastAPI()
database = Database("postgresql+asyncpg://db/bank")
HOURS = "SELECT hours FROM members WHERE name = :nameEND"

@app.get("/{name}")
async def show(name: str):
    return await database.fetch_val(HOURS, {"name": name})

@app.post("/{name}")
async def spend(name: str):
    async with database.transaction():
        hours = await database.fetch_val(HOURS, {"name": name})
        await database.execute("UPDATE members SET hours = :h WHERE name = :name", {"h": hours // 2, "name": name})
"""


def test_a_text_that_readers_run_too_is_locked_where_it_is_run(tmp_path: Path) -> None:
    after = fixed(tmp_path, TEXTS.replace("END", ""))
    reader, writer = after[after.index("async def show") :].split("@app.post")
    assert "FOR UPDATE" not in reader
    assert 'database.fetch_val(f"{HOURS} FOR UPDATE", {"name": name})' in writer
    assert after.count("FOR UPDATE") == 1


def test_nothing_is_put_after_the_end_of_a_statement(tmp_path: Path) -> None:
    assert "FOR UPDATE" not in fixed(tmp_path, TEXTS.replace("END", ";"))


def test_a_text_that_is_an_object_is_not_put_into_a_string(tmp_path: Path) -> None:
    mapped = MAPPED.replace("from sqlalchemy import select, update", "from sqlalchemy import select, text, update")
    mapped = mapped[: mapped.index("@app.get")].replace(
        "class Prize", 'FIND = text("SELECT won FROM prizes WHERE id = 1")\n\nclass Prize'
    )
    handlers = """
@app.get("/prizes")
async def show():
    return (await current().execute(FIND)).scalar()

@app.post("/prizes")
async def draw():
    session = current()
    won = (await session.execute(FIND)).scalar()
    await session.execute(text("UPDATE prizes SET won = :won WHERE id = 1"), {"won": won // 2})
    await session.commit()
"""
    assert 'f"{FIND}' not in fixed(tmp_path, mapped + handlers)
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == ["draw"]


def test_a_text_of_a_class_that_readers_run_too_is_preceded_by_a_lock(tmp_path: Path) -> None:
    mapped = MAPPED.replace("from sqlalchemy import select, update", "from sqlalchemy import text")
    mapped = mapped[: mapped.index("@app.get")]
    dao = """
class Prizes:
    FIND = text("SELECT won FROM prizes WHERE id = :number")

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def won(self, number):
        return (await self.session.execute(self.FIND, {"number": number})).scalar_one()

@app.get("/prizes/{number}")
async def show(number: int):
    return await Prizes(current()).won(number)

@app.post("/prizes/{number}")
async def draw(number: int):
    session = current()
    won = await Prizes(session).won(number)
    await session.execute(text("UPDATE prizes SET won = :won WHERE id = :id"), {"won": won // 2, "id": number})
    await session.commit()
"""
    after = fixed(tmp_path, mapped + dao)
    handler = after[after.index("async def draw") :]
    assert handler.index("SELECT id FROM prizes WHERE id = :id FOR UPDATE") < handler.index("won(number)")
    assert after.count("FOR UPDATE") == 1
