"""Whether anybody could tell that two requests were in a window: what would be lost, doubled or wrong."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from autolock.database.objects import Condition, Expression, Query
from autolock.database.schema import Model
from autolock.database.trace import DatabaseTrace, RowCandidate, RowRead, RowWrite
from autolock.database.transitions import asks_for_state, is_transition
from autolock.program.branches import Branches
from autolock.program.decisions import effective, shape_of
from autolock.program.trace import Control, Entry
from autolock.program.values import Root, Value

#: Tables that only tell what has happened; what stands in an outbox is sent.
_TELLING = re.compile(
    r"^(?!.*outbox).*(?:(?<!b)(?<!cata)(?<!back)(?<!dia)log(?!in|out|o|ic)|audit|event|history|activity|notification|trace|metric|message)"
)
#: Kinds of columns whose new value, computed from the old by a function, is the same whoever computes it.
_PLAIN = frozenset({"str", "bool", "enum", "uuid"})
#: Columns whose old value is looked at, and never added to.
_WHOLE = re.compile(r"passw|(^|_)(hash|hashed|secret|token|digest|signature|etag)(_|$)")
#: States that a row is put into because it is no longer wanted: to do so twice is to do it once.
_ENDING = re.compile(r"(?i)cancel|revok|expir|delet|archiv|abort|inactiv|disabl|supersed|stale")
#: Columns of text that may well hold an object with fields.
_PACKED = re.compile(r"json|config|settings|options|preferences|meta|data|payload|blob|struct|extra|attributes")


#: Columns that note something about a change, and not whose the row is: who has changed it, how it was paid, why.
_NOTING = re.compile(
    r"(^|_)((updated|modified|edited|changed|deleted|archived|removed|deactivated)_by(_id)?"
    r"|method|reason|notes?|comments?|remarks?|description|message|amount|price|reference|ip|ip_address|user_agent)$"
)

#: A member of an enumeration, or what it stands for.
_MEMBER = re.compile(r"[A-Z]\w*(\.\w+)+")
#: Arguments that are what a function gives where it finds nothing else.
_FALLBACKS = frozenset({"default", "default_value", "fallback"})


#: What a check asks of a number that is then counted down in the database: is there any left?
_WEIGHING = frozenset({"compare", "equal", "different", "truth", "falsy"})
#: Endings of the names of functions that give a value in another form.
_RECODING = ("loads", "dumps", "copy", "float", "int", "str", "Decimal", "bool")


class Harm:
    """Answers questions about candidates with all that was recorded in view."""

    def __init__(self, trace: DatabaseTrace, branches: Branches) -> None:
        self.branches = branches
        self.by_entry: dict[int, list[RowWrite]] = defaultdict(list)
        self.by_column: dict[object, list[tuple[Entry, RowWrite]]] = defaultdict(list)
        self.of_table: dict[object, list[tuple[Entry, RowWrite]]] = defaultdict(list)
        self.made_up: set[tuple[Root, str, str]] = set()
        tokens: set[tuple[Root, str]] = set()
        for entry, write in trace.writes:
            self.made_up.update(_made_up(write))
            self.of_table[write.location.root].append((entry, write))
            self.by_entry[id(entry)].append(write)
            if write.column and write.locks and write.value is not None and is_invented(write.value):
                tokens.add((write.location.root, write.column))
            self.by_column[write.location].append((entry, write))

        self.claims: dict[int, int] = {}
        self.workers: set[str] = set()
        for entry, read in trace.reads if tokens else ():
            if _asks_for_claim(read, tokens):
                self.claims.setdefault(id(entry), read.serial)
                if entry.kind == "function":
                    self.workers.add(read.function.path)

    def is_claimed(self, candidate: RowCandidate) -> bool:
        """Whether the run has asked for the token under which it had put a row aside for itself.

        Helpers beside a worker that nobody was seen to call are the worker's.
        """
        entry, write = candidate.entry, candidate.write
        if entry.kind == "function" and entry.function is not None and entry.function.path in self.workers:
            return True
        return self.claims.get(id(entry), write.serial) < write.serial

    def is_underway(self, candidate: RowCandidate) -> bool:
        """Whether this run has put the row into another state before and committed that, having looked at the state.

        Another run of the same kind leaves then, as far as the state itself is not in a window.
        """
        write = candidate.write
        return any(
            other.row is write.row
            and other.row is not None
            and other.column != write.column
            and other.text
            and other.made != "atomic"
            and other.serial < write.serial
            and any(commit.transaction != write.transaction for commit in other.commits)
            and any(_turns_on(control, other) for control in other.decided)
            for other in self.by_entry[id(candidate.entry)]
        )

    def is_own(self, candidate: RowCandidate) -> bool:
        """Whether a row is found by a key that was made up for it, and handed to the task that works on it."""
        read = candidate.read
        return any(
            c.operator == "==" and (read.location.root, c.column, c.value.term) in self.made_up
            for c in read.query.conditions
        )

    def is_new(self, candidate: RowCandidate) -> bool:
        """Whether a statement is about a row that the same run has put in."""
        keys = {c.value.term for c in candidate.write.conditions if c.operator == "=="}
        made = (w.row for w in self.by_entry[id(candidate.entry)] if w.form == "insert")
        return any(row is not None and f"{row.term or f'row{row.serial}'}.id" in keys for row in made)

    # -- updates -----------------------------------------------------------------------

    def is_lost_update(self, candidate: RowCandidate) -> bool:
        """Whether the new value is the old one with a change, so that another's change is lost."""
        write = candidate.write
        if write.kind == "augment":
            return True
        if (
            write.value is not None
            and write.value.term == _own_term(write)
            and (write.handling or self.is_plain(write))
        ):
            return False  # what could not be saved is taken back in the object, or no change is seen
        node = write.node.value if isinstance(write.node, ast.Assign | ast.AnnAssign) else None
        computed = isinstance(node, ast.Attribute) and write.made == "expression"  # by who has made the object
        kept = node is not None and not computed and bool(write.column)
        if kept and node is not None and (_only_kept(node, write.column) or _is_same(node, write.column)):
            return False
        column = write.model.columns.get(write.column)
        if _WHOLE.search(write.column) or self.is_put_away(candidate):
            return False
        packed = _PACKED.search(write.column) is not None
        if column is not None and not packed and column.kind in _PLAIN and write.made in ("call", "await", "", "new"):
            return False
        return not (column is not None and column.kind == "bool")

    def is_put_away(self, candidate: RowCandidate) -> bool:
        """Whether the same run says that the row is no longer wanted: its name becomes `deleted-`, and the name."""
        write, column = candidate.write, candidate.write.model.columns.get(candidate.write.column)
        return (column is not None and column.kind == "str") and any(
            other.row is write.row
            and other.row is not None
            and other is not write
            and _puts_away(other)
            and set(other.decided) <= set(write.decided)
            for other in self.by_entry[id(candidate.entry)]
        )

    @staticmethod
    def is_plain(write: RowWrite) -> bool:
        """Whether a mapper is given a value of which it sees whether it is another one: no document."""
        column = write.model.columns.get(write.column)
        return write.form == "attribute" and column is not None and column.kind not in ("", "json")

    def is_changed_elsewhere(self, write: RowWrite) -> bool:
        """Whether something sets the column on purpose, which a row that is saved as a whole sets back."""
        return any(other.form != "save" for _, other in self.by_column[write.location])

    def is_check_then_act(self, candidate: RowCandidate) -> bool:
        """Whether a state that was checked and then set anew can have become another one in between."""
        write, control = candidate.write, candidate.control
        if write.kind == "remove":
            return False
        if control is None:
            return False
        if write.kind == "augment" or (write.made == "atomic" and control.shape in _WEIGHING):
            return True
        if self.consequences(candidate) or self.is_given_away(candidate) or self.is_spent(candidate):
            return True
        if write.made == "settled" or _changes_what_differs(control, write):
            return False
        if self.starts_anew(candidate):
            return True
        if write.made == "none" and (write.handling or not asks_for_state(control, write.column)):
            return False  # a date that has not passed yet, or what was of no use: who comes second does that again
        if write.made != "const" and not write.text:
            own = self.by_entry[id(candidate.entry)]
            plain = (
                write.kind == "assign"
                and write.value is not None
                and (write.made == "new" or not is_invented(write.value))
            )
            beside = any(w.row is write.row and w.column != write.column and control in w.decided for w in own)
            return plain and not _WHOLE.search(write.column) and is_transition(control, write, beside=beside)
        kind = write.model.columns[write.column].kind if write.column in write.model.columns else ""
        return any(
            other.text != write.text and (other.text or (kind != "bool" and other.form != "insert"))
            for _, other in self.by_column[write.location]
        )

    def starts_anew(self, candidate: RowCandidate) -> bool:
        """Whether a count of the row begins again with a new period: what was counted between two resets is lost."""
        write, control = candidate.write, candidate.control
        return any(
            other.row is write.row
            and other.row is not None
            and other.column != write.column
            and other.made == "const"
            and control in other.decided
            and any(w.kind == "augment" or w.made == "atomic" for _, w in self.by_column[other.location])
            for other in self.by_entry[id(candidate.entry)]
        )

    def follows(self, candidate: RowCandidate) -> bool:
        """Whether a check lets more happen than that its column is set to a constant: a count, a new row, a message."""
        write, control = candidate.write, candidate.control
        if candidate.dependence != "control" or control is None or write.kind == "augment" or write.made == "atomic":
            return True
        constant = write.made in ("const", "none") or bool(write.text) or _is_named(write.value)
        return (
            not constant
            or bool(self.consequences(candidate))
            or self.is_given_away(candidate)
            or self.starts_anew(candidate)
        )

    def is_given_away(self, candidate: RowCandidate) -> bool:
        """Whether a row in a certain state is put into another one, together with what the request names: whose it is.

        Two requests that both see the old state both put their name there, and the first was told that it had won.
        """
        read, write, control = candidate.read, candidate.write, candidate.control
        if control is None or not write.text or not asks_for_state(control, write.column):
            return False
        return any(
            (other.row is write.row if other.row is not None else other.node is write.node and other is not write)
            and other.request
            and other.serial > read.serial
            and control in other.decided
            and names_somebody(other)
            for other in self.by_entry[id(candidate.entry)]
        )

    def is_spent(self, candidate: RowCandidate) -> bool:
        """Whether a row that may be used once lets the request change another one, which it leads to: a reset token."""
        read, write, control = candidate.read, candidate.write, candidate.control
        if control is None or not asks_for_state(control, write.column):
            return False
        return any(
            other.form == "attribute"
            and other.row is not write.row
            and other.request
            and control in other.decided
            and _leads_to(read.query, other)
            for other in self.by_entry[id(candidate.entry)]
        )

    def is_claim(self, candidate: RowCandidate) -> bool:
        """Whether a row that two take is a loss: the next job, a voucher that is credited, a token."""
        read, write = candidate.read, candidate.write
        if write.kind == "remove" and self.opens_once(candidate):
            return True
        if write.kind == "remove":
            return bool(self.credits(candidate))
        chosen = read.query.limited or read.query.topmost
        if write.loops and not chosen:
            return False
        if self.puts_a_name(candidate):
            return True
        if self.has_key(read) and (write.request or _renames(candidate)):
            return False  # a new name for the row that the old one names
        if chosen and (read.query.ordered or not self.has_key(read)) and not _ENDING.search(write.text):
            return True
        return bool(self.consequences(candidate))

    def puts_a_name(self, candidate: RowCandidate) -> bool:
        """Whether a row that was found free is given to whom the request names, who is told that it is theirs."""
        read, write = candidate.read, candidate.write
        states = (c for c in read.query.conditions if c.column == write.column and c.operator in ("==", "is null"))
        asked = write.row is not None and write.column in write.row.asked
        if not asked and not any(is_fixed(c.value) for c in states):
            return False
        given = [
            w for w in self.by_entry[id(candidate.entry)] if w is write or (w.row is not None and w.row is write.row)
        ]
        return any(
            w.form == "attribute" and w.made != "const" and w.request and w.serial > read.serial and names_somebody(w)
            for w in given
        )

    def credits(self, candidate: RowCandidate) -> list[RowWrite]:
        """What is worked out from a row that is taken away, and added somewhere: a voucher's worth."""
        read, write = candidate.read, candidate.write
        return [
            other
            for other in self.others(candidate)
            if self.draws_on(other.value, read)
            and _adds(other)
            and not is_telling(other)
            and _go_together(other, write)
            and not _asks_for_what_it_sets(other)
            and not self.branches.are_apart(other.stack, write.stack)
            and other.stack[0].serial == write.stack[0].serial  # a dependency throws away what has expired
        ]

    def opens_once(self, candidate: RowCandidate) -> bool:
        """Whether a key of redis opens something once: who does not find it is turned away, who does takes it away.

        What is put in on the strength of it may be in another database.
        """
        write, control = candidate.write, candidate.control
        if write.model.library != "redis" or control is None or not control.exit:
            return False
        return any(
            _adds(other) and not is_telling(other) and control in other.decided and not exclude(other, write)
            for other in self.by_entry[id(candidate.entry)]
            if other is not write and not self.is_refused_again(other, candidate.read)
        )

    def is_refused_again(self, write: RowWrite, read: RowRead) -> bool:
        """Whether a constraint refuses a second such row, as what is unique in it comes from what was looked at."""
        given = self.given(write) if write.form == "insert" else None
        return any(
            all(any(isinstance(r, RowRead) and r.query is read.query for r in given[n].reads) for n in unique)
            for unique in write.model.uniques
            if given is not None and unique <= given.keys()
        )

    @staticmethod
    def has_key(read: RowRead) -> bool:
        asked = {c.column for c in read.query.conditions if c.operator == "=="}
        return read.query.model is not None and any(u <= asked for u in read.query.model.uniques)

    @staticmethod
    def draws_on(value: Value | None, read: RowRead) -> bool:
        """Whether something was computed from the row that was found."""
        return value is not None and any(
            isinstance(r, RowRead) and r.what == "column" and r.query is read.query for r in value.reads
        )

    def others(self, candidate: RowCandidate) -> list[RowWrite]:
        """What else is written by the same run, of other rows."""
        write = candidate.write
        return [
            w
            for w in self.by_entry[id(candidate.entry)]
            if w is not write
            and (w.row is None or w.row is not write.row)
            and w.session is write.session
            and not exclude(w, write)
        ]

    def consequences(self, candidate: RowCandidate) -> list[RowWrite]:
        """Changes that happen on the strength of the same look, and that would be made twice."""
        write = candidate.write
        return [
            w
            for w in self.others(candidate)
            if w.serial > candidate.read.serial
            and (w.form == "insert" or w.kind == "augment" or w.made == "atomic")
            and not is_telling(w)
            and not _asks_for_what_it_sets(w)
            and set(w.decided) >= set(write.decided)
            and not self.branches.are_apart(w.stack, write.stack)
        ]

    # -- decisions by other rows ----------------------------------------------------------

    def turning(self, candidate: RowCandidate) -> list[tuple[Entry, RowWrite]]:
        """What many may run and makes the check come out differently: adds such rows, or takes some away.

        A check that wants few of them is turned by one more, a check that wants enough by one less.
        """
        control, query = candidate.control, candidate.read.query
        wanted = _wanted(control) if control is not None else ""
        wrong = {"few": "less", "many": "more"}.get(wanted)
        return [
            (entry, other)
            for entry, other in self.of_table[candidate.write.location.root]
            if (entry.many or entry is not candidate.entry) and _effect(other, query) not in ("", wrong)
        ]

    # -- inserts -----------------------------------------------------------------------------

    def asked_of(self, candidate: RowCandidate) -> tuple[str, ...] | None:
        """The columns that the look asks about, as far as the insert sets them; None when they are unrelated."""
        read, write = candidate.read, candidate.write
        conditions = read.query.conditions
        given = self.given(write)
        conditions = tuple(_by_key(c) for c in conditions)
        if given is None:
            return tuple(dict.fromkeys(c.column for c in conditions if c.operator in ("==", "in", "like")))
        matched: list[str] = []
        for condition in conditions:
            value = given.get(condition.column)
            if value is not None and _is_another(condition, value):
                return None
            if value is None and _asks_for_what_is_left_empty(condition, write.model):
                return None
            if condition.operator == "in" and value is not None:
                matched.append(condition.column)
            if condition.operator != "==":
                continue
            if is_invented(condition.value) or (value is not None and is_invented(value)):
                return None
            if value is not None and same_value(value, condition.value):
                matched.append(condition.column)
        if not matched and conditions:
            return None
        return tuple(dict.fromkeys([*matched, *_weighed(candidate)]))

    def is_about_another(self, candidate: RowCandidate) -> bool:
        """Whether the look asks for a row of somebody else than the new one: may this user do that?"""
        read, write = candidate.read, candidate.write
        given = self.given(write) or {}
        for condition in read.query.conditions:
            column, value = write.model.columns.get(condition.column), given.get(condition.column)
            known = column is not None and (column.foreign_key or column.primary_key) and condition.operator == "=="
            if known and value is not None and not same_value(value, condition.value):
                return True
        return False

    @staticmethod
    def given(write: RowWrite) -> dict[str, Value] | None:
        """What a new row is given, by column; None when that is not known."""
        if write.row is not None:
            fields = write.row.fields
            if ".**" in fields or not fields:
                return None
            given = {n[1:]: v for n, v in fields.items()}
            return {**_keys_of_parents(write.model, given), **given}
        if write.query is None or write.query.unknown_values or not write.query.values:
            return None
        return dict(write.query.values)


