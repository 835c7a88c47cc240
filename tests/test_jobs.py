"""What a scheduler runs beside the requests."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import asyncio
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from fastapi import FastAPI
from fastapi_utils.tasks import repeat_every

app = FastAPI()
scheduler = AsyncIOScheduler()
totals = {{"seen": 0}}

async def flush(count):
    await asyncio.sleep(0)

{decorators}
async def report():
    seen = totals["seen"]
    if seen == 0:
        return
    await flush(seen)
    totals["seen"] = {value}

{added}

@app.post("/")
async def hit():
    {hit}
"""

STARTED = {
    "scheduled_job": {"decorators": '@scheduler.scheduled_job("interval", seconds=5)', "added": ""},
    "repeat_every": {"decorators": '@app.on_event("startup")\n@repeat_every(seconds=5)', "added": ""},
    "add_job": {"decorators": "", "added": 'scheduler.add_job(report, "interval", seconds=5)'},
    "add_job at start-up": {
        "decorators": "",
        "added": '@app.on_event("startup")\ndef start():\n    scheduler.add_job(report, "cron", hour=3)',
    },
}


def races(folder: Path, **parts: str) -> list[tuple[str, str]]:
    (folder / "main.py").write_text(textwrap.dedent(APP).format(**parts), encoding="utf-8")
    findings = autolock.check([folder], cache=False, certainty="race").findings
    return [(f.rule, f.place.function) for f in findings]


@pytest.mark.parametrize("started", STARTED.values(), ids=STARTED)
def test_a_job_runs_beside_the_requests(tmp_path: Path, started: dict[str, str]) -> None:
    assert races(tmp_path, value="0", hit='totals["seen"] += 1', **started) == [("AL101", "report")]


@pytest.mark.parametrize("started", STARTED.values(), ids=STARTED)
def test_a_job_does_not_run_beside_itself(tmp_path: Path, started: dict[str, str]) -> None:
    assert races(tmp_path, value="seen + 1", hit='return totals["seen"]', **started) == []


def test_what_nobody_schedules_does_not_run(tmp_path: Path) -> None:
    assert races(tmp_path, value="0", hit='totals["seen"] += 1', decorators="", added="") == []


def test_of_a_job_is_said_what_comes_in_between(tmp_path: Path) -> None:
    parts = {"value": "-1", "hit": 'totals["seen"] += 1', **STARTED["scheduled_job"]}
    (tmp_path / "main.py").write_text(textwrap.dedent(APP).format(**parts), encoding="utf-8")
    (finding,) = autolock.check([tmp_path], cache=False, certainty="race").findings
    assert finding.message.endswith("`hit` may change it in between, and the check is no longer true.")
