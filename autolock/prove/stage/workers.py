"""Where threads begin: what runs on anyio's worker threads and in executors belongs to the request that
asked for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from .lanes import LANE, STRAND, House, Lane, Strand
from .threads import Stepper


def follow_threads(stepper: Stepper) -> None:
    """Make executors, anyio and `time.sleep` tell the stepper. Once for a process; without a lane they are
    as they were.
    """
    _follow_executors(stepper)
    _follow_anyio(stepper)
    _follow_sleep(stepper)


def _unseen(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a task of the application's own does on a worker thread: it is waited for, and not stepped."""
    LANE.set(None)
    return work(*args, **options)


def _run_by(stepper: Stepper, lane: Lane, work: Callable[..., Any]) -> Callable[..., Any]:
    return partial(_unseen if isinstance(lane, House) else partial(stepper.run, lane), work)


def _follow_executors(stepper: Stepper) -> None:
    submit = ThreadPoolExecutor.submit

    def submit_in_lane(
        self: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **options: Any
    ) -> Future[Any]:
        lane = LANE.get()
        if lane is None or lane.closed:
            return submit(self, work, *args, **options)
        context = copy_context()
        context.run(STRAND.set, Strand())
        future = submit(self, context.run, _run_by(stepper, lane, work), *args, **options)
        if not stepper.loop.awaits_executor:
            lane.workers += 1
            future.add_done_callback(lambda _: stepper.loop.call_soon_threadsafe(lane.one_worker_less))
        return future

    ThreadPoolExecutor.submit = submit_in_lane  # type: ignore[method-assign, assignment]


def _follow_anyio(stepper: Stepper) -> None:
    try:
        from anyio import to_thread
    except ImportError:
        return
    run_sync = to_thread.run_sync

    async def run_sync_in_lane(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        lane = LANE.get()
        if lane is None or lane.closed:
            return await run_sync(work, *args, **options)
        lane.workers += 1
        try:
            return await run_sync(_run_by(stepper, lane, work), *args, **options)
        finally:
            lane.workers -= 1

    to_thread.run_sync = run_sync_in_lane  # type: ignore[assignment]


def _follow_sleep(stepper: Stepper) -> None:
    sleep = time.sleep

    def sleep_in_lane(seconds: float) -> None:
        lane = LANE.get()
        if lane is None or lane.closed:
            sleep(seconds)
        elif not stepper.on_loop_thread():
            # A sleep stands for a call to somebody else, which may fail.
            error = ConnectionError("autolock lets this call fail")
            stepper.stop(lane, "sleep", "sleeps", stepper.caller(sys._getframe(1)), polls=True, error=error)

    time.sleep = sleep_in_lane  # type: ignore[assignment]
