"""What is found does not hang on how an application is written: every fixture, in other words that mean the same."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest
from fixture_runner import JUDGE_ONLY, Fixture, fixtures
from meanings import MEANINGS, rewritten

import autolock

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = {fixture.name: fixture for fixture in fixtures()}


@cache
def found_before(name: str) -> Counter[str]:
    """The rules of the races of a fixture, as it stands."""
    return races(BY_NAME[name].before)


def races(folder: Path) -> Counter[str]:
    """The rules of the races that are found in a folder."""
    report = autolock.check([folder], cache=False)
    return Counter(f.rule for f in report.findings if f.certainty.value == "race")


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("fixture", BY_NAME.values(), ids=lambda f: f.name)
def test_another_way_to_write_an_application_changes_nothing(fixture: Fixture, meaning: str, tmp_path: Path) -> None:
    sources = {p.relative_to(fixture.before): p.read_text(encoding="utf-8") for p in fixture.before.rglob("*.py")}
    for path, source in sources.items():
        if JUDGE_ONLY("", [path.name]):
            continue
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(rewritten(source, meaning), encoding="utf-8")
    assert races(tmp_path) == found_before(fixture.name)
