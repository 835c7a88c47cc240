"""Small applications whose sessions are in the wrong hands, and others that only look so."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

class Base(DeclarativeBase):
    pass

class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

engine = create_async_engine("postgresql+asyncpg://localhost/notes")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
sync_engine = create_engine("postgresql+psycopg://localhost/notes")
SyncSession = sessionmaker(sync_engine)
app = FastAPI()
"""
OWN = """
async def get_session():
    async with SessionLocal() as session:
        yield session
"""
ADD = """
@app.post("/notes")
async def add_note(body: str, session: AsyncSession = Depends(get_session)):
    session.add(Note(body=body))
    await session.commit()
"""
ADD_SYNC = """
@app.post("/notes")
def add_note(body: str, session: Session = Depends(get_session)):
    session.add(Note(body=body))
    session.commit()
"""


def found(folder: Path, *parts: str) -> set[tuple[str, str, str]]:
    """Rule, function and certainty of what is found in an application of one file."""
    (folder / "main.py").write_text(HEAD + "".join(textwrap.dedent(part) for part in parts))
    report = autolock.check([folder], cache=False)
    assert report.errors == ()
    return {(f.rule, f.place.function, f.certainty.value) for f in report.findings}


SHARED = {
    "module variable": ("session = SessionLocal()\ndef get_session():\n    return session\n", ADD),
    "module variable, yielded": ("session = SessionLocal()\nasync def get_session():\n    yield session\n", ADD),
    "cached property": (
        """
        from functools import cached_property

        class Manager:
            @cached_property
            def session(self) -> AsyncSession:
                return SessionLocal()

        manager = Manager()

        def get_session():
            return manager.session
        """,
        ADD,
    ),
    "cached provider": ("@lru_cache\ndef get_session():\n    return SyncSession()\n", ADD_SYNC),
    "class attribute": ("class Db:\n    session = SessionLocal()\ndef get_session():\n    return Db.session\n", ADD),
    "application state": (
        """
        app.state.db = SessionLocal()
        def get_session(request: Request):
            return request.app.state.db
        """,
        ADD,
    ),
    "global set at start-up": (
        """
        session = None
        @app.on_event("startup")
        async def connect():
            global session
            session = SessionLocal()
        def get_session():
            return session
        """,
        ADD,
    ),
    "global that is declared, opened on first use": (
        """
        session: AsyncSession | None = None
        async def get_session() -> AsyncSession:
            global session
            if session is None:
                session = SessionLocal()
            return session
        """,
        ADD,
    ),
}


@pytest.mark.parametrize("parts", SHARED.values(), ids=SHARED)
def test_a_provider_that_gives_everybody_one_session(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, *parts) == {("AL301", "get_session", "race")}


def test_handlers_that_use_the_session_of_a_module(tmp_path: Path) -> None:
    handlers = """
    db = SyncSession()

    @app.get("/notes")
    def notes():
        return db.scalars(select(Note.body)).all()

    @app.post("/notes")
    def add_note(body: str):
        db.add(Note(body=body))
        db.commit()
    """
    assert found(tmp_path, handlers) == {("AL301", "notes", "race"), ("AL301", "add_note", "race")}


