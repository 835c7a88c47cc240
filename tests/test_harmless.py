"""Windows of which nobody could tell that two were in them, each beside one of the same looks that does harm."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, json, logging, os, secrets
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket

app = FastAPI()
log = logging.getLogger(__name__)
"""

SETTING = """
value = None

@app.get("/")
def read():
    global value
    if value is None:
        value = {}
    return value
"""

HELPER = """
class Helper:
    def __init__(self):
        self.region = os.getenv("REGION")
        self.prefix = self._name()
        {}

    def _name(self):
        return load_name()

    def tell(self, text):
        {}

helper = None

@app.get("/")
def read(text: str):
    global helper
    if helper is None:
        helper = Helper()
    return helper.tell(text)
"""

REFUSED = """
refused = False

@app.get("/")
async def call():
    global refused
    if refused:
        raise HTTPException(429)
    {}
"""

OWNER = """
class Shop:
    def __init__(self):
        self.owner = "ann"
        self.open = True

shop = Shop()

async def check(request: Request, user: str):
    if {}:
        raise HTTPException(403)

@app.post("/", dependencies=[Depends(check)])
async def change(request: Request, user: str):
    await asyncio.sleep(0)
    shop.{} = compute()
"""

ALLOWS = """1

    def allows(self, user):
        return {}"""

ROOM = """
members = set()

@app.post("/")
async def tell():
    for member in list(members):
        try:
            await member.send("hello")
        except OSError:
            members.{}(member)

@app.post("/members")
async def join(request: Request):
    members.add(request)
"""

SEEN = """
seen = set()

@app.post("/{{key}}")
def note(key: str):
    if key in seen:
        return
    log.info("new: %s", key)
    {}
    seen.add(key)
"""

FLIGHT = """
cache = {{}}
flights = {{}}

@app.get("/{{key}}")
async def read(key: str):
    if key in cache:
        return cache[key]
    task = flights.get(key)
    if task is None:
        task = flights[key] = asyncio.create_task(fetch(key))
    {}
    cache[key] = answer
    return answer

async def fetch(key):
    await asyncio.sleep(1)
    return key
"""

OWN = """
rooms = {}

@app.post("/{room}")
async def talk(room: str, request: Request):
    rooms.setdefault(room, set()).add(request)
    for other in list(rooms[room]):
        if other is request:
            continue
        await other.send("hello")
    rooms[room].discard(request)
"""

TOKENS = """
tokens = set()

@app.put("/{token}")
async def issue(token: str):
    tokens.add(token)

@app.post("/{token}")
async def redeem(token: str):
    if token not in tokens:
        raise HTTPException(404)
    await asyncio.sleep(0)
    tokens.discard(token)
"""

NESTED = """
@app.get("/{name}")
async def read(name: str):
    async def visit(node, path=[]):
        if len(path) > 3:
            return path
        await asyncio.sleep(0)
        path.append(node)
        return path

    return await visit(name)
"""

DEFAULT = """
@app.get("/{name}")
async def read(name: str):
    return await visit(name)

async def visit(node, path=[]):
    if len(path) > 3:
        return path
    await asyncio.sleep(0)
    path.append(node)
    return path
"""

LOOKUP = """
prices = {{}}

def price_of(key):
    found = prices.get(key)
    if found is None:
        return 0
    if found > 10:
        {}
    return found

@app.post("/{{key}}")
async def pay(key: str):
    amount = price_of(key)
    await asyncio.sleep(0)
    {}
    return amount

@app.put("/{{key}}")
async def price(key: str, amount: int):
    prices[key] = amount
"""

POOL = """
class Pool:
    def __init__(self):
        self.open = {{}}
        self.lock = asyncio.Lock()

    def all(self):
        return list(self.open.values())

    async def add(self, name):
        async with self.lock:
            self.open[name] = name

    async def remove(self, name):
        async with self.lock:
            {}self.open.pop(name)

pool = Pool()

@app.post("/{{name}}")
async def connect(name: str):
    await pool.add(name)

@app.delete("/")
async def clean():
    for name in pool.all():
        await asyncio.sleep(0)
        await pool.remove(name)
"""

