"""From what was recorded to Windows that can really be entered by two requests at once.

A candidate becomes a RaceWindow when something that can run at the same time writes what the window
read, and no Guard that both of them take spans the window.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from autolock.llm.trace import ModelCall
from autolock.program.branches import meet_again, shared_frames
from autolock.program.calls import same_lock
from autolock.program.claims import Claims
from autolock.program.decisions import ABSENT, effective
from autolock.program.fleeting import is_fleeting
from autolock.program.linker import Program, Ref
from autolock.program.loading import loads_once
from autolock.program.lock_keys import LockKeys
from autolock.program.memo import keeps_answers
from autolock.program.release import asks_first, is_leaked, waits
from autolock.program.stateless import is_stateless, keeps_nothing
from autolock.program.trace import (
    TAKING,
    Candidate,
    Control,
    Entry,
    Frame,
    Held,
    Iteration,
    LateRead,
    LockUse,
    Pair,
    Read,
    Suspension,
    Trace,
    Write,
    context_name,
    is_added_at_end,
    measures,
    removed_end,
)
from autolock.program.vain import Vanity
from autolock.program.values import Location, LockValue, Own, Root, overlaps

Writer = tuple[Entry, Write]
_READABLE = re.compile(r"[A-Za-z_][\w.]*|'[^']*'")


class Seat(NamedTuple):
    """Where a Window is shown: a function, and the first and the last of what is concerned there."""

    function: Ref
    first: ast.expr | ast.stmt | None
    last: ast.stmt | None


@dataclass(slots=True)
class RaceWindow:
    """A Window, and all that a rule or a plan may want to know of it.

    `kind` is read-write, late-read, pair, iteration or lock. `function` is the one that sees both
    ends, at its statements `first` and `last` (None where the two ends meet only in FastAPI, in a
    dependency and a handler). `shape` is what is known to have been true of the Location (compare,
    missing, present, equal, different) and `exit` how the other case leaves. `relation` says how it
    stands to locks: unguarded, released, waited, check-outside, fresh-lock, replaced-lock, dropped-lock,
    different-locks, forgotten, wrong-kind. Of what is written, `cheap` says that a second one costs and keeps nothing,
    `plain` that it keeps nothing; `dated` says that the check asks how old it is what is there, `fleeting` that nothing
    takes time in between, `reckoned` that what is written was computed from what was there, `taken` that what is taken
    away has been put somewhere else. `rival_use` is the other acquisition where two of them are what is wrong: in the
    opposite order, or by the same request again. `published` says that others look at it who put nothing there. `race`
    is False for what is atomic today. `exchange` is the call of a language model in between, and `handed` says that it
    is given what is in the Location. `grows` says that requests put more into what is made, or change it, `claimed`
    that threads come into it only where two have set a flag in the same instant.
    """

    kind: str
    location: Location
    function: Ref
    first: ast.stmt | None
    last: ast.stmt | None
    entry: Entry
    race: bool
    context: str
    relation: str = "unguarded"
    dependence: str = ""
    shape: str = ""
    exit: str = ""
    read: Read | None = None
    write: Write | None = None
    between: Suspension | None = None
    switch: ast.AST | None = None
    control: Control | None = None
    rivals: list[Writer] = field(default_factory=list)
    guards: list[LockValue] = field(default_factory=list)
    lock_node: ast.AST | None = None
    entries: list[Entry] = field(default_factory=list)
    other: Location | None = None
    mixed: bool = False
    warmed: bool = False
    container: str = ""
    cheap: bool = False
    plain: bool = False
    dated: bool = False
    fleeting: bool = False
    reckoned: bool = False
    taken: bool = False
    rival_use: LockUse | None = None
    published: bool = False
    exchange: ModelCall | None = None
    handed: bool = False
    grows: bool = False
    claimed: bool = False

    @property
    def shown(self) -> str:
        """The Location as a reader of the code would write it: `stock[request.sku]`, `levels[sku].available`."""
        key = next((e.key for e in (self.read, self.write) if e is not None and e.key), "")
        text = str(self.location)
        if text.endswith("[*]") and _READABLE.fullmatch(key):
            return f"{text[:-3]}[{key}]"
        return text.replace("[*]", "[...]") if not text.endswith("[*]") else str(self.location.base)

    @property
    def is_stored_back(self) -> bool:
        """Whether what is in the Location is given to a language model, and stored with what was said."""
        return self.handed and self.dependence == "data" and self.write is not None and self.write.kind == "assign"

    @property
    def is_beside_threads(self) -> bool:
        """Whether the window is on the event loop, where only what worker threads do can come into it."""
        return self.mixed and self.between is None

    @property
    def seat(self) -> Seat:
        """Where the Window is shown."""
        return Seat(self.function, self.first, self.last)

    @property
    def gap_text(self) -> str:
        """What is awaited in between, as written in the function that sees both ends."""
        between = self.between
        if between is None:
            return ""
        for frame in reversed(between.stack):
            if frame.function == self.function and frame.statement is not None:
                waits = [n.value for n in ast.walk(frame.statement) if isinstance(n, ast.Await)]
                if len(waits) == 1:
                    return ast.unparse(waits[0].func if isinstance(waits[0], ast.Call) else waits[0])
        return between.text

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes through which the window is entered."""
        return tuple(dict.fromkeys(route for entry in self.entries for route in entry.routes))


@dataclass(frozen=True)
class Rivals:
    """Writes that can come in between, and what is asked of all of them at once: thousands of windows share them."""

    writers: list[Writer]

    @cached_property
    def threaded(self) -> bool:
        return any(w.context == "thread" for _, w in self.writers)

    @cached_property
    def in_threads(self) -> Rivals:
        return Rivals([w for w in self.writers if w[1].context == "thread"])

    @cached_property
    def locked(self) -> Rivals:
        """Those that take some lock of their own that is known."""
        return Rivals(
            [w for w in self.writers if any(not h.lock.unknown and h.lock.family != "" for h in _own(w[1].held, w[1]))]
        )

    @cached_property
    def writes(self) -> list[Write]:
        return [write for _, write in self.writers]


_NO_RIVALS = Rivals([])


