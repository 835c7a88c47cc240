"""From what was recorded of rows to Windows that two requests can enter at once."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autolock.database.chosen import subquery
from autolock.database.derived import derived
from autolock.database.harm import Harm, is_fixed, is_invented, keeps, mentions, same_value
from autolock.database.hooks import CONFLICTS, VIOLATIONS
from autolock.database.models import Model, Models
from autolock.database.objects import Condition, Query
from autolock.database.rows import Rows, same_row
from autolock.database.sending import done_between, sends, sends_each
from autolock.database.trace import DatabaseTrace, RowCandidate, RowRead, RowWrite
from autolock.database.transitions import asks_for_state
from autolock.program.branches import Branches, shared_frames
from autolock.program.decisions import asked_with_details, asks_of_any, effective, says_different, shape_of
from autolock.program.linker import Program, Ref
from autolock.program.trace import Control, Held, Read, context_name
from autolock.program.values import LockValue, Value
from autolock.program.windows import RaceWindow, Seat, meeting

if TYPE_CHECKING:
    from autolock.deployment.evidence import Deployed

#: What is known of a table when a row is put into it because there was none, or not too many.
_ABSENT = frozenset({"missing", "falsy", "compare", "different", "equal"})
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
#: Methods of a text that give it in a form in which texts are compared.
_TRIMMING = tuple(f".{name}()" for name in ("strip", "lstrip", "rstrip", "lower", "upper", "title", "casefold"))
#: Names of functions that fill an empty database, once; `get_or_bootstrap` is what every request calls.
_SEEDING = re.compile(r"(^|[._])(?<!get_or_)(re)?(seed|bootstrap)(_|$)")


@dataclass(slots=True)
class RowWindow(RaceWindow):
    """A Window whose Location is rows of a table.

    `kind` is row-update, row-insert, row-claim, row-skew, row-lock-lost, row-stale or row-order, which
    has two looks, the other one in `second`, and no write. `unique` is the
    constraint that covers an insert's check, `columns` what the check asks about, `candidates` all
    that make up the window. `once` tells that the row is made at the first request of all, and stays, `follows`
    that a check lets more happen than that a state is set. A lock of one process spans it where `deployed` says that
    there are several.
    """

    model: Model | None = None
    candidates: list[RowCandidate] = field(default_factory=list)
    unique: frozenset[str] | None = None
    columns: tuple[str, ...] = ()
    counted: bool = False
    once: bool = False
    follows: bool = True
    second: RowRead | None = None
    deployed: Deployed | None = None

    @property
    def look(self) -> RowRead:
        """The SELECT."""
        assert isinstance(self.read, RowRead)
        return self.read

    @property
    def change(self) -> RowWrite:
        """The dependent write."""
        assert isinstance(self.write, RowWrite)
        return self.write

    @property
    def seat(self) -> Seat:
        """Where it is decided and then written: of a row that a caller has loaded, the helper that does both."""
        control, own = self.decision, Seat(self.function, self.first, self.last)
        if self.write is None or control is None or not isinstance(control.node, ast.expr):
            return own
        frames = self.write.stack
        depth = next((n for n, frame in enumerate(frames) if frame.serial == control.frame), -1)
        decided = frames[depth]
        if depth < max(shared_frames(self.look.stack, frames), 1) or decided.function is None:
            return own
        if self.is_of_the_row(decided.function):
            return own
        return Seat(decided.function, control.node, decided.statement)

    @property
    def decision(self) -> Control | None:
        """The test that the write depends on; of a computed value, one of the old value in a helper that commits."""
        if self.write is None or self.dependence != "data":
            return self.control if self.dependence == "control" else None
        asked = [c for c in self.change.decided if c.exit and any(self.is_looked_at(r) for r in c.reads)]
        inside = {frame.serial for commit in self.change.commits for frame in commit.stack}
        return next((c for c in reversed(asked) if c.frame in inside), None)

    def is_looked_at(self, read: Read) -> bool:
        """Whether a test has read the column that is written, of the row that the look has found."""
        return isinstance(read, RowRead) and read.query is self.look.query and read.location == self.change.location

    def is_of_the_row(self, function: Ref) -> bool:
        """Whether a function is a method of the class of the rows: who calls it has loaded the row."""
        holder = function.name.rpartition(".")[0]
        return self.model is not None and holder == self.model.ref.name and function.path == self.model.ref.path

    @property
    def counts_up(self) -> bool:
        """Whether a number in redis goes up: too many of something were let through, and nothing is gone."""
        call = self.change.node
        if self.change.model.library != "redis" or not isinstance(call, ast.Call):
            return False
        named = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        return "incr" in named and not any(isinstance(a, ast.UnaryOp) for a in call.args)

    @property
    def model_name(self) -> str:
        """The name of the class, or of the table that has none."""
        assert self.model is not None
        return self.model.ref.name

    @property
    def shown(self) -> str:
        assert self.model is not None
        column = self.write.column if isinstance(self.write, RowWrite) else ""
        return f"{self.model.ref.name}.{column}" if column else self.model.ref.name


class RowFinder:
    """Turns what was recorded of rows into windows."""

    def __init__(
        self,
        program: Program,
        trace: DatabaseTrace,
        models: Models,
        stopped: Collection[str] = (),
        deployed: Deployed | None = None,
    ) -> None:
        self.deployed = deployed
        self.program = program
        self.trace = trace
        self.models = models
        self.stopped = stopped
        self.harm = Harm(trace, Branches(program))
        self.answers = frozenset(
            route.path.rpartition(".")[2]
            for facts in program.modules.values()
            for route in facts.routes
            if route.kind == "exception_handler"
        )

    def windows(self) -> list[RaceWindow]:
        """All windows, one for each function, table and kind."""
        return list(_merged([*_without_first_looks(list(self.judged())), *self.derived()]))

    def derived(self) -> Iterator[RowWindow]:
        """Values that are worked out from other rows, while nobody is kept from changing those."""
        for candidate in derived(self.trace):
            kept = self.is_guarded(candidate) or self.is_dropped(candidate) or candidate.read.isolated
            if not kept and not candidate.write.model.version_column:
                yield self.make("row-skew", candidate, "unguarded")

    def judged(self) -> Iterator[RowWindow]:
        nearest = _nearest(self.trace.candidates)
        for candidate in self.trace.candidates:
            if shared_frames(candidate.read.stack, candidate.write.stack) < nearest[_pair(candidate)]:
                continue  # what an earlier turn has read, and this one reads or has read again
            window = self.window_of(candidate)
            if window is not None:
                yield window

    def window_of(self, candidate: RowCandidate) -> RowWindow | None:
        write = candidate.write
        single = not candidate.entry.many or self.harm.is_own(candidate) or self.harm.is_underway(candidate)
        if single and not self.has_rival(candidate):
            return None
        if self.is_dropped(candidate) or self.is_asked_again(candidate) or self.harm.is_claimed(candidate):
            return None
        if self.is_compared_under_lock(candidate):
            return None
        if write.form == "insert":
            return self.insert(candidate)
        if candidate.dependence == "where":
            return self.claim(candidate)
        if write.form == "attribute" and (candidate.read.what == "row" or self.asks_for_any(candidate.read)):
            return self.taken(candidate) or self.skew(candidate)
        if candidate.read.what == "column":
            return self.update(candidate)
        if write.form == "delete" and candidate.read.what == "row":
            return None if self.tells_how_many(write) else self.claim(candidate)
        return self.skew(candidate)

    def tells_how_many(self, write: RowWrite) -> bool:
        """Whether somebody asks a DELETE how many rows were there to be deleted."""
        query, session = write.query, write.session
        if query is None or session is None or session.library != "sqlalchemy" or query.form == "query":
            return not _is_thrown_away(write)  # what the call itself returns tells, and may have been looked at
        return query.returning or query.serial in self.trace.counted

    def has_rival(self, candidate: RowCandidate) -> bool:
        """Whether something else writes the column that one job, or one task of a row of its own, reads and writes."""
        write, function = candidate.write, candidate.entry.function
        return any(
            entry is not candidate.entry
            and (entry.function is None or entry.function != function)
            and other.location == write.location
            and other.form != "insert"
            for entry, other in self.trace.writes
        )

    # -- kinds ---------------------------------------------------------------------------

    def update(self, candidate: RowCandidate) -> RowWindow | None:
        """A column is read and written."""
        read, write = candidate.read, candidate.write
        if read.column != write.column and write.kind != "remove":
            return None
        column = write.model.columns.get(write.column)
        if column is not None and column.primary_key:
            return None
        if (
            not self.same_row(read, write)
            or self.is_conditional(write, self.identity(read))
            or write.model.version_column
        ):
            return None
        if write.form == "save" and not self.harm.is_changed_elsewhere(write):
            return None
        if candidate.dependence == "data":
            if self.is_kept(write) or not self.harm.is_lost_update(candidate):
                return None
        elif not self.harm.is_check_then_act(candidate) and not self.is_done_once(candidate):
            return None
        relation = self.relation(candidate)
        if relation is None:
            return None
        kind = {"lock-lost": "row-lock-lost", "stale": "row-stale", "early": "row-stale"}.get(relation, "row-update")
        return self.make(kind, candidate, relation)

    def is_done_once(self, candidate: RowCandidate) -> bool:
        """Whether something is sent or paid because a state says that it was not yet, and the state is set after it."""
        write, control = candidate.write, candidate.control
        if control is None or write.kind != "assign" or not asks_for_state(control, write.column):
            return False
        frame = next((f for f in write.stack if f.serial == control.frame), None)
        node = self.node_of(frame.function) if frame is not None and frame.function is not None else None
        if frame is None or node is None or frame.statement is None:
            return False
        return done_between(node, control.node, frame.statement)

    def is_kept(self, write: RowWrite) -> bool:
        """Whether a mapper sees no change where the old value went through a name, as a default of another one.

        An UPDATE that is written out sets the old value all the same.
        """
        node = write.node.value if isinstance(write.node, ast.Assign) else None
        if write.form != "attribute" or not isinstance(node, ast.Name):
            return False
        function = self.node_of(write.function)
        given = _given_to(node.id, function) if function is not None else None
        return bool(given) and not any(_computes(value, write.column, function) for value in given or ())

    def node_of(self, ref: Ref) -> ast.AST | None:
        """The definition of a function, as it is written."""
        return self.program.syntax_of(ref)

    def claim(self, candidate: RowCandidate) -> RowWindow | None:
        """A row is chosen by what it is, and then made something else, or taken away."""
        read, write = candidate.read, candidate.write
        if self.is_conditional(write) or write.model.version_column or read.query.skips_locked:
            return None
        if write.kind == "remove" and write.handling:
            return None  # what could not be finished is taken back
        if not self.harm.is_claim(candidate) and not self.is_sent_each(write):
            return None
        relation = self.relation(candidate)
        if relation is None:
            return None
        if relation == "stale" and write.kind != "remove":
            return None  # the database has asked under the lock whether the row still is such a one
        kind = {"lock-lost": "row-lock-lost", "stale": "row-stale"}.get(relation, "row-claim")
        return self.make(kind, candidate, relation)

    def is_sent_each(self, write: RowWrite) -> bool:
        """Whether each row that a loop marks is sent somewhere by it: two that see it unmarked both send it."""
        if write.kind == "remove" or not write.loops:
            return False
        for frame in write.stack:
            function = self.node_of(frame.function) if frame.function is not None else None
            for loop in ast.walk(function) if function is not None else ():
                inside = isinstance(loop, ast.For | ast.AsyncFor) and any(n is frame.statement for n in ast.walk(loop))
                if inside and isinstance(loop, ast.For | ast.AsyncFor) and sends_each(loop):
                    return True
        return False

    def insert(self, candidate: RowCandidate) -> RowWindow | None:
        """A row is put where a look found none, or not too many."""
        read, write = candidate.read, candidate.write
        control = candidate.control
        counted = self.is_number(candidate) or (control is not None and counts(control.node))
        shape = _shape_of(control) if control is not None else ""
        if candidate.dependence == "control" and shape not in _ABSENT:
            return None
        if control is not None and (_asks_for_enough(control) or self.lists_missing(control, write)):
            return None
        if control is not None and _runs_for_no_key(control, write):
            return None
        numbered = candidate.dependence == "data" and read.what == "column"
        if (
            read.what == "column"
            and not numbered
            and (read.row is None or control is None or shape not in ("missing", "compare"))
        ):
            return None
        if read.what == "column" and control is not None and _is_among_constants(control.node):
            return None
        if read.what == "column" and not numbered and self.is_the_only_one(read):
            return None  # the look would raise if the new row were another one that it finds
        # No constraint refuses one too many, nor a value that may be there twice.
        limited = counted and (candidate.dependence == "control" or self.is_never_alone(candidate))
        if self.is_settled(write, limited) or self.is_there(candidate, shape):
            return None
        if any(frame.function is not None and _SEEDING.search(frame.function.name) for frame in write.stack):
            return None
        if shape in ("equal", "different") and self.is_about_a_column(candidate):
            return None
        columns = self.harm.asked_of(candidate)
        if columns is None or (shape in ("equal", "different") and self.harm.is_about_another(candidate)):
            return None
        unique = self.constraint(write, columns) if not counted else None
        refused = unique is not None or not self.is_never_refused(candidate, columns)
        if (not limited and refused and self.is_answered(candidate, unique)) or self.is_guarded(candidate):
            return None
        ranged = any(c.ranged for c in read.query.conditions)
        kind = "row-skew" if ranged and not counted and unique is None else "row-insert"
        window = self.make(kind, candidate, "unguarded")
        if unique is None and (not read.query.exact or self.may_be_refused(write, columns)):
            columns = ()  # what else was asked, or what a constraint is about beside it, is not known
        window.unique, window.columns, window.counted = unique, columns, counted
        window.once = not counted and self.is_made_once(read)
        return window

    def is_the_only_one(self, read: RowRead) -> bool:
        """Whether a look raises where it finds several rows."""
        return read.serial in self.trace.single and read.query.form != "relationship"

    def is_made_once(self, read: RowRead) -> bool:
        """Whether all requests look for one and the same row, which nobody takes away, and are content with any such.

        The settings, the default role: whoever asks for the only one of them would fail where there are two.
        """
        query = read.query
        if not query.exact or query.form == "relationship" or self.is_the_only_one(read):
            return False
        if not all(c.operator in ("==", "is", "is null") and is_fixed(c.value) for c in query.conditions):
            return False
        asked = {c.column for c in query.conditions}
        changes = (w for _, w in self.harm.of_table[read.location.root] if w.form != "insert")
        return not any(w.kind == "remove" or w.column in asked or (asked and not w.column) for w in changes)

    def is_never_alone(self, candidate: RowCandidate) -> bool:
        """Whether what is made of the look goes into columns that any number of rows may have alike: a role."""
        write, given = candidate.write, self.harm.given(candidate.write) or {}
        made = {name for name, value in given.items() if candidate.read in value.reads}
        constraints = [*write.model.uniques, *write.model.partial_uniques]
        return write.model.settled and bool(made) and not any(made & unique for unique in constraints)

    @staticmethod
    def is_settled(write: RowWrite, limited: bool) -> bool:
        """Whether the statement itself asks what is there, or leaves a row that is: counted rows want the first."""
        query = write.query
        return query is not None and query.guarded and (query.unknown_values or not limited)

    def is_there(self, candidate: RowCandidate, shape: str) -> bool:
        """Whether the run has left where the row is missing, so that what comes is no answer to that.

        That is so too where a later look, that asks for no more, is said to have found none.
        """
        read, write = candidate.read, candidate.write
        open_frames = {frame.serial for frame in write.stack}
        sure = [c for c in write.decided if _is_sure(c) and (c.exit == "raise" or c.frame in open_frames)]
        found = [(c, r) for c in sure for r in _rows_of(c, write, "present", "truth")]
        unsure = candidate.control is not None and not _is_sure(candidate.control)
        plain = shape in ("missing", "falsy") and (read.what == "row" or unsure)
        if plain and any(r.query is read.query for _, r in found):
            return True
        absent = [r for c in sure for r in _rows_of(c, write, "missing", "falsy")]
        return any(
            _includes(a.query, f.query) and self.is_always_asked(control, write) and not self.is_taken_between(f, write)
            for control, f in found
            for a in absent
        )

    def is_always_asked(self, control: Control, write: RowWrite) -> bool:
        """Whether a test stands in the body of a function that is running, and in no branch of it."""
        ref = next((f.function for f in write.stack if f.serial == control.frame), None)
        function = self.node_of(ref) if ref is not None else None
        body = function.body if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) else []
        return any(isinstance(s, ast.If) and s.test is control.node for s in body)

    def is_taken_between(self, read: RowRead, write: RowWrite) -> bool:
        """Whether something takes rows of the table away between a look and a write, whoever does so."""
        removed = (w for _, w in self.harm.of_table[write.location.root] if w.kind == "remove")
        return any(read.serial < w.serial < write.serial for w in removed)

    def is_number(self, candidate: RowCandidate) -> bool:
        """Whether it matters how many rows there are, and not only whether there is any: `count() > 0`."""
        read = candidate.read
        whether_any = candidate.dependence == "control" and self.asks_for_any(read)
        whether_any = whether_any and not (candidate.control is not None and _reckons(candidate.control.node))
        return (read.what == "aggregate" or candidate.dependence == "data") and not whether_any

    def asks_for_any(self, read: RowRead) -> bool:
        """Whether rows are counted to see whether there is any; of a whole table it is the first one that matters."""
        return self.trace.presence.get(read.serial, False) and bool(read.query.conditions)

    def taken(self, candidate: RowCandidate) -> RowWindow | None:
        """A row is given a name that no other row was seen to have."""
        read, write = candidate.read, candidate.write
        control = candidate.control
        if write.found is None or write.found.key == read.key or control is None:
            return None
        if effective(control.shape, control.negated) not in _ABSENT:
            return None
        free = next((c for c in read.query.conditions if self.is_given(c, write)), None)
        if free is None:
            return None
        unique = frozenset({free.column})
        if self.is_answered(candidate, unique) or self.is_guarded(candidate):
            return None
        window = self.make("row-insert", candidate, "unguarded")
        window.unique, window.columns = unique, (free.column,)
        return window

    @staticmethod
    def is_given(condition: Condition, write: RowWrite) -> bool:
        """Whether a write sets what a look has asked for, and no two rows may have the same."""
        column = write.model.columns.get(condition.column)
        value = write.value
        if column is None or column.primary_key or frozenset({column.name}) not in write.model.uniques:
            return False
        if condition.operator != "==" or value is None or is_invented(condition.value):
            return False
        if not write.column:
            return value.request
        same = same_value(value, condition.value) or (condition.value.request and _is_trimmed(value))
        return write.column == column.name and same

    def constraint(self, write: RowWrite, columns: tuple[str, ...]) -> frozenset[str] | None:
        """The constraint that refuses a second row like this one, which may be about more than was asked."""
        asked = set(columns)
        given = self.harm.given(write) or {}
        same = {
            name
            for name, value in given.items()
            if value.request or value.made == "const" or value.obj is not None or _is_of_a_row(value)
        }
        covering = [u for u in write.model.uniques if u <= asked]
        return next(iter([*covering, *(u for u in write.model.uniques if asked and asked <= u <= asked | same)]), None)

    @staticmethod
    def may_be_refused(write: RowWrite, columns: tuple[str, ...]) -> bool:
        """Whether a constraint about more columns, or for some rows only, may still refuse a second row."""
        asked, partial = set(columns) & set(write.model.columns), write.model.partial_uniques
        return any(u > asked for u in write.model.uniques) or any(u <= asked or u >= asked for u in partial)

    def is_never_refused(self, candidate: RowCandidate, columns: tuple[str, ...]) -> bool:
        """Whether all that is unique in the table is known, and lets a second row in that answers the same question.

        Then whoever expects an IntegrityError expects that of something else.
        """
        read, write = candidate.read, candidate.write
        model, row = write.model, write.row
        known = model.settled and read.query.exact and bool(columns) and set(columns) <= set(model.columns)
        if not known or self.may_be_refused(write, columns):
            return False
        fields = row.fields if row is not None else {}
        alike = {n[1:] for n, v in fields.items() if _may_agree(v)}
        return not any(u & alike for u in model.uniques)

    def skew(self, candidate: RowCandidate) -> RowWindow | None:
        """Other rows are looked at to decide on a change of one."""
        read, write = candidate.read, candidate.write
        if candidate.dependence != "control" or not self.looks_at_others(candidate):
            return None
        if candidate.control is None or _asks_for_enough(candidate.control) or self.is_of_the_same(candidate):
            return None
        if write.kind == "remove" and (write.handling or self.is_ours(candidate) or self.is_purge(write)):
            return None
        rivals = self.harm.turning(candidate)
        if _asserts_enough(candidate.control) or not rivals:
            return None
        asked = {c.column for c in read.query.conditions}
        if write.kind != "remove" and write.column not in asked:
            return None
        if self.is_conditional(write) or self.chooses_again(candidate) or self.is_guarded(candidate):
            return None
        ours = {lock.serial for lock in write.locks}
        if read.what == "row" and any(lock.serial in ours for lock in read.locks):
            return None
        window = self.make("row-skew", candidate, "unguarded")
        window.rivals = [next((r for r in rivals if r[1].node is write.node), rivals[0])]
        return window

    def is_ours(self, candidate: RowCandidate) -> bool:
        """Whether a row is taken away that the same run has put in: it does not want it any more."""
        write = candidate.write
        return (write.row is not None and write.row.origin is None) or self.harm.is_new(candidate)

    @staticmethod
    def is_purge(write: RowWrite) -> bool:
        """Whether a look has told which rows are too many: the next one finds the same, or fewer."""
        reads = (r for c in write.conditions for r in c.value.reads)
        return any(isinstance(r, RowRead) and r.location.root == write.location.root for r in reads)

    def lists_missing(self, control: Control, write: RowWrite) -> bool:
        """Whether a test leaves because of what was asked for and not found: `[n for n in ids if n not in found]`."""
        test = control.node
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Call) and _is_length(test.left):
            test = test.left.args[0]
        frame = next((f for f in write.stack if f.serial == control.frame), None)
        if not isinstance(test, ast.Name) or not control.negated or not control.exit or frame is None:
            return False
        node = self.node_of(frame.function) if frame.function is not None else None
        return any(
            isinstance(n, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == test.id for t in n.targets)
            and _is_rest(n.value)
            for n in (ast.walk(node) if node is not None else ())
        )

    @staticmethod
    def is_about_a_column(candidate: RowCandidate) -> bool:
        """Whether the test compares what a row says: then the row is there."""
        read, control = candidate.read, candidate.control
        return control is not None and any(
            isinstance(r, RowRead) and r.what == "column" and r.query is read.query for r in control.reads
        )

    def is_dropped(self, candidate: RowCandidate) -> bool:
        """Whether the session is seen from its making to its end, and nobody commits what was written."""
        write = candidate.write
        if write in self.trace.lost:
            return True
        session = write.session
        if write.commits or session is None or session.opened is None or session.library != "sqlalchemy":
            return False
        return not session.autocommits and candidate.entry.label not in self.stopped

    @staticmethod
    def is_of_the_same(candidate: RowCandidate) -> bool:
        """Whether what is looked at is what changes: both are found by the same keys."""
        read, write = candidate.read, candidate.write
        keys = {c.name for c in write.model.columns.values() if c.primary_key} or {"id"}
        asked = {(c.column, c.value.term) for c in read.query.conditions if c.column in keys and c.value.term}
        return bool(asked & {(c.column, c.value.term) for c in write.conditions})

    @staticmethod
    def looks_at_others(candidate: RowCandidate) -> bool:
        """Whether rows are counted, in the database or after they were fetched: others than the one that changes."""
        read, write, control = candidate.read, candidate.write, candidate.control
        if read.what == "aggregate":
            # What is counted for a page beside the rows themselves did not decide on those rows.
            if control is None or control.shape == "compare":
                return True
            if write.found is None:
                rows = (r for r in control.reads if isinstance(r, RowRead) and r.what != "aggregate")
                return all(r.location.root != read.location.root for r in rows)
            return all(r.serial != write.found.serial for r in control.reads)
        own = write.row is not None and write.row.origin is read
        changed = Rows.found_for(write)
        own = own or (changed is not None and changed.query is read.query)
        told = control is not None and (control.shape == "compare" or _becomes_such_a_one(read.query, write))
        return read.what == "row" and not own and told

    # -- guards -----------------------------------------------------------------------------

    @staticmethod
    def same_row(read: RowRead, write: RowWrite) -> bool:
        """Whether both are of one row, as far as can be seen."""
        if read.row is not None and write.row is not None:
            return same_row(read, write)
        return write.form == "update"

    def is_asked_again(self, candidate: RowCandidate) -> bool:
        """Whether the same run has changed the row by a conditional UPDATE in between: that one decides."""
        write, since = candidate.write, candidate.read.serial
        ours = (write.conditions, candidate.read.query.conditions)
        return write.form != "insert" and any(
            since < other.serial < write.serial
            and other.model is write.model
            and other.node is not write.node
            and self.is_conditional(other, self.identity(candidate.read))
            and not all(_are_two_rows(conditions, other.conditions) for conditions in ours)
            for other in self.harm.by_entry[id(candidate.entry)]
        )

    @staticmethod
    def is_compared_under_lock(candidate: RowCandidate) -> bool:
        """Whether what was seen is compared with the locked row, and the run leaves where they differ: a revision.

        So does who asks for the column alone, locked, and leaves where that is no longer as it was.
        """
        read, write = candidate.read, candidate.write
        ours = {lock.serial for lock in write.locks}
        for control in write.decided if ours else ():
            seen = [r for r in control.reads if isinstance(r, RowRead) and r.what == "column"]
            fresh = [r for r in seen if r.serial > read.serial and any(lock.serial in ours for lock in r.locks)]
            anew = [f for f in fresh if f.query.entity == "column"]  # no row that the session has had before
            if control.exit and read.column and any(f.location == read.location for f in anew):
                return True
            again = any(f.location == r.location and f.query is not r.query for f in fresh for r in seen)
            if again and control.exit and control.negated and _compares(control.node):
                return True
        return False

    @staticmethod
    def chooses_again(candidate: RowCandidate) -> bool:
        """Whether a statement looks for its rows itself, by what was asked before that: it was but a hint."""
        chosen = (subquery(c) for c in candidate.write.conditions)
        return any(c is not None and _includes(candidate.read.query, c) for c in chosen)

    @staticmethod
    def identity(read: RowRead) -> frozenset[tuple[str, str]]:
        """By which values of which columns a look finds its row: to ask for the same ones is no check."""
        return frozenset(
            (c.column, c.value.term)
            for c in read.query.conditions
            if c.operator == "==" and c.value.term and c.value.made not in ("const", "none")
        )

    @staticmethod
    def is_conditional(write: RowWrite, identity: frozenset[tuple[str, str]] = frozenset()) -> bool:
        """Whether an UPDATE or DELETE asks again about what it changes, beside what says which row it is."""
        if write.form not in ("update", "delete") or write.query is None:
            return False
        keys = {c.name for c in write.model.columns.values() if c.primary_key or c.foreign_key or c.unique} or {"id"}
        asked = {c.column for c in write.conditions if (c.column, c.value.term) not in identity and subquery(c) is None}
        if write.made == "atomic" and write.column not in asked:
            return False  # it computes from the new value, and whether there is enough of it nobody asks
        return bool(asked - keys)

    def relation(self, candidate: RowCandidate) -> str | None:
        """How the window stands to locks; None when it is guarded."""
        read, write = candidate.read, candidate.write
        if self.in_process(candidate) or read.isolated:
            return None
        ours = {lock.serial for lock in write.locks} - self.trace.unlocked
        seen = read.earlier if read.earlier is not None else read
        if any(lock.serial in ours for lock in seen.locks):
            return None
        if any(lock.serial in ours for lock in read.locks):
            return "stale"
        own = [lock for lock in read.locks if lock.table is None or lock.table.root == read.location.root]
        if own:  # in one transaction it is lost only where it is given back; another way may not take it at all
            given_back = any(lock.serial in self.trace.unlocked for lock in own)
            return "lock-lost" if given_back or read.transaction != write.transaction else None
        early = _acquired(read.held) & _acquired(write.held) and not self.spanning(candidate)
        return "early" if early else "unguarded"

    def is_guarded(self, candidate: RowCandidate) -> bool:
        """Whether a lock spans the look and an insert; a lock on rows that are not there is none.

        REPEATABLE READ keeps nobody from adding rows, nor from changing others than those that this run changes.
        """
        read, write = candidate.read, candidate.write
        if self.in_process(candidate) or (read.isolated and read.session.isolation.upper() == "SERIALIZABLE"):
            return True
        ours = {lock.serial for lock in write.locks} - self.trace.unlocked
        held = [lock for lock in read.locks if lock.serial in ours]
        through_owner = read.query.form == "relationship"  # the SELECT has locked the row that the others belong to
        return any(through_owner or lock.node is not read.node for lock in held)

    def in_process(self, candidate: RowCandidate) -> bool:
        """Whether one lock keeps all others out from the look until the commit.

        Where there are several processes, only a lock of which it is not known that it holds in one of them.
        """
        return any(self.deployed is None or lock.unknown for lock in self.spanning(candidate))

    @staticmethod
    def spanning(candidate: RowCandidate) -> list[LockValue]:
        """The locks that are held from the look until the commit."""
        read, write = candidate.read, candidate.write
        kept = _acquired(read.held) & _acquired(write.held)
        for commit in write.commits:
            kept &= _acquired(commit.held)
        return [held.lock for held in read.held if held.acquisition in kept]

    def is_answered(self, candidate: RowCandidate, unique: frozenset[str] | None) -> bool:
        """Whether somebody expects that the database refuses the row.

        Who makes of any exception another one has no answer where the row that is there was all that was wanted.
        """
        write, control = candidate.write, candidate.control
        expected = frozenset().union(write.catching, *write.flushes)
        if {caught.name for caught in expected} & VIOLATIONS or self.answers & VIOLATIONS:
            return True
        wanted = control is not None and control.exit != "raise"
        return unique is not None and any(c.name in CONFLICTS and not (c.fails and wanted) for c in expected)

    # -- windows ----------------------------------------------------------------------------

    def make(self, kind: str, candidate: RowCandidate, relation: str) -> RowWindow:
        read, write = candidate.read, candidate.write
        function, first, last = _meeting(read, write)
        control = candidate.control
        return RowWindow(
            kind,
            write.location,
            function,
            first,
            last,
            candidate.entry,
            True,
            context_name(write.context),
            relation=relation,
            dependence=candidate.dependence,
            shape=effective(control.shape, control.negated) if control is not None else "",
            exit=control.exit if control is not None else "",
            read=read,
            write=write,
            control=control,
            rivals=[(candidate.entry, write)],
            entries=[candidate.entry],
            model=write.model,
            candidates=[candidate],
            follows=self.harm.follows(candidate) or self.sends(candidate),
            deployed=self.deployed if self.spanning(candidate) else None,
        )

    def sends(self, candidate: RowCandidate) -> bool:
        """Whether a request asks another service, or a function that checks calls one for what it does, by its name."""
        control = candidate.control
        if any(w.entry is candidate.entry and w.serial > candidate.read.serial for w in self.trace.services):
            return True
        frame = next((f for f in candidate.write.stack if control is not None and f.serial == control.frame), None)
        node = self.node_of(frame.function) if frame is not None and frame.function is not None else None
        return node is not None and sends(node)


def _becomes_such_a_one(query: Query, write: RowWrite) -> bool:
    """Whether a look asks for other rows in the state that a row is put into: is another one the default already?

    Where an index is about some rows only, it may refuse the second.
    """
    columns = write.model.columns
    others = any(c.operator == "!=" and c.column in columns and columns[c.column].primary_key for c in query.conditions)
    state = any(
        c.column == write.column and c.operator in ("==", "is") and c.value.term == write.text for c in query.conditions
    )
    return others and state and bool(write.text) and not write.model.partial_uniques


def _is_thrown_away(write: RowWrite) -> bool:
    """Whether a statement of the program is the call that runs the write, so that nobody sees what it returns."""
    statement = write.stack[-1].statement
    value = statement.value if isinstance(statement, ast.Expr) else None
    return (value.value if isinstance(value, ast.Await) else value) is write.node


def _is_trimmed(value: Value) -> bool:
    """Whether a value is a text of the client's in another form: `name.strip()`."""
    return value.request and value.made == "call" and value.term.endswith(_TRIMMING)


