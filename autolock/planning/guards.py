"""Building the plan for one group of Locations: which lock, and which statements of which functions it spans."""

from __future__ import annotations

import ast
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from autolock.edits import Edit
from autolock.planning.anew import Anew
from autolock.planning.answers import checks_first, is_shared_unfinished, only_looks
from autolock.planning.blocks import Refusal, Region, Sources, awaits, check_span, is_endless, own_nodes
from autolock.planning.homes import Home, HomeFinder, Use, frozen
from autolock.planning.receivers import receiver
from autolock.planning.slow import Slowness
from autolock.program.branches import shared_frames
from autolock.program.calls import same_lock
from autolock.program.decisions import effective
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.trace import TAKING, Frame, Held, LockUse, Read, Write
from autolock.program.values import Location, LockValue, overlaps
from autolock.program.windows import RaceWindow, taken_for


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


Regions = dict[Ref, list[Region]]
_Runs = dict[tuple[Ref | None, Location], list[tuple[int, "Read | Write", Write]]]


@dataclass(slots=True)
class Guarding:
    """A finished plan for a group: its edits, and what to say about it.

    `slow` tells what takes long under the lock.
    """

    edits: list[Edit]
    title: str
    reason: str
    functions: list[str] = field(default_factory=list)
    slow: str = ""


