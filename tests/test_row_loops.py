"""Rows that a loop loads one by one: they are locked together before it, in one order."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from collections.abc import Iterator

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql://localhost/garage"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Part(Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    stock: Mapped[int]

class Line(BaseModel):
    part_id: int
    count: int

class Repair(BaseModel):
    lines: list[Line]

def get_session():
    with SessionLocal() as session:
        yield session

def part_of(session: Session, part_id: int) -> Part:
    part = session.get(Part, part_id)
    if part is None:
        raise HTTPException(404)
    return part

@app.get("/parts/{part_id}")
def read(part_id: int, session: Session = Depends(get_session)):
    return part_of(session, part_id).stock
"""

USE = """
@app.post("/repairs")
def repair({parameters}, session: Session = Depends(get_session)):
    {before}
    for {loop}:
        part = {look}
        if part.stock < {count}:
            raise HTTPException(409)
        part.stock -= {count}
    session.commit()
"""


def fixed(folder: Path, **parts: str) -> str:
    """The handler after its safe fixes, without layout; a second run leaves it as it is."""
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.dedent(USE.format(**{"before": "pass", **parts})))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return "".join(once.partition('@app.post("/repairs")')[2].split())


OF_LINE = {"parameters": "body: Repair", "look": "part_of(session, line.part_id)", "count": "line.count"}


@pytest.mark.parametrize(
    ("parts", "keys"),
    [
        ({**OF_LINE, "loop": "line in body.lines"}, "[line.part_idforlineinbody.lines]"),
        ({**OF_LINE, "loop": "line in sorted(body.lines)"}, "[line.part_idforlineinsorted(body.lines)]"),
        (
            {"parameters": "counts: dict[int, int]", "loop": "key, n in counts.items()", "count": "n"}
            | {"look": "session.scalars(select(Part).where(Part.id == key)).one()"},
            "list(counts)",
        ),
        (
            {"parameters": "ids: list[int]", "loop": "key in ids", "count": "1"}
            | {"look": "session.query(Part).filter(Part.id == key).one()"},
            "list(ids)",
        ),
        (
            {"parameters": "body: dict", "before": "rows = list(body['rows'])", "loop": "row in rows"}
            | {"look": "session.get(Part, row['part'])", "count": "1"},
            '[row["part"]forrowinrows]',
        ),
    ],
)
def test_the_rows_of_a_loop_are_locked_before_it(parts: dict[str, str], keys: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, **parts)
    lock = text.partition(f"Part.id.in_({keys})")[2]
    assert ".order_by(Part.id)" in lock.partition("for")[0]
    assert lock.index(".with_for_update()") < lock.index("part.stock-=")


@pytest.mark.parametrize(
    "parts",
    [
        {**OF_LINE, "parameters": "body: Repair", "loop": "line in (each for each in body.lines)"},
        {**OF_LINE, "before": "lines = iter(body.lines)", "loop": "line in lines"},
        {**OF_LINE, "loop": "line in body.lines", "look": "part_of(session, line.part_id + len(body.lines))"},
        {**OF_LINE, "loop": "line in body.lines"}
        | {"look": "session.scalars(select(Part).where(Part.kind == str(line.part_id))).first()"},
    ],
)
def test_keys_that_are_not_known_before_the_loop_are_not_made_up(parts: dict[str, str], tmp_path: Path) -> None:
    assert "with_for_update" not in fixed(tmp_path, **parts)
