"""Races on rows that cannot happen, and what is told where a constraint or a note on a row decides."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import redis
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/stables"))
tickets = redis.Redis()
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Groom(Base):
    __tablename__ = "grooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    badge: Mapped[str] = mapped_column(unique=True)
    hired: Mapped[str]

class Horse(Base):
    __tablename__ = "horses"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    oats: Mapped[int]
    hay: Mapped[int]
    kept: Mapped[bool]
    sold: Mapped[str]
    changed_by: Mapped[int | None]
    groom_id: Mapped[int | None] = mapped_column(ForeignKey("grooms.id"))

class Pass(Base):
    __tablename__ = "passes"
    id: Mapped[int] = mapped_column(primary_key=True)
    rider: Mapped[str]
    stamp: Mapped[str | None]

async def session():
    async with Sessions() as opened:
        yield opened

async def groom(badge: str, db: AsyncSession = Depends(session)):
    return (await db.scalars(select(Groom).where(Groom.badge == badge))).first()

async def called(db, name, but):
    query = select(func.count()).select_from(Horse).where(Horse.name == name)
    if but:
        query = query.where(Horse.id != but)
    return (await db.scalar(query)) > 0

async def feed(db, horse, food):
    if "oats" in food:
        horse.oats -= food["oats"]
    if "hay" in food:
        horse.hay -= food["hay"]
    await db.commit()

async def give(db, horse, what, pounds):
    if what == "oats":
        horse.oats -= pounds
    elif what in ("hay", "straw"):
        horse.hay -= pounds
    await db.commit()

async def serve(db, horse, what, pounds):
    await give(db, horse, what, pounds)

async def teams_of(db, name=None):
    query = select(Groom)
    if name:
        query = query.where(Groom.badge == name)
    return (await db.scalars(query)).all()

async def hire(db, badge):
    if (await db.scalars(select(Groom).where(Groom.badge == badge))).first():
        raise HTTPException(409, "there already")
    db.add(Groom(badge=badge, hired="today"))
    await db.commit()

"""


def told(folder: Path, body: str, arguments: str = "", dependencies: str = "") -> list[tuple[str, str, str]]:
    """Rule, severity and Location of each finding in an endpoint with this body."""
    more = "".join(f", {part}" for part in (dependencies,) if part)
    head = (
        f'@app.post("/horses/{{n}}")\nasync def handle(n: int{arguments}, db: AsyncSession = Depends(session){more}):\n'
    )
    text = HEAD + head + textwrap.indent(textwrap.dedent(body), "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return [(f.rule, f.severity.value, str(f.location)) for f in found]


FEEDING = """
async with db.begin():
    horse = await db.get(Horse, n)
    horse.oats -= pounds
"""
WHO = "who: Groom = Depends(groom)"


def test_a_transaction_that_cannot_begin_as_the_session_was_used_before_has_no_race(tmp_path: Path) -> None:
    assert told(tmp_path, FEEDING, ", pounds: int", WHO) == []


@pytest.mark.parametrize("ending", ["await db.commit()", "await db.rollback()"])
def test_one_that_can_begin_has(ending: str, tmp_path: Path) -> None:
    assert told(tmp_path, f"{ending}{FEEDING}", ", pounds: int", WHO) == [("AL202", "high", "Horse.oats")]


def test_a_savepoint_may_begin_at_any_time(tmp_path: Path) -> None:
    body = f"{FEEDING.replace('begin', 'begin_nested')}await db.commit()\n"
    assert told(tmp_path, body, ", pounds: int", WHO) == [("AL202", "high", "Horse.oats")]


PASSING = """
found = (await db.scalars(select(Pass).where(Pass.rider == rider, Pass.stamp.is_not(None)))).first()
if found is None:
    found = Pass(rider=rider)
    db.add(found)
    {then}
    await db.commit()
"""


def test_a_look_for_what_the_new_row_is_without_never_finds_it(tmp_path: Path) -> None:
    assert told(tmp_path, PASSING.format(then="pass"), ", rider: str, stamp: str") == []


def test_what_the_new_row_is_given_later_counts(tmp_path: Path) -> None:
    found = told(tmp_path, PASSING.format(then="found.stamp = stamp"), ", rider: str, stamp: str")
    assert found == [("AL203", "medium", "Pass")]


CLAIMING = """
horse = (await db.scalars(select(Horse).where(Horse.id == n, Horse.kept == True))).first()
if horse is None:
    raise HTTPException(404)
horse.kept = False
horse.{column} = by
await db.commit()
"""


def test_who_has_changed_a_row_does_not_own_it(tmp_path: Path) -> None:
    assert told(tmp_path, CLAIMING.format(column="changed_by"), ", by: int") == []


def test_whose_a_row_is_from_now_on_is_told_one_only(tmp_path: Path) -> None:
    assert told(tmp_path, CLAIMING.format(column="groom_id"), ", by: int") == [("AL207", "high", "Horse.kept")]


RENAMING = """
horse = await db.get(Horse, n)
if await called(db, name, n):
    raise HTTPException(409, "taken")
horse.name = {name}
await db.commit()
"""


@pytest.mark.parametrize("name", ["name", "name.strip()"])
def test_a_name_that_was_counted_to_be_free_is_refused_by_its_constraint(name: str, tmp_path: Path) -> None:
    assert told(tmp_path, RENAMING.format(name=name), ", name: str") == [("AL203", "low", "Horse.name")]


@pytest.mark.parametrize(("food", "column"), [('{"oats": pounds}', "oats"), ('{"hay": pounds}', "hay")])
def test_a_key_that_a_dictionary_was_made_without_is_not_in_it(food: str, column: str, tmp_path: Path) -> None:
    body = f"horse = await db.get(Horse, n)\nawait feed(db, horse, {food})\n"
    assert told(tmp_path, body, ", pounds: int") == [("AL202", "high", f"Horse.{column}")]


@pytest.mark.parametrize("more", ['food["oats"] = pounds', "food |= {'oats': pounds}", "food.update(oats=pounds)"])
def test_a_key_that_was_put_in_later_may_be(more: str, tmp_path: Path) -> None:
    body = f'horse = await db.get(Horse, n)\nfood = {{"straw": 1}}\n{more}\nawait feed(db, horse, food)\n'
    assert ("AL202", "high", "Horse.oats") in told(tmp_path, body, ", pounds: int")


def test_a_look_of_which_little_is_seen_is_told_with_the_one_that_the_constraint_decides(tmp_path: Path) -> None:
    body = "if not await teams_of(db, name=badge):\n    await hire(db, badge)\n"
    assert told(tmp_path, body, ", badge: str") == [("AL203", "low", "Groom")]


TICKET = """
badge = tickets.get(f"ticket:{n}")
if not badge:
    raise HTTPException(401)
db.add(Groom(%s))
await db.commit()
tickets.delete(f"ticket:{n}")
"""


def test_a_ticket_that_makes_a_row_which_is_unique_by_it_is_used_once(tmp_path: Path) -> None:
    assert told(tmp_path, TICKET % 'badge=badge.decode(), hired="today"') == []


def test_a_ticket_that_makes_any_row_is_used_twice(tmp_path: Path) -> None:
    found = told(tmp_path, TICKET % "badge=name, hired=badge.decode()", ", name: str")
    assert [(rule, severity) for rule, severity, _ in found] == [("AL207", "high")]


SPLIT = """
horse = await db.get(Horse, n)
horse.hay = left
await db.commit()
db.add(Groom(badge=str(left), hired={hired}))
await db.commit()
"""


@pytest.mark.parametrize(("hired", "rules"), [("horse.oats", []), ("horse.id", ["AL201"])])
def test_half_of_a_change_is_told_where_a_new_row_names_the_other(hired: str, rules: list[str], tmp_path: Path) -> None:
    body = SPLIT.format(hired=hired)
    assert [rule for rule, _, _ in told(tmp_path, body, ", left: int")] == rules


STALL = """
from beanie import Document

class Booking(Document):
    day: int
    off: bool = False

@app.post("/stalls/{day}")
async def book(day: int):
    if await Booking.find_one({"day": day, "off": False}):
        raise HTTPException(409, "taken")
    for weeks in range(4):
        booking = Booking(day=day + 7 * weeks, off=False)
        await booking.create()
"""


def test_advice_for_a_constraint_names_all_that_was_asked_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + STALL, encoding="utf-8")
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert found.fix.reason.startswith("add a unique constraint to ")


