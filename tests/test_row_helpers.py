"""Rows that a helper looks at: its answer decides, it stands behind an abstract class, or too much code comes first."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from abc import ABC, abstractmethod
from typing import Protocol

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("postgresql+psycopg://localhost/shop")
SessionLocal = sessionmaker(engine)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    show: Mapped[int]
    guest: Mapped[str]
    left: Mapped[int]

def get_session():
    with SessionLocal() as session:
        yield session

"""

TAKE = """
@app.post("/seats/{{show}}")
def take(show: int, guest: str, session: Session = Depends(get_session)):
{body}
    session.add(Seat(show=show, guest=guest, left=1))
    session.commit()
"""

CHECK = """
def check(session, show, guest):
    found = session.query(Seat).filter(Seat.show == show, Seat.guest == guest).first()
    if found:
        return {no}
    return {yes}
"""


def races(tmp_path: Path, code: str) -> list[tuple[str, str]]:
    (tmp_path / "app.py").write_text(HEAD + textwrap.dedent(code))
    found = autolock.check([tmp_path]).findings
    return sorted((f.rule, f.place.function) for f in found if f.certainty.value == "race")


@pytest.mark.parametrize(
    ("no", "yes", "body"),
    [
        (
            'False, "taken"',
            "True, None",
            "ok, why = check(session, show, guest)\nif not ok:\n    raise HTTPException(409, why)",
        ),
        ("False", "True", "ok = check(session, show, guest)\nif not ok:\n    raise HTTPException(409)"),
        ("True", "False", "taken = check(session, show, guest)\nif taken:\n    raise HTTPException(409)"),
    ],
    ids=["several values", "a name for what is well", "a name for what is wrong"],
)
def test_the_answer_of_a_helper_is_what_it_has_looked_at(tmp_path: Path, no: str, yes: str, body: str) -> None:
    code = CHECK.format(no=no, yes=yes) + TAKE.format(body=textwrap.indent(body, "    "))
    assert races(tmp_path, code) == [("AL203", "take")]


def test_the_answer_of_a_helper_about_something_else_decides_nothing(tmp_path: Path) -> None:
    body = "ok, why = check(show)\nif not ok:\n    raise HTTPException(409, why)"
    code = 'def check(show):\n    if show < 1:\n        return False, "no such show"\n    return True, None\n'
    assert races(tmp_path, code + TAKE.format(body=textwrap.indent(body, "    "))) == []


STORE = """
class Seats({base}):
    {mark}
    def find(self, id: int): ...
    {mark}
    def keep(self, id: int, left: int): ...

class InMemorySeats{derived}:
    def find(self, id: int):
        return 1
    def keep(self, id: int, left: int):
        pass

class SqlSeats{derived}:
    def __init__(self, factory: sessionmaker):
        self._factory = factory
    def find(self, id: int):
        with self._factory() as session:
            return session.get(Seat, id).left
    def keep(self, id: int, left: int):
        with self._factory() as session:
            session.get(Seat, id).left = left
            session.commit()

def take(seats: Seats, id: int):
    left = seats.find(id)
    if left < 1:
        raise HTTPException(409)
    seats.keep(id, left - 1)

def create_app(seats: Seats) -> FastAPI:
    app = FastAPI()
    @app.post("/seats/{{id}}")
    def route(id: int):
        take(seats, id)
    return app
"""


@pytest.mark.parametrize(
    ("base", "mark", "derived"),
    [("ABC", "@abstractmethod", "(Seats)"), ("Protocol", "", ""), ("Protocol", "", "(Seats)")],
)
def test_what_an_abstract_class_stands_for_is_followed(tmp_path: Path, base: str, mark: str, derived: str) -> None:
    assert races(tmp_path, STORE.format(base=base, mark=mark, derived=derived)) == [("AL202", "take")]


def test_a_class_with_a_method_of_the_same_name_does_not_stand_behind_a_protocol(tmp_path: Path) -> None:
    code = STORE.format(base="Protocol", mark="", derived="").replace(
        "def keep(self, id: int, left: int):\n        with", "def put(self, id: int, left: int):\n        with"
    )
    assert races(tmp_path, code) == []


def test_a_helper_that_a_long_handler_was_given_up_in_is_followed_by_itself(tmp_path: Path) -> None:
    plain = "\n".join(f"    x{n} = {n}" for n in range(140))
    names = [f"step{n}" for n in range(21)]
    steps = "\n".join(f"def {name}():\n{plain}\n" for name in names)
    code = f"""
{steps}
def book(session: Session, id: int):
    seat = session.get(Seat, id)
{plain}
    if seat.left > 0:
        seat.left = seat.left - 1
    session.commit()

@app.post("/seats/{{id}}/book")
def route(id: int, session: Session = Depends(get_session)):
    {"; ".join(f"{name}()" for name in names)}
    book(session, id)
"""
    assert races(tmp_path, code) == [("AL202", "book")]
