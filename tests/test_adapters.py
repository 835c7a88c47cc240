"""Races through libraries other than SQLAlchemy, each beside look-alikes that are none."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

DATABASES = """
import sqlalchemy
from databases import Database
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()
database = Database("postgresql://localhost/shop")
metadata = sqlalchemy.MetaData()
users = sqlalchemy.Table(
    "users", metadata,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("email", sqlalchemy.String, unique=True),
    sqlalchemy.Column("team_id", sqlalchemy.Integer),
    sqlalchemy.Column("coins", sqlalchemy.Integer),
)
TABLE = "accounts"

class Account(BaseModel):
    id: int
    balance: int

class NewUser(BaseModel):
    email: str

def at_most(rows, limit):
    if len(rows) >= limit:
        raise HTTPException(400)
"""


def found(folder: Path, code: str) -> list[tuple[str, str]]:
    """The rule and function of every finding in an app of one file."""
    (folder / "main.py").write_text(code)
    return sorted((f.rule, f.place.function) for f in autolock.check([folder], cache=False).findings)


def app(head: str, body: str) -> str:
    return head + textwrap.dedent(body)


LOST_WITH_DATABASES = {
    "row as a mapping": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id", {"id": id})
            left = row["balance"] - amount
            await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": left, "id": id})
        """,
    "a model made of the row": """
        async def load(id: int):
            query = f"SELECT * FROM {TABLE} WHERE id = :id"
            row = await database.fetch_one(query=query, values={"id": id})
            return Account.model_validate(dict(row._mapping))

        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            account = await load(id)
            if account.balance < amount:
                raise HTTPException(402)
            await database.execute(
                query="UPDATE accounts SET balance = balance - :amount WHERE id = :id",
                values={"amount": amount, "id": id},
            )
        """,
    "a model's keywords": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            row = await database.fetch_one(users.select().where(users.c.id == id))
            user = Account(**row)
            await database.execute(users.update().where(users.c.id == id).values(coins=user.coins - amount))
        """,
    "a transaction without a lock": """
        @app.post("/pay/{id}")
        @database.transaction()
        async def pay(id: int, amount: int):
            balance = await database.fetch_val("SELECT balance FROM accounts WHERE id = :id", {"id": id})
            await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": balance - amount, "id": id})
        """,
}


@pytest.mark.parametrize("name", LOST_WITH_DATABASES)
def test_a_row_read_through_databases_and_written_back_is_a_lost_update(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(DATABASES, LOST_WITH_DATABASES[name])) == [("AL202", "pay")]


KEPT_WITH_DATABASES = {
    "computed by the database": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            await database.execute(
                "UPDATE accounts SET balance = balance - :a WHERE id = :id", {"a": amount, "id": id}
            )
        """,
    "checked again by the UPDATE": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id", {"id": id})
            if row["balance"] < amount:
                raise HTTPException(402)
            await database.execute(
                "UPDATE accounts SET balance = balance - :a WHERE id = :id AND balance >= :a", {"a": amount, "id": id}
            )
        """,
    "locked in a transaction": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            async with database.transaction():
                row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id FOR UPDATE", {"id": id})
                left = row["balance"] - amount
                await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": left, "id": id})
        """,
    "locked in a decorator's transaction": """
        @app.post("/pay/{id}")
        @database.transaction()
        async def pay(id: int, amount: int):
            row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id FOR UPDATE", {"id": id})
            left = row["balance"] - amount
            await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": left, "id": id})
        """,
    "locked in a transaction begun by hand": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            transaction = await database.transaction()
            row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id FOR UPDATE", {"id": id})
            left = row["balance"] - amount
            await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": left, "id": id})
            await transaction.commit()
        """,
    "a model's attribute that is only shown": """
        @app.get("/show/{id}")
        async def show(id: int):
            account = Account.model_validate(
                await database.fetch_one("SELECT * FROM accounts WHERE id = :id", {"id": id})
            )
            account.balance += 10
            return account
        """,
    "a table whose name is not known": """
        @app.post("/pay/{table}/{id}")
        async def pay(table: str, id: int):
            row = await database.fetch_one(f"SELECT n FROM {table} WHERE id = :id", {"id": id})
            await database.execute(f"UPDATE {table} SET n = :n WHERE id = :id", {"n": row["n"] + 1, "id": id})
        """,
}


@pytest.mark.parametrize("name", KEPT_WITH_DATABASES)
def test_what_databases_guards_is_no_finding(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(DATABASES, KEPT_WITH_DATABASES[name])) == []


def test_a_lock_outside_of_a_transaction_is_lost_at_once(tmp_path: Path) -> None:
    code = app(
        DATABASES,
        """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            row = await database.fetch_one("SELECT * FROM accounts WHERE id = :id FOR UPDATE", {"id": id})
            left = row["balance"] - amount
            await database.execute("UPDATE accounts SET balance = :b WHERE id = :id", {"b": left, "id": id})
        """,
    )
    assert found(tmp_path, code) == [("AL204", "pay")]


INSERTED_WITH_DATABASES = {
    "register": """
        async def is_taken(email: str):
            row = await database.fetch_one("SELECT id FROM users WHERE email = :email", {"email": email})
            return row is not None

        @app.post("/users")
        async def register(user: NewUser):
            if await is_taken(user.email):
                raise HTTPException(409)
            await database.execute(users.insert().values(email=user.email))
        """,
    "a quota counted in Python": """
        @app.post("/teams/{team}/users")
        async def join(team: int, user: NewUser, active: bool = True):
            only = "AND users.active" if active else ""
            members = await database.fetch_all(
                f"SELECT * FROM users WHERE team_id = :team {only} ORDER BY id", {"team": team}
            )
            at_most(members, 10)
            await database.execute(query=users.insert(), values={"team_id": team, "email": user.email})
        """,
}


@pytest.mark.parametrize("name", INSERTED_WITH_DATABASES)
def test_check_then_insert_through_databases(name: str, tmp_path: Path) -> None:
    function = "register" if name == "register" else "join"
    assert found(tmp_path, app(DATABASES, INSERTED_WITH_DATABASES[name])) == [("AL203", function)]


NOT_INSERTED_TWICE = {
    "on conflict": """
        @app.post("/users")
        async def register(user: NewUser):
            row = await database.fetch_one("SELECT id FROM users WHERE email = :email", {"email": user.email})
            if row is None:
                await database.execute(
                    "INSERT INTO users (email) VALUES (:email) ON CONFLICT DO NOTHING", {"email": user.email}
                )
        """,
    "a conflict that is answered": """
        import asyncpg

        @app.post("/users")
        async def register(user: NewUser):
            if await database.fetch_one(users.select().where(users.c.email == user.email)):
                raise HTTPException(409)
            try:
                await database.execute(users.insert().values(email=user.email))
            except asyncpg.UniqueViolationError:
                raise HTTPException(409)
        """,
    "a name that is made up": """
        from uuid import uuid4

        @app.post("/guests")
        async def guest():
            email = f"{uuid4()}@guests.example"
            if await database.fetch_one(users.select().where(users.c.email == email)):
                raise HTTPException(409)
            await database.execute(users.insert().values(email=email))
        """,
}


@pytest.mark.parametrize("name", NOT_INSERTED_TWICE)
def test_inserts_that_cannot_clash(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(DATABASES, NOT_INSERTED_TWICE[name])) == []


DRIVERS = {
    "asyncpg": """
        import asyncpg
        from fastapi import Depends, FastAPI, HTTPException

        app = FastAPI()

        async def get_pool() -> asyncpg.Pool:
            return app.state.pool

        @app.post("/pay/{id}")
        async def pay(id: int, amount: int, pool: asyncpg.Pool = Depends(get_pool)):
            async with pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow("SELECT balance FROM accounts WHERE id = $1 LOCK", id)
                await connection.execute("UPDATE accounts SET balance = $1 WHERE id = $2", row["balance"] - amount, id)
        """,
    "psycopg": """
        from fastapi import FastAPI
        from psycopg_pool import AsyncConnectionPool

        app = FastAPI()
        pool = AsyncConnectionPool("postgresql://localhost/shop")

        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            async with pool.connection() as connection:
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT balance FROM accounts WHERE id = %s LOCK", (id,))
                    (balance,) = await cursor.fetchone()
                    left = balance - amount
                    await cursor.execute("UPDATE accounts SET balance = %s WHERE id = %s", (left, id))
        """,
    "sqlalchemy": """
        from fastapi import FastAPI
        from sqlalchemy import create_engine, text

        app = FastAPI()
        engine = create_engine("postgresql://localhost/shop")

        @app.post("/pay/{id}")
        def pay(id: int, amount: int):
            with engine.begin() as connection:
                query = text("SELECT balance FROM accounts WHERE id = :id LOCK")
                balance = connection.execute(query, {"id": id}).scalar_one()
                connection.execute(
                    text("UPDATE accounts SET balance = :left WHERE id = :id"), {"left": balance - amount, "id": id}
                )
        """,
}


@pytest.mark.parametrize("library", DRIVERS)
def test_sql_text_through_a_driver(library: str, tmp_path: Path) -> None:
    code = textwrap.dedent(DRIVERS[library])
    assert found(tmp_path, code.replace(" LOCK", "")) == [("AL202", "pay")]
    assert found(tmp_path, code.replace(" LOCK", " FOR UPDATE")) == []


SQLITE = """
    import sqlite3
    from fastapi import FastAPI, HTTPException

    app = FastAPI()

    @app.post("/pay/{id}")
    def pay(id: int, amount: int):
        connection = sqlite3.connect("shop.db")
        BEGIN
        row = connection.execute("SELECT balance FROM accounts WHERE id = ?", (id,)).fetchone()
        if row[0] < amount:
            raise HTTPException(402)
        connection.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, id))
        connection.commit()
    """


def test_sqlite_is_guarded_by_a_transaction_that_has_begun(tmp_path: Path) -> None:
    code = textwrap.dedent(SQLITE)
    assert found(tmp_path, code.replace("BEGIN", "pass")) == [("AL202", "pay")]
    assert found(tmp_path, code.replace("BEGIN", 'connection.execute("BEGIN")')) == []
    assert found(tmp_path, code.replace("BEGIN", 'connection.execute("BEGIN IMMEDIATE")')) == []


def test_a_transaction_of_one_connection_does_not_guard_calls_of_the_pool(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import asyncpg
        from fastapi import FastAPI, Request

        app = FastAPI()

        @app.post("/pay/{id}")
        async def pay(id: int, amount: int, request: Request):
            pool: asyncpg.Pool = request.app.state.pool
            async with pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow("SELECT * FROM accounts WHERE id = $1 FOR UPDATE", id)
                left = row["balance"] - amount
                await pool.execute("UPDATE accounts SET balance = $1 WHERE id = $2", left, id)
        """
    )
    assert found(tmp_path, code) == [("AL204", "pay")]


