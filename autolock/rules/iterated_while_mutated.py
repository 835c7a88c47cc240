"""AL108 iterated-while-mutated."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class IteratedWhileMutated:
    """A loop over a shared container is suspended in its body while others add to it or remove from it.

    A dict or a set raises `RuntimeError: changed size during iteration`; a list skips or repeats elements.

    ## Racy

        for connection in connections:
            await connection.send_text(message)

    ## Interleaving

        A sends to the first connection, awaits; B disconnects and removes it; A skips the one after it

    ## Fix

    The loop runs over a copy that is made in one step.

        for connection in list(connections):
            await connection.send_text(message)

    ## Refused

    Where the loop is a comprehension or an `async for`, and where the container is emptied right after a loop of the
    function: what is added meanwhile is not in the copy, and would be thrown away unseen.
    """

    id: ClassVar[str] = "AL108"
    name: ClassVar[str] = "iterated-while-mutated"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "a loop over a shared container is suspended while others change the container"
    codemods: ClassVar[tuple[str, ...]] = ("snapshot-iteration",)

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "iteration":
            return None
        others = sorted({f"`{w.function.name}`" for _, w in window.rivals})
        return Match(
            # With an `await` in the loop the others have all the time in the world; threads meet there by chance.
            Severity.MEDIUM if window.between is not None else Severity.LOW,
            f"`{function_name(window)}` loops over `{window.location.base}` and {gap(window)} in the loop, while "
            f"{' and '.join(others[:2])} may change it: the loop fails or skips an element.",
        )
