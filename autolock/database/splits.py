"""Writes that belong together and are committed apart, and rows that are locked in the order of the arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from autolock.database.harm import exclude, is_invented, is_telling
from autolock.database.objects import Session
from autolock.database.schema import Column
from autolock.database.trace import Commit, DatabaseTrace, RowRead, RowWrite, Split
from autolock.database.windows import RowWindow
from autolock.program.decisions import shape_of
from autolock.program.linker import Program
from autolock.program.trace import Entry, context_name
from autolock.program.values import Root, Row, Value
from autolock.program.windows import RaceWindow, meeting

Returned = dict[int, set[str]]
#: Tables and their columns that some WHERE asks about.
Asked = set[tuple[Root, str]]


@dataclass(slots=True)
class SplitWindow(RaceWindow):
    """Two commits of one run. `earlier` and `later` are writes that belong together."""

    split: Split | None = None
    earlier: RowWrite | None = None
    later: RowWrite | None = None

    @property
    def pair(self) -> tuple[RowWrite, RowWrite]:
        """The two writes."""
        assert self.earlier is not None
        assert self.later is not None
        return self.earlier, self.later

    @property
    def commits(self) -> tuple[Commit, Commit]:
        """The two commits."""
        assert self.split is not None
        return self.split.first, self.split.second

    @property
    def shown(self) -> str:
        earlier, later = self.pair
        return " and ".join(dict.fromkeys((earlier.model.ref.name, later.model.ref.name)))


def split_windows(program: Program, trace: DatabaseTrace) -> list[RaceWindow]:
    """One window for each function that commits its work in pieces."""
    found: dict[object, SplitWindow] = {}
    asked = {
        (read.location.root, c.column)
        for _, read in trace.reads
        for c in read.query.conditions
        if not c.ranged  # who has been here lately, as opposed to: what is not used up
    }
    marks = _marks(trace)
    for split in trace.splits:
        window = _split(split, trace.returned, asked, marks)
        if window is None or _is_instead(program, window):
            continue
        known = found.setdefault(window.function, window)
        if known is not window and all(e is not window.entry for e in known.entries):
            known.entries.append(window.entry)
    return list(found.values())


def _marks(trace: DatabaseTrace) -> set[int]:
    """The writes that say how far a run has come: the same run sets the column of the row to another constant later.

    So does a new row of which the run says later that it has failed.
    """
    last: dict[object, RowWrite] = {}
    marks: set[int] = set()
    for entry, write in reversed(trace.writes):
        if write.form == "insert" and write.row in trace.failed:
            marks.add(write.serial)
        if write.form != "attribute" or write.row is None or not write.text or not write.column:
            continue
        later = last.setdefault((id(entry), id(write.row), write.column), write)
        if later.text != write.text and not exclude(write, later):
            marks.add(write.serial)
    return marks


def _only_clears_keys(commit: Commit) -> bool:
    """Whether nothing but keys of redis is taken away or counted up, which are gone by themselves some day."""
    return all(w.model.library == "redis" and w.kind in ("remove", "augment") for w in commit.writes)


def _split(split: Split, returned: Returned, asked: Asked, marks: set[int]) -> SplitWindow | None:
    """The window between two commits; what a handler commits after a failure is the answer to it, no second half."""
    first, second = split.first, split.second
    if _only_clears_keys(first) or _only_clears_keys(second):
        return None
    if not split.entry.many or _is_one_call(first, second) or first.session is not second.session:
        return None
    pair = next(
        (
            (a, b)
            for a in first.writes
            for b in second.writes
            if a.handling == b.handling
            and a.serial not in marks
            and _belong(a, b, returned)
            and not _is_swept(a)
            and not _is_swept(b)
            and not _tells(a, asked)
            and not _tells(b, asked)
        ),
        None,
    )
    if pair is None or first.stack[0].serial != second.stack[0].serial:
        return None
    function, one, other = meeting(pair[0].stack, pair[1].stack)
    if one is None or other is None or one is other:
        return None
    return SplitWindow(
        "split",
        pair[1].location,
        function,
        one,
        other,
        split.entry,
        True,
        context_name(second.context),
        write=pair[1],
        rivals=[(split.entry, pair[0])],
        entries=[split.entry],
        split=split,
        earlier=pair[0],
        later=pair[1],
    )


def _is_one_call(first: Commit, second: Commit) -> bool:
    """Whether two commits are the turns of a loop; a helper that commits may be called from several places."""
    return first.node is second.node and [f.statement for f in first.stack] == [f.statement for f in second.stack]


def _is_instead(program: Program, window: SplitWindow) -> bool:
    """Whether the second write is made where the first has found nothing: `if result.matched_count == 0: ...`."""
    unit, one, other = program.unit(window.function.path), window.first, window.last
    function = unit.functions.get(window.function.name) if unit is not None else None
    target = one.targets[0] if isinstance(one, ast.Assign) else one.target if isinstance(one, ast.AnnAssign) else None
    if function is None or not isinstance(target, ast.Name):
        return False
    for node in ast.walk(function):
        if isinstance(node, ast.If) and any(n is other for s in node.body for n in ast.walk(s)):
            asked = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
            if target.id in asked and _says_nothing_done(node.test):
                return True
    return False


def _says_nothing_done(test: ast.expr) -> bool:
    """`not result`, `result is None`, `result.rowcount == 0`, `status == "UPDATE 0"`."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.ops) == 1:
        right = test.comparators[0]
        value = right.value if isinstance(right, ast.Constant) else None
        return value == 0 or (isinstance(value, str) and value.endswith(" 0"))
    return shape_of(test) in ("falsy", "missing")


