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


SUMS = """
@app.post("/repairs/{id}")
def repair(id: int, other: int, body: Repair, session: Session = Depends(get_session)):
BODY
    session.commit()
"""
IN_TURNS = """
    for line in body.lines:
        part = LOOK
        part.stock += line.count
"""
BY_SELECT = IN_TURNS.replace("LOOK", "session.scalars(select(Part).where(Part.id == line.part_id)).one()")
ONCE_EACH = """
    for part in session.scalars(select(Part).where(Part.kind == "wheel")):
        part.stock += 1
"""


def summed(folder: Path, body: str, autoflush: bool = True) -> str:
    """The handler after its fixes, without layout."""
    head = HEAD if autoflush else HEAD.replace('garage"))', 'garage"), autoflush=False)')
    (folder / "main.py").write_text(head + SUMS.replace("BODY", body.strip("\n")))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    return "".join((folder / "main.py").read_text().partition('@app.post("/repairs/')[2].split())


@pytest.mark.parametrize(
    ("body", "autoflush"),
    [
        (IN_TURNS.replace("LOOK", "session.get(Part, line.part_id)"), True),
        (BY_SELECT, False),
        ("    part = session.get(Part, id)" + IN_TURNS.replace("        part = LOOK\n", ""), True),
        ("    part = session.get(Part, id)\n    part.stock += 1\n    if other:\n        part.stock += 2", True),
        ("    part = session.get(Part, id)\n    if other:\n        part.stock = 0\n    part.stock += 1", True),
        (
            "    part = session.get(Part, id)\n    second = session.get(Part, other)\n"
            "    part.stock -= 1\n    second.stock += 1",
            True,
        ),
    ],
)
def test_a_sum_is_not_left_to_the_database_where_another_may_come_before_it_is_sent(
    body: str, autoflush: bool, tmp_path: Path
) -> None:
    after = summed(tmp_path, body, autoflush)
    assert "=Part.stock" not in after
    assert "with_for_update" in after


@pytest.mark.parametrize(("body", "autoflush"), [(BY_SELECT, True), (ONCE_EACH, True), (ONCE_EACH, False)])
def test_a_sum_that_is_sent_before_the_next_is_left_to_the_database(body: str, autoflush: bool, tmp_path: Path) -> None:
    assert "part.stock=Part.stock+" in summed(tmp_path, body, autoflush)


HELPED = """
    add_to(session, id, 1)
    add_to(session, other, 2)
"""
ADDING = """
def add_to(session: Session, key: int, count: int) -> None:
    part = session.scalars(select(Part).where(Part.id == key)).one()
    part.stock += count
"""


@pytest.mark.parametrize("body", [HELPED, "    for line in body.lines:\n        add_to(session, line.part_id, 1)"])
@pytest.mark.parametrize("autoflush", [True, False])
def test_a_row_is_not_loaded_again_over_a_change_that_waits(body: str, autoflush: bool, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("from main import Part, Session, select\n" + ADDING)
    summed(tmp_path, "    from helpers import add_to\n" + body, autoflush)
    after = (tmp_path / "helpers.py").read_text()
    assert "with_for_update" not in after
    assert ("= Part.stock + count" in after) == autoflush
