"""What a middleware keeps on shared objects, and handlers expect to find there."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import httpx
from contextvars import ContextVar
from fastapi import FastAPI, Request

app = FastAPI()
current = {"user": "nobody"}
user = ContextVar("user")

class Who:
    name = "nobody"

who = Who()

async def ask(what):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"/{what}")).json()
"""

EXPECTED_BACK = {
    "in a dictionary": """
        @app.middleware("http")
        async def remember(request: Request, call_next):
            current["user"] = request.headers["x-user"]
            return await call_next(request)

        @app.get("/")
        async def home():
            page = await ask("home")
            return page, current["user"]
    """,
    "on an object, by an ASGI middleware, for a helper": """
        class Remember:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                who.name = scope["headers"][0]
                await self.app(scope, receive, send)

        app.add_middleware(Remember)

        def greeting():
            return f"hello {who.name}"

        @app.get("/")
        async def home():
            await ask("home")
            return greeting()
    """,
}

HARMLESS = {
    "in a context variable": """
        @app.middleware("http")
        async def remember(request: Request, call_next):
            user.set(request.headers["x-user"])
            return await call_next(request)

        @app.get("/")
        async def home():
            page = await ask("home")
            return page, user.get()
    """,
    "what is read before anything else may run": """
        @app.middleware("http")
        async def remember(request: Request, call_next):
            current["user"] = request.headers["x-user"]
            return await call_next(request)

        @app.get("/last")
        async def last():
            return current["user"]
    """,
    "what is written after the response": """
        @app.middleware("http")
        async def remember(request: Request, call_next):
            response = await call_next(request)
            current["user"] = request.headers["x-user"]
            return response

        @app.get("/last")
        async def last():
            await ask("home")
            return current["user"]
    """,
}


def races(folder: Path, program: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(HEAD + textwrap.dedent(program), encoding="utf-8")
    found = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.place.function.rpartition(".")[0] or f.place.function) for f in found]


@pytest.mark.parametrize(("program", "place"), list(zip(EXPECTED_BACK.values(), ["remember", "Remember"], strict=True)))
def test_what_a_handler_expects_back_may_be_anothers(tmp_path: Path, program: str, place: str) -> None:
    assert races(tmp_path, program) == [("AL107", place)]


@pytest.mark.parametrize("program", HARMLESS.values(), ids=HARMLESS)
def test_what_is_the_requests_own_or_nobodys_is_left_alone(tmp_path: Path, program: str) -> None:
    assert races(tmp_path, program) == []
