"""Looks that are found although they are written in a roundabout way, or their table is written guardedly."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from typing import Any, Generic, TypeVar

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql://localhost/harbour"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Berth(Base):
    __tablename__ = "berths"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    metres: Mapped[int]
    ship: Mapped[str | None]

class Booking(Base):
    __tablename__ = "bookings"
    id: Mapped[int] = mapped_column(primary_key=True)
    berth_id: Mapped[int] = mapped_column(ForeignKey("berths.id"))
    metres: Mapped[int]

def get_session():
    with SessionLocal() as session:
        yield session
"""


def rules(folder: Path, body: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    return [f.rule for f in autolock.check([folder], cache=False).findings]


def fixed(folder: Path, body: str) -> str:
    """The program after its safe fixes, without layout."""
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.dedent(body))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    return "".join(main.read_text()[len(HEAD) :].split())


MOOR = """
@app.post("/moor/{ship}")
def moor(ship: str, session: Session = Depends(get_session)):
    berth = LOOK
    if berth is None:
        raise HTTPException(409)
    berth.ship = ship
    session.commit()
"""
FREE = "session.query(Berth).filter(Berth.ship.is_(None))"
SELECT = "select(Berth).where(Berth.ship.is_(None))"


@pytest.mark.parametrize(
    ("look", "lock"),
    [
        (f"{FREE}.order_by(Berth.id).first()", ".with_for_update(skip_locked=True).first()"),
        (f"session.scalars({SELECT}.order_by(Berth.id)).first()", ".with_for_update().execution_options("),
    ],
)
def test_the_first_of_ordered_rows_is_given_away_once(look: str, lock: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, MOOR.replace("LOOK", look))
    assert lock in text


def test_one_of_the_free_rows_is_given_away_once_in_whatever_order_they_come(tmp_path: Path) -> None:
    assert rules(tmp_path, MOOR.replace("LOOK", f"session.scalars({SELECT}).first()")) == ["AL207"]


def test_one_of_unordered_rows_that_are_not_free_is_not_taken_for_the_next_in_a_line(tmp_path: Path) -> None:
    any_of_them = "session.scalars(select(Berth).where(Berth.metres > 5)).first()"
    assert rules(tmp_path, MOOR.replace("LOOK", any_of_them)) == []


BOOK = """
@app.post("/berths/{berth_id}/bookings")
def book(berth_id: int, metres: int, session: Session = Depends(get_session)):
    berth = session.get(Berth, berth_id)
    if LIMIT:
        raise HTTPException(409)
    session.execute(insert(Booking).values(berth_id=berth_id, metres=metres).on_conflict_do_nothing())
    session.commit()
"""
COUNT = "session.scalar(select(func.count(Booking.id)).where(Booking.berth_id == berth_id))"
SUM = "session.scalar(select(func.coalesce(func.sum(Booking.metres), 0)).where(Booking.berth_id == berth_id))"


@pytest.mark.parametrize("limit", [f"{COUNT} >= 3", f"berth.metres - {SUM} < metres"])
def test_a_conflict_that_is_left_out_does_not_settle_how_many_there_are(limit: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, BOOK.replace("LIMIT", limit))
    assert "session.get(Berth,berth_id,with_for_update=True,populate_existing=True)" in text


def test_a_conflict_that_is_left_out_settles_whether_there_is_one(tmp_path: Path) -> None:
    look = "session.scalar(select(Booking).where(Booking.berth_id == berth_id)) is not None"
    assert rules(tmp_path, BOOK.replace("LIMIT", look)) == []


SERVICE = """
M = TypeVar("M", bound=Base)

class Service(Generic[M]):
    model: type[M]

    def __init__(self, session: Session) -> None:
        self.session = session

    def exists(self, **filters: Any) -> bool:
        BODY

    def save(self, row: M) -> M:
        self.session.add(row)
        self.session.commit()
        return row

class Berths(Service[Berth]):
    model = Berth

    def build(self, code: str, metres: int) -> Berth:
        if self.exists(ASKED):
            raise HTTPException(409, "there is one")
        return self.save(Berth(code=code, metres=metres))

@app.post("/berths/{code}")
def build(code: str, metres: int, session: Session = Depends(get_session)):
    return Berths(session).build(code, metres).id
"""
LISTED = """
        tests = [getattr(self.model, name) == value for name, value in filters.items()]
        return bool(self.session.scalar(select(exists().where(*tests))))
"""
LOOPED = """
        query = select(self.model)
        for name, value in filters.items():
            query = query.where(getattr(self.model, name) == value)
        return self.session.scalars(query).first() is not None
"""


@pytest.mark.parametrize("body", [LISTED, LOOPED])
def test_columns_that_are_named_by_keywords_are_those_that_were_asked_about(body: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, SERVICE.replace("BODY", body.strip()).replace("ASKED", "code=code"))
    assert "self.session.rollback()" in text
    assert 'raiseHTTPException(409,"thereisone")fromerror' in text


def test_a_column_without_a_constraint_is_told_of_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + SERVICE.replace("BODY", LOOPED.strip()).replace("ASKED", "metres=metres"))
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert found.fix is not None
    assert "add one on berths (metres)" in found.fix.reason


