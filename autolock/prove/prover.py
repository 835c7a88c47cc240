"""Drives the findings of a run through the application, before the fixes and after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from pathlib import Path

from autolock.errors import AutolockError
from autolock.findings import FileChange, Finding
from autolock.prove import databases
from autolock.prove.actors import PlayFailed
from autolock.prove.application import Application, find_application
from autolock.prove.proof import Bounds, Proof, Side, Trial, Verdict
from autolock.prove.requests import Driven, RequestDoc, drive, variant
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
        theatre_of = self._theatre()
        with ExitStack() as stack:
            server = stack.enter_context(databases.running()) if databases.is_available() else None
            theatre = Theatre(self.python, theatre_of, self.scenario, server)
            first = self._side(theatre, findings, (), "before") if before else {}
            second = self._side(theatre, findings, self.changes, "after") if after else {}
        return [
            Proof(finding, first.get(finding.fingerprint), second.get(finding.fingerprint), self.bounds)
            for finding in findings
        ]

    def _theatre(self) -> Application:
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
        races, missing = self._races(finding)
        for race in races:
            trial = self._trial(race)
            trials.append(trial)
            if trial.verdict is Verdict.WITNESSED:
                break
        return Side(tuple(trials), missing)

    def _races(self, finding: Finding) -> tuple[list[Race], str]:
        routes = finding.routes
        given = [race for race in self._scenario.races if not race.route or race.route in routes]
        if given:
            return given, ""
        driven = [self._drive(route) for route in routes[:_MOST_ROUTES]]
        requests = [one.request for one in driven if one.request is not None]
        missing = next((one.missing for one in driven if one.missing), "no route leads here")
        pairs = combinations_with_replacement(requests, 2)
        return [race for one, other in pairs for race in _races_of(one, other)], "" if requests else missing

    def _drive(self, route: str) -> Driven:
        if route not in self._driven:
            self._driven[route] = drive(
                route,
                self._play.document,
                self._play.state,
                lambda requests: self._play.actor.do("try", requests=requests),
            )
        return self._driven[route]

    def _trial(self, race: Race) -> Trial:
        key = repr(race.requests)
        if key not in self._trials:
            result = self._play.actor.do(
                "explore",
                requests=list(race.requests),
                preemptions=self._bounds.preemptions,
                schedules=self._bounds.schedules,
                seconds=self._bounds.seconds,
                first=True,
            )
            self._trials[key] = Trial(race.requests, result)
        return self._trials[key]


def _races_of(one: RequestDoc, other: RequestDoc) -> Iterator[Race]:
    """A request against another one, and against the other with contents of its own."""
    yield Race((one, other))
    varied = variant(other)
    if varied is not None:
        yield Race((one, varied))