OWN_SESSIONS = {
    "a generator": (OWN, ADD),
    "closed in finally": (
        "def get_session():\n    db = SyncSession()\n    try:\n        yield db\n    finally:\n        db.close()\n",
        ADD_SYNC,
    ),
    "a factory in a module variable": ("factory = SessionLocal\n", OWN, ADD),
    "a scoped session": (
        "db = scoped_session(SyncSession)\ndef get_session():\n    yield db()\n    db.remove()\n",
        ADD_SYNC,
    ),
    "returned, and closed by the handler": (
        "def get_session():\n    return SyncSession()\n",
        """
        @app.post("/notes")
        def add_note(body: str, session: Session = Depends(get_session)):
            try:
                session.add(Note(body=body))
                session.commit()
            finally:
                session.close()
        """,
    ),
    "returned, and entered by the handler": (
        "def get_session():\n    return SyncSession()\n",
        """
        @app.post("/notes")
        def add_note(body: str, session: Session = Depends(get_session)):
            with session:
                session.add(Note(body=body))
                session.commit()
        """,
    ),
    "an attribute that each instance sets": (
        OWN,
        """
        class Notes:
            session: AsyncSession
            def __init__(self, session: AsyncSession = Depends(get_session)):
                self.session = session

        @app.post("/notes")
        async def add_note(body: str, notes: Notes = Depends()):
            notes.session.add(Note(body=body))
            await notes.session.commit()
        """,
    ),
    "a session that only start-up uses": (
        "boot = SessionLocal()\n@app.on_event('startup')\nasync def warm():\n    await boot.scalar(select(Note))\n",
    ),
}


@pytest.mark.parametrize("parts", OWN_SESSIONS.values(), ids=OWN_SESSIONS)
def test_a_session_for_each_request_is_no_finding(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, *parts) == set()


HELPERS = """
async def count(session: AsyncSession) -> int:
    return await session.scalar(select(func.count(Note.id)))

async def one(session: AsyncSession, key: int):
    return await session.get(Note, key)

async def alone(key: int):
    async with SessionLocal() as session:
        return await session.get(Note, key)

class Notes:
    def __init__(self, session: AsyncSession):
        self.session = session

    async def count(self):
        return await self.session.scalar(select(func.count(Note.id)))
"""
HANDLER = """
@app.get("/report")
async def report(keys: list[int], session: AsyncSession = Depends(get_session)):
"""
AT_ONCE = {
    "methods": "return await asyncio.gather(session.scalar(select(Note)), session.scalar(select(Note.id)))",
    "helpers": "return await asyncio.gather(count(session), one(session, 1))",
    "through self": "notes = Notes(session)\n    return await asyncio.gather(notes.count(), notes.count())",
    "a generator": "return await asyncio.gather(*(one(session, key) for key in keys))",
    "a list": "work = [one(session, key) for key in keys]\n    return await asyncio.gather(*work)",
    "an appended list": "work = []\n    for key in keys:\n        work.append(one(session, key))\n"
    "    return await asyncio.gather(*work)",
    "tasks": "a = asyncio.create_task(count(session))\n    b = asyncio.create_task(one(session, 1))\n"
    "    return await a, await b",
    "a task group": "async with asyncio.TaskGroup() as group:\n        group.create_task(count(session))\n"
    "        group.create_task(one(session, 1))",
    "a closure": "async def find(key):\n        return await session.get(Note, key)\n"
    "    return await asyncio.gather(*(find(key) for key in keys))",
}


@pytest.mark.parametrize("body", AT_ONCE.values(), ids=AT_ONCE)
def test_tasks_that_use_one_session_at_once(body: str, tmp_path: Path) -> None:
    assert found(tmp_path, OWN, HELPERS, f"{HANDLER}    {body}\n") == {("AL302", "report", "race")}


READING = "    return await asyncio.gather(count(session), one(session, 1))\n"
USED_BEFORE = {
    "a statement before": ("    await session.scalar(select(Note))\n", READING),
    "on either way": (
        "    if keys:\n        await count(session)\n    else:\n        await one(session, 2)\n",
        READING,
    ),
    "what was added is sent": ('    session.add(Note(body=""))\n    await session.flush()\n', READING),
}
MAY_BE_REFUSED = {
    "on one way only": ("    if keys:\n        await count(session)\n", READING),
    "in another transaction": ("    await count(session)\n    await session.commit()\n", READING),
    "with something to send": ('    await count(session)\n    session.add(Note(body=""))\n', READING),
    "where one writes": (
        "    await count(session)\n    async def add(body):\n        session.add(Note(body=body))\n"
        "        await session.flush()\n",
        '    await asyncio.gather(count(session), add(""))\n',
    ),
    "where one commits": (
        "    await count(session)\n    async def end():\n        await one(session, 2)\n"
        "        await session.commit()\n",
        "    await asyncio.gather(count(session), end())\n",
    ),
}