class Finder:
    """Turns a trace into windows."""

    def __init__(self, program: Program, trace: Trace, warmed: set[Location]) -> None:
        self.program = program
        self.trace = trace
        self.warmed = warmed
        self.vanity = Vanity(program, trace)
        self.claims = Claims(program, trace)
        self.lock_keys = LockKeys(program)
        self.by_write: dict[int, list[Candidate]] = defaultdict(list)
        for candidate in trace.candidates:
            self.by_write[id(candidate.write)].append(candidate)
        self.by_root: dict[object, list[Writer]] = defaultdict(list)
        self._by_question: dict[object, Rivals] = {}
        distinct: dict[object, Writer] = {}
        for entry, write in trace.writes:
            locks = tuple(sorted(str(h.lock.location or id(h.lock.node)) for h in write.held))
            own = isinstance(write.location, Own)
            distinct.setdefault((id(entry), id(write.node), write.location, own, locks), (entry, write))
        for writer in distinct.values():
            self.by_root[writer[1].location.root].append(writer)

    def windows(self) -> list[RaceWindow]:
        """All windows, one for each function, Location and kind."""
        found = [
            *self.read_write(),
            *self.late(),
            *self.pairs(),
            *self.refills(),
            *self.iterations(),
            *self.lock_uses(),
            *self.lock_orders(),
        ]
        return self._one_of_each_decision(_merged(found))

    def _one_of_each_decision(self, windows: list[RaceWindow]) -> list[RaceWindow]:
        """Of what one test lets a function set, the one that tells most: a value rather than its name or its age."""
        best: dict[object, RaceWindow] = {}
        for window in windows:
            place = _decision(window)
            if place is not None and (place not in best or self._says_more(window, best[place])):
                best[place] = window
        return [w for w in windows if best.get(_decision(w), w) is w]

    def _says_more(self, one: RaceWindow, other: RaceWindow) -> bool:
        """Whether what one window is about is made, and what the other is about only noted down."""
        return self._weight(one) > self._weight(other)

    def _weight(self, window: RaceWindow) -> tuple[bool, bool]:
        write = window.write
        assert write is not None
        return not self.vanity.is_stamp(write), write.made in ("new", "await", "call", "display")

    # -- read .. write -------------------------------------------------------------

    def read_write(self) -> Iterator[RaceWindow]:
        rechecked = self._rechecks()
        for candidate in self._distinct():
            read, write = candidate.read, candidate.write
            if (
                (candidate.dependence == "control" or write.kind == "remove" or write.made == "const")
                and any(
                    _is_newer(again.read, read, write) and not _goes_on_with_it(candidate, again)
                    for again in rechecked.get(id(write), ())
                )
                and not self._kept(candidate)
            ):
                continue
            if _is_moved(candidate) and not self._is_exchange(candidate):
                continue
            if _is_of_other_elements(candidate):
                continue
            if self.claims.decide(candidate) or self._is_loaded(candidate):
                continue
            if self._is_filled_anew(candidate):
                continue
            if self._is_chosen_anew(candidate):
                if _takes_what_it_saw(candidate):
                    yield from self._window_of(replace(candidate, dependence="control", control=None))
                    continue
                if candidate.control is None or not candidate.control.exit:
                    continue
                # What is stored was computed anew; whether to store it was decided on what was there before.
                candidate = replace(candidate, dependence="control")
            yield from self._window_of(candidate)

    def _is_loaded(self, candidate: Candidate) -> bool:
        """Whether what others looked at is loaded on the first call of a function, which nothing of that decides."""
        read, write = candidate.read, candidate.write
        if candidate.dependence != "control" or write.kind != "assign" or read.function == write.function:
            return False
        node = self.program.syntax_of(write.function)
        return node is not None and loads_once(node)

    def _is_chosen_anew(self, candidate: Candidate) -> bool:
        """Whether the write goes by a newer look that nothing can come after: what it does was not decided before.

        For what is computed that is a look at the very element. For a removal it is a look, in the function that
        removes, at what the container holds by then; the older one, in another call, was about other elements.
        """
        return any(
            other.entry is candidate.entry
            and other.read.serial > candidate.read.serial
            and (_is_searched_anew if candidate.write.kind == "remove" else _is_read_anew)(candidate, other)
            and (self._kept(other) or not self._separable(other, self._is_threaded(other.write)))
            for other in self.by_write[id(candidate.write)]
        )

    def _is_filled_anew(self, candidate: Candidate) -> bool:
        """Whether the function that writes keeps its answers, has looked for this one, and did not find it.

        What another call of it gave back told at most what to ask for: `find(find(token).owner)`.
        """
        older, write = candidate.read, candidate.write
        if candidate.dependence != "data" or write.kind != "assign":
            return False
        if older.stack[-1].serial == write.stack[-1].serial:
            return False
        node = self.program.syntax_of(write.function)
        return node is not None and isinstance(write.node, ast.stmt) and keeps_answers(node, write.node)

    def _is_threaded(self, write: Write) -> bool:
        """Whether worker threads write what is written, too."""
        return any(w.context == "thread" for _, w in self.by_root[write.location.root])

    @cached_property
    def _moves(self) -> set[tuple[Ref, Location, str, str]]:
        """What functions put as it is from under one key under another: where, from which key, and to which."""
        return {
            (c.write.function, c.write.location.base, c.read.key, c.write.key)
            for c in self.trace.candidates
            if _is_moved(c)
        }

    def _is_exchange(self, candidate: Candidate) -> bool:
        """Whether the function also puts what was under the other key where this one was: two that change places."""
        read, write = candidate.read, candidate.write
        return (write.function, write.location.base, write.key, read.key) in self._moves

    def _is_made(self, write: Write, judge: Callable[[Program, Ref], bool]) -> bool:
        """Whether what is stored is an object of a class of the project of which the judge says so."""
        path, _, name = write.value_type.partition(":")
        return bool(name) and judge(self.program, Ref("class", path, name))

    def _only_first(self, write: Write) -> bool:
        """Whether something is added at the end of a list of which nobody takes more than the first."""
        base = write.location.base
        if not is_added_at_end(write) or any(w.kind == "remove" for _, w in self.by_root[base.root]):
            return False
        seen = [r for _, r in self._lookers[base.root] if r.location.base == base]
        looks = [r for r in seen if r.location.fields != base.fields]
        return any(r.how == "first" for r in looks) and all(
            r.how == "first" or (isinstance(r.node, ast.Name | ast.Attribute) and _is_asked(r)) for r in looks
        )

    def _is_on_its_own(self, candidate: Candidate) -> bool:
        """Whether the request goes on with what it has put there itself: what was there before is gone already."""
        read = candidate.read
        frames = {frame.serial for frame in read.stack}
        return any(
            entry is candidate.entry
            and earlier.serial < read.serial
            and earlier.kind == "assign"
            and earlier.made in ("new", "call", "await", "display")
            and earlier.stack[-1].serial in frames
            and earlier.location == earlier.location.base
            and earlier.location.fields == read.location.fields[: len(earlier.location.fields)]
            and not self.vanity.branches.is_conditional(earlier)
            and not any(c.dependence == "data" for c in self.by_write[id(earlier)])
            for entry, earlier in self.by_root[read.location.root]
        )

    def _is_filled_later(self, write: Write) -> bool:
        """Whether an object is shared before the function has given it all that it is to have."""
        if write.made != "new":
            return False
        fields, function, serial = write.location.fields, write.function, write.serial
        depth = len(fields)
        return any(
            w.serial > serial
            and len(w.location.fields) == depth + 1
            and w.location.fields[:depth] == fields
            and w.made not in ("const", "none")
            and w.function == function
            for _, w in self.by_root[write.location.root]
        )

    def _is_changed_below(self, write: Write) -> bool:
        """Whether requests change what is in the object that is stored, once others can reach it."""
        depth = len(write.location.fields)
        return any(
            w is not write
            and len(w.location.fields) > depth
            and w.location.fields[:depth] == write.location.fields
            and (w.kind in ("augment", "insert") or any(c.dependence == "data" for c in self.by_write[id(w)]))
            for _, w in self.by_root[write.location.root]
        )

    def _distinct(self) -> list[Candidate]:
        """One candidate of those that differ only in the calls through which they are reached."""
        found: dict[object, Candidate] = {}
        for candidate in self.trace.candidates:
            read, write = candidate.read, candidate.write
            common = tuple(str(h.lock.location or id(h.lock.node)) for h in self._kept(candidate))
            control = candidate.control
            key = (
                id(candidate.entry),
                id(read.node),
                id(write.node),
                read.location,
                isinstance(read.location, Own),
                write.location,
                candidate.dependence,
                candidate.between is None,
                candidate.switch is None,
                common,
                len(read.held),
                len(write.held),
                meeting(read.stack, write.stack)[0],
                control and (control.shape, control.negated, control.exit),
            )
            found.setdefault(key, candidate)
        return list(found.values())

    def _rechecks(self) -> dict[int, list[Candidate]]:
        """For each write, the checks under a lock that is still held, and those that see what a removal takes away."""
        found: dict[int, list[Candidate]] = defaultdict(list)
        for candidate in self.trace.candidates:
            if candidate.control is not None and (self._kept(candidate) or self._is_sure(candidate)):
                found[id(candidate.write)].append(candidate)
        return found

    def _is_sure(self, candidate: Candidate) -> bool:
        """Whether something is seen to be there and is taken away before anything else can run."""
        read, write, control = candidate.read, candidate.write, candidate.control
        depth = len(write.location.fields)
        if write.kind != "remove" or control is None or effective(control.shape, control.negated) != "present":
            return False
        if read.location.root != write.location.root or read.location.fields[:depth] != write.location.fields:
            return False
        if len(read.location.fields) == depth and read.key != write.key:
            return False
        return not self._separable(candidate, self._is_threaded(write))

    def _window_of(self, candidate: Candidate) -> Iterator[RaceWindow]:
        read, write = candidate.read, candidate.write
        control = candidate.control
        shape = effective(control.shape, control.negated) if control else ""
        if candidate.dependence == "control" and read.how == "contains" and shape in ("equal", "different"):
            shape = "present"
        common = self._kept(candidate)
        valid = [
            h
            for h in common
            if not h.lock.fresh
            and h.lock.location not in self.dropped
            and h.lock.location not in self.replaced
            and not self._is_for_another(h, candidate)
        ]
        rivals = self._rivals(candidate, shape, valid)
        if control is None and candidate.dependence == "control":
            rivals = Rivals([w for w in rivals.writers if _same_direction(write, w[1])])
        claim = self.claims.around(candidate)
        if claim is not None:
            rivals = Rivals([w for w in rivals.writers if not claim.covers(w[1])])
        if self._only_threads(candidate) and rivals.threaded:
            rivals = rivals.in_threads
        if not rivals.writers or self._is_nothing(write.location):
            return
        relation = self._relation(candidate, common, valid)
        if control is not None and control.let_go is not None and not valid:
            relation = "waited"
        if relation == "check-outside" and (self.vanity.notes_the_time(candidate) or self._is_brought_up(candidate)):
            return
        if (candidate.dependence == "data" or candidate.between is None) and self._is_on_its_own(candidate):
            return
        if valid:
            own = _own(valid, write)
            if own:
                yield from self._forgotten(candidate, own, rivals)
                relation, rivals = self._different(candidate, own, rivals)
            if not rivals.writers:
                return
        if self.vanity.is_vain(candidate, rivals.writes, self.by_write[id(write)]) or self._only_first(write):
            return
        mixed = read.context == "loop" and rivals.threaded
        race = self._separable(candidate, mixed)
        if relation == "unguarded" and any(h.lock.family == "asyncio" for h in _own(valid, write)):
            relation = "wrong-kind"
        function, first, last = meeting(read.stack, write.stack)
        half_made = self._is_filled_later(write)
        yield RaceWindow(
            "read-write",
            write.location,
            function,
            first,
            last,
            candidate.entry,
            race,
            _context(read, mixed),
            relation=relation,
            dependence=candidate.dependence,
            shape=shape,
            exit=control.exit if control else "",
            read=read,
            write=write,
            between=candidate.between,
            switch=candidate.switch,
            control=control,
            rivals=rivals.writers,
            guards=[h.lock for h in (*read.held, *write.held)],
            entries=[candidate.entry],
            lock_node=common[0].node if common else None,
            mixed=mixed,
            warmed=write.location in self.warmed,
            reckoned=any(
                c.dependence == "data" and c.read.location == write.location for c in self.by_write[id(write)]
            ),
            grows=write.made in ("new", "await", "call") and self._is_changed_below(write),
            cheap=self._is_made(write, is_stateless) and not half_made,
            plain=self._is_made(write, keeps_nothing) and not half_made,
            dated=self.vanity.asks_how_old(candidate),
            fleeting=(mixed and candidate.between is None and not _makes(candidate))
            or is_fleeting(self.program, candidate),
            claimed=claim is None and self.claims.about(candidate) is not None,
            taken=((write.kind == "remove" or write.made == "none") and self.vanity.is_carried(candidate))
            or any(_goes_on_with_it(candidate, again) for again in self.by_write[id(write)] if self._is_sure(again)),
        )

    def _is_nothing(self, location: Location) -> bool:
        """Whether a place is in an element of a mutable default into which nobody puts any."""
        if location.root.kind != "default" or len(location.fields) < 2:
            return False
        return not any(len(write.location.fields) == 1 for _, write in self.by_root[location.root])

    def _rivals(self, candidate: Candidate, shape: str, valid: list[Held]) -> Rivals:
        """The writes that make a candidate's read wrong and take none of the locks that span it."""
        read, entry = candidate.read, candidate.entry
        by_data = candidate.dependence == "data"
        by_place = by_data and candidate.write.made == "place"
        getter = read.function if isinstance(read.stack[-1].statement, ast.Return) else None
        key = (
            read.location,
            isinstance(read.location, Own),
            None if entry.many else id(entry),
            (read.how, by_place) if by_data else (shape, read.how),
            getter,
            tuple((h.lock.location, h.lock.node or h.lock) for h in valid),
        )
        if key not in self._by_question:
            self._by_question[key] = Rivals(
                [
                    w
                    for w in self.writers(read.location, entry)
                    if (_shifts(w[1]) if by_place else _moves(read, w[1]) if by_data else matters(shape, read, w[1]))
                    and not any(_holds(w[1].held, h.lock) for h in valid)
                    and not (getter is not None and getter == w[1].function and self._only_fills(w[1]))
                ]
            )
        return self._by_question[key]

    @cached_property
    def _by_place(self) -> dict[ast.AST, list[Candidate]]:
        """The candidates that end at a place, on whatever way it is come to."""
        found: dict[ast.AST, list[Candidate]] = defaultdict(list)
        for candidate in self.trace.candidates:
            found[candidate.write.node].append(candidate)
        return found

    def _only_fills(self, write: Write) -> bool:
        """Whether a function puts something where nothing is, and no more: what it then returns was there, and stays.

        `if settings is None: settings = load()`, `return settings`.
        """
        if write.location.fields and write.location.fields[-1].startswith("["):
            return False
        fills = [c for c in self._by_place.get(write.node, ()) if c.read.location == write.location]
        checked = [c.control for c in fills if c.control is not None and c.dependence == "control"]
        absent = all(effective(control.shape, control.negated) in ABSENT for control in checked)
        return bool(fills) and len(checked) == len(fills) and absent

    @staticmethod
    def _different(candidate: Candidate, valid: list[Held], rivals: Rivals) -> tuple[str, Rivals]:
        """A guarded window whose rivals do not take its lock."""
        by_amount = candidate.dependence != "data" and candidate.write.kind == "augment"
        if candidate.dependence != "data" and not by_amount and candidate.write.kind != "assign":
            return "different-locks", _NO_RIVALS
        if any(h.lock.unknown or h.lock.keyed for h in valid):
            return "different-locks", _NO_RIVALS
        if valid[0].lock.family == "asyncio" and rivals.threaded:
            in_threads = rivals.in_threads.writers
            return "wrong-kind", Rivals([w for w in in_threads if not _share_a_thread_lock(candidate.write, w[1])])
        if by_amount:
            return "different-locks", Rivals(
                [w for w in rivals.locked.writers if _same_direction(candidate.write, w[1])]
            )
        return "different-locks", rivals.locked

    def _forgotten(self, candidate: Candidate, own: list[Held], rivals: Rivals) -> Iterator[RaceWindow]:
        """Changes that take no lock, while the candidate holds one for the state from its read to its write."""
        read, write = candidate.read, candidate.write
        by_check = candidate.dependence != "data"
        if (
            (by_check and write.kind != "augment")
            or not self._separable(candidate, False)
            or any(h.lock.unknown or h.lock.keyed or h.lock.location is None for h in own)
        ):
            return
        for entry, rival in rivals.writers:
            cannot_take = own[0].lock.family == "asyncio" and rival.context == "thread"
            if rival.held or cannot_take or entry.context == "startup" or not self._is_change(rival):
                continue
            if by_check and not _same_direction(write, rival):
                continue
            statement = rival.stack[-1].statement
            yield RaceWindow(
                "read-write",
                rival.location,
                rival.function,
                statement,
                statement,
                entry,
                True,
                _context(rival, False),
                relation="forgotten",
                dependence=candidate.dependence,
                read=read,
                write=write,
                between=candidate.between,
                switch=candidate.switch,
                control=candidate.control,
                rivals=[(entry, rival)],
                guards=[h.lock for h in own],
                entries=[entry, candidate.entry],
            )

    def _is_change(self, write: Write) -> bool:
        """Whether a write depends on what was there, or sets a slot to something that somebody wants kept."""
        if write.kind == "augment" or any(c.read.location == write.location for c in self.by_write[id(write)]):
            return True
        is_slot = not write.location.fields[-1:] or not write.location.fields[-1].startswith("[")
        return is_slot and write.kind == "assign" and write.request

    def _is_for_another(self, held: Held, candidate: Candidate) -> bool:
        """Whether two requests that change the same may hold two locks of one table."""
        write = candidate.write
        return _is_for_one_of_many(held, write) or self.lock_keys.differ(held, write, candidate.entry)

    def _relation(self, candidate: Candidate, common: list[Held], valid: list[Held]) -> str:
        read, write = candidate.read, candidate.write
        if common and not valid:
            if any(self._is_for_another(h, candidate) for h in common):
                return "different-locks"
            if all(h.lock.fresh for h in common):
                return "fresh-lock"
            return "replaced-lock" if any(h.lock.location in self.replaced for h in common) else "dropped-lock"
        if _own(valid, write):
            return "unguarded"
        mine = [h for h in _own(read.held, read) if not h.lock.fresh]
        theirs = [h for h in _own(write.held, write) if not h.lock.fresh]
        if mine and any(same_lock(a.lock, b.lock) for a in mine for b in theirs):
            return "released"
        if mine and not theirs:
            return "released"
        if theirs and not mine:
            return "check-outside"
        return "unguarded"

    @cached_property
    def dropped(self) -> frozenset[Location]:
        """The elements of tables from which a lock is taken out by whoever has held it, even if others wait for it."""
        taken = {(use.lock.location, use.function) for use in self.trace.locks if use.lock.location is not None}
        return frozenset(
            write.location
            for _, write in self.trace.writes
            if write.kind == "remove"
            and (write.location, write.function) in taken
            and not self.vanity.branches.is_conditional(write)
        )

    @cached_property
    def replaced(self) -> frozenset[Location]:
        """The locks in whose place a request puts a new one, whoever has the old one."""
        taken = {use.lock.location for use in self.trace.locks if use.style in TAKING}
        return frozenset(
            write.location
            for entry, write in self.trace.writes
            if write.kind == "assign"
            and write.made == "new"
            and write.location in taken
            and not isinstance(write.location, Own)
            and entry.context != "startup"
            and not self.by_write[id(write)]
            and not self.vanity.is_a_fallback(write)
        )

    @classmethod
    def _kept(cls, candidate: Candidate) -> list[Held]:
        """The locks that are held from the read of a candidate to its write, without one that a `wait()` gives away."""
        common = cls._common(candidate.read.held, candidate.write.held)
        let_go = candidate.control.let_go if candidate.control is not None else None
        return [h for h in common if let_go is None or not same_lock(h.lock, let_go)]

    @staticmethod
    def _common(one: Iterable[Held], other: Iterable[Held]) -> list[Held]:
        acquired = {h.acquisition for h in one}
        return [h for h in other if h.acquisition in acquired]

    def _is_brought_up(self, candidate: Candidate) -> bool:
        """Whether all that there is is replaced under a lock by what becomes of it: a part seen before chose a branch.

        `name = settings["name"] or "?"`, and then `with lock: settings = {**settings, **changes}`.
        """
        read, write, control = candidate.read, candidate.write, candidate.control
        if control is None or control.exit or len(read.location.fields) <= len(write.location.fields):
            return False
        return write.kind == "assign" and any(
            other.dependence == "data" and other.read.location.base == write.location.base and self._kept(other)
            for other in self.by_write[id(write)]
        )

    @staticmethod
    def _only_threads(candidate: Candidate) -> bool:
        """Whether only worker threads can come in between: the event loop runs nothing else without a suspension."""
        return candidate.read.context == "loop" and candidate.between is None

    @staticmethod
    def _separable(candidate: Candidate, mixed: bool) -> bool:
        """Whether something can run in between today."""
        if candidate.read.context == "thread" or mixed:
            return candidate.switch is not None or candidate.between is not None
        return candidate.between is not None

    def writers(self, location: Location, entry: Entry) -> list[Writer]:
        """Writes that may happen while `entry` is between its read and its write.

        What others write to objects of their own is no write to one of this request's own. Who finds that this runs
        already leaves before it writes what is written where it is started.
        """
        own = isinstance(location, Own)
        claimer = claimer_of(entry)
        return [
            (e, w)
            for e, w in self.by_root.get(location.root, ())
            if (e is not entry or entry.many)
            and w.function != claimer
            and not (own and isinstance(w.location, Own))
            and _replaces(w.location, location)
        ]

    # -- write .. late read ----------------------------------------------------------

    def late(self) -> Iterator[RaceWindow]:
        """What a request keeps and expects back: of the attributes of one object that it fills at once, the first."""
        told: set[object] = set()
        for item in self.trace.late:
            rivals = [w for w in self.writers(item.write.location, item.entry) if w[1].request]
            common = self._common(item.write.held, item.read.held)
            if not rivals or common or self._is_remembered(item.write) or _is_of_the_last_call(item):
                continue
            if self._is_published(item.write):
                continue
            if not self._late_race(item):
                continue
            function, first, last = meeting(item.write.stack, item.read.stack)
            if first is None:
                # They meet in FastAPI only: what is wrong is that the dependency or middleware keeps it there.
                function, last = item.write.function, item.write.stack[-1].statement
            place = (id(item.entry), function, item.write.function, _holder(item.write.location))
            if place in told:
                continue
            told.add(place)
            yield RaceWindow(
                "late-read",
                item.write.location,
                function,
                first,
                last,
                item.entry,
                True,
                _context(item.read, False),
                read=item.read,
                write=item.write,
                between=item.between,
                switch=item.switch,
                rivals=rivals,
                entries=[item.entry],
                published=self._has_readers(item.write.location),
            )

    def _is_remembered(self, write: Write) -> bool:
        """Whether something is written only where there was nothing, or made from what was there: it is for all."""
        return any(
            c.dependence == "data"
            or (
                c.control is not None
                and c.read.location == write.location
                and effective(c.control.shape, c.control.negated) in ABSENT
            )
            for c in self.by_write[id(write)]
        )

    def _is_published(self, write: Write) -> bool:
        """Whether an object is made for all: somebody looks at it who has put none there, and the latest counts.

        What the client has sent is no such object, and a middleware puts things there for whoever comes after it.
        """
        return write.made in ("new", "call", "await") and self._has_readers(write.location)

    def _has_readers(self, location: Location) -> bool:
        """Whether some request looks at what is kept in a place and puts nothing there itself."""
        writers = {id(e): e for e, w in self.by_root[location.root] if overlaps(w.location, location)}
        if any(e.kind == "middleware" for e in writers.values()):
            return False
        return any(
            overlaps(read.location, location) and entry.routes and not _descends(entry, writers)
            for entry, read in self._lookers[location.root]
        )

    @cached_property
    def _lookers(self) -> dict[Root, list[tuple[Entry, Read]]]:
        found: dict[Root, list[tuple[Entry, Read]]] = defaultdict(list)
        for entry, read in self.trace.looked.values():
            found[read.location.root].append((entry, read))
        return found

    @staticmethod
    def _late_race(item: LateRead) -> bool:
        return item.between is not None if item.write.context == "loop" else item.switch is not None

    # -- two writes that belong together -----------------------------------------------

    def pairs(self) -> Iterator[RaceWindow]:
        for item in self.trace.pairs:
            if item.between is None or self._common(item.first.held, item.second.held):
                continue
            if not self.writers(item.first.location, item.entry):
                continue
            if item.first.kind == "assign" and not self._seen_together(item):
                continue
            function, first, last = meeting(item.first.stack, item.second.stack)
            yield RaceWindow(
                "pair",
                item.second.location,
                function,
                first,
                last,
                item.entry,
                True,
                _context(item.second, False),
                write=item.second,
                between=item.between,
                rivals=[(item.entry, item.first)],
                entries=[item.entry],
                other=item.first.location,
            )

    def _seen_together(self, pair: Pair) -> bool:
        """Whether another function looks at both halves."""
        lookers = [
            {r.function for _, r in self._lookers[w.location.root] if overlaps(w.location, r.location)} - {w.function}
            for w in (pair.first, pair.second)
        ]
        return bool(lookers[0] & lookers[1])

    def refills(self) -> Iterator[RaceWindow]:
        """Containers that are emptied and filled again, and others look at in between."""
        for item in self.trace.refills:
            read = self._looks_in_between(item)
            function, first, last = meeting(item.first.stack, item.second.stack)
            if read is None or first is None or self.vanity.is_left_empty(item) or _is_of_another_call(item):
                continue
            yield RaceWindow(
                "pair",
                item.first.location,
                function,
                first,
                last,
                item.entry,
                True,
                _context(item.second, False),
                relation="refilled",
                read=read,
                write=item.second,
                between=item.between,
                rivals=[(item.entry, item.first)],
                entries=[item.entry],
            )

    def _looks_in_between(self, pair: Pair) -> Read | None:
        """A look of another function that takes what is missing for an answer, and no lock of the one who fills."""
        base = pair.first.location.base
        fillers = {w.function for _, w in self.by_root[base.root] if w.location.base == base}
        looks = [
            read
            for _, read in self._lookers[base.root]
            if read.location.base == base
            and read.function not in fillers
            and not measures(read.node)
            and not any(_holds(pair.first.held, h.lock) for h in read.held)
        ]
        return min(looks, key=lambda read: read.how == "iterate", default=None)

    # -- loops -----------------------------------------------------------------------

    def iterations(self) -> Iterator[RaceWindow]:
        for item in self.trace.iterations:
            if item.container == "list" and item.between is None:
                continue
            rivals = [
                w
                for w in self.writers(item.location, item.entry)
                if _resizes(w[1])
                and not self.vanity.branches.replaces(w[1])
                and not (item.container == "list" and is_added_at_end(w[1]))
                and w[1].location.fields[:-1] == item.location.fields[:-1]
                and not any(_holds(w[1].held, h.lock) for h in item.held)
            ]
            if item.context == "loop" and item.between is None:
                rivals = [w for w in rivals if w[1].context == "thread"]
            if not rivals:
                continue
            statement = item.stack[-1].statement
            yield RaceWindow(
                "iteration",
                item.location,
                item.function,
                statement,
                statement,
                item.entry,
                True,
                _context(item, False),
                between=item.between,
                rivals=rivals,
                entries=[item.entry],
                guards=[h.lock for h in item.held],
                container=item.container,
            )

    # -- locks -------------------------------------------------------------------------

    def lock_uses(self) -> Iterator[RaceWindow]:
        for use in self.trace.locks:
            if use.style == "held across await" and self._stops_the_loop(use.lock):
                yield self._lock_window(use, "wrong-kind")
            elif use.style == "re-entered":
                yield self._re_entered(use)
            elif use.style == "acquire" and _is_known(use.lock) and is_leaked(self.program, use):
                yield self._lock_window(use, "leaked")

    def _stops_the_loop(self, lock: LockValue) -> bool:
        """Whether somebody waits for a lock of which more than one request knows."""
        takers = [u for u in self.trace.locks if u.style in TAKING and u.context == "loop" and same_lock(u.lock, lock)]
        return _is_known(lock) and any(waits(u.node) and not asks_first(self.program, u) for u in takers)

    def lock_orders(self) -> Iterator[RaceWindow]:
        """Two locks that are taken in one order here and in the other there."""
        for (first, second), use in self.trace.orders.items():
            opposite = self.trace.orders.get((second, first))
            if opposite is None or (use.entry is opposite.entry and not use.entry.many) or str(first) > str(second):
                continue
            window = self._lock_window(use, "opposite-order")
            window.other = first
            window.rival_use = opposite
            yield window

    def _re_entered(self, use: LockUse) -> RaceWindow:
        """A lock that is taken twice: shown in the function that holds it and leads to where it is taken again."""
        window = self._lock_window(use, "re-entered")
        window.rival_use = use
        if use.outer is not None and shared_frames(use.outer.stack, use.stack):
            window.function, window.first, window.last = meeting(use.outer.stack, use.stack)
        return window

    def _lock_window(self, use: LockUse, relation: str) -> RaceWindow:
        location = use.lock.location or Location(_nowhere(use))
        statement = use.stack[-1].statement
        return RaceWindow(
            "lock",
            location,
            use.function,
            statement,
            statement,
            use.entry,
            True,
            "event loop" if use.context == "loop" else "thread pool",
            relation=relation,
            between=use.between,
            guards=[use.lock],
            lock_node=use.node,
            entries=[use.entry],
        )


