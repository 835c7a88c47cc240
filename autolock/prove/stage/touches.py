"""Which steps of the requests meet: what one of them touches, another one touches too, and one of the two changes it.

A step that meets nobody may as well run before a switch as after it, so there it is no choice to stop (the persistent
sets of Godefroid, LNCS 1032, 1996, found while the schedules are played, as in Flanagan and Godefroid, POPL 2005). What
a step touches is read off the bytecode of its lines and the values that they name; all that a call may reach from there
counts as changed. In doubt two steps meet.
"""

from __future__ import annotations

import dis
import linecache
import re
import sys
import weakref
from ast import AST, parse, stmt, walk
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum as _Enum
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any
from uuid import UUID

from .frames import DRIVERS, Owner, Project, Spot
from .lanes import Gate, Lane
from .readings import Chain, Reading, Unknown, found, only_looks, reading

#: A kind of gate at a line, and how often the lane has passed there: steps of all runs which begin alike are the same
#: to us.
Site = tuple[str, "Spot | None", int]

#: Turns of a loop that are told apart.
_MOST_TURNS = 8

#: Kinds of gates at which it may be no choice to stop.
_PASSED_BY = frozenset(["line", "resume", "task", "statement", "commit", "rollback"])

_CHANGING = (
    *("CALL", "STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE", "DELETE_", "BINARY_OP", "INPLACE_", "BEFORE_", "SETUP_"),
    *("LOAD_SPECIAL", "FOR_ITER", "GET_", "SEND", "YIELD", "WITH_", "IMPORT_"),
)
_BINDING = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF", "STORE_NAME", "DELETE_NAME")
_PLAIN_VALUES = (
    *(bool, int, float, complex, str, bytes, type(None), range, slice, Decimal, UUID, _Enum),
    *(date, time, timedelta, tzinfo, re.Pattern, re.Match, FunctionType, BuiltinFunctionType),
    *(ClassMethodDescriptorType, MethodDescriptorType, WrapperDescriptorType),
)
_MAPPERS = ("sqlalchemy", "sqlmodel")
#: What of SQLAlchemy has a state that requests could share: all else says what to do, or is made for one of them.
_KEEPS_ROWS = frozenset(["Session", "AsyncSession", "scoped_session", "async_scoped_session", "Connection"])
_HOLDERS = (dict, list, set, frozenset, tuple, deque)
_OUTSIDE = frozenset(
    ["open", "os", "io", "shutil", "pathlib", "tempfile", "subprocess", "random", "sqlite3", "environ"]
)
_DEEPEST_REACH = 3
_MOST_INSIDE = 200
_TABLES = re.compile(r'\b(?:from|join|into|update)\s+((?:"[^"]+"|[\w.])+)', re.IGNORECASE)
_ONLY_READS = re.compile(
    r"\s*select\b(?!.*(\bfor (update|share|no key|key)\b|\w*lock\w*\(|nextval|setval|pg_))", re.I | re.S
)


@dataclass(frozen=True)
class Uses:
    """What a statement names: local variables, global and free ones, those it binds, attributes; whether it only looks
    or sets attributes, whatever it calls; and what its text tells beyond that.
    """

    names: frozenset[str]
    far: frozenset[str]
    bound: frozenset[str]
    attributes: frozenset[str]
    only_looks: bool
    sets_attribute: bool
    reading: Reading | None

    @property
    def names_class(self) -> bool:
        """Whether it may come from an object to its class: what is set on the object stays there."""
        return "type" in self.far or "__class__" in self.attributes


@dataclass
class _Met:
    """Who has touched one thing: for each lane the sites from which it was changed, and from which it was looked at."""

    alive: Callable[[], Any]
    changed: dict[int, set[Site]] = field(default_factory=dict)
    looked_at: dict[int, set[Site]] = field(default_factory=dict)

    def meeting(self) -> Iterator[Site]:
        """The sites of all that meet here."""
        for lane, sites in self.changed.items():
            if any(other != lane for other in (*self.changed, *self.looked_at)):
                yield from sites
        for lane, sites in self.looked_at.items():
            if any(other != lane for other in self.changed):
                yield from sites