TORTOISE = """
from fastapi import FastAPI, HTTPException
from tortoise import fields
from tortoise.expressions import F
from tortoise.models import Model
from tortoise.transactions import atomic, in_transaction

app = FastAPI()

class Wallet(Model):
    id = fields.IntField(pk=True)
    owner = fields.CharField(max_length=50, unique=True)
    title = fields.CharField(max_length=50)
    balance = fields.IntField()
"""

LOST_WITH_TORTOISE = {
    "changed and saved": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            wallet = await Wallet.get(id=id)
            wallet.balance -= amount
            await wallet.save(update_fields=["balance"])
        """,
    "in a transaction that locks nothing": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            async with in_transaction():
                wallet = await Wallet.filter(id=id).first()
                if wallet.balance < amount:
                    raise HTTPException(402)
                wallet.balance = wallet.balance - amount
                await wallet.save()
        """,
    "saved as a whole": """
        @app.post("/top-up/{id}")
        async def top_up(id: int, amount: int):
            await Wallet.filter(id=id).update(balance=F("balance") + amount)

        @app.post("/rename/{id}")
        async def pay(id: int, title: str):
            wallet = await Wallet.get(id=id)
            wallet.title = title
            await wallet.save()
        """,
}


@pytest.mark.parametrize("name", LOST_WITH_TORTOISE)
def test_a_row_changed_through_tortoise_is_a_lost_update(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(TORTOISE, LOST_WITH_TORTOISE[name])) == [("AL202", "pay")]


