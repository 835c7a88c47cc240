"""What is no race on rows, each beside the neighbour that is one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from contextlib import asynccontextmanager
from datetime import datetime
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from sqlalchemy import ForeignKey, UniqueConstraint, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/club"), expire_on_commit=False)
{app}

class Base(DeclarativeBase):
    pass

class Club(Base):
    __tablename__ = "clubs"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    open: Mapped[bool]
    state: Mapped[str]
    members: Mapped[int]

class Seat(Base):
    __tablename__ = "seats"
    __table_args__ = (UniqueConstraint("club_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    club_id: Mapped[int] = mapped_column(ForeignKey("clubs.id"))
    name: Mapped[str]

class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    worth: Mapped[int]

class Log(Base):
    __tablename__ = "audit_logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]

async def session():
    async with Sessions() as opened:
        yield opened
"""

ANSWERED = "app = make(options={'exception_handlers': {IntegrityError: answer, ValueError: answer}})"
UNANSWERED = "app = make(options={'exception_handlers': {ValueError: answer}})"

FOUND = """
@app.post("/clubs/{slug}")
async def found(slug: str, db: AsyncSession = Depends(session)):
    if await db.scalar(select(Club).where(Club.slug == slug)) is None:
        db.add(Club(slug=slug, owner="me"))
        await db.commit()
"""


def rules(folder: Path, text: str, app: str = "app = FastAPI()") -> list[str]:
    (folder / "main.py").write_text(HEAD.replace("{app}", app) + textwrap.dedent(text), encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return [f.rule for f in found if f.certainty.value == "race" and f.rule.startswith("AL2")]


@pytest.mark.parametrize(("app", "expected"), [(ANSWERED, []), (UNANSWERED, ["AL203"])])
def test_a_handler_given_to_what_makes_the_application_answers(app: str, expected: list[str], tmp_path: Path) -> None:
    making = f"def make(options):\n    return FastAPI(**options)\n\nasync def answer(request, error): ...\n\n{app}"
    assert rules(tmp_path, FOUND, making) == expected


INSERTS = """
@app.post("/clubs/{{id}}")
async def enter(id: int, names: list[str], db: AsyncSession = Depends(session)):
    seats = (await db.scalars(select(Seat).where(Seat.club_id == id, Seat.name.in_(names)))).all()
    if {test}:
        raise HTTPException(404)
    db.add(Seat(club_id=id, name=names[0]))
    await db.commit()
"""


@pytest.mark.parametrize(
    ("test", "racy"),
    [
        ("len(seats) < len(names)", False),
        ("len(seats) != len(names)", False),
        ("len(names) - len(seats) > 0", False),
        ("(missing := len(names) - len(seats)) > 0", False),
        ("len(seats) >= 5", True),
        ("len(seats) + len(names) > 5", True),
    ],
)
def test_rows_that_must_be_there_are_no_limit(test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, INSERTS.format(test=test))) is racy


NAMED = """
@app.post("/clubs/{{id}}")
async def enter(id: int, names: list[str], db: AsyncSession = Depends(session)):
    seats = (await db.scalars(select(Seat).where(Seat.club_id == id, Seat.name.in_(names)))).all()
    found = {{seat.name: seat for seat in seats}}
    odd = {odd}
    if {test}:
        raise HTTPException(409)
    db.add(Seat(club_id=id, name=names[0]))
    await db.commit()
"""


@pytest.mark.parametrize(
    ("odd", "test", "racy"),
    [
        ("[name for name in names if name not in found]", "odd", False),
        ("[name for name in names if name not in found]", "len(odd) > 0", False),
        ("set(names) - set(found)", "odd", False),
        ("[name for name in names if name in found]", "odd", True),
        ("[name for name in names if name in found]", "len(odd) > 0", True),
    ],
)
def test_what_must_be_there_is_no_check_of_what_is_new(odd: str, test: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, NAMED.format(odd=odd, test=test))) is racy


CHANGES = """
@app.put("/clubs/{{id}}")
async def change(id: int, owner: str, db: AsyncSession = Depends(session)):
    club = await db.scalar(select(Club).where(Club.id == id))
    {change}
    await db.commit()

@app.put("/others/{{id}}")
async def other(id: int, owner: str, db: AsyncSession = Depends(session)):
    await db.execute(update(Club).where(Club.id == id).values(owner=owner, state=owner, open=False))
    await db.commit()
"""


