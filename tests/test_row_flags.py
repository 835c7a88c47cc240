"""Checks whose outcome a flag or a list of errors carries, checks with details, and what only newer values replace."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql+psycopg://localhost/shop"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Badge(Base):
    __tablename__ = "badges"
    id: Mapped[int] = mapped_column(primary_key=True)
    guest: Mapped[str]
    state: Mapped[str]
    rank: Mapped[int]
    seen: Mapped[datetime]
    door: Mapped[str]

def get_session():
    with SessionLocal() as session:
        yield session

@app.post("/badges/{guest}")
def enter(guest: str, rank: int, seen: datetime, door: str, session: Session = Depends(get_session)):
    badge = session.query(Badge).filter(Badge.guest == guest).first()
"""
NEW = "session.add(Badge(guest=guest, state='new', rank=rank))\nsession.commit()\n"


def races(tmp_path: Path, body: str) -> list[str]:
    text = "from datetime import datetime\n" + APP + textwrap.indent(body, "    ")
    (tmp_path / "app.py").write_text(text)
    return [f.rule for f in autolock.check([tmp_path]).findings if f.certainty.value == "race"]


@pytest.mark.parametrize(
    "check",
    [
        "errors = []\nif badge:\n    errors.append('taken')\nif errors:\n    raise HTTPException(409, errors)\n",
        "taken = False\nif badge:\n    taken = True\nif taken:\n    raise HTTPException(409)\n",
        "free = True\nif badge is not None:\n    free = False\nif not free:\n    raise HTTPException(409)\n",
        "if badge and badge.state == 'valid':\n    raise HTTPException(409)\n",
        "if badge is not None and not badge.rank:\n    raise HTTPException(409)\n",
    ],
    ids=["errors", "taken", "free", "valid", "no rank"],
)
def test_a_new_row_follows_from_a_check(tmp_path: Path, check: str) -> None:
    assert races(tmp_path, check + NEW) == ["AL203"]


@pytest.mark.parametrize(
    "check",
    [
        "errors = []\nif not badge:\n    errors.append('unknown')\nif errors:\n    raise HTTPException(409, errors)\n",
        "known = False\nif badge:\n    known = True\nif not known:\n    raise HTTPException(409)\n",
        "errors = []\nif rank < 1:\n    errors.append('no rank')\nif errors:\n    raise HTTPException(409, errors)\n",
    ],
    ids=["must be there", "must be known", "about something else"],
)
def test_a_new_row_does_not_follow_from_what_must_be_there(tmp_path: Path, check: str) -> None:
    assert races(tmp_path, check + NEW) == []


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("if badge.rank < rank:\n    badge.rank = rank\n    session.commit()\n", ["AL202"]),
        (
            "if badge.seen.replace(tzinfo=None) < seen:\n"
            "    badge.seen = seen\n    badge.door = door\n    session.commit()\n",
            ["AL202"],
        ),
        ("if badge.seen < seen:\n    badge.seen = seen\n    session.commit()\n", []),
    ],
    ids=["the best", "where it was seen last", "when it was seen last"],
)
def test_what_only_a_newer_value_may_replace(tmp_path: Path, change: str, rules: list[str]) -> None:
    assert races(tmp_path, change) == rules
