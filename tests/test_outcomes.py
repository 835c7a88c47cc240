"""Parts of a program, and what is kept of them between runs: the result is always that of a run without a cache."""

from __future__ import annotations

import os
import pickle
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import autolock
from autolock import engine
from autolock.database.migrations import migrated
from autolock.outcomes import Outcome, _Cache
from autolock.program.parts import Names, Traits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autolock.database.migrations import Migrated
    from autolock.findings import Finding, Report
    from autolock.plan import Plan

APP = """
    import asyncio
    from fastapi import FastAPI
    from {package}.store import stock

    app = FastAPI()

    @app.post("/take")
    async def take(item: str):
        left = stock[item]
        await asyncio.sleep(0)
        stock[item] = left - 1
"""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    os.utime(path, (1_000_000_000, 1_000_000_000))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for package in ("one", "two"):
        _write(tmp_path / package / "__init__.py", "")
        _write(tmp_path / package / "store.py", "stock = {}\n")
        _write(tmp_path / package / "app.py", APP.format(package=package))
    return tmp_path


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The files of each part that was analysed."""
    seen: list[list[str]] = []
    find = engine.find

    def watched(analysis: engine.Analysis, rules: object) -> tuple[tuple[Finding, ...], tuple[Plan, ...]]:
        seen.append(list(analysis.program.modules))
        return find(analysis, rules)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "find", watched)
    return seen


def _check(root: Path) -> Report:
    report = autolock.check([root])
    assert report.findings == autolock.check([root], cache=False).findings
    return report


def test_every_part_has_its_findings(root: Path) -> None:
    assert [finding.place.path for finding in _check(root).findings] == ["one/app.py", "two/app.py"]


def test_nothing_is_analysed_again(root: Path, looked: list[list[str]]) -> None:
    first = autolock.check([root])
    assert len(looked) == 2
    again = autolock.check([root])
    assert len(looked) == 2
    assert (again.findings, again.statistics.routes) == (first.findings, first.statistics.routes)


def test_only_the_part_that_changed_is_analysed_again(root: Path, looked: list[list[str]]) -> None:
    autolock.check([root])
    looked.clear()
    _write(root / "two" / "store.py", "# a line above\nstock = {}\n")
    autolock.check([root])
    assert looked == [["two/app.py", "two/store.py"]]


def test_an_edit_that_ends_a_race_is_seen(root: Path) -> None:
    _check(root)
    _write(root / "two" / "app.py", APP.format(package="two").replace("await asyncio.sleep(0)", "pass"))
    assert [finding.certainty.value for finding in _check(root).findings] == ["race", "latent"]


def test_an_outcome_holds_while_the_other_parts_answer_the_same() -> None:
    names = Names([Traits(names=(("stock",), (), ()))])
    asked = names.asked()
    assert "stock" in asked["mutable_names"]
    assert "limits" not in asked["mutable_names"]
    answers = names.answers(asked)
    assert names.holds(answers)
    assert Names([Traits(names=(("stock", "other"), (), ()))]).holds(answers)
    assert not Names([Traits(names=(("stock", "limits"), (), ()))]).holds(answers)
    assert not Names([Traits()]).holds(answers)


def test_processes_find_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = autolock.check([root], jobs=1, cache=False)
    monkeypatch.setattr("autolock.outcomes._WORTH_A_POOL", 0)
    report = autolock.check([root], jobs=2, cache=False)
    assert (report.findings, report.statistics.routes) == (expected.findings, expected.statistics.routes)


def test_migrations_are_read_again_when_they_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []

    def watched(migrations: Iterable[str]) -> Migrated:
        read.append(list(migrations))
        return migrated(read[-1])

    monkeypatch.setattr("autolock.database.project.migrated", watched)
    first = root / "versions" / "first.py"
    _write(first, "down_revision = None\n")
    _write(root / "one" / "store.py", "import sqlalchemy\nstock = {}\n")
    autolock.check([root])
    _write(root / "one" / "store.py", "import sqlalchemy\nstock = {'pen': 1}\n")
    autolock.check([root])
    assert read == [[str(first)]]
    first.write_text("down_revision = 'zero'\n", encoding="utf-8")
    autolock.check([root])
    assert len(read) == 2


def test_a_new_file_is_seen(root: Path) -> None:
    _check(root)
    _write(root / "three.py", APP.format(package="one"))
    assert {finding.place.path for finding in _check(root).findings} == {"one/app.py", "two/app.py", "three.py"}


def test_parts_are_fixed_together(root: Path) -> None:
    rewrites = autolock.fix([root]).rewrites
    assert {change.path.partition("/")[0] for rewrite in rewrites for change in rewrite.changes} == {"one", "two"}


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-3], lambda raw: raw[:-1] + b"?", lambda _: b"", lambda _: b"\0" * 99]
)
def test_a_damaged_cache_counts_as_empty(root: Path, damage: object) -> None:
    expected = autolock.check([root]).findings
    file = root / ".autolock_cache" / "outcomes"
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    assert autolock.check([root]).findings == expected


def test_a_foreign_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "evil"),)

    cache = _Cache(tmp_path)
    cache.put(b"key", Outcome(stopped=(Evil(),)))  # type: ignore[arg-type]
    cache.save()
    assert _Cache(tmp_path).get(b"key") is None
    pickle.loads(pickle.dumps(Evil()))
    assert (tmp_path / "evil").exists()
