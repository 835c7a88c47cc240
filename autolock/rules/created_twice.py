"""AL103 created-twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap, is_creation, is_harmless, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class CreatedTwice:
    """A lazy singleton whose first users each create one.

    Every request that arrives while the first one is still being made sees None as well and makes
    its own. All but the last are lost, with the connections, tasks or state that they hold.

    ## Racy

        if _client is None:
            _client = await Client.connect(URL)
        return _client

    ## Interleaving

        A sees None, awaits the connection; B sees None, connects as well; A stores its client; B overwrites it

    ## Fix

    Double-checked creation: the unlocked look stays as a shortcut, the decision is taken again under
    the lock.

        if _client is None:
            async with _client_lock:
                if _client is None:
                    _client = await Client.connect(URL)
        return _client

    ## Refused

    As for lost-update. Not reported where threads make equal values of which one simply replaces the
    other (settings, tables, session factories), or where start-up has made the object already.
    """

    id: ClassVar[str] = "AL103"
    name: ClassVar[str] = "created-twice"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = (
        "a lazily created singleton is created by every request that arrives while the first is being made"
    )
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
        if not is_creation(window) or is_harmless(window):
            return None
        return Match(
            Severity.LOW if window.fleeting else Severity.MEDIUM,
            f"`{function_name(window)}` sees that `{window.shown}` is not there yet, {gap(window)}, then sets it: "
            f"of {routes_of(window)} at once, each creates one and all but the last are lost.",
        )
