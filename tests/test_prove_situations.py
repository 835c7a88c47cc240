"""Requests are raced where it matters: for the last time that they are answered alike, after what makes others answer
otherwise, between two things in either order; and the tasks of one request against each other.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from test_prove import HEAD, played

import autolock
from autolock.api import combined
from autolock.prove.proof import Bounds, Proof, Subject, Verdict
from autolock.prove.prover import Prover
from autolock.prove.requests import to_the_limit
from autolock.prove.scenario import Race, Scenario
from autolock.prove.telling import Lanes, summary


def proved(folder: Path, source: str, *, fixed: bool = True) -> list[Proof]:
    """The proofs of all findings of an application, before their fixes and after; or after nothing was `fixed`."""
    (folder / "main.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    report = autolock.fix([folder], cache=False)
    subjects = [Subject.of(one, report.findings) for one in report.findings]
    with Prover(folder, combined(report) if fixed else (), bounds=Bounds(seconds=30)) as prover:
        return prover.prove(subjects)


def test_requests_that_prepare_draw_other_random_values_than_those_that_race(tmp_path: Path) -> None:
    """With the same tokens, the third session would take the place of the first."""
    source = """
    import secrets
    sessions = {}

    @app.post("/users/{user}/sessions", status_code=201)
    async def sign_in(user: str):
        if sum(one == user for one in sessions.values()) >= 2:
            raise HTTPException(409)
        await asyncio.sleep(0)
        token = secrets.token_hex(8)
        sessions[token] = user
        return {"token": token}
    """
    side = played(tmp_path, source, "POST /users/{user}/sessions")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert [answer["status"] for answer in side.decisive.result["witness"]["responses"]] == [201, 201]


def test_what_is_counted_when_requests_are_refused_is_raced_for_the_last_refusal(tmp_path: Path) -> None:
    source = """
    from pydantic import BaseModel
    wrong = {"ada": 0}

    class Login(BaseModel):
        password: str

    @app.post("/login")
    async def login(attempt: Login):
        if wrong["ada"] >= 3:
            raise HTTPException(423)
        await asyncio.sleep(0)
        if attempt.password != "rosebud" + "!":
            wrong["ada"] += 1
            raise HTTPException(400)
        return {"signed": "in"}
    """
    side = played(tmp_path, source, "POST /login")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert side.decisive.result["witness"]["state"]["main.wrong"] == {"ada": 4}


def test_another_route_may_bring_about_what_has_to_be_raced(tmp_path: Path) -> None:
    source = """
    machine = {"up": True, "failures": 0, "closed": False}

    @app.post("/machine/{state}")
    async def switch(state: str):
        machine["up"] = state == "up"
        return state

    @app.get("/answer")
    async def answer():
        if machine["closed"]:
            raise HTTPException(503)
        await asyncio.sleep(0)
        if machine["up"]:
            return 42
        machine["failures"] += 1
        machine["closed"] = machine["failures"] >= 2
        raise HTTPException(502)
    """
    side = played(tmp_path, source, "GET /answer")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert [request["path"].split("/")[1] for request in side.decisive.race.prelude] == ["machine", "answer"]


def test_two_things_are_raced_in_either_order(tmp_path: Path) -> None:
    source = """
    from pydantic import BaseModel
    purses = {"ada": 5, "bob": 5}
    locks = {"ada": asyncio.Lock(), "bob": asyncio.Lock()}

    class Transfer(BaseModel):
        source: str
        target: str

    @app.post("/transfers")
    async def transfer(order: Transfer):
        if order.source == order.target or {order.source, order.target} - set(purses):
            raise HTTPException(404)
        async with locks[order.source]:
            await asyncio.sleep(0)
            async with locks[order.target]:
                purses[order.source] -= 1
                purses[order.target] += 1
        return {}
    """
    side = played(tmp_path, source, "POST /transfers")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    first, second = (request["body"] for request in side.decisive.race.requests)
    assert (first["source"], first["target"]) == (second["target"], second["source"])
    assert "every request waits" in side.decisive.result["witness"]["why"]


def test_the_tasks_of_one_request_are_played_against_each_other(tmp_path: Path) -> None:
    source = """
    jobs = {}

    async def scan(name: str):
        seen = jobs[name]
        await asyncio.sleep(0)
        jobs[name] = seen + 1

    @app.post("/jobs/{name}")
    async def start(name: str, pages: int):
        if name in jobs:
            raise HTTPException(409)
        jobs[name] = 0
        await asyncio.gather(*(scan(name) for _ in range(pages)))
        return {"pages": pages}
    """
    (proof,) = proved(tmp_path, source)
    assert proof.before is not None
    assert proof.before.verdict is Verdict.WITNESSED
    assert proof.before.decisive is not None
    (request,) = proof.before.decisive.race.requests
    assert request["query"] == {"pages": 3}


def test_another_race_of_the_same_route_is_told_as_such_and_no_fault_of_the_fix(tmp_path: Path) -> None:
    source = """
    stock = {"mug": 9}
    gifts = {"mug": 9}

    @app.post("/purchase")
    async def purchase(gift: bool = False):
        if gift:
            left = gifts["mug"]
            await asyncio.sleep(0)
            gifts["mug"] = left - 1
        left = stock["mug"]
        await asyncio.sleep(0)
        stock["mug"] = left - 1
        return {}
    """
    proofs = {proof.subject.finding.location: proof for proof in proved(tmp_path, source, fixed=False)}
    told = {location: (proof.before.decisive.off_target, proof.fix_fails) for location, proof in proofs.items()}
    assert told == {"gifts": (True, False), "stock": (False, True)}
    assert "another race" in summary("before", proofs["gifts"].before, Bounds())


def test_what_is_left_half_done_is_seen_although_the_next_request_completes_it(tmp_path: Path) -> None:
    source = """
    import os, sqlite3

    def rows():
        return sqlite3.connect(os.path.join(os.path.dirname(__file__), "people.db"), isolation_level=None)

    with rows() as first:
        first.execute("CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name TEXT, town TEXT)")
        first.execute("INSERT INTO people (id, name, town) VALUES (1, 'ada', 'york')")

    @app.put("/people/{id}")
    async def change(id: int, name: str, town: str):
        with rows() as connection:
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, id))
            await asyncio.sleep(0)
            connection.execute("UPDATE people SET town = ? WHERE id = ?", (town, id))
        return {}
    """
    request = {"method": "PUT", "path": "/people/1", "query": {"name": "bob", "town": "hull"}}
    (tmp_path / "main.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    for requests, verdict in (((request, request), Verdict.HELD), ((request,), Verdict.WITNESSED)):
        race = Race(requests, route="PUT /people/{id}", failing="tables")
        with Prover(tmp_path, (), scenario=Scenario(races=(race,)), bounds=Bounds(requests=1)) as prover:
            side = prover.before([Subject(("PUT /people/{id}",))])["PUT /people/{id}"]
        assert side.verdict is verdict, side.why_not


def test_of_a_witness_on_worker_threads_the_lines_are_told_where_requests_meet(tmp_path: Path) -> None:
    quiet = "\n".join(f"    step_{number} = {number}" for number in range(30))
    source = f"""
total = {{"cents": 0}}

@app.post("/cents")
def deposit():
{quiet}
    seen = total["cents"]
    total["cents"] = seen + 1
    return {{}}
"""
    side = played(tmp_path, source, "POST /cents")
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    told = [step.code for step in Lanes(tmp_path).steps(side.decisive)]
    assert told.count('seen = total["cents"]') == 2
    assert len(told) < 12
    assert len(side.decisive.result["witness"]["steps"]) > 60


def test_a_request_that_waits_for_ever_is_not_the_last_of_those_that_are_served() -> None:
    request = {"method": "POST", "path": "/taken", "query": {}, "headers": {}}
    served: dict[str, object] = {"status": 200, "body": {}}
    refused = {"status": 409, "body": {}}

    def limited(last: object) -> object:
        return to_the_limit(request, {}, lambda sent: {"responses": [served] * 3 + [last] * (len(sent) - 3)})

    assert limited(refused) == ([request, request], request)
    assert limited(None) is None
