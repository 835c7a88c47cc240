"""Drives the findings of a run through the application, before the fixes and after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations_with_replacement, cycle, islice, product
from pathlib import Path
from types import TracebackType
from typing import Any

from autolock.errors import AutolockError
from autolock.findings import FileChange
from autolock.prove import databases
from autolock.prove.actors import PlayFailed
from autolock.prove.application import Application, find_application
from autolock.prove.inferred import Inferred
from autolock.prove.proof import Bounds, Proof, Side, Subject, Trial, Verdict
from autolock.prove.requests import Driven, Drivers, RequestDoc, elsewhere, larger, routes_of, to_the_limit, variant
from autolock.prove.scenario import Race, Scenario
from autolock.prove.stage.places import wants_database
from autolock.prove.theatre import Play, Theatre, copied

_MOST_ROUTES = 3
_MOST_REFUSED = 5
_MOST_OTHERS = 6

#: What was played, by the key of its subject.
Sides = dict[str, Side]
#: Parts of the state; None for all there are.
Places = tuple[str, ...] | None

#: Told what happens now, for a progress line.
Progress = Callable[[str], None]


def _silent(text: str) -> None:
    """Tells nobody."""


@dataclass
class Prover:
    """Plays findings on copies of a tree. As a context manager it leaves no database server behind.

    `root` is the project, `changes` the fixes, `fixed` the fingerprints of the findings that they end (None for all),
    `python` the interpreter that has the application's packages.
    """

    root: Path
    changes: Sequence[FileChange]
    fixed: frozenset[str] | None = None
    app: str = ""
    python: str = sys.executable
    scenario: Scenario = field(default_factory=Scenario)
    bounds: Bounds = field(default_factory=Bounds)
    progress: Progress = _silent
    _held: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._held.close()

    def prove(self, subjects: Sequence[Subject], *, before: bool = True, after: bool = True) -> list[Proof]:
        """Play each subject on the asked sides.

        Raises AutolockError when there is no application to play.
        """
        first = self.before(subjects) if before else {}
        second = self.after([one for one in subjects if self._may_be_fixed(one)], first) if after else {}
        return [Proof(subject, first.get(subject.key), second.get(subject.key), self.bounds) for subject in subjects]

    def _may_be_fixed(self, subject: Subject) -> bool:
        return subject.finding is None or self.fixed is None or subject.finding.fingerprint in self.fixed

    def before(self, subjects: Sequence[Subject]) -> Sides:
        """Play each subject on the code as it is."""
        return self._side(subjects, (), "before", {})

    def after(self, subjects: Sequence[Subject], before: Sides) -> Sides:
        """Play each subject after the changes; where it went wrong before, only there it is asked about."""
        return self._side(subjects, self.changes, "after", {key: side.places for key, side in before.items()})

    def routes(self) -> tuple[str, ...]:
        """All routes of the application's document. Raises AutolockError when the application does not start."""
        with copied(self.root, ()) as tree, self._theatre.opened(tree) as play:
            return tuple(routes_of(play.document))

    def infer(self, subjects: Sequence[Subject]) -> Inferred:
        """What can be found out without a person of how to drive the subjects.

        Raises AutolockError when there is no application to play.
        """
        routes = dict.fromkeys(route for subject in subjects for route in subject.routes[:_MOST_ROUTES])
        with copied(self.root, ()) as tree:
            try:
                with self._theatre.opened(tree) as play:
                    driver = _Driver(play, self.scenario, self.bounds)
                    driven = {route: driver.drive(route) for route in routes}
                    return Inferred(self.application.name, play.environment, driven, play.dependencies)
            except PlayFailed as error:
                names = next(databases.Settings.of(tree).environments, {})
                return Inferred(self.application.name, names, failure=str(error))

    def _wants_postgres(self) -> bool:
        """Whether the application, or the scenario, has a setting that names a database."""
        asked = wants_database(self.scenario.env)
        named = not self.scenario.env and any(databases.Settings.of(self.root).environments)
        return (asked or named) and databases.is_available()

    @cached_property
    def application(self) -> Application:
        """What is played. Raises AutolockError when there is none."""
        named = self.app or self.scenario.app
        found = Application(named) if named else find_application(self.root)
        if found is None:
            raise AutolockError(f"{self.root}: no application found; name it with --app module:name")
        return found

    def _side(
        self, subjects: Sequence[Subject], changes: Sequence[FileChange], name: str, watched: Mapping[str, Places]
    ) -> Sides:
        sides: Sides = {}
        with copied(self.root, changes) as tree:
            while left := [subject for subject in subjects if subject.key not in sides]:
                try:
                    with self._theatre.opened(tree) as play:
                        driver = _Driver(play, self.scenario, self.bounds)
                        for subject in tuple(left):
                            left = [subject]
                            self.progress(f"{name}: {subject.title}")
                            sides[subject.key] = driver.side(subject, watched.get(subject.key))
                except PlayFailed as error:
                    sides.update((subject.key, Side(missing=str(error))) for subject in left)
        return sides

    @cached_property
    def _theatre(self) -> Theatre:
        server = self._held.enter_context(databases.running()) if self._wants_postgres() else None
        return Theatre(self.python, self.application, self.scenario, server, instances=self.bounds.instances)


