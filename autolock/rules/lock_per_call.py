"""AL501 lock-per-call."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LockPerCall:
    """A lock that is made anew for every request guards nothing: nobody else ever waits for it.

    ## Racy

        lock = asyncio.Lock()
        async with lock:
            left = coupon.left
            await register(code)
            coupon.left = left - 1

    ## Interleaving

        A locks its own lock and reads 3; B locks its own lock and reads 3; A writes 2; B writes 2

    ## Fix

    One lock beside the state takes the place of the lock per call.

    ## Refused

    As for lost-update, and where a lock is taken out of a table of locks while others may wait for it: leave it
    there, or take it out only when nobody has it or waits.
    """

    id: ClassVar[str] = "AL501"
    name: ClassVar[str] = "lock-per-call"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "the lock is created by the request that takes it, so that nobody else waits for it"
    codemods: ClassVar[tuple[str, ...]] = ("replace-lock", "remove-statement", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind == "read-write" and window.relation == "dropped-lock" and window.race:
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` guards `{window.shown}` with a lock that whoever had it takes out of its "
                f"table: others may still wait for it, and who comes next makes a new one.",
            )
        if window.kind == "read-write" and window.relation == "replaced-lock" and window.race:
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` guards `{window.shown}` with a lock in whose place another request may put "
                f"a new one: who has the old one and who takes the new one do not wait for each other.",
            )
        if window.kind != "read-write" or window.relation != "fresh-lock" or not window.race:
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` guards `{window.shown}` with a lock that it creates itself: "
            f"every request has its own, "
            f"none waits, and updates of `{window.shown}` are lost.",
        )