def _is_known(lock: LockValue) -> bool:
    """Whether a lock is one that was understood, and others have it as well as the request that made it."""
    return not lock.unknown and not lock.fresh


def _nowhere(use: LockUse) -> Root:
    return Root("lock", use.function.path, "lock")


def _goes_on_with_it(candidate: Candidate, again: Candidate) -> bool:
    """Whether what was picked out is used all the same when a second look does not find it there any more.

    `c = free[0]`, a wait, `if c in free: free.remove(c)`: two who have picked the same one both go on with it.
    """
    picked = candidate.dependence == "data" and candidate.read.how in ("first", "last") and candidate.entry.many
    return picked and again.control is not None and not again.control.exit and not again.write.held


def _is_moved(candidate: Candidate) -> bool:
    """Whether what was under one key is put, as it is, under another: it replaces nothing that was read.

    Who only asked whether a key is there has read no value, and has chosen the other key by the answer.
    """
    read, write = candidate.read, candidate.write
    if read.how == "contains":
        return False
    as_it_is = candidate.dependence == "data" and write.kind == "assign" and write.made in ("", "shared")
    return as_it_is and bool(read.key) and bool(write.key) and read.key != write.key


def _makes(candidate: Candidate) -> bool:
    """Whether something is made because of a check, which may take as long as that takes, also on the event loop."""
    return candidate.dependence == "control" and candidate.write.made in ("new", "await", "call")


