"""What a run loads: modules that it has no use for are time that the user waits."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

APP = """
    import asyncio
    from fastapi import FastAPI

    app = FastAPI()
    stock = {}

    @app.post("/take")
    async def take(item: str):
        left = stock[item]
        await asyncio.sleep(0)
        stock[item] = left - 1
"""
_RUN = """
import json, sys
from autolock.cli.app import run

code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""
#: What follows routes, and what plans and carries out fixes.
INTERPRETER = {"autolock.engine", "autolock.program.machine", "autolock.program.objects", "autolock.plan"}
REWRITING = {"autolock.rewrite", "black", "libcst"}


def _loaded(root: Path, *arguments: str) -> set[str]:
    """The modules that are loaded when a command has told of the one race in `root`."""
    command = [sys.executable, "-c", _RUN, *arguments, str(root)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    code, modules = json.loads(lines[-1])
    assert code == 1
    assert any("stock" in line for line in lines[:-1])
    return set(modules)


def _written(root: Path) -> Path:
    (root / "main.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    return root


def test_a_run_that_finds_all_in_the_cache_does_not_load_the_interpreter_of_routes(tmp_path: Path) -> None:
    root = _written(tmp_path)
    assert _loaded(root, "check") >= INTERPRETER
    again = _loaded(root, "check")
    assert again.isdisjoint(INTERPRETER)
    assert again.isdisjoint(REWRITING)


def test_a_check_does_not_load_what_only_fixes_need(tmp_path: Path) -> None:
    root = _written(tmp_path)
    assert _loaded(root, "check", "--no-cache").isdisjoint(REWRITING)
    assert _loaded(root, "fix", "--no-cache") >= REWRITING - {"black"}
