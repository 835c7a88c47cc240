"""State that a class of fields keeps for all its objects: a ClassVar of a model or a dataclass."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import typing
from dataclasses import dataclass
from typing import ClassVar

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
"""

SHARED = {
    "a counter of a model": """
        class Parcel(BaseModel):
            label: int
            last: ClassVar[int] = 0

            @classmethod
            async def send(cls):
                label = cls.last + 1
                await asyncio.sleep(0.01)
                cls.last = label
                return cls(label=label)

        @app.post("/")
        async def send():
            return await Parcel.send()
    """,
    "a quoted annotation, changed by the class's name": """
        class Parcel(BaseModel):
            label: int
            last: "typing.ClassVar[int]" = 0

        @app.post("/")
        async def send():
            label = Parcel.last + 1
            await asyncio.sleep(0.01)
            Parcel.last = label
            return Parcel(label=label)
    """,
    "a dictionary of a model, reached through an object": """
        class Parcel(BaseModel):
            label: str
            sent: ClassVar[dict[str, int]] = {}

            async def send(self):
                times = self.sent.get(self.label, 0)
                await asyncio.sleep(0.01)
                self.sent[self.label] = times + 1

        @app.post("/{label}")
        async def send(label: str):
            await Parcel(label=label).send()
    """,
    "a dictionary of a dataclass, reached through an object": """
        @dataclass
        class Parcel:
            label: str
            sent: ClassVar[dict[str, int]] = {}

            async def send(self):
                times = self.sent.get(self.label, 0)
                await asyncio.sleep(0.01)
                self.sent[self.label] = times + 1

        @app.post("/{label}")
        async def send(label: str):
            await Parcel(label).send()
    """,
}

OWN = {
    "a field of a model": """
        class Parcel(BaseModel):
            label: str
            times: int = 0

            async def send(self):
                times = self.times
                await asyncio.sleep(0.01)
                self.times = times + 1

        @app.post("/{label}")
        async def send(label: str):
            parcel = Parcel(label=label)
            await parcel.send()
            return parcel
    """,
    "a private attribute of a model": """
        class Parcel(BaseModel):
            label: str
            _times = {}

            async def send(self):
                times = self._times.get("n", 0)
                await asyncio.sleep(0.01)
                self._times["n"] = times + 1

        @app.post("/{label}")
        async def send(label: str):
            await Parcel(label=label).send()
    """,
}


def written(folder: Path, program: str) -> Path:
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    return main


def races(folder: Path) -> list[str]:
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("program", SHARED.values(), ids=SHARED)
def test_a_class_variable_is_shared_and_its_lock_does_not_stop_the_import(tmp_path: Path, program: str) -> None:
    main = written(tmp_path, program)
    assert races(tmp_path)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "asyncio.Lock()" in main.read_text(encoding="utf-8")
    assert races(tmp_path) == []
    made = subprocess.run([sys.executable, "-c", "import main"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("program", OWN.values(), ids=OWN)
def test_what_each_object_has_for_itself_is_not_shared(tmp_path: Path, program: str) -> None:
    written(tmp_path, program)
    assert races(tmp_path) == []