def _is_of_other_elements(candidate: Candidate) -> bool:
    """Whether what is put under a fixed key was computed from some that were picked out, or from what is in one.

    `job["result"] = await run({k: v for k, v in job.items() if k in OPTIONS})`, or `peer["id"] =
    choice(peer.get("ids"))`: it replaces nothing that was read.
    """
    read, write = candidate.read.location, candidate.write.location
    depth = len(write.fields)
    if candidate.write.kind != "assign" or read.root != write.root or not depth or candidate.read.how != "iterate":
        return False
    if not write.fields[-1].startswith("['") or read.fields[depth - 1 : depth] != ("[*]",):
        return False
    return len(read.fields) > depth or (candidate.dependence == "data" and _is_picked(candidate.read))


def _is_picked(look: Read) -> bool:
    """Whether a look goes through all there is for what a comprehension picks out."""
    statement = look.stack[-1].statement
    parts = [n for n in ast.walk(statement) if isinstance(n, ast.comprehension)] if statement is not None else []
    return any(part.iter is look.node and part.ifs for part in parts)


def _is_of_the_last_call(item: LateRead) -> bool:
    """Whether a function looks at what its last call has left there, before it leaves something itself."""
    one, other = item.write.stack[-1], item.read.stack[-1]
    return one.function == other.function and one.serial != other.serial