def _weighed(candidate: RowCandidate) -> list[str]:
    """The columns of an owner's rows that a check has looked at: `any(m.name == name for m in club.members)`."""
    control, query = candidate.control, candidate.read.query
    if control is None or query.form != "relationship":
        return []
    reads = (r for r in control.reads if isinstance(r, RowRead) and r.what == "column" and r.query is query)
    return sorted({r.column for r in reads})


def _made_up(write: RowWrite) -> Iterator[tuple[Root, str, str]]:
    """The table, the key and the value of a new row where neither a client nor the database has chosen it."""
    for name, value in write.row.fields.items() if write.row is not None and write.form == "insert" else ():
        column = write.model.columns.get(name.removeprefix("."))
        chosen = value.request or value.reads or value.made in ("const", "none")
        if (
            column is not None
            and (column.primary_key or frozenset({column.name}) in write.model.uniques)
            and "@" in value.term
            and not chosen
        ):
            yield write.location.root, column.name, value.term


def _asks_for_claim(read: RowRead, tokens: set[tuple[Root, str]]) -> bool:
    """Whether a look finds its row by the key and by a token that was made up, and set while the row was locked."""
    model = read.query.model
    asked = {c.column: c.value for c in read.query.conditions if c.operator == "=="}
    if model is None or not any(model.columns[n].primary_key for n in asked if n in model.columns):
        return False
    return any(
        (read.location.root, name) in tokens and not value.request and value.made != "const"
        for name, value in asked.items()
    )