@dataclass
class Touches:
    """Hears what the steps of each run touch. `meeting` are the sites at which steps begin that have met others so far.

    With `rows_are_one`, the database lets one request write at a time.
    """

    project: Project
    rows_are_one: bool = False
    meeting: set[Site] = field(default_factory=set)
    _met: dict[Hashable, _Met] = field(default_factory=dict)
    _sites: dict[int, Site] = field(default_factory=dict)
    _passed: Counter[tuple[int, str, Spot | None]] = field(default_factory=Counter)
    _written: dict[int, set[str]] = field(default_factory=dict)
    _uses: dict[tuple[CodeType, int], Uses] = field(default_factory=dict)
    _statements: dict[str, dict[int, _Statement]] = field(default_factory=dict)
    _own: dict[type, bool] = field(default_factory=dict)

    def is_choice(self, lane: Lane, gate: Gate) -> bool:
        """Whether a request may be left at a gate."""
        return gate.polls or gate.kind not in _PASSED_BY or self._site(lane, gate) in self.meeting

    def _site(self, lane: Lane, gate: Gate) -> Site:
        turn = self._passed[lane.number, gate.kind, gate.spot]
        return gate.kind, gate.spot, min(turn, _MOST_TURNS)

    def begin(self) -> None:
        """A new run begins."""
        self._met.clear()
        self._sites.clear()
        self._passed.clear()
        self._written.clear()

    def told(self) -> list[str]:
        """The lines at which requests meet, as text."""
        return sorted({f"{spot.path}:{spot.line}" for _, spot, _ in self.meeting if spot is not None})

    def settle(self) -> bool:
        """A run is over. Returns whether steps have met of which it was not known."""
        before = len(self.meeting)
        for met in self._met.values():
            self.meeting.update(met.meeting())
        return len(self.meeting) > before

    # -- what is heard ----------------------------------------------------------------------

    def passed(self, lane: Lane, gate: Gate) -> None:
        """A lane goes on from a gate, perhaps with what it sends to a database."""
        self._sites[lane.number] = self._site(lane, gate)
        self._passed[lane.number, gate.kind, gate.spot] += 1
        if gate.kind == "statement":
            self._sent(lane, gate.label)
        elif gate.kind in {"commit", "rollback"}:
            for table in self._written.pop(lane.number, set()) | ({"*"} if self.rows_are_one else set()):
                self._touch(lane, ("rows", table), changes=True)

    def _sent(self, lane: Lane, statement: str) -> None:
        """Whatever writes meets whatever else writes (it may wait, or be waited for), and who reads the table; the
        first statement of a transaction may decide which commits it sees.
        """
        tables = {name.strip('"').lower() for name in _TABLES.findall(statement)}
        reads = only_reads(statement)
        first = lane.number not in self._written
        written = self._written.setdefault(lane.number, set())
        if not reads:
            written.update({"*", *tables})
        for table in tables if reads and not first else {"*", *tables}:
            self._touch(lane, ("rows", table), changes=not reads)

    def hear(self, lane: Lane, frame: FrameType, event: str, value: Any) -> None:
        """What a debugger is told of a function of the project: it begins or goes on, comes to a line, or is over and
        gives a value.
        """
        if event == "return":
            self.at_return(lane, frame, value)
        elif event == "line" or frame.f_lasti >= 0:
            self.at_line(lane, frame)

    def at_line(self, lane: Lane, frame: FrameType, given: Any = None) -> None:
        """A lane runs the statement at which a function of the project stands, or the rest of it with what a call of it
        has given.
        """
        uses = self._narrowed(lane, frame, self._uses_at(frame), given)
        roots: list[Any] = [given]
        for name in uses.names:
            if name in frame.f_locals:
                roots.append(frame.f_locals[name])
        for name in uses.far:
            if name in _OUTSIDE:
                self._touch(lane, "outside", changes=True)
            if name in frame.f_locals:  # a cell
                self._touch(lane, ("cell", frame.f_code.co_filename, name), changes=name in uses.bound)
                roots.append(frame.f_locals[name])
            elif name in frame.f_globals:
                self._touch(lane, (id(frame.f_globals), name), changes=name in uses.bound)
                roots.append(frame.f_globals[name])
            elif name in uses.bound:
                self._touch(lane, (id(frame.f_globals), name), changes=True)
        seen: set[int] = set()
        for root in roots:
            self._reach(lane, root, uses, 0, seen)

    def _narrowed(self, lane: Lane, frame: FrameType, uses: Uses, given: Any) -> Uses:
        """What a statement sets is changed, and no more where it calls nothing that could change anything unheard."""
        told = uses.reading
        if uses.only_looks or told is None:
            return uses
        try:
            stores = [(found(frame, chain, given), name) for chain, name in told.stores]
            in_place = [found(frame, chain, given) for chain in told.in_place]
        except Unknown:
            return uses
        for owner, name in stores:
            if isinstance(owner, (ModuleType, type)) and name:
                self._touch(lane, (_place_of(owner), name), changes=True)
            self._touch_object(lane, owner, changes=True)
        for thing in in_place:
            if not isinstance(thing, _PLAIN_VALUES):
                self._touch_object(lane, thing, changes=True)
        heard = all(self._is_heard(frame, call, given) for call in told.calls)
        return replace(uses, only_looks=heard, sets_attribute=False)

    def _is_heard(self, frame: FrameType, call: Chain, given: Any) -> bool:
        return only_looks(frame, call, given, lambda code: self.project.owner(code) is Owner.PROJECT)

    def called(self, lane: Lane, work: Any) -> None:
        """A lane calls something from a thread of its own: it may keep what it gave (`functools.cache`)."""
        while hasattr(work, "func"):
            work = work.func
        if not isinstance(work, (FunctionType, MethodType)):
            self._touch_object(lane, work, changes=True)

    def at_return(self, lane: Lane, frame: FrameType, value: Any) -> None:
        """A function of the project is over: what is left of its caller's statement runs now, with its value."""
        caller = frame.f_back
        while caller is not None and self.project.owner(caller.f_code) is not Owner.PROJECT:
            caller = caller.f_back
        if caller is not None:
            self.at_line(lane, caller, value)

    # -- what it reaches --------------------------------------------------------------------

    def _reach(self, lane: Lane, thing: Any, uses: Uses, depth: int, seen: set[int]) -> None:
        if isinstance(thing, _PLAIN_VALUES) or id(thing) in seen or depth > _DEEPEST_REACH or len(seen) > _MOST_INSIDE:
            return
        seen.add(id(thing))
        if isinstance(thing, MethodType):
            self._reach(lane, thing.__self__, uses, depth, seen)
        elif isinstance(thing, (ModuleType, type)):
            self._names_of(lane, thing, uses, depth, seen, sets=uses.sets_attribute)
        else:
            self._instance(lane, thing, uses, depth, seen)

    def _names_of(
        self, lane: Lane, space: ModuleType | type, uses: Uses, depth: int, seen: set[int], *, sets: bool
    ) -> None:
        """What a statement names of a module or a class; `sets` where it may set attributes there."""
        place = _place_of(space)
        for name in uses.attributes & vars(space).keys():
            self._touch(lane, (place, name), changes=sets)
            self._reach(lane, vars(space)[name], uses, depth + 1, seen)
        if isinstance(space, type) and sets:
            for name in uses.attributes - vars(space).keys():
                self._touch(lane, (place, name), changes=True)

    def _instance(self, lane: Lane, thing: Any, uses: Uses, depth: int, seen: set[int]) -> None:
        kind = type(thing)
        if kind.__module__.startswith(_MAPPERS) and not _KEEPS_ROWS & {base.__name__ for base in kind.__mro__}:
            return
        if isinstance(thing, PurePath) or kind.__module__.split(".")[0] in DRIVERS.difference(_MAPPERS):
            self._touch(lane, "outside", changes=True)
        if not isinstance(thing, (tuple, frozenset, PurePath)):
            self._touch_object(lane, thing, changes=not uses.only_looks or _looks_change(thing, uses))
        if isinstance(thing, _HOLDERS):
            inside = [*thing, *thing.values()] if isinstance(thing, dict) else list(thing)
            for one in inside[:_MOST_INSIDE]:
                self._reach(lane, one, uses, depth + 1, seen)
        elif kind.__module__.startswith(("starlette", "fastapi")):
            for one in _state_of(thing, uses):
                self._reach(lane, one, uses, depth, seen)
        elif any(map(self._is_own, kind.__mro__)):
            self._names_of(lane, kind, uses, depth, seen, sets=uses.sets_attribute and uses.names_class)
            for name, value in list(getattr(thing, "__dict__", {}).items()):
                if not name.startswith("_sa_") and (name in uses.attributes or not uses.only_looks):
                    self._reach(lane, value, uses, depth + 1, seen)

    def _is_own(self, kind: type) -> bool:
        known = self._own.get(kind)
        if known is None:
            path = getattr(sys.modules.get(kind.__module__), "__file__", None)
            known = self._own[kind] = path is not None and self.project.has_file(path)
        return known

    # -- who has touched what ---------------------------------------------------------------

    def _touch_object(self, lane: Lane, thing: Any, *, changes: bool) -> None:
        met = self._met.get(id(thing))
        if met is None or met.alive() is not thing:
            met = self._met[id(thing)] = _Met(_reference(thing))
        self._note(met, lane, changes)

    def _touch(self, lane: Lane, key: Hashable, *, changes: bool) -> None:
        met = self._met.get(key)
        if met is None:
            met = self._met[key] = _Met(lambda: None)
        self._note(met, lane, changes)

    def _note(self, met: _Met, lane: Lane, changes: bool) -> None:
        site = self._sites.get(lane.number, ("start", None, 0))
        (met.changed if changes else met.looked_at).setdefault(lane.number, set()).add(site)

    # -- what statements name ---------------------------------------------------------------

    def _uses_at(self, frame: FrameType) -> Uses:
        code, line = frame.f_code, frame.f_lineno
        known = self._uses.get((code, line))
        if known is None:
            known = self._uses[code, line] = _uses(code, self._statement_at(code.co_filename, line))
        return known

    def _statement_at(self, filename: str, line: int) -> _Statement:
        """The statement, or its head, to which a line belongs."""
        if filename not in self._statements:
            self._statements[filename] = _statements("".join(linecache.getlines(filename)))
        return self._statements[filename].get(line, _Statement(line, line, None))


