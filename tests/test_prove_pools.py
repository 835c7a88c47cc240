"""A request that waits for another task, or for a connection that another has, is not taken for one that hangs."""

from __future__ import annotations

from pathlib import Path

import postgres
import pytest
from test_prove import played

from autolock.prove.proof import Bounds, Verdict

pytestmark = pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)

ORM = """
import os
from contextlib import asynccontextmanager
from fastapi import Depends
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:"), POOL)
Sessions = async_sessionmaker(engine)

class Base(DeclarativeBase): ...

class Hall(Base):
    __tablename__ = "halls"
    id: Mapped[int] = mapped_column(primary_key=True)
    free: Mapped[int]

@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with Sessions() as session:
        session.add(Hall(id=1, free=3))
        await session.commit()
    yield

app = FastAPI(lifespan=lifespan)

async def get_session():
    async with Sessions() as session:
        yield session
"""

CONDITIONAL_UPDATE = """
@app.post("/halls/{number}/seats")
async def take(number: int, session=Depends(get_session)):
    taken = await session.execute(
        update(Hall).where(Hall.id == number, Hall.free >= 1).values(free=Hall.free - 1)
    )
    if taken.rowcount == 0:
        raise HTTPException(402)
    await session.commit()
    return {}
"""

LOST_UPDATE = """
@app.post("/halls/{number}/seats")
async def take(number: int, session=Depends(get_session)):
    hall = await session.get(Hall, number)
    if hall is None or hall.free < 1:
        raise HTTPException(402)
    hall.free -= 1
    await session.commit()
    return {}
"""

RAW = """
import os
from contextlib import asynccontextmanager
import asyncpg

@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=1) as app.state.pool:
        await app.state.pool.execute("CREATE TABLE halls (id int PRIMARY KEY, free int)")
        await app.state.pool.execute("INSERT INTO halls VALUES (1, 3)")
        yield

app = FastAPI(lifespan=lifespan)

@app.post("/halls/{number}/seats")
async def take(number: int):
    async with app.state.pool.acquire() as connection:
        free = await connection.fetchval("SELECT free FROM halls WHERE id = $1", number)
        if not free:
            raise HTTPException(402)
        await connection.execute("UPDATE halls SET free = $1 WHERE id = $2", free - 1, number)
    return {}
"""


def test_a_session_that_is_closed_without_a_commit_is_no_hang(tmp_path: Path) -> None:
    side = played(tmp_path, ORM.replace("POOL", "") + CONDITIONAL_UPDATE, "POST /halls/{number}/seats")
    assert side.verdict is Verdict.HELD, side.why_not
    refused = [answer for trial in side.trials for order in trial.result["serial"] for answer in order["responses"]]
    assert 402 in {answer["status"] for answer in refused}


@pytest.mark.parametrize("source", [ORM.replace("POOL", "pool_size=1, max_overflow=0") + LOST_UPDATE, RAW])
def test_requests_take_turns_on_the_one_connection_of_a_pool(tmp_path: Path, source: str) -> None:
    side = played(tmp_path, source, "POST /halls/{number}/seats")
    assert side.verdict is Verdict.HELD, side.decisive
    assert side.decisive is not None
    assert side.decisive.result["played"] > 1


def test_requests_with_connections_of_their_own_do_not(tmp_path: Path) -> None:
    side = played(tmp_path, ORM.replace("POOL", "") + LOST_UPDATE, "POST /halls/{number}/seats")
    assert side.verdict is Verdict.WITNESSED, side.why_not


GROWING = """
from sqlalchemy import create_engine, event, text

engine = create_engine("sqlite:///./hits.sqlite")

@event.listens_for(engine, "connect")
def prepare(connection, record):
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()

with engine.begin() as first:
    first.execute(text("CREATE TABLE hits (id INTEGER PRIMARY KEY, number INTEGER)"))
    first.execute(text("INSERT INTO hits (number) VALUES (0)"))

@app.post("/hits")
def hit():
    with engine.begin() as connection:
        connection.execute(text("UPDATE hits SET number = number + 1"))
    with engine.connect() as connection:
        there = connection.execute(text("SELECT count(*) FROM hits")).scalar()
    return {"there": there}
"""


def test_a_pool_that_grows_while_requests_are_played_does_not_end_the_search(tmp_path: Path) -> None:
    side = played(tmp_path, GROWING, "POST /hits", bounds=Bounds(reduce_beyond=0))
    assert side.verdict is Verdict.HELD, side