def _may_agree(value: Value) -> bool:
    """Whether two requests that ask the same question may come to the same value: a slug that is made of the name."""
    if value.made in ("const", "none") or is_invented(value):
        return False
    return value.made in ("call", "await") or not value.request


def _is_of_a_row(value: Value) -> bool:
    """Whether a value is a column of a row that was there before: `user.team_id`."""
    found = (isinstance(r, RowRead) and r.what == "column" for r in value.reads)
    return value.made == "expression" and bool(value.reads) and bool(value.term) and all(found)


def _are_two_rows(one: Iterable[Condition], other: Iterable[Condition]) -> bool:
    """Whether two statements ask for different values of one column."""
    values = {c.column: c.value.term for c in one if c.operator == "==" and c.value.term}
    return any(
        c.operator == "==" and c.value.term and values.get(c.column, c.value.term) != c.value.term for c in other
    )


def _pair(candidate: RowCandidate) -> tuple[object, ...]:
    """The entry point, and by which statements it comes to the read and to the write: those of each turn of a loop."""
    ways = (tuple(id(f.statement) for f in event.stack) for event in (candidate.read, candidate.write))
    return id(candidate.entry), id(candidate.read.node), id(candidate.write.node), *ways


def _nearest(candidates: Iterable[RowCandidate]) -> dict[tuple[object, ...], int]:
    """How many calls a write has in common with a read that it depends on, where they run nearest to each other."""
    found: dict[tuple[object, ...], int] = {}
    for candidate in candidates:
        shared = shared_frames(candidate.read.stack, candidate.write.stack)
        found[_pair(candidate)] = max(shared, found.get(_pair(candidate), 0))
    return found


