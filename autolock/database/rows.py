"""Rows and transactions, as every adapter uses them: looks, changes, commits, and what depends on what."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from autolock.database.chosen import chosen_by
from autolock.database.objects import Expression, Query, Session, Spot
from autolock.database.trace import Caught, Commit, DatabaseTrace, RowCandidate, RowRead, RowWrite, Split
from autolock.database.transactions import RowLock, Transaction
from autolock.program.branches import Branches
from autolock.program.trace import Read
from autolock.program.values import NO_READS, NOTHING, Group, Heap, Location, Root, Row, Type, Value

if TYPE_CHECKING:
    from autolock.database.models import Model, Models
    from autolock.program.core import Core


def table_of(model: Model) -> Location:
    """The Location that the rows of a table are."""
    return Location(Root("table", model.ref.path, model.ref.name), ("[*]",))


class Change(NamedTuple):
    """What was assigned to an attribute of a row that is written by `save()`, not by a flush."""

    value: Value
    node: ast.AST
    kind: str
    own: frozenset[Read]


class Rows:
    """What is done to rows, recorded. One for a run of the interpreter."""

    def __init__(self, core: Core, models: Models) -> None:
        self.core = core
        self.models = models
        self.branches = Branches(core.program)
        self.trace = DatabaseTrace()
        self.catching: list[frozenset[Caught]] = []
        self.handling = 0
        self.unsaved: dict[Row, dict[str, Change]] = {}
        self.since = 0
        #: What advisory locks are held by that outlive transactions, whichever connection has taken them.
        self.server = Session()

    # -- transactions --------------------------------------------------------------

    def transaction(self, session: Session) -> Transaction:
        """Where the session stands now."""
        self.trace.clock += 1
        found = self.core.state.transactions.get(session)
        if found is None:
            found = Transaction(self.core.next_serial(), isolated=_isolates(session))
            self.core.state.transactions[session] = found
        return found

    def change(self, session: Session, transaction: Transaction) -> None:
        self.trace.clock += 1
        self.core.state.transactions[session] = transaction

    def reset(self) -> None:
        """Another entry point is followed: what a session has loaded for the last one is not in its own."""
        self.catching.clear()
        self.since = self.core.next_serial()

    def let_go(self, session: Session) -> None:
        """The session lets go of its rows."""
        self.rollback(session)
        session.rows.clear()

    def use(self, session: Session, writes: bool = False) -> Transaction:
        """A statement is run: it begins a transaction where none has begun."""
        session.used += 1
        self.core.database.sessions.runs(session, writes)
        transaction = self.transaction(session)
        if session.autocommits and not transaction.blocks:
            # Every statement is a transaction of its own.
            transaction = replace(transaction, serial=self.core.next_serial(), locks=())
        transaction = replace(transaction, begun=True, connected=True)
        self.change(session, transaction)
        return transaction

    def named(self, session: Session, node: ast.Call) -> None:
        """Remember how a function names the session."""
        ref = self.core.frame.ref if self.core.frames else None
        if ref is not None and ref not in session.names and isinstance(node.func, ast.Attribute):
            session.names[ref] = self.core.text_of(node.func.value)

    def caught(self) -> frozenset[Caught]:
        """The exceptions that somebody up the calls expects."""
        return frozenset().union(*self.catching) if self.catching else frozenset()

    @contextmanager
    def in_handler(self) -> Iterator[None]:
        """An `except` clause is followed."""
        self.handling += 1
        try:
            yield
        finally:
            self.handling -= 1

    def flush(self, session: Session) -> None:
        """What is pending is sent to the database."""
        transaction = self.transaction(session)
        self.send(transaction)
        self.change(session, replace(transaction, sent=frozenset(transaction.pending)))

    def send(self, transaction: Transaction) -> None:
        """Note who expects that the database refuses what has not been sent to it yet."""
        caught = self.caught()
        for write in transaction.pending:
            if write not in transaction.sent:
                write.flushes.append(caught)

    def commit(self, session: Session, node: ast.AST, automatic: bool = False) -> None:
        """End the transaction, keeping what it wrote."""
        core = self.core
        transaction = self.transaction(session)
        done: Commit | None = None
        if core.recording and core.frames and core.frame.ref is not None:
            done = Commit(
                node,
                core.stack(),
                core.context,
                core.entry,
                session,
                transaction.pending,
                core.state.held,
                transaction.serial,
                automatic,
                core.state.control,
                tuple(w for w in transaction.pending if w not in transaction.sent),
            )
            self.trace.commits.append(done)
            self.send(transaction)
            for write in transaction.pending:
                write.commits.append(done)
            earlier = next((c for c in reversed(transaction.commits) if c.writes), None)
            if earlier is not None and done.writes:
                self.trace.splits.append(Split(core.entry, earlier, done))
        self.change(session, transaction.ended(core.next_serial(), done))

    def forget(self, session: Session, rows: list[Row] | None) -> None:
        """The session lets go of some rows, or of all of them: what it has not sent to the database is lost."""
        transaction = self.transaction(session)
        lost = {
            write
            for write in transaction.pending
            if write.form in ("attribute", "insert")
            and write not in transaction.sent
            and (rows is None or any(write.row is row for row in rows))
            and not self.is_autoflushed(session, write)
        }
        self.trace.lost |= lost
        self.change(session, replace(transaction, pending=tuple(w for w in transaction.pending if w not in lost)))

    def is_autoflushed(self, session: Session, write: RowWrite) -> bool:
        """Whether a statement was run after a change, before which the session sends what is pending."""
        later = (read for _, read in reversed(self.trace.reads) if read.session is session)
        return session.autoflush and next(later, write).serial > write.serial

    def rollback(self, session: Session) -> None:
        self.change(session, self.transaction(session).ended(self.core.next_serial(), None))

    def enter_block(self, session: Session) -> None:
        transaction = self.transaction(session)
        begun = transaction.begun and not session.autocommits
        if not begun and not transaction.blocks:
            # What a statement of its own has locked, its end has let go of.
            transaction = replace(transaction, serial=self.core.next_serial(), locks=())
        self.change(session, replace(transaction, begun=True, blocks=transaction.blocks + 1))

    def leave_block(self, session: Session, node: ast.AST) -> None:
        transaction = self.transaction(session)
        self.change(session, replace(transaction, blocks=max(transaction.blocks - 1, 0)))
        if transaction.blocks <= 1:
            self.commit(session, node)

    def abandon_block(self, session: Session) -> None:
        """A transaction that was begun by hand is rolled back."""
        transaction = self.transaction(session)
        self.change(session, replace(transaction, blocks=max(transaction.blocks - 1, 0)))
        self.rollback(session)

    def lock(self, session: Session, kind: str, table: Location | None, node: ast.AST) -> Transaction:
        """The database holds something for this transaction until it ends."""
        transaction = self.transaction(session)
        lock = RowLock(kind, table, self.core.next_serial(), node)
        transaction = replace(transaction, locks=(*transaction.locks, lock))
        self.change(session, transaction)
        return transaction

    def unlock(self) -> None:
        """Advisory locks that outlive transactions are given back; for what is not committed by then they were none."""
        transactions = self.core.state.transactions
        if any(not write.commits for transaction in transactions.values() for write in transaction.pending):
            self.trace.unlocked |= {lock.serial for lock in self.held()}
        transactions.pop(self.server, None)

    def held(self) -> tuple[RowLock, ...]:
        """The advisory locks that are held now and outlive transactions."""
        found = self.core.state.transactions.get(self.server)
        return found.locks if found is not None else ()

    # -- looking -------------------------------------------------------------------

    def select(self, session: Session, query: Query, node: ast.AST) -> RowRead | None:
        """Run a SELECT: the look at its table, and the locks that it takes."""
        transaction = self.use(session)
        if query.advisory == "xact":
            self.lock(session, "advisory", None, node)
        elif query.advisory == "session":
            self.lock(self.server, "advisory", None, node)
        elif query.advisory:
            self.unlock()
        if query.model is None:
            return None
        if query.locks:
            for model in query.of or (query.model, *query.beside):
                transaction = self.lock(session, "row", table_of(model), node)
        what = "aggregate" if query.entity == "aggregate" else "row"
        return self.look(session, query, node, what, transaction)

    def look(
        self,
        session: Session,
        query: Query,
        node: ast.AST,
        what: str,
        transaction: Transaction,
        column: str = "",
        row: Row | None = None,
        earlier: RowRead | None = None,
    ) -> RowRead | None:
        core = self.core
        assert query.model is not None
        if not core.recording or not core.frames or core.frame.ref is None:
            return None
        location = table_of(query.model)
        if column:
            location = location.child(f".{column}")
        read = RowRead(
            node,
            core.stack(),
            core.context,
            location,
            key_of(query),
            what,
            core.state.held,
            core.next_serial(),
            query,
            session,
            transaction.serial,
            what,
            column,
            row,
            (*transaction.locks, *self.held()),
            transaction.isolated,
            earlier,
        )
        self.trace.reads.append((core.entry, read))
        return read

    def weigh(self, left: Value, operator: ast.cmpop, right: Value) -> None:
        """Two values are compared: note of one that counts rows whether it is only asked to be nothing or something."""
        for number, other, at_least in ((left, right, ast.GtE | ast.Lt), (right, left, ast.LtE | ast.Gt)):
            for read in _in_order(number.reads):
                if read.what == "aggregate":
                    one = other.term == "1" and isinstance(operator, at_least)
                    some = other.made == "const" and (other.term == "0" or one)
                    self.trace.presence[read.serial] = some and self.trace.presence.get(read.serial, True)

    def ask_whether_any(self, number: Value) -> None:
        """A value is asked whether it is true: note of a plain count that this asks for nothing or something."""
        for read in _in_order(number.reads):
            if read.what == "aggregate":
                self.trace.presence.setdefault(read.serial, True)

    def demand(self, read: RowRead, *, missing: bool) -> None:
        """A look raises where there are several rows and, unless one may be `missing`, where there is none."""
        self.trace.single.add(read.serial)
        if not missing:
            self.trace.demanded[read.serial] = tuple(self.catching)

    def demanded_since(self, place: int) -> list[RowRead]:
        """The looks from a place in the trace on that raise where there is no row."""
        return [read for _, read in self.trace.reads[place:] if read.serial in self.trace.demanded]

    def has_found(self, read: RowRead) -> bool:
        """Whether a look has raised where it found nothing, and no handler has led the run on from there."""
        then = self.trace.demanded.get(read.serial) if read.query.form != "relationship" else None
        if then is None or self.handling or len(then) > len(self.catching):
            return False
        return all(a is b or not a for a, b in zip(then, self.catching, strict=False))

    def row_beside(self, read: RowRead, query: Query, model: Model, session: Session) -> Value:
        """The row of another table that comes in one tuple with the row of a look."""
        conditions = tuple(c for c in query.conditions if c.model == model)
        query = replace(query, model=model, beside=(), conditions=conditions, exact=False, joined=True)
        location = table_of(model)
        again = next((r for _, r in self.trace.reads if r.serial == read.serial and r.location == location), None)
        if again is None:
            again = replace(read, query=query, location=location, key=key_of(query), earlier=None)
            self.trace.reads.append((self.core.entry, again))
        return self.row_value(again, query, session)

    def row_value(self, read: RowRead | None, query: Query, session: Session) -> Value:
        """The row that a SELECT found, as a value that says whether there is one."""
        reads = frozenset((read,)) if read is not None else NO_READS
        if query.model is None:
            return Value(None, reads, "", False, "call")
        return Value(self.make_row(query, session, read), reads, "", False, "call")

    def make_row(self, query: Query, session: Session, read: RowRead | None) -> Row:
        model = query.model
        assert model is not None
        known = self.known(session, query) if session.maps and not query.populates else None
        kept = known is not None and not self.is_expired(known)
        if read is not None and known is not None and kept and isinstance(known.origin, RowRead):
            read = replace(read, earlier=known.origin)
        kind = Type("instance", model.ref) if model.ref.kind == "class" else Type("unknown", name=model.table)
        row = Row(kind, None, table=table_of(model), origin=read, session=session)
        if read is not None and not query.limited and query.exact:
            session.rows[read.key] = row
        return row

    def known(self, session: Session, query: Query) -> Row | None:
        """The object that the session has for the row already, where that can be seen."""
        found = session.rows.get(key_of(query))
        origin = found.origin if isinstance(found, Row) else None
        if isinstance(found, Row) and isinstance(origin, RowRead) and self.is_on_the_way(origin):
            return found
        model = query.model
        if model is None or len(query.conditions) != 1:
            return None
        condition = query.conditions[0]
        column = model.columns.get(condition.column)
        if column is None or not column.primary_key:
            return None
        for read in condition.value.reads:
            same = isinstance(read, RowRead) and read.column == condition.column and read.session is session
            if same and isinstance(read, RowRead) and read.location.root == table_of(model).root and read.row:
                return read.row
        return None

    def is_on_the_way(self, read: RowRead) -> bool:
        """Whether the run may have made a look before it came here, not in the other branch of a test."""
        apart = bool(self.core.frames) and self.branches.are_apart(read.stack, self.core.stack())
        return read.serial > self.since and not apart

    def is_expired(self, row: Row) -> bool:
        """Whether a commit has made the session forget the row's values."""
        origin, session = row.origin, row.session
        if not isinstance(origin, RowRead) or not isinstance(session, Session):
            return False
        return session.expires and origin.transaction != self.transaction(session).serial

    def column_value(self, row: Row, name: str, node: ast.AST) -> Value:
        """`row.name`: what was read when the row was loaded."""
        model = self.model_of(row)
        if name in row.fields and row.origin is None:
            return row.fields[name]
        held = row.fields.get(f".{name}")
        if row.origin is None:
            made = "expression" if ".**" in row.fields else "new"
            return held if held is not None else Value(None, term=f"{row.term or f'row{row.serial}'}.{name}", made=made)
        reads = self.column_reads(row, name, node)
        term = f"{row.term or f'row{row.serial}'}.{name}"
        known = model.columns.get(name) if model is not None else None
        obj = Heap(Type("dict")) if known is not None and known.kind == "json" else None
        if obj is not None and known is not None and known.mutable and not row.copied:
            obj.fields["(of)"] = Value(row, term=name)
        if held is not None:
            return Value(held.obj or obj, held.reads | reads, held.term or term, held.request, held.made)
        return Value(obj, reads, term, False, "expression")

    def column_reads(self, row: Row, name: str, node: ast.AST) -> frozenset[Read]:
        origin, session = row.origin, row.session
        if not isinstance(origin, RowRead) or not isinstance(session, Session):
            return NO_READS
        if not row.copied and self.is_expired(row):
            # The attribute is loaded again by a SELECT of its own.
            query = replace(origin.query, form="attribute", locks=False, serial=self.core.next_serial())
            fresh = self.look(session, query, node, "row", self.use(session), row=row)
            if fresh is not None:
                row.origin = origin = fresh
                row.reads.clear()
        if name not in row.reads:
            location = origin.location.child(f".{name}")
            row.reads[name] = replace(
                origin, what="column", how="column", column=name, row=row, location=location, key=f"row{row.serial}"
            )
        return frozenset((row.reads[name],))

    def model_of(self, row: Row) -> Model | None:
        """The model of the table that the row is of."""
        if row.copied:
            return row.origin.query.model if isinstance(row.origin, RowRead) else None
        return self.models.of(row.type.ref) if row.type.ref is not None else self.models.by_table(row.type.name)

    # -- changing ------------------------------------------------------------------

    def write(
        self,
        session: Session | None,
        model: Model,
        form: str,
        kind: str,
        node: ast.AST,
        value: Value,
        *,
        column: str = "",
        row: Row | None = None,
        query: Query | None = None,
        own: frozenset[Read] = NO_READS,
    ) -> RowWrite | None:
        """A change of a table: recorded, with what it depends on."""
        core = self.core
        transaction = self.use(session, writes=True) if session is not None else Transaction(0)
        if not core.recording or not core.frames or core.frame.ref is None:
            return None
        location = table_of(model)
        if column:
            location = location.child(f".{column}")
        atomic = isinstance(value.obj, Expression)
        origin = row.origin if row is not None else None
        earlier = row.decided if row is not None and form == "insert" else ()
        earlier = tuple(c for c in earlier if c not in core.state.control)
        write = RowWrite(
            node,
            core.stack(),
            core.context,
            location,
            f"row{row.serial}" if row is not None else key_of(query) if query is not None else "",
            kind,
            core.state.held,
            core.next_serial(),
            made="atomic" if atomic else value.made,
            request=value.request,
            text=value.term if value.made in ("const", "none") or _is_constant(value) else "",
            form=form,
            model=model,
            session=session,
            transaction=transaction.serial,
            column=column,
            value=value,
            row=row,
            query=query,
            conditions=query.conditions if query is not None else (),
            locks=(*transaction.locks, *self.held()),
            catching=self.caught(),
            decided=(*core.state.control, *earlier),
            earlier=earlier,
            loops=core.loops,
            handling=self.handling,
            found=origin if isinstance(origin, RowRead) else None,
        )
        self.trace.writes.append((core.entry, write))
        # What is added in the database may still be worked out from the column as it was.
        added = frozenset(r for r in value.reads if isinstance(r, RowRead) and r.location == location)
        self.close(write, added if atomic else value.reads | own)
        if session is not None:
            transaction = replace(transaction, pending=(*transaction.pending, write))
            self.change(session, transaction)
            if form != "attribute" and form != "insert":
                write.flushes.append(self.caught())
        return write

    def done(self, session: Session, node: ast.AST) -> None:
        """A statement has ended: where nobody has begun a transaction, it is committed at once."""
        transaction = self.transaction(session)
        if session.autocommits and not transaction.blocks and transaction.pending:
            self.commit(session, node, automatic=True)

    def close(self, write: RowWrite, data: frozenset[Read]) -> None:
        """Every look that the change depends on makes a candidate."""
        for read in _in_order(data):
            if self.is_own(read, write):
                self.candidate(read, write, "data")
        for control in write.decided:
            for read in _in_order(control.reads):
                if read.location.root != write.location.root:
                    continue
                if write.form != "insert" or read.what != "row" or not self.has_found(read):
                    self.trace.candidates.append(RowCandidate(self.core.entry, read, write, "control", control))
        origin = write.row.origin if write.row is not None else self.found_for(write)
        if isinstance(origin, RowRead) and (
            self.is_chosen_by(origin.query, write) or self.is_picked(origin.query, write)
        ):
            self.candidate(origin, write, "where")

    @staticmethod
    def found_for(write: RowWrite) -> RowRead | None:
        """The look that told which rows a statement changes: `UPDATE jobs SET ... WHERE id = job.id`, `id IN (ids)`."""
        for condition in write.conditions if write.form == "update" else ():
            among = _held(condition.value) if condition.operator == "in" else NO_READS
            for read in _in_order(condition.value.reads | among):
                same = read.location.root == write.location.root and read.column == condition.column
                if same and read.what == "column" and condition.operator in ("==", "in"):
                    origin = read.row.origin if read.row is not None else None
                    return origin if isinstance(origin, RowRead) else read
        return None

    @staticmethod
    def is_own(read: RowRead, write: RowWrite) -> bool:
        """Whether what is written was computed from what is overwritten."""
        if read.location.root != write.location.root:
            return False
        if write.form == "insert":
            return read.what == "aggregate" or is_next(read, write)
        if read.what != "column" or read.column != write.column:
            return False
        return write.row is None or read.row is None or same_row(read, write)

    @staticmethod
    def is_chosen_by(query: Query, write: RowWrite) -> bool:
        """Whether the row was found by a condition that the change makes false, or is taken away; not by a search."""
        if write.kind == "remove":
            return True
        asked = (c.column for c in query.conditions if not c.operator.endswith("like"))
        return bool(write.column) and write.column in asked

    @staticmethod
    def is_picked(query: Query, write: RowWrite) -> bool:
        """Whether the row was picked out of several, in Python, by the column that is changed."""
        return query.picked and write.row is not None and write.column in write.row.asked

    def candidate(self, read: RowRead, write: RowWrite, dependence: str) -> None:
        control = next((c for c in self.core.state.control if read in c.reads), None)
        self.trace.candidates.append(RowCandidate(self.core.entry, read, write, dependence, control))

    # -- objects of mapped classes ------------------------------------------------------

    def assign(self, row: Row, name: str, value: Value, node: ast.AST, kind: str, own: frozenset[Read]) -> None:
        """`row.name = value`."""
        model = self.model_of(row)
        row.fields[f".{name}"] = value
        if self.handling and row.session is not None and (value.made == "const" or _is_constant(value)):
            self.trace.failed.add(row)
        if model is None or row.origin is None or row.copied:
            return
        session = row.session if isinstance(row.session, Session) else None
        if session is not None and not session.maps:
            self.unsaved.setdefault(row, {})[name] = Change(value, node, kind, own)
        elif name in model.columns:
            self.write(session, model, "attribute", kind, node, value, column=name, row=row, own=own | _held(value))

    def assign_some(self, row: Row, value: Value, node: ast.AST) -> None:
        """Columns are set that are not named: `row.sqlmodel_update(data)`, `setattr(row, name, value)`."""
        obj = value.obj
        named = {k[2:-2]: v for k, v in obj.fields.items() if k.startswith("['")} if isinstance(obj, Heap) else {}
        for name, held in named.items():
            self.assign(row, name, held, node, "assign", held.reads)
        model = self.model_of(row)
        session = row.session if isinstance(row.session, Session) else None
        if not named and model is not None and row.origin is not None:
            self.write(session, model, "attribute", "assign", node, value, row=row)

    def change_inside(self, held: Heap, value: Value, node: ast.AST) -> None:
        """`row.column[key] = value`, where the session notices that: the whole column is written."""
        owner = held.fields.get("(of)")
        model = self.model_of(owner.obj) if owner is not None and isinstance(owner.obj, Row) else None
        if owner is not None and isinstance(owner.obj, Row) and model is not None and owner.term in model.columns:
            reads = self.column_value(owner.obj, owner.term, node).reads
            self.assign(owner.obj, owner.term, Value(held, reads | value.reads), node, "augment", reads)

    def add_related(self, held: Heap, value: Value, node: ast.AST) -> None:
        """`order.lines.append(Line(...))`: a new row of the order."""
        owner = held.fields.get("(of)")
        row = owner.obj if owner is not None else None
        model = self.model_of(row) if isinstance(row, Row) else None
        related = owner is not None and model is not None and owner.term in model.relationships
        if related and isinstance(row, Row) and isinstance(row.session, Session):
            made, held_rows = value.obj, held.fields.get("[*]", NOTHING).obj
            origin = held_rows.origin if isinstance(held_rows, Row) else None
            for condition in origin.query.conditions if isinstance(origin, RowRead) else ():
                if isinstance(made, Row) and made.origin is None:
                    made.fields.setdefault(f".{condition.column}", condition.value)
            self.insert(row.session, value, node)

    def insert(self, session: Session, value: Value, node: ast.AST) -> None:
        """`session.add(...)` of one object or of several."""
        for item in _items(value):
            obj = item.obj
            if isinstance(obj, Row) and obj.origin is not None and obj.instead is not None:
                obj.instead.fields.update(obj.fields)
                obj = obj.instead
            if not isinstance(obj, Row) or obj.origin is not None:
                continue
            model = self.model_of(obj)
            if model is None or obj.session is not None:
                continue
            obj.session = session
            given = Value(obj, item.reads.union(*(v.reads for v in obj.fields.values())), "", item.request, "new")
            self.write(session, model, "insert", "insert", node, given, row=obj)

    def remove(self, session: Session, value: Value, node: ast.AST) -> None:
        """`session.delete(row)`."""
        for item in _items(value):
            if isinstance(item.obj, Row):
                model = self.model_of(item.obj)
                if model is not None:
                    self.write(session, model, "delete", "remove", node, NOTHING, row=item.obj)

    def run(self, session: Session, query: Query, node: ast.AST) -> RowRead | None:
        """Run any statement."""
        if query.kind == "select":
            return self.select(session, query, node)
        model = query.model
        if model is None:
            self.use(session)
            return None
        if query.kind == "insert":
            given = Value(None, NO_READS.union(*(v.reads for v in query.values.values())), "", False, "new")
            self.write(session, model, "insert", "insert", node, given, query=query)
        elif query.kind == "delete":
            self.write(session, model, "delete", "remove", node, NOTHING, query=query)
        elif query.kind == "update":
            self.update(session, query, model, node)
        self.done(session, node)
        return None

    def update(self, session: Session, query: Query, model: Model, node: ast.AST) -> None:
        """Run an UPDATE: the look at the rows that it chooses itself, and the columns that it sets."""
        chosen = chosen_by(query)
        # One statement of SQLite is alone in the database while it runs.
        seen = chosen if chosen is not None and not chosen.locks and self.core.database.dialect != "sqlite" else None
        read = self.look(session, seen, node, "row", self.transaction(session)) if seen is not None else None
        if not query.values:
            self.use(session)
        for column, value in query.values.items():
            write = self.write(session, model, "update", "assign", node, value, column=column, query=query)
            if read is not None and write is not None and self.is_chosen_by(read.query, write):
                self.candidate(read, write, "where")

    def spot(self, node: ast.AST) -> Spot:
        """Where the program is now."""
        frame = self.core.frames[-1] if self.core.frames else None
        return Spot(frame.ref if frame else None, frame.statement if frame else None, node)