def _decision(window: RaceWindow) -> object:
    """The test of a function that lets something be set; None for what is computed, added, taken away or counted."""
    control, write = window.control, window.write
    if window.kind != "read-write" or window.dependence != "control" or control is None or write is None:
        return None
    if write.kind != "assign" or write.location.fields[-1:] == ("[*]",) or not window.race:
        return None
    return window.function, id(window.first), id(control.node), window.relation, write.function


def _holder(location: Location) -> object:
    """What has an attribute: the object, or the file of a module's name."""
    return (location.root, location.fields[:-1]) if location.fields else location.root.path


def _descends(entry: Entry | None, of: Container[int]) -> bool:
    """Whether something that runs is one of these, or was started by one."""
    return entry is not None and (id(entry) in of or _descends(entry.parent, of))


def claimer_of(entry: Entry) -> Ref | None:
    """The function that has started what runs, or what that runs for, and starts no other run while it does."""
    while entry.parent is not None and (entry.many or not entry.parent.many):
        entry = entry.parent
    return entry.start[-1].function if entry.parent is not None and entry.start else None


def _takes_what_it_saw(candidate: Candidate) -> bool:
    """Whether a number goes down by what was in it: `taken = min(wanted, left)`, a wait, `left -= taken`.

    What always goes down by one was chosen by the look, and not how much is taken.
    """
    read, write, node = candidate.read, candidate.write, candidate.write.node
    down = isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub) and candidate.dependence == "data"
    down = down and write.made != "const"
    return down and read.node is not node and (read.location, read.key) == (write.location, write.key)


