"""Rows that helpers load for readers too: where they are locked instead."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import autolock

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/app")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]

async def get_session():
    async with SessionLocal() as session:
        yield session
"""


def fixed(folder: Path, body: str) -> list[str]:
    """The lines, without indents, of an app of one file after its fix; empty where there is none."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    report = autolock.fix([folder], apply=True, cache=False)
    return [line.strip() for line in (folder / "main.py").read_text().splitlines()] if report.rewrites else []


UPDATING = """
    class Items:
        def __init__(self, session: AsyncSession) -> None:
            self.session = session

        async def get(self, id: int) -> Item | None:
            return await self.session.scalar(select(Item).where(Item.id == id))

        async def update(self, item: Item, **changes) -> None:
            for name, value in changes.items():
                setattr(item, name, value)
            await self.session.commit()

    async def take(session: AsyncSession, id: int, wanted: int) -> None:
        items = Items(session)
        item = await items.get(id)
        if item is None:
            raise HTTPException(404)
        if item.stock < wanted:
            raise HTTPException(409)
        await items.update(item, stock=item.stock - wanted)

    @app.post("/items/{id}")
    async def buy(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        await take(session, id, wanted)

    @app.get("/items/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        return {"stock": (await Items(session).get(id)).stock}
    """


def test_a_row_whose_columns_are_set_in_a_loop_over_their_names_is_one_row(tmp_path: Path) -> None:
    lines = fixed(tmp_path, UPDATING)
    locked = lines.index('await session.refresh(item, attribute_names=["stock"], with_for_update=True)')
    assert lines[locked + 1] == "if item.stock < wanted:"


@pytest.mark.parametrize("asked", ["item is None or", "not item or", "item is None or not item.id or"])
def test_a_row_that_may_be_missing_where_it_is_used_is_locked_before_it_is_loaded(asked: str, tmp_path: Path) -> None:
    apart = """if item is None:
            raise HTTPException(404)
        if item.stock"""
    lines = fixed(tmp_path, UPDATING.replace(apart, f"if {asked} item.stock"))
    assert not any("refresh" in line for line in lines)
    look = lines.index("item = await items.get(id)")
    assert ".with_for_update()" in "".join(lines[look - 6 : look])


TEXT_STORE = """
    from sqlalchemy import text as sql

    class Batches:
        def __init__(self, session: AsyncSession) -> None:
            self.session = session

        async def get(self, id: int):
            found = await self.session.execute(sql("SELECT doses FROM batches WHERE id = :id"), {"id": id})
            return found.mappings().first()

        async def put(self, id: int, doses: int) -> None:
            await self.session.execute(
                sql("UPDATE batches SET doses = :doses WHERE id = :id"), {"doses": doses, "id": id}
            )

    async def take(session: AsyncSession, batch_id: int) -> None:
        batches = Batches(session)
        batch = await batches.get(batch_id)
        if batch["doses"] < 1:
            raise HTTPException(409)
        await batches.put(batch_id, batch["doses"] - 1)
        await session.commit()

    @app.post("/batches/{id}")
    async def shoot(id: int, session: AsyncSession = Depends(get_session)):
        await take(session, id)

    @app.get("/batches/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        return dict(await Batches(session).get(id))
    """


def test_a_text_that_readers_run_too_is_locked_by_one_before_it(tmp_path: Path) -> None:
    lines = fixed(tmp_path, TEXT_STORE)
    select = 'text("SELECT id FROM batches WHERE id = :id FOR UPDATE"), {"id": batch_id}'
    locked = next(n for n, line in enumerate(lines) if select in line)
    look = lines.index("batch = await batches.get(batch_id)")
    assert 0 < look - locked <= 2


@pytest.mark.parametrize(
    "other",
    [
        TEXT_STORE.replace("FROM batches", "FROM clinic.batches"),
        TEXT_STORE.replace("UPDATE batches SET doses = :doses WHERE id = :id", "UPDATE batches SET doses = :doses"),
        TEXT_STORE.replace(
            "take(session: AsyncSession, batch_id: int)", "take(session: AsyncSession, text: int)"
        ).replace("(batch_id", "(text"),
    ],
    ids=["schema", "other rows", "name taken"],
)
def test_a_text_that_no_other_can_lock_for_is_left_alone(other: str, tmp_path: Path) -> None:
    assert fixed(tmp_path, other) == []


USAGE = """
    from sqlalchemy import UniqueConstraint

    class Usage(Base):
        __tablename__ = "usage"
        __table_args__ = (UniqueConstraint("key", "day"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        key: Mapped[str]
        day: Mapped[int]
        calls: Mapped[int]

    @app.post("/calls/{key}/{day}")
    async def call(key: str, day: int, session: AsyncSession = Depends(get_session)):
        usage = await session.scalar(select(Usage).where(Usage.key == key, Usage.day == day))
        if usage is None:
            usage = Usage(GIVEN)
            session.add(usage)
        usage.calls += 1
        await session.commit()
        return usage.calls
    """


def test_a_row_that_is_counted_after_its_insert_is_locked_where_another_was_first(tmp_path: Path) -> None:
    lines = fixed(tmp_path, USAGE.replace("GIVEN", "key=key, day=day, calls=0"))
    refused = lines.index("except IntegrityError:")
    counted = lines.index("usage.calls += 1")
    assert refused < counted
    assert ".with_for_update()" in "".join(lines[refused:counted])
    assert ".with_for_update()" in "".join(lines[: lines.index("if usage is None:")])


def test_a_row_that_is_completed_after_it_was_added_is_not_sent_before(tmp_path: Path) -> None:
    later = USAGE.replace("GIVEN", "key=key, calls=0").replace("usage.calls += 1", "usage.calls += 1; usage.day = day")
    assert "except IntegrityError:" not in fixed(tmp_path, later)


BEGUN = """
    from sqlalchemy import Column, Integer, MetaData, String, Table, insert

    likes = Table("likes", MetaData(), Column("id", Integer, primary_key=True), Column("person", String, unique=True))

    async def get_connection():
        async with engine.begin() as connection:
            yield connection

    @app.post("/likes/{person}")
    async def like(person: str, connection=Depends(get_connection)):
        if (await connection.execute(select(likes.c.id).where(likes.c.person == person))).first():
            raise HTTPException(409)
        await connection.execute(insert(likes).values(person=person))
        return {}
    """


def test_a_conflict_in_a_transaction_of_the_dependency_is_answered_and_left_to_it(tmp_path: Path) -> None:
    lines = fixed(tmp_path, BEGUN)
    refused = lines.index("except IntegrityError as error:")
    assert lines[refused - 1] == "await connection.execute(insert(likes).values(person=person))"
    assert lines[refused + 1] == "raise HTTPException(409) from error"


CHOSEN = """
    @app.post("/take")
    async def take(session: AsyncSession = Depends(get_session)):
        items = (await session.scalars(select(Item).where(Item.holder.is_(None)).order_by(Item.id))).all()
        if not items:
            raise HTTPException(404)
        item = items[0]
        item.holder = "me"
        await session.commit()
        return item.id
    """


def test_the_first_of_an_ordered_list_is_chosen_like_a_limited_one(tmp_path: Path) -> None:
    head = HEAD.replace("stock: Mapped[int]", "holder: Mapped[str | None]")
    (tmp_path / "main.py").write_text(head + textwrap.dedent(CHOSEN))
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == ["take"]


SEATS = """
    import asyncpg

    pool = asyncpg.create_pool("postgresql://localhost/app")

    @app.post("/seats/{id}")
    async def sit(id: int, person: str):
        async with pool.acquire() as connection:
            seat = await connection.fetchrow("SELECT taken FROM seats WHERE id = $1", id)
            if seat["taken"]:
                raise HTTPException(409)
            await connection.execute("UPDATE seats SET SETS WHERE id = $2", person, id)
    """


@pytest.mark.parametrize(("sets", "racy"), [("taken = true, person = $1", ["sit"]), ("touched = true", [])])
def test_a_flag_that_is_set_together_with_a_name_gives_the_row_away(sets: str, racy: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(SEATS.replace("SETS", sets)))
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == racy


SCOPED = """
    from asyncio import current_task
    from sqlalchemy.ext.asyncio import async_scoped_session

    Db = async_scoped_session(SessionLocal, scopefunc=current_task)

    @app.middleware("http")
    async def give_back(request, call_next):
        try:
            return await call_next(request)
        finally:
            await Db.remove()

    async def find(id: int) -> Item:
        return await Db.scalar(select(Item).where(Item.id == id))

    @app.post("/items/{id}")
    async def take(id: int):
        item = await find(id)
        if item.stock < 1:
            raise HTTPException(409)
        item.stock -= 1
        await Db.commit()

    @app.get("/items/{id}")
    async def show(id: int):
        return {"stock": (await find(id)).stock}
    """


@pytest.mark.parametrize("ended", [None, "end"])
def test_a_scoped_session_is_at_hand_by_its_own_name(ended: str | None, tmp_path: Path) -> None:
    body = SCOPED
    if ended is not None:
        helper = "    async def end():\n        await Db.remove()\n\n    @app.middleware"
        body = body.replace("await Db.remove()", "await end()").replace("    @app.middleware", helper)
    assert 'await Db.refresh(item, attribute_names=["stock"], with_for_update=True)' in fixed(tmp_path, body)


HELPED = """
    async def load(session: AsyncSession, id: int) -> Item | None:
        return await session.scalar(select(Item).where(Item.id == id))

    def checked(item: Item | None, wanted: int) -> Item:
        if item is None or item.stock < wanted:
            raise HTTPException(409)
        return item

    def enough(item: Item, wanted: int) -> bool:
        return item.stock >= wanted

    @app.get("/items/{id}")
    async def show(id: int, session: AsyncSession = Depends(get_session)):
        return {"stock": (await load(session, id)).stock}

    @app.post("/items/{id}")
    async def take(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        LOOK
        item.stock -= wanted
        await session.commit()
    """
CHECKED = """item = await load(session, id)
        if item is None or not enough(item, wanted):
            raise HTTPException(409)"""


@pytest.mark.parametrize("look", ["item = checked(await load(session, id), wanted)", CHECKED], ids=["wrapped", "asked"])
def test_a_row_that_a_helper_checks_where_it_is_loaded_is_locked_before(look: str, tmp_path: Path) -> None:
    lines = fixed(tmp_path, HELPED.replace("LOOK", look))
    loaded = lines.index(look.splitlines()[0])
    assert ".with_for_update()" in "".join(lines[loaded - 6 : loaded])


def test_a_sum_of_a_value_that_has_a_name_is_made_of_the_old_one(tmp_path: Path) -> None:
    look = """item = await session.get(Item, id)
        before = item.stock
        after = before - wanted"""
    lines = fixed(tmp_path, HELPED.replace("LOOK", look).replace("item.stock -= wanted", "item.stock = after"))
    assert any("with_for_update" in line for line in lines)


SETTING = """
    from sqlalchemy import UniqueConstraint

    class Setting(Base):
        __tablename__ = "settings"
        __table_args__ = (UniqueConstraint("owner", "key"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        owner: Mapped[int]
        key: Mapped[str]
        value: Mapped[str]

    @app.put("/settings/{owner}/{key}")
    async def put(owner: int, key: str, value: str, session: AsyncSession = Depends(get_session)):
        setting = await session.scalar(select(Setting).where(Setting.owner == owner, Setting.key == key))
        if setting:
            setting.value = value
        else:
            session.add(Setting(owner=owner, key=key, value=value))
            MORE
        await session.commit()
        return value
    """


def test_a_row_without_a_name_goes_in_by_a_savepoint(tmp_path: Path) -> None:
    lines = fixed(tmp_path, SETTING.replace("MORE", "print(value)"))
    assert lines.count("setting.value = value") == 2
    assert lines.index("except IntegrityError:") < len(lines) - 1 - lines[::-1].index("setting.value = value")


def test_what_is_counted_beside_a_new_row_is_not_counted_for_one_that_was_there(tmp_path: Path) -> None:
    more = "item = await session.get(Item, owner, with_for_update=True); item.stock += 1"
    assert "except IntegrityError:" not in fixed(tmp_path, SETTING.replace("MORE", more))


RETURNED = """
    class Tally(Base):
        __tablename__ = "tallies"
        name: Mapped[str] = mapped_column(primary_key=True)
        votes: Mapped[int]

    async def tally_of(session: AsyncSession, name: str) -> Tally:
        tally = (await session.execute(select(Tally).where(Tally.name == name))).scalar_one_or_none()
        if tally is None:
            tally = Tally(name=name, votes=0)
            session.add(tally)
            await session.flush()
        return tally

    @app.post("/votes/{name}")
    async def vote(name: str, session: AsyncSession = Depends(get_session)):
        tally = await tally_of(session, name)
        tally.votes += 1
        await session.commit()
        return tally.votes
    """


def test_a_row_that_the_caller_counts_is_found_again_locked(tmp_path: Path) -> None:
    lines = fixed(tmp_path, RETURNED)
    refused = lines.index("except IntegrityError:")
    assert ".with_for_update()" in "".join(lines[refused : lines.index("return tally")])


COMMITTED_BY_THE_DEPENDENCY = """
    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)

    async def get_transaction():
        async with SessionLocal.begin() as session:
            yield session

    @app.post("/users")
    async def register(email: str, session: AsyncSession = Depends(get_transaction)):
        if await session.scalar(select(User.id).where(User.email == email)):
            raise HTTPException(409)
        user = User(email=email)
        session.add(user)
        await session.flush()
        return {"id": user.id}
    """


def test_a_conflict_is_answered_where_the_row_is_flushed(tmp_path: Path) -> None:
    lines = fixed(tmp_path, COMMITTED_BY_THE_DEPENDENCY)
    refused = lines.index("except IntegrityError as error:")
    assert lines[refused - 1] == "await session.flush()"
    assert "raise HTTPException(409) from error" in lines[refused:]


NUMBERED = """
    class Invoice(Base):
        __tablename__ = "invoices"
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int]
        number: Mapped[int]
        title: Mapped[str | None]

    @app.post("/items/{id}/invoices")
    async def invoice(id: int, number: int, session: AsyncSession = Depends(get_session)):
        item = await session.get(Item, id)
        query = select(Invoice).where(Invoice.item_id == id).order_by(Invoice.ORDER.desc()).limit(1)
        last = (await session.scalars(query)).first()
        session.add(Invoice(item_id=id, GIVEN))
        await session.commit()
        return item.stock
    """


@pytest.mark.parametrize(
    ("order", "given", "racy"),
    [
        ("number", "number=last.number + 1 if last else 1", ["invoice"]),
        ("id", "number=number, title=last.title if last else None", []),
    ],
)
def test_a_number_that_follows_the_last_one(order: str, given: str, racy: list[str], tmp_path: Path) -> None:
    body = NUMBERED.replace("ORDER", order).replace("GIVEN", given)
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(body))
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == racy


SOLD = """
    class Sale(Base):
        __tablename__ = "sales"
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int]

    @app.post("/items/{id}")
    async def sell(id: int, session: AsyncSession = Depends(get_session)):
        item = await session.get(Item, id, with_for_update=True)
        item.stock -= 1
        await session.commit()
        session.add(Sale(item_id=id))
        await session.commit()
    """


def test_a_count_and_the_new_row_that_it_is_for_are_committed_together(tmp_path: Path) -> None:
    assert "await session.flush()" in fixed(tmp_path, SOLD)


TOKEN = """
    class Reset(Base):
        __tablename__ = "resets"
        token: Mapped[str] = mapped_column(primary_key=True)
        item_id: Mapped[int]
        used: Mapped[bool]

    @app.post("/resets/{token}")
    async def reset(token: str, stock: int, session: AsyncSession = Depends(get_session)):
        reset = await session.get(Reset, token)
        if reset.used:
            raise HTTPException(410)
        item = await session.get(Item, reset.item_id)
        CHANGE
        reset.used = True
        await session.commit()
        return item.id
    """


@pytest.mark.parametrize(("change", "racy"), [("item.stock = stock", ["reset"]), ("print(item.stock)", [])])
def test_a_token_that_lets_a_row_be_changed_is_used_once(change: str, racy: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(TOKEN.replace("CHANGE", change)))
    assert [f.place.function for f in autolock.check([tmp_path], cache=False).findings] == racy


PARTS = """
    from databases import Database

    database = Database("postgresql://localhost/app")

    @app.post("/orders")
    async def order(who: str, sku: str):
        id = await database.execute("INSERT INTO orders (who) VALUES (:who) RETURNING id", {"who": who})
        await database.execute("INSERT INTO lines (order_id, sku) VALUES (:order, :sku)", {"order": KEY, "sku": sku})
        return {"id": id}
    """


@pytest.mark.parametrize(("key", "split"), [("id", True), ("len(sku)", False)])
def test_a_row_and_those_that_name_the_key_it_was_given_are_one_change(key: str, split: bool, tmp_path: Path) -> None:
    lines = fixed(tmp_path, PARTS.replace("KEY", key))
    assert ("async with database.transaction():" in lines) is split


def test_a_scoped_session_that_an_error_leaves_open_is_not_made_to_lock(tmp_path: Path) -> None:
    left = SCOPED.replace("finally:", "except ValueError:")
    assert fixed(tmp_path, left) == []
    (finding,) = [f for f in autolock.check([tmp_path], cache=False).findings if f.rule == "AL202"]
    assert "`remove()` in a `finally`" in finding.fix.reason


def test_a_row_is_not_locked_through_what_another_object_keeps_for_itself(tmp_path: Path) -> None:
    body = """
    class Items:
        def __init__(self, session: AsyncSession) -> None:
            self._session = session

        async def find(self, id: int) -> Item | None:
            return await self._session.scalar(select(Item).where(Item.id == id))

        async def save(self) -> None:
            await self._session.commit()

    class Shop:
        def __init__(self, items: Items) -> None:
            self.items = items

        async def take(self, id: int, wanted: int) -> int | None:
            item = await self.items.find(id)
            if not item or item.stock < wanted:
                return None
            item.stock -= wanted
            await self.items.save()
            return item.stock

    @app.get("/items/{id}")
    async def read(id: int, session: AsyncSession = Depends(get_session)):
        return await Items(session).find(id)

    @app.post("/items/{id}")
    async def take(id: int, wanted: int, session: AsyncSession = Depends(get_session)):
        return await Shop(Items(session)).take(id, wanted)
    """
    assert fixed(tmp_path, body) == []
    assert {f.rule for f in autolock.check([tmp_path], cache=False).findings} == {"AL202"}
