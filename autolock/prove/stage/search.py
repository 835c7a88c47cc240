"""Searches the schedules of some requests for an outcome that no serial order gives, and tells what it saw
as plain data.
"""

from __future__ import annotations

import gc
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from .asgi import Request, Response
from .crowds import SIZES, Crowd
from .director import Chooser, Failure, Step
from .explore import Bound, Diverged, Drawing, Exploration, follow
from .frames import Project
from .oracle import Oracle, OracleOfTasks, Rules, Violation
from .play import Outcome, Run, Stage
from .touches import Touches
from .windows import Span, goes_through, stands_in

Told = dict[str, Any]

#: Schedules that could not be repeated before it is given up to repeat them.
_MOST_DIVERGENCES = 3

_RUN_DRY = re.compile(r"time(?:d )?out|exhausted|too many", re.IGNORECASE)

#: Requests of a crowd whose steps are told.
_MOST_SHOWN = 2

#: Seconds for which a witness of another window than the one that is asked about is not enough.
_LONGER = 3.0


class Search:
    """One set of requests on one stage.

    `watched` are the places (see Violation) that somebody wants to know of; what goes wrong elsewhere
    is a lesser witness; None for all there are. An answer that is of another moment is one too, unless
    `answers_matter`, and so is a run that leaves nobody inside the `window` that somebody asks about. Schedules that
    leave somebody inside the window `towards` come first. With `apart` there is one request, whose tasks are played
    against each other. Requests that change nothing prove nothing, unless they did before the application was mended
    (`may_change_nothing`). What goes wrong beside what is asked about is no proof: other places than those that are
    watched, and where the search is `lenient` answers that are right, but not all of them at once, and lists that hold
    the right things in another order. With `at_once` a run
    comes first in which nobody waits for a driver that somebody else has asked for something.
    """

    def __init__(
        self,
        stage: Stage,
        requests: tuple[Request, ...],
        rules: Rules,
        watched: frozenset[str] | None = None,
        *,
        answers_matter: bool = False,
        window: tuple[Span, ...] = (),
        towards: tuple[Span, ...] = (),
        apart: bool = False,
        may_change_nothing: bool = False,
        lenient: bool = False,
        at_once: bool = False,
    ) -> None:
        self._stage = stage
        self._requests = requests
        self._oracle = (OracleOfTasks if apart else Oracle)(stage, requests, rules)
        self._oracle.may_change_nothing = may_change_nothing
        self._play: Callable[[Chooser], Run] = (
            partial(stage.play_apart, requests[0]) if apart else partial(stage.play, requests)
        )
        self._watched = watched
        self._answers_matter = answers_matter
        self._lenient = lenient
        self._at_once, self._apart = at_once, apart
        self._window = window
        self._towards = towards
        self._witness: Told | None = None
        self._violations = 0
        self._stop_at_first = False
        self._longest = 0
        self._played = 0
        self._meeting: list[str] | None = None
        self._began = time.monotonic()
        self._give_up_at = math.inf

    def run(self, bound: Bound, *, stop_at_first: bool, first: tuple[int, ...] = ()) -> Told:
        """Play schedules until the bound is reached, or the first witness; that of the decisions `first` before others.

        Returns `problems` where the requests prove nothing, else what was played and the first witness.
        """
        self._oracle.prepare()
        if self._oracle.problems:
            return {"problems": self._oracle.problems}
        self._stop_at_first = stop_at_first
        self._began = time.monotonic()
        if first:
            self._look_at(self._play(follow(first)), 0)
        if self._at_once:
            self._look_at(self._stage.play_at_once(self._requests, apart=self._apart), 1)
        many = len(self._requests) > 2
        touches = None
        if self._oracle.longest > bound.reduce_beyond:
            touches = Touches(self._stage.project, self._stage.rows_are_one)
        self._stage.stepper.touches = touches
        try:
            exhausted, diverged = self._explored(replace(bound, seconds=bound.seconds / 2) if many else bound)
            drawn = self._drawn(bound) if many and not exhausted and not self._over else None
        finally:
            self._stage.stepper.touches = None
        self._meeting = touches.told() if touches is not None else None
        return self._result(self._played + (drawn["played"] if drawn else 0), exhausted, diverged, drawn)

    def _explored(self, bound: Bound) -> tuple[bool, str]:
        """Whether all schedules within the bound were played, and why not where one could not be repeated.

        It begins anew where steps have met of which it was not known that they may, and where a schedule cannot be
        repeated: what libraries make when it is needed first (a second connection of a pool) is there from then on.
        """
        touches = self._stage.stepper.touches
        divergences = 0
        until = time.monotonic() + bound.seconds
        while not self._over:
            left = replace(bound, seconds=until - time.monotonic(), schedules=bound.schedules - self._played)
            exploration = Exploration(lambda prefix: self._play(follow(prefix)), left, self._is_likely)
            anew = False
            try:
                for run in exploration:
                    self._played += 1
                    anew = touches is not None and touches.settle()
                    self._look_at(run, self._played)
                    if self._over or anew:
                        break
            except Diverged as error:
                divergences += 1
                if divergences > _MOST_DIVERGENCES:
                    return False, str(error)
                anew = True
            if not anew:
                return exploration.exhausted, ""
        return False, ""

    def _result(self, played: int, exhausted: bool, diverged: str = "", drawn: Told | None = None) -> Told:
        return {
            "played": played,
            "seconds": time.monotonic() - self._began,
            "violations": self._violations,
            "exhausted": exhausted,
            "diverged": diverged,
            "drawn": drawn,
            "steps": self._longest,
            "meeting": self._meeting,
            "witness": self._witness,
            "changes": self._oracle.changes,
            "serial": self._serial(),
            "masked": sorted(".".join(path) for path in self._oracle.masked),
        }

    def run_failing(self, kind: str) -> Told:
        """Let the first request fail at each point where it can, and the others come after it.

        `kind` is what is looked at: its `tables`, whether `locks` are free again, or who is `told` of what a commit
        that has failed was to keep. Returns as `run`.
        """
        self._oracle.prepare()
        alone = self._stage.play_in_turn(self._requests, (0,))
        if alone.outcome.stuck:
            return {"problems": [f"a request does not come to an end even when it is alone: {alone.outcome.stuck}"]}
        if kind == "tables" and self._oracle.problems:
            return {"problems": self._oracle.problems}
        order = tuple(range(len(self._requests)))
        usual = self._stage.play_in_turn(self._requests, order)
        kinds = frozenset(["commit"] if kind == "told" else [])
        points = sum(step.lane == 0 and Failure(0, 0, kinds).counts(step.gate) for step in usual.steps)
        if kind == "told" and not points:
            return {"problems": ["the request commits nothing"]}
        runs: list[Failure | None] = [None, *(Failure(0, at, kinds) for at in range(points))]
        for number, failure in enumerate(runs[1:] if kind == "told" else runs):
            run = self._stage.play_in_turn(self._requests, order, failure)
            if kind == "told":
                violation = self._oracle.judge_told(run)
            else:
                violation = self._oracle.judge_failed(run, 0, tables_only=kind == "tables")
            if violation is not None:
                self._keep(run, violation, number)
                break
        return self._result(played=len(runs), exhausted=True)

    def run_crowd(self, kind: str) -> Told:
        """Send the request many times; `kind` is what is looked at, one of SIZES. Returns as `run`."""
        self._oracle.prepare()
        requests = self._requests[:1] * SIZES[kind]
        crowd = Crowd()
        if kind == "turns":
            gc.disable()  # what nobody closes is closed by chance only
            run = self._stage.play_in_turn(requests, tuple(range(len(requests))))
            gc.enable()
        else:
            run = self._stage.play_crowd(requests, crowd)
        violation = _judged(kind, run, crowd)
        if violation is not None:
            self._keep(replace(run, steps=tuple(step for step in run.steps if step.lane < _MOST_SHOWN)), violation, 1)
        elif kind == "calls" and not crowd.most:
            return {"problems": ["no request waits for anything"]}
        elif not run.outcome.served():
            return {"problems": self._oracle.problems or ["no request succeeds"]}
        return {**self._result(played=1, exhausted=True), "crowd": {"sent": len(requests), "most": crowd.most}}

    def _drawn(self, bound: Bound) -> Told:
        """Schedules by chance for the other half of the budget, where there are too many to play them all."""
        drawing = Drawing(
            self._play,
            len(self._requests) + self._oracle.has_helpers,
            self._longest,
            (bound.preemptions or 0) + 1,
            bound.seed,
        )
        until = time.monotonic() + bound.seconds / 2
        for run in drawing:
            self._look_at(run, drawing.played)
            if self._over or drawing.played >= bound.schedules or time.monotonic() > until:
                break
        return {"played": drawing.played, "depth": drawing.depth, "seed": drawing.seed, "missed": drawing.missed}

    @property
    def _over(self) -> bool:
        return self._stop_at_first and (self._found or time.monotonic() > self._give_up_at)

    @property
    def _found(self) -> bool:
        return self._witness is not None and not any(_flaws(self._witness))

    def _look_at(self, run: Run, number: int) -> None:
        self._longest = max(self._longest, len(run.steps))
        violation = self._oracle.judge(run)
        if violation is not None and self._oracle.masks_more():
            violation = self._oracle.judge(run)
        if violation is not None:
            self._keep(run, violation, number)

    def _keep(self, run: Run, violation: Violation, number: int) -> None:
        """Count a violation, and keep it as the witness where there is none as good."""
        self._violations += 1
        told = run_told(run, self._stage.project)
        witness = {**told, **self._told(violation), "off_target": self._is_off(told), "number": number}
        if self._witness is None or _flaws(witness) < _flaws(self._witness):
            self._witness = witness
            if _flaws(witness) == _OFF_TARGET_ONLY:
                self._give_up_at = time.monotonic() + _LONGER

    def _is_likely(self, step: Step) -> bool:
        """Whether who is left at a step stands inside the window."""
        spots = (self._stage.project.at(*place) for place in step.gate.trail) if self._towards else ()
        return stands_in([(spot.path, spot.line) for spot in spots], self._towards)

    def _is_off(self, told: Told) -> bool:
        return bool(self._window) and not told["stuck"] and not goes_through(told["steps"], self._window)

    def _told(self, violation: Violation) -> Told:
        elsewhere = bool(self._watched and violation.places and not violation.places & self._watched)
        answers_only = violation.answers_only and not self._answers_matter
        lesser = (answers_only and violation.possible) or violation.order_only
        return {
            "beside": elsewhere or (lesser and self._lenient),
            "answers_only": answers_only,
            "order_only": violation.order_only,
            "why": violation.why,
            "differences": [list(difference) for difference in violation.differences],
            "places": sorted(violation.places),
        }

    def _serial(self) -> list[Told]:
        orders = self._oracle.orders(self._oracle.everybody)
        return [{"order": list(order), **outcome_told(outcome)} for order, outcome in orders.items()]


