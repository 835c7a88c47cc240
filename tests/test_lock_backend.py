"""`--lock-backend postgres`: an advisory lock where the rows of a check are not there to be locked."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fixture_runner import HELD, JUDGE_ONLY, database_fixtures, play_with_database

import autolock
from autolock.errors import AutolockError

if TYPE_CHECKING:
    from pathlib import Path

    from postgres import Postgres

    from autolock.findings import Fix

NUMBERS = next(fixture for fixture in database_fixtures() if fixture.name == "check-then-insert-no-constraint")


def test_the_fix_ends_the_race_in_whatever_process(tmp_path: Path, postgres: Postgres) -> None:
    copy = tmp_path / "app"
    shutil.copytree(NUMBERS.before, copy, ignore=JUDGE_ONLY)
    (rewrite,) = autolock.fix([copy], apply=True, lock_backend="postgres").rewrites
    assert "advisory lock" in rewrite.title
    for kind in ("works", "race"):
        for part in NUMBERS.parts(kind):
            outcome = play_with_database(NUMBERS, copy, part, postgres)
            assert outcome.code == HELD, outcome.output
    assert autolock.fix([copy], lock_backend="postgres").rewrites == ()
    assert autolock.check([copy], certainty="race").findings == ()


def test_nobody_gets_one_who_has_not_asked(tmp_path: Path) -> None:
    shutil.copytree(NUMBERS.before, tmp_path / "app", ignore=JUDGE_ONLY)
    assert autolock.fix([tmp_path / "app"]).rewrites == ()
    (tmp_path / "app" / "autolock.toml").write_text('lock-backend = "postgres"\n', encoding="utf-8")
    assert len(autolock.fix([tmp_path / "app"]).rewrites) == 1


HEAD = """\
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

app = FastAPI()
sessions = async_sessionmaker(create_async_engine("URL"OPTIONS))


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int]
    holder: Mapped[str]


class Visit(Base):
    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)


async def get_session():
    async with sessions() as session:
        yield session


@app.post("/tickets/{holder}")
async def buy(holder: str, session: AsyncSession = Depends(get_session)):
"""
BUY = """\
    sold = await session.scalar(select(func.count()).select_from(Ticket))
    if sold >= 100:
        raise HTTPException(409)
    session.add(Ticket(place=sold, holder=holder))
    await session.commit()
"""
PARTED = BUY.replace("    session.add", "    await session.commit()\n    session.add")


def fix_of(folder: Path, body: str, url: str = "postgresql+asyncpg://db/fair", options: str = "") -> Fix:
    source = HEAD.replace("URL", url).replace("OPTIONS", options) + body
    (folder / "main.py").write_text(source, encoding="utf-8")
    report = autolock.check([folder], select=["AL203"], certainty="race", cache=False, lock_backend="postgres")
    (finding,) = report.findings
    return finding.fix


def test_a_count_below_a_limit_is_made_by_one_at_a_time(tmp_path: Path) -> None:
    fix = fix_of(tmp_path, BUY)
    assert fix.safety.value == "safe"
    (rewrite,) = autolock.fix([tmp_path], cache=False, lock_backend="postgres").rewrites
    after = rewrite.changes[0].after.decode()
    assert (
        '    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("tickets"))))\n    sold = await'
    ) in after


@pytest.mark.parametrize(
    ("body", "url", "options", "safety"),
    [
        ("    session.add(Visit())\n    await session.flush()\n" + BUY, "postgresql+asyncpg://db/fair", "", "unsafe"),
        (BUY, "sqlite+aiosqlite:///fair.db", "", "none"),
        (PARTED, "postgresql+asyncpg://db/fair", "", "none"),
        (BUY, "postgresql+asyncpg://db/fair", ', isolation_level="REPEATABLE READ"', "none"),
    ],
)
def test_where_it_may_wait_for_another_or_does_not_hold(
    tmp_path: Path, body: str, url: str, options: str, safety: str
) -> None:
    assert fix_of(tmp_path, body, url, options).safety.value == safety


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    with pytest.raises(AutolockError, match='lock_backend must be postgres, not "zookeeper"'):
        autolock.check([tmp_path], lock_backend="zookeeper")
