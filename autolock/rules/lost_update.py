"""AL101 lost-update."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap, is_counting, is_file, rivals_of, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class LostUpdate:
    """A value is read, something else may run, and a value computed from what was read is written back.

    Whoever wrote in between is overwritten: a counter counts too little, a balance forgets a payment.

    ## Racy

        current = counter["count"]
        await audit("increment")
        counter["count"] = current + 1

    ## Interleaving

        A reads 0, awaits; B reads 0, awaits; A writes 1; B writes 1: two increments, one counted

    ## Fix

    One lock beside the state, held from the read to the write by every function that writes it:
    `asyncio.Lock` in coroutines, `threading.Lock` in functions that FastAPI runs on worker threads.

        async with counter_lock:
            current = counter["count"]
            await audit("increment")
            counter["count"] = current + 1

    ## Refused

    When the read and the write meet only in FastAPI itself (a dependency reads, the handler writes),
    when coroutines hold the state across an `await` and worker threads write it too, when the lock
    would be taken twice on one path, or when the state is reached by a name that cannot be imported
    where it is needed.

    Without a suspension point the finding is `latent`: atomic on one event loop today, and one
    `await` away from a race.
    """

    id: ClassVar[str] = "AL101"
    name: ClassVar[str] = "lost-update"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = (
        "shared state is read, something else may run, and a value computed from the read is written back"
    )
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if (
            window.kind != "read-write"
            or window.relation != "unguarded"
            or window.dependence != "data"
            or is_file(window)
        ):
            return None
        write = window.write
        if write is not None and write.empties:
            return self.emptied(window)
        if write is None or write.kind in ("insert", "remove", "mutate"):
            return None
        if not window.race:
            return self.latent(window) if is_counting(window) else None
        if write.made == "const":
            return self.set_back(window)
        message = (
            f"`{function_name(window)}` reads `{window.shown}`, {gap(window)}, then writes a value "
            f"computed from what it read: {self.harm(window)}"
        )
        return Match(Severity.MEDIUM if window.fleeting else Severity.HIGH, message)

    @staticmethod
    def harm(window: RaceWindow) -> str:
        """Whose change is lost: that of another request, or of the worker thread that alone can come in between."""
        if window.is_beside_threads:
            return f"what {rivals_of(window)} writes to `{window.shown}` meanwhile on a worker thread is overwritten."
        return f"of {routes_of(window)} at once, one overwrites what the other wrote to `{window.shown}`."

    @staticmethod
    def emptied(window: RaceWindow) -> Match | None:
        """What is added to a container while its contents are handed on goes when it is emptied."""
        if not window.race or not any(write.kind != "remove" and not write.empties for _, write in window.rivals):
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` hands on what is in `{window.shown}`, {gap(window)}, then empties it: "
            f"what is added to `{window.shown}` meanwhile is lost.",
        )

    @staticmethod
    def set_back(window: RaceWindow) -> Match | None:
        """What is counted while a number is handed on goes when it is set back."""
        counted = any(write.kind == "augment" or write.made == "expression" for _, write in window.rivals)
        if not counted or window.write is None:
            return None
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` hands on what `{window.shown}` is, {gap(window)}, then sets it back to "
            f"{window.write.text}: what is counted in `{window.shown}` meanwhile is lost.",
        )

    def latent(self, window: RaceWindow) -> Match:
        where = "one event loop" if window.context == "event loop" else "CPython with its global lock"
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` changes `{window.shown}` without a lock: atomic today on {where}, "
            f"and updates are lost as soon as something may run between its read and its write.",
        )
