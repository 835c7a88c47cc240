"""Drives the findings of a run through the application, before the fixes and after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

from autolock.errors import AutolockError
from autolock.findings import FileChange, Finding
from autolock.prove import databases
from autolock.prove.actors import PlayFailed
from autolock.prove.application import Application, find_application
from autolock.prove.proof import Bounds, Proof, Side, Trial, Verdict
from autolock.prove.requests import Driven, RequestDoc, drive, to_the_limit, variant
from autolock.prove.scenario import Race, Scenario
from autolock.prove.theatre import Play, Theatre, copied

_MOST_ROUTES = 3

#: Told what happens now, for a progress line.
Progress = Callable[[str], None]


def _silent(text: str) -> None:
    """Tells nobody."""


@dataclass
class Prover:
    """Plays findings on copies of a tree.

    `root` is the project, `changes` the fixes, `python` the interpreter that has the application's packages.
    """

    root: Path
    changes: Sequence[FileChange]
    app: str = ""
    python: str = sys.executable
    scenario: Scenario = field(default_factory=Scenario)
    bounds: Bounds = field(default_factory=Bounds)
    progress: Progress = _silent

    def prove(self, findings: Sequence[Finding], *, before: bool = True, after: bool = True) -> list[Proof]:
        """Play each finding on the asked sides.

        Raises AutolockError when there is no application to play.
        """
        application = self._application()
        with ExitStack() as stack:
            server = stack.enter_context(databases.running()) if self._wants_postgres() else None
            theatre = Theatre(self.python, application, self.scenario, server)
            first = self._side(theatre, findings, (), "before") if before else {}
            second = self._side(theatre, findings, self.changes, "after") if after else {}
        return [
            Proof(finding, first.get(finding.fingerprint), second.get(finding.fingerprint), self.bounds)
            for finding in findings
        ]

    def _wants_postgres(self) -> bool:
        """Whether the application, or the scenario, has a setting that names a database."""
        asked = any("{postgres" in value for value in self.scenario.env.values())
        named = not self.scenario.env and any(databases.Settings.of(self.root).environments)
        return (asked or named) and databases.is_available()

    def _application(self) -> Application:
        named = self.app or self.scenario.app
        found = Application(named) if named else find_application(self.root)
        if found is None:
            raise AutolockError(f"{self.root}: no application found; name it with --app module:name")
        return found

    def _side(
        self, theatre: Theatre, findings: Sequence[Finding], changes: Sequence[FileChange], name: str
    ) -> dict[str, Side]:
        with copied(self.root, changes) as tree:
            try:
                with theatre.opened(tree) as play:
                    driver = _Driver(play, self.scenario, self.bounds)
                    sides = {}
                    for finding in findings:
                        self.progress(f"{name}: {finding.rule} {finding.place.path}:{finding.place.line}")
                        sides[finding.fingerprint] = driver.side(finding)
                    return sides
            except PlayFailed as error:
                return {finding.fingerprint: Side(missing=str(error)) for finding in findings}


class _Driver:
    """Finds requests for the routes of findings in an open application, and plays them."""

    def __init__(self, play: Play, scenario: Scenario, bounds: Bounds) -> None:
        self._play = play
        self._scenario = scenario
        self._bounds = bounds
        self._driven: dict[str, Driven] = {}
        self._trials: dict[str, Trial] = {}

    def side(self, finding: Finding) -> Side:
        """Play the sets of requests of one finding until one is a witness."""
        trials: list[Trial] = []
        for race in self._races(finding):
            trial = self._trial(race)
            trials.append(trial)
            if trial.verdict is Verdict.WITNESSED:
                break
        return Side(tuple(trials), self._missing(finding))

    def _races(self, finding: Finding) -> Iterator[Race]:
        """The scenario's races for the finding's routes; where there are none, those that can be made."""
        given = [race for race in self._scenario.races if not race.route or race.route in finding.routes]
        if given:
            yield from given
            return
        requests = [driven.request for driven in self._driven_routes(finding) if driven.request is not None]
        for one, other in combinations_with_replacement(requests, 2):
            yield from self._pair(one, other)

    def _driven_routes(self, finding: Finding) -> list[Driven]:
        return [self._drive(route) for route in finding.routes[:_MOST_ROUTES]]

    def _missing(self, finding: Finding) -> str:
        reasons = (driven.missing for driven in self._driven_routes(finding) if driven.missing)
        return next(reasons, "" if finding.routes else "no route leads here")

    def _pair(self, one: RequestDoc, other: RequestDoc) -> Iterator[Race]:
        """A request against another one, against the other with contents of its own, and for the last of what there is."""
        yield Race((one, other))
        varied = variant(other)
        if varied is not None:
            yield Race((one, varied))
        last = to_the_limit(one, self._play.state, self._try) if one == other else None
        if last is not None:
            prelude, request = last
            yield Race((request, request), prelude=tuple(prelude))

    def _try(self, requests: list[RequestDoc]) -> dict[str, Any]:
        return self._play.actor.do("try", requests=requests)

    def _drive(self, route: str) -> Driven:
        if route not in self._driven:
            self._driven[route] = drive(route, self._play.document, self._play.state, self._try)
        return self._driven[route]

    def _trial(self, race: Race) -> Trial:
        key = repr((race.prelude, race.requests))
        if key not in self._trials:
            result = self._play.actor.do(
                "explore",
                prelude=list(race.prelude),
                requests=list(race.requests),
                preemptions=self._bounds.preemptions,
                schedules=self._bounds.schedules,
                seconds=self._bounds.seconds,
                first=True,
            )
            self._trials[key] = Trial(race, result)
        return self._trials[key]
