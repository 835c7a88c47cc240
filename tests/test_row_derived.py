"""A value that is worked out from other rows after one of them was changed: a rating, a total."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, create_engine, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql://db/guide"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Hut(Base):
    __tablename__ = "huts"
    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[float] = mapped_column(default=0)

class Report(Base):
    __tablename__ = "reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    hut_id: Mapped[int] = mapped_column(ForeignKey("huts.id"))
    walker: Mapped[str]
    stars: Mapped[int]

def session():
    with Sessions() as opened:
        yield opened

def stars_of(db, hut_id):
    return db.scalar(select(func.avg(Report.stars)).where(Report.hut_id == hut_id))

def rate(db, hut_id):
    hut = db.get(Hut, hut_id)
    hut.stars = stars_of(db, hut_id)

@app.post("/huts/{hut_id}/reports")
def report(hut_id: int, walker: str, stars: int, db: Session = Depends(session)):
"""
REPORT = "db.add(Report(hut_id=hut_id, walker=walker, stars=stars))"


def written(folder: Path, body: str) -> Path:
    path = folder / "main.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    return path


LOCKED = {
    "by its key": "hut = db.get(Hut, hut_id)",
    "by a query": "hut = db.query(Hut).filter(Hut.id == hut_id).one()",
}


@pytest.mark.parametrize("name", LOCKED)
def test_the_row_that_gets_the_value_is_locked_where_it_is_loaded_first(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{LOCKED[name]}\n{REPORT}\ndb.flush()\nhut.stars = stars_of(db, hut.id)\ndb.commit()")
    (finding,) = autolock.check([path], cache=False).findings
    assert finding.rule == "AL208"
    assert "`Hut.stars`" in finding.message
    autolock.fix([path], apply=True, cache=False)
    text = path.read_text()
    assert "with_for_update" in text[text.index("def report") : text.index("db.add(")]
    assert autolock.check([path], cache=False).findings == ()


TOLD = {
    "the row is loaded after the change": f"{REPORT}\ndb.flush()\nrate(db, hut_id)\ndb.commit()",
    "a statement writes it": f"""
        {REPORT}
        db.flush()
        db.execute(update(Hut).where(Hut.id == hut_id).values(stars=stars_of(db, hut_id)))
        db.commit()
        """,
}


@pytest.mark.parametrize("name", TOLD)
def test_a_lock_that_would_come_after_the_change_is_left_to_a_person(name: str, tmp_path: Path) -> None:
    """The new row shares the lock of the row that it refers to: two that then ask for all of it wait for each other."""
    path = written(tmp_path, TOLD[name])
    (finding,) = autolock.check([path], cache=False).findings
    assert finding.fix is not None
    assert finding.fix.safety.value == "none"
    assert "before any of the rows" in finding.fix.reason


def test_what_is_added_up_in_python_is_no_other(tmp_path: Path) -> None:
    look = "db.scalars(select(Report).where(Report.hut_id == hut_id)).all()"
    body = f"{LOCKED['by its key']}\n{REPORT}\ndb.flush()\nreports = {look}\n"
    path = written(tmp_path, f"{body}hut.stars = sum(r.stars for r in reports) / len(reports)\ndb.commit()")
    autolock.fix([path], apply=True, cache=False)
    assert "with_for_update" in path.read_text()
    latest = written(tmp_path, f"{body}hut.stars = reports[0].stars\ndb.commit()")
    assert autolock.check([latest], cache=False).findings == ()


SILENT = {
    "locked": f"""
        hut = db.get(Hut, hut_id, with_for_update=True)
        {REPORT}
        db.flush()
        hut.stars = stars_of(db, hut.id)
        """,
    "nothing of it was changed": "rate(db, hut_id)",
    "rows of others": f"""
        hut = db.get(Hut, hut_id)
        {REPORT}
        db.flush()
        hut.stars = db.scalar(select(func.avg(Report.stars)).where(Report.walker == walker))
        """,
}


@pytest.mark.parametrize("name", SILENT)
def test_what_nobody_can_leave_out_is_no_finding(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, textwrap.dedent(SILENT[name]) + "\ndb.commit()")
    assert autolock.check([path], cache=False).findings == ()
