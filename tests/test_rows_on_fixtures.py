"""The rules about rows on their fixtures: found where they are, and mended so that the race is over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixture_runner import HELD, JUDGE_ONLY, Fixture, database_fixtures, play_with_database

import autolock

if TYPE_CHECKING:
    from postgres import Postgres

RULES = {f"AL20{n}" for n in range(1, 9)}
ALL = database_fixtures()
RACY = [f for f in ALL if f.findings and {finding["rule"] for finding in f.findings} & RULES]
FIXED = [f for f in RACY if all(finding["fix"] == "safe" for finding in f.findings)]


def found(application: Path) -> set[tuple[str, str, str]]:
    """Rule, severity and place of what the rules about rows find."""
    report = autolock.check([application], cache=False)
    return {
        (f.rule, f.severity.value, f"{f.place.path}:{f.place.function}") for f in report.findings if f.rule in RULES
    }


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_what_is_expected_is_found(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fixture.before)
    expected = {(f["rule"], f["severity"], at) for f in fixture.findings if f["rule"] in RULES for at in f["at"]}
    assert found(fixture.before) >= expected


@pytest.mark.parametrize("fixture", ALL, ids=lambda f: f.name)
def test_after_and_look_alikes_are_clean(fixture: Fixture) -> None:
    assert found(fixture.before if fixture.is_lookalike else fixture.after) == set()


@pytest.mark.parametrize("fixture", FIXED, ids=lambda f: f.name)
def test_the_fix_ends_the_race(fixture: Fixture, tmp_path: Path, postgres: Postgres) -> None:
    copy = fixed(fixture, tmp_path)
    outcomes = {
        part: play_with_database(fixture, copy, part, postgres)
        for kind in ("works", "race", "halfway")
        for part in fixture.parts(kind)
    }
    assert {part: outcome.output for part, outcome in outcomes.items() if outcome.code != HELD} == {}
    assert autolock.fix([copy]).rewrites == ()


def fixed(fixture: Fixture, folder: Path) -> Path:
    """A copy of the application with its fixes applied."""
    copy = folder / "app"
    shutil.copytree(fixture.before, copy, ignore=JUDGE_ONLY)
    before = sources(copy)
    autolock.fix([copy], apply=True)
    assert sources(copy) != before
    return copy


def sources(application: Path) -> dict[str, str]:
    return {path.relative_to(application).as_posix(): path.read_text() for path in application.rglob("*.py")}