SWITCHED_OFF = """
class Manager:
    def __init__(self):
        self.off = set()

    def name_of(self, target):
        return lookup(target)

    def disable(self, target):
        name = self.name_of(target)
        if name in self.off:
            return
        {}
        self.off.add(name)

    def enable(self, target):
        self.off.discard(target)

manager = Manager()

@app.post("/{{name}}")
def disable(name: str):
    manager.disable(name)

@app.delete("/{{name}}")
def enable(name: str):
    manager.enable(name)
"""

PUT_BACK = """
class Settings:
    def __init__(self):
        self.values = {{}}

    def set(self, key, value):
        values = self.values
        load(key)
        values[key] = value
        self.values = values

    def reset(self):
        {}

settings = Settings()

@app.post("/{{key}}")
def change(key: str, value: str):
    settings.set(key, value)

@app.delete("/")
def reset():
    settings.reset()
"""

REJECTED = """
class Refused(Exception):
    pass

class State:
    rejected = None

state = State()

def reject(why):
    state.rejected = why
    return Refused(why)

@app.get("/")
async def call():
    if state.rejected:
        raise HTTPException(503)
    answer = await fetch()
    {}
    return answer

async def fetch():
    await asyncio.sleep(0)
    return load("answer")
"""

STOPPED = """
class Shared:
    stopped = False

shared = Shared()

@app.post("/stop")
async def stop():
    shared.stopped = {}

@app.post("/run")
async def run():
    if shared.stopped:
        raise HTTPException(409)
    await asyncio.sleep(0)
    shared.stopped = {}
"""

PROBE = """
class Guard:
    def __init__(self):
        self.probing = False
        self.until = 0
        self.lock = asyncio.Lock()

    async def run(self, now):
        if self.probing or self.until > now:
            async with self.lock:
                {}
                    self.probing = True
                await asyncio.sleep(0)

    def done(self, now):
        self.probing = False
        self.until = now

guard = Guard()

@app.post("/")
async def run(now: int):
    await guard.run(now)

@app.post("/done")
async def done(now: int):
    guard.done(now)
"""

AGAIN = """
jobs = []
lock = asyncio.Lock()

@app.post("/run")
async def run():
    async with lock:
        waiting = list(jobs)
    for job in waiting:
        await asyncio.sleep(0)
        async with lock:
            jobs.{}

@app.post("/{{name}}")
async def add(name: str):
    async with lock:
        jobs.append(name)
"""

BRANCHES = """
running = {{}}

@app.post("/{{name}}")
async def start(name: str):
    running[name] = name

@app.delete("/")
async def stop(name: str = "", every: bool = False):
    global running
    if name:
        if name not in running:
            raise HTTPException(404)
    await asyncio.sleep(0)
    if {}:
        log.info(name)
    else:
        running = {{}}
"""


MISSING = """
refused = {{}}

def is_refused(key):
    return {} is not None

@app.get("/{{key}}")
async def load_one(key: str):
    try:
        if is_refused(key):
            raise HTTPException(404)
        return await fetch(key)
    except KeyError:
        refused[key] = True
        raise HTTPException(404)

async def fetch(key):
    await asyncio.sleep(0)
    return load(key)
"""

MODE = """
class Modes:
    def __init__(self):
        self.mode = None

    async def run(self, mode):
        {}
        await asyncio.sleep(0)
        return self.mode

modes = Modes()

@app.post("/{{mode}}")
async def run(mode: str):
    return await modes.run(mode)
"""

ANSWER = """
inside = None

@app.get("/")
def is_inside():
    global inside
    if inside is None:
        try:
            load_configuration(inside)
            inside = True
        except OSError:
            {}
    return inside
"""

REFILL = """
known = []
lock = asyncio.Lock()

async def all_known():
    async with lock:
        return list(known)

async def refresh():
    found = await fetch()
    async with lock:
        {}
        known.extend(found)

async def fetch():
    await asyncio.sleep(0)
    return [1]

@app.get("/")
async def read():
    found = await all_known()
    if not found:
        await refresh()
    return await all_known()
"""

STAMPS = """
class Stamp:
    start = 0

async def trim(offset, stamps: list[Stamp] = []):
    {}
    for stamp in stamps:
        start = stamp.start
        await asyncio.sleep(0)
        stamp.start = start - offset

@app.post("/{{offset}}")
async def post(offset: int):
    await trim(offset)
"""