@pytest.mark.parametrize("parts", USED_BEFORE.values(), ids=USED_BEFORE)
def test_tasks_that_read_on_a_connected_session_are_not_refused(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, OWN, HELPERS, HANDLER + "".join(parts)) == {("AL302", "report", "latent")}


@pytest.mark.parametrize("parts", MAY_BE_REFUSED.values(), ids=MAY_BE_REFUSED)
def test_tasks_of_which_one_may_be_refused(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, OWN, HELPERS, HANDLER + "".join(parts)) == {("AL302", "report", "race")}


def test_reads_at_once_on_a_connection_count_as_low(tmp_path: Path) -> None:
    body = """
    async def body_of(connection: AsyncConnection, key: int):
        return await connection.scalar(select(Note.body).where(Note.id == key))

    @app.get("/report")
    async def report():
        async with engine.connect() as connection:
            first = await body_of(connection, 1)
            return first, await asyncio.gather(body_of(connection, 2), body_of(connection, 3))
    """
    assert found(tmp_path, "from sqlalchemy.ext.asyncio import AsyncConnection", body) == {("AL302", "report", "race")}
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.severity.value == "low"


def test_coroutines_take_turns_on_a_session_that_is_not_asynchronous(tmp_path: Path) -> None:
    body = """
    def get_session():
        with SyncSession() as session:
            yield session

    async def push(session, key: int):
        note = session.scalar(select(Note).where(Note.id == key))
        await asyncio.sleep(0)
        return note.body

    @app.get("/report")
    async def report(session: Annotated[Session, Depends(get_session)]):
        return await asyncio.gather(push(session, 1), push(session, 2))
    """
    assert "AL302" not in {rule for rule, *_ in found(tmp_path, body)}


WAITING = {
    "a client": "async with httpx.AsyncClient() as client:\n            await client.get(note)",
    "a helper with a client": "await ask(note)",
    "a pause": "await asyncio.sleep(2)",
}


@pytest.mark.parametrize("waits", WAITING.values(), ids=WAITING)
def test_what_waits_for_more_than_the_session_is_not_put_one_after_the_other(waits: str, tmp_path: Path) -> None:
    body = f"""
import httpx

async def ask(note):
    async with httpx.AsyncClient() as client:
        return await client.post("https://example.org", json=note)
{HANDLER}
    async def load(key):
        note = await one(session, key)
        {waits}
        return note

    return await asyncio.gather(*(load(key) for key in keys))
"""
    assert found(tmp_path, OWN, HELPERS, body) == {("AL302", "report", "race")}
    (finding,) = autolock.check([tmp_path], cache=False).findings
    assert finding.fix.safety.value == "none"
    assert "may wait for more than the session" in finding.fix.reason


ONE_BY_ONE = {
    "one after the other": "return await count(session), await one(session, 1)",
    "own sessions": "return await asyncio.gather(*(alone(key) for key in keys))",
    "own session in a closure": "async def find(key):\n        async with SessionLocal() as session:\n"
    "            return await session.get(Note, key)\n    return await asyncio.gather(*(find(key) for key in keys))",
    "one of them only": "return await asyncio.gather(count(session), alone(1))",
    "a task that is awaited at once": "first = await asyncio.create_task(count(session))\n"
    "    return first, await asyncio.create_task(one(session, 1))",
    "a lock": "lock = asyncio.Lock()\n    async def find(key):\n        async with lock:\n"
    "            return await session.get(Note, key)\n    return await asyncio.gather(*(find(key) for key in keys))",
    "a session for each turn": "work = []\n    for key in keys:\n        own = SessionLocal()\n"
    "        work.append(one(own, key))\n    return await asyncio.gather(*work)",
}


