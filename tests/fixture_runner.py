"""Plays the drivers of fixtures: every drive function in a process of its own, on a fresh copy of the application.

A fixture's `drive.py` defines

    APP = "main:app"                # import string of the ASGI application
    async def works(client): ...    # sequential use
    async def race(client): ...     # concurrent use; AssertionError when the invariant is broken

and may define more functions whose names start with `works` or `race`, and some that start with `halfway`: a failure
between writes that belong together; AssertionError when half of them stay. `client` is an httpx.AsyncClient bound to
the application in-process, in one event loop, with its lifespan running.

An application with `database` in its expect.toml finds an empty database of its own under DATABASE_URL.

Starting Python and importing FastAPI takes far longer than a drive function, so a server process imports the
libraries once and forks a child for each job. Where there is no fork, each job starts an interpreter.

By hand:  python tests/fixture_runner.py fixtures/shop/before [FUNCTION ...]
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import postgres as server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HELD, CRASHED, BROKEN, STUCK = 0, 1, 3, 4
KINDS = ("works", "race", "halfway")
_WORDS = {HELD: "held", CRASHED: "CRASHED", BROKEN: "BROKEN", STUCK: "STUCK"}
JUDGE_ONLY = shutil.ignore_patterns("drive.py", "expect.toml", "__pycache__")
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


class Outcome(NamedTuple):
    """How a drive function ended: HELD, BROKEN (an AssertionError), STUCK or CRASHED, and what was printed."""

    code: int
    output: str


@dataclass(frozen=True)
class Fixture:
    """One folder of fixtures/: its driver, its expectation and the application in one or two variants."""

    name: str
    folder: Path
    expect: dict[str, Any]

    @property
    def drive(self) -> Path:
        return self.folder / "drive.py"

    @property
    def before(self) -> Path:
        """What autolock is given: the racy application, or the look-alike itself."""
        return self.folder if self.is_lookalike else self.folder / "before"

    @property
    def after(self) -> Path:
        return self.folder / "after"

    @property
    def is_lookalike(self) -> bool:
        return "expect" in self.expect

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What must be reported, each with rule, certainty, severity and `at`; none for a look-alike."""
        if self.is_lookalike:
            return []
        return list(self.expect.get("findings", [self.expect]))

    @property
    def database(self) -> str | None:
        """What the application keeps its data in, "postgresql" or "sqlite"; None when that is its own memory."""
        kind = self.expect.get("database")
        return None if kind is None else str(kind)

    @property
    def is_latent(self) -> bool:
        """Whether nothing can break today, before the fix either."""
        return all(finding["certainty"] == "latent" for finding in self.findings)

    def parts(self, kind: str) -> list[str]:
        """The drive functions whose name starts with `works`, `race` or `halfway`, in the driver's order."""
        module = ast.parse(self.drive.read_text(encoding="utf-8"))
        return [n.name for n in module.body if isinstance(n, ast.AsyncFunctionDef) and n.name.startswith(kind)]


def fixtures() -> list[Fixture]:
    """Every fixture whose state is in memory, the look-alikes last, each group by name."""
    return [fixture for fixture in _all_fixtures() if fixture.database is None]


def database_fixtures() -> list[Fixture]:
    """Every fixture whose state is rows or a session, the look-alikes last, each group by name."""
    return [fixture for fixture in _all_fixtures() if fixture.database is not None]


def _all_fixtures() -> list[Fixture]:
    found = [_read(path.parent) for path in FIXTURES.rglob("expect.toml")]
    return sorted(found, key=lambda fixture: (fixture.is_lookalike, fixture.name))


def _read(folder: Path) -> Fixture:
    expect = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    return Fixture(folder.relative_to(FIXTURES).as_posix(), folder, expect)


def play_with_database(fixture: Fixture, app: Path, part: str, postgres: server.Postgres) -> Outcome:
    """Run one drive function of a fixture against a copy of `app`, with an empty database for it."""
    with _database(fixture, postgres) as url:
        return play(app, fixture.drive, part, {"DATABASE_URL": url})


@contextlib.contextmanager
def _database(fixture: Fixture, postgres: server.Postgres) -> Iterator[str]:
    if fixture.database == "sqlite":
        yield "sqlite:///fixture.db"
    else:
        with postgres.database() as url:
            yield url


def play(
    app: Path, drive: Path, part: str, environment: Mapping[str, str] | None = None, timeout: float = 30
) -> Outcome:
    """Run one drive function against a scratch copy of the application in `app`, its working directory."""
    with tempfile.TemporaryDirectory(prefix="fixture-") as scratch:
        copy = Path(scratch) / "app"
        shutil.copytree(app, copy, ignore=JUDGE_ONLY)
        job = _Job(str(copy), str(drive.resolve()), part, dict(environment or {}))
        if not hasattr(os, "fork"):
            return _play_alone(job, timeout)
        server = _borrow()
        try:
            outcome = server.ask(job, timeout)
        except BaseException:
            server.stop()
            raise
        _idle.put(server)
        return outcome


