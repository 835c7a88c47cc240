"""A dependency that commits after its `yield` by a method of what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/inn"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Booking(Base):
    __tablename__ = "bookings"
    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[int] = mapped_column(unique=True)

class Work:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, room: int) -> None:
        self.session.add(Booking(room=room))

    async def commit(self) -> None:
        await self.session.commit()

async def work():
    async with Sessions() as session:
        unit = Work(session)
        yield unit
        LATE

@app.post("/rooms/{room}", status_code=201)
async def book(room: int, unit: Work = Depends(workSCOPE)):
    unit.add(room)
    SOON
    return {"room": room}
"""


def found(folder: Path, late: str = "pass", soon: str = "pass", scope: str = "") -> list[tuple[str, str]]:
    (folder / "main.py").write_text(APP.replace("LATE", late).replace("SOON", soon).replace("SCOPE", scope))
    return [(f.rule, f.place.function) for f in autolock.check([folder], cache=False).findings]


def test_a_unit_of_work_that_commits_after_the_response_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, late="await unit.commit()") == [("AL209", "work")]


def test_a_commit_or_a_flush_in_the_handler_is_in_time(tmp_path: Path) -> None:
    assert found(tmp_path, soon="await unit.commit()") == []
    assert found(tmp_path, late="await unit.commit()", soon="await unit.commit()") == []
    assert found(tmp_path, late="await unit.commit()", soon="await unit.session.flush()") == []


def test_a_dependency_that_ends_with_the_function_is_in_time(tmp_path: Path) -> None:
    assert found(tmp_path, late="await unit.commit()", scope=', scope="function"') == []
