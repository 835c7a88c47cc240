"""One decision, written in several ways: what is found does not hang on how a test is put."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from datetime import datetime, timedelta
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/app")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Parcel(Base):
    __tablename__ = "parcels"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    holder: Mapped[str | None]

async def get_session():
    async with SessionLocal() as session:
        yield session

def ensure(fine, error):
    if not fine:
        raise error
"""

CLAIMS = {
    "leaves early": """
        if parcel.status != "waiting" or parcel.holder not in (None, driver):
            raise HTTPException(409)
        parcel.status, parcel.holder = "taken", driver
        await session.commit()
    """,
    "the other side leaves": """
        if not (parcel.status != "waiting" or parcel.holder not in (None, driver)):
            parcel.status, parcel.holder = "taken", driver
            await session.commit()
        else:
            raise HTTPException(409)
    """,
    "the verdict has a name": """
        gone = parcel.status != "waiting" or parcel.holder not in (None, driver)
        if gone:
            raise HTTPException(409)
        parcel.status, parcel.holder = "taken", driver
        await session.commit()
    """,
    "the opposite has a name": """
        free = not (parcel.status != "waiting" or parcel.holder not in (None, driver))
        if not free:
            raise HTTPException(409)
        parcel.status, parcel.holder = "taken", driver
        await session.commit()
    """,
    "a helper refuses": """
        ensure(parcel.status == "waiting" and parcel.holder in (None, driver), HTTPException(409))
        parcel.status, parcel.holder = "taken", driver
        await session.commit()
    """,
    "the verdict has a type": """
        gone: bool = parcel.status != "waiting" or parcel.holder not in (None, driver)
        if gone:
            raise HTTPException(409)
        parcel.status, parcel.holder = "taken", driver
        await session.commit()
    """,
}


@pytest.mark.parametrize("form", CLAIMS)
def test_a_claim_is_found_however_its_test_is_written(form: str, tmp_path: Path) -> None:
    handler = """
        @app.post("/parcels/{id}/{driver}")
        async def take(id: int, driver: str, session: AsyncSession = Depends(get_session)):
            parcel = await session.get(Parcel, id)
    """
    (tmp_path / "main.py").write_text(
        HEAD + textwrap.dedent(handler) + textwrap.indent(textwrap.dedent(CLAIMS[form]), "    ")
    )
    report = autolock.check([tmp_path], cache=False)
    assert [(f.rule, f.fix.safety.value) for f in report.findings] == [("AL202", "safe")]


LOOKS = {
    "a name with a type": """
        parcel: Parcel | None = await session.scalar(select(Parcel).where(Parcel.code == code))
        if parcel is None:
    """,
    "named in the test": """
        if (parcel := await session.scalar(select(Parcel).where(Parcel.code == code))) is None:
    """,
    "taken out of the result in the test": """
        found = await session.execute(select(Parcel).where(Parcel.code == code))
        if (parcel := found.scalar_one_or_none()) is None:
    """,
    "a test with a name": """
        parcel = await session.scalar(select(Parcel).where(Parcel.code == code))
        unknown = parcel is None
        if unknown:
    """,
}


@pytest.mark.parametrize("look", LOOKS)
def test_who_was_not_first_looks_again_in_the_way_in_which_it_looked(look: str, tmp_path: Path) -> None:
    handler = """
        @app.put("/parcels/{code}")
        async def known(code: str, session: AsyncSession = Depends(get_session)):
        LOOK
                parcel = Parcel(code=code, status="waiting")
                session.add(parcel)
            await session.commit()
            return {"id": parcel.id}
    """
    body = textwrap.indent(textwrap.dedent(LOOKS[look]).strip("\n"), "    ")
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(handler).replace("LOOK", body))
    autolock.fix([tmp_path], apply=True, cache=False)
    after = (tmp_path / "main.py").read_text()
    assert after.count("Parcel.code == code") == 2
    assert "except IntegrityError:" in after
