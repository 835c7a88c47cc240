"""Values that a request works out from other rows, of which it has changed one itself: a total, a rating, a count.

Each of two requests sees its own change and not the other's, and the later one writes a value that leaves the first
one's change out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autolock.database.parents import refers_to
from autolock.database.trace import RowCandidate, RowRead, RowWrite

if TYPE_CHECKING:
    from autolock.database.objects import Condition
    from autolock.database.trace import DatabaseTrace
    from autolock.program.trace import Entry


def derived(trace: DatabaseTrace) -> Iterator[RowCandidate]:
    """Each value of a row that a query has worked out from rows that belong to it, after a change of one of them."""
    for entry, write in trace.writes:
        if write.form not in ("attribute", "update") or write.value is None or not entry.many:
            continue
        for read in write.value.reads:
            if not isinstance(read, RowRead) or not (read.what == "aggregate" or _adds_up(write)):
                continue
            if not _belongs(read, write):
                continue
            if changed_before(trace, entry, read) is not None:
                yield RowCandidate(entry, read, write, "data")


def changed_before(trace: DatabaseTrace, entry: Entry, read: RowRead) -> RowWrite | None:
    """The first change of such rows that the same request makes before it looks at them."""
    rows = read.location.root
    ours = (w for e, w in trace.writes if e is entry and w.serial < read.serial and w.location.root == rows)
    return min(ours, key=lambda w: w.serial, default=None)


def _adds_up(write: RowWrite) -> bool:
    """Whether fetched rows are counted or added up where the value is set: `sum(r.stars for r in reports)`."""
    value = write.node.value if isinstance(write.node, ast.Assign) else None
    return value is not None and any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in ("sum", "len")
        for n in ast.walk(value)
    )


def _belongs(read: RowRead, write: RowWrite) -> bool:
    """Whether the rows that are looked at are those of the row that is written."""
    if read.location.root == write.location.root:
        return False
    return any(
        c.operator == "==" and refers_to(read.query.model, c.column, write.model) and _names(c, write)
        for c in read.query.conditions
    )


def _names(condition: Condition, write: RowWrite) -> bool:
    """Whether a condition asks for the row that is written: by the value that it was found by, or by its own column."""
    origin = write.row.origin if write.row is not None else write.found
    found = origin.query if isinstance(origin, RowRead) else None
    terms = {
        c.value.term for c in (*write.conditions, *(found.conditions if found is not None else ())) if c.value.term
    }
    if condition.value.term in terms:
        return True
    return found is not None and any(isinstance(r, RowRead) and r.query is found for r in condition.value.reads)
