"""AL301 shared-session."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.sessions import handlers, session_window

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SharedSession:
    """All requests work with one session: a module variable, a cached provider, a class attribute, `app.state`.

    A session is one conversation with the database. An AsyncSession refuses to be used twice at a time; of a
    Session that two threads use, one commits what the other has only begun. Tests, which send one request
    after the other, see nothing of it, and nor do reads once the session is connected.

    ## Racy

        session = SessionLocal()

        def get_session() -> AsyncSession:
            return session

    ## Interleaving

        A adds a note; B commits the session: A's note is stored, though A fails after it
        A waits for its query; B runs another on the same session: refused, a 500

    ## Fix

    Each request opens a session of its own, and closes it:

        async def get_session() -> AsyncIterator[AsyncSession]:
            async with SessionLocal() as session:
                yield session

    Where there is an engine and no factory, one is made. The session that nobody uses any more is removed.

    ## Refused

    When handlers use the session by its name as well, when the provider is called directly or does more than
    hand it out, or when something is written that only another request commits.
    """

    id: ClassVar[str] = "AL301"
    name: ClassVar[str] = "shared-session"
    category: ClassVar[str] = "dependency"
    summary: ClassVar[str] = "one database session is used by all requests"
    codemods: ClassVar[tuple[str, ...]] = ("yield-session", "insert-after", "remove-statement", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        found = session_window(window, "session-shared", "session-direct")
        if found is None:
            return None
        if found.kind == "session-shared":
            return Match(
                Severity.HIGH,
                f"`{found.function.name}` gives `{found.shown}` to {handlers(found)}: two at once are refused it, or "
                "one commits what the other has only begun.",
            )
        return Match(
            Severity.HIGH,
            f"`{found.function.name}` uses `{found.shown}`, which is one session for all requests: two at once are "
            "refused it, or one commits what the other has only begun.",
        )
