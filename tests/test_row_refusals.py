"""Who is told that the database refuses a row, and when it would never refuse one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import Index, UniqueConstraint, exc, func, select, text
from sqlalchemy.exc import IntegrityError, IntegrityError as Taken
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/club"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base{bases}):
    __tablename__ = "clubs"
    {args}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    town: Mapped[str]
    slug: Mapped[str]

async def session():
    async with Sessions() as opened:
        yield opened
"""

FOUND = """
@app.post("/clubs")
async def found(name: str, town: str, slug: str, db: AsyncSession = Depends(session)):
    if await db.scalar(select(Club).where(Club.name == name, Club.town == town)) is not None:
        raise HTTPException(409, "there is one")
    db.add(Club(name=name, town=town, slug={slug}))
    try:
        await db.commit()
    except {caught} as error:
        {answer}
"""

ONE_NAME = '__table_args__ = (UniqueConstraint("name", "town"),)'


def findings(folder: Path, text: str, args: str = "pass", bases: str = "") -> list[autolock.findings.Finding]:
    head = HEAD.replace("{args}", args).replace("{bases}", bases)
    (folder / "main.py").write_text(head + textwrap.dedent(text), encoding="utf-8")
    return autolock.check([folder], cache=False).findings


def found(caught: str = "IntegrityError", answer: str = "raise HTTPException(409)", slug: str = "slug") -> str:
    return FOUND.format(caught=caught, answer=answer, slug=slug)


@pytest.mark.parametrize(
    ("caught", "answer", "expected"),
    [
        ("IntegrityError", "raise HTTPException(409)", []),
        ("Taken", "raise HTTPException(409)", []),
        ("(ValueError, exc.IntegrityError)", "return None", []),
        ("Taken", "raise", ["AL203"]),
        ("Taken", "raise error", ["AL203"]),
        ("Taken", 'if "uq" in str(error): raise HTTPException(409)\n        raise', []),
        ("ValueError", "raise HTTPException(409)", ["AL203"]),
    ],
)
def test_who_expects_a_refusal(caught: str, answer: str, expected: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, found(caught, answer), ONE_NAME)] == expected


@pytest.mark.parametrize(
    ("args", "slug", "bases", "racy"),
    [
        ("pass", "slug", "", True),
        ('__table_args__ = (UniqueConstraint("slug"),)', "slug", "", True),
        ('__table_args__ = (UniqueConstraint("slug"),)', "make_slug(name)", "", False),
        ('__table_args__ = (Index("one", "name", func.lower("town"), unique=True),)', "slug", "", False),
        ('__table_args__ = (Index("one", text("lower(name)"), unique=True),)', "slug", "", False),
        ("__table_args__ = constraints_of(Base)", "slug", "", False),
        ("pass", "slug", ", mixins.OneName", False),
    ],
)
def test_a_handler_of_refusals_that_no_constraint_makes(
    args: str, slug: str, bases: str, racy: bool, tmp_path: Path
) -> None:
    import_mixin = "import mixins" if bases else "make_slug = str.lower"
    found_ = findings(tmp_path, found(slug=slug) + import_mixin, args, bases)
    assert [f.rule for f in found_] == ["AL203"] * racy
    assert all("no unique constraint stops the duplicate" in f.message for f in found_)
    assert all("clubs (name, town)" in f.fix.reason for f in found_ if f.fix)


MIGRATION = """
from alembic import op
import sqlalchemy as sa

revision = "1"
down_revision = None

def upgrade():
    {}
"""


@pytest.mark.parametrize(
    ("operation", "racy"),
    [
        ('op.create_table("clubs", sa.Column("name", sa.String), sa.Column("slug", sa.String, unique=True))', True),
        ('op.create_unique_constraint("one", "towns", ["name"])', True),
        ('op.create_index("one", "clubs", ["name", sa.text("lower(town)")], unique=True)', False),
        ('op.create_index("one", "clubs", ["name"], unique=True, postgresql_where=sa.text("town = 1"))', False),
        ('op.execute("CREATE UNIQUE INDEX one ON clubs (lower(name))")', False),
        ('op.execute("CREATE UNIQUE INDEX one ON towns (lower(name))")', True),
        ('op.execute(f"CREATE UNIQUE INDEX one ON {table} (lower(name))")', False),
        ('make_unique(op.get_bind(), "clubs")', False),
        ("op.create_unique_constraint('one', table, ['name'])", False),
    ],
)
def test_migrations_may_make_it_unique(operation: str, racy: bool, tmp_path: Path) -> None:
    versions = tmp_path / "alembic" / "versions"
    versions.mkdir(parents=True)
    (versions / "one.py").write_text(MIGRATION.format(operation), encoding="utf-8")
    assert bool(findings(tmp_path, found())) is racy


