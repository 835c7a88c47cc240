"""What fixes on rows write into code as services have it: each app is a few lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import os

from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("postgresql://localhost/shop")
SessionLocal = sessionmaker(engine)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    stock: Mapped[int]

class Part(Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))

def get_session():
    with SessionLocal() as session:
        yield session
"""


def fixed(folder: Path, body: str) -> str:
    """The program after its safe fixes, without its head; a second run leaves it as it is."""
    main = folder / "main.py"
    main.write_text(HEAD + textwrap.dedent(body))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once[once.index("@app.") :]


def refusals(folder: Path, body: str) -> list[str]:
    """Why the findings of a program have no fix."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    report = autolock.check([folder], cache=False)
    return [f.fix.reason for f in report.findings if f.fix.safety.value == "none"]


BRANCHING = {
    "one branch each": """
    query = session.query(Item)
    if name:
        query = query.filter(Item.name == name)
    else:
        query = query.filter(Item.id == id)
    item = RUN
    """,
    "in a loop": """
    query = session.query(Item).filter(Item.id == id)
    for word in name.split():
        query = query.filter(Item.name.contains(word))
    item = RUN
    """,
    "conditional expression": """
    query = session.query(Item).filter(Item.name == name) if name else session.query(Item).filter(Item.id == id)
    item = RUN
    """,
}
BUYING = """
@app.post("/buy/{{id}}")
def buy(id: int, name: str = "", session: Session = Depends(get_session)):
{body}
    if item.stock > 0:
        item.stock -= 1
        session.commit()
"""


@pytest.mark.parametrize("shape", sorted(BRANCHING))
def test_a_query_that_is_built_in_branches_is_locked_where_it_is_run(shape: str, tmp_path: Path) -> None:
    body = BUYING.format(body=BRANCHING[shape].replace("RUN", "query.first()").strip("\n"))
    after = fixed(tmp_path, body)
    assert "item = query.populate_existing().with_for_update().first()" in after
    assert after.count("with_for_update") == 1


def test_a_query_of_two_branches_that_has_no_name_is_left_to_the_reader(tmp_path: Path) -> None:
    body = """
    @app.post("/buy/{id}")
    def buy(id: int, name: str = "", session: Session = Depends(get_session)):
        query = {"item": select(Item).where(Item.id == id) if id else select(Item).where(Item.name == name)}
        item = session.scalars(query["item"]).one()
        if item.stock > 0:
            item.stock -= 1
            session.commit()
    """
    (reason,) = refusals(tmp_path, body)
    assert "where it is run" in reason


DELETING = """
@app.delete("/items/{{id}}")
def remove(id: int, session: Session = Depends(get_session)):
    item = session.get(Item, id)
    part = session.scalars(select(Part).where(Part.item_id == id)).one()
    session.delete(part)
    session.commit()
    {between}
    session.delete(item)
    session.commit()

def clean(path):
    os.remove(path)
"""


@pytest.mark.parametrize("between", ["os.remove(item.name)", "clean(item.name)"])
def test_what_a_rollback_does_not_take_back_keeps_commits_apart(between: str, tmp_path: Path) -> None:
    reasons = refusals(tmp_path, DELETING.format(between=between))
    assert any("is not taken back" in reason for reason in reasons)


def test_commits_with_only_rows_between_them_become_one(tmp_path: Path) -> None:
    after = fixed(tmp_path, DELETING.format(between="session.refresh(item)"))
    assert after.count("session.commit()") == 1
    assert after.count("session.flush()") == 1


def test_a_session_of_unknown_origin_is_awaited_only_where_its_calls_are(tmp_path: Path) -> None:
    body = """
    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    @app.middleware("http")
    async def open_session(request, call_next):
        response = await call_next(request)
        return response

    def borrowed(request: Request):
        return request.state.db

    def borrowed_async(request: Request):
        return request.state.async_db

    @app.post("/users")
    def register(name: str, db=Depends(borrowed)):
        if db.query(User).filter(User.name == name).one_or_none():
            raise HTTPException(409)
        user = User(name=name)
        db.add(user)
        db.commit()
        return user.id

    @app.post("/users/async")
    async def register_async(name: str, other=Depends(borrowed_async)):
        if await other.scalar(select(User).where(User.name == name)):
            raise HTTPException(409)
        user = User(name=name)
        other.add(user)
        await other.commit()
        return user.id
    """
    after = fixed(tmp_path, body)
    assert "        db.rollback()" in after
    assert "        await other.rollback()" in after


USERS = """
class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    active: Mapped[bool]

@app.put("/users/{{name}}")
def enter(name: str, session: Session = Depends(get_session)):
    {look}
    if {missing}:
        {found} = User(name=name, active=True)
        session.add({found})
        session.commit()
    return {found}
