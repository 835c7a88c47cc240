"""AL106 file-lost-update."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match
from autolock.rules.shapes import function_name, gap, is_file, routes_of

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class FileLostUpdate:
    """A file is read, changed in memory and written back whole.

    Of two requests that do so at once, the second to write puts back a file without the first one's
    change.

    ## Racy

        settings = json.loads(PATH.read_text())
        settings[key] = value
        PATH.write_text(json.dumps(settings))

    ## Interleaving

        A reads the file; B reads the file; A writes it with its key; B writes it without A's key

    ## Fix

    One lock for the file, held from the read to the write by every function that writes it. It holds
    within one process; where several processes share the file, use a file lock.

    ## Refused

    Where the path is not a name that all writers share, and as for lost-update.
    """

    id: ClassVar[str] = "AL106"
    name: ClassVar[str] = "file-lost-update"
    category: ClassVar[str] = "memory"
    summary: ClassVar[str] = "a file is read, changed and written back while another request does the same"
    codemods: ClassVar[tuple[str, ...]] = ("wrap-in-lock", "define-lock", "import-name")

    def match(self, window: RaceWindow) -> Match | None:
        if window.kind != "read-write" or not is_file(window) or not window.race or window.relation != "unguarded":
            return None
        inserted = window.write is not None and window.write.kind == "insert"
        if inserted and window.dependence != "data":
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` looks into the file `{window.shown}`, {gap(window)}, then appends to it: "
                f"of {routes_of(window)} at once, both see what the file was before, and both append.",
            )
        if window.dependence != "data":
            return Match(
                Severity.MEDIUM,
                f"`{function_name(window)}` looks whether the file `{window.shown}` is there, "
                f"{gap(window)}, then writes it: "
                f"another request writes it at the same time, or finds it half written.",
            )
        if inserted:
            return Match(
                Severity.HIGH,
                f"`{function_name(window)}` reads the file `{window.shown}`, {gap(window)}, then appends what it "
                f"worked out from that: what another request appended in the meantime is not in it.",
            )
        return Match(
            Severity.HIGH,
            f"`{function_name(window)}` reads the file `{window.shown}`, {gap(window)}, then writes it back whole: "
            f"what another request wrote to the file in the meantime is lost.",
        )
