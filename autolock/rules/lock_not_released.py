"""AL506 lock-not-released."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LockNotReleased:
    """A lock taken with `acquire()` stays taken when something raises before `release()`.

    Every later request then waits for ever.

    ## Racy

        await lock.acquire()
        await payments.charge(card)
        lock.release()

    ## Interleaving

        A takes the lock, the charge raises; B waits for the lock, and so does everybody after it

    ## Fix

    `async with lock:` round the statements in between, or a `finally` where `acquire()` may answer that the
    lock is taken. A `release()` just before a `raise` or `return` goes.

    ## Refused

    Where the lock is released early and more work follows.
    """

    id: ClassVar[str] = "AL506"
    name: ClassVar[str] = "lock-not-released"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "an exception between acquire() and release() leaves the lock taken for ever"
    codemods: ClassVar[tuple[str, ...]] = ("release-in-finally", "finally-release", "remove-statement")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "lock" or window.relation != "leaked":
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` takes `{window.shown}` with acquire() and gives it back only "
            f"when nothing raises in between: "
            f"after one failure every later request waits for ever.",
        )