@pytest.mark.parametrize(
    ("change", "racy"),
    [
        ("if club.owner != owner: club.owner = owner", False),
        ("if not club.open: club.open = True", False),
        ("if club.open: club.open = False", False),
        ("if owner and not club.open: club.open = True", False),
        ("if club.members > 5 and not club.open: club.open = True", False),
        ("if club.state != 'closed': club.state = 'open'", True),
        ("if club.state == 'new': club.state = 'open'", True),
        ("if club.state == '': club.state = 'open'", True),
    ],
)
def test_to_set_what_differs_is_to_set_it(change: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, CHANGES.format(change=change))) is racy


PACKED = """
from sqlalchemy import JSON
from sqlalchemy.orm.attributes import flag_modified

class Settings(Base):
    __tablename__ = "settings"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[dict] = mapped_column(JSON)

@app.put("/settings/{{id}}")
async def change(id: int, key: str, db: AsyncSession = Depends(session)):
    row = await db.scalar(select(Settings).where(Settings.id == id))
    {change}
    flag_modified(row, "value")
    await db.commit()
"""


@pytest.mark.parametrize(
    ("change", "racy"),
    [
        ("row.value = {'key': key}", False),
        ("row.value['key'] = key", True),
        ("row.value = {**row.value, 'key': key}", True),
    ],
)
def test_a_document_that_is_replaced_is_not_merged(change: str, racy: bool, tmp_path: Path) -> None:
    assert bool(rules(tmp_path, PACKED.format(change=change))) is racy


NEXT = """
@app.post("/next")
async def take(db: AsyncSession = Depends(session)):
    club = await db.scalar(select(Club).where(Club.state == "waiting").order_by(Club.id).limit(1))
    club.state = "{state}"
    await db.commit()
"""


@pytest.mark.parametrize(("state", "expected"), [("running", ["AL207"]), ("cancelled", []), ("archived", [])])
def test_a_row_that_is_put_away_is_not_taken(state: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, NEXT.format(state=state)) == expected


def test_to_set_what_differs_is_a_race_where_more_follows(tmp_path: Path) -> None:
    change = """
    if not club.open:
        club.open = True
        db.add(Seat(club_id=club.id, name=owner))"""
    assert rules(tmp_path, CHANGES.format(change=change)) == ["AL202"]


SPENDS = """
@app.post("/tickets/{{code}}")
async def spend(code: str, db: AsyncSession = Depends(session)):
    ticket = await db.scalar(select(Ticket).where(Ticket.code == code))
    if ticket is None:
        raise HTTPException(404)
    club = await db.scalar(select(Club).where(Club.slug == "main").with_for_update())
    {use}
    await db.delete(ticket)
    await db.commit()
"""


@pytest.mark.parametrize(
    ("use", "racy"),
    [
        ("club.owner = ticket.owner", False),
        ("db.add(Log(text=ticket.code))", False),
        ("club.members += ticket.worth", True),
        ("club.members = club.members + ticket.worth", True),
        ("db.add(Seat(club_id=club.id, name=ticket.owner))", True),
    ],
)
def test_a_row_that_is_spent_counts_where_it_adds_something(use: str, racy: bool, tmp_path: Path) -> None:
    assert ("AL207" in rules(tmp_path, SPENDS.format(use=use))) is racy


FLUSHED = """
async def put(db: AsyncSession, slug: str) -> Club:
    club = Club(slug=slug, owner="me")
    db.add(club)
    try:
        await db.flush()
    except IntegrityError:
        {answer}
        raise
    return club

@app.post("/clubs/{{slug}}")
async def found(slug: str, db: AsyncSession = Depends(session)):
    club = await db.scalar(select(Club).where(Club.slug == slug))
    if club is None:
        club = await put(db, slug)
    await db.commit()
"""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("found = await db.scalar(select(Club).where(Club.slug == slug))\n        if found: return found", []),
        ("await db.rollback()", ["AL203"]),
    ],
)
def test_a_handler_that_mostly_answers(answer: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, FLUSHED.format(answer=answer)) == expected


