"""Serializability: an outcome of concurrent requests is right if some order, one after the other, gives it.

Papadimitriou, The serializability of concurrent database updates, JACM 26 (1979). What differs between two runs of the
same order (times, random values) is masked before anything is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from .asgi import Request
from .play import Outcome, Run, Stage

Path = tuple[str, ...]
_MASK = "<varies>"


@dataclass(frozen=True)
class Violation:
    """Why an outcome is wrong, in one sentence, and where it differs from the serial order that is nearest to it."""

    why: str
    differences: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Oracle:
    """What the serial orders of some requests come to, and what they leave open."""

    serial: dict[tuple[int, ...], Outcome] = field(default_factory=dict)
    masked: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, stage: Stage, requests: tuple[Request, ...]) -> Oracle:
        """Play every order of the requests twice. `problems` says what makes the orders worth nothing as a measure."""
        oracle = cls()
        before = stage.play((), lambda enabled, previous: enabled[0]).outcome
        for order in permutations(range(len(requests))):
            first, second = (stage.play_in_turn(requests, order).outcome for _ in range(2))
            oracle.masked |= set(_differences(_flat(first), _flat(second)))
            oracle.serial[order] = first
        oracle._judge(before)
        return oracle

    def _judge(self, before: Outcome) -> None:
        outcomes = list(self.serial.values())
        if any(outcome.stuck for outcome in outcomes):
            self.problems.append("a request does not come to an end even when it is alone")
        if not any(outcome.served() for outcome in outcomes):
            answer = next((answer for answer in outcomes[0].responses if answer), None)
            status = f"status {answer.status}: {str(answer.body)[:200]}" if answer else "no answer"
            self.problems.append(f"no request succeeds, the first one gives {status}")
        elif all(self._masked_state(outcome) == self._masked_state(before) for outcome in outcomes):
            self.problems.append("no request changes the state that is watched")

    def _masked_state(self, outcome: Outcome) -> dict[Path, Any]:
        return {path: value for path, value in _flat(outcome).items() if path[0] == "state" and path not in self.masked}

    def judge(self, run: Run) -> Violation | None:
        """None when some serial order gives the outcome of a run."""
        outcome = run.outcome
        if outcome.stuck:
            return Violation(outcome.stuck)
        seen = _flat(outcome)
        nearest: list[tuple[str, str, str]] | None = None
        for order, serial in self.serial.items():
            expected = _flat(serial)
            differing = [path for path in _differences(seen, expected) if not self._is_masked(path)]
            if not differing:
                return None
            told = [(".".join(path), str(seen.get(path, "nothing")), str(expected.get(path, "nothing"))) for path in differing]
            if nearest is None or len(told) < len(nearest):
                nearest = told
        return Violation("no order of the requests, one after the other, gives this", tuple(nearest or ()))

    def _is_masked(self, path: Path) -> bool:
        return any(path[: len(masked)] == masked for masked in self.masked)


def _flat(outcome: Outcome) -> dict[Path, Any]:
    """An outcome as leaves by path."""
    answers = {
        str(number): None if answer is None else {"status": answer.status, "body": answer.body}
        for number, answer in enumerate(outcome.responses)
    }
    return dict(_leaves({"responses": answers, "state": outcome.state}, ()))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for name, inside in value.items():
            yield from _leaves(inside, (*path, str(name)))
    elif isinstance(value, list) and value:
        for number, inside in enumerate(value):
            yield from _leaves(inside, (*path, str(number)))
    else:
        yield path, value


def _differences(one: dict[Path, Any], other: dict[Path, Any]) -> list[Path]:
    nothing = object()
    return [path for path in {**one, **other} if one.get(path, nothing) != other.get(path, nothing)]