@pytest.mark.parametrize("body", ONE_BY_ONE.values(), ids=ONE_BY_ONE)
def test_tasks_with_sessions_of_their_own_are_no_finding(body: str, tmp_path: Path) -> None:
    assert found(tmp_path, OWN, HELPERS, f"{HANDLER}    {body}\n") == set()


NO_GENERATORS = {
    "asynccontextmanager": ("@asynccontextmanager", OWN, ADD),
    "contextmanager": (
        "@contextmanager\ndef get_session():\n    with SyncSession() as db:\n        yield db\n",
        ADD_SYNC,
    ),
    "cached generator": ("@lru_cache\ndef get_session():\n    with SyncSession() as db:\n        yield db\n", ADD_SYNC),
    "never closed": ("def get_session():\n    return SyncSession()\n", ADD_SYNC),
    "closed before it is used": (
        "async def get_session():\n    async with SessionLocal() as db:\n        return db\n",
        ADD,
    ),
}


@pytest.mark.parametrize("parts", NO_GENERATORS.values(), ids=NO_GENERATORS)
def test_a_dependency_that_is_no_generator(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, *parts) == {("AL304", "get_session", "race")}


def test_a_context_manager_outside_of_depends_is_no_finding(tmp_path: Path) -> None:
    parts = """
    @app.get("/notes")
    async def notes():
        async with get_session() as session:
            return (await session.scalars(select(Note.body))).all()
    """
    assert found(tmp_path, "@asynccontextmanager", OWN, parts) == set()


TASK = """
async def confirm(session: AsyncSession, key: int) -> None:
    note = await session.get(Note, key)
    note.body = "confirmed"
    await session.commit()

async def confirm_alone(key: int) -> None:
    async with SessionLocal() as session:
        await session.get(Note, key)

async def log(session: AsyncSession) -> None:
    print(session)

async def bodies(session: AsyncSession):
    for body in await session.scalars(select(Note.body)):
        yield body
"""
HAND_OVER = """
@app.post("/confirm")
async def hand_over(key: int, background: BackgroundTasks, session: AsyncSession = Depends(get_session)):
"""
LATER = {
    "a background task": "background.add_task(confirm, session, key)",
    "a keyword": "background.add_task(confirm, session=session, key=key)",
    "a task that nobody waits for": "asyncio.create_task(confirm(session, key))",
    "a stream over a closed session": "async with SessionLocal() as own:\n"
    "        return StreamingResponse(bodies(own))",
}


@pytest.mark.parametrize("body", LATER.values(), ids=LATER)
def test_a_task_that_goes_on_with_the_session_of_the_request(body: str, tmp_path: Path) -> None:
    assert found(tmp_path, OWN, TASK, f"{HAND_OVER}    {body}\n") == {("AL303", "hand_over", "race")}


IN_TIME = {
    "a session of its own": "background.add_task(confirm_alone, key)",
    "no statement": "background.add_task(log, session)",
    "a task that is awaited": "task = asyncio.create_task(confirm(session, key))\n    await task",
    "a stream over the dependency's session": "return StreamingResponse(bodies(session))",
}


@pytest.mark.parametrize("body", IN_TIME.values(), ids=IN_TIME)
def test_a_task_that_does_without_the_session_is_no_finding(body: str, tmp_path: Path) -> None:
    assert found(tmp_path, OWN, TASK, f"{HAND_OVER}    {body}\n") == set()


