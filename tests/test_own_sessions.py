"""A task that goes on after the request opens a session of its own, where its function is there for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/news"), expire_on_commit=False)
app = FastAPI()
running = set()

class Base(DeclarativeBase):
    pass

class View(Base):
    __tablename__ = "views"
    id: Mapped[int] = mapped_column(primary_key=True)
    page: Mapped[int]

async def get_session():
    async with Sessions() as session:
        OPENED
        yield session

async def record(session: AsyncSession, page: int) -> None:
    'Count a view.'
    session.add(View(page=page))
    await session.commit()

@app.get("/{page}")
async def show(page: int, background: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    BEFORE
    task = START
    AFTER
    running.add(task)
    return page

MORE
"""
START = "asyncio.create_task(record(session, page))"


def fixed(folder: Path, **parts: str) -> str:
    """The application after its safe fixes, of which a second run changes nothing."""
    given = {"OPENED": "pass", "BEFORE": "pass", "START": START, "AFTER": "pass", "MORE": "", **parts}
    text = APP
    for name, code in given.items():
        text = text.replace(name, code)
    main = folder / "main.py"
    main.write_text(text)
    assert "AL303" in {f.rule for f in autolock.check([folder], cache=False).findings}
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once


@pytest.mark.parametrize("start", [START, "asyncio.ensure_future(record(page=page, session=session))"])
def test_the_function_opens_a_session_and_is_given_none(tmp_path: Path, start: str) -> None:
    after = fixed(tmp_path, START=start)
    function = after[after.index("async def record") : after.index("@app.get")]
    assert [line.strip() for line in function.splitlines() if line] == [
        "async def record(page: int) -> None:",
        "'Count a view.'",
        "async with Sessions() as session:",
        "session.add(View(page=page))",
        "await session.commit()",
    ]
    assert "record(page" in after
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_what_is_committed_before_the_start_does_not_matter(tmp_path: Path) -> None:
    after = fixed(tmp_path, BEFORE="session.add(View(page=1))\n    await session.commit()")
    assert "async def record(page: int)" in after


@pytest.mark.parametrize(
    "parts",
    [
        # The request closes its session after a background task, whatever session that has.
        {"START": "background.add_task(record, session, page)"},
        # Others call it with a session of theirs.
        {"MORE": "async def twice(session: AsyncSession):\n    await record(session, 1)\n"},
        {"MORE": "app.post('/record')(record)\n"},
        # It may be about what is not committed yet.
        {"BEFORE": "session.add(View(page=1))", "AFTER": "await session.commit()"},
        # Who gives the session has prepared it.
        {"OPENED": "await session.execute(select_tenant)"},
    ],
)
def test_a_session_that_the_task_needs_is_left_to_it(tmp_path: Path, parts: dict[str, str]) -> None:
    assert "async def record(session: AsyncSession, page: int)" in fixed(tmp_path, **parts)
