"""Looks and changes that only look like a race: each beside a neighbour that is one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import json
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql://db/club"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    fee: Mapped[float]
    seats: Mapped[int]
    locked: Mapped[bool]

class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    club_id: Mapped[int]

class Card(BaseModel):
    id: int
    seats: int
    locked: bool

def session():
    with Sessions() as opened:
        yield opened
"""


def found(folder: Path, text: str, head: str = HEAD) -> list[tuple[str, str]]:
    """Rule and function of the races in an app of one file."""
    (folder / "main.py").write_text(head + textwrap.dedent(text), encoding="utf-8")
    findings = autolock.check([folder], cache=False).findings
    return sorted((f.rule, f.place.function) for f in findings if f.certainty.value == "race")


LEFT_OUT = """
def found(db: Session, name: str, reuse: bool = False, id: int | None = None):
    if {test}:
        club = db.scalars(select(Club).where(Club.name == name)).first()
        if club is not None:
            return club
    club = Club(name=name, kind="a", fee=1, seats=1, locked=False)
    db.add(club)
    db.commit()
    return club

@app.post("/clubs")
def post(name: str, {asked}db: Session = Depends(session)):
    return found({given}).id
"""


@pytest.mark.parametrize(
    ("test", "asked", "given", "racy"),
    [
        ("reuse", "", "db, name", False),
        ("reuse", "", "db, name, True", True),
        ("reuse", "", "db, name, reuse=False", False),
        ("reuse", "reuse: bool = False, ", "db, name, reuse", True),
        ("reuse", "options: dict = {}, ", "db, name, **options", True),
        ("id is not None", "", "db, name", False),
        ("id is None", "", "db, name", True),
        ("id", "", "db, name", False),
        ("not id", "", "db, name", True),
        ("id is not None", "id: int = 0, ", "db, name, id=id", True),
    ],
)
def test_what_a_call_leaves_out_has_its_default(test: str, asked: str, given: str, racy: bool, tmp_path: Path) -> None:
    text = LEFT_OUT.format(test=test, asked=asked, given=given)
    assert [rule for rule, _ in found(tmp_path, text)] == (["AL203"] if racy else [])


def test_a_default_of_a_route_may_be_given_by_the_request(tmp_path: Path) -> None:
    text = """
    @app.post("/clubs")
    def post(name: str, reuse: bool = False, db: Session = Depends(session)):
        if reuse:
            club = db.scalars(select(Club).where(Club.name == name)).first()
            if club is not None:
                return club.id
        db.add(Club(name=name, kind="a", fee=1, seats=1, locked=False))
        db.commit()
    """
    assert found(tmp_path, text) == [("AL203", "post")]


KEPT = """
@app.patch("/clubs/{{id}}")
def change(id: int, by: float | None = None, db: Session = Depends(session)):
    club = db.get(Club, id)
    {body}
    db.commit()
"""
STATEMENT = "db.execute(update(Club).where(Club.id == id).values(fee=new))"


@pytest.mark.parametrize(
    ("body", "racy"),
    [
        ("new = club.fee\n    if by is not None:\n        new = by\n    club.fee = new", False),
        ("new = club.fee\n    if by is not None:\n        new = club.fee + by\n    club.fee = new", True),
        ("new = club.fee\n    if by is not None:\n        new += by\n    club.fee = new", True),
        (f"new = club.fee\n    if by is not None:\n        new = by\n    {STATEMENT}", True),
        ("club.fee = float(club.fee)", False),
        ("club.name = json.loads(json.dumps(club.name))", False),
        ("club.fee = float(club.fee) + 1", True),
    ],
)
def test_the_old_value_as_it_was_is_no_change(body: str, racy: bool, tmp_path: Path) -> None:
    assert [rule for rule, _ in found(tmp_path, KEPT.format(body=body))] == (["AL202"] if racy else [])


GROWN = """
@app.post("/clubs/{{id}}")
def grow(id: int, wanted: int, db: Session = Depends(session)):
    club = db.get(Club, id)
    missing = {missing}
    db.execute(update(Club).where(Club.id == id).values(seats=Club.seats + missing))
    db.commit()
"""


