"""A session that is the default value of a parameter: made once, for all calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/ferry"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Crossing(Base):
    __tablename__ = "crossings"
    id: Mapped[int] = mapped_column(primary_key=True)

class Crossings:
    def __init__(self, session: AsyncSession = Sessions()):
        self.session = session

    async def add(self):
        self.session.add(Crossing())
        await self.session.commit()

    async def count(self):
        return await self.session.scalar(select(func.count(Crossing.id)))

async def session():
    async with Sessions() as opened:
        yield opened

def crossings(opened: AsyncSession = Depends(session)):
    return Crossings(GIVEN)

@app.post("/crossings")
async def cross(all_of_them: Crossings = Depends(crossings)):
    await all_of_them.add()

@app.get("/crossings")
async def count(all_of_them: Crossings = Depends(crossings)):
    return await all_of_them.count()
"""


def test_a_session_made_for_a_default_is_told_of_once_where_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(APP.replace("GIVEN", ""))
    (finding,) = autolock.check([path], cache=False).findings
    assert finding.rule == "AL301"
    assert finding.message.startswith("`Crossings.__init__`")
    assert finding.fix is not None
    assert "leave the default out" in finding.fix.reason


def test_a_default_that_nobody_leaves_to_itself_is_no_finding(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text(APP.replace("GIVEN", "opened"))
    assert autolock.check([path], cache=False).findings == ()
