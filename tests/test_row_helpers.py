"""Rows that other functions load than the one that decides: where a fix locks them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("postgresql://localhost/shop")
SessionLocal = sessionmaker(engine)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    weight: Mapped[int]

class Box(Base):
    __tablename__ = "boxes"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    first: Mapped[int]
    last: Mapped[int]

def get_session():
    with SessionLocal() as session:
        yield session
"""


def fixed(folder: Path, body: str) -> str:
    """The program after its safe fixes, without its head; a second run leaves it as it is."""
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.dedent(body))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once[len(HEAD) :]


def flat(text: str) -> str:
    """A program without its layout."""
    return "".join(text.split())


MOVE = """
def load(session: Session, shelf_id: int) -> Shelf:
    BEFORE
    shelf = session.scalars(select(Shelf).where(Shelf.id == shelf_id)).first()
    if shelf is None:
        raise HTTPException(404)
    return shelf

@app.get("/shelves/{shelf_id}")
def show(shelf_id: int, session: Session = Depends(get_session)):
    return load(session, shelf_id).weight

@app.post("/move")
def move(source: int, target: int, weight: int, session: Session = Depends(get_session)):
    one = load(session, source)
    other = load(session, FOUND)
    if one.weight < weight:
        raise HTTPException(409)
    one.weight -= weight
    other.weight += weight
    session.commit()
"""


def moved(folder: Path, before: str = "pass", found: str = "target") -> str:
    return fixed(folder, MOVE.replace("BEFORE", before).replace("FOUND", found))


def test_rows_that_one_helper_loads_are_locked_together_by_its_caller(tmp_path: Path) -> None:
    after = moved(tmp_path)
    assert "Shelf.id.in_([source,target])).order_by(Shelf.id).with_for_update()" in flat(after)
    assert after.index("with_for_update") < after.index("load(session, source)")
    assert "with_for_update" not in after[: after.index("def show")]


@pytest.mark.parametrize(
    ("before", "found"),
    [("shelf_id = abs(shelf_id)", "target"), ("pass", "one.weight"), ("pass", "int(session.scalar(select(Box.id)))")],
)
def test_rows_whose_keys_the_caller_cannot_write_are_not_locked(before: str, found: str, tmp_path: Path) -> None:
    assert "with_for_update" not in moved(tmp_path, before, found)


TWICE = """
class Shelves:
    def __init__(self, session: Session):
        self.session = session

    def empty(self, shelf_id: int) -> None:
        shelf = self.session.scalars(select(Shelf).where(Shelf.id == shelf_id)).first()
        if shelf.weight < 1:
            raise HTTPException(409)
        shelf.weight -= 1

@app.post("/shelves/{shelf_id}/fill")
def fill(shelf_id: int, weight: int, session: Session = Depends(get_session)):
    shelf = session.get(Shelf, shelf_id)
    shelf.weight = weight
    session.commit()

@app.delete("/shelves")
def clear(first: int, second: int, session: Session = Depends(get_session)):
    Shelves(session).empty(first)
    session.commit()
    Shelves(session).empty(second)
    session.commit()
"""


def test_a_function_that_is_called_twice_locks_its_own_row(tmp_path: Path) -> None:
    after = fixed(tmp_path, TWICE)
    assert "select(Shelf).where(Shelf.id==shelf_id).with_for_update()" in flat(after)
    assert after.count("select(Shelf)") == 1


TAKE = """
def weight_of(session: Session, shelf_id: int):
    return session.execute(select(Shelf.id, Shelf.weight).where(Shelf.COLUMN == shelf_id)).one_or_none()

def set_weight(session: Session, shelf_id: int, weight: int) -> None:
    session.execute(update(Shelf).where(Shelf.COLUMN == shelf_id).values(weight=weight))

@app.get("/shelves/{shelf_id}")
def show(shelf_id: int, session: Session = Depends(get_session)):
    return weight_of(session, shelf_id).weight

@app.post("/shelves/{shelf_id}/take")
def take(shelf_id: int, weight: int, session: Session = Depends(get_session)):
    shelf = weight_of(session, shelf_id)
    if shelf.weight < weight:
        raise HTTPException(409)
    set_weight(session, shelf_id, shelf.weight - weight)
    session.commit()
"""


def test_a_row_that_one_helper_loads_and_another_updates_is_locked_by_their_caller(tmp_path: Path) -> None:
    after = fixed(tmp_path, TAKE.replace("COLUMN", "id"))
    taking = after[after.index("def take") :]
    assert "select(Shelf).where(Shelf.id==shelf_id).with_for_update()" in flat(taking)
    assert taking.index("with_for_update") < taking.index("weight_of(")
    assert "with_for_update" not in after[: after.index("def take")]


def test_rows_that_are_not_found_by_a_key_are_not_locked_one_after_the_other(tmp_path: Path) -> None:
    assert "with_for_update" not in fixed(tmp_path, TAKE.replace("COLUMN", "kind"))


PLACE = """
def is_free(session: Session, shelf_id: int, first: int, last: int) -> bool:
    taken = select(Box).where(Box.shelf_id == shelf_id, Box.first < last, Box.last > first)
    return session.scalars(taken).first() is None

def shelf_of(session: Session, shelf_id: int) -> Shelf | None:
    return session.get(Shelf, shelf_id)

@app.get("/shelves/{shelf_id}")
def show(shelf_id: int, session: Session = Depends(get_session)):
    return shelf_of(session, shelf_id).weight

@app.post("/shelves/{shelf_id}/boxes")
def place(shelf_id: int, first: int, last: int, session: Session = Depends(get_session)):
    shelf = LOOK
    if shelf is None:
        raise HTTPException(404)
    if not is_free(session, shelf.id, first, last):
        raise HTTPException(409)
    session.add(Box(shelf_id=shelf.id, first=first, last=last))
    session.commit()
"""


@pytest.mark.parametrize(
    ("look", "lock"),
    [
        ("session.get(Shelf, shelf_id)", "session.get(Shelf,shelf_id,with_for_update=True"),
        ("shelf_of(session, shelf_id)", "select(Shelf).where(Shelf.id==shelf_id).with_for_update()"),
    ],
)
def test_who_looks_for_overlapping_rows_holds_the_row_that_they_belong_to(look: str, lock: str, tmp_path: Path) -> None:
    after = fixed(tmp_path, PLACE.replace("LOOK", look))
    placing = after[after.index("def place") :]
    assert lock in flat(placing)
    assert placing.index("with_for_update") < placing.index("is_free")


COUNT = """
@app.post("/shelves/{shelf_id}/boxes")
def place(shelf_id: int, session: Session = Depends(get_session)):
    found = session.execute(text("SELECT id, places FROM racks WHERE id = :id"), {"id": shelf_id}).first()
    taken = session.scalar(text("SELECT count(*) FROM crates WHERE COLUMN = :id"), {"id": shelf_id})
    if taken >= found.places:
        raise HTTPException(409)
    session.execute(text("INSERT INTO crates (COLUMN) VALUES (:id)"), {"id": shelf_id})
    session.commit()
"""


@pytest.mark.parametrize(("column", "locked"), [("rack_id", True), ("maker_id", False)])
def test_sql_text_locks_the_row_that_the_counted_ones_are_named_after(
    column: str, locked: bool, tmp_path: Path
) -> None:
    after = fixed(tmp_path, COUNT.replace("COLUMN", column))
    assert ("FROM racks WHERE id = :id FOR UPDATE" in after) == locked
