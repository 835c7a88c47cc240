"""`autolock routes`: what each route works on, remarks about it, and an OpenAPI document joined with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cli_runner import Cli

import autolock

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.listing.routes import Route

HEAD = """\
import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

sessions = async_sessionmaker(create_async_engine("postgresql+asyncpg://localhost/club"))
app = FastAPI()
router = APIRouter(prefix="/members")
lock = asyncio.Lock()
PLANS = {"gold": 10}
visits = {"count": 0}
names: dict[str, str] = {}
busy = 0


class Base(DeclarativeBase):
    pass


class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    points: Mapped[int]


class Order(BaseModel):
    points: int


async def get_session():
    async with sessions() as session:
        yield session


def current_user():
    return {"id": 1}


Db = Annotated[AsyncSession, Depends(get_session)]
"""
ROUTES = """

@router.post("/{number}/points")
async def add(number: int, order: Order, db: Db, user: dict = Depends(current_user)):
    member = await db.scalar(select(Member).where(Member.id == number))
    await asyncio.sleep(0)
    member.points += order.points
    await db.commit()


@router.get("/{number}")
async def show(number: int, db: Db):
    return await db.scalar(select(Member).where(Member.id == number))


@app.get("/plans")
def plans():
    return PLANS


@app.post("/visits")
async def visit():
    async with lock:
        visits["count"] += 1


