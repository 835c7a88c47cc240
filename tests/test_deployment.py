"""What a project's files say about processes, and what follows for state in memory and for locks that hold in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.deployment.project import deployments_of

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.findings import Finding

SEATS = """\
import asyncio

from fastapi import FastAPI, HTTPException

app = FastAPI()
seats = {"hall": 40}
lock = asyncio.Lock()


@app.post("/seats/{hall}")
async def take(hall: str) -> dict[str, int]:
    async with lock:
        if seats[hall] == 0:
            raise HTTPException(409)
        await asyncio.sleep(0)
        seats[hall] -= 1
        return {"left": seats[hall]}
"""
FOUR = 'FROM python:3.12\nCMD ["uvicorn", "main:app", "--workers", "4"]\n'


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def found(folder: Path, files: dict[str, str]) -> list[Finding]:
    return list(autolock.check([write(folder, files)], certainty="race", cache=False).findings)


def compose(service: str) -> str:
    return "services:\n  api:\n" + "".join(f"    {line}\n" for line in service.splitlines())


def kubernetes(name: str, kind: str = "Deployment", count: str = "replicas: 3") -> str:
    return f"apiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  {count}\n"


@pytest.mark.parametrize(
    ("name", "text", "line", "processes"),
    [
        ("Dockerfile", FOUR, 2, 4),
        ("deploy/api.Dockerfile", "CMD uvicorn main:app \\\n  --host 0.0.0.0 \\\n  --workers 4\n", 1, 4),
        ("Dockerfile", "FROM tiangolo/uvicorn-gunicorn-fastapi:python3.11\nCOPY . /app\n", 1, 0),
        ("Dockerfile", "ENV WEB_CONCURRENCY=3\nCMD uvicorn main:app\n", 1, 3),
        ("Procfile", "web: gunicorn main:app -k uvicorn.workers.UvicornWorker -w 3\n", 1, 3),
        ("start.sh", "#!/bin/sh\nexec fastapi run main.py --workers ${WORKERS:-2}\n", 2, 2),
        ("start.sh", "gunicorn main:app --workers=$(nproc)\n", 1, 0),
        ("api.service", "[Service]\nExecStart=/opt/venv/bin/hypercorn main:app -w 2\n", 2, 2),
        ("gunicorn.conf.py", "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", 2, 0),
        ("gunicorn_conf.py", 'import os\nworkers = int(os.getenv("WORKERS", "5"))\n', 2, 5),
        ("hypercorn.toml", "bind = ':80'\nworkers = 6\n", 2, 6),
        ("docker-compose.yml", compose("build: .\ndeploy:\n  replicas: 2"), 5, 2),
        ("compose.prod.yaml", compose("build: .\ncommand: [granian, 'main:app', --workers, '4']"), 4, 4),
        ("k8s/api.yaml", kubernetes("shop-api"), 6, 3),
        ("k8s/scale.yaml", kubernetes("shop-api", "HorizontalPodAutoscaler", "minReplicas: 2"), 6, 2),
        ("helm/shop/values.yaml", "image: shop\nreplicaCount: 2\n", 2, 2),
        ("serve.py", 'import uvicorn\n\nuvicorn.run("main:app", workers=4)\n', 3, 4),
    ],
)
def test_who_starts_several_processes_is_named(tmp_path: Path, name: str, text: str, line: int, processes: int) -> None:
    (finding,) = found(tmp_path, {"main.py": SEATS, name: text})
    assert (finding.rule, finding.severity.value, finding.fix.safety.value) == ("AL601", "high", "none")
    many = f"{processes} processes" if processes else "a process for each processor"
    assert f"{name}:{line} starts {many}" in finding.message
    assert f"({name}:{line}: " in finding.fix.reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "CMD uvicorn main:app --workers 1\n"),
        ("Dockerfile", 'CMD ["uvicorn", "main:app"]\n'),
        ("Dockerfile", 'CMD ["uvicorn", "billing.main:app", "--workers", "4"]\n'),
        ("Dockerfile", "# CMD uvicorn main:app --workers 4\nCMD uvicorn main:app\n"),
        ("Dockerfile", "FROM tiangolo/uvicorn-gunicorn-fastapi\nCMD uvicorn main:app\n"),
        ("Procfile", "worker: celery -A main worker --concurrency 4\n"),
        ("dev.sh", "uvicorn main:app --reload --workers 4\n"),
        ("gunicorn.conf.py", 'import os\nworkers = int(os.getenv("WORKERS", "1"))\n'),
        ("docker-compose.yml", compose("image: redis\ndeploy:\n  replicas: 3")),
        ("docker-compose.yml", compose("build: .\ncommand: celery worker\nscale: 3")),
        ("k8s/cache.yaml", kubernetes("shop-redis")),
        ("helm/shop/templates/api.yaml", "spec:\n  replicas: {{ .Values.replicaCount }}\n"),
        ("README.md", "uvicorn main:app --workers 4\n"),
        (".env.example", "WEB_CONCURRENCY=4\n"),
        ("serve.py", 'import uvicorn\n\nuvicorn.run("main:app", workers=1)\n'),
        ("worker.Dockerfile", "\x00\xff: [\n"),
    ],
)
def test_where_one_process_is_started_nothing_is_said(tmp_path: Path, name: str, text: str) -> None:
    assert found(tmp_path, {"main.py": SEATS, name: text}) == []


def test_each_application_of_a_repository_has_its_own_deployment(tmp_path: Path) -> None:
    files = {
        "shop/main.py": SEATS,
        "shop/Dockerfile": FOUR,
        "club/main.py": SEATS,
        "club/Dockerfile": "CMD fastapi run",
    }
    (finding,) = found(tmp_path, files)
    assert finding.place.path == "shop/main.py"


@pytest.mark.parametrize(
    ("body", "finds"),
    [
        ("global last\n    last += 1\n    return {'number': last}", ["AL601"]),
        ("global last\n    last += 1\n    return {}", []),
        ("global last\n    last += 1\n    if last > 9:\n        print('many')\n    return {}", []),
        ("global last\n    last += 1\n    print('visit', last)\n    return {}", []),
        ("if name in taken:\n        raise HTTPException(409)\n    taken[name] = True", ["AL601"]),
        ("if name not in taken:\n        taken[name] = len(name)\n    return taken[name]", []),
        ("if last > 9:\n        raise HTTPException(503)\n    await work()", []),
    ],
)
def test_only_what_requests_go_by_is_told(tmp_path: Path, body: str, finds: list[str]) -> None:
    source = (
        "from fastapi import FastAPI, HTTPException\n\napp = FastAPI()\ntaken = {}\nlast = 0\n\n\n"
        "async def work() -> None:\n    global last\n    last += 1\n    try:\n        pass\n    finally:\n"
        f"        last -= 1\n\n\n@app.post('/')\nasync def do(name: str):\n    {body}\n"
    )
    assert [finding.rule for finding in found(tmp_path, {"main.py": source, "Dockerfile": FOUR})] == finds


def test_a_command_is_about_the_nearest_module_of_its_name(tmp_path: Path) -> None:
    names = ("shop/app/main.py", "club/app/main.py")
    command = "CMD gunicorn app.main:app -w 4"
    (finding,) = found(tmp_path, {**dict.fromkeys(names, SEATS), "deploy/club/Dockerfile": command})
    assert finding.place.path == "club/app/main.py"
    assert found(tmp_path, {"deploy/club/Dockerfile": "", "deploy/Dockerfile": command}) == [], "it may be either"


FILE = """\
import asyncio
import json
from pathlib import Path

