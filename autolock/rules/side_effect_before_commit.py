"""AL209 side-effect-before-commit."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class SideEffectBeforeCommit:
    """A task is queued, or a message sent, about a row that is committed only after it.

    The worker is fast: it looks for the row, finds nothing, or what the row held before, and gives up. And when
    the commit fails, the task is about something that never came to be. The same happens to a background task
    when the dependency commits, after the response and the background tasks.

    The response itself comes too early where a dependency commits (after it, since FastAPI 0.118) and a handler has
    only added the row: the database sees it when the client has its answer. Of two requests that give a unique column
    the same value both are told that it is theirs, and one of them has nothing.

    ## Racy

        session.add(order)
        await session.flush()
        send_receipt.delay(order.id)
        await session.commit()

    ## Interleaving

        A queues the task; the worker looks for order 7: not there; A commits order 7

    ## Fix

    The commit first, then the task (not without asking: when the task cannot be queued, the row is there all the
    same):

        await session.commit()
        send_receipt.delay(order.id)

    Where a dependency commits, it is to end before the response is sent (FastAPI 0.121):

        Depends(get_session, scope="function")

    Where the response is what is early, the handler sends the row before it answers (not without asking: the request
    that comes second gets an error):

        session.add(account)
        await session.flush()
        return {"name": account.name}

    ## Refused

    When the commit is not in the same block, when something uses what the call gives, or when the commit
    makes the session forget the row that the call is about.
    """

    id: ClassVar[str] = "AL209"
    name: ClassVar[str] = "side-effect-before-commit"
    category: ClassVar[str] = "database"
    summary: ClassVar[str] = "a task is started, or an answer given, about a row that is committed after it"
    codemods: ClassVar[tuple[str, ...]] = ("insert-after", "remove-statement", "replace-expression")

    def match(self, window: RaceWindow) -> Match | None:
        # Imported late: a run in which nothing has changed only asks rules for their names.
        from autolock.database.effect_windows import EffectWindow

        if not isinstance(window, EffectWindow) or window.commit is None:
            return None
        if window.effect is None:
            columns = " and ".join(f"`{c}`" for c in window.columns)
            return Match(
                Severity.MEDIUM,
                f"`{window.function.name}` commits after the response, and the row of `{window.name}` that "
                f"`{window.late[0].function.name}` adds is sent only then: of two requests with the same {columns} "
                "both are told that it worked, and one row is refused.",
            )
        call = window.effect.node
        text = ast.unparse(call.func) if isinstance(call, ast.Call) else "it"
        late = (
            f"which `{window.commit.function.name}` commits after the response"
            if window.kind == "effect-dependency"
            else "which is committed after it"
        )
        return Match(
            Severity.MEDIUM,
            f"`{window.function.name}` starts something with `{text}` about a row of `{window.name}`, {late}: it "
            "finds nothing, or what was there before, and it is about nothing when the commit fails.",
        )
