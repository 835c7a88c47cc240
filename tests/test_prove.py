"""Races are replayed in running applications: what breaks is witnessed, what is guarded holds, no more is claimed."""

from __future__ import annotations

import json
import os
import textwrap
from itertools import islice
from pathlib import Path

import postgres
import pytest
from cli_runner import Cli

from autolock.errors import AutolockError
from autolock.prove.proof import Bounds, Side, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.scenario import Race, Scenario
from autolock.prove.stage.director import Chooser
from autolock.prove.stage.explore import Drawing
from autolock.prove.stage.play import Outcome, Run
from autolock.prove.telling import summary

HEAD = """
import asyncio
import threading
import time
import uuid
from fastapi import FastAPI, HTTPException

app = FastAPI()
"""


def played(
    folder: Path, source: str, route: str, scenario: Scenario | None = None, bounds: Bounds | None = None
) -> Side:
    """What the schedules of a route of an application come to."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    with Prover(folder, (), scenario=scenario or Scenario(), bounds=bounds or Bounds(seconds=30)) as prover:
        (proof,) = prover.prove([Subject((route,))], after=False)
    assert proof.before is not None
    return proof.before


COUNTER = """
count = 0
lock = asyncio.Lock()

@app.post("/count")
async def increment():
    global count
    GUARD
        seen = count
        await asyncio.sleep(0.01)
        count = seen + 1
    return {"count": count}
"""


def test_a_lost_update_is_witnessed_with_the_schedule_that_loses_it(tmp_path: Path) -> None:
    side = played(tmp_path, COUNTER.replace("GUARD", "if True:"), "POST /count")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    witness = side.decisive.result["witness"]
    assert witness["state"]["main.count"] == 1
    assert sorted(witness["choices"]) == [0, 0, 1, 1]
    assert ["state.main.count", "1", "2"] in witness["differences"]


def test_a_lock_holds_in_every_schedule(tmp_path: Path) -> None:
    side = played(tmp_path, COUNTER.replace("GUARD", "async with lock:"), "POST /count")
    assert side.verdict is Verdict.HELD
    assert side.decisive is not None
    assert side.decisive.result["played"] > 2


def test_a_lock_that_is_given_back_too_early_does_not_hold(tmp_path: Path) -> None:
    source = """
    count = 0
    lock = asyncio.Lock()

    @app.post("/count")
    async def increment():
        global count
        async with lock:
            seen = count
        await asyncio.sleep(0)
        async with lock:
            count = seen + 1
        return {"count": count}
    """
    assert played(tmp_path, source, "POST /count").verdict is Verdict.WITNESSED


SEATS = """
seats = {"a1": None}
lock = threading.Lock()

@app.post("/seats/{seat}")
def book(seat: str, name: str):
    if seat not in seats:
        raise HTTPException(404)
    GUARD
        if seats[seat] is not None:
            raise HTTPException(409)
        time.sleep(0.01)
        seats[seat] = name
    return {"seat": seat}
