"""Failures between two writes, locks that stay taken, readers that look in between: witnessed before, held after."""

from __future__ import annotations

from pathlib import Path

import postgres
import pytest
from cli_runner import Cli
from test_prove import HEAD
from test_prove_generated import run_alone

SHOP = (
    HEAD
    + """
import os
from contextlib import asynccontextmanager
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"))
Session = async_sessionmaker(engine, expire_on_commit=False)

class Base(DeclarativeBase): ...

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)

class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]

@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()

app = FastAPI(lifespan=lifespan)

@app.post("/orders")
async def order():
    async with Session() as session:
        made = Order()
        session.add(made)
        await session.commit()
        session.add(Line(order_id=made.id))
        await session.commit()
        return {"id": made.id}
"""
)

LOCKED_BY_HAND = (
    HEAD
    + """
rows = []
lock = asyncio.Lock()

async def parse(text):
    await asyncio.sleep(0)
    return text

@app.post("/rows")
async def load(text: str):
    await lock.acquire()
    rows.append(await parse(text))
    lock.release()
    return {"rows": len(rows)}
"""
)

EARLY_RETURN = (
    HEAD
    + """
lock = threading.Lock()
bikes = {"red": 1}

@app.post("/bikes/{colour}")
def rent(colour: str):
    if not lock.acquire(timeout=5):
        return {"error": "busy"}
    if bikes.get(colour, 0) == 0:
        return {"rented": False}
    bikes[colour] -= 1
    lock.release()
    return {"rented": True}
"""
)

RESERVE = (
    HEAD
    + """
available = {"cents": 100}
reserved = {"cents": 0}

async def log(text):
    await asyncio.sleep(0)

@app.post("/reserve/{cents}")
async def reserve(cents: int):
    available["cents"] -= cents
    await log("reserve")
    reserved["cents"] += cents
    return {}

@app.get("/total")
async def total():
    return {"total": available["cents"] + reserved["cents"]}
"""
)

ROOM = (
    HEAD
    + """
members = {}

@app.post("/join/{name}")
async def join(name: str):
    members[name] = []
    return {}

@app.post("/broadcast/{text}")
async def broadcast(text: str):
    for name, inbox in members.items():
        await asyncio.sleep(0)
        inbox.append(text)
    return {}
"""
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


def proved(cli: Cli, source: str, rule: str) -> str:
    cli.write("main.py", source)
    done = cli("prove", "--select", rule, "--unsafe")
    assert done.code == 0, done.err + done.out
    return done.out


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
def test_a_failure_between_two_commits_leaves_half_and_one_commit_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    out = proved(cli, SHOP, "AL201")
    assert "before: witnessed: a request that fails on its way leaves a part of what it writes" in out
    assert "fails: INSERT INTO lines" in " ".join(out.replace("│", "").split())
    assert "after: held: whichever of" in out


def test_a_lock_that_a_failure_leaves_taken_stops_the_next_request(cli: Cli, tmp_path: Path) -> None:
    out = proved(cli, LOCKED_BY_HAND, "AL506")
    assert "before: witnessed: after a failure every request waits for another one" in out
    assert "gives up after" in out
    assert "after: held: whichever of" in out


def test_a_lock_that_an_early_return_leaves_taken_is_seen_although_others_do_not_wait_for_ever(cli: Cli) -> None:
    out = proved(cli, EARLY_RETURN, "AL506")
    assert "before: witnessed: a lock is still taken when all requests are over" in out
    assert "main.lock is locked; one after the other it is free" in out


def test_a_call_that_fails_on_a_worker_thread_leaves_the_lock_taken(cli: Cli) -> None:
    source = (
        HEAD
        + """
lock = threading.Lock()
spaces = {"free": 50}

def open_gate(plate):
    time.sleep(0.01)

@app.post("/cars/{plate}")
def park(plate: str):
    lock.acquire()
    free = spaces["free"]
    open_gate(plate)
    spaces["free"] = free - 1
    lock.release()
    return {"free": free - 1}
"""
    )
    out = proved(cli, source, "AL506")
    assert "before: witnessed: after a failure every request waits for another one" in out
    assert "fails: sleeps" in out
    assert "after: held: whichever of" in out


def test_a_reader_sees_the_half_of_a_change(cli: Cli) -> None:
    out = proved(cli, RESERVE, "AL105")
    assert "B sends GET /total" in out
    assert "the answer to B: body.total is " in out
    assert "after: held" in out


def test_a_container_grows_while_it_is_gone_through(cli: Cli) -> None:
    out = proved(cli, ROOM, "AL108")
    assert "the answer to A: status is 500" in out
    assert "after: held" in out


def test_the_generated_test_of_a_failure_lets_every_step_fail(cli: Cli, tmp_path: Path) -> None:
    main = cli.write("main.py", LOCKED_BY_HAND)
    cli("prove", "--select", "AL506", "--write-tests", "races")
    code, out = run_alone(tmp_path)
    assert code == 1, out
    assert "every request waits for another one" in out
    assert cli("fix", "--apply", "--select", "AL506", "--unsafe", "--allow-dirty").code == 0
    assert "lock.release()" not in main.read_text(encoding="utf-8") or "finally" in main.read_text(encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 0, out


def test_a_task_in_the_background_that_sleeps_again_and_again_is_no_loop_that_waits(cli: Cli) -> None:
    source = (
        HEAD
        + """
from fastapi import BackgroundTasks
finished = {"pages": 0}

async def render(pages):
    before = finished["pages"]
    for _ in range(pages):
        await asyncio.sleep(0.01)
    finished["pages"] = before + pages

@app.post("/renders")
async def start(tasks: BackgroundTasks):
    tasks.add_task(render, 3)
    return {}
"""
    )
    out = proved(cli, source, "AL101")
    assert "main.finished.pages is 3; one after the other it is 6" in out
    assert "after: held" in out


def test_a_finding_without_a_fix_has_nothing_to_play_afterwards(cli: Cli) -> None:
    cli.write("main.py", LOCKED_BY_HAND.replace("    lock.release()\n", "    if text:\n        lock.release()\n"))
    out = cli("prove", "--select", "AL506").out
    assert "after:" not in out
