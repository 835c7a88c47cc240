"""Tables of locks, one for each key."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
import httpx
from contextlib import asynccontextmanager
from fastapi import FastAPI

app = FastAPI()
cards = dict()
locks = dict()

async def pay(cents):
    async with httpx.AsyncClient() as client:
        await client.post("/pay", json=cents)

{lock}

@app.post("/{{card}}")
async def spend(card: str, cents: int):
    async with card_lock(card):
        left = cards[card]
        await pay(cents)
        cards[card] = left - cents
"""

DROPPED = {
    "under the lock": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            async with lock:
                yield
                locks.pop(card, None)
    """,
    "after it": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            try:
                async with lock:
                    yield
            finally:
                del locks[card]
    """,
}

KEPT = {
    "kept": """
        @asynccontextmanager
        async def card_lock(card):
            async with locks.setdefault(card, asyncio.Lock()):
                yield
    """,
    "dropped when nobody waits": """
        @asynccontextmanager
        async def card_lock(card):
            lock = locks.setdefault(card, asyncio.Lock())
            async with lock:
                yield
            if not lock.locked():
                locks.pop(card, None)
    """,
}


def rules(folder: Path, lock: str) -> list[str]:
    (folder / "main.py").write_text(APP.format(lock=textwrap.dedent(lock)), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("lock", DROPPED.values(), ids=DROPPED)
def test_a_lock_that_is_dropped_while_others_wait_guards_nothing(tmp_path: Path, lock: str) -> None:
    assert rules(tmp_path, lock) == ["AL501"]


@pytest.mark.parametrize("lock", KEPT.values(), ids=KEPT)
def test_a_lock_that_stays_guards(tmp_path: Path, lock: str) -> None:
    assert rules(tmp_path, lock) == []


BOXES = """
import asyncio
from fastapi import FastAPI

app = FastAPI()

class Box:
    opened = 0

    def __init__(self):
        self.times = 0
        self._lock = asyncio.Lock()

    async def open(self):
        async with self._lock:
            number = COUNTER + 1
            await asyncio.sleep(0.1)
            COUNTER = number

boxes = {"red": Box(), "blue": Box()}

@app.post("/{name}")
async def open_box(name: str):
    await boxes[name].open()
"""


def test_the_lock_of_each_object_does_not_guard_what_all_of_them_have_in_common(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(BOXES.replace("COUNTER", "Box.opened"), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert (finding.rule, finding.place.function) == ("AL504", "Box.open")
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = main.read_text(encoding="utf-8")
    assert "async with Box.opened_lock:" in after
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_the_lock_of_each_object_guards_what_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(BOXES.replace("COUNTER", "self.times"), encoding="utf-8")
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_one_lock_of_a_table_that_is_named_guards_what_there_is_once(tmp_path: Path) -> None:
    named = BOXES.replace("COUNTER", "Box.opened").replace("with self._lock", "with locks['opened']")
    text = named.replace("class Box", "locks = {'opened': asyncio.Lock()}\n\nclass Box")
    (tmp_path / "main.py").write_text(text, encoding="utf-8")
    assert autolock.check([tmp_path], cache=False).findings == ()


CHOSEN = """
import asyncio
from collections import defaultdict
from fastapi import FastAPI, Header, HTTPException

app = FastAPI()
desks = {{"a": 1, "b": 1}}
renters = {{"a": "ann"}}
locks = defaultdict(asyncio.Lock)

async def confirm(*about):
    await asyncio.sleep(0)

@app.post("{route}")
async def rent(desk: str, member: str = Header()):
    {check}
    async with {lock}:
        left = desks[desk]
        await confirm(desk, member)
        desks[desk] = left - 1
"""


def by_key(folder: Path, lock: str, route: str = "/desks/{desk}", check: str = "pass") -> list[str]:
    (folder / "main.py").write_text(CHOSEN.format(route=route, lock=lock, check=check), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("lock", ["locks[member]", "locks.setdefault(member, asyncio.Lock())", "named"])
def test_a_lock_for_each_member_does_not_guard_what_all_members_share(tmp_path: Path, lock: str) -> None:
    check = "named = locks[member]" if lock == "named" else "pass"
    assert by_key(tmp_path, lock, check=check) == ["AL504"]


@pytest.mark.parametrize(
    ("lock", "route", "check"),
    [
        ("locks[desk]", "/desks/{desk}", "pass"),
        ("locks[desk, member]", "/desks/{desk}", "pass"),  # who knows what they mean by this
        ("locks[member]", "/members/{member}/desks/{desk}", "pass"),
        ("locks[member]", "/desks/{desk}", "if renters.get(desk) != member: raise HTTPException(403)"),
    ],
)
def test_a_lock_by_another_name_may_be_for_the_same(tmp_path: Path, lock: str, route: str, check: str) -> None:
    assert by_key(tmp_path, lock, route, check) == []


SPELLED = """
import asyncio
from collections import defaultdict
from fastapi import FastAPI

app = FastAPI()
points = {}
locks = defaultdict(asyncio.Lock)

async def confirm(*about):
    await asyncio.sleep(0)

def lock_of(name):
    return locks[name.lower()]

@app.post("/{name}")
async def add(name: str):
    member = name.strip().lower()
    async with LOCK:
        had = points.get(member, 0)
        await confirm(name)
        points[member] = had + 1
"""


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        ("locks[name]", ["AL504"]),
        ("locks.setdefault(name, asyncio.Lock())", ["AL504"]),
        ("locks[member]", []),
        ("locks[name.strip().lower()]", []),
        ("lock_of(name)", []),
    ],
)
def test_two_spellings_of_a_name_are_two_locks(tmp_path: Path, lock: str, expected: list[str]) -> None:
    (tmp_path / "main.py").write_text(SPELLED.replace("LOCK", lock), encoding="utf-8")
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == expected


HALLS = """
import asyncio
from fastapi import FastAPI

app = FastAPI()

class Hall:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.guests = 0

hall = Hall()

@app.post("/")
async def enter():
    async with hall.lock:
        guests = hall.guests
        await asyncio.sleep(0.1)
        hall.guests = guests + 1

@app.post("/again")
async def again():
    CHANGE
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("hall.lock = asyncio.Lock()", ["AL501"]),
        ("if hall.lock is None: hall.lock = asyncio.Lock()", []),
        ("return hall.lock.locked()", []),
    ],
)
def test_a_lock_in_whose_place_a_new_one_is_put_lets_two_in(tmp_path: Path, change: str, expected: list[str]) -> None:
    (tmp_path / "main.py").write_text(HALLS.replace("CHANGE", change), encoding="utf-8")
    assert [f.rule for f in autolock.check([tmp_path], cache=False, certainty="race").findings] == expected
