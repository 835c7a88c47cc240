"""Turns of one conversation that two messages at once would mix, and the lock that each conversation gets."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from collections import defaultdict
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI
from pydantic import BaseModel

app = FastAPI()
client = AsyncOpenAI()
slots = asyncio.Semaphore(8)

class Said(BaseModel):
    session: str
    text: str

async def ask(messages):
    async with slots:
        answer = await client.chat.completions.create(model="gpt-5", messages=messages)
    return answer.choices[0].message.content
"""

BY_ALIAS = """
sessions = {}

@app.post("/chat")
async def chat(said: Said):
    history = sessions.setdefault(said.session, [])
    history.append(said.text)
    reply = await ask(history)
    history.append(reply)
    return reply
"""

BY_STORE = """
class Store:
    def __init__(self):
        self._turns = defaultdict(list)

    def add(self, session, text):
        self._turns[session].append(text)

    def of(self, session):
        return self._turns[session]

store = Store()

@app.post("/chat")
async def chat(said: Said):
    store.add(said.session, said.text)
    reply = await ask(store.of(said.session))
    store.add(said.session, reply)
    return reply
"""

BY_OBJECT = """
class Chat:
    def __init__(self):
        self.turns = []

    async def say(self, text):
        self.turns.append(text)
        reply = await ask(self.turns)
        self.turns.append(reply)
        return reply

chats = {}

@app.post("/chats/{name}")
async def chat(name: str, said: Said):
    if name not in chats:
        chats[name] = Chat()
    return await chats[name].say(said.text)
"""


def written(folder: Path, text: str) -> Path:
    main = folder / "main.py"
    main.write_text(textwrap.dedent(HEAD) + text, encoding="utf-8")
    return main


def found(folder: Path, text: str) -> list[autolock.Finding]:
    written(folder, text)
    return [f for f in autolock.check([folder], cache=False).findings if f.rule == "AL402"]


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        (BY_ALIAS, "sessions_locks[said.session]"),
        (BY_STORE, "store_locks[said.session]"),
        (BY_OBJECT, "self._turns_lock"),
    ],
    ids=["a list by a name of its own", "methods of a store", "an object of its own"],
)
def test_each_conversation_gets_a_lock_from_the_turn_to_its_answer(tmp_path: Path, text: str, lock: str) -> None:
    main = written(tmp_path, text)
    autolock.fix([tmp_path], apply=True, allow_dirty=True, cache=False)
    taken = [n for n in ast.walk(ast.parse(main.read_text(encoding="utf-8"))) if isinstance(n, ast.AsyncWith)]
    held = next(n for n in taken if ast.unparse(n.items[0].context_expr) == lock)
    assert len(held.body) == 3
    assert "ask(" in ast.unparse(held.body[1])
    assert autolock.check([tmp_path], cache=False).findings == ()


def test_turns_added_together_after_the_answer_are_not_mixed(tmp_path: Path) -> None:
    after = "    reply = await ask([*history, said.text])\n    history.extend([said.text, reply])\n"
    before = "    history.append(said.text)\n    reply = await ask(history)\n    history.append(reply)\n"
    assert found(tmp_path, BY_ALIAS.replace(before, after)) == []


def test_a_conversation_of_this_request_only_is_its_own(tmp_path: Path) -> None:
    assert found(tmp_path, BY_ALIAS.replace("sessions.setdefault(said.session, [])", "[]")) == []


def test_turns_that_another_function_adds_as_well_are_told_of_and_left_alone(tmp_path: Path) -> None:
    other = '\n@app.post("/note")\nasync def note(said: Said):\n    sessions[said.session].append(said.text)\n'
    (finding,) = found(tmp_path, BY_ALIAS + other)
    assert finding.place.function == "chat"
    assert finding.fix.safety.value == "none"
    assert "`note`" in finding.fix.reason


