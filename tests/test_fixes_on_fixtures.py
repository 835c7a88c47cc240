"""`fix --apply` on the fixtures: the race is over, the application still works, and there is no second change."""

from __future__ import annotations

import ast
import shutil
from typing import TYPE_CHECKING

import pytest
from fixture_runner import HELD, JUDGE_ONLY, Fixture, fixtures, play_all

import autolock
from autolock import registry

if TYPE_CHECKING:
    from pathlib import Path

RACY = [fixture for fixture in fixtures() if not fixture.is_lookalike]
LOOKALIKES = [fixture for fixture in fixtures() if fixture.is_lookalike]


def can_be_fixed(fixture: Fixture) -> bool:
    """Whether autolock offers a rewrite for every race of the fixture."""
    codemods = {rule.id: rule.codemods for rule in registry.rules()}
    return all(codemods[finding["rule"]] for finding in fixture.findings)


FIXABLE = [fixture for fixture in RACY if can_be_fixed(fixture)]
REFUSED = [fixture for fixture in RACY if not can_be_fixed(fixture)]


def sources(application: Path) -> dict[str, bytes]:
    return {path.relative_to(application).as_posix(): path.read_bytes() for path in sorted(application.rglob("*.py"))}


def changed(copy: Path, application: Path) -> list[str]:
    """The files of a copy that are not as they were; the driver is not part of the application."""
    before = sources(application)
    return [path for path, source in sources(copy).items() if before[path] != source]


def fixed_copy(fixture: Fixture, folder: Path) -> Path:
    """A copy of the application with its fixes applied."""
    copy = folder / "app"
    shutil.copytree(fixture.before, copy, ignore=JUDGE_ONLY)
    autolock.fix([copy], apply=True, unsafe=any(finding.get("fix") == "unsafe" for finding in fixture.findings))
    return copy


@pytest.mark.parametrize("fixture", FIXABLE, ids=lambda f: f.name)
def test_fix_ends_the_race_and_a_second_one_changes_nothing(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    assert changed(copy, fixture.before)
    parts = fixture.parts("works") + fixture.parts("race")
    outcomes = play_all([(copy, fixture.drive, part) for part in parts])
    broken = {part: outcome for part, outcome in zip(parts, outcomes, strict=True) if outcome.code != HELD}
    assert not broken
    before = sources(copy)
    assert autolock.fix([copy], apply=True).rewrites == ()
    assert sources(copy) == before


@pytest.mark.parametrize("fixture", REFUSED, ids=lambda f: f.name)
def test_what_has_no_rewrite_is_refused_with_a_reason(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    assert changed(copy, fixture.before) == []
    found = {finding.rule for finding in autolock.check([copy]).findings}
    assert found >= {finding["rule"] for finding in fixture.findings}


@pytest.mark.parametrize("fixture", [f for f in LOOKALIKES if f.expect["expect"] == "clean"], ids=lambda f: f.name)
def test_clean_lookalikes_are_not_touched(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    assert changed(copy, fixture.before) == []


@pytest.mark.parametrize("fixture", [f for f in LOOKALIKES if f.expect["expect"] == "latent"], ids=lambda f: f.name)
def test_latent_lookalikes_still_hold(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    for source in sources(copy).values():
        ast.parse(source)
    parts = fixture.parts("works") + fixture.parts("race")
    outcomes = play_all([(copy, fixture.drive, part) for part in parts])
    assert [outcome for outcome in outcomes if outcome.code != HELD] == []
