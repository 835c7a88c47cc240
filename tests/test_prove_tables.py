"""Tables that an application leaves to its migrations are made for it when it is proved."""

from __future__ import annotations

from pathlib import Path

import pytest

from autolock.prove.proof import Bounds, Subject, Verdict
from autolock.prove.prover import Prover

SYNC = """
from fastapi import FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine("sqlite:///site.db")


class Base(DeclarativeBase):
    pass


class Visit(Base):
    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    page: Mapped[str]


app = FastAPI()


@app.post("/visits/{page}")
async def visit(page: str):
    with Session(engine) as session:
        session.add(Visit(page=page))
        session.commit()
    return {}
"""

ASYNC = (
    SYNC.replace("create_engine, select", "select")
    .replace(
        "import FastAPI\n", "import FastAPI\nfrom sqlalchemy.ext.asyncio import AsyncSession, create_async_engine\n"
    )
    .replace('create_engine("sqlite', 'create_async_engine("sqlite+aiosqlite')
    .replace("with Session", "async with AsyncSession")
    .replace("session.commit", "await session.commit")
)


@pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])
def test_tables_that_only_migrations_make_are_there(source: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source, encoding="utf-8")
    with Prover(tmp_path, (), bounds=Bounds(seconds=10)) as prover:
        (proof,) = prover.prove([Subject(("POST /visits/{page}",))], after=False)
    assert proof.before is not None
    assert proof.before.verdict in {Verdict.HELD, Verdict.WITNESSED}, proof.before.why_not