COUNTED = """
async def is_there(name: str, db: AsyncSession):
    return (await db.scalar(select(func.count(Club.id)).where(Club.name == name)) or 0) {}

@app.post("/clubs")
async def found(name: str, db: AsyncSession = Depends(session)):
    if await is_there(name, db):
        raise HTTPException(409, "there is one")
    db.add(Club(name=name, town="", slug=""))
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409)
"""


@pytest.mark.parametrize(
    ("test", "racy"), [("> 0", False), (">= 1", False), ("!= 0", False), ("> 1", True), ("== 1", True), (">= 3", True)]
)
def test_to_count_up_to_one_is_to_look(test: str, racy: bool, tmp_path: Path) -> None:
    args = '__table_args__ = (UniqueConstraint("name"),)'
    assert bool(findings(tmp_path, COUNTED.format(test), args)) is racy


def test_the_first_row_of_all_is_guarded_by_no_key(tmp_path: Path) -> None:
    text = COUNTED.replace(".where(Club.name == name)", "").format("> 0")
    assert [f.rule for f in findings(tmp_path, text, '__table_args__ = (UniqueConstraint("name"),)')] == ["AL203"]


UNDONE = """
async def send(): ...

async def store(db, club):
    db.add(club)
    await db.commit()

async def forget(db, club):
    await db.delete(club)
    await db.commit()

@app.post("/clubs")
async def found(name: str, db: AsyncSession = Depends(session)):
    club = Club(name=name, town="", slug="")
    await store(db, club)
    try:
        await send()
    except {}:
        raise
    {}
"""


def test_what_a_handler_takes_back_is_no_second_half(tmp_path: Path) -> None:
    undone = UNDONE.format("Exception:\n        await forget(db, club)", "return None")
    assert "AL201" not in {f.rule for f in findings(tmp_path, undone)}


OTHER = """
@app.put("/clubs/{id}")
async def change(id: int, name: str, town: str, db: AsyncSession = Depends(session)):
    if await db.scalar(select(Club).where(Club.town == "A", Club.name == name)) is not None:
        raise HTTPException(409, "there is one")
    db.add(Club(name=name, town={town}, slug="x"))
    await db.commit()
"""


@pytest.mark.parametrize(("town", "racy"), [('"A"', True), ('"B"', False), ("town", True)])
def test_a_row_that_the_look_did_not_ask_for_is_no_second_one(town: str, racy: bool, tmp_path: Path) -> None:
    assert bool(findings(tmp_path, OTHER.replace("{town}", town))) is racy


AGREEING = """
async def charge(name: str): ...

@app.post("/clubs")
async def found(name: str, town: str, db: AsyncSession = Depends(session)):
    if await db.scalar(select(Club).where(Club.name == name)) is not None:
        raise HTTPException(409, "there is one")
    paid = await charge(name)
    db.add(Club(name=name, town=town, slug={slug}))
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409)
"""


@pytest.mark.parametrize(("slug", "racy"), [("paid.id", False), ("token_hex()", True), ("town", True)])
def test_another_unique_value_may_be_the_same_for_both(slug: str, racy: bool, tmp_path: Path) -> None:
    text = "from secrets import token_hex\n" + AGREEING.replace("{slug}", slug)
    assert bool(findings(tmp_path, text, '__table_args__ = (UniqueConstraint("slug"),)')) is racy