CELERY = """
from celery import Celery
celery = Celery("notes")
queue: asyncio.Queue[int] = asyncio.Queue()

@celery.task
def send(key: int) -> None:
    with SyncSession() as session:
        session.get(Note, key)

async def confirm_later(key: int) -> None:
    async with SessionLocal() as session:
        await session.get(Note, key)
"""
POST = """
@app.post("/send")
async def post(body: str, background: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    note = Note(body=body)
    session.add(note)
    await session.flush()
"""
COMMITS = """
async def get_session():
    async with SessionLocal() as session:
        yield session
        await session.commit()
"""
COMMIT = "    await session.commit()\n"
EARLY = {
    "a task": (OWN, CELERY, POST, "    send.delay(note.id)\n", COMMIT),
    "a task with options": (OWN, CELERY, POST, "    send.apply_async(args=[note.id])\n", COMMIT),
    "a task by its name": (OWN, CELERY, POST, "    celery.send_task('send', [note.id])\n", COMMIT),
    "a queue": (OWN, CELERY, POST, "    await queue.put(note.id)\n", COMMIT),
    "committed by the dependency": (COMMITS, CELERY, POST, "    send.delay(note.id)\n"),
    "a background task, committed by the dependency": (
        COMMITS,
        CELERY,
        POST,
        "    background.add_task(confirm_later, note.id)\n",
    ),
}


@pytest.mark.parametrize("parts", EARLY.values(), ids=EARLY)
def test_what_is_started_before_the_commit(parts: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + "".join(parts))
    report = autolock.check([tmp_path], cache=False)
    assert [(f.rule, f.place.function, f.fix.safety.value == "safe") for f in report.findings] == [
        ("AL209", "post", False)
    ]


NAMED = """
async def confirm_named(key: int, how: str) -> None:
    async with SessionLocal() as session:
        await session.get(Note, key)

async def confirm_with(session: AsyncSession, key: int, how: str) -> None:
    await session.get(Note, key)
"""


def test_every_route_that_starts_the_same_task_is_told_of(tmp_path: Path) -> None:
    routes = [
        POST.replace('"/send"', f'"/send/{number}"').replace("def post", f"def post{number}")
        + f"    background.add_task(confirm_named, note.id, 'way {number}')\n"
        for number in range(3)
    ]
    assert {(rule, name) for rule, name, _ in found(tmp_path, COMMITS, CELERY, NAMED, *routes)} == {
        ("AL209", f"post{number}") for number in range(3)
    }


def test_every_route_that_lends_its_session_to_the_same_task_is_told_of(tmp_path: Path) -> None:
    routes = [
        f"""
@app.post("/lend/{number}")
async def lend{number}(key: int, background: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    background.add_task(confirm_with, session, key, 'way {number}')
"""
        for number in range(3)
    ]
    assert {(rule, name) for rule, name, _ in found(tmp_path, OWN, NAMED, *routes)} == {
        ("AL303", f"lend{number}") for number in range(3)
    }


IN_ORDER = {
    "after the commit": (OWN, CELERY, POST, COMMIT, "    send.delay(note.id)\n"),
    "about something else": (OWN, CELERY, POST, "    send.delay(7)\n", COMMIT),
    "later": (OWN, CELERY, POST, "    send.apply_async(args=[note.id], countdown=10)\n", COMMIT),
    "a background task, committed by the handler": (
        OWN,
        CELERY,
        POST,
        "    background.add_task(confirm_later, note.id)\n",
        COMMIT,
    ),
    "a background task that asks nothing": (COMMITS, CELERY, POST, "    background.add_task(print, note.id)\n"),
    "a dependency that ends in time": (
        COMMITS,
        CELERY,
        POST.replace("Depends(get_session)", 'Depends(get_session, scope="function")'),
        "    background.add_task(confirm_later, note.id)\n",
    ),
}


