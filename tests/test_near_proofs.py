"""Fixes are tried on the routes that lead to what they edit, and all that are kept are proven together."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from autolock.program.linker import Ref
    from autolock.rewrite import View, ViewWith

STOCK = """
import asyncio
from fastapi import APIRouter

router = APIRouter()
stock = {"a": 1}
sold = {"a": 0}

async def moved(table, item, by):
    left = table[item]
    await asyncio.sleep(0)
    table[item] = left + by

@router.post("/take/{item}")
async def take(item: str):
    left = stock[item]
    await asyncio.sleep(0)
    stock[item] = left - 1

@router.post("/sell/{item}")
async def sell(item: str):
    count = sold[item]
    await asyncio.sleep(0)
    sold[item] = count + 1
"""
OTHERS = """
from fastapi import APIRouter

router = APIRouter()
""" + "".join(
    f"""
@router.get("/{number}")
async def read_{number}(q: int):
    if q > {number}:
        q = q - {number}
    for n in range(q):
        if n % 2:
            q += n
        else:
            q -= n
    return q
"""
    for number in range(40)
)
MAIN = """
from fastapi import FastAPI
import others, shop, store

app = FastAPI()
for module in (others, shop, store):
    app.include_router(module.router)
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """Two modules with two races each, and many routes that have nothing to do with them."""
    for name, code in {"shop": STOCK, "store": STOCK, "others": OTHERS, "main": MAIN}.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
    return tmp_path


def test_the_whole_is_proven_once_and_comes_to_the_same(application: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs: list[Mapping[str, bytes]] = []
    whole = Survey.view_with

    def counted(self: Survey, overlay: Mapping[str, bytes]) -> View:
        proofs.append(overlay)
        return whole(self, overlay)

    def never(self: Survey, functions: frozenset[Ref]) -> ViewWith | None:
        return None

    monkeypatch.setattr(Survey, "view_with", counted)
    near = autolock.fix([application], jobs=1, cache=False)
    assert (len(near.rewrites), len(proofs)) == (4, 1)
    monkeypatch.setattr(Survey, "near", never)
    assert autolock.fix([application], jobs=1, cache=False).rewrites == near.rewrites
    assert len(proofs) == 3
