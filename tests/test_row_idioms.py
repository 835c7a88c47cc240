"""Ways in which services reach rows, racy and harmless: each app is a few lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    stock: Mapped[int]

async def get_session():
    async with SessionLocal() as session:
        yield session
"""


def found(folder: Path, body: str) -> list[str]:
    """The functions of the findings in an app of one file."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    return sorted(f.place.function for f in autolock.check([folder], cache=False).findings)


SWITCHED = {
    "statement": """
        async def load(session, id, lock: bool = False):
            query = select(Item).where(Item.id == id)
            if lock:
                query = query.with_for_update()
            return (await session.execute(query)).scalar_one()
        """,
    "negated": """
        async def load(session, id, lock: bool = False):
            query = select(Item).where(Item.id == id)
            if not lock:
                return (await session.execute(query)).scalar_one()
            return (await session.execute(query.with_for_update())).scalar_one()
        """,
    "expression": """
        async def load(session, id, lock=False):
            query = select(Item).where(Item.id == id)
            return (await session.execute(query.with_for_update() if lock else query)).scalar_one()
        """,
    "passed on": """
        async def fetch(session, id, for_update):
            return await session.get(Item, id, with_for_update=for_update)

        async def load(session, id, lock=False):
            return await fetch(session, id, for_update=lock)
        """,
}


@pytest.mark.parametrize("helper", sorted(SWITCHED))
@pytest.mark.parametrize(("argument", "racy"), [(", lock=True", []), (", True", []), (", lock=False", ["buy"])])
def test_a_helper_locks_where_its_caller_says_so(helper: str, argument: str, racy: list[str], tmp_path: Path) -> None:
    handler = f"""
@app.post("/buy/{{id}}")
async def buy(id: int, session: AsyncSession = Depends(get_session)):
    item = await load(session, id{argument})
    item.stock -= 1
    await session.commit()
"""
    assert found(tmp_path, textwrap.dedent(SWITCHED[helper]) + handler) == racy


def test_a_switch_that_the_request_sets_may_be_either(tmp_path: Path) -> None:
    handler = """
@app.post("/buy/{id}")
async def buy(id: int, lock: bool = True, session: AsyncSession = Depends(get_session)):
    item = await load(session, id, lock=lock)
    item.stock -= 1
    await session.commit()
"""
    assert found(tmp_path, textwrap.dedent(SWITCHED["statement"]) + handler) == ["buy"]


UNIT_OF_WORK = """
class Items:
    def __init__(self, session: AsyncSession):
        self.session = session

    async def get(self, id):
        return (await self.session.execute(select(Item).where(Item.id == id))).scalar_one()

class UnitOfWork:
    def __init__(self, factory=SessionLocal):
        self.factory = factory

    async def __aenter__(self):
        self.session = self.factory()
        self.items = Items(self.session)
        return self

    async def __aexit__(self, *exc):
        await self.session.rollback()
        await self.session.close()

    async def commit(self):
        await self.session.commit()

def get_uow():
    return UnitOfWork()

@app.post("/buy/{id}")
async def buy(id: int, uow: UnitOfWork = Depends(get_uow)):
    async with uow:
        item = await uow.items.get(id)
        item.stock -= 1
        COMMIT
"""


@pytest.mark.parametrize(("ending", "racy"), [("await uow.commit()", ["buy"]), ("return item.stock", [])])
def test_a_unit_of_work_opens_its_session_with_a_factory_given_as_default(
    ending: str, racy: list[str], tmp_path: Path
) -> None:
    assert found(tmp_path, UNIT_OF_WORK.replace("COMMIT", ending)) == racy


def fixed(folder: Path, body: str) -> str:
    """The app after its safe fixes; asserts that no finding is left."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    report = autolock.fix([folder], apply=True, cache=False)
    assert report.rewrites
    assert not autolock.check([folder], cache=False).findings
    return (folder / "main.py").read_text()


def test_a_row_that_a_validator_checks_is_locked_before_it_is_checked(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        """
        def ensure_enough(item: Item, count: int):
            if item.stock < count:
                raise HTTPException(409)

        async def load(session, id):
            return await session.get(Item, id)

        @app.get("/items/{id}")
        async def read(id: int, session: AsyncSession = Depends(get_session)):
            return (await load(session, id)).name

        @app.post("/buy/{id}")
        async def buy(id: int, count: int, session: AsyncSession = Depends(get_session)):
            item = await load(session, id)
            ensure_enough(item, count)
            item.stock -= count
            await session.commit()
        """,
    )
    locked = text.index('await session.refresh(item, attribute_names=["stock"], with_for_update=True)')
    assert text.index("item = await load(session, id)", text.index("async def buy")) < locked
    assert locked < text.index("ensure_enough(item, count)\n    item")


