"""Plays the findings of fixtures before and after their fixes, and the routes of look-alikes.

By hand:  python tests/proved_fixtures.py [NAME ...]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fixture_runner import JUDGE_ONLY, Fixture, database_fixtures, fixtures

import autolock
from autolock.cli.proving import unwound
from autolock.prove.proof import Bounds, Side, Subject
from autolock.prove.prover import Prover
from autolock.prove.scenario import Scenario
from autolock.prove.telling import summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BOUNDS = Bounds(seconds=20)
_MOST_ROUTES = 3


class Played(NamedTuple):
    """A finding, or a route of a look-alike, on the application as it is and, for a finding, on the mended one."""

    subject: Subject
    before: Side
    after: Side | None


def played(fixture: Fixture) -> list[Played]:
    """Every finding that a fixture expects, or every route of a look-alike, driven with the scenario beside it."""
    with _prover(fixture, fixture.before) as prover:
        if fixture.is_lookalike:
            routes = sorted(prover.routes(), key=lambda route: route.startswith("GET "))
            subject = Subject(tuple(routes[:_MOST_ROUTES]))
            return [Played(subject, prover.before([subject])[subject.key], None)]
        subjects = _subjects(fixture, prover.root)
        before = prover.before(subjects)
    with _prover(fixture, fixture.after) as prover:
        after = prover.after(subjects, before)
    return [Played(subject, before[subject.key], after[subject.key]) for subject in subjects]


def _subjects(fixture: Fixture, tree: Path) -> list[Subject]:
    found = autolock.check([tree], cache=False).findings
    wanted = {finding["rule"] for finding in fixture.findings}
    return [Subject.of(one, found) for one in found if one.rule in wanted]


@contextmanager
def _prover(fixture: Fixture, application: Path) -> Iterator[Prover]:
    """A prover of a copy of an application that has nothing beside it that tells what is expected."""
    written = fixture.folder / "prove.toml"
    scenario = Scenario.read(written) if written.exists() else Scenario()
    with tempfile.TemporaryDirectory(prefix="fixture-") as scratch:
        tree = Path(scratch) / "app"
        shutil.copytree(application, tree, ignore=JUDGE_ONLY)
        with Prover(tree, (), scenario=scenario, bounds=_BOUNDS) as prover:
            yield prover


def main(names: Sequence[str]) -> None:
    for fixture in [*fixtures(), *database_fixtures()]:
        if names and fixture.name not in names:
            continue
        begun = time.monotonic()
        for subject, before, after in played(fixture):
            shown = f"{before.verdict.value:13} {after.verdict.value if after else '':13}"
            print(f"{shown} {fixture.name}  {subject.title}")
            for name, side in (("before", before), ("after", after)):
                if side is not None:
                    print("      ", summary(name, side, _BOUNDS))
        print(f"       {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    with unwound():
        main(sys.argv[1:])
