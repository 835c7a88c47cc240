"""A row lock is not kept over a call to somebody else without a person agreeing to it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.findings import Safety

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import smtplib
import subprocess
import time
import httpx
import requests
from fastapi import Depends, FastAPI, HTTPException, UploadFile
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from llm import client

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/club"), expire_on_commit=False)
Local = sessionmaker(create_engine("postgresql://db/club"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    seats: Mapped[int]

async def session():
    async with Sessions() as opened:
        yield opened

def local():
    with Local() as opened:
        yield opened

async def ask(name):
    async with httpx.AsyncClient() as http:
        return await http.get(name)

async def plain(name):
    return name.upper()
"""

BOOK = """
@app.post("/{id}")
async def book(id: int, db: AsyncSession = Depends(session)):
    %s
    club = (await db.execute(select(Club).where(Club.id == id))).scalar_one()
    if club.seats < 1:
        %s
        raise HTTPException(409)
    %s
    club.seats = club.seats - 1 if club.state == "open" else club.seats
    await db.commit()
    %s
    return club.id
"""

BOOK_SYNC = """
@app.post("/{id}")
def book(id: int, db: Session = Depends(local)):
    club = db.execute(select(Club).where(Club.id == id)).scalar_one()
    if club.seats < 1:
        raise HTTPException(409)
    %s
    club.seats = club.seats - 1 if club.state == "open" else club.seats
    db.commit()
    return club.id
"""

SERVICES = {
    "a request by a helper": 'await ask("x")',
    "a client of which nothing is known": 'await client.complete("x")',
    "a pause": "await asyncio.sleep(1)",
    "several at once": 'await asyncio.gather(ask("x"), ask("y"))',
    "what may never answer": 'await asyncio.wait_for(ask("x"), 5)',
    "a program": 'await asyncio.create_subprocess_exec("ls")',
    "a stream": 'async for part in client.stream("x"): print(part)',
}

SYNC_SERVICES = {
    "requests": 'requests.post("x")',
    "a client": 'httpx.Client().post("x")',
    "a program": 'subprocess.run(["ls"])',
    "mail": 'smtplib.SMTP("x").send_message("x")',
    "a pause": "time.sleep(1)",
}

QUICK = {
    "a helper that waits for nothing": 'await plain("x")',
    "a turn of the loop": "await asyncio.sleep(0)",
    "another look": "await db.execute(select(Club.id))",
}


def fix_of(folder: Path, text: str) -> autolock.findings.Fix:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    found = [f for f in autolock.check([folder], cache=False).findings if f.rule == "AL202"]
    assert len(found) == 1
    assert found[0].fix is not None
    return found[0].fix


@pytest.mark.parametrize("name", SERVICES)
def test_a_lock_over_a_call_to_somebody_else_is_unsafe(name: str, tmp_path: Path) -> None:
    fix = fix_of(tmp_path, BOOK % ("pass", "pass", SERVICES[name], "pass"))
    assert fix.safety is Safety.UNSAFE
    assert "before the commit" in fix.reason


@pytest.mark.parametrize("name", SYNC_SERVICES)
def test_so_it_is_in_a_thread(name: str, tmp_path: Path) -> None:
    assert fix_of(tmp_path, BOOK_SYNC % SYNC_SERVICES[name]).safety is Safety.UNSAFE


@pytest.mark.parametrize("name", QUICK)
def test_a_lock_over_the_own_work_is_safe(name: str, tmp_path: Path) -> None:
    assert fix_of(tmp_path, BOOK % ("pass", "pass", QUICK[name], "pass")).safety is Safety.SAFE


@pytest.mark.parametrize("place", [0, 3])
def test_what_is_asked_before_the_look_or_after_the_commit_does_not_matter(place: int, tmp_path: Path) -> None:
    parts = ["pass"] * 4
    parts[place] = 'await ask("x")'
    assert fix_of(tmp_path, BOOK % tuple(parts)).safety is Safety.SAFE


def test_what_is_asked_on_the_way_out_matters_too(tmp_path: Path) -> None:
    fix = fix_of(tmp_path, BOOK % ("pass", 'await ask("x")', "pass", "pass"))
    assert fix.safety is Safety.UNSAFE


def test_a_helper_that_was_followed_before_is_known_to_ask(tmp_path: Path) -> None:
    text = """
    @app.get("/warm")
    async def warm():
        return await ask("x")
    """ + textwrap.indent(BOOK % ("pass", "pass", 'await ask("x")', "pass"), "    ")
    assert fix_of(tmp_path, text).safety is Safety.UNSAFE


PENDING = """
def touch(club: Club, seats: int):
    club.seats = seats

async def current(id: int, db: AsyncSession = Depends(session)) -> Club:
    return (await db.execute(select(Club).where(Club.id == id))).scalar_one()

@app.get("/{id}")
async def show(club: Club = Depends(current)):
    return club.seats

@app.post("/{id}")
async def book(seats: int, club: Club = Depends(current), db: AsyncSession = Depends(session)):
    %s
    if club.seats < 1:
        raise HTTPException(409)
    club.seats = club.seats - 1 if club.state == "open" else club.seats
    await db.commit()
"""


@pytest.mark.parametrize(("before", "safety"), [("pass", Safety.SAFE), ("touch(club, seats)", Safety.NONE)])
def test_a_refresh_does_not_take_back_what_a_helper_has_assigned(before: str, safety: Safety, tmp_path: Path) -> None:
    assert fix_of(tmp_path, PENDING % before).safety is safety
