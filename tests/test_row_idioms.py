"""Ways in which services reach rows, racy and harmless: each app is a few lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    stock: Mapped[int]

async def get_session():
    async with SessionLocal() as session:
        yield session
"""


def found(folder: Path, body: str) -> list[str]:
    """The functions of the findings in an app of one file."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    return sorted(f.place.function for f in autolock.check([folder], cache=False).findings)


SWITCHED = {
    "statement": """
        async def load(session, id, lock: bool = False):
            query = select(Item).where(Item.id == id)
            if lock:
                query = query.with_for_update()
            return (await session.execute(query)).scalar_one()
        """,
    "negated": """
        async def load(session, id, lock: bool = False):
            query = select(Item).where(Item.id == id)
            if not lock:
                return (await session.execute(query)).scalar_one()
            return (await session.execute(query.with_for_update())).scalar_one()
        """,
    "expression": """
        async def load(session, id, lock=False):
            query = select(Item).where(Item.id == id)
            return (await session.execute(query.with_for_update() if lock else query)).scalar_one()
        """,
    "passed on": """
        async def fetch(session, id, for_update):
            return await session.get(Item, id, with_for_update=for_update)

        async def load(session, id, lock=False):
            return await fetch(session, id, for_update=lock)
        """,
}


@pytest.mark.parametrize("helper", sorted(SWITCHED))
@pytest.mark.parametrize(("argument", "racy"), [(", lock=True", []), (", True", []), (", lock=False", ["buy"])])
def test_a_helper_locks_where_its_caller_says_so(helper: str, argument: str, racy: list[str], tmp_path: Path) -> None:
    handler = f"""
@app.post("/buy/{{id}}")
async def buy(id: int, session: AsyncSession = Depends(get_session)):
    item = await load(session, id{argument})
    item.stock -= 1
    await session.commit()
"""
    assert found(tmp_path, textwrap.dedent(SWITCHED[helper]) + handler) == racy


def test_a_switch_that_the_request_sets_may_be_either(tmp_path: Path) -> None:
    handler = """
@app.post("/buy/{id}")
async def buy(id: int, lock: bool = True, session: AsyncSession = Depends(get_session)):
    item = await load(session, id, lock=lock)
    item.stock -= 1
    await session.commit()
"""
    assert found(tmp_path, textwrap.dedent(SWITCHED["statement"]) + handler) == ["buy"]
