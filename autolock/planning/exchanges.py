"""Plans for what is read before a model is asked and stored after it: who is after another element need not wait."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autolock.deployment.evidence import reach_of_a_lock
from autolock.edits import Edit
from autolock.planning.blocks import Refusal
from autolock.planning.guards import Guarding
from autolock.planning.homes import frozen
from autolock.planning.lock_tables import LockTables
from autolock.program.index import dotted

if TYPE_CHECKING:
    from autolock.program.linker import Ref
    from autolock.program.trace import Read, Write
    from autolock.program.values import Location
    from autolock.program.windows import RaceWindow


class Exchanges(LockTables):
    """Plans a lock for each key, where one function alone changes the elements."""

    def plan(self, owners: Sequence[Location], windows: Sequence[RaceWindow]) -> Guarding:
        """The edits that put the exchange under the lock of its key; raises Refusal where there is none."""
        function, owner = windows[0].function, owners[0]
        if len(owners) > 1 or any(w.function != function or w.relation != "unguarded" for w in windows):
            raise Refusal("more than one function, or more than one table, is changed")
        needs = self.guards.needs(owners, windows)
        if any(n.function != function or n.held for n in needs) or not self.guards.is_async(function):
            raise Refusal(f"`{function.name}` is not the only one that changes `{owner}`")
        events = self.events(owner, function, windows)
        blocks, node = self.sources.blocks(function.path), self.sources.node_of(function)
        region = blocks.spanning([s for need in needs for s in (need.first, need.last)], node)
        key = _said(events, function)
        if len({e.key for e in events}) != 1 or not key or _binds_late(node, key.partition(".")[0], region.statements):
            raise Refusal(f"the key has no name in `{function.name}`")
        self.check(function, region)
        home = self.table(owner, function)
        wrap = frozen(at=region.at, count=region.count, lock=f"{home.names[function]}[{key}]", is_async=True)
        return Guarding(
            [*home.edits, Edit(function.path, "wrap-in-lock", wrap)],
            f"Hold a lock of its own for each key of `{owner}`, from the read to the write",
            f"Who comes with the same `{key}` waits in `{function.name}` until the model has answered; others do not. "
            f"{reach_of_a_lock(self.guards.deployed)}",
            [function.name],
            ""
            if all(w.is_stored_back or not w.race for w in windows)
            else self.guards.slow({function: [region]}, windows),
        )

    def events(self, owner: Location, function: Ref, windows: Sequence[RaceWindow]) -> list[Read | Write]:
        """Where a function looks at elements of a table and changes them; raises Refusal for a change without a key."""
        trace, place = self.guards.machine.trace, owner.child("[*]")
        known: list[Read | Write] = [e for w in windows for e in (w.read, w.write) if e is not None]
        known += [look for look in trace.looks if look.function == function]
        writes = [w for _, w in trace.writes if any(frame.function == function for frame in w.stack)]
        if any(w.location in (owner, place) and not w.key for w in writes):
            raise Refusal(f"`{function.name}` changes elements of `{owner}` under other keys as well")
        known += writes
        return [event for event in known if event.location == place and event.key]


def _said(events: Sequence[Read | Write], function: Ref) -> str:
    """How a function itself names the key of the elements that it looks at and changes; empty for no one name."""
    found: set[str] = set()
    for event in events:
        if event.function == function:
            found |= {dotted(key) for key in _keys_in(event.node)}
    return found.pop() if len(found) == 1 else ""


def _keys_in(node: ast.AST) -> list[ast.expr]:
    """The keys by which an expression or a statement looks something up, or stores it."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    subscripts = [n for n in (*targets, node) if isinstance(n, ast.Subscript)]
    by_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
    return [*(n.slice for n in subscripts), *(node.args[:1] if by_call and isinstance(node, ast.Call) else [])]


def _binds_late(node: ast.AST, name: str, statements: Sequence[ast.stmt]) -> bool:
    """Whether a function binds a name in some statements or after them, where a lock before them would want it."""
    stores = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]
    return any(n.lineno >= statements[0].lineno for n in stores)
