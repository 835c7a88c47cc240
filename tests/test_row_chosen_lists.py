"""Rows of a result that `list`, `tuple` or `sorted` makes a list of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/farm"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

async def get_session():
    async with Sessions() as session:
        yield session

@app.post("/claim")
async def claim(count: int, session: AsyncSession = Depends(get_session)):
    query = select(Job).where(Job.state == "new").order_by(Job.id).limit(count)
    jobs = ROWS
    for job in jobs:
        job.state = "taken"
    await session.commit()
    return [job.id for job in jobs]
"""


@pytest.mark.parametrize(
    "rows",
    [
        "list(await session.scalars(query))",
        "tuple(await session.scalars(query))",
        "sorted(await session.scalars(query), key=lambda job: job.id)",
        "list((await session.execute(query)).scalars())",
        "list((await session.scalars(query)).unique())",
    ],
)
def test_a_claim_of_listed_rows_is_told_and_locked(tmp_path: Path, rows: str) -> None:
    (tmp_path / "main.py").write_text(APP.replace("ROWS", rows))
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == ["claim"]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "with_for_update(skip_locked=True)" in (tmp_path / "main.py").read_text()


LATEST = (
    APP[: APP.index("@app.post")]
    + """
@app.post("/verify/{key}")
async def verify(key: int, given: str, session: AsyncSession = Depends(get_session)):
    query = select(Job).where(Job.state == "new", Job.id > key).order_by(Job.id.desc()).limit(1)
    job = (await session.scalars(query)).first()
    if job is None:
        return None
    CHECK
    job.state = "used"
    await session.commit()
    return job.id
"""
)


@pytest.mark.parametrize(("check", "skips"), [("pass", True), ("if str(job.id) != given:\n        return None", False)])
def test_a_row_is_passed_over_only_where_any_other_will_do(tmp_path: Path, check: str, skips: bool) -> None:
    (tmp_path / "main.py").write_text(LATEST.replace("CHECK", check))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text()
    assert "with_for_update(" in after
    assert ("skip_locked" in after) is skips


IDS = (
    APP[: APP.index("@app.post")].replace("import select", "import select, update")
    + """
@app.post("/claim")
async def claim(count: int, session: AsyncSession = Depends(get_session)):
    ids = (await session.scalars(select(Job.id).where(Job.state == "new")CHOICE)).all()
    await session.execute(update(Job).where(Job.id.in_(ids)AGAIN).values(state="taken"))
    await session.commit()
    return ids
"""
)


def test_ids_that_a_statement_then_changes_are_a_claim(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(IDS.replace("CHOICE", ".order_by(Job.id).limit(count)").replace("AGAIN", ""))
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == ["AL207"]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "with_for_update(skip_locked=True)" in (tmp_path / "main.py").read_text()
    assert not autolock.check([tmp_path], cache=False).findings


@pytest.mark.parametrize(
    ("choice", "again"), [("", ""), (".order_by(Job.id).limit(count)", ", Job.state == 'new'")], ids=["all", "again"]
)
def test_ids_of_all_and_of_those_that_are_still_such_are_no_claim(tmp_path: Path, choice: str, again: str) -> None:
    (tmp_path / "main.py").write_text(IDS.replace("CHOICE", choice).replace("AGAIN", again))
    assert not autolock.check([tmp_path], cache=False).findings
