"""Windows that nothing can come into, or only two threads in one instant: each beside one that is worth a word."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.findings import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.findings import Finding

HEAD = """
import asyncio
import enum
import random
import threading
import time
import httpx
import openai
from fastapi import FastAPI, HTTPException

app = FastAPI()
"""

DOOR = """
class Door:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.open = False

    async def is_open(self):
        async with self.lock:
            return self.open

    async def set_open(self, value):
        async with self.lock:
            {}
            self.open = value

class Gate:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.seen = None

    async def ask(self):
        async with self.lock:
            async with httpx.AsyncClient() as client:
                self.seen = await client.get("/gate")

door = Door()
gate = Gate()

@app.post("/gate")
async def ask():
    await gate.ask()

@app.post("/open")
async def enter():
    if await door.is_open():
        raise HTTPException(409)
    await door.set_open(True)
"""

PUMP = """
lock = threading.Lock()

@app.post("/pump")
async def pump():
    while lock.locked():
        await asyncio.sleep(0.1)
    {}
    with lock:
        await asyncio.sleep(1)

@app.post("/drain")
async def drain():
    if lock.locked():
        raise HTTPException(409)
    with lock:
        await asyncio.sleep(1)
"""

OVEN = """
class Stage(enum.Enum):
    IDLE = 1
    BAKING = 2

class Oven:
    def __init__(self):
        self.stage = Stage.IDLE
        self.lock = asyncio.Lock()
        self.tray = None

    async def start(self, cake):
        async with self.lock:
            if self.stage == Stage.BAKING:
                raise HTTPException(409)
            self.stage = Stage.{}
            self.task = asyncio.create_task(self.bake(cake))

    async def bake(self, cake):
        self.tray = cake
        await asyncio.sleep(60)
        print(self.tray)
        self.stage = Stage.IDLE

oven = Oven()

@app.post("/bake")
async def bake(cake: str):
    await oven.start(cake)
"""

PROBE = """
printer = None

def probe({}):
    global printer
    try:
        open("/dev/lp0").close()
        printer = {}
    except OSError:
        printer = False

@app.post("/print")
async def print_page(name: str):
    if printer is False:
        raise HTTPException(503)
    await asyncio.sleep(1)
    probe({})
"""

PICKED = """
jobs = {{}}

@app.put("/jobs/{{name}}")
def put(name: str, body: dict):
    jobs[name] = dict(body)

@app.post("/jobs/{{name}}")
async def run(name: str):
    job = jobs[name]
    options = {}
    async with httpx.AsyncClient() as client:
        job["result"] = await client.post("/run", json=options)
"""

SLOTS = """
slots = [[3], [4]]

class Slot:
    def __init__(self):
        self.used = 0

pool = [Slot(), Slot()]

@app.post("/take")
async def take(n: int):
    slot = next(s for s in pool if s.used < 3)
    await asyncio.sleep(0.1)
    slot.used += {0}
    await asyncio.sleep(0.1)
    slot.used -= {0}
"""

LIMITS = """
class Config:
    def __init__(self, rows, port):
        self.rows = rows
        self.port = port

config = Config([], 80)

@app.put("/config")
def replace(rows: list[str]):
    global config
    made = Config(rows, port=config.port{})
    time.sleep(1)
    config = made
"""

PLACES = """
notes = []

async def spell(text):
    async with httpx.AsyncClient() as client:
        return (await client.get("/spell", params={{"text": text}})).text

@app.post("/notes")
async def add(text: str):
    place = len(notes)
    {}
    notes[place] = await spell(text)
    return place
"""

MATCHED = """
class Order:
    def __init__(self):
        self.state = "paid"

orders = {{}}
paid = {{}}

@app.put("/{{name}}")
async def put(name: str):
    orders[name] = Order()
    paid[name] = {{"state": "paid"}}

@app.post("/{{name}}/cancel")
async def cancel(name: str):
    order, entry = orders.get(name), paid.get(name)
    match {}:
        case None:
            raise HTTPException(404)
        case {}:
            await asyncio.sleep(1)
            {} = "cancelled"
            return {{}}
        case _:
            raise HTTPException(409)
"""

MAKER = """
class Store:
    def __init__(self):
        self.rows = {{}}
        {}

    def put(self, name, row):
        self.rows[name] = row

store = None

def get_store():
    global store
    if store is None:
        store = Store()
    return store

@app.put("/store/{{name}}")
def put(name: str, row: str):
    get_store().put(name, row)
"""

ENGINE = """
class Engine:
    def __init__(self):
        self.restarting = False
        self.process = None

    def start(self):
        if self.process is not None:
            raise RuntimeError
        time.sleep(1)
        self.process = object()

    def restart(self):
        {}
        try:
            self.restarting = True
            self.process = None
            self.start()
        finally:
            self.restarting = False

engine = Engine()

@app.post("/restart")
def restart():
    engine.restart()
"""

LOOKS = """
windows = {{}}