"""


def test_a_row_that_is_taken_out_of_a_named_result_is_selected_again(tmp_path: Path) -> None:
    look = """result = session.execute(select(User).where(User.name == name))
    user = result.scalar_one_or_none()"""
    after = fixed(tmp_path, USERS.format(look=look, missing="user is None", found="user"))
    assert "user = session.execute(select(User).where(User.name == name)).scalar_one()" in after


def test_a_list_of_rows_is_not_taken_for_the_row(tmp_path: Path) -> None:
    look = "users = session.scalars(select(User).where(User.name == name)).all()"
    body = USERS.format(look=look, missing="not users", found="user")
    assert "begin_nested" not in fixed(tmp_path, body)


@pytest.mark.parametrize(
    "change", ["existing.active = True", "setattr(existing, 'active', True)", "existing.enter()", "revive(existing)"]
)
def test_a_row_that_is_changed_and_returned_where_it_is_found_is_left_to_the_reader(
    change: str, tmp_path: Path
) -> None:
    body = (
        USERS[: USERS.index("    {look}")].format()
        + """    result = session.execute(select(User).where(User.name == name))
    existing = result.scalar_one_or_none()
    if existing:
        if not existing.active:
            CHANGE
            session.commit()
        return existing
    user = User(name=name, active=True)
    session.add(user)
    session.commit()
    return user
"""
    )
    assert "begin_nested" not in fixed(tmp_path, body.replace("CHANGE", change))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Item.name == name, Item.name == name.strip()", "op.create_unique_constraint(None, 'items', ['name'])"),
        ("text(name)", "what was asked cannot be seen in full"),
    ],
)
def test_a_constraint_is_proposed_on_the_columns_that_were_asked_for(asked: str, told: str, tmp_path: Path) -> None:
    body = f"""
    @app.post("/items")
    def create(name: str, session: Session = Depends(get_session)):
        if session.scalars(select(Item).where({asked})).first() is None:
            session.add(Item(name=name, stock=0))
            session.commit()
    """
    (reason,) = refusals(tmp_path, body)
    assert told in reason


COUNTERS = """
@app.post("/items/{id}")
def sell(id: int, number: int, session: Session = Depends(get_session)):
    item = session.get(Item, id)
    item.stock -= number
    item.sold += 1
    AFTER
    session.commit()
    return item.name
"""
SOLD = "    stock: Mapped[int]\n    sold: Mapped[int]"


def test_two_counters_of_a_row_are_both_added_to_in_the_database(tmp_path: Path) -> None:
    body = COUNTERS.replace("AFTER", "pass")
    (tmp_path / "main.py").write_text(HEAD.replace("    stock: Mapped[int]", SOLD) + body)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text()
    assert "item.stock = Item.stock - number" in after
    assert "item.sold = Item.sold + 1" in after


@pytest.mark.parametrize("use", ["print(item.stock)", "item.name = str(item.sold)"])
def test_a_row_of_which_one_counter_is_looked_at_is_locked(use: str, tmp_path: Path) -> None:
    body = COUNTERS.replace("AFTER", use)
    (tmp_path / "main.py").write_text(HEAD.replace("    stock: Mapped[int]", SOLD) + body)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text()
    assert "with_for_update" in after
    assert "Item.stock" not in after


QUERIES = """
from sqlalchemy.orm import scoped_session

scoped = scoped_session(SessionLocal)
Base.query = scoped.query_property()

@app.post("/items/{id}")
def sell(id: int):
    item = Item.query.LOOK
    if item.stock < 1:
        raise HTTPException(409)
    item.stock -= 1
    scoped.commit()

@app.middleware("http")
async def give_back(request, call_next):
    try:
        return await call_next(request)
    finally:
        scoped.remove()