@pytest.mark.parametrize(
    ("serving", "columns"),
    [
        ('await serve(db, horse, "hay", pounds)', ["hay"]),
        ('await serve(db, horse, what="oats", pounds=pounds)', ["oats"]),
        ('await serve(db, horse, "water", pounds)', []),
    ],
)
def test_a_text_that_a_caller_gives_chooses_the_way(serving: str, columns: list[str], tmp_path: Path) -> None:
    found = told(tmp_path, f"horse = await db.get(Horse, n)\n{serving}\n", ", pounds: int, word: str")
    assert [location for _, _, location in found] == [f"Horse.{column}" for column in columns]


@pytest.mark.parametrize(
    "serving",
    [
        'await serve(db, horse, "oats" if n else "water", pounds)',
        'for what in ("water", "oats"): await serve(db, horse, what, pounds)',
        "await serve(db, horse, word, pounds)",
    ],
)
def test_a_text_that_may_be_one_of_several_chooses_none(serving: str, tmp_path: Path) -> None:
    found = told(tmp_path, f"horse = await db.get(Horse, n)\n{serving}\n", ", pounds: int, word: str")
    assert {rule for rule, _, _ in found} == {"AL202"}


KEPT = """
import asyncio

fed: dict[str, int] = {}

async def note(what: str, name: str) -> None:
    if what == "fed":
        before = fed.get(name, 0)
        await asyncio.sleep(0)
        fed[name] = before + 1

async def tell(what: str, name: str) -> None:
    await note(what, name)

@app.post("/watered/{name}")
async def watered(name: str):
    await tell("watered", name)

@app.post("/fed/{name}")
async def given(name: str):
    await tell("fed", name)
"""


def test_what_one_text_leaves_out_another_may_do(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + KEPT, encoding="utf-8")
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert (found.rule, found.routes) == ("AL101", ("POST /fed/{name}",))


LEAVING = """
horse = await db.get(Horse, n)
horse.name = f"{words}-{{horse.name}}"
{more}
await db.commit()
"""


@pytest.mark.parametrize(("more", "count"), [("horse.sold = 'cancelled'", 0), ("horse.sold = 'tomorrow'", 1)])
def test_the_name_of_what_is_no_longer_wanted_may_be_lost(more: str, count: int, tmp_path: Path) -> None:
    assert len(told(tmp_path, LEAVING.format(words="gone", more=more))) == count
