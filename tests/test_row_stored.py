"""A check that answers with the row that is there: the same answer for who was not first to insert it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/pay"), expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]

class Receipt(Base):
    __tablename__ = "receipts"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    text: Mapped[str]

class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    receipt: Mapped[str] = mapped_column(ForeignKey("receipts.key"))

async def session():
    async with Sessions() as db:
        yield db

@app.post("/receipts/{key}")
async def pay(key: str, text: str, account: int, db: AsyncSession = Depends(session)):
    BEFORE
    receipt = LOOK
    if receipt is not None:
        ANSWER
    db.add(Line(receipt=key))
    db.add(Receipt(key=key, text=text))
    await db.commit()
    return {"text": text}
"""
LOOK = "await db.scalar(select(Receipt).where(Receipt.key == key))"


def fixed(folder: Path, before: str = "pass", look: str = LOOK, answer: str = 'return {"text": receipt.text}') -> str:
    """The handler after its safe fixes."""
    main = folder / "main.py"
    main.write_text(APP.replace("BEFORE", before).replace("LOOK", look).replace("ANSWER", answer))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once[once.index("async def pay") :]


def test_the_second_request_answers_with_what_the_first_has_stored(tmp_path: Path) -> None:
    after = fixed(tmp_path)
    handler = after[after.index("except IntegrityError") :]
    assert [line.strip() for line in handler.splitlines()[1:4]] == [
        "await db.rollback()",
        f"receipt = {LOOK}",
        'return {"text": receipt.text}',
    ]
    tried = after[after.index("try:") : after.index("except IntegrityError")]
    assert "db.add(Receipt(" in tried
    assert "await db.commit()" in tried


@pytest.mark.parametrize(
    "parts",
    [
        {"before": 'db.add(Account(owner="new"))'},
        {"answer": 'return {"text": receipt.text, "for": text}'},
        {"answer": "receipt.text = text\n        return None"},
        {
            "before": "owner = await db.get(Account, account)",
            "look": "await db.scalar(select(Receipt).where(Receipt.key == owner.owner))",
        },
    ],
    ids=["what was written before is kept", "more is told", "the row is changed", "the rollback forgets the key"],
)
def test_an_answer_that_takes_more_than_the_row_is_left_to_the_reader(parts: dict[str, str], tmp_path: Path) -> None:
    assert "rollback" not in fixed(tmp_path, **parts)
