"""Work that is one run at a time, state that is for all, and looks that settle nothing: each beside one that races."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import threading
import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException

app = FastAPI()

async def fetch(name):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"/{name}")).json()
"""

JOB = """
class Job:
    running = False
    total = 0

async def work():
    seen = Job.total
    await fetch("total")
    Job.total = seen + 1
    Job.running = False

@app.post("/start")
async def start(tasks: BackgroundTasks):
    {}
    tasks.add_task(work)
"""

WATCHER = """
class Watcher:
    def __init__(self):
        self.seen = None
        {}

    def watch(self):
        while True:
            now = open("settings.json").read()
            if now != self.seen:
                print(now)
                self.seen = now

watcher = None

@app.get("/watch")
async def watch():
    global watcher
    if watcher is None:
        watcher = Watcher()
    {}
"""

QUEUES = """
queues = {{}}

@app.post("/join/{{name}}")
async def join(name: str):
    queues[name] = asyncio.Queue(maxsize=5)

@app.post("/leave/{{name}}")
async def leave(name: str):
    queues.pop(name, None)

@app.post("/tell")
async def tell(text: str):
    for queue in queues.values():
        {}
        await queue.put(text)
"""

CLIENTS = """
clients = []

@app.post("/join")
async def join(name: str):
    clients.append(name)

async def drop(name):
    {}

@app.post("/tell")
async def tell():
    dead = []
    for name in list(clients):
        if not await fetch(name):
            dead.append(name)
    for name in dead:
        await drop(name)
"""

SETTINGS = """
class Settings:
    def __init__(self):
        self.keys = []

settings = Settings()

@app.post("/keys/{{key}}")
async def set_keys(key: str):
    settings.keys = {}
    await fetch("saved")
    return settings.keys
"""

DIALECT = """
names = []

async def dialect():
    if names:
        return names[0]
    name = await fetch("dialect")
    names.append(name)
    return name

@app.get("/dialect")
async def get():
    return await dialect()
"""

NAMES = """
names = {}

@app.get("/all")
async def every():
    for name in names:
        await fetch(name)

@app.post("/{{name}}")
async def add(name: str):
    {}
"""

REPLICAS = """
replicas = ["a", "b"]
turn = 0

@app.get("/next")
async def choose():
    global turn
    if replicas[turn] == "a":
        await fetch("a")
        turn = {}
    return replicas[turn]
"""

BUFFER = """
lock = asyncio.Lock()
waiting = []

@app.post("/put")
async def put(text: str):
    async with lock:
        await fetch(text)
        waiting.append(text)

async def is_there():
    async with lock:
        return len(waiting) > 0

async def take_all():
    async with lock:
        {}
        waiting.clear()
    return taken

@app.post("/take")
async def take():
    if await is_there():
        return await take_all()
"""

MANAGER = """
manager = None

class Manager:
    def __init__(self, keys):
        self.keys = keys

async def get_manager():
    global manager
    async with lock:
        if manager is None:
            manager = Manager(await fetch("keys"))
    return manager

class Service:
    def __init__(self):
        self.manager = None

    async def use(self):
        if not self.manager:
            self.manager = {}
        return self.manager.keys

lock = asyncio.Lock()
service = Service()

@app.get("/use")
async def use():
    return await service.use()
"""

CONNECTION = """
class Proxy:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.connected = False
        self.socket = None

    async def connect(self):
        async with self.lock:
            {}
            self.socket = await fetch("socket")
            self.connected = True

    async def send(self):
        if not self.connected or not self.socket:
            await self.connect()
        return self.socket

proxy = Proxy()

@app.post("/send")
async def send():
    return await proxy.send()
"""

PAIRS = {
    "all are given the one object that there is": (
        MANAGER.format("await get_manager()"),
        MANAGER.format('Manager(await fetch("keys"))'),
    ),
    "a part of the test is repeated under the lock": (
        CONNECTION.format("if self.connected:\n                return"),
        CONNECTION.format(""),
    ),
    "a job that a flag keeps from starting twice": (
        JOB.format("if Job.running:\n        raise HTTPException(409)\n    Job.running = True"),
        JOB.format("Job.running = True"),
    ),
    "a thread of the object that its constructor starts": (
        WATCHER.format("threading.Thread(target=self.watch, daemon=True).start()", "return 1"),
        WATCHER.format("", "threading.Thread(target=watcher.watch, daemon=True).start()"),
    ),
    "a queue in which there is room waits for nobody": (
        QUEUES.format("if queue.full():\n            queue.get_nowait()"),
        QUEUES.format("print(text)"),
    ),
    "who takes away expects that it is gone": (
        CLIENTS.format("try:\n        clients.remove(name)\n    except ValueError:\n        pass"),
        CLIENTS.format("clients.remove(name)"),
    ),
    "settings that are made from the settings are nobody's own": (
        SETTINGS.format("[k for k in settings.keys if k != key]"),
        SETTINGS.format("[key]"),
    ),
    "nobody takes more than the first": (
        DIALECT,
        DIALECT + '\n@app.get("/every")\nasync def every():\n    return [n.upper() for n in names]\n',
    ),
    "what is added at the end does not upset a loop over a list": (
        NAMES.format("[]", "").replace("{}", "[]").replace("{{name}}", "{name}").rstrip()
        + "\n    names.append(name)\n",
        NAMES.replace("{}", "[]", 1).replace("{{name}}", "{name}").replace("{}", "names.remove(name)"),
    ),
    "whose turn it was is no matter": (
        REPLICAS.format("(turn + 1) % 2"),
        REPLICAS.format("turn + 1"),
    ),
    "all that is there by then is taken": (
        BUFFER.replace("{}", "taken = waiting.copy()"),
        BUFFER.replace("{}", "taken = None"),
    ),
}


def races(folder: Path, program: str) -> list[str]:
    folder.mkdir()
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    checked = autolock.check([folder], cache=False, certainty="race", select=["AL1", "AL5"])
    return sorted({f"{f.rule} {f.place.function}" for f in checked.findings})


@pytest.mark.parametrize(("harmless", "harmful"), PAIRS.values(), ids=PAIRS)
def test_only_the_harmful_one_is_found(tmp_path: Path, harmless: str, harmful: str) -> None:
    left = races(tmp_path / "harmless", harmless)
    assert set(races(tmp_path / "harmful", harmful)) - set(left)
    assert left == []
