"""AL107 request-state-on-shared-object."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class RequestStateOnSharedObject:
    """What belongs to one request is kept on an object that all requests share, and used again later.

    After the suspension point the object may hold what another request has put there: one user sees
    or changes what is another's.

    ## Racy

        service.current_user = user
        await service.load()
        return render(service.current_user)

    ## Interleaving

        A stores ann, awaits; B stores bob, awaits; A goes on with bob

    ## Fix

    No lock is offered: it would only make the requests wait for each other. Pass the value as an
    argument, keep it in a local variable, or in a `contextvars.ContextVar`.
    """

    id: ClassVar[str] = "AL107"
    name: ClassVar[str] = "request-state-on-shared-object"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "one request's data is kept on a shared object and used again after a suspension point"
    codemods: ClassVar[tuple[str, ...]] = ()

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "late-read":
            return None
        return Match(
            Severity.LOW if window.published else Severity.HIGH,
            f"`{function_name(window)}` keeps what this request sent in `{window.shown}`, "
            f"{gap(window)}, then reads it back: "
            f"another request has put its own data there by then.",
        )
