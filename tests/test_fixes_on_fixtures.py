"""`fix --apply` on the fixtures: the race is over, the application still works, and there is no second change."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fixture_runner import HELD, JUDGE_ONLY, Fixture, fixtures, play_all

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


def autolock(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run autolock as a user would; it must neither crash nor say that it did."""
    command = [sys.executable, "-m", "autolock", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done


def sources(application: Path) -> dict[str, bytes]:
    return {path.relative_to(application).as_posix(): path.read_bytes() for path in sorted(application.rglob("*.py"))}


def changed(copy: Path, application: Path) -> list[str]:
    """The files of a copy that are not as they were; the driver is not part of the application."""
    before = sources(application)
    return [path for path, source in sources(copy).items() if before[path] != source]


def fixed_copy(fixture: Fixture, folder: Path) -> Path:
    """A copy of the application on which `fix --apply` was run."""
    copy = folder / "app"
    shutil.copytree(fixture.before, copy, ignore=JUDGE_ONLY)
    unsafe = ["--unsafe"] if any(finding.get("fix") == "unsafe" for finding in fixture.findings) else []
    autolock("fix", "--apply", *unsafe, cwd=copy)
    return copy


@pytest.mark.parametrize("fixture", FIXABLE, ids=lambda f: f.name)
def test_fix_ends_the_race(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    assert changed(copy, fixture.before)
    parts = fixture.parts("works") + fixture.parts("race")
    outcomes = play_all([(copy, fixture.drive, part) for part in parts])
    broken = {part: outcome for part, outcome in zip(parts, outcomes, strict=True) if outcome.code != HELD}
    assert not broken


@pytest.mark.parametrize("fixture", FIXABLE, ids=lambda f: f.name)
def test_a_second_fix_changes_nothing(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    before = sources(copy)
    again = autolock("fix", cwd=copy)
    assert (again.returncode, again.stdout) == (0, "")
    autolock("fix", "--apply", cwd=copy)
    assert sources(copy) == before


@pytest.mark.parametrize("fixture", REFUSED, ids=lambda f: f.name)
def test_what_has_no_rewrite_is_refused_with_a_reason(fixture: Fixture, tmp_path: Path) -> None:
    copy = fixed_copy(fixture, tmp_path)
    assert changed(copy, fixture.before) == []
    shown = autolock("check", cwd=copy).stdout
    assert all(finding["rule"] in shown for finding in fixture.findings)


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