@pytest.mark.parametrize("parts", IN_ORDER.values(), ids=IN_ORDER)
def test_what_is_started_after_the_commit_is_no_finding(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert found(tmp_path, *parts) == set()


def test_a_gather_in_a_function_that_the_handler_calls(tmp_path: Path) -> None:
    inner = """
    async def load(session: AsyncSession):
        return await asyncio.gather(count(session), one(session, 1))
    """
    assert found(tmp_path, OWN, HELPERS, inner, f"{HANDLER}    return await load(session)\n") == {
        ("AL302", "load", "race")
    }


def test_a_row_that_a_task_changes_is_no_session(tmp_path: Path) -> None:
    scheduler = """
    class Entry:
        def __init__(self, model: Note):
            self.model = model
            try:
                self.load(model)
            except ValueError:
                asyncio.create_task(self.disable(model))

        async def disable(self, model: Note) -> None:
            model.body = "disabled"
            async with SessionLocal() as session:
                note = await session.get(Note, model.id)
                note.body = "disabled"
                await session.commit()

        async def save(self, session: AsyncSession) -> None:
            note = await session.get(Note, self.model.id)
            note.body = "saved"
            await session.commit()
    """
    assert not {rule for rule, *_ in found(tmp_path, scheduler)} & {"AL302", "AL303"}


def test_a_task_after_a_commit_that_one_way_leaves_out_is_no_finding(tmp_path: Path) -> None:
    parts = """
    @app.post("/maybe")
    async def maybe(body: str, session: AsyncSession = Depends(get_session)):
        note = Note(body=body)
        session.add(note)
        try:
            await session.commit()
        except ValueError:
            print("again")
        send.delay(note.id)
        await session.commit()
    """
    assert not {rule for rule, *_ in found(tmp_path, OWN, CELERY, parts)} & {"AL209"}


LAZY = """
session: AsyncSession | None = None

async def get_session() -> AsyncSession:
    global session
    if session is None:
        session = SessionLocal()
    return session
"""
LAZY_OBJECT = """
class Provider:
    def __init__(self):
        self.kept: AsyncSession | None = None

    async def __call__(self) -> AsyncSession:
        if not self.kept:
            self.kept = SessionLocal()
        return self.kept

get_session = Provider()
"""


def rewritten(folder: Path, *parts: str) -> str:
    """An application after its safe fixes, without its head; a second run leaves it as it is."""
    main = folder / "main.py"
    main.write_text(HEAD + "".join(textwrap.dedent(part) for part in parts))
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    once = main.read_text()
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False)
    assert main.read_text() == once
    return once[once.index("app = FastAPI()") :]


@pytest.mark.parametrize("provider", [LAZY, LAZY_OBJECT])
def test_a_provider_that_opens_a_session_once_opens_one_for_each_request(provider: str, tmp_path: Path) -> None:
    after = rewritten(tmp_path, provider, ADD)
    assert "async with SessionLocal() as" in after
    assert "AsyncSession | None" not in after


def test_a_session_that_others_use_as_well_is_left_where_it_is(tmp_path: Path) -> None:
    other = """
    async def count_notes():
        return await session.scalar(select(func.count()).select_from(Note))
    """
    assert "async with" not in rewritten(tmp_path, LAZY, ADD, other)


GATHERED = """
async def one(session: AsyncSession, key: int):
    return await session.scalar(select(Note.body).where(Note.id == key))

@app.post("/notes/bodies")
async def bodies(keys: list[int], session: AsyncSession = Depends(get_session)):
    BODY
    return found
"""


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (
            "tasks = []\n    for key in keys:\n        tasks.append(one(session, key))\n"
            "    found = await asyncio.gather(*tasks)",
            "found = [await task for task in tasks]",
        ),
        (
            "tasks = [one(session, key) for key in keys]\n    if tasks:\n        found = await asyncio.gather(*tasks)",
            "found = [await task for task in tasks]",
        ),
        (
            "first = one(session, 1)\n    last = one(session, 2)\n    found = await asyncio.gather(first, last)",
            "found = [await first, await last]",
        ),
    ],
)
def test_coroutines_that_do_not_run_yet_are_awaited_in_sequence(body: str, after: str, tmp_path: Path) -> None:
    assert after in rewritten(tmp_path, OWN, GATHERED.replace("BODY", body))


