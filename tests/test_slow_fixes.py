"""A lock that is held while something takes long is offered, but only to who asks for unsafe fixes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

QUOTA = """
import asyncio, hashlib, tkinter.filedialog
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI
import mail

app = FastAPI()
llm = AsyncOpenAI()
spent = {{}}

class Backend:
    async def generate(self, prompt):
        await asyncio.sleep(0.01)
        return prompt

    async def think(self, prompt):
        return await self.engine.transcribe(prompt)

backend = Backend()

def is_valid(password):
    return hashlib.pbkdf2_hmac("sha256", password, b"salt", 100_000)

def choose():
    return tkinter.filedialog.askdirectory()

async def wait_long():
    await asyncio.sleep(30)

@app.post("/{{user}}")
async def ask(user: str, prompt: str):
    if spent.get(user, 0) >= 10:
        raise HTTPException(429)
    {}
    spent[user] = spent.get(user, 0) + 1
"""

LAZY = """
import asyncio
import engines
from fastapi import FastAPI

app = FastAPI()
models = {{}}
model = None

@app.get("/{{name}}")
async def read(name: str):
    global model
    {}
"""

SLOW = {
    "another program": "await asyncio.create_subprocess_exec(prompt)",
    "a generation": "await llm.chat.completions.create(prompt=prompt)",
    "a generation below a method": "await backend.think(prompt)",
    "a task": "task = asyncio.create_task(wait_long())\n    await task",
    "a task that is kept": "await asyncio.wait_for(backend.task, timeout=2)",
    "a dialog": "await asyncio.to_thread(choose)",
    "a stream": "async for part in mail.stream(prompt):\n        print(part)",
    "a long sleep in a helper": "await wait_long()",
    "a password on another thread": "await asyncio.to_thread(is_valid, prompt)",
}
SHORT = {
    "a short sleep": "await asyncio.sleep(0.01)",
    "a mail": "await mail.post(prompt)",
    "a generation that the project makes in no time": "await Backend().generate(prompt)",
}


EVERY = """
import asyncio
import httpx
from fastapi import FastAPI

app = FastAPI()
rates = {{}}

async def rate_of(code: str):
    if code not in rates:
        async with httpx.AsyncClient() as client:
            rates[code] = (await client.get(f"/rates/{{code}}")).json()
    return rates[code]

@app.get("/rates")
async def every(codes: list[str]):
    {}
"""


def fixes(folder: Path, text: str) -> set[str]:
    (folder / "main.py").write_text(textwrap.dedent(text), encoding="utf-8")
    report = autolock.check([folder], cache=False, certainty="race")
    return {f"{f.fix.safety.value}: {f.fix.reason}" for f in report.findings if f.rule != "AL401"}


@pytest.mark.parametrize(
    ("work", "safety"),
    [
        ("return await asyncio.gather(*[rate_of(code) for code in codes])", "unsafe: `every` starts several at once"),
        ("return [await rate_of(code) for code in codes]", "safe"),
    ],
)
def test_what_one_request_fetches_at_once_does_not_come_one_after_the_other(
    work: str, safety: str, tmp_path: Path
) -> None:
    (fix,) = fixes(tmp_path, EVERY.format(work))
    assert fix.startswith(safety)


@pytest.mark.parametrize("work", SLOW.values(), ids=SLOW)
def test_slow_work_under_the_lock_is_unsafe(tmp_path: Path, work: str) -> None:
    (fix,) = fixes(tmp_path, QUOTA.format(work))
    assert fix.startswith("unsafe: `ask` ")
    assert "under the lock, and all others wait for as long" in fix


@pytest.mark.parametrize("work", SHORT.values(), ids=SHORT)
def test_other_work_under_the_lock_is_safe(tmp_path: Path, work: str) -> None:
    (fix,) = fixes(tmp_path, QUOTA.format(work))
    assert fix.startswith("safe: ")


def test_who_wants_the_object_that_is_being_made_waits_anyhow(tmp_path: Path) -> None:
    text = LAZY.format("if model is None:\n        model = await engines.load_model(name)\n    return model")
    (fix,) = fixes(tmp_path, text)
    assert fix.startswith("safe: ")


def test_who_wants_another_object_would_wait_for_nothing(tmp_path: Path) -> None:
    text = LAZY.format(
        "if name not in models:\n        models[name] = await engines.load_model(name)\n    return models"
    )
    (fix,) = fixes(tmp_path, text)
    assert fix.startswith("unsafe: ")


SHARED = """
from fastapi import FastAPI, HTTPException

app = FastAPI()
jobs = {{}}

class Job:
    def __init__(self, name):
        self.name = name
        {}

