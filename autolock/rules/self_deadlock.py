"""AL507 self-deadlock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SelfDeadlock:
    """A lock is taken again by the very request that holds it, directly or in a function that it calls.

    `asyncio.Lock` and `threading.Lock` are not re-entrant: the request waits for itself, and everybody
    else waits for the request.

    ## Racy

        async def transfer(source, target, amount):
            async with balances_lock:
                await withdraw(source, amount)      # takes balances_lock as well

    ## Interleaving

        A takes the lock, calls withdraw, waits for the lock that it holds; B waits for A for ever

    ## Fix

    None is offered: let the function that is called expect the lock to be held, or split it into an
    outer part that takes the lock and an inner part that does the work.
    """

    id: ClassVar[str] = "AL507"
    name: ClassVar[str] = "self-deadlock"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "a lock is taken again by the request that holds it already"
    codemods: ClassVar[tuple[str, ...]] = ()

    def match(self, window: RaceWindow) -> Match | None:
        again = window.rival_use
        if window.kind != "lock" or window.relation != "re-entered" or again is None:
            return None
        inner = again.function.name
        told = (
            f"takes `{window.shown}` and, while it holds it, comes to `{inner}`, which takes it again"
            if again.function != window.function
            else f"takes `{window.shown}`, which the request holds already"
        )
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` {told}: the request waits for itself, and every later one waits for it.",
        )