def _meeting(read: RowRead, write: RowWrite) -> tuple[Ref, ast.stmt | None, ast.stmt | None]:
    """The function that sees both ends; the one that writes where a dependency has loaded the row."""
    if read.stack[0].serial != write.stack[0].serial:
        own = write.stack[-1]
        return write.function, own.statement, own.statement
    return meeting(read.stack, write.stack)


def _given_to(name: str, function: ast.AST) -> list[ast.expr] | None:
    """What a name is given in a function; None where that is not by plain assignments alone."""
    given: list[ast.expr] = []
    stores = 0
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id == name
        ):
            return None  # what it stands for may be changed in place
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            stores += 1
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            given.append(node.value)
    return given if len(given) == stores else None


def _computes(value: ast.expr, column: str, function: ast.AST | None) -> bool:
    """Whether a value is made of the old one of a column, also where that has a name: `old = row.n`, `old - 1`."""
    if not keeps(value, column):
        return True
    if function is None or not isinstance(value, ast.BinOp):
        return False
    names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
    return any(mentions(given, column) for name in names for given in _given_to(name, function) or ())


def counts(test: ast.AST) -> bool:
    """Whether a test is about how many there are: `len(rows) >= limit`."""
    return any(
        isinstance(n, ast.Compare)
        and any(isinstance(o, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for o in n.ops)
        and _measures(n)
        and not _asks_for_any(n)
        for n in ast.walk(test)
    )


def finds_any(test: ast.AST) -> bool:
    """Whether a test is about whether there is any: `len(rows) > 0`."""
    return isinstance(test, ast.Compare) and _measures(test) and _asks_for_any(test)


def _measures(test: ast.Compare) -> bool:
    """Whether a comparison is about the length of something, or about the sum of what is in it."""
    called = (c.func for c in ast.walk(test) if isinstance(c, ast.Call))
    return any(isinstance(f, ast.Name) and f.id in ("len", "sum") for f in called)


def _reckons(test: ast.AST) -> bool:
    """Whether a test is about what comes out when something is added: `balance + amount < 0`."""
    sides = (side for n in ast.walk(test) if isinstance(n, ast.Compare) for side in (n.left, *n.comparators))
    return any(isinstance(side, ast.BinOp) and isinstance(side.op, ast.Add | ast.Sub) for side in sides)


def _asks_for_any(test: ast.Compare) -> bool:
    """`len(rows) > 0`, `len(rows) >= 1`: whether there is one, not how many there are."""
    if _reckons(test):
        return False
    if any(isinstance(c, ast.Constant) and c.value == 0 for c in (test.left, *test.comparators)):
        return True
    one, operator = test.comparators[0], test.ops[0]
    if isinstance(test.left, ast.Constant):
        one, operator = test.left, _MIRRORED.get(operator.__class__, ast.Eq)()
    first = isinstance(one, ast.Constant) and one.value == 1 and len(test.ops) == 1
    return first and isinstance(operator, ast.GtE | ast.Lt)


def _is_among_constants(test: ast.AST) -> bool:
    """`row.kind in ["a", "b"]`, `value in ALLOWED`: what a row says, and not which rows there are."""
    while isinstance(test, ast.UnaryOp):
        test = test.operand
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.In | ast.NotIn):
        return False
    among = test.comparators[0]
    if isinstance(among, ast.List | ast.Tuple | ast.Set):
        return all(isinstance(e, ast.Constant | ast.Attribute) for e in among.elts)
    name = among.attr if isinstance(among, ast.Attribute) else among.id if isinstance(among, ast.Name) else ""
    return name.isupper()