def test_a_row_that_is_looked_at_after_its_transaction_is_locked_inside_of_it(tmp_path: Path) -> None:
    text = fixed(
        tmp_path,
        """
        async def load(session, id):
            return await session.get(Item, id)

        @app.get("/items/{id}")
        async def read(id: int, session: AsyncSession = Depends(get_session)):
            return (await load(session, id)).name

        @app.post("/buy/{id}")
        async def buy(id: int, count: int):
            async with SessionLocal() as session, session.begin():
                item = await load(session, id)
                if item.stock < count:
                    raise HTTPException(409)
                item.stock -= count
            return item.stock
        """,
    )
    locked = text.index("await session.refresh(item")
    assert text.index("session.begin()") < locked < text.index("if item.stock < count")


UPSERT = """
@app.post("/count/{{name}}")
async def count(name: str, session: AsyncSession = Depends(get_session)):
    item = {look}
    if {test}:
        {then}
    else:
        {orelse}
    await session.commit()
"""
INSERT = "item = Item(name=name, stock=1)\n        session.add(item)"
LOOKS = {
    "scalar": "await session.scalar(select(Item).where(Item.name == name))",
    "execute": "(await session.execute(select(Item).where(Item.name == name))).scalar_one_or_none()",
}


@pytest.mark.parametrize("look", sorted(LOOKS))
@pytest.mark.parametrize("negated", [False, True])
def test_whoever_comes_second_to_an_upsert_still_changes_the_row(look: str, negated: bool, tmp_path: Path) -> None:
    change = "item.stock += 1"
    then, orelse = (change, INSERT) if negated else (INSERT, change)
    test = "item is not None" if negated else "item is None"
    text = fixed(tmp_path, UPSERT.format(look=LOOKS[look], test=test, then=then, orelse=orelse))
    handler = text[text.index("except IntegrityError:") :]
    assert handler.index("with_for_update()") < handler.index(change)


def test_an_upsert_whose_change_ends_the_function_is_left_to_a_person(tmp_path: Path) -> None:
    body = UPSERT.format(look=LOOKS["scalar"], test="item", then="item.stock += 1; return item.stock", orelse=INSERT)
    (tmp_path / "main.py").write_text(HEAD + body)
    autolock.fix([tmp_path], apply=True, cache=False)
    assert "begin_nested" not in (tmp_path / "main.py").read_text()
    findings = [f for f in autolock.check([tmp_path], cache=False).findings if f.name == "check-then-insert"]
    assert [f.fix.safety.value for f in findings if f.fix is not None] == ["none"]
    assert "on_conflict_do_update" in findings[0].fix.reason


DRIVERS = {
    "a connection that a pool gave": (
        """
        import asyncpg
        from fastapi import Depends, FastAPI, HTTPException

        app = FastAPI()

        async def get_pool() -> asyncpg.Pool:
            return app.state.pool

        class Cards:
            def __init__(self, pool: asyncpg.Pool):
                self.pool = pool

            async def charge(self, code, amount):
                async with self.pool.acquire() as conn:
                    row = await conn.fetchrow("SELECT balance FROM cards WHERE code = $1", code)
                    if row["balance"] < amount:
                        raise HTTPException(402)
                    await conn.execute("UPDATE cards SET balance = $1 WHERE code = $2", row["balance"] - amount, code)

        @app.post("/charge/{code}")
        async def charge(code: str, amount: int, pool: asyncpg.Pool = Depends(get_pool)):
            await Cards(pool).charge(code, amount)
        """,
        "async with conn.transaction():",
    ),
    "a pool": (
        """
        import asyncpg
        from fastapi import FastAPI, HTTPException, Request

        app = FastAPI()

        @app.post("/charge/{code}")
        async def charge(code: str, amount: int, request: Request):
            pool: asyncpg.Pool = request.app.state.pool
            row = await pool.fetchrow("SELECT balance FROM cards WHERE code = $1", code)
            if row["balance"] < amount:
                raise HTTPException(402)
            await pool.execute("UPDATE cards SET balance = $1 WHERE code = $2", row["balance"] - amount, code)
        """,
        "async with pool.acquire() as connection, connection.transaction():",
    ),
    "a connection that commits at the end": (
        """
        import psycopg
        from fastapi import FastAPI, HTTPException

        app = FastAPI()

        @app.post("/charge/{code}")
        def charge(code: str, amount: int):
            with psycopg.connect("postgresql://localhost/shop") as conn:
                balance = conn.execute("SELECT balance FROM cards WHERE code = %s", (code,)).fetchone()[0]
                if balance < amount:
                    raise HTTPException(402)
                conn.execute("UPDATE cards SET balance = %s WHERE code = %s", (balance - amount, code))
        """,
        "FOR UPDATE",
    ),
}


