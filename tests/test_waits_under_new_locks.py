"""No new lock is held over a wait for what others can only bring about when they have the lock."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

LOOP = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
berths = {"east": 4}
signal = asyncio.Event()
orders = asyncio.Queue()

async def tow(*about):
    await asyncio.sleep(0)

async def until_high_tide():
    await signal.wait()

async def anchor(quay):
    free = berths[quay]
    await tow(quay)
    berths[quay] = free - 1

async def both(quay):
    await asyncio.gather(anchor(quay), anchor(quay))

@app.post("/anchor/{quay}")
async def anchor_one(quay: str):
    await anchor(quay)

@app.post("/berths/{quay}")
async def moor(quay: str):
    if berths[quay] < 1:
        raise HTTPException(409)
    WAIT
    berths[quay] -= 1

@app.delete("/berths/{quay}")
async def leave(quay: str):
    free = berths[quay]
    await tow(quay)
    berths[quay] = free + 1
    signal.set()
    orders.put_nowait(quay)
"""

ON_THE_LOOP = {
    "an event with a limit": "await asyncio.wait_for(signal.wait(), 30)",
    "an event in a helper": "await until_high_tide()",
    "a queue, shielded": "await asyncio.shield(orders.get())",
    "a future of its own": "told = asyncio.get_running_loop().create_future()\norders.put_nowait(told)\nawait told",
    "a task that needs it": "task = asyncio.create_task(anchor(quay))\nawait tow(quay)\nawait task",
    "tasks that need it": "tasks = [asyncio.create_task(anchor(quay))]\nawait asyncio.gather(*tasks)",
}

POOL = """
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fastapi import FastAPI, HTTPException

app = FastAPI()
berths = {"east": 4}
signal = threading.Event()
orders = queue.Queue()
crew = ThreadPoolExecutor(4)

def measure(quay):
    time.sleep(0.1)
    return 1

def anchor(quay):
    free = berths[quay]
    time.sleep(0.1)
    berths[quay] = free - 1

@app.post("/berths/{quay}")
def moor(quay: str):
    if berths[quay] < 1:
        raise HTTPException(409)
    WAIT
    berths[quay] -= 1

@app.delete("/berths/{quay}")
def leave(quay: str):
    free = berths[quay]
    time.sleep(0.1)
    berths[quay] = free + 1
    signal.set()
    orders.put(quay)
"""

IN_THREADS = {
    "an event": "signal.wait(timeout=30)",
    "a queue": "orders.get()",
    "a future": "crew.submit(anchor, quay).result()",
    "a thread": "helper = threading.Thread(target=anchor, args=(quay,))\nhelper.start()\nhelper.join()",
    "all of them": "list(crew.map(anchor, [quay]))",
}


def safeties(folder: Path, text: str, wait: str) -> set[str]:
    """How safe the fixes of the races are, and whether any was made."""
    text = text.replace("    WAIT", textwrap.indent(wait, "    "))
    (folder / "main.py").write_text(text, encoding="utf-8")
    report = autolock.fix([folder], cache=False, unsafe=True)
    races = [f for f in report.findings if f.certainty.value == "race" and f.place.function in ("moor", "leave")]
    assert races
    return {f.fix.safety.value if f.fix else "" for f in races} | ({"made"} if report.rewrites else set())


@pytest.mark.parametrize("wait", ON_THE_LOOP.values(), ids=ON_THE_LOOP)
def test_a_coroutine_does_not_wait_for_others_under_its_lock(tmp_path: Path, wait: str) -> None:
    assert safeties(tmp_path, LOOP, wait) == {"none"}


@pytest.mark.parametrize(
    "wait", ["await asyncio.wait_for(tow(quay), 30)", "asyncio.create_task(anchor(quay)); await tow(1)"]
)
def test_a_coroutine_may_wait_for_its_own_work(tmp_path: Path, wait: str) -> None:
    assert safeties(tmp_path, LOOP, wait.replace("; ", "\n")) == {"safe", "made"}


@pytest.mark.parametrize("wait", IN_THREADS.values(), ids=IN_THREADS)
def test_a_thread_does_not_wait_for_others_under_its_lock(tmp_path: Path, wait: str) -> None:
    assert safeties(tmp_path, POOL, wait) == {"none"}


@pytest.mark.parametrize("wait", ["crew.submit(measure, quay).result()", "crew.submit(anchor, quay)\ntime.sleep(0.1)"])
def test_a_thread_may_wait_for_what_needs_no_lock(tmp_path: Path, wait: str) -> None:
    assert safeties(tmp_path, POOL, wait) == {"safe", "made"}


@pytest.mark.parametrize("wait", ["await asyncio.gather(anchor(quay), anchor(quay))", "await both(quay)"])
def test_one_lock_round_several_that_run_at_once_keeps_none_of_them_apart(tmp_path: Path, wait: str) -> None:
    assert "made" not in safeties(tmp_path, LOOP.replace("if berths[quay] < 1:", "if berths[quay] < 3:"), wait)
