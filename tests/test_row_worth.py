"""What a finding about rows is worth: what is only set, made once, or named by nobody, beside what adds up."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.findings import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.findings import Finding

HEAD = """
from datetime import datetime
from uuid import uuid4
import httpx
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, UniqueConstraint, select, update
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/library"), expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Reader(Base):
    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    branch_id: Mapped[int]
    verified: Mapped[bool]
    code: Mapped[str | None]
    code_until: Mapped[datetime | None]
    shelves: Mapped[list["Shelf"]] = relationship(back_populates="reader")

class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    reader_id: Mapped[int] = mapped_column(ForeignKey("readers.id"))
    label: Mapped[str]
    reader: Mapped[Reader] = relationship(back_populates="shelves")

class Loan(Base):
    __tablename__ = "loans"
    id: Mapped[int] = mapped_column(primary_key=True)
    reader_id: Mapped[int]
    token: Mapped[str]
    state: Mapped[str]
    until: Mapped[datetime]

class Fee(Base):
    __tablename__ = "fees"
    id: Mapped[int] = mapped_column(primary_key=True)
    loan_id: Mapped[int]

class Outbox(Base):
    __tablename__ = "outbox_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]

class Told(Base):
    __tablename__ = "loan_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]

class Rules(Base):
    __tablename__ = "rules"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    days: Mapped[int]

