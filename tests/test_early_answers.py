"""Answers that are given before the row that they tell of is sent to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import uuid
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

class Base(DeclarativeBase):
    pass

class Berth(Base):
    __tablename__ = "berths"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    boat: Mapped[str]

class Entry(Base):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]

engine = create_async_engine("postgresql+asyncpg://localhost/harbour")
Sessions = async_sessionmaker(engine, expire_on_commit=False)
sync_engine = create_engine("postgresql+psycopg://localhost/harbour")
SyncSessions = sessionmaker(sync_engine)
app = FastAPI()
"""
AFTER = """
async def get_session():
    async with Sessions() as session:
        yield session
        await session.commit()
"""
BLOCK = """
async def get_session():
    async with Sessions.begin() as session:
        yield session
"""
SYNC = """
def get_session():
    with SyncSessions() as session:
        yield session
        session.commit()
"""
OWN = """
async def get_session():
    async with Sessions() as session:
        yield session
"""
MOOR = """
@app.post("/berths/{name}")
async def moor(name: str, boat: str, session: AsyncSession = Depends(get_session)):
    session.add(Berth(name=name, boat=boat))
"""
MOOR_SYNC = MOOR.replace("async def", "def").replace("AsyncSession", "Session")
REPOSITORY = """
class Berths:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, name: str, boat: str) -> None:
        self.session.add(Berth(name=name, boat=boat))

def get_berths(session: AsyncSession = Depends(get_session)) -> Berths:
    return Berths(session)

@app.post("/berths/{name}")
async def moor(name: str, boat: str, berths: Berths = Depends(get_berths)):
    berths.add(name, boat)
"""
ANSWER = '    return {"berth": name}\n'

EARLY = {
    "a commit after yield": (AFTER, MOOR, ANSWER, "`moor`"),
    "a block that commits": (BLOCK, MOOR, ANSWER, "`moor`"),
    "a def handler": (SYNC, MOOR_SYNC, ANSWER, "`moor`"),
    "a repository": (AFTER, REPOSITORY, ANSWER, "`Berths.add`"),
}


@pytest.mark.parametrize("case", EARLY.values(), ids=EARLY)
def test_a_row_that_may_be_refused_after_the_answer(case: tuple[str, str, str, str], tmp_path: Path) -> None:
    *parts, adds = case
    (tmp_path / "main.py").write_text(HEAD + "".join(parts))
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert (finding.rule, finding.place.function, finding.certainty.value) == ("AL209", "get_session", "race")
    assert adds in finding.message
    assert "same `name`" in finding.message


def test_all_that_one_dependency_commits_too_late_is_one_finding(tmp_path: Path) -> None:
    swap = MOOR.replace('"/berths/{name}"', '"/swaps/{name}"').replace("def moor", "def swap")
    main = tmp_path / "main.py"
    main.write_text(HEAD + AFTER + MOOR + ANSWER + swap + ANSWER)
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.routes == ("POST /berths/{name}", "POST /swaps/{name}")
    autolock.fix([tmp_path], apply=True, unsafe=True, cache=False)
    assert main.read_text().count("await session.flush()") == 2
    assert not autolock.check([tmp_path], cache=False).findings


FLUSHED = {
    "awaited": (AFTER, MOOR, "    await session.flush()\n"),
    "not awaited": (SYNC, MOOR_SYNC, "    session.flush()\n"),
}


@pytest.mark.parametrize("parts", FLUSHED.values(), ids=FLUSHED)
def test_the_fix_sends_the_row_before_the_answer(parts: tuple[str, str, str], tmp_path: Path) -> None:
    provider, handler, flush = parts
    main = tmp_path / "main.py"
    main.write_text(HEAD + provider + handler + ANSWER)
    autolock.fix([tmp_path], apply=True, cache=False)
    assert main.read_text() == HEAD + provider + handler + ANSWER
    autolock.fix([tmp_path], apply=True, unsafe=True, cache=False)
    assert main.read_text() == HEAD + provider + handler + flush + ANSWER


IN_TIME = {
    "flushed": (AFTER, MOOR, "    await session.flush()\n"),
    "sent by a query": (AFTER, MOOR, "    await session.scalar(select(Entry.text).where(Entry.id == 1))\n"),
    "committed by the handler": (OWN, MOOR, "    await session.commit()\n"),
    "a dependency that ends in time": (
        AFTER,
        MOOR.replace("Depends(get_session)", 'Depends(get_session, scope="function")'),
    ),
    "nothing unique": (AFTER, MOOR.replace("Berth(name=name, boat=boat)", "Entry(text=boat)")),
    "a name of its own": (AFTER, MOOR.replace("name=name", "name=str(uuid.uuid4())")),
}


@pytest.mark.parametrize("parts", IN_TIME.values(), ids=IN_TIME)
def test_a_row_that_is_not_refused_after_the_answer(parts: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + "".join(parts) + ANSWER)
    assert not autolock.check([tmp_path], cache=False).findings


def test_a_row_that_was_looked_for_is_told_of_once(tmp_path: Path) -> None:
    looked = MOOR.replace(
        "    session.add",
        "    if await session.scalar(select(Berth).where(Berth.name == name)):\n"
        "        raise HTTPException(409)\n"
        "    session.add",
    )
    (tmp_path / "main.py").write_text(HEAD + AFTER + looked + ANSWER)
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == ["AL203"]
