"""What was run for a finding, and what it showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from autolock.findings import Certainty, Finding
from autolock.prove.manners import Manner, manner_of
from autolock.prove.scenario import Race
from autolock.prove.stage.windows import Span


class Verdict(str, Enum):
    """What running the requests showed. Nothing is claimed beyond what was run."""

    WITNESSED = "witnessed"
    HELD = "held"
    INCONCLUSIVE = "inconclusive"
    NOT_DRIVEN = "not driven"


@dataclass(frozen=True)
class Bounds:
    """How far to look: requests at once, preemptions a schedule, schedules and seconds a set of requests.

    `seed` is where chance begins, for three requests and more. With two `instances`, all is played on one and on two.
    Where the requests take more than `reduce_beyond` steps, of schedules that differ in steps only which meet nobody
    one is played.
    """

    requests: int = 2
    preemptions: int = 2
    schedules: int = 5_000
    seconds: float = 60.0
    seed: int = 0
    instances: int = 1
    reduce_beyond: int = 16


@dataclass(frozen=True)
class Trial:
    """Requests that were sent at once, and what all their schedules came to. `result` is what the stage told of it.

    `off_target` where its witness is of another race of the same routes than the one that was asked about.
    """

    race: Race
    result: dict[str, Any]
    off_target: bool = False

    @property
    def verdict(self) -> Verdict:
        """What this set of requests showed."""
        if self.result.get("problems"):
            return Verdict.NOT_DRIVEN
        if self.result["witness"] and not self.result["witness"]["beside"]:
            return Verdict.WITNESSED
        return Verdict.HELD if self.result["exhausted"] else Verdict.INCONCLUSIVE

    @property
    def answers_only(self) -> bool:
        """Whether the witness leaves everything right, and only tells something that was no longer, or not yet, so."""
        return self.verdict is Verdict.WITNESSED and bool(self.result["witness"]["answers_only"])

    @property
    def order_only(self) -> bool:
        """Whether the witness leaves what some order leaves, but for the order of what lists hold."""
        return self.verdict is Verdict.WITNESSED and bool(self.result["witness"]["order_only"])

    @property
    def flaws(self) -> tuple[bool, bool]:
        """What makes its witness worth less than another."""
        return self.answers_only, self.off_target

    @property
    def beside(self) -> bool:
        """Whether something goes wrong that was not asked about."""
        witness = self.result.get("witness")
        return bool(witness and witness["beside"])

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What else goes wrong: places that the race before the fix left alone; none where it is an answer."""
        witness = self.result.get("witness")
        return tuple(witness["places"]) if witness and self.beside and not witness["order_only"] else ()


