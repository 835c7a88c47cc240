"""What happens to rows while a request is followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.trace import Control, Entry, Event, Held, Read, Write

if TYPE_CHECKING:
    from autolock.database.models import Model
    from autolock.database.objects import Condition, Query, Session
    from autolock.database.transactions import RowLock
    from autolock.program.values import Row, Value


class Caught(NamedTuple):
    """An exception that somebody expects, by its name; `fails` where all that comes of it is another exception."""

    name: str
    fails: bool = False


@dataclass(slots=True, frozen=True, eq=False)
class RowRead(Read):
    """A look at rows of a table. `what` is row (whether there is one), column, or aggregate.

    `earlier` is the look through which the session had the row already: its values are what the
    program goes on to see, unless the query populates.
    """

    query: Query
    session: Session
    transaction: int
    what: str = "row"
    column: str = ""
    row: Row | None = None
    locks: tuple[RowLock, ...] = ()
    isolated: bool = False
    earlier: RowRead | None = None


@dataclass(slots=True, frozen=True, eq=False, kw_only=True)
class RowWrite(Write):
    """A change of rows. `form` is attribute, insert, update, delete, or merge; `column` the one that is set.

    `made` is how the value came about: `atomic` where the database computes it, `settled` where to do it twice is to do
    it once.

    `value` is what is written, `conditions` what an UPDATE or DELETE asks of the row, `query` its
    statement. `catching` are the exceptions that somebody up the calls expects, `commits` what
    became of it, `found` is the look that had loaded the row by then, `handling` the `except` clauses it is in.
    Of what is `decided`, the `earlier` decisions were over when it was written: they had led to a new object.
    """

    form: str
    model: Model
    session: Session | None
    transaction: int
    column: str = ""
    value: Value | None = None
    row: Row | None = None
    query: Query | None = None
    conditions: tuple[Condition, ...] = ()
    locks: tuple[RowLock, ...] = ()
    catching: frozenset[Caught] = frozenset()
    decided: tuple[Control, ...] = ()
    earlier: tuple[Control, ...] = ()
    loops: int = 0
    handling: int = 0
    found: RowRead | None = None
    commits: list[Commit] = field(default_factory=list)
    flushes: list[frozenset[Caught]] = field(default_factory=list)


@dataclass(slots=True, frozen=True, eq=False)
class Commit(Event):
    """The end of a transaction that keeps what was written; `unsent` is what no flush has sent before it."""

    entry: Entry
    session: Session
    writes: tuple[RowWrite, ...]
    held: tuple[Held, ...]
    transaction: int
    automatic: bool = False
    decided: tuple[Control, ...] = ()
    unsent: tuple[RowWrite, ...] = ()


@dataclass(slots=True, frozen=True, eq=False)
class RowCandidate:
    """A look at rows and a change that depends on it, by data, by control, or by the WHERE that found the row."""

    entry: Entry
    read: RowRead
    write: RowWrite
    dependence: str
    control: Control | None = None


@dataclass(slots=True, frozen=True, eq=False)
class Split:
    """Two commits of one run, with what each has written."""

    entry: Entry
    first: Commit
    second: Commit


@dataclass(slots=True, frozen=True, eq=False)
class Effect(Event):
    """Something that leaves the process: a task queued, a message sent, while writes are not committed yet."""

    entry: Entry
    session: Session
    kind: str
    transaction: int
    pending: tuple[RowWrite, ...] = ()


@dataclass(slots=True, frozen=True, eq=False)
class Wait(Event):
    """A request waits for something outside of the process; `transactions` are those that are open meanwhile."""

    entry: Entry
    serial: int
    text: str
    transactions: frozenset[int]


@dataclass(slots=True)
class DatabaseTrace:
    """Everything about rows and sessions that was recorded, over all entry points.

    `counted` are the statements whose count of rows was asked for, `returned` the rows that each has given back,
    `presence` the looks that count, by serial: whether the number is only asked to be nothing or something,
    `strangers` the awaited calls of which nothing is known but that others answer them,
    `unlocked` the advisory locks that are given back before what was written under them is committed, `demanded` the
    looks that raise where there is no row, each with who expects exceptions, `single` those that raise where there are
    several, `lost` the changes of rows that their session has let go of, `failed` the new rows that
    are given a constant where an exception is handled.
    """

    reads: list[tuple[Entry, RowRead]] = field(default_factory=list)
    writes: list[tuple[Entry, RowWrite]] = field(default_factory=list)
    candidates: list[RowCandidate] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    services: list[Wait] = field(default_factory=list)
    strangers: list[Wait] = field(default_factory=list)
    counted: set[int] = field(default_factory=set)
    returned: dict[int, set[str]] = field(default_factory=dict)
    presence: dict[int, bool] = field(default_factory=dict)
    unlocked: set[int] = field(default_factory=set)
    demanded: dict[int, tuple[frozenset[Caught], ...]] = field(default_factory=dict)
    single: set[int] = field(default_factory=set)
    lost: set[RowWrite] = field(default_factory=set)
    failed: set[Row] = field(default_factory=set)
    clock: int = 0
