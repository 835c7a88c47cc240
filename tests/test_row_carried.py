"""A new value that is carried to the row in an object of changes, through a repository of any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from typing import Generic, TypeVar

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlmodel import Field, Session, SQLModel, create_engine

engine = create_engine("postgresql+psycopg://db/shop")
app = FastAPI()
M = TypeVar("M")
C = TypeVar("C")

class Part(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    stock: int
    name: str

class Change(BaseModel):
    stock: int | None = None
    name: str | None = None

class Crud(Generic[M, C]):
    def __init__(self, model: type[M]) -> None:
        self.model = model

    def get(self, session: Session, key: int) -> M:
        return session.get_one(self.model, key)

    def update(self, session: Session, row: M, change: C) -> M:
        SET
        session.add(row)
        session.commit()
        return row

parts = Crud[Part, Change](Part)

def get_session():
    with Session(engine) as session:
        yield session

@app.post("/parts/{number}")
def use(number: int, count: int, session: Session = Depends(get_session)):
    part = parts.get(session, number)
    return parts.update(session, part, Change(VALUE))

@app.patch("/parts/{number}")
def patch(number: int, change: Change, session: Session = Depends(get_session)):
    return parts.update(session, parts.get(session, number), change)
"""
SETTING = [
    "row.sqlmodel_update(change.model_dump(exclude_unset=True))",
    "row.sqlmodel_update(change.dict(exclude_unset=True))",
    "row.stock = change.stock",
    """for key, value in change.model_dump(exclude_unset=True).items():
            setattr(row, key, value)""",
]


def found(folder: Path, setting: str, value: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(APP.replace("SET\n", f"{setting}\n").replace("VALUE", value))
    return [(f.place.function, f.location) for f in autolock.check([folder], cache=False).findings]


@pytest.mark.parametrize("setting", SETTING)
def test_a_value_computed_from_the_row_is_lost(setting: str, tmp_path: Path) -> None:
    assert found(tmp_path, setting, "stock=part.stock - count") == [("use", "Part.stock")]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "with_for_update" in (tmp_path / "main.py").read_text()


@pytest.mark.parametrize("setting", SETTING)
def test_a_value_of_the_request_or_the_old_one_is_not(setting: str, tmp_path: Path) -> None:
    assert found(tmp_path, setting, "stock=count") == []
    assert found(tmp_path, setting, "stock=part.stock") == []