LOCKED = """
@asynccontextmanager
async def {name}(name: str):
    taken = await ask(name)
    yield taken

@app.post("/clubs/{{id}}")
async def enter(id: int, db: AsyncSession = Depends(session)):
    async with {name}(f"club:{{id}}"):
        club = await db.scalar(select(Club).where(Club.id == id))
        if club.members > 5:
            raise HTTPException(409)
        club.members += 1
        await db.commit()
"""


@pytest.mark.parametrize(("name", "expected"), [("lock", []), ("club_lock", []), ("watch", ["AL202"])])
def test_a_lock_of_the_projects_own_making(name: str, expected: list[str], tmp_path: Path) -> None:
    assert rules(tmp_path, LOCKED.format(name=name)) == expected


UNREACHED = """
class Clubs:
    def __init__(self, sessions):
        self.sessions = sessions

    async def enter(self, slug: str):
        async with self.sessions() as db:
            club = await db.scalar(select(Club).where(Club.slug == slug))
            club.members = club.members + 1
            await db.commit()

{caller}
"""

CALLERS = {
    "a route through something injected": (
        """
@app.post("/clubs/{slug}")
async def enter_club(slug: str, request: Request):
    await request.app.state.clubs.enter(slug)
""",
        ["AL202"],
    ),
    "a task of a queue": (
        """
@broker.task
async def enter_later(clubs, slug: str):
    await clubs.enter(slug)
""",
        ["AL202"],
    ),
    "one of several handlers without a name": (
        """
@chat.on("enter")
async def _(clubs, slug: str):
    await clubs.enter(slug)

@chat.on("leave")
async def _(clubs, slug: str):
    await clubs.leave(slug)
""",
        ["AL202"],
    ),
    "a method that a library calls": (
        """
class Users(BaseUsers):
    async def on_after_login(self, user):
        await self.clubs.enter(user.slug)

async def users():
    yield Users()

@app.get("/me")
async def me(found: Users = Depends(users)):
    return found.me
""",
        ["AL202"],
    ),
    "a command": (
        """
@cli.command()
async def enter_now(clubs, slug: str):
    await clubs.enter(slug)
""",
        [],
    ),
    "the start": (
        """
@asynccontextmanager
async def lifespan(app):
    await app.state.clubs.enter("main")
    yield
""",
        [],
    ),
    "what the application is made with": (
        """
@asynccontextmanager
async def lifespan(app):
    await app.state.clubs.enter("main")
    yield

served = FastAPI(lifespan=lifespan)
""",
        [],
    ),
    "what makes the application": (
        """
def make():
    made = FastAPI()
    clubs = Clubs(Sessions)
    made.state.first = clubs.enter("main")
    return made

served = make()
""",
        [],
    ),
    "the start, and a route": (
        """
@asynccontextmanager
async def lifespan(app):
    await app.state.clubs.enter("main")
    yield

served = FastAPI(lifespan=lifespan)

@served.post("/clubs/{slug}")
async def enter_club(slug: str, request: Request):
    await request.app.state.clubs.enter(slug)
""",
        ["AL202"],
    ),
    "nobody": ("", []),
}


@pytest.mark.parametrize("name", CALLERS)
def test_a_function_that_no_request_leads_to_is_run_by_one(name: str, tmp_path: Path) -> None:
    caller, expected = CALLERS[name]
    assert rules(tmp_path, UNREACHED.replace("{caller}", caller)) == expected


KEYED = """
@app.post("/clubs/{id}/seats")
async def sit(id: int, request: Request, db: AsyncSession = Depends(session)):
    seats = {seat.name: seat for seat in (await db.scalars(select(Seat).where(Seat.club_id == id))).all()}
    if seats.get(wanted()) is None:
        db.add(Seat(club_id=id, name=wanted()))
        await db.commit()
"""


def test_a_constraint_on_more_than_was_seen_is_not_denied(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD.replace("{app}", "app = FastAPI()") + KEYED, encoding="utf-8")
    (finding,) = [f for f in autolock.check([tmp_path], cache=False).findings if f.rule == "AL203"]
    assert "unless a unique constraint refuses the second" in finding.message
    assert finding.fix is not None
    assert "[]" not in finding.fix.reason
