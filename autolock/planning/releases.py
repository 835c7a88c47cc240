"""A lock that is given back on every way out: `with` in place of acquire() and release(), or a `finally`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Sources, awaits, own_nodes
from autolock.planning.guards import Guarding
from autolock.planning.homes import frozen
from autolock.program.index import dotted
from autolock.program.linker import Program, Ref
from autolock.program.release import leak
from autolock.program.trace import LockUse

_REASON = "The lock is given back on every way out, exceptions included."


class Releases:
    """Plans the release of one lock that is taken with `acquire()`."""

    def __init__(self, program: Program, sources: Sources) -> None:
        self.program = program
        self.sources = sources

    def plan(self, use: LockUse) -> Guarding:
        """The edits that release the lock whatever happens. Raises Refusal."""
        found = leak(self.program, use)
        call = use.node
        if found is None or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            raise Refusal("the lock is not released in the block that takes it")
        block, start, end = found
        lock = ast.unparse(call.func.value)
        is_async = use.lock.family == "asyncio"
        bare = start >= 0 and _is_plain(block[start], call)
        first = start + 1 if bare else self.first_held(block, start, call)
        path = use.function.path
        dropped = [self.dropped(use.function, s) for s in self.early_releases(block[first:end], lock, use.function)]
        if bare:
            at = self.sources.blocks(path).spot(block[start]).path
            arguments = frozen(at=at, count=end - first, lock=lock, is_async=is_async)
            title = f"Take `{lock}` with `{'async with' if is_async else 'with'}`"
            return Guarding([Edit(path, "release-in-finally", arguments), *dropped], title, _REASON)
        at = self.sources.blocks(path).spot(block[first]).path
        held = Edit(path, "finally-release", frozen(at=at, count=end - first, lock=lock))
        return Guarding([held, *dropped], f"Release `{lock}` in a `finally`", _REASON)

    @staticmethod
    def first_held(block: Sequence[ast.stmt], start: int, call: ast.Call) -> int:
        """The first statement that runs only with the lock, where `acquire()` may answer that it is taken."""
        taken = block[start] if start >= 0 else None
        if not isinstance(taken, ast.Assign):
            return start + 1
        refusal = block[start + 1] if start + 1 < len(block) else None
        name = dotted(taken.targets[0])
        test = refusal.test if isinstance(refusal, ast.If) else None
        asked = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and dotted(test.operand) == name
        if not asked or not isinstance(refusal, ast.If) or refusal.orelse or taken.value is not call:
            raise Refusal("what `acquire()` answers is asked for later: release the lock in a `finally`")
        return start + 2

    def early_releases(self, statements: Sequence[ast.stmt], lock: str, function: Ref) -> Iterator[ast.stmt]:
        """Releases on the ways out of what is under the lock, which the new block does by itself. Raises Refusal."""
        blocks = self.sources.blocks(function.path)
        for node in own_nodes(statements):
            if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
                continue
            if dotted(node.value.func) != f"{lock}.release":
                continue
            spot = blocks.spot(node)
            following = spot.block[spot.index + 1 : spot.index + 2]
            if not following or not self.leaves(following[0], function):
                raise Refusal(f"`{lock}` is released under a condition: hold it with `with` and leave the block early")
            yield node

    def leaves(self, statement: ast.stmt, function: Ref) -> bool:
        """Whether a statement only leaves the function, and may as well do so while the lock is held."""
        if not isinstance(statement, ast.Raise | ast.Return) or awaits([statement]):
            return False
        return not any(isinstance(n, ast.Call) and self.is_work(n, function) for n in ast.walk(statement))

    def is_work(self, call: ast.Call, function: Ref) -> bool:
        """Whether a call may run code of the project, which may take the lock itself."""
        found = self.program.resolve(function.path, dotted(call.func) or "?", function.name)
        return (found is None and isinstance(call.func, ast.Attribute)) or (
            found is not None and found[0].kind not in ("class", "external")
        )

    def dropped(self, function: Ref, statement: ast.stmt) -> Edit:
        at = self.sources.blocks(function.path).spot(statement).path
        return Edit(function.path, "remove-statement", frozen(at=at))


def _is_plain(statement: ast.stmt, call: ast.Call) -> bool:
    """Whether a statement only takes the lock, for as long as it takes: `lock.acquire()`, `await lock.acquire()`."""
    taken = statement.value if isinstance(statement, ast.Expr) else None
    called = taken.value if isinstance(taken, ast.Await) else taken
    return called is call and not call.args and not call.keywords
