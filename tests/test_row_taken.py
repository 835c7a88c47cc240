"""Rows that two requests both take, collections that are looked through, and rows that say how far a run has come."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, UniqueConstraint, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    seats: Mapped[int]
    status: Mapped[str]
    owner: Mapped[str | None]
    title: Mapped[str]
    members: Mapped[list["Member"]] = relationship(back_populates="club")

class Member(Base):
    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("club_id", "person"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"))
    person: Mapped[str]
    role: Mapped[str]
    club: Mapped[Club] = relationship(back_populates="members")

class Import(Base):
    __tablename__ = "imports"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]

class Entry(Base):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"))

async def get_session():
    async with SessionLocal() as session:
        yield session

async def download(feed):
    ...
"""


def project(folder: Path, body: str) -> Path:
    """An app in a project of its own."""
    (folder / "pyproject.toml").write_text("[project]\nname = 'clubs'\n")
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    return folder


def rules(folder: Path, body: str) -> list[str]:
    """The rules that are broken in an app of one file."""
    return sorted(f.rule for f in autolock.check([project(folder, body)], cache=False).findings)


JOIN = """
    @app.post("/clubs/{{club_id}}/members/{{person}}")
    async def join(club_id: int, person: str, session: AsyncSession = Depends(get_session)):
        query = select(Club).where(Club.id == club_id).options(selectinload(Club.members))
        club = (await session.execute(query)).scalar_one()
        if {check}:
            raise HTTPException(409)
        club.members.append(Member(person=person, role="guest"))
        await session.commit()
        return club_id
"""


def test_who_is_looked_for_in_a_collection_is_refused_by_its_constraint(tmp_path: Path) -> None:
    text = JOIN.format(check="any(m.person == person for m in club.members)")
    outcome = autolock.fix([project(tmp_path, text)], apply=True, allow_dirty=True, cache=False)
    assert [f.rule for f in outcome.findings] == ["AL203"]
    after = (tmp_path / "main.py").read_text()
    refused = "except IntegrityError as error:\n        await session.rollback()\n        raise HTTPException(409)"
    assert after.index("try:") < after.index("club.members.append") < after.index(refused)


def test_a_constraint_is_no_answer_to_what_else_was_looked_for(tmp_path: Path) -> None:
    text = JOIN.format(check="any(m.role == 'guest' for m in club.members)")
    (finding,) = autolock.check([project(tmp_path, text)], cache=False).findings
    assert finding.rule == "AL203"
    assert finding.fix.safety.value == "none"


def test_a_collection_that_must_have_somebody_is_no_check_of_who_is_new(tmp_path: Path) -> None:
    assert rules(tmp_path, JOIN.format(check="not any(m.role == 'host' for m in club.members)")) == []


HAND_OVER = """
    @app.post("/clubs/{{id}}/take/{{who}}")
    async def take(id: int, who: str, session: AsyncSession = Depends(get_session)):
        club = (await session.execute(select(Club).where(Club.id == id))).scalar_one()
        {check}
        club.status = "taken"
        {given}
        await session.commit()
"""
ONLY_READY = """if club.status != "ready":
            raise HTTPException(409)"""


@pytest.mark.parametrize(
    ("check", "given", "expected"),
    [
        (ONLY_READY, "club.owner = who", ["AL202"]),
        ("", "club.owner = who", []),
        (ONLY_READY, "club.owner = None", []),
        (ONLY_READY, "club.title = who", []),
    ],
    ids=["who takes it", "whoever comes last", "nobody", "a column that had something"],
)
def test_a_state_that_says_whose_it_is(check: str, given: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, HAND_OVER.format(check=check, given=given)) == expected


@pytest.mark.parametrize(
    ("test", "racy"), [("club.seats == 0", True), ("not club.seats", True), ("club.title == ''", False)]
)
def test_a_number_that_is_counted_down_where_there_was_one_left(test: str, racy: bool, tmp_path: Path) -> None:
    text = f"""
        @app.post("/clubs/{{id}}/enter")
        async def enter(id: int, session: AsyncSession = Depends(get_session)):
            club = (await session.execute(select(Club).where(Club.id == id))).scalar_one()
            if {test}:
                raise HTTPException(409)
            await session.execute(update(Club).where(Club.id == id).values(seats=Club.seats - 1))
            await session.commit()
        """
    assert rules(tmp_path, text) == (["AL202"] if racy else [])


FIRST = """
    @app.post("/clubs/{{id}}/found")
    async def found(id: int, person: str, session: AsyncSession = Depends(get_session)):
        number = await session.scalar(select(func.count()).select_from(Member))
        session.add(Member(club_id=id, {given}))
        try:
            await session.commit()
        except IntegrityError:
            raise HTTPException(409)
"""


def test_a_constraint_on_other_columns_is_no_answer_to_what_was_counted(tmp_path: Path) -> None:
    first = FIRST.format(given="person=person, role='host' if number == 0 else 'guest'")
    assert rules(tmp_path, first) == ["AL203"]


def test_a_constraint_on_what_was_counted_is_an_answer(tmp_path: Path) -> None:
    assert rules(tmp_path, FIRST.format(given="person=f'guest {number}', role='guest'")) == []


IMPORT = """
    @app.post("/imports/{{feed}}")
    async def start(feed: str, session: AsyncSession = Depends(get_session)):
        job = Import(status="running")
        session.add(job)
        await session.commit()
        try:
            titles = await download(feed)
        except OSError:
            {failed}
            await session.commit()
            raise HTTPException(502)
        session.add(Entry(import_id=job.id))
        await session.commit()
"""


@pytest.mark.parametrize(("failed", "expected"), [('job.status = "failed"', []), ("pass", ["AL201"])])
def test_a_new_row_that_says_how_far_a_run_has_come(failed: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, IMPORT.format(failed=failed)) == expected


ACCEPT = """
    class Teams:
        def __init__(self, session: AsyncSession):
            self.session = session

        async def find(self, club_id: int, person: str) -> Member | None:
            result = await self.session.execute(
                select(Member).where(Member.club_id == club_id, Member.person == person)
            )
            {before}return result.scalar_one_or_none()

        async def accept(self, club_id: int, person: str) -> Member:
            member = await self.find(club_id, person)
            if member:
                return member
            member = Member(club_id=club_id, person=person, role="guest")
            self.session.add(member)
            await self.session.commit()
            return member

    @app.post("/clubs/{{club_id}}/accept/{{person}}")
    async def accept(club_id: int, person: str, session: AsyncSession = Depends(get_session)):
        return (await Teams(session).accept(club_id, person)).id
"""


def test_a_helper_that_only_looks_is_asked_again(tmp_path: Path) -> None:
    text = ACCEPT.format(before="")
    outcome = autolock.fix([project(tmp_path, text)], apply=True, allow_dirty=True, cache=False)
    assert [f.rule for f in outcome.findings] == ["AL203"]
    after = (tmp_path / "main.py").read_text()
    refused = after.index("except IntegrityError")
    assert "async with self.session.begin_nested():" in after[:refused]
    assert "member = await self.find(club_id, person)" in after[refused:]


def test_a_helper_that_does_more_than_look_is_not_asked_again(tmp_path: Path) -> None:
    text = ACCEPT.format(before="await download(person)\n            ")
    (finding,) = autolock.check([project(tmp_path, text)], cache=False).findings
    assert finding.rule == "AL203"
    assert finding.fix.safety.value == "none"
