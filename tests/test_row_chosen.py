"""Rows that one UPDATE chooses in a SELECT of its own: two of them at once choose the same ones."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("DATABASE://depot/parcels"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Parcel(Base):
    __tablename__ = "parcels"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    weight: Mapped[int]

def session():
    with Sessions() as opened:
        yield opened

@app.post("/parcels/next")
def take(db: Session = Depends(session)):
"""


def findings(folder: Path, body: str, database: str = "postgresql") -> tuple[autolock.findings.Finding, ...]:
    """What is found in an endpoint with this body."""
    text = HEAD.replace("DATABASE", database) + textwrap.indent(textwrap.dedent(body), "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    return autolock.check([folder], cache=False).findings


def sql(statement: str) -> str:
    return f'taken = db.execute(text("{statement}")).scalar()\ndb.commit()\nreturn taken\n'


RACY = {
    "in": """
        free = select(Parcel.id).where(Parcel.state == "ready").order_by(Parcel.weight).limit(1)
        taken = db.scalar(update(Parcel).where(Parcel.id.in_(free)).values(state="sent").returning(Parcel.id))
        db.commit()
        return taken
        """,
    "scalar subquery": """
        free = select(Parcel.id).where(Parcel.state == "ready").order_by(Parcel.weight).limit(1).scalar_subquery()
        taken = db.scalar(update(Parcel).where(Parcel.id == free).values(state="sent").returning(Parcel.id))
        db.commit()
        return taken
        """,
    "under a name": """
        free = select(Parcel.id).where(Parcel.state == "ready").order_by(Parcel.weight).limit(1).cte()
        changed = update(Parcel).where(Parcel.id.in_(select(free.c.id))).values(state="sent").returning(Parcel.id)
        taken = db.scalar(changed)
        db.commit()
        return taken
        """,
    "as the class": """
        free = select(Parcel).where(Parcel.state == "ready").order_by(Parcel.weight).limit(1).cte()
        some = aliased(Parcel, free)
        taken = db.scalars(update(Parcel).where(Parcel.id == some.id).values(state="sent").returning(Parcel)).all()
        db.commit()
        return taken
        """,
    "text": sql(
        "UPDATE parcels SET state = 'sent' WHERE id = (SELECT id FROM parcels WHERE state = 'ready' "
        "ORDER BY weight LIMIT 1) RETURNING id"
    ),
    "text of either state": sql(
        "UPDATE parcels SET state = 'sent' WHERE id = ANY(ARRAY(SELECT id FROM parcels WHERE state = 'ready' "
        "OR state = 'back' ORDER BY weight LIMIT 1)) RETURNING id"
    ),
    "text under a name": sql(
        "WITH free AS (SELECT id FROM parcels WHERE state = 'ready' ORDER BY weight LIMIT 1) "
        "UPDATE parcels SET state = 'sent' FROM free WHERE parcels.id = free.id RETURNING parcels.id"
    ),
}

HARMLESS = {
    "locked": """
        free = select(Parcel.id).where(Parcel.state == "ready").limit(1).with_for_update(skip_locked=True)
        taken = db.scalar(update(Parcel).where(Parcel.id.in_(free)).values(state="sent").returning(Parcel.id))
        db.commit()
        return taken
        """,
    "asked again": """
        free = select(Parcel.id).where(Parcel.state == "ready").limit(1)
        chosen = update(Parcel).where(Parcel.id.in_(free), Parcel.state == "ready")
        taken = db.scalar(chosen.values(state="sent").returning(Parcel.id))
        db.commit()
        return taken
        """,
    "of nobody": """
        free = select(Parcel.id).where(Parcel.state == "ready").limit(1)
        db.execute(update(Parcel).where(Parcel.id.in_(free)).values(state="old"))
        db.commit()
        """,
    "of another column": """
        free = select(Parcel.id).where(Parcel.state == "ready").limit(1)
        weighed = db.scalar(update(Parcel).where(Parcel.id.in_(free)).values(weight=0).returning(Parcel.id))
        db.commit()
        return weighed
        """,
    "locked, behind a look whether there is any": """
        waiting = db.scalar(select(func.count()).select_from(Parcel).where(Parcel.state == "ready"))
        if not waiting:
            return None
        free = select(Parcel.id).where(Parcel.state == "ready").limit(1).with_for_update(skip_locked=True)
        taken = db.scalar(
            update(Parcel).where(Parcel.id == free.scalar_subquery()).values(state="sent").returning(Parcel.id)
        )
        db.commit()
        return taken
        """,
    "text, locked": sql(
        "UPDATE parcels SET state = 'sent' WHERE id = (SELECT id FROM parcels WHERE state = 'ready' "
        "ORDER BY weight LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"
    ),
    "text that deletes": sql(
        "DELETE FROM parcels WHERE id = (SELECT id FROM parcels WHERE state = 'ready' LIMIT 1) RETURNING id"
    ),
}


@pytest.mark.parametrize("body", RACY.values(), ids=list(RACY))
def test_two_requests_get_the_rows_that_an_update_chooses(tmp_path: Path, body: str) -> None:
    assert [f.rule for f in findings(tmp_path, body)] == ["AL207"]


@pytest.mark.parametrize("body", HARMLESS.values(), ids=list(HARMLESS))
def test_each_request_gets_rows_of_its_own(tmp_path: Path, body: str) -> None:
    assert findings(tmp_path, body) == ()


def test_one_update_of_sqlite_runs_alone(tmp_path: Path) -> None:
    assert findings(tmp_path, RACY["in"], "sqlite") == ()


def test_the_select_inside_skips_what_another_has_chosen(tmp_path: Path) -> None:
    findings(tmp_path, RACY["scalar subquery"])
    autolock.fix([tmp_path], cache=False, apply=True)
    fixed = (tmp_path / "main.py").read_text(encoding="utf-8")
    assert ".with_for_update(skip_locked=True).scalar_subquery()" in "".join(fixed.split())
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_text_is_not_changed_but_told_how(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, RACY["text"])
    assert not finding.fix.files
    assert "FOR UPDATE SKIP LOCKED" in finding.fix.reason
