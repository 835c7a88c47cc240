"""Stretches of a function of which only one run is in at a time: it leaves where a flag is set, and sets it at once.

`if self.busy: return`, `self.busy = True`, ..., `self.busy = False`. On the event loop nothing can come in between the
look and the setting, as long as nothing is awaited there; on worker threads, where both are in one `with lock:`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from autolock.program.branches import shared_frames
from autolock.program.flights import Flag, asked, leaves, lock_given_back, lock_taken, set_by
from autolock.program.linker import Program, Ref
from autolock.program.trace import Candidate, Read, Trace, Write
from autolock.program.values import Location, Own, Root, overlaps

_WAITS = ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Yield | ast.YieldFrom
_ENDLESS = 1 << 30


@dataclass(frozen=True, slots=True)
class Claim:
    """The lines of a function from where a flag is set to where it is put back; `flag` is where it is kept.

    It is None for a lock that is kept outside of the process; `keyed` says that there is one for each key. One that
    is `locked` is made under a lock, with whose taking it begins, and counts for threads too.
    """

    function: Ref
    first: int
    last: int
    flag: Location | None
    keyed: bool = False
    locked: bool = False

    def counts_in(self, context: str) -> bool:
        """Whether no other run can claim the same at the same time, on the event loop or on a worker thread."""
        return self.locked or context == "loop"

    def covers(self, write: Write) -> bool:
        """Whether a write is made within, or in what is called there."""
        return self.counts_in(write.context) and any(
            frame.function == self.function
            and frame.statement is not None
            and self.first < frame.statement.lineno <= self.last
            for frame in write.stack
        )


class Claims:
    """Finds the stretches that windows lie in."""

    def __init__(self, program: Program, trace: Trace) -> None:
        self.program = program
        self._looks: dict[Ref, list[Read]] = defaultdict(list)
        for read in trace.looks:
            self._looks[read.function].append(read)
        self._setters: dict[Root, set[tuple[Location, Ref]]] = defaultdict(set)
        for entry, write in trace.writes:
            if entry.context != "startup" and not isinstance(write.location, Own):
                self._setters[write.location.root].add((write.location, write.function))
        self._locked = {
            id(use.stack[-1].statement) for use in trace.locks if use.style in ("with", "async with") and use.stack
        }
        self._known: dict[Ref, list[Claim]] = {}

    def around(self, candidate: Candidate) -> Claim | None:
        """The claim within which a candidate reads and writes, for all who could come in between."""
        claim = self.about(candidate)
        return claim if claim is not None and claim.counts_in(candidate.read.context) else None

    def about(self, candidate: Candidate) -> Claim | None:
        """The same, also where two threads can claim it within the instant between the look and the setting."""
        read, write = candidate.read, candidate.write
        for one, other in zip(read.stack[: shared_frames(read.stack, write.stack)], write.stack, strict=False):
            if one.function is None or one.statement is None or other.statement is None:
                continue
            for claim in self._claims_of(one.function):
                begins = claim.first < one.statement.lineno
                ends = (other.statement.end_lineno or other.statement.lineno) <= claim.last
                if begins and ends and _is_for(claim, write.location):
                    return claim
        return None

    def decide(self, candidate: Candidate) -> bool:
        """Whether a removal is made within a claim of what is removed, whatever was seen before that was made."""
        write = candidate.write
        if write.kind != "remove":
            return False
        seen = shared_frames(candidate.read.stack, write.stack)
        return any(
            claim.flag is not None
            and claim.counts_in(write.context)
            and claim.first < frame.statement.lineno <= claim.last
            and _is_for(claim, write.location)
            for frame in write.stack[seen:]
            if frame.function is not None and frame.statement is not None
            for claim in self._claims_of(frame.function)
        )

    def _claims_of(self, function: Ref) -> list[Claim]:
        if function not in self._known:
            node = self.program.syntax_of(function)
            self._known[function] = list(self._found(function, node)) if node is not None else []
        return self._known[function]

    def _found(self, function: Ref, node: ast.AST) -> Iterator[Claim]:
        for owner in ast.walk(node):
            block = getattr(owner, "body", None)
            if not isinstance(block, list):
                continue
            locked = isinstance(owner, ast.With | ast.AsyncWith) and id(owner) in self._locked
            for index, test in enumerate(block):
                if not isinstance(test, ast.If) or test.orelse or not leaves(test.body):
                    continue
                taken = lock_taken(test, block[:index])
                if taken is not None:
                    yield Claim(function, test.lineno, lock_given_back(node), None, bool(taken.args))
                for statement in _next_at_once(block[index + 1 :]):
                    flag = set_by(statement) & asked(test.test)
                    place = self._place(function, test.test, flag) if flag else None
                    if place is not None and not self._is_set_by_others(place, function):
                        since = owner.lineno if locked and isinstance(owner, ast.stmt) else statement.lineno
                        yield Claim(function, since, _put_back(node, flag, statement), place, locked=locked)

    def _is_set_by_others(self, place: Location, function: Ref) -> bool:
        """Whether another function than the one that asks may put a flag back; a new object has a flag of its own."""
        return any(
            setter != function and overlaps(location, place) and len(location.fields) >= len(place.fields)
            for location, setter in self._setters[place.root]
        )

    def _place(self, function: Ref, test: ast.expr, flags: set[Flag]) -> Location | None:
        """Where the flag that a test asks about is shared."""
        nodes, texts = set(ast.walk(test)), {text for text, _ in flags}
        looks = [r for r in self._looks[function] if r.node in nodes and not isinstance(r.location, Own)]
        named = [r for r in looks if isinstance(r.node, ast.expr) and ast.unparse(r.node) in texts]
        found = {r.location for r in named or looks}
        return found.pop() if len(found) == 1 else None


def _is_at_once(statement: ast.stmt) -> bool:
    """Whether nothing is waited for in a statement."""
    return not any(isinstance(n, _WAITS) for n in ast.walk(statement))


def _next_at_once(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that come before anything is waited for, also those in a `try:` with which that begins."""
    for statement in statements:
        if isinstance(statement, ast.Try):
            yield from takewhile(_is_at_once, statement.body)
        if not _is_at_once(statement):
            return
        yield statement


def _put_back(function: ast.AST, flags: set[Flag], since: ast.stmt) -> int:
    """The first line after a flag was set at which it is set to something else."""
    texts = {text for text, _ in flags}
    later = [
        n.lineno
        for n in ast.walk(function)
        if isinstance(n, ast.Assign)
        and n.lineno > since.lineno
        and any(ast.unparse(t) in texts for t in n.targets)
        and not set_by(n) & flags
    ]
    return min(later, default=_ENDLESS)


def _is_for(claim: Claim, written: Location) -> bool:
    """Whether a claim is one for all that could write there: that of one of many objects is for that object only."""
    flag = claim.flag
    if flag is None:
        return not claim.keyed or "[*]" in written.fields
    many = max((n for n, name in enumerate(flag.fields) if name == "[*]"), default=-1) + 1
    return not many or (flag.root == written.root and flag.fields[:many] == written.fields[:many])
