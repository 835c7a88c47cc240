"""An event loop whose requests stop at gates.

It differs from asyncio's own in three places: a step that would resume the project's own code for a request
is held back
until the director lets it go, `asyncio.sleep` of a request is over at once (how long a sleep takes is no promise of
who comes first), and other timers of requests fire only when nothing else can happen.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import futures
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context, copy_context
from functools import partial
from types import FrameType
from typing import Any

from .director import MOST_TICKS, Director, current_task_of
from .frames import await_chain
from .lanes import LANE, STRAND, Gate, House, Lane, Strand
from .values import plain_locals

_SLEEP_IS_OVER = futures._set_result_unless_cancelled  # type: ignore[attr-defined]


class GatedLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop, directed while `director` is set and its plain self otherwise."""

    _ready: Any
    _scheduled: list[asyncio.TimerHandle]
    _selector: Any

    def __init__(self) -> None:
        super().__init__()
        self.director: Director | None = None
        self.awaits_executor = False
        self._house: House | None = None
        self._passed: set[asyncio.Handle] = set()
        self._held_timers: list[asyncio.TimerHandle] = []
        self._others_fired = 0
        self.set_task_factory(_task_of_lane)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; a request's `sleep` is due at once, its other timers are kept back.

        So is a `sleep` of the application's own tasks, unless they do nothing but sleep and look again.
        """
        scope = context if context is not None else copy_context()
        lane = scope.get(LANE)
        if self.director is None or lane is None or not self._is_played(lane, callback):
            return super().call_at(when, callback, *args, context=context)
        timer = asyncio.TimerHandle(when, callback, args, self, scope)
        (self._ready if callback is _SLEEP_IS_OVER else self._held_timers).append(timer)
        return timer

    def _is_played(self, lane: Lane, callback: Callable[..., object]) -> bool:
        """Whether the time of a timer is the schedule's, and not that of the clock."""
        if not isinstance(lane, House):
            return True
        lane.sleeps += 1
        return callback is _SLEEP_IS_OVER and lane.sleeps <= MOST_TICKS

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; a task of nobody's that a request wakes belongs to the run."""
        handle = super().call_soon(callback, *args, context=context)
        if self._house is not None and context is not None and _is_of_a_run(LANE.get()):
            self._house.adopt(context, current_task_of(handle))
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As asyncio's; the request counts as busy until the loop itself has the result."""
        self.awaits_executor = True
        try:
            future = super().run_in_executor(executor, func, *args)
        finally:
            self.awaits_executor = False
        lane = LANE.get()
        if lane is not None and not lane.closed:
            lane.workers += 1
            future.add_done_callback(lambda _: lane.one_worker_less())
        return future

    def _run_once(self) -> None:
        director = self.director
        if director is None:
            super()._run_once()  # type: ignore[misc]
            return
        wait = 0.0 if self._ready else director.decide()
        if self._ready:
            wait = 0.0
        self._process_events(self._selector.select(wait))  # type: ignore[attr-defined]
        self._due_timers()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle._cancelled and not self._hold(handle, director):
                handle._run()

    def _due_timers(self) -> None:
        now = self.time()
        while self._scheduled and self._scheduled[0].when() <= now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)

    def fire_timer(self) -> bool:
        """Make the earliest timer due, of a request or, not too often, of a task that no request has started.

        False when there is none.
        """
        waiting = [timer for timer in self._held_timers if not timer.cancelled()]
        others = (
            [timer for timer in self._scheduled if not timer.cancelled()] if self._others_fired < MOST_TICKS else []
        )
        if not waiting and not others:
            return False
        first = min((*waiting, *others), key=lambda timer: timer.when())
        if first in self._held_timers:
            self._held_timers.remove(first)
        else:
            self._others_fired += 1
            self._scheduled.remove(first)
            heapq.heapify(self._scheduled)
            first._scheduled = False  # type: ignore[attr-defined]
        self._ready.append(first)
        return True

    def _hold(self, handle: asyncio.Handle, director: Director) -> bool:
        """Keep a handle back as a gate, if it resumes the project's own code for a request."""
        if handle in self._passed:
            self._passed.discard(handle)
            return False
        lane = _lane_of(handle)
        task = current_task_of(handle) if lane is not None else None
        if lane is None or task is None or lane.closed:
            return False
        frames = await_chain(task.get_coro())
        frame = director.project.stops_user_code(frames)
        if frame is None:
            return False
        lane.gates.append(self._gate(handle, task, director, frames, frame))
        return True

    def _gate(
        self,
        handle: asyncio.Handle,
        task: asyncio.Task[Any],
        director: Director,
        frames: list[FrameType],
        frame: FrameType,
    ) -> Gate:
        below = frames[frames.index(frame) + 1 :]
        label = "after " + below[0].f_code.co_name if below else "after a suspension"
        return Gate(
            kind="resume" if frame.f_lasti >= 0 else "task",
            label=label,
            go=partial(self._go, handle),
            spot=director.project.spot(frame),
            values=plain_locals(frame),
            ready=lambda: not handle.cancelled(),
            trail=director.project.trail(frames),
            strand=handle._context.get(STRAND),  # type: ignore[attr-defined]
            polls=bool(below) and below[-1].f_code.co_name == "sleep",
            fail=partial(self._cancel, task, handle) if frame.f_lasti >= 0 else None,
        )

    def _go(self, handle: asyncio.Handle) -> None:
        self._passed.add(handle)
        self._ready.append(handle)

    def _cancel(self, task: asyncio.Task[Any], handle: asyncio.Handle) -> None:
        """A client that goes away, or a time limit: what is awaited ends in CancelledError."""
        task.cancel()
        self._go(handle)

    def begin(self, director: Director, at_end: Callable[[], None], house: House | None) -> None:
        """Direct everything from now on; `at_end` is called when every request has come to rest.

        Tasks that no request has started step in the lane of the `house`, if there is one.
        """
        director.attach(self.fire_timer, at_end)
        self._house = house
        self._held_timers.clear()
        self._others_fired = 0
        self._passed.clear()
        self.director = director

    def end(self) -> None:
        """Be a plain event loop again."""
        self.director = None
        if self._house is not None:
            self._house.dismiss()
        self._house = None

    def start(self, lane: Lane, work: Callable[[], Any]) -> asyncio.Task[Any]:
        """Start a coroutine as the request of a lane."""

        def make() -> asyncio.Task[Any]:
            LANE.set(lane)
            return self.create_task(work())

        return copy_context().run(make)


def _task_of_lane(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    context: Context = options.get("context") or copy_context()
    lane = context.get(LANE)
    if lane is None or lane.closed:
        return asyncio.Task(coroutine, loop=loop, **options)
    strand = Strand()
    context.run(STRAND.set, strand)
    task: asyncio.Task[Any] = context.run(partial(asyncio.Task, coroutine, loop=loop, **options))
    lane.tasks[task] = strand
    return task


def _is_of_a_run(lane: Lane | None) -> bool:
    return lane is not None and not lane.closed


def _lane_of(handle: asyncio.Handle) -> Lane | None:
    context: Context | None = handle._context  # type: ignore[attr-defined]
    return context.get(LANE) if context is not None else None