@dataclass(frozen=True)
class _Statement:
    """The lines of a statement, or of its head, and what they tell."""

    first: int
    last: int
    reading: Reading | None


def only_reads(statement: str) -> bool:
    """Whether SQL changes nothing and takes no lock."""
    return _ONLY_READS.match(statement) is not None


def _place_of(space: ModuleType | type) -> int:
    return id(space.__dict__) if isinstance(space, ModuleType) else id(space)


def _looks_change(thing: Any, uses: Uses) -> bool:
    """Whether to look at something changes it: an iterator is a step further, a `defaultdict` has one key more."""
    takes_items = uses.reading is None or uses.reading.takes_items
    return hasattr(type(thing), "__next__") or (takes_items and hasattr(type(thing), "__missing__"))


def _state_of(thing: Any, uses: Uses) -> Iterator[Any]:
    """What is shared behind an application, its state, or a request."""
    if "app" in uses.attributes and isinstance(getattr(thing, "scope", None), dict):
        yield thing.scope.get("app")
    inner = vars(thing).get("state") if hasattr(thing, "__dict__") else None
    if inner is not None:
        yield inner
    kept = vars(thing).get("_state") if hasattr(thing, "__dict__") else None
    if isinstance(kept, dict):
        yield from (value for name, value in kept.items() if name in uses.attributes or not uses.only_looks)


