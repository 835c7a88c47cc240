"""What nobody declares, of elements and attributes: what a later endpoint puts there, an earlier one may work on."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from fastapi import FastAPI

app = FastAPI()

class Desk:
    def __init__(self, name=""):
        self.served = 0

    async def serve(self):
        served = self.served
        await asyncio.sleep(0.01)
        self.served = served + 1

    @classmethod
    async def open(cls, name):
        await asyncio.sleep(0.01)
        return cls(name)
"""

ELEMENTS = {
    "assigned": """
        desks = {}

        @app.post("/{name}")
        async def serve(name: str):
            await desks[name].serve()

        @app.put("/{name}")
        async def make(name: str):
            desks[name] = Desk(name)
    """,
    "under a local name": """
        desks = {}

        @app.post("/{name}")
        async def serve(name: str):
            desk = desks.get(name)
            await desk.serve()

        @app.put("/{name}")
        async def make(name: str):
            desk = await Desk.open(name)
            desks[name] = desk
    """,
    "put where there is none": """
        desks = {}

        @app.post("/{name}")
        async def serve(name: str):
            await desks[name].serve()

        @app.put("/{name}")
        async def make(name: str):
            return desks.setdefault(name, Desk(name))
    """,
    "added to a list": """
        desks = []

        @app.post("/{number}")
        async def serve(number: int):
            await desks[number].serve()

        @app.put("/")
        async def make():
            desks.append(Desk())
    """,
    "a parameter": """
        class Office:
            def __init__(self):
                self._desks = {}

            async def serve(self, name):
                await self._desks[name].serve()

            def add(self, name, desk: Desk):
                self._desks[name] = desk

        office = Office()

        @app.post("/{name}")
        async def serve(name: str):
            await office.serve(name)

        @app.put("/{name}")
        async def make(name: str):
            office.add(name, Desk(name))
    """,
    "of a class": """
        class Office:
            desks = {}

            @classmethod
            def add(cls, name):
                cls.desks[name] = Desk(name)

        @app.post("/{name}")
        async def serve(name: str):
            await Office.desks[name].serve()

        @app.put("/{name}")
        async def make(name: str):
            Office.add(name)
    """,
    "an attribute that is None at first": """
        class Office:
            def __init__(self):
                self.desk = None

            async def serve(self):
                await self.desk.serve()

            def open(self):
                self.desk = Desk()

        office = Office()

        @app.post("/")
        async def serve():
            await office.serve()

        @app.put("/")
        async def make():
            office.open()
    """,
    "of a factory": """
        def create():
            app = FastAPI()
            desks = {}

            @app.post("/{name}")
            async def serve(name: str):
                await desks[name].serve()

            @app.put("/{name}")
            async def make(name: str):
                desks[name] = Desk(name)

            return app

        app = create()
    """,
    "of the application's state": """
        from contextlib import asynccontextmanager
        from fastapi import Request

        @asynccontextmanager
        async def lifespan(app: FastAPI):
            app.state.desks = {}
            yield

        app = FastAPI(lifespan=lifespan)

        @app.post("/{name}")
        async def serve(name: str, request: Request):
            await request.app.state.desks[name].serve()

        @app.put("/{name}")
        async def make(name: str, request: Request):
            request.app.state.desks[name] = Desk(name)
    """,
}


def races(folder: Path, program: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    found = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.place.function) for f in found]


@pytest.mark.parametrize("program", ELEMENTS.values(), ids=ELEMENTS)
def test_what_a_later_endpoint_puts_there_is_known_to_an_earlier_one(tmp_path: Path, program: str) -> None:
    assert ("AL101", "Desk.serve") in races(tmp_path, program)


def test_of_two_kinds_of_elements_none_is_guessed(tmp_path: Path) -> None:
    others = """
        class Shelf(Desk):
            async def serve(self):
                self.served += 1
    """
    shelves = """
        @app.patch("/{name}")
        async def make_shelf(name: str):
            desks[name] = Shelf(name)
    """
    program = textwrap.dedent(others) + textwrap.dedent(ELEMENTS["assigned"]) + textwrap.dedent(shelves)
    assert races(tmp_path, program) == []


def test_a_lock_that_the_elements_keep_is_seen(tmp_path: Path) -> None:
    program = HEAD.replace("self.served = 0", "self.served = 0\n        self.lock = asyncio.Lock()").replace(
        "        served = self.served\n        await asyncio.sleep(0.01)\n        self.served = served + 1",
        "        async with self.lock:\n            served = self.served\n"
        "            await asyncio.sleep(0.01)\n            self.served = served + 1",
    )
    (tmp_path / "main.py").write_text(program + textwrap.dedent(ELEMENTS["assigned"]), encoding="utf-8")
    assert autolock.check([tmp_path], cache=False).findings == ()
