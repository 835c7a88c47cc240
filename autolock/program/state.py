"""What is true at one point of a run: which reads are still current, which guards are held."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from autolock.program.trace import Control, Held, Read, Suspension, Write


@dataclass(slots=True)
class State:
    """`stale` and `switched` hold, for each read that still matters, what may have run since.

    A read that is in neither is current. `fresh` holds all reads that still matter.
    """

    fresh: set[Read] = field(default_factory=set)
    stale: dict[Read, Suspension] = field(default_factory=dict)
    switched: dict[Read, ast.AST] = field(default_factory=dict)
    pending: dict[Write, Suspension | None] = field(default_factory=dict)
    jumped: dict[Write, ast.AST] = field(default_factory=dict)
    control: tuple[Control, ...] = ()
    held: tuple[Held, ...] = ()
    alive: bool = True

    def copy(self) -> State:
        """A state that can go another way."""
        return State(
            set(self.fresh), dict(self.stale), dict(self.switched), dict(self.pending), dict(self.jumped),
            self.control, self.held, self.alive,
        )

    def suspend(self, event: Suspension) -> None:
        """Something else may have run."""
        for read in self.fresh:
            self.stale.setdefault(read, event)
        for write, since in self.pending.items():
            if since is None:
                self.pending[write] = event

    def switch(self, node: ast.AST) -> None:
        """Another thread may have run."""
        for read in self.fresh:
            self.switched.setdefault(read, node)
        for write in self.pending:
            self.jumped.setdefault(write, node)

    def saw(self, read: Read) -> None:
        """A read happened now: whatever was true of it on an earlier turn of a loop is over."""
        self.fresh.add(read)
        self.stale.pop(read, None)
        self.switched.pop(read, None)

    def retire(self, reads: list[Read]) -> None:
        """These reads are superseded by the request's own write."""
        for read in reads:
            self.fresh.discard(read)
            self.stale.pop(read, None)
            self.switched.pop(read, None)

    def merge(self, other: State) -> None:
        """Continue where this state and `other` meet; a side that has left does not count."""
        if not other.alive:
            return
        if not self.alive:
            for name in self.__slots__:
                setattr(self, name, getattr(other, name))
            return
        self.fresh |= other.fresh
        self.stale = {**other.stale, **self.stale}
        self.switched = {**other.switched, **self.switched}
        for write, since in other.pending.items():
            self.pending[write] = self.pending.get(write) or since
        self.jumped = {**other.jumped, **self.jumped}
        self.held = tuple(h for h in self.held if any(o.acquisition == h.acquisition for o in other.held))
        known = set(map(id, self.control))
        self.control += tuple(c for c in other.control if id(c) not in known)
