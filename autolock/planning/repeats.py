"""Whether a request may set a column again before the database has computed what it was set to first.

`row.n = Model.n + 1` is sent by the next flush. Another `row.n = ...` that comes before it takes its place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from autolock.database.harm import exclude
from autolock.database.trace import Commit, DatabaseTrace, RowRead, RowWrite
from autolock.planning.blocks import Sources
from autolock.planning.statements import loops_round
from autolock.program.trace import Entry, Event, Frame

#: How rows are found without a statement where the session has them already: nothing is flushed before it.
_KEPT = frozenset({"get", "attribute", "relationship", "parameter"})
_Loop = ast.For | ast.AsyncFor | ast.While


class Repeats:
    """Looks for a second change of what an assignment sets."""

    def __init__(self, sources: Sources, trace: DatabaseTrace) -> None:
        self.sources = sources
        self.trace = trace

    def is_set_twice(self, entry: Entry, write: RowWrite) -> bool:
        """Whether the same run may set the column of the row a second time with nothing sent in between."""
        return self.is_set_in_turns(write) or any(
            _may_meet(*sorted((write, other), key=lambda w: w.serial)) for other in self.others(entry, write)
        )

    def others(self, entry: Entry, write: RowWrite) -> Iterator[RowWrite]:
        """What else the run sets the column to, in the same transaction."""
        way = _way(write)
        for other_entry, other in self.trace.writes:
            same = other_entry is entry and other.location == write.location and other.transaction == write.transaction
            if same and other.form == "attribute" and _way(other) != way and not exclude(write, other):
                yield other

    def is_set_in_turns(self, write: RowWrite) -> bool:
        """Whether a loop round the assignment may come to the row of an earlier turn."""
        for frame in write.stack:
            if frame.function is None or frame.statement is None:
                return True
            for loop in loops_round(self.sources.node_of(frame.function), frame.statement):
                if not (_is_sent_in(loop, frame, write) or _is_row_a_turn(loop, frame, write)):
                    return True
        return False


def _may_meet(first: RowWrite, second: RowWrite) -> bool:
    """Whether the second change may be one of the same row before the first is sent."""
    look = second.found
    return look is None or look.serial < first.serial or not _flushes(look)


def _flushes(look: RowRead) -> bool:
    """Whether a look sends what waits in its session."""
    session = look.session
    return session.known and session.autoflush and look.query.form not in _KEPT


def _is_sent_in(loop: _Loop, frame: Frame, write: RowWrite) -> bool:
    """Whether each turn loads the row by a statement that flushes, or commits."""
    look = write.found
    if look is not None and _flushes(look) and _is_inside(loop, frame, look):
        return True
    return any(_is_inside(loop, frame, commit) and _is_certain(commit, write) for commit in write.commits)


def _is_certain(commit: Commit, write: RowWrite) -> bool:
    """Whether nothing was asked between a change and its commit."""
    return set(commit.decided) <= set(write.decided)


def _is_row_a_turn(loop: _Loop, frame: Frame, write: RowWrite) -> bool:
    """Whether the loop goes through the rows of a look that gives each once: `for row in rows: row.n += 1`."""
    look, target = write.found, getattr(write.node, "target", None) or getattr(write.node, "targets", [None])[0]
    if look is None or frame is not write.stack[-1] or isinstance(loop, ast.While) or look.query.joined:
        return False
    holder = target.value if isinstance(target, ast.Attribute) else None
    named = isinstance(holder, ast.Name) and isinstance(loop.target, ast.Name) and holder.id == loop.target.id
    return named and look.query.form != "get" and not _is_inside(loop, frame, look)


def _is_inside(loop: _Loop, frame: Frame, event: Event) -> bool:
    """Whether something happens in the body of a loop that is in the function of `frame`."""
    own = next((f.statement for f in event.stack if f.serial == frame.serial), None)
    return own is not None and own is not loop and any(inner is own for inner in ast.walk(loop))


def _way(event: Event) -> tuple[int, ...]:
    """By which statements something is reached."""
    return tuple(id(f.statement) for f in event.stack)
