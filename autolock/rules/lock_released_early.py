"""AL502 lock-released-early."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.severity import severity_of_window
from autolock.rules.shapes import function_name, gap, is_cache_fill, is_creation

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LockReleasedEarly:
    """The state is read under a lock which is given back before the dependent write.

    `wait()` of a condition gives it back, too: who asks before it and not again afterwards acts on an answer that is
    no longer true.

    ## Racy

        async with lock:
            views = pages[slug]
        title = await cms.title(slug)
        pages[slug] = views + 1

    ## Interleaving

        A reads 7 and gives the lock back; B reads 7; A writes 8; B writes 8

    ## Fix

    The locked block is extended to the write. An `if` round a `wait()` becomes a `while`.

    ## Refused

    Where the read and the write are not in one block, or the lock would be held across an `await` by
    a thread lock.
    """

    id: ClassVar[str] = "AL502"
    name: ClassVar[str] = "lock-released-early"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "the lock is released between the read and the dependent write"
    codemods: ClassVar[tuple[str, ...]] = ("extend-lock", "hold-longer", "ask-again")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or not window.race:
            return None
        if window.relation == "waited":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` asks for `{window.shown}` once, waits, which gives the lock away, and then "
                f"changes it: of all who are woken, the first takes what the others were told of.",
            )
        if window.relation != "released":
            return None
        if is_creation(window) or is_cache_fill(window):
            return None
        return Match(
            severity_of_window(window),
            f"`{function_name(window)}` reads `{window.shown}` under a lock, gives the lock back, "
            f"{gap(window)}, and then writes "
            f"what it computed from the read: another request's change in between is lost.",
        )