def _renames(candidate: RowCandidate) -> bool:
    """Whether a column that the look compares with a value of the caller's is given another value of the caller's."""
    read, write = candidate.read, candidate.write
    asked = [c for c in read.query.conditions if c.column == write.column and c.operator == "=="]
    if not asked or write.made in ("const", "none") or write.text:
        return False
    return all(c.value.made not in ("const", "none") and not c.value.reads and c.value.term for c in asked)


def _changes_what_differs(control: Control, write: RowWrite) -> bool:
    """`if row.column != new: row.column = new`, `if not row.done: row.done = True`.

    Whoever comes second sets what it would have set anyway: to write without a look comes to the same.
    """
    if write.form == "update" and write.text in ("True", "False"):
        return _leaves_where_it_is(control, write.text)
    if _passes_what_differs(control, write):
        return True
    if not isinstance(write.node, ast.Assign) or not isinstance(write.node.targets[0], ast.Attribute):
        return False
    target, value = write.node.targets[0], write.node.value
    shape = effective(control.shape, control.negated)
    if isinstance(control.node, ast.BoolOp) and isinstance(control.node.op, ast.Or if control.negated else ast.And):
        about = [v for v in control.node.values if ast.unparse(target) in ast.unparse(v)]
        shape = effective(shape_of(about[0]), control.negated) if len(about) == 1 else shape
    if isinstance(value, ast.Constant) and isinstance(value.value, bool | None):
        return shape == "falsy" if value.value else shape == "truth" or (shape == "present" and value.value is None)
    sides = {ast.unparse(target), ast.unparse(value)}
    return shape == "different" and any(
        isinstance(n, ast.Compare) and {ast.unparse(n.left), ast.unparse(n.comparators[0])} == sides
        for n in ast.walk(control.node)
    )


