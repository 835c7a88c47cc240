"""The fixtures on a real database: before breaks under concurrency and halfway, after holds, look-alikes hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fixture_cases import cases, missing_places
from fixture_runner import BROKEN, HELD, Fixture, Outcome, database_fixtures, play_with_database

if TYPE_CHECKING:
    from postgres import Postgres

ALL = database_fixtures()
RACY = [fixture for fixture in ALL if not fixture.is_lookalike]
LOOKALIKES = [fixture for fixture in ALL if fixture.is_lookalike]
RULES = {f"AL20{n}" for n in range(1, 10)} | {f"AL30{n}" for n in range(1, 5)}


def outcome_of(fixture: Fixture, variant: str, part: str, postgres: Postgres) -> Outcome:
    return play_with_database(fixture, fixture.after if variant == "after" else fixture.before, part, postgres)


@pytest.mark.parametrize(
    ("fixture", "variant", "part"),
    cases(RACY, ["before", "after"], "works") + cases(LOOKALIKES, ["as-is"], "works"),
)
def test_a_sequential_client_sees_no_difference(fixture: Fixture, variant: str, part: str, postgres: Postgres) -> None:
    outcome = outcome_of(fixture, variant, part, postgres)
    assert outcome.code == HELD, outcome.output


@pytest.mark.parametrize(("fixture", "variant", "part"), cases(RACY, ["before"], "race", "halfway"))
def test_before_breaks(fixture: Fixture, variant: str, part: str, postgres: Postgres) -> None:
    outcome = outcome_of(fixture, variant, part, postgres)
    assert outcome.code == BROKEN, f"{part} should break the invariant: {outcome}"


@pytest.mark.parametrize(
    ("fixture", "variant", "part"),
    cases(RACY, ["after"], "race", "halfway") + cases(LOOKALIKES, ["as-is"], "race", "halfway"),
)
def test_after_holds(fixture: Fixture, variant: str, part: str, postgres: Postgres) -> None:
    outcome = outcome_of(fixture, variant, part, postgres)
    assert outcome.code == HELD, outcome.output


def test_every_rule_has_a_fixture() -> None:
    assert {finding["rule"] for fixture in RACY for finding in fixture.findings} >= RULES
    assert len(LOOKALIKES) >= 10


@pytest.mark.parametrize("fixture", RACY, ids=lambda f: f.name)
def test_expectations_are_complete(fixture: Fixture) -> None:
    """Each finding says what is reported, where, and whether there is a rewrite; each `at` is a function."""
    for finding in fixture.findings:
        assert set(finding) >= {"rule", "certainty", "severity", "fix", "at"}
        assert finding["fix"] in {"safe", "unsafe", "refused"}
    assert missing_places(fixture) == []
    assert fixture.parts("works")
    assert fixture.parts("race") + fixture.parts("halfway")


@pytest.mark.parametrize("fixture", LOOKALIKES, ids=lambda f: f.name)
def test_lookalikes_say_why(fixture: Fixture) -> None:
    assert fixture.expect["expect"] == "clean"
    assert len(fixture.expect["why"]) > 40
