"""A name that a helper has looked for until it found one that is free: two requests find the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import secrets
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/zoo"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Animal(Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

def session():
    with Sessions() as opened:
        yield opened

def is_taken(db: Session, name: str) -> bool:
    return db.scalar(select(Animal.id).where(Animal.name == name)) is not None

def free_name(db: Session, wanted: str) -> str:
    BODY

@app.post("/animals/{name}")
def admit(name: str, db: Session = Depends(session)):
    animal = Animal(name=free_name(db, name))
    db.add(animal)
    db.commit()
"""

RACY = {
    "until it is free": """
    name, number = wanted, 2
    while is_taken(db, name):
        name, number = f"{wanted} {number}", number + 1
    return name""",
    "some of them": """
    for number in range(2, 9):
        name = f"{wanted} {number}"
        if is_taken(db, name):
            continue
        return name
    raise ValueError(wanted)""",
}
HARMLESS = {
    "made up": """
    name = secrets.token_hex(8)
    while is_taken(db, name):
        name = secrets.token_hex(8)
    return name""",
    "of no table": """
    name = wanted
    while len(name) < 3:
        name = name + "-"
    return name""",
}


@pytest.mark.parametrize("body", RACY.values(), ids=RACY)
def test_two_requests_find_the_same_name_free(body: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP.replace("    BODY", body))
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == ["AL203"]


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_a_name_that_nobody_else_looks_for_is_no_finding(body: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP.replace("    BODY", body))
    assert not autolock.check([tmp_path], cache=False).findings