def _leaves_where_it_is(control: Control, text: str) -> bool:
    """`if row.done: raise`, `if row.done is True: raise`, before a statement that sets `done` to True."""
    shape, test = effective(control.shape, control.negated), control.node
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return shape == "different" and text in (ast.unparse(test.left), ast.unparse(test.comparators[0]))
    return shape == ("falsy" if text == "True" else "truth") and not isinstance(test, ast.BoolOp)


def _passes_what_differs(control: Control, write: RowWrite) -> bool:
    """`if row.column != new: update(row.id, column=new)`, where the helper sets what it is given."""
    if effective(control.shape, control.negated) != "different" or not isinstance(control.node, ast.Compare):
        return False
    sides = {ast.unparse(control.node.left), ast.unparse(control.node.comparators[0])}
    if write.text and all(side.rpartition(".")[2] != write.text.rpartition(".")[2] for side in sides):
        return False  # the helper sets something else as well
    frame = next((f for f in write.stack if f.serial == control.frame), None)
    return any(
        isinstance(n, ast.Call) and any(k.arg == write.column and ast.unparse(k.value) in sides for k in n.keywords)
        for n in (ast.walk(frame.statement) if frame is not None and frame.statement is not None else ())
    )


def _own_term(write: RowWrite) -> str:
    """How the interpreter names what the column of a row was when it was loaded."""
    row = write.row
    return f"{row.term or f'row{row.serial}'}.{write.column}" if row is not None else "?"