LEVELS = """
from sqlalchemy import create_engine, select
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql://localhost/harbour", isolation_level="LEVEL"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Pilot(Base):
    __tablename__ = "pilots"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    trips: Mapped[int]

def get_session():
    with SessionLocal() as session:
        yield session

@app.post("/pilots/{name}")
def hire(name: str, session: Session = Depends(get_session)):
    if session.scalar(select(Pilot).where(Pilot.name == name)) is not None:
        raise HTTPException(409)
    session.add(Pilot(name=name, trips=0))
    session.commit()

@app.post("/pilots/{id}/trips")
def sail(id: int, session: Session = Depends(get_session)):
    pilot = session.get(Pilot, id)
    pilot.trips = pilot.trips + 1
    session.commit()
"""


@pytest.mark.parametrize(
    ("level", "told"),
    [("READ COMMITTED", ["hire", "sail"]), ("REPEATABLE READ", ["hire"]), ("SERIALIZABLE", [])],
)
def test_what_a_level_of_isolation_leaves_open(level: str, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(LEVELS.replace("LEVEL", level))
    assert sorted(f.place.function for f in autolock.check([tmp_path], cache=False).findings) == told


GIVEN = """
class Berths:
    def __init__(self, session: Session):
        self.session = session

    def build(self, code: str) -> Berth:
        berth = self.session.scalar(select(Berth).where(Berth.code == code))
        if berth is None:
            berth = Berth(code=code, metres=0)
            self.session.add(berth)
            self.session.commit()
        return berth

class Harbour:
    def __init__(self, session: Session, berths: Berths | None = None):
        self.berths = berths or Berths(session)

@app.post("/berths/{code}")
def build(code: str, session: Session = Depends(get_session)):
    return HARBOUR.berths.build(code).id
"""


@pytest.mark.parametrize("harbour", ["Harbour(session)", "Harbour(session, None)", "Harbour(session, Berths(session))"])
def test_what_is_made_where_nothing_was_given_is_known(harbour: str, tmp_path: Path) -> None:
    assert rules(tmp_path, GIVEN.replace("HARBOUR", harbour)) == ["AL203"]


SPREAD = """
class Wanted(BaseModel):
    code: str | None = None
    metres: int = 0

def register(session, code=None, metres=0):
    if not code:
        return
    if session.scalar(select(Berth).where(Berth.code == code)) is None:
        session.add(Berth(code=code, metres=metres))
        session.commit()

@app.post("/berths")
def create(wanted: Wanted, session: Session = Depends(get_session)):
    register(session, {given})
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("**wanted.model_dump()", ["AL203"]),
        ("**{'code': wanted.code}", ["AL203"]),
        ("**{'metres': wanted.metres}", []),
        ("metres=wanted.metres", []),
    ],
)
def test_a_mapping_that_nobody_has_written_out_may_name_any_parameter(
    given: str, expected: list[str], tmp_path: Path
) -> None:
    body = "\nfrom pydantic import BaseModel\n" + SPREAD.format(given=given)
    assert rules(tmp_path, body) == expected


OPENED = """
from contextlib import contextmanager

@contextmanager
def opened():
    with SessionLocal() as session:
        yield session

@contextmanager
def watched():
    with opened() as session:
        yield session

def known(code):
    with opened() as session:
        if session.scalar(select(Berth).where(Berth.code == code)):
            return

@app.post("/berths/{code}")
def create(code: str):
    LOOK
    with opened() as session:
        session.add(Berth(code=code, metres=0))
        session.commit()
"""


@pytest.mark.parametrize("manager", ["opened()", "watched()", "SessionLocal()"])
def test_what_leaves_the_function_under_a_manager_of_the_project_decides_what_comes_after_it(
    manager: str, tmp_path: Path
) -> None:
    look = f"""with {manager} as session:
        found = session.scalar(select(Berth).where(Berth.code == code))
        if found:
            return found"""
    assert rules(tmp_path, OPENED.replace("LOOK", look)) == ["AL203"]


def test_a_helper_that_leaves_itself_under_a_manager_decides_nothing_for_its_caller(tmp_path: Path) -> None:
    assert rules(tmp_path, OPENED.replace("LOOK", "known(code)")) == []


NAMED = """
import os
from sqlalchemy import text

SCHEMA = os.environ["SCHEMA"]

def schema():
    return os.environ["TENANT"]

def table(name):
    return f"{schema()}.{name}"

@app.post("/moorings/{ship}")
def moor(ship: str, which: str, session: Session = Depends(get_session)):
    found = session.execute(text(f"SELECT id FROM TABLE WHERE ship = :ship"), {"ship": ship}).first()
    if found is None:
        session.execute(text(f"INSERT INTO TABLE (ship) VALUES (:ship)"), {"ship": ship})
        session.commit()
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("{table('moorings')}", ["AL203"]),
        ("{SCHEMA}.moorings", ["AL203"]),
        ('\\"{schema()}\\".moorings', ["AL203"]),
        ("{which}", []),
        ("{table(which)}", []),
    ],
)
def test_a_table_is_known_by_its_name_in_a_schema_that_is_not(table: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, NAMED.replace("TABLE", table)) == expected


@pytest.mark.parametrize(("name", "expected"), [("get_or_bootstrap", ["AL203"]), ("bootstrap", [])])
def test_only_what_fills_an_empty_database_is_left_out(name: str, expected: list[str], tmp_path: Path) -> None:
    body = f"""
    def {name}_berth(session, code):
        found = session.scalar(select(Berth).where(Berth.code == code))
        if found is None:
            found = Berth(code=code, metres=0)
            session.add(found)
            session.commit()
        return found

    @app.post("/berths/{{code}}")
    def create(code: str, session: Session = Depends(get_session)):
        return {name}_berth(session, code).metres
    """
    assert rules(tmp_path, body) == expected
