"""What a conflict is answered with, and when a person has to agree to that."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.findings import Safety

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/club"), expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    {more}

class Seat(Base):
    __tablename__ = "seats"
    __table_args__ = (UniqueConstraint("club_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"))
    name: Mapped[str]

class Wanted(BaseModel):
    name: str

async def session():
    async with Sessions() as opened:
        yield opened
"""

SIT = """
@app.post("/clubs/{{id}}/seats")
async def sit(id: int, wanted: Wanted, db: AsyncSession = Depends(session)):
    club = await db.scalar(select(Club).where(Club.id == id))
    number = club.id
    if await db.scalar(select(Seat).where(Seat.club_id == number, Seat.name == wanted.name)) is not None:
        raise HTTPException(409, f"{{{answer}}} is taken")
    db.add(Seat(club_id=number, name=wanted.name))
    await db.commit()
"""

FOUND = """
@app.post("/clubs/{{slug}}")
async def found(slug: str, name: str, db: AsyncSession = Depends(session)):
    if await db.scalar(select(Club).where(Club.slug == slug)) is not None:
        raise HTTPException(409, "there is one")
    {look}
    club = Club(slug=slug, {given})
    db.add(club)
    {and_}
    await db.commit()
"""


def fix_of(folder: Path, text: str, more: str = "") -> autolock.findings.Fix:
    (folder / "main.py").write_text(HEAD.replace("{more}", more) + textwrap.dedent(text), encoding="utf-8")
    (found,) = [f for f in autolock.check([folder], cache=False).findings if f.rule == "AL203"]
    assert found.fix is not None
    return found.fix


@pytest.mark.parametrize(
    ("answer", "safety"), [("club.slug", Safety.NONE), ("wanted.name", Safety.SAFE), ("number", Safety.SAFE)]
)
def test_an_answer_that_the_rollback_takes_away_is_left_to_a_person(
    answer: str, safety: Safety, tmp_path: Path
) -> None:
    assert fix_of(tmp_path, SIT.format(answer=answer)).safety is safety


def test_another_constraint_that_nobody_checks_makes_it_unsafe(tmp_path: Path) -> None:
    text = FOUND.format(look="pass", given="name=name", and_="pass")
    fix = fix_of(tmp_path, text, "name: Mapped[str] = mapped_column(unique=True)")
    assert fix.safety is Safety.UNSAFE
    assert "the unique constraint on `name`" in fix.reason


def test_another_row_in_the_same_transaction_makes_it_unsafe(tmp_path: Path) -> None:
    text = FOUND.format(look="pass", given="", and_="db.add(Seat(club_id=club.id, name=name))")
    fix = fix_of(tmp_path, text)
    assert fix.safety is Safety.UNSAFE
    assert "a constraint of `Seat`" in fix.reason


def test_the_one_constraint_that_is_checked_is_answered_safely(tmp_path: Path) -> None:
    assert fix_of(tmp_path, FOUND.format(look="pass", given="", and_="pass")).safety is Safety.SAFE


STORED = """
@app.put("/clubs/{slug}")
async def store(slug: str, name: str, owner: int, db: AsyncSession = Depends(session)):
    club = await db.scalar(select(Club).where(Club.slug == slug))
    CHECK
    if club is None:
        club = Club(slug=slug, name=name)
        db.add(club)
    AFTER
    await db.commit()
    return club.id
"""


@pytest.mark.parametrize(
    ("check", "after", "refused"),
    [
        ("pass", "pass", ""),
        ("if club is not None and club.name != name: return None", "pass", "would be left out"),
        ("pass", "club.slug = slug", "gets more values after it was added"),
        ("pass", "club.name = name", ""),
        ("pass", "setattr(club, 'name', name)", "gets more values after it was added"),
        ("pass", "await db.flush()\n    club.name = name", ""),
    ],
)
def test_a_savepoint_sends_the_row_as_it_is(check: str, after: str, refused: str, tmp_path: Path) -> None:
    fix = fix_of(tmp_path, STORED.replace("CHECK", check).replace("AFTER", after), "name: Mapped[str]")
    assert (fix.safety is Safety.NONE) is bool(refused)
    assert refused in fix.reason


