"""Rows of two tables that one statement gives together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/sea"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Ship(Base):
    __tablename__ = "ships"
    id: Mapped[int] = mapped_column(primary_key=True)
    free: Mapped[int]

class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    ship_id: Mapped[int] = mapped_column(ForeignKey("ships.id"))
    used: Mapped[bool]

async def get_session():
    async with Sessions() as session:
        yield session

@app.post("/tickets/{number}")
async def use(number: int, session: AsyncSession = Depends(get_session)):
    query = select(Ticket, Ship).join(Ship).where(Ticket.id == number)LOCK
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    ticket, ship = row
CHANGES
    await session.commit()
    return ship.free
"""
USED = "    if ticket.used:\n        return None\n    ticket.used = True\n"
TAKEN = "    if ship.free == 0:\n        return None\n    ship.free -= 1\n"


def found(folder: Path, changes: str, lock: str = "") -> list[str]:
    """The states of which a race is told."""
    (folder / "main.py").write_text(APP.replace("CHANGES\n", changes).replace("LOCK", lock))
    return sorted(f.location for f in autolock.check([folder], cache=False).findings)


@pytest.mark.parametrize(
    ("changes", "states", "of"),
    [
        (TAKEN, ["Ship.free"], "of=Ship"),
        (USED + TAKEN, ["Ship.free", "Ticket.used"], "of=(Ship, Ticket)"),
    ],
)
def test_the_rows_that_are_changed_are_locked_by_one_edit(
    tmp_path: Path, changes: str, states: list[str], of: str
) -> None:
    assert found(tmp_path, changes) == states
    outcome = autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert len(outcome.rewrites) == 1
    assert f".with_for_update({of})" in (tmp_path / "main.py").read_text()
    assert autolock.check([tmp_path], cache=False).findings == ()


@pytest.mark.parametrize("lock", [".with_for_update()", ".with_for_update(of=[Ship, Ticket])"])
def test_a_lock_counts_for_all_rows_of_the_tuple(tmp_path: Path, lock: str) -> None:
    assert found(tmp_path, USED + TAKEN, f"{lock}.execution_options(populate_existing=True)") == []