@app.post("/ask")
async def ask(key: str, text: str):
    seen = windows.get(key, [])
    client = openai.AsyncOpenAI(api_key=f"{{key}}{{len(seen)}}")
    answer = await client.chat.completions.create(model="m", messages={})
    windows[key] = [*seen, text]
    return answer
"""


def found(folder: Path, text: str) -> list[Finding]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
    return autolock.check([folder], cache=False, certainty="race", select=["AL1", "AL4", "AL5"]).findings


def severities(folder: Path, text: str, rule: str) -> set[Severity]:
    return {f.severity for f in found(folder, text) if f.rule == rule}


@pytest.mark.parametrize(
    ("text", "filling", "racy"),
    [
        pytest.param(DOOR, "pass", False, id="a lock that nobody waits for"),
        pytest.param(DOOR, "await asyncio.sleep(1)", True, id="a lock that somebody holds while waiting"),
        pytest.param(PUMP, "print('free')", False, id="a lock that is known to be free"),
        pytest.param(PUMP, "await asyncio.sleep(1)", True, id="a lock that was free before"),
        pytest.param(OVEN, "BAKING", False, id="one run at a time by a status"),
        pytest.param(OVEN, "IDLE", True, id="a status that keeps nobody out"),
        pytest.param(LIMITS, "", False, id="a part that goes on as it is"),
        pytest.param(LIMITS, " + 1", True, id="a part that is counted"),
    ],
)
def test_only_what_can_happen_is_found(text: str, filling: str, racy: bool, tmp_path: Path) -> None:
    assert bool(found(tmp_path, text.format(filling))) is racy


@pytest.mark.parametrize(
    ("added", "racy"),
    [
        ("notes.append(None)", False),
        ("await spell('')\n    notes.append(None)", True),
        ("if place > 9:\n        notes.pop(0)", True),
    ],
)
def test_who_fills_what_it_has_added_overwrites_nothing(added: str, racy: bool, tmp_path: Path) -> None:
    assert bool(severities(tmp_path, PLACES.format(added), "AL101")) is racy


@pytest.mark.parametrize(
    ("asked", "case", "state"),
    [("order", "Order(state='paid')", "order.state"), ("entry", "{'state': 'paid'}", "entry['state']")],
)
def test_a_match_that_takes_apart_is_a_check(asked: str, case: str, state: str, tmp_path: Path) -> None:
    assert severities(tmp_path, MATCHED.format(asked, case, state), "AL102")


@pytest.mark.parametrize(("argument", "made", "given"), [("", "True", ""), ("name", "name", "name")])
def test_what_a_probe_finds_twice_is_the_same(argument: str, made: str, given: str, tmp_path: Path) -> None:
    assert bool(found(tmp_path, PROBE.format(argument, made, given))) is bool(argument)


@pytest.mark.parametrize(
    ("given", "racy"), [("{k: v for k, v in job.items() if k in ('mode', 'size')}", False), ("dict(job.items())", True)]
)
def test_what_is_made_of_elements_that_were_picked_overwrites_none_of_them(
    given: str, racy: bool, tmp_path: Path
) -> None:
    assert bool(severities(tmp_path, PICKED.format(given), "AL101")) is racy


@pytest.mark.parametrize(("amount", "racy"), [("1", False), ("min(n, slot.used)", True)])
def test_who_gives_one_back_has_not_looked_how_much_there_is(amount: str, racy: bool, tmp_path: Path) -> None:
    told = [f for f in found(tmp_path, SLOTS.format(amount)) if "how much to take" in f.message]
    assert bool(told) is racy


@pytest.mark.parametrize(("work", "severity"), [("pass", Severity.LOW), ("self.load_model()", Severity.MEDIUM)])
def test_what_threads_make_twice_in_an_instant_is_told_of_last(work: str, severity: Severity, tmp_path: Path) -> None:
    assert severities(tmp_path, MAKER.format(work), "AL103") == {severity}


def test_a_model_that_the_event_loop_loads_beside_threads_takes_its_time(tmp_path: Path) -> None:
    both = MAKER + '\n@app.get("/store")\nasync def get():\n    return get_store().rows\n'
    assert severities(tmp_path, both.format("self.load_model()"), "AL103") == {Severity.MEDIUM}
    assert severities(tmp_path, both.format("pass"), "AL103") == {Severity.LOW}


def test_what_a_flag_keeps_threads_out_of_is_told_of_last(tmp_path: Path) -> None:
    guarded = severities(tmp_path, ENGINE.format("if self.restarting is True:\n            return"), "AL102")
    bare = severities(tmp_path, ENGINE.format("print(self.restarting)"), "AL102")
    assert guarded == {Severity.LOW}
    assert bare == {Severity.HIGH}


@pytest.mark.parametrize(
    ("messages", "told"), [("[{'role': 'user', 'content': text}]", False), ("[*seen, text]", True)]
)
def test_a_model_is_given_what_it_is_told_and_not_what_chose_its_client(
    messages: str, told: bool, tmp_path: Path
) -> None:
    assert bool(severities(tmp_path, LOOKS.format(messages), "AL402")) is told
