"""`prove --init` writes a scenario that can be used as it is, and says where a person must fill in."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import COUNTER, HEAD

from autolock.prove.scenario import Scenario

PURSES = """
from fastapi import Depends, Header

purses = {}

@app.post("/purses")
async def open_purse(owner: str, cents: int):
    purses[owner] = cents
    return {"owner": owner}

@app.post("/purses/{owner}/spendings")
async def spend(owner: str):
    if purses.get(owner, 0) < 1:
        raise HTTPException(409)
    seen = purses[owner]
    await asyncio.sleep(0)
    purses[owner] = seen - 1
    return {"left": purses[owner]}

def current_user():
    raise HTTPException(401)

resets = 0

@app.post("/resets")
async def reset(user=Depends(current_user)):
    global resets
    seen = resets
    await asyncio.sleep(0)
    resets = seen + 1
    return {}
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


def test_what_was_found_out_is_used_and_the_rest_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    cli.write("main.py", HEAD + PURSES)
    done = cli("prove", "--init")
    assert done.code == 0, done.err
    text = cli.read("prove.toml")
    scenario = Scenario.read(tmp_path / "prove.toml")
    assert scenario.app == "main:app"
    (race,) = scenario.races
    assert race.route == "POST /purses/{owner}/spendings"
    assert [request["path"] for request in race.prelude] == ["/purses"]
    assert "# FILL IN what POST /resets may get in its place" in text
    assert '# "main:current_user" = { value = { id = 1 } }' in text

    done = cli("prove", "--scenario", "prove.toml", "--route", "POST /purses/{owner}/spendings", "--against", "before")
    assert "before: witnessed" in done.out, done.err

    answered = text.replace('# "main:current_user"', '"main:current_user"')
    cli.write("prove.toml", answered)
    done = cli("prove", "--scenario", "prove.toml", "--route", "POST /resets", "--against", "before")
    assert "before: witnessed" in done.out, done.err


def test_settings_are_asked_for_where_the_application_does_not_start(cli: Cli, tmp_path: Path) -> None:
    reads = 'import os\nkey = {"eu": 1, "us": 2}[os.environ["REGION"]]\n'
    cli.write("main.py", HEAD + reads + COUNTER.replace("GUARD", "if True:"))
    assert cli("prove", "--init", "--scenario", "how.toml").code == 0
    text = cli.read("how.toml")
    assert "does not start: importing main:app fails: KeyError" in text
    assert "# REGION = " in text
    assert '# route = "POST /count"' in text
    cli.write("how.toml", text.replace("[env]", '[env]\nREGION = "eu"'))
    done = cli("prove", "--scenario", "how.toml", "--against", "before")
    assert "before: witnessed" in done.out, done.err


def test_what_the_environment_must_hold_is_made_up(cli: Cli, tmp_path: Path) -> None:
    cli.write(
        "main.py",
        f"""{HEAD}
import os
from typing import Literal
class BaseSettings:
    def __init__(self):
        for name, kind in type(self).__annotations__.items():
            setattr(self, name, os.environ["HALL_" + name.upper()])
class Settings(BaseSettings):
    env_prefix = "HALL_"
    mode: Literal["dev", "live"]
    signing_secret: str
    ttl_minutes: int
    doors: str
settings = Settings()
assert settings.mode == "dev" and int(settings.ttl_minutes) and settings.doors == "7"
rounds = int(os.getenv("ROUNDS"))
"""
        + COUNTER.replace("GUARD", "if True:"),
    )
    cli.write(".env.example", "HALL_DOORS=7\nHALL_SIGNING_SECRET=<your secret>\n")
    assert cli("prove", "--init").code == 0
    scenario = Scenario.read(tmp_path / "prove.toml")
    assert scenario.env.keys() == {*("HALL_MODE", "HALL_SIGNING_SECRET", "HALL_TTL_MINUTES", "HALL_DOORS", "ROUNDS")}
    assert [race.route for race in scenario.races] == ["POST /count"]


@pytest.mark.parametrize(("imported", "name"), [("hall.doors", "hall.main:app"), ("doors", "main:app")])
def test_an_application_is_imported_from_where_its_own_imports_are_found(
    cli: Cli, tmp_path: Path, imported: str, name: str
) -> None:
    cli.write("hall/doors.py", "width = 3")
    cli.write("hall/main.py", f"import {imported}\n{HEAD}" + COUNTER.replace("GUARD", "if True:"))
    assert cli("prove", "--init").code == 0
    scenario = Scenario.read(tmp_path / "prove.toml")
    assert scenario.app == name
    done = cli("prove", "--scenario", "prove.toml", "--against", "before")
    assert "before: witnessed" in done.out, done.err


def test_a_package_that_is_missing_is_named_with_the_interpreter(cli: Cli) -> None:
    cli.write("main.py", f"import a_package_that_nobody_has\n{HEAD}" + COUNTER.replace("GUARD", "if True:"))
    done = cli("prove", "--against", "before")
    told = " ".join(done.out.split())
    assert "has no module 'a_package_that_nobody_has'; --python names" in told


def test_a_scenario_is_never_overwritten(cli: Cli) -> None:
    cli.write("main.py", HEAD)
    cli.write("prove.toml", "mine")
    done = cli("prove", "--init")
    assert done.code == 2
    assert "prove.toml: exists already" in done.err
    assert cli.read("prove.toml") == "mine"
