"""Code that something else calls: handlers that a method defines, tasks that a decorator hands to a worker."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = """
import asyncio
from fastapi import FastAPI

class Tank:
    def __init__(self):
        self.litres = 100

    async def draw(self, litres):
        if self.litres >= litres:
            await asyncio.sleep(0)
            self.litres -= litres
"""

ROWS = """
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://db/mail"))

class Base(DeclarativeBase):
    pass

class Letter(Base):
    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    tries: Mapped[int]

class Post:
    async def find(self, session, id):
        return await session.get(Letter, id)

    async def keep(self, session):
        await session.commit()

    async def deliver(self, session, id):
        letter = await self.find(session, id)
        letter.tries += 1
        await self.keep(session)

post = Post()


broker = make_broker()
"""

METHODS = {
    "in the constructor": """
        class Server:
            def __init__(self, app: FastAPI):
                self.tank = Tank()

                @app.post("/draw")
                async def draw(litres: int):
                    await self.tank.draw(litres)
        """,
    "in a method": """
        class Server:
            def __init__(self):
                self.app = FastAPI()
                self.tank = Tank()
                self.add_routes()

            def add_routes(self):
                @self.app.post("/draw")
                async def draw(litres: int):
                    await self.tank.draw(litres)
        """,
    "with what the constructor is given": """
        class Server:
            def __init__(self, app: FastAPI, tank: Tank):
                self.tank = tank

                @app.post("/draw")
                async def draw(litres: int):
                    await self.tank.draw(litres)
        """,
    "with what a helper is given": """
        class Pump:
            def __init__(self, tank: Tank):
                self.tank = tank

            async def run(self, litres):
                await self.tank.draw(litres)

        class Server:
            def __init__(self, app: FastAPI, pump: Pump):
                self.pump = pump

                @app.post("/draw")
                async def draw(litres: int):
                    await self.pump.run(litres)
        """,
}

TASKS = {
    "of a module": """
        @broker.task(retry=True)
        async def deliver(id: int):
            async with Sessions() as session:
                await post.deliver(session, id)
        """,
    "of a worker's method": """
        class Worker:
            def __init__(self, broker, post: Post):
                self.broker = broker
                self.post = post

            def register(self):
                @self.broker.task(name="deliver")
                async def deliver(id: int):
                    async with Sessions() as session:
                        await self.post.deliver(session, id)
        """,
    "of a subscriber": """
        @broker.subscriber("letters")
        async def deliver(id: int):
            async with Sessions() as session:
                await post.deliver(session, id)
        """,
}


def places(folder: Path, text: str) -> list[tuple[str, str]]:
    """The rules and functions of what is found in an application of one file."""
    (folder / "main.py").write_text(text, encoding="utf-8")
    return [(f.rule, f.place.function) for f in autolock.check([folder], cache=False).findings]


@pytest.mark.parametrize("body", METHODS.values(), ids=list(METHODS))
def test_handlers_that_a_method_defines_share_its_object(tmp_path: Path, body: str) -> None:
    assert ("AL102", "Tank.draw") in places(tmp_path, MEMORY + textwrap.dedent(body))


def test_what_a_static_method_is_given_is_not_its_object(tmp_path: Path) -> None:
    body = """
        class Server:
            @staticmethod
            def routes(app: FastAPI):
                @app.post("/draw")
                async def draw(litres: int):
                    await Tank().draw(litres)
        """
    assert places(tmp_path, MEMORY + textwrap.dedent(body)) == []


@pytest.mark.parametrize("body", TASKS.values(), ids=list(TASKS))
def test_tasks_run_beside_themselves(tmp_path: Path, body: str) -> None:
    assert places(tmp_path, ROWS + textwrap.dedent(body)) == [("AL202", "Post.deliver")]


@pytest.mark.parametrize("decorator", ['@broker.task(cron="0 3 * * *")', "@broker.periodic_task", "@broker.validator"])
def test_what_runs_at_certain_times_or_checks_values_runs_alone(tmp_path: Path, decorator: str) -> None:
    body = f"""
{decorator}
async def deliver(id: int):
    async with Sessions() as session:
        await post.deliver(session, id)
"""
    assert places(tmp_path, ROWS + body) == []


def test_the_setter_of_a_property_is_called_by_the_name_of_the_property(tmp_path: Path) -> None:
    body = """
class Desk:
    def __init__(self, session: AsyncSession):
        self._session = session

    @property
    def letter(self):
        return None

    @letter.setter
    def letter(self, number):
        session = self._session
        if session.query(Letter).filter(Letter.tries == number).first() is None:
            session.add(Letter(tries=number))
        session.flush()

@broker.task
def file(desk, number):
    desk.letter = number
"""
    text = ROWS.replace("import async_sessionmaker", "import AsyncSession, async_sessionmaker")
    assert places(tmp_path, text + body) == [("AL203", "Desk.letter.setter")]