@pytest.mark.parametrize("name", sorted(DRIVERS))
def test_sql_text_is_locked_in_a_transaction_of_its_connection(name: str, tmp_path: Path) -> None:
    code, expected = DRIVERS[name]
    (tmp_path / "main.py").write_text(textwrap.dedent(code))
    assert autolock.fix([tmp_path], apply=True, cache=False).rewrites
    text = (tmp_path / "main.py").read_text()
    assert expected in text
    assert text.count("FOR UPDATE") == 1
    assert text.count(".transaction()") == ("transaction" in expected)
    assert not autolock.check([tmp_path], cache=False).findings


LOOPS = {
    "added": ("session.add(Part(item_id=item.id, name=name))", ""),
    "committed": (
        "session.add(Part(item_id=item.id, name=name))\n        await session.commit()",
        "a loop commits in pieces",
    ),
}


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_commit_before_a_loop_is_put_off_where_the_loop_commits_nothing(name: str, tmp_path: Path) -> None:
    turn, refused = LOOPS[name]
    code = f"""
class Part(Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    name: Mapped[str]

@app.post("/items")
async def create(names: list[str], session: AsyncSession = Depends(get_session)):
    item = Item(name="box", stock=0)
    session.add(item)
    await session.commit()
    for name in names:
        {turn}
    await session.commit()
"""
    (tmp_path / "main.py").write_text(HEAD + code)
    (finding,) = [f for f in autolock.check([tmp_path], cache=False).findings if f.name == "split-transaction"]
    assert finding.fix is not None
    assert refused in finding.fix.reason
    autolock.fix([tmp_path], apply=True, cache=False)
    assert (tmp_path / "main.py").read_text().count("await session.flush()") == (not refused)


DELETES = {
    "by the key of the row": ("await session.execute(delete(Item).where(Item.id == item.id))", ["claim"]),
    "by the value that was asked for": ("await session.execute(delete(Item).where(Item.name == name))", ["claim"]),
    "counted": (
        """done = await session.execute(delete(Item).where(Item.id == item.id))
    if done.rowcount == 0:
        raise HTTPException(404)""",
        [],
    ),
    "returning": (
        """if await session.scalar(delete(Item).where(Item.id == item.id).returning(Item.id)) is None:
        raise HTTPException(404)""",
        [],
    ),
}


@pytest.mark.parametrize("name", sorted(DELETES))
def test_a_row_that_is_spent_by_a_delete_statement_is_claimed_twice(name: str, tmp_path: Path) -> None:
    statement, racy = DELETES[name]
    code = f"""
from sqlalchemy import delete

class Credit(Base):
    __tablename__ = "credits"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]

@app.post("/claim/{{name}}")
async def claim(name: str, session: AsyncSession = Depends(get_session)):
    item = await session.scalar(select(Item).where(Item.name == name))
    if item is None:
        raise HTTPException(404)
    {statement}
    session.add(Credit(amount=item.stock))
    await session.commit()
"""
    assert found(tmp_path, code) == racy


def test_a_row_that_a_helper_without_a_session_changes_is_locked_by_the_caller(tmp_path: Path) -> None:
    body = """
        async def load(session: AsyncSession, id: int) -> Item:
            return await session.scalar(select(Item).where(Item.id == id))

        def take(item: Item, wanted: int) -> None:
            if item.stock < wanted:
                raise HTTPException(409)
            item.stock -= wanted

        @app.post("/items/{id}")
        async def buy(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
            item = await load(session, id)
            take(item, wanted)
            await session.commit()

        @app.get("/items/{id}")
        async def show(id: int, session: AsyncSession = Depends(get_session)):
            return {"stock": (await load(session, id)).stock}
        """
    assert found(tmp_path, body) == ["buy"]
    report = autolock.fix([tmp_path], cache=False)
    (change,) = [change for rewrite in report.rewrites for change in rewrite.changes]
    lines = [line.strip() for line in change.after.decode().splitlines()]
    locked = lines.index('await session.refresh(item, attribute_names=["stock"], with_for_update=True)')
    assert lines[locked + 1] == "take(item, wanted)"


