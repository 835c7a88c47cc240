"""AL303 session-outlives-request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.sessions import session_window, started

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SessionOutlivesRequest:
    """A task that goes on after the request works with the request's session.

    The session is kept, with its connection, for as long as the task takes: a slow mail server, and the pool
    is dry. Or it was closed with the request (FastAPI before 0.118, a dependency with scope="function", a
    `with` block in the handler) and is silently opened again, for nobody to close. A task that nobody
    waits for also uses it at the same time as the handler.

    ## Racy

        background.add_task(confirm, session, order.id)

    ## Interleaving

        A answers; its task waits for the mail server and keeps the connection; B waits for a connection: a 500

    ## Fix

    The function that a task runs opens a session of its own, where nothing else calls it:

        async def confirm(order_id):
            async with SessionLocal() as session:
                ...

        asyncio.create_task(confirm(order.id))

    ## Refused

    For a background task: FastAPI closes the request's session after it, with its connection, whatever session the
    task has. Where the function is called by others as well, is a method, or is given rows, which cannot be read after
    the commit that has expired them. Where the request has not committed yet what the task may be about, and where who
    opens its session does more than that.
    """

    id: ClassVar[str] = "AL303"
    name: ClassVar[str] = "session-outlives-request"
    category: ClassVar[str] = "dependency"
    summary: ClassVar[str] = "a task that goes on after the request uses the request's session"
    codemods: ClassVar[tuple[str, ...]] = (
        "wrap-in-transaction",
        "remove-parameter",
        "replace-expression",
        "import-name",
    )

    def match(self, window: RaceWindow) -> Match | None:
        found = session_window(window, "session-outlives")
        if found is None or found.task is None:
            return None
        task = started(found.task)
        if found.task.kind == "stream":
            return Match(
                Severity.MEDIUM,
                f"`{found.function.name}` streams what `{task}` reads through `{found.shown}`, which is closed before "
                "the stream begins: it is opened again, and nobody closes it.",
            )
        goes_on = "is started and not waited for" if found.task.kind == "task" else "runs after the response"
        return Match(
            Severity.MEDIUM,
            f"`{task}`, which `{found.function.name}` hands the request's `{found.shown}`, {goes_on}: it keeps the "
            "session and its connection, and under load the pool runs dry.",
        )