"""


@pytest.mark.parametrize(
    ("guard", "verdict"), [("if True:", Verdict.WITNESSED), ("with lock:", Verdict.HELD)], ids=["racy", "locked"]
)
def test_endpoints_on_worker_threads_are_stepped(tmp_path: Path, guard: str, verdict: Verdict) -> None:
    assert played(tmp_path, SEATS.replace("GUARD", guard), "POST /seats/{seat}").verdict is verdict


def test_opposite_lock_orders_are_a_deadlock(tmp_path: Path) -> None:
    source = """
    left, right, moved = asyncio.Lock(), asyncio.Lock(), []

    @app.post("/move")
    async def move(back: int):
        one, other = (right, left) if back > 1 else (left, right)
        async with one:
            await asyncio.sleep(0)
            async with other:
                moved.append(back)
        return {}
    """
    requests = tuple({"method": "POST", "path": "/move", "query": {"back": back}} for back in (1, 2))
    side = played(tmp_path, source, "POST /move", Scenario(races=(Race(requests),)))
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert "waits for another" in side.decisive.result["witness"]["why"]


def test_a_loop_that_waits_for_its_turn_comes_to_an_end(tmp_path: Path) -> None:
    source = """
    busy, done = False, 0

    @app.post("/turns")
    async def turn():
        global busy, done
        while busy:
            await asyncio.sleep(0.01)
        busy = True
        seen = done
        await asyncio.sleep(0.01)
        done = seen + 1
        busy = False
        return {}
    """
    assert played(tmp_path, source, "POST /turns").verdict is Verdict.HELD


def test_what_differs_from_run_to_run_is_masked_and_named(tmp_path: Path) -> None:
    source = """
    orders = []

    @app.post("/orders")
    async def order():
        await asyncio.sleep(0)
        orders.append("order")
        return {"id": str(uuid.uuid4()), "at": time.perf_counter_ns(), "orders": len(orders)}
    """
    side = played(tmp_path, source, "POST /orders")
    assert side.verdict is Verdict.HELD
    assert side.decisive is not None
    assert side.decisive.result["masked"] == ["responses.0.body.at", "responses.1.body.at"]


def test_the_last_of_what_there_is_is_what_requests_race_for(tmp_path: Path) -> None:
    source = """
    stock = {"mug": 7}

    @app.post("/purchases")
    async def buy(item: str, quantity: int):
        if item not in stock:
            raise HTTPException(404)
        if stock[item] < quantity:
            raise HTTPException(409)
        await asyncio.sleep(0)
        stock[item] -= quantity
        return {"left": stock[item]}
    """
    side = played(tmp_path, source, "POST /purchases")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert side.decisive.result["witness"]["state"]["main.stock"]["mug"] == -7


def test_a_route_that_needs_another_one_first_is_prepared_for(tmp_path: Path) -> None:
    source = """
    purses = {}

    @app.post("/purses")
    async def open_purse(owner: str, cents: int):
        purses[owner] = cents
        return {"owner": owner}

    @app.post("/purses/{owner}/spendings")
    async def spend(owner: str):
        if purses.get(owner, 0) < 1:
            raise HTTPException(409)
        await asyncio.sleep(0)
        purses[owner] -= 1
        return {"left": purses[owner]}
    """
    side = played(tmp_path, source, "POST /purses/{owner}/spendings")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert [request["path"] for request in side.decisive.race.prelude] == ["/purses"]


def test_a_request_that_is_turned_away_cleanly_is_no_anomaly(tmp_path: Path) -> None:
    source = """
    busy, done = False, 0

    @app.post("/exports")
    async def export():
        global busy, done
        if busy:
            raise HTTPException(429)
        busy = True
        seen = done
        await asyncio.sleep(0)
        done, busy = seen + 1, False
        return {}
    """
    assert played(tmp_path, source, "POST /exports").verdict is Verdict.HELD


def test_an_invariant_of_the_user_is_checked_in_every_run(tmp_path: Path) -> None:
    source = """
    log = []

    @app.post("/log")
    async def write():
        log.append("in")
        await asyncio.sleep(0)
        log.append("out")
        return {}
    """
    names = {"never two inside": "state['main.log'][:2] != ['in', 'in']"}
    side = played(tmp_path, source, "POST /log", Scenario(invariants=names))
    assert side.decisive is not None
    assert side.decisive.result["witness"]["why"] == "broken: never two inside"


def test_what_no_order_has_to_give_can_be_named(tmp_path: Path) -> None:
    source = """
    inside, peak = 0, 0

    @app.post("/visits")
    async def visit():
        global inside, peak
        inside += 1
        peak = max(peak, inside)
        await asyncio.sleep(0)
        inside -= 1
        return {}
    """
    assert played(tmp_path, source, "POST /visits").verdict is Verdict.WITNESSED
    assert played(tmp_path, source, "POST /visits", Scenario(ignore=("main.peak",))).verdict is Verdict.HELD


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("@app.post('/x')\nasync def x():\n    raise HTTPException(401)", "wants authentication"),
        ("import nothing_of_that_name\n@app.post('/x')\nasync def x(): ...", "nothing_of_that_name"),
        (
            "import socket\nseen = []\n@app.post('/x')\nasync def x():\n"
            "    seen.append(socket.create_connection(('192.0.2.1', 80), 1))",
            "keeps the application from connecting to 192.0.2.1",
        ),
    ],
    ids=["authentication", "import", "network"],
)
def test_what_cannot_be_driven_says_what_is_missing(tmp_path: Path, source: str, told: str) -> None:
    side = played(tmp_path, source, "POST /x")
    assert side.verdict is Verdict.NOT_DRIVEN
    assert told in side.why_not


def test_a_budget_that_is_spent_is_inconclusive(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + COUNTER.replace("GUARD", "async with lock:"), encoding="utf-8")
    prover = Prover(tmp_path, (), bounds=Bounds(schedules=1))
    (proof,) = prover.prove([Subject(("POST /count",))], after=False)
    assert proof.before is not None
    assert proof.before.verdict is Verdict.INCONCLUSIVE


CROWDED = """
count, inside = 0, 0
lock = asyncio.Lock()

@app.post("/count")
async def increment():
    global count, inside
    inside += 1
    async with lock if inside < 3 else asyncio.Lock():
        seen = count
        await asyncio.sleep(0)
        count = seen + 1
    inside -= 1
    return {}
