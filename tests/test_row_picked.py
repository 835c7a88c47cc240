"""Rows that Python picks out of several, and rows that a loop marks and sends: two requests pick the same ones."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SessionLocal = async_sessionmaker(create_async_engine("postgresql+asyncpg://localhost/garden"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Plot(Base):
    __tablename__ = "plots"
    id: Mapped[int] = mapped_column(primary_key=True)
    garden: Mapped[int]
    tenant: Mapped[str | None]
    size: Mapped[int]
    told: Mapped[bool]

async def session():
    async with SessionLocal() as opened:
        yield opened

async def send_letter(tenant):
    ...

@app.post("/gardens/{garden}/plots")
async def rent(garden: int, tenant: str, size: int, db: AsyncSession = Depends(session)):
"""
ALL = "plots = (await db.scalars(select(Plot).where(Plot.garden == garden).order_by(Plot.id))).all()\n"


def findings(folder: Path, body: str) -> tuple[autolock.findings.Finding, ...]:
    """What is found in an endpoint with this body."""
    text = HEAD + textwrap.indent(textwrap.dedent(body) + "await db.commit()\n", "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    return autolock.check([folder], cache=False).findings


PICKED = {
    "next": "plot = next((p for p in plots if p.tenant is None and p.size >= size), None)\n",
    "first of a list": "free = [p for p in plots if not p.tenant]\nplot = free[0]\n",
    "loop that ends": "for plot in plots:\n    if plot.tenant is None:\n        break\n",
    "loop that remembers": (
        "plot = None\nfor one in plots:\n    if one.tenant is None:\n        plot = one\n        break\n"
        "if plot is None:\n    raise HTTPException(409)\n"
    ),
    "loop that marks": "for plot in plots:\n    if plot.tenant is None:\n        plot.tenant = tenant\n        break\n",
}


@pytest.mark.parametrize("chosen", PICKED.values(), ids=list(PICKED))
def test_two_requests_pick_the_same_row_in_python(tmp_path: Path, chosen: str) -> None:
    marked = "" if "plot.tenant =" in chosen else "plot.tenant = tenant\n"
    (finding,) = findings(tmp_path, ALL + chosen + marked)
    assert finding.rule == "AL207"
    autolock.fix([tmp_path], cache=False, apply=True)
    fixed = "".join((tmp_path / "main.py").read_text(encoding="utf-8").split())
    assert ".order_by(Plot.id).with_for_update()" in fixed
    assert autolock.check([tmp_path], cache=False).findings == ()


@pytest.mark.parametrize(
    "chosen",
    [
        "plot = next(p for p in plots if p.size >= size)\nplot.tenant = tenant\n",
        "for plot in plots:\n    if plot.told:\n        break\nplot.tenant = tenant\n",
        "free = [p for p in plots if p.told]\nfor plot in free:\n    plot.told = False\n",
    ],
)
def test_a_row_that_stays_what_it_was_picked_for_is_no_claim(tmp_path: Path, chosen: str) -> None:
    assert findings(tmp_path, ALL + chosen) == ()


FREE = "select(Plot).where(Plot.garden == garden, Plot.tenant.is_(None))"


def test_a_free_row_is_given_to_two_whatever_the_order(tmp_path: Path) -> None:
    body = f"plot = (await db.scalars({FREE})).first()\nif plot is None:\n    raise HTTPException(409)\n"
    assert [f.rule for f in findings(tmp_path, body + "plot.tenant = tenant\n")] == ["AL207"]
    assert findings(tmp_path, body + "plot.size = size\n") == ()


def test_what_a_loop_marks_and_sends_is_sent_twice(tmp_path: Path) -> None:
    loop = """
        for plot in await db.scalars(select(Plot).where(Plot.told.is_(False))):
            {0}
            plot.told = True
        """
    assert [f.rule for f in findings(tmp_path, loop.format("await send_letter(plot.tenant)"))] == ["AL207"]
    assert findings(tmp_path, loop.format("print(plot.tenant)")) == ()
    assert findings(tmp_path, loop.format("await send_letter(tenant)")) == ()


def test_rows_that_nobody_has_put_in_order_are_locked_in_one(tmp_path: Path) -> None:
    findings(tmp_path, ALL.replace(".order_by(Plot.id)", "") + PICKED["next"] + "plot.tenant = tenant\n")
    autolock.fix([tmp_path], cache=False, apply=True)
    fixed = "".join((tmp_path / "main.py").read_text(encoding="utf-8").split())
    assert ".where(Plot.garden==garden).order_by(Plot.id).with_for_update()" in fixed