THROUGH_STORE = """
import requests

class Clubs:
    def __init__(self, db: Session):
        self.db = db

    def named(self, slug: str):
        return self.db.query(Club).filter(Club.slug == slug).one_or_none()

    def add(self, slug: str):
        club = Club(slug=slug)
        self.db.add(club)
        self.db.commit()
        return club

def opened():
    with sessionmaker()() as db:
        yield db

def clubs(db: Session = Depends(opened)):
    return Clubs(db)

def remote():
    return requests.Session()

@app.post("/clubs/{slug}")
def found(slug: str, clubs: Clubs = Depends(clubs), session: requests.Session = Depends(remote)):
    if clubs.named(slug):
        raise HTTPException(409, "there is one")
    club = clubs.add(slug)
    session.post("https://example.com/clubs")
    return {"id": club.id}
"""


def test_a_session_of_another_library_is_not_rolled_back(tmp_path: Path) -> None:
    fix_of(tmp_path, THROUGH_STORE)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    lines = (tmp_path / "main.py").read_text(encoding="utf-8").splitlines()
    assert [line.strip() for line in lines if "rollback" in line] == ["clubs.db.rollback()"]


UNIT_OF_WORK = """
class Clubs:
    def __init__(self, db: AsyncSession):
        self._db = db

    async def by_slug(self, slug: str):
        return await self._db.scalar(select(Club).where(Club.slug == slug))

    def add(self, club: Club):
        self._db.add(club)

class Work:
    def __init__(self, db: AsyncSession):
        self._db = db
        self.clubs = Clubs(db)

    async def commit(self):
        await self._db.commit()

    async def rollback(self):
        await self._db.rollback()

async def work(db: AsyncSession = Depends(session)):
    return Work(db)

@app.post("/clubs/{slug}")
async def found(slug: str, unit: Work = Depends(work)):
    if await unit.clubs.by_slug(slug) is not None:
        raise HTTPException(409, "there is one")
    unit.clubs.add(Club(slug=slug))
    await unit.commit()
"""


def test_who_commits_a_unit_of_work_takes_back_that(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD.replace("{more}", "") + UNIT_OF_WORK, encoding="utf-8")
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = main.read_text(encoding="utf-8")
    assert "except IntegrityError as error:\n        await unit.rollback()\n        raise HTTPException(409" in after


WEIGHED = """
@app.post("/clubs/{id}/seats")
async def sit(id: int, wanted: Wanted, rows: int, db: AsyncSession = Depends(session)):
    seat = await db.scalar(select(Seat).where(Seat.club_id == id, Seat.name == wanted.name))
    wide = rows if not seat else seat.club_id + rows
    if wide > 5:
        raise HTTPException(400, "too wide")
    if seat:
        seat.club_id = wide
    else:
        db.add(Seat(club_id=id, name=wanted.name))
    await db.commit()
"""


def test_what_is_worked_out_from_a_row_is_no_check_for_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD.format(more="") + WEIGHED)
    outcome = autolock.fix([tmp_path], unsafe=True, apply=True, allow_dirty=True, cache=False)
    assert [f.rule for f in outcome.findings if f.rule == "AL203"] == ["AL203"]
    assert (tmp_path / "main.py").read_text().count("too wide") == 1


ELSEWHERE = """
from clubhouse import sessions

@app.post("/clubs/{slug}")
async def found(slug: str, name: str, db: AsyncSession = Depends(sessions.open)):
    if await db.scalar(select(Club).where(Club.slug == slug)) is not None:
        raise HTTPException(409, "there is one")
    club = Club(slug=slug)
    MORE
    db.add(club)
"""


@pytest.mark.parametrize(
    ("more", "safety"), [("pass", Safety.SAFE), ('db.add(Seat(club_id=1, name="door"))', Safety.UNSAFE)]
)
def test_what_is_sent_together_may_be_refused_together_where_nobody_was_seen_to_commit(
    more: str, safety: Safety, tmp_path: Path
) -> None:
    assert fix_of(tmp_path, ELSEWHERE.replace("MORE", more)).safety is safety


def test_what_stands_between_an_insert_and_its_commit_stays_where_it_is(tmp_path: Path) -> None:
    body = "rows = [\n        1,\n        2,\n        3,\n        4,\n        5,\n        6,\n        7,\n    ]"
    text = FOUND.format(look="pass", given="", and_=body)
    (tmp_path / "main.py").write_text(HEAD.format(more="") + textwrap.dedent(text))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    mended = (tmp_path / "main.py").read_text()
    assert "    db.add(club)\n    rows = [\n" in mended
    assert "    try:\n        await db.commit()\n" in mended


