"""Plans for conversations of which each has a key: a lock for each of them, from a turn to its answer."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.deployment.evidence import reach_of_a_lock
from autolock.edits import Edit
from autolock.planning.blocks import Refusal, Region
from autolock.planning.homes import Use, frozen
from autolock.planning.lock_tables import LockTables, binds
from autolock.planning.needs import owner_of
from autolock.planning.rowplan import RowPlan
from autolock.program.index import dotted
from autolock.program.linker import Ref
from autolock.program.machine import in_order

if TYPE_CHECKING:
    from autolock.llm.exchanges import ExchangeWindow
    from autolock.program.trace import Frame, Read, Write


class Turns(LockTables):
    """Plans a fix for one function that adds a turn, asks the model and adds the answer."""

    def plan(self, window: ExchangeWindow) -> RowPlan:
        """The plan of a window; raises Refusal where a conversation has no lock that its turns could take."""
        assert window.write is not None
        self.refuse_others(window)
        found = self.of_object(window) or self.of_key(window)
        function, region, lock, edits = found
        self.check(function, region)
        wrap = frozen(at=region.at, count=region.count, lock=lock, is_async=True)
        return RowPlan(
            [*edits, Edit(function.path, "wrap-in-lock", wrap)],
            f"Hold a lock of its own for each conversation in `{window.shown}`, from the turn to its answer",
            f"The next message of a conversation waits in `{function.name}` for the answer to the one before; other "
            f"conversations do not. {reach_of_a_lock(self.guards.deployed)}",
        )

    def refuse_others(self, window: ExchangeWindow) -> None:
        """Raise Refusal where another function adds turns as well, or this one puts another list in its place."""
        place = owner_of(window.location).child("[*]")
        first, answer = self.ends(window)
        renamed = binds(self.sources.node_of(first.function).body, _receiver(first).partition(".")[0])
        for entry, write in self.guards.machine.trace.writes:
            here = any(frame.function == window.function for frame in write.stack)
            if renamed and write.location == place and here and write.serial > answer.serial:
                raise Refusal(
                    f"`{write.function.name}` puts another list in the place of the one that it added to: who waited "
                    "for the lock would add to the old one"
                )
            adds = write.kind == "insert" and write.location.base == window.location
            if adds and entry.context != "startup" and not here:
                raise Refusal(
                    f"`{write.function.name}` adds to `{window.shown}` as well: give both the same lock by hand"
                )

    # -- a lock that the object has -----------------------------------------------------------------

    def of_object(self, window: ExchangeWindow) -> tuple[Ref, Region, str, list[Edit]] | None:
        """A lock made in the `__init__` of the class whose method adds the turns; None where it is no such method."""
        first, last = self.ends(window)
        receiver = _receiver(first)
        if first.function != last.function or not receiver.startswith("self.") or receiver.count(".") != 1:
            return None
        if first.location.fields[-2:-1] != (f".{receiver[5:]}",):
            return None
        function = first.function
        use = Use(function, (first.node,), self.sources.node_of(function))
        home = self.guards.homes.on_instance(window.location, "asyncio", [use])
        if home is None or not str(home.edits[0].arguments.get("target")).startswith("self."):
            return None
        return function, self.region(function, first.stack[-1], last.stack[-1]), home.names[function], list(home.edits)

    # -- a table of locks -------------------------------------------------------------------------------

    def of_key(self, window: ExchangeWindow) -> tuple[Ref, Region, str, list[Edit]]:
        """A lock that is looked up by the key of the conversation, in a table beside that of the conversations."""
        first, last = self.ends(window)
        owner = owner_of(window.location)
        given = window.exchange.reads if window.exchange is not None else frozenset()
        known: list[Read | Write] = [*in_order(given)]
        known += [w for entry, w in self.guards.machine.trace.writes if entry is window.entry]
        frames = list(zip(first.stack, last.stack, strict=False))
        for one, other in reversed(frames):
            key = (
                self.key(owner.child("[*]"), known, one)
                if one.serial == other.serial and one.function is not None
                else ""
            )
            if key and one.function is not None and self.guards.is_async(one.function):
                region = self.region(one.function, one, other)
                if not binds(region.statements, key.partition(".")[0]):
                    home = self.table(owner, one.function)
                    return one.function, region, f"{home.names[one.function]}[{key}]", list(home.edits)
        raise Refusal("the key of the conversation has no name in the function that adds the turns")

    # -- where ------------------------------------------------------------------------------------------

    def ends(self, window: ExchangeWindow) -> tuple[Write, Write]:
        """The turn that is added, and the answer."""
        assert window.write is not None
        return window.rivals[0][1], window.write

    def region(self, function: Ref, one: Frame, other: Frame) -> Region:
        """The statements from the turn to the answer."""
        assert one.statement is not None
        assert other.statement is not None
        blocks = self.sources.blocks(function.path)
        return blocks.spanning([one.statement, other.statement], self.sources.node_of(function))


def _receiver(write: Write) -> str:
    """The list to which something is added, as the code says it."""
    node = write.node
    return dotted(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
