"""What is kept so that it need not be found out again, loaded once, claimed under a lock or cut to a size."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, threading, time
import httpx
from fastapi import FastAPI, HTTPException, Request

app = FastAPI()
"""


def told(folder: Path, text: str) -> set[tuple[str, str]]:
    """Rule and severity of every race."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    findings = autolock.check([folder], cache=False).findings
    return {(f.rule, f.severity.value) for f in findings if f.certainty.value == "race"}


KEPT = """
known = {}

def find(card):
    if card in known:
        entry = known[card]
        if time.time() - entry["at"] < 60:
            return entry["member"]
        else:
            del known[card]
    member = httpx.get(f"http://club/{card}").json()
    known[card] = {"member": member, "at": time.time()}
    return member

@app.get("/friends/{card}")
async def friend(card: str):
    member = await asyncio.to_thread(find, card)
    return await asyncio.to_thread(find, member["friend"])
"""

TAKEN = """
points = {}

def look(card):
    if card in points:
        return dict(points[card])
    raise HTTPException(404)

@app.post("/points/{card}")
async def spend(card: str):
    found = look(card)
    await asyncio.sleep(0)
    points[card] = {**found, "left": found["left"] - 1}
"""


def test_what_one_answer_asks_for_next_is_no_part_of_the_next_answer(tmp_path: Path) -> None:
    assert {severity for _, severity in told(tmp_path, KEPT)} <= {"low"}


def test_what_a_helper_has_found_and_its_caller_changes_is_lost(tmp_path: Path) -> None:
    assert ("AL101", "high") in told(tmp_path, TAKEN)


REACHED = """
class Reach:
    def __init__(self):
        self.good = None
        self.asked_at = 0.0

    def is_good(self):
        now = time.monotonic()
        age = now - self.asked_at
        if self.good is not None:
            if age < (30 if self.good else 5):
                return self.good
        try:
            httpx.get("http://printer")
            self.good = True
            self.asked_at = now
            return True
        except httpx.HTTPError:
            pass
        self.good = False
        self.asked_at = now
        return False

reach = Reach()

@app.get("/printer")
def printer():
    return reach.is_good()
"""


def test_an_answer_that_is_kept_for_a_while_is_at_most_found_out_twice(tmp_path: Path) -> None:
    assert told(tmp_path, REACHED) == {("AL104", "low")}


NIGHTLY = """
class Nightly:
    def __init__(self):
        self.lock = threading.Lock()
        self.busy = False
        self.runs = 0

    def run(self):
        HEAD
            before = self.runs
            if self.busy:
                raise HTTPException(409)
            self.busy = True
        try:
            httpx.get("http://report")
            self.runs = before + 1
        finally:
            self.busy = False

nightly = Nightly()

@app.post("/nightly")
def start():
    nightly.run()
"""


@pytest.mark.parametrize(("head", "racy"), [("with self.lock:", False), ("if True:", True)])
def test_who_claims_something_under_a_lock_is_alone_until_it_is_given_back(
    head: str, racy: bool, tmp_path: Path
) -> None:
    assert bool(told(tmp_path, NIGHTLY.replace("HEAD", head))) is racy


ROOMS = """
lock = threading.RLock()
rooms = {}
loaded = False

def ensure():
    global loaded, rooms
    if loaded:
        return
    with lock:
        if loaded:
            return
        rooms = {"a": {"lamps": 1}}
        FLAG

def get(name):
    ensure()
    with lock:
        return rooms.get(name)

def change(name, lamps):
    ensure()
    with lock:
        if name in rooms:
            rooms[name]["lamps"] = lamps

@app.put("/rooms/{name}")
async def put(name: str, request: Request):
    if get(name) is None:
        raise HTTPException(404)
    change(name, (await request.json())["lamps"])
"""


@pytest.mark.parametrize(("flag", "racy"), [("loaded = True", False), ("pass", True)])
def test_what_is_loaded_once_is_not_loaded_again_after_a_look(flag: str, racy: bool, tmp_path: Path) -> None:
    assert (("AL502", "medium") in told(tmp_path, ROOMS.replace("FLAG", flag))) is racy


READINGS = """
readings = []

def measure():
    readings.append(time.time())

@app.post("/measure")
async def post():
    global readings
    asyncio.get_running_loop().run_in_executor(None, measure)
    readings.append(0.0)
    if len(readings) > 100:
        readings = CUT

@app.get("/measure")
def get():
    return readings
"""


@pytest.mark.parametrize(("cut", "racy"), [("readings[-100:]", False), ("readings + [sum(readings)]", True)])
def test_a_record_that_is_cut_to_its_newest_entries(cut: str, racy: bool, tmp_path: Path) -> None:
    assert bool(told(tmp_path, READINGS.replace("CUT", cut))) is racy


PROVIDER = """
class Provider:
    def __init__(self):
        self.address = None

    async def discover(self):
        if self.address:
            return
        async with httpx.AsyncClient() as client:
            found = (await client.get("http://provider")).json()
        self.address = VALUE

provider = Provider()

@app.get("/address")
async def address():
    await provider.discover()
    return str(provider.address)
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('found.get("address")', {("AL104", "low")}),
        ('found["address"]', {("AL104", "low")}),
        ('httpx.Client(base_url=found["address"])', {("AL103", "medium")}),
    ],
)
def test_a_part_of_an_answer_is_found_out_twice_and_a_client_is_made_twice(
    value: str, expected: set[tuple[str, str]], tmp_path: Path
) -> None:
    assert told(tmp_path, PROVIDER.replace("VALUE", value)) == expected


BOXES = """
lock = threading.Lock()
boxes = {}
lines = []

def get(name):
    with lock:
        box = boxes.get(name)
        return dict(box) if box else None

def drop(name):
    with lock:
        boxes.pop(name, None)

def tell(text):
    with lock:
        lines.append(text)

def latest():
    with lock:
        return lines[-3:]

@app.put("/{name}")
def put(name: str, holds: str):
    with lock:
        boxes[name] = {"holds": holds}

@app.delete("/{name}")
def empty(name: str):
    box = get(name)
    if not box:
        raise HTTPException(404)
    httpx.get("http://robot")
    drop(box["holds"])
    tell(f"after {latest()}")
"""


def test_what_is_taken_out_or_added_after_the_lock_was_given_back_overwrites_nothing(tmp_path: Path) -> None:
    assert "high" not in {severity for _, severity in told(tmp_path, BOXES)}


PLAN = """
plan = None

class Plan:
    def __init__(self, steps):
        self.steps = steps

def get_plan():
    global plan
    if plan is None:
        plan = Plan(httpx.get("http://plans").json())
    return plan

def change(steps):
    global plan
    plan = Plan(steps)

@app.post("/plan")
async def post(step: str):
    now = get_plan()
    WAIT
    change([*now.steps, step])

@app.get("/plan")
def get():
    return get_plan().steps
"""


@pytest.mark.parametrize(("wait", "racy"), [("pass", False), ("await asyncio.sleep(0)", True)])
def test_what_was_there_is_not_overwritten_by_whoever_fills_a_gap(wait: str, racy: bool, tmp_path: Path) -> None:
    assert (("AL101", "high") in told(tmp_path, PLAN.replace("WAIT", wait))) is racy
    assert racy or not {rule for rule, _ in told(tmp_path, PLAN.replace("WAIT", wait))} & {"AL101", "AL102"}
