"""What calling a function came to, so that the same call need not be followed again.

A call of the same function with arguments of the same shape does the same to the state: the same
reads and writes, below another caller. They are recorded once and then replayed, which keeps the
analysis linear in the size of the program (summaries, as RacerD and Infer have them, taken from the
first run instead of from the text).
"""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from autolock.program.trace import Candidate, Control, Event, Frame, Held, Read, Suspension, Write
from autolock.program.values import UNKNOWN, FunctionValue, Heap, Location, Root, Value, clone, overlaps

if TYPE_CHECKING:
    from autolock.llm.trace import ModelCall
    from autolock.program.core import Core
    from autolock.program.linker import Ref

#: A function that does more than this to shared state is followed each time.
_LARGEST = 400
Logged = tuple["Read | Write", dict[Read, Suspension], dict[Read, ast.AST], tuple[Control, ...]]
_SERIAL = attrgetter("serial")
_NOWHERE = Location(Root("entry", "", ""))


@dataclass(slots=True, frozen=True)
class SeenRead:
    """A read that a call makes; `early` when a suspension point may follow it before the call returns."""

    event: Read
    early: bool


@dataclass(slots=True, frozen=True)
class DoneWrite:
    """A write that a call makes, what may have run between the start of the call and it, and what decided on it."""

    event: Write
    between: Suspension | None
    switch: ast.AST | None
    checks: tuple[Control, ...]


@dataclass(slots=True)
class Effect:
    """What a call did: its result, its accesses, whether it may suspend, what it set on its receiver.

    `outside` is a call in it that waits for something outside of the process, `models` are those of language
    models, and `limited` says whether it asks something that limits the rate.
    """

    result: Value
    suspends: Suspension | None
    switches: ast.AST | None
    own: dict[str, Value]
    reads: list[SeenRead]
    peeks: list[Read]
    writes: list[DoneWrite]
    candidates: list[Candidate]
    order: list[Read]
    controls: tuple[Control, ...]
    outside: ast.expr | None
    models: list[ModelCall]
    limited: bool
    told: bool
    entered: frozenset[Ref]
    depth: int
    since: int


@dataclass(slots=True)
class Recorder:
    """Watches one call."""

    marker: Read
    shaped: int
    newest: int
    log: int
    candidates: int
    held: tuple[Held, ...]
    decided: tuple[Control, ...]
    depth: int
    clock: int
    waits: int
    models: int
    entered: int
    limited: bool
    told: int

    @staticmethod
    def start(core: Core) -> Recorder:
        """Begin to watch: a marker that acts like a read tells later what may have run since."""
        marker = Read(ast.Pass(), (), core.context, _NOWHERE, "", "", (), core.next_serial())
        core.state.saw(marker)
        core.markers.append(marker)
        return Recorder(
            marker,
            len(core.shaped),
            Heap(UNKNOWN).serial,
            len(core.log),
            len(core.trace.candidates),
            core.state.held,
            core.state.control,
            core.depth(),
            core.database.rows.trace.clock,
            core.database.outside.count,
            len(core.models.calls),
            len(core.entered),
            core.models.limited,
            core.told,
        )

    def finish(self, core: Core, function: FunctionValue, result: Value) -> Effect | None:
        """The effect of the call; None when it did something that cannot be done again from here."""
        core.markers.remove(self.marker)
        state = core.state
        suspends, switches = state.stale.pop(self.marker, None), state.switched.pop(self.marker, None)
        for group in (state.fresh, state.unsuspended, state.unswitched):
            group.discard(self.marker)
        receiver = function.receiver.obj if function.receiver is not None else None
        foreign = any(h is not receiver and h.serial <= self.newest for h in core.shaped[self.shaped :])
        events = core.log[self.log :]
        if core.database.rows.trace.clock != self.clock:
            return None  # a transaction's state is no part of an effect
        if foreign or not state.alive or len(events) > _LARGEST or state.held != self.held:
            return None
        touched = isinstance(receiver, Heap) and len(core.shaped) > self.shaped
        own = {n: clone(v) for n, v in receiver.fields.items()} if touched and isinstance(receiver, Heap) else {}
        every = _distinct([e for e, *_ in events if isinstance(e, Read)], self.depth)
        reads = [r for r in every if r in state.fresh]
        writes = self._writes(events)
        mine = [c for c in core.trace.candidates[self.candidates :] if c.read.serial > self.marker.serial]
        return Effect(
            clone(result),
            suspends,
            switches,
            own,
            [SeenRead(r, r in state.stale) for r in reads],
            list({r.location: r for r in every}.values()),
            writes,
            *_unlike(mine, reads, self.depth),
            tuple(c for c in state.control if c not in self.decided),
            core.database.outside.last if core.database.outside.count != self.waits else None,
            core.models.calls[self.models :],
            core.models.limited and not self.limited,
            core.told != self.told,
            frozenset(core.entered[self.entered :]),
            self.depth,
            self.marker.serial,
        )

    def _writes(self, events: list[Logged]) -> list[DoneWrite]:
        """One write of each Location at each place, with the decisions that concern it."""
        found: dict[object, DoneWrite] = {}
        for event, stale, switched, control in events:
            if not isinstance(event, Write):
                continue
            checks = tuple(
                c
                for c in control
                if c not in self.decided
                and any(overlaps(event.location, r.location) or _is_held(r, event) for r in c.reads)
            )
            done = DoneWrite(event, stale.get(self.marker), switched.get(self.marker), checks)
            key = (
                id(event.node),
                event.location,
                event.key,
                len(event.held),
                done.between is None,
                done.switch is None,
            )
            found[key] = done
        return list(found.values())


