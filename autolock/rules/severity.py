"""How bad it is when what was read or checked is no longer so at the write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autolock.findings import Severity
from autolock.program.decisions import ABSENT

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


def severity_of_act(window: RaceWindow) -> Severity:
    """Of a change that a check allows: high where something is spent twice, low where only work is done twice."""
    write = window.write
    assert write is not None
    if window.taken:
        return Severity.HIGH
    if window.claimed:
        return Severity.LOW
    if write.kind == "remove":
        put = window.between is not None and any(w.kind != "remove" for _, w in window.rivals)
        return Severity.MEDIUM if window.exit == "raise" or put else Severity.LOW
    if write.kind == "insert" and not window.exit:
        return Severity.LOW
    if window.fleeting:
        return Severity.MEDIUM if window.exit == "raise" or write.kind == "augment" else Severity.LOW
    if write.kind == "assign" and not window.exit and (write.made == "const" or window.shape in ABSENT):
        return Severity.MEDIUM  # a flag or a gap that is filled on the way: nobody was told that it was free
    if write.kind == "augment" or window.shape in ("compare", "missing", "falsy", "equal"):
        return Severity.HIGH if write.kind != "insert" else Severity.MEDIUM
    return Severity.MEDIUM


def severity_of_window(window: RaceWindow) -> Severity:
    """Of a window that a lock leaves open: as of the same one without; what adds or takes out overwrites nothing."""
    if window.dependence == "control" or (window.write is not None and window.write.kind in ("insert", "remove")):
        return severity_of_act(window)
    return Severity.MEDIUM if window.fleeting else Severity.HIGH
