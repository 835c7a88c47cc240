"""Rows that are loaded, changed or committed elsewhere than where the fix belongs: each app is a few lines."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("postgresql+psycopg://localhost/shop")
SessionLocal = sessionmaker(engine)
app = FastAPI()

class Base(DeclarativeBase):
    pass

class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[int]

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    state: Mapped[str]
    stock: Mapped[int]

def get_session():
    with SessionLocal() as session:
        yield session
"""


def fixed(folder: Path, body: str) -> str:
    """The file after the fixes, of which nothing may be found again."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(body))
    autolock.fix([folder], apply=True, cache=False)
    report = autolock.check([folder], cache=False)
    assert [f.message for f in report.findings] == []
    return (folder / "main.py").read_text()


def lines(source: str, function: str) -> list[str]:
    """The statements of a function, each in one line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            return [ast.unparse(statement) for statement in node.body]
    raise AssertionError(function)


REFRESH = "{}.refresh(item, attribute_names=['stock'], with_for_update=True)"


def test_the_session_of_a_repository_locks_where_the_function_has_none(tmp_path: Path) -> None:
    body = """
    class Items:
        def __init__(self, session: Session):
            self.session = session

        def load(self, id):
            return self.session.scalars(select(Item).where(Item.id == id)).one()

        def save(self):
            self.session.commit()

    class Shop:
        def __init__(self, session: Session = Depends(get_session)):
            self.items = Items(session)

    @app.get("/stock/{id}")
    def stock(id: int, shop: Shop = Depends()):
        return shop.items.load(id).stock

    @app.post("/buy/{id}")
    def buy(id: int, shop: Shop = Depends()):
        item = shop.items.load(id)
        item.stock = max(item.stock - 1, 0)
        shop.items.save()
    """
    assert lines(fixed(tmp_path, body), "buy")[1] == REFRESH.format("shop.items.session")


def test_a_function_that_is_said_to_return_the_session_gives_the_same_one(tmp_path: Path) -> None:
    body = """
    from contextvars import ContextVar

    held: ContextVar[Session] = ContextVar("held")

    def current() -> Session:
        return held.get()

    def load(id):
        return current().scalars(select(Item).where(Item.id == id)).one()

    @app.get("/stock/{id}")
    def stock(id: int):
        return load(id).stock

    @app.post("/buy/{id}")
    def buy(id: int):
        item = load(id)
        item.stock = max(item.stock - 1, 0)
        current().commit()
    """
    assert lines(fixed(tmp_path, body), "buy")[1] == REFRESH.format("current()")


def test_a_parent_that_others_load_too_is_locked_before_its_rows_are_counted(tmp_path: Path) -> None:
    body = """
    def load(session, id):
        return session.scalars(select(Shelf).where(Shelf.id == id)).one()

    @app.get("/room/{id}")
    def room(id: int, session: Session = Depends(get_session)):
        return load(session, id).room

    @app.post("/put/{id}")
    def put(id: int, session: Session = Depends(get_session)):
        shelf = load(session, id)
        used = session.scalar(select(func.count(Item.id)).where(Item.shelf_id == shelf.id))
        if used >= shelf.room:
            raise HTTPException(409)
        session.add(Item(shelf_id=shelf.id, state="new", stock=1))
        session.commit()
    """
    expected = "session.refresh(shelf, attribute_names=['room'], with_for_update=True)"
    assert lines(fixed(tmp_path, body), "put")[1] == expected


COLLECTION = """
class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(ForeignKey("boxes.id"))

class Box(Base):
    __tablename__ = "boxes"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    seals: Mapped[dict] = mapped_column(MutableDict.as_mutable(JSON))
    lines: Mapped[list[Line]] = relationship()
"""
IMPORTS = """
from sqlalchemy import JSON
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import joinedload, relationship, selectinload
"""
FILL = """
@app.post("/fill/{{id}}")
def fill(id: int, session: Session = Depends(get_session)):
    box = session.scalar(select(Box).options({}(Box.lines)).where(Box.id == id))
    if len(box.lines) >= box.size:
        raise HTTPException(409)
    box.lines.append(Line())
    session.commit()
"""


def test_the_owner_of_a_collection_that_is_counted_is_locked(tmp_path: Path) -> None:
    source = fixed(tmp_path, IMPORTS + COLLECTION + FILL.format("selectinload"))
    assert ".with_for_update()" in lines(source, "fill")[0]


def test_a_collection_that_is_joined_is_read_before_the_lock(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + IMPORTS + COLLECTION + FILL.format("joinedload"))
    assert not autolock.fix([tmp_path], apply=True, cache=False).rewrites
    assert [f.name for f in autolock.check([tmp_path], cache=False).findings] == ["check-then-insert"]


