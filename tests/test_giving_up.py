"""Where autolock itself fails, the user is told and gets what is left."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock.program import giving_up
from autolock.program.calls import Calls

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = """
import asyncio
from fastapi import FastAPI

app = FastAPI()
visits = {"n": 0}

@app.post("/good")
async def good():
    n = visits["n"]
    await asyncio.sleep(0)
    visits["n"] = n + 1

@app.post("/bad")
async def bad():
    asyncio.undoing("all")
"""


def test_one_route_that_cannot_be_followed_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # here the failure is to be told, and not raised
    call_external = Calls.call_external

    def failing(self: Calls, *given: object) -> object:
        if any("undoing" in ast.unparse(one) for one in given if isinstance(one, ast.Call)):
            raise IndexError("no such thing")
        return call_external(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Calls, "call_external", failing)
    (tmp_path / "main.py").write_text(APPLICATION, encoding="utf-8")
    report = autolock.check([tmp_path], cache=False)
    assert [(f.rule, f.place.function) for f in report.findings] == [("AL101", "good")]
    (problem,) = report.errors
    assert giving_up.INTERNAL in str(problem)
    assert "IndexError: no such thing" in str(problem)
