"""What comes between two steps of the event loop that have no await between them: worker threads, and nothing else."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import autolock

if TYPE_CHECKING:
    from pathlib import Path

    from autolock.findings import Finding

APPLICATION = """
import asyncio
from fastapi import FastAPI

app = FastAPI()
tickets = {"open": 0}
history = []

@app.post("/open")
async def open_ticket():
    count = tickets["open"]
    ordered = sorted(history)
    tickets["open"] = count + 1
    return ordered

@app.post("/close")
async def close_ticket():
    tickets["open"] -= 1
"""


def races(folder: Path, text: str) -> list[Finding]:
    (folder / "main.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return [f for f in autolock.check([folder], cache=False).findings if f.certainty.value == "race"]


def test_requests_on_the_event_loop_alone_do_not_come_between(tmp_path: Path) -> None:
    assert races(tmp_path, APPLICATION) == []


def test_the_other_is_what_runs_on_a_worker_thread_and_no_second_request(tmp_path: Path) -> None:
    recount = '\n@app.post("/recount")\ndef recount():\n    tickets["open"] = len(history)\n'
    (finding,) = [f for f in races(tmp_path, APPLICATION + recount) if f.place.function == "open_ticket"]
    others = {step.place.function for step in finding.window.steps if step.request == "B"}
    assert others == {"recount"}
    assert "`recount`" in finding.message
    assert "two requests" not in finding.message


CHECKED = """
import asyncio
from fastapi import FastAPI

app = FastAPI()
jobs = {}

class Job:
    def __init__(self, name):
        self.name = name
        self.status = "new"

def work(job):
    jobs[job.name].status = "running"

@app.post("/jobs")
async def start(name: str):
    if len([j for j in jobs.values() if j.status == "running"]) >= 2:
        return {"error": "busy"}
    job = Job(name)
    jobs[name] = job
    asyncio.get_running_loop().run_in_executor(None, work, job)
    return {"name": name}
"""


def test_a_check_on_the_event_loop_is_made_wrong_by_the_thread_that_changes_what_it_saw(tmp_path: Path) -> None:
    findings = [f for f in races(tmp_path, CHECKED) if f.rule == "AL102"]
    for finding in findings:
        assert {step.place.function for step in finding.window.steps if step.request == "B"} == {"work"}
        assert "both pass the check" not in finding.message
    assert findings
