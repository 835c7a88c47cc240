"""A name that may be taken and a limit that may be reached, both asked before one row is added."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, UniqueConstraint, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql://db/harbour"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Boat(Base):
    __tablename__ = "boats"
    id: Mapped[int] = mapped_column(primary_key=True)
    berths: Mapped[int]

class Sailor(Base):
    __tablename__ = "sailors"
    __table_args__ = (UniqueConstraint(UNIQUE),)
    id: Mapped[int] = mapped_column(primary_key=True)
    boat_id: Mapped[int] = mapped_column(ForeignKey("boats.id"))
    name: Mapped[str]

def session():
    with Sessions() as opened:
        yield opened

@app.post("/boats/{boat_id}/{name}")
def sail(boat_id: int, name: str, db: Session = Depends(session)):
    boat = db.get(Boat, boat_id)
    if boat is None:
        raise HTTPException(404)
    taken = db.scalar(select(Sailor.id).where(ASKED))
    aboard = db.scalar(select(func.count(Sailor.id)).where(Sailor.boat_id == boat_id))
"""
OF_THE_BOAT = "Sailor.boat_id == boat_id, Sailor.name == name"
CHECKS = {
    "one answer": """
        if taken or aboard >= boat.berths:
            raise HTTPException(409, "not on this boat")
        """,
    "two answers": """
        if taken:
            raise HTTPException(409, "aboard already")
        if aboard >= boat.berths:
            raise HTTPException(409, "no berth is free")
        """,
}
INSERT = "db.add(Sailor(boat_id=boat_id, name=name))\ndb.commit()"


def written(folder: Path, check: str, unique: str, asked: str) -> Path:
    path = folder / "main.py"
    body = textwrap.dedent(CHECKS[check]) + INSERT
    path.write_text(HEAD.replace("UNIQUE", unique).replace("ASKED", asked) + textwrap.indent(body, "    "))
    return path


@pytest.mark.parametrize("check", CHECKS)
def test_a_lock_on_the_row_that_both_are_about_keeps_the_name_and_the_limit(check: str, tmp_path: Path) -> None:
    path = written(tmp_path, check, '"boat_id", "name"', OF_THE_BOAT)
    autolock.fix([path], apply=True, cache=False)
    text = path.read_text()
    assert "boat = db.get(Boat, boat_id, with_for_update=True, populate_existing=True)" in text
    assert "IntegrityError" not in text
    assert autolock.check([path], cache=False).findings == ()


def test_a_name_that_is_unique_on_all_boats_is_not_kept_by_a_lock_on_one(tmp_path: Path) -> None:
    path = written(tmp_path, "one answer", '"name"', "Sailor.name == name")
    autolock.fix([path], apply=True, cache=False)
    assert "with_for_update" not in path.read_text()
    assert [f.rule for f in autolock.check([path], cache=False).findings] == ["AL203"]
