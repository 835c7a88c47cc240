"""Loops over containers that others change meanwhile: what one fix mends, and what it must leave alone."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from fastapi import FastAPI, WebSocket

app = FastAPI()
waiting = []
members = {}

@app.post("/waiting")
async def come(name: str):
    waiting.append(name)

@app.delete("/waiting")
async def leave(name: str):
    waiting.remove(name)

@app.websocket("/members/{name}")
async def join(websocket: WebSocket, name: str):
    members[name] = websocket
    await websocket.receive_text()
    del members[name]
"""

SEVERAL = """
@app.post("/tell")
async def tell(what: str):
    if what == "start":
        for name, member in members.items():
            await member.send_text("start")
    elif what == "stop":
        for name, member in members.items():
            await member.send_text("stop")
    else:
        for name, member in members.items():
            await member.send_text(what)
        for name in members:
            await members[name].send_text(name)
"""

EMPTIED = """
@app.post("/serve")
async def serve(websocket: WebSocket, quick: bool):
    if quick:
        for name in waiting:
            await websocket.send_text(name)
    else:
        for name in waiting:
            await websocket.send_text("slowly " + name)
    waiting.clear()
"""

EMPTIED_LATER = """
@app.post("/serve")
async def serve(websocket: WebSocket):
    for name in waiting:
        await websocket.send_text(name)
    await websocket.send_text("done")
    waiting.clear()
"""


def written(tmp_path: Path, source: str) -> Path:
    tmp_path.joinpath("main.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
    return tmp_path


def lost(tree: Path) -> list[str]:
    found = autolock.check([tree], cache=False).findings
    return [f.rule for f in found if f.rule == "AL101" and f.certainty.value == "race"]


def test_all_loops_of_a_function_over_one_container_run_over_copies_together(tmp_path: Path) -> None:
    tree = written(tmp_path, SEVERAL)
    found = autolock.check([tree], cache=False).findings
    assert [f.rule for f in found] == ["AL108"] * 4
    result = autolock.fix([tree], apply=True, allow_dirty=True, cache=False)
    assert len(result.rewrites) == 1
    assert set(result.rewrites[0].fingerprints) == {f.fingerprint for f in found}
    code = tree.joinpath("main.py").read_text(encoding="utf-8")
    assert code.count("in list(members.items()):") == 3
    assert code.count("in list(members):") == 1
    assert not autolock.check([tree], cache=False).findings


def test_a_loop_after_which_the_container_is_emptied_at_once_keeps_running_over_it(tmp_path: Path) -> None:
    tree = written(tmp_path, EMPTIED)
    loops = [f for f in autolock.check([tree], cache=False).findings if f.rule == "AL108"]
    assert len(loops) == 2
    for finding in loops:
        assert finding.fix.safety.value == "none"
        assert "emptied right after a loop" in finding.fix.reason


def test_what_is_added_to_a_live_list_is_met_by_the_loop_and_not_lost(tmp_path: Path) -> None:
    assert not lost(written(tmp_path, EMPTIED))


def test_what_is_added_after_the_loop_is_lost(tmp_path: Path) -> None:
    assert lost(written(tmp_path, EMPTIED_LATER))
