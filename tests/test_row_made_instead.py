"""A new row stands for one that was not found, and is added where the two ways have met again."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql://db/library"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Reader(Base):
    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    card: Mapped[str] = mapped_column(unique=True)
    street: Mapped[str]

def session():
    with Sessions() as opened:
        yield opened

def keep(db, reader):
    db.add(reader)
    db.flush()

@app.put("/readers/{card}")
def register(card: str, street: str, db: Session = Depends(session)):
"""

LOOK = "db.scalar(select(Reader).where(Reader.card == card))"

RACY = {
    "a test": f"""
        reader = {LOOK}
        if reader is None:
            reader = Reader(card=card)
        reader.street = street
        db.add(reader)
        db.commit()
        """,
    "an or": f"""
        reader = {LOOK} or Reader(card=card)
        reader.street = street
        db.add(reader)
        db.commit()
        """,
    "an else": f"""
        reader = {LOOK}
        if reader:
            reader.street = street
        else:
            reader = Reader(card=card, street=street)
        db.add(reader)
        db.commit()
        """,
    "a helper": f"""
        reader = {LOOK}
        if reader is None:
            reader = Reader(card=card)
        reader.street = street
        keep(db, reader)
        db.commit()
        """,
    "a list": f"""
        new = []
        if {LOOK} is None:
            new.append(Reader(card=card, street=street))
        db.add_all(new)
        db.commit()
        """,
}

HARMLESS = {
    "expected": f"""
        reader = {LOOK} or Reader(card=card)
        reader.street = street
        db.add(reader)
        try:
            db.commit()
        except IntegrityError:
            raise HTTPException(409)
        """,
    "another one": f"""
        reader = {LOOK}
        if reader is None:
            reader = Reader(card="guest-" + card)
        print(reader.street)
        """,
    "added to nothing": f"""
        reader = {LOOK}
        if reader is None:
            reader = Reader(card=card)
        reader.street = street
        db.commit()
        """,
}


def findings(folder: Path, body: str) -> tuple[autolock.findings.Finding, ...]:
    (folder / "main.py").write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
    return autolock.check([folder], cache=False).findings


@pytest.mark.parametrize("body", RACY.values(), ids=list(RACY))
def test_two_requests_add_a_new_row_for_the_same_one(tmp_path: Path, body: str) -> None:
    (finding,) = findings(tmp_path, body)
    assert finding.rule == "AL203"
    assert not finding.fix.files  # the loser's values would be thrown away with its row


@pytest.mark.parametrize("body", HARMLESS.values(), ids=list(HARMLESS))
def test_nothing_is_added_twice(tmp_path: Path, body: str) -> None:
    assert findings(tmp_path, body) == ()


def test_what_was_set_after_the_two_ways_met_is_known_of_the_new_row(tmp_path: Path) -> None:
    body = f"""
        reader = {LOOK}
        if reader is None:
            reader = Reader()
        reader.card = card
        reader.street = street
        db.add(reader)
        db.commit()
        """
    (finding,) = findings(tmp_path, body)
    assert "the unique constraint on `card`" in finding.message