RESUME = """
stopped = set()
quiet = False

def is_stopped(name):
    return quiet or name in stopped

def resume(name):
    {}stopped.remove(name)

@app.post("/{{name}}")
async def run(name: str):
    if is_stopped(name):
        await asyncio.sleep(0)
        resume(name)

@app.delete("/{{name}}")
async def stop(name: str):
    stopped.add(name)
"""

FILTER = """
class Settings:
    def __init__(self):
        self.media = ["a", "b"]

settings = Settings()

@app.get("/")
def read():
    unknown = [m for m in settings.media if m not in allowed()]
    if unknown:
        report(unknown)
        settings.media = {}
    return settings.media
"""

SIZE = """
import sys, time

class Connection:
    def __init__(self):
        self.seen = 0

connection = Connection()

@app.get("/")
async def read():
    if {} > 100:
        raise HTTPException(413)
    await asyncio.sleep(0)
    connection.seen = time.time()
"""

LOCKS = """
guard = asyncio.Lock()
locks = {{}}

@app.get("/{{name}}")
async def read(name: str):
    if name not in locks:
        async with guard:
            locks.setdefault(name, {})
    async with locks[name]:
        return name
"""

SOCKETS = """
sockets = {{}}

@app.websocket("/{{room}}")
async def join(ws: WebSocket, room: str):
    await ws.accept()
    sockets.setdefault(room, []).append(ws)
    while True:
        await tell(room, await ws.receive_text())

async def tell(room, text):
    for other in list(sockets[room]):
        try:
            await other.send_text(text)
        except RuntimeError:
            await leave(room, other)

async def leave(room, ws):
    there = sockets.get(room)
    {}
        there.remove(ws)
"""

LIMITED = """
kept = {{}}
LIMIT = 100

@app.get("/{{name}}")
def read(name: str):
    kept[name] = load(name)
    while len(kept) > {}:
        kept.popitem()
"""

PAIRS = {
    "a key that setdefault looks for": (LOCKS.format("asyncio.Lock()"), LOCKS.format("await make(name)")),
    "what is seen to be there and taken away at once": (
        SOCKETS.format("if there and ws in there:"),
        SOCKETS.format("if room:"),
    ),
    "one too many thrown out": (LIMITED.format("LIMIT"), LIMITED.format("0")),
    "a setting that comes out the same": (
        SETTING.format('os.getenv("MODE", "").lower() == "test"'),
        SETTING.format('secrets.token_hex() + "-"'),
    ),
    "an object that keeps nothing": (
        HELPER.format("pass", "return text"),
        HELPER.format("self.told = []", "self.told.append(text)"),
    ),
    "an object that opens nothing": (
        HELPER.format("pass", "return text"),
        HELPER.format("self.connection = connect()", "return text"),
    ),
    "how the work ended": (
        REFUSED.format("try:\n        await work()\n    except OSError:\n        refused = True"),
        REFUSED.format("await work()\n    refused = True"),
    ),
    "who may": (
        OWNER.format("user != shop.owner", "owner"),
        OWNER.format("shop.open != True", "open"),
    ),
    "who may, as a helper says": (
        OWNER.format("not shop.allows(user)", "owner").replace("True", ALLOWS.format("user == self.owner")),
        OWNER.format("not shop.allows(user)", "open").replace("True", ALLOWS.format("self.open == 1")),
    ),
    "a removal that minds nothing": (ROOM.format("discard"), ROOM.format("remove")),
    "a note of what was seen": (SEEN.format("pass"), SEEN.format("send_mail(key)")),
    "one's own element after a loop over all": (OWN, TOKENS),
    "a default of a nested function": (NESTED, DEFAULT),
    "a look-up that looks again": (
        LOOKUP.format("prices.pop(key)", "price_of(key)"),
        LOOKUP.format("pass", "prices.pop(key) if amount else None"),
    ),
    "a removal that looks again under the lock": (
        POOL.format("if name not in self.open:\n                return\n            "),
        POOL.format(""),
    ),
    "a set of which nothing hangs, with removals": (
        SWITCHED_OFF.format("log.info(name)"),
        SWITCHED_OFF.format("send_mail(name)"),
    ),
    "an object put back where it is": (
        PUT_BACK.format("pass"),
        PUT_BACK.format("self.values = {}"),
    ),
    "how the work ended, as a helper says": (
        REJECTED.format('if answer == "no":\n        raise reject(answer)'),
        REJECTED.format("reject(answer)"),
    ),
    "what was missing elsewhere": (MISSING.format("refused.get(key)"), MISSING.format("refused[key]")),
    "a mode that the first one chooses": (
        MODE.format("if self.mode is None:\n            self.mode = mode"),
        MODE.format("self.mode = mode"),
    ),
    "an answer that comes out the same": (
        ANSWER.format("inside = False"),
        ANSWER.format("inside = secrets.token_hex() + str(1)"),
    ),
    "a list that is cleared and filled": (REFILL.format("known.clear()"), REFILL.format("pass")),
    "elements of a default that nobody fills": (STAMPS.format("pass"), STAMPS.format("stamps.append(Stamp())")),
    "a removal that asks whether it is there": (
        RESUME.format("if name in stopped:\n        "),
        RESUME.format(""),
    ),
    "a filter": (
        FILTER.format("[m for m in settings.media if m in allowed()]"),
        FILTER.format("[*settings.media, next_one()]"),
    ),
    "the size of an object": (SIZE.format("sys.getsizeof(connection.seen)"), SIZE.format("connection.seen")),
    "what the check has found": (STOPPED.format("True", "False"), STOPPED.format("False", "True")),
    "a test that is repeated in part": (
        PROBE.format("if self.until > now:"),
        PROBE.format("if now:"),
    ),
    "a job put back into the queue": (AGAIN.format("append(job)"), AGAIN.format("remove(job)")),
    "branches that exclude each other": (BRANCHES.format("name"), BRANCHES.format("not every")),
    "one flight for all": (FLIGHT.format("answer = await task"), FLIGHT.format("answer = await fetch(key)")),
}


