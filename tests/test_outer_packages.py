"""An application whose folder is a package by mistake, and is started from inside as if it was none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

STOCK = """
import asyncio

class Stock:
    def __init__(self):
        self.left = 10

    async def take(self, n):
        if self.left >= n:
            await asyncio.sleep(0)
            self.left -= n

stock = Stock()
"""

APPLICATION = """
from fastapi import FastAPI
IMPORT

app = FastAPI()

@app.post("/take")
async def take(n: int):
    await stock.take(n)
"""


def found(root: Path, *files: tuple[str, str]) -> list[str]:
    """The functions in which something is found in a project with these files."""
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [f.place.function for f in autolock.check([root], cache=False).findings]


@pytest.mark.parametrize("folder", ["backend", "services/shop"])
def test_imports_begin_inside_of_the_outermost_package(folder: str, tmp_path: Path) -> None:
    application = APPLICATION.replace("IMPORT", "from app.stores.stock import stock")
    files = [(f"{folder}/{name}", "") for name in ("__init__.py", "app/__init__.py", "app/stores/__init__.py")]
    files += [(f"{folder}/app/stores/stock.py", STOCK), (f"{folder}/app/main.py", application)]
    assert found(tmp_path, *files) == ["Stock.take"]


def test_imports_that_begin_with_the_package_are_what_they_were(tmp_path: Path) -> None:
    application = APPLICATION.replace("IMPORT", "from backend.stores.stock import stock")
    files = [("backend/__init__.py", ""), ("backend/stores/__init__.py", ""), ("backend/stores/stock.py", STOCK)]
    assert found(tmp_path, *files, ("backend/main.py", application)) == ["Stock.take"]


@pytest.mark.parametrize("imported", ["import stock", "from stock import stock", "from stores.stock import stock"])
def test_a_library_is_no_file_of_an_inner_package(imported: str, tmp_path: Path) -> None:
    application = APPLICATION.replace("IMPORT", imported)
    files = [("shop/__init__.py", ""), ("shop/api/__init__.py", ""), ("shop/api/stores/__init__.py", "")]
    files += [("shop/api/stock.py", STOCK), ("shop/api/stores/stock.py", STOCK), ("shop/api/main.py", application)]
    assert found(tmp_path, *files) == []