def _is_swept(write: RowWrite) -> bool:
    """Whether a statement takes away what is old: what is left over goes the next time."""
    return write.form == "delete" and any(c.ranged for c in write.conditions)


def _tells(write: RowWrite, asked: Asked) -> bool:
    """Whether a write only tells what has happened, or when, and nobody looks for it: `user.last_login = now()`."""
    column = write.model.columns.get(write.column)
    timed = column is not None and column.kind == "datetime" and write.form == "attribute"
    if timed and write.value is not None and is_invented(write.value):
        return (write.location.root, write.column) not in asked
    return is_telling(write)


_WITHOUT_TRANSACTIONS = frozenset({"mongo", "beanie"})


def _belong(one: RowWrite, other: RowWrite, returned: Returned) -> bool:
    """Whether half of two writes is wrong: the one names the other's row, or both are parts of one change."""
    if one.row is not None and one.row is other.row:
        return False
    made = returned.get(one.query.serial, set()) if one.row is None and one.query is not None else set()
    rows = made if one.row is None else {f"row{one.row.serial}"}
    named = [v for v in _values(other) if v.term.partition(".")[0] in rows or _key_of(v) in made]
    if named and not (other.form == "insert" and all(_is_copied(v, one) for v in named)):
        return True
    if one.location.root == other.location.root and one.form == other.form == "update" and _automatic(one):
        return bool(_terms(one) & _terms(other)) or one.made == other.made == "atomic"
    if one.location.root == other.location.root and {one.kind, other.kind} == {"insert", "remove"}:
        return bool(_terms(one) & _terms(other))  # all of them are replaced
    if one.location.root == other.location.root:
        return (one.made == "atomic" and other.made == "atomic") or (one.kind == other.kind == "augment")
    if one.kind == other.kind == "remove":
        # Where there are no transactions to speak of, what is left over is removed when it is tried again.
        library = one.session.library if one.session is not None else one.model.library
        return library not in _WITHOUT_TRANSACTIONS
    counted = one.made == "atomic" or one.kind == "augment", other.made == "atomic" or other.kind == "augment"
    return any(counted) and bool(_terms(one) & _terms(other) or _is_counted_for(one, other))


def _is_copied(value: Value, write: RowWrite) -> bool:
    """Whether a value is what a loaded row says, and neither names that row nor is what has been changed in it."""
    column = write.model.columns.get(value.term.partition(".")[2])
    loaded = write.row is not None and write.row.origin is not None and write.form == "attribute"
    return loaded and column is not None and column.name != write.column and not _names_a_row(column)


def _names_a_row(column: Column) -> bool:
    return column.primary_key or column.unique or bool(column.foreign_key)


def _is_counted_for(one: RowWrite, other: RowWrite) -> bool:
    """Whether a row is counted up or down for the new one that follows, and names it by the key that found it."""
    origin = one.row.origin if one.row is not None else None
    if not isinstance(origin, RowRead) or one.kind != "augment" or other.form != "insert":
        return False
    keys = {c.value.term for c in origin.query.conditions if c.operator == "==" and c.value.term}
    beside = one.function == other.function and set(one.decided) == set(other.decided)
    return beside and bool(keys & _terms(other))


def _key_of(value: Value) -> str:
    """The new row that an INSERT has returned a key of: the value stands for all of it."""
    return f"row{value.obj.serial}" if isinstance(value.obj, Row) else ""


def _automatic(write: RowWrite) -> bool:
    """Whether a statement was committed by itself."""
    return any(commit.automatic for commit in write.commits)


def _values(write: RowWrite) -> Iterator[Value]:
    """Everything that a write mentions."""
    if write.row is not None:
        yield from write.row.fields.values()
    if write.query is not None:
        yield from write.query.values.values()
        yield from (c.value for c in write.query.conditions)
    if write.value is not None:
        yield write.value


def _terms(write: RowWrite) -> set[str]:
    return {v.term for v in _values(write) if v.term and v.made not in ("const", "none")}


# -- the order of locks ----------------------------------------------------------------


def order_windows(trace: DatabaseTrace) -> list[RaceWindow]:
    """Two rows of one table, locked one after the other in whatever order the request names them."""
    last: dict[tuple[int, Session, int, object], RowRead] = {}
    found: dict[object, RowWindow] = {}
    for entry, read in trace.reads:
        if not read.query.locks or not entry.many or read.what != "row":
            continue
        key = (id(entry), read.session, read.transaction, read.location.root)
        earlier = last.setdefault(key, read)
        if earlier is read or not _unordered(earlier, read) or earlier.stack[0].serial != read.stack[0].serial:
            continue
        window = _order(entry, earlier, read)
        known = found.setdefault((window.function, read.location.root), window)
        if known is not window:
            known.entries.append(entry)
    return list(found.values())


def _unordered(one: RowRead, other: RowRead) -> bool:
    """Whether two looks lock rows that the caller names, each by itself."""
    plain = all(
        len(r.query.conditions) == 1 and r.query.conditions[0].operator == "==" and not r.query.limited
        for r in (one, other)
    )
    _, first, last = meeting(one.stack, other.stack)
    if not plain or (one.node is other.node and first is last):
        return False  # the turns of a loop
    terms = {r.query.conditions[0].value.term for r in (one, other)}
    return len(terms) == 2 and "" not in terms


def _order(entry: Entry, one: RowRead, other: RowRead) -> RowWindow:
    function, first, last = meeting(one.stack, other.stack)
    return RowWindow(
        "row-order",
        other.location,
        function,
        first,
        last,
        entry,
        True,
        context_name(other.context),
        relation="opposite-order",
        read=one,
        write=None,
        entries=[entry],
        model=other.query.model,
        second=other,
    )
