"""Building the plan for one group of Locations: which lock, and which statements of which functions it spans."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from autolock.deployment.evidence import Deployed, reach_of_a_lock
from autolock.edits import Edit
from autolock.planning.anew import Anew
from autolock.planning.blocks import Refusal, Region, Sources, own_nodes
from autolock.planning.enclosing import Enclosing
from autolock.planning.homes import Home, Use
from autolock.planning.needs import Need, belongs
from autolock.planning.receivers import receiver
from autolock.planning.spans import Regions
from autolock.planning.wrappers import without_wrappers
from autolock.program.calls import same_lock
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.machine import Machine
from autolock.program.trace import Held
from autolock.program.values import Location, LockValue
from autolock.program.windows import RaceWindow, taken_for


@dataclass(slots=True)
class Guarding:
    """A finished plan for a group: its edits, and what to say about it.

    `slow` tells what takes long under the lock, `hidden` who may change the state without it.
    """

    edits: list[Edit]
    title: str
    reason: str
    functions: list[str] = field(default_factory=list)
    slow: str = ""
    hidden: str = ""


class Guards(Enclosing):
    """Plans one lock for a group of Locations and all windows on them.

    `deployed` is what starts several processes of the application.
    """

    def __init__(self, program: Program, machine: Machine, sources: Sources, deployed: Deployed | None = None) -> None:
        super().__init__(program, machine, sources)
        self.deployed = deployed

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
        else:
            needs = self.round_locks(needs)
        regions = self.regions(needs)
        if family == "threading":
            regions = self.with_answers(regions, owners, windows)
        for function, spans in regions.items():
            for region in spans:
                self.check(function, region, family, existing, hoisted)
        self.refuse_blocked(regions, family, existing)
        self.refuse_places(regions, windows)
        self.refuse_left_out(regions, windows, existing)
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
            or self.delaying(regions, windows)
            or self.lining_up(regions, windows)
            or self.taken_back(regions, windows)
            or (self.stalling(regions, needs) if family == "threading" else "")
            or self.wrapping(regions, owners)
            or self.calling_back(regions)
            or self.narrowed(regions)
        )
        guarding.hidden = self.besides(owners)
        return guarding

    def refuse_left_out(self, regions: Regions, windows: Sequence[RaceWindow], existing: LockValue | None) -> None:
        """Refuse a lock that not all take whom the windows name: the race would be as before. Raises Refusal."""
        early = self.first_uses()
        for entry, write in (rival for window in windows for rival in window.rivals):
            held = existing is not None and _held(write.held, existing)
            covered = any(
                self.is_reached_in(write.stack, f, region) for f, spans in regions.items() for region in spans
            )
            if not (held or covered or entry.context == "startup" or id(write.node) in early):
                raise Refusal(f"`{write.function.name}` changes it as well, at a place where the lock cannot be taken")

    def besides(self, owners: Sequence[Location]) -> str:
        """Who may change the state by a way that was not recognised, and so takes no lock."""
        other = self.hidden.writer(owners)
        return f"`{other.name}` changes something of the same name that was not recognised" if other else ""

    def existing_lock(
        self, windows: Iterable[RaceWindow], needs: Iterable[Need], owners: Sequence[Location]
    ) -> LockValue | None:
        """The lock that guards the Locations already somewhere, if any: the one that is used most."""
        votes: Counter[Location] = Counter()
        locks: dict[Location, LockValue] = {}
        files = {owner.root.path for owner in owners}
        held = [(h, n.function) for n in needs for h in n.held]
        held += [(h, e.function) for w in windows for e in (w.read, w.write) if e is not None for h in e.held]
        writes = [w for _, w in self.machine.trace.writes if belongs(w.location, owners)]
        held += [(h, w.function) for w in writes for h in w.held]
        for lock in [h.lock for h, function in held if taken_for(h, function, files)]:
            if lock.location is None or lock.fresh or lock.unknown or lock.keyed or lock.capacity != 1:
                continue
            if lock.location.root.owner or not any(_beside(lock.location, o) for o in owners):
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
        if not any(self.is_async(n.function) for n in threaded):
            return bool(threaded)
        return not all(
            any(f.function is not None and self.is_async(f.function) for f in n.stack[: n.depth + 1]) for n in threaded
        )

    def uses(self, regions: Regions, needs: Iterable[Need]) -> list[Use]:
        """How each function with a region reaches the state."""
        nodes: dict[Ref, list[ast.AST]] = defaultdict(list)
        receivers: dict[Ref, set[str]] = defaultdict(set)
        inner: dict[Ref, Ref | None] = {}
        for need in needs:
            inner[need.function] = need.stack[-1].function
            nodes[need.function].extend(n for n in need.nodes if hasattr(n, "lineno"))
            receivers[need.function].add(receiver(without_wrappers(self.program, need.stack[need.depth :])))
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
        return Guarding(edits, title, self.reason(home.name, state, names), names)

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
            is_async = lock.family == "asyncio" or (lock.family == "both" and self.is_async(use.function))
            for region in regions[use.function]:
                edits.extend(self.enclose(use.function, region, name, is_async, windows, lock))
        state = " and ".join(f"`{o}`" for o in owners)
        names = sorted({f.name for f in regions})
        title = f"Hold `{lock.location}`, which guards {state} elsewhere, from the read to the write"
        return Guarding(edits, title, self.reason(str(lock.location), state, names), names)

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

    def reason(self, lock: str, state: str, functions: Sequence[str]) -> str:
        who = ", ".join(f"`{f}`" for f in functions[:4]) + (" and others" if len(functions) > 4 else "")
        return f"Every function that writes {state} takes `{lock}`: {who}. {reach_of_a_lock(self.deployed)}"


def _held(held: Iterable[Held], lock: LockValue) -> bool:
    return any(same_lock(h.lock, lock) for h in held)


def _beside(lock: Location, state: Location) -> bool:
    """Whether a lock lives beside the state: another attribute of the same object, or a name of its own."""
    if not lock.fields:
        return True
    parent = lock.fields[:-1]
    return lock.root == state.root and state.fields[: len(parent)] == parent and len(state.fields) <= len(lock.fields)
