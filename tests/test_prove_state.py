"""What requests share is seen wherever it is kept: in files, default values, cached services, middleware."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import HEAD, played

from autolock.prove.proof import Bounds, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.telling import summary

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


HALL = """

@app.get("/hall"NEEDS)
async def hall():
    await asyncio.sleep(0)
    return {}
"""

COUNTED = """
from fastapi import Depends
from starlette.middleware.base import BaseHTTPMiddleware

class Turnstile(BaseHTTPMiddleware):
    def __init__(self, app):
        super().__init__(app)
        self.through = {}

    async def dispatch(self, request, call_next):
        before = self.through.get("all", 0)
        response = await call_next(request)
        self.through["all"] = before + 1
        return response

class Stamp:
    def __init__(self):
        self.stamped = 0

    async def __call__(self):
        before = self.stamped
        await asyncio.sleep(0)
        self.stamped = before + 1
"""


@pytest.mark.parametrize(
    ("source", "place"),
    [
        pytest.param(
            COUNTED + "app.add_middleware(Turnstile)" + HALL.replace("NEEDS", ""),
            "main.Turnstile.through",
            id="middleware",
        ),
        pytest.param(
            COUNTED + HALL.replace("NEEDS", ", dependencies=[Depends(Stamp())]"),
            "main.Stamp.stamped",
            id="dependency",
        ),
    ],
)
def test_what_an_object_keeps_that_only_the_application_knows_is_seen(tmp_path: Path, source: str, place: str) -> None:
    side = played(tmp_path, source, "GET /hall")
    assert side.verdict is Verdict.WITNESSED, side.why_not
    assert side.decisive is not None
    assert side.decisive.result["witness"]["places"] == [place]


VISITS = """
visits = []

@app.post("/visits")
async def visit():
    visits.append("in")
    seen = len(visits)
    await asyncio.sleep(0)
    LEAVE
    return {}
"""


@pytest.mark.parametrize(
    ("leave", "verdict"),
    [('visits.append("out")', Verdict.HELD), ('visits[seen:] = ["out"]', Verdict.WITNESSED)],
    ids=["in-another-order", "one-is-lost"],
)
def test_a_list_that_holds_the_same_in_another_order_is_no_witness_of_a_route(
    tmp_path: Path, leave: str, verdict: Verdict
) -> None:
    assert played(tmp_path, VISITS.replace("LEAVE", leave), "POST /visits").verdict is verdict


def test_a_header_that_says_where_something_stands_is_found_and_a_body_that_is_read_is_sent(tmp_path: Path) -> None:
    source = """
    from fastapi import Header, Request

    films = {"a1": {"position": 0, "parts": []}}

    @app.patch("/films/{film}")
    async def add(request: Request, film: str, film_position: int = Header()):
        part = await request.body()
        if film_position != films[film]["position"]:
            raise HTTPException(409)
        await asyncio.sleep(0)
        films[film]["parts"].append(part.decode())
        films[film]["position"] += len(part)
        return {}
    """
    assert played(tmp_path, source, "PATCH /films/{film}").verdict is Verdict.WITNESSED


def test_two_senders_who_are_told_apart_by_a_header_are_raced(tmp_path: Path) -> None:
    source = """
    from fastapi import Header

    desk = {"at": ""}
    signed = []

    @app.post("/forms/{form}")
    async def sign(form: str, x_clerk: str = Header()):
        desk["at"] = x_clerk
        await asyncio.sleep(0)
        signed.append(desk["at"])
        return {}
    """
    side = played(tmp_path, source, "POST /forms/{form}")
    assert side.decisive is not None
    one, other = (request["headers"]["x-clerk"] for request in side.decisive.race.requests)
    assert one != other
    assert side.verdict is Verdict.WITNESSED


def test_a_limit_that_an_answer_of_success_tells_is_raced_for_the_last(tmp_path: Path) -> None:
    source = """
    poured = {"cups": 0}

    @app.post("/coffee")
    async def pour():
        if poured["cups"] >= 3:
            return {"told": "empty"}
        await asyncio.sleep(0)
        poured["cups"] += 1
        return {"told": "enjoy"}
    """
    side = played(tmp_path, source, "POST /coffee")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert len(side.decisive.race.prelude) == 2


def test_who_only_reads_may_be_told_of_the_middle_of_a_change(tmp_path: Path) -> None:
    """Unless somebody asks about that: nothing wrong is left."""
    source = """
    lock = asyncio.Lock()
    moved = {"out": 0, "in": 0}

    @app.post("/moves")
    async def move():
        async with lock:
            moved["out"] += 1
            await asyncio.sleep(0)
            moved["in"] += 1
        return {}

    @app.get("/moves")
    async def look():
        return moved
    """
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    with Prover(tmp_path, (), bounds=Bounds(seconds=20)) as prover:
        subject = Subject(("POST /moves", "GET /moves"))
        side = prover.before([subject])[subject.key]
    assert side.verdict is Verdict.HELD
    assert "an answer may be of another moment" in summary("before", side, Bounds())