@pytest.mark.parametrize(
    "body",
    [
        "tasks = [asyncio.create_task(one(session, key)) for key in keys]\n    found = await asyncio.gather(*tasks)",
        "tasks = [one(session, key) for key in keys]\n    tasks.reverse()\n    found = await asyncio.gather(*tasks)",
        "tasks = [one(session, key) for key in keys]\n    found = await asyncio.gather(*tasks)\n    tasks.clear()",
    ],
)
def test_what_may_run_already_or_is_used_otherwise_stays_gathered(body: str, tmp_path: Path) -> None:
    assert "await asyncio.gather(*tasks)" in rewritten(tmp_path, OWN, GATHERED.replace("BODY", body))


SERVICE = """
class Notes:
    def __init__(self, session, limit):
        self.session = session
        self.limit = limit
        BESIDE

    def add(self, body: str):
        self.session.add(Note(body=body))
        self.session.commit()

DECORATED
def get_notes() -> Notes:
    return Notes(SyncSession(), limit=sum((2, 3)))

@app.post("/notes")
def add_note(body: str, notes: Notes = Depends(get_notes)):
    notes.add(body)
"""


def service(folder: Path, beside: str = "pass", decorated: str = "@lru_cache") -> str:
    return rewritten(folder, SERVICE.replace("BESIDE", beside).replace("DECORATED", decorated))


def test_a_cached_object_with_a_session_is_made_for_each_request(tmp_path: Path) -> None:
    after = service(tmp_path)
    assert "lru_cache" not in after
    assert "with SyncSession() as session:\n        yield Notes(session, limit=sum((2, 3)))" in after


@pytest.mark.parametrize("beside", ["self.cache = {}", "self.count = 0"])
def test_a_cached_object_that_keeps_more_than_a_session_stays(beside: str, tmp_path: Path) -> None:
    assert "return Notes(SyncSession(), limit=sum((2, 3)))" in service(tmp_path, beside)


def test_the_provider_of_a_cached_object_is_what_is_reported(tmp_path: Path) -> None:
    body = SERVICE.replace("BESIDE", "pass").replace("DECORATED", "@lru_cache")
    assert found(tmp_path, body) == {("AL301", "get_notes", "race")}
    assert found(tmp_path, body.replace("@lru_cache", "")) == set()


KEPT = """
class Database:
    def __init__(self):
        self.{factory} = async_sessionmaker(create_async_engine("postgresql+asyncpg://localhost/more"))
        self.shared = self.{factory}()

database = Database()

def get_session():
    return database.shared
"""


@pytest.mark.parametrize("factory", ["sessions", "make_session"])
def test_an_object_that_keeps_a_session_beside_its_factory_is_asked_for_the_factory(
    factory: str, tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + KEPT.format(factory=factory) + textwrap.dedent(ADD))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    text = main.read_text()
    assert f"async with database.{factory}() as session:\n        yield session" in text
    assert "self.shared" not in text
    assert autolock.check([tmp_path], cache=False).findings == ()


GROUP = """
async def titles(session: AsyncSession, length: int) -> list[str]:
    return list(await session.scalars(select(Note.body).limit(length)))

@app.get("/")
async def page(session: AsyncSession = Depends(get_session)):
    async with asyncio.TaskGroup() as tasks:
        {lines}
    return {answer}
"""


@pytest.mark.parametrize(
    ("lines", "answer", "after"),
    [
        (
            ["few = tasks.create_task(titles(session, 2))", "more = tasks.create_task(titles(session, 9))"],
            "[few.result(), more.result()]",
            "    few = await titles(session, 2)\n    more = await titles(session, 9)\n    return [few, more]",
        ),
        (
            ["tasks.create_task(titles(session, 2))", "tasks.create_task(titles(session, 9))"],
            "None",
            "    await titles(session, 2)\n    await titles(session, 9)\n    return None",
        ),
    ],
)
def test_tasks_of_a_group_are_awaited_one_after_the_other(
    lines: list[str], answer: str, after: str, tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + OWN + GROUP.format(lines=("\n" + 8 * " ").join(lines), answer=answer))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert after in main.read_text()
    assert autolock.check([tmp_path], cache=False).findings == ()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("more.add_done_callback(print)", "more.result()"),
        ("await asyncio.sleep(1)", "more.result()"),
        ("pass", "more"),
    ],
)
def test_tasks_with_which_something_else_is_done_stay_tasks(line: str, answer: str, tmp_path: Path) -> None:
    started = ["few = tasks.create_task(titles(session, 2))", "more = tasks.create_task(titles(session, 9))", line]
    main = tmp_path / "main.py"
    main.write_text(HEAD + OWN + GROUP.format(lines=("\n" + 8 * " ").join(started), answer=answer))
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    assert "create_task" in main.read_text()