def test_a_list_that_is_replaced_after_the_answer_is_left_alone(tmp_path: Path) -> None:
    text = BY_ALIAS.replace("    return reply", "    sessions[said.session] = history[-20:]\n    return reply")
    assert {f.fix.safety.value for f in found(tmp_path, text)} == {"none"}


@pytest.mark.parametrize(
    ("call", "is_model"),
    [
        ("helper.chat(model='small', messages=history)", True),
        ("helper.generate(model='small', prompt=history)", True),
        ("helper.create(model='small', prompt=history)", False),
        ("helper.chat(history)", False),
    ],
)
def test_a_client_that_is_given_a_model_and_messages_is_one_of_a_model(
    tmp_path: Path, call: str, is_model: bool
) -> None:
    text = "from vendor import Client\n\nhelper = Client()\n" + BY_ALIAS.replace("ask(history)", call)
    assert bool(found(tmp_path, text)) is is_model


STORED = """
sessions = {}

@app.post("/chat")
async def chat(said: Said):
    name = said.session.lower()
    history = sessions.get(name, [])
    reply = await ask([*history, said.text])
    sessions[name] = [*history, said.text, reply]
    return reply
"""

DRAWN = """
class Studio:
    def __init__(self):
        self._left = {}

    def left(self, user):
        return self._left.get(user, 3)

    async def draw(self, user, text):
        left = self.left(user)
        if left < 1:
            raise HTTPException(402)
        picture = await ask(text)
        self._left[user] = left - 1
        return picture

studio = Studio()

@app.post("/pictures/{who}")
async def picture(who: str, said: Said):
    return await studio.draw(who, said.text)
"""


def locked(folder: Path, text: str, *, unsafe: bool = False) -> str:
    main = written(folder, text)
    autolock.fix([folder], apply=True, allow_dirty=True, cache=False, unsafe=unsafe)
    return main.read_text(encoding="utf-8")


def test_who_is_after_another_conversation_does_not_wait(tmp_path: Path) -> None:
    after = locked(tmp_path, STORED)
    assert "sessions_locks = defaultdict(asyncio.Lock)" in after
    assert after.index("async with sessions_locks[name]:") < after.index("history = sessions.get(name, [])")


def test_a_budget_has_a_lock_for_each_key_as_the_function_names_it(tmp_path: Path) -> None:
    assert locked(tmp_path, DRAWN) == textwrap.dedent(HEAD) + DRAWN
    after = locked(tmp_path, DRAWN, unsafe=True)
    assert "self._left_locks = defaultdict(asyncio.Lock)" in after
    assert after.index("async with self._left_locks[user]:") < after.index("left = self.left(user)")


FORGETTING = '\n@app.delete("/chats/{name}")\nasync def forget(name: str):\n    sessions[name] = []\n'


HELPER = """
class Helper:
    async def chat(self, model, messages):
        await asyncio.sleep(0.01)
        return messages[-1]

helper = Helper()
"""


@pytest.mark.parametrize(("bound", "safety"), [("slots", "unsafe"), ("asyncio.Semaphore(8)", "safe")])
def test_one_lock_for_all_is_only_offered_where_it_would_leave_one_slot_in_use(
    tmp_path: Path, bound: str, safety: str
) -> None:
    asks = f"async with {bound}:\n        reply = await helper.chat(model='small', messages=[*history, said.text])"
    text = STORED.replace("reply = await ask([*history, said.text])", asks) + FORGETTING
    (finding,) = found(tmp_path, HELPER + text)
    assert finding.fix.safety.value == safety
    assert ("`slots`" in finding.fix.reason) is (safety == "unsafe")


def test_who_throws_out_others_has_one_lock_for_all(tmp_path: Path) -> None:
    evicting = STORED.replace("sessions = {}", "from collections import OrderedDict\n\nsessions = OrderedDict()")
    evicting = evicting.replace(
        "    return reply", "    if len(sessions) > 99:\n        sessions.popitem()\n    return reply"
    )
    after = locked(tmp_path, evicting, unsafe=True)
    assert "sessions_lock = asyncio.Lock()" in after
    assert "sessions_locks" not in after