class Guards:
    """Plans one lock for a group of Locations and all windows on them."""

    def __init__(self, program: Program, machine: Machine, sources: Sources) -> None:
        self.program = program
        self.machine = machine
        self.sources = sources
        self.homes = HomeFinder(program, sources)
        self.alone: set[int] = set()
        self.slowness = Slowness(self._called, self._guessed, self._body)

    def plan(self, owners: Sequence[Location], windows: Sequence[RaceWindow], summed: Sequence[Anew] = ()) -> Guarding:
        """The edits that put one lock round every window and every other write. Raises Refusal.

        Of windows that end in a `summed` write only the write needs the lock.
        """
        self.alone = {id(a.write.node) for a in summed}
        needs = self.needs(owners, windows)
        self.refuse_split_windows(windows)
        existing = self.existing_lock(windows, needs, owners)
        family = self.family(needs, existing)
        if existing is not None:
            needs = [n for n in needs if not _held(n.held, existing)]
        for need in needs:
            self.settle(need, family)
        needs = self.flatten(needs)
        hoisted: list[ast.With | ast.AsyncWith] = []
        if existing is not None:
            needs, hoisted = self.hoist(needs, existing)
        regions = self.regions(needs)
        if family == "threading":
            regions = self.with_answers(regions, owners, windows)
        for function, spans in regions.items():
            for region in spans:
                self.check(function, region, family, existing, hoisted)
        uses = self.uses(regions, needs)
        if existing is not None:
            guarding = self.with_existing(existing, regions, uses, windows, owners)
            guarding.edits.extend(self.unwrapped(hoisted, existing))
        else:
            home = self.homes.home(owners[0], family, uses)
            guarding = self.with_new(home, regions, family, windows, owners)
        guarding.edits.extend(edit for one in summed for edit in one.edits)
        guarding.slow = (
            self.slow(regions, windows)
            or self.delaying(regions)
            or self.taken_back(regions, windows)
            or (self.stalling(regions, needs) if family == "threading" else "")
            or self.wrapping(regions, owners)
        )
        return guarding

    def stalling(self, regions: Regions, needs: Sequence[Need]) -> str:
        """What a thread does under a lock that the event loop waits for, where that is much code."""
        contexts: dict[Ref, set[str]] = defaultdict(set)
        for need in needs:
            contexts[need.function].add(need.context)
        if all("loop" not in found for found in contexts.values()):
            return ""
        for function, spans in regions.items():
            for region in spans if "thread" in contexts[function] else ():
                call = self.slowness.heaviest(function, region.statements)
                if call:
                    return f"`{function.name}` runs `{call}`, which the event loop waits for"
        return ""

    def slow(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """What others would have to wait for; who wants an object that is being made would wait for it anyhow."""
        for function, spans in regions.items():
            mine = [w for w in windows if w.function == function]
            if self._lazy(function, windows) and not any(w.location.fields[-1:] == ("[*]",) for w in mine):
                continue
            for region in spans:
                found = self.slowness.of(function, region.statements)
                if found:
                    return f"`{function.name}` {found}"
        return ""

    def delaying(self, regions: Regions) -> str:
        """What one function waits for under the lock, that others who take it waited for nothing before."""
        every = [(function, region) for function, spans in regions.items() for region in spans]
        asking = [self._asked(function, region) for function, region in every]
        if all(asking):
            return ""
        found = next(((function, text) for (function, _), text in zip(every, asking, strict=True) if text), None)
        return f"`{found[0].name}` waits for `{found[1]}`" if found is not None else ""

    def _asked(self, function: Ref, region: Region) -> str:
        """The call of another service in a region, itself or through what it calls; empty for none."""
        for wait in self.machine.database.rows.trace.services:
            frames = (f for f in wait.stack if f.function == function and f.statement is not None)
            if any(self._inside(frame, region) for frame in frames):
                return wait.text
        return ""

    def taken_back(self, regions: Regions, windows: Sequence[RaceWindow]) -> str:
        """Where all of the work is under the lock, as who claims something gives it back at the end of it."""
        for window in windows:
            claim = window.write
            if claim is None or window.dependence != "control":
                continue
            start = getattr(claim.node, "lineno", 0)
            for _, write in self.machine.trace.writes:
                base, last = write.location.base, write.stack[-1].statement
                if write.kind != "remove" or base != claim.location.base or last is None or last.lineno <= start:
                    continue
                for region in regions.get(write.function, ()) if write.function == window.function else ():
                    inside = (n.lineno for n in own_nodes(region.statements) if isinstance(n, ast.Call))
                    if self._inside(write.stack[-1], region) and any(start < line < last.lineno for line in inside):
                        return f"`{window.function.name}` does all its work, until it takes `{base}` back,"
        return ""

    def wrapping(self, regions: Regions, owners: Sequence[Location]) -> str:
        """What a decorator runs under one lock for all that it decorates: another of those may be called by it."""
        if any(owner.root.kind == "cell" for owner in owners):
            return ""
        for function, spans in regions.items():
            outer = Ref("function", function.path, function.name.rpartition(".")[0])
            node = self.sources.node_of(outer) if outer.name in self.program.modules[function.path].functions else None
            wrapped = _wrapped_by(node) if node is not None else frozenset()
            for called in (n.func for region in spans for n in own_nodes(region.statements) if isinstance(n, ast.Call)):
                if isinstance(called, ast.Name) and called.id in wrapped:
                    return f"`{function.name}` runs `{called.id}`, which may need the lock itself,"
        return ""

    # -- what must be under the lock ---------------------------------------------------

    def needs(self, owners: Sequence[Location], windows: Sequence[RaceWindow]) -> list[Need]:
        """Every window of the group, and every other write to its Locations."""
        found: list[Need] = []
        for window in windows:
            found.extend(self.needs_of(window))
        if any(w.kind == "pair" for w in windows):
            found.extend(self.lookers(owners))
        covered = {id(n.nodes[-1]) for n in found}
        first_uses = self.first_uses()
        for entry, write in self.machine.trace.writes:
            if entry.context == "startup" or id(write.node) in covered or not _belongs(write.location, owners):
                continue
            if windows and all(_is_inside_slot(write.location, w) for w in windows):
                continue
            if id(write.node) in first_uses and all(
                len(write.location.fields) < len(w.location.fields) for w in windows
            ):
                continue
            found.append(Need.at(write))
        return _distinct(found)

    def first_uses(self) -> set[int]:
        """The nodes that make an object when there is none yet: nobody has changed it by then."""
        return {
            id(c.write.node)
            for c in self.machine.trace.candidates
            if c.control is not None
            and c.write.kind == "assign"
            and c.read.location == c.write.location
            and effective(c.control.shape, c.control.negated) in ("missing", "falsy")
        }

    def lookers(self, owners: Sequence[Location]) -> list[Need]:
        """Functions that look at more than one part of what belongs together: they must not see half a change."""
        seen: dict[Ref, list[Read]] = defaultdict(list)
        for read in self.machine.trace.looks.values():
            if _belongs(read.location, owners):
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
            for read in self.machine.trace.looks.values()
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
        return _runs((c.read, c.write) for c in self.machine.trace.candidates)

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

    # -- which lock ------------------------------------------------------------------------

    def existing_lock(
        self, windows: Iterable[RaceWindow], needs: Iterable[Need], owners: Sequence[Location]
    ) -> LockValue | None:
        """The lock that guards the Locations already somewhere, if any: the one that is used most."""
        votes: Counter[Location] = Counter()
        locks: dict[Location, LockValue] = {}
        files = {owner.root.path for owner in owners}
        held = [(h, n.function) for n in needs for h in n.held]
        held += [(h, e.function) for w in windows for e in (w.read, w.write) if e is not None for h in e.held]
        for lock in [h.lock for h, function in held if taken_for(h, function, files)]:
            if lock.location is None or lock.fresh or lock.unknown or lock.keyed or lock.capacity != 1:
                continue
            if not any(_beside(lock.location, o) for o in owners):
                continue
            votes[lock.location] += 1
            locks[lock.location] = lock
        threads = self.on_threads(list(needs))
        votes = Counter({name: n for name, n in votes.items() if not threads or locks[name].family != "asyncio"})
        if not votes:
            return None
        return locks[min(votes, key=lambda name: (-votes[name], str(name)))]

    def family(self, needs: Sequence[Need], existing: LockValue | None) -> str:
        """asyncio or threading, by where the code runs."""
        if existing is not None and existing.family != "both":
            return existing.family
        return "threading" if self.on_threads(needs) else "asyncio"

    def on_threads(self, needs: Sequence[Need]) -> bool:
        """Whether something needs the lock on a thread that no coroutine waits for under it.

        `flags = await run_in_threadpool(read)` and `await run_in_threadpool(write, flags)` change a file on
        threads, but what has to be kept together is the coroutine.
        """
        threaded = [n for n in needs if n.context == "thread"]
        if not any(self._is_async(n.function) for n in threaded):
            return bool(threaded)
        return not all(
            any(f.function is not None and self._is_async(f.function) for f in n.stack[: n.depth + 1]) for n in threaded
        )

    def settle(self, need: Need, family: str) -> None:
        """Move a need outwards to a function that can take a lock of this family."""
        while family == "asyncio" and not self._is_async(need.function):
            need.outwards()

    def _is_async(self, function: Ref) -> bool:
        facts = self.program.function(function)
        return facts is not None and facts.is_async

    # -- what it spans -----------------------------------------------------------------------

    def flatten(self, needs: list[Need]) -> list[Need]:
        """No region may call into another one: needs that a caller covers are dropped, mixed ones move outwards."""
        for _ in range(12):
            regions = self.regions(needs)
            nested = [n for n in needs if self._covered_by_caller(n, regions)]
            if not nested:
                return needs
            functions = {n.function for n in nested}
            for function in functions:
                mine = [n for n in needs if n.function == function]
                bare = [n for n in mine if n not in nested]
                if not bare:
                    needs = [n for n in needs if n not in mine]
                    continue
                for need in mine:
                    if need in nested:
                        needs.remove(need)
                    else:
                        need.outwards()
                        self.settle(need, "asyncio" if need.context == "loop" and self._is_async(need.function) else "")
        raise Refusal("the functions that need the lock call each other, and a lock can be taken only once")

    def _covered_by_caller(self, need: Need, regions: Regions) -> bool:
        return any(
            frame.function is not None
            and frame.statement is not None
            and any(self._inside(frame, r) for r in regions.get(frame.function, ()))
            for frame in need.stack[: need.depth]
        )

    def hoist(self, needs: list[Need], lock: LockValue) -> tuple[list[Need], list[ast.With | ast.AsyncWith]]:
        """Where a region calls a function that takes the lock itself, all callers of that function take it instead."""
        hoisted: list[ast.With | ast.AsyncWith] = []
        for _ in range(6):
            regions = self.regions(needs)
            inner = [u for u in self._taken_below(regions, lock) if u.node not in hoisted]
            if not inner:
                return needs, hoisted
            for use in inner:
                if (
                    not isinstance(use.node, ast.With | ast.AsyncWith)
                    or len(use.node.items) != 1
                    or use.lock.family != "asyncio"
                ):
                    raise Refusal(
                        f"`{use.function.name}` takes `{lock.location}` itself: its caller would wait for itself"
                    )
                if use.node not in hoisted:
                    hoisted.append(use.node)
                    needs = needs + self._callers_of(use)
            needs = self.flatten(_distinct(needs))
        raise Refusal(f"the functions that take `{lock.location}` call each other, and a lock can be taken only once")

    def _taken_below(self, regions: Regions, lock: LockValue) -> list[LockUse]:
        """Where the lock is taken by something that a region calls."""
        return [
            u
            for u in self.machine.trace.locks
            if u.style in TAKING
            and same_lock(u.lock, lock)
            and any(
                f.function is not None
                and f.statement is not None
                and any(self._inside(f, r) for r in regions.get(f.function, ()))
                for f in u.stack[:-1]
            )
        ]

    def _callers_of(self, use: LockUse) -> list[Need]:
        """The calls of the function that takes a lock, wherever it is called from."""
        found: list[Need] = []
        for other in self.machine.trace.locks:
            if other.node is not use.node or other.style not in TAKING:
                continue
            if len(other.stack) < 2:
                raise Refusal(f"`{use.function.name}` is called by FastAPI itself and has to take its lock")
            statement = other.stack[-2].statement
            assert statement is not None
            need = Need(other.stack, len(other.stack) - 2, statement, statement, (), (), other.context)
            self.settle(need, "asyncio")
            found.append(need)
        return found

    def unwrapped(self, blocks: Iterable[ast.With | ast.AsyncWith], lock: LockValue) -> list[Edit]:
        """Take the lock away where the callers hold it now."""
        edits: list[Edit] = []
        for node in blocks:
            use = next(u for u in self.machine.trace.locks if u.node is node)
            at = self.sources.blocks(use.function.path).spot(node).path
            taken = ast.unparse(node.items[0].context_expr)
            edits.append(
                Edit(
                    use.function.path,
                    "unwrap-lock",
                    frozen(at=at, lock=taken, is_async=isinstance(node, ast.AsyncWith)),
                )
            )
        return edits

    def _inside(self, frame: Frame, region: Region) -> bool:
        assert frame.function is not None
        assert frame.statement is not None
        blocks = self.sources.blocks(frame.function.path)
        return blocks.inside(frame.statement, region, blocks.unit.functions[frame.function.name])

    def regions(self, needs: Iterable[Need]) -> Regions:
        """For each function the smallest runs of statements that span what it must do under the lock."""
        spans: dict[Ref, list[list[ast.stmt]]] = defaultdict(list)
        for need in needs:
            spans[need.function].append(self._span(need))
        return {function: self._merged(function, items) for function, items in spans.items()}

    def with_answers(self, regions: Regions, owners: Sequence[Location], windows: Sequence[RaceWindow]) -> Regions:
        """The regions, with a `return` that follows and tells what was written.

        Between two statements of a thread another request may write, and the answer would be that request's.
        What is made once and for all is the same for both.
        """
        looks = self.machine.trace.looks.values()
        told = {id(read.stack[-1].statement) for read in looks if _belongs(read.location, owners)}
        return {
            function: spans if self._lazy(function, windows) else [_with_return(region, told) for region in spans]
            for function, spans in regions.items()
        }

    def _merged(self, function: Ref, spans: list[list[ast.stmt]]) -> list[Region]:
        """One region for spans that touch each other, one of its own for each that does not."""
        blocks = self.sources.blocks(function.path)
        node = blocks.unit.functions.get(function.name)
        if node is None:
            raise Refusal(f"`{function.name}` was not found in {function.path}")
        regions = [blocks.spanning(s, node) for s in spans]
        merged = True
        while merged:
            merged = False
            for one, other in itertools.combinations(regions, 2):
                if blocks.touches(one, other, node):
                    joined = blocks.spanning([*one.statements, *other.statements], node)
                    regions = [r for r in regions if r is not one and r is not other] + [joined]
                    merged = True
                    break
        return sorted(regions, key=lambda r: r.statements[0].lineno)

    def _span(self, need: Need) -> list[ast.stmt]:
        """The two ends of a need; the whole loop when it wraps round from one turn to the next."""
        if need.first.lineno <= need.last.lineno:
            return [need.first, need.last]
        blocks = self.sources.blocks(need.function.path)
        loop = blocks.enclosing_loop(need.last, blocks.unit.functions[need.function.name])
        return [loop] if loop is not None else [need.last, need.first]

    def check(
        self, function: Ref, region: Region, family: str, existing: LockValue | None, hoisted: Sequence[ast.AST]
    ) -> None:
        """Refuse a region under which the lock could hang or be taken twice. Raises Refusal."""
        check_span(region, function.name)
        self.refuse_endless(function, region.statements, 0)
        if family == "threading" and awaits(region.statements):
            raise Refusal(
                f"`{function.name}` awaits between its read and its write, and worker threads change "
                f"the state too: a thread lock held across an await stops the event loop"
            )
        if existing is None:
            return
        for use in self.machine.trace.locks:
            if use.style == "acquire" and use.function == function and same_lock(use.lock, existing):
                raise Refusal(f"`{function.name}` takes `{existing.location}` with acquire(): use `with` first")
            if (
                same_lock(use.lock, existing)
                and use.node not in hoisted
                and any(
                    f.function == function and f.statement is not None and self._inside(f, region)
                    for f in use.stack[:-1]
                )
            ):
                raise Refusal(
                    f"`{function.name}` calls `{use.function.name}`, which takes `{existing.location}` "
                    f"itself: it would wait for itself"
                )

    def refuse_endless(self, function: Ref, statements: Sequence[ast.stmt], depth: int) -> None:
        """Refuse to wait, under the lock, for a coroutine that runs for as long as the application. Raises Refusal."""
        for node in own_nodes(statements):
            call = node.value if isinstance(node, ast.Await) else None
            called = self._called(function, call) if isinstance(call, ast.Call) else None
            if called is None or depth > 2:
                continue
            body = self.sources.node_of(called)
            inner = getattr(body, "body", [])
            if any(is_endless(n) for n in own_nodes(inner)):
                raise Refusal(f"`{called.name}` runs for ever, and the lock would never be free")
            self.refuse_endless(called, inner, depth + 1)

    def _called(self, function: Ref, call: ast.Call) -> Ref | None:
        """The function of the project that a call by name or through `self` means."""
        name = dotted(call.func)
        owner = Ref("class", function.path, function.name.rpartition(".")[0])
        if name.startswith("self.") and name.count(".") == 1 and self.program.klass(owner) is not None:
            return self.program.method(owner, name[5:])
        found = self.program.resolve(function.path, name, function.name) if name else None
        if found is not None and found[0].kind == "class" and not found[1]:
            return self.program.method(found[0], "__init__")
        known = found is not None and found[0].kind == "function" and not found[1]
        return found[0] if known and found is not None else None

    def _guessed(self, function: Ref, call: ast.Call) -> Ref | None:
        """The only method of the project that has the name of the one that is called."""
        found = self._methods.get(call.func.attr, ()) if isinstance(call.func, ast.Attribute) else ()
        return found[0] if len(found) == 1 else None

    @cached_property
    def _methods(self) -> dict[str, list[Ref]]:
        found: dict[str, list[Ref]] = defaultdict(list)
        for path, facts in self.program.modules.items():
            for name in facts.functions:
                owner, _, method = name.rpartition(".")
                if owner in facts.classes:
                    found[method].append(Ref("function", path, name))
        return found

    def _body(self, function: Ref) -> Sequence[ast.stmt]:
        body: Sequence[ast.stmt] = getattr(self.sources.node_of(function), "body", [])
        return body

    def uses(self, regions: Regions, needs: Iterable[Need]) -> list[Use]:
        """How each function with a region reaches the state."""
        nodes: dict[Ref, list[ast.AST]] = defaultdict(list)
        receivers: dict[Ref, set[str]] = defaultdict(set)
        inner: dict[Ref, Ref | None] = {}
        for need in needs:
            inner[need.function] = need.stack[-1].function
            nodes[need.function].extend(n for n in need.nodes if hasattr(n, "lineno"))
            receivers[need.function].add(receiver(need.stack[need.depth :]))
        return [
            Use(
                function,
                self._own(function, nodes[function]),
                self.sources.node_of(function),
                self._named_before(spans, receivers[function]),
                inner.get(function),
            )
            for function, spans in regions.items()
        ]

    @staticmethod
    def _named_before(spans: Iterable[Region], receivers: set[str]) -> str:
        """The one name of an object that is bound before every region; empty where there is none."""
        name = next(iter(receivers)) if len(receivers) == 1 else ""
        first = name.partition(".")[0]
        inside = (n for span in spans for n in own_nodes(span.statements))
        bound = any(isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id == first for n in inside)
        return "" if bound else name

    def _own(self, function: Ref, nodes: Iterable[ast.AST]) -> tuple[ast.AST, ...]:
        """The nodes that are the function's own: what a callee calls `self` is another object here."""
        mine = {id(n) for n in ast.walk(self.sources.node_of(function))}
        return tuple(n for n in nodes if id(n) in mine)

    # -- the edits --------------------------------------------------------------------------------

    def with_new(
        self, home: Home, regions: Regions, family: str, windows: Sequence[RaceWindow], owners: Sequence[Location]
    ) -> Guarding:
        """A new lock, and a `with` round every region."""
        edits = list(home.edits)
        for function, spans in regions.items():
            for region in spans:
                edits.extend(self.enclose(function, region, home.names[function], family == "asyncio", windows))
        state = " and ".join(f"`{o}`" for o in owners)
        names = sorted({f.name for f in regions})
        title = f"Hold a new `{family}.Lock`, `{home.name}`, from the read of {state} to the write"
        return Guarding(edits, title, self.reason(home.name, state, names, family), names)

    def with_existing(
        self,
        lock: LockValue,
        regions: Regions,
        uses: Sequence[Use],
        windows: Sequence[RaceWindow],
        owners: Sequence[Location],
    ) -> Guarding:
        """The lock that is there already, in the places that forgot it."""
        edits: list[Edit] = []
        assert lock.location is not None
        for use in uses:
            name, extra = self.say(lock.location, use)
            edits.extend(extra)
            is_async = lock.family == "asyncio" or (lock.family == "both" and self._is_async(use.function))
            for region in regions[use.function]:
                edits.extend(self.enclose(use.function, region, name, is_async, windows, lock))
        state = " and ".join(f"`{o}`" for o in owners)
        names = sorted({f.name for f in regions})
        title = f"Hold `{lock.location}`, which guards {state} elsewhere, from the read to the write"
        return Guarding(edits, title, self.reason(str(lock.location), state, names, lock.family), names)

    def say(self, lock: Location, use: Use) -> tuple[str, list[Edit]]:
        """The name of an existing lock in a function. Raises Refusal."""
        if lock.root.kind == "variable" and not lock.fields:
            return self.homes.reach(use.function, lock.root.path, lock.root.name)
        attribute = lock.fields[-1][1:] if lock.fields else lock.root.name.rpartition(".")[2]
        if lock.root.kind == "cell" and not lock.fields:
            return attribute, []
        owner = use.function.name.rpartition(".")[0]
        if self._has_attribute(Ref("class", use.function.path, owner), attribute):
            return f"self.{attribute}", []
        for node in ast.walk(use.body) if use.body is not None else ():
            if isinstance(node, ast.Attribute) and node.attr == attribute and dotted(node.value):
                return f"{dotted(node.value)}.{attribute}", []
        if lock.root.kind == "variable" and all(f.startswith(".") for f in lock.fields):
            name, edits = self.homes.reach(use.function, lock.root.path, lock.root.name)
            return name + "".join(lock.fields), edits
        raise Refusal(f"`{use.function.name}` has no name for the lock `{lock}`")

    def _has_attribute(self, cls: Ref, attribute: str) -> bool:
        """Whether objects of a class have an attribute, as far as its methods and its body show."""
        for base in self.program.mro(cls):
            facts = self.program.klass(base) if base.kind == "class" else None
            if facts is None:
                continue
            methods = (self.program.modules[base.path].functions.get(f"{base.name}.{m}") for m in facts.methods)
            if attribute in facts.bindings or any(m is not None and f"self.{attribute}" in m.mutates for m in methods):
                return True
        return False

    def enclose(
        self,
        function: Ref,
        region: Region,
        lock: str,
        is_async: bool,
        windows: Sequence[RaceWindow],
        existing: LockValue | None = None,
    ) -> list[Edit]:
        """Put a region under a lock: in place of a useless one, by extending a block, or with a new block."""
        if existing is not None:
            found = self._block_of(existing, function, region, lock)
            if found is not None:
                return found
        replaced = self._replace(function, region, lock, is_async, windows, existing)
        if replaced is not None:
            return replaced
        only = region.statements[0]
        mine = [w for w in windows if w.function == function]
        if any(is_shared_unfinished(w, region.statements) for w in mine):
            wrapped = frozen(at=region.at, count=region.count, lock=lock, is_async=is_async)
            return [Edit(region.path, "wrap-in-lock", wrapped)]
        if region.count == 1 and isinstance(only, ast.If) and not only.orelse and self._lazy(function, windows):
            return [Edit(region.path, "double-checked", frozen(at=region.at, lock=lock, is_async=is_async))]
        looks = self._looks(function, region) if self._lazy(function, windows) else 0
        if looks:
            blocks = self.sources.blocks(region.path)
            at = blocks.spot(region.statements[-1]).path
            return [Edit(region.path, "double-checked", frozen(at=at, lock=lock, is_async=is_async, looks=looks))]
        checks = checks_first(region.statements, mine, lambda call: self._changes_nothing(function, call))
        if checks and not self._binds_outside(function, region.statements[:checks]):
            arguments = frozen(at=region.at, count=region.count, checks=checks, lock=lock, is_async=is_async)
            return [Edit(region.path, "wrap-checked", arguments)]
        return [
            Edit(region.path, "wrap-in-lock", frozen(at=region.at, count=region.count, lock=lock, is_async=is_async))
        ]

    def _looks(self, function: Ref, region: Region) -> int:
        """How many statements look for what the `if` that ends a region asks about; 0 where there is more in it."""
        *looks, last = region.statements
        if not isinstance(last, ast.If) or last.orelse or self._binds_outside(function, looks):
            return 0
        targets = [t for s in looks if isinstance(s, ast.Assign) for t in s.targets]
        names = {t.id for t in targets if isinstance(t, ast.Name)}
        asked = {n.id for n in ast.walk(last.test) if isinstance(n, ast.Name)}
        plain = len(targets) == len(looks) == len(names) and names <= asked
        return len(looks) if plain and only_looks(looks, lambda call: self._changes_nothing(function, call)) else 0

    def _changes_nothing(self, function: Ref, call: ast.Call) -> bool:
        """Whether a call is one of a plain function of the project that writes nothing and calls nothing of it."""
        called = self._called(function, call)
        facts = self.program.function(called) if called is not None else None
        if called is None or facts is None or facts.is_async or facts.mutates:
            return False
        body = getattr(self.sources.node_of(called), "body", [])
        return only_looks(body, lambda inner: False)

    def _binds_outside(self, function: Ref, statements: Sequence[ast.stmt]) -> bool:
        """Whether statements assign to names that a function declares global or nonlocal."""
        outer = {
            name
            for node in own_nodes(getattr(self.sources.node_of(function), "body", []))
            if isinstance(node, ast.Global | ast.Nonlocal)
            for name in node.names
        }
        return any(
            isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id in outer for n in own_nodes(statements)
        )

    def _lazy(self, function: Ref, windows: Sequence[RaceWindow]) -> bool:
        """Whether all that a function does to the state is to fill it when it is missing."""
        mine = [w for w in windows if w.function == function]
        return bool(mine) and all(
            w.shape in ("missing", "falsy")
            and w.write is not None
            and w.write.kind == "assign"
            and w.dependence == "control"
            for w in mine
        )

    def _block_of(self, lock: LockValue, function: Ref, region: Region, name: str) -> list[Edit] | None:
        """Extend the block in the region that takes the lock already, or make one block of several."""
        inner = [
            n
            for s in region.statements
            for n in ast.walk(s)
            if isinstance(n, ast.With | ast.AsyncWith) and self._takes(n, lock, function)
        ]
        if not inner:
            return None
        if any(len(n.items) != 1 for n in inner):
            raise Refusal(f"`{function.name}` takes `{lock.location}` together with something else")
        blocks = self.sources.blocks(function.path)
        if len(inner) == 1 and inner[0] in region.statements:
            index = blocks.spot(inner[0]).index
            at = f"{region.prefix}[{index}]"
            return [
                Edit(region.path, "extend-lock", frozen(at=at, before=index - region.first, after=region.last - index))
            ]
        is_async = isinstance(inner[0], ast.AsyncWith)
        edits = [
            Edit(region.path, "wrap-in-lock", frozen(at=region.at, count=region.count, lock=name, is_async=is_async))
        ]
        for node in inner:
            taken = ast.unparse(node.items[0].context_expr)
            edits.append(
                Edit(
                    region.path,
                    "unwrap-lock",
                    frozen(at=blocks.spot(node).path, lock=taken, is_async=isinstance(node, ast.AsyncWith)),
                )
            )
        return edits

    def _takes(self, statement: ast.AST, lock: LockValue, function: Ref) -> bool:
        return any(
            same_lock(u.lock, lock) and u.node is statement and u.function == function for u in self.machine.trace.locks
        )

    def _replace(
        self,
        function: Ref,
        region: Region,
        lock: str,
        is_async: bool,
        windows: Sequence[RaceWindow],
        existing: LockValue | None,
    ) -> list[Edit] | None:
        """Take the new lock in place of one that does not guard: made per call, or another one than elsewhere."""
        for window in windows:
            if window.function != function or window.relation not in ("fresh-lock", "different-locks", "wrong-kind"):
                continue
            node = window.lock_node
            blocks = self.sources.blocks(function.path)
            if isinstance(node, ast.stmt) and not self._overlaps(function, node, region):
                continue
            if not isinstance(node, ast.With | ast.AsyncWith):
                raise Refusal(f"`{function.name}` takes its lock with acquire(): use `with` first")
            item = self._item(node, function)
            self.refuse_shared_lock(window, existing)
            edits = [
                Edit(
                    region.path,
                    "replace-lock",
                    frozen(at=blocks.spot(node).path, item=item, lock=lock, is_async=is_async),
                )
            ]
            return edits + self._drop_creation(function, node.items[item].context_expr)
        return None

    def _overlaps(self, function: Ref, node: ast.stmt, region: Region) -> bool:
        """Whether a `with` is in a region, or the region in it."""
        blocks = self.sources.blocks(function.path)
        body = self.sources.node_of(function)
        if not any(n is node for n in ast.walk(body)):
            return False  # the lock is taken by a caller
        return blocks.inside(node, region, body) or any(
            s.block[s.index] is node for s in blocks.chain(region.statements[0], body)
        )

    def _item(self, node: ast.With | ast.AsyncWith, function: Ref) -> int:
        """Which context manager of a `with` is the lock."""
        if len(node.items) == 1:
            return 0
        raise Refusal(f"`{function.name}` takes several context managers at once: separate the lock first")

    def refuse_shared_lock(self, window: RaceWindow, existing: LockValue | None) -> None:
        """A lock that guards other state as well can't be exchanged for this state's sake."""
        if window.relation != "different-locks":
            return
        for lock in window.guards:
            if existing is not None and same_lock(lock, existing):
                continue
            for candidate in self.machine.trace.candidates:
                other = candidate.write.location
                if other.root != window.location.root and any(same_lock(h.lock, lock) for h in candidate.write.held):
                    raise Refusal(f"`{lock.location}` guards `{other.base}` too: decide by hand which lock is whose")

    def _drop_creation(self, function: Ref, expression: ast.expr) -> list[Edit]:
        """`lock = asyncio.Lock()` in the function itself goes, when nothing else uses the name."""
        if not isinstance(expression, ast.Name):
            return []
        blocks = self.sources.blocks(function.path)
        node = blocks.unit.functions[function.name]
        mentions = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == expression.id]
        for statement in ast.walk(node):
            if (
                isinstance(statement, ast.Assign)
                and len(statement.targets) == 1
                and isinstance(statement.targets[0], ast.Name)
            ) and (
                statement.targets[0].id == expression.id
                and len(mentions) == 2
                and isinstance(statement.value, ast.Call)
            ):
                return [Edit(function.path, "remove-statement", frozen(at=blocks.spot(statement).path))]
        return []

    @staticmethod
    def reason(lock: str, state: str, functions: Sequence[str], family: str) -> str:
        who = ", ".join(f"`{f}`" for f in functions[:4]) + (" and others" if len(functions) > 4 else "")
        return (
            f"Every function that writes {state} takes `{lock}`: {who}. It holds within one "
            f"process; several workers need a lock outside of it."
        )