class _Driver:
    """Finds requests for the routes of findings in an open application, and plays them."""

    def __init__(self, play: Play, scenario: Scenario, bounds: Bounds) -> None:
        self._play = play
        self._scenario = scenario
        self._bounds = bounds
        self._drivers = Drivers(play.document, play.state, self._try, play.hints)
        self._trials: dict[str, Trial] = {}

    def drive(self, route: str) -> Driven:
        """A request for a route, or what is missing to make one."""
        return self._drivers.drive(route)

    def side(self, subject: Subject, watched: Places) -> Side:
        """Play the sets of requests of one subject until one is a witness in the `watched` places, or anywhere."""
        trials: list[Trial] = []
        for race in self._on_instances(self._races(subject)):
            trial = self._trial(race, watched)
            trials.append(trial)
            if trial.verdict is Verdict.WITNESSED and not trial.answers_only:
                break
        return Side(tuple(trials), self._missing(subject), self._play.environment)

    def _on_instances(self, races: Iterator[Race]) -> Iterator[Race]:
        """All races on one instance, then on two, which share the database only."""
        given = list(races) if self._bounds.instances > 1 else races
        yield from given
        if self._bounds.instances > 1:
            yield from (replace(race, instances=self._bounds.instances) for race in given if not race.failing)

    def _races(self, subject: Subject) -> Iterator[Race]:
        """The scenario's races for the subject's routes; where there are none, those that can be made."""
        given = [race for race in self._scenario.races if not race.route or race.route in subject.routes]
        if given:
            yield from (replace(race, requests=self._as_many(race.requests)) for race in given)
            return
        if subject.manner.failing:
            yield from self._failing(subject)
            return
        own = self._driven(subject.routes or self._drivers.routes())
        rivals = self._driven(subject.rivals)
        for one, other in [*combinations_with_replacement(own, 2), *product(own, rivals)]:
            prelude = one.prelude if one.prelude == other.prelude else (*one.prelude, *other.prelude)
            if one.request is not None and other.request is not None:
                yield from self._pair(prelude, one.request, other.request)
        if subject.manner.others:
            for one in own:
                yield from self._against_others(subject, one)

    def _failing(self, subject: Subject) -> Iterator[Race]:
        """A request that fails on its way, and the same one after it; also requests that are refused, which may have
        failed in the code of the route.
        """
        failing = subject.manner.failing
        for route in subject.routes[:_MOST_ROUTES]:
            driven = self._drivers.drive(route)
            served = [driven.request] if driven.request is not None else []
            for request in [*served, *(_unserved(driven, route) if failing == "locks" else ())]:
                yield Race((request, request), prelude=driven.prelude, failing=failing)

    def _against_others(self, subject: Subject, one: Driven) -> Iterator[Race]:
        """A request against those of other routes: what they read or change may be what it changes."""
        routes = [route for route in self._drivers.routes() if route not in subject.routes]
        tried = 0
        for route in sorted(routes, key=lambda route: not route.startswith("GET")):
            other = self._drivers.drive(route)
            if one.request is None or other.request is None or tried >= _MOST_OTHERS:
                continue
            prelude = one.prelude if one.prelude == other.prelude else (*one.prelude, *other.prelude)
            reads = route.startswith("GET")
            tried += 1
            yield Race((one.request, other.request), prelude=prelude, answers_matter=reads)
            another = None if reads else elsewhere(other.request, route)
            if another is not None:
                yield Race((one.request, another), prelude=prelude)

    def _driven(self, routes: Sequence[str]) -> list[Driven]:
        driven = [self._drivers.drive(route) for route in routes[:_MOST_ROUTES]]
        return [one for one in driven if one.request is not None]

    def _missing(self, subject: Subject) -> str:
        driven = (self._drivers.drive(route) for route in (subject.routes or self._drivers.routes())[:_MOST_ROUTES])
        reasons = (one.missing for one in driven if one.missing)
        return next(reasons, "")

    def _pair(self, prelude: tuple[RequestDoc, ...], one: RequestDoc, other: RequestDoc) -> Iterator[Race]:
        """A request against another, against one with contents of its own, and for the last of what there is."""
        yield Race(self._as_many((one, other)), prelude=prelude)
        varied = variant(other)
        if varied is not None:
            yield Race(self._as_many((one, varied)), prelude=prelude)
        yield from self._with_larger_numbers(prelude, (one, other))
        if one == other:
            last = to_the_limit(one, self._play.state, lambda requests: self._try_after(prelude, requests))
            if last is not None:
                before, request = last
                yield Race(self._as_many((request,)), prelude=(*prelude, *before))

    def _with_larger_numbers(self, prelude: tuple[RequestDoc, ...], requests: tuple[RequestDoc, ...]) -> Iterator[Race]:
        """What a share of one or the rest of a division hides, a hundred shows."""
        more = tuple(larger(request) or request for request in requests)
        if more != requests and all(self._is_served(prelude, request) for request in more):
            yield Race(self._as_many(more), prelude=prelude)

    def _is_served(self, prelude: tuple[RequestDoc, ...], request: RequestDoc) -> bool:
        (response,) = self._try_after(prelude, [request])["responses"]
        return bool(response["status"] < 400)

    def _as_many(self, requests: tuple[RequestDoc, ...]) -> tuple[RequestDoc, ...]:
        """The requests, again from the first until there are as many as race."""
        return tuple(islice(cycle(requests), max(self._bounds.requests, len(requests))))

    def _try_after(self, prelude: tuple[RequestDoc, ...], requests: list[RequestDoc]) -> dict[str, Any]:
        answer = self._try([*prelude, *requests])
        return {**answer, "responses": answer["responses"][len(prelude) :]}

    def _try(self, requests: list[RequestDoc]) -> dict[str, Any]:
        return self._play.actor.do("try", requests=requests)

    def _trial(self, race: Race, watched: Places) -> Trial:
        key = repr((race, watched))
        if key not in self._trials:
            result = self._play.actor.do(
                "explore",
                prelude=list(race.prelude),
                requests=list(race.requests),
                preemptions=self._bounds.preemptions,
                schedules=self._bounds.schedules,
                seconds=self._bounds.seconds,
                first=True,
                watched=watched,
                seed=self._bounds.seed,
                failing=race.failing,
                answers_matter=race.answers_matter,
                instances=race.instances,
            )
            self._trials[key] = Trial(race, result)
        return self._trials[key]


def _unserved(driven: Driven, route: str) -> list[RequestDoc]:
    """Requests which the code of a route may give up early: those that were refused, and one for what is not there."""
    missing = elsewhere(driven.request, route) if driven.request is not None else None
    return [*driven.refused[:_MOST_REFUSED], *([missing] if missing is not None else [])]