def play_all(jobs: Iterable[tuple[Path, Path, str]], workers: int = 2) -> list[Outcome]:
    """Run several drive functions at the same time; the outcomes are in the order of the jobs."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: play(*job), jobs))


class _Job(NamedTuple):
    """What a process of its own is told: the copy, the driver, the function and the environment variables to add."""

    app: str
    drive: str
    part: str
    environment: dict[str, str]


class _Server:
    """A process that has the libraries imported and forks a child for each job."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, job: _Job, timeout: float) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([job, timeout]) + "\n")
        self._process.stdin.flush()
        return Outcome(*json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


_idle: queue.LifoQueue[_Server] = queue.LifoQueue()


def _borrow() -> _Server:
    try:
        return _idle.get_nowait()
    except queue.Empty:
        return _Server()


@atexit.register
def _stop_servers() -> None:
    while not _idle.empty():
        _idle.get_nowait().stop()


def _play_alone(job: _Job, timeout: float) -> Outcome:
    command = [sys.executable, __file__, "--one", json.dumps(job)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return Outcome(STUCK, f"still running after {timeout:g} s")
    return Outcome(done.returncode, (done.stdout + done.stderr).strip())


def _serve() -> None:
    import asyncio  # noqa: F401

    import asgi_lifespan  # noqa: F401
    import fastapi.responses  # noqa: F401
    import httpx  # noqa: F401

    for line in sys.stdin:
        described, timeout = json.loads(line)
        job = _Job(*described)
        if job.environment:
            _import_database_libraries()
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                signal.setitimer(signal.ITIMER_REAL, timeout)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                code = _drive(job)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            status = os.waitpid(child, 0)[1]
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if os.WIFSIGNALED(status):
            said = f"killed by signal {os.WTERMSIG(status)}, the limit is {timeout:g} s; {said}"
        code = STUCK if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        print(json.dumps([code, said]), flush=True)


def _import_database_libraries() -> None:
    import asyncpg  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.asyncpg
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.ext.asyncio  # noqa: F401
    import sqlmodel  # noqa: F401


def _drive(job: _Job) -> int:
    """Import application and driver, run the function, return the exit code. Only ever in a fresh process."""
    import asyncio
    import importlib
    import importlib.util

    import httpx
    from asgi_lifespan import LifespanManager

    async def run() -> None:
        module, _, name = driver.APP.partition(":")
        asgi = getattr(importlib.import_module(module), name)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            """Servers give each request a copy of the lifespan's state, asgi-lifespan gives all the same."""
            if scope["type"] != "lifespan":
                scope = {**scope, "state": dict(scope.get("state", {}))}
            await asgi(scope, receive, send)

        async with LifespanManager(application, startup_timeout=10, shutdown_timeout=10) as manager:
            transport = httpx.ASGITransport(app=manager.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
                await getattr(driver, job.part)(client)

    try:
        os.environ.update(job.environment)
        os.chdir(job.app)
        sys.dont_write_bytecode = True
        sys.path[0] = job.app
        spec = importlib.util.spec_from_file_location("drive", job.drive)
        assert spec is not None
        assert spec.loader is not None
        driver = importlib.util.module_from_spec(spec)
        sys.modules["drive"] = driver
        spec.loader.exec_module(driver)
        asyncio.run(run())
    except AssertionError as error:
        print(f"invariant broken: {error}" if str(error) else traceback.format_exc())
        return BROKEN
    except BaseException:
        traceback.print_exc()
        return CRASHED
    return HELD


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--serve"]:
        with contextlib.suppress(KeyboardInterrupt):
            _serve()
        return 0
    if arguments[:1] == ["--one"]:
        return _drive(_Job(*json.loads(arguments[1])))
    app = Path(arguments[0]).resolve()
    fixture = _read(app if (app / "drive.py").exists() else app.parent)
    names = list(arguments[1:]) or [name for kind in KINDS for name in fixture.parts(kind)]
    worst = 0
    for name, outcome in zip(names, _play_by_hand(fixture, app, names), strict=True):
        worst = max(worst, outcome.code)
        print(f"{_WORDS[outcome.code]:8}{name}  {outcome.output}")
    return worst


def _play_by_hand(fixture: Fixture, app: Path, names: list[str]) -> list[Outcome]:
    if fixture.database is None:
        return play_all([(app, fixture.drive, name) for name in names])
    with server.running() as postgres:
        return [play_with_database(fixture, app, name, postgres) for name in names]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
