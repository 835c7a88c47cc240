"""Libraries whose statements commit one by one: what is looked at and written is put into one transaction."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

TORTOISE = """
from fastapi import FastAPI, HTTPException
from tortoise import fields
from tortoise.contrib.fastapi import register_tortoise
from tortoise.models import Model
from tortoise.transactions import in_transaction as begun

app = FastAPI()
register_tortoise(app, db_url="postgres://db/zoo", modules={"models": ["main"]})

class Cage(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    places = fields.IntField()

class Animal(Model):
    id = fields.IntField(primary_key=True)
    cage_id = fields.IntField()
"""

DATABASES = """
from databases import Database
from fastapi import FastAPI, HTTPException
import sqlalchemy as sa

database = Database("postgresql://db/zoo")
app = FastAPI()
metadata = sa.MetaData()
cages = sa.Table("cages", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("places", sa.Integer))
"""


def fixed(folder: Path, head: str, body: str) -> str:
    """The handlers after the safe fixes, without layout; a second run leaves them as they are."""
    main = folder / "main.py"
    main.write_text(head + textwrap.dedent(body))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return "".join(once.partition("@app.")[2].split())


def places(folder: Path, head: str, body: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(head + textwrap.dedent(body))
    return [(f.rule, f.place.function) for f in autolock.check([folder], cache=False).findings]


ENTER = """
@app.post("/cages/{id}")
async def enter(id: int):
    cage = await LOOK
    if cage.places == 0:
        raise HTTPException(409)
    cage.places -= 1
    await cage.save()
"""


@pytest.mark.parametrize(
    ("look", "locked"),
    [
        ("Cage.get(id=id)", "Cage.select_for_update().get(id=id)"),
        ("Cage.filter(id=id).first()", "Cage.filter(id=id).select_for_update().first()"),
    ],
)
def test_a_tortoise_row_is_loaded_locked_and_saved_in_one_transaction(look: str, locked: str, tmp_path: Path) -> None:
    text = fixed(tmp_path, TORTOISE, ENTER.replace("LOOK", look))
    assert f"asyncwithin_transaction():cage=await{locked}if" in text.replace(" ", "")


def test_a_tortoise_row_in_a_transaction_is_only_locked(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        TORTOISE,
        """
        @app.post("/cages/{id}")
        async def enter(id: int):
            async with begun():
                cage = await Cage.get(id=id)
                cage.places -= 1
                await cage.save()
        """,
    )
    assert text.count("asyncwith") == 1
    assert "Cage.select_for_update().get(id=id)" in text


@pytest.mark.parametrize(
    ("look", "more"),
    [
        ("Cage.get(id=id).select_related('keeper')", ""),
        ("Cage.get(id=id, using_db=None)", ""),
        ("Cage.get(id=id)", "CONFIG = {'connections': {'default': 'postgres://a/b', 'archive': 'postgres://c/d'}}"),
    ],
)
def test_a_tortoise_row_that_is_joined_or_of_one_of_several_databases_is_left_alone(
    look: str, more: str, tmp_path: Path
) -> None:
    text = fixed(tmp_path, TORTOISE + more + "\n", ENTER.replace("LOOK", look))
    assert "select_for_update" not in text


@pytest.mark.parametrize(
    ("create", "got"),
    [
        ("cage = await Cage.create(name=name)", "cage=(awaitCage.get_or_create(name=name))[0]"),
        (
            "cage = await Cage.create(name=name, places=4)",
            'cage=(awaitCage.get_or_create(name=name,defaults={"places":4}))[0]',
        ),
    ],
)
def test_a_tortoise_row_that_is_missing_is_got_or_created(create: str, got: str, tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        TORTOISE,
        f"""
        @app.post("/cages/{{name}}")
        async def cage_called(name: str):
            cage = await Cage.get_or_none(name=name)
            if cage is None:
                {create}
            return cage.id
        """,
    )
    assert got in text


def test_what_only_the_one_who_creates_a_row_may_do_keeps_the_create(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        TORTOISE,
        """
        async def invoice(cage):
            await Animal.create(cage_id=cage.id)

        @app.post("/cages/{name}")
        async def cage_called(name: str):
            cage = await Cage.get_or_none(name=name)
            if cage is None:
                cage = await Cage.create(name=name, places=4)
                await invoice(cage)
            return cage.id
        """,
    )
    assert "get_or_create" not in text


def test_a_tortoise_name_that_is_taken_is_answered_when_the_constraint_refuses_it(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        TORTOISE,
        """
        @app.post("/cages/{name}")
        async def build(name: str):
            if await Cage.filter(name=name).exists():
                raise HTTPException(409, "taken")
            cage = await Cage.create(name=name, places=4)
            return cage.id
        """,
    )
    assert 'exceptIntegrityErroraserror:raiseHTTPException(409,"taken")fromerror' in text


def test_a_built_query_of_databases_is_locked_in_its_transaction(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        DATABASES,
        """
        @app.post("/cages/{id}")
        async def enter(id: int):
            async with database.transaction():
                cage = await database.fetch_one(cages.select().where(cages.c.id == id))
                await database.execute(cages.update().where(cages.c.id == id).values(places=cage["places"] - 1))
        """,
    )
    assert "cages.select().where(cages.c.id==id).with_for_update()" in text
    assert "populate_existing" not in text


TAKE = """
@app.post("/keys/{id}")
async def take(id: int):
    key = await database.fetch_one("SELECT id, door FROM keys WHERE id = :id", {"id": id})
    if key is None:
        raise HTTPException(404)
    async with database.transaction():
        await database.execute("INSERT INTO opened (door) VALUES (:door)", {"door": key["door"]})
        DELETE
"""


def test_a_look_before_the_transaction_is_taken_into_it_before_it_locks(tmp_path: Path) -> None:
    delete = 'await database.execute("DELETE FROM keys WHERE id = :id", {"id": id})'
    text = fixed(tmp_path, DATABASES, TAKE.replace("DELETE", delete))
    assert text.index("asyncwithdatabase.transaction()") < text.index("FORUPDATE")


def test_a_lock_outside_of_a_transaction_guards_nothing(tmp_path: Path) -> None:
    delete = 'await database.execute("DELETE FROM keys WHERE id = :id", {"id": id})'
    text = TAKE.replace("DELETE", delete).replace("FROM keys WHERE id = :id", "FROM keys WHERE id = :id FOR UPDATE", 1)
    found = places(tmp_path, DATABASES, text)
    assert "take" in [function for _, function in found]


def test_a_delete_whose_answer_is_looked_at_decides_itself(tmp_path: Path) -> None:
    delete = """gone = await database.execute("DELETE FROM keys WHERE id = :id RETURNING id", {"id": id})
        if gone is None:
            raise HTTPException(404)"""
    assert places(tmp_path, DATABASES, TAKE.replace("DELETE", delete)) == []


STARTED = """
import asyncpg
from contextlib import asynccontextmanager
from fastapi import FastAPI, HTTPException

pool = None
limits = None

def get_pool():
    return pool

@asynccontextmanager
async def lifespan(app: FastAPI):
    global pool, limits
    pool = await asyncpg.create_pool("postgresql://db/zoo")
    limits = dict(visits=3)
    yield

app = FastAPI(lifespan=lifespan)
"""
VISIT = """
@app.post("/visits/{guest}")
async def visit(guest: str):
    async with GET.acquire() as connection:
        if await connection.fetchrow("SELECT id FROM guests WHERE name = $1", guest):
            raise HTTPException(409)
        await connection.fetchrow("INSERT INTO guests (name) VALUES ($1) RETURNING id", guest)
"""


@pytest.mark.parametrize("get", ["pool", "get_pool()"])
def test_a_pool_that_is_opened_when_the_application_starts_is_a_pool(get: str, tmp_path: Path) -> None:
    assert places(tmp_path, STARTED, VISIT.replace("GET", get)) == [("AL203", "visit")]


def test_what_no_route_reaches_and_inserts_with_returning_is_followed(tmp_path: Path) -> None:
    text = VISIT.replace("GET", "get_pool()").replace('@app.post("/visits/{guest}")\n', "")
    called = "\n@app.post('/')\nasync def come(request: Request):\n    await request.app.desk.visit('Ann')\n"
    head = STARTED.replace("import FastAPI", "import FastAPI, Request")
    assert places(tmp_path, head, text + called) == [("AL203", "visit")]


def test_a_global_that_is_made_by_something_else_is_no_pool(tmp_path: Path) -> None:
    assert places(tmp_path, STARTED, VISIT.replace("GET.acquire()", "limits['visits']")) == []
