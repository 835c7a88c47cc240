"""The rules about sessions on their fixtures: found where they are, and mended as `after` shows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fixture_runner import JUDGE_ONLY, Fixture, database_fixtures

import autolock

if TYPE_CHECKING:
    from pathlib import Path

RULES = {"AL209", "AL301", "AL302", "AL303", "AL304"}
ALL = database_fixtures()
RACY = [f for f in ALL if f.findings and {finding["rule"] for finding in f.findings} <= RULES]
FIXED = [f for f in RACY if all(finding["fix"] != "refused" for finding in f.findings)]


def found(application: Path) -> set[tuple[str, str, str, str]]:
    """Rule, certainty, severity and place of what the rules about sessions find."""
    report = autolock.check([application], cache=False)
    return {
        (f.rule, f.certainty.value, f.severity.value, f"{f.place.path}:{f.place.function}")
        for f in report.findings
        if f.rule in RULES
    }


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_what_is_expected_is_found_and_nothing_else(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fixture.before)
    expected = {(f["rule"], f["certainty"], f["severity"], at) for f in fixture.findings for at in f["at"]}
    assert found(fixture.before) == expected


@pytest.mark.parametrize("fixture", ALL, ids=lambda f: f.name)
def test_after_and_look_alikes_have_their_sessions_in_order(fixture: Fixture) -> None:
    assert found(fixture.before if fixture.is_lookalike else fixture.after) == set()


@pytest.mark.parametrize("fixture", FIXED, ids=lambda f: f.name)
def test_the_fix_is_what_after_shows(fixture: Fixture, tmp_path: Path) -> None:
    copy = tmp_path / "app"
    shutil.copytree(fixture.before, copy, ignore=JUDGE_ONLY)
    autolock.fix([copy], apply=True, unsafe=any(finding["fix"] == "unsafe" for finding in fixture.findings))
    after = {path.relative_to(fixture.after): path.read_text() for path in fixture.after.rglob("*.py")}
    assert {path.relative_to(copy): path.read_text() for path in copy.rglob("*.py")} == after