def _has_run_dry(answer: Response, number: int) -> bool:
    """Whether a request failed by itself, or because nothing is left for it. Others may fail as what they make is there
    already.
    """
    return answer.status >= 500 and (number == 0 or _RUN_DRY.search(answer.error) is not None)


def _judged(kind: str, run: Run, crowd: Crowd) -> Violation | None:
    """What is wrong with how a crowd fared; None where nothing is."""
    sent, answers = len(run.outcome.responses), run.outcome.responses
    failed = next((n for n, answer in enumerate(answers) if answer is None or _has_run_dry(answer, n)), None)
    if kind == "calls" and crowd.most == sent:
        return Violation(f"{sent} requests are inside it at once: nothing holds any of them back")
    if kind == "connections" and crowd.starving:
        return Violation(f"{crowd.starving} requests wait for what those keep that are answered already")
    if kind == "turns" and failed is not None:
        answer = answers[failed]
        told = f"status {answer.status}: {answer.error or answer.body}" if answer else run.outcome.stuck or "no answer"
        which = "even when it is alone" if failed == 0 else f"after {failed} others, one after the other"
        return Violation(f"a request fails {which}: {' '.join(told.split())[:200]}")
    return None


def outcome_told(outcome: Outcome) -> Told:
    """An outcome as plain data."""
    return {
        "responses": [None if answer is None else asdict(answer) for answer in outcome.responses],
        "state": outcome.state,
        "stuck": outcome.stuck,
    }


def _flaws(witness: Told) -> tuple[bool, bool, bool]:
    """What makes a witness worth less than another."""
    return witness["beside"], witness["answers_only"], witness["off_target"]


_OFF_TARGET_ONLY = (False, False, True)


def _label(step: Step) -> str:
    if not step.failed:
        return step.gate.label
    return f"gives up {step.gate.label}" if step.gate.kind == "resume" else f"fails: {step.gate.label}"


def run_told(run: Run, project: Project) -> Told:
    """A run as plain data: what it came to, and its steps."""
    steps = [
        {
            "lane": step.lane,
            "kind": step.gate.kind,
            "label": _label(step),
            "failed": step.failed,
            "spot": asdict(step.gate.spot) if step.gate.spot else None,
            "values": step.gate.values,
            "trail": [[spot.path, spot.line] for spot in (project.at(*one) for one in step.gate.trail)],
        }
        for step in run.steps
    ]
    return {**outcome_told(run.outcome), "choices": list(run.choices), "preemptions": run.preemptions, "steps": steps}
