"""What goes on after the answers, or tells the time of its moment, does not stand in the way of a proof."""

from __future__ import annotations

from pathlib import Path

from test_prove import HEAD, played

import autolock
from autolock.findings import FileChange
from autolock.prove.proof import Aim, Bounds, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.scenario import Race, Scenario
from autolock.prove.telling import setting, summary

LISTENER = """
count = 0
listeners = []

async def listen():
    while True:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        except asyncio.TimeoutError:
            pass

@app.post("/count")
async def increment():
    global count
    seen = count
    AWAIT
    count = seen + 1
    listeners.append(asyncio.create_task(listen()))
    return {}
"""


def test_a_listener_that_a_request_starts_does_not_keep_it_from_coming_to_an_end(tmp_path: Path) -> None:
    racy, right = tmp_path / "racy", tmp_path / "right"
    for folder, text in ((racy, "await asyncio.sleep(0)"), (right, "pass")):
        folder.mkdir()
        side = played(folder, LISTENER.replace("AWAIT", text), "POST /count")
        assert side.verdict is (Verdict.WITNESSED if folder is racy else Verdict.HELD), side


POSTMEN = """
from contextlib import asynccontextmanager

letters = asyncio.Queue()
stamps = {"left": 9}

async def deliver():
    while True:
        stamped = await letters.get()
        await asyncio.sleep(0.1)
        stamped.set_result(True)

@asynccontextmanager
async def lifespan(app):
    postmen = [asyncio.create_task(deliver()) for _ in range(2)]
    yield
    for one in postmen:
        one.cancel()

app.router.lifespan_context = lifespan

@app.post("/letters")
async def send():
    left = stamps["left"]
    stamped = asyncio.get_running_loop().create_future()
    await letters.put(stamped)
    await stamped
    stamps["left"] = SPENT
    return {}
"""


def test_workers_that_no_request_has_started_answer_in_every_run(tmp_path: Path) -> None:
    racy, right = tmp_path / "racy", tmp_path / "right"
    for folder, spent in ((racy, "left - 1"), (right, 'stamps["left"] - 1')):
        folder.mkdir()
        side = played(folder, POSTMEN.replace("SPENT", spent), "POST /letters")
        assert side.verdict is (Verdict.WITNESSED if folder is racy else Verdict.HELD), side.why_not


CLOCK = """
count = 0
seen_at = 0

@app.post("/count")
async def increment():
    global count, seen_at
    count += 1
    await asyncio.sleep(0)
    seen_at = int(time.time() * 4)
    return {}
"""


COURIERS = """
from contextlib import asynccontextmanager

parcels = asyncio.Queue()
shelf, sent, missing = {}, [], []

async def carry():
    while True:
        number = await parcels.get()
        await asyncio.sleep(0)
        (sent if number in shelf else missing).append(number)

@asynccontextmanager
async def lifespan(app):
    couriers = [asyncio.create_task(carry()) for _ in range(3)]
    yield
    for one in couriers:
        one.cancel()

app.router.lifespan_context = lifespan

@app.post("/parcels/{number}")
async def bring(number: int):
    FIRST
    await asyncio.sleep(0)
    THEN
    return {"waiting": parcels.qsize()}
"""
PUT_DOWN, CALLED = "shelf[number] = True", "await parcels.put(number)"


def test_a_task_of_the_applications_own_is_a_participant_that_may_come_too_early(tmp_path: Path) -> None:
    too_early = COURIERS.replace("FIRST", CALLED).replace("THEN", PUT_DOWN)
    side = played(tmp_path, too_early, "POST /parcels/{number}")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert "main.missing" in side.decisive.result["witness"]["places"]
    told = list(setting(side.decisive))
    assert "C is what tasks do that the application has started itself" in told


def test_a_task_of_the_applications_own_may_go_on_when_all_requests_are_answered(tmp_path: Path) -> None:
    """Both parcels wait then, and the answers say so; none of two waits where it goes on between the requests."""
    in_time = COURIERS.replace("FIRST", PUT_DOWN).replace("THEN", CALLED)
    assert played(tmp_path, in_time, "POST /parcels/{number}").verdict is Verdict.HELD


def test_a_time_that_only_changes_now_and_then_is_no_difference(tmp_path: Path) -> None:
    side = played(tmp_path, CLOCK, "POST /count")
    assert side.verdict is Verdict.HELD, side


BUFFER = """
current = {}

@app.post("/greetings")
async def greet(who: dict[str, str]):
    current["name"] = who["name"]
    await asyncio.sleep(0)
    return {"hello": current["name"]}
"""
OWN = BUFFER.replace("current = {}\n", "").replace("):\n", "):\n    current = {}\n")
SCENARIO = Scenario(races=(Race(tuple({"method": "POST", "path": "/greetings", "body": {"name": n}} for n in "ab")),))


def test_a_fix_after_which_nothing_is_shared_holds(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + BUFFER, encoding="utf-8")
    change = FileChange("main.py", (HEAD + BUFFER).encode(), (HEAD + OWN).encode())
    subject = Subject(("POST /greetings",))
    with Prover(tmp_path, [change], scenario=SCENARIO) as prover:
        before = prover.before([subject])
        after = prover.after([subject], before)
    assert before[subject.key].verdict is Verdict.WITNESSED
    assert after[subject.key].verdict is Verdict.HELD


def test_requests_that_never_changed_anything_prove_nothing(tmp_path: Path) -> None:
    side = played(tmp_path, OWN, "POST /greetings", SCENARIO)
    assert side.verdict is Verdict.HELD
    assert summary("before", side, Bounds()).endswith("no request changes anything")
    assert not Aim().after(side).seen


SHARED_SESSION = """
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
session = Session(engine)
session.execute(text("CREATE TABLE visits (id INTEGER PRIMARY KEY)"))
session.commit()

@app.post("/visits")
async def visit():
    session.execute(text("INSERT INTO visits DEFAULT VALUES"))
    session.commit()
    return {}
"""


def test_a_session_that_all_share_is_new_in_every_run(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + SHARED_SESSION, encoding="utf-8")
    findings = autolock.check([tmp_path], cache=False).findings
    (found,) = [finding for finding in findings if finding.rule == "AL301"]
    with Prover(tmp_path, ()) as prover:
        (proof,) = prover.prove([Subject.of(found, findings)], after=False)
    assert proof.before is not None
    assert proof.before.verdict is Verdict.HELD, "on one event loop nothing comes between its statement and its commit"
