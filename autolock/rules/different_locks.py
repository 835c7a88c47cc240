"""AL504 different-locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class DifferentLocks:
    """Two functions guard the same state with two locks, or one of them with none: they do not wait for each other.

    ## Racy

        async with deposit_lock:            async with withdraw_lock:
            balance = balances[kid]             balance = balances[kid]
            await journal.write(...)            await journal.write(...)
            balances[kid] = balance + 1         balances[kid] = balance - 1

    ## Interleaving

        A reads 5 under one lock; B reads 5 under the other; A writes 6; B writes 4

    ## Fix

    One of the locks, the one that is used most, takes the place of the others. A change that takes no
    lock takes the one that the others hold.

    ## Refused

    Where the locks guard other state as well, or are of different kinds.
    """

    id: ClassVar[str] = "AL504"
    name: ClassVar[str] = "different-locks"
    category: ClassVar[str] = "locks"
    summary: ClassVar[str] = "the same state is guarded by different locks in different places"
    codemods: ClassVar[tuple[str, ...]] = ("replace-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or not window.race:
            return None
        if window.relation == "forgotten":
            return self.forgotten(window)
        if window.relation != "different-locks":
            return None
        others = sorted({f"`{w.function.name}`" for _, w in window.rivals} - {f"`{function_name(window)}`"})
        if not others:
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` guards `{window.shown}` with one lock of many: who takes another of them "
                "does not wait, and one overwrites what the other wrote.",
            )
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` and {' and '.join(others[:2])} guard `{window.shown}` with different locks: "
            f"they do not wait for each other, and one overwrites what the other wrote.",
        )

    @staticmethod
    def forgotten(window: RaceWindow) -> Match | None:
        """A change that does not wait for the lock under which others change the same state."""
        read = window.read
        if read is None or not window.guards:
            return None
        checked = window.dependence == "control"
        look = "check of it" if checked else "read of it"
        loss = "the check is no longer true by then" if checked else "what is changed in between is overwritten"
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` changes `{window.shown}` without `{window.guards[0].location}`, which "
            f"`{read.function.name}` holds from its {look} to its write: {loss}.",
        )