def _is_read_anew(candidate: Candidate, other: Candidate) -> bool:
    """Whether a newer look is at what is overwritten, for a value that an older look at it has led to as well."""
    newer, write = other.read, candidate.write
    by_data = candidate.dependence == other.dependence == "data"
    return by_data and newer.location == write.location and newer.key == write.key


def _is_searched_anew(candidate: Candidate, other: Candidate) -> bool:
    """Whether a function removes what it has found by going through all there is, whatever was seen in another call."""
    older, newer, write = candidate.read, other.read, candidate.write
    return (
        newer.how == "iterate"
        and not measures(newer.node)
        and newer.stack[-1].serial == write.stack[-1].serial != older.stack[-1].serial
        and newer.location.base == write.location.base
        and older.key != write.key
    )


def _is_of_another_call(refill: Pair) -> bool:
    """Whether a container is emptied by one call of a function and filled by the next: each leaves it as it should."""
    return meet_again(refill.first.stack, refill.second.stack)


def _is_asked(look: Read) -> bool:
    """Whether a look only asks whether there is anything: `if seen:`, `if not seen:`."""
    statement = look.stack[-1].statement
    test = statement.test if isinstance(statement, ast.If | ast.While) else None
    asked = test.operand if isinstance(test, ast.UnaryOp) else test
    return asked is look.node


