"""A lock is not held while somebody waits for one of several places: it would leave only one of them in use."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.findings import Finding

JOBS = """
import asyncio, threading
import anyio, anyio.to_thread
from contextlib import asynccontextmanager
from fastapi import FastAPI, HTTPException

app = FastAPI()
size = 4
running = {{"jobs": 0}}
places = {places}

async def work():
    await asyncio.sleep(0.01)

def compute():
    return sum(range(1000))

@asynccontextmanager
async def place():
    async with places:
        yield

async def bounded():
    async with places:
        await work()

@app.post("/warm")
async def warm():
    {warm}
    return "warm"

@app.post("/jobs")
async def start():
    if running["jobs"] >= 10:
        raise HTTPException(503)
{body}
    running["jobs"] += 1
    return running["jobs"]
"""

THREADS = """
import threading, time
from fastapi import FastAPI, HTTPException

app = FastAPI()
running = {{"jobs": 0}}
places = {places}

@app.post("/jobs")
def start():
    if running["jobs"] >= 10:
        raise HTTPException(503)
    with places:
        time.sleep(0.01)
    running["jobs"] += 1
    return running["jobs"]
"""

WITH = "async with places:\n    await work()"
BY_HAND = "await places.acquire()\ntry:\n    await work()\nfinally:\n    places.release()"


def jobs(places: str = "asyncio.Semaphore(4)", body: str = WITH, warm: str = "pass") -> str:
    return JOBS.format(places=places, body=textwrap.indent(body, "    "), warm=warm)


def found(folder: Path, text: str) -> list[Finding]:
    """The races in a program."""
    (folder / "main.py").write_text(textwrap.dedent(text), encoding="utf-8")
    races = [f for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"]
    assert races
    return races


def fixed(folder: Path, text: str) -> str:
    """The program after all fixes, unsafe ones too."""
    main = folder / "main.py"
    main.write_text(textwrap.dedent(text), encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False, unsafe=True)
    return main.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(jobs(), id="with"),
        pytest.param(jobs(body=BY_HAND), id="acquire"),
        pytest.param(
            jobs(body=BY_HAND.replace("places.acquire()", "asyncio.wait_for(places.acquire(), 1)")), id="wait"
        ),
        pytest.param(jobs("asyncio.Semaphore(size)"), id="size-by-name"),
        pytest.param(jobs("asyncio.BoundedSemaphore(2)"), id="bounded"),
        pytest.param(jobs("anyio.Semaphore(2)"), id="anyio"),
        pytest.param(jobs("anyio.CapacityLimiter(2)"), id="limiter"),
        pytest.param(
            jobs("anyio.CapacityLimiter(2)", "await anyio.to_thread.run_sync(compute, limiter=places)"),
            id="limiter-of-threads",
        ),
        pytest.param(jobs(body="async with place():\n    await work()"), id="context-manager"),
        pytest.param(jobs(body="await bounded()"), id="callee"),
        pytest.param(jobs(body="await bounded()", warm="await bounded()"), id="callee-of-two"),
        pytest.param(THREADS.format(places="threading.Semaphore(4)"), id="threads"),
        pytest.param(THREADS.format(places="threading.BoundedSemaphore(value=4)"), id="bounded-threads"),
    ],
)
def test_no_lock_is_held_over_the_wait_for_one_of_several_places(tmp_path: Path, text: str) -> None:
    assert {f.fix.safety.value for f in found(tmp_path, text)} == {"none"}
    assert all("by hand, test and count under a lock" in f.fix.reason for f in found(tmp_path, text))
    assert fixed(tmp_path, text) == textwrap.dedent(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(jobs("asyncio.Semaphore(1)"), id="one-place"),
        pytest.param(jobs("anyio.CapacityLimiter(1)"), id="limiter-of-one"),
        pytest.param(
            jobs("anyio.CapacityLimiter(1)", "await anyio.to_thread.run_sync(compute, limiter=places)"),
            id="limiter-of-one-thread",
        ),
        pytest.param(jobs(body="mine = asyncio.Semaphore(4)\nasync with mine:\n    await work()"), id="of-the-request"),
        pytest.param(jobs(body="asyncio.create_task(bounded())\nawait work()", warm="await bounded()"), id="task"),
        pytest.param(jobs(body="await work()", warm="await bounded()"), id="elsewhere"),
        pytest.param(THREADS.format(places="threading.Semaphore(1)"), id="one-thread"),
        pytest.param(THREADS.format(places="threading.Semaphore()"), id="one-thread-by-default"),
    ],
)
def test_a_lock_is_held_where_no_other_place_is_left_unused(tmp_path: Path, text: str) -> None:
    assert "with running_lock:" in fixed(tmp_path, text)


def test_a_lock_within_a_place_is_held_by_all_who_have_one(tmp_path: Path) -> None:
    text = (
        jobs(
            body="async with places:\n    before = running['jobs']\n    await work()\n    running['jobs'] = before + 1",
        )
        .replace('    running["jobs"] += 1\n', "")
        .replace('    if running["jobs"] >= 10:\n        raise HTTPException(503)\n', "")
    )
    after = fixed(tmp_path, text)
    assert after.index("async with places:\n        async with running_lock:") > after.index("async def start")


LOCKED = """
import asyncio
from fastapi import FastAPI, HTTPException

app = FastAPI()
running = 0
running_lock = asyncio.Lock()
places = asyncio.Semaphore(4)

@app.post("/jobs")
async def start():
    global running
    async with running_lock:
        if running >= 10:
            raise HTTPException(503)
    async with places:
        await asyncio.sleep(0.01)
    async with running_lock:
        running += 1
"""


def test_a_lock_that_is_there_is_not_held_longer_over_the_wait(tmp_path: Path) -> None:
    assert fixed(tmp_path, LOCKED) == LOCKED
    (finding,) = found(tmp_path, LOCKED)
    assert "`places`" in finding.fix.reason


def test_a_conversation_is_kept_together_though_its_model_has_slots(tmp_path: Path) -> None:
    after = fixed(
        tmp_path,
        """
        import asyncio
        from fastapi import FastAPI
        from openai import AsyncOpenAI

        app = FastAPI()
        llm = AsyncOpenAI()
        histories = {}
        slots = asyncio.Semaphore(8)

        @app.post("/{session}")
        async def say(session: str, text: str):
            history = histories.get(session, [])
            turn = {"role": "user", "content": text}
            async with slots:
                answer = await llm.chat.completions.create(model="m", messages=[*history, turn])
            histories[session] = [*history, turn, answer]
            return answer
        """,
    )
    assert after.index("async with histories_locks[session]:") < after.index("async with slots:")


def test_a_key_that_nobody_removes_is_looked_for_before_the_wait_and_the_lock_is_taken_after_it(tmp_path: Path) -> None:
    program = """
    import asyncio
    from fastapi import FastAPI, HTTPException

    app = FastAPI()
    places = asyncio.Semaphore(3)
    raised = {"roof": 0, "organ": 0}

    async def collect(cents: int):
        await asyncio.sleep(0.01)

    @app.post("/{project}")
    async def donate(project: str, cents: int):
        if project not in raised:
            raise HTTPException(404)
        async with places:
            so_far = raised[project]
            await collect(cents)
            raised[project] = so_far + cents
    """
    inside = "        async with raised_lock:\n            so_far = raised[project]\n            await collect(cents)\n"
    assert "    async with places:\n" + inside in fixed(tmp_path, program)
    removed = """
    @app.delete("/{project}")
    async def close(project: str):
        return raised.pop(project, None)
    """
    assert {f.fix.safety.value for f in found(tmp_path, program + removed)} == {"none"}
