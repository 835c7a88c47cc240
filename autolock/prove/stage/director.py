"""Who goes next: the decisions of one run, and when there is one to take.

The event loop asks the director whenever nothing is left to run. A decision lets one gate go, and
what follows runs until every request is again at a gate, finished, or known to be blocked
(the scheduling points of CHESS, Musuvathi and Qadeer, OSDI 2008, with SQL statements and resumptions
of the user's own code in place of memory accesses).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .frames import Project, Trail, await_chain
from .lanes import Gate, House, Lane
from .touches import Touches, only_reads
from .waits import waits_for_another

#: Seconds without progress after which a request inside a driver is asked about.
PATIENCE = 0.002
#: Seconds without any step after which the requests are taken to wait for each other.
GRACE = 0.02
#: Seconds after which a request inside a driver is taken to wait for what another one has, such as a connection.
LONGEST_STEP = 2.0
#: Seconds which a request may spend inside a driver before the run is given up.
LONGEST_WAIT = 5.0
#: Seconds for which a task is waited for that no request has started.
LONGEST_OTHERS = 1.0
_OF_DATABASES = frozenset(["statement", "commit", "rollback"])

#: Gates that one run may pass; a run that goes on is hung in a loop.
LONGEST_RUN = 2_000

#: Turns of a loop that sleeps before it is taken to wait for another request.
MOST_LOOKS = 8

#: How often time passes for what goes on after all answers before it is taken to go on for ever.
MOST_TICKS = 30


@dataclass(frozen=True)
class Probe:
    """`are_blocked` says whether as many requests as given wait for locks in a database; it is asked once nothing has
    come back for `patience` seconds. With `sees_locks` it sees that there are some, and not whose.
    """

    are_blocked: Callable[[int], bool]
    patience: float = PATIENCE
    sees_locks: bool = False


#: Takes the lanes that could go on and the lane that went last; returns the one to go.
Chooser = Callable[["tuple[int, ...]", "int | None"], int]


class Stuck(Exception):
    """A run cannot go on: a deadlock, a hang or an endless loop. The message says which requests stand where."""


@dataclass(frozen=True)
class Failure:
    """A lane is to fail, at the gate of this number among those of the `kinds` (none for all) at which it can."""

    lane: int
    at: int
    kinds: frozenset[str] = frozenset()

    def counts(self, gate: Gate) -> bool:
        """Whether it may be at this gate."""
        return gate.fail is not None and (not self.kinds or gate.kind in self.kinds)


@dataclass(frozen=True)
class Step:
    """One gate passed: by which lane, what it was, and which other lanes could have gone instead.

    `failed` where what was behind the gate has failed.
    """

    lane: int
    gate: Gate
    enabled: tuple[int, ...]
    previous: int | None
    failed: bool = False

    @property
    def preempts(self) -> bool:
        """Whether a lane that could have gone on was left."""
        return self.previous is not None and self.previous != self.lane and self.previous in self.enabled


@dataclass
class Director:
    """Runs the lanes of one schedule; `choose` takes the decisions, and one lane may have a `failure`.

    `in_turn` lets each lane come to its end before the next, even one that only waits for time to pass. With `apart`
    there is one request, and those that go on or stop are its strands. With `at_once` nobody is held back, nor waited
    for while inside a driver. With `touches`, which knows nothing of strands,
    nobody is left at a step that meets nobody.
    """

    project: Project
    lanes: list[Lane]
    choose: Chooser
    probe: Probe | None = None
    failure: Failure | None = None
    in_turn: bool = False
    apart: bool = False
    at_once: bool = False
    touches: Touches | None = None
    steps: list[Step] = field(default_factory=list)
    stuck: Stuck | None = None
    _ticks: int = 0
    _holders: set[int] = field(default_factory=set)
    _last_request: int | None = None
    _house_is_left: bool = False
    _others_since: float = 0.0
    _busy_before: set[asyncio.Task[Any]] = field(default_factory=set)
    _waiting_since: float | None = None
    _fire_timer: Callable[[], bool] = bool
    _at_end: Callable[[], object] = bool

    def attach(self, fire_timer: Callable[[], bool], at_end: Callable[[], None]) -> None:
        """`fire_timer` makes the earliest timer of a lane due, False when there is none; `at_end` is called once."""
        self._fire_timer, self._at_end = fire_timer, at_end
        self._busy_before = self._working()

    @property
    def over(self) -> bool:
        """Whether every request has come to rest."""
        return all(lane.finished or self._is_left(lane) for lane in self.lanes)

    def _is_left(self, lane: Lane) -> bool:
        """Whether the application's own tasks have been waited for long enough."""
        return isinstance(lane, House) and self._house_is_left and not lane.gates

    def decide(self) -> float:
        """Let one gate go, or end the run. Returns for how many seconds to wait for input before asking again."""
        if self.over or self.stuck:
            if not self.stuck and self._others_work():
                return PATIENCE
            self._at_end()
            return 0
        if self.at_once and self._let_all_go():
            return 0
        if self._in_driver():
            return PATIENCE
        gates = self._gates()
        if not gates:
            return self._nobody_can_go()
        if self._is_waited_for(gates):
            helping = {number: gate for number, gate in gates.items() if isinstance(self.lanes[number], House)}
            wait = None if helping else self._passes_time()
            if wait is not None:
                return wait
            gates = helping or gates
        self._waiting_since = None
        if len(self.steps) >= LONGEST_RUN:
            self._give_up("the requests go on for ever")
            return 0
        self._let_go(gates)
        return 0

    def _gates(self) -> dict[int, Gate]:
        """What could be passed now, by the number of the lane, or of the strand."""
        if not self.apart:
            return {lane.number: gate for lane in self.lanes if (gate := lane.next_gate())}
        found: dict[int, Gate] = {}
        for gate in self.lanes[0].gates:
            if gate.ready():
                found.setdefault(self.lanes[0].number_of(gate.strand), gate)
        return found

    def _nobody_can_go(self) -> float:
        """Wait a moment, as a thread may be about to hand its result over; then let time pass, or give up."""
        if self._is_too_soon():
            return PATIENCE
        if all(lane.answered for lane in self.lanes):
            self._ticks += 1
        if self._ticks > MOST_TICKS:
            self._let_rest()
        elif not self._fire_timer() and not self._expire():
            self._give_up("every request waits for another one")
        return 0

    def _is_too_soon(self) -> bool:
        """Whether a thread, or a task that no request has started, may be about to let somebody go on."""
        now = time.perf_counter()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < GRACE or self._others_work():
            return True
        self._waiting_since = None
        return False

    def _is_waited_for(self, gates: dict[int, Gate]) -> bool:
        """Whether the one that went last has not come to its end, before which nobody else begins, and can't go on."""
        last = self._last_request
        if not self.in_turn or self.apart or last is None:
            return False
        return last not in gates and not self.lanes[last].finished

    def _passes_time(self) -> float | None:
        """Let time pass for one that others wait for; None where that does not help: it waits for one of them."""
        if self._is_too_soon() or self._last_request is None:
            return PATIENCE
        last = self.lanes[self._last_request]
        if last.answered:
            self._ticks += 1
            last.resting = self._ticks > MOST_TICKS
        return 0 if last.resting or self._fire_timer() else None

    def _others_work(self) -> bool:
        """Whether a task that no request has started is inside a driver, in which it was not when the run began.

        It may be a worker that goes on with what a request has put into its queue. It is waited for only so long.
        """
        if not self._others_since and not self._working():
            return False
        now = time.perf_counter()
        self._others_since = self._others_since or now
        if now - self._others_since < LONGEST_OTHERS and self._working():
            return True
        self._others_since = 0.0
        return False

    def _working(self) -> set[asyncio.Task[Any]]:
        """The tasks of no request that are inside a driver now."""
        own = {task for lane in self.lanes for task in lane.tasks if not isinstance(lane, House)}
        return {
            task
            for task in asyncio.all_tasks() - own - self._busy_before
            if self.project.in_driver(await_chain(task.get_coro()))
        }

    def _let_rest(self) -> None:
        """All that is left, such as a listener that a request has started, only looks again from time to time."""
        for lane in self.lanes:
            lane.resting = True

    def _expire(self) -> bool:
        """Let the time limit of one that waits for a lock be over; False when nobody has one."""
        for lane in self.lanes:
            for gate in lane.gates:
                if gate.expire is not None:
                    lane.gates.remove(gate)
                    gate.expire()
                    return True
        return False

    def _let_go(self, gates: dict[int, Gate]) -> None:
        previous = self.steps[-1].lane if self.steps else None
        going = () if self.in_turn else (n for n, gate in gates.items() if not self._only_polls(n, gate))
        enabled = tuple(going) or tuple(gates)
        if previous in enabled and not self._is_choice(previous, gates[previous]):
            enabled = (previous,)
        number = self.choose(enabled, previous)
        gate = gates[number]
        lane = self.lanes[0 if self.apart else number]
        lane.gates.remove(gate)
        failing = gate.fail if self._is_to_fail(number, gate) else None
        self._pass(number, lane, gate, enabled, failing=failing is not None)
        (failing or gate.go)()

    def _let_all_go(self) -> bool:
        """Open every gate; False where nobody stands at one."""
        gates = self._gates()
        for number, gate in gates.items():
            lane = self.lanes[0 if self.apart else number]
            lane.gates.remove(gate)
            self._pass(number, lane, gate, (number,))
            gate.go()
        return bool(gates)

    def passes(self, lane: Lane, gate: Gate) -> bool:
        """Whether the thread of a lane may go on past a line without waiting for a decision, which could be no other;
        the step is taken then. Asked from that thread, while all others stand.
        """
        previous = self.steps[-1].lane if self.steps else None
        if previous != lane.number or self.apart or self.stuck or lane.gates or len(self.steps) >= LONGEST_RUN:
            return False
        if self.in_turn:
            going = tuple(one.number for one in self.lanes if not one.finished)
        elif not self._is_choice(lane.number, gate):
            going = (lane.number,)
        else:
            return False
        if self.choose(going, previous) != lane.number:
            return False
        self._waiting_since = None
        self._pass(lane.number, lane, gate, (lane.number,))
        return True

    def _pass(self, number: int, lane: Lane, gate: Gate, enabled: tuple[int, ...], *, failing: bool = False) -> None:
        """Take the step of a lane, or of its strand of this number, that leaves a gate behind."""
        previous = self.steps[-1].lane if self.steps else None
        self._note_lock(lane)
        if not self.apart:
            gate.trail = (*gate.trail, *self._elsewhere(lane))
        lane.last = gate
        if not isinstance(lane, House):
            self._last_request = lane.number
        if self.touches is not None:
            self.touches.passed(lane, gate)
        self.steps.append(Step(number, gate, enabled, previous, failing))

    def _elsewhere(self, lane: Lane) -> Trail:
        """Where other tasks of the request stand: one that waits for a task that it has started is left with it."""
        if len(lane.tasks) < 2:
            return ()
        chains = (await_chain(task.get_coro()) for task in lane.tasks if not task.done())
        return tuple(place for chain in chains for place in self.project.trail(chain))

    def _note_lock(self, lane: Lane) -> None:
        """What a lane has written keeps a lock until its transaction is over; both are so when it goes on."""
        if lane.last is None:
            return
        if lane.last.kind in {"commit", "rollback"}:
            self._holders.discard(lane.number)
        elif lane.last.kind == "statement" and not only_reads(lane.last.label):
            self._holders.add(lane.number)

    def _is_choice(self, number: int, gate: Gate) -> bool:
        return self.touches is None or self.touches.is_choice(self.lanes[number], gate)

    def _is_to_fail(self, number: int, gate: Gate) -> bool:
        failure = self.failure
        if failure is None or failure.lane != number or not failure.counts(gate):
            return False
        return sum(step.lane == number and failure.counts(step.gate) for step in self.steps) == failure.at

    def _only_polls(self, number: int, gate: Gate) -> bool:
        """A loop that sleeps and looks again learns nothing new until somebody else has moved.

        One whose variables change may be about to end, but not for ever.
        """
        if not gate.polls:
            return False
        for looks, step in enumerate(reversed(self.steps), start=1):
            if step.lane != number or step.gate.key != gate.key:
                break
            if step.gate.values == gate.values or looks > MOST_LOOKS:
                return True
        return False

    def _in_driver(self) -> bool:
        """Whether to wait for a request that is inside a driver or on a worker thread.

        One that waits for a lock in the database is not waited for while there are others which may give it back.
        """
        busy = [lane.number for lane in self.lanes if self._busy(lane)]
        if not busy:
            return False
        now = time.perf_counter()
        if self._waiting_since is None:
            self._waiting_since = now
            return True
        waited = now - self._waiting_since
        if waited > LONGEST_OTHERS and all(isinstance(self.lanes[number], House) for number in busy):
            self._house_is_left = True  # it may listen there for ever
            return False
        if waited > LONGEST_WAIT:
            self._give_up("a request did not come back from its driver")
            return False
        if self.probe is None or waited < self.probe.patience or not self._gates():
            return True
        return waited < LONGEST_STEP and not self._are_blocked(busy, self.probe)

    def _are_blocked(self, busy: list[int], probe: Probe) -> bool:
        """Whether requests inside their drivers wait for locks of others; a lock that is seen may be their own, and the
        disk slow.
        """
        known = all((gate := self.lanes[n].last) is not None and gate.kind in _OF_DATABASES for n in busy)
        if probe.sees_locks and known and self._holders.issubset(busy):
            return False
        return probe.are_blocked(len(busy))

    def _busy(self, lane: Lane) -> bool:
        if self._is_left(lane) or (lane.finished and not isinstance(lane, House)):
            return False
        if lane.workers and not lane.gates:
            return True
        stopped = {gate.strand for gate in lane.gates}
        return any(
            self._is_in_driver(task, lane)
            for task, strand in lane.tasks.items()
            if strand not in stopped and not task.done() and task not in self._busy_before
        )

    def _is_in_driver(self, task: asyncio.Task[Any], lane: Lane) -> bool:
        frames = await_chain(task.get_coro())
        return self.project.in_driver(frames) and not waits_for_another(task, frames, lane.tasks)

    def _give_up(self, why: str) -> None:
        self.stuck = Stuck(f"{why}: {'; '.join(self._where(lane) for lane in self.lanes if not lane.finished)}")

    def _where(self, lane: Lane) -> str:
        for task in lane.tasks:
            frame = None if task.done() else self.project.innermost(await_chain(task.get_coro()))
            if frame is not None:
                spot = self.project.spot(frame)
                return f"{lane.name} at {spot.path}:{spot.line}"
        return f"{lane.name} {lane.last.label if lane.last else 'at its start'}"


def current_task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """The task that a handle of the event loop resumes; None for other callbacks."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return owner if isinstance(owner, asyncio.Task) else None
