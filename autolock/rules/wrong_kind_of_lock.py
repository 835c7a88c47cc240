"""AL505 wrong-kind-of-lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class WrongKindOfLock:
    """A lock of the wrong kind: a thread lock held across an `await`, or an asyncio lock against threads.

    A `threading.Lock` that is held while a coroutine waits stops the whole event loop as soon as a
    second request wants it: nothing can run that would give it back. An `asyncio.Lock` does not keep
    functions out that FastAPI runs on worker threads.

    ## Racy

        with threading_lock:
            total = totals[day]
            await ledger.write(day)
            totals[day] = total + 1

    ## Interleaving

        A takes the lock and awaits; B blocks the event loop waiting for the lock: A never runs again

    ## Fix

    The thread lock becomes an asyncio lock where only coroutines take it.

    ## Refused

    Where threads take the lock as well: keep the awaits out of the locked block by hand.
    """

    id: ClassVar[str] = "AL505"
    name: ClassVar[str] = "wrong-kind-of-lock"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "a thread lock is held across an await, or an asyncio lock is used against threads"
    codemods: ClassVar[tuple[str, ...]] = ("replace-lock", "define-lock")

    def match(self, window: RaceWindow) -> Match | None:
        if window.relation != "wrong-kind" or not window.race:
            return None
        if window.kind == "lock":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` holds the thread lock `{window.shown}` while it awaits: "
                f"the second request that wants "
                f"the lock stops the event loop, and with it the first.",
            )
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` guards `{window.shown}` with an asyncio lock, and worker threads write it too: "
            f"the lock does not keep them out, and updates are lost.",
        )
