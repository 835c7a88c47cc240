"""Locks, caches and looks on which nothing hangs, each beside one on which something does."""

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
import time
from fastapi import FastAPI, HTTPException

app = FastAPI()
cache = {}
running = {}

async def fetch(name):
    await asyncio.sleep(0.1)
    return {"name": name}
"""

PRESS = """
press = threading.Lock()

@app.post("/print")
async def start():
    if not press.acquire(%s):
        return "busy"
    try:
        return await fetch("page")
    finally:
        press.release()
"""

ENGINE = """
class Engine:
    _instance = None
    _lock = threading.Lock()

    def __new__(cls):
        if cls._instance is None:
            with cls._lock:
                if cls._instance is None:
                    cls._instance = super().__new__(cls)
                    %s
        return cls._instance

    def __init__(self):
        with Engine._lock:
            self.ready = True

    @classmethod
    def warm(cls):
        with cls._lock:
            return True

@app.get("/engine")
def engine():
    return Engine().ready
"""

STREAM = """
%s

@app.post("/stream")
def stream():
    %s
    door.acquire()
    print(open("page").read())
    door.release()
"""

LOGGER = """
class Log:
    last = ""

    def tell(self, text):
        %s
        self.last = text
        %s

log = Log()

@app.post("/{name}")
async def work(name: str):
    log.tell(name)
    %s
    log.tell(name + " is done")
"""

FLIGHT = """
@app.get("/{name}")
async def get(name: str):
    if name in cache:
        return cache[name]
    %s
    there = running.get(name)
    if there is not None:
        return await asyncio.shield(there)
    %s
    running[name] = future = asyncio.get_running_loop().create_future()
    cache[name] = await fetch(name)
    future.set_result(cache[name])
    del running[name]
    return cache[name]
"""

FRESH = """
class Mirror:
    synced = 0.0
    lock = asyncio.Lock()

@app.get("/")
async def get():
    %s
    return "here"
"""

SWITCH = """
class Door:
    open = False
    until = 0.0

@app.get("/")
async def get():
    if Door.open and %s:
        return True
    answer = await fetch("door")
    if answer["name"] == "open":
        Door.open = True
        %s
    else:
        Door.open = False
    return Door.open
"""

MODEL = """
class Models:
    voice = None
    speed = 1

@app.post("/")
async def load():
    %s
    voice = Models.voice
    await fetch("tune")
    Models.voice = voice.tuned()
"""

REPORT = """
class Store:
    def __init__(self):
        self.total = 0
        self.opened = ""

    async def numbers(self):
        if self.total < 0:
            return {"error": "broken"}
        return {"total": await fetch("total"), "opened": self.opened}

store = Store()

@app.post("/")
async def report():
    numbers = await store.numbers()
    if numbers.get("%s") == "":
        await fetch("report")
        store.opened = str(time.time())
"""

SETTINGS = """
import os

class Settings:
    host = "here"

@app.post("/")
def reload():
    Settings.host = %s
    return Settings.host
"""

HARMLESS = {
    "a value that is kept where the environment has none": SETTINGS % 'os.environ.get("HOST", Settings.host)',
    "a thread lock that nobody waits for": PRESS % "blocking=False",
    "__init__ takes the lock that __new__ has given back": ENGINE % "pass",
    "a lock that only the request has": STREAM % ("", "door = threading.Lock()"),
    "a log that leaves out what it said last": LOGGER
    % ("if self.last == text: return", "print(text)", "await fetch(name)"),
    "those who come later wait for the first": FLIGHT % ("", ""),
    "a time of day is noted under a lock": FRESH
    % """now = time.monotonic()
    if now - Mirror.synced > 60:
        await fetch("mirror")
        async with Mirror.lock:
            Mirror.synced = time.monotonic()""",
    "a switch that is asked for again when its time is over": SWITCH % ("time.monotonic() < Door.until", "pass"),
    "what the request has just put there itself": MODEL % 'Models.voice = await fetch("voice")',
    "another part of an answer": REPORT % "total",
}

RACES = {
    "a value that is made from the one before": (SETTINGS % 'Settings.host + open("suffix").read()', "AL101"),
    "a thread lock that is waited for": (PRESS % "", "AL505"),
    "a lock that __new__ still has": (ENGINE % "cls.warm()", "AL507"),
    "a lock that all requests have": (STREAM % ("door = threading.Lock()", "pass"), "AL506"),
    "what was sent is read back": (
        LOGGER % ("pass", "return text", "await fetch(log.last)\n    await fetch(log.last)"),
        "AL107",
    ),
    "the first is not in the table yet": (FLIGHT % ("", "await fetch(name)"), "AL104"),
    "a number that is checked outside of the lock": (
        FRESH
        % """if Mirror.synced < 60:
        await fetch("mirror")
        async with Mirror.lock:
            Mirror.synced += 1""",
        "AL503",
    ),
    "a switch that is turned once": (SWITCH % ("Door.until == 0", "await fetch('go')"), "AL102"),
    "what was there before": (MODEL % "pass", "AL101"),
    "the same part of an answer": (REPORT % "opened", "AL102"),
}


def rules(folder: Path, text: str) -> set[str]:
    """The rules of all races in a program."""
    (folder / "main.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(text), encoding="utf-8")
    return {f.rule for f in autolock.check([folder], cache=False).findings if f.certainty == "race"}


@pytest.mark.parametrize("program", HARMLESS.values(), ids=HARMLESS)
def test_what_nobody_can_tell_is_no_race(tmp_path: Path, program: str) -> None:
    assert not rules(tmp_path, program)


@pytest.mark.parametrize(("program", "rule"), RACES.values(), ids=RACES)
def test_what_somebody_can_tell_is_a_race(tmp_path: Path, program: str, rule: str) -> None:
    assert rule in rules(tmp_path, program)


def test_a_look_in_a_dependency_and_what_the_handler_waits_for(tmp_path: Path) -> None:
    text = """
    from fastapi import Depends

    class Settings:
        text = None

    async def settings():
        return Settings.text

    @app.get("/")
    async def get(text=Depends(settings)):
        if text is None:
            Settings.text = await fetch("settings")
        return Settings.text
    """
    assert rules(tmp_path, text)
