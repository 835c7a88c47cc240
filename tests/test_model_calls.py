"""Endpoints that call a language model: which ones are found, and what they are given."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import httpx
from aiolimiter import AsyncLimiter
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fastapi_limiter.depends import RateLimiter
from openai import AsyncOpenAI
from slowapi import Limiter

app = FastAPI()
client = AsyncOpenAI()
slots = asyncio.Semaphore(4)
pace = AsyncLimiter(10, 60)
limiter = Limiter(key_func=str)
URL = "https://models.example/v1/chat/completions"

async def ask(text):
    return await client.chat.completions.create(model="m", messages=[text])
"""
UNBOUNDED = {
    "a client": '@app.post("/")\nasync def chat(text: str):\n    return await client.responses.create(input=text)',
    "a helper": '@app.post("/")\nasync def chat(text: str):\n    return await ask(text)',
    "a thread": '@app.post("/")\ndef chat(text: str):\n    return client.responses.create(input=text)',
    "an address": '@app.post("/")\nasync def chat(http: httpx.AsyncClient):\n    return await http.post(URL)',
    "a limiter above": '@limiter.limit("5/hour")\n@app.post("/")\nasync def chat(request: Request):\n    await ask("")',
    "a semaphore of its own": (
        '@app.post("/")\nasync def chat(text: str):\n    async with asyncio.Semaphore(4):\n        await ask(text)'
    ),
}
BOUNDED = {
    "a semaphore": '@app.post("/")\nasync def chat(text: str):\n    async with slots:\n        return await ask(text)',
    "aiolimiter": '@app.post("/")\nasync def chat(text: str):\n    async with pace:\n        return await ask(text)',
    "slowapi": '@app.post("/")\n@limiter.limit("5/hour")\nasync def chat(request: Request):\n    await ask("")',
    "fastapi-limiter": (
        '@app.post("/", dependencies=[Depends(RateLimiter(times=2, seconds=5))])\n'
        "async def chat(text: str):\n    return await ask(text)"
    ),
    "no model": '@app.post("/")\nasync def chat(http: httpx.AsyncClient):\n    return await http.post("/orders")',
}


def check(folder: Path, code: str) -> autolock.Report:
    (folder / "main.py").write_text(HEAD + "\n" + textwrap.dedent(code) + "\n", encoding="utf-8")
    return autolock.check([folder], cache=False, select=["AL401"])


@pytest.mark.parametrize("code", UNBOUNDED.values(), ids=UNBOUNDED)
def test_one_finding_for_an_endpoint_that_nothing_bounds(tmp_path: Path, code: str) -> None:
    (finding,) = check(tmp_path, code).findings
    assert finding.place.function == "chat"


@pytest.mark.parametrize("code", BOUNDED.values(), ids=BOUNDED)
def test_what_is_bounded_is_left_alone(tmp_path: Path, code: str) -> None:
    assert check(tmp_path, code).findings == ()


def test_a_stream_that_outlives_the_handler_gets_no_slot(tmp_path: Path) -> None:
    code = """
    @app.post("/")
    async def chat(text: str):
        stream = await client.responses.create(input=text, stream=True)
        async def parts():
            async for part in stream:
                yield part
        return StreamingResponse(parts())
    """
    (finding,) = check(tmp_path, code).findings
    assert "No semaphore" in finding.fix.reason
    assert finding.fix.title.startswith("Limit how often")


def test_a_websocket_gets_slots_only(tmp_path: Path) -> None:
    code = """
    @app.websocket("/")
    async def chat(websocket: WebSocket):
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(await ask(text))
    """
    (finding,) = check(tmp_path, code).findings
    assert finding.fix.title == "Let 8 calls of the model run at a time"
    assert "slowapi does not limit WebSockets" in finding.fix.reason


def test_no_slot_is_kept_while_the_client_is_waited_for(tmp_path: Path) -> None:
    code = """
    @app.websocket("/")
    async def chat(websocket: WebSocket):
        while True:
            await websocket.send_text(await client.responses.create(input=await websocket.receive_text()))
    """
    (finding,) = check(tmp_path, code).findings
    assert finding.fix.safety.value == "none"
    assert "waits for the client" in finding.fix.reason


def fixed(folder: Path, code: str) -> str:
    main = folder / "main.py"
    main.write_text(HEAD + "\n" + textwrap.dedent(code) + "\n", encoding="utf-8")
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False, unsafe=True, select=["AL401"])
    return main.read_text(encoding="utf-8")


def test_endpoints_that_share_a_call_share_its_slots(tmp_path: Path) -> None:
    code = """
    @app.post("/")
    async def chat(text: str):
        return await ask(text)

    @app.put("/")
    async def again(text: str):
        return [await ask(text), await ask("more")]
    """
    after = fixed(tmp_path, code)
    assert after.count("async with model_slots:") == 1
    assert "async def ask(text):\n    async with model_slots:\n        return await client" in after


def test_no_request_waits_for_a_slot_while_it_has_one(tmp_path: Path) -> None:
    code = """
    async def stream(text):
        await ask(text)
        return await client.responses.create(input=text, stream=True)

    @app.post("/")
    async def chat(text: str):
        said = []
        async for part in await stream(text):
            said.append(part)
        return said
    """
    assert "async with model_slots" not in fixed(tmp_path, code)


def test_several_calls_made_at_once_do_not_share_one_slot(tmp_path: Path) -> None:
    code = """
    @app.post("/")
    async def chat(texts: list[str]):
        return await asyncio.gather(*(CALL for text in texts))
    """
    alone = fixed(tmp_path, code.replace("CALL", "client.responses.create(input=text)"))
    assert "async with" not in alone
    apart = fixed(tmp_path, code.replace("CALL", "ask(text)"))
    assert apart.index("async with model_slots") < apart.index("async def chat")