def key_of(query: Query) -> str:
    """A text by which two looks at the same row are known as such; a new one where that cannot be seen."""
    parts = [f"{c.column}{c.operator}{c.value.term}" for c in query.conditions]
    if not query.exact or not parts or any(not c.value.term for c in query.conditions):
        return f"?{query.serial}"
    name = query.model.ref.name if query.model is not None else ""
    return f"{name}:{';'.join(sorted(parts))}"


def same_row(read: RowRead, write: RowWrite) -> bool:
    """Whether a row that was read and one that is written are one: the same object, or found by the same question."""
    if read.row is write.row or read.key == write.key:
        return True
    # What either object was loaded by later, in a refresh, does not matter.
    asked = key_of(read.query)
    return write.found is not None and not asked.startswith("?") and asked == key_of(write.found.query)


def _in_order(reads: frozenset[Read]) -> list[RowRead]:
    return sorted((r for r in reads if isinstance(r, RowRead)), key=lambda r: (r.serial, r.what != "row", r.column))


def _items(value: Value) -> Sequence[Value]:
    obj = value.obj
    if isinstance(obj, Group):
        return obj.items
    if isinstance(obj, Heap) and not isinstance(obj, Row) and "[*]" in obj.fields:
        return [obj.fields["[*]"]]
    return [value]


