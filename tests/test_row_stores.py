"""Rows that helpers load for readers too: where they are locked instead."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import autolock

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/app")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]

async def get_session():
    async with SessionLocal() as session:
        yield session
"""


def fixed(folder: Path, body: str) -> list[str]:
    """The lines, without indents, of an app of one file after its fix; empty where there is none."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    report = autolock.fix([folder], cache=False)
    changes = [change for rewrite in report.rewrites for change in rewrite.changes]
    return [line.strip() for change in changes for line in change.after.decode().splitlines()]


UPDATING = """
    class Items:
        def __init__(self, session: AsyncSession) -> None:
            self.session = session

        async def get(self, id: int) -> Item | None:
            return await self.session.scalar(select(Item).where(Item.id == id))

        async def update(self, item: Item, **changes) -> None:
            for name, value in changes.items():
                setattr(item, name, value)
            await self.session.commit()

    async def take(session: AsyncSession, id: int, wanted: int) -> None:
        items = Items(session)
        item = await items.get(id)
        if item is None or item.stock < wanted:
            raise HTTPException(409)
        await items.update(item, stock=item.stock - wanted)

    @app.post("/items/{id}")
    async def buy(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        await take(session, id, wanted)

    @app.get("/items/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        return {"stock": (await Items(session).get(id)).stock}
    """


def test_a_row_whose_columns_are_set_in_a_loop_over_their_names_is_one_row(tmp_path: Path) -> None:
    lines = fixed(tmp_path, UPDATING)
    locked = lines.index('await session.refresh(item, attribute_names=["stock"], with_for_update=True)')
    assert lines[locked - 1] == "item = await items.get(id)"


TEXT_STORE = """
    from sqlalchemy import text as sql

    class Batches:
        def __init__(self, session: AsyncSession) -> None:
            self.session = session

        async def get(self, id: int):
            found = await self.session.execute(sql("SELECT doses FROM batches WHERE id = :id"), {"id": id})
            return found.mappings().first()

        async def put(self, id: int, doses: int) -> None:
            await self.session.execute(
                sql("UPDATE batches SET doses = :doses WHERE id = :id"), {"doses": doses, "id": id}
            )

    async def take(session: AsyncSession, batch_id: int) -> None:
        batches = Batches(session)
        batch = await batches.get(batch_id)
        if batch["doses"] < 1:
            raise HTTPException(409)
        await batches.put(batch_id, batch["doses"] - 1)
        await session.commit()

    @app.post("/batches/{id}")
    async def shoot(id: int, session: AsyncSession = Depends(get_session)):
        await take(session, id)

    @app.get("/batches/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        return dict(await Batches(session).get(id))
    """


def test_a_text_that_readers_run_too_is_locked_by_one_before_it(tmp_path: Path) -> None:
    lines = fixed(tmp_path, TEXT_STORE)
    select = 'text("SELECT id FROM batches WHERE id = :id FOR UPDATE"), {"id": batch_id}'
    locked = next(n for n, line in enumerate(lines) if select in line)
    look = lines.index("batch = await batches.get(batch_id)")
    assert 0 < look - locked <= 2


@pytest.mark.parametrize(
    "other",
    [
        TEXT_STORE.replace("FROM batches", "FROM clinic.batches"),
        TEXT_STORE.replace("UPDATE batches SET doses = :doses WHERE id = :id", "UPDATE batches SET doses = :doses"),
        TEXT_STORE.replace(
            "take(session: AsyncSession, batch_id: int)", "take(session: AsyncSession, text: int)"
        ).replace("(batch_id", "(text"),
    ],
    ids=["schema", "other rows", "name taken"],
)
def test_a_text_that_no_other_can_lock_for_is_left_alone(other: str, tmp_path: Path) -> None:
    assert fixed(tmp_path, other) == []
