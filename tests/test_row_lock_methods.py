"""A row that is loaded through an object that keeps its session: that object is given a method that locks it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from typing import Protocol

from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/shop"))
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    left: Mapped[int]

    def take_out(self, number: int) -> None:
        if self.left < number:
            raise ValueError(self.left)
        self.left -= number

DECLARED
class Items:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, number: int) -> Item:
        return await self._session.get_one(Item, number)

    async def save(self) -> None:
        await self._session.commit()

MORE
class Shop:
    def __init__(self, items: KNOWN) -> None:
        self.items = items

    async def take(self, number: int) -> int:
        item = await self.items.get(number)
        item.left = item.left // 2
        await self.items.save()
        return item.left

    async def drop(self, number: int) -> int:
        item = await self.items.get(number)
        item.left = item.left // 3
        await self.items.save()
        return item.left

async def shop():
    async with Sessions() as session:
        yield Shop(Items(session))

@app.post("/take/{number}")
async def take(number: int, shop: Shop = Depends(shop)):
    return await shop.take(number)

@app.post("/drop/{number}")
async def drop(number: int, shop: Shop = Depends(shop)):
    return await shop.drop(number)

@app.get("/{number}")
async def show(number: int, shop: Shop = Depends(shop)):
    return (await shop.items.get(number)).left
"""


def fixed(folder: Path, declared: str = "", more: str = "", known: str = "Items") -> str:
    """The application after its safe fixes, of which a second run changes nothing."""
    main = folder / "main.py"
    main.write_text(APP.replace("DECLARED", declared).replace("MORE", more).replace("KNOWN", known))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    ast.parse(once)
    return once


def test_one_method_is_added_for_all_who_need_it(tmp_path: Path) -> None:
    after = fixed(tmp_path)
    assert after.count("    async def lock(self, row: object, *columns: str) -> None:") == 1
    assert after.count('await self.items.lock(item, "left")\n        item.left = item.left //') == 2
    assert "attribute_names=columns, with_for_update=True" in after
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_another_name_is_taken_where_the_first_means_something_else(tmp_path: Path) -> None:
    after = fixed(tmp_path, more="class Door:\n    def lock(self) -> None:\n        print('locked')\n")
    assert 'await self.items.lock_row(item, "left")' in after


def test_nothing_is_added_to_what_is_known_by_a_protocol(tmp_path: Path) -> None:
    protocol = "class Store(Protocol):\n    async def get(self, number: int) -> Item: ...\n"
    assert "lock" not in fixed(tmp_path, declared=protocol, known="Store")


def test_a_row_that_changes_itself_is_locked_before_it_is_told_to(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    text = APP.replace("item.left = item.left // 2", "item.take_out(2)").replace("KNOWN", "Items")
    main.write_text(text.replace("DECLARED", "").replace("MORE", ""))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert 'await self.items.lock(item, "left")\n        item.take_out(2)' in main.read_text()
    assert autolock.check([tmp_path], cache=False).findings == ()
