"""Whoever is second to insert a row is told what somebody is told who has found it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, Response
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

Sessions = sessionmaker(create_engine("postgresql://db/allotments"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Tenant(Base):
    __tablename__ = "tenants"
    id: Mapped[int] = mapped_column(primary_key=True)
    plot: Mapped[str] = mapped_column(unique=True)
    phone: Mapped[str] = mapped_column(default="")

def session():
    with Sessions() as opened:
        yield opened

@app.put("/plots/{plot}")
def rent(plot: str, response: Response, phone: str = "", db: Session = Depends(session)):
    tenant = db.scalar(select(Tenant).where(Tenant.plot == plot))
"""

TOLD = {
    "a name given after the insert": (
        """
        if tenant:
            is_new = False
        else:
            tenant = Tenant(plot=plot)
            db.add(tenant)
            is_new = True
        db.commit()
        return {"id": tenant.id, "new": is_new}
        """,
        "is_new = False",
    ),
    "a name given before the check": (
        """
        outcome = "known"
        if tenant is None:
            outcome = "new"
            tenant = Tenant(plot=plot)
            db.add(tenant)
        db.commit()
        return {"id": tenant.id, "outcome": outcome}
        """,
        'outcome = "known"',
    ),
    "a name given with a change": (
        """
        outcome = "new"
        if tenant:
            tenant.phone = phone
            outcome = "changed"
        else:
            tenant = Tenant(plot=plot, phone=phone)
            db.add(tenant)
        db.commit()
        return {"id": tenant.id, "outcome": outcome}
        """,
        'outcome = "changed"',
    ),
    "what is returned": (
        """
        if tenant is not None:
            return tenant, False
        tenant = Tenant(plot=plot)
        db.add(tenant)
        db.commit()
        return tenant, True
        """,
        "return tenant, False",
    ),
    "words alone": (
        """
        if tenant is not None:
            return {"status": "rented already"}
        tenant = Tenant(plot=plot)
        db.add(tenant)
        db.commit()
        return {"status": "rented"}
        """,
        'return {"status": "rented already"}',
    ),
    "words after the check": (
        """
        if tenant is None:
            tenant = Tenant(plot=plot)
            db.add(tenant)
            db.commit()
            return {"status": "rented"}
        return {"status": "rented already"}
        """,
        'return {"status": "rented already"}',
    ),
}


def fixed(folder: Path, body: str) -> str:
    path = folder / "main.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    autolock.fix([path], apply=True, cache=False)
    return path.read_text()


@pytest.mark.parametrize("name", TOLD)
def test_who_is_second_is_told_that_the_row_was_there(name: str, tmp_path: Path) -> None:
    body, told = TOLD[name]
    text = fixed(tmp_path, body)
    inside, _, handler = text.partition("except IntegrityError:")
    assert told in handler.replace("'", '"').split("db.commit()")[0]
    savepoint = inside[inside.index("begin_nested") :]
    assert ("is_new = True" in savepoint) == ("is_new = True" in body)
    assert "is_new = True" not in handler


UNTOLD = {
    "the row is deleted where it is there": """
        if tenant:
            db.delete(tenant)
        else:
            db.add(Tenant(plot=plot))
        db.commit()
        return {}
        """,
    "the row is changed after the check": """
        if tenant is None:
            tenant = Tenant(plot=plot, phone=phone)
            db.add(tenant)
            db.commit()
            return tenant
        tenant.phone = phone
        db.commit()
        return tenant
        """,
    "a status for what is new": """
        if tenant is None:
            tenant = Tenant(plot=plot)
            db.add(tenant)
            response.status_code = 201
        db.commit()
        return {"id": tenant.id}
        """,
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_afterwards_is_left_to_a_person(name: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, UNTOLD[name])
    assert "begin_nested" not in text
    (finding,) = autolock.check([tmp_path / "main.py"], cache=False).findings
    assert finding.fix is not None
    assert finding.fix.safety.value == "none"
    assert "by hand" in finding.fix.reason or "make both one" in finding.fix.reason
