"""Services that a container makes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
from typing import Annotated
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI, HTTPException

class Stock:
    def __init__(self):
        self.left = {{"a": 1}}

    async def take(self, item):
        if self.left[item] < 1:
            raise HTTPException(409)
        await asyncio.sleep(0)
        self.left[item] -= 1

class Shop:
    def __init__(self, stock: Stock):
        self.stock = stock

def open_stock():
    return Stock()

class Container(containers.DeclarativeContainer):
    stock = providers.{kind}({made})
    shop = providers.Factory(Shop, stock=stock)

app = FastAPI()
container = Container()

@inject
async def take(item: str, stock: Stock = Provide[Container.stock]):
    await stock.take(item)

@app.post("/{{item}}")
@inject
async def buy(item: str{parameter}):
    await {call}
"""

WAYS = {
    "a dependency": {"parameter": ", stock: Stock = Depends(Provide[Container.stock])", "call": "stock.take(item)"},
    "an annotation": {
        "parameter": ", stock: Annotated[Stock, Depends(Provide[Container.stock])]",
        "call": "stock.take(item)",
    },
    "an argument of another object": {
        "parameter": ", shop: Shop = Depends(Provide[Container.shop])",
        "call": "shop.stock.take(item)",
    },
    "a default of a function": {"parameter": "", "call": "take(item)"},
    "a call of the provider": {"parameter": "", "call": "Container.stock().take(item)"},
    "a call through a container": {"parameter": "", "call": "container.stock().take(item)"},
}


def races(folder: Path, kind: str, made: str, way: dict[str, str]) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(textwrap.dedent(APP).format(kind=kind, made=made, **way), encoding="utf-8")
    findings = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.place.function) for f in findings]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("made", ["Stock", "open_stock"])
def test_one_object_of_a_container_is_shared(tmp_path: Path, made: str, way: dict[str, str]) -> None:
    assert races(tmp_path, "Singleton", made, way) == [("AL102", "Stock.take")]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("made", ["Stock", "open_stock"])
def test_an_object_made_each_time_is_not(tmp_path: Path, made: str, way: dict[str, str]) -> None:
    assert races(tmp_path, "Factory", made, way) == []