POOL = """
from concurrent.futures import ThreadPoolExecutor
from fastapi.concurrency import run_in_threadpool
pool = ThreadPoolExecutor(4)

def sync_session():
    with SyncSession() as session:
        yield session

def body_of(session, key):
    return session.scalar(select(Note.body).where(Note.id == key))

def own_body_of(key):
    with SyncSession() as session:
        return body_of(session, key)

@app.get("/bodies")
"""
DEF = POOL + "def bodies(keys: list[int], session: Session = Depends(sync_session)):\n    "
ASYNC_DEF = POOL + "async def bodies(keys: list[int], session: Session = Depends(sync_session)):\n    "
THREADED = {
    "submit": DEF
    + "futures = [pool.submit(body_of, session, k) for k in keys]\n    return [f.result() for f in futures]\n",
    "map": DEF
    + "with ThreadPoolExecutor() as own:\n        return list(own.map(lambda k: body_of(session, k), keys))\n",
    "to_thread": ASYNC_DEF
    + "return await asyncio.gather(asyncio.to_thread(body_of, session, 1), run_in_threadpool(body_of, session, 2))\n",
}
ALONE = {
    "one after the other": DEF + "return [pool.submit(body_of, session, k).result() for k in keys]\n",
    "sessions of their own": DEF + "return list(pool.map(own_body_of, keys))\n",
    "awaited": ASYNC_DEF + "return [await asyncio.to_thread(body_of, session, k) for k in keys]\n",
    "the only one": ASYNC_DEF
    + "return await asyncio.gather(asyncio.to_thread(body_of, session, 1), asyncio.sleep(1))\n",
}


@pytest.mark.parametrize("text", THREADED.values(), ids=THREADED)
def test_threads_that_use_one_session(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + text)
    assert [(f.rule, f.place.function) for f in autolock.check([tmp_path], cache=False).findings] == [
        ("AL302", "bodies")
    ]


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
def test_threads_that_use_one_session_by_turns_or_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + text)
    assert not autolock.check([tmp_path], cache=False).findings


def test_threads_that_are_gathered_run_by_turns_and_those_of_a_pool_are_left(tmp_path: Path) -> None:
    submitting = "\n@app" + THREADED["submit"].partition("@app")[2].replace("bodies", "others")
    (tmp_path / "main.py").write_text(HEAD + THREADED["to_thread"] + submitting)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    after = "".join((tmp_path / "main.py").read_text().split())
    assert "return[awaitasyncio.to_thread(body_of,session,1),awaitrun_in_threadpool(body_of,session,2)" in after
    assert "futures=[pool.submit(body_of,session,k)forkinkeys]" in after


CLOSING = """
async def close(session, note):
    await asyncio.sleep(1)
    note.body = ""
    await session.commit()

@app.post("/notes/{key}")
async def clear(key: int, tasks: BackgroundTasks, session: AsyncSession = Depends(get_session)):
    note = await session.get(Note, key)
    START
"""


@pytest.mark.parametrize("start", ["tasks.add_task(close, session, note)", "asyncio.create_task(close(session, note))"])
def test_a_task_that_only_commits_keeps_the_session_as_well(start: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + OWN + CLOSING.replace("START", start))
    assert [f.rule for f in autolock.check([tmp_path], cache=False).findings] == ["AL303"]