@pytest.mark.parametrize(("missing", "racy"), [("wanted - club.seats", True), ("wanted - 1", False)])
def test_a_difference_from_the_old_value_is_added_twice(missing: str, racy: bool, tmp_path: Path) -> None:
    assert bool(found(tmp_path, GROWN.format(missing=missing))) is racy


MERGED = """
@app.patch("/clubs/{{id}}")
def merge(id: int, given: dict, db: Session = Depends(session)):
    club = db.get(Club, id)
    options = club.options or {{}}
    {change}
    club.options = options
    db.commit()
"""
OPTIONS = HEAD.replace(
    "locked: Mapped[bool]\n\nclass Seat", "options: Mapped[dict] = mapped_column(JSON)\n\nclass Seat"
)
OPTIONS = OPTIONS.replace("import create_engine", "import JSON, create_engine")


@pytest.mark.parametrize(
    ("change", "racy"), [("options.update(given)", True), ("options['a'] = given", True), ("print(given)", False)]
)
def test_what_is_changed_in_place_was_not_kept(change: str, racy: bool, tmp_path: Path) -> None:
    assert bool(found(tmp_path, MERGED.format(change=change), OPTIONS)) is racy


RECORD = """
@app.post("/clubs/{{id}}")
def take(id: int, db: Session = Depends(session)):
    row = db.execute(select(Club.id, Club.seats, Club.locked).where(Club.id == id)).one_or_none()
    if row is None:
        raise HTTPException(404)
    card = {card}
    if {test}:
        raise HTTPException(409)
    db.execute(update(Club).where(Club.id == id).values({values}))
    db.commit()
"""


@pytest.mark.parametrize("card", ["row", "Card.model_validate(row)", "Card(**row._asdict())"])
@pytest.mark.parametrize(
    ("test", "values", "racy"),
    [
        ("card.locked", "seats=3", False),
        ("card.seats < 1", "seats=card.seats - 1", True),
        ("card.locked", "seats=card.seats - 1", True),
    ],
)
def test_some_columns_of_a_row_are_told_apart(card: str, test: str, values: str, racy: bool, tmp_path: Path) -> None:
    text = RECORD.format(card=card, test=test, values=values)
    assert [rule for rule, _ in found(tmp_path, text)] == (["AL202"] if racy else [])


def test_columns_that_are_unpacked_are_told_apart(tmp_path: Path) -> None:
    text = """
    @app.post("/clubs/{id}")
    def take(id: int, db: Session = Depends(session)):
        seats, locked = db.execute(select(Club.seats, Club.locked).where(Club.id == id)).one()
        if locked:
            raise HTTPException(409)
        db.execute(update(Club).where(Club.id == id).values(seats=seats - 1))
        db.commit()
    """
    assert found(tmp_path, text) == [("AL202", "take")]


KINDS = """
@app.post("/clubs/{{id}}")
def copy(id: int, db: Session = Depends(session)):
    club = db.scalars(select(Club).where(Club.id == id)).first()
    {test}
        raise HTTPException(409)
    db.add(Seat(club_id=id))
    db.commit()
"""


