"""Work that is claimed before it is done, and locks of whoever is in it: each beside one that races."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio, fcntl, json, threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import httpx
from fastapi import FastAPI, HTTPException

app = FastAPI()

async def fetch(*about):
    async with httpx.AsyncClient() as client:
        return (await client.get("/", params=about)).json()
"""

CLAIMED_BY_A_STATE = """
survey = {{"state": "idle", "answers": []}}

async def ask():
    for house in range(10):
        at = len(survey["answers"])
        survey["answers"].append(None)
        survey["answers"][at] = await fetch(house)
    survey["state"] = "done"

@app.post("/survey")
async def begin():
    if survey["state"] == "{asked}":
        raise HTTPException(409)
    survey.update({{"state": "running", "answers": []}})
    asyncio.create_task(ask())
"""

CLAIMED_BY_A_METHOD = """
class Talk:
    def __init__(self):
        self.busy = False
        self.lines = []

    async def claim(self):
        async with asyncio.Lock():
            if self.busy:
                return {taken}
            self.busy = True
            return True

talk = Talk()

async def answer(line):
    lines = talk.lines
    talk.lines = lines + [line, await fetch(line)]
    talk.busy = False

@app.post("/talk")
async def say(line: str):
    claimed = await talk.claim()
    if not claimed:
        raise HTTPException(409)
    asyncio.create_task(answer(line))
"""

LOCK_OF_A_RUN = """
load = {{"state": "idle", "errors": []}}

async def put_under_load():
    lock = threading.Lock()

    def worker(number: int):
        with lock:
            if len(load["errors"]) < 200:
                print(number)
                load["errors"].append(number)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as pool:
        await asyncio.gather(*[loop.run_in_executor(pool, worker, number) for number in range(9)])
    load["state"] = "done"

@app.post("/load")
async def begin():
    if load["state"] == "{asked}":
        raise HTTPException(409)
    load.update({{"state": "running", "errors": []}})
    asyncio.create_task(put_under_load())
"""

LOCK_OF_A_FILE = """
class Store:
    def __init__(self):
        self.own = threading.Lock()

    @contextmanager
    def turn(self):
        with self.own:
            with open("rates.lock", "a") as file:
                {wait}
                yield

first = Store()
second = Store()

@app.post("/first")
def change(name: str, rate: float):
    with first.turn():
        with open("rates.json") as file:
            rates = json.load(file)
        rates[name] = rate
        with open("rates.json", "w") as file:
            json.dump(rates, file)

@app.post("/second")
def change_too(name: str, rate: float):
    with second.turn():
        with open("rates.json") as file:
            rates = json.load(file)
        rates[name] = rate
        with open("rates.json", "w") as file:
            json.dump(rates, file)
"""


def rules(folder: Path, text: str) -> set[str]:
    """The rules of the races in an application."""
    (folder / "main.py").write_text(textwrap.dedent(HEAD) + text, encoding="utf-8")
    found = autolock.check([folder], cache=False).findings
    return {f.rule for f in found if f.certainty.value == "race"}


@pytest.mark.parametrize(("asked", "expected"), [("running", set()), ("failed", {"AL101"})])
def test_work_that_is_started_only_while_its_state_says_that_none_runs(
    asked: str, expected: set[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, CLAIMED_BY_A_STATE.format(asked=asked)) == expected


@pytest.mark.parametrize(("taken", "expected"), [("False", set()), ("True", {"AL101"})])
def test_work_that_is_claimed_by_a_method_which_tells_whether_it_was_taken(
    taken: str, expected: set[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, CLAIMED_BY_A_METHOD.format(taken=taken)) == expected


@pytest.mark.parametrize(("asked", "expected"), [("running", set()), ("failed", {"AL501"})])
def test_a_lock_that_is_made_in_a_run_guards_it_where_there_is_no_other_run(
    asked: str, expected: set[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, LOCK_OF_A_RUN.format(asked=asked)) == expected


@pytest.mark.parametrize(
    ("wait", "expected"), [("fcntl.flock(file.fileno(), fcntl.LOCK_EX)", set()), ("file.write('x')", {"AL504"})]
)
def test_two_who_lock_the_same_file_have_one_lock(wait: str, expected: set[str], tmp_path: Path) -> None:
    assert rules(tmp_path, LOCK_OF_A_FILE.format(wait=wait)) == expected


OUTSIDE = """
import marks

sessions = {{}}
total = {{"sessions": 0}}

async def acquire_lock(key):
    return await marks.put_if_new(key, expires=30)

async def release_lock(key):
    await marks.remove(key)

@app.post("/{{name}}")
async def open_session(name: str):
    taken = await acquire_lock(name)
    {}
    try:
        if name in sessions:
            return sessions[name]
        began = total["sessions"]
        sessions[name] = await fetch(name)
        {}
        return sessions[name]
    finally:
        await release_lock(name)
"""
LEAVES = "if not taken:\n        raise HTTPException(409)"


@pytest.mark.parametrize(
    ("test", "counts", "expected"),
    [
        (LEAVES, "print(name)", set()),
        ("print(taken)", "print(name)", {"AL104"}),
        (LEAVES, 'total["sessions"] = began + 1', {"AL101"}),
    ],
)
def test_a_lock_outside_of_the_process_guards_what_is_kept_under_its_key(
    test: str, counts: str, expected: set[str], tmp_path: Path
) -> None:
    assert rules(tmp_path, OUTSIDE.format(test, counts)) == expected