app.include_router(router, prefix="/v1")
"""


def listed(folder: Path, source: str) -> dict[str, Route]:
    (folder / "main.py").write_text(HEAD + source, encoding="utf-8")
    return {route.title: route for route in autolock.routes([folder], cache=False).routes}


def test_each_route_says_what_it_works_on(tmp_path: Path) -> None:
    routes = listed(tmp_path, ROUTES)
    assert list(routes) == [
        "GET /plans",
        "GET /v1/members/{number}",
        "POST /v1/members/{number}/points",
        "POST /visits",
    ]
    add, show = routes["POST /v1/members/{number}/points"], routes["GET /v1/members/{number}"]
    assert add.handler == "main.py:add"
    assert add.context == "event loop"
    assert add.dependencies == ("get_session", "current_user")
    assert (add.reads_tables, add.writes_tables) == (("members",), ("members",))
    assert [finding.rule for finding in add.findings] == ["AL202"]
    assert (show.reads_tables, show.writes_tables, show.findings) == (("members",), (), ())
    visit, plans = routes["POST /visits"], routes["GET /plans"]
    assert (visit.reads, visit.writes, visit.guards) == (("visits",), ("visits",), ("lock",))
    assert plans.context == "thread pool"
    assert plans.reads == (), "what nobody changes is no shared state"


@pytest.mark.parametrize(
    ("route", "remark"),
    [
        ("@app.post('/')\nasync def do(data: dict):\n    names[data['key']] = data['name']", "AL701"),
        ("@app.post('/')\nasync def do(data: dict[str, Any] | None):\n    names.update(data)", "AL701"),
        ("@app.post('/')\nasync def do(request: Request):\n    names.update(await request.json())", "AL701"),
        ("@app.post('/')\nasync def do(r: Request):\n    o = Order(**await r.json())\n    names['n'] = str(o)", ""),
        (
            "@app.post('/')\nasync def do(r: Request):\n    Order.model_validate(await r.json())\n    names['n'] = ''",
            "",
        ),
        ("@app.post('/')\nasync def do(user: dict = Depends(current_user)):\n    names['n'] = str(user)", ""),
        ("@app.post('/')\nasync def do(user: Annotated[dict, Depends(current_user)]):\n    names['n'] = ''", ""),
        ("@app.post('/')\nasync def do(data: dict):\n    return data", ""),
        ("@app.post('/')\nasync def do(order: Order):\n    names['n'] = str(order)", ""),
        ("@app.get('/')\nasync def do():\n    visits['count'] += 1", "AL702"),
        ("@app.get('/')\nasync def do(key: str):\n    names.pop(key, None)", "AL702"),
        ("@app.get('/')\nasync def do(db: Db):\n    db.add(Member(points=0))\n    await db.commit()", "AL702"),
        ("@app.get('/')\nasync def do(k: str):\n    if k not in names:\n        names[k] = k\n    return names[k]", ""),
        ("@app.get('/')\nasync def do():\n    global busy\n    busy += 1\n    await sleep()\n    busy -= 1", ""),
    ],
)
def test_remarks(tmp_path: Path, route: str, remark: str) -> None:
    (found,) = listed(tmp_path, f"\n\n{route}\n").values()
    assert [flag.rule for flag in found.flags] == ([remark] if remark else [])


OPERATIONS: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "club", "version": "1"},
    "paths": {
        "/api/v1/members/{member_id}/points": {"post": {"operationId": "add_points", "responses": {}}},
        "/plans": {"get": {"operationId": "plans", "responses": {}}, "parameters": []},
        "/health": {"get": {"responses": {}}},
    },
}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    (tmp_path / "main.py").write_text(HEAD + ROUTES, encoding="utf-8")
    (tmp_path / "openapi.json").write_text(json.dumps(OPERATIONS), encoding="utf-8")
    (tmp_path / "openapi.yaml").write_text(yaml.safe_dump(OPERATIONS), encoding="utf-8")
    return Cli(tmp_path, monkeypatch, capfdbinary)


@pytest.mark.parametrize("file", ["openapi.json", "openapi.yaml"])
def test_routes_are_known_by_their_operations(cli: Cli, file: str) -> None:
    done = cli("routes", "--openapi", file, "--format", "json")
    assert done.code == 0, done
    content = json.loads(done.out)
    named = {f"{route['method']} {route['path']}": route["operationId"] for route in content["routes"]}
    assert named == {
        "GET /plans": "plans",
        "GET /v1/members/{number}": None,
        "POST /v1/members/{number}/points": "add_points",
        "POST /visits": None,
    }
    assert content["unmatched"] == ["GET /health"]


def test_a_document_gets_what_is_known_of_its_operations_and_keeps_the_rest(cli: Cli) -> None:
    content = json.loads(cli("routes", "--openapi", "openapi.json", "--format", "openapi").out)
    points = content["paths"]["/api/v1/members/{member_id}/points"]["post"]
    known = points.pop("x-autolock")
    assert known["tables"] == {"reads": ["members"], "writes": ["members"]}
    assert [finding["rule"] for finding in known["findings"]] == ["AL202"]
    content["paths"]["/plans"]["get"].pop("x-autolock")
    assert content == OPERATIONS


def test_without_a_document_the_operations_are_those_of_the_code(cli: Cli) -> None:
    content = json.loads(cli("routes", "--format", "openapi").out)
    assert content["openapi"].startswith("3.")
    assert sorted(content["paths"]) == ["/plans", "/v1/members/{number}", "/v1/members/{number}/points", "/visits"]
    assert content["paths"]["/visits"]["post"]["x-autolock"]["guards"] == ["lock"]


def test_the_table_names_state_and_findings(cli: Cli) -> None:
    done = cli("routes", "--openapi", "openapi.json")
    assert done.code == 0
    for said in (
        "POST /visits",
        "main.py:visit:",
        "event loop",
        "thread pool",
        "get_session",
        "table members",
        "AL202",
    ):
        assert said in done.out
    assert "4 routes, 1 finding, 0 remarks" in done.out
    assert "not found in the code: GET /health" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--openapi", "missing.json"), "missing.json: No such file"),
        (("--openapi", "main.py"), "main.py: n"),
        (("--openapi", "list.json"), "list.json: no OpenAPI document"),
        (("--format", "xml"), 'unknown format "xml"'),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    cli.write("list.json", '{"openapi": "3.1.0"}')
    done = cli("routes", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1
