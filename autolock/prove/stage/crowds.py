"""Many requests, for what two do not show: calls without a bound, connections that are kept, a pool that runs dry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .lanes import Lane

#: How many are sent, by what is looked at.
SIZES = {"calls": 40, "connections": 24, "turns": 40}


@dataclass
class Crowd:
    """Lets nobody go on from where time has to pass, such as a call to a model, as long as others can do anything.

    `most` is how many waited so at once; `starving` how many of those that had no answer could not go on while all that
    did wait had been answered.
    """

    most: int = 0
    starving: int = 0
    _lanes: Sequence[Lane] = field(default_factory=list)

    def meet(self, lanes: Sequence[Lane]) -> None:
        """Get to know the requests of a run."""
        self._lanes = lanes

    def choose(self, enabled: tuple[int, ...], previous: int | None) -> int:
        """Who goes on: those first that have no answer, those last for whom time has to pass."""
        ranks = {number: self._rank(self._lanes[number]) for number in enabled}
        first = min(enabled, key=lambda number: (ranks[number], number))
        if ranks[first][0]:
            self._count()
        return first

    def _rank(self, lane: Lane) -> tuple[bool, bool]:
        gate = lane.next_gate()
        return gate is not None and gate.polls, lane.told

    def _count(self) -> None:
        waiting = [lane for lane in self._lanes if lane.next_gate() is not None]
        self.most = max(self.most, sum(not lane.told for lane in waiting))
        if all(lane.told for lane in waiting):
            self.starving = max(self.starving, sum(not lane.told for lane in self._lanes))
