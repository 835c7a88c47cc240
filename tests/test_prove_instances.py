"""Two instances of an application share its database and nothing else: a lock in one of them does not help."""

from __future__ import annotations

from pathlib import Path

import postgres
import pytest
from cli_runner import Cli
from test_prove import ACCOUNTS, COUNTER, HEAD, played
from test_prove_generated import run_alone

from autolock.prove.proof import Bounds, Verdict
from autolock.prove.telling import summary

ROUTE = "POST /accounts/{account_id}/deposits"
TWO = Bounds(instances=2, seconds=30)
LOCKED = (
    ACCOUNTS.replace("LOCK", "")
    .replace(
        "    async with Session() as session:\n        account =",
        "    async with lock, Session() as session:\n        account =",
    )
    .replace("@app.post", "lock = asyncio.Lock()\n\n@app.post")
)


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
def test_a_lock_in_memory_holds_on_one_instance_and_not_on_two(tmp_path: Path) -> None:
    side = played(tmp_path, LOCKED, ROUTE, bounds=TWO)
    assert {trial.verdict for trial in side.trials if trial.race.instances == 1} == {Verdict.HELD}
    assert side.verdict is Verdict.WITNESSED
    assert side.decisive is not None
    assert side.decisive.race.instances == 2
    assert side.decisive.result["witness"]["places"] == ["table accounts.balance"]


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
def test_a_row_lock_holds_on_two_instances(tmp_path: Path) -> None:
    side = played(tmp_path, ACCOUNTS.replace("LOCK", ".with_for_update()"), ROUTE, bounds=TWO)
    assert side.verdict is Verdict.HELD
    assert {trial.race.instances for trial in side.trials if trial.verdict is Verdict.HELD} == {1, 2}


def test_what_is_in_memory_is_not_shared(tmp_path: Path) -> None:
    side = played(tmp_path, COUNTER.replace("GUARD", "async with lock:"), "POST /count", bounds=TWO)
    assert side.verdict is Verdict.HELD
    assert side.decisive is not None
    apart = next(trial for trial in side.trials if trial.race.instances == 2)
    (serial, *_) = apart.result["serial"]
    assert (serial["state"]["main.count"], serial["state"]["instance 2 main.count"]) == (1, 1)


def test_an_import_inside_a_function_finds_the_modules_of_its_own_instance(tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text("numbers = []\n", encoding="utf-8")
    source = """
    import store

    @app.post("/numbers")
    async def add():
        from store import numbers
        await asyncio.sleep(0)
        numbers.append(len(numbers))
        return {"numbers": numbers}
    """
    side = played(tmp_path, source, "POST /numbers", bounds=TWO)
    apart = next(trial for trial in side.trials if trial.race.instances == 2)
    (serial, *_) = apart.result["serial"]
    assert [answer["body"] for answer in serial["responses"]] == [{"numbers": [0]}, {"numbers": [0]}]


@pytest.mark.skipif(not postgres.is_installed(), reason=postgres.MISSING)
def test_a_deployment_with_several_workers_is_played_on_two_and_so_is_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], database_url: str
) -> None:
    cli = Cli(tmp_path, monkeypatch, capfdbinary)
    main = cli.write("main.py", HEAD + LOCKED)
    cli.write("Dockerfile", 'CMD ["uvicorn", "main:app", "--workers", "4"]\n')
    done = cli("prove", "--route", ROUTE, "--against", "before", "--write-tests", "races")
    assert "before: witnessed" in done.out, done.err
    assert "to instance 2" in done.out
    code, out = run_alone(tmp_path, server=database_url)
    assert code == 1, out
    main.write_text(HEAD + ACCOUNTS.replace("LOCK", ".with_for_update()"), encoding="utf-8")
    code, out = run_alone(tmp_path, server=database_url)
    assert code == 0, out


def test_an_application_that_can_be_imported_only_once_is_played_on_one_instance(tmp_path: Path) -> None:
    source = (
        COUNTER.replace("GUARD", "if True:")
        + "import builtins\nassert not hasattr(builtins, 'made')\nbuiltins.made = 1\n"
    )
    side = played(tmp_path, source, "POST /count", bounds=TWO)
    assert side.verdict is Verdict.WITNESSED, side.why_not
    side = played(tmp_path, source.replace("if True:", "async with lock:"), "POST /count", bounds=TWO)
    assert side.verdict is Verdict.HELD
    assert "1 instance give" in summary("before", side, TWO)
