"""What the rules say of the fixtures: every race where it is, and nothing of what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from fixture_runner import Fixture, fixtures

import autolock

if TYPE_CHECKING:
    from autolock.findings import Finding

ALL = fixtures()
RACY = [fixture for fixture in ALL if not fixture.is_lookalike]
LOOKALIKES = [fixture for fixture in ALL if fixture.is_lookalike]


class Expected(NamedTuple):
    """One place of an expect.toml: `at` is path:qualified.name."""

    fixture: Fixture
    rule: str
    certainty: str
    severity: str
    at: str

    def is_at(self, finding: Finding) -> bool:
        return finding.rule == self.rule and place_of(finding) == self.at


EXPECTED = [
    pytest.param(
        Expected(fixture, finding["rule"], finding["certainty"], finding["severity"], at), id=f"{finding['rule']}-{at}"
    )
    for fixture in RACY
    for finding in fixture.findings
    for at in finding["at"]
]


@cache
def found(application: Path) -> tuple[Finding, ...]:
    """What is found in an application, with paths that are relative to its folder."""
    report = autolock.check([application], cache=False)
    assert report.errors == ()
    return tuple(
        replace(finding, place=replace(finding.place, path=relative(report.root, finding.place.path, application)))
        for finding in report.findings
    )


def relative(root: str, path: str, application: Path) -> str:
    return Path(root, path).relative_to(application).as_posix()


def place_of(finding: Finding) -> str:
    return f"{finding.place.path}:{finding.place.function}"


def listed(findings: tuple[Finding, ...] | list[Finding]) -> list[str]:
    """What pytest shows when a test fails."""
    return [f"{f.rule} {f.certainty.value} {place_of(f)} line {f.place.line}: {f.message}" for f in findings]


@pytest.mark.parametrize("expected", EXPECTED)
def test_every_expected_place_is_found(expected: Expected) -> None:
    findings = found(expected.fixture.before)
    there = [finding for finding in findings if expected.is_at(finding)]
    assert [finding.certainty.value for finding in there] == [expected.certainty], listed(findings)


@pytest.mark.parametrize("expected", EXPECTED)
def test_the_severity_says_what_is_lost(expected: Expected) -> None:
    there = [finding for finding in found(expected.fixture.before) if expected.is_at(finding)]
    assert {finding.severity.value for finding in there} <= {expected.severity}


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_no_other_race_is_found(fixture: Fixture) -> None:
    """A function that takes part in an expected race may be named as well; any other is a false alarm."""
    places = {at for finding in fixture.findings for at in finding["at"]}
    shared = {finding.location for finding in found(fixture.before) if place_of(finding) in places}
    others = [f for f in found(fixture.before) if f.certainty.value == "race" and f.location not in shared]
    assert not others, listed(others)


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_no_race_is_left_in_after(fixture: Fixture) -> None:
    races = [finding for finding in found(fixture.after) if finding.certainty.value == "race"]
    assert not races, listed(races)


@pytest.mark.parametrize("fixture", LOOKALIKES, ids=lambda f: f.name)
def test_lookalikes_are_left_alone(fixture: Fixture) -> None:
    latent_at_most = fixture.expect["expect"] == "latent"
    wrong = [f for f in found(fixture.before) if not (latent_at_most and f.certainty.value == "latent")]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_a_race_tells_its_interleaving(fixture: Fixture) -> None:
    """Two requests take part, the second begins before the first has ended, and one step is the one that is lost."""
    for finding in found(fixture.before):
        if finding.certainty.value != "race":
            continue
        requests = [step.request for step in finding.window.steps]
        assert set(requests) == {"A", "B"}, finding.window
        assert any(step.lost for step in finding.window.steps), finding.window
        assert requests.index("B") > 0
        lines = (fixture.before / finding.place.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= finding.place.line <= finding.place.end_line <= len(lines)
        assert all(step.place.path and step.place.line for step in finding.window.steps)