def _turns_on(control: Control, write: RowWrite) -> bool:
    """Whether a run leaves where the column that is set to a constant has come to another one already."""
    own = any(isinstance(r, RowRead) and r.location == write.location for r in control.reads)
    return own and bool(control.exit) and effective(control.shape, control.negated) == "equal"


def _wanted(control: Control) -> str:
    """Whether the code runs because there were `few` of the rows that were looked for, or `many`; empty if unknown."""
    shape = effective(control.shape, control.negated)
    if shape in ("missing", "falsy", "present", "truth"):
        return "few" if shape in ("missing", "falsy") else "many"
    tests = control.node.values if isinstance(control.node, ast.BoolOp) else [control.node]
    compared = [n for n in tests if isinstance(n, ast.Compare)]
    if len(compared) != 1 or len(compared[0].ops) != 1:
        return ""
    operator, left, right = compared[0].ops[0], compared[0].left, compared[0].comparators[0]
    if isinstance(left, ast.Constant) == isinstance(right, ast.Constant):
        return ""
    above = isinstance(operator, ast.Gt | ast.GtE)
    if not above and not isinstance(operator, ast.Lt | ast.LtE):
        return ""
    return "many" if (above == isinstance(right, ast.Constant)) != control.negated else "few"


def _effect(write: RowWrite, query: Query) -> str:
    """What a write does to the number of rows that a query finds: `more`, `less`, `any`, or nothing."""
    if write.kind in ("insert", "remove"):
        return "more" if write.kind == "insert" else "less"
    asked = [c for c in query.conditions if c.column == write.column]
    if write.column and not asked and query.exact:
        return ""
    constants = write.text and all(c.operator == "==" and c.value.made == "const" for c in asked)
    if not asked or not constants:
        return "any"
    return "more" if all(c.value.term == write.text for c in asked) else "less"


