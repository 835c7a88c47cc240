"""Races on rows are found and answered however they are written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

MODELS = """
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(50), unique=True)
    points: Mapped[int] = mapped_column(default=0)
"""
HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from models import Member

engine = create_async_engine("postgresql+asyncpg://localhost/club")
Session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

async def opened():
    async with Session() as session:
        yield session

async def begun():
    async with Session() as session, session.begin():
        yield session

async def committed():
    async with Session() as session:
        try:
            yield session
            await session.commit()
        except Exception:
            await session.rollback()
            raise
"""
SPEND = """
@app.post("/spend/{member_id}")
async def spend(member_id: int, points: int, session=Depends(opened)):
    member = await session.get(Member, member_id)
    if member.points < points:
        raise HTTPException(409)
    CHANGE
    await session.commit()
"""
JOIN = """
@app.post("/join")
async def join(email: str, session=Depends(opened)):
    LOOK
        raise HTTPException(409, "taken")
    member = Member(email=email)
    session.add(member)
    await session.commit()
"""
JOIN_ELSEWHERE = """
@app.post("/join")
async def join(email: str, session=Depends(PROVIDER)):
    if await session.scalar(select(Member).where(Member.email == email)):
        raise HTTPException(409, "taken")
    member = Member(email=email)
    session.add(member)
    return {"email": email}
"""


def fixed(folder: Path, source: str) -> tuple[set[str], str]:
    """The rules of what is found, and the handler as it is after the safe fixes."""
    (folder / "models.py").write_text(MODELS)
    (folder / "main.py").write_text(HEAD + source)
    rules = {f.rule for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"}
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert autolock.check([folder], cache=False).findings == ()
    return rules, (folder / "main.py").read_text().partition("@app.post")[2]


@pytest.mark.parametrize(
    "change",
    [
        "await session.merge(Member(id=member.id, email=member.email, points=member.points - points))",
        "for key, value in {'points': member.points - points}.items():\n        setattr(member, key, value)",
    ],
)
def test_a_row_is_lost_however_it_is_changed(change: str, tmp_path: Path) -> None:
    rules, after = fixed(tmp_path, SPEND.replace("CHANGE", change))
    assert rules == {"AL202"}
    assert "with_for_update=True" in after


@pytest.mark.parametrize(
    "look",
    [
        "n = await session.scalar(select(func.count()).select_from(Member).where(Member.email == email))\n    if n:",
        "found = await session.scalar(select(Member).where(Member.email == email))\n"
        "    taken = found is not None\n    if taken:",
        "found = (await session.scalars(select(Member).where(Member.email == email))).all()\n    if len(found) > 0:",
    ],
)
def test_who_was_not_first_is_answered_however_the_name_was_looked_for(look: str, tmp_path: Path) -> None:
    rules, after = fixed(tmp_path, JOIN.replace("LOOK", look))
    assert rules == {"AL203"}
    assert after.count('raise HTTPException(409, "taken")') == 2


@pytest.mark.parametrize("provider", ["begun", "committed"])
def test_a_row_that_a_dependency_commits_is_sent_where_it_is_added(provider: str, tmp_path: Path) -> None:
    rules, after = fixed(tmp_path, JOIN_ELSEWHERE.replace("PROVIDER", provider))
    assert rules == {"AL203"}
    sent = """
        try:
            session.add(member)
            await session.flush()
        except IntegrityError as error:
            raise HTTPException(409, "taken") from error
    """
    assert textwrap.indent(textwrap.dedent(sent).strip(), "    ") in after


@pytest.mark.parametrize(
    "source",
    [
        JOIN_ELSEWHERE.replace("    return", "    member.points = 5\n    return"),
        JOIN_ELSEWHERE.replace(
            "    member = ", "    try:\n        await welcome(email)\n    except OSError:\n        pass\n    member = "
        ),
    ],
)
def test_what_is_given_more_after_it_was_added_is_not_sent_before(source: str, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "main.py").write_text(HEAD + source.replace("PROVIDER", "begun"))
    report = autolock.fix([tmp_path], cache=False)
    more = "points = 5" in source
    assert bool(report.rewrites) is not more
