"""The fixtures under real concurrency: before breaks, after holds, look-alikes hold as they are."""

from __future__ import annotations

import pytest
from fixture_cases import cases, missing_places
from fixture_runner import BROKEN, HELD, Fixture, Outcome, fixtures, play

ALL = fixtures()
RACY = [fixture for fixture in ALL if not fixture.is_lookalike]
LOOKALIKES = [fixture for fixture in ALL if fixture.is_lookalike]
RULES = {f"AL10{n}" for n in range(1, 9)} | {f"AL50{n}" for n in range(1, 7)}


def outcome_of(fixture: Fixture, variant: str, part: str) -> Outcome:
    return play(fixture.after if variant == "after" else fixture.before, fixture.drive, part)


@pytest.mark.parametrize(
    ("fixture", "variant", "part"),
    cases(RACY, ["before", "after"], "works") + cases(LOOKALIKES, ["as-is"], "works"),
)
def test_works_one_request_at_a_time(fixture: Fixture, variant: str, part: str) -> None:
    outcome = outcome_of(fixture, variant, part)
    assert outcome.code == HELD, outcome.output


@pytest.mark.parametrize(
    ("fixture", "variant", "part"), cases([f for f in RACY if not f.is_latent], ["before"], "race")
)
def test_before_breaks_under_concurrency(fixture: Fixture, variant: str, part: str) -> None:
    outcome = outcome_of(fixture, variant, part)
    assert outcome.code == BROKEN, f"{part} should break the invariant: {outcome}"


@pytest.mark.parametrize(
    ("fixture", "variant", "part"),
    cases(RACY, ["after"], "race")
    + cases([f for f in RACY if f.is_latent], ["before"], "race")
    + cases(LOOKALIKES, ["as-is"], "race"),
)
def test_holds_under_concurrency(fixture: Fixture, variant: str, part: str) -> None:
    outcome = outcome_of(fixture, variant, part)
    assert outcome.code == HELD, outcome.output


def test_every_rule_has_a_fixture() -> None:
    assert {finding["rule"] for fixture in RACY for finding in fixture.findings} >= RULES
    assert len(LOOKALIKES) >= 15


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_expected_places_exist(fixture: Fixture) -> None:
    """Each `at` names a function of the racy application, as path:qualified.name."""
    assert all(set(finding) >= {"rule", "certainty", "severity", "at"} for finding in fixture.findings)
    assert missing_places(fixture) == []


@pytest.mark.parametrize("fixture", LOOKALIKES, ids=lambda f: f.name)
def test_lookalikes_say_why(fixture: Fixture) -> None:
    assert fixture.expect["expect"] in {"clean", "latent"}
    assert len(fixture.expect["why"]) > 40