INSIDE = {
    "element": "box.seals[name] = 1",
    "augmented": "box.seals[name] += 1",
    "update": "box.seals.update({name: 1})",
}


@pytest.mark.parametrize("change", sorted(INSIDE))
def test_a_change_inside_of_a_mutable_column_writes_all_of_it(change: str, tmp_path: Path) -> None:
    handler = f"""
def load(session, id):
    return session.get(Box, id)

@app.get("/seals/{{id}}")
def seals(id: int, session: Session = Depends(get_session)):
    return load(session, id).seals

@app.post("/seal/{{id}}")
def seal(id: int, name: str, session: Session = Depends(get_session)):
    box = load(session, id)
    {INSIDE[change]}
    session.commit()
"""
    expected = "session.refresh(box, attribute_names=['seals'], with_for_update=True)"
    assert lines(fixed(tmp_path, IMPORTS + COLLECTION + handler), "seal")[1] == expected


def test_a_change_inside_of_a_plain_column_is_not_written(tmp_path: Path) -> None:
    plain = COLLECTION.replace("MutableDict.as_mutable(JSON)", "JSON")
    handler = """
@app.post("/seal/{id}")
def seal(id: int, name: str, session: Session = Depends(get_session)):
    box = session.get(Box, id)
    box.seals[name] = 1
    session.commit()
"""
    assert fixed(tmp_path, IMPORTS + plain + handler).endswith(handler)


MADE = """
class Label(Base):
    __tablename__ = "labels"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

class Labels:
    def __init__(self, session: Session):
        self.session = session

    def find(self, **asked):
        return self.session.scalars(select(Label).filter_by(**asked)).first()

    def create(self, **given):
        label = Label(**given)
        self.session.add(label)
        self.session.{}()
        return label

@app.post("/label")
def label(name: str, session: Session = Depends(get_session)):
    labels = Labels(session)
    label = labels.find(name=name)
    if label is None:
        label = labels.create(name=name)
    session.commit()
"""


def test_a_row_that_functions_look_for_and_insert_is_inserted_in_a_savepoint(tmp_path: Path) -> None:
    ways = lines(fixed(tmp_path, MADE.format("flush")), "label")[2]
    assert "with session.begin_nested():" in ways
    assert "except IntegrityError:\n        label = labels.find(name=name)" in ways


def test_a_row_that_a_function_commits_itself_is_in_no_savepoint(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + MADE.format("commit"))
    assert not autolock.fix([tmp_path], apply=True, cache=False).rewrites
    assert [f.name for f in autolock.check([tmp_path], cache=False).findings] == ["check-then-insert"]


GENERIC = {
    "subscript": "for name in vars(row):\n        if name in data:\n            setattr(row, name, data[name])",
    "items": "for name, value in data.items():\n        setattr(row, name, value)",
}


@pytest.mark.parametrize("setting", sorted(GENERIC))
def test_a_generic_update_writes_what_its_mapping_names(setting: str, tmp_path: Path) -> None:
    body = f"""
def load(session, id):
    return session.query(Item).filter(Item.id == id).first()

def change(session, row, data):
    {GENERIC[setting]}
    session.commit()

@app.get("/stock/{{id}}")
def stock(id: int, session: Session = Depends(get_session)):
    return load(session, id).stock

@app.post("/buy/{{id}}")
def buy(id: int, session: Session = Depends(get_session)):
    item = load(session, id)
    if item is None:
        raise HTTPException(404)
    change(session, item, {{"stock": item.stock - 1}})
"""
    assert lines(fixed(tmp_path, body), "buy")[2] == REFRESH.format("session")


CLAIM = """
TAKE = text("SELECT id FROM items WHERE state = 'new' ORDER BY id LIMIT 1")

@app.post("/take")
def take(session: Session = Depends(get_session)):
    row = session.execute(TAKE).first()
    if row is None:
        raise HTTPException(404)
    session.execute(text("UPDATE items SET state = 'taken' WHERE id = :id"), {"id": row.id})
    session.commit()
    return row.id
"""


def test_a_text_that_the_module_names_is_locked_where_it_is_written(tmp_path: Path) -> None:
    assert "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED" in fixed(tmp_path, CLAIM)


def test_a_text_that_readers_run_too_is_left_to_a_person(tmp_path: Path) -> None:
    reader = """
@app.get("/next")
def following(session: Session = Depends(get_session)):
    return session.execute(TAKE).first()
"""
    (tmp_path / "main.py").write_text(HEAD + CLAIM + reader)
    report = autolock.fix([tmp_path], apply=True, cache=False)
    assert not report.rewrites
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert "readers" in finding.fix.reason


