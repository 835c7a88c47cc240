"""Requests that prove who sends them, and values that keep to a pattern, are made without a scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_prove import played

from autolock.prove.patterns import shortest_match
from autolock.prove.proof import Verdict
from autolock.prove.scenario import Race, Scenario

COUNT = """
count = 0

@app.post("/count", dependencies=[Depends(allowed)])
async def increment():
    global count
    seen = count
    await asyncio.sleep(0)
    count = seen + 1
    return {}
"""

CONSTANT = """
from fastapi import Depends, Header

async def allowed(x_admin_token: str = Header("")):
    if x_admin_token != "letmein":
        raise HTTPException(403)
"""
COOKIE = """
from fastapi import Cookie, Depends

SESSIONS = {"s-1": "ada"}

async def allowed(sid: str = Cookie("")):
    if sid not in SESSIONS:
        raise HTTPException(401)
"""
REGISTERED = """
from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

people, tokens = {}, {}

class Person(BaseModel):
    email: str
    password: str

@app.post("/people")
async def register(person: Person):
    people[person.email] = person.password
    return {"email": person.email}

@app.post("/login")
async def sign_in(person: Person):
    if people.get(person.email) != person.password:
        raise HTTPException(401)
    token = str(uuid.uuid4())
    tokens[token] = person.email
    return {"access_token": token, "token_type": "bearer"}

async def allowed(token: str = Depends(OAuth2PasswordBearer("login"))):
    if token not in tokens:
        raise HTTPException(401)
"""


SETTING = """
import hmac
from fastapi import Depends, Header
from pydantic import SecretStr

tokens = {f"kind-{n}": f"what kind {n} of token is for" for n in range(40)}

class Settings:
    def __init__(self):
        self.gate = SecretStr("open-sesame")

settings = Settings()

async def allowed(x_gate: str = Header("")):
    if not hmac.compare_digest(x_gate, settings.gate.get_secret_value()):
        raise HTTPException(401)
"""
#: A member who must know the house's word is asked for nothing that could be guessed.
MEMBERS = """
from fastapi import Cookie, Depends, Response
from pydantic import BaseModel

members, visits = {}, {}

class Member(BaseModel):
    email: str
    password: str
    WORD

@app.post("/join")
async def join(member: Member):
    REFUSE
    members[member.email] = member.password
    return {}

@app.post("/enter")
async def enter(member: Member, response: Response):
    if members.get(member.email) != member.password:
        raise HTTPException(401)
    visit = str(uuid.uuid4())
    visits[visit] = member.email
    response.set_cookie("visit", visit)
    return {"visit": {"number": visit}}

async def allowed(visit: str = Cookie("")):
    if visit not in visits:
        raise HTTPException(401)
"""
SIGNED_BY = {
    "constant": CONSTANT,
    "cookie": COOKIE,
    "registered": REGISTERED,
    "setting": SETTING,
    "registered with a plain password": REGISTERED.replace(
        "    password: str", "    password: str = Field(pattern='^[a-zA-Z0-9]{9,}$')"
    ).replace("import BaseModel", "import BaseModel, Field"),
    "cookie of a sign-in": MEMBERS.replace("WORD", "").replace("REFUSE", ""),
}


@pytest.mark.parametrize("source", SIGNED_BY.values(), ids=SIGNED_BY.keys())
def test_a_route_that_wants_to_know_who_asks_is_driven(tmp_path: Path, source: str) -> None:
    side = played(tmp_path, source + COUNT, "POST /count")
    assert side.verdict is Verdict.WITNESSED, side.why_not
    assert side.decisive is not None
    assert side.decisive.result["witness"]["state"]["main.count"] == 1


@pytest.mark.parametrize("proof", ["{enter.cookies}", "visit={enter.body.visit.number}"])
def test_a_scenario_refers_to_what_was_answered_before(tmp_path: Path, proof: str) -> None:
    word = "if member.word != 'swordfish' * 2: raise HTTPException(400)"
    source = MEMBERS.replace("WORD", "word: str = ''").replace("REFUSE", word) + COUNT
    assert played(tmp_path, source, "POST /count").verdict is Verdict.NOT_DRIVEN
    ada = {"email": "ada@example.com", "password": "secret", "word": "swordfishswordfish"}
    joins = {"method": "POST", "path": "/join", "body": ada}
    enters = {"method": "POST", "path": "/enter", "body": ada, "name": "enter"}
    counts = {"method": "POST", "path": "/count", "headers": {"Cookie": proof}}
    for scenario in (
        Scenario(setup=(joins, enters), races=(Race((counts,)),)),
        Scenario(setup=(joins,), races=(Race((counts,), prelude=(enters,)),)),
    ):
        side = played(tmp_path, source, "POST /count", scenario)
        assert side.verdict is Verdict.WITNESSED, side.why_not


def test_a_pattern_of_a_body_is_kept_to(tmp_path: Path) -> None:
    source = r"""
    from pydantic import BaseModel, Field
    seen = {}

    class Parcel(BaseModel):
        country: str = Field(pattern=r"^[A-Z]{2}$")
        code: str = Field(pattern=r"^\d{4}-[^\W\d]+(x|y)$")

    @app.post("/parcels")
    async def send(parcel: Parcel):
        number = seen.get(parcel.country, 0)
        await asyncio.sleep(0)
        seen[parcel.country] = number + 1
        return {}
    """
    side = played(tmp_path, source, "POST /parcels")
    assert side.verdict is Verdict.WITNESSED, side.why_not


@given(
    st.sampled_from(["^[A-Z]{2}$", r"^\d+$", "a|b", "^(ab){2,}c?$", "[^a]", r"^[\w.-]+@[\w-]+\.\w{2,}$", r"^\S{3}$"])
)
def test_a_made_text_matches_its_pattern(pattern: str) -> None:
    text = shortest_match(pattern)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize("pattern", [r"(a)\1", "(", "(?<!x)^y(?=z)"])
def test_a_pattern_that_is_not_understood_gives_nothing(pattern: str) -> None:
    assert shortest_match(pattern) is None


def test_a_route_that_forbids_one_thing_is_tried_on_others(tmp_path: Path) -> None:
    source = """
    boxes = {"first": {"closed": True, "count": 0}, "second": {"closed": False, "count": 0}}

    @app.post("/boxes/{box}")
    async def put(box: str):
        if box not in boxes or boxes[box]["closed"]:
            raise HTTPException(403)
        seen = boxes[box]["count"]
        await asyncio.sleep(0)
        boxes[box]["count"] = seen + 1
        return {}
    """
    side = played(tmp_path, source, "POST /boxes/{box}")
    assert side.verdict is Verdict.WITNESSED, side.why_not
