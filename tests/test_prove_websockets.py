"""WebSockets are raced as connections that stay open; what their clients hear is part of the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import HEAD, played
from test_prove_generated import run_alone

from autolock.prove.proof import Verdict
from autolock.prove.scenario import Race, Scenario

TABLE = """
from fastapi import WebSocket, WebSocketDisconnect

players = {}

@app.websocket("/tables/{name}")
async def join(websocket: WebSocket, name: str):
    if len(players.setdefault(name, [])) >= 2:
        await websocket.close(1013)
        return
    ORDER
    await websocket.send_json({"seat": len(players[name])})
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        players[name].remove(websocket)
"""
RACY = TABLE.replace("ORDER", "await websocket.accept()\n    players[name].append(websocket)")
RIGHT = TABLE.replace("ORDER", "players[name].append(websocket)\n    await websocket.accept()")


def test_the_last_seat_is_given_twice(tmp_path: Path) -> None:
    side = played(tmp_path, RACY, "WEBSOCKET /tables/{name}")
    assert side.verdict is Verdict.WITNESSED, side.why_not
    assert side.decisive is not None
    assert len(side.decisive.race.prelude) == 1
    witness = side.decisive.result["witness"]
    assert [answer["status"] for answer in witness["responses"]] == [101, 101]
    assert len(witness["state"]["main.players"]["name"]) == 3


def test_a_seat_that_is_taken_first_is_given_once(tmp_path: Path) -> None:
    side = played(tmp_path, RIGHT, "WEBSOCKET /tables/{name}")
    assert all(trial.verdict is not Verdict.WITNESSED or trial.answers_only for trial in side.trials)
    assert any(len(trial.race.prelude) == 1 and trial.verdict is not Verdict.NOT_DRIVEN for trial in side.trials)


def test_messages_of_a_scenario_are_spoken_in_turn(tmp_path: Path) -> None:
    source = """
    from fastapi import WebSocket
    total = 0

    @app.websocket("/sum")
    async def add(websocket: WebSocket):
        global total
        await websocket.accept()
        for _ in range(2):
            number = (await websocket.receive_json())["number"]
            total += number
            await websocket.send_text(str(total))
        await websocket.close()
    """
    request = {"method": "WEBSOCKET", "path": "/sum", "body": [{"number": 1}, {"number": 2}]}
    side = played(tmp_path, source, "WEBSOCKET /sum", Scenario(races=(Race((request,)),)))
    assert side.decisive is not None
    serial = side.decisive.result["serial"][0]
    assert [answer["body"] for answer in serial["responses"]] == [[1, 3, {"closed": 1000}], [4, 6, {"closed": 1000}]]
    assert side.decisive.answers_only


def test_a_finding_of_a_websocket_is_proved_and_its_test_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    cli = Cli(tmp_path, monkeypatch, capfdbinary)
    main = cli.write("main.py", HEAD + RACY)
    done = cli("prove", "--route", "WEBSOCKET /tables/{name}", "--against", "before", "--write-tests", "races")
    assert "before: witnessed" in done.out, done.err
    code, out = run_alone(tmp_path)
    assert code == 1, out
    main.write_text(HEAD + RIGHT, encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 0, out