def _shape_of(control: Control) -> str:
    """What is known where the code runs; of `any(m.name == name for m in rows)`, whether one of them was there."""
    test, negated = control.node, control.negated
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, not negated
    if asks_of_any(test):
        return effective("truth", negated)
    found = asked_with_details(test)
    return effective(shape_of(found), negated) if found is not None else effective(control.shape, control.negated)


def _runs_for_no_key(control: Control, write: RowWrite) -> bool:
    """Whether rows are new for which the client names no key: `if id and id in known: ...`, and then `else`."""
    test, negated = control.node, control.negated
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, not negated
    if control.exit or not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.And if negated else ast.Or):
        return False
    keys = {c.name for c in write.model.columns.values() if c.primary_key} or {"id"}
    known = {r.column for r in control.reads if isinstance(r, RowRead) and r.location.root == write.location.root}
    parts = [v.operand if isinstance(v, ast.UnaryOp) and isinstance(v.op, ast.Not) else v for v in test.values]
    named = {ast.unparse(p) for p in parts if isinstance(p, ast.Name | ast.Attribute)}
    looks = [p for p in parts if isinstance(p, ast.Compare) and isinstance(p.ops[0], ast.In | ast.NotIn)]
    return bool(known & keys) and any(ast.unparse(p.left) in named for p in looks)