def _is_another(condition: Condition, value: Value) -> bool:
    """Whether a new row is given one constant where the look has asked for another: it asked for other rows."""
    terms = {condition.value.term, value.term}
    return condition.operator == "==" and condition.value.made == value.made == "const" and len(terms - {""}) == 2


def _asks_for_what_is_left_empty(condition: Condition, model: Model) -> bool:
    """Whether a look only finds rows that have something in a column which a new row is not given: never that one."""
    column = model.columns.get(condition.column)
    filled = condition.operator == "is not null" or (
        condition.operator in ("!=", "is not") and condition.value.made == "none"
    )
    return filled and column is not None and column.nullable and not column.has_default


def _puts_away(write: RowWrite) -> bool:
    """`row.status = "cancelled"`, `row.deleted_at = now()`, `row.archived = True`."""
    if _ENDING.search(write.text):
        return True
    return _ENDING.search(write.column) is not None and write.made != "none" and write.text != "False"


def _adds(write: RowWrite) -> bool:
    """Whether a write that is made twice counts twice: a new row, or a value that is computed from the old one."""
    if write.form == "insert" or write.kind == "augment":
        return True
    column = write.model.columns.get(write.column)
    if write.made == "atomic":
        given = write.value.obj if write.value is not None else None
        computed = {c.name for c in given.columns} if isinstance(given, Expression) else set()
        return (not computed or write.column in computed) and (column is None or column.kind != "json")
    if isinstance(write.node, ast.Assign) and _is_same(write.node.value, write.column):
        return False
    own = write.value.reads if write.value is not None else frozenset()
    return any(isinstance(r, RowRead) and r.column == write.column and r.location == write.location for r in own)


