"""What must happen under a lock: the windows on a Location, and every other write to it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from autolock.planning.blocks import Refusal
from autolock.planning.lookups import Lookups
from autolock.program.branches import shared_frames
from autolock.program.decisions import ABSENT, effective
from autolock.program.linker import Ref
from autolock.program.trace import Candidate, Frame, Held, Read, Write
from autolock.program.values import Location, Root, overlaps
from autolock.program.windows import RaceWindow, matters


def owner_of(location: Location) -> Location:
    """The container or attribute that a lock is put beside: everything before the first element."""
    fields: list[str] = []
    for name in location.fields:
        if name.startswith("["):
            break
        fields.append(name)
    return Location(location.root, tuple(fields))


@dataclass(slots=True)
class Need:
    """Something that must happen under the lock: statements of the innermost function that could take it."""

    stack: tuple[Frame, ...]
    depth: int
    first: ast.stmt
    last: ast.stmt
    nodes: tuple[ast.AST, ...]
    held: tuple[Held, ...]
    context: str

    @classmethod
    def at(cls, event: Read | Write) -> Need:
        """An access by itself, at its own statement."""
        statement = event.stack[-1].statement
        assert statement is not None
        depth = len(event.stack) - 1
        return cls(event.stack, depth, statement, statement, (event.node,), event.held, event.context)

    @property
    def function(self) -> Ref:
        ref = self.stack[self.depth].function
        assert ref is not None
        return ref

    def outwards(self) -> None:
        """Move to the calling function. Raises Refusal where there is none."""
        if self.depth == 0:
            raise Refusal(f"`{self.function.name}` has no caller that could take the lock")
        self.depth -= 1
        statement = self.stack[self.depth].statement
        assert statement is not None
        self.first = self.last = statement


_Runs = dict[tuple[Ref | None, Location], list[tuple[int, "Read | Write", Write]]]


class Needs(Lookups):
    """Finds what a lock for a group of Locations has to cover."""

    def needs(self, owners: Sequence[Location], windows: Sequence[RaceWindow]) -> list[Need]:
        """Every window of the group, and every other write to its Locations that can upset one."""
        found: list[Need] = []
        for window in windows:
            found.extend(self.needs_of(window))
        if any(w.kind == "pair" for w in windows):
            found.extend(self.lookers(owners))
        covered = {id(n.nodes[-1]) for n in found}
        harmful = _harmful(windows)
        first_uses = self.first_uses()
        for entry, write in self.machine.trace.writes:
            if entry.context == "startup" or id(write.node) in covered or not belongs(write.location, owners):
                continue
            if windows and all(_is_inside_slot(write.location, w) for w in windows):
                continue
            if harmful is not None and id(write.node) not in harmful and not write.held:
                continue
            if id(write.node) in first_uses and all(
                len(write.location.fields) < len(w.location.fields) for w in windows
            ):
                continue
            found.append(self.since_look(self.need_of(write), write))
        return distinct(found)

    def since_look(self, need: Need, write: Write) -> Need:
        """The need, from where its function makes sure of the key whose element it changes, if others remove keys."""
        outer = write.location.base.child("[*]")
        if need.function != write.function or len(write.location.fields) <= len(outer.fields):
            return need
        if not any(w.kind == "remove" and w.location == outer for w in self._by_root[outer.root]):
            return need
        looks = [
            read.stack[-1].statement
            for read in self.machine.trace.looks
            if read.how == "contains" and read.function == write.function and read.location == outer
        ]
        before = [s for s in looks if s is not None and s.lineno < need.first.lineno]
        if before:
            need.first = min(before, key=lambda s: s.lineno)
        return need

    def need_of(self, write: Write) -> Need:
        """A write by itself; on the event loop with what it looked at before: to wait for a lock lets others run."""
        need = Need.at(write)
        if write.context != "loop" or write.held:
            return need
        for candidate in self._by_write[id(write)]:
            read = candidate.read
            depth = shared_frames(read.stack, write.stack)
            first, last = (s[depth - 1].statement if depth else None for s in (read.stack, write.stack))
            if (
                candidate.between is not None
                or first is None
                or last is None
                or read.location.root != write.location.root
            ):
                continue
            if (depth - 1, first.lineno) < (need.depth, need.first.lineno):
                need = Need(write.stack, depth - 1, first, last, (read.node, write.node), (), write.context)
        return need

    @cached_property
    def _by_write(self) -> dict[int, list[Candidate]]:
        found: dict[int, list[Candidate]] = defaultdict(list)
        for candidate in self.machine.trace.candidates:
            found[id(candidate.write)].append(candidate)
        return found

    def first_uses(self) -> set[int]:
        """The nodes that make an object when there is none yet: nobody has changed it by then."""
        return {
            id(c.write.node)
            for c in self.machine.trace.candidates
            if c.control is not None
            and c.write.kind == "assign"
            and c.read.location == c.write.location
            and effective(c.control.shape, c.control.negated) in ABSENT
        }

    def lookers(self, owners: Sequence[Location]) -> list[Need]:
        """Functions that look at more than one part of what belongs together: they must not see half a change."""
        seen: dict[Ref, list[Read]] = defaultdict(list)
        for read in self.machine.trace.looks:
            if belongs(read.location, owners):
                seen[read.function].append(read)
        found: list[Need] = []
        for reads in seen.values():
            if len({r.location for r in reads}) < 2 and not any(r.how == "iterate" for r in reads):
                continue
            for read in reads:
                found.append(Need.at(read))
        return found

    def needs_of(self, window: RaceWindow) -> list[Need]:
        """All runs of a window: the same code may be reached through several callers."""
        found: list[Need] = []
        runs = {"read-write": self._candidates, "pair": self._pairs}.get(window.kind, {})
        for depth, one, other in runs.get((window.function, window.location.base), ()):
            if id(other.node) in self.alone:
                found.append(Need.at(other))
                continue
            first, last = one.stack[depth - 1].statement, other.stack[depth - 1].statement
            assert first is not None
            assert last is not None
            held = tuple(
                h for h in other.held if any(h.acquisition == o.acquisition for o in one.held) and not h.lock.fresh
            )
            first = self.presence_test(window.function, first, one, other) or first
            found.append(Need(other.stack, depth - 1, first, last, (one.node, other.node), held, other.context))
        return found

    def presence_test(self, function: Ref, first: ast.stmt, one: Read | Write, other: Write) -> ast.If | None:
        """The `if key in d:` that a window stands under: without it the lock would be taken after the question."""
        asked = {
            id(read.node)
            for read in self.machine.trace.looks
            if read.how == "contains"
            and read.function == function
            and overlaps(read.location, other.location)
            and read.key == other.key
            and read.node is not one.node
        }
        if not asked:
            return None
        blocks = self.sources.blocks(function.path)
        for spot in reversed(blocks.chain(first, self.sources.node_of(function))):
            owner = spot.owner
            inside = isinstance(owner, ast.If) and spot.prefix.endswith("body")
            if inside and isinstance(owner, ast.If) and any(id(n) in asked for n in ast.walk(owner.test)):
                return owner
        return None

    @cached_property
    def _candidates(self) -> _Runs:
        return _runs((c.read, c.write) for c in self.machine.trace.candidates if self._may_be_upset(c))

    def _may_be_upset(self, candidate: Candidate) -> bool:
        """Whether any write can make a check wrong: that a key is there stays true where nobody removes one."""
        read, control = candidate.read, candidate.control
        if candidate.dependence == "data" or control is None or read.how != "contains":
            return True
        shape = effective(control.shape, control.negated)
        return any(matters(shape, read, write) for write in self._by_root[read.location.root])

    @cached_property
    def _by_root(self) -> dict[Root, list[Write]]:
        found: dict[Root, list[Write]] = defaultdict(list)
        for _, write in self.machine.trace.writes:
            found[write.location.root].append(write)
        return found

    @cached_property
    def _pairs(self) -> _Runs:
        return _runs((p.first, p.second) for p in self.machine.trace.pairs)

    @staticmethod
    def refuse_split_windows(windows: Iterable[RaceWindow]) -> None:
        for window in windows:
            if window.first is None:
                raise Refusal(
                    f"the check is made in a dependency and the change in `{window.function.name}`: "
                    "move both into one function, or hold a lock in a yield dependency"
                )

    def is_lazy(self, function: Ref, windows: Sequence[RaceWindow]) -> bool:
        """Whether all that a function does to the state is to fill it when it is missing."""
        mine = [w for w in windows if w.function == function]
        return bool(mine) and all(
            w.shape in ABSENT and w.write is not None and w.write.kind == "assign" and w.dependence == "control"
            for w in mine
        )


def belongs(location: Location, owners: Iterable[Location]) -> bool:
    for owner in owners:
        if location.root == owner.root:
            shared = min(len(location.fields), len(owner.fields))
            if location.fields[:shared] == owner.fields[:shared]:
                return True
    return False


def _runs(pairs: Iterable[tuple[Read | Write, Write]]) -> _Runs:
    """Both ends of windows by the function that sees both and by what is written, with the depth of that function."""
    found: _Runs = defaultdict(list)
    for one, other in pairs:
        depth = shared_frames(one.stack, other.stack)
        if depth:
            found[one.stack[depth - 1].function, other.location.base].append((depth, one, other))
    return found


def _is_inside_slot(location: Location, window: RaceWindow) -> bool:
    """Whether a write is to what an object holds whose being there is all that a window is about."""
    slot, write = window.location, window.write
    filled = window.dependence == "control" and window.shape in ABSENT
    filled = filled and write is not None and write.kind != "remove"
    return filled and len(location.fields) > len(slot.fields) and location.fields[: len(slot.fields)] == slot.fields


def _harmful(windows: Sequence[RaceWindow]) -> set[int] | None:
    """The writes that make a check of these windows wrong; None where any write may be one."""
    if not windows or any(w.kind != "read-write" or w.dependence != "control" for w in windows):
        return None
    return {id(write.node) for window in windows for _, write in window.rivals}


def distinct(needs: Iterable[Need]) -> list[Need]:
    """One of each, by where it is and through which calls it is reached."""
    found: dict[object, Need] = {}
    for need in needs:
        calls = tuple((f.function, id(f.statement)) for f in need.stack[: need.depth])
        key = (calls, need.function, id(need.first), id(need.last), need.context)
        known = found.get(key)
        if known is None or len(need.held) < len(known.held):
            found[key] = need
    return list(found.values())
