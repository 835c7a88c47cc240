"""Which statements of which functions a lock spans, and what must not be among them."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from autolock.edits import Edit
from autolock.planning.acquired import held_longer
from autolock.planning.blocked import handed_over, started, waits_for_threads
from autolock.planning.blocks import Refusal, Region, awaits, check_span, is_endless, own_nodes, waits_for_others
from autolock.planning.needs import Need, Needs, belongs, distinct
from autolock.program.calls import same_lock
from autolock.program.index import dotted
from autolock.program.linker import Ref
from autolock.program.trace import TAKING, Frame, Held, LockUse
from autolock.program.values import Location, LockValue
from autolock.program.windows import RaceWindow

Regions = dict[Ref, list[Region]]
#: How many calls are gone through to see what is waited for under a lock.
_DEEPEST = 3


class Spans(Needs):
    """Turns needs into regions that do not call into each other."""

    def settle(self, need: Need, family: str) -> None:
        """Move a need outwards to a function that can take a lock of this family."""
        while family == "asyncio" and not self.is_async(need.function):
            need.outwards()

    def flatten(self, needs: list[Need]) -> list[Need]:
        """No region may call into another one: needs that a caller covers are dropped, mixed ones move outwards."""
        for _ in range(12):
            regions = self.regions(needs)
            nested = [n for n in needs if self._covered_by_caller(n, regions)]
            if not nested:
                return needs
            for need in nested:
                self._refuse_at_once(need)
            functions = dict.fromkeys(n.function for n in nested)
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
                        self.settle(need, "asyncio" if need.context == "loop" and self.is_async(need.function) else "")
        raise Refusal("the functions that need the lock call each other, and a lock can be taken only once")

    def _refuse_at_once(self, need: Need) -> None:
        """Refuse a lock that a caller would hold for several runs that it starts at once. Raises Refusal."""
        if need.first is need.last and not awaits([need.first]):
            return
        for frame in need.stack[: need.depth]:
            calls = own_nodes([frame.statement]) if frame.statement is not None else ()
            if frame.function is not None and any(starts_several(n) for n in calls):
                raise Refusal(
                    f"`{frame.function.name}` has several of `{need.function.name}` run at once, which one lock held "
                    "round all of them does not keep apart"
                )

    def _covered_by_caller(self, need: Need, regions: Regions) -> bool:
        return self._leads_into(need.stack[: need.depth], regions)

    def _leads_into(self, frames: Iterable[Frame], regions: Regions) -> bool:
        """Whether one of these calls is made in a region."""
        return any(
            frame.function is not None
            and frame.statement is not None
            and any(self.is_inside(frame, r) for r in regions.get(frame.function, ()))
            for frame in frames
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
            needs = self.flatten(distinct(needs))
        raise Refusal(f"the functions that take `{lock.location}` call each other, and a lock can be taken only once")

    def _taken_below(self, regions: Regions, lock: LockValue) -> list[LockUse]:
        """Where the lock is taken by something that a region calls."""
        return [
            u
            for u in self.machine.trace.locks
            if u.style in TAKING and same_lock(u.lock, lock) and self._leads_into(u.stack[:-1], regions)
        ]

    def round_locks(self, needs: list[Need]) -> list[Need]:
        """Needs under a lock that another need leads to move out of it: else the two would be taken in both orders."""
        regions = self.regions(needs)
        inner = [u.lock for u in self.machine.trace.locks if u.style in TAKING and self._leads_into(u.stack, regions)]
        for need in needs:
            around = next((h for h in need.held if any(same_lock(h.lock, lock) for lock in inner)), None)
            if around is not None and isinstance(around.node, ast.With | ast.AsyncWith):
                need.depth, statement = _where_taken(need, around, around.node)
                need.first = need.last = statement
        return self.flatten(distinct(needs))

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
        looks = self.machine.trace.looks
        told = {id(read.stack[-1].statement) for read in looks if belongs(read.location, owners)}
        return {
            function: spans if self.is_lazy(function, windows) else [_with_return(region, told) for region in spans]
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
            by_hand = use.style == "acquire" and use.function == function and same_lock(use.lock, existing)
            if by_hand and self.held_longer(function, region, existing) is None:
                raise Refusal(f"`{function.name}` takes `{existing.location}` with acquire(): use `with` first")
            if (
                same_lock(use.lock, existing)
                and use.node not in hoisted
                and self.is_reached_in(use.stack[:-1], function, region)
            ):
                raise Refusal(
                    f"`{function.name}` calls `{use.function.name}`, which takes `{existing.location}` "
                    f"itself: it would wait for itself"
                )

    def held_longer(self, function: Ref, region: Region, lock: LockValue) -> Edit | None:
        """The edit that holds over the region what the function takes by hand, if there is one."""
        uses = self.machine.trace.locks
        mine = [u for u in uses if u.style == "acquire" and u.function == function and same_lock(u.lock, lock)]
        return held_longer(self.sources.blocks(function.path), mine, region)

    def refuse_endless(self, function: Ref, statements: Sequence[ast.stmt], depth: int) -> None:
        """Refuse to wait, under the lock, for a coroutine that runs as long as the application, or waits for others.

        Raises Refusal.
        """
        for node in own_nodes(statements):
            call = node.value if isinstance(node, ast.Await) else None
            called = self.called(function, call) if isinstance(call, ast.Call) else None
            if called is None or depth > 2:
                continue
            body = self.sources.node_of(called)
            inner = getattr(body, "body", [])
            if any(is_endless(n) for n in own_nodes(inner)):
                raise Refusal(f"`{called.name}` runs for ever, and the lock would never be free")
            if others := next(filter(None, map(_asked_of_others, own_nodes(inner))), ""):
                raise Refusal(
                    f"`{called.name}` waits for something else (`{others}`), which may need the lock to go on"
                )
            self.refuse_endless(called, inner, depth + 1)

    def refuse_blocked(self, regions: Regions, family: str, existing: LockValue | None) -> None:
        """Refuse to wait, under the lock, for threads or tasks that may need it, too. Raises Refusal."""
        threads = family == "threading"
        for function, spans in regions.items():
            for region in spans:
                # A condition that is held is given away by its `wait()`.
                asks = threads and existing is None
                others = self._waits_for_threads(function, region.statements, 0) if asks else ""
                if others:
                    raise Refusal(
                        f"`{function.name}` waits for something else (`{others}`) in between, "
                        "which may need the lock to go on"
                    )
                run = (handed_over if threads else started)(function, region.statements, self._meant)
                needing = next((ref for ref in run if self._leads_to(ref, regions, 0)), None)
                if needing is not None:
                    raise Refusal(
                        f"`{function.name}` starts `{needing.name}` and waits for it in between, "
                        "and that needs the lock itself"
                    )

    def _waits_for_threads(self, function: Ref, statements: Sequence[ast.stmt], depth: int) -> str:
        calls = [n for n in own_nodes(statements) if isinstance(n, ast.Call)] if depth <= _DEEPEST else []
        inner = filter(None, (self.called(function, call) for call in calls))
        return waits_for_threads(self.program, function, statements) or next(
            filter(None, (self._waits_for_threads(ref, self._body(ref), depth + 1) for ref in inner)), ""
        )

    def _meant(self, function: Ref, name: ast.expr) -> Ref | None:
        """The function of the project that a name means, which is given to something."""
        return self.slowness.leads_to(function, ast.Call(name, [], []))

    def _leads_to(self, function: Ref, targets: Container[Ref], depth: int) -> bool:
        """Whether a function is one of the targets, or calls one, itself or through others."""
        if function in targets or depth > _DEEPEST:
            return function in targets
        calls = [n for n in own_nodes(self._body(function)) if isinstance(n, ast.Call)]
        return any(
            self._leads_to(inner, targets, depth + 1)
            for inner in (self.called(function, call) for call in calls)
            if inner is not None
        )


def starts_several(node: ast.AST) -> bool:
    """Whether a node runs more than one coroutine at a time: `asyncio.gather(one, other)`, `gather(*all)`."""
    gathers = isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("gather", "as_completed", "wait")
    given = node.args if isinstance(node, ast.Call) and gathers else []
    return len(given) > 1 or any(isinstance(a, ast.Starred | ast.ListComp | ast.GeneratorExp | ast.List) for a in given)


def _asked_of_others(node: ast.AST) -> str:
    """What a node awaits without saying anything about it: an event that others set, what they put into a queue."""
    call = node.value if isinstance(node, ast.Await) else None
    bare = isinstance(call, ast.Call) and not call.args and not call.keywords
    return waits_for_others(call) if call is not None and bare else ""


def _with_return(region: Region, told: set[int]) -> Region:
    """The region, longer by the `return` that comes next if it is one of those."""
    following = region.block[region.last + 1 : region.last + 2]
    if following and isinstance(following[0], ast.Return) and id(following[0]) in told and not awaits(following):
        return replace(region, last=region.last + 1)
    return region


def _where_taken(need: Need, held: Held, node: ast.With | ast.AsyncWith) -> tuple[int, ast.stmt]:
    """Which call of a need takes a lock that it holds, and at which statement.

    A context manager of the project that takes it is not among the calls: it is entered by one that is.
    """
    taken: ast.stmt = node
    for frame in reversed(held.stack):
        if frame is not held.stack[-1] and frame.statement is not None:
            taken = frame.statement
        depths = [i for i in range(need.depth + 1) if need.stack[i].function == frame.function]
        if depths:
            return depths[-1], taken
    return need.depth, need.first