def _by_key(condition: Condition) -> Condition:
    """`filter_by(user=user)` asks about the foreign key."""
    model, name = condition.model, condition.column
    if model is None or name not in model.relationships:
        return condition
    key = next((c.name for c in model.columns.values() if c.foreign_key and c.name.removesuffix("_id") == name), name)
    return condition._replace(column=key, value=Value())


def _keys_of_parents(model: Model, given: dict[str, Value]) -> dict[str, Value]:
    """The foreign keys that are set by giving the parent itself: `Seat(club=club)`."""
    named = {n for n in given if n in model.relationships}
    if not named:
        return {}
    keys = [c.name for c in model.columns.values() if c.foreign_key]
    own = [n for n in keys if n.removesuffix("_id") in named]
    return {n: Value() for n in own or keys}


def exclude(one: RowWrite, other: RowWrite) -> bool:
    """Whether the two are in different branches of one decision."""
    sides = {id(c.node): c.negated for c in one.decided}
    return any(sides.get(id(c.node), c.negated) != c.negated for c in other.decided)


def _is_named(value: Value | None) -> bool:
    """`Status.DONE.value`: what a name says that means the same everywhere."""
    return value is not None and not value.reads and not value.request and _MEMBER.fullmatch(value.term) is not None


def _asks_for_what_it_sets(write: RowWrite) -> bool:
    """Whether an UPDATE finds nothing the second time, as it changes a column that its WHERE asks about."""
    query = write.query
    return query is not None and query.kind == "update" and any(c.column in query.values for c in query.conditions)