from fastapi import FastAPI

app = FastAPI()
lock = asyncio.Lock()
BOOK = Path("book.json")


@app.post("/entries")
async def enter(text: str):
    async with lock:
        entries = json.loads(BOOK.read_text())
        await asyncio.sleep(0)
        entries.append(text)
        BOOK.write_text(json.dumps(entries))
"""


def test_a_lock_in_memory_guards_a_file_from_one_process_only(tmp_path: Path) -> None:
    assert found(tmp_path, {"main.py": FILE}) == []
    (finding,) = found(tmp_path, {"Dockerfile": FOUR})
    assert (finding.rule, finding.severity.value) == ("AL601", "high")
    assert "`lock`, which holds within one process, and Dockerfile:2 starts 4 processes" in finding.message
    assert "filelock" in finding.fix.reason
    held = FILE.replace("asyncio.Lock()", 'FileLock("book.lock")').replace("async with", "with")
    assert found(tmp_path, {"main.py": f"from filelock import FileLock\n{held}"}) == []


ROWS = """\
import asyncio

from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
sessions = async_sessionmaker(engine)
app = FastAPI()
lock = asyncio.Lock()


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


async def get_session():
    async with sessions() as session:
        yield session


@app.post("/accounts/{number}")
async def pay(number: int, cents: int, session: AsyncSession = Depends(get_session)):
    async with lock:
        account = await session.scalar(select(Account).where(Account.id == number))
        account.cents += cents
        await session.commit()
"""


def test_a_lock_in_memory_guards_rows_from_one_process_only(tmp_path: Path) -> None:
    assert found(tmp_path, {"main.py": ROWS}) == []
    (finding,) = found(tmp_path, {"Dockerfile": FOUR})
    assert finding.rule == "AL202"
    assert "Dockerfile:2 starts 4 processes" in finding.message
    assert finding.fix.safety.value == "safe"


def test_a_lock_outside_of_the_process_guards_rows_from_all(tmp_path: Path) -> None:
    shared = "from redis.asyncio import Redis\n\n" + ROWS.replace("asyncio.Lock()", 'Redis(host="cache")')
    shared = shared.replace("async with lock:", 'async with lock.lock(f"account:{number}", timeout=10):')
    assert found(tmp_path, {"main.py": shared, "Dockerfile": FOUR}) == []


def test_a_new_lock_says_whom_it_does_not_keep_out(tmp_path: Path) -> None:
    racy = SEATS.replace("    async with lock:\n", "    if True:\n").replace("lock = asyncio.Lock()\n", "")
    rules = {f.rule: f for f in found(tmp_path, {"main.py": racy, "Dockerfile": FOUR})}
    assert "Dockerfile:2 starts 4 processes" in rules["AL102"].fix.reason


def test_settings_without_a_module_are_about_the_folder_that_they_are_for(tmp_path: Path) -> None:
    write(tmp_path, {"api/deploy/gunicorn.conf.py": "workers = 3\n"})
    deployments = deployments_of(tmp_path, ())
    assert deployments.of(["api/app/main.py"]) is not None
    assert deployments.of(["jobs/main.py"]) is None


def test_a_changed_command_is_seen_although_the_code_is_the_same(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": SEATS, "Dockerfile": FOUR})
    for text, finds in ((FOUR, 1), (FOUR.replace('"4"', '"1"'), 0), (FOUR, 1)):
        write(tmp_path, {"Dockerfile": text})
        assert len(autolock.check([tmp_path], certainty="race").findings) == finds