@dataclass(slots=True)
class Again:
    """One replay of an effect below the current caller: frames and acquisitions get new numbers."""

    core: Core
    effect: Effect
    caller: tuple[Frame, ...]
    seen: dict[Read, Read] = field(default_factory=dict)
    frames: dict[tuple[int, int], Frame] = field(default_factory=dict)
    serials: dict[int, int] = field(default_factory=dict)
    writes: dict[Write, Write] = field(default_factory=dict)
    decisions: dict[Control, Control] = field(default_factory=dict)

    def number(self, old: int) -> int:
        if old not in self.serials:
            self.serials[old] = self.core.next_serial()
        return self.serials[old]

    def stack(self, event: Event) -> tuple[Frame, ...]:
        return self.caller + tuple([self.frame(f) for f in event.stack[self.effect.depth :]])

    def frame(self, old: Frame) -> Frame:
        key = (old.serial, id(old.statement))
        if key not in self.frames:
            self.frames[key] = Frame(self.number(old.serial), old.function, old.statement)
        return self.frames[key]

    def held(self, old: tuple[Held, ...]) -> tuple[Held, ...]:
        inner = tuple(
            h._replace(acquisition=self.number(h.acquisition)) for h in old if h.acquisition > self.effect.since
        )
        return self.core.state.held + inner

    def moved_read(self, old: Read) -> Read:
        if old.serial <= self.effect.since:
            return old
        if old not in self.seen:
            self.seen[old] = dataclasses.replace(
                old,
                stack=self.stack(old),
                held=self.held(old.held),
                serial=self.core.next_serial(),
                context=old.context,
            )
        return self.seen[old]

    def moved_write(self, old: Write) -> Write:
        if old not in self.writes:
            self.writes[old] = dataclasses.replace(
                old, stack=self.stack(old), held=self.held(old.held), serial=self.core.next_serial()
            )
        return self.writes[old]

    def control(self, old: Control) -> Control:
        if old not in self.decisions:
            self.decisions[old] = dataclasses.replace(
                old, reads=frozenset([self.moved_read(r) for r in _in_order(old.reads)])
            )
        return self.decisions[old]

    def candidates(self) -> None:
        """The windows inside the function, entered by another entry point."""
        for read in self.effect.order:
            self.moved_read(read)
        for old in self.effect.candidates:
            control = self.control(old.control) if old.control is not None else None
            self.core.trace.candidates.append(
                dataclasses.replace(
                    old,
                    entry=self.core.entry,
                    read=self.moved_read(old.read),
                    write=self.moved_write(old.write),
                    control=control,
                )
            )

    def read(self, old: Read) -> None:
        read = self.moved_read(old)
        self.core.state.saw(read)
        self.core.log.append((read, {}, {}, ()))

    def write(self, done: DoneWrite) -> None:
        """A write below the current caller: it may close a window that the caller has opened."""
        write = self.moved_write(done.event)
        before = self.core.state
        self.core.state = before.copy()
        if done.between is not None:
            self.core.state.suspend(done.between)
        if done.switch is not None:
            self.core.state.switch(done.switch)
        self.core.state.control += tuple(self.control(c) for c in done.checks)
        self.core.written(write, frozenset())
        superseded = self.core.state.superseded
        self.core.state = before
        before.supersede([r for r in superseded if r not in before.superseded and r in before.fresh])


