"""Drives the findings of a run through the application, before the fixes and after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations_with_replacement, cycle, islice, product
from pathlib import Path
from types import TracebackType
from typing import Any

from autolock.errors import AutolockError
from autolock.findings import FileChange
from autolock.prove import databases
from autolock.prove.actors import PlayFailed
from autolock.prove.application import Application, find_application, named_application
from autolock.prove.inferred import Inferred
from autolock.prove.manners import Manner
from autolock.prove.proof import Aim, Bounds, Proof, Side, Subject, Trial, Verdict
from autolock.prove.requests import (
    Driven,
    Drivers,
    RequestDoc,
    another_sender,
    crossings,
    elsewhere,
    larger,
    routes_of,
    several,
    to_the_limit,
    variant,
)
from autolock.prove.samples import Known
from autolock.prove.scenario import Race, Scenario
from autolock.prove.settings import Settings
from autolock.prove.stage.places import wants_database
from autolock.prove.stage.windows import Span, goes_through
from autolock.prove.theatre import Play, Theatre, copied

#: Seconds for which an answer is waited for beyond the budget.
_LONGEST_ANSWER = 120.0

_MOST_ROUTES = 3
_MOST_REFUSED = 5
_MOST_OTHERS = 6
_MOST_CROSSINGS = 3

#: What was played, by the key of its subject.
Sides = dict[str, Side]
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
        return self._side(subjects, (), "before", {subject.key: subject.aim for subject in subjects})

    def after(self, subjects: Sequence[Subject], before: Sides) -> Sides:
        """Play each subject after the changes; where it went wrong before, only there it is asked about."""
        aims = {one.key: one.aim.after(before[one.key]) for one in subjects if one.key in before}
        return self._side(subjects, self.changes, "after", aims)

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
                settings = Settings.of(tree)
                names = next(settings.databases, settings.made)
                return Inferred(self.application.name, names, failure=str(error))

    def _wants_postgres(self) -> bool:
        """Whether the application, or the scenario, has a setting that names a database."""
        asked = wants_database(self.scenario.env)
        named = not self.scenario.env and any(Settings.of(self.root).databases)
        return (asked or named) and databases.is_available()

    @cached_property
    def application(self) -> Application:
        """What is played. Raises AutolockError when there is none."""
        named = self.app or self.scenario.app
        found = named_application(self.root, named) if named else find_application(self.root)
        if found is None:
            raise AutolockError(f"{self.root}: no application found; name it with --app module:name")
        return found

    def _side(
        self, subjects: Sequence[Subject], changes: Sequence[FileChange], name: str, aims: Mapping[str, Aim]
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
                            sides[subject.key] = driver.side(subject, aims.get(subject.key, Aim()))
                except PlayFailed as error:
                    sides.update((subject.key, Side(missing=str(error))) for subject in left)
        return sides

    @cached_property
    def _theatre(self) -> Theatre:
        server = self._held.enter_context(databases.running()) if self._wants_postgres() else None
        return Theatre(
            self.python,
            self.application,
            self.scenario,
            server,
            seconds=_LONGEST_ANSWER + self.bounds.seconds,
            instances=self.bounds.instances,
        )


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

    def side(self, subject: Subject, aim: Aim) -> Side:
        """Play the sets of requests of one subject until one is a witness of what is asked about."""
        if subject.manner.unplayed:
            return Side(missing=subject.manner.unplayed)
        trials: list[Trial] = []
        for race in self._on_instances(chain(self._races(subject), self._tasks(subject) if aim.apart else ())):
            trial = self._aimed(race, aim)
            if race.apart and (trial.off_target or trial.verdict is Verdict.NOT_DRIVEN):
                continue  # tasks of one request may well depend on each other's order elsewhere
            trials.append(trial)
            if trial.verdict is Verdict.WITNESSED and not any(trial.flaws):
                break
        return Side(tuple(trials), self._missing(subject), self._play.environment)

    def _on_instances(self, races: Iterator[Race]) -> Iterator[Race]:
        """All races on one instance, then on two, which share the database only."""
        given = list(races) if self._bounds.instances > 1 else races
        yield from given
        if self._bounds.instances > 1:
            yield from (
                replace(race, instances=self._bounds.instances) for race in given if not race.failing and not race.crowd
            )

    def _races(self, subject: Subject) -> Iterator[Race]:
        """The scenario's races for the subject's routes; where there are none, those that can be made."""
        given = [race for race in self._scenario.races if not race.route or race.route in subject.routes]
        manner = subject.manner
        if given:
            yield from (self._in_manner(race, manner) for race in given)
        elif manner.crowd:
            yield from self._crowds(subject)
        elif manner.failing:
            yield from self._failing(subject)
        elif manner.at_once:
            yield from (replace(race, at_once=True) for race in self._made(subject))
        else:
            yield from self._made(subject)

    def _in_manner(self, race: Race, manner: Manner) -> Race:
        """A race of the scenario, as its finding is played."""
        alone = manner.crowd or manner.failing == "told"
        as_many = race.requests[:1] if alone else self._as_many(race.requests)
        failing = manner.failing or race.failing
        return replace(race, requests=as_many, failing=failing, crowd=manner.crowd, at_once=manner.at_once)

    def _crowds(self, subject: Subject) -> Iterator[Race]:
        """Requests that are sent many times; also one that fails even alone, where nothing else is to be had."""
        for route in (subject.routes or self._drivers.routes())[:_MOST_ROUTES]:
            driven = self._drivers.drive(route)
            served = [driven.request] if driven.request is not None else []
            for request in served or list(driven.refused[:1] if subject.manner.crowd == "turns" else ()):
                yield Race((request,), prelude=driven.prelude, crowd=subject.manner.crowd)

    def _made(self, subject: Subject) -> Iterator[Race]:
        """The races that can be made for the routes of a subject."""
        own = self._driven(subject.routes or self._drivers.routes())
        rivals = self._driven(subject.rivals)
        for one, other in [*combinations_with_replacement(own, 2), *product(own, rivals)]:
            prelude = one.prelude if one.prelude == other.prelude else (*one.prelude, *other.prelude)
            if one.request is not None and other.request is not None:
                yield from self._pair(prelude, one.request, other.request)
        if subject.manner.others:
            for one in own:
                yield from self._against_others(subject, one)
        for route in subject.routes[:_MOST_ROUTES]:
            yield from self._refused(self._drivers.drive(route))
        for one in own:
            yield from self._elsewise(subject, one)

    def _tasks(self, subject: Subject) -> Iterator[Race]:
        """One request whose tasks are played against each other, also one that gives them more to do."""
        given = [race for race in self._scenario.races if not race.route or race.route in subject.routes]
        served = [Driven(request, race.prelude) for race in given for request in race.requests]
        for one in served or self._driven(subject.routes):
            if one.request is None:
                continue
            for request in (one.request, several(one.request)):
                if request is not None and self._is_served(one.prelude, request):
                    yield Race((request,), prelude=one.prelude, apart=True, at_once=subject.manner.at_once)

    def _refused(self, driven: Driven) -> Iterator[Race]:
        """Requests that are refused as often as they may be: one wrong password more closes the account."""
        for request in driven.refused[:_MOST_REFUSED]:
            yield from self._for_the_last(driven.prelude, request)

    def _elsewise(self, subject: Subject, one: Driven) -> Iterator[Race]:
        """A request against itself after one of another route which makes that it is answered otherwise."""
        request = one.request
        if request is None:
            return
        usual = self._status(one.prelude, request)
        routes = [route for route in self._drivers.routes() if not route.startswith(("GET", "WEBSOCKET"))]
        for route in [route for route in routes if route not in subject.routes][:_MOST_OTHERS]:
            other = self._drivers.drive(route)
            if other.request is None:
                continue
            prelude = (*one.prelude, *other.prelude, other.request)
            if self._status(prelude, request) != usual:
                yield Race(self._as_many((request,)), prelude=prelude)
                yield from self._for_the_last(prelude, request)

    def _status(self, prelude: tuple[RequestDoc, ...], request: RequestDoc) -> int:
        (response,) = self._try_after(prelude, [request])["responses"]
        return int(response["status"]) if response is not None else 0

    def _failing(self, subject: Subject) -> Iterator[Race]:
        """A request that fails on its way, and the same one after it; also requests that are refused, which may have
        failed in the code of the route.
        """
        failing = subject.manner.failing
        for route in subject.routes[:_MOST_ROUTES]:
            driven = self._drivers.drive(route)
            served = [driven.request] if driven.request is not None else []
            others = [other for one in served if (other := variant(one)) is not None]
            for request in [*served, *others, *(_unserved(driven, route) if failing == "locks" else ())]:
                if failing != "told":
                    yield Race((request, request), prelude=driven.prelude, failing=failing)
                if failing != "locks":  # one that comes after it may complete what it has left
                    yield Race((request,), prelude=driven.prelude, failing=failing)

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
        sender = another_sender(other)
        if sender is not None and self._is_served(prelude, sender):
            yield Race(self._as_many((one, sender)), prelude=prelude)
        yield from self._with_larger_numbers(prelude, (one, other))
        if one == other:
            yield from self._crossing(prelude, one)
            yield from self._for_the_last(prelude, one)

    def _for_the_last(self, prelude: tuple[RequestDoc, ...], one: RequestDoc) -> Iterator[Race]:
        """A request against itself where only one more is answered as it is now."""
        last = to_the_limit(one, self._play.state, lambda requests: self._try_after(prelude, requests))
        if last is not None:
            before, request = last
            yield Race(self._as_many((request,)), prelude=(*prelude, *before))

    def _crossing(self, prelude: tuple[RequestDoc, ...], one: RequestDoc) -> Iterator[Race]:
        """A request between two things against one the other way round."""
        for pair in islice(crossings(one, Known.of(self._play.state)), _MOST_CROSSINGS):
            if all(self._is_served(prelude, request) for request in pair):
                yield Race(self._as_many(pair), prelude=prelude)
                return

    def _with_larger_numbers(self, prelude: tuple[RequestDoc, ...], requests: tuple[RequestDoc, ...]) -> Iterator[Race]:
        """What a share of one or the rest of a division hides, a hundred shows."""
        more = tuple(larger(request) or request for request in requests)
        if more != requests and all(self._is_served(prelude, request) for request in more):
            yield Race(self._as_many(more), prelude=prelude)

    def _is_served(self, prelude: tuple[RequestDoc, ...], request: RequestDoc) -> bool:
        return 0 < self._status(prelude, request) < 400

    def _as_many(self, requests: tuple[RequestDoc, ...]) -> tuple[RequestDoc, ...]:
        """The requests, again from the first until there are as many as race."""
        return tuple(islice(cycle(requests), max(self._bounds.requests, len(requests))))

    def _try_after(self, prelude: tuple[RequestDoc, ...], requests: list[RequestDoc]) -> dict[str, Any]:
        answer = self._try([*prelude, *requests])
        return {**answer, "responses": answer["responses"][len(prelude) :]}

    def _try(self, requests: list[RequestDoc]) -> dict[str, Any]:
        return self._play.actor.do("try", requests=requests)

    def _aimed(self, race: Race, aim: Aim) -> Trial:
        """The trial of a race. Where its first witness is not of the window, others are looked for."""
        trial = self._trial(race, aim, ())
        if not aim.window or race.failing or race.crowd or race.at_once or _is_of(trial, aim.window):
            return trial
        trial = self._trial(race, aim, aim.window)
        return replace(trial, off_target=not _is_of(trial, aim.window))

    def _trial(self, race: Race, aim: Aim, window: tuple[Span, ...]) -> Trial:
        """What a race comes to; what is known of it already, unless other schedules first may tell more."""
        key, aimed = repr((race, replace(aim, window=()), window)), repr((race, aim, window))
        known = self._trials.get(aimed) or self._trials.get(key)
        if known is None or (known.verdict is Verdict.INCONCLUSIVE and aimed not in self._trials):
            result = self._play.actor.do(
                "explore",
                prelude=list(race.prelude),
                requests=list(race.requests),
                preemptions=self._bounds.preemptions,
                schedules=self._bounds.schedules,
                seconds=self._bounds.seconds,
                first=True,
                watched=aim.places,
                seed=self._bounds.seed,
                reduce_beyond=self._bounds.reduce_beyond,
                failing=race.failing,
                crowd=race.crowd,
                at_once=race.at_once,
                answers_matter=race.answers_matter,
                instances=race.instances,
                window=window,
                towards=aim.window,
                apart=race.apart,
                may_change_nothing=aim.seen or aim.plain or race.at_once,
                lenient=aim.lenient,
            )
            known = self._trials[key] = self._trials[aimed] = Trial(race, result)
        return known


def _is_of(trial: Trial, window: tuple[Span, ...]) -> bool:
    """Whether a witness is of the window; so is what is no witness, and a deadlock."""
    witness = trial.result["witness"] if trial.verdict is Verdict.WITNESSED else None
    return witness is None or bool(witness["stuck"]) or goes_through(witness["steps"], window)


def _unserved(driven: Driven, route: str) -> list[RequestDoc]:
    """Requests which the code of a route may give up early: those that were refused, and one for what is not there."""
    missing = elsewhere(driven.request, route) if driven.request is not None else None
    return [*driven.refused[:_MOST_REFUSED], *([missing] if missing is not None else [])]