KEPT_WITH_TORTOISE = {
    "locked in a transaction": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            async with in_transaction():
                wallet = await Wallet.select_for_update().get(id=id)
                wallet.balance -= amount
                await wallet.save()
        """,
    "locked in a decorator's transaction": """
        @atomic()
        async def take(id: int, amount: int):
            wallet = await Wallet.filter(id=id).select_for_update().first()
            wallet.balance -= amount
            await wallet.save()

        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            await take(id, amount)
        """,
    "computed by the database": """
        @app.post("/pay/{id}")
        async def pay(id: int, amount: int):
            if not await Wallet.filter(id=id, balance__gte=amount).update(balance=F("balance") - amount):
                raise HTTPException(402)
        """,
    "only the columns that were assigned": """
        @app.post("/top-up/{id}")
        async def top_up(id: int, amount: int):
            await Wallet.filter(id=id).update(balance=F("balance") + amount)

        @app.post("/rename/{id}")
        async def rename(id: int, title: str):
            wallet = await Wallet.get(id=id)
            wallet.title = title
            await wallet.save(update_fields=["title"])
        """,
    "saved as a whole where nothing else changes a column": """
        @app.post("/rename/{id}")
        async def rename(id: int, title: str):
            wallet = await Wallet.get(id=id)
            wallet.title = title
            await wallet.save()
        """,
    "get_or_create": """
        @app.post("/open")
        async def open_wallet(owner: str):
            wallet, _ = await Wallet.get_or_create(owner=owner, defaults={"balance": 0})
            return wallet.id
        """,
}


@pytest.mark.parametrize("name", KEPT_WITH_TORTOISE)
def test_what_tortoise_guards_is_no_finding(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(TORTOISE, KEPT_WITH_TORTOISE[name])) == []


@pytest.mark.parametrize("check", ["await Wallet.exists(owner=owner)", "await Wallet.filter(owner=owner).first()"])
def test_check_then_create_through_tortoise(check: str, tmp_path: Path) -> None:
    code = f"""
        @app.post("/open")
        async def open_wallet(owner: str):
            if {check}:
                raise HTTPException(409)
            await Wallet.create(owner=owner, title="", balance=0)
        """
    assert found(tmp_path, app(TORTOISE, code)) == [("AL203", "open_wallet")]


BEANIE = """
from beanie import Document
from fastapi import FastAPI, HTTPException

app = FastAPI()

class Product(Document):
    name: str
    stock: int
    views: int = 0
"""

LOST_WITH_BEANIE = {
    "changed and saved": """
        @app.post("/buy/{id}")
        async def buy(id: str, count: int):
            product = await Product.get(id)
            product.stock -= count
            await product.save()
        """,
    "set to what was computed": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            product = await Product.find_one(Product.name == name)
            await product.set({Product.stock: product.stock - count})
        """,
    "checked, then counted down": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            product = await Product.find_one({"name": name})
            if product.stock < count:
                raise HTTPException(409)
            await product.inc({"stock": -count})
        """,
}


@pytest.mark.parametrize("name", LOST_WITH_BEANIE)
def test_a_document_changed_through_beanie_is_a_lost_update(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(BEANIE, LOST_WITH_BEANIE[name])) == [("AL202", "buy")]


KEPT_WITH_BEANIE = {
    "counted by the database": """
        @app.post("/view/{id}")
        async def view(id: str):
            product = await Product.get(id)
            await product.inc({Product.views: 1})
            return product.name
        """,
    "checked by the filter": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            await Product.find_one(Product.name == name, Product.stock >= count).inc({Product.stock: -count})
        """,
}


