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


LOADED = {
    "a query that is locked": """
        def load(db: Session, id: int, *, for_update: bool = False):
            query = select(Wallet).where(Wallet.id == id)
            if for_update:
                query = query.with_for_update()
            return db.execute(query).scalar_one_or_none()
    """,
    "a look that locks": """
        def load(db: Session, id: int, *, for_update: bool = False):
            if for_update:
                return db.get(Wallet, id, with_for_update=True)
            return db.get(Wallet, id)
    """,
}


@pytest.mark.parametrize("load", LOADED)
def test_who_says_when_to_lock_has_not_lost_the_lock(tmp_path: Path, load: str) -> None:
    handler = """
        def found_wallet(db: Session, id: int, *, for_update: bool = False):
            found = load(db, id, for_update=for_update)
            if found is None:
                raise HTTPException(404)
            return found

        @app.api_route("/wallets/{id}", methods=["GET", "POST"])
        def edit(request: Request, id: int, amount: int, db: Session = Depends(session)):
            found = found_wallet(db, id, for_update=request.method == "POST")
            if request.method == "POST":
                found.balance -= amount
                db.commit()
            return found.balance
    """
    head = WALLETS[: WALLETS.index("def wallet(")].replace("import Depends", "import Depends, Request")
    (tmp_path / "main.py").write_text(head + textwrap.dedent(LOADED[load]) + textwrap.dedent(handler), encoding="utf-8")
    rules = {f.rule for f in autolock.check([tmp_path], cache=False).findings}
    assert "AL204" not in rules
    assert load != "a query that is locked" or not rules