"""


@pytest.mark.parametrize(("requests", "verdict"), [(2, Verdict.HELD), (3, Verdict.WITNESSED)])
def test_a_race_of_three_requests_is_seen_when_three_are_sent(tmp_path: Path, requests: int, verdict: Verdict) -> None:
    side = played(tmp_path, CROWDED, "POST /count", bounds=Bounds(requests))
    assert side.verdict is verdict
    assert side.decisive is not None
    assert len(side.decisive.race.requests) == requests


def test_where_there_are_too_many_schedules_some_are_drawn_and_the_verdict_says_what_may_be_missed(
    tmp_path: Path,
) -> None:
    bounds = Bounds(requests=3, schedules=5, seed=7)
    side = played(tmp_path, COUNTER.replace("GUARD", "async with lock:"), "POST /count", bounds=bounds)
    assert side.verdict is Verdict.INCONCLUSIVE
    told = summary("before", side, bounds)
    assert "within 3 requests, at most 2 preemptions" in told
    assert "5 of them drawn with the seed 7: a race that needs 3 orderings of steps was missed" in told


def test_the_same_seed_draws_the_same_schedules() -> None:
    def drawn(seed: int) -> list[list[int]]:
        made: list[list[int]] = []

        def play(choose: Chooser) -> Run:
            previous, choices = None, []
            for _ in range(9):
                previous = choose((0, 1, 2), previous)
                choices.append(previous)
            made.append(choices)
            return Run(Outcome((), {}), ())

        list(islice(Drawing(play, lanes=3, length=9, depth=3, seed=seed), 20))
        return made

    assert drawn(4) == drawn(4) != drawn(5)
    assert {choices[0] for choices in drawn(4)} == {0, 1, 2}


def test_the_tree_is_left_as_it_was(tmp_path: Path) -> None:
    source = """
    import pathlib
    count = 0

    @app.post("/count")
    async def write():
        global count
        await asyncio.sleep(0)
        count += 1
        pathlib.Path("written.txt").write_text("x")
        return {}
    """
    played(tmp_path, source, "POST /count")
    assert sorted(os.listdir(tmp_path)) == ["main.py"]


ACCOUNTS = """
import os
from contextlib import asynccontextmanager
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"))
Session = async_sessionmaker(engine, expire_on_commit=False)

class Base(DeclarativeBase): ...

class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]

@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with Session() as session:
        session.add(Account(id=1, balance=100))
        await session.commit()
    yield
    await engine.dispose()

app = FastAPI(lifespan=lifespan)

@app.post("/accounts/{account_id}/deposits")
async def deposit(account_id: int, amount: int):
    async with Session() as session:
        account = await session.scalar(select(Account).where(Account.id == account_id)LOCK)
        if account is None:
            raise HTTPException(404)
        account.balance += amount
        await session.commit()
        return {"balance": account.balance}
"""


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
@pytest.mark.parametrize(
    ("lock", "verdict"), [("", Verdict.WITNESSED), (".with_for_update()", Verdict.HELD)], ids=["racy", "locked"]
)
def test_rows_are_played_on_a_database_of_their_own(tmp_path: Path, lock: str, verdict: Verdict) -> None:
    side = played(tmp_path, ACCOUNTS.replace("LOCK", lock), "POST /accounts/{account_id}/deposits")
    assert side.verdict is verdict, side.why_not
    assert side.decisive is not None
    assert side.decisive.result["steps"] >= 8


def test_the_command_shows_both_sides_and_answers_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    cli = Cli(tmp_path, monkeypatch, capfdbinary)
    (tmp_path / "main.py").write_text(HEAD + COUNTER.replace("GUARD", "if True:"), encoding="utf-8")
    done = cli("prove", ".")
    assert done.code == 0, done.err
    assert "before: witnessed by schedule" in done.out
    assert "after: held: all" in done.out
    assert "the answer to" in done.out
    document = json.loads(cli("prove", ".", "--format", "json").out)
    (proof,) = document["proofs"]
    assert (proof["before"]["verdict"], proof["after"]["verdict"]) == ("witnessed", "held")
    assert proof["rule"] == "AL101"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[race", "not valid TOML"),
        ("races = []", "unknown key 'races'"),
        ("[[race]]\nroute='x'", "needs a list `requests`"),
    ],
)
def test_a_wrong_scenario_is_one_line_that_names_it(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AutolockError, match=told) as raised:
        Scenario.read(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_tree_without_an_application_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(AutolockError, match="no application found"):
        Prover(tmp_path, ()).prove([Subject(("POST /x",))])
