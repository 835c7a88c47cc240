"""A proof in words: verdicts with their bounds, and the witness as an interleaving with real values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.text import Text

from autolock.findings import Action, Finding, Place, Safety, Step
from autolock.prove.proof import Bounds, Proof, Side, Subject, Trial, Verdict
from autolock.prove.requests import RequestDoc
from autolock.prove.stage.racing import step_lines, told_of_helpers
from autolock.report.picture import lanes
from autolock.report.typeset import Glyphs

_MOST_DIFFERENCES = 4
_ANOTHER_MOMENT = "an answer may be of another moment, or a list in another order"
_OFF_TARGET = "nothing that went wrong went through the lines of this finding"


def title_of(request: RequestDoc) -> str:
    """A request on one line."""
    query = "&".join(f"{name}={value}" for name, value in request.get("query", {}).items())
    body = request.get("body")
    line = f"{request['method']} {request['path']}" + (f"?{query}" if query else "")
    return line if body is None or body == [] else f"{line} {body if isinstance(body, str) else json.dumps(body)}"


def slug(subject: Subject) -> str:
    """A name for a file: `al101_lost_update_increment_1f0c2a`, or the route."""
    finding = subject.finding
    parts = [subject.title] if finding is None else [finding.rule, finding.name, finding.place.function]
    end = finding.fingerprint[:6] if finding is not None else ""
    return re.sub(r"\W+", "_", "_".join([*parts, end])).strip("_").lower()


def counted(proofs: Sequence[Proof]) -> str:
    """`2 proofs: before 2 witnessed; after 2 held`."""
    parts = []
    for name in ("before", "after"):
        sides = [side for proof in proofs if (side := getattr(proof, name)) is not None]
        counts = [(sum(side.verdict is verdict for side in sides), verdict.value) for verdict in Verdict]
        told = ", ".join(f"{number} {word}" for number, word in counts if number)
        if told:
            parts.append(f"{name} {told}")
    noun = "proof" if len(proofs) == 1 else "proofs"
    return f"{len(proofs)} {noun}: {'; '.join(parts)}" if proofs else "nothing to prove: no races found"


def summary(name: str, side: Side, bounds: Bounds) -> str:
    """The verdict of one side in one sentence, with the bound within which it is true."""
    trial = side.decisive
    if side.verdict is Verdict.NOT_DRIVEN or trial is None:
        return f"{name}: not driven: {side.why_not}"
    result = trial.result
    if trial.race.failing:
        return f"{name}: {_told_of_failures(side, trial)}"
    if trial.race.crowd:
        return f"{name}: {_told_of_crowds(side, trial)}"
    if side.verdict is Verdict.WITNESSED:
        number = result["witness"]["number"]
        if trial.answers_only:
            return f"{name}: witnessed by schedule {number}: what is left is right, but an answer tells something else"
        if trial.off_target:
            return f"{name}: witnessed by schedule {number}, but another race of the same routes: {_OFF_TARGET}"
        return f"{name}: witnessed by schedule {number}: {result['witness']['why']}"
    played = sum(one.result.get("played", 0) for one in side.trials)
    within = _within(side, bounds)
    if side.verdict is Verdict.HELD and side.beside:
        places = ", ".join(side.elsewhere)
        beside = f"what other races leave wrong is in {places}" if places else _ANOTHER_MOMENT
        return f"{name}: held: in all {played} schedules within {within}; {beside}"
    if side.verdict is Verdict.HELD:
        idle = "" if any(one.result.get("changes", True) for one in side.trials) else "; no request changes anything"
        return f"{name}: held: all {played} schedules within {within} give what some order of the requests gives{idle}"
    reason = result["diverged"] or f"the budget was spent after {played} schedules"
    drawn = result["drawn"]
    if drawn:
        reason += (
            f", {drawn['played']} of them drawn with the seed {drawn['seed']}: a race that needs {drawn['depth']}"
            f" orderings of steps was missed with a probability of at most {drawn['missed']:.2g}"
        )
    return f"{name}: inconclusive within {within}: {reason}"


def _told_of_failures(side: Side, trial: Trial) -> str:
    if side.verdict is Verdict.WITNESSED:
        return f"witnessed: {trial.result['witness']['why']}"
    points = sum(one.result.get("played", 0) for one in side.trials)
    looked_at = {
        "tables": f"whichever of {points} steps of a request fails, the tables are as with the request or without it",
        "locks": f"whichever of {points} steps of a request fails, the next request comes to its end",
        "told": f"whichever of {points} commits fails, nobody was told of what it was to keep",
    }
    return f"held: {looked_at[trial.race.failing]}"


def _told_of_crowds(side: Side, trial: Trial) -> str:
    if side.verdict is Verdict.WITNESSED:
        return f"witnessed: {trial.result['witness']['why']}"
    sent, most = trial.result["crowd"]["sent"], trial.result["crowd"]["most"]
    fared = {
        "calls": f"of {sent} requests at once at most {most} are inside it at the same time",
        "connections": f"of {sent} requests at once none waits for what one keeps that is answered already",
        "turns": f"{sent} requests, one after the other, are all served",
    }
    return f"held: {fared[trial.race.crowd]}"


def _within(side: Side, bounds: Bounds) -> str:
    most = max((len(trial.race.requests) for trial in side.trials), default=bounds.requests)
    played = {trial.race.instances for trial in side.trials if trial.verdict is not Verdict.NOT_DRIVEN}
    instances = "1 instance" if played <= {1} else f"{' and '.join(map(str, sorted(played)))} instances"
    within = f"{most} requests, at most {bounds.preemptions} preemptions, {instances}"
    reduced = any(trial.result.get("meeting") is not None for trial in side.trials)
    return f"{within} (without those that differ in steps only which meet nobody)" if reduced else within


def no_fix(finding: Finding) -> str:
    """Why there is nothing to play after a fix."""
    if finding.fix.safety is Safety.UNSAFE:
        return f"no fix without --unsafe: {finding.fix.reason or finding.fix.title}"
    return f"no fix: {finding.fix.reason or 'there is no automatic one'}"


def differences(trial: Trial) -> Iterator[str]:
    """What the witness has and the nearest serial order has not, a line each."""
    witness = trial.result["witness"]
    told = witness["differences"]
    for path, found, expected in told[:_MOST_DIFFERENCES]:
        yield f"{_named(path)} is {found}; one after the other it is {expected}"
    if len(told) > _MOST_DIFFERENCES:
        yield f"and {len(told) - _MOST_DIFFERENCES} more"


def _named(path: str) -> str:
    parts = path.split(".")
    if parts[0] == "responses":
        return f"the answer to {chr(ord('A') + int(parts[1]))}: {'.'.join(parts[2:])}"
    return ".".join(parts[1:])


def setting(trial: Trial) -> Iterator[str]:
    """The requests of a trial, a line each."""
    if trial.race.apart:
        yield f"{title_of(trial.race.requests[0])} does several things at a time, each of which has a letter"
    if trial.race.crowd:
        yield f"{trial.result['crowd']['sent']} times {title_of(trial.race.requests[0])}"
    for number, request in enumerate(() if trial.race.apart or trial.race.crowd else trial.race.requests):
        later = ", when A has come to its end" if trial.race.failing and number else ""
        to = f" to instance {number % trial.race.instances + 1}" if trial.race.instances > 1 else ""
        yield f"{chr(ord('A') + number)} sends {title_of(request)}{to}{later}"
    if trial.result["witness"] and not trial.race.apart and not trial.race.crowd:
        yield from told_of_helpers(worth_telling(trial), len(trial.race.requests))
    if trial.race.prelude:
        yield f"after {', '.join(_counted(trial.race.prelude))}"


def _counted(requests: Sequence[RequestDoc]) -> Iterator[str]:
    """Requests in a row, those that repeat each other as one."""
    for title, same in groupby(map(title_of, requests)):
        times = len(list(same))
        yield title if times == 1 else f"{times} times {title}"


def played_as(trial: Trial, drawn: Lanes, width: int, glyphs: Glyphs, *, color: bool) -> Iterator[Text]:
    """The witness of a trial: two requests side by side, more of them as a list of steps."""
    alone = all(step["lane"] < 2 for step in worth_telling(trial))
    if len(trial.race.requests) == 2 and alone and not trial.race.apart and not trial.race.crowd:
        yield from lanes(list(drawn.steps(trial)), ("", ""), width, glyphs, color)
    else:
        yield from (Text(line) for line in step_lines(worth_telling(trial)))


@dataclass
class Lanes:
    """Makes the steps of witnesses ready to be drawn; code is read from the tree under `root`."""

    root: Path

    def steps(self, trial: Trial) -> Iterator[Step]:
        """The witness of a trial as an interleaving of two requests."""
        seen: dict[int, dict[str, str]] = {}
        for step in worth_telling(trial):
            spot = step["spot"]
            if spot is None:
                continue
            place = Place(spot["path"], spot["line"], 1, spot["line"], 1, spot["function"])
            values = {
                name: text for name, text in step["values"].items() if seen.get(step["lane"], {}).get(name) != text
            }
            seen.setdefault(step["lane"], {}).update(step["values"])
            yield Step(
                request=chr(ord("A") + step["lane"]),
                action=_action(step),
                place=place,
                code=step["label"] if self._has_text(step) else self._line(place),
                value=", ".join(f"{name}={text}" for name, text in values.items()),
            )

    def _has_text(self, step: dict[str, Any]) -> bool:
        return step["failed"] or step["kind"] in {"statement", "commit", "rollback"}

    def _line(self, place: Place) -> str:
        try:
            lines = (self.root / place.path).read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return lines[place.line - 1].strip() if place.line <= len(lines) else ""


def worth_telling(trial: Trial) -> list[dict[str, Any]]:
    """The steps of a witness; of lines, where it is known at which requests meet, these and those round a switch."""
    steps: Sequence[dict[str, Any]] = trial.result["witness"]["steps"]
    meeting = trial.result.get("meeting")
    lanes = [step["lane"] for step in steps]
    turns = {index for index in range(1, len(lanes)) if lanes[index] != lanes[index - 1]}
    return [
        step
        for index, step in enumerate(steps)
        if meeting is None
        or step["kind"] != "line"
        or {index, index + 1} & turns
        or f"{step['spot']['path']}:{step['spot']['line']}" in meeting
    ]


def _action(step: dict[str, Any]) -> Action:
    if step["kind"] == "statement":
        return Action.READ if step["label"].lstrip().upper().startswith("SELECT") else Action.WRITE
    return {
        "commit": Action.WRITE,
        "rollback": Action.WRITE,
        "lock": Action.ACQUIRE,
        "line": Action.READ,
    }.get(step["kind"], Action.SUSPEND)


def document(proof: Proof) -> dict[str, Any]:
    """A proof as plain data, for --format json."""
    return {
        **_finding(proof.subject.finding),
        "routes": list(proof.subject.routes),
        "bounds": {
            "requests": proof.bounds.requests,
            "instances": proof.bounds.instances,
            "preemptions": proof.bounds.preemptions,
            "seed": proof.bounds.seed,
        },
        **{name: _side(side) for name, side in (("before", proof.before), ("after", proof.after)) if side is not None},
    }


def _finding(finding: Finding | None) -> dict[str, Any]:
    if finding is None:
        return {}
    place = finding.place
    return {
        "fingerprint": finding.fingerprint,
        "rule": finding.rule,
        "path": place.path,
        "line": place.line,
        "function": place.function,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "verdict": side.verdict.value,
        "missing": side.why_not if side.verdict is Verdict.NOT_DRIVEN else "",
        "trials": [
            {
                "verdict": trial.verdict.value,
                "off_target": trial.off_target,
                "prelude": list(trial.race.prelude),
                "requests": list(trial.race.requests),
                **trial.result,
            }
            for trial in side.trials
        ],
    }
