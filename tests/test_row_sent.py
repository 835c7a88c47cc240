"""What has been sent, and what not yet, when a row is looked for: charges, new rows, blocks without autoflush."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql+psycopg://db/press"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Issue(Base):
    __tablename__ = "issues"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    printed: Mapped[int]

def session():
    with Sessions() as opened:
        yield opened

def find(db: Session, title: str):
    return db.scalars(select(Issue).where(Issue.title == title)).first()

def charge_account(amount):
    ...

@app.get("/issues/{title}")
def show(title: str, db: Session = Depends(session)):
    return find(db, title).printed

@app.post("/issues/{title}")
def press(title: str, copies: int, db: Session = Depends(session)):
"""


def fixed(folder: Path, body: str) -> tuple[list[tuple[str, str]], str]:
    """Rule and refusal of each finding in an endpoint with this body, and the file with the fixes."""
    text = HEAD + textwrap.indent(textwrap.dedent(body), "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    found = [(f.rule, "" if f.fix.files else f.fix.reason) for f in autolock.check([folder], cache=False).findings]
    autolock.fix([folder], cache=False, apply=True)
    return found, (folder / "main.py").read_text(encoding="utf-8").removeprefix(HEAD)


@pytest.mark.parametrize("leaving", ["return issue", "raise HTTPException(409)"])
def test_whoever_has_charged_before_the_row_was_there_is_not_told_that_all_is_well(
    tmp_path: Path, leaving: str
) -> None:
    body = f"""
        issue = find(db, title)
        if issue is not None:
            {leaving}
        charge_account(copies)
        issue = Issue(title=title, printed=0)
        db.add(issue)
        db.commit()
        return issue
        """
    found, after = fixed(tmp_path, body)
    ((rule, reason),) = found
    assert rule == "AL203"
    assert "`charge_account` is called before the row is there" in reason
    assert "except IntegrityError" not in after
    found, after = fixed(tmp_path, body.replace("charge_account(copies)", "print(copies)"))
    assert found == [("AL203", "")]
    assert "except IntegrityError" in after


NEW = """
    issue = find(db, title)
    if issue is None:
        issue = Issue(title=title, printed=0)
        db.add(issue)
        {0}
    issue.printed += copies
    if issue.printed > 900:
        raise HTTPException(409)
    db.commit()
    """


def test_a_row_that_is_not_in_the_database_yet_is_not_read_again(tmp_path: Path) -> None:
    """SQLAlchemy would raise: the instance is not persistent within this session."""
    _, after = fixed(tmp_path, NEW.format("pass"))
    assert "db.refresh(issue" not in after


def test_a_row_that_was_flushed_is(tmp_path: Path) -> None:
    _, after = fixed(tmp_path, NEW.format("db.flush()"))
    assert "db.refresh(issue" in after


def test_a_block_without_autoflush_is_no_transaction_and_does_not_close_the_session(tmp_path: Path) -> None:
    body = """
        with db.no_autoflush:
            issue = db.get_one(Issue, copies)
            if copies <= issue.printed:
                raise HTTPException(409)
            issue.printed = copies
        db.commit()
        """
    found, after = fixed(tmp_path, body)
    assert found == [("AL202", "")]
    assert "with_for_update=True" in after


@pytest.mark.parametrize(
    ("table", "answered"),
    [
        ("CREATE TABLE IF NOT EXISTS readers (id serial PRIMARY KEY, name text NOT NULL UNIQUE, age int)", True),
        ("CREATE TABLE readers (id serial PRIMARY KEY, name text, age int, CONSTRAINT once UNIQUE (name))", True),
        ("CREATE TABLE readers (id serial, name text); CREATE UNIQUE INDEX ix ON readers (name)", True),
        ("CREATE TABLE readers (id serial, name text); CREATE UNIQUE INDEX ix ON readers (name) WHERE age > 1", False),
        ("CREATE TABLE readers (name text UNIQUE); ALTER TABLE readers DROP CONSTRAINT readers_name_key", False),
    ],
)
def test_what_is_unique_stands_in_the_text_that_makes_the_table(tmp_path: Path, table: str, answered: bool) -> None:
    (tmp_path / "books.py").write_text(f'TABLES = "{table}"\n', encoding="utf-8")
    body = """
        if db.scalar(text("SELECT count(*) FROM readers WHERE name = :name"), {"name": title}) > 0:
            raise HTTPException(409, "there is one")
        db.execute(text("INSERT INTO readers (name, age) VALUES (:name, :age)"), {"name": title, "age": copies})
        db.commit()
        """
    found, after = fixed(tmp_path, body)
    assert [rule for rule, _ in found] == ["AL203"]
    assert ("except IntegrityError" in after) is answered


def test_prose_about_tables_is_no_sql_and_is_not_complained_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "books.py").write_text('"""CREATE TABLE readers is said elsewhere: see there."""\n', encoding="utf-8")
    fixed(tmp_path, "\ndb.execute(text('SELECT 1'))\n")
    assert caplog.records == []