class Pass(Base):
    __tablename__ = "passes"
    __table_args__ = (UniqueConstraint("branch_id", "reader_id", "room"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    branch_id: Mapped[int]
    reader_id: Mapped[int]
    room: Mapped[str]

async def session():
    async with Sessions() as opened:
        yield opened
"""


def findings(folder: Path, body: str) -> list[Finding]:
    """What is found in an app of one file, as races."""
    (folder / "pyproject.toml").write_text("[project]\nname = 'library'\n")
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    return [f for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"]


def told(folder: Path, body: str) -> list[tuple[str, Severity]]:
    """The rules and severities of what is found."""
    return [(f.rule, f.severity) for f in findings(folder, body)]


RETURN = """
    @app.post("/loans/{{id}}/return")
    async def give_back(id: int, db: AsyncSession = Depends(session)):
        loan = await db.get(Loan, id)
        if loan.state != "out":
            raise HTTPException(409)
        loan.state = "back"
        {more}
        await db.commit()

    @app.post("/loans/{{id}}/lose")
    async def lose(id: int, db: AsyncSession = Depends(session)):
        await db.execute(update(Loan).where(Loan.id == id).values(state="lost"))
        await db.commit()
    """


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ("loan.until = datetime.now()", Severity.LOW),
        ("db.add(Fee(loan_id=loan.id))", Severity.MEDIUM),
        ("db.add(Outbox(text='returned'))", Severity.MEDIUM),
        ("db.add(Told(text='returned'))", Severity.LOW),
        ("notify(loan.reader_id)", Severity.MEDIUM),
        ("paid = httpx.post('https://pay/loans')", Severity.MEDIUM),
    ],
)
def test_a_state_that_is_only_set_is_worth_less_than_what_follows_from_it(
    more: str, severity: Severity, tmp_path: Path
) -> None:
    assert told(tmp_path, RETURN.format(more=more)) == [("AL202", severity)]


VERIFY = """
    @app.post("/verify")
    async def verify(code: str, db: AsyncSession = Depends(session)):
        reader = await db.scalar(select(Reader).where(Reader.code == code))
        if {test}:
            raise HTTPException(410)
        reader.verified = True
        reader.code_until = None
        {more}
        await db.commit()

    @app.post("/codes")
    async def code(id: int, db: AsyncSession = Depends(session)):
        reader = await db.get(Reader, id)
        reader.code, reader.code_until = uuid4().hex, datetime.now()
        await db.commit()
    """


@pytest.mark.parametrize(
    ("test", "more", "rules"),
    [
        ("reader.code_until < datetime.now()", "", []),
        ("reader.code_until < datetime.now()", "db.add(Fee(loan_id=1))", ["AL202"]),
    ],
)
def test_a_date_that_is_taken_away_before_it_has_passed_is_taken_away_again(
    test: str, more: str, rules: list[str], tmp_path: Path
) -> None:
    assert [f.rule for f in findings(tmp_path, VERIFY.format(test=test, more=more))] == rules


SETTINGS = """
    @app.get("/rules")
    async def rules(db: AsyncSession = Depends(session)):
        found = {look}
        if found is None:
            found = Rules(kind="standard", days=14)
            db.add(found)
            await db.commit()
        return found.days

    @app.put("/rules")
    async def change(days: int, db: AsyncSession = Depends(session)):
        {change}
        await db.commit()
    """
FIRST = "(await db.scalars(select(Rules))).first()"
STANDARD = "(await db.scalars(select(Rules).where(Rules.kind == 'standard'))).first()"
ONLY = "(await db.scalars(select(Rules))).one_or_none()"
KEEPS = "await db.execute(update(Rules).values(days=days))"
RENAMES = "await db.execute(update(Rules).values(kind='former', days=days))"


@pytest.mark.parametrize(
    ("look", "change", "severity"),
    [
        (FIRST, KEEPS, Severity.LOW),
        (STANDARD, KEEPS, Severity.LOW),
        (STANDARD, RENAMES, Severity.MEDIUM),
        (ONLY, KEEPS, Severity.MEDIUM),
    ],
)
def test_a_row_that_is_made_once_for_all_is_worth_little_where_two_do_no_harm(
    look: str, change: str, severity: Severity, tmp_path: Path
) -> None:
    assert told(tmp_path, SETTINGS.format(look=look, change=change)) == [("AL203", severity)]


def test_the_only_row_of_a_table_wants_no_constraint(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, SETTINGS.format(look=FIRST, change=KEEPS))
    assert "when the application starts" in finding.fix.reason
    assert "unique constraint" not in finding.fix.reason


RENEW = """
    @app.post("/renew")
    async def renew(token: str, db: AsyncSession = Depends(session)):
        {look}
        {test}
        db.add(Loan(reader_id=1, token=uuid4().hex, state="out", until=datetime.now()))
        await db.commit()
    """
DEMANDED = "loan = (await db.execute(select(Loan).where(Loan.token == token))).scalar_one()"
EXPECTED = """
        try:
            loan = (await db.execute(select(Loan).where(Loan.token == token))).scalar_one()
        except NoResultFound:
            loan = None
        """


def test_nothing_is_put_where_a_look_that_must_find_something_has_found_it(tmp_path: Path) -> None:
    expired = "if datetime.now() >= loan.until:\n            raise HTTPException(410)"
    assert not findings(tmp_path, RENEW.format(look=DEMANDED, test=expired))


INVITE = """
    @app.post("/shelves/{{label}}")
    async def shelf(label: str, db: AsyncSession = Depends(session)):
        {look}
        db.add(Shelf(reader_id=1, label=label))
        await db.commit()
    """


@pytest.mark.parametrize(
    ("look", "rules"),
    [
        (
            "found = (await db.execute(select(Shelf).where(Shelf.label == label))).scalar_one()\n"
            "        if found: pass",
            [],
        ),
        (
            "found = (await db.execute(select(Shelf).where(Shelf.label == label))).scalar_one_or_none()\n"
            "        if found: raise HTTPException(409)",
            ["AL203"],
        ),
    ],
)
def test_who_must_find_a_row_adds_none_because_it_was_missing(look: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, INVITE.format(look=look))] == rules


def test_a_look_whose_exception_is_expected_may_find_nothing(tmp_path: Path) -> None:
    body = """
    async def find(db, label):
        try:
            return (await db.execute(select(Shelf).where(Shelf.label == label))).scalar_one()
        except NoResultFound:
            return None

    @app.post("/shelves/{label}")
    async def shelf(label: str, db: AsyncSession = Depends(session)):
        if await find(db, label):
            raise HTTPException(409)
        db.add(Shelf(reader_id=1, label=label))
        await db.commit()
    """
    assert [f.rule for f in findings(tmp_path, body)] == ["AL203"]


SHELVES = """
    class Item(BaseModel):
        id: int | None = None
        label: str

    @app.put("/readers/{{id}}/shelves")
    async def arrange(id: int, items: list[Item], db: AsyncSession = Depends(session)):
        reader = await db.scalar(select(Reader).where(Reader.id == id).options(selectinload(Reader.shelves)))
        known = {{shelf.{key}: shelf for shelf in reader.shelves}}
        for item in items:
            if item.{key} and item.{key} in known:
                known[item.{key}].label = item.label
            else:
                db.add(Shelf(reader_id=reader.id, label=item.label))
        await db.commit()
    """


@pytest.mark.parametrize(("key", "rules"), [("id", []), ("label", ["AL203"])])
def test_what_the_client_has_named_no_key_of_is_new_for_everybody(key: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, SHELVES.format(key=key))] == rules


PASS = """
    async def reader(name: str, db: AsyncSession = Depends(session)):
        return await db.scalar(select(Reader).where(Reader.code == name))

    @app.post("/passes/{{room}}")
    async def allow(room: str, me: Reader = Depends(reader), db: AsyncSession = Depends(session)):
        found = await db.scalar(select(Pass).where(Pass.reader_id == me.id, Pass.room == room))
        if not found:
            db.add(Pass(branch_id={branch}, reader_id=me.id, room=room))
            await db.commit()
    """


@pytest.mark.parametrize(("branch", "severity"), [("me.branch_id", Severity.LOW), ("pick()", Severity.MEDIUM)])
def test_a_constraint_on_what_the_same_request_always_gives_refuses_the_second(
    branch: str, severity: Severity, tmp_path: Path
) -> None:
    assert told(tmp_path, PASS.format(branch=branch)) == [("AL203", severity)]


REMOVE = """
    @app.post("/shelves/{{id}}")
    async def remove(id: int, keep: bool, db: AsyncSession = Depends(session)):
        shelf = await db.get(Shelf, id)
        if shelf is None:
            raise HTTPException(404)
        {remove}
        await db.commit()
    """
GIVES = "db.add(Loan(reader_id=shelf.reader_id, token='', state='out', until=None))"


@pytest.mark.parametrize(
    ("remove", "rules"),
    [
        (f"{GIVES}\n        await db.delete(shelf)", ["AL207"]),
        (f"if keep:\n            {GIVES}\n        else:\n            await db.delete(shelf)", []),
        (
            "await db.execute(update(Loan).where(Loan.reader_id == shelf.reader_id)"
            ".values(reader_id=0, token=Loan.token + shelf.label))\n        await db.delete(shelf)",
            [],
        ),
    ],
)
def test_a_row_is_taken_twice_where_something_follows_from_that(remove: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, REMOVE.format(remove=remove))] == rules


def test_what_a_search_has_found_is_not_taken(tmp_path: Path) -> None:
    body = """
    @app.get("/shelves")
    async def search(text: str, db: AsyncSession = Depends(session)):
        found = (await db.scalars(select(Shelf).where(Shelf.label.{operator}).order_by(Shelf.id).limit(1))).first()
        found.label = "{text}"
        await db.commit()
    """
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert not findings(tmp_path / "a", body.replace("{operator}", "ilike(text)").replace("{text}", "seen"))
    taken = body.replace("{operator}", "in_(['new'])").replace("{text}", "seen")
    assert [f.rule for f in findings(tmp_path / "b", taken)] == ["AL207"]


ACT = """
    async def locked(db, id):
        found = (await db.execute(select(Loan.id).where(Loan.id == id).with_for_update())).scalar_one_or_none()
        if found is None:
            raise HTTPException(404)
        return await db.get(Loan, found)

    async def prolong(db, id, who=None):
        loan = await locked(db, id)
        if loan.state != "out":
            raise HTTPException(409)
        loan.state = "prolonged"
        db.add(Fee(loan_id=id))

    @app.post("/loans/{id}/prolong")
    async def route(id: int, who: str, db: AsyncSession = Depends(session)):
        if who == "":
            await prolong(db, id)
        else:
            await prolong(db, id, who)
        await db.commit()
    """


def test_what_the_other_branch_has_loaded_is_not_known_here(tmp_path: Path) -> None:
    assert not findings(tmp_path, ACT)


LIMIT = """
    from sqlalchemy import func

    @app.post("/readers/{{id}}/shelves/{{other}}")
    async def shelf(id: int, other: int, label: str, db: AsyncSession = Depends(session)):
        await db.execute(select(Reader).where(Reader.id == id).with_for_update())
        if await db.scalar(select(func.count(Shelf.id)).where(Shelf.reader_id == id)) > 3:
            raise HTTPException(409)
        shelf = Shelf(reader_id=id, label=label)
        db.add(shelf)
        await db.commit()
        if not httpx.post("https://print/label").is_success:
            await db.delete({removed})
            await db.commit()
    """


@pytest.mark.parametrize(("removed", "rules"), [("shelf", []), ("await db.get(Shelf, other)", ["AL208"])])
def test_a_row_of_its_own_that_a_run_takes_back_is_no_decision_about_others(
    removed: str, rules: list[str], tmp_path: Path
) -> None:
    assert [f.rule for f in findings(tmp_path, LIMIT.format(removed=removed)) if f.rule == "AL208"] == rules


PURGE = """
    from sqlalchemy import delete, func

    @app.post("/readers/{{id}}/shelves/{{shelf}}")
    async def tidy(id: int, shelf: int, db: AsyncSession = Depends(session)):
        count = await db.scalar(select(func.count(Shelf.id)).where(Shelf.reader_id == id))
        if count {test}:
            old = (await db.scalars(select(Shelf.id).where(Shelf.reader_id == id).order_by(Shelf.id))).first()
            await db.execute(delete(Shelf).where({which}))
            await db.commit()
    """


@pytest.mark.parametrize(("which", "rules"), [("Shelf.id == old", []), ("Shelf.id == shelf", ["AL208"])])
def test_who_looks_up_what_is_too_much_takes_nothing_twice(which: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, PURGE.format(test="> 1", which=which))] == rules


TURN = """
    from sqlalchemy import text

    @app.post("/loans/{{id}}/prolong")
    async def prolong(id: int, db: AsyncSession = Depends(session)):
        async with Sessions() as guard:
            if not await guard.scalar({lock}, {{"id": id}}):
                raise HTTPException(409)
            loan = await db.get(Loan, id)
            if loan.state != "out":
                raise HTTPException(409)
            loan.state = "prolonged"
            db.add(Fee(loan_id=id))
            {end}
    """
TRY = 'text("SELECT pg_try_advisory_lock(:id)")'
FREE = 'await guard.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": id})'


@pytest.mark.parametrize(
    ("lock", "end", "racy"),
    [
        (TRY, f"await db.commit()\n            {FREE}", False),
        (TRY, f"{FREE}\n            await db.commit()", True),
    ],
)
def test_an_advisory_lock_of_another_connection_holds_until_it_is_given_back(
    lock: str, end: str, racy: bool, tmp_path: Path
) -> None:
    assert bool(findings(tmp_path, TURN.format(lock=lock, end=end))) is racy


OTP = """
    from sqlalchemy import text

    @app.post("/codes/{{code}}")
    async def spend(code: str, db: AsyncSession = Depends(session)):
        found = (await db.execute(text(
            "SELECT id, until FROM loans WHERE token = :code AND state = 'open' ORDER BY until DESC LIMIT 1"
        ), {{"code": code}})).fetchone()
        if found is None or found.until < datetime.now():
            raise HTTPException(410)
        await db.execute(text("UPDATE loans SET state = 'spent' WHERE id = :id"), {{"id": {id}}})
        await db.commit()
    """


def test_the_row_that_a_look_has_found_is_not_another_one(tmp_path: Path) -> None:
    assert "AL208" not in [f.rule for f in findings(tmp_path, OTP.format(id="found.id"))]


TAKE = """
    @app.delete("/loans/{{id}}")
    async def take(id: int, db: AsyncSession = Depends(session)):
        {before}
        loan = await db.scalar(select(Loan).where(Loan.id == id).with_for_update())
        if loan is None:
            raise HTTPException(404)
        reader = await db.scalar(select(Reader).where(Reader.id == loan.reader_id).with_for_update())
        reader.branch_id += loan.reader_id
        await db.delete(loan)
        await db.commit()
    """
KNOWN = "if (await db.scalar(select(Loan).where(Loan.id == id))).state == 'lost': raise HTTPException(409)"


@pytest.mark.parametrize(("before", "rules"), [("", []), (KNOWN, ["AL206"])])
def test_a_locked_row_is_not_taken_twice_but_may_be_old(before: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, TAKE.format(before=before))] == rules


COUNTED = """
    from redis.asyncio import Redis

    redis = Redis()

    @app.post("/codes/{{name}}")
    async def send(name: str):
        left = await redis.get(f"codes:{{name}}")
        if int(left or 0) {test}:
            raise HTTPException(429)
        await redis.{change}(f"codes:{{name}}")
    """


@pytest.mark.parametrize(
    ("test", "change", "severity"), [(">= 5", "incr", Severity.MEDIUM), ("<= 0", "decr", Severity.HIGH)]
)
def test_one_too_many_is_worth_less_than_one_spent_twice(
    test: str, change: str, severity: Severity, tmp_path: Path
) -> None:
    assert told(tmp_path, COUNTED.format(test=test, change=change)) == [("AL202", severity)]


def test_a_member_of_an_enumeration_is_a_constant_too(tmp_path: Path) -> None:
    body = "\n    from enum import Enum\n\n    class State(Enum):\n        OUT = 'out'\n        BACK = 'back'\n"
    asked = RETURN.replace('loan.state = "back"', "loan.state = State.BACK.value").format(more="pass")
    assert told(tmp_path, body + asked) == [("AL202", Severity.LOW)]


USELESS = """
    async def push(code):
        raise ValueError(code)

    @app.post("/readers/{{id}}/push")
    async def tell(id: int, db: AsyncSession = Depends(session)):
        reader = await db.get(Reader, id)
        if not reader.code:
            return
        try:
            await push(reader.code)
        except ValueError:
            {failed}
        await db.commit()

    @app.put("/readers/{{id}}/code")
    async def change(id: int, code: str, db: AsyncSession = Depends(session)):
        await db.execute(update(Reader).where(Reader.id == id).values(code=code))
        await db.commit()
    """


@pytest.mark.parametrize(
    ("failed", "rules"),
    [
        ("await db.execute(update(Reader).where(Reader.id == id).values(code=None))", []),
        ("await db.execute(update(Reader).where(Reader.id == id).values(code='none'))", ["AL202"]),
    ],
)
def test_what_was_of_no_use_is_taken_away_again(failed: str, rules: list[str], tmp_path: Path) -> None:
    assert [f.rule for f in findings(tmp_path, USELESS.format(failed=failed))] == rules