def _go_together(one: RowWrite, other: RowWrite) -> bool:
    """Whether all that one of two writes depends on in the functions that lead to both is so for the other one, too."""
    shared = {frame.serial for frame in one.stack} & {frame.serial for frame in other.stack}
    mine, theirs = ({(id(c.node), c.negated) for c in w.decided if c.frame in shared} for w in (one, other))
    return mine <= theirs or theirs <= mine


def names_somebody(write: RowWrite) -> bool:
    """Whether a column that nobody has filled yet is given a value: whose the row is from now on, and no note on it."""
    return is_empty_at_first(write) and _NOTING.search(write.column) is None


def is_empty_at_first(write: RowWrite) -> bool:
    """Whether a new row has nothing in the column that is set; of a table of which nothing is known it may have."""
    column = write.model.columns.get(write.column)
    if not write.model.columns:
        return True
    return column is not None and column.nullable and not column.has_default


def _leads_to(query: Query, write: RowWrite) -> bool:
    """Whether the row that is written was found by what a look has given: `session.get(User, token.user_id)`."""
    origin = write.row.origin if write.row is not None else None
    conditions = origin.query.conditions if isinstance(origin, RowRead) else ()
    return any(isinstance(r, RowRead) and r.query is query for c in conditions for r in c.value.reads)


def is_fixed(value: Value) -> bool:
    """Whether every request asks for the same: a literal, or `Role.USER`."""
    plain = not value.reads and not value.request and value.obj is None
    return plain and (value.made in ("const", "none") or (value.made == "" and "." in value.term))


def is_telling(write: RowWrite) -> bool:
    """Whether a table only tells what has happened."""
    return _TELLING.search(write.model.table.lower()) is not None


def is_invented(value: Value) -> bool:
    """Whether a value was made up at random, or belongs to a row that is new: nobody else asks for the same one."""
    if value.made == "new" and value.obj is None:
        return True
    return value.made in ("call", "await") and not value.request and not value.reads and value.obj is None


def same_value(one: Value, other: Value) -> bool:
    """Whether two values may be the same."""
    if one.term and other.term:
        return one.term == other.term
    return True


def _only_kept(node: ast.expr, column: str) -> bool:
    """Whether the old value is only kept where there is no new one: `new if new is not None else row.column`."""
    if isinstance(node, ast.IfExp):
        branches = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        branches = list(node.values)
    elif isinstance(node, ast.Call) and any(k.arg in _FALLBACKS for k in node.keywords):
        branches = [k.value for k in node.keywords if k.arg in _FALLBACKS]
        if any(mentions(given, column) for given in (*node.args, *_others(node.keywords))):
            return False
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".get", "getattr", ".pop")):
        branches = list(node.args[-1:])
    else:
        return isinstance(node, ast.Attribute) and node.attr == column
    return all(_only_kept(b, column) or not mentions(b, column) for b in branches)


def keeps(node: ast.expr, column: str) -> bool:
    """Whether a value is the old one as it was, or has nothing to do with it."""
    return _only_kept(node, column) or not mentions(node, column)


def _is_same(node: ast.expr, column: str) -> bool:
    """Whether a value is the old one in another form: `float(row.total)`, `loads(dumps(row.state))`."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return False
    name = ast.unparse(node.func).rpartition(".")[2]
    (inner,) = node.args
    own = isinstance(inner, ast.Attribute) and inner.attr == column
    return name.endswith(_RECODING) and (own or _is_same(inner, column))


def _others(keywords: list[ast.keyword]) -> list[ast.expr]:
    return [k.value for k in keywords if k.arg not in _FALLBACKS]


def mentions(node: ast.expr, column: str) -> bool:
    """Whether an expression reads an attribute of that name."""
    return any(isinstance(n, ast.Attribute) and n.attr == column for n in ast.walk(node))
