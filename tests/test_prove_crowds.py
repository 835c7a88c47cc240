"""Findings that two requests do not show: calls without a bound, and what is told of a commit that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import HEAD
from test_prove_generated import run_alone

MODEL = (
    HEAD
    + """
class LLMClient:
    async def generate(self, prompt: str) -> str:
        await asyncio.sleep(0.01)
        return prompt.upper()

llm_client = LLMClient()
slots = asyncio.Semaphore(5)

@app.post("/ask")
async def ask(prompt: str):
    GUARD
        return {"answer": await llm_client.generate(prompt)}
"""
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


def test_calls_that_nothing_bounds_go_on_all_at_once(cli: Cli, tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(MODEL.replace("GUARD", "if True:"), encoding="utf-8")
    done = cli("prove", "--select", "AL401", "--against", "before", "--write-tests", "races")
    told = " ".join(done.out.split())
    assert "witnessed: 40 requests are inside it at once: nothing holds any of them back" in told, done.err
    assert "40 times POST /ask" in told
    code, out = run_alone(tmp_path)
    assert code == 1, out
    main.write_text(MODEL.replace("GUARD", "async with slots:"), encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 0, out
