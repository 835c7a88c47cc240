"""Runs the command line inside the test's process, in a folder of its own."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from autolock.cli.app import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Outcome(NamedTuple):
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


class Cli:
    """A folder with files, and commands given in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capture = capture
        monkeypatch.chdir(folder)
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        code = run(arguments)
        out, err = self._capture.readouterr()
        return Outcome(code, os.fsdecode(out), os.fsdecode(err))

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()


COUNTER = """\
import asyncio

from fastapi import FastAPI

app = FastAPI()
counter = {"count": 0}


@app.post("/increment")
async def increment():
    current = counter["count"]
    await asyncio.sleep(0.01)
    counter["count"] = current + 1
    return counter
"""
"""One race of high severity, with a safe fix in the file itself."""

STOCK = """\
import asyncio

from fastapi import FastAPI

app = FastAPI()
stock = {"mug": 5}


@app.post("/buy")
async def buy(item: str):
    if stock[item] > 0:
        await asyncio.sleep(0.01)
        stock[item] -= 1
"""

LATENT = """\
from fastapi import FastAPI

app = FastAPI()
hits = {"count": 0}


@app.get("/")
async def index():
    hits["count"] += 1
    return hits
"""
"""Atomic today."""

CLEAN = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def index():
    return {"hello": "world"}
"""