@pytest.mark.parametrize("name", KEPT_WITH_BEANIE)
def test_what_beanie_computes_in_the_database_is_no_finding(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(BEANIE, KEPT_WITH_BEANIE[name])) == []


def test_check_then_insert_through_beanie(tmp_path: Path) -> None:
    code = """
        @app.post("/products")
        async def add(name: str):
            if await Product.find_one(Product.name == name):
                raise HTTPException(409)
            product = Product(name=name, stock=0)
            await product.insert()
        """
    assert found(tmp_path, app(BEANIE, code)) == [("AL203", "add")]


MONGO = """
from fastapi import Depends, FastAPI, HTTPException
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase

app = FastAPI()
client = AsyncIOMotorClient("mongodb://localhost")
db = client["shop"]

def get_db() -> AsyncIOMotorDatabase:
    return client.shop
"""

LOST_WITH_MONGO = {
    "set to what was computed": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            product = await db.products.find_one({"name": name})
            await db.products.update_one({"name": name}, {"$set": {"stock": product["stock"] - count}})
        """,
    "checked, then counted down": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int, shop: AsyncIOMotorDatabase = Depends(get_db)):
            product = await shop["products"].find_one({"name": name})
            if product["stock"] < count:
                raise HTTPException(409)
            await shop["products"].update_one({"name": name}, {"$inc": {"stock": -count}})
        """,
}


@pytest.mark.parametrize("name", LOST_WITH_MONGO)
def test_a_document_found_and_updated_is_a_lost_update(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(MONGO, LOST_WITH_MONGO[name])) == [("AL202", "buy")]