UNIT = """
class Unit:
    async def __aenter__(self):
        self.db = Sessions()
        return self

    async def __aexit__(self, kind, error, trace):
        if kind:
            await self.db.rollback()
        else:
            await self.db.commit()
        await self.db.close()

    async def found(self, slug):
        return await self.db.scalar(select(Club).where(Club.slug == slug))

    async def put_in(self, slug):
        self.db.add(Club(slug=slug))

@app.post("/clubs/{slug}")
async def found(slug: str):
    async with WITH:
        if await LOOK:
            raise HTTPException(409, "there is one")
        ADD
        return slug
"""
ENDED = """
    except IntegrityError as error:
        raise HTTPException(409, "there is one") from error
"""
ASKED = "db.scalar(select(Club).where(Club.slug == slug))"


@pytest.mark.parametrize(
    ("block", "look", "add"),
    [
        ("Unit() as unit", "unit.found(slug)", "await unit.put_in(slug)"),
        ("Sessions.begin() as db", ASKED, "db.add(Club(slug=slug))"),
        ("Sessions() as db, db.begin()", ASKED, "db.add(Club(slug=slug))"),
    ],
)
def test_what_is_committed_where_a_block_ends_is_answered_round_it(
    block: str, look: str, add: str, tmp_path: Path
) -> None:
    text = HEAD.format(more="") + UNIT.replace("WITH", block).replace("LOOK", look).replace("ADD", add)
    (tmp_path / "main.py").write_text(text)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    mended = (tmp_path / "main.py").read_text()
    assert f"    try:\n        async with {block}:\n" in mended
    assert (ENDED in mended) is block.endswith(("db", "begin()"))


LOOPED = """
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from shelves import find, session
app = FastAPI()

@app.post("/books")
async def lend(ids: list[int], db: AsyncSession = Depends(session)):
    \"\"\"Book by Book.\"\"\"
    for id in ids:
        book = await find(db, id)
        if book.left < 1:
            raise ValueError(f"Book {id} is out")
        book.left -= 1
    await db.commit()
"""
SHELVES = """
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/books"))

class Base(DeclarativeBase):
    pass

class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    left: Mapped[int]

async def session():
    async with Sessions() as opened:
        yield opened

async def find(db, id):
    return await db.get(Book, id)
"""


def test_a_model_that_only_sentences_name_is_imported_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(LOOPED)
    (tmp_path / "shelves.py").write_text(SHELVES)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    mended = (tmp_path / "main.py").read_text()
    assert "select(" in mended
    assert "shelves_Book" not in mended


LAYERS = """
class Clubs:
    def __init__(self, db):
        self.db = db

    async def found(self, slug):
        return await self.db.scalar(select(Club).where(Club.slug == slug))

    async def add(self, club):
        self.db.add(club)
        {sent}
        return club

class Taken(Exception):
    pass

class Service:
    def __init__(self, db):
        self.clubs = Clubs(db)

    async def make(self, slug):
        if await self.clubs.found(slug):
            raise Taken(slug)
        club = await self.clubs.add(Club(slug=slug))
        return club.id

@app.post("/clubs/{{slug}}")
async def make(slug: str, db: AsyncSession = Depends(session)):
    {calling}
    await db.commit()
    return made
"""
GOING_ON = "try:\n        made = await Service(db).make(slug)\n    except Taken:\n        made = 0"


@pytest.mark.parametrize(
    ("sent", "calling", "refused"),
    [
        ("await self.db.flush()", "made = await Service(db).make(slug)", ""),
        ("pass", "made = await Service(db).make(slug)", "reaches the database cannot be seen"),
        ("await self.db.flush()", GOING_ON, "a caller catches what is raised and goes on"),
    ],
)
def test_a_helper_that_flushes_is_answered_where_it_is_called(
    sent: str, calling: str, refused: str, tmp_path: Path
) -> None:
    text = HEAD.format(more="") + LAYERS.format(sent=sent, calling=calling)
    (tmp_path / "main.py").write_text(text)
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert (refused in found.fix.reason) if refused else found.fix.safety is Safety.SAFE
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    answered = "club = await self.clubs.add(Club(slug=slug))\n        except IntegrityError as error:\n"
    assert (answered in (tmp_path / "main.py").read_text()) is not bool(refused)
