"""The edits that put a region under a lock."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from autolock.edits import Edit
from autolock.planning.answers import checks_first, is_shared_unfinished, only_looks
from autolock.planning.blocks import Refusal, Region, own_nodes
from autolock.planning.homes import frozen
from autolock.planning.waits import Waits
from autolock.program.calls import same_lock
from autolock.program.linker import Ref
from autolock.program.trace import Write
from autolock.program.values import LockValue, overlaps
from autolock.program.windows import RaceWindow


class Enclosing(Waits):
    """Chooses between a new block, a longer one, another lock in a block, and double-checked creation."""

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
            longer = self.held_longer(function, region, existing)
            if longer is not None:
                return [longer]
            found = self._block_of(existing, function, region, lock)
            if found is not None:
                return found
        replaced = self._replace(function, region, lock, is_async, windows, existing)
        if replaced is not None:
            return replaced
        only = region.statements[0]
        mine = [w for w in windows if w.function == function]
        if any(is_shared_unfinished(w, region.statements) or self._is_taken_down(w) for w in mine):
            wrapped = frozen(at=region.at, count=region.count, lock=lock, is_async=is_async)
            return [Edit(region.path, "wrap-in-lock", wrapped)]
        if region.count == 1 and isinstance(only, ast.If) and not only.orelse and self.is_lazy(function, windows):
            return [Edit(region.path, "double-checked", frozen(at=region.at, lock=lock, is_async=is_async))]
        looks = self._looks(function, region) if self.is_lazy(function, windows) else 0
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

    def _is_taken_down(self, window: RaceWindow) -> bool:
        """Whether others wait for something before they remove what a look finds: who does not wait finds it dying."""
        return any(
            (write.kind == "remove" or write.made == "none")
            and entry.context != "startup"
            and overlaps(write.location, window.location)
            and self._waits_before(write)
            for entry, write in self.machine.trace.writes
        )

    def _waits_before(self, write: Write) -> bool:
        """Whether the function that writes waits for something before it does."""
        statement = write.stack[-1].statement
        body = getattr(self.sources.node_of(write.function), "body", [])
        line = statement.lineno if statement is not None else 0
        return any(isinstance(n, ast.Await) and n.lineno < line for n in own_nodes(body))

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
        called = self.called(function, call)
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