def test_rows_that_a_loop_changes_are_locked_in_one_order_where_they_are_loaded(tmp_path: Path) -> None:
    body = """
    @app.post("/halve")
    def halve(session: Session = Depends(get_session)):
        for item in session.scalars(select(Item).where(Item.stock > 1)).all():
            item.stock = item.stock // 2
        session.commit()
    """
    text = fixed(tmp_path, body)
    assert ".order_by(Item.id).with_for_update()" in "".join(lines(text, "halve"))


def test_rows_that_are_loaded_one_by_one_in_a_loop_are_not_locked_in_its_order(tmp_path: Path) -> None:
    body = """
    @app.post("/halve")
    def halve(ids: list[int], session: Session = Depends(get_session)):
        for id in ids:
            item = session.scalars(select(Item).where(Item.id == id)).one()
            item.stock = item.stock // 2
        session.commit()
    """
    before, _, turns = "".join(lines(fixed(tmp_path, body), "halve")).partition("for id in ids")
    assert "with_for_update" in before
    assert "with_for_update" not in turns


def test_a_connection_has_nothing_to_flush(tmp_path: Path) -> None:
    body = """
    def get_connection():
        with engine.connect() as connection:
            yield connection

    @app.post("/move")
    def move(source: int, target: int, connection=Depends(get_connection)):
        connection.execute(update(Item).where(Item.id == source).values(stock=Item.stock - 1))
        connection.commit()
        connection.execute(update(Item).where(Item.id == target).values(stock=Item.stock + 1))
        connection.commit()
    """
    ordered = "select(Item.id).where(Item.id.in_([source, target])).order_by(Item.id).with_for_update()"
    assert lines(fixed(tmp_path, body), "move") == [
        f"connection.execute({ordered})",
        "connection.execute(update(Item).where(Item.id == source).values(stock=Item.stock - 1))",
        "connection.execute(update(Item).where(Item.id == target).values(stock=Item.stock + 1))",
        "connection.commit()",
    ]


def test_a_context_manager_that_is_entered_elsewhere_keeps_its_decorator(tmp_path: Path) -> None:
    body = """
    from contextlib import contextmanager

    class Manager:
        @contextmanager
        def session(self):
            with SessionLocal() as session:
                yield session

    manager = Manager()

    @app.on_event("startup")
    def seed():
        with manager.session() as session:
            session.add(Shelf(room=3))
            session.commit()

    @app.get("/shelves")
    def shelves(session: Session = Depends(manager.session)):
        return session.scalars(select(Shelf.room)).all()
    """
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(body))
    assert not autolock.fix([tmp_path], apply=True, cache=False).rewrites
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.name == "dependency-not-a-generator"
    assert "second function" in finding.fix.reason


def test_other_columns_may_be_looked_at_after_the_database_has_added(tmp_path: Path) -> None:
    body = """
    @app.post("/buy/{id}")
    def buy(id: int, session: Session = Depends(get_session)):
        item = session.get(Item, id)
        item.stock -= 1
        session.commit()
        return item.state
    """
    assert lines(fixed(tmp_path, body), "buy")[1] == "item.stock = Item.stock - 1"


@pytest.mark.parametrize(("table", "names"), [("logins", ["claim-twice"]), ("blogs", ["claim-twice"]), ("logs", [])])
def test_a_table_of_logins_is_no_log(table: str, names: list[str], tmp_path: Path) -> None:
    body = f"""
class Made(Base):
    __tablename__ = "{table}"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

@app.post("/use/{{id}}")
def use(id: int, session: Session = Depends(get_session)):
    item = session.get(Item, id)
    if item is None:
        raise HTTPException(404)
    session.delete(item)
    session.add(Made(state=item.state))
    session.commit()
"""
    (tmp_path / "main.py").write_text(HEAD + body)
    assert [f.name for f in autolock.check([tmp_path], cache=False).findings] == names


def test_the_database_does_not_add_what_was_read_from_a_row(tmp_path: Path) -> None:
    body = """
    @app.post("/move/{id}/{other}")
    def move(id: int, other: int, session: Session = Depends(get_session)):
        item, source = session.get(Item, id), session.get(Item, other)
        item.stock = item.stock + source.stock
        session.commit()
    """
    assert "item.stock = Item.stock +" not in fixed(tmp_path, body)
    same = """
    @app.post("/double/{id}")
    def double(id: int, session: Session = Depends(get_session)):
        item = session.get(Item, id)
        item.stock = item.stock + len(item.state)
        session.commit()
    """
    assert "item.stock = Item.stock +" not in fixed(tmp_path, same)
