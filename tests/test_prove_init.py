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
    cli.write("main.py", HEAD + 'import os\nkey = os.environ["MAIL_KEY"]\n' + COUNTER.replace("GUARD", "if True:"))
    assert cli("prove", "--init", "--scenario", "how.toml").code == 0
    text = cli.read("how.toml")
    assert "does not start: importing main:app fails: KeyError: 'MAIL_KEY'" in text
    assert '# route = "POST /count"' in text
    cli.write("how.toml", text.replace("[env]", '[env]\nMAIL_KEY = "x"'))
    done = cli("prove", "--scenario", "how.toml", "--against", "before")
    assert "before: witnessed" in done.out, done.err


def test_a_scenario_is_never_overwritten(cli: Cli) -> None:
    cli.write("main.py", HEAD)
    cli.write("prove.toml", "mine")
    done = cli("prove", "--init")
    assert done.code == 2
    assert "prove.toml: exists already" in done.err
    assert cli.read("prove.toml") == "mine"
