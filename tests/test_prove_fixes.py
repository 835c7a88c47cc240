"""`fix --prove`: fixes carry what was seen when they were played, and those that do not hold are left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cli_runner import Cli
from test_prove import COUNTER, HEAD

RACY = HEAD + COUNTER.replace("GUARD", "if True:")

HALF_SEEN = """
import sys

me = sys.modules[__name__]
visits = 0

@app.post("/visits")
async def visit():
    global visits
    before = getattr(me, "visi" + "ts")
    await asyncio.sleep(0)
    seen = visits
    await asyncio.sleep(0)
    visits = seen + 1
    await asyncio.sleep(0)
    setattr(me, "visi" + "ts", before + 1)
    return {}
"""
"""The fix guards what can be seen of the race, which goes on in what cannot."""

TWO_IN_ONE = """
likes, views = 0, 0

@app.post("/likes")
async def like():
    global likes, views
    seen = likes
    await asyncio.sleep(0)
    likes = seen + 1
    viewed = getattr(sys.modules[__name__], "vie" + "ws")
    await asyncio.sleep(0)
    setattr(sys.modules[__name__], "vie" + "ws", viewed + 1)
    return {}
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


def test_each_fix_of_the_patch_has_its_evidence_and_git_reads_over_it(cli: Cli, tmp_path: Path) -> None:
    main = cli.write("main.py", RACY)
    done = cli("fix", "--prove")
    assert done.code == 1, done.err
    assert "before: witnessed by schedule" in done.out
    assert "after: held: all" in done.out
    (tmp_path / "fix.patch").write_text(done.out, encoding="utf-8")
    subprocess.run(["git", "apply", "fix.patch"], cwd=tmp_path, check=True)
    assert "async with" in main.read_text(encoding="utf-8")


def test_a_fix_that_does_not_hold_is_withheld_and_the_others_are_not(cli: Cli) -> None:
    main = cli.write("main.py", RACY + HALF_SEEN)
    done = cli("fix", "--prove", "--apply", "--allow-dirty")
    assert done.code == 1, done.err
    assert "after: held" in done.out
    assert "the fix was withheld: after it: witnessed" in done.err
    assert "main.visits is 1; one after the other it is 2" in done.err
    text = main.read_text(encoding="utf-8")
    assert text.endswith(HALF_SEEN)
    assert text.count("async with") == 1


def test_a_fix_is_not_blamed_for_another_race_of_its_route(cli: Cli) -> None:
    cli.write("main.py", "import sys\n" + HEAD + TWO_IN_ONE)
    done = cli("fix", "--prove")
    assert "async with" in done.out, done.err
    assert "what other races leave wrong is in main.views" in done.out


def test_other_formats_carry_the_evidence_too(cli: Cli) -> None:
    cli.write("main.py", RACY)
    report = json.loads(cli("fix", "--prove", "--format", "json").out)
    (finding,) = report["findings"]
    assert "after: held: all" in finding["fix"]["reason"]


def test_what_could_not_be_driven_is_kept_and_says_so(cli: Cli) -> None:
    refusing = RACY.replace(
        "async def increment():", "async def increment(key: str):\n    if key: raise HTTPException(401)"
    )
    cli.write("main.py", refusing)
    done = cli("fix", "--prove")
    assert "async with" in done.out, done.err
    assert "not driven: POST /count wants authentication" in done.out


def test_a_single_file_on_standard_input_cannot_be_proved(cli: Cli) -> None:
    done = cli("fix", "--prove", "-", stdin=RACY.encode())
    assert done.code == 2
    assert "--prove runs a whole application" in done.err
