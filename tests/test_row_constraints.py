"""Which constraint a check is said to want: one that the application can live with."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import secrets
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql://localhost/shop"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Shift(Base):
    __tablename__ = "shifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    store: Mapped[int]
    state: Mapped[str]
    code: Mapped[str] = mapped_column(default="")
    partner: Mapped[int]

class Partner(Base):
    __tablename__ = "partners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

def get_session():
    with SessionLocal() as session:
        yield session
"""
HANDLER = """
@app.post("/shifts")
def begin(store: int, code: str, name: str, session: Session = Depends(get_session)):
    partner = session.query(Partner).filter_by(name=name).first()
LOOK
    session.add(Shift(GIVEN))
    session.commit()
"""
TAKEN = "if session.query(Shift).filter_by(ASKED).first():\n    raise HTTPException(409)"
ALL = "store=store, state='open', code=code, partner=int(name)"


def advice(folder: Path, asked: str, given: str = ALL, guard: str = "", before: str = "") -> str:
    """What is said about a check that no constraint covers."""
    look = TAKEN.replace("ASKED", asked)
    look = f"{guard}\n{textwrap.indent(look, '    ')}" if guard else look
    body = HANDLER.replace("LOOK", textwrap.indent(look, "    ")).replace("GIVEN", given)
    (folder / "main.py").write_text(HEAD + before + body)
    (finding,) = autolock.check([folder], cache=False).findings
    assert finding.rule == "AL203"
    return finding.fix.reason


def test_a_check_by_columns_alone_wants_a_constraint_on_all_of_them(tmp_path: Path) -> None:
    assert "op.create_unique_constraint(None, 'shifts', ['store', 'code'])" in advice(
        tmp_path, "store=store, code=code"
    )


def test_a_column_that_is_compared_with_a_literal_says_which_rows_it_is_about(tmp_path: Path) -> None:
    said = advice(tmp_path, "store=store, state='open'")
    assert "Index('uq_shifts_store', Shift.store, unique=True, postgresql_where=Shift.state == 'open')" in said


def test_a_check_that_is_only_made_of_what_is_given_leaves_empty_values_alone(tmp_path: Path) -> None:
    assert "Shift.code, unique=True, postgresql_where=Shift.code != '')" in advice(
        tmp_path, "code=code", guard="if code:"
    )


def test_no_column_is_named_where_the_new_row_has_another_value_in_one_of_them(tmp_path: Path) -> None:
    assert "cannot be seen in full" in advice(tmp_path, "store=store, partner=partner.id")


def test_a_random_token_is_not_said_to_be_unique(tmp_path: Path) -> None:
    given = "store=store, state='open', code=made_of(store), partner=1"
    making = "def made_of(store: int) -> str:\n    return f'{store}-{secrets.token_hex()}'\n"
    assert "'code'" not in advice(tmp_path, "store=store, code=code", given, before=making)
