"""Tasks that a function starts on its session and awaits itself: they can be awaited where they start."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Cat(Base):
    __tablename__ = "cats"
    id: Mapped[int] = mapped_column(primary_key=True)

SessionLocal = async_sessionmaker(create_async_engine("postgresql+asyncpg://localhost/cats"))
app = FastAPI()

async def get_session():
    async with SessionLocal() as session:
        yield session

async def count(session):
    return await session.scalar(select(func.count()).select_from(Cat))

@app.get("/cats")
async def cats(session: AsyncSession = Depends(get_session)):
"""


def fixed(folder: Path, body: str) -> str:
    """The handler after the safe fixes, of which a second run changes nothing."""
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once


def test_what_tasks_run_is_awaited_where_they_start(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        return {"a": await a, "b": await b}
        """,
    )
    assert after.endswith(
        """
    a = await count(session)
    b = await count(session)
    return {"a": a, "b": b}
"""
    )
    assert "asyncio\n" not in after


def test_a_gather_of_tasks_becomes_a_list_of_what_they_give(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        first, second = await asyncio.gather(a, b)
        return first + second
        """,
    )
    assert "a = await count(session)" in after
    assert "first, second = [a, b]" in after


@pytest.mark.parametrize(
    "body",
    [
        # Something else is done before the first is awaited: it would come after the tasks.
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        print("started")
        return await a + await b
        """,
        # A task is cancelled, or handed on.
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        first = await a
        b.cancel()
        return first
        """,
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        done, waiting = await asyncio.wait([a, b])
        return len(done)
        """,
        # One goes by a name that means something else later on.
        """
        a = asyncio.create_task(count(session))
        b = asyncio.create_task(count(session))
        first, second = await a, await b
        a = 1
        return first + second + a
        """,
    ],
)
def test_tasks_of_which_more_is_made_are_left_alone(tmp_path: Path, body: str) -> None:
    assert "create_task(count(session))" in fixed(tmp_path, body)
