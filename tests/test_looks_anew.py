"""What is written goes by a newer look than the one before the wait: each beside one that races."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
from fastapi import FastAPI, WebSocket

app = FastAPI()

async def store(*what):
    await asyncio.sleep(0)
    return what
"""

UNSENT = """
unsent = {{}}

@app.post("/note/{{group}}")
async def note(group: str, text: str):
    unsent.setdefault(group, []).append(text)

@app.post("/flush/{{group}}")
async def flush(group: str):
    batch = unsent.get(group, [])
    {}
    await store(batch)
    unsent[group] = {}
"""

SOCKETS = """
sockets = {{}}

@app.websocket("/{{user}}")
async def enter(socket: WebSocket, user: str):
    await socket.accept()
    sockets.setdefault(user, []).append(socket)

def leave(gone):
    {}

@app.post("/tell")
async def tell(text: str):
    failed = [s for some in sockets.values() for s in some if not await store(s)]
    for socket in failed:
        leave(socket)
"""

SERVERS = """
servers = []

@app.post("/stop")
async def stop():
    global servers
    for server in list(servers):
        await store(server)
    servers = []
"""

ADDED = """
@app.post("/start/{name}")
async def start(name: str):
    servers.append(name)
"""


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    """Rule and function of every race."""
    (folder / "main.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(text), encoding="utf-8")
    races = [f for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"]
    return sorted({(f.rule, f.place.function) for f in races})


@pytest.mark.parametrize(
    ("first", "written", "expected"),
    [
        ("", "batch[1:]", [("AL101", "flush")]),
        ("unsent[group] = []", "(batch[1:] + unsent.get(group, []))", []),
    ],
    ids=["of what was there before", "of what is there by then"],
)
def test_what_is_added_meanwhile_is_read_again(
    first: str, written: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert found(tmp_path, UNSENT.format(first, written)) == expected


def test_who_removes_what_it_finds_by_then_does_not_mind_who_was_there_before(tmp_path: Path) -> None:
    searched = "for user, some in list(sockets.items()):\n        if gone in some:\n            del sockets[user]"
    assert [x for x in found(tmp_path, SOCKETS.format(searched)) if x[0] == "AL102"] == []


@pytest.mark.parametrize("emptied", [SERVERS, SERVERS + ADDED], ids=["nothing is added", "added meanwhile"])
def test_a_list_is_emptied_that_others_only_empty(emptied: str, tmp_path: Path) -> None:
    expected = [("AL101", "stop")] if emptied != SERVERS else []
    assert [x for x in found(tmp_path, emptied) if x[0] == "AL101"] == expected
