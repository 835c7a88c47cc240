"""A lane: everything that one request sets going, and the gates at which it stops."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Any

from .frames import Spot, Trail


def _always() -> bool:
    return True


class Strand:
    """One of the tasks of a request, or a thread that one of them has started."""


#: The strand to which the running task or thread belongs.
STRAND: ContextVar[Strand | None] = ContextVar("autolock_strand", default=None)


@dataclass
class Gate:
    """A point at which a request has stopped until the schedule lets it go.

    `kind` is "start", "resume", "task", "line", "statement", "commit", "rollback" or "lock"; `ready` says
    whether it could
    go on at all now (a lock may be taken); `polls` that it comes from waiting for time to pass.
    `trail` says where it stands in all functions of the project that led to it.
    `fail` goes on with a failure in the place of the step, where one can happen; `expire` goes on although it is
    not ready, because the time that it would wait is over.
    """

    kind: str
    label: str
    go: Callable[[], None]
    spot: Spot | None = None
    values: dict[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = _always
    polls: bool = False
    trail: Trail = ()
    fail: Callable[[], None] | None = None
    expire: Callable[[], None] | None = None
    strand: Strand | None = field(default_factory=STRAND.get)

    @property
    def key(self) -> tuple[str, str, Spot | None]:
        """The same for the same step of another run."""
        return self.kind, self.label, self.spot


class Lane:
    """One request: its tasks, its worker threads, the gates at which it stands.

    `client` is its number among all that were ever sent to the state in which it runs. It is `told` when its client has
    the answer, and `answered` when the application has done with it.
    """

    def __init__(self, number: int, client: int) -> None:
        self.number = number
        self.client = client
        self.gates: deque[Gate] = deque()
        self.tasks: dict[asyncio.Task[Any], Strand] = {}
        self._strands: dict[Strand | None, int] = {}
        self.workers = 0
        self.told = False
        self.answered = False
        self.resting = False
        self.closed = False
        self.last: Gate | None = None
        self.draws = 0
        self.lock = threading.Lock()

    @property
    def name(self) -> str:
        """A, B, C, as the lanes are drawn."""
        return chr(ord("A") + self.number)

    @property
    def finished(self) -> bool:
        """Whether the request is answered and nothing that it started goes on; an open connection may wait for ever."""
        if not self.answered or self.gates or self.workers:
            return False
        return self.resting or all(task.done() for task in self.tasks)

    def one_worker_less(self) -> None:
        """A thread of the request is done, and the event loop has heard of it."""
        self.workers -= 1

    def number_of(self, strand: Strand | None) -> int:
        """Counts the strands of the request in the order in which they stop first."""
        return self._strands.setdefault(strand, len(self._strands))

    def next_gate(self) -> Gate | None:
        """The first gate that could be passed now."""
        return next((gate for gate in self.gates if gate.ready()), None)


class House(Lane):
    """What the application's own tasks do, those that no request has started, when a request has woken them.

    They step with the requests, one after the other of them; what they do on worker threads is waited for. When the run
    is over, they are nobody's again.
    """

    def __init__(self, number: int, kept: int) -> None:
        super().__init__(number, -1 - kept)
        self.answered = self.resting = True
        self.sleeps = 0
        self._adopted: list[Context] = []

    def adopt(self, context: Context, task: asyncio.Task[Any] | None) -> None:
        """Count what runs in a context, such as a task's, to this lane, unless it is somebody's."""
        lane = context.get(LANE)
        if lane is not None and not lane.closed:
            return
        strand = Strand()
        context.run(LANE.set, self)
        context.run(STRAND.set, strand)
        self._adopted.append(context)
        if task is not None:
            self.tasks[task] = strand

    def dismiss(self) -> None:
        """Let everybody go on unseen."""
        self.closed = True
        for gate in self.gates:
            gate.go()
        self.gates.clear()
        for context in self._adopted:
            context.run(LANE.set, None)


#: The lane to which the running task or thread belongs; not set for what the application does by itself.
LANE: ContextVar[Lane | None] = ContextVar("autolock_lane", default=None)
