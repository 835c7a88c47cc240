"""Rows that are changed through the row that they belong to: `gift.giver.coins -= gift.coins`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/fair"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Purse(Base):
    __tablename__ = "purses"
    id: Mapped[int] = mapped_column(primary_key=True)
    coins: Mapped[int]

class Gift(Base):
    __tablename__ = "gifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    giver_id: Mapped[int] = mapped_column(ForeignKey("purses.id"))
    taker_id: Mapped[int] = mapped_column(ForeignKey("purses.id"))
    coins: Mapped[int]
    giver: Mapped[Purse] = relationship(foreign_keys=[giver_id])
    taker: Mapped[Purse] = relationship(foreign_keys=[taker_id])

def session():
    with Sessions() as opened:
        yield opened

@app.post("/gifts/{id}")
def give(id: int, db: Session = Depends(session)):
    gift = db.get(Gift, id)
BODY
    db.commit()
"""
LOCK = '    db.refresh(gift.giver, attribute_names=["coins"], with_for_update=True)\n'


def fixed(folder: Path, body: str) -> tuple[str, str]:
    """The application after its fixes, and why what is left was not fixed."""
    main = folder / "main.py"
    main.write_text(APP.replace("BODY", body.rstrip()))
    report = autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    return main.read_text(), " ".join(f.fix.reason for f in report.findings if not f.fix.files)


@pytest.mark.parametrize(
    "body",
    [
        "    gift.giver.coins -= gift.coins\n",
        "    if gift.giver.coins < gift.coins:\n        raise HTTPException(402)\n    gift.giver.coins -= gift.coins\n",
    ],
    ids=["added", "checked"],
)
def test_it_is_locked_by_the_name_that_it_has_there(body: str, tmp_path: Path) -> None:
    after, _ = fixed(tmp_path, body)
    assert LOCK + body in after
    assert not autolock.check([tmp_path], cache=False).findings


REFUSED = {
    "two of one table": (
        "    gift.giver.coins -= gift.coins\n    gift.taker.coins += gift.coins\n",
        "several rows of one table change together",
    ),
    "perhaps none": (
        "    if gift.giver and gift.giver.coins > gift.coins:\n        gift.giver.coins -= gift.coins\n",
        "`gift.giver` may be None",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_is_left_where_a_lock_would_be_wrong(body: str, reason: str, tmp_path: Path) -> None:
    after, reasons = fixed(tmp_path, body)
    assert after == APP.replace("BODY", body.rstrip())
    assert reason in reasons