def _asks_for_enough(control: Control) -> bool:
    """Whether a test is there to leave when fewer rows were found than were asked for: `len(found) < len(ids)`."""
    if control.exit not in ("raise", "return"):
        return False
    for node in ast.walk(control.node):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = node.left, node.comparators[0]
            left = left.value if isinstance(left, ast.NamedExpr) else left
            fewer = isinstance(node.ops[0], ast.Lt | ast.NotEq) and _is_length(right)
            rest = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub) and _is_length(left.left)
            if fewer or rest or (_is_length(left) and _is_length(right)):
                return True
    return False


def _is_rest(value: ast.expr) -> bool:
    """Whether a value is what is left of something when what was found is taken away."""
    if isinstance(value, ast.ListComp | ast.SetComp):
        tests = [t for g in value.generators for t in g.ifs]
        return any(isinstance(t, ast.Compare) and isinstance(t.ops[0], ast.NotIn) for t in tests)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr == "difference"
    return (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Sub)
        and isinstance(value.left, ast.Call | ast.SetComp)
    )


def _asserts_enough(control: Control) -> bool:
    """Whether an assertion says that there are as many rows as the code goes on to take: `assert len(found) >= n`."""
    return control.exit == "raise" and not control.negated and counts(control.node)


def _compares(test: ast.AST) -> bool:
    """Whether one of several tests asks whether two things differ."""
    tests = test.values if isinstance(test, ast.BoolOp) else [test]
    return any(isinstance(t, ast.expr) and says_different(t) for t in tests)


