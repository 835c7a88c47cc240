"""What requests share is seen wherever it is kept: in files, default values, cached services, middleware."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import HEAD, played

from autolock.prove.proof import Verdict

IN_A_FILE = """
import pathlib
FILE = pathlib.Path("numbers.txt")

@app.post("/numbers")
async def number():
    last = int(FILE.read_text()) if FILE.exists() else 0
    await asyncio.sleep(0)
    FILE.write_text(str(last + 1))
    return {"number": last + 1}
"""
IN_A_TEMPORARY_FILE = """
import pathlib, tempfile
FILE = pathlib.Path(tempfile.mkdtemp(prefix="numbers-")) / "numbers.txt"

@app.post("/numbers")
async def number():
    last = int(FILE.read_text()) if FILE.exists() else 0
    await asyncio.sleep(0)
    FILE.write_text(str(last + 1))
    return {"number": last + 1}
"""
IN_A_DEFAULT = """
async def following(state={"last": 0}):
    last = state["last"]
    await asyncio.sleep(0)
    state["last"] = last + 1
    return last + 1

@app.post("/numbers")
async def number():
    return {"number": await following()}
"""
IN_A_CACHED_SERVICE = """
import functools
from fastapi import Depends

class Numbers:
    def __init__(self):
        self.last = 0

@functools.lru_cache
def numbers():
    return Numbers()

@app.post("/numbers")
async def number(service=Depends(numbers)):
    last = service.last
    await asyncio.sleep(0)
    service.last = last + 1
    return {"number": last + 1}
"""


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (IN_A_FILE, "file numbers.txt"),
        (IN_A_TEMPORARY_FILE, "file numbers.txt"),
        (IN_A_DEFAULT, "main.following.state"),
        (IN_A_CACHED_SERVICE, "main.numbers.cache"),
    ],
    ids=["file", "temporary-file", "default", "cached"],
)
def test_a_lost_update_is_seen_wherever_the_state_is(tmp_path: Path, source: str, place: str) -> None:
    side = played(tmp_path, source, "POST /numbers")
    assert side.verdict is Verdict.WITNESSED, side.why_not
    assert side.places == (place,)
    assert sorted(os.listdir(tmp_path)) == ["main.py"]


def test_two_keys_that_are_put_into_one_object_at_once_are_both_there(tmp_path: Path) -> None:
    source = """
    settings = {}

    @app.patch("/settings")
    async def merge(changes: dict[str, int]):
        global settings
        merged = {**settings, **changes}
        await asyncio.sleep(0)
        settings = merged
        return {}
    """
    side = played(tmp_path, source, "PATCH /settings")
    assert side.verdict is Verdict.WITNESSED, side.why_not
    assert side.decisive is not None
    assert len(side.decisive.result["witness"]["state"]["main.settings"]) == 1


def test_words_that_the_code_knows_are_tried(tmp_path: Path) -> None:
    source = """
    door = {"state": "closed", "openings": 0}

    @app.post("/door/{command}")
    async def move(command: str):
        if (door["state"], command) != ("closed", "unlock"):
            raise HTTPException(409)
        await asyncio.sleep(0)
        door["openings"] += 1
        door["state"] = "open"
        return door
    """
    side = played(tmp_path, source, "POST /door/{command}")
    assert side.verdict is Verdict.WITNESSED, side.why_not


def test_a_route_is_found_under_the_prefix_that_it_gets_at_run_time(tmp_path: Path) -> None:
    source = """
    from fastapi import APIRouter
    votes = {"cast": 0}
    router = APIRouter(prefix="/" + "ballot")

    @router.post("/votes/{option}")
    async def cast(option: str):
        seen = votes["cast"]
        await asyncio.sleep(0)
        votes["cast"] = seen + 1
        return {}

    app.include_router(router)
    """
    side = played(tmp_path, source, "POST /votes/{option}")
    assert side.verdict is Verdict.WITNESSED, side.why_not


def test_a_race_in_a_middleware_is_driven_by_any_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = """
visits = 0

class Counting:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        global visits
        if scope["type"] == "http":
            seen = visits
            await asyncio.sleep(0)
            visits = seen + 1
        await self.app(scope, receive, send)

app.add_middleware(Counting)

@app.get("/hello")
async def hello():
    return {}
"""
    cli = Cli(tmp_path, monkeypatch, capfdbinary)
    cli.write("main.py", HEAD + source)
    out = cli("prove").out
    assert "A sends GET /hello" in out
    assert "main.visits is 1; one after the other it is 2" in out
    assert "after: held" in out
