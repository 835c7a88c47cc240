"""AL404 budget-check-then-spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class BudgetCheckThenSpend:
    """A budget of tokens or credits is checked before a model is called, and charged after it.

    The call takes seconds. All requests that come meanwhile pass the check, and the budget is spent several times.

    ## Racy

        if spent[user] >= limit:
            raise HTTPException(402)
        answer = await client.responses.create(...)
        spent[user] += answer.usage.total_tokens

    ## Interleaving

        A sees 10 left, asks; B sees 10 left, asks; A is charged 10; B is charged 10: 10 more than there were

    ## Fix

    A lock beside the budget, held from the check to the charge: one for each key where one function alone changes the
    budgets and names their key, else one for all; of rows, what the rules for rows do. To reserve the
    most that a call can cost before it, and to give back the rest after it, lets more than one call run at a time.

    ## Refused

    As for check-then-act.
    """

    id: ClassVar[str] = "AL404"
    name: ClassVar[str] = "budget-check-then-spend"
    category: ClassVar[str] = "llm"
    summary: ClassVar[str] = "a budget is checked before a model is called and charged after it"
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name", "insert-after")

    def match(self, window: RaceWindow) -> Match | None:
        call, write = window.exchange, window.write
        if call is None or write is None or window.shape != "compare":
            return None
        if window.kind not in ("read-write", "row-update"):
            return None
        if write.kind != "augment" and not (write.kind == "assign" and write.made == "expression"):
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` checks `{window.shown}`, calls the model (`{call.text}`), then charges it: "
            f"{routes_of(window)} at once all pass the check before any of them is charged.",
        )
