"""Serializability: an outcome of concurrent requests is right if some order, one after the other, gives it.

Papadimitriou, The serializability of concurrent database updates, JACM 26 (1979). What differs between two runs of the
same order (times, random values) is masked before anything is compared. A request that was turned away with a clean
answer (a conflict, too many requests) counts as one that was never sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, combinations, permutations
from typing import Any

from .asgi import Request
from .director import Chooser
from .heap import LOCKED
from .play import Outcome, Run, Stage
from .renaming import Names, compacted, renamed_answer, renamed_state, renamings

Path = tuple[str, ...]

#: Tasks of one request, all orders of which are played.
_MOST_TASKS = 4

#: Requests of an order after which helpers may have their turn.
_MOST_GAPS = 3

#: Answers that say: not now, nothing was done.
TURNED_AWAY = frozenset([409, 423, 429, 503])


@dataclass(frozen=True)
class Violation:
    """Why an outcome is wrong, and where it differs from the nearest serial order: what, found, expected.

    `places` are the parts of the state in which it does: a variable, a table's column. `possible` where each answer
    is one that its request gets in some order, or that of one which only reads; `order_only` where only the order of
    what lists in memory hold differs.
    """

    why: str
    differences: tuple[tuple[str, str, str], ...] = ()
    places: frozenset[str] = frozenset()
    possible: bool = False
    order_only: bool = False

    @property
    def answers_only(self) -> bool:
        """Whether what is left and the statuses are right, and only what an answer tells is of another moment."""
        paths = [path.split(".") for path, _, _ in self.differences]
        return bool(paths) and all(path[0] == "responses" and path[2] == "body" for path in paths)


@dataclass(frozen=True)
class Rules:
    """What a person says of outcomes: `invariants` that hold in all of them, by title, and parts of the state to
    `ignore`, such as `main.peak` or `table visits.seen_at`.
    """

    invariants: dict[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()


@dataclass
class Oracle:
    """What the serial orders of some requests come to, and what they leave open.

    `problems` says what makes the orders worth nothing as a measure; `masked` what differs from run to run; `longest`
    is the number of steps of the longest order; `changes` says whether a request changes anything. With
    `may_change_nothing` answers are enough of a measure. It `has_helpers` where tasks of the application's own go on
    with what requests have left them, which they may do after any of the requests.
    """

    stage: Stage
    requests: tuple[Request, ...]
    rules: Rules = field(default_factory=Rules)
    masked: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    of_what: str = "requests"
    longest: int = 0
    changes: bool = True
    may_change_nothing: bool = False
    has_helpers: bool = False
    _serial: dict[tuple[int, ...], Outcome] = field(default_factory=dict)
    _start: dict[str, Any] = field(default_factory=dict)

    @property
    def everybody(self) -> tuple[int, ...]:
        """The numbers of those whose orders are the measure."""
        return tuple(range(len(self.requests)))

    def prepare(self) -> None:
        """Play every order of all requests twice."""
        before = self._begin()
        outcomes = list(self.orders(self.everybody).values())
        if any(outcome.stuck for outcome in outcomes):
            self.problems.append("a request does not come to an end even when it is alone")
        if not any(outcome.served() for outcome in outcomes) and not self._is_refusing(outcomes, before):
            self.problems.append(f"no request succeeds: {self.requests[0].title} gives {_told(outcomes[0])}")
        elif self.stage.spread and len({n for outcome in outcomes for n in outcome.served()}) < len(self.requests):
            self.problems.append("the second instance of the application does not serve the request")
        elif not self._change_anything(before) and not self.may_change_nothing:
            self.problems.append("no request changes the state that is watched")

    def _begin(self) -> Outcome:
        """What there is before anything is sent."""
        before = self.stage.play((), lambda enabled, previous: enabled[0]).outcome
        self._start = before.state
        return before

    def _is_refusing(self, outcomes: list[Outcome], before: Outcome) -> bool:
        """Whether the requests are refused on purpose, and this is counted somewhere."""
        fails = any(answer is not None and answer.error for outcome in outcomes for answer in outcome.responses)
        return not fails and self._state(outcomes[0]) != self._state(before)

    def _change_anything(self, before: Outcome) -> bool:
        self.changes = any(map(partial(self._changes, before), range(len(self.requests))))
        return self.changes

    def _changes(self, before: Outcome, number: int) -> bool:
        """Whether a request changes anything when it is alone: two may undo each other."""
        return any(self._state(outcome) != self._state(before) for outcome in self.orders((number,)).values())

    def orders(self, numbers: Iterable[int]) -> dict[tuple[int, ...], Outcome]:
        """The outcome of every order of some of the requests, each played twice the first time that it is asked for."""
        found = {}
        for order in permutations(numbers):
            found[order] = self._outcome_of(order)
            if self.has_helpers:
                found.update((other, self._outcome_of(other)) for other in _with_helpers(order, len(self.requests)))
        return found

    def _outcome_of(self, order: tuple[int, ...]) -> Outcome:
        if order not in self._serial:
            first, second = (self._play(order) for _ in range(2))
            self.masked.update(differences(flat(first), flat(second)))
            self._serial[order] = first
        return self._serial[order]

    def _play(self, order: tuple[int, ...]) -> Outcome:
        """The outcome of one order; requests which are not in it have no response."""
        run = self.stage.play_in_turn(self.requests, order)
        self.longest = max(self.longest, len(run.steps))
        self.has_helpers = self.has_helpers or any(step.lane == len(self.requests) for step in run.steps)
        return run.outcome

    def masks_more(self) -> bool:
        """Play the orders once more, as time has passed since. Returns whether something differs now that did not."""
        before = len(self.masked)
        for order, outcome in list(self._serial.items()):
            self.masked.update(differences(flat(outcome), flat(self._play(order))))
        return len(self.masked) > before

    def judge(self, run: Run) -> Violation | None:
        """None when some serial order gives the outcome of a run."""
        outcome = run.outcome
        if outcome.stuck:
            return Violation(outcome.stuck)
        for title, condition in self.rules.invariants.items():
            if not _holds(condition, outcome):
                return Violation(f"broken: {title}")
        away = [n for n, answer in enumerate(outcome.responses) if answer is not None and answer.status in TURNED_AWAY]
        violation = self._against(outcome, self.everybody, set())
        if violation is not None and away:
            stayed = [number for number in range(len(self.requests)) if number not in away]
            if stayed and self._against(outcome, stayed, set(away)) is None:
                return None
        return violation

    def judge_failed(self, run: Run, number: int, *, tables_only: bool) -> Violation | None:
        """None when the requests went on after one of them failed, and, of their tables, it has done all or nothing."""
        outcome = run.outcome
        if outcome.stuck:
            return Violation(f"after a failure {outcome.stuck}")
        if not tables_only:
            return self._left_locked(outcome)
        rest = [n for n in range(len(self.requests)) if n != number]
        everybody = set(range(len(self.requests)))
        found = None
        for numbers in (self.everybody, tuple(rest)):
            violation = self._against(outcome, numbers, everybody, tables_only=True)
            if violation is None:
                return None
            found = violation if found is None or _weight(violation) < _weight(found) else found
        return found and replace(found, why="a request that fails on its way leaves a part of what it writes")

    def judge_told(self, run: Run) -> Violation | None:
        """None when nobody heard of what a request did whose commit has failed: neither others, nor who has sent it.

        Where something of it is left in the tables, that is another matter.
        """
        outcome = run.outcome
        (without,), (done,) = self.orders(()).values(), self.orders(self.everybody).values()
        seen, never, usual = flat(outcome), flat(without), flat(done)
        tables = [path for path in differences(seen, never) if _is_of_a_table(path) and path not in self.masked]
        if tables or not any(map(_is_of_a_table, differences(usual, never))):
            return None
        heard = [path for path in differences(seen, never) if path[0] == "state" and not self._is_left_out(path, set())]
        told = [(".".join(path), _text(seen, path), _text(never, path)) for path in heard]
        told += [("sent", repr(one), "nothing") for one in outcome.sent if one not in without.sent]
        answer = outcome.responses[0]
        if answer is not None and answer.status < 400:
            told.append(("responses.0.status", repr(answer.status), "an error"))
        return Violation("a commit fails, and others were told of what it was to keep", tuple(told)) if told else None

    def _left_locked(self, outcome: Outcome) -> Violation | None:
        before = flat(replace(outcome, state=self._start))
        left = [path for path, value in flat(outcome).items() if value == LOCKED and before.get(path) != LOCKED]
        if not left:
            return None
        told = tuple((".".join(path), "locked", "free") for path in left)
        return Violation("a lock is still taken when all requests are over", told)

    def _against(
        self, outcome: Outcome, numbers: Sequence[int], ignored: set[int], *, tables_only: bool = False
    ) -> Violation | None:
        orders = tuple(self.orders(numbers).values())
        if tables_only:
            outcome, *orders_compacted = (
                replace(one, state=compacted(self._start, one.state)) for one in (outcome, *orders)
            )
            orders = tuple(orders_compacted)
        nearest: Violation | None = None
        for names in renamings(self._start, outcome.state):
            found = _renamed_outcome(outcome, names)
            seen = flat(found)
            for serial in orders:
                expected = flat(serial)
                differing = [
                    path
                    for path in differences(seen, expected)
                    if not self._is_left_out(path, ignored) and (not tables_only or _is_of_a_table(path))
                ]
                if not differing:
                    return None
                told = tuple((".".join(path), _text(seen, path), _text(expected, path)) for path in differing)
                places = frozenset(_place(path) for path in differing if path[0] == "state")
                possible = all(
                    any(flat(one).get(path) == seen[path] for one in orders) or self._only_reads(path)
                    for path in differing
                    if path in seen
                )
                one = Violation(
                    f"no order of the {self.of_what}, one after the other, gives this",
                    told,
                    places,
                    possible,
                    _differ_in_order(found, serial, differing),
                )
                if nearest is None or _weight(one) < _weight(nearest):
                    nearest = one
        return nearest

    def _only_reads(self, path: Path) -> bool:
        """Whether a path leads to the answer of a request that looks at what others are in the middle of."""
        return path[0] == "responses" and self.requests[int(path[1])].method == "GET"

    def _is_left_out(self, path: Path, ignored: set[int]) -> bool:
        if path[0] == "responses" and int(path[1]) in ignored:
            return True
        if path[0] == "state" and (path[1] in self.rules.ignore or _place(path) in self.rules.ignore):
            return True
        return any(path[: len(masked)] == masked for masked in self.masked)

    def _state(self, outcome: Outcome) -> dict[Path, Any]:
        return {path: value for path, value in flat(outcome).items() if path[0] == "state" and path not in self.masked}


@dataclass
class OracleOfTasks(Oracle):
    """What the orders of the tasks of one request come to: each goes on until it waits for another one, or is over."""

    of_what: str = "tasks of the request"
    _beside: tuple[int, ...] = ()

    @property
    def everybody(self) -> tuple[int, ...]:
        """The numbers of the tasks that could go on at the same time."""
        return self._beside

    def prepare(self) -> None:
        """See which tasks there are, and play every order of them twice."""
        self._begin()
        alone = self.stage.play_apart(self.requests[0], _in_order(()), in_turn=True)
        self._beside = tuple(sorted({n for step in alone.steps if len(step.enabled) > 1 for n in step.enabled}))
        if len(self._beside) < 2:
            self.problems.append("the request does one thing at a time")
        elif len(self._beside) > _MOST_TASKS:
            self.problems.append(f"the request does {len(self._beside)} things at a time")
        elif any(outcome.stuck or not outcome.served() for outcome in self.orders(self._beside).values()):
            self.problems.append("the tasks of the request do not come to an end one after the other")

    def _play(self, order: tuple[int, ...]) -> Outcome:
        return self.stage.play_apart(self.requests[0], _in_order(order), in_turn=True).outcome


def _with_helpers(order: tuple[int, ...], helpers: int) -> Iterator[tuple[int, ...]]:
    """An order in which helpers have their turn before its end, too: after any of the first requests."""
    between = range(1, min(len(order), _MOST_GAPS))
    for gaps in chain.from_iterable(combinations(between, many) for many in range(1, len(between) + 1)):
        yield tuple(chain.from_iterable(([helpers, one] if at in gaps else [one]) for at, one in enumerate(order)))


def _in_order(order: tuple[int, ...]) -> Chooser:
    """Leaves nobody who can go on; else the first of an order goes."""

    def choose(enabled: tuple[int, ...], previous: int | None) -> int:
        if previous in enabled:
            return previous
        return next((number for number in order if number in enabled), enabled[0])

    return choose


def _differ_in_order(seen: Outcome, expected: Outcome, paths: Sequence[Path]) -> bool:
    """Whether all that differs is in memory, and is the same but for the order of what lists hold."""
    if any(path[0] != "state" or _is_of_a_table(path) for path in paths):
        return False
    return all(_unordered(seen.state.get(path[1])) == _unordered(expected.state.get(path[1])) for path in paths)


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unordered(inside) for name, inside in value.items()}
    return sorted(map(repr, map(_unordered, value))) if isinstance(value, list) else value


def _is_of_a_table(path: Path) -> bool:
    return path[0] == "state" and path[1].startswith("table ")


def _place(path: Path) -> str:
    """`main.stock` for what is anywhere in it, `table users.credits` for a column."""
    return f"{path[1]}.{path[3]}" if path[1].startswith("table ") and len(path) > 3 else path[1]


def _weight(violation: Violation) -> tuple[bool, int]:
    """What makes one order nearer than another: first of all that the state is the same."""
    return not violation.answers_only, len(violation.differences)


def _renamed_outcome(outcome: Outcome, names: Names) -> Outcome:
    if not names:
        return outcome
    answers = tuple(answer and replace(answer, body=renamed_answer(answer.body, names)) for answer in outcome.responses)
    return replace(outcome, responses=answers, state=renamed_state(outcome.state, names))


def _holds(condition: str, outcome: Outcome) -> bool:
    """Whether a user's condition, in Python over `responses` and `state`, is true of an outcome."""
    return bool(eval(condition, {"responses": outcome.responses, "state": outcome.state}))


def _told(outcome: Outcome) -> str:
    answer = next((answer for answer in outcome.responses if answer), None)
    return f"status {answer.status}: {answer.error or str(answer.body)[:200]}" if answer else "no answer"


def _text(flattened: dict[Path, Any], path: Path) -> str:
    return repr(flattened[path]) if path in flattened else "nothing"


def flat(outcome: Outcome) -> dict[Path, Any]:
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


def differences(one: dict[Path, Any], other: dict[Path, Any]) -> list[Path]:
    """The paths at which two outcomes differ."""
    nothing = object()
    return [path for path in {**one, **other} if one.get(path, nothing) != other.get(path, nothing)]
