"""Semaphores of several places: a lock that is held while somebody waits for a place leaves only one in use."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property

from autolock.planning.blocks import Refusal, Region, own_nodes
from autolock.planning.spans import Regions, Spans
from autolock.program.linker import Ref
from autolock.program.trace import LIMITED, TAKING, LockUse
from autolock.program.windows import RaceWindow

_DEEPEST = 4


class Places(Spans):
    """Tells where regions wait for a place of a semaphore or a limiter that other requests use too."""

    def refuse_places(self, regions: Regions, windows: Sequence[RaceWindow]) -> None:
        """Refuse to hold a lock over the wait for one of several places. Raises Refusal.

        An exchange with a model is kept together even so, for who agrees to it: what is stored after it was not
        known before, and the slots that it waits for may be ones that another fix puts there.
        """
        waiting = self._wait_in(regions)
        if waiting and all(window.exchange is None for window in windows):
            raise Refusal(
                f"{waiting}, which has room for several, and under the lock only one could come in at a time: by "
                "hand, test and count under a lock before the wait, let go of the lock, and wait and work without it"
            )

    def narrowed(self, regions: Regions) -> str:
        """Which places all but one would be left free while a model is asked under the lock; empty for none."""
        waiting = self._wait_in(regions)
        return f"{waiting}, of which only one place is in use then," if waiting else ""

    def _wait_in(self, regions: Regions) -> str:
        """Which function waits in its region for what."""
        every = ((function, region) for function, spans in regions.items() for region in spans)
        for function, region in every if self._uses else ():
            use = self._place(function, region)
            if use is not None:
                name = f"`{use.lock.location}`" if use.lock.location is not None else "a semaphore"
                return f"`{function.name}` waits for {name}"
        return ""

    @cached_property
    def _waiting(self) -> dict[Ref, LockUse]:
        """The functions that wait for a place themselves, each with one such wait."""
        return {use.function: use for use in self._uses}

    @cached_property
    def _uses(self) -> list[LockUse]:
        """The waits for a place; of what a request makes for itself there is no other user."""
        styles = (*TAKING, LIMITED)
        return [u for u in self.machine.trace.locks if u.style in styles and u.lock.capacity != 1 and not u.lock.fresh]

    def _place(self, function: Ref, region: Region) -> LockUse | None:
        """A wait for a place in a region, itself or through what it calls."""
        for use in self._uses:
            if self.is_reached_in(use.stack, function, region):
                return use
        # What was called before from elsewhere is not followed again, and its waits are known from there alone.
        inner = (self._waiting_below(called, 0) for called in self._run_in(function, region.statements))
        return next((use for use in inner if use is not None), None)

    def _waiting_below(self, function: Ref, depth: int) -> LockUse | None:
        """A wait for a place in a function or in what it calls."""
        if function in self._waiting or depth == _DEEPEST:
            return self._waiting.get(function)
        inner = (self._waiting_below(called, depth + 1) for called in self._run_in(function, self._body(function)))
        return next((use for use in inner if use is not None), None)

    def _run_in(self, function: Ref, statements: Sequence[ast.stmt]) -> Iterator[Ref]:
        """The functions of the project that some statements run to their end: a task goes on without the lock."""
        nodes = list(own_nodes(statements))
        awaited = {id(n.value) for n in nodes if isinstance(n, ast.Await)}
        for node in nodes:
            called = self.slowness.leads_to(function, node) if isinstance(node, ast.Call) else None
            if called is not None and (id(node) in awaited or not self.is_async(called)):
                yield called
