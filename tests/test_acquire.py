"""Locks that are taken only if they are free."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import threading
from fastapi import FastAPI, HTTPException

app = FastAPI()
lock = threading.Lock()
left = {"n": 1}

def charge(amount):
    with open("journal") as file:
        return file.read()

def take():
    amount = left["n"]
    charge(amount)
    left["n"] = amount - 1

@app.post("/")
def buy():
"""

HELD = {
    "in the branch": """
        if lock.acquire(timeout=1):
            try:
                take()
            finally:
                lock.release()
    """,
    "after a refusal": """
        if not lock.acquire(blocking=False):
            raise HTTPException(409)
        try:
            take()
        finally:
            lock.release()
    """,
    "after a refusal, by a name": """
        free = lock.acquire(blocking=False)
        if not free:
            raise HTTPException(409)
        try:
            take()
        finally:
            lock.release()
    """,
}

NOT_HELD = {
    "in the other branch": """
        if lock.acquire(timeout=1):
            lock.release()
        else:
            take()
    """,
    "in the other branch, by a name": """
        free = lock.acquire(timeout=1)
        if free:
            lock.release()
        else:
            take()
    """,
    "where nobody asks": """
        lock.acquire(blocking=False)
        take()
        if lock.locked():
            lock.release()
    """,
    "where nobody asks, by position": """
        lock.acquire(False)
        take()
        if lock.locked():
            lock.release()
    """,
    "where it was refused": """
        if not lock.acquire(timeout=1):
            take()
        else:
            lock.release()
    """,
}

LEAKED = {
    "in the branch": """
        if lock.acquire(timeout=1):
            charge(1)
            lock.release()
    """,
    "after a refusal": """
        if not lock.acquire(blocking=False):
            raise HTTPException(409)
        charge(1)
        lock.release()
    """,
    "after a refusal, by a name": """
        free = lock.acquire(blocking=False)
        if not free:
            raise HTTPException(409)
        charge(1)
        lock.release()
    """,
}