def _replaces(written: Location, seen: Location) -> bool:
    """Whether another request's write changes what was seen: the slot itself, or the container that it is in."""
    if not overlaps(written, seen):
        return False
    deeper = seen.fields[len(written.fields) :]
    return not deeper or (len(deeper) == 1 and deeper[0].startswith("[") and written.fields[-1:] != ("[*]",))


def _own(held: Iterable[Held], event: Read | Write) -> list[Held]:
    """The locks that are there for the state of an access."""
    home = event.location.root.path
    return [h for h in held if taken_for(h, event.function, {home})]


def taken_for(held: Held, function: Ref, homes: set[str]) -> bool:
    """Whether a lock is there for state that lives in `homes`: taken where it is used, or living where it lives.

    What a caller in another file holds for reasons of its own is no guard that somebody forgot.
    """
    taker, place = held.stack[-1].function, held.lock.location
    if taker is None or taker.path in {function.path, *homes}:
        return True
    return place is not None and place.root.path in homes


def _share_a_thread_lock(one: Write, other: Write) -> bool:
    """Whether two writes take one thread lock, beside what else they hold."""
    return any(h.lock.family == "threading" and _holds(other.held, h.lock) for h in one.held)


def _is_for_one_of_many(held: Held, write: Write) -> bool:
    """Whether a lock is one of those that many objects or keys have, and what is written is there once for all."""
    lock, place = held.lock.location, write.location
    if lock is None or "[*]" not in lock.fields or any(field.startswith("[") for field in place.fields):
        return False
    if ".__dict__" in lock.fields:
        return False  # an element of that is an attribute
    taken = held.node.items if isinstance(held.node, ast.With | ast.AsyncWith) else []
    named = any(
        isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
        for i in taken
        for n in ast.walk(i.context_expr)
    )
    return not named and place.root.kind in ("variable", "class", "state")


