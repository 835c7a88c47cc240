"""Generated tests fail while the race is there and pass when it is gone, by pytest alone."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import postgres
import pytest
from cli_runner import Cli
from test_prove import ACCOUNTS, COUNTER, HEAD, SEATS

from autolock.prove.bundle import bundled
from autolock.prove.stage.racing import SERVER

#: Runs pytest where autolock cannot be imported.
ALONE = "import sys; sys.modules['autolock'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"


def run_alone(folder: Path, *, server: str = "") -> tuple[int, str]:
    """The exit code and the output of pytest on the generated tests.

    They make their databases on the `server` of this URL, else on one that they start. Loading the plugins of this
    environment would take longer than most of these tests.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "-q", "-p", "no:cacheprovider", "--rootdir", ".", "races"],
        cwd=folder,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **({SERVER: server} if server else {})},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


def test_a_generated_test_tells_the_race_from_its_fix_and_from_a_wrong_fix(tmp_path: Path, cli: Cli) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + COUNTER.replace("GUARD", "if True:"), encoding="utf-8")
    done = cli("prove", ".", "--write-tests", "races", "--against", "before")
    assert done.code == 0, done.err
    (test,) = (tmp_path / "races").glob("test_*.py")
    text = test.read_text(encoding="utf-8")
    assert "A sends POST /count" in text
    assert "state.main.count is 1; one after the other it is 2" in text
    assert (tmp_path / "races" / "race_support.py").exists()
    assert json.loads(cli("check", ".", "--format", "json").out)["statistics"]["files"] == 1
    code, out = run_alone(tmp_path)
    assert code == 1, out
    assert "no order of the requests" in out

    main.write_text(HEAD + COUNTER.replace("GUARD", "async with asyncio.Lock():"), encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 1, out

    main.write_text(HEAD + COUNTER.replace("GUARD", "async with lock:"), encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 0, out
    assert "1 passed" in out


def test_a_generated_test_steps_worker_threads(tmp_path: Path, cli: Cli) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + SEATS.replace("GUARD", "if True:"), encoding="utf-8")
    assert cli("prove", ".", "--write-tests", "races", "--route", "POST /seats/{seat}", "--against", "before").code == 0
    code, out = run_alone(tmp_path)
    assert code == 1, out
    main.write_text(HEAD + SEATS.replace("GUARD", "with lock:"), encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 0, out


def test_a_generated_test_says_when_its_requests_show_nothing_any_more(tmp_path: Path, cli: Cli) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + COUNTER.replace("GUARD", "if True:"), encoding="utf-8")
    cli("prove", ".", "--write-tests", "races", "--against", "before")
    main.write_text(HEAD, encoding="utf-8")
    code, out = run_alone(tmp_path)
    assert code == 1, out
    assert "nothing is shown: no request succeeds: POST /count gives status 404" in out


def test_nothing_is_written_where_nothing_was_witnessed(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "main.py").write_text(HEAD + COUNTER.replace("GUARD", "async with lock:"), encoding="utf-8")
    assert cli("prove", ".", "--write-tests", "races", "--route", "POST /count").code == 0
    assert not (tmp_path / "races").exists()


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
def test_a_generated_test_makes_a_database_of_its_own(tmp_path: Path, cli: Cli, database_url: str) -> None:
    main = tmp_path / "main.py"
    main.write_text(HEAD + ACCOUNTS.replace("LOCK", ""), encoding="utf-8")
    assert cli("prove", ".", "--write-tests", "races", "--against", "before").code == 0
    code, out = run_alone(tmp_path)
    assert code == 1, out
    assert "state.table accounts.0.balance" in out
    main.write_text(HEAD + ACCOUNTS.replace("LOCK", ".with_for_update()"), encoding="utf-8")
    code, out = run_alone(tmp_path, server=database_url)
    assert code == 0, out


def test_the_support_module_needs_the_standard_library_alone() -> None:
    tree = ast.parse(bundled())
    imported = {
        name.name.split(".")[0] for node in tree.body if isinstance(node, ast.Import) for name in node.names
    } | {str(node.module).split(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