def _is_sure(control: Control) -> bool:
    """Whether the whole test is known to have come out so: of `not (a and b)` either may be false."""
    negated, node = control.negated, control.node
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        negated, node = not negated, node.operand
    return not isinstance(node, ast.BoolOp) or isinstance(node.op, ast.Or if negated else ast.And)


def _asks_of_a_name(test: ast.AST) -> bool:
    """`row`, `not row`, `row is None`: no attribute of what a helper has told of it."""
    while isinstance(test, ast.UnaryOp):
        test = test.operand
    named = test.left if isinstance(test, ast.Compare) else test
    return isinstance(named, ast.Name | ast.NamedExpr)


def _rows_of(control: Control, write: RowWrite, *shapes: str) -> list[RowRead]:
    """The looks for rows of the table that is written, where a decision says one of these of what they have found."""
    one = len(control.reads) == 1 and _asks_of_a_name(control.node)
    if not one or effective(control.shape, control.negated) not in shapes:
        return []
    looks = [r for r in control.reads if isinstance(r, RowRead)]
    return [r for r in looks if r.what == "row" and r.location.root == write.location.root]


def _includes(wide: Query, narrow: Query) -> bool:
    """Whether a statement finds every row that another one has found: it asks for nothing that the other does not."""

    def asked(query: Query) -> set[tuple[str, str, str]]:
        return {(c.column, c.operator, c.value.term) for c in query.conditions}

    plain = wide.exact and bool(wide.conditions) and all(c.value.term for c in wide.conditions)
    return plain and wide.serial != narrow.serial and asked(wide) <= asked(narrow)


