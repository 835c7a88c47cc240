"""AL104 duplicated-work."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap, is_cache_fill, is_creation, is_harmless, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class DuplicatedWork:
    """A cache that every request fills which arrives before the first one has (a cache stampede).

    Nothing is lost but work: the slow call that the cache is there to avoid is made once for each
    request that is waiting for it, at the worst possible moment. Where requests put something into
    what is made, as guests into a room, that is lost as well.

    ## Racy

        if key not in cache:
            cache[key] = await fetch(key)
        return cache[key]

    ## Interleaving

        A misses, awaits the fetch; B misses, fetches as well; A stores; B stores the same again

    ## Fix

    Double-checked filling under a lock beside the cache. Requests for other keys wait meanwhile.

        if key not in cache:
            async with cache_lock:
                if key not in cache:
                    cache[key] = await fetch(key)

    ## Refused

    As for lost-update. Not reported where threads compute equal plain values.
    """

    id: ClassVar[str] = "AL104"
    name: ClassVar[str] = "duplicated-work"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "a cache is filled by every request that misses while the first one is still fetching"
    codemods: ClassVar[tuple[str, ...]] = (
        "double-checked",
        "wrap-checked",
        "wrap-in-lock",
        "define-lock",
        "import-name",
    )

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or window.relation not in ("unguarded", "released") or not window.race:
            return None
        if not is_cache_fill(window) or is_creation(window) or is_harmless(window):
            return None
        if window.grows and window.between is not None:
            return Match(
                Severity.MEDIUM,
                f"`{function_name(window)}` misses `{window.shown}`, {gap(window)}, then makes it: "
                f"of {routes_of(window)} at once, each makes one, and what was put into all but the last is lost.",
            )
        return Match(
            Severity.LOW,
            f"`{function_name(window)}` misses `{window.shown}`, {gap(window)}, then fills it: "
            f"{routes_of(window)} at once all do the work that `{window.shown}` is there to save.",
        )
