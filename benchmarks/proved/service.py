"""What the provers are compared on: for each way to keep a stock, a route that loses updates and one that does not."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

URL = os.environ.get("DATABASE_URL", "sqlite+aiosqlite://").replace("postgresql://", "postgresql+asyncpg://")
# Tools that make an event loop for each run cannot take over the connections of the one before.
engine = create_async_engine(URL, poolclass=NullPool if "NO_POOL" in os.environ else None)
sessions = async_sessionmaker(engine, expire_on_commit=False)

stock = {"left": 10}
stock_lock = asyncio.Lock()
thread_lock = threading.Lock()


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    left_on_shelf: Mapped[int]


async def make_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        if await session.get(Item, 1) is None:
            session.add(Item(id=1, left_on_shelf=10))
            await session.commit()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await make_tables()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/loop/racy")
async def loop_racy() -> None:
    left = stock["left"]
    await asyncio.sleep(0)
    stock["left"] = left - 1


@app.post("/loop/locked")
async def loop_locked() -> None:
    async with stock_lock:
        left = stock["left"]
        await asyncio.sleep(0)
        stock["left"] = left - 1


@app.post("/threads/racy")
def threads_racy() -> None:
    left = stock["left"]
    time.sleep(0)
    stock["left"] = left - 1


@app.post("/threads/locked")
def threads_locked() -> None:
    with thread_lock:
        left = stock["left"]
        time.sleep(0)
        stock["left"] = left - 1


@app.post("/rows/racy")
async def rows_racy() -> None:
    async with sessions() as session:
        item = (await session.scalars(select(Item).where(Item.id == 1))).one()
        item.left_on_shelf = item.left_on_shelf - 1
        await session.commit()


@app.post("/rows/locked")
async def rows_locked() -> None:
    async with sessions() as session:
        item = (await session.scalars(select(Item).where(Item.id == 1).with_for_update())).one()
        item.left_on_shelf = item.left_on_shelf - 1
        await session.commit()


async def pauses(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
    stock["left"] -= 1


@app.post("/pauses/2")
async def two_pauses() -> None:
    await pauses(2)


@app.post("/pauses/4")
async def four_pauses() -> None:
    await pauses(4)


@app.post("/pauses/6")
async def six_pauses() -> None:
    await pauses(6)


@app.post("/lines/5")
def five_lines() -> dict[str, int]:
    with thread_lock:
        stock["left"] -= 1
    one = 1
    two = one + 1
    return {"three": one + two}


@app.post("/lines/8")
def eight_lines() -> dict[str, int]:
    with thread_lock:
        stock["left"] -= 1
    one = 1
    two = one + 1
    three = one + two
    four = two + two
    five = two + three
    return {"six": three + three, "nine": four + five}