"""


@pytest.mark.parametrize(
    ("look", "locked"),
    [
        ("filter_by(id=id).first()", "filter_by(id=id).populate_existing().with_for_update().first()"),
        ("get(id)", "populate_existing().with_for_update().get(id)"),
        ("populate_existing().with_for_update().get(id)", "populate_existing().with_for_update().get(id)"),
    ],
)
def test_the_query_of_a_model_asks_through_the_scoped_session(look: str, locked: str, tmp_path: Path) -> None:
    assert f"item = Item.query.{locked}\n" in fixed(tmp_path, QUERIES.replace("LOOK", look))


def test_what_else_a_model_calls_query_is_no_look(tmp_path: Path) -> None:
    body = QUERIES.replace("LOOK", "first()").replace("scoped.query_property()", "Item")
    assert "with_for_update" not in fixed(tmp_path, body)


MODELS = """
    from sqlalchemy import ForeignKey
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        stock: Mapped[int]

    class Part(Base):
        __tablename__ = "parts"
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    """
JOINED = """
    import models
    from fastapi import Depends, FastAPI
    from sqlalchemy import create_engine, select
    from sqlalchemy.orm import Session, sessionmaker

    SessionLocal = sessionmaker(create_engine("postgresql://localhost/shop"))
    app = FastAPI()

    def get_session():
        with SessionLocal() as session:
            yield session

    @app.post("/buy/{id}")
    def buy(id: int, session: Session = Depends(get_session)):
        query = select(models.Item).outerjoin(models.Part).where(models.Item.id == id)
        item = session.scalars(query).one()
        if item.stock > 0:
            item.stock -= 1
            session.commit()
    """


def test_what_a_join_locks_is_named_as_the_query_names_it(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    (tmp_path / "main.py").write_text(textwrap.dedent(JOINED))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "with_for_update(of=models.Item)" in (tmp_path / "main.py").read_text()


NAMED = """
    class Named(Base):
        __tablename__ = "named"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    def greet(session, named):
        session.add(Part(item_id=named.id))

    @app.post("/named/{name}")
    def make(name: str, session: Session = Depends(get_session)):
        named = session.scalars(select(Named).where(Named.name == name)).first()
        LOOK
    """
FOUND = "if named is None:\n            named = Named(name=name)\n            session.add(named)\n            "
LEFT = "if named is not None:\n            return named\n        named = Named(name=name)\n        "
LEFT += "session.add(named)\n        "


@pytest.mark.parametrize("start", [FOUND, LEFT])
@pytest.mark.parametrize("more", ["greet(session, named)", "session.flush(); session.add(Part(item_id=named.id))"])
def test_what_is_done_for_a_new_row_is_not_done_for_a_found_one(start: str, more: str, tmp_path: Path) -> None:
    end = "\n        session.commit()\n        return named"
    assert "begin_nested" not in fixed(tmp_path, NAMED.replace("LOOK", f"{start}{more}{end}"))


@pytest.mark.parametrize(("told", "again"), [("named", "session.scalars("), ("{'made': name}", "pass  #")])
def test_the_row_of_another_request_is_read_only_where_it_is_used(told: str, again: str, tmp_path: Path) -> None:
    end = f"session.flush()\n        session.commit()\n        return {told}"
    after = fixed(tmp_path, NAMED.replace("LOOK", FOUND + end))
    assert again in after[after.index("except IntegrityError:") :]


RENAMED = """
    class Named(Base):
        __tablename__ = "named"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    @app.put("/named/{id}")
    def rename(id: int, name: str, session: Session = Depends(get_session)):
        named = session.get(Named, id)
        if name != named.name:
            if session.scalars(select(Named).where(Named.name == name)).first() is not None:
                raise HTTPException(409, "taken")
            named.name = name
        MORE
        session.commit()
    """


@pytest.mark.parametrize(
    ("more", "tried"),
    [("session.add(named)", "    try:\n        session.commit()\n"), ("session.flush()", "    try:\n        if name")],
)
def test_a_conflict_is_caught_where_the_change_may_be_sent(more: str, tried: str, tmp_path: Path) -> None:
    assert tried in fixed(tmp_path, RENAMED.replace("MORE", more))


PAYING = """
@app.post("/items/{name}")
def add(name: str, by: int, session: Session = Depends(get_session)):
    item = session.scalars(select(Item).where(Item.name == name)).first()
    if item is None:
        item = Item(name=name, stock=0)
        session.add(item)
BODY
    session.commit()
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("    item.stock += by", "with_for_update()"),
        ("    else:\n        item.stock += by", "item.stock = Item.stock + by"),
    ],
)
def test_the_database_does_not_add_to_a_row_that_may_be_new(body: str, expected: str, tmp_path: Path) -> None:
    after = fixed(tmp_path, PAYING.replace("BODY", body))
    assert expected in after
    assert ("Item.stock +" in after) is ("else" in body)


CLAIMING = """
@app.post("/claim")
def claim(ids: list[int], session: Session = Depends(get_session)):
    items = session.scalars(select(Item).where({asked})).all()
    free = [item.id for item in items if item.name != "taken"]
    if free:
        session.execute(update(Item).where(Item.id.in_(free)).values(name="taken"))
    session.commit()
    return free

@app.post("/release/{{id}}")
def release(id: int, session: Session = Depends(get_session)):
    session.execute(update(Item).where(Item.id == id).values(name="free"))
    session.commit()
"""


def test_rows_that_one_update_changes_are_locked_in_one_order(tmp_path: Path) -> None:
    text = "from sqlalchemy import update\n" + CLAIMING.format(asked="Item.id.in_(ids)")
    assert ".order_by(Item.id)" in fixed(tmp_path, text)