def _with_return(region: Region, told: set[int]) -> Region:
    """The region, longer by the `return` that comes next if it is one of those."""
    following = region.block[region.last + 1 : region.last + 2]
    if following and isinstance(following[0], ast.Return) and id(following[0]) in told and not awaits(following):
        return replace(region, last=region.last + 1)
    return region


def _held(held: Iterable[Held], lock: LockValue) -> bool:
    return any(same_lock(h.lock, lock) for h in held)


def _belongs(location: Location, owners: Iterable[Location]) -> bool:
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
    slot = window.location
    filled = window.dependence == "control" and window.shape in ("missing", "falsy")
    return filled and len(location.fields) > len(slot.fields) and location.fields[: len(slot.fields)] == slot.fields


def _distinct(needs: Iterable[Need]) -> list[Need]:
    """One of each, by where it is and through which calls it is reached."""
    found: dict[object, Need] = {}
    for need in needs:
        calls = tuple((f.function, id(f.statement)) for f in need.stack[: need.depth])
        key = (calls, need.function, id(need.first), id(need.last), need.context)
        known = found.get(key)
        if known is None or len(need.held) < len(known.held):
            found[key] = need
    return list(found.values())


def _beside(lock: Location, state: Location) -> bool:
    """Whether a lock lives beside the state: another attribute of the same object, or a name of its own."""
    if not lock.fields:
        return True
    parent = lock.fields[:-1]
    return lock.root == state.root and state.fields[: len(parent)] == parent and len(state.fields) <= len(lock.fields)


def _wrapped_by(node: ast.AST) -> frozenset[str]:
    """The parameters of a decorator, and other names for them."""
    arguments = getattr(node, "args", None)
    names = {a.arg for a in arguments.args} if isinstance(arguments, ast.arguments) else set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign) and any(
            n.id in names for n in ast.walk(inner.value) if isinstance(n, ast.Name)
        ):
            names |= {t.id for t in inner.targets if isinstance(t, ast.Name)}
    return frozenset(names)
