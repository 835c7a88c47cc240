"""Keys of redis that open something once, are counted up, or hold an object with fields."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import redis.asyncio as redis
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()
client = redis.Redis()

class Base(DeclarativeBase):
    pass

class Visit(Base):
    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    guest: Mapped[str]

async def get_session():
    async with SessionLocal() as session:
        yield session

@app.post("/enter/{guest}")
async def enter(guest: str, code: str, session: AsyncSession = Depends(get_session)):
"""
ADMIT = "session.add(Visit(guest=guest))\nawait session.commit()\n"


def findings(tmp_path: Path, body: str) -> list[tuple[str, str]]:
    (tmp_path / "app.py").write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    found = autolock.check([tmp_path]).findings
    return [(f.rule, f.fix.reason) for f in found if f.certainty.value == "race"]


def test_a_code_that_is_asked_for_and_then_deleted_opens_the_door_twice(tmp_path: Path) -> None:
    body = """
    expected = await client.get(f"code:{guest}")
    if expected is None or expected != code:
        raise HTTPException(401)
    await client.delete(f"code:{guest}")
    """
    ((rule, advice),) = findings(tmp_path, textwrap.dedent(body) + ADMIT)
    assert rule == "AL207"
    assert "getdel" in advice


@pytest.mark.parametrize(
    "body",
    [
        'if await client.getdel(f"code:{guest}") != code:\n    raise HTTPException(401)\n' + ADMIT,
        'if await client.get(f"seen:{guest}"):\n    await client.delete(f"seen:{guest}")\n' + ADMIT,
        'if not await client.exists(f"code:{guest}"):\n    raise HTTPException(404)\n'
        'await client.delete(f"code:{guest}")\n',
    ],
    ids=["taken in one step", "a cache is emptied", "nothing follows"],
)
def test_a_key_that_is_deleted_otherwise_opens_nothing_twice(tmp_path: Path, body: str) -> None:
    assert findings(tmp_path, body) == []


LIMIT = """
seen = await client.get(f"visits:{guest}")
if seen and int(seen) >= 5:
    raise HTTPException(429)
"""


@pytest.mark.parametrize(
    "counting",
    [
        'await client.incr(f"visits:{guest}")\n',
        'pipe = client.pipeline()\npipe.incr(f"visits:{guest}")\npipe.expire(f"visits:{guest}", 60)\n'
        "await pipe.execute()\n",
    ],
    ids=["at once", "in a pipeline"],
)
def test_a_limit_that_is_asked_for_before_the_count_lets_more_in(tmp_path: Path, counting: str) -> None:
    assert [rule for rule, _ in findings(tmp_path, LIMIT + counting)] == ["AL202"]


def test_a_count_that_is_compared_after_it_went_up_is_right(tmp_path: Path) -> None:
    body = 'if await client.incr(f"visits:{guest}") > 5:\n    raise HTTPException(429)\n'
    assert findings(tmp_path, body) == []


def test_what_a_pipeline_watches_is_not_counted_past_its_limit(tmp_path: Path) -> None:
    body = """
    async with client.pipeline() as pipe:
        await pipe.watch(f"visits:{guest}")
        if int(await pipe.get(f"visits:{guest}")) >= 5:
            raise HTTPException(429)
        pipe.multi()
        pipe.incr(f"visits:{guest}")
        await pipe.execute()
    """
    assert findings(tmp_path, body) == []


@pytest.mark.parametrize(("field", "rules"), [("fails", ["AL202"]), ("last", [])])
def test_a_field_of_a_hash_that_is_worked_out_from_itself(tmp_path: Path, field: str, rules: list[str]) -> None:
    body = f"""
    state = await client.hgetall(f"door:{{guest}}")
    if not state:
        raise HTTPException(404)
    await client.hset(f"door:{{guest}}", "{field}", str(int(state["fails"]) + 1))
    """
    assert [rule for rule, _ in findings(tmp_path, body)] == rules


def test_keys_that_are_taken_away_one_after_the_other_are_no_two_halves(tmp_path: Path) -> None:
    body = """
    await client.set(f"seen:{guest}", "yes")
    await client.delete(f"code:{guest}")
    await client.delete(f"door:{guest}")
    """
    assert findings(tmp_path, body) == []


def test_a_client_that_tests_replace_is_a_client(tmp_path: Path) -> None:
    (tmp_path / "clients.py").write_text(
        "import os\nimport redis.asyncio as redis\n\n"
        "def make():\n    if os.environ.get('TESTING'):\n        from fakeredis import FakeAsyncRedis\n\n"
        "        return FakeAsyncRedis()\n    return redis.Redis()\n\ncache = make()\n"
    )
    body = LIMIT.replace("client.", "cache.") + 'await cache.incr(f"visits:{guest}")\n'
    assert [rule for rule, _ in findings(tmp_path, "from clients import cache\n" + body)] == ["AL202"]


def test_a_helper_that_works_on_many_keys_is_told_of_once_and_by_the_key_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import json
            import redis
            from fastapi import FastAPI

            app = FastAPI()
            client = redis.Redis()
            HISTORY = "history:{session}"

            def use(feature, org_id):
                used = client.get(f"{feature}_usage:{org_id}")
                client.set(f"{feature}_usage:{org_id}", int(used or 0) + 1)

            @app.post("/courses")
            def course(org_id: int):
                use("courses", org_id)

            @app.post("/members")
            def member(id: int):
                use("members", id)

            @app.post("/say")
            def say(session: str, text: str):
                key = HISTORY.format(session=session)
                said = json.loads(client.get(key))
                client.set(key, json.dumps([*said, text]))
            """
        )
    )
    found = autolock.check([tmp_path], cache=False).findings
    assert [(f.rule, f.place.function) for f in found] == [("AL202", "use"), ("AL202", "say")]
    assert found[1].location == "history:{session}.value"
    assert found[1].message.startswith("`say` reads the key `history:{session}`")
