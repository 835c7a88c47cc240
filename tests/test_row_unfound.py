"""Looks that raise where there is no row, and sums that a new row is weighed by."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/club"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

class Payment(Base):
    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    member: Mapped[int]
    cents: Mapped[int]

def session():
    with Sessions() as opened:
        yield opened

@app.post("/do")
def do(name: str, member: int, cents: int, db: Session = Depends(session)):
"""
LOOK = "member_of = db.scalars(select(Member).where(Member.name == name)).one()"


def findings(folder: Path, body: str) -> tuple[autolock.findings.Finding, ...]:
    """What is found in an endpoint with this body."""
    text = HEAD + textwrap.indent(textwrap.dedent(body) + "db.commit()\n", "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    return autolock.check([folder], cache=False).findings


UNFOUND = {
    "made in the handler": f"""
        try:
            {LOOK}
        except NoResultFound:
            db.add(Member(name=name))
        """,
    "refused in the else": f"""
        try:
            {LOOK}
        except NoResultFound:
            pass
        else:
            raise HTTPException(409)
        db.add(Member(name=name))
        """,
}
FOUND = {
    "left where there is none": f"""
        try:
            {LOOK}
        except NoResultFound:
            raise HTTPException(404)
        db.add(Payment(member=member_of.id, cents=cents))
        """,
    "another one is made": f"""
        try:
            {LOOK}
        except NoResultFound:
            db.add(Payment(member=member, cents=cents))
        """,
    "refused by the database, too": f"""
        try:
            {LOOK}
        except NoResultFound:
            try:
                db.add(Member(name=name))
                db.flush()
            except IntegrityError:
                raise HTTPException(409)
        """,
}


@pytest.mark.parametrize("body", UNFOUND.values(), ids=UNFOUND)
def test_two_requests_are_told_that_there_is_none(tmp_path: Path, body: str) -> None:
    (finding,) = findings(tmp_path, body)
    assert finding.rule == "AL203"
    assert "the unique constraint on `name`" in finding.message


@pytest.mark.parametrize("body", FOUND.values(), ids=FOUND)
def test_a_look_that_raises_and_leads_to_no_such_row_is_no_finding(tmp_path: Path, body: str) -> None:
    assert findings(tmp_path, body) == ()


OWN = "Payment.member == member"
WEIGHED = {
    "in the database": f"total = db.scalar(select(func.sum(Payment.cents)).where({OWN}))\nif total + cents < 0:\n",
    "in Python": f"rows = db.scalars(select(Payment).where({OWN})).all()\nif sum(r.cents for r in rows) + cents < 0:\n",
}


@pytest.mark.parametrize("check", WEIGHED.values(), ids=WEIGHED)
def test_nobody_is_told_to_allow_one_payment_of_each_member(tmp_path: Path, check: str) -> None:
    body = f"{check}    raise HTTPException(409)\ndb.add(Payment(member=member, cents=cents))\n"
    (finding,) = findings(tmp_path, body)
    assert "counts rows of `Payment`" in finding.message
    assert "lock the parent row" in finding.fix.reason