@pytest.mark.parametrize(
    ("test", "racy"),
    [
        ('if club.kind in ["open", "shut"]:', False),
        ("if club.kind not in KINDS:", False),
        ("if len(db.scalars(select(Seat).where(Seat.club_id == id)).all()) >= 5:", True),
    ],
)
def test_one_of_some_constants_says_nothing_about_other_rows(test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(found(tmp_path, KINDS.format(test=test))) is racy


PAGED = """
from sqlalchemy import delete

class Page(BaseModel):
    items: list
    total: int

def listed(db: Session, club: int):
    items = db.scalars(select(Seat).where(Seat.club_id == club)).all()
    total = db.scalar(select(func.count()).select_from(Seat).where(Seat.club_id == club))
    return Page(items=list(items), total=total)

def pieces(ids):
    rest = iter(ids)
    while piece := list(rest)[:10]:
        yield piece

@app.post("/clubs/{id}/seats")
def put(id: int, db: Session = Depends(session)):
    db.add(Seat(club_id=id))
    db.commit()

@app.delete("/clubs/{id}/seats")
def empty(id: int, db: Session = Depends(session)):
    ids = [seat.id for seat in listed(db, id).items]
    for piece in pieces(ids):
        db.execute(delete(Seat).where(Seat.id.in_(piece)))
    db.commit()
"""


def test_a_total_beside_the_rows_does_not_decide_on_them(tmp_path: Path) -> None:
    assert found(tmp_path, PAGED) == []


MONGO = """
from datetime import datetime
from fastapi import FastAPI, HTTPException
from motor.motor_asyncio import AsyncIOMotorClient

app = FastAPI()
db = AsyncIOMotorClient("mongodb://db").club
"""
LISTED = """
@app.post("/clubs/{{id}}/tags/{{tag}}")
async def change(id: str, tag: str):
    club = await db.clubs.find_one({{"_id": id}})
    if tag {asked} club["tags"]:
        raise HTTPException(409)
    await db.clubs.update_one({{"_id": id}}, {{"{operator}": {{"tags": tag}}}})
    {then}
"""


@pytest.mark.parametrize(
    ("asked", "operator", "then", "racy"),
    [
        ("not in", "$pull", "return tag", False),
        ("in", "$addToSet", "return tag", False),
        ("not in", "$pull", 'await db.prizes.insert_one({"tag": tag})', True),
        ("in", "$push", 'await db.prizes.insert_one({"tag": tag})', True),
    ],
)
def test_what_is_done_twice_like_once_is_no_check_then_act(
    asked: str, operator: str, then: str, racy: bool, tmp_path: Path
) -> None:
    text = LISTED.format(asked=asked, operator=operator, then=then)
    assert ("AL202" in {rule for rule, _ in found(tmp_path, text, MONGO)}) is racy


TAGGED = """
@app.post("/clubs/{{id}}/tags/{{tag}}")
async def change(id: str, tag: str):
    result = await db.clubs.update_one({{"_id": id}}, {{"$push": {{"tags": tag}}}})
    if {test}:
        await db.clubs.update_one({{"_id": int(id)}}, {{"$push": {{"tags": tag}}}})
"""


@pytest.mark.parametrize(
    ("test", "racy"),
    [("result.matched_count == 0", False), ("not result.matched_count", False), ("result.matched_count", True)],
)
def test_a_second_try_is_no_second_half(test: str, racy: bool, tmp_path: Path) -> None:
    assert [rule for rule, _ in found(tmp_path, TAGGED.format(test=test), MONGO)] == (["AL201"] if racy else [])


TORTOISE = """
from datetime import datetime
from fastapi import FastAPI, HTTPException
from tortoise import fields
from tortoise.expressions import F, Q
from tortoise.models import Model

app = FastAPI()

class Code(Model):
    id = fields.IntField(primary_key=True)
    left = fields.IntField()
    ends = fields.DatetimeField()

class Note(Model):
    id = fields.IntField(primary_key=True)
    code_id = fields.IntField()
    ends = fields.DatetimeField()
"""
SPENT = """
@app.post("/codes/{{id}}")
async def spend(id: int):
    code = await Code.get(id=id)
    if code.left < 1:
        raise HTTPException(409)
    allowed = {allowed}
    await Code.filter(Q(id=id) & allowed).update(left=F("left") - 1)
"""


@pytest.mark.parametrize(
    ("allowed", "racy"),
    [("Q(left__gt=0) | Q(left__lt=0)", False), ("Q(left__gt=0)", False), ("Q(id__gt=0)", True)],
)
def test_what_an_update_asks_by_q_is_seen(allowed: str, racy: bool, tmp_path: Path) -> None:
    assert bool(found(tmp_path, SPENT.format(allowed=allowed), TORTOISE)) is racy


SWEPT = """
@app.post("/codes/{{id}}")
async def drop(id: int):
    code = await Code.get_or_none(id=id)
    if code is None:
        raise HTTPException(404)
    await code.delete()
    await Note.filter({asked}).delete()
"""


@pytest.mark.parametrize(("asked", "racy"), [("ends__lt=datetime.now()", False), ("code_id=id", True)])
def test_what_takes_away_the_old_is_no_half(asked: str, racy: bool, tmp_path: Path) -> None:
    assert [rule for rule, _ in found(tmp_path, SWEPT.format(asked=asked), TORTOISE)] == (["AL201"] if racy else [])


def test_a_key_of_redis_is_called_the_same_wherever_it_is_used(tmp_path: Path) -> None:
    head = """
from fastapi import Depends, FastAPI
from redis.asyncio import Redis

app = FastAPI()
redis = Redis()

async def used(user: int, code: str) -> bool:
    key = f"otp:{user}:{code}"
    if await redis.exists(key):
        return False
    await redis.setex(key, 120, "1")
    return True
"""
    text = """
    @app.post("/one/{user}")
    async def one(user: int, code: str):
        return await used(user, code)

    @app.post("/two/{owner}")
    async def two(owner: int, otp: str):
        return await used(owner, otp)
    """
    (tmp_path / "main.py").write_text(head + textwrap.dedent(text), encoding="utf-8")
    messages = [f.message for f in autolock.check([tmp_path], cache=False).findings]
    assert messages
    assert all("otp:" in m and "@" not in m and "{'" not in m for m in messages)


UNITS = """
class Clubs:
    def __init__(self, db: Session):
        self.db = db

    def plain(self, id: int) -> Club | None:
        return self.db.execute(select(Club).where(Club.id == id).where(Club.locked == False)).scalars().first()

    def locked(self, id: int) -> Club | None:
        chosen = select(Club).where(Club.id == id).where(Club.locked == False)
        return self.db.execute(chosen.with_for_update()).scalars().first()

    def change(self, club: Club, by: int) -> Club:
        club.seats += by
        self.db.flush()
        self.db.refresh(club)
        return club

class Unit:
    def __init__(self):
        self.factory = Sessions
        self.db: Session | None = None

    def __enter__(self):
        self.db = self.factory()
        self.clubs = Clubs(self.db)
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.db.commit()
        self.db.close()

def me(id: int):
    with Unit() as unit:
        return unit.clubs.plain(id)

@app.post("/clubs/{id}/join")
def join(id: int, mine: Club = Depends(me)):
    with Unit() as unit:
        club = unit.clubs.locked(id)
        if not club:
            raise HTTPException(404)
        return unit.clubs.change(club, 1)

@app.post("/clubs/{id}/leave")
def leave(id: int, mine: Club = Depends(me)):
    with Unit() as unit:
        club = unit.clubs.locked(id)
        if not club:
            raise HTTPException(404)
        return unit.clubs.change(club, -1)
"""


def test_a_session_does_not_have_what_another_unit_of_work_has_loaded(tmp_path: Path) -> None:
    head = HEAD.replace('"postgresql://db/club")', '"postgresql://db/club"), expire_on_commit=False')
    assert found(tmp_path, UNITS, head) == []


LOCAL = """
from contextvars import ContextVar

class Local:
    def __init__(self):
        object.__setattr__(self, "_held", {held})

    def __getattr__(self, name):
        return self._held.get({{}}).get(name)

    def __setattr__(self, name, value):
        self._held.set({{**self._held.get({{}}), name: value}})

here = Local()

@app.post("/clubs/{{id}}")
def open_club(id: int):
    with Sessions() as db:
        here.db = db
        here.db.get(Club, id).locked = False
        here.db.commit()
"""


def test_what_an_object_keeps_in_a_context_variable_is_not_shared(tmp_path: Path) -> None:
    assert found(tmp_path, LOCAL.format(held='ContextVar("held")')) == []


def test_what_an_object_keeps_itself_is_shared(tmp_path: Path) -> None:
    text = LOCAL.format(held="None").replace("def __setattr__", "def set").replace("def __getattr__", "def get")
    assert "AL301" in {rule for rule, _ in found(tmp_path, text)}