RENAMING = """
    from pydantic import BaseModel

    class Change(BaseModel):
        name: str | None = None
        stock: int | None = None

    @app.patch("/items/{id}")
    async def change(id: int, data: Change, session: AsyncSession = Depends(get_session)):
        item = await session.get(Item, id)
        other = (await session.execute(select(Item).where(Item.name == data.name))).scalar_one_or_none()
        if CHECK:
            raise HTTPException(409)
        for key, value in data.model_dump(exclude_unset=True).items():
            setattr(item, key, value)
        await session.commit()
    """


@pytest.mark.parametrize(
    ("check", "racy"),
    [("other and other.id != item.id", ["change"]), ("other is not None", ["change"]), ("other is None", [])],
)
def test_a_name_that_was_found_free_is_given_with_all_that_the_request_sets(
    check: str, racy: list[str], tmp_path: Path
) -> None:
    assert found(tmp_path, RENAMING.replace("CHECK", check)) == racy


CHARGING = """
    from sqlalchemy import update

    async def charge(session: AsyncSession, item: Item, wanted: int) -> None:
        if item.stock < wanted:
            raise HTTPException(409)
        await session.execute(update(Item).where(Item.id == item.id).values(stock=Item.stock - wanted))
        await session.commit()

    @app.post("/items/{id}")
    async def buy(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        await charge(session, await session.get(Item, id), wanted)

    @app.post("/items/{id}/gift")
    async def give(id: int, session: AsyncSession = Depends(get_session)):
        await charge(session, await session.get(Item, id), 1)
    """


def test_a_check_of_a_row_that_callers_have_loaded_is_shown_where_it_is_made(tmp_path: Path) -> None:
    assert found(tmp_path, CHARGING) == ["charge"]


def test_a_check_that_the_update_makes_again_is_none(tmp_path: Path) -> None:
    assert found(tmp_path, CHARGING.replace("Item.id == item.id", "Item.id == item.id, Item.stock >= wanted")) == []


TRACED = """
    import inspect
    from functools import wraps

    def traced(function):
        @wraps(function)
        async def coroutine(*args, **kwargs):
            return await function(*args, **kwargs)

        @wraps(function)
        def plain(*args, **kwargs):
            return function(*args, **kwargs)

        return coroutine if inspect.iscoroutinefunction(function) else plain

    @traced
    @asynccontextmanager
    async def opened():
        session = SessionLocal()
        try:
            yield session
        finally:
            await session.close()

    @traced
    async def ensure(name: str):
        async with opened() as session:
            if (await session.execute(select(Item).where(Item.name == name))).scalar_one_or_none() is None:
                session.add(Item(name=name, stock=0))
                await session.commit()
    """

ROUTE = """
    @app.post("/items")
    async def create(name: str):
        await ensure(name)
    """


JOBS = """
    JOBS = [ensure]
    """


@pytest.mark.parametrize("route", [JOBS, ROUTE])
def test_a_decorator_for_functions_of_both_kinds_wraps_each_in_its_own(route: str, tmp_path: Path) -> None:
    assert found(tmp_path, TRACED + route) == ["ensure"]


def test_what_a_decorator_calls_without_awaiting_is_still_run(tmp_path: Path) -> None:
    checked = TRACED.replace("return coroutine if inspect.iscoroutinefunction(function) else plain", "return plain")
    assert found(tmp_path, checked + JOBS) == ["ensure"]


LIMITED = """
    from sqlalchemy.exc import IntegrityError

    @app.post("/items")
    async def create(name: str, session: AsyncSession = Depends(get_session)):
        items = (await session.execute(select(Item).where(WHICH))).scalars().all()
        if len(items) >= 3:
            raise HTTPException(409)
        session.add(Item(name=name, stock=0))
        try:
            await session.commit()
        except IntegrityError:
            raise HTTPException(409)
    """


def test_a_constraint_does_not_answer_for_one_row_too_many(tmp_path: Path) -> None:
    assert found(tmp_path, LIMITED.replace("WHICH", "Item.stock == 0")) == ["create"]
    assert found(tmp_path, LIMITED.replace("WHICH", "Item.name == name").replace("len(items) >= 3", "items")) == []