def _is_held(look: Read, write: Write) -> bool:
    """Whether a look was made under a lock that is still held for a write."""
    return any(h.acquisition == own.acquisition for h in look.held for own in write.held)


def _unlike(candidates: list[Candidate], reads: list[Read], depth: int) -> tuple[list[Candidate], list[Read]]:
    """The candidates without those of a write that only repeat what another write on the same way came to.

    There is one for each way through the calls, and the ways multiply where one replay lies in another.
    Also gives the reads that are left, in the order in which all of the candidates tell of them.
    """
    by_write: dict[Write, list[Candidate]] = {}
    for candidate in candidates:
        by_write.setdefault(candidate.write, []).append(candidate)
    found: dict[object, list[Candidate]] = {}
    for write, group in by_write.items():
        kinds = tuple(_kind(c, depth) for c in group)
        found.setdefault((_place(write, depth), kinds), group)
    chosen = {id(c) for group in found.values() for c in group}
    left = [c for c in candidates if id(c) in chosen]
    wanted = {r for c in left for r in _reads(c)}.union(reads)
    return left, [r for r in dict.fromkeys(r for c in candidates for r in _reads(c)) if r in wanted]


def _reads(candidate: Candidate) -> list[Read]:
    decided = candidate.control.reads if candidate.control is not None else frozenset()
    return [*_in_order(decided), candidate.read]


def _in_order(reads: frozenset[Read]) -> list[Read]:
    """Reads as they happened: a set of them is in the order of their addresses, and numbers are given by it."""
    return sorted(reads, key=_SERIAL)


def _kind(candidate: Candidate, depth: int) -> object:
    read, write, control = candidate.read, candidate.write, candidate.control
    taken = {h.acquisition for h in read.held}
    return (
        _place(read, depth),
        sum(one.serial == other.serial for one, other in zip(read.stack, write.stack, strict=False)),
        candidate.dependence,
        candidate.between and id(candidate.between.node),
        candidate.switch is None,
        (write.made, write.request, write.mine),
        tuple(h.acquisition in taken for h in write.held),
        control and (id(control.node), control.shape, control.negated, control.exit),
    )


def _place(event: Read | Write, depth: int) -> object:
    """All of an event but for the numbers of its frames and acquisitions."""
    where = tuple((f.function, id(f.statement)) for f in event.stack[depth:])
    held = tuple((h.lock.location, id(h.lock.node), h.lock.fresh) for h in event.held)
    return id(event.node), event.location, event.key, where, held, event.context


def _distinct(reads: list[Read], depth: int) -> list[Read]:
    """One read of each Location at each place, the last one."""
    found: dict[object, Read] = {}
    for read in reads:
        where = tuple((f.function, id(f.statement)) for f in read.stack[depth:])
        found[id(read.node), read.location, read.key, where, len(read.held)] = read
    return list(found.values())
