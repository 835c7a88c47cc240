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
from fastapi import Depends, FastAPI, HTTPException, Request

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

PAIRS = {
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