KEPT_WITH_MONGO = {
    "counted by the database": """
        @app.post("/view/{name}")
        async def view(name: str):
            product = await db.products.find_one({"name": name})
            await db.products.update_one({"name": name}, {"$inc": {"views": 1}})
            return product["name"]
        """,
    "checked by the filter": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            product = await db.products.find_one({"name": name})
            if product["stock"] < count:
                raise HTTPException(409)
            await db.products.find_one_and_update(
                {"name": name, "stock": {"$gte": count}}, {"$inc": {"stock": -count}}
            )
        """,
    "another collection": """
        @app.post("/buy/{name}")
        async def buy(name: str, count: int):
            product = await db.products.find_one({"name": name})
            await db.orders.update_one({"name": name}, {"$set": {"stock": product["stock"] - count}})
        """,
}


@pytest.mark.parametrize("name", KEPT_WITH_MONGO)
def test_what_mongo_computes_is_no_finding(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, app(MONGO, KEPT_WITH_MONGO[name])) == []


def test_find_one_then_insert_one(tmp_path: Path) -> None:
    code = """
        @app.post("/products")
        async def add(name: str):
            if await db.products.find_one({"name": name}):
                raise HTTPException(409)
            await db.products.insert_one({"name": name, "stock": 0})
        """
    assert found(tmp_path, app(MONGO, code)) == [("AL203", "add")]


REDIS = """
import json
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException

app = FastAPI()
store = redis.from_url("redis://localhost")

async def compute(name):
    return name.upper()
"""

WITH_REDIS = {
    "a counter": (
        """
        @app.post("/count/{name}")
        async def handler(name: str):
            count = int(await store.get(f"count:{name}") or 0)
            await store.set(f"count:{name}", count + 1)
        """,
        ["AL202"],
    ),
    "a mark that somebody was here": (
        """
        @app.post("/orders/{key}")
        async def handler(key: str):
            if await store.exists(f"seen:{key}"):
                raise HTTPException(409)
            await store.set(f"seen:{key}", "1", ex=60)
        """,
        ["AL203"],
    ),
    "INCR": (
        """
        @app.post("/count/{name}")
        async def handler(name: str):
            await store.incr(f"count:{name}")
            return await store.get(f"count:{name}")
        """,
        [],
    ),
    "SET NX": (
        """
        @app.post("/orders/{key}")
        async def handler(key: str):
            if await store.exists(f"seen:{key}"):
                raise HTTPException(409)
            if not await store.set(f"seen:{key}", "1", ex=60, nx=True):
                raise HTTPException(409)
        """,
        [],
    ),
    "a cache": (
        """
        @app.get("/names/{name}")
        async def handler(name: str):
            cached = await store.get(f"name:{name}")
            if cached is None:
                cached = await compute(name)
                await store.set(f"name:{name}", cached, ex=60)
            return cached
        """,
        [],
    ),
    "under a lock": (
        """
        @app.post("/count/{name}")
        async def handler(name: str):
            async with store.lock(f"lock:{name}"):
                count = int(await store.get(f"count:{name}") or 0)
                await store.set(f"count:{name}", count + 1)
        """,
        [],
    ),
}


@pytest.mark.parametrize("name", WITH_REDIS)
def test_keys_of_redis(name: str, tmp_path: Path) -> None:
    code, rules = WITH_REDIS[name]
    assert found(tmp_path, app(REDIS, code)) == [(rule, "handler") for rule in rules]


PICCOLO = """
from fastapi import FastAPI, HTTPException
from piccolo.columns import Integer, Varchar
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table

app = FastAPI()
DB = PostgresEngine({})

class Band(Table):
    name = Varchar(unique=True)
    tickets = Integer()
"""

WITH_PICCOLO = {
    "changed and saved": (
        """
        @app.post("/buy/{id}")
        async def handler(id: int):
            band = await Band.objects().get(Band.id == id)
            band.tickets -= 1
            await band.save()
        """,
        ["AL202"],
    ),
    "a transaction that locks nothing": (
        """
        @app.post("/buy/{id}")
        async def handler(id: int):
            async with DB.transaction():
                row = await Band.select().where(Band.id == id).first()
                await Band.update({Band.tickets: row["tickets"] - 1}).where(Band.id == id)
        """,
        ["AL202"],
    ),
    "inserted when there is none": (
        """
        @app.post("/bands")
        async def handler(name: str):
            if await Band.exists().where(Band.name == name):
                raise HTTPException(409)
            await Band(name=name, tickets=0).save()
        """,
        ["AL203"],
    ),
    "locked in a transaction": (
        """
        @app.post("/buy/{id}")
        async def handler(id: int):
            async with DB.transaction():
                band = await Band.objects().where(Band.id == id).lock_rows("UPDATE").first()
                band.tickets -= 1
                await band.save()
        """,
        [],
    ),
    "computed by the database": (
        """
        @app.post("/buy/{id}")
        async def handler(id: int):
            await Band.update({Band.tickets: Band.tickets - 1}).where(Band.id == id)
        """,
        [],
    ),
}


@pytest.mark.parametrize("name", WITH_PICCOLO)
def test_rows_of_piccolo(name: str, tmp_path: Path) -> None:
    code, rules = WITH_PICCOLO[name]
    assert found(tmp_path, app(PICCOLO, code)) == [(rule, "handler") for rule in rules]