def rules(folder: Path, body: str) -> list[str]:
    text = APP + textwrap.indent(textwrap.dedent(body), "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("body", HELD.values(), ids=HELD)
def test_a_lock_that_was_free_guards(tmp_path: Path, body: str) -> None:
    assert rules(tmp_path, body) == []


@pytest.mark.parametrize("body", NOT_HELD.values(), ids=NOT_HELD)
def test_a_lock_that_was_not_free_guards_nothing(tmp_path: Path, body: str) -> None:
    assert rules(tmp_path, body) == ["AL101"]


@pytest.mark.parametrize("body", LEAKED.values(), ids=LEAKED)
def test_a_lock_that_an_exception_leaves_taken(tmp_path: Path, body: str) -> None:
    assert rules(tmp_path, body) == ["AL506"]


def fixed(folder: Path, body: str) -> str:
    text = APP + textwrap.indent(textwrap.dedent(body), "    ")
    path = folder / "main.py"
    path.write_text(text, encoding="utf-8")
    autolock.fix([folder], apply=True, cache=False)
    return path.read_text(encoding="utf-8")


def test_releases_before_leaving_go_when_the_block_releases(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        lock.acquire()
        amount = left["n"]
        if amount == 0:
            lock.release()
            raise HTTPException(409, f"{amount} left")
        if amount < 0:
            lock.release()
            return None
        charge(amount)
        left["n"] = amount - 1
        lock.release()
        """,
    )
    assert "    with lock:\n" in after
    assert "release()" not in after


def test_what_works_on_after_an_early_release_is_refused(tmp_path: Path) -> None:
    body = """
        lock.acquire()
        amount = left["n"]
        if amount == 0:
            lock.release()
            return charge(0)
        charge(amount)
        lock.release()
    """
    before = APP + textwrap.indent(textwrap.dedent(body), "    ")
    assert fixed(tmp_path, body) == before


@pytest.mark.parametrize("body", LEAKED.values(), ids=LEAKED)
def test_a_lock_that_was_free_is_released_in_a_finally(tmp_path: Path, body: str) -> None:
    after = fixed(tmp_path, body)
    tried = after.index("        try:\n") if "if lock.acquire(" in after else after.index("    try:\n")
    assert after.index("acquire(") < tried < after.index("charge(1)") < after.index("finally:")
    assert after.count("release()") == 1
    assert not rules(tmp_path, after.partition("def buy():")[2])


TIMED = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
oven = asyncio.Lock()

async def bake(loaf):
    await asyncio.sleep(0.1)

@app.post("/{loaf}")
async def order(loaf: str):
"""

IN_TIME = {
    "in a try": """
        try:
            await asyncio.wait_for(oven.acquire(), 2)
        except asyncio.TimeoutError:
            raise HTTPException(503)
    """,
    "under a timeout": """
        try:
            async with asyncio.timeout(2):
                await oven.acquire()
        except TimeoutError:
            return None
    """,
    "with nobody to catch it": """
        await asyncio.wait_for(oven.acquire(), timeout=2)
    """,
}


def timed(folder: Path, taking: str, work: str) -> Path:
    body = textwrap.dedent(taking) + textwrap.dedent(work)
    path = folder / "main.py"
    path.write_text(TIMED + textwrap.indent(body, "    "), encoding="utf-8")
    return path


@pytest.mark.parametrize("taking", IN_TIME.values(), ids=IN_TIME)
def test_a_lock_that_was_had_in_time_is_released_in_a_finally(tmp_path: Path, taking: str) -> None:
    path = timed(tmp_path, taking, "await bake(loaf)\noven.release()\n")
    found = autolock.check([tmp_path], cache=False).findings
    assert [f.rule for f in found] == ["AL506"]
    before = path.read_text(encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    work = "    await bake(loaf)\n    oven.release()\n"
    tried = "    try:\n        await bake(loaf)\n    finally:\n        oven.release()\n"
    assert path.read_text(encoding="utf-8") == before.replace(work, tried)
    assert not autolock.check([tmp_path], cache=False).findings


def test_a_lock_that_is_waited_for_in_a_try_that_goes_on_may_not_be_held(tmp_path: Path) -> None:
    taking = """
        try:
            await asyncio.wait_for(oven.acquire(), 2)
        except asyncio.TimeoutError:
            pass
    """
    timed(tmp_path, taking, "await bake(loaf)\noven.release()\n")
    assert not autolock.check([tmp_path], cache=False).findings


SHELF = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
shelf = {"jam": 3}
shelf_lock = asyncio.Lock()

async def ring(name):
    await asyncio.sleep(0.1)

@app.post("/refill")
async def refill():
    async with shelf_lock:
        left = shelf["jam"]
        await ring("refill")
        shelf["jam"] = left + 1

@app.post("/{name}")
async def take(name: str):
"""

BY_HAND = {
    "let go before the change": (
        """
        await shelf_lock.acquire()
        try:
            left = shelf["jam"]
        finally:
            shelf_lock.release()
        await ring(name)
        shelf["jam"] = left - 1
        """,
        """
        async with shelf_lock:
            left = shelf["jam"]
            await ring(name)
            shelf["jam"] = left - 1
        """,
    ),
    "let go in the same block": (
        """
        await shelf_lock.acquire()
        left = shelf["jam"]
        shelf_lock.release()
        await ring(name)
        shelf["jam"] = left - 1
        """,
        """
        async with shelf_lock:
            left = shelf["jam"]
            await ring(name)
            shelf["jam"] = left - 1
        """,
    ),
    "taken after the check": (
        """
        if shelf["jam"] == 0:
            raise HTTPException(409)
        await shelf_lock.acquire()
        try:
            await ring(name)
            shelf["jam"] -= 1
        finally:
            shelf_lock.release()
        return shelf
        """,
        """
        async with shelf_lock:
            if shelf["jam"] == 0:
                raise HTTPException(409)
            await ring(name)
            shelf["jam"] -= 1
        return shelf
        """,
    ),
}


@pytest.mark.parametrize(("body", "wanted"), BY_HAND.values(), ids=BY_HAND)
def test_a_lock_taken_by_hand_is_held_for_as_long_as_it_must_be(tmp_path: Path, body: str, wanted: str) -> None:
    path = tmp_path / "main.py"
    path.write_text(SHELF + textwrap.indent(textwrap.dedent(body).lstrip(), "    "), encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert path.read_text(encoding="utf-8") == SHELF + textwrap.indent(textwrap.dedent(wanted).lstrip(), "    ")
    assert not autolock.check([tmp_path], cache=False, certainty="race").findings


@pytest.mark.parametrize("kept", ["  # others may look now", ""])
def test_what_is_done_in_the_finally_besides_stays_where_it_is(tmp_path: Path, kept: str) -> None:
    body = BY_HAND["let go before the change"][0].replace("    shelf_lock.release()", f"    shelf_lock.release(){kept}")
    if not kept:
        body = body.replace("    shelf_lock.release()", "    shelf_lock.release()\n            print(left)")
    path = tmp_path / "main.py"
    path.write_text(SHELF + textwrap.indent(textwrap.dedent(body).lstrip(), "    "), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert path.read_text(encoding="utf-8") == before
