"""Files that are read, worked on and written, however the code does it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import csv
import json
from pathlib import Path
from fastapi import FastAPI

app = FastAPI()
FILE = Path("data")
"""

LOST = {
    "a row worked out from the last one": """
        @app.post("/")
        async def add(n: int):
            with FILE.open(newline="") as file:
                total = int(list(csv.reader(file))[-1][0])
            await asyncio.sleep(1)
            with FILE.open("a", newline="") as file:
                csv.writer(file).writerow([total + n])
    """,
    "a line appended after a look into all of them": """
        def names():
            with FILE.open() as file:
                return [json.loads(line)["name"] for line in file]

        @app.post("/")
        async def add(name: str):
            if name in names():
                return "known"
            await asyncio.sleep(1)
            with FILE.open("a") as file:
                file.write(json.dumps({"name": name}))
    """,
    "a line appended after a loop over them": """
        @app.post("/")
        async def add(name: str):
            with FILE.open() as file:
                for line in file:
                    if line.strip() == name:
                        return "known"
            await asyncio.sleep(1)
            with FILE.open("a") as file:
                file.write(name)
    """,
    "a table written anew": """
        @app.post("/")
        async def add(n: int):
            with open("data") as file:
                rows = list(csv.reader(file))
            await asyncio.sleep(1)
            with open("data", "w") as file:
                writer = csv.writer(file)
                writer.writerow(["n"])
                writer.writerows([*rows, [n]])
    """,
    "a scratch file moved into place": """
        @app.post("/")
        async def add(n: int):
            data = json.loads(FILE.read_text())
            await asyncio.sleep(1)
            scratch = FILE.with_suffix(".new")
            scratch.write_text(json.dumps({**data, n: n}))
            scratch.replace(FILE)
    """,
}

KEPT = {
    "a line of a log": """
        @app.post("/")
        async def add(n: int):
            await asyncio.sleep(1)
            with open("data", "a") as file:
                csv.writer(file).writerow([n])
    """,
    "a header where there is no file": """
        @app.post("/")
        async def add(n: int):
            new = not FILE.exists()
            with FILE.open("a") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(["n"])
                writer.writerow([n])
    """,
}


def rules(folder: Path, program: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("program", LOST.values(), ids=LOST)
def test_what_was_read_and_is_written_is_lost(tmp_path: Path, program: str) -> None:
    assert rules(tmp_path, program) == ["AL106"]


@pytest.mark.parametrize("program", KEPT.values(), ids=KEPT)
def test_what_is_only_added_is_not_lost(tmp_path: Path, program: str) -> None:
    assert rules(tmp_path, program) == []
