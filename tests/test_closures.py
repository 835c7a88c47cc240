"""What functions made at import close over: decorators, makers of dependencies, caches."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import functools
import httpx
from fastapi import Depends, FastAPI, HTTPException, Request

app = FastAPI()

async def ask(what):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"/{what}")).json()
"""

SHARED = {
    "a maker of dependencies": """
        def limit(times):
            hits = {}

            async def check(request: Request):
                used = hits.get(request.url.path, 0)
                await ask("allowed")
                if used >= times:
                    raise HTTPException(429)
                hits[request.url.path] = used + 1

            return check

        @app.get("/", dependencies=[Depends(limit(4))])
        async def home():
            return 1
    """,
    "a decorator that counts": """
        def counted(func):
            calls = 0

            @functools.wraps(func)
            async def wrapper(*args, **kwargs):
                nonlocal calls
                number = calls + 1
                result = await func(*args, **kwargs)
                calls = number
                return result

            return wrapper

        @app.get("/")
        @counted
        async def home():
            return await ask("home")
    """,
    "a function that is made once": """
        def once(make):
            made = {}

            async def get(name):
                if name not in made:
                    made[name] = await make(name)
                return made[name]

            return get

        price = once(ask)

        @app.get("/{name}")
        async def home(name: str):
            return await price(name)
    """,
}

ALONE = {
    "a decorator that holds a lock": """
        def serialized(func):
            lock = asyncio.Lock()
            calls = {"n": 0}

            @functools.wraps(func)
            async def wrapper(*args, **kwargs):
                async with lock:
                    number = calls["n"]
                    result = await func(*args, **kwargs)
                    calls["n"] = number + 1
                    return result

            return wrapper

        @app.get("/")
        @serialized
        async def home():
            return await ask("home")
    """,
    "a function made for the request": """
        def counter():
            seen = {"n": 0}

            async def count():
                number = seen["n"]
                await ask("count")
                seen["n"] = number + 1

            return count

        @app.get("/")
        async def home():
            count = counter()
            await count()
            await count()
    """,
}


def races(folder: Path, program: str) -> list[str]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    return [f.rule for f in autolock.check([folder], cache=False, certainty="race").findings]


@pytest.mark.parametrize("program", SHARED.values(), ids=SHARED)
def test_what_was_made_at_import_is_shared(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program)


@pytest.mark.parametrize("program", ALONE.values(), ids=ALONE)
def test_what_is_guarded_or_made_for_one_request_is_not(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program) == []


def test_a_value_that_is_looked_at_again_is_filled_under_one_lock(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        HEAD
        + textwrap.dedent(
            """
            known = {}

            @app.get("/{name}")
            async def price(name: str, age: int):
                if name in known:
                    since, value = known[name]
                    if since < age:
                        return value
                value = await ask(name)
                known[name] = (age, value)
                return value
            """
        ),
        encoding="utf-8",
    )
    autolock.fix([tmp_path], apply=True, unsafe=True, cache=False)
    body = main.read_text(encoding="utf-8").partition("async def price")[2]
    locked = body.partition("async with known_lock:")[2]
    assert locked.index("if name in known") < locked.index("await ask(name)") < locked.index("] = (age, value)")


SERIALIZED = """
    def serialized(function):
        LOCK

        @functools.wraps(function)
        async def inner(*args):
            async with lock:
                return await function(*args)

        return inner

    stock = {"tea": 5}

    @serialized
    async def put(name):
        left = stock[name]
        await ask(name)
        stock[name] = left + 1

    @serialized
    async def take(name):
        left = stock[name]
        await ask(name)
        stock[name] = left - 1

    @app.post("/{name}")
    async def put_in(name: str):
        await put(name)

    @app.delete("/{name}")
    async def take_out(name: str):
        await take(name)
"""


def test_a_decorator_that_makes_a_lock_for_each_function_keeps_no_two_of_them_apart(tmp_path: Path) -> None:
    each = SERIALIZED.replace("LOCK", "lock = asyncio.Lock()")
    assert races(tmp_path, each) == ["AL504", "AL504"]
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = (tmp_path / "main.py").read_text(encoding="utf-8")
    assert after.count("async with stock_lock:") == 2


def test_a_decorator_with_one_lock_for_all_functions_keeps_them_apart(tmp_path: Path) -> None:
    one = SERIALIZED.replace("LOCK", "lock = common")
    assert races(tmp_path, "\n    common = asyncio.Lock()\n" + one) == []


def test_a_function_with_a_lock_of_its_own_may_call_another_that_has_one(tmp_path: Path) -> None:
    each = SERIALIZED.replace("LOCK", "lock = asyncio.Lock()").replace("stock[name] = left - 1", "await put(name)")
    assert races(tmp_path, each) == []