def test_the_other_rows_than_the_one_at_hand_are_not_locked_by_themselves(tmp_path: Path) -> None:
    text = "from sqlalchemy import update\n" + CLAIMING.format(asked="Item.id != ids[0], Item.stock > 3")
    (reason,) = refusals(tmp_path, text)
    assert "wait for each other" in reason


BOOKING = """
def add_parts(session: Session, item: Item, count: int):
    for _ in range(count):
        session.add(Part(item_id=item.id))
    {commit}

@app.post("/items")
def create(name: str, count: int, session: Session = Depends(get_session)):
    item = Item(name=name, stock=count)
    session.add(item)
    session.commit()
    {call}
"""


@pytest.mark.parametrize(
    ("call", "commit", "offered"),
    [
        ("add_parts(session, item, count)", "session.commit()", True),
        ("if count > 0:\n        add_parts(session, item, count)", "session.commit()", False),
        ("add_parts(session, item, count)", "if count > 0:\n        session.commit()", False),
    ],
)
def test_a_commit_becomes_a_flush_only_where_every_way_commits_after_it(
    call: str, commit: str, offered: bool, tmp_path: Path
) -> None:
    text = BOOKING.format(call=call, commit=commit)
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(text))
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.rule == "AL201"
    assert finding.fix is not None
    assert (finding.fix.safety.value != "none") is offered
    assert offered or "every way" in finding.fix.reason


UPSERTED = """
class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    uses: Mapped[str]

@app.put("/tags/{name}")
def put(name: str, data: dict, session: Session = Depends(get_session)):
    existing = session.scalars(select(Tag).where(Tag.name == name)).one_or_none()
    if existing is None:
        tag = Tag(name=name, **data)
        session.add(tag)
    else:
        for key, value in data.items():
            setattr(existing, key, value)
LAST
    session.commit()
    return tag
"""


@pytest.mark.parametrize("last", ["        tag = existing", "        print(name)"])
def test_whoever_comes_second_changes_the_row_that_was_found_now(last: str, tmp_path: Path) -> None:
    after = fixed(tmp_path, UPSERTED.replace("LAST", last))
    handler = after.partition("except IntegrityError:")[2].partition("    else:")[0]
    assert "            existing = session.scalars" in handler
    assert handler.rstrip().endswith("tag = existing")


KEEPING = """
class Items:
    def __init__(self, session: Session):
        self.{name} = session

    def find(self, id: int) -> Item:
        return self.{name}.get(Item, id)

@app.post("/items/{{id}}/buy")
def buy(id: int, session: Session = Depends(get_session)):
    items = Items(session)
    return sold(items, id)

@app.get("/items/{{id}}")
def show(id: int, session: Session = Depends(get_session)):
    return Items(session).find(id).name

def sold(items: Items, id: int) -> int:
    item = items.find(id)
    if item.stock < 1:
        raise HTTPException(409)
    item.stock -= 1
    items.{name}.commit()
    return item.stock
"""


@pytest.mark.parametrize(
    ("name", "locked"), [("session", "items.session.refresh(item, "), ("_session", 'items.lock(item, "stock")')]
)
def test_what_another_object_keeps_for_itself_is_not_taken(name: str, locked: str, tmp_path: Path) -> None:
    assert locked in fixed(tmp_path, KEEPING.format(name=name))


SCOPED = """
from asyncio import current_task
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine

class Database:
    def __init__(self, url: str):
        self.factory = async_sessionmaker(bind=create_async_engine(url), expire_on_commit=False)

    async def scoped(self):
        session = async_scoped_session(session_factory=self.factory, scopefunc=current_task)
        try:
            yield session
        finally:
            await session.remove()

database = Database("postgresql+asyncpg://localhost/shop")

async def found(session: AsyncSession, name: str):
    return await session.scalar(select(Item).where(Item.name == name))

@app.get("/items/{name}")
async def show(name: str, session: AsyncSession = Depends(database.scoped)):
    return (await found(session, name)).stock

@app.post("/items/{name}/buy")
async def buy(name: str, session: AsyncSession = Depends(database.scoped)):
    item = await found(session, name)
    BETWEEN
    if item.stock < 1:
        raise HTTPException(409)
    item.stock -= 1
    session.add(item)
    await session.commit()
"""


def test_a_scoped_session_of_coroutines_is_awaited(tmp_path: Path) -> None:
    after = fixed(tmp_path, SCOPED.replace("BETWEEN", "print(name)"))
    assert 'await session.refresh(item, attribute_names=["stock"], with_for_update=True)' in after


def test_a_row_that_its_session_has_let_go_of_is_not_refreshed(tmp_path: Path) -> None:
    (reason,) = refusals(tmp_path, SCOPED.replace("BETWEEN", "await session.close()"))
    assert "the transaction ends" in reason
