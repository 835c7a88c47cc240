"""A column is checked and then given what the request says: a race only where the next request would be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from datetime import datetime

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/desk"))
app = FastAPI()
NEXT = {"open": {"closed", "lost"}, "closed": set(), "lost": set()}
EDITABLE = ("open", "waiting")

class Base(DeclarativeBase):
    pass

class Case(Base):
    __tablename__ = "cases"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    owner: Mapped[str | None]
    title: Mapped[str]
    best: Mapped[int]
    holder: Mapped[str | None]
    seen: Mapped[datetime]
    password: Mapped[str]

    @property
    def is_free(self) -> bool:
        return self.owner is None

def session():
    with Sessions() as db:
        yield db

def pay_out(title: str) -> str:
    ...

def may_become(old: str, new: str) -> bool:
    return new in NEXT[old]

@app.put("/cases/{id}")
def change(id: int, new: str, mark: int, day: datetime, db: Session = Depends(session)):
    case = db.get(Case, id)
    BODY
    db.commit()
"""


def functions(folder: Path, body: str) -> list[str]:
    """Where something is found in an application whose handler has this body."""
    (folder / "main.py").write_text(APP.replace("BODY", body.replace("\n", "\n    ")))
    return [f.place.function for f in autolock.check([folder], cache=False).findings]


REFUSED = {
    "a table of transitions": "if new not in NEXT[case.state]:\n    raise HTTPException(409)\ncase.state = new",
    "a function that decides": "if not may_become(case.state, new):\n    raise HTTPException(409)\ncase.state = new",
    "one state": "if case.state != 'open':\n    raise HTTPException(409)\ncase.state = new",
    "some states": "if case.state not in EDITABLE:\n    return None\ncase.state = new",
    "nothing yet": "if case.owner is not None:\n    raise HTTPException(409)\ncase.owner = new",
    "nothing yet, through a property": (
        "if not case.is_free and case.owner != new:\n    raise HTTPException(409)\ncase.owner = new"
    ),
    "nothing yet, in SQL text": (
        "row = db.execute(text('SELECT owner FROM cases WHERE id = :id'), {'id': id}).mappings().first()\n"
        "if row['owner'] is not None:\n    raise HTTPException(409)\n"
        "db.execute(text('UPDATE cases SET owner = :new WHERE id = :id'), {'new': new, 'id': id})"
    ),
    "a higher bid": "if mark <= case.best:\n    raise HTTPException(409)\ncase.best = mark",
    "a new record": "if mark > case.best:\n    case.best = mark",
    "a new record, in SQL text": (
        "row = db.execute(text('SELECT best FROM cases WHERE id = :id'), {'id': id}).mappings().first()\n"
        "if mark <= row['best']:\n    return False\n"
        "db.execute(text('UPDATE cases SET best = :best, holder = :new WHERE id = :id'),"
        " {'best': mark, 'new': new, 'id': id})"
    ),
    "a revision that the client has named": (
        "if case.best != mark:\n    raise HTTPException(409)\ncase.title = new\ncase.best = mark + 1"
    ),
    "a newer one, of a new row": (
        "letter = Case(title=new)\n"
        "if case.seen < letter.seen:\n    case.seen = letter.seen\n    case.owner = letter.owner"
    ),
    "paid because it was not yet": (
        "if case.seen is not None:\n    raise HTTPException(409)\n"
        "receipt = pay_out(case.title)\ncase.seen = datetime.now()"
    ),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_who_comes_second_replaces_what_would_have_refused_it(body: str, tmp_path: Path) -> None:
    assert functions(tmp_path, body) == ["change"]


HARMLESS = {
    "only when it differs": "if case.title != new:\n    case.title = new",
    "already so": "if case.title == new:\n    raise HTTPException(400)\ncase.title = new",
    "only the same again": "if new and new != case.title:\n    raise HTTPException(400)\ncase.title = new",
    "another column": "if case.state != 'open':\n    raise HTTPException(409)\ncase.title = new",
    "a guard of the old secret": (
        "if not may_become(case.password, new):\n    raise HTTPException(403)\ncase.password = new"
    ),
    "when it was seen last": "if day > case.seen:\n    case.seen = day",
    "a branch": "if case.owner is None:\n    case.owner = new",
    "a revision that was there": "if case.best != mark:\n    raise HTTPException(409)\ncase.title = new",
    "paid, and then looked at": (
        "pay_out(case.title)\nif case.seen is not None:\n    raise HTTPException(409)\ncase.seen = datetime.now()"
    ),
    "the time": "if case.seen is not None:\n    raise HTTPException(409)\ncase.seen = datetime.now()",
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_a_check_that_no_other_request_turns_is_no_finding(body: str, tmp_path: Path) -> None:
    assert functions(tmp_path, body) == []


PERIODS = """
@app.post("/cases/{id}/calls")
def call(id: int, now: datetime, db: Session = Depends(session)):
    case = db.get(Case, id)
    if now >= case.seen:
        COUNT
        case.seen = None
    db.commit()

@app.post("/cases/{id}/marks")
def mark(id: int, db: Session = Depends(session)):
    db.execute(update(Case).where(Case.id == id).values(best=Case.best + 1))
    db.commit()
"""


@pytest.mark.parametrize(
    ("count", "expected"),
    [("case.best = 0", ["call"]), ("case.title = 'quiet'", []), ("pass", [])],
)
def test_a_count_that_begins_again_when_a_period_is_over(count: str, expected: list[str], tmp_path: Path) -> None:
    text = APP.replace("BODY", "pass").replace("import create_engine,", "import create_engine, update,")
    (tmp_path / "main.py").write_text(text + PERIODS.replace("COUNT", count), encoding="utf-8")
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == expected
