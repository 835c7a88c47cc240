"""Rows that are locked in one branch: where the database has such locks, or where the caller wants one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

WALLETS = """
import os
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

URL = os.environ["DATABASE_URL"]
_IS_SQLITE = URL.startswith("sqlite")
Sessions = sessionmaker(create_engine(URL))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Wallet(Base):
    __tablename__ = "wallets"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]

def session():
    with Sessions() as opened:
        yield opened

def wallet(db: Session, id: int, row_lock: bool):
    query = select(Wallet).where(Wallet.id == id)
    if TEST:
        query = query.with_for_update()
    return db.execute(query).scalar_one_or_none()

@app.post("/{id}")
def spend(id: int, amount: int, lock: bool, db: Session = Depends(session)):
    found = wallet(db, id, lock)
    if found is None or found.balance < amount:
        raise HTTPException(409)
    found.balance -= amount
    db.commit()
"""


@pytest.mark.parametrize(
    ("test", "racy"),
    [
        ("not _IS_SQLITE", False),
        ("db.bind.dialect.name != 'sqlite'", False),
        ("row_lock", True),
        ("os.environ.get('CAREFUL')", True),
    ],
)
def test_a_lock_where_the_database_has_locks_is_one(tmp_path: Path, test: str, racy: bool) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(WALLETS).replace("TEST", test), encoding="utf-8")
    rules = {f.rule for f in autolock.check([tmp_path], cache=False).findings}
    assert ("AL202" in rules) is racy