@app.post("/{{name}}")
def start(name: str):
    if name in jobs:
        raise HTTPException(409)
    jobs[name] = Job(name)

@app.delete("/")
{} clear():
    jobs["last"] = "none"
"""
MUCH = "\n        ".join(f"self.part{n} = name * {n}" for n in range(60))


@pytest.mark.parametrize(
    ("making", "kind", "safety"), [(MUCH, "async def", "unsafe"), (MUCH, "def", "safe"), ("pass", "async def", "safe")]
)
def test_the_event_loop_does_not_wait_for_much_code(making: str, kind: str, safety: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SHARED.format(making, kind), encoding="utf-8")
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert found.fix is not None
    assert found.fix.safety.value == safety
    assert ("`start` runs `Job`, which the event loop waits for" in found.fix.reason) is (safety == "unsafe")


def test_a_class_that_is_imported_already_is_not_imported_again(tmp_path: Path) -> None:
    (tmp_path / "state.py").write_text("class State:\n    running = False\n", encoding="utf-8")
    main = tmp_path / "main.py"
    main.write_text(
        textwrap.dedent("""
            from fastapi import FastAPI, HTTPException
            from state import State

            app = FastAPI()

            @app.post("/")
            def start(name: str):
                if State.running:
                    raise HTTPException(409)
                prepare(name)
                State.running = True
        """),
        encoding="utf-8",
    )
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    fixed = main.read_text(encoding="utf-8")
    assert "with State.running_lock:" in fixed
    assert fixed.count("import State\n") == 1
    assert " as " not in fixed


def test_what_is_run_again_and_again_takes_the_lock_too(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        textwrap.dedent("""
            import schedule
            from fastapi import FastAPI

            app = FastAPI()

            class State:
                told = []

            @app.post("/")
            def tell(name: str):
                State.told += [str(name)]

            @schedule.repeat(schedule.every(2).minutes)
            def send():
                mail(State.told)
                State.told = []
        """),
        encoding="utf-8",
    )
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert main.read_text(encoding="utf-8").count("with State.told_lock:") == 2


TRACED = """
import asyncio, functools
from fastapi import FastAPI

app = FastAPI()
seen = {{}}

def make(kind):
    def traced(func):
        inner = func if kind else functools.partial(func)

        @functools.wraps(func)
        async def wrapper(*args):
            if {test}:
                return seen["last"]
            result = await inner(*args)
            seen["last"] = result
            return result
        return wrapper
    return traced

@app.get("/{{n}}")
@make("a")
async def one(n: int):
    await asyncio.sleep(0)
    return n
"""


def test_a_lock_for_all_that_a_decorator_wraps_is_left_to_a_person(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TRACED.format(test='"last" in seen'), encoding="utf-8")
    (found,) = autolock.check([tmp_path], cache=False).findings
    assert found.fix is not None
    assert found.fix.safety.value == "unsafe"
    assert "`make.traced.wrapper` runs `inner`, which may need the lock itself" in found.fix.reason


CACHED = """
import engines, httpx
from fastapi import FastAPI

app = FastAPI()
client = {client}
pages = {{}}

@app.get("/{{name}}")
async def read(name: str):
    if name not in pages:
        pages[name] = (await client.get(name)).text
    return pages[name]
{others}
"""
FORGET = """
@app.delete("/{name}")
async def forget(name: str):
    pages[name] = "gone"
"""


@pytest.mark.parametrize("client", ["httpx.AsyncClient()", "engines.client()"])
@pytest.mark.parametrize(("others", "safety"), [("", "safe"), (FORGET, "unsafe")])
def test_who_waited_for_nothing_does_not_wait_for_another_service(
    others: str, safety: str, client: str, tmp_path: Path
) -> None:
    (fix,) = fixes(tmp_path, CACHED.format(client=client, others=others))
    assert fix.startswith(f"{safety}: ")
    assert ("`read` waits for `client.get` under the lock" in fix) is (safety == "unsafe")


CLAIMED = """
import rooms
from fastapi import FastAPI

app = FastAPI()
busy = {{}}

@app.post("/{{name}}")
def clean(name: str):
    if busy.get(name):
        return "busy"
    room = rooms.find(name)
    try:
        busy[name] = True
        room.clean()
    finally:
        {}
    return "clean"
"""


@pytest.mark.parametrize("back", ["del busy[name]", "busy.pop(name, None)"])
def test_work_that_is_claimed_and_given_back_is_not_done_under_the_lock(back: str, tmp_path: Path) -> None:
    assert all(
        fix.startswith("unsafe: `clean` does all its work, until it takes `busy` back, under the lock")
        for fix in fixes(tmp_path, CLAIMED.format(back))
    )
    assert fixes(tmp_path, CLAIMED.format(back))


HELD = """
import engines
from fastapi import FastAPI

