"""Whoever ends `prove` from outside finds nothing left of it: no process, no copy, no server's data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import postgres
import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="signals of POSIX"),
    pytest.mark.skipif(not postgres.is_installed(), reason="needs the embedded PostgreSQL"),
]

SLOW = """
import asyncio
import os
from fastapi import FastAPI

app = FastAPI()
DATABASE_URL = os.environ.get("DATABASE_URL", "")
count = 0

@app.on_event("startup")
async def wait():
    await asyncio.sleep(60)

@app.post("/count")
async def increment():
    global count
    seen = count
    await asyncio.sleep(0)
    count = seen + 1
"""


def in_use(folder: Path) -> list[str]:
    """The command lines of processes that were started with a folder in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def listen() -> None:
    """A shell makes what it starts in the background deaf to SIGINT, and this suite may be that, or its child."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_nothing_is_left_when_it_is_ended_from_outside(number: str, tmp_path: Path) -> None:
    root = tmp_path / "service"
    root.mkdir()
    (root / "main.py").write_text(SLOW, encoding="utf-8")
    # Short, as the name of a socket may not be long.
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "autolock", "prove", str(root), "--against", "before"]
        running = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": place},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=listen,
        )
        until = time.monotonic() + 60
        while not any("stage" in line for line in in_use(Path(place))) and time.monotonic() < until:
            time.sleep(0.1)
        assert running.poll() is None
        running.send_signal(getattr(signal, number))
        assert running.wait(60) != 0
        until = time.monotonic() + (20 if number == "SIGKILL" else 2)
        while (in_use(Path(place)) or any(Path(place).iterdir())) and time.monotonic() < until:
            time.sleep(0.1)
        left = [path.name for path in Path(place).iterdir()]
        assert left == []
        assert in_use(Path(place)) == []
