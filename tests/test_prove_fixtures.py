"""The prover over fixtures: the race is witnessed before the fix and held after it, look-alikes hold.

A fixture takes seconds, so a sample is played here; `python tests/proved_fixtures.py` plays them all.
"""

from __future__ import annotations

import pytest
from fixture_runner import Fixture, database_fixtures, fixtures
from proved_fixtures import played

from autolock.prove.proof import Verdict

SAMPLE = (
    *("check-then-act", "created-twice", "lock-not-released", "lost-update", "select-then-update", "article-chat"),
    *("session-in-parallel", "side-effect-before-commit", "lookalikes/claim-by-pop", "lookalikes/model-worker"),
)
CHOSEN = [fixture for fixture in [*fixtures(), *database_fixtures()] if fixture.name in SAMPLE]


@pytest.mark.parametrize("fixture", [pytest.param(fixture, id=fixture.name) for fixture in CHOSEN])
def test_a_race_is_witnessed_before_its_fix_only(fixture: Fixture) -> None:
    for subject, before, after in played(fixture):
        can_break = subject.finding is not None and subject.finding.certainty.value != "latent"
        assert before.verdict is (Verdict.WITNESSED if can_break else Verdict.HELD), subject.title
        assert after is None or after.verdict is Verdict.HELD, subject.title