def _held(value: Value, depth: int = 3) -> frozenset[Read]:
    """What was read to come to what a new dictionary or list holds."""
    heap = value.obj
    if not isinstance(heap, Heap) or isinstance(heap, Row) or heap.location is not None or depth == 0:
        return NO_READS
    held = [v for name, v in heap.fields.items() if name != "(of)"]
    return NO_READS.union(*(v.reads for v in held), *(_held(v, depth - 1) for v in held))


def _is_constant(value: Value) -> bool:
    """`Status.DONE`: a name that means the same everywhere."""
    return not value.reads and not value.request and value.obj is None and "." in value.term and value.made == ""


def _isolates(session: Session) -> bool:
    return session.isolation.upper().replace("_", " ") in ("SERIALIZABLE", "REPEATABLE READ")


def is_next(read: RowRead, write: RowWrite) -> bool:
    """Whether a new row gets what follows the value of the last one: `order_by(number.desc()).limit(1)`, plus one."""
    last = read.query.ordered and (read.query.limited or read.query.topmost)
    given = write.row.fields.get(f".{read.column}", NOTHING) if write.row is not None else NOTHING
    if not last or read.what != "column" or read not in given.reads or given.made != "expression":
        return False
    nodes = (read.query.spot.node, read.node) if read.query.spot is not None else (read.node,)
    return any(_is_ordered_by(n, read.column) for node in nodes for n in ast.walk(node))


def _is_ordered_by(node: ast.AST, column: str) -> bool:
    """`query.order_by(Model.column.desc())`."""
    called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    arguments = node.args if isinstance(node, ast.Call) and called == "order_by" else []
    return any(isinstance(n, ast.Attribute) and n.attr == column for a in arguments for n in ast.walk(a))