@dataclass(frozen=True)
class Side:
    """The trials of one version of the application, and the settings under which it ran."""

    trials: tuple[Trial, ...] = ()
    missing: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """One witness is enough; held only when all that was driven held."""
        verdicts = [trial.verdict for trial in self.trials if trial.verdict is not Verdict.NOT_DRIVEN]
        if not verdicts:
            return Verdict.NOT_DRIVEN
        for one in (Verdict.WITNESSED, Verdict.INCONCLUSIVE):
            if one in verdicts:
                return one
        return Verdict.HELD

    @property
    def decisive(self) -> Trial | None:
        """The trial that the verdict rests on: the first witness, or the one with most schedules."""
        driven = [trial for trial in self.trials if trial.verdict is self.verdict]
        if self.verdict is Verdict.WITNESSED:
            return min(driven, key=lambda trial: trial.flaws)
        return max(driven, key=lambda trial: trial.result.get("played", 0), default=None)

    @property
    def places(self) -> tuple[str, ...] | None:
        """What the witness leaves wrong; None where there is no witness, or nothing that is left is wrong."""
        trial = self.decisive if self.verdict is Verdict.WITNESSED else None
        return tuple(trial.result["witness"]["places"]) or None if trial is not None else None

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What goes wrong in other places than before the fix: the work of other races."""
        return tuple(dict.fromkeys(place for trial in self.trials for place in trial.elsewhere))

    @property
    def beside(self) -> bool:
        """Whether something goes wrong that was not asked about."""
        return any(trial.beside for trial in self.trials)

    @property
    def why_not(self) -> str:
        """What is missing to drive it, in one sentence."""
        problems = [problem for trial in self.trials for problem in trial.result.get("problems", ())]
        return self.missing or (problems[0] if problems else "")


@dataclass(frozen=True)
class Aim:
    """What is asked about: `places` of the state (None for all there are), the lines of a `window` (none for all of
    them), and whether the tasks of one request are played `apart`. `seen` where it was witnessed before a fix. With
    `lenient`, an answer that was right at another moment is no witness, nor is a list in another order; where it is
    `plain`, nobody says that there is a race.
    """

    places: tuple[str, ...] | None = None
    window: tuple[Span, ...] = ()
    apart: bool = False
    seen: bool = False
    lenient: bool = False
    plain: bool = False

    def after(self, before: Side) -> Aim:
        """What is asked about after a fix: where it went wrong before."""
        trial = before.decisive if before.verdict is Verdict.WITNESSED else None
        return Aim(
            before.places,
            apart=trial is not None and trial.race.apart,
            seen=trial is not None,
            lenient=trial is None or not (trial.answers_only or trial.order_only),
            plain=self.plain,
        )


@dataclass(frozen=True)
class Subject:
    """What is proved: a finding, or a route that somebody names.

    `rivals` are other routes that write the same Location.
    """

    routes: tuple[str, ...]
    finding: Finding | None = None
    rivals: tuple[str, ...] = ()

    @classmethod
    def of(cls, finding: Finding, findings: Sequence[Finding]) -> Subject:
        """A finding, with the routes of the others on its Location."""
        others = (route for other in findings if other.location == finding.location for route in other.routes)
        return cls(finding.routes, finding, tuple(dict.fromkeys(one for one in others if one not in finding.routes)))

    @property
    def manner(self) -> Manner:
        """How it is played."""
        return manner_of(self.finding.rule) if self.finding is not None else Manner()

    @property
    def key(self) -> str:
        """Tells subjects apart."""
        return self.finding.fingerprint if self.finding is not None else self.routes[0]

    @property
    def aim(self) -> Aim:
        """What is asked about before a fix: the lines of the finding's window, in each function that has a part in
        it; everything where it is a route.
        """
        if self.finding is None:
            return Aim(lenient=True, plain=True)
        place = self.finding.place
        spans = {(place.path, place.function): (place.line, place.end_line)}
        for step in self.finding.window.steps:
            key, lines = (step.place.path, step.place.function), (step.place.line, step.place.end_line)
            first, last = spans.get(key, lines)
            spans[key] = min(first, lines[0]), max(last, lines[1])
        window = tuple((path, first, last) for (path, _), (first, last) in spans.items())
        return Aim(window=window, apart=True, lenient=self.finding.certainty is Certainty.LATENT)

    @property
    def title(self) -> str:
        """The rule and the place of a finding, or the route."""
        if self.finding is None:
            return self.routes[0]
        place = self.finding.place
        return f"{self.finding.rule} {place.path}:{place.line}"


@dataclass(frozen=True)
class Proof:
    """What was run before the fix and after it; None for a side that was not asked for, or where there is no fix."""

    subject: Subject
    before: Side | None
    after: Side | None
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def fix_fails(self) -> bool:
        """Whether the race is still there after the fix: something is left wrong, not only an answer out of date, and
        it was this race that was there before.
        """
        trial = self.after.decisive if self.after is not None and self.after.verdict is Verdict.WITNESSED else None
        asked = self.before.decisive if self.before is not None else None
        return trial is not None and not trial.answers_only and not (asked is not None and asked.off_target)