def _holds(held: Iterable[Held], lock: LockValue) -> bool:
    return any(same_lock(h.lock, lock) for h in held)


def _resizes(write: Write) -> bool:
    """Whether a write adds or removes elements."""
    return write.kind in ("insert", "remove") or (
        write.kind == "assign" and write.location.fields[-1:] != () and write.location.fields[-1].startswith("[")
    )


def _moves(read: Read, write: Write) -> bool:
    """Whether a write can put something else where a value was read: what is added at the end leaves the first."""
    if read.how == "first":
        return removed_end(write) != "last" and not is_added_at_end(write)
    return read.how != "last" or removed_end(write) != "first"


def _shifts(write: Write) -> bool:
    """Whether a write can make another element stand at a place of a list than did before."""
    element = write.location.fields[-1:] == ("[*]",)
    return not is_added_at_end(write) and not (element and write.kind in ("assign", "augment"))


def matters(shape: str, read: Read, write: Write) -> bool:
    """Whether a write can make a check of this shape wrong."""
    element = bool(read.location.fields) and read.location.fields[-1].startswith("[")
    if shape in ("truth", "falsy"):
        if read.how in ("contains", "iterate"):
            shape = "present" if shape == "truth" else "missing"
        elif shape == "truth":
            certain = write.made == "const" and _truth(write.text) is True
            return write.kind in ("augment", "remove") or (
                write.made in ("const", "none", "expression") and not certain
            )
        else:
            empty = write.made == "none" or (write.made == "const" and _truth(write.text) is False)
            return not empty or write.kind != "assign"
    if shape == "present" and (element or read.how == "contains"):
        return write.kind == "remove" or write.made == "none" or len(write.location.fields) < len(read.location.fields)
    if shape == "present":
        return write.made == "none" or write.kind == "remove"
    if shape == "missing":
        return write.kind != "remove" and write.made != "none"
    return True


def _same_direction(one: Write, other: Write) -> bool:
    """Whether two changes both add or both subtract: what the one needs enough of, the other uses up, too."""
    one_node, other_node = one.node, other.node
    if not isinstance(one_node, ast.AugAssign) or not isinstance(other_node, ast.AugAssign):
        return False
    return type(one_node.op) is type(other_node.op)


def _truth(text: str) -> bool | None:
    """Whether the text of a constant is that of something true."""
    try:
        return bool(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return None


def _context(event: Read | Write | Iteration, mixed: bool) -> str:
    if mixed:
        return "event loop and thread pool"
    return context_name(event.context)


def meeting(one: tuple[Frame, ...], other: tuple[Frame, ...]) -> tuple[Ref, ast.stmt | None, ast.stmt | None]:
    """The innermost function that both stacks are in, and its statements on the way to either."""
    depth = shared_frames(one, other)
    seen = other[max(depth - 1, 0)]
    assert seen.function is not None
    return seen.function, one[depth - 1].statement if depth else None, seen.statement


def _is_newer(look: Read, read: Read, write: Write) -> bool:
    """Whether a look comes after a read, or in a call nearer to the write."""
    nearer = shared_frames(look.stack, write.stack) > shared_frames(read.stack, write.stack)
    return nearer or look.serial > read.serial


def _merged(windows: list[RaceWindow]) -> list[RaceWindow]:
    """One window for each function, Location, kind and relation: the plainest one, with all entry points."""
    groups: dict[object, list[RaceWindow]] = defaultdict(list)
    for window in windows:
        part: object = (
            window.relation if window.kind == "lock" else id(window.first) if window.kind == "iteration" else ""
        )
        groups[window.kind, window.function, window.location.base, part].append(window)
    for key, group in list(groups.items()):
        # One place of the code is one window, however many objects it is run on.
        same = next((k for k in groups if k != key and k[0] == key[0] and _same_place(groups[k][0], group[0])), None)  # type: ignore[index]
        if same is not None and key in groups:
            groups[same].extend(groups.pop(key))
    merged: list[RaceWindow] = []
    for group in groups.values():
        best = min(group, key=_rank)
        best.entries = list({id(e): e for w in group for e in w.entries}.values())
        if best.relation != "forgotten":
            rivals = _all_rivals(group)
            best.rivals = [r for r in rivals if r[1].context == "thread"] if best.is_beside_threads else rivals
        best.mixed = any(w.mixed for w in group)
        best.taken = any(w.taken for w in group)
        best.cheap, best.plain = all(w.cheap for w in group), all(w.plain for w in group)
        merged.append(best)
    return merged


def _all_rivals(windows: list[RaceWindow]) -> list[Writer]:
    """The rivals of windows, one of each place: the last one told of. Windows often share a list of them."""
    lists = {id(window.rivals): window.rivals for window in windows}
    order = {id(write.node): None for rivals in lists.values() for _, write in rivals}
    last = {id(window.rivals): window.rivals for window in reversed(windows)}
    found = {id(write.node): (entry, write) for rivals in reversed(last.values()) for entry, write in rivals}
    return [found[place] for place in order]


def _same_place(one: RaceWindow, other: RaceWindow) -> bool:
    """Whether two windows are one place of the code: the same loop, or the same read and write, on two objects."""
    if one.kind != other.kind or one.kind == "lock" or one.function != other.function or one.first is None:
        return False
    if one.kind == "iteration":
        return one.first is other.first
    if one.read is not None and other.read is not None and one.write is not None and other.write is not None:
        nodes = one.read.node is other.read.node and one.write.node is other.write.node
        same_state = one.location.fields == other.location.fields and one.last is other.last
        return one.first is other.first and (nodes or same_state)
    return one.first is other.first and one.last is other.last and one.location.fields == other.location.fields


def _foremost(window: RaceWindow) -> bool:
    """What to tell of a place: what is overwritten where it races, what is checked where it does not."""
    if window.race:
        return window.dependence == "data"
    return window.dependence == "control" and window.shape == "compare"


def _rank(window: RaceWindow) -> tuple[int, int, int, int, int]:
    """Races first, then lost updates before checks, numbers before presence."""
    return (
        0 if window.race else 1,
        0 if window.first is not None else 1,
        0 if _foremost(window) else 1,
        ("compare", "equal", "different", "missing", "falsy", "truth", "present", "").index(window.shape)
        if window.dependence != "data"
        else 0,
        getattr(window.write.node if window.write else window.first, "lineno", 0),
    )
