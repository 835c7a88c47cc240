"""Which schedules are played, in which order.

Schedules with few preemptions come first (iterative context bounding: Musuvathi and Qadeer, PLDI 2007), each
exactly once: a schedule is the decisions of an earlier one up to a point, one other decision there, and from then on
no preemption that is not forced. Where there are too many, schedules are drawn so that a race that needs few
orderings is met with a known probability (PCT: Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS 2010).
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .director import Chooser, Step
from .play import Run

#: Plays the schedule that begins with these decisions, and goes on without preemptions.
Player = Callable[["tuple[int, ...]"], Run]


@dataclass(frozen=True)
class Bound:
    """How far to look: preemptions a schedule (None for any number), schedules, and seconds.

    `seed` is where chance begins. Where the requests take more than `reduce_beyond` steps together, schedules are
    left out which differ from others in steps only that meet nobody.
    """

    preemptions: int | None = 2
    schedules: int = 20_000
    seconds: float = 60.0
    seed: int = 0
    reduce_beyond: int = 16


class Diverged(Exception):
    """A schedule could not be repeated: the same decisions led somewhere else. The message names the step."""


class Exploration:
    """The schedules of some requests. After iterating, `exhausted` says whether all within the bound were played.

    Of those with as many preemptions, the ones come first in which a request is left at a step that is `likely`.
    """

    def __init__(self, play: Player, bound: Bound, likely: Callable[[Step], bool] = lambda _: False) -> None:
        self._play = play
        self._bound = bound
        self._likely = likely
        self._order = itertools.count()
        self.played = 0
        self.exhausted = False

    def __iter__(self) -> Iterator[Run]:
        until = time.monotonic() + self._bound.seconds
        waiting: list[tuple[int, bool, int, tuple[int, ...]]] = [(0, True, 0, ())]
        while waiting:
            if self.played >= self._bound.schedules or time.monotonic() > until:
                return
            _, unlikely, _, prefix = heapq.heappop(waiting)
            run = self._play(prefix)
            self.played += 1
            if run.choices[: len(prefix)] != prefix:
                raise Diverged(f"decision {len(prefix)} of a schedule was not possible when it was played again")
            for cost, left, branch in self._branches(run, len(prefix)):
                heapq.heappush(waiting, (cost, unlikely and not self._likely(left), next(self._order), branch))
            yield run
        self.exhausted = True

    def _branches(self, run: Run, decided: int) -> Iterator[tuple[int, Step, tuple[int, ...]]]:
        """The schedules that leave this one at a decision which it took by itself, with their preemptions and the step
        before which they do.
        """
        cost = sum(step.preempts for step in run.steps[:decided])
        for index in range(decided, len(run.steps)):
            step = run.steps[index]
            for other in step.enabled:
                if other == step.lane:
                    continue
                extra = int(step.previous is not None and step.previous != other and step.previous in step.enabled)
                if self._bound.preemptions is None or cost + extra <= self._bound.preemptions:
                    yield cost + extra, step, (*run.choices[:index], other)
            cost += step.preempts


@dataclass
class Drawing:
    """Schedules drawn by chance, the same ones for the same seed. `length` is that of the longest run so far."""

    play: Callable[[Chooser], Run]
    lanes: int
    length: int
    depth: int
    seed: int
    played: int = 0

    def __iter__(self) -> Iterator[Run]:
        chance = random.Random(self.seed)
        while True:
            run = self.play(_prioritized(chance, self.lanes, self.length, self.depth))
            self.played += 1
            yield run

    @property
    def missed(self) -> float:
        """The probability, at most, that a race was missed which needs `depth` orderings of steps."""
        return float((1 - 1 / (self.lanes * max(self.length, 1) ** (self.depth - 1))) ** self.played)


def _prioritized(chance: random.Random, lanes: int, length: int, depth: int) -> Chooser:
    """A chooser that lets the first of a drawn order go on, and puts who goes last at `depth - 1` drawn steps."""
    order = list(range(lanes))
    chance.shuffle(order)
    changes = set(chance.sample(range(1, max(length, depth + 1)), depth - 1))
    steps = itertools.count()

    def choose(enabled: tuple[int, ...], previous: int | None) -> int:
        if next(steps) in changes and previous is not None:
            order.remove(previous)
            order.append(previous)
        return next((number for number in order if number in enabled), enabled[0])

    return choose


def follow(prefix: tuple[int, ...]) -> Callable[[tuple[int, ...], int | None], int]:
    """A chooser that takes the given decisions, then leaves no request that can go on."""
    decisions = iter(prefix)

    def choose(enabled: tuple[int, ...], previous: int | None) -> int:
        wanted = next(decisions, previous)
        return wanted if wanted in enabled else enabled[0]

    return choose