app = FastAPI()
clients = {{}}

@app.get("/{{name}}")
async def read(name: str):
    client = clients.get(name)
    if {test}:
        client = await engines.connect(name)
        clients[name] = client
    return await client.read(name)
"""


@pytest.mark.parametrize("test", ["client is None", "not client"])
def test_who_finds_a_named_object_takes_no_lock(test: str, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(HELD.format(test=test), encoding="utf-8")
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    expected = f"""
    client = clients.get(name)
    if {test}:
        async with clients_lock:
            client = clients.get(name)
            if {test}:
                client = await engines.connect(name)
                clients[name] = client
    return await client.read(name)
"""
    assert main.read_text(encoding="utf-8").endswith(expected)


COUNTED = """
import asyncio
import functools
from fastapi import FastAPI

app = FastAPI()
calls = {{"all": 0}}

def counted(endpoint):
    @functools.wraps(endpoint)
    async def wrapper(*args, **kwargs):
        seen = calls["all"]
        answer = await endpoint(*args, **kwargs)
        calls["all"] = seen + 1
        return {answer}
    return wrapper

@app.get("/work")
@counted
async def work():
    await asyncio.sleep(0)
    return 1
"""


def test_a_sum_is_made_at_the_write_so_that_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(COUNTED.format(answer="answer"), encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    text = (tmp_path / "main.py").read_text(encoding="utf-8")
    assert text.index("await endpoint(") < text.index('calls["all"] = calls["all"] + 1')
    assert "seen" not in text


def test_a_number_that_is_given_out_is_not_read_at_the_write(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(COUNTED.format(answer="answer, seen + 1"), encoding="utf-8")
    autolock.fix([tmp_path], apply=True, cache=False)
    assert (tmp_path / "main.py").read_text(encoding="utf-8") == COUNTED.format(answer="answer, seen + 1")


CALLBACK = """
    import threading
    from fastapi import FastAPI

    app = FastAPI()

    class Board:
        def __init__(self, told):
            self.told = told
            self.notes = []

        def add(self, text):
            if text not in self.notes:
                print(open(text).read())
                self.notes.append(text)
                CALLED(text)

        def remove(self, text):
            self.notes.remove(text)

    board = Board(lambda text: print(text))

    @app.post("/{text}")
    def add(text: str):
        board.add(text)

    @app.delete("/{text}")
    def remove(text: str):
        board.remove(text)
"""


@pytest.mark.parametrize(("called", "safety"), [("self.told", "unsafe"), ("print", "safe")])
def test_what_was_given_to_an_object_may_come_back_to_its_lock(tmp_path: Path, called: str, safety: str) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(CALLBACK.replace("CALLED", called)), encoding="utf-8")
    checked = autolock.check([tmp_path], cache=False)
    (finding,) = [f for f in checked.findings if f.place.function == "Board.add"]
    assert finding.fix.safety == safety
    assert ("`self.told`, which may need the lock itself" in finding.fix.reason) == (safety == "unsafe")


KEEPING = """
    import time
    from fastapi import FastAPI

    app = FastAPI()

    class Keeping(type):
        _instances = {}

        def __call__(cls):
            if cls not in cls._instances:
                cls._instances[cls] = super().__call__()
            return cls._instances[cls]

    class Router(metaclass=Keeping):
        def __init__(self):
            time.sleep(0.1)
            self.routes = []

    @app.get("/")
    def routes():
        return Router().routes
"""

SECOND = """
    class Table(metaclass=Keeping):
        def __init__(self):
            self.router = Router()
"""


@pytest.mark.parametrize(("more", "safety"), [("", "safe"), (SECOND, "unsafe")])
def test_one_lock_for_the_objects_of_several_classes_may_be_wanted_twice(
    tmp_path: Path, more: str, safety: str
) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(KEEPING + more), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety == safety


ROUNDS = """
    import httpx
    from fastapi import FastAPI, HTTPException

    app = FastAPI()
    seats = {}

    @app.post("/{room}")
    async def book(room: str):
        if seats.get(room, 0) < 1:
            raise HTTPException(409)
        async with httpx.AsyncClient() as client:
            await client.post("/pay")
        seats[room] -= 1
"""


def test_who_wants_another_element_would_wait_for_a_service_too(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(textwrap.dedent(ROUNDS), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety == "unsafe"
    assert "waits for `client.post`" in finding.fix.reason
