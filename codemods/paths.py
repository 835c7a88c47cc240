"""Where a statement is: paths such as `body[3].handlers[0].body[2]`, counted as `ast` counts statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_STEP = re.compile(r"(body|orelse|finalbody|handlers|cases)\[(\d+)\]")


class PlaceError(Exception):
    """A statement path leads nowhere, or to a place that cannot be edited; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One step of a path: the name of a field of an `ast` node and an index into it."""

    field: str
    index: int

    def __str__(self) -> str:
        return f"{self.field}[{self.index}]"


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class StatementPath:
    """The way from the module to one statement. There is always at least one step."""

    steps: Steps

    @classmethod
    def parse(cls, text: str) -> StatementPath:
        """Read a path such as `body[3].orelse[0]`; raises PlaceError when it is not one."""
        steps: list[Step] = []
        for part in text.split("."):
            match = _STEP.fullmatch(part.strip())
            if match is None:
                raise PlaceError(f"{text!r} is not a statement path such as body[3].orelse[0]")
            steps.append(Step(match[1], int(match[2])))
        return cls(tuple(steps))

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))

    @property
    def owner(self) -> Steps:
        """The steps to the node whose block holds the statement; empty for the module."""
        return self.steps[:-1]

    @property
    def field(self) -> str:
        """The name of the block that holds the statement."""
        return self.steps[-1].field

    @property
    def index(self) -> int:
        """The statement's place in its block."""
        return self.steps[-1].index

    def sibling(self, index: int) -> StatementPath:
        """The statement at another place of the same block; raises PlaceError before the first."""
        if index < 0:
            raise PlaceError(f"there is no statement that far before {self}")
        return StatementPath((*self.owner, Step(self.field, index)))

    def child(self, field: str, index: int) -> StatementPath:
        """A statement in one of this statement's own blocks."""
        return StatementPath((*self.steps, Step(field, index)))

    def shares_block(self, other: StatementPath) -> bool:
        """Whether both statements are in one block."""
        return self.owner == other.owner and self.field == other.field

    def moved(self, sibling: StatementPath, move: Callable[[int], Steps]) -> StatementPath:
        """This path after the statements of `sibling`'s block have moved.

        `move` says for an index of that block which steps, from the block's owner, lead to the
        statement now. A path that does not lead through the block stays as it is.
        """
        depth = len(sibling.owner)
        if self.steps[:depth] != sibling.owner or len(self.steps) == depth or self.steps[depth].field != sibling.field:
            return self
        return StatementPath((*sibling.owner, *move(self.steps[depth].index), *self.steps[depth + 1 :]))


Relocate = Callable[[StatementPath], StatementPath]


@dataclass(frozen=True, slots=True)
class Region:
    """A run of `count` sibling statements from `start` on."""

    start: StatementPath
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise PlaceError(f"a region at {self.start} needs at least one statement, not {self.count}")

    @property
    def end(self) -> int:
        """The index after the last statement."""
        return self.start.index + self.count

    def moved(self, relocate: Relocate) -> Region:
        """The region after an edit; raises PlaceError when that edit has torn it apart."""
        first = relocate(self.start)
        last = relocate(self.start.sibling(self.end - 1))
        if not first.shares_block(last) or last.index < first.index:
            raise PlaceError(f"the region of {self.count} statements at {self.start} overlaps another edit")
        return Region(first, last.index - first.index + 1)