DETAILS = """
async def details(id: int, db: AsyncSession):
    club = await db.get(Club, id)
    return {{"name": club.name, "town": club.town}} if club else None

@app.post("/clubs/{{id}}/close")
async def close(id: int, db: AsyncSession = Depends(session)):
    there = await details(id, db)
    if {test}:
        raise HTTPException(404)
    (await db.get(Club, id)).town = "closed"
    await db.commit()

@app.post("/clubs/{{id}}/open")
async def open_(id: int, db: AsyncSession = Depends(session)):
    (await db.get(Club, id)).town = "open"
    await db.commit()
"""


@pytest.mark.parametrize(("test", "racy"), [("not there", False), ('there["town"] != "open"', True)])
def test_a_dictionary_of_what_a_row_says_is_there_or_not(test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(findings(tmp_path, DETAILS.format(test=test))) is racy


SEEN = """
import datetime

class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime.datetime]

class Visit(Base):
    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int]

@app.post("/members/{id}")
async def visit(id: int, db: AsyncSession = Depends(session)):
    member = await db.get(Member, id)
    member.seen_at = datetime.datetime.now()
    await db.commit()
    db.add(Visit(member_id=member.id))
    await db.commit()

@app.get("/members")
async def members(db: AsyncSession = Depends(session)):
    return (await db.scalars(select(Member).where(asked))).all()
"""


@pytest.mark.parametrize(
    ("asked", "racy"), [("Member.seen_at.is_(None)", True), ("Member.seen_at > datetime.datetime.min", False)]
)
def test_a_time_stamp_that_is_no_state_is_no_half_of_a_change(asked: str, racy: bool, tmp_path: Path) -> None:
    assert ("AL201" in {f.rule for f in findings(tmp_path, SEEN.replace("asked", asked))}) is racy


HANDED = """
import asyncio
from uuid import uuid4

async def dig(): ...

async def finish(db, slug, town):
    await db.execute(update(Club).where(Club.slug == slug).values(town=town))
    await db.commit()

async def work(slug):
    async with Sessions() as db:
        club = await db.scalar(select(Club).where(Club.slug == slug))
        if club is None or club.town != "digging":
            return
        try:
            await dig()
            await finish(db, slug, "done")
        except OSError:
            await finish(db, slug, "failed")

@app.post("/clubs")
async def start(slug: str, db: AsyncSession = Depends(session)):
    key = {key}
    db.add(Club(slug=key, town="digging", name="new"))
    await db.commit()
    asyncio.create_task(work(key))
"""

STOPPED = """
@app.delete("/clubs/{slug}")
async def stop(slug: str, db: AsyncSession = Depends(session)):
    await finish(db, slug, "stopped")
"""


@pytest.mark.parametrize(
    ("key", "more", "racy"), [("uuid4().hex", "", False), ("uuid4().hex", STOPPED, True), ("slug", "", True)]
)
def test_the_row_of_one_task(key: str, more: str, racy: bool, tmp_path: Path) -> None:
    args = '__table_args__ = (UniqueConstraint("slug"),)'
    text = "from sqlalchemy import update\n" + HANDED.replace("{key}", key) + more
    assert ("AL202" in {f.rule for f in findings(tmp_path, text, args)}) is racy


BEGUN = """
import sqlite3
from contextlib import contextmanager
from fastapi import FastAPI

app = FastAPI()

@contextmanager
def opened():
    connection = sqlite3.connect("clubs.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()

@app.post("/{name}")
def found(name: str):
    with opened() as connection:
        BEGIN
        try:
            if connection.execute("SELECT id FROM clubs WHERE name = ?", (name,)).fetchone() is None:
                connection.execute("INSERT INTO clubs (name) VALUES (?)", (name,))
            END
        except BaseException:
            connection.execute("ROLLBACK")
            raise
"""


@pytest.mark.parametrize(
    ("begin", "end", "racy"),
    [
        ('connection.execute("BEGIN IMMEDIATE")', 'connection.execute("COMMIT")', False),
        ("pass", "pass", True),
    ],
)
def test_a_transaction_that_is_begun_in_sql_spans_statements_that_commit_by_themselves(
    begin: str, end: str, racy: bool, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(
        BEGUN.replace("    END", f"    {end}").replace("    BEGIN", f"    {begin}"), encoding="utf-8"
    )
    assert bool(autolock.check([tmp_path], cache=False).findings) is racy