PACKED = """
    import pickle
    from sqlalchemy import LargeBinary

    class Packed:
        @property
        def struct(self):
            return pickle.loads(self.body)

        @struct.setter
        def struct(self, value):
            self.body = pickle.dumps(value)

    class Run(Packed, Base):
        __tablename__ = "runs"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[bytes] = mapped_column(LargeBinary)

    @app.post("/runs/{id}")
    async def update(id: int, data: dict, session: AsyncSession = Depends(get_session)):
        run = await session.get(Run, id)
        struct = run.struct
        struct.update(data)
        run.struct = struct
        await session.commit()

    @app.put("/runs/{id}")
    async def replace(id: int, data: dict, session: AsyncSession = Depends(get_session)):
        run = await session.get(Run, id)
        run.struct = data
        await session.commit()

    @app.get("/runs/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        run = await session.get(Run, id)
        return run.struct
    """


def test_a_column_that_a_property_packs_is_read_and_written_through_it(tmp_path: Path) -> None:
    assert found(tmp_path, PACKED) == ["update"]


PAYING = """
    from sqlalchemy import update

    @app.post("/items/{id}")
    async def buy(id: int, other_id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        item = await session.get(Item, id)
        if item.stock < wanted:
            raise HTTPException(409)
        enough = update(Item).where(Item.id == OTHER, Item.stock >= wanted).values(stock=Item.stock - wanted)
        if (await session.execute(enough)).rowcount == 0:
            raise HTTPException(409)
        await session.execute(update(Item).where(Item.id == item.id).values(stock=Item.stock - wanted))
        await session.commit()
    """


@pytest.mark.parametrize(("other", "racy"), [("other_id", ["buy"]), ("item.id", [])])
def test_a_conditional_update_decides_for_its_own_row_alone(other: str, racy: list[str], tmp_path: Path) -> None:
    assert found(tmp_path, PAYING.replace("OTHER", other)) == racy


MERGING = """
    import json
    from sqlalchemy import Text

    class Plugin(Base):
        __tablename__ = "plugins"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
        config_json: Mapped[str] = mapped_column(Text)

    async def by_name(session: AsyncSession, name: str) -> Plugin | None:
        return (await session.execute(select(Plugin).where(Plugin.name == name))).scalar_one_or_none()

    async def saved(session: AsyncSession, name: str) -> dict:
        plugin = await by_name(session, name)
        return json.loads(plugin.config_json) if plugin else {}

    async def save(session: AsyncSession, name: str, config: dict) -> None:
        plugin = await by_name(session, name)
        plugin.config_json = json.dumps(config)
        await session.commit()
        await session.refresh(plugin)

    @app.post("/plugins/{name}")
    async def configure(name: str, config: dict, session: AsyncSession = Depends(get_session)):
        await save(session, name, MERGED)
    """


@pytest.mark.parametrize(
    ("merged", "racy"), [("{**(await saved(session, name)), **config}", ["configure"]), ("config", [])]
)
def test_what_is_merged_into_a_row_that_is_refreshed_after_is_lost(
    merged: str, racy: list[str], tmp_path: Path
) -> None:
    assert found(tmp_path, MERGING.replace("MERGED", merged)) == racy


PIECES = """
    import databases
    from sqlalchemy import ForeignKey, insert

    database = databases.Database("postgresql://localhost/shop")

    class Part(Base):
        __tablename__ = "parts"
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
        number: Mapped[int]

    async def add(name: str):
        query = "INSERT INTO items (name, stock) VALUES (:name, 0) RETURNING *"
        return await database.fetch_one(query, values={"name": name})

    @app.post("/items")
    async def create(name: str, parts: list[int]):
        item = await add(name)
        for number in parts:
            await database.execute(insert(Part), values={"item_id": ITEM, "number": number})
    """


@pytest.mark.parametrize(("item", "racy"), [("item.id", ["create"]), ("17", [])])
def test_parts_of_a_row_that_a_statement_returned_are_committed_apart(
    item: str, racy: list[str], tmp_path: Path
) -> None:
    assert found(tmp_path, PIECES.replace("ITEM", item)) == racy


REPLACING = """
    import databases

    database = databases.Database("postgresql://localhost/shop")

    @app.put("/tags/{id}")
    async def tag(id: int, other: int, tags: list[str]):
        await database.execute("DELETE FROM tags WHERE item_id = :id", values={"id": id})
        for name in tags:
            query = "INSERT INTO tags (item_id, name) VALUES (:id, :name)"
            await database.execute(query, values={"id": ITEM, "name": name})
    """