def _is_length(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _acquired(held: Iterable[Held]) -> set[int]:
    return {h.acquisition for h in held if h.lock.capacity == 1 and not h.lock.fresh}


_ORDER = ("row-update", "row-claim", "row-stale", "row-lock-lost", "row-insert", "row-skew")


def _without_first_looks(windows: list[RowWindow]) -> list[RowWindow]:
    """Leave out looks of which little is seen, where a later one for the same insert asks what a constraint decides."""
    last = {id(w.change): w for w in windows if w.kind == "row-insert" and w.unique is not None}
    return [w for w in windows if not _asks_before(w, last.get(id(w.write)))]


def _asks_before(window: RowWindow, later: RowWindow | None) -> bool:
    """Whether nothing is seen in a look for a row that the later one does not ask, too."""
    if later is None or window.kind != "row-insert" or window.unique is not None or window.counted or window.columns:
        return False
    asked = {c.column for c in window.look.query.conditions}
    return window.look.serial < later.look.serial and asked <= set(later.columns)


def _merged(windows: Iterable[RowWindow]) -> Iterator[RowWindow]:
    """One window for each function and table: the plainest one, with all entry points.

    Those of several functions are one where all are decided in the same helper.
    """
    groups: dict[object, list[RowWindow]] = defaultdict(list)
    for window in windows:
        groups[window.function, _table(window), _family(window)].append(window)
    shown: dict[object, list[RowWindow]] = defaultdict(list)
    for group in groups.values():
        best = min(group, key=_rank)
        shown[best.seat.function, _table(best), _family(best)] += group
    for group in shown.values():
        best = min(group, key=_rank)
        best.entries = list({id(e): e for w in group for e in w.entries}.values())
        best.candidates = [c for w in group for c in w.candidates]
        yield best


def _table(window: RowWindow) -> object:
    """What a function is told of once: a table; the keys of redis, which each caller puts together in its own words."""
    model = window.look.query.model
    return model.library if model is not None and model.library == "redis" else window.location.root


def _family(window: RowWindow) -> str:
    return "new" if window.kind in ("row-insert", "row-skew") else "old"


def _rank(window: RowWindow) -> tuple[object, ...]:
    query = window.look.query
    chosen = window.kind == "row-claim" and (query.limited or query.topmost)
    return (
        not chosen,
        _ORDER.index(window.kind),
        window.dependence != "data",
        query.form == "relationship" and not window.counted and window.unique is None,
        window.counted,
        window.unique is None,
        window.first.lineno if window.first is not None else 0,
    )
