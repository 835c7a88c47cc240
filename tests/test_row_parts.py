"""What a column of JSON holds is read by one helper, changed, and written back by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = """
from fastapi import FastAPI
from sqlalchemy import JSON, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/choir"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Concert(Base):
    __tablename__ = "concerts"
    id: Mapped[int] = mapped_column(primary_key=True)
    notes: Mapped[dict] = mapped_column(JSON)

class Concerts:
    async def find(self, db, id):
        return (await db.execute(select(Concert).where(Concert.id == id).with_for_update())).scalars().one()

    async def singers(self, id):
        async with Sessions() as db:
            return list((await self.find(db, id)).notes["singers"])

    async def set_singers(self, id, singers):
        async with Sessions() as db:
            concert = await self.find(db, id)
            notes = dict(concert.notes)
            notes["singers"] = list(singers)
            concert.notes = notes
            await db.commit()

concerts = Concerts()

@app.post("/concerts/{id}/singers")
async def join(id: int, name: str, names: list[str]):
    singers = await concerts.singers(id)
    await concerts.set_singers(id, GIVEN)
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("singers + [name]", ["AL204"]),
        ("[s for s in singers if s != name]", ["AL204"]),
        ("names", []),  # the request names all of them
    ],
)
def test_a_part_that_was_read_before_is_written_over_what_came_since(
    given: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(APPLICATION.replace("GIVEN", given), encoding="utf-8")
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == expected
