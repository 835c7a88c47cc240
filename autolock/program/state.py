"""What is true at one point of a run: which reads are still current, which guards are held."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autolock.program.trace import Control, Held, Read, Suspension, Write

if TYPE_CHECKING:
    from autolock.database.transactions import Transaction
    from autolock.program.values import Location, Thing


@dataclass(slots=True)
class State:
    """`stale` and `switched` hold, for each read that still matters, what may have run since.

    A read that is in neither is current. `fresh` holds all reads that still matter. What `confirmed`
    ones saw was looked at again since and found to be the same. `claims` has what the request has put into
    containers under a key, with the serial of that write, `emptied` the containers that it has emptied. `ended` are the
    looks of loops that came to the end of a live container of that kind just now. `bounds` are the semaphores of
    several places and the limiters that are held.
    """

    fresh: set[Read] = field(default_factory=set)
    unsuspended: set[Read] = field(default_factory=set)
    unswitched: set[Read] = field(default_factory=set)
    superseded: frozenset[Read] = frozenset()
    confirmed: frozenset[Read] = frozenset()
    stale: dict[Read, Suspension] = field(default_factory=dict)
    switched: dict[Read, ast.AST] = field(default_factory=dict)
    claims: dict[tuple[Location, str], int] = field(default_factory=dict)
    emptied: dict[Write, Suspension | None] = field(default_factory=dict)
    ended: dict[Read, str] = field(default_factory=dict)
    pending: dict[Write, Suspension | None] = field(default_factory=dict)
    jumped: dict[Write, ast.AST] = field(default_factory=dict)
    control: tuple[Control, ...] = ()
    held: tuple[Held, ...] = ()
    bounds: tuple[object, ...] = ()
    alive: bool = True
    transactions: dict[Thing, Transaction] = field(default_factory=dict)

    def copy(self) -> State:
        """A state that can go another way."""
        return State(
            set(self.fresh),
            set(self.unsuspended),
            set(self.unswitched),
            self.superseded,
            self.confirmed,
            dict(self.stale),
            dict(self.switched),
            dict(self.claims),
            dict(self.emptied),
            dict(self.ended),
            dict(self.pending),
            dict(self.jumped),
            self.control,
            self.held,
            self.bounds,
            self.alive,
            dict(self.transactions),
        )

    def suspend(self, event: Suspension) -> None:
        """Something else may have run."""
        self.confirmed = frozenset()
        for read in self.unsuspended:
            self.stale.setdefault(read, event)
        self.unsuspended.clear()
        self.ended.clear()
        for waiting in (self.pending, self.emptied):
            for write, since in waiting.items():
                if since is None:
                    waiting[write] = event

    def switch(self, node: ast.AST) -> None:
        """Another thread may have run."""
        if not self.unswitched and not self.pending:
            return
        for read in self.unswitched:
            self.switched.setdefault(read, node)
        self.unswitched.clear()
        for write in self.pending:
            self.jumped.setdefault(write, node)

    def saw(self, read: Read) -> None:
        """A read happened now: whatever was true of it on an earlier turn of a loop is over."""
        self.fresh.add(read)
        self.unsuspended.add(read)
        self.unswitched.add(read)
        self.stale.pop(read, None)
        self.switched.pop(read, None)
        if read in self.superseded:
            self.superseded -= {read}

    def supersede(self, reads: list[Read]) -> None:
        """The request has written the Location itself: what it saw before decides nothing any more.

        The values that it read stay what they are; writing one of them back later is another matter,
        and what counts then is what has run since this write.
        """
        for read in reads:
            self.stale.pop(read, None)
            self.switched.pop(read, None)
        self.unsuspended.update(reads)
        self.unswitched.update(reads)
        self.superseded |= frozenset(reads)

    def forget(self, dead: set[Read]) -> None:
        """Drop reads that nothing depends on any more."""
        if not dead:
            return
        self.fresh -= dead
        self.unsuspended -= dead
        self.unswitched -= dead
        self.superseded -= dead
        for read in dead:
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
        # Most of the time there is little to merge, and this is done at the end of every branch.
        self.fresh |= other.fresh
        self.unsuspended |= other.unsuspended
        self.unswitched |= other.unswitched
        self.superseded |= other.superseded
        self.confirmed &= other.confirmed
        if self.ended or other.ended:
            self.ended = {**_still(self.ended, other), **_still(other.ended, self)}
        if other.stale:
            self.stale = {**other.stale, **self.stale}
        if other.switched:
            self.switched = {**other.switched, **self.switched}
        if other.claims:
            self.claims = {**other.claims, **self.claims}
        for waiting, others in ((self.pending, other.pending), (self.emptied, other.emptied)):
            for write, since in others.items():
                waiting[write] = waiting.get(write) or since
        if other.jumped:
            self.jumped = {**other.jumped, **self.jumped}
        if self.held:
            self.held = tuple([h for h in self.held if any(o.acquisition == h.acquisition for o in other.held)])
        if self.bounds:
            self.bounds = tuple([b for b in self.bounds if any(o is b for o in other.bounds)])
        for session, theirs in other.transactions.items():
            mine = self.transactions.get(session)
            if mine is not theirs:
                self.transactions[session] = theirs.maybe() if mine is None else mine.merged(theirs)
        for session, mine in self.transactions.items():
            if session not in other.transactions:
                self.transactions[session] = mine.maybe()
        if other.control and other.control is not self.control:
            known = set(map(id, self.control))
            self.control += tuple([c for c in other.control if id(c) not in known])


def _still(ended: dict[Read, str], other: State) -> dict[Read, str]:
    """The looks of loops that ended just now, unless one was made in the other state and has become old there."""
    return {read: kind for read, kind in ended.items() if read in other.ended or read not in other.stale}