@pytest.mark.parametrize(("item", "racy"), [("id", ["tag"]), ("other", [])])
def test_rows_that_are_removed_and_put_back_are_committed_apart(item: str, racy: list[str], tmp_path: Path) -> None:
    assert found(tmp_path, REPLACING.replace("ITEM", item)) == racy


ORGANISING = """
    from sqlalchemy.exc import IntegrityError

    class Member(Base):
        __tablename__ = "members"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    async def join(session: AsyncSession, name: str) -> None:
        try:
            async with session.begin_nested():
                session.add(Member(name=name))
                await session.flush()
        except IntegrityError:
            pass

    @app.post("/items")
    async def create(name: str, member: str, session: AsyncSession = Depends(get_session)):
        if (await session.execute(select(Item).where(Item.name == name))).scalar_one_or_none() is not None:
            raise HTTPException(409)
        session.add(Item(name=name, stock=0))
        FLUSH
        await join(session, member)
        await session.commit()
    """


@pytest.mark.parametrize(
    ("flush", "racy"),
    [
        ("await session.flush()", ["create"]),
        (
            """try:
            await session.flush()
        except IntegrityError:
            raise HTTPException(409)""",
            [],
        ),
    ],
)
def test_who_catches_the_conflict_is_who_sends_the_row(flush: str, racy: list[str], tmp_path: Path) -> None:
    assert found(tmp_path, ORGANISING.replace("FLUSH", flush)) == racy


TAKING = """
    async def load(session: AsyncSession, id: int) -> Item:
        return await session.scalar(select(Item).where(Item.id == id))

    async def take(session: AsyncSession, item: Item, wanted: int) -> None:
        if item.stock < wanted:
            raise HTTPException(409)
        item.stock -= wanted
        await session.commit()

    @app.post("/items/{id}")
    async def buy(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        item = await load(session, id)
        await take(session, item, wanted)
    """


def test_a_helper_that_checks_takes_and_commits_is_where_the_finding_is_shown(tmp_path: Path) -> None:
    assert found(tmp_path, TAKING) == ["take"]


def test_a_row_that_changes_itself_is_shown_where_it_is_loaded(tmp_path: Path) -> None:
    body = """
        class Order(Base):
            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)
            state: Mapped[str]

            def pay(self) -> None:
                if self.state != "open":
                    raise HTTPException(409)
                self.state = "paid"

        class Payment(Base):
            __tablename__ = "payments"
            id: Mapped[int] = mapped_column(primary_key=True)
            order_id: Mapped[int]

        @app.post("/orders/{id}/pay")
        async def pay_order(id: int, session: AsyncSession = Depends(get_session)):
            order = await session.get(Order, id)
            order.pay()
            session.add(Payment(order_id=order.id))
            await session.commit()
        """
    assert found(tmp_path, body) == ["pay_order"]


def test_what_is_asked_and_set_before_the_count_is_read_again_with_it(tmp_path: Path) -> None:
    body = """
        class Key(Base):
            __tablename__ = "keys"
            id: Mapped[int] = mapped_column(primary_key=True)
            day: Mapped[int]
            used: Mapped[int]
            note: Mapped[str]

        async def spend(session: AsyncSession, key: Key, today: int) -> int:
            if key.day != today:
                key.day = today
                key.used = 0
            if key.used >= 10:
                raise HTTPException(429)
            key.used += 1
            key.note = "spent"
            await session.commit()
            return key.used

        async def get_key(id: int, session: AsyncSession = Depends(get_session)) -> Key:
            return await session.get(Key, id)

        @app.get("/keys/{id}")
        async def show(key: Key = Depends(get_key)):
            return {"used": key.used}

        @app.post("/keys/{id}")
        async def call(today: int, key: Key = Depends(get_key), session: AsyncSession = Depends(get_session)):
            return await spend(session, key, today)
        """
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(body))
    report = autolock.fix([tmp_path], cache=False)
    (change,) = [change for rewrite in report.rewrites for change in rewrite.changes]
    lines = [line.strip() for line in change.after.decode().splitlines()]
    locked = lines.index('await session.refresh(key, attribute_names=["day", "used"], with_for_update=True)')
    assert lines[locked + 1] == "if key.day != today:"