def races(path: Path, text: str) -> list[str]:
    path.mkdir()
    (path / "main.py").write_text(textwrap.dedent(HEAD) + text, encoding="utf-8")
    report = autolock.check([path], cache=False)
    assert report.errors == ()
    return [f"{f.rule} {f.place.function}" for f in report.findings if f.certainty.value == "race"]


@pytest.mark.parametrize(("harmless", "harmful"), PAIRS.values(), ids=PAIRS)
def test_only_the_harmful_one_is_found(tmp_path: Path, harmless: str, harmful: str) -> None:
    assert races(tmp_path / "harmful", harmful)
    assert races(tmp_path / "harmless", harmless) == []


def test_a_lock_that_a_caller_holds_for_other_reasons_is_no_guard_of_the_state(tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text(
        textwrap.dedent("""
            import asyncio

            left = {}

            async def take(item):
                seen = left[item]
                await asyncio.sleep(0)
                left[item] = seen - 1
        """),
        encoding="utf-8",
    )
    (tmp_path / "main.py").write_text(
        textwrap.dedent("""
            import asyncio
            from fastapi import FastAPI
            from stock import take

            app = FastAPI()
            mail_lock = asyncio.Lock()
            cash_lock = asyncio.Lock()

            @app.post("/mail")
            async def mail(item: str):
                async with mail_lock:
                    await take(item)

            @app.post("/cash")
            async def cash(item: str):
                async with cash_lock:
                    await take(item)
        """),
        encoding="utf-8",
    )
    findings = autolock.check([tmp_path], cache=False).findings
    assert [(f.rule, f.place.function) for f in findings] == [("AL101", "take")]


def test_a_file_that_is_read_again_before_it_is_written_is_found_where_that_is_done(tmp_path: Path) -> None:
    found = races(
        tmp_path / "app",
        """
PATH = "marks.json"

def load():
    with open(PATH) as file:
        return json.load(file)

def mark(name):
    marks = load()
    marks[name] = True
    with open(PATH, "w") as file:
        json.dump(marks, file)

@app.post("/{name}")
async def post(name: str):
    marks = await asyncio.to_thread(load)
    if name in marks:
        raise HTTPException(409)
    await asyncio.to_thread(mark, name)
""",
    )
    assert found == ["AL106 mark"]