def _reference(thing: Any) -> Callable[[], Any]:
    """Whether it is still there: another object may be made at its place. What knows no weak references is kept."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


def _statements(source: str) -> dict[int, _Statement]:
    statements: dict[int, _Statement] = {}
    try:
        tree: AST = parse(source)
    except SyntaxError:
        return statements
    for node in walk(tree):
        if isinstance(node, stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            one = _Statement(node.lineno, last, reading(node))
            statements.update(dict.fromkeys(range(node.lineno, last + 1), one))
    return statements


def _uses(code: CodeType, statement: _Statement) -> Uses:
    lines = range(statement.first, statement.last + 1)
    ranges = [(start, end) for start, end, line in code.co_lines() if line in lines]
    names, far, bound, attributes = set[str](), set[str](), set[str](), set[str]()
    operations = set[str]()
    for instruction in dis.get_instructions(code):
        if not any(start <= instruction.offset < end for start, end in ranges):
            continue
        operation, value = instruction.opname, instruction.argval
        operations.add(operation)
        values = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, str)]
        if "FAST" in operation:
            names.update(values)
        elif "GLOBAL" in operation or "DEREF" in operation or operation.endswith("_NAME"):
            far.update(values)
            bound.update(values if operation in _BINDING else ())
        elif "ATTR" in operation or "METHOD" in operation:
            attributes.update(values)
    changes = any(operation.startswith(_CHANGING) for operation in operations)
    sets = any(operation in {"STORE_ATTR", "DELETE_ATTR"} for operation in operations)
    return Uses(
        frozenset(names), frozenset(far), frozenset(bound), frozenset(attributes), not changes, sets, statement.reading
    )
