"""AL302 session-in-parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.sessions import session_window

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SessionInParallel:
    """Several tasks of one request use its one session at once.

    A session, like the connection under it, does one thing at a time. The second task is refused
    ("This session is provisioning a new connection; concurrent operations are not permitted", "already
    flushing"), or what it writes is flushed halfway. Nothing is gained either: one connection runs one
    statement after the other. It is the same with functions that run on worker threads, in a pool or by `to_thread`.

    Tasks that only read wait for each other where the session has run a statement in this transaction: that is
    latent, as they are refused once it has no connection yet. On a connection of its own it is for the driver to let
    them wait, so that reads there count as low.

    ## Racy

        sales, best = await asyncio.gather(count(session), best_of(session))

    ## Interleaving

        count() waits for the session's first connection; best_of() asks the session for another: refused, a 500

    ## Fix

    One after the other:

        sales = await count(session)
        best = await best_of(session)

    Where the time matters, each task opens a session of its own.

    ## Refused

    When the gather returns exceptions instead of raising them, when one of the awaitables may wait for something else
    than the database, when something else is done with the tasks than that the function awaits them at once, or when
    they are submitted to a pool of threads.
    """

    id: ClassVar[str] = "AL302"
    name: ClassVar[str] = "session-in-parallel"
    category: ClassVar[str] = "dependency"
    summary: ClassVar[str] = "several tasks that run at once use one database session"
    codemods: ClassVar[tuple[str, ...]] = ("gather-in-sequence", "remove-statement")

    def match(self, window: RaceWindow) -> Match | None:
        found = session_window(window, "session-parallel")
        if found is None:
            return None
        lost = "what one writes is flushed or committed by another" if found.writes else "all but one can be refused"
        severity = Severity.HIGH if found.writes else Severity.MEDIUM
        if found.session is not None and not found.session.flushes and not found.writes:
            severity, lost = Severity.LOW, "they wait for each other, or the driver refuses all but one"
        elif not found.race:
            lost = "they wait for each other, and all but one can be refused where it has run no statement before"
        return Match(
            severity,
            f"`{found.function.name}` runs several tasks at once on `{found.shown}`, which does one thing at a time: "
            f"{lost}.",
        )
