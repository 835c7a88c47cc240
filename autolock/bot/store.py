"""What the bot remembers: which deliveries it has had, and what is still to be done.

Every decision is one statement that the database makes alone: an INSERT that a key refuses, or an UPDATE whose WHERE
repeats the check; whether it changed a row tells who was first. So any number of bots may share a database.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Executable, RowMapping

_METADATA = MetaData()
_DELIVERIES = Table(
    "deliveries",
    _METADATA,
    Column("id", String(64), primary_key=True),
    Column("event", String(64), nullable=False),
    Column("received", Float, nullable=False),
)
_JOBS = Table(
    "jobs",
    _METADATA,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("repository", String(255), nullable=False),
    Column("repository_id", BigInteger, nullable=False),
    Column("installation", BigInteger, nullable=False),
    Column("details", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("due", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("held_until", Float, nullable=False),
    Column("waiting", String(255)),  # what another job of the same kind is not queued beside; NULL once it is taken
    Index("jobs_waiting", "waiting", unique=True),
    Index("jobs_due", "due"),
)
_TURNS = Table(  # whose turn it is in a repository: its jobs share a clone
    "turns",
    _METADATA,
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),
    Column("holder", String(32), nullable=False),
    Column("held_until", Float, nullable=False),
)

#: A delivery older than this is not refused as a replay any more, and GitHub redelivers none that is older than 3 days.
_REMEMBERED = 30 * 86_400.0
#: How long a job is left to who has taken it; a bot that was killed has its jobs taken over then.
LEASE = 900.0
TRIES = 5


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done for one repository of an installation. `details` say what, by the kind of the job."""

    kind: str
    repository: str
    repository_id: int
    installation: int
    details: Mapping[str, Any]
    id: str = ""
    tries: int = 0

    @property
    def subject(self) -> str:
        """Jobs of the same subject that wait come to the same: one of them is enough."""
        about = ":".join(f"{key}={self.details[key]}" for key in sorted(self.details))
        return f"{self.kind}:{self.repository_id}:{about}"[:255]


class Store:
    """The database. May be used from several threads and processes."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = create_engine(url, pool_pre_ping=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _careful)
        self._clock = clock
        try:
            _METADATA.create_all(self._engine)
        except DBAPIError:  # another bot is making the same tables
            _METADATA.create_all(self._engine)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def accept(self, delivery: str, name: str, jobs: Sequence[Job], gone: int = 0) -> bool:
        """Record a delivery and queue its jobs, all or nothing; False where the delivery was here before.

        What waits for an installation that is `gone` is forgotten.
        """
        now = self._clock()
        new = self._insert(_DELIVERIES).values(id=delivery, event=name, received=now).on_conflict_do_nothing()
        with self._engine.begin() as connection:
            if connection.execute(new.returning(_DELIVERIES.c.id)).first() is None:
                return False
            connection.execute(delete(_DELIVERIES).where(_DELIVERIES.c.received < now - _REMEMBERED))
            if gone:
                waits = _JOBS.c.installation == gone, _JOBS.c.held_until == 0.0
                connection.execute(delete(_JOBS).where(*waits))
            for job in jobs:
                connection.execute(self._queued(job))
        return True

    def queue(self, job: Job) -> None:
        """Queue a job, unless one that comes to the same waits already."""
        with self._engine.begin() as connection:
            connection.execute(self._queued(job))

    def _queued(self, job: Job) -> Executable:
        now = self._clock()
        values = {
            "id": uuid.uuid4().hex,
            "kind": job.kind,
            "repository": job.repository,
            "repository_id": job.repository_id,
            "installation": job.installation,
            "details": dict(job.details),
            "created": now,
            "due": now,
            "tries": 0,
            "holder": "",
            "held_until": 0.0,
            "waiting": job.subject,
        }
        return self._insert(_JOBS).values(values).on_conflict_do_nothing()

    def take(self, holder: str) -> Job | None:
        """The next job that is due and that nobody else has; None where there is none.

        Jobs of one repository are done one after the other. One that was tried too often without ever ending, because
        it takes its process with it, is forgotten.
        """
        now = self._clock()
        with self._engine.begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.tries >= TRIES, _JOBS.c.held_until < now))
        held = select(_TURNS.c.repository_id).where(_TURNS.c.held_until >= now)
        free = _JOBS.c.due <= now, _JOBS.c.held_until < now, _JOBS.c.repository_id.not_in(held)
        due = select(_JOBS).where(*free).order_by(_JOBS.c.due).limit(50)
        with self._engine.connect() as connection:
            rows = connection.execute(due).mappings().all()
        for row in rows:
            if not self._has_turn(row["repository_id"], holder):
                continue
            mine = _JOBS.c.id == row["id"], _JOBS.c.held_until == row["held_until"]
            taking = {"holder": holder, "held_until": now + LEASE, "waiting": None, "tries": _JOBS.c.tries + 1}
            with self._engine.begin() as connection:
                taken = connection.execute(update(_JOBS).where(*mine).values(taking))
            if taken.rowcount == 1:
                return _job(row)
            self._give_turn(row["repository_id"], holder)
        return None

    def _has_turn(self, repository: int, holder: str) -> bool:
        now = self._clock()
        turn = {"holder": holder, "held_until": now + LEASE}
        asked = self._insert(_TURNS).values(repository_id=repository, **turn)
        asked = asked.on_conflict_do_update(
            index_elements=["repository_id"], set_=turn, where=_TURNS.c.held_until < now
        )
        with self._engine.begin() as connection:
            return connection.execute(asked.returning(_TURNS.c.holder)).first() is not None

    def _give_turn(self, repository: int, holder: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_TURNS).where(_TURNS.c.repository_id == repository, _TURNS.c.holder == holder))

    def done(self, job: Job, holder: str) -> None:
        """Forget a job; one that somebody else has taken over since is theirs."""
        with self._engine.begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.id == job.id, _JOBS.c.holder == holder))
        self._give_turn(job.repository_id, holder)

    def again(self, job: Job, holder: str, delay: float) -> None:
        """Let a job be tried again after some seconds."""
        with self._engine.begin() as connection:
            connection.execute(
                update(_JOBS)
                .where(_JOBS.c.id == job.id, _JOBS.c.holder == holder)
                .values(due=self._clock() + delay, held_until=0.0, holder="")
            )
        self._give_turn(job.repository_id, holder)

    def keep(self, job: Job, holder: str) -> None:
        """Hold a job, and the turn in its repository, for longer."""
        until = self._clock() + LEASE
        mine = update(_JOBS).where(_JOBS.c.id == job.id, _JOBS.c.holder == holder)
        turn = update(_TURNS).where(_TURNS.c.repository_id == job.repository_id, _TURNS.c.holder == holder)
        with self._engine.begin() as connection:
            connection.execute(mine.values(held_until=until))
            connection.execute(turn.values(held_until=until))

    def waiting(self) -> int:
        """How many jobs there are."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(_JOBS)).scalar_one()

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that can say what a conflict comes to."""
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)


def _job(row: RowMapping) -> Job:
    """A job as it is in the table, on one more try."""
    return Job(
        kind=row["kind"],
        repository=row["repository"],
        repository_id=row["repository_id"],
        installation=row["installation"],
        details=row["details"],
        id=row["id"],
        tries=row["tries"] + 1,
    )


def _careful(connection: Any, record: object) -> None:
    """SQLite: readers do not wait for a writer, and writers wait for each other instead of failing."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
